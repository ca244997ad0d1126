//! Waiting for the other side: look a while, then sleep, and let the sleeper pay.
//!
//! Who publishes something (an item, room) must wake a sleeper, and must not pay for it while nobody sleeps. The
//! usual answer, a full fence between publishing and looking for sleepers, costs more than everything else in a
//! push together. So the sleeper makes the fence happen:
//!
//! ```text
//! publisher                               sleeper
//!   store what is published                 store ASLEEP                      (announce)
//!   load the sleeper's word   <-- no fence  membarrier(GLOBAL_EXPEDITED)      (a full fence in every registered process)
//!   if ASLEEP: clear it, futex wake         look again                        (recheck)
//!                                           futex wait while ASLEEP, in slices
//! ```
//!
//! The argument: the barrier makes each running thread of each registered process execute a full fence between the
//! announcement and the recheck. A publisher's fence falls either behind its store, then the recheck sees what was
//! published; or before its store, hence before its load, and the load sees the announcement. (A thread that is not
//! running passes a full fence when it is scheduled.) No third case, so no lost wake-up.
//!
//! A sleeper's word, 32 bits:
//!
//! | bit | meaning | written by |
//! |---|---|---|
//! | 0 `ASLEEP` | somebody sleeps or is about to | set by the sleeper; cleared by the sleeper, or by a publisher about to wake it |
//! | 1 `NO_BARRIER` | this sleeper cannot make the others fence: publishers must do it themselves | the sleeper, from claiming the role on, or from its first barrier that fails |
//!
//! A publisher that could not register for the barrier fences at every publish. C peers do the same. In both cases
//! the protocol is the fenced one, which loom explores. The form with the barrier is explored on a model of a machine
//! with store buffers (`store_buffers`), where it loses nothing, and loses something as soon as the barrier is left
//! out; storms between two processes (`litmus`) count on the machine at hand.
//!
//! Sleeping is in slices of at most [`SLICE`]. After each the sleeper looks for itself, asks the kernel whether its
//! peer lives, and sleeps on without a new barrier as long as its announcement stands. So whatever goes wrong with
//! a wake-up, such as a publisher killed between clearing the word and the wake, costs one slice.

pub(crate) mod crowd;
#[cfg(all(test, target_os = "linux", not(loom)))]
mod litmus;
mod spin;
#[cfg(all(test, not(loom)))]
mod store_buffers;

pub(crate) use spin::{Gap, Habit};

use crate::ring::shm::memory::Shared;
use crate::sys::futex;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How a call waits that cannot go on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Waiting {
    /// Looks for some 15 to 50 microseconds, then sleeps until it is woken. Uses next to no processor time while
    /// idle. The default.
    #[default]
    Sleep,
    /// Looks all the time: lowest latency, one processor fully used. For processes that own their processors.
    Spin,
    /// Looks, and gives the processor to others in between: when there are more busy processes than processors.
    Yield,
}

/// When a wait ends; `None`: never.
pub(crate) type Deadline = Option<Instant>;

/// The deadline of a call that begins to wait now; never, for what no clock can reach.
#[cold]
#[inline(never)]
pub(crate) fn deadline(timeout: Duration) -> Deadline {
    Instant::now().checked_add(timeout)
}

/// How the calls of a handle wait.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WaitOptions {
    pub(crate) strategy: Waiting,
    /// Whether a wait ends when the other side is not there any more.
    pub(crate) ends_on_disconnect: bool,
}

/// Somebody sleeps on the word, or is about to.
pub(crate) const ASLEEP: u32 = 1;
/// The sleeper cannot execute a barrier in other processes.
pub(crate) const NO_BARRIER: u32 = 2;
/// The longest sleep without a look, by which a wait for a dead peer stays below 100 ms: the rest is for waking up.
/// An idle sleeper's processor time is proportional to the number of slices, and to nothing else.
pub(crate) const SLICE: Duration = Duration::from_millis(80);

