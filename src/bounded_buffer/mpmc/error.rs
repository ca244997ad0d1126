//! Why an operation on the ring did nothing. Small, and they give the item back.

use std::io;

/// Why nothing was pushed. `T` is the item, given back; `()` where there is nothing to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError<T> {
    /// The slot that comes next is still taken. From the `try_` calls alone.
    #[error("the buffer is full")]
    Full(T),
    /// The time was up.
    #[error("the buffer stayed full until the timeout")]
    TimedOut(T),
    /// The buffer is full and there is no consumer any more; reported only [if asked](super::Producer::notice_departure).
    #[error("the buffer is full and all its consumers are gone")]
    PeerLeft(T),
    /// A slot's word is nonsense.
    #[error("the buffer is corrupted: somebody wrote an impossible slot word")]
    Corrupted(T),
    /// The handle was made before a fork, in the parent.
    #[error("this handle belongs to the parent process; open the buffer again in the forked child")]
    Forked(T),
}

/// Why nothing was popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PopError {
    /// There is no item, or a push that began before it is not finished. From the `try_` calls alone.
    #[error("the buffer is empty")]
    Empty,
    /// The time was up.
    #[error("the buffer stayed empty until the timeout")]
    TimedOut,
    /// The buffer is drained and there is no producer any more; reported only [if asked](super::Consumer::notice_departure).
    #[error("the buffer is empty and all its producers are gone")]
    PeerLeft,
    /// A slot's word is nonsense.
    #[error("the buffer is corrupted: somebody wrote an impossible slot word")]
    Corrupted,
    /// The handle was made before a fork, in the parent.
    #[error("this handle belongs to the parent process; open the buffer again in the forked child")]
    Forked,
}

impl<T> PushError<T> {
    /// The item.
    ///
    /// ```
    /// use sysvshm::bounded_buffer::mpmc::PushError;
    /// assert_eq!(PushError::Full(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item)
            | Self::TimedOut(item)
            | Self::PeerLeft(item)
            | Self::Corrupted(item)
            | Self::Forked(item) => item,
        }
    }

    /// The same reason with something else to give back.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> PushError<U> {
        match self {
            Self::Full(item) => PushError::Full(change(item)),
            Self::TimedOut(item) => PushError::TimedOut(change(item)),
            Self::PeerLeft(item) => PushError::PeerLeft(change(item)),
            Self::Corrupted(item) => PushError::Corrupted(change(item)),
            Self::Forked(item) => PushError::Forked(change(item)),
        }
    }
}

impl<T: std::fmt::Debug> From<PushError<T>> for io::Error
where
    PushError<T>: std::error::Error + Send + Sync + 'static,
{
    fn from(error: PushError<T>) -> Self {
        let kind = match &error {
            PushError::Full(_) => io::ErrorKind::WouldBlock,
            PushError::TimedOut(_) => io::ErrorKind::TimedOut,
            PushError::PeerLeft(_) => io::ErrorKind::BrokenPipe,
            PushError::Corrupted(_) => io::ErrorKind::InvalidData,
            PushError::Forked(_) => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<PopError> for io::Error {
    fn from(error: PopError) -> Self {
        let kind = match error {
            PopError::Empty => io::ErrorKind::WouldBlock,
            PopError::TimedOut => io::ErrorKind::TimedOut,
            PopError::PeerLeft => io::ErrorKind::BrokenPipe,
            PopError::Corrupted => io::ErrorKind::InvalidData,
            PopError::Forked => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
