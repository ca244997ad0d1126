//! The accesses in x86-64 machine code.
//!
//! The compiler sees opaque blocks: it cannot split, merge, repeat, drop or type-check what happens to the shared
//! bytes, and private memory is touched by ordinary Rust on either side of a block. What makes each of them correct is
//! the processor's manual and nothing else: an aligned `mov` of 1, 2, 4 or 8 bytes is one access that never tears
//! (Intel SDM volume 3, "Guaranteed Atomic Operations"; AMD64 APM volume 2, "Access Atomicity"), loads are acquire and
//! stores are release by themselves, and a `lock`ed instruction or `xchg` is a full fence.
//!
//! No block says `readonly` or `nomem`, not even a load: both promise the compiler that the block takes no part in any
//! synchronisation, and it may move private accesses across it.
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
use core::sync::atomic::Ordering;

use super::{Word, check_load, check_store};
use crate::sys::bytes;

/// From this many bytes on the processor's own string copy beats the C library's loop (measured: 1.1 to 1.3 times).
const REP_MOVSB_FROM: usize = 1 << 20;

/// Largest constant size that is moved by an unrolled run of single moves instead of the run-time choice of `copy_*`.
const EXACT_UP_TO: usize = 128;

/// `movups`, or its VEX form where the whole program is compiled for AVX: mixing the two can stall.
#[cfg(not(target_feature = "avx"))]
macro_rules! movups {
    ($rest:literal) => {
        concat!("movups ", $rest)
    };
}
#[cfg(target_feature = "avx")]
macro_rules! movups {
    ($rest:literal) => {
        concat!("vmovups ", $rest)
    };
}

/// One register-sized unit that a single instruction moves between a register and shared memory.
trait Unit: Copy {
    /// # Safety
    /// `size_of::<Self>()` bytes at `p` are mapped and readable; any alignment.
    unsafe fn load(p: *const u8) -> Self;
    /// # Safety
    /// `size_of::<Self>()` bytes at `p` are mapped and writable; any alignment.
    unsafe fn store(p: *mut u8, value: Self);
}

impl Unit for __m128i {
    #[inline(always)]
    unsafe fn load(p: *const u8) -> Self {
        let value;
        // SAFETY: reads 16 bytes the caller vouches for, writes one register.
        unsafe {
            asm!(movups!("{v}, xmmword ptr [{p}]"), p = in(reg) p, v = lateout(xmm_reg) value,
                options(nostack, preserves_flags));
        }
        value
    }
    #[inline(always)]
    unsafe fn store(p: *mut u8, value: Self) {
        // SAFETY: writes 16 bytes the caller vouches for.
        unsafe {
            asm!(movups!("xmmword ptr [{p}], {v}"), p = in(reg) p, v = in(xmm_reg) value,
                options(nostack, preserves_flags));
        }
    }
}

