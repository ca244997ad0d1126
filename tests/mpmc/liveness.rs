//! Who is alive: killed, zombie, stopped, exec'd, forked, in another pid namespace, in another IPC namespace; and
//! who began to initialise.

use crate::common::{Peer, Talk, peer, root_or_skip, set_sysctl, skipped};
use crate::support::{attach, id, ring, ring_with};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::mpmc::{
    BoundedBuffer, Layout, Options, PopError, PushError, Recovered,
};
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState, Waiting};
use sysvshm::{Key, SegmentId, SegmentOptions, system};

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

/// A ring of four slots: 1 and 2 in it, which the holder looks at, then two slots that it reserves.
fn ring_for_a_holder() -> BoundedBuffer<u64> {
    let ring = ring_with(Options::new().capacity(4).participants(5));
    ring.producer().unwrap().try_push_slice(&[1, 2]).unwrap();
    ring
}

/// Has both items and both free slots in its hands, says so, and waits; then pushes 3 and 4 and pops 1 and 2.
fn hold(talk: &Talk) {
    let ring: BoundedBuffer<u64> = attach(talk.arg(0));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let items = consumer.try_peek(2).unwrap();
    let mut space = producer.try_reserve(2).unwrap();
    space.write_from(0, &[3, 4]);
    talk.say("holding");
    talk.hear();
    space.commit(2).unwrap();
    items.release(2).unwrap();
}

/// Waits until something has come about, and not forever.
#[track_caller]
fn eventually(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "not in a minute");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Everything the holder has, undone.
fn assert_recovered(found: Recovered) {
    let Recovered {
        participants,
        skipped,
        redelivered,
        released,
        ..
    } = found;
    assert_eq!((participants, skipped, redelivered, released), (2, 2, 2, 0));
}

/// The items of the ring, in any order, and that every slot can be used.
fn assert_holds(ring: &BoundedBuffer<u64>, expected: &[u64]) {
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut found: Vec<u64> = consumer.try_iter().collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    for item in 0..8 {
        producer.try_push(item).unwrap();
        assert_eq!(consumer.try_pop(), Ok(item));
    }
    let fit = (0..9).map_while(|item| producer.try_push(item).ok());
    assert_eq!(fit.count(), 4);
}

fn states(ring: &BoundedBuffer<u64>) -> Vec<PeerState> {
    ring.participants().iter().map(|one| one.state).collect()
}

fn both(state: PeerState) -> Vec<PeerState> {
    vec![state; 2]
}

/// The dead one's pushes never happened, nor its pops; then it counts as gone.
#[test]
fn a_killed_holder_is_undone() {
    let holder = peer!(|talk| hold(talk));
    let ring = ring_for_a_holder();
    let mut running = holder.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    assert_eq!(ring.producer_state(), PeerState::Alive);
    running.kill();
    assert_eq!(ring.producer_state(), PeerState::Dead);
    assert_eq!(states(&ring), both(PeerState::Dead));
    assert_recovered(ring.recover().unwrap());
    assert_eq!(ring.producer_state(), PeerState::Left);
    assert_holds(&ring, &[1, 2]);
}

/// A holder that ends well has done what it was doing.
#[test]
fn a_holder_that_ends_well_has_left() {
    let holder = peer!(|talk| hold(talk));
    let ring = ring_for_a_holder();
    let mut running = holder.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    running.say("go on");
    running.finish();
    assert_eq!(ring.producer_state(), PeerState::Left);
    assert!(ring.recover().unwrap().is_nothing());
    assert_holds(&ring, &[3, 4]);
}

/// Nobody has waited for the dead process, so it still has its number; it is dead nevertheless.
#[test]
fn a_zombie_is_dead() {
    let holder = peer!(|talk| hold(talk));
    let ring = ring_for_a_holder();
    let mut running = holder.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    running.send(libc::SIGKILL);
    eventually(|| states(&ring) == both(PeerState::Dead));
    eventually(|| running.state() == 'Z');
    assert_recovered(ring.recover().unwrap());
    assert_holds(&ring, &[1, 2]);
}

