//! What the protocols do to shared memory: the seam between them and the machine, or a model of it.
//!
//! The protocols are written against [`Shared`]. In a build for use that is [`Mapped`], an address and
//! `access`. Under `--cfg loom` the tests put a model behind it whose atomics explore every interleaving
//! and whose items notice unsynchronised accesses.
#![allow(
    unsafe_code,
    reason = "offsets are checked against the segment once, by the geometry, and not at every access"
)]

use crate::access;
use bytemuck::Pod;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// Shared memory by offset from its start.
///
/// # Safety of the calls
///
/// Offsets come from a geometry that was checked against the length of the memory: multiples of the size accessed,
/// and inside. What is *in* the memory never becomes an offset unchecked.
pub(crate) trait Shared: Copy {
    /// Says that the cache line at this offset will be written soon.
    fn prefetch_to_write(self, _at: usize) {}

    /// # Safety
    /// `at` is a multiple of 8 inside the memory.
    unsafe fn load(self, at: usize, order: Ordering) -> u64;
    /// # Safety
    /// `at` is a multiple of 8 inside the memory.
    unsafe fn store(self, at: usize, value: u64, order: Ordering);
    /// Acquire and release on success, acquire on failure.
    ///
    /// # Safety
    /// `at` is a multiple of 8 inside the memory.
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64>;
}

/// Sleeping on a word of 32 bits, and waking.
pub(crate) trait SharedWaits: Shared {
    /// The word of a sleeper, relaxed.
    ///
    /// # Safety
    /// `at` is a multiple of 4 inside the memory.
    unsafe fn load_wait(self, at: usize) -> u32;
    /// # Safety
    /// `at` is a multiple of 4 inside the memory.
    unsafe fn store_wait(self, at: usize, value: u32);
    /// # Safety
    /// `at` is a multiple of 4 inside the memory.
    unsafe fn compare_exchange_wait(self, at: usize, current: u32, new: u32) -> bool;
    /// A sequentially consistent fence.
    fn fence(self);
    /// Makes every registered process execute a full barrier, and executes one here. `false`: the kernel did not.
    fn barrier_everywhere(self) -> bool;
    /// Sleeps while the word is `expected`, at most `slice`, or less.
    ///
    /// # Safety
    /// `at` is a multiple of 4 inside the memory.
    unsafe fn sleep(self, at: usize, expected: u32, slice: Duration);
    /// As [`sleep`](Self::sleep); says whether it ended because the thread handled a signal.
    ///
    /// # Safety
    /// As `sleep`.
    unsafe fn sleep_or_signal(self, at: usize, expected: u32, slice: Duration) -> bool {
        // SAFETY: the caller's own promise.
        unsafe { self.sleep(at, expected, slice) };
        false
    }
    /// Wakes up to `count` of those who sleep on the word, and says how many there were.
    ///
    /// # Safety
    /// `at` is a multiple of 4 inside the memory.
    unsafe fn wake(self, at: usize, count: u32) -> u32;
}

/// Counting offsets from elsewhere.
pub(crate) trait SharedMoved: SharedWaits {
    /// The same memory with offsets that count from `by` bytes further on, modulo the width of an address. What is
    /// said of `at` elsewhere is then said of the sum.
    fn moved(self, by: usize) -> Self;
    /// Says that the cache lines of these bytes will be read soon.
    fn prefetch_lines(self, _at: usize, _len: usize) {}
    /// The same of bytes that will be written.
    fn prefetch_lines_to_write(self, _at: usize, _len: usize) {}
    /// As [`prefetch_lines`](Self::prefetch_lines), of more than a processor fetches at once.
    fn prefetch_run(self, _at: usize, _len: usize) {}
}

/// The items beside the words.
pub(crate) trait SharedItems<T>: Shared {
    /// # Safety
    /// `at` is where an item's bytes start, inside the memory.
    unsafe fn read_item(self, at: usize) -> T;
    /// # Safety
    /// As [`read_item`](Self::read_item).
    unsafe fn read_item_into(self, at: usize, into: &mut T) {
        // SAFETY: the caller's own promise.
        *into = unsafe { self.read_item(at) };
    }
    /// # Safety
    /// `at` is where an item's bytes start, inside the memory.
    unsafe fn write_item(self, at: usize, item: &T);
}

/// Memory that is mapped: a segment as seen by this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapped {
    /// May point anywhere if it was [moved](SharedMoved::moved).
    base: *mut u8,
}

// SAFETY: an address; what is done through it are atomic accesses and copies that may race with anything.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// # Safety
    ///
    /// As long as the value or a copy of it is used, the memory at `base` stays mapped and writable for as many
    /// bytes as the offsets used with it reach.
    pub(crate) unsafe fn new(base: NonNull<u8>) -> Self {
        Self {
            base: base.as_ptr(),
        }
    }

    /// Where the byte at this offset is.
    ///
    /// # Safety
    /// `at` lies inside the memory, or right behind its end.
    #[inline(always)]
    pub(super) unsafe fn address<P>(self, at: usize) -> *mut P {
        #[cfg(all(test, not(loom)))]
        steps::count();
        // Wrapping, for the sake of what was moved.
        self.base.wrapping_add(at).cast()
    }
}

impl Shared for Mapped {
    #[inline(always)]
    fn prefetch_to_write(self, at: usize) {
        access::prefetch_to_write(self.base.wrapping_add(at));
    }

