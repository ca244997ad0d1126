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
//! | FULL(L) → READING(L, owner, run); REDELIVER(L) → READING(L, owner, 1) | consumer, compare-and-swap on the first slot | acquire |
//! | items that are given back → REDELIVER(L), the last first | owner | release |
//! | READING → EMPTY(L+1) of a single slot: **the pop happened** | owner, store | release |
//! | READING → DRAINED(L, owner, run) of several: **the pop happened** | owner, store | release |
//! | the others → EMPTY(L+1), the last first; then DRAINED → EMPTY(L+1) | owner | release |
//! | dead WRITING: the others → EMPTY(L+1), the last first, then the first slot (its push never happened) | anyone, compare-and-swap | acq-rel |
//! | dead READING: the others FULL → REDELIVER(L), the last first, then the first slot (its pop never happened) | anyone, compare-and-swap | acq-rel |
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
//! phase than FULL because others have passed it: it is found by looking at all slots, and taken one at a time.
//!
//! A live push that is not finished blocks the consumers behind it, a live peek the producers that come round. A
//! dead one is [recovered](super::table).
//!
//! Nothing read here is trusted: slots are computed from private positions below the capacity, runs are cut off by
//! it, and every function ends after a bounded number of steps.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or comes from a slot below the capacity and the geometry, which was checked against the segment"
)]

use super::layout::{CONSUMERS_HINT, EPOCH, Geometry, PARTICIPANTS, PRODUCERS_HINT, hint_at};
use super::slot_word::{LAP_BITS, Lap, MAX_RUN, Owner, Phase, Word};
pub(crate) use crate::ring::protocol::error::TryError;
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::Shared;
use crate::ring::shm::slots::LINE;
use std::hint::spin_loop;
use std::sync::atomic::Ordering;

/// Slots claimed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) lap: Lap,
    pub(crate) slot: u32,
    pub(crate) len: u32,
}

/// A handle's position. The slot is always below the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) lap: Lap,
    pub(crate) slot: u32,
}

impl Cursor {
    /// `by` further: at most to the end of the buffer.
    #[inline(always)]
    pub(crate) fn advance(&mut self, g: &Geometry, by: u32) {
        self.slot += by;
        if self.slot >= g.capacity {
            self.slot = 0;
            self.lap = self.lap.next();
        }
    }

    /// How many slots further another one is that was taken later.
    pub(crate) fn distance_to(self, g: &Geometry, later: Self) -> u64 {
        let laps = i64::from(later.lap.ahead_of(self.lap));
        let slots = i64::from(later.slot) - i64::from(self.slot);
        // Negative only after a correction of a position that was wrong.
        u64::try_from(laps * i64::from(g.capacity) + slots).unwrap_or(0)
    }

    fn is_behind(self, other: Self) -> bool {
        let laps = other.lap.ahead_of(self.lap);
        laps > 0 || laps == 0 && other.slot > self.slot
    }

    fn to_hint(self) -> u64 {
        u64::from(self.lap.get()) << 32 | u64::from(self.slot)
    }

    /// `None`: nobody wrote that.
    fn from_hint(g: &Geometry, hint: u64) -> Option<Self> {
        let (lap, slot) = ((hint >> 32) as u32, hint as u32);
        (slot < g.capacity && lap < 1 << LAP_BITS).then_some(Self {
            lap: Lap::new(lap),
            slot,
        })
    }

