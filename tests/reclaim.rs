//! Replacing what a dead process left behind, and nothing else.
#![allow(unsafe_code)] // A pid namespace for a peer.

mod common;

use common::{OwnedKey, fails, peer, root_or_skip};
use sysvshm::{ErrorKind, Key, SegmentId, SegmentOptions};

fn reclaiming(size: usize) -> SegmentOptions {
    let mut options = SegmentOptions::new();
    options.size_bytes(size).reclaim_stale(true);
    options
}

#[test]
fn a_dead_creators_segment_is_replaced() {
    let leaver = peer!(|talk| {
        let segment = SegmentOptions::new()
            .size_bytes(100)
            .create_new(talk.arg(0));
        segment.unwrap().write_at(0, b"old").unwrap();
    });
    let owned = OwnedKey::random();
    let leaver = leaver.arg(owned.key());
    // Smaller, of the same size, larger: what is left does not decide.
    for size in [50, 100, 200] {
        leaver.run();
        let old = SegmentId::find(owned.key()).unwrap();
        let created = reclaiming(size).create_new(owned.key()).unwrap();
        assert_ne!(created.id(), old);
        fails(old.status(), ErrorKind::NoSuchSegment, libc::EINVAL);
        created.mark_for_removal().unwrap();
        drop(created);

        leaver.run();
        let created = reclaiming(size).open_or_create(owned.key()).unwrap();
        assert!(created.was_created());
        assert_eq!(created.len_bytes(), size);
        let mut bytes = [1; 3];
        created.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 3]);
        created.mark_for_removal().unwrap();
    }
    // Only for those who ask.
    leaver.run();
    fails(
        SegmentOptions::new()
            .size_bytes(100)
            .create_new(owned.key()),
        ErrorKind::AlreadyExists,
        libc::EEXIST,
    );
    let found = SegmentOptions::new().open_or_create(owned.key()).unwrap();
    let mut bytes = [0; 3];
    found.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"old");
}

/// Asserts that reclaiming leaves the segment under the key alone.
#[track_caller]
fn is_left_alone(key: Key, id: SegmentId) {
    fails(
        reclaiming(100).create_new(key),
        ErrorKind::AlreadyExists,
        libc::EEXIST,
    );
    let found = reclaiming(100).open_or_create(key).unwrap();
    assert!(!found.was_created());
    assert_eq!(found.id(), id);
    fails(
        reclaiming(200).open_or_create(key),
        ErrorKind::SegmentTooSmall,
        libc::EINVAL,
    );
    assert_eq!(SegmentId::find(key).unwrap(), id);
}

#[test]
fn a_living_creators_segment_is_left_alone() {
    let creator = peer!(|talk| {
        let mut options = SegmentOptions::new();
        let id = options.size_bytes(100).create_unattached(talk.arg(0));
        talk.say(id.unwrap());
        talk.hear();
    });
    let owned = OwnedKey::random();
    let mut creator = creator.arg(owned.key()).start();
    let id = SegmentId::from_raw(creator.hear().parse().unwrap());
    is_left_alone(owned.key(), id);
    creator.kill();
    let created = reclaiming(100).create_new(owned.key()).unwrap();
    assert_ne!(created.id(), id);
}

#[test]
fn what_somebody_attaches_is_left_alone_though_its_creator_is_dead() {
    let creator = peer!(|talk| {
        let mut options = SegmentOptions::new();
        let id = options.size_bytes(100).create_unattached(talk.arg(0));
        talk.say(id.unwrap());
    });
    let owned = OwnedKey::random();
    creator.arg(owned.key()).run();
    let id = SegmentId::find(owned.key()).unwrap();
    let user = id.attach_read_only().unwrap();
    is_left_alone(owned.key(), id);
    drop(user);
    assert!(
        reclaiming(100)
            .open_or_create(owned.key())
            .unwrap()
            .was_created()
    );
}

#[test]
fn a_creator_without_a_number_in_this_pid_namespace_counts_as_alive() {
    let inside = peer!(|talk| {
        let (key, id): (Key, i32) = (talk.arg(0), talk.arg(1));
        let id = SegmentId::from_raw(id);
        let status = id.status().unwrap();
        assert_eq!(status.creator_pid(), None);
        is_left_alone(key, id);
    });
    let creator = peer!(|talk| {
        let mut options = SegmentOptions::new();
        let id = options.size_bytes(100).create_unattached(talk.arg(0));
        id.unwrap();
    });
    let entrance = {
        let inside = inside.clone();
        peer!(move |talk| {
            // SAFETY: a plain number; only the children of this thread are affected.
            let done = unsafe { libc::unshare(libc::CLONE_NEWPID) };
            assert_eq!(done, 0);
            inside.arg(&talk.args[0]).arg(&talk.args[1]).run();
        })
    };
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    creator.arg(owned.key()).run();
    let id = SegmentId::find(owned.key()).unwrap();
    entrance.arg(owned.key()).arg(id).run();
    assert_eq!(SegmentId::find(owned.key()).unwrap(), id);
}

#[test]
fn what_belongs_to_another_user_is_not_this_users_to_reclaim() {
    let stranger = peer!(|talk| {
        let key: Key = talk.arg(0);
        fails(
            reclaiming(100).create_new(key),
            ErrorKind::AlreadyExists,
            libc::EEXIST,
        );
        fails(
            reclaiming(100).open_or_create(key),
            ErrorKind::ForeignCreator,
            None,
        );
        let welcome = reclaiming(100).any_owner(true).open_or_create(key).unwrap();
        assert!(!welcome.was_created());
    });
    let creator = peer!(|talk| {
        let mut options = SegmentOptions::new();
        let id = options
            .size_bytes(100)
            .mode(0o666)
            .create_unattached(talk.arg(0));
        id.unwrap();
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    creator.arg(owned.key()).run();
    stranger.arg(owned.key()).nobody().run();
}
