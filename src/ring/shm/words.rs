//! The words of a ring, loaded and never written.

#[cfg(not(target_pointer_width = "64"))]
use super::pair::join;
use super::pair::split;
use crate::memory::SharedSlice;
use crate::segment::{Access, ReadOnly, Segment};
use std::sync::atomic::Ordering;

/// What one instruction loads from a read-only page on every processor: half a word where pointers have 32 bits.
#[cfg(target_pointer_width = "64")]
type Unit = u64;
#[cfg(not(target_pointer_width = "64"))]
type Unit = u32;

/// The segment as 64-bit words, by byte offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a>(SharedSlice<'a, Unit, ReadOnly>);

impl<'a> Words<'a> {
    /// As many as the segment holds whole.
    pub(crate) fn of<A: Access>(segment: &'a Segment<A>) -> Self {
        let count = segment.len_bytes() / size_of::<u64>() * (size_of::<u64>() / size_of::<Unit>());
        // A segment begins at a page, and it has so many.
        Self(
            segment
                .slice(0, count)
                .expect("aligned and inside")
                .read_only(),
        )
    }

    /// The word at a multiple of 8 inside the segment, with acquire ordering.
    #[cfg(target_pointer_width = "64")]
    pub(crate) fn load(self, at: usize) -> u64 {
        debug_assert!(at % 8 == 0);
        self.0.at(at / 8).atomic_load(Ordering::Acquire)
    }

    /// The word at a multiple of 8 inside the segment, with acquire ordering.
    ///
    /// In halves: the first again, until it stays the same. Whoever changes words faster than this looks gets a
    /// torn one seen, and everything here is checked for sense.
    #[cfg(not(target_pointer_width = "64"))]
    pub(crate) fn load(self, at: usize) -> u64 {
        debug_assert!(at % 8 == 0);
        let half = |index| self.0.at(at / 4 + index).atomic_load(Ordering::Acquire);
        let mut first = half(0);
        for _ in 0..100 {
            let second = half(1);
            let again = half(0);
            if again == first {
                return join(first, second);
            }
            first = again;
        }
        join(first, half(1))
    }

    /// The 32 bits at a multiple of 4 inside the segment.
    pub(crate) fn load_half(self, at: usize) -> u32 {
        let (first, second) = split(self.load(at / 8 * 8));
        if at % 8 == 0 { first } else { second }
    }
}
