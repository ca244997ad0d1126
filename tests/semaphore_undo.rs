//! What the kernel takes back when a process ends, and what a forked child must leave alone.

mod common;

use common::{
    Forked, OwnedSet, assert_says, enter_namespace, fails, leave_namespace, peer, root_or_skip,
    this_namespace, until,
};
use sysvshm::semaphore::Operation;
use sysvshm::{ErrorKind, Key, SemaphoreSet};

#[test]
fn a_killed_holder_gives_back_what_it_took_with_undo_and_nothing_else() {
    let holder = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let guard = set.semaphore(0).lock().unwrap();
        set.semaphore(1).acquire(2).unwrap();
        set.semaphore(2).with_undo().release(3).unwrap();
        let list = [
            Operation::acquire(3, 1).with_undo(),
            Operation::acquire(4, 1),
        ];
        set.operate(&list).unwrap();
        talk.say("holding");
        talk.hear();
        drop(guard);
    });
    let set = OwnedSet::new(&[1, 5, 0, 1, 1]);
    let mut running = holder.arg(set.id()).start();
    assert_eq!(running.hear(), "holding");
    assert_eq!(set.values().unwrap(), [0, 3, 3, 0, 0]);
    running.kill();
    // Reaped, so the kernel is through with it.
    assert_eq!(set.values().unwrap(), [1, 3, 0, 1, 0]);
    // The next one simply gets the lock.
    set.semaphore(0).try_lock().unwrap().unlock().unwrap();
}

#[test]
fn a_waiter_gets_the_lock_of_a_killed_holder() {
    let holder = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let _guard = set.semaphore(0).lock().unwrap();
        talk.say("holding");
        talk.hear();
    });
    let waiter = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let guard = set.semaphore(0).lock().unwrap();
        talk.say("mine");
        guard.unlock().unwrap();
    });
    let set = OwnedSet::new(&[1]);
    let mut holding = holder.arg(set.id()).start();
    assert_eq!(holding.hear(), "holding");
    let waiting = waiter.arg(set.id()).start();
    until(|| set.semaphore(0).waiting_for_increase().unwrap() == 1);
    holding.kill();
    assert_eq!(waiting.finish(), ["mine"]);
    assert_eq!(set.values().unwrap(), [1]);
}

#[test]
fn an_undo_stops_at_zero() {
    let raiser = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        set.semaphore(0).with_undo().release(3).unwrap();
        talk.say("raised");
        talk.hear();
    });
    let set = OwnedSet::new(&[0]);
    let mut running = raiser.arg(set.id()).start();
    assert_eq!(running.hear(), "raised");
    // Why undo is wrong for counters that one process raises and another lowers: these 2 were rightly used ...
    set.semaphore(0).acquire(2).unwrap();
    running.kill();
    // ... and the end of the raiser takes back as much of its 3 as is there.
    assert_eq!(set.values().unwrap(), [0]);
}

#[test]
fn setting_a_value_forgets_what_would_be_undone() {
    let holder = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        set.semaphore(0).with_undo().acquire(1).unwrap();
        set.semaphore(1).with_undo().acquire(1).unwrap();
        talk.say("holding");
        talk.hear();
    });
    for all_at_once in [false, true] {
        let set = OwnedSet::new(&[1, 1]);
        let mut running = holder.clone().arg(set.id()).start();
        assert_eq!(running.hear(), "holding");
        let after = if all_at_once {
            set.set_values(&[1, 1]).unwrap();
            [1, 1]
        } else {
            set.semaphore(0).set_value(1).unwrap();
            [1, 1] // the second by undo
        };
        running.kill();
        assert_eq!(set.values().unwrap(), after);
    }
}

#[test]
fn a_thread_that_ends_undoes_nothing_its_process_does() {
    let poster = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        std::thread::spawn(move || set.semaphore(0).with_undo().release(1).unwrap())
            .join()
            .unwrap();
        talk.say(set.semaphore(0).value().unwrap());
        talk.hear();
    });
    let set = OwnedSet::new(&[0]);
    let mut running = poster.arg(set.id()).start();
    assert_eq!(running.hear(), "1");
    assert_eq!(set.values().unwrap(), [1]);
    running.say("end");
    running.finish();
    assert_eq!(set.values().unwrap(), [0]);
}

