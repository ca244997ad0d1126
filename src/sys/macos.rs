//! macOS: the same names as `linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of `bsd/kern/sysv_shm.c` and `bsd/sys/shm.h` in the published XNU sources.

pub(crate) use super::bsd::*;
use super::{Errno, RawKey};
use libc::shmid_ds;
use std::ffi::c_int;

/// macOS has no `SHM_REMAP`.
pub(crate) const SHM_REMAP: Option<c_int> = None;
/// An address never replaces what is mapped there.
pub(crate) const FLAGS_MAY_REPLACE: bool = false;

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
