//! What the hardware allows: a ring of sequence words and nothing else, no claim, no check of life, no sleeping, no
//! check for a fork, no other layout, no capacity but this one. Its distance from the real one is the price of the
//! promises.
//!
//! And what one operation costs when nothing has to move between processors: both ends in one thread, in turn.

use crate::contenders::{CAPACITY, Contender, millions, ring};
use crate::machine::{Control, Worker};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use sysvshm::bounded_buffer::spsc::Layout;
use sysvshm::{Key, Segment, SegmentId, SegmentOptions};

/// Where the consumer's position is, where it is repeated now and then, and where the slots begin: in words.
const OUT: usize = 0;
const OUT_LAZY: usize = 16;
const SLOTS: usize = 32;
const MASK: u64 = CAPACITY as u64 - 1;

#[allow(unsafe_code)]
fn words(segment: &Segment) -> &[AtomicU64] {
    // SAFETY: both ends access the words atomically, and the views below touch nothing else.
    unsafe {
        segment
            .slice::<u64>(0, SLOTS + 2 * CAPACITY)
            .unwrap()
            .as_atomics()
            .unwrap()
    }
}

pub(crate) fn push_bare(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let segment = SegmentId::from_raw(ids[0]).attach().unwrap();
    let words = words(&segment);
    let mut limit = CAPACITY as u64;
    go();
    for position in 0..count {
        while position == limit {
            limit = words[OUT_LAZY].load(Ordering::Acquire) + CAPACITY as u64;
        }
        let slot = SLOTS + 2 * (position & MASK) as usize;
        words[slot + 1].store(position, Ordering::Relaxed);
        words[slot].store(position + 1, Ordering::Release);
    }
}

pub(crate) fn pop_bare(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let segment = SegmentOptions::new()
        .size_bytes(8 * (SLOTS + 2 * CAPACITY))
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    segment.prefault().unwrap();
    let words = words(&segment);
    let id = segment.id().as_raw();
    worker.begin(control, contender.name, [id, 0], contender.count);
    let started = Instant::now();
    for position in 0..contender.count {
        let slot = SLOTS + 2 * (position & MASK) as usize;
        while words[slot].load(Ordering::Acquire) != position + 1 {
            words[OUT_LAZY].store(position, Ordering::Release);
            for _ in 0..16 {
                spin_loop();
            }
        }
        assert!(words[slot + 1].load(Ordering::Relaxed) == position);
        words[OUT].store(position + 1, Ordering::Release);
        if position % 256 == 255 {
            words[OUT_LAZY].store(position + 1, Ordering::Release);
        }
    }
    millions(contender.count, started.elapsed())
}

/// The bare sequence ring's slot of a position, in the ring for one way or the other.
fn slot(ring: usize, position: u64) -> usize {
    SLOTS + 2 * (ring * CAPACITY + (position & MASK) as usize)
}

/// Waits for a position to be published, takes the item and gives the slot back.
fn take(words: &[AtomicU64], ring: usize, position: u64) -> u64 {
    while words[slot(ring, position)].load(Ordering::Acquire) != position + 1 {
        for _ in 0..PAUSES {
            spin_loop();
        }
    }
    let item = words[slot(ring, position) + 1].load(Ordering::Relaxed);
    words[OUT + OUT_LAZY * ring].store(position + 1, Ordering::Release);
    item
}

fn put(words: &[AtomicU64], ring: usize, position: u64, item: u64) {
    words[slot(ring, position) + 1].store(item, Ordering::Relaxed);
    words[slot(ring, position)].store(position + 1, Ordering::Release);
}

/// Between two looks: few enough to be seen soon, enough to leave the line to the other side.
const PAUSES: u32 = 4;

fn two_rings(segment: &Segment) -> &[AtomicU64] {
    // SAFETY: as in `words`.
    #[allow(unsafe_code)]
    unsafe {
        segment
            .slice::<u64>(0, SLOTS + 4 * CAPACITY)
            .unwrap()
            .as_atomics()
            .unwrap()
    }
}

pub(crate) fn answer_bare(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let segment = SegmentId::from_raw(ids[0]).attach().unwrap();
    let words = two_rings(&segment);
    go();
    for position in 0..count {
        let item = take(words, 0, position);
        put(words, 1, position, item + 1);
    }
}

/// Round trips over two bare sequence rings, which are never full.
pub(crate) fn ask_bare(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let segment = SegmentOptions::new()
        .size_bytes(8 * (SLOTS + 4 * CAPACITY))
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    segment.prefault().unwrap();
    let words = two_rings(&segment);
    let id = segment.id().as_raw();
    worker.begin(control, contender.name, [id, 0], contender.count);
    let started = Instant::now();
    for position in 0..contender.count {
        put(words, 0, position, position);
        assert_eq!(take(words, 1, position), position + 1);
    }
    started.elapsed().as_nanos() as f64 / contender.count as f64
}

/// How many are pushed before as many are popped.
const TURN: u64 = 256;

/// Nanoseconds for one push and one pop.
pub(crate) fn one_core(contender: &Contender, _: &Control, _: &mut Worker) -> f64 {
    let ring = ring::<u64>(CAPACITY, Layout::Interleaved);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let started = Instant::now();
    for turn in 0..contender.count / TURN {
        for n in 0..TURN {
            producer.push(turn + n).unwrap();
        }
        for n in 0..TURN {
            assert!(consumer.pop().unwrap() == turn + n);
        }
    }
    started.elapsed().as_nanos() as f64 / contender.count as f64
}

pub(crate) fn rtrb_one_core(contender: &Contender, _: &Control, _: &mut Worker) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let started = Instant::now();
    for turn in 0..contender.count / TURN {
        for n in 0..TURN {
            producer.push(turn + n).unwrap();
        }
        for n in 0..TURN {
            assert!(consumer.pop().unwrap() == turn + n);
        }
    }
    started.elapsed().as_nanos() as f64 / contender.count as f64
}
