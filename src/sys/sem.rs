//! `semget`, `semop`, `semtimedop` and `semctl`, as semget(2), semop(2) and semctl(2) describe them.

use super::{Errno, RawKey, check, permissions};
pub(crate) use sem_os::{
    SEM_UNDO, highest_slot, limits, sem_stat, sem_stat_any, semtimedop, times, usage,
};
#[cfg(target_os = "linux")]
pub(crate) use sem_os::{ipc_info, sem_info};
// Shown to users by `raw`.
pub use sem_os::semid_ds;
#[cfg(target_os = "linux")]
pub use sem_os::seminfo;
use sem_values::Values;
use std::ffi::{c_int, c_ushort};
use std::mem;

pub(crate) use libc::sembuf;

#[path = "sem_values.rs"]
mod sem_values;

#[cfg(any(target_os = "macos", target_os = "freebsd"))]
#[path = "sem_bsd.rs"]
mod sem_os;
#[cfg(target_os = "linux")]
#[path = "sem_linux.rs"]
mod sem_os;

/// `IPC_NOWAIT` as the 16-bit flag of a `sembuf`.
pub(crate) const IPC_NOWAIT: i16 = libc::IPC_NOWAIT as i16;

/// The fourth argument of `semctl`, which C makes every program declare for itself.
///
/// It is passed by value: on some machines a union travels differently from the integer or pointer inside it.
#[repr(C)]
#[derive(Clone, Copy)]
union semun {
    val: c_int,
    buf: *mut semid_ds,
    array: *mut c_ushort,
    #[cfg(target_os = "linux")]
    info: *mut seminfo,
}

const _: () = {
    assert!(size_of::<semun>() == size_of::<*mut semid_ds>());
    assert!(size_of::<sembuf>() == 6);
    assert!(mem::offset_of!(sembuf, sem_op) == 2);
    assert!(mem::offset_of!(sembuf, sem_flg) == 4);
};

/// No semaphore has this value: `SEMVMX` is 32767.
const NO_VALUE: c_ushort = c_ushort::MAX;

/// `semget(key, semaphores, flags)`.
pub(crate) fn semget(key: RawKey, semaphores: c_int, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: semget takes plain numbers and touches no memory of this process.
    check(unsafe { libc::semget(key, semaphores, flags) })
}

/// `semop(id, operations, count)`.
#[inline]
pub(crate) fn semop(id: c_int, operations: &[sembuf]) -> Result<(), Errno> {
    // C declares the array mutable, but no system writes to it.
    let first = operations.as_ptr().cast_mut();
    // SAFETY: `first` points to as many operations as stated, which are only read.
    check(unsafe { libc::semop(id, first, operations.len()) }).map(drop)
}

/// `semctl(id, 0, IPC_RMID)`. Async-signal-safe on every system of this crate: one system call, no allocation, no
/// lock.
pub(crate) fn semctl_rmid(id: c_int) -> Result<(), Errno> {
    // SAFETY: IPC_RMID reads no argument.
    unsafe { semctl(id, 0, libc::IPC_RMID, semun { val: 0 }) }.map(drop)
}

/// `semctl(id, 0, IPC_STAT, &ds)`.
pub(crate) fn semctl_stat(id: c_int) -> Result<semid_ds, Errno> {
    read_status(id, libc::IPC_STAT).map(|(status, _)| status)
}

/// `semctl(id, 0, IPC_SET, &ds)`: takes uid, gid and the nine mode bits of `status` and nothing else.
pub(crate) fn semctl_set(id: c_int, status: &semid_ds) -> Result<(), Errno> {
    let mut copy = *status;
    let buf = &raw mut copy;
    // SAFETY: `copy` is a whole semid_ds and lives across the call.
    unsafe { semctl(id, 0, libc::IPC_SET, semun { buf }) }.map(drop)
}

/// `IPC_SET` from its three values.
pub(crate) fn semctl_set_permissions(
    id: c_int,
    uid: u32,
    gid: u32,
    mode: u32,
) -> Result<(), Errno> {
    let mut status = empty_status();
    status.sem_perm = permissions(status.sem_perm, uid, gid, mode);
    semctl_set(id, &status)
}

/// A command that answers with a number and takes no argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// `GETVAL`.
    Value,
    /// `GETPID`.
    LastPid,
    /// `GETNCNT`.
    WaitingForIncrease,
    /// `GETZCNT`.
    WaitingForZero,
}

/// `semctl(id, semaphore, GETVAL)` and its kin.
pub(crate) fn semctl_ask(id: c_int, semaphore: c_int, question: Question) -> Result<c_int, Errno> {
    let command = match question {
        Question::Value => sem_os::GETVAL,
        Question::LastPid => sem_os::GETPID,
        Question::WaitingForIncrease => sem_os::GETNCNT,
        Question::WaitingForZero => sem_os::GETZCNT,
    };
    // SAFETY: these commands read no argument.
    unsafe { semctl(id, semaphore, command, semun { val: 0 }) }
}

/// `semctl(id, semaphore, SETVAL, value)`.
pub(crate) fn semctl_setval(id: c_int, semaphore: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: SETVAL takes a number.
    unsafe { semctl(id, semaphore, sem_os::SETVAL, semun { val: value }) }.map(drop)
}

