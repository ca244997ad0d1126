//! Handles in forked children and in other namespaces: who detaches, who removes.
//!
//! What counts attaches runs in peers: a fork anywhere in this process would count those of all its tests once
//! more.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)] // unshare, setns and taking handles apart are what these tests are about.

mod common;

use common::{
    Forked, Owned, OwnedKey, at, enter_namespace, enter_new_user_namespace, leave_namespace, peer,
    root_or_skip, skipped, this_namespace, watch,
};
use std::io::{Read, Write};
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use sysvshm::bounded_buffer::{mpmc, spsc};
use sysvshm::{
    AttachFlags, ErrorKind, Key, ReadOnly, ReadWrite, Removal, Segment, SegmentId, SegmentOptions,
    SemaphoreSetOptions, raw,
};

fn create(removal: Removal) -> Segment {
    create_under(Key::PRIVATE, removal)
}

/// With a key, by which the test's guard finds what a forked child leaves: nobody watches those.
fn create_under(key: Key, removal: Removal) -> Segment {
    watch();
    let mut options = SegmentOptions::new();
    options.size_bytes(100).removal(removal);
    options.create_new(key).unwrap()
}

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

fn is_gone(id: SegmentId) -> bool {
    match id.status() {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NoSuchSegment);
            true
        }
    }
}

/// Asserts that the segment is as its creator left it: there, unmarked, attached once.
#[track_caller]
fn assert_untouched(id: SegmentId) {
    let status = id.status().unwrap();
    assert!(!status.is_marked_for_removal());
    assert_eq!(status.attached(), 1);
}

#[test]
fn handles_may_be_sent_to_and_shared_with_other_threads() {
    fn any_thread<T: Send + Sync + 'static>() {}
    any_thread::<Segment<ReadWrite>>();
    any_thread::<Segment<ReadOnly>>();
    any_thread::<SegmentId>();
    any_thread::<SegmentOptions>();
    any_thread::<sysvshm::Status>();
    any_thread::<Key>();
    any_thread::<sysvshm::Error>();
}

#[test]
fn dropping_in_a_forked_child_detaches_there_and_removes_nothing() {
    peer!(|_| {
        let segment = create(Removal::OnDrop);
        let id = segment.id();
        let mut segment = ManuallyDrop::new(segment);
        Forked::start(|_| {
            assert_eq!(attached(id), 2);
            // SAFETY: once in this process; the parent has its own copy of the handle.
            unsafe { ManuallyDrop::drop(&mut segment) };
            assert_eq!(attached(id), 1);
        })
        .finish();
        assert_untouched(id);
        drop(ManuallyDrop::into_inner(segment));
        assert!(is_gone(id), "the creator's own drop does remove");
    })
    .run();
}

#[test]
fn detaching_in_a_forked_child_removes_nothing_either_and_reports_no_error() {
    peer!(|_| {
        let segment = create(Removal::OnDrop);
        let id = segment.id();
        let mut segment = Some(segment);
        Forked::start(|_| segment.take().unwrap().detach().unwrap()).finish();
        assert_untouched(id);
        segment.take().unwrap().detach().unwrap();
        assert!(is_gone(id));
    })
    .run();
}

#[test]
fn a_grandchild_removes_nothing_and_a_childs_own_segment_goes_with_its_handle() {
    let peer = peer!(|talk| {
        let key: Key = talk.arg(0);
        let parents = create(Removal::OnDrop);
        let parents_id = parents.id();
        let mut parents = Some(parents);
        Forked::start(|_| {
            let childs = create_under(key, Removal::OnDrop);
            let childs_id = childs.id();
            let mut childs = Some(childs);
            Forked::start(|_| {
                drop(parents.take());
                drop(childs.take());
            })
            .finish();
            assert_untouched(childs_id);
            drop(childs.take());
            assert!(is_gone(childs_id), "made here, so removed here");
            drop(parents.take());
        })
        .finish();
        assert_untouched(parents_id);
        drop(parents);
        assert!(is_gone(parents_id));
    });
    let key = OwnedKey::random();
    peer.arg(key.key()).run();
}

