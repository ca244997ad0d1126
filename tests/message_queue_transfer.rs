//! `msgsnd` and `msgrcv`: what goes in and comes out, what waits, and what ends the wait.
#![allow(unsafe_code)] // Signal handlers and signals.
#![cfg(target_os = "linux")]

mod common;

use common::{
    OwnedQueue, Running, assert_says, fails, peer, root_or_skip, set_sysctl, until, until_asleep_in,
};
use std::time::{Duration, Instant};
use sysvshm::message_queue::{Message, Receive};
use sysvshm::raw;
use sysvshm::{ErrorKind, MessageQueue, MessageQueueId};

const SHORT: Duration = Duration::from_millis(20);
const DAY: Duration = Duration::from_secs(86_400);

fn from_raw(raw: i32) -> MessageQueue {
    MessageQueue::from_id(MessageQueueId::from_raw(raw))
}

#[test]
fn a_message_arrives_as_it_was_sent_and_leaves_its_marks() {
    let queue = OwnedQueue::new();
    queue.send(7, "hello").unwrap();
    let status = queue.status().unwrap();
    assert_eq!((status.messages(), status.used_bytes()), (1, 5));
    assert_eq!(status.last_sender(), Some(std::process::id()));
    assert!(status.send_time() >= status.change_time() && status.receive_time().is_none());
    let message = queue.receive(Receive::any()).unwrap();
    assert_eq!(
        (message.message_type(), message.bytes()),
        (7, &b"hello"[..])
    );
    let status = queue.status().unwrap();
    assert_eq!((status.messages(), status.used_bytes()), (0, 0));
    assert_eq!(status.last_receiver(), Some(std::process::id()));
    assert!(status.receive_time() >= status.send_time());
}

#[test]
fn messages_of_every_length_arrive_whole() {
    let queue = OwnedQueue::new();
    let mut kept = Message::new();
    for len in [0, 1, 7, 8, 9, 255, 256, 257, 1000, 8184, 8191, 8192] {
        let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
        for small in [false, true] {
            queue.send(3, &bytes[..]).unwrap();
            let mut fresh = Message::with_capacity(1);
            let message = if small { &mut fresh } else { &mut kept };
            queue.receive_into(Receive::any(), message).unwrap();
            assert_eq!(message.bytes(), bytes, "{len} bytes");
        }
        // What raw gives is the same.
        raw::msgsnd(queue.raw(), 3, &bytes[..], libc::IPC_NOWAIT).unwrap();
        let received = raw::msgrcv(queue.raw(), &mut kept, len, 3, 0).unwrap();
        assert_eq!((received, kept.bytes()), (len, &bytes[..]));
    }
}

