//! What ends a wait of a ring besides what it is for: a canceller, a signal, removal, the deadline; and chunks in place
//! that were forgotten or forked.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Signals and forks are what these tests are about.

mod common;

use common::{Forked, OwnedKey, alone, peer, watch};
use std::io::{Read, Write};
use std::mem::forget;
use std::os::unix::thread::JoinHandleExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use sysvshm::bounded_buffer::mpmc::Mpmc;
use sysvshm::bounded_buffer::spsc::Spsc;
use sysvshm::bounded_buffer::{
    BoundedBuffer, Canceller, Consumer, Layout, Options, PopError, Producer, Protocol, PushError,
    Waiting,
};
use sysvshm::{Key, bytemuck::Pod};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);
const CAPACITY: usize = 8;

fn ring<T: Pod, P: Protocol>() -> BoundedBuffer<T, P> {
    watch();
    let mut options = Options::new();
    options.capacity(CAPACITY).layout(Layout::Contiguous);
    let ring = options.create_new(Key::PRIVATE).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

fn fill<P: Protocol>(producer: &mut Producer<u8, P>) {
    while producer.try_push(0).is_ok() {}
}

/// Every call that may wait without a timeout, on a ring that is full.
fn pushes<P: Protocol>(producer: &mut Producer<u8, P>) {
    assert_eq!(producer.push(1), Err(PushError::Cancelled(1)));
    assert_eq!(producer.push_slice(&[1; 3]), Err(PushError::Cancelled(0)));
    assert_eq!(producer.reserve(1).unwrap_err(), PushError::Cancelled(()));
}

/// Every call that may wait without a timeout, on a ring that is empty.
fn pops<P: Protocol>(consumer: &mut Consumer<u8, P>) {
    assert_eq!(consumer.pop(), Err(PopError::Cancelled));
    assert_eq!(consumer.pop_slice(&mut [0; 3]), Err(PopError::Cancelled));
    let no_time = consumer.pop_timeout(Duration::ZERO);
    assert_eq!(no_time, Err(PopError::Cancelled));
    assert_eq!(consumer.peek(1).unwrap_err(), PopError::Cancelled);
    let mut items = consumer.iter();
    assert_eq!(items.next(), None);
    assert_eq!(items.why_it_ended(), Some(PopError::Cancelled));
}

fn every_call_is_cancelled<P: Protocol>() {
    let ring = ring::<u8, P>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let (no_room, no_items) = (producer.canceller(), consumer.canceller());
    for waiting in [Waiting::Sleep, Waiting::Yield, Waiting::Spin] {
        producer.waiting(waiting);
        consumer.waiting(waiting);
        no_items.cancel();
        pops(&mut consumer);
        fill(&mut producer);
        no_room.cancel();
        assert!(no_room.is_cancelled() && producer.canceller().is_cancelled());
        pushes(&mut producer);
        // What need not wait goes on, except what would go on for ever.
        assert_eq!(consumer.pop(), Ok(0));
        assert_eq!(producer.push(7), Ok(()));
        assert_eq!(consumer.iter().next(), None);
        no_items.clone().reset();
        no_room.reset();
        assert_eq!(consumer.iter().take(CAPACITY).last(), Some(7));
        assert_eq!(consumer.pop_timeout(SHORT), Err(PopError::TimedOut));
    }
}

#[test]
fn every_call_that_would_wait_is_cancelled() {
    every_call_is_cancelled::<Spsc>();
    every_call_is_cancelled::<Mpmc>();
}

#[test]
fn streams_are_cancelled_also_where_they_would_not_wait() {
    let ring = ring::<u8, Spsc>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let inner = |error: std::io::Error| error.into_inner().unwrap().to_string();
    producer.canceller().cancel();
    consumer.canceller().cancel();
    // `write_all` and `read_exact` repeat what was interrupted; this is not.
    let error = inner(producer.write_all(b"abc").unwrap_err());
    assert_eq!(error, PushError::Cancelled(()).to_string());
    producer.canceller().reset();
    producer.write_all(b"abc").unwrap();
    let error = inner(consumer.read_exact(&mut [0; 2]).unwrap_err());
    assert_eq!(error, PopError::Cancelled.to_string());
    consumer.canceller().reset();
    let mut text = [0; 3];
    consumer.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"abc");
}

