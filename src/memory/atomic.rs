//! Atomic operations on integers in shared memory, by [`SharedRef`]: `field!(shared, hits)`, or `slice.at(i)`.
//!
//! Operations instead of references to std's atomics: the same bytes may at any time be seen through another view,
//! or written by a process that knows nothing of Rust. Between processes they order what std's operations order
//! between threads.

use std::sync::atomic::Ordering;

use crate::access::{self, Access, Primitive, Writable};

use super::{SharedRef, Viewable};

#[cold]
#[inline(never)]
#[track_caller]
fn misaligned(address: usize, size: usize) -> ! {
    panic!("atomic access to {size} bytes at {address:#x}, which is no multiple of {size}")
}

impl<T: Viewable, A: Access> SharedRef<'_, T, A> {
    /// The address, known to be a multiple of the size: what every atomic instruction wants.
    #[inline(always)]
    #[track_caller]
    fn atomic_address(self) -> *mut T
    where
        T: Primitive,
    {
        let address = self.as_ptr().cast_mut();
        if address.addr() % size_of::<T>() != 0 {
            misaligned(address.addr(), size_of::<T>());
        }
        address
    }

    /// Reads the integer atomically; with `Acquire` or `SeqCst`, what was written before the store it reads is seen
    /// after it.
    ///
    /// On a read-only view no integer wider than a pointer (a compile-time error): elsewhere such a load could
    /// write.
    ///
    /// # Panics
    ///
    /// If `order` is `Release` or `AcqRel`. If the address is no multiple of the integer's size, which happens in
    /// packed structs and, for 64-bit integers, on 32-bit x86.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::Acquire;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let ready = segment.reference::<u32>(0).unwrap().read_only();
    /// assert_eq!(ready.atomic_load(Acquire), 0);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads shared bytes")]
    #[doc(alias = "atomic_load_explicit")]
    #[must_use]
    pub fn atomic_load(self, order: Ordering) -> T
    where
        T: Primitive,
    {
        const {
            assert!(
                !A::READ_ONLY || size_of::<T>() <= size_of::<usize>(),
                "this processor has no load of that width that is sure to work on read-only pages"
            );
        }
        self.load_at_any_width(order)
    }

    /// # Panics
    ///
    /// As [`atomic_load`](Self::atomic_load), which besides checks the width.
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads shared bytes")]
    fn load_at_any_width(self, order: Ordering) -> T
    where
        T: Primitive,
    {
        let address = self.atomic_address();
        if !A::READ_ONLY {
            // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps
            // them mapped; the alignment was just checked.
            unsafe { access::atomic_load(address, order) }
        } else {
            // SAFETY: as above, but for writing, of which both callers made sure.
            unsafe { access::atomic_load_read_only(address, order) }
        }
    }
}

/// Read-only pages of 32-bit machines have no load of 64 bits that is sure to work.
const IN_HALVES: bool = size_of::<usize>() < size_of::<u64>();
/// Which half of a word in memory is the upper one.
const UPPER: usize = if cfg!(target_endian = "big") { 0 } else { 1 };

impl<A: Access> SharedRef<'_, u64, A> {
    /// [`atomic_load`](Self::atomic_load), on a read-only view of a 32-bit machine too.
    ///
    /// There it reads halves with acquire ordering: the upper one again until it stays the same. Counters and other words whose upper half
    /// never returns to an earlier value are never torn. A process that keeps changing the upper half gets a torn
    /// value seen, but holds up nothing.
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads shared bytes")]
    pub(crate) fn load_word(self, order: Ordering) -> u64 {
        if !A::READ_ONLY || !IN_HALVES {
            return self.load_at_any_width(order);
        }
        let halves = self.atomic_address().cast::<u32>();
        let half = |index: usize| {
            // SAFETY: the index is 0 or 1, and the word has two halves.
            let address = unsafe { halves.add(index) };
            // SAFETY: the view's bytes are there and stay mapped; a half is as wide as a pointer and aligned.
            unsafe { access::atomic_load_read_only(address, Ordering::Acquire) }
        };
        let mut upper = half(UPPER);
        let mut lower = half(1 - UPPER);
        for _ in 0..100 {
            let again = half(UPPER);
            if again == upper {
                break;
            }
            (upper, lower) = (again, half(1 - UPPER));
        }
        u64::from(upper) << 32 | u64::from(lower)
    }
}

/// One method for every read-modify-write operation that takes a value and returns what was there.
macro_rules! read_modify_write {
    ($($name:ident, $c:literal, $what:literal, $example:literal, |$p:ident, $value:ident, $order:ident| $operation:expr;)*) => {
        impl<T: Viewable, A: Access> SharedRef<'_, T, A> {$(
            #[doc = $what]
            ///
            /// # Panics
            ///
            /// If the address is no multiple of the integer's size, which happens in packed structs and, for
            /// 64-bit integers, on 32-bit x86.
            ///
            /// # Examples
            ///
            /// ```
            /// use std::sync::atomic::Ordering::SeqCst;
            /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
            /// # segment.mark_for_removal()?;
            /// let value = segment.reference::<i32>(0).unwrap();
            /// value.store(6);
            #[doc = concat!("assert_eq!(value.", stringify!($name), "(3, SeqCst), 6);")]
            #[doc = concat!("assert_eq!(value.load(), ", $example, ");")]
            /// # Ok::<(), sysvshm::Error>(())
            /// ```
            #[inline(always)]
            #[track_caller]
            #[allow(unsafe_code, reason = "reads and writes shared bytes")]
            #[doc(alias = $c)]
            pub fn $name(self, $value: T, $order: Ordering) -> T
            where
                T: Primitive,
                A: Writable,
            {
                let $p = self.atomic_address();
                // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a`
                // keeps them mapped; the alignment was just checked.
                unsafe { $operation }
            }
        )*}
    };
}

