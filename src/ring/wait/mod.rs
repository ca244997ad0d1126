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
//! A sleepers' word, 32 bits. One handle sleeps on it, or many:
//!
//! | bit | meaning | one sleeper: written by | many: written by |
//! |---|---|---|---|
//! | 0 `ASLEEP` | a handle sleeps or is about to, or, of many, did lately | set and cleared by the sleeper; cleared by a publisher about to wake it | set by sleepers; cleared by a publisher that found fewer sleepers than it had something for |
//! | 1 `NO_BARRIER` | a sleeper cannot make the others fence: publishers must do it themselves | the sleeper, when it claims the role or its first barrier fails | participants, when they come or a barrier of theirs fails; never cleared |
//! | 2 to 31 | of many: a count of the clearings, so that a sleeper that announced before one is not mistaken for one that did after | | whoever clears |
//!
//! No sleeper of many clears the bit when it wakes: others may still sleep. The publisher wakes as many as it has
//! something for, and only when there were fewer, it clears the bit and then wakes whoever fell asleep before the
//! clearing. A sleeper that polled before the item was published and goes to sleep after the clearing finds the word
//! changed, and does not sleep. A handle that was woken alone and took only a part of what was published wakes the next.
//! One that found something without having slept does not: it took no other's wake-up, and sleepers that have nothing
//! to do would be woken one after the other.
//!
//! A publisher that could not register for the barrier fences at every publish. C peers do the same. In both cases
//! the protocol is the fenced one, which loom explores. The form with the barrier is explored on a model of a machine
//! with store buffers (`store_buffers`), where it loses nothing, and loses something as soon as the barrier is left
//! out; storms between two processes (`litmus`) count on the machine at hand.
//!
//! Sleeping is in slices, of at most [`SLICE`] unless the handle is told otherwise. After each the sleeper looks for itself, asks the kernel whether its
//! peer lives, and sleeps on without a new barrier as long as its announcement stands. So whatever goes wrong with
//! a wake-up, such as a publisher killed between clearing the word and the wake, costs one slice.

mod cancel;
#[cfg(all(test, target_os = "linux", not(loom)))]
mod litmus;
#[cfg(all(test, loom))]
mod model;
mod spin;
#[cfg(all(test, not(loom)))]
mod store_buffers;
mod wake;

pub(crate) use cancel::Cancel;
pub(crate) use spin::{Gap, Habit};
pub(crate) use wake::{ASLEEP, NO_BARRIER, Watch, announce_no_barrier, wake_many, wake_one};

use crate::ring::shm::memory::SharedWaits;
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
pub(super) type Deadline = Option<Instant>;

/// The deadline of a call that begins to wait now; never, for what no clock can reach.
#[cold]
#[inline(never)]
pub(crate) fn deadline(timeout: Duration) -> Deadline {
    Instant::now().checked_add(timeout)
}

/// How the calls of a handle wait. Passed by value to what is not inlined, so no larger than a register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitOptions {
    /// The longest sleep without a look, in milliseconds.
    slice: u32,
    pub(crate) strategy: Waiting,
    /// Whether a wait ends when the other side is not there any more.
    pub(super) ends_on_disconnect: bool,
    /// Whether it ends when the process has handled a signal.
    pub(super) ends_on_signal: bool,
    /// Whether it ends when the ring is removed, although the other side is there.
    pub(super) ends_on_removal: bool,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self {
            slice: SLICE.as_millis() as u32,
            strategy: Waiting::default(),
            ends_on_disconnect: false,
            ends_on_signal: false,
            ends_on_removal: false,
        }
    }
}

impl WaitOptions {
    /// Sleeps so long without a look that what happens unannounced is noticed within this time: a fifth of it is for
    /// waking up.
    pub(crate) fn notice_within(&mut self, interval: Duration) {
        let slice = (interval / 5 * 4).as_millis();
        self.slice = u32::try_from(slice).unwrap_or(u32::MAX).max(1);
    }

    fn slice(self) -> Duration {
        Duration::from_millis(self.slice.into())
    }
}

/// The longest sleep without a look unless set, by which a wait for a dead peer stays below 100 ms: the rest is for
/// waking up. An idle sleeper's processor time is proportional to the number of slices, and to nothing else.
const SLICE: Duration = Duration::from_millis(80);

