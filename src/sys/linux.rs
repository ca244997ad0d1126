//! What only Linux has, and what the `libc` crate lacks for it.
//!
//! Numbers and layouts are those of `include/uapi/linux/shm.h` and `ipc.h` in the kernel's sources; a test compares
//! them with what a C compiler says on the machine that runs it.

use super::shm;
use super::{Errno, RawKey, check};
use libc::shmid_ds;
use std::ffi::{c_int, c_ulong};
use std::mem;

/// `SHM_HUGETLB` for shmget.
pub(crate) const SHM_HUGETLB: Option<c_int> = Some(libc::SHM_HUGETLB);
/// `SHM_NORESERVE` for shmget.
pub(crate) const SHM_NORESERVE: Option<c_int> = Some(libc::SHM_NORESERVE);
/// `SHM_HUGE_SHIFT`: where shmget's flags hold the binary logarithm of the huge page size.
pub(crate) const SHM_HUGE_SHIFT: u32 = 26;
/// `SHM_HUGE_MASK`: the six bits of that logarithm.
pub(crate) const SHM_HUGE_MASK: u32 = 0x3f;
/// `SHM_REMAP` for shmat.
pub(crate) const SHM_REMAP: Option<c_int> = Some(libc::SHM_REMAP);
/// `SHM_EXEC` for shmat.
pub(crate) const SHM_EXEC: Option<c_int> = Some(libc::SHM_EXEC);
/// An address replaces what is mapped there only with `SHM_REMAP`.
pub(crate) const FLAGS_MAY_REPLACE: bool = false;
/// `SHM_LOCK` and `SHM_UNLOCK` for shmctl.
pub(crate) const SHM_LOCK_UNLOCK: Option<(c_int, c_int)> = Some((libc::SHM_LOCK, libc::SHM_UNLOCK));
/// `SHM_STAT` for shmctl.
pub(crate) const SHM_STAT: c_int = 13 | (libc::IPC_STAT & 0x100);
/// `SHM_INFO` for shmctl.
pub(crate) const SHM_INFO: c_int = 14;
/// `SHM_STAT_ANY` for shmctl, Linux 4.17 and later.
pub(crate) const SHM_STAT_ANY: c_int = 15 | (libc::IPC_STAT & 0x100);
/// The mode bit of a segment that goes at its last detach.
pub(crate) const SHM_DEST: u32 = 0o1000;
/// The mode bit of a segment whose pages stay in memory.
pub(crate) const SHM_LOCKED: u32 = 0o2000;

/// `struct shminfo`: what `IPC_INFO` fills.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct shminfo {
    /// Largest segment, in bytes.
    pub shmmax: c_ulong,
    /// Smallest segment, in bytes: always 1.
    pub shmmin: c_ulong,
    /// Most segments in the IPC namespace.
    pub shmmni: c_ulong,
    /// Most segments one process may attach: the kernel repeats `shmmni` here and enforces nothing.
    pub shmseg: c_ulong,
    /// Most shared memory in the IPC namespace, in pages.
    pub shmall: c_ulong,
    /// Not used by the kernel.
    pub reserved: [c_ulong; 4],
}

/// `struct shm_info`: what `SHM_INFO` fills.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct shm_info {
    /// Segments that exist.
    pub used_ids: c_int,
    /// Pages of all segments together.
    pub shm_tot: c_ulong,
    /// Those of them in memory.
    pub shm_rss: c_ulong,
    /// Those of them in swap.
    pub shm_swp: c_ulong,
    /// Always 0 since Linux 2.4.
    pub swap_attempts: c_ulong,
    /// Always 0 since Linux 2.4.
    pub swap_successes: c_ulong,
}

const _: () = {
    const WORD: usize = size_of::<c_ulong>();
    assert!(size_of::<shminfo>() == 9 * WORD);
    assert!(mem::offset_of!(shminfo, shmmni) == 2 * WORD);
    assert!(mem::offset_of!(shminfo, shmall) == 4 * WORD);
    assert!(size_of::<shm_info>() == 6 * WORD);
    assert!(mem::offset_of!(shm_info, shm_tot) == WORD);
    assert!(mem::offset_of!(shm_info, shm_swp) == 3 * WORD);
    // `key` reads the key as the first four bytes of the permissions.
    assert!(mem::offset_of!(libc::ipc_perm, uid) == size_of::<RawKey>());
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<shmid_ds>() == 112);
    assert!(mem::offset_of!(shmid_ds, shm_segsz) == 48);
    assert!(mem::offset_of!(shmid_ds, shm_nattch) == 88);
};

/// `shmctl(0, IPC_INFO, &info)`. The second value is the highest slot in use, 0 also when none is.
pub(crate) fn ipc_info() -> Result<(shminfo, c_int), Errno> {
    let mut info = shminfo::default();
    // SAFETY: IPC_INFO writes one shminfo, which `info` is; C's prototype knows only the other struct.
    let highest =
        check(unsafe { libc::shmctl(0, libc::IPC_INFO, (&raw mut info).cast::<shmid_ds>()) })?;
    Ok((info, highest))
}

