//! The participant table, and what becomes of the slots of a participant that died.
//!
//! One entry of 64 bytes for each handle:
//!
//! | byte | width | holds | written by |
//! |---|---|---|---|
//! | 0 | 8 | [claim](crate::liveness) of the handle's process, 0 if the entry is free | compare-and-swap |
//! | 8 | 8 | generation: one more for each handle that had the entry | the new holder, right after its claim |
//! | 16 | 4 | 1 producer, 2 consumer, 0 while that is not said yet | the holder |
//! | 20 | 4 | process id, as the holder sees it: for people | the holder |
//! | 24 | 8 | when it came, in seconds since 1970 | the holder |
//! | 32 | 32 | zero | |
//!
//! # Recovery
//!
//! ```text
//! claim c of the entry; does the kernel say c is dead?    from here on nobody but recoverers changes what c left
//! generation n; is the claim still c?                     so n is what c put into its slots
//! for every slot of (entry, n): is the claim still c?     so the word is c's; if not, somebody else has been through
//!     finish or undo it                                   the table of transitions
//! advance the epoch                                       consumers look for redelivered items
//! claim c -> 0                                            the entry can be used again
//! wake both sides
//! ```
//!
//! Any number of processes may do this at once, and be killed at any point: the entry stays until one of them has
//! been through all slots, and each step starts from an exact word that occurs once. A holder writes its generation
//! behind its claim and uses it in slots behind that, so a recoverer that comes late has the generation of the
//! dead, and finds nothing of the living. A generation repeats after 4096 holders of one entry, which take some ten
//! milliseconds if they are made and dropped in a row. So whoever finds a slot asks for the claim once more, behind
//! the look at the slot: after that the lap would have to repeat as well.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or an entry below the size of the table that the geometry was made with"
)]

use super::claim::{advance_epoch, load, swap};
use super::layout::{Geometry, ever_at};
use super::slot_word::{Owner, Phase, Word};
use crate::liveness::{Liveness, OwnerId};
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::Shared;
use crate::ring::shm::pair::{join, split};
use std::sync::atomic::Ordering;

const CLAIM: usize = 0;
const GENERATION: usize = 8;
const WHO: usize = 16;
const SINCE: usize = 24;

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

/// An entry as it stands in the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) claim: OwnerId,
    pub(crate) role: Option<Role>,
    pub(crate) pid: u32,
    pub(crate) since: u64,
}

fn word<M: Shared>(memory: M, at: usize) -> u64 {
    // SAFETY: a field of an entry of the table.
    unsafe { memory.load(at, Ordering::Acquire) }
}

impl Entry {
    /// The entry that lies at `at`, if it is taken.
    pub(crate) fn from_words(at: usize, load: impl Fn(usize) -> u64) -> Option<Self> {
        let claim = OwnerId::from_word(load(at + CLAIM))?;
        let (role, pid) = split(load(at + WHO));
        Some(Self {
            claim,
            role: match role {
                1 => Some(Role::Producer),
                2 => Some(Role::Consumer),
                _ => None,
            },
            pid,
            since: load(at + SINCE),
        })
    }
}

/// Entry `index`, if it is taken.
pub(crate) fn entry<M: Shared>(memory: M, g: &Geometry, index: usize) -> Option<Entry> {
    Entry::from_words(g.entry_at(index), |at| word(memory, at))
}

/// Takes a free entry, if there is one, and says which and with which generation.
pub(crate) fn enter<M: Shared>(
    memory: M,
    g: &Geometry,
    claim: OwnerId,
    role: Role,
    pid: u32,
    since: u64,
) -> Option<(usize, Owner)> {
    let index = (0..g.participants as usize).find(|&index| {
        let at = g.entry_at(index) + CLAIM;
        word(memory, at) == 0
            // SAFETY: a field of an entry of the table.
            && unsafe { memory.compare_exchange(at, 0, claim.word()) }.is_ok()
    })?;
    let at = g.entry_at(index);
    let generation = word(memory, at + GENERATION).wrapping_add(1);
    let number = match role {
        Role::Producer => 1,
        Role::Consumer => 2,
    };
    for (at, value) in [
        // Release, before any slot can bear it: whoever finds a slot of this owner, or finds it dead, finds its
        // generation.
        (at + GENERATION, generation),
        (at + SINCE, since),
        (at + WHO, join(number, pid)),
        (ever_at(role), 1),
    ] {
        // SAFETY: a field of an entry of the table, or a constant of the layout.
        unsafe { memory.store(at, value, Ordering::Release) };
    }
    Some((index, Owner::new(index, generation)))
}

