//! What a process leaves that is killed while it makes its token, as the documentation says: found and removed.
//!
//! Included by its path where it is used.

use std::time::Duration;
use sysvshm::{Key, Mode, Status, system};

/// What a process created and nothing will remove.
pub(crate) fn left_by(pid: u32) -> Vec<Status> {
    let entries = system::segments().unwrap_or_default().into_iter();
    let statuses = entries.map(|entry| entry.status);
    statuses
        .filter(|status| status.creator_pid() == Some(pid) && !status.is_marked_for_removal())
        .collect()
}

/// Whether this is a token that was left behind, as it is told from every other segment.
pub(crate) fn is_token(status: &Status) -> bool {
    status.key() == Key::PRIVATE
        && status.attached() == 0
        && [Mode::from(0o400), Mode::empty()].contains(&status.mode())
        && (1..=1 << 20).contains(&status.size_bytes())
}

/// Removes the token of a process that was killed, if it left one, as an operator would.
pub(crate) fn remove_token_of(pid: u32) {
    for token in system::abandoned_tokens(Duration::ZERO).unwrap() {
        if token.status().creator_pid() == Some(pid) {
            token.remove().unwrap();
        }
    }
}