#[test]
fn a_message_longer_than_any_usual_one_arrives_where_the_limits_allow_it() {
    let alone = peer!(|_| {
        set_sysctl("msgmax", 1 << 20);
        set_sysctl("msgmnb", 1 << 20);
        let queue = MessageQueue::create_new(sysvshm::Key::PRIVATE).unwrap();
        for len in [8193_usize, 100_000, 1 << 20] {
            let bytes = vec![len as u8; len];
            queue.try_send(1, &bytes[..]).unwrap();
            assert_eq!(queue.receive(Receive::any()).unwrap().bytes(), bytes);
        }
        let longer = queue.try_send(1, &vec![0_u8; (1 << 20) + 1][..]);
        let longer = fails(longer, ErrorKind::MessageTooLarge, libc::EINVAL);
        assert_says(&longer, &["1048577 bytes", "1048576 bytes here (msgmax)"]);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn types_choose_the_message() {
    let queue = OwnedQueue::new();
    let send_all = || {
        for message_type in [5, 3, 9, 3, 4] {
            queue.send(message_type, &message_type).unwrap();
        }
    };
    let take = |what| {
        let received = queue
            .try_receive(what)
            .map(|message| message.message_type());
        received.map_err(|error| error.kind())
    };
    let nothing = Err(ErrorKind::WouldBlock);
    send_all();
    // One by one in any order, by type.
    for message_type in [9, 5, 4, 3, 3] {
        assert_eq!(take(Receive::of_type(message_type)), Ok(message_type));
    }
    assert_eq!(take(Receive::any()), nothing);
    // The smallest first, the oldest of equals, and none beyond.
    send_all();
    assert_eq!(take(Receive::up_to_type(2)), nothing);
    let smallest: Vec<_> = (0..4).map(|_| take(Receive::up_to_type(5))).collect();
    assert_eq!(smallest, [Ok(3), Ok(3), Ok(4), Ok(5)]);
    assert_eq!(take(Receive::up_to_type(i64::MAX)), Ok(9));
    // All but one.
    send_all();
    assert_eq!(take(Receive::except_type(5)), Ok(3));
    assert_eq!(take(Receive::except_type(9)), Ok(5));
    assert_eq!(take(Receive::of_type(7)), nothing);
    // In the order in which they were sent.
    let rest: Vec<_> = (0..3).map(|_| take(Receive::any())).collect();
    assert_eq!(rest, [Ok(9), Ok(3), Ok(4)]);
    queue.send(i64::MAX, "the largest type").unwrap();
    assert_eq!(take(Receive::of_type(i64::MAX)), Ok(i64::MAX));
}

#[test]
fn a_message_that_is_too_long_stays_or_is_cut_as_asked() {
    let queue = OwnedQueue::new();
    queue.send(1, b"0123456789").unwrap();
    let mut message = Message::with_capacity(100);
    let long = queue.receive_into(Receive::any().at_most(9), &mut message);
    let long = fails(long, ErrorKind::MessageTooLarge, libc::E2BIG);
    assert_says(
        &long,
        &[
            "msgrcv(queue",
            "room for 9 bytes",
            "stays in the queue",
            "MSG_NOERROR",
        ],
    );
    assert_eq!(
        (message.bytes(), queue.status().unwrap().messages()),
        (&b""[..], 1)
    );
    queue
        .receive_into(Receive::of_type(1).truncated(4), &mut message)
        .unwrap();
    // The capacity that is beyond stays out of sight.
    assert_eq!(message.bytes(), b"0123");
    assert_eq!(queue.status().unwrap().messages(), 0);
    queue.send(1, b"0123456789").unwrap();
    let none = queue.receive(Receive::any().truncated(0)).unwrap();
    assert_eq!((none.message_type(), none.bytes()), (1, &b""[..]));
    // Room that cannot be had is an error, not a crash.
    let endless = queue.try_receive(Receive::any().at_most(usize::MAX / 2));
    fails(endless, ErrorKind::OutOfMemory, libc::ENOMEM);
}

#[test]
fn every_refusal_has_a_kind_of_its_own() {
    let queue = OwnedQueue::new();
    for wrong in [0, -1, i64::MIN] {
        let refused = fails(
            queue.send(wrong, "x"),
            ErrorKind::InvalidInput,
            libc::EINVAL,
        );
        assert_says(&refused, &["msgsnd(queue", "1 or more"]);
        for what in [
            Receive::of_type(wrong),
            Receive::up_to_type(wrong),
            Receive::except_type(wrong),
        ] {
            fails(queue.try_receive(what), ErrorKind::InvalidInput, None);
        }
    }
    let long = queue.send(1, &[0_u8; 8193]);
    let long = fails(long, ErrorKind::MessageTooLarge, libc::EINVAL);
    assert_says(&long, &["8193 bytes", "at most 8192 bytes here (msgmax)"]);
    for raw in [-1, i32::MAX] {
        let gone = from_raw(raw);
        let sent = fails(gone.send(1, "x"), ErrorKind::NoSuchQueue, libc::EINVAL);
        assert_says(&sent, &["no such message queue", "the queue was removed"]);
        let received = gone.receive(Receive::any());
        fails(received, ErrorKind::NoSuchQueue, libc::EINVAL);
        let copied = gone.copy_into(0, &mut Message::new());
        assert!(copied.unwrap_err().is_not_found());
    }
    let nothing = queue.try_receive(Receive::any());
    let nothing = fails(nothing, ErrorKind::WouldBlock, libc::ENOMSG);
    assert_says(&nothing, &["any type", "IPC_NOWAIT", "ENOMSG"]);
}

#[test]
fn a_full_queue_says_how_full_it_is() {
    let queue = OwnedQueue::new();
    queue.set_capacity_bytes(1000).unwrap();
    queue.send(1, &[1_u8; 600]).unwrap();
    queue.send(1, &[1_u8; 300]).unwrap();
    let words = [
        "holds 2 messages of 900 bytes",
        "may hold 1000 bytes",
        "receive some",
    ];
    let full = queue.try_send(1, &[1_u8; 101]);
    assert_says(&fails(full, ErrorKind::WouldBlock, libc::EAGAIN), &words);
    let full = queue.send_timeout(1, &[1_u8; 101], SHORT);
    assert_says(&fails(full, ErrorKind::TimedOut, libc::EAGAIN), &words);
    let never = queue.try_send(1, &[1_u8; 1001]);
    assert_says(
        &fails(never, ErrorKind::WouldBlock, libc::EAGAIN),
        &["never fits"],
    );
    // What fits goes in; so do empty messages, as many as bytes.
    queue.try_send(1, &[1_u8; 100]).unwrap();
    let empty = std::iter::repeat_with(|| queue.try_send(1, b"")).take_while(Result::is_ok);
    assert_eq!(empty.count(), 997);
    queue.receive(Receive::any()).unwrap();
    queue.try_send(1, &[1_u8; 600]).unwrap();
}

#[test]
fn sending_needs_the_write_bit_and_receiving_the_read_bit() {
    let nobody = peer!(|talk| {
        let queue = from_raw(talk.arg(0));
        queue.send(1, "others may write").unwrap();
        let denied = queue.try_receive(Receive::any());
        let denied = fails(denied, ErrorKind::PermissionDenied, libc::EACCES);
        assert_says(&denied, &["mode 0602", "read bit"]);
        let copied = queue.copy_into(0, &mut Message::new());
        fails(copied, ErrorKind::PermissionDenied, libc::EACCES);
        let queue = from_raw(talk.arg(1));
        queue.try_receive(Receive::any()).unwrap();
        let denied = queue.send(1, "x");
        let denied = fails(denied, ErrorKind::PermissionDenied, libc::EACCES);
        assert_says(&denied, &["mode 0604", "write bit"]);
    });
    if root_or_skip() {
        let queues = [OwnedQueue::with_mode(0o602), OwnedQueue::with_mode(0o604)];
        queues[1].send(1, "others may read").unwrap();
        let [first, second] = queues.each_ref().map(OwnedQueue::raw);
        nobody.arg(first).arg(second).nobody().run();
    }
}

#[test]
fn a_copy_leaves_the_message_where_it_is() {
    let queue = OwnedQueue::new();
    let mut message = Message::new();
    for number in 0..5_u8 {
        queue.send(i64::from(number) + 1, &[number; 50]).unwrap();
    }
    for number in 0..5_u8 {
        let copied = queue.copy_into(usize::from(number), &mut message);
        if copied
            .as_ref()
            .is_err_and(|e| e.kind() == ErrorKind::Unsupported)
        {
            let error = fails(copied, ErrorKind::Unsupported, libc::ENOSYS);
            assert_says(&error, &["CONFIG_CHECKPOINT_RESTORE"]);
            return common::skipped("this kernel has no MSG_COPY");
        }
        copied.unwrap();
        assert_eq!(message.message_type(), i64::from(number) + 1);
        assert_eq!(message.bytes(), [number; 50]);
    }
    assert_eq!(queue.status().unwrap().messages(), 5);
    for position in [5, usize::MAX] {
        let none = queue.copy_into(position, &mut message);
        let none = fails(none, ErrorKind::WouldBlock, libc::ENOMSG);
        assert_says(&none, &["MSG_COPY", "no message at this position"]);
    }
    // C can ask for it in ways that the kernel refuses.
    for flags in [
        raw::MSG_COPY,
        raw::MSG_COPY | raw::MSG_EXCEPT | libc::IPC_NOWAIT,
    ] {
        let refused = raw::msgrcv(queue.raw(), &mut message, 100, 0, flags);
        let refused = fails(refused, ErrorKind::InvalidInput, libc::EINVAL);
        assert_says(&refused, &["MSG_COPY", "IPC_NOWAIT"]);
    }
    let negative = raw::msgrcv(
        queue.raw(),
        &mut message,
        100,
        -3,
        raw::MSG_COPY | libc::IPC_NOWAIT,
    );
    fails(negative, ErrorKind::WouldBlock, libc::ENOMSG);
    for number in 0..5_u8 {
        assert_eq!(queue.receive(Receive::any()).unwrap().bytes(), [number; 50]);
    }
}

/// A peer that waits in the way that its second argument names and says what came of it.
fn waiter(talk: &mut common::Talk) {
    handle(libc::SIGUSR1);
    handle(libc::SIGUSR2);
    let queue = from_raw(talk.arg(0));
    let way: String = talk.arg(1);
    let queue = match way.as_str() {
        "timer" | "timed send" => queue.timer_signal(libc::SIGUSR2),
        "interruptible" => queue.interruptible(),
        "interruptible poll" => queue.interruptible(),
        _ => queue,
    };
    // SAFETY: no preconditions.
    talk.say(unsafe { libc::gettid() });
    let result = match way.as_str() {
        "send" | "interruptible send" => queue.send(1, &[9_u8; 600]).map(|()| Message::new()),
        "timed send" => queue
            .send_timeout(1, &[9_u8; 600], DAY)
            .map(|()| Message::new()),
        "poll" | "interruptible poll" | "timer" => queue.receive_timeout(Receive::of_type(2), DAY),
        _ => {
            let mut small = Message::with_capacity(8);
            let result = queue.receive_into(Receive::of_type(2), &mut small);
            result.map(|()| small)
        }
    };
    talk.say(match result {
        Ok(message) => format!("{} bytes", message.bytes().len()),
        Err(error) => format!("{:?} {}", error.kind(), error.raw_os_error().unwrap_or(0)),
    });
}

extern "C" fn nothing(_: libc::c_int) {}

/// Handles a signal from now on, with `SA_RESTART`: it makes no difference to msgrcv.
fn handle(signal: libc::c_int) {
    // SAFETY: all zeros is a sigaction without flags and with an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the handler does nothing.
    let done = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0);
}

/// SIGUSR1 to one thread of a process.
fn signal(process: u32, thread: &str) {
    let thread: libc::c_long = thread.parse().unwrap();
    let (process, signal) = (
        libc::c_long::from(process),
        libc::c_long::from(libc::SIGUSR1),
    );
    // SAFETY: plain numbers; the thread is one of a child of this process.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
}

/// Waits until the peer sleeps as its way has it.
fn until_asleep(running: &Running, way: &str) {
    let call = match way {
        "send" | "timed send" => libc::SYS_msgsnd,
        "poll" | "interruptible poll" => libc::SYS_nanosleep,
        _ => libc::SYS_msgrcv,
    };
    match call {
        // glibc and musl make this call for nanosleep.
        libc::SYS_nanosleep => until_asleep_in(running.pid(), libc::SYS_clock_nanosleep),
        call => until_asleep_in(running.pid(), call),
    }
}

/// 600 of 1000 bytes are taken, so the peers that send wait.
fn half_full() -> OwnedQueue {
    let queue = OwnedQueue::new();
    queue.set_capacity_bytes(1000).unwrap();
    queue.send(1, &[8_u8; 600]).unwrap();
    queue
}

#[test]
fn sleepers_get_what_comes_later_even_if_it_is_longer_than_their_buffer() {
    let waiter = peer!(waiter);
    for way in ["receive", "poll", "timer", "interruptible"] {
        let queue = half_full();
        let mut running = waiter.clone().arg(queue.raw()).arg(way).start();
        running.hear();
        until_asleep(&running, way);
        queue.send(3, "of another type").unwrap();
        queue.send(2, &[7_u8; 100]).unwrap();
        assert_eq!(running.hear(), "100 bytes", "{way}");
        running.finish();
        assert_eq!(queue.status().unwrap().messages(), 2);
    }
    for way in ["send", "timed send"] {
        let queue = half_full();
        let mut running = waiter.clone().arg(queue.raw()).arg(way).start();
        running.hear();
        until_asleep(&running, way);
        assert_eq!(queue.receive(Receive::any()).unwrap().bytes(), [8; 600]);
        assert_eq!(running.hear(), "0 bytes", "{way}");
        running.finish();
        assert_eq!(queue.receive(Receive::any()).unwrap().bytes(), [9; 600]);
    }
}

#[test]
fn removing_the_queue_ends_every_wait_and_says_so() {
    let waiter = peer!(waiter);
    for way in ["receive", "timer", "send", "timed send", "poll"] {
        let queue = half_full();
        let mut running = waiter.clone().arg(queue.raw()).arg(way).start();
        running.hear();
        until_asleep(&running, way);
        queue.remove().unwrap();
        let ended = match way {
            // It does not sleep in the queue, so it comes too late to be told why.
            "poll" => format!("NoSuchQueue {}", libc::EINVAL),
            _ => format!("Removed {}", libc::EIDRM),
        };
        assert_eq!(running.hear(), ended, "{way}");
        running.finish();
    }
}

#[test]
fn a_signal_ends_a_wait_only_if_asked_to_and_loses_no_message() {
    let waiter = peer!(waiter);
    for way in ["receive", "timer", "poll"] {
        let queue = half_full();
        let mut running = waiter.clone().arg(queue.raw()).arg(way).start();
        let thread = running.hear();
        for _ in 0..20 {
            until_asleep(&running, way);
            signal(running.pid(), &thread);
        }
        until_asleep(&running, way);
        queue.send(2, "still wanted").unwrap();
        assert_eq!(running.hear(), "12 bytes", "{way}");
        running.finish();
    }
    for way in ["interruptible", "interruptible poll"] {
        let queue = half_full();
        let mut running = waiter.clone().arg(queue.raw()).arg(way).start();
        let thread = running.hear();
        until_asleep(&running, way);
        // A polling thread may be between two naps, where a signal is not noticed.
        let done = std::sync::atomic::AtomicBool::new(false);
        let ended = std::thread::scope(|scope| {
            let (process, done, thread) = (running.pid(), &done, thread.clone());
            scope.spawn(move || {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    signal(process, &thread);
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let ended = running.hear();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            ended
        });
        assert_eq!(ended, format!("Interrupted {}", libc::EINTR), "{way}");
        running.finish();
        assert_eq!(queue.status().unwrap().messages(), 1);
    }
}

#[test]
fn a_killed_waiter_takes_and_leaves_nothing() {
    let waiter = peer!(waiter);
    for way in ["receive", "timer", "poll", "send", "timed send"] {
        let queue = half_full();
        let mut running = waiter.clone().arg(queue.raw()).arg(way).start();
        running.hear();
        until_asleep(&running, way);
        running.kill();
        queue.send(2, &[1_u8; 100]).unwrap();
        let status = queue.status().unwrap();
        assert_eq!((status.messages(), status.used_bytes()), (2, 700), "{way}");
        queue.receive(Receive::of_type(2)).unwrap();
        queue.receive(Receive::of_type(1)).unwrap();
        assert_eq!(queue.status().unwrap().messages(), 0, "{way}");
    }
}

#[test]
fn a_wait_in_vain_takes_its_time_and_no_message() {
    let alone = peer!(|_| {
        let queue = half_full();
        // Before there is a handler, and for what is no signal.
        for wrong in [libc::SIGUSR2, libc::SIGKILL, 0, 4711] {
            let refused = queue
                .timer_signal(wrong)
                .receive_timeout(Receive::of_type(2), SHORT);
            let refused = fails(refused, ErrorKind::InvalidInput, None);
            assert_says(&refused, &["the timer's signal"]);
        }
        handle(libc::SIGUSR2);
        for queue in [
            *queue,
            queue.timer_signal(libc::SIGUSR2),
            queue.timer_signal(libc::SIGUSR2).interruptible(),
        ] {
            for timeout in [Duration::ZERO, Duration::from_nanos(1), SHORT] {
                let start = Instant::now();
                let late = queue.receive_timeout(Receive::of_type(2), timeout);
                let late = fails(late, ErrorKind::TimedOut, libc::ENOMSG);
                assert_says(&late, &["msgrcv(queue", "type 2", &format!("{timeout:?}")]);
                assert!(start.elapsed() >= timeout);
                let start = Instant::now();
                let late = queue.send_timeout(1, &[0_u8; 600], timeout);
                fails(late, ErrorKind::TimedOut, libc::EAGAIN);
                assert!(start.elapsed() >= timeout);
            }
            // What is there needs no time, and more than any clock can say is no limit.
            queue.send_timeout(2, "x", Duration::ZERO).unwrap();
            queue
                .receive_timeout(Receive::of_type(2), Duration::ZERO)
                .unwrap();
            queue.send_timeout(2, "x", Duration::MAX).unwrap();
            queue
                .receive_timeout(Receive::of_type(2), Duration::MAX)
                .unwrap();
            assert_eq!(queue.status().unwrap().messages(), 1);
        }
        // A blocked signal would never end the sleep.
        // SAFETY: all zeros is a set of signals.
        let mut blocked: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: a whole set and a signal that exists.
        unsafe { libc::sigaddset(&raw mut blocked, libc::SIGUSR2) };
        // SAFETY: a whole set; nobody asks for the old one.
        let done = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut())
        };
        assert_eq!(done, 0);
        let refused = queue
            .timer_signal(libc::SIGUSR2)
            .receive_timeout(Receive::of_type(2), SHORT);
        fails(refused, ErrorKind::InvalidInput, None);
    });
    alone.run();
}

#[test]
fn many_senders_and_receivers_in_many_processes_lose_and_double_nothing() {
    const EACH: u64 = 2000;
    let sender = peer!(|talk| {
        let queue = from_raw(talk.arg(0));
        let who: u64 = talk.arg(1);
        for number in 0..EACH {
            let len = (number % 20) as usize;
            let words = [[who, number].as_slice(), &[number; 20][..len]].concat();
            let bytes: &[u8] = sysvshm::bytemuck::cast_slice(&words);
            queue.send(1 + (number % 3) as i64, bytes).unwrap();
        }
    });
    let receiver = peer!(|talk| {
        let queue = from_raw(talk.arg(0));
        let mut message = Message::with_capacity(8);
        let mut last = [[None; 4]; 4];
        let (mut count, mut sum) = (0, 0);
        loop {
            queue
                .receive_into(Receive::up_to_type(4), &mut message)
                .unwrap();
            if message.message_type() == 4 {
                break;
            }
            let words: Vec<u64> = sysvshm::bytemuck::pod_collect_to_vec(message.bytes());
            let (who, number) = (words[0] as usize, words[1]);
            assert_eq!(words.len() as u64, 2 + number % 20);
            assert!(words[2..].iter().all(|&word| word == number));
            // Those of one sender and one type come in their order.
            let last = &mut last[who][message.message_type() as usize];
            assert!(*last < Some(number));
            *last = Some(number);
            count += 1;
            sum += number;
        }
        talk.say(format!("{count} {sum}"));
    });
    let queue = OwnedQueue::new();
    let receivers: Vec<_> = (0..3)
        .map(|_| receiver.clone().arg(queue.raw()).start())
        .collect();
    let senders: Vec<_> = (0..3)
        .map(|who| sender.clone().arg(queue.raw()).arg(who).start())
        .collect();
    for running in senders {
        running.finish();
    }
    until(|| queue.status().unwrap().messages() == 0);
    for _ in 0..3 {
        queue.send(4, "the end").unwrap();
    }
    let (mut count, mut sum) = (0, 0);
    for mut running in receivers {
        let said = running.hear();
        let (one, two) = said.split_once(' ').unwrap();
        count += one.parse::<u64>().unwrap();
        sum += two.parse::<u64>().unwrap();
        running.finish();
    }
    assert_eq!((count, sum), (3 * EACH, 3 * EACH * (EACH - 1) / 2));
}

#[test]
fn pairs_by_type_find_each_other_on_one_queue() {
    let queue = OwnedQueue::new();
    std::thread::scope(|scope| {
        for round in 0..2 {
            for kind in 1..=5_i64 {
                let queue = *queue;
                scope.spawn(move || {
                    let message = queue.receive(Receive::of_type(kind)).unwrap();
                    assert_eq!(message.value(), Some(kind));
                    round
                });
                scope.spawn(move || queue.send(kind, &kind).unwrap());
            }
        }
    });
    assert_eq!(queue.status().unwrap().messages(), 0);
}
