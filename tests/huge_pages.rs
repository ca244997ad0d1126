//! Explicit huge pages behave like ordinary ones, but for what they are.
//!
//! Huge pages must be in the kernel's pool: root reserves some for each test and gives them back; an ordinary
//! user's tests say that they are skipped.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // Raw attaches, to touch them after the detach.

mod common;

use common::huge_pool::{OVERCOMMIT, Restored, create, free, huge, meminfo, on_huge_pages, pool};
use common::{
    Forked, NOBODY, Owned, OwnedKey, Running, alone, assert_says, at, death_of, fails,
    let_a_second_pass, page, peer, set_sysctl,
};
use std::ptr;
use sysvshm::raw::{self, GetFlags};
use sysvshm::{AttachFlags, ErrorKind, HugePages, Key, Mode, Segment, SegmentId, SegmentOptions};

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

#[test]
fn a_segment_of_huge_pages_has_the_size_mode_and_creator_asked_for() {
    let _alone = alone();
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
fn sizes_and_keys_are_checked_as_for_ordinary_pages() {
    let _alone = alone();
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
        ErrorKind::SegmentTooSmall,
        libc::EINVAL,
    );
    drop(segment);
    assert_eq!(free(), 4, "no failure kept a page");
}

#[test]
fn more_pages_than_are_free_cannot_be_created() {
    let _alone = alone();
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
fn the_number_of_segments_is_limited_for_huge_pages_too() {
    let _alone = alone();
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
fn other_users_may_neither_open_attach_look_at_change_nor_remove_it() {
    let _alone = alone();
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
fn each_page_keeps_its_pattern_for_whoever_attaches() {
    let _alone = alone();
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
fn attach_addresses_are_those_of_huge_pages_and_may_be_rounded() {
    let _alone = alone();
    let Some(_pool) = pool(1) else { return };
    let segment = create(huge());
    let id = segment.id();
    segment.write_at(0, b"kept").unwrap();
    let address = id.attach().unwrap().as_ptr().addr();
    let at = |address| at(&SegmentOptions::new(), address);
    let aligned = at(address).attach(id).unwrap();
    assert_eq!(aligned.as_ptr().addr(), address);
    drop(aligned);
    let mut rounded = at(address + page() - 1);
    let rounded = rounded.round_address(true).attach_read_only(id).unwrap();
    assert_eq!(rounded.as_ptr().addr(), address);
    let mut bytes = [0; 4];
    rounded.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    drop(rounded);

    fails(
        at(address + 1).attach(id),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
    // Aligned for ordinary pages is not enough here.
    fails(
        at(address + page()).attach(id),
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
fn attaching_at_one_address_across_forks_gives_all_pages_back_each_time() {
    let _alone = alone();
    let peer = peer!(|_| {
        let probe = create(8 * huge());
        let address = probe.as_ptr().addr();
        drop(probe);
        for _ in 0..3 {
            let options = at(&on_huge_pages(8 * huge()), address);
            let segment = options.create_new(Key::PRIVATE).unwrap();
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
fn odd_sizes_are_created_attached_prefaulted_and_bounded_exactly() {
    let _alone = alone();
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
fn detached_huge_pages_are_out_of_reach_and_children_are_counted() {
    let _alone = alone();
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
fn many_processes_attach_write_verify_and_detach() {
    let _alone = alone();
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
fn beyond_the_pool_surplus_pages_serve_where_the_administrator_allows_them() {
    let _alone = alone();
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
