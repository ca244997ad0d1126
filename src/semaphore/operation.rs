//! [`Operation`], and how a list of them is carried out.

use crate::error::{Call, Error, ErrorKind, Hint, SemopCall};
use crate::sys::Errno;
use crate::sys::sem::{self, IPC_NOWAIT, SEM_UNDO, sembuf};
use std::time::{Duration, Instant};

/// One entry of the list that [`SemaphoreSet::operate`](crate::SemaphoreSet::operate) carries out in one step.
///
/// ```
/// use sysvshm::{ErrorKind, Key, SemaphoreSet};
/// use sysvshm::semaphore::Operation;
///
/// let forks = SemaphoreSet::create_new(Key::PRIVATE, &[1, 1])?;
/// // A philosopher takes both forks or none:
/// forks.operate(&[Operation::acquire(0, 1).with_undo(), Operation::acquire(1, 1).with_undo()])?;
/// let one = forks.operate(&[Operation::acquire(0, 1).without_waiting()]);
/// assert_eq!(one.unwrap_err().kind(), ErrorKind::WouldBlock);
/// forks.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "sembuf")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "an operation does nothing by itself; pass it to operate"]
pub struct Operation {
    semaphore: usize,
    step: Step,
    undo: bool,
    no_wait: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Acquire(u16),
    Release(u16),
    WaitForZero,
}

impl Operation {
    /// Subtracts `count`, 1 to 32767, and waits until that is possible. A negative `sem_op`.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet, semaphore::Operation};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[5, 0])?;
    /// set.operate(&[Operation::acquire(0, 2), Operation::release(1, 2)])?;
    /// assert_eq!(set.values()?, [3, 2]);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub const fn acquire(semaphore: usize, count: u16) -> Self {
        Self::new(semaphore, Step::Acquire(count))
    }

    /// Adds `count`, 1 to 32767. A positive `sem_op`.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet, semaphore::Operation};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0])?;
    /// set.operate(&[Operation::release(0, 32767)])?;
    /// assert_eq!(set.values()?, [32767]);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub const fn release(semaphore: usize, count: u16) -> Self {
        Self::new(semaphore, Step::Release(count))
    }

    /// Waits until the value is 0. A `sem_op` of 0.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet, semaphore::Operation};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0])?;
    /// set.operate(&[Operation::wait_for_zero(0), Operation::release(0, 1)])?;
    /// let again = set.operate(&[Operation::wait_for_zero(0).without_waiting()]);
    /// assert!(again.is_err()); // it is 1 now
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub const fn wait_for_zero(semaphore: usize) -> Self {
        Self::new(semaphore, Step::WaitForZero)
    }

    /// Has the kernel take this operation back when the process ends. See the [module](super) for where that is
    /// right and where wrong.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet, semaphore::Operation};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 1])?;
    /// // Both locks or none, and both given back should this process be killed.
    /// set.operate(&[Operation::acquire(0, 1).with_undo(), Operation::acquire(1, 1).with_undo()])?;
    /// set.operate(&[Operation::release(0, 1).with_undo(), Operation::release(1, 1).with_undo()])?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "SEM_UNDO")]
    #[inline]
    pub const fn with_undo(mut self) -> Self {
        self.undo = true;
        self
    }

    /// Fails with [`WouldBlock`](ErrorKind::WouldBlock) rather than waiting because of this operation.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet, semaphore::Operation};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0])?;
    /// let error = set.operate(&[Operation::acquire(0, 1).without_waiting()]).unwrap_err();
    /// assert_eq!(error.kind(), sysvshm::ErrorKind::WouldBlock);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_NOWAIT")]
    #[inline]
    pub const fn without_waiting(mut self) -> Self {
        self.no_wait = true;
        self
    }

    #[inline]
    const fn new(semaphore: usize, step: Step) -> Self {
        Self {
            semaphore,
            step,
            undo: false,
            no_wait: false,
        }
    }

    /// As C has it, or what is wrong with it.
    #[inline]
    pub(super) fn to_raw(self) -> Result<sembuf, (ErrorKind, Hint)> {
        let Ok(sem_num) = u16::try_from(self.semaphore) else {
            return Err(bad_number());
        };
        let (count, sign) = match self.step {
            Step::Acquire(count) => (count, -1),
            Step::Release(count) => (count, 1),
            Step::WaitForZero => (0, 0),
        };
        let Ok(magnitude) = i16::try_from(count) else {
            return Err(bad_count(count));
        };
        if magnitude == 0 && sign != 0 {
            return Err(bad_count(count));
        }
        let undo = if self.undo { SEM_UNDO } else { 0 };
        let no_wait = if self.no_wait { IPC_NOWAIT } else { 0 };
        Ok(sembuf {
            sem_num,
            sem_op: magnitude * sign,
            sem_flg: undo | no_wait,
        })
    }
}

