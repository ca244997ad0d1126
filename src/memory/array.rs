//! [`SharedArray`]: a segment that is an array.

use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::sync::atomic::Ordering;

use bytemuck::Pod;

use super::bounds::{byte_len, check_alignment};
use super::{ArrayError, Chunks, Iter, LayoutError, Primitive, SharedRef, SharedSlice};
use crate::key::Key;
use crate::segment::{Access, ReadOnly, ReadWrite, Segment, SegmentId, SegmentOptions};

/// A segment that is an array of `T` and nothing else: C's `int *arr = shmat(...)`.
///
/// Byte 0 of the segment is byte 0 of element 0; there is no header, so a C program needs to know nothing but type and length.
/// All that a [`SharedSlice`] can do, the array can; [`view`](Self::view) lends one.
///
/// ```
/// use sysvshm::{Key, SharedArray};
///
/// let key = Key::random()?;
/// let array = SharedArray::<i32>::create_new(key, 5)?;
/// array.write_from(&[1, 2, 3, 4, 5]);
///
/// // Perhaps in another process, perhaps in C:
/// let other = SharedArray::<i32>::open(key, 5)?;
/// other.set(0, 10);
///
/// assert_eq!(array.to_vec(), [10, 2, 3, 4, 5]);
/// assert_eq!(array.segment().len_bytes(), 20);
/// array.segment().mark_for_removal()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Mode, huge pages, removal and the rest are those of [`SegmentOptions`]:
///
/// ```
/// use sysvshm::{Key, Removal, SegmentOptions};
///
/// let mut options = SegmentOptions::new();
/// options.mode(0o666).removal(Removal::OnDrop);
/// let array = options.create_new_array::<f64>(Key::random()?, 1000)?;
/// array.fill(0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `T` is plain data without padding ([`bytemuck::Pod`]): both sides may write any bytes, and write whole elements.
///
/// ```compile_fail,E0277
/// sysvshm::SharedArray::<String>::open(sysvshm::Key::PRIVATE, 1);
/// ```
#[must_use = "dropping it detaches the segment"]
pub struct SharedArray<T: Pod, A: Access = ReadWrite> {
    segment: Segment<A>,
    /// `len * size_of::<T>()` is at most the segment's size, and its address suits `T`.
    len: usize,
    /// `Send` and `Sync` exactly when the views are.
    elements: PhantomData<SharedSlice<'static, T, A>>,
}

impl<T: Pod> SharedArray<T> {
    /// Creates a segment of `len` zeroed elements under a key that no segment has; mode 0600.
    ///
    /// **C calls:** those of [`SegmentOptions::create_new`].
    ///
    /// # Errors
    ///
    /// [`ArrayError::Layout`] before any call: a zero-sized `T`, a length beyond the address space, a `T` aligned to more than a page.
    /// [`ArrayError::Kernel`]: those of [`SegmentOptions::create_new`].
    #[doc(alias("shmget", "shmat"))]
    pub fn create_new(key: Key, len: usize) -> Result<Self, ArrayError> {
        SegmentOptions::new().create_new_array(key, len)
    }

    /// Attaches `len` elements of the segment that has this key. It may hold more.
    ///
    /// **C calls:** those of [`SegmentOptions::open`].
    ///
    /// # Errors
    ///
    /// As [`create_new`](Self::create_new), with the kernel's of [`SegmentOptions::open`]; more elements than the segment holds is
    /// [`LargerThanSegment`](crate::ErrorKind::LargerThanSegment), with both sizes in the message.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SharedArray, memory::ArrayError};
    ///
    /// let key = Key::random()?;
    /// let array = SharedArray::<i32>::create_new(key, 5)?;
    /// let Err(ArrayError::Kernel(error)) = SharedArray::<i32>::open(key, 6) else { panic!() };
    /// assert_eq!(error.kind(), ErrorKind::LargerThanSegment);
    /// array.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open(key: Key, len: usize) -> Result<Self, ArrayError> {
        SegmentOptions::new().open_array(key, len)
    }

    /// [`open`](Self::open)s the segment that has this key, or creates it.
    ///
    /// **C calls:** those of [`SegmentOptions::open_or_create`].
    ///
    /// # Errors
    ///
    /// As [`create_new`](Self::create_new), with the kernel's of [`SegmentOptions::open_or_create`].
    ///
    /// ```
    /// use sysvshm::{Key, SharedArray};
    ///
    /// let key = Key::random()?;
    /// let first = SharedArray::<u64>::open_or_create(key, 8)?;
    /// let second = SharedArray::<u64>::open_or_create(key, 8)?;
    /// first.set(7, 1);
    /// assert_eq!(second.get(7), 1);
    /// first.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open_or_create(key: Key, len: usize) -> Result<Self, ArrayError> {
        SegmentOptions::new().open_or_create_array(key, len)
    }
}

