//! The calls and their arguments, in words.

use crate::sys::sem::{IPC_NOWAIT, SEM_UNDO, sembuf};
use std::ffi::c_int;
use std::fmt;
use std::time::Duration;

/// `semop` or `semtimedop`. An error is a plain value, so of a longer list it keeps the first operation and the
/// length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SemopCall {
    pub(super) id: c_int,
    pub(super) first: Option<(u16, i16, i16)>,
    pub(super) len: usize,
    /// The largest index in the list, to tell which semaphore is missing.
    pub(super) highest: u16,
    pub(super) no_wait: bool,
    pub(super) undo: bool,
    pub(super) timeout: Option<Duration>,
}

impl SemopCall {
    pub(crate) fn new(id: c_int, operations: &[sembuf], timeout: Option<Duration>) -> Self {
        let any = |flag: i16| operations.iter().any(|one| one.sem_flg & flag != 0);
        let first = operations.first();
        Self {
            id,
            first: first.map(|one| (one.sem_num, one.sem_op, one.sem_flg)),
            len: operations.len(),
            highest: operations.iter().map(|one| one.sem_num).max().unwrap_or(0),
            no_wait: any(IPC_NOWAIT),
            undo: any(SEM_UNDO),
            timeout,
        }
    }

    pub(in crate::error) fn function(&self) -> &'static str {
        match self.timeout {
            Some(_) => "semtimedop",
            None => "semop",
        }
    }
}

/// `semop(set 5, semaphore 0: -1 SEM_UNDO)`.
impl fmt::Display for SemopCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(set {}, ", self.function(), self.id)?;
        match self.first {
            None => write!(f, "no operation")?,
            Some((semaphore, change, flags)) => {
                if self.len > 1 {
                    write!(f, "{} operations from ", self.len)?;
                }
                write!(f, "semaphore {semaphore}: ")?;
                match change {
                    0 => write!(f, "wait for zero")?,
                    change => write!(f, "{change:+}")?,
                }
                if flags & SEM_UNDO != 0 {
                    write!(f, " SEM_UNDO")?;
                }
                if flags & IPC_NOWAIT != 0 {
                    write!(f, " IPC_NOWAIT")?;
                }
            }
        }
        if let Some(timeout) = self.timeout {
            write!(f, ", {timeout:?}")?;
        }
        write!(f, ")")
    }
}

/// The commands of semctl(2), with the arguments that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SemctlCommand {
    Remove,
    Set {
        uid: u32,
        gid: u32,
        mode: u32,
    },
    Status,
    Value,
    LastPid,
    WaitingForIncrease,
    WaitingForZero,
    Values,
    SetValue(i32),
    SetValues {
        len: usize,
    },
    Limits,
    Usage,
    #[cfg(target_os = "linux")]
    SlotStatus,
    #[cfg(target_os = "linux")]
    SlotStatusAny,
}

/// `(set 5, semaphore 1, SETVAL 3)`: everything behind the function's name.
pub(in crate::error) struct SemctlArguments(
    pub(in crate::error) c_int,
    pub(in crate::error) c_int,
    pub(in crate::error) SemctlCommand,
);

impl fmt::Display for SemctlArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, semaphore, command) = self;
        match command {
            SemctlCommand::Remove => write!(f, "(set {id}, IPC_RMID)"),
            SemctlCommand::Set { uid, gid, mode } => {
                write!(f, "(set {id}, IPC_SET uid {uid} gid {gid} mode {mode:04o})")
            }
            SemctlCommand::Status => write!(f, "(set {id}, IPC_STAT)"),
            SemctlCommand::Value => write!(f, "(set {id}, semaphore {semaphore}, GETVAL)"),
            SemctlCommand::LastPid => write!(f, "(set {id}, semaphore {semaphore}, GETPID)"),
            SemctlCommand::WaitingForIncrease => {
                write!(f, "(set {id}, semaphore {semaphore}, GETNCNT)")
            }
            SemctlCommand::WaitingForZero => {
                write!(f, "(set {id}, semaphore {semaphore}, GETZCNT)")
            }
            SemctlCommand::Values => write!(f, "(set {id}, GETALL)"),
            SemctlCommand::SetValue(value) => {
                write!(f, "(set {id}, semaphore {semaphore}, SETVAL {value})")
            }
            SemctlCommand::SetValues { len } => write!(f, "(set {id}, SETALL {len} values)"),
            SemctlCommand::Limits => write!(f, "(IPC_INFO)"),
            SemctlCommand::Usage => write!(f, "(SEM_INFO)"),
            #[cfg(target_os = "linux")]
            SemctlCommand::SlotStatus => write!(f, "(slot {id}, SEM_STAT)"),
            #[cfg(target_os = "linux")]
            SemctlCommand::SlotStatusAny => write!(f, "(slot {id}, SEM_STAT_ANY)"),
        }
    }
}
