//! Operations: what is one step, what waits and what ends the wait.
#![allow(unsafe_code)] // Signal handlers and signals.

mod common;

use common::{OwnedSet, assert_says, fails, peer, root_or_skip, until};
use std::time::{Duration, Instant};
use sysvshm::raw::{self, sembuf};
use sysvshm::semaphore::Operation;
use sysvshm::{ErrorKind, SemaphoreSet};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn one_step_changes_several_semaphores() {
    let set = OwnedSet::new(&[0; 4]);
    let squares: Vec<Operation> = (0..4)
        .map(|i| Operation::release(i, square(i)))
        .skip(1)
        .collect();
    set.operate(&squares).unwrap();
    set.operate_timeout(&squares, SHORT).unwrap();
    assert_eq!(set.values().unwrap(), [0, 2, 8, 18]);
    let raw: Vec<sembuf> = (1..4)
        .map(|i| step(i, i16::try_from(i * i).unwrap(), 0))
        .collect();
    raw::semop(set.id(), &raw).unwrap();
    raw::semtimedop(set.id(), &raw, Some(SHORT)).unwrap();
    raw::semtimedop(set.id(), &raw, None).unwrap();
    assert_eq!(set.values().unwrap(), [0, 5, 20, 45]);
}

fn square(i: usize) -> u16 {
    u16::try_from(i * i).unwrap()
}

fn step(sem_num: u16, sem_op: i16, sem_flg: i16) -> sembuf {
    sembuf {
        sem_num,
        sem_op,
        sem_flg,
    }
}

#[test]
fn a_step_that_cannot_be_done_as_a_whole_changes_nothing() {
    let set = OwnedSet::new(&[5, 0]);
    let both = [
        Operation::acquire(0, 5),
        Operation::acquire(1, 1).without_waiting(),
    ];
    fails(set.operate(&both), ErrorKind::WouldBlock, libc::EAGAIN);
    assert_eq!(set.values().unwrap(), [5, 0]);
    // Operations on one semaphore take effect in their order.
    let through = [Operation::release(1, 2), Operation::acquire(1, 1)];
    set.operate(&through).unwrap();
    assert_eq!(set.values().unwrap(), [5, 1]);
}

#[test]
fn a_long_list_is_one_step_too() {
    let set = OwnedSet::new(&[0; 100]);
    let all: Vec<Operation> = (0..100).map(|i| Operation::release(i, 1)).collect();
    set.operate(&all).unwrap();
    assert_eq!(set.values().unwrap(), [1; 100]);
}

#[test]
fn every_refusal_of_semop_has_a_kind_of_its_own() {
    let set = OwnedSet::new(&[1, 0]);
    let many = vec![Operation::release(0, 1); 501];
    let many = fails(
        set.operate(&many),
        ErrorKind::TooManyOperations,
        libc::E2BIG,
    );
    assert_says(&many, &["501 operations", "500", "SEMOPM"]);
    let none = fails(set.operate(&[]), ErrorKind::InvalidInput, libc::EINVAL);
    assert_says(&none, &["no operation"]);

    for index in [2, 65535] {
        let far = set.operate(&[Operation::release(index, 1)]);
        let far = fails(far, ErrorKind::NoSuchSemaphore, libc::EFBIG);
        assert_says(&far, &["has 2 semaphores"]);
    }
    // C's -1 in an unsigned short.
    let minus_one = raw::semop(set.id(), &[step(u16::MAX, 1, 0)]);
    fails(minus_one, ErrorKind::NoSuchSemaphore, libc::EFBIG);
    let beyond = set.operate(&[Operation::release(65536, 1)]);
    fails(beyond, ErrorKind::NoSuchSemaphore, None);

    let overflow = set.semaphore(0).release(32767);
    let overflow = fails(overflow, ErrorKind::ValueOutOfRange, libc::ERANGE);
    assert_says(&overflow, &["semaphore 0: +32767", "0 to 32767"]);
    assert_eq!(set.semaphore(0).value().unwrap(), 1);
    fails(
        set.semaphore(0).acquire(32768),
        ErrorKind::ValueOutOfRange,
        None,
    );
    fails(set.semaphore(0).release(0), ErrorKind::InvalidInput, None);

    for id in [-1, i32::MAX] {
        let gone = raw::semop(id, &[step(0, 1, 0)]);
        fails(gone, ErrorKind::NoSuchSet, libc::EINVAL);
    }
    assert_eq!(set.values().unwrap(), [1, 0]);
}

