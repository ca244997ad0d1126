//! Items in place: the calls that hand out a [`Reservation`] or a [`Peek`], both of these, and the copies of runs.

use super::producer::deadline;
use super::{Consumer, PopError, Producer, PushError};
use crate::bytemuck::Pod;
use crate::memory::SharedSlice;
use crate::ring::protocol::mpmc::claim::Run;
use crate::ring::protocol::mpmc::endpoint::Seat;
use crate::ring::protocol::mpmc::layout::Geometry;
use crate::ring::protocol::role::Role;
use crate::ring::shm::copy::{self, check};
use crate::ring::shm::memory::Mapped;
use crate::segment::ReadOnly;
use std::fmt;
use std::time::Duration;

/// `slot + items.len()` is at most the capacity.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
pub(super) fn write<T: Pod>(memory: Mapped, g: &Geometry, slot: u32, items: &[T]) {
    debug_assert!(slot as usize + items.len() <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { copy::write(memory, g.item_at(slot), g.item_stride, items) };
}

/// `slot + into.len()` is at most the capacity.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
pub(super) fn read<T: Pod>(memory: Mapped, g: &Geometry, slot: u32, into: &mut [T]) {
    debug_assert!(slot as usize + into.len() <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { copy::read(memory, g.item_at(slot), g.item_stride, into) };
}

/// The items of a run as a view, where the layout has such a thing. As long-lived as the borrow of the handle,
/// which keeps the segment attached.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
fn view<T: Pod>(seat: &Seat, run: Run) -> Option<SharedSlice<'_, T>> {
    let g = &seat.g;
    debug_assert!(run.slot + run.len <= g.capacity);
    let (at, len) = (g.item_at(run.slot), run.len as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { copy::view(seat.memory, at, g.item_stride, len) }
}

/// Slots in place.
impl<T: Pod> Producer<T> {
    /// Reserves up to `wanted` free slots that lie side by side, to be filled in place: at least one, at most 1023,
    /// never round the end of the buffer. Nothing is pushed before [`commit`](Reservation::commit).
    ///
    /// Consumers find nothing behind a reservation before it is committed or dropped, or its process dies.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let mut space = producer.try_reserve(5)?;
    /// space.write_from(0, &[1, 2, 3]);
    /// assert!(consumer.try_pop().is_err());
    /// space.commit(3)?;
    /// assert!(consumer.try_iter().eq([1, 2, 3]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_reserve(&mut self, wanted: usize) -> Result<Reservation<'_, T>, PushError<()>> {
        assert!(wanted > 0, "a reservation of no slots");
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(()));
        }
        self.seat.settle();
        let run = match self.seat.claim_here(Role::Producer, wanted) {
            Some(run) => run,
            None => self
                .seat
                .claim(wanted)
                .map_err(|refusal| PushError::of_refusal(refusal, ()))?,
        };
        Ok(Reservation::new(self, run))
    }

    /// As [`try_reserve`](Self::try_reserve), which has an example, waiting for room for one item at least.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    pub fn reserve(&mut self, wanted: usize) -> Result<Reservation<'_, T>, PushError<()>> {
        self.reserve_until(wanted, None)
    }

    /// As [`reserve`](Self::reserve), waiting at most this long.
    ///
    /// # Errors
    ///
    /// [`PushError::TimedOut`] and those of [`push`](Self::push).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PushError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 2)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// let wait = Duration::from_millis(1);
    /// let mut space = producer.reserve_timeout(5, wait)?; // there is room for two
    /// space.set(0, 10);
    /// space.set(1, 20);
    /// space.commit(2)?;
    /// assert_eq!(producer.reserve_timeout(1, wait).unwrap_err(), PushError::TimedOut(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reserve_timeout(
        &mut self,
        wanted: usize,
        timeout: Duration,
    ) -> Result<Reservation<'_, T>, PushError<()>> {
        self.reserve_until(wanted, Some(timeout))
    }

    fn reserve_until(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
    ) -> Result<Reservation<'_, T>, PushError<()>> {
        assert!(wanted > 0, "a reservation of no slots");
        if !self.seat.fork_guard.is_current() {
            return Err(PushError::Forked(()));
        }
        self.seat.settle();
        let run = match self.seat.claim_here(Role::Producer, wanted) {
            Some(run) => run,
            None => self.wait(wanted, timeout.and_then(deadline))?,
        };
        Ok(Reservation::new(self, run))
    }
}

/// Free slots to fill in place, made by [`Producer::try_reserve`] and [`Producer::reserve`].
///
/// The slots hold what was there before. Dropping it, or the process, pushes nothing: the slots are skipped, and
/// free again in the next lap.
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
/// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
/// # buffer.segment().mark_for_removal()?;
/// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
/// let mut space = producer.reserve(4)?;
/// assert_eq!(space.len(), 4);
/// space.set(0, 10);
/// space.write_from(1, &[20, 30]);
/// space.commit(3)?; // the fourth slot was not needed
///
/// drop(producer.reserve(1)?); // pushes nothing
/// assert!(consumer.try_iter().eq([10, 20, 30]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Forgotten ([`std::mem::forget`]), it keeps its slots until the handle goes: a later wait of the same handle may
/// be one for itself.
#[must_use = "dropping it pushes nothing"]
pub struct Reservation<'a, T> {
    producer: &'a mut Producer<T>,
    run: Run,
}

