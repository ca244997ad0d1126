//! What the calls do within one process, and what is left of handles that go.

use crate::common::peer;
use crate::support::{LAYOUTS, Random, attach, id, ring, ring_with, seed};
use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Layout, Options, PopError, PushError, Role};
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState, Waiting};
use sysvshm::{Key, SegmentOptions};

/// What a comparison with a queue of the standard library leaves out.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leave {
    /// Nothing: every reservation is committed and every peek released, whole.
    Nothing,
    /// Slots are skipped and items given back: fewer fit for a lap, and items may come in another order.
    SkipAndGiveBack,
}

/// Against a queue of the standard library: every call, every capacity from 1 up, both layouts, across the wrap of
/// the laps.
#[test]
fn behaves_like_a_bounded_queue() {
    let mut random = Random::new(seed());
    for layout in LAYOUTS {
        for capacity in [1, 2, 3, 4, 5, 7, 8, 16, 33] {
            for leave in [Leave::Nothing, Leave::SkipAndGiveBack] {
                compare(&mut random, capacity, layout, leave);
            }
        }
    }
}

fn compare(random: &mut Random, capacity: usize, layout: Layout, leave: Leave) {
    let mut options = Options::new();
    options
        .capacity(capacity)
        .layout(layout)
        .start_lap(u64::MAX - 20);
    let ring: BoundedBuffer<u64> = ring_with(&options);
    assert_eq!(ring.layout(), layout);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(
        (producer.buffer().layout(), consumer.buffer().layout()),
        (layout, layout)
    );
    let mut model: VecDeque<u64> = VecDeque::new();
    let mut next = 0;
    let is_exact = leave == Leave::Nothing;
    let take = |model: &mut VecDeque<u64>, item: u64| {
        let at = model.iter().position(|&there| there == item);
        assert!(
            if is_exact {
                at == Some(0)
            } else {
                at.is_some()
            },
            "{item} of {model:?}"
        );
        model.remove(at.unwrap());
    };
    for _ in 0..3000 {
        let room = capacity - model.len();
        let is_full = |room| room == 0 || !is_exact;
        match random.below(8) {
            0 => match producer.try_push(next) {
                Ok(()) => {
                    assert!(room > 0);
                    model.push_back(next);
                    next += 1;
                }
                Err(error) => {
                    assert_eq!(error, PushError::Full(next));
                    assert!(is_full(room), "{room} left");
                }
            },
            1 => {
                let items: Vec<u64> = (next..next + random.below(6)).collect();
                match producer.try_push_slice(&items) {
                    Ok(count) => {
                        assert!(count <= items.len().min(room));
                        assert!(count > 0 || items.is_empty());
                        model.extend(&items[..count]);
                        next += count as u64;
                    }
                    Err(error) => {
                        assert_eq!(error, PushError::Full(()));
                        assert!(is_full(room), "{room} left");
                    }
                }
            }
            2 => match producer.try_reserve(1 + random.below(5) as usize) {
                Ok(mut space) => {
                    let len = space.len();
                    assert!(len >= 1 && len <= room);
                    for index in 0..len {
                        space.set(index, next + index as u64);
                    }
                    let view = space.as_shared_slice().map(|view| view.to_vec());
                    match layout {
                        Layout::Contiguous => {
                            assert_eq!(view, Some((next..next + len as u64).collect()));
                        }
                        Layout::Interleaved => assert_eq!(view, None),
                    }
                    let count = if is_exact {
                        len as u64
                    } else {
                        random.below(len as u64 + 1)
                    };
                    space.commit(count as usize).unwrap();
                    model.extend(next..next + count);
                    next += count;
                }
                Err(error) => {
                    assert_eq!(error, PushError::Full(()));
                    assert!(is_full(room), "{room} left");
                }
            },
            3 => match consumer.try_pop() {
                Ok(item) => take(&mut model, item),
                Err(error) => assert_eq!((error, model.len()), (PopError::Empty, 0)),
            },
            4 => {
                let mut items = vec![0; random.below(6) as usize];
                match consumer.try_pop_slice(&mut items) {
                    Ok(count) => {
                        assert!(count <= items.len().min(model.len()));
                        assert!(count > 0 || items.is_empty());
                        items[..count]
                            .iter()
                            .for_each(|&item| take(&mut model, item));
                    }
                    Err(error) => assert_eq!((error, model.len()), (PopError::Empty, 0)),
                }
            }
            5 => match consumer.try_peek(1 + random.below(5) as usize) {
                Ok(items) => {
                    let len = items.len();
                    assert!(len >= 1 && len <= model.len());
                    let seen: Vec<u64> = (0..len).map(|index| items.get(index)).collect();
                    let view = items.as_shared_slice().map(|view| view.to_vec());
                    match layout {
                        Layout::Contiguous => assert_eq!(view.as_ref(), Some(&seen)),
                        Layout::Interleaved => assert_eq!(view, None),
                    }
                    let count = if is_exact {
                        len
                    } else {
                        random.below(len as u64 + 1) as usize
                    };
                    items.release(count).unwrap();
                    seen[..count]
                        .iter()
                        .for_each(|&item| take(&mut model, item));
                }
                Err(error) => assert_eq!((error, model.len()), (PopError::Empty, 0)),
            },
            // Another handle finds its way.
            6 => producer = ring.producer().unwrap(),
            _ => consumer = ring.consumer().unwrap(),
        }
        let len = model.len();
        assert_eq!(
            (ring.len(), producer.len(), consumer.len()),
            (len, len, len)
        );
        assert_eq!(
            (ring.is_empty(), producer.is_full(), consumer.is_empty()),
            (len == 0, len == capacity, len == 0)
        );
    }
}

