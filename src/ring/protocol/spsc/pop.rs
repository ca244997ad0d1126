//! The consuming side.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a private slot number and the geometry, which was checked against the segment"
)]

use super::cursor::{Cursor, find_in, first_of, judge, load_out, look_for_items};
use super::layout::{Geometry, OUT, OUT_LAZY, PRODUCER_SLEEPS};
use crate::ring::protocol::error::TryError;
use crate::ring::shm::memory::{Shared, SharedItems, SharedMoved};
use crate::ring::wait::{Look, wake_one};
use std::ops::Range;
use std::sync::atomic::Ordering;

/// The consuming side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consuming<M> {
    memory: M,
    pub(super) g: Geometry,
    pub(super) cursor: Cursor<M>,
    /// A position up to which items are known to have been pushed. May have fallen behind, and then says nothing.
    end: u64,
    /// Where the next item comes that is not known to be there, or that begins a lap, or behind which a producer is
    /// to be told: one comparison per pop instead of three. Never behind the cursor.
    pub(super) run_end: u64,
    /// What the lazy word holds.
    pub(super) told: u64,
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
    pub(crate) fn find_items(&mut self, wanted: usize) -> Result<usize, TryError> {
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
    pub(crate) fn pop_known<T>(&mut self) -> Result<T, TryError>
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
    fn look(&self) -> Result<u64, TryError> {
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
    wake_one(memory, PRODUCER_SLEEPS, registered);
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
) -> Result<u64, TryError> {
    let wanted = (wanted as u64).min(g.capacity);
    let mut end = end;
    // Each turn finds at least one item more, and there cannot be more than the capacity.
    while end.wrapping_sub(position) < wanted {
        match look_for_items(memory, &g, end) {
            Look::Ready(found) => end = found,
            Look::NotYet => break,
            Look::Corrupted => return Err(TryError::Corrupted),
        }
    }
    match end.wrapping_sub(position) {
        0 => Err(TryError::WouldBlock),
        items if items <= g.capacity => Ok(end),
        _ => Err(TryError::Corrupted),
    }
}

/// [`first_of`], not inlined: registers are scarce where it is called.
#[inline(never)]
fn end_of_run(position: u64, known: u64, lap_end: u64, due: u64, step: u64) -> u64 {
    first_of(position, [known, lap_end, due, step])
}
