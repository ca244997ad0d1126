//! [`SegmentOptions`]: how to create, find and attach a segment.

use crate::error::{Call, Error, ErrorKind, Hint};
use crate::flags::Mode;
use crate::key::Key;
use crate::segment::attach::{Origin, attach};
use crate::segment::id::MODE_BITS;
use crate::segment::{Access, HugePages, ReadOnly, ReadWrite, Segment, SegmentId, Status, reclaim};
use crate::sys::{os, process, shm};
use std::ffi::c_int;

/// What becomes of a segment that this value creates. One that it merely finds is never removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Removal {
    /// Nothing: it stays until somebody removes it, as in C. The default.
    #[default]
    Never,
    /// Marked for removal when the [`Segment`] that created it is dropped in the process that created it, not in a forked child.
    ///
    /// Before that the crate makes sure that the identifier still names this segment: in another IPC namespace it names somebody
    /// else's. A process that is killed drops nothing, so the segment stays behind.
    OnDrop,
    /// Marked as soon as it is attached: the kernel removes it when the last process has detached, however the processes end.
    ///
    /// On Linux others can then attach by identifier alone, no longer by key; on macOS and OpenBSD not at all, on FreeBSD only with
    /// `kern.ipc.shm_allow_removed`. Children inherit the attach by fork.
    OnceAttached,
}

/// How to create, find and attach a segment; the counterpart of [`std::fs::OpenOptions`].
///
/// | method | if the key exists | if not |
/// |---|---|---|
/// | [`create_new`](Self::create_new) | [`AlreadyExists`](ErrorKind::AlreadyExists) | creates |
/// | [`open`](Self::open), [`open_read_only`](Self::open_read_only) | attaches | [`NotFound`](ErrorKind::NotFound) |
/// | [`open_or_create`](Self::open_or_create) | attaches | creates |
/// | [`attach`](Self::attach), [`attach_read_only`](Self::attach_read_only) | by identifier, no key needed | |
/// | [`create_unattached`](Self::create_unattached) | [`AlreadyExists`](ErrorKind::AlreadyExists) | creates, does not attach |
///
/// ```
/// use sysvshm::{Key, Removal, SegmentOptions};
///
/// let key = Key::random()?;
/// let segment = SegmentOptions::new()
///     .size_bytes(5 * size_of::<i32>())
///     .mode(0o666)
///     .removal(Removal::OnDrop)
///     .create_new(key)?;
/// assert_eq!(segment.len_bytes(), 20);
/// drop(segment);
/// assert!(SegmentOptions::new().open(key).is_err());
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("shmget", "shmat"))]
#[derive(Debug, Clone)]
#[must_use]
pub struct SegmentOptions {
    pub(super) size_bytes: usize,
    mode: Option<Mode>,
    pub(super) address: Option<usize>,
    pub(super) round_address: bool,
    remap: bool,
    executable: bool,
    huge_pages: Option<HugePages>,
    pub(super) huge_pages_suffice: bool,
    pub(super) transparent_huge_pages: bool,
    pub(super) no_reserve: bool,
    pub(super) prefault: bool,
    pub(super) removal: Removal,
    reclaim_stale: bool,
    any_owner: bool,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What is asked for.
impl SegmentOptions {
    /// No size, mode 0600 for what is created, any address, ordinary pages, never removed.
    pub const fn new() -> Self {
        Self {
            size_bytes: 0,
            mode: None,
            address: None,
            round_address: false,
            remap: false,
            executable: false,
            huge_pages: None,
            huge_pages_suffice: false,
            transparent_huge_pages: false,
            no_reserve: false,
            prefault: false,
            removal: Removal::Never,
            reclaim_stale: false,
            any_owner: false,
        }
    }

    /// The size in bytes: exact for a segment that is created, the least that will do for one that is found.
    ///
    /// Unset it is 0: nothing can be created with it, and a segment of any size is found.
    pub fn size_bytes(&mut self, bytes: usize) -> &mut Self {
        self.size_bytes = bytes;
        self
    }

