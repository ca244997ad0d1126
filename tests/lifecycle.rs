//! What fork, exec, exit and kill do to attaches and to segments, and many processes at once.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // madvise, mprotect, futex and exec are what these tests are about.

mod common;

use common::{
    Forked, Owned, OwnedKey, Random, let_a_second_pass, page, peer, root_or_skip, skipped,
};
use std::collections::HashSet;
use std::os::unix::process::CommandExt;
use std::process::Command;
use sysvshm::{ErrorKind, Key, ProcessState, Removal, Segment, SegmentId, SegmentOptions};

fn create(size_bytes: usize) -> Segment {
    let mut options = SegmentOptions::new();
    let options = options.size_bytes(size_bytes).removal(Removal::OnDrop);
    options.create_new(Key::PRIVATE).unwrap()
}

fn read<const N: usize>(segment: &Segment, offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    segment.read_exact_at(offset, &mut bytes).unwrap();
    bytes
}

fn attached(segment: &Segment) -> u64 {
    segment.status().unwrap().attached()
}

#[test]
fn a_forked_child_reads_and_writes_the_same_bytes() {
    peer!(|_| {
        let segment = create(4096);
        segment.write_at(10, b"parent").unwrap();
        Forked::start(|_| {
            assert_eq!(&read(&segment, 10), b"parent");
            segment.write_at(20, b"child").unwrap();
        })
        .finish();
        assert_eq!(&read(&segment, 20), b"child");
    })
    .run();
}

#[test]
fn a_child_that_opens_by_key_twice_sees_the_same_bytes_at_both_addresses() {
    let reader = peer!(|talk| {
        let key: Key = talk.arg(0);
        let first = SegmentOptions::new().open(key).unwrap();
        let second = SegmentOptions::new().open(key).unwrap();
        assert_ne!(first.as_ptr(), second.as_ptr());
        assert_eq!(
            (&read(&first, 0), &read(&second, 0)),
            (b"from above", b"from above")
        );
        first.write_at(0, b"from below").unwrap();
        assert_eq!(&read(&second, 0), b"from below");
    });
    let key = OwnedKey::random();
    let segment = key.create(100, 0o600).attach().unwrap();
    segment.write_at(0, b"from above").unwrap();
    reader.arg(key.key()).run();
    assert_eq!(&read(&segment, 0), b"from below");
}