/// Frees an entry whose holder has no slots any more.
pub(crate) fn leave<M: Shared>(memory: M, g: &Geometry, index: usize, claim: OwnerId) {
    let at = g.entry_at(index);
    // The next holder says who it is after its claim; until then nobody shall take it for this one.
    // SAFETY: a field of an entry of the table.
    unsafe { memory.store(at + WHO, 0, Ordering::Release) };
    // Fails only if somebody scribbled over it.
    // SAFETY: as above.
    let _ = unsafe { memory.compare_exchange(at + CLAIM, claim.word(), 0) };
}

/// Recovers everything that participants left who died, and says what it found. `life` judges a claim.
pub(crate) fn recover<M: Shared>(
    memory: M,
    g: &Geometry,
    mut life: impl FnMut(OwnerId) -> Liveness,
) -> Recovered {
    let mut found = Recovered::default();
    for index in 0..g.participants as usize {
        let at = g.entry_at(index);
        let Some(claim) = OwnerId::from_word(word(memory, at + CLAIM)) else {
            continue;
        };
        if life(claim) != Liveness::Dead {
            continue;
        }
        // Behind the verdict: the dead change nothing any more. And before the second look at the claim: so it is
        // theirs.
        let generation = word(memory, at + GENERATION);
        if word(memory, at + CLAIM) != claim.word() {
            continue;
        }
        let is_still_theirs = || word(memory, at + CLAIM) == claim.word();
        let owner = Owner::new(index, generation);
        sweep(memory, g, owner, is_still_theirs, &mut found);
        // Always: a recoverer before this one may have died between making items REDELIVER and this.
        advance_epoch(memory);
        // SAFETY: a field of an entry of the table.
        if unsafe { memory.compare_exchange(at + CLAIM, claim.word(), 0) }.is_ok() {
            found.participants += 1;
        }
    }
    found
}

