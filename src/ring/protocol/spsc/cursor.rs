//! The protocol of the ring, over the [seam](crate::ring::shm::memory).
//!
//! | operation | takes effect at | ordering | pairs with |
//! |---|---|---|---|
//! | push of one or many | the store of the sequence word of its first slot | release | the acquire load of that word by the consumer |
//! | pop of one or many | the store of `out` | release | the acquire load of `out`, or later of `out` lazily, by the producer |
//!
//! Everything before those two stores is either private to the process or bytes in slots that the other side does
//! not look at; everything after them is hints. So a process killed before the store has done nothing, and one
//! killed behind it has done it all.
//!
//! A successor finds its position by reading alone, and dying meanwhile changes nothing:
//!
//! * a consumer goes on at `out`;
//! * the producer's position is the greatest word that is ahead of `out` by at most the capacity, or `out` if there
//!   is none. The last push wrote it, and only a later push, which begins no earlier than where this one ended,
//!   could have overwritten that slot.
//!
//! Nothing read here is trusted: a difference of positions counts only if it is at most the capacity, and slots are
//! computed from private positions. Every function ends after a bounded number of steps.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a private slot number and the geometry, which was checked against the segment"
)]

use super::layout::{Geometry, OUT, OUT_LAZY};
use crate::ring::protocol::error::TryError;
use crate::ring::shm::memory::{Shared, SharedMoved};
use crate::ring::shm::slots::{Interleaved, Layout};
use crate::ring::wait::Look;
use std::sync::atomic::Ordering;

/// A side's place in the ring: private, and always within the geometry.
///
/// One number that changes at each step and others that change once per lap. On the fast path every store counts,
/// private ones too: the processor keeps only so many on their way, and those to the shared line wait for it to
/// arrive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<M> {
    pub(super) position: u64,
    /// The position that lies in slot 0 in this lap: `position - lap` is the slot, at most the capacity.
    lap: u64,
    /// The memory as seen from where word and item of position 0 would be if its lap were this one: from a position
    /// to an address in one multiplication and one addition.
    pub(super) words: M,
    pub(super) items: M,
}

impl<M: SharedMoved> Cursor<M> {
    pub(super) fn at(memory: M, g: &Geometry, position: u64) -> Self {
        let mut this = Self {
            position,
            lap: 0,
            words: memory,
            items: memory,
        };
        this.begin_lap(memory, g, position.wrapping_sub(g.slot(position) as u64));
        this
    }

    fn begin_lap(&mut self, memory: M, g: &Geometry, lap: u64) {
        self.lap = lap;
        // Modulo the width of an address, as the sums below.
        let back = |stride: usize| (lap as usize).wrapping_mul(stride);
        self.words = memory.moved(g.words.wrapping_sub(back(g.word_stride)));
        self.items = memory.moved(g.items.wrapping_sub(back(g.item_stride)));
    }

    /// Begins the next lap if the last slot is behind. Needs no power of two.
    #[inline(always)]
    pub(super) fn wrap(&mut self, memory: M, g: &Geometry) {
        if self.slot() as u64 >= g.capacity {
            self.begin_lap(memory, g, self.lap.wrapping_add(g.capacity));
        }
    }

    #[inline(always)]
    pub(super) fn slot(&self) -> usize {
        self.position.wrapping_sub(self.lap) as usize
    }

    /// Where the word of this position is, for `words`.
    #[inline(always)]
    pub(super) fn word(&self, g: &Geometry) -> usize {
        (self.position as usize).wrapping_mul(g.word_stride)
    }

    /// Where the item of this position is, for `items`.
    #[inline(always)]
    pub(super) fn item(&self, g: &Geometry) -> usize {
        (self.position as usize).wrapping_mul(g.item_stride)
    }

    /// Where word and item of this position are, for the memory they are to be used with, if the `end` of its layout
    /// is ahead. Of the strides nothing is loaded.
    #[inline(always)]
    pub(super) fn places<T>(&self, ends: Ends) -> Option<(M, M)> {
        let position = self.position;
        let is_ahead = |end: u64| (position.wrapping_sub(end) as i64) < 0;
        let at = position as usize;
        if is_ahead(ends.interleaved) {
            let word = at.wrapping_mul(Interleaved::<T>::STRIDE);
            let item = word.wrapping_add(Interleaved::<T>::TO_ITEM);
            Some((self.words.moved(word), self.words.moved(item)))
        } else if is_ahead(ends.contiguous) {
            let word = self.words.moved(at.wrapping_mul(8));
            let item = self.items.moved(at.wrapping_mul(size_of::<T>()));
            Some((word, item))
        } else {
            None
        }
    }

