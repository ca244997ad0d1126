//! Who takes part in a buffer, and whether the kernel still keeps them alive.
//!
//! A process id is a poor answer to "is my peer alive?": numbers repeat, a zombie still has one, and in another pid
//! namespace it is another one. So each process that takes part attaches one tiny private segment of its own, its
//! *token*, and marks it for removal at once. No other process ever attaches it. The kernel destroys it when it
//! tears down the memory of the process, however that ends (exit, SIGKILL, exec), and then `shmctl(IPC_STAT)` on
//! the identifier fails. That call is the test of life.
//!
//! ```text
//! shmget(IPC_PRIVATE, nonce bytes, 0444)     the size is a random number: no later token of this identifier has it
//! shmat(SHM_RDONLY)
//! madvise(MADV_DONTFORK)                     a child must not keep its parent alive
//! shmctl(IPC_STAT): nattch == 1?             more: a fork came between; give it up and make another
//! shmctl(IPC_RMID)                           from now on it lives as long as this attach
//! ```
//!
//! What stands in shared memory for a participant is a *claim*, one word, so that a role changes hands by one
//! compare-and-swap:
//!
//! | bits | hold |
//! |---|---|
//! | 0 to 30 | identifier of the token |
//! | 31 to 47 | low bits of its creation time in seconds: equal again after 36 hours |
//! | 48 to 63 | its size in bytes, 1 to 65535: the nonce |
//!
//! 0 is nobody. A claim is mistaken for another only if the identifier is reused, after a multiple of 36 hours to
//! the second, with the same one of 65535 sizes.
//!
//! # What this does not protect you from
//!
//! * A process in another IPC namespace sees no token at all. So it may not take part, and a verdict "dead" counts
//!   only if the buffer's own identifier still names the buffer for the thread that asks.
//! * The token goes at the end of the tear-down of the dead process, after a core dump and after its other memory
//!   (about 0.14 ms per MiB).
//! * A stopped process is alive. A hostile one can pretend to be.
//! * Killed between `shmget` and `IPC_RMID`, a process leaves its token behind: mode 0444, nobody attached, at most
//!   65535 bytes. [`system::abandoned_tokens`](crate::system::abandoned_tokens) finds it.
//!
//! # Outside Linux
//!
//! There an identifier that is marked for removal cannot be relied upon. Token and claim are the process itself, by
//! its number and the time it started, which two processes of one number do not have in common:
//!
//! | bits | hold on macOS | hold on FreeBSD |
//! |---|---|---|
//! | 0 to 30 | process id | process id |
//! | 31 to 62 | microseconds from 1970 to its start, low bits | microseconds from boot to its start, low bits |
//! | 63 | 1 | 1 |
//!
//! FreeBSD keeps the start relative to boot and adds the time of boot when asked; that changes with the clock, so
//! it is taken off again. A claim is mistaken for another only if the number is reused, by a process that started a
//! multiple of 72 minutes later, to the microsecond.
//!
//! The test of life is `sysctl(KERN_PROC_PID)`; zombies are dead. Weaknesses that tokens do not have: a process
//! that executes another program goes on being alive. Where one process may not see another (FreeBSD: in another
//! jail, or with `security.bsd.see_other_uids=0`) it would take it for dead: such processes must not share a ring.
//! All this has been type-checked and never run.

use super::PeerState;
use crate::Error;
use crate::fork::Here;
use crate::segment::{Access, Fingerprint, Segment, SegmentId};
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

/// A participant as one word of shared memory. See the [module](self) for the bits. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim(u64);

/// Whether a participant lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dead,
    /// This thread sees another IPC namespace than the buffer's: it may judge nobody.
    Unknown,
}

impl From<Life> for PeerState {
    fn from(life: Life) -> Self {
        match life {
            Life::Alive => Self::Alive,
            Life::Dead => Self::Dead,
            Life::Unknown => Self::Unknown,
        }
    }
}

/// Identifier or process id: neither is negative.
const ID_BITS: u32 = 31;
#[cfg(target_os = "linux")]
const TIME_BITS: u32 = 17;
#[cfg(not(target_os = "linux"))]
const TIME_BITS: u32 = 32;
/// Sizes of tokens: below 2^16. Elsewhere always 1, for no claim is 0 or looks like the header's READY.
#[cfg(target_os = "linux")]
const NONCE_BITS: u32 = u64::BITS - ID_BITS - TIME_BITS;

