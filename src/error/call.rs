//! A call and its arguments, in words.

use super::semaphores::{SemctlArguments, SemctlCommand, SemopCall};
use crate::sys::{RawKey, os};
use std::ffi::c_int;
use std::fmt;
use std::path::PathBuf;

/// The call that failed, or that would have been made.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// `ftok(path, id)`.
    Ftok { path: PathBuf, id: i32 },
    /// The kernel's random numbers, for a fresh key.
    Random,
    /// `shmget(key, size, flags)`.
    Shmget {
        key: RawKey,
        size: usize,
        flags: c_int,
    },
    /// `shmat(id, address, flags)`.
    Shmat {
        id: c_int,
        address: usize,
        flags: c_int,
    },
    /// `shmdt(address)`.
    Shmdt { address: usize },
    /// `shmctl(id, command, ...)`.
    Shmctl { id: c_int, command: ShmctlCommand },
    /// `semget(key, semaphores, flags)`.
    Semget {
        key: RawKey,
        semaphores: c_int,
        flags: c_int,
    },
    /// `semop(id, operations)` or `semtimedop(id, operations, timeout)`.
    Semop(SemopCall),
    /// `semctl(id, semaphore, command, ...)`.
    Semctl {
        id: c_int,
        semaphore: c_int,
        command: SemctlCommand,
    },
    /// `madvise(address, len, advice)` on an attached segment.
    Madvise { id: c_int, advice: &'static str },
    /// When the running process started: `sysctl(KERN_PROC_PID)` or `proc_pidinfo`.
    #[cfg(not(target_os = "linux"))]
    ProcessStart,
    /// A copy in or out: no call, but the same kind of answer.
    Copy {
        access: Access,
        offset: usize,
        len: usize,
    },
}

/// The direction of a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The commands of shmctl(2), with the arguments that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ShmctlCommand {
    Remove,
    Set {
        uid: u32,
        gid: u32,
        mode: u32,
    },
    Status,
    Lock,
    Unlock,
    Limits,
    Usage,
    #[cfg(target_os = "linux")]
    SlotStatus,
    #[cfg(target_os = "linux")]
    SlotStatusAny,
}

impl Call {
    /// Whether the object of the call is a semaphore set rather than a segment.
    pub(super) fn is_about_semaphores(&self) -> bool {
        matches!(
            self,
            Self::Semget { .. } | Self::Semop(_) | Self::Semctl { .. }
        )
    }

