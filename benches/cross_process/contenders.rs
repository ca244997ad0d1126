//! What is measured: each contender has an end for the worker process, which produces, and one for this process,
//! which consumes and keeps the time.

use crate::ceiling;
use crate::large;
use crate::machine::{self, Control, Worker, pin};
use std::fs::File;
use std::hint::{black_box, spin_loop};
use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::Waiting;
use sysvshm::bounded_buffer::lecture;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options};
use sysvshm::bytemuck::Pod;
use sysvshm::{Key, SegmentId, SegmentOptions};

#[derive(Clone, Copy)]
pub(crate) enum Unit {
    MillionPerSecond,
    GibPerSecond,
    Nanoseconds,
    Microseconds,
    MicrosecondsPerSecond,
    Share,
}

type WorkerEnd = fn(&Control, [i32; 2], u64, &dyn Fn());
type OurEnd = fn(&Contender, &Control, &mut Worker) -> f64;

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) count: u64,
    pub(crate) worker: WorkerEnd,
    pub(crate) ours: OurEnd,
}

pub(crate) fn run(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    (contender.ours)(contender, control, worker)
}

pub(crate) const CAPACITY: usize = 1024;
const CHUNK: usize = 256;
const MILLION: u64 = 1_000_000;

pub(crate) const CONTENDERS: &[Contender] = &[
    Contender {
        name: "8B spsc single",
        unit: Unit::MillionPerSecond,
        count: 8 * MILLION,
        worker: |_, ids, n, go| push_single(ids, n, Waiting::Sleep, go),
        ours: |c, k, w| pop_single(c, k, w, Waiting::Sleep),
    },
    Contender {
        name: "8B spsc single, spin only",
        unit: Unit::MillionPerSecond,
        count: 8 * MILLION,
        worker: |_, ids, n, go| push_single(ids, n, Waiting::Spin, go),
        ours: |c, k, w| pop_single(c, k, w, Waiting::Spin),
    },
    Contender {
        name: "8B rtrb single (threads)",
        unit: Unit::MillionPerSecond,
        count: 8 * MILLION,
        worker: nothing,
        ours: |c, _, _| rtrb_single::<u64>(c.count, |n| n, |item, n| item == n),
    },
    Contender {
        name: "8B bare sequence ring (ceiling)",
        unit: Unit::MillionPerSecond,
        count: 8 * MILLION,
        worker: ceiling::push_bare,
        ours: ceiling::pop_bare,
    },
    Contender {
        name: "8B one core: spsc push, pop",
        unit: Unit::Nanoseconds,
        count: 8 * MILLION,
        worker: nothing,
        ours: ceiling::one_core,
    },
    Contender {
        name: "8B one core: rtrb push, pop",
        unit: Unit::Nanoseconds,
        count: 8 * MILLION,
        worker: nothing,
        ours: ceiling::rtrb_one_core,
    },
    Contender {
        name: "8B lecture ring 1024",
        unit: Unit::MillionPerSecond,
        count: 2 * MILLION,
        worker: lecture_produce,
        ours: lecture_consume,
    },
    Contender {
        name: "8B pipe",
        unit: Unit::MillionPerSecond,
        count: MILLION / 10,
        worker: nothing,
        ours: |c, _, _| pipe(c.count),
    },
    Contender {
        name: "8B spsc in place 256",
        unit: Unit::MillionPerSecond,
        count: 16 * MILLION,
        worker: |_, ids, n, go| reserve_chunks::<u64>(ids, n, |n| n, go),
        ours: |c, k, w| peek_chunks::<u64>(c, k, w, |item, n| item == n),
    },
    Contender {
        name: "8B spsc batches 256",
        unit: Unit::MillionPerSecond,
        count: 16 * MILLION,
        worker: |_, ids, n, go| push_batches::<u64>(ids, n, |n| n, go),
        ours: |c, k, w| pop_batches::<u64>(c, k, w, |item, n| item == n),
    },
    Contender {
        name: "8B rtrb chunks 256 (threads)",
        unit: Unit::MillionPerSecond,
        count: 16 * MILLION,
        worker: nothing,
        ours: |c, _, _| rtrb_chunks::<u64>(c.count, |n| n, |item, n| item == n),
    },
    Contender {
        name: "64B spsc in place 256",
        unit: Unit::MillionPerSecond,
        count: 4 * MILLION,
        worker: |_, ids, n, go| reserve_chunks::<[u64; 8]>(ids, n, |n| [n; 8], go),
        ours: |c, k, w| peek_chunks::<[u64; 8]>(c, k, w, |item, n| item == [n; 8]),
    },
    Contender {
        name: "64B spsc batches 256",
        unit: Unit::MillionPerSecond,
        count: 4 * MILLION,
        worker: |_, ids, n, go| push_batches::<[u64; 8]>(ids, n, |n| [n; 8], go),
        ours: |c, k, w| pop_batches::<[u64; 8]>(c, k, w, |item, n| item == [n; 8]),
    },
    Contender {
        name: "64B rtrb single (threads)",
        unit: Unit::MillionPerSecond,
        count: 4 * MILLION,
        worker: nothing,
        ours: |c, _, _| rtrb_single::<[u64; 8]>(c.count, |n| [n; 8], |item, n| item == [n; 8]),
    },
    Contender {
        name: "64B rtrb chunks 256 (threads)",
        unit: Unit::MillionPerSecond,
        count: 4 * MILLION,
        worker: nothing,
        ours: |c, _, _| rtrb_chunks::<[u64; 8]>(c.count, |n| [n; 8], |item, n| item == [n; 8]),
    },
    Contender {
        name: "1KiB spsc single",
        unit: Unit::GibPerSecond,
        count: MILLION / 2,
        worker: push_kib,
        ours: pop_kib,
    },
    Contender {
        name: "1KiB spsc single, by reference",
        unit: Unit::GibPerSecond,
        count: MILLION / 2,
        worker: push_kib_slice,
        ours: pop_kib_slice,
    },
    Contender {
        name: "1KiB rtrb single (threads)",
        unit: Unit::GibPerSecond,
        count: MILLION / 2,
        worker: nothing,
        ours: |c, _, _| {
            rtrb_single::<[u64; 128]>(
                c.count,
                |n| black_box([n; 128]),
                |item, n| black_box(&item)[0] == n && item[127] == n,
            ) * 1e6
                * 1024.0
                / (1u64 << 30) as f64
        },
    },
    Contender {
        name: "64KiB spsc in place",
        unit: Unit::GibPerSecond,
        count: 20_000,
        worker: large::push_in_place,
        ours: large::pop_in_place,
    },
    Contender {
        name: "64KiB the same copies, bare",
        unit: Unit::GibPerSecond,
        count: 20_000,
        worker: large::push_bare,
        ours: large::pop_bare,
    },
    Contender {
        name: "round trip, raw cache line",
        unit: Unit::Nanoseconds,
        count: 100_000,
        worker: |control, _, n, go| {
            go();
            machine::answer(control, false, n);
        },
        ours: |c, k, w| {
            w.begin(k, c.name, [0, 0], c.count);
            machine::ping(k, false, c.count)
        },
    },
    Contender {
        name: "round trip, bare sequence ring (ceiling)",
        unit: Unit::Nanoseconds,
        count: 100_000,
        worker: ceiling::answer_bare,
        ours: ceiling::ask_bare,
    },
    Contender {
        name: "round trip, spsc spinning",
        unit: Unit::Nanoseconds,
        count: 100_000,
        worker: |_, ids, n, go| answer(ids, n, Waiting::Spin, go),
        ours: |c, k, w| ask(c, k, w, Waiting::Spin),
    },
    Contender {
        name: "round trip, spsc default",
        unit: Unit::Nanoseconds,
        count: 100_000,
        worker: |_, ids, n, go| answer(ids, n, Waiting::Sleep, go),
        ours: |c, k, w| ask(c, k, w, Waiting::Sleep),
    },
    Contender {
        name: "round trip, rtrb (threads)",
        unit: Unit::Nanoseconds,
        count: 100_000,
        worker: nothing,
        ours: |c, _, _| rtrb_round_trip(c.count),
    },
    Contender {
        name: "wake-up, spsc",
        unit: Unit::Microseconds,
        count: 100,
        worker: wake_spsc,
        ours: woken_spsc,
    },
    Contender {
        name: "wake-up, raw futex",
        unit: Unit::Microseconds,
        count: 100,
        worker: wake_futex,
        ours: woken_futex,
    },
    Contender {
        name: "idle consumer",
        unit: Unit::MicrosecondsPerSecond,
        count: 0,
        worker: nothing,
        ours: idle,
    },
    Contender {
        name: "idle, raw futex in slices of 80 ms",
        unit: Unit::MicrosecondsPerSecond,
        count: 0,
        worker: nothing,
        ours: idle_futex,
    },
    Contender {
        name: "producer of a slow consumer",
        unit: Unit::Share,
        count: 20_000,
        worker: produce_for_slow,
        ours: consume_slowly,
    },
];

