//! What recoveries do to each other and to the living, and what they cost.

use super::super::handle::is_long_ago;
use super::super::recovery::recover;
use super::super::slot_word::{Lap, Owner, Phase, Word};
use super::super::table::{self, leave};
use super::{Access, DEAD, Memory, life};
use crate::liveness::OwnerId;
use crate::ring::protocol::role::{PeerState, Role};
use std::cell::Cell;

/// A recoverer stands still before the compare-and-swap that takes an item from a dead reader, the second one that
/// died of it. Meanwhile another does the work, and a living consumer takes the same entry and the same item. Says
/// whether the late one leaves it alone.
fn leaves_the_living_alone(forgets: bool) -> bool {
    let memory = Memory::with(1, 2, 0, forgets);
    memory.push(1);
    assert!(memory.enter(Role::Consumer, DEAD).claim(1).is_ok());
    assert_eq!(memory.recover().redelivered, 1);
    assert!(memory.enter(Role::Consumer, DEAD + 1).claim(1).is_ok());
    memory.meanwhile(Access::Swap(memory.g().word_at(0)), |memory| {
        assert_eq!(memory.recover().redelivered, 1);
        let mut living = memory.enter(Role::Consumer, 2);
        assert_eq!(
            (living.owner, living.claim(1).is_ok()),
            (Owner::new(0), true)
        );
    });
    let late = memory.recover();
    assert!(memory.has_happened());
    late.is_nothing() && memory.phase(0) == Some(Phase::Rereading)
}

#[test]
fn a_late_recoverer_leaves_the_living_alone() {
    assert!(leaves_the_living_alone(false));
    // It is the count that does it: without, two readers have the item.
    assert!(!leaves_the_living_alone(true));
}

/// The same of a producer's and a reader's first claim, in a lap that others have finished meanwhile.
#[test]
fn a_late_recoverer_does_not_find_the_words_of_another_lap() {
    let memory = Memory::new(2, 2);
    assert!(memory.enter(Role::Producer, DEAD).claim(2).is_ok());
    memory.meanwhile(Access::Swap(memory.g().word_at(0)), |memory| {
        assert_eq!(memory.recover().skipped, 1, "the other slot is done");
        let mut living = memory.enter(Role::Producer, 1);
        assert_eq!(living.claim(2).map(|run| run.len), Ok(2));
        assert_eq!(living.owner, Owner::new(0));
    });
    assert_eq!(memory.recover().participants, 0);
    assert!(memory.has_happened());
    assert_eq!(memory.phase(0), Some(Phase::Writing));
}

/// A living reader may give an item back as often as it likes: the count is of deaths.
#[test]
fn only_deaths_are_counted() {
    let memory = Memory::new(1, 2);
    memory.push(1);
    let mut living = memory.enter(Role::Consumer, 1);
    for _ in 0..3 {
        let run = living.claim(1).unwrap();
        assert_eq!(run.deaths, 0);
        living.give_back(run);
    }
    for deaths in 1..=3 {
        assert!(memory.enter(Role::Consumer, DEAD).claim(1).is_ok());
        assert_eq!(memory.recover().redelivered, 1);
        let run = living.claim(1).unwrap();
        assert_eq!(run.deaths, deaths);
        living.give_back(run);
    }
    assert_eq!(living.pop(), Some(0));
}

/// Any number of dead cost one pass through the slots, and a question for each process.
#[test]
fn all_the_dead_cost_one_sweep_and_one_question_each() {
    const SLOTS: u64 = 4096;
    for (processes, handles) in [(1, 1), (1, 100), (100, 1), (50, 2)] {
        let memory = Memory::new(SLOTS, 128);
        memory.push(SLOTS as u32);
        for process in 0..processes {
            for _ in 0..handles {
                let mut consumer = memory.enter(Role::Consumer, DEAD + process);
                assert_eq!(consumer.claim(3).map(|run| run.len), Ok(3));
            }
        }
        let questions = Cell::new(0);
        let (looks, found) = memory.looks(|| {
            recover(memory, memory.g(), |claim| {
                questions.set(questions.get() + 1);
                life(claim)
            })
        });
        let all = (processes * handles) as usize;
        assert_eq!((found.participants, found.redelivered), (all, 3 * all));
        assert_eq!(questions.get(), processes);
        // Each slot once, and those of a run but its first once more.
        assert_eq!(looks, SLOTS + 2 * all as u64);
    }
}

