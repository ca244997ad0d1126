//! [`Committed`]: a value that is whole whichever process is killed at whichever instruction.

use crate::access::{Access, ReadWrite};
use crate::memory::{Element, SharedRef};

use super::protocol::{COPIES, commit, read_committed};
use super::shared_cell::{Cell, Parts, Protocol, Writer};

/// A value in shared memory that is always whole, whichever process is killed at whichever instruction.
///
/// Four copies and a version that says which of them counts: a write fills the copy that is due and makes it count
/// by one store. [The module](super) has the layout, and what a kill leaves in every state.
///
/// ```
/// use std::time::Duration;
/// use sysvshm::memory::cell::Committed;
/// use sysvshm::{Key, SharedStruct};
///
/// let shared = SharedStruct::<Committed<[u64; 2]>>::create_new(Key::PRIVATE)?;
/// shared.segment().mark_for_removal()?;
/// let account = shared.cell(shared.view());
/// assert_eq!(account.load(Duration::ZERO)?, [0, 0]); // zeroed memory is its first value
/// account.writer()?.store([17, 4711]);
/// assert_eq!(account.load(Duration::ZERO)?, [17, 4711]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct Committed<T> {
    version: u64,
    writer: u64,
    copies: [T; COPIES as usize],
}

#[allow(unsafe_code, reason = "a marker trait")]
// SAFETY: zeros are a value of the integers, and of `T`, which is plain data.
unsafe impl<T: Element> bytemuck::Zeroable for Committed<T> {}

impl<T: Element> Cell for Committed<T> {}

impl<T: Element> Protocol for Committed<T> {
    type Value = T;
    const HAS_ONE_COPY: bool = false;

    fn parts<A: Access>(cell: SharedRef<'_, Self, A>) -> Parts<'_, T, A> {
        Parts {
            count: cell.project(|cell| &raw const cell.version),
            writer: cell.project(|cell| &raw const cell.writer),
            copies: cell.project(|cell| &raw const cell.copies).elements(),
        }
    }

    #[inline(always)]
    fn try_read<A: Access>(parts: &Parts<'_, T, A>) -> Option<T> {
        read_committed(parts)
    }

    #[inline(always)]
    fn write(parts: &Parts<'_, T, ReadWrite>, count: u64, value: T) -> u64 {
        commit(parts, count, value)
    }
}

impl<T: Element> Writer<'_, Committed<T>> {
    /// Returns the value that the next write replaces. Never fails: this is the only process that writes it.
    ///
    /// # Panics
    ///
    /// In a child forked since the role was taken.
    ///
    /// ```
    /// # use sysvshm::memory::cell::Committed;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<Committed<u128>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// # let value = shared.cell(shared.view());
    /// let mut writer = value.writer()?;
    /// writer.store(u128::MAX);
    /// assert_eq!(writer.load(), u128::MAX);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn load(&self) -> T {
        let (parts, version) = self.parts();
        parts.copies.load((version % COPIES) as usize)
    }

    /// Replaces the value by `change` of it. If `change` panics, the value stays.
    ///
    /// # Panics
    ///
    /// In a child forked since the role was taken.
    ///
    /// ```
    /// # use sysvshm::memory::cell::Committed;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<Committed<[u64; 2]>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// # let account = shared.cell(shared.view());
    /// let mut writer = account.writer()?;
    /// writer.update(|[upto, sum]| [upto + 1, sum + 10]);
    /// assert_eq!(writer.load(), [1, 10]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&mut self, change: impl FnOnce(T) -> T) {
        let value = change(self.load());
        self.store(value);
    }
}