#[test]
fn a_key_freed_by_removal_names_a_fresh_segment_while_the_old_one_lives_on() {
    let holder = peer!(|talk| {
        let segment = SegmentOptions::new()
            .size_bytes(64)
            .create_new(talk.arg(0))
            .unwrap();
        segment.write_at(0, b"old").unwrap();
        segment.mark_for_removal().unwrap();
        talk.say(segment.id());
        talk.hear();
        assert_eq!(&read(&segment, 0), b"old");
    });
    let key = OwnedKey::random();
    let mut holder = holder.arg(key.key()).start();
    let old = SegmentId::from_raw(holder.hear().parse().unwrap());
    let new = key.create(64, 0o600).attach().unwrap();
    assert_ne!(new.id(), old);
    assert_eq!(
        read(&new, 0),
        [0; 64],
        "a new segment is zeroed, whatever the key named before"
    );
    new.write_at(0, b"new").unwrap();
    holder.say("look");
    holder.finish();
    assert_eq!(old.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    assert_eq!(&read(&new, 0), b"new");
}

#[test]
fn fork_counts_every_attach_again_and_names_the_parent() {
    peer!(|_| {
        let segment = create(100);
        let second = segment.id().attach_read_only().unwrap();
        let before = segment.status().unwrap();
        assert_eq!(before.attached(), 2);
        let_a_second_pass();
        let mut child = Forked::start(|gate| gate.pass());
        child.arrived();
        let during = segment.status().unwrap();
        assert_eq!(during.attached(), 4);
        assert_eq!(during.last_pid(), Some(std::process::id()));
        assert!(during.attach_time() > before.attach_time());
        child.finish();
        assert_eq!(attached(&segment), 2);
        drop(second);
    })
    .run();
}

#[test]
fn exit_and_sigkill_detach_and_name_the_child() {
    peer!(|_| {
        let segment = create(100);
        for killed in [false, true] {
            let before = segment.status().unwrap();
            let mut child = Forked::start(|gate| gate.pass());
            child.arrived();
            let pid = child.pid();
            assert_eq!(attached(&segment), 2);
            let_a_second_pass();
            if killed {
                child.kill();
            } else {
                child.finish();
            }
            let after = segment.status().unwrap();
            assert_eq!(after.attached(), 1);
            assert_eq!(after.last_pid(), Some(pid));
            assert!(after.detach_time() > before.detach_time());
        }
    })
    .run();
}

#[test]
fn exec_detaches_at_once_and_not_only_when_the_new_program_ends() {
    peer!(|_| {
        let segment = create(100);
        let mut child = Forked::start(|gate| {
            gate.pass();
            // A program that stays until it is killed.
            panic!("exec: {}", Command::new("sleep").arg("1000").exec());
        });
        child.arrived();
        assert_eq!(attached(&segment), 2);
        let program = format!("/proc/{}/comm", child.pid());
        child.open();
        while std::fs::read_to_string(&program).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        assert_eq!(attached(&segment), 1);
        child.kill();
        assert_eq!(attached(&segment), 1);
    })
    .run();
}

#[test]
fn an_attach_kept_from_fork_is_not_counted_again() {
    peer!(|_| {
        let segment = create(100);
        // SAFETY: the child below does not touch the segment.
        let advised =
            unsafe { libc::madvise(segment.as_ptr().cast(), page(), libc::MADV_DONTFORK) };
        assert_eq!(advised, 0);
        let mut child = Forked::start(|gate| gate.pass());
        child.arrived();
        assert_eq!(attached(&segment), 1);
        child.finish();
        assert_eq!(attached(&segment), 1);
    })
    .run();
}

#[test]
fn the_count_is_of_mappings_and_not_of_processes() {
    let segment = create(3 * page());
    // SAFETY: the middle page of three; nobody reads it meanwhile.
    let middle = unsafe { segment.as_ptr().add(page()) };
    // SAFETY: as above.
    let changed = unsafe { libc::mprotect(middle.cast(), page(), libc::PROT_NONE) };
    assert_eq!(changed, 0);
    assert_eq!(attached(&segment), 3);
    let id = segment.id();
    // Marked and detached as a whole: the count fell to 0, or it would still be there.
    segment.detach().unwrap();
    assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
}

#[test]
fn a_segment_marked_while_attached_goes_however_its_process_ends() {
    for ending in ["exit", "abort", "kill", "panic"] {
        let holder = peer!(|talk| {
            let segment = create(100);
            segment.mark_for_removal().unwrap();
            let segment = segment.leak();
            talk.say(segment.id());
            talk.hear();
            match talk.args[0].as_str() {
                "exit" => std::process::exit(0),
                "abort" => std::process::abort(),
                "panic" => panic!("as the test wants"),
                _ => talk.hear(),
            };
        });
        let mut holder = holder.arg(ending).start();
        let id = SegmentId::from_raw(holder.hear().parse().unwrap());
        assert_eq!(id.status().unwrap().attached(), 1);
        if ending == "kill" {
            holder.kill();
        } else {
            holder.say("end");
            holder.wait();
        }
        let gone = id.status().unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NoSuchSegment, "{ending}");
    }
}

#[test]
fn a_segment_that_nobody_marks_outlives_all_its_processes() {
    let creator = peer!(|talk| {
        let options = SegmentOptions::new().size_bytes(100).clone();
        let segment = options.create_new(talk.arg(0)).unwrap();
        segment.write_at(0, b"still here").unwrap();
    });
    let key = OwnedKey::random();
    creator.arg(key.key()).run();
    let segment = SegmentOptions::new().open(key.key()).unwrap();
    assert_eq!(&read(&segment, 0), b"still here");
    assert_eq!(
        segment.status().unwrap().creator_state(),
        ProcessState::Dead
    );
}

