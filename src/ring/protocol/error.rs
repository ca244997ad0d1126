//! Why a handle could not be made, and why an operation did nothing.

use crate::error::{Error, ErrorKind, known_kind};

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

impl ClaimError {
    /// What went wrong, in a form to match on, as every error of this crate tells it.
    ///
    /// ```
    /// use sysvshm::bounded_buffer::spsc::BoundedBuffer;
    /// use sysvshm::{ErrorKind, Key};
    ///
    /// let ring = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// ring.segment().mark_for_removal()?;
    /// let _first = ring.producer()?;
    /// assert_eq!(ring.producer().unwrap_err().kind(), ErrorKind::InUse);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Taken { .. } | Self::TableFull { .. } => ErrorKind::InUse,
            Self::Forked => ErrorKind::Forked,
            Self::ElsewhereInNamespace => ErrorKind::WrongNamespace,
            Self::System(error) => error.kind(),
        }
    }
}

known_kind!(ClaimError);
