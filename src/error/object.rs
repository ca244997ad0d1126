//! What the kernel keeps under a key and an identifier, and what is said about each kind of it.
//!
//! Segments, sets and queues fail alike: no such key, no such identifier, not allowed, too small, too many. So one
//! diagnosis serves all, and what differs stands in one table per kind of object. A further kind costs a table.

use super::kind::ErrorKind;
use crate::sys::{Errno, RawKey, msg, os, process, sem, shm};
use std::ffi::c_int;
use std::fmt;

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    Segment,
    Set,
    Queue,
}

/// What differs between the kinds.
pub(super) struct Table {
    /// In a sentence of its own: `no semaphore set has this key`.
    pub(super) name: &'static str,
    /// Before an identifier: `set 5`.
    pub(super) short: &'static str,
    /// What [`Facts::amount`] counts.
    pub(super) unit: &'static str,
    /// The C functions that find and that control it.
    pub(super) get: &'static str,
    pub(super) control: &'static str,
    /// The prefix of its commands: `SEM_STAT`.
    pub(super) prefix: &'static str,
    /// The option by which ipcrm(1) knows it.
    pub(super) option: &'static str,
    /// What its creator has in hand, should it be a stranger.
    pub(super) stake: &'static str,
    /// Which permission bits each call needs.
    pub(super) bits: &'static str,
    /// The limit on how many there may be, and how to get below a limit.
    pub(super) limit: &'static str,
    pub(super) make_room: &'static str,
    /// The kinds of error that only it has.
    pub(super) gone: ErrorKind,
    pub(super) too_small: ErrorKind,
    pub(super) full: ErrorKind,
    /// Finds one by its key, and asks for nothing.
    pub(super) find: fn(RawKey) -> Result<c_int, Errno>,
    /// `IPC_STAT`.
    pub(super) status: fn(c_int) -> Result<Facts, Errno>,
    /// `SHM_STAT_ANY` and its kin, which needs no permission: the facts and whose they are.
    pub(super) status_any: fn(c_int) -> Result<(Facts, c_int), Errno>,
    /// How many there may be, and how many there are.
    pub(super) count: fn() -> Result<[u64; 2], Errno>,
}

const SEGMENT: Table = Table {
    name: "segment",
    short: "segment",
    unit: "bytes",
    get: "shmget",
    control: "shmctl",
    prefix: "SHM",
    option: "-m",
    stake: "what is in it",
    bits: "reading the status needs the read bit of the mode",
    limit: "shmmni",
    make_room: "no disk is involved: remove unused segments (`ipcs -m`, `ipcrm -m ID`) or raise the limit",
    gone: ErrorKind::NoSuchSegment,
    too_small: ErrorKind::SegmentTooSmall,
    full: ErrorKind::SegmentLimit,
    find: |key| shm::shmget(key, 0, 0),
    status: |id| shm::shmctl_stat(id).map(|status| Facts::of_segment(id, &status)),
    status_any: |id| {
        os::shm_stat_any(id).map(|(status, found)| (Facts::of_segment(id, &status), found))
    },
    count: || Ok([os::limits()?.1, os::usage()?[0]]),
};

const SET: Table = Table {
    name: "semaphore set",
    short: "set",
    unit: "semaphores",
    get: "semget",
    control: "semctl",
    prefix: "SEM",
    option: "-s",
    stake: "who may block whom",
    bits: "reading and waiting for zero need the read bit of the mode, operations and setting values the write bit",
    limit: "SEMMNI, the fourth number of /proc/sys/kernel/sem",
    make_room: "no disk is involved: remove unused sets (`ipcs -s`, `ipcrm -s ID`) or raise the limit",
    gone: ErrorKind::NoSuchSet,
    too_small: ErrorKind::SetTooSmall,
    full: ErrorKind::SetLimit,
    find: |key| sem::semget(key, 0, 0),
    status: |id| sem::semctl_stat(id).map(|status| Facts::of_set(id, &status)),
    status_any: |id| {
        sem::sem_stat_any(id).map(|(status, found)| (Facts::of_set(id, &status), found))
    },
    count: || Ok([sem::limits()?.sets, sem::usage()?[0]]),
};

