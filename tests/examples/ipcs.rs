//! `ipcs`: listing, filters, lines for scripts. `ipcs_removal.rs` tests what it removes.
//!
//! What is about all segments of the machine runs in a private IPC namespace, which takes root; the other tests
//! look at their own alone.

use crate::common::{
    Owned, OwnedKey, OwnedQueue, OwnedSet, OwnedSetKey, Running, Talk, euid, let_a_second_pass,
    page, peer, root_or_skip, set_sysctl, skipped, sysctl,
};
use crate::{Place, Printed, assert_80_columns, closed, example, run};
use std::process::Command;
use sysvshm::{Key, ProcessState, Segment, SegmentId, SegmentOptions, SemaphoreSet};

#[track_caller]
fn ipcs(arguments: &[&str]) -> Printed {
    run(Command::new(example("ipcs")).args(arguments))
}

/// What is listed, after the exit code was checked.
#[track_caller]
pub(crate) fn listed(code: i32, arguments: &[&str]) -> String {
    let printed = ipcs(arguments);
    assert_eq!(
        (printed.code, &*printed.stderr),
        (Some(code), ""),
        "{arguments:?}: {printed:?}"
    );
    if !["--wide", "--porcelain"]
        .iter()
        .any(|it| arguments.contains(it))
    {
        assert_80_columns(&printed.stdout);
    }
    printed.stdout
}

/// The lines for scripts that are about this kind, in the fields after it.
fn of_kind<'a>(kind: &str, text: &'a str) -> Vec<Vec<&'a str>> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let lines = text.lines().map(|line| line.split(' '));
    lines
        .filter_map(|mut fields| (fields.next() == Some(kind)).then(|| fields.collect()))
        .collect()
}

/// What the lines for scripts say about segments.
pub(crate) fn segments(text: &str) -> Vec<Vec<&str>> {
    of_kind("segment", text)
}

/// What the lines for scripts say about semaphore sets.
pub(crate) fn sets(text: &str) -> Vec<Vec<&str>> {
    of_kind("set", text)
}

/// What the lines for scripts say about message queues.
pub(crate) fn queues(text: &str) -> Vec<Vec<&str>> {
    of_kind("queue", text)
}

/// A segment whose creator was killed, with its file.
pub(crate) fn orphan() -> (Place, SegmentId, u32) {
    let place = Place::new();
    let mut command = place.command(example("sysvshm_producer"));
    let mut producer = Running::spawn(command.args(["--seconds", "600"]));
    producer.line().unwrap();
    let id = SegmentId::find(place.key()).unwrap();
    let pid = producer.pid();
    producer.kill();
    let status = id.status().unwrap();
    // Evidence that what follows is about a stale segment.
    assert_eq!(
        (status.creator_state(), status.attached()),
        (ProcessState::Dead, 0)
    );
    (place, id, pid)
}

pub(crate) fn exists(id: SegmentId) -> bool {
    id.status().is_ok()
}

#[test]
fn a_line_for_scripts_has_the_documented_fields() {
    let key = OwnedKey::random();
    let mut options = SegmentOptions::new();
    let segment = options
        .size_bytes(5000)
        .mode(0o640)
        .create_new(key.key())
        .unwrap();
    // Two pages were asked for, one exists.
    segment.write_at(0, b"!").unwrap();
    let key_text = key.key().to_string();
    let text = listed(0, &["--porcelain", "--key", &key_text]);
    let [line] = &segments(&text)[..] else {
        panic!("{text}");
    };
    let (id, uid, me) = (
        segment.id().to_string(),
        euid().to_string(),
        std::process::id().to_string(),
    );
    let expected = [
        &*id, &*key_text, &*uid, &*uid, "0640", "5000", "1", "-", &*me, "alive", &*me, "alive",
    ];
    assert_eq!(line[..12], expected);
    let age: u64 = line[12].parse().unwrap();
    assert!(age < 3600, "made a moment ago: {age}");
    assert_eq!(line[13..], [&*page().to_string(), "0", "-"]);

    // The same in decimal, as /proc/sysvipc/shm has it.
    let decimal = key.key().as_raw().to_string();
    assert_eq!(
        segments(&listed(0, &["--porcelain", "--key", &decimal]))[0][0],
        id
    );
}