/// Items of every size and alignment arrive whole, one by one and in batches.
#[test]
fn items_of_many_sizes_arrive_whole() {
    fn check<T: sysvshm::bytemuck::Pod + PartialEq + std::fmt::Debug>(layout: Layout) {
        let ring: BoundedBuffer<T> = ring_with(Options::new().capacity(3).layout(layout));
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for round in 0..20_u8 {
            let mut items = vec![T::zeroed(); 3];
            for (index, byte) in sysvshm::bytemuck::cast_slice_mut::<T, u8>(&mut items)
                .iter_mut()
                .enumerate()
            {
                *byte = round.wrapping_mul(31).wrapping_add(index as u8);
            }
            producer.push(items[0]).unwrap();
            assert_eq!(consumer.pop(), Ok(items[0]));
            let mut pushed = 0;
            while pushed < 3 {
                pushed += producer.try_push_slice(&items[pushed..]).unwrap();
            }
            let mut got = vec![T::zeroed(); 3];
            let mut popped = 0;
            while popped < 3 {
                popped += consumer.try_pop_slice(&mut got[popped..]).unwrap();
            }
            assert!(got == items, "{layout:?}");
        }
    }
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(C, align(256))]
    struct Lines([u8; 256]);
    #[allow(unsafe_code)]
    // SAFETY: 256 bytes of which any value is one.
    unsafe impl sysvshm::bytemuck::Zeroable for Lines {}
    #[allow(unsafe_code)]
    // SAFETY: 256 bytes without padding, of which any value is one.
    unsafe impl sysvshm::bytemuck::Pod for Lines {}
    let all = || {
        for layout in LAYOUTS {
            check::<u8>(layout);
            check::<u16>(layout);
            check::<u64>(layout);
            check::<u128>(layout);
            check::<[u8; 3]>(layout);
            check::<[u64; 3]>(layout);
            check::<[u8; 1024]>(layout);
            check::<[u8; 65536]>(layout);
            check::<Lines>(layout);
        }
    };
    // Without optimisation every step of passing 64 KiB by value keeps a copy of its own.
    let roomy = thread::Builder::new().stack_size(64 << 20);
    roomy.spawn(all).unwrap().join().unwrap();
}