fn enter_new_pid_namespace() {
    // SAFETY: a plain number; only children forked from here on are affected.
    let done = unsafe { libc::unshare(libc::CLONE_NEWPID) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_child_with_its_parents_pid_in_another_pid_namespace_removes_nothing() {
    let outer = peer!(|talk| {
        let key: Key = talk.arg(0);
        enter_new_pid_namespace();
        // The first process of each namespace has number 1: so creator and child agree.
        Forked::start(|_| {
            assert_eq!(std::process::id(), 1);
            let segment = create_under(key, Removal::OnDrop);
            let id = segment.id();
            let mut segment = Some(segment);
            enter_new_pid_namespace();
            Forked::start(|_| {
                assert_eq!(std::process::id(), 1);
                drop(segment.take());
            })
            .finish();
            assert_untouched(id);
            drop(segment);
            assert!(is_gone(id));
        })
        .finish();
    });
    if root_or_skip() {
        let key = OwnedKey::random();
        outer.arg(key.key()).run();
    }
}

fn exists(pid: u32) -> bool {
    // SAFETY: signal 0 is never delivered.
    unsafe { libc::kill(pid as i32, 0) == 0 }
}

/// Here pid, creator, size and namespace all agree: nothing but the fork itself tells the processes apart.
#[test]
fn a_descendant_that_got_the_dead_creators_pid_removes_nothing() {
    /// Which number the last process of this pid namespace got; writing it chooses the next one.
    const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";
    let outer = peer!(|talk| {
        let key: Key = talk.arg(0);
        enter_new_pid_namespace();
        // Number 1, which must outlive all others of the namespace.
        Forked::start(|_| {
            let (mut results, report) = UnixStream::pair().unwrap();
            let creator = Forked::start(|_| {
                let segment = ManuallyDrop::new(create_under(key, Removal::OnDrop));
                let creator_pid = std::process::id();
                let middle = Forked::start(|_| {
                    // A zombie still has its number.
                    while exists(creator_pid) {
                        std::thread::yield_now();
                    }
                    std::fs::write(LAST_PID, (creator_pid - 1).to_string()).unwrap();
                    Forked::start(|_| {
                        assert_eq!(std::process::id(), creator_pid);
                        let status = segment.status().unwrap();
                        assert_eq!(status.creator_pid(), Some(creator_pid));
                        drop(ManuallyDrop::into_inner(segment));
                    })
                    .finish();
                    (&report).write_all(b"ok").unwrap();
                });
                std::mem::forget(middle);
            });
            creator.finish();
            drop(report);
            let mut result = String::new();
            results.read_to_string(&mut result).unwrap();
            assert_eq!(result, "ok");
            let id = SegmentId::find(key).unwrap();
            assert!(!id.status().unwrap().is_marked_for_removal());
        })
        .finish();
    });
    if !root_or_skip() {
        return;
    }
    if !Path::new(LAST_PID).exists() {
        skipped("choosing a pid needs a kernel with CONFIG_CHECKPOINT_RESTORE");
        return;
    }
    let key = OwnedKey::random();
    outer.arg(key.key()).run();
}

#[test]
fn what_was_inherited_stays_usable_in_the_child() {
    peer!(|_| {
        let segment = create(Removal::OnDrop);
        let reader = segment.id().attach_read_only().unwrap();
        Forked::start(|_| {
            segment.write_at(0, b"child").unwrap();
            let mut bytes = [0; 5];
            reader.read_exact_at(0, &mut bytes).unwrap();
            assert_eq!(&bytes, b"child");
            assert_eq!(segment.status().unwrap().attached(), 4);
            segment.prefault().unwrap();
        })
        .finish();
        let mut bytes = [0; 5];
        reader.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"child");
    })
    .run();
}

#[test]
fn a_segment_marked_once_attached_lives_as_long_as_any_child_that_inherited_it() {
    peer!(|_| {
        let segment = create(Removal::OnceAttached);
        let id = segment.id();
        let mut segment = Some(segment);
        let mut child = Forked::start(|gate| {
            gate.pass();
            segment.as_ref().unwrap().write_at(0, b"alone").unwrap();
            drop(segment.take());
            assert!(is_gone(id));
        });
        child.arrived();
        drop(segment.take());
        assert_eq!(attached(id), 1);
        child.finish();
        assert!(is_gone(id));
    })
    .run();
}

#[test]
fn each_handle_detaches_exactly_once_wherever_it_was_moved() {
    peer!(|_| {
        let owned = Owned::new(100, 0o600);
        let id = owned.id();
        let handles: Vec<Segment> = (0..5).map(|_| id.attach().unwrap()).collect();
        assert_eq!(attached(id), 5);
        let mut handles = handles.into_iter();
        drop(handles.next());
        assert_eq!(attached(id), 4);
        handles.next().unwrap().detach().unwrap();
        assert_eq!(attached(id), 3);
        let third = Box::new(handles.next().unwrap());
        std::thread::spawn(move || drop(third)).join().unwrap();
        assert_eq!(attached(id), 2);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _fourth = handles.next().unwrap();
            panic!("as the test wants");
        }));
        assert!(panicked.is_err());
        assert_eq!(attached(id), 1);
        drop(handles);
        assert_eq!(attached(id), 0);
    })
    .run();
}

