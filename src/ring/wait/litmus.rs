//! The shipped form of sleeping, which no model explores, between two processes on two processors.
//!
//! Store buffering is the one thing that can lose a wake-up: each side stores, then loads what the other side
//! stores, and each load may be served before the store before it is seen.
//!
//! ```text
//! publisher                               sleeper
//!   store the item                          store ASLEEP
//!   load the sleeper's word                 barrier in every registered process
//!                                           load the item
//! ```
//!
//! If both loads find the old value, the wake-up is lost. The calls are those of the rings: [`wake_one`] or
//! [`wake_many`], and [`Waiter::sleep`]. In place of the futex stands a look, once the publisher is done with the round: is the announcement still there? Then it was not seen, and nobody wakes this
//! sleeper. Rounds come at random distances, from a few instructions to the length of a barrier.
//!
//! Whether a processor misbehaves in time without the barrier is luck, so storms with the barrier or the fences left
//! out report how many wake-ups they lost and judge nothing. That a missing barrier is noticed is shown by
//! construction, in [`store_buffers`](super::store_buffers). These storms are for processors that are not x86, and for
//! what the model takes on trust: the kernel's barrier.
//!
//! ```text
//! SYSVSHM_LITMUS_SECONDS=60 .ci/litmus
//! ```

#![allow(unsafe_code, reason = "implements the seam, and pins processes")]

use super::{Look, NO_BARRIER, Peer, Waiter, Waiting};
use super::{announce_no_barrier, register, wake_many, wake_one};
use crate::key::Key;
use crate::ring::shm::memory::{Mapped, Shared, SharedWaits};
use crate::segment::{Segment, SegmentId, SegmentOptions};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::cell::Cell;
use std::hint::black_box;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// What a publisher is started with: the segment, the form, a processor, the bug.
const PEER: &str = "SYSVSHM_LITMUS_PUBLISHER";

// Where things are; each on lines of its own.
/// The round that the sleeper has begun; `OVER` after the last.
const BEGUN: usize = 0;
const ITEM: usize = 128;
const WORD: usize = 256;
/// The round that the publisher is done with.
const DONE: usize = 384;
/// Written before the item, as a large item's bytes are: stores that the item's has to wait for.
const BALLAST: usize = 512;
const BALLAST_LINES: u64 = 56;
const BYTES: usize = 4096;
const OVER: u64 = u64::MAX;

/// Whose protocol, and who pays for its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One sleeper, the sleeper's barrier.
    One,
    /// One sleeper, a fence on either side: C peers, and old kernels.
    OneFenced,
    /// Many sleepers on one word, the sleeper's barrier.
    Crowd,
    CrowdFenced,
}

const FORMS: [Form; 4] = [Form::One, Form::OneFenced, Form::Crowd, Form::CrowdFenced];

impl Form {
    fn is_crowd(self) -> bool {
        matches!(self, Self::Crowd | Self::CrowdFenced)
    }

    fn is_fenced(self) -> bool {
        matches!(self, Self::OneFenced | Self::CrowdFenced)
    }

    /// A sleeper's word while nobody sleeps.
    fn awake(self) -> u32 {
        if self.is_fenced() { NO_BARRIER } else { 0 }
    }
}

/// What is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// The sleeper asks for no barrier, and nobody fences.
    NoBarrier,
    /// The publisher has not registered for barriers, and does not say so.
    NotRegistered,
}

const BUGS: [Bug; 3] = [Bug::None, Bug::NoBarrier, Bug::NotRegistered];

/// How the rounds ended.
#[derive(Debug, Default)]
struct Counts {
    rounds: Cell<u64>,
    /// The sleeper looked again and found the item.
    found: Cell<u64>,
    /// It did not, and the publisher saw the announcement.
    woken: Cell<u64>,
    /// Neither.
    lost: Cell<u64>,
}

fn add_one(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

/// Memory whose sleeper looks whether it would have been woken, and whose barrier can be left out.
#[derive(Clone, Copy)]
struct Litmus<'a> {
    mapped: Mapped,
    bug: Bug,
    /// Those of the sleeper; the publisher has none.
    counts: Option<&'a Counts>,
}

impl<'a> Litmus<'a> {
    fn new(segment: &Segment, bug: Bug, counts: Option<&'a Counts>) -> Self {
        assert!(segment.len_bytes() >= BYTES);
        // SAFETY: the callers keep the segment for as long as they use this, and `BYTES` is beyond every offset.
        let mapped = unsafe { Mapped::new(segment.base()) };
        Self {
            mapped,
            bug,
            counts,
        }
    }