/// Set once a barrier has failed in this process, which had registered for it: a filter denies the call since, or
/// the kernel had no memory for it. From then on this process announces that it cannot have barriers, and fences.
static BARRIERS_FAIL: AtomicBool = AtomicBool::new(false);
/// The first sleep after a barrier has failed. A publisher may have missed the announcement made with it, and sees
/// the one that no barrier is to be relied on only after its processor has stored what it published: nanoseconds.
const FIRST_SLICE_WITHOUT_BARRIERS: Duration = Duration::from_millis(1);

/// Notes that this process can have no barriers any more.
#[cold]
fn give_up_barriers() {
    // Relaxed: each thread that does not know it yet finds out for itself.
    BARRIERS_FAIL.store(true, Ordering::Relaxed);
}

/// Whether this process takes part in barriers and can ask for them. Registers it if need be.
///
/// **C call:** `membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED)`.
pub(super) fn register() -> bool {
    futex::membarrier_register().is_ok() && !BARRIERS_FAIL.load(Ordering::Relaxed)
}

/// How long a call goes on that cannot be done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    Forever,
    AtMost(Duration),
}

impl Patience {
    /// When to stop waiting, from now on.
    pub(crate) fn deadline(self) -> Deadline {
        match self {
            Self::None | Self::Forever => None,
            Self::AtMost(timeout) => deadline(timeout),
        }
    }
}

/// What a look at shared memory found.
pub(super) enum Look<R> {
    /// What was waited for.
    Ready(R),
    NotYet,
    /// Nonsense.
    Corrupted,
}

/// How thoroughly to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
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
    Removed,
    Cancelled,
    Interrupted,
    Corrupted,
}

/// What to do about the other side as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    WaitForIt,
    Dead,
    Left,
    /// The ring is removed, and the other side cannot come to it any more.
    Removed,
}

/// How a handle waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter<'a> {
    /// Offset of the word that it sleeps on.
    word: usize,
    waiting: Waiting,
    /// Whether this process takes part in barriers and can ask for them.
    has_barriers: bool,
    /// Whether others sleep on the word as well.
    is_one_of_many: bool,
    /// How often to give the processor to others before sleeping.
    yields: u32,
    /// The longest sleep without a look.
    slice: Duration,
    cancel: Option<&'a Cancel>,
    ends_on_signal: bool,
}

impl<'a> Waiter<'a> {
    /// The one handle that sleeps on the word at this offset. `registered`: whether it takes part in barriers.
    pub(super) fn alone(word: usize, waiting: Waiting, registered: bool) -> Self {
        Self {
            word,
            waiting,
            has_barriers: registered && !BARRIERS_FAIL.load(Ordering::Relaxed),
            is_one_of_many: false,
            yields: 0,
            slice: SLICE,
            cancel: None,
            ends_on_signal: false,
        }
    }

    /// One of many handles that sleep on the word at this offset. `yields`: how often it gives the processor to others
    /// before that.
    pub(super) fn one_of_many(
        word: usize,
        waiting: Waiting,
        registered: bool,
        yields: u32,
    ) -> Self {
        Self {
            is_one_of_many: true,
            yields,
            ..Self::alone(word, waiting, registered)
        }
    }

    /// The same, ended by this flag as well, and by a signal if so asked; with the slices that were asked for, unless
    /// the flag may be pulled meanwhile, which wakes nobody.
    pub(crate) fn ended_by(self, cancel: &'a Cancel, how: WaitOptions) -> Self {
        Self {
            slice: if cancel.is_shared() {
                how.slice().min(SLICE)
            } else {
                how.slice()
            },
            cancel: Some(cancel),
            ends_on_signal: how.ends_on_signal,
            ..self
        }
    }