/// Several push runs of bytes and several pop them: every byte arrives once. One consumer sees each producer's bytes
/// in order, and those of one push together.
#[test]
fn runs_of_many_producers_stay_whole() {
    for layout in LAYOUTS {
        for consumers in [1, 2] {
            many_producers(layout, consumers);
        }
    }
}

fn many_producers(layout: Layout, consumers: usize) {
    // Each producer's number in two bits, the running number of the push in six, as often as it has bytes.
    const WRITES: usize = 3000;
    const BYTES: usize = 7;
    let ring: BoundedBuffer<u8> = ring_with(Options::new().capacity(96).layout(layout));
    let (read, first_writes): (Vec<Vec<u8>>, Vec<Vec<usize>>) = thread::scope(|scope| {
        let reading: Vec<_> = (0..consumers)
            .map(|_| {
                let mut consumer = ring.consumer().unwrap();
                scope.spawn(move || {
                    let mut all = Vec::new();
                    let mut into = [0; 40];
                    consumer.notice_departure(true);
                    loop {
                        match consumer.pop_slice(&mut into) {
                            Ok(count) => all.extend_from_slice(&into[..count]),
                            Err(error) => break assert_eq!(error, PopError::PeerLeft),
                        }
                    }
                    all
                })
            })
            .collect();
        // All there before one is gone: consumers end when none is left.
        let producers: Vec<_> = (0..3).map(|_| ring.producer().unwrap()).collect();
        let writing: Vec<_> = producers
            .into_iter()
            .enumerate()
            .map(|(writer, mut producer)| {
                scope.spawn(move || {
                    let mut first_writes = Vec::new();
                    for number in 0..WRITES {
                        let bytes = [((writer << 6) | (number % 64)) as u8; BYTES];
                        // A push may be short: at the end of the buffer, or when there is little room.
                        let done = loop {
                            match producer.try_push_slice(&bytes) {
                                Ok(done) => break done,
                                Err(error) => assert_eq!(error, PushError::Full(())),
                            }
                            thread::yield_now();
                        };
                        assert!((1..=BYTES).contains(&done));
                        producer.push_slice(&bytes[done..]).unwrap();
                        first_writes.push(done);
                    }
                    first_writes
                })
            })
            .collect();
        (
            reading.into_iter().map(|one| one.join().unwrap()).collect(),
            writing.into_iter().map(|one| one.join().unwrap()).collect(),
        )
    });
    let mut counts = [0; 256];
    for &byte in read.iter().flatten() {
        counts[usize::from(byte)] += 1;
    }
    for writer in 0..3 {
        for number in 0..64 {
            let expected = BYTES * (WRITES / 64 + usize::from(number < WRITES % 64));
            assert_eq!(counts[writer << 6 | number], expected, "{layout:?}");
        }
    }
    if let [all] = &read[..] {
        for (writer, first_writes) in first_writes.iter().enumerate() {
            let at: Vec<usize> = (0..all.len())
                .filter(|&at| usize::from(all[at] >> 6) == writer)
                .collect();
            for (number, &len) in first_writes.iter().enumerate() {
                let bytes = &at[number * BYTES..(number + 1) * BYTES];
                let is_this = |&at: &usize| usize::from(all[at] & 63) == number % 64;
                assert!(bytes.iter().all(is_this), "{layout:?}");
                assert_eq!(bytes[len - 1] - bytes[0], len - 1, "{layout:?}");
            }
        }
    }
}

