//! Moves of 32 bytes, for lengths at which a call costs more than the bytes, where the processor has AVX-512VL.
//!
//! Whether it has is asked at run time, so a program compiled for any x86-64 gains; std keeps the answer: a load
//! and a test. The registers 16 to 31, which came with it, are the only wide ones that need no `vzeroupper`
//! afterwards (without it, older instructions would wait for their upper halves) and that the caller has nothing
//! in. Registers of 64 bytes were measured as well, up to a fifth faster where stores cross cache lines; they lower
//! the clock of some processors, for everybody (Intel's optimization manual, "Intel AVX-512 and frequency").
#![allow(
    unsafe_code,
    reason = "inline assembly on raw pointers is what this module is for"
)]

use core::arch::asm;
use core::arch::x86_64::__m128i;

/// Whether the processor and the system have 32 registers of 32 bytes.
#[inline(always)]
pub(super) fn is_available() -> bool {
    std::arch::is_x86_feature_detected!("avx512vl")
}

/// Moves 65 to 256 bytes by their two ends, everything loaded before anything is stored.
///
/// # Safety
/// `len` bytes are readable at `src` and writable at `dst`. They may overlap. [`is_available`].
#[inline(always)]
pub(super) unsafe fn move_ends(src: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: both ends lie within the run: they are 64 bytes of more than 64, or 128 of more than 128. The caller
    // vouches for the bytes and for the registers.
    unsafe {
        if len <= 128 {
            asm!(
                "vmovups ymm16, ymmword ptr [{s}]",
                "vmovups ymm17, ymmword ptr [{s} + 32]",
                "vmovups ymm18, ymmword ptr [{s} + {n} - 64]",
                "vmovups ymm19, ymmword ptr [{s} + {n} - 32]",
                "vmovups ymmword ptr [{d}], ymm16",
                "vmovups ymmword ptr [{d} + 32], ymm17",
                "vmovups ymmword ptr [{d} + {n} - 64], ymm18",
                "vmovups ymmword ptr [{d} + {n} - 32], ymm19",
                s = in(reg) src, d = in(reg) dst, n = in(reg) len,
                out("xmm16") _, out("xmm17") _, out("xmm18") _, out("xmm19") _,
                options(nostack, preserves_flags)
            );
        } else {
            asm!(
                "vmovups ymm16, ymmword ptr [{s}]",
                "vmovups ymm17, ymmword ptr [{s} + 32]",
                "vmovups ymm18, ymmword ptr [{s} + 64]",
                "vmovups ymm19, ymmword ptr [{s} + 96]",
                "vmovups ymm20, ymmword ptr [{s} + {n} - 128]",
                "vmovups ymm21, ymmword ptr [{s} + {n} - 96]",
                "vmovups ymm22, ymmword ptr [{s} + {n} - 64]",
                "vmovups ymm23, ymmword ptr [{s} + {n} - 32]",
                "vmovups ymmword ptr [{d}], ymm16",
                "vmovups ymmword ptr [{d} + 32], ymm17",
                "vmovups ymmword ptr [{d} + 64], ymm18",
                "vmovups ymmword ptr [{d} + 96], ymm19",
                "vmovups ymmword ptr [{d} + {n} - 128], ymm20",
                "vmovups ymmword ptr [{d} + {n} - 96], ymm21",
                "vmovups ymmword ptr [{d} + {n} - 64], ymm22",
                "vmovups ymmword ptr [{d} + {n} - 32], ymm23",
                s = in(reg) src, d = in(reg) dst, n = in(reg) len,
                out("xmm16") _, out("xmm17") _, out("xmm18") _, out("xmm19") _,
                out("xmm20") _, out("xmm21") _, out("xmm22") _, out("xmm23") _,
                options(nostack, preserves_flags)
            );
        }
    }
}

/// One fill of the first `$half` bytes and of the last as many, which may overlap.
macro_rules! fill_both_ends {
    ($dst:ident, $pattern:ident, $len:ident, $half:literal: $($at:literal)*) => {
        asm!(
            "vshuff32x4 ymm16, {p:y}, {p:y}, 0",
            $(concat!("vmovups ymmword ptr [{d} + ", $at, "], ymm16"),)*
            $(concat!("vmovups ymmword ptr [{d} + {n} - ", $half, " + ", $at, "], ymm16"),)*
            p = in(xmm_reg) $pattern, d = in(reg) $dst, n = in(reg) $len, out("xmm16") _,
            options(nostack, preserves_flags)
        )
    };
}

/// Fills 129 to 512 bytes with a pattern whose period (1, 2, 4, 8 or 16) divides `len`, in stores that overlap.
///
/// # Safety
/// `len` bytes at `dst` are mapped and writable. [`is_available`].
#[inline(always)]
pub(super) unsafe fn fill_ends(dst: *mut u8, pattern: __m128i, len: usize) {
    // SAFETY: both ends lie within the run: they are 128 bytes of more than 128, or 256 of more than 256. Each
    // store begins in phase, as the period divides its distance from either end. The caller vouches for the bytes
    // and for the registers.
    unsafe {
        if len <= 256 {
            fill_both_ends!(dst, pattern, len, 128: 0 32 64 96);
        } else {
            fill_both_ends!(dst, pattern, len, 256: 0 32 64 96 128 160 192 224);
        }
    }
}
