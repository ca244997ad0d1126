//! [`SegmentOptions`]: how a segment is to be created, found and attached. `open.rs` does it.

use crate::flags::Mode;
use crate::segment::HugePages;

/// What becomes of a segment that this value creates. One that it merely finds is never removed.
///
/// The guide has a [table of what is left](crate::guide::lifecycle#what-is-left-afterwards) after each way a
/// process can end.
///
/// ```
/// use sysvshm::{ErrorKind, Key, Removal, SegmentOptions};
///
/// let mut options = SegmentOptions::new();
/// options.size_bytes(1);
/// let kept = options.create_new(Key::PRIVATE)?.id(); // the handle is dropped here
/// let dropped = options.removal(Removal::OnDrop).create_new(Key::PRIVATE)?.id();
/// assert_eq!(kept.status()?.attached(), 0);
/// assert_eq!(dropped.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
/// kept.mark_for_removal()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Removal {
    /// Nothing: it stays until somebody removes it, as in C. The default.
    #[default]
    Never,
    /// Marked for removal when the [`Segment`](crate::Segment) that created it is dropped in the process that
    /// created it, not in a forked child.
    ///
    /// Before that the crate makes sure that the identifier still names this segment: in another IPC namespace it
    /// names somebody else's. A process that is killed drops nothing, so the segment stays behind.
    OnDrop,
    /// Marked as soon as it is attached: the kernel removes it when the last process has detached, however the
    /// processes end.
    ///
    /// On Linux others can then attach by identifier alone, no longer by key; on macOS not at all, on FreeBSD only
    /// with `kern.ipc.shm_allow_removed`. Children inherit the attach by fork.
    OnceAttached,
}

/// How to create, find and attach a segment; the counterpart of [`std::fs::OpenOptions`].
///
/// | method | if the key exists | if not |
/// |---|---|---|
/// | [`create_new`](Self::create_new) | [`AlreadyExists`](crate::ErrorKind::AlreadyExists) | creates |
/// | [`open`](Self::open), [`open_read_only`](Self::open_read_only) | attaches | [`NotFound`](crate::ErrorKind::NotFound) |
/// | [`open_or_create`](Self::open_or_create) | attaches | creates |
/// | [`attach`](Self::attach), [`attach_read_only`](Self::attach_read_only) | by identifier, no key needed | |
/// | [`create_unattached`](Self::create_unattached) | [`AlreadyExists`](crate::ErrorKind::AlreadyExists) | creates, does not attach |
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
    pub(super) mode: Option<Mode>,
    pub(super) address: Option<usize>,
    pub(super) round_address: bool,
    pub(super) remap: bool,
    pub(super) executable: bool,
    pub(super) huge_pages: Option<HugePages>,
    pub(super) huge_pages_suffice: bool,
    pub(super) transparent_huge_pages: bool,
    pub(super) no_reserve: bool,
    pub(super) prefault: bool,
    pub(super) removal: Removal,
    pub(super) reclaim_stale: bool,
    pub(super) any_owner: bool,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What is asked for.
impl SegmentOptions {
    /// No size, mode 0600 for what is created, any address, ordinary pages, never removed.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let error = SegmentOptions::new().create_new(Key::PRIVATE).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SizeOutOfRange); // 0 bytes
    /// ```
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
    /// Unset it is 0: nothing can be created with it, and a segment of any size is found. The memory comes in whole
    /// pages, the length that is kept and checked is this one.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let key = Key::random()?;
    /// let segment = SegmentOptions::new().size_bytes(100).create_new(key)?;
    /// assert_eq!(SegmentOptions::new().size_bytes(50).open(key)?.len_bytes(), 100);
    /// let error = SegmentOptions::new().size_bytes(101).open(key).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
    /// segment.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shm_segsz")]
    pub fn size_bytes(&mut self, bytes: usize) -> &mut Self {
        self.size_bytes = bytes;
        self
    }

    /// Who may do what with a segment that is created; 0600 unless set. The umask plays no part.
    ///
    /// [`open`](Self::open) and [`open_read_only`](Self::open_read_only) pass it on if it was set, as
    /// `shmget(key, size, 0600)` does: the lookup then fails with `EACCES` unless the mode of the segment grants
    /// this process's class every bit. Unset, the lookup asks for nothing and the attach alone decides.
    /// [`open_or_create`](Self::open_or_create) uses it for creating only.
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

