//! [`SharedRef`]: one value in shared memory, and [`field!`](crate::field) to reach into it.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::access::{self, Access, ReadOnly, ReadWrite, Writable};
use crate::segment::Segment;

use super::bounds::check_run;
use super::slice::out_of_range;
use super::{LayoutError, Readable, SharedSlice, Storable, Viewable};

/// One `T` in shared memory: what a `T *` into a segment is in C.
///
/// A small `Copy` handle of an address, never a `&T`: [`load`](Self::load) copies the value out, [`store`](Self::store)
/// copies one in, and [`field!`](crate::field) narrows the handle to a member. `A` says whether it may write.
///
/// Safe constructors check bounds and alignment once; `'a` keeps the segment attached. Only a member of a packed
/// struct can lie at an address its type does not divide: `load` and `store` work there, atomic operations panic (as
/// on 32-bit x86 for a 64-bit integer, whose type divides by 4, at an address that 8 does not).
///
/// ```
/// use sysvshm::bytemuck::AnyBitPattern;
/// use sysvshm::{Key, SegmentOptions, field};
///
/// // struct shared { int magic; int owner; char name[32]; double rates[16]; int in, out; };
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Shared {
///     magic: i32,
///     owner: i32,
///     name: [u8; 32],
///     rates: [f64; 16],
///     r#in: i32,
///     out: i32,
/// }
///
/// let segment = SegmentOptions::new().size_bytes(size_of::<Shared>()).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let shared = segment.reference::<Shared>(0).unwrap();    // struct shared *p = shmat(...)
/// field!(shared, magic).store(42);                           // p->magic = 42
/// field!(shared, rates[3]).store(0.5);                       // p->rates[3] = 0.5
/// field!(shared, r#in).store(1);                             // p->in = 1
/// assert_eq!(shared.load().rates[3], 0.5);
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// # What this does not protect you from
///
/// Values that another process changes between two calls, and values that make no sense: check what you read. A
/// value larger than 8 bytes may be read half old, half new; [the module](crate::memory) says what tears and how to
/// guard it.
pub struct SharedRef<'a, T, A: Access = ReadWrite> {
    /// `size_of::<T>()` bytes from here on stay mapped for `'a`, readable, and writable unless `A` is read-only.
    address: NonNull<T>,
    mapping: PhantomData<(&'a (), A)>,
}

// SAFETY: a handle is an address; what goes through it is copied bytes, by accesses that may race. A value can thus
// appear in another thread, hence `T: Send`.
#[allow(unsafe_code, reason = "a raw pointer is neither by itself")]
unsafe impl<T: Send, A: Access> Send for SharedRef<'_, T, A> {}

// SAFETY: as for `Send`; a shared handle can do nothing that a copy of it cannot.
#[allow(unsafe_code, reason = "a raw pointer is neither by itself")]
unsafe impl<T: Send, A: Access> Sync for SharedRef<'_, T, A> {}

impl<T, A: Access> Clone for SharedRef<'_, T, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, A: Access> Copy for SharedRef<'_, T, A> {}

impl<T, A: Access> fmt::Debug for SharedRef<'_, T, A> {
    /// The type and address; not the value, which would be out of date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SharedRef<{}>({:p})",
            std::any::type_name::<T>(),
            self.address
        )
    }
}

impl<'a, T: Viewable, A: Access> SharedRef<'a, T, A> {
    /// A view of memory this crate did not map: `mmap`, another library's segment, an address handed over from C.
    ///
    /// # Errors
    ///
    /// [`LayoutError::Null`], [`LayoutError::Misaligned`], [`LayoutError::ZeroSized`].
    ///
    /// # Safety
    ///
    /// For all of `'a`, `size_of::<T>()` bytes from `address` on stay mapped, readable, and writable unless `A` is
    /// [`ReadOnly`]; and nobody in this process holds a Rust reference to them or accesses them but through these
    /// views, through foreign code, or through a borrow taken under the promises of [`as_ref`](Self::as_ref) and
    /// its siblings.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{ReadWrite, memory::SharedRef};
    ///
    /// let memory: *mut u64 = Box::into_raw(Box::new(7)); // a stand-in for what mmap returns
    /// // SAFETY: valid until freed below, and nothing else refers to it.
    /// let view = unsafe { SharedRef::<u64, ReadWrite>::from_raw(memory) }.unwrap();
    /// view.store(8);
    /// assert_eq!(view.load(), 8);
    /// // SAFETY: comes from a box; no view is used after this.
    /// drop(unsafe { Box::from_raw(memory) });
    /// ```
    #[allow(unsafe_code, reason = "only the caller knows what an address is")]
    pub unsafe fn from_raw(address: *mut T) -> Result<Self, LayoutError> {
        let start = NonNull::new(address).ok_or(LayoutError::Null)?;
        let address = check_run(start.cast(), size_of::<T>(), 0, 1)?;
        Ok(Self {
            address,
            mapping: PhantomData,
        })
    }