impl<T: Pod> SharedArray<T, ReadOnly> {
    /// Attaches `len` elements of the segment that has this key, for reading alone.
    ///
    /// **C calls:** those of [`SegmentOptions::open_read_only`].
    ///
    /// # Errors
    ///
    /// As [`SharedArray::open`], with the kernel's of [`SegmentOptions::open_read_only`].
    ///
    /// ```
    /// use sysvshm::{Key, ReadOnly, SharedArray};
    ///
    /// let key = Key::random()?;
    /// let writer = SharedArray::<u8>::create_new(key, 5)?;
    /// let reader = SharedArray::<u8, ReadOnly>::open_read_only(key, 5)?;
    /// writer.write_from(b"hello");
    /// assert_eq!(reader.to_vec(), b"hello");
    /// writer.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```compile_fail,E0599
    /// use sysvshm::{Key, SharedArray};
    /// SharedArray::<u8, _>::open_read_only(Key::from_raw(1), 5).unwrap().set(0, 1);
    /// ```
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only(key: Key, len: usize) -> Result<Self, ArrayError> {
        SegmentOptions::new().open_read_only_array(key, len)
    }
}

impl<T: Pod, A: Access> SharedArray<T, A> {
    /// All whole elements that an attached segment holds.
    ///
    /// # Errors
    ///
    /// [`LayoutError::ZeroSized`], [`LayoutError::Misaligned`]. The segment is then detached, as if dropped.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions, SharedArray};
    ///
    /// let segment = SegmentOptions::new().size_bytes(23).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(SharedArray::<i32, _>::from_segment(segment)?.len(), 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_segment(segment: Segment<A>) -> Result<Self, LayoutError> {
        // One element of any size is asked for only to have a zero-sized one refused.
        byte_len::<T>(1)?;
        let len = segment.len_bytes() / size_of::<T>();
        Self::from_segment_with_len(segment, len)
    }

    /// The first `len` elements of an attached segment.
    ///
    /// # Errors
    ///
    /// [`LayoutError::TooManyElements`] with both numbers, [`LayoutError::TooLarge`], [`LayoutError::ZeroSized`],
    /// [`LayoutError::Misaligned`]. The segment is then detached, as if dropped.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions, SharedArray};
    ///
    /// let segment = SegmentOptions::new().size_bytes(20).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let error = SharedArray::<i32, _>::from_segment_with_len(segment, 6).unwrap_err();
    /// assert_eq!(error.to_string(), "6 elements of 4 bytes do not fit into a segment of 20 bytes, which holds 5");
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn from_segment_with_len(segment: Segment<A>, len: usize) -> Result<Self, LayoutError> {
        let available = segment.len_bytes();
        if byte_len::<T>(len)? > available {
            let element_bytes = size_of::<T>();
            return Err(LayoutError::TooManyElements {
                elements: len,
                element_bytes,
                available,
            });
        }
        check_alignment::<T>(segment.base())?;
        Ok(Self {
            segment,
            len,
            elements: PhantomData,
        })
    }

    /// The segment, to ask for its status, mark it for removal, and so on.
    pub fn segment(&self) -> &Segment<A> {
        &self.segment
    }

    /// The segment, still attached.
    pub fn into_segment(self) -> Segment<A> {
        self.segment
    }

    /// The whole array as a slice, which can be copied, cut and handed around as long as the array lives.
    #[inline(always)]
    #[must_use]
    pub fn view(&self) -> SharedSlice<'_, T, A> {
        SharedSlice::from_checked(self.segment.base().cast(), self.len)
    }
}

impl<T: Pod, A: Access> fmt::Debug for SharedArray<T, A> {
    /// Segment, type and length; not the elements, which would be out of date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray")
            .field("segment", &self.segment)
            .field("element", &std::any::type_name::<T>())
            .field("len", &self.len)
            .finish()
    }
}

impl<'a, T: Pod, A: Access> IntoIterator for &'a SharedArray<T, A> {
    type Item = T;
    type IntoIter = Iter<'a, T, A>;

    fn into_iter(self) -> Iter<'a, T, A> {
        self.view().iter()
    }
}

/// The methods of [`SharedSlice`], on the whole array.
macro_rules! forward {
    ($(fn $name:ident(&$self:ident $(, $argument:ident: $type:ty)*) $(-> $result:ty)?;)*) => {$(
        #[doc = concat!("[`SharedSlice::", stringify!($name), "`] of the whole array.")]
        #[inline(always)]
        #[track_caller]
        #[allow(clippy::missing_errors_doc, clippy::must_use_candidate, clippy::double_must_use, reason = "documented there")]
        pub fn $name(&$self $(, $argument: $type)*) $(-> $result)? {
            $self.view().$name($($argument),*)
        }
    )*};
}

