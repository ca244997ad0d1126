//! How slots change hands, over the [seam](crate::ring::shm::memory).
//!
//! A position is a lap and a slot; each handle keeps one for itself and moves it by what the [words](super::slot_word)
//! of the slots say. A run is one or more slots side by side, never round the end of the buffer, claimed by a
//! compare-and-swap on the word of the first.
//!
//! | transition | by | ordering |
//! |---|---|---|
//! | EMPTY(L) → WRITING(L, owner, run) | producer, compare-and-swap on the first slot | acquire |
//! | slots that are not used after all → EMPTY(L+1), the last first | owner | release |
//! | the run's other slots → FULL(L), the last first | owner | release |
//! | WRITING → FULL(L): **the push happened** | owner, store | release |
//! | FULL(L) → READING(L, owner, run) | consumer, compare-and-swap on the first slot | acquire |
//! | REDELIVER(L, n) → REREADING(L, owner, n) | consumer, compare-and-swap | acquire |
//! | items that are given back → REDELIVER(L, n), the last first; n is 0 after READING | owner | release |
//! | READING, REREADING → EMPTY(L+1) of a single slot: **the pop happened** | owner, store | release |
//! | READING → DRAINED(L, owner, run) of several: **the pop happened** | owner, store | release |
//! | the others → EMPTY(L+1), the last first; then DRAINED → EMPTY(L+1) | owner | release |
//! | dead WRITING: the others → EMPTY(L+1), the last first, then the first slot (its push never happened) | anyone, compare-and-swap | acq-rel |
//! | dead READING: the others FULL → REDELIVER(L, 1), the last first, then the first slot (its pop never happened) | anyone, compare-and-swap | acq-rel |
//! | dead REREADING(L, n) → REDELIVER(L, n+1) | anyone, compare-and-swap | acq-rel |
//! | dead DRAINED: the others FULL → EMPTY(L+1), the last first, then the first slot | anyone, compare-and-swap | acq-rel |
//!
//! Each transition by anyone starts from one exact word, so whoever comes late with it, however late, fails.
//!
//! # Why nobody lands in the middle of a run
//!
//! The slots of a run but the first look unclaimed. That is right as long as every position a handle ever has is a
//! *boundary*: not inside somebody's run of that lap. Positions move in three ways:
//!
//! * past a claimed run: by its whole length;
//! * past a slot that has left the lap: by one. A run leaves its lap from its end to its beginning, so behind such
//!   a slot there is no slot of its run that has not left it too. That is what "the last first" in the table is
//!   for. A handle that fell behind also changes to a later lap there, as far as all of its side must have got: a
//!   slot in lap L was claimed in L-1, so producers have passed it in L-1; and for that all slots were claimed in
//!   L-2 and had left L-3, so consumers have passed it in L-2. In L-1 perhaps not: slots that are skipped leave a
//!   lap ahead of the consumers;
//! * to a hint, which is a position that somebody had.
//!
//! Positions only pass what is claimed or gone, so the first slot that a producer finds EMPTY in its lap is the
//! oldest free one, and the first that a consumer finds FULL in its lap holds the oldest item. REDELIVER is another
//! phase than FULL because others have passed it: [`redelivery`](super::redelivery) finds it, one at a time.
//!
//! A live push that is not finished blocks the consumers behind it, a live peek the producers that come round. A
//! dead one is [recovered](super::recovery).
//!
//! Nothing read here is trusted: slots are computed from private positions below the capacity, runs are cut off by
//! it, and every function ends after a bounded number of steps: its [`Budget`].
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a slot below the capacity and the geometry, which was checked against the segment"
)]

use super::layout::{CONSUMERS_HINT, Geometry, PARTICIPANTS, PRODUCERS_HINT, hint_at};
use super::slot_word::{Lap, MAX_RUN, Owner, Phase, Word};
pub(crate) use crate::ring::protocol::error::TryError;
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::Shared;
use crate::ring::shm::slots::LINE;
use std::hint::spin_loop;
use std::sync::atomic::Ordering;

