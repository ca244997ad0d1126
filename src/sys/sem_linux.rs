//! Semaphores on Linux: what the `libc` crate lacks.
//!
//! Numbers and layouts are those of `include/uapi/linux/sem.h` and the `sembuf.h` of each machine in the kernel's
//! sources; a test compares them with what a C compiler says on the machine that runs it.

use super::super::{Errno, check};
use super::{read_status, sembuf, semctl, semun};
pub(crate) use libc::{GETALL, GETNCNT, GETPID, GETVAL, GETZCNT, SETALL, SETVAL};
use std::ffi::c_int;
use std::mem;
use std::time::Duration;

#[cfg(target_env = "gnu")]
pub use libc::semid_ds;

/// `SEM_UNDO` as the 16-bit flag of a `sembuf`.
pub(crate) const SEM_UNDO: i16 = libc::SEM_UNDO as i16;

/// `struct semid_ds` of musl (`arch/*/bits/sem.h`), which the `libc` crate does not have.
#[cfg(all(not(target_env = "gnu"), target_pointer_width = "64"))]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct semid_ds {
    /// Owner, creator, mode.
    pub sem_perm: libc::ipc_perm,
    /// Last `semop`, in seconds since 1970; 0 for never.
    pub sem_otime: i64,
    #[cfg(target_arch = "x86_64")]
    unused_1: u64,
    /// Creation, `IPC_SET`, `SETVAL` or `SETALL`, whichever was last.
    pub sem_ctime: i64,
    #[cfg(target_arch = "x86_64")]
    unused_2: u64,
    /// How many semaphores. C declares 16 bits and padding; the kernel fills the word.
    pub sem_nsems: u64,
    unused_3: [u64; 2],
}

/// `struct semid_ds` of musl on 32-bit machines (`arch/*/bits/sem.h`), which the `libc` crate does not have.
///
/// The tail is what musl 1.2 fills in addition; older versions stop before it.
#[cfg(all(not(target_env = "gnu"), target_pointer_width = "32"))]
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct semid_ds {
    /// Owner, creator, mode.
    pub sem_perm: libc::ipc_perm,
    otime_low: u32,
    otime_high: u32,
    ctime_low: u32,
    ctime_high: u32,
    /// How many semaphores. C declares 16 bits and padding; the kernel fills the word.
    pub sem_nsems: u32,
    unused_3: [u32; 2],
    tail: [i64; 2],
}

/// `struct seminfo`: what `IPC_INFO` and `SEM_INFO` fill.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct seminfo {
    /// Not used by the kernel.
    pub semmap: c_int,
    /// Most sets in the IPC namespace.
    pub semmni: c_int,
    /// Most semaphores in the IPC namespace.
    pub semmns: c_int,
    /// Not used by the kernel.
    pub semmnu: c_int,
    /// Most semaphores of one set.
    pub semmsl: c_int,
    /// Most operations of one `semop`.
    pub semopm: c_int,
    /// Not used by the kernel.
    pub semume: c_int,
    /// With `SEM_INFO`: sets that exist. With `IPC_INFO`: not used by the kernel.
    pub semusz: c_int,
    /// The largest value of a semaphore.
    pub semvmx: c_int,
    /// With `SEM_INFO`: semaphores that exist. With `IPC_INFO`: not used by the kernel.
    pub semaem: c_int,
}

const _: () = {
    assert!(size_of::<seminfo>() == 40);
    assert!(mem::offset_of!(seminfo, semmsl) == 16);
    assert!(mem::offset_of!(seminfo, semvmx) == 32);
};
#[cfg(target_arch = "x86_64")]
const _: () = {
    assert!(size_of::<semid_ds>() == 104);
    assert!(mem::offset_of!(semid_ds, sem_otime) == 48);
    assert!(mem::offset_of!(semid_ds, sem_ctime) == 64);
    assert!(mem::offset_of!(semid_ds, sem_nsems) == 80);
};
#[cfg(target_arch = "aarch64")]
const _: () = {
    assert!(size_of::<semid_ds>() == 88);
    assert!(mem::offset_of!(semid_ds, sem_otime) == 48);
    assert!(mem::offset_of!(semid_ds, sem_ctime) == 56);
    assert!(mem::offset_of!(semid_ds, sem_nsems) == 64);
};

