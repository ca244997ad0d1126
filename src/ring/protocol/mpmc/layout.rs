//! Where everything lies in a segment that holds a ring for many producers and many consumers.
//!
//! The table is in the [module's](super#the-segment) documentation, and `examples/c/mpmc.h` says the same in C.
//! What is in a slot's word is in [`slot_word`](super::slot_word), how it changes in [`claim`](super::claim).

use super::slot_word::MAX_PARTICIPANTS;
use crate::ring::protocol::role::Role;
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::{self, Description};
use crate::ring::shm::slots::{LINES, Layout, Slots};

/// `svshmpmc` in the byte order of the machine.
pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"svshmpmc");
pub(super) const VERSION: u32 = 2;

pub(super) const PARTICIPANTS: usize = 128;
/// Slots beyond the capacity, to keep the frontier free: 0 in every ring of this version.
pub(super) const SPARE_SLOTS: usize = 136;
/// When a handle asked the kernel about the others last, in milliseconds since 1970.
pub(super) const ASKED: usize = 144;
pub(super) const PRODUCERS_HINT: usize = 256;
pub(super) const CONSUMERS_HINT: usize = 384;
pub(super) const PRODUCERS_SLEEP: usize = 512;
pub(super) const CONSUMERS_SLEEP: usize = 640;
pub(super) const EPOCH: usize = 768;
const PRODUCERS_ARRIVED: usize = 776;
const CONSUMERS_ARRIVED: usize = 784;
pub(super) const LOG: usize = 896;
/// Entries of the log of redelivered items, of 8 bytes each.
pub(super) const LOG_ENTRIES: u64 = 64;
pub(super) const TABLE: usize = 1408;
pub(super) const ENTRY: usize = 64;

const _: () = {
    assert!(PARTICIPANTS == header::SIZE);
    assert!(PRODUCERS_HINT == 2 * LINES && CONSUMERS_HINT == 3 * LINES);
    assert!(PRODUCERS_SLEEP == 4 * LINES && CONSUMERS_SLEEP == 5 * LINES);
    assert!(SPARE_SLOTS == PARTICIPANTS + 8 && ASKED == PARTICIPANTS + 16);
    assert!(PRODUCERS_ARRIVED == EPOCH + 8 && CONSUMERS_ARRIVED == EPOCH + 16);
    assert!(EPOCH == 6 * LINES && LOG == 7 * LINES && LOG_ENTRIES as usize * 8 == 4 * LINES);
    assert!(TABLE == 11 * LINES && ENTRY == 64);
};

/// Where handles of this role tell newcomers where they are.
pub(super) fn hint_at(role: Role) -> usize {
    match role {
        Role::Producer => PRODUCERS_HINT,
        Role::Consumer => CONSUMERS_HINT,
    }
}

/// The word that handles of this role sleep on.
pub(super) fn sleep_at(role: Role) -> usize {
    match role {
        Role::Producer => PRODUCERS_SLEEP,
        Role::Consumer => CONSUMERS_SLEEP,
    }
}

/// Where the handles of this role that have arrived are counted.
pub(super) fn arrived_at(role: Role) -> usize {
    match role {
        Role::Producer => PRODUCERS_ARRIVED,
        Role::Consumer => CONSUMERS_ARRIVED,
    }
}

/// Where the entry of the log is that the epoch's change from this number on belongs to.
pub(super) fn log_at(epoch: u64) -> usize {
    LOG + (epoch % LOG_ENTRIES) as usize * 8
}

/// Offsets and sizes of one ring, computed here and never read from shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Slots; at most 2^31.
    pub(super) capacity: u32,
    /// Entries of the table.
    pub(crate) participants: u32,
    /// Where the first word is, and from one to the next.
    pub(super) words: usize,
    pub(super) word_stride: usize,
    /// Where the first item is, and from one to the next.
    pub(super) items: usize,
    pub(super) item_stride: usize,
    /// Everything, header included.
    pub(super) total_bytes: usize,
}

impl Geometry {
    /// `None` if it does not fit an address space or the fields of a word, or something is 0.
    pub(super) fn new(
        layout: Layout,
        capacity: u64,
        participants: u64,
        size: usize,
        align: usize,
    ) -> Option<Self> {
        if !(1..=1 << 31).contains(&capacity)
            || !(1..=MAX_PARTICIPANTS as u64).contains(&participants)
        {
            return None;
        }
        let front = TABLE + participants as usize * ENTRY;
        let slots = Slots::new(layout, front, usize::try_from(capacity).ok()?, size, align)?;
        Some(Self {
            capacity: capacity as u32,
            participants: participants as u32,
            words: slots.words,
            word_stride: slots.word_stride,
            items: slots.items,
            item_stride: slots.item_stride,
            total_bytes: slots.end,
        })
    }

    /// The layout and the geometry of the ring that a header and the words at [`PARTICIPANTS`] and [`SPARE_SLOTS`]
    /// describe, in a segment of `len` bytes.
    ///
    /// From here on the numbers are this process's own.
    pub(super) fn described(
        found: &Description,
        participants: u64,
        spare_slots: u64,
        len: usize,
    ) -> Result<(Layout, Self), LayoutFault> {
        found.check(MAGIC, VERSION)?;
        LayoutFault::unless_equal("slots beyond the capacity", spare_slots, 0)?;
        let layout = Layout::found(found.variant)?;
        let (what, most) = ("participant table", MAX_PARTICIPANTS as u64);
        let fits = (1..=most).contains(&participants);
        LayoutFault::unless(fits, what, participants, most)?;
        // Neither is wider than an address: the header holds 32 bits of each.
        let (size, align) = (found.item_size as usize, found.item_align as usize);
        let capacity = found.capacity;
        let geometry = Self::new(layout, capacity, participants, size, align)
            .ok_or(LayoutFault::CapacityOutOfRange { capacity })?;
        found.check_size(geometry.total_bytes, len)?;
        Ok((layout, geometry))
    }

    #[inline(always)]
    pub(super) fn word_at(&self, slot: u32) -> usize {
        debug_assert!(slot < self.capacity);
        self.words + slot as usize * self.word_stride
    }

    #[inline(always)]
    pub(super) fn item_at(&self, slot: u32) -> usize {
        // Or the end of the slots, for a run of none.
        debug_assert!(slot <= self.capacity);
        self.items + slot as usize * self.item_stride
    }

    pub(super) fn entry_at(&self, index: usize) -> usize {
        debug_assert!(index < self.participants as usize);
        TABLE + index * ENTRY
    }

    /// How many slots may become free before sleeping producers are told: a quarter of the buffer.
    #[inline(always)]
    pub(super) fn quarter(&self) -> u32 {
        (self.capacity / 4).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lies_before_the_slots() {
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            for participants in [1, 5, 64, 512] {
                let g = Geometry::new(layout, 3, participants, 24, 8).unwrap();
                assert!(g.entry_at(participants as usize - 1) + ENTRY <= g.words);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            let new = |capacity, participants, size| {
                Geometry::new(layout, capacity, participants, size, 8)
            };
            assert_eq!(new(0, 1, 8), None);
            assert_eq!(new(1, 0, 8), None);
            assert_eq!(new(1, 513, 8), None);
            assert_eq!(new((1 << 31) + 1, 1, 8), None);
            assert_eq!(new(1 << 31, 1, usize::MAX / 4), None);
        }
    }
}
