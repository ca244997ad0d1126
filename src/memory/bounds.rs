//! The arithmetic every checked view goes through: offsets, lengths, alignment.

use std::any::type_name;
use std::ops::{Bound, RangeBounds};
use std::ptr::NonNull;

use super::LayoutError;

/// The address of `count` elements of `T`, `offset` bytes into `available` bytes at `base`; every way this can be
/// wrong is an error.
pub(super) fn check_run<T>(
    base: NonNull<u8>,
    available: usize,
    offset: usize,
    count: usize,
) -> Result<NonNull<T>, LayoutError> {
    let needed = byte_len::<T>(count)?;
    if offset.checked_add(needed).is_none_or(|end| end > available) {
        return Err(LayoutError::OutOfBounds {
            offset,
            needed,
            available,
        });
    }
    #[allow(unsafe_code, reason = "pointer arithmetic")]
    // SAFETY: `offset` was just checked to lie within the `available` bytes at `base`.
    let start = unsafe { base.add(offset) };
    check_alignment::<T>(start)?;
    Ok(start.cast())
}

/// How many bytes `count` elements take, at most `isize::MAX`.
pub(super) fn byte_len<T>(count: usize) -> Result<usize, LayoutError> {
    if size_of::<T>() == 0 {
        return Err(LayoutError::ZeroSized {
            type_name: type_name::<T>(),
        });
    }
    match count.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(bytes),
        _ => Err(LayoutError::TooLarge {
            elements: count,
            element_bytes: size_of::<T>(),
        }),
    }
}

/// Whether a `T` may start there.
pub(super) fn check_alignment<T>(start: NonNull<u8>) -> Result<(), LayoutError> {
    let (address, alignment) = (start.addr().get(), align_of::<T>());
    if address % alignment == 0 {
        Ok(())
    } else {
        Err(LayoutError::Misaligned {
            address,
            alignment,
            type_name: type_name::<T>(),
        })
    }
}

/// Start and end of a range of indexes; as an error, for the message, if it does not lie within `len`.
#[inline(always)]
pub(super) fn resolve(
    range: impl RangeBounds<usize>,
    len: usize,
) -> Result<(usize, usize), (usize, usize)> {
    // Numbers that overflow stay at the maximum, which no length reaches: no run has more than `isize::MAX`
    // elements.
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    if start <= end && end <= len {
        Ok((start, end))
    } else {
        Err((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_slices() {
        assert_eq!(resolve(.., 5), Ok((0, 5)));
        assert_eq!(resolve(2..=4, 5), Ok((2, 5)));
        assert_eq!(resolve(5.., 5), Ok((5, 5)));
        assert_eq!(resolve(6.., 5), Err((6, 5)));
        assert_eq!(resolve(..6, 5), Err((0, 6)));
        assert_eq!(
            resolve((Bound::Excluded(4), Bound::Unbounded), 5),
            Ok((5, 5))
        );
        #[allow(clippy::reversed_empty_ranges, reason = "that is the case tested")]
        let backwards = 3..2;
        assert_eq!(resolve(backwards, 5), Err((3, 2)));
        assert_eq!(resolve(0..=usize::MAX, 5), Err((0, usize::MAX)));
        assert_eq!(
            resolve((Bound::Excluded(usize::MAX), Bound::Unbounded), 5),
            Err((usize::MAX, 5))
        );
    }

    #[test]
    fn lengths_and_offsets_that_overflow_are_refused() {
        let base = NonNull::from(&0u64).cast::<u8>();
        let max = usize::MAX;
        assert!(matches!(
            check_run::<u64>(base, max, 8, max),
            Err(LayoutError::TooLarge { .. })
        ));
        assert!(matches!(
            check_run::<u64>(base, max, max - 7, 1),
            Err(LayoutError::OutOfBounds { .. })
        ));
        assert!(matches!(
            check_run::<u8>(base, max, 0, max),
            Err(LayoutError::TooLarge { .. })
        ));
        assert!(matches!(
            check_run::<()>(base, 8, 0, 1),
            Err(LayoutError::ZeroSized { .. })
        ));
        assert!(matches!(
            check_run::<u64>(base, 16, 4, 1),
            Err(LayoutError::Misaligned { alignment: 8, .. })
        ));
        assert_eq!(
            check_run::<u32>(base, 8, 4, 1).map(|p| p.addr().get()),
            Ok(base.addr().get() + 4)
        );
        assert_eq!(
            check_run::<u32>(base, 8, 8, 0).map(|p| p.addr().get()),
            Ok(base.addr().get() + 8)
        );
    }
}
