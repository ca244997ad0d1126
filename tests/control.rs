//! `shmctl`: looking at a segment, changing it, locking it, marking it for removal.
#![allow(unsafe_code)] // Raw attaches in loops, a remapping of pages, one call with a command that does not exist.

mod common;

use common::{
    Owned, OwnedKey, Running, assert_says, death_of, egid, euid, fails, let_a_second_pass, limit,
    page, peer, root_or_skip, skipped, sysctl,
};
use std::fs::File;
use std::time::Duration;
use sysvshm::raw::{self, Command};
use sysvshm::{AttachFlags, ErrorKind, Key, Mode, SegmentId, SegmentOptions, Status, system};

fn shmctl(id: SegmentId, command: Command<'_>) -> Result<i32, sysvshm::Error> {
    raw::shmctl(id.as_raw(), command)
}

/// The segment as `SHM_STAT` shows it, found slot by slot as `ipcs` does.
fn by_slot(id: SegmentId) -> Option<raw::shmid_ds> {
    let highest = raw::shmctl(0, Command::IpcInfo(&mut raw::shminfo::default())).unwrap();
    (0..=highest).find_map(|slot| {
        let mut ds = raw::empty_shmid_ds();
        let found = raw::shmctl(slot, Command::ShmStat(&mut ds));
        (found.ok() == Some(id.as_raw())).then_some(ds)
    })
}

fn by_id(id: SegmentId) -> raw::shmid_ds {
    let mut ds = raw::empty_shmid_ds();
    shmctl(id, Command::IpcStat(&mut ds)).unwrap();
    ds
}

/// The line of `/proc/sysvipc/shm` about a segment, by column.
fn proc_line(id: SegmentId) -> Option<std::collections::HashMap<String, String>> {
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let mut lines = table.lines().map(str::split_whitespace);
    let titles = lines.next().unwrap();
    let line = lines.find(|fields| fields.clone().nth(1) == Some(&id.to_string()))?;
    Some(
        titles
            .map(str::to_owned)
            .zip(line.map(str::to_owned))
            .collect(),
    )
}

#[test]
fn all_ways_to_look_agree() {
    let owned = OwnedKey::random();
    let id = owned.create(4097, 0o640);
    let (ds, slot) = (by_id(id), by_slot(id).unwrap());
    let listed = system::segments().unwrap().into_iter();
    let listed = listed
        .map(|entry| entry.status)
        .find(|status| status.id() == id);
    let status = id.status().unwrap();
    assert_eq!(listed.unwrap(), status);
    for ds in [ds, slot] {
        assert_eq!((ds.shm_segsz, ds.shm_nattch), (4097, 0));
        assert_eq!(ds.shm_cpid, std::process::id() as i32);
        assert_eq!(u32::from(ds.shm_perm.mode), 0o640);
        assert_eq!((ds.shm_perm.uid, ds.shm_perm.cgid), (euid(), egid()));
        let changed = status.change_time().unwrap();
        let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(ds.shm_ctime as u64, changed.as_secs());
    }
    let line = proc_line(id).unwrap();
    assert_eq!(line["size"], "4097");
    assert_eq!(line["perms"], "640");
    assert_eq!(line["key"], owned.key().as_raw().to_string());
}

#[test]
fn slots_are_found_by_the_low_part_of_an_id_and_empty_ones_are_told() {
    let owned = Owned::new(10, 0o600);
    let mut ds = raw::empty_shmid_ds();
    // The kernel drops the sequence number of an id that is passed as a slot.
    let found = shmctl(owned.id(), Command::ShmStat(&mut ds)).unwrap();
    assert_eq!((found, ds.shm_segsz), (owned.raw(), 10));
    let found = shmctl(owned.id(), Command::ShmStatAny(&mut ds)).unwrap();
    assert_eq!((found, ds.shm_segsz), (owned.raw(), 10));
    let beyond: i32 = sysctl("shmmni").parse().unwrap();
    if beyond >= 32_768 {
        skipped("shmmni is so large that no slot is surely empty");
    } else {
        let error = fails(
            raw::shmctl(beyond, Command::ShmStat(&mut ds)),
            ErrorKind::NoSuchSegment,
            libc::EINVAL,
        );
        assert_says(&error, &["slot", "SHM_STAT", "empty"]);
    }
}

