//! [`SegmentId`]: what can be asked of a segment without attaching it.

use crate::control;
use crate::error::{Asked, Call, Command, Error, ErrorKind, Object};
use crate::flags::Mode;
use crate::key::Key;
use crate::sys::{Errno, shm};
use crate::text::identifier_as_text;

/// The kernel's identifier of a segment: C's `shmid`.
///
/// Unlike a [`Key`], which is a name, an identifier is the segment itself: it stays valid until the segment is
/// gone, and works even for segments without a key and, on Linux, for those marked for removal. It means something
/// only inside one IPC namespace. Any number from 0 up may be one; 0 is ordinary in containers.
///
/// Identifiers are plain numbers, so one can be handed to another process in any way, and be kept too long: the
/// kernel gives a number again only after many others, but nothing forbids it. While a segment is attached its
/// identifier cannot be reused.
///
/// ```
/// use sysvshm::{Key, SegmentId, SegmentOptions};
///
/// let segment = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
/// let text = segment.id().to_string();                 // over a pipe, an argument, a file
/// let id: SegmentId = text.parse().unwrap();
/// let other = id.attach()?;
/// other.write_at(0, b"hello")?;
/// id.mark_for_removal()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "shmid")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(i32);

impl SegmentId {
    /// Looks up the segment that has this key, without asking for any access.
    ///
    /// **C call:** `shmget(key, 0, 0)`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) (`ENOENT`): none has it. [`InvalidInput`](ErrorKind::InvalidInput) for
    /// [`Key::PRIVATE`], with which the kernel would create a segment.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentId, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// assert_eq!(SegmentId::find(key).unwrap_err().kind(), ErrorKind::NotFound);
    /// let id = SegmentOptions::new().size_bytes(1).create_unattached(key)?;
    /// assert_eq!(SegmentId::find(key)?, id);
    /// id.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shmget")]
    pub fn find(key: Key) -> Result<Self, Error> {
        Self::get(key, 0, 0)
    }

    /// `shmget` for an existing segment; refuses the private key.
    pub(super) fn get(key: Key, size: usize, mode: u32) -> Result<Self, Error> {
        let raw = key.as_raw();
        let flags = mode as i32;
        let call = Call::Get {
            key: raw,
            asked: Asked::Bytes(size),
            flags,
        };
        control::refuse_private(key, Object::Segment, || call.clone())?;
        let mut attempts_left = 10;
        loop {
            let error = match shm::shmget(raw, size, flags) {
                Ok(id) => return Ok(Self(id)),
                Err(errno) => Error::from_call(call.clone(), errno),
            };
            // What was too small is replaced by now, if nothing too small can be seen.
            let replaced = error.kind() == ErrorKind::SegmentTooSmall && error.hint().is_none();
            attempts_left -= 1;
            if !replaced || attempts_left == 0 {
                return Err(error);
            }
        }
    }