/// Set once a barrier has failed in this process, which had registered for it: a filter denies the call since, or
/// the kernel had no memory for it. From then on this process announces that it cannot have barriers, and fences.
static BARRIERS_FAIL: AtomicBool = AtomicBool::new(false);
/// The first sleep after a barrier has failed. A publisher may have missed the announcement made with it, and sees
/// the one that no barrier is to be relied on only after its processor has stored what it published: nanoseconds.
pub(super) const FIRST_SLICE_WITHOUT_BARRIERS: Duration = Duration::from_millis(1);

/// Notes that this process can have no barriers any more.
#[cold]
pub(super) fn give_up_barriers() {
    // Relaxed: each thread that does not know it yet finds out for itself.
    BARRIERS_FAIL.store(true, Ordering::Relaxed);
}

/// Whether this process takes part in barriers and can ask for them. Registers it if need be.
///
/// **C call:** `membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)`.
pub(crate) fn register() -> bool {
    futex::membarrier_register().is_ok() && !BARRIERS_FAIL.load(Ordering::Relaxed)
}

/// What a look at shared memory found.
pub(crate) enum Look<R> {
    /// What was waited for.
    Ready(R),
    NotYet,
    /// Nonsense.
    Corrupted,
}

/// How thoroughly to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// At what the other side updates for those who poll.
    Glance,
    /// At everything.
    Thorough,
}

/// Why a wait ended without what it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitError {
    TimedOut,
    PeerDead,
    PeerLeft,
    Corrupted,
}

/// What to do about the other side as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    WaitForIt,
    Dead,
    Left,
}

/// One side's way of waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    /// Offset of this side's own word.
    pub(crate) word: usize,
    pub(crate) waiting: Waiting,
    /// `NO_BARRIER` or 0.
    pub(crate) flags: u32,
}

impl Waiter {
    /// The side whose own word is at this offset. `registered`: whether it takes part in barriers.
    pub(crate) fn new(word: usize, waiting: Waiting, registered: bool) -> Self {
        let has_barriers = registered && !BARRIERS_FAIL.load(Ordering::Relaxed);
        let flags = if has_barriers { 0 } else { NO_BARRIER };
        Self {
            word,
            waiting,
            flags,
        }
    }

    /// Looks until there is something, the deadline passes or the other side is gone. Before the first look,
    /// `pauses`; between the first looks, as many as `gap` says.
    #[inline(always)]
    pub(crate) fn wait<M: Shared, R>(
        self,
        memory: M,
        pauses: u32,
        gap: &Gap,
        deadline: Option<Instant>,
        look: impl Fn(Effort) -> Look<R>,
        peer: impl FnMut() -> Peer,
    ) -> Result<R, WaitError> {
        pause(pauses);
        let between = gap.pauses();
        let (mut looks, mut left) = (0, spins::CLOSELY);
        while left > 0 {
            looks += 1;
            match look(Effort::Glance) {
                Look::Ready(found) => {
                    gap.learn(between, looks);
                    return Ok(found);
                }
                Look::Corrupted => return Err(WaitError::Corrupted),
                Look::NotYet => pause(between),
            }
            left = left.saturating_sub(between);
        }
        for _ in 0..spins::LOOSELY {
            match look(Effort::Glance) {
                Look::Ready(found) => return Ok(found),
                Look::Corrupted => return Err(WaitError::Corrupted),
                Look::NotYet => pause(16),
            }
        }
        self.wait_long(memory, deadline, look, peer)
    }

    #[cold]
    #[inline(never)]
    fn wait_long<M: Shared, R>(
        self,
        memory: M,
        deadline: Option<Instant>,
        mut look: impl FnMut(Effort) -> Look<R>,
        mut peer: impl FnMut() -> Peer,
    ) -> Result<R, WaitError> {
        match self.waiting {
            Waiting::Sleep => self.sleep(memory, deadline, &mut look, &mut peer),
            Waiting::Spin => poll(deadline, &mut look, &mut peer, spin_loop),
            Waiting::Yield => poll(deadline, &mut look, &mut peer, thread::yield_now),
        }
    }

