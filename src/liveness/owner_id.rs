//! [`OwnerId`]: a participant as one word of shared memory.

use super::{Liveness, NamespaceAnchor};
#[cfg(target_os = "linux")]
use crate::segment::SegmentId;
use std::time::SystemTime;

/// A participant as one word of shared memory. See the [module](self) for the bits. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerId(u64);

/// Identifier or process id: neither is negative.
const ID_BITS: u32 = 31;
#[cfg(target_os = "linux")]
const TIME_BITS: u32 = 17;
#[cfg(not(target_os = "linux"))]
const TIME_BITS: u32 = 32;
/// Sizes of tokens: below 2^16. Elsewhere always 1, for no claim is 0 or looks like the header's READY.
#[cfg(target_os = "linux")]
pub(super) const NONCE_BITS: u32 = u64::BITS - ID_BITS - TIME_BITS;

/// What the kernel says about a participant that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// As numbered in the pid namespace of the process that asks; `None` if it has no number there.
    pub(crate) pid: Option<u32>,
    /// When its token was made, or the process if that is the token.
    pub(crate) since: Option<SystemTime>,
}

impl OwnerId {
    /// The claim in a word of shared memory, if there is one.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        (word != 0).then_some(Self(word))
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// Whether the word could be a claim: what else may stand in its place has no nonce.
    pub(crate) fn is_plausible(self) -> bool {
        self.0 >> (ID_BITS + TIME_BITS) != 0
    }

    pub(super) fn of(id: i32, time: u64, nonce: u64) -> Self {
        let id = u64::from(id.unsigned_abs()) & ((1 << ID_BITS) - 1);
        let time = time & ((1 << TIME_BITS) - 1);
        Self(nonce << (ID_BITS + TIME_BITS) | time << ID_BITS | id)
    }

    fn id_bits(self) -> i32 {
        (self.0 & ((1 << ID_BITS) - 1)) as i32
    }

    #[cfg(target_os = "linux")]
    pub(super) fn id(self) -> SegmentId {
        SegmentId::from_raw(self.id_bits())
    }

    /// Whether the participant lives, seen from a thread that uses the buffer in `anchor`.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)`; before the verdict "dead" once more on the buffer itself, and a look at
    /// `/proc`.
    pub(crate) fn liveness(self, anchor: &NamespaceAnchor) -> Liveness {
        if self.is_kept() {
            Liveness::Alive
        } else if anchor.is_reachable() {
            // Asked again: the first question may have been asked right before this thread came back to the
            // namespace.
            if self.is_kept() {
                Liveness::Alive
            } else {
                Liveness::Dead
            }
        } else {
            Liveness::Unknown
        }
    }

    /// Whether the kernel still keeps the participant, seen from the calling thread's IPC namespace.
    #[cfg(target_os = "linux")]
    pub(super) fn is_kept(self) -> bool {
        self.status().is_some()
    }

    #[cfg(target_os = "linux")]
    fn status(self) -> Option<crate::Status> {
        use crate::sys::shm;
        let raw = shm::shmctl_stat(self.id().as_raw()).ok()?;
        let status = crate::Status::new(self.id(), &raw);
        // Anything else with that number, readable or not, is not the token: a token stays readable for everybody.
        (Self::of_status(&status) == Some(self)).then_some(status)
    }

    /// Who it is, if it lives and this thread is in the buffer's IPC namespace.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)`; `sysctl(KERN_PROC_PID)` elsewhere than on Linux.
    #[cfg(target_os = "linux")]
    pub(crate) fn holder(self) -> Option<Holder> {
        let status = self.status()?;
        Some(Holder {
            pid: status.creator_pid(),
            since: status.change_time(),
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_kept(self) -> bool {
        // Doubt counts as life.
        crate::sys::os::process_start(self.id_bits()).map_or(true, |start| self.is_of(start))
    }

    #[cfg(not(target_os = "linux"))]
    fn is_of(self, start: Option<crate::sys::os::ProcessStart>) -> bool {
        start.is_some_and(|start| self == Self::of(self.id_bits(), start.mark_micros, 1))
    }

    /// Who it is, if it lives.
    ///
    /// **C call:** `sysctl(KERN_PROC_PID)`.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn holder(self) -> Option<Holder> {
        use std::time::{Duration, UNIX_EPOCH};
        let start = crate::sys::os::process_start(self.id_bits()).ok()?;
        let since = start.filter(|_| self.is_of(start))?.since_1970_micros;
        Some(Holder {
            pid: u32::try_from(self.id_bits()).ok(),
            since: UNIX_EPOCH.checked_add(Duration::from_micros(since)),
        })
    }

    #[cfg(target_os = "linux")]
    pub(super) fn of_status(status: &crate::Status) -> Option<Self> {
        let since = status.change_time()?.duration_since(std::time::UNIX_EPOCH);
        let nonce = status.size_bytes() as u64;
        let fits = nonce != 0 && nonce < 1 << NONCE_BITS;
        fits.then_some(Self::of(status.id().as_raw(), since.ok()?.as_secs(), nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_keeps_what_it_is_made_of() {
        let nonce_at = ID_BITS + TIME_BITS;
        for (id, seconds, nonce) in [
            (0, 0, 1),
            (i32::MAX, u64::MAX, u64::MAX >> nonce_at),
            (98_304, 1 << 31, 1),
        ] {
            let claim = OwnerId::of(id, seconds, nonce);
            assert_eq!(
                claim.word() & ((1 << ID_BITS) - 1),
                u64::from(id.unsigned_abs())
            );
            assert_eq!(claim.word() >> nonce_at, nonce);
            assert!(claim.is_plausible());
            assert_eq!(OwnerId::from_word(claim.word()), Some(claim));
        }
        assert_eq!(OwnerId::from_word(0), None);
    }
}