    /// Copies the value out.
    ///
    /// One load, never torn, for 1, 2, 4 or 8 bytes at a multiple of the size (8: on 64-bit systems); larger ones
    /// in pieces. Orders nothing else: [`atomic_load`](Self::atomic_load) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let value = segment.reference::<f64>(0).unwrap();
    /// assert_eq!(value.load(), 0.0);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[allow(unsafe_code, reason = "reads shared bytes")]
    #[must_use]
    pub fn load(self) -> T
    where
        T: Readable,
    {
        // SAFETY: whoever made this view checked that the bytes are there, and `'a` keeps them mapped.
        unsafe { access::load(self.address.as_ptr()) }
    }

    /// The address in this process, for C.
    ///
    /// Reading through it in Rust is a plain access, a data race as soon as anybody writes; making a reference of
    /// it promises what [`as_ref`](Self::as_ref) asks for.
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let view = segment.reference::<u16>(2).unwrap();
    /// assert_eq!(view.as_ptr().addr(), segment.as_ptr().addr() + 2);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn as_ptr(self) -> *const T {
        self.address.as_ptr()
    }

    /// The same value, for reading alone.
    ///
    /// ```compile_fail,E0277
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE).unwrap();
    /// # segment.mark_for_removal().unwrap();
    /// segment.reference::<i32>(0).unwrap().read_only().store(1);
    /// ```
    #[must_use]
    pub fn read_only(self) -> SharedRef<'a, T, ReadOnly> {
        SharedRef {
            address: self.address,
            mapping: PhantomData,
        }
    }

    /// The value's bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let value = segment.reference::<u32>(0).unwrap();
    /// value.bytes().fill(0xff);
    /// assert_eq!(value.load(), u32::MAX);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn bytes(self) -> SharedSlice<'a, u8, A> {
        SharedSlice::from_checked(self.address.cast(), size_of::<T>())
    }

    /// The address, for checks.
    pub(super) fn address(self) -> NonNull<u8> {
        self.address.cast()
    }

    /// A view whose bytes somebody has already checked.
    #[inline(always)]
    pub(super) fn from_checked(address: NonNull<T>) -> Self {
        Self {
            address,
            mapping: PhantomData,
        }
    }

    /// What [`field!`](crate::field) expands to; not for direct use, but harmless: whatever the closure points to
    /// must lie inside a `T`, and whether those bytes may be read or written is decided by the type `F`.
    #[doc(hidden)]
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn project<F: Viewable>(self, member: impl FnOnce(&T) -> *const F) -> SharedRef<'a, F, A> {
        const {
            assert!(
                size_of::<F>() != 0,
                "a member without bytes has nothing to share"
            );
        }
        let offset = offset_of_member(member);
        let inside = offset
            .checked_add(size_of::<F>())
            .is_some_and(|end| end <= size_of::<T>());
        assert!(
            inside,
            "field! must name a part of {} itself",
            std::any::type_name::<T>()
        );
        #[allow(unsafe_code, reason = "pointer arithmetic")]
        // SAFETY: the member was just checked to lie within the `T` that this view covers.
        let address = unsafe { self.address.cast::<u8>().add(offset) };
        SharedRef {
            address: address.cast(),
            mapping: PhantomData,
        }
    }
}

