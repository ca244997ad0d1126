//! `ipcs --semaphores`: what it shows of semaphore sets, and what it removes.

use crate::common::{OwnedSet, OwnedSetKey, peer, root_or_skip, until};
use crate::example;
use crate::ipcs::{fields, listed};
use std::os::unix::process::CommandExt;
use std::process::Command;
use sysvshm::{SemaphoreSet, system};

/// What is listed under this key, in fields.
fn shown(set: &SemaphoreSet) -> Vec<String> {
    let key = set.status().unwrap().key().to_string();
    let text = listed(0, &["--semaphores", "--porcelain", "--key", &key]);
    let fields = fields(&text);
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
    assert!(lines[1].starts_with("key        semid      owner      perms      nsems "));
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
    assert_eq!(fields(&listed(3, &dry))[0][0], set.id().to_string());
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
    assert_eq!(fields(&listed(0, &really))[0][0], set.id().to_string());
    assert!(set.status().is_err());
    assert_eq!(listed(0, &really), "");
}

#[test]
fn what_may_not_be_read_is_shown_and_counts_as_used() {
    if !root_or_skip() {
        return;
    }
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[1]).unwrap();
    let mut nobody = Command::new(example("ipcs"));
    nobody.uid(crate::common::NOBODY).gid(crate::common::NOBODY);
    nobody.args([
        "--semaphores",
        "--porcelain",
        "--key",
        &key.key().to_string(),
    ]);
    let printed = nobody.output();
    // The directory of the build may be closed to others.
    let Ok(printed) = printed else {
        crate::common::skipped("nobody may not run the example where it was built");
        return;
    };
    let text = String::from_utf8(printed.stdout).unwrap();
    let fields = fields(&text);
    assert_eq!(fields[0][0], set.id().to_string());
    assert_eq!(fields[0][6..8], ["-", "unknown"]);
}