/// A wait ends at its timeout and not before, in all ways of waiting, whatever the call.
#[test]
fn timeouts_are_not_early() {
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Yield] {
        let ring = ring::<u32>(1);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.waiting(waiting);
        consumer.waiting(waiting);
        for millis in [0, 1, 30, 130] {
            let wait = Duration::from_millis(millis);
            let lasts = |what: &str, call: &mut dyn FnMut()| {
                let started = Instant::now();
                call();
                assert!(started.elapsed() >= wait, "{what}, {waiting:?}");
            };
            lasts("pop", &mut || {
                assert_eq!(consumer.pop_timeout(wait), Err(PopError::TimedOut));
            });
            lasts("pop_slice", &mut || {
                let popped = consumer.pop_slice_timeout(&mut [0; 2], wait);
                assert_eq!(popped, Err(PopError::TimedOut));
            });
            lasts("peek", &mut || {
                let peeked = consumer.peek_timeout(1, wait).map(drop);
                assert_eq!(peeked, Err(PopError::TimedOut));
            });
            producer.push(1).unwrap();
            lasts("push", &mut || {
                assert_eq!(producer.push_timeout(2, wait), Err(PushError::TimedOut(2)));
            });
            lasts("push_slice", &mut || {
                let pushed = producer.push_slice_timeout(&[2, 3], wait);
                assert_eq!(pushed, Err(PushError::TimedOut(0)));
            });
            lasts("reserve", &mut || {
                let reserved = producer.reserve_timeout(1, wait).map(drop);
                assert_eq!(reserved, Err(PushError::TimedOut(())));
            });
            assert_eq!(consumer.pop(), Ok(1));
        }
    }
}

/// Both layouts, ways of waiting, with and without membarrier: two producers and two consumers, nothing lost, each
/// producer's order kept.
#[test]
fn streams_between_threads_stay_in_order() {
    const EACH: u64 = 5000;
    for layout in LAYOUTS {
        for (waiting, fences) in [
            (Waiting::Sleep, false),
            (Waiting::Sleep, true),
            (Waiting::Yield, false),
        ] {
            let mut options = Options::new();
            options.capacity(5).layout(layout).fences(fences);
            let ring: BoundedBuffer<u64> = ring_with(&options);
            let sum: u64 = thread::scope(|scope| {
                let popping: Vec<_> = (0..2)
                    .map(|_| {
                        let mut consumer = ring.consumer().unwrap();
                        consumer.waiting(waiting).notice_departure(true);
                        scope.spawn(move || {
                            let (mut sum, mut last) = (0, [0; 2]);
                            let mut items = consumer.iter();
                            for item in items.by_ref() {
                                let name = (item / (2 * EACH)) as usize;
                                assert!(item % (2 * EACH) >= last[name]);
                                last[name] = item % (2 * EACH);
                                sum += last[name];
                            }
                            assert_eq!(items.why_it_ended(), Some(PopError::PeerLeft));
                            sum
                        })
                    })
                    .collect();
                for name in 0..2 {
                    let mut producer = ring.producer().unwrap();
                    producer.waiting(waiting);
                    scope.spawn(move || {
                        let items: Vec<u64> = (0..EACH).map(|n| name * 2 * EACH + n).collect();
                        for run in items.chunks(3) {
                            producer.push_slice(run).unwrap();
                        }
                    });
                }
                popping.into_iter().map(|one| one.join().unwrap()).sum()
            });
            assert_eq!(sum, EACH * (EACH - 1), "{layout:?} {waiting:?} {fences}");
        }
    }
}

#[test]
fn every_slot_can_be_used_at_every_capacity() {
    for capacity in [1, 2, 3, 7, 64] {
        let ring = ring_with::<u64>(Options::new().capacity(capacity).start_lap(u64::MAX - 1));
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for lap in 0..5 {
            for item in 0..capacity as u64 {
                assert_eq!(producer.try_push(lap + item), Ok(()));
            }
            assert_eq!(producer.try_push(0), Err(PushError::Full(0)));
            assert!(ring.is_full());
            for item in 0..capacity as u64 {
                assert_eq!(consumer.try_pop(), Ok(lap + item));
            }
            assert_eq!(consumer.try_pop(), Err(PopError::Empty));
            assert!(ring.is_empty());
        }
    }
}