    /// Who may do what with a segment that is created; 0600 unless set. The umask plays no part.
    ///
    /// [`open`](Self::open) and [`open_read_only`](Self::open_read_only) pass it on if it was set, as `shmget(key, size, 0600)` does: the lookup then fails with
    /// `EACCES` unless the mode of the segment grants this process's class every bit. Unset, the lookup asks for nothing and the attach
    /// alone decides. [`open_or_create`](Self::open_or_create) uses it for creating only.
    ///
    /// ```
    /// # use sysvshm::{Key, Mode, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1).mode(0o640).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(segment.status()?.mode(), Mode::OWNER_READ | Mode::OWNER_WRITE | Mode::GROUP_READ);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("SHM_R", "SHM_W"))]
    pub fn mode(&mut self, mode: impl Into<Mode>) -> &mut Self {
        self.mode = Some(mode.into());
        self
    }

    /// Where to attach: a multiple of `SHMLBA`, in a range that is free. Unset, the kernel chooses, which is what nearly everybody wants.
    ///
    /// An occupied range is [`InvalidAddress`](ErrorKind::InvalidAddress), never replaced.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let first = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
    /// first.mark_for_removal()?;
    /// let (id, address) = (first.id(), first.as_ptr().addr());
    /// assert!(SegmentOptions::new().address(address).attach(id).is_err()); // occupied by `first`
    /// assert!(SegmentOptions::new().address(address + 1).attach(id).is_err()); // not a multiple
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmaddr", "SHMLBA"))]
    pub fn address(&mut self, address: usize) -> &mut Self {
        self.address = Some(address);
        self
    }

    /// Whether to round [`address`](Self::address) down to a multiple of `SHMLBA` instead of refusing it.
    ///
    /// One that rounds down to 0 is refused before the call: as root, Linux would map page 0.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let id = SegmentOptions::new().size_bytes(1).create_unattached(Key::PRIVATE)?;
    /// let error = SegmentOptions::new().address(1).round_address(true).attach(id).unwrap_err();
    /// assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::InvalidAddress, None));
    /// id.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "SHM_RND")]
    pub fn round_address(&mut self, round: bool) -> &mut Self {
        self.round_address = round;
        self
    }

    /// Whether to replace what is mapped at [`address`](Self::address). Linux and FreeBSD.
    ///
    /// # Safety
    ///
    /// If `remap` is true, nothing may use the replaced range, `address` up to the size of the segment in whole pages, from the attach on,
    /// except through the segment.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{Key, Segment, SegmentOptions};
    /// let first = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
    /// let second = SegmentOptions::new().size_bytes(4096).create_unattached(Key::PRIVATE)?;
    /// first.mark_for_removal()?;
    /// let (_, address) = first.into_raw();
    /// let mut options = SegmentOptions::new();
    /// // SAFETY: the range is that of `first`, which was given up by `into_raw`.
    /// unsafe { options.address(address.as_ptr().addr()).remap(true) };
    /// let segment = options.attach(second)?;
    /// assert_eq!(segment.as_ptr(), address.as_ptr());
    /// second.mark_for_removal()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "SHM_REMAP")]
    #[allow(unsafe_code)]
    pub unsafe fn remap(&mut self, remap: bool) -> &mut Self {
        self.remap = remap;
        self
    }

    /// Whether the attached memory may be executed. Needs the execute bit of the mode. Linux.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let segment =
    ///     SegmentOptions::new().size_bytes(1).mode(0o700).executable(true).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "SHM_EXEC")]
    pub fn executable(&mut self, executable: bool) -> &mut Self {
        self.executable = executable;
        self
    }

    /// Which explicit huge pages a segment that is created uses. Linux.
    ///
    /// They are set aside at creation, so touching them later cannot fail, unless [`no_reserve`](Self::no_reserve) says otherwise.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, HugePages, Key, SegmentOptions};
    /// let odd = SegmentOptions::new()
    ///     .size_bytes(1)
    ///     .huge_pages(HugePages::OfBytes(3 << 20))
    ///     .create_new(Key::PRIVATE);
    /// assert_eq!(odd.unwrap_err().kind(), ErrorKind::HugePagesUnavailable);
    /// ```
    #[doc(alias("SHM_HUGETLB", "SHM_HUGE_2MB", "SHM_HUGE_1GB"))]
    pub fn huge_pages(&mut self, pages: HugePages) -> &mut Self {
        self.huge_pages = Some(pages);
        self
    }

