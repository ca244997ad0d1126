//! How slots change hands: the protocols of the rings, and what the [front](crate::ring::front) asks of each.

pub(crate) mod attached;
pub(crate) mod error;
pub(crate) mod mpmc;
pub(crate) mod role;
pub(crate) mod snapshot;
pub(crate) mod spsc;

use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::Description;
use crate::ring::shm::memory::Mapped;
use crate::ring::shm::slots::{Items, Layout};
use crate::ring::shm::words::Words;
use crate::ring::wait::{Cancel, Deadline, WaitError, WaitOptions};
use attached::Attached;
use bytemuck::Pod;
use error::{ClaimError, TryError};
use role::{PeerState, Role};
use snapshot::{RawSnapshot, TableEntry};
use std::fmt::Debug;
use std::sync::Arc;

/// How many producers and consumers a ring has, and how its slots change hands between them:
/// [`Spsc`](crate::bounded_buffer::spsc::Spsc) or [`Mpmc`](crate::bounded_buffer::mpmc::Mpmc). Sealed.
#[allow(
    private_bounds,
    reason = "sealed: other crates cannot write a protocol"
)]
pub trait Protocol: RawProtocol {}

#[allow(private_bounds, reason = "as above")]
impl<P: RawProtocol> Protocol for P {}

/// What makes a protocol.
pub(crate) trait RawProtocol: Sized + 'static {
    /// The name of the module that users know it by.
    const NAME: &'static str;
    const MAGIC: u64;
    const VERSION: u32;
    /// Bytes that every ring of this kind has in front of its slots. A segment must have as many before anything is
    /// read.
    const FRONT: usize;
    type Geometry: Copy + Debug + PartialEq + Send + Sync;
    /// What only this protocol's options have.
    type Extra: Clone + Debug + Send + Sync;
    /// What they are unless set.
    const EXTRA: Self::Extra;
    type Push: PushEnd<Geometry = Self::Geometry>;
    type Pop: PopEnd<Geometry = Self::Geometry>;

    /// The geometry of a ring that is made like this; `None` if there cannot be such a ring.
    fn geometry(extra: &Self::Extra, layout: Layout, items: Items) -> Option<Self::Geometry>;

    /// Layout and geometry of the ring in `memory`, of which at least `FRONT` and in all `len` bytes are there, and
    /// of which the header says this. Nothing of it is trusted.
    ///
    /// # Errors
    ///
    /// `Mismatch`: it is no ring of this kind, or larger than the segment. `CapacityOutOfRange`.
    fn find(
        extra: &Self::Extra,
        memory: Mapped,
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Self::Geometry), LayoutFault>;

    fn total_bytes(geometry: &Self::Geometry) -> usize;
    fn capacity(geometry: &Self::Geometry) -> usize;

    /// What the header says about where the ring starts.
    fn start(extra: &Self::Extra) -> u64;

    /// Fills everything after the header. Does not depend on what was there.
    fn initialise(extra: &Self::Extra, memory: Mapped, geometry: &Self::Geometry);

    /// Claims a place among the producers.
    fn push_end(ring: &Arc<Attached<Self::Geometry>>) -> Result<Self::Push, ClaimError>;
    /// Claims a place among the consumers.
    fn pop_end(ring: &Arc<Attached<Self::Geometry>>) -> Result<Self::Pop, ClaimError>;

    /// What is known of those who have a role.
    fn state(ring: &Attached<Self::Geometry>, role: Role) -> PeerState;
    /// How many items there are, at some moment of the past.
    fn len(ring: &Attached<Self::Geometry>) -> usize;

    /// What is said of each participant, in the words of a ring of this geometry.
    fn participants(words: Words<'_>, geometry: &Self::Geometry) -> Vec<TableEntry>;

    /// What the words of a ring say that is ready, in a segment of `len` bytes, at least `FRONT`. Nothing of it is
    /// trusted.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    fn snapshot(
        words: Words<'_>,
        found: &Description,
        len: usize,
    ) -> Result<RawSnapshot, LayoutFault>;
}

/// What a producer or a consumer keeps by value in its handle, so that what changes stays in registers.
///
/// A *run* is slots claimed together, one or more. Each call that may wait takes the way to its deadline, not the
/// deadline: the clock is read when there is something to wait for.
pub(crate) trait Endpoint: Send + Sync {
    type Run: Copy + Debug;
    type Geometry;

