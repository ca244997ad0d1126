//! `mmap`, `munmap` and `madvise`, for what System V's own calls cannot say.

use super::{Errno, check};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// What a fresh private mapping is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Protection {
    /// `PROT_NONE`: address space alone.
    None,
    /// `PROT_READ | PROT_WRITE`.
    ReadWrite,
}

/// `mmap(NULL, len, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)`: fresh, zeroed memory of this process alone.
pub(crate) fn map_anonymous(len: usize, protection: Protection) -> Result<NonNull<c_void>, Errno> {
    let protection = match protection {
        Protection::None => libc::PROT_NONE,
        Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: without MAP_FIXED the kernel chooses free address space; nothing that exists is touched.
    let mapped = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    NonNull::new(mapped).ok_or(Errno(libc::ENOMEM))
}

/// `munmap(address, len)`.
///
/// # Safety
///
/// Nothing may use any page of the range afterwards.
pub(crate) unsafe fn unmap(address: NonNull<c_void>, len: usize) -> Result<(), Errno> {
    // SAFETY: the caller gives the range up.
    check(unsafe { libc::munmap(address.as_ptr(), len) }).map(drop)
}

/// `madvise(address, len, advice)`.
///
/// # Safety
///
/// The range is mapped, and `advice` neither discards contents that somebody relies on nor changes what a fork
/// copies of memory that somebody relies on in the child.
pub(crate) unsafe fn advise(
    address: NonNull<c_void>,
    len: usize,
    advice: c_int,
) -> Result<(), Errno> {
    // SAFETY: the caller answers for the range and for what the advice does to it.
    check(unsafe { libc::madvise(address.as_ptr(), len, advice) }).map(drop)
}
