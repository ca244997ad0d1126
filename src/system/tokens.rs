//! Tokens that a kill left behind: finding them, and removing them without harming the living.
//!
//! A process that takes part in a ring has one [token](crate::bounded_buffer#liveness), a private segment that goes
//! with it, because it is marked for removal as soon as it is attached. Between `shmget` and `IPC_RMID` lie some
//! ten microseconds; a process killed there leaves a segment behind that nobody will ever use:
//!
//! | what IPC_STAT says | of an abandoned token | of a token in use |
//! |---|---|---|
//! | key | `IPC_PRIVATE` | `IPC_PRIVATE` |
//! | mode | 0444 | 0444 |
//! | size | 1 to 65535 bytes, never touched | the same |
//! | attached | 0 | 0 for some microseconds, then 1 |
//! | marked for removal | no | no for some microseconds, then yes |
//! | creator | dead | alive |
//! | last attached by | its creator, or nobody | the same |

use super::segments;
use crate::error::{Error, ErrorKind};
use crate::liveness::{TOKEN_MAX_BYTES, TOKEN_MODE};
use crate::segment::{ProcessState, SegmentId, Status};
use std::time::{Duration, SystemTime};

/// A token whose process was killed before it could mark it for removal. Made by [`abandoned_tokens`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonedToken {
    status: Status,
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
    /// **C calls:** `shmctl(IPC_STAT)`, `shmctl(IPC_RMID)`; `kill(pid, 0)` in between.
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
        match self.id().status() {
            Ok(now) if now == self.status && has_shape_of_abandoned_token(&now) => {}
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
/// no number in this pid namespace is not, nor is one whose number another process has by now; those tokens stay.
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
    let now = SystemTime::now();
    let is_old_enough = |status: &Status| {
        let since = status.change_time();
        // What seems to come from the future was made before the clock was set back: of unknown age.
        let age = since.and_then(|since| now.duration_since(since).ok());
        age.unwrap_or_default() >= min_age
    };
    let mut tokens = Vec::new();
    for entry in segments()? {
        // A token is never touched, so it has no page. One that has belongs to a program that likes mode 0444 too.
        let is_untouched = [entry.resident_bytes, entry.swapped_bytes]
            .iter()
            .all(|bytes| bytes.unwrap_or(0) == 0);
        if is_untouched
            && is_old_enough(&entry.status)
            && has_shape_of_abandoned_token(&entry.status)
        {
            let status = entry.status;
            tokens.push(AbandonedToken { status });
        }
    }
    Ok(tokens)
}

fn has_shape_of_abandoned_token(status: &Status) -> bool {
    let attached_by_creator_at_most = match status.attach_time() {
        None => true,
        // No number here: it was somebody in another pid namespace, so not the creator.
        Some(_) => status.last_pid().is_some() && status.last_pid() == status.creator_pid(),
    };
    status.key().is_private()
        && status.mode().bits() == TOKEN_MODE
        && (1..=TOKEN_MAX_BYTES).contains(&status.size_bytes())
        && !status.is_marked_for_removal()
        && !status.is_locked_in_memory()
        && attached_by_creator_at_most
        && status.attached() == 0
        // Last: the creator may have died since the status was taken, and then the rest was true before.
        && status.creator_state() == ProcessState::Dead
}