/// What the targets compare.
pub(crate) const RATIOS: &[(&str, &str, &str)] = &[
    (
        "8B single: spsc / rtrb push/pop (target >= 2.5, far >= 3)",
        "8B spsc single",
        "8B rtrb single (threads)",
    ),
    (
        "8B single: spsc / lecture ring 1024 (target >= 12)",
        "8B spsc single",
        "8B lecture ring 1024",
    ),
    (
        "8B single: spsc / bare sequence ring (the price of promises)",
        "8B spsc single",
        "8B bare sequence ring (ceiling)",
    ),
    (
        "8B one core, push and pop: spsc / rtrb",
        "8B one core: spsc push, pop",
        "8B one core: rtrb push, pop",
    ),
    (
        "8B single: default waiting / spin only (target >= 0.95)",
        "8B spsc single",
        "8B spsc single, spin only",
    ),
    (
        "8B chunks in place: spsc / rtrb (target >= 1.0)",
        "8B spsc in place 256",
        "8B rtrb chunks 256 (threads)",
    ),
    (
        "8B copied batches: spsc / rtrb chunks (target >= 1.0)",
        "8B spsc batches 256",
        "8B rtrb chunks 256 (threads)",
    ),
    (
        "64B chunks in place: spsc / rtrb push/pop (target >= 2.7)",
        "64B spsc in place 256",
        "64B rtrb single (threads)",
    ),
    (
        "64B chunks in place: spsc / rtrb chunks (target >= 1.0)",
        "64B spsc in place 256",
        "64B rtrb chunks 256 (threads)",
    ),
    (
        "64B copied batches: spsc / rtrb chunks",
        "64B spsc batches 256",
        "64B rtrb chunks 256 (threads)",
    ),
    (
        "1KiB by reference: spsc / rtrb (target >= 1.2)",
        "1KiB spsc single, by reference",
        "1KiB rtrb single (threads)",
    ),
    (
        "1KiB by value: spsc / rtrb",
        "1KiB spsc single",
        "1KiB rtrb single (threads)",
    ),
    (
        "64KiB in place: spsc / the same copies, bare (target >= 0.85)",
        "64KiB spsc in place",
        "64KiB the same copies, bare",
    ),
    (
        "round trip: spsc spinning / raw line (target <= 1.5, far 1.1)",
        "round trip, spsc spinning",
        "round trip, raw cache line",
    ),
    (
        "round trip: spsc spinning / bare sequence ring",
        "round trip, spsc spinning",
        "round trip, bare sequence ring (ceiling)",
    ),
    (
        "round trip: spsc default / raw line",
        "round trip, spsc default",
        "round trip, raw cache line",
    ),
    (
        "round trip: rtrb / spsc spinning (target >= 1.4)",
        "round trip, rtrb (threads)",
        "round trip, spsc spinning",
    ),
    (
        "wake-up: spsc / raw futex (target <= 1.1)",
        "wake-up, spsc",
        "wake-up, raw futex",
    ),
    (
        "idle: spsc / raw futex in as many slices",
        "idle consumer",
        "idle, raw futex in slices of 80 ms",
    ),
];

