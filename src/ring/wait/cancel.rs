//! [`Cancel`]: the flag by which a wait is ended from outside.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the waits of one handle are to end. In private memory, and shared by the handle and its cancellers.
///
/// Everything is one atomic operation, so a signal handler may call it at any moment.
#[derive(Debug, Default)]
pub(crate) struct Cancel {
    is_pulled: AtomicBool,
    is_shared: AtomicBool,
}

impl Cancel {
    /// Notes that the handle has a canceller, from which on its sleeps are to be short.
    pub(crate) fn share(&self) {
        // Relaxed: the thread that waits next is the one that has the handle now, or was given it by that.
        self.is_shared.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
    }

    pub(crate) fn pull(&self) {
        // Release pairs with the acquire in `is_pulled`: the thread whose wait ends sees what was done before.
        self.is_pulled.store(true, Ordering::Release);
    }

    pub(crate) fn reset(&self) {
        self.is_pulled.store(false, Ordering::Release);
    }

    #[inline(always)]
    pub(crate) fn is_pulled(&self) -> bool {
        self.is_pulled.load(Ordering::Acquire)
    }
}