    #[inline(always)]
    unsafe fn load(self, at: usize, order: Ordering) -> u64 {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u64>(at) };
        // SAFETY: as above; the memory is mapped and writable.
        unsafe { access::atomic_load(word, order) }
    }

    #[inline(always)]
    unsafe fn store(self, at: usize, value: u64, order: Ordering) {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u64>(at) };
        // SAFETY: as above; the memory is mapped and writable.
        unsafe { access::atomic_store(word, value, order) }
    }

    #[inline(always)]
    unsafe fn compare_exchange(self, at: usize, current: u64, new: u64) -> Result<u64, u64> {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u64>(at) };
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: as above; the memory is mapped and writable.
        unsafe { access::atomic_compare_exchange(word, current, new, success, failure) }
    }
}

impl SharedWaits for Mapped {
    #[inline(always)]
    unsafe fn load_wait(self, at: usize) -> u32 {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u32>(at) };
        // SAFETY: as above; the memory is mapped and writable.
        unsafe { access::atomic_load(word, Ordering::Relaxed) }
    }

    #[inline(always)]
    unsafe fn store_wait(self, at: usize, value: u32) {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u32>(at) };
        // SAFETY: as above; the memory is mapped and writable.
        unsafe { access::atomic_store(word, value, Ordering::Relaxed) }
    }

    #[inline(always)]
    unsafe fn compare_exchange_wait(self, at: usize, current: u32, new: u32) -> bool {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u32>(at) };
        let relaxed = Ordering::Relaxed;
        // SAFETY: as above; the memory is mapped and writable.
        unsafe { access::atomic_compare_exchange(word, current, new, relaxed, relaxed) }.is_ok()
    }

    #[inline(always)]
    fn fence(self) {
        fence(Ordering::SeqCst);
    }

    fn barrier_everywhere(self) -> bool {
        // Fails although this process has registered when a filter denies the call later, or with ENOMEM.
        crate::sys::futex::membarrier_global_expedited().is_ok()
    }

    unsafe fn sleep(self, at: usize, expected: u32, slice: Duration) {
        // SAFETY: the caller vouches for the offset.
        unsafe { self.sleep_or_signal(at, expected, slice) };
    }

    unsafe fn sleep_or_signal(self, at: usize, expected: u32, slice: Duration) -> bool {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u32>(at) };
        // SAFETY: as above; the memory stays mapped.
        unsafe { crate::sys::futex::wait(word, expected, slice) }
    }

    unsafe fn wake(self, at: usize, count: u32) -> u32 {
        // SAFETY: the caller vouches for the offset.
        let word = unsafe { self.address::<u32>(at) };
        // SAFETY: as above; the memory stays mapped.
        unsafe { crate::sys::futex::wake(word, count) }
    }
}

impl SharedMoved for Mapped {
    #[inline(always)]
    fn moved(self, by: usize) -> Self {
        Self {
            base: self.base.wrapping_add(by),
        }
    }

    #[inline(always)]
    fn prefetch_lines(self, at: usize, len: usize) {
        for line in (0..len).step_by(64) {
            access::prefetch(self.base.wrapping_add(at).wrapping_add(line));
        }
    }

    #[inline(always)]
    fn prefetch_lines_to_write(self, at: usize, len: usize) {
        access::prefetch_lines_to_write(self.base.wrapping_add(at), len);
    }

    #[inline(always)]
    fn prefetch_run(self, at: usize, len: usize) {
        for line in (0..len).step_by(64) {
            access::prefetch_far(self.base.wrapping_add(at).wrapping_add(line));
        }
    }
}

impl<T: Pod> SharedItems<T> for Mapped {
    #[inline(always)]
    unsafe fn read_item(self, at: usize) -> T {
        // SAFETY: the caller vouches for the offset.
        let item = unsafe { self.address::<T>(at) };
        // SAFETY: as above; the item's bytes are mapped.
        unsafe { access::load(item) }
    }

    #[inline(always)]
    unsafe fn read_item_into(self, at: usize, into: &mut T) {
        // SAFETY: the caller vouches for the offset.
        let item = unsafe { self.address::<T>(at) };
        // SAFETY: the borrowed item itself; what is written to it are the bytes of another, and any bytes are one.
        let into = unsafe { &mut *(&raw mut *into).cast::<MaybeUninit<T>>() };
        // SAFETY: as above; the item's bytes are mapped.
        unsafe { access::load_into(item, into) };
    }

    #[inline(always)]
    unsafe fn write_item(self, at: usize, value: &T) {
        // SAFETY: the caller vouches for the offset.
        let item = unsafe { self.address::<T>(at) };
        if size_of::<T>() <= 128 {
            // SAFETY: as above; the item's bytes are mapped and writable.
            unsafe { access::store(item, *value) }
        } else {
            // Not by value: each move of a large item is a copy more.
            // SAFETY: as above; the value is private.
            unsafe { access::copy_in(item.cast(), (&raw const *value).cast(), size_of::<T>()) }
        }
    }
}

/// Counts what the running thread does to mapped memory, for tests: a call that goes round for ever then fails.
#[cfg(all(test, not(loom)))]
pub(crate) mod steps {
    use std::cell::Cell;

    thread_local! {
        /// How many are left, if they are counted.
        static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
    }

    #[inline(always)]
    pub(super) fn count() {
        if let Some(left) = LEFT.get() {
            count_down(left);
        }
    }

    fn count_down(left: u64) {
        let next = left.checked_sub(1);
        // Not counted while this panics, because destructors run then.
        LEFT.set(next);
        assert!(
            next.is_some(),
            "more accesses than a call makes that returns"
        );
    }

    /// Runs what makes at most so many accesses, and says how many it made.
    pub(crate) fn at_most<R>(limit: u64, call: impl FnOnce() -> R) -> (R, u64) {
        LEFT.set(Some(limit));
        let result = call();
        let left = LEFT.replace(None).unwrap_or(0);
        (result, limit - left)
    }
}