    /// The identifier with this number, whether or not a segment has it.
    ///
    /// **C call:** none.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, SegmentId};
    ///
    /// assert_eq!(SegmentId::from_raw(5).as_raw(), 5);
    /// assert_eq!(SegmentId::from_raw(-1).status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    /// ```
    #[must_use]
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// The number as C has it.
    ///
    /// ```
    /// assert_eq!(sysvshm::SegmentId::from_raw(32_768).as_raw(), 32_768);
    /// ```
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }

    /// Changes owner, group and mode in one step.
    ///
    /// **C call:** `shmctl(id, IPC_SET)`, once. It needs no read permission, so it works even where
    /// [`status`](Self::status) does not.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`): only the owner, the creator or a process with `CAP_SYS_ADMIN`.
    /// [`NoSuchSegment`](ErrorKind::NoSuchSegment) (`EINVAL`, `EIDRM`). [`InvalidInput`](ErrorKind::InvalidInput):
    /// an id of -1 (`EINVAL`), or a mode beyond 0777, which the kernel would cut silently.
    ///
    /// ```
    /// use sysvshm::{Key, Mode, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let status = segment.status()?;
    /// segment.id().set_permissions(status.owner_uid(), status.owner_gid(), 0o444)?;
    /// assert_eq!(segment.status()?.mode(), Mode::from(0o444));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmctl", "IPC_SET"))]
    pub fn set_permissions(self, uid: u32, gid: u32, mode: impl Into<Mode>) -> Result<(), Error> {
        let values = (uid, gid, mode.into());
        control::set_permissions(Object::Segment, self.0, values, None, |(uid, gid, mode)| {
            shm::shmctl_set_permissions(self.0, uid, gid, mode)
        })
    }

    /// Changes the mode and leaves owner and group.
    ///
    /// C can only set all three, so this reads them first. It keeps working for an owner who took his own read
    /// permission away, where the system tells the owner without it (Linux 4.17).
    ///
    /// **C calls:** `shmctl(id, IPC_STAT)`, or `SHM_STAT_ANY` where the mode forbids reading;
    /// `shmctl(id, IPC_SET)`.
    ///
    /// # Errors
    ///
    /// Those of [`set_permissions`](Self::set_permissions) and, where owner and group cannot be read, of
    /// [`status`](Self::status).
    ///
    /// ```
    /// use sysvshm::{Key, Mode, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// segment.id().set_mode(0o000)?;
    /// segment.id().set_mode(0o640)?; // not locked out by the step before
    /// assert_eq!(segment.status()?.mode(), Mode::from(0o640));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("chmod", "IPC_SET"))]
    pub fn set_mode(self, mode: impl Into<Mode>) -> Result<(), Error> {
        let status = self.status_regardless()?;
        self.set_permissions(status.owner_uid(), status.owner_gid(), mode)
    }

    /// Gives the segment to another user and group and leaves the mode. The creator keeps every right over it.
    ///
    /// **C calls:** those of [`set_mode`](Self::set_mode).
    ///
    /// # Errors
    ///
    /// Those of [`set_mode`](Self::set_mode).
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let status = segment.status()?;
    /// segment.id().set_owner(status.owner_uid(), status.owner_gid())?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("chown", "IPC_SET"))]
    pub fn set_owner(self, uid: u32, gid: u32) -> Result<(), Error> {
        let status = self.status_regardless()?;
        self.set_permissions(uid, gid, status.mode())
    }

    /// Keeps the segment's pages from being swapped out. This is no mutex: it excludes nobody from the memory.
    ///
    /// Pages come in when they are touched, not by this call. The whole size counts against `RLIMIT_MEMLOCK`.
    /// Repeating it changes nothing. Without effect on explicit huge pages, which are never swapped.
    ///
    /// **C call:** `shmctl(id, SHM_LOCK)`. Linux.
    ///
    /// # Errors
    ///
    /// [`LockLimit`](ErrorKind::LockLimit): `ENOMEM` over `RLIMIT_MEMLOCK`, or `EPERM` with a limit of 0.
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`). [`NoSuchSegment`](ErrorKind::NoSuchSegment) (`EINVAL`,
    /// `EIDRM`). [`Unsupported`](ErrorKind::Unsupported) on macOS and FreeBSD, whose kernels have it not.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// segment.id().lock_in_memory()?;
    /// assert!(segment.status()?.is_locked_in_memory());
    /// segment.id().unlock_from_memory()?;
    /// assert!(!segment.status()?.is_locked_in_memory());
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("SHM_LOCK", "mlock"))]
    pub fn lock_in_memory(self) -> Result<(), Error> {
        shm::shmctl_lock(self.0, true).map_err(|errno| self.failed(Command::Lock, errno))
    }

    /// Lets the segment's pages be swapped out again.
    ///
    /// **C call:** `shmctl(id, SHM_UNLOCK)`. Linux.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`), [`NoSuchSegment`](ErrorKind::NoSuchSegment) (`EINVAL`,
    /// `EIDRM`), [`Unsupported`](ErrorKind::Unsupported) on macOS and FreeBSD.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// segment.id().unlock_from_memory()?; // never locked: no error
    /// assert!(!segment.status()?.is_locked_in_memory());
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("SHM_UNLOCK", "munlock"))]
    pub fn unlock_from_memory(self) -> Result<(), Error> {
        shm::shmctl_lock(self.0, false).map_err(|errno| self.failed(Command::Unlock, errno))
    }

    /// Marks the segment for removal: it lives on until its last detach, and goes at once if nobody is attached.
    ///
    /// Its key is free from this moment. On Linux its identifier still attaches, and marking it again does nothing.
    /// On macOS no new attach is possible, on FreeBSD `kern.ipc.shm_allow_removed` decides. No way leads back.
    ///
    /// This may be called in a signal handler: it makes one system call, on failure a few more to find out why,
    /// takes no lock and allocates nothing. Like `shmctl` itself it may change `errno`.
    ///
    /// **C call:** `shmctl(id, IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`): only the owner, the creator or a process with `CAP_SYS_ADMIN`.
    /// [`NoSuchSegment`](ErrorKind::NoSuchSegment) (`EINVAL`, `EIDRM`): it is gone already.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(key)?;
    /// segment.id().mark_for_removal()?;
    /// assert_eq!(SegmentOptions::new().open(key).unwrap_err().kind(), ErrorKind::NotFound);
    /// segment.write_at(0, b"!")?; // still here
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmctl", "IPC_RMID", "ipcrm"))]
    pub fn mark_for_removal(self) -> Result<(), Error> {
        shm::shmctl_rmid(self.0).map_err(|errno| self.failed(Command::Remove, errno))
    }

    pub(super) fn failed(self, command: Command, errno: Errno) -> Error {
        Error::from_call(Call::shmctl(self.0, command), errno)
    }
}

identifier_as_text!(SegmentId);