/// Implements [`Unit`] and [`Word`] for one integer: its register class, the template modifier that names the register
/// at that width, the width in assembler words, and the accumulator that `cmpxchg` insists on.
macro_rules! integer {
    ($t:ty, $class:ident, $modifier:literal, $width:literal, $accumulator:tt) => {
        impl Unit for $t {
            #[inline(always)]
            unsafe fn load(p: *const u8) -> Self {
                let value;
                // SAFETY: reads the bytes the caller vouches for, writes one register.
                unsafe {
                    asm!(concat!("mov {v", $modifier, "}, ", $width, " ptr [{p}]"), p = in(reg) p,
                        v = lateout($class) value, options(nostack, preserves_flags));
                }
                value
            }
            #[inline(always)]
            unsafe fn store(p: *mut u8, value: Self) {
                // SAFETY: writes the bytes the caller vouches for.
                unsafe {
                    asm!(concat!("mov ", $width, " ptr [{p}], {v", $modifier, "}"), p = in(reg) p,
                        v = in($class) value, options(nostack, preserves_flags));
                }
            }
        }

        impl Word for $t {
            #[inline(always)]
            unsafe fn load(p: *const Self, order: Ordering) -> Self {
                check_load(order);
                let value;
                // SAFETY: reads the aligned bytes the caller vouches for. On this processor every load is acquire, and
                // sequentially consistent as long as sequentially consistent stores are `xchg`, as below.
                unsafe {
                    asm!(concat!("mov {v", $modifier, "}, ", $width, " ptr [{p}]"), p = in(reg) p,
                        v = lateout($class) value, options(nostack, preserves_flags));
                }
                value
            }
            #[inline(always)]
            unsafe fn load_read_only(p: *const Self, order: Ordering) -> Self {
                // SAFETY: the caller's own promise; a `mov` from memory writes nothing.
                unsafe { <$t as Word>::load(p, order) }
            }
            #[inline(always)]
            unsafe fn store(p: *mut Self, value: Self, order: Ordering) {
                check_store(order);
                if matches!(order, Ordering::SeqCst) {
                    // SAFETY: the caller vouches for aligned, writable bytes.
                    unsafe { <$t as Word>::swap(p, value, order) };
                } else {
                    // SAFETY: the caller vouches for aligned, writable bytes. Every store is release here.
                    unsafe { <$t as Unit>::store(p.cast(), value) };
                }
            }
            #[inline(always)]
            unsafe fn swap(p: *mut Self, value: Self, _: Ordering) -> Self {
                let old;
                // SAFETY: exchanges the aligned bytes the caller vouches for; `xchg` locks by itself.
                unsafe {
                    asm!(concat!("xchg ", $width, " ptr [{p}], {v", $modifier, "}"), p = in(reg) p,
                        v = inout($class) value => old, options(nostack, preserves_flags));
                }
                old
            }
            #[inline(always)]
            unsafe fn compare_exchange(
                p: *mut Self, current: Self, new: Self, _: Ordering, failure: Ordering,
            ) -> Result<Self, Self> {
                check_load(failure);
                let old;
                // SAFETY: compares and exchanges the aligned bytes the caller vouches for; the flags are clobbered, as
                // the absence of `preserves_flags` says.
                unsafe {
                    asm!(concat!("lock cmpxchg ", $width, " ptr [{p}], {new", $modifier, "}"), p = in(reg) p,
                        new = in($class) new, inout($accumulator) current => old, options(nostack));
                }
                if old == current { Ok(old) } else { Err(old) }
            }
            #[inline(always)]
            unsafe fn compare_exchange_weak(
                p: *mut Self,
                current: Self,
                new: Self,
                success: Ordering,
                failure: Ordering,
            ) -> Result<Self, Self> {
                // SAFETY: the caller's own promise; this processor has no weaker form.
                unsafe { <$t as Word>::compare_exchange(p, current, new, success, failure) }
            }
            #[inline(always)]
            unsafe fn fetch_add(p: *mut Self, value: Self, _: Ordering) -> Self {
                let old;
                // SAFETY: adds to the aligned bytes the caller vouches for; the flags are clobbered and said so.
                unsafe {
                    asm!(concat!("lock xadd ", $width, " ptr [{p}], {v", $modifier, "}"), p = in(reg) p,
                        v = inout($class) value => old, options(nostack));
                }
                old
            }
        }
    };
}

integer!(u8, reg_byte, "", "byte", "al");
integer!(u16, reg, ":x", "word", "ax");
integer!(u32, reg, ":e", "dword", "eax");
integer!(u64, reg, "", "qword", "rax");

/// Private memory to shared memory.
///
/// # Safety
/// As [`super::copy_in`].
#[inline(always)]
pub(super) unsafe fn copy_in(dst: *mut u8, src: *const u8, len: usize) {
    // SAFETY: the caller's promise is that of each of these; the lengths choose moves that stay within `len`.
    unsafe {
        if len > 64 {
            call_copy(dst, src, len);
        } else if len > 32 {
            let (a, b) = (private::<__m128i>(src, 0), private::<__m128i>(src, 16));
            let (c, d) = (
                private::<__m128i>(src, len - 32),
                private::<__m128i>(src, len - 16),
            );
            Unit::store(dst, a);
            Unit::store(dst.add(16), b);
            Unit::store(dst.add(len - 32), c);
            Unit::store(dst.add(len - 16), d);
        } else if len >= 16 {
            ends_in::<__m128i>(dst, src, len);
        } else if len >= 8 {
            ends_in::<u64>(dst, src, len);
        } else if len >= 4 {
            ends_in::<u32>(dst, src, len);
        } else if len >= 2 {
            ends_in::<u16>(dst, src, len);
        } else if len == 1 {
            Unit::store(dst, private::<u8>(src, 0));
        }
    }
}

