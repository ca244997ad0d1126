//! The protocol of the ring, over the [seam](crate::bounded_buffer::seam).
//!
//! | operation | takes effect at | ordering | pairs with |
//! |---|---|---|---|
//! | push of one or many | the store of the sequence word of its first slot | release | the acquire load of that word by the consumer |
//! | pop of one or many | the store of `out` | release | the acquire load of `out`, or later of `out` lazily, by the producer |
//!
//! Everything before those two stores is either private to the process or bytes in slots that the other side does not look at; everything after
//! them is hints. So a process killed before the store has done nothing, and one killed behind it has done it all.
//!
//! A successor finds its position by reading alone, and dying meanwhile changes nothing:
//!
//! * a consumer goes on at `out`;
//! * the producer's position is the greatest word that is ahead of `out` by at most the capacity, or `out` if there is none. The last push wrote
//!   it, and only a later push, which begins no earlier than where this one ended, could have overwritten that slot.
//!
//! Nothing read here is trusted: a difference of positions counts only if it is at most the capacity, and slots are computed from private
//! positions. Every function ends after a bounded number of steps.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a private slot number and the geometry, which was checked against the segment"
)]

use super::layout::{CONSUMER_SLEEPS, Geometry, OUT, OUT_LAZY, PRODUCER_SLEEPS};
use crate::bounded_buffer::seam::{Shared, SharedItems};
use crate::bounded_buffer::wait::{Effort, Look, wake_if_asleep};
use std::sync::atomic::Ordering;

/// Why an operation did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No room, or no item.
    NotNow,
    /// Shared memory holds nonsense.
    Corrupted,
}

/// A side's place in the ring: private, and always within the geometry.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    position: u64,
    /// Offsets of the word and the item of the position's slot.
    word: usize,
    item: usize,
}

impl Cursor {
    fn at(g: &Geometry, position: u64) -> Self {
        let slot = g.slot(position);
        Self {
            position,
            word: g.word_at(slot),
            item: g.item_at(slot),
        }
    }

    /// One further. Cheaper than a multiplication, and needs no power of two.
    #[inline(always)]
    fn step(&mut self, g: &Geometry) {
        self.position = self.position.wrapping_add(1);
        self.word += g.word_stride;
        self.item += g.item_stride;
        if self.word == g.words_end {
            self.word = g.words;
            self.item = g.items;
        }
    }

    fn slot(&self, g: &Geometry) -> usize {
        (self.word - g.words) / g.word_stride
    }

    /// `count` further, at most the capacity.
    #[inline(always)]
    fn jump(&mut self, g: &Geometry, count: usize) {
        self.position = self.position.wrapping_add(count as u64);
        let slot = self.slot(g) + count;
        let capacity = g.capacity as usize;
        let slot = if slot >= capacity {
            slot - capacity
        } else {
            slot
        };
        self.word = g.word_at(slot);
        self.item = g.item_at(slot);
    }
}

/// What the word in the slot of `position` says: how far everything has been pushed, if anything has.
#[inline(always)]
fn judge(word: u64, position: u64, capacity: u64) -> Result<u64, Refusal> {
    let ahead = word.wrapping_sub(position);
    if ahead.wrapping_sub(1) < capacity {
        Ok(word)
    } else if ahead as i64 <= 0 {
        Err(Refusal::NotNow)
    } else {
        Err(Refusal::Corrupted)
    }
}

