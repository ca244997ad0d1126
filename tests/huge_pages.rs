//! Explicit huge pages, and prefaulting.
//!
//! Huge pages must be in the kernel's pool: root reserves some for each test and gives them back; an ordinary user's tests say that
//! they are skipped. Tests run one at a time, because the pool is one for the whole machine.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Raw accesses, to show what the safe calls keep away.

mod common;

use common::{
    CProgram, Forked, NOBODY, Owned, OwnedKey, Running, assert_says, death_of, fails,
    let_a_second_pass, page, peer, set_sysctl, skipped, watch,
};
use serial_test::serial;
use std::fs;
use std::ptr;
use sysvshm::raw::{self, GetFlags};
use sysvshm::{
    AttachFlags, ErrorKind, HugePages, Key, Mode, Removal, Segment, SegmentId, SegmentOptions,
    system,
};

const POOL: &str = "/proc/sys/vm/nr_hugepages";
const OVERCOMMIT: &str = "/proc/sys/vm/nr_overcommit_hugepages";

/// A file of the kernel whose content is put back when this value goes, panic or not.
struct Restored {
    path: &'static str,
    before: String,
}

impl Restored {
    /// Writes `value`; `None`, and said so, where that is not allowed.
    fn write(path: &'static str, value: &str) -> Option<Self> {
        let before = fs::read_to_string(path);
        let before = match before.and_then(|before| fs::write(path, value).map(|()| before)) {
            Ok(before) => before,
            Err(error) => {
                skipped(&format!("{path} cannot be changed: {error}"));
                return None;
            }
        };
        Some(Self { path, before })
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = fs::write(self.path, &self.before);
    }
}

