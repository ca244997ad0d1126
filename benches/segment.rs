//! What the wrappers cost beside the raw calls.
//!
//! `cargo bench --bench segment [-- --passes N]`
//!
//! Each pass runs every contender for a few milliseconds, in an order that rotates, so that a slow moment of the machine hits all of them;
//! ratios are formed within a pass, and the median and the quartiles of those are printed. The raw side makes exactly the
//! calls that the documentation of the wrapper lists, `IPC_STAT` included where the length comes from it. Every iteration checks its
//! result: the length and that the first byte can be written and read.
#![allow(unsafe_code)] // The raw calls to compare with.

use std::hint::black_box;
use std::mem;
use std::ptr;
use std::time::Instant;
use sysvshm::{Key, Removal, SegmentId, SegmentOptions};

const SIZES: [usize; 2] = [4 << 10, 1 << 20];
/// Iterations of one contender in one pass: some 2 ms.
const BATCH: u32 = 200;

fn main() {
    let passes = passes_from_arguments();
    println!("median of {passes} passes of {BATCH} iterations, [quartiles]; µs per iteration");
    for size in SIZES {
        println!("\n{size} bytes");
        let keeper = SegmentOptions::new()
            .size_bytes(size)
            .removal(Removal::OnceAttached)
            .create_new(Key::PRIVATE)
            .expect("a segment to attach");
        let id = keeper.id();
        compare(
            "attach + detach",
            passes,
            &mut || raw_attach_detach(id, size),
            &mut || safe_attach_detach(id, size),
        );
        compare(
            "create + attach + detach + remove",
            passes,
            &mut || raw_whole_life(size),
            &mut || safe_whole_life(size),
        );
        compare(
            "the same, removed once attached",
            passes,
            &mut || raw_whole_life(size),
            &mut || safe_removed_once_attached(size),
        );
        compare(
            "the same, removed on drop (checks the identity first)",
            passes,
            &mut || raw_whole_life(size),
            &mut || safe_removed_on_drop(size),
        );
    }
}

fn passes_from_arguments() -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--passes");
    arguments
        .nth(1)
        .map_or(101, |count| count.parse().expect("--passes takes a number"))
}

fn compare(name: &str, passes: usize, raw: &mut dyn FnMut(), safe: &mut dyn FnMut()) {
    let mut raw_times = Vec::with_capacity(passes);
    let mut safe_times = Vec::with_capacity(passes);
    let mut ratios = Vec::with_capacity(passes);
    for pass in 0..passes {
        let (raw_time, safe_time) = if pass % 2 == 0 {
            let raw_time = time(raw);
            (raw_time, time(safe))
        } else {
            let safe_time = time(safe);
            (time(raw), safe_time)
        };
        raw_times.push(raw_time);
        safe_times.push(safe_time);
        ratios.push(safe_time / raw_time);
    }
    let [_, raw_median, _] = quartiles(&mut raw_times);
    let [_, safe_median, _] = quartiles(&mut safe_times);
    let [low, ratio, high] = quartiles(&mut ratios);
    println!(
        "  {name:<55} raw {raw_median:6.2}  sysvshm {safe_median:6.2}  ratio {ratio:.3} [{low:.3}, {high:.3}]"
    );
}

/// Microseconds per iteration of one batch.
fn time(work: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        work();
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
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
