//! Attaching: where a segment lands, what may be done with it there, and why `shmat` refuses.
#![allow(unsafe_code)] // Fixed addresses, mprotect and faults on purpose.

mod common;

use common::{
    Owned, OwnedKey, assert_says, death_of, fails, let_a_second_pass, limit, page, peer,
    root_or_skip, skipped,
};
use std::ffi::c_void;
use std::ptr::{self, NonNull};
use sysvshm::{AttachFlags, ErrorKind, ReadOnly, Segment, SegmentId, SegmentOptions, raw};

/// `raw::shmat` with an address as a number, 0 for any. Never with `REMAP` over memory that is in use.
fn attach_at(id: SegmentId, address: usize, flags: AttachFlags) -> Result<usize, sysvshm::Error> {
    // SAFETY: the tests that pass REMAP own the range.
    let attached = unsafe { raw::shmat(id.as_raw(), ptr::without_provenance(address), flags) };
    attached.map(|attached| attached.addr().get())
}

/// `raw::shmdt` of what [`attach_at`] returned.
fn detach(address: usize) {
    // SAFETY: the tests do not use the memory any more.
    unsafe { raw::shmdt(ptr::without_provenance(address)) }.unwrap();
}

fn attached(id: SegmentId) -> u64 {
    id.status().unwrap().attached()
}

/// An address where `len` bytes are free. For peers: in the test itself other threads map memory all the time.
fn free_address(len: usize) -> usize {
    let probe = Owned::new(len, 0o600);
    let address = attach_at(probe.id(), 0, AttachFlags::empty()).unwrap();
    detach(address);
    address
}

#[test]
fn one_process_reads_what_another_wrote() {
    let writer = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach().unwrap();
        assert_eq!(segment.len_bytes(), 4);
        segment.write_at(0, &42_i32.to_ne_bytes()).unwrap();
        talk.say(segment.status().unwrap().attached());
    });
    let owned = Owned::new(4, 0o600);
    let segment = owned.id().attach().unwrap();
    assert_eq!(attached(owned.id()), 1);
    assert_eq!(writer.arg(owned.raw()).run(), ["2"]);
    let mut number = [0; 4];
    segment.read_exact_at(0, &mut number).unwrap();
    assert_eq!(i32::from_ne_bytes(number), 42);
    assert_eq!(attached(owned.id()), 1);
}

#[test]
fn a_free_address_is_taken_as_asked_or_rounded_down() {
    let alone = peer!(|_| {
        let (owned, lba) = (Owned::new(4, 0o600), raw::shmlba());
        let free = free_address(2 * lba).next_multiple_of(lba);
        let mut options = SegmentOptions::new();
        let segment = options.address(free).attach(owned.id()).unwrap();
        assert_eq!(segment.as_ptr().addr(), free);
        segment.detach().unwrap();

        let unaligned = free + lba - 1;
        options.address(unaligned).round_address(true);
        let segment = options.attach(owned.id()).unwrap();
        assert_eq!(segment.as_ptr().addr(), free);
        segment.detach().unwrap();
        let rounded = attach_at(owned.id(), unaligned, AttachFlags::ROUND).unwrap();
        assert_eq!(rounded, free);
        detach(rounded);
    });
    alone.run();
}

#[test]
fn addresses_that_the_kernel_chooses_are_multiples_of_shmlba() {
    for pages in [1, 7, 1024] {
        let owned = Owned::new(pages * page(), 0o600);
        let segment = owned.id().attach().unwrap();
        assert_eq!(segment.as_ptr().addr() % raw::shmlba(), 0);
    }
}

