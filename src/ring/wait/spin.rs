//! What a side learns from its waits about how to wait: where the processors are, how long they pause and what the
//! other side does are not known beforehand.

use std::sync::atomic::{AtomicU32, Ordering};

/// What waiting learned: whether items come in streams.
///
/// In a stream, whoever polls at once takes the cache line from the other side for every item, and both crawl.
/// Letting it get ahead for a moment gives many items per wait. In a round trip it only costs time. The two are
/// told apart by how many items came between waits: a round trip brings one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Habit {
    /// 0 to `SURE`.
    evidence: u8,
    /// How long to let the other side get ahead: `16 << level` pauses.
    level: u8,
    /// Waits in a row that brought one item. At the last that can be counted this side lets the other get ahead
    /// once, to see what that brings: when both crawl together, a stream looks like a round trip.
    singles: u8,
}

impl Habit {
    const LIKELY: u8 = 4;
    const SURE: u8 = 12;
    const LAST_LEVEL: u8 = 3;

    pub(crate) fn is_stream(self) -> bool {
        self.evidence >= Self::LIKELY
    }

    /// How long to let the other side get ahead before the first look.
    pub(crate) fn pauses_first(self) -> u32 {
        if self.is_stream() || self.singles == u8::MAX {
            16 << self.level
        } else {
            0
        }
    }

    /// Learns at the beginning of a wait from how many items were taken since the one before.
    #[inline(never)]
    pub(crate) fn learn(self, items_since: u64) -> Self {
        let evidence = match items_since {
            2.. if self.singles == u8::MAX => Self::SURE,
            2.. => (self.evidence + 2).min(Self::SURE),
            _ => self.evidence.saturating_sub(1),
        };
        let singles = if items_since >= 2 {
            0
        } else {
            self.singles.wrapping_add(1)
        };
        let level = match items_since {
            0..32 if self.is_stream() => (self.level + 1).min(Self::LAST_LEVEL),
            0..256 => self.level,
            _ => self.level.saturating_sub(1),
        };
        Self {
            evidence,
            level,
            singles,
        }
    }
}

/// What waiting learned: how many pauses belong between two looks.
///
/// Each look takes the cache line from the other side, which then has to take it back before it can write: whoever
/// looks all the time delays what he waits for, and whoever looks seldom sees it late. A few looks per wait are
/// best, wherever the processors are and however long they pause: a round trip takes a fifth less than with a look
/// at each pause, where a cache line moves in 120 ns and a pause takes 12 ns.
#[derive(Debug)]
pub(crate) struct Gap(AtomicU32);

impl Default for Gap {
    fn default() -> Self {
        Self(AtomicU32::new(Self::LEAST))
    }
}

impl Gap {
    const LEAST: u32 = 1;
    const MOST: u32 = 6;

    #[inline(always)]
    pub(super) fn pauses(&self) -> u32 {
        // Relaxed: only one thread waits at a time; so below.
        self.0.load(Ordering::Relaxed)
    }

    /// Learns from a wait that ended after so many looks with so many pauses in between.
    #[inline(always)]
    pub(super) fn learn(&self, pauses: u32, looks: u32) {
        let next = match looks {
            0..3 => pauses.saturating_sub(1).max(Self::LEAST),
            6..32 => (pauses + 1).min(Self::MOST),
            // As it should be; or so many that it was no round trip.
            _ => return,
        };
        self.0.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_items_are_no_stream_and_looked_into_now_and_then() {
        let mut habit = Habit::default();
        let mut ahead = 0;
        for _ in 0..1024 {
            habit = habit.learn(1);
            assert!(!habit.is_stream());
            ahead += u32::from(habit.pauses_first() > 0);
        }
        assert_eq!(ahead, 4);
    }

    #[test]
    fn a_stream_that_crawls_is_found_out_at_once() {
        let mut habit = Habit::default();
        while habit.pauses_first() == 0 {
            habit = habit.learn(1);
        }
        assert!(habit.learn(2).is_stream());
        assert!(!habit.learn(1).is_stream());
    }

    #[test]
    fn a_stream_is_noticed_and_forgotten() {
        let mut habit = Habit::default();
        for _ in 0..2 {
            assert!(!habit.is_stream());
            habit = habit.learn(40);
        }
        assert!(habit.is_stream());
        for _ in 0..u8::MAX {
            habit = habit.learn(1);
        }
        assert!(!habit.is_stream());
    }

    /// Waits of as many pauses, as a round trip has them.
    fn gap_after_waits_of(pauses: u32) -> u32 {
        let gap = Gap::default();
        for _ in 0..100 {
            let between = gap.pauses();
            gap.learn(between, 1 + pauses / between);
        }
        gap.pauses()
    }

    #[test]
    fn a_few_looks_per_wait() {
        for (pauses, gap) in [(0, 1), (2, 1), (5, 2), (20, 5), (27, 6), (1000, 1)] {
            assert_eq!(gap_after_waits_of(pauses), gap, "{pauses}");
        }
    }

    #[test]
    fn shorter_waits_are_looked_at_more_closely_again() {
        let gap = Gap(AtomicU32::new(Gap::MOST));
        for _ in 0..10 {
            gap.learn(gap.pauses(), 1);
        }
        assert_eq!(gap.pauses(), Gap::LEAST);
    }
}