    /// The ring, which the handle keeps attached.
    fn ring(&self) -> &Arc<Attached<Self::Geometry>>;

    /// Whether other handles wait for a run until it is completed or cancelled.
    const HOLDS_SLOTS: bool;

    /// What ends the handle's waits from outside.
    fn cancel(&self) -> &Arc<Cancel>;

    /// Whether the running process made the handle, and is not a fork of it. One load.
    fn is_current(&self) -> bool;

    /// Items in the ring, as far as this end knows.
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Claims up to `wanted` slots, at least one. `wanted` is not 0.
    fn try_claim(&mut self, wanted: usize) -> Result<Self::Run, TryError>;
    /// Claims up to `wanted` slots, at least one, waiting for the first. `wanted` is not 0.
    fn claim(
        &mut self,
        wanted: usize,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<Self::Run, WaitError>;

    /// As much of a run as lies side by side.
    fn side_by_side(&self, run: Self::Run) -> Self::Run;
    fn run_len(run: Self::Run) -> usize;
    /// Where the item `index` of a run is, and from one to the next. `index` is at most the length of the run, which
    /// lies side by side.
    fn place(&self, run: Self::Run, index: usize) -> Place;

    /// Pushes or pops the first `count` items of a run, at least one, by one store; then wakes who waits for that.
    fn complete(&mut self, run: Self::Run, count: usize);

    /// Notes that a run was handed out, to be undone by [`cancel_pending`](Self::cancel_pending).
    fn set_pending(&mut self, _: Self::Run) {}
    /// Notes that the run that was handed out is being completed.
    fn clear_pending(&mut self) {}
    /// Undoes the claim of a run that was handed out, if there is one.
    fn cancel_pending(&mut self) {}

    /// Says whether the running process may use the handle, and undoes the claim of a run that was handed out and
    /// forgotten.
    #[inline(always)]
    fn is_ready(&mut self) -> bool {
        let is_current = self.is_current();
        if is_current {
            self.cancel_pending();
        }
        is_current
    }
}

/// Where an item is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(super) memory: Mapped,
    pub(super) at: usize,
    pub(super) stride: usize,
}

/// What pushing at once did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtOnce {
    /// Nothing: there is something to find out or to wait for first.
    No,
    Yes,
    /// The same, and the other side may sleep: to be [woken](PushEnd::wake).
    ToSleeper,
}

/// Whether items of this type are not moved in registers: each way of handing one over is a copy.
pub(super) const fn is_large<T>() -> bool {
    size_of::<T>() > 128
}

/// The end that pushes.
pub(crate) trait PushEnd: Endpoint {
    /// Whether [`push_at_once`](Self::push_at_once) does anything.
    const HAS_SHORT_WAY: bool = false;

    /// Pushes an item if that takes a handful of instructions: what a call is for most of the time. Calls nothing.
    ///
    /// Whether the running process [made the handle](Endpoint::is_current) is part of it.
    #[inline(always)]
    fn push_at_once<T: Pod>(&mut self, _: &T) -> AtOnce {
        AtOnce::No
    }
    /// Wakes the other side.
    fn wake(&mut self) {}

    fn try_push<T: Pod>(&mut self, item: &T) -> Result<(), TryError>;
    fn push<T: Pod>(
        &mut self,
        item: &T,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<(), WaitError>;
    /// Copies items into a run, from its first slot on: at most as many as it has.
    fn write<T: Pod>(&self, run: Self::Run, items: &[T]);
}

/// The end that pops.
///
/// What goes wrong is returned as whatever the caller makes of it: an item of some size is copied each time that it
/// goes from one `Result` into another.
pub(crate) trait PopEnd: Endpoint {
    /// Whether [`pop_at_once`](Self::pop_at_once) does anything.
    const HAS_SHORT_WAY: bool = false;

    /// Pops an item that is not [large](is_large), as [`push_at_once`](PushEnd::push_at_once) pushes one.
    #[inline(always)]
    fn pop_at_once<T: Pod>(&mut self) -> Option<T> {
        None
    }

    fn try_pop<T: Pod, E: From<TryError>>(&mut self) -> Result<T, E>;
    fn pop<T: Pod, E: From<WaitError>>(
        &mut self,
        deadline: impl FnOnce() -> Deadline,
        how: WaitOptions,
    ) -> Result<T, E>;
    /// Copies items out of a run, from its first slot on: at most as many as it has.
    fn read<T: Pod>(&self, run: Self::Run, into: &mut [T]);
}
