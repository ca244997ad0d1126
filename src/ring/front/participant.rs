//! [`Participant`]: a handle of a ring as others see it.

use crate::liveness::{Liveness, NamespaceAnchor};
use crate::ring::protocol::role::{PeerState, Role};
use crate::ring::protocol::snapshot::{Presence, TableEntry};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A process that takes part, or the role that it might have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// `None`: it initialises; in an `mpmc` ring: it is about to say, or died before.
    pub role: Option<Role>,
    /// Whether it lives. [`Never`](PeerState::Never) and [`Left`](PeerState::Left) are roles of an `spsc` ring that
    /// nobody has. [`Unknown`](PeerState::Unknown): this thread is in another IPC namespace than the ring.
    pub state: PeerState,
    /// Its process, as numbered here. Of the dead only an `mpmc` ring has kept one, as they saw it themselves: in
    /// another pid namespace it is another.
    pub pid: Option<u32>,
    /// `mpmc`: when it took its place. `spsc`: since when the process has its token, with which it takes part in
    /// everything; `None` for the dead. To the second.
    pub since: Option<SystemTime>,
    /// Whether it sleeps until there is something to do. `None`: not to be known, as of the dead, and in an `mpmc`
    /// ring while somebody on its side sleeps.
    pub is_asleep: Option<bool>,
}

impl Participant {
    /// What the ring says of it, and the kernel.
    pub(crate) fn of(entry: &TableEntry, anchor: &NamespaceAnchor) -> Self {
        let (state, holder) = match entry.presence {
            Presence::Never => (PeerState::Never, None),
            Presence::Left => (PeerState::Left, None),
            Presence::Claimed(owner) => match owner.liveness(anchor) {
                Liveness::Alive => (PeerState::Alive, owner.holder()),
                Liveness::Dead => (PeerState::Dead, None),
                Liveness::Unknown => (PeerState::Unknown, None),
            },
        };
        let noted = entry.since.filter(|&seconds| seconds != 0);
        let since = noted.and_then(|at| UNIX_EPOCH.checked_add(Duration::from_secs(at)));
        Self {
            role: entry.role,
            state,
            // As numbered here, if the kernel knows it still.
            pid: holder
                .and_then(|holder| holder.pid)
                .or(entry.pid.filter(|&pid| pid != 0)),
            since: since.or(holder.and_then(|holder| holder.since)),
            is_asleep: entry.is_asleep.filter(|_| state == PeerState::Alive),
        }
    }
}
