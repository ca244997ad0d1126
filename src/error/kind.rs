//! [`ErrorKind`], and the names of `errno` values.

use std::{fmt, io};

/// What went wrong, told apart per call.
///
/// The same `errno` has different kinds where it has different causes, and several values share a kind where they
/// have one.
///
/// ```
/// use sysvshm::{ErrorKind, Key, SegmentOptions};
///
/// let key = Key::random()?;
/// let segment = SegmentOptions::new().size_bytes(1).create_new(key)?;
/// let too_large = SegmentOptions::new().size_bytes(2).open(key).unwrap_err();
/// let too_small = SegmentOptions::new().size_bytes(0).create_new(Key::PRIVATE).unwrap_err();
/// segment.mark_for_removal()?;
/// assert_eq!((too_large.raw_os_error(), too_small.raw_os_error()), (Some(22), Some(22))); // EINVAL
/// assert_eq!(too_large.kind(), ErrorKind::SegmentTooSmall);
/// assert_eq!(too_small.kind(), ErrorKind::SizeOutOfRange);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `ENOENT`: no segment, semaphore set or message queue has this key in this IPC namespace.
    NotFound,
    /// `EEXIST`: exclusive creation found a segment, a semaphore set or a message queue under the key.
    AlreadyExists,
    /// `EACCES`: the mode of the segment, the semaphore set or the message queue does not let this user do that.
    PermissionDenied,
    /// `EPERM`: only the owner, the creator and a privileged process may change, lock or remove a segment, a
    /// semaphore set or a message queue.
    NotOwner,
    /// No call failed: the segment, the semaphore set or the message queue under the key was created by another user,
    /// and the caller did not say that this is welcome.
    ForeignCreator,
    /// `shmget` `EINVAL`, creating: zero bytes, or more than `shmmax`.
    SizeOutOfRange,
    /// `shmget` `EINVAL`, opening: the existing segment is smaller than was asked.
    SegmentTooSmall,
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
    /// `shmat` `EINVAL`: the address is not a multiple of `SHMLBA`, is occupied, or is page 0. `EPERM`: it is below
    /// `vm.mmap_min_addr`. `ENOMEM`: it is beyond the address space.
    InvalidAddress,
    /// `shmdt` `EINVAL`: no segment is attached at this address.
    NotAttached,
    /// `ftok`: the file could not be examined. `errno` is that of `stat(2)`.
    KeyFile,
    /// A read or write would leave the segment. Nothing was copied.
    OutOfBounds,
    /// `semget` `EINVAL`, creating: no semaphores, or more than `SEMMSL`.
    CountOutOfRange,
    /// `semget` `EINVAL`, opening: the existing set has fewer semaphores than were asked for.
    SetTooSmall,
    /// `semget` `ENOSPC`: as many sets exist as `SEMMNI` allows.
    SetLimit,
    /// `semget` `ENOSPC`: all sets together would exceed `SEMMNS` semaphores.
    SemaphoreLimit,
    /// `semop` or `semctl` `EINVAL`: the id names no semaphore set (any more).
    NoSuchSet,
    /// `semop` `EFBIG`, `semctl` `EINVAL`: the set has no semaphore of this number.
    NoSuchSemaphore,
    /// `ERANGE`: the value of a semaphore, or what `SEM_UNDO` would give back, would leave 0 to `SEMVMX`. Nothing
    /// was changed.
    ValueOutOfRange,
    /// `semop` `E2BIG`: more operations in one step than `SEMOPM`.
    TooManyOperations,
    /// `msgget` `ENOSPC`: as many queues exist as `msgmni` allows.
    QueueLimit,
    /// `msgsnd`, `msgrcv` or `msgctl` `EINVAL` or `EIDRM`: the id names no message queue (any more).
    NoSuchQueue,
    /// `msgsnd` `EINVAL`: the message is longer than `msgmax`. `msgrcv` `E2BIG`: it is longer than the room for it, and
    /// stays in the queue.
    MessageTooLarge,
    /// `msgctl(IPC_SET)` `EPERM`: this user may not let a queue hold more than `msgmnb` bytes.
    QueueSizeLimit,
    /// `semop` and `msgsnd` `EAGAIN`, `msgrcv` `ENOMSG`, with `IPC_NOWAIT`: it cannot be done at once. Nothing was
    /// changed.
    WouldBlock,
    /// `semtimedop` and `msgsnd` `EAGAIN`, `msgrcv` `ENOMSG`: it could not be done in time. Nothing was changed.
    TimedOut,
    /// `semop`, `msgsnd` or `msgrcv` `EIDRM`: the set or the queue was removed while this process waited. Or the segment of a
    /// ring was, and no call failed.
    Removed,
    /// No call failed: the other end of a ring is dead or has left, so that nothing can come or go.
    PeerGone,
    /// No call failed: a [`Canceller`](crate::bounded_buffer::Canceller) ended the wait.
    Cancelled,
    /// No call failed: the creator of a set, or of a ring, had not initialised it by the deadline. Or a cell has no value.
    NotInitialised,
    /// No call failed: the creator of a set ended before it had initialised it.
    CreatorDied,
    /// No call was made: the value was inherited through a fork and belongs to the parent process.
    Forked,
    /// No call failed: the calling thread is in another IPC namespace than what it would act on, where the same
    /// identifier names another object or none.
    WrongNamespace,
    /// No call failed: what is in the segment is not what this program expects there.
    LayoutMismatch,
    /// No call failed: a handle of a process that lives has it.
    InUse,
    /// The arguments contradict each other or mean something the caller cannot want. No call was made.
    InvalidInput,
    /// `shmat` or `shmdt` `EINTR`: a fatal signal arrived. `semop`, `msgsnd` or `msgrcv` `EINTR`: a handled one did,
    /// and the caller asked to be told.
    Interrupted,
    /// `ENOSYS`, or a feature this system does not have.
    Unsupported,
    /// Anything else; see [`raw_os_error`](crate::Error::raw_os_error).
    Other,
}

