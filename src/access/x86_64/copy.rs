//! Runs of bytes and single elements, in assembly.
//!
//! Up to 64 bytes, and up to 256 where the processor has [wide] registers, a run is moved by its two ends: whole
//! registers from the front and from the back that meet or overlap in the middle, everything loaded before anything
//! is stored. Above, the C library's loop is called, from assembly.
//!
//! For long runs that loop may use non-temporal stores. It ends with a fence then, but does not begin with one, and
//! such a store may become visible before an ordinary one that precedes it: a "busy" mark, say. So a long copy into
//! shared memory begins with `sfence`.
//!
//! `rep movsb` was measured for a megabyte and more and is not used: 1.3 times as fast as `memcpy` at 64 MiB on a
//! Zen 4, but a twentieth of it as soon as the destination lies up to 63 bytes behind the source in their pages.
#![allow(
    unsafe_code,
    reason = "inline assembly on raw pointers is what this module is for"
)]
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "a run of moves within one checked length rests on one argument, written once above it"
)]

use core::arch::asm;
use core::arch::x86_64::__m128i;
use core::mem::{MaybeUninit, size_of};

use super::{Unit, wide};
use crate::sys::bytes;

/// The longest run that is moved without a call in registers of 16 bytes. (For 128 bytes, that was 0.7
/// times as fast as `memcpy`.)
const MOVED_INLINE: usize = 64;

/// The longest run that is moved without a call in registers of 32 bytes.
const MOVED_WIDE: usize = 256;

/// The largest element that is moved without a call: its size is known, so nothing is decided at run time.
const ELEMENT_MOVED_INLINE: usize = 128;

/// What lies on one side of a copy. Every function is `unsafe` for its pointer: mapped for the size of the unit,
/// any alignment.
trait Side {
    unsafe fn load<U: Unit>(p: *const u8) -> U;
    unsafe fn store<U: Unit>(p: *mut u8, value: U);
}

/// Memory that others may access at the same time.
struct Shared;

impl Side for Shared {
    #[inline(always)]
    unsafe fn load<U: Unit>(p: *const u8) -> U {
        // SAFETY: the caller vouches for the bytes.
        unsafe { U::load(p) }
    }
    #[inline(always)]
    unsafe fn store<U: Unit>(p: *mut u8, value: U) {
        // SAFETY: the caller vouches for the bytes.
        unsafe { U::store(p, value) }
    }
}

/// Memory of this thread alone: ordinary Rust, which the compiler may keep in registers.
struct Private;