/// Shared memory to private memory.
///
/// # Safety
/// As [`super::copy_out`].
#[inline(always)]
pub(super) unsafe fn copy_out(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: the caller's promise is that of each of these; the lengths choose moves that stay within `len`.
    unsafe {
        if len > 64 {
            call_copy(dst, src, len);
        } else if len > 32 {
            let (a, b) = (
                <__m128i as Unit>::load(src),
                <__m128i as Unit>::load(src.add(16)),
            );
            let (c, d) = (
                <__m128i as Unit>::load(src.add(len - 32)),
                <__m128i as Unit>::load(src.add(len - 16)),
            );
            dst.cast::<__m128i>().write_unaligned(a);
            dst.add(16).cast::<__m128i>().write_unaligned(b);
            dst.add(len - 32).cast::<__m128i>().write_unaligned(c);
            dst.add(len - 16).cast::<__m128i>().write_unaligned(d);
        } else if len >= 16 {
            ends_out::<__m128i>(src, dst, len);
        } else if len >= 8 {
            ends_out::<u64>(src, dst, len);
        } else if len >= 4 {
            ends_out::<u32>(src, dst, len);
        } else if len >= 2 {
            ends_out::<u16>(src, dst, len);
        } else if len == 1 {
            dst.write(<u8 as Unit>::load(src));
        }
    }
}

/// Shared memory to shared memory, as if through a private copy in between.
///
/// # Safety
/// As [`super::copy_within`].
#[inline(always)]
pub(super) unsafe fn copy_within(src: *const u8, dst: *mut u8, len: usize) {
    // Everything is loaded before anything is stored, so overlap needs no care up to 64 bytes.
    // SAFETY: the caller's promise is that of each of these; the lengths choose moves that stay within `len`.
    unsafe {
        if len > 64 {
            call_move(dst, src, len);
        } else if len > 32 {
            let (a, b) = (
                <__m128i as Unit>::load(src),
                <__m128i as Unit>::load(src.add(16)),
            );
            let (c, d) = (
                <__m128i as Unit>::load(src.add(len - 32)),
                <__m128i as Unit>::load(src.add(len - 16)),
            );
            Unit::store(dst, a);
            Unit::store(dst.add(16), b);
            Unit::store(dst.add(len - 32), c);
            Unit::store(dst.add(len - 16), d);
        } else if len >= 16 {
            ends_within::<__m128i>(src, dst, len);
        } else if len >= 8 {
            ends_within::<u64>(src, dst, len);
        } else if len >= 4 {
            ends_within::<u32>(src, dst, len);
        } else if len >= 2 {
            ends_within::<u16>(src, dst, len);
        } else if len == 1 {
            Unit::store(dst, <u8 as Unit>::load(src));
        }
    }
}

/// Reads a unit of private memory.
///
/// # Safety
/// `size_of::<U>()` bytes at `src + offset` are private, initialised and readable.
#[inline(always)]
unsafe fn private<U: Unit>(src: *const u8, offset: usize) -> U {
    // SAFETY: the caller vouches for the bytes.
    let unit = unsafe { src.add(offset) };
    // SAFETY: as above; every `Unit` is valid for any bit pattern.
    unsafe { unit.cast::<U>().read_unaligned() }
}

/// The first and the last `size_of::<U>()` bytes of a run: the whole run when it is no longer than two units.
///
/// # Safety
/// As [`copy_in`], with `len >= size_of::<U>()`.
#[inline(always)]
unsafe fn ends_in<U: Unit>(dst: *mut u8, src: *const u8, len: usize) {
    let last = len - size_of::<U>();
    // SAFETY: both units lie within `len`, which the caller vouches for.
    unsafe {
        let (a, b) = (private::<U>(src, 0), private::<U>(src, last));
        U::store(dst, a);
        U::store(dst.add(last), b);
    }
}