#[test]
fn what_cannot_be_done_at_once_or_in_time_says_which() {
    let set = OwnedSet::new(&[1, 0]);
    let (one, zero) = (set.semaphore(0), set.semaphore(1));
    fails(one.try_wait_for_zero(), ErrorKind::WouldBlock, libc::EAGAIN);
    fails(zero.try_acquire(1), ErrorKind::WouldBlock, libc::EAGAIN);
    fails(zero.try_lock(), ErrorKind::WouldBlock, libc::EAGAIN);
    zero.try_wait_for_zero().unwrap();

    let start = Instant::now();
    let late = fails(
        zero.acquire_timeout(1, SHORT),
        ErrorKind::TimedOut,
        libc::EAGAIN,
    );
    assert!(start.elapsed() >= SHORT);
    assert_says(&late, &["semtimedop", "semaphore 1: -1", "20ms"]);
    let start = Instant::now();
    fails(
        one.wait_for_zero_timeout(SHORT),
        ErrorKind::TimedOut,
        libc::EAGAIN,
    );
    assert!(start.elapsed() >= SHORT);
    fails(zero.lock_timeout(SHORT), ErrorKind::TimedOut, libc::EAGAIN);
    let list = [Operation::acquire(1, 1)];
    fails(
        set.operate_timeout(&list, SHORT),
        ErrorKind::TimedOut,
        libc::EAGAIN,
    );

    // No time at all is a try; what is possible at once needs no time.
    fails(
        zero.acquire_timeout(1, Duration::ZERO),
        ErrorKind::TimedOut,
        libc::EAGAIN,
    );
    one.acquire_timeout(1, Duration::ZERO).unwrap();
    one.release(1).unwrap();
    // More than any clock can say.
    one.acquire_timeout(1, Duration::MAX).unwrap();
    assert_eq!(set.values().unwrap(), [0, 0]);
}

#[test]
fn operating_needs_the_write_bit_and_waiting_for_zero_the_read_bit() {
    let nobody = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let denied = set.semaphore(0).try_acquire(1);
        let denied = fails(denied, ErrorKind::PermissionDenied, libc::EACCES);
        assert_says(&denied, &["semop(set", "mode 0604", "write bit"]);
        set.semaphore(1).wait_for_zero().unwrap();
        assert_eq!(set.values().unwrap(), [1, 0]);
        fails(
            set.semaphore(0).set_value(1),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        fails(
            set.set_values(&[1, 1]),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
    });
    if root_or_skip() {
        let set = OwnedSet::with_mode(&[1, 0], 0o604);
        nobody.arg(set.id()).nobody().run();
    }
}

