//! What can go wrong with a ring before and beside its operations.

use crate::Error;
use crate::liveness::Liveness;
use std::time::Duration;

/// Why a ring could not be created or opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A System V call failed.
    #[error(transparent)]
    System(#[from] Error),
    /// The segment holds something else, or a ring of another shape.
    #[error(
        "the segment does not hold this ring: its {what} is {found:#x}, and {expected:#x} was expected"
    )]
    LayoutMismatch {
        /// What differs: `magic`, `version`, `layout`, `item size`, `item alignment`, `capacity`,
        /// `participant table`, `segment size`.
        what: &'static str,
        /// What the segment says.
        found: u64,
        /// What this process expects.
        expected: u64,
    },
    /// Nobody initialised the ring in time, and this process was not told how to, or is not the one who began.
    #[error(
        "the ring was not initialised within {patience:?}; start the process that creates it, or pass a capacity to create it here"
    )]
    NotInitialised {
        /// How long this process waited.
        patience: Duration,
    },
    /// The segment was attached in another IPC namespace than the calling thread is in now: nobody could tell here
    /// whether the ring's participants live, nor there whether this one does.
    #[error(
        "the segment was attached in another IPC namespace than the calling thread is in; open the ring where its segment is"
    )]
    WrongNamespace,
    /// A capacity of 0 or none at all, one that does not fit an address space, or, in an [`mpmc`](super::mpmc)
    /// ring, one beyond 2^31 or a participant table of other than 1 to 512 entries.
    #[error(
        "a ring of {capacity} items cannot be made: a capacity is 1 or more and fits an address space, and in an mpmc ring is at most 2^31, with 1 to 512 participants"
    )]
    CapacityOutOfRange {
        /// What was asked for.
        capacity: u64,
    },
}

/// Why a role could not be claimed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// Another handle has the role, in this process or one that lives.
    #[error("the {role} of this buffer is taken by a process that lives")]
    Taken {
        /// `producer` or `consumer`.
        role: &'static str,
    },
    /// Every entry of the participant table belongs to a handle that lives.
    #[error(
        "all {participants} entries of the buffer's participant table are taken by handles that live; create the buffer with a larger table"
    )]
    TableFull {
        /// How many entries there are.
        participants: usize,
    },
    /// The buffer was opened before a fork, in the parent. Open it again in the child.
    #[error("the buffer was opened in the parent process; open it again in the forked child")]
    Forked,
    /// The calling thread is in another IPC namespace than the buffer: nobody there could tell whether it lives.
    #[error("the calling thread is in another IPC namespace than the buffer")]
    ElsewhereInNamespace,
    /// A System V call failed.
    #[error(transparent)]
    System(#[from] Error),
}

/// What is known about the holder of a role, or in [`mpmc`](super::mpmc) about all its holders together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerState {
    /// Nobody has had the role yet.
    Never,
    /// A process has it and lives. (One that is stopped does.) One of many is enough.
    Alive,
    /// Whoever had it gave it back, or, in [`mpmc`](super::mpmc), died and was recovered.
    Left,
    /// Whoever has it is dead. The next to claim it goes on at the exact position; in [`mpmc`](super::mpmc) the
    /// others recover what the dead left.
    Dead,
    /// A process has it, and whether that lives cannot be told: the calling thread is in another IPC namespace, or
    /// a sandbox lets it ask nothing. Treat it as alive, as the ring does.
    Unknown,
}

impl From<Liveness> for PeerState {
    fn from(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Alive => Self::Alive,
            Liveness::Dead => Self::Dead,
            Liveness::Unknown => Self::Unknown,
        }
    }
}
