//! `inspect`: what it shows of rings in use and dead, and what it says of segments that hold none.

use crate::common::{Owned, OwnedKey, Running, Talk, peer};
use crate::{Place, Printed, assert_80_columns, eventually, example, run};
use std::process::Command;
use std::time::Duration;
use sysvshm::bounded_buffer::{mpmc, spsc};
use sysvshm::{Key, SegmentId};

#[track_caller]
fn inspect(arguments: &[&str]) -> Printed {
    run(Command::new(example("inspect")).args(arguments))
}

/// What is shown, after the exit code was checked.
#[track_caller]
fn shown(arguments: &[&str]) -> String {
    let printed = inspect(arguments);
    assert_eq!(
        (printed.code, &*printed.stderr),
        (Some(0), ""),
        "{printed:?}"
    );
    assert_80_columns(&printed.stdout);
    printed.stdout
}

/// The line that begins so, without that.
#[track_caller]
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found
        .unwrap_or_else(|| panic!("no {name:?} in {text}"))
        .trim()
}

/// The number before `words`.
#[track_caller]
fn number_before(text: &str, words: &str) -> u64 {
    let before = text.split(words).next().unwrap();
    let number = before.rsplit(' ').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{text}"))
}

#[test]
fn a_ring_in_use_then_dead() {
    let actor = peer!(|talk: &mut Talk| {
        let key: Key = talk.arg(0);
        let ring = spsc::BoundedBuffer::<[u32; 3]>::open_or_create(key, 100).unwrap();
        if talk.args[1] == "consumer" {
            let mut consumer = ring.consumer().unwrap();
            talk.say("in");
            loop {
                consumer.pop().unwrap();
            }
        }
        let mut producer = ring.producer().unwrap();
        talk.say("in");
        while producer.push([1, 2, 3]).is_ok() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Full, and the consumer is dead.
        talk.hear();
    });
    let place = Place::new();
    let key = place.key().to_string();
    let start = |role: &str| -> Running {
        let mut running = actor.clone().arg(place.key()).arg(role).start();
        assert_eq!(running.hear(), "in");
        running
    };
    let (producer, consumer) = (start("producer"), start("consumer"));
    let text = shown(&["--key", &key, "--seconds", "0.3"]);
    assert!(
        line(&text, "segment").contains(&format!("key {key}, ")),
        "{text}"
    );
    assert!(line(&text, "memory").ends_with(" 2 attached"), "{text}");
    assert!(
        line(&text, "ring").starts_with("spsc, version 2, interleaved, "),
        "{text}"
    );
    assert_eq!(line(&text, "items"), "12 bytes each, at multiples of 4");
    // Some thousand sleeps of a millisecond fit into a second, on any machine more than none.
    for name in ["pushed", "popped"] {
        assert!(
            number_before(line(&text, name), " per second") > 0,
            "{text}"
        );
    }
    assert_eq!(line(&text, "participants"), "2 alive, 2 at most");
    for (name, running) in [("  producer", &producer), ("  consumer", &consumer)] {
        let words = format!("pid {}, alive, for ", running.pid());
        assert!(line(&text, name).starts_with(&words), "{text}");
    }

    // The path and number that make the key; and the identifier.
    let id = SegmentId::find(place.key()).unwrap().to_string();
    let file = place.path().join("SYSUOS");
    let file = file.to_str().unwrap();
    for arguments in [
        ["--path", file, "--project", "42"],
        ["--id", &id, "--seconds", "0.1"],
    ] {
        assert!(shown(&arguments).contains(&format!("segment       {id}, key {key}")));
    }

    // Killed, both, with whatever there was in the ring.
    consumer.kill();
    eventually("the ring is full", || {
        line(&shown(&["--key", &key, "--seconds", "0.1"]), "fill") == "100 of 100 (100.0 %)"
    });
    producer.kill();
    let text = shown(&["--key", &key, "--seconds", "0.1"]);
    assert_eq!(line(&text, "fill"), "100 of 100 (100.0 %)");
    assert_eq!(line(&text, "participants"), "0 alive, 2 dead, 2 at most");
    for name in ["  producer", "  consumer"] {
        assert_eq!(
            line(&text, name),
            "dead; the next to claim the role goes on"
        );
    }
    assert!(line(&text, "pushed").ends_with(", 0 per second"));
    assert!(line(&text, "memory").ends_with(" 0 attached"));
}

