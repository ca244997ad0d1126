//! [`Consumer`]: the side that pops.

use super::in_place;
use super::{Layout, PopError};
use crate::bounded_buffer::PeerState;
use crate::bytemuck::Pod;
use crate::fork::ForkGuard;
use crate::ring::front::iter::popping_iterators;
use crate::ring::protocol::error::TryError;
use crate::ring::protocol::role::Role;
use crate::ring::protocol::spsc::claim::{Claimed, RoleGuard};
use crate::ring::protocol::spsc::layout::sleep_at;
use crate::ring::protocol::spsc::{
    cursor::{find_in, look_at_word},
    pop::Consuming,
};
use crate::ring::shm::memory::Mapped;
use crate::ring::wait::{Habit, WaitError, Waiter, Waiting};
use crate::segment::Segment;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// The consuming side of a [`BoundedBuffer`](super::BoundedBuffer). Dropping it gives the role back.
///
/// All calls take `&mut self`, because there is one consumer. It may move to another thread.
///
/// Popping is one operation that takes effect at one instruction. What the process did with the item after that
/// died with it, if it dies: who needs each item handled at least once [peeks](Self::try_peek), handles it, and
/// releases it afterwards.
pub struct Consumer<T> {
    side: Consuming<Mapped>,
    fork_guard: ForkGuard,
    habit: Habit,
    /// Where the last wait ended.
    waited_at: u64,
    waiting: Waiting,
    notice_departure: bool,
    role: RoleGuard,
    items: PhantomData<fn() -> T>,
}

impl<T: Pod> Consumer<T> {
    pub(super) fn new(role: RoleGuard, side: Consuming<Mapped>) -> Self {
        Self {
            waited_at: side.position(),
            side,
            fork_guard: role.get().core.fork_guard,
            habit: Habit::default(),
            waiting: Waiting::default(),
            notice_departure: false,
            role,
            items: PhantomData,
        }
    }