/// Slots claimed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(super) lap: Lap,
    pub(super) slot: u32,
    pub(super) len: u32,
    /// How many readers of the item have died; 0 unless it was redelivered.
    pub(super) deaths: u32,
}

/// How long a call may go from slot to slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(super) steps: u64,
    /// What a pause costs, in steps.
    pause: u64,
}

impl Budget {
    /// Of a call that does not wait: four times round is more than any honest distance. A handle that has found
    /// nothing by then has been overtaken all the time.
    pub(super) fn of_one_call(g: &Geometry) -> Self {
        Self {
            steps: u64::from(g.capacity) * 4 + 64,
            pause: 0,
        }
    }

    /// Between two looks at the clock: less than a millisecond, whatever is in the slots.
    pub(super) fn between_clocks() -> Self {
        Self {
            steps: 1 << 14,
            pause: 4,
        }
    }

    pub(crate) fn is_between_clocks(&self) -> bool {
        self.pause > 0
    }

    /// Takes a step, if there is one left.
    #[inline(always)]
    pub(super) fn step(&mut self) -> bool {
        let is_left = self.steps > 0;
        self.steps = self.steps.saturating_sub(1);
        is_left
    }

    /// Pauses after a lost race, the longer the more there were.
    #[inline(always)]
    fn back_off(&mut self, lost_races: u32) {
        let cost = u64::from(back_off(lost_races)) * self.pause;
        self.steps = self.steps.saturating_sub(cost);
    }
}

/// In a hint, the lap lies above the slot.
const HINT_LAP_AT: u32 = 31;
const _: () = assert!(HINT_LAP_AT + super::slot_word::LAP_BITS == u64::BITS);

/// A handle's position. The slot is always below the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(super) lap: Lap,
    pub(super) slot: u32,
}

impl Cursor {
    /// `by` further: at most to the end of the buffer.
    #[inline(always)]
    pub(super) fn advance(&mut self, g: &Geometry, by: u32) {
        self.slot += by;
        if self.slot >= g.capacity {
            self.slot = 0;
            self.lap = self.lap.next();
        }
    }

    /// How many slots further another one is that was taken later.
    pub(super) fn distance_to(self, g: &Geometry, later: Self) -> u64 {
        let laps = later.lap.ahead_of(self.lap);
        let slots = i64::from(later.slot) - i64::from(self.slot);
        let distance = laps.saturating_mul(g.capacity.into()).saturating_add(slots);
        // Negative only after a correction of a position that was wrong.
        u64::try_from(distance).unwrap_or(0)
    }

    fn is_behind(self, other: Self) -> bool {
        let laps = other.lap.ahead_of(self.lap);
        laps > 0 || laps == 0 && other.slot > self.slot
    }

    fn to_hint(self) -> u64 {
        self.lap.get() << HINT_LAP_AT | u64::from(self.slot)
    }

    /// `None`: nobody wrote that.
    fn from_hint(g: &Geometry, hint: u64) -> Option<Self> {
        let slot = (hint & ((1 << HINT_LAP_AT) - 1)) as u32;
        (slot < g.capacity).then_some(Self {
            lap: Lap::new(hint >> HINT_LAP_AT),
            slot,
        })
    }

    /// A position that everybody on this side has passed: the first slot has left the lap before the one that its
    /// word names. For consumers one lap less, because it may have been skipped ahead of them.
    pub(super) fn from_first_slot<M: Shared>(memory: M, g: &Geometry, role: Role) -> Self {
        let lap = load(memory, g, 0).lap().previous();
        let lap = match role {
            Role::Producer => lap,
            Role::Consumer => lap.previous(),
        };
        let mut cursor = Self { lap, slot: 0 };
        cursor.advance(g, 1);
        cursor
    }
}

