//! The promise at its finest: a process is killed after every single machine instruction of an operation, and each
//! time the operation either never happened or has happened.
//!
//! A peer claims its role and stops at a breakpoint right before the operation; this process steps it through, one
//! instruction at a time (ptrace), and notes after which of them the segment holds something else. Then others are
//! killed after the k-th, and this process takes over both roles and looks. For growing k the answer must switch
//! once from "never happened" to "happened".
//!
//! All that a successor can see of the dead is the segment, and that they are dead. So two deaths between which the
//! segment does not change are one, and the ordinary run kills at both ends of each such stretch, around each
//! system call, and at some instructions with a seed; `SYSVSHM_STEPS=all` kills after every one.

use crate::single_step::{self, Led, Trace, breakpoint, changes_of};
use crate::support::{LAYOUTS, Peer, Random, alone, attach, budget, id, ring_with, say, seed};
use std::collections::BTreeMap;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options};

const CAPACITY: usize = 4;
/// What the operation under test pushes.
const PUSHED: [u64; 3] = [100, 101, 102];

/// The operations, by the number a peer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Push,
    PushSlice,
    Commit,
    Pop,
    PopSlice,
    Release,
}

const OPERATIONS: [Operation; 6] = [
    Operation::Push,
    Operation::PushSlice,
    Operation::Commit,
    Operation::Pop,
    Operation::PopSlice,
    Operation::Release,
];

impl Operation {
    fn pushes(self) -> bool {
        matches!(self, Self::Push | Self::PushSlice | Self::Commit)
    }

    /// How many items it moves, if there are `held` and it does not wrap inside a run that lies side by side.
    fn moves(self, held: usize, position: u64) -> usize {
        let limit = if self.pushes() { CAPACITY - held } else { held };
        let before_the_end = CAPACITY - (position as usize % CAPACITY);
        match self {
            Self::Push | Self::Pop => limit.min(1),
            Self::PushSlice | Self::PopSlice => limit.min(3),
            Self::Commit | Self::Release => limit.min(3).min(before_the_end),
        }
    }
}

/// From what state the operation starts.
#[derive(Clone, Copy, Debug)]
struct State {
    name: &'static str,
    /// Items pushed and popped before, so that the run begins in this slot.
    passed: u64,
    held: usize,
    /// Whether the other side has announced that it sleeps, so that it must be woken.
    asleep: bool,
}

const STATES: [State; 6] = [
    State {
        name: "empty",
        passed: 0,
        held: 0,
        asleep: false,
    },
    State {
        name: "empty, other side asleep",
        passed: 0,
        held: 0,
        asleep: true,
    },
    State {
        name: "one item",
        passed: 1,
        held: 1,
        asleep: false,
    },
    State {
        name: "two items at the wrap",
        passed: 3,
        held: 2,
        asleep: false,
    },
    State {
        name: "full, other side asleep",
        passed: 2,
        held: CAPACITY,
        asleep: true,
    },
    State {
        name: "full",
        passed: 7,
        held: CAPACITY,
        asleep: false,
    },
];

/// The process that is stepped: claims, stops, operates, stops.
pub(crate) fn peer(numbers: &[u64]) {
    let ring: BoundedBuffer<u64> = attach(numbers[0]);
    let trace_me = || say(&format!("thread {}", single_step::trace_me()));
    // Claiming the consuming side wakes a producer that sleeps.
    let fall_asleep = || {
        let word = ring.segment().reference::<u32>(512).unwrap();
        word.store(numbers[2] as u32);
    };
    match OPERATIONS[numbers[1] as usize] {
        Operation::Push => {
            let mut producer = ring.producer().unwrap();
            trace_me();
            breakpoint();
            let _ = producer.try_push(PUSHED[0]);
            breakpoint();
        }
        Operation::PushSlice => {
            let mut producer = ring.producer().unwrap();
            trace_me();
            breakpoint();
            let _ = producer.try_push_slice(&PUSHED);
            breakpoint();
        }
        Operation::Commit => {
            let mut producer = ring.producer().unwrap();
            trace_me();
            breakpoint();
            if let Ok(mut space) = producer.try_reserve(PUSHED.len()) {
                let len = space.len();
                space.write_from(0, &PUSHED[..len]);
                space.commit(len).unwrap();
            }
            breakpoint();
        }
        Operation::Pop => {
            let mut consumer = ring.consumer().unwrap();
            fall_asleep();
            trace_me();
            breakpoint();
            let _ = consumer.try_pop();
            breakpoint();
        }
        Operation::PopSlice => {
            let mut consumer = ring.consumer().unwrap();
            fall_asleep();
            trace_me();
            breakpoint();
            let _ = consumer.try_pop_slice(&mut [0; 3]);
            breakpoint();
        }
        Operation::Release => {
            let mut consumer = ring.consumer().unwrap();
            fall_asleep();
            trace_me();
            breakpoint();
            if let Ok(items) = consumer.try_peek(3) {
                let len = items.len();
                items.release(len).unwrap();
            }
            breakpoint();
        }
    }
}

