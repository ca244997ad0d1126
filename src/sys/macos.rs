//! macOS: the same names as `linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of `bsd/kern/sysv_shm.c` and `bsd/sys/shm.h` in the published XNU sources.

use super::{Errno, RawKey, check};
use libc::shmid_ds;
use std::ffi::{CStr, c_int};
use std::ptr;

/// macOS has no huge page flag for shmget.
pub(crate) const SHM_HUGETLB: Option<c_int> = None;
/// Nor this one.
pub(crate) const SHM_NORESERVE: Option<c_int> = None;
/// Where Linux keeps the size code; unused here because [`SHM_HUGETLB`] is absent.
pub(crate) const SHM_HUGE_SHIFT: u32 = 26;
/// As above.
pub(crate) const SHM_HUGE_MASK: u32 = 0x3f;
/// macOS has no `SHM_REMAP`.
pub(crate) const SHM_REMAP: Option<c_int> = None;
/// macOS has no `SHM_EXEC`.
pub(crate) const SHM_EXEC: Option<c_int> = None;
/// An address never replaces what is mapped there.
pub(crate) const FLAGS_MAY_REPLACE: bool = false;
/// macOS answers `EINVAL` to both commands.
pub(crate) const SHM_LOCK_UNLOCK: Option<(c_int, c_int)> = None;
/// `SHMSEG_REMOVED` of XNU.
pub(crate) const SHM_DEST: u32 = 0o2000;
/// No such bit here.
pub(crate) const SHM_LOCKED: u32 = 0;
/// None of these advices exists here.
pub(crate) const MADV_WIPEONFORK: Option<c_int> = None;
/// As above.
pub(crate) const MADV_DONTFORK: Option<c_int> = None;
/// As above.
pub(crate) const MADV_HUGEPAGE: Option<c_int> = None;
/// As above.
pub(crate) const MADV_POPULATE_READ: Option<c_int> = None;
/// As above.
pub(crate) const MADV_POPULATE_WRITE: Option<c_int> = None;
/// As above.
pub(crate) const MADV_COLD: Option<c_int> = None;

/// `SHMLBA`, in bytes.
pub(crate) fn shmlba() -> usize {
    libc::SHMLBA as usize
}

/// The key in a status.
pub(crate) fn key(status: &shmid_ds) -> RawKey {
    // The struct is packed to four bytes here: fields are copied, never borrowed.
    status.shm_perm._key
}

/// Attach, detach and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &shmid_ds) -> [i64; 3] {
    [status.shm_atime, status.shm_dtime, status.shm_ctime]
}

/// Most bytes of one segment, most segments, most pages in all: `kern.sysv.*`.
pub(crate) fn limits() -> Result<(u64, u64, u64), Errno> {
    Ok((
        sysctl(c"kern.sysv.shmmax")?,
        sysctl(c"kern.sysv.shmmni")?,
        sysctl(c"kern.sysv.shmall")?,
    ))
}

/// `SHM_STAT` does not exist here.
pub(crate) fn shm_stat(_slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// `SHM_STAT_ANY` does not exist here.
pub(crate) fn shm_stat_any(_slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// macOS has no IPC namespaces.
pub(crate) fn ipc_namespace() -> Option<(u64, u64)> {
    None
}

/// `sysctlbyname(name)` for a number of 8 bytes.
pub(super) fn sysctl(name: &CStr) -> Result<u64, Errno> {
    let mut value = 0_u64;
    let mut len = size_of::<u64>();
    let old = (&raw mut value).cast();
    // SAFETY: `value` is as long as `len` says, and the name ends with a NUL.
    check(unsafe { libc::sysctlbyname(name.as_ptr(), old, &raw mut len, ptr::null_mut(), 0) })?;
    Ok(value)
}

/// No call here says how much is in use.
pub(crate) fn usage() -> Result<[u64; 4], Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Nor can slots be walked.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    Err(Errno(libc::ENOSYS))
}