    /// Whether the wait ends now, whatever the other side does, and why.
    fn is_over(&self, deadline: Deadline) -> Option<WaitError> {
        if self.is_cancelled() {
            return Some(WaitError::Cancelled);
        }
        is_over(deadline).then_some(WaitError::TimedOut)
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_pulled)
    }

    /// Looks until there is something, the deadline passes or the other side is gone. Before the first look,
    /// `pauses`; between the first looks, as many as `gap` says.
    ///
    /// Returns what was found, and whether this may have taken a wake-up for it, which was perhaps for more than one:
    /// then it is for one of many to wake the next.
    #[inline(always)]
    pub(crate) fn wait<M: SharedWaits, R>(
        self,
        memory: M,
        pauses: u32,
        gap: &Gap,
        deadline: Deadline,
        mut look: impl FnMut(Effort) -> Look<R>,
        peer: impl FnMut() -> Peer,
    ) -> Result<(R, bool), WaitError> {
        pause(pauses);
        let between = gap.pauses();
        let (mut looks, mut left) = (0, SPINS);
        // The clock is asked every few looks, because one look goes through a whole buffer if a peer sees to that.
        while left > 0 && !(looks % 8 == 7 && self.is_over(deadline).is_some()) {
            looks += 1;
            match look(Effort::Glance) {
                Look::Ready(found) => {
                    gap.learn(between, looks);
                    return Ok((found, false));
                }
                Look::Corrupted => return Err(WaitError::Corrupted),
                Look::NotYet => {}
            }
            let pauses = if left > LOOSELY { between } else { 16 };
            pause(pauses);
            left = left.saturating_sub(pauses);
        }
        self.wait_long(memory, deadline, look, peer)
    }

    #[cold]
    #[inline(never)]
    fn wait_long<M: SharedWaits, R>(
        self,
        memory: M,
        deadline: Deadline,
        mut look: impl FnMut(Effort) -> Look<R>,
        mut peer: impl FnMut() -> Peer,
    ) -> Result<(R, bool), WaitError> {
        let not_asleep = |found| (found, false);
        match self.waiting {
            Waiting::Sleep => match self.give_way(deadline, &mut look) {
                Some(end) => end.map(not_asleep),
                None => self.sleep(memory, deadline, &mut look, &mut peer),
            },
            Waiting::Spin => self
                .poll(deadline, &mut look, &mut peer, spin_loop)
                .map(not_asleep),
            Waiting::Yield => self
                .poll(deadline, &mut look, &mut peer, thread::yield_now)
                .map(not_asleep),
        }
    }

    /// Gives the processor to others and looks, a few times. `None`: go on waiting.
    ///
    /// Not before a deadline that is near: nobody says when the processor comes back, and a timer asks for it in
    /// time.
    fn give_way<R>(
        self,
        deadline: Deadline,
        look: &mut impl FnMut(Effort) -> Look<R>,
    ) -> Option<Result<R, WaitError>> {
        if self.yields == 0 {
            return None;
        }
        let now = Instant::now();
        if deadline.is_some_and(|end| end.saturating_duration_since(now) < NEAR) {
            return None;
        }
        for _ in 0..self.yields {
            thread::yield_now();
            match look(Effort::Glance) {
                Look::Ready(found) => return Some(Ok(found)),
                Look::Corrupted => return Some(Err(WaitError::Corrupted)),
                Look::NotYet if now.elapsed() >= GIVE_WAY => break,
                Look::NotYet => {}
            }
        }
        None
    }

    #[cold]
    #[allow(unsafe_code)]
    fn sleep<M: SharedWaits, R>(
        mut self,
        memory: M,
        deadline: Deadline,
        look: &mut impl FnMut(Effort) -> Look<R>,
        peer: &mut impl FnMut() -> Peer,
    ) -> Result<(R, bool), WaitError> {
        let mut announced = None;
        let mut slept = false;
        let result = loop {
            let mut slice = self.slice;
            // What is not announced to sleepers, such as room in small amounts, is looked for after a slice without a
            // wake-up only: who is woken for every little costs more than it gets done.
            let mut effort = Effort::Thorough;
            // SAFETY: the word's offset is one of the layout's constants.
            let seen = unsafe { memory.load_wait(self.word) };
            if announced != Some(seen) {
                effort = Effort::Glance;
                let mut wanted = self.announce(memory, seen);
                let publishers_fence = seen & wanted & NO_BARRIER != 0;
                let wants_barrier = self.has_barriers && !publishers_fence;
                if !wants_barrier || !memory.barrier_everywhere() {
                    if wants_barrier {
                        give_up_barriers();
                        self.has_barriers = false;
                    }
                    if !publishers_fence {
                        announce_no_barrier(memory, self.word);
                        wanted |= NO_BARRIER;
                        slice = FIRST_SLICE_WITHOUT_BARRIERS.min(slice);
                    }
                    // Pairs with the fence of every publisher that sees NO_BARRIER, or has none of its own.
                    memory.fence();
                }
                announced = Some(wanted);
            }
            if let Some(end) = self.finished(effort, deadline, look, peer) {
                break end;
            }
            if let Some(expected) = announced {
                slept = true;
                let slice = remaining(deadline, slice);
                // Wake-ups meant for another before only cost another look, and so do signals, unless they end the
                // wait.
                // SAFETY: as above.
                let signalled = unsafe { memory.sleep_or_signal(self.word, expected, slice) };
                if signalled && self.ends_on_signal {
                    break last_look(look, WaitError::Interrupted);
                }
            }
        };
        if !self.is_one_of_many {
            // SAFETY: as above.
            unsafe { memory.store_wait(self.word, self.awake()) };
        }
        result.map(|found| (found, slept))
    }

    /// Says that this handle is about to sleep, in a word that held `seen`; what the word then holds.
    #[allow(unsafe_code)]
    fn announce<M: SharedWaits>(&self, memory: M, seen: u32) -> u32 {
        if !self.is_one_of_many {
            let wanted = ASLEEP | self.awake();
            // SAFETY: the word's offset is one of the layout's constants.
            unsafe { memory.store_wait(self.word, wanted) };
            return wanted;
        }
        let wanted = seen | ASLEEP;
        if seen != wanted {
            // Lost against another sleeper or a publisher: the futex will not sleep on a word that differs, and this
            // looks again.
            // SAFETY: as above.
            let _ = unsafe { memory.compare_exchange_wait(self.word, seen, wanted) };
        }
        wanted
    }

    /// What the word of a handle that is alone holds while it is awake.
    fn awake(&self) -> u32 {
        if self.has_barriers { 0 } else { NO_BARRIER }
    }

    /// Looks, then asks whether the wait is cancelled, for the peer and for the time, then looks a last time. `None`: go
    /// on waiting.
    fn finished<R>(
        &self,
        effort: Effort,
        deadline: Deadline,
        look: &mut impl FnMut(Effort) -> Look<R>,
        peer: &mut impl FnMut() -> Peer,
    ) -> Option<Result<R, WaitError>> {
        match look(effort) {
            Look::Ready(found) => return Some(Ok(found)),
            Look::Corrupted => return Some(Err(WaitError::Corrupted)),
            Look::NotYet => {}
        }
        let stop = if self.is_cancelled() {
            WaitError::Cancelled
        } else {
            match peer() {
                Peer::Dead => WaitError::PeerDead,
                Peer::Left => WaitError::PeerLeft,
                Peer::Removed => WaitError::Removed,
                Peer::WaitForIt => self.is_over(deadline)?,
            }
        };
        Some(last_look(look, stop))
    }

    /// Looks all the time, and now and then at the clock; asks for the peer four times per slice.
    fn poll<R>(
        &self,
        deadline: Deadline,
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
                if looks % 8 == 7 && self.is_over(deadline).is_some() {
                    break;
                }
                match look(effort) {
                    Look::Ready(found) => return Ok(found),
                    Look::Corrupted => return Err(WaitError::Corrupted),
                    Look::NotYet => relax(),
                }
            }
            let now = Instant::now();
            let due = asked.is_none_or(|before| now - before >= self.slice / 4);
            if due || self.is_over(deadline).is_some() {
                asked = Some(now);
                if let Some(end) = self.finished(Effort::Thorough, deadline, look, peer) {
                    return end;
                }
            }
        }
    }
}

