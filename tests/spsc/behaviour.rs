//! What the calls do, within one process.

use crate::support::{LAYOUTS, Random, budget, ring, ring_with};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options, PopError, PushError};
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState, Waiting};
use sysvshm::{Key, SegmentOptions};

/// Against a queue of the standard library: every call, every capacity from 1 up, both layouts, from a start just
/// before a wrap of 2^64 and of 2^32.
#[test]
fn behaves_like_a_bounded_queue() {
    let mut random = Random::new(crate::support::seed());
    for layout in LAYOUTS {
        for capacity in [1, 2, 3, 4, 5, 7, 8, 16, 33] {
            let starts: &[u64] = if usize::is_power_of_two(capacity) {
                &[0, u64::MAX - 20, (1 << 32) - 20]
            } else {
                &[0]
            };
            for &start in starts {
                compare(&mut random, capacity, layout, start);
            }
        }
    }
}

fn compare(random: &mut Random, capacity: usize, layout: Layout, start: u64) {
    let mut options = Options::new();
    options
        .capacity(capacity)
        .layout(layout)
        .start_position(start);
    let ring: BoundedBuffer<u64> = ring_with(&options);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut model = std::collections::VecDeque::new();
    let mut next = 0;
    for _ in 0..3000 {
        let room = capacity - model.len();
        match random.below(8) {
            0 => match producer.try_push(next) {
                Ok(()) => {
                    assert!(room > 0);
                    model.push_back(next);
                    next += 1;
                }
                Err(error) => {
                    assert_eq!((error, room), (PushError::Full(next), 0));
                }
            },
            1 => {
                let items: Vec<u64> = (next..next + random.below(6)).collect();
                match producer.try_push_slice(&items) {
                    Ok(count) => {
                        assert_eq!(count, items.len().min(room));
                        model.extend(&items[..count]);
                        next += count as u64;
                    }
                    Err(error) => assert_eq!((error, room), (PushError::Full(()), 0)),
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
                    let count = random.below(len as u64 + 1);
                    space.commit(count as usize).unwrap();
                    model.extend(next..next + count);
                    next += count;
                }
                Err(error) => assert_eq!((error, room), (PushError::Full(()), 0)),
            },
            3 => assert_eq!(consumer.try_pop(), model.pop_front().ok_or(PopError::Empty)),
            4 => {
                let mut items = vec![0; random.below(6) as usize];
                match consumer.try_pop_slice(&mut items) {
                    Ok(count) => {
                        assert_eq!(count, items.len().min(model.len()));
                        assert!(
                            items[..count]
                                .iter()
                                .all(|&item| model.pop_front() == Some(item))
                        );
                    }
                    Err(error) => assert_eq!((error, model.len()), (PopError::Empty, 0)),
                }
            }
            5 => match consumer.try_peek(1 + random.below(5) as usize) {
                Ok(items) => {
                    assert!(items.len() >= 1 && items.len() <= model.len());
                    for (index, &expected) in model.iter().enumerate().take(items.len()) {
                        assert_eq!(items.get(index), expected);
                    }
                    if let Some(view) = items.as_shared_slice() {
                        assert!(view.iter().eq(model.iter().copied().take(items.len())));
                    }
                    let count = random.below(items.len() as u64 + 1) as usize;
                    items.release(count).unwrap();
                    model.drain(..count);
                }
                Err(error) => assert_eq!((error, model.len()), (PopError::Empty, 0)),
            },
            // A successor of either side goes on at the exact position.
            6 => {
                let position = producer.position();
                drop(producer);
                producer = ring.producer().unwrap();
                assert_eq!(producer.position(), position);
                assert_eq!(position.wrapping_sub(start), next);
            }
            _ => {
                let position = consumer.position();
                drop(consumer);
                consumer = ring.consumer().unwrap();
                assert_eq!(consumer.position(), position);
            }
        }
        let len = model.len();
        assert_eq!(
            (ring.len(), producer.len(), consumer.len()),
            (len, len, len)
        );
        assert_eq!(
            (ring.is_empty(), ring.is_full()),
            (len == 0, len == capacity)
        );
        assert_eq!(
            (producer.is_empty(), producer.is_full()),
            (len == 0, len == capacity)
        );
        assert_eq!(
            (consumer.is_empty(), consumer.is_full()),
            (len == 0, len == capacity)
        );
    }
}

