//! The role of the writer: one process at a time, taken over from the dead.

use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::error::{Error, ErrorKind, known_kind};
use crate::fork::ForkGuard;
use crate::liveness::{Liveness, NamespaceAnchor, OwnerId, Token};
use crate::memory::SharedRef;

/// Why the role of the writer could not be taken.
///
/// ```
/// use sysvshm::memory::cell::{Committed, WriterError};
/// use sysvshm::{Key, SharedStruct};
///
/// let shared = SharedStruct::<Committed<u64>>::create_new(Key::PRIVATE)?;
/// shared.segment().mark_for_removal()?;
/// let value = shared.cell(shared.view());
/// let first = value.writer()?;
/// assert!(matches!(value.writer(), Err(WriterError::Taken)));
/// drop(first);
/// assert!(value.writer().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WriterError {
    /// Another handle has the role, in this process or in one that lives.
    #[error("the role of the writer is taken by a process that lives")]
    Taken,
    /// The calling thread is in another IPC namespace than the segment: it cannot know whether the holder lives, and
    /// other processes could not know of it.
    #[error("the calling thread is in another IPC namespace than the segment")]
    WrongNamespace,
    /// A System V call failed while the process made its sign of life.
    #[error(transparent)]
    System(#[from] Error),
}

/// Holds the role; gives it back when dropped, in the process that took it.
#[derive(Debug)]
pub(super) struct Role<'a> {
    word: SharedRef<'a, u64>,
    owner: OwnerId,
    /// Keeps the owner id alive.
    _token: Arc<Token>,
    fork_guard: ForkGuard,
}

impl WriterError {
    /// Returns what went wrong, in a form to match on.
    ///
    /// ```
    /// use sysvshm::memory::cell::WriterError;
    /// use sysvshm::ErrorKind;
    ///
    /// assert_eq!(WriterError::Taken.kind(), ErrorKind::InUse);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Taken => ErrorKind::InUse,
            Self::WrongNamespace => ErrorKind::WrongNamespace,
            Self::System(error) => error.kind(),
        }
    }
}

known_kind!(WriterError);

impl<'a> Role<'a> {
    /// `offset`: where the word is in the segment.
    pub(super) fn take(
        word: SharedRef<'a, u64>,
        offset: usize,
        anchor: &NamespaceAnchor,
    ) -> Result<Self, WriterError> {
        let fork_guard = ForkGuard::new()?;
        if !anchor.is_reachable() {
            return Err(WriterError::WrongNamespace);
        }
        let token = Token::current()?;
        let owner = token.owner_id();
        let named = anchor.named()?;
        let mut holder = 0;
        // Before anything is judged or written. Where the identifier names another segment, the holder seems dead
        // here, and this process would seem dead to its peers. Again, because the role may change hands meanwhile.
        let is_here = (0..100).any(|_| {
            holder = word.atomic_load(Acquire);
            named.holds(offset, holder)
        });
        if !is_here {
            return Err(WriterError::WrongNamespace);
        }
        if let Some(other) = OwnerId::from_word(holder) {
            match other.liveness(anchor) {
                Liveness::Dead => {}
                // What cannot be known counts as life.
                Liveness::Alive | Liveness::Unknown => return Err(WriterError::Taken),
            }
        }
        while let Err(now) = word.compare_exchange(holder, owner.word(), AcqRel, Acquire) {
            // Given back meanwhile: once more. Taken by another: that one was just alive.
            if now != 0 || holder == 0 {
                return Err(WriterError::Taken);
            }
            holder = now;
        }
        let role = Self {
            word,
            owner,
            _token: token,
            fork_guard,
        };
        // The other segment may have held the same. Dropping gives the role back.
        if !named.holds(offset, owner.word()) {
            return Err(WriterError::WrongNamespace);
        }
        Ok(role)
    }

    /// # Panics
    /// In a child forked since the role was taken.
    #[inline(always)]
    pub(super) fn check_process(&self) {
        assert!(
            self.fork_guard.is_current(),
            "this writer was inherited by fork: the role belongs to the parent process"
        );
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if self.fork_guard.is_current() {
            // Fails only if the word was overwritten by a process that does not follow the protocol.
            let _ = self
                .word
                .compare_exchange(self.owner.word(), 0, AcqRel, Relaxed);
        }
    }
}