/// It is alive, so what it holds is waited for, and whoever does not want to wait does not.
#[test]
fn a_stopped_holder_is_alive() {
    let holder = peer!(|talk| hold(talk));
    let ring = ring_for_a_holder();
    let mut running = holder.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    running.send(libc::SIGSTOP);
    eventually(|| running.state() == 'T');
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Yield] {
        consumer.waiting(waiting);
        producer.waiting(waiting);
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
        assert_eq!(producer.try_push(9), Err(PushError::Full(9)));
        assert_eq!(consumer.pop_timeout(SHORT), Err(PopError::TimedOut));
        assert_eq!(producer.push_timeout(9, SHORT), Err(PushError::TimedOut(9)));
    }
    assert_eq!(states(&ring), vec![PeerState::Alive; 4]);
    assert!(ring.recover().unwrap().is_nothing());
    running.send(libc::SIGCONT);
    running.say("go on");
    running.finish();
    assert_eq!(consumer.pop_timeout(LONG), Ok(3));
    assert_eq!(consumer.pop_timeout(LONG), Ok(4));
    assert_eq!(producer.try_push(9), Ok(()));
}

/// The same process id, another program: the handles are gone.
#[test]
fn exec_ends_a_holder() {
    let holder = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let items = consumer.try_peek(2).unwrap();
        let space = producer.try_reserve(2).unwrap();
        talk.say("holding");
        let error = Command::new("sleep").arg("1000").exec();
        drop((items, space));
        panic!("{error}");
    });
    let ring = ring_for_a_holder();
    let mut running = holder.arg(id(&ring)).start();
    assert_eq!(running.hear(), "holding");
    eventually(|| states(&ring) == both(PeerState::Dead));
    assert!(!matches!(running.state(), 'Z' | 'X'), "its process lives");
    assert_recovered(ring.recover().unwrap());
    assert_holds(&ring, &[1, 2]);
}

/// What a forked child tries with everything it has inherited.
struct Inherited<'a> {
    ring: BoundedBuffer<u64>,
    idle: (
        sysvshm::bounded_buffer::mpmc::Producer<u64>,
        sysvshm::bounded_buffer::mpmc::Consumer<u64>,
    ),
    space: sysvshm::bounded_buffer::mpmc::Reservation<'a, u64>,
    items: sysvshm::bounded_buffer::mpmc::Peek<'a, u64>,
}

impl Inherited<'_> {
    /// Which of them was not refused; 0 if all were.
    fn not_refused(self) -> u64 {
        let (mut producer, mut consumer) = self.idle;
        let refused = [
            producer.push(8) == Err(PushError::Forked(8)),
            producer.try_push(8) == Err(PushError::Forked(8)),
            producer.push_timeout(8, SHORT) == Err(PushError::Forked(8)),
            producer.try_push_slice(&[8]) == Err(PushError::Forked(())),
            producer.push_slice(&[8]) == Err(PushError::Forked(0)),
            producer.try_reserve(1).map(drop) == Err(PushError::Forked(())),
            producer.reserve(1).map(drop) == Err(PushError::Forked(())),
            consumer.pop() == Err(PopError::Forked),
            consumer.try_pop() == Err(PopError::Forked),
            consumer.pop_timeout(SHORT) == Err(PopError::Forked),
            consumer.try_pop_slice(&mut [8]) == Err(PopError::Forked),
            consumer.pop_slice(&mut [8]) == Err(PopError::Forked),
            consumer.try_peek(1).map(drop) == Err(PopError::Forked),
            consumer.peek(1).map(drop) == Err(PopError::Forked),
            self.space.commit(2) == Err(PushError::Forked(())),
            self.items.release(2) == Err(PopError::Forked),
            matches!(self.ring.producer(), Err(ClaimError::Forked)),
            matches!(self.ring.consumer(), Err(ClaimError::Forked)),
            matches!(self.ring.recover(), Err(ClaimError::Forked)),
        ];
        // Drops them all.
        drop((producer, consumer, self.ring));
        refused
            .iter()
            .enumerate()
            .map(|(index, &one)| u64::from(!one) << index)
            .sum()
    }
}

