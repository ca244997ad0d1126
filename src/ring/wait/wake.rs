//! Waking: what a publisher does after each publish.

use crate::ring::shm::memory::{SharedMoved, SharedWaits};
use std::sync::atomic::{Ordering, compiler_fence};

/// A handle sleeps on the word, or is about to.
pub(crate) const ASLEEP: u32 = 1;
/// A sleeper cannot execute a barrier in other processes.
pub(crate) const NO_BARRIER: u32 = 2;
/// One clearing of `ASLEEP`, where many sleep on the word.
const CLEARING: u32 = 4;

/// Says in the word that a participant cannot take part in barriers.
#[allow(unsafe_code)]
pub(crate) fn announce_no_barrier<M: SharedWaits>(memory: M, word: usize) {
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

/// How a publisher looks for a sleeper: one load and one comparison, also if this process does not take part in
/// barriers and has to fence first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch<M> {
    /// The memory as seen from the sleeper's word; for who has to fence, from one that is never 0.
    at: M,
    word: usize,
    registered: bool,
}

impl<M: SharedMoved> Watch<M> {
    /// For the sleeper whose word is at this offset. `registered`: whether this process takes part in barriers.
    /// `never_zero`: where a word is that is not 0.
    pub(crate) fn new(memory: M, word: usize, registered: bool, never_zero: usize) -> Self {
        let at = if registered { word } else { never_zero };
        Self {
            at: memory.moved(at),
            word,
            registered,
        }
    }

    /// Whether the sleeper may sleep. Asked after publishing.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(crate) fn sees_sleeper(&self) -> bool {
        // The processor may reorder the publishing store and this load, and the sleeper's barrier sees to that; the
        // compiler may not.
        compiler_fence(Ordering::SeqCst);
        // SAFETY: one of the layout's constants.
        (unsafe { self.at.load_wait(0) }) != 0
    }

    /// Wakes the sleeper that was [seen](Self::sees_sleeper), if it does sleep.
    #[inline(always)]
    pub(crate) fn wake_seen(&self, memory: M) {
        wake_the_one(memory, self.word, self.registered);
    }

    /// Wakes the sleeper, if it sleeps. Called after publishing.
    #[inline(always)]
    pub(crate) fn wake(&self, memory: M) {
        if self.sees_sleeper() {
            self.wake_seen(memory);
        }
    }
}

/// Wakes the one handle that may sleep on `word`. Called after publishing.
///
/// `registered`: whether this process takes part in barriers.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn wake_one<M: SharedWaits>(memory: M, word: usize, registered: bool) {
    // The processor may reorder the publishing store and this load, and the sleeper's barrier sees to that; the
    // compiler may not.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the word's offset is one of the layout's constants.
    if unsafe { memory.load_wait(word) } != 0 || !registered {
        wake_the_one(memory, word, registered);
    }
}

#[cold]
#[inline(never)]
#[allow(unsafe_code)]
fn wake_the_one<M: SharedWaits>(memory: M, word: usize, registered: bool) {
    let Some(seen) = asleep(memory, word, registered) else {
        return;
    };
    // Whoever fails here lost against the sleeper waking by itself, or against the next holder of the role: both
    // look for themselves.
    // SAFETY: the word's offset is one of the layout's constants.
    if unsafe { memory.compare_exchange_wait(word, seen, seen & !ASLEEP) } {
        // SAFETY: as above.
        unsafe { memory.wake(word, 1) };
    }
}

/// Wakes up to `count` of the handles that sleep on `word`, if any do. Called after publishing so much.
#[inline(always)]
#[allow(unsafe_code)]
pub(crate) fn wake_many<M: SharedWaits>(memory: M, word: usize, registered: bool, count: u32) {
    // As in `wake_one`.
    compiler_fence(Ordering::SeqCst);
    // SAFETY: the word's offset is one of the layout's constants.
    if unsafe { memory.load_wait(word) } & (ASLEEP | NO_BARRIER) != 0 || !registered {
        wake_some(memory, word, registered, count);
    }
}

#[cold]
#[inline(never)]
#[allow(unsafe_code)]
fn wake_some<M: SharedWaits>(memory: M, word: usize, registered: bool, count: u32) {
    let Some(seen) = asleep(memory, word, registered) else {
        return;
    };
    // SAFETY: the word's offset is one of the layout's constants.
    if unsafe { memory.wake(word, count) } >= count {
        return;
    }
    let cleared = (seen & !ASLEEP).wrapping_add(CLEARING);
    // Whoever fails here lost against another publisher, which does the same; or, once for each participant that
    // cannot take part in barriers, against its announcement: who fell asleep in that moment waits out its slice.
    // SAFETY: as above.
    if unsafe { memory.compare_exchange_wait(word, seen, cleared) } {
        // SAFETY: as above.
        unsafe { memory.wake(word, i32::MAX as u32) };
    }
}

/// The word, if it says that a handle sleeps; with a fence before, where one is needed.
#[inline(always)]
#[allow(unsafe_code)]
fn asleep<M: SharedWaits>(memory: M, word: usize, registered: bool) -> Option<u32> {
    // SAFETY: the word's offset is one of the layout's constants.
    let mut seen = unsafe { memory.load_wait(word) };
    if seen & NO_BARRIER != 0 || !registered {
        // Pairs with the sleeper's fence or barrier between announcing and looking again.
        memory.fence();
        // SAFETY: as above.
        seen = unsafe { memory.load_wait(word) };
    }
    (seen & ASLEEP != 0).then_some(seen)
}
