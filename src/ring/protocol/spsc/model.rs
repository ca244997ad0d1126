//! The protocol in loom's hands: every interleaving (up to a bound on preemptions), every value a weak memory may
//! return.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --lib model
//! ```
//!
//! Items are cells that report two accesses without an order between them; a lost wake-up is a deadlock. What is
//! explored is the fenced form of sleeping: loom knows no membarrier(2). Two tests plant a bug and expect to be
//! told.
#![allow(
    unsafe_code,
    reason = "implements the seam, whose offsets are mapped to the model's own parts by checked indexing"
)]

use super::cursor::{initialise, look_for_items};
use super::layout::{CONSUMER_SLEEPS, Geometry, OUT, OUT_LAZY, PRODUCER_SLEEPS};
use super::pop::Consuming;
use super::push::{Producing, look_for_room};
use crate::ring::protocol::AtOnce;
use crate::ring::protocol::error::TryError;
use crate::ring::shm::header;
use crate::ring::shm::memory::{Shared, SharedItems, SharedMoved, SharedWaits};
use crate::ring::shm::slots::Layout;
use crate::ring::wait::{Gap, Peer, Waiter, Waiting};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a test plants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Publishing stores are relaxed.
    Relaxed,
    /// The fences between announcing and looking again, and between publishing and looking for sleepers, are
    /// missing.
    NoFence,
}

struct Parts {
    g: Geometry,
    words: Vec<AtomicU64>,
    items: Vec<UnsafeCell<u64>>,
    out: [AtomicU64; 2],
    sleepers: [(AtomicU32, Mutex<()>, Condvar); 2],
    bug: Bug,
}

/// Lives as long as the exploration: the seam wants a value to copy.
#[derive(Clone, Copy)]
struct Model(&'static Parts, usize);

impl Model {
    fn new(capacity: u64, bug: Bug) -> Self {
        let g = Geometry::new(Layout::Interleaved, capacity, 8, 8).unwrap();
        let sleeper = || (AtomicU32::new(2), Mutex::new(()), Condvar::new());
        let parts = Parts {
            g,
            words: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            items: (0..capacity).map(|_| UnsafeCell::new(0)).collect(),
            out: [AtomicU64::new(0), AtomicU64::new(0)],
            sleepers: [sleeper(), sleeper()],
            bug,
        };
        let this = Self(Box::leak(Box::new(parts)), 0);
        initialise(this, &g, 0);
        this
    }

    fn word(self, at: usize) -> &'static AtomicU64 {
        match self.1.wrapping_add(at) {
            OUT => &self.0.out[0],
            OUT_LAZY => &self.0.out[1],
            at => &self.0.words[(at - self.0.g.words) / self.0.g.word_stride],
        }
    }

    fn sleeper(self, at: usize) -> &'static (AtomicU32, Mutex<()>, Condvar) {
        match self.1.wrapping_add(at) {
            PRODUCER_SLEEPS => &self.0.sleepers[0],
            CONSUMER_SLEEPS => &self.0.sleepers[1],
            at => panic!("no sleeper at {at}"),
        }
    }

    fn item(self, at: usize) -> &'static UnsafeCell<u64> {
        &self.0.items[(self.1.wrapping_add(at) - self.0.g.items) / self.0.g.item_stride]
    }

    fn producer(self) -> Producing<Self> {
        Producing::resume(self, self.0.g, false)
    }

    fn consumer(self) -> Consuming<Self> {
        Consuming::resume(self, self.0.g, false)
    }
}

impl Shared for Model {
    unsafe fn load(self, at: usize, order: Ordering) -> u64 {
        self.word(at).load(order)
    }
    unsafe fn store(self, at: usize, value: u64, order: Ordering) {
        let order = if self.0.bug == Bug::Relaxed {
            Ordering::Relaxed
        } else {
            order
        };
        self.word(at).store(value, order);
    }
    unsafe fn compare_exchange(self, _: usize, _: u64, _: u64) -> Result<u64, u64> {
        unreachable!("the protocol itself needs none")
    }
}

