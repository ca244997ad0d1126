//! IPC namespaces, and `kernel.shm_rmid_forced`, which each of them has.
//!
//! All of it runs in private namespaces, as root; as an ordinary user every test says that it is skipped.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // unshare, setns and clone are what these tests are about.

mod common;

use common::{
    Forked, OwnedKey, enter_namespace, leave_namespace, lose_proc, peer, root_or_skip, set_sysctl,
    sysctl, this_namespace,
};
use sysvshm::{ErrorKind, Key, Removal, Segment, SegmentId, SegmentOptions, system};

fn unattached(key: Key) -> SegmentId {
    SegmentOptions::new()
        .size_bytes(100)
        .create_unattached(key)
        .unwrap()
}

fn exists(id: SegmentId) -> bool {
    match id.status() {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSuchSegment);
            false
        }
    }
}

fn is_found(key: Key) -> bool {
    match SegmentId::find(key) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            false
        }
    }
}

/// A child made by `clone(CLONE_NEWIPC)`: born in its namespace instead of moving there.
fn found_by_a_child_cloned_into_a_new_namespace(key: Key) -> bool {
    let mut first_two = [libc::c_long::from(libc::CLONE_NEWIPC | libc::SIGCHLD), 0];
    // s390 takes the stack before the flags (clone(2), "C library/kernel differences").
    if cfg!(target_arch = "s390x") {
        first_two.reverse();
    }
    let [first, second] = first_two;
    let none: libc::c_long = 0;
    // SAFETY: no stack and no memory is shared, so this is a fork with a new namespace; peers fork with no lock
    // held.
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        let found = SegmentId::find(key).is_ok();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(found)) };
    }
    let mut status = 0;
    // SAFETY: a child that nobody else waits for.
    let waited = unsafe { libc::waitpid(pid as i32, &raw mut status, 0) };
    assert_eq!(libc::c_long::from(waited), pid);
    assert!(libc::WIFEXITED(status));
    libc::WEXITSTATUS(status) == 1
}

#[test]
fn a_key_is_found_by_children_of_the_namespace_and_by_nobody_outside_it() {
    let peer = peer!(|talk| {
        let key: Key = talk.arg(0);
        Forked::start(|_| assert!(is_found(key))).finish();
        assert!(!found_by_a_child_cloned_into_a_new_namespace(key));
        Forked::start(|_| {
            leave_namespace();
            assert!(!is_found(key));
            assert!(system::segments().unwrap().is_empty());
        })
        .finish();
    });
    if !root_or_skip() {
        return;
    }
    let key = OwnedKey::random();
    key.create(100, 0o600);
    peer.arg(key.key()).run();
    assert!(is_found(key.key()));
}

#[test]
fn one_key_names_two_segments_in_two_namespaces_without_cross_talk() {
    let peer = peer!(|talk| {
        let mut options = SegmentOptions::new();
        let segment = options.size_bytes(1).create_new(talk.arg(0)).unwrap();
        let letter = talk.args[1].as_bytes();
        segment.write_at(0, letter).unwrap();
        talk.say(segment.id());
        talk.hear();
        let mut byte = [0];
        segment.read_exact_at(0, &mut byte).unwrap();
        assert_eq!(byte, letter);
    });
    if !root_or_skip() {
        return;
    }
    let key = Key::random().unwrap();
    let peer = peer.private_namespace().arg(key);
    let mut first = peer.clone().arg("A").start();
    let mut second = peer.arg("B").start();
    // Each is the first of its namespace, with the first identifier, which is 0.
    assert_eq!((first.hear(), second.hear()), ("0".into(), "0".into()));
    first.say("look");
    first.finish();
    second.say("look");
    second.finish();
    assert!(!is_found(key));
}

#[test]
fn an_identifier_works_again_after_coming_back_to_its_namespace() {
    let peer = peer!(|talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let home = this_namespace();
        leave_namespace();
        assert_eq!(id.attach().unwrap_err().kind(), ErrorKind::NoSuchSegment);
        enter_namespace(&home);
        let segment = id.attach().unwrap();
        assert_eq!(segment.len_bytes(), 100);
    });
    if !root_or_skip() {
        return;
    }
    let key = OwnedKey::random();
    peer.arg(key.create(100, 0o600)).run();
}

#[test]
fn an_attach_survives_leaving_the_namespace_though_its_identifier_does_not() {
    let peer = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        segment.write_at(0, b"before").unwrap();
        leave_namespace();
        segment.write_at(6, b" and after").unwrap();
        let error = segment.status().unwrap_err();
        assert_eq!(
            (error.kind(), error.raw_os_error()),
            (ErrorKind::NoSuchSegment, Some(libc::EINVAL))
        );
        let mut bytes = [0; 16];
        segment.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"before and after");
        talk.say("detach?");
        talk.hear();
        segment.detach().unwrap();
        talk.say("detached");
        talk.hear();
    });
    if !root_or_skip() {
        return;
    }
    let key = OwnedKey::random();
    let id = key.create(100, 0o600);
    let mut peer = peer.arg(id).start();
    peer.hear();
    assert_eq!(id.status().unwrap().attached(), 1);
    peer.say("yes");
    peer.hear();
    assert_eq!(id.status().unwrap().attached(), 0);
    peer.say("end");
    peer.finish();
    let mut bytes = [0; 16];
    id.attach_read_only()
        .unwrap()
        .read_exact_at(0, &mut bytes)
        .unwrap();
    assert_eq!(&bytes, b"before and after");
}

