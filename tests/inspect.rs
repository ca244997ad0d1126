//! `inspect`: what somebody sees of a ring who only looks.

mod common;

use common::{NOBODY, Owned, OwnedKey, Running, Talk, peer, root_or_skip, until};
use std::time::{Duration, Instant, SystemTime};
use sysvshm::bounded_buffer::{OpenError, PeerState, mpmc, spsc};
use sysvshm::inspect::{Inspector, Kind, Layout, Participant, Ring, Role, Sight};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions, system};

fn spsc_ring(capacity: usize, layout: Layout) -> spsc::BoundedBuffer<u64> {
    let mut options = spsc::Options::new();
    let ring = options.capacity(capacity).layout(layout);
    let ring = ring.create_new(Key::PRIVATE).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

fn mpmc_ring(capacity: usize) -> mpmc::BoundedBuffer<u64> {
    let ring = mpmc::BoundedBuffer::create_new(Key::PRIVATE, capacity).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

/// A look at a ring that is ready.
#[track_caller]
fn look(inspector: &Inspector) -> Ring {
    match inspector.look().unwrap() {
        Sight::Ready(ring) => ring,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn look_at(segment: &Segment) -> Ring {
    look(&Inspector::attach(segment.id()).unwrap())
}

/// The producer and the consumer of an `spsc` ring.
#[track_caller]
fn pair(ring: &Ring) -> [Participant; 2] {
    let pair: [Participant; 2] = ring.participants.clone().try_into().unwrap();
    assert_eq!(
        pair.map(|one| one.role),
        [Some(Role::Producer), Some(Role::Consumer)]
    );
    pair
}

fn is_recent(since: Option<SystemTime>) -> bool {
    let age = SystemTime::now().duration_since(since.unwrap()).unwrap();
    age < Duration::from_secs(3600)
}

/// A look and the calls of the ring itself agree, whatever the layout, at every fill, across laps.
#[test]
fn counts_are_those_of_the_ring() {
    for layout in [Layout::Interleaved, Layout::Contiguous] {
        let ring = spsc_ring(5, layout);
        let inspector = Inspector::attach(ring.segment().id()).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..40 {
            // Batches too, and popped from the middle of one.
            let batch = vec![round; 1 + round as usize % 4];
            pushed += producer.try_push_slice(&batch).unwrap_or(0) as u64;
            for _ in 0..round % 3 {
                popped += u64::from(consumer.try_pop().is_ok());
            }
            let seen = look(&inspector);
            assert_eq!((seen.pushed, seen.popped), (pushed, popped));
            assert_eq!((seen.len, seen.capacity), (ring.len(), 5));
            assert!(!seen.is_corrupted);
        }
        let seen = look(&inspector);
        assert!(pushed > 40 && popped > 20, "several laps");
        assert_eq!((seen.kind, seen.layout), (Kind::Spsc, layout));
        assert_eq!(
            (seen.item_size_bytes, seen.item_align_bytes),
            (8, align_of::<u64>())
        );
        assert_eq!((seen.version, seen.generation), (2, ring.generation()));
        assert_eq!(seen.total_bytes, ring.segment().len_bytes());
        assert_eq!(seen.max_participants, 2);
    }

    let ring = mpmc_ring(5);
    let inspector = Inspector::attach(ring.segment().id()).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let (mut pushed, mut popped) = (0, 0);
    for round in 0..40 {
        let batch = vec![round; 1 + round as usize % 4];
        pushed += producer.try_push_slice(&batch).unwrap_or(0) as u64;
        for _ in 0..round % 3 {
            popped += u64::from(consumer.try_pop().is_ok());
        }
        let seen = look(&inspector);
        assert_eq!((seen.pushed, seen.popped), (pushed, popped), "{round}");
        assert_eq!((seen.len, seen.capacity), (ring.len(), 5));
    }
    assert!(pushed > 40 && popped > 20, "several laps");
    // Claimed, in a run of several: not pushed yet; and looked at in place: not popped yet.
    while consumer.try_pop().is_ok() {}
    let before = look(&inspector);
    for item in [1, 2] {
        producer.try_push(item).unwrap();
    }
    let peek = consumer.try_peek(2).unwrap();
    let reservation = producer.try_reserve(2).unwrap();
    let between = look(&inspector);
    assert_eq!(between.len, 2);
    let progress = between.progress_since(&before).unwrap();
    assert_eq!((progress.pushed, progress.popped), (2, 0));
    let given_up = reservation.len() as u64;
    drop(reservation);
    let taken = peek.len();
    peek.release(taken).unwrap();
    let progress = look(&inspector).progress_since(&before).unwrap();
    assert_eq!(
        (progress.pushed, progress.popped),
        (2 + given_up, taken as u64 + given_up)
    );
    let seen = look(&inspector);
    assert_eq!((seen.kind, seen.version), (Kind::Mpmc, 2));
    assert_eq!(seen.max_participants, ring.max_participants());
    assert_eq!(seen.generation, ring.generation());
    // Another ring has made no progress since this one.
    assert_eq!(look_at(mpmc_ring(5).segment()).progress_since(&seen), None);
}

#[test]
fn positions_may_wrap_between_two_looks() {
    let mut options = mpmc::Options::new();
    let ring: mpmc::BoundedBuffer<u64> = options
        .capacity(3)
        .start_lap(u64::MAX)
        .create_new(Key::PRIVATE)
        .unwrap();
    ring.segment().mark_for_removal().unwrap();
    let inspector = Inspector::attach(ring.segment().id()).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut before = look(&inspector);
    for item in 0..20 {
        producer.push(item).unwrap();
        let between = look(&inspector);
        consumer.pop().unwrap();
        let after = look(&inspector);
        let pushed = between.progress_since(&before).unwrap();
        let popped = after.progress_since(&between).unwrap();
        assert_eq!((pushed.pushed, pushed.popped), (1, 0), "{item}");
        assert_eq!((popped.pushed, popped.popped), (0, 1), "{item}");
        before = after;
    }

    let mut options = spsc::Options::new();
    let ring: spsc::BoundedBuffer<u64> = options
        .capacity(4)
        .start_position(u64::MAX - 5)
        .create_new(Key::PRIVATE)
        .unwrap();
    ring.segment().mark_for_removal().unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..20 {
        producer.push(item).unwrap();
        assert_eq!(look_at(ring.segment()).pushed, item + 1);
        assert_eq!(look_at(ring.segment()).popped, item);
        consumer.pop().unwrap();
    }
}

#[test]
fn roles_of_the_living_the_gone_and_the_dead() {
    let producer = peer!(|talk: &mut Talk| {
        let ring: spsc::BoundedBuffer<u64> = attach_spsc(talk);
        let mut producer = ring.producer().unwrap();
        producer.push(1).unwrap();
        talk.say("in");
        talk.hear();
    });
    let consumer = peer!(|talk: &mut Talk| {
        let ring: spsc::BoundedBuffer<u64> = attach_spsc(talk);
        let mut consumer = ring.consumer().unwrap();
        assert_eq!(consumer.pop(), Ok(1));
        talk.say("in");
        // Sleeps until it is killed.
        let _ = consumer.pop();
    });
    let ring = spsc_ring(4, Layout::Interleaved);
    let inspector = Inspector::attach(ring.segment().id()).unwrap();
    let states = || pair(&look(&inspector)).map(|one| one.state);
    assert_eq!(states(), [PeerState::Never, PeerState::Never]);
    let nobody = pair(&look(&inspector))[0];
    assert_eq!(
        (nobody.pid, nobody.since, nobody.is_asleep),
        (None, None, None)
    );

    let id = ring.segment().id().as_raw();
    let start = |peer: &common::Peer| -> Running {
        let mut running = peer.clone().arg(id).start();
        assert_eq!(running.hear(), "in");
        running
    };
    let mut producing = start(&producer);
    let seen = pair(&look(&inspector))[0];
    assert_eq!(
        (seen.state, seen.pid),
        (PeerState::Alive, Some(producing.pid()))
    );
    assert_eq!(seen.is_asleep, Some(false));
    assert!(is_recent(seen.since));
    let consuming = start(&consumer);
    assert_eq!(states(), [PeerState::Alive, PeerState::Alive]);
    until(|| pair(&look(&inspector))[1].is_asleep == Some(true));
    let pid = consuming.pid();
    assert_eq!(pair(&look(&inspector))[1].pid, Some(pid));

    producing.say("enough");
    producing.finish();
    assert_eq!(states(), [PeerState::Left, PeerState::Alive]);
    consuming.kill();
    assert_eq!(states(), [PeerState::Left, PeerState::Dead]);
    let dead = pair(&look(&inspector))[1];
    assert_eq!((dead.pid, dead.since, dead.is_asleep), (None, None, None));
    // All of them dead or gone: the ring can be looked at all the same, and taken over afterwards.
    let seen = look(&inspector);
    assert_eq!((seen.pushed, seen.popped, seen.len), (1, 1, 0));
    drop(ring.consumer().unwrap());
    assert_eq!(states(), [PeerState::Left, PeerState::Left]);
}

fn attach_spsc(talk: &Talk) -> spsc::BoundedBuffer<u64> {
    let id = SegmentId::from_raw(talk.arg(0));
    spsc::Options::new().attach(id).unwrap()
}

#[test]
fn the_table_of_many_shows_the_dead_until_somebody_recovers() {
    let member = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let ring: mpmc::BoundedBuffer<u64> = mpmc::Options::new().attach(id).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let peek = consumer.peek(2).unwrap();
        talk.say(peek.len());
        talk.hear();
    });
    let ring = mpmc_ring(4);
    let inspector = Inspector::attach(ring.segment().id()).unwrap();
    assert_eq!(look(&inspector).participants, []);
    let mut producer = ring.producer().unwrap();
    producer.try_push_slice(&[1, 2, 3]).unwrap();
    let mut running = member.arg(ring.segment().id().as_raw()).start();
    assert_eq!(running.hear(), "2");

    let seen = look(&inspector);
    let [one, two] = seen.participants[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (one.role, two.role),
        (Some(Role::Producer), Some(Role::Consumer))
    );
    assert_eq!(
        (one.pid, two.pid),
        (Some(std::process::id()), Some(running.pid()))
    );
    assert!(is_recent(one.since) && is_recent(two.since));
    assert_eq!((one.is_asleep, two.is_asleep), (Some(false), Some(false)));
    assert_eq!((seen.len, seen.pushed, seen.popped), (3, 3, 0));

    let pid = running.pid();
    running.kill();
    let seen = look(&inspector);
    // Looking recovers nothing.
    let dead = look(&inspector).participants[1];
    assert_eq!(seen.participants[1], dead);
    assert_eq!(
        (dead.state, dead.pid, dead.role),
        (PeerState::Dead, Some(pid), Some(Role::Consumer))
    );
    assert_eq!(dead.is_asleep, None);
    assert_eq!(ring.recover().unwrap().redelivered, 2);
    let seen = look(&inspector);
    assert_eq!((seen.participants.len(), seen.len), (1, 3));

    // Somebody sleeps on that side: nobody can say who.
    let mut consumer = ring.consumer().unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            let mut sum = 0;
            while sum < 10 {
                sum += consumer.pop().unwrap();
            }
        });
        until(|| {
            let seen = look(&inspector);
            let consumers = |one: &&Participant| one.role == Some(Role::Consumer);
            seen.participants
                .iter()
                .find(consumers)
                .unwrap()
                .is_asleep
                .is_none()
        });
        producer.push(4).unwrap();
        sleeper.join().unwrap();
    });
}

