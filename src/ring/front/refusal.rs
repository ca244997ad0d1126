//! Why an operation on a ring did nothing. Small, and they give the item back.

use crate::ring::protocol::error::TryError;
use crate::ring::wait::WaitError;
use std::io;

/// Why nothing was pushed. `T` is the item, given back; `()` where there is nothing to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError<T> {
    /// There is no room. From the `try_` calls alone.
    #[error("the buffer is full")]
    Full(T),
    /// The time was up.
    #[error("the buffer stayed full until the timeout")]
    TimedOut(T),
    /// The buffer is full, and the consumer is dead. From [`spsc`](crate::bounded_buffer::spsc) alone: with many, others go on.
    #[error("the buffer is full and its consumer is dead")]
    PeerDead(T),
    /// The buffer is full and no consumer is left; reported only if asked
    /// ([`spsc`](crate::bounded_buffer::spsc::Producer::notice_departure), [`mpmc`](crate::bounded_buffer::mpmc::Producer::notice_departure)).
    #[error("the buffer is full and no consumer is left")]
    PeerLeft(T),
    /// The buffer is full, its segment has been removed since the handle was made, and no consumer lives, nor can one
    /// find it by its key any more; with a consumer, reported only
    /// [if asked](crate::bounded_buffer::Producer::notice_removal).
    #[error(
        "the buffer is full, and its segment was removed: other processes cannot find it any more"
    )]
    Removed(T),
    /// A [`Canceller`](crate::bounded_buffer::Canceller) ended the wait.
    #[error("the wait for room was cancelled")]
    Cancelled(T),
    /// The thread handled a signal while it slept; reported only
    /// [if asked](crate::bounded_buffer::Producer::interruptible).
    #[error("a signal interrupted the wait for room")]
    Interrupted(T),
    /// Shared memory holds a position or a slot's word that cannot be. Or 2^64 - 1 items have gone through an
    /// [`spsc`](crate::bounded_buffer::spsc#the-segment) buffer whose capacity is no power of two, which ends there.
    #[error("the buffer is corrupted: somebody wrote what cannot be into its positions or slots")]
    Corrupted(T),
    /// The handle was made before a fork, in the parent.
    #[error("this handle belongs to the parent process; open the buffer again in the forked child")]
    Forked(T),
}

/// Why nothing was popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PopError {
    /// There is no item; in [`mpmc`](crate::bounded_buffer::mpmc) perhaps one behind a push that is not finished. From the `try_`
    /// calls alone.
    #[error("the buffer is empty")]
    Empty,
    /// The time was up.
    #[error("the buffer stayed empty until the timeout")]
    TimedOut,
    /// The buffer is drained, and the producer is dead. From [`spsc`](crate::bounded_buffer::spsc) alone: with many, others go on.
    #[error("the buffer is empty and its producer is dead")]
    PeerDead,
    /// The buffer is drained and no producer is left; reported only if asked
    /// ([`spsc`](crate::bounded_buffer::spsc::Consumer::notice_departure), [`mpmc`](crate::bounded_buffer::mpmc::Consumer::notice_departure)).
    #[error("the buffer is empty and no producer is left")]
    PeerLeft,
    /// The buffer is drained, its segment has been removed since the handle was made, and no producer lives, nor can one
    /// find it by its key any more; with a producer, reported only
    /// [if asked](crate::bounded_buffer::Consumer::notice_removal).
    #[error(
        "the buffer is empty, and its segment was removed: other processes cannot find it any more"
    )]
    Removed,
    /// A [`Canceller`](crate::bounded_buffer::Canceller) ended the wait.
    #[error("the wait for an item was cancelled")]
    Cancelled,
    /// The thread handled a signal while it slept; reported only
    /// [if asked](crate::bounded_buffer::Consumer::interruptible).
    #[error("a signal interrupted the wait for an item")]
    Interrupted,
    /// Shared memory holds a position or a slot's word that cannot be.
    #[error("the buffer is corrupted: somebody wrote what cannot be into its positions or slots")]
    Corrupted,
    /// The handle was made before a fork, in the parent.
    #[error("this handle belongs to the parent process; open the buffer again in the forked child")]
    Forked,
}

