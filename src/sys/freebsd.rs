//! FreeBSD: the same names as `linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of shmget(2), shmat(2), shmctl(2) of FreeBSD 12.2 and `sys/kern/sysv_shm.c`.

pub(crate) use super::bsd::*;
use super::{Errno, RawKey};
use libc::shmid_ds;
use std::ffi::c_int;

/// `SHM_REMAP` of `sys/shm.h`; the libc crate lacks it.
///
/// Older headers said 030000, the same bits as `SHM_RDONLY | SHM_RND`, before the number became 040000. The newer one is the
/// safe choice: an old kernel ignores it and refuses the occupied address, whereas a new kernel would take the old number for a
/// read-only attach.
pub(crate) const SHM_REMAP: Option<c_int> = Some(0o40000);
/// Kernels whose `SHM_REMAP` is still 030000 take either bit of it, `SHM_RDONLY` or `SHM_RND`, for a wish to replace.
pub(crate) const FLAGS_MAY_REPLACE: bool = true;

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
