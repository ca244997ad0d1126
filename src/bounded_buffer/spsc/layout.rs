//! Where everything lies in a segment that holds a ring for one producer and one consumer.
//!
//! `examples/c/spsc.h` says the same in C; a test compares the two.
//!
//! | byte | width | holds | written by |
//! |---|---|---|---|
//! | 0 | 128 | the [common header](crate::bounded_buffer): magic `svshspsc`, version 1, variant 0 interleaved or 1 contiguous | the initialiser |
//! | 128 | 8 | claim of the producer, 0 if there is none | claimants, compare-and-swap |
//! | 136 | 8 | 1 once there has been a producer | producers |
//! | 144 | 8 | claim of the consumer, 0 if there is none | claimants, compare-and-swap |
//! | 152 | 8 | 1 once there has been a consumer | consumers |
//! | 256 | 8 | `out`: the consumer's position. **Storing it is the pop** | the consumer, at every pop |
//! | 384 | 8 | `out` as of some pops ago: what a producer that finds the buffer full looks at first | the consumer, now and then |
//! | 512 | 4 | sleeper's word of the producer | the producer; the consumer to wake it |
//! | 640 | 4 | sleeper's word of the consumer | the consumer; the producer to wake it |
//! | 768 | | interleaved: `capacity` slots, each a *sequence word* and an item; see below | the producer |
//! | 768 | | contiguous: `capacity` sequence words; at the next multiple of 128 `capacity` items | the producer |
//!
//! A slot of the interleaved layout begins at a multiple of its alignment and is as long as a multiple of that:
//!
//! | size and alignment of an item | alignment of the slot | offset of the item in it |
//! |---|---|---|
//! | `max(alignment, 8) + size <= 64` | `max(alignment, 8)` | `max(alignment, 8)` |
//! | more, and `size < 256` | `max(alignment, 64)` | `max(alignment, 8)` |
//! | `size >= 256` | `max(alignment, 64)` | `max(alignment, 64)` |
//!
//! So no two slots that are larger than a cache line share one.
//!
//! Positions count items and never go back: position `p` lies in slot `p % capacity`. The sequence word of the slot
//! where a push begins, a single item or a batch, holds the position where it ends. **Storing it is the push.** The
//! producer's position is nowhere else. No position goes beyond 2^64 - 1, except that of a capacity that is a power
//! of two, which goes on at 0.
//!
//! In a slot of position `p` a word `w` says: if `1 <= w - p <= capacity`, everything before `w` has been pushed;
//! if `w - p <= 0`, it is left from an earlier lap and nothing has been pushed at `p`; anything else is nonsense. A
//! batch leaves the words of its other slots as they are: old.
//!
//! What is written by two processes never shares a cache line, nor a pair of lines, because processors fetch pairs.

use crate::bounded_buffer::OpenError;
use crate::bounded_buffer::header::{self, Description};

/// `svshspsc` in the byte order of the machine.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"svshspsc");
pub(crate) const VERSION: u32 = 1;

pub(crate) const PRODUCER: usize = 128;
pub(crate) const CONSUMER: usize = 144;
/// From a claim to the word that says whether there ever was one.
pub(crate) const EVER: usize = 8;
pub(crate) const OUT: usize = 256;
pub(crate) const OUT_LAZY: usize = 384;
pub(crate) const PRODUCER_SLEEPS: usize = 512;
pub(crate) const CONSUMER_SLEEPS: usize = 640;
pub(crate) const SLOTS: usize = 768;
const LINE: usize = 64;
/// Two cache lines.
const LINES: usize = 2 * LINE;
/// From this size on an item begins a cache line of its own: a line more, and the copies are aligned.
const LARGE: usize = 256;
/// Alignments beyond a page cannot be promised for a mapping.
const MAX_ALIGN: usize = 4096;

const _: () = {
    assert!(PRODUCER == header::SIZE);
    assert!(CONSUMER == PRODUCER + 16 && EVER == 8);
    assert!(OUT == 2 * LINES && OUT_LAZY == 3 * LINES);
    assert!(PRODUCER_SLEEPS == 4 * LINES && CONSUMER_SLEEPS == 5 * LINES);
    assert!(SLOTS == 6 * LINES);
};

/// How the slots of a ring are laid out. Chosen by who creates it and kept in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// A sequence word beside each item. Best for single items and for round trips: one cache line carries both.
    /// The default.
    #[default]
    Interleaved,
    /// Sequence words apart, items side by side. Best for bytes, batches and chunks in place: a run of items is one
    /// piece of memory.
    Contiguous,
}

impl Layout {
    pub(crate) fn variant(self) -> u32 {
        match self {
            Self::Interleaved => 0,
            Self::Contiguous => 1,
        }
    }

    pub(crate) fn from_variant(variant: u32) -> Option<Self> {
        match variant {
            0 => Some(Self::Interleaved),
            1 => Some(Self::Contiguous),
            _ => None,
        }
    }
}

