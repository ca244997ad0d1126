//! [`SharedStruct`]: a segment that is one value.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use crate::access::{Access, ReadOnly, ReadWrite};
use crate::error::Error;
use crate::key::Key;
use crate::liveness::NamespaceAnchor;
use crate::segment::{Segment, SegmentId, SegmentOptions};

use super::array::size_of_run;
use super::bounds::check_run;
use super::cell::{Cell, SharedCell};
use super::{ArrayError, LayoutError, SharedRef, Viewable};

/// A segment that is one `T` and nothing else: C's `struct shared *p = shmat(...)`.
///
/// It keeps the segment attached, so it can be stored in a struct, returned and sent to a thread, where a
/// [`SharedRef`] cannot go. [`field!`](crate::field) reaches its members, and [`view`](Self::view) lends the whole.
///
/// `T` need only be [`Viewable`]: a C struct with gaps or pointers is created zeroed and filled member by member.
/// Each operation asks for what it needs, as on a borrowed view.
///
/// ```
/// use std::sync::atomic::Ordering::{Acquire, Release};
/// use sysvshm::{Key, SharedStruct, field, shared_struct};
///
/// shared_struct! {
///     // struct shared { char kind; long value; int ready; };       with gaps, as C has it
///     struct Shared {
///         kind: i8,
///         value: i64,
///         ready: i32,
///     }
/// }
///
/// struct Program {
///     shared: SharedStruct<Shared>, // owns the segment
/// }
///
/// let key = Key::random()?;
/// let program = Program { shared: SharedStruct::create_new(key)? };
/// field!(program.shared, value).store(-1);
/// field!(program.shared, ready).atomic_store(1, Release);
///
/// // Perhaps in another process, perhaps in C:
/// let reader = SharedStruct::<Shared>::open_read_only(key)?;
/// assert_eq!(field!(reader, ready).atomic_load(Acquire), 1);
/// assert_eq!(reader.view().load().value, -1);
/// program.shared.segment().mark_for_removal()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An array of structs with gaps is one value too:
///
/// ```
/// # use sysvshm::{Key, SharedStruct, field, shared_struct};
/// # shared_struct! { struct Record { kind: u8, value: i64 } }
/// let records = SharedStruct::<[Record; 64]>::create_new(Key::PRIVATE)?;
/// records.segment().mark_for_removal()?;
/// field!(records.view().at(9), value).store(5);
/// assert_eq!(records.view().at(9).load().value, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it detaches the segment"]
pub struct SharedStruct<T: Viewable, A: Access = ReadWrite> {
    /// Holds at least `size_of::<T>()` bytes, at an address that suits `T`.
    segment: Segment<A>,
    /// What its identifier named when this was made; `Err` if the kernel did not say.
    anchor: Result<NamespaceAnchor, Error>,
    /// `Send` and `Sync` exactly when the views are.
    value: PhantomData<SharedRef<'static, T, A>>,
}

impl<T: Viewable> SharedStruct<T> {
    /// Creates a segment of one zeroed `T` under a key that no segment has; mode 0600.
    ///
    /// **C calls:** those of [`SegmentOptions::create_new`].
    ///
    /// # Errors
    ///
    /// [`ArrayError::Layout`] before any call: a zero-sized `T`, or one aligned to more than a page.
    /// [`ArrayError::Kernel`]: those of [`SegmentOptions::create_new`].
    ///
    /// ```
    /// use sysvshm::{Key, SharedStruct};
    ///
    /// let pair = SharedStruct::<[u64; 2]>::create_new(Key::PRIVATE)?;
    /// pair.segment().mark_for_removal()?;
    /// assert_eq!(pair.view().load(), [0, 0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn create_new(key: Key) -> Result<Self, ArrayError> {
        SegmentOptions::new().create_new_struct(key)
    }

    /// Attaches the segment that has this key. It may be larger than a `T`.
    ///
    /// **C calls:** those of [`SegmentOptions::open`].
    ///
    /// # Errors
    ///
    /// As [`create_new`](Self::create_new), with the kernel's of [`SegmentOptions::open`]; a segment smaller than a
    /// `T` is [`SegmentTooSmall`](crate::ErrorKind::SegmentTooSmall), with both sizes in the message.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SharedStruct, memory::ArrayError};
    ///
    /// let key = Key::random()?;
    /// let small = SharedStruct::<u32>::create_new(key)?;
    /// let Err(ArrayError::Kernel(error)) = SharedStruct::<u64>::open(key) else { panic!() };
    /// assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
    /// small.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open(key: Key) -> Result<Self, ArrayError> {
        SegmentOptions::new().open_struct(key)
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
    /// use sysvshm::{Key, SharedStruct};
    ///
    /// let key = Key::random()?;
    /// let first = SharedStruct::<u64>::open_or_create(key)?;
    /// let second = SharedStruct::<u64>::open_or_create(key)?;
    /// first.view().store(7);
    /// assert_eq!(second.view().load(), 7);
    /// first.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open_or_create(key: Key) -> Result<Self, ArrayError> {
        SegmentOptions::new().open_or_create_struct(key)
    }

    /// Attaches the segment that has this key, for reading alone.
    ///
    /// **C calls:** those of [`SegmentOptions::open_read_only`].
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), with the kernel's of [`SegmentOptions::open_read_only`].
    ///
    /// ```
    /// use sysvshm::{Key, SharedStruct};
    ///
    /// let key = Key::random()?;
    /// let writer = SharedStruct::<u64>::create_new(key)?;
    /// let reader = SharedStruct::<u64>::open_read_only(key)?;
    /// writer.view().store(7);
    /// assert_eq!(reader.view().load(), 7);
    /// writer.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only(key: Key) -> Result<SharedStruct<T, ReadOnly>, ArrayError> {
        SegmentOptions::new().open_read_only_struct(key)
    }
}