#[test]
fn the_count_of_attaches_follows_other_processes() {
    let attacher = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        talk.say("attached");
        talk.hear();
        segment.detach().unwrap();
        talk.say("detached");
        talk.hear();
    });
    let owned = Owned::new(10, 0o600);
    let both = || {
        let slot = by_slot(owned.id()).unwrap().shm_nattch;
        (by_id(owned.id()).shm_nattch, slot)
    };
    assert_eq!(both(), (0, 0));
    let attacher = attacher.arg(owned.raw());
    let mut running: Vec<Running> = (0..20).map(|_| attacher.start()).collect();
    for peer in &mut running {
        assert_eq!(peer.hear(), "attached");
    }
    assert_eq!(both(), (20, 20));
    for (done, peer) in running.iter_mut().enumerate() {
        peer.say("detach");
        assert_eq!(peer.hear(), "detached");
        assert_eq!(both().0, 19 - done as libc::shmatt_t);
    }
    assert_eq!(both(), (0, 0));
    for mut peer in running {
        peer.say("end");
        peer.finish();
    }
}

#[test]
fn inherited_attaches_count_until_each_child_gives_its_own_back() {
    let parent = peer!(|_| {
        let owned = Owned::new(10, 0o600);
        let segment = owned.id().attach().unwrap();
        let base = segment.as_ptr();
        let mut gates = [0; 2];
        // SAFETY: two file descriptors are written.
        let done = unsafe { libc::pipe(gates.as_mut_ptr()) };
        assert_eq!(done, 0);
        let children: [i32; 20] = std::array::from_fn(|_| {
            // SAFETY: the child makes system calls alone and ends.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: a byte on the child's own stack; waits until the parent closes its end.
                unsafe { libc::close(gates[1]) };
                let mut byte = 0_u8;
                // SAFETY: one byte of room.
                unsafe { libc::read(gates[0], (&raw mut byte).cast(), 1) };
                // SAFETY: the child does not use the memory.
                let failed = unsafe { libc::shmdt(base.cast()) };
                // SAFETY: ends the child.
                unsafe { libc::_exit(failed) };
            }
            child
        });
        assert_eq!(segment.status().unwrap().attached(), 21);
        // SAFETY: this test's own end of the pipe.
        unsafe { libc::close(gates[1]) };
        for child in children {
            let mut status = 0;
            // SAFETY: a child of this process.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0);
        }
        assert_eq!(segment.status().unwrap().attached(), 1);
        segment.detach().unwrap();
        assert_eq!(owned.id().status().unwrap().attached(), 0);
    });
    parent.run();
}

#[test]
fn ids_that_name_nothing_are_refused_by_every_command() {
    let removed = Owned::new(10, 0o600);
    removed.id().mark_for_removal().unwrap();
    // Negative, gone, and never given out.
    for raw in [-1, removed.raw(), 123_456_789] {
        let id = SegmentId::from_raw(raw);
        if raw == 123_456_789 && id.status().is_ok() {
            skipped("id 123456789 exists");
            continue;
        }
        for error in [
            id.status().unwrap_err(),
            id.set_permissions(euid(), egid(), 0o600).unwrap_err(),
            id.set_mode(0o600).unwrap_err(),
            id.set_owner(euid(), egid()).unwrap_err(),
            id.lock_in_memory().unwrap_err(),
            id.unlock_from_memory().unwrap_err(),
            id.mark_for_removal().unwrap_err(),
        ] {
            let error = fails::<()>(Err(error), ErrorKind::NoSuchSegment, libc::EINVAL);
            assert_eq!(error.call(), "shmctl");
            let id = format!("id {raw}");
            assert_says(&error, &[&id, "EINVAL", "was removed", "IPC namespace"]);
        }
    }
}

#[test]
fn commands_that_do_not_exist_are_refused_and_cannot_be_passed() {
    let owned = Owned::new(10, 0o600);
    for command in [-1, 9999] {
        // SAFETY: no buffer is passed for the kernel to write.
        let done = unsafe { libc::shmctl(owned.raw(), command, std::ptr::null_mut()) };
        let errno = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((done, errno), (-1, Some(libc::EINVAL)));
    }
    // `raw::Command` cannot say them.
}

