//! [`End`]: a handle that pushes or pops.

use super::claim::{Run, load_at, publish, release, store_at, swap_at};
use super::handle::{Core, Handle};
use super::layout::{CONSUMERS_SLEEP, Geometry, PRODUCERS_SLEEP};
use super::redelivery::epoch;
use crate::ring::protocol::error::{ClaimError, TryError};
use crate::ring::protocol::role::Role;
use crate::ring::protocol::{Endpoint, Place, PopEnd, PushEnd};
use crate::ring::shm::copy;
use crate::ring::shm::memory::{Shared, SharedItems};
use crate::ring::shm::slots::LINE;
use crate::ring::wait::{Cancel, Deadline, WaitError, WaitOptions, wake_many};
use bytemuck::Pod;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a handle is for, as a type.
pub(crate) trait Direction: Send + Sync {
    const ROLE: Role;
}

/// The direction of a producer.
#[derive(Debug)]
pub(crate) enum Pushing {}
/// The direction of a consumer.
#[derive(Debug)]
pub(crate) enum Popping {}

impl Direction for Pushing {
    const ROLE: Role = Role::Producer;
}
impl Direction for Popping {
    const ROLE: Role = Role::Consumer;
}

/// A handle that pushes or pops.
pub(crate) struct End<D> {
    handle: Handle,
    direction: PhantomData<D>,
}

impl<D: Direction> End<D> {
    pub(super) fn claim(ring: &Arc<Core>) -> Result<Self, ClaimError> {
        Ok(Self {
            handle: Handle::take(ring, D::ROLE)?,
            direction: PhantomData,
        })
    }
}

impl<D: Direction> Endpoint for End<D> {
    type Run = Run;
    type Geometry = Geometry;
    const HOLDS_SLOTS: bool = true;

    fn ring(&self) -> &Arc<Core> {
        self.handle.ring()
    }

    fn cancel(&self) -> &Arc<Cancel> {
        self.handle.cancel()
    }

    #[inline(always)]
    fn is_current(&self) -> bool {
        self.handle.fork_guard.is_current()
    }

    fn len(&self) -> usize {
        self.handle.len()
    }

    #[inline(always)]
    fn try_claim(&mut self, wanted: usize) -> Result<Run, TryError> {
        match self.handle.claim_here(D::ROLE, wanted) {
            Some(run) => Ok(run),
            None => self.handle.claim(wanted),
        }
    }

    #[inline(always)]
    fn claim(
        &mut self,
        wanted: usize,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<Run, WaitError> {
        match self.handle.claim_here(D::ROLE, wanted) {
            Some(run) => Ok(run),
            None => self.handle.wait(wanted, deadline(), how),
        }
    }

    #[inline(always)]
    fn side_by_side(&self, run: Run) -> Run {
        run
    }

    #[inline(always)]
    fn run_len(run: Run) -> usize {
        run.len as usize
    }

    #[inline(always)]
    fn place(&self, run: Run, index: usize) -> Place {
        let g = &self.handle.g;
        Place {
            memory: self.handle.memory,
            // At most the length of the run, so that this is at most the end of the slots.
            at: g.item_at(run.slot + index as u32),
            stride: g.item_stride,
        }
    }

    #[inline(always)]
    fn complete(&mut self, run: Run, count: usize) {
        match D::ROLE {
            Role::Producer => self.publish(run, count as u32),
            Role::Consumer => self.release(run, count as u32),
        }
    }

    #[inline(always)]
    fn set_pending(&mut self, run: Run) {
        self.handle.pending = Some(run);
    }

    #[inline(always)]
    fn clear_pending(&mut self) {
        self.handle.pending = None;
    }

    #[inline(always)]
    fn cancel_pending(&mut self) {
        self.handle.cancel_pending();
    }
}

impl<D> End<D> {
    #[inline(always)]
    fn publish(&mut self, run: Run, count: u32) {
        let handle = &self.handle;
        publish(handle.memory, &handle.g, run, count);
        // One more than one when slots were skipped: consumers behind them may go on.
        let wake = if count == run.len { count } else { u32::MAX };
        wake_many(handle.memory, CONSUMERS_SLEEP, handle.registered, wake);
    }

    #[inline(always)]
    fn release(&mut self, run: Run, count: u32) {
        let handle = &self.handle;
        let release = || release(handle.memory, &handle.g, handle.owner, run, count);
        if count < run.len {
            handle.give_back(run, count, release);
            let (memory, registered) = (handle.memory, handle.registered);
            wake_many(memory, CONSUMERS_SLEEP, registered, u32::MAX);
        } else {
            release();
        }
        // Waking a producer for each item would cost more than all the rest.
        let quarter = handle.quarter;
        let end = run.slot + count;
        if end == handle.g.capacity || run.slot / quarter != end / quarter {
            wake_many(handle.memory, PRODUCERS_SLEEP, handle.registered, quarter);
        }
    }
}

impl End<Pushing> {
    /// Pushes into the slot where this handle is, if it is free, without a look at anything else.
    #[inline(always)]
    #[allow(unsafe_code, reason = "claims, fills and publishes one slot")]
    fn push_fast<T: Pod>(&mut self, item: &T) -> bool {
        let handle = &mut self.handle;
        let (memory, at) = (handle.memory, handle.at);
        let (empty, full) = (at.empty, at.empty.filled());
        let writing = empty.being_written(handle.owner);
        if size_of::<T>() > LINE - 8 {
            // More than the word's line: the swap lets nothing pass, so this has to be asked for before it.
            memory.prefetch_to_write(at.item.wrapping_add(LINE - 8));
        }
        // SAFETY: the word of a slot.
        if !unsafe { swap_at(memory, at.word, empty, writing) } {
            return false;
        }
        // SAFETY: the item of the same slot, in a geometry that was made for items of this type.
        unsafe { memory.write_item(at.item, item) };
        // SAFETY: as above.
        unsafe { store_at(memory, at.word, full) };
        if handle.at.advance() {
            handle.turn();
        }
        wake_many(memory, CONSUMERS_SLEEP, handle.registered, 1);
        true
    }