/// `semctl(id, 0, GETALL, array)`: all values of the set, as of one moment. `EIDRM` where the id came to name another,
/// larger set meanwhile.
///
/// The kernel writes as many values as the set has; no argument says how long the array is. `IPC_STAT` says how many,
/// and a set never changes its number. But an id is used again after some million creations, and the thread may be
/// stopped for that long between the two calls; [`Values`] ends at inaccessible memory, so the kernel stops there.
pub(crate) fn semctl_getall(id: c_int) -> Result<Vec<u16>, Errno> {
    #[allow(clippy::unnecessary_cast)] // 16 to 64 bits wide.
    let mut values = Values::new(semctl_stat(id)?.sem_nsems as usize)?;
    values.as_mut_slice().fill(NO_VALUE);
    let array = values.as_mut_ptr();
    // SAFETY: the memory after the array is inaccessible, so whatever the set has, nothing else is overwritten.
    unsafe { semctl(id, 0, sem_os::GETALL, semun { array }) }.map_err(beyond(libc::EIDRM))?;
    let all = values.as_mut_slice();
    let written = all.iter().position(|&value| value == NO_VALUE);
    let all = &all[..written.unwrap_or(all.len())];
    let mut copy = Vec::new();
    copy.try_reserve_exact(all.len())
        .map_err(|_| Errno(libc::ENOMEM))?;
    copy.extend_from_slice(all);
    Ok(copy)
}

/// `semctl(id, 0, SETALL, array)`. `ERANGE`, and nothing set, where the set has more semaphores than there are values.
///
/// The kernel reads as many values as the set has, before it sets the first (`semctl_main` in ipc/sem.c).
pub(crate) fn semctl_setall(id: c_int, values: &[u16]) -> Result<(), Errno> {
    let mut copy = Values::new(values.len())?;
    copy.as_mut_slice().copy_from_slice(values);
    let array = copy.as_mut_ptr();
    // SAFETY: the array is only read, and the memory after it is inaccessible.
    unsafe { semctl(id, 0, sem_os::SETALL, semun { array }) }
        .map_err(beyond(libc::ERANGE))
        .map(drop)
}

/// What it means that the kernel came to the end of [`Values`].
fn beyond(meaning: c_int) -> impl Fn(Errno) -> Errno {
    move |errno| match errno.0 {
        libc::EFAULT => Errno(meaning),
        _ => errno,
    }
}

/// A command that fills a `semid_ds`: `IPC_STAT`, `SEM_STAT` or `SEM_STAT_ANY`. The second value is what the call
/// returned.
fn read_status(id: c_int, command: c_int) -> Result<(semid_ds, c_int), Errno> {
    let mut status = empty_status();
    let buf = &raw mut status;
    // SAFETY: all three commands write at most one semid_ds, which `status` is.
    let returned = unsafe { semctl(id, 0, command, semun { buf }) }?;
    Ok((status, returned))
}

/// A `semid_ds` of zero bytes.
pub(crate) fn empty_status() -> semid_ds {
    // SAFETY: the struct holds integers, and on FreeBSD one pointer that may be null: all zeros is a value of it.
    unsafe { mem::zeroed() }
}

/// `semctl(id, semaphore, command, argument)`.
///
/// # Safety
///
/// `argument` holds what `command` expects; a pointer leads to as much memory as the command reads or writes.
unsafe fn semctl(
    id: c_int,
    semaphore: c_int,
    command: c_int,
    argument: semun,
) -> Result<c_int, Errno> {
    // SAFETY: the caller answers for command and argument.
    check(unsafe { libc::semctl(id, semaphore, command, argument) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set of its own, removed when the test ends, however it ends.
    struct Set(c_int);

    impl Set {
        fn new(semaphores: c_int) -> Self {
            Self(semget(libc::IPC_PRIVATE, semaphores, libc::IPC_CREAT | 0o600).unwrap())
        }
    }

    impl Drop for Set {
        fn drop(&mut self) {
            let _ = semctl_rmid(self.0);
        }
    }

    #[test]
    fn an_id_whose_set_turned_out_larger_neither_overflows_nor_sets_a_part() {
        // What an id that changed hands would look like: the caller knows of 2 semaphores, the kernel has 5.
        let set = Set::new(5);
        assert_eq!(semctl_setall(set.0, &[1, 2]), Err(Errno(libc::ERANGE)));
        assert_eq!(semctl_getall(set.0).unwrap(), [0; 5]);
        let mut two = Values::new(2).unwrap();
        let array = two.as_mut_ptr();
        // SAFETY: the memory after the array is inaccessible.
        let answer = unsafe { semctl(set.0, 0, sem_os::GETALL, semun { array }) };
        assert_eq!(answer.map_err(beyond(libc::EIDRM)), Err(Errno(libc::EIDRM)));
        semctl_setall(set.0, &[1, 2, 3, 4, 32767]).unwrap();
        assert_eq!(semctl_getall(set.0).unwrap(), [1, 2, 3, 4, 32767]);
    }
}
