//! From a call and its `errno` to a kind and a hint, by asking the kernel while the cause can still be seen.
//!
//! The tables are those of shmget(2), shmop(2) and shmctl(2) of the Linux manual pages 6.03, checked on Linux 6.18.
//! The question may be asked a moment too late (somebody removed a segment meanwhile); the kind then falls back to
//! the likeliest one.

use super::call::{Call, ShmctlCommand};
use super::hint::{Facts, Hint};
use super::kind::ErrorKind;
use super::semaphores;
use crate::sys::process::{self, Resource};
use crate::sys::{RawKey, os, shm};
use std::ffi::c_int;
use std::fs::File;
use std::io::Read;

/// Why `call` failed with `errno`.
pub(super) fn diagnose(call: &Call, errno: i32) -> (ErrorKind, Hint) {
    if errno == libc::ENOSYS {
        return (
            ErrorKind::Unsupported,
            Hint::Text(
                "the kernel, a container or a sandbox has System V IPC, or this part of it, switched off",
            ),
        );
    }
    match *call {
        Call::Ftok { .. } => (
            ErrorKind::KeyFile,
            Hint::Text(
                "the file must exist and be reachable, and all programs must name the same one",
            ),
        ),
        Call::Shmget { key, size, flags } => shmget(key, size, flags, errno),
        Call::Shmat { id, address, flags } => shmat(id, address, flags, errno),
        Call::Shmdt { .. } => match errno {
            libc::EINVAL => (
                ErrorKind::NotAttached,
                Hint::Text(
                    "only the address that shmat returned detaches, once, and only while the mapping is still there",
                ),
            ),
            libc::EINTR => (ErrorKind::Interrupted, Hint::None),
            _ => (ErrorKind::Other, Hint::None),
        },
        Call::Shmctl { id, command } => shmctl(id, command, errno),
        Call::Semget {
            key,
            semaphores,
            flags,
        } => semaphores::semget(key, semaphores, flags, errno),
        Call::Semop(ref call) => semaphores::semop(call, errno),
        Call::Semctl {
            id,
            semaphore,
            command,
        } => semaphores::semctl(id, semaphore, command, errno),
        Call::Madvise { .. } => madvise(errno),
        Call::Random | Call::Copy { .. } => (ErrorKind::Other, Hint::None),
        #[cfg(not(target_os = "linux"))]
        Call::ProcessStart => (ErrorKind::Other, Hint::None),
    }
}

fn shmget(key: RawKey, size: usize, flags: c_int, errno: i32) -> (ErrorKind, Hint) {
    let huge = os::SHM_HUGETLB.is_some_and(|bit| flags & bit != 0);
    let creating = flags & libc::IPC_CREAT != 0 || key == libc::IPC_PRIVATE;
    match errno {
        libc::ENOENT if huge && creating => (
            ErrorKind::HugePagesUnavailable,
            Hint::Text("this processor or kernel has no huge pages"),
        ),
        libc::ENOENT => (
            ErrorKind::NotFound,
            Hint::Text(
                "start the program that creates the segment first, or create it here; both sides must use the same key (an ftok key changes when its file is replaced) and the same IPC namespace (containers have their own)",
            ),
        ),
        libc::EEXIST => (
            ErrorKind::AlreadyExists,
            by_key(key).map_or(Hint::None, Hint::Exists),
        ),
        libc::EACCES => (ErrorKind::PermissionDenied, denied(by_key(key), ASKED_BITS)),
        libc::EINVAL => shmget_einval(key, size, creating, huge),
        libc::ENOSPC => shmget_enospc(size),
        // macOS and FreeBSD report a total beyond shmall as ENOMEM.
        libc::ENOMEM if cfg!(not(target_os = "linux")) => {
            (ErrorKind::PageLimit, pages_full(size).unwrap_or(Hint::None))
        }
        libc::ENOMEM if huge => (
            ErrorKind::HugePagesUnavailable,
            Hint::Text(
                "not enough huge pages of this size are free; see HugePages_Free in /proc/meminfo, and have more reserved (vm.nr_hugepages)",
            ),
        ),
        libc::ENOMEM => (
            ErrorKind::OutOfMemory,
            Hint::Text(
                "the kernel will not promise that much memory; ask for less, or create without reservation (no_reserve, SHM_NORESERVE) where vm.overcommit_memory is not 2",
            ),
        ),
        libc::ENFILE => (
            ErrorKind::FileTableFull,
            Hint::Text("every segment takes an entry; see fs.file-max"),
        ),
        libc::EPERM if huge => (
            ErrorKind::HugePagesNotPermitted,
            Hint::Text(
                "join the group of vm.hugetlb_shm_group, have RLIMIT_MEMLOCK raised, or run with CAP_IPC_LOCK",
            ),
        ),
        libc::EPERM => (ErrorKind::Unsupported, Hint::Text(SANDBOX)),
        _ => (ErrorKind::Other, Hint::None),
    }
}

