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

#[cfg(all(test, not(loom)))]
mod tests;

use super::layout::{CONSUMER_SLEEPS, Geometry, OUT, OUT_LAZY, PRODUCER_SLEEPS};
pub(crate) use crate::bounded_buffer::refusal::Refusal;
use crate::bounded_buffer::seam::{Shared, SharedItems, SharedMoved};
use crate::bounded_buffer::wait::{Effort, Look, Watch, wake_if_asleep};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// A side's place in the ring: private, and always within the geometry.
///
/// One number that changes at each step and others that change once per lap. On the fast path every store counts,
/// private ones too: the processor keeps only so many on their way, and those to the shared line wait for it to
/// arrive.
#[derive(Debug, Clone, Copy)]
struct Cursor<M> {
    position: u64,
    /// The position that lies in slot 0 in this lap: `position - lap` is the slot, at most the capacity.
    lap: u64,
    /// The memory as seen from where word and item of position 0 would be if its lap were this one: from a position
    /// to an address in one multiplication and one addition.
    words: M,
    items: M,
}

impl<M: SharedMoved> Cursor<M> {
    fn at(memory: M, g: &Geometry, position: u64) -> Self {
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
    fn wrap(&mut self, memory: M, g: &Geometry) {
        if self.slot() as u64 >= g.capacity {
            self.begin_lap(memory, g, self.lap.wrapping_add(g.capacity));
        }
    }

    #[inline(always)]
    fn slot(&self) -> usize {
        self.position.wrapping_sub(self.lap) as usize
    }

    /// Where the word of this position is, for `words`.
    #[inline(always)]
    fn word(&self, g: &Geometry) -> usize {
        (self.position as usize).wrapping_mul(g.word_stride)
    }

    /// Where the item of this position is, for `items`.
    #[inline(always)]
    fn item(&self, g: &Geometry) -> usize {
        (self.position as usize).wrapping_mul(g.item_stride)
    }

    #[inline(always)]
    fn lap_end(&self, g: &Geometry) -> u64 {
        self.lap.wrapping_add(g.capacity)
    }
}

/// The first of the ends that are ahead of `position`.
fn first_of<const N: usize>(position: u64, ends: [u64; N]) -> u64 {
    let ahead = ends.map(|end| end.wrapping_sub(position));
    position.wrapping_add(ahead.into_iter().min().unwrap_or(0))
}

/// The same, not inlined: registers are scarce where it is called.
#[inline(never)]
fn end_of_run(position: u64, known: u64, lap_end: u64, due: u64, step: u64) -> u64 {
    first_of(position, [known, lap_end, due, step])
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
    cursor: Cursor<M>,
    /// The position up to which there is known to be room.
    limit: u64,
    /// As `limit`, but not beyond this lap: one comparison per push instead of two.
    run_end: u64,
    /// What to look at after publishing, instead of at the consumer's word and whether to fence.
    watch: Watch,
}

/// The part that changes when a run ends: a value in and a value out.
#[derive(Debug, Clone, Copy)]
struct Room<M> {
    cursor: Cursor<M>,
    limit: u64,
    run_end: u64,
}

impl<M: SharedMoved> Room<M> {
    /// Begins the next run: in the next lap if this one is over.
    #[inline(always)]
    fn begin_run(mut self, memory: M, g: &Geometry) -> Self {
        self.cursor.wrap(memory, g);
        let ends = [self.limit, self.cursor.lap_end(g)];
        self.run_end = first_of(self.cursor.position, ends);
        self
    }
}

impl<M: SharedMoved> Producing<M> {
    /// Where the last producer stopped.
    pub(crate) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = find_in(memory, &g, load_out(memory));
        Self {
            memory,
            g,
            cursor: Cursor::at(memory, &g, position),
            limit: position,
            run_end: position,
            watch: Watch::new(CONSUMER_SLEEPS, registered),
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

    /// The slot where the next item goes, after [`find_room`](Self::find_room) or [`set_limit`](Self::set_limit).
    pub(crate) fn slot(&self) -> usize {
        self.cursor.slot()
    }

    /// Room that is known of without a look.
    #[inline(always)]
    pub(crate) fn known_room(&self) -> usize {
        self.limit.wrapping_sub(self.cursor.position) as usize
    }

    fn room(&self) -> Room<M> {
        Room {
            cursor: self.cursor,
            limit: self.limit,
            run_end: self.run_end,
        }
    }

    #[inline(always)]
    fn set_room(&mut self, room: Room<M>) {
        self.cursor = room.cursor;
        self.limit = room.limit;
        self.run_end = room.run_end;
    }

    /// Takes note of room found by [`look_for_room`].
    #[inline(always)]
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.set_room(next_run(self.memory, self.g, self.room()));
    }

