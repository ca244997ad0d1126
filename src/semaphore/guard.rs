//! [`SemaphoreGuard`]: a semaphore held as a mutex.

use super::operation::refused;
use super::set::namespace_here;
use super::single::Semaphore;
use crate::error::{Error, ErrorKind, Hint};
use crate::fork::Epoch;
use crate::sys::process;
use crate::sys::sem::{self, Question};
use std::mem::ManuallyDrop;
use std::time::Duration;

/// A semaphore acquired by [`Semaphore::lock`]; dropping it releases the semaphore.
///
/// Dropping never panics and says nothing of errors; [`unlock`](Self::unlock) does. In a forked child the inherited
/// guard does nothing at all: the lock belongs to the parent. A guard that is leaked stays locked until the process
/// ends, when the kernel releases it.
///
/// Any thread of the process may drop it: to the kernel, the process holds the semaphore.
///
/// A thread that holds one should not leave the IPC namespace (`unshare(2)`, `setns(2)`). There the identifier may name
/// another set; dropping releases nothing of it, with one exception: if this process itself was the last to operate on
/// that other semaphore, it is released, too. To rule that out would take a look at `/proc` at every release, which
/// costs more than the lock.
///
/// ```
/// # use sysvshm::{Key, SemaphoreSet};
/// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
/// {
///     let _guard = set.semaphore(0).lock()?;
///     assert_eq!(set.values()?, [0]);
/// }
/// assert_eq!(set.values()?, [1]);
/// set.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it releases the semaphore at once"]
pub struct SemaphoreGuard {
    semaphore: Semaphore,
    epoch: Epoch,
}

impl SemaphoreGuard {
    pub(super) fn acquire(
        semaphore: Semaphore,
        acquire: impl FnOnce(Semaphore, u16) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let semaphore = semaphore.with_undo();
        // Before the lock is taken, as it may fail.
        let epoch = Epoch::current()?;
        acquire(semaphore, 1)?;
        Ok(Self { semaphore, epoch })
    }

    /// Releases the semaphore and says what went wrong, which dropping does not.
    ///
    /// **C calls:** `semctl(GETPID)` and `semop` with `+1` and `SEM_UNDO`. Where the last to operate on the semaphore
    /// was another process, which a mutex rarely sees, `/proc/thread-self/ns/ipc` is read in between (Linux).
    ///
    /// # Errors
    ///
    /// [`NoSuchSet`](ErrorKind::NoSuchSet) (`EINVAL`): the set was removed meanwhile, so the lock excluded no other
    /// process any more. [`Forked`](ErrorKind::Forked): this is a forked child and the lock is the parent's; nothing
    /// was done. [`WrongNamespace`](ErrorKind::WrongNamespace): the calling thread is in another IPC namespace than
    /// the one in which the set was opened, and the identifier names a stranger's set here; nothing was done. (A set of
    /// that number which this very process was the last to operate on cannot be told apart, and is released.) The
    /// kernel takes back what a process did with `SEM_UNDO` as soon as its last thread leaves the namespace.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let guard = set.semaphore(0).lock()?;
    /// set.remove()?; // somebody's `ipcrm`
    /// assert_eq!(guard.unlock().unwrap_err().kind(), ErrorKind::NoSuchSet);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "SEM_UNDO"))]
    pub fn unlock(self) -> Result<(), Error> {
        ManuallyDrop::new(self).release()
    }

    fn release(&self) -> Result<(), Error> {
        let set = self.semaphore.set;
        if !self.epoch.is_current() {
            let hint = Hint::Text("a forked child does not hold what its parent locked");
            return Err(refused(set, None, ErrorKind::Forked, hint));
        }
        if self.is_stranger() {
            let hint =
                Hint::Text("this identifier names another set here than the one that was locked");
            return Err(refused(set, None, ErrorKind::WrongNamespace, hint));
        }
        self.semaphore.release(1)
    }

    /// Whether the identifier names another set by now: that of another IPC namespace, into which the thread moved.
    ///
    /// Who holds a mutex was the last to operate on it, as a rule, and a stranger's semaphore was never operated on by
    /// this process. So the last pid answers for one short call. Where it is another one (a process waited for zero,
    /// or released what it did not hold), the namespace decides.
    fn is_stranger(&self) -> bool {
        let Semaphore { set, index, .. } = self.semaphore;
        let (then, last_pid) = (self.semaphore.namespace, Question::LastPid);
        match sem::semctl_ask(set, index, last_pid) {
            Ok(pid) if pid == process::pid() => false,
            // No set at all: the release will say so.
            Err(errno) if matches!(errno.0, libc::EINVAL | libc::EIDRM) => false,
            _ => then != 0 && ![0, then].contains(&namespace_here()),
        }
    }
}

/// A semaphore as a mutex.
impl Semaphore {
    /// Uses the semaphore as a mutex: acquires 1, and releases it when the guard is dropped, both with `SEM_UNDO`.
    ///
    /// Meant for a semaphore whose value is 1 while nobody holds it. If the process ends in between, however that
    /// happens, the kernel releases it; the next holder is not told, and has to judge by the data whether they are
    /// whole. It is not recursive: a second `lock` of the same process waits for the first. C programs share it if
    /// they use `SEM_UNDO` on both sides too.
    ///
    /// **C calls:** `semop` with `-1` and `SEM_UNDO` now, those of [`SemaphoreGuard::unlock`] later.
    ///
    /// # Errors
    ///
    /// Those of [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let mutex = set.semaphore(0);
    /// let guard = mutex.lock()?;
    /// assert_eq!(mutex.try_lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// drop(guard);
    /// mutex.try_lock()?.unlock()?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "SEM_UNDO"))]
    pub fn lock(self) -> Result<SemaphoreGuard, Error> {
        SemaphoreGuard::acquire(self, Self::acquire)
    }

    /// As [`lock`](Self::lock), now or not at all.
    ///
    /// **C call:** `semop` with `-1`, `SEM_UNDO` and `IPC_NOWAIT`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`EAGAIN`): somebody holds it. Otherwise those of
    /// [`acquire`](Self::acquire).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let guard = set.semaphore(0).try_lock()?;
    /// assert_eq!(set.semaphore(0).try_lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    /// drop(guard);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "SEM_UNDO", "IPC_NOWAIT"))]
    pub fn try_lock(self) -> Result<SemaphoreGuard, Error> {
        SemaphoreGuard::acquire(self, Self::try_acquire)
    }

    /// As [`lock`](Self::lock), but waits no longer than `timeout`.
    ///
    /// **C call:** `semtimedop` with `-1` and `SEM_UNDO`. Linux.
    ///
    /// # Errors
    ///
    /// Those of [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// # use std::time::Duration;
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let guard = set.semaphore(0).lock_timeout(Duration::from_secs(1))?;
    /// let second = set.semaphore(0).lock_timeout(Duration::from_millis(1));
    /// assert_eq!(second.unwrap_err().kind(), ErrorKind::TimedOut);
    /// drop(guard);
    /// set.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semtimedop", "SEM_UNDO"))]
    pub fn lock_timeout(self, timeout: Duration) -> Result<SemaphoreGuard, Error> {
        SemaphoreGuard::acquire(self, |mutex, count| mutex.acquire_timeout(count, timeout))
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        // Nobody could be told here; `unlock` is there for those who want to know.
        let _ = self.release();
    }
}