impl<T: Viewable, A: Access> SharedStruct<T, A> {
    /// Views the beginning of an attached segment as a `T`.
    ///
    /// # Errors
    ///
    /// [`LayoutError::OutOfBounds`], [`LayoutError::ZeroSized`], [`LayoutError::Misaligned`]. The segment is then
    /// detached, as if dropped.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions, SharedStruct, memory::LayoutError};
    ///
    /// let options = || SegmentOptions::new().size_bytes(7).create_new(Key::PRIVATE);
    /// let segment = options()?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(SharedStruct::<u32>::from_segment(segment)?.view().load(), 0);
    /// let segment = options()?;
    /// segment.mark_for_removal()?;
    /// let refused = SharedStruct::<u64>::from_segment(segment).unwrap_err();
    /// assert_eq!(refused, LayoutError::OutOfBounds { offset: 0, needed: 8, available: 7 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_segment(segment: Segment<A>) -> Result<Self, LayoutError> {
        check_run::<T>(segment.base(), segment.len_bytes(), 0, 1)?;
        Ok(Self {
            anchor: NamespaceAnchor::of(&segment),
            segment,
            value: PhantomData,
        })
    }

    /// Returns the segment: to ask for its status, mark it for removal, and so on.
    ///
    /// ```
    /// # use sysvshm::{Key, SharedStruct};
    /// let value = SharedStruct::<u64>::create_new(Key::PRIVATE)?;
    /// value.segment().mark_for_removal()?;
    /// assert_eq!(value.segment().len_bytes(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segment(&self) -> &Segment<A> {
        &self.segment
    }

    /// Returns the segment, still attached: to detach it with an error, for instance, where dropping has none.
    ///
    /// ```
    /// # use sysvshm::{Key, SharedStruct};
    /// let value = SharedStruct::<u64>::create_new(Key::PRIVATE)?;
    /// value.segment().mark_for_removal()?;
    /// value.into_segment().detach()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "shmdt")]
    pub fn into_segment(self) -> Segment<A> {
        self.segment
    }

    /// Lends the value as a view, which can be copied and handed around as long as this lives.
    ///
    /// ```
    /// # use sysvshm::{Key, SharedStruct};
    /// let value = SharedStruct::<u64>::create_new(Key::PRIVATE)?;
    /// value.segment().mark_for_removal()?;
    /// value.view().update(|old| old + 2);
    /// assert_eq!(value.view().load(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn view(&self) -> SharedRef<'_, T, A> {
        SharedRef::from_checked(self.segment.base().cast())
    }

    /// Binds a cell, which is the value or a member of it, to the segment: to write it, and to read it with an end.
    ///
    /// # Panics
    ///
    /// If `cell` is not in this segment.
    ///
    /// ```
    /// # use sysvshm::{Key, SharedStruct, field, shared_struct};
    /// use sysvshm::memory::cell::Committed;
    ///
    /// shared_struct! {
    ///     struct Shared {
    ///         started: u64,
    ///         account: Committed<[u64; 2]>,
    ///     }
    /// }
    /// let shared = SharedStruct::<Shared>::create_new(Key::PRIVATE)?;
    /// shared.segment().mark_for_removal()?;
    /// let account = shared.cell(field!(shared, account));
    /// account.writer()?.update(|[upto, sum]| [upto + 1, sum + 10]);
    /// assert_eq!(account.try_load(), Some([1, 10]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn cell<'a, C: Cell>(&'a self, cell: SharedRef<'a, C, A>) -> SharedCell<'a, C, A> {
        let (start, len) = (self.segment.base().addr().get(), self.segment.len_bytes());
        let offset = cell.address().addr().get().wrapping_sub(start);
        assert!(
            offset <= len && size_of::<C>() <= len - offset,
            "the cell is not in this segment"
        );
        SharedCell::new(cell, offset, &self.anchor)
    }

    /// What [`field!`](crate::field) expands to.
    #[doc(hidden)]
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn project<F: Viewable>(&self, member: impl FnOnce(&T) -> *const F) -> SharedRef<'_, F, A> {
        self.view().project(member)
    }
}

