//! A machine with store buffers, small enough to explore every run of it.
//!
//! It is that of the x86 memory model (P. Sewell and others, "x86-TSO", CACM 53, 2010): a store goes into the store
//! buffer of its processor and reaches memory later, in order; a processor sees its own buffered stores; a fence, a
//! compare-and-swap and a system call empty its buffer first. membarrier(2) empties the buffers of all registered
//! processes, one after the other, between its call and its return.
//!
//! The programs run against the seam, [`Shared`]. A program is a function that runs anew for every step: the answers
//! that it has had are replayed, and the first operation after them ends the run. So a state is a plain value, and
//! the exploration visits each state once. There are neither threads nor clocks.

#![allow(unsafe_code, reason = "implements the seam over a list of words")]

use crate::ring::shm::memory::{Shared, SharedMoved, SharedWaits};
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) const ITEMS: [usize; 2] = [128, 136];
pub(super) const WORD: usize = 256;
/// What a publisher without barriers watches: never 0.
pub(super) const NEVER_ZERO: usize = 0;

/// One operation on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    Load(usize),
    Store(usize, u64),
    /// Answers what was there.
    CompareExchange {
        at: usize,
        current: u64,
        new: u64,
    },
    Fence,
    Barrier,
    /// The kernel compares and enqueues in one step.
    SleepWhile(u64),
    /// Answers how many slept.
    Wake(u32),
}

/// The answers that a process has had, and the operation that it wants next.
#[derive(Default)]
struct Tape {
    answers: RefCell<VecDeque<u64>>,
    next: Cell<Option<Operation>>,
}

/// Ends a run at the first operation that has no answer yet.
struct EndOfTape;

/// The memory as a process sees it, by offsets that count from the second field on.
#[derive(Clone, Copy)]
pub(super) struct Replay<'a>(&'a Tape, usize);

impl Replay<'_> {
    fn ask(self, operation: Operation) -> u64 {
        let answer = self.0.answers.borrow_mut().pop_front();
        answer.unwrap_or_else(|| {
            self.0.next.set(Some(operation));
            resume_unwind(Box::new(EndOfTape))
        })
    }

    pub(super) fn exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        let at = self.1 + at;
        let found = self.ask(Operation::CompareExchange { at, current, new });
        if found == current {
            Ok(found)
        } else {
            Err(found)
        }
    }

    fn word(self, operation: Operation) -> u32 {
        u32::try_from(self.ask(operation)).expect("a word of 32 bits")
    }
}

impl Shared for Replay<'_> {
    unsafe fn load(self, at: usize, _: Ordering) -> u64 {
        self.ask(Operation::Load(self.1 + at))
    }
    unsafe fn store(self, at: usize, value: u64, _: Ordering) {
        self.ask(Operation::Store(self.1 + at, value));
    }
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        self.exchange(at, current, new)
    }
}

impl SharedWaits for Replay<'_> {
    unsafe fn load_wait(self, at: usize) -> u32 {
        self.word(Operation::Load(self.1 + at))
    }
    unsafe fn store_wait(self, at: usize, value: u32) {
        self.ask(Operation::Store(self.1 + at, value.into()));
    }
    unsafe fn compare_exchange_wait(self, at: usize, current: u32, new: u32) -> bool {
        self.exchange(at, current.into(), new.into()).is_ok()
    }
    fn fence(self) {
        self.ask(Operation::Fence);
    }
    fn barrier_everywhere(self) -> bool {
        self.ask(Operation::Barrier);
        true
    }
    unsafe fn sleep(self, _: usize, expected: u32, _: Duration) {
        self.ask(Operation::SleepWhile(expected.into()));
    }
    unsafe fn wake(self, _: usize, count: u32) -> u32 {
        self.word(Operation::Wake(count))
    }
}

impl SharedMoved for Replay<'_> {
    fn moved(self, by: usize) -> Self {
        Self(self.0, self.1 + by)
    }
}

/// What the machine leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    NoFence,
    NoBarrier,
}