#[test]
fn what_is_not_committed_is_skipped_and_comes_back() {
    let ring = ring::<u64>(4);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    drop(producer.try_reserve(2).unwrap());
    let mut space = producer.try_reserve(2).unwrap();
    space.set(0, 1);
    space.commit(1).unwrap();
    assert!(consumer.try_iter().eq([1]));
    for _ in 0..3 {
        assert_eq!(producer.try_push_slice(&[1, 2, 3, 4]), Ok(4));
        assert!(consumer.try_iter().eq([1, 2, 3, 4]));
    }
}

/// A forgotten guard holds its slots as long as its handle, and no longer.
#[test]
fn forgotten_guards_are_settled_with_their_handles() {
    let ring = ring::<u64>(4);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.try_push_slice(&[1, 2]).unwrap();
    std::mem::forget(consumer.try_peek(2).unwrap());
    std::mem::forget(producer.try_reserve(1).unwrap());
    drop(consumer);
    drop(producer);
    let mut consumer = ring.consumer().unwrap();
    let mut found: Vec<u64> = consumer.try_iter().collect();
    found.sort_unstable();
    assert_eq!(found, [1, 2]);
}

/// A producer that is idle while others go round far more laps than it remembers finds its way again, and so does a
/// consumer.
#[test]
fn the_idle_find_their_way() {
    let ring = ring::<u64>(3);
    let (mut idle, mut lazy) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..10_000 {
        producer.try_push(item).unwrap();
        assert_eq!(consumer.try_pop(), Ok(item));
        if item % 1777 == 0 {
            idle.try_push(item).unwrap();
            assert_eq!(lazy.try_pop(), Ok(item));
        }
    }
}

#[test]
fn the_dead_are_seen_recovered_and_replaced() {
    let dying = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let items = consumer.try_peek(2).unwrap();
        let space = producer.try_reserve(2).unwrap();
        talk.say("holding");
        talk.hear();
        drop((items, space));
    });
    let ring = ring_with::<u64>(Options::new().capacity(4).participants(3));
    ring.producer().unwrap().try_push_slice(&[1, 2]).unwrap();
    let mut running = dying.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    assert!(ring.recover().unwrap().is_nothing());
    let all = ring.participants();
    assert_eq!(all.len(), 2);
    assert!(
        all.iter()
            .all(|one| one.state == PeerState::Alive && one.pid == Some(running.pid()))
    );
    running.kill();
    assert!(
        ring.participants()
            .iter()
            .all(|one| one.state == PeerState::Dead)
    );
    let found = ring.recover().unwrap();
    assert_eq!(
        (found.participants, found.redelivered, found.skipped),
        (2, 2, 2)
    );
    assert!(ring.participants().is_empty());
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(ring.participants()[0].role, Some(Role::Consumer));
    assert!(consumer.try_iter().eq([1, 2]));
}

/// One who sleeps is not left waiting by one who died, and the table's entry of the dead is used again.
#[test]
fn sleepers_recover_what_the_dead_hold() {
    let dying = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let mut consumer = ring.consumer().unwrap();
        let items = consumer.try_peek(1).unwrap();
        talk.say("holding");
        talk.hear();
        drop(items);
    });
    let ring = ring_with::<u64>(Options::new().capacity(1).participants(2));
    ring.producer().unwrap().push(5).unwrap();
    let mut running = dying.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    let mut consumer = ring.consumer().unwrap();
    assert!(matches!(
        ring.producer(),
        Err(ClaimError::TableFull { participants: 2 })
    ));
    let sleeping = thread::spawn(move || consumer.pop_timeout(Duration::from_secs(60)));
    thread::sleep(Duration::from_millis(30));
    running.kill();
    assert_eq!(sleeping.join().unwrap(), Ok(5));
    assert!(ring.producer().is_ok());
}