/// How long to give way at most: others may keep the processor for milliseconds each time.
const GIVE_WAY: Duration = Duration::from_millis(5);
/// How long before a deadline not to begin with that: the last time it is given away, each of the others may have a
/// turn before it comes back.
const NEAR: Duration = Duration::from_millis(20);

/// Looks a last time: what the other side did before it went, or at the last moment, counts.
fn last_look<R>(
    look: &mut impl FnMut(Effort) -> Look<R>,
    otherwise: WaitError,
) -> Result<R, WaitError> {
    match look(Effort::Thorough) {
        Look::Ready(found) => Ok(found),
        Look::Corrupted => Err(WaitError::Corrupted),
        Look::NotYet => Err(otherwise),
    }
}

/// Whether the time is up.
pub(super) fn is_over(deadline: Deadline) -> bool {
    deadline.is_some_and(|end| Instant::now() >= end)
}

/// How long to sleep: until the deadline, at most a slice.
fn remaining(deadline: Deadline, slice: Duration) -> Duration {
    deadline.map_or(slice, |end| {
        end.saturating_duration_since(Instant::now()).min(slice)
    })
}

/// The spinning before everything else, in pauses: some 15 to 50 microseconds.
#[cfg(not(loom))]
const SPINS: u32 = 256 + LOOSELY;
/// A model has no use for looks that change nothing.
#[cfg(loom)]
const SPINS: u32 = 0;
/// Of these, how many come last, with 16 of them between two looks. Before, as many as [`Gap`] says.
const LOOSELY: u32 = 64 * 16;

fn pause(times: u32) {
    for _ in 0..times {
        spin_loop();
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