impl<T> PushError<T> {
    /// The item.
    ///
    /// ```
    /// use sysvshm::bounded_buffer::PushError;
    /// assert_eq!(PushError::Full(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item)
            | Self::TimedOut(item)
            | Self::PeerDead(item)
            | Self::PeerLeft(item)
            | Self::Removed(item)
            | Self::Cancelled(item)
            | Self::Interrupted(item)
            | Self::Corrupted(item)
            | Self::Forked(item) => item,
        }
    }

    /// Why a wait for room ended.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_wait(error: WaitError, item: T) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut(item),
            WaitError::PeerDead => Self::PeerDead(item),
            WaitError::PeerLeft => Self::PeerLeft(item),
            WaitError::Removed => Self::Removed(item),
            WaitError::Cancelled => Self::Cancelled(item),
            WaitError::Interrupted => Self::Interrupted(item),
            WaitError::Corrupted => Self::Corrupted(item),
        }
    }

    /// Why there was no room.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_try(error: TryError, item: T) -> Self {
        match error {
            TryError::WouldBlock => Self::Full(item),
            TryError::Corrupted => Self::Corrupted(item),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn forked(item: T) -> Self {
        Self::Forked(item)
    }
}

impl From<WaitError> for PopError {
    #[cold]
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut,
            WaitError::PeerDead => Self::PeerDead,
            WaitError::PeerLeft => Self::PeerLeft,
            WaitError::Removed => Self::Removed,
            WaitError::Cancelled => Self::Cancelled,
            WaitError::Interrupted => Self::Interrupted,
            WaitError::Corrupted => Self::Corrupted,
        }
    }
}

impl From<TryError> for PopError {
    fn from(error: TryError) -> Self {
        match error {
            TryError::WouldBlock => Self::Empty,
            TryError::Corrupted => Self::Corrupted,
        }
    }
}

/// `WouldBlock` for `Full`, `TimedOut`, `BrokenPipe` for a peer that is dead or has left and for `Removed`,
/// `InvalidData` for `Corrupted`, `Interrupted`, `Other` for `Cancelled` and `Forked`; the error itself is inside.
impl<T: std::fmt::Debug> From<PushError<T>> for io::Error
where
    PushError<T>: std::error::Error + Send + Sync + 'static,
{
    fn from(error: PushError<T>) -> Self {
        let kind = match &error {
            PushError::Full(_) => io::ErrorKind::WouldBlock,
            PushError::TimedOut(_) => io::ErrorKind::TimedOut,
            PushError::PeerDead(_) | PushError::PeerLeft(_) | PushError::Removed(_) => {
                io::ErrorKind::BrokenPipe
            }
            PushError::Interrupted(_) => io::ErrorKind::Interrupted,
            PushError::Corrupted(_) => io::ErrorKind::InvalidData,
            PushError::Cancelled(_) | PushError::Forked(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// `WouldBlock` for `Empty`, `TimedOut`, `BrokenPipe` for a peer that is dead or has left and for `Removed`,
/// `InvalidData` for `Corrupted`, `Interrupted`, `Other` for `Cancelled` and `Forked`; the error itself is inside.
///
/// ```
/// use std::io;
/// use sysvshm::bounded_buffer::{PopError, PushError};
/// assert_eq!(io::Error::from(PopError::Empty).kind(), io::ErrorKind::WouldBlock);
/// assert_eq!(io::Error::from(PushError::PeerLeft(5)).kind(), io::ErrorKind::BrokenPipe);
/// ```
impl From<PopError> for io::Error {
    fn from(error: PopError) -> Self {
        let kind = match error {
            PopError::Empty => io::ErrorKind::WouldBlock,
            PopError::TimedOut => io::ErrorKind::TimedOut,
            PopError::PeerDead | PopError::PeerLeft | PopError::Removed => {
                io::ErrorKind::BrokenPipe
            }
            PopError::Interrupted => io::ErrorKind::Interrupted,
            PopError::Corrupted => io::ErrorKind::InvalidData,
            PopError::Cancelled | PopError::Forked => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
