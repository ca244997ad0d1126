//! What an attached segment may be used for, as a type.

/// What an attached segment may be used for: [`ReadWrite`] or [`ReadOnly`]. Sealed.
///
/// ```
/// use sysvshm::segment::Access;
/// use sysvshm::{Key, Segment, SegmentOptions};
///
/// fn first_byte<A: Access>(segment: &Segment<A>) -> Result<u8, sysvshm::Error> {
///     let mut byte = [0];
///     segment.read_exact_at(0, &mut byte)?;
///     Ok(byte[0])
/// }
///
/// let writer = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
/// let reader = writer.id().attach_read_only()?;
/// writer.mark_for_removal()?;
/// writer.write_at(0, b"x")?;
/// assert_eq!((first_byte(&writer)?, first_byte(&reader)?), (b'x', b'x'));
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub trait Access: sealed::Sealed + Send + Sync + 'static {
    /// Whether the kernel lets this process only read.
    const READ_ONLY: bool;
}

/// What an attach must be used for to write through it: [`ReadWrite`]. Sealed.
///
/// ```compile_fail,E0277
/// use sysvshm::{Key, SegmentOptions};
///
/// let reader = SegmentOptions::new().open_read_only(Key::from_raw(42))?;
/// reader.write_at(0, b"no")?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "this is a read-only view of shared memory: nothing can be written through it",
    label = "writes, and `{Self}` only reads",
    note = "to write, attach without `read_only`: `open`, `attach`, and views that are not made by `read_only()`"
)]
pub trait Writable: Access {}

/// Reading and writing: what `shmat` gives without flags.
///
/// ```
/// use sysvshm::{Key, ReadWrite, Segment, SegmentOptions};
///
/// let segment: Segment<ReadWrite> = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?; // `Segment`
/// segment.mark_for_removal()?;
/// segment.write_at(0, b"x")?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub enum ReadWrite {}

/// Reading alone: `SHM_RDONLY`. Writing does not compile, so it cannot raise SIGSEGV.
///
/// ```
/// use sysvshm::{Key, ReadOnly, Segment, SegmentOptions};
///
/// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
/// let reader: Segment<ReadOnly> = segment.id().attach_read_only()?;
/// segment.mark_for_removal()?;
/// assert_eq!(reader.read_at(0, &mut [1; 8])?, 1);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "SHM_RDONLY")]
#[derive(Debug, Clone, Copy)]
pub enum ReadOnly {}

impl Access for ReadWrite {
    const READ_ONLY: bool = false;
}
impl Writable for ReadWrite {}
impl Access for ReadOnly {
    const READ_ONLY: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadWrite {}
    impl Sealed for super::ReadOnly {}
}