/// What a process does, and whether the barriers of others reach it.
#[derive(Clone, Copy)]
pub(super) struct Program {
    pub(super) run: fn(Replay<'_>),
    pub(super) is_registered: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Doing {
    #[default]
    Runs,
    /// In membarrier(2), until the processes of these bits have fenced.
    InBarrier(u8),
    Sleeps,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Process {
    answers: Vec<u64>,
    /// `None`: it is done.
    next: Option<Operation>,
    doing: Doing,
    has_slept: bool,
    /// Stores that have not reached memory, oldest first.
    buffered: VecDeque<(usize, u64)>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    items: [u64; ITEMS.len()],
    word: u64,
    processes: Vec<Process>,
    /// Who sleeps, in the order in which they came.
    queue: VecDeque<usize>,
}

/// What happens next, to one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Its oldest buffered store reaches memory.
    StoreArrives,
    /// Its barrier empties the buffer of this other.
    BarrierReaches(usize),
    Performs(Operation),
}

/// What one exploration saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) states: usize,
    /// The steps that led to the first lost wake-up.
    pub(super) lost: Option<Vec<(usize, Step)>>,
    /// The runs' ends: of each process what it was answered, and whether it slept.
    pub(super) ends: HashSet<Vec<(Vec<u64>, bool)>>,
}

struct Machine<'a> {
    programs: &'a [Program],
    bug: Bug,
}

impl Machine<'_> {
    fn start(&self, word: u32) -> State {
        let mut state = State {
            items: [0; ITEMS.len()],
            word: word.into(),
            processes: vec![Process::default(); self.programs.len()],
            queue: VecDeque::new(),
        };
        for (program, process) in self.programs.iter().zip(&mut state.processes) {
            process.next = next_operation(*program, &[]);
        }
        state
    }

    fn explore(&self, word: u32) -> Seen {
        let mut seen = Seen::default();
        let start = self.start(word);
        let mut known = HashSet::from([start.clone()]);
        let mut open = vec![(start, Vec::new())];
        while let Some((state, trail)) = open.pop() {
            let steps = self.steps(&state);
            if steps.is_empty() {
                let is_done = |process: &Process| process.next.is_none();
                if !state.processes.iter().all(is_done) && seen.lost.is_none() {
                    seen.lost = Some(trail.clone());
                }
                let processes = state.processes.into_iter();
                let end = processes.map(|process| (process.answers, process.has_slept));
                seen.ends.insert(end.collect());
            }
            for (step, next) in steps {
                if known.insert(next.clone()) {
                    let mut trail = trail.clone();
                    trail.push(step);
                    open.push((next, trail));
                }
            }
        }
        seen.states = known.len();
        seen
    }

    /// Everything that can happen next.
    fn steps(&self, state: &State) -> Vec<((usize, Step), State)> {
        let mut steps = Vec::new();
        for (index, process) in state.processes.iter().enumerate() {
            if !process.buffered.is_empty() {
                let mut next = state.clone();
                next.write_oldest(index);
                steps.push(((index, Step::StoreArrives), next));
            }
            match (process.doing, process.next) {
                (Doing::Runs, Some(operation)) => {
                    let mut next = state.clone();
                    self.perform(&mut next, index, operation);
                    steps.push(((index, Step::Performs(operation)), next));
                }
                (Doing::InBarrier(owed), _) => {
                    for other in (0..state.processes.len()).filter(|other| owed & 1 << other != 0) {
                        let mut next = state.clone();
                        next.drain(other);
                        self.barrier_goes_on(&mut next, index, owed & !(1 << other));
                        steps.push(((index, Step::BarrierReaches(other)), next));
                    }
                }
                (Doing::Runs, None) | (Doing::Sleeps, _) => {}
            }
        }
        steps
    }

    fn perform(&self, state: &mut State, index: usize, operation: Operation) {
        let keeps_its_stores = match operation {
            Operation::Load(_) | Operation::Store(..) => true,
            Operation::Fence => self.bug == Bug::NoFence,
            Operation::Barrier => self.bug == Bug::NoBarrier,
            _ => false,
        };
        if !keeps_its_stores {
            state.drain(index);
        }
        let answer = match operation {
            Operation::Load(at) => state.load(index, at),
            Operation::Store(at, value) => {
                state.processes[index].buffered.push_back((at, value));
                0
            }
            Operation::CompareExchange { at, current, new } => {
                let place = state.place(at);
                let found = *place;
                if found == current {
                    *place = new;
                }
                found
            }
            Operation::Barrier if self.bug != Bug::NoBarrier => {
                let others = self.programs.iter().enumerate();
                let owed = others
                    .filter(|&(other, program)| other != index && program.is_registered)
                    .fold(0, |owed, (other, _)| owed | 1 << other);
                return self.barrier_goes_on(state, index, owed);
            }
            Operation::SleepWhile(expected) if state.word == expected => {
                state.processes[index].doing = Doing::Sleeps;
                state.processes[index].has_slept = true;
                state.queue.push_back(index);
                return;
            }
            Operation::Fence | Operation::Barrier | Operation::SleepWhile(_) => 0,
            Operation::Wake(count) => {
                let woken = state.queue.len().min(count as usize);
                for sleeper in state.queue.drain(..woken).collect::<Vec<_>>() {
                    self.answer(state, sleeper, 0);
                }
                woken as u64
            }
        };
        self.answer(state, index, answer);
    }

    fn barrier_goes_on(&self, state: &mut State, index: usize, owed: u8) {
        state.processes[index].doing = Doing::InBarrier(owed);
        if owed == 0 {
            self.answer(state, index, 0);
        }
    }

    fn answer(&self, state: &mut State, index: usize, answer: u64) {
        let process = &mut state.processes[index];
        process.doing = Doing::Runs;
        process.answers.push(answer);
        process.next = next_operation(self.programs[index], &process.answers);
    }
}