    /// Whether to back the attached memory with transparent huge pages, at an address aligned for them. Linux.
    ///
    /// Fails with [`HugePagesUnavailable`](ErrorKind::HugePagesUnavailable) where the system has them switched off for shared memory
    /// (`/sys/kernel/mm/transparent_hugepage/shmem_enabled` says `never`, as on most systems), because the kernel would accept the wish and
    /// ignore it. [`Segment::advise_transparent_huge_pages`] is for those who can live without.
    ///
    /// **C call:** `madvise(MADV_HUGEPAGE)`; the address is reserved with `mmap` and attached over with `SHM_REMAP`.
    #[doc(alias = "MADV_HUGEPAGE")]
    pub fn transparent_huge_pages(&mut self, wanted: bool) -> &mut Self {
        self.transparent_huge_pages = wanted;
        self
    }

    /// Whether a segment that is created sets no memory aside: it may be larger than the machine could back. Linux.
    ///
    /// Pages are then found when first touched, and a process for which none can be found is killed by the kernel. Together with
    /// [`huge_pages`](Self::huge_pages) it is refused unless [`prefault`](Self::prefault) allocates them all at once, because touching one that is missing
    /// raises SIGBUS. `vm.overcommit_memory` 2 ignores it.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{ErrorKind, HugePages, Key, SegmentOptions};
    /// let mut options = SegmentOptions::new();
    /// options.size_bytes(1 << 21).no_reserve(true);
    /// let id = options.create_unattached(Key::PRIVATE)?;
    /// id.mark_for_removal()?;
    /// let refused = options.huge_pages(HugePages::Default).create_new(Key::PRIVATE);
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "SHM_NORESERVE")]
    pub fn no_reserve(&mut self, no_reserve: bool) -> &mut Self {
        self.no_reserve = no_reserve;
        self
    }

    /// Whether to allocate all pages while attaching; see [`Segment::prefault`].
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{Key, SegmentOptions};
    /// let segment = SegmentOptions::new().size_bytes(1 << 20).prefault(true).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("MADV_POPULATE_WRITE", "MAP_POPULATE"))]
    pub fn prefault(&mut self, prefault: bool) -> &mut Self {
        self.prefault = prefault;
        self
    }

    /// Whether to rely on there being enough explicit huge pages for a segment that does not set them aside, or that was found.
    ///
    /// Nothing tells whether a segment that somebody else created set its huge pages aside. So an attach brings in all pages of such a
    /// segment at once, and fails if one is missing; this switches that off, and lets [`no_reserve`](Self::no_reserve) go with
    /// [`huge_pages`](Self::huge_pages).
    ///
    /// # Safety
    ///
    /// If `suffice` is true, whoever touches a page of the segment finds a free huge page for it. Otherwise the touch, by safe code, raises SIGBUS.
    #[allow(unsafe_code)]
    pub unsafe fn assume_huge_pages_suffice(&mut self, suffice: bool) -> &mut Self {
        self.huge_pages_suffice = suffice;
        self
    }

    /// What becomes of a segment that is created.
    pub fn removal(&mut self, removal: Removal) -> &mut Self {
        self.removal = removal;
        self
    }

    /// Whether creating may first remove a segment under the same key whose creator is known to be dead and that nobody attaches.
    ///
    /// The creator counts as dead if no process has its number any more; one without a number in this pid namespace counts as alive. All is
    /// looked at a second time right before the removal. Between that look and the removal a process may still attach:
    /// it then keeps a segment that nobody else will find. Who hands identifiers to processes that have not attached yet should not use this.
    ///
    /// **C calls,** for a key that exists: `shmctl(IPC_STAT)` twice, `kill(pid, 0)`, `shmctl(IPC_RMID)`.
    pub fn reclaim_stale(&mut self, reclaim: bool) -> &mut Self {
        self.reclaim_stale = reclaim;
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) accepts a segment that another user created.
    ///
    /// A key is no secret, so any user can take it first and decide what is in the segment and who may read it. `open` takes any
    /// owner, as its caller expects somebody else's segment anyway; see [`Status::creator_uid`](crate::Status::creator_uid).
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.any_owner = any_owner;
        self
    }
}

