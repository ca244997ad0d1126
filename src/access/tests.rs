//! The accesses against plain Rust on a private buffer; guard pages, races and processes are tested from outside.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a test compares several accesses to one buffer that only it knows"
)]

use super::*;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// A buffer nothing refers to but raw pointers, aligned to a cache line.
struct Buffer(*mut u8, std::alloc::Layout);

impl Buffer {
    fn new(len: usize) -> Self {
        let layout = std::alloc::Layout::from_size_align(len, 64).expect("a valid layout");
        // SAFETY: the layout is not empty.
        Self(unsafe { std::alloc::alloc_zeroed(layout) }, layout)
    }

    /// Fills it with bytes that all differ from their neighbours and returns the same as the model.
    fn pattern(&self, seed: u8) -> Vec<u8> {
        let model: Vec<u8> = (0..self.1.size())
            .map(|i| (i as u8).wrapping_mul(37).wrapping_add(seed))
            .collect();
        // SAFETY: both sides have `size` bytes, and nobody else touches the buffer.
        unsafe { self.0.copy_from_nonoverlapping(model.as_ptr(), model.len()) };
        model
    }

    fn bytes(&self) -> Vec<u8> {
        // SAFETY: nobody else touches the buffer.
        unsafe { core::slice::from_raw_parts(self.0, self.1.size()) }.to_vec()
    }

    fn at<T>(&self, offset: usize) -> *mut T {
        assert!(offset + size_of::<T>() <= self.1.size());
        // SAFETY: just checked to be inside.
        unsafe { self.0.add(offset) }.cast()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { std::alloc::dealloc(self.0, self.1) };
    }
}

#[test]
fn copies_move_exactly_what_was_asked_at_every_length_and_alignment() {
    let shared = Buffer::new(512);
    let source: Vec<u8> = (0..400)
        .map(|i| (i as u8).wrapping_mul(91).wrapping_add(7))
        .collect();
    for len in (0..=200).chain([255, 256, 257, 300]) {
        for offset in 0..64 {
            let mut model = shared.pattern(3);
            let from = len % 5;
            // SAFETY: `offset + len` lies inside the buffer, `from + len` inside the source.
            unsafe { copy_in(shared.at(offset), source.as_ptr().add(from), len) };
            model[offset..offset + len].copy_from_slice(&source[from..from + len]);
            assert!(shared.bytes() == model, "copy_in of {len} at {offset}");

            let mut out = vec![0xEE; len + 2];
            // SAFETY: `offset + len` lies inside the buffer, `1 + len` inside `out`.
            unsafe { copy_out(shared.at(offset), out.as_mut_ptr().add(1), len) };
            assert_eq!(
                out[1..=len],
                model[offset..offset + len],
                "copy_out of {len} at {offset}"
            );
            assert_eq!(
                (out[0], out[len + 1]),
                (0xEE, 0xEE),
                "copy_out of {len} at {offset} ran over"
            );
        }
    }
}

#[test]
fn copy_within_is_memmove() {
    let shared = Buffer::new(512);
    for len in (0..=130).chain([200, 255]) {
        for (from, to) in [
            (0, 0),
            (0, 1),
            (1, 0),
            (3, 11),
            (11, 3),
            (8, 64),
            (64, 8),
            (5, 200),
            (200, 5),
            (17, 33),
        ] {
            let mut model = shared.pattern(9);
            // SAFETY: both runs end before 512.
            unsafe { copy_within(shared.at(from), shared.at(to), len) };
            model.copy_within(from..from + len, to);
            assert!(
                shared.bytes() == model,
                "copy_within of {len} from {from} to {to}"
            );
        }
    }
}

#[test]
fn a_megabyte_takes_the_other_path_and_arrives_whole() {
    let len = (1 << 20) + 13;
    let shared = Buffer::new(2 * len + 64);
    let mut model = shared.pattern(1);
    let source: Vec<u8> = (0..len).map(|i| (i / 3) as u8 ^ (i >> 9) as u8).collect();
    // SAFETY: all runs lie inside the buffer.
    unsafe {
        copy_in(shared.at(5), source.as_ptr(), len);
        copy_within(shared.at(5), shared.at(len + 20), len);
        copy_within(shared.at(5), shared.at(9), len);
    }
    model[5..5 + len].copy_from_slice(&source);
    model.copy_within(5..5 + len, len + 20);
    model.copy_within(5..5 + len, 9);
    assert!(shared.bytes() == model);
    let mut out = vec![0; len];
    // SAFETY: as above.
    unsafe { copy_out(shared.at(len + 20), out.as_mut_ptr(), len) };
    assert!(out == source);
}

#[test]
fn elements_of_every_size_go_in_and_out() {
    fn check<const N: usize>() {
        let shared = Buffer::new(N + 80);
        let value: [u8; N] = core::array::from_fn(|i| (i as u8).wrapping_mul(113).wrapping_add(5));
        for offset in 0..17 {
            let mut model = shared.pattern(0x55);
            // SAFETY: inside the buffer.
            unsafe { store::<[u8; N]>(shared.at(offset), value) };
            model[offset..offset + N].copy_from_slice(&value);
            assert!(shared.bytes() == model, "store of {N} at {offset}");
            // SAFETY: inside the buffer.
            let back = unsafe { load::<[u8; N]>(shared.at(offset)) };
            assert!(back == value, "load of {N} at {offset}");
        }
    }
    macro_rules! sizes { ($($n:literal)*) => { $(check::<$n>();)* } }
    sizes!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 19 20 23 24 25 28 31 32 33 40 47 48 56 63 64 65 72 80 96 100);
    sizes!(104 112 120 127 128 129 130 144 200 256 1000 4096);
}

