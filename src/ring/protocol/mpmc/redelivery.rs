//! Items that are delivered again: how consumers hear of them, and find them without a look at all slots.
//!
//! Who makes slots REDELIVER notes in a log of 64 entries where they are, and the epoch counts the notes. A consumer
//! compares the epoch with the one that it is done with before every pop, which is a load of a cache line that
//! seldom changes, and takes redelivered items first. They are older than all others, so producers come to their
//! slots next.
//!
//! An entry of the log:
//!
//! | bits | hold |
//! |---|---|
//! | 0 to 13 | one more than how often the log had gone round before this note, modulo 2^14 |
//! | 14 to 32 | how many slots; 0: items may be anywhere |
//! | 33 to 63 | the first of them |
//!
//! ```text
//! epoch e; entry e mod 64: does it bear the round of e?
//!     yes: its writer has not got further. Compare-and-swap the epoch from e to e + 1; begin again
//!     no:  compare-and-swap the entry to the note; if that works, compare-and-swap the epoch from e to e + 1
//! ```
//!
//! So each note stands in an entry of its own before the epoch counts it, and a writer that is killed in between
//! holds up nobody. A consumer that has missed more notes than the log keeps looks at all slots.
//!
//! The log and the epoch are hints: a consumer that is misled by them finds an item late, when it comes round to its
//! slot. A note is lost only with a writer that is killed before it. Then whoever recovers that one notes that items
//! may be [anywhere](super::recovery).
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or an entry of the log, by its number modulo the entries"
)]

use super::claim::{Budget, Run, load, take};
use super::layout::{EPOCH, Geometry, LOG_ENTRIES, log_at};
use super::slot_word::{Owner, Phase};
use crate::ring::shm::memory::Shared;
use std::sync::atomic::Ordering;

/// Slots of which some hold items that are to be delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Where {
    Slots { first: u32, len: u32 },
    Anywhere,
}

const ROUND_BITS: u32 = 14;
const LEN_BITS: u32 = 19;
const ROUND_MASK: u64 = (1 << ROUND_BITS) - 1;
const LEN_MASK: u64 = (1 << LEN_BITS) - 1;

fn round_of(epoch: u64) -> u64 {
    (epoch / LOG_ENTRIES).wrapping_add(1) & ROUND_MASK
}

impl Where {
    fn note(self, epoch: u64) -> u64 {
        let (first, len) = match self {
            Self::Slots { first, len } if u64::from(len) <= LEN_MASK => (first, len),
            _ => (0, 0),
        };
        u64::from(first) << (ROUND_BITS + LEN_BITS) | u64::from(len) << ROUND_BITS | round_of(epoch)
    }

    /// What the note says that belongs to this epoch; anywhere, if another stands there.
    fn noted(note: u64, epoch: u64) -> Self {
        let len = (note >> ROUND_BITS & LEN_MASK) as u32;
        if note & ROUND_MASK != round_of(epoch) || len == 0 {
            return Self::Anywhere;
        }
        Self::Slots {
            first: (note >> (ROUND_BITS + LEN_BITS)) as u32,
            len,
        }
    }
}

/// The number that changes when items have become REDELIVER.
#[inline(always)]
pub(super) fn epoch<M: Shared>(memory: M) -> u64 {
    // Acquire pairs with `announce`: a consumer that sees the new one sees the note and the slots.
    // SAFETY: a constant of the layout.
    unsafe { memory.load(EPOCH, Ordering::Acquire) }
}

/// Tells consumers that slots have become REDELIVER, and where.
pub(super) fn announce<M: Shared>(memory: M, at: Where) {
    // Others announce something a few times per dead participant. More comes from a process that scribbles, and is
    // no reason to stay here.
    for _ in 0..1000 {
        let epoch = epoch(memory);
        let entry = log_at(epoch);
        // SAFETY: an entry of the log.
        let before = unsafe { memory.load(entry, Ordering::Acquire) };
        let is_free = before & ROUND_MASK != round_of(epoch);
        let is_noted = is_free
            // SAFETY: as above.
            && unsafe { memory.compare_exchange(entry, before, at.note(epoch)) }.is_ok();
        if is_noted || !is_free {
            // Fails if another announcer has done it.
            // SAFETY: a constant of the layout.
            let _ = unsafe { memory.compare_exchange(EPOCH, epoch, epoch.wrapping_add(1)) };
        }
        if is_noted {
            return;
        }
    }
}

