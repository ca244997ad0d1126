//! [`SequenceLocked`]: the sequence lock, for layouts that have no room for more than one copy.

use crate::access::{Access, ReadWrite};
use crate::memory::{Element, SharedRef};

use super::protocol::{publish, read_published};
use super::shared_cell::{Cell, Parts, Protocol, Writer};

/// A value in shared memory under a sequence lock: readers never block the writer, and see it whole or not at all.
///
/// It has one copy, so a writer that is killed in the middle of a write takes the value with it: reads fail with
/// [`WriterDied`](super::LoadError::WriterDied) until the next writer, who starts from there, has written a whole
/// one. [`Committed`](super::Committed) keeps the old value instead; prefer it. [The module](super) has the layout
/// and the states.
///
/// ```
/// use std::time::Duration;
/// use sysvshm::memory::cell::SequenceLocked;
/// use sysvshm::{Key, SharedStruct};
///
/// // struct { uint64_t sequence, writer; double position[3]; };
/// let shared = SharedStruct::<SequenceLocked<[f64; 3]>>::create_new(Key::PRIVATE)?;
/// shared.segment().mark_for_removal()?;
/// let position = shared.cell(shared.view());
/// position.writer()?.store([1.0, 2.0, 3.0]);
/// assert_eq!(position.try_load(), Some([1.0, 2.0, 3.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct SequenceLocked<T> {
    sequence: u64,
    writer: u64,
    value: [T; 1],
}

#[allow(unsafe_code, reason = "a marker trait")]
// SAFETY: zeros are a value of the integers, and of `T`, which is plain data.
unsafe impl<T: Element> bytemuck::Zeroable for SequenceLocked<T> {}

impl<T: Element> Cell for SequenceLocked<T> {}

impl<T: Element> Protocol for SequenceLocked<T> {
    type Value = T;
    const HAS_ONE_COPY: bool = true;

    fn parts<A: Access>(cell: SharedRef<'_, Self, A>) -> Parts<'_, T, A> {
        Parts {
            count: cell.project(|cell| &raw const cell.sequence),
            writer: cell.project(|cell| &raw const cell.writer),
            copies: cell.project(|cell| &raw const cell.value).elements(),
        }
    }

    #[inline(always)]
    fn try_read<A: Access>(parts: &Parts<'_, T, A>) -> Option<T> {
        read_published(parts)
    }

    #[inline(always)]
    fn write(parts: &Parts<'_, T, ReadWrite>, count: u64, value: T) -> u64 {
        publish(parts, count, value)
    }
}

impl<T: Element> Writer<'_, SequenceLocked<T>> {
    /// Returns the value that the next write replaces, or `None` if an earlier writer died in the middle of it.
    ///
    /// # Panics
    ///
    /// In a child forked since the role was taken.
    ///
    /// ```
    /// # use sysvshm::memory::cell::SequenceLocked;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<SequenceLocked<u128>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// # let value = shared.cell(shared.view());
    /// let mut writer = value.writer()?;
    /// let next = writer.load().map_or(1, |old| old + 1);
    /// writer.store(next);
    /// assert_eq!(writer.load(), Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn load(&self) -> Option<T> {
        let (parts, sequence) = self.parts();
        (sequence % 2 == 0).then(|| parts.copies.load(0))
    }

    /// Replaces the value by `change` of it, which gets `None` if an earlier writer died in the middle of it.
    ///
    /// # Panics
    ///
    /// In a child forked since the role was taken.
    ///
    /// ```
    /// # use sysvshm::memory::cell::SequenceLocked;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<SequenceLocked<u128>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// # let value = shared.cell(shared.view());
    /// value.writer()?.update(|old| old.map_or(0, |old| old + 3));
    /// assert_eq!(value.try_load(), Some(3));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&mut self, change: impl FnOnce(Option<T>) -> T) {
        let value = change(self.load());
        self.store(value);
    }
}