const ASKED_BITS: &str = "the mode bits passed when opening are checked against the segment's mode, all of them; pass none to leave the check to the attach";
const SANDBOX: &str =
    "no System V rule gives EPERM here, so a sandbox (seccomp) is the likely cause";

/// `EINVAL` from shmget: either the existing segment is too small or the size is out of range.
fn shmget_einval(key: RawKey, size: usize, creating: bool, huge: bool) -> (ErrorKind, Hint) {
    if let Some(facts) = by_key(key) {
        if u64::try_from(size).is_ok_and(|size| size > facts.size_bytes) {
            return (
                ErrorKind::LargerThanSegment,
                Hint::Smaller { asked: size, facts },
            );
        }
    }
    if creating && size == 0 {
        return (
            ErrorKind::SizeOutOfRange,
            Hint::Text("a new segment has at least 1 byte; say how many with size_bytes"),
        );
    }
    if let Ok((max, _, _)) = os::limits() {
        if creating && u64::try_from(size).is_ok_and(|size| size > max) {
            return (ErrorKind::SizeOutOfRange, Hint::AboveMaximum { max });
        }
    }
    if huge {
        return (
            ErrorKind::HugePagesUnavailable,
            Hint::Text(
                "the kernel has no huge pages of this size; /sys/kernel/mm/hugepages lists those it has",
            ),
        );
    }
    if by_key(key).is_none() && !creating {
        // The segment that was too small is gone by now, or may not be looked at.
        return (ErrorKind::LargerThanSegment, Hint::None);
    }
    (ErrorKind::Other, Hint::None)
}

/// `ENOSPC` from shmget: as many segments, or as many pages, as allowed.
fn shmget_enospc(size: usize) -> (ErrorKind, Hint) {
    if let (Ok((_, max, _)), Ok([used, ..])) = (os::limits(), os::usage()) {
        if used < max {
            return (ErrorKind::PageLimit, pages_full(size).unwrap_or(Hint::None));
        }
        return (ErrorKind::SegmentLimit, Hint::SegmentsFull { max, used });
    }
    (
        ErrorKind::SegmentLimit,
        Hint::Text("no disk is involved: remove unused segments (`ipcs -m`, `ipcrm -m ID`)"),
    )
}

/// How full `shmall` is, where the system says so.
fn pages_full(size: usize) -> Option<Hint> {
    let (_, _, max) = os::limits().ok()?;
    let page_size = process::page_size();
    let used = os::usage().map(|[_, pages, ..]| pages).ok();
    Some(Hint::PagesFull {
        max,
        used,
        asked: u64::try_from(size.div_ceil(page_size)).unwrap_or(u64::MAX),
        page_size,
    })
}

fn shmat(id: c_int, address: usize, flags: c_int, errno: i32) -> (ErrorKind, Hint) {
    match errno {
        libc::EACCES => {
            let advice = if os::SHM_EXEC.is_some_and(|bit| flags & bit != 0) {
                "SHM_EXEC needs the execute bit of the mode as well"
            } else if flags & libc::SHM_RDONLY != 0 {
                "a read-only attach needs the read bit of the mode"
            } else {
                "a read-write attach needs the read and the write bit of the mode, a read-only attach the read bit alone"
            };
            (ErrorKind::PermissionDenied, denied(by_id(id), advice))
        }
        libc::EIDRM => (ErrorKind::NoSuchSegment, Hint::Text(GONE)),
        libc::EINVAL if is_gone(id) => (ErrorKind::NoSuchSegment, Hint::Text(GONE)),
        libc::EINVAL => shmat_bad_address(address, flags),
        libc::ENOMEM if cfg!(target_os = "freebsd") && address != 0 => {
            (ErrorKind::InvalidAddress, Hint::Text(OCCUPIED))
        }
        libc::ENOMEM => match address_space() {
            // Neither limit is near, so it is the address that was asked for.
            Hint::AddressSpace {
                soft_limit: None,
                mappings,
                max_mappings,
            } if address != 0 && mappings + 1 < max_mappings => {
                (ErrorKind::InvalidAddress, Hint::Text(OUTSIDE))
            }
            hint => (ErrorKind::OutOfMemory, hint),
        },
        libc::EPERM if address != 0 => (ErrorKind::InvalidAddress, Hint::Text(TOO_LOW)),
        libc::EMFILE => (
            ErrorKind::AttachLimit,
            Hint::Text(
                "detach segments that are not needed, or raise kern.sysv.shmseg (macOS) or kern.ipc.shmseg (FreeBSD)",
            ),
        ),
        libc::EINTR => (ErrorKind::Interrupted, Hint::None),
        _ => (ErrorKind::Other, Hint::None),
    }
}

