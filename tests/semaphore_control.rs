//! What semctl does: looking, setting, owning, listing, removing.

mod common;
#[path = "common/ipc_calls.rs"]
mod ipc_calls;
#[path = "common/seccomp.rs"]
mod seccomp;

use common::{
    CProgram, Forked, OwnedSet, OwnedSetKey, assert_says, enter_new_user_namespace_and, fails,
    let_a_second_pass, limit, lose_proc, page, peer, root_or_skip, set_sysctl,
};
use std::mem::offset_of;
use sysvshm::raw::{self, GetFlags, SemCommand};
use sysvshm::semaphore::Operation;
use sysvshm::{ErrorKind, Key, Mode, SegmentOptions, SemaphoreSet, SemaphoreSetOptions, system};

fn own_pid() -> Option<u32> {
    Some(std::process::id())
}

#[test]
fn values_can_be_read_and_set_one_by_one_and_all_at_once() {
    let set = OwnedSet::new(&[1, 2, 3]);
    assert_eq!(set.values().unwrap(), [1, 2, 3]);
    set.semaphore(1).set_value(32767).unwrap();
    assert_eq!(set.semaphore(1).value().unwrap(), 32767);
    set.set_values(&[0, 7, 9]).unwrap();
    assert_eq!(set.values().unwrap(), [0, 7, 9]);
    let fewer = fails(set.set_values(&[1]), ErrorKind::InvalidInput, None);
    assert_says(&fewer, &["SETALL 1 values", "has 3 semaphores"]);
    fails(set.set_values(&[1; 4]), ErrorKind::InvalidInput, None);
}

#[test]
fn values_beyond_the_largest_are_refused_and_nothing_is_set() {
    let set = OwnedSet::new(&[1, 2]);
    let range = |result: Result<(), _>| {
        let error = fails(result, ErrorKind::ValueOutOfRange, libc::ERANGE);
        assert_says(&error, &["0 to 32767"]);
    };
    range(set.set_values(&[5, 65535]));
    range(set.semaphore(0).set_value(65535));
    range(set.semaphore(0).set_value(32768));
    range(raw::semctl(set.id(), 0, SemCommand::SetVal(-1)).map(drop));
    assert_eq!(set.values().unwrap(), [1, 2]);
}

#[test]
fn the_last_pid_is_that_of_the_last_operation_or_setting() {
    let user = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        set.semaphore(0).release(1).unwrap();
        set.semaphore(1).value().unwrap();
    });
    let set = OwnedSet::new(&[0, 0]);
    assert_eq!(set.semaphore(0).last_pid().unwrap(), own_pid());
    let running = user.arg(set.id()).start();
    let pid = running.pid();
    running.finish();
    assert_eq!(set.semaphore(0).last_pid().unwrap(), Some(pid));
    // Looking leaves no trace.
    assert_eq!(set.semaphore(1).last_pid().unwrap(), own_pid());
    set.semaphore(0).set_value(4).unwrap();
    assert_eq!(set.semaphore(0).last_pid().unwrap(), own_pid());
}

#[test]
fn times_move_with_operations_and_with_changes() {
    let set = OwnedSet::new(&[1]);
    let first = set.status().unwrap();
    let_a_second_pass();
    set.semaphore(0).acquire(1).unwrap();
    let operated = set.status().unwrap();
    assert!(operated.operation_time() > first.operation_time());
    assert_eq!(operated.change_time(), first.change_time());
    let_a_second_pass();
    set.semaphore(0).set_value(1).unwrap();
    let changed = set.status().unwrap();
    assert_eq!(changed.operation_time(), operated.operation_time());
    assert!(changed.change_time() > operated.change_time());
}

#[test]
fn owner_group_and_mode_can_be_given_away() {
    let nobody = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        // The owner may do all, the creator still too.
        set.set_mode(0o000).unwrap();
        fails(set.status(), ErrorKind::PermissionDenied, libc::EACCES);
        set.set_mode(0o660).unwrap();
        set.semaphore(0).acquire(1).unwrap();
    });
    let set = OwnedSet::new(&[1]);
    set.set_mode(0o640).unwrap();
    assert_eq!(set.status().unwrap().mode(), Mode::from(0o640));
    fails(set.set_mode(0o1640), ErrorKind::InvalidInput, None);
    let nobody_at_all = set.set_owner(u32::MAX, 0);
    fails(nobody_at_all, ErrorKind::InvalidInput, libc::EINVAL);
    if root_or_skip() {
        set.set_owner(common::NOBODY, common::NOBODY).unwrap();
        let status = set.status().unwrap();
        assert_eq!(
            (status.owner_uid(), status.creator_uid()),
            (common::NOBODY, 0)
        );
        assert_eq!(status.mode(), Mode::from(0o640));
        nobody.arg(set.id()).nobody().run();
        assert_eq!(set.status().unwrap().mode(), Mode::from(0o660));
    }
}

