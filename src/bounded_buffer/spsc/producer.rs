//! [`Producer`]: the side that pushes.

use super::in_place;
use super::{Layout, PushError};
use crate::bounded_buffer::PeerState;
use crate::bytemuck::Pod;
use crate::fork::ForkGuard;
use crate::ring::protocol::role::Role;
use crate::ring::protocol::spsc::claim::{Claimed, RoleGuard};
use crate::ring::protocol::spsc::layout::sleep_at;
use crate::ring::protocol::spsc::{
    cursor::load_out,
    push::{Producing, look_for_room},
};
use crate::ring::shm::memory::Mapped;
use crate::ring::wait::{WaitError, Waiter, Waiting};
use crate::segment::Segment;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The producing side of a [`BoundedBuffer`](super::BoundedBuffer). Dropping it gives the role back.
///
/// All calls take `&mut self`, because there is one producer. It may move to another thread.
///
/// Pushing is one operation that takes effect at one instruction. A process that is killed has pushed all of a
/// batch or none of it.
pub struct Producer<T> {
    side: Producing<Mapped>,
    fork_guard: ForkGuard,
    waiting: Waiting,
    notice_departure: bool,
    role: RoleGuard,
    items: PhantomData<fn(T)>,
}

impl<T: Pod> Producer<T> {
    pub(super) fn new(role: RoleGuard, side: Producing<Mapped>) -> Self {
        Self {
            side,
            fork_guard: role.get().core.fork_guard,
            waiting: Waiting::default(),
            notice_departure: false,
            role,
            items: PhantomData,
        }
    }

