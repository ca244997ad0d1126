//! Where everything lies in a segment that holds a ring for one producer and one consumer.
//!
//! `examples/c/spsc.h` says the same in C; a test compares the two.
//!
//! | byte | width | holds | written by |
//! |---|---|---|---|
//! | 0 | 128 | the [common header](crate::bounded_buffer): magic `svshspsc`, version 2, variant 0 interleaved or 1 contiguous | the initialiser |
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
//! Where exactly words and items lie is in [`layout`](crate::ring::shm::slots).
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

use crate::ring::protocol::role::Role;
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::{self, Description};
#[cfg(not(loom))]
use crate::ring::shm::slots::LINE;
use crate::ring::shm::slots::{LINES, Layout, Slots};

/// `svshspsc` in the byte order of the machine.
pub(super) const MAGIC: u64 = u64::from_ne_bytes(*b"svshspsc");
pub(super) const VERSION: u32 = 2;

/// A word that is never 0 in a ring that is ready.
pub(super) const MAGIC_AT: usize = header::MAGIC;
const PRODUCER: usize = 128;
const CONSUMER: usize = 144;
/// From a claim to the word that says whether there ever was one.
pub(super) const EVER: usize = 8;
pub(super) const OUT: usize = 256;
pub(super) const OUT_LAZY: usize = 384;
pub(super) const PRODUCER_SLEEPS: usize = 512;
pub(super) const CONSUMER_SLEEPS: usize = 640;
pub(super) const SLOTS: usize = 768;
const _: () = {
    assert!(PRODUCER == header::SIZE);
    assert!(CONSUMER == PRODUCER + 16 && EVER == 8);
    assert!(OUT == 2 * LINES && OUT_LAZY == 3 * LINES);
    assert!(PRODUCER_SLEEPS == 4 * LINES && CONSUMER_SLEEPS == 5 * LINES);
    assert!(SLOTS == 6 * LINES);
};

/// Where it says who has the role.
pub(super) fn owner_at(role: Role) -> usize {
    match role {
        Role::Producer => PRODUCER,
        Role::Consumer => CONSUMER,
    }
}

/// The word that the holder of this role sleeps on.
pub(super) fn sleep_at(role: Role) -> usize {
    match role {
        Role::Producer => PRODUCER_SLEEPS,
        Role::Consumer => CONSUMER_SLEEPS,
    }
}

/// How many items of so many bytes, words included, make a step.
///
/// 16 cache lines: about as many as a processor has on their way at once. A wrong guess costs little: with fewer,
/// less overlaps; with more, the last ones wait a moment. An eighth of a ring at most, so that little is fetched that
/// the other side is not done with. Of large items the processor itself fetches the next line.
#[cfg(not(loom))]
fn step(capacity: u64, bytes: usize) -> Option<u64> {
    const LINES_OF_STEP: u64 = 16;
    const FEWEST_LINES: u64 = 4;
    let (line, bytes) = (LINE as u64, bytes as u64);
    let items = (LINES_OF_STEP * line / bytes).min(capacity / 8);
    let pays = bytes <= FEWEST_LINES * line && items * bytes >= FEWEST_LINES * line;
    pays.then_some(items)
}

/// For the model's small rings.
#[cfg(loom)]
fn step(_: u64, _: usize) -> Option<u64> {
    Some(1)
}

/// Offsets and sizes of one ring, computed here and never read from shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) capacity: u64,
    pub(crate) layout: Layout,
    /// Where the first word is, and from one to the next.
    pub(crate) words: usize,
    pub(super) word_stride: usize,
    /// Where the first item is, and from one to the next.
    pub(crate) items: usize,
    pub(super) item_stride: usize,
    /// How many pops may pass before a producer that polls or sleeps is told: a quarter of the buffer.
    pub(super) tell_every: u64,
    /// How many items make a step, whose cache lines are fetched a step ahead; none if that does not pay.
    pub(super) step: Option<u64>,
    /// Everything, header included.
    pub(crate) total_bytes: usize,
}

impl Geometry {
    /// `None` if it does not fit an address space, or the capacity is 0.
    pub(super) fn new(layout: Layout, capacity: u64, size: usize, align: usize) -> Option<Self> {
        if capacity == 0 {
            return None;
        }
        // Positions are told apart by the sign of a difference.
        let count = usize::try_from(capacity)
            .ok()
            .filter(|&n| n <= isize::MAX as usize)?;
        let slots = Slots::new(layout, SLOTS, count, size, align)?;
        let bytes = match layout {
            Layout::Interleaved => slots.item_stride,
            Layout::Contiguous => slots.item_stride + slots.word_stride,
        };
        Some(Self {
            capacity,
            layout,
            words: slots.words,
            word_stride: slots.word_stride,
            items: slots.items,
            item_stride: slots.item_stride,
            tell_every: (capacity / 4).max(1),
            step: step(capacity, bytes),
            total_bytes: slots.end,
        })
    }

    /// The layout and the geometry of the ring that a header describes, in a segment of `len` bytes.
    ///
    /// From here on the numbers are this process's own.
    pub(super) fn described(
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Self), LayoutFault> {
        found.check(MAGIC, VERSION)?;
        let layout = Layout::found(found.variant)?;
        // Neither is wider than an address: the header holds 32 bits of each.
        let (size, align) = (found.item_size as usize, found.item_align as usize);
        let capacity = found.capacity;
        let geometry = Self::new(layout, capacity, size, align)
            .ok_or(LayoutFault::CapacityOutOfRange { capacity })?;
        found.check_size(geometry.total_bytes, len)?;
        Ok((layout, geometry))
    }

    /// The slot of a position.
    #[inline(always)]
    pub(super) fn slot(&self, position: u64) -> usize {
        let slot = if self.capacity.is_power_of_two() {
            position & (self.capacity - 1)
        } else {
            position % self.capacity
        };
        // Below the capacity, which `new` found to fit.
        slot as usize
    }

    /// Calls `fetch` with the place and the length of what these items and their words take, in as few pieces as
    /// there are. `count <= capacity`.
    #[inline(always)]
    pub(super) fn each_piece(&self, from: u64, count: u64, fetch: impl Fn(usize, usize)) {
        let slot = self.slot(from);
        let (count, rest) = (count as usize, self.capacity as usize - slot);
        self.piece(slot, count.min(rest), &fetch);
        if count > rest {
            self.piece(0, count - rest, &fetch);
        }
    }

    #[inline(always)]
    fn piece(&self, slot: usize, count: usize, fetch: &impl Fn(usize, usize)) {
        fetch(self.word_at(slot), count * self.word_stride);
        if self.layout == Layout::Contiguous {
            fetch(self.item_at(slot), count * self.item_stride);
        }
    }

    #[inline(always)]
    pub(super) fn word_at(&self, slot: usize) -> usize {
        self.words + slot * self.word_stride
    }

    #[inline(always)]
    pub(super) fn item_at(&self, slot: usize) -> usize {
        self.items + slot * self.item_stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            assert_eq!(Geometry::new(layout, 0, 8, 8), None);
            assert_eq!(Geometry::new(layout, u64::MAX, 8, 8), None);
            assert_eq!(Geometry::new(layout, 1 << 60, 8, 8), None);
        }
    }
}
