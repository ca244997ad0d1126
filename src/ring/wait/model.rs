//! Many sleepers on one word, in loom's hands: two who sleep, two who publish, in the fenced form.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --lib wait::model
//! ```
//!
//! Each publisher publishes one item, or two at once, and wakes one sleeper; each sleeper takes one item, and is
//! never woken by time. So a lost wake-up is a deadlock. Four tests plant a bug and expect to be told.
#![allow(
    unsafe_code,
    reason = "implements the seam; there is one word, and one flag for each item"
)]

use super::{ASLEEP, Gap, Look, NO_BARRIER, Peer, Waiter, Waiting, wake_many};
use crate::ring::shm::memory::{Shared, SharedWaits};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a test plants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bug {
    None,
    /// Nobody fences.
    NoFence,
    /// Who publishes believes to have woken somebody, and so leaves the word as it is.
    Overstated,
    /// The clearings are not counted: an announcement behind one looks like one before it.
    NotCounted,
    /// Who was woken alone keeps it to itself.
    NextNotWoken,
}

/// The kernel's queue for the word.
#[derive(Default)]
struct Queue {
    asleep: VecDeque<u32>,
    tickets: u32,
}

struct Parts {
    /// 0 not published, 1 published, 2 taken.
    items: [AtomicU64; 2],
    word: AtomicU32,
    queue: Mutex<Queue>,
    woken: Condvar,
    bug: Bug,
}

/// Lives as long as the exploration: the seam wants a value to copy.
#[derive(Clone, Copy)]
struct Model(&'static Parts);

impl Model {
    fn new(bug: Bug) -> Self {
        Self(Box::leak(Box::new(Parts {
            items: [AtomicU64::new(0), AtomicU64::new(0)],
            word: AtomicU32::new(NO_BARRIER),
            queue: Mutex::new(Queue::default()),
            woken: Condvar::new(),
            bug,
        })))
    }

    fn publish(self, item: usize) {
        // SAFETY: one of the items.
        unsafe { self.store(item, 1, Ordering::Release) };
        wake_many(self, 0, false, 1);
    }

    /// As when a push is finished behind which another was waiting: both items can be taken, and one taker is
    /// woken.
    fn publish_both(self) {
        for item in 0..2 {
            // SAFETY: one of the items.
            unsafe { self.store(item, 1, Ordering::Release) };
        }
        wake_many(self, 0, false, 1);
    }

    /// Says whether it slept.
    fn take_one(self) -> bool {
        let waiter = Waiter::one_of_many(0, Waiting::Sleep, false, 0);
        let look = |_| {
            for item in 0..2 {
                // SAFETY: one of the items; so below.
                if unsafe { self.load(item, Ordering::Acquire) } == 1
                    && unsafe { self.compare_exchange(item, 1, 2) }.is_ok()
                {
                    return Look::Ready(());
                }
            }
            Look::NotYet
        };
        let done = waiter.wait(self, 0, &Gap::default(), None, look, || Peer::WaitForIt);
        let ((), slept) = done.unwrap();
        slept
    }

    /// As a handle does, which knows nothing of how many were woken.
    fn take_one_and_wake_the_next(self) {
        if self.take_one() && self.0.bug != Bug::NextNotWoken {
            wake_many(self, 0, false, 1);
        }
    }
}

impl Shared for Model {
    unsafe fn load(self, at: usize, order: Ordering) -> u64 {
        self.0.items[at].load(order)
    }
    unsafe fn store(self, at: usize, value: u64, order: Ordering) {
        self.0.items[at].store(value, order);
    }
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        self.0.items[at].compare_exchange(current, new, success, failure)
    }
}

impl SharedWaits for Model {
    unsafe fn load_wait(self, _: usize) -> u32 {
        self.0.word.load(Ordering::Relaxed)
    }
    unsafe fn store_wait(self, _: usize, _: u32) {
        unreachable!("nobody stores a word that several change")
    }
    unsafe fn compare_exchange_wait(self, _: usize, current: u32, new: u32) -> bool {
        let clears = new & ASLEEP == 0;
        let new = match self.0.bug {
            Bug::NotCounted if clears => current & !ASLEEP,
            _ => new,
        };
        let relaxed = Ordering::Relaxed;
        let word = &self.0.word;
        word.compare_exchange(current, new, relaxed, relaxed)
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
    unsafe fn sleep(self, _: usize, expected: u32, _: Duration) {
        let mut queue = self.0.queue.lock().unwrap();
        if self.0.word.load(Ordering::Relaxed) != expected {
            return;
        }
        let ticket = queue.tickets;
        queue.tickets += 1;
        queue.asleep.push_back(ticket);
        while queue.asleep.contains(&ticket) {
            queue = self.0.woken.wait(queue).unwrap();
        }
    }
    unsafe fn wake(self, _: usize, count: u32) -> u32 {
        let mut queue = self.0.queue.lock().unwrap();
        let woken = queue.asleep.len().min(count as usize);
        queue.asleep.drain(..woken);
        if woken > 0 {
            self.0.woken.notify_all();
        }
        match self.0.bug {
            Bug::Overstated => count,
            _ => woken as u32,
        }
    }
}

/// What is sound is explored for a while; a planted bug until it is found, however busy the machine is.
fn explore(bug: Bug, test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_duration = (bug == Bug::None).then_some(Duration::from_secs(30));
    builder.check(test);
}

fn two_and_two(bug: Bug) {
    explore(bug, move || {
        let model = Model::new(bug);
        let sleepers = [0, 1].map(|_| thread::spawn(move || model.take_one()));
        let other = thread::spawn(move || model.publish(1));
        model.publish(0);
        other.join().unwrap();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

#[test]
fn model_two_sleepers_and_two_publishers() {
    two_and_two(Bug::None);
}

/// Fewer threads, so explored to the end: each order of one sleeper and two publishers, and of two and one.
#[test]
fn model_three_at_a_time() {
    explore(Bug::None, || {
        let model = Model::new(Bug::None);
        let other = thread::spawn(move || model.publish(1));
        let sleeper = thread::spawn(move || {
            model.take_one();
            model.take_one();
        });
        model.publish(0);
        other.join().unwrap();
        sleeper.join().unwrap();
    });
    explore(Bug::None, || {
        let model = Model::new(Bug::None);
        let sleepers = [0, 1].map(|_| thread::spawn(move || model.take_one()));
        model.publish(0);
        model.publish(1);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

fn two_at_once(bug: Bug) {
    explore(bug, move || {
        let model = Model::new(bug);
        let sleepers = [0, 1].map(|_| thread::spawn(move || model.take_one_and_wake_the_next()));
        model.publish_both();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// One wake-up for two: who slept wakes the next, and who found an item without that need not.
#[test]
fn model_two_items_and_one_wake_up() {
    two_at_once(Bug::None);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_notices_who_does_not_wake_the_next() {
    two_at_once(Bug::NextNotWoken);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_notices_missing_fences() {
    two_and_two(Bug::NoFence);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_notices_a_sleeper_about_to_sleep() {
    two_and_two(Bug::Overstated);
}

#[test]
#[should_panic(expected = "deadlock")]
fn model_notices_clearings_that_are_not_counted() {
    two_and_two(Bug::NotCounted);
}
