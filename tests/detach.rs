//! Detaching: which addresses `shmdt` takes, and what it finds when other calls have been at the mapping.
#![allow(unsafe_code)] // munmap, mremap and faults on purpose.

mod common;

use common::{
    Owned, assert_says, at, death_of, enter_private_namespace, fails, let_a_second_pass, page,
    peer, root_or_skip,
};
use std::ffi::c_void;
use std::ptr;
use sysvshm::{ErrorKind, Segment, SegmentId, raw};

fn shmdt(address: usize) -> Result<(), sysvshm::Error> {
    // SAFETY: the tests do not use what they detach.
    unsafe { raw::shmdt(ptr::without_provenance(address)) }
}

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

/// Attaches and gives up the guard: the address alone.
fn attach(owned: &Owned) -> usize {
    let (_, address) = owned.id().attach().unwrap().into_raw();
    address.addr().get()
}

fn munmap(address: usize, len: usize) {
    // SAFETY: the tests own the range and do not use it any more.
    let done = unsafe { libc::munmap(ptr::without_provenance_mut(address), len) };
    assert_eq!(done, 0);
}

fn mremap(address: usize, old: usize, new: usize, flags: i32) -> Result<usize, Option<i32>> {
    let address = ptr::without_provenance_mut::<c_void>(address);
    // SAFETY: the tests own the range and use what the call returns instead.
    let moved = unsafe { libc::mremap(address, old, new, flags) };
    if moved == libc::MAP_FAILED {
        return Err(std::io::Error::last_os_error().raw_os_error());
    }
    Ok(moved.addr())
}

#[test]
fn memory_is_gone_after_detaching() {
    let alone = peer!(|_| {
        let owned = Owned::new(4, 0o600);
        let address = attach(&owned);
        let target = ptr::without_provenance_mut::<u8>(address);
        // SAFETY: mapped for writing.
        let write = || unsafe { target.write_volatile(1) };
        assert_eq!(death_of(write), None);
        // In one process that does nothing in between, so that nothing else can be mapped there.
        let detach_and_write = || {
            let _ = shmdt(address);
            write();
        };
        assert_eq!(death_of(detach_and_write), Some(libc::SIGSEGV));
        assert_eq!(attached(owned.id()), 1);
        shmdt(address).unwrap();
        assert_eq!(attached(owned.id()), 0);
    });
    alone.run();
}

#[test]
fn dropping_and_detaching_give_one_attach_back_each() {
    let owned = Owned::new(4, 0o600);
    let first = owned.id().attach().unwrap();
    let second = owned.id().attach_read_only().unwrap();
    assert_eq!(attached(owned.id()), 2);
    drop(first);
    assert_eq!(attached(owned.id()), 1);
    second.detach().unwrap();
    assert_eq!(attached(owned.id()), 0);
}

#[test]
fn only_the_address_of_an_attach_detaches() {
    let owned = Owned::new(3 * page(), 0o600);
    let segment = owned.id().attach().unwrap();
    let base = segment.as_ptr().addr();
    let anonymous = {
        let (len, protection) = (page(), libc::PROT_READ);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: maps free address space.
        unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) }.addr()
    };
    let nothing = ptr::from_ref(&base).addr();
    for address in [
        nothing - nothing % page(), // a page of the stack
        nothing | 1,
        base + 1,      // unaligned
        base + page(), // inside the attach
        0,
        anonymous,
    ] {
        let error = fails(shmdt(address), ErrorKind::NotAttached, libc::EINVAL);
        assert_eq!(error.call(), "shmdt");
        let address = format!("{address:#x}");
        assert_says(&error, &[&address, "EINVAL", "address that shmat returned"]);
    }
    munmap(anonymous, page());
    assert_eq!(attached(owned.id()), 1);
    segment.write_at(3 * page() - 1, b"!").unwrap();
}

#[test]
fn detaching_twice_fails_the_second_time() {
    // Alone: in the tests' own process something else could come to lie there in between.
    let alone = peer!(|_| {
        let owned = Owned::new(4, 0o600);
        let address = attach(&owned);
        shmdt(address).unwrap();
        fails(shmdt(address), ErrorKind::NotAttached, libc::EINVAL);
        assert_eq!(attached(owned.id()), 0);
    });
    alone.run();
}

#[test]
fn what_is_left_of_a_mapping_goes_with_one_detach() {
    let alone = peer!(|_| {
        let owned = Owned::new(3 * page(), 0o600);
        // A hole in the middle.
        let address = attach(&owned);
        munmap(address + page(), page());
        assert_eq!(attached(owned.id()), 2);
        shmdt(address).unwrap();
        assert_eq!(attached(owned.id()), 0);
        // The start is gone, its address still counts.
        let segment = owned.id().attach().unwrap();
        munmap(segment.as_ptr().addr(), page());
        assert_eq!(attached(owned.id()), 1);
        segment.detach().unwrap();
        assert_eq!(attached(owned.id()), 0);
    });
    alone.run();
}