#[test]
fn the_limits_are_those_of_the_files() {
    let limits = system::limits().unwrap();
    let mut info = raw::shminfo::default();
    raw::shmctl(0, Command::IpcInfo(&mut info)).unwrap();
    for (name, ours, raw) in [
        ("shmmax", limits.max_segment_bytes, info.shmmax),
        ("shmmni", limits.max_segments, info.shmmni),
        ("shmall", limits.max_pages, info.shmall),
    ] {
        let mut file: u64 = sysctl(name).parse().unwrap();
        if cfg!(target_pointer_width = "32") {
            // What a 64-bit kernel tells 32-bit programs (`copy_compat_shminfo_to_user` in `ipc/shm.c`).
            let narrow = u64::from(file as u32);
            file = if name == "shmmax" {
                file.min(i32::MAX as u64)
            } else {
                narrow
            };
        }
        #[allow(clippy::useless_conversion)] // c_ulong is 32 bits wide on some targets.
        let raw = u64::from(raw);
        assert_eq!((ours, raw), (file, file), "{name}");
    }
    assert_eq!(info.shmmin, 1);
    assert!(info.shmseg > 0);
    assert_eq!(limits.page_bytes, page() as u64);
}

#[test]
fn changing_the_mode_shows_and_moves_the_change_time() {
    let owned = Owned::new(10, 0o666);
    let before = owned.id().status().unwrap();
    let_a_second_pass();
    owned.id().set_mode(0o600).unwrap();
    let after = owned.id().status().unwrap();
    assert_eq!(after.mode(), Mode::from(0o600));
    let moved = after.change_time().unwrap();
    let moved = moved.duration_since(before.change_time().unwrap()).unwrap();
    assert!(moved >= Duration::from_secs(1));
    // Nothing else changed.
    assert_eq!(after.size_bytes(), before.size_bytes());
    assert_eq!(after.owner_uid(), before.owner_uid());
    assert_eq!((after.attach_time(), after.last_pid()), (None, None));
    owned.id().set_mode(0o666).unwrap();
    assert_eq!(owned.id().status().unwrap().mode(), before.mode());
}

#[test]
fn writing_the_owner_back_counts_as_a_change() {
    let owned = Owned::new(10, 0o640);
    let before = owned.id().status().unwrap();
    let_a_second_pass();
    let (uid, gid) = (before.owner_uid(), before.owner_gid());
    owned.id().set_owner(uid, gid).unwrap();
    let after = owned.id().status().unwrap();
    assert!(after.change_time() > before.change_time());
    assert_eq!((after.mode(), after.owner_uid()), (before.mode(), uid));
}

#[test]
fn set_takes_nine_mode_bits_and_no_size() {
    let owned = Owned::new(10, 0o600);
    let segment = owned.id().attach().unwrap();
    segment.mark_for_removal().unwrap();
    let mut ds = by_id(owned.id());
    ds.shm_perm.mode = 0o177_777;
    ds.shm_segsz = 77;
    shmctl(owned.id(), Command::IpcSet(&ds)).unwrap();
    let status = owned.id().status().unwrap();
    assert_eq!(status.mode(), Mode::from(0o777));
    assert_eq!(status.size_bytes(), 10);
    assert!(status.is_marked_for_removal() && !status.is_locked_in_memory());
    // The safe call refuses what the kernel would cut.
    let error = fails(
        owned.id().set_permissions(euid(), egid(), 0o177_777),
        ErrorKind::InvalidInput,
        None,
    );
    assert_says(&error, &["IPC_SET", "nine bits"]);
}

#[test]
fn a_marked_segment_lives_without_its_key_until_the_last_detach() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    let first = id.attach().unwrap();
    let second = id.attach().unwrap();
    first.write_at(0, b"data").unwrap();
    // Marking again is no error and costs no attach.
    for _ in 0..6 {
        first.mark_for_removal().unwrap();
        let status = id.status().unwrap();
        assert!(status.is_marked_for_removal());
        assert_eq!((status.key(), status.size_bytes()), (Key::PRIVATE, 100));
        assert_eq!((status.attached(), status.mode()), (2, Mode::from(0o600)));
        assert_eq!(by_id(id).shm_perm.mode & 0o1000, 0o1000);
    }
    fails(
        SegmentOptions::new().open(owned.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    // Another segment may have the key at once; both exist.
    let other = owned.create(100, 0o600);
    assert_ne!(other, id);
    other.attach().unwrap().write_at(0, b"else").unwrap();
    let mut bytes = [0; 4];
    second.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"data");
    // The mark stays whatever is set.
    id.set_mode(0o640).unwrap();
    assert!(id.status().unwrap().is_marked_for_removal());
    drop(first);
    assert_eq!(id.status().unwrap().attached(), 1);
    drop(second);
    fails(id.status(), ErrorKind::NoSuchSegment, libc::EINVAL);
    assert_eq!(SegmentId::find(owned.key()).unwrap(), other);
}

