//! Counts, long walks, long absences, long runs.

use super::super::claim::{Budget, TryError, count, load, publish};
use super::super::layout::{CONSUMERS_HINT, PRODUCERS_HINT};
use super::super::redelivery::{Where, announce};
use super::super::slot_word::{Lap, MAX_RUN, Word};
use super::{Access, Memory};
use crate::ring::protocol::role::Role;

/// Three or four of eight slots hold an item all the time, but one pass through the slots finds none, or all full.
#[test]
fn a_count_is_of_one_moment() {
    let last = |memory: Memory| Access::Load(memory.g().word_at(5));
    let memory = Memory::new(8, 3);
    memory.push(8);
    let mut consumer = memory.enter(Role::Consumer, 1);
    (0..5).for_each(|slot| assert_eq!(consumer.pop(), Some(slot)));
    memory.meanwhile(last(memory), |memory| {
        let mut consumer = memory.enter(Role::Consumer, 2);
        for _ in 0..3 {
            memory.push(1);
            assert!(consumer.pop().is_some());
        }
        consumer.leave();
    });
    assert_eq!(count(memory, memory.g()), 3);
    assert!(memory.has_happened());

    // Slots 0 to 4 hold items, then 5 to 7 instead.
    let memory = Memory::new(8, 3);
    memory.push(5);
    memory.meanwhile(last(memory), |memory| {
        let mut consumer = memory.enter(Role::Consumer, 2);
        for _ in 0..3 {
            assert!(consumer.pop().is_some());
            memory.push(1);
        }
        consumer.leave();
    });
    assert_eq!(count(memory, memory.g()), 5);
    assert!(memory.has_happened());
}

/// Words that lead in circles: a look between two looks at the clock has an end soon, and the next one goes on.
#[test]
fn looks_between_clocks_are_short_and_go_on() {
    const SLOTS: u32 = 3 << 16;
    let memory = Memory::new(SLOTS.into(), 2);
    // All but the last few have been claimed by others, and no hint tells.
    for slot in 0..SLOTS {
        let lap = Lap::new(0);
        memory.set_word(
            slot,
            if slot < SLOTS - 3 {
                Word::full(lap)
            } else {
                Word::empty(lap)
            },
        );
    }
    let mut producer = memory.enter(Role::Producer, 1);
    let mut looks_in_all = 0;
    let run = loop {
        let budget = Budget::between_clocks();
        let (looks, run) = memory.looks(|| producer.claim_within(1, budget));
        assert!(looks <= 1 << 14, "{looks}");
        looks_in_all += looks;
        if let Ok(run) = run {
            break run;
        }
    };
    assert_eq!(run.slot, SLOTS - 3);
    assert!(looks_in_all > u64::from(SLOTS) - 3 && looks_in_all < u64::from(SLOTS) + 64);

    // No hint leads out of there.
    for hint in [PRODUCERS_HINT, CONSUMERS_HINT] {
        memory.0.words.borrow_mut()[hint / 8] = u64::MAX;
    }
    let third = (1 << 33) / 3;
    for slot in 0..SLOTS {
        memory.set_word(slot, Word::empty(Lap::new(u64::from(slot) % 3 * third)));
    }
    let mut consumer = memory.enter(Role::Consumer, 1);
    let budget = Budget::between_clocks();
    let (looks, run) = memory.looks(|| consumer.claim_within(1, budget));
    assert_eq!((looks, run), (1 << 14, Err(TryError::WouldBlock)));
    let (looks, run) = memory.looks(|| consumer.claim(1));
    assert_eq!(
        (looks, run),
        (u64::from(SLOTS) * 4 + 64, Err(TryError::WouldBlock))
    );
    // A search for redelivered items as well.
    announce(memory, Where::Anywhere);
    let (looks, _) = memory.looks(|| consumer.claim_within(1, budget));
    assert_eq!(looks, 2 << 14);
}

/// A handle that was idle for 2^30 laps, and for as many as can be told, finds its way.
#[test]
fn a_handle_that_was_idle_for_long_finds_its_way() {
    for laps in [
        1,
        1 << 29,
        1 << 30,
        3 << 30,
        (1 << 32) - 1,
        1 << 32,
        1 << 32 | 1,
    ] {
        let memory = Memory::new(2, 4);
        let mut producer = memory.enter(Role::Producer, 1);
        let mut consumer = memory.enter(Role::Consumer, 2);
        let run = producer.claim(1).unwrap();
        publish(memory, memory.g(), run, 1);
        assert_eq!(consumer.pop(), Some(0));
        // Others go on, to the same lap as far as 30 bits tell.
        let lap = Lap::new(laps);
        (0..2).for_each(|slot| memory.set_word(slot, Word::empty(lap)));
        let hint = laps << 31;
        memory.0.words.borrow_mut()[PRODUCERS_HINT / 8] = hint;
        let run = producer.claim(1).unwrap();
        assert_eq!((run.slot, run.lap), (0, lap), "{laps}");
        publish(memory, memory.g(), run, 1);
        assert_eq!(consumer.pop(), Some(0), "{laps}");
    }
}

/// Long runs: what the word can hold, and no more.
#[test]
fn the_longest_run_fills_its_field() {
    let memory = Memory::new(1 << 20, 2);
    let run = memory.enter(Role::Producer, 1).claim(u32::MAX).unwrap();
    assert_eq!(run.len, MAX_RUN as u32);
    assert_eq!(load(memory, memory.g(), 0).run(), MAX_RUN as u32);
}
