//! The producing side.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a private slot number and the geometry, which was checked against the segment"
)]

use super::cursor::{Cursor, Ends, find_in, first_of, load_out};
use super::layout::{CONSUMER_SLEEPS, Geometry, MAGIC_AT, OUT, OUT_LAZY};
use crate::ring::protocol::AtOnce;
use crate::ring::protocol::error::TryError;
use crate::ring::shm::memory::{Shared, SharedItems, SharedMoved};
use crate::ring::wait::{Effort, Look, Watch};
use std::sync::atomic::Ordering;

/// The producing side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Producing<M> {
    cursor: Cursor<M>,
    /// The position up to which there is known to be room.
    limit: u64,
    /// As `limit`, but not beyond this lap, nor beyond a step: one comparison per push instead of three.
    run_end: Ends,
    /// What to look at after publishing, instead of at the consumer's word and whether to fence.
    watch: Watch<M>,
    g: Geometry,
    memory: M,
}

/// The part that changes when a run ends: a value in and a value out.
#[derive(Debug, Clone, Copy)]
struct Room<M> {
    cursor: Cursor<M>,
    limit: u64,
    run_end: Ends,
}

impl<M: SharedMoved> Room<M> {
    /// Begins the next run: in the next lap if this one is over.
    #[inline(always)]
    fn begin_run(mut self, memory: M, g: &Geometry) -> Self {
        self.cursor.wrap(memory, g);
        let position = self.cursor.position;
        let run_end = first_of(position, [self.limit, self.cursor.lap_end(g)]);
        self.run_end = Ends::new(g, position, run_end);
        if let Some(step) = g.step {
            let run_end = first_of(position, [run_end, position.wrapping_add(step)]);
            self.run_end = Ends::new(g, position, run_end);
            // What the next step writes is fetched now: the consumer has copies of these cache lines, and stores alone
            // would take them back one after the other.
            let room = self.limit.wrapping_sub(run_end).min(step);
            let fetch = |at, len| memory.prefetch_lines_to_write(at, len);
            g.each_piece(run_end, room, fetch);
        }
        self
    }
}

impl<M: SharedMoved> Producing<M> {
    /// Where the last producer stopped.
    pub(super) fn resume(memory: M, g: Geometry, registered: bool) -> Self {
        let position = find_in(memory, &g, load_out(memory));
        Self {
            memory,
            g,
            cursor: Cursor::at(memory, &g, position),
            limit: position,
            run_end: Ends::new(&g, position, position),
            watch: Watch::new(memory, CONSUMER_SLEEPS, registered, MAGIC_AT),
        }
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

    /// The slot where the next item goes, after [`find_room`](Self::find_room) or [`set_limit`](Self::set_limit).
    pub(super) fn slot(&self) -> usize {
        self.cursor.slot()
    }

    /// Room that is known of without a look.
    #[inline(always)]
    pub(super) fn known_room(&self) -> usize {
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
    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
        self.set_room(next_run(self.memory, self.g, self.room()));
    }

    /// Goes on to the next lap if there is known to be room in it; says whether there is room.
    #[inline(always)]
    pub(super) fn goes_on(&mut self) -> bool {
        self.set_room(next_run(self.memory, self.g, self.room()));
        self.known_room() > 0
    }

    /// Looks for room for `wanted` items, or at least for one.
    #[inline(always)]
    pub(super) fn find_room(&mut self, wanted: usize) -> Result<usize, TryError> {
        if self.known_room() < wanted {
            let limit = find_room(self.memory, self.g.capacity, self.cursor.position, wanted)?;
            self.set_limit(limit);
        } else if self.run_end.of(&self.g) == self.cursor.position {
            self.goes_on();
        }
        Ok(self.known_room())
    }

    /// Publishes `count` items that were written from the cursor on. There is room for them:
    /// `count <= known_room()`, and not 0.
    #[inline(always)]
    pub(super) fn publish(&mut self, count: usize) {
        let end = self.cursor.position.wrapping_add(count as u64);
        let word = self.cursor.word(&self.g);
        // SAFETY: the cursor is within the geometry.
        unsafe { self.cursor.words.store(word, end, Ordering::Release) };
        self.cursor.position = end;
        if end.wrapping_sub(self.run_end.of(&self.g)) as i64 >= 0 {
            self.set_room(self.room().begin_run(self.memory, &self.g));
        }
        self.watch.wake(self.memory);
    }

    /// Writes and publishes one item, if there is known to be room in this lap.
    ///
    /// Leaves the cursor behind the last slot: the next lap begins with the next look for room. Everything is
    /// loaded before anything is stored, and one private word changes: the processor keeps only so many stores on
    /// their way, and those to shared lines wait for them to arrive.
    #[inline(always)]
    pub(super) fn push_known<T>(&mut self, item: &T) -> AtOnce
    where
        M: SharedItems<T>,
    {
        let Some((word, at)) = self.cursor.places::<T>(self.run_end) else {
            return AtOnce::No;
        };
        let end = self.cursor.position.wrapping_add(1);
        self.cursor.position = end;
        // SAFETY: the cursor is within the geometry, which was made for items of this type.
        unsafe { at.write_item(0, item) };
        // SAFETY: as above.
        unsafe { word.store(0, end, Ordering::Release) };
        if self.watch.sees_sleeper() {
            AtOnce::ToSleeper
        } else {
            AtOnce::Yes
        }
    }

    /// Wakes the consumer, after [`AtOnce::ToSleeper`].
    #[inline(always)]
    pub(super) fn wake(&self) {
        self.watch.wake_seen(self.memory);
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
) -> Result<u64, TryError> {
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
        Look::NotYet => Err(TryError::WouldBlock),
        Look::Corrupted => Err(TryError::Corrupted),
    }
}

/// The position up to which there is room, if that is beyond `position`.
pub(super) fn look_for_room<M: Shared>(
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
