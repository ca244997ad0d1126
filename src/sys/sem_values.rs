//! [`Values`]: the array of `GETALL` and `SETALL`.

use super::super::Errno;
use super::super::mapping::{self, Protection};
use super::super::process;
use std::ptr::NonNull;

/// As many numbers as asked for, right before memory that can be neither read nor written: for calls that take an
/// array and not its length.
pub(super) struct Values {
    /// The whole mapping, the inaccessible page at its end included.
    mapped: NonNull<u8>,
    mapped_len: usize,
    first: NonNull<u16>,
    len: usize,
}

impl Values {
    /// Zeros. `ENOMEM` if there is no room for them.
    pub(super) fn new(len: usize) -> Result<Self, Errno> {
        let no_room = Errno(libc::ENOMEM);
        let page = process::page_size();
        let bytes = len.checked_mul(size_of::<u16>()).ok_or(no_room)?;
        let whole = bytes.checked_next_multiple_of(page).ok_or(no_room)?;
        let mapped_len = whole.checked_add(page).ok_or(no_room)?;
        let mapped = mapping::map_anonymous(mapped_len, Protection::None)?.cast::<u8>();
        // SAFETY: the array ends where the last page begins, inside of the mapping, and is not longer than what comes
        // before.
        let first = unsafe { mapped.add(whole - bytes) }.cast::<u16>();
        let values = Self {
            mapped,
            mapped_len,
            first,
            len,
        };
        if whole > 0 {
            // SAFETY: all pages but the last of a mapping that was made above.
            unsafe { mapping::allow(mapped.cast(), whole) }?;
        }
        Ok(values)
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u16 {
        self.first.as_ptr()
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [u16] {
        // SAFETY: `len` numbers that only `self` leads to; their address is even, as their end is that of a page.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.len) }
    }
}

impl Drop for Values {
    fn drop(&mut self) {
        // SAFETY: the mapping of this value, which is on its way out. A failure leaves address space behind, no more.
        let _ = unsafe { mapping::unmap(self.mapped.cast(), self.mapped_len) };
    }
}