#[test]
fn a_canceller_may_go_anywhere() {
    fn anywhere<T: Send + Sync + Clone + 'static>(_: &T) {}
    let ring = ring::<u8, Spsc>();
    let canceller = ring.producer().unwrap().canceller();
    anywhere(&canceller);
    drop(ring);
    // The handle and the ring are gone.
    canceller.cancel();
    assert!(canceller.is_cancelled());
}

/// Waits until the word at this offset says that a handle sleeps.
fn until_asleep<T: Pod, P: Protocol>(ring: &BoundedBuffer<T, P>, word: usize) {
    let word = ring.segment().reference::<u32>(word).unwrap();
    while word.load() & 1 == 0 {
        thread::yield_now();
    }
}

fn sleepers_are_cancelled<P: Protocol>() {
    let ring = ring::<u8, P>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let canceller = consumer.canceller();
    let waiting = thread::spawn(move || (consumer.pop(), consumer));
    until_asleep(&ring, 640);
    canceller.cancel();
    let (popped, mut consumer) = waiting.join().unwrap();
    assert_eq!(popped, Err(PopError::Cancelled));
    canceller.reset();

    fill(&mut producer);
    let canceller = producer.canceller();
    let waiting = thread::spawn(move || (producer.push(9), producer));
    until_asleep(&ring, 512);
    canceller.cancel();
    let (pushed, _producer) = waiting.join().unwrap();
    assert_eq!(pushed, Err(PushError::Cancelled(9)));
    assert_eq!(consumer.pop(), Ok(0));
}

#[test]
fn a_sleeping_wait_is_cancelled_by_another_thread() {
    sleepers_are_cancelled::<Spsc>();
    sleepers_are_cancelled::<Mpmc>();
}

fn handle(signal: i32, handler: extern "C" fn(i32), flags: i32) {
    // SAFETY: all zeros are an action; the handlers of these tests store into atomics alone.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = flags;
    // SAFETY: a whole action.
    let done = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

/// Signals the thread until it ends: a signal that comes before the sleep interrupts nothing.
fn signal_until_done<R>(thread: JoinHandle<R>, signal: i32) -> R {
    while !thread.is_finished() {
        // SAFETY: a thread that was not joined.
        unsafe { libc::pthread_kill(thread.as_pthread_t(), signal) };
        thread::sleep(Duration::from_millis(1));
    }
    thread.join().unwrap()
}

static END: OnceLock<Canceller> = OnceLock::new();

extern "C" fn end(_: i32) {
    if let Some(end) = END.get() {
        end.cancel();
    }
}

#[test]
fn a_signal_handler_cancels() {
    let _alone = alone();
    let ring = ring::<u8, Mpmc>();
    let mut consumer = ring.consumer().unwrap();
    END.set(consumer.canceller()).unwrap();
    handle(libc::SIGUSR1, end, libc::SA_RESTART);
    let waiting = thread::spawn(move || consumer.pop());
    until_asleep(&ring, 640);
    // SAFETY: a thread that was not joined.
    unsafe { libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR1) };
    assert_eq!(waiting.join().unwrap(), Err(PopError::Cancelled));
}

static HANDLED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: i32) {
    HANDLED.store(true, Ordering::SeqCst);
}

fn signals_end_a_wait_if_asked<P: Protocol>() {
    let ring = ring::<u8, P>();
    for flags in [0, libc::SA_RESTART] {
        handle(libc::SIGUSR2, note, flags);
        let mut consumer = ring.consumer().unwrap();
        consumer.interruptible(true);
        let waiting = thread::spawn(move || consumer.pop());
        let popped = signal_until_done(waiting, libc::SIGUSR2);
        assert_eq!(popped, Err(PopError::Interrupted));

        let mut producer = ring.producer().unwrap();
        fill(&mut producer);
        producer.interruptible(true);
        let waiting = thread::spawn(move || producer.push(3));
        let pushed = signal_until_done(waiting, libc::SIGUSR2);
        assert_eq!(pushed, Err(PushError::Interrupted(3)));
        ring.consumer().unwrap().try_iter().for_each(drop);
    }
    // Else a wait goes on.
    let mut consumer = ring.consumer().unwrap();
    let waiting = thread::spawn(move || consumer.pop());
    until_asleep(&ring, 640);
    HANDLED.store(false, Ordering::SeqCst);
    while !HANDLED.load(Ordering::SeqCst) {
        // SAFETY: a thread that was not joined, because it waits for the item below.
        unsafe { libc::pthread_kill(waiting.as_pthread_t(), libc::SIGUSR2) };
        thread::yield_now();
    }
    ring.producer().unwrap().push(5).unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(5));
}

