//! A ring and its members in other processes.

use crate::common::{Running, Talk};
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::PeerState;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Options};
use sysvshm::{Key, SegmentId};

pub(crate) type Ring = BoundedBuffer<u64>;

/// Where the words that name the producer and the consumer stand.
pub(crate) const PRODUCER: usize = 128;
/// The kernel's command, which the `libc` crate lacks.
pub(crate) const SHM_STAT_ANY: i32 = 15;

/// A ring that every user may open, gone with those who have it attached.
pub(crate) fn ring() -> Ring {
    let mut options = Options::new();
    let ring: Ring = options
        .capacity(4)
        .mode(0o666)
        .create_new(Key::PRIVATE)
        .unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

pub(crate) fn id(ring: &Ring) -> i32 {
    ring.segment().id().as_raw()
}

/// Opens the ring that the argument names.
pub(crate) fn open(talk: &Talk, index: usize) -> Ring {
    let id = SegmentId::from_raw(talk.arg(index));
    Options::new().attach(id).unwrap()
}

/// The producer's word.
pub(crate) fn owner(ring: &Ring) -> u64 {
    ring.segment().reference::<u64>(PRODUCER).unwrap().load()
}

/// The producer's token.
pub(crate) fn token(ring: &Ring) -> SegmentId {
    let owner = owner(ring);
    assert_eq!(owner >> 63, 0, "no token: {owner:#x}");
    SegmentId::from_raw((owner & 0x7fff_ffff) as i32)
}

/// A peer's body: has the producing side until it is told to leave it, or killed.
pub(crate) fn produce(talk: &mut Talk) {
    let ring = open(talk, 0);
    let producer = ring.producer().unwrap();
    talk.say("in");
    talk.hear();
    drop(producer);
}

/// As [`produce`], on the other side.
pub(crate) fn consume(talk: &mut Talk) {
    let ring = open(talk, 0);
    let consumer = ring.consumer().unwrap();
    talk.say("in");
    talk.hear();
    drop(consumer);
}

/// Kills it and waits until the kernel has released its memory, which comes a moment after its end.
pub(crate) fn kill(running: Running, ring: &Ring, state: impl Fn(&Ring) -> PeerState) {
    running.kill();
    until(|| state(ring) == PeerState::Dead);
}

/// Waits until something that another process does has happened; fails instead of hanging.
#[track_caller]
pub(crate) fn until(mut happened: impl FnMut() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not in a minute"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}
