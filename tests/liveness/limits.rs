//! Tokens where the limits on segments are small.

use crate::common::{Owned, Peer, assert_says, page, peer, root_or_skip, set_sysctl};
use crate::support::Ring;
use sysvshm::bounded_buffer::{ClaimError, OpenError};
use sysvshm::{Error, ErrorKind, Key, SegmentOptions, system};

fn run_privately(peer: &Peer) {
    if root_or_skip() {
        peer.clone().private_namespace().run();
    }
}

/// Each of them has a token of its own while it is made.
fn many_rings_can_be_made() {
    for _ in 0..100 {
        let ring = Ring::create_new(Key::PRIVATE, 4).unwrap();
        ring.segment().mark_for_removal().unwrap();
        let _both = (ring.producer().unwrap(), ring.consumer().unwrap());
        // Ring and token, a page each.
        let usage = system::usage().unwrap();
        assert_eq!(usage.segments, 2);
    }
    assert_eq!(system::usage().unwrap().segments, 0);
}

#[test]
fn a_small_shmmax_bounds_the_size_of_tokens() {
    let alone = peer!(|_| {
        set_sysctl("shmmax", 32768);
        many_rings_can_be_made();
        // As much as the smallest ring takes.
        set_sysctl("shmmax", 1024);
        many_rings_can_be_made();
    });
    run_privately(&alone);
}

#[test]
fn where_pages_are_few_a_token_takes_one() {
    let alone = peer!(|_| {
        for pages in [2, 8, 1 << 16] {
            set_sysctl("shmall", pages);
            many_rings_can_be_made();
            let ring = Ring::create_new(Key::PRIVATE, 4).unwrap();
            ring.segment().mark_for_removal().unwrap();
            let _producer = ring.producer().unwrap();
            assert_eq!(system::usage().unwrap().pages, 2);
        }
    });
    run_privately(&alone);
}

#[test]
fn address_space_for_a_page_is_enough() {
    let alone = peer!(|_| {
        let maps = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = maps.split(' ').next().unwrap().parse().unwrap();
        // Less than the larger half of all tokens take.
        let room = 512 << 10;
        crate::common::limit(libc::RLIMIT_AS, pages * page() as u64 + room);
        for _ in 0..20 {
            let ring = Ring::create_new(Key::PRIVATE, 4).unwrap();
            ring.segment().mark_for_removal().unwrap();
            let _producer = ring.producer().unwrap();
        }
    });
    run_privately(&alone);
}

#[test]
fn an_error_says_that_it_was_the_token_and_which_limit() {
    let alone = peer!(|_| {
        let ring = Ring::create_new(Key::PRIVATE, 4).unwrap();
        ring.segment().mark_for_removal().unwrap();
        let system = |result: Result<(), ClaimError>| -> Error {
            match result {
                Err(ClaimError::System(error)) => error,
                other => panic!("{other:?}"),
            }
        };

        set_sysctl("shmmni", 1);
        let error = system(ring.producer().map(drop));
        assert_eq!(error.kind(), ErrorKind::SegmentLimit);
        assert_says(&error, &["token", "ENOSPC", "1 are allowed", "shmmni"]);
        set_sysctl("shmmni", 4096);

        let used = system::usage().unwrap().pages;
        set_sysctl("shmall", used);
        let error = system(ring.producer().map(drop));
        assert_eq!(error.kind(), ErrorKind::PageLimit);
        assert_says(&error, &["token", "ENOSPC", "shmall", "1 were asked for"]);
        // Opening one needs a token as well, and leaves nothing.
        let key = Key::random().unwrap();
        let Err(OpenError::System(error)) = Ring::create_new(key, 4) else {
            panic!("made without a token");
        };
        assert_says(&error, &["token", "shmall"]);
        assert_eq!(system::usage().unwrap().pages, used);
        set_sysctl("shmall", 1 << 20);

        set_sysctl("shmmax", 0);
        let error = system(ring.producer().map(drop));
        assert_eq!(error.kind(), ErrorKind::SizeOutOfRange);
        assert_says(&error, &["token", "EINVAL", "up to 0 bytes", "shmmax"]);
        set_sysctl("shmmax", 1);
        let _producer = ring.producer().unwrap();
    });
    run_privately(&alone);
}

/// Other errors of the same calls say nothing of tokens.
#[test]
fn the_same_limit_hit_by_a_segment_is_not_called_a_token() {
    let alone = peer!(|_| {
        set_sysctl("shmmni", 1);
        let _one = Owned::new(1, 0o600);
        let mut options = SegmentOptions::new();
        let error = options.size_bytes(1).create_new(Key::PRIVATE).unwrap_err();
        assert!(!error.to_string().contains("token"), "{error}");
    });
    run_privately(&alone);
}