/// A child has a copy of everything and may use none of it: it is refused, its drops change nothing, new handles
/// that it makes work, and it does not keep its parent alive.
#[test]
fn a_forked_child_is_nobody_before_it_comes_by_itself() {
    let holder = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let idle = (ring.producer().unwrap(), ring.consumer().unwrap());
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let items = consumer.try_peek(2).unwrap();
        let space = producer.try_reserve(2).unwrap();
        let inherited = Inherited {
            ring,
            idle,
            space,
            items,
        };
        // SAFETY: the one other thread is the harness's, which does nothing but wait for this one and holds no lock
        // meanwhile.
        #[allow(unsafe_code)]
        let child = unsafe { libc::fork() };
        if child == 0 {
            let answer = inherited.not_refused();
            let mut report = attach::<u64>(talk.arg(1)).producer().unwrap();
            let mut told = attach::<u64>(talk.arg(2)).consumer().unwrap();
            report.push(answer).unwrap();
            if let Ok(number) = told.pop_timeout(LONG) {
                report.push(number + 1).unwrap();
            }
            drop((report, told));
            // SAFETY: ends the child at once.
            #[allow(unsafe_code)]
            unsafe {
                libc::_exit(0)
            };
        }
        talk.say("holding");
        talk.hear();
        drop(inherited);
    });
    let ring = ring_with::<u64>(Options::new().capacity(4).participants(5));
    ring.producer().unwrap().try_push_slice(&[1, 2]).unwrap();
    let (report, order) = (
        crate::support::ring::<u64>(4),
        crate::support::ring::<u64>(4),
    );
    let mut heard = report.consumer().unwrap();
    let mut tell = order.producer().unwrap();
    let holder = holder.arg(id(&ring)).arg(id(&report)).arg(id(&order));
    let mut running = holder.start();
    assert_eq!(running.hear(), "holding");
    assert_eq!(
        heard.pop_timeout(LONG),
        Ok(0),
        "calls that were not refused"
    );
    // What the child dropped is all there: four handles, the items and the slots they hold.
    assert_eq!(states(&ring), vec![PeerState::Alive; 4]);
    assert!(ring.recover().unwrap().is_nothing());
    assert_eq!(ring.consumer().unwrap().try_pop(), Err(PopError::Empty));
    assert_eq!(
        ring.producer().unwrap().try_push(9),
        Err(PushError::Full(9))
    );
    running.kill();
    assert_eq!(states(&ring), vec![PeerState::Dead; 4]);
    assert_eq!(
        heard.buffer().producer_state(),
        PeerState::Alive,
        "the child, by its own handles"
    );
    let found = ring.recover().unwrap();
    assert_eq!(
        (found.participants, found.skipped, found.redelivered),
        (4, 2, 2)
    );
    assert_holds(&ring, &[1, 2]);
    tell.push(41).unwrap();
    assert_eq!(
        heard.pop_timeout(LONG),
        Ok(42),
        "the child goes on without its parent"
    );
    eventually(|| heard.buffer().producer_state() == PeerState::Left);
}

