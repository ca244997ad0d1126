//! The word beside each item: what the slot holds, in which lap, and whose it is meanwhile.
//!
//! | bits | width | hold | wraps |
//! |---|---|---|---|
//! | 0 to 2 | 3 | phase | |
//! | 3 to 11 | 9 | owner: index of its entry in the participant table; 0 where there is none | 512 participants at most |
//! | 12 to 23 | 12 | owner: generation of that entry | after 4096 participants have used the same entry |
//! | 24 to 33 | 10 | run: slots claimed together, from this one on; 0 where there is no owner | a batch is 1023 items at most |
//! | 34 to 63 | 30 | lap: how often the positions have gone round | after 2^30 laps: 21 seconds at capacity 1 and 50 million items a second, 6 hours at capacity 1024 |
//!
//! A wrap matters only to a process that stopped between looking at a word and its compare-and-swap, for exactly a
//! multiple of that time, when the whole word, all fields, is the same again.
//!
//! | phase | | the slot |
//! |---|---|---|
//! | 0 | EMPTY | is free for the item of this lap |
//! | 1 | WRITING | and the rest of its run belong to a producer; the others of the run are EMPTY or FULL |
//! | 2 | FULL | holds an item |
//! | 3 | READING | and the rest of its run belong to a consumer; the items are still in the buffer, the others of the run FULL |
//! | 4 | DRAINED | and the rest of its run have been popped, and are about to become EMPTY of the next lap |
//! | 5 | REDELIVER | holds an item whose reader died or gave it back |
//!
//! Memory full of zeros is an empty buffer in lap 0.

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Writing,
    Full,
    Reading,
    Drained,
    Redeliver,
}

const PHASE_BITS: u32 = 3;
const INDEX_BITS: u32 = 9;
const GENERATION_BITS: u32 = 12;
const RUN_BITS: u32 = 10;
pub(crate) const LAP_BITS: u32 = 30;

const INDEX_AT: u32 = PHASE_BITS;
const GENERATION_AT: u32 = INDEX_AT + INDEX_BITS;
const RUN_AT: u32 = GENERATION_AT + GENERATION_BITS;
const LAP_AT: u32 = RUN_AT + RUN_BITS;

/// Participants that the index can tell apart.
pub(crate) const MAX_PARTICIPANTS: usize = 1 << INDEX_BITS;
/// The longest run.
pub(crate) const MAX_RUN: usize = (1 << RUN_BITS) - 1;

const _: () = assert!(LAP_AT + LAP_BITS == 64);

/// A lap, modulo 2^30.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lap(u32);

impl Lap {
    const MASK: u32 = (1 << LAP_BITS) - 1;

    pub(crate) const fn new(lap: u32) -> Self {
        Self(lap & Self::MASK)
    }

    pub(crate) const fn get(self) -> u32 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn next(self) -> Self {
        Self::new(self.0.wrapping_add(1))
    }

    #[inline(always)]
    pub(crate) const fn previous(self) -> Self {
        Self::new(self.0.wrapping_sub(1))
    }

    /// How far this lap is ahead of another: negative if it is behind.
    #[inline(always)]
    pub(crate) const fn ahead_of(self, other: Self) -> i32 {
        // Shifted up, so that the sign of the difference is the sign of the integer; and back, keeping it.
        let unused = u32::BITS - LAP_BITS;
        (self.0.wrapping_sub(other.0) << unused) as i32 >> unused
    }
}

/// A participant as a slot names it: the bits of index and generation, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(u64);

impl Owner {
    const MASK: u64 = ((1 << (INDEX_BITS + GENERATION_BITS)) - 1) << INDEX_AT;

    /// `index` is below [`MAX_PARTICIPANTS`]; of the generation the low bits count.
    pub(crate) fn new(index: usize, generation: u64) -> Self {
        let generation = generation & ((1 << GENERATION_BITS) - 1);
        Self((index as u64) << INDEX_AT & Self::MASK | generation << GENERATION_AT)
    }
}

