//! Which integers have atomic operations.

use bytemuck::Pod;

use super::Word;

/// An integer of 8, 16, 32 or 64 bits: what the atomic operations of the views work on.
///
/// Sealed: `i8` to `i64`, `u8` to `u64`, `isize` and `usize`. 64-bit integers only where the target has 64-bit
/// atomics. `isize` and `usize` are for C's `long` and `size_t` between processes of one width; what 32-bit and
/// 64-bit processes share wants a fixed width.
///
/// ```
/// use std::sync::atomic::Ordering::Relaxed;
/// use sysvshm::memory::Primitive;
/// use sysvshm::{Key, SharedArray, SharedRef};
///
/// fn count<T: Primitive>(counter: SharedRef<'_, T>, one: T) -> T {
///     counter.fetch_add(one, Relaxed)
/// }
///
/// let counters = SharedArray::<u16>::create_new(Key::PRIVATE, 1)?;
/// counters.segment().mark_for_removal()?;
/// assert_eq!((count(counters.view().at(0), 1), count(counters.view().at(0), 1)), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no atomic operations: it is not an integer of at most 64 bits",
    label = "not an integer of 8, 16, 32 or 64 bits",
    note = "`load` and `store` read and write a number of up to 8 bytes in one piece, without ordering",
    note = "for an `f64` in a given order, share a `u64`: `atomic_store(value.to_bits(), Release)`, `f64::from_bits(atomic_load(Acquire))`"
)]
pub trait Primitive: Pod + Ord + sealed::Sealed {
    /// The std atomic with the same size and bits.
    type Atomic: 'static;
    #[doc(hidden)]
    #[allow(private_bounds, reason = "sealed: nobody else names or implements it")]
    type Bits: Word;
    #[doc(hidden)]
    fn to_bits(self) -> Self::Bits;
    #[doc(hidden)]
    fn from_bits(bits: Self::Bits) -> Self;
    #[doc(hidden)]
    fn negated(self) -> Self;
    #[doc(hidden)]
    fn and(self, other: Self) -> Self;
    #[doc(hidden)]
    fn or(self, other: Self) -> Self;
    #[doc(hidden)]
    fn xor(self, other: Self) -> Self;
    #[doc(hidden)]
    fn complement(self) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! primitive {
    ($($t:ty as $bits:ty, $atomic:ident;)*) => {$(
        impl sealed::Sealed for $t {}

        impl Primitive for $t {
            type Atomic = core::sync::atomic::$atomic;
            type Bits = $bits;
            #[inline(always)]
            fn to_bits(self) -> $bits {
                self as $bits
            }
            #[inline(always)]
            fn from_bits(bits: $bits) -> Self {
                bits as $t
            }
            #[inline(always)]
            fn negated(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn complement(self) -> Self {
                !self
            }
        }

        const _: () = assert!(size_of::<$t>() == size_of::<$bits>() && size_of::<$t>() == size_of::<core::sync::atomic::$atomic>());
    )*};
}

primitive! {
    u8 as u8, AtomicU8;
    i8 as u8, AtomicI8;
    u16 as u16, AtomicU16;
    i16 as u16, AtomicI16;
    u32 as u32, AtomicU32;
    i32 as u32, AtomicI32;
}

#[cfg(target_has_atomic = "64")]
primitive! {
    u64 as u64, AtomicU64;
    i64 as u64, AtomicI64;
}

#[cfg(target_pointer_width = "32")]
primitive! {
    usize as u32, AtomicUsize;
    isize as u32, AtomicIsize;
}

#[cfg(target_pointer_width = "64")]
primitive! {
    usize as u64, AtomicUsize;
    isize as u64, AtomicIsize;
}
