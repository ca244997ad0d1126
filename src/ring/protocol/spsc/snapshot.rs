//! What a ring for one producer and one consumer says to somebody who only reads.

use super::layout::{EVER, Geometry, OUT, owner_at, sleep_at};
use crate::liveness::OwnerId;
use crate::ring::protocol::role::Role;
use crate::ring::protocol::snapshot::{Presence, RawSnapshot, TableEntry};
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::Description;
use crate::ring::shm::words::Words;
use crate::ring::wait::ASLEEP;

pub(super) fn snapshot(
    words: Words<'_>,
    found: &Description,
    len: usize,
) -> Result<RawSnapshot, LayoutFault> {
    let (layout, g) = Geometry::described(found, len)?;
    let positions = Positions::find(words, &g);
    Ok(RawSnapshot {
        layout,
        pushed: positions.input.wrapping_sub(found.start),
        popped: positions.out.wrapping_sub(found.start),
        // Of 64 bits.
        wraps_at: None,
        // At most the capacity, of which the segment has the bytes.
        len: positions.input.wrapping_sub(positions.out) as usize,
        capacity: g.capacity as usize,
        max_participants: 2,
        is_corrupted: positions.are_corrupted,
        participants: participants(words),
    })
}

pub(super) fn participants(words: Words<'_>) -> Vec<TableEntry> {
    [Role::Producer, Role::Consumer]
        .map(|role| entry(words, role))
        .to_vec()
}

fn entry(words: Words<'_>, role: Role) -> TableEntry {
    let claim = owner_at(role);
    let presence = match OwnerId::from_word(words.load(claim)) {
        Some(claim) => Presence::Claimed(claim),
        None if words.load(claim + EVER) == 0 => Presence::Never,
        None => Presence::Left,
    };
    TableEntry {
        role: Some(role),
        presence,
        pid: None,
        since: None,
        is_asleep: Some(words.load_half(sleep_at(role)) & ASLEEP != 0),
    }
}

/// Where the two sides are.
#[derive(Debug, Clone, Copy)]
struct Positions {
    input: u64,
    out: u64,
    are_corrupted: bool,
}

impl Positions {
    /// Both, at moments that lie as far apart as it takes to look at all words.
    ///
    /// The producer's is the greatest word. While this looks, words come to be ahead of where `out` was by more
    /// than the capacity, but never of where it is: hence a second look at `out`, behind the words.
    fn find(words: Words<'_>, g: &Geometry) -> Self {
        let before = words.load(OUT);
        let greatest = furthest(words, g, before, i64::MAX as u64);
        let out = words.load(OUT);
        let moved = out.wrapping_sub(before);
        let is_sane = moved <= i64::MAX as u64 && greatest <= moved.saturating_add(g.capacity);
        let (from, ahead) = if is_sane {
            (before, greatest)
        } else {
            // Somebody scribbles: what makes sense, seen from here.
            (out, furthest(words, g, out, g.capacity))
        };
        let input = from.wrapping_add(ahead);
        // Popped since, all of it and more.
        let is_behind = input.wrapping_sub(out) > g.capacity;
        Self {
            input: if is_behind { out } else { input },
            out,
            are_corrupted: !is_sane,
        }
    }
}

/// How far the greatest word is ahead of a position, of those that are by at most `limit`; 0 if none is.
fn furthest(words: Words<'_>, g: &Geometry, position: u64, limit: u64) -> u64 {
    (0..g.capacity as usize)
        .map(|slot| words.load(g.word_at(slot)).wrapping_sub(position))
        .filter(|&ahead| ahead <= limit)
        .max()
        .unwrap_or(0)
}