/// Items of every size and alignment arrive whole.
#[test]
fn items_of_many_sizes_arrive_whole() {
    fn check<T: sysvshm::bytemuck::Pod + PartialEq + std::fmt::Debug>(layout: Layout) {
        let ring = ring::<T>(3, layout);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for round in 0..20_u8 {
            let mut item = T::zeroed();
            for (index, byte) in sysvshm::bytemuck::bytes_of_mut(&mut item)
                .iter_mut()
                .enumerate()
            {
                *byte = round.wrapping_mul(31).wrapping_add(index as u8);
            }
            producer.push(item).unwrap();
            if round % 3 != 0 {
                producer.try_push_slice(&[item]).unwrap();
                assert_eq!(consumer.pop(), Ok(item));
            }
            assert_eq!(consumer.pop(), Ok(item));
        }
    }
    #[derive(Clone, Copy, PartialEq, Debug)]
    #[repr(C, align(64))]
    struct Line([u8; 64]);
    #[allow(unsafe_code)]
    // SAFETY: 64 bytes of which any value is one.
    unsafe impl sysvshm::bytemuck::Zeroable for Line {}
    #[allow(unsafe_code)]
    // SAFETY: 64 bytes without padding, of which any value is one.
    unsafe impl sysvshm::bytemuck::Pod for Line {}
    let all = || {
        for layout in LAYOUTS {
            check::<u8>(layout);
            check::<u16>(layout);
            check::<u32>(layout);
            check::<u64>(layout);
            check::<u128>(layout);
            check::<[u8; 3]>(layout);
            check::<[u64; 3]>(layout);
            check::<[u8; 1024]>(layout);
            check::<[u8; 65536]>(layout);
            check::<Line>(layout);
        }
    };
    // Without optimisation every step of passing 64 KiB by value keeps a copy of its own.
    let roomy = std::thread::Builder::new().stack_size(64 << 20);
    roomy.spawn(all).unwrap().join().unwrap();
}

/// No mapping promises more than a page.
#[test]
fn an_item_aligned_to_more_than_a_page_is_refused_by_its_alignment() {
    #[derive(Clone, Copy)]
    #[repr(C, align(8192))]
    struct Wide([u8; 8192]);
    #[allow(unsafe_code)]
    // SAFETY: 8192 bytes of which any value is one.
    unsafe impl sysvshm::bytemuck::Zeroable for Wide {}
    #[allow(unsafe_code)]
    // SAFETY: 8192 bytes without padding, of which any value is one.
    unsafe impl sysvshm::bytemuck::Pod for Wide {}
    let error = BoundedBuffer::<Wide>::create_new(Key::PRIVATE, 4).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("8192 bytes") && text.contains("4096 bytes"),
        "{text}"
    );
    assert_eq!(error.kind(), sysvshm::ErrorKind::InvalidInput);
    assert!(!error.is_not_found());
    let _ = Wide([0; 8192]).0;
}

/// Both layouts, all ways of waiting, with and without membarrier: a hundred thousand items between two threads, in
/// order.
#[test]
fn a_stream_between_threads_stays_in_order() {
    for layout in LAYOUTS {
        for waiting in [Waiting::Sleep, Waiting::Yield] {
            for fences in [false, true] {
                let mut options = Options::new();
                options.capacity(5).layout(layout).fences(fences);
                let ring: BoundedBuffer<u64> = ring_with(&options);
                let (mut producer, mut consumer) =
                    (ring.producer().unwrap(), ring.consumer().unwrap());
                let count = budget("SYSVSHM_STREAM", 20_000);
                thread::scope(|scope| {
                    scope.spawn(move || {
                        producer.waiting(waiting);
                        for item in 0..count {
                            producer.push(item).unwrap();
                        }
                    });
                    consumer.waiting(waiting).notice_departure(true);
                    let mut items = consumer.iter();
                    assert!(
                        items.by_ref().eq(0..count),
                        "{layout:?} {waiting:?} {fences}"
                    );
                    assert_eq!(items.why_it_ended(), Some(PopError::PeerLeft));
                });
            }
        }
    }
}