/// Offsets and sizes of one ring, computed here and never read from shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) capacity: u64,
    /// Where the first word is, and from one to the next.
    pub(crate) words: usize,
    pub(crate) word_stride: usize,
    /// Where the first item is, and from one to the next.
    pub(crate) items: usize,
    pub(crate) item_stride: usize,
    /// How many pops may pass before a producer that polls or sleeps is told: a quarter of the buffer.
    pub(crate) tell_every: u64,
    /// Everything, header included.
    pub(crate) total_bytes: usize,
}

impl Geometry {
    /// `None` if it does not fit an address space, or the capacity is 0.
    pub(crate) fn new(layout: Layout, capacity: u64, size: usize, align: usize) -> Option<Self> {
        if capacity == 0 || align > MAX_ALIGN {
            return None;
        }
        // Positions are told apart by the sign of a difference.
        let count = usize::try_from(capacity)
            .ok()
            .filter(|&n| n <= isize::MAX as usize)?;
        let up = |n: usize, to: usize| n.checked_next_multiple_of(to);
        let (words, word_stride, items, item_stride, total) = match layout {
            Layout::Interleaved => {
                let (slot, to_item) = match size {
                    ..LARGE if align.max(8) + size <= LINE => (align.max(8), align.max(8)),
                    ..LARGE => (align.max(LINE), align.max(8)),
                    _ => (align.max(LINE), align.max(LINE)),
                };
                let words = up(SLOTS, slot)?;
                let stride = up(to_item.checked_add(size)?, slot)?;
                let total = words.checked_add(stride.checked_mul(count)?)?;
                (words, stride, words + to_item, stride, total)
            }
            Layout::Contiguous => {
                let words_end = SLOTS.checked_add(count.checked_mul(8)?)?;
                let items = up(words_end, align.max(LINES))?;
                (
                    SLOTS,
                    8,
                    items,
                    size,
                    items.checked_add(size.checked_mul(count)?)?,
                )
            }
        };
        (total <= isize::MAX as usize).then_some(Self {
            capacity,
            words,
            word_stride,
            tell_every: (capacity / 4).max(1),
            items,
            item_stride,
            total_bytes: total,
        })
    }

    /// The layout and the geometry of the ring that a header describes, in a segment of `len` bytes.
    ///
    /// From here on the numbers are this process's own.
    pub(crate) fn described(found: &Description, len: usize) -> Result<(Layout, Self), OpenError> {
        found.check(MAGIC, VERSION)?;
        let layout = Layout::from_variant(found.variant).ok_or(OpenError::LayoutMismatch {
            what: "layout",
            found: found.variant.into(),
            expected: Layout::default().variant().into(),
        })?;
        // Neither is wider than an address: the header holds 32 bits of each.
        let (size, align) = (found.item_size as usize, found.item_align as usize);
        let capacity = found.capacity;
        let geometry = Self::new(layout, capacity, size, align)
            .ok_or(OpenError::CapacityOutOfRange { capacity })?;
        found.check_size(geometry.total_bytes, len)?;
        Ok((layout, geometry))
    }

    /// The slot of a position.
    #[inline(always)]
    pub(crate) fn slot(&self, position: u64) -> usize {
        let slot = if self.capacity.is_power_of_two() {
            position & (self.capacity - 1)
        } else {
            position % self.capacity
        };
        // Below the capacity, which `new` found to fit.
        slot as usize
    }

    #[inline(always)]
    pub(crate) fn word_at(&self, slot: usize) -> usize {
        self.words + slot * self.word_stride
    }

    #[inline(always)]
    pub(crate) fn item_at(&self, slot: usize) -> usize {
        self.items + slot * self.item_stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_do_not_overlap_and_stay_inside() {
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            for (size, align) in [
                (1, 1),
                (3, 1),
                (4, 4),
                (8, 8),
                (24, 8),
                (64, 64),
                (16, 16),
                (56, 8),
                (57, 1),
                (248, 8),
                (255, 1),
                (256, 8),
                (1024, 8),
                (4096, 4096),
            ] {
                for capacity in [1, 2, 3, 10, 64] {
                    let g = Geometry::new(layout, capacity, size, align).unwrap();
                    let mut taken: Vec<(usize, usize)> = vec![(0, SLOTS)];
                    for slot in 0..capacity as usize {
                        assert_eq!(g.word_at(slot) % 8, 0);
                        assert_eq!(g.item_at(slot) % align, 0);
                        taken.push((g.word_at(slot), 8));
                        taken.push((g.item_at(slot), size));
                    }
                    taken.sort_unstable();
                    for pair in taken.windows(2) {
                        assert!(
                            pair[0].0 + pair[0].1 <= pair[1].0,
                            "{layout:?} {size} {capacity}"
                        );
                    }
                    let (at, len) = *taken.last().unwrap();
                    assert!(at + len <= g.total_bytes);
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            assert_eq!(Geometry::new(layout, 0, 8, 8), None);
            assert_eq!(Geometry::new(layout, u64::MAX, 8, 8), None);
            assert_eq!(Geometry::new(layout, 1 << 60, 8, 8), None);
            assert_eq!(Geometry::new(layout, 1, usize::MAX, 8), None);
            assert_eq!(Geometry::new(layout, 1, 8192, 8192), None);
        }
    }
}
