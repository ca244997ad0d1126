//! `msgctl`: status, owner, mode, size, removal; lists and limits.
#![cfg(target_os = "linux")]

mod common;

use common::{
    OwnedQueue, OwnedQueueKey, assert_says, fails, let_a_second_pass, peer, root_or_skip,
    set_sysctl, sysctl,
};
use sysvshm::message_queue::{Message, Receive};
use sysvshm::raw::{self, MsgCommand};
use sysvshm::{ErrorKind, Key, MessageQueue, MessageQueueId, Mode, ProcessState, system};

fn from_raw(raw: i32) -> MessageQueue {
    MessageQueue::from_id(MessageQueueId::from_raw(raw))
}

/// Root of a container may lack it.
fn only_with_cap_sys_resource(result: Result<(), sysvshm::Error>) {
    const CAP_SYS_RESOURCE: u32 = 24;
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = u64::from_str_radix(line.unwrap().trim(), 16).unwrap();
    if effective >> CAP_SYS_RESOURCE & 1 == 1 {
        result.unwrap();
    } else {
        fails(result, ErrorKind::QueueSizeLimit, libc::EPERM);
    }
}

#[test]
fn owner_group_mode_and_size_can_be_changed_one_by_one() {
    let queue = OwnedQueue::new();
    queue.send(1, "stays").unwrap();
    let before = queue.status().unwrap();
    let_a_second_pass();
    queue.set_capacity_bytes(777).unwrap();
    queue.set_mode(0o640).unwrap();
    let status = queue.status().unwrap();
    assert_eq!(
        (status.capacity_bytes(), status.mode()),
        (Some(777), Mode::from(0o640))
    );
    assert!(status.change_time() > before.change_time());
    assert_eq!(status.send_time(), before.send_time());
    queue
        .set_permissions(before.owner_uid(), before.owner_gid(), 0o600)
        .unwrap();
    assert_eq!(queue.status().unwrap().capacity_bytes(), Some(777));
    queue
        .set_owner(before.owner_uid(), before.owner_gid())
        .unwrap();
    assert_eq!(queue.receive(Receive::any()).unwrap().bytes(), b"stays");

    let minus_one = queue.set_permissions(u32::MAX, 0, 0o600);
    assert_says(
        &fails(minus_one, ErrorKind::InvalidInput, libc::EINVAL),
        &["-1"],
    );
    let bits = queue.set_mode(0o1600);
    assert_says(&fails(bits, ErrorKind::InvalidInput, None), &["nine bits"]);
    // The owner without bits is not locked out.
    queue.set_mode(0o000).unwrap();
    queue.set_capacity_bytes(888).unwrap();
    queue.set_mode(0o600).unwrap();
    assert_eq!(queue.status().unwrap().capacity_bytes(), Some(888));
}

#[test]
fn only_owner_and_creator_may_change_or_remove() {
    let nobody = peer!(|talk| {
        let queue = from_raw(talk.arg(0));
        let denied = fails(queue.status(), ErrorKind::PermissionDenied, libc::EACCES);
        assert_says(&denied, &["msgctl(queue", "mode 0600", "read bit"]);
        for result in [
            queue.remove(),
            queue.set_mode(0o666),
            queue.set_capacity_bytes(1),
        ] {
            let denied = fails(result, ErrorKind::NotOwner, libc::EPERM);
            assert_says(&denied, &["belongs to uid 0", "uid 65534"]);
        }
        let given = from_raw(talk.arg(1));
        given.set_mode(0o640).unwrap();
        // More than msgmnb is for the privileged, less is not.
        let larger = given.set_capacity_bytes(1 << 20);
        let larger = fails(larger, ErrorKind::QueueSizeLimit, libc::EPERM);
        assert_says(
            &larger,
            &["msg_qbytes 1048576", "msgmnb", "CAP_SYS_RESOURCE"],
        );
        given.set_capacity_bytes(100).unwrap();
        given.remove().unwrap();
    });
    if root_or_skip() {
        let (closed, given) = (OwnedQueue::new(), OwnedQueue::new());
        given.set_owner(common::NOBODY, common::NOBODY).unwrap();
        only_with_cap_sys_resource(given.set_capacity_bytes(1 << 17));
        given.set_capacity_bytes(16384).unwrap();
        nobody.arg(closed.raw()).arg(given.raw()).nobody().run();
        fails(given.status(), ErrorKind::NoSuchQueue, libc::EINVAL);
        assert_eq!(closed.status().unwrap().mode(), Mode::from(0o600));
    }
}