    /// The function's name in C.
    pub(crate) fn function(&self) -> &'static str {
        match self {
            Self::Ftok { .. } => "ftok",
            Self::Random => "getrandom",
            Self::Shmget { .. } => "shmget",
            Self::Shmat { .. } => "shmat",
            Self::Shmdt { .. } => "shmdt",
            Self::Shmctl { .. } => "shmctl",
            Self::Semget { .. } => "semget",
            Self::Semop(call) => call.function(),
            Self::Semctl { .. } => "semctl",
            Self::Madvise { .. } => "madvise",
            #[cfg(target_os = "macos")]
            Self::ProcessStart => "proc_pidinfo",
            #[cfg(target_os = "freebsd")]
            Self::ProcessStart => "sysctl",
            Self::Copy {
                access: Access::Read,
                ..
            } => "read_at",
            Self::Copy {
                access: Access::Write,
                ..
            } => "write_at",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = self.function();
        match self {
            Self::Ftok { path, id } => write!(f, "{function}({}, id {id})", path.display()),
            Self::Random => write!(f, "{function}()"),
            Self::Shmget { key, size, flags } => {
                let (key, flags) = (KeyName(*key), GetFlagNames(*flags));
                write!(f, "{function}({key}, {size} bytes, {flags})")
            }
            Self::Semget {
                key,
                semaphores,
                flags,
            } => {
                let (key, flags) = (KeyName(*key), GetFlagNames(*flags));
                write!(f, "{function}({key}, {semaphores} semaphores, {flags})")
            }
            Self::Semop(call) => call.fmt(f),
            Self::Semctl {
                id,
                semaphore,
                command,
            } => {
                let arguments = SemctlArguments(*id, *semaphore, *command);
                write!(f, "{function}{arguments}")
            }
            Self::Shmat { id, address, flags } => {
                write!(f, "{function}(id {id}, ")?;
                match address {
                    0 => write!(f, "any address")?,
                    address => write!(f, "address {address:#x}")?,
                }
                write!(f, "{})", AttachFlagNames(*flags))
            }
            Self::Shmdt { address } => write!(f, "{function}({address:#x})"),
            Self::Shmctl { id, command } => match command {
                ShmctlCommand::Remove => write!(f, "{function}(id {id}, IPC_RMID)"),
                ShmctlCommand::Set { uid, gid, mode } => {
                    write!(
                        f,
                        "{function}(id {id}, IPC_SET uid {uid} gid {gid} mode {mode:04o})"
                    )
                }
                ShmctlCommand::Status => write!(f, "{function}(id {id}, IPC_STAT)"),
                ShmctlCommand::Lock => write!(f, "{function}(id {id}, SHM_LOCK)"),
                ShmctlCommand::Unlock => write!(f, "{function}(id {id}, SHM_UNLOCK)"),
                ShmctlCommand::Limits => write!(f, "{function}(IPC_INFO)"),
                ShmctlCommand::Usage => write!(f, "{function}(SHM_INFO)"),
                #[cfg(target_os = "linux")]
                ShmctlCommand::SlotStatus => write!(f, "{function}(slot {id}, SHM_STAT)"),
                #[cfg(target_os = "linux")]
                ShmctlCommand::SlotStatusAny => write!(f, "{function}(slot {id}, SHM_STAT_ANY)"),
            },
            Self::Madvise { id, advice } => write!(f, "{function}(segment {id}, {advice})"),
            #[cfg(not(target_os = "linux"))]
            Self::ProcessStart => write!(f, "{function}(the start of this process)"),
            Self::Copy { offset, len, .. } => {
                write!(f, "{function}(offset {offset}, {len} bytes)")
            }
        }
    }
}

/// `IPC_PRIVATE`, or `key 0x0000002a`.
struct KeyName(RawKey);

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            libc::IPC_PRIVATE => write!(f, "IPC_PRIVATE"),
            key => write!(f, "key {key:#010x}"),
        }
    }
}

/// `IPC_CREAT|IPC_EXCL|0600`.
struct GetFlagNames(c_int);

impl fmt::Display for GetFlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0 & !0o777;
        let named = [
            (libc::IPC_CREAT, "IPC_CREAT"),
            (libc::IPC_EXCL, "IPC_EXCL"),
            (os::SHM_HUGETLB.unwrap_or(0), "SHM_HUGETLB"),
            (os::SHM_NORESERVE.unwrap_or(0), "SHM_NORESERVE"),
        ];
        for (bit, name) in named {
            if bit != 0 && rest & bit == bit {
                rest &= !bit;
                write!(f, "{name}|")?;
            }
        }
        if os::SHM_HUGETLB.is_some() && self.0 & os::SHM_HUGETLB.unwrap_or(0) != 0 {
            // The six bits are the sign bit and the five below it: shift them down as unsigned.
            let size_log2 = ((rest as u32) >> os::SHM_HUGE_SHIFT) & os::SHM_HUGE_MASK;
            rest &= !((os::SHM_HUGE_MASK << os::SHM_HUGE_SHIFT) as c_int);
            if size_log2 != 0 {
                write!(f, "2^{size_log2}-byte pages|")?;
            }
        }
        if rest != 0 {
            write!(f, "{rest:#x}|")?;
        }
        write!(f, "{:04o}", self.0 & 0o777)
    }
}

/// `, SHM_RDONLY|SHM_RND`, or nothing.
struct AttachFlagNames(c_int);

impl fmt::Display for AttachFlagNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = ", ";
        let mut rest = self.0;
        let named = [
            (libc::SHM_RDONLY, "SHM_RDONLY"),
            (libc::SHM_RND, "SHM_RND"),
            (os::SHM_REMAP.unwrap_or(0), "SHM_REMAP"),
            (os::SHM_EXEC.unwrap_or(0), "SHM_EXEC"),
        ];
        for (bit, name) in named {
            if bit != 0 && rest & bit == bit {
                rest &= !bit;
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        if rest != 0 {
            write!(f, "{separator}{rest:#x}")?;
        }
        Ok(())
    }
}
