//! The promise at its finest: a process is killed after every single machine instruction of an operation, and each
//! time the operation either never happened or has happened.
//!
//! A peer stops at a breakpoint right before the operation; this process steps it through, one instruction at a
//! time (ptrace), and notes after which of them the segment holds something else. Then others are killed after the
//! k-th, and this process looks. For growing k the answer must switch once from "never happened" to "happened".
//!
//! All that the living can see of the dead is the segment, and that they are dead. So two deaths between which the
//! segment does not change are one, and the ordinary run kills at both ends of each such stretch, around each
//! system call, and at some instructions with a seed; `SYSVSHM_STEPS=all` kills after every one.
//!
//! Recovery is stepped too: one process dies in the middle of its operation, a second in the middle of recovering
//! that, and a third must find everything in order.

#![allow(unsafe_code, reason = "single-steps other processes")]

use crate::common::{Peer, Running, Talk, peer};
use crate::single_step::{self, Trace, breakpoint, changes_of};
use crate::support::{Random, alone, attach, budget, id, ring_with, seed};
use std::collections::BTreeMap;
use std::time::Duration;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Consumer, Options, Producer};

const CAPACITY: usize = 4;
/// What the operation under test pushes.
const PUSHED: [u64; 3] = [100, 101, 102];

/// The operations, by the number a peer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Push,
    PushSlice,
    Commit,
    /// Two of three reserved slots.
    CommitPart,
    Pop,
    PopSlice,
    Release,
    /// One of up to three items looked at.
    ReleasePart,
}

const OPERATIONS: [Operation; 8] = [
    Operation::Push,
    Operation::PushSlice,
    Operation::Commit,
    Operation::CommitPart,
    Operation::Pop,
    Operation::PopSlice,
    Operation::Release,
    Operation::ReleasePart,
];

impl Operation {
    fn pushes(self) -> bool {
        matches!(
            self,
            Self::Push | Self::PushSlice | Self::Commit | Self::CommitPart
        )
    }

    /// How many items it moves, if there are `held`; no run goes round the end.
    fn moves(self, held: usize, position: u64) -> usize {
        let limit = if self.pushes() { CAPACITY - held } else { held };
        let run = limit.min(3).min(CAPACITY - position as usize % CAPACITY);
        match self {
            Self::Push | Self::Pop | Self::ReleasePart => run.min(1),
            Self::CommitPart => run.min(2),
            _ => run,
        }
    }
}

/// From what state the operation starts.
#[derive(Clone, Copy, Debug)]
struct State {
    name: &'static str,
    /// Items pushed and popped before.
    passed: u64,
    held: usize,
    /// Whether the other side has announced that it sleeps, so that it must be woken.
    asleep: bool,
    /// Whether the handle that operates pushed or popped the last of the items that have passed, and so knows where
    /// it is. A new one has to find out, which takes other instructions.
    under_way: bool,
}

const fn state(name: &'static str, passed: u64, held: usize) -> State {
    State {
        name,
        passed,
        held,
        asleep: false,
        under_way: false,
    }
}

/// The last one is for recoveries alone.
const STATES: [State; 8] = [
    state("empty", 0, 0),
    State {
        asleep: true,
        ..state("one item, others asleep", 1, 1)
    },
    state("two items at the wrap", 3, 2),
    State {
        asleep: true,
        ..state("full, others asleep", 0, CAPACITY)
    },
    state("full at the wrap", 6, CAPACITY),
    State {
        under_way: true,
        ..state("under way, two items at the wrap", 3, 2)
    },
    State {
        under_way: true,
        ..state("under way, two items", 4, 2)
    },
    state("three items", 0, 3),
];
const THREE_ITEMS: usize = 7;

/// Moves one item through the ring and pushes `held`, so that both handles know where they are.
fn set_out(producer: &mut Producer<u64>, consumer: &mut Consumer<u64>, held: u64) {
    producer.try_push(u64::MAX).unwrap();
    assert_eq!(consumer.try_pop(), Ok(u64::MAX));
    (0..held).for_each(|item| producer.try_push(item).unwrap());
}