    /// Pops the oldest item if there is one.
    ///
    /// Does not ask whether the producer lives: a loop of these looks at [`producer_state`](Self::producer_state)
    /// now and then.
    ///
    /// **C call:** none, unless a sleeping producer must be woken (`futex`).
    ///
    /// # Errors
    ///
    /// [`PopError::Empty`], [`PopError::Corrupted`], [`PopError::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// assert_eq!(consumer.try_pop(), Err(PopError::Empty));
    /// producer.push(1)?;
    /// assert_eq!(consumer.try_pop(), Ok(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<T, PopError> {
        if !self.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        if Self::IS_LARGE {
            return match self.side.find_items(1) {
                Ok(_) => self.take_large(),
                Err(refusal) => Err(self.nothing(refusal)),
            };
        }
        match self.side.pop_known() {
            Ok(item) => Ok(item),
            Err(refusal) => Err(self.nothing(refusal)),
        }
    }

    /// Pops the oldest item, waiting for one.
    ///
    /// **C call:** none, unless it has to sleep (`membarrier`, `futex`, `shmctl(SHM_STAT_ANY)`) or to wake the producer
    /// (`futex`).
    ///
    /// # Errors
    ///
    /// [`PopError::PeerDead`]: the buffer is drained and the producer is dead; noticed within 100 ms after the
    /// kernel has released its memory. [`PopError::PeerLeft`], [`PopError::Corrupted`], [`PopError::Forked`].
    /// Signals do not end the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let waiting = std::thread::spawn(move || consumer.pop());
    /// producer.push(7)?;
    /// assert_eq!(waiting.join().unwrap(), Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn pop(&mut self) -> Result<T, PopError> {
        if !self.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        if Self::IS_LARGE {
            return self.pop_large(None);
        }
        match self.side.pop_known() {
            Ok(item) => Ok(item),
            Err(TryError::WouldBlock) => self.pop_waiting(None),
            Err(TryError::Corrupted) => Err(PopError::Corrupted),
        }
    }

    /// Pops the oldest item, waiting for one at most this long.
    ///
    /// # Errors
    ///
    /// [`PopError::TimedOut`] and those of [`pop`](Self::pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut consumer = buffer.consumer()?;
    /// assert_eq!(consumer.pop_timeout(Duration::from_millis(1)), Err(PopError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, PopError> {
        if Self::IS_LARGE {
            return self.pop_large(Instant::now().checked_add(timeout));
        }
        match self.try_pop() {
            Err(PopError::Empty) => self.pop_waiting(Instant::now().checked_add(timeout)),
            done => done,
        }
    }

    #[inline(always)]
    fn pop_waiting(&mut self, deadline: Option<Instant>) -> Result<T, PopError> {
        let end = self.wait(deadline)?;
        Ok(self.side.pop_found(end, self.habit.is_stream()))
    }

    /// Items that are not moved in registers: each way of handing one over is a copy, so there is one way.
    const IS_LARGE: bool = size_of::<T>() > 128;

    #[inline(always)]
    fn pop_large(&mut self, deadline: Option<Instant>) -> Result<T, PopError> {
        if !self.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        match self.side.find_items(1) {
            Ok(_) => {}
            Err(TryError::WouldBlock) => self.wait_for_items(deadline)?,
            Err(TryError::Corrupted) => return Err(PopError::Corrupted),
        }
        self.take_large()
    }

    /// There is an item.
    ///
    /// It is copied to where the result is to be: the compiler does not see through the copy, and would make one
    /// more for each place that the item passes on its way there. Filling that place with zeros first costs less
    /// than one.
    #[inline(always)]
    fn take_large(&mut self) -> Result<T, PopError> {
        let mut result = Ok(T::zeroed());
        if let Ok(item) = &mut result {
            self.side.take_into(item);
        }
        result
    }

    /// Pops as many items as there are and the slice holds, in order, as one operation, and says how many: at least
    /// one, unless the slice is empty.
    ///
    /// # Errors
    ///
    /// As [`try_pop`](Self::try_pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// let mut items = [0; 2];
    /// assert_eq!(consumer.try_pop_slice(&mut items), Ok(2));
    /// assert_eq!(items, [1, 2]);
    /// assert_eq!(consumer.try_pop_slice(&mut items), Ok(1));
    /// assert_eq!(consumer.try_pop_slice(&mut items), Err(PopError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_pop_slice(&mut self, into: &mut [T]) -> Result<usize, PopError> {
        if !self.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        if into.is_empty() {
            return Ok(0);
        }
        match self.side.find_items(into.len()) {
            Ok(items) => Ok(self.copy_and_release(items, into)),
            Err(refusal) => Err(self.nothing(refusal)),
        }
    }

    /// Pops as many items as there are and the slice holds, waiting for one at least.
    ///
    /// # Errors
    ///
    /// Those of [`pop`](Self::pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let adding = std::thread::spawn(move || {
    ///     let (mut items, mut sum, mut seen) = ([0; 8], 0, 0);
    ///     while seen < 1000 {
    ///         let count = consumer.pop_slice(&mut items).unwrap();
    ///         sum += items[..count].iter().sum::<u64>();
    ///         seen += count;
    ///     }
    ///     sum
    /// });
    /// producer.push_slice(&(0..1000).collect::<Vec<u64>>())?;
    /// assert_eq!(adding.join().unwrap(), 499_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_slice(&mut self, into: &mut [T]) -> Result<usize, PopError> {
        self.pop_slice_until(into, None)
    }

    /// As [`pop_slice`](Self::pop_slice), waiting at most this long.
    ///
    /// # Errors
    ///
    /// [`PopError::TimedOut`] and those of [`pop`](Self::pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut consumer = buffer.consumer()?;
    /// buffer.producer()?.push_slice(&[1, 2])?;
    /// let (mut items, wait) = ([0; 8], Duration::from_millis(1));
    /// assert_eq!(consumer.pop_slice_timeout(&mut items, wait), Ok(2)); // what there is
    /// assert_eq!(consumer.pop_slice_timeout(&mut items, wait), Err(PopError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pop_slice_timeout(
        &mut self,
        into: &mut [T],
        timeout: Duration,
    ) -> Result<usize, PopError> {
        self.pop_slice_until(into, Instant::now().checked_add(timeout))
    }

    fn pop_slice_until(
        &mut self,
        into: &mut [T],
        deadline: Option<Instant>,
    ) -> Result<usize, PopError> {
        match self.try_pop_slice(into) {
            Err(PopError::Empty) => {
                self.wait_for_items(deadline)?;
                self.try_pop_slice(into)
            }
            done => done,
        }
    }

    /// Pops items as long as there are any; never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { consumer: self }
    }

    /// Pops items, waiting for each. Ends when [`pop`](Self::pop) fails: the producer is dead, or has left and
    /// [that is to be noticed](Self::notice_departure), and the buffer is drained.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.push_slice(&[1, 2, 3])?;
    /// drop(producer);
    /// let mut items = consumer.notice_departure(true).iter();
    /// assert_eq!(items.by_ref().sum::<u64>(), 6);
    /// assert_eq!(items.why_it_ended(), Some(PopError::PeerLeft));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter {
            consumer: self,
            end: None,
        }
    }

    /// How calls wait; [`Waiting::Sleep`] unless set. See [`Producer::waiting`](super::Producer::waiting) for an
    /// example.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.waiting = waiting;
        self
    }

    /// Whether a wait ends with [`PopError::PeerLeft`] when the buffer is drained and the producer has given its
    /// role back. Otherwise, and unless set, it goes on, for another may come. See [`iter`](Self::iter) for an
    /// example.
    pub fn notice_departure(&mut self, notice: bool) -> &mut Self {
        self.notice_departure = notice;
        self
    }

    /// How many items there are. The producer may have added some meanwhile; nobody else can have taken any. Looks
    /// at the word of every slot.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::{PeerState, spsc::{BoundedBuffer, Layout}}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.try_push_slice(&[1, 2])?;
    /// assert!(consumer.is_full() && consumer.len() == 2 && consumer.capacity() == 2);
    /// consumer.try_pop_slice(&mut [0; 2])?;
    /// assert!(consumer.is_empty() && consumer.position() == 2);
    /// assert_eq!((consumer.layout(), consumer.producer_state()), (Layout::Interleaved, PeerState::Alive));
    /// assert_eq!(consumer.segment().id(), buffer.segment().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        let position = self.side.position();
        find_in(self.side.memory(), self.side.geometry(), position).wrapping_sub(position) as usize
    }

    /// Whether there is no item. The producer may have added one meanwhile. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.side.known_items() == 0 && self.len() == 0
    }

    /// Whether there is no room. If so, that stays until this consumer pops an item. See [`len`](Self::len) for an
    /// example.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many items fit. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.side.geometry().capacity as usize
    }

    /// How many items have been popped from this buffer since it was made, by all its consumers: the position of
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

    /// Who has the producing side. See [`len`](Self::len) for an example.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`; three if the answer is "dead".
    #[must_use]
    pub fn producer_state(&self) -> PeerState {
        self.role.get().core.state(Role::Producer)
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
    pub(super) fn side(&mut self) -> &mut Consuming<Mapped> {
        &mut self.side
    }

    #[inline(always)]
    pub(super) fn side_ref(&self) -> &Consuming<Mapped> {
        &self.side
    }

    /// There is at least one item, and room for one.
    #[inline(always)]
    fn copy_and_release(&mut self, items: usize, into: &mut [T]) -> usize {
        let count = items.min(into.len());
        if Self::IS_LARGE {
            self.side.fetch_behind(count);
        }
        let (memory, slot) = (self.side.memory(), self.side.slot());
        in_place::read(memory, self.side.geometry(), slot, &mut into[..count]);
        self.side.release(count);
        count
    }

    /// Before saying that there is nothing: a producer may be waiting to be told how far this side is.
    #[inline(always)]
    pub(super) fn nothing(&mut self, refusal: TryError) -> PopError {
        self.side.tell_if_due();
        PopError::of_refusal(refusal)
    }

    /// Afterwards there is one item at least.
    #[inline(always)]
    pub(super) fn wait_for_items(&mut self, deadline: Option<Instant>) -> Result<(), PopError> {
        let end = self.wait(deadline)?;
        self.side.set_end(end, self.habit.is_stream());
        Ok(())
    }

    /// Waits for an item at the cursor; returns the position up to which there are some.
    ///
    /// Whatever can be done before waiting is done there: it costs nothing while there is nothing else to do, and
    /// the way from seeing an item to having it is what a round trip takes.
    #[inline(always)]
    fn wait(&mut self, deadline: Option<Instant>) -> Result<u64, PopError> {
        self.side.tell_if_due();
        let position = self.side.position();
        self.habit = self.habit.learn(position.wrapping_sub(self.waited_at));
        self.waited_at = position;
        let how = (self.waiting, self.notice_departure);
        match wait_for_items(self.role.get(), position, deadline, how, self.habit) {
            (end, None) => Ok(end),
            (_, Some(stop)) => Err(PopError::of_wait(stop)),
        }
    }
}