#[test]
fn a_misaligned_address_is_refused_with_the_multiple_it_should_be() {
    let owned = Owned::new(4, 0o600);
    let address = 0x1_0000_0001;
    let error = fails(
        SegmentOptions::new().address(address).attach(owned.id()),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
    let lba = raw::shmlba().to_string();
    assert_says(&error, &["address 0x100000001", "EINVAL", "SHMLBA", &lba]);
    fails(
        attach_at(owned.id(), address, AttachFlags::empty()),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
}

#[test]
fn reading_works_and_writing_faults_on_a_read_only_attach() {
    let alone = peer!(|_| {
        let owned = Owned::new(4, 0o600);
        let writer = owned.id().attach().unwrap();
        let reader = owned.id().attach_read_only().unwrap();
        writer.write_at(0, b"data").unwrap();
        let mut bytes = [0; 4];
        reader.read_exact_at(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"data");
        let address = reader.as_ptr().cast_mut();
        // SAFETY: mapped memory; the write is to end the child.
        let write = || unsafe { address.write_volatile(1) };
        assert_eq!(death_of(write), Some(libc::SIGSEGV));
        let read = || {
            // SAFETY: mapped memory.
            let _ = unsafe { address.read_volatile() };
        };
        assert_eq!(death_of(read), None);
    });
    alone.run();
}

#[test]
fn a_system_call_that_would_write_to_a_read_only_attach_fails_without_a_signal() {
    let owned = Owned::new(4, 0o600);
    let reader = owned.id().attach_read_only().unwrap();
    let zeros = std::fs::File::open("/dev/zero").unwrap();
    let file = std::os::fd::AsRawFd::as_raw_fd(&zeros);
    let target = reader.as_ptr().cast_mut().cast();
    // SAFETY: four mapped bytes; the kernel checks that they may be written.
    let read = unsafe { libc::read(file, target, 4) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    assert_eq!((read, errno), (-1, Some(libc::EFAULT)));
}

#[test]
fn ids_that_name_nothing_are_told_from_bad_addresses() {
    let removed = Owned::new(4, 0o600);
    removed.id().mark_for_removal().unwrap();
    for raw in [-1, i32::MIN, removed.raw()] {
        let id = SegmentId::from_raw(raw);
        for error in [
            id.attach().unwrap_err(),
            id.attach_read_only().unwrap_err(),
            attach_at(id, 0, AttachFlags::empty()).unwrap_err(),
        ] {
            let error = fails::<()>(Err(error), ErrorKind::NoSuchSegment, libc::EINVAL);
            assert_eq!(error.call(), "shmat");
            let id = format!("id {raw}");
            assert_says(&error, &[&id, "EINVAL", "was removed", "IPC namespace"]);
        }
    }
}

#[test]
fn page_zero_is_refused_even_to_root() {
    let owned = Owned::new(4, 0o600);
    let page_zero = AttachFlags::ROUND;
    for (address, flags) in [
        (1, page_zero),
        (raw::shmlba() - 1, page_zero),
        (1, page_zero | AttachFlags::READ_ONLY),
        (1, page_zero | AttachFlags::REMAP),
    ] {
        let error = fails(
            attach_at(owned.id(), address, flags),
            ErrorKind::InvalidAddress,
            None,
        );
        assert_says(&error, &["SHM_RND", "page 0"]);
        let mut options = SegmentOptions::new();
        options.address(address).round_address(true);
        // SAFETY: the call is refused before anything could be replaced.
        unsafe { options.remap(flags.contains(AttachFlags::REMAP)) };
        let error = fails(options.attach(owned.id()), ErrorKind::InvalidAddress, None);
        assert_says(&error, &["page 0", "leave the address out"]);
        fails(
            options.attach_read_only(owned.id()),
            ErrorKind::InvalidAddress,
            None,
        );
    }
    // An address of 0 is not "any" to those who set one.
    let mut options = SegmentOptions::new();
    fails(
        options.address(0).attach(owned.id()),
        ErrorKind::InvalidAddress,
        None,
    );
    assert_eq!(attached(owned.id()), 0);
}

#[test]
fn the_kernel_refuses_to_replace_page_zero_and_would_map_it_for_root() {
    let as_root = peer!(|_| {
        let owned = Owned::new(4, 0o600);
        let one = ptr::without_provenance(1);
        // SAFETY: nothing is mapped on page 0 that could be replaced.
        let replaced = unsafe { libc::shmat(owned.raw(), one, libc::SHM_RND | libc::SHM_REMAP) };
        let errno = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((replaced.addr(), errno), (usize::MAX, Some(libc::EINVAL)));
        // What the guard of this crate is for: C gets a null pointer that is mapped.
        // SAFETY: maps free address space.
        let mapped = unsafe { libc::shmat(owned.raw(), one, libc::SHM_RND) };
        if mapped.is_null() {
            assert_eq!(attached(owned.id()), 1);
        } else {
            skipped("this kernel does not let root map page 0");
        }
    });
    if root_or_skip() {
        as_root.run();
    }
}

#[test]
fn attaching_twice_gives_two_addresses_of_the_same_bytes() {
    let owned = Owned::new(100, 0o600);
    let first = owned.id().attach().unwrap();
    let second = owned.id().attach().unwrap();
    assert_ne!(first.as_ptr(), second.as_ptr());
    assert_eq!(attached(owned.id()), 2);
    first.write_at(7, b"seen by both").unwrap();
    let mut bytes = [0; 12];
    second.read_exact_at(7, &mut bytes).unwrap();
    assert_eq!(&bytes, b"seen by both");
    first.detach().unwrap();
    assert_eq!(attached(owned.id()), 1);
    second.detach().unwrap();
    assert_eq!(attached(owned.id()), 0);
}

#[test]
fn data_survives_while_nobody_is_attached() {
    let owned = Owned::new(100, 0o600);
    owned.id().attach().unwrap().write_at(0, b"kept").unwrap();
    assert_eq!(attached(owned.id()), 0);
    let mut bytes = [0; 4];
    let again = owned.id().attach().unwrap();
    again.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
}

#[test]
fn an_opener_with_half_the_size_in_mind_gets_the_whole_segment() {
    let alone = peer!(|_| {
        let key = OwnedKey::random();
        let id = key.create(2 * page(), 0o600);
        let half = raw::shmget(key.key(), page(), raw::GetFlags::empty()).unwrap();
        let last = 2 * page() - 1;
        for raw in [id.as_raw(), half] {
            let segment = SegmentId::from_raw(raw).attach().unwrap();
            segment.write_at(last, b"!").unwrap();
            let address = segment.as_ptr().wrapping_add(last);
            // SAFETY: the last byte of the segment.
            let touch = || unsafe { address.write_volatile(1) };
            assert_eq!(death_of(touch), None);
        }
    });
    alone.run();
}

#[test]
fn a_segment_marked_for_removal_can_be_attached_by_id_while_somebody_has_it() {
    let owned = Owned::new(100, 0o600);
    let first = owned.id().attach().unwrap();
    first.mark_for_removal().unwrap();
    first.write_at(0, b"alive").unwrap();
    let second = owned.id().attach().unwrap();
    let mut bytes = [0; 5];
    second.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"alive");
    drop(first);
    assert_eq!(attached(owned.id()), 1);
    drop(second);
    fails(owned.id().attach(), ErrorKind::NoSuchSegment, libc::EINVAL);
}

fn protect(address: *mut u8, len: usize, protection: i32) -> Result<(), Option<i32>> {
    // SAFETY: the callers own the range and know what they may do with it afterwards.
    match unsafe { libc::mprotect(address.cast(), len, protection) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().raw_os_error()),
    }
}

#[test]
fn a_read_only_attach_cannot_be_made_writable_but_a_writable_one_comes_and_goes() {
    let alone = peer!(|_| {
        let owned = Owned::new(page(), 0o600);
        let both = libc::PROT_READ | libc::PROT_WRITE;
        let reader = owned.id().attach_read_only().unwrap();
        let refused = protect(reader.as_ptr().cast_mut(), page(), both);
        assert_eq!(refused, Err(Some(libc::EACCES)));

        let writer = owned.id().attach().unwrap();
        protect(writer.as_ptr(), page(), libc::PROT_READ).unwrap();
        let address = writer.as_ptr();
        // SAFETY: mapped memory; the write is to end the child.
        let write = || unsafe { address.write_volatile(1) };
        assert_eq!(death_of(write), Some(libc::SIGSEGV));
        protect(writer.as_ptr(), page(), both).unwrap();
        writer.write_at(0, b"!").unwrap();
    });
    alone.run();
}

#[test]
fn a_writable_attach_may_become_executable_by_mprotect() {
    let owned = Owned::new(page(), 0o600);
    let segment = owned.id().attach().unwrap();
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    match protect(segment.as_ptr(), page(), all) {
        Ok(()) => segment.write_at(0, b"!").unwrap(),
        Err(errno) => {
            assert_eq!(errno, Some(libc::EACCES));
            skipped("a security module forbids memory that is writable and executable");
        }
    }
}

#[test]
fn mappings_split_by_mprotect_count_as_attaches_and_go_with_one_detach() {
    let alone = peer!(|_| {
        let owned = Owned::new(3 * page(), 0o600);
        let segment = owned.id().attach().unwrap();
        let second = segment.as_ptr().wrapping_add(page());
        protect(second, page(), libc::PROT_NONE).unwrap();
        assert_eq!(attached(owned.id()), 3);
        protect(segment.as_ptr(), 2 * page(), libc::PROT_WRITE).unwrap();
        segment.detach().unwrap();
        assert_eq!(attached(owned.id()), 0);
    });
    alone.run();
}

#[test]
fn an_occupied_range_is_refused_and_left_alone() {
    let owned = Owned::new(2 * page(), 0o600);
    let there = Owned::new(2 * page(), 0o600);
    let segment = there.id().attach().unwrap();
    segment.write_at(0, b"mine").unwrap();
    let base = segment.as_ptr().addr();
    // The same place, and one inside of it: refused for its odd address or for what is there.
    for (address, hint) in [
        (base, "mapped in that range"),
        (base + page(), "mapped in that range"),
        (base + 1, "SHMLBA"),
    ] {
        let error = fails(
            SegmentOptions::new().address(address).attach(owned.id()),
            ErrorKind::InvalidAddress,
            libc::EINVAL,
        );
        assert_says(&error, &[&format!("{address:#x}"), hint]);
    }
    let mut bytes = [0; 4];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"mine");
    assert_eq!(attached(owned.id()), 0);
}