/// Who only looks leaves no trace: not a byte, no token, no role.
#[test]
fn looking_changes_nothing() {
    let looker = peer!(|talk: &mut Talk| {
        let inspector = Inspector::attach(SegmentId::from_raw(talk.arg(0))).unwrap();
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen.push(look(&inspector));
        }
        assert!(seen.iter().all(|ring| *ring == seen[0]));
        talk.say("looked");
        talk.hear();
    });
    let few = spsc_ring(100, Layout::Contiguous);
    let (mut producer, consumer) = (few.producer().unwrap(), few.consumer().unwrap());
    producer.try_push_slice(&[7; 60]).unwrap();
    let many = mpmc_ring(100);
    let mut other = many.producer().unwrap();
    other.try_push_slice(&[7; 60]).unwrap();
    for segment in [few.segment(), many.segment()] {
        let bytes = || {
            segment
                .slice::<u8>(0, segment.len_bytes())
                .unwrap()
                .to_vec()
        };
        let before = bytes();
        let mut running = looker.clone().arg(segment.id().as_raw()).start();
        assert_eq!(running.hear(), "looked");
        assert_eq!(bytes(), before);
        assert_eq!(segment.status().unwrap().attached(), 2);
        #[cfg(target_os = "linux")]
        {
            let made = system::segments().unwrap().into_iter();
            let by_it = made.filter(|entry| entry.status.creator_pid() == Some(running.pid()));
            assert_eq!(by_it.count(), 0);
        }
        running.say("enough");
        running.finish();
    }
    drop(consumer);
}