/// Who sleeps is woken: each item is sent only after the answer to the last one, so a lost wake-up would cost a
/// slice every time.
#[test]
fn ping_pong_wakes_the_sleeper() {
    for fences in [false, true] {
        let mut options = Options::new();
        options.capacity(1).fences(fences);
        let (there, back): (BoundedBuffer<u64>, BoundedBuffer<u64>) =
            (ring_with(&options), ring_with(&options));
        let (mut ask, mut hear) = (there.producer().unwrap(), there.consumer().unwrap());
        let (mut answer, mut get) = (back.producer().unwrap(), back.consumer().unwrap());
        thread::scope(|scope| {
            scope.spawn(move || {
                for item in hear.iter().take(500) {
                    // Long enough for the other side to be asleep now and then.
                    if item % 8 == 0 {
                        thread::sleep(Duration::from_micros(300));
                    }
                    answer.push(item + 1).unwrap();
                }
            });
            for item in 0..500 {
                ask.push(item).unwrap();
                assert_eq!(get.pop(), Ok(item + 1));
            }
        });
    }
}

/// A wait ends at its timeout and not before, in all ways of waiting.
#[test]
fn timeouts_are_not_early() {
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Yield] {
        let ring = ring::<u32>(1, Layout::Interleaved);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.waiting(waiting);
        consumer.waiting(waiting);
        for millis in [0, 1, 30, 130] {
            let wait = Duration::from_millis(millis);
            let started = Instant::now();
            assert_eq!(consumer.pop_timeout(wait), Err(PopError::TimedOut));
            assert!(started.elapsed() >= wait);
            assert_eq!(
                consumer.pop_slice_timeout(&mut [0; 2], wait),
                Err(PopError::TimedOut)
            );
            assert!(matches!(
                consumer.peek_timeout(1, wait),
                Err(PopError::TimedOut)
            ));
            producer.push(1).unwrap();
            let started = Instant::now();
            assert_eq!(producer.push_timeout(2, wait), Err(PushError::TimedOut(2)));
            assert!(started.elapsed() >= wait);
            assert_eq!(
                producer.push_slice_timeout(&[2, 3], wait),
                Err(PushError::TimedOut(0))
            );
            assert!(matches!(
                producer.reserve_timeout(1, wait),
                Err(PushError::TimedOut(()))
            ));
            assert_eq!(consumer.pop(), Ok(1));
        }
    }
}

/// A producer asleep on a full buffer goes on although the consumer has not reached the point where it tells.
#[test]
fn room_that_was_not_announced_is_found() {
    let ring = ring::<u64>(64, Layout::Interleaved);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..64 {
        producer.push(item).unwrap();
    }
    thread::scope(|scope| {
        let pushing = scope.spawn(move || producer.push(64));
        thread::sleep(Duration::from_millis(20));
        assert_eq!(consumer.try_pop(), Ok(0));
        pushing.join().unwrap().unwrap();
        assert!(consumer.try_iter().eq(1..=64));
    });
}

#[test]
fn bytes_go_through_read_and_write() {
    for layout in LAYOUTS {
        let ring = ring::<u8>(100, layout);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let sent: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 / 3) as u8).collect();
        let expected = sent.clone();
        let writing = thread::spawn(move || {
            producer.write_all(&sent).unwrap();
            producer.flush().unwrap();
        });
        let mut got = Vec::new();
        consumer.read_to_end(&mut got).unwrap();
        writing.join().unwrap();
        assert!(got == expected, "{layout:?}");
    }
}