    #[cold]
    #[allow(unsafe_code)]
    fn sleep<M: Shared, R>(
        self,
        memory: M,
        deadline: Option<Instant>,
        look: &mut impl FnMut(Effort) -> Look<R>,
        peer: &mut impl FnMut() -> Peer,
    ) -> Result<R, WaitError> {
        let (mut announced, mut awake) = (ASLEEP | self.flags, self.flags);
        // What is not announced to sleepers, such as room in small amounts, is looked for after each slice only:
        // who is woken for every little costs more than it gets done.
        let mut effort = Effort::Glance;
        let result = loop {
            let mut slice = SLICE;
            // SAFETY: the word's offset is one of the layout's constants.
            if unsafe { memory.load_wait(self.word) } != announced {
                // SAFETY: as above.
                unsafe { memory.store_wait(self.word, announced) };
                if awake & NO_BARRIER == 0 && !memory.barrier_everywhere() {
                    give_up_barriers();
                    (announced, awake) = (ASLEEP | NO_BARRIER, NO_BARRIER);
                    slice = FIRST_SLICE_WITHOUT_BARRIERS;
                    // SAFETY: as above.
                    unsafe { memory.store_wait(self.word, announced) };
                }
                if awake & NO_BARRIER != 0 {
                    // Pairs with the fence of every publisher that sees NO_BARRIER, or has none of its own.
                    memory.fence();
                }
            }
            if let Some(end) = finished(effort, deadline, look, peer) {
                break end;
            }
            // Signals and wake-ups meant for somebody before only cost another look.
            // SAFETY: the word's offset is one of the layout's constants.
            unsafe { memory.sleep(self.word, announced, remaining(deadline, slice)) };
            // SAFETY: as above.
            let was_woken = unsafe { memory.load_wait(self.word) } != announced;
            effort = if was_woken {
                Effort::Glance
            } else {
                Effort::Thorough
            };
        };
        // SAFETY: as above.
        unsafe { memory.store_wait(self.word, awake) };
        result
    }
}

/// Looks, then asks for the peer and the time, then looks a last time. `None`: go on waiting.
pub(super) fn finished<R>(
    effort: Effort,
    deadline: Option<Instant>,
    look: &mut impl FnMut(Effort) -> Look<R>,
    peer: &mut impl FnMut() -> Peer,
) -> Option<Result<R, WaitError>> {
    match look(effort) {
        Look::Ready(found) => return Some(Ok(found)),
        Look::Corrupted => return Some(Err(WaitError::Corrupted)),
        Look::NotYet => {}
    }
    let stop = match peer() {
        Peer::Dead => WaitError::PeerDead,
        Peer::Left => WaitError::PeerLeft,
        Peer::WaitForIt if is_over(deadline) => WaitError::TimedOut,
        Peer::WaitForIt => return None,
    };
    // What it did before it went, or at the last moment, counts.
    match look(Effort::Thorough) {
        Look::Ready(found) => Some(Ok(found)),
        Look::Corrupted => Some(Err(WaitError::Corrupted)),
        Look::NotYet => Some(Err(stop)),
    }
}

/// Whether the time is up. Asked every few looks, because one look goes through a whole buffer if somebody sees to
/// that.
pub(super) fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|end| Instant::now() >= end)
}

