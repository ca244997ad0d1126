//! [`Status`]: what the kernel knows about a segment, as one snapshot.

use crate::control;
use crate::error::{Command, Error, Object};
use crate::flags::Mode;
use crate::key::Key;
use crate::permissions::{Permissions, owner_and_creator, pid, time};
use crate::segment::SegmentId;
use crate::sys::{os, process, shm};
use std::time::SystemTime;

/// What `IPC_STAT` said about a segment, at one moment.
///
/// Nothing here is live: whoever acts on it races with every other process. See each method for what it may be used
/// for.
///
/// ```
/// use sysvshm::{Key, Mode, SegmentOptions};
///
/// let segment = SegmentOptions::new().size_bytes(100).mode(0o640).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let status = segment.status()?;
/// assert_eq!(status.size_bytes(), 100); // as asked, although whole pages are mapped
/// assert_eq!(status.mode(), Mode::from(0o640));
/// assert_eq!(status.attached(), 1);
/// assert_eq!(status.creator_pid(), Some(std::process::id()));
/// assert!(status.is_marked_for_removal());
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// The rest of it, for a segment that nobody has attached yet:
///
/// ```
/// use sysvshm::{Key, ProcessState, SegmentOptions};
///
/// let key = Key::random()?;
/// let id = SegmentOptions::new().size_bytes(1).create_unattached(key)?;
/// let status = id.status()?;
/// assert_eq!((status.id(), status.key()), (id, key));
/// assert_eq!((status.owner_uid(), status.owner_gid()), (status.creator_uid(), status.creator_gid()));
/// assert_eq!(status.creator_state(), ProcessState::Alive);
/// assert_eq!((status.last_pid(), status.last_state()), (None, ProcessState::Unknown));
/// assert_eq!((status.attach_time(), status.detach_time()), (None, None));
/// assert!(status.change_time().is_some());
/// assert!(!status.is_marked_for_removal() && !status.is_locked_in_memory());
///
/// drop(id.attach()?);
/// let status = id.status()?;
/// assert_eq!((status.last_pid(), status.last_state()), (Some(std::process::id()), ProcessState::Alive));
/// assert!(status.attach_time().is_some() && status.detach_time() >= status.attach_time());
/// id.mark_for_removal()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("shmid_ds", "IPC_STAT", "ipc_perm"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub(super) id: SegmentId,
    pub(super) permissions: Permissions,
    pub(super) size_bytes: usize,
    pub(super) creator_pid: i32,
    pub(super) last_pid: i32,
    pub(super) attached: u64,
    /// Attach, detach, change; seconds since 1970, 0 for never.
    pub(super) times: [i64; 3],
}

impl Status {
    pub(crate) fn new(id: SegmentId, raw: &libc::shmid_ds) -> Self {
        #[allow(clippy::unnecessary_cast)] // Widths differ by target.
        Self {
            id,
            permissions: Permissions::new(raw.shm_perm),
            size_bytes: raw.shm_segsz as usize,
            creator_pid: raw.shm_cpid,
            last_pid: raw.shm_lpid,
            attached: raw.shm_nattch as u64,
            times: os::times(raw),
        }
    }

    /// The segment's identifier.
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// The key it can be found under: [`Key::PRIVATE`] if it was created without one, and on Linux also once it is
    /// marked for removal.
    #[must_use]
    pub fn key(&self) -> Key {
        self.permissions.key
    }