/// One writer, one reader, and the end of the stream: whole texts, and an error where there is nobody to read.
#[test]
fn a_stream_of_bytes_ends_with_its_writer() {
    let ring = ring::<u8>(10, Layout::Contiguous);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(producer.write(&[]).unwrap(), 0);
    let sent: Vec<u8> = (0..10_000_u32).map(|n| (n * 7 / 3) as u8).collect();
    let expected = sent.clone();
    let writing = thread::spawn(move || {
        producer.write_all(&sent).unwrap();
        producer
    });
    let mut got = vec![0; expected.len()];
    consumer.read_exact(&mut got).unwrap();
    assert!(got == expected);
    let mut producer = writing.join().unwrap();
    producer.write_all(b"end").unwrap();
    drop(producer);
    let mut text = String::new();
    consumer.read_to_string(&mut text).unwrap();
    assert_eq!(text, "end");
    drop(consumer);
    let mut producer = ring.producer().unwrap();
    producer.notice_departure(true);
    let refused = producer.write_all(&[0; 11]).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
}

/// What is open already and what is asked for are told apart, with both values.
#[test]
fn mismatches_say_both_values() {
    let key = Key::random().unwrap();
    let mut options = Options::new();
    let ring = options
        .capacity(8)
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
    assert_eq!(
        mismatch(open(Options::new().capacity(9))),
        ("capacity", 8, 9)
    );
    assert_eq!(
        mismatch(open(Options::new().layout(Layout::Contiguous))),
        ("layout", 0, 1)
    );
    let bigger = Options::new()
        .capacity(9)
        .open_or_create::<u32>(key)
        .map(drop);
    assert_eq!(mismatch(bigger), ("capacity", 8, 9));
    let smaller = Options::new()
        .capacity(7)
        .open_or_create::<u32>(key)
        .map(drop);
    assert_eq!(mismatch(smaller), ("capacity", 8, 7));
    assert!(
        Options::new()
            .capacity(8)
            .open_or_create::<u32>(key)
            .is_ok()
    );
    let word = |at, value: u64| ring.segment().reference::<u64>(at).unwrap().store(value);
    word(16, 3);
    assert_eq!(mismatch(open(&Options::new())), ("version", 3, 2));
    word(0, 0x1234);
    let (what, found, _) = mismatch(open(&Options::new()));
    assert_eq!((what, found), ("magic", 0x1234));
    assert!(matches!(
        Options::new().create_new::<u32>(Key::PRIVATE),
        Err(OpenError::CapacityOutOfRange { capacity: 0 })
    ));
}

/// A header that lies about its size does not lead outside the segment.
#[test]
fn a_lying_header_is_refused() {
    let ring = ring::<u32>(8, Layout::Interleaved);
    let id = ring.segment().id();
    let word = |at, value: u64| ring.segment().reference::<u64>(at).unwrap().store(value);
    for capacity in [0, 9, 1 << 20, u64::MAX, 1 << 61] {
        word(32, capacity);
        assert!(
            Options::new().attach::<u32>(id).is_err(),
            "capacity {capacity}"
        );
    }
    word(32, 8);
    word(56, 1);
    assert!(Options::new().attach::<u32>(id).is_err());
}

/// Somebody else's memory is neither opened nor overwritten.
#[test]
fn a_segment_with_other_contents_is_left_alone() {
    let segment = SegmentOptions::new()
        .size_bytes(4096)
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
        .size_bytes(4096)
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
    assert!(
        Options::new()
            .capacity(4)
            .in_segment::<u64>(segment)
            .is_ok()
    );
}

