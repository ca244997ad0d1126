//! Tokens that a kill left behind: finding them, and removing them without harming the living.
//!
//! A process that takes part in a ring has one [token](crate::bounded_buffer#liveness), a private segment that goes
//! with it, because it is marked for removal as soon as it is attached. Between `shmget` and `IPC_RMID` lie some
//! ten microseconds; a process killed there leaves a segment behind that nobody will ever use:
//!
//! | what SHM_STAT_ANY says | of an abandoned token | of a token in use |
//! |---|---|---|
//! | key | `IPC_PRIVATE` | `IPC_PRIVATE` |
//! | mode | 0400 or 0 | 0400 for some microseconds, then 0 |
//! | size | 1 byte to 1 MiB, never touched | the same |
//! | attached | 0 | 0 for some microseconds, then 1 |
//! | marked for removal | no | no for some microseconds, then yes |
//! | creator | dead | alive |
//! | last attached by | its creator, or nobody | the same |

use super::segments;
use crate::error::{Error, ErrorKind};
use crate::liveness::{NEW_TOKEN_MODE, TOKEN_MAX_BYTES, TOKEN_MODE};
use crate::segment::{ProcessState, SegmentId, Status};
use std::time::{Duration, SystemTime};

/// A token whose process was killed before it could mark it for removal. Made by [`abandoned_tokens`]
/// and [`abandoned_tokens_by_age`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonedToken {
    status: Status,
    evidence: Evidence,
}

/// Why a token counts as abandoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// Its creator is known to be dead.
    Death,
    /// It has been unattached for longer than any living process leaves one.
    Age,
}

impl AbandonedToken {
    /// What the kernel knew about it when it was found.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// for token in sysvshm::system::abandoned_tokens(std::time::Duration::from_secs(10))? {
    ///     println!("segment {} of process {:?}", token.status().id(), token.status().creator_pid());
    /// }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// The token's identifier.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// for token in sysvshm::system::abandoned_tokens(std::time::Duration::from_secs(10))? {
    ///     assert_eq!(token.id(), token.status().id());
    /// }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> SegmentId {
        self.status.id()
    }

    /// Removes it, unless anything about it has changed since it was found. Says whether it did: `false` means that
    /// somebody else removed it, or that it is no abandoned token any more.
    ///
    /// **C calls:** `shmctl(IPC_STAT)`, or `SHM_STAT_ANY` where the mode forbids reading; `kill(pid, 0)`;
    /// `shmctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](ErrorKind::NotOwner) (`EPERM`): it belongs to another user.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// for token in sysvshm::system::abandoned_tokens(std::time::Duration::from_secs(10))? {
    ///     // Another user's stays, and is no reason not to go on.
    ///     let _ = token.remove();
    /// }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn remove(&self) -> Result<bool, Error> {
        match self.id().status_regardless() {
            Ok(now) if now == self.status && self.evidence.is_found_in(&now) => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NoSuchSegment => return Ok(false),
            Err(error) => return Err(error),
        }
        match self.id().mark_for_removal() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Every abandoned token of this IPC namespace that is at least so old, whoever owns it.
