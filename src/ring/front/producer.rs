//! [`Producer`]: a handle that pushes.

use super::canceller::Canceller;
use super::refusal::PushError;
use super::ring::BoundedBuffer;
use crate::ring::protocol::error::ClaimError;
use crate::ring::protocol::{AtOnce, Endpoint, Protocol, PushEnd};
use crate::ring::wait::{Deadline, Patience, WaitError, WaitOptions, Waiting, deadline, is_over};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A handle that pushes into a [`BoundedBuffer`]. Dropping it gives its place back.
///
/// All calls take `&mut self`: each thread that pushes has a handle of its own, and in `spsc` there is one. It may
/// move to another thread.
///
/// Pushing is one operation that takes effect at one instruction. A process that is killed has pushed all of a
/// batch or none of it. What it had claimed in an `mpmc` ring is skipped, by whoever comes across it.
///
/// # Examples
///
/// ```
/// use std::{thread, time::Duration};
/// use sysvshm::Key;
/// use sysvshm::bounded_buffer::{PeerState, PushError, Waiting, spsc::BoundedBuffer};
///
/// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
/// buffer.segment().mark_for_removal()?;
/// let mut producer = buffer.producer()?;
/// producer.waiting(Waiting::Sleep).notice_departure(true);                // settings can be chained
/// producer.push(1)?;                                                      // waits while there is no room
/// assert_eq!(producer.try_push_slice(&[2, 3, 4]), Ok(2));                 // what fits, as one operation
/// assert!(producer.is_full() && producer.len() == 3 && producer.position() == 3);
/// assert_eq!(producer.try_push(4), Err(PushError::Full(4)));              // the item comes back
/// assert_eq!(producer.push_timeout(4, Duration::from_millis(1)), Err(PushError::TimedOut(4)));
/// assert_eq!(producer.push_slice_timeout(&[4, 5], Duration::ZERO), Err(PushError::TimedOut(0))); // none was pushed
/// assert_eq!(producer.buffer().consumer_state(), PeerState::Never);
///
/// let mut consumer = buffer.consumer()?;
/// let adding = thread::spawn(move || consumer.iter().take(1003).sum::<u64>());
/// producer.push_slice(&[1; 1000])?;                                       // all, as room comes
/// assert_eq!(adding.join().unwrap(), 1006);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer<T, P: Protocol> {
    pub(crate) end: P::Push,
    pub(super) how: WaitOptions,
    items: PhantomData<fn(T)>,
}

impl<T: Pod, P: Protocol> Producer<T, P> {
    pub(super) fn new(end: P::Push) -> Self {
        Self {
            end,
            how: WaitOptions::default(),
            items: PhantomData,
        }
    }

    /// Pushes an item if there is room.
    ///
    /// "Full" means that the slot whose turn it is still holds its item of the lap before, or that its reader has not
    /// finished. `spsc`: does not ask whether the consumer lives; a loop of these checks
    /// [`consumer_state`](BoundedBuffer::consumer_state) now and then. `mpmc`: finds the dead by itself.
    ///
    /// **C call:** none, unless a sleeping consumer must be woken (`futex`). When an `mpmc` ring is full, at most every
    /// 10 ms `shmctl(SHM_STAT_ANY)` for each participant.
    ///
    /// # Errors
    ///
    /// [`PushError::Full`], [`PushError::Corrupted`], [`PushError::Forked`]; each gives the item back.
    #[inline(always)]
    pub fn try_push(&mut self, item: T) -> Result<(), PushError<T>> {
        self.push_until(item, Patience::None)
    }

