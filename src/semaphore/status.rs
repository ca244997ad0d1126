//! [`SemaphoreSetStatus`]: what the kernel knows about a set, as one snapshot.

use crate::flags::Mode;
use crate::key::Key;
use crate::sys::sem;
use crate::sysvipc::Row;
use std::time::{Duration, SystemTime};

/// What `IPC_STAT` said about a semaphore set, at one moment.
///
/// ```
/// use sysvshm::{Key, Mode, SemaphoreSet};
///
/// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 5, 0])?;
/// let status = set.status()?;
/// assert_eq!((status.id(), status.len(), status.mode()), (set.id(), 3, Mode::from(0o600)));
/// assert!(status.operation_time().is_some()); // ready for whoever waits for that
/// set.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("semid_ds", "IPC_STAT", "ipc_perm"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SemaphoreSetStatus {
    id: i32,
    key: Key,
    len: usize,
    mode_word: u32,
    owner: (u32, u32),
    creator: (u32, u32),
    /// Operation, change; seconds since 1970, 0 for never.
    times: [i64; 2],
}

#[allow(clippy::len_without_is_empty)] // A set has at least one semaphore.
impl SemaphoreSetStatus {
    pub(crate) fn new(id: i32, raw: &sem::semid_ds) -> Self {
        let permissions = raw.sem_perm;
        #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // Widths differ by target.
        Self {
            id,
            key: Key::from_raw(sem::key(raw)),
            len: raw.sem_nsems as usize,
            mode_word: u32::from(permissions.mode),
            owner: (permissions.uid, permissions.gid),
            creator: (permissions.cuid, permissions.cgid),
            times: sem::times(raw),
        }
    }

    /// From a line of `/proc/sysvipc/sem`.
    pub(crate) fn of_row(row: &Row<'_>) -> Option<Self> {
        Some(Self {
            id: row.get("semid")?,
            key: Key::from_raw(row.get("key")?),
            len: row.get("nsems")?,
            mode_word: row.mode()?,
            owner: (row.get("uid")?, row.get("gid")?),
            creator: (row.get("cuid")?, row.get("cgid")?),
            times: [row.get("otime")?, row.get("ctime")?],
        })
    }

    /// The set's identifier.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The key it can be found under; [`Key::PRIVATE`] if it was created without one.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key
    }

    /// How many semaphores it has, at least 1.
    #[doc(alias = "sem_nsems")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The nine permission bits. Reading and waiting for zero need the read bit, everything that changes a value
    /// the write bit.
    #[must_use]
    pub fn mode(&self) -> Mode {
        Mode::from_bits_truncate(self.mode_word)
    }

    /// The owner's user id, which [`set_owner`](crate::SemaphoreSet::set_owner) can change.
    #[must_use]
    pub fn owner_uid(&self) -> u32 {
        self.owner.0
    }

    /// The owner's group id, which [`set_owner`](crate::SemaphoreSet::set_owner) can change.
    #[must_use]
    pub fn owner_gid(&self) -> u32 {
        self.owner.1
    }

    /// The creator's effective user id. Nobody can change it.
    #[doc(alias = "cuid")]
    #[must_use]
    pub fn creator_uid(&self) -> u32 {
        self.creator.0
    }

    /// The creator's effective group id. Nobody can change it.
    #[doc(alias = "cgid")]
    #[must_use]
    pub fn creator_gid(&self) -> u32 {
        self.creator.1
    }

    /// When an operation last succeeded, in whole seconds; `None` for never, which is how openers know a set that
    /// is not yet initialised.
    #[doc(alias = "sem_otime")]
    #[must_use]
    pub fn operation_time(&self) -> Option<SystemTime> {
        time(self.times[0])
    }

    /// When it was created or its values, owner or mode were last set, in whole seconds.
    #[doc(alias = "sem_ctime")]
    #[must_use]
    pub fn change_time(&self) -> Option<SystemTime> {
        time(self.times[1])
    }
}

fn time(seconds: i64) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok().filter(|&s| s != 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
