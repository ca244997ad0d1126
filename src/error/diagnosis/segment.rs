//! What only segments have: sizes, pages, addresses.

use super::other::{Diagnosis, other};
use crate::error::call::{Asked, Command};
use crate::error::hint::Hint;
use crate::error::kind::ErrorKind;
use crate::error::object::Object;
use crate::error::words;
use crate::sys::os;
use crate::sys::process::{self, Resource};
use std::ffi::c_int;
use std::fs::File;
use std::io::Read;

/// `shmget`, as far as it differs from its kin.
pub(super) fn get(asked: Asked, flags: c_int, creating: bool, errno: i32) -> Option<Diagnosis> {
    let huge = is_huge(flags);
    let (kind, text) = match errno {
        // macOS and FreeBSD report a total beyond shmall as ENOMEM.
        libc::ENOMEM if cfg!(not(target_os = "linux")) => return Some(total(asked)),
        libc::ENOENT if huge && creating => (ErrorKind::HugePagesUnavailable, words::NO_HUGE_PAGES),
        libc::ENOMEM if huge => (ErrorKind::HugePagesUnavailable, words::FEW_HUGE_PAGES),
        libc::ENOMEM => return Some((ErrorKind::OutOfMemory, no_promise())),
        libc::ENFILE => (ErrorKind::FileTableFull, words::FILES),
        libc::EPERM if huge => (ErrorKind::HugePagesNotPermitted, words::HUGE_PAGE_GROUP),
        _ => return None,
    };
    Some((kind, Hint::Text(text)))
}

/// What the kernel would promise.
fn no_promise() -> Hint {
    let mut buffer = [0; 4096];
    let meminfo = read("/proc/meminfo", &mut buffer).unwrap_or_default();
    promise_of(first_number("/proc/sys/vm/overcommit_memory"), meminfo)
}

