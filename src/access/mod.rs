//! The one module that reads or writes shared bytes.
//!
//! **The model:** a segment is not memory of the Rust program but state of its environment, and each access is a
//! call to foreign code that hands bytes over. On x86-64 it is a block of assembly, which the compiler neither sees
//! through nor moves private accesses across; elsewhere, and with `--cfg sysvshm_portable`, a relaxed atomic, which
//! Miri and the sanitizers understand. Why that is sound, with the sources and with what each of the two
//! guarantees, is the chapter [`guide::soundness`](crate::guide::soundness); change neither without the other.
//!
//! **The rules of this module:**
//!
//! * Everything takes raw pointers and lengths. Who calls has checked bounds, lifetime and, for atomics, alignment.
//! * No reference to shared bytes, no plain and no volatile access to them, no `copy_nonoverlapping` that the
//!   compiler knows.
//! * [`load`], [`store`] and the atomics touch 1, 2, 4 or 8 bytes at a multiple of the size exactly once. Bulk copies
//!   promise bytes.
//! * What may be attached read-only is only loaded, and its atomics through [`atomic_load_read_only`].
//! * Everything is `#[inline(always)]` down to the instruction: an out-of-line wrapper was measured to cost up to a
//!   half below 256 bytes.
#![allow(
    unsafe_code,
    reason = "this is where shared bytes are touched; every function states what its caller must have checked"
)]

use core::mem::{MaybeUninit, size_of};
use core::sync::atomic::Ordering;

use bytemuck::{AnyBitPattern, NoUninit};

mod kind;
mod primitive;
#[cfg(test)]
mod tests;

// Not for x32, which is x86-64 with 32-bit pointers: the upper half of a register that holds one is undefined in
// assembly.
#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(miri),
    not(sysvshm_portable)
))]
#[path = "x86_64/mod.rs"]
mod target;

#[cfg(not(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    not(miri),
    not(sysvshm_portable)
)))]
#[path = "portable.rs"]
mod target;

pub use kind::{Access, ReadOnly, ReadWrite, Writable};
pub use primitive::Primitive;

