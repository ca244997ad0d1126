//! Who is alive: killed, zombie, stopped, exec'd, forked, in another pid namespace, in another IPC namespace.

use crate::support::{LONG, Peer, attach, id, ring, say, wait_for_permission};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options, PopError, PushError};
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState};
use sysvshm::{Key, SegmentOptions};

/// Claims the producing side, pushes one item, and stays.
pub(crate) fn hold(numbers: &[u64]) {
    let ring: BoundedBuffer<u64> = attach(numbers[0]);
    let mut producer = ring.producer().unwrap();
    producer.push(7).unwrap();
    say("held");
    wait_for_permission();
}

/// As `hold`, and becomes another program with the same process id.
pub(crate) fn hold_and_exec(numbers: &[u64]) {
    let ring: BoundedBuffer<u64> = attach(numbers[0]);
    let mut producer = ring.producer().unwrap();
    producer.push(7).unwrap();
    say("held");
    let error = Command::new("sleep").arg("1000").exec();
    panic!("{error}");
}

/// As `hold`, with a child that has copies of all handles, tries them, says what came out in a second ring, and
/// outlives its parent.
pub(crate) fn hold_and_fork(numbers: &[u64]) {
    let ring: BoundedBuffer<u64> = attach(numbers[0]);
    let mut producer = ring.producer().unwrap();
    producer.push(7).unwrap();
    // SAFETY: the one other thread is the harness's, which does nothing but wait for this one and holds no lock
    // meanwhile.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let forked = producer.push(8) == Err(PushError::Forked(8))
            && matches!(producer.try_push(8), Err(PushError::Forked(8)))
            && matches!(producer.try_push_slice(&[8]), Err(PushError::Forked(())))
            && matches!(
                producer.try_reserve(1).map(drop),
                Err(PushError::Forked(()))
            )
            && matches!(ring.producer(), Err(ClaimError::Forked));
        // Giving back what was inherited must not take the role from the parent.
        drop(producer);
        drop(ring);
        // New handles made here work.
        let evidence: BoundedBuffer<u64> = attach(numbers[1]);
        let mut report = evidence.producer().unwrap();
        report.push(u64::from(forked)).unwrap();
        report.push(u64::from(std::process::id())).unwrap();
        thread::sleep(LONG);
        std::process::exit(0);
    }
    say("held");
    wait_for_permission();
}

/// Opens a ring, moves to another IPC namespace, and checks what it then thinks of the living.
pub(crate) fn namespace(numbers: &[u64]) {
    let ring: BoundedBuffer<u64> = attach(numbers[0]);
    assert_eq!(ring.producer_state(), PeerState::Alive);
    // SAFETY: changes what this thread's System V identifiers mean, and nothing in memory.
    #[allow(unsafe_code)]
    let moved = unsafe { libc::unshare(libc::CLONE_NEWIPC) };
    if moved != 0 {
        say("cannot");
        return;
    }
    assert_eq!(ring.producer_state(), PeerState::Unknown);
    assert!(matches!(
        ring.consumer(),
        Err(ClaimError::ElsewhereInNamespace)
    ));
    // A segment here may have the very identifier that the ring has there; that changes nothing.
    let twin = SegmentOptions::new()
        .size_bytes(ring.segment().len_bytes())
        .create_new(Key::PRIVATE)
        .unwrap();
    twin.mark_for_removal().unwrap();
    assert_eq!(ring.producer_state(), PeerState::Unknown);
    // A ring that is made here works here.
    let here: BoundedBuffer<u64> = ring_here();
    let (mut producer, mut consumer) = (here.producer().unwrap(), here.consumer().unwrap());
    producer.push(1).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    say("moved");
}

fn ring_here() -> BoundedBuffer<u64> {
    ring(4, Layout::Interleaved)
}

/// Puts its claim where the initialiser's goes and stays, as one does that was stopped right then.
pub(crate) fn begin_to_initialise(numbers: &[u64]) {
    // The claim of this process, as it stands in a ring of its own.
    let mine = ring_here();
    let _producer = mine.producer().unwrap();
    let claim = mine.segment().reference::<u64>(128).unwrap().load();
    let id = sysvshm::SegmentId::from_raw(numbers[0] as i32);
    let half = id.attach().unwrap();
    half.reference::<u64>(8).unwrap().store(claim);
    say("begun");
    wait_for_permission();
}

