//! [`SharedCell`]: a cell bound to the segment it lies in; [`Writer`]: the right to write it.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::Ordering::{self, Acquire};
use std::sync::atomic::fence;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::access::{Access, ReadWrite};
use crate::error::{Error, ErrorKind, known_kind};
use crate::liveness::{Liveness, Named, NamespaceAnchor, OwnerId};
use crate::memory::{Element, SharedRef, SharedSlice, Viewable};

use super::WriterError;
use super::protocol::{Memory, MemoryMut};
use super::role::Role;

/// [`Committed`](super::Committed) or [`SequenceLocked`](super::SequenceLocked). Sealed.
pub trait Cell: Protocol {}

/// What differs between the two.
pub trait Protocol: Viewable {
    /// What the cell holds.
    type Value: Element;
    /// Whether an odd counter says that there is no whole value.
    #[doc(hidden)]
    const HAS_ONE_COPY: bool;

    #[doc(hidden)]
    fn parts<A: Access>(cell: SharedRef<'_, Self, A>) -> Parts<'_, Self::Value, A>;
    /// One attempt.
    #[doc(hidden)]
    fn try_read<A: Access>(parts: &Parts<'_, Self::Value, A>) -> Option<Self::Value>;
    /// Writes after `count`, and returns what that is then.
    #[doc(hidden)]
    fn write(parts: &Parts<'_, Self::Value, ReadWrite>, count: u64, value: Self::Value) -> u64;
}

/// Views of a cell's members.
#[derive(Debug)]
#[doc(hidden)]
pub struct Parts<'a, T, A: Access> {
    pub(super) count: SharedRef<'a, u64, A>,
    pub(super) writer: SharedRef<'a, u64, A>,
    pub(super) copies: SharedSlice<'a, T, A>,
}

impl<T, A: Access> Clone for Parts<'_, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A: Access> Copy for Parts<'_, T, A> {}

impl<T: Element, A: Access> Memory for Parts<'_, T, A> {
    type Value = T;

    #[inline(always)]
    fn count(&self, order: Ordering) -> u64 {
        self.count.load_word(order)
    }

    #[inline(always)]
    fn read(&self, copy: u64) -> T {
        self.copies.load(copy as usize)
    }

    #[inline(always)]
    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

impl<T: Element> MemoryMut for Parts<'_, T, ReadWrite> {
    #[inline(always)]
    fn set_count(&self, count: u64, order: Ordering) {
        self.count.atomic_store(count, order);
    }

    #[inline(always)]
    fn write(&self, copy: u64, value: T) {
        self.copies.store(copy as usize, value);
    }
}

/// Attempts before a read asks the clock, and after each sleep.
const ATTEMPTS: u32 = 64;
const FIRST_SLEEP: Duration = Duration::from_micros(20);
const LONGEST_SLEEP: Duration = Duration::from_millis(2);

/// Why a read gave no value.
///
/// ```
/// use std::time::Duration;
/// use sysvshm::memory::cell::LoadError;
///
/// let error = LoadError::TimedOut { timeout: Duration::from_millis(5) };
/// assert_eq!(error.to_string(), "no whole value could be read within 5ms: writes overtook every attempt");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Writes overtook every attempt, or the writer is stopped, or died without having taken the role.
    #[error("no whole value could be read within {timeout:?}: writes overtook every attempt")]
    TimedOut {
        /// How long was tried.
        timeout: Duration,
    },
    /// The writer died in the middle of a write and left no whole value ([`SequenceLocked`](super::SequenceLocked)
    /// alone). The next write mends that.
    #[error(
        "the writer died in the middle of a write, so there is no whole value until the next write"
    )]
    WriterDied,
}

impl LoadError {
    /// Returns what went wrong, in a form to match on.
    ///
    /// ```
    /// use sysvshm::memory::cell::LoadError;
    /// use sysvshm::ErrorKind;
    ///
    /// assert_eq!(LoadError::WriterDied.kind(), ErrorKind::NotInitialised);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::WriterDied => ErrorKind::NotInitialised,
        }
    }
}

known_kind!(LoadError);

/// A cell and the segment it lies in. Made by [`SharedStruct::cell`](crate::SharedStruct::cell); a `Copy` handle.
pub struct SharedCell<'a, C: Cell, A: Access = ReadWrite> {
    parts: Parts<'a, C::Value, A>,
    anchor: &'a Result<NamespaceAnchor, Error>,
    /// Where the writer's owner id is in the segment.
    writer_at: usize,
}

impl<C: Cell, A: Access> Clone for SharedCell<'_, C, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: Cell, A: Access> Copy for SharedCell<'_, C, A> {}

impl<C: Cell, A: Access> fmt::Debug for SharedCell<'_, C, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedCell")
            .field(&self.parts.copies)
            .finish()
    }
}

impl<'a, C: Cell, A: Access> SharedCell<'a, C, A> {
    pub(in crate::memory) fn new(
        cell: SharedRef<'a, C, A>,
        offset: usize,
        anchor: &'a Result<NamespaceAnchor, Error>,
    ) -> Self {
        let parts = C::parts(cell);
        let [start, writer] = [cell.address(), parts.writer.address()];
        Self {
            parts,
            anchor,
            writer_at: offset + (writer.addr().get() - start.addr().get()),
        }
    }

