//! The initialisation protocol: the creator's half, and what an opener can tell about the other's progress.
//!
//! | what the kernel shows | `sem_otime` | last pid of the semaphores | meaning |
//! |---|---|---|---|
//! | after `semget` | 0 | 0 | nothing set; nobody knows who the creator is |
//! | after some `SETVAL` | 0 | set on some | half-way, by that process |
//! | after `SETALL`, or `SETVAL` on each | 0 | set on all | perhaps complete; with [`trust_set_values`](super::SemaphoreSetOptions::trust_set_values), complete |
//! | after one `semop` | not 0 | | ready |
//!
//! Setting a value leaves the setter's pid (`sempid`, Linux 4.6; `semctl_setval` and `semctl_main` in ipc/sem.c),
//! which is how a creator that died half-way is recognised.

use super::operation::{Operation, Wait, operate};
use super::set::{SemaphoreSet, status_regardless};
use super::status::SemaphoreSetStatus;
use crate::error::{Error, ErrorKind};
use crate::sys::process;
use crate::sys::sem::{self, Question};

/// `SEMVMX`, which Linux, macOS and FreeBSD compile in.
pub(super) const LARGEST_VALUE: u16 = 32767;

/// The creator's half: the values, then an operation that changes none.
pub(super) fn initialise(set: &SemaphoreSet, values: &[u16]) -> Result<(), Error> {
    set.set_values(values)?;
    let wait = Wait {
        timeout: None,
        interruptible: false,
    };
    // Any success moves sem_otime. A value of 0 is waited for, another one taken and given back in the same step.
    let within_16_bits = values.len().min(1 << 16);
    let zero = values[..within_16_bits]
        .iter()
        .position(|&value| value == 0);
    let stamp = match zero {
        Some(zero) => operate(
            set.id(),
            &[Operation::wait_for_zero(zero).without_waiting()],
            wait,
        ),
        None => operate(
            set.id(),
            &[
                Operation::acquire(0, 1).without_waiting(),
                Operation::release(0, 1).without_waiting(),
            ],
            wait,
        ),
    };
    match stamp {
        // Somebody who did not wait has operated on the semaphore already: then sem_otime has moved, too.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}

/// How far the creator of a set has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// The pid that set a value, 0 if none did or it has no number here.
    NotYet {
        last_pid: i32,
    },
    CreatorDied {
        last_pid: i32,
    },
    /// The set was removed.
    Gone,
}

/// What an opener can tell now.
pub(super) fn readiness(
    set: &SemaphoreSet,
    status: &SemaphoreSetStatus,
    trust_set_values: bool,
) -> Result<Readiness, Error> {
    if status.operation_time().is_some() {
        return Ok(Readiness::Ready);
    }
    if trust_set_values && all_were_set(set) {
        return Ok(Readiness::Ready);
    }
    // Values are set from either end or all at once.
    let last_pid = match last_pid(set, 0) {
        0 => last_pid(set, set.len() - 1),
        pid => pid,
    };
    if last_pid == 0 || process::exists(last_pid) {
        return Ok(Readiness::NotYet { last_pid });
    }
    // It may have done its operation right before it ended, after `status` was taken.
    match status_regardless(set.id()) {
        Ok(status) if status.operation_time().is_some() => Ok(Readiness::Ready),
        Ok(_) => Ok(Readiness::CreatorDied { last_pid }),
        Err(error) if error.kind() == ErrorKind::NoSuchSet => Ok(Readiness::Gone),
        Err(error) => Err(error),
    }
}

/// Whether every semaphore had its value set. Without an operation nothing else leaves a pid or a value other than
/// 0.
fn all_were_set(set: &SemaphoreSet) -> bool {
    // From the end, because most programs set them from the start.
    let with_pid = (0..set.len())
        .rev()
        .take_while(|&semaphore| last_pid(set, semaphore) != 0)
        .count();
    if with_pid == set.len() {
        return true;
    }
    // A process of another pid namespace leaves no number here; SETALL is then the likeliest explanation for a
    // value.
    let nobody_known = with_pid == 0 && last_pid(set, 0) == 0;
    nobody_known
        && set
            .values()
            .is_ok_and(|values| values.iter().any(|&value| value != 0))
}

/// 0 also where this user may not ask.
fn last_pid(set: &SemaphoreSet, semaphore: usize) -> i32 {
    i32::try_from(semaphore).map_or(0, |semaphore| {
        sem::semctl_ask(set.id(), semaphore, Question::LastPid).unwrap_or(0)
    })
}
