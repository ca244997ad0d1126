//! The word beside each item: what the slot holds, in which lap, and whose it is meanwhile.
//!
//! | bits | width | hold |
//! |---|---|---|
//! | 0 to 2 | 3 | phase |
//! | 3 to 11 | 9 | owner: index of its entry in the participant table; 0 where there is none |
//! | 12 to 30 | 19 | run: slots claimed together, from this one on; in REDELIVER and REREADING: how many readers of the item have died; else 0 |
//! | 31 to 63 | 33 | lap: how often the positions have gone round |
//!
//! The word is meant for items and for messages. A message takes its run in units of 64 bytes, so that 19 bits are
//! 32 MiB, and only the first word of a run means anything.
//!
//! | phase | | the slot | if its owner is dead, others make it |
//! |---|---|---|---|
//! | 0 | EMPTY | is free for the item of this lap | no owner |
//! | 1 | WRITING | and the rest of its run belong to a producer; the others of the run are EMPTY or FULL | EMPTY of the next lap (PASSED, of a message) |
//! | 2 | FULL | holds an item | no owner |
//! | 3 | READING | and the rest of its run belong to a consumer; the items are still in the buffer, the others of the run FULL or REDELIVER | REDELIVER(1) |
//! | 4 | DRAINED | and the rest of its run have been popped, and are about to become EMPTY of the next lap. PASSED, of a message: popped or skipped, with its run and no owner | EMPTY of the next lap |
//! | 5 | REDELIVER(n) | holds an item that a reader gave back; `n` readers of it have died | no owner |
//! | 6 | REREADING(n) | holds such an item, and belongs to a consumer; its run is 1 | REDELIVER(n + 1) |
//! | 7 | SEALED | is reserved: a claim word after which this ring takes no more, because another ring follows | no owner |
//!
//! A living owner takes every step but those of the last column itself. Only it may be killed in between, and any
//! process finishes for it: [`table`](super::table) says how.
//!
//! # No word of an owner occurs twice
//!
//! A process that recovers loads a word, then asks whether the dead one's claim still stands in the table, then
//! changes the word by a compare-and-swap. It may stop for any time before the compare-and-swap. Meanwhile another
//! process may finish the recovery and free the entry, and a living handle take it. So the word that it expects must
//! not come back. It does not:
//!
//! * A slot goes through each of WRITING, READING, DRAINED at most once in a lap: nothing leads back to EMPTY or
//!   FULL of the same lap.
//! * REREADING(n) can come back in the same lap, but a recovery makes n one more, and nothing makes it less. A
//!   living reader that gives an item back leaves n as it is: a handle can do that in 50 ns, so that counting it
//!   would wrap within milliseconds.
//!
//! The word that is expected belongs to the dead: the claim in its entry was theirs after the word was loaded, no
//! claim comes back, and an entry is freed only after no slot names it. If the word is still there, no recovery has
//! changed it, so it still is theirs. This needs no generation of the entry in the word.
//!
//! Laps wrap after 2^33, and the count after 2^19. A process would have to stop between its load and its
//! compare-and-swap for exactly a multiple of 2^33 laps (at capacity 1 and 50 million items a second: 3 minutes; at
//! capacity 1024: 2 days), or until exactly a multiple of 2^19 processes have died of the same item in the same
//! entry.
//!
//! # Laps are compared by the sign of their difference
//!
//! A handle compares a slot's lap with its own, which is behind by however long it was idle. The difference modulo
//! 2^33 has the right sign for 2^32 laps. After that the slots seem to be behind the handle, and it finds its
//! position again from the first slot. Only after a multiple of 2^33 laps, to the lap, does it take a slot for the
//! next of its lap that is not: a push goes to a place that consumers reach later.
//!
//! # The free frontier
//!
//! A bounded buffer has as many slots as its capacity says, so the slot where producers go next may hold an item,
//! and cannot be sealed. A ring that other rings follow needs one slot more, which is always free. The header has a
//! word for the number of such slots, which is 0 today; whoever finds another number refuses the ring.

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    Writing,
    Full,
    Reading,
    Drained,
    Redeliver,
    Rereading,
}

impl Phase {
    /// Whether a slot in this phase belongs to a handle.
    #[inline(always)]
    pub(super) const fn is_owned(self) -> bool {
        matches!(
            self,
            Self::Writing | Self::Reading | Self::Drained | Self::Rereading
        )
    }
}

