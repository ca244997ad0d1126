//! Real references and std's atomics over shared bytes: for whoever can promise what the compiler then assumes.
//!
//! Nothing safe in this crate makes one. With a reference the bytes become ordinary memory of this program as long
//! as the reference lives, and every rule of ordinary memory applies to everybody who shares them, other processes
//! included.
#![allow(
    unsafe_code,
    reason = "every function here is unsafe and says what it needs"
)]

use std::slice;

use crate::access::{Access, Primitive, ReadWrite};

use super::bounds::check_alignment;
use super::{LayoutError, Readable, SharedRef, SharedSlice, Storable, Viewable};

impl<'a, T: Viewable, A: Access> SharedSlice<'a, T, A> {
    /// The elements as an ordinary slice, without a copy.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Misaligned`] for a misaligned member of a packed struct.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, nobody writes these bytes: no thread of this process through any view, no other
    /// process that has the segment attached, no kernel call on anybody's behalf. Not even the same value.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// numbers.write_from(&[3, 1, 4, 1]);
    /// // SAFETY: the segment is private to this process and marked for removal, so nobody else has it
    /// // attached; the only view here does not write while the slice lives.
    /// let slice = unsafe { numbers.as_slice() }.unwrap();
    /// assert_eq!(slice.iter().max(), Some(&4));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub unsafe fn as_slice(self) -> Result<&'a [T], LayoutError>
    where
        T: Readable,
    {
        check_alignment::<T>(self.address())?;
        // SAFETY: whoever made this view checked the run, and `'a` keeps it mapped; that nobody writes is the
        // caller's promise.
        Ok(unsafe { slice::from_raw_parts(self.as_ptr(), self.len()) })
    }
}

impl<'a, T: Viewable> SharedSlice<'a, T, ReadWrite> {
    /// The elements as an ordinary mutable slice, without a copy.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Misaligned`] for a misaligned member of a packed struct.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, nobody else reads or writes these bytes: no thread of this process through any
    /// view, no other process that has the segment attached, no kernel call on anybody's behalf. A lock that all of
    /// them honour is such a promise.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// numbers.write_from(&[3, 1, 4, 1]);
    /// // SAFETY: the segment is private to this process and marked for removal, so nobody else has it
    /// // attached; no view here is used while the slice lives.
    /// unsafe { numbers.as_mut_slice() }.unwrap().sort();
    /// assert_eq!(numbers.to_vec(), [1, 1, 3, 4]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub unsafe fn as_mut_slice(self) -> Result<&'a mut [T], LayoutError>
    where
        T: Readable + Storable,
    {
        check_alignment::<T>(self.address())?;
        // SAFETY: whoever made this view checked the run and that it may be written, and `'a` keeps it mapped; that
        // nobody else uses it is the caller's promise.
        Ok(unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) })
    }

    /// The elements as std's atomics, for code that wants `&[AtomicU64]`.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Misaligned`] where the atomic needs more alignment than the integer (`u64` on 32-bit x86) and
    /// does not have it.
    ///
    /// # Safety
    ///
    /// As long as the slice lives, the program that holds it must stay within [std's rules for
    /// atomics](std::sync::atomic#memory-model-for-atomic-accesses): no thread of this process accesses these bytes
    /// otherwise than by atomics of this very size, no view of another element type included, unless synchronised;
    /// and what other processes do to them is such accesses too.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::Relaxed;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let counters = segment.slice::<u32>(0, 2).unwrap();
    /// // SAFETY: the segment is private to this process and marked for removal; nobody accesses it
    /// // otherwise meanwhile.
    /// let atomics = unsafe { counters.as_atomics() }.unwrap();
    /// atomics[1].fetch_add(2, Relaxed);
    /// assert_eq!(counters.load(1), 2);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub unsafe fn as_atomics(self) -> Result<&'a [T::Atomic], LayoutError>
    where
        T: Primitive,
    {
        check_alignment::<T::Atomic>(self.address())?;
        // SAFETY: whoever made this view checked the run and that it may be written, and `'a` keeps it mapped; an
        // atomic has the size and bits of its integer, and its alignment was just checked; the rest is the caller's
        // promise.
        Ok(unsafe { slice::from_raw_parts(self.as_ptr().cast(), self.len()) })
    }
}

impl<'a, T: Viewable, A: Access> SharedRef<'a, T, A> {
    /// The value as an ordinary reference.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Misaligned`] for a misaligned member of a packed struct.
    ///
    /// # Safety
    ///
    /// Those of [`SharedSlice::as_slice`]: nobody writes these bytes as long as the reference lives.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let value = segment.reference::<u64>(0).unwrap();
    /// // SAFETY: the segment is private to this process and marked for removal; nobody writes it meanwhile.
    /// assert_eq!(unsafe { value.as_ref() }, Ok(&0));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub unsafe fn as_ref(self) -> Result<&'a T, LayoutError>
    where
        T: Readable,
    {
        check_alignment::<T>(self.address())?;
        // SAFETY: whoever made this view checked that the bytes are there, and `'a` keeps them mapped; that nobody
        // writes is the caller's promise.
        Ok(unsafe { &*self.as_ptr() })
    }
}

impl<'a, T: Viewable> SharedRef<'a, T, ReadWrite> {
    /// The value as an ordinary mutable reference.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Misaligned`] for a misaligned member of a packed struct.
    ///
    /// # Safety
    ///
    /// Those of [`SharedSlice::as_mut_slice`]: nobody else reads or writes these bytes as long as the reference
    /// lives.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let value = segment.reference::<u64>(0).unwrap();
    /// // SAFETY: the segment is private to this process and marked for removal; nobody uses it meanwhile.
    /// *unsafe { value.as_mut() }.unwrap() += 3;
    /// assert_eq!(value.load(), 3);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub unsafe fn as_mut(self) -> Result<&'a mut T, LayoutError>
    where
        T: Readable + Storable,
    {
        check_alignment::<T>(self.address())?;
        // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps them
        // mapped; that nobody else uses them is the caller's promise.
        Ok(unsafe { &mut *self.as_mut_ptr() })
    }

    /// The integer as one of std's atomics.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Misaligned`] where the atomic needs more alignment than the integer (`u64` on 32-bit x86) and
    /// does not have it.
    ///
    /// # Safety
    ///
    /// Those of [`SharedSlice::as_atomics`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::atomic::Ordering::Relaxed;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let counter = segment.reference::<u64>(0).unwrap();
    /// // SAFETY: the segment is private to this process and marked for removal; nobody accesses it
    /// // otherwise meanwhile.
    /// unsafe { counter.as_atomic() }.unwrap().fetch_add(5, Relaxed);
    /// assert_eq!(counter.load(), 5);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub unsafe fn as_atomic(self) -> Result<&'a T::Atomic, LayoutError>
    where
        T: Primitive,
    {
        check_alignment::<T::Atomic>(self.address())?;
        // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps them
        // mapped; an atomic has the size and bits of its integer, and its alignment was just checked; the rest is
        // the caller's promise.
        Ok(unsafe { &*self.as_ptr().cast() })
    }
}
