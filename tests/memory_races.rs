//! Two processes on the same bytes at the same time: what is promised not to be torn is not.
#![allow(unsafe_code)] // Ordinary memory that two threads hand to each other.

mod common;

use common::{Owned, Talk, peer};
use std::fmt::Debug;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use sysvshm::memory::Primitive;
use sysvshm::{Segment, SegmentId, SharedSlice};

/// What the two processes share: a word to start and stop by, and room.
const STATE: usize = 0;
const ROOM: usize = 64;
const SIZE: usize = 64 << 10;
/// How many elements are hammered: few, so that both sides meet often, in several cache lines.
const ELEMENTS: usize = 64;

/// Whether both are still to go on.
fn running(segment: &Segment) -> bool {
    segment
        .reference::<u32>(STATE)
        .unwrap()
        .atomic_load(Acquire)
        == 0
}

fn attach(talk: &Talk) -> Segment {
    SegmentId::from_raw(talk.arg(0)).attach().unwrap()
}

/// Runs `act` against a peer that is already at work, then stops the peer; what the peer counted.
fn against(peer: common::Peer, act: impl FnOnce(&Segment)) -> u64 {
    let owned = Owned::new(SIZE, 0o600);
    let segment = owned.id().attach().unwrap();
    let mut peer = peer.arg(owned.raw()).start();
    assert_eq!(peer.hear(), "at work");
    act(&segment);
    segment
        .reference::<u32>(STATE)
        .unwrap()
        .atomic_store(1, Release);
    peer.finish().pop().unwrap().parse().unwrap()
}

/// Elements whose bytes are all alike: one that is torn has two kinds. The high bit of a byte says which process
/// wrote it.
trait Whole: Primitive + Debug {
    fn repeat(byte: u8) -> Self;
    /// The byte that all are, if they are.
    fn whole(self) -> Option<u8>;
}

macro_rules! whole {
    ($($t:ty)*) => {$(
        impl Whole for $t {
            fn repeat(byte: u8) -> Self {
                Self::from_ne_bytes([byte; size_of::<Self>()])
            }
            fn whole(self) -> Option<u8> {
                let bytes = self.to_ne_bytes();
                bytes.iter().all(|byte| *byte == bytes[0]).then_some(bytes[0])
            }
        }
    )*};
}
whole!(u8 u16 u32 u64);

/// One round over all elements: reads, checks, writes. How many values of the other side it saw.
fn hammer<T: Whole>(segment: &Segment, round: u32, mine: u8) -> u64 {
    let view: SharedSlice<'_, T> = segment.slice(ROOM, ELEMENTS).unwrap();
    let mut foreign = 0;
    for i in 0..view.len() {
        let (by_get, by_load) = (view.load(i), view.at(i).atomic_load(Relaxed));
        let byte = by_get.whole().unwrap_or_else(|| panic!("get: {by_get:x?}"));
        assert!(by_load.whole().is_some(), "load: {by_load:x?}");
        foreign += u64::from(byte & 0x80 != mine);
        let value = T::repeat(mine | (round.wrapping_mul(29).wrapping_add(i as u32) & 0x7f) as u8);
        match round % 3 {
            0 => view.store(i, value),
            1 => view.at(i).atomic_store(value, Relaxed),
            _ => {
                let old = view.at(i).swap(value, Relaxed);
                assert!(old.whole().is_some(), "swap: {old:x?}");
            }
        }
    }
    foreign
}

/// The peer's part of a test: hammers until told to stop, and says how often it met the other side.
fn hammer_until_stopped<T: Whole>(talk: &mut Talk) {
    let segment = attach(talk);
    let (mut foreign, mut round) = (0, 0);
    while running(&segment) {
        foreign += hammer::<T>(&segment, round, 0x80);
        if round == 0 {
            talk.say("at work");
        }
        round = round.wrapping_add(1);
    }
    talk.say(foreign);
}

/// Hammers until it met the other side often enough, and checks that the other side met this one too.
fn hammer_against<T: Whole>(peer: common::Peer) {
    let theirs = against(peer, |segment| {
        let (mut foreign, mut round) = (0, 0_u32);
        while foreign < 100_000 || round < 3_000 {
            foreign += hammer::<T>(segment, round, 0);
            round += 1;
        }
    });
    assert!(theirs > 0, "the peer never saw a value of this process");
}

#[test]
fn single_bytes_are_never_torn() {
    let peer = peer!(hammer_until_stopped::<u8>);
    hammer_against::<u8>(peer);
}

#[test]
fn two_byte_elements_are_never_torn() {
    let peer = peer!(hammer_until_stopped::<u16>);
    hammer_against::<u16>(peer);
}

