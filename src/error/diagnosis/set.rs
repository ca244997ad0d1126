//! What only semaphore sets have: counts, values, operations.

use super::other::{Diagnosis, other};
use crate::error::call::{Asked, Command, SemopCall};
use crate::error::hint::Hint;
use crate::error::kind::ErrorKind;
use crate::error::object::Object;
use crate::error::words;
use crate::sys::sem;
use std::ffi::c_int;

/// `semget`, as far as it differs from its kin.
pub(super) fn get(errno: i32) -> Option<Diagnosis> {
    let diagnosis = (ErrorKind::OutOfMemory, Hint::Text(words::SEMAPHORE_MEMORY));
    (errno == libc::ENOMEM).then_some(diagnosis)
}

/// Why `semget` does not create or find so many semaphores.
pub(super) fn out_of_range(asked: c_int, creating: bool) -> Option<Diagnosis> {
    let max = sem::limits().map_or(u64::MAX, |limits| limits.per_set);
    if u64::try_from(asked).is_ok_and(|asked| asked <= max && (asked > 0 || !creating)) {
        return None;
    }
    let hint = Hint::Numbers([max, 0, 0, 0], |f, [max, ..]| {
        write!(
            f,
            "a new set has 1 to {max} semaphores here (SEMMSL, the first number of /proc/sys/kernel/sem on Linux)"
        )
    });
    Some((ErrorKind::CountOutOfRange, hint))
}

/// All sets together have too many semaphores.
pub(super) fn total(asked: Asked) -> Diagnosis {
    let hint = match (asked.amount(), sem::limits(), sem::usage()) {
        (Some(asked), Ok(limits), Ok([_, used])) => Hint::Numbers(
            [limits.semaphores, used, asked, 0],
            |f, [max, used, asked, _]| {
                let room = Object::Set.table().make_room;
                write!(
                    f,
                    "{used} semaphores exist, {asked} were asked for and {max} are allowed (SEMMNS, the second number of /proc/sys/kernel/sem); {room}"
                )
            },
        ),
        _ => Hint::None,
    };
    (ErrorKind::SemaphoreLimit, hint)
}

/// `semop` and `semtimedop`.
pub(super) fn operate(call: &SemopCall, errno: i32) -> Diagnosis {
    let object = Object::Set;
    match errno {
        libc::EAGAIN if call.timeout.is_none() || call.no_wait => {
            (ErrorKind::WouldBlock, Hint::None)
        }
        libc::EAGAIN => (ErrorKind::TimedOut, Hint::None),
        libc::EIDRM => (ErrorKind::Removed, Hint::Text(words::SET_REMOVED)),
        libc::EACCES => {
            let hint = Hint::denied(object.by_id(call.id), words::OPERATION_BITS);
            (ErrorKind::PermissionDenied, hint)
        }
        libc::E2BIG => {
            let max = sem::limits().map_or(0, |limits| limits.operations);
            let hint = Hint::Numbers([max, 0, 0, 0], |f, [max, ..]| {
                write!(
                    f,
                    "one call takes up to {max} operations here (SEMOPM, the third number of /proc/sys/kernel/sem on Linux)"
                )
            });
            (ErrorKind::TooManyOperations, hint)
        }
        libc::EFBIG => no_such_semaphore(call.id),
        libc::ERANGE => (ErrorKind::ValueOutOfRange, Hint::value_range()),
        libc::EINVAL if call.len == 0 => (ErrorKind::InvalidInput, Hint::Text(words::NO_OPERATION)),
        // XNU and FreeBSD say EINVAL for a semaphore that is not there.
        libc::EINVAL if lacks(call.id, c_int::from(call.highest)) => no_such_semaphore(call.id),
        libc::EINVAL => (ErrorKind::NoSuchSet, Hint::gone(object)),
        libc::ENOMEM | libc::ENOSPC if call.undo => {
            (ErrorKind::OutOfMemory, Hint::Text(words::UNDO_MEMORY))
        }
        _ => other(errno),
    }
}

/// `semctl`, as far as it differs from its kin.
pub(super) fn control(id: c_int, command: Command, errno: i32) -> Option<Diagnosis> {
    match (command, errno) {
        (_, libc::EINVAL) if command.semaphore().is_some_and(|one| lacks(id, one)) => {
            Some(no_such_semaphore(id))
        }
        // The set has more semaphores than values were given: the id names another one than its user thinks.
        (Command::SetValues(len), libc::ERANGE)
            if Object::Set
                .by_id(id)
                .is_some_and(|facts| facts.amount > len as u64) =>
        {
            Some((ErrorKind::NoSuchSet, Hint::gone(Object::Set)))
        }
        (_, libc::ERANGE) => Some((ErrorKind::ValueOutOfRange, Hint::value_range())),
        _ => None,
    }
}

/// Whether the set exists and has no semaphore of this number.
fn lacks(id: c_int, semaphore: c_int) -> bool {
    let has = |len: u64| u64::try_from(semaphore).is_ok_and(|one| one < len);
    let facts = Object::Set.by_id(id);
    facts.is_some_and(|facts| !has(facts.amount))
}

fn no_such_semaphore(id: c_int) -> Diagnosis {
    let hint = Object::Set.by_id(id).map_or(Hint::None, |facts| {
        Hint::About(facts, 0, |f, facts, _| {
            write!(f, "{facts} has {} semaphores, counted from 0", facts.amount)
        })
    });
    (ErrorKind::NoSuchSemaphore, hint)
}

impl Hint {
    /// For a value or count beyond `SEMVMX`.
    pub(crate) fn value_range() -> Self {
        let max = sem::limits().map_or(32767, |limits| limits.value);
        Self::Numbers([max, 0, 0, 0], |f, [max, ..]| {
            write!(
                f,
                "a semaphore counts from 0 to {max} (SEMVMX), and so does what SEM_UNDO has to give back"
            )
        })
    }
}