    /// Pushes an item if there is room.
    ///
    /// Does not ask whether the consumer lives: a loop of these looks at [`consumer_state`](Self::consumer_state)
    /// now and then.
    ///
    /// **C call:** none, unless a sleeping consumer must be woken (`futex`).
    ///
    /// # Errors
    ///
    /// [`PushError::Full`], [`PushError::Corrupted`], [`PushError::Forked`]; each gives the item back.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PushError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// assert_eq!(producer.try_push(1), Ok(()));
    /// assert_eq!(producer.try_push(2), Err(PushError::Full(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_push(&mut self, item: T) -> Result<(), PushError<T>> {
        if !self.fork_guard.is_current() {
            return Err(PushError::forked(item));
        }
        if self.side.push_known(&item) {
            return Ok(());
        }
        match self.side.find_room(1) {
            Ok(_) if self.side.push_known(&item) => Ok(()),
            Ok(_) => Err(PushError::Full(item)),
            Err(refusal) => Err(PushError::of_refusal(refusal, item)),
        }
    }

    /// Pushes an item, waiting for room.
    ///
    /// A producer that sleeps is woken when a quarter of the buffer is free or the consumer has nothing to do, and
    /// looks by itself every 80 ms.
    ///
    /// **C call:** none, unless it has to sleep (`membarrier`, `futex`, `shmctl(SHM_STAT_ANY)`) or to wake the consumer
    /// (`futex`).
    ///
    /// # Errors
    ///
    /// [`PushError::PeerDead`]: the buffer is full and the consumer is dead; noticed within 100 ms after the kernel
    /// has released its memory. [`PushError::PeerLeft`], [`PushError::Corrupted`], [`PushError::Forked`]. Signals
    /// do not end the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let adding = std::thread::spawn(move || consumer.iter().take(1000).sum::<u64>());
    /// for item in 0..1000 {
    ///     producer.push(item)?;
    /// }
    /// assert_eq!(adding.join().unwrap(), 499_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        if !self.fork_guard.is_current() {
            return Err(PushError::forked(item));
        }
        if self.side.push_known(&item) {
            return Ok(());
        }
        self.push_waiting(item, None)
    }

    /// Pushes an item, waiting for room at most this long.
    ///
    /// # Errors
    ///
    /// [`PushError::TimedOut`] and those of [`push`](Self::push).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PushError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// let wait = Duration::from_millis(1);
    /// assert_eq!(producer.push_timeout(1, wait), Ok(()));
    /// assert_eq!(producer.push_timeout(2, wait), Err(PushError::TimedOut(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn push_timeout(&mut self, item: T, timeout: Duration) -> Result<(), PushError<T>> {
        if !self.fork_guard.is_current() {
            return Err(PushError::forked(item));
        }
        if self.side.push_known(&item) {
            return Ok(());
        }
        self.push_waiting(item, Some(timeout))
    }

    #[inline(always)]
    fn push_waiting(&mut self, item: T, timeout: Option<Duration>) -> Result<(), PushError<T>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if let Err(stop) = self.wait_for_room(deadline) {
            return Err(PushError::of_wait(stop, item));
        }
        if self.side.push_known(&item) {
            Ok(())
        } else {
            Err(PushError::Full(item))
        }
    }

    /// Pushes as many of the items as there is room for, in order, as one operation, and says how many: at least
    /// one, unless there are none.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PushError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// assert_eq!(producer.try_push_slice(&[1, 2]), Ok(2));
    /// assert_eq!(producer.try_push_slice(&[3, 4]), Ok(1));
    /// assert_eq!(producer.try_push_slice(&[4]), Err(PushError::Full(())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_push_slice(&mut self, items: &[T]) -> Result<usize, PushError<()>> {
        if !self.fork_guard.is_current() {
            return Err(PushError::Forked(()));
        }
        if items.is_empty() {
            return Ok(0);
        }
        let room = self
            .side
            .find_room(items.len())
            .map_err(|refusal| PushError::of_refusal(refusal, ()))?;
        let count = room.min(items.len());
        self.write_and_publish(&items[..count]);
        Ok(count)
    }

    /// Pushes all of the items in order, waiting for room as often as need be.
    ///
    /// Each time there is room, one operation pushes as many as fit: a process killed meanwhile has pushed the
    /// first few batches.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push); what they give back is how many items were pushed before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let adding = std::thread::spawn(move || consumer.iter().take(1000).sum::<u64>());
    /// producer.push_slice(&(0..1000).collect::<Vec<u64>>())?;
    /// assert_eq!(adding.join().unwrap(), 499_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_slice(&mut self, items: &[T]) -> Result<(), PushError<usize>> {
        self.push_slice_until(items, None)
    }

    /// As [`push_slice`](Self::push_slice), waiting at most this long in all.
    ///
    /// # Errors
    ///
    /// [`PushError::TimedOut`] and those of [`push_slice`](Self::push_slice); what they give back is how many items
    /// were pushed before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PushError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// let result = producer.push_slice_timeout(&[1, 2, 3, 4], Duration::from_millis(1));
    /// assert_eq!(result, Err(PushError::TimedOut(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn push_slice_timeout(
        &mut self,
        items: &[T],
        timeout: Duration,
    ) -> Result<(), PushError<usize>> {
        self.push_slice_until(items, Instant::now().checked_add(timeout))
    }

    fn push_slice_until(
        &mut self,
        items: &[T],
        deadline: Option<Instant>,
    ) -> Result<(), PushError<usize>> {
        let mut done = 0;
        while done < items.len() {
            match self.try_push_slice(&items[done..]) {
                Ok(count) => done += count,
                Err(PushError::Full(())) => self
                    .wait_for_room(deadline)
                    .map_err(|stop| PushError::of_wait(stop, done))?,
                Err(error) => return Err(error.map(|()| done)),
            }
        }
        Ok(())
    }

    /// How calls wait; [`Waiting::Sleep`] unless set. Of this handle alone, and for all calls from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::{Waiting, spsc::BoundedBuffer}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.waiting(Waiting::Spin); // has a processor of its own
    /// consumer.waiting(Waiting::Yield).notice_departure(true); // settings can be chained
    /// producer.push(1)?;
    /// assert_eq!(consumer.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.waiting = waiting;
        self
    }

    /// Whether a wait ends with [`PushError::PeerLeft`] when the consumer has given its role back. Otherwise, and
    /// unless set, it goes on, for another may come.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PushError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// producer.notice_departure(true);
    /// assert_eq!(buffer.consumer()?.try_pop().ok(), None); // comes and goes
    /// assert_eq!(producer.push(1), Ok(())); // there is room
    /// assert_eq!(producer.push(2), Err(PushError::PeerLeft(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notice_departure(&mut self, notice: bool) -> &mut Self {
        self.notice_departure = notice;
        self
    }

    /// How many items there are. The consumer may have taken some meanwhile; nobody else can have added any.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::{PeerState, spsc::{BoundedBuffer, Layout}}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// assert!(producer.is_empty() && producer.capacity() == 2 && producer.layout() == Layout::Interleaved);
    /// producer.try_push_slice(&[1, 2])?;
    /// assert!(producer.is_full() && producer.len() == 2 && producer.position() == 2);
    /// assert_eq!(producer.consumer_state(), PeerState::Never);
    /// assert_eq!(producer.segment().id(), buffer.segment().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        let used = self
            .side
            .position()
            .wrapping_sub(load_out(self.side.memory()));
        // A hostile consumer may have stored anything.
        used.min(self.side.geometry().capacity) as usize
    }

    /// Whether there is no item. If so, that stays until this producer pushes one. See [`len`](Self::len) for an
    /// example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. The consumer may have made some meanwhile. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many items fit. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.side.geometry().capacity as usize
    }

    /// How many items have been pushed into this buffer since it was made, by all its producers: the position of
    /// the next one. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.side.position()
    }

    /// Which layout its creator chose. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.role.get().core.layout
    }

    /// Who has the consuming side. See [`len`](Self::len) for an example.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`; three if the answer is "dead".
    #[must_use]
    pub fn consumer_state(&self) -> PeerState {
        self.role.get().core.state(Role::Consumer)
    }

    /// The segment the buffer is in. See [`len`](Self::len) for an example.
    pub fn segment(&self) -> &Segment {
        &self.role.get().core.segment
    }

    #[inline(always)]
    pub(super) fn is_current(&self) -> bool {
        self.fork_guard.is_current()
    }

    #[inline(always)]
    pub(super) fn side(&mut self) -> &mut Producing<Mapped> {
        &mut self.side
    }

    #[inline(always)]
    pub(super) fn side_ref(&self) -> &Producing<Mapped> {
        &self.side
    }

    /// There is room for all of them, and there is at least one.
    #[inline(always)]
    fn write_and_publish(&mut self, items: &[T]) {
        let (memory, slot) = (self.side.memory(), self.side.slot());
        in_place::write(memory, self.side.geometry(), slot, items);
        self.side.publish(items.len());
    }

    /// Afterwards there is room for one item at least.
    #[inline(always)]
    pub(super) fn wait_for_room(&mut self, deadline: Option<Instant>) -> Result<(), WaitError> {
        if self.side.goes_on() {
            return Ok(());
        }
        let limit = wait_for_room(
            self.role.get(),
            self.side.position(),
            deadline,
            self.waiting,
            self.notice_departure,
        )?;
        self.side.set_limit(limit);
        Ok(())
    }
}

