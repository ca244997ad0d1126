//! Facts about this process and others, and the machine's page size.

use super::{Errno, check};
use std::ffi::c_int;
use std::mem;

/// `getpid()`.
pub(crate) fn pid() -> i32 {
    // SAFETY: getpid has no preconditions and cannot fail.
    unsafe { libc::getpid() }
}

/// `geteuid()`: the user the kernel checks access for.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

/// `kill(pid, 0)`: whether a process of that number exists, without disturbing it. A zombie still exists.
pub(crate) fn exists(pid: i32) -> bool {
    if pid <= 0 {
        // 0 and negative numbers name groups of processes in kill(2), never one.
        return true;
    }
    // SAFETY: signal 0 is never delivered.
    match check(unsafe { libc::kill(pid, 0) }) {
        Ok(_) => true,
        // EPERM means that it exists and belongs to somebody else; only ESRCH says that it does not.
        Err(Errno(errno)) => errno != libc::ESRCH,
    }
}

/// The soft limit of `getrlimit(2)` for `resource`, or `None` where it is unlimited or cannot be read.
pub(crate) fn soft_limit(resource: Resource) -> Option<u64> {
    let number = match resource {
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
        Resource::AddressSpace => libc::RLIMIT_AS,
    };
    // SAFETY: rlimit is two integers: all zeros is a value of it.
    let mut limit: libc::rlimit = unsafe { mem::zeroed() };
    // SAFETY: `limit` is a whole rlimit and lives across the call.
    check(unsafe { libc::getrlimit(number, &raw mut limit) }).ok()?;
    (limit.rlim_cur != libc::RLIM_INFINITY).then(|| {
        // Signed on FreeBSD; a limit is never negative.
        #[allow(clippy::unnecessary_cast)]
        let soft = limit.rlim_cur as u64;
        soft
    })
}

/// The limits that decide whether a segment can be attached or locked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resource {
    /// `RLIMIT_MEMLOCK`, in bytes.
    LockedMemory,
    /// `RLIMIT_AS`, in bytes.
    AddressSpace,
}

/// `sysconf(_SC_PAGESIZE)`, in bytes.
pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf takes a number and touches no memory.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // Every system answers this question; 4096 keeps arithmetic sane if one ever did not.
    usize::try_from(size).unwrap_or(4096)
}

/// Random bits of the kernel: `getrandom(2)` on Linux, `getentropy(2)` elsewhere.
///
/// A generator inside the process would repeat itself in a forked child, and two processes must not draw the same
/// key.
pub(crate) fn random_u64() -> Result<u64, Errno> {
    let mut bytes = [0_u8; 8];
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the buffer is as long as stated. A request of up to 256 bytes is answered whole (getrandom(2)).
        let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        check(filled as c_int)?;
    }
    #[cfg(not(target_os = "linux"))]
    {
        // SAFETY: the buffer is as long as stated.
        check(unsafe { libc::getentropy(bytes.as_mut_ptr().cast(), bytes.len()) } as c_int)?;
    }
    Ok(u64::from_ne_bytes(bytes))
}