/// The process that is stepped: makes its handle, stops, operates, stops. If it is to be under way, it also fills
/// the ring.
fn operate(talk: &Talk, ring: &BoundedBuffer<u64>, operation: Operation, state: State) {
    let held = state.held as u64;
    if operation.pushes() {
        let mut producer = ring.producer().unwrap();
        if state.under_way {
            set_out(&mut producer, &mut ring.consumer().unwrap(), held);
        }
        talk.say(single_step::trace_me());
        breakpoint();
        match operation {
            Operation::Push => drop(producer.try_push(PUSHED[0])),
            Operation::PushSlice => drop(producer.try_push_slice(&PUSHED)),
            _ => {
                if let Ok(mut space) = producer.try_reserve(PUSHED.len()) {
                    let len = space.len();
                    space.write_from(0, &PUSHED[..len]);
                    let part = operation == Operation::CommitPart;
                    space.commit(if part { len.min(2) } else { len }).unwrap();
                }
            }
        }
        breakpoint();
    } else {
        let mut consumer = ring.consumer().unwrap();
        if state.under_way {
            set_out(&mut ring.producer().unwrap(), &mut consumer, held);
        }
        talk.say(single_step::trace_me());
        breakpoint();
        match operation {
            Operation::Pop => drop(consumer.try_pop()),
            Operation::PopSlice => drop(consumer.try_pop_slice(&mut [0; 3])),
            _ => {
                if let Ok(items) = consumer.try_peek(3) {
                    let len = items.len();
                    let part = operation == Operation::ReleasePart;
                    items.release(if part { 1 } else { len }).unwrap();
                }
            }
        }
        breakpoint();
    }
}

/// Kills a peer that was led by single steps.
pub(crate) fn kill_stepped(peer: Running, thread: i32) {
    // SAFETY: a plain number; the child has not been waited for, so it has that number.
    assert_eq!(unsafe { libc::kill(peer.pid() as i32, libc::SIGKILL) }, 0);
    single_step::see_the_end(thread);
    peer.kill();
}

fn prepare(state: State) -> BoundedBuffer<u64> {
    let mut options = Options::new();
    // Laps wrap in the middle of the test.
    let ring = ring_with::<u64>(
        options
            .capacity(CAPACITY)
            .participants(3)
            .start_lap(u64::MAX),
    );
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..state.passed - u64::from(state.under_way) {
        producer.push(item).unwrap();
        consumer.pop().unwrap();
    }
    if !state.under_way {
        (0..state.held as u64).for_each(|item| producer.push(item).unwrap());
    }
    drop((producer, consumer));
    if state.asleep {
        for word in [512, 640] {
            ring.segment().reference::<u32>(word).unwrap().store(1);
        }
    }
    ring
}

/// What is in the ring, found by others, which then show that it still works and that no slot was lost.
pub(crate) fn look(ring: &BoundedBuffer<u64>) -> Vec<u64> {
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let found: Vec<u64> = consumer.try_iter().collect();
    // Skipped slots come back with the next lap.
    for item in 0..2 * CAPACITY as u64 {
        producer.try_push(item).unwrap();
        assert_eq!(consumer.try_pop(), Ok(item));
    }
    for _ in 0..3 {
        for item in 0..CAPACITY as u64 {
            producer.try_push(item).unwrap();
        }
        assert!(producer.try_push(0).is_err(), "full: no slot was won");
        assert!(consumer.try_iter().eq(0..CAPACITY as u64));
    }
    drop((producer, consumer));
    assert!(ring.participants().is_empty(), "no entry was lost");
    found
}

/// What must be there if the operation did not happen, and if it did.
fn expected(state: State, operation: Operation) -> (usize, Vec<u64>, Vec<u64>) {
    let before: Vec<u64> = (0..state.held as u64).collect();
    let position = if operation.pushes() {
        state.passed + state.held as u64
    } else {
        state.passed
    };
    let moved = operation.moves(state.held, position);
    let after = if operation.pushes() {
        before.iter().chain(&PUSHED[..moved]).copied().collect()
    } else {
        before[moved..].to_vec()
    };
    (moved, before, after)
}

/// Items that were given back come behind others: the same items count as the same.
fn sorted(mut items: Vec<u64>) -> Vec<u64> {
    items.sort_unstable();
    items
}

/// A process that is led into the operation and killed where `lead` leaves it. What it leaves behind.
fn die(
    stepped: &Peer,
    state: State,
    operation: Operation,
    lead: impl FnOnce(&BoundedBuffer<u64>, i32),
) -> BoundedBuffer<u64> {
    let ring = prepare(state);
    let number = OPERATIONS.iter().position(|&other| other == operation);
    let which = STATES.iter().position(|other| other.name == state.name);
    let stepped = stepped.clone().arg(id(&ring)).arg(number.unwrap());
    lead_and_kill(stepped.arg(which.unwrap()).start(), |thread| {
        lead(&ring, thread);
    });
    ring
}

