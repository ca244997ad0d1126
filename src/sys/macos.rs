//! macOS: the same names as `linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of `bsd/kern/sysv_shm.c`, `bsd/sys/shm.h`, `bsd/kern/proc_info.c` and `bsd/sys/proc_info.h` in
//! the published XNU sources.

pub(crate) use super::bsd::*;
use super::{Errno, RawKey};
use libc::shmid_ds;
use std::ffi::c_int;
use std::mem;

/// macOS has no `SHM_REMAP`.
pub(crate) const SHM_REMAP: Option<c_int> = None;
/// An address never replaces what is mapped there.
pub(crate) const FLAGS_MAY_REPLACE: bool = false;

/// `SHMLBA`, in bytes.
pub(crate) fn shmlba() -> usize {
    libc::SHMLBA as usize
}

/// The key in the permissions of a status.
pub(crate) fn key(permissions: libc::ipc_perm) -> RawKey {
    // The struct is packed to four bytes here: fields are copied, never borrowed.
    permissions._key
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

/// When a process started, or `None` if no process that runs has this number: `proc_pidinfo(PROC_PIDTBSDINFO)`.
///
/// Fails with `EPERM` for another user's process where the kernel keeps that secret. Zombies are left out, as the
/// third argument is 0 (`proc_pidinfo` in `bsd/kern/proc_info.c`). The kernel stores the time once, by the clock of
/// then.
pub(crate) fn process_start(pid: c_int) -> Result<Option<ProcessStart>, Errno> {
    let mut info = mem::MaybeUninit::<libc::proc_bsdinfo>::zeroed();
    let len = size_of::<libc::proc_bsdinfo>() as c_int;
    let buffer = info.as_mut_ptr().cast();
    // SAFETY: the buffer is as long as stated.
    let filled = unsafe { libc::proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, buffer, len) };
    if filled <= 0 {
        return match Errno::last() {
            Errno(libc::ESRCH) => Ok(None),
            errno => Err(errno),
        };
    }
    if filled != len {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: zeros, then what the kernel wrote over them: integers.
    let info = unsafe { info.assume_init() };
    let since_1970_micros = info
        .pbi_start_tvsec
        .wrapping_mul(1_000_000)
        .wrapping_add(info.pbi_start_tvusec);
    Ok(Some(ProcessStart {
        mark_micros: since_1970_micros,
        since_1970_micros,
    }))
}

/// `PROC_PIDTBSDINFO` of `bsd/sys/proc_info.h`; older versions of the libc crate lack it.
const PROC_PIDTBSDINFO: c_int = 3;

// As that header lays it out: twelve words, 16 and 32 characters, six words, two times.
const _: () = assert!(size_of::<libc::proc_bsdinfo>() == 12 * 4 + 16 + 32 + 6 * 4 + 2 * 8);