/// A second `shmdt` would hit whatever is attached there by then.
#[test]
fn a_detached_handle_leaves_the_next_attach_at_its_address_alone() {
    // Alone in its process, so that no other thread takes the place in between.
    peer!(|_| {
        let (first, second) = (Owned::new(100, 0o600), Owned::new(100, 0o600));
        let segment = first.id().attach().unwrap();
        let address = segment.as_ptr().addr();
        segment.detach().unwrap();
        let next = at(&SegmentOptions::new(), address)
            .attach(second.id())
            .unwrap();
        assert_eq!((attached(first.id()), attached(second.id())), (0, 1));
        drop(next);
        assert_eq!(attached(second.id()), 0);
    })
    .run();
}

#[test]
fn taking_a_handle_apart_keeps_the_count_and_forgets_the_removal() {
    peer!(|_| {
        let key = OwnedKey::random();
        let mut options = SegmentOptions::new();
        options.size_bytes(100).removal(Removal::OnDrop);

        let segment = options.create_new(key.key()).unwrap();
        let (id, address) = segment.into_raw();
        assert_untouched(id);
        // SAFETY: attached read-write by the call above, and given away by it.
        let segment: Segment = unsafe { Segment::from_raw(id, address) }.unwrap();
        assert_eq!(
            (segment.len_bytes(), segment.as_ptr()),
            (100, address.as_ptr())
        );
        assert_untouched(id);
        drop(segment);
        assert_eq!(attached(id), 0);
        assert!(!id.status().unwrap().is_marked_for_removal());
        id.mark_for_removal().unwrap();

        let segment = options.create_new(key.key()).unwrap();
        let id = segment.id();
        let leaked: &'static Segment = segment.leak();
        assert_untouched(id);
        leaked.write_at(0, b"for ever").unwrap();
        // SAFETY: nothing uses the leaked reference any more; the test gives the address back.
        unsafe { raw::shmdt(leaked.as_ptr().cast()) }.unwrap();
        assert_eq!(attached(id), 0);

        std::mem::forget(id.attach().unwrap());
        assert_eq!(attached(id), 1);
    })
    .run();
}

#[test]
fn a_taken_over_address_of_a_gone_segment_is_refused_and_stays_the_callers() {
    peer!(|_| {
        let owned = Owned::new(100, 0o600);
        // SAFETY: without REMAP nothing is replaced.
        let address =
            unsafe { raw::shmat(owned.raw(), std::ptr::null(), AttachFlags::empty()) }.unwrap();
        let wrong = SegmentId::from_raw(i32::MAX);
        // SAFETY: refused, because no segment has this id.
        let refused = unsafe { Segment::<ReadWrite>::from_raw(wrong, address.cast()) };
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::NoSuchSegment);
        assert_eq!(attached(owned.id()), 1);
        // SAFETY: still this test's own.
        unsafe { raw::shmdt(address.as_ptr()) }.unwrap();
    })
    .run();
}