fn prepare(layout: Layout, state: State, pushes: bool) -> BoundedBuffer<u64> {
    let mut options = Options::new();
    let ring: BoundedBuffer<u64> = ring_with(options.capacity(CAPACITY).layout(layout));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..state.passed {
        producer.push(item).unwrap();
        consumer.pop().unwrap();
    }
    for item in 0..state.held as u64 {
        producer.push(item).unwrap();
    }
    drop((producer, consumer));
    if state.asleep {
        // The word of the side that this operation must wake.
        let word = if pushes { 640 } else { 512 };
        ring.segment().reference::<u32>(word).unwrap().store(1);
    }
    ring
}

/// What is in the ring, found by successors, which then show that it still works.
pub(crate) fn look(ring: &BoundedBuffer<u64>) -> Vec<u64> {
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let found: Vec<u64> = consumer.try_iter().collect();
    assert_eq!(producer.position(), consumer.position());
    let more: Vec<u64> = (500..500 + 3 * CAPACITY as u64).collect();
    for run in more.chunks(CAPACITY) {
        assert_eq!(producer.try_push_slice(run), Ok(run.len()));
        assert!(
            producer.try_push(0).is_err(),
            "full again: no slot was lost or won"
        );
        assert!(consumer.try_iter().eq(run.iter().copied()));
    }
    found
}

/// A process that is led into the operation and killed where `lead` leaves it; whether the operation had happened.
fn outcome(
    (layout, operation, state): Case,
    lead: impl FnOnce(&BoundedBuffer<u64>, i32) -> Led,
) -> bool {
    let ring = prepare(layout, state, operation.pushes());
    let index = OPERATIONS
        .iter()
        .position(|&other| other == operation)
        .unwrap();
    let mut peer = Peer::start("step", &[id(&ring), index as u64, u64::from(state.asleep)]);
    let thread = peer.expect_number("thread ");
    let led = lead(&ring, thread);
    peer.signal(libc::SIGKILL);
    single_step::see_the_end(thread);
    peer.kill();

    let (moved, before, after) = expected(operation, state);
    let found = look(&ring);
    assert!(
        found == before || found == after,
        "{layout:?}, {state:?}, {operation:?}, after {} instructions: {found:?}",
        led.executed
    );
    moved > 0 && found == after
}

/// How many items the operation moves, and what must be there if it did not happen, and if it did.
fn expected(operation: Operation, state: State) -> (usize, Vec<u64>, Vec<u64>) {
    let before: Vec<u64> = (0..state.held as u64).collect();
    let position = if operation.pushes() {
        state.passed + state.held as u64
    } else {
        state.passed
    };
    let moved = operation.moves(state.held, position);
    let after: Vec<u64> = if operation.pushes() {
        before.iter().chain(&PUSHED[..moved]).copied().collect()
    } else {
        before[moved..].to_vec()
    };
    (moved, before, after)
}

type Case = (Layout, Operation, State);

/// Steps whole operations, then kills others at chosen instructions, or after every one.
#[test]
fn killed_after_every_instruction() {
    if !single_step::IS_POSSIBLE {
        eprintln!("skipped: single steps are for x86-64 Linux");
        return;
    }
    let _alone = alone();
    let some = budget("SYSVSHM_STEPS_EACH", 2);
    let mut cases: Vec<Case> = Vec::new();
    for layout in LAYOUTS {
        for operation in OPERATIONS {
            cases.extend(STATES.map(|state| (layout, operation, state)));
        }
    }
    let done = single_step::with_each(&cases, |&case| {
        let (_, operation, state) = case;
        let mut random = Random::new(seed());
        let mut trace = Trace::default();
        let happens = outcome(case, |ring, thread| {
            trace = single_step::trace(thread, changes_of(ring.segment()));
            trace.end()
        });
        let moved = expected(operation, state).0;
        assert_eq!(happens, moved > 0, "{case:?}: uninterrupted, it happens");
        let places = trace.places(some, |end| random.below(end));
        let kills = places.len();
        let mut outcomes: BTreeMap<u64, bool> = BTreeMap::new();
        for k in places {
            let mut is_on_path = false;
            let happened = outcome(case, |_, thread| {
                let led = single_step::run_to(thread, &trace, k);
                is_on_path = led.is_on_path;
                led
            });
            if is_on_path {
                outcomes.insert(k, happened);
            }
        }
        let switch =
            single_step::switch(&outcomes).unwrap_or_else(|wrong| panic!("{case:?}: {wrong}"));
        assert_eq!(switch.is_some(), happens, "{case:?}");
        (trace, switch, kills, kills - outcomes.len())
    });
    for ((layout, operation, state), (trace, switch, kills, elsewhere)) in cases.iter().zip(&done) {
        println!(
            "{layout:?} {operation:?}, {}: {}, {}",
            state.name,
            trace.in_words(*switch),
            single_step::kills_in_words(*kills, *elsewhere)
        );
    }
    let covered: u64 = done.iter().map(|(trace, ..)| trace.total()).sum();
    let kills: usize = done.iter().map(|(_, _, kills, _)| kills).sum();
    println!(
        "{} operations from their states, {covered} instructions, {kills} kills",
        cases.len()
    );
}
