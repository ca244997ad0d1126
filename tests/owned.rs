//! Sets and queues that the process which created them removes, and no other.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // setuid, for good, in a peer.

mod common;

use common::{
    Forked, OwnedSetKey, assert_says, enter_namespace, enter_new_user_namespace, fails,
    leave_namespace, lose_proc, peer, root_or_skip, set_sysctl, this_namespace,
};
use sysvshm::{
    ErrorKind, Key, MessageQueue, MessageQueueOptions, Owned, SemaphoreSet, SemaphoreSetOptions,
};

fn create(key: Key) -> Owned<SemaphoreSet> {
    let options = SemaphoreSetOptions::new();
    options.create_new_owned(key, &[1, 0]).unwrap()
}

fn is_gone(set: SemaphoreSet) -> bool {
    match SemaphoreSet::from_raw(set.id()) {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSuchSet);
            true
        }
    }
}

#[test]
fn a_set_goes_with_the_value_that_created_it_unless_that_is_given_up() {
    for key in [Key::PRIVATE, Key::random().unwrap()] {
        let dropped = create(key);
        let set = *dropped;
        assert_eq!(set.values().unwrap(), [1, 0]);
        drop(dropped);
        assert!(is_gone(set));
        let closed = create(key);
        let set = *closed;
        closed.close().unwrap();
        assert!(is_gone(set));
        let kept = create(key).keep();
        assert!(!is_gone(kept));
        kept.remove().unwrap();
    }
}

#[test]
fn a_set_that_was_found_stays() {
    let key = OwnedSetKey::random();
    let mut options = SemaphoreSetOptions::new();
    let options = options.any_owner(true);
    let creator = options.open_or_create_owned(key.key(), &[1]).unwrap();
    let finder = options.open_or_create_owned(key.key(), &[1]).unwrap();
    assert!(creator.was_created() && !finder.was_created());
    drop(finder);
    options
        .open_or_create_owned(key.key(), &[1])
        .unwrap()
        .close()
        .unwrap();
    assert!(!is_gone(*creator));
    creator.close().unwrap();
    assert!(SemaphoreSet::open(key.key()).unwrap_err().is_not_found());
}

#[test]
fn changed_values_mode_and_owner_keep_no_set_from_being_removed() {
    let owned = create(Key::PRIVATE);
    let set = *owned;
    set.set_values(&[5, 6]).unwrap();
    set.semaphore(0).acquire(1).unwrap();
    common::let_a_second_pass();
    set.set_mode(0o000).unwrap();
    owned.close().unwrap();
    assert!(is_gone(set));
}

#[test]
fn a_forked_child_removes_nothing() {
    peer!(|_| {
        let (dropped, closed) = (create(Key::PRIVATE), create(Key::PRIVATE));
        let sets = [*dropped, *closed];
        let mut handles = Some((dropped, closed));
        Forked::start(|_| {
            let (dropped, closed) = handles.take().unwrap();
            drop(dropped);
            closed.close().unwrap();
            assert!(!sets.into_iter().any(is_gone));
            // What it creates itself goes.
            let own = create(Key::PRIVATE);
            let set = *own;
            drop(own);
            assert!(is_gone(set));
        })
        .finish();
        assert!(!sets.into_iter().any(is_gone));
        drop(handles);
        assert!(sets.into_iter().all(is_gone));
    })
    .run();
}

#[test]
fn a_killed_process_leaves_its_set_behind() {
    let creator = peer!(|talk| {
        let _set = create(talk.arg(0));
        talk.say("created");
        talk.hear();
    });
    let key = OwnedSetKey::random();
    let mut creator = creator.arg(key.key()).start();
    assert_eq!(creator.hear(), "created");
    creator.kill();
    assert!(SemaphoreSet::open(key.key()).is_ok());
}

#[test]
fn a_set_that_others_removed_is_no_error_and_its_successor_stays() {
    let gone = create(Key::PRIVATE);
    gone.remove().unwrap();
    gone.close().unwrap();

    let key = OwnedSetKey::random();
    let replaced = create(key.key());
    replaced.remove().unwrap();
    let successor = SemaphoreSet::create_new(key.key(), &[1, 0]).unwrap();
    replaced.close().unwrap();
    assert!(!is_gone(successor));
}

