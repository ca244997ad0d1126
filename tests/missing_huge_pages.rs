//! Huge pages that may not be there when they are touched: what raises SIGBUS in C, and why no safe attach comes to
//! it.
//!
//! As in `huge_pages.rs`, root changes the kernel's pool; an ordinary user's tests say that they are skipped.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Raw accesses, to show what the safe calls keep away.

mod common;
#[path = "common/ipc_calls.rs"]
mod ipc_calls;
#[path = "common/seccomp.rs"]
mod seccomp;

use common::huge_pool::{POOL, Restored, create, free, huge, on_huge_pages, pool};
use common::{
    CProgram, Owned, OwnedKey, Running, Talk, alone, assert_says, at, death_of, fails, peer,
};
use std::ptr;
use sysvshm::raw::{self, GetFlags};
use sysvshm::{AttachFlags, ErrorKind, HugePages, Key, Removal, SegmentId, SegmentOptions, system};

/// A segment without reservation, as no safe call makes it: what some other program might leave for us to find.
fn unreserved(key: Key, size_bytes: usize) -> Owned {
    let flags = GetFlags::IPC_CREAT | GetFlags::IPC_EXCL | GetFlags::mode(0o600);
    let huge = GetFlags::SHM_HUGETLB | GetFlags::SHM_NORESERVE;
    Owned::guard(raw::shmget(key, size_bytes, flags | huge).unwrap())
}

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

/// The danger itself: what C does without being told, and what no safe call below may come to.
#[test]
fn touching_an_unreserved_huge_page_of_an_empty_pool_is_sigbus() {
    let _alone = alone();
    let peer = peer!(|_| {
        let owned = unreserved(Key::PRIVATE, huge());
        // SAFETY: without REMAP nothing is replaced.
        let address = unsafe { raw::shmat(owned.raw(), ptr::null(), AttachFlags::empty()) };
        let address = address.unwrap();
        // SAFETY: attached memory; the child that writes it dies, because no page can be had.
        let signal = death_of(|| unsafe { address.cast::<u8>().write_volatile(1) });
        assert_eq!(signal, Some(libc::SIGBUS));
        // SAFETY: nothing uses the memory.
        unsafe { raw::shmdt(address.as_ptr()) }.unwrap();
    });
    let Some(_pool) = pool(0) else { return };
    peer.run();
}

#[test]
fn no_options_create_huge_pages_that_may_be_missing_when_touched() {
    let _alone = alone();
    // In a namespace of its own, so that every segment there is this test's.
    let peer = peer!(|_| {
        let mut options = on_huge_pages(huge());
        options.no_reserve(true);
        fails(
            options.create_new(Key::PRIVATE),
            ErrorKind::InvalidInput,
            None,
        );
        fails(
            options.create_unattached(Key::PRIVATE),
            ErrorKind::InvalidInput,
            None,
        );
        fails(
            options.open_or_create(Key::from_raw(42)),
            ErrorKind::InvalidInput,
            None,
        );
        // Allocating them all at once is the way to have both, and fails cleanly where they are not there.
        options.prefault(true);
        fails(
            options.create_new(Key::PRIVATE),
            ErrorKind::OutOfMemory,
            libc::EFAULT,
        );
        fails(
            options.create_unattached(Key::PRIVATE),
            ErrorKind::InvalidInput,
            None,
        );
        assert_eq!(
            system::usage().unwrap().segments,
            0,
            "nothing was left behind"
        );

        let _one = Restored::write(POOL, "1").unwrap();
        let segment = options.create_new(Key::PRIVATE).unwrap();
        assert_eq!(free(), 0);
        segment.write_at(huge() - 1, b"x").unwrap();
    });
    let Some(_pool) = pool(0) else { return };
    peer.private_namespace().run();
}

/// Every safe way to attach what somebody else made, asked for a segment whose pages are not there.
fn assert_every_safe_attach_refuses(key: Key, id: SegmentId) {
    let refused = |result: Result<u64, sysvshm::Error>, how: &str| {
        let error = result.expect_err(how);
        assert_eq!(
            error.kind(),
            ErrorKind::HugePagesUnavailable,
            "{how}: {error}"
        );
        assert_says(&error, &["vm.nr_hugepages"]);
    };
    let done = |_| 0;
    let read_only = |_| 0;
    refused(id.attach().map(done), "attach");
    refused(id.attach_read_only().map(read_only), "attach_read_only");
    let options = || SegmentOptions::new();
    refused(options().open(key).map(done), "open");
    refused(
        options().open_read_only(key).map(read_only),
        "open_read_only",
    );
    refused(
        options()
            .size_bytes(1)
            .any_owner(true)
            .open_or_create(key)
            .map(done),
        "open_or_create",
    );
    refused(
        options().huge_pages(HugePages::Default).open(key).map(done),
        "huge_pages",
    );
    refused(options().no_reserve(true).open(key).map(done), "no_reserve");
    refused(
        options().removal(Removal::OnDrop).open(key).map(done),
        "removal",
    );
    let address = 1 << 30;
    refused(at(&options(), address).attach(id).map(done), "address");
    let mut rounded = at(&options(), address + 5);
    rounded.round_address(true);
    refused(rounded.attach(id).map(done), "round_address");
    // Asked for by name, the failure is of the prefault.
    let error = options().prefault(true).attach(id).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    // Switched off or not, transparent huge pages change nothing about it.
    options()
        .transparent_huge_pages(true)
        .attach(id)
        .unwrap_err();
    assert_eq!(attached(id), 0, "a refused attach detaches");
}

