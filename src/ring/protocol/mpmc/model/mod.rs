//! The slot protocol in loom's hands, with death as a step: a participant ends after its k-th access to shared
//! memory, for every k.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --lib mpmc::model
//! ```
//!
//! Items are cells that report two accesses without an order between them.
#![allow(
    unsafe_code,
    reason = "implements the seam, whose offsets are mapped to the model's own parts by checked indexing"
)]

mod deaths;

use super::claim::{Budget, Cursor, Run, TryError, claim, initialise, publish, release};
use super::layout::{ENTRY, EPOCH, Geometry, LOG, TABLE};
use super::recovery;
use super::redelivery::{Search, Where, announce};
use super::slot_word::{Owner, Phase, Word};
use super::table;
use crate::liveness::{Liveness, OwnerId};
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::{Shared, SharedItems};
use crate::ring::shm::slots::Layout;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicU64};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

struct Parts {
    g: Geometry,
    /// Hints, epoch, one word for the rest of the front, [`NOTES`] of the log, then five for each entry of the table.
    front: Vec<AtomicU64>,
    words: Vec<AtomicU64>,
    items: Vec<UnsafeCell<u64>>,
    /// Whether the one who dies is dead, as the kernel would say.
    dead: AtomicBool,
    bug: Bug,
}

/// What a test plants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// A batch is given back without saying first that its pop has happened.
    NotDrained,
    /// A batch is published from its first slot on.
    FirstSlotFirst,
    /// Stores publish nothing.
    Relaxed,
    /// Nothing tells the second reader of a redelivered item from the first.
    NoCount,
}

/// Memory, and how many accesses to it are left to whoever holds this.
#[derive(Clone, Copy)]
struct Model {
    parts: &'static Parts,
    left: &'static AtomicU32,
}

/// What a death is thrown as.
struct Killed;

const PARTICIPANTS: u64 = 3;
/// How many entries of the log a model uses at most.
const NOTES: usize = 8;
const FIELDS: usize = 5;
static FOREVER: AtomicU32 = AtomicU32::new(u32::MAX);

impl Model {
    fn new(capacity: u64) -> Self {
        Self::with(capacity, Bug::None)
    }

    fn with(capacity: u64, bug: Bug) -> Self {
        let g = Geometry::new(Layout::Interleaved, capacity, PARTICIPANTS, 8, 8).unwrap();
        let zeros = |count: u64| (0..count).map(|_| AtomicU64::new(0)).collect();
        let parts = Parts {
            g,
            front: zeros((4 + NOTES + FIELDS * PARTICIPANTS as usize) as u64),
            words: zeros(capacity),
            items: (0..capacity).map(|_| UnsafeCell::new(0)).collect(),
            dead: AtomicBool::new(false),
            bug,
        };
        let this = Self {
            parts: Box::leak(Box::new(parts)),
            left: &FOREVER,
        };
        // Laps wrap in the middle.
        initialise(this, &g, u64::MAX);
        this
    }

    /// The same memory for somebody who dies after `accesses`.
    fn mortal(self, accesses: u32) -> Self {
        Self {
            left: Box::leak(Box::new(AtomicU32::new(accesses))),
            ..self
        }
    }

    fn live_on(self) {
        if !std::ptr::eq(self.left, &FOREVER) {
            let left = self.left.load(Ordering::Relaxed);
            if left == 0 {
                resume_unwind(Box::new(Killed));
            }
            self.left.store(left - 1, Ordering::Relaxed);
        }
    }

    fn word(self, at: usize) -> &'static AtomicU64 {
        let g = &self.parts.g;
        if at >= g.words {
            return &self.parts.words[(at - g.words) / g.word_stride];
        }
        if at >= TABLE {
            let (entry, field) = ((at - TABLE) / ENTRY, (at - TABLE) % ENTRY / 8);
            if entry < PARTICIPANTS as usize && field < FIELDS {
                return &self.parts.front[4 + NOTES + FIELDS * entry + field];
            }
        }
        match at {
            LOG.. if at < TABLE && (at - LOG) / 8 < NOTES => &self.parts.front[4 + (at - LOG) / 8],
            super::layout::PRODUCERS_HINT => &self.parts.front[0],
            super::layout::CONSUMERS_HINT => &self.parts.front[1],
            EPOCH => &self.parts.front[2],
            _ => &self.parts.front[3],
        }
    }

    /// What is stored instead of a word, by the bug.
    fn spoil(self, at: usize, value: u64) -> u64 {
        let (word, is_slot) = (Word(value), at >= self.parts.g.words);
        match word.phase() {
            Some(Phase::Redeliver) if is_slot && self.parts.bug == Bug::NoCount => {
                Word::redeliver(word.lap(), 1).0
            }
            _ => value,
        }
    }

    fn item(self, at: usize) -> &'static UnsafeCell<u64> {
        let g = &self.parts.g;
        &self.parts.items[(at - g.items) / g.item_stride]
    }

    fn recover(self) -> recovery::Recovered {
        recovery::recover(self, &self.parts.g, |claim| {
            if claim == mortal_claim() && self.parts.dead.load(Ordering::Acquire) {
                Liveness::Dead
            } else {
                Liveness::Alive
            }
        })
    }
}