/// Why a semaphore beyond the first 65,536 cannot be operated on.
#[cold]
pub(super) fn bad_number() -> (ErrorKind, Hint) {
    let hint = Hint::Text("semop numbers semaphores with 16 bits");
    (ErrorKind::NoSuchSemaphore, hint)
}

/// Why `count` cannot be acquired or released.
#[cold]
pub(super) fn bad_count(count: u16) -> (ErrorKind, Hint) {
    if count == 0 {
        let hint = Hint::Text(
            "a count of 0 would mean waiting for zero in C; use wait_for_zero if that is meant",
        );
        (ErrorKind::InvalidInput, hint)
    } else {
        (ErrorKind::ValueOutOfRange, Hint::value_range())
    }
}

/// How long an operation that cannot be done at once may take, and what a signal does to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    pub(super) timeout: Option<Duration>,
    pub(super) interruptible: bool,
}

/// Carries a list out as one step.
pub(super) fn operate(id: i32, operations: &[Operation], wait: Wait) -> Result<(), Error> {
    /// Lists up to this length need no allocation.
    const SHORT: usize = 16;
    let empty = sembuf {
        sem_num: 0,
        sem_op: 0,
        sem_flg: 0,
    };
    let mut short = [empty; SHORT];
    let mut long = Vec::new();
    let raw = if operations.len() <= SHORT {
        &mut short[..operations.len()]
    } else {
        if long.try_reserve_exact(operations.len()).is_err() {
            return Err(refused(
                id,
                wait.timeout,
                ErrorKind::OutOfMemory,
                Hint::None,
            ));
        }
        long.resize(operations.len(), empty);
        &mut long[..]
    };
    for (slot, operation) in raw.iter_mut().zip(operations) {
        *slot = operation
            .to_raw()
            .map_err(|(kind, hint)| refused(id, wait.timeout, kind, hint))?;
    }
    operate_raw(id, raw, wait)
}

/// Something that is refused before the call.
pub(super) fn refused(id: i32, timeout: Option<Duration>, kind: ErrorKind, hint: Hint) -> Error {
    Error::refused(Call::Semop(SemopCall::new(id, &[], timeout)), kind, hint)
}

/// The call, repeated after signals as `wait` says.
#[inline]
pub(super) fn operate_raw(id: i32, operations: &[sembuf], wait: Wait) -> Result<(), Error> {
    match wait.timeout {
        None => match sem::semop(id, operations) {
            Ok(()) => Ok(()),
            Err(errno) => wait_on(id, operations, wait, errno),
        },
        Some(timeout) => operate_timed(id, operations, wait, timeout),
    }
}

/// What follows a first `semop` that failed.
#[cold]
fn wait_on(id: i32, operations: &[sembuf], wait: Wait, first: Errno) -> Result<(), Error> {
    let mut errno = first;
    while errno.0 == libc::EINTR && !wait.interruptible {
        match sem::semop(id, operations) {
            Ok(()) => return Ok(()),
            Err(again) => errno = again,
        }
    }
    let call = SemopCall::new(id, operations, None);
    Err(Error::from_call(Call::Semop(call), errno))
}

fn operate_timed(
    id: i32,
    operations: &[sembuf],
    wait: Wait,
    timeout: Duration,
) -> Result<(), Error> {
    // None: later than the clock can say, so never.
    let deadline = Instant::now().checked_add(timeout);
    let mut remaining = timeout;
    loop {
        let errno = match sem::semtimedop(id, operations, remaining) {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        let restart = errno.0 == libc::EINTR && !wait.interruptible;
        if !restart || remaining.is_zero() {
            // A signal at the very end of the time is no reason to go on.
            let errno = if restart { Errno(libc::EAGAIN) } else { errno };
            let call = SemopCall::new(id, operations, Some(timeout));
            return Err(Error::from_call(Call::Semop(call), errno));
        }
        if let Some(deadline) = deadline {
            remaining = deadline.saturating_duration_since(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_become_what_c_has() {
        let raw = Operation::acquire(7, 32767)
            .with_undo()
            .without_waiting()
            .to_raw()
            .unwrap_or_else(|_| panic!("a valid operation"));
        assert_eq!((raw.sem_num, raw.sem_op), (7, -32767));
        assert_eq!(raw.sem_flg, 0o10000 | 0o4000);
        let kind = |operation: Operation| operation.to_raw().err().map(|(kind, _)| kind);
        assert_eq!(kind(Operation::wait_for_zero(0)), None);
        assert_eq!(
            kind(Operation::release(0, 0)),
            Some(ErrorKind::InvalidInput)
        );
        assert_eq!(
            kind(Operation::acquire(0, 0)),
            Some(ErrorKind::InvalidInput)
        );
        let too_much = Some(ErrorKind::ValueOutOfRange);
        assert_eq!(kind(Operation::release(0, 32768)), too_much);
        assert_eq!(kind(Operation::acquire(0, 65535)), too_much);
        let too_far = Some(ErrorKind::NoSuchSemaphore);
        assert_eq!(kind(Operation::acquire(65536, 1)), too_far);
    }
}
