//! One value over and over, in assembly.
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

use super::copy::order_before_streaming;
use super::{Unit, wide};
use crate::sys::bytes;

/// The longest run that is filled without a call or a loop in registers of 32 bytes.
const FILLED_WIDE: usize = 512;

/// Sets `len` bytes to `byte`.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
#[inline(always)]
pub(in crate::access) unsafe fn fill_byte(dst: *mut u8, byte: u8, len: usize) {
    if len <= 128 {
        // SAFETY: the caller vouches for `len` bytes, and one byte repeated fits at any phase.
        unsafe { fill_short(dst, [u64::from(byte) * (u64::MAX / 0xff); 2], len) };
        return;
    }
    if len <= FILLED_WIDE && wide::is_available() {
        let pattern = [u64::from(byte) * (u64::MAX / 0xff); 2];
        // SAFETY: the caller vouches for `len` bytes, and one byte repeated fits at any phase; two words are as
        // large as the register and valid as one.
        unsafe { wide::fill_ends(dst, core::mem::transmute::<[u64; 2], __m128i>(pattern), len) };
        return;
    }
    order_before_streaming(len);
    // SAFETY: memset with its own contract, which the caller's promise covers; the operands as in
    // `copy::call_copy`.
    unsafe {
        asm!("call {f}", f = in(reg) bytes::memset as *const (), in("rdi") dst, in("esi") u32::from(byte),
            in("rdx") len, clobber_abi("C"));
    }
}

/// Repeats a pattern whose period (1, 2, 4, 8 or 16) divides `len`.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
#[inline(always)]
pub(in crate::access) unsafe fn fill_pattern(dst: *mut u8, pattern: [u64; 2], len: usize) {
    if len <= 128 {
        // SAFETY: the caller's own promise.
        unsafe { fill_short(dst, pattern, len) };
        return;
    }
    // SAFETY: two words are as large as the register and valid as one.
    let value = unsafe { core::mem::transmute::<[u64; 2], __m128i>(pattern) };
    if len <= FILLED_WIDE && wide::is_available() {
        // SAFETY: the caller's own promise.
        unsafe { wide::fill_ends(dst, value, len) };
        return;
    }
    // Whole blocks of 64 bytes from the front, then the last 64 bytes once more or for the first time: the run ends
    // on a multiple of the period, so the pattern starts there in phase. SAFETY: the loop stores below `dst + len -
    // 64 + 64`; the last block ends at `dst + len`. The caller vouches for both.
    unsafe {
        let last = dst.add(len - 64);
        asm!(
            "2:",
            movups!("xmmword ptr [{p}], {v}"),
            movups!("xmmword ptr [{p} + 16], {v}"),
            movups!("xmmword ptr [{p} + 32], {v}"),
            movups!("xmmword ptr [{p} + 48], {v}"),
            "add {p}, 64",
            "cmp {p}, {last}",
            "jb 2b",
            movups!("xmmword ptr [{last}], {v}"),
            movups!("xmmword ptr [{last} + 16], {v}"),
            movups!("xmmword ptr [{last} + 32], {v}"),
            movups!("xmmword ptr [{last} + 48], {v}"),
            p = inout(reg) dst => _, last = in(reg) last, v = in(xmm_reg) value,
            options(nostack)
        );
    }
}

/// Up to 128 bytes of a pattern, in moves that overlap; the period divides `len`, and so each move starts in phase.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
#[inline(always)]
unsafe fn fill_short(dst: *mut u8, pattern: [u64; 2], len: usize) {
    let word = pattern[0];
    // SAFETY: every store ends at or before `dst + len`, which the caller vouches for.
    unsafe {
        if len >= 16 {
            let value = core::mem::transmute::<[u64; 2], __m128i>(pattern);
            Unit::store(dst, value);
            if len > 32 {
                Unit::store(dst.add(16), value);
                if len > 64 {
                    Unit::store(dst.add(32), value);
                    Unit::store(dst.add(48), value);
                    if len > 96 {
                        Unit::store(dst.add(64), value);
                        Unit::store(dst.add(80), value);
                    }
                }
                Unit::store(dst.add(len - 32), value);
            }
            Unit::store(dst.add(len - 16), value);
        } else if len >= 8 {
            Unit::store(dst, word);
            Unit::store(dst.add(len - 8), word);
        } else if len >= 4 {
            Unit::store(dst, word as u32);
            Unit::store(dst.add(len - 4), word as u32);
        } else if len >= 2 {
            Unit::store(dst, word as u16);
            Unit::store(dst.add(len - 2), word as u16);
        } else if len == 1 {
            Unit::store(dst, word as u8);
        }
    }
}