const QUEUE: Table = Table {
    name: "message queue",
    short: "queue",
    unit: "bytes at most",
    get: "msgget",
    control: "msgctl",
    prefix: "MSG",
    option: "-q",
    stake: "which messages arrive",
    bits: "reading the status and receiving need the read bit of the mode, sending the write bit",
    limit: "msgmni",
    make_room: "no disk is involved: remove unused queues (`ipcs -q`, `ipcrm -q ID`) or raise the limit",
    gone: ErrorKind::NoSuchQueue,
    // A queue is never asked to have a size when it is found.
    too_small: ErrorKind::Other,
    full: ErrorKind::QueueLimit,
    find: |key| msg::msgget(key, 0),
    status: |id| msg::msgctl_stat(id).map(|status| Facts::of_queue(id, &status)),
    status_any: |id| {
        msg::msg_stat_any(id).map(|(status, found)| (Facts::of_queue(id, &status), found))
    },
    count: || Ok([msg::limits()?.queues, msg::usage()?[0]]),
};

impl Object {
    pub(super) fn table(self) -> &'static Table {
        match self {
            Self::Segment => &SEGMENT,
            Self::Set => &SET,
            Self::Queue => &QUEUE,
        }
    }

    /// What can be seen of the object under `key`.
    pub(super) fn by_key(self, key: RawKey) -> Option<Facts> {
        if key == libc::IPC_PRIVATE {
            // The call would create one.
            return None;
        }
        self.by_id((self.table().find)(key).ok()?)
    }

    /// What can be seen of object `id`: with `IPC_STAT`, else without permission.
    pub(super) fn by_id(self, id: c_int) -> Option<Facts> {
        match (self.table().status)(id) {
            Ok(facts) => Some(facts),
            Err(_) => match (self.table().status_any)(id) {
                // The kernel takes the slot out of the id and ignores the rest: the answer may be about another
                // object.
                Ok((facts, found)) if found == id => Some(facts),
                _ => None,
            },
        }
    }

    /// The errno with which `IPC_STAT` fails, 0 if it does not.
    pub(super) fn status_errno(self, id: c_int) -> c_int {
        (self.table().status)(id).map_or_else(|errno| errno.0, |_| 0)
    }

    /// Whether the kernel says that no object has this identifier.
    pub(super) fn is_gone(self, id: c_int) -> bool {
        matches!(self.status_errno(id), libc::EINVAL | libc::EIDRM)
    }
}

/// What the kernel said about the object that stood in the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(super) object: Object,
    pub(super) id: i32,
    /// Its size in [`Table::unit`].
    pub(super) amount: u64,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) creator_uid: u32,
    /// 0 where it is not known.
    pub(super) creator_pid: i32,
    /// 0 for what is never attached.
    pub(super) attached: u32,
    /// The user that this process acts for.
    pub(super) euid: u32,
}

/// `set 5`.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object.table().short, self.id)
    }
}

#[allow(clippy::unnecessary_cast)] // Widths differ by target.
impl Facts {
    fn of_segment(id: c_int, status: &libc::shmid_ds) -> Self {
        Self {
            creator_pid: status.shm_cpid,
            attached: u32::try_from(status.shm_nattch as u64).unwrap_or(u32::MAX),
            ..Self::of(
                Object::Segment,
                id,
                status.shm_segsz as u64,
                status.shm_perm,
            )
        }
    }

    fn of_set(id: c_int, status: &sem::semid_ds) -> Self {
        Self::of(Object::Set, id, status.sem_nsems as u64, status.sem_perm)
    }

    fn of_queue(id: c_int, status: &msg::msqid_ds) -> Self {
        Self::of(Object::Queue, id, status.msg_qbytes as u64, status.msg_perm)
    }

    fn of(object: Object, id: c_int, amount: u64, permissions: libc::ipc_perm) -> Self {
        Self {
            object,
            id,
            amount,
            mode: permissions.mode as u16 & 0o777,
            uid: permissions.uid,
            gid: permissions.gid,
            creator_uid: permissions.cuid,
            creator_pid: 0,
            attached: 0,
            euid: process::effective_uid(),
        }
    }
}

impl ErrorKind {
    /// What it says about an object of this kind.
    pub(super) fn about(self, object: Object) -> Words {
        Words(self, object)
    }
}

/// The kind in a message, where the object is known.
pub(super) struct Words(ErrorKind, Object);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.1.table().name;
        match self.0 {
            ErrorKind::NotFound => write!(f, "no {name} has this key"),
            ErrorKind::AlreadyExists => write!(f, "a {name} with this key exists already"),
            ErrorKind::Removed => write!(f, "the {name} was removed while this process waited"),
            ErrorKind::ForeignCreator => write!(f, "the {name} was created by another user"),
            kind => kind.fmt(f),
        }
    }
}
