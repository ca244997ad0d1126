//! [`SharedSlice`]: a run of elements in shared memory.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::ptr::NonNull;

use crate::access::{Access, ReadOnly, ReadWrite, Writable};
use crate::segment::Segment;

use super::bounds::{check_run, resolve};
use super::{LayoutError, Readable, Storable, Viewable};

/// A run of `T` in shared memory: what a `T *` and a length are in C.
///
/// A small `Copy` handle, never a `&[T]`: elements are copied in and out, one by one or in bulk. `A` says whether
/// it may write. The length is fixed when the view is made, checked against the mapping, and kept privately; `'a`
/// keeps the segment attached.
///
/// ```
/// use sysvshm::{Key, SegmentOptions};
///
/// let segment = SegmentOptions::new().size_bytes(20).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let numbers = segment.slice::<i32>(0, 5).unwrap();
/// numbers.write_from(&[1, 2, 3, 4, 5]);
/// numbers.store(0, 10);
/// assert_eq!(numbers.load(4), 5);
/// assert_eq!(numbers.slice(1..3).to_vec(), [2, 3]);
/// assert_eq!(numbers.iter().sum::<i32>(), 24);
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// # Which access promises what
///
/// | call | moves | torn? |
/// |---|---|---|
/// | [`load`](Self::load), [`store`](Self::store), [`iter`](Self::iter) | elements, one at a time | never for 1, 2, 4 or 8 bytes at a multiple of the size |
/// | [`at(i)`](Self::at), then [`atomic_load`](super::SharedRef::atomic_load), [`fetch_add`](super::SharedRef::fetch_add), ... | one integer, in the order asked for | never |
/// | [`read_into`](Self::read_into), [`write_from`](Self::write_from), [`to_vec`](Self::to_vec), [`fill`](Self::fill), [`copy_within`](Self::copy_within) | bytes, at memcpy's speed | elements may be |
///
/// (8 bytes: on 64-bit systems.) Larger elements may be torn by every call; [the module](crate::memory) shows how
/// to guard them.
///
/// # What this does not protect you from
///
/// Another process changing what was just read, or writing nonsense: check every value that matters, after copying
/// it.
pub struct SharedSlice<'a, T, A: Access = ReadWrite> {
    /// `len * size_of::<T>()` bytes from here on stay mapped for `'a`, readable, and writable unless `A` is
    /// read-only.
    start: NonNull<T>,
    len: usize,
    mapping: PhantomData<(&'a (), A)>,
}

// SAFETY: a handle is an address and a length; what goes through it is copied bytes, by accesses that may race.
// Values can thus appear in another thread, hence `T: Send`.
#[allow(unsafe_code, reason = "a raw pointer is neither by itself")]
unsafe impl<T: Send, A: Access> Send for SharedSlice<'_, T, A> {}

// SAFETY: as for `Send`; a shared handle can do nothing that a copy of it cannot.
#[allow(unsafe_code, reason = "a raw pointer is neither by itself")]
unsafe impl<T: Send, A: Access> Sync for SharedSlice<'_, T, A> {}

impl<T, A: Access> Clone for SharedSlice<'_, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A: Access> Copy for SharedSlice<'_, T, A> {}

impl<T, A: Access> fmt::Debug for SharedSlice<'_, T, A> {
    /// The type, address and length; not the elements, which would be out of date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SharedSlice<{}>({:p}; {})",
            std::any::type_name::<T>(),
            self.start,
            self.len
        )
    }
}