/// The IPC namespace of this thread, to come back to.
#[test]
fn dropping_in_another_ipc_namespace_leaves_that_namespaces_segment_alone() {
    // A namespace of its own to begin with: so both segments get the first identifier there is.
    let peer = peer!(|_| {
        let home = this_namespace();
        let first = create(Removal::OnDrop);
        let id = first.id();
        first.write_at(0, b"first").unwrap();
        leave_namespace();
        // The same process, user, size and, most likely, second: nothing in the status tells the two apart.
        let second = create(Removal::Never);
        assert_eq!(second.id(), id, "otherwise this shows nothing");
        drop(first);
        assert_untouched(id);
        assert_eq!(attached(id), 1);
        drop(second);
        assert!(!id.status().unwrap().is_marked_for_removal());

        // Left behind rather than somebody else's removed, but detached.
        enter_namespace(&home);
        assert_eq!(attached(id), 0);
        let mut bytes = [0; 5];
        id.attach().unwrap().read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"first");
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn dropping_after_coming_back_to_the_namespace_removes() {
    let peer = peer!(|_| {
        let home = this_namespace();
        let segment = create(Removal::OnDrop);
        let id = segment.id();
        leave_namespace();
        enter_namespace(&home);
        drop(segment);
        assert!(is_gone(id));
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn a_changed_mode_or_owner_does_not_keep_a_segment_from_being_removed_on_drop() {
    peer!(|_| {
        for mode in [0o600, 0o000] {
            let segment = create(Removal::OnDrop);
            let id = segment.id();
            common::let_a_second_pass();
            segment.id().set_mode(mode).unwrap();
            drop(segment);
            assert!(is_gone(id), "{mode:o}");
        }
    })
    .run();
}

#[test]
fn removal_on_drop_works_from_a_user_namespace_of_its_own() {
    let peer = peer!(|_| {
        Forked::start(|_| {
            let kept = create(Removal::OnDrop);
            let dropped = create(Removal::OnDrop);
            let ids = [kept.id(), dropped.id()];
            if enter_new_user_namespace() {
                // The creator reads as another user from here.
                assert_ne!(ids[0].status().unwrap().creator_uid(), 12345);
            }
            kept.detach().unwrap();
            drop(dropped);
            assert!(ids.into_iter().all(is_gone));
        })
        .finish();
    });
    if root_or_skip() {
        peer.user(12345).run();
    }
}

#[test]
fn removal_on_drop_that_another_user_would_have_to_do_is_an_error() {
    let peer = peer!(|_| {
        let segment = create(Removal::OnDrop);
        let id = segment.id();
        // SAFETY: plain numbers; there is no way back.
        let done = unsafe { libc::setuid(common::NOBODY) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
        let result = segment.detach();
        common::fails(result, ErrorKind::NotOwner, libc::EPERM);
        assert_eq!(id.status_regardless().unwrap().attached(), 0);
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

#[test]
fn removal_on_drop_that_cannot_reach_the_segment_is_an_error() {
    let peer = peer!(|_| {
        let home = this_namespace();
        let segments = [(); 2].map(|()| create(Removal::OnDrop));
        let ids = [segments[0].id(), segments[1].id()];
        let [first, second] = segments;
        leave_namespace();
        // Once no segment has the number here, once another one has.
        let no_such = first.detach();
        let error = common::fails(no_such, ErrorKind::WrongNamespace, None);
        common::assert_says(&error, &["IPC_RMID", "was detached and stays"]);
        let strangers = [(); 2].map(|()| create(Removal::Never));
        assert_eq!(strangers[1].id(), ids[1], "otherwise this shows nothing");
        common::fails(second.detach(), ErrorKind::WrongNamespace, None);
        assert_untouched(ids[1]);
        enter_namespace(&home);
        for id in ids {
            assert_eq!(attached(id), 0);
            id.mark_for_removal().unwrap();
        }
    });
    if root_or_skip() {
        peer.private_namespace().run();
    }
}

/// Without a number of their own all users read as one.
#[test]
fn a_user_without_a_number_in_this_namespace_counts_as_another() {
    let peer = peer!(|talk| {
        let (segment_key, set_key): (Key, Key) = (talk.arg(0), talk.arg(1));
        let (one_key, many_key): (Key, Key) = (talk.arg(2), talk.arg(3));
        Forked::start(|_| {
            if !enter_new_user_namespace() {
                return;
            }
            let mut options = SegmentOptions::new();
            options.size_bytes(1);
            let creator = SegmentId::find(segment_key)
                .unwrap()
                .status()
                .unwrap()
                .creator_uid();
            assert_eq!(creator, common::euid(), "otherwise this shows nothing");
            let foreign = options.open_or_create(segment_key);
            common::fails(foreign, ErrorKind::ForeignCreator, None);
            let _welcome = options.any_owner(true).open_or_create(segment_key).unwrap();
            let mut options = SemaphoreSetOptions::new();
            let foreign = options.open_or_create(set_key, &[1]);
            common::fails(foreign, ErrorKind::ForeignCreator, None);
            let welcome = options
                .any_owner(true)
                .open_or_create(set_key, &[1])
                .unwrap();
            assert_eq!(welcome.values().unwrap(), [1]);
            let (mut one, mut many) = (spsc::Options::new(), mpmc::Options::new());
            one.capacity(4);
            many.capacity(4);
            let foreign = [
                one.open_or_create::<u8>(one_key).err(),
                many.open_or_create::<u8>(many_key).err(),
            ];
            for error in foreign {
                assert_eq!(
                    error.map(|error| error.kind()),
                    Some(ErrorKind::ForeignCreator)
                );
            }
            one.any_owner(true).open_or_create::<u8>(one_key).unwrap();
            many.any_owner(true).open_or_create::<u8>(many_key).unwrap();
        })
        .finish();
    });
    if root_or_skip() {
        let (segment_key, set_key) = (OwnedKey::random(), common::OwnedSetKey::random());
        segment_key.create(1, 0o666);
        let mut options = SemaphoreSetOptions::new();
        options.mode(0o666).create_new(set_key.key(), &[1]).unwrap();
        let rings = [OwnedKey::random(), OwnedKey::random()];
        let (mut one, mut many) = (spsc::Options::new(), mpmc::Options::new());
        one.capacity(4).mode(0o666);
        one.create_new::<u8>(rings[0].key()).unwrap();
        many.capacity(4).mode(0o666);
        many.create_new::<u8>(rings[1].key()).unwrap();
        let peer = peer.arg(segment_key.key()).arg(set_key.key());
        let peer = peer.arg(rings[0].key()).arg(rings[1].key());
        peer.user(12345).run();
    }
}