#[test]
fn a_removed_queue_is_gone_at_once_for_every_call() {
    let key = OwnedQueueKey::random();
    let queue = MessageQueue::create_new(key.key()).unwrap();
    queue.send(1, "goes too").unwrap();
    queue.remove().unwrap();
    let gone = |error: sysvshm::Error| {
        assert!(
            error.is_not_found() && error.kind() == ErrorKind::NoSuchQueue,
            "{error}"
        );
        assert_says(&error, &["the queue was removed"]);
    };
    gone(queue.remove().unwrap_err());
    gone(queue.status().unwrap_err());
    gone(queue.set_mode(0o600).unwrap_err());
    gone(queue.set_capacity_bytes(1).unwrap_err());
    gone(queue.send(1, "x").unwrap_err());
    gone(queue.try_receive(Receive::any()).unwrap_err());
    fails(
        MessageQueue::open(key.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    // The key is free again, and the new queue is empty.
    let again = MessageQueue::create_new(key.key()).unwrap();
    assert_ne!(again.id(), queue.id());
    assert_eq!(again.status().unwrap().messages(), 0);
}

#[test]
fn the_raw_commands_agree_with_the_methods() {
    let queue = OwnedQueue::new();
    queue.send(5, "hello").unwrap();
    let mut ds = raw::empty_msqid_ds();
    raw::msgctl(queue.raw(), MsgCommand::IpcStat(&mut ds)).unwrap();
    let status = queue.status().unwrap();
    #[allow(clippy::useless_conversion)] // Narrower on some targets.
    let numbers = (u64::from(ds.msg_qnum), u64::from(ds.msg_qbytes));
    assert_eq!(numbers, (1, status.capacity_bytes().unwrap()));
    assert_eq!(Some(ds.msg_lspid as u32), status.last_sender());
    ds.msg_qbytes = 500;
    raw::msgctl(queue.raw(), MsgCommand::IpcSet(&ds)).unwrap();
    assert_eq!(queue.status().unwrap().capacity_bytes(), Some(500));

    // SAFETY: integers: all zeros is a value.
    #[allow(unsafe_code)]
    let mut info: raw::msginfo = unsafe { std::mem::zeroed() };
    let highest = raw::msgctl(0, MsgCommand::IpcInfo(&mut info)).unwrap();
    let limits = system::message_queue_limits().unwrap();
    assert_eq!(info.msgmax as u64, limits.max_message_bytes);
    for (name, limit) in [
        ("msgmax", limits.max_message_bytes),
        ("msgmnb", limits.max_queue_bytes),
        ("msgmni", limits.max_queues),
    ] {
        assert_eq!(sysctl(name), limit.to_string());
    }
    let mut found = (0..=highest).filter_map(|slot| {
        let id = raw::msgctl(slot, MsgCommand::MsgStat(&mut ds)).ok()?;
        (id == queue.raw()).then_some(slot)
    });
    let slot = found.next().expect("the queue is in a slot");
    let mut ds = raw::empty_msqid_ds();
    assert_eq!(
        raw::msgctl(slot, MsgCommand::MsgStatAny(&mut ds)).unwrap(),
        queue.raw()
    );
    assert_eq!(ds.msg_qnum, 1);
    let empty = raw::msgctl(31_999, MsgCommand::MsgStat(&mut ds));
    let empty = fails(empty, ErrorKind::NoSuchQueue, libc::EINVAL);
    assert_says(&empty, &["slot 31999, MSG_STAT", "empty"]);
    raw::msgctl(queue.raw(), MsgCommand::IpcRmid).unwrap();
    fails(
        raw::msgctl(queue.raw(), MsgCommand::IpcRmid),
        ErrorKind::NoSuchQueue,
        libc::EINVAL,
    );
}

#[test]
fn the_list_of_all_queues_is_that_of_proc() {
    let alone = peer!(|_| {
        assert_eq!(system::message_queues().unwrap(), []);
        let made: Vec<_> = (0..3)
            .map(|_| MessageQueue::create_new(Key::random().unwrap()).unwrap())
            .collect();
        made[0].send(1, "hello").unwrap();
        made[0].send(1, "you").unwrap();
        made[2].send(1, "x").unwrap();
        made[2].receive(Receive::any()).unwrap();
        made[1].set_mode(0o000).unwrap();
        let usage = system::message_queue_usage().unwrap();
        assert_eq!((usage.queues, usage.messages, usage.bytes), (3, 2, 8));
        // SAFETY: integers: all zeros is a value.
        #[allow(unsafe_code)]
        let mut info: raw::msginfo = unsafe { std::mem::zeroed() };
        let highest = raw::msgctl(0, MsgCommand::MsgInfo(&mut info)).unwrap();
        assert_eq!((info.msgpool, info.msgmap, info.msgtql), (3, 2, 8));
        assert!(highest >= 2);

        let table = std::fs::read_to_string("/proc/sysvipc/msg").unwrap();
        let of_proc: Vec<Vec<i64>> = table
            .lines()
            .skip(1)
            .map(|line| {
                // key msqid perms cbytes qnum lspid lrpid uid gid
                let words = line.split_whitespace().take(9).enumerate();
                let number = |(i, word): (usize, &str)| {
                    i64::from_str_radix(word, if i == 2 { 8 } else { 10 }).unwrap()
                };
                words.map(number).collect()
            })
            .collect();
        let number = |pid: Option<u32>| i64::from(pid.unwrap_or(0));
        let listed = system::message_queues().unwrap();
        let of_us: Vec<Vec<i64>> = listed
            .iter()
            .map(|status| {
                vec![
                    status.key().as_raw().into(),
                    status.id().as_raw().into(),
                    status.mode().bits().into(),
                    status.used_bytes() as i64,
                    status.messages() as i64,
                    number(status.last_sender()),
                    number(status.last_receiver()),
                    status.owner_uid().into(),
                    status.owner_gid().into(),
                ]
            })
            .collect();
        assert_eq!(of_us, of_proc);
        assert_eq!(listed[0].last_sender_state(), ProcessState::Alive);
        assert_eq!(listed[0].last_receiver_state(), ProcessState::Unknown);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn what_was_sent_under_higher_limits_can_be_received_and_changed_under_lower_ones() {
    let alone = peer!(|_| {
        set_sysctl("msgmax", 20_000);
        set_sysctl("msgmnb", 40_000);
        let queue = MessageQueue::create_new(Key::PRIVATE).unwrap();
        queue.send(1, &[5_u8; 20_000]).unwrap();
        set_sysctl("msgmax", 100);
        set_sysctl("msgmnb", 1000);
        let long = queue.send(1, &[0_u8; 101]);
        assert_says(
            &fails(long, ErrorKind::MessageTooLarge, libc::EINVAL),
            &["at most 100 bytes here"],
        );
        let mut message = Message::with_capacity(10);
        queue.receive_into(Receive::any(), &mut message).unwrap();
        assert_eq!(message.bytes(), [5; 20_000]);
        assert_eq!(queue.status().unwrap().capacity_bytes(), Some(40_000));
        // The kernel takes the size together with the mode.
        only_with_cap_sys_resource(queue.set_mode(0o640));
        let fresh = MessageQueue::create_new(Key::PRIVATE).unwrap();
        assert_eq!(fresh.status().unwrap().capacity_bytes(), Some(1000));
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}