#[test]
fn only_owner_and_creator_may_change_or_remove() {
    let nobody = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let error = fails(
            set.set_permissions(1, 1, 0o666),
            ErrorKind::NotOwner,
            libc::EPERM,
        );
        assert_says(
            &error,
            &["IPC_SET uid 1", "belongs to uid 0", "has uid 65534"],
        );
        let error = fails(set.remove(), ErrorKind::NotOwner, libc::EPERM);
        assert_says(&error, &["IPC_RMID", "belongs to uid 0"]);
        // The mode alone lets it do everything else.
        set.semaphore(0).set_value(3).unwrap();
    });
    if root_or_skip() {
        let set = OwnedSet::with_mode(&[1], 0o666);
        nobody.arg(set.id()).nobody().run();
        assert_eq!(set.values().unwrap(), [3]);
    }
}

#[test]
fn a_removed_set_is_gone_at_once_for_every_call() {
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[1]).unwrap();
    set.remove().unwrap();
    let gone = |error: Option<sysvshm::Error>| {
        let error = error.expect("this should have failed");
        assert_eq!(error.kind(), ErrorKind::NoSuchSet, "{error}");
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    };
    gone(set.remove().err());
    gone(set.status().err());
    gone(set.values().err());
    gone(set.set_values(&[1]).err());
    gone(set.set_mode(0o600).err());
    let semaphore = set.semaphore(0);
    gone(semaphore.value().err());
    gone(semaphore.set_value(1).err());
    gone(semaphore.last_pid().err());
    gone(semaphore.waiting_for_increase().err());
    gone(semaphore.waiting_for_zero().err());
    gone(semaphore.acquire(1).err());
    gone(semaphore.lock().err());
    // The key is free again.
    SemaphoreSet::create_new(key.key(), &[1, 1]).unwrap();
}

#[test]
fn a_semaphore_that_is_not_there_is_told_from_a_set_that_is_not() {
    let set = OwnedSet::new(&[1, 2]);
    for semaphore in [2, -1, i32::MAX] {
        let missing = raw::semctl(set.id(), semaphore, SemCommand::GetVal);
        let missing = fails(missing, ErrorKind::NoSuchSemaphore, libc::EINVAL);
        assert_says(&missing, &["GETVAL", "has 2 semaphores"]);
    }
    let no_set = raw::semctl(i32::MAX, 0, SemCommand::GetVal);
    fails(no_set, ErrorKind::NoSuchSet, libc::EINVAL);
}