impl ErrorKind {
    /// Whether there is nothing of that name: no key, or an identifier of something that is gone.
    ///
    /// The kinds are [`NotFound`](Self::NotFound), [`NoSuchSegment`](Self::NoSuchSegment),
    /// [`NoSuchSet`](Self::NoSuchSet) and [`NoSuchQueue`](Self::NoSuchQueue). All error types of this crate have a method
    /// of this name, so that waiting until another program has created something looks the same everywhere;
    /// [`wait_until_exists`](crate::wait_until_exists) does it.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions, SharedArray};
    ///
    /// let key = Key::random()?;
    /// assert!(SegmentOptions::new().open(key).unwrap_err().is_not_found());
    /// assert!(SharedArray::<u64>::open(key, 8).unwrap_err().is_not_found());
    /// assert!(ErrorKind::NoSuchSegment.is_not_found() && !ErrorKind::AlreadyExists.is_not_found());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub const fn is_not_found(self) -> bool {
        matches!(
            self,
            Self::NotFound | Self::NoSuchSegment | Self::NoSuchSet | Self::NoSuchQueue
        )
    }

    /// The kind in std's words, [`Other`](io::ErrorKind::Other) where it has none.
    pub(crate) fn to_io(self) -> io::ErrorKind {
        match self {
            kind if kind.is_not_found() => io::ErrorKind::NotFound,
            Self::AlreadyExists => io::ErrorKind::AlreadyExists,
            Self::PermissionDenied
            | Self::NotOwner
            | Self::ForeignCreator
            | Self::QueueSizeLimit
            | Self::HugePagesNotPermitted => io::ErrorKind::PermissionDenied,
            Self::OutOfMemory => io::ErrorKind::OutOfMemory,
            Self::Interrupted => io::ErrorKind::Interrupted,
            Self::WouldBlock => io::ErrorKind::WouldBlock,
            Self::TimedOut | Self::NotInitialised => io::ErrorKind::TimedOut,
            Self::Unsupported => io::ErrorKind::Unsupported,
            Self::LayoutMismatch => io::ErrorKind::InvalidData,
            Self::Removed | Self::PeerGone => io::ErrorKind::BrokenPipe,
            Self::InvalidInput
            | Self::SizeOutOfRange
            | Self::SegmentTooSmall
            | Self::SetTooSmall
            | Self::CountOutOfRange
            | Self::ValueOutOfRange
            | Self::TooManyOperations
            | Self::MessageTooLarge
            | Self::NoSuchSemaphore
            | Self::InvalidAddress
            | Self::OutOfBounds => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "nothing has this key",
            Self::AlreadyExists => "the key is taken",
            Self::PermissionDenied => "permission denied",
            Self::NotOwner => "only the owner, the creator or a privileged process may do this",
            Self::ForeignCreator => "created by another user",
            Self::SizeOutOfRange => "the size is out of range",
            Self::SegmentTooSmall => "the existing segment is smaller than that",
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
            Self::CountOutOfRange => "the number of semaphores is out of range",
            Self::SetTooSmall => "the existing semaphore set has fewer semaphores than that",
            Self::SetLimit => "the limit on the number of semaphore sets is reached",
            Self::SemaphoreLimit => "the limit on the number of semaphores is reached",
            Self::NoSuchSet => "no such semaphore set",
            Self::NoSuchSemaphore => "the set has no such semaphore",
            Self::ValueOutOfRange => "the value is out of range",
            Self::TooManyOperations => "too many operations for one step",
            Self::WouldBlock => "it cannot be done at once",
            Self::TimedOut => "it could not be done in time",
            Self::QueueLimit => "the limit on the number of message queues is reached",
            Self::NoSuchQueue => "no such message queue",
            Self::MessageTooLarge => "the message is too large",
            Self::QueueSizeLimit => "the limit on the size of message queues is reached",
            Self::Removed => "removed while this process waited",
            Self::PeerGone => "the other end is dead or has left",
            Self::Cancelled => "the wait was cancelled",
            Self::NotInitialised => {
                "the creator of the semaphore set has not initialised it in time"
            }
            Self::CreatorDied => "the creator of the semaphore set ended before it initialised it",
            Self::Forked => "inherited through a fork; it belongs to the parent process",
            Self::WrongNamespace => "the calling thread is in another IPC namespace",
            Self::LayoutMismatch => "the segment holds something else",
            Self::InUse => "another handle has it",
            Self::InvalidInput => "invalid arguments",
            Self::Interrupted => "interrupted by a signal",
            Self::Unsupported => "not available here",
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
            libc::ENOMSG => "ENOMSG",
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
