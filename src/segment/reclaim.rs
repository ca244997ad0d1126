//! Knowing a segment again before removing it: on drop, and when a stale one is replaced.

use crate::error::{Call, Command, Error, ErrorKind, Hint};
use crate::segment::{ProcessState, SegmentId, Status};
use crate::sys::os;
use std::time::SystemTime;

/// What stays the same about a segment as long as it lives, and differs from the next one with the same identifier.
///
/// An identifier cannot be reused while the segment is attached, except by going elsewhere: after
/// `unshare(CLONE_NEWIPC)` or `setns(2)` the same number names another namespace's segment, possibly one that this
/// very process made with the same size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    creator: (Option<u32>, u32, u32),
    size_bytes: usize,
    change_time: Option<SystemTime>,
    /// `None` without /proc.
    namespace: Option<(u64, u64)>,
}

impl Fingerprint {
    pub(super) fn new(status: &Status) -> Self {
        Self {
            creator: (
                status.creator_pid(),
                status.creator_uid(),
                status.creator_gid(),
            ),
            size_bytes: status.size_bytes(),
            change_time: status.change_time(),
            namespace: os::ipc_namespace(),
        }
    }

    /// Whether `self`, taken when the segment was attached, and `now` are about the same segment; `None` if only a
    /// detach can tell.
    fn still(&self, now: &Self) -> Option<bool> {
        let looks_different = self.creator != now.creator
            || self.size_bytes != now.size_bytes
            || self.change_time != now.change_time;
        match (self.namespace, now.namespace) {
            // Within one namespace an attached id cannot change hands. An IPC_SET moves the change time, and a thread
            // that entered another user or pid namespace reads another uid or pid of the creator.
            (Some(then), Some(now)) => Some(then == now),
            // Blind: rather leave a segment behind than remove another one.
            _ if looks_different => Some(false),
            // Only Linux has namespaces to be lost in.
            _ => (!cfg!(target_os = "linux")).then_some(true),
        }
    }

    /// Detaches, and marks the segment for removal if `id` still names it. That it is gone already is no error; that
    /// the calling thread cannot reach it is one.
    pub(super) fn remove(
        &self,
        id: SegmentId,
        detach: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let before = look(id);
        let still = match &before {
            Ok(Some(status)) => self.still(&Self::new(status)),
            // What is attached exists, in its own namespace. A BSD may hide one that is marked.
            Ok(None) => Some(!cfg!(target_os = "linux") || self.namespace == os::ipc_namespace()),
            Err(_) => Some(true),
        };
        let marked = match (&before, still) {
            (Ok(Some(_)), Some(true)) => mark(id),
            _ => Ok(()),
        };
        detach()?;
        match (before?, still) {
            (_, Some(true)) => marked,
            // A process may make two segments of one size in two namespaces within a second, with one identifier.
            // What was just detached from counts an attach less; if others attached meanwhile that cannot be seen,
            // and it stays.
            (Some(status), None) => match look(id)? {
                Some(now) if now.attached() < status.attached() => mark(id),
                _ => Err(out_of_reach(id)),
            },
            _ => Err(out_of_reach(id)),
        }
    }
}

fn out_of_reach(id: SegmentId) -> Error {
    let hint = Hint::Text(
        "the calling thread seems to be in another IPC namespace than the segment, which was detached and stays; detach in a thread of its own namespace, or remove it there (`ipcrm -m`)",
    );
    let call = Call::shmctl(id.as_raw(), Command::Remove);
    Error::refused(call, ErrorKind::WrongNamespace, hint)
}

/// The status, or `None` if there is no such segment.
fn look(id: SegmentId) -> Result<Option<Status>, Error> {
    match id.status_regardless() {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(None),
        Err(error) => Err(error),
    }
}

/// Marks for removal what may be gone already.
fn mark(id: SegmentId) -> Result<(), Error> {
    match id.mark_for_removal() {
        Err(error) if error.kind() != ErrorKind::NoSuchSegment => Err(error),
        _ => Ok(()),
    }
}

/// Removes the segment if its creator is known to be dead and nobody attaches it. Says whether it did.
///
/// Between the second look and the removal another process may still attach; it then keeps a segment that nobody
/// else will find.
pub(crate) fn remove_if_stale(id: SegmentId) -> Result<bool, Error> {
    remove_if_still_stale(id, || ())
}

/// `meanwhile` stands for whatever other processes do between the two looks.
fn remove_if_still_stale(id: SegmentId, meanwhile: impl FnOnce()) -> Result<bool, Error> {
    let is_stale =
        |status: &Status| status.attached() == 0 && status.creator_state() == ProcessState::Dead;
    let Ok(first) = id.status() else {
        // Not to be looked at, or gone: the next step of the caller will say which.
        return Ok(false);
    };
    if !is_stale(&first) {
        return Ok(false);
    }
    meanwhile();
    // Whoever attached and left in between has moved the times, the count or the last pid.
    match id.status() {
        Ok(second) if second == first => {}
        _ => return Ok(false),
    }
    match id.mark_for_removal() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(true),
        // Another user's: not stale for us.
        Err(error) if error.kind() == ErrorKind::NotOwner => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;
    use crate::segment::SegmentOptions;
    use std::process;

    /// Names the key under which the copy of this binary shall create a segment.
    const KEY: &str = "SYSVSHM_UNIT_TEST_STALE_KEY";

    /// A segment whose creator is dead: a copy of this binary ran the calling test as far as this and ended.
    fn stale(test: &str) -> SegmentId {
        let mut options = SegmentOptions::new();
        options.size_bytes(100);
        if let Ok(key) = std::env::var(KEY) {
            options.create_unattached(key.parse().unwrap()).unwrap();
            process::exit(0);
        }
        let key = Key::random().unwrap();
        let mut copy = process::Command::new(std::env::current_exe().unwrap());
        copy.args(["--exact", test]).env(KEY, key.to_string());
        assert!(copy.output().unwrap().status.success());
        SegmentId::find(key).unwrap()
    }

    #[test]
    fn stale_is_removed_unless_somebody_attaches_between_the_looks() {
        let id = stale(
            "segment::reclaim::tests::stale_is_removed_unless_somebody_attaches_between_the_looks",
        );
        let mut segment = None;
        let removed = remove_if_still_stale(id, || segment = id.attach().ok());
        assert!(!removed.unwrap());
        assert!(!id.status().unwrap().is_marked_for_removal());
        drop(segment);
        let removed = remove_if_still_stale(id, || id.set_mode(0o640).unwrap());
        assert!(!removed.unwrap());
        assert!(remove_if_still_stale(id, || ()).unwrap());
        assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    }
}
