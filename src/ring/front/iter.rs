//! Iterators that pop item by item.

use super::consumer::Consumer;
use super::refusal::PopError;
use crate::ring::protocol::{Endpoint, Protocol};
use bytemuck::Pod;

/// Item by item.
impl<T: Pod, P: Protocol> Consumer<T, P> {
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
    pub fn try_iter(&mut self) -> TryIter<'_, T, P> {
        TryIter { consumer: self }
    }

    /// Pops items, waiting for each. Ends when [`pop`](Self::pop) fails: the buffer is drained, and the producers have
    /// left and [that is to be noticed](Self::notice_departure), or, in `spsc`, the producer is dead.
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
    pub fn iter(&mut self) -> Iter<'_, T, P> {
        Iter {
            consumer: self,
            end: None,
        }
    }
}

/// Pops items as long as there are any. Made by [`Consumer::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T: Pod, P: Protocol> {
    pub(super) consumer: &'a mut Consumer<T, P>,
}

impl<T: Pod, P: Protocol> Iterator for TryIter<'_, T, P> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.consumer.try_pop().ok()
    }
}

/// Pops items, waiting for each. Made by [`Consumer::iter`].
#[derive(Debug)]
pub struct Iter<'a, T: Pod, P: Protocol> {
    pub(super) consumer: &'a mut Consumer<T, P>,
    pub(super) end: Option<PopError>,
}

impl<T: Pod, P: Protocol> Iter<'_, T, P> {
    /// What [`Consumer::pop`] said at the end; `None` before it.
    #[must_use]
    pub fn why_it_ended(&self) -> Option<PopError> {
        self.end
    }
}

impl<T: Pod, P: Protocol> Iterator for Iter<'_, T, P> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        // Before popping: where there is always an item, this would never wait.
        if self.consumer.end.cancel().is_pulled() {
            self.end = Some(PopError::Cancelled);
            return None;
        }
        match self.consumer.pop() {
            Ok(item) => Some(item),
            Err(error) => {
                self.end = Some(error);
                None
            }
        }
    }
}
