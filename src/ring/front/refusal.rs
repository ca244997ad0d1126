//! Why an operation on a ring did nothing. Small, and they give the item back.

use crate::error::{ErrorKind, known_kind};
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

    /// Returns what went wrong, in a form to match on.
    ///
    /// ```
    /// use sysvshm::ErrorKind;
    /// use sysvshm::bounded_buffer::{PopError, PushError};
    /// assert_eq!(PushError::Full(5).kind(), ErrorKind::WouldBlock);
    /// assert_eq!(PopError::PeerDead.kind(), ErrorKind::PeerGone);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full(_) => ErrorKind::WouldBlock,
            Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::PeerDead(_) | Self::PeerLeft(_) => ErrorKind::PeerGone,
            Self::Removed(_) => ErrorKind::Removed,
            Self::Cancelled(_) => ErrorKind::Cancelled,
            Self::Interrupted(_) => ErrorKind::Interrupted,
            Self::Corrupted(_) => ErrorKind::LayoutMismatch,
            Self::Forked(_) => ErrorKind::Forked,
        }
    }

    /// Why a wait for room ended.
    #[cold]
    #[inline(never)]
    pub(super) fn of_wait(error: WaitError, item: T) -> Self {
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
    pub(super) fn of_try(error: TryError, item: T) -> Self {
        match error {
            TryError::WouldBlock => Self::Full(item),
            TryError::Corrupted => Self::Corrupted(item),
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn forked(item: T) -> Self {
        Self::Forked(item)
    }
}

impl PopError {
    /// Returns what went wrong, in a form to match on. As [`PushError::kind`], which has an example.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Empty => ErrorKind::WouldBlock,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::PeerDead | Self::PeerLeft => ErrorKind::PeerGone,
            Self::Removed => ErrorKind::Removed,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Corrupted => ErrorKind::LayoutMismatch,
            Self::Forked => ErrorKind::Forked,
        }
    }
}

known_kind!(PushError<T>, PopError);

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
        Self::new(error.kind().to_io(), error)
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
        Self::new(error.kind().to_io(), error)
    }
}