    /// Where to attach: a multiple of `SHMLBA`, in a range that is free. Unset, the kernel chooses, which is what
    /// nearly every program wants.
    ///
    /// An occupied range is [`InvalidAddress`](crate::ErrorKind::InvalidAddress) and stays as it is. A free range may
    /// still lie in the way of a stack. The kernel attaches a segment right below the main thread's stack, without
    /// the gap that it keeps from other mappings. The next function call then finds memory there, takes no fault that
    /// would make the stack grow, and puts its frame into the segment: a write to the segment then changes return
    /// addresses. No check can rule that out, because `RLIMIT_STACK` may be raised later and other mappings grow as
    /// well (`MAP_GROWSDOWN`). So the caller answers for the range.
    ///
    /// A sure way is to keep the range from the start: map it with `mmap(2)` and `PROT_NONE`, and attach with
    /// [`remap`](Self::remap).
    ///
    /// # Safety
    ///
    /// For each attach with these options: as long as it lasts, no other code uses a part of the range or begins to
    /// use one, and no mapping grows into it. The range begins at `address`, rounded down if
    /// [`round_address`](Self::round_address) says so. It is as long as the segment that is attached, in whole pages
    /// (whole huge pages if it uses explicit ones). Another process may have made that segment longer than
    /// [`size_bytes`](Self::size_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let first = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
    /// first.mark_for_removal()?;
    /// let (id, address) = (first.id(), first.as_ptr().addr());
    /// let mut options = SegmentOptions::new();
    /// // SAFETY: both attaches fail, so no range is used.
    /// unsafe { options.address(address) };
    /// assert!(options.attach(id).is_err()); // occupied by `first`
    /// // SAFETY: as above.
    /// unsafe { options.address(address + 1) };
    /// assert!(options.attach(id).is_err()); // not a multiple
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmaddr", "SHMLBA"))]
    #[allow(unsafe_code)]
    pub unsafe fn address(&mut self, address: usize) -> &mut Self {
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
    /// let mut options = SegmentOptions::new();
    /// // SAFETY: the attach is refused, so no range is used.
    /// unsafe { options.address(1).round_address(true) };
    /// let error = options.attach(id).unwrap_err();
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
    /// If `remap` is true, no code uses what is mapped in the range of [`address`](Self::address) at an attach, and
    /// none relies on finding it there afterwards. The range is that of `address`, whose duty remains: its length is
    /// that of the segment which is attached, whatever [`size_bytes`](Self::size_bytes) says.
    ///
    /// # Examples
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
    /// They are set aside at creation, so touching them later cannot fail, unless [`no_reserve`](Self::no_reserve)
    /// says otherwise.
    ///
    /// With three exceptions that nothing here can rule out, and that end in SIGBUS. A control group whose hugetlb
    /// limit is lower refuses pages when they are touched, set aside or not (the kernel's
    /// `Documentation/admin-guide/cgroup-v1/hugetlb.rst`). Pages are set aside anywhere in the machine, although a
    /// cpuset or a memory policy may let the toucher have only those of some nodes
    /// (`Documentation/mm/hugetlbfs_reserv.rst`). [`prefault`](Self::prefault) turns both into an error beforehand.
    /// And a process that may write the segment can free its pages (`MADV_REMOVE`, madvise(2)) and use them up.
    /// Share huge pages with those you trust. (That root can shrink a segment of any pages is named with the
    /// [crate's limits](crate#what-this-does-not-protect-you-from).)
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
    /// Fails with [`HugePagesUnavailable`](crate::ErrorKind::HugePagesUnavailable) where the system has them
    /// switched off for shared memory (`/sys/kernel/mm/transparent_hugepage/shmem_enabled` says `never`, as on most
    /// systems), because the kernel would accept the wish and ignore it.
    /// [`Segment::advise_transparent_huge_pages`](crate::Segment::advise_transparent_huge_pages) is for those who
    /// can live without.
    ///
    /// **C calls:** `madvise(MADV_HUGEPAGE)`; before it, unless an [`address`](Self::address) is set, a second
    /// `shmat` with `SHM_REMAP` over a place that `mmap` reserved, and `shmdt` of the first.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let mut options = SegmentOptions::new();
    /// options.size_bytes(4 << 20).transparent_huge_pages(true);
    /// match options.create_new(Key::PRIVATE) {
    ///     Ok(segment) => segment.mark_for_removal()?,
    ///     Err(error) if error.kind() == ErrorKind::HugePagesUnavailable => {} // switched off; nothing is left
    ///     Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    /// }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "MADV_HUGEPAGE")]
    pub fn transparent_huge_pages(&mut self, wanted: bool) -> &mut Self {
        self.transparent_huge_pages = wanted;
        self
    }

    /// Whether a segment that is created sets no memory aside: it may be larger than the machine could back. Linux.
    ///
    /// Pages are then found when first touched, and where none can be found the kernel kills a process.
    /// Together with [`huge_pages`](Self::huge_pages) it is refused unless [`prefault`](Self::prefault) allocates
    /// them all at once, because touching one that is missing raises SIGBUS.
    ///
    /// With `vm.overcommit_memory` at 2 the kernel ignores the wish when it creates (shmget(2)). If an
    /// administrator switches to 2 later, pages count from then on as they are touched, and touching one beyond the
    /// limit raises SIGBUS (the comment above `shmem_acct_block` in `mm/shmem.c`). Prefaulting makes an error of
    /// that too.
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

    /// Whether to allocate all pages while attaching; see [`Segment::prefault`](crate::Segment::prefault).
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

    /// Whether to rely on there being enough explicit huge pages for a segment that does not set them aside, or
    /// that was found.
    ///
    /// Nothing tells whether a segment that somebody else created set its huge pages aside. So an attach brings in
    /// all pages of such a segment at once, and fails if one is missing; this switches that off, and lets
    /// [`no_reserve`](Self::no_reserve) go with [`huge_pages`](Self::huge_pages).
    ///
    /// # Safety
    ///
    /// If `suffice` is true, whoever touches a page of the segment finds a free huge page for it. Otherwise the
    /// touch, by safe code, raises SIGBUS.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let id = SegmentOptions::new().size_bytes(1).create_unattached(Key::PRIVATE)?;
    /// let mut options = SegmentOptions::new();
    /// // SAFETY: the segment was made above, of ordinary pages.
    /// unsafe { options.assume_huge_pages_suffice(true) };
    /// let segment = options.attach(id)?; // without a look at what pages it has
    /// segment.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[allow(unsafe_code)]
    pub unsafe fn assume_huge_pages_suffice(&mut self, suffice: bool) -> &mut Self {
        self.huge_pages_suffice = suffice;
        self
    }

    /// What becomes of a segment that is created; [`Removal::Never`] unless set.
    ///
    /// ```
    /// # use sysvshm::{Key, Removal, SegmentOptions};
    /// let segment =
    ///     SegmentOptions::new().size_bytes(1).removal(Removal::OnceAttached).create_new(Key::PRIVATE)?;
    /// # #[cfg(target_os = "linux")]
    /// assert!(segment.status()?.is_marked_for_removal());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn removal(&mut self, removal: Removal) -> &mut Self {
        self.removal = removal;
        self
    }