impl<T: Pod, A: Access> SharedArray<T, A> {
    forward! {
        fn len(&self) -> usize;
        fn is_empty(&self) -> bool;
        fn at(&self, index: usize) -> SharedRef<'_, T, A>;
        fn try_at(&self, index: usize) -> Option<SharedRef<'_, T, A>>;
        fn slice(&self, range: impl RangeBounds<usize>) -> SharedSlice<'_, T, A>;
        fn try_slice(&self, range: impl RangeBounds<usize>) -> Option<SharedSlice<'_, T, A>>;
        fn chunks(&self, len: usize) -> Chunks<'_, T, A>;
        fn get(&self, index: usize) -> T;
        fn read_into(&self, into: &mut [T]);
        fn to_vec(&self) -> Vec<T>;
        fn iter(&self) -> Iter<'_, T, A>;
    }
}

impl<T: Pod> SharedArray<T> {
    forward! {
        fn set(&self, index: usize, value: T);
        fn update(&self, index: usize, change: impl FnOnce(T) -> T);
        fn write_from(&self, from: &[T]);
        fn fill(&self, value: T);
        fn copy_within(&self, range: impl RangeBounds<usize>, dest: usize);
    }
}

impl<T: Primitive, A: Access> SharedArray<T, A> {
    forward! {
        fn load(&self, index: usize, order: Ordering) -> T;
    }
}

impl<T: Primitive> SharedArray<T> {
    forward! {
        fn store(&self, index: usize, value: T, order: Ordering);
        fn swap(&self, index: usize, value: T, order: Ordering) -> T;
        fn compare_exchange(&self, index: usize, current: T, new: T, success: Ordering, failure: Ordering) -> Result<T, T>;
        fn compare_exchange_weak(&self, index: usize, current: T, new: T, success: Ordering, failure: Ordering) -> Result<T, T>;
        fn fetch_add(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_sub(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_and(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_nand(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_or(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_xor(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_max(&self, index: usize, value: T, order: Ordering) -> T;
        fn fetch_min(&self, index: usize, value: T, order: Ordering) -> T;
    }
}

/// The length in bytes that `len` elements need, refused early where no segment could hold an array of them.
fn size_of_array<T: Pod>(len: usize) -> Result<usize, LayoutError> {
    let bytes = byte_len::<T>(len)?;
    // A segment starts at a page, so a page's address stands for its own.
    let page = std::ptr::without_provenance_mut::<u8>(crate::sys::process::page_size());
    std::ptr::NonNull::new(page).map_or(Ok(()), check_alignment::<T>)?;
    Ok(bytes)
}

/// Arrays: each method as its namesake, with the size given by type and length instead of [`size_bytes`](Self::size_bytes).
impl SegmentOptions {
    fn sized_for<T: Pod>(&self, len: usize) -> Result<Self, LayoutError> {
        let mut options = self.clone();
        options.size_bytes(size_of_array::<T>(len)?);
        Ok(options)
    }

    /// [`create_new`](Self::create_new) for an array of `len` zeroed elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedArray::create_new`].
    pub fn create_new_array<T: Pod>(
        &self,
        key: Key,
        len: usize,
    ) -> Result<SharedArray<T>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.create_new(key)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }

    /// [`open`](Self::open) for an array of `len` elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedArray::open`].
    pub fn open_array<T: Pod>(&self, key: Key, len: usize) -> Result<SharedArray<T>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.open(key)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }

    /// [`open_read_only`](Self::open_read_only) for an array of `len` elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedArray::open_read_only`].
    pub fn open_read_only_array<T: Pod>(
        &self,
        key: Key,
        len: usize,
    ) -> Result<SharedArray<T, ReadOnly>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.open_read_only(key)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }

    /// [`open_or_create`](Self::open_or_create) for an array of `len` elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedArray::open_or_create`].
    pub fn open_or_create_array<T: Pod>(
        &self,
        key: Key,
        len: usize,
    ) -> Result<SharedArray<T>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.open_or_create(key)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }

    /// [`attach`](Self::attach) for an array of `len` elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// [`ArrayError::Kernel`]: those of [`attach`](Self::attach), with [`LargerThanSegment`](crate::ErrorKind::LargerThanSegment) if the
    /// segment holds fewer. [`ArrayError::Layout`]: those of [`SharedArray::create_new`].
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions, SharedArray};
    ///
    /// let array = SharedArray::<u32>::create_new(Key::PRIVATE, 3)?;
    /// let id = array.segment().id();
    /// let same = SegmentOptions::new().attach_array::<u32>(id, 3)?;
    /// same.set(2, 5);
    /// assert_eq!(array.to_vec(), [0, 0, 5]);
    /// assert!(SegmentOptions::new().attach_array::<u32>(id, 4).is_err());
    /// id.mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach_array<T: Pod>(
        &self,
        id: SegmentId,
        len: usize,
    ) -> Result<SharedArray<T>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.attach(id)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }
}