/// The producer's position: found by reading alone, in `capacity` loads.
pub(crate) fn find_in<M: Shared>(memory: M, g: &Geometry, out: u64) -> u64 {
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

/// `out` as it is.
pub(crate) fn load_out<M: Shared>(memory: M) -> u64 {
    // SAFETY: a constant of the layout.
    unsafe { memory.load(OUT, Ordering::Acquire) }
}

/// Fills the words of a ring that starts at this position. Does not depend on what was there.
pub(crate) fn initialise<M: Shared>(memory: M, g: &Geometry, start: u64) {
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

/// The producing side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Producing<M> {
    memory: M,
    g: Geometry,
    cursor: Cursor,
    /// The position up to which there is known to be room.
    limit: u64,
    registered: bool,
}

impl<M: Shared> Producing<M> {
    /// Where the last producer stopped.
    pub(crate) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = find_in(memory, &g, load_out(memory));
        Self {
            memory,
            g,
            cursor: Cursor::at(&g, position),
            limit: position,
            registered,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.g
    }

    pub(crate) fn memory(&self) -> M {
        self.memory
    }

    pub(crate) fn slot(&self) -> usize {
        self.cursor.slot(&self.g)
    }

    /// Room that is known of without a look.
    #[inline(always)]
    pub(crate) fn known_room(&self) -> usize {
        self.limit.wrapping_sub(self.cursor.position) as usize
    }

    /// Takes note of room found by [`look_for_room`].
    #[inline(always)]
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Looks for room for `wanted` items, or at least for one.
    #[inline(always)]
    pub(crate) fn find_room(&mut self, wanted: usize) -> Result<usize, Refusal> {
        if self.known_room() < wanted {
            self.limit = find_room(self.memory, self.g.capacity, self.cursor.position, wanted)?;
        }
        Ok(self.known_room())
    }

    /// Publishes `count` items that were written from the cursor on. There is room for them: `count <= known_room()`, and not 0.
    #[inline(always)]
    pub(crate) fn publish(&mut self, count: usize) {
        let end = self.cursor.position.wrapping_add(count as u64);
        // SAFETY: the cursor is within the geometry.
        unsafe { self.memory.store(self.cursor.word, end, Ordering::Release) };
        if count == 1 {
            self.cursor.step(&self.g);
        } else {
            self.cursor.jump(&self.g, count);
        }
        wake_if_asleep(self.memory, CONSUMER_SLEEPS, self.registered);
    }

    /// Writes and publishes one item, if there is known to be room; says whether.
    #[inline(always)]
    pub(crate) fn push_known<T>(&mut self, item: &T) -> bool
    where
        M: SharedItems<T>,
    {
        if self.limit == self.cursor.position {
            return false;
        }
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        unsafe { self.memory.write_item(self.cursor.item, item) };
        self.publish(1);
        true
    }
}

#[cold]
#[inline(never)]
fn find_room<M: Shared>(
    memory: M,
    capacity: u64,
    position: u64,
    wanted: usize,
) -> Result<u64, Refusal> {
    let (limit, wanted) = (position, wanted as u64);
    let limit = match look_for_room(memory, capacity, position, Effort::Glance) {
        Look::Ready(found) if found.wrapping_sub(position) >= wanted.min(capacity) => {
            return Ok(found);
        }
        Look::Ready(found) => found,
        _ => limit,
    };
    match look_for_room(memory, capacity, position, Effort::Thorough) {
        Look::Ready(found) => Ok(found),
        Look::NotYet if limit != position => Ok(limit),
        Look::NotYet => Err(Refusal::NotNow),
        Look::Corrupted => Err(Refusal::Corrupted),
    }
}

/// The position up to which there is room, if that is beyond `position`.
pub(crate) fn look_for_room<M: Shared>(
    memory: M,
    capacity: u64,
    position: u64,
    effort: Effort,
) -> Look<u64> {
    let at = if effort == Effort::Thorough {
        OUT
    } else {
        OUT_LAZY
    };
    // Acquire pairs with the release of the pop: the items before `out` were copied before their slots are reused.
    // SAFETY: a constant of the layout.
    let out = unsafe { memory.load(at, Ordering::Acquire) };
    let used = position.wrapping_sub(out);
    if used < capacity {
        Look::Ready(out.wrapping_add(capacity))
    } else if used == capacity || effort == Effort::Glance {
        // The lazy word may be so far behind that it makes no sense any more; it is a hint.
        Look::NotYet
    } else {
        Look::Corrupted
    }
}

/// The consuming side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consuming<M> {
    memory: M,
    g: Geometry,
    cursor: Cursor,
    /// The position up to which items are known to have been pushed.
    end: u64,
    /// What the lazy word holds.
    told: u64,
    registered: bool,
}