/// How far a consumer is with looking for redelivered items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// Notes before this one are done.
    epoch: u64,
    /// Slots done of the next note.
    done: u32,
    /// All slots from `next` on, this many, are to be looked at.
    next: u32,
    left: u32,
    /// Before it says that there is no item, all slots are to be looked at.
    owes_all: bool,
}

impl Search {
    /// Of a newcomer: the notes that the log still has, and, if there have been more, a look at all slots before it
    /// says that there is nothing.
    pub(super) fn new<M: Shared>(memory: M) -> Self {
        let now = epoch(memory);
        let kept = LOG_ENTRIES - 1;
        Self {
            epoch: now.saturating_sub(kept),
            done: 0,
            next: 0,
            left: 0,
            owes_all: now > kept,
        }
    }

    /// The epoch at which there is nothing to look for. Another than the present one if there is.
    pub(super) fn settled(&self) -> u64 {
        if self.left == 0 {
            self.epoch
        } else {
            self.epoch.wrapping_sub(1)
        }
    }

    /// Before the answer that there is nothing: whether all slots are still to be looked at. From here on they are.
    pub(super) fn take_debt(&mut self, g: &Geometry) -> bool {
        let owes = std::mem::take(&mut self.owes_all);
        if owes {
            self.left = g.capacity;
        }
        owes
    }

    /// Claims an item that is to be delivered again, if there is one. Goes on where it stopped, so that a search
    /// costs as many steps as there are slots once, and not for every item.
    #[cold]
    #[inline(never)]
    pub(super) fn claim<M: Shared>(
        &mut self,
        memory: M,
        g: &Geometry,
        owner: Owner,
        mut budget: Budget,
    ) -> Option<Run> {
        while let Some((first, end)) = self.next_note(memory, g) {
            while first + self.done < end {
                if !budget.step() {
                    return None;
                }
                let slot = first + self.done;
                self.done += 1;
                if let Some(run) = take_if_redelivered(memory, g, owner, slot) {
                    return Some(run);
                }
            }
            self.pass_note();
        }
        while self.left > 0 {
            if !budget.step() {
                return None;
            }
            let slot = self.next;
            self.next = if slot + 1 == g.capacity { 0 } else { slot + 1 };
            self.left -= 1;
            if let Some(run) = take_if_redelivered(memory, g, owner, slot) {
                return Some(run);
            }
        }
        None
    }

    fn pass_note(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.done = 0;
    }

    /// The slots of the next note, if there is one: the first, and the end, at most the capacity. Passes notes that
    /// name no slots, and has all of them looked at instead.
    fn next_note<M: Shared>(&mut self, memory: M, g: &Geometry) -> Option<(u32, u32)> {
        // Each round passes a note or all of them.
        for _ in 0..=LOG_ENTRIES {
            if epoch(memory) == self.epoch {
                return None;
            }
            // SAFETY: an entry of the log.
            let note = unsafe { memory.load(log_at(self.epoch), Ordering::Acquire) };
            // Only now: entries that are not among the last 63 may have been written again.
            let now = epoch(memory);
            if now.wrapping_sub(self.epoch) >= LOG_ENTRIES {
                self.epoch = now;
                self.done = 0;
                self.left = g.capacity;
                continue;
            }
            match Where::noted(note, self.epoch) {
                Where::Slots { first, len } if first < g.capacity => {
                    return Some((first, first.saturating_add(len).min(g.capacity)));
                }
                _ => {
                    self.pass_note();
                    self.left = g.capacity;
                }
            }
        }
        None
    }
}

/// Claims the item of a slot if it is to be delivered again.
fn take_if_redelivered<M: Shared>(memory: M, g: &Geometry, owner: Owner, slot: u32) -> Option<Run> {
    let word = load(memory, g, slot);
    if word.phase() != Some(Phase::Redeliver) {
        return None;
    }
    take(memory, g, owner, slot, word, 1)
}