#[test]
fn two_processes_that_alternate_with_undo_never_lose_the_count() {
    let player = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        for _ in 0..1000 {
            let ball = set.semaphore(0).with_undo();
            ball.acquire(1).unwrap();
            ball.release(1).unwrap();
        }
    });
    let set = OwnedSet::new(&[1]);
    let players = [(); 2].map(|()| player.clone().arg(set.id()).start());
    for running in players {
        running.finish();
    }
    assert_eq!(set.values().unwrap(), [1]);
}

#[test]
fn a_guard_unlocks_when_its_owner_panics() {
    let set = OwnedSet::new(&[1]);
    let mutex = set.semaphore(0);
    let panicked = std::panic::catch_unwind(|| {
        let _guard = mutex.lock().unwrap();
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.is_err());
    assert_eq!(mutex.value().unwrap(), 1);
    // A leaked one stays.
    std::mem::forget(mutex.lock().unwrap());
    fails(mutex.try_lock(), ErrorKind::WouldBlock, libc::EAGAIN);
}

#[test]
fn a_guard_whose_set_was_removed_drops_quietly_and_tells_who_asks() {
    let set = OwnedSet::new(&[1, 1]);
    let (dropped, asked) = (
        set.semaphore(0).lock().unwrap(),
        set.semaphore(1).lock().unwrap(),
    );
    set.remove().unwrap();
    drop(dropped);
    fails(asked.unlock(), ErrorKind::NoSuchSet, libc::EINVAL);
}

#[test]
fn a_forked_child_neither_releases_nor_undoes_what_its_parent_holds() {
    let parent = peer!(|talk| {
        let set = SemaphoreSet::from_raw(talk.arg(0)).unwrap();
        let (first, second) = (
            set.semaphore(0).lock().unwrap(),
            set.semaphore(1).lock().unwrap(),
        );
        let mut inherited = Some((first, second));
        let child = Forked::start(|_| {
            let (first, second) = inherited.take().unwrap();
            drop(first);
            fails(second.unlock(), ErrorKind::Forked, None);
            assert_eq!(set.values().unwrap(), [0, 0, 1]);
            // What the child locks by itself is its own.
            let own = set.semaphore(2).lock().unwrap();
            assert_eq!(set.values().unwrap(), [0, 0, 0]);
            own.unlock().unwrap();
        });
        child.finish();
        // The child's end undid nothing either.
        assert_eq!(set.values().unwrap(), [0, 0, 1]);
        drop(inherited);
        assert_eq!(set.values().unwrap(), [1, 1, 1]);
    });
    let set = OwnedSet::new(&[1, 1, 1]);
    parent.arg(set.id()).run();
    assert_eq!(set.values().unwrap(), [1, 1, 1]);
}

#[test]
fn a_guard_of_another_ipc_namespace_leaves_that_namespaces_set_alone() {
    let alone = peer!(|_| {
        let set = SemaphoreSet::create_new(Key::PRIVATE, &[1]).unwrap();
        let home = this_namespace();
        let guards = [(); 2].map(|()| {
            let guard = set.semaphore(0).lock().unwrap();
            set.semaphore(0).set_value(1).unwrap();
            guard
        });
        leave_namespace();
        // A stranger's set of the same number, made and held by another process.
        Forked::start(|_| {
            let stranger = SemaphoreSet::create_new(Key::PRIVATE, &[1]).unwrap();
            stranger.semaphore(0).acquire(1).unwrap();
        })
        .finish();
        let stranger = SemaphoreSet::from_raw(set.id()).unwrap();
        assert_ne!(stranger, set);
        assert_eq!(stranger.values().unwrap(), [0]);
        let [dropped, unlocked] = guards;
        drop(dropped);
        let error = fails(unlocked.unlock(), ErrorKind::WrongNamespace, None);
        assert_says(&error, &["another set here"]);
        assert_eq!(stranger.values().unwrap(), [0]);
        stranger.remove().unwrap();

        // Back home a guard whose set another process touched meanwhile is released all the same.
        enter_namespace(&home);
        set.semaphore(0).set_value(1).unwrap();
        let guard = set.semaphore(0).lock().unwrap();
        Forked::start(|_| set.semaphore(0).wait_for_zero().unwrap()).finish();
        guard.unlock().unwrap();
        assert_eq!(set.values().unwrap(), [1]);
        set.remove().unwrap();
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}
