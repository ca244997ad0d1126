//! Creating segments and finding them: what `shmget` decides.

mod common;

use common::{
    Owned, OwnedKey, assert_says, egid, euid, fails, limit, page, peer, root_or_skip, skipped,
};
use std::time::{Duration, SystemTime};
use sysvshm::raw::{self, Command, GetFlags};
use sysvshm::{ErrorKind, HugePages, Key, Mode, ProcessState, SegmentId, SegmentOptions, system};

const CREATE: i32 = libc::IPC_CREAT;
const EXCLUSIVE: i32 = libc::IPC_EXCL;

fn get(key: Key, size: usize, flags: i32) -> Result<i32, sysvshm::Error> {
    raw::shmget(key, size, GetFlags::from_bits_retain(flags))
}

fn sized(bytes: usize) -> SegmentOptions {
    SegmentOptions::new().size_bytes(bytes).clone()
}

#[test]
fn an_unused_key_is_found_by_nobody_and_the_error_says_what_to_start() {
    let key = OwnedKey::random().key();
    for flags in [0, 0o600, EXCLUSIVE, EXCLUSIVE | 0o600] {
        fails(get(key, 0, flags), ErrorKind::NotFound, libc::ENOENT);
    }
    let missing = fails(sized(8).open(key), ErrorKind::NotFound, libc::ENOENT);
    assert_says(
        &missing,
        &[
            "shmget(key 0x",
            "8 bytes",
            "ENOENT",
            "start the program that creates the segment first",
            "same key",
            "same IPC namespace",
        ],
    );
    assert_eq!(missing.call(), "shmget");
    let kind = std::io::Error::from(missing).kind();
    assert_eq!(kind, std::io::ErrorKind::NotFound);
    fails(
        SegmentOptions::new().open_read_only(key),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    fails(SegmentId::find(key), ErrorKind::NotFound, libc::ENOENT);
}

#[test]
fn exclusive_creation_refuses_a_taken_key_whatever_the_size() {
    let owned = OwnedKey::random();
    let (key, id) = (owned.key(), owned.create(100, 0o600));
    // Too large and 0 would be errors of their own, but the key comes first.
    for size in [100, 200, 0] {
        let flags = CREATE | EXCLUSIVE | 0o600;
        fails(
            get(key, size, flags),
            ErrorKind::AlreadyExists,
            libc::EEXIST,
        );
        let taken = fails(
            sized(size).create_new(key),
            ErrorKind::AlreadyExists,
            libc::EEXIST,
        );
        let (id, pid) = (id.to_string(), std::process::id().to_string());
        assert_says(
            &taken,
            &["IPC_CREAT|IPC_EXCL|0600", "EEXIST", &id, "100 bytes", &pid],
        );
    }
    fails(
        sized(100).create_unattached(key),
        ErrorKind::AlreadyExists,
        libc::EEXIST,
    );
    // The failures changed nothing.
    assert_eq!(SegmentId::find(key).unwrap(), id);
}

#[test]
fn exclusive_without_create_is_ignored() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    assert_eq!(get(owned.key(), 100, EXCLUSIVE).unwrap(), id.as_raw());
}

#[test]
fn nothing_of_zero_bytes_can_be_created() {
    let owned = OwnedKey::random();
    for key in [owned.key(), Key::PRIVATE] {
        fails(
            get(key, 0, CREATE | 0o600),
            ErrorKind::SizeOutOfRange,
            libc::EINVAL,
        );
        let error = fails(
            SegmentOptions::new().create_new(key),
            ErrorKind::SizeOutOfRange,
            libc::EINVAL,
        );
        assert_says(&error, &["0 bytes", "EINVAL", "at least 1 byte"]);
        fails(
            SegmentOptions::new().open_or_create(key),
            ErrorKind::SizeOutOfRange,
            libc::EINVAL,
        );
    }
}

#[test]
fn more_than_the_largest_segment_is_refused_with_the_limit() {
    let max = system::limits().unwrap().max_segment_bytes;
    let Some(beyond) = max.checked_add(page() as u64) else {
        skipped("shmmax is the largest number there is");
        return;
    };
    let error = fails(
        sized(beyond as usize).create_new(Key::PRIVATE),
        ErrorKind::SizeOutOfRange,
        libc::EINVAL,
    );
    assert_says(&error, &["kernel.shmmax", &max.to_string(), "EINVAL"]);
}

