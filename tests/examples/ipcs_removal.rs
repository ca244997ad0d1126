//! `ipcs --remove-stale`: it removes what is stale and nothing else, and says what it could not remove.
//!
//! Where all stale segments of the machine are to be removed, the machine is a private IPC namespace, which takes
//! root.

use crate::common::{NOBODY, OwnedKey, Running, Talk, euid, peer, root_or_skip, skipped};
use crate::ipcs::{exists, listed, orphan, segments};
use crate::{Nobodys, closed, eventually, example, run};
use std::process::{Command, Stdio};
use sysvshm::{Key, SegmentId, SegmentOptions, system};

#[path = "../common/system_calls.rs"]
mod system_calls;

/// Its own decisions, for a case that no run from outside can bring about.
#[path = "../../examples/ipcs/stale.rs"]
mod stale;

#[test]
fn removing_takes_what_is_stale_and_nothing_else() {
    let (place, stale, _) = orphan();
    let (held_place, held, _) = orphan();
    let holder = held.attach().unwrap();
    let alive = OwnedKey::random();
    let alive_id = alive.create(1, 0o600);

    let key = place.key().to_string();
    let dry = ["--remove-stale", "--key", &key];
    let really = ["--remove-stale", "--yes", "--key", &key];

    // Listing says what would go, by its exit status too, and touches nothing.
    let text = listed(3, &[&dry[..], &["--porcelain"]].concat());
    assert_eq!(segments(&text)[0][0], stale.to_string());
    let table = listed(3, &dry);
    assert!(
        table.ends_with("\n1 stale; --yes removes what is listed here\n"),
        "{table}"
    );
    assert!(exists(stale));
    // Filters narrow it down.
    let other = (euid() + 1).to_string();
    assert_eq!(
        listed(
            0,
            &[&really[..], &["--owner", &other, "--porcelain"]].concat()
        ),
        ""
    );
    assert_eq!(
        listed(
            0,
            &[&really[..], &["--older-than", "1d", "--porcelain"]].concat()
        ),
        ""
    );
    assert!(exists(stale));

    // Somebody attached, or the creator alive: not stale.
    for key in [held_place.key(), alive.key()] {
        let key = key.to_string();
        assert_eq!(
            listed(0, &["--remove-stale", "--porcelain", "--key", &key]),
            ""
        );
        let table = listed(0, &["--remove-stale", "--yes", "--key", &key]);
        assert!(table.ends_with("\n0 removed\n"), "{table}");
    }
    assert!(exists(held) && exists(alive_id));
    holder.detach().unwrap();

    let text = listed(0, &[&really[..], &["--porcelain"]].concat());
    assert_eq!(segments(&text)[0][0], stale.to_string());
    assert!(!exists(stale));
    let table = listed(0, &dry);
    assert!(table.ends_with("\nnothing is stale\n"), "{table}");
    // The one that was held a moment ago is stale now, and was not asked for.
    assert!(exists(held));
}

/// The look right before the removal, with something happening between the list and it.
#[test]
fn a_segment_used_since_it_was_listed_is_left_alone() {
    let (_place, id, _) = orphan();
    let seen = id.status().unwrap();
    assert!(stale::is_stale(&seen));

    // In use.
    let segment = id.attach().unwrap();
    assert!(!stale::remove_if_still_stale(&seen).unwrap());
    // Used and left: stale again, but not what was listed.
    segment.detach().unwrap();
    assert!(stale::is_stale(&id.status().unwrap()));
    assert!(!stale::remove_if_still_stale(&seen).unwrap());
    assert!(exists(id));

    let seen = id.status().unwrap();
    assert!(stale::remove_if_still_stale(&seen).unwrap());
    assert!(!exists(id));
    // Somebody else was faster.
    assert!(!stale::remove_if_still_stale(&seen).unwrap());
}

