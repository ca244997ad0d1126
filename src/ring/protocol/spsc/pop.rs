//! The consuming side.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a private slot number and the geometry, which was checked against the segment"
)]

use super::cursor::{Cursor, Ends, find_in, first_of, judge, load_out, look_for_items};
use super::layout::{Geometry, OUT, OUT_LAZY, PRODUCER_SLEEPS};
use crate::access;
use crate::ring::protocol::error::TryError;
use crate::ring::shm::memory::{Shared, SharedItems, SharedMoved, SharedWaits};
use crate::ring::wait::{Look, wake_one};
use std::sync::atomic::Ordering;

/// The consuming side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Consuming<M> {
    pub(super) cursor: Cursor<M>,
    /// Up to here one item after the other can be taken without a look at its word.
    pub(super) known: Ends,
    /// The position of an item behind which there is more to do: it is the last of a lap or of a step, or the
    /// producer is to be told. Never behind the cursor.
    pub(super) last: Ends,
    /// The memory as seen from `OUT`.
    out: M,
    /// A position up to which items are known to have been pushed. May have fallen behind, and then says nothing.
    end: u64,
    pub(super) g: Geometry,
    memory: M,
    /// What the lazy word holds.
    pub(super) told: u64,
    /// A position up to which cache lines have been fetched. May have fallen behind.
    fetched: u64,
    scout: Scout,
    registered: bool,
}

/// Whether to look further ahead than at the next item, which takes the cache line that is looked at away from the
/// producer if it is about to write there.
///
/// A look in vain is followed by one, three, seven and at last fifteen steps without.
#[derive(Debug, Clone, Copy, Default)]
struct Scout {
    in_vain: u8,
    rest: u8,
}

impl Scout {
    const MOST: u8 = 4;

    /// Asked at each step.
    fn goes(&mut self) -> bool {
        let goes = self.rest == 0;
        self.rest = self.rest.saturating_sub(1);
        goes
    }

    fn learn(&mut self, has_found: bool) {
        self.in_vain = if has_found {
            0
        } else {
            (self.in_vain + 1).min(Self::MOST)
        };
        self.rest = (1 << self.in_vain) - 1;
    }
}