/// The operation that a process asks for after these answers.
fn next_operation(program: Program, answers: &[u64]) -> Option<Operation> {
    let tape = Tape {
        answers: RefCell::new(answers.iter().copied().collect()),
        next: Cell::new(None),
    };
    let end = catch_unwind(AssertUnwindSafe(|| (program.run)(Replay(&tape, 0))));
    match end {
        Err(why) if !why.is::<EndOfTape>() => resume_unwind(why),
        _ => {}
    }
    tape.next.get()
}

impl State {
    fn place(&mut self, at: usize) -> &mut u64 {
        match ITEMS.iter().position(|&item| item == at) {
            Some(item) => &mut self.items[item],
            None if at == WORD => &mut self.word,
            None => panic!("nothing is at {at}"),
        }
    }

    fn load(&mut self, index: usize, at: usize) -> u64 {
        if at == NEVER_ZERO {
            return 1;
        }
        let own = self.processes[index].buffered.iter().rev();
        match own.copied().find(|&(place, _)| place == at) {
            Some((_, value)) => value,
            None => *self.place(at),
        }
    }

    fn write_oldest(&mut self, index: usize) -> bool {
        let oldest = self.processes[index].buffered.pop_front();
        if let Some((at, value)) = oldest {
            *self.place(at) = value;
        }
        oldest.is_some()
    }

    fn drain(&mut self, index: usize) {
        while self.write_oldest(index) {}
    }
}

/// Explores every run of these programs, from this word and items that are 0.
pub(super) fn explore(programs: &[Program], word: u32, bug: Bug) -> Seen {
    Machine { programs, bug }.explore(word)
}

/// What two processes were answered, in all runs.
fn answers(first: fn(Replay<'_>), second: fn(Replay<'_>)) -> Vec<[Vec<u64>; 2]> {
    let programs = [first, second].map(|run| Program {
        run,
        is_registered: false,
    });
    let ends = explore(&programs, 0, Bug::None).ends.into_iter();
    let mut answers: Vec<_> = ends
        .map(|end| [end[0].0.clone(), end[1].0.clone()])
        .collect();
    answers.sort();
    answers
}

/// A later load of another word may overtake a store, and nothing else may.
#[test]
fn the_machine_is_x86() {
    fn store(memory: Replay<'_>, item: usize) {
        memory.ask(Operation::Store(ITEMS[item], 1));
    }
    fn load(memory: Replay<'_>, item: usize) {
        memory.ask(Operation::Load(ITEMS[item]));
    }
    fn store_and_load<const MINE: usize, const OTHER: usize>(memory: Replay<'_>) {
        store(memory, MINE);
        load(memory, OTHER);
    }
    fn store_fence_and_load<const MINE: usize, const OTHER: usize>(memory: Replay<'_>) {
        store(memory, MINE);
        memory.fence();
        load(memory, OTHER);
    }
    fn store_both(memory: Replay<'_>) {
        store(memory, 0);
        store(memory, 1);
    }
    fn load_both(memory: Replay<'_>) {
        load(memory, 1);
        load(memory, 0);
    }
    let loads = |ends: Vec<[Vec<u64>; 2]>| -> Vec<(u64, u64)> {
        let last = |answers: &Vec<u64>| *answers.last().unwrap();
        ends.iter()
            .map(|end| (last(&end[0]), last(&end[1])))
            .collect()
    };
    let overtaken = answers(store_and_load::<0, 1>, store_and_load::<1, 0>);
    assert_eq!(loads(overtaken), [(0, 0), (0, 1), (1, 0), (1, 1)]);
    let fenced = answers(store_fence_and_load::<0, 1>, store_fence_and_load::<1, 0>);
    assert_eq!(loads(fenced), [(0, 1), (1, 0), (1, 1)]);
    let own = answers(store_and_load::<0, 0>, |_| ());
    assert_eq!(own, [[vec![0, 1], vec![]]]);
    let in_order = answers(load_both, store_both).into_iter();
    let in_order: Vec<_> = in_order.map(|[loaded, _]| loaded).collect();
    assert_eq!(in_order, [[0, 0], [0, 1], [1, 1]]);
}
