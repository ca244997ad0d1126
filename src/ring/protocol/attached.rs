//! [`Attached`]: a ring as this process has it: what everything made from one opening shares.

use super::error::ClaimError;
use crate::fork::ForkGuard;
use crate::liveness::NamespaceAnchor;
use crate::ring::shm::memory::Mapped;
use crate::ring::shm::slots::Layout;
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
}
