//! Creating and finding semaphore sets, and the race between creating one and giving it values.

mod common;

use common::{OwnedSet, OwnedSetKey, assert_says, fails, peer, root_or_skip, set_sysctl, until};
use std::time::{Duration, Instant};
use sysvshm::raw::{self, GetFlags, SemCommand};
use sysvshm::{ErrorKind, Key, Mode, SemaphoreSet, SemaphoreSetOptions, system};

const CREATE: GetFlags = GetFlags::IPC_CREAT;

/// What a C program does that creates a set and then dawdles.
fn bare(key: Key, semaphores: i32) -> i32 {
    raw::semget(key, semaphores, CREATE | GetFlags::mode(0o600)).unwrap()
}

fn patience(milliseconds: u64) -> SemaphoreSetOptions {
    let mut options = SemaphoreSetOptions::new();
    options.initialisation_timeout(Duration::from_millis(milliseconds));
    options
}

#[test]
fn a_new_set_is_as_asked_and_the_creators() {
    let set = OwnedSet::with_mode(&[0; 10], 0o640);
    let status = set.status().unwrap();
    assert_eq!((set.len(), status.len()), (10, 10));
    assert_eq!(status.mode(), Mode::from(0o640));
    let (uid, gid) = (common::euid(), common::egid());
    assert_eq!((status.creator_uid(), status.creator_gid()), (uid, gid));
    assert_eq!((status.owner_uid(), status.owner_gid()), (uid, gid));
    assert!(status.key().is_private());
    assert!(status.change_time().is_some());
    assert!(set.was_created());
}

#[test]
fn a_bare_set_holds_zeros_and_was_never_operated_on() {
    let key = OwnedSetKey::random();
    bare(key.key(), 3);
    let set = SemaphoreSet::open(key.key()).unwrap();
    assert_eq!(set.values().unwrap(), [0, 0, 0]);
    assert_eq!(set.status().unwrap().operation_time(), None);
    assert_eq!(set.semaphore(0).last_pid().unwrap(), None);
    assert!(!set.was_created());
}

#[test]
fn creating_leaves_the_values_asked_for_and_a_time_of_operation() {
    // With a zero among the values, without one, and at the top of the range.
    for values in [&[3, 0, 5][..], &[1, 2], &[32767], &[0]] {
        let set = OwnedSet::new(values);
        assert_eq!(set.values().unwrap(), values);
        assert!(set.status().unwrap().operation_time().is_some());
    }
}

