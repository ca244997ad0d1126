//! Failures that no test can talk the kernel into: this binary puts its own `msgget`, `msgsnd`, `msgrcv` and `msgctl`
//! before those of the C library.
//!
//! Each makes the system call itself, unless the test on this thread wants it to fail.
#![allow(unsafe_code)] // The functions are foreign ones.
#![cfg(all(target_os = "linux", target_pointer_width = "64"))] // 32-bit machines make these calls through SYS_ipc.

mod common;

use common::{OwnedQueue, assert_says, fails};
use std::cell::Cell;
use std::ffi::{c_int, c_long, c_void};
use std::time::Duration;
use sysvshm::message_queue::{Message, Receive};
use sysvshm::{ErrorKind, Key, MessageQueue, system};

thread_local! {
    /// The errno for calls of this thread, and how many of them fail.
    static FAIL: Cell<(c_int, u32)> = const { Cell::new((0, 0)) };
    /// Calls of `msgsnd` and `msgrcv` by this thread, with `IPC_NOWAIT` and without.
    static TRANSFERS: Cell<[u32; 2]> = const { Cell::new([0; 2]) };
}

fn call(number: c_long, arguments: [usize; 5]) -> isize {
    let (errno, times) = FAIL.get();
    if times > 0 {
        FAIL.set((errno, times - 1));
        // SAFETY: no preconditions.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: the thread's own errno.
        unsafe { place.write(errno) };
        return -1;
    }
    let [first, second, third, fourth, fifth] = arguments;
    // SAFETY: the arguments are those that the caller gave the C library's function.
    let returned = unsafe { libc::syscall(number, first, second, third, fourth, fifth) };
    returned as isize
}

fn count(flags: c_int) {
    let [tries, sleeps] = TRANSFERS.get();
    TRANSFERS.set(match flags & libc::IPC_NOWAIT {
        0 => [tries, sleeps + 1],
        _ => [tries + 1, sleeps],
    });
}

/// Takes the place of the C library's function.
#[unsafe(no_mangle)]
extern "C" fn msgget(key: libc::key_t, flags: c_int) -> c_int {
    call(libc::SYS_msgget, [key as usize, flags as usize, 0, 0, 0]) as c_int
}

/// Takes the place of the C library's function.
#[unsafe(no_mangle)]
extern "C" fn msgsnd(id: c_int, message: *const c_void, bytes: usize, flags: c_int) -> c_int {
    count(flags);
    let arguments = [id as usize, message.addr(), bytes, flags as usize, 0];
    call(libc::SYS_msgsnd, arguments) as c_int
}

/// Takes the place of the C library's function.
#[unsafe(no_mangle)]
extern "C" fn msgrcv(
    id: c_int,
    message: *mut c_void,
    room: usize,
    which: c_long,
    flags: c_int,
) -> isize {
    count(flags);
    let (which, flags) = (which as usize, flags as usize);
    call(
        libc::SYS_msgrcv,
        [id as usize, message.addr(), room, which, flags],
    )
}

/// Takes the place of the C library's function.
#[unsafe(no_mangle)]
extern "C" fn msgctl(id: c_int, command: c_int, buffer: *mut libc::msqid_ds) -> c_int {
    let arguments = [id as usize, command as usize, buffer.addr(), 0, 0];
    call(libc::SYS_msgctl, arguments) as c_int
}

/// Runs `act` while this many calls fail.
fn failing<T>(errno: c_int, times: u32, act: impl FnOnce() -> T) -> T {
    FAIL.set((errno, times));
    let result = act();
    FAIL.set((0, 0));
    result
}