#[test]
fn whoever_may_read_may_look() {
    let looker = peer!(|talk: &mut Talk| {
        let key: Key = talk.arg(0);
        let seen = look(&Inspector::open(key).unwrap());
        assert_eq!((seen.len, pair(&seen)[0].state), (1, PeerState::Alive));
        assert_eq!(pair(&seen)[0].pid, Some(talk.arg(1)));
        assert!(spsc::BoundedBuffer::<u64>::open(key).is_err());
    });
    if !root_or_skip() {
        return;
    }
    let key = OwnedKey::random();
    let mut options = spsc::Options::new();
    let options = options.capacity(4).mode(0o644);
    let ring: spsc::BoundedBuffer<u64> = options.create_new(key.key()).unwrap();
    let mut producer = ring.producer().unwrap();
    producer.push(1).unwrap();
    let looker = looker.arg(key.key()).arg(std::process::id());
    looker.user(NOBODY).run();
}

#[test]
fn a_ring_that_is_being_made_says_by_whom() {
    let maker = peer!(|talk: &mut Talk| {
        // The claim of this process, as it stands in a ring of its own.
        let mine = spsc_ring(1, Layout::Interleaved);
        let _producer = mine.producer().unwrap();
        let claim = mine.segment().reference::<u64>(128).unwrap().load();
        let half = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        half.reference::<u64>(8).unwrap().store(claim);
        talk.say("begun");
        talk.hear();
    });
    let segment = Owned::new(4096, 0o600);
    let inspector = Inspector::attach(segment.id()).unwrap();
    assert_eq!(inspector.look().unwrap(), Sight::Untouched);
    let mut running = maker.arg(segment.raw()).start();
    assert_eq!(running.hear(), "begun");
    let by = |expected: Option<Kind>| match inspector.look().unwrap() {
        Sight::Initialising { kind, by } if kind == expected => by,
        other => panic!("{other:?}"),
    };
    let seen = by(None);
    assert_eq!(
        (seen.state, seen.pid, seen.role),
        (PeerState::Alive, Some(running.pid()), None)
    );
    segment
        .id()
        .attach()
        .unwrap()
        .write_at(0, b"svshmpmc")
        .unwrap();
    assert_eq!(by(Some(Kind::Mpmc)), seen);
    running.kill();
    assert_eq!(by(Some(Kind::Mpmc)).state, PeerState::Dead);
}

