//! The accesses in Rust's own relaxed atomics: for processors without an assembly path, and for the tools that
//! cannot look into assembly (Miri, ThreadSanitizer, AddressSanitizer).
//!
//! Where the shared side is aligned a machine word moves at a time, elsewhere a byte. An element of 1, 2, 4 or (on
//! 64-bit targets) 8 bytes at an address that is a multiple of its size is one access.
#![allow(
    unsafe_code,
    reason = "atomic accesses through raw pointers are what this module is for"
)]
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a run of moves within one checked length rests on one argument, written once above it"
)]

use core::mem::{MaybeUninit, size_of};
use core::sync::atomic::Ordering::{self, Relaxed};
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicUsize, fence};

#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;

use super::{Word, check_load, check_store};

const WORD: usize = size_of::<usize>();

macro_rules! integer {
    ($t:ty, $atomic:ty) => {
        impl Word for $t {
            #[inline(always)]
            unsafe fn load(p: *const Self, order: Ordering) -> Self {
                check_load(order);
                // SAFETY: the caller vouches for aligned, mapped bytes; nothing here makes a plain access to them.
                unsafe { <$atomic>::from_ptr(p.cast_mut()) }.load(order)
            }
            #[inline(always)]
            unsafe fn load_read_only(p: *const Self, order: Ordering) -> Self {
                check_load(order);
                // Only a relaxed load of at most a pointer's width is promised to work on read-only pages, so the
                // order comes from fences: std::sync::atomic, "Atomic accesses to read-only memory".
                if matches!(order, Ordering::SeqCst) {
                    fence(Ordering::SeqCst);
                }
                // SAFETY: the caller's own promise.
                let value = unsafe { <$t as Word>::load(p, Relaxed) };
                if !matches!(order, Relaxed) {
                    fence(Ordering::Acquire);
                }
                value
            }
            #[inline(always)]
            unsafe fn store(p: *mut Self, value: Self, order: Ordering) {
                check_store(order);
                // SAFETY: as for `load`, and writable.
                unsafe { <$atomic>::from_ptr(p) }.store(value, order);
            }
            #[inline(always)]
            unsafe fn swap(p: *mut Self, value: Self, order: Ordering) -> Self {
                // SAFETY: as for `store`.
                unsafe { <$atomic>::from_ptr(p) }.swap(value, order)
            }
            #[inline(always)]
            unsafe fn compare_exchange(
                p: *mut Self,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                check_load(failure);
                // SAFETY: as for `store`.
                unsafe { <$atomic>::from_ptr(p) }.compare_exchange(current, new, success, failure)
            }
            #[inline(always)]
            unsafe fn compare_exchange_weak(
                p: *mut Self,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                check_load(failure);
                // SAFETY: as for `store`.
                unsafe { <$atomic>::from_ptr(p) }
                    .compare_exchange_weak(current, new, success, failure)
            }
            #[inline(always)]
            unsafe fn fetch_add(p: *mut Self, value: Self, order: Ordering) -> Self {
                // SAFETY: as for `store`.
                unsafe { <$atomic>::from_ptr(p) }.fetch_add(value, order)
            }
        }
    };
}

integer!(u8, AtomicU8);
integer!(u16, AtomicU16);
integer!(u32, AtomicU32);
#[cfg(target_has_atomic = "64")]
integer!(u64, AtomicU64);

#[inline(always)]
unsafe fn load_byte(p: *const u8) -> u8 {
    // SAFETY: the caller vouches for the byte; no access here is plain.
    unsafe { AtomicU8::from_ptr(p.cast_mut()) }.load(Relaxed)
}

#[inline(always)]
unsafe fn store_byte(p: *mut u8, value: u8) {
    // SAFETY: the caller vouches for the byte; no access here is plain.
    unsafe { AtomicU8::from_ptr(p) }.store(value, Relaxed);
}

#[inline(always)]
unsafe fn load_word(p: *const u8) -> usize {
    // SAFETY: the caller vouches for an aligned word; no access here is plain.
    unsafe { AtomicUsize::from_ptr(p.cast_mut().cast()) }.load(Relaxed)
}

#[inline(always)]
unsafe fn store_word(p: *mut u8, value: usize) {
    // SAFETY: the caller vouches for an aligned word; no access here is plain.
    unsafe { AtomicUsize::from_ptr(p.cast()) }.store(value, Relaxed);
}

/// A hint, and there is none that is portable.
#[inline(always)]
pub(super) fn prefetch(_: *const u8) {}

/// As above.
#[inline(always)]
pub(super) fn prefetch_far(_: *const u8) {}

/// As above.
#[inline(always)]
pub(super) fn prefetch_to_write(_: *const u8) {}

/// Nothing: as above.
#[inline(always)]
pub(super) fn prefetch_lines_to_write(_: *const u8, _: usize) {}

/// The same value.
#[inline(always)]
pub(super) fn hidden(value: u64) -> u64 {
    value
}

/// How many bytes from `shared` on are moved singly before the first whole word, if a word follows at all.
fn head(shared: *const u8, len: usize) -> usize {
    let head = shared.addr().wrapping_neg() % WORD;
    if len >= head + WORD { head } else { len }
}