#[test]
fn another_set_under_the_same_identifier_stays() {
    let peer = peer!(|_| {
        for values in [&[1, 0][..], &[0; 3]] {
            let owned = create(Key::from_raw(42));
            owned.remove().unwrap();
            set_sysctl("sem_next_id", owned.id());
            let key = Key::from_raw(if values.len() == 2 { 43 } else { 42 });
            let other = SemaphoreSet::create_new(key, values).unwrap();
            assert_eq!(other.id(), owned.id(), "otherwise this shows nothing");
            owned.close().unwrap();
            assert!(!is_gone(other));
            other.remove().unwrap();
        }
    });
    if std::path::Path::new("/proc/sys/kernel/sem_next_id").exists() {
        if root_or_skip() {
            peer.private_namespace().run();
        }
    } else {
        common::skipped("the kernel lets nobody choose an identifier (CONFIG_CHECKPOINT_RESTORE)");
    }
}

#[test]
fn in_another_ipc_namespace_a_twin_stays_and_close_says_so() {
    let peer = peer!(|_| {
        let home = this_namespace();
        let (dropped, closed) = (create(Key::PRIVATE), create(Key::PRIVATE));
        let sets = [*dropped, *closed];
        leave_namespace();
        // Key, size, creator and, most likely, second agree: only the namespace differs.
        let twins = [(); 2].map(|()| create(Key::PRIVATE).keep());
        assert_eq!(twins.map(|set| set.id()), sets.map(|set| set.id()));
        drop(dropped);
        let error = fails(closed.close(), ErrorKind::WrongNamespace, None);
        assert_says(
            &error,
            &["IPC_RMID", "another IPC namespace than the set", "ipcrm -s"],
        );
        assert!(!twins.into_iter().any(is_gone));
        enter_namespace(&home);
        assert!(!sets.into_iter().any(is_gone));
        // There and back again is no hindrance.
        let owned = create(Key::PRIVATE);
        let set = *owned;
        leave_namespace();
        enter_namespace(&home);
        owned.close().unwrap();
        assert!(is_gone(set));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn where_nothing_tells_the_namespace_a_set_stays_and_close_says_so() {
    let peer = peer!(|_| {
        let before = create(Key::PRIVATE);
        lose_proc();
        for owned in [before, create(Key::PRIVATE)] {
            let set = *owned;
            fails(owned.close(), ErrorKind::WrongNamespace, None);
            set.remove().unwrap();
        }
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn a_set_is_removed_from_a_user_namespace_and_not_by_another_user() {
    let moved = peer!(|_| {
        Forked::start(|_| {
            let owned = create(Key::PRIVATE);
            let set = *owned;
            enter_new_user_namespace();
            owned.close().unwrap();
            assert!(is_gone(set));
        })
        .finish();
    });
    let changed = peer!(|_| {
        let owned = create(Key::PRIVATE);
        let set = *owned;
        // SAFETY: plain numbers; there is no way back.
        let done = unsafe { libc::setuid(common::NOBODY) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        fails(owned.close(), ErrorKind::NotOwner, libc::EPERM);
        assert!(!is_gone(set));
    });
    if root_or_skip() {
        moved.user(12345).run();
        changed.private_namespace().run();
    }
}

#[test]
fn a_message_queue_goes_likewise() {
    let is_gone = |queue: MessageQueue| match queue.status() {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSuchQueue);
            true
        }
    };
    let peer = peer!(|_| {
        let create = |key| MessageQueueOptions::new().create_new_owned(key).unwrap();
        let dropped = create(Key::PRIVATE);
        let queue = *dropped;
        drop(dropped);
        assert!(is_gone(queue));

        // Not in a forked child.
        let mut inherited = Some(create(Key::PRIVATE));
        let queue = **inherited.as_ref().unwrap();
        Forked::start(|_| drop(inherited.take())).finish();
        assert!(!is_gone(queue));
        drop(inherited);
        assert!(is_gone(queue));

        // Not one that was found, nor what took its place.
        let key = Key::from_raw(42);
        let owned = create(key);
        drop(
            MessageQueueOptions::new()
                .open_or_create_owned(key)
                .unwrap(),
        );
        assert!(!is_gone(*owned));
        owned.remove().unwrap();
        let successor = MessageQueue::create_new(key).unwrap();
        owned.close().unwrap();
        assert!(!is_gone(successor));
        successor.remove().unwrap();

        // Not in another namespace.
        let home = this_namespace();
        let owned = create(Key::PRIVATE);
        let queue = *owned;
        leave_namespace();
        let error = fails(owned.close(), ErrorKind::WrongNamespace, None);
        assert_says(
            &error,
            &["another IPC namespace than the queue", "ipcrm -q"],
        );
        enter_namespace(&home);
        assert!(!is_gone(queue));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}