fn lead_and_kill<T>(mut peer: Running, lead: impl FnOnce(i32) -> T) -> T {
    let thread: i32 = peer.hear().parse().unwrap();
    let result = lead(thread);
    kill_stepped(peer, thread);
    result
}

/// Leads to where the memory is what it was there in the process that was traced.
fn lead_to(thread: i32, trace: &Trace, k: u64) {
    let led = single_step::run_to(thread, trace, k);
    assert!(led.is_on_path, "{led:?} instead of {k}");
}

/// The whole operation, and whether it happened.
fn whole(stepped: &Peer, state: State, operation: Operation) -> Trace {
    let mut trace = Trace::default();
    let ring = die(stepped, state, operation, |ring, thread| {
        trace = single_step::trace(thread, changes_of(ring.segment()));
    });
    assert_eq!(
        has_happened(&ring, state, operation, "whole"),
        expected(state, operation).0 > 0,
        "uninterrupted, it happens"
    );
    trace
}

/// Looks at what is left behind.
fn has_happened(ring: &BoundedBuffer<u64>, state: State, operation: Operation, what: &str) -> bool {
    let (moved, before, after) = expected(state, operation);
    let found = sorted(look(ring));
    assert!(
        found == before || found == after,
        "{state:?}, {operation:?}, {what}: {found:?}"
    );
    moved > 0 && found == after
}

pub(crate) fn is_possible() -> bool {
    if !single_step::IS_POSSIBLE {
        crate::common::skipped("single steps are for x86-64 Linux");
    }
    single_step::IS_POSSIBLE
}

/// A long run can be had in parts.
fn is_left_out(operation: Operation) -> bool {
    let name = format!("{operation:?}");
    std::env::var("SYSVSHM_OPERATION").is_ok_and(|wanted| wanted != name)
}

/// The peer of both tests: operates in the ring and with the operation given.
macro_rules! operator {
    () => {
        peer!(|talk| {
            let ring = attach(talk.arg(0));
            let (operation, state) = (talk.arg::<usize>(1), talk.arg::<usize>(2));
            operate(talk, &ring, OPERATIONS[operation], STATES[state]);
        })
    };
}

/// Steps whole operations, then kills others at chosen instructions, or after every one.
#[test]
fn killed_after_every_instruction() {
    let stepped = operator!();
    if !is_possible() {
        return;
    }
    let _alone = alone();
    let some = budget("SYSVSHM_STEPS_EACH", 2);
    let operations = OPERATIONS.into_iter().filter(|&one| !is_left_out(one));
    let cases: Vec<(Operation, State)> = operations
        .flat_map(|operation| {
            STATES[..THREE_ITEMS]
                .iter()
                .map(move |&state| (operation, state))
        })
        .collect();
    let done = single_step::with_each(&cases, |&(operation, state)| {
        let mut random = Random::new(seed());
        let trace = whole(&stepped, state, operation);
        let places = trace.places(some, |end| random.below(end));
        let kills = places.len();
        let mut outcomes: BTreeMap<u64, bool> = BTreeMap::new();
        for k in places {
            let mut is_on_path = false;
            let ring = die(&stepped, state, operation, |_, thread| {
                is_on_path = single_step::run_to(thread, &trace, k).is_on_path;
            });
            let what = format!("after {k} instructions");
            let happened = has_happened(&ring, state, operation, &what);
            if is_on_path {
                outcomes.insert(k, happened);
            }
        }
        let switch = single_step::switch(&outcomes)
            .unwrap_or_else(|wrong| panic!("{state:?}, {operation:?}: {wrong}"));
        let happens = expected(state, operation).0 > 0;
        assert_eq!(switch.is_some(), happens, "{state:?}, {operation:?}");
        (trace, switch, kills, kills - outcomes.len())
    });
    for ((operation, state), (trace, switch, kills, elsewhere)) in cases.iter().zip(&done) {
        println!(
            "{operation:?}, {}: {}, {}",
            state.name,
            trace.in_words(*switch),
            single_step::kills_in_words(*kills, *elsewhere)
        );
    }
    let covered: u64 = done.iter().map(|(trace, ..)| trace.total()).sum();
    let kills: usize = done.iter().map(|(_, _, kills, _)| kills).sum();
    println!("{covered} instructions, {kills} kills");
}