const PHASE_BITS: u32 = 3;
const OWNER_BITS: u32 = 9;
const RUN_BITS: u32 = 19;
pub(super) const LAP_BITS: u32 = 33;

const OWNER_AT: u32 = PHASE_BITS;
const RUN_AT: u32 = OWNER_AT + OWNER_BITS;
const LAP_AT: u32 = RUN_AT + RUN_BITS;

/// Participants that the owner's bits can tell apart.
pub(super) const MAX_PARTICIPANTS: usize = 1 << OWNER_BITS;
/// The longest run.
pub(super) const MAX_RUN: usize = (1 << RUN_BITS) - 1;

const _: () = assert!(LAP_AT + LAP_BITS == 64);

/// A lap, modulo 2^33.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lap(u64);

impl Lap {
    const MASK: u64 = (1 << LAP_BITS) - 1;

    pub(super) const fn new(lap: u64) -> Self {
        Self(lap & Self::MASK)
    }

    pub(super) const fn get(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(super) const fn next(self) -> Self {
        Self::new(self.0.wrapping_add(1))
    }

    #[inline(always)]
    pub(super) const fn previous(self) -> Self {
        Self::new(self.0.wrapping_sub(1))
    }

    /// How far this lap is ahead of another: negative if it is behind.
    #[inline(always)]
    pub(super) const fn ahead_of(self, other: Self) -> i64 {
        // Shifted up, so that the sign of the difference is the sign of the integer; and back, keeping it.
        let unused = u64::BITS - LAP_BITS;
        (self.0.wrapping_sub(other.0) << unused) as i64 >> unused
    }
}

/// A participant as a slot names it: the index of its entry in the table, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(u64);

impl Owner {
    const MASK: u64 = (MAX_PARTICIPANTS as u64 - 1) << OWNER_AT;

    /// `index` is below [`MAX_PARTICIPANTS`].
    pub(super) const fn new(index: usize) -> Self {
        Self((index as u64) << OWNER_AT & Self::MASK)
    }

    /// Below [`MAX_PARTICIPANTS`].
    #[inline(always)]
    pub(super) const fn index(self) -> usize {
        (self.0 >> OWNER_AT) as usize
    }
}

/// A slot's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

impl Word {
    #[inline(always)]
    const fn plain(phase: u64, lap: Lap) -> Self {
        Self(lap.0 << LAP_AT | phase)
    }

    #[inline(always)]
    pub(super) const fn empty(lap: Lap) -> Self {
        Self::plain(0, lap)
    }

    #[inline(always)]
    pub(super) const fn full(lap: Lap) -> Self {
        Self::plain(2, lap)
    }

    #[inline(always)]
    pub(super) const fn redeliver(lap: Lap, deaths: u32) -> Self {
        Self(Self::plain(5, lap).0 | Self::second(deaths))
    }

    /// Of the word of a free slot: what it is in the next lap.
    #[inline(always)]
    pub(super) const fn of_next_lap(self) -> Self {
        Self(self.0.wrapping_add(1 << LAP_AT))
    }

    /// Of the word of a free slot: what it is with an item.
    #[inline(always)]
    pub(super) const fn filled(self) -> Self {
        Self(self.0 | 2)
    }

    /// Of the word of a free slot: what it is in the hands of a producer, as a run of 1.
    #[inline(always)]
    pub(super) const fn being_written(self, owner: Owner) -> Self {
        Self(self.0 | Self::second(1) | owner.0 | 1)
    }

    /// Of the word of a free slot: what it is in the hands of a consumer, as a run of 1.
    #[inline(always)]
    pub(super) const fn being_read(self, owner: Owner) -> Self {
        Self(self.0 | Self::second(1) | owner.0 | 3)
    }

    #[inline(always)]
    const fn owned(phase: u64, lap: Lap, owner: Owner, run: u32) -> Self {
        Self(lap.0 << LAP_AT | Self::second(run) | owner.0 | phase)
    }

    /// Run or count, in place; of a count the low bits.
    #[inline(always)]
    const fn second(value: u32) -> u64 {
        (value as u64 & MAX_RUN as u64) << RUN_AT
    }

    #[inline(always)]
    pub(super) const fn writing(lap: Lap, owner: Owner, run: u32) -> Self {
        Self::owned(1, lap, owner, run)
    }

    #[inline(always)]
    pub(super) const fn reading(lap: Lap, owner: Owner, run: u32) -> Self {
        Self::owned(3, lap, owner, run)
    }

    #[inline(always)]
    pub(super) const fn drained(lap: Lap, owner: Owner, run: u32) -> Self {
        Self::owned(4, lap, owner, run)
    }

