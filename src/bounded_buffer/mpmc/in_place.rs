//! Items in place: [`Reservation`] and [`Peek`], and the copies of runs.

use super::layout::Geometry;
use super::protocol::Run;
use super::seat::Seat;
use super::{Consumer, PopError, Producer, PushError};
use crate::bounded_buffer::runs::{self, check};
use crate::bounded_buffer::seam::Mapped;
use crate::bytemuck::Pod;
use crate::memory::SharedSlice;
use crate::segment::ReadOnly;
use std::fmt;

/// `slot + items.len()` is at most the capacity.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
pub(super) fn write<T: Pod>(memory: Mapped, g: &Geometry, slot: u32, items: &[T]) {
    debug_assert!(slot as usize + items.len() <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { runs::write(memory, g.item_at(slot), g.item_stride, items) };
}

/// `slot + into.len()` is at most the capacity.
#[inline(always)]
#[allow(unsafe_code, reason = "addresses of slots")]
pub(super) fn read<T: Pod>(memory: Mapped, g: &Geometry, slot: u32, into: &mut [T]) {
    debug_assert!(slot as usize + into.len() <= g.capacity as usize);
    // SAFETY: slots of the geometry, which was made for items of this type.
    unsafe { runs::read(memory, g.item_at(slot), g.item_stride, into) };
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
    unsafe { runs::view(seat.memory, at, g.item_stride, len) }
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
        if !self.producer.seat.here.is_current() {
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
        if seat.here.is_current() {
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
        if !self.consumer.seat.here.is_current() {
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
        if seat.here.is_current() {
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
