//! SIGKILL at random moments, both sides, at full speed, while they start, take over, push, pop and sleep.
//!
//! Item number p says p and carries a checksum. As each side goes on at the exact position of its predecessor, any
//! item lost, doubled, torn or out of order shows as a wrong number.

use crate::support::{LAYOUTS, Peer, Random, alone, attach, budget, id, ring, seed};
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Consumer, PopError, Producer, PushError};
use sysvshm::bounded_buffer::{ClaimError, PeerState};

type Item = [u64; 5];

fn item(number: u64) -> Item {
    let mut random = Random::new(number);
    let (a, b, c) = (random.next(), random.next(), random.next());
    [number, a, b, c, number ^ a ^ b ^ c]
}

/// Numbers: the ring, 0 to produce or 1 to consume, a seed.
pub(crate) fn peer(numbers: &[u64]) {
    let ring: BoundedBuffer<Item> = attach(numbers[0]);
    let mut random = Random::new(numbers[2]);
    if numbers[1] == 0 {
        let producer = patiently(|| ring.producer());
        produce(producer, &mut random);
    } else {
        let consumer = patiently(|| ring.consumer());
        consume(consumer, &mut random);
    }
}

/// The predecessor was waited for, so its memory is gone unless somebody was just looking at it through /proc.
fn patiently<R>(claim: impl Fn() -> Result<R, ClaimError>) -> R {
    let started = Instant::now();
    loop {
        match claim() {
            Ok(role) => return role,
            Err(error) => assert!(started.elapsed() < Duration::from_secs(10), "{error}"),
        }
        thread::sleep(Duration::from_micros(100));
    }
}

fn produce(mut producer: Producer<Item>, random: &mut Random) -> ! {
    loop {
        let next = producer.position();
        let run: Vec<Item> = (next..next + 1 + random.below(7)).map(item).collect();
        let result = match random.below(3) {
            0 => producer
                .push(run[0])
                .map_err(|error| matches!(error, PushError::PeerDead(_))),
            1 => producer
                .push_slice(&run)
                .map_err(|error| matches!(error, PushError::PeerDead(_))),
            _ => match producer.reserve(run.len()) {
                Ok(mut space) => {
                    let count = space.len();
                    space.write_from(0, &run[..count]);
                    space.commit(count - random.below(2) as usize).unwrap();
                    Ok(())
                }
                Err(error) => Err(matches!(error, PushError::PeerDead(()))),
            },
        };
        // A dead consumer will be replaced; a push that waited for it is simply tried again.
        match result {
            Ok(()) => {}
            Err(true) => thread::yield_now(),
            Err(false) => panic!("a push failed"),
        }
    }
}

fn consume(mut consumer: Consumer<Item>, random: &mut Random) -> ! {
    loop {
        let position = consumer.position();
        let mut got = [[0; 5]; 7];
        let wanted = 1 + random.below(7) as usize;
        let result = match random.below(3) {
            0 => consumer.pop().map(|item| {
                got[0] = item;
                1
            }),
            1 => consumer.pop_slice(&mut got[..wanted]),
            _ => consumer.peek(wanted).map(|items| {
                let count = items.len();
                items.read_into(0, &mut got[..count]);
                items.release(count).unwrap();
                count
            }),
        };
        match result {
            Ok(count) => {
                for (offset, &found) in got[..count].iter().enumerate() {
                    let expected = item(position + offset as u64);
                    assert!(
                        found == expected,
                        "at {}: {found:x?} instead of {expected:x?}",
                        position + offset as u64
                    );
                }
            }
            Err(PopError::PeerDead) => thread::yield_now(),
            Err(error) => panic!("a pop failed: {error}"),
        }
    }
}

#[test]
fn storm_of_kills() {
    let _alone = alone();
    let kills = budget("SYSVSHM_KILLS", 120);
    let mut random = Random::new(seed());
    let rings: Vec<(usize, _)> = [1, 5, 64]
        .into_iter()
        .flat_map(|capacity| LAYOUTS.map(|layout| (capacity, layout)))
        .collect();
    let (mut items, mut dead_seen) = (0, 0);
    for (index, &(capacity, layout)) in rings.iter().enumerate() {
        let ring = ring::<Item>(capacity, layout);
        let mut start = |role| Peer::start("storm", &[id(&ring), role, random.next() >> 1]);
        let mut peers = [start(0), start(1)];
        let share =
            kills / rings.len() as u64 + u64::from((index as u64) < kills % rings.len() as u64);
        let mut schedule = Random::new(seed() + index as u64);
        for _ in 0..share {
            thread::sleep(Duration::from_micros(schedule.below(12_000)));
            let victim = schedule.below(2) as usize;
            if let Some(status) = peers[victim].child.try_wait().unwrap() {
                panic!("seed {}: a peer ended by itself: {status}", seed());
            }
            peers[victim].kill();
            let state = if victim == 0 {
                ring.producer_state()
            } else {
                ring.consumer_state()
            };
            dead_seen += u64::from(state == PeerState::Dead);
            peers[victim] = start(victim as u64);
        }
        // After the last kill they still get on with each other.
        let observed = || ring.segment().reference::<u64>(256).unwrap().load();
        let before = observed();
        let started = Instant::now();
        while observed() < before + 1000 {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "seed {}: {layout:?} of {capacity} stands still",
                seed()
            );
            for peer in &mut peers {
                assert!(
                    peer.child.try_wait().unwrap().is_none(),
                    "a peer ended by itself"
                );
            }
            thread::sleep(Duration::from_millis(1));
        }
        items += observed();
    }
    println!(
        "seed {}: {kills} kills, {dead_seen} of them while holding the role, {items} items in order and whole",
        seed()
    );
    assert!(dead_seen > 0);
}
