//! Stand-in until the segment floor is merged.

/// How a segment is attached.
pub trait Access: 'static + Send + Sync {
    #[doc(hidden)]
    const WRITABLE: bool;
}
/// Attached for reading and writing.
#[derive(Debug, Clone, Copy)]
pub enum ReadWrite {}
/// Attached for reading alone.
#[derive(Debug, Clone, Copy)]
pub enum ReadOnly {}
impl Access for ReadWrite {
    const WRITABLE: bool = true;
}
impl Access for ReadOnly {
    const WRITABLE: bool = false;
}

#[derive(Debug)]
#[doc(hidden)]
#[allow(missing_docs)]
pub struct Segment<A: Access = ReadWrite>(
    std::ptr::NonNull<u8>,
    usize,
    std::marker::PhantomData<A>,
);
#[allow(missing_docs)]
impl<A: Access> Segment<A> {
    pub(crate) fn base(&self) -> std::ptr::NonNull<u8> {
        self.0
    }
    pub fn len_bytes(&self) -> usize {
        self.1
    }
}