impl<M: Shared> Consuming<M> {
    /// Where the last consumer stopped.
    pub(crate) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = load_out(memory);
        let mut this = Self {
            memory,
            g,
            cursor: Cursor::at(&g, position),
            end: find_in(memory, &g, position),
            told: position,
            registered,
        };
        // The predecessor may have died without telling.
        this.tell();
        this
    }

    pub(crate) fn position(&self) -> u64 {
        self.cursor.position
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.g
    }

    pub(crate) fn memory(&self) -> M {
        self.memory
    }

    pub(crate) fn slot(&self) -> usize {
        self.cursor.slot(&self.g)
    }

    #[inline(always)]
    pub(crate) fn known_items(&self) -> usize {
        self.end.wrapping_sub(self.cursor.position) as usize
    }

    #[inline(always)]
    pub(crate) fn set_end(&mut self, end: u64) {
        self.end = end;
    }

    /// Looks for `wanted` items, or at least for one.
    #[inline(always)]
    pub(crate) fn find_items(&mut self, wanted: usize) -> Result<usize, Refusal> {
        if self.known_items() < wanted {
            self.end = find_items(self.memory, &self.g, self.cursor.position, self.end, wanted)?;
        }
        Ok(self.known_items())
    }

    /// Looks at the slot of the cursor, with everything before it taken.
    #[inline(always)]
    pub(crate) fn glance(&mut self) -> Result<(), Refusal> {
        // Acquire pairs with the release of the push.
        // SAFETY: the cursor is within the geometry.
        let word = unsafe { self.memory.load(self.cursor.word, Ordering::Acquire) };
        self.end = judge(word, self.cursor.position, self.g.capacity)?;
        Ok(())
    }

    /// Gives the slots of `count` items back, which the caller has copied: `count <= known_items()`, and not 0.
    #[inline(always)]
    pub(crate) fn release(&mut self, count: usize) {
        if count == 1 {
            self.cursor.step(&self.g);
        } else {
            self.cursor.jump(&self.g, count);
        }
        // Release pairs with the producer's acquire: the items were copied before the slots are free.
        // SAFETY: a constant of the layout.
        unsafe {
            self.memory
                .store(OUT, self.cursor.position, Ordering::Release)
        };
        if self.cursor.position.wrapping_sub(self.told) >= self.g.lazy_step() {
            self.told = self.cursor.position;
            tell(self.memory, self.told, self.registered);
        }
    }

    /// Takes one item, if there is known to be one or the slot of the cursor has one.
    #[inline(always)]
    pub(crate) fn pop_known<T>(&mut self) -> Result<T, Refusal>
    where
        M: SharedItems<T>,
    {
        if self.end == self.cursor.position {
            self.glance()?;
        }
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        let item = unsafe { self.memory.read_item(self.cursor.item) };
        self.release(1);
        Ok(item)
    }

    /// Tells a producer that may be waiting how far this side is. Before waiting, and when there is nothing else to do.
    #[inline(always)]
    pub(crate) fn tell_if_due(&mut self) {
        if self.told != self.cursor.position {
            self.told = self.cursor.position;
            tell(self.memory, self.told, self.registered);
        }
    }

    fn tell(&mut self) {
        self.told = self.cursor.position;
        tell(self.memory, self.told, self.registered);
    }
}

/// Stores the lazy word, and wakes a producer that sleeps.
#[inline(never)]
fn tell<M: Shared>(memory: M, position: u64, registered: bool) {
    // Release: as for `out`, which this repeats.
    // SAFETY: a constant of the layout.
    unsafe { memory.store(OUT_LAZY, position, Ordering::Release) };
    wake_if_asleep(memory, PRODUCER_SLEEPS, registered);
}

/// Follows the words from `end` on until `wanted` items are found or there are no more.
#[inline(never)]
fn find_items<M: Shared>(
    memory: M,
    g: &Geometry,
    position: u64,
    end: u64,
    wanted: usize,
) -> Result<u64, Refusal> {
    let wanted = (wanted as u64).min(g.capacity);
    let mut end = end;
    // Each turn finds at least one item more, and there cannot be more than the capacity.
    while end.wrapping_sub(position) < wanted {
        match look_for_items(memory, g, end) {
            Look::Ready(found) => end = found,
            Look::NotYet => break,
            Look::Corrupted => return Err(Refusal::Corrupted),
        }
    }
    match end.wrapping_sub(position) {
        0 => Err(Refusal::NotNow),
        items if items <= g.capacity => Ok(end),
        _ => Err(Refusal::Corrupted),
    }
}

/// The position up to which items have been pushed, if that is beyond `position`, where nothing was known yet.
#[inline(always)]
pub(crate) fn look_for_items<M: Shared>(memory: M, g: &Geometry, position: u64) -> Look<u64> {
    // Acquire pairs with the release of the push.
    // SAFETY: a slot of the geometry.
    let word = unsafe { memory.load(g.word_at(g.slot(position)), Ordering::Acquire) };
    match judge(word, position, g.capacity) {
        Ok(end) => Look::Ready(end),
        Err(Refusal::NotNow) => Look::NotYet,
        Err(Refusal::Corrupted) => Look::Corrupted,
    }
}