#[test]
fn many_participants_and_those_who_died() {
    let member = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let ring: mpmc::BoundedBuffer<u64> = mpmc::Options::new().attach(id).unwrap();
        let mut consumer = ring.consumer().unwrap();
        talk.say("in");
        let _ = consumer.pop();
    });
    let ring = mpmc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8).unwrap();
    ring.segment().mark_for_removal().unwrap();
    let mut producer = ring.producer().unwrap();
    let id = ring.segment().id().to_string();
    let mut members: Vec<Running> = (0..3).map(|_| member.clone().arg(&id).start()).collect();
    for running in &mut members {
        assert_eq!(running.hear(), "in");
    }
    let dead = members.remove(1);
    let dead_pid = dead.pid();
    dead.kill();
    let text = shown(&["--id", &id, "--seconds", "0.1"]);
    assert!(
        line(&text, "ring").starts_with("mpmc, version 2, interleaved, "),
        "{text}"
    );
    assert_eq!(line(&text, "fill"), "0 of 8 (0.0 %)");
    assert!(line(&text, "memory").contains(", marked for removal"));
    // The living may have recovered it by now.
    let people = line(&text, "participants");
    let is_shown = people == "3 alive, 1 dead, 64 at most";
    assert!(is_shown || people == "3 alive, 64 at most", "{text}");
    assert_eq!(
        is_shown,
        text.contains(&format!("pid {dead_pid}, dead; whoever waits"))
    );
    for running in &members {
        assert!(
            text.contains(&format!("  consumer    pid {}, alive", running.pid())),
            "{text}"
        );
    }
    producer.push(1).unwrap();
}

/// Frame after frame, until whoever has the ring lets go of it.
#[test]
fn following_ends_with_the_ring() {
    let ring = spsc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let id = ring.segment().id();
    let _guard = Owned::guard(id.as_raw());
    let mut command = Command::new(example("inspect"));
    let command = command.args(["--follow", "--seconds", "0.1", "--id", &id.to_string()]);
    let mut running = Running::spawn(command);
    let mut fills = Vec::new();
    for _ in 0..3 {
        let fill = loop {
            let line = running.line().unwrap();
            if let Some(fill) = line.strip_prefix("fill") {
                break fill.trim().to_owned();
            }
        };
        fills.push(fill);
        producer.push(1).unwrap();
    }
    assert_eq!(fills[0], "0 of 8 (0.0 %)");
    assert!(
        ["1 of 8 (12.5 %)", "2 of 8 (25.0 %)"].contains(&&*fills[2]),
        "{fills:?}"
    );
    drop(producer);
    ring.segment().mark_for_removal().unwrap();
    drop(ring);
    let mut last = String::new();
    while let Some(line) = running.line() {
        last.push_str(&line);
        last.push('\n');
    }
    assert!(last.contains("marked for removal"), "{last}");
    assert!(
        last.contains("producer    gone, gave the role back"),
        "{last}"
    );
    assert_eq!(running.wait().code(), Some(0));
    assert!(id.status().is_err());
}

#[test]
fn what_holds_no_ring_is_refused_in_words() {
    let key = OwnedKey::random();
    let text = key.key().to_string();
    inspect(&["--key", &text]).assert_refused(1, &["inspect: shmget(key ", "ENOENT"]);
    // Too small for a header; zeros; numbers; a ring that somebody scribbled over.
    let small = Owned::new(20, 0o600);
    inspect(&["--id", &small.raw().to_string()])
        .assert_refused(1, &["holds no ring: its segment size is 0x14"]);
    let id = key.create(4096, 0o600);
    let printed = shown(&["--key", &text, "--seconds", "0.1"]);
    assert_eq!(
        line(&printed, "ring"),
        "none yet: all zeros where it begins"
    );
    let segment = id.attach().unwrap();
    segment.write_at(0, &[1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
    inspect(&["--key", &text]).assert_refused(1, &["holds no ring: its magic is 0x"]);
    let garbage: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    segment.write_at(0, &garbage).unwrap();
    inspect(&["--key", &text]).assert_refused(1, &["holds no ring: its magic is 0x"]);
    // The right magic, and garbage behind it.
    for magic in [b"svshspsc", b"svshmpmc"] {
        segment.write_at(0, magic).unwrap();
        segment.reference::<u64>(8).unwrap().store(1);
        inspect(&["--key", &text])
            .assert_refused(1, &["holds no ring that this version knows", "version"]);
    }
    // A state that no living process is behind: a token of 12345 bytes that does not exist.
    let token = 12_345 << 31 | 0x7fff_ffff;
    segment.reference::<u64>(8).unwrap().store(token);
    let printed = shown(&["--key", &text, "--seconds", "0.1"]);
    assert_eq!(line(&printed, "ring"), "mpmc, being initialised");
    assert_eq!(
        line(&printed, "  by"),
        "dead; whoever opens it to create takes over"
    );
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let cases: [(&[&str], &str); 9] = [
        (&[], "which ring?"),
        (&["--follow"], "which ring?"),
        (&["--key"], "--key needs a value"),
        (&["--key", "SYSUOS"], "--key SYSUOS makes no sense"),
        (&["--id", "x"], "--id x makes no sense"),
        (&["--id", "1", "--key", "2"], "which ring?"),
        (
            &["--id", "1", "--project", "2"],
            "--project goes with --path",
        ),
        (
            &["--id", "1", "--seconds", "-1"],
            "--seconds -1 makes no sense",
        ),
        (&["--ring", "1", "--id", "1"], "unknown argument --ring"),
    ];
    for (arguments, words) in cases {
        let printed = inspect(arguments);
        printed.assert_misused("inspect", &[words]);
    }
}
