//! [`Attached`]: a ring as this process has it: what everything made from one opening shares.

use super::participant::Place;
use super::seam::Mapped;
use super::{ClaimError, Layout};
use crate::fork::Here;
use crate::segment::Segment;

/// A ring that is attached and was found to be what was asked for. `G` is its geometry, computed by this process.
#[derive(Debug)]
pub(crate) struct Attached<G> {
    pub(crate) segment: Segment,
    pub(crate) memory: Mapped,
    pub(crate) geometry: G,
    pub(crate) layout: Layout,
    pub(crate) generation: u64,
    pub(crate) place: Place,
    pub(crate) here: Here,
    /// Whether to fence instead of relying on membarrier(2), although the system may have it.
    pub(crate) fences: bool,
}

impl<G> Attached<G> {
    /// Whether this process and thread may take part and judge others.
    pub(crate) fn check_place(&self) -> Result<(), ClaimError> {
        if !self.here.is_current() {
            return Err(ClaimError::Forked);
        }
        if !self.place.is_here() {
            return Err(ClaimError::ElsewhereInNamespace);
        }
        Ok(())
    }
}
