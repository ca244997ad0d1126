//! Attach addresses: which `shmat` takes, and why it refuses the others.
#![allow(unsafe_code)] // Fixed addresses on purpose.

mod common;

use common::{Owned, assert_says, at, fails, page, peer, root_or_skip, skipped};
use std::ptr;
use sysvshm::{AttachFlags, ErrorKind, Segment, SegmentId, SegmentOptions, raw};

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
fn a_free_address_is_taken_as_asked_or_rounded_down() {
    let alone = peer!(|_| {
        let (owned, lba) = (Owned::new(4, 0o600), raw::shmlba());
        let free = free_address(2 * lba).next_multiple_of(lba);
        let segment = at(&SegmentOptions::new(), free).attach(owned.id()).unwrap();
        assert_eq!(segment.as_ptr().addr(), free);
        segment.detach().unwrap();

        let unaligned = free + lba - 1;
        let mut options = at(&SegmentOptions::new(), unaligned);
        let segment = options.round_address(true).attach(owned.id()).unwrap();
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
    let address = 0x4000_0001;
    let error = fails(
        at(&SegmentOptions::new(), address).attach(owned.id()),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
    let lba = raw::shmlba().to_string();
    assert_says(&error, &["address 0x40000001", "EINVAL", "SHMLBA", &lba]);
    fails(
        attach_at(owned.id(), address, AttachFlags::empty()),
        ErrorKind::InvalidAddress,
        libc::EINVAL,
    );
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
        let mut options = at(&SegmentOptions::new(), address);
        options.round_address(true);
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
    fails(
        at(&SegmentOptions::new(), 0).attach(owned.id()),
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
            at(&SegmentOptions::new(), address).attach(owned.id()),
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
        at(&SegmentOptions::new(), 1 << 63).attach(owned.id()),
        ErrorKind::InvalidAddress,
        libc::ENOMEM,
    );
    assert_says(
        &error,
        &[
            "address 0x8000000000000000",
            "ENOMEM",
            "beyond the address space",
        ],
    );
}

#[test]
fn the_heap_and_segments_keep_out_of_each_others_way() {
    let alone = peer!(|_| {
        let owned = Owned::new(page(), 0o600);
        // SAFETY: asks for the present end of the heap.
        let end = unsafe { libc::sbrk(0) }.addr();
        let below = end - end % page() - page();
        let error = fails(
            at(&SegmentOptions::new(), below).attach(owned.id()),
            ErrorKind::InvalidAddress,
            libc::EINVAL,
        );
        assert_says(&error, &["mapped in that range"]);

        let above = end.next_multiple_of(page()) + 16 * page();
        let segment = at(&SegmentOptions::new(), above)
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