#[test]
fn every_other_errno_has_a_kind() {
    let queue = OwnedQueue::new();
    let always = u32::MAX;
    for (errno, kind, words) in [
        (libc::ENOMEM, ErrorKind::OutOfMemory, "no memory"),
        (libc::EPERM, ErrorKind::Unsupported, "sandbox"),
        (libc::ENOSYS, ErrorKind::Unsupported, "switched off"),
    ] {
        let created = failing(errno, always, || MessageQueue::create_new(Key::PRIVATE));
        assert_says(&fails(created, kind, errno), &["msgget(IPC_PRIVATE", words]);
        let sent = failing(errno, always, || queue.send(1, "x"));
        assert_says(&fails(sent, kind, errno), &["msgsnd(queue", words]);
        let received = failing(errno, always, || queue.receive(Receive::any()));
        assert_says(&fails(received, kind, errno), &["msgrcv(queue", words]);
    }
    for errno in [libc::EFAULT, libc::EIO] {
        let sent = failing(errno, always, || queue.send(1, "x"));
        fails(sent, ErrorKind::Other, errno);
    }
    let copied = failing(libc::ENOSYS, always, || {
        queue.copy_into(0, &mut Message::new())
    });
    let copied = fails(copied, ErrorKind::Unsupported, libc::ENOSYS);
    assert_says(&copied, &["MSG_COPY", "CONFIG_CHECKPOINT_RESTORE"]);
    let gone = failing(libc::EIDRM, always, || queue.status());
    assert!(fails(gone, ErrorKind::NoSuchQueue, libc::EIDRM).is_not_found());
    let old = failing(libc::EOVERFLOW, always, || queue.status());
    assert_says(
        &fails(old, ErrorKind::Other, libc::EOVERFLOW),
        &["old interface"],
    );
    // The owner is refused for no reason of System V.
    let sandbox = failing(libc::EPERM, 1, || queue.remove());
    assert_says(
        &fails(sandbox, ErrorKind::Unsupported, libc::EPERM),
        &["sandbox"],
    );
}

#[test]
fn a_list_that_is_refused_is_read_from_proc() {
    let queue = OwnedQueue::new();
    queue.send(1, "hello").unwrap();
    let listed = failing(libc::EPERM, u32::MAX, system::message_queues).unwrap();
    let ours = listed
        .iter()
        .find(|status| status.id() == queue.id())
        .unwrap();
    assert_eq!(
        (ours.messages(), ours.used_bytes(), ours.capacity_bytes()),
        (1, 5, None)
    );
    assert_eq!(ours.last_sender(), Some(std::process::id()));
}

#[test]
fn interrupted_calls_are_made_again_as_often_as_it_takes() {
    let queue = OwnedQueue::new();
    failing(libc::EINTR, 100, || queue.send(1, "hello")).unwrap();
    let received = failing(libc::EINTR, 100, || queue.receive(Receive::any()));
    assert_eq!(received.unwrap().bytes(), b"hello");
    let asked = queue.interruptible();
    let ended = failing(libc::EINTR, 1, || asked.send(1, "hello"));
    fails(ended, ErrorKind::Interrupted, libc::EINTR);
    assert_eq!(queue.status().unwrap().messages(), 0);
}

#[test]
fn a_poll_tries_and_pauses_longer_and_longer() {
    let queue = OwnedQueue::new();
    TRANSFERS.set([0; 2]);
    let late = queue.receive_timeout(Receive::any(), Duration::from_millis(100));
    fails(late, ErrorKind::TimedOut, libc::ENOMSG);
    let [tries, sleeps] = TRANSFERS.get();
    // One at first, after pauses of 50, 100, 200, 400 and 800 µs, then of 1 ms, and one at the end.
    assert!((3..=108).contains(&tries), "{tries} tries");
    assert_eq!(sleeps, 0);
    // Without a wait nothing but the call is made.
    TRANSFERS.set([0; 2]);
    queue.send(1, "x").unwrap();
    queue
        .receive_timeout(Receive::any(), Duration::from_secs(1))
        .unwrap();
    assert_eq!(TRANSFERS.get(), [1, 1]);
}

#[test]
fn a_buffer_that_is_too_small_costs_one_call_for_each_doubling() {
    let queue = OwnedQueue::new();
    let mut message = Message::with_capacity(8);
    queue.send(1, &[1_u8; 8192]).unwrap();
    TRANSFERS.set([0; 2]);
    queue.receive_into(Receive::any(), &mut message).unwrap();
    assert_eq!(TRANSFERS.get(), [0, 2]);
    queue.send(1, &[2_u8; 8192]).unwrap();
    TRANSFERS.set([0; 2]);
    queue.receive_into(Receive::any(), &mut message).unwrap();
    assert_eq!(
        (TRANSFERS.get(), message.bytes()),
        ([0, 1], &[2_u8; 8192][..])
    );
}