#[test]
fn fill_repeats_elements_of_every_size() {
    fn check<const N: usize>() {
        let shared = Buffer::new(N * 41 + 64);
        for value in [
            core::array::from_fn(|i| (i as u8).wrapping_mul(29).wrapping_add(1)),
            [0xA5; N],
        ] {
            for count in 0..40 {
                let mut model = shared.pattern(0x33);
                // SAFETY: `count` elements from 7 on lie inside the buffer.
                unsafe { fill::<[u8; N]>(shared.at(7), value, count) };
                for i in 0..count {
                    model[7 + i * N..7 + (i + 1) * N].copy_from_slice(&value);
                }
                assert!(shared.bytes() == model, "fill of {count} times {N}");
            }
        }
    }
    macro_rules! sizes { ($($n:literal)*) => { $(check::<$n>();)* } }
    sizes!(1 2 3 4 5 6 7 8 9 12 16 24 32 40 48 64 100 512 513 1000 1024 4096);
}

#[test]
fn atomics_compute_what_std_computes() {
    macro_rules! check {
        ($($t:ty)*) => {$({
            let shared = Buffer::new(64);
            let p = shared.at::<$t>(8);
            let values = [0, 1, 5, <$t>::MAX, <$t>::MIN, <$t>::MAX / 3, 0x5A];
            for a in values {
                for b in values {
                    // SAFETY: `p` is inside the buffer and a multiple of the size.
                    unsafe {
                        for order in [Relaxed, Release, SeqCst] {
                            atomic_store(p, a, order);
                        }
                        for order in [Relaxed, Acquire, SeqCst] {
                            assert_eq!(atomic_load(p, order), a);
                            assert_eq!(atomic_load_read_only(p, order), a);
                        }
                        assert_eq!(atomic_swap(p, b, AcqRel), a);
                        assert_eq!(atomic_compare_exchange(p, b, a, SeqCst, Acquire), Ok(b));
                        if a != b {
                            assert_eq!(atomic_compare_exchange(p, b, b, AcqRel, Relaxed), Err(a));
                        }
                        assert_eq!(atomic_fetch_add(p, b, Relaxed), a);
                        assert_eq!(atomic_fetch_sub(p, b, Relaxed), a.wrapping_add(b));
                        assert_eq!(atomic_update(p, SeqCst, |v| v.and(b)), a);
                        assert_eq!(atomic_update(p, SeqCst, |v| v.or(a)), a & b);
                        assert_eq!(atomic_update(p, SeqCst, |v| v.xor(b)), (a & b) | a);
                        assert_eq!(atomic_update(p, SeqCst, |v| v.max(b)), a ^ b);
                        assert_eq!(atomic_update(p, SeqCst, |v| v.complement()), (a ^ b).max(b));
                        assert_eq!(atomic_load(p, SeqCst), !(a ^ b).max(b));
                        assert_eq!(atomic_load(shared.at::<u64>(0), Relaxed), 0, "wrote below");
                        assert_eq!(atomic_load(shared.at::<u64>(16), Relaxed), 0, "wrote above");
                        atomic_store(p, 0, SeqCst);
                    }
                }
            }
        })*};
    }
    check!(u8 i8 u16 i16 u32 i32 u64 i64 usize isize);
}

#[test]
fn orderings_that_do_not_exist_are_refused() {
    let shared = Buffer::new(64);
    let p = shared.at::<u32>(0) as usize;
    let refused = |f: fn(*mut u32)| std::panic::catch_unwind(move || f(p as *mut u32)).is_err();
    // SAFETY: the buffer outlives the calls.
    assert!(refused(|p| unsafe {
        let _ = atomic_load(p, Release);
    }));
    // SAFETY: as above.
    assert!(refused(|p| unsafe {
        let _ = atomic_load(p, AcqRel);
    }));
    // SAFETY: as above.
    assert!(refused(|p| unsafe { atomic_store(p, 1, Acquire) }));
    // SAFETY: as above.
    assert!(refused(|p| unsafe {
        let _ = atomic_compare_exchange(p, 0, 1, SeqCst, Release);
    }));
}

#[test]
fn threads_counting_together_lose_nothing() {
    let shared = Buffer::new(64);
    let counter = shared.at::<u64>(8) as usize;
    std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| {
            scope.spawn(move || {
                for _ in 0..10_000 {
                    // SAFETY: the buffer outlives the scope; 8 is a multiple of the size.
                    unsafe { atomic_fetch_add(counter as *mut u64, 3, Relaxed) };
                    // SAFETY: as above.
                    unsafe { atomic_update(counter as *mut u64, Relaxed, |v| v - 1) };
                }
            })
        });
        // A thread sanitizer sees the end of a joined thread; that of the scope is inside an uninstrumented std.
        for thread in threads {
            thread.join().expect("no panic");
        }
    });
    // SAFETY: as above.
    let total = unsafe { atomic_load(counter as *const u64, Relaxed) };
    assert_eq!(total, 4 * 10_000 * 2);
}
