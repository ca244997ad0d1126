//! Which types may be read from shared bytes, and which may be written to them.

use bytemuck::{AnyBitPattern, NoUninit};

/// What can be read out of shared memory: types for which any bytes are a value.
///
/// Another process may write anything at any moment, so nothing weaker will do. It is [`bytemuck::AnyBitPattern`] under a name
/// that can explain itself; every type that has that one has this one, and it cannot be implemented otherwise. Integers,
/// floating-point numbers and arrays of them have it; a struct derives it, padding or not.
///
/// ```
/// use sysvshm::bytemuck::AnyBitPattern;
/// use sysvshm::memory::Readable;
///
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[repr(C)]
/// struct Padded {
///     tag: u8,
///     value: u64,
/// }
///
/// fn readable<T: Readable>() {}
/// readable::<Padded>();
/// readable::<[f64; 16]>();
/// ```
///
/// `bool`, `char`, references and enums are not: some bytes are no value of theirs.
///
/// ```compile_fail
/// # fn readable<T: sysvshm::memory::Readable>() {}
/// readable::<bool>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from shared memory: not every bit pattern is a `{Self}`",
    label = "another process may write any bytes here",
    note = "read an integer and convert it after checking (a `u8` compared with 0 for C's `bool`)",
    note = "for a `#[repr(C)]` struct of such integers: `#[derive(Clone, Copy, sysvshm::bytemuck::AnyBitPattern)]`"
)]
pub trait Readable: AnyBitPattern {}

#[diagnostic::do_not_recommend]
impl<T: AnyBitPattern> Readable for T {}

/// What can be written to shared memory as a whole: types without padding.
///
/// Padding bytes have no value that could be written. It is [`bytemuck::NoUninit`] under a name that can explain itself; every
/// type that has that one has this one, and it cannot be implemented otherwise.
///
/// ```
/// use sysvshm::memory::Storable;
///
/// fn storable<T: Storable>() {}
/// storable::<[i32; 5]>();
/// ```
///
/// A struct with padding is written member by member, through [`field!`](crate::field):
///
/// ```
/// use sysvshm::bytemuck::AnyBitPattern;
/// use sysvshm::{Key, SegmentOptions, field};
///
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[repr(C)]
/// struct Padded {
///     tag: u8,
///     value: u64,
/// }
///
/// let segment = SegmentOptions::new().size_bytes(size_of::<Padded>()).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let padded = segment.reference::<Padded>(0).unwrap();
/// field!(padded, tag).set(1);
/// field!(padded, value).set(2);
/// assert_eq!(padded.get().value, 2);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to shared memory as a whole: it may have padding, whose bytes have no value",
    label = "may have uninitialised bytes",
    note = "write its members one by one: `field!(reference, member).set(value)`",
    note = "or give the padding a name (`_padding: [u8; 7]`) and `#[derive(sysvshm::bytemuck::Pod, sysvshm::bytemuck::Zeroable)]`"
)]
pub trait Storable: NoUninit {}

#[diagnostic::do_not_recommend]
impl<T: NoUninit> Storable for T {}
