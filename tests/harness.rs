//! The tests' own tools: do the guards clean up, and would a failure be seen?
#![allow(unsafe_code)] // A write to an unmapped page, in a process that is to die of it.

mod common;

use common::{Owned, OwnedKey, death_of, peer};
use std::process::Command;
use sysvshm::{Key, ProcessState, SegmentId, SegmentOptions, system};

/// Tells `leaves_a_segment_behind_when_told` to do so.
const LEAVE: &str = "SYSVSHM_TEST_LEAVE_A_SEGMENT";

fn copy_of_this_binary(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command
}

#[test]
fn leaves_a_segment_behind_when_told() {
    let owned = Owned::new(1, 0o600);
    if std::env::var_os(LEAVE).is_some() {
        println!("left {}", owned.id());
        std::mem::forget(owned);
    }
}

#[test]
fn a_segment_left_behind_fails_the_run_and_is_removed() {
    let test = "leaves_a_segment_behind_when_told";
    let output = copy_of_this_binary(test).env(LEAVE, "1").output().unwrap();
    assert_eq!(output.status.code(), Some(101));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("left behind: Status"), "{words}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let id = printed.lines().find_map(|line| line.split_once("left "));
    let id: i32 = id.unwrap().1.parse().unwrap();
    // Its number may be another test's by now, but not that of one made by that process.
    let left = system::segments().unwrap().into_iter();
    let mut left = left.filter(|entry| entry.status.id() == SegmentId::from_raw(id));
    assert!(left.all(|entry| entry.status.creator_state() == ProcessState::Alive));

    let output = copy_of_this_binary(test).output().unwrap();
    assert!(output.status.success());
}

#[test]
fn guards_remove_when_a_test_panics() {
    let key = Key::random().unwrap();
    let panicked = std::panic::catch_unwind(|| {
        let owned = OwnedKey::guard(key);
        owned.create(1, 0o600);
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.is_err());
    assert!(SegmentId::find(key).is_err());
}

#[test]
fn a_peer_that_fails_or_never_gets_there_is_noticed() {
    let fails = peer!(|_| std::panic::resume_unwind(Box::new("on purpose")));
    let works = peer!(|talk| talk.say(talk.args.join("+")));
    assert_eq!(works.clone().arg(1).arg(2).run(), ["1+2"]);
    assert!(!fails.start().wait().success());
    for peer in [
        fails,
        common::Peer::declare("x::no_such_test::here", 0, |_| {}),
    ] {
        let running = peer.start();
        let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| running.finish()));
        assert!(noticed.is_err());
    }
}

#[test]
fn a_peer_is_killed_when_its_guard_goes() {
    let waits = peer!(|talk| {
        let segment = SegmentOptions::new().attach(SegmentId::from_raw(talk.arg(0)));
        talk.say(segment.is_ok());
        talk.hear();
    });
    let owned = Owned::new(1, 0o600);
    let mut running = waits.arg(owned.raw()).start();
    assert_eq!(running.hear(), "true");
    assert_eq!(owned.id().status().unwrap().attached(), 1);
    drop(running);
    assert_eq!(owned.id().status().unwrap().attached(), 0);
}

#[test]
fn a_fatal_access_is_told_from_a_harmless_one() {
    let alone = peer!(|_| {
        // SAFETY: a write to page 1 ends the child that does it; nothing else is ever mapped there.
        let act = || unsafe { std::ptr::without_provenance_mut::<u8>(4096).write_volatile(1) };
        assert_eq!(death_of(act), Some(libc::SIGSEGV));
        assert_eq!(death_of(|| ()), None);
    });
    alone.run();
}

#[test]
fn a_peer_can_be_somebody_else_and_somewhere_else() {
    let nobody = peer!(|talk| talk.say(format!("{} {}", common::euid(), common::egid())));
    let alone = peer!(|talk| {
        let there = OwnedKey::random();
        let id = there.create(1, 0o600);
        talk.say(id);
        assert_eq!(system::segments().unwrap().len(), 1);
    });
    if !common::root_or_skip() {
        return;
    }
    assert_eq!(nobody.nobody().run(), ["65534 65534"]);
    assert_eq!(alone.private_namespace().run(), ["0"]);
}

/// A shell's `trap ''` is inherited through exec.
#[test]
fn a_peer_heeds_signals_that_the_tests_were_told_to_ignore() {
    const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];
    let waits = peer!(|talk| {
        talk.say("here");
        talk.hear();
    });
    let told_to_ignore = peer!(|_| {
        for signal in SIGNALS {
            let mut running = waits.start();
            assert_eq!(running.hear(), "here");
            running.send(signal);
            assert_eq!(running.signal(), Some(signal));
        }
        // And this one goes on ignoring them.
        for signal in SIGNALS {
            // SAFETY: plain numbers, to this process itself.
            assert_eq!(unsafe { libc::raise(signal) }, 0);
        }
    });
    let ignoring = "trap '' INT TERM HUP CHLD; exec \"$@\"";
    told_to_ignore.under(&["sh", "-c", ignoring, "sh"]).run();
}