/// Where in a `T` the closure points, found on a private zeroed one: a `Deref` on the way then runs on real memory
/// of ours, never on shared bytes, and shows up as an offset outside. Optimised builds fold all of this into a
/// constant.
#[inline(always)]
fn offset_of_member<T: Viewable, F>(member: impl FnOnce(&T) -> *const F) -> usize {
    #[inline]
    fn on_stack<T: Viewable, F>(member: impl FnOnce(&T) -> *const F) -> usize {
        let zeroed: T = bytemuck::Zeroable::zeroed();
        member(&zeroed)
            .addr()
            .wrapping_sub((&raw const zeroed).addr())
    }
    #[inline]
    fn on_heap<T: Viewable, F>(member: impl FnOnce(&T) -> *const F) -> usize {
        let zeroed: Box<T> = bytemuck::zeroed_box();
        member(&zeroed)
            .addr()
            .wrapping_sub((&raw const *zeroed).addr())
    }
    // What is larger would be too large for the stack of an unoptimised build.
    if size_of::<T>() <= 4096 {
        on_stack(member)
    } else {
        on_heap(member)
    }
}

impl<T: Viewable, A: Access> SharedRef<'_, T, A> {
    /// Copies a value in.
    ///
    /// One store, never torn, for 1, 2, 4 or 8 bytes at a multiple of the size (8: on 64-bit systems); larger ones
    /// in pieces. Orders nothing else: [`atomic_store`](Self::atomic_store) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let value = segment.reference::<f64>(0).unwrap();
    /// value.store(2.5);
    /// assert_eq!(value.load(), 2.5);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[allow(unsafe_code, reason = "writes shared bytes")]
    pub fn store(self, value: T)
    where
        T: Storable,
        A: Writable,
    {
        // SAFETY: whoever made this view checked that the bytes are there and may be written, and `'a` keeps them
        // mapped.
        unsafe { access::store(self.address.as_ptr(), value) }
    }

    /// Copies the value out, changes it, and copies it back.
    ///
    /// **Not atomic**: what another process writes in between is lost. For integers there are
    /// [`fetch_add`](Self::fetch_add) and its siblings; for the rest, a lock.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let value = segment.reference::<f64>(0).unwrap();
    /// value.update(|old| old + 1.5);
    /// assert_eq!(value.load(), 1.5);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub fn update(self, change: impl FnOnce(T) -> T)
    where
        T: Readable + Storable,
        A: Writable,
    {
        self.store(change(self.load()));
    }

    /// The address in this process, for C.
    ///
    /// As with [`as_ptr`](Self::as_ptr), reading or writing through it in Rust is a plain access.
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let view = segment.reference::<u16>(2).unwrap();
    /// // SAFETY: inside the segment, which no other process knows of and no other thread uses.
    /// unsafe { view.as_mut_ptr().write_volatile(7) };
    /// assert_eq!(view.load(), 7);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn as_mut_ptr(self) -> *mut T
    where
        A: Writable,
    {
        self.address.as_ptr()
    }
}

impl<'a, T: Viewable, A: Access, const N: usize> SharedRef<'a, [T; N], A> {
    /// One element of an array in shared memory: `&p->rates[index]`.
    ///
    /// # Panics
    ///
    /// If `index` is not below `N`.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(128).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let matrix = segment.reference::<[[f64; 4]; 4]>(0).unwrap();
    /// matrix.at(2).at(3).store(1.0);
    /// assert_eq!(matrix.load()[2][3], 1.0);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn at(self, index: usize) -> SharedRef<'a, T, A> {
        self.elements().at(index)
    }

    /// The array as a run of its elements.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(32).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let name = segment.reference::<[u8; 32]>(0).unwrap().elements();
    /// name.slice(..5).write_from(b"hello");
    /// assert_eq!(name.iter().take_while(|&byte| byte != 0).count(), 5);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn elements(self) -> SharedSlice<'a, T, A> {
        SharedSlice::from_checked(self.address.cast(), N)
    }
}

