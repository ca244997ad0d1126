//! [`Attached`]: a ring as this process has it: what everything made from one opening shares.

use super::error::ClaimError;
use crate::fork::ForkGuard;
use crate::liveness::NamespaceAnchor;
use crate::ring::shm::memory::Mapped;
use crate::ring::shm::slots::Layout;
use crate::ring::wait::{Peer, WaitOptions};
use crate::segment::Segment;

/// A ring that is attached and was found to be what was asked for. `G` is its geometry, computed by this process.
#[derive(Debug)]
pub(crate) struct Attached<G> {
    pub(crate) segment: Segment,
    pub(crate) memory: Mapped,
    pub(crate) geometry: G,
    pub(crate) layout: Layout,
    pub(crate) generation: u64,
    pub(crate) anchor: NamespaceAnchor,
    pub(crate) fork_guard: ForkGuard,
    /// Whether other processes found the ring by its key when this process opened it.
    pub(crate) had_key: bool,
    /// Whether to fence instead of relying on membarrier(2), although the system may have it.
    pub(crate) fences: bool,
}

impl<G> Attached<G> {
    /// Whether this process and thread may take part and judge others.
    pub(crate) fn check_place(&self) -> Result<(), ClaimError> {
        if !self.fork_guard.is_current() {
            return Err(ClaimError::Forked);
        }
        if !self.anchor.is_reachable() {
            return Err(ClaimError::ElsewhereInNamespace);
        }
        Ok(())
    }

    /// What a wait thinks of another side that has not left and may live: whether the ring is removed under its users.
    ///
    /// Where the other side lives, they go on with each other, unless the wait is to end.
    pub(super) fn unless_removed(&self, how: WaitOptions, lives: impl FnOnce() -> bool) -> Peer {
        if self.is_removed() && (how.ends_on_removal || !lives()) {
            Peer::Removed
        } else {
            Peer::WaitForIt
        }
    }

    /// Whether other processes could find the ring by its key once and cannot any more.
    fn is_removed(&self) -> bool {
        let status = || self.segment.id().status_regardless();
        self.had_key
            && status().is_ok_and(|now| now.is_marked_for_removal())
            // Whether the identifier means the ring to this thread.
            && self.anchor.is_reachable()
    }
}