fn until(what: &str, mut done: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < LONG, "{what}: not in a minute");
        thread::sleep(Duration::from_micros(200));
    }
    started.elapsed()
}

#[allow(unsafe_code)]
fn signal(pid: i32, signal: i32) {
    // SAFETY: the process said so itself and only this test ends it.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

/// The dead one's items are there, then it is known to be dead, and its successor goes on behind it.
#[test]
fn a_killed_holder_is_taken_over() {
    let ring = ring::<u64>(4, Layout::Interleaved);
    let mut peer = Peer::start("hold", &[id(&ring)]);
    peer.expect("held");
    assert_eq!(ring.producer_state(), PeerState::Alive);
    assert!(matches!(ring.producer(), Err(ClaimError::Taken { .. })));
    let mut consumer = ring.consumer().unwrap();
    peer.kill();
    assert_eq!(consumer.buffer().producer_state(), PeerState::Dead);
    assert_eq!(consumer.pop(), Ok(7));
    assert_eq!(consumer.pop(), Err(PopError::PeerDead));
    let mut producer = ring.producer().unwrap();
    assert_eq!(producer.position(), 1);
    producer.push(8).unwrap();
    assert_eq!(consumer.pop(), Ok(8));
}

/// A holder that ends well leaves.
#[test]
fn a_holder_that_ends_well_has_left() {
    let ring = ring::<u64>(4, Layout::Contiguous);
    let mut peer = Peer::start("hold", &[id(&ring)]);
    peer.expect("held");
    peer.finish();
    assert_eq!(ring.producer_state(), PeerState::Left);
}

/// Nobody has waited for the dead process, so it still has its number; it is dead nevertheless.
#[test]
fn a_zombie_is_dead() {
    let ring = ring::<u64>(4, Layout::Interleaved);
    let mut peer = Peer::start("hold", &[id(&ring)]);
    peer.expect("held");
    peer.signal(libc::SIGKILL);
    until("death", || ring.producer_state() == PeerState::Dead);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", peer.pid())).unwrap();
    assert!(stat.contains(") Z "), "{stat}");
    assert!(ring.producer().is_ok());
}

#[test]
fn a_stopped_process_is_alive() {
    let ring = ring::<u64>(4, Layout::Interleaved);
    let mut peer = Peer::start("hold", &[id(&ring)]);
    peer.expect("held");
    peer.signal(libc::SIGSTOP);
    until("stop", || {
        std::fs::read_to_string(format!("/proc/{}/stat", peer.pid()))
            .unwrap()
            .contains(") T ")
    });
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop(), Ok(7));
    assert_eq!(
        consumer.pop_timeout(Duration::from_millis(200)),
        Err(PopError::TimedOut)
    );
    assert!(matches!(ring.producer(), Err(ClaimError::Taken { .. })));
}

/// The same process id, another program: whoever held the role is gone.
#[test]
fn exec_ends_a_holder() {
    let ring = ring::<u64>(4, Layout::Interleaved);
    let mut peer = Peer::start("hold-and-exec", &[id(&ring)]);
    peer.expect("held");
    until("exec", || ring.producer_state() == PeerState::Dead);
    assert!(
        peer.child.try_wait().unwrap().is_none(),
        "its process lives"
    );
    assert!(ring.producer().is_ok());
}

/// A child has a copy of everything and is not the holder: it is refused, its drops change nothing, and it does not
/// keep its parent alive.
#[test]
fn a_forked_child_is_not_the_holder() {
    let ring = ring_here();
    let evidence = ring_here();
    let mut heard = evidence.consumer().unwrap();
    let mut peer = Peer::start("hold-and-fork", &[id(&ring), id(&evidence)]);
    peer.expect("held");
    assert_eq!(
        heard.pop_timeout(LONG),
        Ok(1),
        "an inherited handle was not refused"
    );
    let child = heard.pop_timeout(LONG).unwrap() as i32;
    assert_eq!(ring.producer_state(), PeerState::Alive);
    peer.kill();
    assert_eq!(ring.producer_state(), PeerState::Dead);
    assert_eq!(
        heard.buffer().producer_state(),
        PeerState::Alive,
        "the child, which has new handles"
    );
    assert!(ring.producer().is_ok());
    signal(child, libc::SIGKILL);
    until("death", || {
        heard.buffer().producer_state() == PeerState::Dead
    });
}

