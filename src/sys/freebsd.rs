//! FreeBSD: the same names as `linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of shmget(2), shmat(2), shmctl(2), sysctl(3) of FreeBSD 12.2, `sys/kern/sysv_shm.c` and
//! `sys/kern/kern_proc.c`.

pub(crate) use super::bsd::*;
use super::{Errno, RawKey, check};
use libc::shmid_ds;
use std::ffi::c_int;
use std::{mem, ptr};

/// `SHM_REMAP` of `sys/shm.h`; the libc crate lacks it.
///
/// Older headers said 030000, the same bits as `SHM_RDONLY | SHM_RND`, before the number became 040000. The newer
/// one is the safe choice: an old kernel ignores it and refuses the occupied address, whereas a new kernel would
/// take the old number for a read-only attach.
pub(crate) const SHM_REMAP: Option<c_int> = Some(0o40000);
/// Kernels whose `SHM_REMAP` is still 030000 take either bit of it, `SHM_RDONLY` or `SHM_RND`, for a wish to
/// replace.
pub(crate) const FLAGS_MAY_REPLACE: bool = true;

/// `SHMLBA`, in bytes: the page size.
pub(crate) fn shmlba() -> usize {
    super::process::page_size()
}

/// The key in the permissions of a status.
pub(crate) fn key(permissions: libc::ipc_perm) -> RawKey {
    permissions.key
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

/// When a process started, or `None` if no process that runs has this number: `sysctl(KERN_PROC_PID)`.
///
/// `fill_kinfo_proc_only` in `sys/kern/kern_proc.c` adds the time of boot to the start, which the kernel keeps
/// relative to boot; and the time of boot moves when somebody sets the clock. So it is asked as well, before and
/// after.
pub(crate) fn process_start(pid: c_int) -> Result<Option<ProcessStart>, Errno> {
    // Once in a while somebody sets the clock in between; nobody does nothing else.
    for _ in 0..100 {
        let before = boot_time_micros()?;
        let process = match sysctl_mib::<libc::kinfo_proc>(&mut process_mib(pid)) {
            Ok(process) => process,
            Err(Errno(libc::ESRCH)) => None,
            Err(errno) => return Err(errno),
        };
        let Some(process) = process else {
            return Ok(None);
        };
        if process.ki_pid != pid || process.ki_stat == libc::SZOMB {
            return Ok(None);
        }
        let since_1970_micros = micros(process.ki_start);
        if boot_time_micros()? == before {
            return Ok(Some(ProcessStart {
                mark_micros: since_1970_micros.wrapping_sub(before),
                since_1970_micros,
            }));
        }
    }
    Err(Errno(libc::EAGAIN))
}

fn process_mib(pid: c_int) -> [c_int; 4] {
    [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, pid]
}

/// `sysctl(KERN_BOOTTIME)`.
fn boot_time_micros() -> Result<u64, Errno> {
    let time = sysctl_mib::<libc::timeval>(&mut [libc::CTL_KERN, libc::KERN_BOOTTIME])?;
    time.map(micros).ok_or(Errno(libc::EINVAL))
}

fn micros(time: libc::timeval) -> u64 {
    #[allow(clippy::unnecessary_cast)] // Both are 32 bits wide on i386.
    let (seconds, micros) = (time.tv_sec as u64, time.tv_usec as u64);
    seconds.wrapping_mul(1_000_000).wrapping_add(micros)
}

/// `sysctl(mib)` for a plain struct; `None` if there is nothing to tell.
///
/// `T` is a struct of integers and pointers, of which any bytes are a value.
fn sysctl_mib<T: Copy>(mib: &mut [c_int]) -> Result<Option<T>, Errno> {
    let mut value = mem::MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>();
    let old = value.as_mut_ptr().cast();
    let (name, name_len) = (mib.as_mut_ptr(), mib.len() as libc::c_uint);
    // SAFETY: `value` is as long as `len` says, the name as long as stated.
    check(unsafe { libc::sysctl(name, name_len, old, &raw mut len, ptr::null_mut(), 0) })?;
    match len {
        0 => Ok(None),
        // SAFETY: zeros, then whatever the kernel wrote over them: integers and pointers, of which any bits are
        // valid.
        len if len == size_of::<T>() => Ok(Some(unsafe { value.assume_init() })),
        // Another struct than ours: nothing is known, least of all that there is nothing.
        _ => Err(Errno(libc::EINVAL)),
    }
}
