//! A piece of shared memory: [`Segment`] while it is attached, [`SegmentId`] while it merely exists.
//!
//! The kernel keeps a *segment*: a number of zeroed pages with an *identifier*, perhaps a *key* to find it by, an owner and a mode. A process
//! *attaches* it, which maps the pages into its address space, and *detaches* it. The kernel counts the attaches (`nattch`).
//! A segment outlives every process until somebody *marks it for removal*; then it goes at the last detach.
//!
//! ```text
//!   create_new            mark_for_removal
//!       |                        |
//!       v                        v
//!   [ exists, key K, 0600 ]--->[ marked, no key ]---> gone at the last detach
//!       |    ^                   |    ^
//!  attach    detach         attach    detach          (attaching a marked segment: Linux only)
//! ```
//!
//! ```
//! use sysvshm::{Key, ReadOnly, Segment, SegmentOptions};
//!
//! let key = Key::random()?;
//! let segment = SegmentOptions::new().size_bytes(4096).mode(0o600).create_new(key)?;
//! segment.write_at(0, b"hello")?;
//!
//! // Perhaps in another process:
//! let reader: Segment<ReadOnly> = SegmentOptions::new().open_read_only(key)?;
//! let mut bytes = [0; 5];
//! reader.read_at(0, &mut bytes)?;
//! assert_eq!(&bytes, b"hello");
//!
//! segment.mark_for_removal()?; // gone when both are dropped
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # What this does not protect you from
//!
//! * Anybody whom the mode lets in may change any byte at any moment. The accesses here are sound nevertheless; whether the bytes make
//!   sense is for the reader to check.
//! * Nothing orders or excludes: two processes that write the same bytes need a protocol, such as the
//!   atomics of the typed views, a semaphore, or a ring buffer.
//! * Memory is found when a page is first touched, as everywhere on Linux. Where none is left the kernel kills a process; with
//!   [`Segment::prefault`] the lack is an error instead, and at a time of your choosing.
//! * A segment that nobody removes stays until the next reboot; the guide has a chapter on [who removes when](crate::guide::lifecycle).

mod attach;
mod id;
mod open;
mod options;
mod pages;
mod reclaim;
mod status;

pub use id::SegmentId;
pub use options::{Removal, SegmentOptions};
pub use pages::HugePages;
pub use status::{ProcessState, Status};

use crate::error::{self, Call, Error, ErrorKind, Hint};
use crate::fork::Epoch;
use crate::memory::access;
use crate::sys::shm;
pub(crate) use reclaim::Fingerprint;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// What an attached segment may be used for: [`ReadWrite`] or [`ReadOnly`]. Sealed.
pub trait Access: sealed::Sealed + Send + Sync + 'static {
    /// Whether the kernel lets this process only read.
    const READ_ONLY: bool;
}

/// An [`Access`] that lets this process write. Sealed.
pub trait Writable: Access {}

/// Reading and writing: what `shmat` gives without flags.
#[derive(Debug, Clone, Copy)]
pub enum ReadWrite {}

/// Reading alone: `SHM_RDONLY`. Writing does not compile, so it cannot raise SIGSEGV.
#[doc(alias = "SHM_RDONLY")]
#[derive(Debug, Clone, Copy)]
pub enum ReadOnly {}

impl Access for ReadWrite {
    const READ_ONLY: bool = false;
}
impl Writable for ReadWrite {}
impl Access for ReadOnly {
    const READ_ONLY: bool = true;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ReadWrite {}
    impl Sealed for super::ReadOnly {}
}

/// An attached segment. Detaches when dropped; removes only if asked to.
///
/// Made by [`SegmentOptions`] or [`SegmentId::attach`]. Several threads may use one at once, as several processes may use the memory; hence
/// every method takes `&self`. Attach again for a second handle: there is no `Clone`.
///
/// Writing needs `Segment<ReadWrite>`, the default; through `Segment<ReadOnly>` it does not compile:
///
/// ```compile_fail,E0599
/// use sysvshm::{Key, SegmentOptions};
///
/// let reader = SegmentOptions::new().open_read_only(Key::from_raw(42))?;
/// reader.write_at(0, b"no")?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// # Dropping
///
/// Dropping detaches (`shmdt`), once, and never panics; [`detach`](Self::detach) does the same and says what went wrong. Whether the segment is
/// also marked for removal depends on [`Removal`]. In a forked child, dropping what was inherited detaches the child's own mapping and
/// removes nothing.
#[doc(alias("shmat", "shmdt"))]
#[must_use = "dropping it detaches the segment at once"]
pub struct Segment<A: Access = ReadWrite> {
    id: SegmentId,
    base: NonNull<u8>,
    len_bytes: usize,
    created: bool,
    /// Set when dropping shall remove, with what is needed to know the segment again.
    remove_on_drop: Option<(Fingerprint, Epoch)>,
    _access: PhantomData<A>,
}