read_modify_write! {
    swap, "atomic_exchange_explicit", "Writes `value` atomically and returns what was there.", "3",
        |p, value, order| access::atomic_swap(p, value, order);
    fetch_add, "atomic_fetch_add_explicit", "Adds atomically, wrapping around on overflow, and returns what was there.", "9",
        |p, value, order| access::atomic_fetch_add(p, value, order);
    fetch_sub, "atomic_fetch_sub_explicit", "Subtracts atomically, wrapping around on overflow, and returns what was there.", "3",
        |p, value, order| access::atomic_fetch_sub(p, value, order);
    fetch_and, "atomic_fetch_and_explicit", "Bitwise \"and\", atomically; returns what was there.", "2",
        |p, value, order| access::atomic_update(p, order, |old| old.and(value));
    fetch_nand, "atomic_fetch_nand_explicit", "Bitwise \"and\" and \"not\" of the result, atomically; returns what was there.", "!2",
        |p, value, order| access::atomic_update(p, order, |old| old.and(value).complement());
    fetch_or, "atomic_fetch_or_explicit", "Bitwise \"or\", atomically; returns what was there.", "7",
        |p, value, order| access::atomic_update(p, order, |old| old.or(value));
    fetch_xor, "atomic_fetch_xor_explicit", "Bitwise \"exclusive or\", atomically; returns what was there.", "5",
        |p, value, order| access::atomic_update(p, order, |old| old.xor(value));
    fetch_max, "atomic_fetch_max_explicit", "The greater of the two, atomically; returns what was there.", "6",
        |p, value, order| access::atomic_update(p, order, |old| old.max(value));
    fetch_min, "atomic_fetch_min_explicit", "The lesser of the two, atomically; returns what was there.", "3",
        |p, value, order| access::atomic_update(p, order, |old| old.min(value));
}

impl<T: Viewable, A: Access> SharedRef<'_, T, A> {
    /// Writes the integer atomically; with `Release` or `SeqCst`, who reads it with `Acquire` sees what was written
    /// before.
    ///
    /// # Panics
    ///
    /// If `order` is `Acquire` or `AcqRel`. If the address is no multiple of the integer's size, which happens in
    /// packed structs and, for 64-bit integers, on 32-bit x86.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::Release;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let ready = segment.reference::<u32>(0).unwrap();
    /// ready.atomic_store(1, Release);
    /// assert_eq!(ready.load(), 1);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "writes shared bytes")]
    #[doc(alias = "atomic_store_explicit")]
    pub fn atomic_store(self, value: T, order: Ordering)
    where
        T: Primitive,
        A: Writable,
    {
        let address = self.atomic_address();
        // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps them
        // mapped; the alignment was just checked.
        unsafe { access::atomic_store(address, value, order) }
    }

    /// Writes `new` if the integer is `current`, in one step.
    ///
    /// # Errors
    ///
    /// What is there instead, if it is not `current`.
    ///
    /// # Panics
    ///
    /// If `failure` is `Release` or `AcqRel`. If the address is no multiple of the integer's size, which happens in
    /// packed structs and, for 64-bit integers, on 32-bit x86.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::{AcqRel, Acquire};
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let owner = segment.reference::<u64>(0).unwrap();
    /// assert_eq!(owner.compare_exchange(0, 7, AcqRel, Acquire), Ok(0));
    /// assert_eq!(owner.compare_exchange(0, 8, AcqRel, Acquire), Err(7));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads and writes shared bytes")]
    #[doc(alias = "atomic_compare_exchange_strong_explicit")]
    pub fn compare_exchange(
        self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T>
    where
        T: Primitive,
        A: Writable,
    {
        let address = self.atomic_address();
        // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps them
        // mapped; the alignment was just checked.
        unsafe { access::atomic_compare_exchange(address, current, new, success, failure) }
    }

    /// As [`compare_exchange`](Self::compare_exchange), but may fail although the integer is `current`: for loops
    /// that try again.
    ///
    /// # Errors
    ///
    /// What is there; it may be `current`.
    ///
    /// # Panics
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::Relaxed;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let highest = segment.reference::<u64>(0).unwrap();
    /// let mut seen = highest.atomic_load(Relaxed);
    /// while let Err(now) = highest.compare_exchange_weak(seen, seen * 2 + 1, Relaxed, Relaxed) {
    ///     seen = now;
    /// }
    /// assert_eq!(highest.load(), 1);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads and writes shared bytes")]
    #[doc(alias = "atomic_compare_exchange_weak_explicit")]
    pub fn compare_exchange_weak(
        self,
        current: T,
        new: T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<T, T>
    where
        T: Primitive,
        A: Writable,
    {
        let address = self.atomic_address();
        // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps them
        // mapped; the alignment was just checked.
        unsafe { access::atomic_compare_exchange_weak(address, current, new, success, failure) }
    }
}