impl SharedWaits for Model {
    unsafe fn load_wait(self, at: usize) -> u32 {
        // What those watch who have to fence: never 0.
        if self.1.wrapping_add(at) == header::MAGIC {
            return 1;
        }
        self.sleeper(at).0.load(Ordering::Relaxed)
    }
    unsafe fn store_wait(self, at: usize, value: u32) {
        self.sleeper(at).0.store(value, Ordering::Relaxed);
    }
    unsafe fn compare_exchange_wait(self, at: usize, current: u32, new: u32) -> bool {
        let relaxed = Ordering::Relaxed;
        self.sleeper(at)
            .0
            .compare_exchange(current, new, relaxed, relaxed)
            .is_ok()
    }
    fn fence(self) {
        if self.0.bug != Bug::NoFence {
            fence(Ordering::SeqCst);
        }
    }
    fn barrier_everywhere(self) -> bool {
        unreachable!("nobody is registered here")
    }
    /// As the kernel's futex: comparing and going to sleep are one step for whoever wakes. Never wakes by time.
    unsafe fn sleep(self, at: usize, expected: u32, _: Duration) {
        let (word, lock, wakes) = self.sleeper(at);
        let guard = lock.lock().unwrap();
        if word.load(Ordering::Relaxed) == expected {
            drop(wakes.wait(guard).unwrap());
        }
    }
    unsafe fn wake(self, at: usize, _: u32) -> u32 {
        let (_, lock, wakes) = self.sleeper(at);
        let _guard = lock.lock().unwrap();
        wakes.notify_one();
        1
    }
}

impl SharedMoved for Model {
    fn moved(self, by: usize) -> Self {
        Self(self.0, self.1.wrapping_add(by))
    }
}

impl SharedItems<u64> for Model {
    unsafe fn read_item(self, at: usize) -> u64 {
        // SAFETY: loom checks that nobody writes meanwhile; that is the point.
        self.item(at).with(|item| unsafe { *item })
    }
    unsafe fn write_item(self, at: usize, &value: &u64) {
        // SAFETY: loom checks that nobody else is here meanwhile; that is the point.
        self.item(at).with_mut(|item| unsafe { *item = value });
    }
}

/// What is sound is explored for a while; a planted bug until it is found, however busy the machine is.
fn explore(bug: Bug, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_duration = (bug == Bug::None).then_some(Duration::from_secs(40));
    builder.check(test);
}

/// Pushes if room is known of; says whether.
fn push_known(side: &mut Producing<Model>, item: u64) -> bool {
    let pushed = side.push_known(&item);
    if pushed == AtOnce::ToSleeper {
        side.wake();
    }
    pushed != AtOnce::No
}

/// Pushes, giving way while there is no room.
fn push(side: &mut Producing<Model>, item: u64) {
    while !push_known(side, item) {
        if side.find_room(1).is_err() {
            thread::yield_now();
        }
    }
}

/// Pops as a call does: the short way, else the long one.
fn try_pop(side: &mut Consuming<Model>) -> Option<u64> {
    if let Some(item) = side.pop_known() {
        return Some(item);
    }
    match side.pop_one() {
        Ok(item) => return Some(item),
        Err(TryError::WouldBlock) => side.tell_if_due(),
        Err(TryError::Corrupted) => panic!("corrupted"),
    }
    None
}

fn pop(side: &mut Consuming<Model>) -> u64 {
    loop {
        match try_pop(side) {
            Some(item) => return item,
            None => thread::yield_now(),
        }
    }
}

/// Pushes and pops that sleep, as the blocking calls do.
fn push_asleep(side: &mut Producing<Model>, item: u64) {
    while !push_known(side, item) {
        let (model, position) = (side.memory(), side.position());
        let capacity = side.geometry().capacity;
        let waiter = Waiter::alone(PRODUCER_SLEEPS, Waiting::Sleep, false);
        let look = |effort| look_for_room(model, capacity, position, effort);
        let room = waiter.wait(model, 0, &Gap::default(), None, look, || Peer::WaitForIt);
        side.set_limit(room.unwrap().0);
    }
}

