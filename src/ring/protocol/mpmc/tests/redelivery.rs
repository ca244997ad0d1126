//! How redelivered items are found, and what that costs.

use super::super::claim::{Run, requeue};
use super::super::layout::EPOCH;
use super::super::redelivery::{Where, announce, epoch};
use super::super::slot_word::{Lap, Word};
use super::super::table::{self, set_giving};
use super::{Access, DEAD, Memory};
use crate::ring::protocol::role::Role;

/// A consumer that dies with an item delays it by nothing: the next pop of anyone gets it, before all others, and
/// looks at its slot and no other.
#[test]
fn a_redelivered_item_comes_first() {
    const SLOTS: u32 = 1000;
    let memory = Memory::new(SLOTS.into(), 4);
    memory.push(900);
    let mut living = memory.enter(Role::Consumer, 1);
    assert_eq!(living.pop(), Some(0));
    assert!(memory.enter(Role::Consumer, DEAD).claim(1).is_ok());
    assert_eq!(living.pop(), Some(2));
    memory.recover();
    let (looks, popped) = memory.looks(|| living.pop());
    assert_eq!((looks, popped), (1, Some(1)));
    assert_eq!(living.pop(), Some(3));
    // No slot is left behind that a producer would find full.
    memory.push(SLOTS - 900 + 4);
    // A newcomer finds it as well.
    let taken = memory.enter(Role::Consumer, DEAD).claim(1).unwrap();
    memory.recover();
    let mut newcomer = memory.enter(Role::Consumer, 2);
    assert_eq!(newcomer.pop(), Some(taken.slot));
}

/// A thousand items in a ring of a million slots cost as many looks as there are slots and items, where it is known
/// where they are and where it is not.
#[test]
fn redelivery_costs_slots_and_items() {
    const SLOTS: u32 = 1 << 20;
    const ITEMS: u32 = 1000;
    for is_known in [true, false] {
        let memory = Memory::new(SLOTS.into(), 4);
        memory.push(SLOTS);
        let mut living = memory.enter(Role::Consumer, 1);
        let mut dead = memory.enter(Role::Consumer, DEAD);
        assert_eq!(dead.claim(ITEMS).map(|run| run.len), Ok(ITEMS));
        if !is_known {
            // It died when it was giving something back.
            set_giving(memory, memory.g(), dead.owner, true);
        }
        let (looks, found) = memory.looks(|| memory.recover());
        assert_eq!(
            (looks, found.redelivered),
            ((SLOTS + ITEMS - 1).into(), ITEMS as usize)
        );
        let (looks, ()) = memory.looks(|| {
            for slot in 0..ITEMS {
                assert_eq!(living.pop(), Some(slot));
            }
        });
        assert_eq!(looks, ITEMS.into());
        // The rest of the search, then the next item, a thousand slots on.
        let (looks, popped) = memory.looks(|| living.pop());
        assert_eq!(popped, Some(ITEMS));
        let rest = if is_known { 0 } else { SLOTS - ITEMS };
        assert!(
            (rest..rest + 64 + ITEMS).contains(&(looks as u32)),
            "{looks}"
        );
        let (looks, popped) = memory.looks(|| living.pop());
        assert_eq!((looks, popped), (1, Some(ITEMS + 1)));
    }
}

/// Items that are given back all the time cost the others a look at those, not at all slots.
#[test]
fn what_is_given_back_costs_others_no_scan() {
    let memory = Memory::new(1 << 16, 4);
    memory.push(1 << 16);
    let mut gives = memory.enter(Role::Consumer, 1);
    let mut other = memory.enter(Role::Consumer, 2);
    let (looks, ()) = memory.looks(|| {
        for _ in 0..1000 {
            let run = gives.claim(8).unwrap();
            gives.give_back(run);
            assert!(other.pop().is_some());
        }
    });
    assert!(looks < 1000 * 64, "{looks}");
}

/// More is given back than the log keeps, to consumers that come before and after: nothing is forgotten.
#[test]
fn what_the_log_does_not_keep_is_found() {
    for given in [1, 62, 63, 64, 65, 128, 200] {
        let memory = Memory::new(256, 4);
        memory.push(256);
        let mut early = memory.enter(Role::Consumer, 1);
        let gives = &mut memory.enter(Role::Consumer, 2);
        let runs: Vec<Run> = (0..given).map(|_| gives.claim(1).unwrap()).collect();
        runs.iter().for_each(|&run| gives.give_back(run));
        let mut late = memory.enter(Role::Consumer, 3);
        for consumer in [&mut early, &mut late] {
            // What the log does not keep, a newcomer looks for when it finds nothing else.
            let run = consumer.claim(1).unwrap();
            assert!(run.slot < 200, "{given}");
            consumer.give_back(run);
        }
        let mut slots: Vec<u32> = std::iter::from_fn(|| early.pop()).collect();
        slots.sort_unstable();
        assert_eq!(slots.len(), 256, "{given}");
        slots.dedup();
        assert_eq!(slots.len(), 256, "{given}");
    }
}

/// A recoverer that is killed before it could say where, and one that gave items back: the next one says "anywhere".
#[test]
fn items_of_which_nothing_was_said_are_found() {
    let memory = Memory::new(64, 4);
    memory.push(64);
    let mut living = memory.enter(Role::Consumer, 1);
    assert!(memory.enter(Role::Consumer, DEAD).claim(3).is_ok());
    // Two recoveries: the second does the work before the first has begun with the slots, and is killed before it
    // can tell.
    memory.meanwhile(Access::Load(memory.g().word_at(0)), |memory| {
        table::begin_recovery(memory, memory.g(), 1);
        (0..3).for_each(|slot| memory.set_word(slot, Word::redeliver(Lap::new(0), 1)));
    });
    assert_eq!(memory.recover().redelivered, 0);
    assert!(memory.has_happened());
    assert_eq!(
        [living.pop(), living.pop(), living.pop()],
        [Some(0), Some(1), Some(2)]
    );
    // Killed between giving back and saying so.
    let mut gives = memory.enter(Role::Consumer, DEAD);
    let run = gives.claim(2).unwrap();
    set_giving(memory, memory.g(), gives.owner, true);
    requeue(memory, memory.g(), run, 0);
    assert_eq!(memory.recover().redelivered, 0);
    assert_eq!([living.pop(), living.pop()], [Some(3), Some(4)]);
}

/// A note whose writer is killed before it has counted it, and one that is late, hold up nobody.
#[test]
fn notes_are_finished_by_others() {
    let memory = Memory::new(64, 4);
    let note = |slot| {
        announce(
            memory,
            Where::Slots {
                first: slot,
                len: 1,
            },
        );
    };
    memory.meanwhile(Access::Swap(EPOCH), |memory| {
        // The first note stands there and is not counted.
        assert_eq!(epoch(memory), 0);
        announce(memory, Where::Slots { first: 2, len: 1 });
        assert_eq!(epoch(memory), 2);
    });
    note(1);
    assert_eq!((memory.has_happened(), epoch(memory)), (true, 2));
    memory.push(3);
    let mut dead = memory.enter(Role::Consumer, DEAD);
    let runs = [(); 3].map(|()| dead.claim(1).unwrap());
    runs.iter()
        .for_each(|&run| requeue(memory, memory.g(), run, 0));
    let mut consumer = memory.enter(Role::Consumer, 1);
    assert_eq!([consumer.pop(), consumer.pop()], [Some(1), Some(2)]);
}