/// `shmctl(0, SHM_INFO, &info)`. The second value is the highest slot in use, 0 also when none is.
pub(crate) fn shm_info() -> Result<(shm_info, c_int), Errno> {
    let mut info = shm_info::default();
    // SAFETY: SHM_INFO writes one shm_info, which `info` is; C's prototype knows only the other struct.
    let highest = check(unsafe { libc::shmctl(0, SHM_INFO, (&raw mut info).cast::<shmid_ds>()) })?;
    Ok((info, highest))
}

/// `shmctl(slot, SHM_STAT, &ds)`: the status and the id of the segment in a slot. Needs read permission.
pub(crate) fn shm_stat(slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    shm::read_status(slot, SHM_STAT)
}

/// `shmctl(slot, SHM_STAT_ANY, &ds)`: the same without the permission.
pub(crate) fn shm_stat_any(slot: c_int) -> Result<(shmid_ds, c_int), Errno> {
    shm::read_status(slot, SHM_STAT_ANY)
}

/// `SHMLBA`: attach addresses are multiples of it, in bytes.
///
/// glibc defines it as the page size on most machines; 32-bit Arm, MIPS and SPARC need more because of their
/// caches.
pub(crate) fn shmlba() -> usize {
    let page = super::process::page_size();
    if cfg!(target_arch = "arm") {
        4 * page
    } else if cfg!(any(target_arch = "mips", target_arch = "mips64")) {
        0x4_0000
    } else if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) {
        page.max(0x4000)
    } else {
        page
    }
}

/// The key in the permissions of a status; 0 once a segment is marked for removal.
pub(crate) fn key(permissions: libc::ipc_perm) -> RawKey {
    // The field has two names in the libc crate, chosen by its own build script; its place is asserted above.
    let first = (&raw const permissions).cast::<RawKey>();
    // SAFETY: the first four bytes of an ipc_perm are its key, aligned as the struct is.
    unsafe { first.read() }
}

/// Attach, detach and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &shmid_ds) -> [i64; 3] {
    #[cfg(all(
        target_env = "musl",
        target_pointer_width = "32",
        any(target_arch = "x86", target_arch = "arm")
    ))]
    {
        // The libc crate names these words differently for musl before and after 1.2. In both, as in the kernel,
        // three pairs of low and high words follow the size.
        let words = (&raw const *status).cast::<u32>();
        let first = mem::offset_of!(shmid_ds, shm_segsz) / 4 + 1;
        [0, 2, 4].map(|pair| {
            // SAFETY: the six words after shm_segsz are inside the struct in either layout.
            let low = unsafe { words.add(first + pair).read() };
            // SAFETY: as above.
            let high = unsafe { words.add(first + pair + 1).read() };
            (i64::from(high) << 32) | i64::from(low)
        })
    }
    #[cfg(not(all(
        target_env = "musl",
        target_pointer_width = "32",
        any(target_arch = "x86", target_arch = "arm")
    )))]
    #[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets.
    [
        status.shm_atime as i64,
        status.shm_dtime as i64,
        status.shm_ctime as i64,
    ]
}

/// Most bytes of one segment, most segments, most pages in all.
pub(crate) fn limits() -> Result<(u64, u64, u64), Errno> {
    let (info, _) = ipc_info()?;
    #[allow(clippy::unnecessary_cast)] // c_ulong is 32 bits wide on some targets.
    Ok((info.shmmax as u64, info.shmmni as u64, info.shmall as u64))
}

/// Which IPC namespace the calling thread is in, as device and inode of its `ns/ipc` link; `None` without /proc.
///
/// `setns(2)` and `unshare(2)` move single threads, hence `thread-self`.
pub(crate) fn ipc_namespace() -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let link = std::fs::metadata("/proc/thread-self/ns/ipc").ok()?;
    Some((link.dev(), link.ino()))
}

/// The advice that makes a page read as zeros in a forked child, Linux 4.14 and later.
pub(crate) const MADV_WIPEONFORK: Option<c_int> = Some(libc::MADV_WIPEONFORK);
/// The advice that keeps a mapping out of forked children, Linux 2.6.16 and later.
pub(crate) const MADV_DONTFORK: c_int = libc::MADV_DONTFORK;
/// The advice that asks for transparent huge pages.
pub(crate) const MADV_HUGEPAGE: Option<c_int> = Some(libc::MADV_HUGEPAGE);
/// The advice that allocates pages now, readable, Linux 5.14 and later.
pub(crate) const MADV_POPULATE_READ: Option<c_int> = Some(libc::MADV_POPULATE_READ);
/// The advice that allocates pages now, writable, Linux 5.14 and later.
pub(crate) const MADV_POPULATE_WRITE: Option<c_int> = Some(libc::MADV_POPULATE_WRITE);
/// Advice without effect on contents that explicit huge pages refuse with `EINVAL` (`can_madv_lru_vma` in
/// mm/madvise.c), Linux 5.4 and later.
pub(crate) const MADV_COLD: Option<c_int> = Some(libc::MADV_COLD);

/// Segments, their pages in all, those in memory and those in swap.
pub(crate) fn usage() -> Result<[u64; 4], Errno> {
    let (info, _) = shm_info()?;
    #[allow(clippy::unnecessary_cast)] // c_ulong is 32 bits wide on some targets.
    Ok([
        u64::from(info.used_ids.unsigned_abs()),
        info.shm_tot as u64,
        info.shm_rss as u64,
        info.shm_swp as u64,
    ])
}

/// The highest slot in use, 0 also when none is.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    shm_info().map(|(_, highest)| highest)
}
