//! Who may do what: mode bits, owners, creators, and what the errors tell those who may not.

mod common;

use common::{
    NOBODY, Owned, OwnedKey, Peer, assert_says, euid, fails, peer, root_or_skip, skipped,
};
use sysvshm::raw::{self, GetFlags};
use sysvshm::{ErrorKind, Key, Mode, SegmentId, SegmentOptions, system};

/// Runs a peer as a user whom modes can refuse: nobody if this is root, else this user.
fn run_unprivileged(peer: &Peer) {
    if euid() == 0 {
        peer.clone().nobody().run();
    } else {
        peer.run();
    }
}

fn get(key: Key, size: usize, flags: i32) -> Result<i32, sysvshm::Error> {
    raw::shmget(key, size, GetFlags::from_bits_retain(flags))
}

fn mode_of(id: SegmentId) -> Mode {
    let entries = system::segments().unwrap().into_iter();
    let mut statuses = entries.map(|entry| entry.status);
    statuses.find(|status| status.id() == id).unwrap().mode()
}

#[test]
fn a_stranger_asking_for_bits_is_refused_with_mode_and_owner() {
    let stranger = peer!(|talk| {
        let key: Key = talk.arg(0);
        let error = fails(
            get(key, 0, 0o400),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        let euid = format!("this process has uid {NOBODY}");
        let words = ["EACCES", "mode 0000", "belongs to uid 0 gid 0", &euid];
        assert_says(&error, &words);
        let error = SegmentOptions::new().mode(0o400).open_read_only(key);
        fails(error, ErrorKind::PermissionDenied, libc::EACCES);
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    owned.create(100, 0o000);
    stranger.arg(owned.key()).nobody().run();
}

#[test]
fn an_owner_without_bits_is_refused_like_anybody() {
    let owner = peer!(|_| {
        let owned = OwnedKey::random();
        let id = owned.create(100, 0o000);
        for asked in [0o400, 0o200, 0o600] {
            let error = fails(
                get(owned.key(), 0, asked),
                ErrorKind::PermissionDenied,
                libc::EACCES,
            );
            let euid = euid();
            let words = ["mode 0000".to_owned(), format!("belongs to uid {euid}")];
            assert_says(&error, &words.each_ref().map(String::as_str));
        }
        id.mark_for_removal().unwrap();
    });
    run_unprivileged(&owner);
}

#[test]
fn a_size_too_large_is_told_before_a_missing_permission() {
    let stranger = peer!(|talk| {
        let error = fails(
            get(talk.arg(0), 200, 0o600),
            ErrorKind::SegmentTooSmall,
            libc::EINVAL,
        );
        // Even to somebody who may not read the status.
        assert_says(&error, &["has 100 bytes", "200 were asked"]);
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    owned.create(100, 0o600);
    stranger.arg(owned.key()).nobody().run();
}

#[test]
fn looking_a_key_up_needs_no_permission_attaching_does() {
    let stranger = peer!(|talk| {
        let (key, raw): (Key, i32) = (talk.arg(0), talk.arg(1));
        let id = SegmentId::find(key).unwrap();
        assert_eq!(id.as_raw(), raw);
        for error in [
            id.attach().unwrap_err(),
            id.attach_read_only().unwrap_err(),
            SegmentOptions::new().open(key).unwrap_err(),
            SegmentOptions::new().open_read_only(key).unwrap_err(),
        ] {
            let error = fails::<()>(Err(error), ErrorKind::PermissionDenied, libc::EACCES);
            assert_eq!(error.call(), "shmat");
            assert_says(&error, &["EACCES", "mode 0600", "uid 0", "uid 65534"]);
            let kind = std::io::Error::from(error).kind();
            assert_eq!(kind, std::io::ErrorKind::PermissionDenied);
        }
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    stranger.arg(owned.key()).arg(id).nobody().run();
    assert_eq!(id.status().unwrap().attached(), 0);
}

#[test]
fn asked_bits_are_compared_with_the_callers_class_alone() {
    let owner = peer!(|_| {
        let owned = OwnedKey::random();
        let id = owned.create(100, 0o600);
        // Group and others' bits are not looked at, an execute bit is.
        assert_eq!(get(owned.key(), 0, 0o666).unwrap(), id.as_raw());
        let error = fails(
            get(owned.key(), 0, 0o777),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        assert_says(&error, &["0777", "mode 0600"]);
        drop(SegmentOptions::new().mode(0o666).open(owned.key()).unwrap());
        // Without bits the lookup asks for nothing.
        drop(SegmentOptions::new().open(owned.key()).unwrap());
    });
    run_unprivileged(&owner);
}

#[test]
fn asking_for_read_and_write_of_a_readable_segment_is_refused_asking_for_nothing_is_not() {
    let stranger = peer!(|talk| {
        let key: Key = talk.arg(0);
        let refused = SegmentOptions::new().mode(0o600).open_read_only(key);
        let error = fails(refused, ErrorKind::PermissionDenied, libc::EACCES);
        assert_eq!(error.call(), "shmget");
        let reader = SegmentOptions::new().open_read_only(key).unwrap();
        assert_eq!(reader.len_bytes(), 100);
        let error = fails(
            SegmentOptions::new().open(key),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        assert_says(&error, &["shmat", "mode 0644", "read-only attach"]);
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    owned.create(100, 0o644);
    stranger.arg(owned.key()).nobody().run();
}

#[test]
fn the_owners_bits_decide_for_the_owner() {
    let owner = peer!(|_| {
        // Mode, whether it can be attached for writing, for reading.
        for (mode, writable, readable) in [
            (0o600, true, true),
            (0o400, false, true),
            (0o200, false, false), // nothing can be attached for writing alone
            (0o066, false, false), // what others may is nothing to the owner
            (0o000, false, false),
        ] {
            let owned = Owned::new(100, mode);
            match owned.id().attach() {
                Err(error) if !writable => {
                    let error = fails::<()>(Err(error), ErrorKind::PermissionDenied, libc::EACCES);
                    assert_says(&error, &[&format!("mode {mode:04o}")]);
                }
                attached => assert!(writable && attached.is_ok(), "{mode:04o} {attached:?}"),
            }
            let reader = owned.id().attach_read_only();
            assert_eq!(reader.is_ok(), readable, "{mode:04o} {reader:?}");
        }
    });
    run_unprivileged(&owner);
}

#[test]
fn creating_with_a_mode_that_shuts_the_creator_out_leaves_nothing() {
    let creator = peer!(|_| {
        let owned = OwnedKey::random();
        for mode in [0o400, 0o200, 0o066] {
            let mut options = SegmentOptions::new();
            options.size_bytes(1).mode(mode);
            for error in [
                options.create_new(owned.key()).unwrap_err(),
                options.open_or_create(owned.key()).unwrap_err(),
            ] {
                let error = fails::<()>(Err(error), ErrorKind::PermissionDenied, libc::EACCES);
                assert_says(&error, &["shmat", &format!("mode {mode:04o}")]);
                fails(
                    SegmentId::find(owned.key()),
                    ErrorKind::NotFound,
                    libc::ENOENT,
                );
            }
        }
    });
    run_unprivileged(&creator);
}

#[test]
fn executing_needs_the_execute_bit() {
    let owner = peer!(|_| {
        let mut options = SegmentOptions::new();
        options.executable(true);
        let plain = Owned::new(1, 0o600);
        let error = fails(
            options.attach(plain.id()),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        assert_says(&error, &["SHM_EXEC", "mode 0600", "execute bit"]);
        let executable = Owned::new(1, 0o700);
        match options.attach(executable.id()) {
            Ok(segment) => segment.write_at(0, b"!").unwrap(),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::EACCES));
                skipped("a security module forbids memory that is writable and executable");
            }
        }
    });
    run_unprivileged(&owner);
}

#[test]
fn reading_the_status_needs_the_read_bit_even_of_the_owner() {
    let owner = peer!(|_| {
        for mode in [0o000, 0o200, 0o066] {
            let owned = Owned::new(100, mode);
            let error = fails(
                owned.id().status(),
                ErrorKind::PermissionDenied,
                libc::EACCES,
            );
            assert_says(&error, &["IPC_STAT", &format!("mode {mode:04o}")]);
            // Linux has a way round it.
            let status = owned.id().status_regardless().unwrap();
            assert_eq!((status.id(), status.size_bytes()), (owned.id(), 100));
        }
    });
    run_unprivileged(&owner);
}

#[test]
fn a_stranger_may_neither_look_nor_change_nor_lock_nor_remove() {
    let stranger = peer!(|talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let denied = fails(id.status(), ErrorKind::PermissionDenied, libc::EACCES);
        assert_says(&denied, &["mode 0600", "uid 0"]);
        for (name, result) in [
            ("IPC_RMID", id.mark_for_removal()),
            (
                "IPC_SET uid 65534 gid 65534 mode 0666",
                id.set_permissions(NOBODY, NOBODY, 0o666),
            ),
            ("IPC_SET uid 0 gid 0 mode 0666", id.set_mode(0o666)),
            ("IPC_SET uid 65534", id.set_owner(NOBODY, NOBODY)),
            ("SHM_LOCK", id.lock_in_memory()),
            ("SHM_UNLOCK", id.unlock_from_memory()),
        ] {
            let error = fails(result, ErrorKind::NotOwner, libc::EPERM);
            assert_says(
                &error,
                &[
                    name,
                    "EPERM",
                    "belongs to uid 0",
                    "creator uid 0",
                    "uid 65534",
                ],
            );
        }
    });
    if !root_or_skip() {
        return;
    }
    let owned = Owned::new(100, 0o600);
    stranger.arg(owned.raw()).nobody().run();
    let status = owned.id().status().unwrap();
    assert_eq!((status.mode(), status.owner_uid()), (Mode::from(0o600), 0));
    assert!(!status.is_marked_for_removal());
}

#[test]
fn an_owner_who_locked_himself_out_can_still_change_and_remove() {
    let owner = peer!(|_| {
        let owned = Owned::new(100, 0o600);
        let id = owned.id();
        id.set_mode(0o000).unwrap();
        fails(id.status(), ErrorKind::PermissionDenied, libc::EACCES);
        fails(id.attach(), ErrorKind::PermissionDenied, libc::EACCES);
        // Read, modify, write would end here.
        id.set_mode(0o600).unwrap();
        assert_eq!(id.status().unwrap().mode(), Mode::from(0o600));
        id.set_mode(0o000).unwrap();
        id.set_permissions(euid(), common::egid(), 0o400).unwrap();
        assert_eq!(mode_of(id), Mode::from(0o400));
        id.set_mode(0o000).unwrap();
        id.mark_for_removal().unwrap();
        fails(id.status(), ErrorKind::NoSuchSegment, libc::EINVAL);
    });
    run_unprivileged(&owner);
}

#[test]
fn a_creator_who_gave_the_segment_away_keeps_every_right() {
    // Another user than the creator gets it; giving away takes no privilege.
    const HEIR: u32 = 65533;
    let creator = peer!(|talk| {
        let owned = Owned::new(100, 0o600);
        let id = owned.id();
        id.set_owner(HEIR, HEIR).unwrap();
        let status = id.status().unwrap();
        assert_eq!((status.owner_uid(), status.owner_gid()), (HEIR, HEIR));
        assert_eq!(status.creator_uid(), euid());
        id.attach().unwrap().write_at(0, b"!").unwrap();
        id.set_mode(0o640).unwrap();
        id.set_owner(euid(), common::egid()).unwrap();
        assert_eq!(id.status().unwrap().owner_uid(), euid());
        id.set_owner(HEIR, HEIR).unwrap();
        talk.say(id);
        talk.hear();
        id.mark_for_removal().unwrap();
    });
    let heir = peer!(|talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        id.attach().unwrap().write_at(0, b"?").unwrap();
        id.set_mode(0o600).unwrap();
    });
    if euid() != 0 {
        let mut running = creator.start();
        running.hear();
        skipped("the new owner's side needs root, to become that user");
        running.say("end");
        running.finish();
        return;
    }
    let mut running = creator.nobody().start();
    heir.arg(running.hear()).user(HEIR).run();
    running.say("end");
    running.finish();
}

#[test]
fn nobody_can_be_given_a_segment_that_is_no_user() {
    let owned = Owned::new(100, 0o600);
    let id = owned.id();
    for (uid, gid) in [(u32::MAX, 0), (0, u32::MAX), (u32::MAX, u32::MAX)] {
        let error = fails(
            id.set_permissions(uid, gid, 0o600),
            ErrorKind::InvalidInput,
            libc::EINVAL,
        );
        assert_says(&error, &["EINVAL", "-1 is no user or group id"]);
    }
    assert_eq!(id.status().unwrap().owner_uid(), euid());
}

#[test]
fn open_or_create_does_not_take_what_another_user_put_under_the_key() {
    let squatter = peer!(|talk| {
        let key: Key = talk.arg(0);
        let segment = SegmentOptions::new()
            .size_bytes(100)
            .mode(0o666)
            .create_new(key);
        let segment = segment.unwrap();
        talk.say("laid");
        talk.hear();
        segment.write_at(0, b"trap").unwrap();
        talk.say("set");
        talk.hear();
        segment.mark_for_removal().unwrap();
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    let mut squatter = squatter.arg(owned.key()).nobody().start();
    assert_eq!(squatter.hear(), "laid");
    let mut options = SegmentOptions::new();
    options.size_bytes(100).prefault(true);
    let error = fails(
        options.open_or_create(owned.key()),
        ErrorKind::ForeignCreator,
        None,
    );
    assert_says(
        &error,
        &[
            "made by uid 65534",
            "this process has uid 0",
            "any_owner(true)",
        ],
    );
    let id = SegmentId::find(owned.key()).unwrap();
    assert_eq!(id.status().unwrap().attached(), 1);
    // Nothing was spent on it either; it could have been huge.
    let mut listed = system::segments().unwrap().into_iter();
    let found = listed.find(|entry| entry.status.id() == id);
    assert_eq!(found.unwrap().resident_bytes, Some(0));
    squatter.say("go");
    assert_eq!(squatter.hear(), "set");
    // A caller who does not create expects somebody else's.
    let mut bytes = [0; 4];
    let opened = options.open(owned.key()).unwrap();
    opened.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"trap");
    let welcome = options.any_owner(true).open_or_create(owned.key()).unwrap();
    assert!(!welcome.was_created());
    assert_eq!(welcome.id(), id);
    squatter.say("go");
    squatter.finish();
}

#[test]
fn giving_the_segment_away_does_not_disguise_its_creator() {
    let squatter = peer!(|talk| {
        let key: Key = talk.arg(0);
        let id = SegmentOptions::new().size_bytes(100).create_unattached(key);
        // The owner can be anybody; the creator cannot be changed.
        id.unwrap().set_permissions(0, 0, 0o666).unwrap();
    });
    if !root_or_skip() {
        return;
    }
    let owned = OwnedKey::random();
    squatter.arg(owned.key()).nobody().run();
    let mut options = SegmentOptions::new();
    let error = fails(
        options.size_bytes(100).open_or_create(owned.key()),
        ErrorKind::ForeignCreator,
        None,
    );
    assert_says(&error, &["made by uid 65534"]);
}
