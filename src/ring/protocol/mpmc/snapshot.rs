//! What a ring for many producers and many consumers says to somebody who only reads.

use super::layout::{Geometry, PARTICIPANTS, SPARE_SLOTS, sleep_at};
use super::slot_word::{LAP_BITS, Phase, Word};
use super::table::Entry;
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
    let (entries, spare_slots) = (words.load(PARTICIPANTS), words.load(SPARE_SLOTS));
    let (layout, g) = Geometry::described(found, entries, spare_slots, len)?;
    let slots = Slots::count(words, &g);
    Ok(RawSnapshot {
        layout,
        pushed: slots.wrap(i128::from(slots.position) + i128::from(slots.items)),
        popped: slots.position,
        wraps_at: slots.wraps_at,
        // At most the capacity.
        len: slots.items as usize,
        capacity: g.capacity as usize,
        max_participants: g.participants as usize,
        is_corrupted: slots.are_corrupted,
        participants: participants(words, &g),
    })
}

pub(super) fn participants(words: Words<'_>, g: &Geometry) -> Vec<TableEntry> {
    (0..g.participants as usize)
        .filter_map(|index| Entry::from_words(g.entry_at(index), |at| words.load(at)))
        .map(|entry| table_entry(words, &entry))
        .collect()
}

fn table_entry(words: Words<'_>, entry: &Entry) -> TableEntry {
    let sleepers = entry
        .role
        .is_none_or(|role| words.load_half(sleep_at(role)) & ASLEEP != 0);
    TableEntry {
        role: entry.role,
        presence: Presence::Claimed(entry.claim),
        pid: Some(entry.pid),
        since: Some(entry.since),
        // The word is shared by the side: that nobody sleeps is known of each, that somebody does of none.
        is_asleep: (!sleepers).then_some(false),
    }
}

/// What all slots together say.
#[derive(Debug, Clone, Copy)]
struct Slots {
    /// How many items, or slots that were skipped, have been taken: laps times the capacity, and what of this lap.
    position: u64,
    items: u64,
    /// `None`: at 2^64.
    wraps_at: Option<u64>,
    are_corrupted: bool,
}

impl Slots {
    /// Each slot counts its own laps; added up, they are the position.
    fn count(words: Words<'_>, g: &Geometry) -> Self {
        let load = |slot| Word(words.load(g.word_at(slot)));
        let wraps_at = u64::from(g.capacity).checked_mul(1 << LAP_BITS);
        let first_lap = load(0).lap();
        let (mut ahead, mut items, mut are_corrupted) = (0_i128, 0, false);
        let mut slot = 0;
        while slot < g.capacity {
            let word = load(slot);
            // The first word of a run speaks for all; one that reaches beyond the end is nonsense, and cut off.
            let left = g.capacity - slot;
            are_corrupted |= word.phase().is_none() || !(1..=left).contains(&word.run());
            let run = word.run().clamp(1, left);
            let laps = i128::from(word.lap().ahead_of(first_lap));
            let (holds_items, are_popped) = match word.phase() {
                Some(Phase::Full | Phase::Redeliver | Phase::Reading | Phase::Rereading) => {
                    (true, false)
                }
                Some(Phase::Drained) => (false, true),
                Some(Phase::Empty | Phase::Writing) | None => (false, false),
            };
            ahead += (laps + i128::from(are_popped)) * i128::from(run);
            items += u64::from(run) * u64::from(holds_items);
            slot += run;
        }
        let position = i128::from(first_lap.get()) * i128::from(g.capacity) + ahead;
        let mut slots = Self {
            position: 0,
            items,
            wraps_at,
            are_corrupted,
        };
        slots.position = slots.wrap(position);
        slots
    }

    fn wrap(&self, position: i128) -> u64 {
        match self.wraps_at {
            Some(wraps_at) => position.rem_euclid(i128::from(wraps_at)) as u64,
            None => position as u64,
        }
    }
}