    /// A position that everybody on this side has passed: the first slot has left the lap before the one that its
    /// word names. For consumers one lap less, because it may have been skipped ahead of them.
    pub(crate) fn from_first_slot<M: Shared>(memory: M, g: &Geometry, role: Role) -> Self {
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
pub(crate) fn load<M: Shared>(memory: M, g: &Geometry, slot: u32) -> Word {
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
pub(crate) fn swap<M: Shared>(
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
pub(crate) fn initialise<M: Shared>(memory: M, g: &Geometry, lap: u32) {
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
    let owned = matches!(phase, Phase::Writing | Phase::Reading | Phase::Drained);
    if owned && (word.run() == 0 || word.run() > g.capacity - at.slot) {
        return Step::Nonsense;
    }
    match (role, ahead, phase) {
        (Role::Producer, 0, Phase::Empty) => Step::Claim(word),
        (Role::Producer, 0, _) if owned => Step::Pass(word.run(), phase == Phase::Writing),
        (Role::Producer, 0, _) => Step::Pass(1, false),
        // The item of the lap before is still there, or its push is not finished.
        (Role::Producer, -1, phase) if phase != Phase::Empty => Step::Blocked,
        (Role::Consumer, 0, Phase::Full | Phase::Redeliver) => Step::Claim(word),
        (Role::Consumer, 0, Phase::Reading | Phase::Drained) => Step::Pass(word.run(), true),
        (Role::Consumer, 0, Phase::Empty | Phase::Writing) => Step::Blocked,
        // Its reader of the lap before is not finished, and producers wait for that as well.
        (Role::Consumer, -1, Phase::Reading | Phase::Drained) => Step::Blocked,
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
/// Returns the cursor as a value, so that the caller's can stay in registers.
#[inline(never)]
pub(crate) fn claim<M: Shared>(
    memory: M,
    g: &Geometry,
    owner: Owner,
    role: Role,
    mut cursor: Cursor,
    wanted: u32,
) -> (Cursor, Result<Run, TryError>) {
    // Four times round is more than any honest distance; whoever has not found anything by then has been overtaken
    // all the time.
    let mut steps = u64::from(g.capacity) * 4 + 64;
    let mut may_reposition = true;
    let mut may_ask_hint = true;
    let mut lost_races = 0;
    loop {
        if steps == 0 {
            return (cursor, Err(TryError::WouldBlock));
        }
        steps -= 1;
        let word = load(memory, g, cursor.slot);
        match judge(word, cursor, role, g) {
            Step::Claim(from) => {
                let len = measure(memory, g, cursor, from, wanted);
                let to = match role {
                    Role::Producer => Word::writing(from.lap(), owner, len),
                    Role::Consumer => Word::reading(from.lap(), owner, len),
                };
                if swap(memory, g, cursor.slot, from, to).is_ok() {
                    let run = Run {
                        lap: from.lap(),
                        slot: cursor.slot,
                        len,
                    };
                    // A redelivered item of the lap before: its slot in this lap is still to come.
                    if from.lap() == cursor.lap {
                        pass(memory, g, role, &mut cursor, len);
                    }
                    return (cursor, Ok(run));
                }
                lost_races += 1;
                back_off(lost_races);
            }
            Step::Pass(len, is_busy) => {
                cursor.advance(g, len);
                if is_busy {
                    // Whoever claimed it is at work on the same cache lines.
                    lost_races += 1;
                    back_off(lost_races);
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
pub(crate) fn claim_here<M: Shared>(
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
    let to = match role {
        Role::Producer => Word::writing(at.lap, owner, len),
        Role::Consumer => Word::reading(at.lap, owner, len),
    };
    swap(memory, g, at.slot, from, to).ok()?;
    Some(Run {
        lap: at.lap,
        slot: at.slot,
        len,
    })
}

/// Moves on behind what was just claimed, and tells newcomers now and then.
#[inline(always)]
pub(crate) fn pass<M: Shared>(memory: M, g: &Geometry, role: Role, cursor: &mut Cursor, len: u32) {
    let before = cursor.slot / HINT_EVERY;
    cursor.advance(g, len);
    if cursor.slot / HINT_EVERY != before || cursor.slot == 0 {
        tell(memory, role, *cursor);
    }
}

/// Tells newcomers where somebody of this side is.
#[inline(always)]
pub(crate) fn tell<M: Shared>(memory: M, role: Role, cursor: Cursor) {
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
pub(crate) unsafe fn swap_at<M: Shared>(memory: M, at: usize, from: Word, to: Word) -> bool {
    // SAFETY: the caller vouches for the offset.
    unsafe { memory.compare_exchange(at, from.0, to.0) }.is_ok()
}

/// The word at an offset.
///
/// # Safety
///
/// `at` is the offset of a slot's word.
#[inline(always)]
pub(crate) unsafe fn load_at<M: Shared>(memory: M, at: usize) -> Word {
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
pub(crate) unsafe fn store_at<M: Shared>(memory: M, at: usize, word: Word) {
    // SAFETY: the caller vouches for the offset.
    unsafe { memory.store(at, word.0, Ordering::Release) };
}

/// Slots between two hints.
pub(crate) const HINT_EVERY: u32 = 32;

/// Claims of others on one way that are worth pauses: each participant has one or two. More were written by
/// somebody who wants others to pause, a microsecond in each slot, where nothing can end that.
#[cfg(not(loom))]
const MOST_RACES: u32 = 2 * super::slot_word::MAX_PARTICIPANTS as u32;

#[inline(always)]
#[cfg(not(loom))]
fn back_off(lost_races: u32) {
    if lost_races <= MOST_RACES {
        for _ in 0..1 << lost_races.min(6) {
            spin_loop();
        }
    }
}

#[cfg(loom)]
fn back_off(_: u32) {
    let _ = spin_loop;
}

/// Publishes the first `count` slots of a claimed run, at least one, and skips the rest.
#[inline(always)]
pub(crate) fn publish<M: Shared>(memory: M, g: &Geometry, run: Run, count: u32) {
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
pub(crate) fn skip<M: Shared>(memory: M, g: &Geometry, run: Run) {
    for slot in (run.slot..run.slot + run.len).rev() {
        store(memory, g, slot, Word::empty(run.lap.next()));
    }
}

/// Gives the slots of the first `count` items of a claimed run back, at least one, which the caller has copied; the
/// others are delivered again.
#[inline(always)]
pub(crate) fn release<M: Shared>(memory: M, g: &Geometry, owner: Owner, run: Run, count: u32) {
    debug_assert!(1 <= count && count <= run.len);
    for slot in (run.slot + count..run.slot + run.len).rev() {
        store(memory, g, slot, Word::redeliver(run.lap));
    }
    if count > 1 {
        store(memory, g, run.slot, Word::drained(run.lap, owner, count));
        for slot in (run.slot + 1..run.slot + count).rev() {
            store(memory, g, slot, Word::empty(run.lap.next()));
        }
    }
    store(memory, g, run.slot, Word::empty(run.lap.next()));
}

/// Gives all items of a claimed run back, to be delivered again.
pub(crate) fn give_back<M: Shared>(memory: M, g: &Geometry, run: Run) {
    for slot in (run.slot..run.slot + run.len).rev() {
        store(memory, g, slot, Word::redeliver(run.lap));
    }
}

/// Looks at all slots for an item that is to be delivered again, and claims it.
#[cold]
#[inline(never)]
pub(crate) fn claim_redelivered<M: Shared>(memory: M, g: &Geometry, owner: Owner) -> Option<Run> {
    for slot in 0..g.capacity {
        let word = load(memory, g, slot);
        if word.phase() == Some(Phase::Redeliver)
            && swap(memory, g, slot, word, Word::reading(word.lap(), owner, 1)).is_ok()
        {
            return Some(Run {
                lap: word.lap(),
                slot,
                len: 1,
            });
        }
    }
    None
}

/// The number that changes when items have become REDELIVER.
#[inline(always)]
pub(crate) fn epoch<M: Shared>(memory: M) -> u64 {
    // Acquire pairs with `advance_epoch`: whoever sees the new one sees the slots.
    // SAFETY: a constant of the layout.
    unsafe { memory.load(EPOCH, Ordering::Acquire) }
}

/// Called after slots have become REDELIVER.
pub(crate) fn advance_epoch<M: Shared>(memory: M) {
    let mut seen = epoch(memory);
    // Others advance it a few times per dead participant. More is somebody who scribbles, and no reason to stay
    // here.
    for _ in 0..1000 {
        // SAFETY: a constant of the layout.
        match unsafe { memory.compare_exchange(EPOCH, seen, seen.wrapping_add(1)) } {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// How many items there are, at some moment or another while this looks: those pushed and not popped.
pub(crate) fn count<M: Shared>(memory: M, g: &Geometry) -> u32 {
    let mut items = 0;
    let mut skip = 0;
    let mut counts = false;
    for slot in 0..g.capacity {
        let word = load(memory, g, slot);
        if skip > 0 {
            // Inside a run of which the first word speaks for all.
            skip -= 1;
            items += u32::from(counts);
            continue;
        }
        match word.phase() {
            Some(Phase::Full | Phase::Redeliver) => items += 1,
            Some(Phase::Reading) => {
                items += 1;
                (skip, counts) = (word.run().saturating_sub(1), true);
            }
            Some(Phase::Writing | Phase::Drained) => {
                (skip, counts) = (word.run().saturating_sub(1), false);
            }
            Some(Phase::Empty) | None => {}
        }
    }
    items
}