#[inline(always)]
pub(super) fn load<M: Shared>(memory: M, g: &Geometry, slot: u32) -> Word {
    // Acquire pairs with every release in the table: whoever sees a phase sees the bytes that go with it.
    // SAFETY: a slot below the capacity.
    Word(unsafe { memory.load(g.word_at(slot), Ordering::Acquire) })
}

#[inline(always)]
fn store<M: Shared>(memory: M, g: &Geometry, slot: u32, word: Word) {
    // SAFETY: a slot below the capacity.
    unsafe { memory.store(g.word_at(slot), word.0, Ordering::Release) };
}

#[inline(always)]
pub(super) fn swap<M: Shared>(
    memory: M,
    g: &Geometry,
    slot: u32,
    from: Word,
    to: Word,
) -> Result<(), Word> {
    // SAFETY: a slot below the capacity.
    match unsafe { memory.compare_exchange(g.word_at(slot), from.0, to.0) } {
        Ok(_) => Ok(()),
        Err(found) => Err(Word(found)),
    }
}

/// Fills everything behind the header of a ring whose positions start in this lap. Does not depend on what was
/// there.
pub(super) fn initialise<M: Shared>(memory: M, g: &Geometry, lap: u64) {
    let lap = Lap::new(lap);
    for at in (PARTICIPANTS..g.words).step_by(8) {
        let value = if at == PARTICIPANTS {
            u64::from(g.participants)
        } else {
            0
        };
        // SAFETY: a multiple of 8 before the slots.
        unsafe { memory.store(at, value, Ordering::Relaxed) };
    }
    for slot in 0..g.capacity {
        // READY is stored behind all this.
        store(memory, g, slot, Word::empty(lap));
    }
    for at in [PRODUCERS_HINT, CONSUMERS_HINT] {
        // SAFETY: a constant of the layout.
        unsafe { memory.store(at, Cursor { lap, slot: 0 }.to_hint(), Ordering::Relaxed) };
    }
}

/// What the word at a position means to a handle.
enum Step {
    /// Unclaimed: claim it by a compare-and-swap from this word.
    Claim(Word),
    /// Claimed: go on behind it. The flag: somebody is at work there right now.
    Pass(u32, bool),
    /// It has left the lap: go on behind that.
    Behind(Lap),
    Blocked,
    /// The position is ahead of what the slots say.
    Lost,
    Nonsense,
}

#[inline(always)]
fn judge(word: Word, at: Cursor, role: Role, g: &Geometry) -> Step {
    let Some(phase) = word.phase() else {
        return Step::Nonsense;
    };
    let ahead = word.lap().ahead_of(at.lap);
    if ahead > 0 {
        return Step::Behind(match role {
            Role::Producer => word.lap().previous(),
            // Skipped slots leave a lap before consumers get there. The lap before that one, they must have passed.
            Role::Consumer if ahead == 1 => at.lap,
            Role::Consumer => word.lap().previous().previous(),
        });
    }
    if word.run() == 0 || word.run() > g.capacity - at.slot {
        return Step::Nonsense;
    }
    match (role, ahead, phase) {
        (Role::Producer, 0, Phase::Empty) => Step::Claim(word),
        (Role::Producer, 0, _) => Step::Pass(word.run(), phase == Phase::Writing),
        // The item of the lap before is still there, or its push is not finished.
        (Role::Producer, -1, phase) if phase != Phase::Empty => Step::Blocked,
        (Role::Consumer, 0, Phase::Full | Phase::Redeliver) => Step::Claim(word),
        (Role::Consumer, 0, Phase::Reading | Phase::Drained | Phase::Rereading) => {
            Step::Pass(word.run(), true)
        }
        (Role::Consumer, 0, Phase::Empty | Phase::Writing) => Step::Blocked,
        // Its reader of the lap before is not finished, and producers wait for that as well.
        (Role::Consumer, -1, Phase::Reading | Phase::Drained | Phase::Rereading) => Step::Blocked,
        (Role::Consumer, -1, Phase::Redeliver) => Step::Claim(word),
        _ => Step::Lost,
    }
}

