//! [`Push`] and [`Pop`]: the two ends as their handles keep them.

use super::claim::{Claimed, Core, RoleGuard};
use super::cursor::{find_in, load_out, look_at_word};
use super::layout::{Geometry, sleep_at};
use super::pop::Consuming;
use super::push::{Producing, look_for_room};
use crate::fork::ForkGuard;
use crate::ring::protocol::error::{ClaimError, TryError};
use crate::ring::protocol::role::Role;
use crate::ring::protocol::{AtOnce, Endpoint, Place, PopEnd, PushEnd, is_large};
use crate::ring::shm::copy;
use crate::ring::shm::memory::Mapped;
use crate::ring::wait::{Cancel, Deadline, Habit, WaitError, WaitOptions, Waiter};
use bytemuck::Pod;
use std::sync::Arc;

/// Slots from the cursor on, which may go round the end of the buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    len: usize,
}

fn place(memory: Mapped, g: &Geometry, slot: usize) -> Place {
    Place {
        memory,
        at: g.item_at(slot),
        stride: g.item_stride,
    }
}

/// The end that pushes.
pub(crate) struct Push {
    side: Producing<Mapped>,
    fork_guard: ForkGuard,
    role: RoleGuard,
}

impl Push {
    pub(super) fn claim(ring: &Arc<Core>) -> Result<Self, ClaimError> {
        let role = RoleGuard::claim(ring, Role::Producer)?;
        Ok(Self {
            side: Producing::resume(ring.memory, ring.geometry, role.get().registered),
            fork_guard: ring.fork_guard,
            role,
        })
    }

    /// Items pushed since the ring was made.
    pub(crate) fn position(&self) -> u64 {
        self.side.position()
    }

    /// Pushes an item if room is known of; says whether.
    #[inline(always)]
    fn push_known<T: Pod>(&mut self, item: &T) -> bool {
        let pushed = self.side.push_known(item);
        if pushed == AtOnce::ToSleeper {
            self.side.wake();
        }
        pushed != AtOnce::No
    }

    /// Afterwards there is room for one item at least.
    #[inline(always)]
    fn wait_for_room(&mut self, deadline: Deadline, how: WaitOptions) -> Result<(), WaitError> {
        if self.side.goes_on() {
            return Ok(());
        }
        let limit = wait_for_room(self.role.get(), self.side.position(), deadline, how)?;
        self.side.set_limit(limit);
        Ok(())
    }
}

impl Endpoint for Push {
    type Run = Run;
    type Geometry = Geometry;
    const HOLDS_SLOTS: bool = false;

    fn ring(&self) -> &Arc<Core> {
        &self.role.get().core
    }

    fn cancel(&self) -> &Arc<Cancel> {
        &self.role.get().cancel
    }

    #[inline(always)]
    fn is_current(&self) -> bool {
        self.fork_guard.is_current()
    }

    fn len(&self) -> usize {
        let out = load_out(self.side.memory());
        let used = self.side.position().wrapping_sub(out);
        // A hostile consumer may have stored anything.
        used.min(self.side.geometry().capacity) as usize
    }

    #[inline(always)]
    fn try_claim(&mut self, wanted: usize) -> Result<Run, TryError> {
        let room = self.side.find_room(wanted)?;
        Ok(Run {
            len: room.min(wanted),
        })
    }

    #[inline(always)]
    fn claim(
        &mut self,
        wanted: usize,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<Run, WaitError> {
        if self.side.find_room(wanted).is_err() {
            self.wait_for_room(deadline(), how)?;
        }
        Ok(Run {
            len: self.side.known_room().min(wanted),
        })
    }

    #[inline(always)]
    fn side_by_side(&self, run: Run) -> Run {
        let before_the_end = self.side.geometry().capacity as usize - self.side.slot();
        Run {
            len: run.len.min(before_the_end),
        }
    }

    #[inline(always)]
    fn run_len(run: Run) -> usize {
        run.len
    }

    #[inline(always)]
    fn place(&self, _: Run, index: usize) -> Place {
        let slot = self.side.slot() + index;
        place(self.side.memory(), self.side.geometry(), slot)
    }

    #[inline(always)]
    fn complete(&mut self, _: Run, count: usize) {
        self.side.publish(count);
    }
}

impl PushEnd for Push {
    const HAS_SHORT_WAY: bool = true;

    #[inline(always)]
    fn push_at_once<T: Pod>(&mut self, item: &T) -> AtOnce {
        if self.fork_guard.is_current_at_first_sight() {
            self.side.push_known(item)
        } else {
            AtOnce::No
        }
    }

    fn wake(&mut self) {
        self.side.wake();
    }