/// A line of /proc/meminfo, in kB or as a count.
fn meminfo(name: &str) -> usize {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

fn free() -> usize {
    meminfo("HugePages_Free")
}

/// The default huge page size, in bytes.
fn huge() -> usize {
    meminfo("Hugepagesize") * 1024
}

/// Exactly `pages` huge pages in the pool, all of them free, as long as the value lives.
fn pool(pages: usize) -> Option<Restored> {
    if !fs::exists(POOL).unwrap() {
        skipped("a kernel without huge pages");
        return None;
    }
    if common::euid() != 0 {
        skipped("needs root, to reserve huge pages");
        return None;
    }
    let in_use = meminfo("HugePages_Total") - free() + meminfo("HugePages_Rsvd");
    if in_use != 0 {
        skipped("huge pages are in use on this machine; their owners shall not be disturbed");
        return None;
    }
    let guard = Restored::write(POOL, &pages.to_string())?;
    if (meminfo("HugePages_Total"), free()) != (pages, pages) {
        skipped(&format!(
            "the kernel found only {} of {pages} huge pages",
            free()
        ));
        return None;
    }
    Some(guard)
}

fn on_huge_pages(size_bytes: usize) -> SegmentOptions {
    watch();
    let mut options = SegmentOptions::new();
    options
        .size_bytes(size_bytes)
        .huge_pages(HugePages::Default)
        .removal(Removal::OnDrop);
    options
}

fn create(size_bytes: usize) -> Segment {
    on_huge_pages(size_bytes).create_new(Key::PRIVATE).unwrap()
}

/// A segment without reservation, as no safe call makes it: what some other program might leave for us to find.
fn unreserved(key: Key, size_bytes: usize) -> Owned {
    let flags = GetFlags::IPC_CREAT | GetFlags::IPC_EXCL | GetFlags::mode(0o600);
    let huge = GetFlags::SHM_HUGETLB | GetFlags::SHM_NORESERVE;
    Owned::guard(raw::shmget(key, size_bytes, flags | huge).unwrap())
}

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

#[test]
#[serial]
fn a_segment_of_huge_pages_has_the_size_mode_and_creator_asked_for() {
    let Some(_pool) = pool(2) else { return };
    for pages in [HugePages::Default, HugePages::OfBytes(huge())] {
        let mut options = on_huge_pages(2 * huge());
        let segment = options
            .huge_pages(pages)
            .mode(0o640)
            .create_new(Key::PRIVATE)
            .unwrap();
        let status = segment.status().unwrap();
        assert_eq!(status.size_bytes(), 2 * huge());
        assert_eq!(status.mode(), Mode::from(0o640));
        assert_eq!(status.creator_pid(), Some(std::process::id()));
        assert_eq!(segment.as_ptr().addr() % huge(), 0);
        assert_eq!(meminfo("HugePages_Rsvd"), 2, "set aside at creation");
        segment.write_at(0, b"x").unwrap();
        assert_eq!(free(), 1, "a whole huge page came with one byte");
    }
    assert_eq!(free(), 2);
}

#[test]
#[serial]
fn sizes_and_keys_are_checked_as_for_ordinary_pages() {
    let Some(_pool) = pool(4) else { return };
    let key = OwnedKey::random();
    fails(
        on_huge_pages(0).create_new(key.key()),
        ErrorKind::SizeOutOfRange,
        libc::EINVAL,
    );
    fails(
        SegmentOptions::new().open(key.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    let segment = on_huge_pages(huge()).create_new(key.key()).unwrap();
    fails(
        on_huge_pages(huge()).create_new(key.key()),
        ErrorKind::AlreadyExists,
        libc::EEXIST,
    );
    let mut twice = SegmentOptions::new();
    twice.size_bytes(2 * huge());
    fails(
        twice.open(key.key()),
        ErrorKind::LargerThanSegment,
        libc::EINVAL,
    );
    drop(segment);
    assert_eq!(free(), 4, "no failure kept a page");
}

#[test]
#[serial]
fn more_pages_than_are_free_cannot_be_created() {
    let Some(_pool) = pool(1) else { return };
    let error = fails(
        on_huge_pages(2 * huge()).create_new(Key::PRIVATE),
        ErrorKind::HugePagesUnavailable,
        libc::ENOMEM,
    );
    assert_says(
        &error,
        &["SHM_HUGETLB", "HugePages_Free", "vm.nr_hugepages"],
    );
}

#[test]
#[serial]
fn the_number_of_segments_is_limited_for_huge_pages_too() {
    let peer = peer!(|_| {
        const MOST: usize = 3;
        set_sysctl("shmmni", MOST);
        let _segments: Vec<Segment> = (0..MOST).map(|_| create(huge())).collect();
        let result = on_huge_pages(huge()).create_new(Key::PRIVATE);
        let error = fails(result, ErrorKind::SegmentLimit, libc::ENOSPC);
        assert_says(&error, &["3 segments exist and 3 are allowed"]);
    });
    let Some(_pool) = pool(5) else { return };
    peer.private_namespace().run();
    assert_eq!(free(), 5);
}

#[test]
#[serial]
fn other_users_may_neither_open_attach_look_at_change_nor_remove_it() {
    let nobody = peer!(|talk| {
        let key: Key = talk.arg(0);
        let id = SegmentId::from_raw(talk.arg(1));
        let mut asking = SegmentOptions::new();
        fails(
            asking.mode(0o600).open(key),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        fails(
            SegmentOptions::new().open(key),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        fails(id.attach(), ErrorKind::PermissionDenied, libc::EACCES);
        fails(
            id.attach_read_only(),
            ErrorKind::PermissionDenied,
            libc::EACCES,
        );
        fails(id.status(), ErrorKind::PermissionDenied, libc::EACCES);
        fails(
            id.set_permissions(NOBODY, NOBODY, 0o666),
            ErrorKind::NotOwner,
            libc::EPERM,
        );
        fails(id.mark_for_removal(), ErrorKind::NotOwner, libc::EPERM);
    });
    let Some(_pool) = pool(1) else { return };
    let key = OwnedKey::random();
    let segment = on_huge_pages(huge()).create_new(key.key()).unwrap();
    nobody.arg(key.key()).arg(segment.id()).nobody().run();
}

#[test]
#[serial]
fn each_page_keeps_its_pattern_for_whoever_attaches() {
    let Some(_pool) = pool(4) else { return };
    let segment = create(4 * huge());
    for number in 0..4 {
        let letter = b'a' + number as u8;
        segment
            .write_at(number * huge(), &vec![letter; huge()])
            .unwrap();
    }
    assert_eq!(free(), 0);
    let reader = segment.id().attach_read_only().unwrap();
    let mut bytes = vec![0; huge()];
    for number in 0..4 {
        reader.read_exact_at(number * huge(), &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == b'a' + number as u8));
    }
}

#[test]
#[serial]
fn attach_addresses_are_those_of_huge_pages_and_may_be_rounded() {
    let Some(_pool) = pool(1) else { return };
    let segment = create(huge());
    let id = segment.id();
    segment.write_at(0, b"kept").unwrap();
    let address = id.attach().unwrap().as_ptr().addr();
    let mut options = SegmentOptions::new();
    let aligned = options.address(address).attach(id).unwrap();
    assert_eq!(aligned.as_ptr().addr(), address);
    drop(aligned);
    let rounded = options.address(address + page() - 1).round_address(true);
    let rounded = rounded.attach_read_only(id).unwrap();
    assert_eq!(rounded.as_ptr().addr(), address);
    let mut bytes = [0; 4];
    rounded.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    drop(rounded);

    let mut options = SegmentOptions::new();
    fails(
        options.address(address + 1).attach(id),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
    // Aligned for ordinary pages is not enough here.
    fails(
        options.address(address + page()).attach(id),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
    fails(
        SegmentId::from_raw(-1).attach(),
        ErrorKind::NoSuchSegment,
        libc::EINVAL,
    );
    assert_eq!(attached(id), 1);
}

#[test]
#[serial]
fn attaching_at_one_address_across_forks_gives_all_pages_back_each_time() {
    let peer = peer!(|_| {
        let probe = create(8 * huge());
        let address = probe.as_ptr().addr();
        drop(probe);
        for _ in 0..3 {
            let mut options = on_huge_pages(8 * huge());
            let segment = options.address(address).create_new(Key::PRIVATE).unwrap();
            segment.write_at(0, b"x").unwrap();
            Forked::start(|_| segment.write_at(7 * huge(), b"y").unwrap()).finish();
            assert_eq!(free(), 6);
            drop(segment);
            assert_eq!(free(), 8);
        }
    });
    let Some(_pool) = pool(8) else { return };
    peer.run();
}

#[test]
#[serial]
fn odd_sizes_are_created_attached_prefaulted_and_bounded_exactly() {
    let Some(_pool) = pool(4) else { return };
    for prefault in [false, true] {
        for size in [
            4 * huge() - page(),
            4 * huge() - page() - 1,
            huge(),
            huge() + 1,
            1,
        ] {
            let mut options = on_huge_pages(size);
            let segment = options.prefault(prefault).create_new(Key::PRIVATE).unwrap();
            assert_eq!(segment.len_bytes(), size);
            segment.write_at(size - 1, b"x").unwrap();
            fails(segment.write_at(size, b"x"), ErrorKind::OutOfBounds, None);
            if prefault {
                assert_eq!(free(), 4 - size.div_ceil(huge()), "{size} bytes");
            }
            // Found by another: as set aside as before, and all there.
            let other = segment.id().attach().unwrap();
            let mut byte = [0];
            other.read_exact_at(size - 1, &mut byte).unwrap();
            assert_eq!(&byte, b"x");
        }
        assert_eq!(free(), 4);
    }
}

#[test]
#[serial]
fn detached_huge_pages_are_out_of_reach_and_children_are_counted() {
    let peer = peer!(|_| {
        let owned = create(huge());
        let id = owned.id();
        let before = owned.status().unwrap();
        owned.detach().unwrap();
        assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);

        let flags = GetFlags::IPC_CREAT | GetFlags::SHM_HUGETLB | GetFlags::mode(0o600);
        let owned = Owned::guard(raw::shmget(Key::PRIVATE, huge(), flags).unwrap());
        // SAFETY: without REMAP nothing is replaced.
        let address =
            unsafe { raw::shmat(owned.raw(), ptr::null(), AttachFlags::empty()) }.unwrap();
        // SAFETY: nothing uses the memory.
        unsafe { raw::shmdt(address.as_ptr()) }.unwrap();
        assert_eq!(attached(owned.id()), 0);
        // SAFETY: not sound at all; the child that does it dies of it.
        let signal = death_of(|| unsafe { address.cast::<u8>().write_volatile(1) });
        assert_eq!(signal, Some(libc::SIGSEGV));

        let attach = || {
            Forked::start(|gate| {
                let segment = owned.id().attach().unwrap();
                gate.pass();
                drop(segment);
            })
        };
        let mut children: Vec<Forked> = (0..4).map(|_| attach()).collect();
        children.iter_mut().for_each(Forked::arrived);
        assert_eq!(attached(owned.id()), 4);
        let segment = owned.id().attach().unwrap();
        assert_eq!(attached(owned.id()), 5);
        children.into_iter().for_each(Forked::finish);
        assert_eq!(attached(owned.id()), 1);

        let_a_second_pass();
        owned.id().set_mode(0o666).unwrap();
        let after = segment.status().unwrap();
        assert_eq!(after.mode(), Mode::from(0o666));
        assert!(after.change_time() > before.change_time());
        // A success without effect: huge pages are never swapped.
        owned.id().lock_in_memory().unwrap();
        segment.mark_for_removal().unwrap();
        drop(segment);
        assert_eq!(
            owned.id().status().unwrap_err().kind(),
            ErrorKind::NoSuchSegment
        );
    });
    let Some(_pool) = pool(1) else { return };
    peer.run();
    assert_eq!(free(), 1);
}

#[test]
#[serial]
fn many_processes_attach_write_verify_and_detach() {
    const PROCESSES: usize = 20;
    let worker = peer!(|talk| {
        let (id, number): (i32, usize) = (talk.arg(0), talk.arg(1));
        let fill = [number as u8; 100];
        for _ in 0..5 {
            let segment = SegmentId::from_raw(id).attach().unwrap();
            segment.write_at(number * 100, &fill).unwrap();
            let mut bytes = [0; 100];
            segment.read_exact_at(number * 100, &mut bytes).unwrap();
            assert_eq!(bytes, fill);
            segment.detach().unwrap();
        }
    });
    let Some(_pool) = pool(1) else { return };
    let segment = create(huge());
    let workers: Vec<Running> = (0..PROCESSES)
        .map(|number| worker.clone().arg(segment.id()).arg(number).start())
        .collect();
    for worker in workers {
        worker.finish();
    }
    let mut bytes = [0; PROCESSES * 100];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert!(
        bytes
            .chunks(100)
            .enumerate()
            .all(|(n, chunk)| chunk.iter().all(|&b| b == n as u8))
    );
    assert_eq!(attached(segment.id()), 1);
}

#[test]
#[serial]
fn beyond_the_pool_surplus_pages_serve_where_the_administrator_allows_them() {
    let Some(_pool) = pool(2) else { return };
    let Some(_overcommit) = Restored::write(OVERCOMMIT, "1") else {
        return;
    };
    fails(
        on_huge_pages(4 * huge()).create_new(Key::PRIVATE),
        ErrorKind::HugePagesUnavailable,
        libc::ENOMEM,
    );
    let segment = create(3 * huge());
    assert_eq!(
        (meminfo("HugePages_Total"), meminfo("HugePages_Surp")),
        (3, 1)
    );
    segment.write_at(3 * huge() - 1, b"x").unwrap();
    segment.prefault().unwrap();
    assert_eq!((free(), meminfo("HugePages_Rsvd")), (0, 0));
    drop(segment);
    assert_eq!(
        (
            meminfo("HugePages_Total"),
            free(),
            meminfo("HugePages_Surp")
        ),
        (2, 2, 0)
    );
}

/// The danger itself: what C does without being told, and what no safe call below may come to.
#[test]
#[serial]
fn touching_an_unreserved_huge_page_of_an_empty_pool_is_sigbus() {
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
#[serial]
fn no_options_create_huge_pages_that_may_be_missing_when_touched() {
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
    let address = 1 << 40;
    refused(options().address(address).attach(id).map(done), "address");
    let mut rounded = options();
    rounded.address(address + 5).round_address(true);
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
#[serial]
fn what_was_made_without_reservation_is_refused_by_every_safe_attach() {
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
#[serial]
fn what_a_c_program_made_without_reservation_is_refused_too_and_accepted_once_there_are_pages() {
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
#[serial]
fn a_promise_that_pages_suffice_leaves_them_to_the_first_touch() {
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

/// What the documentation of huge pages warns of: nothing here can keep a peer that may write from giving pages back to the pool.
#[test]
#[serial]
fn a_peer_that_frees_pages_and_uses_them_up_can_still_cause_sigbus() {
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

#[test]
fn prefault_brings_every_page_in_and_keeps_contents() {
    const PAGES: u64 = 64;
    let owned = Owned::new(PAGES as usize * page(), 0o600);
    let resident = || {
        let entries = system::segments().unwrap();
        let entry = entries
            .iter()
            .find(|entry| entry.status.id() == owned.id())
            .unwrap();
        entry.resident_bytes.unwrap() / page() as u64
    };
    let segment = owned.id().attach().unwrap();
    assert_eq!(resident(), 0, "no page before somebody touches it");
    segment.write_at(5 * page(), b"kept").unwrap();
    assert_eq!(resident(), 1);
    segment.prefault().unwrap();
    assert_eq!(resident(), PAGES);
    let mut bytes = [0; 4];
    segment.read_exact_at(5 * page(), &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    owned.id().attach_read_only().unwrap().prefault().unwrap();
}

#[test]
fn prefault_as_an_option_has_every_page_in_from_the_start() {
    let mut options = SegmentOptions::new();
    watch();
    options
        .size_bytes(10 * page() + 1)
        .prefault(true)
        .removal(Removal::OnDrop);
    let segment = options.create_new(Key::PRIVATE).unwrap();
    let entries = system::segments().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry.status.id() == segment.id())
        .unwrap();
    assert_eq!(entry.resident_bytes, Some(11 * page() as u64));
}