/// As [`ends_in`], outwards.
///
/// # Safety
/// As [`copy_out`], with `len >= size_of::<U>()`.
#[inline(always)]
unsafe fn ends_out<U: Unit>(src: *const u8, dst: *mut u8, len: usize) {
    let last = len - size_of::<U>();
    // SAFETY: both units lie within `len`, which the caller vouches for.
    unsafe {
        let (a, b) = (U::load(src), U::load(src.add(last)));
        dst.cast::<U>().write_unaligned(a);
        dst.add(last).cast::<U>().write_unaligned(b);
    }
}

/// As [`ends_in`], with both sides shared.
///
/// # Safety
/// As [`copy_within`], with `len >= size_of::<U>()`.
#[inline(always)]
unsafe fn ends_within<U: Unit>(src: *const u8, dst: *mut u8, len: usize) {
    let last = len - size_of::<U>();
    // SAFETY: both units lie within `len`, which the caller vouches for.
    unsafe {
        let (a, b) = (U::load(src), U::load(src.add(last)));
        U::store(dst, a);
        U::store(dst.add(last), b);
    }
}

/// More than 64 bytes: the C library's `memcpy`, called where the compiler cannot see it.
///
/// A `memcpy` the compiler knows of would be a plain access, and a race on it undefined. What this function calls is
/// machine code that decides nothing by the bytes it moves.
///
/// # Safety
/// `len` bytes are readable at `src` and writable at `dst`, and the two runs do not overlap.
#[inline(always)]
unsafe fn call_copy(dst: *mut u8, src: *const u8, len: usize) {
    if len >= REP_MOVSB_FROM {
        // SAFETY: the caller's own promise.
        unsafe { copy_large(dst, src, len) };
        return;
    }
    // Without `nostack` the compiler keeps the stack aligned for a call and nothing of value in the red zone;
    // `clobber_abi` covers every register a C function may change. No `readonly`, no `nomem`: both sides are memory the
    // compiler must not hold in registers meanwhile.
    // SAFETY: memcpy with its own contract: the caller vouches for both runs and that they do not overlap.
    unsafe {
        asm!("call {f}", f = in(reg) bytes::memcpy as *const (), in("rdi") dst, in("rsi") src, in("rdx") len,
            clobber_abi("C"));
    }
}

/// As [`call_copy`], with memmove: the runs may overlap.
///
/// # Safety
/// `len` bytes are readable at `src` and writable at `dst`.
#[inline(always)]
unsafe fn call_move(dst: *mut u8, src: *const u8, len: usize) {
    if len >= REP_MOVSB_FROM && dst.addr().abs_diff(src.addr()) >= len {
        // SAFETY: the runs are `len` apart and so do not overlap; the rest is the caller's promise.
        unsafe { copy_large(dst, src, len) };
        return;
    }
    // SAFETY: memmove with its own contract, which the caller's promise covers; the operands as in `call_copy`.
    unsafe {
        asm!("call {f}", f = in(reg) bytes::memmove as *const (), in("rdi") dst, in("rsi") src, in("rdx") len,
            clobber_abi("C"));
    }
}

/// A megabyte and more: `rep movsb` where the processor announces that it is fast, else `memcpy`.
///
/// # Safety
/// As [`call_copy`].
#[cold]
#[inline(never)]
unsafe fn copy_large(dst: *mut u8, src: *const u8, len: usize) {
    if std::arch::is_x86_feature_detected!("ermsb") {
        // SAFETY: moves exactly the caller's `len` bytes upwards (the direction flag is clear on entry to every `asm!`).
        unsafe {
            asm!("rep movsb", inout("rdi") dst => _, inout("rsi") src => _, inout("rcx") len => _,
                options(nostack, preserves_flags));
        }
    } else {
        // SAFETY: as in `call_copy`.
        unsafe {
            asm!("call {f}", f = in(reg) bytes::memcpy as *const (), in("rdi") dst, in("rsi") src, in("rdx") len,
                clobber_abi("C"));
        }
    }
}

