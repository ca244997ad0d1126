//! `msgget`: finding and creating message queues.

mod common;

use common::{
    OwnedQueue, OwnedQueueKey, assert_says, fails, peer, root_or_skip, set_sysctl, sysctl,
};
use sysvshm::raw::{self, GetFlags};
use sysvshm::{ErrorKind, Key, MessageQueue, MessageQueueId, MessageQueueOptions, Mode};

#[test]
fn a_new_queue_is_as_asked_and_the_creators() {
    let key = OwnedQueueKey::random();
    let mut options = MessageQueueOptions::new();
    let queue = options.mode(0o640).create_new(key.key()).unwrap();
    let status = queue.status().unwrap();
    assert_eq!((status.id(), status.key()), (queue.id(), key.key()));
    assert_eq!((status.messages(), status.used_bytes()), (0, 0));
    assert_eq!(status.mode(), Mode::from(0o640));
    let (user, group) = (common::euid(), common::egid());
    assert_eq!((status.owner_uid(), status.owner_gid()), (user, group));
    assert_eq!((status.creator_uid(), status.creator_gid()), (user, group));
    assert_eq!((status.send_time(), status.receive_time()), (None, None));
    assert_eq!((status.last_sender(), status.last_receiver()), (None, None));
    assert!(status.change_time().is_some());
    let largest = sysctl("msgmnb").parse().unwrap();
    assert_eq!(status.capacity_bytes(), Some(largest));
    // Finding it again leads to the same one.
    assert_eq!(MessageQueue::open(key.key()).unwrap().id(), queue.id());
    let raw = raw::msgget(key.key(), GetFlags::empty()).unwrap();
    assert_eq!(raw, queue.id().as_raw());
}

#[test]
fn every_refusal_of_msgget_has_a_kind_of_its_own() {
    let key = OwnedQueueKey::random();
    let missing = MessageQueue::open(key.key());
    let missing = fails(missing, ErrorKind::NotFound, libc::ENOENT);
    assert_says(
        &missing,
        &[
            "msgget(key 0x",
            "no message queue has this key",
            "creates the queue",
        ],
    );
    assert!(missing.is_not_found());
    // IPC_EXCL alone does not create.
    let alone = raw::msgget(key.key(), GetFlags::IPC_EXCL);
    fails(alone, ErrorKind::NotFound, libc::ENOENT);

    let queue = MessageQueue::create_new(key.key()).unwrap();
    let taken = MessageQueue::create_new(key.key());
    let taken = fails(taken, ErrorKind::AlreadyExists, libc::EEXIST);
    let id = format!("queue {} has it", queue.id());
    let remove = format!("ipcrm -q {}", queue.id());
    assert_says(&taken, &["IPC_CREAT|IPC_EXCL|0600", &id, &remove]);

    let private = fails(
        MessageQueue::open(Key::PRIVATE),
        ErrorKind::InvalidInput,
        None,
    );
    assert_says(&private, &["IPC_PRIVATE", "create a new queue"]);
    let mut options = MessageQueueOptions::new();
    options.mode(0o1777);
    for result in [
        options.create_new(key.key()),
        options.open(key.key()),
        options.open_or_create(Key::PRIVATE),
    ] {
        assert_says(
            &fails(result, ErrorKind::InvalidInput, None),
            &["nine bits"],
        );
    }
}

#[test]
fn the_private_key_creates_a_new_queue_each_time() {
    let queues = [(); 2].map(|()| OwnedQueue::new());
    assert_ne!(queues[0].id(), queues[1].id());
    let options = MessageQueueOptions::new();
    let third = OwnedQueue::guard(options.open_or_create(Key::PRIVATE).unwrap());
    assert!(third.was_created());
}

#[test]
fn a_stranger_is_refused_bits_and_refuses_what_a_stranger_made() {
    let nobody = peer!(|talk| {
        let (closed, open): (u32, u32) = (talk.arg(0), talk.arg(1));
        let key = |raw: u32| Key::from_raw(raw as libc::key_t);
        for mode in [0o400, 0o200, 0o600] {
            let denied = MessageQueueOptions::new().mode(mode).open(key(closed));
            let denied = fails(denied, ErrorKind::PermissionDenied, libc::EACCES);
            assert_says(&denied, &["mode 0000", "belongs to uid 0"]);
        }
        // Asking for nothing finds it.
        MessageQueue::open(key(closed)).unwrap();
        let foreign = MessageQueue::open_or_create(key(open));
        let foreign = fails(foreign, ErrorKind::ForeignCreator, None);
        assert_says(
            &foreign,
            &["made by uid 0", "which messages arrive", "any_owner"],
        );
        let mut any = MessageQueueOptions::new();
        any.any_owner(true).open_or_create(key(open)).unwrap();
    });
    if root_or_skip() {
        let keys = [(); 2].map(|()| OwnedQueueKey::random());
        let mut options = MessageQueueOptions::new();
        options.mode(0o000).create_new(keys[0].key()).unwrap();
        options.mode(0o666).create_new(keys[1].key()).unwrap();
        let [closed, open] = keys.each_ref().map(|key| key.key().as_raw() as u32);
        nobody.arg(closed).arg(open).nobody().run();
    }
}

#[test]
fn the_limit_on_queues_is_named_with_its_value_and_how_full_it_is() {
    let alone = peer!(|_| {
        set_sysctl("msgmni", 3);
        let made: Vec<_> = (0..3)
            .map(|_| MessageQueue::create_new(Key::PRIVATE).unwrap())
            .collect();
        // The first identifier of a namespace is 0, and it is as good as any.
        assert_eq!(made[0].id(), MessageQueueId::from_raw(0));
        made[0].send(1, "to number 0").unwrap();
        let full = MessageQueue::create_new(Key::random().unwrap());
        let full = fails(full, ErrorKind::QueueLimit, libc::ENOSPC);
        assert_says(
            &full,
            &["3 queues exist", "3 are allowed", "msgmni", "ipcrm -q"],
        );
        made[1].remove().unwrap();
        MessageQueue::create_new(Key::PRIVATE).unwrap();
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn the_next_id_can_be_asked_for_once_and_a_taken_one_is_not_given_again() {
    let alone = peer!(|_| {
        let wanted = 32768 * 5 + 3;
        set_sysctl("msg_next_id", wanted);
        let queue = MessageQueue::create_new(Key::PRIVATE).unwrap();
        assert_eq!(queue.id().as_raw(), wanted);
        assert_eq!(sysctl("msg_next_id"), "-1");
        set_sysctl("msg_next_id", wanted);
        let other = MessageQueue::create_new(Key::PRIVATE).unwrap();
        assert_ne!(other.id(), queue.id());
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn many_that_open_or_create_at_once_agree_on_one_queue() {
    let key = OwnedQueueKey::random();
    let results: Vec<MessageQueue> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| MessageQueue::open_or_create(key.key()).unwrap()))
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.collect()
    });
    let creators = results.iter().filter(|queue| queue.was_created());
    assert_eq!(creators.count(), 1);
    assert!(results.iter().all(|queue| queue.id() == results[0].id()));
}