/// Many threads open or create the same key at once, and find one ring.
#[test]
fn one_ring_comes_out_of_many_creators() {
    let key = Key::random().unwrap();
    let generations: Vec<u64> = thread::scope(|scope| {
        let openers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    Options::new()
                        .capacity(64)
                        .open_or_create::<u64>(key)
                        .map(|ring| ring.generation())
                })
            })
            .collect();
        openers
            .into_iter()
            .map(|opener| opener.join().unwrap().unwrap())
            .collect()
    });
    sysvshm::SegmentId::find(key)
        .unwrap()
        .mark_for_removal()
        .unwrap();
    assert!(
        generations
            .iter()
            .all(|&generation| generation == generations[0])
    );
}

#[test]
fn roles_are_taken_once_and_given_back() {
    let ring = ring::<u8>(4, Layout::Interleaved);
    assert_eq!(
        (ring.producer_state(), ring.consumer_state()),
        (PeerState::Never, PeerState::Never)
    );
    let producer = ring.producer().unwrap();
    assert!(matches!(
        ring.producer(),
        Err(ClaimError::Taken { role: "producer" })
    ));
    let consumer = ring.consumer().unwrap();
    assert!(matches!(
        ring.consumer(),
        Err(ClaimError::Taken { role: "consumer" })
    ));
    assert_eq!(
        (
            producer.buffer().consumer_state(),
            consumer.buffer().producer_state()
        ),
        (PeerState::Alive, PeerState::Alive)
    );
    drop(producer);
    assert_eq!(consumer.buffer().producer_state(), PeerState::Left);
    drop(consumer);
    assert_eq!(ring.consumer_state(), PeerState::Left);
    assert!(ring.producer().is_ok() && ring.consumer().is_ok());
}

/// A wait that was asked to notice ends when the other side leaves, and not before the buffer is drained.
#[test]
fn departure_is_noticed_if_asked() {
    let ring = ring::<u8>(2, Layout::Contiguous);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    consumer.notice_departure(true);
    producer.push(1).unwrap();
    thread::scope(|scope| {
        let popping = scope.spawn(|| (consumer.pop(), consumer.pop()));
        thread::sleep(Duration::from_millis(20));
        drop(producer);
        assert_eq!(popping.join().unwrap(), (Ok(1), Err(PopError::PeerLeft)));
    });
    let mut producer = ring.producer().unwrap();
    producer.notice_departure(true).push_slice(&[1, 2]).unwrap();
    drop(consumer);
    assert_eq!(producer.push(3), Err(PushError::PeerLeft(3)));
    // Without being asked, it waits for the next one.
    producer.notice_departure(false);
    assert_eq!(
        producer.push_timeout(3, Duration::from_millis(1)),
        Err(PushError::TimedOut(3))
    );
}

/// Outside CI: many items through a small buffer, half of them across position 2^32 and half across 2^64.
/// `SYSVSHM_LONG_RUN=1000000000`.
#[test]
fn long_run() {
    let count = budget("SYSVSHM_LONG_RUN", 200_000) / 2;
    // The most there can be before 2^32 is crossed.
    let before = (count / 2).min(1 << 32);
    for start in [(1 << 32) - before, 0_u64.wrapping_sub(count / 2)] {
        let mut options = Options::new();
        options.capacity(64).start_position(start);
        let ring: BoundedBuffer<u64> = ring_with(&options);
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let started = Instant::now();
        thread::scope(|scope| {
            scope.spawn(move || {
                for item in 0..count {
                    producer.push(item).unwrap();
                }
            });
            for expected in 0..count {
                assert_eq!(consumer.pop(), Ok(expected));
            }
        });
        assert!(consumer.is_empty());
        assert_eq!(consumer.position(), start.wrapping_add(count));
        println!(
            "{count} items in order, from position {start:#x} to {:#x}, in {:.1} s",
            consumer.position(),
            started.elapsed().as_secs_f64()
        );
    }
}

/// Handles may move to other threads, and may not be used by two at once by mistake.
#[test]
fn auto_traits() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<sysvshm::bounded_buffer::spsc::Producer<u64>>();
    send::<sysvshm::bounded_buffer::spsc::Consumer<u64>>();
    send::<BoundedBuffer<u64>>();
    sync::<BoundedBuffer<u64>>();
}