fn mortal_claim() -> OwnerId {
    OwnerId::from_word(1).unwrap()
}

impl Shared for Model {
    unsafe fn load(self, at: usize, order: Ordering) -> u64 {
        self.live_on();
        self.word(at).load(order)
    }
    unsafe fn store(self, at: usize, value: u64, order: Ordering) {
        self.live_on();
        let is_word = at >= self.parts.g.words;
        let value = self.spoil(at, value);
        let order = match self.parts.bug {
            Bug::NotDrained if is_word && Word(value).phase() == Some(Phase::Drained) => return,
            Bug::Relaxed => Ordering::Relaxed,
            _ => order,
        };
        self.word(at).store(value, order);
    }
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.live_on();
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let new = self.spoil(at, new);
        self.word(at)
            .compare_exchange(current, new, success, failure)
    }
}

impl SharedItems<u64> for Model {
    unsafe fn read_item(self, at: usize) -> u64 {
        self.live_on();
        // SAFETY: loom checks that nobody writes meanwhile; that is the point.
        self.item(at).with(|item| unsafe { *item })
    }
    unsafe fn write_item(self, at: usize, &value: &u64) {
        self.live_on();
        // SAFETY: loom checks that nobody else is here meanwhile; that is the point.
        self.item(at).with_mut(|item| unsafe { *item = value });
    }
}

/// A handle as [`handle`](super::handle) has it, without waiting.
struct Handle {
    model: Model,
    g: Geometry,
    owner: Owner,
    side: Role,
    cursor: Cursor,
    search: Search,
}

impl Handle {
    fn enter(model: Model, side: Role, claim: u64) -> Self {
        let g = model.parts.g;
        let claim = OwnerId::from_word(claim).unwrap();
        let owner = table::enter(model, &g, claim, side, 0, 0).expect("a free entry");
        Self {
            model,
            g,
            owner,
            side,
            cursor: Cursor::from_first_slot(model, &g, side),
            search: Search::new(model),
        }
    }

    fn claim(&mut self, wanted: u32) -> Option<Run> {
        let mut budget = Budget::of_one_call(&self.g);
        if self.side == Role::Consumer {
            let found = self.search.claim(self.model, &self.g, self.owner, budget);
            if found.is_some() {
                return found;
            }
        }
        let (cursor, run) = claim(
            self.model,
            &self.g,
            self.owner,
            self.side,
            self.cursor,
            wanted,
            &mut budget,
        );
        self.cursor = cursor;
        match run {
            Ok(run) => Some(run),
            Err(TryError::WouldBlock) => None,
            Err(TryError::Corrupted) => panic!("corrupted"),
        }
    }

    fn push(&mut self, items: &[u64]) -> usize {
        self.commit(items, items.len() as u32)
    }

    /// Reserves slots for all of the items, and pushes the first `count`, or fewer.
    fn commit(&mut self, items: &[u64], count: u32) -> usize {
        let Some(run) = self.claim(items.len() as u32) else {
            return 0;
        };
        let count = count.min(run.len);
        for index in 0..count {
            let at = self.g.item_at(run.slot + index);
            // SAFETY: a claimed slot.
            unsafe { self.model.write_item(at, &items[index as usize]) };
        }
        if self.model.parts.bug == Bug::FirstSlotFirst {
            for slot in run.slot..run.slot + count {
                let full = Word::full(run.lap).0;
                // SAFETY: a claimed slot.
                unsafe {
                    self.model
                        .store(self.g.word_at(slot), full, Ordering::Release)
                };
            }
        } else {
            publish(self.model, &self.g, run, count);
        }
        count as usize
    }

    /// Looks at up to `wanted` items, and pops the first `count`, or fewer, having told which; the others are
    /// delivered again.
    fn release(&mut self, wanted: u32, count: u32, batch: &Batch) {
        let Some(run) = self.claim(wanted) else {
            return;
        };
        let count = count.min(run.len);
        let items: Vec<u64> = (run.slot..run.slot + count)
            // SAFETY: a claimed slot.
            .map(|slot| unsafe { self.model.read_item(self.g.item_at(slot)) })
            .collect();
        *batch.lock().unwrap() = items;
        if count == run.len {
            return release(self.model, &self.g, self.owner, run, count);
        }
        table::set_giving(self.model, &self.g, self.owner, true);
        release(self.model, &self.g, self.owner, run, count);
        let (first, len) = (run.slot + count, run.len - count);
        announce(self.model, Where::Slots { first, len });
        table::set_giving(self.model, &self.g, self.owner, false);
    }

    fn pop(&mut self, wanted: u32) -> Vec<u64> {
        let Some(run) = self.claim(wanted) else {
            return Vec::new();
        };
        let items = (run.slot..run.slot + run.len)
            // SAFETY: a claimed slot.
            .map(|slot| unsafe { self.model.read_item(self.g.item_at(slot)) })
            .collect();
        release(self.model, &self.g, self.owner, run, run.len);
        items
    }

