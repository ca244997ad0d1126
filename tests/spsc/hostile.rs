//! A peer that writes anything anywhere in the segment, at any time. The other side may read nonsense; it must
//! neither crash nor hang.
//!
//! The segment ends exactly at a page's end, and the pages on both sides of it cannot be touched.

use crate::support::{LAYOUTS, Peer, Random, budget, say, seed};
use std::time::Duration;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions};

/// With 464 items of 8 bytes both layouts fill 8192 bytes exactly.
const CAPACITY: usize = 464;
const BYTES: usize = 8192;
const PAGE: usize = 4096;

/// Numbers: the segment, a seed. Writes until it is killed.
pub(crate) fn peer(numbers: &[u64]) {
    let segment = SegmentId::from_raw(numbers[0] as i32).attach().unwrap();
    let words = segment.slice::<u64>(0, BYTES / 8).unwrap();
    let mut random = Random::new(numbers[1]);
    say("scribbling");
    loop {
        let word = match random.below(4) {
            // The header and the words that lead somewhere, more often than the rest.
            0 => random.below(96) as usize,
            1 => [16, 18, 32, 48, 64, 80][random.below(6) as usize],
            _ => random.below(BYTES as u64 / 8) as usize,
        };
        let capacity = CAPACITY as u64;
        let near = words.load([32, 48, 96][random.below(3) as usize]);
        let value = match random.below(10) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => 1 << 63,
            4 => capacity,
            5 => near.wrapping_add(random.below(capacity + 2)),
            6 => near.wrapping_sub(random.below(capacity + 2)),
            7 => near,
            8 => random.below(3),
            _ => random.next(),
        };
        words.store(word, value);
        // Now and then leave the other side some time to believe it.
        if random.below(200) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(50)));
        }
    }
}

/// A segment between two pages that cannot be touched; they stay for the life of the process.
#[allow(unsafe_code)]
fn guarded(id: SegmentId) -> Segment {
    // SAFETY: reserves address space and touches nothing that exists.
    let space = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            BYTES + 2 * PAGE,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(space, libc::MAP_FAILED);
    let mut options = SegmentOptions::new();
    // SAFETY: the middle of the reservation above, which nobody else knows of.
    unsafe { options.address(space as usize + PAGE) };
    // SAFETY: as above.
    unsafe { options.remap(true) };
    options.attach(id).unwrap()
}

#[test]
fn hostile_peer_cannot_break_anything() {
    let page_size = rustix::param::page_size();
    if page_size != PAGE {
        eprintln!("skipped: pages of {page_size} bytes");
        return;
    }
    let calls = budget("SYSVSHM_SCRIBBLES", 40_000);
    for layout in LAYOUTS {
        let segment = SegmentOptions::new()
            .size_bytes(BYTES)
            .create_new(Key::PRIVATE)
            .unwrap();
        segment.mark_for_removal().unwrap();
        let mut options = Options::new();
        options
            .capacity(CAPACITY)
            .layout(layout)
            .patience(Duration::ZERO);
        let ring = options.in_segment::<u64>(guarded(segment.id())).unwrap();
        let mut peer = Peer::start("scribble", &[segment.id().as_raw() as u64, seed()]);
        peer.expect("scribbling");
        let seen = suffer(&ring, &segment, layout, calls / 2);
        assert!(
            peer.child.try_wait().unwrap().is_none(),
            "the scribbler ended"
        );
        println!(
            "{layout:?}: {} calls beside a scribbler: {seen:?}",
            calls / 2
        );
    }
}

/// How the calls ended: done, refused for now, corrupted.
#[derive(Debug, Default)]
struct Seen {
    done: u64,
    not_now: u64,
    corrupted: u64,
    claims: u64,
    claims_refused: u64,
    opens: u64,
    opens_refused: u64,
}

fn suffer(ring: &BoundedBuffer<u64>, segment: &Segment, layout: Layout, calls: u64) -> Seen {
    use sysvshm::bounded_buffer::spsc::{PopError, PushError};
    let mut random = Random::new(seed() + 99);
    let mut seen = Seen::default();
    let (mut producer, mut consumer) = claim(ring, &mut seen);
    let wait = Duration::from_micros(20);
    for _ in 0..calls {
        let pushed = match random.below(14) {
            0 => producer.try_push(1).map_err(unit),
            1 => producer.try_push_slice(&[2; 100]).map(drop),
            2 => producer
                .try_reserve(1 + random.below(600) as usize)
                .and_then(|mut space| {
                    let len = space.len();
                    assert!((1..=CAPACITY).contains(&len));
                    space.write_from(len / 2, &vec![3; len - len / 2]);
                    space.commit(len)
                }),
            3 => producer.push_timeout(4, wait).map_err(unit),
            4 => {
                assert!(
                    producer.len() <= CAPACITY
                        && ring.len() <= CAPACITY
                        && consumer.len() <= CAPACITY
                );
                let _ = (ring.producer_state(), ring.consumer_state());
                Ok(())
            }
            // What a takeover does, on whatever is there by then.
            5 if random.below(50) == 0 => {
                drop(producer);
                drop(consumer);
                (producer, consumer) = claim(ring, &mut seen);
                Ok(())
            }
            6 if random.below(20) == 0 => {
                let mut options = Options::new();
                options.patience(Duration::ZERO);
                if random.below(2) == 0 {
                    options.capacity(CAPACITY).layout(layout);
                }
                seen.opens += 1;
                let opened = options.in_segment::<u64>(segment.id().attach().unwrap());
                seen.opens_refused += u64::from(opened.is_err());
                Ok(())
            }
            _ => {
                let popped = match random.below(5) {
                    0 => consumer.try_pop().map(drop),
                    1 => consumer.try_pop_slice(&mut [0; 700]).map(drop),
                    2 => consumer
                        .try_peek(1 + random.below(600) as usize)
                        .and_then(|items| {
                            let len = items.len();
                            assert!((1..=CAPACITY).contains(&len));
                            items.read_into(0, &mut vec![0; len]);
                            items.release(len)
                        }),
                    3 => consumer.pop_timeout(wait).map(drop),
                    _ => consumer.pop_slice_timeout(&mut [0; 3], wait).map(drop),
                };
                match popped {
                    Ok(()) => Ok(()),
                    Err(PopError::Corrupted) => Err(PushError::Corrupted(())),
                    Err(_) => Err(PushError::Full(())),
                }
            }
        };
        match pushed {
            Ok(()) => seen.done += 1,
            Err(PushError::Corrupted(())) => seen.corrupted += 1,
            Err(_) => seen.not_now += 1,
        }
    }
    seen
}

/// The reason without the item.
fn unit(
    error: sysvshm::bounded_buffer::spsc::PushError<u64>,
) -> sysvshm::bounded_buffer::spsc::PushError<()> {
    use sysvshm::bounded_buffer::spsc::PushError;
    match error {
        PushError::Corrupted(_) => PushError::Corrupted(()),
        _ => PushError::Full(()),
    }
}

/// Both roles; the scribbler makes some claims fail.
fn claim(
    ring: &BoundedBuffer<u64>,
    seen: &mut Seen,
) -> (
    sysvshm::bounded_buffer::spsc::Producer<u64>,
    sysvshm::bounded_buffer::spsc::Consumer<u64>,
) {
    loop {
        seen.claims += 1;
        match (ring.producer(), ring.consumer()) {
            (Ok(producer), Ok(consumer)) => return (producer, consumer),
            _ => seen.claims_refused += 1,
        }
    }
}