#[test]
fn what_is_no_ring_says_by_what_that_was_seen() {
    let mismatch = |segment: &Segment| match Inspector::attach(segment.id()).unwrap().look() {
        Err(OpenError::LayoutMismatch { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let plain = |bytes: usize| {
        let mut options = SegmentOptions::new();
        let segment = options.size_bytes(bytes).create_new(Key::PRIVATE).unwrap();
        segment.mark_for_removal().unwrap();
        segment
    };
    assert_eq!(mismatch(&plain(127)), "segment size");
    let segment = plain(128);
    segment.write_at(0, b"1 2 3 4 5").unwrap();
    assert_eq!(mismatch(&segment), "magic");
    // Zeros first, then something: neither a state nor a claim.
    let segment = plain(128);
    segment.reference::<u64>(8).unwrap().store(5);
    assert_eq!(mismatch(&segment), "state");
    segment.reference::<u64>(8).unwrap().store(1);
    assert_eq!(mismatch(&segment), "magic");
    for (magic, capacity) in [(b"svshspsc", 700), (b"svshmpmc", 700)] {
        let segment = plain(capacity);
        segment.write_at(0, magic).unwrap();
        segment.reference::<u64>(8).unwrap().store(1);
        assert_eq!(mismatch(&segment), "segment size");
    }

    // A real one with one field changed.
    for (at, value, what) in [
        (16, 3, "version"),
        (20, 7, "layout"),
        (24, 0, "item size"),
        (24, 7, "item size"),
        (24, 16, "segment size"),
        (28, 0, "item alignment"),
        (28, 3, "item alignment"),
        (32, 5, "segment size"),
        (56, 1, "segment size"),
    ] {
        for segment in [
            spsc_ring(4, Layout::Interleaved).segment(),
            mpmc_ring(4).segment(),
        ] {
            let field = segment.reference::<u32>(at).unwrap();
            let before = field.load();
            field.store(value);
            assert_eq!(mismatch(segment), what, "{at} {value}");
            field.store(before);
            look_at(segment);
        }
    }
    let ring = mpmc_ring(4);
    for participants in [0, 513, u64::MAX] {
        ring.segment()
            .reference::<u64>(128)
            .unwrap()
            .store(participants);
        assert_eq!(mismatch(ring.segment()), "participant table");
    }
    let ring = spsc_ring(4, Layout::Interleaved);
    for capacity in [0, u64::MAX] {
        ring.segment().reference::<u64>(32).unwrap().store(capacity);
        let seen = Inspector::attach(ring.segment().id()).unwrap().look();
        assert!(
            matches!(seen, Err(OpenError::CapacityOutOfRange { capacity: found }) if found == capacity)
        );
    }
}

/// Words that cannot be are noticed, and what else there is to see is shown.
#[test]
fn nonsense_in_the_words_is_named_and_bounded() {
    let ring = spsc_ring(4, Layout::Contiguous);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.try_push_slice(&[1, 2, 3]).unwrap();
    consumer.pop().unwrap();
    assert!(!look_at(ring.segment()).is_corrupted);
    // A position far ahead, in a slot that nothing has been pushed to.
    let word = ring.segment().reference::<u64>(768 + 3 * 8).unwrap();
    word.store(1 << 40);
    let seen = look_at(ring.segment());
    assert!(seen.is_corrupted);
    assert_eq!((seen.len, seen.pushed, seen.popped), (2, 3, 1));
    word.store(0);
    ring.segment().reference::<u64>(256).unwrap().store(1 << 63);
    assert!(look_at(ring.segment()).len <= 4);

    let ring = mpmc_ring(4);
    ring.producer().unwrap().try_push_slice(&[1, 2]).unwrap();
    let size = ring.segment().len_bytes();
    let last = ring.segment().reference::<u64>(size - 16).unwrap();
    // WRITING, a run beyond the end; and a phase that does not exist.
    for word in [2 << 12 | 1, 7] {
        last.store(word);
        let seen = look_at(ring.segment());
        assert!(seen.is_corrupted && seen.len == 2, "{seen:?}");
    }
    last.store(0);
    assert!(!look_at(ring.segment()).is_corrupted);
}

/// Random bytes anywhere, header included: a look ends with an answer or an error.
#[test]
fn scribbled_rings_provoke_neither_panics_nor_endless_looks() {
    let mut state = std::env::var("SYSVSHM_SEED").map_or(1_u64, |seed| seed.parse().unwrap());
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33 ^ state << 31
    };
    let chosen = [
        0,
        1,
        2,
        7,
        8,
        512,
        1 << 31,
        u64::MAX,
        u64::MAX >> 1,
        1 << 63,
    ];
    let (mut sights, mut refusals) = (0, 0);
    for _ in 0..60 {
        let few = spsc_ring(1 + random() as usize % 40, Layout::Interleaved);
        let many = mpmc_ring(1 + random() as usize % 40);
        for segment in [few.segment(), many.segment()] {
            let words = segment.slice::<u64>(0, segment.len_bytes() / 8).unwrap();
            let inspector = Inspector::attach(segment.id()).unwrap();
            for _ in 0..40 {
                // Mostly behind the header, or nothing would come of it.
                let end = if random() % 8 == 0 { 16 } else { words.len() };
                let at = random() as usize % end;
                let before = words.load(at);
                words.store(
                    at,
                    match random() % 3 {
                        0 => random(),
                        1 => chosen[random() as usize % chosen.len()],
                        _ => before ^ 1 << (random() % 64),
                    },
                );
                match inspector.look() {
                    Ok(Sight::Ready(ring)) => {
                        assert!(ring.len <= ring.capacity, "{ring:?}");
                        let _ = ring.progress_since(&ring);
                        sights += 1;
                    }
                    Ok(_) => sights += 1,
                    Err(_) => {
                        refusals += 1;
                        words.store(at, before);
                    }
                }
            }
        }
    }
    assert!(sights > 1000 && refusals > 100, "{sights} {refusals}");
}

/// At full speed, with every word changing under the look: numbers stay within what can be.
#[test]
fn looks_at_a_ring_in_full_use_make_sense() {
    let actor = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        talk.say("in");
        let batch = [7; 17];
        match talk.args[1].as_str() {
            "spsc" => {
                let ring: spsc::BoundedBuffer<u64> = spsc::Options::new().attach(id).unwrap();
                let mut producer = ring.producer().unwrap();
                loop {
                    let _ = producer.try_push(7);
                    let _ = producer.try_push_slice(&batch);
                }
            }
            _ => {
                let ring: mpmc::BoundedBuffer<u64> = mpmc::Options::new().attach(id).unwrap();
                let mut producer = ring.producer().unwrap();
                loop {
                    let _ = producer.try_push(7);
                    let _ = producer.try_push_slice(&batch);
                }
            }
        }
    });
    fn watch(inspector: &Inspector, mut pop: impl FnMut() -> usize) {
        let mut before = look(inspector);
        let (mut popped, first, mut looks) = (0, before.popped, 0);
        let started = Instant::now();
        // The processors may be busy with something else for a while.
        while looks < 3000 || popped < 10_000 {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "{looks} {popped}"
            );
            looks += 1;
            for _ in 0..20 {
                popped += pop() as u64;
            }
            let seen = look(inspector);
            assert!(!seen.is_corrupted, "{seen:?}");
            assert!(seen.len <= seen.capacity && seen.pushed - seen.popped <= seen.capacity as u64);
            // This thread alone pops: what it knows is exact.
            assert_eq!(seen.popped - first, popped);
            let progress = seen.progress_since(&before).unwrap();
            assert!(
                progress.pushed < 1 << 40 && progress.popped <= 20 * 64,
                "{progress:?}"
            );
            before = seen;
        }
    }
    let few = spsc_ring(50, Layout::Interleaved);
    let running = actor
        .clone()
        .arg(few.segment().id().as_raw())
        .arg("spsc")
        .start();
    let inspector = Inspector::attach(few.segment().id()).unwrap();
    let mut consumer = few.consumer().unwrap();
    let mut into = [0; 64];
    watch(&inspector, || {
        consumer.try_pop_slice(&mut into).unwrap_or(0)
    });
    running.kill();

    let many = mpmc_ring(50);
    let running = actor.arg(many.segment().id().as_raw()).arg("mpmc").start();
    let inspector = Inspector::attach(many.segment().id()).unwrap();
    let mut consumer = many.consumer().unwrap();
    watch(&inspector, || {
        consumer.try_pop_slice(&mut into).unwrap_or(0)
    });
    running.kill();
}

/// From another IPC namespace nobody's life can be judged.
#[test]
fn in_another_namespace_everybody_is_unknown() {
    let looker = peer!(|talk: &mut Talk| {
        let inspector = Inspector::attach(SegmentId::from_raw(talk.arg(0))).unwrap();
        assert_eq!(pair(&look(&inspector))[0].state, PeerState::Alive);
        common::enter_private_namespace();
        let seen = look(&inspector);
        assert_eq!(pair(&seen)[0].state, PeerState::Unknown);
        assert_eq!(pair(&seen)[0].pid, None);
        assert_eq!((seen.len, seen.pushed), (1, 1));
    });
    if !root_or_skip() {
        return;
    }
    let ring = spsc_ring(4, Layout::Interleaved);
    let mut producer = ring.producer().unwrap();
    producer.push(1).unwrap();
    looker.arg(ring.segment().id().as_raw()).run();
}