/// `semtimedop(id, operations, count, &timeout)`.
///
/// More seconds than a `time_t` holds count as the most it holds, which no process lives to see.
pub(crate) fn semtimedop(id: c_int, operations: &[sembuf], timeout: Duration) -> Result<(), Errno> {
    /// What the kernel reads on every machine: two 64-bit words, of which a 32-bit one ignores the padding.
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    let timeout = Timespec {
        seconds: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: i64::from(timeout.subsec_nanos()),
    };
    #[cfg(target_pointer_width = "64")]
    {
        unsafe extern "C" {
            /// Both C libraries have it; the `libc` crate does not declare it.
            fn semtimedop(
                semid: c_int,
                sops: *mut sembuf,
                nsops: libc::size_t,
                timeout: *const Timespec,
            ) -> c_int;
        }
        const _: () = assert!(size_of::<libc::timespec>() == size_of::<Timespec>());
        let first = operations.as_ptr().cast_mut();
        // SAFETY: operations and timeout live across the call, are as long as stated and are only read.
        check(unsafe { semtimedop(id, first, operations.len(), &raw const timeout) }).map(drop)
    }
    #[cfg(not(target_pointer_width = "64"))]
    {
        /// `semtimedop_time64`, Linux 5.1: which of its C functions takes 64-bit seconds depends on how a C library
        /// was built.
        const SEMTIMEDOP_TIME64: libc::c_long = if cfg!(target_arch = "mips") {
            4420
        } else {
            420
        };
        // SAFETY: operations and timeout live across the call, are as long as stated and are only read.
        let returned = unsafe {
            libc::syscall(
                SEMTIMEDOP_TIME64,
                id,
                operations.as_ptr(),
                operations.len(),
                &raw const timeout,
            )
        };
        check(returned as c_int).map(drop)
    }
}

/// What the system allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SemLimits {
    /// `SEMMNI`.
    pub(crate) sets: u64,
    /// `SEMMNS`.
    pub(crate) semaphores: u64,
    /// `SEMMSL`.
    pub(crate) per_set: u64,
    /// `SEMOPM`.
    pub(crate) operations: u64,
    /// `SEMVMX`.
    pub(crate) value: u64,
}

/// The limits, from `IPC_INFO`.
pub(crate) fn limits() -> Result<SemLimits, Errno> {
    let (info, _) = ipc_info()?;
    let number = |value: c_int| u64::from(value.unsigned_abs());
    Ok(SemLimits {
        sets: number(info.semmni),
        semaphores: number(info.semmns),
        per_set: number(info.semmsl),
        operations: number(info.semopm),
        value: number(info.semvmx),
    })
}

/// Sets and semaphores that exist, from `SEM_INFO`.
pub(crate) fn usage() -> Result<[u64; 2], Errno> {
    let (info, _) = sem_info()?;
    Ok([info.semusz, info.semaem].map(|number| u64::from(number.unsigned_abs())))
}

/// The highest slot in use, 0 also when none is.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    sem_info().map(|(_, highest)| highest)
}

/// `semctl(0, 0, IPC_INFO, &info)`. The second value is the highest slot in use, 0 also when none is.
pub(crate) fn ipc_info() -> Result<(seminfo, c_int), Errno> {
    read_info(libc::IPC_INFO)
}

/// `semctl(0, 0, SEM_INFO, &info)`. The second value is the highest slot in use, 0 also when none is.
pub(crate) fn sem_info() -> Result<(seminfo, c_int), Errno> {
    read_info(libc::SEM_INFO)
}

fn read_info(command: c_int) -> Result<(seminfo, c_int), Errno> {
    let mut value = seminfo::default();
    let info = &raw mut value;
    // SAFETY: both commands write one seminfo, which `value` is.
    let highest = unsafe { semctl(0, 0, command, semun { info }) }?;
    Ok((value, highest))
}

/// `semctl(slot, 0, SEM_STAT, &ds)`: the status and the id of the set in a slot. Needs read permission.
pub(crate) fn sem_stat(slot: c_int) -> Result<(semid_ds, c_int), Errno> {
    read_status(slot, libc::SEM_STAT)
}

/// `semctl(slot, 0, SEM_STAT_ANY, &ds)`: the same without the permission, Linux 4.17.
pub(crate) fn sem_stat_any(slot: c_int) -> Result<(semid_ds, c_int), Errno> {
    read_status(slot, libc::SEM_STAT_ANY)
}

/// Operation and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &semid_ds) -> [i64; 2] {
    #[cfg(all(not(target_env = "gnu"), target_pointer_width = "32"))]
    {
        let join = |high: u32, low: u32| (i64::from(high) << 32) | i64::from(low);
        [
            join(status.otime_high, status.otime_low),
            join(status.ctime_high, status.ctime_low),
        ]
    }
    #[cfg(not(all(not(target_env = "gnu"), target_pointer_width = "32")))]
    #[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets.
    [status.sem_otime as i64, status.sem_ctime as i64]
}