/// A slot's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    #[inline(always)]
    const fn plain(phase: u64, lap: Lap) -> Self {
        Self((lap.0 as u64) << LAP_AT | phase)
    }

    #[inline(always)]
    pub(crate) const fn empty(lap: Lap) -> Self {
        Self::plain(0, lap)
    }

    #[inline(always)]
    pub(crate) const fn full(lap: Lap) -> Self {
        Self::plain(2, lap)
    }

    #[inline(always)]
    pub(crate) const fn redeliver(lap: Lap) -> Self {
        Self::plain(5, lap)
    }

    #[inline(always)]
    const fn owned(phase: u64, lap: Lap, owner: Owner, run: u32) -> Self {
        Self((lap.0 as u64) << LAP_AT | (run as u64) << RUN_AT | owner.0 | phase)
    }

    #[inline(always)]
    pub(crate) const fn writing(lap: Lap, owner: Owner, run: u32) -> Self {
        Self::owned(1, lap, owner, run)
    }

    #[inline(always)]
    pub(crate) const fn reading(lap: Lap, owner: Owner, run: u32) -> Self {
        Self::owned(3, lap, owner, run)
    }

    #[inline(always)]
    pub(crate) const fn drained(lap: Lap, owner: Owner, run: u32) -> Self {
        Self::owned(4, lap, owner, run)
    }

    #[inline(always)]
    pub(crate) const fn lap(self) -> Lap {
        Lap((self.0 >> LAP_AT) as u32)
    }

    /// `None`: no phase has this number.
    #[inline(always)]
    pub(crate) const fn phase(self) -> Option<Phase> {
        match self.0 & ((1 << PHASE_BITS) - 1) {
            0 => Some(Phase::Empty),
            1 => Some(Phase::Writing),
            2 => Some(Phase::Full),
            3 => Some(Phase::Reading),
            4 => Some(Phase::Drained),
            5 => Some(Phase::Redeliver),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) const fn owner(self) -> Owner {
        Owner(self.0 & Owner::MASK)
    }

    /// The run as it stands there: anything up to [`MAX_RUN`].
    #[inline(always)]
    pub(crate) const fn run(self) -> u32 {
        (self.0 >> RUN_AT) as u32 & MAX_RUN as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_they_are_made_of() {
        let last = Lap::new(u32::MAX);
        for lap in [Lap::new(0), Lap::new(1), last] {
            for (index, generation) in [(0, 0), (1, 4095), (511, 4096), (63, 7)] {
                let owner = Owner::new(index, generation);
                for run in [1, 2, 1023] {
                    for (word, phase) in [
                        (Word::writing(lap, owner, run), Phase::Writing),
                        (Word::reading(lap, owner, run), Phase::Reading),
                        (Word::drained(lap, owner, run), Phase::Drained),
                    ] {
                        assert_eq!(word.phase(), Some(phase));
                        assert_eq!((word.lap(), word.owner(), word.run()), (lap, owner, run));
                    }
                }
            }
            for (word, phase) in [
                (Word::empty(lap), Phase::Empty),
                (Word::full(lap), Phase::Full),
                (Word::redeliver(lap), Phase::Redeliver),
            ] {
                assert_eq!(word.phase(), Some(phase));
                assert_eq!((word.lap(), word.run()), (lap, 0));
            }
        }
        assert_eq!(Word::empty(Lap::new(0)), Word(0));
        assert_eq!(Word(6).phase(), None);
        assert_ne!(Owner::new(3, 1), Owner::new(3, 2));
        assert_ne!(Owner::new(3, 1), Owner::new(4, 1));
    }

    #[test]
    fn laps_are_compared_across_their_wrap() {
        let (last, first) = (Lap::new(u32::MAX), Lap::new(0));
        assert_eq!(last.next(), first);
        assert_eq!(first.previous(), last);
        assert_eq!((first.ahead_of(last), last.ahead_of(first)), (1, -1));
        assert_eq!(Lap::new(7).ahead_of(Lap::new(3)), 4);
    }
}
