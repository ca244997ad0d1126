//! What to do about it.

use std::fmt;
use std::time::Duration;

/// What the kernel said about the set that stood in the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetFacts {
    pub(super) id: i32,
    pub(super) semaphores: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) creator_uid: u32,
}

/// The advice that ends an error's message, where it is about semaphores and needs numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SetHint {
    Exists(SetFacts),
    Denied {
        facts: SetFacts,
        euid: u32,
    },
    NotOwner {
        facts: SetFacts,
        euid: u32,
    },
    Foreign {
        facts: SetFacts,
        euid: u32,
    },
    Fewer {
        asked: i32,
        facts: SetFacts,
    },
    PerSet {
        max: u64,
    },
    SetsFull {
        max: u64,
        used: u64,
    },
    SemaphoresFull {
        max: u64,
        used: u64,
        asked: i32,
    },
    Operations {
        max: u64,
    },
    Value {
        max: u64,
    },
    Missing {
        facts: SetFacts,
    },
    Length {
        semaphores: usize,
    },
    /// A set that nobody operated on yet, after this long.
    Uninitialised {
        waited: Duration,
        last_pid: i32,
    },
    /// A set whose creator, with this pid, is gone.
    CreatorDied {
        last_pid: i32,
    },
}

impl fmt::Display for SetHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(facts) => write!(
                f,
                "set {} has it: {} semaphores, created by uid {}; open it, choose another key, or remove it with `ipcrm -s {}` if nobody needs it",
                facts.id, facts.semaphores, facts.creator_uid, facts.id
            ),
            Self::Denied { facts, euid } => write!(
                f,
                "set {} has mode {:04o} and belongs to uid {} gid {} (creator uid {}), this process has uid {euid}; operations need the write bit, looking and waiting for zero the read bit",
                facts.id, facts.mode, facts.uid, facts.gid, facts.creator_uid
            ),
            Self::NotOwner { facts, euid } => write!(
                f,
                "set {} belongs to uid {} (creator uid {}), this process has uid {euid}",
                facts.id, facts.uid, facts.creator_uid
            ),
            Self::Foreign { facts, euid } => write!(
                f,
                "set {} was made by uid {}, this process has uid {euid}: whoever takes a key first decides who may block whom; pass any_owner(true) if that is welcome",
                facts.id, facts.creator_uid
            ),
            Self::Fewer { asked, facts } => write!(
                f,
                "set {} has {} semaphores, {asked} were asked for; ask for 0 to take it as it is, or remove it and create it larger",
                facts.id, facts.semaphores
            ),
            Self::PerSet { max } => write!(
                f,
                "a new set has 1 to {max} semaphores here (SEMMSL, the first number of /proc/sys/kernel/sem on Linux)"
            ),
            Self::SetsFull { max, used } => write!(
                f,
                "{used} sets exist and {max} are allowed (SEMMNI, the fourth number of /proc/sys/kernel/sem); no disk is involved: remove unused sets (`ipcs -s`, `ipcrm -s ID`) or raise the limit"
            ),
            Self::SemaphoresFull { max, used, asked } => write!(
                f,
                "{used} semaphores exist, {asked} were asked for and {max} are allowed (SEMMNS, the second number of /proc/sys/kernel/sem); no disk is involved: remove unused sets (`ipcs -s`, `ipcrm -s ID`) or raise the limit"
            ),
            Self::Operations { max } => write!(
                f,
                "one call takes up to {max} operations here (SEMOPM, the third number of /proc/sys/kernel/sem on Linux)"
            ),
            Self::Value { max } => write!(
                f,
                "a semaphore counts from 0 to {max} (SEMVMX), and so does what SEM_UNDO has to give back"
            ),
            Self::Missing { facts } => write!(
                f,
                "set {} has {} semaphores, counted from 0",
                facts.id, facts.semaphores
            ),
            Self::Length { semaphores } => write!(
                f,
                "the set has {semaphores} semaphores, and each needs one value"
            ),
            Self::Uninitialised { waited, last_pid } => {
                write!(
                    f,
                    "no operation on the set was seen in {waited:?} (sem_otime is 0)"
                )?;
                match last_pid {
                    0 => write!(
                        f,
                        "; its creator has not set the values, or died before that; remove the set (`ipcrm -s`) if nobody is about to"
                    ),
                    pid => write!(
                        f,
                        "; pid {pid} set values without an operation, as many C programs do: if all of them do, pass trust_set_values(true)"
                    ),
                }
            }
            Self::CreatorDied { last_pid } => write!(
                f,
                "pid {last_pid} set values and ended before the first operation (sem_otime is 0); if that is all its program does, pass trust_set_values(true), else remove the set (`ipcrm -s`) and create it anew"
            ),
        }
    }
}
