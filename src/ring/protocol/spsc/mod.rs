//! The protocol for one producer and one consumer.

pub(crate) mod claim;
pub(crate) mod cursor;
pub(crate) mod endpoint;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod model;
pub(crate) mod pop;
pub(crate) mod push;
mod snapshot;
#[cfg(all(test, not(loom)))]
mod tests;

use super::RawProtocol;
use super::attached::Attached;
use super::error::ClaimError;
use super::role::{PeerState, Role};
use super::snapshot::{RawSnapshot, TableEntry};
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::Description;
use crate::ring::shm::memory::Mapped;
use crate::ring::shm::slots::{Items, Layout};
use crate::ring::shm::words::Words;
use cursor::{count, initialise};
use layout::{Geometry, SLOTS, VERSION};
use std::sync::Arc;

/// The protocol for one producer and one consumer, as a type. There is no value of it.
#[derive(Debug, Clone, Copy)]
pub enum Spsc {}

/// What only this protocol's options have.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    /// The position at which a ring starts.
    pub(crate) start: u64,
}

impl RawProtocol for Spsc {
    const NAME: &'static str = "spsc";
    const MAGIC: u64 = layout::MAGIC;
    const VERSION: u32 = VERSION;
    const FRONT: usize = SLOTS;
    type Geometry = Geometry;
    type Extra = Extra;
    const EXTRA: Extra = Extra { start: 0 };
    type Push = endpoint::Push;
    type Pop = endpoint::Pop;

    fn geometry(_: &Extra, layout: Layout, items: Items) -> Option<Geometry> {
        Geometry::new(layout, items.capacity, items.size, items.align)
    }

    fn find(
        _: &Extra,
        _: Mapped,
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Geometry), LayoutFault> {
        Geometry::described(found, len)
    }

    fn total_bytes(geometry: &Geometry) -> usize {
        geometry.total_bytes
    }

    fn capacity(geometry: &Geometry) -> usize {
        geometry.capacity as usize
    }

    fn start(extra: &Extra) -> u64 {
        extra.start
    }

    fn initialise(extra: &Extra, memory: Mapped, geometry: &Geometry) {
        initialise(memory, geometry, extra.start);
    }

    fn push_end(ring: &Arc<Attached<Geometry>>) -> Result<endpoint::Push, ClaimError> {
        endpoint::Push::claim(ring)
    }

    fn pop_end(ring: &Arc<Attached<Geometry>>) -> Result<endpoint::Pop, ClaimError> {
        endpoint::Pop::claim(ring)
    }

    fn state(ring: &Attached<Geometry>, role: Role) -> PeerState {
        ring.state(role)
    }

    fn len(ring: &Attached<Geometry>) -> usize {
        count(ring.memory, &ring.geometry) as usize
    }

    fn participants(words: Words<'_>, _: &Geometry) -> Vec<TableEntry> {
        snapshot::participants(words)
    }

    fn snapshot(
        words: Words<'_>,
        found: &Description,
        len: usize,
    ) -> Result<RawSnapshot, LayoutFault> {
        snapshot::snapshot(words, found, len)
    }
}
