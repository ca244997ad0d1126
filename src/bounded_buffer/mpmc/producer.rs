//! [`Producer`]: a handle that pushes.

use super::in_place;
use super::{Layout, PushError};
use crate::bounded_buffer::PeerState;
use crate::bytemuck::Pod;
use crate::ring::protocol::mpmc::claim::{Run, publish, store_at, swap_at};
use crate::ring::protocol::mpmc::endpoint::Seat;
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

use crate::ring::protocol::mpmc::layout::CONSUMERS_SLEEP;

/// A handle that pushes into a [`BoundedBuffer`](super::BoundedBuffer), one of many. Dropping it frees its entry in
/// the participant table.
///
/// All calls take `&mut self`: a thread has a handle of its own. It may move to another thread.
///
/// Pushing is one operation that takes effect at one instruction. A process that is killed has pushed all of a
/// batch or none of it; what it had claimed is skipped, by whoever comes across it.
pub struct Producer<T> {
    pub(super) seat: Seat,
    items: PhantomData<fn(T)>,
}

impl<T: Pod> Producer<T> {
    pub(super) fn new(seat: Seat) -> Self {
        Self {
            seat,
            items: PhantomData,
        }
    }

    /// Pushes an item if there is room.
    ///
    /// "Full" means that the slot whose turn it is still holds its item of the lap before, or that its reader has
    /// not finished.
    ///
    /// **C call:** none, unless a sleeping consumer must be woken (`futex`). When it is full, at most every 10 ms
    /// `shmctl(SHM_STAT_ANY)` for each participant, to find the dead.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`], [`PushError::Corrupted`], [`PushError::Forked`]; each gives the item back.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PushError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut one, mut two) = (buffer.producer()?, buffer.producer()?);
    /// assert_eq!(one.try_push(1), Ok(()));
    /// assert_eq!(two.try_push(2), Ok(()));
    /// assert_eq!(one.try_push(3), Err(PushError::Full(3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_push(&mut self, item: T) -> Result<(), PushError<T>> {
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(item));
        }
        if self.push_here(&item) {
            return Ok(());
        }
        self.try_push_elsewhere(&item)
            .map_err(|error| error.map(|()| item))
    }

    /// Pushes an item, waiting for room.
    ///
    /// A producer that sleeps is woken when a quarter of the buffer is free or a consumer has nothing to do, and
    /// looks by itself every 80 ms. Each time it also recovers what the dead left.
    ///
    /// **C call:** none, unless it has to sleep (`membarrier`, `futex`, `shmctl(SHM_STAT_ANY)`) or to wake a consumer
    /// (`futex`).
    ///
    /// # Errors
    ///
    /// [`PushError::PeerLeft`], [`PushError::Corrupted`], [`PushError::Forked`]. Signals do not end the wait.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut consumer = buffer.consumer()?;
    /// let adding = std::thread::spawn(move || consumer.iter().take(2000).sum::<u64>());
    /// std::thread::scope(|scope| {
    ///     for _ in 0..2 {
    ///         let mut producer = buffer.producer().unwrap();
    ///         scope.spawn(move || (0..1000).for_each(|item| producer.push(item).unwrap()));
    ///     }
    /// });
    /// assert_eq!(adding.join().unwrap(), 2 * 499_500);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        self.push_until(item, None)
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
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PushError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// let wait = Duration::from_millis(1);
    /// assert_eq!(producer.push_timeout(1, wait), Ok(()));
    /// assert_eq!(producer.push_timeout(2, wait), Err(PushError::TimedOut(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push_timeout(&mut self, item: T, timeout: Duration) -> Result<(), PushError<T>> {
        self.push_until(item, Some(timeout))
    }

    #[inline(always)]
    fn push_until(&mut self, item: T, timeout: Option<Duration>) -> Result<(), PushError<T>> {
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(item));
        }
        if self.push_here(&item) {
            return Ok(());
        }
        self.push_elsewhere(&item, timeout)
            .map_err(|error| error.map(|()| item))
    }

    /// Pushes as many of the items as there is room for side by side, in order, as one operation, and says how
    /// many: at least one, unless there are none; at most 1023, and never round the end of the buffer.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PushError}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// assert_eq!(producer.try_push_slice(&[1, 2]), Ok(2));
    /// assert_eq!(producer.try_push_slice(&[3, 4]), Ok(1));
    /// assert_eq!(producer.try_push_slice(&[4]), Err(PushError::Full(())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_push_slice(&mut self, items: &[T]) -> Result<usize, PushError<()>> {
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(()));
        }
        if items.is_empty() {
            return Ok(0);
        }
        let run = match self.seat.claim_here(Role::Producer, items.len()) {
            Some(run) => run,
            None => self
                .seat
                .claim(items.len())
                .map_err(|refusal| PushError::of_refusal(refusal, ()))?,
        };
        Ok(self.put_slice(run, items))
    }

    /// Pushes all of the items in order, waiting for room as often as need be.
    ///
    /// Each time there is room, one operation pushes as many as [fit](Self::try_push_slice): a process killed
    /// meanwhile has pushed the first few batches, and items of other producers may come between two batches.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push); what they give back is how many items were pushed before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
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
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PushError}};
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
        self.push_slice_until(items, Some(timeout))
    }

    fn push_slice_until(
        &mut self,
        items: &[T],
        timeout: Option<Duration>,
    ) -> Result<(), PushError<usize>> {
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(0));
        }
        let mut done = 0;
        // The clock is asked when it first has to wait.
        let mut end = None;
        while done < items.len() {
            let rest = &items[done..];
            let run = match self.seat.claim_here(Role::Producer, rest.len()) {
                Some(run) => run,
                None => {
                    let end = *end.get_or_insert_with(|| timeout.and_then(deadline));
                    self.wait(rest.len(), end)
                        .map_err(|error| error.map(|()| done))?
                }
            };
            done += self.put_slice(run, rest);
        }
        Ok(())
    }

    /// How calls wait; [`Waiting::Sleep`] unless set. Of this handle alone, and for all calls from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::{Waiting, mpmc::BoundedBuffer}};
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
        self.seat.waiting = waiting;
        self
    }

    /// Whether a wait ends with [`PushError::PeerLeft`] when there have been consumers and none lives. Otherwise,
    /// and unless set, it goes on, for another may come.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PushError}};
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
    /// let mut producer = buffer.producer()?;
    /// assert!(producer.is_empty() && producer.capacity() == 2 && producer.layout() == Layout::Interleaved);
    /// producer.try_push_slice(&[1, 2])?;
    /// assert!(producer.is_full() && producer.len() == 2);
    /// assert_eq!(producer.consumer_state(), PeerState::Never);
    /// assert_eq!(producer.segment().id(), buffer.segment().id());
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

    /// What is known about the consumers together; see
    /// [`BoundedBuffer::consumer_state`](super::BoundedBuffer::consumer_state). See [`len`](Self::len) for an
    /// example.
    #[must_use]
    pub fn consumer_state(&self) -> PeerState {
        self.seat.core().state(Role::Consumer)
    }

    /// The segment the buffer is in. See [`len`](Self::len) for an example.
    pub fn segment(&self) -> &Segment {
        &self.seat.core().segment
    }

    /// Pushes into the slot where this handle is, if it is free, without a look at anything else.
    #[inline(always)]
    #[allow(unsafe_code, reason = "claims, fills and publishes one slot")]
    fn push_here(&mut self, item: &T) -> bool {
        let seat = &mut self.seat;
        let (memory, at) = (seat.memory, seat.at);
        let (empty, full) = (Word::empty(at.lap), Word::full(at.lap));
        let writing = Word::writing(at.lap, seat.owner, 1);
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
        if seat.at.advance() {
            seat.turn();
        }
        wake_crowd(memory, CONSUMERS_SLEEP, seat.registered, 1);
        true
    }

    /// Out of line, so that the way above needs few registers.
    #[cold]
    #[inline(never)]
    fn try_push_elsewhere(&mut self, item: &T) -> Result<(), PushError<()>> {
        let run = self
            .seat
            .claim(1)
            .map_err(|refusal| PushError::of_refusal(refusal, ()))?;
        self.put_slice(run, std::slice::from_ref(item));
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn push_elsewhere(&mut self, item: &T, timeout: Option<Duration>) -> Result<(), PushError<()>> {
        let run = self.wait(1, timeout.and_then(deadline))?;
        self.put_slice(run, std::slice::from_ref(item));
        Ok(())
    }

    #[inline(always)]
    fn put_slice(&mut self, run: Run, items: &[T]) -> usize {
        // A run is never longer than what was wanted.
        let count = items.len().min(run.len as usize);
        in_place::write(self.seat.memory, &self.seat.g, run.slot, &items[..count]);
        self.publish(run, count as u32);
        count
    }

    #[inline(always)]
    pub(super) fn publish(&mut self, run: Run, count: u32) {
        let seat = &self.seat;
        publish(seat.memory, &seat.g, run, count);
        // One more than one when slots were skipped: consumers behind them may go on.
        let wake = if count == run.len { count } else { u32::MAX };
        wake_crowd(seat.memory, CONSUMERS_SLEEP, seat.registered, wake);
    }

    pub(super) fn wait(
        &mut self,
        wanted: usize,
        deadline: Option<Instant>,
    ) -> Result<Run, PushError<()>> {
        self.seat
            .wait(wanted, deadline)
            .map_err(|stop| PushError::of_wait(stop, ()))
    }
}

