//! The limits of an IPC namespace and what is counted in it, in private namespaces where nobody else counts.

#![allow(unsafe_code)] // mlockall in a peer.

mod common;

use common::{
    Owned, OwnedKey, Peer, assert_says, fails, limit, page, peer, root_or_skip, set_sysctl,
    skipped, sysctl,
};
use std::path::Path;
use sysvshm::raw::{self, Command, GetFlags};
use sysvshm::{ErrorKind, Key, ReadOnly, Removal, Segment, SegmentId, SegmentOptions, system};

fn run_privately(peer: &Peer) {
    if root_or_skip() {
        peer.clone().private_namespace().run();
    }
}

fn sized(bytes: usize) -> SegmentOptions {
    SegmentOptions::new().size_bytes(bytes).clone()
}

#[test]
fn a_segment_larger_than_shmmax_is_refused_with_its_value() {
    let alone = peer!(|_| {
        set_sysctl("shmmax", 8192);
        let key = OwnedKey::random();
        for error in [
            sized(8193).create_new(key.key()).unwrap_err(),
            sized(8193).open_or_create(key.key()).unwrap_err(),
            raw::shmget(key.key(), 8193, GetFlags::IPC_CREAT).unwrap_err(),
        ] {
            let error = fails::<()>(Err(error), ErrorKind::SizeOutOfRange, libc::EINVAL);
            assert_says(&error, &["8193 bytes", "EINVAL", "kernel.shmmax", "8192"]);
        }
        assert_eq!(sized(8192).create_new(key.key()).unwrap().len_bytes(), 8192);
        // What exists may be larger than a limit set later; looking it up is not creating it.
        set_sysctl("shmmax", 100);
        assert_eq!(sized(8192).open(key.key()).unwrap().len_bytes(), 8192);
    });
    run_privately(&alone);
}

#[test]
fn the_limit_on_segments_is_named_with_its_value_and_how_full_it_is() {
    let alone = peer!(|_| {
        set_sysctl("shmmni", 7);
        let mut made = Vec::new();
        let full = loop {
            match sized(1).create_unattached(Key::PRIVATE) {
                Ok(id) => made.push(id),
                Err(error) => break error,
            }
        };
        assert_eq!(made.len(), 7);
        let full = fails::<()>(Err(full), ErrorKind::SegmentLimit, libc::ENOSPC);
        let words = ["ENOSPC", "7 segments exist", "7 are allowed", "shmmni"];
        assert_says(&full, &words);
        assert_says(&full, &["no disk is involved", "ipcs -m", "ipcrm"]);
        fails(
            sized(1).open_or_create(Key::from_raw(1)),
            ErrorKind::SegmentLimit,
            libc::ENOSPC,
        );
        // A limit that was lowered leaves what exists.
        set_sysctl("shmmni", 5);
        let error = fails(
            sized(1).create_new(Key::PRIVATE),
            ErrorKind::SegmentLimit,
            libc::ENOSPC,
        );
        assert_says(&error, &["7 segments exist", "5 are allowed"]);
        set_sysctl("shmmni", 7);
        // One less, and there is room again.
        made[3].mark_for_removal().unwrap();
        sized(1).create_unattached(Key::PRIVATE).unwrap();
        let usage = system::usage().unwrap();
        assert_eq!((usage.segments, usage.pages), (7, 7));
    });
    run_privately(&alone);
}

#[test]
fn the_limit_on_pages_is_named_with_its_value_and_how_full_it_is() {
    let alone = peer!(|_| {
        sized(3 * page()).create_unattached(Key::PRIVATE).unwrap();
        set_sysctl("shmall", 5);
        let full = fails(
            sized(2 * page() + 1).create_new(Key::PRIVATE),
            ErrorKind::PageLimit,
            libc::ENOSPC,
        );
        let page_size = format!("5 pages of {} bytes", page());
        assert_says(
            &full,
            &[
                "ENOSPC",
                &page_size,
                "shmall",
                "3 are taken",
                "3 were asked",
            ],
        );
        assert_says(&full, &["no disk is involved"]);
        drop(sized(2 * page()).create_new(Key::PRIVATE).unwrap());
        assert_eq!(system::usage().unwrap().pages, 5);
    });
    run_privately(&alone);
}

