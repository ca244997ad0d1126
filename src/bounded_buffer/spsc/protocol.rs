//! The protocol of the ring, over the [seam](crate::bounded_buffer::seam).
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

use super::layout::{CONSUMER_SLEEPS, Geometry, OUT, OUT_LAZY, PRODUCER_SLEEPS};
pub(crate) use crate::bounded_buffer::refusal::Refusal;
use crate::bounded_buffer::seam::{Shared, SharedItems};
use crate::bounded_buffer::wait::{Effort, Look, wake_if_asleep};
use std::sync::atomic::Ordering;

/// A side's place in the ring: private, and always within the geometry.
///
/// Two numbers, of which one changes at each step and the other once per lap. On the fast path every store counts,
/// private ones too: the processor keeps only so many on their way, and those to the shared line wait for it to
/// arrive.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    position: u64,
    /// The position that lies in slot 0 in this lap: `position - lap` is the slot, below the capacity.
    lap: u64,
}

impl Cursor {
    fn at(g: &Geometry, position: u64) -> Self {
        Self {
            position,
            lap: position.wrapping_sub(g.slot(position) as u64),
        }
    }

    #[inline(always)]
    fn slot(self) -> usize {
        self.position.wrapping_sub(self.lap) as usize
    }

    /// `count` further, at most the capacity.
    #[inline(always)]
    fn advance(&mut self, g: &Geometry, count: usize) {
        self.position = self.position.wrapping_add(count as u64);
        self.wrap(g);
    }

    /// Begins the next lap when the last slot is behind. Needs no power of two.
    #[inline(always)]
    fn wrap(&mut self, g: &Geometry) {
        if self.position.wrapping_sub(self.lap) >= g.capacity {
            self.lap = self.lap.wrapping_add(g.capacity);
        }
    }

    /// `end`, which is ahead by at most the capacity, or the end of this lap if that comes first.
    #[inline(always)]
    fn run_end(self, g: &Geometry, end: u64) -> u64 {
        let lap_end = self.lap.wrapping_add(g.capacity);
        let ahead = end.wrapping_sub(self.position);
        let left = lap_end.wrapping_sub(self.position);
        if ahead < left { end } else { lap_end }
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
    /// As `limit`, but not beyond this lap: one comparison per push instead of two.
    run_end: u64,
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
            run_end: position,
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
        self.cursor.slot()
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
        self.begin_run();
    }

    #[inline(always)]
    fn begin_run(&mut self) {
        self.run_end = self.cursor.run_end(&self.g, self.limit);
    }

    /// Looks for room for `wanted` items, or at least for one.
    #[inline(always)]
    pub(crate) fn find_room(&mut self, wanted: usize) -> Result<usize, Refusal> {
        if self.known_room() < wanted {
            let limit = find_room(self.memory, self.g.capacity, self.cursor.position, wanted)?;
            self.set_limit(limit);
        }
        Ok(self.known_room())
    }

    /// Publishes `count` items that were written from the cursor on. There is room for them:
    /// `count <= known_room()`, and not 0.
    #[inline(always)]
    pub(crate) fn publish(&mut self, count: usize) {
        let end = self.cursor.position.wrapping_add(count as u64);
        let word = self.g.word_at(self.cursor.slot());
        // SAFETY: the cursor is within the geometry.
        unsafe { self.memory.store(word, end, Ordering::Release) };
        self.cursor.position = end;
        if end.wrapping_sub(self.run_end) as i64 >= 0 {
            self.cursor.wrap(&self.g);
            self.begin_run();
        }
        wake_if_asleep(self.memory, CONSUMER_SLEEPS, self.registered);
    }

    /// Writes and publishes one item, if there is known to be room; says whether.
    #[inline(always)]
    pub(crate) fn push_known<T>(&mut self, item: &T) -> bool
    where
        M: SharedItems<T>,
    {
        // Either there is no room that is known of, or the next run begins.
        if self.run_end == self.cursor.position {
            return false;
        }
        let at = self.g.item_at(self.cursor.slot());
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        unsafe { self.memory.write_item(at, item) };
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
    /// A position up to which items are known to have been pushed. May have fallen behind, and then says nothing.
    end: u64,
    /// Where the next item comes that is not known to be there, or that begins a lap, or behind which a producer is
    /// to be told: one comparison per pop instead of three.
    run_end: u64,
    /// What the lazy word holds.
    told: u64,
    registered: bool,
    /// Whether items come in streams, so that looking further ahead than at the next one pays.
    in_stream: bool,
}

/// How far ahead to look in a stream, furthest first.
#[cfg(not(loom))]
const AHEAD: [u64; 2] = [63, 15];
/// For the model's small rings.
#[cfg(loom)]
const AHEAD: [u64; 2] = [2, 1];

impl<M: Shared> Consuming<M> {
    /// Where the last consumer stopped.
    pub(crate) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = load_out(memory);
        let mut this = Self {
            memory,
            g,
            cursor: Cursor::at(&g, position),
            end: find_in(memory, &g, position),
            run_end: position,
            told: position,
            registered,
            in_stream: false,
        };
        // The predecessor may have died without telling.
        this.tell();
        this.begin_run();
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
        self.cursor.slot()
    }