/// What the kernel says about a participant that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// As numbered in the pid namespace of the process that asks; `None` if it has no number there.
    pub(crate) pid: Option<u32>,
    /// When its token was made, or the process if that is the token.
    pub(crate) since: Option<SystemTime>,
}

impl Claim {
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

    fn of(id: i32, time: u64, nonce: u64) -> Self {
        let id = u64::from(id.unsigned_abs()) & ((1 << ID_BITS) - 1);
        let time = time & ((1 << TIME_BITS) - 1);
        Self(nonce << (ID_BITS + TIME_BITS) | time << ID_BITS | id)
    }

    fn id_bits(self) -> i32 {
        (self.0 & ((1 << ID_BITS) - 1)) as i32
    }

    #[cfg(target_os = "linux")]
    fn id(self) -> SegmentId {
        SegmentId::from_raw(self.id_bits())
    }

    /// Whether the participant lives, seen from a thread that uses the buffer in `place`.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)`; before the verdict "dead" once more on the buffer itself, and a look at
    /// `/proc`.
    pub(crate) fn life(self, place: &Place) -> Life {
        if self.is_kept() {
            Life::Alive
        } else if place.is_here() {
            // Asked again: the first question may have been asked right before this thread came back to the
            // namespace.
            if self.is_kept() {
                Life::Alive
            } else {
                Life::Dead
            }
        } else {
            Life::Unknown
        }
    }

