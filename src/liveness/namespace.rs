//! [`NamespaceAnchor`]: whether identifiers mean, to the calling thread, what they meant when a ring was attached.

use super::inquiry::{Answer, Way};
use crate::error::{Error, ErrorKind};
use crate::segment::{Access, ReadOnly, Segment, SegmentId};
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

    /// What the identifier names to the calling thread, attached once more.
    ///
    /// For a segment that was attached before, perhaps by a thread of another IPC namespace: one there and one here may
    /// have the identifier and all else in common but what is in them.
    ///
    /// **C calls:** `shmat(SHM_RDONLY)`, `shmctl(IPC_STAT)`; `shmdt` on drop.
    pub(crate) fn named(&self) -> Result<Named, Error> {
        if cfg!(not(target_os = "linux")) {
            // No namespaces, and what is marked for removal cannot be attached once more.
            return Ok(Named(None));
        }
        match SegmentId::from_raw(self.id).attach_read_only() {
            Ok(segment) => Ok(Named(Some(segment))),
            Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(Named(None)),
            Err(error) => Err(error),
        }
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

/// What an identifier names to the thread that asked. Made by [`NamespaceAnchor::named`].
#[derive(Debug)]
pub(crate) struct Named(Option<Segment<ReadOnly>>);

impl Named {
    /// Whether this word is there, at this offset.
    pub(crate) fn holds(&self, offset: usize, word: u64) -> bool {
        let Some(segment) = &self.0 else {
            return cfg!(not(target_os = "linux"));
        };
        let mut bytes = [0; size_of::<u64>()];
        let is_inside = segment.read_exact_at(offset, &mut bytes).is_ok();
        is_inside && u64::from_ne_bytes(bytes) == word
    }
}
