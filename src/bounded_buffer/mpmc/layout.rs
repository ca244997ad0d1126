//! Where everything lies in a segment that holds a ring for many producers and many consumers.
//!
//! | byte | width | holds | written by |
//! |---|---|---|---|
//! | 0 | 128 | the [common header](crate::bounded_buffer): magic `svshmpmc`, version 1, variant 0 | the initialiser |
//! | 128 | 8 | entries of the participant table, 1 to 512 | the initialiser |
//! | 256 | 8 | hint: where a producer was lately | producers |
//! | 384 | 8 | hint: where a consumer was lately | consumers |
//! | 512 | 4 | [sleepers' word](crate::bounded_buffer::crowd) of the producers | everybody |
//! | 640 | 4 | sleepers' word of the consumers | everybody |
//! | 768 | 8 | epoch: changes after items have become REDELIVER | who made them so |
//! | 776 | 8 | 1 once there has been a producer | producers |
//! | 784 | 8 | 1 once there has been a consumer | consumers |
//! | 896 | 64 each | the [participant table](super::table) | see there |
//! | | | at the next multiple of 128 and of the slot's alignment: `capacity` slots | |
//!
//! A slot is a [word](super::word) and an item behind it, at the next multiple of its alignment; slots lie side by side, each at a multiple of 8 and of the
//! alignment.
//!
//! A hint has the lap in its upper and the slot in its lower 32 bits. Nothing depends on it but speed.

use super::word::MAX_PARTICIPANTS;
use crate::bounded_buffer::OpenError;
use crate::bounded_buffer::header::{self, Description};
use crate::bounded_buffer::spsc::Layout;

/// `svshmpmc` in the byte order of the machine.
pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"svshmpmc");
pub(crate) const VERSION: u32 = 1;

pub(crate) const PARTICIPANTS: usize = 128;
pub(crate) const PRODUCERS_HINT: usize = 256;
pub(crate) const CONSUMERS_HINT: usize = 384;
pub(crate) const PRODUCERS_SLEEP: usize = 512;
pub(crate) const CONSUMERS_SLEEP: usize = 640;
pub(crate) const EPOCH: usize = 768;
pub(crate) const EVER_PRODUCER: usize = 776;
pub(crate) const EVER_CONSUMER: usize = 784;
pub(crate) const TABLE: usize = 896;
pub(crate) const ENTRY: usize = 64;
/// Two cache lines, because processors fetch pairs.
const LINES: usize = 128;
/// Alignments beyond a page cannot be promised for a mapping.
const MAX_ALIGN: usize = 4096;

const _: () = {
    assert!(PARTICIPANTS == header::SIZE);
    assert!(PRODUCERS_HINT == 2 * LINES && CONSUMERS_HINT == 3 * LINES);
    assert!(PRODUCERS_SLEEP == 4 * LINES && CONSUMERS_SLEEP == 5 * LINES);
    assert!(EPOCH == 6 * LINES && EVER_PRODUCER == EPOCH + 8 && EVER_CONSUMER == EPOCH + 16);
    assert!(TABLE == 7 * LINES && ENTRY == 64);
};

/// Offsets and sizes of one ring, computed here and never read from shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Slots; at most 2^31.
    pub(crate) capacity: u32,
    /// Entries of the table.
    pub(crate) participants: u32,
    /// Where the first slot's word is, from one to the next, and from a word to its item.
    pub(crate) slots: usize,
    pub(crate) stride: usize,
    pub(crate) to_item: usize,
    /// Everything, header included.
    pub(crate) total_bytes: usize,
}