fn nothing(_: &Control, _: [i32; 2], _: u64, go: &dyn Fn()) {
    go();
}

pub(crate) fn ring<T: Pod>(capacity: usize, layout: Layout) -> BoundedBuffer<T> {
    let mut options = Options::new();
    let ring = options
        .capacity(capacity)
        .layout(layout)
        .create_new(Key::PRIVATE)
        .unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring.segment().prefault().unwrap();
    ring
}

pub(crate) fn attach<T: Pod>(id: i32) -> BoundedBuffer<T> {
    Options::new().attach(SegmentId::from_raw(id)).unwrap()
}

pub(crate) fn id<T: Pod>(ring: &BoundedBuffer<T>) -> i32 {
    ring.segment().id().as_raw()
}

pub(crate) fn millions(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64() / 1e6
}

fn push_single(ids: [i32; 2], count: u64, waiting: Waiting, go: &dyn Fn()) {
    let mut producer = attach::<u64>(ids[0]).producer().unwrap();
    producer.waiting(waiting);
    go();
    for item in 0..count {
        producer.push(item).unwrap();
    }
}

fn pop_single(
    contender: &Contender,
    control: &Control,
    worker: &mut Worker,
    waiting: Waiting,
) -> f64 {
    let ring = ring::<u64>(CAPACITY, Layout::Interleaved);
    let mut consumer = ring.consumer().unwrap();
    consumer.waiting(waiting);
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    let started = Instant::now();
    for expected in 0..contender.count {
        assert!(consumer.pop().unwrap() == expected);
    }
    millions(contender.count, started.elapsed())
}