impl<'a, T: Viewable, A: Access> SharedSlice<'a, T, A> {
    /// A view of memory this crate did not map: `mmap`, another library's segment, an address handed over from C.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Null`], [`LayoutError::Misaligned`], [`LayoutError::ZeroSized`], [`LayoutError::TooLarge`].
    ///
    /// # Safety
    ///
    /// For all of `'a`, `len * size_of::<T>()` bytes from `start` on stay mapped, readable, and writable unless `A`
    /// is [`ReadOnly`]; and nobody in this process holds a Rust reference to them or accesses them but through
    /// these views, through foreign code, or through a borrow taken under the promises of
    /// [`as_slice`](Self::as_slice) and its siblings.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{ReadOnly, memory::SharedSlice};
    ///
    /// let memory: *mut [u32; 4] = Box::into_raw(Box::new([1, 2, 3, 4])); // a stand-in for what mmap returns
    /// // SAFETY: valid until freed below, and nothing else refers to it.
    /// let view = unsafe { SharedSlice::<u32, ReadOnly>::from_raw_parts(memory.cast(), 4) }.unwrap();
    /// assert_eq!(view.load(2), 3);
    /// // SAFETY: comes from a box; no view is used after this.
    /// drop(unsafe { Box::from_raw(memory) });
    /// ```
    #[allow(unsafe_code, reason = "only the caller knows what an address is")]
    pub unsafe fn from_raw_parts(start: *mut T, len: usize) -> Result<Self, LayoutError> {
        let base = NonNull::new(start).ok_or(LayoutError::Null)?.cast();
        let start = check_run(base, isize::MAX as usize, 0, len)?;
        Ok(Self::from_checked(start, len))
    }

    /// The address, for checks.
    pub(super) fn address(self) -> NonNull<u8> {
        self.start.cast()
    }

    /// A view whose bytes somebody has already checked.
    #[inline(always)]
    pub(crate) fn from_checked(start: NonNull<T>, len: usize) -> Self {
        Self {
            start,
            len,
            mapping: PhantomData,
        }
    }

    /// How many elements there are.
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// assert_eq!((numbers.len(), numbers.len_bytes(), numbers.is_empty()), (4, 8, false));
    /// assert!(numbers.slice(4..).is_empty());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[inline(always)]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// How many bytes they take.
    #[inline(always)]
    #[must_use]
    pub fn len_bytes(self) -> usize {
        self.len * size_of::<T>()
    }

    /// The address of the first element in this process, for C.
    ///
    /// Reading through it in Rust is a plain access, a data race as soon as anybody writes; making a reference of
    /// it promises what [`as_slice`](Self::as_slice) asks for.
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let view = segment.slice::<u16>(0, 4).unwrap();
    /// assert_eq!(view.as_ptr().addr(), segment.as_ptr().addr());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn as_ptr(self) -> *const T {
        self.start.as_ptr()
    }

    /// The same run, for reading alone.
    ///
    /// ```compile_fail,E0277
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE).unwrap();
    /// # segment.mark_for_removal().unwrap();
    /// segment.slice::<i32>(0, 2).unwrap().read_only().store(0, 1);
    /// ```
    #[must_use]
    pub fn read_only(self) -> SharedSlice<'a, T, ReadOnly> {
        SharedSlice::from_checked(self.start, self.len)
    }

    /// The run's bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u32>(0, 2).unwrap();
    /// numbers.bytes().slice(..4).write_from(&7u32.to_ne_bytes());
    /// assert_eq!(numbers.to_vec(), [7, 0]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn bytes(self) -> SharedSlice<'a, u8, A> {
        SharedSlice::from_checked(self.start.cast(), self.len_bytes())
    }

    /// A part of the run.
    ///
    /// # Panics
    ///
    /// If the range ends before it starts or beyond the length, as `slice[range]` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let bytes = segment.slice::<u8>(0, 8).unwrap();
    /// bytes.slice(2..5).fill(1);
    /// assert_eq!(bytes.to_vec(), [0, 0, 1, 1, 1, 0, 0, 0]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn slice(self, range: impl RangeBounds<usize>) -> Self {
        match resolve(range, self.len) {
            Ok((start, end)) => self.part(start, end),
            Err((start, end)) => range_out_of_range(start, end, self.len),
        }
    }

    /// A part of the run, or `None` if the range ends before it starts or beyond the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let bytes = segment.slice::<u8>(0, 8).unwrap();
    /// assert_eq!(bytes.try_slice(6..).map(|part| part.len()), Some(2));
    /// assert!(bytes.try_slice(6..9).is_none());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn try_slice(self, range: impl RangeBounds<usize>) -> Option<Self> {
        resolve(range, self.len)
            .ok()
            .map(|(start, end)| self.part(start, end))
    }

    /// Elements `start..end`, which the caller has checked: `start <= end <= self.len`.
    #[inline(always)]
    pub(super) fn part(self, start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= self.len);
        #[allow(unsafe_code, reason = "pointer arithmetic")]
        // SAFETY: `start <= self.len`, so the result is inside the run or one past its end.
        let first = unsafe { self.start.add(start) };
        Self::from_checked(first, end - start)
    }

    /// The run in two: the first `mid` elements, and the rest. The two share no byte.
    ///
    /// # Panics
    ///
    /// If `mid` is beyond the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let (left, right) = segment.slice::<u8>(0, 8).unwrap().split_at(3);
    /// assert_eq!((left.len(), right.len()), (3, 5));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn split_at(self, mid: usize) -> (Self, Self) {
        (self.slice(..mid), self.slice(mid..))
    }

    /// Where an element is, if there is one at `index`.
    #[inline(always)]
    pub(super) fn element(self, index: usize) -> Option<NonNull<T>> {
        if index >= self.len {
            return None;
        }
        #[allow(unsafe_code, reason = "pointer arithmetic")]
        // SAFETY: just checked to be inside the run.
        let element = unsafe { self.start.add(index) };
        Some(element)
    }

    /// Copies one element out. See [which access promises what](Self#which-access-promises-what).
    ///
    /// # Panics
    ///
    /// If `index` is not below the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// assert_eq!(segment.slice::<u16>(0, 4).unwrap().load(3), 0);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn load(self, index: usize) -> T
    where
        T: Readable,
    {
        self.at(index).load()
    }
}

