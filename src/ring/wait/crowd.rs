//! Many sleepers on one word: as [`wait`](super) for one, where the argument is.
//!
//! | bit | meaning | written by |
//! |---|---|---|
//! | 0 `ASLEEP` | somebody sleeps or is about to, or did lately | set by sleepers; cleared by a publisher that found fewer sleepers than it had something for |
//! | 1 `NO_BARRIER` | some participant cannot make the others fence: publishers must do it themselves | participants, when they come, or when a barrier of theirs fails; never cleared |
//! | 2 to 31 | a count of the clearings: a sleeper that announced before one is not mistaken for one that did after | whoever clears |
//!
//! Who was woken alone and took only a part of what was published wakes the next. Who found something without
//! having slept does not: it took nobody's wake-up, and sleepers that have nothing to do would be woken one after
//! the other.
//!
//! No sleeper clears the bit when it wakes: others may still sleep. The publisher wakes as many as it has something
//! for, and only when there were fewer, it clears the bit and then wakes whoever fell asleep before the clearing. A
//! sleeper that looked before the item was published and goes to sleep after the clearing finds the word changed,
//! and does not sleep.

#[cfg(all(test, loom))]
mod model;

use super::{
    ASLEEP, Effort, FIRST_SLICE_WITHOUT_BARRIERS, Look, NO_BARRIER, Peer, SLICE, WaitError, Waiting,
};
use super::{finished, give_up_barriers, is_over, poll, remaining};
use crate::ring::shm::memory::{Shared, SharedCrowd};
use std::hint::spin_loop;
use std::sync::atomic::{Ordering, compiler_fence};
use std::thread;
use std::time::{Duration, Instant};

const COUNT: u32 = 4;

/// How a handle waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sleeper {
    /// Offset of the word of its side.
    pub(crate) word: usize,
    pub(crate) waiting: Waiting,
    /// Whether this process takes part in barriers.
    pub(crate) registered: bool,
    /// How often to give the processor to others before sleeping.
    pub(crate) yields: u32,
}

/// Says that a participant came that cannot take part in barriers.
#[allow(unsafe_code)]
pub(crate) fn announce_no_barrier<M: Shared>(memory: M, word: usize) {
    // A few rounds at most, for the word changes when somebody falls asleep; more is somebody who scribbles.
    for _ in 0..1000 {
        // SAFETY: the word's offset is one of the layout's constants.
        let seen = unsafe { memory.load_wait(word) };
        if seen & NO_BARRIER != 0
            // SAFETY: as above.
            || unsafe { memory.compare_exchange_wait(word, seen, seen | NO_BARRIER) }
        {
            return;
        }
    }
}