    /// Its size in bytes, exactly as its creator asked. The memory itself comes in whole pages, zeroed.
    #[doc(alias = "shm_segsz")]
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The nine permission bits, without the kernel's own flags, which some systems show in the same word.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.permissions.mode()
    }

    /// Whether the segment goes at its last detach. No way leads back.
    #[doc(alias = "SHM_DEST")]
    #[must_use]
    pub fn is_marked_for_removal(&self) -> bool {
        self.permissions.mode_word & os::SHM_DEST != 0
    }

    /// Whether its pages stay in memory; see [`SegmentId::lock_in_memory`].
    #[doc(alias = "SHM_LOCKED")]
    #[must_use]
    pub fn is_locked_in_memory(&self) -> bool {
        self.permissions.mode_word & os::SHM_LOCKED != 0
    }

    owner_and_creator!("crate::SegmentId::set_owner");

    /// The process that created the segment, as numbered in this pid namespace; `None` where it has no number here.
    ///
    /// The number stays when the process ends and may by then belong to another one.
    #[doc(alias = "shm_cpid")]
    #[must_use]
    pub fn creator_pid(&self) -> Option<u32> {
        pid(self.creator_pid)
    }

    /// The process that last attached or detached; `None` before the first attach, or where it has no number in
    /// this pid namespace.
    ///
    /// After a fork Linux names the parent, whose attaches the child inherited.
    #[doc(alias = "shm_lpid")]
    #[must_use]
    pub fn last_pid(&self) -> Option<u32> {
        pid(self.last_pid)
    }

    /// Whether the creating process still exists.
    ///
    /// **C call:** `kill(pid, 0)`.
    #[must_use]
    pub fn creator_state(&self) -> ProcessState {
        ProcessState::of(self.creator_pid)
    }

    /// Whether the process that last attached or detached still exists.
    ///
    /// **C call:** `kill(pid, 0)`.
    #[must_use]
    pub fn last_state(&self) -> ProcessState {
        ProcessState::of(self.last_pid)
    }

    /// Seconds since 1970, 0 for never.
    pub(crate) fn change_seconds(&self) -> i64 {
        self.times[2]
    }

    /// How many mappings of the segment exist, all processes together.
    ///
    /// That is not the number of processes: one may attach twice, a forked child inherits every attach, and
    /// `mprotect(2)` on a part splits a mapping in two or three. Only 0 says something for sure, and only for that
    /// moment.
    ///
    /// The guide lists [what changes it](crate::guide::lifecycle#fork-exec-exit-kill). On Linux,
    /// `grep SYSV /proc/*/maps` shows who has what attached: the name holds the key, the inode is the identifier.
    #[doc(alias = "shm_nattch")]
    #[must_use]
    pub fn attached(&self) -> u64 {
        self.attached
    }

    /// When it was last attached, in whole seconds; `None` for never.
    #[doc(alias = "shm_atime")]
    #[must_use]
    pub fn attach_time(&self) -> Option<SystemTime> {
        time(self.times[0])
    }

    /// When it was last detached, in whole seconds; `None` for never.
    #[doc(alias = "shm_dtime")]
    #[must_use]
    pub fn detach_time(&self) -> Option<SystemTime> {
        time(self.times[1])
    }

    /// When it was created or last changed with `IPC_SET`, in whole seconds.
    #[doc(alias = "shm_ctime")]
    #[must_use]
    pub fn change_time(&self) -> Option<SystemTime> {
        time(self.times[2])
    }
}

/// Whether a process exists, as far as this process can tell.
///
/// **C call:** `kill(pid, 0)`.
///
/// ```
/// use sysvshm::{Key, ProcessState, SegmentOptions};
///
/// let id = SegmentOptions::new().size_bytes(1).create_unattached(Key::PRIVATE)?;
/// let status = id.status()?;
/// assert_eq!(status.creator_state(), ProcessState::Alive); // this process
/// assert_eq!(status.last_state(), ProcessState::Unknown); // nobody has attached it yet
/// id.mark_for_removal()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessState {
    /// A process has this number. It may be another one than meant, if the number was used again; a zombie counts
    /// as well.
    Alive,
    /// No process has this number.
    Dead,
    /// It has no number in this pid namespace, so nothing can be said. Treat it as alive.
    Unknown,
}

impl ProcessState {
    pub(crate) fn of(pid: i32) -> Self {
        if pid <= 0 {
            Self::Unknown
        } else if process::exists(pid) {
            Self::Alive
        } else {
            Self::Dead
        }
    }
}

/// Asking for the status.
impl SegmentId {
    /// What the kernel knows about the segment.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): needs the read bit of the mode, even of the
    /// owner; [`status_regardless`](Self::status_regardless) does without.
    /// [`NoSuchSegment`](crate::ErrorKind::NoSuchSegment) (`EINVAL`, `EIDRM`).
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let id = SegmentOptions::new().size_bytes(100).create_unattached(Key::PRIVATE)?;
    /// assert_eq!((id.status()?.size_bytes(), id.status()?.attached()), (100, 0));
    /// id.mark_for_removal()?;
    /// assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmctl", "IPC_STAT"))]
    pub fn status(self) -> Result<Status, Error> {
        match shm::shmctl_stat(self.as_raw()) {
            Ok(raw) => Ok(Status::new(self, &raw)),
            Err(errno) => Err(self.failed(Command::Status, errno)),
        }
    }

    /// Asks what [`status`](Self::status) does, even where the mode denies reading.
    ///
    /// One segment costs two calls at most, however many exist: use this rather than a search through
    /// [`system::segments`](crate::system::segments).
    ///
    /// **C calls:** `shmctl(id, IPC_STAT)`; where that is `EACCES`, `shmctl(id, SHM_STAT_ANY)`, which Linux has since
    /// 4.17.
    ///
    /// # Errors
    ///
    /// [`NoSuchSegment`](crate::ErrorKind::NoSuchSegment) (`EINVAL`, `EIDRM`).
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): where the system has no such call.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let id = SegmentOptions::new().size_bytes(100).mode(0).create_unattached(Key::PRIVATE)?;
    /// # #[cfg(target_os = "linux")]
    /// assert_eq!(id.status_regardless()?.size_bytes(), 100);
    /// id.mark_for_removal()?;
    /// assert_eq!(id.status_regardless().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmctl", "SHM_STAT_ANY"))]
    pub fn status_regardless(self) -> Result<Status, Error> {
        let (stat, any) = (shm::shmctl_stat, os::shm_stat_any);
        let raw = control::status_regardless(Object::Segment, self.as_raw(), stat, any)?;
        Ok(Status::new(self, &raw))
    }
}
