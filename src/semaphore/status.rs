//! [`SemaphoreSetStatus`]: what the kernel knows about a set, as one snapshot.

use crate::flags::Mode;
use crate::key::Key;
use crate::permissions::{Permissions, owner_and_creator, time};
use crate::sys::sem;
use crate::sysvipc::Row;
use std::time::SystemTime;

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
    permissions: Permissions,
    len: usize,
    /// Operation, change; seconds since 1970, 0 for never.
    times: [i64; 2],
}

#[allow(clippy::len_without_is_empty)] // A set has at least one semaphore.
impl SemaphoreSetStatus {
    pub(crate) fn new(id: i32, raw: &sem::semid_ds) -> Self {
        #[allow(clippy::unnecessary_cast)] // Widths differ by target.
        Self {
            id,
            permissions: Permissions::new(raw.sem_perm),
            len: raw.sem_nsems as usize,
            times: sem::times(raw),
        }
    }

    /// From a line of `/proc/sysvipc/sem`.
    pub(crate) fn of_row(row: &Row<'_>) -> Option<Self> {
        Some(Self {
            id: row.get("semid")?,
            permissions: Permissions::of_row(row)?,
            len: row.get("nsems")?,
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
        self.permissions.key
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
        self.permissions.mode()
    }

    owner_and_creator!("crate::SemaphoreSet::set_owner");

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