/// How many slots from the cursor on can be claimed together, beginning with one that can.
#[inline(always)]
fn measure<M: Shared>(memory: M, g: &Geometry, at: Cursor, word: Word, wanted: u32) -> u32 {
    if word.phase() == Some(Phase::Redeliver) {
        return 1;
    }
    let most = wanted.min(g.capacity - at.slot).min(MAX_RUN as u32);
    let is_spread = g.word_stride >= LINE;
    if is_spread {
        let first = g.word_at(at.slot);
        // The first is wanted at once.
        for line in (2 * LINE..g.word_stride.min(8 * LINE)).step_by(LINE) {
            memory.prefetch_to_write(first + line);
        }
        (0..most.min(AHEAD)).for_each(|ahead| fetch(memory, g, at.slot + ahead));
    }
    let mut len = 1;
    while len < most && load(memory, g, at.slot + len) == word {
        if is_spread && len + AHEAD < most {
            fetch(memory, g, at.slot + len + AHEAD);
        }
        len += 1;
    }
    len
}

/// How many slots are fetched before the first of them is looked at.
const AHEAD: u32 = 8;

/// Has a slot fetched that is larger than a cache line: its word, and the beginning of its item.
///
/// A line that another processor wrote last takes as long to come as many lines that are asked for at once. And
/// what is claimed is also written, be it but the word, so it comes to be written.
#[inline(always)]
fn fetch<M: Shared>(memory: M, g: &Geometry, slot: u32) {
    memory.prefetch_to_write(g.word_at(slot));
    memory.prefetch_to_write(g.word_at(slot) + LINE);
}

/// Claims up to `wanted` slots, at least one, from where the cursor is or further.
///
/// Returns the cursor as a value, so that the caller's can stay in registers. Where the budget is used up, the next
/// call goes on from that cursor.
#[inline(never)]
pub(crate) fn claim<M: Shared>(
    memory: M,
    g: &Geometry,
    owner: Owner,
    role: Role,
    mut cursor: Cursor,
    wanted: u32,
    budget: &mut Budget,
) -> (Cursor, Result<Run, TryError>) {
    let mut may_reposition = true;
    let mut may_ask_hint = true;
    let mut lost_races = 0;
    loop {
        if !budget.step() {
            return (cursor, Err(TryError::WouldBlock));
        }
        let word = load(memory, g, cursor.slot);
        match judge(word, cursor, role, g) {
            Step::Claim(from) => {
                let len = measure(memory, g, cursor, from, wanted);
                if let Some(run) = take(memory, g, owner, cursor.slot, from, len) {
                    // A redelivered item of the lap before: its slot in this lap is still to come.
                    if from.lap() == cursor.lap {
                        pass(memory, g, role, &mut cursor, len);
                    }
                    return (cursor, Ok(run));
                }
                lost_races += 1;
                budget.back_off(lost_races);
            }
            Step::Pass(len, is_busy) => {
                cursor.advance(g, len);
                if is_busy {
                    // Whoever claimed it is at work on the same cache lines.
                    lost_races += 1;
                    budget.back_off(lost_races);
                }
            }
            Step::Behind(lap) => {
                cursor.lap = lap;
                cursor.advance(g, 1);
                if may_ask_hint {
                    may_ask_hint = false;
                    // SAFETY: a constant of the layout.
                    let hint = unsafe { memory.load(hint_at(role), Ordering::Acquire) };
                    if let Some(hint) = Cursor::from_hint(g, hint).filter(|&h| cursor.is_behind(h))
                    {
                        cursor = hint;
                    }
                }
            }
            Step::Blocked => return (cursor, Err(TryError::WouldBlock)),
            Step::Lost if may_reposition => {
                may_reposition = false;
                cursor = Cursor::from_first_slot(memory, g, role);
            }
            Step::Lost | Step::Nonsense => {
                return (
                    Cursor::from_first_slot(memory, g, role),
                    Err(TryError::Corrupted),
                );
            }
        }
    }
}

