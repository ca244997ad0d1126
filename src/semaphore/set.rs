//! [`SemaphoreSet`]: a set that exists.

use super::operation::{Operation, Wait, operate};
use super::single::Semaphore;
use super::status::SemaphoreSetStatus;
use crate::control;
use crate::error::{Call, Command, Error, ErrorKind, Hint, Object};
use crate::flags::Mode;
use crate::sys::{Errno, os, sem};
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// A System V semaphore set.
///
/// A plain value, like the identifier in C: nothing happens when it is dropped, it may be copied and sent anywhere,
/// and it stays usable until the set is removed. An [`Owned`](crate::Owned) one removes its set when it is dropped. [`remove`](Self::remove) ends it for all processes at once. Two
/// values are equal if they name the same set.
///
/// [`SemaphoreSetOptions`](super::SemaphoreSetOptions) has more ways to make one.
///
/// ```
/// # use sysvshm::{Key, SemaphoreSet};
/// let set = SemaphoreSet::create_new(Key::random()?, &[1, 5])?;
/// set.semaphore(1).acquire(2)?;
/// assert_eq!(set.values()?, [1, 3]);
/// set.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("semget", "semid"))]
#[derive(Debug, Clone, Copy)]
pub struct SemaphoreSet {
    id: i32,
    len: usize,
    created: bool,
    interruptible: bool,
    /// Where the identifier means this set: the inode of the IPC namespace, which is a 32-bit number (`inum` of
    /// `ns_common` in the kernel). 0 where it is not known.
    namespace: u32,
}

/// Two values are equal if they name the same set, however they came to it.
impl PartialEq for SemaphoreSet {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.namespace) == (other.id, other.namespace)
    }
}

impl Eq for SemaphoreSet {}

impl Hash for SemaphoreSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.id, self.namespace).hash(state);
    }
}

/// The IPC namespace of the calling thread, 0 where it is not known.
pub(super) fn namespace_here() -> u32 {
    os::ipc_namespace().map_or(0, |(_, inode)| inode as u32)
}

#[allow(clippy::len_without_is_empty)] // A set has at least one semaphore.
impl SemaphoreSet {
    pub(super) fn new(id: i32, len: usize, created: bool) -> Self {
        Self {
            id,
            len,
            created,
            interruptible: false,
            namespace: namespace_here(),
        }
    }