fn reserve_chunks<T: Pod>(ids: [i32; 2], count: u64, make: impl Fn(u64) -> T, go: &dyn Fn()) {
    let mut producer = attach::<T>(ids[0]).producer().unwrap();
    go();
    let mut next = 0;
    while next < count {
        let mut space = producer
            .reserve(CHUNK.min((count - next) as usize))
            .unwrap();
        let len = space.len();
        let view = space.as_shared_slice().unwrap();
        for index in 0..len {
            view.set(index, make(next));
            next += 1;
        }
        space.commit(len).unwrap();
    }
}

fn peek_chunks<T: Pod>(
    contender: &Contender,
    control: &Control,
    worker: &mut Worker,
    check: impl Fn(T, u64) -> bool,
) -> f64 {
    let ring = ring::<T>(CAPACITY, Layout::Contiguous);
    let mut consumer = ring.consumer().unwrap();
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    let started = Instant::now();
    let mut next = 0;
    while next < contender.count {
        let items = consumer.peek(CHUNK).unwrap();
        let len = items.len();
        let mut right = true;
        for item in items.as_shared_slice().unwrap().iter() {
            right &= check(item, next);
            next += 1;
        }
        assert!(right);
        items.release(len).unwrap();
    }
    millions(contender.count, started.elapsed())
}

fn push_batches<T: Pod>(ids: [i32; 2], count: u64, make: impl Fn(u64) -> T, go: &dyn Fn()) {
    let mut producer = attach::<T>(ids[0]).producer().unwrap();
    let mut batch = [T::zeroed(); CHUNK];
    go();
    let mut next = 0;
    while next < count {
        let len = CHUNK.min((count - next) as usize);
        for item in &mut batch[..len] {
            *item = make(next);
            next += 1;
        }
        producer.push_slice(&batch[..len]).unwrap();
    }
}

fn pop_batches<T: Pod>(
    contender: &Contender,
    control: &Control,
    worker: &mut Worker,
    check: impl Fn(T, u64) -> bool,
) -> f64 {
    let ring = ring::<T>(CAPACITY, Layout::Contiguous);
    let mut consumer = ring.consumer().unwrap();
    let mut batch = [T::zeroed(); CHUNK];
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    let started = Instant::now();
    let mut next = 0;
    while next < contender.count {
        let len = consumer.pop_slice(&mut batch).unwrap();
        let mut right = true;
        for &item in &batch[..len] {
            right &= check(item, next);
            next += 1;
        }
        assert!(right);
    }
    millions(contender.count, started.elapsed())
}