#[test]
fn parent_and_child_attach_write_and_detach_by_turns_five_hundred_times() {
    const SIZE: usize = 0x32768;
    fn place(round: usize) -> usize {
        round * 397 % (SIZE - 3)
    }
    fn rounds(id: SegmentId, fill: u8) {
        for round in 0..500_usize {
            let segment = id.attach().unwrap();
            segment.write_at(place(round), &[fill; 3]).unwrap();
            segment.detach().unwrap();
        }
    }
    peer!(|_| {
        let owned = Owned::new(SIZE, 0o600);
        let child = Forked::start(|_| rounds(owned.id(), 2));
        rounds(owned.id(), 1);
        child.finish();
        let segment = owned.id().attach().unwrap();
        assert_eq!(attached(&segment), 1);
        let all: [u8; SIZE] = read(&segment, 0);
        // All that both wrote is there, each byte from one of them.
        let written = all.iter().filter(|&&byte| byte != 0).count();
        let places: HashSet<usize> = (0..500)
            .flat_map(|round| place(round)..place(round) + 3)
            .collect();
        assert_eq!(written, places.len());
        assert!(all.iter().all(|byte| *byte <= 2));
    })
    .run();
}

#[test]
fn threads_attach_write_verify_and_detach_segments_of_all_sizes() {
    let one = |seed: u64| {
        let mut random = Random::new(seed);
        for _ in 0..40 {
            let size = 1 + random.below(1000 * page() as u64) as usize;
            let segment = create(size);
            let pattern = random.below(255) as u8 + 1;
            segment.write_at(0, &vec![pattern; size]).unwrap();
            let other = segment.id().attach_read_only().unwrap();
            let mut bytes = vec![0; size];
            other.read_exact_at(0, &mut bytes).unwrap();
            assert!(
                bytes.iter().all(|&byte| byte == pattern),
                "seed {seed}, {size} bytes"
            );
            assert_eq!(attached(&segment), 2);
        }
    };
    std::thread::scope(|scope| {
        for seed in 1..=3 {
            scope.spawn(move || one(seed));
        }
    });
}

