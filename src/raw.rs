//! The calls under their C names, for the first, mechanical step of a port.
//!
//! A C program that is to become Rust can first be carried over line by line: the same calls in the same order,
//! with the flags of each call in a type of its own, identifiers and addresses as C has them, `-1` and `errno`
//! turned into [`Result`]. Once it runs, its calls are replaced by [`Segment`](crate::Segment) and its relatives,
//! one at a time: [`SegmentId::from_raw`](crate::SegmentId::from_raw) and
//! [`Segment::from_raw`](crate::Segment::from_raw), for semaphores
//! [`SemaphoreSet::from_raw`](crate::SemaphoreSet::from_raw) and for queues
//! [`MessageQueueId::from_raw`](crate::MessageQueueId::from_raw), take over what these calls return. The guide shows
//! [a whole port](crate::guide::porting).
//!
//! A function is `unsafe` exactly where C's can corrupt memory: `shmat` may replace mappings or get in the way of a
//! stack, `shmdt` takes memory away that may be in use. Two calls of `semctl` that can in C, `GETALL` and `SETALL`, take a vector and a
//! slice here.
//!
//! ```
//! use sysvshm::raw::{self, Command, GetFlags};
//! use sysvshm::{AttachFlags, Key};
//! use std::ptr;
//!
//! //  int id = shmget(IPC_PRIVATE, 5 * sizeof(int), IPC_CREAT | 0666);
//! let id = raw::shmget(Key::PRIVATE, 5 * size_of::<i32>(), GetFlags::IPC_CREAT | GetFlags::mode(0o666))?;
//! //  int *p = shmat(id, NULL, 0);
//! // SAFETY: the system chooses the address.
//! let p = unsafe { raw::shmat(id, ptr::null(), AttachFlags::empty()) }?.cast::<i32>();
//! //  *p = 1;
//! // SAFETY: the segment has room for five ints and no other process knows of it.
//! unsafe { p.write(1) };
//! //  struct shmid_ds ds; shmctl(id, IPC_STAT, &ds);
//! let mut ds = raw::empty_shmid_ds();
//! raw::shmctl(id, Command::IpcStat(&mut ds))?;
//! assert_eq!((ds.shm_segsz, ds.shm_nattch), (20, 1));
//! //  shmdt(p); shmctl(id, IPC_RMID, NULL);
//! // SAFETY: `p` is not used any more.
//! unsafe { raw::shmdt(p.as_ptr().cast()) }?;
//! raw::shmctl(id, Command::IpcRmid)?;
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # What this does not protect you from
//!
//! Nothing more than C does. A pointer from [`shmat`] is to be used with volatile or atomic accesses, as other
//! processes write there.

#[cfg(all(test, target_os = "linux"))]
mod layout_tests;
mod queues;
mod semaphores;

pub use queues::*;
pub use semaphores::*;

use crate::error::{self, Asked, Call, Error, ErrorKind, Hint};
pub use crate::flags::{AttachFlags, GetFlags};
use crate::key::Key;
use crate::sys::{Errno, os, shm};
use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;

#[cfg(target_os = "linux")]
pub use crate::sys::os::{shm_info, shminfo};
pub use libc::shmid_ds;

/// `ftok(path, id)`; see [`Key::ftok`], which this is.
///
/// # Errors
///
/// [`KeyFile`](ErrorKind::KeyFile) with the errno of `stat(2)`.
///
/// ```
/// use sysvshm::{Key, raw};
/// let file = tempfile::NamedTempFile::new().unwrap();
/// assert_eq!(raw::ftok(file.path(), 0)?, Key::ftok(file.path(), 0)?); // id 0 and all
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn ftok(path: impl AsRef<Path>, id: i32) -> Result<Key, Error> {
    Key::ftok(path, id)
}

/// `shmget(key, size, flags)`: the identifier of a segment, found or created.
///
/// # Errors
///
/// See [`SegmentOptions::create_new`](crate::SegmentOptions::create_new) and [`open`](crate::SegmentOptions::open).
///
/// ```
/// use sysvshm::raw::{self, Command, GetFlags};
/// use sysvshm::{ErrorKind, Key};
///
/// let key = Key::random()?;
/// assert_eq!(raw::shmget(key, 0, GetFlags::empty()).unwrap_err().kind(), ErrorKind::NotFound);
/// let id = raw::shmget(key, 1, GetFlags::IPC_CREAT | GetFlags::mode(0o600))?;
/// assert_eq!(raw::shmget(key, 0, GetFlags::empty())?, id);
/// raw::shmctl(id, Command::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn shmget(key: Key, size: usize, flags: GetFlags) -> Result<i32, Error> {
    let (key, flags) = (key.as_raw(), flags.bits());
    let asked = Asked::Bytes(size);
    shm::shmget(key, size, flags)
        .map_err(|errno| Error::from_call(Call::Get { key, asked, flags }, errno))
}