/// Reads one element: constant sizes become a fixed run of single moves, 1, 2, 4 and 8 bytes exactly one.
///
/// # Safety
/// As [`super::get`]; `dst` is private and writable for `size_of::<T>()` bytes.
#[inline(always)]
pub(super) unsafe fn read_element<T>(src: *const u8, dst: *mut MaybeUninit<T>) {
    let (dst, len) = (dst.cast::<u8>(), size_of::<T>());
    if len > EXACT_UP_TO {
        // SAFETY: the caller vouches for `size_of::<T>()` bytes on both sides.
        unsafe { copy_out(src, dst, len) };
        return;
    }
    let mut at = 0;
    // SAFETY: every step moves bytes `at..at + step` with `at + step <= len`, which the caller vouches for.
    unsafe {
        while len - at >= 16 {
            dst.add(at)
                .cast::<__m128i>()
                .write_unaligned(Unit::load(src.add(at)));
            at += 16;
        }
        if len & 8 != 0 {
            dst.add(at)
                .cast::<u64>()
                .write_unaligned(Unit::load(src.add(at)));
            at += 8;
        }
        if len & 4 != 0 {
            dst.add(at)
                .cast::<u32>()
                .write_unaligned(Unit::load(src.add(at)));
            at += 4;
        }
        if len & 2 != 0 {
            dst.add(at)
                .cast::<u16>()
                .write_unaligned(Unit::load(src.add(at)));
            at += 2;
        }
        if len & 1 != 0 {
            dst.add(at).write(Unit::load(src.add(at)));
        }
    }
}

/// Writes one element, in the same moves as [`read_element`].
///
/// # Safety
/// As [`super::set`]; `src` is private and holds `size_of::<T>()` initialised bytes.
#[inline(always)]
pub(super) unsafe fn write_element<T>(dst: *mut u8, src: *const T) {
    let (src, len) = (src.cast::<u8>(), size_of::<T>());
    if len > EXACT_UP_TO {
        // SAFETY: the caller vouches for `size_of::<T>()` bytes on both sides.
        unsafe { copy_in(dst, src, len) };
        return;
    }
    let mut at = 0;
    // SAFETY: every step moves bytes `at..at + step` with `at + step <= len`, which the caller vouches for.
    unsafe {
        while len - at >= 16 {
            Unit::store(dst.add(at), private::<__m128i>(src, at));
            at += 16;
        }
        if len & 8 != 0 {
            Unit::store(dst.add(at), private::<u64>(src, at));
            at += 8;
        }
        if len & 4 != 0 {
            Unit::store(dst.add(at), private::<u32>(src, at));
            at += 4;
        }
        if len & 2 != 0 {
            Unit::store(dst.add(at), private::<u16>(src, at));
            at += 2;
        }
        if len & 1 != 0 {
            Unit::store(dst.add(at), private::<u8>(src, at));
        }
    }
}

/// Sets `len` bytes to `byte`.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
#[inline(always)]
pub(super) unsafe fn fill_byte(dst: *mut u8, byte: u8, len: usize) {
    if len <= 64 {
        // SAFETY: the caller vouches for `len` bytes, and one byte repeated fits at any phase.
        unsafe { fill_short(dst, [byte; 16], len) };
        return;
    }
    // SAFETY: memset with its own contract, which the caller's promise covers; the operands as in `call_copy`.
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
pub(super) unsafe fn fill_pattern(dst: *mut u8, pattern: [u8; 16], len: usize) {
    if len <= 64 {
        // SAFETY: the caller's own promise.
        unsafe { fill_short(dst, pattern, len) };
        return;
    }
    // SAFETY: an array of 16 bytes is as large as the register and valid as one.
    let value = unsafe { core::mem::transmute::<[u8; 16], __m128i>(pattern) };
    // Whole blocks of 64 bytes from the front, then the last 64 bytes once more or for the first time: the run ends on
    // a multiple of the period, so the pattern starts there in phase.
    // SAFETY: the loop stores below `dst + len - 64 + 64`; the last block ends at `dst + len`. The caller vouches for both.
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

/// Up to 64 bytes of a pattern, in moves that overlap; the period divides `len`, and so each move starts in phase.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable.
#[inline(always)]
unsafe fn fill_short(dst: *mut u8, pattern: [u8; 16], len: usize) {
    let word = u64::from_ne_bytes(pattern[..8].try_into().unwrap_or_default());
    // SAFETY: every store ends at or before `dst + len`, which the caller vouches for.
    unsafe {
        if len >= 16 {
            let value = core::mem::transmute::<[u8; 16], __m128i>(pattern);
            Unit::store(dst, value);
            if len > 32 {
                Unit::store(dst.add(16), value);
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
            Unit::store(dst, pattern[0]);
        }
    }
}