#[test]
fn what_was_made_without_reservation_is_refused_by_every_safe_attach() {
    let _alone = alone();
    let Some(_pool) = pool(0) else { return };
    let key = OwnedKey::random();
    let owned = unreserved(key.key(), 2 * huge());
    assert_every_safe_attach_refuses(key.key(), owned.id());
    // With one page of two the same, and the page that was brought in stays with the segment alone.
    let Some(_one) = Restored::write(POOL, "1") else {
        return;
    };
    assert_every_safe_attach_refuses(key.key(), owned.id());
    drop(owned);
    assert_eq!(free(), 1);
}

#[test]
fn what_a_c_program_made_without_reservation_is_refused_too_and_accepted_once_there_are_pages() {
    let _alone = alone();
    let Some(_pool) = pool(0) else { return };
    let Some(program) = CProgram::compile(include_str!("c/huge.c")) else {
        return;
    };
    let key = OwnedKey::random();
    let raw_key = key.key().as_raw().to_string();
    let size = (2 * huge()).to_string();
    let mut c = Running::spawn(program.command().args([&raw_key, &size]));
    let id = SegmentId::from_raw(c.line().unwrap().parse().unwrap());
    assert_every_safe_attach_refuses(key.key(), id);

    let Some(_two) = Restored::write(POOL, "2") else {
        return;
    };
    let segment = SegmentOptions::new().open(key.key()).unwrap();
    assert_eq!(free(), 0, "all brought in by the attach");
    segment.write_at(0, b"Rust").unwrap();
    segment.write_at(2 * huge() - 1, b"x").unwrap();
    c.say("look");
    assert_eq!(c.line().unwrap(), "Rust");
    assert!(c.wait().success());
}

#[test]
fn a_promise_that_pages_suffice_leaves_them_to_the_first_touch() {
    let _alone = alone();
    let Some(_pool) = pool(2) else { return };
    let owned = unreserved(Key::PRIVATE, 2 * huge());
    let mut options = SegmentOptions::new();
    // SAFETY: both pages are free, and nobody else takes pages from the pool.
    unsafe { options.assume_huge_pages_suffice(true) };
    let segment = options.attach(owned.id()).unwrap();
    assert_eq!(free(), 2);
    segment.write_at(0, b"x").unwrap();
    assert_eq!(free(), 1);
}

/// A kernel before 5.14, which does not know the advice, and a sandbox: more pages would not help.
#[test]
fn where_pages_cannot_be_brought_in_beforehand_the_error_asks_for_no_more_of_them() {
    let _alone = alone();
    let peer = peer!(|talk: &mut Talk| {
        let errno: i32 = talk.arg(0);
        let owned = unreserved(Key::PRIVATE, huge());
        let advice = [libc::MADV_POPULATE_READ, libc::MADV_POPULATE_WRITE];
        seccomp::install(&advice.map(|advice| seccomp::Answer::madvise(advice, errno)));
        let error = owned.id().attach().map(drop);
        let error = fails(error, ErrorKind::HugePagesUnavailable, errno);
        assert_says(&error, &["Linux 5.14", "assume_huge_pages_suffice"]);
        assert!(!error.to_string().contains("nr_hugepages"), "{error}");
        fails(
            owned.id().attach_read_only().map(drop),
            ErrorKind::HugePagesUnavailable,
            errno,
        );
        let mut options = SegmentOptions::new();
        // SAFETY: the page is free, and nobody else takes pages from the pool.
        unsafe { options.assume_huge_pages_suffice(true) };
        let segment = options.attach(owned.id()).unwrap();
        segment.write_at(0, b"x").unwrap();
    });
    let Some(_pool) = pool(1) else { return };
    for errno in [libc::EINVAL, libc::EPERM, libc::ENOSYS] {
        peer.clone().arg(errno).run();
    }
}

/// What the documentation of huge pages warns of: nothing here can keep a peer that may write from giving pages
/// back to the pool.
#[test]
fn a_peer_that_frees_pages_and_uses_them_up_can_still_cause_sigbus() {
    let _alone = alone();
    let peer = peer!(|_| {
        let segment = create(huge());
        segment.write_at(0, b"x").unwrap();
        let address = segment.as_ptr();
        // SAFETY: this test's own memory; its contents are given up.
        let freed = unsafe { libc::madvise(address.cast(), huge(), libc::MADV_REMOVE) };
        assert_eq!((freed, free()), (0, 1));
        let thief = create(huge());
        thief.write_at(0, b"x").unwrap();
        assert_eq!(
            death_of(|| _ = segment.write_at(0, b"y")),
            Some(libc::SIGBUS)
        );
    });
    let Some(_pool) = pool(1) else { return };
    peer.run();
    assert_eq!(free(), 1);
}
