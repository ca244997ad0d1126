//! [`Mode`], and the flags that the raw calls take.

use crate::text;
use bitflags::bitflags;
use std::ffi::c_int;
use std::fmt;

bitflags! {
    /// Who may read and write a segment or a semaphore set: the nine permission bits of a file, with the same
    /// meaning.
    ///
    /// The kernel looks at one class alone: the owner's bits for a process whose effective user is the owner or the
    /// creator, else the group's bits if it is in the owner's or creator's group, else the others'. An owner whose
    /// own bits are missing is refused although others might be let in. `CAP_IPC_OWNER` passes every check. The
    /// umask plays no part. The execute bits matter only to `SHM_EXEC` (shmop(2)) and to lookups that ask for them.
    ///
    /// ```
    /// use sysvshm::Mode;
    ///
    /// let mode = Mode::OWNER_READ | Mode::OWNER_WRITE | Mode::GROUP_READ;
    /// assert_eq!(mode, Mode::from(0o640));
    /// assert_eq!(mode.to_string(), "0640");
    /// assert_eq!(mode.bits(), 0o640);
    /// ```
    #[doc(alias("SHM_R", "SHM_W", "SEM_R", "SEM_A", "ipc_perm"))]
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Mode: u32 {
        /// 0400.
        const OWNER_READ = 0o400;
        /// 0200.
        const OWNER_WRITE = 0o200;
        /// 0100.
        const OWNER_EXECUTE = 0o100;
        /// 0040.
        const GROUP_READ = 0o040;
        /// 0020.
        const GROUP_WRITE = 0o020;
        /// 0010.
        const GROUP_EXECUTE = 0o010;
        /// 0004.
        const OTHER_READ = 0o004;
        /// 0002.
        const OTHER_WRITE = 0o002;
        /// 0001.
        const OTHER_EXECUTE = 0o001;
    }
}

/// From the octal number C programs write, such as `0o666`.
///
/// Bits beyond 0777 are kept, so that the call that takes the mode can refuse them and show them: in C they
/// silently turn into flags.
impl From<u32> for Mode {
    fn from(bits: u32) -> Self {
        Self::from_bits_retain(bits)
    }
}

/// Four octal digits. A width is heeded, as for text: `{:<6}`.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::pad(f, format_args!("{:04o}", self.bits()))
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

bitflags! {
    /// The flags of [`raw::shmget`](crate::raw::shmget) and [`raw::semget`](crate::raw::semget), with the numbers
    /// this system gives them.
    ///
    /// ```
    /// use sysvshm::raw::GetFlags;
    ///
    /// let flags = GetFlags::IPC_CREAT | GetFlags::IPC_EXCL | GetFlags::mode(0o666);
    /// assert_eq!(flags.bits(), 0o3666); // on Linux, macOS and FreeBSD alike
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct GetFlags: c_int {
        /// Create the segment if there is none.
        const IPC_CREAT = libc::IPC_CREAT;
        /// With `IPC_CREAT`: fail if there is one. Ignored alone.
        const IPC_EXCL = libc::IPC_EXCL;
        /// Use explicit huge pages. Linux.
        #[cfg(target_os = "linux")]
        const SHM_HUGETLB = libc::SHM_HUGETLB;
        /// With `SHM_HUGETLB`: pages of 2 MiB.
        #[cfg(target_os = "linux")]
        const SHM_HUGE_2MB = 21 << crate::sys::os::SHM_HUGE_SHIFT;
        /// With `SHM_HUGETLB`: pages of 1 GiB.
        #[cfg(target_os = "linux")]
        const SHM_HUGE_1GB = 30 << crate::sys::os::SHM_HUGE_SHIFT;
        /// Do not set memory aside. Linux.
        #[cfg(target_os = "linux")]
        const SHM_NORESERVE = libc::SHM_NORESERVE;
        // The mode bits, and whatever else C code passes.
        const _ = !0;
    }
}

impl GetFlags {
    /// The permission bits, which C passes among the flags. Other bits of `mode` are dropped.
    ///
    /// ```
    /// # use sysvshm::raw::GetFlags;
    /// assert_eq!(GetFlags::mode(0o7666), GetFlags::mode(0o666));
    /// ```
    #[must_use]
    pub const fn mode(mode: u32) -> Self {
        Self::from_bits_retain((mode & 0o777) as c_int)
    }

    /// The code for huge pages of 2^`log2` bytes: `SHM_HUGE_64KB` is `huge_page_size_log2(16)`. Linux; see
    /// `<linux/shm.h>`.
    ///
    /// ```
    /// # use sysvshm::raw::GetFlags;
    /// assert_eq!(GetFlags::huge_page_size_log2(21), GetFlags::SHM_HUGE_2MB);
    /// ```
    #[cfg(target_os = "linux")]
    #[doc(alias("SHM_HUGE_SHIFT", "SHM_HUGE_MASK"))]
    #[must_use]
    pub const fn huge_page_size_log2(log2: u32) -> Self {
        use crate::sys::os::{SHM_HUGE_MASK, SHM_HUGE_SHIFT};
        Self::from_bits_retain(((log2 & SHM_HUGE_MASK) << SHM_HUGE_SHIFT) as c_int)
    }
}

bitflags! {
    /// The flags of [`raw::shmat`](crate::raw::shmat), with the numbers this system gives them.
    ///
    /// ```
    /// use sysvshm::AttachFlags;
    ///
    /// assert_eq!((AttachFlags::READ_ONLY | AttachFlags::ROUND).bits(), 0o30000);
    /// ```
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct AttachFlags: c_int {
        /// Attach for reading: a write raises SIGSEGV.
        #[doc(alias = "SHM_RDONLY")]
        const READ_ONLY = libc::SHM_RDONLY;
        /// Round the address down to a multiple of `SHMLBA`.
        #[doc(alias = "SHM_RND")]
        const ROUND = libc::SHM_RND;
        /// Replace what is mapped at the address. Linux and FreeBSD.
        #[cfg(any(target_os = "linux", target_os = "freebsd"))]
        #[doc(alias = "SHM_REMAP")]
        const REMAP = match crate::sys::os::SHM_REMAP { Some(bit) => bit, None => 0 };
        /// Allow execution; needs the execute bit of the mode. Linux.
        #[cfg(target_os = "linux")]
        #[doc(alias = "SHM_EXEC")]
        const EXECUTE = libc::SHM_EXEC;
        // Whatever else C code passes.
        const _ = !0;
    }
}