/// Finishes or undoes what the owner, who is dead, was doing, as long as it has its entry.
fn sweep<M: Shared>(
    memory: M,
    g: &Geometry,
    owner: Owner,
    is_still_theirs: impl Fn() -> bool,
    found: &mut Recovered,
) {
    for slot in 0..g.capacity {
        let first = load(memory, g, slot);
        let Some(phase @ (Phase::Writing | Phase::Reading | Phase::Drained)) = first.phase() else {
            continue;
        };
        if first.owner() != owner {
            continue;
        }
        // This one may have stood still for long, and the word be that of a holder 4096 later, who lives. No claim
        // of the dead ever comes back: if it stands there still, nobody has held the entry since.
        if !is_still_theirs() {
            return;
        }
        let lap = first.lap();
        // A run that reaches beyond the end is nonsense; it is cut off.
        let len = first.run().clamp(1, g.capacity - slot);
        let (to, changed) = match phase {
            Phase::Writing => (Word::empty(lap.next()), &mut found.skipped),
            Phase::Reading => (Word::redeliver(lap), &mut found.redelivered),
            _ => (Word::empty(lap.next()), &mut found.released),
        };
        for other in (slot + 1..slot + len).rev() {
            let word = load(memory, g, other);
            let theirs = match phase {
                Phase::Writing => word == Word::full(lap) || word == Word::empty(lap),
                _ => word == Word::full(lap),
            };
            if theirs {
                *changed += usize::from(swap(memory, g, other, word, to).is_ok());
            }
        }
        *changed += usize::from(swap(memory, g, slot, first, to).is_ok());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ring::protocol::mpmc::claim::{Cursor, Run, claim, initialise};
    use crate::ring::shm::slots::Layout;
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    /// A ring of one thread, and what happens while whoever holds this stands still before its first look at a
    /// slot.
    #[derive(Clone, Copy)]
    struct Memory<'a> {
        g: &'a Geometry,
        words: &'a RefCell<Vec<u64>>,
        meanwhile: &'a Cell<Option<fn(Memory<'_>)>>,
    }

    impl Shared for Memory<'_> {
        unsafe fn load(self, at: usize, _: Ordering) -> u64 {
            if at == self.g.word_at(0) {
                if let Some(meanwhile) = self.meanwhile.take() {
                    meanwhile(self);
                }
            }
            self.words.borrow()[at / 8]
        }
        unsafe fn store(self, at: usize, value: u64, _: Ordering) {
            self.words.borrow_mut()[at / 8] = value;
        }
        unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
            let word = &mut self.words.borrow_mut()[at / 8];
            if *word != current {
                return Err(*word);
            }
            *word = new;
            Ok(current)
        }
        unsafe fn load_wait(self, _: usize) -> u32 {
            unreachable!("nobody sleeps here")
        }
        unsafe fn store_wait(self, _: usize, _: u32) {
            unreachable!("nobody sleeps here")
        }
        unsafe fn compare_exchange_wait(self, _: usize, _: u32, _: u32) -> bool {
            unreachable!("nobody sleeps here")
        }
        fn fence(self) {
            unreachable!("nobody sleeps here")
        }
        fn barrier_everywhere(self) -> bool {
            unreachable!("nobody sleeps here")
        }
        unsafe fn sleep(self, _: usize, _: u32, _: Duration) {
            unreachable!("nobody sleeps here")
        }
        unsafe fn wake(self, _: usize, _: u32) -> u32 {
            unreachable!("nobody sleeps here")
        }
    }

    const DEAD: u64 = 1 << 48;
    const ALIVE: u64 = 2 << 48;

    impl Memory<'_> {
        fn enter(self, claim: u64) -> Owner {
            let claim = OwnerId::from_word(claim).unwrap();
            enter(self, self.g, claim, Role::Producer, 0, 0).unwrap().1
        }

        fn leave(self, claim: u64) {
            leave(self, self.g, 0, OwnerId::from_word(claim).unwrap());
        }

        fn claim_two(self, owner: Owner) -> Run {
            let at = Cursor::from_first_slot(self, self.g, Role::Producer);
            claim(self, self.g, owner, Role::Producer, at, 2).1.unwrap()
        }

        fn recover(self) -> Recovered {
            recover(self, self.g, |claim| {
                if claim.word() == DEAD {
                    Liveness::Dead
                } else {
                    Liveness::Alive
                }
            })
        }
    }

    /// A recoverer stands still between the table and the slots. Meanwhile another does the work, and so many
    /// handles come and go that one bears the generation of the dead: what that one has claimed is nobody else's
    /// business.
    #[test]
    fn a_late_recoverer_leaves_the_living_alone() {
        let g = Geometry::new(Layout::Contiguous, 4, 1, 8, 8).unwrap();
        let (words, meanwhile) = (RefCell::new(vec![0; g.total_bytes / 8]), Cell::new(None));
        let memory = Memory {
            g: &g,
            words: &words,
            meanwhile: &meanwhile,
        };
        initialise(memory, &g, 0);
        assert_eq!(memory.claim_two(memory.enter(DEAD)).slot, 0);

        meanwhile.set(Some(|memory| {
            assert_eq!(memory.recover().skipped, 2);
            for _ in 1..1 << 12 {
                memory.enter(ALIVE);
                memory.leave(ALIVE);
            }
            let owner = memory.enter(ALIVE);
            assert_eq!(memory.claim_two(owner).slot, 2);
            assert_eq!(memory.claim_two(owner).slot, 0);
            assert_eq!(load(memory, memory.g, 0).owner(), owner);
        }));
        // The slots are lost to the one who claimed them if this finds anything.
        assert!(memory.recover().is_nothing());
        let phases = [0, 2].map(|slot| load(memory, &g, slot).phase());
        assert_eq!(phases, [Some(Phase::Writing); 2]);
    }
}
