//! What fails about semaphores: the calls in words, the causes, the advice.
//!
//! The tables are those of semget(2), semop(2) and semctl(2) of the Linux manual pages 6.03, checked on Linux 6.18.
//! As for segments, the question why may be asked a moment too late; the kind then falls back to the likeliest one.

mod call;
mod hint;

pub(super) use call::SemctlArguments;
pub(crate) use call::{SemctlCommand, SemopCall};
pub(crate) use hint::SetHint;

use super::hint::Hint;
use super::kind::ErrorKind;
use crate::sys::{RawKey, process, sem};
use hint::SetFacts;
use std::ffi::c_int;

/// `semget`.
pub(in crate::error) fn semget(
    key: RawKey,
    asked: c_int,
    flags: c_int,
    errno: i32,
) -> (ErrorKind, Hint) {
    match errno {
        libc::ENOENT => (
            ErrorKind::NotFound,
            Hint::Text(
                "start the program that creates the set first, or create it here; both sides must use the same key (an ftok key changes when its file is replaced) and the same IPC namespace (containers have their own)",
            ),
        ),
        libc::EEXIST => (
            ErrorKind::AlreadyExists,
            by_key(key).map_or(Hint::None, |facts| Hint::Set(SetHint::Exists(facts))),
        ),
        libc::EACCES => (
            ErrorKind::PermissionDenied,
            denied(
                by_key(key),
                "the mode bits passed when opening are checked against the set's mode, all of them; pass none to leave the check to the operations",
            ),
        ),
        libc::EINVAL => semget_einval(key, asked, flags),
        libc::ENOSPC => semget_enospc(asked),
        libc::ENOMEM => (
            ErrorKind::OutOfMemory,
            Hint::Text("the kernel has no memory for so many semaphores"),
        ),
        libc::EPERM => (
            ErrorKind::Unsupported,
            Hint::Text(
                "no System V rule gives EPERM here, so a sandbox (seccomp) is the likely cause",
            ),
        ),
        _ => (ErrorKind::Other, Hint::None),
    }
}

/// `EINVAL` from semget: either the existing set has fewer semaphores or the count is out of range.
fn semget_einval(key: RawKey, asked: c_int, flags: c_int) -> (ErrorKind, Hint) {
    if let Some(facts) = by_key(key) {
        if u64::try_from(asked).is_ok_and(|asked| asked > facts.semaphores) {
            return (
                ErrorKind::LargerThanSet,
                Hint::Set(SetHint::Fewer { asked, facts }),
            );
        }
    }
    let creating = flags & libc::IPC_CREAT != 0 || key == libc::IPC_PRIVATE;
    let max = sem::limits().map(|limits| limits.per_set);
    let out_of_range = asked < 0
        || (asked == 0 && creating)
        || max.is_ok_and(|max| u64::from(asked.unsigned_abs()) > max);
    if out_of_range {
        let hint = max.map_or(Hint::None, |max| Hint::Set(SetHint::PerSet { max }));
        return (ErrorKind::CountOutOfRange, hint);
    }
    // The set that was too small is gone by now, or may not be looked at.
    (ErrorKind::LargerThanSet, Hint::None)
}

/// `ENOSPC` from semget: as many sets, or as many semaphores, as allowed.
fn semget_enospc(asked: c_int) -> (ErrorKind, Hint) {
    match (sem::limits(), sem::usage()) {
        (Ok(limits), Ok([sets, semaphores])) => {
            if sets < limits.sets {
                let hint = SetHint::SemaphoresFull {
                    max: limits.semaphores,
                    used: semaphores,
                    asked,
                };
                return (ErrorKind::SemaphoreLimit, Hint::Set(hint));
            }
            let hint = SetHint::SetsFull {
                max: limits.sets,
                used: sets,
            };
            (ErrorKind::SetLimit, Hint::Set(hint))
        }
        _ => (
            ErrorKind::SetLimit,
            Hint::Text(
                "no disk is involved: as many sets or semaphores exist as the system allows; remove unused sets (`ipcs -s`, `ipcrm -s ID`)",
            ),
        ),
    }
}

/// `semop` and `semtimedop`.
pub(in crate::error) fn semop(call: &SemopCall, errno: i32) -> (ErrorKind, Hint) {
    match errno {
        libc::EAGAIN if call.timeout.is_none() || call.no_wait => {
            (ErrorKind::WouldBlock, Hint::None)
        }
        libc::EAGAIN => (ErrorKind::TimedOut, Hint::None),
        libc::EINTR => (ErrorKind::Interrupted, Hint::None),
        libc::EIDRM => (
            ErrorKind::Removed,
            Hint::Text(
                "another process removed the whole set and so ended every wait on it (IPC_RMID is immediate for semaphores, unlike segments); nothing was acquired: look the key up again, or end as well",
            ),
        ),
        libc::EACCES => (
            ErrorKind::PermissionDenied,
            denied(
                by_id(call.id),
                "operations need the write bit of the mode, waiting for zero the read bit",
            ),
        ),
        libc::E2BIG => (
            ErrorKind::TooManyOperations,
            sem::limits().map_or(Hint::None, |limits| {
                Hint::Set(SetHint::Operations {
                    max: limits.operations,
                })
            }),
        ),
        libc::EFBIG => (ErrorKind::NoSuchSemaphore, missing(call.id)),
        libc::ERANGE => (ErrorKind::ValueOutOfRange, value_range()),
        libc::EINVAL if call.len == 0 => (
            ErrorKind::InvalidInput,
            Hint::Text("a list has at least one operation"),
        ),
        // XNU and FreeBSD say EINVAL for a semaphore that is not there.
        libc::EINVAL if lacks(call.id, u64::from(call.highest)) => {
            (ErrorKind::NoSuchSemaphore, missing(call.id))
        }
        libc::EINVAL => (ErrorKind::NoSuchSet, Hint::Text(GONE)),
        libc::ENOMEM | libc::ENOSPC if call.undo => (
            ErrorKind::OutOfMemory,
            Hint::Text("the kernel has no room to remember what SEM_UNDO would have to undo"),
        ),
        libc::ENOMEM => (ErrorKind::OutOfMemory, Hint::None),
        _ => (ErrorKind::Other, Hint::None),
    }
}

