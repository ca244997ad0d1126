//! [`Role`]: what a handle of a ring is for; [`PeerState`]: what is known of those who have one.

use crate::liveness::Liveness;

/// What a handle is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It pushes.
    Producer,
    /// It pops.
    Consumer,
}

impl Role {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// What is known about the holder of a role, or in [`mpmc`](crate::bounded_buffer::mpmc) about all its holders
/// together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerState {
    /// Nobody has had the role yet.
    Never,
    /// A process has it and lives. (One that is stopped does.) One of many is enough.
    Alive,
    /// Whoever had it gave it back, or, in [`mpmc`](crate::bounded_buffer::mpmc), died and was recovered.
    Left,
    /// Whoever has it is dead. The next to claim it goes on at the exact position; in
    /// [`mpmc`](crate::bounded_buffer::mpmc) the others recover what the dead left.
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
