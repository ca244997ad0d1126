//! [`Cancel`]: the flag by which a wait is ended from outside.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the waits of one handle are to end. In private memory, and shared by the handle and its cancellers.
///
/// Everything is one atomic operation, so a signal handler may call it at any moment.
#[derive(Debug, Default)]
pub(crate) struct Cancel(AtomicBool);

impl Cancel {
    pub(crate) fn pull(&self) {
        // Release pairs with the acquire in `is_pulled`: the thread whose wait ends sees what was done before.
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn reset(&self) {
        self.0.store(false, Ordering::Release);
    }

    #[inline(always)]
    pub(crate) fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