/// A recoverer that is killed while it recovers: after chosen instructions, or all, of a recovery of what somebody
/// left who was killed in the middle of an operation, at each of the instructions that leave other slots behind.
#[test]
fn killed_while_recovering() {
    let stepped = operator!();
    let recoverer = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        // What a first call does once is no part of the recovery.
        ring_with::<u64>(Options::new().capacity(CAPACITY))
            .recover()
            .unwrap();
        talk.say(single_step::trace_me());
        breakpoint();
        ring.recover().unwrap();
        breakpoint();
    });
    if !is_possible() {
        return;
    }
    let _alone = alone();
    let some = budget("SYSVSHM_STEPS_EACH", 2);
    let state = STATES[THREE_ITEMS];
    let (mut covered, mut kills) = (0, 0);
    for (operation, state) in [
        (Operation::PushSlice, STATES[0]),
        (Operation::CommitPart, STATES[0]),
        (Operation::PopSlice, state),
        (Operation::ReleasePart, state),
    ] {
        if is_left_out(operation) {
            continue;
        }
        let recover = |ring: &BoundedBuffer<u64>| recoverer.clone().arg(id(ring)).start();
        let mut trace = Trace::default();
        let ring = die(&stepped, state, operation, |ring, thread| {
            let mut last = picture(ring);
            trace = single_step::trace(thread, || {
                let now = picture(ring);
                now != std::mem::replace(&mut last, now.clone())
            });
        });
        assert!(has_happened(&ring, state, operation, "whole"));
        let deaths: Vec<u64> = [0].iter().chain(&trace.changes).copied().collect();
        let done = single_step::with_each(&deaths, |&k| {
            let mut random = Random::new(seed() + k);
            let die = || {
                die(&stepped, state, operation, |_, thread| {
                    lead_to(thread, &trace, k);
                })
            };
            let ring = die();
            let recovery = lead_and_kill(recover(&ring), |thread| {
                single_step::trace(thread, changes_of(ring.segment()))
            });
            let what = format!("killed at {k}, then recovered");
            let happened = has_happened(&ring, state, operation, &what);
            let places = recovery.places(some, |end| random.below(end));
            for &at in &places {
                let ring = die();
                lead_and_kill(recover(&ring), |thread| {
                    single_step::run_to(thread, &recovery, at)
                });
                let what = format!("killed at {k}, its recovery at {at}");
                let second = has_happened(&ring, state, operation, &what);
                assert_eq!(happened, second, "{operation:?}: {what}");
            }
            (recovery.total(), places.len())
        });
        let instructions: u64 = done.iter().map(|(instructions, _)| instructions).sum();
        let recoverers: usize = done.iter().map(|(_, recoverers)| recoverers).sum();
        println!(
            "recovery of {operation:?}: {} different deaths, {instructions} instructions, {recoverers} recoverers killed",
            deaths.len()
        );
        covered += instructions;
        kills += 2 * recoverers;
    }
    println!("{covered} instructions of recoveries, {kills} kills");
}

/// A wait of no time asks, looks and ends as a call that does not wait: no barrier, no sleep, no spinning. Counted in
/// instructions, each a handle's first call, in which it asks who lives.
#[test]
fn a_wait_of_no_time_costs_what_a_try_costs() {
    let stepped = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let waits = talk.arg::<usize>(1) == 1;
        // What a first call does once is no part of it.
        let other: BoundedBuffer<u64> = ring_with(Options::new().capacity(CAPACITY));
        let mut once = other.consumer().unwrap();
        assert!(once.try_pop().is_err() && once.pop_timeout(Duration::ZERO).is_err());
        let mut consumer = ring.consumer().unwrap();
        talk.say(single_step::trace_me());
        breakpoint();
        let popped = if waits {
            consumer.pop_timeout(Duration::ZERO)
        } else {
            consumer.try_pop()
        };
        breakpoint();
        assert!(popped.is_err());
    });
    if !is_possible() {
        return;
    }
    let _alone = alone();
    let ring = prepare(STATES[0]);
    let cost = |waits: usize| {
        let peer = stepped.clone().arg(id(&ring)).arg(waits).start();
        let trace = lead_and_kill(peer, |thread| {
            single_step::trace(thread, changes_of(ring.segment()))
        });
        ring.recover().unwrap();
        trace.total()
    };
    let (tries, waits) = (cost(0), cost(1));
    println!("try_pop: {tries} instructions, pop_timeout of nothing: {waits}");
    // The clock is read twice more. Spinning and a barrier would be tens of thousands.
    assert!(waits < 2 * tries, "{waits} instead of {tries}");
}

/// The words of all slots.
fn picture(ring: &BoundedBuffer<u64>) -> Vec<u64> {
    let first = 1408 + 3 * 64_usize;
    let slots = ring
        .segment()
        .slice::<u64>(first.next_multiple_of(128), 2 * CAPACITY);
    slots.unwrap().iter().step_by(2).collect()
}