#[test]
fn a_size_that_overflows_when_rounded_to_pages_is_refused() {
    let alone = peer!(|_| {
        set_sysctl("shmmax", u64::MAX);
        let error = fails(
            sized(usize::MAX).create_new(Key::PRIVATE),
            ErrorKind::PageLimit,
            libc::ENOSPC,
        );
        assert_says(&error, &["ENOSPC", "shmall"]);
        assert!(system::segments().unwrap().is_empty());
    });
    run_privately(&alone);
}

#[test]
fn the_first_segment_of_a_namespace_has_id_zero_and_it_is_as_good_as_any() {
    let alone = peer!(|_| {
        let key = OwnedKey::random();
        let created = sized(100).create_new(key.key()).unwrap();
        let id = created.id();
        assert_eq!((id.as_raw(), id), (0, SegmentId::from_raw(0)));
        assert_eq!(SegmentId::find(key.key()).unwrap(), id);
        created.write_at(0, b"zero").unwrap();
        let reader: Segment<ReadOnly> = id.attach_read_only().unwrap();
        let mut bytes = [0; 4];
        reader.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"zero");
        let opened = sized(100).open_or_create(key.key()).unwrap();
        assert!(!opened.was_created() && opened.id() == id);
        assert_eq!(id.status().unwrap().attached(), 3);
        id.set_mode(0o640).unwrap();
        id.lock_in_memory().unwrap();
        id.unlock_from_memory().unwrap();
        let listed = system::segments().unwrap();
        assert_eq!((listed.len(), listed[0].status.id()), (1, id));
        assert!(listed[0].resident_bytes.unwrap() > 0);
        drop((reader, opened, created));
        id.mark_for_removal().unwrap();
        fails(id.status(), ErrorKind::NoSuchSegment, libc::EINVAL);
        assert!(system::segments().unwrap().is_empty());
    });
    run_privately(&alone);
}

#[test]
fn a_segment_with_id_zero_is_removed_on_drop() {
    let alone = peer!(|_| {
        let mut options = sized(100);
        let segment = options.removal(Removal::OnDrop).create_new(Key::PRIVATE);
        let segment = segment.unwrap();
        assert_eq!(segment.id().as_raw(), 0);
        drop(segment);
        assert!(system::segments().unwrap().is_empty());
    });
    run_privately(&alone);
}

#[test]
fn an_empty_namespace_lists_nothing_and_uses_nothing() {
    let alone = peer!(|_| {
        assert!(system::segments().unwrap().is_empty());
        let usage = system::usage().unwrap();
        assert_eq!(
            (usage.segments, usage.pages, usage.resident_pages),
            (0, 0, 0)
        );
    });
    run_privately(&alone);
}

#[test]
fn the_next_id_can_be_asked_for_once_and_a_taken_one_is_not_given_again() {
    let alone = peer!(|_| {
        set_sysctl("shm_next_id", 4711);
        let first = sized(1).create_unattached(Key::PRIVATE).unwrap();
        assert_eq!(first.as_raw(), 4711);
        assert_eq!(sysctl("shm_next_id"), "-1");
        set_sysctl("shm_next_id", 4711);
        let second = sized(1).create_unattached(Key::from_raw(1)).unwrap();
        assert_ne!(second, first);
        assert_eq!(first.status().unwrap().size_bytes(), 1);
    });
    if Path::new("/proc/sys/kernel/shm_next_id").exists() {
        run_privately(&alone);
    } else {
        skipped("a kernel without CONFIG_CHECKPOINT_RESTORE");
    }
}

/// Sums of `/proc/sysvipc/shm` in pages: size rounded up, resident, swapped.
fn sums_of_the_file() -> [u64; 3] {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let mut lines = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let titles = lines.next().unwrap();
    let column = |name| titles.iter().position(|title| *title == name).unwrap();
    let columns = ["size", "rss", "swap"].map(column);
    let mut sums = [0; 3];
    for line in lines {
        for (sum, column) in sums.iter_mut().zip(columns) {
            let bytes: u64 = line[column].parse().unwrap();
            *sum += bytes.div_ceil(page() as u64);
        }
    }
    sums
}