    /// Whether the kernel still keeps the participant, seen from the calling thread's IPC namespace.
    #[cfg(target_os = "linux")]
    fn is_kept(self) -> bool {
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
    fn is_kept(self) -> bool {
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
    fn of_status(status: &crate::Status) -> Option<Self> {
        let since = status.change_time()?.duration_since(std::time::UNIX_EPOCH);
        let nonce = status.size_bytes() as u64;
        let fits = nonce != 0 && nonce < 1 << NONCE_BITS;
        fits.then_some(Self::of(status.id().as_raw(), since.ok()?.as_secs(), nonce))
    }
}

/// The buffer as the thread that attached it saw it: where identifiers mean what they meant then.
#[derive(Debug)]
pub(crate) struct Place {
    id: SegmentId,
    fingerprint: Fingerprint,
}

impl Place {
    /// Fails if the status of the buffer cannot be read: such a process may not take part.
    pub(crate) fn of<A: Access>(segment: &Segment<A>) -> Result<Self, Error> {
        let status = segment.status()?;
        Ok(Self {
            id: segment.id(),
            fingerprint: Fingerprint::new(&status),
        })
    }

    pub(crate) fn is_here(&self) -> bool {
        self.fingerprint.is_named_by(self.id)
    }
}

/// The running process's own token, attached as long as this lives.
#[derive(Debug)]
pub(crate) struct Token {
    claim: Claim,
    /// Dropped by the process that attached it alone: nothing is mapped there in a child.
    #[cfg(target_os = "linux")]
    segment: std::mem::ManuallyDrop<Segment<crate::ReadOnly>>,
    here: Here,
}

/// The last token made, shared by everything in this process that takes part somewhere.
static CURRENT: Mutex<Weak<Token>> = Mutex::new(Weak::new());

impl Token {
    /// The token of this process in the IPC namespace of the calling thread; makes one if need be.
    ///
    /// **C calls,** to make one: `shmget`, `shmat`, `madvise`, two `shmctl(IPC_STAT)`, `shmctl(IPC_RMID)`.
    pub(crate) fn current() -> Result<Arc<Self>, Error> {
        // Not `lock`: in a child forked while another thread of the parent held it, it would never be free.
        let Ok(mut current) = CURRENT.try_lock() else {
            return Self::make().map(Arc::new);
        };
        if let Some(token) = current.upgrade() {
            // Not seen: the thread is in another namespace now, where nobody could see this token.
            if token.here.is_current() && token.claim.is_kept() {
                return Ok(token);
            }
        }
        let token = Arc::new(Self::make()?);
        *current = Arc::downgrade(&token);
        Ok(token)
    }

    pub(crate) fn claim(&self) -> Claim {
        self.claim
    }

    #[cfg(target_os = "linux")]
    fn make() -> Result<Self, Error> {
        use crate::error::{Call, ErrorKind, Hint};
        use crate::sys::{mapping, os, process};
        use crate::system::{TOKEN_MAX_BYTES, TOKEN_MODE};
        use crate::{Key, SegmentOptions};

        const { assert!(TOKEN_MAX_BYTES == (1 << NONCE_BITS) - 1) };

        let call = |id: SegmentId| Call::Madvise {
            id: id.as_raw(),
            advice: "MADV_DONTFORK",
        };
        let nobody = SegmentId::from_raw(-1);
        let here = Here::new().map_err(|errno| Error::from_call(call(nobody), errno))?;
        // A fork between attaching and the advice is rare; many in a row are a process that does nothing but fork.
        for _ in 0..1000 {
            let nonce = process::random_u64()
                .map_err(|errno| Error::from_call(Call::Random, errno))?
                % TOKEN_MAX_BYTES as u64
                + 1;
            let id = SegmentOptions::new()
                .size_bytes(nonce as usize)
                .mode(TOKEN_MODE)
                .no_reserve(true)
                .create_unattached(Key::PRIVATE)?;
            let segment = match id.attach_read_only() {
                Ok(segment) => segment,
                Err(error) => {
                    let _ = id.mark_for_removal();
                    return Err(error);
                }
            };
            let advice = os::MADV_DONTFORK;
            #[allow(unsafe_code)]
            // SAFETY: the mapping was made above and nobody relies on finding it in a child.
            let advised = unsafe { mapping::advise(segment.base().cast(), nonce as usize, advice) };
            let status = segment.status();
            // Marked in any case: what is not used must go, and what is used goes with this process from here on.
            id.mark_for_removal()?;
            advised.map_err(|errno| Error::from_call(call(id), errno))?;
            if status?.attached() != 1 {
                continue;
            }
            // Read after marking, in case marking moved the time.
            let Some(claim) = Claim::of_status(&segment.status()?) else {
                continue;
            };
            return Ok(Self {
                claim,
                segment: std::mem::ManuallyDrop::new(segment),
                here,
            });
        }
        Err(Error::refused(
            call(nobody),
            ErrorKind::Other,
            Hint::Text("this process forks faster than it can attach a segment of its own"),
        ))
    }

    #[cfg(not(target_os = "linux"))]
    fn make() -> Result<Self, Error> {
        use crate::error::{Call, ErrorKind, Hint};
        use crate::sys::{os, process};
        let failed = |errno| Error::from_call(Call::ProcessStart, errno);
        let here = Here::new().map_err(failed)?;
        let pid = process::pid();
        let start = os::process_start(pid).map_err(failed)?.ok_or_else(|| {
            let hint = "the kernel does not show this process to itself";
            Error::refused(Call::ProcessStart, ErrorKind::Other, Hint::Text(hint))
        })?;
        Ok(Self {
            claim: Claim::of(pid, start.mark_micros, 1),
            here,
        })
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if self.here.is_current() {
            #[allow(unsafe_code)]
            // SAFETY: dropped once, here, and not used afterwards. In a forked child this is left out: the mapping
            // is not there, and something else may be.
            unsafe {
                std::mem::ManuallyDrop::drop(&mut self.segment);
            }
        }
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
            let claim = Claim::of(id, seconds, nonce);
            assert_eq!(
                claim.word() & ((1 << ID_BITS) - 1),
                u64::from(id.unsigned_abs())
            );
            assert_eq!(claim.word() >> nonce_at, nonce);
            assert!(claim.is_plausible());
            assert_eq!(Claim::from_word(claim.word()), Some(claim));
        }
        assert_eq!(Claim::from_word(0), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_token_lives_as_long_as_it_is_held() {
        let buffer = crate::SegmentOptions::new()
            .size_bytes(1)
            .create_new(crate::Key::PRIVATE)
            .unwrap();
        buffer.mark_for_removal().unwrap();
        let place = Place::of(&buffer).unwrap();
        let token = Token::make().unwrap();
        let claim = token.claim();
        assert_eq!(claim.life(&place), Life::Alive);
        let status = claim.id().status().unwrap();
        assert_eq!(
            (status.attached(), status.is_marked_for_removal()),
            (1, true)
        );
        drop(token);
        assert_eq!(claim.life(&place), Life::Dead);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_process_shares_one_token() {
        let first = Token::current().unwrap();
        // Another test of this process may hold the lock for a moment, and then a second token is right.
        let second = Token::current().unwrap();
        assert_eq!(first.claim().life(&here()), Life::Alive);
        assert_eq!(second.claim().life(&here()), Life::Alive);
    }

    #[cfg(target_os = "linux")]
    fn here() -> Place {
        let buffer = crate::SegmentOptions::new()
            .size_bytes(1)
            .create_new(crate::Key::PRIVATE)
            .unwrap();
        buffer.mark_for_removal().unwrap();
        // Leaked: the identifier must go on naming it.
        Place::of(buffer.leak()).unwrap()
    }
}