    fn get(self, at: usize) -> u64 {
        // SAFETY: one of the offsets above.
        unsafe { self.load(at, Ordering::Acquire) }
    }

    #[inline(always)]
    fn set(self, at: usize, value: u64) {
        // SAFETY: one of the offsets above.
        unsafe { self.store(at, value, Ordering::Release) }
    }

    /// Waits until the other side gets so far, and leaves the processor to others when that takes long.
    fn wait_for(self, at: usize, enough: impl Fn(u64) -> bool) -> u64 {
        let mut looks = 0_u32;
        let started = Instant::now();
        loop {
            let value = self.get(at);
            if enough(value) {
                return value;
            }
            looks += 1;
            if looks % 4096 == 0 {
                assert!(
                    started.elapsed() < Duration::from_secs(60),
                    "the other side is gone"
                );
                thread::yield_now();
            }
        }
    }
}

impl Shared for Litmus<'_> {
    #[inline(always)]
    unsafe fn load(self, at: usize, order: Ordering) -> u64 {
        // SAFETY: the caller vouches for the offset; so below.
        unsafe { self.mapped.load(at, order) }
    }
    #[inline(always)]
    unsafe fn store(self, at: usize, value: u64, order: Ordering) {
        // SAFETY: as above.
        unsafe { self.mapped.store(at, value, order) }
    }
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        // SAFETY: as above.
        unsafe { self.mapped.compare_exchange(at, current, new) }
    }
}

impl SharedWaits for Litmus<'_> {
    #[inline(always)]
    unsafe fn load_wait(self, at: usize) -> u32 {
        // SAFETY: as above.
        unsafe { self.mapped.load_wait(at) }
    }
    #[inline(always)]
    unsafe fn store_wait(self, at: usize, value: u32) {
        // SAFETY: as above.
        unsafe { self.mapped.store_wait(at, value) }
    }
    unsafe fn compare_exchange_wait(self, at: usize, current: u32, new: u32) -> bool {
        // SAFETY: as above.
        unsafe { self.mapped.compare_exchange_wait(at, current, new) }
    }
    fn fence(self) {
        if self.bug != Bug::NoBarrier {
            self.mapped.fence();
        }
    }
    fn barrier_everywhere(self) -> bool {
        self.bug == Bug::NoBarrier || self.mapped.barrier_everywhere()
    }
    /// Not asleep: waits until the publisher is done, and judges whether it would have woken this sleeper.
    unsafe fn sleep(self, at: usize, expected: u32, _: Duration) {
        let counts = self.counts.expect("a sleeper");
        self.wait_for(DONE, |done| done == counts.rounds.get());
        // SAFETY: as above.
        let is_unseen = unsafe { self.load_wait(at) } == expected;
        add_one(if is_unseen {
            &counts.lost
        } else {
            &counts.woken
        });
    }
    /// Nobody sleeps for real: the publisher clears the word, as it does for a sleeper that is about to sleep.
    unsafe fn wake(self, _: usize, _: u32) -> u32 {
        0
    }
}

/// Any length from nothing to that of a barrier, the short ones as often as the long ones.
struct Phase(u64);

/// Turns of an empty loop, as a power of two: some twenty microseconds.
const LONGEST: u64 = if cfg!(debug_assertions) { 12 } else { 17 };

impl Phase {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    #[inline(always)]
    fn pass(&mut self) {
        let magnitude = self.next() % LONGEST;
        for turn in 0..self.next() % (1 << magnitude) {
            black_box(turn);
        }
    }
}

/// The processors to use: two that this process may run on.
fn processors() -> Option<[usize; 2]> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    Some([usable.next()?, usable.next()?])
}

fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).unwrap();
}

/// The publishing process.
#[test]
#[ignore = "a storm starts it"]
fn publisher() {
    let Ok(task) = std::env::var(PEER) else {
        return;
    };
    let numbers: Vec<usize> = task.split(' ').map(|word| word.parse().unwrap()).collect();
    let segment = SegmentId::from_raw(numbers[0] as i32).attach().unwrap();
    let form = FORMS[numbers[1]];
    pin(numbers[2]);
    let bug = BUGS[numbers[3]];
    assert!(bug == Bug::NotRegistered || register());
    // In the fenced forms it is the sleeper that cannot make others fence.
    publish(Litmus::new(&segment, bug, None), form);
    std::process::exit(0);
}