impl<'a, T: Pod> Reservation<'a, T> {
    #[inline(always)]
    pub(super) fn new(producer: &'a mut Producer<T>, run: Run) -> Self {
        producer.seat.open = Some(run);
        Self { producer, run }
    }

    /// How many slots there are: 1 or more. See [`Reservation`] for an example.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.run.len as usize
    }

    /// Writes one item. See [`Reservation`] for an example.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[inline(always)]
    pub fn set(&mut self, index: usize, item: T) {
        self.write_from(index, &[item]);
    }

    /// Copies items in, from slot `index` of the reservation on. See [`Reservation`] for an example.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    #[inline(always)]
    pub fn write_from(&mut self, index: usize, items: &[T]) {
        check(index, items.len(), self.len());
        if items.is_empty() {
            return;
        }
        let seat = &self.producer.seat;
        // `index` is below the length of the run.
        write(seat.memory, &seat.g, self.run.slot + index as u32, items);
    }

    /// The slots as a view, in the [contiguous](super::Layout::Contiguous) layout; `None` in the interleaved one,
    /// where items do not lie side by side.
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{Layout, Options}};
    /// # let mut options = Options::new();
    /// # options.capacity(8).layout(Layout::Contiguous);
    /// # let buffer = options.create_new::<u64>(Key::PRIVATE)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let mut space = producer.try_reserve(4)?;
    /// space.as_shared_slice().unwrap().write_from(&[1, 2, 3, 4]);
    /// space.commit(4)?;
    /// assert_eq!(consumer.try_peek(4)?.as_shared_slice().unwrap().to_vec(), [1, 2, 3, 4]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[inline(always)]
    pub fn as_shared_slice(&mut self) -> Option<SharedSlice<'_, T>> {
        view(&self.producer.seat, self.run)
    }

    /// Pushes the first `count` items, as one operation, and skips the other slots until the next lap. 0 pushes
    /// nothing. See [`Reservation`] for an example.
    ///
    /// **C call:** none, unless a sleeping consumer must be woken (`futex`).
    ///
    /// # Panics
    ///
    /// If `count` is more than [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// [`PushError::Forked`]: the reservation was made before a fork, in the parent.
    #[inline(always)]
    pub fn commit(self, count: usize) -> Result<(), PushError<()>> {
        check(0, count, self.len());
        if !self.producer.seat.fork_guard.is_current() {
            return Err(PushError::Forked(()));
        }
        if count > 0 {
            self.producer.seat.open = None;
            self.producer.publish(self.run, count as u32);
        }
        // Dropped: with nothing open any more, or to skip it all.
        Ok(())
    }
}

impl<T> Drop for Reservation<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let seat = &mut self.producer.seat;
        // In a forked child it is the parent's.
        if seat.fork_guard.is_current() {
            seat.settle();
        }
    }
}

impl<T> fmt::Debug for Reservation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpmc::Reservation")
            .field("len", &self.run.len)
            .finish_non_exhaustive()
    }
}

/// Items in place.
impl<T: Pod> Consumer<T> {
    /// Looks at up to `wanted` of the oldest items in place: at least one, at most 1023, never round the end of the
    /// buffer. Nothing is popped before [`release`](Peek::release), and nobody else gets them meanwhile.
    ///
    /// This is how no item gets lost with the process that works on it: **an item that is being looked at when its
    /// process dies is delivered again**, to another consumer, behind items that came later. So it may be dealt
    /// with twice, by one that died after the work and before the release. Producers that come round to the slot
    /// wait for the release.
    ///
    /// # Errors
    ///
    /// As [`try_pop`](Self::try_pop).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut one, mut two) = (buffer.consumer()?, buffer.consumer()?);
    /// buffer.producer()?.try_push_slice(&[1, 2, 3])?;
    /// let items = one.try_peek(2)?;
    /// assert_eq!((items.len(), items.get(0)), (2, 1));
    /// assert_eq!(two.try_pop(), Ok(3));
    /// items.release(1)?; // the second one is delivered again
    /// assert_eq!(two.try_pop(), Ok(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_peek(&mut self, wanted: usize) -> Result<Peek<'_, T>, PopError> {
        assert!(wanted > 0, "a look at no items");
        if !self.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        self.seat.settle();
        let run = match self.seat.claim_here(Role::Consumer, wanted) {
            Some(run) => run,
            None => self.seat.claim(wanted).map_err(PopError::of_refusal)?,
        };
        Ok(Peek::new(self, run))
    }

    /// As [`try_peek`](Self::try_peek), which has an example, waiting for an item.
    ///
    /// # Errors
    ///
    /// Those of [`pop`](Self::pop).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    pub fn peek(&mut self, wanted: usize) -> Result<Peek<'_, T>, PopError> {
        self.peek_until(wanted, None)
    }

    /// As [`peek`](Self::peek), waiting at most this long. This is how a worker works: what is released was done.
    ///
    /// # Errors
    ///
    /// [`PopError::TimedOut`] and those of [`pop`](Self::pop).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::{BoundedBuffer, PopError}};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.push_slice(&[3, 4])?;
    /// let mut results = Vec::new();
    /// let reason = loop {
    ///     match consumer.peek_timeout(1, Duration::from_millis(1)) {
    ///         Ok(job) => {
    ///             results.push(job.get(0) * 10);
    ///             job.release(1)?;
    ///         }
    ///         Err(error) => break error,
    ///     }
    /// };
    /// assert_eq!((results, reason), (vec![30, 40], PopError::TimedOut));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn peek_timeout(
        &mut self,
        wanted: usize,
        timeout: Duration,
    ) -> Result<Peek<'_, T>, PopError> {
        self.peek_until(wanted, Some(timeout))
    }

    fn peek_until(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
    ) -> Result<Peek<'_, T>, PopError> {
        assert!(wanted > 0, "a look at no items");
        if !self.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        self.seat.settle();
        let run = match self.seat.claim_here(Role::Consumer, wanted) {
            Some(run) => run,
            None => self.wait(wanted, timeout.and_then(deadline))?,
        };
        Ok(Peek::new(self, run))
    }
}