// The base pointer is what keeps these from being derived.
#[allow(unsafe_code)]
// SAFETY: an attach belongs to the whole process (shmop(2)); any thread may use and detach it.
unsafe impl<A: Access> Send for Segment<A> {}
#[allow(unsafe_code)]
// SAFETY: all methods but the consuming ones take &self and reach the bytes through `memory::access`, which allows any thread and
// any process to do so at the same time; the fields are never changed after construction.
unsafe impl<A: Access> Sync for Segment<A> {}

impl<A: Access> Segment<A> {
    /// The segment's identifier. While this value lives, no other segment can get the same one.
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// The size in bytes, exactly as the creator asked: what the kernel said after attaching, never what this process hoped for.
    ///
    /// The memory is mapped in whole pages, so the bytes from here to the end of the last page exist too; no safe call reaches them.
    #[doc(alias = "shm_segsz")]
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Whether this call created the segment rather than finding it: [`SegmentOptions::open_or_create`] may do either.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let first = SegmentOptions::new().size_bytes(8).open_or_create(key)?;
    /// let second = SegmentOptions::new().size_bytes(8).open_or_create(key)?;
    /// assert!(first.was_created() && !second.was_created());
    /// first.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn was_created(&self) -> bool {
        self.created
    }

    /// What the kernel knows about the segment now.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`SegmentId::status`]. The id names another IPC namespace's segment, or none, after `setns(2)` or `unshare(2)`.
    #[doc(alias = "IPC_STAT")]
    pub fn status(&self) -> Result<Status, Error> {
        self.id.status()
    }

    /// Marks the segment for removal: it goes when the last process has detached. See [`SegmentId::mark_for_removal`].
    ///
    /// **C call:** `shmctl(id, IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// Those of [`SegmentId::mark_for_removal`]; marking twice is none on Linux.
    #[doc(alias("IPC_RMID", "shmctl"))]
    pub fn mark_for_removal(&self) -> Result<(), Error> {
        self.id.mark_for_removal()
    }

    /// Copies bytes out, starting `offset` bytes into the segment, and says how many: fewer than asked where the segment ends.
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
    /// [`OutOfBounds`](ErrorKind::OutOfBounds) if the segment has not that many from `offset` on. Nothing was copied.
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

    /// Detaches the segment and says what went wrong, which dropping does not.
    ///
    /// With [`Removal::OnDrop`] the segment is marked for removal first, as it would be on drop. The value is gone either way.
    ///
    /// **C calls:** `shmdt(address)`; with `OnDrop` before it `shmctl(id, IPC_STAT)` and `shmctl(id, IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`NotAttached`](ErrorKind::NotAttached) (`EINVAL`): other code has unmapped it. Those of
    /// [`mark_for_removal`](Self::mark_for_removal), except that a segment that is gone already is none.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(10).create_new(Key::PRIVATE)?;
    /// let id = segment.id();
    /// segment.detach()?;
    /// assert_eq!(id.status()?.attached(), 0); // it still exists
    /// id.mark_for_removal()?;
    /// assert!(id.status().is_err());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shmdt")]
    pub fn detach(self) -> Result<(), Error> {
        ManuallyDrop::new(self).close()
    }

    /// Keeps the segment attached until the process ends, and lends it out for that long.
    ///
    /// Removal on drop no longer happens. Costs one small allocation.
    ///
    /// ```
    /// # use sysvshm::{Key, Segment, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(10).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let forever: &'static Segment = segment.leak();
    /// std::thread::spawn(|| forever.write_at(0, b"x")).join().unwrap()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn leak(self) -> &'static Self {
        Box::leak(Box::new(self))
    }

    /// Gives identifier and address away, attached, for C code or for [`from_raw`](Self::from_raw). Removal on drop no longer happens.
    ///
    /// ```
    /// # use sysvshm::{Key, Segment, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(10).create_new(Key::PRIVATE)?;
    /// let (id, address) = segment.into_raw();
    /// // ... C code uses the address ...
    /// // SAFETY: `address` is where `id` is attached, read-write, and this takes over the detaching.
    /// let segment: Segment = unsafe { Segment::from_raw(id, address) }?;
    /// segment.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use = "the segment stays attached until somebody detaches the address"]
    pub fn into_raw(self) -> (SegmentId, NonNull<u8>) {
        let this = ManuallyDrop::new(self);
        (this.id, this.base)
    }

    /// Takes over a segment that is attached already, such as by C code.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)` for the length.
    ///
    /// # Errors
    ///
    /// Those of [`SegmentId::status`]. The segment is then still attached, and still the caller's to detach.
    ///
    /// # Safety
    ///
    /// * `address` is what `shmat` returned for `id` in this process, in this IPC namespace, whole and not detached since.
    /// * Unless `A` is [`ReadOnly`], it was attached without `SHM_RDONLY`, and nobody made it read-only with `mprotect(2)`.
    /// * From now on this value alone detaches it.
    /// * If explicit huge pages back it, there are enough for the whole segment; otherwise touching it raises SIGBUS.
    #[allow(unsafe_code)]
    pub unsafe fn from_raw(id: SegmentId, address: NonNull<u8>) -> Result<Self, Error> {
        let status = id.status_regardless()?;
        Ok(Self {
            id,
            base: address,
            len_bytes: status.size_bytes(),
            created: false,
            remove_on_drop: None,
            _access: PhantomData,
        })
    }

    /// Allocates all pages now, so that no later touch waits for one, fails for want of one or raises SIGBUS.
    ///
    /// Pages that exist already keep their contents. The first touch of every page otherwise costs a page fault.
    ///
    /// **C call:** `madvise(MADV_POPULATE_WRITE)`, or `MADV_POPULATE_READ` on a read-only attach. Linux 5.14.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](ErrorKind::OutOfMemory) (`ENOMEM`, `EFAULT`): a page cannot be had. [`Unsupported`](ErrorKind::Unsupported): an older kernel, or
    /// another system.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1 << 20).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let before = sysvshm::system::usage()?.resident_pages;
    /// segment.prefault()?;
    /// assert!(sysvshm::system::usage()?.resident_pages > before);
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("MADV_POPULATE_WRITE", "MADV_POPULATE_READ", "MAP_POPULATE"))]
    pub fn prefault(&self) -> Result<(), Error> {
        pages::prefault::<A>(self.id, self.base, self.len_bytes)
    }

    /// Asks the kernel to back the segment with transparent huge pages from now on.
    ///
    /// Only memory that starts at a multiple of the huge page size profits; [`SegmentOptions::transparent_huge_pages`] sees to that.
    ///
    /// **C call:** `madvise(MADV_HUGEPAGE)`, after a look at `/sys/kernel/mm/transparent_hugepage`. Linux.
    ///
    /// # Errors
    ///
    /// [`HugePagesUnavailable`](ErrorKind::HugePagesUnavailable): the system has them switched off for shared memory. `madvise` would
    /// succeed and do nothing. [`Unsupported`](ErrorKind::Unsupported): a kernel without them, or another system.
    #[doc(alias = "MADV_HUGEPAGE")]
    pub fn advise_transparent_huge_pages(&self) -> Result<(), Error> {
        pages::advise_transparent(self.id, self.base, self.len_bytes)
    }

    /// Where the bytes start, for the modules that view them.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    fn out_of_bounds(&self, access: error::Access, offset: usize, len: usize) -> Error {
        let call = Call::Copy {
            access,
            offset,
            len,
        };
        let hint = Hint::Bounds {
            segment_bytes: self.len_bytes,
        };
        Error::refused(call, ErrorKind::OutOfBounds, hint)
    }

    /// What both `detach` and `Drop` do. Must run once.
    fn close(&self) -> Result<(), Error> {
        // While it is attached, the id cannot have been given to another segment of the same namespace.
        let removed = match &self.remove_on_drop {
            Some((fingerprint, epoch)) if epoch.is_current() => fingerprint.remove(self.id),
            _ => Ok(()),
        };
        #[allow(unsafe_code)]
        // SAFETY: `base` is where this segment is attached. Views borrow `self`, which is on its way out, so none is left; the
        // pointers given away by `as_ptr` carry no promise beyond the life of this value.
        let detached = unsafe { shm::shmdt(self.base.as_ptr().cast()) };
        let address = self.base.as_ptr().addr();
        removed.and(detached.map_err(|errno| Error::from_call(Call::Shmdt { address }, errno)))
    }
}