/// A segment of another user's can be seen and not removed; one's own can be removed even if its mode hides it.
#[test]
fn what_may_not_be_removed_is_said_and_the_rest_is_done() {
    let peer = peer!(|_: &mut Talk| {
        let (_others_place, others, _) = orphan();
        others.set_mode(0o600).unwrap();
        let own_place = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(own_place.path(), Some(NOBODY), Some(NOBODY)).unwrap();

        let programs = Nobodys::new();
        let as_nobody = |name: &str| {
            let mut command = programs.command(name);
            command.current_dir(own_place.path());
            command
        };
        let abandon = || {
            let mut producer = Running::spawn(
                as_nobody("sysvshm_producer")
                    .args(["--seconds", "600"])
                    .stderr(Stdio::null()),
            );
            producer.line().unwrap();
            let key = Key::from_path(own_place.path().join("SYSUOS"), 42).unwrap();
            let own = SegmentId::find(key).unwrap();
            producer.kill();
            own.set_mode(0o000).unwrap();
            own
        };
        let own = abandon();

        let printed = run(as_nobody("ipcs").args(["--remove-stale", "--yes", "--porcelain"]));
        assert_eq!(printed.code, Some(1), "{printed:?}");
        let lines = segments(&printed.stdout);
        assert_eq!(lines.len(), 1, "only what was removed: {printed:?}");
        assert_eq!((lines[0][0], lines[0][4]), (&*own.to_string(), "0000"));
        let complaint = format!("ipcs: segment {others} stays: shmctl(id {others}, IPC_RMID)");
        assert!(printed.stderr.starts_with(&complaint), "{printed:?}");
        assert_eq!(printed.stderr.lines().count(), 1, "{printed:?}");
        assert!(exists(others) && !exists(own));

        // The complaint comes first, to nobody; the exit status says it as well, and the rest is done.
        let own = abandon();
        let mut ipcs = as_nobody("ipcs");
        let printed = run(ipcs
            .args(["--remove-stale", "--yes", "--porcelain"])
            .stderr(closed()));
        assert_eq!(printed.code, Some(1), "{printed:?}");
        assert_eq!(segments(&printed.stdout)[0][0], own.to_string());
        assert!(exists(others) && !exists(own));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

/// What is asked about one segment does not depend on how many there are: a search through all of them for each took
/// 43 s with 4,000.
#[test]
fn system_calls_grow_with_the_number_of_segments_and_no_faster() {
    let maker = peer!(|talk: &mut Talk| {
        let mut options = SegmentOptions::new();
        let options = options.size_bytes(1).mode(0);
        for _ in 0..talk.arg(0) {
            options.create_unattached(Key::PRIVATE).unwrap();
        }
    });
    let peer = peer!(|talk: &mut Talk| {
        let number: usize = talk.arg(0);
        maker.arg(number).nobody().run();
        let programs = Nobodys::new();
        let ipcs = |arguments: &[&str]| {
            let mut command = programs.command("ipcs");
            command.args(arguments);
            command
        };
        let text = run(&mut ipcs(&["--porcelain", "--remove-stale"])).stdout;
        let modes = segments(&text);
        assert_eq!(modes.len(), number);
        assert!(modes.iter().all(|line| line[4] == "0000"));
        for arguments in [&["--remove-stale"][..], &["--remove-stale", "--yes"]] {
            let mut command = ipcs(arguments);
            match system_calls::count(command.stdout(Stdio::null())) {
                Ok(calls) => talk.say(calls.values().sum::<usize>()),
                Err(error) => {
                    skipped(&format!("may not trace: {error}"));
                    talk.say(0);
                }
            }
        }
        let removed = system::segments().unwrap().is_empty();
        assert!(removed);
    });
    if root_or_skip() {
        let numbers = |count: usize| -> Vec<usize> {
            let said = peer.clone().arg(count).private_namespace().run();
            said.iter().map(|number| number.parse().unwrap()).collect()
        };
        let (few, many) = (numbers(50), numbers(500));
        for (few, many) in few.into_iter().zip(many) {
            let each = (many - few).div_ceil(450);
            // Two lists, and to remove one: its status in two ways, whether its creator lives, the removal.
            assert!(each <= 12, "{few} calls for 50 segments, {many} for 500");
        }
    }
}

/// In another pid namespace the creator has no number: nothing is known of it, so it counts as alive.
#[test]
fn an_invisible_creator_is_not_dead() {
    let peer = peer!(|_: &mut Talk| {
        let (_place, id, _) = orphan();
        assert_eq!(
            segments(&listed(3, &["--remove-stale", "--porcelain"])).len(),
            1
        );
        let mut elsewhere = Command::new("unshare");
        elsewhere.args(["--pid", "--fork"]).arg(example("ipcs"));
        let printed = run(elsewhere.args(["--remove-stale", "--yes", "--porcelain"]));
        assert_eq!(
            (printed.code, &*printed.stdout),
            (Some(0), ""),
            "{printed:?}"
        );
        assert!(exists(id));
    });
    if root_or_skip() {
        let unshare = Command::new("unshare")
            .args(["--pid", "--fork", "true"])
            .status();
        if unshare.is_ok_and(|status| status.success()) {
            peer.private_namespace().run();
        } else {
            skipped("a private pid namespace cannot be had (unshare)");
        }
    }
}

/// What a process leaves that is killed while it makes its token: named as such, and removed apart from the rest.
#[test]
fn abandoned_tokens_are_named_and_removed_by_themselves() {
    let maker = peer!(|talk: &mut Talk| {
        let mut options = SegmentOptions::new();
        let options = options.size_bytes(1234).mode(0o400);
        talk.say(options.create_unattached(Key::PRIVATE).unwrap());
    });
    let peer = peer!(|_: &mut Talk| {
        let (_place, stale, _) = orphan();
        let token: SegmentId = SegmentId::from_raw(maker.run()[0].parse().unwrap());
        let id = token.to_string();
        // It takes ten seconds before it is called that; older ones cannot be made.
        assert_eq!(listed(0, &["--tokens", "--porcelain"]), "");
        assert!(token_line(token).ends_with(" -"));
        eventually("the token is ten seconds old", || {
            token_line(token).ends_with(" token")
        });
        let text = listed(3, &["--remove-stale", "--tokens", "--porcelain"]);
        assert_eq!((segments(&text).len(), segments(&text)[0][0]), (1, &*id));
        let table = listed(0, &["--tokens"]);
        assert_eq!(table.lines().count(), 3, "{table}");
        let words: Vec<&str> = table.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!((words[1], words[6]), (&*id, "token"), "{table}");
        assert!(exists(token));

        let table = listed(0, &["--remove-stale", "--tokens", "--yes"]);
        assert!(table.ends_with("\n1 removed\n"), "{table}");
        assert!(!exists(token) && exists(stale));
        assert_eq!(listed(0, &["--tokens", "--porcelain"]), "");
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

/// Its line for scripts.
fn token_line(token: SegmentId) -> String {
    let (text, id) = (listed(0, &["--porcelain"]), token.to_string());
    let is_it = |line: &&str| line.split(' ').nth(1) == Some(&*id);
    text.lines().find(is_it).unwrap().to_owned()
}