    /// Tries once to copy the value out. `None`: writes overtook the attempt, or there is no whole value now.
    ///
    /// Waits for no other process. **C call:** none.
    ///
    /// # Panics
    ///
    /// If the cell's address is no multiple of 8, which a packed struct around it makes possible.
    ///
    /// ```
    /// # use sysvshm::memory::cell::Committed;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<Committed<u128>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// let value = shared.cell(shared.view());
    /// assert_eq!(value.try_load(), Some(0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn try_load(self) -> Option<C::Value> {
        C::try_read(&self.parts)
    }

    /// Copies the value out, trying again until `timeout` where writes overtake it.
    ///
    /// **C calls:** none if one of the first 64 attempts succeeds; then the clock, sleeps of 20 µs to 2 ms, and for
    /// a [`SequenceLocked`](super::SequenceLocked) found odd the `shmctl`s by which the rings tell dead from alive.
    ///
    /// # Errors
    ///
    /// [`LoadError::TimedOut`], [`LoadError::WriterDied`].
    ///
    /// # Panics
    ///
    /// As [`try_load`](Self::try_load).
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sysvshm::memory::cell::SequenceLocked;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<SequenceLocked<u128>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// let value = shared.cell(shared.view());
    /// assert_eq!(value.load(Duration::from_secs(1))?, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(self, timeout: Duration) -> Result<C::Value, LoadError> {
        for _ in 0..ATTEMPTS {
            if let Some(value) = self.try_load() {
                return Ok(value);
            }
            spin_loop();
        }
        self.load_slow(timeout)
    }

    fn writer_died_writing(self) -> bool {
        let (sequence, word) = (
            self.parts.count.load_word(Acquire),
            self.parts.writer.load_word(Acquire),
        );
        let is_dead = |writer: OwnerId| {
            let anchor = self.anchor.as_ref();
            anchor.is_ok_and(|anchor| {
                let is_here = |named: Named| named.holds(self.writer_at, word);
                writer.liveness(anchor) == Liveness::Dead && anchor.named().is_ok_and(is_here)
            })
        };
        sequence % 2 != 0
            && OwnerId::from_word(word).is_some_and(is_dead)
            // A writer that took over meanwhile changed the role before anything else.
            && self.parts.writer.load_word(Acquire) == word
            && self.parts.count.load_word(Acquire) == sequence
    }

    #[cold]
    fn load_slow(self, timeout: Duration) -> Result<C::Value, LoadError> {
        let start = Instant::now();
        let mut pause = FIRST_SLEEP;
        loop {
            if C::HAS_ONE_COPY && self.writer_died_writing() {
                return Err(LoadError::WriterDied);
            }
            let left = timeout.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(LoadError::TimedOut { timeout });
            }
            sleep(pause.min(left));
            pause = (2 * pause).min(LONGEST_SLEEP);
            for _ in 0..ATTEMPTS {
                if let Some(value) = self.try_load() {
                    return Ok(value);
                }
                spin_loop();
            }
        }
    }
}

impl<'a, C: Cell> SharedCell<'a, C> {
    /// Takes the role of the writer, if no process that lives has it. Dropping the result gives it back.
    ///
    /// After a kill the role is free once the kernel has torn down the dead process's memory.
    ///
    /// **C calls:** those by which the rings tell dead from alive; for the first role of a process, those that make
    /// its token; `shmat(SHM_RDONLY)`, `shmctl(IPC_STAT)` and `shmdt`, to see that the identifier names this segment
    /// here.
    ///
    /// # Errors
    ///
    /// [`WriterError::Taken`], [`WriterError::WrongNamespace`], [`WriterError::System`].
    ///
    /// ```
    /// # use sysvshm::memory::cell::Committed;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<Committed<u128>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// let value = shared.cell(shared.view());
    /// value.writer()?.store(7);
    /// assert_eq!(value.try_load(), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer(self) -> Result<Writer<'a, C>, WriterError> {
        let anchor = self.anchor.as_ref().map_err(Error::clone)?;
        let role = Role::take(self.parts.writer, self.writer_at, anchor)?;
        // After taking the role, whose exchange acquires what the predecessor stored.
        let count = self.parts.count.load_word(Acquire);
        Ok(Writer {
            parts: self.parts,
            count,
            role,
        })
    }
}

/// The right to write a cell, which one process has at a time. Made by [`SharedCell::writer`].
pub struct Writer<'a, C: Cell> {
    parts: Parts<'a, C::Value, ReadWrite>,
    /// What the cell's counter is; kept here, so that nothing read from shared memory decides where to write.
    count: u64,
    role: Role<'a>,
}

impl<C: Cell> fmt::Debug for Writer<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("count", &self.count)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl<'a, C: Cell> Writer<'a, C> {
    /// Writes the value. It takes effect at one store: readers and successors see the old value or this one.
    ///
    /// Waits for no other process. **C call:** none.
    ///
    /// # Panics
    ///
    /// In a child forked since the role was taken.
    ///
    /// ```
    /// # use sysvshm::memory::cell::Committed;
    /// # use sysvshm::{Key, SharedStruct};
    /// # let shared = SharedStruct::<Committed<[f64; 3]>>::create_new(Key::PRIVATE)?;
    /// # shared.segment().mark_for_removal()?;
    /// # let position = shared.cell(shared.view());
    /// let mut writer = position.writer()?;
    /// writer.store([1.0, 2.0, 3.0]);
    /// assert_eq!(position.try_load(), Some([1.0, 2.0, 3.0]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn store(&mut self, value: C::Value) {
        self.role.check_process();
        self.count = C::write(&self.parts, self.count, value);
    }

    /// The parts and the counter, for what only one of the cells can do.
    pub(super) fn parts(&self) -> (Parts<'a, C::Value, ReadWrite>, u64) {
        self.role.check_process();
        (self.parts, self.count)
    }
}