impl Segment<ReadWrite> {
    /// Where the segment is attached, for C code and other raw use.
    ///
    /// Valid for [`len_bytes`](Self::len_bytes) bytes while this value lives. Other processes read and write the same bytes, so plain Rust references to
    /// them, and plain loads and stores, are not sound unless those processes are known to keep away; see the guide on
    /// [soundness](crate::guide::soundness).
    #[doc(alias = "shmat")]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
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
    pub fn write_at(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
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
}

impl Segment<ReadOnly> {
    /// Where the segment is attached, for C code and other raw use. Writing through it raises SIGSEGV.
    ///
    /// Valid for [`len_bytes`](Self::len_bytes) bytes while this value lives; see [`as_ptr`](Segment::<ReadWrite>::as_ptr) of a writable one for what plain
    /// loads may not do.
    #[doc(alias = "shmat")]
    pub fn as_ptr(&self) -> *const u8 {
        self.base.as_ptr()
    }
}

impl<A: Access> Drop for Segment<A> {
    fn drop(&mut self) {
        // Nobody could be told here; `detach` is there for those who want to know.
        let _ = self.close();
    }
}

impl<A: Access> fmt::Debug for Segment<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("id", &self.id.as_raw())
            .field("address", &self.base)
            .field("len_bytes", &self.len_bytes)
            .field("read_only", &A::READ_ONLY)
            .finish_non_exhaustive()
    }
}
