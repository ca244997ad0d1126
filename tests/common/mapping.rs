//! Memory between two guard pages, mapped by somebody other than the crate.

use super::page;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ptr;

/// Zeroed pages with an inaccessible page on either side: one byte too far is a SIGSEGV.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: *mut u8,
    len: usize,
}

impl Mapping {
    /// At least `len` bytes, in whole pages.
    pub(crate) fn new(len: usize) -> Self {
        let (page, len) = (page(), len.next_multiple_of(page()));
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let guard = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                len + 2 * page,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )
        };
        let start = guard.unwrap().cast::<u8>().wrapping_add(page);
        let mapping = Self { start, len };
        mapping.protect(MprotectFlags::READ | MprotectFlags::WRITE);
        mapping
    }

    fn protect(&self, flags: MprotectFlags) {
        // SAFETY: the pages are this value's own, and nothing refers to them but views that the caller is about to
        // test.
        unsafe { mprotect(self.start.cast(), self.len, flags) }.unwrap();
    }

    /// From here on, writing is a SIGSEGV.
    pub(crate) fn read_only(&self) {
        self.protect(MprotectFlags::READ);
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The address `offset` bytes in.
    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset <= self.len);
        self.start.wrapping_add(offset)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, guards included; views borrow nothing, so tests keep them shorter than this.
        let _ = unsafe {
            munmap(
                self.start.wrapping_sub(page()).cast(),
                self.len + 2 * page(),
            )
        };
    }
}