/// Looks all the time, and now and then at the clock; asks for the peer once per slice.
pub(super) fn poll<R>(
    deadline: Option<Instant>,
    look: &mut impl FnMut(Effort) -> Look<R>,
    peer: &mut impl FnMut() -> Peer,
    relax: impl Fn(),
) -> Result<R, WaitError> {
    let mut asked: Option<Instant> = None;
    loop {
        for looks in 0..64_u32 {
            let effort = if looks == 0 {
                Effort::Thorough
            } else {
                Effort::Glance
            };
            if looks % 8 == 7 && is_over(deadline) {
                break;
            }
            match look(effort) {
                Look::Ready(found) => return Ok(found),
                Look::Corrupted => return Err(WaitError::Corrupted),
                Look::NotYet => relax(),
            }
        }
        let now = Instant::now();
        let due = asked.is_none_or(|before| now - before >= SLICE / 4);
        if due || deadline.is_some_and(|end| now >= end) {
            asked = Some(now);
            if let Some(end) = finished(Effort::Thorough, deadline, look, peer) {
                return end;
            }
        }
    }
}

/// How long to sleep: until the deadline, at most a slice.
pub(super) fn remaining(deadline: Option<Instant>, slice: Duration) -> Duration {
    deadline.map_or(slice, |end| {
        end.saturating_duration_since(Instant::now()).min(slice)
    })
}

/// The spinning before everything else, in pauses: some 15 to 50 microseconds.
#[cfg(not(loom))]
mod spins {
    /// Pauses with looks in between as [`Gap`](super::Gap) says.
    pub(super) const CLOSELY: u32 = 256;
    /// Looks with 16 pauses behind each.
    pub(super) const LOOSELY: u32 = 64;
}

/// A model has no use for looks that change nothing.
#[cfg(loom)]
mod spins {
    pub(super) const CLOSELY: u32 = 0;
    pub(super) const LOOSELY: u32 = 0;
}

fn pause(times: u32) {
    for _ in 0..times {
        spin_loop();
    }
}

/// How a publisher looks for a sleeper: one load and one comparison, also if this process does not take part in
/// barriers and has to fence first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// The sleeper's word; for who has to fence, one that is never 0.
    at: usize,
    word: usize,
}

impl Watch {
    /// For the sleeper whose word is at this offset. `registered`: whether this process takes part in barriers.
    /// `never_zero`: where a word is that is not 0.
    pub(crate) fn new(word: usize, registered: bool, never_zero: usize) -> Self {
        let at = if registered { word } else { never_zero };
        Self { at, word }
    }

    /// Wakes who sleeps, if anybody does. Called after publishing.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(crate) fn wake_if_asleep<M: Shared>(self, memory: M) {
        // The processor may reorder the publishing store and this load, and the sleeper's barrier sees to that; the
        // compiler may not.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        // SAFETY: one of the layout's constants.
        if unsafe { memory.load_wait(self.at) } != 0 {
            wake(memory, self.word, self.at == self.word);
        }
    }
}

/// Wakes who sleeps on `word`, if anybody does. Called after publishing.
///
/// `registered`: whether this process takes part in barriers.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn wake_if_asleep<M: Shared>(memory: M, word: usize, registered: bool) {
    // The processor may reorder the publishing store and this load, and the sleeper's barrier sees to that; the
    // compiler may not.
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    // SAFETY: the word's offset is one of the layout's constants.
    if unsafe { memory.load_wait(word) } != 0 || !registered {
        wake(memory, word, registered);
    }
}

#[cold]
#[inline(never)]
#[allow(unsafe_code)]
fn wake<M: Shared>(memory: M, word: usize, registered: bool) {
    // SAFETY: the word's offset is one of the layout's constants.
    let mut seen = unsafe { memory.load_wait(word) };
    if seen & NO_BARRIER != 0 || !registered {
        // Pairs with the sleeper's fence or barrier between announcing and looking again.
        memory.fence();
        // SAFETY: as above.
        seen = unsafe { memory.load_wait(word) };
    }
    if seen & ASLEEP == 0 {
        return;
    }
    // Whoever fails here lost against the sleeper waking by itself, or against the next holder of the role: both
    // look for themselves.
    // SAFETY: as above.
    if unsafe { memory.compare_exchange_wait(word, seen, seen & !ASLEEP) } {
        // SAFETY: as above.
        unsafe { memory.wake(word) };
    }
}