/// What the two implementations provide for each unsigned width; everything else is built from these five.
pub(crate) trait Word: Copy + Eq {
    /// # Safety
    /// `p` is a multiple of the size, mapped, readable and writable.
    unsafe fn load(p: *const Self, order: Ordering) -> Self;
    /// A load that is one on read-only pages too.
    ///
    /// # Safety
    /// `p` is a multiple of the size, mapped and readable; the integer is no wider than a pointer.
    unsafe fn load_read_only(p: *const Self, order: Ordering) -> Self;
    /// # Safety
    /// `p` is a multiple of the size, mapped and writable.
    unsafe fn store(p: *mut Self, value: Self, order: Ordering);
    /// # Safety
    /// As [`Word::store`].
    unsafe fn swap(p: *mut Self, value: Self, order: Ordering) -> Self;
    /// # Safety
    /// As [`Word::store`].
    unsafe fn compare_exchange(
        p: *mut Self,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
    /// May fail although the integer is `current`.
    ///
    /// # Safety
    /// As [`Word::store`].
    unsafe fn compare_exchange_weak(
        p: *mut Self,
        current: Self,
        new: Self,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self, Self>;
    /// Wraps around on overflow.
    ///
    /// # Safety
    /// As [`Word::store`].
    unsafe fn fetch_add(p: *mut Self, value: Self, order: Ordering) -> Self;
}

/// Refuses the orderings a load cannot have, as std's atomics do.
#[inline(always)]
#[track_caller]
fn check_load(order: Ordering) {
    match order {
        Ordering::Release => panic!("there is no such thing as a release load"),
        Ordering::AcqRel => panic!("there is no such thing as an acquire-release load"),
        _ => {}
    }
}

/// Refuses the orderings a store cannot have, as std's atomics do.
#[inline(always)]
#[track_caller]
fn check_store(order: Ordering) {
    match order {
        Ordering::Acquire => panic!("there is no such thing as an acquire store"),
        Ordering::AcqRel => panic!("there is no such thing as an acquire-release store"),
        _ => {}
    }
}

/// Copies private bytes into shared memory.
///
/// Each byte is written at least once, in any order, in pieces of any size.
///
/// # Safety
/// `len` initialised bytes at `src` are private; `len` bytes at `dst_shared` are mapped and writable; no overlap.
#[inline(always)]
pub(crate) unsafe fn copy_in(dst_shared: *mut u8, src: *const u8, len: usize) {
    // SAFETY: the caller's own promise.
    unsafe { target::copy_in(dst_shared, src, len) }
}

/// Copies shared bytes out into private memory, which it initialises.
///
/// # Safety
/// `len` bytes at `src_shared` are mapped and readable; `len` bytes at `dst` are private and writable; no overlap.
#[inline(always)]
pub(crate) unsafe fn copy_out(src_shared: *const u8, dst: *mut u8, len: usize) {
    // SAFETY: the caller's own promise.
    unsafe { target::copy_out(src_shared, dst, len) }
}

/// Copies shared bytes to shared bytes; the runs may overlap, as with C's `memmove`.
///
/// # Safety
/// `len` bytes are mapped and readable at `src_shared`, mapped and writable at `dst_shared`.
#[inline(always)]
pub(crate) unsafe fn copy_within(src_shared: *const u8, dst_shared: *mut u8, len: usize) {
    // SAFETY: the caller's own promise.
    unsafe { target::copy_within(src_shared, dst_shared, len) }
}

/// Tells the processor that the cache line at `p` will be read soon. A hint: touches nothing, and any address will
/// do.
#[inline(always)]
pub(crate) fn prefetch(p: *const u8) {
    target::prefetch(p);
}

/// As [`prefetch`], into the second level of the caches: for more than the first can have on its way at once.
#[inline(always)]
pub(crate) fn prefetch_far(p: *const u8) {
    target::prefetch_far(p);
}

/// As [`prefetch`], of a line that will be written soon.
#[inline(always)]
pub(crate) fn prefetch_to_write(p: *const u8) {
    target::prefetch_to_write(p);
}

/// As [`prefetch_to_write`], of `len` bytes.
#[inline(always)]
pub(crate) fn prefetch_lines_to_write(p: *const u8, len: usize) {
    target::prefetch_lines_to_write(p, len);
}

/// The value, of which the compiler knows nothing: where it knew that two were equal, it would put one in the
/// other's place, and an address that depends on a loaded word has to wait for the load.
#[inline(always)]
pub(crate) fn hidden(value: u64) -> u64 {
    target::hidden(value)
}

/// As [`load`], into a place of the caller's: for elements of which every move is a copy.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub(crate) unsafe fn load_into<T: AnyBitPattern>(src_shared: *const T, into: &mut MaybeUninit<T>) {
    // SAFETY: the caller vouches for the shared side; the private side is borrowed and of the right size.
    unsafe { target::read_element(src_shared.cast(), into) };
}

/// Reads one element of any size at any alignment; of 1, 2, 4 or 8 bytes at a multiple of the size: never torn.
///
/// (8 bytes: on 64-bit targets.)
///
/// # Safety
/// `size_of::<T>()` bytes at `src_shared` are mapped and readable.
#[inline(always)]
pub(crate) unsafe fn load<T: AnyBitPattern>(src_shared: *const T) -> T {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the caller vouches for the shared side; the private side is a local of the right size.
    unsafe { target::read_element(src_shared.cast(), &raw mut value) };
    // SAFETY: every byte was just written, and `T` is valid for any bytes.
    unsafe { value.assume_init() }
}

/// Writes one element of any size at any alignment; of 1, 2, 4 or 8 bytes at a multiple of the size: never torn.
///
/// (8 bytes: on 64-bit targets.)
///
/// # Safety
/// `size_of::<T>()` bytes at `dst_shared` are mapped and writable.
#[inline(always)]
pub(crate) unsafe fn store<T: NoUninit>(dst_shared: *mut T, value: T) {
    // SAFETY: the caller vouches for the shared side; the private side is a value without uninitialised bytes.
    unsafe { target::write_element(dst_shared.cast(), &raw const value) }
}

/// Up to this many bytes nothing is gained by finding out whether `memset` would do: a pattern in registers, and
/// elements of odd sizes.
const SHORT_PATTERN: usize = 128;
const SHORT_ELEMENTS: usize = 64;

/// Writes `value` into each of `count` consecutive elements, at any alignment.
///
/// # Safety
/// `count * size_of::<T>()` does not overflow, and that many bytes at `dst_shared` are mapped and writable.
#[inline(always)]
pub(crate) unsafe fn fill<T: NoUninit>(dst_shared: *mut T, value: T, count: usize) {
    let (dst, len) = (dst_shared.cast::<u8>(), count * size_of::<T>());
    let bytes = bytemuck::bytes_of(&value);
    if let Some(pattern) = repeated(bytes) {
        if len > SHORT_PATTERN && pattern[0] == pattern[1] && is_uniform(pattern[0]) {
            // SAFETY: the caller vouches for `len` bytes.
            unsafe { target::fill_byte(dst, bytes[0], len) };
        } else {
            // SAFETY: the caller vouches for `len` bytes, and the size of an element divides both them and 16.
            unsafe { target::fill_pattern(dst, pattern, len) };
        }
    } else if len > SHORT_ELEMENTS && are_uniform(bytes) {
        // SAFETY: the caller vouches for `len` bytes.
        unsafe { target::fill_byte(dst, bytes[0], len) };
    } else {
        // Four at a time: nobody unrolls a loop of opaque stores for us.
        let (mut index, four) = (0, count / 4 * 4);
        while index < four {
            // SAFETY: elements `index` to `index + 3` are some of the caller's `count`.
            let first = unsafe { dst_shared.add(index) };
            // SAFETY: as above.
            unsafe { store_four(first, value) };
            index += 4;
        }
        for index in four..count {
            // SAFETY: element `index` is one of the caller's `count`.
            let element = unsafe { dst_shared.add(index) };
            // SAFETY: as above.
            unsafe { store(element, value) };
        }
    }
}

/// Writes `value` into four consecutive elements.
///
/// # Safety
/// `4 * size_of::<T>()` bytes at `dst_shared` are mapped and writable.
#[inline(always)]
#[allow(clippy::multiple_unsafe_ops_per_block, reason = "four times the same")]
unsafe fn store_four<T: NoUninit>(dst_shared: *mut T, value: T) {
    // SAFETY: the caller's own promise, for each of the four.
    unsafe {
        store(dst_shared, value);
        store(dst_shared.add(1), value);
        store(dst_shared.add(2), value);
        store(dst_shared.add(3), value);
    }
}

/// An element of 1, 2, 4, 8 or 16 bytes, repeated to 16; nothing for other sizes.
#[inline(always)]
fn repeated(element: &[u8]) -> Option<[u64; 2]> {
    let word = match *element {
        [a] => u64::from(a) * (u64::MAX / 0xff),
        [a, b] => u64::from(u16::from_ne_bytes([a, b])) * (u64::MAX / 0xffff),
        [a, b, c, d] => u64::from(u32::from_ne_bytes([a, b, c, d])) * (u64::MAX / 0xffff_ffff),
        [a, b, c, d, e, f, g, h] => u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
        _ if element.len() == 16 => {
            return Some(bytemuck::pod_read_unaligned(element));
        }
        _ => return None,
    };
    Some([word; 2])
}

/// Whether all bytes of an element of an odd size are equal.
#[inline(always)]
fn are_uniform(element: &[u8]) -> bool {
    let splat = u64::from(element[0]) * (u64::MAX / 0xff);
    let words = element.chunks_exact(8);
    let rest = words.remainder();
    // No early way out: a handful of comparisons without a branch.
    let different = words.fold(0, |bits, word| {
        bits | bytemuck::pod_read_unaligned::<u64>(word) ^ splat
    });
    different == 0 && rest.iter().all(|&byte| byte == element[0])
}

/// Whether all eight bytes are equal.
#[inline(always)]
fn is_uniform(word: u64) -> bool {
    word == word.rotate_left(8)
}

/// Reads an integer atomically.
///
/// # Panics
/// On `Release` and `AcqRel`, as std's atomics.
///
/// # Safety
/// `p` is a multiple of the size, mapped, readable and writable.
#[inline(always)]
#[track_caller]
pub(crate) unsafe fn atomic_load<P: Primitive>(p: *const P, order: Ordering) -> P {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    P::from_bits(unsafe { P::Bits::load(p.cast(), order) })
}

/// Reads an integer atomically from memory that this process may have mapped read-only.
///
/// # Panics
/// On `Release` and `AcqRel`, as std's atomics.
///
/// # Safety
/// `p` is a multiple of the size, mapped and readable; the integer is no wider than a pointer.
#[inline(always)]
#[track_caller]
pub(crate) unsafe fn atomic_load_read_only<P: Primitive>(p: *const P, order: Ordering) -> P {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    P::from_bits(unsafe { P::Bits::load_read_only(p.cast(), order) })
}

/// Writes an integer atomically.
///
/// # Panics
/// On `Acquire` and `AcqRel`, as std's atomics.
///
/// # Safety
/// `p` is a multiple of the size, mapped and writable.
#[inline(always)]
#[track_caller]
pub(crate) unsafe fn atomic_store<P: Primitive>(p: *mut P, value: P, order: Ordering) {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    unsafe { P::Bits::store(p.cast(), value.to_bits(), order) }
}

/// Writes an integer atomically and returns what was there.
///
/// # Safety
/// As [`atomic_store`].
#[inline(always)]
pub(crate) unsafe fn atomic_swap<P: Primitive>(p: *mut P, value: P, order: Ordering) -> P {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    P::from_bits(unsafe { P::Bits::swap(p.cast(), value.to_bits(), order) })
}

/// Writes `new` if the integer is `current`; returns what was there, as `Ok` if it was written.
///
/// # Panics
/// On a `failure` ordering of `Release` or `AcqRel`, as std's atomics.
///
/// # Safety
/// As [`atomic_store`].
#[inline(always)]
#[track_caller]
pub(crate) unsafe fn atomic_compare_exchange<P: Primitive>(
    p: *mut P,
    current: P,
    new: P,
    success: Ordering,
    failure: Ordering,
) -> Result<P, P> {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    match unsafe {
        P::Bits::compare_exchange(p.cast(), current.to_bits(), new.to_bits(), success, failure)
    } {
        Ok(old) => Ok(P::from_bits(old)),
        Err(old) => Err(P::from_bits(old)),
    }
}

/// As [`atomic_compare_exchange`], but may fail although the integer is `current`.
///
/// # Panics
/// As there.
///
/// # Safety
/// As [`atomic_store`].
#[inline(always)]
#[track_caller]
pub(crate) unsafe fn atomic_compare_exchange_weak<P: Primitive>(
    p: *mut P,
    current: P,
    new: P,
    success: Ordering,
    failure: Ordering,
) -> Result<P, P> {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    match unsafe {
        P::Bits::compare_exchange_weak(p.cast(), current.to_bits(), new.to_bits(), success, failure)
    } {
        Ok(old) => Ok(P::from_bits(old)),
        Err(old) => Err(P::from_bits(old)),
    }
}

/// Replaces the integer by `change` of it, again if another got in between; returns what was there.
///
/// # Safety
/// As [`atomic_store`].
#[inline(always)]
pub(crate) unsafe fn atomic_update<P: Primitive>(
    p: *mut P,
    order: Ordering,
    change: impl Fn(P) -> P,
) -> P {
    // The first look needs no ordering: only the exchange that succeeds publishes or acquires anything.
    // SAFETY: the caller's own promise.
    let mut old = unsafe { atomic_load(p, Ordering::Relaxed) };
    loop {
        // SAFETY: the caller's own promise.
        match unsafe { atomic_compare_exchange_weak(p, old, change(old), order, Ordering::Relaxed) }
        {
            Ok(old) => return old,
            Err(now) => old = now,
        }
    }
}

/// Adds, wrapping around, and returns what was there.
///
/// # Safety
/// As [`atomic_store`].
#[inline(always)]
pub(crate) unsafe fn atomic_fetch_add<P: Primitive>(p: *mut P, value: P, order: Ordering) -> P {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    P::from_bits(unsafe { P::Bits::fetch_add(p.cast(), value.to_bits(), order) })
}

/// Subtracts, wrapping around, and returns what was there.
///
/// # Safety
/// As [`atomic_store`].
#[inline(always)]
pub(crate) unsafe fn atomic_fetch_sub<P: Primitive>(p: *mut P, value: P, order: Ordering) -> P {
    // SAFETY: the caller's own promise; `Bits` has the size of `P`.
    P::from_bits(unsafe { P::Bits::fetch_add(p.cast(), value.negated().to_bits(), order) })
}
