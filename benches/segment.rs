//! What the wrappers cost beside the raw calls.
//!
//! `cargo bench --bench segment [-- --passes N]`
//!
//! Each pass runs every contender for a few milliseconds, in an order that rotates, so that a slow moment of the
//! machine hits all of them; ratios are formed within a pass, and the median and the quartiles of those are
//! printed. The raw side makes exactly the calls that the documentation of the wrapper lists, `IPC_STAT` included
//! where the length comes from it. Every iteration checks its result: the length and that the first byte can be
//! written and read.
#![allow(unsafe_code)] // The raw calls to compare with.

mod interleaved;

use interleaved::{Comparison, passes_from_arguments};
use std::hint::black_box;
use std::mem;
use std::ptr;
use sysvshm::{Key, Removal, SegmentId, SegmentOptions};

const SIZES: [usize; 2] = [4 << 10, 1 << 20];
/// Iterations of one contender in one pass: some 2 ms.
const BATCH: u32 = 200;

fn main() {
    let passes = passes_from_arguments(101);
    println!("median of {passes} passes of {BATCH} iterations, [quartiles]; µs per iteration");
    for size in SIZES {
        println!("\n{size} bytes");
        let keeper = SegmentOptions::new()
            .size_bytes(size)
            .removal(Removal::OnceAttached)
            .create_new(Key::PRIVATE)
            .expect("a segment to attach");
        let id = keeper.id();
        let comparison = Comparison {
            passes,
            batch: BATCH,
            per_second: 1e6,
        };
        let compare = |name, raw: &mut dyn FnMut(), safe: &mut dyn FnMut()| {
            comparison.run(name, &mut || (), raw, safe);
        };
        compare(
            "attach + detach",
            &mut || raw_attach_detach(id, size),
            &mut || safe_attach_detach(id, size),
        );
        compare(
            "create + attach + detach + remove",
            &mut || raw_whole_life(size),
            &mut || safe_whole_life(size),
        );
        compare(
            "the same, removed once attached",
            &mut || raw_whole_life(size),
            &mut || safe_removed_once_attached(size),
        );
        compare(
            "the same, removed on drop (checks the identity first)",
            &mut || raw_whole_life(size),
            &mut || safe_removed_on_drop(size),
        );
    }
}

fn raw_attach_detach(id: SegmentId, size: usize) {
    // SAFETY: no SHM_REMAP.
    let address = unsafe { libc::shmat(id.as_raw(), ptr::null(), 0) };
    assert_ne!(address.addr(), usize::MAX);
    assert_eq!(raw_size(id.as_raw()), size);
    // SAFETY: attached right above, at least one page.
    unsafe { touch(address.cast()) };
    // SAFETY: nobody uses the memory any more.
    assert_eq!(unsafe { libc::shmdt(address) }, 0);
}

fn safe_attach_detach(id: SegmentId, size: usize) {
    let segment = id.attach().expect("attach");
    assert_eq!(segment.len_bytes(), size);
    // SAFETY: attached, at least one page.
    unsafe { touch(segment.as_ptr()) };
    segment.detach().expect("detach");
}

fn raw_whole_life(size: usize) {
    // SAFETY: plain numbers.
    let id = unsafe {
        libc::shmget(
            libc::IPC_PRIVATE,
            size,
            libc::IPC_CREAT | libc::IPC_EXCL | 0o600,
        )
    };
    assert!(id >= 0);
    raw_attach_detach(SegmentId::from_raw(id), size);
    // SAFETY: IPC_RMID ignores the buffer.
    let removed = unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
    assert_eq!(removed, 0);
}

fn safe_whole_life(size: usize) {
    let segment = SegmentOptions::new()
        .size_bytes(size)
        .create_new(Key::PRIVATE)
        .expect("create");
    assert_eq!(segment.len_bytes(), size);
    // SAFETY: attached, at least one page.
    unsafe { touch(segment.as_ptr()) };
    let id = segment.id();
    segment.detach().expect("detach");
    id.mark_for_removal().expect("remove");
}

fn safe_removed_once_attached(size: usize) {
    let segment = SegmentOptions::new()
        .size_bytes(size)
        .removal(Removal::OnceAttached)
        .create_new(Key::PRIVATE)
        .expect("create");
    assert_eq!(segment.len_bytes(), size);
    // SAFETY: attached, at least one page.
    unsafe { touch(segment.as_ptr()) };
    segment.detach().expect("detach");
}

fn safe_removed_on_drop(size: usize) {
    let segment = SegmentOptions::new()
        .size_bytes(size)
        .removal(Removal::OnDrop)
        .create_new(Key::PRIVATE)
        .expect("create");
    assert_eq!(segment.len_bytes(), size);
    // SAFETY: attached, at least one page.
    unsafe { touch(segment.as_ptr()) };
    segment.detach().expect("detach");
}

/// Writes and reads the first byte, so that neither side gets away with a mapping that does not work.
///
/// # Safety
///
/// `first` is attached for writing, and no other process uses the segment.
unsafe fn touch(first: *mut u8) {
    // SAFETY: the caller's.
    unsafe { first.write_volatile(7) };
    // SAFETY: the caller's.
    assert_eq!(black_box(unsafe { first.read_volatile() }), 7);
}

fn raw_size(id: i32) -> usize {
    // SAFETY: integers only: all zeros is a value.
    let mut status: libc::shmid_ds = unsafe { mem::zeroed() };
    // SAFETY: a whole shmid_ds.
    let answered = unsafe { libc::shmctl(id, libc::IPC_STAT, &raw mut status) };
    assert_eq!(answered, 0);
    status.shm_segsz
}