    /// The set with this identifier, such as one that another process handed over. 0 is an ordinary one.
    ///
    /// **C call:** `semctl(id, IPC_STAT)`, to learn how many semaphores it has.
    ///
    /// # Errors
    ///
    /// Those of [`status`](Self::status).
    ///
    /// ```
    /// use sysvshm::{Key, SemaphoreSet};
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 0])?;
    /// let text = set.id().to_string(); // over a pipe, an argument, a file
    /// let same = SemaphoreSet::from_raw(text.parse().unwrap())?;
    /// assert_eq!(same.len(), 2);
    /// same.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "semid")]
    pub fn from_raw(id: i32) -> Result<Self, Error> {
        let status = status_regardless(id)?;
        Ok(Self::new(id, status.len(), false))
    }

    /// The identifier: C's `semid`.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// assert_eq!(set.status()?.id(), set.id());
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// How many semaphores the set has, at least 1. It cannot change.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0; 3])?;
    /// assert_eq!(set.len(), 3);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "sem_nsems")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether this call created the set rather than finding it: [`open_or_create`](Self::open_or_create) may do
    /// either.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let key = Key::random()?;
    /// let set = SemaphoreSet::open_or_create(key, &[1])?;
    /// assert!(set.was_created() && !SemaphoreSet::open(key)?.was_created());
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn was_created(&self) -> bool {
        self.created
    }

    /// The semaphore with this number, from 0.
    ///
    /// Linux makes sets of more than 65,536 semaphores where `SEMMSL` allows it, and numbers them with 16 bits in
    /// `semop`: the others can be read and set, but not operated on.
    ///
    /// # Panics
    ///
    /// If the set has no such semaphore, as indexing a slice does; see [`get`](Self::get).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 7])?;
    /// assert_eq!(set.semaphore(1).value()?, 7);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn semaphore(&self, index: usize) -> Semaphore {
        let len = self.len;
        self.get(index)
            .unwrap_or_else(|| panic!("semaphore {index} of a set that has {len}"))
    }

    /// The semaphore with this number, or `None` if the set has no such one.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 0])?;
    /// assert!(set.get(1).is_some() && set.get(2).is_none());
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Semaphore> {
        if index >= self.len {
            return None;
        }
        Some(Semaphore {
            set: self.id,
            index: i32::try_from(index).ok()?,
            undo: false,
            interruptible: self.interruptible,
            namespace: self.namespace,
        })
    }

    /// The same set, whose waits end with [`Interrupted`](ErrorKind::Interrupted) when a signal was handled,
    /// instead of going on.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// use sysvshm::semaphore::Operation;
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?.interruptible();
    /// match set.operate(&[Operation::acquire(0, 1)]) {
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

    /// Carries out all operations as one step, in their order, or none; sleeps until all are possible.
    ///
    /// **C call:** `semop` with the list, once, and again after each handled signal.
    ///
    /// # Errors
    ///
    /// Those of [`Semaphore::acquire`]; [`WouldBlock`](ErrorKind::WouldBlock) (`EAGAIN`): one that must not wait
    /// would have to; [`TooManyOperations`](ErrorKind::TooManyOperations) (`E2BIG`): more than `SEMOPM`, 500 on
    /// most systems; [`NoSuchSemaphore`](ErrorKind::NoSuchSemaphore) (`EFBIG`);
    /// [`InvalidInput`](ErrorKind::InvalidInput): an empty list (`EINVAL`) or a count of 0.
    ///
    /// ```
    /// use sysvshm::{Key, SemaphoreSet};
    /// use sysvshm::semaphore::Operation;
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0, 1])?;
    /// // A lock without a semaphore that starts at 1: wait for zero, then raise.
    /// set.operate(&[Operation::wait_for_zero(0), Operation::release(0, 1)])?;
    /// assert_eq!(set.values()?, [1, 1]);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semop", "sembuf"))]
    pub fn operate(&self, operations: &[Operation]) -> Result<(), Error> {
        operate(self.id, operations, self.wait(None))
    }

    /// As [`operate`](Self::operate), but sleeps no longer than `timeout`.
    ///
    /// **C call:** `semtimedop` with the list, once, and again with the remaining time after each handled signal.
    /// Linux.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](ErrorKind::TimedOut) (`EAGAIN`). [`Unsupported`](ErrorKind::Unsupported) (`ENOSYS`) on macOS
    /// and FreeBSD. Otherwise those of [`operate`](Self::operate).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// # #[cfg(target_os = "linux")] {
    /// use std::time::Duration;
    /// use sysvshm::semaphore::Operation;
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0])?;
    /// let error = set.operate_timeout(&[Operation::acquire(0, 1)], Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// set.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semtimedop", "sembuf"))]
    pub fn operate_timeout(
        &self,
        operations: &[Operation],
        timeout: Duration,
    ) -> Result<(), Error> {
        operate(self.id, operations, self.wait(Some(timeout)))
    }

    /// All values, as of one moment.
    ///
    /// **C calls:** `semctl(IPC_STAT)` for their number, `semctl(GETALL)`.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) (`EACCES`): needs the read bit.
    /// [`NoSuchSet`](ErrorKind::NoSuchSet) (`EINVAL`, `EIDRM`). [`OutOfMemory`](ErrorKind::OutOfMemory): this
    /// process has no room for so many.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 0])?;
    /// assert_eq!(set.values()?, [1, 0]);
    /// set.remove()?;
    /// assert_eq!(set.values().unwrap_err().kind(), ErrorKind::NoSuchSet);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "GETALL"))]
    pub fn values(&self) -> Result<Vec<u16>, Error> {
        let command = Command::Values;
        let values = sem::semctl_getall(self.id).map_err(|errno| self.failed(command, errno))?;
        if values.len() != self.len {
            let call = self.semctl(command);
            let hint =
                Hint::Text("the id names another set by now, with another number of semaphores");
            return Err(Error::refused(call, ErrorKind::NoSuchSet, hint));
        }
        Ok(values)
    }

    /// Sets all values in one step, and forgets what every process would undo on this set. Wakes whoever can go on.
    ///
    /// **C call:** `semctl(SETALL)`. It is no operation: `sem_otime` stays.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput): not one value per semaphore.
    /// [`ValueOutOfRange`](ErrorKind::ValueOutOfRange) (`ERANGE`): one is beyond 32767; none was set.
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) (`EACCES`): needs the write bit.
    /// [`NoSuchSet`](ErrorKind::NoSuchSet) (`EINVAL`, `EIDRM`).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 0])?;
    /// set.set_values(&[3, 4])?;
    /// assert_eq!(set.set_values(&[5]).unwrap_err().kind(), ErrorKind::InvalidInput);
    /// assert_eq!(set.set_values(&[5, 65535]).unwrap_err().kind(), ErrorKind::ValueOutOfRange);
    /// assert_eq!(set.values()?, [3, 4]);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "SETALL"))]
    pub fn set_values(&self, values: &[u16]) -> Result<(), Error> {
        let command = Command::SetValues(values.len());
        if values.len() != self.len {
            let hint = Hint::Numbers([self.len as u64, 0, 0, 0], |f, [len, ..]| {
                write!(f, "the set has {len} semaphores, and each needs one value")
            });
            let call = self.semctl(command);
            return Err(Error::refused(call, ErrorKind::InvalidInput, hint));
        }
        sem::semctl_setall(self.id, values).map_err(|errno| self.failed(command, errno))
    }

    /// What the kernel knows about the set now.
    ///
    /// **C call:** `semctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) (`EACCES`): needs the read bit, even of the owner;
    /// [`system::semaphore_sets`](crate::system::semaphore_sets) does without. [`NoSuchSet`](ErrorKind::NoSuchSet)
    /// (`EINVAL`, `EIDRM`).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 0])?;
    /// assert_eq!(set.status()?.len(), 2);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "IPC_STAT"))]
    pub fn status(&self) -> Result<SemaphoreSetStatus, Error> {
        match sem::semctl_stat(self.id) {
            Ok(raw) => Ok(SemaphoreSetStatus::new(self.id, &raw)),
            Err(errno) => Err(self.failed(Command::Status, errno)),
        }
    }

    /// Changes owner, group and mode in one step.
    ///
    /// **C call:** `semctl(IPC_SET)`, once. It needs no read permission.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`): only the owner, the creator or a process with `CAP_SYS_ADMIN`.
    /// [`NoSuchSet`](ErrorKind::NoSuchSet) (`EINVAL`, `EIDRM`). [`InvalidInput`](ErrorKind::InvalidInput): an id of
    /// -1 (`EINVAL`), or a mode beyond 0777, which the kernel would cut silently.
    ///
    /// ```
    /// use sysvshm::{Key, Mode, SemaphoreSet};
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let status = set.status()?;
    /// set.set_permissions(status.owner_uid(), status.owner_gid(), 0o660)?;
    /// assert_eq!(set.status()?.mode(), Mode::from(0o660));
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "IPC_SET"))]
    pub fn set_permissions(&self, uid: u32, gid: u32, mode: impl Into<Mode>) -> Result<(), Error> {
        let values = (uid, gid, mode.into());
        control::set_permissions(Object::Set, self.id, values, None, |(uid, gid, mode)| {
            sem::semctl_set_permissions(self.id, uid, gid, mode)
        })
    }

    /// Changes the mode and leaves owner and group.
    ///
    /// C can only set all three, so this reads them first; on Linux from 4.17 on that works even without read
    /// permission.
    ///
    /// **C calls:** `semctl(IPC_STAT)`, `semctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// Those of [`set_permissions`](Self::set_permissions) and, where owner and group cannot be read, of
    /// [`status`](Self::status).
    ///
    /// ```
    /// use sysvshm::{Key, Mode, SemaphoreSet};
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// set.set_mode(0o000)?;
    /// set.set_mode(0o640)?; // not locked out by the step before
    /// assert_eq!(set.status()?.mode(), Mode::from(0o640));
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("chmod", "IPC_SET"))]
    pub fn set_mode(&self, mode: impl Into<Mode>) -> Result<(), Error> {
        let status = status_regardless(self.id)?;
        self.set_permissions(status.owner_uid(), status.owner_gid(), mode)
    }

    /// Gives the set to another user and group and leaves the mode. The creator keeps every right over it.
    ///
    /// **C calls:** `semctl(IPC_STAT)`, `semctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// Those of [`set_mode`](Self::set_mode).
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSet};
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// let status = set.status()?;
    /// set.set_owner(status.owner_uid(), status.owner_gid())?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("chown", "IPC_SET"))]
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<(), Error> {
        let status = status_regardless(self.id)?;
        self.set_permissions(uid, gid, status.mode())
    }

    /// Removes the set at once, for everybody: who waits on it wakes with [`Removed`](ErrorKind::Removed), who
    /// comes later finds [`NoSuchSet`](ErrorKind::NoSuchSet).
    ///
    /// Unlike a segment, a set does not live on until the last user has gone. May be called in a signal handler: it
    /// makes one system call, on failure a few more to find out why, takes no lock and allocates nothing.
    ///
    /// **C call:** `semctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`): only the owner, the creator or a process with `CAP_SYS_ADMIN`.
    /// [`NoSuchSet`](ErrorKind::NoSuchSet) (`EINVAL`, `EIDRM`): it is gone already.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SemaphoreSet};
    ///
    /// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1])?;
    /// set.remove()?;
    /// assert_eq!(set.remove().unwrap_err().kind(), ErrorKind::NoSuchSet);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semctl", "IPC_RMID", "ipcrm"))]
    pub fn remove(&self) -> Result<(), Error> {
        sem::semctl_rmid(self.id).map_err(|errno| self.failed(Command::Remove, errno))
    }

    fn wait(&self, timeout: Option<Duration>) -> Wait {
        Wait {
            timeout,
            interruptible: self.interruptible,
        }
    }

    fn failed(&self, command: Command, errno: Errno) -> Error {
        Error::from_call(self.semctl(command), errno)
    }

    fn semctl(&self, command: Command) -> Call {
        Call::semctl(self.id, command)
    }
}

/// The status even without read permission, where the system has a way (`SEM_STAT_ANY`, Linux 4.17).
pub(super) fn status_regardless(id: i32) -> Result<SemaphoreSetStatus, Error> {
    let (stat, any) = (sem::semctl_stat, sem::sem_stat_any);
    let raw = control::status_regardless(Object::Set, id, stat, any)?;
    Ok(SemaphoreSetStatus::new(id, &raw))
}
