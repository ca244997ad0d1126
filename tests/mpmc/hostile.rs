//! A peer that writes anything anywhere in the segment, at any time. The other side may read nonsense; it must neither crash nor hang.
//!
//! The segment ends exactly at a page's end, and the pages on both sides of it cannot be touched.
#![allow(unsafe_code, reason = "reserves address space for guard pages")]

use crate::common::{page, peer, skipped};
use crate::support::{Random, budget, seed};
use std::time::Duration;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Consumer, Options, PopError, Producer};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions};

const PAGE: usize = 4096;
const BYTES: usize = 8192;
/// 896 bytes and a table of 6 entries are 1280; slots of 16 bytes fill the rest.
const PARTICIPANTS: usize = 6;
const CAPACITY: usize = (BYTES - 1280) / 16;

fn scribble(segment: &Segment, random: &mut Random) -> ! {
    let words = segment.slice::<u64>(0, BYTES / 8).unwrap();
    loop {
        let word = match random.below(4) {
            // The header, the hints, the table: more often than the rest.
            0 => random.below(1280 / 8) as usize,
            1 => [16, 32, 48, 64, 80, 96, 112, 113][random.below(8) as usize],
            _ => 160 + 2 * random.below(CAPACITY as u64) as usize,
        };
        let near = words.get(160 + 2 * random.below(CAPACITY as u64) as usize);
        let value = match random.below(10) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            // The words of another slot, with another phase, another run, another lap.
            3 => near,
            4 => near & !7 | random.below(8),
            5 => near ^ random.below(1024) << 24,
            6 => near.wrapping_add(1 << 34),
            7 => near.wrapping_sub(1 << 34),
            8 => near & !7 | [1, 3, 4][random.below(3) as usize] | 1023 << 24,
            _ => random.next(),
        };
        words.set(word, value);
        // Now and then leave the other side some time to believe it.
        if random.below(20) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(100)));
        }
    }
}

/// A segment between two pages that cannot be touched; they stay for the life of the process.
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
    unsafe { options.address(space as usize + PAGE).remap(true) };
    options.attach(id).unwrap()
}

/// Puts the slots and hints in order, which one word of nonsense would else keep from working for good: most calls then
/// begin in a ring that works, and are overtaken by the scribbler.
fn mend(segment: &Segment) {
    let words = segment.slice::<u64>(0, BYTES / 8).unwrap();
    for word in [32, 48] {
        words.set(word, 0);
    }
    for slot in 0..CAPACITY {
        words.set(160 + 2 * slot, 0);
    }
}

/// How the calls ended.
#[derive(Debug, Default)]
struct Seen {
    done: u64,
    not_now: u64,
    corrupted: u64,
    seats: u64,
    seats_refused: u64,
}

#[test]
fn hostile_peer_cannot_break_anything() {
    let scribbler = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        talk.say("scribbling");
        scribble(&segment, &mut Random::new(talk.arg(1)));
    });
    if page() != PAGE {
        skipped("pages are not of 4096 bytes");
        return;
    }
    let calls = budget("SYSVSHM_SCRIBBLES", 40_000);
    let segment = SegmentOptions::new()
        .size_bytes(BYTES)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let mut options = Options::new();
    options
        .capacity(CAPACITY)
        .participants(PARTICIPANTS)
        .patience(Duration::ZERO);
    let ring = options.in_segment::<u64>(guarded(segment.id())).unwrap();
    let mut running = scribbler.arg(segment.id().as_raw()).arg(seed()).start();
    assert_eq!(running.hear(), "scribbling");
    let mut random = Random::new(seed() + 99);
    let mut seen = Seen::default();
    let (mut producer, mut consumer) = seats(&ring, &mut seen);
    for call in 0..calls {
        if call % 4 == 0 {
            mend(&segment);
        }
        match random.below(400) {
            0 => {
                drop(producer);
                drop(consumer);
                (producer, consumer) = seats(&ring, &mut seen);
            }
            1 => {
                let _ = ring.recover();
                assert!(ring.participants().len() <= PARTICIPANTS);
                assert!(ring.len() <= CAPACITY && producer.len() <= CAPACITY);
            }
            2 => {
                let mut options = Options::new();
                options.patience(Duration::ZERO);
                let _ = options.in_segment::<u64>(segment.id().attach().unwrap());
            }
            _ => suffer(&mut producer, &mut consumer, &mut random, &mut seen),
        }
    }
    running.kill();
    println!("{calls} calls beside a scribbler: {seen:?}");
    // Each of the three often: the nonsense met calls in all their stages.
    let least = seen.done.min(seen.not_now).min(seen.corrupted);
    assert!(least > calls / 1000, "{seen:?}");
}

fn suffer(
    producer: &mut Producer<u64>,
    consumer: &mut Consumer<u64>,
    random: &mut Random,
    seen: &mut Seen,
) {
    use sysvshm::bounded_buffer::mpmc::PushError;
    let wait = Duration::from_micros(20);
    let wanted = 1 + random.below(600) as usize;
    let pushed = match random.below(9) {
        0 => producer.try_push(1).map_err(|error| error.clone_unit()),
        1 => producer.try_push_slice(&[2; 100]).map(drop),
        2 => producer.try_reserve(wanted).and_then(|mut space| {
            let len = space.len();
            assert!((1..=CAPACITY).contains(&len));
            space.write_from(len / 2, &vec![3; len - len / 2]);
            space.commit(random.below(len as u64 + 1) as usize)
        }),
        3 => producer
            .push_timeout(4, wait)
            .map_err(|error| error.clone_unit()),
        _ => {
            let popped = match random.below(5) {
                0 => consumer.try_pop().map(drop),
                1 => consumer.try_pop_slice(&mut [0; 700]).map(drop),
                2 => consumer.try_peek(wanted).and_then(|items| {
                    let len = items.len();
                    assert!((1..=CAPACITY).contains(&len));
                    items.read_into(0, &mut vec![0; len]);
                    items.release(random.below(len as u64 + 1) as usize)
                }),
                3 => consumer.pop_timeout(wait).map(drop),
                _ => consumer.pop_slice_timeout(&mut [0; 3], wait).map(drop),
            };
            popped.map_err(|error| match error {
                PopError::Corrupted => PushError::Corrupted(()),
                _ => PushError::Full(()),
            })
        }
    };
    match pushed {
        Ok(()) => seen.done += 1,
        Err(PushError::Corrupted(())) => seen.corrupted += 1,
        Err(_) => seen.not_now += 1,
    }
}

/// The reason without the item.
trait Unit {
    fn clone_unit(self) -> sysvshm::bounded_buffer::mpmc::PushError<()>;
}

impl Unit for sysvshm::bounded_buffer::mpmc::PushError<u64> {
    fn clone_unit(self) -> sysvshm::bounded_buffer::mpmc::PushError<()> {
        use sysvshm::bounded_buffer::mpmc::PushError;
        match self {
            Self::Corrupted(_) => PushError::Corrupted(()),
            _ => PushError::Full(()),
        }
    }
}

/// Both handles; the scribbler makes some of the attempts fail, and fills the table with nonsense.
fn seats(ring: &BoundedBuffer<u64>, seen: &mut Seen) -> (Producer<u64>, Consumer<u64>) {
    loop {
        seen.seats += 1;
        match (ring.producer(), ring.consumer()) {
            (Ok(producer), Ok(consumer)) => return (producer, consumer),
            _ => seen.seats_refused += 1,
        }
    }
}