/// Process ids mean nothing between pid namespaces; tokens do.
#[test]
fn a_holder_in_another_pid_namespace_is_seen() {
    let holder = peer!(|talk| hold(talk));
    let prefix = ["unshare", "--pid", "--fork", "--kill-child"];
    let tried = Command::new(prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .status();
    if !tried.is_ok_and(|status| status.success()) {
        skipped("no pid namespaces here (not root?)");
        return;
    }
    let ring = ring_for_a_holder();
    let mut running = holder.arg(id(&ring)).under(&prefix).start();
    assert_eq!(running.hear(), "holding");
    assert_eq!(states(&ring), both(PeerState::Alive));
    assert!(
        ring.participants()
            .iter()
            .all(|one| one.pid.is_some_and(|pid| pid != 1)),
        "as it is numbered here"
    );
    assert!(ring.recover().unwrap().is_nothing());
    // unshare dies, and takes the first process of the namespace with it.
    running.kill();
    eventually(|| states(&ring) == both(PeerState::Dead));
    assert_recovered(ring.recover().unwrap());
    assert_holds(&ring, &[1, 2]);
}

/// Whoever moves to another IPC namespace sees no token any more: it treats nobody as dead, undoes nothing, and may
/// make no handle. The handles it has go on.
#[test]
fn another_ipc_namespace_judges_nobody() {
    let mover = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let mut consumer = ring.consumer().unwrap();
        assert_eq!(ring.producer_state(), PeerState::Alive);
        crate::common::enter_private_namespace();
        let judges_nobody = || {
            assert_eq!(ring.producer_state(), PeerState::Unknown);
            let all = ring.participants();
            assert!(all.iter().all(|one| one.state == PeerState::Unknown));
            assert!(matches!(
                ring.recover(),
                Err(ClaimError::ElsewhereInNamespace)
            ));
            assert!(matches!(
                ring.consumer(),
                Err(ClaimError::ElsewhereInNamespace)
            ));
        };
        judges_nobody();
        // A segment here may have the very identifier that the ring has there; that changes nothing.
        let twin = SegmentOptions::new()
            .size_bytes(ring.segment().len_bytes())
            .create_new(Key::PRIVATE)
            .unwrap();
        twin.mark_for_removal().unwrap();
        judges_nobody();
        // It finds nothing, polls and sleeps, and leaves what the living hold alone.
        for waiting in [Waiting::Sleep, Waiting::Yield] {
            let waited = consumer.waiting(waiting).pop_timeout(SHORT);
            assert_eq!(waited, Err(PopError::TimedOut));
        }
        // A ring that is made here works here.
        let here = ring_with::<u64>(Options::new().capacity(4));
        here.producer().unwrap().push(1).unwrap();
        assert_eq!(here.consumer().unwrap().pop(), Ok(1));
        talk.say("moved");
        assert_eq!(consumer.pop_timeout(LONG), Ok(5));
    });
    if !root_or_skip() {
        return;
    }
    let ring: BoundedBuffer<u64> = ring(4);
    let mut producer = ring.producer().unwrap();
    let mut space = producer.try_reserve(1).unwrap();
    let mut running = mover.arg(id(&ring)).start();
    assert_eq!(running.hear(), "moved");
    space.set(0, 5);
    space.commit(1).unwrap();
    running.finish();
}

/// A process that died while it initialised is taken over in place; one that merely takes its time is waited for.
#[test]
fn a_dead_initialiser_is_taken_over() {
    let slow = peer!(|talk| {
        // The claim of this process, as it stands in the table of a ring of its own.
        let mine = ring_for_a_holder();
        let producer = mine.producer().unwrap();
        let claim = mine.segment().reference::<u64>(1408).unwrap().load();
        assert_ne!(claim, 0);
        let half = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        half.reference::<u64>(8).unwrap().store(claim);
        talk.say("begun");
        talk.hear();
        drop(producer);
    });
    let size = ring_for_a_holder().segment().len_bytes();
    let segment = SegmentOptions::new()
        .size_bytes(size)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let mut running = slow.arg(segment.id().as_raw()).start();
    assert_eq!(running.hear(), "begun");
    // Remains of the dead one's work must not matter.
    for (at, value) in [
        (0, u64::from_ne_bytes(*b"svshmpmc")),
        (32, 99),
        (128, 3),
        (256, 77),
        (768, 5),
        (1408, 0x1234),
        (size - 16, 9),
    ] {
        segment.reference::<u64>(at).unwrap().store(value);
    }
    let open = || {
        let mut options = Options::new();
        options
            .capacity(4)
            .participants(5)
            .patience(Duration::from_millis(50));
        options.in_segment::<u64>(segment.id().attach().unwrap())
    };
    assert!(matches!(open(), Err(OpenError::NotInitialised { .. })));
    running.kill();
    // Who was told no capacity, here or by the header, cannot take over; it waits.
    let result = Options::new()
        .patience(Duration::from_millis(50))
        .attach::<u64>(segment.id());
    assert!(matches!(result, Err(OpenError::NotInitialised { .. })));
    let ring = open().unwrap();
    assert!(ring.participants().is_empty());
    assert_eq!(ring.producer_state(), PeerState::Never);
    assert_holds(&ring, &[]);
    assert!(Options::new().attach::<u64>(segment.id()).is_ok());
}