#[test]
fn unmapping_everything_detaches_and_leaves_nothing_to_detach() {
    let alone = peer!(|_| {
        let owned = Owned::new(3 * page(), 0o600);
        let segment = owned.id().attach().unwrap();
        munmap(segment.as_ptr().addr(), 3 * page());
        assert_eq!(attached(owned.id()), 0);
        // `drop` would say nothing.
        fails(segment.detach(), ErrorKind::NotAttached, libc::EINVAL);
    });
    alone.run();
}

#[test]
fn a_moved_mapping_detaches_at_its_new_address() {
    let alone = peer!(|_| {
        let owned = Owned::new(page(), 0o600);
        let old = attach(&owned);
        let spare = Owned::new(page(), 0o600);
        // A place of its own for it to move to, and so away from the old one.
        let target = attach(&spare);
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let from = ptr::without_provenance_mut::<c_void>(old);
        let to = ptr::without_provenance_mut::<c_void>(target);
        // SAFETY: both ranges belong to this test.
        let moved = unsafe { libc::mremap(from, page(), page(), flags, to) };
        assert_eq!(moved.addr(), target);
        assert_eq!((attached(spare.id()), attached(owned.id())), (0, 1));
        fails(shmdt(old), ErrorKind::NotAttached, libc::EINVAL);
        shmdt(target).unwrap();
        assert_eq!(attached(owned.id()), 0);
    });
    alone.run();
}

#[test]
fn a_mapping_grows_only_by_moving_and_faults_past_the_segments_end() {
    let alone = peer!(|_| {
        let owned = Owned::new(page(), 0o600);
        let address = attach(&owned);
        // Something right behind it, so that it cannot grow in place.
        let behind = Owned::new(page(), 0o600);
        let options = at(&sysvshm::SegmentOptions::new(), address + page());
        // It fails if something is there already, which serves as well.
        let _neighbour = options.attach(behind.id());
        let refused = mremap(address, page(), 2 * page(), 0);
        assert_eq!(refused, Err(Some(libc::ENOMEM)));

        let moved = mremap(address, page(), 2 * page(), libc::MREMAP_MAYMOVE).unwrap();
        let at = |offset| ptr::without_provenance_mut::<u8>(moved + offset);
        // SAFETY: mapped and backed.
        let inside = || unsafe { at(page() - 1).write_volatile(1) };
        // SAFETY: mapped; that nothing backs it ends the child.
        let outside = || unsafe { at(page()).write_volatile(1) };
        assert_eq!(death_of(inside), None);
        assert_eq!(death_of(outside), Some(libc::SIGBUS));
        shmdt(moved).unwrap();
        assert_eq!(attached(owned.id()), 0);
    });
    alone.run();
}

#[test]
fn detaching_notes_the_time_and_the_process() {
    let other = peer!(|talk| {
        let segment: Segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        talk.hear();
        segment.detach().unwrap();
    });
    let owned = Owned::new(4, 0o600);
    let created = owned.id().status().unwrap();
    let mut other = other.arg(owned.raw()).start();
    while attached(owned.id()) == 0 {
        std::thread::yield_now();
    }
    // The last process is the other one; attaching here makes it this one.
    drop(owned.id().attach().unwrap());
    let mine = owned.id().status().unwrap();
    assert_eq!(mine.last_pid(), Some(std::process::id()));
    let_a_second_pass();
    let pid = other.pid();
    other.say("detach");
    other.finish();
    let status = owned.id().status().unwrap();
    assert_eq!(status.last_pid(), Some(pid));
    assert!(status.detach_time() > mine.detach_time());
    assert!(status.detach_time() > status.attach_time());
    assert_eq!(status.change_time(), created.change_time());
}

#[test]
fn a_mapping_outlives_the_way_to_its_namespace() {
    let leaver = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        enter_private_namespace();
        let mut bytes = [0; 4];
        segment.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"data");
        // The number means nothing here, the address does.
        fails(segment.status(), ErrorKind::NoSuchSegment, libc::EINVAL);
        talk.say("left");
        talk.hear();
        segment.detach().unwrap();
        talk.say("detached");
        talk.hear();
    });
    if !root_or_skip() {
        return;
    }
    let owned = Owned::new(4, 0o600);
    owned.id().attach().unwrap().write_at(0, b"data").unwrap();
    let mut leaver = leaver.arg(owned.raw()).start();
    assert_eq!(leaver.hear(), "left");
    assert_eq!(attached(owned.id()), 1);
    leaver.say("go on");
    assert_eq!(leaver.hear(), "detached");
    assert_eq!(attached(owned.id()), 0);
    leaver.say("end");
    leaver.finish();
}
