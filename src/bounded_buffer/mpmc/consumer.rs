//! [`Consumer`]: a handle that pops.

use super::in_place;
use super::producer::deadline;
use super::{Layout, PopError};
use crate::bounded_buffer::PeerState;
use crate::bytemuck::Pod;
use crate::ring::front::iter::popping_iterators;
use crate::ring::protocol::mpmc::claim::{Run, load_at, release, store_at, swap_at};
use crate::ring::protocol::mpmc::endpoint::Seat;
use crate::ring::protocol::mpmc::layout::PRODUCERS_SLEEP;
use crate::ring::protocol::mpmc::slot_word::Word;
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::{Shared, SharedItems};
use crate::ring::shm::slots::LINE;
use crate::ring::wait::Waiting;
use crate::ring::wait::crowd::wake_crowd;
use crate::segment::Segment;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

/// A handle that pops from a [`BoundedBuffer`](super::BoundedBuffer), one of many. Dropping it frees its entry in
/// the participant table.
///
/// All calls take `&mut self`: a thread has a handle of its own. It may move to another thread.
///
/// Popping is one operation that takes effect at one instruction. A process that is killed has popped all of a
/// batch or none of it; what it had claimed is delivered again. What it did with an item *after* the pop took
/// effect died with it: who needs every item to be dealt with at least once works on it [in place](Self::peek) and
/// releases it afterwards.
pub struct Consumer<T> {
    pub(super) seat: Seat,
    items: PhantomData<fn() -> T>,
}

