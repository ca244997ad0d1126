//! What macOS and FreeBSD have in common: mostly what they lack. Type-checked only; never run by this project.

use super::{Errno, check};
use libc::shmid_ds;
use std::ffi::{CStr, c_int};
use std::ptr;

/// There is no huge page flag for shmget.
pub(crate) const SHM_HUGETLB: Option<c_int> = None;
/// Nor one for memory without reservation.
pub(crate) const SHM_NORESERVE: Option<c_int> = None;
/// Where Linux keeps the size code; unused here because [`SHM_HUGETLB`] is absent.
pub(crate) const SHM_HUGE_SHIFT: u32 = 26;
/// As above.
pub(crate) const SHM_HUGE_MASK: u32 = 0x3f;
/// There is no `SHM_EXEC`.
pub(crate) const SHM_EXEC: Option<c_int> = None;
/// Both commands are `EINVAL`: macOS has never had them, FreeBSD compiles them out.
pub(crate) const SHM_LOCK_UNLOCK: Option<(c_int, c_int)> = None;
/// `SHMSEG_REMOVED` of both kernels.
pub(crate) const SHM_DEST: u32 = 0o2000;
/// No such bit here.
pub(crate) const SHM_LOCKED: u32 = 0;
/// None of these advices exists here.
pub(crate) const MADV_WIPEONFORK: Option<c_int> = None;
/// As above.
pub(crate) const MADV_HUGEPAGE: Option<c_int> = None;
/// As above.
pub(crate) const MADV_POPULATE_READ: Option<c_int> = None;
/// As above.
pub(crate) const MADV_POPULATE_WRITE: Option<c_int> = None;
/// As above.
pub(crate) const MADV_COLD: Option<c_int> = None;

/// `SHM_STAT` does not exist on macOS and is for the Linux emulation only on FreeBSD.
pub(crate) fn shm_stat(_slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// `SHM_STAT_ANY` exists on neither.
pub(crate) fn shm_stat_any(_slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// No call says how much is in use.
pub(crate) fn usage() -> Result<[u64; 4], Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Nor can slots be walked.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    Err(Errno(libc::ENOSYS))
}

/// There are no IPC namespaces; FreeBSD's jails separate objects by other means.
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

/// When a process started. Two processes of one number differ in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessStart {
    /// Stays the same as long as the process lives, whatever becomes of the clock.
    pub(crate) mark_micros: u64,
    /// By the clock.
    pub(crate) since_1970_micros: u64,
}