/// The items of 1 KiB pass through `black_box` on both sides, for every contender: they are in the producer's
/// memory before and in the consumer's afterwards. Otherwise the compiler sees through plain copies, and moves the
/// two words that are looked at.
fn push_kib(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let mut producer = attach::<[u64; 128]>(ids[0]).producer().unwrap();
    go();
    for n in 0..count {
        producer.push(black_box([n; 128])).unwrap();
    }
}

fn pop_kib(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let ring = ring::<[u64; 128]>(CAPACITY, Layout::Interleaved);
    let mut consumer = ring.consumer().unwrap();
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    let started = Instant::now();
    for n in 0..contender.count {
        let item = consumer.pop().unwrap();
        assert!(black_box(&item)[0] == n && item[127] == n);
    }
    millions(contender.count, started.elapsed()) * 1e6 * 1024.0 / (1_u64 << 30) as f64
}

fn push_kib_slice(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let mut producer = attach::<[u64; 128]>(ids[0]).producer().unwrap();
    go();
    for n in 0..count {
        producer.push_slice(black_box(&[[n; 128]])).unwrap();
    }
}

fn pop_kib_slice(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let ring = ring::<[u64; 128]>(CAPACITY, Layout::Interleaved);
    let mut consumer = ring.consumer().unwrap();
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    let mut item = [[0; 128]];
    let started = Instant::now();
    for n in 0..contender.count {
        assert!(consumer.pop_slice(&mut item).unwrap() == 1);
        assert!(black_box(&item)[0][0] == n && item[0][127] == n);
    }
    millions(contender.count, started.elapsed()) * 1e6 * 1024.0 / (1_u64 << 30) as f64
}

fn rtrb_single<T: Pod + Send>(
    count: u64,
    make: impl Fn(u64) -> T + Send + Sync,
    check: impl Fn(T, u64) -> bool,
) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<T>::new(CAPACITY);
    let barrier = std::sync::Barrier::new(2);
    let (barrier, make) = (&barrier, &make);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(machine::PRODUCER_CPU);
            barrier.wait();
            for n in 0..count {
                let mut item = make(n);
                while let Err(rtrb::PushError::Full(back)) = producer.push(item) {
                    item = back;
                    spin_loop();
                }
            }
        });
        barrier.wait();
        let started = Instant::now();
        for n in 0..count {
            loop {
                if let Ok(item) = consumer.pop() {
                    assert!(check(item, n));
                    break;
                }
                spin_loop();
            }
        }
        millions(count, started.elapsed())
    })
}

fn rtrb_chunks<T: Pod + Send + Default>(
    count: u64,
    make: impl Fn(u64) -> T + Send + Sync,
    check: impl Fn(T, u64) -> bool,
) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<T>::new(CAPACITY);
    let barrier = std::sync::Barrier::new(2);
    let (barrier, make) = (&barrier, &make);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(machine::PRODUCER_CPU);
            barrier.wait();
            let mut next = 0;
            while next < count {
                let free = producer.slots().min(CHUNK).min((count - next) as usize);
                let Ok(mut chunk) = producer.write_chunk(free.max(1)) else {
                    spin_loop();
                    continue;
                };
                let (first, second) = chunk.as_mut_slices();
                for item in first.iter_mut().chain(second) {
                    *item = make(next);
                    next += 1;
                }
                chunk.commit_all();
            }
        });
        barrier.wait();
        let started = Instant::now();
        let mut next = 0;
        while next < count {
            let there = consumer.slots().min(CHUNK);
            let Ok(chunk) = consumer.read_chunk(there.max(1)) else {
                spin_loop();
                continue;
            };
            let (first, second) = chunk.as_slices();
            let mut right = true;
            for &item in first.iter().chain(second) {
                right &= check(item, next);
                next += 1;
            }
            assert!(right);
            chunk.commit_all();
        }
        millions(count, started.elapsed())
    })
}