#[test]
fn flags_and_missing_processes_have_words_too() {
    let key = OwnedKey::random();
    // Never attached: nobody was last.
    let id = key.create(1, 0o600);
    let text = listed(0, &["--porcelain", "--key", &key.key().to_string()]);
    assert_eq!(segments(&text)[0][10..12], ["-", "unknown"]);
    assert_eq!(segments(&text)[0][7], "-");

    if let Err(error) = id.lock_in_memory() {
        skipped(&format!("flags of a locked segment: {error}"));
    } else {
        let text = listed(0, &["--porcelain", "--key", &key.key().to_string()]);
        assert_eq!(segments(&text)[0][7], "locked");
        id.unlock_from_memory().unwrap();
    }

    // Marked for removal it has no key any more, so all are listed.
    let segment = id.attach().unwrap();
    segment.mark_for_removal().unwrap();
    let text = listed(0, &["--porcelain"]);
    let id = id.to_string();
    let lines = segments(&text);
    let line = lines.iter().find(|line| line[0] == id).unwrap();
    assert_eq!((line[1], line[6], line[7]), ("0x00000000", "1", "dest"));
}

#[test]
fn a_dead_creator_is_told_from_a_live_one() {
    let (place, id, pid) = orphan();
    let text = listed(0, &["--porcelain", "--key", &place.key().to_string()]);
    let pid = pid.to_string();
    assert_eq!(
        segments(&text)[0][..2],
        [&*id.to_string(), &*place.key().to_string()]
    );
    assert_eq!(segments(&text)[0][8..12], [&*pid, "dead", &*pid, "dead"]);
    // And in words.
    for wide in [&[][..], &["--wide"]] {
        let table = listed(0, &[&["--key", &place.key().to_string()], wide].concat());
        assert!(table.contains(&format!(" {pid} dead ")), "{table}");
    }
}

#[test]
fn filters_by_owner_and_age() {
    let key = OwnedKey::random();
    key.create(1, 0o600);
    let key = key.key().to_string();
    let key = key.as_str();
    let uid = euid().to_string();
    let other = (euid() + 1).to_string();
    let count = |filter: &[&str]| {
        let arguments = [&["--porcelain", "--key", key], filter].concat();
        segments(&listed(0, &arguments)).len()
    };
    assert_eq!(count(&["--owner", &uid]), 1);
    assert_eq!(count(&["--owner", &other]), 0);
    assert_eq!(count(&["--older-than", "0"]), 1);
    assert_eq!(count(&["--older-than=1d"]), 0);
    assert_eq!(count(&["--older-than=1h", "--owner", &uid]), 0);
    let_a_second_pass();
    assert_eq!(count(&["--older-than", "1s"]), 1);
    // By name, where this user has one.
    let name = Command::new("id").args(["-u", "-n"]).output().unwrap();
    if name.status.success() {
        let name = String::from_utf8(name.stdout).unwrap();
        assert_eq!(count(&["--owner", name.trim()]), 1);
    } else {
        skipped("a filter by name: this user has none");
    }
}

