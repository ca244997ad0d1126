//! A piece of shared memory: [`Segment`] while it is attached, [`SegmentId`] while it merely exists.
//!
//! The kernel keeps a *segment*: a number of zeroed pages with an *identifier*, perhaps a *key* to find it by, an
//! owner and a mode. A process *attaches* it, which maps the pages into its address space, and *detaches* it. The
//! kernel counts the attaches (`nattch`). A segment outlives every process until somebody *marks it for removal*;
//! then it goes at the last detach.
//!
//! ```text
//!   create_new            mark_for_removal
//!       |                        |
//!       v                        v
//!   [ exists, key K, 0600 ]--->[ marked, no key ]---> gone at the last detach
//!       |    ^                   |    ^
//!  attach    detach         attach    detach          (attaching a marked segment: Linux; FreeBSD if so set)
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
//! * Anybody whom the mode lets in may change any byte at any moment. The accesses here are sound nevertheless;
//!   whether the bytes make sense is for the reader to check.
//! * Nothing orders or excludes: two processes that write the same bytes need a protocol, such as the atomics of
//!   the typed views, a semaphore, or a ring buffer.
//! * Memory is found when a page is first touched, as everywhere on Linux. Where none is left, or a control group has
//!   reached its limit, the kernel kills a process. [`Segment::prefault`] brings that forward to a time of your
//!   choosing and says what to compare with; it does not avert it.
//! * A segment that nobody removes stays until the next reboot; the guide has a chapter on [who removes
//!   when](crate::guide::lifecycle).

mod attach;
mod bytes;
mod id;
mod open;
mod options;
mod pages;
pub(crate) mod reclaim;
mod status;
pub(crate) mod table;

pub use crate::access::{Access, ReadOnly, ReadWrite, Writable};
pub use id::SegmentId;
pub use options::{Removal, SegmentOptions};
pub use pages::HugePages;
pub use status::{ProcessState, Status};

use crate::error::{Call, Error};
use crate::fork::Epoch;
use crate::sys::shm;
use reclaim::Fingerprint;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// An attached segment. Detaches when dropped; removes only if asked to.
///
/// Made by [`SegmentOptions`] or [`SegmentId::attach`]. Several threads may use one at once, as several processes
/// may use the memory; hence every method takes `&self`. Attach again for a second handle: there is no `Clone`.
///
/// Writing needs `Segment<ReadWrite>`, the default; through `Segment<ReadOnly>` it does not compile:
///
/// ```compile_fail,E0277
/// use sysvshm::{Key, SegmentOptions};
///
/// let reader = SegmentOptions::new().open_read_only(Key::from_raw(42))?;
/// reader.write_at(0, b"no")?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
///
/// # Dropping
///
/// Dropping detaches (`shmdt`), once, and never panics; [`detach`](Self::detach) does the same and says what went
/// wrong. Whether the segment is also marked for removal depends on [`Removal`]. In a forked child, dropping what
/// was inherited detaches the child's own mapping and removes nothing.
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
// SAFETY: all methods but the consuming ones take &self and reach the bytes through `access`, which allows
// any thread and any process to do so at the same time; the fields are never changed after construction.
unsafe impl<A: Access> Sync for Segment<A> {}

impl<A: Access> Segment<A> {
    /// The segment's identifier. While this value lives, no other segment of its IPC namespace can get the same
    /// one.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(segment.id().status()?.id(), segment.id());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shmid")]
    pub fn id(&self) -> SegmentId {
        self.id
    }

    /// The size in bytes, exactly as the creator asked: what the kernel said after attaching, never what this
    /// process hoped for.
    ///
    /// The memory is mapped in whole pages, so the bytes from here to the end of the last page exist too; no safe
    /// call reaches them.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(100).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(segment.id().attach()?.len_bytes(), 100); // no page's worth, and no size was passed here
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shm_segsz")]
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// Whether this call created the segment rather than finding it: [`SegmentOptions::open_or_create`] may do
    /// either.
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
    /// Those of [`SegmentId::status`]. The id names another IPC namespace's segment, or none, after `setns(2)` or
    /// `unshare(2)`.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(segment.status()?.attached(), 1);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_STAT")]
    pub fn status(&self) -> Result<Status, Error> {
        self.id.status()
    }