#[cold]
#[inline(never)]
#[track_caller]
pub(super) fn out_of_range(index: usize, len: usize) -> ! {
    panic!("index {index} out of range for a shared slice of length {len}")
}

#[cold]
#[inline(never)]
#[track_caller]
pub(super) fn range_out_of_range(start: usize, end: usize, len: usize) -> ! {
    panic!("range {start}..{end} out of range for a shared slice of length {len}")
}

impl<T: Viewable, A: Access> SharedSlice<'_, T, A> {
    /// Copies one element in. See [which access promises what](Self#which-access-promises-what).
    ///
    /// # Panics
    ///
    /// If `index` is not below the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// numbers.store(3, 7);
    /// assert_eq!(numbers.to_vec(), [0, 0, 0, 7]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn store(self, index: usize, value: T)
    where
        T: Storable,
        A: Writable,
    {
        self.at(index).store(value);
    }

    /// The address of the first element in this process, for C.
    ///
    /// As with [`as_ptr`](Self::as_ptr), reading or writing through it in Rust is a plain access.
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let view = segment.slice::<u16>(0, 4).unwrap();
    /// // SAFETY: inside the segment, which no other process knows of and no other thread uses.
    /// unsafe { view.as_mut_ptr().write_volatile(7) };
    /// assert_eq!(view.load(0), 7);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn as_mut_ptr(self) -> *mut T
    where
        A: Writable,
    {
        self.start.as_ptr()
    }
}

impl<A: Access> Segment<A> {
    /// `len` elements of `T` from an offset of this segment on.
    ///
    /// # Errors
    ///
    /// [`LayoutError::OutOfBounds`], [`LayoutError::Misaligned`], [`LayoutError::ZeroSized`],
    /// [`LayoutError::TooLarge`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(64).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let header = segment.reference::<u64>(0).unwrap();
    /// let items = segment.slice::<f64>(8, 7).unwrap();
    /// items.fill(1.5);
    /// header.store(items.len() as u64);
    /// assert!(segment.slice::<f64>(8, 8).is_err());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn slice<T: Viewable>(
        &self,
        offset_bytes: usize,
        len: usize,
    ) -> Result<SharedSlice<'_, T, A>, LayoutError> {
        let start = check_run(self.base(), self.len_bytes(), offset_bytes, len)?;
        Ok(SharedSlice::from_checked(start, len))
    }
}