impl<M: SharedMoved> Consuming<M> {
    /// Where the last consumer stopped.
    pub(super) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = load_out(memory);
        let mut this = Self {
            cursor: Cursor::at(memory, &g, position),
            known: Ends::new(&g, position, position),
            last: Ends::new(&g, position, position),
            out: memory.moved(OUT),
            end: find_in(memory, &g, position),
            g,
            memory,
            told: position,
            fetched: position,
            scout: Scout::default(),
            registered,
        };
        // The predecessor may have died without telling.
        this.tell();
        this
    }

    pub(super) fn position(&self) -> u64 {
        self.cursor.position
    }

    pub(super) fn geometry(&self) -> &Geometry {
        &self.g
    }

    pub(super) fn memory(&self) -> M {
        self.memory
    }

    pub(super) fn slot(&self) -> usize {
        self.cursor.slot()
    }

    #[inline(always)]
    pub(super) fn known_items(&self) -> usize {
        let ahead = self.end.wrapping_sub(self.cursor.position);
        if ahead as i64 > 0 { ahead as usize } else { 0 }
    }

    /// Takes note of what a wait found.
    #[inline(always)]
    pub(super) fn set_end(&mut self, end: u64) {
        self.end = end;
        self.set_known();
    }

    #[inline(always)]
    fn set_known(&mut self) {
        let position = self.cursor.position;
        let known = position.wrapping_add(self.known_items() as u64);
        let end = first_of(position, [known, self.last.of(&self.g)]);
        self.known = Ends::new(&self.g, position, end);
    }

    /// Looks for `wanted` items, or at least for one.
    #[inline(always)]
    pub(super) fn find_items(&mut self, wanted: usize) -> Result<usize, TryError> {
        if self.known_items() < wanted {
            let known = self.cursor.position.wrapping_add(self.known_items() as u64);
            let end = find_items(self.memory, self.g, self.cursor.position, known, wanted)?;
            self.set_end(end);
        }
        Ok(self.known_items())
    }

    /// Gives the slots of `count` items back, which the caller has copied: `count <= known_items()`, and not 0.
    #[inline(always)]
    pub(super) fn release(&mut self, count: usize) {
        let position = self.cursor.position.wrapping_add(count as u64);
        self.cursor.position = position;
        // Release pairs with the producer's acquire: the items were copied before the slots are free.
        // SAFETY: a constant of the layout.
        unsafe { self.out.store(0, position, Ordering::Release) };
        if position.wrapping_sub(self.last.of(&self.g)) as i64 > 0 {
            self.pass();
        }
    }

    /// What there is to do now and then behind an item.
    #[inline(always)]
    fn pass(&mut self) {
        self.cursor.wrap(self.memory, &self.g);
        if self.cursor.position.wrapping_sub(self.told) >= self.g.tell_every {
            self.told = self.cursor.position;
            tell(self.memory, self.told, self.registered);
        }
        if let Some(step) = self.g.step {
            self.fetch(step);
        }
        self.set_last();
    }

    /// Has fetched what comes in the next two steps, as far as it has been pushed: waiting for one cache line after
    /// the other, when its items are asked for, would take several times as long.
    #[inline(always)]
    fn fetch(&mut self, step: u64) {
        let position = self.cursor.position;
        let wanted = (2 * step).min(self.g.capacity);
        if (self.known_items() as u64) < wanted && self.scout.goes() {
            // A word that publishes something publishes everything before it. A batch leaves old words in the slots
            // behind its first: nothing is learned from those, nor from nonsense.
            let found = look_for_items(self.memory, &self.g, position.wrapping_add(wanted - 1));
            let end = match found {
                Look::Ready(end) if end.wrapping_sub(position) <= self.g.capacity => Some(end),
                _ => None,
            };
            self.scout.learn(end.is_some());
            self.end = end.unwrap_or(self.end);
        }
        let fetched = self.fetched.wrapping_sub(position) as i64;
        let from = if fetched > 0 { self.fetched } else { position };
        let to = position.wrapping_add((self.known_items() as u64).min(wanted));
        let count = to.wrapping_sub(from);
        if count as i64 > 0 {
            let memory = self.memory;
            let fetch = |at, len| memory.prefetch_lines(at, len);
            self.g.each_piece(from, count, fetch);
            self.fetched = to;
        }
    }

    #[inline(always)]
    fn set_last(&mut self) {
        let position = self.cursor.position;
        let lap_end = self.cursor.lap_end(&self.g);
        let tell_at = self.told.wrapping_add(self.g.tell_every);
        let step_end = position.wrapping_add(self.g.step.unwrap_or(self.g.capacity));
        let due = first_of(position, [lap_end, tell_at, step_end]);
        self.last = Ends::new(&self.g, position, due.wrapping_sub(1));
        self.set_known();
    }

    /// Takes one item if it is known to be there, or its slot has it alone, and there is nothing else to do behind
    /// it.
    ///
    /// Everything is loaded before anything is stored, and one private word changes: the processor keeps only so
    /// many stores on their way.
    #[inline(always)]
    pub(super) fn pop_known<T>(&mut self) -> Option<T>
    where
        M: SharedItems<T>,
    {
        let position = self.cursor.position;
        let at = if let Some((_, at)) = self.cursor.places::<T>(self.known) {
            at
        } else {
            let (word, at) = self.cursor.places::<T>(self.last)?;
            // Acquire pairs with the release of the push.
            // SAFETY: the cursor is within the geometry.
            let word = unsafe { word.load(0, Ordering::Acquire) };
            if access::hidden(word.wrapping_sub(position)) != 1 {
                return None;
            }
            at
        };
        let (next, out) = (position.wrapping_add(1), self.out);
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        let item = unsafe { at.read_item(0) };
        self.cursor.position = next;
        // Release pairs with the producer's acquire: the item was copied before its slot is free.
        // SAFETY: a constant of the layout.
        unsafe { out.store(0, next, Ordering::Release) };
        Some(item)
    }

    /// Takes one item if there is one, and does whatever is to be done behind it.
    #[inline(always)]
    pub(super) fn pop_one<T>(&mut self) -> Result<T, TryError>
    where
        M: SharedItems<T>,
    {
        if self.known_items() == 0 {
            let word = self.cursor.word(&self.g);
            // Acquire pairs with the release of the push.
            // SAFETY: the cursor is within the geometry.
            let word = unsafe { self.cursor.words.load(word, Ordering::Acquire) };
            self.set_end(judge(word, self.cursor.position, self.g.capacity)?);
        }
        Ok(self.take())
    }

    /// Takes one item, which is known to be there.
    #[inline(always)]
    pub(super) fn take<T>(&mut self) -> T
    where
        M: SharedItems<T>,
    {
        debug_assert!(self.known_items() > 0);
        let at = self.cursor.item(&self.g);
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        let item = unsafe { self.cursor.items.read_item(at) };
        self.release(1);
        item
    }

    /// Takes one item, which is known to be there: for large ones.
    #[inline(always)]
    pub(super) fn take_into<T>(&mut self, into: &mut T)
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
    pub(super) fn fetch_behind(&self, count: usize) {
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

    /// Tells a producer that may be waiting how far this side is. Before waiting, and when there is nothing else to
    /// do.
    #[inline(always)]
    pub(super) fn tell_if_due(&mut self) {
        if self.told != self.cursor.position {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = self.cursor.position;
        tell(self.memory, self.told, self.registered);
        self.set_last();
    }
}

/// Stores the lazy word, and wakes a producer that sleeps.
#[inline(never)]
fn tell<M: SharedWaits>(memory: M, position: u64, registered: bool) {
    // Release: as for `out`, which this repeats.
    // SAFETY: a constant of the layout.
    unsafe { memory.store(OUT_LAZY, position, Ordering::Release) };
    wake_one(memory, PRODUCER_SLEEPS, registered);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_vain_become_rare_and_one_that_finds_something_makes_up_for_them() {
        let mut scout = Scout::default();
        let mut steps_between = Vec::new();
        for _ in 0..6 {
            assert!(scout.goes());
            scout.learn(false);
            let mut steps = 0;
            while !scout.goes() {
                steps += 1;
            }
            steps_between.push(steps);
            scout.rest = 0;
        }
        assert_eq!(steps_between, [1, 3, 7, 15, 15, 15]);
        scout.learn(true);
        assert!(scout.goes());
    }
}