    /// Pushes an item, waiting for room.
    ///
    /// A producer that sleeps is woken when a quarter of the buffer is free or a consumer has nothing to do, and checks
    /// by itself every 80 ms; in `mpmc` it then also recovers what the dead left.
    ///
    /// **C call:** none, unless it has to sleep (`membarrier`, `futex`, `shmctl(SHM_STAT_ANY)`) or to wake a consumer
    /// (`futex`).
    ///
    /// # Errors
    ///
    /// [`PushError::PeerDead`] (`spsc`): the buffer is full and the consumer is dead; noticed within 100 ms after the
    /// kernel has released its memory. [`PushError::PeerLeft`], [`PushError::Corrupted`], [`PushError::Forked`]. Signals
    /// do not end the wait.
    #[inline(always)]
    pub fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        self.push_until(item, Patience::Forever)
    }

    /// Pushes an item, waiting for room at most this long.
    ///
    /// # Errors
    ///
    /// [`PushError::TimedOut`] and those of [`push`](Self::push).
    #[inline(always)]
    pub fn push_timeout(&mut self, item: T, timeout: Duration) -> Result<(), PushError<T>> {
        self.push_until(item, Patience::AtMost(timeout))
    }

    /// What takes longer is called last and is not inlined, so that nothing of this call has to outlive it: no frame,
    /// no saved registers.
    #[inline(always)]
    fn push_until(&mut self, item: T, patience: Patience) -> Result<(), PushError<T>> {
        if !P::Push::HAS_SHORT_WAY {
            return self.push_checked(item, patience);
        }
        match self.end.push_at_once(&item) {
            AtOnce::Yes => Ok(()),
            AtOnce::ToSleeper => self.wake(),
            AtOnce::No => self.push_slowly(item, patience),
        }
    }

    #[cold]
    #[inline(never)]
    fn wake(&mut self) -> Result<(), PushError<T>> {
        self.end.wake();
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn push_slowly(&mut self, item: T, patience: Patience) -> Result<(), PushError<T>> {
        self.push_checked(item, patience)
    }

    #[inline(always)]
    fn push_checked(&mut self, item: T, patience: Patience) -> Result<(), PushError<T>> {
        if !self.end.is_ready() {
            return Err(PushError::forked(item));
        }
        if patience == Patience::None {
            return match self.end.try_push(&item) {
                Ok(()) => Ok(()),
                Err(error) => Err(PushError::of_try(error, item)),
            };
        }
        match self.end.push(&item, || patience.deadline(), self.how) {
            Ok(()) => Ok(()),
            Err(error) => Err(PushError::of_wait(error, item)),
        }
    }

    /// Pushes as many of the items as there is room for, in order, as one operation, and says how many: at least
    /// one, unless there are none. In `mpmc` at most 524,287, and never round the end of the buffer.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    #[inline(always)]
    pub fn try_push_slice(&mut self, items: &[T]) -> Result<usize, PushError<()>> {
        if !self.end.is_ready() {
            return Err(PushError::Forked(()));
        }
        if items.is_empty() {
            return Ok(0);
        }
        match self.end.try_claim(items.len()) {
            Ok(run) => Ok(self.write_and_complete(run, items)),
            Err(error) => Err(PushError::of_try(error, ())),
        }
    }

    /// Pushes all of the items in order, waiting for room as often as need be.
    ///
    /// Each time there is room, one operation pushes as many as [fit](Self::try_push_slice): a process killed meanwhile
    /// has pushed the first few batches, and in `mpmc` items of other producers may come between two batches.
    ///
    /// # Errors
    ///
    /// Those of [`push`](Self::push); what they give back is how many items were pushed before.
    pub fn push_slice(&mut self, items: &[T]) -> Result<(), PushError<usize>> {
        self.push_slice_until(items, None)
    }

    /// As [`push_slice`](Self::push_slice), waiting at most this long in all.
    ///
    /// # Errors
    ///
    /// [`PushError::TimedOut`] and those of [`push_slice`](Self::push_slice); what they give back is how many items
    /// were pushed before.
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
        if !self.end.is_ready() {
            return Err(PushError::Forked(0));
        }
        let mut done = 0;
        // One deadline for all waits, which begins with the first.
        let mut end = None;
        while done < items.len() {
            let rest = &items[done..];
            let until = || *end.get_or_insert_with(|| timeout.and_then(deadline));
            match self.push_some(rest, until) {
                // A claim is never of no slots; if one were, this would go round for ever.
                Ok(0) => return Err(PushError::Corrupted(done)),
                Ok(count) => done += count,
                Err(error) => return Err(PushError::of_wait(error, done)),
            }
            // Waits are not all that takes time: another process may go on making room in small amounts.
            if done < items.len() {
                if self.end.cancel().is_pulled() {
                    return Err(PushError::Cancelled(done));
                }
                let until = *end.get_or_insert_with(|| timeout.and_then(deadline));
                if is_over(until) {
                    return Err(PushError::TimedOut(done));
                }
            }
        }
        Ok(())
    }

    /// Pushes as many as there is room for, waiting for room for one. There is one at least.
    pub(super) fn push_some(
        &mut self,
        items: &[T],
        until: impl FnOnce() -> Deadline,
    ) -> Result<usize, WaitError> {
        let run = self.end.claim(items.len(), until, self.how)?;
        Ok(self.write_and_complete(run, items))
    }

    #[inline(always)]
    fn write_and_complete(&mut self, run: <P::Push as Endpoint>::Run, items: &[T]) -> usize {
        // A run is never longer than what was wanted.
        let count = P::Push::run_len(run).min(items.len());
        self.end.write(run, &items[..count]);
        self.end.complete(run, count);
        count
    }

    /// How calls wait; [`Waiting::Sleep`] unless set. Of this handle alone, and for all calls from now on.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.how.strategy = waiting;
        self
    }

    /// Whether a wait ends with [`PushError::PeerLeft`] when there have been consumers and none is left. Otherwise, and
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
        self.how.ends_on_disconnect = notice;
        self
    }

    /// Whether a wait ends with [`PushError::Removed`] when the ring's segment is removed, although the consumer is there.
    /// Otherwise, and unless set, it does so when no consumer lives: then none can come any more, because none finds the
    /// ring by its key.
    ///
    /// Removed means marked for removal, by `ipcrm` or [`mark_for_removal`](crate::Segment::mark_for_removal), after this
    /// process opened the ring. A ring with [`Key::PRIVATE`](crate::Key::PRIVATE), or one that was marked before, is not
    /// found by a key anyway and never counts as removed. Noticed within 100 ms. **C call:** `shmctl(IPC_STAT)` every 80
    /// ms of a wait; [`liveness_interval`](Self::liveness_interval) changes both.
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::{BoundedBuffer, PopError, PushError}};
    /// let buffer = BoundedBuffer::<u64>::create_new(Key::random()?, 1)?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// buffer.segment().mark_for_removal()?; // or `ipcrm`, by another
    /// producer.push(1)?;
    /// assert_eq!(producer.notice_removal(true).push(2), Err(PushError::Removed(2)));
    /// assert_eq!(consumer.pop(), Ok(1));
    /// assert_eq!(consumer.notice_removal(true).pop(), Err(PopError::Removed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notice_removal(&mut self, notice: bool) -> &mut Self {
        self.how.ends_on_removal = notice;
        self
    }

    /// Whether a wait ends with [`PushError::Interrupted`] when the thread handles a signal while it sleeps. Otherwise, and
    /// unless set, the wait goes on.
    ///
    /// A signal that is handled just before the wait begins, or while it still looks for room without sleeping, is
    /// lost: nothing is interrupted by it. [`Waiting::Spin`] and [`Waiting::Yield`] never sleep. So a program that is to
    /// end by a signal takes a [`canceller`](Self::canceller), which misses none. Whether the handler was installed with
    /// `SA_RESTART` makes no difference: a sleep has a time limit, and the kernel does not restart those.
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut handle = buffer.producer()?;
    /// handle.interruptible(true);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "EINTR")]
    pub fn interruptible(&mut self, interruptible: bool) -> &mut Self {
        self.how.ends_on_signal = interruptible;
        self
    }

    /// How soon a wait notices what wakes nobody; 100 ms unless set. A wait that sleeps checks every four fifths of this
    /// time, 80 ms unless set, and that is all the processor time that an idle handle uses: with 1 second, a tenth.
    ///
    /// Longer or shorter by it become
    ///
    /// * in `spsc`, how late a wait finds that its peer is dead; in `mpmc`, how late a sleeping handle recovers what the
    ///   dead left, unless another recovers it first: the [promise](crate::bounded_buffer#the-promise) of 100 ms becomes
    ///   one of this interval;
    /// * how late it finds that the ring is removed;
    /// * how long a wake-up is late that was lost because the process that owed it was killed before waking;
    /// * how long a producer sleeps while there is room, but less than a quarter of the buffer, and the consumer neither
    ///   takes more nor finds the buffer empty.
    ///
    /// Items, a quarter of room, and a peer that leaves wake sleepers at once as always, and timeouts end in time. The
    /// least is about a millisecond; `mpmc` looks for the dead every 10 ms at most. A handle with a
    /// [`canceller`](Self::canceller) sleeps for 80 ms at most all the same. [`Waiting::Spin`] and [`Waiting::Yield`] ask
    /// about the peer four times as often. Of this handle alone, and for all calls from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # use std::time::Duration;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 1)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
    /// consumer.liveness_interval(Duration::from_secs(1)); // one of hundreds that are mostly idle
    /// producer.push(1)?;
    /// assert_eq!(consumer.pop()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn liveness_interval(&mut self, interval: Duration) -> &mut Self {
        self.how.notice_within(interval);
        self
    }

    /// Makes a canceller, by which another thread or a signal handler ends this handle's waits.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller::of(&self.end)
    }

    /// Counts the items. In `spsc` the consumer may have taken some meanwhile, but no other handle can have added any;
    /// it is one load. In `mpmc` that is as [`BoundedBuffer::len`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Whether there is no item. In `spsc`, if so, that stays until this producer pushes one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// Whether there is no room. A consumer may have made some meanwhile.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.buffer().capacity()
    }

    /// The ring: for its capacity, layout and segment, and for what is known of the consumers.
    #[must_use]
    pub fn buffer(&self) -> &BoundedBuffer<T, P> {
        BoundedBuffer::of_ref(self.end.ring())
    }
}

