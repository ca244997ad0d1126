//! Bulk copies between a [`SharedSlice`] and private memory, and within shared memory, at memcpy's speed.

use std::ffi::CString;
use std::ops::RangeBounds;

use crate::access::{self, Access, Writable};

use super::bounds::resolve;
use super::slice::{out_of_range, range_out_of_range};
use super::{Readable, SharedSlice, Storable, Viewable};

#[cold]
#[inline(never)]
#[track_caller]
fn lengths_differ(private: usize, shared: usize) -> ! {
    panic!("a slice of length {private} does not match a shared slice of length {shared}")
}

impl<T: Viewable, A: Access> SharedSlice<'_, T, A> {
    /// Copies all elements out. The bytes are moved at memcpy's speed, in any order and in pieces of any size.
    ///
    /// # Panics
    ///
    /// If the lengths differ, as `copy_from_slice` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let mut copy = [1u16; 3];
    /// segment.slice::<u16>(0, 4).unwrap().slice(1..).read_into(&mut copy);
    /// assert_eq!(copy, [0, 0, 0]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads shared bytes")]
    pub fn read_into(self, into: &mut [T])
    where
        T: Readable,
    {
        if into.len() != self.len() {
            lengths_differ(into.len(), self.len());
        }
        let into = into.as_mut_ptr().cast::<u8>();
        // SAFETY: whoever made this view checked the run, and `'a` keeps it mapped; `into` is private and as long;
        // every byte pattern is a `T`.
        unsafe { access::copy_out(self.as_ptr().cast(), into, self.len_bytes()) }
    }

    /// Copies all elements out into a new vector, as [`read_into`](Self::read_into) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// assert_eq!(segment.slice::<u16>(0, 4).unwrap().to_vec(), [0; 4]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[allow(unsafe_code, reason = "reads shared bytes")]
    #[must_use]
    pub fn to_vec(self) -> Vec<T>
    where
        T: Readable,
    {
        let mut into = Vec::<T>::with_capacity(self.len());
        // SAFETY: as in `read_into`; the capacity is at least `len`.
        unsafe {
            access::copy_out(
                self.as_ptr().cast(),
                into.as_mut_ptr().cast(),
                self.len_bytes(),
            );
        };
        // SAFETY: all of them were just written.
        unsafe { into.set_len(self.len()) };
        into
    }
}

impl<A: Access> SharedSlice<'_, u8, A> {
    /// Copies a C string out: the bytes before the first NUL, or all of them if there is none, as
    /// `printf("%.*s", len, p->name)` prints them.
    ///
    /// For a member declared `char name[32]` this is `field!(shared, name).bytes().read_c_string()`, whether its type
    /// in Rust is `[u8; 32]` or `[c_char; 32]`.
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let name = segment.slice::<u8>(0, 8).unwrap();
    /// name.write_from(b"alice\0??");
    /// assert_eq!(name.read_c_string().to_string_lossy(), "alice");
    /// name.fill(b'x'); // a program left out the NUL
    /// assert_eq!(name.read_c_string().as_bytes(), b"xxxxxxxx");
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("strcpy", "strncpy", "strnlen"))]
    #[must_use]
    pub fn read_c_string(self) -> CString {
        let mut bytes = self.to_vec();
        let len = bytes.iter().position(|&byte| byte == 0);
        bytes.truncate(len.unwrap_or(bytes.len()));
        CString::new(bytes).expect("cut at the first NUL")
    }
}

impl<T: Viewable, A: Access> SharedSlice<'_, T, A> {
    /// Copies all elements in. The bytes are moved at memcpy's speed, in any order and in pieces of any size.
    ///
    /// # Panics
    ///
    /// If the lengths differ, as `copy_from_slice` does.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let bytes = segment.slice::<u8>(0, 8).unwrap();
    /// bytes.slice(..5).write_from(b"hello");
    /// assert_eq!(bytes.to_vec(), b"hello\0\0\0");
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "writes shared bytes")]
    pub fn write_from(self, from: &[T])
    where
        T: Storable,
        A: Writable,
    {
        if from.len() != self.len() {
            lengths_differ(from.len(), self.len());
        }
        // SAFETY: whoever made this view checked the run and that it may be written, and `'a` keeps it mapped;
        // `from` is private, as long, and without uninitialised bytes.
        unsafe {
            access::copy_in(
                self.as_mut_ptr().cast(),
                from.as_ptr().cast(),
                self.len_bytes(),
            );
        }
    }

    /// Writes `value` into every element, at memset's speed where all its bytes are equal.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// numbers.fill(0x1234);
    /// assert_eq!(numbers.to_vec(), [0x1234; 4]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[allow(unsafe_code, reason = "writes shared bytes")]
    pub fn fill(self, value: T)
    where
        T: Storable,
        A: Writable,
    {
        // SAFETY: whoever made this view checked the run and that it may be written, and `'a` keeps it mapped.
        unsafe { access::fill(self.as_mut_ptr(), value, self.len()) }
    }

    /// Copies the elements of `range` to where `dest` is the first, as C's `memmove`: the two may overlap.
    ///
    /// # Panics
    ///
    /// If either run ends beyond the length.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// numbers.write_from(&[1, 2, 3, 4]);
    /// numbers.copy_within(..3, 1);
    /// assert_eq!(numbers.to_vec(), [1, 1, 2, 3]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline(always)]
    #[track_caller]
    #[allow(unsafe_code, reason = "reads and writes shared bytes")]
    pub fn copy_within(self, range: impl RangeBounds<usize>, dest: usize)
    where
        A: Writable,
    {
        let (start, end) = match resolve(range, self.len()) {
            Ok(range) => range,
            Err((start, end)) => range_out_of_range(start, end, self.len()),
        };
        if dest > self.len() - (end - start) {
            out_of_range(dest, self.len() - (end - start));
        }
        let (from, to) = (self.part(start, end), self.part(dest, dest + (end - start)));
        // SAFETY: both are parts of this run, which whoever made this view checked, of one length; overlap is
        // allowed.
        unsafe {
            access::copy_within(
                from.as_ptr().cast(),
                to.as_mut_ptr().cast(),
                from.len_bytes(),
            );
        }
    }
}