/// `None`, forever, for what no clock can reach.
pub(super) fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpmc::Producer").finish_non_exhaustive()
    }
}

/// Bytes in: a write takes as many as there is room for side by side, waiting for room for one.
///
/// **Of several writers:** one `write` is one push, so its bytes stay together, at most 1023 of them and never
/// round the end of the buffer. Between two of them come bytes of other writers, and `write_all`, `write!` and the
/// like may make several. Messages that must stay whole are pushed as items of a type of their own.
///
/// Consumers that are all gone are `BrokenPipe` once the buffer is full, if
/// [that is to be noticed](Producer::notice_departure).
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
/// use std::io::{Read, Write};
/// # let buffer = BoundedBuffer::<u8>::create_new(Key::PRIVATE, 64)?;
/// # buffer.segment().mark_for_removal()?;
/// let (mut one, mut two) = (buffer.producer()?, buffer.producer()?);
/// one.write_all(b"3 items\n")?;
/// two.write_all(b"4 items\n")?;
/// drop((one, two));
/// let mut text = String::new();
/// buffer.consumer()?.read_to_string(&mut text)?; // ends, because no producer is left
/// assert_eq!(text, "3 items\n4 items\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl io::Write for Producer<u8> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(()).into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let run = self.wait(bytes.len(), None)?;
        Ok(self.put_slice(run, bytes))
    }

    /// Nothing to do: what was written has been pushed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