#[test]
fn a_signal_ends_a_wait_if_asked() {
    let _alone = alone();
    signals_end_a_wait_if_asked::<Spsc>();
    signals_end_a_wait_if_asked::<Mpmc>();
}

fn removal_ends_waits<P: Protocol>() {
    let key = OwnedKey::random();
    let mut options = Options::<P>::new();
    let ring: BoundedBuffer<u64, P> = options.capacity(2).create_new(key.key()).unwrap();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop_timeout(SHORT), Err(PopError::TimedOut));
    let mut producer = ring.producer().unwrap();
    producer.push(1).unwrap();

    // As `ipcrm` does it, and then another ring gets the key.
    ring.segment().id().mark_for_removal().unwrap();
    let _newer: BoundedBuffer<u64, P> = options.create_new(key.key()).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
    // They go on with each other, unless they want to know.
    assert_eq!(
        consumer.pop_timeout(Duration::from_millis(200)),
        Err(PopError::TimedOut)
    );
    consumer.notice_removal(true);
    assert_eq!(consumer.pop(), Err(PopError::Removed));
    producer.notice_removal(true).push_slice(&[2, 3]).unwrap();
    assert_eq!(producer.push(4), Err(PushError::Removed(4)));
    // Alone, each is told in any case: the other cannot come any more.
    producer.notice_removal(false);
    drop(consumer);
    assert_eq!(producer.push(4), Err(PushError::Removed(4)));
    drop(producer);
    let mut consumer = ring.consumer().unwrap();
    assert!(consumer.iter().eq([2, 3]));
    assert_eq!(consumer.pop(), Err(PopError::Removed));
}

#[test]
fn a_ring_that_is_removed_under_its_users_says_so() {
    removal_ends_waits::<Spsc>();
    removal_ends_waits::<Mpmc>();
}

fn private_rings_are_never_removed<P: Protocol>() {
    let ring = ring::<u64, P>();
    let mut consumer = ring.consumer().unwrap();
    consumer.notice_removal(true);
    assert_eq!(
        consumer.pop_timeout(Duration::from_millis(200)),
        Err(PopError::TimedOut)
    );
}

#[test]
fn a_ring_that_no_key_finds_does_not_count_as_removed() {
    private_rings_are_never_removed::<Spsc>();
    private_rings_are_never_removed::<Mpmc>();
}

/// 8 pushed, 4 popped, 1 pushed. Then a hostile peer says "full" once, where the producer checks and where it polls.
#[test]
fn a_slice_is_not_pushed_for_ever_where_room_is_said_and_denied() {
    for said in 0..=20_u64 {
        let ring = ring::<u64, Spsc>();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        producer.push_slice(&[0; 8]).unwrap();
        consumer.pop_slice(&mut [0; 4]).unwrap();
        producer.push(0).unwrap();
        for word in [256, 384] {
            ring.segment().reference::<u64>(word).unwrap().store(said);
        }
        // What it says does not matter; that it says something does.
        let _ = producer.push_slice_timeout(&[1; 5], SHORT);
        let _ = producer.push_slice_timeout(&[1; 50], SHORT);
    }
}

/// The word that a producer polls, and finds when it is woken.
#[test]
fn a_consumer_that_leaves_tells_of_the_room_it_made() {
    let ring = ring::<u8, Spsc>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    fill(&mut producer);
    assert_eq!(consumer.pop(), Ok(0));
    let told = ring.segment().reference::<u64>(384).unwrap();
    assert_eq!(told.load(), 0);
    drop(consumer);
    assert_eq!(told.load(), 1);
    assert_eq!(producer.push(1), Ok(()));
}

