//! What opening promises when it loses a race or cannot attach: nothing half done, nothing removed that was not
//! just made.

mod common;

use common::{Owned, OwnedKey, at, fails, peer};
use sysvshm::{ErrorKind, Key, Removal, SegmentId, SegmentOptions};

fn sized(bytes: usize) -> SegmentOptions {
    SegmentOptions::new().size_bytes(bytes).clone()
}

#[test]
fn of_many_that_open_or_create_at_once_one_creates() {
    let racer = peer!(|talk| {
        let key: Key = talk.arg(0);
        talk.say("ready");
        talk.hear();
        let segment = sized(100).open_or_create(key).unwrap();
        talk.say(format!("{} {}", segment.was_created(), segment.id()));
        talk.hear();
    });
    let owned = OwnedKey::random();
    for _ in 0..5 {
        let mut racers: Vec<_> = (0..4)
            .map(|_| racer.clone().arg(owned.key()).start())
            .collect();
        for racer in &mut racers {
            assert_eq!(racer.hear(), "ready");
        }
        racers.iter_mut().for_each(|racer| racer.say("go"));
        let answers: Vec<String> = racers.iter_mut().map(|racer| racer.hear()).collect();
        let id = SegmentId::find(owned.key()).unwrap();
        let same = answers.iter().all(|said| said.ends_with(&format!(" {id}")));
        let created = answers.iter().filter(|said| said.starts_with("true"));
        assert!(same && created.count() == 1, "{answers:?}");
        for mut racer in racers {
            racer.say("enough");
            racer.finish();
        }
        id.mark_for_removal().unwrap();
    }
}

#[test]
fn opening_while_others_remove_and_recreate_finds_a_whole_segment_or_none() {
    let churner = peer!(|talk| {
        let key: Key = talk.arg(0);
        talk.say("started");
        for round in 0.. {
            let segment = sized(100 + round % 2).create_new(key).unwrap();
            segment.mark_for_removal().unwrap();
        }
    });
    let owned = OwnedKey::random();
    let mut churner = churner.arg(owned.key()).start();
    assert_eq!(churner.hear(), "started");
    let mut found = 0;
    while found < 300 {
        match SegmentOptions::new().open(owned.key()) {
            Ok(segment) => {
                found += 1;
                // What was opened is one of the segments made, and stays it although its key is gone by now.
                let status = segment.status().unwrap();
                assert_eq!(status.size_bytes(), segment.len_bytes());
                assert!(matches!(segment.len_bytes(), 100 | 101));
                assert!(!segment.was_created());
                segment.write_at(99, b"!").unwrap();
            }
            // Never that the segment is gone, which would be about an identifier nobody passed.
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound, "{error}"),
        }
    }
    churner.kill();
}

#[test]
fn a_failed_attach_removes_what_was_just_created() {
    let owned = OwnedKey::random();
    let occupied = sized(1).create_new(Key::PRIVATE).unwrap();
    let _occupied = Owned(occupied.id());
    let base = occupied.as_ptr().addr();
    let attempts = [
        (base, false, Some(libc::EINVAL)),     // in use
        (base + 1, false, Some(libc::EINVAL)), // misaligned
        (1, true, None),                       // page 0
    ];
    for (address, round, errno) in attempts {
        let mut options = at(&sized(1), address);
        options.round_address(round);
        for error in [
            options.create_new(owned.key()).unwrap_err(),
            options.open_or_create(owned.key()).unwrap_err(),
            options
                .clone()
                .removal(Removal::OnceAttached)
                .create_new(owned.key())
                .unwrap_err(),
        ] {
            fails::<()>(Err(error), ErrorKind::InvalidAddress, errno);
            fails(
                SegmentId::find(owned.key()),
                ErrorKind::NotFound,
                libc::ENOENT,
            );
        }
    }
}

#[test]
fn a_failed_attach_removes_nothing_that_was_found() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    let mut options = at(&sized(100), 1);
    options.round_address(true);
    for error in [
        options.open(owned.key()).unwrap_err(),
        options.open_or_create(owned.key()).unwrap_err(),
        options.create_new(owned.key()).unwrap_err(),
        options.attach(id).unwrap_err(),
    ] {
        assert_ne!(error.kind(), ErrorKind::NotFound);
        assert_eq!(SegmentId::find(owned.key()).unwrap(), id);
    }
    let status = id.status().unwrap();
    assert_eq!(
        (status.attached(), status.is_marked_for_removal()),
        (0, false)
    );
}

#[test]
fn the_length_is_the_kernels_not_the_openers() {
    let owned = OwnedKey::random();
    let id = owned.create(6000, 0o600);
    for asked in [0, 1, 6000] {
        assert_eq!(sized(asked).open(owned.key()).unwrap().len_bytes(), 6000);
        assert_eq!(sized(asked).attach(id).unwrap().len_bytes(), 6000);
        let reader = sized(asked).open_read_only(owned.key()).unwrap();
        assert_eq!(reader.len_bytes(), 6000);
    }
}