#[test]
fn opening_with_more_than_there_is_tells_both_sizes() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    for error in [
        sized(200).open(owned.key()).unwrap_err(),
        sized(200).open_read_only(owned.key()).unwrap_err(),
        sized(200).open_or_create(owned.key()).unwrap_err(),
        get(owned.key(), 200, 0).unwrap_err(),
        get(owned.key(), 200, CREATE | 0o600).unwrap_err(),
    ] {
        let error = fails::<()>(Err(error), ErrorKind::SegmentTooSmall, libc::EINVAL);
        let id = id.to_string();
        assert_says(&error, &["EINVAL", "has 100 bytes", "200 were asked", &id]);
    }
    // By identifier the kernel is not asked for a size; the comparison is the crate's own.
    let error = fails(sized(200).attach(id), ErrorKind::SegmentTooSmall, None);
    assert_says(&error, &["100 bytes"]);
    assert_eq!(id.status().unwrap().attached(), 0);
}

#[test]
fn opening_with_less_or_nothing_gives_the_whole_segment() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    for size in [0, 1, 50, 100] {
        assert_eq!(get(owned.key(), size, 0).unwrap(), id.as_raw());
        let segment = sized(size).open(owned.key()).unwrap();
        assert_eq!((segment.id(), segment.len_bytes()), (id, 100));
        segment.write_at(99, b"!").unwrap();
    }
}

#[test]
fn sizes_are_kept_to_the_byte() {
    for size in [1, 20, 100, page() - 1, page(), page() + 1, 3 * page()] {
        let segment = sized(size).create_new(Key::PRIVATE).unwrap();
        let id = Owned(segment.id());
        assert_eq!(segment.len_bytes(), size);
        assert_eq!(id.id().status().unwrap().size_bytes(), size);
        assert_eq!(segment.read_at(size - 1, &mut [0; 2]).unwrap(), 1);
        fails(segment.write_at(size, b"!"), ErrorKind::OutOfBounds, None);
    }
}

#[test]
fn opening_again_keeps_the_data() {
    let owned = OwnedKey::random();
    let created = sized(page()).open_or_create(owned.key()).unwrap();
    assert!(created.was_created());
    assert_eq!(created.len_bytes(), page());
    created.write_at(10, b"still here").unwrap();
    for flags in [0, CREATE, CREATE | 0o600] {
        let id = get(owned.key(), page(), flags).unwrap();
        assert_eq!(id, created.id().as_raw());
    }
    let opened = sized(page()).open_or_create(owned.key()).unwrap();
    assert!(!opened.was_created());
    let mut bytes = [0; 10];
    opened.read_exact_at(10, &mut bytes).unwrap();
    assert_eq!(&bytes, b"still here");
}

