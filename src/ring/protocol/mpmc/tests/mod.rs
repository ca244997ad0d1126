//! The slot protocol in one thread, where a test decides what happens in the middle of an operation, and counts what
//! it costs.
#![allow(
    unsafe_code,
    reason = "implements the seam, whose offsets index a vector with checks"
)]

mod bounds;
mod recovery;
mod redelivery;

use super::claim::{Budget, Cursor, Run, TryError, claim, initialise, load, publish};
use super::claim::{release, requeue};
use super::layout::Geometry;
use super::recovery::{Recovered, recover};
use super::redelivery::{Search, Where, announce, epoch};
use super::slot_word::{Owner, Phase, Word};
use super::table::{enter, leave, set_giving};
use crate::liveness::{Liveness, OwnerId};
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::Shared;
use crate::ring::shm::slots::Layout;
use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;

/// An access before which something else happens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Load(usize),
    Swap(usize),
}

type Meanwhile = fn(Memory);

#[derive(Clone, Copy)]
struct Memory(&'static Parts);

struct Parts {
    g: Geometry,
    words: RefCell<Vec<u64>>,
    meanwhile: Cell<Option<(Access, Meanwhile)>>,
    /// Loads of slots' words.
    looks: Cell<u64>,
    /// Words of redelivered items keep no count.
    forgets: bool,
}

impl Shared for Memory {
    unsafe fn load(self, at: usize, _: Ordering) -> u64 {
        self.before(Access::Load(at));
        if at >= self.0.g.words {
            self.0.looks.set(self.0.looks.get() + 1);
        }
        self.0.words.borrow()[at / 8]
    }
    unsafe fn store(self, at: usize, value: u64, _: Ordering) {
        self.0.words.borrow_mut()[at / 8] = self.spoil(at, value);
    }
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.before(Access::Swap(at));
        let new = self.spoil(at, new);
        let word = &mut self.0.words.borrow_mut()[at / 8];
        if *word != current {
            return Err(*word);
        }
        *word = new;
        Ok(current)
    }
}

/// Claims from here on are of dead processes.
const DEAD: u64 = 1000;

fn life(claim: OwnerId) -> Liveness {
    if claim.word() >= DEAD {
        Liveness::Dead
    } else {
        Liveness::Alive
    }
}

/// A handle without its waiting.
struct Handle {
    memory: Memory,
    role: Role,
    owner: Owner,
    claim: u64,
    cursor: Cursor,
    search: Search,
}

impl Memory {
    fn new(capacity: u64, participants: u64) -> Self {
        Self::with(capacity, participants, 0, false)
    }

    fn with(capacity: u64, participants: u64, lap: u64, forgets: bool) -> Self {
        let g = Geometry::new(Layout::Contiguous, capacity, participants, 8, 8).unwrap();
        let this = Self(Box::leak(Box::new(Parts {
            g,
            words: RefCell::new(vec![0; g.total_bytes / 8]),
            meanwhile: Cell::new(None),
            looks: Cell::new(0),
            forgets,
        })));
        initialise(this, &g, lap);
        this
    }

    fn g(self) -> &'static Geometry {
        &self.0.g
    }

    fn before(self, access: Access) {
        if let Some((at, act)) = self.0.meanwhile.get().filter(|&(at, _)| at == access) {
            self.0.meanwhile.set(None);
            let _ = at;
            act(self);
        }
    }

    fn meanwhile(self, access: Access, act: Meanwhile) {
        self.0.meanwhile.set(Some((access, act)));
    }

    /// Whether what was to happen has happened.
    fn has_happened(self) -> bool {
        self.0.meanwhile.get().is_none()
    }

    fn spoil(self, at: usize, value: u64) -> u64 {
        let word = Word(value);
        match word.phase() {
            Some(Phase::Redeliver) if self.0.forgets && at >= self.g().words => {
                Word::redeliver(word.lap(), 1).0
            }
            _ => value,
        }
    }

    fn set_word(self, slot: u32, word: Word) {
        self.0.words.borrow_mut()[self.g().word_at(slot) / 8] = word.0;
    }

    fn phase(self, slot: u32) -> Option<Phase> {
        load(self, self.g(), slot).phase()
    }

    /// How many words of slots it looks at.
    fn looks<T>(self, act: impl FnOnce() -> T) -> (u64, T) {
        let before = self.0.looks.get();
        let result = act();
        (self.0.looks.get() - before, result)
    }

    fn enter(self, role: Role, claim: u64) -> Handle {
        let id = OwnerId::from_word(claim).unwrap();
        Handle {
            memory: self,
            role,
            owner: enter(self, self.g(), id, role, 77, 5).expect("a free entry"),
            claim,
            cursor: Cursor::from_first_slot(self, self.g(), role),
            search: Search::new(self),
        }
    }

    fn push(self, count: u32) {
        let mut producer = self.enter(Role::Producer, 999);
        let mut left = count;
        while left > 0 {
            let run = producer.claim(left).unwrap();
            publish(self, self.g(), run, run.len);
            left -= run.len;
        }
        producer.leave();
    }

    fn recover(self) -> Recovered {
        recover(self, self.g(), life)
    }
}

impl Handle {
    fn claim_within(&mut self, wanted: u32, mut budget: Budget) -> Result<Run, TryError> {
        let (memory, g) = (self.memory, self.memory.g());
        if self.role == Role::Consumer && epoch(memory) != self.search.settled() {
            if let Some(run) = self.search.claim(memory, g, self.owner, budget) {
                return Ok(run);
            }
        }
        let (role, owner) = (self.role, self.owner);
        let (cursor, run) = claim(memory, g, owner, role, self.cursor, wanted, &mut budget);
        self.cursor = cursor;
        run
    }

    fn claim(&mut self, wanted: u32) -> Result<Run, TryError> {
        self.claim_within(wanted, Budget::of_one_call(self.memory.g()))
    }

    /// Pops one item, and says from which slot.
    fn pop(&mut self) -> Option<u32> {
        let run = self.claim(1).ok()?;
        release(self.memory, self.memory.g(), self.owner, run, 1);
        Some(run.slot)
    }

    fn give_back(&self, run: Run) {
        let (memory, g) = (self.memory, self.memory.g());
        set_giving(memory, g, self.owner, true);
        requeue(memory, g, run, 0);
        let (first, len) = (run.slot, run.len);
        announce(memory, Where::Slots { first, len });
        set_giving(memory, g, self.owner, false);
    }

    fn leave(self) {
        let claim = OwnerId::from_word(self.claim).unwrap();
        leave(self.memory, self.memory.g(), self.owner, claim);
    }
}