#[test]
fn pairs_that_share_keys_and_all_remove_see_only_the_errors_of_removal() {
    let worker = peer!(|talk| {
        let key: Key = talk.arg(0);
        let mut seen = 0_u32;
        for _ in 0..200 {
            let segment = match SegmentOptions::new().size_bytes(4096).open_or_create(key) {
                Ok(segment) => segment,
                Err(error) => panic!("{error}"),
            };
            if read(&segment, 0) != [0] {
                seen += 1;
            }
            segment.write_at(0, &[1]).unwrap();
            match segment.mark_for_removal() {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::NoSuchSegment, "{error}"),
            }
        }
        talk.say(seen);
    });
    let keys: Vec<OwnedKey> = (0..5).map(|_| OwnedKey::random()).collect();
    let workers: Vec<_> = keys
        .iter()
        .flat_map(|key| [key.key(), key.key(), key.key()])
        .map(|key| worker.clone().arg(key).start())
        .collect();
    for worker in workers {
        assert_eq!(worker.finish().len(), 1);
    }
    for key in keys {
        assert_eq!(
            SegmentId::find(key.key()).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}

#[test]
fn two_users_hand_a_flag_to_each_other() {
    const ROUNDS: u8 = 100;
    /// Waits until the flag has this value. The other side's end ends the test's patience, not a clock.
    fn wait_for(segment: &Segment, value: u8) {
        while read(segment, 0) != [value] {
            std::thread::yield_now();
        }
    }
    let other = peer!(|talk| {
        let segment = SegmentOptions::new().open(talk.arg(0)).unwrap();
        let status = segment.status().unwrap();
        assert_ne!(status.owner_uid(), common::euid());
        for round in 1..=ROUNDS {
            wait_for(&segment, round * 2 - 1);
            segment.write_at(0, &[round * 2]).unwrap();
        }
    });
    if !root_or_skip() {
        return;
    }
    let key = OwnedKey::random();
    let segment = key.create(4, 0o666).attach().unwrap();
    let other = other.arg(key.key()).nobody().start();
    for round in 1..=ROUNDS {
        segment.write_at(0, &[round * 2 - 1]).unwrap();
        wait_for(&segment, round * 2);
    }
    other.finish();
}

/// `struct futex_waitv` of linux/futex.h.
#[repr(C)]
struct FutexWaitv {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

#[test]
fn one_process_sleeps_on_futexes_in_thirty_segments_and_another_wakes_the_last() {
    const SEGMENTS: usize = 30;
    /// 32-bit words, and not private: waker and sleeper are different processes.
    const FUTEX2_SIZE_U32: u32 = 2;
    let waker = peer!(|talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let segment = id.attach().unwrap();
        let word = segment.as_ptr().cast::<u32>();
        // Until somebody was asleep there.
        loop {
            // SAFETY: an aligned word inside the segment.
            let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, 1) };
            assert!(woken >= 0);
            if woken == 1 {
                break;
            }
            std::thread::yield_now();
        }
    });
    let segments: Vec<Segment> = (0..SEGMENTS).map(|_| create(4)).collect();
    let waiters: Vec<FutexWaitv> = segments
        .iter()
        .map(|segment| FutexWaitv {
            value: 0,
            address: segment.as_ptr().addr() as u64,
            flags: FUTEX2_SIZE_U32,
            reserved: 0,
        })
        .collect();
    let mut waker = waker.arg(segments[SEGMENTS - 1].id()).start();
    let none = std::ptr::null::<libc::timespec>();
    // SAFETY: as many waiters as stated, each naming an aligned word of a segment that stays attached.
    let woken = unsafe {
        libc::syscall(
            libc::SYS_futex_waitv,
            waiters.as_ptr(),
            SEGMENTS,
            0,
            none,
            libc::CLOCK_MONOTONIC,
        )
    };
    if woken < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        skipped("futex_waitv needs Linux 5.16");
        return;
    }
    assert_eq!(
        woken,
        SEGMENTS as libc::c_long - 1,
        "{}",
        std::io::Error::last_os_error()
    );
    assert_eq!(waker.hear(), "done");
}

#[test]
fn segments_made_in_a_storm_keep_their_pattern_and_go() {
    let storm = peer!(|talk| {
        let mut random = Random::new(talk.arg(0));
        for _ in 0..30 {
            let mut size = 64 * page() + random.below(4096) as usize * page();
            let mut attempts = 0;
            let segment = loop {
                let mut options = SegmentOptions::new();
                options.size_bytes(size).removal(Removal::OnDrop);
                match options.create_new(Key::random().unwrap()) {
                    Ok(segment) => break segment,
                    // Too much for this machine at this moment: ask for less.
                    Err(error)
                        if matches!(
                            error.kind(),
                            ErrorKind::OutOfMemory | ErrorKind::SizeOutOfRange
                        ) =>
                    {
                        size /= 2;
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}"),
                }
                attempts += 1;
                assert!(attempts < 40);
            };
            for (number, offset) in (0..size).step_by(page()).enumerate() {
                segment.write_at(offset, &number.to_ne_bytes()).unwrap();
            }
            for (number, offset) in (0..size).step_by(page()).enumerate() {
                assert_eq!(usize::from_ne_bytes(read(&segment, offset)), number);
            }
        }
    });
    let running: Vec<_> = (1..=2)
        .map(|seed| storm.clone().arg(seed).start())
        .collect();
    for process in running {
        process.finish();
    }
}
