//! `system::abandoned_tokens`: what has the shape of a token that a kill left behind, and what has not and stays.
//!
//! Here the shapes are made by hand, one difference at a time; `interposed.rs` kills processes in the middle of
//! making the real thing.
#![cfg(target_os = "linux")]

mod common;

use common::{NOBODY, Owned, OwnedKey, Talk, let_a_second_pass, peer, root_or_skip, skipped};
use std::time::Duration;
use sysvshm::system::{self, AbandonedToken};
use sysvshm::{ErrorKind, Key, SegmentId, SegmentOptions};

/// Makes an unattached segment.
fn make(key: Key, size_bytes: usize, mode: u32) -> SegmentId {
    let mut options = SegmentOptions::new();
    let options = options.size_bytes(size_bytes).mode(mode);
    options.create_unattached(key).unwrap()
}

/// The token, if the list has it.
fn found(id: SegmentId, min_age: Duration) -> Option<AbandonedToken> {
    let tokens = system::abandoned_tokens(min_age).unwrap();
    tokens.into_iter().find(|token| token.id() == id)
}

fn is_abandoned(id: SegmentId) -> bool {
    found(id, Duration::ZERO).is_some()
}

#[test]
fn only_what_differs_in_nothing_from_a_token_is_one() {
    let maker = peer!(|talk: &mut Talk| {
        let (key, size, mode): (i64, usize, u32) = (talk.arg(0), talk.arg(1), talk.arg(2));
        let id = make(Key::from_raw(key as _), size, mode);
        match talk.args[3].as_str() {
            "leave" => {}
            // A token has been, when its process is killed behind shmat.
            "attach" => drop(id.attach_read_only().unwrap()),
            // Behind IPC_SET.
            "set" => {
                id.set_mode(0o400).unwrap();
                drop(id.attach_read_only().unwrap());
                id.set_mode(mode).unwrap();
            }
            "write" => {
                // By somebody whom the mode keeps out, so before the mode was that.
                id.set_mode(0o600).unwrap();
                id.attach().unwrap().write_at(0, b"!").unwrap();
                id.set_mode(mode).unwrap();
            }
            "lock" => {
                if id.lock_in_memory().is_err() {
                    id.mark_for_removal().unwrap();
                    talk.say("cannot");
                    return;
                }
            }
            other => panic!("{other}"),
        }
        talk.say(id.as_raw());
    });
    let made = |key: Key, size: usize, mode: u32, what: &str| {
        let peer = maker.clone().arg(key.as_raw()).arg(size).arg(mode);
        let said = peer.arg(what).run();
        if said[0] == "cannot" {
            skipped("a locked token: this user may lock no memory");
            return None;
        }
        Some(Owned::guard(said[0].parse().unwrap()))
    };
    let private = Key::PRIVATE;
    let keyed = OwnedKey::random();
    for (expected, key, size, mode, what) in [
        (true, private, 1, 0o400, "leave"),
        (true, private, 1 << 20, 0o400, "leave"),
        (true, private, 4097, 0o400, "attach"),
        (true, private, 100, 0, "leave"),
        (true, private, 100, 0, "set"),
        (false, private, (1 << 20) + 1, 0o400, "leave"),
        (false, private, 100, 0o444, "leave"),
        (false, private, 100, 0o440, "leave"),
        (false, private, 100, 0o644, "leave"),
        (false, private, 100, 0o400, "write"),
        (false, private, 100, 0o400, "lock"),
        (false, keyed.key(), 100, 0o400, "leave"),
    ] {
        let Some(segment) = made(key, size, mode, what) else {
            continue;
        };
        let status = segment.id().status_regardless().unwrap();
        assert_eq!(
            is_abandoned(segment.id()),
            expected,
            "{size} {mode:o} {what}: {status:?}"
        );
    }

    // What is one, and then comes into use, is none any more, and what was found before says so instead of
    // removing.
    let segment = made(private, 100, 0o400, "leave").unwrap();
    let token = found(segment.id(), Duration::ZERO).unwrap();
    let attached = segment.id().attach_read_only().unwrap();
    assert!(!is_abandoned(segment.id()));
    assert!(!token.remove().unwrap());
    // Somebody else than its creator was attached: no token.
    drop(attached);
    assert!(!is_abandoned(segment.id()));
    assert!(!token.remove().unwrap());
    assert!(segment.id().status().is_ok());

    // Untouched since, it goes; once.
    let segment = made(private, 100, 0o400, "leave").unwrap();
    let token = found(segment.id(), Duration::ZERO).unwrap();
    assert_eq!(*token.status(), segment.id().status_regardless().unwrap());
    assert!(token.remove().unwrap());
    assert_eq!(
        segment.id().status().unwrap_err().kind(),
        ErrorKind::NoSuchSegment
    );
    assert!(!token.remove().unwrap());
    assert!(!is_abandoned(segment.id()));
}