#[test]
fn the_raw_commands_agree_with_the_methods() {
    let key = OwnedSetKey::random();
    let id = raw::semget(key.key(), 2, GetFlags::IPC_CREAT | GetFlags::mode(0o640)).unwrap();
    let set = OwnedSet::guard(SemaphoreSet::from_raw(id).unwrap());
    raw::semctl(id, 0, SemCommand::SetAll(&[4, 5])).unwrap();
    assert_eq!(set.values().unwrap(), [4, 5]);
    let mut values = vec![0; 100];
    assert_eq!(
        raw::semctl(id, 0, SemCommand::GetAll(&mut values)).unwrap(),
        0
    );
    assert_eq!(values, [4, 5]);
    assert_eq!(raw::semctl(id, 1, SemCommand::GetVal).unwrap(), 5);
    assert_eq!(raw::semctl(id, 1, SemCommand::GetNCnt).unwrap(), 0);
    assert_eq!(raw::semctl(id, 1, SemCommand::GetZCnt).unwrap(), 0);
    let pid = raw::semctl(id, 1, SemCommand::GetPid).unwrap();
    assert_eq!(u32::try_from(pid).ok(), own_pid());

    let mut ds = raw::empty_semid_ds();
    raw::semctl(id, 0, SemCommand::IpcStat(&mut ds)).unwrap();
    assert_eq!(ds.sem_nsems, 2);
    ds.sem_perm.mode = 0o600;
    raw::semctl(id, 0, SemCommand::IpcSet(&ds)).unwrap();
    assert_eq!(set.status().unwrap().mode(), Mode::from(0o600));

    let limits = system::semaphore_limits().unwrap();
    let mut info = raw::seminfo::default();
    let highest = raw::semctl(0, 0, SemCommand::IpcInfo(&mut info)).unwrap();
    assert_eq!(
        u64::try_from(info.semmsl).unwrap(),
        limits.max_semaphores_per_set
    );
    assert_eq!(u64::try_from(info.semvmx).unwrap(), limits.max_value);
    let found = (0..=highest).find(|&slot| {
        let mut ds = raw::empty_semid_ds();
        raw::semctl(slot, 0, SemCommand::SemStat(&mut ds)).is_ok_and(|found| found == id)
    });
    let slot = found.expect("the set is in a slot");
    let mut ds = raw::empty_semid_ds();
    let any = raw::semctl(slot, 0, SemCommand::SemStatAny(&mut ds)).unwrap();
    assert_eq!((any, ds.sem_nsems), (id, 2));
    let empty = raw::semctl(31_999, 0, SemCommand::SemStat(&mut ds));
    fails(empty, ErrorKind::NoSuchSet, libc::EINVAL);
    raw::semctl(id, 0, SemCommand::IpcRmid).unwrap();
    assert!(SemaphoreSet::from_raw(id).is_err());
}