#[test]
fn four_byte_elements_are_never_torn() {
    let peer = peer!(hammer_until_stopped::<u32>);
    hammer_against::<u32>(peer);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn eight_byte_elements_are_never_torn() {
    let peer = peer!(hammer_until_stopped::<u64>);
    hammer_against::<u64>(peer);
}

/// The check itself, shown what it is for: an element of 64 bytes read with `get` while the other process writes it
/// does come out torn.
#[test]
fn large_elements_are_torn_without_a_guard() {
    fn write(segment: &Segment, round: u8) {
        let value = segment.reference::<[u8; 2000]>(ROOM).unwrap();
        value.store([round; 2000]);
    }
    let peer = peer!(|talk| {
        let segment = attach(talk);
        let mut round = 0_u8;
        write(&segment, round);
        talk.say("at work");
        while running(&segment) {
            round = round.wrapping_add(1);
            write(&segment, round);
        }
        talk.say(round);
    });
    against(peer, |segment| {
        let value = segment.reference::<[u8; 2000]>(ROOM).unwrap();
        let torn = || {
            let bytes = value.load();
            bytes.iter().any(|byte| *byte != bytes[0])
        };
        while !torn() {}
    });
}

/// Views of different element sizes over the same bytes, written by two threads at once: wrong values, nothing
/// worse.
#[test]
fn threads_may_mix_element_sizes() {
    let owned = Owned::new(4096, 0o600);
    let segment = owned.id().attach().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let wide = segment.slice::<u64>(0, 512).unwrap();
            for round in 0..2_000_u64 {
                wide.fill(round);
                wide.at(7).atomic_store(round, Release);
            }
        });
        scope.spawn(|| {
            let narrow = segment.slice::<u16>(0, 2048).unwrap();
            for round in 0..2_000_u16 {
                narrow.slice(5..1031).fill(round);
                std::hint::black_box(narrow.at(29).atomic_load(Acquire));
            }
        });
        scope.spawn(|| {
            let bytes = segment.slice::<u8>(0, 4096).unwrap();
            for i in 0..2_000 {
                std::hint::black_box(bytes.slice(i..).to_vec());
                bytes.copy_within(1..999, i);
            }
        });
    });
    assert_eq!(segment.slice::<u64>(0, 512).unwrap().len_bytes(), 4096);
}

/// A release store and an acquire load through views order what two threads do to ordinary memory, with every kind
/// of operation.
#[test]
fn threads_hand_over_ordinary_memory() {
    struct Private(std::cell::UnsafeCell<[u64; 32]>);
    // SAFETY: the flag says whose turn it is, which is what this test is about.
    unsafe impl Sync for Private {}

    let owned = Owned::new(4096, 0o600);
    let segment = owned.id().attach().unwrap();
    let private = Private(std::cell::UnsafeCell::new([0; 32]));
    let take_turns = |me: u32| {
        let flag = segment.reference::<u32>(0).unwrap();
        let private = &private;
        for round in 0..5_000 {
            while flag.atomic_load(Acquire) != me {
                std::hint::spin_loop();
            }
            // SAFETY: it is this thread's turn.
            let words = unsafe { &mut *private.0.get() };
            assert!(words.iter().all(|word| *word == words[0]));
            words.iter_mut().for_each(|word| *word += 1);
            match round % 3 {
                0 => flag.atomic_store(1 - me, Release),
                1 => assert_eq!(flag.swap(1 - me, Release), me),
                _ => assert_eq!(flag.compare_exchange(me, 1 - me, Release, Relaxed), Ok(me)),
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|me| scope.spawn(move || take_turns(me)));
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(private.0.into_inner(), [10_000; 32]);
}

/// A release store in one process orders what precedes it for the acquire load of another, with bulk copies as the
/// payload.
#[test]
fn a_flag_publishes_a_bulk_copy() {
    const LEN: usize = 5000;
    let peer = peer!(|talk| {
        let segment = attach(talk);
        let flag = segment.reference::<u32>(4).unwrap();
        let payload = segment.slice::<u64>(ROOM, LEN).unwrap();
        talk.say("at work");
        let mut round = 0;
        loop {
            while flag.atomic_load(Acquire) != 2 * round {
                std::hint::spin_loop();
                if !running(&segment) {
                    talk.say(round);
                    return;
                }
            }
            round += 1;
            payload.write_from(&vec![u64::from(round); LEN]);
            flag.atomic_store(2 * round - 1, Release);
        }
    });
    let rounds = against(peer, |segment| {
        let flag = segment.reference::<u32>(4).unwrap();
        let payload = segment.slice::<u64>(ROOM, LEN).unwrap();
        for round in 1..=300 {
            while flag.atomic_load(Acquire) != 2 * round - 1 {
                std::hint::spin_loop();
            }
            assert!(payload.to_vec() == [u64::from(round); LEN], "round {round}");
            flag.atomic_store(2 * round, Release);
        }
    });
    assert!(rounds >= 300);
}
