//! How the kernel is asked about a segment that the asking process may have no right to.
//!
//! | way | costs | cannot tell |
//! |---|---|---|
//! | `shmctl(SHM_STAT_ANY)` | one call | before Linux 4.17, under emulators that lack it, behind a filter: mostly `EINVAL`, as if the segment were gone |
//! | `/proc/sysvipc/shm` | reading the list of all segments | where the file is hidden |
//! | `shmctl(IPC_STAT)` | one call | who may not read the segment hears `EACCES`: it is there, but perhaps another one |
//!
//! No answer "there is none" counts unless the same way shows a segment that is surely there: see
//! [`NamespaceAnchor::is_shown_by`](super::NamespaceAnchor::is_shown_by).

use crate::segment::table;
use crate::sys::{Errno, os, shm};
use std::sync::atomic::{AtomicU8, Ordering};

/// A way of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    StatAny,
    List,
    Stat,
}

/// What the kernel says about an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Found(Seen),
    /// A segment has it, and this process may not read which one.
    Unreadable,
    /// No segment has it, or the call is unknown.
    Missing,
    /// Refused, or failed for another reason.
    Silent,
}

/// What is used of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) size_bytes: u64,
    /// As numbered in the pid namespace of the process that asks; 0 if it has no number there.
    pub(super) creator_pid: i32,
    /// Seconds since 1970.
    pub(super) change_time: i64,
}

/// The way that told last, to begin with: the index in [`Way::ALL`]. A hint alone.
static FIRST: AtomicU8 = AtomicU8::new(0);

impl Way {
    const ALL: [Self; 3] = [Self::StatAny, Self::List, Self::Stat];

    /// All ways, the one that told last before the others.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let first = usize::from(FIRST.load(Ordering::Relaxed));
        let others = (0..Self::ALL.len()).filter(move |&index| index != first);
        std::iter::once(first)
            .chain(others)
            .map(|index| Self::ALL[index])
    }

    /// Notes that this way tells in this process.
    pub(super) fn prefer(self) {
        FIRST.store(self as u8, Ordering::Relaxed);
    }

    /// Asks about an identifier in the IPC namespace of the calling thread.
    pub(super) fn ask(self, id: i32) -> Answer {
        match self {
            Self::StatAny => match os::shm_stat_any(id) {
                // The kernel finds the slot by the low bits of the identifier and ignores the others: the segment
                // in it may be another one by now.
                Ok((_, found)) if found != id => Answer::Missing,
                Ok((status, _)) => Answer::Found(Seen::new(&status)),
                Err(errno) => Answer::of(errno),
            },
            Self::List => match table::read() {
                None => Answer::Silent,
                Some(list) => list
                    .iter()
                    .map(|listed| &listed.status)
                    .find(|status| status.id().as_raw() == id)
                    .map_or(Answer::Missing, |status| {
                        Answer::Found(Seen {
                            size_bytes: status.size_bytes() as u64,
                            creator_pid: status.creator_pid().map_or(0, |pid| pid as i32),
                            change_time: status.change_seconds(),
                        })
                    }),
            },
            Self::Stat => match shm::shmctl_stat(id) {
                Ok(status) => Answer::Found(Seen::new(&status)),
                Err(Errno(libc::EACCES)) => Answer::Unreadable,
                Err(errno) => Answer::of(errno),
            },
        }
    }
}

impl Answer {
    fn of(errno: Errno) -> Self {
        match errno.0 {
            libc::EINVAL | libc::EIDRM => Self::Missing,
            _ => Self::Silent,
        }
    }
}

impl Seen {
    fn new(status: &libc::shmid_ds) -> Self {
        let [_, _, change_time] = os::times(status);
        #[allow(clippy::unnecessary_cast)] // The width differs by target.
        Self {
            size_bytes: status.shm_segsz as u64,
            creator_pid: status.shm_cpid,
            change_time,
        }
    }
}