/// What it would promise with this `vm.overcommit_memory` and these figures: `__vm_enough_memory` in mm/util.c.
fn promise_of(overcommit: Option<u64>, meminfo: &str) -> Hint {
    let strict = match overcommit {
        Some(0) => false,
        Some(2) => true,
        // It promises anything, or does not say what.
        _ => return Hint::Text(words::NO_PROMISE),
    };
    let kilobytes = |name: &str| {
        let line = meminfo
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line?.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let whole = || kilobytes("MemTotal")?.checked_add(kilobytes("SwapTotal")?);
    let limit = if strict {
        kilobytes("CommitLimit")
    } else {
        whole()
    };
    let (Some(limit), Some(committed), Some(available)) =
        (limit, kilobytes("Committed_AS"), kilobytes("MemAvailable"))
    else {
        return Hint::Text(words::NO_PROMISE);
    };
    let numbers = [limit, committed, available, 0];
    if strict {
        Hint::Numbers(numbers, |f, [limit, committed, available, _]| {
            write!(
                f,
                "vm.overcommit_memory is 2: {committed} kB of {limit} kB are promised already (Committed_AS and CommitLimit in /proc/meminfo), and {available} kB are available; ask for less"
            )
        })
    } else {
        Hint::Numbers(numbers, |f, [limit, committed, available, _]| {
            write!(
                f,
                "vm.overcommit_memory is 0: one promise is at most memory and swap together, {limit} kB; {available} kB are available and {committed} kB promised (MemAvailable and Committed_AS in /proc/meminfo); ask for less, or create without reservation (no_reserve, SHM_NORESERVE)"
            )
        })
    }
}

fn is_huge(flags: c_int) -> bool {
    os::SHM_HUGETLB.is_some_and(|bit| flags & bit != 0)
}

/// Why `shmget` does not create a segment of this size.
pub(super) fn out_of_range(size: usize, flags: c_int, creating: bool) -> Option<Diagnosis> {
    let kind = ErrorKind::SizeOutOfRange;
    // No file, and a segment is one in memory, is longer than its signed 64-bit offsets reach (`MAX_LFS_FILESIZE`).
    let no_file = i64::try_from(size).is_err();
    match os::limits() {
        _ if creating && size == 0 => Some((kind, Hint::Text(words::NO_BYTES))),
        Ok((max, ..)) if creating && u64::try_from(size).is_ok_and(|size| size > max) => {
            let hint = Hint::Numbers([max, 0, 0, 0], |f, [max, ..]| {
                write!(
                    f,
                    "a segment may have up to {max} bytes here (kernel.shmmax on Linux, kern.sysv.shmmax on macOS, kern.ipc.shmmax on FreeBSD)"
                )
            });
            Some((kind, hint))
        }
        _ if creating && no_file => Some((kind, Hint::Text(words::NO_FILE))),
        _ if is_huge(flags) => {
            let hint = Hint::Text(words::HUGE_PAGE_SIZE);
            Some((ErrorKind::HugePagesUnavailable, hint))
        }
        _ => None,
    }
}

/// All segments together are too large: how full `shmall` is, where the system says so.
pub(super) fn total(asked: Asked) -> Diagnosis {
    let page_size = process::page_size() as u64;
    let asked = asked.amount().unwrap_or(0).div_ceil(page_size);
    // Only Linux tells.
    let used = os::usage().map_or(u64::MAX, |[_, pages, ..]| pages);
    let hint = os::limits().map_or(Hint::None, |(_, _, max)| {
        Hint::Numbers(
            [max, used, asked, page_size],
            |f, [max, used, asked, page_size]| {
                write!(
                    f,
                    "all segments together may have {max} pages of {page_size} bytes (shmall), "
                )?;
                if used != u64::MAX {
                    write!(f, "{used} are taken and ")?;
                }
                write!(
                    f,
                    "{asked} were asked for; {}",
                    Object::Segment.table().make_room
                )
            },
        )
    });
    (ErrorKind::PageLimit, hint)
}

pub(super) fn attach(id: c_int, address: usize, flags: c_int, errno: i32) -> Diagnosis {
    let object = Object::Segment;
    let (kind, text) = match errno {
        libc::EACCES => {
            let advice = if os::SHM_EXEC.is_some_and(|bit| flags & bit != 0) {
                words::EXECUTE_BIT
            } else if flags & libc::SHM_RDONLY != 0 {
                words::READ_BIT
            } else {
                words::BOTH_BITS
            };
            let hint = Hint::denied(object.by_id(id), advice);
            return (ErrorKind::PermissionDenied, hint);
        }
        libc::EIDRM => return (ErrorKind::NoSuchSegment, Hint::gone(object)),
        libc::EINVAL if object.is_gone(id) => {
            return (ErrorKind::NoSuchSegment, Hint::gone(object));
        }
        libc::EINVAL if address == 0 => (ErrorKind::InvalidAddress, words::NEEDS_ADDRESS),
        libc::EINVAL if address % os::shmlba() != 0 && flags & libc::SHM_RND == 0 => {
            let shmlba = os::shmlba() as u64;
            let hint = Hint::Numbers([shmlba, 0, 0, 0], |f, [shmlba, ..]| {
                write!(
                    f,
                    "attach addresses are multiples of {shmlba} bytes (SHMLBA); let the system choose, or have the address rounded down"
                )
            });
            return (ErrorKind::InvalidAddress, hint);
        }
        libc::EINVAL => (ErrorKind::InvalidAddress, words::OCCUPIED),
        libc::ENOMEM if cfg!(target_os = "freebsd") && address != 0 => {
            (ErrorKind::InvalidAddress, words::OCCUPIED)
        }
        libc::ENOMEM => return no_address_space(address),
        libc::EPERM if is_too_low(address) => (ErrorKind::InvalidAddress, words::TOO_LOW),
        // `mlockall(MCL_FUTURE)` locks what is attached (`mlock_future_ok` in mm/mmap.c).
        libc::EAGAIN => return lock_limit(),
        libc::EMFILE => (ErrorKind::AttachLimit, words::ATTACHES),
        _ => return other(errno),
    };
    (kind, Hint::Text(text))
}

fn is_too_low(address: usize) -> bool {
    let lowest = first_number("/proc/sys/vm/mmap_min_addr");
    address != 0 && lowest.is_none_or(|lowest| (address as u64) < lowest)
}

/// Limits on address space, or on the number of mappings; or it is the address that was asked for.
pub(super) fn no_address_space(address: usize) -> Diagnosis {
    let soft_limit = process::soft_limit(Resource::AddressSpace);
    let mappings = count_lines("/proc/self/maps");
    let most = first_number("/proc/sys/vm/max_map_count");
    let (Some(mappings), Some(most)) = (mappings, most) else {
        return (ErrorKind::OutOfMemory, Hint::Text(words::ADDRESS_SPACE));
    };
    if address != 0 && soft_limit.is_none() && mappings + 1 < most {
        return (ErrorKind::InvalidAddress, Hint::Text(words::OUTSIDE));
    }
    let bytes = soft_limit.unwrap_or(u64::MAX);
    let hint = Hint::Numbers(
        [bytes, mappings, most, 0],
        |f, [bytes, mappings, most, _]| {
            if bytes != u64::MAX {
                write!(
                    f,
                    "address space is limited to {bytes} bytes (`ulimit -v`, RLIMIT_AS); "
                )?;
            }
            write!(
                f,
                "this process has {mappings} mappings and may have {most} (vm.max_map_count)"
            )
        },
    );
    (ErrorKind::OutOfMemory, hint)
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
    read(path, &mut [0; 32])?.trim().parse().ok()
}

/// The beginning of a text, without allocating.
fn read<'a>(path: &str, buffer: &'a mut [u8]) -> Option<&'a str> {
    let len = File::open(path).ok()?.read(buffer).ok()?;
    std::str::from_utf8(&buffer[..len]).ok()
}

