//! [`OwnerId`]: a participant as one word of shared memory.

use super::inquiry::{Answer, Seen, Way};
use super::{Holder, Liveness, NamespaceAnchor, process};
use std::time::{Duration, UNIX_EPOCH};

/// A participant as one word of shared memory. See the [module above](super) for the bits. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerId(u64);

/// Bits of an identifier, which is never negative.
const ID_BITS: u32 = 31;
/// Set if the process itself stands for the participant, not a token.
const IS_PROCESS: u64 = 1 << 63;

/// What one way of asking says about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Kept(Option<Seen>),
    /// Unless this way shows nothing at all.
    Gone,
    NotTold,
}

impl OwnerId {
    /// The owner in a word of shared memory, if there is one.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        (word != 0).then_some(Self(word))
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// Whether the word could be an owner: what else may stand in its place has nothing in the upper bits.
    pub(crate) fn is_plausible(self) -> bool {
        self.0 >> ID_BITS != 0
    }

    /// The owner with a token of this identifier and size.
    #[cfg(target_os = "linux")]
    pub(super) fn of_token(id: i32, size_bytes: u32) -> Self {
        let id = u64::from(id.unsigned_abs()) & ((1 << ID_BITS) - 1);
        Self(u64::from(size_bytes) << ID_BITS | id)
    }

    /// The owner that has no token and is marked by its process; the uppermost bit of the mark is lost.
    pub(super) fn of_process(mark: u64) -> Self {
        Self(mark | IS_PROCESS)
    }

    fn is_process(self) -> bool {
        self.0 & IS_PROCESS != 0
    }

    /// The identifier of the token.
    pub(super) fn token_id(self) -> i32 {
        (self.0 & ((1 << ID_BITS) - 1)) as i32
    }

    /// Whether the participant lives, seen from a thread that uses the ring of this anchor.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`, once if it lives. Before the verdict "dead" once more on the ring itself,
    /// which must be seen the same way, with a look at `/proc/thread-self/ns/ipc`, and once more on the token.
    pub(crate) fn liveness(self, anchor: &NamespaceAnchor) -> Liveness {
        if self.is_process() {
            return process::liveness(self.0 & !IS_PROCESS);
        }
        for way in Way::all() {
            match self.verdict(way) {
                Verdict::Kept(Some(_)) => return Liveness::Alive,
                // It may be another segment, of another namespace.
                Verdict::Kept(None) if anchor.is_shown_by(way) => return Liveness::Alive,
                Verdict::Gone if anchor.is_shown_by(way) => {
                    way.prefer();
                    // Asked again: a signal handler may have moved this thread back between the two questions.
                    return match self.verdict(way) {
                        Verdict::Gone => Liveness::Dead,
                        _ => Liveness::Alive,
                    };
                }
                _ => {}
            }
        }
        Liveness::Unknown
    }

    /// Whether the calling thread's IPC namespace shows the token. A process that has none is the same in all.
    pub(super) fn is_shown(self) -> bool {
        self.is_process()
            || Way::all().any(|way| matches!(self.verdict(way), Verdict::Kept(Some(_))))
    }

    /// Whether the token's identifier is in use and cannot be read. Says nothing in another IPC namespace.
    #[cfg(target_os = "linux")]
    pub(super) fn is_unreadable(self) -> bool {
        Way::all().any(|way| self.verdict(way) == Verdict::Kept(None))
    }

    fn verdict(self, way: Way) -> Verdict {
        match way.ask(self.token_id()) {
            Answer::Found(seen) if seen.size_bytes == self.0 >> ID_BITS => {
                Verdict::Kept(Some(seen))
            }
            // Another segment has the identifier by now.
            Answer::Found(_) | Answer::Missing => Verdict::Gone,
            Answer::Unreadable => Verdict::Kept(None),
            Answer::Silent => Verdict::NotTold,
        }
    }

    /// Who it is, if it lives and this thread is in the ring's IPC namespace.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`.
    pub(crate) fn holder(self) -> Option<Holder> {
        if self.is_process() {
            return process::holder(self.0 & !IS_PROCESS);
        }
        let seen = Way::all().find_map(|way| match self.verdict(way) {
            Verdict::Kept(seen) => seen,
            _ => None,
        })?;
        let pid = u32::try_from(seen.creator_pid).ok();
        let since = u64::try_from(seen.change_time).ok();
        Some(Holder {
            pid: pid.filter(|&pid| pid != 0),
            since: since.and_then(|since| UNIX_EPOCH.checked_add(Duration::from_secs(since))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn an_owner_keeps_what_it_is_made_of() {
        for (id, size) in [(0, 1), (i32::MAX, u32::MAX), (98_304, 1 << 20)] {
            let owner = OwnerId::of_token(id, size);
            assert_eq!((owner.token_id(), owner.word() >> 31), (id, size.into()));
            assert!(owner.is_plausible() && !owner.is_process());
            assert_eq!(OwnerId::from_word(owner.word()), Some(owner));
        }
        let owner = OwnerId::of_process(0);
        assert!(owner.is_plausible() && owner.is_process());
        assert_eq!(OwnerId::from_word(0), None);
    }
}
