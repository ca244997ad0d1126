//! Items of 64 KiB in place, beside what the memory allows: the same copies into and out of the same memory, with
//! nothing but a sequence word per block between the two processes.

use crate::contenders::{Contender, attach, id, ring};
use crate::machine::{Control, Worker};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::spsc::Layout;
use sysvshm::{Key, SegmentId, SegmentOptions, SharedSlice};

/// Words of 8 bytes in an item of 64 KiB.
const WORDS: usize = 8192;
/// Items in the ring, and blocks beside it.
const BLOCKS: usize = 16;
type Item = [u64; WORDS];

/// Both ends of an item say which it is; the rest is copied all the same.
fn stamp(item: &mut Item, n: u64) {
    (item[0], item[WORDS - 1]) = (n, !n);
    black_box(item);
}

fn check(item: &Item, n: u64) {
    assert!(black_box(item)[0] == n && item[WORDS - 1] == !n);
}

fn gib_per_second(count: u64, took: Duration) -> f64 {
    count as f64 * size_of::<Item>() as f64 / took.as_secs_f64() / (1_u64 << 30) as f64
}

pub(crate) fn push_in_place(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let mut producer = attach::<Item>(ids[0]).producer().unwrap();
    let mut item = Box::new([[0; WORDS]]);
    go();
    for n in 0..count {
        stamp(&mut item[0], n);
        let mut space = producer.reserve(1).unwrap();
        space.write_from(0, &item[..]);
        space.commit(1).unwrap();
    }
}

pub(crate) fn pop_in_place(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let ring = ring::<Item>(BLOCKS, Layout::Contiguous);
    let mut consumer = ring.consumer().unwrap();
    let mut item = Box::new([[0; WORDS]]);
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    let started = Instant::now();
    for n in 0..contender.count {
        let items = consumer.peek(1).unwrap();
        items.read_into(0, &mut item[..]);
        items.release(1).unwrap();
        check(&item[0], n);
    }
    gib_per_second(contender.count, started.elapsed())
}

/// A word per block, two cache lines apart, before the blocks: odd, then even, it belongs to the consumer and the
/// producer in turn.
const WORD: usize = 16;

fn parts<'a>(words: SharedSlice<'a, u64>, block: usize) -> SharedSlice<'a, u64> {
    let start = WORD * BLOCKS + block * WORDS;
    words.slice(start..start + WORDS)
}

pub(crate) fn push_bare(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let segment = SegmentId::from_raw(ids[0]).attach().unwrap();
    let words = segment.slice::<u64>(0, (WORD + WORDS) * BLOCKS).unwrap();
    let mut item = Box::new([[0; WORDS]]);
    go();
    for n in 0..count {
        stamp(&mut item[0], n);
        let (block, lap) = (n as usize % BLOCKS, n / BLOCKS as u64);
        while words.load(WORD * block, Ordering::Acquire) != 2 * lap {
            spin_loop();
        }
        parts(words, block).write_from(&item[0]);
        words.store(WORD * block, 2 * lap + 1, Ordering::Release);
    }
}

pub(crate) fn pop_bare(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let segment = SegmentOptions::new()
        .size_bytes(8 * (WORD + WORDS) * BLOCKS)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    segment.prefault().unwrap();
    let words = segment.slice::<u64>(0, (WORD + WORDS) * BLOCKS).unwrap();
    let mut item = Box::new([[0; WORDS]]);
    let id = segment.id().as_raw();
    worker.begin(control, contender.name, [id, 0], contender.count);
    let started = Instant::now();
    for n in 0..contender.count {
        let (block, lap) = (n as usize % BLOCKS, n / BLOCKS as u64);
        while words.load(WORD * block, Ordering::Acquire) != 2 * lap + 1 {
            spin_loop();
        }
        parts(words, block).read_into(&mut item[0]);
        words.store(WORD * block, 2 * lap + 2, Ordering::Release);
        check(&item[0], n);
    }
    gib_per_second(contender.count, started.elapsed())
}