fn the_deadline_rules<P: Protocol>() {
    let ring = ring::<u8, P>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let canceller = consumer.canceller();
    let popping = thread::spawn(move || consumer.iter().count());
    let items = vec![1; 1 << 27];
    match producer.push_slice_timeout(&items, SHORT) {
        Err(PushError::TimedOut(done)) => assert!(done < items.len()),
        other => panic!("{other:?}"),
    }
    let canceller_of_pushes = producer.canceller();
    canceller_of_pushes.cancel();
    match producer.push_slice(&items) {
        Err(PushError::Cancelled(done)) => assert!(done <= CAPACITY),
        other => panic!("{other:?}"),
    }
    canceller.cancel();
    popping.join().unwrap();
}

/// A consumer that goes on making room in small amounts.
#[test]
fn the_deadline_rules_also_where_there_is_always_room() {
    the_deadline_rules::<Spsc>();
    the_deadline_rules::<Mpmc>();
}

type Pop<P> = fn(&mut Consumer<u8, P>) -> u8;

fn forgotten_chunks_are_settled<P: Protocol>() {
    let ring = ring::<u8, P>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let pushes: [fn(&mut Producer<u8, P>); 4] = [
        |producer| producer.push(1).unwrap(),
        |producer| producer.try_push(1).unwrap(),
        |producer| producer.push_slice(&[1]).unwrap(),
        |producer| assert_eq!(producer.try_push_slice(&[1]), Ok(1)),
    ];
    let pops: [Pop<P>; 4] = [
        |consumer| consumer.pop_timeout(LONG).unwrap(),
        |consumer| consumer.try_pop().unwrap(),
        |consumer| {
            let mut item = [0];
            consumer.pop_slice_timeout(&mut item, LONG).unwrap();
            item[0]
        },
        |consumer| consumer.try_iter().next().unwrap(),
    ];
    for (push, pop) in pushes.into_iter().zip(pops) {
        forget(producer.try_reserve(2).unwrap());
        push(&mut producer);
        // Nothing stands before the item.
        forget(consumer.try_peek(1).unwrap());
        assert_eq!(pop(&mut consumer), 1);
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
    }
}

#[test]
fn a_forgotten_chunk_is_given_back_by_the_next_call() {
    forgotten_chunks_are_settled::<Spsc>();
    forgotten_chunks_are_settled::<Mpmc>();
}

/// Asserts that it panics, with words about the fork.
#[track_caller]
fn refuses<R>(what: impl FnOnce() -> R) {
    let panic = catch_unwind(AssertUnwindSafe(what))
        .err()
        .expect("no panic");
    let text = panic.downcast_ref::<&str>().unwrap();
    assert!(text.contains("fork"), "{text}");
}

fn chunks_in_a_child<P: Protocol>() {
    let ring = ring::<u64, P>();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(1).unwrap();
    let mut space = producer.try_reserve(2).unwrap();
    space.write_from(0, &[2, 3]);
    let items = consumer.try_peek(1).unwrap();
    let (in_child, of_child) = (AssertUnwindSafe(&mut space), AssertUnwindSafe(&items));
    Forked::start(move |_| {
        std::panic::set_hook(Box::new(|_| ())); // the panics are wanted
        // The whole guards, not their fields.
        let (space, items) = ({ in_child }.0, { of_child }.0);
        refuses(|| space.set(0, 666));
        refuses(|| space.write_from(0, &[666]));
        refuses(|| space.as_shared_slice().is_some());
        refuses(|| items.get(0));
        refuses(|| items.read_into(0, &mut [0]));
        refuses(|| items.as_shared_slice().is_some());
    })
    .finish();
    space.commit(2).unwrap();
    items.release(1).unwrap();
    assert!(consumer.try_iter().eq([2, 3]));
}

#[test]
fn chunks_refuse_to_work_in_a_forked_child() {
    peer!(|_| {
        chunks_in_a_child::<Spsc>();
        chunks_in_a_child::<Mpmc>();
    })
    .run();
}