const GONE: &str =
    "the set was removed, or the id belongs to another IPC namespace; look the id up again by key";

/// `semctl`.
pub(in crate::error) fn semctl(
    id: c_int,
    semaphore: c_int,
    command: SemctlCommand,
    errno: i32,
) -> (ErrorKind, Hint) {
    match (command, errno) {
        (_, libc::EIDRM) => (ErrorKind::NoSuchSet, Hint::Text(GONE)),
        (_, libc::EACCES) => (
            ErrorKind::PermissionDenied,
            denied(
                by_id(id),
                "reading needs the read bit of the mode, setting values the write bit",
            ),
        ),
        (SemctlCommand::Set { uid, gid, .. }, libc::EINVAL)
            if uid == u32::MAX || gid == u32::MAX =>
        {
            (
                ErrorKind::InvalidInput,
                Hint::Text("-1 is no user or group id; give the current one to keep it"),
            )
        }
        #[cfg(target_os = "linux")]
        (SemctlCommand::SlotStatus | SemctlCommand::SlotStatusAny, libc::EINVAL) => {
            (ErrorKind::NoSuchSet, Hint::Text("this slot is empty"))
        }
        (_, libc::EINVAL) if names_no_semaphore(id, semaphore) => {
            (ErrorKind::NoSuchSemaphore, missing(id))
        }
        (_, libc::EINVAL) => (ErrorKind::NoSuchSet, Hint::Text(GONE)),
        (_, libc::EPERM) => (
            ErrorKind::NotOwner,
            by_id(id).map_or(Hint::Text("see who owns it with `ipcs -s -c`"), |facts| {
                let euid = process::effective_uid();
                Hint::Set(SetHint::NotOwner { facts, euid })
            }),
        ),
        (SemctlCommand::SetValues { len }, libc::ERANGE) if lacks_values(id, len) => {
            (ErrorKind::NoSuchSet, Hint::Text(GONE))
        }
        (_, libc::ERANGE) => (ErrorKind::ValueOutOfRange, value_range()),
        (_, libc::ENOMEM) => (ErrorKind::OutOfMemory, Hint::None),
        _ => (ErrorKind::Other, Hint::None),
    }
}

fn names_no_semaphore(id: c_int, semaphore: c_int) -> bool {
    u64::try_from(semaphore).map_or_else(|_| by_id(id).is_some(), |semaphore| lacks(id, semaphore))
}

/// Whether the set exists and has no semaphore of this number.
fn lacks(id: c_int, semaphore: u64) -> bool {
    by_id(id).is_some_and(|facts| semaphore >= facts.semaphores)
}

/// Whether the set has more semaphores than values were given: then the id names another one than its user thinks.
fn lacks_values(id: c_int, len: usize) -> bool {
    by_id(id).is_some_and(|facts| facts.semaphores > len as u64)
}

fn missing(id: c_int) -> Hint {
    by_id(id).map_or(Hint::None, |facts| Hint::Set(SetHint::Missing { facts }))
}

fn value_range() -> Hint {
    let max = sem::limits().map_or(32767, |limits| limits.value);
    Hint::Set(SetHint::Value { max })
}

/// What can be seen of the set under `key`.
fn by_key(key: RawKey) -> Option<SetFacts> {
    if key == libc::IPC_PRIVATE {
        // semget would create one.
        return None;
    }
    by_id(sem::semget(key, 0, 0).ok()?)
}

/// What can be seen of set `id`: with `IPC_STAT`, else with `SEM_STAT_ANY`, which needs no permission.
fn by_id(id: c_int) -> Option<SetFacts> {
    let status = match sem::semctl_stat(id) {
        Ok(status) => status,
        Err(_) => match sem::sem_stat_any(id) {
            // The kernel takes the slot out of the id and ignores the rest: the answer may be about another set.
            Ok((status, found)) if found == id => status,
            _ => return None,
        },
    };
    let permissions = status.sem_perm;
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // Widths differ by target.
    Some(SetFacts {
        id,
        semaphores: status.sem_nsems as u64,
        mode: u32::from(permissions.mode) & 0o777,
        uid: permissions.uid,
        gid: permissions.gid,
        creator_uid: permissions.cuid,
    })
}

fn denied(facts: Option<SetFacts>, fallback: &'static str) -> Hint {
    facts.map_or(Hint::Text(fallback), |facts| {
        let euid = process::effective_uid();
        Hint::Set(SetHint::Denied { facts, euid })
    })
}

impl Hint {
    /// For a set that another user created: says who.
    pub(crate) fn foreign_set(id: c_int) -> Self {
        by_id(id).map_or(Self::None, |facts| {
            let euid = process::effective_uid();
            Self::Set(SetHint::Foreign { facts, euid })
        })
    }

    /// For a value or count beyond `SEMVMX`.
    pub(crate) fn value_range() -> Self {
        value_range()
    }
}
