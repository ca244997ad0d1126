//! Rings and tokens across IPC, user and pid namespaces.

use crate::common::{
    Forked, Running, Talk, enter_private_namespace, lose_proc, peer, root_or_skip, skipped,
};
use crate::seccomp::{Answer, install};
use crate::support::{Ring, consume, id, kill, open, owner, produce, ring, token, until};
use std::time::Duration;
use sysvshm::bounded_buffer::spsc::Options;
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState, mpmc};
use sysvshm::inspect::Inspector;
use sysvshm::memory::cell::{Cell, Committed, LoadError, SequenceLocked, WriterError};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions, SharedStruct, system};

/// A segment of this size, the first of a fresh namespace.
fn first(bytes: usize) -> Segment {
    enter_private_namespace();
    let mut options = SegmentOptions::new();
    let segment = options.size_bytes(bytes).create_new(Key::PRIVATE).unwrap();
    segment.mark_for_removal().unwrap();
    segment
}

fn is_refused<T: std::fmt::Debug>(result: Result<T, OpenError>) -> bool {
    match result {
        Err(OpenError::WrongNamespace) => true,
        other => panic!("{other:?}"),
    }
}

/// Identifier, creator, size and second of creation agree: only the memory differs.
#[test]
fn a_segment_of_another_namespace_is_refused_although_its_identifier_has_a_twin_here() {
    let alone = peer!(|talk: &mut Talk| {
        if talk.args[0] == "without /proc" {
            lose_proc();
        }
        let mut one = Options::new();
        one.capacity(4);
        let mut many = mpmc::Options::new();
        many.capacity(4);
        let bytes = 1 << 16;

        // One that nobody has made a ring of: it stays untouched.
        let untouched = first(bytes);
        let twin = first(bytes);
        assert_eq!(untouched.id(), twin.id());
        let copy = untouched.id();
        assert!(is_refused(one.in_segment::<u64>(untouched)));
        let untouched = first(bytes);
        let twin = first(bytes);
        assert!(is_refused(many.in_segment::<u64>(untouched)));
        let mut all = vec![1; bytes];
        twin.read_exact_at(0, &mut all).unwrap();
        assert!(all.iter().all(|&byte| byte == 0), "the twin was written to");
        assert_eq!(copy, twin.id());

        // Rings, with a capacity and without.
        for with_capacity in [true, false] {
            let ring = first(bytes);
            let ring = one.in_segment::<u64>(ring).unwrap();
            let elsewhere = ring.segment().id().attach().unwrap();
            let _twin = first(bytes);
            let plain = Options::new();
            let options = if with_capacity { &one } else { &plain };
            assert!(is_refused(options.in_segment::<u64>(elsewhere)));
        }
        // The twin is a ring as well, and both have a producer.
        let there = one.in_segment::<u64>(first(bytes)).unwrap();
        let elsewhere = there.segment().id().attach().unwrap();
        let _theirs = there.producer().unwrap();
        let here = one.in_segment::<u64>(first(bytes)).unwrap();
        let _ours = here.producer().unwrap();
        assert_eq!(there.segment().id(), here.segment().id());
        assert!(is_refused(one.in_segment::<u64>(elsewhere)));

        // Without a twin, or with one of another size.
        let elsewhere = first(bytes);
        enter_private_namespace();
        assert!(is_refused(one.in_segment::<u64>(elsewhere)));
        let elsewhere = first(bytes);
        let _smaller = first(bytes - 1);
        assert!(is_refused(one.in_segment::<u64>(elsewhere)));
    });
    if !root_or_skip() {
        return;
    }
    for proc in ["with /proc", "without /proc"] {
        alone.clone().arg(proc).private_namespace().run();
    }
}