/// Items looked at in place, made by [`Consumer::try_peek`] and [`Consumer::peek`].
///
/// Dropping it, or the process, pops nothing: the items are delivered again, to this consumer or another.
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
/// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
/// # buffer.segment().mark_for_removal()?;
/// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
/// producer.push_slice(&[10, 20, 30, 40])?;
/// let items = consumer.peek(3)?;
/// assert_eq!((items.len(), items.get(0)), (3, 10));
/// let mut copies = [0; 2];
/// items.read_into(1, &mut copies);
/// assert_eq!(copies, [20, 30]);
/// items.release(2)?; // 10 and 20 are done with
///
/// drop(consumer.peek(1)?); // pops nothing
/// assert!(consumer.try_iter().eq([30, 40]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Forgotten ([`std::mem::forget`]), it keeps its items until the handle goes: a later wait of the same handle may
/// be one for itself.
#[must_use = "dropping it pops nothing"]
pub struct Peek<'a, T> {
    consumer: &'a mut Consumer<T>,
    run: Run,
}

impl<'a, T: Pod> Peek<'a, T> {
    #[inline(always)]
    pub(super) fn new(consumer: &'a mut Consumer<T>, run: Run) -> Self {
        consumer.seat.open = Some(run);
        Self { consumer, run }
    }

    /// How many items there are: 1 or more. See [`Peek`] for an example.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.run.len as usize
    }

    /// A copy of one item. See [`Peek`] for an example.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len).
    #[must_use]
    #[inline(always)]
    pub fn get(&self, index: usize) -> T {
        let mut item = [T::zeroed()];
        self.read_into(index, &mut item);
        item[0]
    }

    /// Copies items out, from item `index` on. See [`Peek`] for an example.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    #[inline(always)]
    pub fn read_into(&self, index: usize, into: &mut [T]) {
        check(index, into.len(), self.len());
        if into.is_empty() {
            return;
        }
        let seat = &self.consumer.seat;
        // `index` is below the length of the run.
        read(seat.memory, &seat.g, self.run.slot + index as u32, into);
    }

    /// The items as a view, in the [contiguous](super::Layout::Contiguous) layout; `None` in the interleaved one,
    /// where items do not lie side by side. See [`Reservation::as_shared_slice`] for an example.
    #[must_use]
    #[inline(always)]
    pub fn as_shared_slice(&self) -> Option<SharedSlice<'_, T, ReadOnly>> {
        view(&self.consumer.seat, self.run).map(SharedSlice::read_only)
    }

    /// Pops the first `count` items, as one operation; the others are delivered again. 0 pops nothing. See [`Peek`]
    /// for an example.
    ///
    /// **C call:** none, unless a sleeping producer must be woken (`futex`).
    ///
    /// # Panics
    ///
    /// If `count` is more than [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// [`PopError::Forked`]: the peek was made before a fork, in the parent.
    #[inline(always)]
    pub fn release(self, count: usize) -> Result<(), PopError> {
        check(0, count, self.len());
        if !self.consumer.seat.fork_guard.is_current() {
            return Err(PopError::Forked);
        }
        if count > 0 {
            self.consumer.seat.open = None;
            self.consumer.release(self.run, count as u32);
        }
        // Dropped: with nothing open any more, or to give it all back.
        Ok(())
    }
}

impl<T> Drop for Peek<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let seat = &mut self.consumer.seat;
        // In a forked child it is the parent's.
        if seat.fork_guard.is_current() {
            seat.settle();
        }
    }
}

impl<T> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("mpmc::Peek")
            .field("len", &self.run.len)
            .finish_non_exhaustive()
    }
}