fn pop_asleep(side: &mut Consuming<Model>) -> u64 {
    if let Some(item) = try_pop(side) {
        return item;
    }
    let (model, position) = (side.memory(), side.position());
    let waiter = Waiter::alone(CONSUMER_SLEEPS, Waiting::Sleep, false);
    let look = |_| look_for_items(model, &model.0.g, position);
    let end = waiter.wait(model, 0, &Gap::default(), None, look, || Peer::WaitForIt);
    side.set_end(end.unwrap().0);
    side.take()
}

fn items_go_round(capacity: u64, count: u64, bug: Bug) {
    explore(bug, move || {
        let model = Model::new(capacity, bug);
        let producing = thread::spawn(move || {
            let mut side = model.producer();
            for item in 0..count {
                push(&mut side, item);
            }
        });
        let mut side = model.consumer();
        for item in 0..count {
            assert_eq!(pop(&mut side), item);
        }
        producing.join().unwrap();
    });
}

#[test]
fn model_items_go_round_one_slot() {
    items_go_round(1, 3, Bug::None);
}

#[test]
fn model_items_go_round_two_slots() {
    items_go_round(2, 4, Bug::None);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn model_notices_relaxed_publishing() {
    items_go_round(1, 3, Bug::Relaxed);
}

/// Batches: one store publishes several items, one gives several back.
#[test]
fn model_batches() {
    explore(Bug::None, || {
        let model = Model::new(3, Bug::None);
        let producing = thread::spawn(move || {
            let mut side = model.producer();
            let mut next = 0;
            while next < 5 {
                let Ok(room) = side.find_room(2) else {
                    thread::yield_now();
                    continue;
                };
                let count = room.min(2).min(5 - next as usize);
                for offset in 0..count {
                    let slot = side.geometry().slot(side.position() + offset as u64);
                    // SAFETY: a slot of the geometry.
                    unsafe { model.write_item(side.geometry().item_at(slot), &next) };
                    next += 1;
                }
                side.publish(count);
            }
        });
        let mut side = model.consumer();
        let mut next = 0;
        while next < 5 {
            let Ok(items) = side.find_items(3) else {
                side.tell_if_due();
                thread::yield_now();
                continue;
            };
            for offset in 0..items {
                let slot = side.geometry().slot(side.position() + offset as u64);
                // SAFETY: a slot of the geometry.
                assert_eq!(
                    unsafe { model.read_item(side.geometry().item_at(slot)) },
                    next
                );
                next += 1;
            }
            side.release(items);
        }
        producing.join().unwrap();
    });
}

/// Successors of either side find the exact position while the other side goes on.
#[test]
fn model_takeover() {
    explore(Bug::None, || {
        let model = Model::new(2, Bug::None);
        let producing = thread::spawn(move || {
            for item in 0..3 {
                // Each item by another producer.
                push(&mut model.producer(), item);
            }
        });
        for item in 0..3 {
            assert_eq!(pop(&mut model.consumer()), item);
        }
        producing.join().unwrap();
    });
}

fn sleepers(capacity: u64, count: u64, bug: Bug) {
    explore(bug, move || {
        let model = Model::new(capacity, bug);
        let producing = thread::spawn(move || {
            let mut side = model.producer();
            for item in 0..count {
                push_asleep(&mut side, item);
            }
        });
        let mut side = model.consumer();
        for item in 0..count {
            assert_eq!(pop_asleep(&mut side), item);
        }
        producing.join().unwrap();
    });
}

/// Nobody sleeps for ever: both sides sleep whenever they can, without ever waking by time.
#[test]
fn model_no_wake_up_is_lost() {
    sleepers(1, 3, Bug::None);
    sleepers(2, 4, Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_notices_a_missing_fence() {
    sleepers(1, 2, Bug::NoFence);
}
