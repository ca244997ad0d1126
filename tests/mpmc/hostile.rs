//! Peers that write what they like into the segment, at any time. The other side may read nonsense; it must neither
//! crash nor hang.
//!
//! One scribbles as fast as it can, and nearly every call finds nonsense at its first look. One changes a single
//! word now and then to something that could be there, so calls get deep into the protocol before they meet it.
//!
//! The segment ends exactly at a page's end, and the pages on both sides of it cannot be touched.
#![allow(unsafe_code, reason = "reserves address space for guard pages")]

use crate::common::{Peer, page, peer, skipped};
use crate::support::{LAYOUTS, Random, budget, ring_with, seed};
use std::time::Duration;
use sysvshm::bounded_buffer::Waiting;
use sysvshm::bounded_buffer::mpmc::{
    BoundedBuffer, Consumer, Layout, Options, PopError, Producer, PushError,
};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions};

const PAGE: usize = 4096;
const BYTES: usize = 8192;
/// 1408 bytes and a table of 6 entries are 1792; slots of 16 bytes fill the rest, in either layout.
const PARTICIPANTS: usize = 6;
const TABLE: usize = 1408;
const FRONT: usize = TABLE + 64 * PARTICIPANTS;
const CAPACITY: usize = (BYTES - FRONT) / 16;

/// A claim whose process nobody can take for alive: no token has this identifier and this size.
const DEAD: u64 = 1 << 48 | 77;

/// Where a random slot's word is, counted in words.
fn some_slot(layout: Layout, random: &mut Random) -> usize {
    word_of(layout, random.below(CAPACITY as u64) as usize)
}

/// Where a slot's word is, counted in words.
fn word_of(layout: Layout, slot: usize) -> usize {
    let stride = match layout {
        Layout::Contiguous => 1,
        _ => 2,
    };
    FRONT / 8 + stride * slot
}

fn scribble(segment: &Segment, layout: Layout, random: &mut Random) -> ! {
    let words = segment.slice::<u64>(0, BYTES / 8).unwrap();
    loop {
        let word = match random.below(4) {
            // The header, the hints, the table: more often than the rest.
            0 => random.below(FRONT as u64 / 8) as usize,
            1 => [16, 18, 32, 48, 64, 80, 96, 112, 113, 176, 177][random.below(11) as usize],
            _ => some_slot(layout, random),
        };
        let near = words.load(some_slot(layout, random));
        let value = match random.below(10) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            // The words of another slot, with another phase, another run, another lap.
            3 => near,
            4 => near & !7 | random.below(8),
            5 => near ^ random.below(1 << 19) << 12,
            6 => near.wrapping_add(1 << 31),
            7 => near.wrapping_sub(1 << 31),
            8 => near & !7 | [1, 3, 4][random.below(3) as usize] | ((1 << 19) - 1) << 12,
            _ => random.next(),
        };
        words.store(word, value);
        // Now and then leave the other side some time to believe it.
        if random.below(20) == 0 {
            std::thread::sleep(Duration::from_micros(random.below(100)));
        }
    }
}

