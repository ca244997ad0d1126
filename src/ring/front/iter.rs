//! Iterators that pop item by item.

use super::consumer::Consumer;
use super::refusal::PopError;
use crate::bytemuck::Pod;
use crate::ring::protocol::{Endpoint, Protocol};

/// Pops items as long as there are any. Made by [`Consumer::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T, P: Protocol> {
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
pub struct Iter<'a, T, P: Protocol> {
    pub(super) consumer: &'a mut Consumer<T, P>,
    pub(super) end: Option<PopError>,
}

impl<T, P: Protocol> Iter<'_, T, P> {
    /// What [`Consumer::pop`] said at the end; `None` before it. See [`Consumer::iter`] for an example.
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