const GONE: &str = "the segment was removed, or the id belongs to another IPC namespace; look the id up again by key";
const OCCUPIED: &str = "something is mapped in that range already; let the system choose, or pick a range that is free in every process";

const OUTSIDE: &str =
    "the range seems to end beyond the address space of a process; let the system choose";
const TOO_LOW: &str =
    "addresses below vm.mmap_min_addr are for privileged processes; let the system choose";

fn shmat_bad_address(address: usize, flags: c_int) -> (ErrorKind, Hint) {
    let shmlba = os::shmlba();
    let hint = if address == 0 {
        Hint::Text("SHM_REMAP needs an address")
    } else if address % shmlba != 0 && flags & libc::SHM_RND == 0 {
        Hint::Misaligned { shmlba }
    } else {
        Hint::Text(OCCUPIED)
    };
    (ErrorKind::InvalidAddress, hint)
}

/// Limits on address space, or on the number of mappings.
fn address_space() -> Hint {
    let soft_limit = process::soft_limit(Resource::AddressSpace);
    let mappings = count_lines("/proc/self/maps");
    let max_mappings = first_number("/proc/sys/vm/max_map_count");
    match (mappings, max_mappings) {
        (Some(mappings), Some(max_mappings)) => Hint::AddressSpace {
            soft_limit,
            mappings,
            max_mappings,
        },
        _ => Hint::Text("address space is limited by RLIMIT_AS and by the system"),
    }
}

/// Counts without allocating: at the limit on mappings the allocator may get no memory either.
fn count_lines(path: &str) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let mut buffer = [0; 4096];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(lines),
            len => lines += buffer[..len].iter().filter(|&&byte| byte == b'\n').count() as u64,
        }
    }
}

fn first_number(path: &str) -> Option<u64> {
    let mut buffer = [0; 32];
    let len = File::open(path).ok()?.read(&mut buffer).ok()?;
    let text = std::str::from_utf8(&buffer[..len]).ok()?;
    text.trim().parse().ok()
}

fn shmctl(id: c_int, command: ShmctlCommand, errno: i32) -> (ErrorKind, Hint) {
    match (command, errno) {
        (_, libc::EIDRM) => (ErrorKind::NoSuchSegment, Hint::Text(GONE)),
        (_, libc::EACCES) => (
            ErrorKind::PermissionDenied,
            denied(
                by_id(id),
                "reading the status needs the read bit of the mode",
            ),
        ),
        (ShmctlCommand::Set { uid, gid, .. }, libc::EINVAL)
            if uid == u32::MAX || gid == u32::MAX =>
        {
            (
                ErrorKind::InvalidInput,
                Hint::Text("-1 is no user or group id; give the current one to keep it"),
            )
        }
        #[cfg(target_os = "linux")]
        (ShmctlCommand::Set { .. }, libc::EINVAL) if !is_gone(id) => (
            ErrorKind::InvalidInput,
            Hint::Text("the user or group id does not exist in this user namespace"),
        ),
        #[cfg(target_os = "linux")]
        (ShmctlCommand::SlotStatus | ShmctlCommand::SlotStatusAny, libc::EINVAL) => {
            (ErrorKind::NoSuchSegment, Hint::Text("this slot is empty"))
        }
        (_, libc::EINVAL) => (ErrorKind::NoSuchSegment, Hint::Text(GONE)),
        (ShmctlCommand::Lock, libc::ENOMEM) => (ErrorKind::LockLimit, locked_memory()),
        (ShmctlCommand::Lock, libc::EPERM) if may_change(id) => {
            (ErrorKind::LockLimit, locked_memory())
        }
        (_, libc::EPERM) => (ErrorKind::NotOwner, not_owner(id)),
        (_, libc::EOVERFLOW) => (
            ErrorKind::Other,
            Hint::Text("an id or a size does not fit the structure of this old interface"),
        ),
        _ => (ErrorKind::Other, Hint::None),
    }
}

