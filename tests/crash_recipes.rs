//! The recipe that the guide's chapter on crashes gives for values outside the rings: a writer is killed at random
//! moments, and nobody ever sees half a value, is held up, or has to repair anything.

mod common;
#[allow(unreachable_pub)] // It is also the text of the documentation.
#[path = "recipes/two_copies.rs"]
mod recipe;

use common::{Owned, peer};
use recipe::TwoCopies;
use std::time::{Duration, Instant};
use sysvshm::{ReadOnly, Segment, SegmentId};

/// Long enough that some kills fall into the middle of a copy.
const WORDS: usize = 512;
type Value = [u64; WORDS];
const COPY: usize = size_of::<Value>();
const SIZE: usize = 64 + 2 * COPY;

fn reading(segment: &Segment<ReadOnly>) -> TwoCopies<'_, Value, ReadOnly> {
    TwoCopies {
        version: segment.reference(0).unwrap(),
        copies: [64, 64 + COPY].map(|at| segment.reference(at).unwrap()),
    }
}

fn writing(segment: &Segment) -> TwoCopies<'_, Value> {
    TwoCopies {
        version: segment.reference(0).unwrap(),
        copies: [64, 64 + COPY].map(|at| segment.reference(at).unwrap()),
    }
}

/// The number that all words of a whole value are.
fn whole(value: &Value) -> Option<u64> {
    value
        .iter()
        .all(|word| *word == value[0])
        .then_some(value[0])
}

#[test]
fn a_writer_killed_anywhere_leaves_the_old_value_or_the_new_one() {
    const KILLS: u64 = 100;
    // One kill in some twenty falls into the middle of a copy, and only those show anything.
    const IN_THE_MIDDLE: u64 = 3;
    let writer = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        let value = writing(&segment);
        // Goes on where the one before it was killed.
        let mut number = value.read(1).unwrap().0;
        talk.say("at work");
        loop {
            number += 1;
            value.write([number; WORDS]);
        }
    });
    let owned = Owned::new(SIZE, 0o600);
    let segment = owned.id().attach_read_only().unwrap();
    let value = reading(&segment);
    let (mut writes, mut meanwhile, mut halves, mut kill) = (0, 0, 0, 0);
    while kill < KILLS || halves < IN_THE_MIDDLE {
        assert!(
            kill < 20 * KILLS,
            "{halves} of {kill} kills in the middle of a copy"
        );
        kill += 1;
        let mut running = writer.clone().arg(owned.raw()).start();
        assert_eq!(running.hear(), "at work");
        let stop = Instant::now() + Duration::from_micros(kill * 37 % 2000);
        while Instant::now() < stop {
            if let Some((version, now)) = value.read(8) {
                assert_eq!(
                    whole(&now),
                    Some(version),
                    "half a value, from a live writer"
                );
                meanwhile += 1;
            }
        }
        running.kill();
        // At once: nobody writes.
        let (version, now) = value.read(1).unwrap();
        assert_eq!(
            whole(&now),
            Some(version),
            "half a value, after kill {kill}"
        );
        assert!(version >= writes, "back from {writes} to {version}");
        writes = version;
        let other = value.copies[(version & 1 ^ 1) as usize].load();
        halves += u64::from(whole(&other).is_none());
    }
    println!(
        "{kill} kills, {halves} in the middle of a copy; {writes} writes, {meanwhile} read meanwhile"
    );
    // Otherwise nothing was shown.
    assert!(meanwhile > 0 && writes > KILLS);
}
