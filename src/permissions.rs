//! What every status says in the same way: key, mode, owner and creator (`struct ipc_perm`), times and processes.

use crate::flags::Mode;
use crate::key::Key;
use crate::sys::os;
use crate::sysvipc::Row;
use std::time::{Duration, SystemTime};

/// `struct ipc_perm`, alike on all systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub(crate) key: Key,
    /// With the kernel's own flags.
    pub(crate) mode_word: u32,
    /// User and group.
    pub(crate) owner: (u32, u32),
    pub(crate) creator: (u32, u32),
}

impl Permissions {
    pub(crate) fn new(raw: libc::ipc_perm) -> Self {
        #[allow(clippy::useless_conversion)] // Widths differ by target.
        Self {
            key: Key::from_raw(os::key(raw)),
            mode_word: u32::from(raw.mode),
            owner: (raw.uid, raw.gid),
            creator: (raw.cuid, raw.cgid),
        }
    }

    /// From a line of `/proc/sysvipc`.
    pub(crate) fn of_row(row: &Row<'_>) -> Option<Self> {
        Some(Self {
            key: Key::from_raw(row.get("key")?),
            mode_word: row.mode()?,
            owner: (row.get("uid")?, row.get("gid")?),
            creator: (row.get("cuid")?, row.get("cgid")?),
        })
    }

    pub(crate) fn mode(self) -> Mode {
        Mode::from_bits_truncate(self.mode_word)
    }
}

/// The methods by which a status with a field `permissions` shows owner and creator; `$change` is the method that can
/// change the owner.
macro_rules! owner_and_creator {
    ($change:literal) => {
        #[doc = concat!("Returns the owner's user id, which [`set_owner`](", $change, ") can change.")]
        #[doc(alias = "uid")]
        #[must_use]
        pub fn owner_uid(&self) -> u32 {
            self.permissions.owner.0
        }

        #[doc = concat!("Returns the owner's group id, which [`set_owner`](", $change, ") can change.")]
        #[doc(alias = "gid")]
        #[must_use]
        pub fn owner_gid(&self) -> u32 {
            self.permissions.owner.1
        }

        /// Returns the creator's effective user id. Nobody can change it.
        #[doc(alias = "cuid")]
        #[must_use]
        pub fn creator_uid(&self) -> u32 {
            self.permissions.creator.0
        }

        /// Returns the creator's effective group id. Nobody can change it.
        #[doc(alias = "cgid")]
        #[must_use]
        pub fn creator_gid(&self) -> u32 {
            self.permissions.creator.1
        }
    };
}
pub(crate) use owner_and_creator;

/// A process id of a status; 0 where there was none, or none with a number in this pid namespace.
pub(crate) fn pid(raw: i32) -> Option<u32> {
    u32::try_from(raw).ok().filter(|&pid| pid != 0)
}

/// A time of a status; 0 for never.
pub(crate) fn time(seconds: i64) -> Option<SystemTime> {
    let seconds = u64::try_from(seconds).ok().filter(|&s| s != 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