    #[inline(always)]
    pub(super) const fn rereading(lap: Lap, owner: Owner, deaths: u32) -> Self {
        Self::owned(6, lap, owner, deaths)
    }

    #[inline(always)]
    pub(super) const fn lap(self) -> Lap {
        Lap(self.0 >> LAP_AT)
    }

    /// `None`: no phase has this number.
    #[inline(always)]
    pub(super) const fn phase(self) -> Option<Phase> {
        match self.0 & ((1 << PHASE_BITS) - 1) {
            0 => Some(Phase::Empty),
            1 => Some(Phase::Writing),
            2 => Some(Phase::Full),
            3 => Some(Phase::Reading),
            4 => Some(Phase::Drained),
            5 => Some(Phase::Redeliver),
            6 => Some(Phase::Rereading),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) const fn owner(self) -> Owner {
        Owner(self.0 & Owner::MASK)
    }

    /// How many slots belong together, this one the first, as it stands there: anything up to [`MAX_RUN`]. 1 in
    /// phases without a run.
    #[inline(always)]
    pub(super) const fn run(self) -> u32 {
        match self.phase() {
            Some(Phase::Writing | Phase::Reading | Phase::Drained) => self.second_field(),
            _ => 1,
        }
    }

    /// How many readers of an item have died, in REDELIVER and REREADING.
    #[inline(always)]
    pub(super) const fn deaths(self) -> u32 {
        match self.phase() {
            Some(Phase::Redeliver | Phase::Rereading) => self.second_field(),
            _ => 0,
        }
    }

    #[inline(always)]
    const fn second_field(self) -> u32 {
        (self.0 >> RUN_AT) as u32 & MAX_RUN as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_they_are_made_of() {
        let last = Lap::new(u64::MAX);
        for lap in [Lap::new(0), Lap::new(1), last] {
            for index in [0, 1, 63, 511] {
                let owner = Owner::new(index);
                assert_eq!(owner.index(), index);
                for run in [1, 2, MAX_RUN as u32] {
                    for (word, phase) in [
                        (Word::writing(lap, owner, run), Phase::Writing),
                        (Word::reading(lap, owner, run), Phase::Reading),
                        (Word::drained(lap, owner, run), Phase::Drained),
                    ] {
                        assert_eq!(word.phase(), Some(phase));
                        assert_eq!((word.lap(), word.owner(), word.run()), (lap, owner, run));
                        assert_eq!(word.deaths(), 0);
                    }
                    let word = Word::rereading(lap, owner, run);
                    assert_eq!((word.phase(), word.lap()), (Some(Phase::Rereading), lap));
                    assert_eq!((word.owner(), word.run(), word.deaths()), (owner, 1, run));
                }
            }
            for (word, phase) in [
                (Word::empty(lap), Phase::Empty),
                (Word::full(lap), Phase::Full),
                (Word::redeliver(lap, 7), Phase::Redeliver),
            ] {
                assert_eq!(word.phase(), Some(phase));
                assert_eq!((word.lap(), word.run()), (lap, 1));
            }
        }
        assert_eq!(Word::empty(Lap::new(0)), Word(0));
        for lap in [Lap::new(3), last] {
            let (empty, owner) = (Word::empty(lap), Owner::new(511));
            assert_eq!(empty.of_next_lap(), Word::empty(lap.next()));
            assert_eq!(empty.filled(), Word::full(lap));
            assert_eq!(empty.being_written(owner), Word::writing(lap, owner, 1));
            assert_eq!(empty.being_read(owner), Word::reading(lap, owner, 1));
        }
        assert_eq!(Word(7).phase(), None);
        // The count wraps, and touches nothing else.
        let past = Word::redeliver(last, MAX_RUN as u32 + 1);
        assert_eq!(past, Word::redeliver(last, 0));
    }

    #[test]
    fn laps_are_compared_across_their_wrap() {
        let (last, first) = (Lap::new(u64::MAX), Lap::new(0));
        assert_eq!(last.next(), first);
        assert_eq!(first.previous(), last);
        assert_eq!((first.ahead_of(last), last.ahead_of(first)), (1, -1));
        assert_eq!(Lap::new(7).ahead_of(Lap::new(3)), 4);
        assert_eq!(Lap::new((1 << 32) - 1).ahead_of(first), (1 << 32) - 1);
        assert_eq!(Lap::new(1 << 32).ahead_of(first), -(1 << 32));
    }
}
