//! Sleeping, as shipped, on a machine with store buffers: every interleaving, with planted bugs.
//!
//! ```text
//! publisher                               sleeper
//!   store the item                          store ASLEEP
//!   load the sleeper's word                 barrier in every registered process
//!                                           load the item
//! ```
//!
//! A wake-up is lost if both loads find the old value: a processor may serve a load before its earlier store has
//! left the store buffer. On the [`machine`] no sleep ends by time, so a lost wake-up is a state in which a process
//! sleeps and nothing can happen any more.
//!
//! The loom models explore the fenced form on weaker memories; loom knows no membarrier(2).

#![allow(unsafe_code, reason = "calls the seam's operations at constant places")]

mod machine;

use super::{Look, NO_BARRIER, Peer, Waiter, Waiting, Watch, wake_many};
use crate::ring::shm::memory::Shared;
use machine::{Bug, ITEMS, NEVER_ZERO, Program, Replay, Seen, WORD, explore};
use std::sync::atomic::Ordering;

fn publish(memory: Replay<'_>, item: usize) {
    // SAFETY: one of the items.
    unsafe { memory.store(ITEMS[item], 1, Ordering::Release) };
}

fn take(memory: Replay<'_>) -> Look<()> {
    for at in ITEMS {
        // SAFETY: one of the items.
        let is_there = unsafe { memory.load(at, Ordering::Acquire) } == 1;
        if is_there && memory.exchange(at, 1, 2).is_ok() {
            return Look::Ready(());
        }
    }
    Look::NotYet
}

/// The only sleeper: waits for the first item.
fn sleep_alone<const REGISTERED: bool>(memory: Replay<'_>) {
    let mut look = |_| {
        // SAFETY: one of the items.
        match unsafe { memory.load(ITEMS[0], Ordering::Acquire) } {
            0 => Look::NotYet,
            _ => Look::Ready(()),
        }
    };
    let waiter = Waiter::alone(WORD, Waiting::Sleep, REGISTERED);
    let end = waiter.sleep(memory, None, &mut look, &mut || Peer::WaitForIt);
    assert!(end.is_ok());
}

fn wake_one<const REGISTERED: bool>(memory: Replay<'_>) {
    publish(memory, 0);
    super::wake_one(memory, WORD, REGISTERED);
}

fn watch_one<const REGISTERED: bool>(memory: Replay<'_>) {
    publish(memory, 0);
    Watch::new(memory, WORD, REGISTERED, NEVER_ZERO).wake(memory);
}

/// One of many sleepers: takes one item.
fn sleep_in_a_crowd<const REGISTERED: bool>(memory: Replay<'_>) {
    let waiter = Waiter::one_of_many(WORD, Waiting::Sleep, REGISTERED, 0);
    let end = waiter.sleep(memory, None, &mut |_| take(memory), &mut || Peer::WaitForIt);
    assert!(end.is_ok());
}

fn wake_crowd_for<const ITEM: usize, const REGISTERED: bool>(memory: Replay<'_>) {
    publish(memory, ITEM);
    wake_many(memory, WORD, REGISTERED, 1);
}

fn wake_crowd_for_both(memory: Replay<'_>) {
    publish(memory, 0);
    publish(memory, 1);
    wake_many(memory, WORD, true, 2);
}

fn sleep_in_a_crowd_twice(memory: Replay<'_>) {
    sleep_in_a_crowd::<true>(memory);
    sleep_in_a_crowd::<true>(memory);
}

