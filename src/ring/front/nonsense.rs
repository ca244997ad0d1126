//! Rings in which words are nonsense, and no process writes meanwhile: every call returns.
//!
//! A scribbler that runs (`tests/spsc/hostile.rs`, `tests/mpmc/hostile.rs`) takes back what it wrote before a call can
//! believe it twice. Here it stays. Each case begins with a valid ring in one of many states: empty, full, gone round,
//! with claims that live, that are dead, of chunks in place, near the first position and near the last. Then 1 to 8
//! words are replaced by values near them or by random ones, before the handles are made or after, and a few calls of
//! all forms follow. Accesses to the segment are counted: one that goes round for ever fails by its count.
//!
//! ```text
//! SYSVSHM_STATIC_CASES=1000000 cargo test --release --lib nonsense -- --nocapture
//! ```

#[path = "../../../tests/common/random.rs"]
mod random;

use super::consumer::Consumer;
use super::options::Options;
use super::producer::Producer;
use super::ring::BoundedBuffer;
use crate::Key;
use crate::bounded_buffer::{PopError, lecture};
use crate::bytemuck::Pod;
use crate::inspect::Inspector;
use crate::liveness::Token;
use crate::memory::SharedSlice;
use crate::ring::protocol::Protocol;
use crate::ring::protocol::mpmc::Mpmc;
use crate::ring::protocol::spsc::Spsc;
use crate::ring::shm::memory::steps;
use crate::ring::shm::slots::Layout;
use crate::ring::wait::Waiting;
use random::{Random, budget, for_each_case};
use std::io::{Read, Write};
use std::mem::forget;
use std::time::Duration;

/// Accesses that a call makes at most which does not wait, in these small rings. A few hundred are usual.
const AT_ONCE: u64 = 5000;
/// Accesses that a call makes at most which waits for [`SHORT`], or is cancelled: a waiter polls before it sleeps.
const WAITS: u64 = 20_000_000;
const SHORT: Duration = Duration::from_micros(20);
/// The claim of a dead process: no segment has this identifier.
const DEAD: u64 = 1 << 31 | 0x7fff_ffff;

/// A call, and how many accesses it may make.
type Call<H> = (u64, fn(&mut H, &mut Random));

/// The same of the ring, which is shared.
type CallOfRing<T, P> = (u64, fn(&BoundedBuffer<T, P>, &mut Random));

/// A ring to be spoiled, the states from which that begins, and what is then called.
struct Bench<T: Pod, P: Protocol> {
    ring: BoundedBuffer<T, P>,
    states: Vec<Vec<u64>>,
    of_ring: Vec<CallOfRing<T, P>>,
    of_producer: Vec<Call<Producer<T, P>>>,
    of_consumer: Vec<Call<Consumer<T, P>>>,
}

fn words<T: Pod, P: Protocol>(ring: &BoundedBuffer<T, P>) -> SharedSlice<'_, u64> {
    let segment = ring.segment();
    segment.slice(0, segment.len_bytes() / 8).unwrap()
}

