//! What can go wrong with a ring before and beside its operations.

use crate::error::{Error, ErrorKind, known_kind};
use crate::ring::protocol::RawProtocol;
use crate::ring::protocol::mpmc::Mpmc;
use crate::ring::protocol::spsc::Spsc;
use crate::ring::shm::fault::LayoutFault;
use std::time::Duration;

/// Why a ring could not be created or opened.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A System V call failed.
    #[error(transparent)]
    System(#[from] Error),
    /// The segment holds something else, or a ring of another shape.
    #[error("{}", mismatch(what, *found, *expected))]
    LayoutMismatch {
        /// What differs: `magic`, `state`, `version`, `layout`, `tag`, `item size`, `item alignment`, `capacity`,
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
    /// A capacity of 0 or none at all, one that does not fit an address space, or, in an [`mpmc`](crate::bounded_buffer::mpmc)
    /// ring, one beyond 2^31 or a participant table of other than 1 to 512 entries.
    #[error(
        "a ring of {capacity} items cannot be made: a capacity is 1 or more and fits an address space, and in an mpmc ring is at most 2^31, with 1 to 512 participants"
    )]
    CapacityOutOfRange {
        /// What was asked for.
        capacity: u64,
    },
    /// An item whose alignment is larger than a page of 4096 bytes: no mapping promises more.
    #[error(
        "items aligned to {alignment} bytes cannot be in a ring: the memory is aligned to {most} bytes and no more"
    )]
    AlignmentOutOfRange {
        /// That of the item, in bytes.
        alignment: usize,
        /// The largest there can be, in bytes.
        most: usize,
    },
}

/// The words for what differs.
fn mismatch(what: &str, found: u64, expected: u64) -> String {
    let kinds = [(Spsc::MAGIC, Spsc::NAME), (Mpmc::MAGIC, Mpmc::NAME)];
    let kind = |magic| kinds.iter().find(|kind| kind.0 == magic && what == "magic");
    if let (Some((_, found)), Some((_, expected))) = (kind(found), kind(expected)) {
        return format!(
            "the segment holds an {found} ring, and an {expected} ring was expected: open it with bounded_buffer::{found}"
        );
    }
    format!(
        "the segment does not hold this ring: its {what} is {found:#x}, and {expected:#x} was expected"
    )
}

impl OpenError {
    /// What went wrong, in a form to match on, as every error of this crate tells it.
    ///
    /// ```
    /// use sysvshm::bounded_buffer::spsc::BoundedBuffer;
    /// use sysvshm::{ErrorKind, Key};
    ///
    /// let missing = BoundedBuffer::<u64>::open(Key::random()?).unwrap_err();
    /// assert_eq!(missing.kind(), ErrorKind::NotFound);
    /// let nothing = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 0).unwrap_err();
    /// assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::System(error) => error.kind(),
            Self::LayoutMismatch { .. } => ErrorKind::LayoutMismatch,
            Self::NotInitialised { .. } => ErrorKind::NotInitialised,
            Self::WrongNamespace => ErrorKind::WrongNamespace,
            Self::CapacityOutOfRange { .. } | Self::AlignmentOutOfRange { .. } => {
                ErrorKind::InvalidInput
            }
        }
    }
}

known_kind!(OpenError);

impl From<LayoutFault> for OpenError {
    fn from(fault: LayoutFault) -> Self {
        match fault {
            LayoutFault::Mismatch {
                what,
                found,
                expected,
            } => Self::LayoutMismatch {
                what,
                found,
                expected,
            },
            LayoutFault::NotInitialised { patience } => Self::NotInitialised { patience },
            LayoutFault::CapacityOutOfRange { capacity } => Self::CapacityOutOfRange { capacity },
        }
    }
}
