//! [`Consumer`]: a handle that pops.

use super::canceller::Canceller;
use super::refusal::PopError;
use super::ring::BoundedBuffer;
use crate::ring::protocol::error::ClaimError;
use crate::ring::protocol::{Endpoint, PopEnd, Protocol, is_large};
use crate::ring::wait::{Patience, WaitOptions, Waiting, deadline};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// A handle that pops from a [`BoundedBuffer`]. Dropping it gives its place back.
///
/// All calls take `&mut self`: each thread that pops has a handle of its own, and in `spsc` there is one. It may
/// move to another thread.
///
/// Popping is one operation that takes effect at one instruction. A process that is killed has popped all of a batch
/// or none of it. What it did with the item after that died with it: to have each item handled at least once, work on
/// it [in place](Self::peek), and release it afterwards.
///
/// # Examples
///
/// ```
/// use std::{thread, time::Duration};
/// use sysvshm::Key;
/// use sysvshm::bounded_buffer::{PeerState, PopError, spsc::BoundedBuffer};
///
/// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
/// buffer.segment().mark_for_removal()?;
/// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
/// assert_eq!(consumer.try_pop(), Err(PopError::Empty));
/// assert_eq!(consumer.pop_timeout(Duration::from_millis(1)), Err(PopError::TimedOut));
/// producer.push_slice(&[1, 2, 3])?;
/// assert_eq!(consumer.pop(), Ok(1));                                      // waits while there is no item
/// let mut items = [0; 8];
/// assert_eq!(consumer.try_pop_slice(&mut items), Ok(2));                  // what there is, as one operation
/// assert_eq!(items[..2], [2, 3]);
/// assert_eq!(consumer.pop_slice_timeout(&mut items, Duration::ZERO), Err(PopError::TimedOut));
/// assert!(consumer.is_empty() && consumer.position() == 3);
/// assert_eq!(consumer.buffer().producer_state(), PeerState::Alive);
///
/// let popping = thread::spawn(move || consumer.pop_slice(&mut items));    // one at least
/// producer.push(4)?;
/// assert_eq!(popping.join().unwrap(), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Consumer<T, P: Protocol> {
    pub(crate) end: P::Pop,
    pub(super) how: WaitOptions,
    items: PhantomData<fn() -> T>,
}

impl<T: Pod, P: Protocol> Consumer<T, P> {
    pub(super) fn new(end: P::Pop) -> Self {
        Self {
            end,
            how: WaitOptions::default(),
            items: PhantomData,
        }
    }

    /// Pops the oldest item if there is one.
    ///
    /// `spsc`: does not ask whether the producer lives; a loop of these checks
    /// [`producer_state`](BoundedBuffer::producer_state) now and then. `mpmc`: finds the dead by itself; "empty" may also
    /// mean that the push whose turn it is has not finished, although one behind it has, because items come in the order
    /// in which the pushes began.
    ///
    /// **C call:** none, unless a sleeping producer must be woken (`futex`). When an `mpmc` ring is empty, at most every
    /// 10 ms `shmctl(SHM_STAT_ANY)` for each participant.
    ///
    /// # Errors
    ///
    /// [`PopError::Empty`], [`PopError::Corrupted`], [`PopError::Forked`].
    #[inline(always)]
    pub fn try_pop(&mut self) -> Result<T, PopError> {
        self.pop_until(Patience::None)
    }

    /// Pops the oldest item, waiting for one.
    ///
    /// A consumer that sleeps is woken by the next item, and checks by itself every 80 ms; in `mpmc` it then also
    /// recovers what the dead left.
    ///
    /// **C call:** none, unless it has to sleep (`membarrier`, `futex`, `shmctl(SHM_STAT_ANY)`) or to wake a producer
    /// (`futex`).
    ///
    /// # Errors
    ///
    /// [`PopError::PeerDead`] (`spsc`): the buffer is drained and the producer is dead; noticed within 100 ms after the
    /// kernel has released its memory. [`PopError::PeerLeft`], [`PopError::Corrupted`], [`PopError::Forked`].
    /// Signals do not end the wait.
    #[inline(always)]
    pub fn pop(&mut self) -> Result<T, PopError> {
        self.pop_until(Patience::Forever)
    }

    /// Pops the oldest item, waiting for one at most this long.
    ///
    /// # Errors
    ///
    /// [`PopError::TimedOut`] and those of [`pop`](Self::pop).
    #[inline(always)]
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, PopError> {
        self.pop_until(Patience::AtMost(timeout))
    }

    /// What takes longer is called last and is not inlined, so that nothing of this call has to outlive it: no frame,
    /// no saved registers. Of large items, the copy takes longer than that.
    #[inline(always)]
    fn pop_until(&mut self, patience: Patience) -> Result<T, PopError> {
        if !P::Pop::HAS_SHORT_WAY || is_large::<T>() {
            return self.pop_checked(patience);
        }
        match self.end.pop_at_once() {
            Some(item) => Ok(item),
            None => self.pop_slowly(patience),
        }
    }

    #[cold]
    #[inline(never)]
    fn pop_slowly(&mut self, patience: Patience) -> Result<T, PopError> {
        self.pop_checked(patience)
    }

    #[inline(always)]
    fn pop_checked(&mut self, patience: Patience) -> Result<T, PopError> {
        if !self.end.is_ready() {
            return Err(PopError::Forked);
        }
        if patience == Patience::None {
            return self.end.try_pop();
        }
        self.end.pop(|| patience.deadline(), self.how)
    }

