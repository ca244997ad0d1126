//! Items in place: the calls that hand out a [`Reservation`] or a [`Peek`], both of these, and the copies of runs.

use super::{Consumer, PopError, Producer, PushError};
use crate::bytemuck::Pod;
use crate::memory::SharedSlice;
use crate::ring::protocol::error::TryError;
use crate::ring::protocol::spsc::layout::Geometry;
use crate::ring::shm::copy::{self, check};
use crate::ring::shm::memory::Mapped;
use crate::segment::ReadOnly;
use std::fmt;
use std::time::{Duration, Instant};

/// Copies items into consecutive slots from `slot` on, at most the capacity, going round the end.
#[inline(always)]
pub(super) fn write<T: Pod>(memory: Mapped, g: &Geometry, slot: usize, items: &[T]) {
    let (first, second) = items.split_at(items.len().min(g.capacity as usize - slot));
    write_run(memory, g, slot, first);
    write_run(memory, g, 0, second);
}

/// Copies items out of consecutive slots from `slot` on, at most the capacity, going round the end.
#[inline(always)]
pub(super) fn read<T: Pod>(memory: Mapped, g: &Geometry, slot: usize, into: &mut [T]) {
    let (first, second) = into.split_at_mut(into.len().min(g.capacity as usize - slot));
    read_run(memory, g, slot, first);
    read_run(memory, g, 0, second);
}

/// `slot + items.len()` is at most the capacity.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
fn write_run<T: Pod>(memory: Mapped, g: &Geometry, slot: usize, items: &[T]) {
    debug_assert!(slot + items.len() <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { copy::write(memory, g.item_at(slot), g.item_stride, items) };
}

/// `slot + into.len()` is at most the capacity.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
fn read_run<T: Pod>(memory: Mapped, g: &Geometry, slot: usize, into: &mut [T]) {
    debug_assert!(slot + into.len() <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { copy::read(memory, g.item_at(slot), g.item_stride, into) };
}

/// A view of `len` items side by side from `slot` on, where the layout has such a thing. As long-lived as the
/// borrow of the handle, which keeps the segment attached.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
fn view<'a, T: Pod>(
    memory: Mapped,
    g: &Geometry,
    slot: usize,
    len: usize,
) -> Option<SharedSlice<'a, T>> {
    debug_assert!(slot + len <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { copy::view(memory, g.item_at(slot), g.item_stride, len) }
}

/// Slots in place.
impl<T: Pod> Producer<T> {
    /// Reserves up to `wanted` free slots that lie side by side, to be filled in place: at least one, at most as
    /// many as there are before the end of the buffer. Nothing is pushed before [`commit`](Reservation::commit).
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
    /// # use sysvshm::{Key, bounded_buffer::spsc::{Layout, Options}};
    /// let mut options = Options::new();
    /// options.capacity(8).layout(Layout::Contiguous);
    /// let buffer = options.create_new::<u8>(Key::PRIVATE)?;
    /// buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// let mut space = producer.try_reserve(5)?;
    /// space.write_from(0, b"abc");
    /// space.commit(3)?;
    /// let items = consumer.try_peek(8)?;
    /// assert_eq!((items.len(), items.get(2)), (3, b'c'));
    /// items.release(1)?;
    /// assert_eq!(consumer.pop()?, b'b');
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_reserve(&mut self, wanted: usize) -> Result<Reservation<'_, T>, PushError<()>> {
        assert!(wanted > 0, "a reservation of no slots");
        if !self.is_current() {
            return Err(PushError::Forked(()));
        }
        let room = self
            .side()
            .find_room(wanted)
            .map_err(|refusal| PushError::of_refusal(refusal, ()))?;
        Ok(Reservation::new(self, room.min(wanted)))
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
    #[inline(always)]
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
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PushError}};
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
        self.reserve_until(wanted, Instant::now().checked_add(timeout))
    }

    #[inline(always)]
    fn reserve_until(
        &mut self,
        wanted: usize,
        deadline: Option<Instant>,
    ) -> Result<Reservation<'_, T>, PushError<()>> {
        assert!(wanted > 0, "a reservation of no slots");
        if !self.is_current() {
            return Err(PushError::Forked(()));
        }
        if self.side().find_room(wanted).is_err() {
            self.wait_for_room(deadline)
                .map_err(|stop| PushError::of_wait(stop, ()))?;
        }
        let count = self.side().known_room().min(wanted);
        Ok(Reservation::new(self, count))
    }
}

/// Free slots to fill in place, made by [`Producer::try_reserve`] and [`Producer::reserve`].
///
/// The slots hold what was there before. Dropping it, or the process, pushes nothing.
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
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
#[must_use = "dropping it pushes nothing"]
pub struct Reservation<'a, T> {
    producer: &'a mut Producer<T>,
    len: usize,
}

