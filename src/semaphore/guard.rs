//! [`SemaphoreGuard`]: a semaphore held as a mutex.

use super::operation::refused;
use super::single::Semaphore;
use crate::error::{Error, ErrorKind, Hint};
use crate::fork::Epoch;
use std::mem::ManuallyDrop;

/// A semaphore acquired by [`Semaphore::lock`]; dropping it releases the semaphore.
///
/// Dropping never panics and says nothing of errors; [`unlock`](Self::unlock) does. In a forked child the inherited
/// guard does nothing at all: the lock belongs to the parent. A guard that is leaked stays locked until the process
/// ends, when the kernel releases it.
///
/// Any thread of the process may drop it: to the kernel, the process holds the semaphore.
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
    /// **C call:** `semop` with `+1` and `SEM_UNDO`.
    ///
    /// # Errors
    ///
    /// [`NoSuchSet`](ErrorKind::NoSuchSet) (`EINVAL`): the set was removed meanwhile, so the lock excluded nobody
    /// any more. [`Forked`](ErrorKind::Forked): this is a forked child and the lock is the parent's; nothing was
    /// done.
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
        if self.epoch.is_current() {
            self.semaphore.release(1)
        } else {
            let hint = Hint::Text("a forked child does not hold what its parent locked");
            Err(refused(self.semaphore.set, None, ErrorKind::Forked, hint))
        }
    }
}

impl Drop for SemaphoreGuard {
    fn drop(&mut self) {
        // Nobody could be told here; `unlock` is there for those who want to know.
        let _ = self.release();
    }
}