#[test]
fn a_removed_segment_leaves_its_key_free() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    id.mark_for_removal().unwrap();
    fails(
        SegmentOptions::new().open(owned.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    // Larger than the old one was: nothing of it is left in the way.
    let second = owned.create(5000, 0o600);
    assert_ne!(second, id);
}

#[test]
fn the_private_key_creates_each_time_and_opens_nothing() {
    let first = Owned::guard(get(Key::PRIVATE, 1, 0).unwrap());
    let second = Owned::guard(get(Key::PRIVATE, 1, CREATE | EXCLUSIVE | 0o600).unwrap());
    assert_ne!(first.id(), second.id());
    let made = sized(1).open_or_create(Key::PRIVATE).unwrap();
    let third = Owned(made.id());
    assert!(made.was_created());
    assert_ne!(third.id(), second.id());

    let created_here = || {
        let entries = system::segments().unwrap().into_iter();
        let ours = entries.filter(|entry| entry.status.size_bytes() == 77_777);
        ours.count()
    };
    assert_eq!(created_here(), 0);
    for error in [
        sized(77_777).open(Key::PRIVATE).unwrap_err(),
        sized(77_777).open_read_only(Key::PRIVATE).unwrap_err(),
        SegmentId::find(Key::PRIVATE).unwrap_err(),
    ] {
        let error = fails::<()>(Err(error), ErrorKind::InvalidInput, None);
        assert_says(
            &error,
            &[
                "IPC_PRIVATE",
                "would create",
                "identifier of the existing one",
            ],
        );
    }
    assert_eq!(created_here(), 0);
}

#[test]
fn the_umask_plays_no_part_and_execute_bits_are_kept() {
    let alone = peer!(|_| {
        #[allow(unsafe_code)]
        // SAFETY: takes a number; this process has no other thread that creates files.
        unsafe {
            libc::umask(0o077);
        }
        for mode in [0o666, 0o777, 0o000, 0o111] {
            let owned = Owned::new(1, mode);
            let entries = system::segments().unwrap().into_iter();
            let found = entries
                .map(|entry| entry.status)
                .find(|status| status.id() == owned.id());
            assert_eq!(found.unwrap().mode(), Mode::from(mode));
        }
    });
    alone.run();
}

#[test]
fn modes_beyond_nine_bits_are_refused_and_create_nothing() {
    let owned = OwnedKey::random();
    for mode in [0o1600, 0o1000, 0o4777, 0o100_644, u32::MAX] {
        let mut options = sized(1);
        options.mode(mode);
        for error in [
            options.create_new(owned.key()).unwrap_err(),
            options.create_unattached(owned.key()).unwrap_err(),
            options.open_or_create(owned.key()).unwrap_err(),
            options.open(owned.key()).unwrap_err(),
            options.open_read_only(owned.key()).unwrap_err(),
        ] {
            let error = fails::<()>(Err(error), ErrorKind::InvalidInput, None);
            assert_says(&error, &["nine bits", "0777"]);
        }
    }
    fails(
        SegmentId::find(owned.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    // The answer does not depend on whether the key happens to be taken.
    let id = owned.create(1, 0o600);
    let error = sized(1).mode(0o1600).open_or_create(owned.key());
    fails(error, ErrorKind::InvalidInput, None);
    fails(id.set_mode(0o1600), ErrorKind::InvalidInput, None);
}

#[test]
fn a_fresh_segment_is_described_as_it_was_asked_for() {
    let owned = OwnedKey::random();
    let second = Duration::from_secs(1);
    let before = SystemTime::now() - second;
    let id = owned.create(4097, 0o640);
    let after = SystemTime::now() + second;
    let status = id.status().unwrap();
    assert_eq!(status.id(), id);
    assert_eq!(status.key(), owned.key());
    assert_eq!(status.size_bytes(), 4097);
    assert_eq!(status.mode(), Mode::from(0o640));
    assert!(!status.is_marked_for_removal() && !status.is_locked_in_memory());
    assert_eq!((status.owner_uid(), status.owner_gid()), (euid(), egid()));
    assert_eq!(
        (status.creator_uid(), status.creator_gid()),
        (euid(), egid())
    );
    assert_eq!(status.creator_pid(), Some(std::process::id()));
    assert_eq!(status.creator_state(), ProcessState::Alive);
    assert_eq!((status.last_pid(), status.attached()), (None, 0));
    assert_eq!(status.last_state(), ProcessState::Unknown);
    assert_eq!((status.attach_time(), status.detach_time()), (None, None));
    let changed = status.change_time().unwrap();
    assert!(before <= changed && changed <= after);
    // The same through C's own struct.
    let mut ds = raw::empty_shmid_ds();
    raw::shmctl(id.as_raw(), Command::IpcStat(&mut ds)).unwrap();
    assert_eq!((ds.shm_segsz, ds.shm_nattch, ds.shm_lpid), (4097, 0, 0));
    assert_eq!(u32::from(ds.shm_perm.mode), 0o640);
    assert_eq!((ds.shm_atime, ds.shm_dtime), (0, 0));
}

#[test]
fn every_byte_of_a_fresh_segment_is_zero() {
    let segment = sized(5 * page() + 3).create_new(Key::PRIVATE).unwrap();
    let _owned = Owned(segment.id());
    let mut bytes = vec![1; segment.len_bytes()];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert!(bytes.iter().all(|&byte| byte == 0));
}

fn overcommit() -> String {
    std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default()
}

#[test]
fn memory_that_cannot_be_promised_is_refused_with_advice() {
    let Some(huge) = 1_usize.checked_shl(62) else {
        return skipped("a machine may have more memory than 32 bits can ask for");
    };
    let limits = system::limits().unwrap();
    if overcommit().trim() == "1" || limits.max_segment_bytes < huge as u64 {
        skipped("vm.overcommit_memory is 1 or shmmax is small: the kernel would not say ENOMEM");
        return;
    }
    let error = fails(
        sized(huge).create_new(Key::PRIVATE),
        ErrorKind::OutOfMemory,
        libc::ENOMEM,
    );
    assert_says(&error, &["ENOMEM", &huge.to_string(), "no_reserve"]);
}

#[test]
fn without_reservation_a_segment_may_exceed_the_machine() {
    const LARGE: usize = if usize::BITS == 64 { 1 << 46 } else { 1 << 30 };
    if overcommit().trim() == "2" || system::limits().unwrap().max_segment_bytes < LARGE as u64 {
        skipped("vm.overcommit_memory is 2 or shmmax is small: SHM_NORESERVE has no effect");
        return;
    }
    let id = sized(LARGE)
        .no_reserve(true)
        .create_unattached(Key::PRIVATE)
        .unwrap();
    let owned = Owned(id);
    assert_eq!(owned.id().status().unwrap().size_bytes(), LARGE);
    // And a little of it is usable.
    let segment = owned.id().attach().unwrap();
    segment.write_at(LARGE - 1, b"!").unwrap();
}

#[test]
fn huge_pages_of_an_impossible_size_are_refused() {
    let flags = CREATE | 0o600 | libc::SHM_HUGETLB | 13 << 26;
    let raw = get(Key::PRIVATE, 1, flags).unwrap_err();
    let odd = |bytes| {
        let mut options = sized(1);
        options.huge_pages(HugePages::OfBytes(bytes));
        options.create_new(Key::PRIVATE).unwrap_err()
    };
    for error in [raw, odd(1 << 13)] {
        let error = fails::<()>(Err(error), ErrorKind::HugePagesUnavailable, libc::EINVAL);
        assert_says(&error, &["SHM_HUGETLB", "2^13", "/sys/kernel/mm/hugepages"]);
    }
    for bytes in [0, 1, 3 << 20] {
        let error = fails::<()>(Err(odd(bytes)), ErrorKind::HugePagesUnavailable, None);
        assert_says(&error, &["power of two"]);
    }
}

#[test]
fn unknown_flag_bits_and_stray_huge_page_sizes_are_ignored() {
    for stray in [1 << 20, 1 << 24, GetFlags::SHM_HUGE_2MB.bits()] {
        let id = get(Key::PRIVATE, 100, CREATE | 0o600 | stray).unwrap();
        let owned = Owned::guard(id);
        let status = owned.id().status().unwrap();
        assert_eq!(
            (status.size_bytes(), status.mode()),
            (100, Mode::from(0o600))
        );
    }
}

#[test]
fn huge_pages_are_refused_when_none_are_free() {
    let free = std::fs::read_to_string("/proc/meminfo").unwrap();
    let free = free.lines().find(|line| line.starts_with("HugePages_Free"));
    let Some(free) = free else {
        skipped("this kernel has no huge pages");
        return;
    };
    if !root_or_skip() {
        return;
    }
    if free.split_whitespace().last() != Some("0") {
        skipped("huge pages are free");
        return;
    }
    let error = fails(
        sized(1)
            .huge_pages(HugePages::Default)
            .create_new(Key::PRIVATE),
        ErrorKind::HugePagesUnavailable,
        libc::ENOMEM,
    );
    assert_says(&error, &["SHM_HUGETLB", "ENOMEM", "vm.nr_hugepages"]);
}

#[test]
fn huge_pages_are_not_for_everybody() {
    let stranger = peer!(|_| {
        limit(libc::RLIMIT_MEMLOCK, 0);
        let error = sized(1)
            .huge_pages(HugePages::Default)
            .create_new(Key::PRIVATE)
            .unwrap_err();
        if error.raw_os_error() == Some(libc::EPERM) {
            assert_eq!(error.kind(), ErrorKind::HugePagesNotPermitted);
            assert_says(&error, &["vm.hugetlb_shm_group", "CAP_IPC_LOCK"]);
        } else {
            // A kernel or processor without them.
            assert_eq!(error.kind(), ErrorKind::HugePagesUnavailable);
        }
    });
    if euid() == 0 {
        stranger.nobody().run();
    } else {
        stranger.run();
    }
}

#[test]
fn the_limit_on_file_sizes_is_none_on_segments() {
    let limited = peer!(|_| {
        limit(libc::RLIMIT_FSIZE, 1);
        let segment = sized(64 << 10).create_new(Key::PRIVATE).unwrap();
        let _owned = Owned(segment.id());
        segment.write_at(segment.len_bytes() - 1, b"!").unwrap();
    });
    limited.run();
}
