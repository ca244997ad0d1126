//! SIGKILL at random moments to producers, consumers and whoever is recovering, at full speed, with 2 to 8
//! processes.
//!
//! What a process did after a pop took effect dies with it, so the account is kept in shared memory, by what the
//! test can check afterwards:
//!
//! * Each producer pushes numbers of its own, in order, each with a checksum. Before a push it notes which number
//!   that is; a successor of the same name begins behind the last number noted. So at most one batch per kill is in
//!   doubt: pushed or never pushed.
//! * Consumers work in place: they count each item in a table (one byte for each number of each producer) and
//!   release it afterwards. So an item is counted at least once, and more than once only if its reader was killed
//!   between the two.
//!
//! In the end every number that was noted must have been counted, except at most those in doubt; every number
//! counted twice is paid for by a kill.

use crate::common::{Running, peer};
use crate::support::{LAYOUTS, Random, alone, attach, budget, id, ring_with, seed};
use crate::tokens::remove_token_of;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Options, PopError};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions};

/// A producer's name, the number, and two checksums.
type Item = [u64; 4];

const NAMES: usize = 4;
/// Numbers a producer has: more than it gets to.
const NUMBERS: usize = 4_000_000;
const LONGEST: u64 = 6;

fn item(name: u64, number: u64) -> Item {
    let mut random = Random::new(name << 32 | number);
    [name, number, random.next(), random.next()]
}

/// The account: one word for each producer (numbers noted), one that says "stop", then a byte for each number of
/// each producer.
fn account() -> Segment {
    let segment = SegmentOptions::new()
        .size_bytes(64 + NAMES * NUMBERS)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    segment
}

const STOP: usize = 7;