/// Private memory to shared memory.
///
/// # Safety
/// As [`super::copy_in`].
pub(super) unsafe fn copy_in(dst: *mut u8, src: *const u8, len: usize) {
    let head = head(dst, len);
    let words_end = head + (len - head) / WORD * WORD;
    // SAFETY: all three runs lie within `len`; the middle one starts aligned on the shared side.
    unsafe {
        for at in (0..head).chain(words_end..len) {
            store_byte(dst.add(at), src.add(at).read());
        }
        for at in (head..words_end).step_by(WORD) {
            store_word(dst.add(at), src.add(at).cast::<usize>().read_unaligned());
        }
    }
}

/// Shared memory to private memory.
///
/// # Safety
/// As [`super::copy_out`].
pub(super) unsafe fn copy_out(src: *const u8, dst: *mut u8, len: usize) {
    let head = head(src, len);
    let words_end = head + (len - head) / WORD * WORD;
    // SAFETY: all three runs lie within `len`; the middle one starts aligned on the shared side.
    unsafe {
        for at in (0..head).chain(words_end..len) {
            dst.add(at).write(load_byte(src.add(at)));
        }
        for at in (head..words_end).step_by(WORD) {
            dst.add(at)
                .cast::<usize>()
                .write_unaligned(load_word(src.add(at)));
        }
    }
}

/// Shared memory to shared memory, as if through a private copy in between.
///
/// # Safety
/// As [`super::copy_within`].
pub(super) unsafe fn copy_within(src: *const u8, dst: *mut u8, len: usize) {
    let together = src.addr() % WORD == dst.addr() % WORD;
    let head = if together { head(dst, len) } else { len };
    let words_end = head + (len - head) / WORD * WORD;
    // SAFETY: every index lies within `len`, and the words are aligned on both sides. The order keeps a byte from
    // being overwritten before it is read: upwards when the destination lies below the source, downwards otherwise.
    unsafe {
        if dst.addr() <= src.addr() {
            for at in 0..head {
                store_byte(dst.add(at), load_byte(src.add(at)));
            }
            for at in (head..words_end).step_by(WORD) {
                store_word(dst.add(at), load_word(src.add(at)));
            }
            for at in words_end..len {
                store_byte(dst.add(at), load_byte(src.add(at)));
            }
        } else {
            for at in (words_end..len).rev() {
                store_byte(dst.add(at), load_byte(src.add(at)));
            }
            for at in (head..words_end).step_by(WORD).rev() {
                store_word(dst.add(at), load_word(src.add(at)));
            }
            for at in (0..head).rev() {
                store_byte(dst.add(at), load_byte(src.add(at)));
            }
        }
    }
}

/// Reads one element.
///
/// # Safety
/// As [`super::load`]; `dst` is private and writable for `size_of::<T>()` bytes.
#[inline(always)]
pub(super) unsafe fn read_element<T>(src: *const u8, dst: *mut MaybeUninit<T>) {
    let dst = dst.cast::<u8>();
    // SAFETY: the caller vouches for `size_of::<T>()` bytes on both sides, and each arm has looked at the
    // alignment.
    unsafe {
        match size_of::<T>() {
            2 if src.addr() % 2 == 0 => dst
                .cast::<u16>()
                .write_unaligned(u16::load(src.cast(), Relaxed)),
            4 if src.addr() % 4 == 0 => dst
                .cast::<u32>()
                .write_unaligned(u32::load(src.cast(), Relaxed)),
            len => copy_out(src, dst, len),
        }
    }
}

/// Writes one element.
///
/// # Safety
/// As [`super::store`]; `src` is private and holds `size_of::<T>()` initialised bytes.
#[inline(always)]
pub(super) unsafe fn write_element<T>(dst: *mut u8, src: *const T) {
    let src = src.cast::<u8>();
    // SAFETY: the caller vouches for `size_of::<T>()` bytes on both sides, and each arm has looked at the
    // alignment.
    unsafe {
        match size_of::<T>() {
            2 if dst.addr() % 2 == 0 => {
                u16::store(dst.cast(), src.cast::<u16>().read_unaligned(), Relaxed);
            }
            4 if dst.addr() % 4 == 0 => {
                u32::store(dst.cast(), src.cast::<u32>().read_unaligned(), Relaxed);
            }
            len => copy_in(dst, src, len),
        }
    }
}

/// Sets `len` bytes to `byte`.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
pub(super) unsafe fn fill_byte(dst: *mut u8, byte: u8, len: usize) {
    // SAFETY: the caller's own promise; a single byte repeats in phase everywhere.
    unsafe { fill_pattern(dst, [u64::from(byte) * (u64::MAX / 0xff); 2], len) }
}

/// Repeats a pattern whose period (1, 2, 4, 8 or 16) divides `len`.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
pub(super) unsafe fn fill_pattern(dst: *mut u8, pattern: [u64; 2], len: usize) {
    for at in (0..len).step_by(16) {
        // SAFETY: at most the rest of `len` bytes, which the caller vouches for, out of a private array.
        unsafe { copy_in(dst.add(at), pattern.as_ptr().cast(), (len - at).min(16)) };
    }
}
