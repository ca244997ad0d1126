//! What happens after 2^64 items: a ring goes on if its capacity is a power of two, and ends cleanly if not.
//!
//! No test can wait 585 years, so rings are created to start right before.

use crate::support::{LAYOUTS, Random, ring_with, seed};
use std::collections::VecDeque;
use std::thread;
use std::time::Duration;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options, PopError, PushError};

fn ring_before_the_end(capacity: usize, layout: Layout, before: u64) -> BoundedBuffer<u64> {
    let mut options = Options::new();
    options
        .capacity(capacity)
        .layout(layout)
        .start_position(u64::MAX - before);
    ring_with(&options)
}

/// From how many positions before 2^64 - 1 the rings start.
fn distances(capacity: usize) -> [u64; 7] {
    let capacity = capacity as u64;
    [
        0,
        1,
        2,
        capacity - 1,
        capacity,
        capacity + 1,
        5 * capacity + 3,
    ]
}

/// Every call, in random order, with successors in between, against a queue of the standard library.
#[test]
fn every_item_arrives_up_to_the_last_position_and_none_goes_beyond() {
    let mut random = Random::new(seed());
    for layout in LAYOUTS {
        for capacity in [1, 2, 3, 8, 10, 1000, 1024] {
            for before in distances(capacity) {
                cross(&mut random, capacity, layout, before);
            }
        }
    }
}

fn cross(random: &mut Random, capacity: usize, layout: Layout, before: u64) {
    let what = format!("{layout:?} of {capacity}, {before} before the end");
    let ring = ring_before_the_end(capacity, layout, before);
    // How many items it takes in all.
    let most = if capacity.is_power_of_two() {
        u64::MAX
    } else {
        before
    };
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut model = VecDeque::new();
    let (mut pushed, mut refused) = (0_u64, 0);
    while pushed < before + 3 * capacity as u64 && refused < 40 {
        let room = (capacity - model.len()).min((most - pushed).min(2000) as usize);
        // A full buffer says so, also at the end.
        let refusal = if model.len() == capacity {
            PushError::Full(())
        } else {
            PushError::Corrupted(())
        };
        let many = 1 + random.below(capacity as u64 + 3) as usize;
        let run: Vec<u64> = (pushed..pushed + many as u64).collect();
        let result = match random.below(8) {
            0 => producer.try_push(pushed).map(|()| 1).map_err(unit),
            1 => producer.try_push_slice(&run),
            2 => producer.try_reserve(many).map(|mut space| {
                let len = space.len();
                assert!(len <= room, "{what}");
                space.write_from(0, &run[..len]);
                space.commit(len).unwrap();
                len
            }),
            3 if model.len() < capacity => {
                let patience = Duration::from_millis(1);
                producer
                    .push_timeout(pushed, patience)
                    .map(|()| 1)
                    .map_err(unit)
            }
            4 => {
                let mut got = vec![0; many];
                let count = consumer.try_pop_slice(&mut got).unwrap_or(0);
                assert_eq!(count, many.min(model.len()), "{what}");
                assert!(
                    model.drain(..count).eq(got[..count].iter().copied()),
                    "{what}"
                );
                continue;
            }
            5 => {
                let count = match consumer.try_peek(many) {
                    Ok(items) => {
                        let count = items.len();
                        assert!((0..count).all(|at| items.get(at) == model[at]), "{what}");
                        items.release(count).unwrap();
                        count
                    }
                    Err(error) => {
                        assert_eq!((error, model.len()), (PopError::Empty, 0), "{what}");
                        0
                    }
                };
                model.drain(..count);
                continue;
            }
            6 => {
                assert_eq!(consumer.try_pop().ok(), model.pop_front(), "{what}");
                continue;
            }
            _ => {
                drop(producer);
                drop(consumer);
                (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
                let lens = (ring.len(), producer.len(), consumer.len());
                assert_eq!(lens, (model.len(), model.len(), model.len()), "{what}");
                continue;
            }
        };
        match result {
            Ok(count) => {
                assert!((1..=room).contains(&count), "{what}: {count} of {room}");
                model.extend(pushed..pushed + count as u64);
                pushed += count as u64;
            }
            Err(error) => {
                assert_eq!((error, room), (refusal, 0), "{what}");
                refused += u64::from(pushed == most);
            }
        }
    }
    assert_eq!(pushed == before, !capacity.is_power_of_two(), "{what}");
    assert!(consumer.try_iter().eq(model), "{what}");
    assert_eq!(consumer.try_pop(), Err(PopError::Empty), "{what}");
    assert_eq!(
        consumer.position(),
        (u64::MAX - before).wrapping_add(pushed)
    );
}

/// The reason without the item.
fn unit(error: PushError<u64>) -> PushError<()> {
    match error {
        PushError::Full(_) => PushError::Full(()),
        PushError::Corrupted(_) => PushError::Corrupted(()),
        other => panic!("{other}"),
    }
}

/// Between threads that sleep: the producer is told, and the consumer gets what there is.
#[test]
fn nobody_waits_at_the_end() {
    for layout in LAYOUTS {
        for capacity in [3, 10, 1000] {
            let before = 20 * capacity as u64 + 1;
            let ring = ring_before_the_end(capacity, layout, before);
            let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
            let consuming = thread::spawn(move || {
                let mut items = consumer.notice_departure(true).iter();
                let in_order = (0..before).all(|item| items.next() == Some(item));
                (in_order, items.next(), items.why_it_ended())
            });
            for item in 0..before {
                producer.push(item).unwrap();
            }
            assert_eq!(producer.push(before), Err(PushError::Corrupted(before)));
            assert_eq!(
                producer.push_slice(&[before, 0]),
                Err(PushError::Corrupted(0))
            );
            assert!(producer.reserve(1).is_err());
            drop(producer);
            let end = (true, None, Some(PopError::PeerLeft));
            assert_eq!(consuming.join().unwrap(), end);
        }
    }
}