impl Geometry {
    /// `None` if it does not fit an address space or the fields of a word, or something is 0.
    pub(crate) fn new(capacity: u64, participants: u64, size: usize, align: usize) -> Option<Self> {
        if !(1..=1 << 31).contains(&capacity) || align > MAX_ALIGN {
            return None;
        }
        if !(1..=MAX_PARTICIPANTS as u64).contains(&participants) {
            return None;
        }
        let slot = align.max(8);
        let table_end = TABLE + participants as usize * ENTRY;
        let slots = table_end.checked_next_multiple_of(slot.max(LINES))?;
        let stride = slot.checked_add(size)?.checked_next_multiple_of(slot)?;
        let count = usize::try_from(capacity).ok()?;
        let total = slots.checked_add(stride.checked_mul(count)?)?;
        (total <= isize::MAX as usize).then_some(Self {
            capacity: capacity as u32,
            participants: participants as u32,
            slots,
            stride,
            to_item: slot,
            total_bytes: total,
        })
    }

    /// The layout and the geometry of the ring that a header and the word at [`PARTICIPANTS`] describe, in a segment of
    /// `len` bytes.
    ///
    /// From here on the numbers are this process's own.
    pub(crate) fn described(
        found: &Description,
        participants: u64,
        len: usize,
    ) -> Result<(Layout, Self), OpenError> {
        found.check(MAGIC, VERSION)?;
        let layout = match Layout::from_variant(found.variant) {
            Some(Layout::Interleaved) => Layout::Interleaved,
            _ => {
                return Err(OpenError::LayoutMismatch {
                    what: "layout",
                    found: found.variant.into(),
                    expected: 0,
                });
            }
        };
        if !(1..=MAX_PARTICIPANTS as u64).contains(&participants) {
            return Err(OpenError::LayoutMismatch {
                what: "participant table",
                found: participants,
                expected: MAX_PARTICIPANTS as u64,
            });
        }
        // Neither is wider than an address: the header holds 32 bits of each.
        let (size, align) = (found.item_size as usize, found.item_align as usize);
        let capacity = found.capacity;
        let geometry = Self::new(capacity, participants, size, align)
            .ok_or(OpenError::CapacityOutOfRange { capacity })?;
        found.check_size(geometry.total_bytes, len)?;
        Ok((layout, geometry))
    }

    #[inline(always)]
    pub(crate) fn word_at(&self, slot: u32) -> usize {
        debug_assert!(slot < self.capacity);
        self.slots + slot as usize * self.stride
    }

    #[inline(always)]
    pub(crate) fn item_at(&self, slot: u32) -> usize {
        self.word_at(slot) + self.to_item
    }

    pub(crate) fn entry_at(&self, index: usize) -> usize {
        debug_assert!(index < self.participants as usize);
        TABLE + index * ENTRY
    }

    /// How many slots may become free before sleeping producers are told: a quarter of the buffer.
    #[inline(always)]
    pub(crate) fn quarter(&self) -> u32 {
        (self.capacity / 4).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_everything_stays_inside() {
        for (size, align) in [(1, 1), (3, 1), (8, 8), (24, 8), (64, 64), (4096, 4096)] {
            for (capacity, participants) in [(1, 1), (3, 5), (64, 512)] {
                let g = Geometry::new(capacity, participants, size, align).unwrap();
                assert!(g.entry_at(participants as usize - 1) + ENTRY <= g.slots);
                let mut end = g.slots;
                for slot in 0..capacity as u32 {
                    assert!(g.word_at(slot) >= end && g.word_at(slot) % 8 == 0);
                    assert!(g.item_at(slot) >= g.word_at(slot) + 8);
                    assert_eq!(g.item_at(slot) % align, 0);
                    end = g.item_at(slot) + size;
                }
                assert!(end <= g.total_bytes);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Geometry::new(0, 1, 8, 8), None);
        assert_eq!(Geometry::new(1, 0, 8, 8), None);
        assert_eq!(Geometry::new(1, 513, 8, 8), None);
        assert_eq!(Geometry::new((1 << 31) + 1, 1, 8, 8), None);
        assert_eq!(Geometry::new(1, 1, usize::MAX, 8), None);
        assert_eq!(Geometry::new(1 << 31, 1, usize::MAX / 4, 1), None);
        assert_eq!(Geometry::new(1, 1, 8, 8192), None);
    }
}