    /// Goes on to the next lap if there is known to be room in it; says whether there is room.
    #[inline(always)]
    pub(crate) fn goes_on(&mut self) -> bool {
        self.set_room(next_run(self.memory, self.g, self.room()));
        self.known_room() > 0
    }

    /// Looks for room for `wanted` items, or at least for one.
    #[inline(always)]
    pub(crate) fn find_room(&mut self, wanted: usize) -> Result<usize, Refusal> {
        if self.known_room() < wanted {
            let limit = find_room(self.memory, self.g.capacity, self.cursor.position, wanted)?;
            self.set_limit(limit);
        } else if self.run_end == self.cursor.position {
            self.goes_on();
        }
        Ok(self.known_room())
    }

    /// Publishes `count` items that were written from the cursor on. There is room for them:
    /// `count <= known_room()`, and not 0.
    #[inline(always)]
    pub(crate) fn publish(&mut self, count: usize) {
        let end = self.cursor.position.wrapping_add(count as u64);
        let word = self.cursor.word(&self.g);
        // SAFETY: the cursor is within the geometry.
        unsafe { self.cursor.words.store(word, end, Ordering::Release) };
        self.cursor.position = end;
        if end.wrapping_sub(self.run_end) as i64 >= 0 {
            self.set_room(self.room().begin_run(self.memory, &self.g));
        }
        self.watch.wake_if_asleep(self.memory);
    }

    /// Writes and publishes one item, if there is known to be room in this lap; says whether.
    ///
    /// Leaves the cursor behind the last slot: the next lap begins with the next look for room.
    #[inline(always)]
    pub(crate) fn push_known<T>(&mut self, item: &T) -> bool
    where
        M: SharedItems<T>,
    {
        if self.run_end == self.cursor.position {
            return false;
        }
        let (word, at) = (self.cursor.word(&self.g), self.cursor.item(&self.g));
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        unsafe { self.cursor.items.write_item(at, item) };
        let end = self.cursor.position.wrapping_add(1);
        self.cursor.position = end;
        // SAFETY: as above.
        unsafe { self.cursor.words.store(word, end, Ordering::Release) };
        self.watch.wake_if_asleep(self.memory);
        true
    }
}

#[inline(never)]
fn next_run<M: SharedMoved>(memory: M, g: Geometry, room: Room<M>) -> Room<M> {
    room.begin_run(memory, &g)
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
        match limit(out, capacity) {
            // So that what is known to be free is never more than the capacity, whatever `out` says.
            limit if limit.wrapping_sub(position).wrapping_sub(1) < capacity => Look::Ready(limit),
            _ => Look::Corrupted,
        }
    } else if used == capacity || effort == Effort::Glance {
        // The lazy word may be so far behind that it makes no sense any more; it is a hint.
        Look::NotYet
    } else {
        Look::Corrupted
    }
}

/// Up to where a consumer at `out` leaves room.
///
/// Position 2^64 is 0 again, which lies in slot 0. That follows on from the slot of 2^64 - 1 only if the capacity
/// is a power of two; other buffers end there, with every item in order and none lost, instead of going wrong.
fn limit(out: u64, capacity: u64) -> u64 {
    if capacity.is_power_of_two() {
        out.wrapping_add(capacity)
    } else {
        out.saturating_add(capacity)
    }
}

/// The consuming side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consuming<M> {
    memory: M,
    g: Geometry,
    cursor: Cursor<M>,
    /// A position up to which items are known to have been pushed. May have fallen behind, and then says nothing.
    end: u64,
    /// Where the next item comes that is not known to be there, or that begins a lap, or behind which a producer is
    /// to be told: one comparison per pop instead of three. Never behind the cursor.
    run_end: u64,
    /// What the lazy word holds.
    told: u64,
    registered: bool,
    /// Whether items come in streams, so that looking further ahead than at the next one pays.
    in_stream: bool,
}

