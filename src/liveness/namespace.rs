//! [`NamespaceAnchor`]: where identifiers mean what they meant when a ring was attached.

use crate::Error;
use crate::segment::{Access, Fingerprint, Segment, SegmentId};

/// The buffer as the thread that attached it saw it: where identifiers mean what they meant then.
#[derive(Debug)]
pub(crate) struct NamespaceAnchor {
    id: SegmentId,
    fingerprint: Fingerprint,
}

impl NamespaceAnchor {
    /// Fails if the status of the buffer cannot be read: such a process may not take part.
    pub(crate) fn of<A: Access>(segment: &Segment<A>) -> Result<Self, Error> {
        let status = segment.status()?;
        Ok(Self {
            id: segment.id(),
            fingerprint: Fingerprint::new(&status),
        })
    }

    pub(crate) fn is_reachable(&self) -> bool {
        self.fingerprint.is_named_by(self.id)
    }
}
