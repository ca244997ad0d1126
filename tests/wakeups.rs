//! Who is woken without waiting for the end of a slice: this binary puts its own `syscall` before that of the C
//! library, and no sleep in a ring ends by time.
//!
//! A sleeper checks the ring after each slice, so a lost wake-up costs a slice and would show in a stopwatch alone,
//! which a busy machine disturbs. Without slices it is a wait that does not end.
#![allow(unsafe_code)] // The function is a foreign one.
#![cfg(target_os = "linux")]

mod common;

use common::{alone, skipped};
use std::cell::RefCell;
use std::ffi::c_long;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::Key;
use sysvshm::bounded_buffer::{BoundedBuffer, Consumer, Layout, Protocol, mpmc, spsc};

/// What a thread did in a ring's wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Barrier,
    /// At most this long.
    Sleep(Duration),
}

thread_local! {
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
}

/// How often any thread went to sleep in a ring.
static SLEEPS: AtomicUsize = AtomicUsize::new(0);
static ENDLESS: AtomicBool = AtomicBool::new(false);

/// The C library's own function.
fn original() -> unsafe extern "C" fn(c_long, ...) -> c_long {
    static FOUND: AtomicUsize = AtomicUsize::new(0);
    let mut found = FOUND.load(Ordering::Relaxed);
    if found == 0 {
        // SAFETY: a name that ends in a zero byte.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) }.expose_provenance();
        assert_ne!(found, 0);
        FOUND.store(found, Ordering::Relaxed);
    }
    let found = std::ptr::with_exposed_provenance::<()>(found);
    // SAFETY: the C library's `syscall` is such a function.
    unsafe { std::mem::transmute::<*const (), unsafe extern "C" fn(c_long, ...) -> c_long>(found) }
}

/// `SYS_futex_time64`, by which 32-bit machines wait; 64-bit machines have no call of this number.
const FUTEX_TIME64: c_long = 422;

/// Takes the place of the C library's function. Sleeps in rings are those on a word shared between processes; the
/// standard library's own are private.
///
/// # Safety
///
/// As syscall(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    mut d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    let event = match number {
        libc::SYS_futex | FUTEX_TIME64 if b == libc::FUTEX_WAIT.into() => {
            // Seconds and nanoseconds, each of 64 bits for the newer call and as wide as a word for the older one.
            let half = if number == FUTEX_TIME64 {
                8
            } else {
                size_of::<c_long>()
            };
            let read = |at: usize| -> u64 {
                let at = std::ptr::with_exposed_provenance::<u8>(d as usize + at);
                if half == 8 {
                    // SAFETY: rings never sleep without a timeout, and it lives across the call.
                    unsafe { at.cast::<u64>().read_unaligned() }
                } else {
                    // SAFETY: as above.
                    u64::from(unsafe { at.cast::<u32>().read_unaligned() })
                }
            };
            Some(Event::Sleep(
                Duration::from_secs(read(0)) + Duration::from_nanos(read(half)),
            ))
        }
        libc::SYS_membarrier if a == libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED.into() => {
            Some(Event::Barrier)
        }
        _ => None,
    };
    if let Some(event) = event {
        EVENTS.with_borrow_mut(|events| events.push(event));
        if matches!(event, Event::Sleep(_)) {
            SLEEPS.fetch_add(1, Ordering::Relaxed);
            if ENDLESS.load(Ordering::Relaxed) {
                d = 0; // no timeout
            }
        }
    }
    // SAFETY: the caller's own promise.
    unsafe { original()(number, a, b, c, d, e, f) }
}

/// Runs with sleeps that end by a wake-up alone.
fn without_slices(test: impl FnOnce()) {
    let _alone = alone();
    SLEEPS.store(0, Ordering::Relaxed);
    ENDLESS.store(true, Ordering::Relaxed);
    test();
    ENDLESS.store(false, Ordering::Relaxed);
}

/// Waits until there have been so many sleeps, and a little until the last of them is one for the kernel too.
fn until_slept(times: usize) {
    let started = Instant::now();
    while SLEEPS.load(Ordering::Relaxed) < times {
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "nobody sleeps"
        );
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(5));
}

/// What a thread sends, which must come.
#[track_caller]
fn sent<T>(received: &mpsc::Receiver<T>) -> T {
    received
        .recv_timeout(Duration::from_secs(300))
        .expect("a sleeper is woken")
}

