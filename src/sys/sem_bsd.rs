//! Semaphores on macOS and FreeBSD: the same names as `sem_linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of `bsd/sys/sem.h` and `bsd/kern/sysv_sem.c` of XNU and `sys/sys/sem.h` of FreeBSD, which share
//! the numbers.

use super::super::{Errno, os};
use super::sembuf;
pub use libc::semid_ds;
use std::ffi::{CStr, c_int};
use std::time::Duration;

/// `SEM_UNDO` as the 16-bit flag of a `sembuf`.
pub(crate) const SEM_UNDO: i16 = 0o10000;
/// `GETNCNT`; the libc crate has these for macOS only.
pub(crate) const GETNCNT: c_int = 3;
/// `GETPID`.
pub(crate) const GETPID: c_int = 4;
/// `GETVAL`.
pub(crate) const GETVAL: c_int = 5;
/// `GETALL`.
pub(crate) const GETALL: c_int = 6;
/// `GETZCNT`.
pub(crate) const GETZCNT: c_int = 7;
/// `SETVAL`.
pub(crate) const SETVAL: c_int = 8;
/// `SETALL`.
pub(crate) const SETALL: c_int = 9;

/// These systems have no `semtimedop`. Nothing stands in for it: a polling loop would be unfair to those who sleep
/// in `semop`.
pub(crate) fn semtimedop(
    _id: c_int,
    _operations: &[sembuf],
    _timeout: Duration,
) -> Result<(), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// What the system allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SemLimits {
    /// `semmni`.
    pub(crate) sets: u64,
    /// `semmns`.
    pub(crate) semaphores: u64,
    /// `semmsl`.
    pub(crate) per_set: u64,
    /// `semopm`.
    pub(crate) operations: u64,
    /// `SEMVMX`: 32767 on both systems.
    pub(crate) value: u64,
}

/// The limits: `kern.sysv.*` on macOS, `kern.ipc.*` on FreeBSD.
pub(crate) fn limits() -> Result<SemLimits, Errno> {
    #[cfg(target_os = "macos")]
    let [sets, semaphores, per_set]: [&CStr; 3] = [
        c"kern.sysv.semmni",
        c"kern.sysv.semmns",
        c"kern.sysv.semmsl",
    ];
    #[cfg(target_os = "freebsd")]
    let [sets, semaphores, per_set]: [&CStr; 3] =
        [c"kern.ipc.semmni", c"kern.ipc.semmns", c"kern.ipc.semmsl"];
    // XNU has no name to ask by; its kernel takes MAX_SOPS operations, which is 5.
    #[cfg(target_os = "macos")]
    let operations = 5;
    #[cfg(target_os = "freebsd")]
    let operations = os::sysctl(c"kern.ipc.semopm")?;
    Ok(SemLimits {
        sets: os::sysctl(sets)?,
        semaphores: os::sysctl(semaphores)?,
        per_set: os::sysctl(per_set)?,
        operations,
        value: 32767,
    })
}

/// No call here says how much is in use.
pub(crate) fn usage() -> Result<[u64; 2], Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Nor can slots be walked.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    Err(Errno(libc::ENOSYS))
}

/// `SEM_STAT` is not for programs here.
pub(crate) fn sem_stat(_slot: c_int) -> Result<(semid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// `SEM_STAT_ANY` does not exist here.
pub(crate) fn sem_stat_any(_slot: c_int) -> Result<(semid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Operation and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &semid_ds) -> [i64; 2] {
    #[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets.
    [status.sem_otime as i64, status.sem_ctime as i64]
}
