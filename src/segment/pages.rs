//! The pages behind a segment: explicit and transparent huge pages, and allocating pages in advance.

use crate::error::{Call, Error, ErrorKind, Hint};
use crate::segment::{Access, SegmentId};
use crate::sys::mapping::{self, Protection};
use crate::sys::{Errno, os, process};
use std::ffi::c_int;
use std::ptr::NonNull;

/// Which explicit huge pages (hugetlb) a new segment uses.
///
/// An administrator provides them (`vm.nr_hugepages`). They are never swapped, and they are set aside or refused
/// when the segment is created. See `Documentation/admin-guide/mm/hugetlbpage.rst` of the kernel and shmget(2).
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{ErrorKind, HugePages, Key, SegmentOptions};
///
/// match SegmentOptions::new().size_bytes(1).huge_pages(HugePages::Default).create_new(Key::PRIVATE) {
///     Ok(segment) => segment.mark_for_removal()?,
///     Err(error) => assert!(matches!(
///         error.kind(),
///         ErrorKind::HugePagesUnavailable | ErrorKind::HugePagesNotPermitted
///     )),
/// }
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("SHM_HUGETLB", "SHM_HUGE_SHIFT"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HugePages {
    /// The system's default huge page size, 2 MiB on most x86-64 machines.
    Default,
    /// Pages of this many bytes, a power of two the machine supports: the names in `/sys/kernel/mm/hugepages`.
    #[doc(alias("SHM_HUGE_2MB", "SHM_HUGE_1GB"))]
    OfBytes(usize),
}

impl HugePages {
    /// The flags for shmget, or `None` if the size cannot be expressed.
    pub(super) fn flags(self) -> Option<c_int> {
        let hugetlb = os::SHM_HUGETLB?;
        match self {
            Self::Default => Some(hugetlb),
            Self::OfBytes(bytes) if bytes.is_power_of_two() => {
                // 6 bits hold any logarithm of a usize; 0 would mean the default size.
                let log2 = bytes.trailing_zeros();
                (log2 != 0).then_some(hugetlb | (log2 << os::SHM_HUGE_SHIFT) as c_int)
            }
            Self::OfBytes(_) => None,
        }
    }
}

/// Allocates every page of an attached segment.
pub(super) fn prefault<A: Access>(
    id: SegmentId,
    base: NonNull<u8>,
    len_bytes: usize,
) -> Result<(), Error> {
    let (advice, name) = if A::READ_ONLY {
        (os::MADV_POPULATE_READ, "MADV_POPULATE_READ")
    } else {
        (os::MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE")
    };
    advise(id, base, len_bytes, advice, name)
}

/// `MADV_HUGEPAGE`, unless the system would ignore it.
pub(super) fn advise_transparent(
    id: SegmentId,
    base: NonNull<u8>,
    len_bytes: usize,
) -> Result<(), Error> {
    let name = "MADV_HUGEPAGE";
    if let Some(setting) = transparent_switched_off() {
        let call = Call::Madvise {
            id: id.as_raw(),
            advice: name,
        };
        let hint = Hint::Text(setting);
        return Err(Error::refused(call, ErrorKind::HugePagesUnavailable, hint));
    }
    advise(id, base, len_bytes, os::MADV_HUGEPAGE, name)
}

fn advise(
    id: SegmentId,
    base: NonNull<u8>,
    len_bytes: usize,
    advice: Option<c_int>,
    name: &'static str,
) -> Result<(), Error> {
    let result = match advice {
        #[allow(unsafe_code)]
        // SAFETY: the range is an attached segment, and the three advices of this file change no contents and
        // nothing about forks.
        Some(advice) => unsafe { mapping::advise(base.cast(), len_bytes, advice) },
        None => Err(Errno(libc::ENOSYS)),
    };
    let call = Call::Madvise {
        id: id.as_raw(),
        advice: name,
    };
    result.map_err(|errno| Error::from_call(call, errno))
}

macro_rules! switched_off {
    ($setting:literal) => {
        concat!(
            "the system has them switched off for shared memory: /sys/kernel/mm/transparent_hugepage/shmem_enabled says ",
            $setting,
            "; an administrator can set it to advise"
        )
    };
}

/// Says so if `MADV_HUGEPAGE` on shared memory is a no-op; `None` if it may work.
///
/// Documentation/admin-guide/mm/transhuge.rst of the kernel: the global file decides, unless the file of one page
/// size says other than `inherit`.
fn transparent_switched_off() -> Option<&'static str> {
    let directory = "/sys/kernel/mm/transparent_hugepage";
    let global = selected(&format!("{directory}/shmem_enabled"))?;
    let off = match global.as_str() {
        "never" => switched_off!("never"),
        "deny" => return Some(switched_off!("deny")),
        _ => return None,
    };
    let entries = std::fs::read_dir(directory).ok()?;
    let one_size_allows = entries.flatten().any(|entry| {
        let file = entry.path().join("shmem_enabled");
        file.to_str()
            .and_then(selected)
            .is_some_and(|setting| !matches!(setting.as_str(), "never" | "inherit"))
    });
    (!one_size_allows).then_some(off)
}

/// The word in brackets: `always [never]` gives `never`.
fn selected(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let (_, rest) = text.split_once('[')?;
    let (word, _) = rest.split_once(']')?;
    Some(word.to_owned())
}

/// Whether explicit huge pages back an attached segment; `true` when nothing tells.
///
/// The kernel does not say in `IPC_STAT`. Huge pages start at multiples of their size, which rules out most
/// ordinary attaches. Of the others the advice `MADV_COLD` on one page rules out nearly all, because explicit huge
/// pages refuse it with `EINVAL`. Locked memory refuses it too, and a kernel before 5.4 does not know it: then
/// `/proc/self/smaps` decides.
pub(super) fn may_be_explicit(base: NonNull<u8>) -> bool {
    /// No explicit huge page of the architecture is smaller: the large pages of x86 start at 2 MiB, PowerPC's 8xx
    /// has 16 KiB, 64-bit Arm and RISC-V join 4 KiB pages to 64 KiB.
    const SMALLEST: usize = if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        2 << 20
    } else if cfg!(any(target_arch = "powerpc", target_arch = "powerpc64")) {
        16 << 10
    } else {
        64 << 10
    };
    if os::SHM_HUGETLB.is_none() || base.as_ptr().addr() % SMALLEST != 0 {
        return false;
    }
    if let Some(advice) = os::MADV_COLD {
        #[allow(unsafe_code)]
        // SAFETY: the first page of an attached segment; the advice makes it a candidate for swapping and changes
        // no contents.
        let answer = unsafe { mapping::advise(base.cast(), process::page_size(), advice) };
        if answer.is_ok() {
            return false;
        }
    }
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    explicit_in_smaps(&maps, base.as_ptr().addr()).unwrap_or(true)
}