type LectureRing<'a> = lecture::BoundedBuffer<'a, u64, CAPACITY>;

fn lecture_produce(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let segment = SegmentId::from_raw(ids[0]).attach().unwrap();
    let ring = LectureRing::new(&segment).unwrap();
    go();
    for n in 0..count {
        ring.produce(n).unwrap();
    }
}

fn lecture_consume(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let mut options = SegmentOptions::new();
    let segment = options
        .size_bytes(LectureRing::SIZE_BYTES)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let ring = LectureRing::new(&segment).unwrap();
    worker.begin(
        control,
        contender.name,
        [segment.id().as_raw(), 0],
        contender.count,
    );
    let started = Instant::now();
    for n in 0..contender.count {
        assert!(ring.consume().unwrap() == n);
    }
    millions(contender.count, started.elapsed())
}

fn pipe(count: u64) -> f64 {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(machine::PRODUCER_CPU);
            for n in 0..count {
                writer.write_all(&n.to_ne_bytes()).unwrap();
            }
        });
        let started = Instant::now();
        let mut bytes = [0; 8];
        for n in 0..count {
            reader.read_exact(&mut bytes).unwrap();
            assert_eq!(u64::from_ne_bytes(bytes), n);
        }
        millions(count, started.elapsed())
    })
}

fn answer(ids: [i32; 2], count: u64, waiting: Waiting, go: &dyn Fn()) {
    let mut hear = attach::<u64>(ids[0]).consumer().unwrap();
    let mut tell = attach::<u64>(ids[1]).producer().unwrap();
    hear.waiting(waiting);
    go();
    for _ in 0..count {
        let item = hear.pop().unwrap();
        tell.push(item + 1).unwrap();
    }
}

fn ask(contender: &Contender, control: &Control, worker: &mut Worker, waiting: Waiting) -> f64 {
    let (there, back) = (
        ring::<u64>(CAPACITY, Layout::Interleaved),
        ring::<u64>(CAPACITY, Layout::Interleaved),
    );
    let mut tell = there.producer().unwrap();
    let mut hear = back.consumer().unwrap();
    hear.waiting(waiting);
    worker.begin(
        control,
        contender.name,
        [id(&there), id(&back)],
        contender.count,
    );
    let started = Instant::now();
    for n in 0..contender.count {
        tell.push(n).unwrap();
        assert_eq!(hear.pop().unwrap(), n + 1);
    }
    started.elapsed().as_nanos() as f64 / contender.count as f64
}

fn rtrb_round_trip(count: u64) -> f64 {
    let (mut tell, mut there) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let (mut back, mut hear) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    fn pop(consumer: &mut rtrb::Consumer<u64>) -> u64 {
        loop {
            if let Ok(item) = consumer.pop() {
                return item;
            }
            spin_loop();
        }
    }
    std::thread::scope(|scope| {
        scope.spawn(move || {
            pin(machine::PRODUCER_CPU);
            for _ in 0..count {
                back.push(pop(&mut there) + 1).unwrap();
            }
        });
        // The other thread moves first.
        std::thread::sleep(Duration::from_millis(5));
        let started = Instant::now();
        for n in 0..count {
            tell.push(n).unwrap();
            assert_eq!(pop(&mut hear), n + 1);
        }
        started.elapsed().as_nanos() as f64 / count as f64
    })
}

/// Nanoseconds on a clock that both processes share.
fn shared_clock() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Processor time of this thread, in nanoseconds.
fn processor_time() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Between two wake-ups: long enough for the other side to be asleep.
const LULL: Duration = Duration::from_millis(2);

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn wake_spsc(_: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let mut producer = attach::<u64>(ids[0]).producer().unwrap();
    go();
    for _ in 0..count {
        std::thread::sleep(LULL);
        producer.push(shared_clock()).unwrap();
    }
}