#[test]
fn the_list_of_all_sets_is_that_of_proc() {
    let alone = peer!(|_| {
        assert_eq!(system::semaphore_sets().unwrap(), []);
        let made: Vec<_> = [1, 2, 3]
            .map(|len| SemaphoreSet::create_new(Key::random().unwrap(), &vec![0; len]).unwrap())
            .into();
        made[1].set_mode(0o000).unwrap();
        let usage = system::semaphore_usage().unwrap();
        assert_eq!((usage.sets, usage.semaphores), (3, 6));
        let mut info = raw::seminfo::default();
        let highest = raw::semctl(0, 0, SemCommand::SemInfo(&mut info)).unwrap();
        assert_eq!((info.semusz, info.semaem), (3, 6));
        assert!(highest >= 2);

        let table = std::fs::read_to_string("/proc/sysvipc/sem").unwrap();
        let of_proc: Vec<[i64; 8]> = table
            .lines()
            .skip(1)
            .map(|line| {
                // key semid perms nsems uid gid cuid cgid otime ctime
                let words: Vec<&str> = line.split_whitespace().collect();
                let number = |i: usize| words[i].parse::<i64>().unwrap();
                let mode = i64::from_str_radix(words[2], 8).unwrap();
                [
                    number(0),
                    number(1),
                    mode,
                    number(3),
                    number(4),
                    number(5),
                    number(6),
                    number(7),
                ]
            })
            .collect();
        let of_us: Vec<[i64; 8]> = system::semaphore_sets()
            .unwrap()
            .iter()
            .map(|status| {
                [
                    i64::from(status.key().as_raw()),
                    i64::from(status.id()),
                    i64::from(status.mode().bits()),
                    i64::try_from(status.len()).unwrap(),
                    i64::from(status.owner_uid()),
                    i64::from(status.owner_gid()),
                    i64::from(status.creator_uid()),
                    i64::from(status.creator_gid()),
                ]
            })
            .collect();
        assert_eq!(of_us, of_proc);
        assert_eq!(of_us.len(), 3);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn the_list_shows_sets_that_may_not_be_read() {
    let nobody = peer!(|talk| {
        let sets = system::semaphore_sets().unwrap();
        let listed = sets.iter().find(|status| status.id() == talk.arg::<i32>(0));
        let listed = listed.expect("SEM_STAT_ANY asks for no permission");
        assert_eq!((listed.len(), listed.mode()), (2, Mode::from(0o000)));
    });
    if root_or_skip() {
        let set = OwnedSet::new(&[1, 1]);
        set.set_mode(0o000).unwrap();
        nobody.arg(set.id()).nobody().run();
    }
}

#[test]
fn c_agrees_on_numbers_and_layouts() {
    let program = CProgram::compile(
        r#"
        #define _GNU_SOURCE
        #include <stddef.h>
        #include <stdio.h>
        #include <sys/ipc.h>
        #include <sys/sem.h>
        int main(void) {
            printf("%d %d ", SEM_UNDO, IPC_NOWAIT);
            printf("%zu %zu %zu ", sizeof(struct sembuf), offsetof(struct sembuf, sem_op), offsetof(struct sembuf, sem_flg));
            printf("%zu %zu %zu ", sizeof(struct seminfo), offsetof(struct seminfo, semmsl), offsetof(struct seminfo, semaem));
            printf("%zu %zu ", sizeof(struct semid_ds), offsetof(struct semid_ds, sem_otime));
            printf("%zu %zu\n", offsetof(struct semid_ds, sem_ctime), offsetof(struct semid_ds, sem_nsems));
            return 0;
        }
        "#,
    );
    let Some(program) = program else { return };
    let output = program.command().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let of_c: Vec<usize> = text
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let flags = [raw::SEM_UNDO, raw::IPC_NOWAIT].map(|flag| usize::try_from(flag).unwrap());
    let of_us = [
        flags[0],
        flags[1],
        size_of::<raw::sembuf>(),
        offset_of!(raw::sembuf, sem_op),
        offset_of!(raw::sembuf, sem_flg),
        size_of::<raw::seminfo>(),
        offset_of!(raw::seminfo, semmsl),
        offset_of!(raw::seminfo, semaem),
        size_of::<raw::semid_ds>(),
        offset_of!(raw::semid_ds, sem_otime),
        offset_of!(raw::semid_ds, sem_ctime),
        offset_of!(raw::semid_ds, sem_nsems),
    ];
    assert_eq!(of_c, of_us);
}

#[test]
fn a_set_larger_than_any_limit_of_today_is_read_and_set_whole() {
    const MANY: usize = 70_000;
    let alone = peer!(|_| {
        //                 SEMMSL SEMMNS SEMOPM SEMMNI
        set_sysctl("sem", "70000 1000000 500 128");
        let mut values = vec![0; MANY];
        values[MANY - 1] = 7;
        let set = SemaphoreSet::create_new(Key::PRIVATE, &values).unwrap();
        set_sysctl("sem", "250 1000000 500 128");
        assert_eq!(set.values().unwrap(), values);
        values[65_536] = 3;
        set.set_values(&values).unwrap();
        let mut all = Vec::new();
        raw::semctl(set.id(), 0, SemCommand::GetAll(&mut all)).unwrap();
        assert_eq!(all, values);
        // Too few for this set: nothing is set, and nothing beside the values is read.
        let few = raw::semctl(set.id(), 0, SemCommand::SetAll(&values[..10]));
        assert_eq!(few.unwrap_err().raw_os_error(), Some(libc::ERANGE));
        assert_eq!(set.values().unwrap(), values);

        // Numbers of more than 16 bits: semctl knows them, semop does not.
        let far = set.semaphore(65_536);
        assert_eq!((far.index(), far.value().unwrap()), (65_536, 3));
        far.set_value(4).unwrap();
        assert_eq!(far.value().unwrap(), 4);
        assert_eq!(set.semaphore(MANY - 1).value().unwrap(), 7);
        assert!(set.get(MANY).is_none());
        for result in [far.acquire(1), far.try_acquire(1), far.lock().map(drop)] {
            let error = fails(result, ErrorKind::NoSuchSemaphore, None);
            assert_says(&error, &["16 bits"]);
        }
        let listed = set.operate(&[Operation::release(65_536, 1)]);
        fails(listed, ErrorKind::NoSuchSemaphore, None);
        assert_eq!(set.semaphore(65_536).value().unwrap(), 4);
        set.semaphore(65_535).release(1).unwrap();

        let more = SemaphoreSet::create_new(Key::PRIVATE, &[0; 251]);
        let more = fails(more, ErrorKind::CountOutOfRange, libc::EINVAL);
        assert_says(&more, &["1 to 250"]);
        set.remove().unwrap();
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn no_limit_however_high_costs_memory() {
    let alone = peer!(|_| {
        set_sysctl("sem", format!("{} 1000000 500 128", i32::MAX));
        // Room for this program, not for 4 GiB.
        limit(libc::RLIMIT_AS, 1 << 30);
        let set = SemaphoreSet::create_new(Key::PRIVATE, &[5]).unwrap();
        assert_eq!(set.values().unwrap(), [5]);
        set.set_values(&[6]).unwrap();
        assert_eq!(set.values().unwrap(), [6]);
        set.remove().unwrap();
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn values_that_find_no_memory_are_an_error() {
    let alone = peer!(|_| {
        set_sysctl("sem", "1000000 1000000 500 128");
        let id = raw::semget(Key::PRIVATE, 1_000_000, GetFlags::mode(0o600)).unwrap();
        let set = SemaphoreSet::from_raw(id).unwrap();
        assert_eq!(set.len(), 1_000_000);
        let used = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = used.split(' ').next().unwrap().parse().unwrap();
        limit(libc::RLIMIT_AS, pages * page() as u64 + (1 << 20));
        let values = set.values();
        set.remove().unwrap();
        fails(values, ErrorKind::OutOfMemory, libc::ENOMEM);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

#[test]
fn a_user_without_a_number_in_this_namespace_cannot_be_made_the_owner() {
    let alone = peer!(|_| {
        Forked::start(|_| {
            if !enter_new_user_namespace_and(libc::CLONE_NEWIPC) {
                return;
            }
            // Nothing is mapped, so every number but -1 is as unknown as the next.
            let set = SemaphoreSet::create_new(Key::PRIVATE, &[1]).unwrap();
            let segment = SegmentOptions::new()
                .size_bytes(1)
                .create_new(Key::PRIVATE)
                .unwrap();
            for error in [
                set.set_permissions(7, 7, 0o600).unwrap_err(),
                segment.id().set_permissions(7, 7, 0o600).unwrap_err(),
            ] {
                let error = fails::<()>(Err(error), ErrorKind::InvalidInput, libc::EINVAL);
                assert_says(
                    &error,
                    &["IPC_SET uid 7", "does not exist in this user namespace"],
                );
            }
            segment.mark_for_removal().unwrap();
            set.remove().unwrap();
        })
        .finish();
    });
    alone.run();
}

/// `SEM_INFO`, `SEM_STAT_ANY` and `SEM_STAT` of `<linux/sem.h>`.
const LISTING: [i32; 3] = [19, 20, 18];

#[test]
fn the_list_of_sets_is_whole_where_its_calls_are_refused() {
    let listed = |sets: &[SemaphoreSet]| {
        let all = system::semaphore_sets().unwrap();
        let of = |set: &SemaphoreSet| all.iter().find(|status| status.id() == set.id()).cloned();
        let found: Vec<_> = sets.iter().map(|set| of(set).expect("listed")).collect();
        assert_eq!(all.len(), sets.len());
        found
    };
    let peer = peer!(|talk| {
        let errno = talk.arg(0);
        let mut options = SemaphoreSetOptions::new();
        let sets = [(&[1, 2][..], 0o640), (&[0; 3], 0o000)]
            .map(|(values, mode)| options.mode(mode).create_new(Key::PRIVATE, values).unwrap());
        let usual = listed(&sets);
        assert_eq!(
            usual.iter().map(|one| one.len()).collect::<Vec<_>>(),
            [2, 3]
        );
        for command in LISTING {
            seccomp::install(&[seccomp::Answer::semctl(command, errno)]);
            // Alike where one of the calls is refused, two of them, or all three.
            assert_eq!(listed(&sets), usual, "{command}");
        }
        // Without /proc nothing lists them: an error, and not an empty list.
        lose_proc();
        let error = fails(system::semaphore_sets(), ErrorKind::Unsupported, errno);
        assert_says(&error, &["SEM_INFO"]);
        for set in sets {
            set.remove().unwrap();
        }
    });
    if root_or_skip() {
        for errno in [libc::EPERM, libc::ENOSYS] {
            peer.clone().private_namespace().arg(errno).run();
        }
    }
}

#[test]
fn values_that_name_one_set_are_equal() {
    let owned = OwnedSetKey::random();
    let created = SemaphoreSet::create_new(owned.key(), &[1]).unwrap();
    let opened = SemaphoreSet::open(owned.key()).unwrap();
    assert_eq!(created, opened);
    assert_eq!(created, opened.interruptible());
    assert_ne!(created, *OwnedSet::new(&[1]));
    let both = std::collections::HashSet::from([created, opened]);
    assert_eq!(both.len(), 1);
}