    fn try_push<T: Pod>(&mut self, item: &T) -> Result<(), TryError> {
        self.side.find_room(1)?;
        if self.push_known(item) {
            Ok(())
        } else {
            Err(TryError::WouldBlock)
        }
    }

    fn push<T: Pod>(
        &mut self,
        item: &T,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<(), WaitError> {
        if self.side.find_room(1).is_err() {
            self.wait_for_room(deadline(), how)?;
        }
        // Room was found, so this pushes.
        if self.push_known(item) {
            Ok(())
        } else {
            Err(WaitError::Corrupted)
        }
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "addresses of slots")]
    fn write<T: Pod>(&self, _: Run, items: &[T]) {
        let (memory, g, slot) = (self.side.memory(), self.side.geometry(), self.side.slot());
        let (first, second) = items.split_at(items.len().min(g.capacity as usize - slot));
        // SAFETY: slots of the geometry, which was made for items of this type.
        unsafe { copy::write(memory, g.item_at(slot), g.item_stride, first) };
        // SAFETY: as above.
        unsafe { copy::write(memory, g.item_at(0), g.item_stride, second) };
    }
}

/// Takes and returns values: a reference to the end would force its fields into memory all the time.
#[cold]
#[inline(never)]
fn wait_for_room(
    role: &Claimed,
    position: u64,
    deadline: Deadline,
    how: WaitOptions,
) -> Result<u64, WaitError> {
    let core = &*role.core;
    let waiter = Waiter::alone(sleep_at(Role::Producer), how.strategy, role.registered)
        .ended_by(&role.cancel, how);
    let (memory, capacity) = (core.memory, core.geometry.capacity);
    let (limit, _) = waiter.wait(
        memory,
        0,
        &role.gap,
        deadline,
        move |effort| look_for_room(memory, capacity, position, effort),
        || core.peer(Role::Consumer, how),
    )?;
    Ok(limit)
}

/// The end that pops.
pub(crate) struct Pop {
    side: Consuming<Mapped>,
    fork_guard: ForkGuard,
    habit: Habit,
    /// Where the last wait ended.
    waited_at: u64,
    role: RoleGuard,
}

impl Pop {
    pub(super) fn claim(ring: &Arc<Core>) -> Result<Self, ClaimError> {
        let role = RoleGuard::claim(ring, Role::Consumer)?;
        let side = Consuming::resume(ring.memory, ring.geometry, role.get().registered);
        Ok(Self {
            waited_at: side.position(),
            side,
            fork_guard: ring.fork_guard,
            habit: Habit::default(),
            role,
        })
    }

    /// Items popped since the ring was made.
    pub(crate) fn position(&self) -> u64 {
        self.side.position()
    }

    /// Takes an item that is known to be there.
    ///
    /// It is copied to where the result is to be: the compiler does not see through the copy, and would make one
    /// more for each place that the item passes on its way there. Filling that place with zeros first costs less
    /// than one.
    #[inline(always)]
    fn take_large<T: Pod, E>(&mut self) -> Result<T, E> {
        let mut result = Ok(T::zeroed());
        if let Ok(item) = &mut result {
            self.side.take_into(item);
        }
        result
    }

    /// Before saying that there is nothing: a producer may be waiting to be told how far this side is.
    #[inline(always)]
    fn nothing<E: From<TryError>>(&mut self, error: TryError) -> E {
        self.side.tell_if_due();
        error.into()
    }

    /// Afterwards there is one item at least.
    #[inline(always)]
    fn wait_for_items(&mut self, deadline: Deadline, how: WaitOptions) -> Result<(), WaitError> {
        let end = self.wait(deadline, how)?;
        self.side.set_end(end);
        Ok(())
    }

    /// Waits for an item at the cursor; returns the position up to which there are some.
    ///
    /// Whatever can be done before waiting is done there: it costs nothing while there is nothing else to do, and
    /// the way from seeing an item to having it is what a round trip takes.
    #[inline(always)]
    fn wait(&mut self, deadline: Deadline, how: WaitOptions) -> Result<u64, WaitError> {
        self.side.tell_if_due();
        let position = self.side.position();
        self.habit = self.habit.learn(position.wrapping_sub(self.waited_at));
        self.waited_at = position;
        match wait_for_items(self.role.get(), position, deadline, how, self.habit) {
            (end, None) => Ok(end),
            (_, Some(error)) => Err(error),
        }
    }
}

impl Endpoint for Pop {
    type Run = Run;
    type Geometry = Geometry;
    const HOLDS_SLOTS: bool = false;

    fn ring(&self) -> &Arc<Core> {
        &self.role.get().core
    }

    fn cancel(&self) -> &Arc<Cancel> {
        &self.role.get().cancel
    }

    #[inline(always)]
    fn is_current(&self) -> bool {
        self.fork_guard.is_current()
    }