fn woken_spsc(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let ring = ring::<u64>(CAPACITY, Layout::Interleaved);
    let mut consumer = ring.consumer().unwrap();
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    median(
        (0..contender.count)
            .map(|_| {
                let pushed = consumer.pop().unwrap();
                (shared_clock() - pushed) as f64 / 1e3
            })
            .collect(),
    )
}

#[allow(unsafe_code)]
fn futex(word: *const u32, operation: i32, value: u32) {
    // SAFETY: the word is in a segment that the caller has attached.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            operation,
            value,
            std::ptr::null::<libc::timespec>(),
        )
    };
}

fn wake_futex(control: &Control, _: [i32; 2], count: u64, go: &dyn Fn()) {
    let words = control.words();
    let word = words.at(machine::PING).as_ptr().cast::<u32>();
    go();
    for round in 1..=count {
        std::thread::sleep(LULL);
        words.store(machine::RESULT, shared_clock(), Ordering::Relaxed);
        words.store(machine::PING, round, Ordering::SeqCst);
        futex(word, libc::FUTEX_WAKE, 1);
    }
}

fn woken_futex(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let words = control.words();
    let word = words.at(machine::PING).as_ptr().cast::<u32>();
    worker.begin(control, contender.name, [0, 0], contender.count);
    let figures = (1..=contender.count)
        .map(|round| {
            // Later rounds may have come while this process was not running.
            while words.load(machine::PING, Ordering::Acquire) < round {
                futex(word, libc::FUTEX_WAIT, round as u32 - 1);
            }
            (shared_clock() - words.load(machine::RESULT, Ordering::Relaxed)) as f64 / 1e3
        })
        .collect();
    words.store(machine::PING, 0, Ordering::Relaxed);
    median(figures)
}

fn idle(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let ring = ring::<u64>(CAPACITY, Layout::Interleaved);
    let _producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    worker.begin(control, contender.name, [0, 0], 0);
    let before = processor_time();
    assert!(consumer.pop_timeout(Duration::from_secs(1)).is_err());
    (processor_time() - before) as f64 / 1e3
}

/// What as many sleeps cost by themselves.
fn idle_futex(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let words = control.words();
    let word = words.at(machine::PING).as_ptr().cast::<u32>();
    worker.begin(control, contender.name, [0, 0], 0);
    let slice = libc::timespec {
        tv_sec: 0,
        tv_nsec: 80_000_000,
    };
    let (started, before) = (Instant::now(), processor_time());
    while started.elapsed() < Duration::from_secs(1) {
        // SAFETY: the word is in a segment that this function has attached, and the time outlives the call.
        #[allow(unsafe_code)]
        unsafe {
            libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, 0, &raw const slice);
        }
    }
    (processor_time() - before) as f64 / 1e3
}

fn produce_for_slow(control: &Control, ids: [i32; 2], count: u64, go: &dyn Fn()) {
    let mut producer = attach::<u64>(ids[0]).producer().unwrap();
    go();
    let (started, before) = (Instant::now(), processor_time());
    for n in 0..count {
        producer.push(n).unwrap();
    }
    let share = (processor_time() - before) as f64 / started.elapsed().as_nanos() as f64;
    control
        .words()
        .store(machine::RESULT, share.to_bits(), Ordering::Release);
}

/// 20 microseconds of work per item.
fn consume_slowly(contender: &Contender, control: &Control, worker: &mut Worker) -> f64 {
    let ring = ring::<u64>(CAPACITY, Layout::Interleaved);
    let mut consumer = ring.consumer().unwrap();
    control.words().store(machine::RESULT, 0, Ordering::Relaxed);
    worker.begin(control, contender.name, [id(&ring), 0], contender.count);
    for expected in 0..contender.count {
        assert_eq!(consumer.pop().unwrap(), expected);
        let started = Instant::now();
        while started.elapsed() < Duration::from_micros(20) {
            spin_loop();
        }
    }
    loop {
        let share = control.words().load(machine::RESULT, Ordering::Acquire);
        if share != 0 {
            return f64::from_bits(share);
        }
    }
}
