//! What becomes of the slots of participants that died.
//!
//! ```text
//! each distinct claim in the table: does the kernel say it is dead?   from here on none but recoveries change what
//!                                                                     those handles left
//! for every dead entry: note that a recovery has begun
//! for every slot whose word names a dead entry, once:
//!     does the claim still stand there?                              so the word is the dead one's, or is gone
//!     finish or undo it                                              by compare-and-swap, from an exact word
//! note where items are to be delivered again                         consumers find them there
//! every dead entry: role and process id -> 0, claim -> 0              the entry can be used again
//! wake both sides
//! ```
//!
//! Any number of processes may do this at once, and be killed at any point: an entry stays until one of them has
//! been through all slots, and each step starts from an exact word that [does not come back](super::slot_word). So
//! it costs one question for each process, one pass through the slots, and for each dead one its runs a second time.
//!
//! # Where redelivered items are
//!
//! One that recovers alone knows where it made items REDELIVER, and says so. If another recovery had begun, which
//! may have been killed before it could say, or the dead one was giving items back itself, they may be anywhere.

use super::claim::{load, swap};
use super::layout::Geometry;
use super::redelivery::{Where, announce};
use super::slot_word::{Phase, Word};
use super::table::{Dead, begin_recovery, bury, find_dead, is_still, is_sure};
use crate::liveness::{Liveness, OwnerId};
use crate::ring::shm::memory::Shared;

/// What a recovery found, and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// Handles of dead processes whose entries can be used again.
    pub participants: usize,
    /// Slots whose push never happened; they are skipped in this lap.
    pub skipped: usize,
    /// Items whose pop never happened; they are delivered again.
    pub redelivered: usize,
    /// Slots whose pop had happened, and which are free now.
    pub released: usize,
}

impl Recovered {
    /// Whether nothing had to be done.
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// assert!(buffer.recover()?.is_nothing());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Recovers everything that participants left who died, and says what it found. `life` judges a claim.
pub(super) fn recover<M: Shared>(
    memory: M,
    g: &Geometry,
    life: impl FnMut(OwnerId) -> Liveness,
) -> Recovered {
    let mut found = Recovered::default();
    let Some(mut dead) = find_dead(memory, g, life) else {
        return found;
    };
    let entries = 0..g.participants as usize;
    for index in entries.clone().filter(|&index| dead[index] != 0) {
        begin_recovery(memory, g, index);
    }
    let mut given = Given::default();
    sweep(memory, g, &mut dead, &mut found, &mut given);
    let left = || entries.clone().filter(|&index| dead[index] != 0);
    given.anywhere |= left().any(|index| !is_sure(memory, g, index));
    given.announce(memory);
    found.participants = left()
        .filter(|&index| bury(memory, g, index, dead[index]))
        .count();
    found
}

/// Where a sweep made items REDELIVER.
#[derive(Debug, Default)]
struct Given {
    runs: [(u32, u32); 8],
    len: usize,
    anywhere: bool,
}

impl Given {
    fn add(&mut self, first: u32, len: u32) {
        match self.runs.get_mut(self.len) {
            Some(run) => {
                *run = (first, len);
                self.len += 1;
            }
            // A search through all slots costs less than many notes, which push others out of the log.
            None => self.anywhere = true,
        }
    }

    fn announce<M: Shared>(&self, memory: M) {
        if self.anywhere {
            return announce(memory, Where::Anywhere);
        }
        for &(first, len) in &self.runs[..self.len] {
            announce(memory, Where::Slots { first, len });
        }
    }
}

/// Finishes or undoes what the dead were doing. Takes those out of the list whose entries others have freed.
fn sweep<M: Shared>(
    memory: M,
    g: &Geometry,
    dead: &mut Dead,
    found: &mut Recovered,
    given: &mut Given,
) {
    // Where the last run ends that was seen. No run begins inside another, so that two passes are enough for every
    // slot, whatever a process may have scribbled.
    let mut end = 0;
    for slot in 0..g.capacity {
        let first = load(memory, g, slot);
        let Some(phase) = first.phase().filter(|phase| phase.is_owned()) else {
            continue;
        };
        let index = first.owner().index();
        if dead[index] == 0 || slot < end && phase != Phase::Rereading {
            continue;
        }
        // After the load: so the word is the dead one's.
        if !is_still(memory, g, index, dead[index]) {
            dead[index] = 0;
            continue;
        }
        let lap = first.lap();
        // A run that reaches beyond the end is nonsense; it is cut off.
        let len = first.run().clamp(1, g.capacity - slot);
        let (to, changed) = match phase {
            Phase::Reading | Phase::Rereading => {
                given.add(slot, len);
                let deaths = first.deaths() + 1;
                (Word::redeliver(lap, deaths), &mut found.redelivered)
            }
            Phase::Writing => (Word::empty(lap.next()), &mut found.skipped),
            _ => (Word::empty(lap.next()), &mut found.released),
        };
        for other in (slot + 1..slot + len).rev() {
            let word = load(memory, g, other);
            let is_theirs =
                word == Word::full(lap) || phase == Phase::Writing && word == Word::empty(lap);
            if is_theirs {
                *changed += usize::from(swap(memory, g, other, word, to).is_ok());
            }
        }
        *changed += usize::from(swap(memory, g, slot, first, to).is_ok());
        end = end.max(slot + len);
    }
}