#[test]
fn removing_the_set_ends_every_wait_and_says_so() {
    let waiter = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let ended = match talk.arg::<String>(1).as_str() {
            "increase" => set.semaphore(0).acquire(1),
            "zero" => set.semaphore(1).wait_for_zero(),
            _ => set
                .semaphore(0)
                .acquire_timeout(1, Duration::from_secs(86_400)),
        };
        let ended = fails(ended, ErrorKind::Removed, libc::EIDRM);
        let id = format!("(set {}", set.id());
        assert_says(
            &ended,
            &[&id, "removed while this process waited", "another process"],
        );
        // From now on it is as if it had never been.
        fails(
            set.semaphore(0).release(1),
            ErrorKind::NoSuchSet,
            libc::EINVAL,
        );
        fails(set.values(), ErrorKind::NoSuchSet, libc::EINVAL);
        talk.say("told");
    });
    let set = OwnedSet::new(&[0, 1]);
    let waiter = waiter.arg(set.id());
    let waiting: Vec<_> = ["increase", "zero", "timed"]
        .map(|way| waiter.clone().arg(way).start())
        .into();
    until(|| set.semaphore(0).waiting_for_increase().unwrap() == 2);
    until(|| set.semaphore(1).waiting_for_zero().unwrap() == 1);
    set.remove().unwrap();
    for running in waiting {
        assert_eq!(running.finish(), ["told"]);
    }
}

/// Counts itself in semaphore 1 of the set in `SIGNALLED_SET`, so that others see that it ran.
extern "C" fn count_signal(_: libc::c_int) {
    let id = SIGNALLED_SET.load(std::sync::atomic::Ordering::Relaxed);
    let mut up = step(1, 1, 0);
    // SAFETY: one operation; a system call is allowed in a handler.
    unsafe { libc::semop(id, &raw mut up, 1) };
}
static SIGNALLED_SET: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(-1);

/// Handles SIGUSR1 from now on, with `SA_RESTART`: it makes no difference to semop.
fn handle_signals(set: &SemaphoreSet) -> i32 {
    SIGNALLED_SET.store(set.id(), std::sync::atomic::Ordering::Relaxed);
    // SAFETY: all zeros is a sigaction without flags and with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler makes one system call.
    let done = unsafe { libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0);
    // SAFETY: no preconditions.
    unsafe { libc::gettid() }
}

fn send_signal(process: u32, thread: &str) {
    let thread: libc::c_long = thread.parse().unwrap();
    // SAFETY: plain numbers; the thread is one of a child of this process.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_tgkill,
            libc::c_long::from(i32::try_from(process).unwrap()),
            thread,
            libc::c_long::from(libc::SIGUSR1),
        )
    };
    assert_eq!(sent, 0);
}

#[test]
fn a_signal_ends_a_wait_only_if_asked_to() {
    let waiter = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        talk.say(handle_signals(&set));
        let semaphore = set.semaphore(0);
        let day = Duration::from_secs(86_400);
        match talk.arg::<String>(1).as_str() {
            "told" => {
                let told = semaphore.interruptible().acquire(1);
                fails(told, ErrorKind::Interrupted, libc::EINTR);
            }
            "told in time" => {
                let told = set.interruptible().semaphore(0).acquire_timeout(1, day);
                fails(told, ErrorKind::Interrupted, libc::EINTR);
            }
            "told, list" => {
                let list = [Operation::acquire(0, 1)];
                let told = set.interruptible().operate(&list);
                fails(told, ErrorKind::Interrupted, libc::EINTR);
            }
            "told, raw" => {
                let told = raw::semop(set.id(), &[step(0, -1, 0)]);
                fails(told, ErrorKind::Interrupted, libc::EINTR);
            }
            "goes on" => semaphore.acquire(1).unwrap(),
            _ => semaphore.acquire_timeout(1, day).unwrap(),
        }
    });
    for way in ["told", "told in time", "told, list", "told, raw"] {
        let set = OwnedSet::new(&[0, 0]);
        let mut running = waiter.clone().arg(set.id()).arg(way).start();
        let thread = running.hear();
        until(|| set.semaphore(0).waiting_for_increase().unwrap() == 1);
        send_signal(running.pid(), &thread);
        running.finish();
        assert_eq!(set.values().unwrap(), [0, 1], "{way}");
    }
    for way in ["goes on", "goes on in time"] {
        let set = OwnedSet::new(&[0, 0]);
        let mut running = waiter.clone().arg(set.id()).arg(way).start();
        let thread = running.hear();
        for signals in 1..=3 {
            until(|| set.semaphore(0).waiting_for_increase().unwrap() == 1);
            send_signal(running.pid(), &thread);
            until(|| set.semaphore(1).value().unwrap() == signals);
        }
        set.semaphore(0).release(1).unwrap();
        running.finish();
        assert_eq!(set.values().unwrap(), [0, 3], "{way}");
    }
}