impl Sleeper {
    /// Looks until there is something, the deadline passes or the other side is gone. Before the first look,
    /// `pauses`.
    ///
    /// Returns what was found, and whether this may have taken a wake-up for it, which was perhaps for more than
    /// one: then it is for the caller to wake the next.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait<M: Shared, R>(
        self,
        memory: M,
        pauses: u32,
        deadline: Option<Instant>,
        mut look: impl FnMut(Effort) -> Look<R>,
        mut peer: impl FnMut() -> Peer,
    ) -> Result<(R, bool), WaitError> {
        for _ in 0..pauses {
            spin_loop();
        }
        for looks in 0..SPINS {
            if looks % 8 == 7 && is_over(deadline) {
                break;
            }
            match look(Effort::Glance) {
                Look::Ready(found) => return Ok((found, false)),
                Look::Corrupted => return Err(WaitError::Corrupted),
                Look::NotYet => {}
            }
            for _ in 0..if looks < 256 { 1 } else { 16 } {
                spin_loop();
            }
        }
        let not_asleep = |found| (found, false);
        match self.waiting {
            Waiting::Sleep => match self.give_way(deadline, &mut look) {
                Some(end) => end.map(not_asleep),
                None => self.sleep(memory, deadline, &mut look, &mut peer),
            },
            Waiting::Spin => poll(deadline, &mut look, &mut peer, spin_loop).map(not_asleep),
            Waiting::Yield => {
                poll(deadline, &mut look, &mut peer, thread::yield_now).map(not_asleep)
            }
        }
    }

    /// Gives the processor to others and looks, a few times. `None`: go on waiting.
    ///
    /// Not before a deadline that is near: nobody says when the processor comes back, and a timer asks for it in
    /// time.
    fn give_way<R>(
        self,
        deadline: Option<Instant>,
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

    #[allow(unsafe_code)]
    pub(super) fn sleep<M: Shared, R>(
        self,
        memory: M,
        deadline: Option<Instant>,
        look: &mut impl FnMut(Effort) -> Look<R>,
        peer: &mut impl FnMut() -> Peer,
    ) -> Result<(R, bool), WaitError> {
        let mut announced = None;
        let mut slept = false;
        loop {
            let mut slice = SLICE;
            // SAFETY: the word's offset is one of the layout's constants.
            let seen = unsafe { memory.load_wait(self.word) };
            if announced != Some(seen) {
                let wanted = seen | ASLEEP;
                if seen != wanted {
                    // Lost against another sleeper or a publisher: the futex will not sleep on a word that differs,
                    // and this looks again.
                    // SAFETY: as above.
                    let _ = unsafe { memory.compare_exchange_wait(self.word, seen, wanted) };
                }
                announced = Some(wanted);
                let wants_barrier = self.registered && wanted & NO_BARRIER == 0;
                if !wants_barrier || !memory.barrier_everywhere() {
                    if wants_barrier {
                        give_up_barriers();
                        announce_no_barrier(memory, self.word);
                        announced = Some(wanted | NO_BARRIER);
                        slice = FIRST_SLICE_WITHOUT_BARRIERS;
                    }
                    // Pairs with the fence of every publisher that sees NO_BARRIER, or has none of its own.
                    memory.fence();
                }
            }
            if let Some(end) = finished(Effort::Thorough, deadline, look, peer) {
                return end.map(|found| (found, slept));
            }
            if let Some(expected) = announced {
                slept = true;
                // SAFETY: as above.
                unsafe { memory.sleep(self.word, expected, remaining(deadline, slice)) };
            }
        }
    }
}

/// How long to give way at most: others may keep the processor for milliseconds each time.
const GIVE_WAY: Duration = Duration::from_millis(5);
/// How long before a deadline not to begin with that: the last time it is given away, each of the others may have a
/// turn before it comes back.
const NEAR: Duration = Duration::from_millis(20);

#[cfg(not(loom))]
const SPINS: u32 = 320;
/// A model has no use for looks that change nothing.
#[cfg(loom)]
const SPINS: u32 = 0;

/// Wakes up to `count` of those who sleep on `word`, if anybody does. Called after publishing so much.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn wake_crowd<M: SharedCrowd>(memory: M, word: usize, registered: bool, count: u32) {
    // The processor may reorder the publishing store and this load, and the sleeper's barrier sees to that; the
    // compiler may not.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the word's offset is one of the layout's constants.
    if unsafe { memory.load_wait(word) } & (ASLEEP | NO_BARRIER) != 0 || !registered {
        wake(memory, word, registered, count);
    }
}

#[cold]
#[inline(never)]
#[allow(unsafe_code)]
fn wake<M: SharedCrowd>(memory: M, word: usize, registered: bool, count: u32) {
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
    // SAFETY: as above.
    if unsafe { memory.wake_some(word, count) } >= count {
        return;
    }
    let cleared = (seen & !ASLEEP).wrapping_add(COUNT);
    // Whoever fails here lost against another publisher, which does the same; or, once for each participant that
    // cannot take part in barriers, against its announcement: who fell asleep in that moment waits out its slice.
    // SAFETY: as above.
    if unsafe { memory.compare_exchange_wait(word, seen, cleared) } {
        // SAFETY: as above.
        unsafe { memory.wake_some(word, i32::MAX as u32) };
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn looks_while_giving_way(yields: u32, deadline: Option<Instant>) -> u32 {
        let sleeper = Sleeper {
            word: 0,
            waiting: Waiting::Sleep,
            registered: false,
            yields,
        };
        let mut looks = 0;
        let end = sleeper.give_way(deadline, &mut |_| {
            looks += 1;
            Look::<()>::NotYet
        });
        assert!(end.is_none());
        looks
    }

    #[test]
    fn nobody_gives_way_when_time_is_short() {
        let now = Instant::now();
        for left in [Duration::ZERO, GIVE_WAY] {
            assert_eq!(looks_while_giving_way(16, Some(now + left)), 0);
        }
        for deadline in [None, Some(now + Duration::from_secs(60))] {
            assert!((1..=16).contains(&looks_while_giving_way(16, deadline)));
            assert_eq!(looks_while_giving_way(0, deadline), 0);
        }
    }
}