/// Claims up to `wanted` slots, at least one, at the cursor itself and of this lap, if they are unclaimed.
#[inline(always)]
pub(super) fn claim_here<M: Shared>(
    memory: M,
    g: &Geometry,
    owner: Owner,
    role: Role,
    at: Cursor,
    wanted: u32,
) -> Option<Run> {
    let from = match role {
        Role::Producer => Word::empty(at.lap),
        Role::Consumer => Word::full(at.lap),
    };
    if load(memory, g, at.slot) != from {
        return None;
    }
    let len = measure(memory, g, at, from, wanted);
    take(memory, g, owner, at.slot, from, len)
}

/// Claims slots from this one on, of which the first holds an unclaimed word, if it still does.
#[inline(always)]
pub(super) fn take<M: Shared>(
    memory: M,
    g: &Geometry,
    owner: Owner,
    slot: u32,
    from: Word,
    len: u32,
) -> Option<Run> {
    let (lap, deaths) = (from.lap(), from.deaths());
    let to = match from.phase() {
        Some(Phase::Empty) => Word::writing(lap, owner, len),
        Some(Phase::Full) => Word::reading(lap, owner, len),
        _ => Word::rereading(lap, owner, deaths),
    };
    swap(memory, g, slot, from, to).ok()?;
    Some(Run {
        lap,
        slot,
        len,
        deaths,
    })
}

/// Moves on behind what was just claimed, and tells newcomers now and then.
#[inline(always)]
pub(super) fn pass<M: Shared>(memory: M, g: &Geometry, role: Role, cursor: &mut Cursor, len: u32) {
    let before = cursor.slot / HINT_EVERY;
    cursor.advance(g, len);
    if cursor.slot / HINT_EVERY != before || cursor.slot == 0 {
        tell(memory, role, *cursor);
    }
}

/// Tells newcomers where somebody of this side is.
#[inline(always)]
pub(super) fn tell<M: Shared>(memory: M, role: Role, cursor: Cursor) {
    // Release: whoever goes there has seen that everything before is claimed.
    // SAFETY: a constant of the layout.
    unsafe { memory.store(hint_at(role), cursor.to_hint(), Ordering::Release) };
}

/// [`swap`] for a word that is known by its offset.
///
/// # Safety
///
/// `at` is the offset of a slot's word.
#[inline(always)]
pub(super) unsafe fn swap_at<M: Shared>(memory: M, at: usize, from: Word, to: Word) -> bool {
    // SAFETY: the caller vouches for the offset.
    unsafe { memory.compare_exchange(at, from.0, to.0) }.is_ok()
}

/// The word at an offset.
///
/// # Safety
///
/// `at` is the offset of a slot's word.
#[inline(always)]
pub(super) unsafe fn load_at<M: Shared>(memory: M, at: usize) -> Word {
    // Acquire as in `load`.
    // SAFETY: the caller vouches for the offset.
    Word(unsafe { memory.load(at, Ordering::Acquire) })
}

/// Publishes a word at an offset.
///
/// # Safety
///
/// `at` is the offset of a slot's word.
#[inline(always)]
pub(super) unsafe fn store_at<M: Shared>(memory: M, at: usize, word: Word) {
    // SAFETY: the caller vouches for the offset.
    unsafe { memory.store(at, word.0, Ordering::Release) };
}

/// Slots between two hints.
pub(super) const HINT_EVERY: u32 = 32;

/// Claims of others on one way that are worth pauses: each participant has one or two. More were written by
/// somebody who wants others to pause, a microsecond in each slot, where nothing can end that.
#[cfg(not(loom))]
const MOST_RACES: u32 = 2 * super::slot_word::MAX_PARTICIPANTS as u32;