/// Nobody waits for the dead: sleeping and polling, on either side. How long it took is printed.
#[test]
fn waits_end_when_who_blocks_them_is_killed() {
    let reader = peer!(|talk| hold(talk));
    let writer = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let mut producer = ring.producer().unwrap();
        let space = producer.try_reserve(4).unwrap();
        assert_eq!(space.len(), 4);
        talk.say("holding");
        talk.hear();
        drop(space);
    });
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Yield] {
        let killed_while = |holder: &Peer, ring, blocked: &mut (dyn FnMut() + Send)| {
            let mut running = holder.clone().arg(id(ring)).start();
            assert_eq!(running.hear(), "holding");
            thread::scope(|scope| {
                let waiting = scope.spawn(move || {
                    blocked();
                    Instant::now()
                });
                thread::sleep(Duration::from_millis(30));
                assert!(!waiting.is_finished(), "nothing blocks it");
                running.kill();
                let killed = Instant::now();
                waiting.join().unwrap().saturating_duration_since(killed)
            })
        };
        // Both items are in the holder's hands, and so are the slots behind them.
        let ring = ring_for_a_holder();
        let mut consumer = ring.consumer().unwrap();
        consumer.waiting(waiting);
        let popping = killed_while(&reader, &ring, &mut || {
            let mut items = [(); 2].map(|()| consumer.pop_timeout(LONG).unwrap());
            items.sort_unstable();
            assert_eq!(items, [1, 2]);
        });
        // All slots are.
        let ring: BoundedBuffer<u64> = ring_with(Options::new().capacity(4));
        let mut producer = ring.producer().unwrap();
        producer.waiting(waiting);
        let pushing = killed_while(&writer, &ring, &mut || {
            producer.push_timeout(5, LONG).unwrap();
        });
        assert_holds(&ring, &[5]);
        println!("{waiting:?}: pop ended {popping:?} after the kill, push {pushing:?}");
    }
}

/// Where there is room for one segment, but not for a token as well, nothing is made: a ring that its creator could
/// not finish would stand in the way of the next one.
#[test]
fn who_cannot_have_a_token_creates_nothing() {
    let crowded = peer!(|talk| {
        set_sysctl("shmmni", 1);
        let key = Key::random().unwrap();
        let mut options = Options::new();
        options.capacity(4);
        for create in [Options::create_new::<u64>, Options::open_or_create::<u64>] {
            match create(&options, key) {
                Err(OpenError::System(error)) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(system::segments().unwrap().len(), 0);
        }
        set_sysctl("shmmni", 2);
        let ring = options.create_new::<u64>(key).unwrap();
        ring.segment().mark_for_removal().unwrap();
        talk.say("created");
    });
    if root_or_skip() {
        assert_eq!(crowded.private_namespace().run(), ["created"]);
    }
}

/// A patience longer than the clock goes is no mistake.
#[test]
fn patience_has_no_end() {
    let mut options = Options::new();
    let ring = ring_with::<u64>(options.capacity(4).patience(Duration::MAX));
    assert!(options.attach::<u64>(ring.segment().id()).is_ok());
}

/// A wait takes a redelivered item before others even where it has to be searched in all slots of a large ring, piece
/// by piece.
#[test]
fn a_wait_searches_redelivered_items_to_the_end() {
    const CAPACITY: u64 = 1 << 17;
    const SLOT: u64 = 100_000;
    let mut options = Options::new();
    options.capacity(CAPACITY as usize).participants(2);
    let ring = ring_with::<u64>(options.layout(Layout::Contiguous));
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    (0..CAPACITY).for_each(|item| producer.try_push(item).unwrap());
    assert_eq!(consumer.pop(), Ok(0));
    let store = |at: u64, word| {
        ring.segment()
            .reference::<u64>(at as usize)
            .unwrap()
            .store(word);
    };
    // REDELIVER in lap 0; the first note of the log, "anywhere"; the epoch that counts it.
    store(1408 + 2 * 64 + 8 * SLOT, 5);
    store(896, 1);
    store(768, 1);
    assert_eq!(consumer.pop(), Ok(SLOT));
    assert_eq!(consumer.pop_timeout(LONG), Ok(1));
}