pub(super) fn detach(errno: i32) -> Diagnosis {
    match errno {
        libc::EINVAL => (ErrorKind::NotAttached, Hint::Text(words::NOT_ATTACHED)),
        _ => other(errno),
    }
}

/// `shmctl`, as far as it differs from its kin.
pub(super) fn control(command: Command, errno: i32) -> Option<Diagnosis> {
    // Without CAP_IPC_LOCK a limit of 0 is EPERM, also for the owner (`shmctl_do_lock` in ipc/shm.c).
    let no_lock = || process::soft_limit(Resource::LockedMemory) == Some(0);
    match (command, errno) {
        (Command::Lock, libc::ENOMEM) => Some(lock_limit()),
        (Command::Lock, libc::EPERM) if no_lock() => Some(lock_limit()),
        _ => None,
    }
}

/// `RLIMIT_MEMLOCK` is in the way.
fn lock_limit() -> Diagnosis {
    let bytes = process::soft_limit(Resource::LockedMemory).unwrap_or(u64::MAX);
    let hint = Hint::Numbers([bytes, 0, 0, 0], |f, [bytes, ..]| match bytes {
        u64::MAX => f.write_str("see RLIMIT_MEMLOCK and CAP_IPC_LOCK in mlock(2)"),
        bytes => write!(
            f,
            "this process may lock {bytes} bytes (`ulimit -l`, RLIMIT_MEMLOCK), whole segments counted"
        ),
    });
    (ErrorKind::LockLimit, hint)
}

pub(super) fn advise(errno: i32) -> Diagnosis {
    match errno {
        libc::EINVAL => (ErrorKind::Unsupported, Hint::Text(words::UNKNOWN_ADVICE)),
        libc::EPERM | libc::EACCES | libc::ENOSYS => {
            (ErrorKind::Unsupported, Hint::Text(words::NO_ADVICE))
        }
        // What would have been a SIGBUS at the first touch.
        libc::EFAULT => (ErrorKind::OutOfMemory, Hint::Text(words::NO_PAGE)),
        _ => other(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of a `/proc/meminfo`, without those named.
    fn meminfo(without: &str) -> String {
        let lines = [
            "MemTotal:       24000000 kB",
            "MemAvailable:   20000000 kB",
            "SwapTotal:       1000000 kB",
            "CommitLimit:    13000000 kB",
            "Committed_AS:    9000000 kB",
            "CommitLimitOfAnother: 1 kB",
        ];
        let kept = lines
            .iter()
            .filter(|line| without.is_empty() || !line.starts_with(without));
        kept.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn what_is_not_promised_comes_with_the_figures_that_decide() {
        let whole = meminfo("");
        let strict = promise_of(Some(2), &whole).to_string();
        for part in [
            "vm.overcommit_memory is 2",
            "9000000 kB of 13000000 kB are promised already (Committed_AS and CommitLimit",
            "20000000 kB are available",
        ] {
            assert!(strict.contains(part), "{strict}");
        }
        // There the kernel ignores SHM_NORESERVE.
        assert!(!strict.contains("no_reserve"), "{strict}");
        let lax = promise_of(Some(0), &whole).to_string();
        for part in [
            "vm.overcommit_memory is 0",
            "at most memory and swap together, 25000000 kB",
            "20000000 kB are available and 9000000 kB promised",
            "no_reserve",
        ] {
            assert!(lax.contains(part), "{lax}");
        }
        // Without figures, the advice alone.
        let words = Hint::Text(words::NO_PROMISE).to_string();
        for (overcommit, missing) in [
            (Some(2), "CommitLimit"),
            (Some(2), "Committed_AS"),
            (Some(2), "MemAvailable"),
            (Some(0), "SwapTotal"),
            (Some(0), "MemTotal"),
            (Some(1), "-"),
            (Some(3), "-"),
            (None, "-"),
        ] {
            let said = promise_of(overcommit, &meminfo(missing)).to_string();
            assert_eq!(said, words, "{overcommit:?} without {missing}");
        }
        assert_eq!(promise_of(Some(2), "").to_string(), words);
    }

    #[test]
    fn an_address_below_the_lowest_for_ordinary_users_is_called_invalid() {
        // EPERM comes from vm.mmap_min_addr alone, which a test cannot raise for itself.
        let lowest = first_number("/proc/sys/vm/mmap_min_addr").unwrap_or(1);
        if let Some(below) = (lowest as usize).checked_sub(1) {
            let (kind, hint) = attach(0, below.max(1), 0, libc::EPERM);
            assert_eq!(kind, ErrorKind::InvalidAddress);
            assert!(hint.to_string().contains("vm.mmap_min_addr"));
        }
        // Elsewhere no address explains it.
        let (kind, _) = attach(0, lowest as usize + 0x1000, 0, libc::EPERM);
        assert_eq!(kind, ErrorKind::Unsupported);
    }
}
