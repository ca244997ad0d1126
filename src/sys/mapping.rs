//! `mmap`, `munmap`, `mprotect` and `madvise`, for what System V's own calls cannot say.

use super::{Errno, check};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering};

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

/// `mprotect(address, len, PROT_READ | PROT_WRITE)`.
///
/// # Safety
///
/// The range is mapped, and no code relies on not reaching it.
pub(crate) unsafe fn allow(address: NonNull<c_void>, len: usize) -> Result<(), Errno> {
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the caller answers for the range.
    check(unsafe { libc::mprotect(address.as_ptr(), len, access) }).map(drop)
}

/// `madvise(address, len, advice)`, and `EINVAL` where the system answers success to anything.
///
/// qemu's user-mode emulation does that: it ignores all advice and says that it followed it. A caller that relied on
/// `MADV_WIPEONFORK` there would take a forked child for its parent. So the first call of a process gives an advice
/// that does not exist, and a system that accepts it is taken to support none.
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
    /// No advice has this number.
    const NO_ADVICE: c_int = -1;
    /// 0 not asked yet, 1 advice is followed or refused, 2 accepted and ignored.
    static ANSWERS: AtomicU8 = AtomicU8::new(0);
    let advise = |advice| {
        // SAFETY: the caller answers for the range and for what its advice does to it; no advice does nothing.
        check(unsafe { libc::madvise(address.as_ptr(), len, advice) }).map(drop)
    };
    // Relaxed: threads that are first together get the same answer.
    if ANSWERS.load(Ordering::Relaxed) == 0 {
        let answer = if advise(NO_ADVICE).is_ok() { 2 } else { 1 };
        ANSWERS.store(answer, Ordering::Relaxed);
    }
    if ANSWERS.load(Ordering::Relaxed) == 2 {
        return Err(Errno(libc::EINVAL));
    }
    advise(advice)
}