/// Process ids mean nothing between pid namespaces; tokens do.
#[test]
fn a_holder_in_another_pid_namespace_is_seen() {
    let ring = ring::<u64>(4, Layout::Interleaved);
    let prefix = ["unshare", "--pid", "--fork", "--kill-child"];
    if !Command::new(prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .status()
        .is_ok_and(|status| status.success())
    {
        eprintln!("skipped: no pid namespaces here (not root?)");
        return;
    }
    let mut peer = Peer::spawn(&mut Peer::command_under(&prefix, "hold", &[id(&ring)]));
    peer.expect("held");
    assert_eq!(ring.producer_state(), PeerState::Alive);
    // Kills unshare, which takes the peer, process 1 of its namespace, with it. Waiting would close the peer's
    // standard input, on which it leaves.
    let _open = peer.child.stdin.take();
    peer.kill();
    until("death", || ring.producer_state() == PeerState::Dead);
    assert!(ring.producer().is_ok());
}

/// Whoever moves to another IPC namespace sees no token any more: it must treat nobody as dead, and may claim
/// nothing.
#[test]
fn another_ipc_namespace_judges_nobody() {
    let ring = ring::<u64>(4, Layout::Interleaved);
    let _producer = ring.producer().unwrap();
    let mut peer = Peer::start("namespace", &[id(&ring)]);
    let output = peer.read_all();
    assert!(peer.child.wait().unwrap().success(), "{output}");
    if output.contains("cannot") {
        eprintln!("skipped: no IPC namespaces here (not root?)");
    } else {
        assert!(output.contains("moved"));
    }
}

/// A process that died while it initialised is taken over in place; one that merely takes its time is waited for.
#[test]
fn a_dead_initialiser_is_taken_over() {
    let size = ring::<u64>(4, Layout::Interleaved).segment().len_bytes();
    let segment = SegmentOptions::new()
        .size_bytes(size)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let mut peer = Peer::start("begin", &[segment.id().as_raw() as u64]);
    peer.expect("begun");
    // Remains of the dead one's work must not matter.
    let magic = u64::from_ne_bytes(*b"svshspsc");
    segment.reference::<u64>(0).unwrap().store(magic);
    segment.reference::<u64>(256).unwrap().store(0x1234);
    segment.reference::<u64>(32).unwrap().store(99);
    let open = || {
        let mut options = Options::new();
        options.capacity(4).patience(Duration::from_millis(50));
        options.in_segment::<u64>(segment.id().attach().unwrap())
    };
    assert!(matches!(open(), Err(OpenError::NotInitialised { .. })));
    peer.kill();
    // Who was told no capacity, here or by the header, cannot take over; it waits.
    let result = Options::new()
        .patience(Duration::from_millis(50))
        .attach::<u64>(segment.id());
    assert!(matches!(result, Err(OpenError::NotInitialised { .. })));
    let ring = open().unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(5).unwrap();
    assert_eq!((consumer.pop(), producer.position()), (Ok(5), 1));
    assert!(Options::new().attach::<u64>(segment.id()).is_ok());
}

/// Nobody waits for the dead: sleeping and polling, on either side. How long it took is printed.
#[test]
fn waits_end_when_the_other_side_is_killed() {
    use sysvshm::bounded_buffer::Waiting;
    for waiting in [Waiting::Sleep, Waiting::Spin, Waiting::Yield] {
        let ring = ring::<u64>(1, Layout::Interleaved);
        let mut consumer = ring.consumer().unwrap();
        consumer.waiting(waiting);
        let mut peer = Peer::start("hold", &[id(&ring)]);
        peer.expect("held");
        assert_eq!(consumer.pop(), Ok(7));
        let (result, took) = thread::scope(|scope| {
            let popping = scope.spawn(move || (consumer.pop(), Instant::now()));
            thread::sleep(Duration::from_millis(30));
            peer.kill();
            let killed = Instant::now();
            let (result, ended) = popping.join().unwrap();
            (result, ended.saturating_duration_since(killed))
        });
        assert_eq!(result, Err(PopError::PeerDead));
        println!("{waiting:?}: the wait ended {took:?} after the kill");
    }
}
