//! `ipcs --semaphores`: what it shows of semaphore sets, and what it removes.

use crate::common::{OwnedKey, OwnedSet, OwnedSetKey, Talk, peer, root_or_skip, set_sysctl, until};
use crate::ipcs::{listed, sets};
use crate::{Nobodys, run};
use sysvshm::{SegmentId, SegmentOptions, SemaphoreSet, system};

/// What is listed under this key, in fields.
fn shown(set: &SemaphoreSet) -> Vec<String> {
    let key = set.status().unwrap().key().to_string();
    let text = listed(0, &["--semaphores", "--porcelain", "--key", &key]);
    let fields = sets(&text);
    assert_eq!(fields.len(), 1, "{text}");
    fields[0].iter().map(|&field| field.to_owned()).collect()
}

#[test]
fn a_set_is_shown_with_its_users() {
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[1, 0]).unwrap();
    let line = shown(&set);
    let uid = crate::common::euid().to_string();
    let expected = [
        &set.id().to_string(),
        &key.key().to_string(),
        &uid,
        &uid,
        "0600",
        "2",
        "0",
        "alive",
    ];
    assert_eq!(line[..8], expected);
    assert!(line[8].parse::<u64>().is_ok() && line[9].parse::<u64>().is_ok());
    assert_eq!(line.len(), 10);

    std::thread::scope(|scope| {
        scope.spawn(|| set.semaphore(1).acquire(1));
        until(|| set.semaphore(1).waiting_for_increase().unwrap() == 1);
        assert_eq!(shown(&set)[6], "1");
        set.semaphore(1).release(1).unwrap();
    });
    let table = listed(0, &["--semaphores", "--key", &key.key().to_string()]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0], "------ Semaphore Arrays --------");
    let titles: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(titles[..5], ["key", "semid", "owner", "perms", "nsems"]);
    assert!(lines[2].starts_with(&key.key().to_string()), "{table}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn limits_and_usage_are_those_of_the_system() {
    let limits = system::semaphore_limits().unwrap();
    let text = listed(0, &["--semaphores", "--limits", "--porcelain"]);
    assert!(
        text.contains(&format!("max_operations {}\n", limits.max_operations)),
        "{text}"
    );
    assert!(
        text.contains(&format!("max_value {}\n", limits.max_value)),
        "{text}"
    );
    let _set = OwnedSet::new(&[1]);
    let text = listed(0, &["--semaphores", "--usage", "--porcelain"]);
    assert!(text.starts_with("sets "), "{text}");
}

#[test]
fn a_set_whose_users_are_gone_is_removed_and_one_in_use_is_not() {
    let user = peer!(|talk| {
        let set = SemaphoreSet::create_new(talk.arg(0), &[1, 0]).unwrap();
        talk.say(set.id());
    });
    let uses_both = peer!(|talk| {
        let set = SemaphoreSet::open(talk.arg(0)).unwrap();
        set.set_values(&[1, 0]).unwrap();
    });
    let key = OwnedSetKey::random();
    user.arg(key.key()).run();
    let set = SemaphoreSet::open(key.key()).unwrap();
    let name = key.key().to_string();
    let dry = [
        "--semaphores",
        "--remove-stale",
        "--porcelain",
        "--key",
        &name,
    ];
    let really = [
        "--semaphores",
        "--remove-stale",
        "--yes",
        "--porcelain",
        "--key",
        &name,
    ];

    // Somebody waits, although the last user of everything is dead.
    std::thread::scope(|scope| {
        scope.spawn(|| set.semaphore(1).acquire(1));
        until(|| set.semaphore(1).waiting_for_increase().unwrap() == 1);
        assert_eq!(listed(0, &really), "");
        // Lets the waiter go and leaves a live last user.
        set.semaphore(1).release(1).unwrap();
    });
    assert_eq!(listed(0, &really), "");
    assert_eq!(shown(&set)[7], "alive");

    // Everybody dead again.
    uses_both.arg(key.key()).run();
    assert_eq!(sets(&listed(3, &dry))[0][0], set.id().to_string());
    assert!(set.status().is_ok());
    assert_eq!(
        listed(
            0,
            &[
                "--semaphores",
                "--remove-stale",
                "--older-than",
                "1d",
                "--yes",
                "--porcelain",
                "--key",
                &name
            ]
        ),
        ""
    );
    assert_eq!(sets(&listed(0, &really))[0][0], set.id().to_string());
    assert!(set.status().is_err());
    assert_eq!(listed(0, &really), "");
}

/// What a dead program has left is removed together, unless one kind alone is asked for.
#[test]
fn segments_and_sets_are_removed_together_or_alone() {
    let user = peer!(|talk| {
        let mut options = SegmentOptions::new();
        options
            .size_bytes(1)
            .create_unattached(talk.arg(0))
            .unwrap();
        SemaphoreSet::create_new(talk.arg(0), &[1]).unwrap();
    });
    for (only, segment_goes, set_goes) in [
        (&[][..], true, true),
        (&["--segments"], true, false),
        (&["--semaphores"], false, true),
    ] {
        let key = OwnedKey::random();
        let _set = OwnedSetKey::guard(key.key());
        let name = key.key().to_string();
        user.clone().arg(key.key()).run();
        let set = SemaphoreSet::open(key.key()).unwrap();
        let segment = SegmentId::find(key.key()).unwrap();
        let arguments = [&["--remove-stale", "--key", &name], only].concat();
        let number = usize::from(segment_goes) + usize::from(set_goes);
        let table = listed(3, &arguments);
        let note = format!("\n{number} stale; --yes removes what is listed here\n");
        assert!(table.ends_with(&note), "{table}");
        let table = listed(0, &[&arguments[..], &["--yes"]].concat());
        assert!(table.ends_with(&format!("\n{number} removed\n")), "{table}");
        assert_eq!(segment.status().is_err(), segment_goes);
        assert_eq!(set.status().is_err(), set_goes);
    }
}

/// A limit that was higher when the set was made does not bound its size now.
#[test]
fn a_set_of_any_size_is_shown() {
    let peer = peer!(|_: &mut Talk| {
        let sem = std::fs::read_to_string("/proc/sys/kernel/sem").unwrap();
        // More than the 16 bits of a semaphore's number in an operation.
        set_sysctl("sem", "70000 1000000 500 100");
        let set = OwnedSet::new(&vec![0; 70_000]);
        set_sysctl("sem", sem.trim());
        let id = set.id().to_string();
        let text = listed(0, &["--semaphores", "--porcelain"]);
        assert_eq!((sets(&text)[0][0], sets(&text)[0][5]), (&*id, "70000"));
        let table = listed(0, &["--semaphores"]);
        assert!(table.contains(" 70000 "), "{table}");
        // This process lives and has made it, and was the last to use all of them.
        assert_eq!(listed(0, &["--remove-stale", "--yes", "--porcelain"]), "");
        assert!(set.status().is_ok());
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn what_may_not_be_read_is_shown_and_counts_as_used() {
    if !root_or_skip() {
        return;
    }
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[1]).unwrap();
    let name = key.key().to_string();
    let programs = Nobodys::new();
    let text = run(programs
        .command("ipcs")
        .args(["--porcelain", "--key", &name]))
    .stdout;
    let fields = sets(&text);
    assert_eq!(fields[0][0], set.id().to_string());
    assert_eq!(fields[0][6..8], ["-", "unknown"]);
}
