//! Chunks in place: the calls that hand out a [`Reservation`] or a [`Peek`], and both of these.

use super::consumer::Consumer;
use super::producer::Producer;
use super::refusal::{PopError, PushError};
use crate::memory::SharedSlice;
use crate::ring::protocol::{Endpoint, Place, Protocol};
use crate::ring::shm::copy::{self, check};
use crate::ring::wait::deadline;
use crate::segment::ReadOnly;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

type Run<E> = <E as Endpoint>::Run;

/// A run that was handed out, of slots side by side. Dropped, its claim is cancelled.
struct Chunk<'a, T, E: Endpoint> {
    end: &'a mut E,
    run: Run<E>,
    items: PhantomData<T>,
}

#[allow(unsafe_code, reason = "addresses of slots")]
impl<'a, T: Pod, E: Endpoint> Chunk<'a, T, E> {
    #[inline(always)]
    fn new(end: &'a mut E, run: Run<E>) -> Self {
        let run = end.side_by_side(run);
        end.set_pending(run);
        Self {
            end,
            run,
            items: PhantomData,
        }
    }

    #[inline(always)]
    fn write(&self, index: usize, items: &[T]) {
        self.check_process();
        check(index, items.len(), self.len());
        let Place { memory, at, stride } = self.end.place(self.run, index);
        // SAFETY: slots of a geometry that was made for items of this type, claimed, and as many as was checked.
        unsafe { copy::write(memory, at, stride, items) };
    }

    #[inline(always)]
    fn read(&self, index: usize, into: &mut [T]) {
        self.check_process();
        check(index, into.len(), self.len());
        let Place { memory, at, stride } = self.end.place(self.run, index);
        // SAFETY: as in `write`.
        unsafe { copy::read(memory, at, stride, into) };
    }

    /// As long-lived as the borrow of the handle, which keeps the segment attached.
    #[inline(always)]
    fn view(&self) -> Option<SharedSlice<'_, T>> {
        self.check_process();
        let Place { memory, at, stride } = self.end.place(self.run, 0);
        // SAFETY: as in `write`; all of the run.
        unsafe { copy::view(memory, at, stride, self.len()) }
    }

    /// Panics in a forked child, where the slots are the parent's. One load.
    #[inline(always)]
    fn check_process(&self) {
        if !self.end.is_current() {
            belongs_to_the_parent();
        }
    }

    /// Says whether it was this process's to complete.
    #[inline(always)]
    fn complete(self, count: usize) -> bool {
        check(0, count, self.len());
        if !self.end.is_current() {
            return false;
        }
        if count > 0 {
            self.end.clear_pending();
            self.end.complete(self.run, count);
        }
        // Dropped: with nothing pending any more, or to cancel it all.
        true
    }
}

impl<T, E: Endpoint> Chunk<'_, T, E> {
    #[inline(always)]
    fn len(&self) -> usize {
        E::run_len(self.run)
    }
}

impl<T, E: Endpoint> Drop for Chunk<'_, T, E> {
    #[inline(always)]
    fn drop(&mut self) {
        // In a forked child the claim is the parent's.
        if E::HOLDS_SLOTS && self.end.is_current() {
            self.end.cancel_pending();
        }
    }
}

#[cold]
#[inline(never)]
fn belongs_to_the_parent() -> ! {
    panic!("the chunk was made before a fork, and its slots belong to the parent process")
}

/// Slots in place.
impl<T: Pod, P: Protocol> Producer<T, P> {
    /// Reserves up to `wanted` free slots that lie side by side, to be filled in place: at least one, at most as
    /// many as there are before the end of the buffer, and in `mpmc` at most 524,287. Nothing is pushed before
    /// [`commit`](Reservation::commit).
    ///
    /// `mpmc`: consumers find nothing behind a reservation before it is committed or dropped, or its process dies.
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
    pub fn try_reserve(&mut self, wanted: usize) -> Result<Reservation<'_, T, P>, PushError<()>> {
        assert!(wanted > 0, "a reservation of no slots");
        if !self.end.is_ready() {
            return Err(PushError::Forked(()));
        }
        match self.end.try_claim(wanted) {
            Ok(run) => Ok(Reservation(Chunk::new(&mut self.end, run))),
            Err(error) => Err(PushError::of_try(error, ())),
        }
    }

    /// As [`try_reserve`](Self::try_reserve), waiting for room for one item at least.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    #[inline(always)]
    pub fn reserve(&mut self, wanted: usize) -> Result<Reservation<'_, T, P>, PushError<()>> {
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
    pub fn reserve_timeout(
        &mut self,
        wanted: usize,
        timeout: Duration,
    ) -> Result<Reservation<'_, T, P>, PushError<()>> {
        self.reserve_until(wanted, Some(timeout))
    }

    #[inline(always)]
    fn reserve_until(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
    ) -> Result<Reservation<'_, T, P>, PushError<()>> {
        assert!(wanted > 0, "a reservation of no slots");
        if !self.end.is_ready() {
            return Err(PushError::Forked(()));
        }
        let until = || timeout.and_then(deadline);
        match self.end.claim(wanted, until, self.how) {
            Ok(run) => Ok(Reservation(Chunk::new(&mut self.end, run))),
            Err(error) => Err(PushError::of_wait(error, ())),
        }
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
///
/// `mpmc`: other handles wait for its slots, which are skipped if it is dropped, and free again in the next lap.
/// Forgotten ([`std::mem::forget`]), it keeps them until the next call of the same handle, or until the handle goes.
#[must_use = "dropping it pushes nothing"]
pub struct Reservation<'a, T, P: Protocol>(Chunk<'a, T, P::Push>);