/// Runs inside runs, as nobody makes them, do not cost more than two passes.
#[test]
fn a_sweep_of_nonsense_is_bounded() {
    const SLOTS: u32 = 4096;
    for phase in [Word::writing, Word::reading, Word::drained] {
        let memory = Memory::new(SLOTS.into(), 2);
        let dead = memory.enter(Role::Consumer, DEAD);
        for slot in 0..SLOTS {
            memory.set_word(slot, phase(Lap::new(0), dead.owner, SLOTS - slot));
        }
        let (looks, _) = memory.looks(|| memory.recover());
        assert!(looks <= 2 * u64::from(SLOTS), "{looks}");
    }
}

/// A newcomer takes a low entry after the scan has passed it, and the one before it leaves a high entry before the
/// scan comes there: there was one at every moment.
#[test]
fn a_scan_of_the_table_misses_no_newcomer() {
    let change = |memory: Memory| {
        let claim_of_second = memory.g().entry_at(1);
        memory.meanwhile(Access::Load(claim_of_second), |memory| {
            let newcomer = memory.enter(Role::Producer, 2);
            assert_eq!(newcomer.owner, Owner::new(0));
            let before = OwnerId::from_word(1).unwrap();
            leave(memory, memory.g(), Owner::new(1), before);
        });
    };
    let prepare = || {
        let memory = Memory::new(4, 3);
        let low = memory.enter(Role::Producer, 3);
        assert_eq!(memory.enter(Role::Producer, 1).owner, Owner::new(1));
        low.leave();
        memory
    };
    let memory = prepare();
    change(memory);
    assert_eq!(
        table::state(memory, memory.g(), Role::Producer, life),
        PeerState::Alive
    );
    assert!(memory.has_happened());
    let memory = prepare();
    change(memory);
    assert!(!table::is_abandoned_by(
        memory,
        memory.g(),
        Role::Producer,
        life
    ));
    assert!(memory.has_happened());
    // And when they are gone they are gone.
    leave(
        memory,
        memory.g(),
        Owner::new(0),
        OwnerId::from_word(2).unwrap(),
    );
    assert!(table::is_abandoned_by(
        memory,
        memory.g(),
        Role::Producer,
        life
    ));
    assert_eq!(
        table::state(memory, memory.g(), Role::Producer, life),
        PeerState::Left
    );
    assert_eq!(
        table::state(memory, memory.g(), Role::Consumer, life),
        PeerState::Never
    );
}

/// What a dead holder said of itself is not taken for the next one's, and a late recoverer does not clear what that
/// one said.
#[test]
fn the_dead_are_not_taken_for_the_next() {
    let memory = Memory::new(4, 1);
    memory.enter(Role::Consumer, DEAD);
    memory.recover();
    // The next one between its claim and what it says of itself.
    let generation = memory.g().entry_at(0) + 8;
    memory.meanwhile(Access::Load(generation), |memory| {
        let entry = table::entry(memory, memory.g(), 0).unwrap();
        assert_eq!((entry.role, entry.pid), (None, 0));
    });
    memory.enter(Role::Producer, DEAD);
    assert!(memory.has_happened());
    // A recoverer that is late with clearing; the next is of the same process and role.
    memory.meanwhile(Access::Swap(memory.g().entry_at(0) + 16), |memory| {
        assert_eq!(memory.recover().participants, 1);
        memory.enter(Role::Producer, 1);
    });
    assert_eq!(memory.recover().participants, 0);
    assert!(memory.has_happened());
    let entry = table::entry(memory, memory.g(), 0).unwrap();
    assert_eq!((entry.role, entry.pid), (Some(Role::Producer), 77));
}

#[test]
fn handles_ask_in_turns() {
    assert!(is_long_ago(0, 1_000_000));
    assert!(is_long_ago(1_000_000, 1_000_010) && !is_long_ago(1_000_000, 1_000_009));
    assert!(!is_long_ago(1_000_000, 1_000_000));
    // The clock was set back.
    assert!(is_long_ago(1_000_001, 1_000_000));
}