/// What to do.
impl SegmentOptions {
    /// Creates a segment under a key that no segment has, and attaches it. If attaching fails, the new segment is removed again.
    ///
    /// Its bytes are zero. With [`Key::PRIVATE`] there is no key to collide.
    ///
    /// **C calls:** `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`, `shmat`, `shmctl(IPC_STAT)`, and those of the options set.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`AlreadyExists`](ErrorKind::AlreadyExists) | `EEXIST` | the key is taken |
    /// | [`SizeOutOfRange`](ErrorKind::SizeOutOfRange) | `EINVAL` | 0 bytes, or more than `shmmax` |
    /// | [`SegmentLimit`](ErrorKind::SegmentLimit) | `ENOSPC` | `shmmni` segments exist |
    /// | [`PageLimit`](ErrorKind::PageLimit) | `ENOSPC` | `shmall` pages are taken |
    /// | [`OutOfMemory`](ErrorKind::OutOfMemory) | `ENOMEM` | the memory cannot be promised, or no address space is left |
    /// | [`HugePagesUnavailable`](ErrorKind::HugePagesUnavailable) | `ENOMEM`, `EINVAL`, `ENOENT` | none free, no such size, no support |
    /// | [`HugePagesNotPermitted`](ErrorKind::HugePagesNotPermitted) | `EPERM` | not in `vm.hugetlb_shm_group`, no `CAP_IPC_LOCK` |
    /// | [`PermissionDenied`](ErrorKind::PermissionDenied) | `EACCES` | the mode given does not let its own creator read and write |
    /// | [`InvalidInput`](ErrorKind::InvalidInput) | none | the options contradict each other |
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let segment = SegmentOptions::new().size_bytes(20).create_new(key)?;
    /// let again = SegmentOptions::new().size_bytes(20).create_new(key);
    /// assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// segment.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmget", "IPC_CREAT", "IPC_EXCL"))]
    pub fn create_new(&self, key: Key) -> Result<Segment, Error> {
        self.check_attach(SegmentId::from_raw(-1))?;
        let id = self.create(key, self.prefault)?;
        attach(self, id, Origin::Created)
            .map(|(segment, _)| segment)
            .inspect_err(|_| discard(id))
    }

    /// Creates a segment under a key that no segment has, and leaves it unattached.
    ///
    /// [`removal`](Self::removal) has no effect: nothing is dropped. Not for `kernel.shm_rmid_forced` 1, where Linux removes a segment without attaches
    /// as soon as the thread that created it ends.
    ///
    /// **C call:** `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`.
    ///
    /// # Errors
    ///
    /// Those of [`create_new`](Self::create_new) that come from `shmget`.
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let id = SegmentOptions::new().size_bytes(20).create_unattached(Key::PRIVATE)?;
    /// assert_eq!(id.status()?.attached(), 0);
    /// id.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmget", "IPC_CREAT"))]
    pub fn create_unattached(&self, key: Key) -> Result<SegmentId, Error> {
        // Nothing attaches here, so nothing could be prefaulted.
        self.create(key, false)
    }

    /// Finds the segment that has this key and attaches it for reading and writing.
    ///
    /// If the segment is removed between the lookup and the attach, the lookup is repeated: the key may have a new one.
    ///
    /// **C calls:** `shmget(key, size, 0)`, `shmat`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`NotFound`](ErrorKind::NotFound) | `ENOENT` | no segment has the key |
    /// | [`LargerThanSegment`](ErrorKind::LargerThanSegment) | `EINVAL` | it is smaller than asked |
    /// | [`PermissionDenied`](ErrorKind::PermissionDenied) | `EACCES` | the mode does not let this user read and write |
    /// | [`OutOfMemory`](ErrorKind::OutOfMemory) | `ENOMEM` | no address space |
    /// | [`InvalidAddress`](ErrorKind::InvalidAddress) | `EINVAL` | the address asked for is occupied or misaligned |
    /// | [`InvalidInput`](ErrorKind::InvalidInput) | none | [`Key::PRIVATE`], which finds nothing: the kernel would create a segment |
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let error = SegmentOptions::new().open(Key::random()?).unwrap_err();
    /// assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotFound, Some(2)));
    /// let error = SegmentOptions::new().open(Key::PRIVATE).unwrap_err();
    /// assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::InvalidInput, None));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmget", "shmat"))]
    pub fn open(&self, key: Key) -> Result<Segment, Error> {
        self.open_as::<ReadWrite>(key)
    }