/// One field of one word at a time, to what it could be, and then a while nothing.
fn meddle(segment: &Segment, layout: Layout, random: &mut Random) -> ! {
    let words = segment.slice::<u64>(0, BYTES / 8).unwrap();
    let halves = segment.slice::<u32>(0, BYTES / 4).unwrap();
    let entry = |random: &mut Random| TABLE / 8 + 8 * random.below(PARTICIPANTS as u64) as usize;
    loop {
        let at = some_slot(layout, random);
        let word = words.load(at);
        // Half of the phases have an owner; where there is none, one comes with it.
        let owner = random.below(PARTICIPANTS as u64) << 3;
        let run = 1 + random.below(8);
        let owned = word & !((1 << 31) - 1) | run << 12 | owner;
        match random.below(18) {
            0 => words.store(
                at,
                word & !((1 << 31) - 1) | [0, 2, 5][random.below(3) as usize],
            ),
            1 => words.store(at, owned | [1, 3, 4, 6][random.below(4) as usize]),
            2 => words.store(at, word & !7 | random.below(8)),
            3 => words.store(at, word & !(((1 << 19) - 1) << 12) | run << 12),
            4 => words.store(at, word & !(0x1ff << 3) | owner),
            5 => words.store(at, word.wrapping_add(1 << 31)),
            6 => words.store(at, word.wrapping_sub(1 << 31)),
            // A neighbour's word.
            7 => words.store(at, words.load(some_slot(layout, random))),
            // Hints: another slot, another lap. They must not matter.
            8 => words.store(
                32,
                words.load(32) >> 31 << 31 | random.below(CAPACITY as u64),
            ),
            9 => words.store(48, words.load(48).wrapping_add(1 << 31)),
            // The epoch, and somebody who seems to sleep.
            10 => words.store(96, words.load(96).wrapping_add(1)),
            11 => halves.store([128, 160][random.below(2) as usize], random.below(8) as u32),
            // The table: an entry that is free, somebody else's, of another generation, in another role.
            12 => words.store(entry(random), 0),
            13 => words.store(
                entry(random),
                words.load(entry(random)) ^ random.below(2) << 48,
            ),
            14 => words.store(entry(random) + 1, random.below(8)),
            15 => words.store(entry(random), DEAD),
            // The log of redelivered items, and the count of recoveries.
            16 => words.store(112 + random.below(64) as usize, random.next()),
            17 => words.store(entry(random) + 4, random.below(6)),
            _ => halves.store(2 * entry(random) + 4, random.below(3) as u32),
        }
        std::thread::sleep(Duration::from_micros(random.below(100)));
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
    unsafe { options.address(space as usize + PAGE) };
    // SAFETY: as above.
    unsafe { options.remap(true) };
    options.attach(id).unwrap()
}

/// Puts the slots and hints in order, which one word of nonsense would else keep from working for good: most calls
/// then begin in a ring that works, and are overtaken by the scribbler.
fn mend(segment: &Segment, layout: Layout) {
    let words = segment.slice::<u64>(0, BYTES / 8).unwrap();
    for word in [32, 48] {
        words.store(word, 0);
    }
    for slot in 0..CAPACITY {
        words.store(word_of(layout, slot), 0);
    }
}

/// How the calls ended, and what the recoveries between them found.
#[derive(Debug, Default)]
struct Seen {
    done: u64,
    not_now: u64,
    corrupted: u64,
    seats: u64,
    seats_refused: u64,
    participants_recovered: usize,
    slots_skipped: usize,
    items_redelivered: usize,
    slots_released: usize,
}

impl Seen {
    fn recover(&mut self, ring: &BoundedBuffer<u64>) {
        let found = ring.recover().unwrap_or_default();
        self.participants_recovered += found.participants;
        self.slots_skipped += found.skipped;
        self.items_redelivered += found.redelivered;
        self.slots_released += found.released;
    }
}

/// Some thousands of calls while a peer does its worst. `heal`: after how many of them everything is made an empty
/// buffer again, so that what was changed does not stay in the way; without, the slots alone every few calls.
fn endure(segment: &Segment, layout: Layout, heal: Option<u64>, calls: u64, peer: &Peer) -> Seen {
    let mut options = Options::new();
    options
        .capacity(CAPACITY)
        .participants(PARTICIPANTS)
        .layout(layout)
        .patience(Duration::ZERO);
    let ring = options.in_segment::<u64>(guarded(segment.id())).unwrap();
    // Initialised in peace.
    let mut running = peer.start();
    assert_eq!(running.hear(), "scribbling");
    let mut random = Random::new(seed() + 99);
    let mut seen = Seen::default();
    let (mut producer, mut consumer) = seats(&ring, &mut seen);
    for call in 0..calls {
        if heal.is_some_and(|every| call % every == 0) {
            drop((producer, consumer));
            // Zeros are an empty buffer in its first lap, and an empty table.
            let behind = segment.slice::<u64>(256, (BYTES - 256) / 8).unwrap();
            behind.fill(0);
            // And somebody dead in it, who was about to write into the first three slots.
            let last = PARTICIPANTS - 1;
            behind.store((TABLE - 256) / 8 + 8 * last, DEAD);
            let writing = 1 | (last as u64) << 3 | 3 << 12;
            behind.store((FRONT - 256) / 8, writing);
            // Who finds it: in turns, one who asks for it, and whoever comes to those slots.
            if (call / heal.unwrap_or(1)) % 2 == 0 {
                seen.recover(&ring);
            }
            (producer, consumer) = seats(&ring, &mut seen);
        }
        if heal.is_none() && call % 4 == 0 {
            mend(segment, layout);
        }
        // Beside one who meddles there is more to recover.
        match random.below(if heal.is_some() { 60 } else { 400 }) {
            0 => {
                drop(producer);
                drop(consumer);
                (producer, consumer) = seats(&ring, &mut seen);
            }
            1 => {
                seen.recover(&ring);
                assert!(ring.participants().len() <= PARTICIPANTS);
                assert!(ring.len() <= CAPACITY && producer.len() <= CAPACITY);
                let _ = (ring.producer_state(), ring.consumer_state());
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
    seen
}

/// The segment, which goes with this process and its peers.
fn segment() -> Segment {
    let segment = SegmentOptions::new()
        .size_bytes(BYTES)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    segment
}

#[test]
fn hostile_peer_cannot_break_anything() {
    let scribbler = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        talk.say("scribbling");
        let layout = LAYOUTS[talk.arg::<usize>(2)];
        scribble(&segment, layout, &mut Random::new(talk.arg(1)));
    });
    in_both_layouts(&scribbler, None, |seen, calls| {
        // Each of the three often: the nonsense met calls in all their stages.
        let least = seen.done.min(seen.not_now).min(seen.corrupted);
        assert!(least > calls / 1000, "{seen:?}");
    });
}

#[test]
fn hostile_peer_with_plausible_words_cannot_break_anything() {
    let meddler = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        talk.say("scribbling");
        let layout = LAYOUTS[talk.arg::<usize>(2)];
        meddle(&segment, layout, &mut Random::new(talk.arg(1)));
    });
    in_both_layouts(&meddler, Some(200), |seen, calls| {
        // Deep enough: many calls do something, and some meet nonsense on the way.
        assert!(seen.done > calls / 20, "{seen:?}");
        assert!(seen.corrupted > 0 && seen.not_now > 0, "{seen:?}");
        assert!(seen.slots_skipped > 0, "{seen:?}");
    });
}