#[test]
fn remap_replaces_what_is_mapped_at_the_address() {
    let (old, new) = (Owned::new(page(), 0o600), Owned::new(page(), 0o600));
    let (_, address) = old.id().attach().unwrap().into_raw();
    new.id().attach().unwrap().write_at(0, b"new").unwrap();
    let flags = AttachFlags::REMAP;
    let at = attach_at(new.id(), address.addr().get(), flags).unwrap();
    assert_eq!(at, address.addr().get());
    assert_eq!((attached(old.id()), attached(new.id())), (0, 1));
    // SAFETY: attached there just now, for writing; this takes over the detaching.
    let segment: Segment = unsafe { Segment::from_raw(new.id(), address) }.unwrap();
    let mut bytes = [0; 3];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"new");
}

#[test]
fn remap_needs_an_address() {
    let owned = Owned::new(page(), 0o600);
    let mut options = SegmentOptions::new();
    // SAFETY: without an address nothing can be replaced.
    unsafe { options.remap(true) };
    for error in [
        options.attach(owned.id()).unwrap_err(),
        attach_at(owned.id(), 0, AttachFlags::REMAP).unwrap_err(),
    ] {
        let error = fails::<()>(Err(error), ErrorKind::InvalidAddress, libc::EINVAL);
        assert_says(&error, &["SHM_REMAP needs an address"]);
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn an_address_of_the_kernel_is_refused() {
    let owned = Owned::new(page(), 0o600);
    let error = fails(
        SegmentOptions::new().address(1 << 63).attach(owned.id()),
        ErrorKind::OutOfMemory,
        libc::ENOMEM,
    );
    assert_says(&error, &["address 0x8000000000000000", "ENOMEM"]);
}

#[test]
fn flags_meant_for_shmget_are_ignored_by_shmat() {
    let alone = peer!(|_| {
        let owned = Owned::new(page(), 0o600);
        let stray = AttachFlags::from_bits_retain(0o666 | libc::IPC_CREAT);
        let address = attach_at(owned.id(), 0, stray).unwrap();
        assert_eq!(attached(owned.id()), 1);
        // SAFETY: mapped for writing.
        let write = || unsafe { ptr::without_provenance_mut::<u8>(address).write_volatile(1) };
        assert_eq!(death_of(write), None);
        detach(address);
    });
    alone.run();
}

#[test]
fn a_limit_on_address_space_is_named_with_its_value() {
    let limited = peer!(|_| {
        const GIB: usize = 1 << 30;
        let mut options = SegmentOptions::new();
        let id = options.size_bytes(GIB).no_reserve(true);
        let owned = Owned(id.create_unattached(sysvshm::Key::PRIVATE).unwrap());
        limit(libc::RLIMIT_AS, 256 << 20);
        let error = fails(owned.id().attach(), ErrorKind::OutOfMemory, libc::ENOMEM);
        assert_says(&error, &["ENOMEM", "268435456 bytes", "RLIMIT_AS"]);
        // Created and not attachable: gone again.
        let key = OwnedKey::random();
        fails(
            options.create_new(key.key()),
            ErrorKind::OutOfMemory,
            libc::ENOMEM,
        );
        fails(
            SegmentId::find(key.key()),
            ErrorKind::NotFound,
            libc::ENOENT,
        );
    });
    limited.run();
}

#[test]
fn the_limit_on_mappings_is_named_with_its_value_and_how_full_it_is() {
    let greedy = peer!(|talk| {
        let max: usize = talk.arg(0);
        let owned = Owned::new(1, 0o600);
        let mut addresses = Vec::with_capacity(max);
        let error = loop {
            match attach_at(owned.id(), 0, AttachFlags::empty()) {
                Ok(address) => addresses.push(address),
                Err(error) => break error,
            }
        };
        let reached = attached(owned.id());
        // Room for this test's own work, before anything is asserted.
        addresses.drain(..100).for_each(detach);
        assert_eq!(reached, addresses.len() as u64 + 100);
        let error = fails::<()>(Err(error), ErrorKind::OutOfMemory, libc::ENOMEM);
        assert_says(&error, &["vm.max_map_count", &format!("have {max}")]);
        let words = error.hint().unwrap();
        let mappings = words.split_once("this process has ").unwrap().1;
        let mappings: usize = mappings.split_once(' ').unwrap().0.parse().unwrap();
        assert!(mappings + 5 > max, "{mappings} of {max}");
    });
    let max = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let max: usize = max.trim().parse().unwrap();
    if max > 200_000 {
        skipped("vm.max_map_count is too large to be reached here");
        return;
    }
    greedy.arg(max).run();
}

#[test]
fn whole_pages_are_mapped_and_zeroed_behind_an_odd_size() {
    let owned = Owned::new(100, 0o600);
    let segment = owned.id().attach().unwrap();
    assert_eq!(segment.len_bytes(), 100);
    let base = segment.as_ptr();
    for offset in 0..page() {
        let byte = base.wrapping_add(offset);
        // SAFETY: inside the one page that is mapped; no other process knows of it.
        assert_eq!(unsafe { byte.read_volatile() }, 0);
        // SAFETY: as above.
        unsafe { byte.write_volatile(0xa5) };
    }
    // Safe code does not get there.
    fails(
        segment.read_exact_at(99, &mut [0; 2]),
        ErrorKind::OutOfBounds,
        None,
    );
}

#[test]
fn a_read_only_attach_leaves_the_same_traces() {
    let reader = peer!(|talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let reader: Segment<ReadOnly> = id.attach_read_only().unwrap();
        let status = reader.status().unwrap();
        assert_eq!(status.attached(), 1);
        assert_eq!(status.last_pid(), Some(std::process::id()));
        assert!(status.attach_time() >= status.change_time());
        assert_eq!(status.detach_time(), None);
    });
    let owned = Owned::new(100, 0o600);
    let created = owned.id().status().unwrap();
    let_a_second_pass();
    let running = reader.arg(owned.raw()).start();
    let pid = running.pid();
    running.finish();
    let status = owned.id().status().unwrap();
    assert_eq!((status.attached(), status.last_pid()), (0, Some(pid)));
    assert!(status.attach_time() > created.change_time());
    assert_eq!(status.change_time(), created.change_time());
}

#[test]
fn the_heap_and_segments_keep_out_of_each_others_way() {
    let alone = peer!(|_| {
        let owned = Owned::new(page(), 0o600);
        // SAFETY: asks for the present end of the heap.
        let end = unsafe { libc::sbrk(0) }.addr();
        let below = end - end % page() - page();
        let error = fails(
            SegmentOptions::new().address(below).attach(owned.id()),
            ErrorKind::InvalidAddress,
            libc::EINVAL,
        );
        assert_says(&error, &["mapped in that range"]);

        let above = end.next_multiple_of(page()) + 16 * page();
        let segment = SegmentOptions::new()
            .address(above)
            .attach(owned.id())
            .unwrap();
        let grow = isize::try_from(32 * page()).unwrap();
        // SAFETY: grows the heap or fails; malloc copes with memory that others take from it.
        let grown = unsafe { libc::sbrk(grow) };
        let errno = std::io::Error::last_os_error().raw_os_error();
        assert_eq!((grown.addr(), errno), (usize::MAX, Some(libc::ENOMEM)));
        segment.write_at(0, b"!").unwrap();
    });
    alone.run();
}

#[test]
fn handing_the_attach_over_keeps_the_count_right() {
    let owned = Owned::new(100, 0o600);
    let segment = owned.id().attach().unwrap();
    let (id, address): (SegmentId, NonNull<u8>) = segment.into_raw();
    assert_eq!((id, attached(id)), (owned.id(), 1));
    // SAFETY: attached there for writing, and this takes over the detaching.
    let again: Segment = unsafe { Segment::from_raw(id, address) }.unwrap();
    assert_eq!((again.len_bytes(), attached(id)), (100, 1));
    drop(again);
    assert_eq!(attached(id), 0);

    let kept: *const c_void = id.attach().unwrap().leak().as_ptr().cast();
    assert_eq!(attached(id), 1);
    detach(kept.addr());
    assert_eq!(attached(id), 0);
}