    #[inline(always)]
    pub(super) fn lap_end(&self, g: &Geometry) -> u64 {
        self.lap.wrapping_add(g.capacity)
    }
}

/// A position, of the ring's own layout; of the other, one that has been left behind. So one comparison answers two
/// questions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    interleaved: u64,
    contiguous: u64,
}

impl Ends {
    pub(super) fn new(g: &Geometry, position: u64, end: u64) -> Self {
        let (interleaved, contiguous) = match g.layout {
            Layout::Interleaved => (end, position),
            Layout::Contiguous => (position, end),
        };
        Self {
            interleaved,
            contiguous,
        }
    }

    #[inline(always)]
    pub(super) fn of(&self, g: &Geometry) -> u64 {
        match g.layout {
            Layout::Interleaved => self.interleaved,
            Layout::Contiguous => self.contiguous,
        }
    }
}

/// The first of the ends that are ahead of `position`.
pub(super) fn first_of<const N: usize>(position: u64, ends: [u64; N]) -> u64 {
    let ahead = ends.map(|end| end.wrapping_sub(position));
    position.wrapping_add(ahead.into_iter().min().unwrap_or(0))
}

/// What the word in the slot of `position` says: how far everything has been pushed, if anything has.
#[inline(always)]
pub(super) fn judge(word: u64, position: u64, capacity: u64) -> Result<u64, TryError> {
    let ahead = word.wrapping_sub(position);
    if ahead.wrapping_sub(1) < capacity {
        Ok(word)
    } else if ahead as i64 <= 0 {
        Err(TryError::WouldBlock)
    } else {
        Err(TryError::Corrupted)
    }
}

/// The producer's position: found by reading alone, in `capacity` loads.
pub(super) fn find_in<M: Shared>(memory: M, g: &Geometry, out: u64) -> u64 {
    let mut ahead = 0;
    for slot in 0..g.capacity as usize {
        // Acquire: whoever goes on from here may read the items that these words publish.
        // SAFETY: a slot below the capacity.
        let word = unsafe { memory.load(g.word_at(slot), Ordering::Acquire) };
        let this = word.wrapping_sub(out);
        if this <= g.capacity && this > ahead {
            ahead = this;
        }
    }
    out.wrapping_add(ahead)
}

/// How many items there are, at some moment while this looks; at most the capacity.
///
/// The producer's position is searched from the consumer's, which has to stay where it is meanwhile. Where it moves
/// all the time, the ring was neither empty nor full at some moment.
pub(super) fn count<M: Shared>(memory: M, g: &Geometry) -> u64 {
    let mut out = load_out(memory);
    let mut items = 0;
    for _ in 0..4 {
        items = find_in(memory, g, out).wrapping_sub(out);
        let now = load_out(memory);
        if now == out {
            return items;
        }
        out = now;
    }
    if g.capacity == 1 {
        return items;
    }
    items.clamp(1, g.capacity - 1)
}

/// `out` as it is.
pub(super) fn load_out<M: Shared>(memory: M) -> u64 {
    // SAFETY: a constant of the layout.
    unsafe { memory.load(OUT, Ordering::Acquire) }
}

/// Fills the words of a ring that starts at this position. Does not depend on what was there.
pub(super) fn initialise<M: Shared>(memory: M, g: &Geometry, start: u64) {
    for slot in 0..g.capacity as usize {
        // Relaxed: READY is stored with release behind all this.
        // SAFETY: a slot below the capacity.
        unsafe { memory.store(g.word_at(slot), start, Ordering::Relaxed) };
    }
    for at in [OUT, OUT_LAZY] {
        // SAFETY: a constant of the layout.
        unsafe { memory.store(at, start, Ordering::Relaxed) };
    }
}

/// The position up to which items have been pushed, if that is beyond `position`, where nothing was known yet.
#[inline(always)]
pub(super) fn look_for_items<M: Shared>(memory: M, g: &Geometry, position: u64) -> Look<u64> {
    look_at_word(memory, g.word_at(g.slot(position)), position, g.capacity)
}

/// The same at the word of `position`, which lies at `word`.
#[inline(always)]
pub(super) fn look_at_word<M: Shared>(
    memory: M,
    word: usize,
    position: u64,
    capacity: u64,
) -> Look<u64> {
    // Acquire pairs with the release of the push.
    // SAFETY: the word of a slot of the geometry.
    let word = unsafe { memory.load(word, Ordering::Acquire) };
    match judge(word, position, capacity) {
        Ok(end) => Look::Ready(end),
        Err(TryError::WouldBlock) => Look::NotYet,
        Err(TryError::Corrupted) => Look::Corrupted,
    }
}