#[test]
fn every_way_of_counting_counts_the_same() {
    let counter = peer!(|talk| {
        let expected: [u64; 2] = [talk.arg(0), talk.arg(1)];
        let mut info = raw::shm_info::default();
        let highest = raw::shmctl(0, Command::ShmInfo(&mut info)).unwrap();
        // The result is a slot that is in use.
        let mut ds = raw::empty_shmid_ds();
        raw::shmctl(highest, Command::ShmStatAny(&mut ds)).unwrap();
        let slots = (0..=highest).filter(|&slot| {
            let mut ds = raw::empty_shmid_ds();
            raw::shmctl(slot, Command::ShmStatAny(&mut ds)).is_ok()
        });
        assert_eq!(slots.count(), usize::try_from(info.used_ids).unwrap());
        #[allow(clippy::useless_conversion)] // c_ulong is 32 bits wide on some targets.
        let counted = [info.shm_tot, info.shm_rss, info.shm_swp].map(u64::from);
        assert_eq!(counted, sums_of_the_file());
        assert_eq!(
            [u64::try_from(info.used_ids).unwrap(), counted[0]],
            expected
        );

        let usage = system::usage().unwrap();
        assert_eq!([usage.segments, usage.pages], expected);
        assert_eq!([usage.resident_pages, usage.swapped_pages], counted[1..]);
        let listed = system::segments().unwrap();
        assert_eq!(listed.len() as u64, expected[0]);
        let resident: u64 = listed
            .iter()
            .map(|entry| entry.resident_bytes.unwrap())
            .sum();
        assert_eq!(resident, usage.resident_pages * page() as u64);
        // Also by those who may read none of them; the older command is for those who may.
        if common::euid() != 0 {
            let id = listed[0].status.id();
            fails(id.status(), ErrorKind::PermissionDenied, libc::EACCES);
            let error = fails(
                raw::shmctl(highest, Command::ShmStat(&mut ds)),
                ErrorKind::PermissionDenied,
                libc::EACCES,
            );
            assert_says(&error, &["slot", "SHM_STAT"]);
        }
    });
    let alone = {
        let counter = counter.clone();
        peer!(move |_| {
            // A hole in the table, an odd size, pages touched and not.
            let hole = Owned::new(1, 0o600);
            let first = Owned::new(page() + 1, 0o600);
            let second = Owned::new(5 * page(), 0o600);
            drop(hole);
            let segment = second.id().attach().unwrap();
            segment.write_at(0, b"!").unwrap();
            segment.write_at(4 * page(), b"!").unwrap();
            assert_eq!(system::usage().unwrap().resident_pages, 2);
            let counter = counter.arg(2).arg(7);
            counter.run();
            counter.nobody().run();
            // Marked and detached: its pages are given back.
            second.id().mark_for_removal().unwrap();
            assert_eq!(system::usage().unwrap().pages, 7);
            drop(segment);
            let usage = system::usage().unwrap();
            assert_eq!((usage.segments, usage.pages), (1, 2));
            assert_eq!(usage.resident_pages, 0);
            drop(first);
        })
    };
    run_privately(&alone);
}

#[test]
fn an_attach_that_mlockall_would_lock_beyond_the_limit_says_so() {
    let ordinary = peer!(|_| {
        let id = sized(8 << 20).create_unattached(Key::PRIVATE).unwrap();
        // More than is locked now, less than the segment.
        limit(libc::RLIMIT_MEMLOCK, 4 << 20);
        // SAFETY: locks what is mapped from now on.
        let done = unsafe { libc::mlockall(libc::MCL_FUTURE) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        let result = id.attach();
        id.mark_for_removal().unwrap();
        let error = fails(result, ErrorKind::LockLimit, libc::EAGAIN);
        assert_says(&error, &["may lock 4194304 bytes", "RLIMIT_MEMLOCK"]);
    });
    if root_or_skip() {
        ordinary.nobody().run();
    }
}

/// The kernel promises no more than memory and swap, unless an administrator lets it promise anything.
#[test]
fn more_memory_than_there_is_comes_with_figures() {
    if sysctl("../vm/overcommit_memory") != "0" {
        return skipped("vm.overcommit_memory is not 0");
    }
    // 4 TiB: more than machines have, and no more than the other limits let through.
    let Some(size) = 4_usize.checked_shl(40) else {
        return skipped("a machine may have more memory than 32 bits can ask for");
    };
    let error = sized(size).create_unattached(Key::PRIVATE).unwrap_err();
    let error = fails::<()>(Err(error), ErrorKind::OutOfMemory, libc::ENOMEM);
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes = |name: &str| {
        let line = memory
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let whole = kilobytes("MemTotal:") + kilobytes("SwapTotal:");
    assert_says(
        &error,
        &[&format!("{whole} kB"), "MemAvailable", "no_reserve"],
    );
}