/// Takes and returns values: a reference to the producer would force its fields into memory all the time.
#[cold]
#[inline(never)]
fn wait_for_room(
    role: &Claimed,
    position: u64,
    deadline: Option<Instant>,
    waiting: Waiting,
    notice_departure: bool,
) -> Result<u64, WaitError> {
    let core = &*role.core;
    let waiter = Waiter::new(sleep_at(Role::Producer), waiting, role.registered);
    let (memory, capacity) = (core.memory, core.geometry.capacity);
    waiter.wait(
        memory,
        0,
        &role.gap,
        deadline,
        move |effort| look_for_room(memory, capacity, position, effort),
        || core.peer(Role::Consumer, notice_departure),
    )
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Producer")
            .field("position", &self.side.position())
            .finish_non_exhaustive()
    }
}

/// Bytes in: a write takes as many as there is room for, waiting for room for one.
///
/// A consumer that is dead, or has left and [that is to be noticed](Producer::notice_departure), is `BrokenPipe`
/// once the buffer is full.
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
/// use std::io::{Read, Write};
/// # let buffer = BoundedBuffer::<u8>::create_new(Key::PRIVATE, 64)?;
/// # buffer.segment().mark_for_removal()?;
/// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
/// writeln!(producer, "{} items", 3)?;
/// drop(producer);
/// let mut text = String::new();
/// consumer.read_to_string(&mut text)?; // ends, because the producer has left
/// assert_eq!(text, "3 items\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl io::Write for Producer<u8> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.try_push_slice(bytes) {
                Err(PushError::Full(())) => self
                    .wait_for_room(None)
                    .map_err(|stop| PushError::of_wait(stop, ()))?,
                done => return Ok(done?),
            }
        }
    }

    /// Nothing to do: what was written has been pushed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
