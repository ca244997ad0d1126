//! What to do about an error: the numbers as they were when it happened, turned into words only when printed.

use std::fmt;

/// What the kernel said about the segment that stood in the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(super) id: i32,
    pub(super) size_bytes: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) creator_uid: u32,
    pub(super) creator_pid: i32,
    pub(super) attached: u64,
}

/// The advice that ends an error's message.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hint {
    /// Nothing useful is known.
    None,
    /// Advice that needs no numbers.
    Text(&'static str),
    /// Somebody else's segment has the key.
    Exists(Facts),
    /// The mode says no; who may do what is visible.
    Denied {
        facts: Facts,
        euid: u32,
        /// Which bits this call needs.
        advice: &'static str,
    },
    /// Only owner and creator may; who they are is visible.
    NotOwner { facts: Facts, euid: u32 },
    /// Another user created the segment under this key.
    Foreign { facts: Facts, euid: u32 },
    /// The existing segment is smaller than asked.
    Smaller { asked: usize, facts: Facts },
    /// More than `shmmax`.
    AboveMaximum { max: u64 },
    /// `shmmni` segments exist.
    SegmentsFull { max: u64, used: u64 },
    /// `shmall` pages are not enough.
    PagesFull {
        max: u64,
        /// Unknown outside Linux.
        used: Option<u64>,
        asked: u64,
        page_size: usize,
    },
    /// An attach address that is not a multiple of `SHMLBA`.
    Misaligned { shmlba: usize },
    /// `RLIMIT_MEMLOCK` is in the way.
    LockedMemory { soft_limit: Option<u64> },
    /// Address space is limited, in bytes and in number of mappings.
    AddressSpace {
        soft_limit: Option<u64>,
        mappings: u64,
        max_mappings: u64,
    },
    /// A copy that does not fit.
    Bounds { segment_bytes: usize },
    /// The kernel's switch for transparent huge pages in shared memory stands on this value.
    TransparentHugePagesOff { setting: &'static str },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self, Self::None) {
            return Ok(());
        }
        f.write_str("; ")?;
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Exists(facts) => write!(
                f,
                "segment {} has it: {} bytes, {}, {} attached; open it, choose another key, or remove it with `ipcrm -m {}` if nobody needs it",
                facts.id,
                facts.size_bytes,
                Creator(facts),
                facts.attached,
                facts.id
            ),
            Self::Denied {
                facts,
                euid,
                advice,
            } => write!(
                f,
                "segment {} has mode {:04o} and belongs to uid {} gid {} (creator uid {}), this process has uid {euid}; {advice}",
                facts.id, facts.mode, facts.uid, facts.gid, facts.creator_uid
            ),
            Self::NotOwner { facts, euid } => write!(
                f,
                "segment {} belongs to uid {} (creator uid {}), this process has uid {euid}",
                facts.id, facts.uid, facts.creator_uid
            ),
            Self::Foreign { facts, euid } => write!(
                f,
                "segment {} was made by uid {}, this process has uid {euid}: whoever takes a key first decides what is in it; pass any_owner(true) if that is welcome",
                facts.id, facts.creator_uid
            ),
            Self::Smaller { asked, facts } => write!(
                f,
                "segment {} has {} bytes, {asked} were asked for; ask for 0 bytes to take it as it is, or remove it and create it larger",
                facts.id, facts.size_bytes
            ),
            Self::AboveMaximum { max } => write!(
                f,
                "a segment may have up to {max} bytes here (kernel.shmmax on Linux, kern.sysv.shmmax on macOS, kern.ipc.shmmax on FreeBSD)"
            ),
            Self::SegmentsFull { max, used } => write!(
                f,
                "{used} segments exist and {max} are allowed (shmmni); no disk is involved: remove unused segments (`ipcs -m`, `ipcrm -m ID`) or raise the limit"
            ),
            Self::PagesFull {
                max,
                used,
                asked,
                page_size,
            } => {
                write!(
                    f,
                    "all segments together may have {max} pages of {page_size} bytes (shmall), "
                )?;
                if let Some(used) = used {
                    write!(f, "{used} are taken and ")?;
                }
                write!(
                    f,
                    "{asked} were asked for; no disk is involved: remove unused segments (`ipcs -m`, `ipcrm -m ID`) or raise the limit"
                )
            }
            Self::Misaligned { shmlba } => write!(
                f,
                "attach addresses are multiples of {shmlba} bytes (SHMLBA); let the system choose, or have the address rounded down"
            ),
            Self::LockedMemory { soft_limit } => match soft_limit {
                Some(bytes) => write!(
                    f,
                    "this process may lock {bytes} bytes (`ulimit -l`, RLIMIT_MEMLOCK), whole segments counted"
                ),
                None => f.write_str("see RLIMIT_MEMLOCK and CAP_IPC_LOCK in mlock(2)"),
            },
            Self::AddressSpace {
                soft_limit,
                mappings,
                max_mappings,
            } => {
                if let Some(bytes) = soft_limit {
                    write!(
                        f,
                        "address space is limited to {bytes} bytes (`ulimit -v`, RLIMIT_AS); "
                    )?;
                }
                write!(
                    f,
                    "this process has {mappings} mappings and may have {max_mappings} (vm.max_map_count)"
                )
            }
            Self::Bounds { segment_bytes } => write!(f, "the segment has {segment_bytes} bytes"),
            Self::TransparentHugePagesOff { setting } => write!(
                f,
                "the system has them switched off for shared memory: /sys/kernel/mm/transparent_hugepage/shmem_enabled says {setting}; an administrator can set it to advise"
            ),
        }
    }
}

/// `created by pid 42 of uid 1000`, or without the pid where it is not visible from this pid namespace.
struct Creator<'a>(&'a Facts);

impl fmt::Display for Creator<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.creator_pid {
            0 => write!(f, "created by uid {}", self.0.creator_uid),
            pid => write!(f, "created by pid {pid} of uid {}", self.0.creator_uid),
        }
    }
}
