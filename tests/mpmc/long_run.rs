//! Many items through a small buffer, laps going round in the middle.

use crate::support::{alone, budget, ring_with};
use std::thread;
use std::time::Instant;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Options, PopError};

const CAPACITY: u64 = 64;
const PRODUCERS: u64 = 2;
/// Bits of an item that say which of its producer's it is.
const NUMBER_BITS: u32 = 40;

/// Outside CI: `SYSVSHM_LONG_RUN=100000000`. Two who push and two who pop, single items: nothing is lost, nothing
/// comes twice, and each consumer sees the items of each producer in order.
#[test]
fn long_run() {
    let each = budget("SYSVSHM_LONG_RUN", 100_000) / PRODUCERS;
    // Laps wrap half way.
    let laps_before = each * PRODUCERS / CAPACITY / 2;
    let mut options = Options::new();
    options
        .capacity(CAPACITY as usize)
        .participants(4)
        .start_lap((1_u64 << 33) - laps_before);
    let ring: BoundedBuffer<u64> = ring_with(&options);
    let _alone = alone();
    let started = Instant::now();
    let mut taken: Vec<[u64; PRODUCERS as usize]> = Vec::new();
    thread::scope(|scope| {
        for name in 0..PRODUCERS {
            let mut producer = ring.producer().unwrap();
            scope.spawn(move || {
                for number in 0..each {
                    producer.push(name << NUMBER_BITS | number).unwrap();
                }
            });
        }
        let consumers = [(); 2].map(|()| {
            let mut consumer = ring.consumer().unwrap();
            scope.spawn(move || {
                let mut counts = [0; PRODUCERS as usize];
                let mut sums = [0_u128; PRODUCERS as usize];
                let mut next = [0; PRODUCERS as usize];
                consumer.notice_departure(true);
                loop {
                    match consumer.pop() {
                        Ok(item) => {
                            let (name, number) =
                                ((item >> NUMBER_BITS) as usize, item % (1 << NUMBER_BITS));
                            assert!(number >= next[name], "{number} behind {}", next[name]);
                            next[name] = number + 1;
                            counts[name] += 1;
                            sums[name] += u128::from(number);
                        }
                        Err(PopError::PeerLeft) => return (counts, sums),
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        });
        let mut sums = [0; PRODUCERS as usize];
        for consumer in consumers {
            let (counts, its_sums) = consumer.join().unwrap();
            taken.push(counts);
            for name in 0..PRODUCERS as usize {
                sums[name] += its_sums[name];
            }
        }
        // In order at each consumer, so many, and with this sum.
        let sum = u128::from(each) * u128::from(each - 1) / 2;
        assert_eq!(sums, [sum; PRODUCERS as usize]);
    });
    for name in 0..PRODUCERS as usize {
        let count: u64 = taken.iter().map(|counts| counts[name]).sum();
        assert_eq!(count, each, "of producer {name}");
    }
    assert!(ring.is_empty());
    println!(
        "{} items accounted for in {:.1} s; taken by each consumer from each producer: {taken:?}",
        each * PRODUCERS,
        started.elapsed().as_secs_f64()
    );
}