impl Side for Private {
    #[inline(always)]
    unsafe fn load<U: Unit>(p: *const u8) -> U {
        // SAFETY: the caller vouches for the bytes; every unit is valid for any bit pattern.
        unsafe { p.cast::<U>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store<U: Unit>(p: *mut u8, value: U) {
        // SAFETY: the caller vouches for the bytes.
        unsafe { p.cast::<U>().write_unaligned(value) }
    }
}

/// Private memory to shared memory.
///
/// # Safety
/// As [`access::copy_in`](crate::access::copy_in).
#[inline(always)]
pub(in crate::access) unsafe fn copy_in(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: the caller's own promise.
    unsafe {
        if len > MOVED_WIDE {
            order_before_streaming(len);
            call_copy(dst, src, len);
        } else if len <= MOVED_INLINE {
            move_ends::<Private, Shared>(src, dst, len);
        } else if wide::is_available() {
            wide::move_ends(src, dst, len);
        } else {
            call_copy(dst, src, len);
        }
    }
}

/// Shared memory to private memory.
///
/// # Safety
/// As [`access::copy_out`](crate::access::copy_out).
#[inline(always)]
pub(in crate::access) unsafe fn copy_out(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: the caller's own promise.
    unsafe {
        if len > MOVED_WIDE {
            call_copy(dst, src, len);
        } else if len <= MOVED_INLINE {
            move_ends::<Shared, Private>(src, dst, len);
        } else if wide::is_available() {
            wide::move_ends(src, dst, len);
        } else {
            call_copy(dst, src, len);
        }
    }
}

/// Shared memory to shared memory, as if through a private copy in between.
///
/// # Safety
/// As [`access::copy_within`](crate::access::copy_within).
#[inline(always)]
pub(in crate::access) unsafe fn copy_within(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: the caller's own promise; both ways allow overlap.
    unsafe {
        if len > MOVED_WIDE {
            order_before_streaming(len);
            call_move(dst, src, len);
        } else if len <= MOVED_INLINE {
            move_ends::<Shared, Shared>(src, dst, len);
        } else if wide::is_available() {
            wide::move_ends(src, dst, len);
        } else {
            call_move(dst, src, len);
        }
    }
}

/// Moves up to [`MOVED_INLINE`] bytes by their two ends.
///
/// # Safety
/// `len` bytes are readable at `src` on side `From` and writable at `dst` on side `To`. They may overlap.
#[inline(always)]
unsafe fn move_ends<From: Side, To: Side>(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: in each arm the ends of `len` bytes are at least as long as the units moved; the caller vouches for
    // the bytes.
    unsafe {
        if len > 32 {
            ends::<From, To, __m128i, 2>(src, dst, len);
        } else if len >= 16 {
            ends::<From, To, __m128i, 1>(src, dst, len);
        } else if len >= 8 {
            ends::<From, To, u64, 1>(src, dst, len);
        } else if len >= 4 {
            ends::<From, To, u32, 1>(src, dst, len);
        } else if len >= 2 {
            ends::<From, To, u16, 1>(src, dst, len);
        } else if len == 1 {
            To::store(dst, From::load::<u8>(src));
        }
    }
}

/// Moves `N` units from the front and `N` from the back: all of a run of `N` to `2 * N` units.
///
/// # Safety
/// As [`move_ends`], with at least `N * size_of::<U>()` bytes.
#[inline(always)]
unsafe fn ends<From: Side, To: Side, U: Unit, const N: usize>(
    src: *const u8,
    dst: *mut u8,
    len: usize,
) {
    let back = len - N * size_of::<U>();
    // SAFETY: unit `i` of either end lies within `len`, which the caller vouches for.
    unsafe {
        let front: [U; N] = core::array::from_fn(|i| From::load(src.add(i * size_of::<U>())));
        let rear: [U; N] = core::array::from_fn(|i| From::load(src.add(back + i * size_of::<U>())));
        for (i, unit) in front.into_iter().enumerate() {
            To::store(dst.add(i * size_of::<U>()), unit);
        }
        for (i, unit) in rear.into_iter().enumerate() {
            To::store(dst.add(back + i * size_of::<U>()), unit);
        }
    }
}

/// Keeps the non-temporal stores of a long copy or fill behind the stores that precede it.
///
/// glibc uses them from three quarters of a core's share of the last cache on, its tunable for that
/// (`x86_non_temporal_threshold`) starts at 16 KiB, and musl never does. At 16 KiB the fence costs less than can be
/// measured.
#[inline(always)]
pub(super) fn order_before_streaming(len: usize) {
    if len >= 16 << 10 {
        // SAFETY: a fence touches neither memory nor registers.
        unsafe { asm!("sfence", options(nostack, preserves_flags)) };
    }
}

/// The C library's `memcpy`, called where the compiler cannot see it.
///
/// A `memcpy` the compiler knows of would be a plain access, and a race on it undefined. What this calls is machine
/// code that decides nothing by the bytes it moves.
///
/// # Safety
/// `len` bytes are readable at `src` and writable at `dst`, and the two runs do not overlap.
#[inline(always)]
unsafe fn call_copy(dst: *mut u8, src: *const u8, len: usize) {
    // Without `nostack` the compiler keeps the stack aligned for a call and nothing of value in the red zone;
    // `clobber_abi` covers every register a C function may change. No `readonly`, no `nomem`: both sides are memory
    // the compiler must not hold in registers meanwhile. SAFETY: memcpy with its own contract: the caller vouches
    // for both runs and that they do not overlap.
    unsafe {
        asm!("call {f}", f = in(reg) bytes::memcpy as *const (), in("rdi") dst, in("rsi") src,
            in("rdx") len, clobber_abi("C"));
    }
}

/// As [`call_copy`], with `memmove`: the runs may overlap.
///
/// # Safety
/// `len` bytes are readable at `src` and writable at `dst`.
#[inline(always)]
unsafe fn call_move(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: memmove with its own contract, which the caller's promise covers; the operands as in `call_copy`.
    unsafe {
        asm!("call {f}", f = in(reg) bytes::memmove as *const (), in("rdi") dst, in("rsi") src,
            in("rdx") len, clobber_abi("C"));
    }
}

/// Reads one element: 1, 2, 4 and 8 bytes with exactly one load.
///
/// # Safety
/// As [`access::load`](crate::access::load); `dst` is private and writable for `size_of::<T>()` bytes.
#[inline(always)]
pub(in crate::access) unsafe fn read_element<T>(src: *const u8, dst: *mut MaybeUninit<T>) {
    // SAFETY: the caller vouches for `size_of::<T>()` bytes on both sides.
    unsafe { move_element::<Shared, Private>(src, dst.cast(), size_of::<T>()) }
}

/// Writes one element: 1, 2, 4 and 8 bytes with exactly one store.
///
/// # Safety
/// As [`access::store`](crate::access::store); `src` is private and holds `size_of::<T>()` initialised bytes.
#[inline(always)]
pub(in crate::access) unsafe fn write_element<T>(dst: *mut u8, src: *const T) {
    // SAFETY: the caller vouches for `size_of::<T>()` bytes on both sides.
    unsafe { move_element::<Private, Shared>(src.cast(), dst, size_of::<T>()) }
}

/// Moves a number of bytes known at compile time, each exactly once, in the largest units that fit.
///
/// # Safety
/// `len` bytes are readable at `src` on side `From` and writable at `dst` on side `To`, and do not overlap.
#[inline(always)]
unsafe fn move_element<From: Side, To: Side>(src: *const u8, dst: *mut u8, len: usize) {
    if len > ELEMENT_MOVED_INLINE {
        // SAFETY: the caller's own promise.
        unsafe { call_copy(dst, src, len) };
        return;
    }
    let mut at = 0;
    // SAFETY: every step moves bytes `at..at + step` with `at + step <= len`, which the caller vouches for.
    unsafe {
        // Small elements are mostly structs of words, which are in registers as words: wide moves would have to
        // gather them first.
        while len > 32 && len - at >= 16 {
            To::store(dst.add(at), From::load::<__m128i>(src.add(at)));
            at += 16;
        }
        while len - at >= 8 {
            To::store(dst.add(at), From::load::<u64>(src.add(at)));
            at += 8;
        }
        if len & 4 != 0 {
            To::store(dst.add(at), From::load::<u32>(src.add(at)));
            at += 4;
        }
        if len & 2 != 0 {
            To::store(dst.add(at), From::load::<u16>(src.add(at)));
            at += 2;
        }
        if len & 1 != 0 {
            To::store(dst.add(at), From::load::<u8>(src.add(at)));
        }
    }
}