impl<A: Access> Segment<A> {
    /// One `T` at an offset of this segment.
    ///
    /// # Errors
    ///
    /// [`LayoutError::OutOfBounds`], [`LayoutError::Misaligned`], [`LayoutError::ZeroSized`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(20).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// segment.reference::<i32>(16).unwrap().store(5);
    /// assert!(segment.reference::<i32>(17).is_err(), "misaligned, and beyond the end");
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    ///
    /// A view cannot outlive what keeps it mapped:
    ///
    /// ```compile_fail,E0505
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE).unwrap();
    /// let value = segment.reference::<i32>(0).unwrap();
    /// segment.detach().unwrap();
    /// value.load();
    /// ```
    pub fn reference<T: Viewable>(
        &self,
        offset_bytes: usize,
    ) -> Result<SharedRef<'_, T, A>, LayoutError> {
        let address = check_run(self.base(), self.len_bytes(), offset_bytes, 1)?;
        Ok(SharedRef::from_checked(address))
    }
}

/// Narrows a [`SharedRef`] of a struct to one member: C's `&p->member`.
///
/// Nested members, raw identifiers, tuple fields, members of packed structs and constant or variable indexes into
/// array members all work; nothing is read or written, and no reference to shared memory exists at any time. The
/// result is a `SharedRef` of the member's type with the same lifetime and access.
///
/// # Panics
///
/// If an index is out of range, or the path leaves the struct by a `Deref` of a user's type.
///
/// A member without bytes, such as an array of length 0, does not compile.
///
/// # Examples
///
/// ```
/// #![forbid(unsafe_code)] // needs none of the caller's
/// use sysvshm::bytemuck::{AnyBitPattern, Zeroable};
/// use sysvshm::{Key, SegmentOptions, field};
///
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Record {
///     kind: u8,
///     value: i64,
/// }
///
/// #[derive(Clone, Copy, Zeroable)] // not AnyBitPattern: bytemuck has it for arrays of types without padding only
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Shared {
///     r#type: i32,
///     ring: [Record; 64],
/// }
///
/// let segment = SegmentOptions::new().size_bytes(size_of::<Shared>()).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let shared = segment.reference::<Shared>(0).unwrap();
/// field!(shared, r#type).store(3);
/// let ring = field!(shared, ring);
/// for i in 0..64 {
///     field!(ring.at(i), value).store(i as i64);
/// }
/// assert_eq!(field!(shared, ring[7].value).load(), 7);
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// What follows a C struct, in its "flexible array member", is reached by its offset with
/// [`Segment::slice`](crate::Segment::slice), not through the member:
///
/// ```compile_fail,E0080
/// use sysvshm::bytemuck::{Pod, Zeroable};
/// use sysvshm::{Key, SegmentOptions, field};
///
/// // struct message { long type; char text[]; };
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Message {
///     r#type: i64,
///     text: [u8; 0],
/// }
///
/// let segment = SegmentOptions::new().size_bytes(64).create_new(Key::PRIVATE).unwrap();
/// segment.mark_for_removal().unwrap();
/// let message = segment.reference::<Message>(0).unwrap();
/// field!(message, text);
/// ```
#[macro_export]
macro_rules! field {
    ($reference:expr, $($member:tt)+) => {
        ($reference).project(|whole| &raw const whole.$($member)+)
    };
}

/// Elements of a run, as values to operate on.
impl<'a, T: Viewable, A: Access> SharedSlice<'a, T, A> {
    /// One element, as a view of its own.
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
    /// let numbers = segment.slice::<i32>(0, 2).unwrap();
    /// numbers.at(1).store(9);
    /// assert_eq!(numbers.load(1), 9);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[must_use]
    pub fn at(self, index: usize) -> SharedRef<'a, T, A> {
        match self.get(index) {
            Some(element) => element,
            None => out_of_range(index, self.len()),
        }
    }

    /// One element, or `None` if there is none at `index`: for indexes that are not known to be good.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u32>(0, 2).unwrap();
    /// let index = numbers.load(0) as usize; // whatever somebody wrote there
    /// assert_eq!(numbers.get(index).map(|element| element.load()), Some(0));
    /// assert!(numbers.get(2).is_none());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[must_use]
    pub fn get(self, index: usize) -> Option<SharedRef<'a, T, A>> {
        self.element(index).map(SharedRef::from_checked)
    }
}