#[test]
fn a_removed_id_stays_dead_when_its_slot_is_used_again() {
    let first = Owned::new(10, 0o600);
    first.id().mark_for_removal().unwrap();
    let slot = first.raw() % 32_768;
    let mut reused = false;
    for _ in 0..200 {
        let next = Owned::new(10, 0o600);
        assert_ne!(next.id(), first.id());
        if next.raw() % 32_768 == slot {
            reused = true;
            let attach = first.id().attach().unwrap_err();
            assert_eq!(attach.kind(), ErrorKind::NoSuchSegment);
            for error in [
                first.id().status().unwrap_err(),
                first.id().set_mode(0o666).unwrap_err(),
                first.id().lock_in_memory().unwrap_err(),
                first.id().mark_for_removal().unwrap_err(),
            ] {
                // The manual pages promise EIDRM, Linux says EINVAL; the kind is the same.
                assert_eq!(error.kind(), ErrorKind::NoSuchSegment);
                let errno = error.raw_os_error();
                assert!(matches!(errno, Some(libc::EINVAL | libc::EIDRM)));
            }
            assert_eq!(next.id().status().unwrap().mode(), Mode::from(0o600));
            break;
        }
    }
    if !reused {
        skipped("the slot was not used again in 200 creations");
    }
}

#[test]
fn the_mark_shows_in_proc_and_the_key_as_a_signed_number() {
    let key = Key::from_raw(i32::MIN | (Key::random().unwrap().as_raw() >> 1));
    let owned = OwnedKey::guard(key);
    let id = owned.create(100, 0o640);
    let line = proc_line(id).unwrap();
    assert!(line["key"].starts_with('-'));
    // What the file says, the crate reads.
    assert_eq!(line["key"].parse::<Key>().unwrap(), key);
    let _segment = id.attach().unwrap();
    id.mark_for_removal().unwrap();
    assert_eq!(proc_line(id).unwrap()["perms"], "1640");
    assert_eq!(proc_line(id).unwrap()["key"], "0");
}

#[test]
fn an_attach_shows_in_the_process_map_under_its_key_and_id() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    let segment = id.attach().unwrap();
    let line = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = format!("{:x}-", segment.as_ptr().addr());
        let line = maps.lines().find(|line| line.starts_with(&start));
        line.unwrap().to_owned()
    };
    let before = line();
    let name = format!("/SYSV{:08x} (deleted)", owned.key().as_raw());
    assert!(before.ends_with(&name), "{before}");
    let fields: Vec<&str> = before.split_whitespace().collect();
    assert_eq!(fields[1], "rw-s");
    assert_eq!(fields[4], id.to_string());
    segment.mark_for_removal().unwrap();
    assert_eq!(line(), before);
}

#[test]
fn locking_shows_and_repeating_it_changes_nothing() {
    let owned = Owned::new(page(), 0o600);
    match owned.id().lock_in_memory() {
        Err(error) if error.kind() == ErrorKind::LockLimit => {
            skipped(&format!("this user may lock nothing: {error}"));
            return;
        }
        locked => locked.unwrap(),
    }
    for _ in 0..2 {
        let status: Status = owned.id().status().unwrap();
        assert!(status.is_locked_in_memory());
        assert_eq!(status.mode(), Mode::from(0o600));
        assert_eq!(by_id(owned.id()).shm_perm.mode, 0o2600);
        assert_eq!(proc_line(owned.id()).unwrap()["perms"], "2600");
        owned.id().lock_in_memory().unwrap();
    }
    for _ in 0..2 {
        owned.id().unlock_from_memory().unwrap();
        assert!(!owned.id().status().unwrap().is_locked_in_memory());
    }
    assert_eq!(shmctl(owned.id(), Command::ShmLock).unwrap(), 0);
    assert_eq!(shmctl(owned.id(), Command::ShmUnlock).unwrap(), 0);
}

