//! [`Canceller`]: ends the waits of a handle from outside.

use crate::ring::protocol::Endpoint;
use crate::ring::wait::Cancel;
use std::sync::Arc;

/// Ends the waits of one handle, from another thread or from a signal handler. Made by
/// [`Producer::canceller`](super::producer::Producer::canceller) and
/// [`Consumer::canceller`](super::consumer::Consumer::canceller); every copy is for the same handle.
///
/// After [`cancel`](Self::cancel) each call of the handle that would have to wait fails with
/// [`PopError::Cancelled`](super::refusal::PopError::Cancelled) or
/// [`PushError::Cancelled`](super::refusal::PushError::Cancelled): the one that waits now, and those to come, until
/// [`reset`](Self::reset). Calls that need not wait, such as `pop` while there is an item, go on. What would go on
/// without end does not: [`Iter`](super::iter::Iter) ends, and `io::Read`, `io::Write` and `push_slice` stop at the next
/// item, although there may be items or room.
///
/// # When a wait ends
///
/// A wait checks before and after each sleep, of which none is longer than 80 ms, whatever
/// [`liveness_interval`](super::producer::Producer::liveness_interval) says, once the handle has a canceller. So it ends
/// within 100 ms; at once, if a signal is handled on the thread that waits, because that ends its sleep.
///
/// # In a signal handler
///
/// `cancel` stores into one atomic variable. It allocates nothing, takes no lock and calls nothing, so a signal handler
/// may call it, also after the handle or the ring is gone. The handler needs a way to the canceller: a
/// [`OnceLock`](std::sync::OnceLock) that is set before the handler is installed.
///
/// ```
/// use std::sync::OnceLock;
/// use sysvshm::bounded_buffer::{Canceller, PopError, mpmc::BoundedBuffer};
/// use sysvshm::Key;
///
/// static END: OnceLock<Canceller> = OnceLock::new();
///
/// extern "C" fn on_interrupt(_: i32) {
///     if let Some(end) = END.get() {
///         end.cancel();
///     }
/// }
///
/// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
/// buffer.segment().mark_for_removal()?;
/// let mut consumer = buffer.consumer()?;
/// END.get_or_init(|| consumer.canceller());
/// // Installed with sigaction(SIGINT), of which any crate for signals has a safe form.
/// # on_interrupt(2);
/// assert_eq!(consumer.pop(), Err(PopError::Cancelled));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # From another thread
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::{PopError, spsc::BoundedBuffer}};
/// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
/// # buffer.segment().mark_for_removal()?;
/// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
/// let canceller = consumer.canceller();
/// std::thread::scope(|scope| {
///     let waiting = scope.spawn(|| consumer.pop());
///     canceller.cancel();
///     assert_eq!(waiting.join().unwrap(), Err(PopError::Cancelled));
/// });
/// canceller.reset();
/// producer.push(5)?;
/// assert_eq!(consumer.pop(), Ok(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Canceller(Arc<Cancel>);

impl Canceller {
    pub(super) fn of(end: &impl Endpoint) -> Self {
        let cancel = end.cancel();
        cancel.share();
        Self(Arc::clone(cancel))
    }

    /// Ends the handle's waits, present and future.
    pub fn cancel(&self) {
        self.0.pull();
    }

    /// Lets the handle wait again.
    pub fn reset(&self) {
        self.0.reset();
    }

    /// Whether the handle's waits end, because of [`cancel`](Self::cancel): for loops around calls that seldom wait.
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// let canceller = producer.canceller();
    /// let mut number = 0;
    /// while !canceller.is_cancelled() {
    ///     producer.push(number)?;
    ///     number += 1;
    /// #   canceller.cancel();
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.is_pulled()
    }
}