fn program(run: fn(Replay<'_>), is_registered: bool) -> Program {
    Program { run, is_registered }
}

/// Which of the rings' calls the two sides make.
#[derive(Clone, Copy, Debug)]
enum Calls {
    WakeIfAsleep,
    Watch,
    Crowd,
}

const CALLS: [Calls; 3] = [Calls::WakeIfAsleep, Calls::Watch, Calls::Crowd];

/// Whether each side takes part in barriers, and says so.
#[derive(Clone, Copy, Debug)]
struct Registered {
    sleeper: bool,
    publisher: bool,
    publisher_says: bool,
}

/// A publisher that takes part in barriers says so, and one that does not fences.
fn honest(sleeper: bool, publisher: bool) -> Registered {
    Registered {
        sleeper,
        publisher,
        publisher_says: publisher,
    }
}

/// One sleeper and one publisher.
fn one_and_one(calls: Calls, registered: Registered, bug: Bug) -> Seen {
    let publish = match (calls, registered.publisher_says) {
        (Calls::WakeIfAsleep, true) => wake_one::<true>,
        (Calls::WakeIfAsleep, false) => wake_one::<false>,
        (Calls::Watch, true) => watch_one::<true>,
        (Calls::Watch, false) => watch_one::<false>,
        (Calls::Crowd, true) => wake_crowd_for::<0, true>,
        (Calls::Crowd, false) => wake_crowd_for::<0, false>,
    };
    let sleep = match (calls, registered.sleeper) {
        (Calls::Crowd, true) => sleep_in_a_crowd::<true>,
        (Calls::Crowd, false) => sleep_in_a_crowd::<false>,
        (_, true) => sleep_alone::<true>,
        (_, false) => sleep_alone::<false>,
    };
    let programs = [
        program(sleep, registered.sleeper),
        program(publish, registered.publisher),
    ];
    // A sleeper that cannot ask for a barrier says so when it comes.
    let awake = if registered.sleeper { 0 } else { NO_BARRIER };
    explore(&programs, awake, bug)
}

/// Nothing is lost, and the sleeper, which is process 0, slept in some runs and found the item in others.
fn assert_holds(seen: &Seen, what: &str) {
    assert_eq!(seen.lost, None, "{what}: of {} states", seen.states);
    for slept in [false, true] {
        assert!(seen.ends.iter().any(|end| end[0].1 == slept), "{what}");
    }
}

fn assert_loses(seen: &Seen, what: &str) {
    let states = seen.states;
    assert!(
        seen.lost.is_some(),
        "{what}: not noticed in {states} states"
    );
}

#[test]
fn one_sleeper_is_always_woken_whoever_is_registered() {
    for calls in CALLS {
        for (sleeper, publisher) in [(true, true), (true, false), (false, true), (false, false)] {
            let registered = honest(sleeper, publisher);
            let seen = one_and_one(calls, registered, Bug::None);
            assert_holds(&seen, &format!("{calls:?}, {registered:?}"));
        }
    }
}

/// A publisher of two items and two sleepers; two publishers, of which the second may not take part in barriers, and
/// a sleeper that takes both items.
#[test]
fn a_crowd_is_always_woken() {
    let programs = [
        program(sleep_in_a_crowd::<true>, true),
        program(sleep_in_a_crowd::<true>, true),
        program(wake_crowd_for_both, true),
    ];
    assert_holds(&explore(&programs, 0, Bug::None), "two sleepers");
    let second: [(fn(Replay<'_>), bool); 2] = [
        (wake_crowd_for::<1, true>, true),
        (wake_crowd_for::<1, false>, false),
    ];
    for (publish, is_registered) in second {
        let programs = [
            program(sleep_in_a_crowd_twice, true),
            program(wake_crowd_for::<0, true>, true),
            program(publish, is_registered),
        ];
        let seen = explore(&programs, 0, Bug::None);
        assert_holds(&seen, &format!("two publishers, {is_registered}"));
    }
}

/// Without the sleeper's barrier the publisher's load may be served before its store reaches memory.
#[test]
fn a_missing_barrier_loses_a_wake_up() {
    for calls in CALLS {
        let seen = one_and_one(calls, honest(true, true), Bug::NoBarrier);
        assert_loses(&seen, &format!("{calls:?}"));
    }
}

/// Fences on either side stand in for the barrier where one of the two does not take part.
#[test]
fn a_missing_fence_loses_a_wake_up() {
    for calls in CALLS {
        for (sleeper, publisher) in [(true, false), (false, true), (false, false)] {
            let registered = honest(sleeper, publisher);
            let seen = one_and_one(calls, registered, Bug::NoFence);
            assert_loses(&seen, &format!("{calls:?}, {registered:?}"));
        }
    }
}

/// The barrier reaches registered processes alone.
#[test]
fn a_publisher_that_only_says_that_it_is_registered_loses_a_wake_up() {
    for calls in CALLS {
        let registered = Registered {
            sleeper: true,
            publisher: false,
            publisher_says: true,
        };
        let seen = one_and_one(calls, registered, Bug::None);
        assert_loses(&seen, &format!("{calls:?}"));
    }
}
