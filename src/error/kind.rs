//! [`ErrorKind`], and the names of `errno` values.

use std::fmt;

/// What went wrong, told apart per call.
///
/// The same `errno` has different kinds where it has different causes, and several values share a kind where they have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `shmget` `ENOENT`: no segment has this key in this IPC namespace.
    NotFound,
    /// `shmget` `EEXIST`: exclusive creation found a segment under the key.
    AlreadyExists,
    /// `EACCES`: the mode of the segment does not let this user do that.
    PermissionDenied,
    /// `shmctl` `EPERM`: only the owner, the creator and a privileged process may change, lock or remove a segment.
    NotOwner,
    /// No call failed: the segment under the key was created by another user, and the caller did not say that this is welcome.
    ForeignCreator,
    /// `shmget` `EINVAL`, creating: zero bytes, or more than `shmmax`.
    SizeOutOfRange,
    /// `shmget` `EINVAL`, opening: the existing segment is smaller than was asked.
    LargerThanSegment,
    /// `shmget` `ENOSPC`: as many segments exist as `shmmni` allows.
    SegmentLimit,
    /// `shmget` `ENOSPC` (`ENOMEM` on macOS and FreeBSD): all segments together would exceed `shmall` pages.
    PageLimit,
    /// `ENOMEM`: no memory, no swap or no address space for it.
    OutOfMemory,
    /// `shmat` `EMFILE`: this process has attached as many segments as the system allows. Never on Linux.
    AttachLimit,
    /// `shmget` `ENFILE`: the system's table of open files is full.
    FileTableFull,
    /// No such huge page size, none of them free, or transparent huge pages switched off.
    HugePagesUnavailable,
    /// `shmget` `EPERM`: this user may not use huge pages.
    HugePagesNotPermitted,
    /// `shmctl(SHM_LOCK)` `ENOMEM` or `EPERM`: beyond `RLIMIT_MEMLOCK`.
    LockLimit,
    /// `EINVAL` or `EIDRM`: the id names no segment (any more).
    NoSuchSegment,
    /// `shmat` `EINVAL`: the address is not a multiple of `SHMLBA`, is occupied, or is page 0. `EPERM`: it is below `vm.mmap_min_addr`.
    InvalidAddress,
    /// `shmdt` `EINVAL`: no segment is attached at this address.
    NotAttached,
    /// `ftok`: the file could not be examined. `errno` is that of `stat(2)`.
    KeyFile,
    /// A read or write would leave the segment. Nothing was copied.
    OutOfBounds,
    /// The arguments contradict each other or mean something the caller cannot want. No call was made.
    InvalidInput,
    /// `shmat` or `shmdt` `EINTR`: a fatal signal arrived.
    Interrupted,
    /// `ENOSYS`, or a feature this system does not have.
    Unsupported,
    /// Anything else; see [`raw_os_error`](crate::Error::raw_os_error).
    Other,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no segment has this key",
            Self::AlreadyExists => "a segment with this key exists already",
            Self::PermissionDenied => "permission denied",
            Self::NotOwner => "only the owner, the creator or a privileged process may do this",
            Self::ForeignCreator => "the segment was created by another user",
            Self::SizeOutOfRange => "the size is out of range",
            Self::LargerThanSegment => "the existing segment is smaller than that",
            Self::SegmentLimit => "the limit on the number of segments is reached",
            Self::PageLimit => "the limit on the total of shared memory is reached",
            Self::OutOfMemory => "out of memory or address space",
            Self::AttachLimit => "this process has attached as many segments as allowed",
            Self::FileTableFull => "the system's table of open files is full",
            Self::HugePagesUnavailable => "huge pages are not available",
            Self::HugePagesNotPermitted => "this user may not use huge pages",
            Self::LockLimit => "the limit on locked memory is reached",
            Self::NoSuchSegment => "no such segment",
            Self::InvalidAddress => "the address cannot be used",
            Self::NotAttached => "no segment is attached there",
            Self::KeyFile => "the key file cannot be examined",
            Self::OutOfBounds => "outside the segment",
            Self::InvalidInput => "invalid arguments",
            Self::Interrupted => "interrupted by a signal",
            Self::Unsupported => "not supported by this system",
            Self::Other => "failed",
        })
    }
}

/// ` (EINVAL)`, ` (errno 4711)`, or nothing for 0.
pub(super) struct Name(pub(super) i32);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => return Ok(()),
            libc::EPERM => "EPERM",
            libc::ENOENT => "ENOENT",
            libc::EINTR => "EINTR",
            libc::EIO => "EIO",
            libc::E2BIG => "E2BIG",
            libc::EAGAIN => "EAGAIN",
            libc::ENOMEM => "ENOMEM",
            libc::EACCES => "EACCES",
            libc::EFAULT => "EFAULT",
            libc::EEXIST => "EEXIST",
            libc::ENOTDIR => "ENOTDIR",
            libc::EINVAL => "EINVAL",
            libc::ENFILE => "ENFILE",
            libc::EMFILE => "EMFILE",
            libc::EFBIG => "EFBIG",
            libc::ENOSPC => "ENOSPC",
            libc::ERANGE => "ERANGE",
            libc::ENAMETOOLONG => "ENAMETOOLONG",
            libc::ENOSYS => "ENOSYS",
            libc::ELOOP => "ELOOP",
            libc::EIDRM => "EIDRM",
            libc::EOVERFLOW => "EOVERFLOW",
            other => return write!(f, " (errno {other})"),
        };
        write!(f, " ({name})")
    }
}