/// Says how often it paused.
#[inline(always)]
#[cfg(not(loom))]
fn back_off(lost_races: u32) -> u32 {
    if lost_races > MOST_RACES {
        return 0;
    }
    let pauses = 1 << lost_races.min(6);
    for _ in 0..pauses {
        spin_loop();
    }
    pauses
}

#[cfg(loom)]
fn back_off(_: u32) -> u32 {
    let _ = spin_loop;
    0
}

/// Publishes the first `count` slots of a claimed run, at least one, and skips the rest.
#[inline(always)]
pub(super) fn publish<M: Shared>(memory: M, g: &Geometry, run: Run, count: u32) {
    debug_assert!(1 <= count && count <= run.len);
    for slot in (run.slot + count..run.slot + run.len).rev() {
        store(memory, g, slot, Word::empty(run.lap.next()));
    }
    for slot in (run.slot + 1..run.slot + count).rev() {
        store(memory, g, slot, Word::full(run.lap));
    }
    store(memory, g, run.slot, Word::full(run.lap));
}

/// Skips all slots of a claimed run: nothing is pushed, and the next lap can use them.
pub(super) fn skip<M: Shared>(memory: M, g: &Geometry, run: Run) {
    for slot in (run.slot..run.slot + run.len).rev() {
        store(memory, g, slot, Word::empty(run.lap.next()));
    }
}

/// Gives the slots of the first `count` items of a claimed run back, at least one, which the caller has copied; the
/// others are delivered again.
#[inline(always)]
pub(super) fn release<M: Shared>(memory: M, g: &Geometry, owner: Owner, run: Run, count: u32) {
    debug_assert!(1 <= count && count <= run.len);
    requeue(memory, g, run, count);
    if count > 1 {
        store(memory, g, run.slot, Word::drained(run.lap, owner, count));
        for slot in (run.slot + 1..run.slot + count).rev() {
            store(memory, g, slot, Word::empty(run.lap.next()));
        }
    }
    store(memory, g, run.slot, Word::empty(run.lap.next()));
}

/// Gives the items of a claimed run back, from the `count`-th on, to be delivered again.
#[inline(always)]
pub(super) fn requeue<M: Shared>(memory: M, g: &Geometry, run: Run, count: u32) {
    for slot in (run.slot + count..run.slot + run.len).rev() {
        store(memory, g, slot, Word::redeliver(run.lap, run.deaths));
    }
}

/// How many items there are, pushed and not popped, at some moment while this looks.
///
/// Two tallies that saw the same words are one: no word occurs twice, but of an item that is given back, and that
/// is one all the time. Where the words change all the time, the ring was neither empty nor full at some moment.
pub(crate) fn count<M: Shared>(memory: M, g: &Geometry) -> u32 {
    let mut last = tally(memory, g);
    for _ in 0..3 {
        let now = tally(memory, g);
        if now == last {
            return now.0;
        }
        last = now;
    }
    if g.capacity == 1 {
        return last.0;
    }
    last.0.clamp(1, g.capacity - 1)
}

/// How many items one pass through the slots finds, and a digest of all words.
fn tally<M: Shared>(memory: M, g: &Geometry) -> (u32, u64) {
    let (mut items, mut digest) = (0, 0_u64);
    // Slots inside a run of which the first word speaks for all: none of them holds an item.
    let mut skip = 0;
    for slot in 0..g.capacity {
        let word = load(memory, g, slot);
        digest = (digest ^ word.0)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29);
        if skip > 0 {
            skip -= 1;
            continue;
        }
        match word.phase() {
            Some(Phase::Full | Phase::Redeliver | Phase::Reading | Phase::Rereading) => items += 1,
            Some(Phase::Writing | Phase::Drained) => skip = word.run().saturating_sub(1),
            Some(Phase::Empty) | None => {}
        }
    }
    (items, digest)
}