fn publish(memory: Litmus<'_>, form: Form) {
    let mut phase = Phase(7);
    let mut round = 0;
    loop {
        let begun = memory.wait_for(BEGUN, |begun| begun > round);
        if begun == OVER {
            return;
        }
        round = begun;
        let ballast = phase.next() % (BALLAST_LINES + 1);
        phase.pass();
        for line in 0..ballast as usize {
            memory.set(BALLAST + 64 * line, round);
        }
        memory.set(ITEM, round);
        if form.is_crowd() {
            wake_many(memory, WORD, true, 1);
        } else {
            wake_one(memory, WORD, true);
        }
        memory.set(DONE, round);
    }
}

/// One round of the sleeping side.
fn fall_asleep(memory: Litmus<'_>, form: Form, round: u64) {
    let mut looks = 0;
    let mut look = |_| {
        looks += 1;
        if memory.get(ITEM) == round {
            Look::Ready(())
        } else {
            Look::NotYet
        }
    };
    let mut peer = || Peer::WaitForIt;
    let waiter = if form.is_crowd() {
        Waiter::one_of_many(WORD, Waiting::Sleep, !form.is_fenced(), 0)
    } else {
        Waiter::alone(WORD, Waiting::Sleep, !form.is_fenced())
    };
    let done = waiter.sleep(memory, None, &mut look, &mut peer);
    assert!(done.is_ok());
    if looks == 1 {
        add_one(&memory.counts.expect("a sleeper").found);
    }
}

/// A publisher, killed and collected when this goes.
struct Publisher(Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rounds until the time is over.
fn storm(form: Form, bug: Bug, time: Duration, [here, there]: [usize; 2]) -> Counts {
    let segment = SegmentOptions::new()
        .size_bytes(BYTES)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let counts = Counts::default();
    let memory = Litmus::new(&segment, bug, Some(&counts));
    // A participant that cannot take part says so when it comes.
    if form.is_crowd() && form.is_fenced() {
        announce_no_barrier(memory, WORD);
    }
    let index = FORMS.iter().position(|&other| other == form).unwrap();
    let bug_index = BUGS.iter().position(|&other| other == bug).unwrap();
    let id = segment.id().as_raw();
    let place = module_path!().split_once("::").unwrap().1;
    let mut publisher = Publisher(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{place}::publisher")])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(PEER, format!("{id} {index} {there} {bug_index}"))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap(),
    );
    pin(here);
    let mut phase = Phase(1);
    let started = Instant::now();
    loop {
        let round = counts.rounds.get() + 1;
        counts.rounds.set(round);
        // The publisher is done with the round before, and nobody has announced anything.
        // SAFETY: one of the offsets above.
        unsafe { memory.store_wait(WORD, form.awake()) };
        for line in 0..BALLAST_LINES as usize {
            memory.set(BALLAST + 64 * line, round);
        }
        memory.set(BEGUN, round);
        phase.pass();
        fall_asleep(memory, form, round);
        memory.wait_for(DONE, |done| done == round);
        if round % 256 == 0 && started.elapsed() >= time {
            break;
        }
    }
    memory.set(BEGUN, OVER);
    assert!(publisher.0.wait().unwrap().success());
    let what = match bug {
        Bug::None => "as shipped",
        Bug::NoBarrier => "barrier left out",
        Bug::NotRegistered => "publisher not registered",
    };
    println!(
        "litmus {form:?}, {what}: {} rounds in {:.1} s: {} found the item, {} were seen asleep, {} lost",
        counts.rounds.get(),
        started.elapsed().as_secs_f64(),
        counts.found.get(),
        counts.woken.get(),
        counts.lost.get()
    );
    counts
}

/// One storm at a time: each needs two processors.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs on a thread of its own, which is pinned and then gone.
fn on_two_processors(test: impl FnOnce([usize; 2], Duration) + Send) {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let both = processors().expect("two processors");
    assert!(register(), "membarrier(2)");
    let seconds = std::env::var("SYSVSHM_LITMUS_SECONDS").map_or(5, |text| text.parse().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| test(both, Duration::from_secs(seconds)));
    });
}

#[test]
#[ignore = "a storm that needs two processors for itself: .ci/litmus"]
fn no_wake_up_is_lost_between_processes() {
    on_two_processors(|both, time| {
        for form in FORMS {
            let counts = storm(form, Bug::None, time, both);
            assert_eq!(counts.lost.get(), 0, "{form:?}");
        }
    });
}

/// The barrier reaches registered processes alone; where a system call takes longer than the stores before it, that
/// makes no difference.
#[test]
#[ignore = "a storm that needs two processors for itself, and reports: .ci/litmus"]
fn planted_bugs_are_reported() {
    on_two_processors(|both, time| {
        for form in FORMS {
            storm(form, Bug::NoBarrier, time, both);
        }
        for form in [Form::One, Form::Crowd] {
            storm(form, Bug::NotRegistered, time, both);
        }
    });
}