    fn drain(&mut self) -> Vec<u64> {
        let mut all = Vec::new();
        loop {
            match self.pop(1) {
                items if items.is_empty() => return all,
                items => all.extend(items),
            }
        }
    }
}

/// The items that somebody is about to pop. Not shared memory: it is the test that remembers.
type Batch = std::sync::Mutex<Vec<u64>>;

/// Runs what may die, then tells the kernel's opinion. Says whether it got to its end.
fn until_death(model: Model, act: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(()) => true,
        Err(reason) if reason.is::<Killed>() => {
            model.parts.dead.store(true, Ordering::Release);
            false
        }
        Err(reason) => resume_unwind(reason),
    }
}

fn explore(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    builder.max_duration = Some(Duration::from_secs(10));
    builder.check(test);
}

/// Tries one death after another until one comes too late to happen.
///
/// The test starts the dying thread before the living one: loom tries what a thread might have loaded earlier, and
/// little of what it might have stored earlier.
fn for_every_death(test: impl Fn(u32) -> bool + Sync + Send + Clone + 'static) {
    // Not loom's: they count its executions.
    let executions = Arc::new(AtomicU32::new(0));
    for k in 0.. {
        let lived = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let (test, all, count) = (test.clone(), lived.clone(), executions.clone());
        explore(move || {
            count.fetch_add(1, Ordering::Relaxed);
            if !test(k) {
                all.store(false, Ordering::Relaxed);
            }
        });
        if lived.load(Ordering::Relaxed) {
            let executions = executions.load(Ordering::Relaxed);
            println!("{k} deaths, {executions} executions");
            assert!(k > 10, "it does something before it ends");
            assert!(executions > 20 * k, "it meets somebody before it ends");
            return;
        }
    }
}

/// Two producers and a consumer, all alive: nothing lost, nothing twice, each producer's order kept.
#[test]
fn model_two_producers() {
    explore(|| {
        let model = Model::new(2);
        let mut consumer = Handle::enter(model, Role::Consumer, 2);
        let start = |name: u64| {
            thread::spawn(move || {
                let mut producer = Handle::enter(model, Role::Producer, 10 + name);
                producer.push(&[name]) as u64
            })
        };
        let (one, two) = (start(1), start(2));
        let mut found = consumer.pop(1);
        assert_eq!(one.join().unwrap() + two.join().unwrap(), 2);
        found.extend(consumer.drain());
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
    });
}

/// Two recover the same dead consumer at once, one of them popping meanwhile.
#[test]
fn model_two_recoverers() {
    explore(|| {
        let model = Model::new(3);
        Handle::enter(model, Role::Producer, 3).push(&[1, 2, 3]);
        table::leave(
            model,
            &model.parts.g,
            Owner::new(0),
            OwnerId::from_word(3).unwrap(),
        );
        // Dies with three items claimed.
        let mut dead = Handle::enter(model, Role::Consumer, 1);
        assert_eq!(dead.claim(3).map(|run| run.len), Some(3));
        model.parts.dead.store(true, Ordering::Release);
        let mut consumer = Handle::enter(model, Role::Consumer, 2);
        let other = thread::spawn(move || model.recover());
        model.recover();
        let mut found = consumer.pop(1);
        other.join().unwrap();
        found.extend(consumer.drain());
        found.sort_unstable();
        assert_eq!(found, [1, 2, 3]);
    });
}

/// Two recover a consumer that died with an item in its hands of which a reader had died before, while a third takes
/// the entry that becomes free, and the item: nobody takes it away from that one.
fn a_late_recoverer(bug: Bug) {
    explore(move || {
        let model = Model::with(1, bug);
        Handle::enter(model, Role::Producer, 3).push(&[7]);
        table::leave(
            model,
            &model.parts.g,
            Owner::new(0),
            OwnerId::from_word(3).unwrap(),
        );
        let mut dead = Handle::enter(model, Role::Consumer, 1);
        assert!(dead.claim(1).is_some());
        model.parts.dead.store(true, Ordering::Release);
        model.recover();
        // Another that dies, in the same entry and with the same item.
        let mut dead = Handle::enter(model, Role::Consumer, 1);
        assert!(dead.claim(1).is_some());
        let late = thread::spawn(move || model.recover());
        model.recover();
        let mut living = Handle::enter(model, Role::Consumer, 2);
        let held = living.claim(1).expect("the item");
        late.join().unwrap();
        let mut other = Handle::enter(model, Role::Consumer, 5);
        assert!(other.claim(1).is_none(), "doubled");
        release(model, &model.parts.g, living.owner, held, 1);
        // The slot is whole, and holds nothing.
        let mut producer = Handle::enter(model, Role::Producer, 4);
        assert_eq!((other.drain(), producer.push(&[8])), (vec![], 1));
        assert_eq!(other.drain(), [8]);
    });
}

#[test]
fn model_a_late_recoverer_of_a_redelivered_item() {
    a_late_recoverer(Bug::None);
}

#[test]
#[should_panic(expected = "doubled")]
fn model_notices_words_that_recur() {
    a_late_recoverer(Bug::NoCount);
}
