//! [`LayoutFault`]: why a segment does not hold the ring that was asked for.

use std::time::Duration;

/// Why a segment does not hold the ring that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayoutFault {
    /// The segment holds something else, or a ring of another shape.
    Mismatch {
        what: &'static str,
        found: u64,
        expected: u64,
    },
    /// No process initialised the ring in time.
    NotInitialised { patience: Duration },
    /// There cannot be a ring of this capacity.
    CapacityOutOfRange { capacity: u64 },
}

impl LayoutFault {
    /// Refuses what differs from what was expected.
    pub(crate) fn unless_equal(what: &'static str, found: u64, expected: u64) -> Result<(), Self> {
        Self::unless(found == expected, what, found, expected)
    }

    /// Refuses what does not fit.
    pub(crate) fn unless(
        fits: bool,
        what: &'static str,
        found: u64,
        expected: u64,
    ) -> Result<(), Self> {
        fits.then_some(())
            .ok_or(Self::mismatch(what, found, expected))
    }

    pub(crate) fn mismatch(what: &'static str, found: u64, expected: u64) -> Self {
        Self::Mismatch {
            what,
            found,
            expected,
        }
    }
}