    /// Out of line, so that the fast way needs few registers.
    #[cold]
    #[inline(never)]
    fn try_push_slow<T: Pod>(&mut self, item: &T) -> Result<(), TryError> {
        let run = self.handle.claim(1)?;
        self.put(run, item);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn push_slow<T: Pod>(
        &mut self,
        item: &T,
        deadline: Deadline,
        how: WaitOptions,
    ) -> Result<(), WaitError> {
        let run = self.handle.wait(1, deadline, how)?;
        self.put(run, item);
        Ok(())
    }

    #[inline(always)]
    fn put<T: Pod>(&mut self, run: Run, item: &T) {
        self.write(run, std::slice::from_ref(item));
        self.publish(run, 1);
    }
}

impl PushEnd for End<Pushing> {
    #[inline(always)]
    fn try_push<T: Pod>(&mut self, item: &T) -> Result<(), TryError> {
        if self.push_fast(item) {
            return Ok(());
        }
        self.try_push_slow(item)
    }

    #[inline(always)]
    fn push<T: Pod>(
        &mut self,
        item: &T,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<(), WaitError> {
        if self.push_fast(item) {
            return Ok(());
        }
        self.push_slow(item, deadline(), how)
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "addresses of slots")]
    fn write<T: Pod>(&self, run: Run, items: &[T]) {
        debug_assert!(items.len() <= run.len as usize);
        let Place { memory, at, stride } = self.place(run, 0);
        // SAFETY: slots of the geometry, which was made for items of this type.
        unsafe { copy::write(memory, at, stride, items) };
    }
}

impl End<Popping> {
    /// Pops the item where this handle is, if there is one and none is to be delivered again.
    #[inline(always)]
    #[allow(unsafe_code, reason = "claims, reads and releases one slot")]
    fn pop_fast<T: Pod>(&mut self) -> Option<T> {
        let handle = &mut self.handle;
        let (memory, at) = (handle.memory, handle.at);
        if epoch(memory) != handle.settled {
            return None;
        }
        let (full, next) = (at.empty.filled(), at.empty.of_next_lap());
        let reading = at.empty.being_read(handle.owner);
        // Looking first: a compare-and-swap that fails takes the line away from the producer. In a stream it seldom
        // fails, and a look first would fetch the line twice, to read and to write.
        // SAFETY: the word of a slot.
        if !handle.eager && unsafe { load_at(memory, at.word) } != full {
            return None;
        }
        if size_of::<T>() > LINE - 8 {
            // More than the word's line: the swap lets nothing pass, so this has to be asked for before it.
            memory.prefetch_to_write(at.item.wrapping_add(LINE - 8));
        }
        // SAFETY: as above.
        if !unsafe { swap_at(memory, at.word, full, reading) } {
            return None;
        }
        // SAFETY: the item of the same slot, in a geometry that was made for items of this type.
        let item = unsafe { memory.read_item(at.item) };
        // SAFETY: as above.
        unsafe { store_at(memory, at.word, next) };
        if handle.at.advance() {
            handle.turn();
        }
        Some(item)
    }

    /// Out of line, so that the fast way needs few registers.
    #[cold]
    #[inline(never)]
    fn try_pop_slow<T: Pod, E: From<TryError>>(&mut self) -> Result<T, E> {
        let run = self.handle.claim(1)?;
        Ok(self.take(run))
    }

    #[cold]
    #[inline(never)]
    fn pop_slow<T: Pod, E: From<WaitError>>(
        &mut self,
        deadline: Deadline,
        how: WaitOptions,
    ) -> Result<T, E> {
        let run = self.handle.wait(1, deadline, how)?;
        Ok(self.take(run))
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "reads an item from a claimed slot")]
    fn take<T: Pod>(&mut self, run: Run) -> T {
        let Place { memory, at, .. } = self.place(run, 0);
        // SAFETY: a slot below the capacity, in a geometry that was made for items of this type.
        let item = unsafe { memory.read_item(at) };
        self.release(run, 1);
        item
    }
}

impl PopEnd for End<Popping> {
    #[inline(always)]
    fn try_pop<T: Pod, E: From<TryError>>(&mut self) -> Result<T, E> {
        match self.pop_fast() {
            Some(item) => Ok(item),
            None => self.try_pop_slow(),
        }
    }

    #[inline(always)]
    fn pop<T: Pod, E: From<WaitError>>(
        &mut self,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<T, E> {
        match self.pop_fast() {
            Some(item) => Ok(item),
            None => self.pop_slow(deadline(), how),
        }
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "addresses of slots")]
    fn read<T: Pod>(&self, run: Run, into: &mut [T]) {
        debug_assert!(into.len() <= run.len as usize);
        let Place { memory, at, stride } = self.place(run, 0);
        // SAFETY: slots of the geometry, which was made for items of this type.
        unsafe { copy::read(memory, at, stride, into) };
    }
}
