//! Copying bytes out of and into a [`Segment`].

use crate::access::{self, Access, Writable};
use crate::error::{self, Call, Error, ErrorKind, Hint};
use crate::segment::Segment;

impl<A: Access> Segment<A> {
    /// Copies bytes out, starting `offset` bytes into the segment, and says how many: fewer than asked where the
    /// segment ends.
    ///
    /// Bytes that another process changes meanwhile may come out old, new or mixed. **C call:** none.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](ErrorKind::OutOfBounds) if `offset` is not inside the segment. Nothing was copied.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(10).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let mut buffer = [1; 8];
    /// assert_eq!(segment.read_at(6, &mut buffer)?, 4);
    /// assert_eq!(buffer, [0, 0, 0, 0, 1, 1, 1, 1]);
    /// assert_eq!(segment.read_at(10, &mut buffer).unwrap_err().kind(), ErrorKind::OutOfBounds);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmread", "memcpy"))]
    pub fn read_at(&self, offset: usize, buffer: &mut [u8]) -> Result<usize, Error> {
        if offset >= self.len_bytes {
            return Err(self.out_of_bounds(error::Access::Read, offset, buffer.len()));
        }
        let len = buffer.len().min(self.len_bytes - offset);
        #[allow(unsafe_code)]
        // SAFETY: `offset` lies inside the segment (checked above), which stays attached while `self` lives.
        let source = unsafe { self.base.as_ptr().add(offset) };
        #[allow(unsafe_code)]
        // SAFETY: `source` has `len` bytes of attached memory left and `buffer` has `len` bytes of its own.
        unsafe {
            access::copy_out(source, buffer.as_mut_ptr(), len);
        }
        Ok(len)
    }

    /// Copies exactly as many bytes out as the buffer holds.
    ///
    /// **C call:** none.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](ErrorKind::OutOfBounds) if the segment has not that many from `offset` on. Nothing was
    /// copied.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(10).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// segment.write_at(0, &42_u32.to_ne_bytes())?;
    /// let mut number = [0; 4];
    /// segment.read_exact_at(0, &mut number)?;
    /// assert_eq!(u32::from_ne_bytes(number), 42);
    /// assert!(segment.read_exact_at(7, &mut number).is_err());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn read_exact_at(&self, offset: usize, buffer: &mut [u8]) -> Result<(), Error> {
        let fits = self
            .len_bytes
            .checked_sub(offset)
            .is_some_and(|left| buffer.len() <= left);
        if !fits {
            return Err(self.out_of_bounds(error::Access::Read, offset, buffer.len()));
        }
        if !buffer.is_empty() {
            self.read_at(offset, buffer)?;
        }
        Ok(())
    }

    /// Copies bytes in, starting `offset` bytes into the segment: all of them or, if they do not fit, none.
    ///
    /// Another process that reads meanwhile may see old, new or mixed bytes. **C call:** none.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](ErrorKind::OutOfBounds): they do not fit. Nothing was copied.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(10).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// segment.write_at(5, b"world")?;
    /// assert_eq!(segment.write_at(6, b"world").unwrap_err().kind(), ErrorKind::OutOfBounds);
    /// let mut all = [0; 10];
    /// segment.read_exact_at(0, &mut all)?;
    /// assert_eq!(&all, b"\0\0\0\0\0world");
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmwrite", "memcpy"))]
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<(), Error>
    where
        A: Writable,
    {
        let fits = self
            .len_bytes
            .checked_sub(offset)
            .is_some_and(|left| bytes.len() <= left);
        if !fits {
            return Err(self.out_of_bounds(error::Access::Write, offset, bytes.len()));
        }
        #[allow(unsafe_code)]
        // SAFETY: `offset` is at most the length of the segment, which stays attached while `self` lives.
        let target = unsafe { self.base.as_ptr().add(offset) };
        #[allow(unsafe_code)]
        // SAFETY: `target` has room for all of `bytes`, and the type says that it was attached for writing.
        unsafe {
            access::copy_in(target, bytes.as_ptr(), bytes.len());
        }
        Ok(())
    }

    fn out_of_bounds(&self, access: error::Access, offset: usize, len: usize) -> Error {
        let call = Call::Copy {
            access,
            offset,
            len,
        };
        let bytes = self.len_bytes as u64;
        let hint = Hint::Numbers([bytes, 0, 0, 0], |f, [bytes, ..]| {
            write!(f, "the segment has {bytes} bytes")
        });
        Error::refused(call, ErrorKind::OutOfBounds, hint)
    }
}
