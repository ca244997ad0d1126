//! What a process leaves behind, however it ends, for each kind of removal.
#![cfg(target_os = "linux")]

mod common;

use common::{Forked, OwnedKey, peer};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use sysvshm::{ErrorKind, Key, ProcessState, Removal, SegmentId, SegmentOptions};

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

fn is_gone(id: SegmentId) -> bool {
    match id.status() {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSuchSegment);
            true
        }
    }
}

#[test]
fn a_panic_leaves_nothing_with_removal_on_drop() {
    peer!(|_| {
        let mut id = None;
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut options = SegmentOptions::new();
            options.size_bytes(1).removal(Removal::OnDrop);
            let segment = options.create_new(Key::PRIVATE).unwrap();
            id = Some(segment.id());
            panic!("as the test wants");
        }));
        assert!(panicked.is_err());
        assert!(is_gone(id.unwrap()));
    })
    .run();
}

/// What is left when a process ends in this way, for each kind of removal; as the table in the guide's chapter on
/// lifecycles says.
#[test]
fn what_is_left_after_each_end_is_what_the_guide_says() {
    for ending in ["drop", "panic", "leak", "exit", "abort", "kill", "exec"] {
        for removal in [Removal::Never, Removal::OnDrop, Removal::OnceAttached] {
            let holder = peer!(|talk| {
                let removal = match talk.args[2].as_str() {
                    "Never" => Removal::Never,
                    "OnDrop" => Removal::OnDrop,
                    _ => Removal::OnceAttached,
                };
                let key: Key = talk.arg(0);
                let mut options = SegmentOptions::new();
                let segment = options
                    .size_bytes(1)
                    .removal(removal)
                    .create_new(key)
                    .unwrap();
                talk.say(segment.id());
                talk.hear();
                match talk.args[1].as_str() {
                    "drop" => drop(segment),
                    "leak" => _ = segment.leak(),
                    "panic" => panic!("as the test wants"),
                    "exec" => panic!("exec: {}", Command::new("true").exec()),
                    "exit" => std::process::exit(0),
                    "abort" => std::process::abort(),
                    _ => _ = talk.hear(),
                }
            });
            let key = OwnedKey::random();
            let peer = holder
                .arg(key.key())
                .arg(ending)
                .arg(format!("{removal:?}"));
            let mut holder = peer.start();
            let id = SegmentId::from_raw(holder.hear().parse().unwrap());
            assert_eq!(attached(id), 1);
            let findable = SegmentId::find(key.key()).is_ok();
            assert_eq!(findable, removal != Removal::OnceAttached);
            if ending == "kill" {
                holder.kill();
            } else {
                holder.say("end");
                holder.wait();
            }
            let expected_to_stay = match removal {
                Removal::Never => true,
                // A panic runs destructors, too.
                Removal::OnDrop => ending != "panic" && ending != "drop",
                _ => false,
            };
            assert_eq!(!is_gone(id), expected_to_stay, "{removal:?} after {ending}");
            if !expected_to_stay {
                continue;
            }
            // Left behind: nobody attached, creator dead. Recognisable, and replaceable by who asks for it.
            let status = id.status().unwrap();
            assert_eq!(
                (status.attached(), status.creator_state()),
                (0, ProcessState::Dead)
            );
            let mut options = SegmentOptions::new();
            options.size_bytes(1).removal(Removal::OnDrop);
            let refused = options.create_new(key.key());
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
            let replaced = options.reclaim_stale(true).create_new(key.key()).unwrap();
            assert_ne!(replaced.id(), id);
            assert!(is_gone(id));
        }
    }
}

#[test]
fn exec_runs_no_destructor_so_removal_on_drop_leaves_the_segment() {
    let peer = peer!(|talk| {
        let mut options = SegmentOptions::new();
        options.size_bytes(1).removal(Removal::OnDrop);
        let segment = options.create_new(talk.arg(0)).unwrap();
        Forked::start(|_| {
            let error = Command::new("true").exec();
            panic!("exec: {error}");
        })
        .finish();
        // The child's exec detached what it had inherited and removed nothing.
        let status = segment.status().unwrap();
        assert_eq!(
            (status.attached(), status.is_marked_for_removal()),
            (1, false)
        );
        let error = Command::new("cat").exec();
        panic!("exec: {error}");
    });
    let key = OwnedKey::random();
    let status = peer.arg(key.key()).start().wait();
    assert!(status.success(), "{status}");
    let id = SegmentId::find(key.key()).unwrap();
    assert_eq!(attached(id), 0);
}