/// A stream of items is taken in steps. At each, so much is known in advance that what is behind it is fetched
/// before it is needed: waiting for one cache line after the other would take several times as long.
#[cfg(not(loom))]
mod stream {
    /// Items in a step.
    pub(super) const STEP: u64 = 64;
    /// How far ahead to look, furthest first, where less than two steps are known.
    pub(super) const AHEAD: [u64; 4] = [255, 127, 63, 15];
}
/// For the model's small rings.
#[cfg(loom)]
mod stream {
    pub(super) const STEP: u64 = 1;
    pub(super) const AHEAD: [u64; 2] = [2, 1];
}

impl<M: SharedMoved> Consuming<M> {
    /// Where the last consumer stopped.
    pub(crate) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = load_out(memory);
        let mut this = Self {
            memory,
            g,
            cursor: Cursor::at(memory, &g, position),
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
        let position = self.cursor.position;
        let known = position.wrapping_add(self.known_items() as u64);
        let due = self.told.wrapping_add(self.g.tell_every);
        let step = if self.in_stream {
            stream::STEP
        } else {
            self.g.capacity
        };
        let (lap_end, step) = (self.cursor.lap_end(&self.g), position.wrapping_add(step));
        self.run_end = end_of_run(position, known, lap_end, due, step);
    }

    /// Looks for `wanted` items, or at least for one.
    #[inline(always)]
    pub(crate) fn find_items(&mut self, wanted: usize) -> Result<usize, Refusal> {
        if self.in_stream && self.known_items() < wanted {
            self.look_ahead();
            self.begin_run();
        }
        if self.known_items() < wanted {
            let known = self.cursor.position.wrapping_add(self.known_items() as u64);
            self.end = find_items(self.memory, self.g, self.cursor.position, known, wanted)?;
            self.begin_run();
        }
        Ok(self.known_items())
    }

    /// Gives the slots of `count` items back, which the caller has copied: `count <= known_items()`, and not 0.
    #[inline(always)]
    pub(crate) fn release(&mut self, count: usize) {
        self.advance(count);
        if self.cursor.position.wrapping_sub(self.run_end) as i64 >= 0 {
            self.finish_run();
        }
    }

    #[inline(always)]
    fn advance(&mut self, count: usize) {
        let position = self.cursor.position.wrapping_add(count as u64);
        self.cursor.position = position;
        // Release pairs with the producer's acquire: the items were copied before the slots are free.
        // SAFETY: a constant of the layout.
        unsafe { self.memory.store(OUT, position, Ordering::Release) };
    }

    #[inline(always)]
    fn finish_run(&mut self) {
        self.pass();
        if self.known_items() > 0 {
            if self.in_stream {
                self.look_ahead();
            }
            self.begin_run();
        } else {
            self.run_end = self.cursor.position;
        }
    }

    /// What there is to do now and then behind an item.
    #[inline(always)]
    fn pass(&mut self) {
        self.cursor.wrap(self.memory, &self.g);
        if self.cursor.position.wrapping_sub(self.told) >= self.g.tell_every {
            self.tell();
        }
    }

    /// Takes one item, if there is known to be one or the slot of the cursor has one.
    #[inline(always)]
    pub(crate) fn pop_known<T>(&mut self) -> Result<T, Refusal>
    where
        M: SharedItems<T>,
    {
        let left = self.run_end.wrapping_sub(self.cursor.position);
        if left > 1 {
            // Not the last of its run: nothing else to do.
            let item = self.read();
            self.advance(1);
            return Ok(item);
        }
        if left == 0 && !(self.in_stream && self.begins_step()) {
            let end = self.look()?;
            if end == self.cursor.position.wrapping_add(1) {
                // One item, and nothing known behind it.
                let item = self.read();
                self.advance(1);
                self.run_end = self.cursor.position;
                self.pass();
                return Ok(item);
            }
            self.end = end;
            self.begin_run();
        }
        let item = self.read();
        self.release(1);
        Ok(item)
    }

    /// Takes one item after a wait that found items up to `end`.
    #[inline(always)]
    pub(crate) fn pop_found<T>(&mut self, end: u64, in_stream: bool) -> T
    where
        M: SharedItems<T>,
    {
        let item = self.read();
        if end == self.cursor.position.wrapping_add(1) {
            // One item, and nothing known behind it: a round trip, perhaps, whose answer waits for this.
            self.advance(1);
            self.in_stream = in_stream;
            self.run_end = self.cursor.position;
            self.pass();
        } else {
            self.set_end(end, in_stream);
            self.release(1);
        }
        item
    }