    /// Pops as many items as there are and the slice holds, in order, as one operation, and says how many: at least
    /// one, unless the slice is empty. In `mpmc` at most 524,287, and never round the end of the buffer.
    ///
    /// # Errors
    ///
    /// As [`try_pop`](Self::try_pop).
    #[inline(always)]
    pub fn try_pop_slice(&mut self, into: &mut [T]) -> Result<usize, PopError> {
        if !self.end.is_ready() {
            return Err(PopError::Forked);
        }
        if into.is_empty() {
            return Ok(0);
        }
        let run = self.end.try_claim(into.len())?;
        Ok(self.read_and_complete(run, into))
    }

    /// Pops as many items as [there are](Self::try_pop_slice) and the slice holds, waiting for one at least.
    ///
    /// # Errors
    ///
    /// Those of [`pop`](Self::pop).
    pub fn pop_slice(&mut self, into: &mut [T]) -> Result<usize, PopError> {
        self.pop_slice_until(into, None, self.how)
    }

    /// As [`pop_slice`](Self::pop_slice), waiting at most this long.
    ///
    /// # Errors
    ///
    /// [`PopError::TimedOut`] and those of [`pop`](Self::pop).
    pub fn pop_slice_timeout(
        &mut self,
        into: &mut [T],
        timeout: Duration,
    ) -> Result<usize, PopError> {
        self.pop_slice_until(into, Some(timeout), self.how)
    }

    pub(super) fn pop_slice_until(
        &mut self,
        into: &mut [T],
        timeout: Option<Duration>,
        how: WaitOptions,
    ) -> Result<usize, PopError> {
        if !self.end.is_ready() {
            return Err(PopError::Forked);
        }
        if into.is_empty() {
            return Ok(0);
        }
        let until = || timeout.and_then(deadline);
        let run = self.end.claim(into.len(), until, how)?;
        Ok(self.read_and_complete(run, into))
    }

    #[inline(always)]
    fn read_and_complete(&mut self, run: <P::Pop as Endpoint>::Run, into: &mut [T]) -> usize {
        // A run is never longer than what was wanted.
        let count = P::Pop::run_len(run).min(into.len());
        self.end.read(run, &mut into[..count]);
        self.end.complete(run, count);
        count
    }

    /// How calls wait; [`Waiting::Sleep`] unless set.
    pub fn waiting(&mut self, waiting: Waiting) -> &mut Self {
        self.how.strategy = waiting;
        self
    }

    /// Whether a wait ends with [`PopError::PeerLeft`] when the buffer is drained, there have been producers and none
    /// is left. An item that another consumer works on in place counts as there, because it may come back. Otherwise, and
    /// unless set, the wait goes on, for another producer may come.
    pub fn notice_departure(&mut self, notice: bool) -> &mut Self {
        self.how.ends_on_disconnect = notice;
        self
    }

    /// Whether a wait ends with [`PopError::Removed`] when the ring's segment is removed, although a producer lives; as
    /// [`Producer::notice_removal`](super::producer::Producer::notice_removal).
    pub fn notice_removal(&mut self, notice: bool) -> &mut Self {
        self.how.ends_on_removal = notice;
        self
    }

    /// Whether a wait ends with [`PopError::Interrupted`] when the thread handles a signal while it sleeps; as
    /// [`Producer::interruptible`](super::producer::Producer::interruptible), which says what that misses.
    #[doc(alias = "EINTR")]
    pub fn interruptible(&mut self, interruptible: bool) -> &mut Self {
        self.how.ends_on_signal = interruptible;
        self
    }

    /// How soon a wait notices what wakes nobody, such as the death of its peer; 100 ms unless set. As
    /// [`Producer::liveness_interval`](super::producer::Producer::liveness_interval), which says what that is and has an
    /// example.
    pub fn liveness_interval(&mut self, interval: Duration) -> &mut Self {
        self.how.notice_within(interval);
        self
    }

    /// Makes a canceller, by which another thread or a signal handler ends this handle's waits.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller::of(&self.end)
    }

    /// Counts the items. In `spsc` the producer may have added some meanwhile, but no other handle can have taken any.
    /// Loads the word of every slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Whether there is no item. A producer may have added one meanwhile.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// Whether there is no room. In `spsc`, if so, that stays until this consumer pops an item.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.buffer().capacity()
    }

    /// The ring: for its capacity, layout and segment, and for what is known of the producers.
    #[must_use]
    pub fn buffer(&self) -> &BoundedBuffer<T, P> {
        BoundedBuffer::of_ref(self.end.ring())
    }
}

/// Making a consumer.
impl<T: Pod, P: Protocol> BoundedBuffer<T, P> {
    /// Makes a handle that pops; as [`producer`](Self::producer).
    ///
    /// `spsc`: taken over from a process that died with the role, it goes on with the first item that was not popped.
    ///
    /// # Errors
    ///
    /// Those of [`producer`](Self::producer).
    pub fn consumer(&self) -> Result<Consumer<T, P>, ClaimError> {
        Ok(Consumer::new(P::pop_end(&self.ring)?))
    }
}

impl<T: Pod, P: Protocol> fmt::Debug for Consumer<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("buffer", BoundedBuffer::<T, P>::of_ref(self.end.ring()))
            .finish_non_exhaustive()
    }
}