#[test]
fn every_refusal_of_semget_has_a_kind_of_its_own() {
    let key = OwnedSetKey::random();
    let missing = SemaphoreSet::open(key.key());
    let missing = fails(missing, ErrorKind::NotFound, libc::ENOENT);
    assert_says(
        &missing,
        &[
            "semget(key",
            "no semaphore set",
            "ENOENT",
            "start the program",
        ],
    );

    let set = SemaphoreSet::create_new(key.key(), &[1, 1]).unwrap();
    let again = SemaphoreSet::create_new(key.key(), &[1, 1]);
    let again = fails(again, ErrorKind::AlreadyExists, libc::EEXIST);
    let removal = format!("ipcrm -s {}", set.id());
    assert_says(&again, &["IPC_EXCL", "2 semaphores", &removal]);

    let more = SemaphoreSetOptions::new().minimum_len(3).open(key.key());
    let more = fails(more, ErrorKind::SetTooSmall, libc::EINVAL);
    assert_says(&more, &["has 2 semaphores", "3 were asked for"]);

    let negative = raw::semget(Key::PRIVATE, -1, CREATE);
    fails(negative, ErrorKind::CountOutOfRange, libc::EINVAL);
    let none = SemaphoreSet::create_new(Key::PRIVATE, &[]);
    fails(none, ErrorKind::CountOutOfRange, libc::EINVAL);
    let limits = system::semaphore_limits().unwrap();
    let most = i32::try_from(limits.max_semaphores_per_set).unwrap();
    let too_many = raw::semget(Key::PRIVATE, most + 1, CREATE);
    let too_many = fails(too_many, ErrorKind::CountOutOfRange, libc::EINVAL);
    assert_says(&too_many, &["SEMMSL", &most.to_string()]);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_exists() {
    let key = OwnedSetKey::random();
    let too_large = SemaphoreSet::create_new(key.key(), &[0, 32768]);
    fails(too_large, ErrorKind::ValueOutOfRange, None);
    let mode = SemaphoreSetOptions::new()
        .mode(0o1666)
        .create_new(key.key(), &[1]);
    fails(mode, ErrorKind::InvalidInput, None);
    assert!(SemaphoreSet::open(key.key()).is_err());
    let private = SemaphoreSet::open(Key::PRIVATE);
    fails(private, ErrorKind::InvalidInput, None);
}

#[test]
fn a_creation_that_fails_half_way_removes_the_set() {
    // A mode without the write bit: an ordinary user may create the set and then not set its values.
    let nobody = peer!(|talk| {
        let key = Key::random().unwrap();
        let set = SemaphoreSetOptions::new().mode(0o400).create_new(key, &[1]);
        fails(set, ErrorKind::PermissionDenied, libc::EACCES);
        talk.say(SemaphoreSet::open(key).unwrap_err().kind() == ErrorKind::NotFound);
    });
    if root_or_skip() {
        assert_eq!(nobody.nobody().run(), ["true"]);
    }
}

#[test]
fn another_users_set_opens_as_its_mode_says() {
    let nobody = peer!(|talk| {
        let key = talk.arg(0);
        // No bits asked for: found, and read without permission where the system has a way.
        let set = SemaphoreSet::open(key).unwrap();
        assert_eq!(set.len(), 2);
        let denied = fails(set.values(), ErrorKind::PermissionDenied, libc::EACCES);
        assert_says(&denied, &["mode 0600", "uid 65534"]);
        let asking = SemaphoreSetOptions::new().mode(0o600).open(key);
        fails(asking, ErrorKind::PermissionDenied, libc::EACCES);
        let status = set.status();
        fails(status, ErrorKind::PermissionDenied, libc::EACCES);
        // open_or_create does not join what another user set up, unless told to.
        let squatted = SemaphoreSet::open_or_create(key, &[1, 1]);
        let squatted = fails(squatted, ErrorKind::ForeignCreator, None);
        assert_says(&squatted, &["made by uid 0", "any_owner"]);
        let mut options = SemaphoreSetOptions::new();
        assert!(options.any_owner(true).open_or_create(key, &[1, 1]).is_ok());
    });
    if root_or_skip() {
        let key = OwnedSetKey::random();
        SemaphoreSet::create_new(key.key(), &[1, 1]).unwrap();
        nobody.arg(key.key()).nobody().run();
    }
}

#[test]
fn full_tables_are_told_apart() {
    let alone = peer!(|_| {
        //                 SEMMSL SEMMNS SEMOPM SEMMNI
        set_sysctl("sem", "32000 1000000 500 3");
        let full: Vec<_> = (0..3).map(|_| bare(Key::PRIVATE, 1)).collect();
        let one_more = SemaphoreSet::create_new(Key::PRIVATE, &[0]);
        let one_more = fails(one_more, ErrorKind::SetLimit, libc::ENOSPC);
        assert_says(
            &one_more,
            &["3 sets exist and 3 are allowed", "SEMMNI", "no disk"],
        );
        assert_eq!(system::semaphore_usage().unwrap().sets, 3);
        for id in full {
            raw::semctl(id, 0, SemCommand::IpcRmid).unwrap();
        }

        set_sysctl("sem", "32000 8 500 3");
        bare(Key::PRIVATE, 5);
        let one_more = SemaphoreSet::create_new(Key::PRIVATE, &[0; 4]);
        let one_more = fails(one_more, ErrorKind::SemaphoreLimit, libc::ENOSPC);
        assert_says(
            &one_more,
            &["5 semaphores exist, 4 were asked for and 8 are allowed"],
        );
        let limits = system::semaphore_limits().unwrap();
        assert_eq!((limits.max_semaphores, limits.max_sets), (8, 3));
        assert_eq!(limits.max_operations, 500);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn processes_that_start_together_agree_on_one_initialised_set() {
    let starter = peer!(|talk| {
        talk.hear();
        let set = SemaphoreSet::open_or_create(talk.arg(0), &[7, 1]).unwrap();
        // Never the zeros of a set that was just made.
        let values = set.values().unwrap();
        talk.say(format!("{} {} {values:?}", set.id(), set.was_created()));
    });
    for _ in 0..5 {
        let key = OwnedSetKey::random();
        let starter = starter.clone().arg(key.key());
        let mut starters: Vec<_> = (0..4).map(|_| starter.start()).collect();
        for running in &mut starters {
            running.say("go");
        }
        let said: Vec<String> = starters.iter_mut().map(common::Running::hear).collect();
        let id = SemaphoreSet::open(key.key()).unwrap().id();
        let created = format!("{id} true [7, 1]");
        let found = format!("{id} false [7, 1]");
        assert_eq!(
            said.iter().filter(|line| **line == created).count(),
            1,
            "{said:?}"
        );
        assert_eq!(
            said.iter().filter(|line| **line == found).count(),
            3,
            "{said:?}"
        );
        for running in starters {
            running.finish();
        }
    }
}

#[test]
fn an_opener_waits_until_the_creator_has_done_an_operation() {
    let opener = peer!(|talk| {
        let set = SemaphoreSet::open_or_create(talk.arg(0), &[9]).unwrap();
        talk.say(set.semaphore(0).value().unwrap());
    });
    let key = OwnedSetKey::random();
    let id = bare(key.key(), 1);
    let mut running = opener.arg(key.key()).start();
    std::thread::sleep(Duration::from_millis(50));
    raw::semctl(id, 0, SemCommand::SetVal(5)).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    // Up to here the value is not final. Any operation ends the wait; this one makes it 6.
    let up = raw::sembuf {
        sem_num: 0,
        sem_op: 1,
        sem_flg: 0,
    };
    raw::semop(id, &[up]).unwrap();
    assert_eq!(running.hear(), "6");
    running.finish();
}

#[test]
fn an_opener_gives_up_at_the_deadline_and_says_how_far_the_creator_came() {
    let key = OwnedSetKey::random();
    let id = bare(key.key(), 2);
    let start = Instant::now();
    let nothing = patience(60).open_or_create(key.key(), &[1, 1]);
    assert!(start.elapsed() >= Duration::from_millis(60));
    let nothing = fails(nothing, ErrorKind::NotInitialised, None);
    assert_says(&nothing, &["has not set the values", "sem_otime"]);

    raw::semctl(id, 0, SemCommand::SetAll(&[1, 1])).unwrap();
    let half = patience(10).open_or_create(key.key(), &[1, 1]);
    let half = fails(half, ErrorKind::NotInitialised, None);
    let pid = format!("pid {} set values", std::process::id());
    assert_says(&half, &[&pid, "trust_set_values"]);
    // `open` does not wait at all.
    assert!(SemaphoreSet::open(key.key()).is_ok());
}

#[test]
fn a_set_that_only_had_its_values_set_is_trusted_on_request() {
    for one_by_one in [false, true] {
        let key = OwnedSetKey::random();
        let id = bare(key.key(), 2);
        let mut options = patience(10);
        options.trust_set_values(true);
        let unset = options.open_or_create(key.key(), &[9, 9]);
        fails(unset, ErrorKind::NotInitialised, None);
        if one_by_one {
            raw::semctl(id, 0, SemCommand::SetVal(4)).unwrap();
            let half = options.open_or_create(key.key(), &[9, 9]);
            fails(half, ErrorKind::NotInitialised, None);
            raw::semctl(id, 1, SemCommand::SetVal(0)).unwrap();
        } else {
            raw::semctl(id, 0, SemCommand::SetAll(&[4, 0])).unwrap();
        }
        let set = options.open_or_create(key.key(), &[9, 9]).unwrap();
        assert_eq!(set.values().unwrap(), [4, 0]);
    }
}

#[test]
fn a_creator_that_died_half_way_is_told_from_a_slow_one() {
    let dies = peer!(|talk| {
        let id = bare(talk.arg(0), 2);
        raw::semctl(id, 0, SemCommand::SetVal(1)).unwrap();
        talk.say("half");
        talk.hear();
    });
    let key = OwnedSetKey::random();
    let mut running = dies.arg(key.key()).start();
    assert_eq!(running.hear(), "half");
    let pid = running.pid();
    let slow = patience(10).open_or_create(key.key(), &[1, 1]);
    fails(slow, ErrorKind::NotInitialised, None);
    running.kill();
    // Not after the whole time: the day is not waited out.
    let dead = patience(86_400_000).open_or_create(key.key(), &[1, 1]);
    let dead = fails(dead, ErrorKind::CreatorDied, None);
    assert_says(&dead, &[&format!("pid {pid} "), "ipcrm -s"]);
}

#[test]
fn an_opener_that_finds_the_set_gone_creates_it() {
    let opener = peer!(|talk| {
        let mut options = SemaphoreSetOptions::new();
        options.initialisation_timeout(Duration::from_secs(86_400));
        let set = options.open_or_create(talk.arg(0), &[3]).unwrap();
        talk.say(format!("{} {:?}", set.was_created(), set.values().unwrap()));
        talk.hear();
    });
    let key = OwnedSetKey::random();
    let id = bare(key.key(), 1);
    let mut running = opener.arg(key.key()).start();
    std::thread::sleep(Duration::from_millis(50));
    raw::semctl(id, 0, SemCommand::IpcRmid).unwrap();
    assert_eq!(running.hear(), "true [3]");
    running.say("enough");
    running.finish();
}

#[test]
fn a_set_can_be_handed_over_by_its_number() {
    let user = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        assert_eq!(set.len(), 3);
        set.semaphore(2).release(4).unwrap();
    });
    let set = OwnedSet::new(&[0, 0, 0]);
    user.arg(set.id()).run();
    assert_eq!(set.values().unwrap(), [0, 0, 4]);
    until(|| set.semaphore(2).value().unwrap() == 4);
    for id in [-1, i32::MAX] {
        fails(
            SemaphoreSet::from_raw(id),
            ErrorKind::NoSuchSet,
            libc::EINVAL,
        );
    }
    assert!(set.get(3).is_none());
    assert!(std::panic::catch_unwind(|| set.semaphore(3)).is_err());
}