    /// Marks the segment for removal: it goes when the last process has detached. See
    /// [`SegmentId::mark_for_removal`].
    ///
    /// By identifier, which after `setns(2)` or `unshare(2)` of the calling thread names another IPC namespace's
    /// segment, or none. Only removal on drop looks first.
    ///
    /// **C call:** `shmctl(id, IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// Those of [`SegmentId::mark_for_removal`]; on Linux, marking twice is no error.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// # #[cfg(target_os = "linux")]
    /// assert!(segment.status()?.is_marked_for_removal());
    /// segment.write_at(0, b"!")?; // still here
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("IPC_RMID", "shmctl"))]
    pub fn mark_for_removal(&self) -> Result<(), Error> {
        self.id.mark_for_removal()
    }

    /// Detaches the segment and says what went wrong, which dropping does not.
    ///
    /// With [`Removal::OnDrop`] the segment is marked for removal, as it would be on drop. The value is gone either
    /// way.
    ///
    /// **C calls:** `shmdt(address)`; with `OnDrop`, before it, `shmctl(id, IPC_STAT)`, a look at
    /// `/proc/thread-self/ns/ipc` (Linux) and `shmctl(id, IPC_RMID)`. Where `/proc` is missing, a second
    /// `shmctl(id, IPC_STAT)` and the `IPC_RMID` follow the `shmdt`.
    ///
    /// # Errors
    ///
    /// [`NotAttached`](crate::ErrorKind::NotAttached) (`EINVAL`): other code has unmapped it. With `OnDrop`, those of
    /// [`mark_for_removal`](Self::mark_for_removal), except that a segment that is gone already is none; such as
    /// [`NotOwner`](crate::ErrorKind::NotOwner) after `setuid(2)`. And
    /// [`WrongNamespace`](crate::ErrorKind::WrongNamespace): the calling thread has left the segment's IPC namespace,
    /// or nothing tells whether it has. The segment is detached in all these cases, and stays.
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
    /// Removal on drop no longer happens. Costs one small allocation. **C call:** none.
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

    /// Gives identifier and address away, attached, for C code or for [`from_raw`](Self::from_raw).
    ///
    /// Removal on drop no longer happens. **C call:** none.
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

    /// Allocates all pages now, so that no first touch waits for one, lacks one or raises SIGBUS.
    ///
    /// Pages that exist already keep their contents. The first touch of every page otherwise costs a page fault.
    /// Pages may be swapped out later, unless they are [locked](SegmentId::lock_in_memory).
    ///
    /// A lack of memory is an error only where the kernel refuses a page, such as a huge page that is missing. Where
    /// memory runs out it kills a process in the middle of this call, most likely this one. In a control group that
    /// happens as soon as the segment does not fit below the limit. So compare
    /// [`len_bytes`](Self::len_bytes) beforehand: with `memory.max` less `memory.current` of the process's group and
    /// those above it in `/sys/fs/cgroup` (the kernel's `Documentation/admin-guide/cgroup-v2.rst`), and with
    /// `MemAvailable` in `/proc/meminfo`.
    ///
    /// **C call:** `madvise(MADV_POPULATE_WRITE)`, or `MADV_POPULATE_READ` on a read-only attach. Linux 5.14.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory) (`ENOMEM`, `EFAULT`): the kernel refused a page.
    /// [`Unsupported`](crate::ErrorKind::Unsupported): an older kernel, or another system.
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
    /// Only memory that starts at a multiple of the huge page size profits;
    /// [`SegmentOptions::transparent_huge_pages`] sees to that.
    ///
    /// **C call:** `madvise(MADV_HUGEPAGE)`, after a look at `/sys/kernel/mm/transparent_hugepage`. Linux.
    ///
    /// # Errors
    ///
    /// [`HugePagesUnavailable`](crate::ErrorKind::HugePagesUnavailable): the system has them switched off for
    /// shared memory. `madvise` would succeed and do nothing. [`Unsupported`](crate::ErrorKind::Unsupported): a
    /// kernel without them, or another system.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(4 << 20).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// match segment.advise_transparent_huge_pages() {
    ///     Ok(()) => {}
    ///     Err(error) if error.kind() == ErrorKind::HugePagesUnavailable => {} // never is the kernel's default
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    /// }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "MADV_HUGEPAGE")]
    pub fn advise_transparent_huge_pages(&self) -> Result<(), Error> {
        pages::advise_transparent(self.id, self.base, self.len_bytes)
    }

    /// Where the bytes start, for the modules that view them.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// What both `detach` and `Drop` do. Must run once.
    fn close(&self) -> Result<(), Error> {
        let detach = || {
            let address = self.base.as_ptr();
            #[allow(unsafe_code)]
            // SAFETY: `base` is where this segment is attached. Views borrow `self`, which is on its way out, so
            // none is left; the pointers given away by `as_ptr` carry no promise beyond the life of this value.
            unsafe { shm::shmdt(address.cast()) }.map_err(|errno| {
                let address = address.addr();
                Error::from_call(Call::Shmdt { address }, errno)
            })
        };
        match &self.remove_on_drop {
            Some((fingerprint, epoch)) if epoch.is_current() => fingerprint.remove(self.id, detach),
            _ => detach(),
        }
    }
}

impl Segment<ReadWrite> {
    /// Where the segment is attached, for C code and other raw use.
    ///
    /// Valid for [`len_bytes`](Self::len_bytes) bytes while this value lives. Other processes read and write the
    /// same bytes, so plain Rust references to them, and plain loads and stores, are not sound unless those
    /// processes are known to keep away; see the guide on [soundness](crate::guide::soundness).
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// // SAFETY: inside the segment, which no other process knows of and no other thread uses.
    /// unsafe { segment.as_ptr().write_volatile(7) };
    /// let mut byte = [0];
    /// segment.read_exact_at(0, &mut byte)?;
    /// assert_eq!(byte, [7]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shmat")]
    pub fn as_ptr(&self) -> *mut u8 {
        self.base.as_ptr()
    }
}

impl Segment<ReadOnly> {
    /// Where the segment is attached, for C code and other raw use. Writing through it raises SIGSEGV.
    ///
    /// Valid for [`len_bytes`](Self::len_bytes) bytes while this value lives; see
    /// [`as_ptr`](Segment::<ReadWrite>::as_ptr) of a writable one for what plain loads may not do.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
    /// let reader = segment.id().attach_read_only()?;
    /// segment.mark_for_removal()?;
    /// segment.write_at(0, &[7])?;
    /// assert_ne!(reader.as_ptr(), segment.as_ptr().cast_const()); // two attaches
    /// // SAFETY: inside the segment, which no other process knows of and no other thread uses.
    /// assert_eq!(unsafe { reader.as_ptr().read_volatile() }, 7); // of the same bytes
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
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