impl<T: Pod, P: Protocol> Reservation<'_, T, P> {
    /// How many slots there are: 1 or more.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes one item.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len), or in a forked child: the slots are the parent's.
    #[inline(always)]
    pub fn set(&mut self, index: usize, item: T) {
        self.write_from(index, &[item]);
    }

    /// Copies items in, from slot `index` of the reservation on.
    ///
    /// # Panics
    ///
    /// If they do not fit, or in a forked child: the slots are the parent's.
    #[inline(always)]
    pub fn write_from(&mut self, index: usize, items: &[T]) {
        self.0.write(index, items);
    }

    /// The slots as a view, in the [contiguous](crate::bounded_buffer::Layout::Contiguous) layout; `None` in the interleaved one,
    /// where items do not lie side by side.
    ///
    /// # Panics
    ///
    /// In a forked child: the slots are the parent's. A view that was taken *before* the fork is not covered. The child's
    /// copy of it reaches the parent's slots, and what it stores there the parent pushes.
    ///
    /// # Examples
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
        self.0.view()
    }

    /// Pushes the first `count` items, as one operation; in `mpmc` the other slots are skipped until the next lap. 0
    /// pushes nothing.
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
        if self.0.complete(count) {
            Ok(())
        } else {
            Err(PushError::Forked(()))
        }
    }
}

impl<T, P: Protocol> fmt::Debug for Reservation<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("len", &self.0.len())
            .finish_non_exhaustive()
    }
}

/// Items in place.
impl<T: Pod, P: Protocol> Consumer<T, P> {
    /// Hands out up to `wanted` of the oldest items that lie side by side, in place: at least one, at most as many as
    /// there are before the end of the buffer, and in `mpmc` at most 524,287. They stay in the buffer until they are
    /// [released](Peek::release), and no other handle gets them meanwhile.
    ///
    /// This is how no item gets lost with the process that works on it: an item that is not released when its process
    /// dies is delivered again. In `spsc` the next consumer finds it first; in `mpmc` another consumer gets it, behind
    /// items that came later. So it may be dealt with twice, by one that died after the work and before the release.
    /// `mpmc`: producers that come round to the slot wait for the release.
    ///
    /// # Errors
    ///
    /// As [`try_pop`](Self::try_pop).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    #[inline(always)]
    pub fn try_peek(&mut self, wanted: usize) -> Result<Peek<'_, T, P>, PopError> {
        assert!(wanted > 0, "a peek at no items");
        if !self.end.is_ready() {
            return Err(PopError::Forked);
        }
        let run = self.end.try_claim(wanted)?;
        Ok(Peek(Chunk::new(&mut self.end, run)))
    }

    /// As [`try_peek`](Self::try_peek), waiting for an item.
    ///
    /// # Errors
    ///
    /// Those of [`pop`](Self::pop).
    ///
    /// # Panics
    ///
    /// If `wanted` is 0.
    #[inline(always)]
    pub fn peek(&mut self, wanted: usize) -> Result<Peek<'_, T, P>, PopError> {
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
    pub fn peek_timeout(
        &mut self,
        wanted: usize,
        timeout: Duration,
    ) -> Result<Peek<'_, T, P>, PopError> {
        self.peek_until(wanted, Some(timeout))
    }

    #[inline(always)]
    fn peek_until(
        &mut self,
        wanted: usize,
        timeout: Option<Duration>,
    ) -> Result<Peek<'_, T, P>, PopError> {
        assert!(wanted > 0, "a peek at no items");
        if !self.end.is_ready() {
            return Err(PopError::Forked);
        }
        let until = || timeout.and_then(deadline);
        let run = self.end.claim(wanted, until, self.how)?;
        Ok(Peek(Chunk::new(&mut self.end, run)))
    }
}

/// The oldest items, in place, made by [`Consumer::try_peek`] and [`Consumer::peek`].
///
/// Dropping it, or the process, pops nothing: the items are delivered again.
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
///
/// `mpmc`: forgotten ([`std::mem::forget`]), it keeps its items until the next call of the same handle, or until the
/// handle goes.
#[must_use = "dropping it pops nothing"]
pub struct Peek<'a, T, P: Protocol>(Chunk<'a, T, P::Pop>);

impl<T: Pod, P: Protocol> Peek<'_, T, P> {
    /// How many items there are: 1 or more.
    #[must_use]
    #[inline(always)]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A copy of one item.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](Self::len), or in a forked child: the slots are the parent's.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, index: usize) -> T {
        let mut item = [T::zeroed()];
        self.read_into(index, &mut item);
        item[0]
    }

    /// Copies items out, from item `index` on.
    ///
    /// # Panics
    ///
    /// If there are not so many, or in a forked child: the slots are the parent's.
    #[inline(always)]
    pub fn read_into(&self, index: usize, into: &mut [T]) {
        self.0.read(index, into);
    }

    /// The items as a view, in the [contiguous](crate::bounded_buffer::Layout::Contiguous) layout; `None` in the interleaved one,
    /// where items do not lie side by side.
    ///
    /// # Panics
    ///
    /// In a forked child: the slots are the parent's. A view that was taken *before* the fork is not covered. The child's
    /// copy of it goes on reading the parent's slots, also after they were released and filled anew.
    #[must_use]
    #[inline(always)]
    pub fn as_shared_slice(&self) -> Option<SharedSlice<'_, T, ReadOnly>> {
        self.0.view().map(SharedSlice::read_only)
    }

    /// Pops the first `count` items, as one operation; the others are delivered again. 0 pops nothing.
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
        if self.0.complete(count) {
            Ok(())
        } else {
            Err(PopError::Forked)
        }
    }
}

impl<T, P: Protocol> fmt::Debug for Peek<'_, T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek")
            .field("len", &self.0.len())
            .finish_non_exhaustive()
    }
}
