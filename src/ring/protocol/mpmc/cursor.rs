//! [`Position`]: a handle's cursor the way its hot paths need it.

use super::claim::{Cursor, HINT_EVERY};
use super::layout::Geometry;
use super::slot_word::Word;

/// A [`Cursor`] as offsets that only have to be added to, and where the present stretch of slots ends.
///
/// A stretch ends where something has to be done that is not done for every item: at the end of the buffer, where
/// newcomers are told the position, and where sleeping producers are woken. So single items need one comparison for
/// all three.
///
/// The offsets are those of a slot of the geometry it was made with, except between an [`advance`](Self::advance)
/// that says "the end" and the [`go`](Self::go) that must follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// What the word of the slot is when it is free in this lap.
    pub(super) empty: Word,
    /// Where the word and the item of the slot are.
    pub(super) word: usize,
    pub(super) item: usize,
    /// From one word to the next, and from one item to the next.
    word_step: usize,
    item_step: usize,
    /// The word behind the stretch, which may not exist, and its slot, at most the capacity.
    end: usize,
    end_slot: u32,
}

impl Position {
    pub(super) fn new(g: &Geometry, cursor: Cursor) -> Self {
        let (mut word_step, mut item_step) = (0, 0);
        if g.capacity > 1 {
            word_step = g.word_at(1) - g.word_at(0);
            item_step = g.item_at(1) - g.item_at(0);
        }
        let mut this = Self {
            empty: Word::empty(cursor.lap),
            word: 0,
            item: 0,
            word_step: word_step.max(1),
            item_step,
            end: 0,
            end_slot: 0,
        };
        this.go(g, cursor);
        this
    }

    /// The slot is below the capacity.
    #[inline(always)]
    pub(super) fn cursor(&self) -> Cursor {
        Cursor {
            lap: self.empty.lap(),
            slot: self.end_slot - ((self.end - self.word) / self.word_step) as u32,
        }
    }

    #[inline(always)]
    pub(super) fn go(&mut self, g: &Geometry, to: Cursor) {
        let quarter = g.quarter();
        let hint = (to.slot / HINT_EVERY + 1) * HINT_EVERY;
        let told = (to.slot / quarter + 1) * quarter;
        self.empty = Word::empty(to.lap);
        self.word = g.word_at(to.slot);
        self.item = g.item_at(to.slot);
        self.end_slot = hint.min(told).min(g.capacity);
        self.end = self.word + (self.end_slot - to.slot) as usize * self.word_step;
    }

    /// One slot further; says whether that is the end of the stretch.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> bool {
        self.word += self.word_step;
        self.item += self.item_step;
        self.word == self.end
    }

    /// What the next stretch begins with. Called at the end of one.
    pub(super) fn next_stretch(&self, g: &Geometry) -> Cursor {
        let mut cursor = Cursor {
            lap: self.empty.lap(),
            slot: self.end_slot,
        };
        cursor.advance(g, 0);
        cursor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::protocol::mpmc::slot_word::Lap;
    use crate::ring::shm::slots::Layout;

    #[test]
    fn goes_where_a_cursor_goes_and_turns_where_it_must() {
        for capacity in [1, 2, 3, 31, 32, 33, 100, 128, 1000] {
            let g = Geometry::new(Layout::default(), capacity, 1, 24, 8).unwrap();
            for begin in [0, g.capacity / 2, g.capacity - 1] {
                let mut cursor = Cursor {
                    lap: Lap::new(u64::MAX),
                    slot: begin,
                };
                let mut position = Position::new(&g, cursor);
                for _ in 0..3 * capacity {
                    assert_eq!(position.cursor(), cursor);
                    assert_eq!(position.word, g.word_at(cursor.slot));
                    assert_eq!(position.item, g.item_at(cursor.slot));
                    cursor.advance(&g, 1);
                    let turns = position.advance();
                    let must = cursor.slot % HINT_EVERY == 0 || cursor.slot % g.quarter() == 0;
                    assert_eq!(turns, must, "capacity {capacity}, now at {}", cursor.slot);
                    if turns {
                        assert_eq!(position.next_stretch(&g), cursor);
                        position.go(&g, cursor);
                    }
                }
            }
        }
    }
}
