//! [`Owned`]: an object of the kernel that the process which created it removes when it drops this value.

use crate::error::Error;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::fork::Epoch;
use crate::key::Key;
use crate::sys::os;
use std::mem::ManuallyDrop;
use std::ops::Deref;

/// Removes what it holds when it is dropped, if this process created that.
///
/// Made by [`SemaphoreSetOptions::create_new_owned`](crate::SemaphoreSetOptions::create_new_owned),
/// [`MessageQueueOptions::create_new_owned`](crate::MessageQueueOptions::create_new_owned) and their kin. It is
/// what [`Removal::OnDrop`](crate::Removal::OnDrop) is to segments, as a type of its own: a
/// [`SemaphoreSet`](crate::SemaphoreSet) or a [`MessageQueue`](crate::MessageQueue) itself is a plain value, of which
/// nothing happens to copies.
///
/// | dropped | the object |
/// |---|---|
/// | in the process that created it | is removed, at once and for all processes |
/// | in a forked child of that process | stays |
/// | by a thread that is in another IPC namespace by now, or where `/proc` does not tell the namespace (Linux) | stays |
/// | after another process removed it, whatever has its identifier by now | stays |
/// | if it was found and not created ([`open_or_create_owned`](crate::SemaphoreSetOptions::open_or_create_owned)) | stays |
///
/// A process that is killed drops nothing, so the object stays behind.
///
/// ```
/// use sysvshm::{Key, SemaphoreSet, SemaphoreSetOptions};
///
/// let key = Key::random()?;
/// let set = SemaphoreSetOptions::new().create_new_owned(key, &[1])?;
/// set.semaphore(0).lock()?.unlock()?; // all that a `SemaphoreSet` can do
/// drop(set);
/// assert!(SemaphoreSet::open(key).unwrap_err().is_not_found());
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// # What this does not protect you from
///
/// An identifier may recur, after some millions of creations on Linux. An object is known again by namespace, key and
/// size. So if others remove a set of this process and create sets for that long, one without a key and of the same
/// size under the old identifier would be removed, should this process have the right to.
#[derive(Debug)]
#[must_use = "dropping it removes the object at once"]
pub struct Owned<T: Ownable> {
    object: T,
    /// `None` for what was found.
    made: Option<Made>,
}

/// What [`Owned`] can hold. Sealed.
pub trait Ownable: Removable {}

impl<T: Removable> Ownable for T {}

/// What removing on drop needs to know.
pub trait Removable {
    /// The marks of what has the identifier now.
    #[doc(hidden)]
    fn marks(&self) -> Result<Marks, Error>;
    #[doc(hidden)]
    fn remove_now(&self) -> Result<(), Error>;
    /// Why it is not removed, if the calling thread does not see it for sure.
    #[doc(hidden)]
    fn out_of_reach(&self) -> Error;
}

/// What was created, where, and by which process.
#[derive(Debug, Clone, Copy)]
struct Made {
    marks: Marks,
    /// The IPC namespace; `None` where it is not known.
    namespace: Option<(u64, u64)>,
    epoch: Epoch,
}

/// What stays the same about an object as long as it lives: its key, and how many parts it has, if it has parts.
pub(crate) type Marks = (Key, usize);

impl<T: Ownable> Owned<T> {
    /// Holds what `open` finds or creates, with its marks if it did create it.
    pub(crate) fn new(
        open: impl FnOnce() -> Result<(T, Option<Marks>), Error>,
    ) -> Result<Self, Error> {
        // Before anything is created, as it may fail.
        let epoch = Epoch::current()?;
        let (object, created) = open()?;
        let made = created.map(|marks| Made {
            marks,
            namespace: os::ipc_namespace(),
            epoch,
        });
        Ok(Self { object, made })
    }

    /// Removes the object as dropping does, and says what went wrong, which dropping does not.
    ///
    /// **C calls:** a look at `/proc/thread-self/ns/ipc` (Linux), `IPC_STAT`, `IPC_RMID`; none for what was found, or in
    /// a forked child.
    ///
    /// # Errors
    ///
    /// [`WrongNamespace`](ErrorKind::WrongNamespace): the calling thread has left the object's IPC namespace, or nothing
    /// tells whether it has. [`NotOwner`](ErrorKind::NotOwner) (`EPERM`), after `setuid(2)` for instance. The object
    /// stays then. That it is gone already is no error.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSetOptions};
    /// let set = SemaphoreSetOptions::new().create_new_owned(Key::PRIVATE, &[1])?;
    /// set.remove()?; // perhaps by another process
    /// set.close()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn close(self) -> Result<(), Error> {
        ManuallyDrop::new(self).remove_if_ours()
    }

    /// Gives up the removal and returns the object.
    ///
    /// **C call:** none.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSetOptions};
    /// let set = SemaphoreSetOptions::new().create_new_owned(Key::PRIVATE, &[1])?.keep();
    /// assert_eq!(set.values()?, [1]);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn keep(mut self) -> T
    where
        T: Copy,
    {
        self.made = None;
        self.object
    }

    /// What both `close` and `Drop` do.
    fn remove_if_ours(&self) -> Result<(), Error> {
        let Some(made) = self.made.filter(|made| made.epoch.is_current()) else {
            return Ok(());
        };
        let namespace = os::ipc_namespace();
        // Only Linux has namespaces to be lost in.
        let is_blind = cfg!(target_os = "linux") && namespace.is_none();
        if is_blind || namespace != made.namespace {
            return Err(self.object.out_of_reach());
        }
        let removed = match self.object.marks() {
            Ok(now) if now == made.marks => self.object.remove_now(),
            // Another one: this one is gone.
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

impl<T: Ownable> Deref for Owned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: Ownable> Drop for Owned<T> {
    fn drop(&mut self) {
        // Nobody could be told here; `close` is there for those who want to know.
        let _ = self.remove_if_ours();
    }
}
