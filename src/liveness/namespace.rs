//! [`NamespaceAnchor`]: whether identifiers mean, to the calling thread, what they meant when a ring was attached.

use super::inquiry::{Answer, Way};
use crate::Error;
use crate::segment::{Access, Segment};
use crate::sys::os;

/// The ring's own segment, which this process has attached and which therefore exists: the witness for every verdict
/// about others.
///
/// A thread that went to another IPC namespace sees none of the ring's participants, and a call that the kernel or a
/// filter does not know answers as if nobody existed. In both cases the witness is not seen either, and nobody is
/// judged.
///
/// It is known again by its size, which nothing changes, and by the namespace; where `/proc` does not tell the
/// namespace, by its creator's process id. Owner, mode and change time move with every `IPC_SET` and are not looked
/// at, nor is the creator's user, whose number depends on the user namespace.
#[derive(Debug)]
pub(crate) struct NamespaceAnchor {
    id: i32,
    size_bytes: u64,
    creator_pid: i32,
    namespace: Option<(u64, u64)>,
}

impl NamespaceAnchor {
    /// The calling thread has attached the segment just now, or has made sure that the identifier still names it.
    ///
    /// Fails if no status of the segment can be had: such a process may not take part.
    pub(crate) fn of<A: Access>(segment: &Segment<A>) -> Result<Self, Error> {
        let status = segment.id().status_regardless()?;
        Ok(Self {
            id: segment.id().as_raw(),
            size_bytes: status.size_bytes() as u64,
            creator_pid: status.creator_pid().unwrap_or(0) as i32,
            namespace: os::ipc_namespace(),
        })
    }

    /// Whether the identifier names the ring for the calling thread, by any way of asking.
    pub(crate) fn is_reachable(&self) -> bool {
        Way::all().any(|way| self.is_shown_by(way))
    }

    /// Whether this way of asking shows the ring to the calling thread.
    pub(super) fn is_shown_by(&self, way: Way) -> bool {
        let Answer::Found(seen) = way.ask(self.id) else {
            return false;
        };
        // While it is attached, its identifier cannot be given to another segment of its namespace.
        seen.size_bytes == self.size_bytes
            && match (self.namespace, os::ipc_namespace()) {
                (Some(then), Some(now)) => then == now,
                _ => seen.creator_pid == self.creator_pid,
            }
    }
}
