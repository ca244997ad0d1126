//! [`SharedArray`]: a segment that is an array.

use std::fmt;
use std::marker::PhantomData;

use crate::access::{Access, ReadOnly, ReadWrite};
use crate::key::Key;
use crate::segment::{Segment, SegmentId, SegmentOptions};

use super::bounds::{byte_len, check_alignment};
use super::{ArrayError, Element, Iter, LayoutError, SharedSlice};

/// A segment that is an array of `T` and nothing else: C's `int *arr = shmat(...)`.
///
/// Byte 0 of the segment is byte 0 of element 0; there is no header, so a C program needs to know nothing but type
/// and length. The array keeps the segment attached; [`view`](Self::view) lends the [`SharedSlice`] through which
/// its elements are read and written.
///
/// ```
/// use sysvshm::{Key, SharedArray};
///
/// let key = Key::random()?;
/// let array = SharedArray::<i32>::create_new(key, 5)?;
/// let numbers = array.view();
/// numbers.write_from(&[1, 2, 3, 4, 5]);
///
/// // Perhaps in another process, perhaps in C:
/// let other = SharedArray::<i32>::open(key, 5)?;
/// other.view().store(0, 10);
///
/// assert_eq!(numbers.to_vec(), [10, 2, 3, 4, 5]);
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
/// array.view().fill(0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `T` is plain data without padding ([`Element`]): both sides may write any bytes, and write whole elements. An
/// array of structs with padding is a [`SharedStruct`](super::SharedStruct)`<[T; N]>`.
///
/// ```compile_fail,E0277
/// sysvshm::SharedArray::<String>::open(sysvshm::Key::PRIVATE, 1);
/// ```
#[must_use = "dropping it detaches the segment"]
pub struct SharedArray<T: Element, A: Access = ReadWrite> {
    segment: Segment<A>,
    /// `len * size_of::<T>()` is at most the segment's size, and its address suits `T`.
    len: usize,
    /// `Send` and `Sync` exactly when the views are.
    elements: PhantomData<SharedSlice<'static, T, A>>,
}

impl<T: Element> SharedArray<T> {
    /// Creates a segment of `len` zeroed elements under a key that no segment has; mode 0600.
    ///
    /// **C calls:** those of [`SegmentOptions::create_new`].
    ///
    /// # Errors
    ///
    /// [`ArrayError::Layout`] before any call: a zero-sized `T`, a length beyond the address space, a `T` aligned
    /// to more than a page.
    /// [`ArrayError::Kernel`]: those of [`SegmentOptions::create_new`].
    ///
    /// ```
    /// use sysvshm::{Key, SharedArray};
    ///
    /// let array = SharedArray::<u16>::create_new(Key::PRIVATE, 3)?;
    /// array.segment().mark_for_removal()?;
    /// assert_eq!(array.view().to_vec(), [0; 3]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    /// As [`create_new`](Self::create_new), with the kernel's of [`SegmentOptions::open`]; more elements than the
    /// segment holds is [`SegmentTooSmall`](crate::ErrorKind::SegmentTooSmall), with both sizes in the message.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SharedArray, memory::ArrayError};
    ///
    /// let key = Key::random()?;
    /// let array = SharedArray::<i32>::create_new(key, 5)?;
    /// let Err(ArrayError::Kernel(error)) = SharedArray::<i32>::open(key, 6) else { panic!() };
    /// assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
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
    /// first.view().store(7, 1);
    /// assert_eq!(second.view().load(7), 1);
    /// first.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open_or_create(key: Key, len: usize) -> Result<Self, ArrayError> {
        SegmentOptions::new().open_or_create_array(key, len)
    }

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
    /// let reader: SharedArray<u8, ReadOnly> = SharedArray::<u8>::open_read_only(key, 5)?;
    /// writer.view().write_from(b"hello");
    /// assert_eq!(reader.view().to_vec(), b"hello");
    /// writer.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// ```compile_fail,E0277
    /// use sysvshm::{Key, SharedArray};
    /// SharedArray::<u8>::open_read_only(Key::from_raw(1), 5).unwrap().view().store(0, 1);
    /// ```
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only(key: Key, len: usize) -> Result<SharedArray<T, ReadOnly>, ArrayError> {
        SegmentOptions::new().open_read_only_array(key, len)
    }
}

impl<T: Element, A: Access> SharedArray<T, A> {
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
    /// assert_eq!(SharedArray::<i32>::from_segment(segment)?.view().len(), 5);
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
    /// let error = SharedArray::<i32>::from_segment_with_len(segment, 6).unwrap_err();
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
    ///
    /// ```
    /// use sysvshm::{Key, SharedArray};
    ///
    /// let array = SharedArray::<u64>::create_new(Key::PRIVATE, 5)?;
    /// array.segment().mark_for_removal()?;
    /// assert_eq!(array.segment().len_bytes(), 40);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segment(&self) -> &Segment<A> {
        &self.segment
    }

    /// The segment, still attached: to detach it with an error, for instance, where dropping has none.
    ///
    /// ```
    /// use sysvshm::{Key, SharedArray};
    ///
    /// let array = SharedArray::<u64>::create_new(Key::PRIVATE, 5)?;
    /// array.segment().mark_for_removal()?;
    /// array.into_segment().detach()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "shmdt")]
    pub fn into_segment(self) -> Segment<A> {
        self.segment
    }

    /// The whole array as a slice, which can be copied, cut and handed around as long as the array lives.
    ///
    /// ```
    /// use sysvshm::{Key, SharedArray, SharedSlice};
    ///
    /// fn sum(numbers: SharedSlice<'_, u64>) -> u64 {
    ///     numbers.iter().sum()
    /// }
    ///
    /// let array = SharedArray::<u64>::create_new(Key::PRIVATE, 5)?;
    /// array.segment().mark_for_removal()?;
    /// array.view().fill(2);
    /// assert_eq!(sum(array.view()), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn view(&self) -> SharedSlice<'_, T, A> {
        SharedSlice::from_checked(self.segment.base().cast(), self.len)
    }
}