/// Whether the mapping that starts at `address` has the flag `ht`; `None` if the text does not say. See
/// `proc_pid_smaps(5)`.
fn explicit_in_smaps(smaps: &str, address: usize) -> Option<bool> {
    let start = format!("{address:08x}-");
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    lines.next()?;
    let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"))?;
    Some(flags.split_whitespace().any(|flag| flag == "ht"))
}

/// Address space with a place for a segment that starts at a multiple of the transparent huge page size.
///
/// The kernel aligns shmat's addresses to 4 KiB pages only, and an unaligned start keeps huge pages from being
/// mapped.
pub(super) struct AlignedPlace {
    reserved: NonNull<u8>,
    reserved_len: usize,
    aligned: usize,
    keep_len: usize,
}

impl AlignedPlace {
    /// Reserves room for `len_bytes`; `None` where that is not possible or pointless.
    pub(super) fn reserve(len_bytes: usize) -> Option<Self> {
        let huge = transparent_size()?;
        if len_bytes < huge || os::SHM_REMAP.is_none() {
            return None;
        }
        let keep_len = len_bytes.checked_next_multiple_of(process::page_size())?;
        let reserved_len = keep_len.checked_add(huge)?;
        let reserved = mapping::map_anonymous(reserved_len, Protection::None)
            .ok()?
            .cast::<u8>();
        let aligned = reserved.as_ptr().addr().next_multiple_of(huge);
        Some(Self {
            reserved,
            reserved_len,
            aligned,
            keep_len,
        })
    }

    /// The address to attach at, replacing the reservation (`SHM_REMAP`).
    pub(super) fn address(&self) -> usize {
        self.aligned
    }

    fn unmap(&self, offset: usize, len: usize) {
        if len == 0 {
            return;
        }
        #[allow(unsafe_code)]
        // SAFETY: the offset lies inside the reservation.
        let address = unsafe { self.reserved.add(offset) };
        #[allow(unsafe_code)]
        // SAFETY: this part of the reservation was never handed to anybody. A failure leaves unused address space
        // behind, no more.
        let _ = unsafe { mapping::unmap(address.cast(), len) };
    }
}

/// Gives back the reservation around the place, never the place itself.
///
/// After an attach the segment is there. After a failed one the kernel may have cleared the place already, so
/// another thread's mapping may be in it by now; whatever is left of the reservation is address space without
/// memory.
impl Drop for AlignedPlace {
    fn drop(&mut self) {
        let before = self.aligned - self.reserved.as_ptr().addr();
        let kept_end = before + self.keep_len;
        self.unmap(0, before);
        self.unmap(kept_end, self.reserved_len - kept_end);
    }
}

fn transparent_size() -> Option<usize> {
    let text =
        std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size").ok()?;
    text.trim()
        .parse()
        .ok()
        .filter(|size: &usize| size.is_power_of_two())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaps_tells_explicit_huge_pages_by_their_flag() {
        let smaps = "7f000000-7f200000 rw-s 00000000 00:10 5 /SYSV00000000 (deleted)\n\
                     KernelPageSize:     2048 kB\n\
                     VmFlags: rd wr sh mr mw me ms de ht sd\n\
                     7f400000-7f401000 rw-s 00000000 00:01 6 /SYSV00000000 (deleted)\n\
                     VmFlags: rd wr sh mr mw me ms sd\n";
        assert_eq!(explicit_in_smaps(smaps, 0x7f00_0000), Some(true));
        assert_eq!(explicit_in_smaps(smaps, 0x7f40_0000), Some(false));
        assert_eq!(explicit_in_smaps(smaps, 0x7f10_0000), None);
        assert_eq!(explicit_in_smaps("", 0x7f00_0000), None);
    }
}