/// Takes and returns values: a reference to the consumer would force its fields into memory all the time. What it
/// returns fits registers: the position up to which there are items, or why there are none.
#[cold]
#[inline(never)]
fn wait_for_items(
    role: &Claimed,
    position: u64,
    deadline: Option<Instant>,
    (waiting, notice_departure): (Waiting, bool),
    habit: Habit,
) -> (u64, Option<WaitError>) {
    let core = &*role.core;
    let (memory, g) = (core.memory, core.geometry);
    let word = g.word_at(g.slot(position));
    let waiter = Waiter::new(sleep_at(Role::Consumer), waiting, role.registered);
    let result = waiter.wait(
        memory,
        habit.pauses_first(),
        &role.gap,
        deadline,
        move |_| look_at_word(memory, word, position, g.capacity),
        || core.peer(Role::Producer, notice_departure),
    );
    match result {
        Ok(end) => (end, None),
        Err(stop) => (position, Some(stop)),
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::Consumer")
            .field("position", &self.side.position())
            .finish_non_exhaustive()
    }
}

popping_iterators!("Consumer::iter");

/// Bytes out: a read takes as many as there are, waiting for one. The end of the stream (0 bytes) is a drained
/// buffer whose producer is gone, dead or not; before the first producer came, reading waits.
///
/// See [`Producer`](super::Producer#impl-Write-for-Producer<u8>) for an example.
impl io::Read for Consumer<u8> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let before = std::mem::replace(&mut self.notice_departure, true);
        let result = self.pop_slice(into);
        self.notice_departure = before;
        match result {
            Err(PopError::PeerDead | PopError::PeerLeft) => Ok(0),
            done => Ok(done?),
        }
    }
}