impl<T: Element, A: Access> fmt::Debug for SharedArray<T, A> {
    /// Segment, type and length; not the elements, which would be out of date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedArray")
            .field("segment", &self.segment)
            .field("element", &std::any::type_name::<T>())
            .field("len", &self.len)
            .finish()
    }
}

impl<'a, T: Element, A: Access> IntoIterator for &'a SharedArray<T, A> {
    type Item = T;
    type IntoIter = Iter<'a, T, A>;

    fn into_iter(self) -> Iter<'a, T, A> {
        self.view().iter()
    }
}

/// The length in bytes that `len` values need, refused early where no segment could hold a run of them.
pub(super) fn size_of_run<T>(len: usize) -> Result<usize, LayoutError> {
    let bytes = byte_len::<T>(len)?;
    // A segment starts at a page, so a page's address stands for its own.
    let page = std::ptr::without_provenance_mut::<u8>(crate::sys::process::page_size());
    std::ptr::NonNull::new(page).map_or(Ok(()), check_alignment::<T>)?;
    Ok(bytes)
}

/// Arrays: each method as its namesake, with the size given by type and length instead of
/// [`size_bytes`](Self::size_bytes).
impl SegmentOptions {
    fn sized_for<T: Element>(&self, len: usize) -> Result<Self, LayoutError> {
        let mut options = self.clone();
        options.size_bytes(size_of_run::<T>(len)?);
        Ok(options)
    }

    /// [`create_new`](Self::create_new) for an array of `len` zeroed elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedArray::create_new`].
    ///
    /// ```
    /// use sysvshm::{Key, Removal, SegmentOptions};
    ///
    /// let array = SegmentOptions::new().removal(Removal::OnDrop).create_new_array::<i32>(Key::random()?, 5)?;
    /// assert_eq!(array.segment().len_bytes(), 20);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn create_new_array<T: Element>(
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
    ///
    /// ```
    /// use sysvshm::{Key, Removal, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let array = SegmentOptions::new().removal(Removal::OnDrop).create_new_array::<i32>(key, 5)?;
    /// let start = SegmentOptions::new().open_array::<i32>(key, 2)?; // fewer will do
    /// start.view().store(1, 6);
    /// assert_eq!((start.view().len(), array.view().load(1)), (2, 6));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open_array<T: Element>(
        &self,
        key: Key,
        len: usize,
    ) -> Result<SharedArray<T>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.open(key)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }

    /// [`open_read_only`](Self::open_read_only) for an array of `len` elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// Those of [`SharedArray::open_read_only`].
    ///
    /// ```
    /// use sysvshm::{Key, Removal, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let array = SegmentOptions::new().removal(Removal::OnDrop).create_new_array::<i32>(key, 5)?;
    /// let reader = SegmentOptions::new().open_read_only_array::<i32>(key, 5)?;
    /// array.view().store(4, 1);
    /// assert_eq!(reader.view().load(4), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only_array<T: Element>(
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
    ///
    /// ```
    /// use sysvshm::{Key, Removal, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let mut options = SegmentOptions::new();
    /// options.removal(Removal::OnDrop);
    /// let first = options.open_or_create_array::<i32>(key, 5)?;
    /// let second = options.open_or_create_array::<i32>(key, 5)?;
    /// assert!(first.segment().was_created() && !second.segment().was_created());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open_or_create_array<T: Element>(
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
    /// [`ArrayError::Kernel`]: those of [`attach`](Self::attach), with
    /// [`SegmentTooSmall`](crate::ErrorKind::SegmentTooSmall) if the segment holds fewer.
    /// [`ArrayError::Layout`]: those of [`SharedArray::create_new`].
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions, SharedArray};
    ///
    /// let array = SharedArray::<u32>::create_new(Key::PRIVATE, 3)?;
    /// let id = array.segment().id();
    /// let same = SegmentOptions::new().attach_array::<u32>(id, 3)?;
    /// same.view().store(2, 5);
    /// assert_eq!(array.view().to_vec(), [0, 0, 5]);
    /// assert!(SegmentOptions::new().attach_array::<u32>(id, 4).is_err());
    /// id.mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach_array<T: Element>(
        &self,
        id: SegmentId,
        len: usize,
    ) -> Result<SharedArray<T>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.attach(id)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }

    /// [`attach_read_only`](Self::attach_read_only) for an array of `len` elements; see [`SharedArray`].
    ///
    /// # Errors
    ///
    /// As [`attach_array`](Self::attach_array), with the kernel's of [`attach_read_only`](Self::attach_read_only).
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions, SharedArray};
    ///
    /// let array = SharedArray::<u32>::create_new(Key::PRIVATE, 3)?;
    /// array.segment().mark_for_removal()?;
    /// # #[cfg(target_os = "linux")] {
    /// let reader = SegmentOptions::new().attach_read_only_array::<u32>(array.segment().id(), 3)?;
    /// array.view().store(2, 5);
    /// assert_eq!(reader.view().to_vec(), [0, 0, 5]);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmat", "SHM_RDONLY"))]
    pub fn attach_read_only_array<T: Element>(
        &self,
        id: SegmentId,
        len: usize,
    ) -> Result<SharedArray<T, ReadOnly>, ArrayError> {
        let segment = self.sized_for::<T>(len)?.attach_read_only(id)?;
        Ok(SharedArray::from_segment_with_len(segment, len)?)
    }
}