/// Endures the peer in each layout, says how the calls ended, and judges that. `heal` as in [`endure`].
fn in_both_layouts(peer: &Peer, heal: Option<u64>, judge: impl Fn(&Seen, u64)) {
    if page() != PAGE {
        skipped("pages are not of 4096 bytes");
        return;
    }
    for (index, layout) in LAYOUTS.into_iter().enumerate() {
        let calls = budget("SYSVSHM_SCRIBBLES", 40_000) / 2;
        let segment = segment();
        let id = segment.id().as_raw();
        let peer = peer.clone().arg(id).arg(seed()).arg(index);
        let seen = endure(&segment, layout, heal, calls, &peer);
        println!("{calls} calls, {layout:?}: {seen:?}");
        judge(&seen, calls);
    }
}

fn suffer(
    producer: &mut Producer<u64>,
    consumer: &mut Consumer<u64>,
    random: &mut Random,
    seen: &mut Seen,
) {
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
    fn clone_unit(self) -> PushError<()>;
}

impl Unit for PushError<u64> {
    fn clone_unit(self) -> PushError<()> {
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

/// A ring with these words, as somebody wrote them who wants others to stay.
fn ring_of_words(capacity: usize, word: impl Fn(usize) -> u64) -> BoundedBuffer<u64> {
    let mut options = Options::new();
    options.capacity(capacity).participants(PARTICIPANTS);
    let ring = ring_with::<u64>(options.layout(Layout::Contiguous));
    let words = ring.segment().slice::<u64>(FRONT, capacity).unwrap();
    (0..capacity).for_each(|slot| words.store(slot, word(slot)));
    // No hint leads out of there.
    for hint in [256, 384] {
        ring.segment()
            .reference::<u64>(hint)
            .unwrap()
            .store(u64::MAX);
    }
    ring
}

/// Processor time of this thread, the least of three: what others do on the machine does not count.
fn duration_of(mut call: impl FnMut()) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap()
    };
    let mut once = || {
        let begin = now();
        call();
        now() - begin
    };
    once().min(once()).min(once())
}

/// Each lap in the words is ahead of the one before, and the first of the last: whoever follows them never arrives.
/// One look ends after four times round; a call with a timeout must not take hundreds of such looks.
#[test]
fn words_that_lead_in_circles_do_not_outlast_a_timeout() {
    let third = (1 << 33) / 3;
    let ring = ring_of_words(3 << 16, |slot| (slot as u64 % 3 * third) << 31);
    let mut consumer = ring.consumer().unwrap();
    let look = duration_of(|| assert_eq!(consumer.try_pop(), Err(PopError::Empty)));
    assert!(
        look > Duration::from_micros(100),
        "{look:?}: not led in circles"
    );
    let wait = Duration::from_millis(1);
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Yield] {
        consumer.waiting(waiting);
        let waited =
            duration_of(|| assert_eq!(consumer.pop_timeout(wait), Err(PopError::TimedOut)));
        println!("one look {look:?}, {waiting:?} with a timeout of {wait:?} {waited:?}");
        assert!(waited < 60 * look + 10 * wait, "{waited:?}");
    }
}

/// Slots that others seem to be busy with are passed after a pause. So many others there cannot be.
#[test]
fn slots_that_seem_busy_do_not_hold_up_for_long() {
    let capacity = 3 << 16;
    let passed = |word: u64| {
        let ring = ring_of_words(capacity, |_| word);
        duration_of(|| {
            let mut producer = ring.producer().unwrap();
            assert_eq!(producer.try_push(1), Err(PushError::Full(1)));
        })
    };
    let (full, writing) = (passed(2), passed(1 | 1 << 12));
    println!("{capacity} slots: full {full:?}, being written {writing:?}");
    assert!(
        writing < 10 * full + Duration::from_millis(50),
        "{writing:?}"
    );
}