#[test]
fn sleepers_are_woken() {
    let ring = ring::<u64>(2);
    let sum: u64 = thread::scope(|scope| {
        let adding: Vec<_> = (0..3)
            .map(|_| {
                let mut consumer = ring.consumer().unwrap();
                scope.spawn(move || consumer.notice_departure(true).iter().sum::<u64>())
            })
            .collect();
        let mut producer = ring.producer().unwrap();
        for item in 0..300 {
            producer.push(item).unwrap();
            if item % 50 == 0 {
                thread::sleep(Duration::from_millis(3));
            }
        }
        drop(producer);
        adding.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(sum, 299 * 300 / 2);
}

/// What is open already and what is asked for are told apart, with both values.
#[test]
fn mismatches_say_both_values() {
    let key = Key::random().unwrap();
    let mut options = Options::new();
    let ring = options
        .capacity(8)
        .participants(5)
        .removal(sysvshm::Removal::OnDrop)
        .create_new::<u32>(key)
        .unwrap();
    let mismatch = |result: Result<(), OpenError>| match result {
        Err(OpenError::LayoutMismatch {
            what,
            found,
            expected,
        }) => (what, found, expected),
        other => panic!("{other:?}"),
    };
    let open = |options: &Options| options.open::<u32>(key).map(drop);
    assert_eq!(
        mismatch(Options::new().open::<u64>(key).map(drop)),
        ("item size", 4, 8)
    );
    // An alignment for which no item lies elsewhere is none to refuse.
    assert!(Options::new().open::<[u16; 2]>(key).is_ok());
    for (wished, expected) in [
        (Options::new().capacity(9).clone(), ("capacity", 8, 9)),
        (
            Options::new().participants(3).clone(),
            ("participant table", 5, 3),
        ),
        (
            Options::new().layout(Layout::Contiguous).clone(),
            ("layout", 0, 1),
        ),
    ] {
        assert_eq!(mismatch(open(&wished)), expected);
    }
    for capacity in [7, 9, 1000] {
        let other = Options::new()
            .capacity(capacity)
            .open_or_create::<u32>(key)
            .map(drop);
        assert_eq!(mismatch(other), ("capacity", 8, capacity as u64));
    }
    let same = Options::new()
        .capacity(8)
        .participants(5)
        .open_or_create::<u32>(key);
    assert_eq!(same.unwrap().generation(), ring.generation());
    let spsc = sysvshm::bounded_buffer::spsc::Options::new()
        .open::<u32>(key)
        .map(drop);
    assert_eq!(mismatch(spsc).0, "magic");
    let word = |at, value: u64| ring.segment().reference::<u64>(at).unwrap().store(value);
    word(16, 3);
    assert_eq!(mismatch(open(&Options::new())), ("version", 3, 2));
    word(16, 2 | 2 << 32);
    assert_eq!(mismatch(open(&Options::new())), ("layout", 2, 0));
    for options in [
        Options::new(),
        Options::new().capacity(1).participants(513).clone(),
        Options::new().capacity(1).participants(0).clone(),
        Options::new().capacity((1 << 31) + 1).clone(),
    ] {
        assert!(matches!(
            options.create_new::<u64>(Key::PRIVATE),
            Err(OpenError::CapacityOutOfRange { .. })
        ));
    }
}

/// A header that lies about its size does not lead outside the segment.
#[test]
fn a_lying_header_is_refused() {
    for layout in LAYOUTS {
        let ring: BoundedBuffer<u32> =
            ring_with(Options::new().capacity(8).participants(4).layout(layout));
        let id = ring.segment().id();
        let word = |at, value: u64| ring.segment().reference::<u64>(at).unwrap().store(value);
        let opens = || Options::new().attach::<u32>(id).is_ok();
        for capacity in [0, 9, 1 << 20, 1 << 31, u64::MAX, 1 << 61] {
            word(32, capacity);
            assert!(!opens(), "capacity {capacity}");
        }
        word(32, 8);
        for participants in [0, 60, 512, 513, u64::MAX] {
            word(128, participants);
            assert!(!opens(), "{participants} participants");
        }
        word(128, 4);
        assert!(opens());
        word(56, 1);
        assert!(!opens());
    }
}

/// Somebody else's memory is neither opened nor overwritten.
#[test]
fn a_segment_with_other_contents_is_left_alone() {
    let segment = SegmentOptions::new()
        .size_bytes(8192)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    segment
        .write_at(0, b"their own data, which is precious")
        .unwrap();
    let result = Options::new()
        .capacity(4)
        .in_segment::<u64>(segment.id().attach().unwrap());
    assert!(matches!(
        result,
        Err(OpenError::LayoutMismatch { what: "magic", .. })
    ));
    let mut bytes = [0; 33];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"their own data, which is precious");
}

/// Nobody initialises: the opener gives up after its patience, and says so.
#[test]
fn an_untouched_segment_is_waited_for() {
    let segment = SegmentOptions::new()
        .size_bytes(8192)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let patience = Duration::from_millis(30);
    let started = Instant::now();
    let result = Options::new()
        .patience(patience)
        .attach::<u64>(segment.id());
    assert!(matches!(result, Err(OpenError::NotInitialised { .. })));
    assert!(started.elapsed() >= patience);
    // And who may, does.
    let made = Options::new().capacity(4).in_segment::<u64>(segment);
    assert!(made.is_ok());
}

/// Many threads open or create the same key at once, and find one ring.
#[test]
fn one_ring_comes_out_of_many_creators() {
    let key = crate::common::OwnedKey::random();
    let open = || {
        let ring = Options::new()
            .capacity(64)
            .open_or_create::<u64>(key.key())
            .unwrap();
        ring.generation()
    };
    let generations: Vec<u64> = thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        openers.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(generations.iter().all(|&one| one == generations[0]));
}

/// What is known about a side: nobody yet, somebody, nobody any more.
#[test]
fn a_side_is_as_alive_as_the_liveliest_of_its_handles() {
    let ring = ring::<u8>(4);
    let states = |ring: &BoundedBuffer<u8>| (ring.producer_state(), ring.consumer_state());
    assert_eq!(states(&ring), (PeerState::Never, PeerState::Never));
    let (one, two) = (ring.producer().unwrap(), ring.producer().unwrap());
    assert_eq!(states(&ring), (PeerState::Alive, PeerState::Never));
    let consumer = ring.consumer().unwrap();
    assert_eq!(one.buffer().consumer_state(), PeerState::Alive);
    drop(one);
    assert_eq!(consumer.buffer().producer_state(), PeerState::Alive);
    drop(two);
    assert_eq!(consumer.buffer().producer_state(), PeerState::Left);
    drop(consumer);
    assert_eq!(states(&ring), (PeerState::Left, PeerState::Left));
}

/// A wait that was asked to notice ends when nobody is left on the other side, and not before the buffer is
/// drained.
#[test]
fn departure_is_noticed_if_asked() {
    let ring = ring::<u8>(2);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let other = ring.producer().unwrap();
    consumer.notice_departure(true);
    producer.push(1).unwrap();
    thread::scope(|scope| {
        let popping = scope.spawn(|| (consumer.pop(), consumer.pop()));
        thread::sleep(Duration::from_millis(20));
        drop(producer);
        thread::sleep(Duration::from_millis(20));
        assert!(!popping.is_finished(), "one producer is left");
        drop(other);
        assert_eq!(popping.join().unwrap(), (Ok(1), Err(PopError::PeerLeft)));
    });
    let mut producer = ring.producer().unwrap();
    producer.notice_departure(true).push_slice(&[1, 2]).unwrap();
    drop(consumer);
    assert_eq!(producer.push(3), Err(PushError::PeerLeft(3)));
    // Without being asked, it waits for the next one.
    producer.notice_departure(false);
    let pushed = producer.push_timeout(3, Duration::from_millis(1));
    assert_eq!(pushed, Err(PushError::TimedOut(3)));
}

/// Handles may move to other threads.
#[test]
fn auto_traits() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<sysvshm::bounded_buffer::mpmc::Producer<u64>>();
    send::<sysvshm::bounded_buffer::mpmc::Consumer<u64>>();
    send::<BoundedBuffer<u64>>();
    sync::<BoundedBuffer<u64>>();
}