/// The one that must never be removed: its creator is between `shmget` and `shmat`.
#[test]
fn that_of_a_live_creator_stays() {
    let maker = peer!(|talk: &mut Talk| {
        talk.say(make(Key::PRIVATE, 100, 0o400).as_raw());
        talk.hear();
    });
    let mine = Owned::new(100, 0o400);
    assert!(!is_abandoned(mine.id()));
    let mut running = maker.start();
    let id = Owned::guard(running.hear().parse().unwrap());
    assert!(!is_abandoned(id.id()));
    // Stopped is alive.
    let pid = running.pid() as i32;
    let signal = |signal| {
        // SAFETY: a child that nobody has waited for.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0);
    };
    signal(libc::SIGSTOP);
    assert!(!is_abandoned(id.id()));
    signal(libc::SIGCONT);
    running.kill();
    assert!(is_abandoned(id.id()));
    // Younger than asked, it is left out.
    assert!(found(id.id(), Duration::from_secs(3600)).is_none());
    let_a_second_pass();
    assert!(found(id.id(), Duration::from_secs(1)).is_some());
}

/// Seen from another pid namespace the creator has no number: nothing is known of it.
#[test]
fn a_creator_without_a_number_here_is_not_dead() {
    let outside = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        talk.say(is_abandoned(id));
    });
    let maker = peer!(|talk: &mut Talk| talk.say(make(Key::PRIVATE, 100, 0o400).as_raw()));
    let looker = peer!(|talk: &mut Talk| {
        // SAFETY: moves the children that come later to a pid namespace of their own.
        #[allow(unsafe_code)]
        let moved = unsafe { libc::unshare(libc::CLONE_NEWPID) };
        if moved != 0 {
            talk.say("cannot");
            return;
        }
        let said = outside.clone().arg(talk.arg::<i32>(0)).run();
        talk.say(&said[0]);
    });
    if !root_or_skip() {
        return;
    }
    let id = Owned::guard(maker.run()[0].parse().unwrap());
    assert!(is_abandoned(id.id()));
    match looker.arg(id.raw()).run()[0].as_str() {
        "cannot" => skipped("a private pid namespace cannot be had"),
        said => assert_eq!(said, "false"),
    }
}

#[test]
fn another_users_token_is_listed_and_refused() {
    let maker = peer!(|talk: &mut Talk| talk.say(make(Key::PRIVATE, 100, 0o400).as_raw()));
    let looker = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let token = found(id, Duration::ZERO).unwrap();
        let error = token.remove().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotOwner);
    });
    if !root_or_skip() {
        return;
    }
    let id = Owned::guard(maker.run()[0].parse().unwrap());
    looker.arg(id.raw()).user(NOBODY).run();
    assert!(found(id.id(), Duration::ZERO).unwrap().remove().unwrap());
}

/// Whatever happens elsewhere on the machine: removing all of them at once harms no ring that is in use.
#[test]
fn rings_in_use_do_not_notice() {
    use sysvshm::bounded_buffer::{PeerState, spsc::BoundedBuffer};
    let member = peer!(|talk: &mut Talk| {
        let options = sysvshm::bounded_buffer::spsc::Options::new();
        let ring: BoundedBuffer<u64> = options.attach(SegmentId::from_raw(talk.arg(0))).unwrap();
        let producer = ring.producer().unwrap();
        talk.say("in");
        talk.hear();
        drop(producer);
    });
    let ring = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4).unwrap();
    ring.segment().mark_for_removal().unwrap();
    let member = member.arg(ring.segment().id().as_raw());
    for _ in 0..10 {
        // Side by side with the making of the token.
        let mut running = member.start();
        loop {
            for token in system::abandoned_tokens(Duration::ZERO).unwrap() {
                let creator = token.status().creator_pid();
                assert_ne!(creator, Some(running.pid()));
            }
            if ring.producer_state() == PeerState::Alive {
                break;
            }
        }
        assert_eq!(running.hear(), "in");
        running.say("enough");
        running.finish();
    }
}
