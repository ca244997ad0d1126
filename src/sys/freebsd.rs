//! FreeBSD: the same names as `linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of shmget(2), shmat(2), shmctl(2) of FreeBSD 12.2 and `sys/kern/sysv_shm.c`.

use super::{Errno, RawKey, check};
use libc::shmid_ds;
use std::ffi::{CStr, c_int};
use std::ptr;

/// FreeBSD has no huge page flag for shmget.
pub(crate) const SHM_HUGETLB: Option<c_int> = None;
/// Nor this one.
pub(crate) const SHM_NORESERVE: Option<c_int> = None;
/// Where Linux keeps the size code; unused here because [`SHM_HUGETLB`] is absent.
pub(crate) const SHM_HUGE_SHIFT: u32 = 26;
/// As above.
pub(crate) const SHM_HUGE_MASK: u32 = 0x3f;
/// `SHM_REMAP` of `sys/shm.h`; the libc crate lacks it.
///
/// Older headers said 030000, the same bits as `SHM_RDONLY | SHM_RND`, before the number became 040000. The newer one is the
/// safe choice: an old kernel ignores it and refuses the occupied address, whereas a new kernel would take the old number for a
/// read-only attach.
pub(crate) const SHM_REMAP: Option<c_int> = Some(0o40000);
/// FreeBSD has no `SHM_EXEC`.
pub(crate) const SHM_EXEC: Option<c_int> = None;
/// Kernels whose `SHM_REMAP` is still 030000 take either bit of it, `SHM_RDONLY` or `SHM_RND`, for a wish to replace.
pub(crate) const FLAGS_MAY_REPLACE: bool = true;
/// Compiled out of FreeBSD's kernel: both commands are `EINVAL`.
pub(crate) const SHM_LOCK_UNLOCK: Option<(c_int, c_int)> = None;
/// `SHMSEG_REMOVED` of the kernel.
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

/// `SHMLBA`, in bytes: the page size.
pub(crate) fn shmlba() -> usize {
    super::process::page_size()
}

/// The key in a status.
pub(crate) fn key(status: &shmid_ds) -> RawKey {
    status.shm_perm.key
}

/// Attach, detach and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &shmid_ds) -> [i64; 3] {
    #[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on i386.
    [
        status.shm_atime as i64,
        status.shm_dtime as i64,
        status.shm_ctime as i64,
    ]
}

/// Most bytes of one segment, most segments, most pages in all: `kern.ipc.*`.
pub(crate) fn limits() -> Result<(u64, u64, u64), Errno> {
    Ok((
        sysctl(c"kern.ipc.shmmax")?,
        sysctl(c"kern.ipc.shmmni")?,
        sysctl(c"kern.ipc.shmall")?,
    ))
}

/// `SHM_STAT` is for the Linux emulation only.
pub(crate) fn shm_stat(_slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// `SHM_STAT_ANY` does not exist here.
pub(crate) fn shm_stat_any(_slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Jails separate System V objects by other means than a namespace one could ask for.
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