fn locked_memory() -> Hint {
    Hint::LockedMemory {
        soft_limit: process::soft_limit(Resource::LockedMemory),
    }
}

fn madvise(errno: i32) -> (ErrorKind, Hint) {
    match errno {
        libc::EINVAL => (
            ErrorKind::Unsupported,
            Hint::Text(
                "this kernel does not know the advice; prefaulting needs Linux 5.14, huge pages need support in the kernel",
            ),
        ),
        libc::ENOMEM => (ErrorKind::OutOfMemory, Hint::None),
        // What would have been a SIGBUS at the first touch.
        libc::EFAULT => (
            ErrorKind::OutOfMemory,
            Hint::Text(
                "a page of the segment cannot be allocated: no memory, or no huge page, is left for it",
            ),
        ),
        _ => (ErrorKind::Other, Hint::None),
    }
}

/// What can be seen of the segment under `key`.
fn by_key(key: RawKey) -> Option<Facts> {
    if key == libc::IPC_PRIVATE {
        // shmget would create one.
        return None;
    }
    by_id(shm::shmget(key, 0, 0).ok()?)
}

/// What can be seen of segment `id`: with `IPC_STAT`, else with `SHM_STAT_ANY`, which needs no permission.
pub(super) fn by_id(id: c_int) -> Option<Facts> {
    let status = match shm::shmctl_stat(id) {
        Ok(status) => status,
        Err(_) => match os::shm_stat_any(id) {
            // The kernel takes the slot out of the id and ignores the rest: the answer may be about another
            // segment.
            Ok((status, found)) if found == id => status,
            _ => return None,
        },
    };
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // Widths differ by target.
    Some(Facts {
        id,
        size_bytes: status.shm_segsz as u64,
        mode: u32::from(status.shm_perm.mode) & 0o777,
        uid: status.shm_perm.uid,
        gid: status.shm_perm.gid,
        creator_uid: status.shm_perm.cuid,
        creator_pid: status.shm_cpid,
        attached: status.shm_nattch as u64,
    })
}

fn is_gone(id: c_int) -> bool {
    matches!(shm::shmctl_stat(id), Err(errno) if errno.0 == libc::EINVAL || errno.0 == libc::EIDRM)
}

fn may_change(id: c_int) -> bool {
    let euid = process::effective_uid();
    by_id(id).is_some_and(|facts| euid == facts.uid || euid == facts.creator_uid)
}

/// Who may do what, where that can be seen; the advice alone where not.
fn denied(facts: Option<Facts>, advice: &'static str) -> Hint {
    facts.map_or(Hint::Text(advice), |facts| Hint::Denied {
        facts,
        euid: process::effective_uid(),
        advice,
    })
}

fn not_owner(id: c_int) -> Hint {
    by_id(id).map_or(Hint::Text("see who owns it with `ipcs -m -c`"), |facts| {
        Hint::NotOwner {
            facts,
            euid: process::effective_uid(),
        }
    })
}

impl Hint {
    /// For a segment found by its identifier that is smaller than asked.
    pub(crate) fn smaller(id: c_int, asked: usize) -> Self {
        by_id(id).map_or(Self::None, |facts| Self::Smaller { asked, facts })
    }

    /// For a segment that another user created: says who.
    pub(crate) fn foreign_creator(id: c_int) -> Self {
        by_id(id).map_or(Self::None, |facts| Self::Foreign {
            facts,
            euid: process::effective_uid(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_below_the_lowest_for_ordinary_users_is_called_invalid() {
        // EPERM comes from vm.mmap_min_addr alone, which a test cannot raise for itself.
        let call = Call::Shmat {
            id: 0,
            address: 0x1000,
            flags: 0,
        };
        let (kind, hint) = diagnose(&call, libc::EPERM);
        assert_eq!(kind, ErrorKind::InvalidAddress);
        assert!(hint.to_string().contains("vm.mmap_min_addr"));
    }
}