    /// Takes one item, which is known to be there: for large ones.
    #[inline(always)]
    pub(crate) fn take_into<T>(&mut self, into: &mut T)
    where
        M: SharedItems<T>,
    {
        debug_assert!(self.known_items() > 0);
        self.fetch_behind(1);
        let at = self.cursor.item(&self.g);
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        unsafe { self.cursor.items.read_item_into(at, into) };
        self.release(1);
    }

    /// Has the item fetched that comes soon after the `count` that are taken next, if it is known to be there and a
    /// large one: more of it is on its way then than a copy alone would ask for.
    #[inline(always)]
    pub(crate) fn fetch_behind(&self, count: usize) {
        let stride = self.g.item_stride;
        if stride > 128 && stride <= 4096 {
            let ahead = count + 2048 / stride;
            if self.known_items() > ahead {
                let position = self.cursor.position.wrapping_add(ahead as u64);
                let at = self.g.item_at(self.g.slot(position));
                self.memory.prefetch_run(at, stride);
            }
        }
    }

    /// Looks for a step of a stream, where no item is known; says whether there is one.
    #[inline(always)]
    fn begins_step(&mut self) -> bool {
        self.look_ahead();
        let found = self.known_items() > 0;
        if found {
            self.begin_run();
        }
        found
    }

    #[inline(always)]
    fn look_ahead(&mut self) {
        let known = self.known_items() as u64;
        self.end = look_ahead(self.memory, self.g, self.cursor.position, known);
    }

    #[inline(always)]
    fn read<T>(&self) -> T
    where
        M: SharedItems<T>,
    {
        let at = self.cursor.item(&self.g);
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        unsafe { self.cursor.items.read_item(at) }
    }

    /// Looks at the slot of the cursor, with everything before it taken.
    #[inline(always)]
    fn look(&self) -> Result<u64, Refusal> {
        let word = self.cursor.word(&self.g);
        // Acquire pairs with the release of the push.
        // SAFETY: the cursor is within the geometry.
        let word = unsafe { self.cursor.words.load(word, Ordering::Acquire) };
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

/// Looks for more items in a stream of them, of which `known` are known, and has some of their cache lines fetched.
/// Returns the position up to which items are known.
///
/// A word that publishes something publishes everything before it, so one load can tell of many items.
#[inline(never)]
fn look_ahead<M: SharedMoved>(memory: M, g: Geometry, position: u64, known: u64) -> u64 {
    let mut ahead = known;
    if known < 2 * stream::STEP {
        for there in stream::AHEAD {
            if there < known || there >= g.capacity {
                continue;
            }
            // A batch leaves old words in the slots behind its first: nothing is learned from those, nor from
            // nonsense.
            if let Look::Ready(end) = look_for_items(memory, &g, position.wrapping_add(there)) {
                let found = end.wrapping_sub(position);
                if found <= g.capacity {
                    ahead = found;
                    break;
                }
            }
        }
    }
    // What is nearer was fetched at the step before.
    fetch(
        memory,
        &g,
        position,
        known.min(stream::STEP)..ahead.min(2 * stream::STEP),
    );
    position.wrapping_add(ahead)
}

/// Has the cache lines of these items fetched, if each has no more than two. They have been pushed: nobody writes
/// to them meanwhile.
fn fetch<M: SharedMoved>(memory: M, g: &Geometry, position: u64, items: Range<u64>) {
    let stride = g.item_stride as u64;
    if stride <= 128 {
        for ahead in items.step_by((64 / stride).max(1) as usize) {
            memory.prefetch(g.item_at(g.slot(position.wrapping_add(ahead))));
        }
    }
}

/// Follows the words from `end` on until `wanted` items are found or there are no more.
#[inline(never)]
fn find_items<M: Shared>(
    memory: M,
    g: Geometry,
    position: u64,
    end: u64,
    wanted: usize,
) -> Result<u64, Refusal> {
    let wanted = (wanted as u64).min(g.capacity);
    let mut end = end;
    // Each turn finds at least one item more, and there cannot be more than the capacity.
    while end.wrapping_sub(position) < wanted {
        match look_for_items(memory, &g, end) {
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
    look_at_word(memory, g.word_at(g.slot(position)), position, g.capacity)
}

/// The same at the word of `position`, which lies at `word`.
#[inline(always)]
pub(crate) fn look_at_word<M: Shared>(
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
        Err(Refusal::NotNow) => Look::NotYet,
        Err(Refusal::Corrupted) => Look::Corrupted,
    }
}