/// Making a producer.
impl<T: Pod, P: Protocol> BoundedBuffer<T, P> {
    /// Makes a handle that pushes. Dropping it gives its place back.
    ///
    /// `spsc`: there is one producer. Taken over from a process that died with the role, the role goes on at the
    /// exact position; finding it loads the word of every slot once. `mpmc`: there are as many handles as the
    /// participant table has entries; each thread that pushes has its own.
    ///
    /// **C calls:** `shmctl(SHM_STAT_ANY)` a few times, and for each entry of a participant table that is full; those of
    /// a [token](crate::bounded_buffer#liveness) if the process has none yet; `membarrier` to register for it.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`] (`spsc`): another handle has the role, here or in a process that lives.
    /// [`ClaimError::TableFull`] (`mpmc`): every entry of the table belongs to a handle that lives.
    /// [`ClaimError::Forked`]: this buffer was opened in the parent. [`ClaimError::ElsewhereInNamespace`]: the calling
    /// thread has gone to another IPC namespace. [`ClaimError::System`]: the token could not be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::{ClaimError, mpmc, spsc};
    ///
    /// let buffer = spsc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// buffer.segment().mark_for_removal()?;
    /// let producer = buffer.producer()?;
    /// assert!(matches!(buffer.producer(), Err(ClaimError::Taken { .. })));
    /// drop(producer);
    /// assert!(buffer.producer().is_ok());
    ///
    /// let buffer = mpmc::Options::new().capacity(4).participants(2).create_new::<u64>(Key::PRIVATE)?;
    /// buffer.segment().mark_for_removal()?;
    /// let (one, two) = (buffer.producer()?, buffer.producer()?);
    /// assert!(matches!(buffer.producer(), Err(ClaimError::TableFull { participants: 2 })));
    /// drop(one);
    /// assert!(buffer.producer().is_ok());
    /// # drop(two);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T, P>, ClaimError> {
        Ok(Producer::new(P::push_end(&self.ring)?))
    }
}

impl<T: Pod, P: Protocol> fmt::Debug for Producer<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("buffer", BoundedBuffer::<T, P>::of_ref(self.end.ring()))
            .finish_non_exhaustive()
    }
}
