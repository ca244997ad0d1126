//! What the calls do within one process, and what is left of handles that go.

use crate::common::peer;
use crate::support::{attach, id, ring, ring_with};
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::Key;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Options, PopError, PushError, Role};
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState};

#[test]
fn every_slot_can_be_used_at_every_capacity() {
    for capacity in [1, 2, 3, 7, 64] {
        let ring = ring_with::<u64>(Options::new().capacity(capacity).start_lap(u32::MAX - 1));
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

/// A producer that is idle while others go round far more laps than it remembers finds its way again, and so does a consumer.
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
            .all(|one| one.state == PeerState::Alive && one.pid == running.pid())
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

#[test]
fn timeouts_end() {
    let ring = ring::<u64>(1);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let wait = Duration::from_millis(30);
    let started = Instant::now();
    assert_eq!(consumer.pop_timeout(wait), Err(PopError::TimedOut));
    producer.push(1).unwrap();
    assert_eq!(producer.push_timeout(2, wait), Err(PushError::TimedOut(2)));
    assert!(started.elapsed() >= 2 * wait);
}

#[test]
fn another_shape_is_refused() {
    let ring = ring::<u64>(4);
    let id = ring.segment().id();
    for (options, what) in [
        (Options::new().capacity(5).clone(), "capacity"),
        (Options::new().participants(3).clone(), "participant table"),
    ] {
        let refused = options.attach::<u64>(id);
        assert!(
            matches!(refused, Err(OpenError::LayoutMismatch { what: found, .. }) if found == what)
        );
    }
    assert!(Options::new().attach::<u32>(id).is_err());
    let spsc = sysvshm::bounded_buffer::spsc::Options::new().attach::<u64>(id);
    assert!(matches!(
        spsc,
        Err(OpenError::LayoutMismatch { what: "magic", .. })
    ));
    let too_many = Options::new()
        .capacity(1)
        .participants(513)
        .create_new::<u64>(Key::PRIVATE);
    assert!(matches!(
        too_many,
        Err(OpenError::CapacityOutOfRange { .. })
    ));
}
