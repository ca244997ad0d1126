//! [`LayoutError`]: why a view of shared bytes was refused; [`ArrayError`]: why there is no array.

use crate::error::{Error, ErrorKind, known_kind};

/// Why bytes cannot be viewed as what was asked for.
///
/// No call to the kernel is involved: these are questions of size, offset and alignment, answered before anything
/// is touched.
///
/// ```
/// use sysvshm::memory::LayoutError;
/// use sysvshm::{Key, SegmentOptions};
///
/// let segment = SegmentOptions::new().size_bytes(20).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let error = segment.slice::<i32>(0, 6).unwrap_err();
/// assert_eq!(error, LayoutError::OutOfBounds { offset: 0, needed: 24, available: 20 });
/// assert_eq!(error.to_string(), "24 bytes from offset 0 on do not fit into 20 bytes");
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The run ends behind the end of the memory.
    #[error("{needed} bytes from offset {offset} on do not fit into {available} bytes")]
    OutOfBounds {
        /// Where the run starts, in bytes.
        offset: usize,
        /// How long it is, in bytes.
        needed: usize,
        /// How long the memory is, in bytes.
        available: usize,
    },
    /// More elements than the segment holds, by the size the kernel reports.
    #[error("{elements} elements of {element_bytes} bytes do not fit into a segment of {available} bytes, which holds {}", available.checked_div(*element_bytes).unwrap_or(0))]
    TooManyElements {
        /// How many were asked for.
        elements: usize,
        /// The size of one, in bytes.
        element_bytes: usize,
        /// The size of the segment, in bytes.
        available: usize,
    },
    /// The address is not a multiple of what the type requires.
    #[error("{type_name} requires an address divisible by {alignment}, which {address:#x} is not")]
    Misaligned {
        /// The address in this process.
        address: usize,
        /// What it has to be a multiple of.
        alignment: usize,
        /// The type that requires it.
        type_name: &'static str,
    },
    /// The type has no bytes, so there is nothing to share.
    #[error("{type_name} has no bytes to share")]
    ZeroSized {
        /// The type.
        type_name: &'static str,
    },
    /// The length in bytes is beyond any object Rust can address.
    #[error("{elements} elements of {element_bytes} bytes are more than an address space holds")]
    TooLarge {
        /// How many were asked for.
        elements: usize,
        /// The size of one, in bytes.
        element_bytes: usize,
    },
    /// The pointer is null.
    #[error("the address is null")]
    Null,
}

impl LayoutError {
    /// The kind that a caller tells apart: [`SegmentTooSmall`](ErrorKind::SegmentTooSmall),
    /// [`OutOfBounds`](ErrorKind::OutOfBounds), or [`InvalidInput`](ErrorKind::InvalidInput) for what no segment can
    /// hold.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(20).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(segment.slice::<i32>(0, 6).unwrap_err().kind(), ErrorKind::OutOfBounds);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::OutOfBounds { .. } => ErrorKind::OutOfBounds,
            Self::TooManyElements { .. } => ErrorKind::SegmentTooSmall,
            Self::Misaligned { .. }
            | Self::ZeroSized { .. }
            | Self::TooLarge { .. }
            | Self::Null => ErrorKind::InvalidInput,
        }
    }
}

impl From<LayoutError> for std::io::Error {
    fn from(error: LayoutError) -> Self {
        Self::new(error.kind().to_io(), error)
    }
}

/// Why an array could not be created or attached.
///
/// ```
/// use sysvshm::memory::{ArrayError, LayoutError};
/// use sysvshm::{ErrorKind, Key, SharedArray};
///
/// match SharedArray::<u64>::open(Key::random()?, 8) {
///     Err(ArrayError::Kernel(error)) => assert_eq!(error.kind(), ErrorKind::NotFound),
///     other => panic!("{other:?}"),
/// }
/// match SharedArray::<u64>::open(Key::random()?, usize::MAX) {
///     Err(ArrayError::Layout(LayoutError::TooLarge { elements, .. })) => assert_eq!(elements, usize::MAX),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ArrayError {
    /// A call failed.
    #[error(transparent)]
    Kernel(#[from] Error),
    /// The bytes are not such an array.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

impl ArrayError {
    /// What went wrong, in a form to match on, whichever of the two it is.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SharedArray};
    ///
    /// let missing = SharedArray::<u64>::open(Key::random()?, 8).unwrap_err();
    /// assert_eq!(missing.kind(), ErrorKind::NotFound);
    /// let too_large = SharedArray::<u64>::open(Key::random()?, usize::MAX).unwrap_err();
    /// assert_eq!(too_large.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Kernel(error) => error.kind(),
            Self::Layout(error) => error.kind(),
        }
    }
}

known_kind!(LayoutError, ArrayError);

impl From<ArrayError> for std::io::Error {
    fn from(error: ArrayError) -> Self {
        match error {
            ArrayError::Kernel(error) => error.into(),
            ArrayError::Layout(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_any_values_can_be_written() {
        // The fields are public, so anybody can make one.
        let error = LayoutError::TooManyElements {
            elements: 1,
            element_bytes: 0,
            available: 20,
        };
        assert!(error.to_string().ends_with("holds 0"));
    }
}