/// `shmat(id, address, flags)`: where the segment is attached now.
///
/// C's `(void *) -1` becomes an error, and so does an address on page 0, which Linux maps for root with `SHM_RND`
/// and an address below one page.
///
/// # Errors
///
/// See [`SegmentOptions::attach`](crate::SegmentOptions::attach).
///
/// # Safety
///
/// With an `address`, no code may use the range from there on or begin to use it while the segment is attached, and
/// no mapping may grow into it; see [`SegmentOptions::address`](crate::SegmentOptions::address) for how a stack does.
/// The range is as long as the segment, in whole pages (whole huge pages if it uses explicit ones). With
/// [`REMAP`](AttachFlags) that includes what is mapped there before the call. A null pointer needs no care.
///
/// # Examples
///
/// ```
/// use sysvshm::raw::{self, Command, GetFlags};
/// use sysvshm::{AttachFlags, ErrorKind, Key};
/// use std::ptr;
///
/// let id = raw::shmget(Key::PRIVATE, 100, GetFlags::mode(0o600))?;
/// // SAFETY: the system chooses the address.
/// let address = unsafe { raw::shmat(id, ptr::null(), AttachFlags::READ_ONLY) }?;
/// raw::shmctl(id, Command::IpcRmid)?;
/// // SAFETY: 100 bytes are attached there, and nobody writes them.
/// assert_eq!(unsafe { address.cast::<u8>().read_volatile() }, 0);
/// // SAFETY: the address is not used any more.
/// unsafe { raw::shmdt(address.as_ptr()) }?;
/// // SAFETY: as above.
/// let gone = unsafe { raw::shmat(id, ptr::null(), AttachFlags::empty()) };
/// assert_eq!(gone.unwrap_err().kind(), ErrorKind::NoSuchSegment); // C has (void *) -1 here
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[allow(unsafe_code)]
pub unsafe fn shmat(
    id: i32,
    address: *const c_void,
    flags: AttachFlags,
) -> Result<NonNull<c_void>, Error> {
    let call = Call::Shmat {
        id,
        address: address.addr(),
        flags: flags.bits(),
    };
    let page_zero =
        flags.contains(AttachFlags::ROUND) && !address.is_null() && address.addr() < os::shmlba();
    if page_zero {
        let hint = Hint::Text("this rounds down to page 0; pass a null pointer for any address");
        return Err(Error::refused(call, ErrorKind::InvalidAddress, hint));
    }
    // SAFETY: the caller answers for the range.
    unsafe { shm::shmat(id, address, flags.bits()) }.map_err(|errno| Error::from_call(call, errno))
}

/// `shmdt(address)`.
///
/// # Errors
///
/// [`NotAttached`](ErrorKind::NotAttached) (`EINVAL`): no attach starts at this address.
///
/// # Safety
///
/// Nothing may use the memory afterwards, and no [`Segment`](crate::Segment) may own the attach.
///
/// # Examples
///
/// ```
/// use sysvshm::{ErrorKind, raw};
///
/// // SAFETY: nothing is attached at the address, so nothing is detached.
/// let error = unsafe { raw::shmdt(std::ptr::null()) }.unwrap_err();
/// assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::NotAttached, Some(22))); // EINVAL
/// ```
#[allow(unsafe_code)]
pub unsafe fn shmdt(address: *const c_void) -> Result<(), Error> {
    let call = Call::Shmdt {
        address: address.addr(),
    };
    // SAFETY: the caller gives the memory up.
    unsafe { shm::shmdt(address) }.map_err(|errno| Error::from_call(call, errno))
}

