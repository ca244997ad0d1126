//! The accesses in x86-64 machine code.
//!
//! The compiler sees opaque blocks: it cannot split, merge, repeat, drop or type-check what happens to the shared
//! bytes, and private memory is touched by ordinary Rust on either side of a block. What makes each of them correct
//! is the processor's manual and nothing else: an aligned `mov` of 1, 2, 4 or 8 bytes is one access that never
//! tears (Intel SDM volume 3, "Guaranteed Atomic Operations"; AMD64 APM volume 2, "Access Atomicity"), loads are
//! acquire and stores are release by themselves, and a `lock`ed instruction or `xchg` is a full fence.
//!
//! No block says `readonly` or `nomem`, not even a load: both promise the compiler that the block takes no part in
//! any synchronisation, and it may move private accesses across it.
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
use core::sync::atomic::Ordering;

use super::{Word, check_load, check_store};

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

/// A hint.
#[inline(always)]
pub(super) fn prefetch(p: *const u8) {
    // SAFETY: a prefetch neither reads nor faults, whatever the address.
    unsafe { asm!("prefetcht0 byte ptr [{p}]", p = in(reg) p, options(nostack, preserves_flags)) };
}

/// A hint.
#[inline(always)]
pub(super) fn prefetch_far(p: *const u8) {
    // SAFETY: as above.
    unsafe { asm!("prefetcht1 byte ptr [{p}]", p = in(reg) p, options(nostack, preserves_flags)) };
}

/// A hint.
///
/// The instruction has a flag of its own that the standard library does not know. Intel's processors have had it
/// since Broadwell, which brought ADX; AMD's with ADX, from Zen on, all have it.
#[inline(always)]
pub(super) fn prefetch_to_write(p: *const u8) {
    if std::arch::is_x86_feature_detected!("adx") {
        // SAFETY: as above.
        unsafe {
            asm!("prefetchw byte ptr [{p}]", p = in(reg) p, options(nostack, preserves_flags));
        };
    }
}

/// The same of each line, asking once.
#[inline(always)]
pub(super) fn prefetch_lines_to_write(p: *const u8, len: usize) {
    if std::arch::is_x86_feature_detected!("adx") {
        let (mut p, end) = (p, p.wrapping_add(len));
        while p < end {
            // SAFETY: as above.
            unsafe {
                asm!("prefetchw byte ptr [{p}]", p = in(reg) p, options(nostack, preserves_flags));
            }
            p = p.wrapping_add(64);
        }
    }
}

/// The same value.
#[inline(always)]
pub(super) fn hidden(mut value: u64) -> u64 {
    // SAFETY: no instruction at all.
    unsafe {
        asm!("/* {0} */", inout(reg) value, options(pure, nomem, nostack, preserves_flags));
    }
    value
}

mod copy;
mod fill;
mod wide;

pub(super) use copy::{copy_in, copy_out, copy_within, read_element, write_element};
pub(super) use fill::{fill_byte, fill_pattern};

/// One register-sized unit that a single instruction moves between a register and shared memory.
pub(super) trait Unit: Copy {
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

/// Implements [`Unit`] and [`Word`] for one integer: its register class, the template modifier that names the
/// register at that width, the width in assembler words, and the accumulator that `cmpxchg` insists on.
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
                // SAFETY: reads the aligned bytes the caller vouches for. On this processor every load is acquire,
                // and sequentially consistent as long as sequentially consistent stores are `xchg`, as below.
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
                // SAFETY: compares and exchanges the aligned bytes the caller vouches for; the flags are clobbered,
                // as the absence of `preserves_flags` says.
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