impl<'a, T: Pod> Reservation<'a, T> {
    #[inline(always)]
    pub(super) fn new(producer: &'a mut Producer<T>, room: usize) -> Self {
        let before_the_end =
            producer.side_ref().geometry().capacity as usize - producer.side_ref().slot();
        let len = room.min(before_the_end);
        Self { producer, len }
    }

    /// How many slots there are: 1 or more. See [`Reservation`] for an example.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.len
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
        check(index, items.len(), self.len);
        let side = self.producer.side_ref();
        write_run(side.memory(), side.geometry(), side.slot() + index, items);
    }

    /// The slots as a view, in the [contiguous](super::Layout::Contiguous) layout; `None` in the interleaved one,
    /// where items do not lie side by side.
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{Layout, Options}};
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
        let side = self.producer.side_ref();
        view(side.memory(), side.geometry(), side.slot(), self.len)
    }

    /// Pushes the first `count` items, as one operation. 0 pushes nothing. See [`Reservation`] for an example.
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
        check(0, count, self.len);
        if !self.producer.is_current() {
            return Err(PushError::Forked(()));
        }
        if count > 0 {
            self.producer.side().publish(count);
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Reservation<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// Items in place.
impl<T: Pod> Consumer<T> {
    /// Looks at up to `wanted` of the oldest items that lie side by side, in place: at least one, at most as many
    /// as there are before the end of the buffer. They stay in the buffer until they are [released](Peek::release).
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
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// producer.push_slice(&[10, 20, 30])?;
    /// let items = consumer.try_peek(2)?;
    /// assert_eq!((items.get(0), items.get(1)), (10, 20));
    /// drop(items); // nothing was popped
    /// consumer.try_peek(1)?.release(1)?;
    /// assert_eq!(consumer.pop()?, 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn try_peek(&mut self, wanted: usize) -> Result<Peek<'_, T>, PopError> {
        assert!(wanted > 0, "a peek at no items");
        if !self.is_current() {
            return Err(PopError::Forked);
        }
        match self.side().find_items(wanted) {
            Ok(items) => Ok(Peek::new(self, items.min(wanted))),
            Err(refusal) => Err(self.nothing(refusal)),
        }
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
    #[inline(always)]
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
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError}};
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
        self.peek_until(wanted, Instant::now().checked_add(timeout))
    }

    #[inline(always)]
    fn peek_until(
        &mut self,
        wanted: usize,
        deadline: Option<Instant>,
    ) -> Result<Peek<'_, T>, PopError> {
        assert!(wanted > 0, "a peek at no items");
        if !self.is_current() {
            return Err(PopError::Forked);
        }
        match self.side().find_items(wanted) {
            Ok(_) => {}
            Err(TryError::WouldBlock) => self.wait_for_items(deadline)?,
            Err(TryError::Corrupted) => return Err(PopError::Corrupted),
        }
        let count = self.side().known_items().min(wanted);
        Ok(Peek::new(self, count))
    }
}

/// The oldest items, looked at in place, made by [`Consumer::try_peek`] and [`Consumer::peek`].
///
/// Dropping it, or the process, pops nothing: a successor finds the same items again.
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
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
#[must_use = "dropping it pops nothing"]
pub struct Peek<'a, T> {
    consumer: &'a mut Consumer<T>,
    len: usize,
}

impl<'a, T: Pod> Peek<'a, T> {
    #[inline(always)]
    pub(super) fn new(consumer: &'a mut Consumer<T>, items: usize) -> Self {
        let before_the_end =
            consumer.side_ref().geometry().capacity as usize - consumer.side_ref().slot();
        let len = items.min(before_the_end);
        Self { consumer, len }
    }

    /// How many items there are: 1 or more. See [`Peek`] for an example.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.len
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
        check(index, into.len(), self.len);
        let side = self.consumer.side_ref();
        read_run(side.memory(), side.geometry(), side.slot() + index, into);
    }

    /// The items as a view, in the [contiguous](super::Layout::Contiguous) layout; `None` in the interleaved one,
    /// where items do not lie side by side. See [`Reservation::as_shared_slice`] for an example.
    #[must_use]
    #[inline(always)]
    pub fn as_shared_slice(&self) -> Option<SharedSlice<'_, T, ReadOnly>> {
        let side = self.consumer.side_ref();
        view(side.memory(), side.geometry(), side.slot(), self.len).map(SharedSlice::read_only)
    }

    /// Pops the first `count` items, as one operation. 0 pops nothing. See [`Peek`] for an example.
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
        check(0, count, self.len);
        if !self.consumer.is_current() {
            return Err(PopError::Forked);
        }
        if count > 0 {
            self.consumer.side().release(count);
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Peek<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