/// What [`shmctl`] shall do, with the buffer that C passes as a pointer to whatever the command takes.
///
/// ```
/// use sysvshm::raw::{self, Command, GetFlags};
/// use sysvshm::Key;
///
/// let id = raw::shmget(Key::PRIVATE, 100, GetFlags::mode(0o600))?;
/// let mut ds = raw::empty_shmid_ds();
/// raw::shmctl(id, Command::IpcStat(&mut ds))?;
/// ds.shm_perm.mode = 0o640;
/// raw::shmctl(id, Command::IpcSet(&ds))?;
/// raw::shmctl(id, Command::IpcStat(&mut ds))?;
/// assert_eq!(ds.shm_perm.mode & 0o777, 0o640); // the word has flags of the kernel's too
/// raw::shmctl(id, Command::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "cmd")]
#[derive(Debug)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Mark the segment for removal.
    #[doc(alias = "IPC_RMID")]
    IpcRmid,
    /// Take owner, group and the nine mode bits from the buffer.
    #[doc(alias = "IPC_SET")]
    IpcSet(&'a shmid_ds),
    /// Fill the buffer.
    #[doc(alias = "IPC_STAT")]
    IpcStat(&'a mut shmid_ds),
    /// Keep the pages in memory. Linux.
    #[doc(alias = "SHM_LOCK")]
    ShmLock,
    /// Let them be swapped out again. Linux.
    #[doc(alias = "SHM_UNLOCK")]
    ShmUnlock,
    /// The limits of the IPC namespace. The id is ignored; the result is the highest slot in use.
    #[cfg(target_os = "linux")]
    #[doc(alias = "IPC_INFO")]
    IpcInfo(&'a mut shminfo),
    /// What is in use. The id is ignored; the result is the highest slot in use.
    #[cfg(target_os = "linux")]
    #[doc(alias = "SHM_INFO")]
    ShmInfo(&'a mut shm_info),
    /// As `IpcStat`, but the id is a slot number; the result is the segment's id.
    #[cfg(target_os = "linux")]
    #[doc(alias = "SHM_STAT")]
    ShmStat(&'a mut shmid_ds),
    /// As `ShmStat`, without read permission. Linux 4.17.
    #[cfg(target_os = "linux")]
    #[doc(alias = "SHM_STAT_ANY")]
    ShmStatAny(&'a mut shmid_ds),
}

/// `shmctl(id, command, buffer)`. Returns what C returns: 0, or what the command says.
///
/// # Errors
///
/// [`PermissionDenied`](ErrorKind::PermissionDenied) (`EACCES`), [`NotOwner`](ErrorKind::NotOwner) (`EPERM`),
/// [`NoSuchSegment`](ErrorKind::NoSuchSegment) (`EINVAL`, `EIDRM`), and as the methods of
/// [`SegmentId`](crate::SegmentId) say.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::raw::{self, Command};
///
/// let mut limits = raw::shminfo::default();
/// raw::shmctl(0, Command::IpcInfo(&mut limits))?;
/// assert_eq!(limits.shmmin, 1);
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn shmctl(id: i32, command: Command<'_>) -> Result<i32, Error> {
    let (name, result) = match command {
        Command::IpcRmid => (error::Command::Remove, shm::shmctl_rmid(id).map(|()| 0)),
        Command::IpcSet(buffer) => (
            error::Command::set(buffer.shm_perm, None),
            shm::shmctl_set(id, buffer).map(|()| 0),
        ),
        Command::IpcStat(buffer) => (
            error::Command::Status,
            fill(buffer, shm::shmctl_stat(id).map(|status| (status, 0))),
        ),
        Command::ShmLock => (error::Command::Lock, shm::shmctl_lock(id, true).map(|()| 0)),
        Command::ShmUnlock => (
            error::Command::Unlock,
            shm::shmctl_lock(id, false).map(|()| 0),
        ),
        #[cfg(target_os = "linux")]
        Command::IpcInfo(buffer) => (error::Command::Limits, fill(buffer, os::ipc_info())),
        #[cfg(target_os = "linux")]
        Command::ShmInfo(buffer) => (error::Command::Usage, fill(buffer, os::shm_info())),
        #[cfg(target_os = "linux")]
        Command::ShmStat(buffer) => (error::Command::SlotStatus, fill(buffer, os::shm_stat(id))),
        #[cfg(target_os = "linux")]
        Command::ShmStatAny(buffer) => (
            error::Command::SlotStatusAny,
            fill(buffer, os::shm_stat_any(id)),
        ),
    };
    result.map_err(|errno| Error::from_call(Call::shmctl(id, name), errno))
}

/// A `shmid_ds` of zero bytes, to be filled: some of its fields are private, so it cannot be written out. **C
/// call:** none.
///
/// ```
/// assert_eq!(sysvshm::raw::empty_shmid_ds().shm_segsz, 0);
/// ```
#[must_use]
pub fn empty_shmid_ds() -> shmid_ds {
    shm::empty_status()
}

/// `SHMLBA`: attach addresses are multiples of it, in bytes. A function, because glibc's macro is a call too.
///
/// ```
/// assert!(sysvshm::raw::shmlba().is_power_of_two());
/// ```
#[doc(alias = "SHMLBA")]
#[must_use]
pub fn shmlba() -> usize {
    os::shmlba()
}

fn fill<T>(buffer: &mut T, answer: Result<(T, i32), Errno>) -> Result<i32, Errno> {
    answer.map(|(value, returned)| {
        *buffer = value;
        returned
    })
}
