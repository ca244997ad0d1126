//! Why a handle could not be made, and why an operation did nothing.

use crate::error::Error;

/// Why an operation that does not wait did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TryError {
    /// No room, or no item.
    WouldBlock,
    /// Shared memory holds what no participant writes.
    Corrupted,
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