    fn len(&self) -> usize {
        let position = self.side.position();
        find_in(self.side.memory(), self.side.geometry(), position).wrapping_sub(position) as usize
    }

    fn is_empty(&self) -> bool {
        self.side.known_items() == 0 && self.len() == 0
    }

    #[inline(always)]
    fn try_claim(&mut self, wanted: usize) -> Result<Run, TryError> {
        match self.side.find_items(wanted) {
            Ok(items) => Ok(Run {
                len: items.min(wanted),
            }),
            Err(error) => Err(self.nothing(error)),
        }
    }

    #[inline(always)]
    fn claim(
        &mut self,
        wanted: usize,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<Run, WaitError> {
        let items = match self.side.find_items(wanted) {
            Ok(items) => items,
            Err(TryError::WouldBlock) => {
                self.wait_for_items(deadline(), how)?;
                // One at least is known to be there, whatever stands after it.
                let found = self.side.find_items(wanted);
                found.unwrap_or_else(|_| self.side.known_items())
            }
            Err(TryError::Corrupted) => return Err(WaitError::Corrupted),
        };
        Ok(Run {
            len: items.min(wanted),
        })
    }

    #[inline(always)]
    fn side_by_side(&self, run: Run) -> Run {
        let before_the_end = self.side.geometry().capacity as usize - self.side.slot();
        Run {
            len: run.len.min(before_the_end),
        }
    }

    #[inline(always)]
    fn run_len(run: Run) -> usize {
        run.len
    }

    #[inline(always)]
    fn place(&self, _: Run, index: usize) -> Place {
        let slot = self.side.slot() + index;
        place(self.side.memory(), self.side.geometry(), slot)
    }

    #[inline(always)]
    fn complete(&mut self, _: Run, count: usize) {
        self.side.release(count);
    }
}

impl PopEnd for Pop {
    const HAS_SHORT_WAY: bool = true;

    #[inline(always)]
    fn pop_at_once<T: Pod>(&mut self) -> Option<T> {
        if self.fork_guard.is_current_at_first_sight() {
            self.side.pop_known()
        } else {
            None
        }
    }

    #[inline(always)]
    fn try_pop<T: Pod, E: From<TryError>>(&mut self) -> Result<T, E> {
        if is_large::<T>() {
            return match self.side.find_items(1) {
                Ok(_) => self.take_large(),
                Err(error) => Err(self.nothing(error)),
            };
        }
        match self.side.pop_one() {
            Ok(item) => Ok(item),
            Err(error) => Err(self.nothing(error)),
        }
    }

    #[inline(always)]
    fn pop<T: Pod, E: From<WaitError>>(
        &mut self,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<T, E> {
        if is_large::<T>() {
            return match self.claim(1, deadline, how) {
                Ok(_) => self.take_large(),
                Err(error) => Err(error.into()),
            };
        }
        match self.side.pop_one() {
            Ok(item) => Ok(item),
            Err(TryError::WouldBlock) => {
                self.wait_for_items(deadline(), how)?;
                Ok(self.side.take())
            }
            Err(TryError::Corrupted) => Err(WaitError::Corrupted.into()),
        }
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "addresses of slots")]
    fn read<T: Pod>(&self, _: Run, into: &mut [T]) {
        if is_large::<T>() {
            self.side.fetch_behind(into.len());
        }
        let (memory, g, slot) = (self.side.memory(), self.side.geometry(), self.side.slot());
        let (first, second) = into.split_at_mut(into.len().min(g.capacity as usize - slot));
        // SAFETY: slots of the geometry, which was made for items of this type.
        unsafe { copy::read(memory, g.item_at(slot), g.item_stride, first) };
        // SAFETY: as above.
        unsafe { copy::read(memory, g.item_at(0), g.item_stride, second) };
    }
}

/// Takes and returns values, as [`wait_for_room`]. What it returns fits registers: the position up to which there
/// are items, or why there are none.
#[cold]
#[inline(never)]
fn wait_for_items(
    role: &Claimed,
    position: u64,
    deadline: Deadline,
    how: WaitOptions,
    habit: Habit,
) -> (u64, Option<WaitError>) {
    let core = &*role.core;
    let (memory, g) = (core.memory, core.geometry);
    let word = g.word_at(g.slot(position));
    let waiter = Waiter::alone(sleep_at(Role::Consumer), how.strategy, role.registered)
        .ended_by(&role.cancel, how);
    let result = waiter.wait(
        memory,
        habit.pauses_first(),
        &role.gap,
        deadline,
        move |_| look_at_word(memory, word, position, g.capacity),
        || core.peer(Role::Producer, how),
    );
    match result {
        Ok((end, _)) => (end, None),
        Err(error) => (position, Some(error)),
    }
}
