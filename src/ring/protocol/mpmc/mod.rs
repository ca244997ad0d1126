//! The protocol for many producers and many consumers.

pub(crate) mod claim;
pub(crate) mod cursor;
pub(crate) mod endpoint;
pub(crate) mod handle;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod model;
pub(crate) mod recovery;
pub(crate) mod redelivery;
pub(crate) mod slot_word;
mod snapshot;
pub(crate) mod table;
#[cfg(all(test, not(loom)))]
mod tests;

use super::RawProtocol;
use super::attached::Attached;
use super::error::ClaimError;
use super::role::{PeerState, Role};
use super::snapshot::{RawSnapshot, TableEntry};
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::Description;
use crate::ring::shm::memory::{Mapped, Shared};
use crate::ring::shm::slots::{Items, Layout};
use crate::ring::shm::words::Words;
use claim::{count, initialise};
use endpoint::{End, Popping, Pushing};
use layout::{Geometry, PARTICIPANTS, SPARE_SLOTS, TABLE, VERSION};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The protocol for many producers and many consumers, as a type. There is no value of it.
#[derive(Debug, Clone, Copy)]
pub enum Mpmc {}

/// What only this protocol's options have.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    /// Entries of the participant table.
    pub(crate) participants: Option<u64>,
    /// The lap in which a ring starts.
    pub(crate) start_lap: u64,
}

/// Entries of the participant table unless set.
const PARTICIPANTS_UNLESS_SET: u64 = 64;

impl RawProtocol for Mpmc {
    const NAME: &'static str = "mpmc";
    const MAGIC: u64 = layout::MAGIC;
    const VERSION: u32 = VERSION;
    const FRONT: usize = TABLE;
    type Geometry = Geometry;
    type Extra = Extra;
    const EXTRA: Extra = Extra {
        participants: None,
        start_lap: 0,
    };
    type Push = End<Pushing>;
    type Pop = End<Popping>;

    fn geometry(extra: &Extra, layout: Layout, items: Items) -> Option<Geometry> {
        let participants = extra.participants.unwrap_or(PARTICIPANTS_UNLESS_SET);
        Geometry::new(
            layout,
            items.capacity,
            participants,
            items.size,
            items.align,
        )
    }

    #[allow(unsafe_code, reason = "reads words at constant offsets")]
    fn find(
        extra: &Extra,
        memory: Mapped,
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Geometry), LayoutFault> {
        // SAFETY: a constant of the layout, below `FRONT`.
        let participants = unsafe { memory.load(PARTICIPANTS, Ordering::Relaxed) };
        let wanted = extra.participants.unwrap_or(participants);
        LayoutFault::unless_equal("participant table", participants, wanted)?;
        // SAFETY: as above.
        let spare_slots = unsafe { memory.load(SPARE_SLOTS, Ordering::Relaxed) };
        Geometry::described(found, participants, spare_slots, len)
    }

    fn total_bytes(geometry: &Geometry) -> usize {
        geometry.total_bytes
    }

    fn capacity(geometry: &Geometry) -> usize {
        geometry.capacity as usize
    }

    fn start(_: &Extra) -> u64 {
        0
    }

    fn initialise(extra: &Extra, memory: Mapped, geometry: &Geometry) {
        initialise(memory, geometry, extra.start_lap);
    }

    fn push_end(ring: &Arc<Attached<Geometry>>) -> Result<End<Pushing>, ClaimError> {
        End::claim(ring)
    }

    fn pop_end(ring: &Arc<Attached<Geometry>>) -> Result<End<Popping>, ClaimError> {
        End::claim(ring)
    }

    fn state(ring: &Attached<Geometry>, role: Role) -> PeerState {
        ring.state(role)
    }

    fn len(ring: &Attached<Geometry>) -> usize {
        count(ring.memory, &ring.geometry) as usize
    }

    fn participants(words: Words<'_>, geometry: &Geometry) -> Vec<TableEntry> {
        snapshot::participants(words, geometry)
    }

    fn snapshot(
        words: Words<'_>,
        found: &Description,
        len: usize,
    ) -> Result<RawSnapshot, LayoutFault> {
        snapshot::snapshot(words, found, len)
    }
}