fn mpmc_ring() -> mpmc::BoundedBuffer<u64> {
    let ring = mpmc::BoundedBuffer::create_new(Key::PRIVATE, 64).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

fn spsc_ring() -> spsc::BoundedBuffer<u64> {
    let ring = spsc::BoundedBuffer::create_new(Key::PRIVATE, 64).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

/// A push is completed for whose items others were waiting as well: it wakes one consumer, which wakes the next, and
/// so on.
#[test]
fn a_consumer_that_was_woken_alone_wakes_the_next() {
    without_slices(|| {
        let ring = mpmc_ring();
        let (mut first, mut second) = (ring.producer().unwrap(), ring.producer().unwrap());
        let space = first.try_reserve(1).unwrap();
        let (send, popped) = mpsc::channel();
        for _ in 0..4 {
            let mut consumer = ring.consumer().unwrap();
            let send = send.clone();
            // A handle that goes wakes everybody, so it is sent along.
            thread::spawn(move || {
                let item = consumer.pop().unwrap();
                send.send((item, consumer)).unwrap();
            });
        }
        until_slept(4);
        // Wakes three of them, for nothing: the reserved slot comes first.
        second.push_slice(&[1, 2, 3]).unwrap();
        until_slept(7);
        space.commit(1).unwrap();
        let got = [(); 4].map(|()| sent(&popped));
        let mut items = got.each_ref().map(|(item, _)| *item);
        items.sort_unstable();
        assert_eq!(items, [0, 1, 2, 3]);
    });
}

/// Each item finds its consumer asleep, in either ring.
#[test]
fn every_item_wakes_a_sleeping_consumer() {
    without_slices(|| {
        let (spsc, mpmc) = (spsc_ring(), mpmc_ring());
        let (send, popped) = mpsc::channel();
        let mut one = spsc.consumer().unwrap();
        let (mut to_one, mut to_many) = (spsc.producer().unwrap(), mpmc.producer().unwrap());
        let mut many = mpmc.consumer().unwrap();
        thread::spawn(move || {
            for _ in 0..20 {
                send.send(one.pop().unwrap()).unwrap();
                send.send(many.pop().unwrap()).unwrap();
            }
        });
        for item in 0..20 {
            until_slept(2 * item as usize + 1);
            to_one.push(item).unwrap();
            assert_eq!(sent(&popped), item);
            until_slept(2 * item as usize + 2);
            to_many.push(item).unwrap();
            assert_eq!(sent(&popped), item);
        }
    });
}

/// A consumer goes past millions of slots that were reserved and not used, to an item behind them.
#[test]
fn a_consumer_does_not_sleep_on_its_way_to_an_item() {
    without_slices(|| {
        let mut options = mpmc::Options::new();
        options.capacity(1 << 23).layout(Layout::Contiguous);
        let ring = options.create_new::<u8>(Key::PRIVATE).unwrap();
        ring.segment().mark_for_removal().unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        for _ in 0..15 {
            drop(producer.reserve(1 << 19).unwrap());
        }
        producer.push(7).unwrap();
        let (send, popped) = mpsc::channel();
        thread::spawn(move || send.send(consumer.pop().unwrap()).unwrap());
        assert_eq!(sent(&popped), 7);
        assert_eq!(SLEEPS.load(Ordering::Relaxed), 0);
    });
}

/// A process falls asleep behind one barrier in every registered process, and sleeps on without another.
#[test]
fn a_sleeper_asks_for_one_barrier_before_it_sleeps() {
    let _alone = alone();
    // SAFETY: a query; touches no memory.
    let known = unsafe { libc::syscall(libc::SYS_membarrier, 0, 0, 0) };
    if known & c_long::from(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED) == 0 || known < 0 {
        return skipped("membarrier(2) is not to be had here");
    }
    let time = Duration::from_millis(300); // some slices
    let (spsc, mpmc) = (spsc_ring(), mpmc_ring());
    let (_producers, mut one) = (
        (spsc.producer().unwrap(), mpmc.producer()),
        spsc.consumer().unwrap(),
    );
    EVENTS.take();
    one.pop_timeout(time).unwrap_err();
    let of_one = EVENTS.take();
    let mut many = mpmc.consumer().unwrap();
    EVENTS.take();
    many.pop_timeout(time).unwrap_err();
    let of_many = EVENTS.take();
    for events in [of_one, of_many] {
        assert_eq!(events[0], Event::Barrier);
        assert!(events.len() >= 2, "{events:?}");
        assert!(
            events[1..]
                .iter()
                .all(|event| matches!(event, Event::Sleep(_)))
        );
    }
}

/// How long a consumer of an empty ring that is given an item as soon as it sleeps would have slept.
fn slice<P: Protocol>(
    ring: &BoundedBuffer<u64, P>,
    set: impl FnOnce(&mut Consumer<u64, P>),
) -> Duration {
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    set(&mut consumer);
    SLEEPS.store(0, Ordering::Relaxed);
    let events = thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            EVENTS.take();
            assert_eq!(consumer.pop(), Ok(1));
            EVENTS.take()
        });
        until_slept(1);
        producer.push(1).unwrap();
        waiting.join().unwrap()
    });
    let slices = events.into_iter().filter_map(|event| match event {
        Event::Sleep(slice) => Some(slice),
        Event::Barrier => None,
    });
    // Without barriers the first one is shorter, to see what a publisher may have missed.
    slices.max().unwrap()
}

fn intervals<P: Protocol>(ring: &BoundedBuffer<u64, P>) {
    let ms = Duration::from_millis;
    assert_eq!(slice(ring, |_| {}), ms(80));
    for (interval, expected) in [(ms(1000), ms(800)), (ms(10), ms(8))] {
        let set = |consumer: &mut Consumer<u64, P>| {
            consumer.liveness_interval(interval);
        };
        assert_eq!(slice(ring, set), expected);
    }
    // Cancelling wakes nobody, and ends a wait within 100 ms nevertheless.
    let mut canceller = None;
    let set = |consumer: &mut Consumer<u64, P>| {
        consumer.liveness_interval(ms(1000));
        canceller = Some(consumer.canceller());
    };
    assert_eq!(slice(ring, set), ms(80));
}

/// The time between two checks is what was asked for: as the kernel is told, not as a clock says.
#[test]
fn an_idle_handle_sleeps_as_long_as_its_liveness_interval_allows() {
    let _alone = alone();
    intervals(&spsc_ring());
    intervals(&mpmc_ring());
}

/// Producers sleep in the same way.
#[test]
fn a_producer_without_room_sleeps_as_long_as_its_liveness_interval_allows() {
    let _alone = alone();
    let ring = spsc_ring();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    while producer.try_push(0).is_ok() {}
    producer.liveness_interval(Duration::from_secs(1));
    SLEEPS.store(0, Ordering::Relaxed);
    let events = thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            EVENTS.take();
            producer.push(1).unwrap();
            EVENTS.take()
        });
        until_slept(1);
        while consumer.try_pop().is_ok() {}
        waiting.join().unwrap()
    });
    assert!(events.contains(&Event::Sleep(Duration::from_millis(800))));
}