fn produce(ring: &BoundedBuffer<Item>, account: &Segment, name: u64, random: &mut Random) {
    let notes = account.slice::<u64>(0, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut next = notes.load(name as usize);
    while notes.load(STOP) == 0 {
        let count = 1 + random.below(LONGEST);
        let mut done = 0;
        while done < count {
            let run: Vec<Item> = (next + done..next + count).map(|n| item(name, n)).collect();
            // One operation at a time is in doubt, so each is noted before it begins; one that did not happen is
            // tried again.
            notes.store(name as usize, next + count);
            let patience = Duration::from_millis(20);
            let pushed = match random.below(4) {
                0 => producer.push_timeout(run[0], patience).map(|()| 1).ok(),
                1 => producer.try_push_slice(&run).ok(),
                2 => producer.try_push(run[0]).map(|()| 1).ok(),
                _ => producer
                    .reserve_timeout(run.len(), patience)
                    .ok()
                    .map(|mut space| {
                        let len = space.len();
                        space.write_from(0, &run[..len]);
                        let commit = len - random.below(2) as usize % len;
                        space.commit(commit).unwrap();
                        commit
                    }),
            };
            done += pushed.unwrap_or(0) as u64;
            if pushed.is_none() && notes.load(STOP) != 0 {
                // Not pushed after all: nothing of this batch is in doubt.
                notes.store(name as usize, next + done);
                return;
            }
        }
        next += count;
        assert!((next as usize) < NUMBERS - 10, "too many numbers");
    }
}

fn consume(ring: &BoundedBuffer<Item>, account: &Segment, random: &mut Random) {
    let notes = account.slice::<u64>(0, 8).unwrap();
    let counts = account.slice::<u8>(64, NAMES * NUMBERS).unwrap();
    let mut consumer = ring.consumer().unwrap();
    loop {
        let wanted = 1 + random.below(LONGEST) as usize;
        let peeked = match random.below(2) {
            0 => consumer.try_peek(wanted),
            _ => consumer.peek_timeout(wanted, Duration::from_millis(20)),
        };
        match peeked {
            Ok(items) => {
                let release = items.len() - random.below(2) as usize % items.len();
                for index in 0..release {
                    let [name, number, ..] = items.get(index);
                    assert_eq!(items.get(index), item(name, number), "torn");
                    let at = name as usize * NUMBERS + number as usize;
                    counts.at(at).fetch_add(1, Ordering::Relaxed);
                }
                items.release(release).unwrap();
            }
            Err(PopError::Empty | PopError::TimedOut) if notes.load(STOP) == 2 => return,
            Err(PopError::Empty | PopError::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Header, table and slots, for whoever has to find out why something stands still.
fn words(ring: &BoundedBuffer<Item>) -> Vec<u64> {
    let segment = ring.segment();
    let all = segment.slice::<u64>(0, segment.len_bytes() / 8).unwrap();
    all.iter().collect()
}

#[test]
fn storm_of_kills() {
    let actor = peer!(|talk| {
        let ring: BoundedBuffer<Item> = attach(talk.arg(0));
        let account = SegmentId::from_raw(talk.arg(1)).attach().unwrap();
        let mut random = Random::new(talk.arg(3));
        match talk.arg::<i64>(2) {
            -1 => consume(&ring, &account, &mut random),
            name => produce(&ring, &account, name as u64, &mut random),
        }
    });
    let _alone = alone();
    let kills = budget("SYSVSHM_KILLS", 120);
    let casts: [(usize, usize, usize); 4] = [(1, 1, 3), (2, 2, 1), (3, 2, 8), (4, 4, 64)];
    let (mut items, mut twice, mut in_doubt) = (0, 0, 0);
    // A fresh buffer and account for some forty kills each: a producer has only so many numbers.
    let rounds = kills.div_ceil(160);
    let share = kills / (4 * rounds) + 1;
    let played = casts.iter().cycle().take(4 * rounds as usize);
    for (index, &(producers, consumers, capacity)) in played.enumerate() {
        let mut options = Options::new();
        let ring: BoundedBuffer<Item> = ring_with(
            options
                .capacity(capacity)
                .participants(12)
                .layout(LAYOUTS[index % 2])
                .start_lap(u64::MAX - 100),
        );
        let account = account();
        let notes = account.slice::<u64>(0, 8).unwrap();
        let counts = account.slice::<u8>(64, NAMES * NUMBERS).unwrap();
        let mut schedule = Random::new(seed() + index as u64);
        let start = |role: i64, seed: u64| -> Running {
            let peer = actor.clone().arg(id(&ring)).arg(account.id().as_raw());
            peer.arg(role).arg(seed >> 1).start()
        };
        let roles: Vec<i64> = (0..producers as i64)
            .chain(std::iter::repeat_n(-1, consumers))
            .collect();
        let mut cast: Vec<Running> = roles
            .iter()
            .map(|&role| start(role, schedule.next()))
            .collect();
        let (mut producers_killed, mut consumers_killed) = (0, 0);
        for _ in 0..share {
            thread::sleep(Duration::from_micros(schedule.below(10_000)));
            let victim = schedule.below(roles.len() as u64) as usize;
            let successor = || start(roles[victim], schedule.next());
            if roles[victim] < 0 {
                consumers_killed += 1;
            } else {
                producers_killed += 1;
            }
            // Dead before the successor reads what it noted.
            let place = cast.remove(victim);
            let pid = place.pid();
            place.kill();
            remove_token_of(pid);
            let mut successor = successor;
            cast.insert(victim, successor());
        }
        // All still get on with each other.
        let noted = |name: usize| notes.load(name);
        let before: Vec<u64> = (0..producers).map(noted).collect();
        let started = Instant::now();
        while (0..producers).any(|name| noted(name) < before[name] + 50) {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "seed {}: {producers} and {consumers} of capacity {capacity} stand still: {:x?}, {:?}",
                seed(),
                words(&ring),
                ring.participants()
            );
            thread::sleep(Duration::from_millis(1));
        }
        notes.store(STOP, 1);
        let consumers_left = cast.split_off(producers);
        cast.into_iter()
            .for_each(|producer| drop(producer.finish()));
        ring.recover().unwrap();
        let started = Instant::now();
        while !ring.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "not drained");
            thread::sleep(Duration::from_millis(1));
        }
        notes.store(STOP, 2);
        consumers_left
            .into_iter()
            .for_each(|consumer| drop(consumer.finish()));

        let (mut missing, mut again) = (0, 0);
        for name in 0..producers {
            for number in 0..noted(name) as usize {
                match counts.load(name * NUMBERS + number) {
                    0 => missing += 1,
                    count => again += u64::from(count) - 1,
                }
                items += 1;
            }
            let beyond = counts.load(name * NUMBERS + noted(name) as usize);
            assert_eq!(beyond, 0, "an item from nowhere");
        }
        assert!(
            missing <= producers_killed * LONGEST,
            "seed {}: {missing} items lost by {producers_killed} kills of producers",
            seed()
        );
        assert!(
            again <= consumers_killed * LONGEST,
            "seed {}: {again} items twice by {consumers_killed} kills of consumers",
            seed()
        );
        twice += again;
        in_doubt += missing;
        assert!(ring.participants().is_empty());
    }
    println!(
        "seed {}: {} kills, {items} items accounted for, {in_doubt} pushes that never happened, {twice} items delivered again after their work",
        seed(),
        share * 4 * rounds
    );
}