fn create<T: Pod, P: Protocol>(options: &Options<P>) -> BoundedBuffer<T, P> {
    let ring = options.create_new(Key::PRIVATE).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

impl<T: Pod + From<u8>, P: Protocol> Bench<T, P> {
    fn new(options: &Options<P>, start: impl Fn(&mut Options<P>, u64)) -> Self {
        let mut states = Vec::new();
        for far in [0, 1, 1000, u64::MAX - 12] {
            let mut options = options.clone();
            start(&mut options, far);
            states.extend(valid_states::<T, P>(&create(&options)));
        }
        Self {
            ring: create(options),
            states,
            of_ring: vec![
                (AT_ONCE, |ring, _| {
                    assert!(ring.len() <= ring.capacity());
                    let _ = (ring.is_empty(), ring.is_full());
                }),
                (AT_ONCE, |ring, _| {
                    let _ = (ring.producer_state(), ring.consumer_state());
                    let _ = ring.participants();
                }),
                (AT_ONCE, |ring, random| {
                    let mut options = Options::<P>::new();
                    options.patience(Duration::ZERO);
                    if random.below(2) == 0 {
                        options.capacity(ring.capacity()).layout(ring.layout());
                    }
                    let segment = ring.segment().id().attach().unwrap();
                    let _ = options.in_segment::<T>(segment);
                }),
                (AT_ONCE, |ring, _| {
                    if let Ok(inspector) = Inspector::attach(ring.segment().id()) {
                        let _ = inspector.look();
                    }
                }),
            ],
            of_producer: vec![
                (AT_ONCE, |producer, _| {
                    let _ = producer.try_push(T::from(1));
                }),
                (AT_ONCE, |producer, random| {
                    let items = [T::from(2); 20];
                    let _ = producer.try_push_slice(&items[..random.below(21) as usize]);
                }),
                (AT_ONCE, |producer, random| {
                    if let Ok(mut space) = producer.try_reserve(1 + random.below(20) as usize) {
                        let len = space.len();
                        space.set(random.below(len as u64) as usize, T::from(3));
                        match random.below(3) {
                            0 => drop(space),
                            1 => forget(space),
                            _ => space.commit(random.below(len as u64 + 1) as usize).unwrap(),
                        }
                    }
                }),
                (AT_ONCE, |producer, _| {
                    assert!(producer.len() <= producer.buffer().capacity());
                    let _ = (producer.is_empty(), producer.is_full());
                }),
                (WAITS, |producer, _| {
                    let _ = producer.push_timeout(T::from(4), SHORT);
                }),
                (WAITS, |producer, random| {
                    let items = [T::from(5); 20];
                    let items = &items[..random.below(21) as usize];
                    let _ = producer.push_slice_timeout(items, SHORT);
                }),
                (WAITS, |producer, _| {
                    drop(producer.reserve_timeout(3, SHORT));
                }),
                (WAITS, |producer, random| {
                    let canceller = producer.canceller();
                    canceller.cancel();
                    match random.below(3) {
                        0 => drop(producer.push(T::from(6))),
                        1 => drop(producer.push_slice(&[T::from(7); 20])),
                        _ => drop(producer.reserve(2)),
                    }
                    canceller.reset();
                }),
            ],
            of_consumer: vec![
                (AT_ONCE, |consumer, _| {
                    let _ = consumer.try_pop();
                }),
                (AT_ONCE, |consumer, random| {
                    let mut items = [T::zeroed(); 20];
                    let _ = consumer.try_pop_slice(&mut items[..random.below(21) as usize]);
                }),
                (AT_ONCE, |consumer, random| {
                    if let Ok(items) = consumer.try_peek(1 + random.below(20) as usize) {
                        let len = items.len();
                        let _ = items.get(random.below(len as u64) as usize);
                        match random.below(3) {
                            0 => drop(items),
                            1 => forget(items),
                            _ => items
                                .release(random.below(len as u64 + 1) as usize)
                                .unwrap(),
                        }
                    }
                }),
                (AT_ONCE, |consumer, _| {
                    // A ring that is not written to meanwhile has no more than it holds.
                    let count = consumer.try_iter().take(1000).count();
                    assert!(count < 1000, "{count} items");
                }),
                (AT_ONCE, |consumer, _| {
                    assert!(consumer.len() <= consumer.buffer().capacity());
                    let _ = (consumer.is_empty(), consumer.is_full());
                }),
                (WAITS, |consumer, _| {
                    let _ = consumer.pop_timeout(SHORT);
                }),
                (WAITS, |consumer, random| {
                    let mut items = [T::zeroed(); 20];
                    let items = &mut items[..random.below(21) as usize];
                    let _ = consumer.pop_slice_timeout(items, SHORT);
                }),
                (WAITS, |consumer, _| drop(consumer.peek_timeout(3, SHORT))),
                (WAITS, |consumer, random| {
                    let canceller = consumer.canceller();
                    canceller.cancel();
                    match random.below(4) {
                        0 => drop(consumer.pop()),
                        1 => drop(consumer.pop_slice(&mut [T::zeroed(); 20])),
                        2 => drop(consumer.peek(2)),
                        _ => {
                            let mut items = consumer.iter();
                            assert!(items.next().is_none());
                            assert_eq!(items.why_it_ended(), Some(PopError::Cancelled));
                        }
                    }
                    canceller.reset();
                }),
            ],
        }
    }

    /// Replaces 1 to 8 words.
    fn spoil(&self, random: &mut Random) {
        let words = words(&self.ring);
        let capacity = self.ring.capacity() as u64;
        for _ in 0..=random.below(8) {
            // What the ring's own words are, more often than the others.
            let index = match random.below(4) {
                0 => [1, 16, 17, 18, 19, 32, 48, 64, 80, 96][random.below(10) as usize],
                1 => random.below(16) as usize,
                _ => random.below(words.len() as u64) as usize,
            };
            let (before, other) = (
                words.load(index),
                words.load(random.below(words.len() as u64) as usize),
            );
            let value = match random.below(10) {
                0 => before.wrapping_add(1),
                1 => before.wrapping_sub(1),
                2 => before.wrapping_add(capacity),
                3 => before.wrapping_sub(capacity),
                // Another lap, another owner, another phase.
                4 => before.wrapping_add(1 << random.below(64)),
                5 => before ^ 1 << random.below(64),
                6 => other,
                7 => other.wrapping_sub(random.below(2 * capacity)),
                8 => random.below(5).wrapping_sub(1),
                _ => random.next(),
            };
            words.store(index, value);
        }
    }

    fn case(&self, random: &mut Random, most: &std::cell::Cell<u64>) {
        let state = &self.states[random.below(self.states.len() as u64) as usize];
        words(&self.ring).write_from(state);
        let is_spoilt_first = random.below(2) == 0;
        if is_spoilt_first {
            self.spoil(random);
        }
        let mut producer = steps::at_most(AT_ONCE, || self.ring.producer()).0.ok();
        let mut consumer = steps::at_most(AT_ONCE, || self.ring.consumer()).0.ok();
        let waiting = [Waiting::Sleep, Waiting::Yield, Waiting::Spin][random.below(3) as usize];
        let notice = random.below(2) == 0;
        if let Some(producer) = &mut producer {
            producer.waiting(waiting).notice_departure(notice);
        }
        if let Some(consumer) = &mut consumer {
            consumer.waiting(waiting).notice_departure(notice);
        }
        let before = if is_spoilt_first { 0 } else { random.below(4) };
        for round in 0..before + 4 {
            if round == before && !is_spoilt_first {
                self.spoil(random);
            }
            let used = match (random.below(5), &mut producer, &mut consumer) {
                (1 | 2, Some(producer), _) => {
                    let (limit, call) = one_of(&self.of_producer, random);
                    within(limit, || call(producer, random))
                }
                (3 | 4, _, Some(consumer)) => {
                    let (limit, call) = one_of(&self.of_consumer, random);
                    within(limit, || call(consumer, random))
                }
                _ => {
                    let (limit, call) = one_of(&self.of_ring, random);
                    within(limit, || call(&self.ring, random))
                }
            };
            most.set(most.get().max(used));
        }
        steps::at_most(AT_ONCE, || drop((producer, consumer)));
    }

    fn suffer(&self, name: &str, cases: u64) {
        let most = std::cell::Cell::new(0);
        for_each_case(cases, |random| self.case(random, &most));
        let most = most.get();
        println!("{name}: {cases} cases, at most {most} accesses by a call that does not wait");
    }
}

fn one_of<C: Copy>(calls: &[C], random: &mut Random) -> C {
    calls[random.below(calls.len() as u64) as usize]
}

/// Makes a call within so many accesses; returns how many it made, if it is one that does not wait.
fn within(limit: u64, call: impl FnOnce()) -> u64 {
    let ((), used) = steps::at_most(limit, call);
    if limit == AT_ONCE { used } else { 0 }
}

/// The words of a ring in many states, which the ring goes through.
fn valid_states<T: Pod + From<u8>, P: Protocol>(ring: &BoundedBuffer<T, P>) -> Vec<Vec<u64>> {
    let mut states = Vec::new();
    let claim = Token::current().unwrap().owner_id().word();
    let mut note = || {
        let living = words(ring).to_vec();
        // The same with participants that died there.
        let dead = living
            .iter()
            .map(|&word| if word == claim { DEAD } else { word });
        states.push(dead.collect());
        states.push(living);
    };
    let capacity = ring.capacity();
    note();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    note();
    for (pushed, popped) in [(1, 0), (capacity - 1, 2), (2, 3), (1, 1), (0, capacity)] {
        producer.try_push_slice(&vec![T::from(9); pushed]).unwrap();
        note();
        // In mpmc a run ends where the buffer does.
        for _ in 0..popped {
            let _ = consumer.try_pop();
        }
        note();
        if let Ok(space) = producer.try_reserve(3) {
            note();
            drop(space);
        }
        if let Ok(items) = consumer.try_peek(3) {
            note();
            drop(items);
        }
        note();
    }
    drop(consumer);
    note();
    drop(producer);
    note();
    states
}

fn cases() -> u64 {
    budget("SYSVSHM_STATIC_CASES", 4000) / 8
}

fn options<P: Protocol>(layout: Layout, capacity: usize) -> Options<P> {
    let mut options = Options::new();
    options.layout(layout).capacity(capacity);
    options
}

const SHAPES: [(Layout, usize); 4] = [
    (Layout::Interleaved, 8),
    (Layout::Contiguous, 8),
    (Layout::Interleaved, 5),
    (Layout::Contiguous, 5),
];

#[test]
fn spsc_calls_return() {
    for (layout, capacity) in SHAPES {
        let options = options::<Spsc>(layout, capacity);
        let mut bench = Bench::<u8, Spsc>::new(&options, |options, far| {
            // The last position is that of capacities that are powers of two.
            options.start_position(if capacity == 8 { far } else { far / 2 });
        });
        bench.of_producer.push((WAITS, |producer, _| {
            let canceller = producer.canceller();
            canceller.cancel();
            drop(producer.write_all(&[8; 20]));
            canceller.reset();
        }));
        bench.of_consumer.push((WAITS, |consumer, _| {
            let canceller = consumer.canceller();
            canceller.cancel();
            drop(consumer.read_exact(&mut [0; 20]));
            canceller.reset();
        }));
        bench.suffer(&format!("spsc, {layout:?}, {capacity}"), cases());
    }
}

#[test]
fn mpmc_calls_return() {
    for (layout, capacity) in SHAPES {
        let mut options = options::<Mpmc>(layout, capacity);
        options.participants(4);
        let mut bench = Bench::<u64, Mpmc>::new(&options, |options, far| {
            options.start_lap(far >> 2);
        });
        bench.of_ring.push((AT_ONCE, |ring, _| {
            let _ = ring.recover();
        }));
        bench.suffer(&format!("mpmc, {layout:?}, {capacity}"), cases());
    }
}

/// It has no loops but the busy ones, which wait as taught: for ever.
#[test]
fn lecture_calls_return() {
    type Buffer<'a> = lecture::BoundedBuffer<'a, u32, 8>;
    let mut options = crate::SegmentOptions::new();
    let segment = options
        .size_bytes(Buffer::SIZE_BYTES)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let words = segment.slice::<i32>(0, Buffer::SIZE_BYTES / 4).unwrap();
    for_each_case(cases(), |random| {
        for index in [8, 9] {
            let value = match random.below(4) {
                0 => random.below(10) as i32 - 1,
                1 => random.next() as i32,
                _ => random.below(8) as i32,
            };
            words.store(index, value);
        }
        let buffer = Buffer::new(&segment).unwrap();
        let is_sane = [8, 9].map(|index| (0..8).contains(&words.load(index))) == [true; 2];
        assert_eq!(buffer.len().is_ok(), is_sane);
        for _ in 0..20 {
            // In the second place what makes no sense is said, in the first at most so many fit.
            let full = (0..8).take_while(|&item| buffer.try_produce(item).is_ok());
            assert!(full.count() < 8);
            let empty = (0..8).take_while(|_| buffer.try_consume().is_ok());
            assert!(empty.count() < 8);
        }
        assert_eq!(buffer.is_full().is_ok(), is_sane);
    });
}
