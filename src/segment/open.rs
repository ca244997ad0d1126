//! What [`SegmentOptions`] are for: creating a segment, finding it, attaching it.

use crate::control;
use crate::error::{Asked, Call, Error, ErrorKind, Hint, Object};
use crate::flags::Mode;
use crate::key::Key;
use crate::segment::attach::{Origin, attach};
use crate::segment::{
    Access, ReadOnly, ReadWrite, Segment, SegmentId, SegmentOptions, Status, reclaim,
};
use crate::sys::{os, shm};
use crate::user;
use std::ffi::c_int;

/// Creating, finding, attaching.
impl SegmentOptions {
    /// Creates a segment under a key that no segment has, and attaches it. If attaching fails, the new segment is
    /// removed again.
    ///
    /// Its bytes are zero. With [`Key::PRIVATE`] there is no key to collide. If another process removes the new
    /// segment before it is attached, the creation is repeated.
    ///
    /// **C calls:** `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`, `shmat`, `shmctl(IPC_STAT)`, and those of the
    /// options set.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`AlreadyExists`](ErrorKind::AlreadyExists) | `EEXIST` | the key is taken |
    /// | [`SizeOutOfRange`](ErrorKind::SizeOutOfRange) | `EINVAL` | 0 bytes, or more than `shmmax` |
    /// | [`SegmentLimit`](ErrorKind::SegmentLimit) | `ENOSPC` | `shmmni` segments exist |
    /// | [`PageLimit`](ErrorKind::PageLimit) | `ENOSPC`; macOS, FreeBSD: `ENOMEM` | `shmall` pages are taken |
    /// | [`OutOfMemory`](ErrorKind::OutOfMemory) | `ENOMEM` | the memory cannot be promised, or no address space is left |
    /// | [`FileTableFull`](ErrorKind::FileTableFull) | `ENFILE` | each segment takes an entry of the system's table of open files |
    /// | [`HugePagesUnavailable`](ErrorKind::HugePagesUnavailable) | `ENOMEM`, `EINVAL`, `ENOENT` | none free, no such size, no support |
    /// | [`HugePagesNotPermitted`](ErrorKind::HugePagesNotPermitted) | `EPERM` | not in `vm.hugetlb_shm_group`, no `CAP_IPC_LOCK` |
    /// | [`PermissionDenied`](ErrorKind::PermissionDenied) | `EACCES` | the mode given does not let its own creator read and write |
    /// | [`InvalidAddress`](ErrorKind::InvalidAddress) | `EINVAL`, `EPERM`, `ENOMEM` | the address asked for is occupied, misaligned, too low or too high |
    /// | [`AttachLimit`](ErrorKind::AttachLimit) | `EMFILE` | this process has attached too many; not on Linux |
    /// | [`InvalidInput`](ErrorKind::InvalidInput) | none | the options contradict each other, or the mode is beyond 0777 |
    /// | [`Unsupported`](ErrorKind::Unsupported) | `ENOSYS`, or none | no System V IPC here, or an option this system does not have |
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
        self.retry(key, FEW, || {
            let id = self.create(key, self.prefault)?;
            match attach(self, id, Origin::Created, any) {
                // Others can find a new segment and remove it before its creator attaches. Then the key is free: as
                // if it had never been.
                Ok((_, status)) if status.is_marked_for_removal() => Ok(None),
                Ok((segment, _)) => Ok(Some(segment)),
                // Was it removed? Then there is nothing left to remove. A sandbox that only says so about a segment
                // that exists would have one more made at each repetition.
                Err(error) => match id.mark_for_removal() {
                    Err(gone) if gone.is_not_found() && error.is_not_found() => Ok(None),
                    _ => Err(error),
                },
            }
        })
    }

    /// Creates a segment under a key that no segment has, and leaves it unattached.
    ///
    /// [`removal`](Self::removal) has no effect: nothing is dropped. Not for `kernel.shm_rmid_forced` 1, where
    /// Linux removes a segment without attaches as soon as the thread that created it ends.
    ///
    /// **C call:** `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`.
    ///
    /// # Errors
    ///
    /// Those of [`create_new`](Self::create_new) that come from `shmget` or from the options.
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
    /// If the segment is removed between the lookup and the attach, the lookup is repeated: the key may have a new
    /// one.
    ///
    /// **C calls:** `shmget(key, size, 0)`, `shmat`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`NotFound`](ErrorKind::NotFound) | `ENOENT` | no segment has the key |
    /// | [`SegmentTooSmall`](ErrorKind::SegmentTooSmall) | `EINVAL` | it is smaller than asked |
    /// | [`PermissionDenied`](ErrorKind::PermissionDenied) | `EACCES` | the mode does not let this user read and write |
    /// | [`OutOfMemory`](ErrorKind::OutOfMemory) | `ENOMEM` | no address space |
    /// | [`InvalidAddress`](ErrorKind::InvalidAddress) | `EINVAL`, `EPERM`, `ENOMEM` | the address asked for is occupied, misaligned, too low or too high |
    /// | [`HugePagesUnavailable`](ErrorKind::HugePagesUnavailable) | `EFAULT`, `ENOMEM` | a huge page is missing: [`assume_huge_pages_suffice`](Self::assume_huge_pages_suffice) |
    /// | [`AttachLimit`](ErrorKind::AttachLimit) | `EMFILE` | this process has attached too many; not on Linux |
    /// | [`Unsupported`](ErrorKind::Unsupported) | `ENOSYS`, or none | no System V IPC here, or an option this system does not have |
    /// | [`Other`](ErrorKind::Other) | none | others replaced the segment 1000 times meanwhile |
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
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let segment = SegmentOptions::new().size_bytes(5).create_new(key)?;
    /// segment.write_at(0, b"hello")?;
    /// let reader = SegmentOptions::new().open_read_only(key)?;
    /// segment.mark_for_removal()?;
    /// let mut bytes = [0; 5];
    /// reader.read_exact_at(0, &mut bytes)?;
    /// assert_eq!(&bytes, b"hello");
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmget", "shmat", "SHM_RDONLY"))]
    pub fn open_read_only(&self, key: Key) -> Result<Segment<ReadOnly>, Error> {
        self.open_as::<ReadOnly>(key)
    }

    /// Attaches the segment that has this key, or creates it. [`Segment::was_created`] tells which.
    ///
    /// Several processes may do this at once: one creates, the others find. A found segment may not have been
    /// filled yet.
    ///
    /// **C calls:** `shmget(key, size, 0)`; if there is none, `shmget(key, size, IPC_CREAT | IPC_EXCL | mode)`;
    /// `shmat`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create_new`](Self::create_new) except that the key may exist or not, and
    /// [`ForeignCreator`](ErrorKind::ForeignCreator): another user created the segment, see
    /// [`any_owner`](Self::any_owner).
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let key = Key::random()?;
    /// let mut options = SegmentOptions::new();
    /// options.size_bytes(8);
    /// let first = options.open_or_create(key)?;
    /// let second = options.open_or_create(key)?;
    /// first.mark_for_removal()?;
    /// assert_eq!(first.id(), second.id());
    /// assert!(first.was_created() && !second.was_created());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmget", "IPC_CREAT"))]
    pub fn open_or_create(&self, key: Key) -> Result<Segment, Error> {
        if key.is_private() {
            return self.create_new(key);
        }
        // Also where the key turns out to be taken: the answer to a bad mode does not depend on who came first.
        self.check_mode(key)?;
        self.retry(key, MANY, || {
            match SegmentId::get(key, self.size_bytes, 0) {
                Ok(id) => {
                    if self.reclaim_stale && reclaim::remove_if_stale(id)? {
                        return Ok(None);
                    }
                    self.attach_found(id, |status| self.check_creator(key, status))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => match self.create_new(key) {
                    Ok(segment) => Ok(Some(segment)),
                    // Somebody else was faster.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
                    Err(error) => Err(error),
                },
                // What a dead process left need not be as large as what is wanted now.
                Err(error) if error.kind() == ErrorKind::SegmentTooSmall && self.reclaim_stale => {
                    if reclaim_by_key(key)? {
                        return Ok(None);
                    }
                    Err(error)
                }
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
    /// Those of [`SegmentId::attach`], [`SegmentTooSmall`](ErrorKind::SegmentTooSmall), and
    /// [`InvalidAddress`](ErrorKind::InvalidAddress) (`EINVAL`, `EPERM`, `ENOMEM`).
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let id = SegmentOptions::new().size_bytes(8).create_unattached(Key::PRIVATE)?;
    /// let error = SegmentOptions::new().size_bytes(9).attach(id).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
    /// let segment = SegmentOptions::new().size_bytes(8).attach(id)?;
    /// id.mark_for_removal()?;
    /// segment.write_at(0, b"attached")?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shmat")]
    pub fn attach(&self, id: SegmentId) -> Result<Segment, Error> {
        self.check_attach(id)?;
        attach(self, id, Origin::Found, any).map(|(segment, _)| segment)
    }

    /// Attaches a segment by its identifier, for reading alone.
    ///
    /// **C calls:** `shmat(id, address, SHM_RDONLY)`, `shmctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// Those of [`attach`](Self::attach); the mode needs the read bit only.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let id = SegmentOptions::new().size_bytes(8).create_unattached(Key::PRIVATE)?;
    /// let reader = SegmentOptions::new().prefault(cfg!(target_os = "linux")).attach_read_only(id)?;
    /// id.mark_for_removal()?;
    /// assert_eq!(reader.len_bytes(), 8);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmat", "SHM_RDONLY"))]
    pub fn attach_read_only(&self, id: SegmentId) -> Result<Segment<ReadOnly>, Error> {
        self.check_attach(id)?;
        attach(self, id, Origin::Found, any).map(|(segment, _)| segment)
    }

    fn open_as<A: Access>(&self, key: Key) -> Result<Segment<A>, Error> {
        let mode = self.mode.unwrap_or(Mode::empty());
        self.check_mode(key)?;
        self.retry(key, MANY, || {
            let id = SegmentId::get(key, self.size_bytes, mode.bits())?;
            self.attach_found(id, any)
        })
    }

    /// Attaches what a key led to; `None` if it was removed meanwhile, so that the key must be looked up again.
    fn attach_found<A: Access>(
        &self,
        id: SegmentId,
        accept: impl FnOnce(&Status) -> Result<(), Error>,
    ) -> Result<Option<Segment<A>>, Error> {
        self.check_attach(id)?;
        match attach(self, id, Origin::Found, accept) {
            Ok((_, status)) if status.is_marked_for_removal() => Ok(None),
            Ok((segment, _)) => Ok(Some(segment)),
            Err(error) if error.kind() == ErrorKind::NoSuchSegment => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses what another user put under the key, unless that is welcome.
    fn check_creator(&self, key: Key, status: &Status) -> Result<(), Error> {
        let welcome = self.any_owner || user::is_own(status.creator_uid());
        // One that is marked has no key any more; the lookup is repeated.
        if welcome || status.is_marked_for_removal() {
            return Ok(());
        }
        let call = self.shmget_call(key, 0);
        let hint = Hint::foreign(Object::Segment, status.id().as_raw());
        Err(Error::refused(call, ErrorKind::ForeignCreator, hint))
    }

    /// Repeats a step that lost a race. Each repetition means that another process removed or created a segment in
    /// between.
    fn retry<T>(
        &self,
        key: Key,
        attempts: usize,
        mut step: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        for _ in 0..attempts {
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

    /// `shmget` with exclusive creation. `will_prefault` says whether the caller allocates all pages before anybody
    /// touches one.
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
        self.retry(key, MANY, || {
            match shm::shmget(key.as_raw(), self.size_bytes, flags) {
                Ok(id) => Ok(Some(SegmentId::from_raw(id))),
                Err(errno) if errno.0 == libc::EEXIST && self.reclaim_stale => {
                    if reclaim_by_key(key)? {
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
        control::check_mode(self.mode, |flags| self.shmget_call(key, flags))
    }

    fn unsupported(&self, key: Key, why: &'static str) -> Error {
        Error::refused(
            self.shmget_call(key, 0),
            ErrorKind::Unsupported,
            Hint::Text(why),
        )
    }

    fn shmget_call(&self, key: Key, flags: c_int) -> Call {
        Call::Get {
            key: key.as_raw(),
            asked: Asked::Bytes(self.size_bytes),
            flags,
        }
    }
}

/// Far more attempts than a busy system needs, and an end to what a hostile one could prolong.
const MANY: usize = 1000;
/// How often a segment is made anew because it was gone before it could be attached. Other processes come across a new
/// segment by chance; should none of them be what makes it seem gone, this many are left behind.
const FEW: usize = 4;

/// Accepts every segment.
fn any(_: &Status) -> Result<(), Error> {
    Ok(())
}

/// Removes what is stale under the key. Says whether it did, or nothing is there any more.
fn reclaim_by_key(key: Key) -> Result<bool, Error> {
    match SegmentId::find(key) {
        Ok(id) => reclaim::remove_if_stale(id),
        Err(error) => Ok(error.kind() == ErrorKind::NotFound),
    }
}

/// Attaching with nothing else set.
impl SegmentId {
    /// Attaches the segment for reading and writing, at an address the kernel chooses.
    ///
    /// The same as [`SegmentOptions::attach`] with nothing set.
    ///
    /// **C calls:** `shmat(id, NULL, 0)`, then `shmctl(id, IPC_STAT)` for the length.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) (`EACCES`): the mode lacks read or write for this user.
    /// [`NoSuchSegment`](ErrorKind::NoSuchSegment) (`EINVAL`, `EIDRM`). [`OutOfMemory`](ErrorKind::OutOfMemory)
    /// (`ENOMEM`): no address space. [`HugePagesUnavailable`](ErrorKind::HugePagesUnavailable): see
    /// [`assume_huge_pages_suffice`](SegmentOptions::assume_huge_pages_suffice).
    /// [`AttachLimit`](ErrorKind::AttachLimit) (`EMFILE`): not on Linux. [`Unsupported`](ErrorKind::Unsupported)
    /// (`ENOSYS`).
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let id = SegmentOptions::new().size_bytes(5).create_unattached(Key::PRIVATE)?;
    /// let segment = id.attach()?;
    /// id.mark_for_removal()?;
    /// assert_eq!(segment.len_bytes(), 5);
    /// drop(segment);
    /// assert_eq!(id.attach().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "shmat")]
    pub fn attach(self) -> Result<Segment, Error> {
        SegmentOptions::new().attach(self)
    }

    /// Attaches the segment for reading alone.
    ///
    /// **C calls:** `shmat(id, NULL, SHM_RDONLY)`, then `shmctl(id, IPC_STAT)` for the length.
    ///
    /// # Errors
    ///
    /// Those of [`attach`](Self::attach); the mode needs the read bit only.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let id = SegmentOptions::new().size_bytes(5).mode(0o400).create_unattached(Key::PRIVATE)?;
    /// let reader = id.attach_read_only()?; // 0400: reading and writing would be EACCES for anybody but root
    /// id.mark_for_removal()?;
    /// assert_eq!(reader.read_at(0, &mut [1; 8])?, 5);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("shmat", "SHM_RDONLY"))]
    pub fn attach_read_only(self) -> Result<Segment<ReadOnly>, Error> {
        SegmentOptions::new().attach_read_only(self)
    }
}
