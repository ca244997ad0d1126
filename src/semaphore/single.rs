//! [`Semaphore`]: one of a set.

use super::operation::{Wait, bad_count, bad_number, operate_raw, refused};
use crate::error::{Call, Command, Error};
use crate::segment::ProcessState;
use crate::sys::sem::{self, IPC_NOWAIT, Question, SEM_UNDO, sembuf};
use std::time::Duration;

/// One semaphore of a set: a number from 0 to 32767 on which processes wait.
///
/// Made by [`SemaphoreSet::semaphore`](crate::SemaphoreSet::semaphore). A plain value that names the semaphore and
/// holds nothing: copy it, send it to threads, keep it in a child. When the set is removed, every call says so.
///
/// ```
/// use sysvshm::{Key, SemaphoreSet};
///
/// let set = SemaphoreSet::create_new(Key::PRIVATE, &[2])?;
/// let seats = set.semaphore(0);
/// seats.acquire(2)?;
/// assert!(seats.try_acquire(1).is_err());
/// seats.release(2)?;
/// set.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Semaphore {
    pub(super) set: i32,
    /// C's `semnum`; `semop` has 16 bits for it.
    pub(super) index: i32,
    pub(super) undo: bool,
    pub(super) interruptible: bool,
    /// As in the set.
    pub(super) namespace: u32,
}

const _: () = assert!(size_of::<Semaphore>() == 16, "passed in two registers");

impl Semaphore {
    /// Its number in the set, from 0.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 0])?;
    /// assert_eq!(set.semaphore(1).index(), 1);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "sem_num")]
    #[must_use]
    pub fn index(self) -> usize {
        // Never negative: it is less than the length of the set.
        self.index as usize
    }

    /// The same semaphore, with `SEM_UNDO` in every operation made through this handle.
    ///
    /// The kernel takes back the sum of what this process did so when the process ends. Use it on both sides, and
    /// only where the process that acquires also releases; see the [module](super).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[3])?;
    /// let licences = set.semaphore(0).with_undo();
    /// licences.acquire(2)?; // back at 3 should this process be killed now
    /// licences.release(2)?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "SEM_UNDO")]
    #[must_use]
    pub const fn with_undo(mut self) -> Self {
        self.undo = true;
        self
    }