impl<T: Pod> Consumer<T> {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat,
            items: PhantomData,
        }
    }

    /// Pops an item if there is one.
    ///
    /// "Empty" may also mean that the push whose turn it is has not finished, although one behind it has: its items
    /// come in the order in which the pushes began.
    ///
    /// **C call:** none, unless a sleeping producer must be woken (`futex`). When it is empty, at most every 10 ms
    /// `shmctl(SHM_STAT_ANY)` for each participant, to find the dead.
    ///
    /// # Errors
    ///
    /// [`PopError::Empty`], [`PopError::Corrupted`], [`PopError::Forked`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PopError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut one, mut two) = (buffer.consumer()?, buffer.consumer()?);
    /// buffer.producer()?.try_push_slice(&[1, 2])?;
    /// assert_eq!((one.try_pop(), two.try_pop()), (Ok(1), Ok(2)));
    /// assert_eq!(one.try_pop(), Err(PopError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop(&mut self) -> Result<T, PopError> {
        if !self.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        match self.pop_here() {
            Some(item) => Ok(item),
            None => self.try_pop_elsewhere(),
        }
    }

    /// Pops an item, waiting for one.
    ///
    /// A consumer that sleeps is woken for each item that is pushed, and looks by itself every 80 ms. Each time it
    /// also recovers what the dead left.
    ///
    /// **C call:** none, unless it has to sleep (`membarrier`, `futex`, `shmctl(SHM_STAT_ANY)`) or to wake a producer
    /// (`futex`).
    ///
    /// # Errors
    ///
    /// [`PopError::PeerLeft`], [`PopError::Corrupted`], [`PopError::Forked`]. Signals do not end the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let waiting = std::thread::spawn(move || consumer.pop());
    /// producer.push(7)?;
    /// assert_eq!(waiting.join().unwrap(), Ok(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop(&mut self) -> Result<T, PopError> {
        self.pop_until(None)
    }

    /// Pops an item, waiting for one at most this long.
    ///
    /// # Errors
    ///
    /// [`PopError::TimedOut`] and those of [`pop`](Self::pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PopError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut consumer = buffer.consumer()?;
    /// assert_eq!(consumer.pop_timeout(Duration::from_millis(1)), Err(PopError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, PopError> {
        self.pop_until(Some(timeout))
    }

    #[inline(always)]
    fn pop_until(&mut self, timeout: Option<Duration>) -> Result<T, PopError> {
        if !self.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        match self.pop_here() {
            Some(item) => Ok(item),
            None => self.pop_elsewhere(timeout),
        }
    }

    /// Pops as many items as there are side by side and fit, in order, as one operation, and says how many: at
    /// least one, unless there is no room for any; at most 1023, and never round the end of the buffer.
    ///
    /// # Errors
    ///
    /// As [`try_pop`](Self::try_pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PopError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut consumer = buffer.consumer()?;
    /// buffer.producer()?.try_push_slice(&[1, 2, 3])?;
    /// let mut into = [0; 2];
    /// assert_eq!((consumer.try_pop_slice(&mut into), into), (Ok(2), [1, 2]));
    /// assert_eq!((consumer.try_pop_slice(&mut into), into[0]), (Ok(1), 3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_pop_slice(&mut self, into: &mut [T]) -> Result<usize, PopError> {
        if !self.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        if into.is_empty() {
            return Ok(0);
        }
        let run = match self.seat.claim_here(Role::Consumer, into.len()) {
            Some(run) => run,
            None => self.seat.claim(into.len()).map_err(PopError::of_refusal)?,
        };
        Ok(self.take_slice(run, into))
    }

    /// As [`try_pop_slice`](Self::try_pop_slice), waiting for an item.
    ///
    /// # Errors
    ///
    /// Those of [`pop`](Self::pop).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
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
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PopError}};
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
        self.pop_slice_until(into, Some(timeout))
    }

    fn pop_slice_until(
        &mut self,
        into: &mut [T],
        timeout: Option<Duration>,
    ) -> Result<usize, PopError> {
        if !self.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        if into.is_empty() {
            return Ok(0);
        }
        let run = match self.seat.claim_here(Role::Consumer, into.len()) {
            Some(run) => run,
            None => self.wait(into.len(), timeout.and_then(deadline))?,
        };
        Ok(self.take_slice(run, into))
    }

    /// Pops items as long as there are any; never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut one, mut two) = (buffer.consumer()?, buffer.consumer()?);
    /// buffer.producer()?.push_slice(&[1, 2, 3])?;
    /// assert_eq!(one.try_iter().take(1).collect::<Vec<_>>(), [1]);
    /// assert_eq!(two.try_iter().collect::<Vec<_>>(), [2, 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_iter(&mut self) -> TryIter<'_, T> {
        TryIter { consumer: self }
    }

    /// Pops items, waiting for each. Ends only with an error, such as [`PopError::PeerLeft`] if
    /// [asked](Self::notice_departure), which has an example.
    pub fn iter(&mut self) -> Iter<'_, T> {
        Iter {
            consumer: self,
            end: None,
        }
    }

    /// How calls wait; [`Waiting::Sleep`] unless set. See [`Producer::waiting`](super::Producer::waiting) for an
    /// example.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.seat.waiting = waiting;
        self
    }

    /// Whether a wait ends with [`PopError::PeerLeft`] when the buffer is drained, there have been producers and
    /// none lives. An item that another consumer is looking at counts as there, because it may come back. Otherwise
    /// the wait goes on, for another producer may come.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PopError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut consumer = buffer.consumer()?;
    /// consumer.notice_departure(true);
    /// buffer.producer()?.push_slice(&[1, 2])?;
    /// let mut items = consumer.iter();
    /// assert!(items.by_ref().eq([1, 2]));
    /// assert_eq!(items.why_it_ended(), Some(PopError::PeerLeft));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notice_departure(&mut self, notice: bool) -> &mut Self {
        self.seat.notice_departure = notice;
        self
    }

    /// How many items there are, those being read in place included, at some moment of the past. Looks at the word
    /// of every slot.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::{PeerState, mpmc::{BoundedBuffer, Layout}}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.try_push_slice(&[1, 2])?;
    /// assert!(consumer.is_full() && consumer.len() == 2 && consumer.capacity() == 2);
    /// consumer.try_pop_slice(&mut [0; 2])?;
    /// assert!(consumer.is_empty());
    /// assert_eq!((consumer.layout(), consumer.producer_state()), (Layout::Interleaved, PeerState::Alive));
    /// assert_eq!(consumer.segment().id(), buffer.segment().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.seat.len()
    }

    /// Whether there was no item, at some moment of the past. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every slot held an item, at some moment of the past. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many items fit. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.seat.g.capacity as usize
    }

    /// Which layout its creator chose. See [`len`](Self::len) for an example.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.seat.core().layout
    }

    /// What is known about the producers together; see
    /// [`BoundedBuffer::producer_state`](super::BoundedBuffer::producer_state). See [`len`](Self::len) for an
    /// example.
    #[must_use]
    pub fn producer_state(&self) -> PeerState {
        self.seat.core().state(Role::Producer)
    }

    /// The segment the buffer is in. See [`len`](Self::len) for an example.
    pub fn segment(&self) -> &Segment {
        &self.seat.core().segment
    }

    /// Pops the item where this handle is, if there is one, without a look at anything else.
    #[inline(always)]
    #[allow(unsafe_code, reason = "claims, reads and releases one slot")]
    fn pop_here(&mut self) -> Option<T> {
        let seat = &mut self.seat;
        let (memory, at) = (seat.memory, seat.at);
        let (full, next) = (Word::full(at.lap), Word::empty(at.lap.next()));
        let reading = Word::reading(at.lap, seat.owner, 1);
        // Looking first: a compare-and-swap that fails takes the line away from the producer. In a stream it seldom
        // fails, and a look first would fetch the line twice, to read and to write.
        // SAFETY: the word of a slot.
        if !seat.eager && unsafe { load_at(memory, at.word) } != full {
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
        if seat.at.advance() {
            seat.turn();
        }
        Some(item)
    }

    /// Out of line, so that the way above needs few registers.
    #[cold]
    #[inline(never)]
    fn try_pop_elsewhere(&mut self) -> Result<T, PopError> {
        let run = self.seat.claim(1).map_err(PopError::of_refusal)?;
        Ok(self.take(run))
    }

    #[cold]
    #[inline(never)]
    fn pop_elsewhere(&mut self, timeout: Option<Duration>) -> Result<T, PopError> {
        let run = self.wait(1, timeout.and_then(deadline))?;
        Ok(self.take(run))
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "reads an item from a claimed slot")]
    fn take(&mut self, run: Run) -> T {
        let seat = &self.seat;
        // SAFETY: a slot below the capacity, in a geometry that was made for items of this type.
        let item = unsafe { seat.memory.read_item(seat.g.item_at(run.slot)) };
        self.release(run, 1);
        item
    }

    #[inline(always)]
    fn take_slice(&mut self, run: Run, into: &mut [T]) -> usize {
        // A run is never longer than what was wanted.
        let count = into.len().min(run.len as usize);
        in_place::read(self.seat.memory, &self.seat.g, run.slot, &mut into[..count]);
        self.release(run, count as u32);
        count
    }

    #[inline(always)]
    pub(super) fn release(&mut self, run: Run, count: u32) {
        let seat = &mut self.seat;
        release(seat.memory, &seat.g, seat.owner, run, count);
        if count < run.len {
            seat.returned(run, count);
            wake_crowd(
                seat.memory,
                crate::ring::protocol::mpmc::layout::CONSUMERS_SLEEP,
                seat.registered,
                u32::MAX,
            );
        }
        // Waking a producer for each item would cost more than all the rest.
        let quarter = seat.quarter;
        let end = run.slot + count;
        if end == seat.g.capacity || run.slot / quarter != end / quarter {
            wake_crowd(seat.memory, PRODUCERS_SLEEP, seat.registered, quarter);
        }
    }

    pub(super) fn wait(
        &mut self,
        wanted: usize,
        deadline: Option<Instant>,
    ) -> Result<Run, PopError> {
        self.seat.wait(wanted, deadline).map_err(PopError::of_wait)
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpmc::Consumer").finish_non_exhaustive()
    }
}

popping_iterators!("Consumer::notice_departure");

/// Bytes out: a read takes as many as there are side by side, waiting for one. The end of the stream (0 bytes) is a
/// drained buffer whose producers are all gone, dead or not; before the first producer came, reading waits.
///
/// **Of several readers:** each byte goes to one of them. One `read` is one pop, so its bytes were neighbours in
/// the buffer, at most 1023 of them.
///
/// See [`Producer`](super::Producer#impl-Write-for-Producer<u8>) for an example.
impl io::Read for Consumer<u8> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let before = std::mem::replace(&mut self.seat.notice_departure, true);
        let result = self.pop_slice(into);
        self.seat.notice_departure = before;
        match result {
            Err(PopError::PeerDead | PopError::PeerLeft) => Ok(0),
            done => Ok(done?),
        }
    }
}