///
/// A token counts as abandoned only if nobody is attached and its creator is *known* to be dead. A creator that has
/// no number in this pid namespace is not, nor is one whose number another process has by now; those tokens stay,
/// and [`abandoned_tokens_by_age`] lists them. Nor does a segment count that may have been written to: where
/// `/proc/sysvipc/shm` cannot be read, which tells that, nothing is listed.
///
/// `min_age` guards against being wrong about that. Before Linux 4.17, and in sandboxes that imitate Linux, a
/// creator in another pid namespace may seem dead while it lives; its token looks abandoned for some microseconds
/// only, so ten seconds are plenty. (Were it stopped for longer right there, and lost its token, then its attempt
/// to open the ring would fail with an error, and no more.) [`Duration::ZERO`] is right for who knows that the
/// creators are dead, such as a supervisor that killed them itself. Ages are whole seconds by the wall clock; after
/// the clock was set back, tokens seem younger, and stay longer.
///
/// **C calls:** those of [`segments`]; `kill(pid, 0)` for each segment that has the shape of a token.
///
/// # Errors
///
/// Those of [`segments`]. Systems other than Linux have no tokens, and answer
/// [`Unsupported`](ErrorKind::Unsupported).
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use std::time::Duration;
/// use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer, system};
///
/// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
/// buffer.segment().mark_for_removal()?;
/// let producer = buffer.producer()?; // this process has a token now, and lives
/// let me = Some(std::process::id());
/// let abandoned = system::abandoned_tokens(Duration::ZERO)?;
/// assert!(abandoned.iter().all(|token| token.status().creator_pid() != me));
/// # drop(producer);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("ipcs", "ipcrm"))]
pub fn abandoned_tokens(min_age: Duration) -> Result<Vec<AbandonedToken>, Error> {
    find(min_age, Evidence::Death)
}

/// Every abandoned token of this IPC namespace that is at least so old, whether or not anything is known of its
/// creator.
///
/// For containers that share an IPC namespace and have pid namespaces of their own, as in a pod: there a creator in
/// another container has no number, and [`abandoned_tokens`] leaves its token alone. Here the evidence is the age. A
/// living process attaches its token within microseconds, and one that has never been attached, or no longer is,
/// belongs to nobody, unless its process was stopped right there for as long. That process would lose nothing but
/// its attempt to open a ring, with an error. An hour is a good age; less than ten seconds is taken as ten.
///
/// **C calls:** those of [`segments`].
///
/// # Errors
///
/// Those of [`abandoned_tokens`].
///
/// # Examples
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use std::time::Duration;
///
/// for token in sysvshm::system::abandoned_tokens_by_age(Duration::from_secs(3600))? {
///     let _ = token.remove(); // another user's stays
/// }
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn abandoned_tokens_by_age(min_age: Duration) -> Result<Vec<AbandonedToken>, Error> {
    find(min_age.max(Duration::from_secs(10)), Evidence::Age)
}

fn find(min_age: Duration, evidence: Evidence) -> Result<Vec<AbandonedToken>, Error> {
    let now = SystemTime::now();
    let is_old_enough = |status: &Status| {
        let since = status.change_time();
        // What seems to come from the future was made before the clock was set back: of unknown age.
        let age = since.and_then(|since| now.duration_since(since).ok());
        age.unwrap_or_default() >= min_age
    };
    let mut tokens = Vec::new();
    for entry in segments()? {
        // A token is never touched, so it has no page. One that has belongs to a program that likes this mode too,
        // and what is not known is no token.
        let is_untouched = (entry.resident_bytes, entry.swapped_bytes) == (Some(0), Some(0));
        if is_untouched && is_old_enough(&entry.status) && evidence.is_found_in(&entry.status) {
            let status = entry.status;
            tokens.push(AbandonedToken { status, evidence });
        }
    }
    Ok(tokens)
}

impl Evidence {
    fn is_found_in(self, status: &Status) -> bool {
        has_shape_of_abandoned_token(status)
            && match self {
                // Last: the creator may have died since the status was taken, and then the rest was true before.
                Self::Death => status.creator_state() == ProcessState::Dead,
                Self::Age => true,
            }
    }
}

fn has_shape_of_abandoned_token(status: &Status) -> bool {
    let attached_by_creator_at_most = match status.attach_time() {
        None => true,
        // Neither may have a number here.
        Some(_) => status.last_pid() == status.creator_pid(),
    };
    status.key().is_private()
        && [NEW_TOKEN_MODE, TOKEN_MODE].contains(&status.mode().bits())
        && (1..=TOKEN_MAX_BYTES).contains(&status.size_bytes())
        && !status.is_marked_for_removal()
        && !status.is_locked_in_memory()
        && attached_by_creator_at_most
        && status.attached() == 0
}