    #[inline(always)]
    pub(crate) fn known_items(&self) -> usize {
        let ahead = self.end.wrapping_sub(self.cursor.position);
        if ahead as i64 > 0 { ahead as usize } else { 0 }
    }

    /// Takes note of what a wait found.
    #[inline(always)]
    pub(crate) fn set_end(&mut self, end: u64, in_stream: bool) {
        self.end = end;
        self.in_stream = in_stream;
        self.begin_run();
    }

    #[inline(always)]
    fn begin_run(&mut self) {
        let known = self.cursor.position.wrapping_add(self.known_items() as u64);
        let run_end = self.cursor.run_end(&self.g, known);
        let due = self.told.wrapping_add(self.g.tell_every);
        let is_sooner =
            due.wrapping_sub(self.cursor.position) < run_end.wrapping_sub(self.cursor.position);
        self.run_end = if is_sooner { due } else { run_end };
    }

    /// Looks for `wanted` items, or at least for one.
    #[inline(always)]
    pub(crate) fn find_items(&mut self, wanted: usize) -> Result<usize, Refusal> {
        if self.known_items() < wanted {
            let known = self.cursor.position.wrapping_add(self.known_items() as u64);
            self.end = find_items(self.memory, &self.g, self.cursor.position, known, wanted)?;
            self.begin_run();
        }
        Ok(self.known_items())
    }

    /// Gives the slots of `count` items back, which the caller has copied: `count <= known_items()`, and not 0.
    #[inline(always)]
    pub(crate) fn release(&mut self, count: usize) {
        self.cursor.position = self.cursor.position.wrapping_add(count as u64);
        // Release pairs with the producer's acquire: the items were copied before the slots are free.
        // SAFETY: a constant of the layout.
        unsafe {
            self.memory
                .store(OUT, self.cursor.position, Ordering::Release);
        }
        if self.cursor.position.wrapping_sub(self.run_end) as i64 >= 0 {
            self.finish_run();
        }
    }

    #[inline(always)]
    fn finish_run(&mut self) {
        self.cursor.wrap(&self.g);
        if self.cursor.position.wrapping_sub(self.told) >= self.g.tell_every {
            self.tell();
        }
        if self.known_items() > 0 {
            self.begin_run();
        } else {
            self.run_end = self.cursor.position;
        }
    }

    /// Takes one item, if there is known to be one or the slot of the cursor has one.
    #[inline(always)]
    pub(crate) fn pop_known<T>(&mut self) -> Result<T, Refusal>
    where
        M: SharedItems<T>,
    {
        if self.run_end == self.cursor.position {
            if self.in_stream {
                self.end = look_ahead(self.memory, &self.g, self.cursor.position)?;
                self.begin_run();
            } else {
                let end = self.look()?;
                if end != self.cursor.position.wrapping_add(1) {
                    self.end = end;
                    self.begin_run();
                }
            }
        }
        let at = self.g.item_at(self.cursor.slot());
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        let item = unsafe { self.memory.read_item(at) };
        self.release(1);
        Ok(item)
    }

    /// Looks at the slot of the cursor, with everything before it taken.
    #[inline(always)]
    fn look(&self) -> Result<u64, Refusal> {
        let word = self.g.word_at(self.cursor.slot());
        // Acquire pairs with the release of the push.
        // SAFETY: the cursor is within the geometry.
        let word = unsafe { self.memory.load(word, Ordering::Acquire) };
        judge(word, self.cursor.position, self.g.capacity)
    }

    /// Tells a producer that may be waiting how far this side is. Before waiting, and when there is nothing else to
    /// do.
    #[inline(always)]
    pub(crate) fn tell_if_due(&mut self) {
        if self.told != self.cursor.position {
            self.tell();
            self.begin_run();
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

/// Looks for items at `position`, where nothing is known to be, in a stream of them: further ahead first.
///
/// A word that publishes something publishes everything before it. So one load can tell of many items, and then
/// their cache lines are on their way together, where one look after the other would wait for each.
#[inline(never)]
fn look_ahead<M: Shared>(memory: M, g: &Geometry, position: u64) -> Result<u64, Refusal> {
    for ahead in AHEAD {
        if ahead < g.capacity {
            let there = position.wrapping_add(ahead);
            // A batch leaves old words in the slots behind its first: nothing is learned from those, nor from
            // nonsense.
            if let Look::Ready(end) = look_for_items(memory, g, there) {
                if end.wrapping_sub(position) <= g.capacity {
                    return Ok(end);
                }
            }
        }
    }
    match look_for_items(memory, g, position) {
        Look::Ready(end) => Ok(end),
        Look::NotYet => Err(Refusal::NotNow),
        Look::Corrupted => Err(Refusal::Corrupted),
    }
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
    let mut cursor = Cursor::at(g, end);
    // Each turn finds at least one item more, and there cannot be more than the capacity.
    while cursor.position.wrapping_sub(position) < wanted {
        // Acquire pairs with the release of the push.
        // SAFETY: the cursor is within the geometry.
        let word = unsafe { memory.load(g.word_at(cursor.slot()), Ordering::Acquire) };
        match judge(word, cursor.position, g.capacity) {
            Ok(found) => cursor.advance(g, found.wrapping_sub(cursor.position) as usize),
            Err(Refusal::NotNow) => break,
            Err(Refusal::Corrupted) => return Err(Refusal::Corrupted),
        }
    }
    let end = cursor.position;
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