    /// Finds the segment that has this key and attaches it for reading alone.
    ///
    /// **C calls:** `shmget(key, size, 0)`, `shmat(id, address, SHM_RDONLY)`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); the mode needs the read bit only.
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only(&self, key: Key) -> Result<Segment<ReadOnly>, Error> {
        self.open_as::<ReadOnly>(key)
    }

    /// Attaches the segment that has this key, or creates it. [`Segment::was_created`] tells which.
    ///
    /// Several processes may do this at once: one creates, the others find. A found segment may not have been filled yet.
    ///
    /// **C calls:** `shmget(key, size, 0)`; if there is none, `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`; `shmat`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create_new`](Self::create_new) except that the key may exist or not, and
    /// [`ForeignCreator`](ErrorKind::ForeignCreator): another user created the segment, see [`any_owner`](Self::any_owner).
    #[doc(alias("shmget", "IPC_CREAT"))]
    pub fn open_or_create(&self, key: Key) -> Result<Segment, Error> {
        if key.is_private() {
            return self.create_new(key);
        }
        self.retry(key, || {
            match SegmentId::get(key, self.size_bytes, 0) {
                Ok(id) => {
                    if self.reclaim_stale && reclaim::remove_if_stale(id)? {
                        return Ok(None);
                    }
                    let Some((segment, status)) = self.attach_found(id)? else {
                        return Ok(None);
                    };
                    if !self.any_owner && status.creator_uid() != process::effective_uid() {
                        let call = self.shmget_call(key, 0);
                        let hint = Hint::foreign_creator(id.as_raw());
                        return Err(Error::refused(call, ErrorKind::ForeignCreator, hint));
                    }
                    Ok(Some(segment))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => match self.create_new(key) {
                    Ok(segment) => Ok(Some(segment)),
                    // Somebody else was faster.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            }
        })
    }

    /// Attaches a segment by its identifier, for reading and writing.
    ///
    /// [`size_bytes`](Self::size_bytes), if set, is checked against the segment after attaching.
    ///
    /// **C calls:** `shmat(id, address, flags)`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`SegmentId::attach`], [`LargerThanSegment`](ErrorKind::LargerThanSegment), and
    /// [`InvalidAddress`](ErrorKind::InvalidAddress) (`EINVAL`).
    #[doc(alias = "shmat")]
    pub fn attach(&self, id: SegmentId) -> Result<Segment, Error> {
        self.check_attach(id)?;
        attach(self, id, Origin::Found).map(|(segment, _)| segment)
    }

    /// Attaches a segment by its identifier, for reading alone.
    ///
    /// **C calls:** `shmat(id, address, SHM_RDONLY)`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`attach`](Self::attach).
    #[doc(alias("shmat", "SHM_RDONLY"))]
    pub fn attach_read_only(&self, id: SegmentId) -> Result<Segment<ReadOnly>, Error> {
        self.check_attach(id)?;
        attach(self, id, Origin::Found).map(|(segment, _)| segment)
    }

    fn open_as<A: Access>(&self, key: Key) -> Result<Segment<A>, Error> {
        let mode = self.mode.unwrap_or(Mode::empty());
        self.check_mode(key)?;
        self.retry(key, || {
            let id = SegmentId::get(key, self.size_bytes, mode.bits())?;
            Ok(self.attach_found(id)?.map(|(segment, _)| segment))
        })
    }

    /// Attaches what a key led to; `None` if it was removed meanwhile, so that the key must be looked up again.
    fn attach_found<A: Access>(
        &self,
        id: SegmentId,
    ) -> Result<Option<(Segment<A>, Status)>, Error> {
        self.check_attach(id)?;
        match attach(self, id, Origin::Found) {
            Ok((_, status)) if status.is_marked_for_removal() => Ok(None),
            Ok(attached) => Ok(Some(attached)),
            Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Repeats a step that lost a race. Each repetition means that another process removed or created a segment in between.
    fn retry<T>(
        &self,
        key: Key,
        mut step: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        /// Far more than a busy system needs, and an end to what a hostile one could prolong.
        const ATTEMPTS: usize = 1000;
        for _ in 0..ATTEMPTS {
            if let Some(done) = step()? {
                return Ok(done);
            }
        }
        Err(Error::refused(
            self.shmget_call(key, 0),
            ErrorKind::Other,
            Hint::Text("other processes keep removing the segment and creating it anew"),
        ))
    }

    /// `shmget` with exclusive creation. `will_prefault` says whether the caller allocates all pages before anybody touches one.
    fn create(&self, key: Key, will_prefault: bool) -> Result<SegmentId, Error> {
        self.check_mode(key)?;
        let mode = self.mode.unwrap_or(Mode::OWNER_READ | Mode::OWNER_WRITE);
        let mut flags = libc::IPC_CREAT | libc::IPC_EXCL | mode.bits() as c_int;
        if self.no_reserve {
            flags |= os::SHM_NORESERVE
                .ok_or_else(|| self.unsupported(key, "SHM_NORESERVE exists on Linux only"))?;
        }
        if let Some(pages) = self.huge_pages {
            if self.no_reserve && !will_prefault && !self.huge_pages_suffice {
                let call = self.shmget_call(key, flags);
                let hint = Hint::Text(
                    "touching a huge page that was not set aside may raise SIGBUS; prefault(true) allocates all of them while attaching",
                );
                return Err(Error::refused(call, ErrorKind::InvalidInput, hint));
            }
            if os::SHM_HUGETLB.is_none() {
                return Err(self.unsupported(key, "SHM_HUGETLB exists on Linux only"));
            }
            flags |= pages.flags().ok_or_else(|| {
                let call = self.shmget_call(key, flags);
                let hint = Hint::Text("a huge page size is a power of two");
                Error::refused(call, ErrorKind::HugePagesUnavailable, hint)
            })?;
        }
        self.retry(key, || {
            match shm::shmget(key.as_raw(), self.size_bytes, flags) {
                Ok(id) => Ok(Some(SegmentId::from_raw(id))),
                Err(errno) if errno.0 == libc::EEXIST && self.reclaim_stale => {
                    let reclaimed = match SegmentId::find(key) {
                        Ok(id) => reclaim::remove_if_stale(id)?,
                        Err(error) => error.kind() == ErrorKind::NotFound,
                    };
                    if reclaimed {
                        return Ok(None);
                    }
                    Err(Error::from_call(self.shmget_call(key, flags), errno))
                }
                Err(errno) => Err(Error::from_call(self.shmget_call(key, flags), errno)),
            }
        })
    }

    pub(super) fn attach_flags<A: Access>(&self) -> c_int {
        let mut flags = 0;
        if A::READ_ONLY {
            flags |= libc::SHM_RDONLY;
        }
        if self.round_address {
            flags |= libc::SHM_RND;
        }
        if self.remap {
            flags |= os::SHM_REMAP.unwrap_or(0);
        }
        if self.executable {
            flags |= os::SHM_EXEC.unwrap_or(0);
        }
        flags
    }

    /// Refuses what this system cannot do rather than dropping the wish.
    fn check_attach(&self, id: SegmentId) -> Result<(), Error> {
        let missing =
            (self.remap && os::SHM_REMAP.is_none()) || (self.executable && os::SHM_EXEC.is_none());
        if !missing {
            return Ok(());
        }
        let call = Call::Shmat {
            id: id.as_raw(),
            address: self.address.unwrap_or(0),
            flags: self.attach_flags::<ReadWrite>(),
        };
        let hint = Hint::Text("SHM_REMAP and SHM_EXEC do not exist on this system");
        Err(Error::refused(call, ErrorKind::Unsupported, hint))
    }

    fn check_mode(&self, key: Key) -> Result<(), Error> {
        match self.mode {
            Some(mode) if mode.bits() & !0o777 != 0 => Err(Error::refused(
                self.shmget_call(key, mode.bits() as c_int),
                ErrorKind::InvalidInput,
                Hint::Text(MODE_BITS),
            )),
            _ => Ok(()),
        }
    }

    fn unsupported(&self, key: Key, why: &'static str) -> Error {
        Error::refused(
            self.shmget_call(key, 0),
            ErrorKind::Unsupported,
            Hint::Text(why),
        )
    }

    fn shmget_call(&self, key: Key, flags: c_int) -> Call {
        Call::Shmget {
            key: key.as_raw(),
            size: self.size_bytes,
            flags,
        }
    }
}

/// Removes what this process created a moment ago and could not attach. The error that led here is the one to report.
fn discard(id: SegmentId) {
    let _ = id.mark_for_removal();
}