#[test]
fn without_proc_removal_on_drop_tells_twins_of_two_namespaces_apart() {
    let peer = peer!(|_| {
        lose_proc();
        let make = |removal| {
            let mut options = SegmentOptions::new();
            options.size_bytes(100).removal(removal);
            options.create_new(Key::PRIVATE).unwrap()
        };
        drop(make(Removal::OnDrop));
        assert_eq!(
            system::usage().unwrap().segments,
            0,
            "removed where it was made"
        );
        // Identifier, creator and size agree; the time of creation does unless a second ended in between, so more
        // than once.
        for _ in 0..3 {
            leave_namespace();
            let ours = make(Removal::OnDrop);
            leave_namespace();
            let twin = make(Removal::Never);
            assert_eq!(ours.id(), twin.id());
            drop(ours);
            assert!(!twin.status().unwrap().is_marked_for_removal());
        }
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn a_segment_stays_in_its_namespace_and_an_attach_keeps_its_memory_beyond() {
    let peer = peer!(|talk| {
        let home = this_namespace();
        leave_namespace();
        let inner = this_namespace();
        let segment = SegmentOptions::new()
            .size_bytes(100)
            .create_new(talk.arg(0))
            .unwrap();
        segment.write_at(0, b"x").unwrap();
        enter_namespace(&home);
        // The open file still holds the namespace; the segment is there for who comes back.
        enter_namespace(&inner);
        assert_eq!(system::segments().unwrap().len(), 1);
        enter_namespace(&home);
        drop(inner);
        // An attach is the last hold on the memory, and no way back to the namespace.
        let mut byte = [0];
        segment.read_exact_at(0, &mut byte).unwrap();
        assert_eq!(&byte, b"x");
        assert!(!exists(segment.id()));
    });
    if root_or_skip() {
        peer.private_namespace().arg(Key::random().unwrap()).run();
    }
}

fn force_removal() {
    assert_eq!(sysctl("shm_rmid_forced"), "0");
    set_sysctl("shm_rmid_forced", 1);
}

#[test]
fn with_forced_removal_an_unattached_segment_stays_while_its_creator_lives_and_goes_at_its_last_detach()
 {
    let peer = peer!(|_| {
        force_removal();
        let id = unattached(Key::PRIVATE);
        assert!(exists(id), "never attached, creator alive");
        let segment = id.attach().unwrap();
        let second = id.attach().unwrap();
        drop(second);
        assert!(exists(id));
        drop(segment);
        assert!(
            !exists(id),
            "nobody marked it, yet the last detach removed it"
        );
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn with_forced_removal_an_unattached_segment_goes_with_the_thread_that_made_it() {
    let peer = peer!(|_| {
        force_removal();
        let make = || unattached(Key::PRIVATE);
        let ids = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let lost = make();
                assert!(exists(lost));
                // What is attached when its thread ends stays until the detach.
                let mut options = SegmentOptions::new();
                (
                    lost,
                    options.size_bytes(100).create_new(Key::PRIVATE).unwrap(),
                )
            });
            thread.join().unwrap()
        });
        let (lost, kept): (SegmentId, Segment) = ids;
        // The thread may be joined a moment before the kernel is through with it; nothing ends the wait but the
        // removal.
        while exists(lost) {
            std::thread::yield_now();
        }
        let id = kept.id();
        assert_eq!(kept.status().unwrap().attached(), 1);
        kept.write_at(0, b"x").unwrap();
        drop(kept);
        assert!(!exists(id));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn with_forced_removal_an_unattached_segment_goes_with_its_process() {
    let peer = peer!(|talk| {
        force_removal();
        let key: Key = talk.arg(0);
        let mut child = Forked::start(|gate| {
            unattached(key);
            gate.pass();
        });
        child.arrived();
        assert!(is_found(key));
        child.finish();
        assert!(!is_found(key));
    });
    if root_or_skip() {
        peer.private_namespace().arg(Key::random().unwrap()).run();
    }
}

#[test]
fn switching_forced_removal_on_destroys_orphans_and_spares_what_is_attached_or_whose_creator_lives()
{
    let peer = peer!(|talk| {
        let key: Key = talk.arg(0);
        Forked::start(|_| {
            unattached(key);
        })
        .finish();
        let orphan = SegmentId::find(key).unwrap();
        let mine = unattached(Key::PRIVATE);
        let attached = unattached(Key::PRIVATE).attach().unwrap();
        assert!(exists(orphan));
        force_removal();
        assert!(!exists(orphan), "destroyed by the write itself");
        assert!(exists(mine));
        assert!(exists(attached.id()));
    });
    if root_or_skip() {
        peer.private_namespace().arg(Key::random().unwrap()).run();
    }
}