#[test]
fn the_limit_on_locked_memory_is_named_with_its_value() {
    let limited = peer!(|_| {
        let owned = Owned::new(16 * page(), 0o600);
        limit(libc::RLIMIT_MEMLOCK, page() as u64);
        let error = fails(
            owned.id().lock_in_memory(),
            ErrorKind::LockLimit,
            libc::ENOMEM,
        );
        let bytes = format!("{} bytes", page());
        assert_says(&error, &["SHM_LOCK", "ENOMEM", &bytes, "RLIMIT_MEMLOCK"]);
        limit(libc::RLIMIT_MEMLOCK, 0);
        let error = fails(
            owned.id().lock_in_memory(),
            ErrorKind::LockLimit,
            libc::EPERM,
        );
        assert_says(&error, &["EPERM", "0 bytes", "RLIMIT_MEMLOCK"]);
        assert!(!owned.id().status().unwrap().is_locked_in_memory());
    });
    if euid() == 0 {
        // Root is above the limit.
        limited.nobody().run();
    } else {
        limited.run();
    }
}

#[test]
fn attaching_survives_that_another_thread_removes_and_recreates_the_key() {
    let alone = peer!(|_| {
        const ROUNDS: usize = 3000;
        let owned = OwnedKey::random();
        let key = owned.key();
        std::thread::scope(|scope| {
            let remover = scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let mut options = SegmentOptions::new();
                    let segment = options.size_bytes(2 * page()).open_or_create(key).unwrap();
                    let removed = segment.mark_for_removal();
                    let gone = |error: sysvshm::Error| error.kind() == ErrorKind::NoSuchSegment;
                    assert!(removed.map_or_else(gone, |()| true));
                }
            });
            let mut attached = 0;
            while attached < 100 || !remover.is_finished() {
                let flags = raw::GetFlags::IPC_CREAT | raw::GetFlags::mode(0o600);
                let id = raw::shmget(key, 2 * page(), flags).unwrap();
                // SAFETY: nothing is replaced.
                let base = unsafe { raw::shmat(id, std::ptr::null(), AttachFlags::empty()) };
                let base = match base {
                    Ok(base) => base,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::NoSuchSegment, "{error}");
                        let errno = error.raw_os_error();
                        assert!(matches!(errno, Some(libc::EINVAL | libc::EIDRM)));
                        continue;
                    }
                };
                attached += 1;
                // The call that once crashed kernels in this situation: rearranges the pages within the mapping.
                // SAFETY: the first page of this attach.
                let done = unsafe { libc::remap_file_pages(base.as_ptr(), page(), 0, 1, 0) };
                let errno = std::io::Error::last_os_error().raw_os_error();
                let expected = matches!(errno, Some(libc::EINVAL | libc::EIDRM | libc::ENOSYS));
                assert!(done == 0 || expected, "{errno:?}");
                // SAFETY: not used any more.
                unsafe { raw::shmdt(base.as_ptr()) }.unwrap();
            }
        });
    });
    alone.run();
}

/// Why the documentation names it: nothing that a process does keeps root from this.
#[test]
fn root_can_take_the_pages_of_a_segment_away() {
    let as_root = peer!(|_| {
        let owned = Owned::new(2 * page(), 0o600);
        let segment = owned.id().attach().unwrap();
        segment.write_at(page(), b"x").unwrap();
        let start = segment.as_ptr().addr();
        let path = format!("/proc/self/map_files/{start:x}-{:x}", start + 2 * page());
        let file = match File::options().write(true).open(path) {
            Ok(file) => file,
            Err(error) => return skipped(&format!("no way to the files behind mappings: {error}")),
        };
        file.set_len(0).unwrap();
        assert_eq!(owned.id().status().unwrap().size_bytes(), 2 * page());
        let touch = || drop(segment.read_at(page(), &mut [0]));
        assert_eq!(death_of(touch), Some(libc::SIGBUS));
    });
    if root_or_skip() {
        as_root.run();
    }
}