#[test]
fn signals_neither_shorten_nor_endlessly_prolong_a_timed_wait() {
    let waiter = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        talk.say(handle_signals(&set));
        let start = Instant::now();
        let time = Duration::from_millis(300);
        let late = set.semaphore(0).acquire_timeout(1, time);
        assert!(start.elapsed() >= time);
        fails(late, ErrorKind::TimedOut, libc::EAGAIN);
        talk.say("late");
        // The bombardment may still go on.
        talk.hear();
    });
    let set = OwnedSet::new(&[0, 0]);
    let mut running = waiter.arg(set.id()).start();
    let thread = running.hear();
    let (pid, bombarding) = (running.pid(), std::sync::atomic::AtomicBool::new(true));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while bombarding.load(std::sync::atomic::Ordering::Relaxed) {
                send_signal(pid, &thread);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        // Were each restart to begin anew with 300 ms, this would never come.
        let said = running.hear();
        bombarding.store(false, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(said, "late");
    });
    running.say("enough");
    running.finish();
    assert!(set.semaphore(1).value().unwrap() >= 1);
}

#[test]
fn waiters_are_counted_and_all_of_them_get_through() {
    let sleeper = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let semaphore = set.semaphore(0).with_undo();
        semaphore.acquire(1).unwrap();
        semaphore.release(1).unwrap();
    });
    let for_zero = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        set.semaphore(1).wait_for_zero().unwrap();
    });
    let set = OwnedSet::new(&[0, 1]);
    let mut sleepers: Vec<_> = (0..5)
        .map(|_| sleeper.clone().arg(set.id()).start())
        .collect();
    sleepers.extend((0..5).map(|_| for_zero.clone().arg(set.id()).start()));
    let (first, second) = (set.semaphore(0), set.semaphore(1));
    until(|| first.waiting_for_increase().unwrap() == 5);
    until(|| second.waiting_for_zero().unwrap() == 5);
    assert_eq!(first.waiting_for_zero().unwrap(), 0);
    assert_eq!(second.waiting_for_increase().unwrap(), 0);
    // Setting a value wakes like an operation.
    first.set_value(1).unwrap();
    second.set_value(0).unwrap();
    for running in sleepers {
        running.finish();
    }
    assert_eq!(set.values().unwrap(), [1, 0]);
    assert_eq!(first.waiting_for_increase().unwrap(), 0);
}

#[test]
fn many_processes_of_many_threads_keep_the_sums_right() {
    let crowd = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    for round in 0..300_u16 {
                        // Takes 1 to 3 seats and one of two tables, in one step; gives them back in two.
                        let (seats, table) = (round % 3 + 1, 1 + usize::from(round % 2));
                        set.operate(&[Operation::acquire(0, seats), Operation::acquire(table, 1)])
                            .unwrap();
                        set.semaphore(table).release(1).unwrap();
                        set.semaphore(0).release(seats).unwrap();
                        let guard = set.semaphore(3).lock().unwrap();
                        // Not one step: the mutex makes it so.
                        let count = set.semaphore(4).value().unwrap();
                        set.semaphore(4).set_value(count + 1).unwrap();
                        drop(guard);
                    }
                });
            }
        });
    });
    let set = OwnedSet::new(&[4, 1, 2, 1, 0]);
    let crowds: Vec<_> = (0..3)
        .map(|_| crowd.clone().arg(set.id()).start())
        .collect();
    for running in crowds {
        running.finish();
    }
    assert_eq!(set.values().unwrap(), [4, 1, 2, 1, 3 * 5 * 300]);
}