#[test]
fn lists_every_segment_as_the_systems_ipcs_does() {
    let peer = peer!(|_: &mut Talk| {
        let empty = listed(0, &["--segments"]);
        assert_eq!(empty.lines().count(), 2, "{empty}");
        assert_eq!(listed(0, &["--porcelain"]), "");

        let first = Owned::new(1, 0o600);
        let (_place, orphan, _) = orphan();
        let marked: Segment = Owned::new(123_456, 0o444).id().attach().unwrap();
        marked.mark_for_removal().unwrap();
        let ids = [first.id(), orphan, marked.id()].map(|id| id.to_string());

        let text = listed(0, &["--porcelain"]);
        let lines = segments(&text);
        assert!(lines.iter().all(|line| line.len() == 16), "{text}");
        assert_eq!(lines.iter().map(|line| line[0]).collect::<Vec<_>>(), ids);

        // key, shmid, owner, perms, bytes, nattch, and dest if it is marked.
        let words = |text: &str| -> Vec<Vec<String>> {
            text.lines()
                .filter(|line| line.starts_with("0x"))
                .map(|line| line.split_whitespace().take(7).map(str::to_owned).collect())
                .collect()
        };
        let ours = words(&listed(0, &[]));
        assert_eq!(ours.len(), 3);
        assert_eq!(words(&listed(0, &["--wide"])), ours);
        match Command::new("ipcs").arg("-m").output() {
            Ok(output) => {
                let mut theirs = words(&String::from_utf8(output.stdout).unwrap());
                for line in &mut theirs {
                    line.resize(7, "-".to_owned());
                }
                assert_eq!(ours, theirs);
            }
            Err(error) => skipped(&format!("a comparison with the system's ipcs: {error}")),
        }

        // All that is stale, and only that, without any filter.
        let text = listed(0, &["--remove-stale", "--yes", "--porcelain"]);
        assert_eq!(segments(&text).len(), 1);
        assert_eq!(segments(&text)[0][0], ids[1]);
        assert!(!exists(orphan) && exists(first.id()) && exists(marked.id()));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

/// The widest that there can be, or nearly.
#[test]
fn a_table_has_80_columns_whatever_stands_in_it() {
    let peer = peer!(|_: &mut Talk| {
        set_sysctl("shmmax", u64::MAX);
        set_sysctl("shmall", u64::MAX);
        let mut options = SegmentOptions::new();
        options
            .size_bytes(if usize::BITS == 64 { 1 << 45 } else { 1 << 30 })
            .mode(0o666);
        // The largest identifier, where the kernel lets one ask for it.
        if std::fs::write("/proc/sys/kernel/shm_next_id", "2147483647").is_err() {
            skipped("no identifiers of ten digits: no shm_next_id");
        }
        // Nothing is touched, so nothing need be there.
        let huge = options
            .no_reserve(true)
            .create_unattached(Key::PRIVATE)
            .unwrap();
        let _guard = Owned::guard(huge.as_raw());
        huge.set_owner(4_294_967_290, 0).unwrap();
        let set = OwnedSet::new(&[1; 1000]);
        set.set_owner(4_294_967_290, 0).unwrap();
        let id = huge.to_string();
        set_sysctl("msg_next_id", 2_147_483_647);
        let queue = OwnedQueue::new();
        queue.send(1, &[0_u8; 8192]).unwrap();
        queue.set_owner(4_294_967_290, 0).unwrap();

        let table = listed(0, &[]);
        let line = table.lines().find(|line| line.contains(&id)).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[2..5], ["4294967+", "666", "33554432M"], "{table}");
        let wide = listed(0, &["--wide"]);
        assert!(wide.contains(" 4294967290 666   35184372088832 "), "{wide}");
        assert!(table.contains(" 4294967+ 600   1000 "), "{table}");
        let last = table.lines().last().unwrap();
        let words: Vec<&str> = last.split_whitespace().collect();
        let expected = [
            "2147483647",
            "4294967+",
            "600",
            "8192",
            "1",
            "alive",
            "unknown",
        ];
        assert_eq!(words[1..8], expected, "{table}");
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn segments_and_sets_are_shown_together_or_alone() {
    let key = OwnedKey::random();
    let set_key = OwnedSetKey::guard(key.key());
    key.create(1, 0o600);
    let _set = SemaphoreSet::create_new(set_key.key(), &[1, 2]).unwrap();
    let key = key.key().to_string();
    let kinds = |options: &[&str]| {
        let text = listed(0, &[&["--porcelain", "--key", &key], options].concat());
        (segments(&text).len(), sets(&text).len())
    };
    assert_eq!(kinds(&[]), (1, 1));
    assert_eq!(kinds(&["--segments", "--semaphores"]), (1, 1));
    assert_eq!(kinds(&["--segments"]), (1, 0));
    assert_eq!(kinds(&["--semaphores"]), (0, 1));
    let table = listed(0, &["--key", &key]);
    let headings: Vec<&str> = table.lines().filter(|l| l.starts_with('-')).collect();
    let titles = [
        "Shared Memory Segments",
        "Semaphore Arrays",
        "Message Queues",
    ];
    assert_eq!(headings, titles.map(|it| format!("------ {it} --------")));
    let summary = listed(0, &["--limits", "--usage"]);
    for heading in [
        "Shared Memory Limits",
        "Shared Memory Usage",
        "Semaphore Limits",
        "Semaphore Usage",
    ] {
        assert!(
            summary.contains(&format!("------ {heading} --------\n")),
            "{summary}"
        );
    }
}

#[test]
fn limits_and_usage_are_the_kernels() {
    let peer = peer!(|_: &mut Talk| {
        set_sysctl("shmmax", 1 << 20);
        set_sysctl("shmmni", 17);
        set_sysctl("shmall", 1234);
        let first = Owned::new(3 * page(), 0o600);
        let second = Owned::new(1, 0o600);
        second.id().attach().unwrap().write_at(0, b"!").unwrap();
        let page = page();
        assert_eq!(
            listed(0, &["--segments", "--limits", "--usage", "--porcelain"]),
            format!(
                "max_segments 17\nmax_segment_bytes 1048576\nmax_pages 1234\npage_bytes {page}\n\
                 segments 2\npages 4\nresident_pages 1\nswapped_pages 0\n"
            )
        );
        let table = listed(0, &["--usage"]);
        for (words, number) in [
            ("segments", "2 of 17"),
            ("pages, touched or not", "4 of 1234"),
        ] {
            let line = table.lines().find(|line| line.starts_with(words));
            assert!(line.is_some_and(|line| line.ends_with(number)), "{table}");
        }
        assert!(!table.contains("bytes in a segment"));
        assert!(exists(first.id()));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
    // As an ordinary user: what the kernel says elsewhere.
    let limits = listed(0, &["--limits", "--porcelain"]);
    for (name, file) in [
        ("max_segments", "shmmni"),
        ("max_segment_bytes", "shmmax"),
        ("max_pages", "shmall"),
    ] {
        let line = format!("{name} {}", sysctl(file));
        assert!(limits.lines().any(|l| l == line), "no {line:?} in {limits}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let cases: [(&[&str], &str); 18] = [
        (&["--wide", "--porcelain"], "--wide is for people"),
        (&["--tokens", "--semaphores"], "not about semaphore sets"),
        (&["--tokens", "--queues"], "not about message queues"),
        (&["--tokens", "--usage"], "all segments together"),
        (&["--yes"], "--yes goes with --remove-stale"),
        (&["--limits", "--yes"], "--yes goes with --remove-stale"),
        (&["--limits", "--remove-stale"], "all segments together"),
        (
            &["--usage", "--remove-stale", "--yes"],
            "all segments together",
        ),
        (&["--usage", "--owner", "0"], "all segments together"),
        (&["--key"], "--key needs a value"),
        (&["--key", "SYSUOS"], "--key SYSUOS makes no sense"),
        (&["--key", "1", "--key", "2"], "--key is given twice"),
        (
            &["--owner=no such user"],
            "no user no such user in /etc/passwd",
        ),
        (&["--older-than", "5w"], "--older-than 5w makes no sense"),
        (&["--older-than", "99999999999999999999"], "makes no sense"),
        (&["--yes=no"], "unknown argument --yes=no"),
        (&["--all"], "unknown argument --all"),
        (&["65536"], "unknown argument 65536"),
    ];
    for (arguments, words) in cases {
        let printed = ipcs(arguments);
        printed.assert_misused("ipcs", &[words]);
    }
}

#[test]
fn help_documents_every_option_field_and_exit_code() {
    let help = listed(0, &["--help"]);
    for option in [
        "--key",
        "--owner",
        "--older-than",
        "--tokens",
        "--segments",
        "--semaphores",
        "--queues",
        "--wide",
        "--porcelain",
        "--remove-stale",
        "--yes",
        "--limits",
        "--usage",
    ] {
        assert!(help.contains(option), "{option}");
    }
    // As many fields as the lines have, of each kind.
    let (_, fields) = help.split_once("kind          segment").unwrap();
    let (of_segments, of_sets) = fields.split_once("kind          set\n").unwrap();
    let (of_sets, of_queues) = of_sets.split_once("kind          queue\n").unwrap();
    for (text, last) in [(of_segments, 17), (of_sets, 11), (of_queues, 15)] {
        let documented = |number: &usize| {
            let begin = format!("  {number:2}  ");
            text.lines().any(|line| line.starts_with(&begin))
        };
        assert_eq!((2..=20).rfind(documented), Some(last));
        assert_eq!((2..=20).filter(documented).count(), last - 1);
    }
    for code in 0..=3 {
        assert!(
            help.lines().any(|l| l.starts_with(&format!("  {code}  "))),
            "exit {code}"
        );
    }
}

/// `ipcs | head -1` is no error, and does not change what was done.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let (place, id, _) = orphan();
    let key = place.key().to_string();
    let program = example("ipcs");
    let printed = run(Command::new(&program).stdout(closed()));
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    let stale = ["--remove-stale", "--key", &key];
    let printed = run(Command::new(&program).args(stale).stdout(closed()));
    assert_eq!((printed.code, &*printed.stderr), (Some(3), ""));
    let printed = run(Command::new(&program)
        .args(stale)
        .arg("--yes")
        .stdout(closed()));
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    assert!(!exists(id));

    // A full disk is one.
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let printed = run(Command::new(&program).stdout(full));
    printed.assert_refused(1, &["ipcs: cannot write to stdout"]);
}
