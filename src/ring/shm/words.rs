//! The words of a ring, loaded and never written.

use super::pair::split;
use crate::memory::SharedSlice;
use crate::segment::{Access, ReadOnly, Segment};
use std::sync::atomic::Ordering;

/// The segment as 64-bit words, by byte offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a>(SharedSlice<'a, u64, ReadOnly>);

impl<'a> Words<'a> {
    /// As many as the segment holds whole.
    pub(crate) fn of<A: Access>(segment: &'a Segment<A>) -> Self {
        let count = segment.len_bytes() / size_of::<u64>();
        // A segment begins at a page, and it has so many.
        Self(
            segment
                .slice(0, count)
                .expect("aligned and inside")
                .read_only(),
        )
    }

    /// The word at a multiple of 8 inside the segment, with acquire ordering. On 32-bit machines it may be torn;
    /// everything here is checked for sense.
    pub(crate) fn load(self, at: usize) -> u64 {
        debug_assert!(at % 8 == 0);
        self.0.at(at / 8).load_word(Ordering::Acquire)
    }

    /// The 32 bits at a multiple of 4 inside the segment.
    pub(crate) fn load_half(self, at: usize) -> u32 {
        let (first, second) = split(self.load(at / 8 * 8));
        if at % 8 == 0 { first } else { second }
    }
}