    /// The same semaphore, whose waits end with [`Interrupted`](crate::ErrorKind::Interrupted) when a signal was
    /// handled, instead of going on.
    ///
    /// What C programs get that check for `EINTR`, for instance to end when Ctrl-C was pressed.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// match set.semaphore(0).interruptible().acquire(1) {
    ///     Err(error) if error.kind() == ErrorKind::Interrupted => println!("Ctrl-C, perhaps"),
    ///     result => result?,
    /// }
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "EINTR")]
    #[must_use]
    pub const fn interruptible(mut self) -> Self {
        self.interruptible = true;
        self
    }

    /// Subtracts `count`, 1 to 32767, as soon as the value is at least that; sleeps until then.
    ///
    /// **C call:** `semop` with `-count`, once, and again after each handled signal.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`Removed`](crate::ErrorKind::Removed) | `EIDRM` | the set was removed during the wait |
    /// | [`NoSuchSet`](crate::ErrorKind::NoSuchSet) | `EINVAL` | it was removed before |
    /// | [`PermissionDenied`](crate::ErrorKind::PermissionDenied) | `EACCES` | the mode has no write bit for this user |
    /// | [`ValueOutOfRange`](crate::ErrorKind::ValueOutOfRange) | none, `ERANGE` | `count` is beyond 32767, or so is what undo would give back |
    /// | [`InvalidInput`](crate::ErrorKind::InvalidInput) | none | `count` is 0 |
    /// | [`OutOfMemory`](crate::ErrorKind::OutOfMemory) | `ENOMEM` | no room to remember an undo |
    /// | [`NoSuchSemaphore`](crate::ErrorKind::NoSuchSemaphore) | `EFBIG` | the id names another, smaller set by now |
    /// | [`Interrupted`](crate::ErrorKind::Interrupted) | `EINTR` | only if [`interruptible`](Self::interruptible) |
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[5])?;
    /// set.semaphore(0).acquire(3)?;
    /// assert_eq!(set.semaphore(0).value()?, 2);
    /// assert_eq!(set.semaphore(0).acquire(0).unwrap_err().kind(), ErrorKind::InvalidInput);
    /// set.remove()?;
    /// assert_eq!(set.semaphore(0).acquire(1).unwrap_err().kind(), ErrorKind::NoSuchSet);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "sem_wait", "P", "down"))]
    #[inline]
    pub fn acquire(self, count: u16) -> Result<(), Error> {
        self.change(Direction::Down, count, 0, None)
    }

    /// Subtracts `count` now or not at all.
    ///
    /// **C call:** `semop` with `-count` and `IPC_NOWAIT`, once.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`EAGAIN`): the value is too small. Otherwise those of
    /// [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// assert_eq!(set.semaphore(0).try_acquire(2).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// set.semaphore(0).try_acquire(1)?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "IPC_NOWAIT", "sem_trywait"))]
    #[inline]
    pub fn try_acquire(self, count: u16) -> Result<(), Error> {
        self.change(Direction::Down, count, IPC_NOWAIT, None)
    }

    /// Subtracts `count`, and sleeps no longer than `timeout` for it.
    ///
    /// **C call:** `semtimedop` with `-count`, once, and again with the remaining time after each handled signal.
    /// Linux.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) (`EAGAIN`). [`Unsupported`](crate::ErrorKind::Unsupported)
    /// (`ENOSYS`) on macOS and FreeBSD, which have no such call. Otherwise those of [`acquire`](Self::acquire).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// use std::time::{Duration, Instant};
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0])?;
    /// let (start, timeout) = (Instant::now(), Duration::from_millis(20));
    /// let late = set.semaphore(0).acquire_timeout(1, timeout);
    /// assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
    /// assert!(start.elapsed() >= timeout);
    /// set.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semtimedop", "sem_timedwait"))]
    pub fn acquire_timeout(self, count: u16, timeout: Duration) -> Result<(), Error> {
        self.change(Direction::Down, count, 0, Some(timeout))
    }

    /// Adds `count`, 1 to 32767, and wakes whoever can go on with that. Never waits.
    ///
    /// **C call:** `semop` with `count`, once.
    ///
    /// # Errors
    ///
    /// [`ValueOutOfRange`](crate::ErrorKind::ValueOutOfRange) (`ERANGE`): the value would exceed 32767; nothing was
    /// added. Otherwise those of [`acquire`](Self::acquire) that have nothing to do with waiting.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[32766])?;
    /// set.semaphore(0).release(1)?;
    /// assert_eq!(set.semaphore(0).release(1).unwrap_err().kind(), ErrorKind::ValueOutOfRange);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "sem_post", "V", "up"))]
    #[inline]
    pub fn release(self, count: u16) -> Result<(), Error> {
        self.change(Direction::Up, count, 0, None)
    }

    /// Sleeps until the value is 0, and changes nothing.
    ///
    /// **C call:** `semop` with 0, once, and again after each handled signal.
    ///
    /// # Errors
    ///
    /// Those of [`acquire`](Self::acquire); the read bit of the mode is enough.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[2])?;
    /// let pending = set.semaphore(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || pending.acquire(2).unwrap());
    ///     pending.wait_for_zero()
    /// })?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "semop")]
    pub fn wait_for_zero(self) -> Result<(), Error> {
        self.operate(0, 0, None)
    }

    /// Whether the value is 0, asked as an operation: it counts as one in `sem_otime` and the last pid, unlike
    /// [`value`](Self::value).
    ///
    /// **C call:** `semop` with 0 and `IPC_NOWAIT`, once.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`EAGAIN`): it is not 0. Otherwise those of
    /// [`wait_for_zero`](Self::wait_for_zero).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0, 1])?;
    /// set.semaphore(0).try_wait_for_zero()?;
    /// assert_eq!(set.semaphore(1).try_wait_for_zero().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "IPC_NOWAIT"))]
    pub fn try_wait_for_zero(self) -> Result<(), Error> {
        self.operate(0, IPC_NOWAIT, None)
    }

    /// Sleeps until the value is 0, but no longer than `timeout`.
    ///
    /// **C call:** `semtimedop` with 0, once, and again with the remaining time after each handled signal. Linux.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) (`EAGAIN`). [`Unsupported`](crate::ErrorKind::Unsupported)
    /// (`ENOSYS`) on macOS and FreeBSD. Otherwise those of [`wait_for_zero`](Self::wait_for_zero).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// # #[cfg(target_os = "linux")] {
    /// use std::time::Duration;
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let error = set.semaphore(0).wait_for_zero_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// set.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "semtimedop")]
    pub fn wait_for_zero_timeout(self, timeout: Duration) -> Result<(), Error> {
        self.operate(0, 0, Some(timeout))
    }

    /// The value at this moment, which may be another one by the time it is looked at.
    ///
    /// **C call:** `semctl(GETVAL)`.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): needs the read bit.
    /// [`NoSuchSet`](crate::ErrorKind::NoSuchSet) (`EINVAL`, `EIDRM`).
    /// [`NoSuchSemaphore`](crate::ErrorKind::NoSuchSemaphore) (`EINVAL`): the id names another, smaller set by now.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[3])?;
    /// assert_eq!(set.semaphore(0).value()?, 3);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "GETVAL", "sem_getvalue"))]
    pub fn value(self) -> Result<u16, Error> {
        let value = self.ask(Question::Value, Command::Value)?;
        // SEMVMX fits 15 bits.
        Ok(u16::try_from(value).unwrap_or(0))
    }

    /// Sets the value, and forgets what every process would undo on this semaphore. Wakes whoever can go on with
    /// it.
    ///
    /// **C call:** `semctl(SETVAL)`. It is no operation: `sem_otime` stays.
    ///
    /// # Errors
    ///
    /// [`ValueOutOfRange`](crate::ErrorKind::ValueOutOfRange) (`ERANGE`): beyond 32767.
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): needs the write bit. Otherwise those of
    /// [`value`](Self::value).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// set.semaphore(0).set_value(7)?;
    /// assert_eq!(set.semaphore(0).value()?, 7);
    /// let error = set.semaphore(0).set_value(40_000).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::ValueOutOfRange);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "SETVAL"))]
    pub fn set_value(self, value: u16) -> Result<(), Error> {
        let (semaphore, value) = (self.index, i32::from(value));
        sem::semctl_setval(self.set, semaphore, value).map_err(|errno| {
            let command = Command::SetValue(semaphore, value);
            Error::from_call(Call::semctl(self.set, command), errno)
        })
    }

    /// How many threads wait for a larger value now.
    ///
    /// **C call:** `semctl(GETNCNT)`.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0])?;
    /// let gate = set.semaphore(0);
    /// std::thread::scope(|scope| {
    ///     scope.spawn(move || gate.acquire(1).unwrap());
    ///     while gate.waiting_for_increase()? == 0 {
    ///         std::thread::yield_now();
    ///     }
    ///     gate.release(1)
    /// })?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "GETNCNT", "semncnt"))]
    pub fn waiting_for_increase(self) -> Result<usize, Error> {
        let waiting = self.ask(Question::WaitingForIncrease, Command::WaitingForIncrease)?;
        Ok(usize::try_from(waiting).unwrap_or(0))
    }

    /// How many threads wait for the value 0 now.
    ///
    /// **C call:** `semctl(GETZCNT)`.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[3])?;
    /// assert_eq!(set.semaphore(0).waiting_for_zero()?, 0);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "GETZCNT", "semzcnt"))]
    pub fn waiting_for_zero(self) -> Result<usize, Error> {
        let waiting = self.ask(Question::WaitingForZero, Command::WaitingForZero)?;
        Ok(usize::try_from(waiting).unwrap_or(0))
    }

    /// The process that last operated on this semaphore or set its value; `None` if none did, or if it has no
    /// number in this pid namespace.
    ///
    /// **C call:** `semctl(GETPID)`.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// assert_eq!(set.semaphore(0).last_pid()?, Some(std::process::id()));
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "GETPID", "sempid"))]
    pub fn last_pid(self) -> Result<Option<u32>, Error> {
        let pid = self.ask(Question::LastPid, Command::LastPid)?;
        Ok(u32::try_from(pid).ok().filter(|&pid| pid != 0))
    }

    /// Whether the process of [`last_pid`](Self::last_pid) still exists; unknown without a number.
    ///
    /// **C calls:** `semctl(GETPID)`, `kill(pid, 0)`.
    ///
    /// # Errors
    ///
    /// Those of [`value`](Self::value).
    ///
    /// ```
    /// # use sysvshm::{Key, ProcessState, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// assert_eq!(set.semaphore(0).last_state()?, ProcessState::Alive); // this one
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "GETPID"))]
    pub fn last_state(self) -> Result<ProcessState, Error> {
        let pid = self.ask(Question::LastPid, Command::LastPid)?;
        Ok(ProcessState::of(pid))
    }

    #[inline]
    fn change(
        self,
        direction: Direction,
        count: u16,
        flags: i16,
        timeout: Option<Duration>,
    ) -> Result<(), Error> {
        match (i16::try_from(count), direction) {
            (Ok(1..), Direction::Up) => self.operate(count as i16, flags, timeout),
            (Ok(1..), Direction::Down) => self.operate(-(count as i16), flags, timeout),
            _ => {
                let (kind, hint) = bad_count(count);
                Err(refused(self.set, timeout, kind, hint))
            }
        }
    }

    /// The numbers stay in registers up to the call, which costs a few nanoseconds less than an
    /// [`Operation`](super::Operation) in memory.
    #[inline]
    fn operate(self, sem_op: i16, flags: i16, timeout: Option<Duration>) -> Result<(), Error> {
        let undo = if self.undo { SEM_UNDO } else { 0 };
        let Ok(sem_num) = u16::try_from(self.index) else {
            let (kind, hint) = bad_number();
            return Err(refused(self.set, timeout, kind, hint));
        };
        let operation = sembuf {
            sem_num,
            sem_op,
            sem_flg: flags | undo,
        };
        let wait = Wait {
            timeout,
            interruptible: self.interruptible,
        };
        operate_raw(self.set, &[operation], wait)
    }

    fn ask(self, question: Question, command: fn(i32) -> Command) -> Result<i32, Error> {
        sem::semctl_ask(self.set, self.index, question)
            .map_err(|errno| Error::from_call(Call::semctl(self.set, command(self.index)), errno))
    }
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Up,
    Down,
}
