//! The process itself as the sign of life, where it cannot have a token.
//!
//! A process id is a poor one, because ids repeat; so it comes with the time at which the process started. See the
//! [module above](super) for the bits and for what this is worse at.

use super::{Holder, Liveness};

/// The mark of the running process; `None` where the system does not tell it.
pub(super) fn own_mark() -> Option<u64> {
    os::own_mark()
}

/// Whether the process with this mark lives. Doubt counts as life.
pub(super) fn liveness(mark: u64) -> Liveness {
    os::liveness(mark)
}

/// Who it is, if it lives.
pub(super) fn holder(mark: u64) -> Option<Holder> {
    match liveness(mark) {
        Liveness::Alive => Some(os::holder(mark)),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
mod os {
    use super::{Holder, Liveness};
    use crate::sys::process;
    use std::os::unix::fs::MetadataExt;

    /// Process ids are below 2^22 (`PID_MAX_LIMIT` in `include/linux/threads.h`).
    const PID_BITS: u32 = 22;
    const START_BITS: u32 = 20;
    /// Namespaces are numbered one after the other: two have the same low bits only if thousands lie between them.
    const PID_NAMESPACE_BITS: u32 = 12;
    const TIME_NAMESPACE_BITS: u32 = 9;

    /// Where numbers of processes and times mean what they mean to this process.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Namespaces {
        pid: u64,
        /// 0 before Linux 5.6. `/proc/PID/stat` counts from the boot time of the reader's time namespace.
        time: u64,
    }

    /// What `/proc/PID/stat` says.
    struct Stat {
        has_ended: bool,
        start_ticks: u64,
    }

    fn low(value: u64, bits: u32) -> u64 {
        value & ((1 << bits) - 1)
    }

    fn mark(pid: i32, start_ticks: u64, of: Namespaces) -> u64 {
        let upper = low(of.time, TIME_NAMESPACE_BITS) << PID_NAMESPACE_BITS
            | low(of.pid, PID_NAMESPACE_BITS);
        upper << (PID_BITS + START_BITS)
            | low(start_ticks, START_BITS) << PID_BITS
            | low(pid.unsigned_abs().into(), PID_BITS)
    }

    fn pid(mark: u64) -> i32 {
        low(mark, PID_BITS) as i32
    }

    /// Those of this process; `None` without `/proc`.
    fn namespaces() -> Option<Namespaces> {
        let inode = |name: &str| Some(std::fs::metadata(name).ok()?.ino());
        Some(Namespaces {
            pid: inode("/proc/self/ns/pid")?,
            time: inode("/proc/self/ns/time").unwrap_or(0),
        })
    }

    /// `None` if the process does not exist or may not be seen.
    fn stat(pid: i32) -> Option<Stat> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields by their numbers in `proc_pid_stat(5)`, counted after the name, which may hold anything.
    fn parse(stat: &str) -> Option<Stat> {
        let (_, after_name) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let state = *fields.first()?;
        Some(Stat {
            // A process whose first thread has ended and that has others looks like a zombie and lives.
            has_ended: matches!(state, "Z" | "X") && number(20)? <= 1,
            start_ticks: number(22)?,
        })
    }

    /// Whether `/proc` numbers processes as this one does. Where a process entered a pid namespace and kept the `/proc`
    /// of the one outside, its own number is another process's there.
    fn proc_has_own_numbers() -> bool {
        let own = std::fs::read_link("/proc/self").ok();
        own.is_some_and(|own| own.to_str().and_then(|pid| pid.parse().ok()) == Some(process::pid()))
    }

    pub(super) fn own_mark() -> Option<u64> {
        if !proc_has_own_numbers() {
            return None;
        }
        let pid = process::pid();
        Some(mark(pid, stat(pid)?.start_ticks, namespaces()?))
    }

    pub(super) fn liveness(of: u64) -> Liveness {
        let pid = pid(of);
        let Some(here) = namespaces().filter(|_| proc_has_own_numbers()) else {
            return Liveness::Unknown;
        };
        // In another pid namespace the number is another process's, and in another time namespace the start differs.
        if of >> (PID_BITS + START_BITS) != mark(0, 0, here) >> (PID_BITS + START_BITS) {
            return Liveness::Unknown;
        }
        if !process::exists(pid) {
            return Liveness::Dead;
        }
        match stat(pid) {
            // It exists, and is kept secret from this process (hidepid).
            None => Liveness::Alive,
            Some(stat) if stat.has_ended || mark(pid, stat.start_ticks, here) != of => {
                Liveness::Dead
            }
            Some(_) => Liveness::Alive,
        }
    }

    pub(super) fn holder(mark: u64) -> Holder {
        Holder {
            pid: u32::try_from(pid(mark)).ok(),
            since: None,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_zombie_is_dead_unless_it_has_other_threads() {
            let stat = |state, threads| {
                let fields = format!(
                    "7 (a) b) {state} 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 {threads} 0 4711 0"
                );
                parse(&fields).unwrap()
            };
            assert!(!stat("S", 1).has_ended);
            assert!(stat("Z", 1).has_ended);
            assert!(!stat("Z", 2).has_ended);
            assert_eq!(stat("R", 1).start_ticks, 4711);
            assert!(parse("").is_none());
        }

        #[test]
        fn this_process_lives_and_nothing_of_another_namespace_is_judged() {
            let mine = own_mark().unwrap();
            assert_eq!(liveness(mine), Liveness::Alive);
            assert_eq!(holder(mine).pid, Some(std::process::id()));
            // One tick earlier: an earlier process of this number.
            assert_eq!(liveness(mine ^ 1 << PID_BITS), Liveness::Dead);
            for bit in PID_BITS + START_BITS..63 {
                assert_eq!(liveness(mine ^ 1 << bit), Liveness::Unknown);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use super::{Holder, Liveness};
    use crate::sys::{os, process};
    use std::time::{Duration, UNIX_EPOCH};

    const PID_BITS: u32 = 31;

    fn mark(pid: i32, start: os::ProcessStart) -> u64 {
        let pid = u64::from(pid.unsigned_abs()) & ((1 << PID_BITS) - 1);
        (start.mark_micros << PID_BITS | pid) & (u64::MAX >> 1)
    }

    fn pid(mark: u64) -> i32 {
        (mark & ((1 << PID_BITS) - 1)) as i32
    }

    pub(super) fn own_mark() -> Option<u64> {
        let pid = process::pid();
        let start = os::process_start(pid).ok()??;
        Some(mark(pid, start))
    }

    pub(super) fn liveness(of: u64) -> Liveness {
        let pid = pid(of);
        match os::process_start(pid) {
            Err(_) => Liveness::Alive,
            Ok(Some(start)) if mark(pid, start) == of => Liveness::Alive,
            Ok(_) => Liveness::Dead,
        }
    }

    pub(super) fn holder(mark: u64) -> Holder {
        let pid = pid(mark);
        let start = os::process_start(pid).ok().flatten();
        let since = start.and_then(|start| {
            UNIX_EPOCH.checked_add(Duration::from_micros(start.since_1970_micros))
        });
        Holder {
            pid: u32::try_from(pid).ok(),
            since,
        }
    }
}