/// A segment attached in another IPC namespace, and one here that has its identifier and its size: who writes there
/// seems dead here, and who writes here would seem dead there.
#[test]
fn a_cell_of_a_segment_whose_identifier_has_a_twin_here_may_not_be_written() {
    fn check<C: Cell<Value = [u64; 3]>>() {
        let fresh = || {
            enter_private_namespace();
            let shared = SharedStruct::<C>::create_new(Key::PRIVATE).unwrap();
            shared.segment().mark_for_removal().unwrap();
            shared
        };
        let there = fresh();
        let again = || there.segment().id().attach().unwrap();
        let [held, free, free_too] = [again(), again(), again()];
        let writer = there.cell(there.view()).writer().unwrap();
        let twin = fresh();
        assert_eq!(
            twin.segment().id(),
            there.segment().id(),
            "otherwise this shows nothing"
        );
        let is_refused = |segment| {
            let here = SharedStruct::<C>::from_segment(segment).unwrap();
            let result = here.cell(here.view()).writer().map(drop);
            assert!(
                matches!(result, Err(WriterError::WrongNamespace)),
                "{result:?}"
            );
            here
        };
        let here = is_refused(held);
        // In the middle of a write, if there is one copy.
        let sequence = here.segment().reference::<u64>(0).unwrap();
        sequence.store(1);
        let read = here.cell(here.view()).load(Duration::from_millis(1));
        assert_ne!(read, Err(LoadError::WriterDied));
        sequence.store(0);
        drop(writer);
        drop(is_refused(free));
        assert_eq!(sequence.load(), 0);
        let role = here.segment().reference::<u64>(8).unwrap();
        assert_eq!(role.load(), 0, "the role was given back");
        let mut writer = twin.cell(twin.view()).writer().unwrap();
        writer.store([1, 2, 3]);
        // The twin holds what this one would hold.
        drop(is_refused(free_too));
        assert_eq!(role.load(), 0);
    }
    let alone = peer!(|_| {
        check::<Committed<[u64; 3]>>();
        check::<SequenceLocked<[u64; 3]>>();
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

/// Participants of the one ring would seem dead in the other.
#[test]
fn an_inspector_refuses_a_ring_whose_identifier_has_a_twin_here() {
    let looker = peer!(|_| {
        let fresh = || {
            enter_private_namespace();
            ring()
        };
        let there = fresh();
        let segment = there.segment().id().attach_read_only().unwrap();
        let twin = fresh();
        assert_eq!(id(&twin), id(&there), "otherwise this shows nothing");
        assert!(is_refused(Inspector::in_segment(segment)));
        let segment = twin.segment().id().attach_read_only().unwrap();
        Inspector::in_segment(segment).unwrap();
    });
    if root_or_skip() {
        looker.private_namespace().run();
    }
}

/// What is neither a ring nor to become one is not written to.
#[test]
fn a_segment_that_holds_something_else_is_refused_untouched() {
    let mut options = SegmentOptions::new();
    let make = || {
        options
            .size_bytes(1 << 16)
            .create_new(Key::PRIVATE)
            .unwrap()
    };
    let mut make = make;
    let segment = make();
    segment.mark_for_removal().unwrap();
    let other = segment.id().attach().unwrap();
    segment.write_at(0, b"1 2 3 4 5 6 7").unwrap();
    let mut before = vec![0; 1 << 16];
    segment.read_exact_at(0, &mut before).unwrap();
    let result = Options::new().capacity(4).in_segment::<u64>(segment);
    let Err(OpenError::LayoutMismatch { what: "magic", .. }) = result else {
        panic!("{result:?}");
    };
    let mut after = vec![0; 1 << 16];
    other.read_exact_at(0, &mut after).unwrap();
    assert_eq!(before, after);
}

/// In a user namespace without a map every user is 65534: the creator reads differently, and a token cannot be set
/// to mode 0 from there.
#[test]
fn user_namespaces_hide_users_and_no_one_is_taken_for_dead() {
    let member = peer!(produce);
    let mortal = peer!(consume);
    let judge = peer!(|talk: &mut Talk| {
        let ring = open(talk, 0);
        assert_eq!(ring.producer_state(), PeerState::Alive);
        assert_eq!(ring.consumer_state(), PeerState::Alive);
        talk.say(token(&ring).status_regardless().unwrap().creator_uid());
        talk.hear();
        assert_eq!(ring.producer_state(), PeerState::Alive);
        assert_eq!(ring.consumer_state(), PeerState::Dead);
    });
    if !root_or_skip() {
        return;
    }
    let probe = std::process::Command::new("unshare")
        .args(["-U", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        skipped("no user namespace can be had");
        return;
    }
    let hidden: &[&str] = &["unshare", "-U"];
    for (members, judges) in [(&[][..], hidden), (hidden, &[][..]), (hidden, hidden)] {
        let ring = ring();
        let mut living = member.clone().arg(id(&ring)).under(members).start();
        assert_eq!(living.hear(), "in");
        let mut dying = mortal.clone().arg(id(&ring)).under(members).start();
        assert_eq!(dying.hear(), "in");
        let mode = token(&ring).status_regardless().unwrap().mode().bits();
        assert_eq!(mode, if members.is_empty() { 0 } else { 0o400 });
        let mut judging = judge.clone().arg(id(&ring)).under(judges).start();
        let seen = judging.hear();
        assert_eq!(seen == "65534", !judges.is_empty(), "{seen}");
        kill(dying, &ring, |ring| ring.consumer_state());
        judging.say("go on");
        judging.finish();
        living.say("enough");
        living.finish();
    }
}

/// Containers of a pod: one IPC namespace, and pid namespaces of their own.
fn in_a_pid_namespace() -> [&'static str; 4] {
    ["unshare", "--pid", "--fork", "--kill-child"]
}

#[test]
fn across_pid_namespaces_a_death_is_noticed() {
    let member = peer!(produce);
    if !root_or_skip() {
        return;
    }
    let ring = ring();
    let mut running = member.arg(id(&ring)).under(&in_a_pid_namespace()).start();
    assert_eq!(running.hear(), "in");
    assert_eq!(ring.producer_state(), PeerState::Alive);
    assert_eq!(owner(&ring) >> 63, 0);
    running.kill();
    until(|| ring.producer_state() == PeerState::Dead);
}

/// Gives the calling process the `/proc` of its own pid namespace, for itself alone.
#[allow(clippy::multiple_unsafe_ops_per_block)] // Three calls, one reason.
fn mount_own_proc() {
    let none = std::ptr::null::<libc::c_char>();
    let private = libc::MS_REC | libc::MS_PRIVATE;
    let (root, proc) = (c"/".as_ptr(), c"/proc".as_ptr());
    // SAFETY: plain numbers and C strings; only the mounts of this process change.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(none, root, none, private, none.cast()) == 0
            && libc::mount(c"proc".as_ptr(), proc, c"proc".as_ptr(), 0, none.cast()) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
}

/// A process that entered a pid namespace and kept the `/proc` of the one outside finds another process there under
/// the number of a member, or none.
#[test]
fn behind_the_proc_of_another_pid_namespace_a_process_without_a_token_is_not_judged() {
    let judge = peer!(|talk: &mut Talk| {
        let ring = open(talk, 0);
        let mut member = Forked::start(|gate| {
            mount_own_proc();
            install(&[Answer::every_madvise(libc::EPERM)]);
            let ring = open(talk, 0);
            let producer = ring.producer().unwrap();
            assert_eq!(owner(&ring) >> 63, 1);
            assert_eq!(ring.producer_state(), PeerState::Alive);
            gate.pass();
            drop(producer);
        });
        member.arrived();
        assert_eq!(ring.producer_state(), PeerState::Unknown);
        assert!(matches!(ring.producer(), Err(ClaimError::Taken { .. })));
        member.finish();
        assert!(ring.producer().is_ok());
    });
    if !root_or_skip() {
        return;
    }
    let ring = ring();
    judge.arg(id(&ring)).under(&in_a_pid_namespace()).run();
}

/// What a container leaves that was killed in the middle, seen from another one.
#[test]
fn what_a_pod_leaves_is_listed_by_its_age_alone() {
    let maker = peer!(|talk: &mut Talk| {
        let mut options = SegmentOptions::new();
        let id = options
            .size_bytes(100)
            .mode(0o400)
            .create_unattached(Key::PRIVATE)
            .unwrap();
        talk.say(id.as_raw());
    });
    let looker = peer!(|talk: &mut Talk| {
        let made = std::time::Instant::now();
        let id = SegmentId::from_raw(talk.arg(0));
        let young = |found: &[system::AbandonedToken]| found.iter().all(|token| token.id() != id);
        assert!(young(
            &system::abandoned_tokens(std::time::Duration::ZERO).unwrap()
        ));
        // Not before ten seconds have passed, whatever is asked for.
        let by_age = || system::abandoned_tokens_by_age(std::time::Duration::ZERO).unwrap();
        assert!(young(&by_age()) || made.elapsed().as_secs() >= 8);
        until(|| !young(&by_age()));
        let tokens = by_age();
        let token = tokens.iter().find(|token| token.id() == id).unwrap();
        assert_eq!(token.status().creator_pid(), None);
        // Used in between, it is none any more.
        let attached = id.attach_read_only().unwrap();
        assert!(!token.remove().unwrap());
        drop(attached);
        assert!(!token.remove().unwrap());
        assert!(id.status().is_ok());
    });
    let remover = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        until(|| {
            let tokens = system::abandoned_tokens_by_age(std::time::Duration::ZERO).unwrap();
            let found = tokens.iter().find(|token| token.id() == id);
            found.is_some_and(|token| token.remove().unwrap())
        });
        assert!(id.status().is_err());
    });
    if !root_or_skip() {
        return;
    }
    let made = || crate::common::Owned::guard(maker.run()[0].parse().unwrap());
    let (kept, removed) = (made(), made());
    let start = |peer: &crate::common::Peer, id: i32| -> Running {
        peer.clone().arg(id).under(&in_a_pid_namespace()).start()
    };
    for running in [start(&looker, kept.raw()), start(&remover, removed.raw())] {
        running.finish();
    }
}

/// Where the list of segments is hidden, nothing tells a token from a segment with something in it.
#[test]
fn without_the_list_nothing_is_called_an_abandoned_token() {
    let maker = peer!(|talk: &mut Talk| {
        let mut options = SegmentOptions::new();
        let options = options.size_bytes(100).mode(0o400);
        let id = options.create_unattached(Key::PRIVATE).unwrap();
        if talk.args[0] == "filled" {
            id.set_mode(0o600).unwrap();
            id.attach().unwrap().write_at(0, b"a stranger's").unwrap();
            id.set_mode(0o400).unwrap();
        }
        talk.say(id.as_raw());
    });
    let looker = peer!(|talk: &mut Talk| {
        let [filled, empty] = [0, 1].map(|index| SegmentId::from_raw(talk.arg(index)));
        let listed = |id| {
            let tokens = system::abandoned_tokens(std::time::Duration::ZERO).unwrap();
            tokens.iter().any(|token| token.id() == id)
        };
        assert!(listed(empty) && !listed(filled));
        lose_proc();
        assert!(!listed(empty) && !listed(filled));
    });
    if !root_or_skip() {
        return;
    }
    let made = |what: &str| {
        let said = maker.clone().arg(what).run();
        crate::common::Owned::guard(said[0].parse().unwrap())
    };
    let (filled, empty) = (made("filled"), made("empty"));
    looker.arg(filled.raw()).arg(empty.raw()).run();
}

/// A thread that leaves the ring's namespace makes a token that is seen where it is now.
#[test]
fn a_thread_that_moves_gets_a_token_of_its_own() {
    let alone = peer!(|_| {
        let there: Ring = ring();
        let _producer = there.producer().unwrap();
        let before = owner(&there);
        enter_private_namespace();
        let here = ring();
        let _producer = here.producer().unwrap();
        assert_eq!(here.producer_state(), PeerState::Alive);
        assert_ne!(owner(&here), before);
        assert_eq!(there.producer_state(), PeerState::Unknown);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}
