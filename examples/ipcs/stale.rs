//! When a segment may be removed, and the care that takes.

use sysvshm::{ErrorKind, ProcessState, Status};

/// Whether the creator is known to be dead and nobody is attached. Doubt counts as life.
pub(crate) fn is_stale(status: &Status) -> bool {
    status.attached() == 0 && status.creator_state() == ProcessState::Dead
}

/// Marks the segment for removal if nothing has happened to it since `seen` was taken. Says whether it did.
///
/// Between a list and a decision lies time, in which programs attach and detach, and in which the identifier may
/// even come to name another segment. Whoever did that has changed the attach count, the times, the last pid or the
/// key, so an unchanged status is what counts. An attach that comes between this second look and the removal cannot
/// be seen; System V has no call that would look and remove in one.
pub(crate) fn remove_if_still_stale(seen: &Status) -> Result<bool, sysvshm::Error> {
    match status_now(seen)? {
        Some(now) if now == *seen && is_stale(&now) => {}
        _ => return Ok(false),
    }
    match seen.id().mark_for_removal() {
        Ok(()) => Ok(true),
        // Somebody else was faster.
        Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(false),
        Err(error) => Err(error),
    }
}

/// The status as it is now; `None` if the segment is gone.
fn status_now(seen: &Status) -> Result<Option<Status>, sysvshm::Error> {
    // The mode may deny reading even to the owner, who may remove it nevertheless.
    match seen.id().status_regardless() {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(None),
        Err(error) => Err(error),
    }
}