    /// Whether creating may first remove a segment under the same key whose creator is known to be dead and that
    /// nobody attaches.
    ///
    /// The creator counts as dead if no process has its number any more; one without a number in this pid namespace
    /// counts as alive. All is looked at a second time right before the removal. Between that look and the removal
    /// a process may still attach: it then keeps a segment that nobody else will find. Who hands identifiers to
    /// processes that have not attached yet should not use this.
    ///
    /// **C calls,** for a key that exists: `shmget(key, 0, 0)`, `shmctl(IPC_STAT)` twice, `kill(pid, 0)`,
    /// `shmctl(IPC_RMID)`.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SegmentOptions};
    /// let key = Key::random()?;
    /// let mut options = SegmentOptions::new();
    /// options.size_bytes(1).reclaim_stale(true);
    /// let id = options.create_unattached(key)?;
    /// // Its creator, this process, lives: nothing is removed.
    /// assert_eq!(options.create_new(key).unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// id.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn reclaim_stale(&mut self, reclaim: bool) -> &mut Self {
        self.reclaim_stale = reclaim;
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) accepts a segment that another user created.
    ///
    /// A key is no secret, so any user can take it first and decide what is in the segment and who may read it.
    /// `open` takes any owner, as its caller expects somebody else's segment anyway; see
    /// [`Status::creator_uid`](crate::Status::creator_uid).
    ///
    /// ```
    /// # use sysvshm::{Key, SegmentOptions};
    /// let key = Key::random()?;
    /// let mut options = SegmentOptions::new();
    /// let segment = options.size_bytes(1).any_owner(true).open_or_create(key)?;
    /// segment.mark_for_removal()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("cuid", "uid"))]
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.any_owner = any_owner;
        self
    }
}