impl<T: Viewable, A: Access> fmt::Debug for SharedStruct<T, A> {
    /// Segment and type; not the value, which would be out of date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedStruct")
            .field("segment", &self.segment)
            .field("type", &type_name::<T>())
            .finish()
    }
}

/// Structs: each method as its namesake, with the size given by the type instead of
/// [`size_bytes`](Self::size_bytes). Errors are those of [`SharedStruct::create_new`] and of the namesake.
///
/// ```
/// use sysvshm::{Key, Removal, SegmentOptions};
///
/// let key = Key::random()?;
/// let mut options = SegmentOptions::new();
/// options.mode(0o660).removal(Removal::OnDrop);
/// let first = options.create_new_struct::<[u32; 4]>(key)?;
/// let id = first.segment().id();
/// let others = [
///     options.open_struct::<[u32; 4]>(key)?,
///     options.open_or_create_struct(key)?,
///     options.attach_struct(id)?,
/// ];
/// let readers = [
///     options.open_read_only_struct::<u32>(key)?, // less will do
///     options.attach_read_only_struct(id)?,
/// ];
/// first.view().at(0).store(7);
/// assert!(others.iter().all(|other| other.view().load() == [7, 0, 0, 0]));
/// assert!(readers.iter().all(|reader| reader.view().load() == 7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[allow(clippy::missing_errors_doc, reason = "said once, for all of them")]
impl SegmentOptions {
    fn sized_for_struct<T>(&self) -> Result<Self, LayoutError> {
        let mut options = self.clone();
        options.size_bytes(size_of_run::<T>(1)?);
        Ok(options)
    }

    /// [`create_new`](Self::create_new) for one zeroed `T`.
    #[doc(alias("shmget", "shmat"))]
    pub fn create_new_struct<T: Viewable>(&self, key: Key) -> Result<SharedStruct<T>, ArrayError> {
        let segment = self.sized_for_struct::<T>()?.create_new(key)?;
        Ok(SharedStruct::from_segment(segment)?)
    }

    /// [`open`](Self::open) for one `T`.
    #[doc(alias("shmget", "shmat"))]
    pub fn open_struct<T: Viewable>(&self, key: Key) -> Result<SharedStruct<T>, ArrayError> {
        let segment = self.sized_for_struct::<T>()?.open(key)?;
        Ok(SharedStruct::from_segment(segment)?)
    }

    /// [`open_read_only`](Self::open_read_only) for one `T`.
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only_struct<T: Viewable>(
        &self,
        key: Key,
    ) -> Result<SharedStruct<T, ReadOnly>, ArrayError> {
        let segment = self.sized_for_struct::<T>()?.open_read_only(key)?;
        Ok(SharedStruct::from_segment(segment)?)
    }

    /// [`open_or_create`](Self::open_or_create) for one `T`.
    #[doc(alias("shmget", "shmat"))]
    pub fn open_or_create_struct<T: Viewable>(
        &self,
        key: Key,
    ) -> Result<SharedStruct<T>, ArrayError> {
        let segment = self.sized_for_struct::<T>()?.open_or_create(key)?;
        Ok(SharedStruct::from_segment(segment)?)
    }

    /// [`attach`](Self::attach) for one `T`.
    #[doc(alias = "shmat")]
    pub fn attach_struct<T: Viewable>(&self, id: SegmentId) -> Result<SharedStruct<T>, ArrayError> {
        let segment = self.sized_for_struct::<T>()?.attach(id)?;
        Ok(SharedStruct::from_segment(segment)?)
    }

    /// [`attach_read_only`](Self::attach_read_only) for one `T`.
    #[doc(alias("shmat", "SHM_RDONLY"))]
    pub fn attach_read_only_struct<T: Viewable>(
        &self,
        id: SegmentId,
    ) -> Result<SharedStruct<T, ReadOnly>, ArrayError> {
        let segment = self.sized_for_struct::<T>()?.attach_read_only(id)?;
        Ok(SharedStruct::from_segment(segment)?)
    }
}
