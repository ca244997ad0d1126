//! Which user this process acts for, and whether a number from the kernel means that user for sure.
//!
//! In a user namespace the kernel shows every user id that has no number there as one and the same, the overflow id,
//! 65534 unless an administrator changed it (`user_namespaces(7)`). A process whose own id has no number sees itself
//! under it as well. So equal numbers mean the same user only if the number is another one, or if the namespace has a
//! number for every user, as the first one has.

use crate::sys::process;

/// The overflow id where `/proc` does not tell.
const OVERFLOW: u32 = 65534;
/// How many user ids there are: 32 bits without -1.
const ALL: u64 = u32::MAX as u64;

/// Whether `uid`, as the kernel showed it to this process, is surely the user that this process acts for.
pub(crate) fn is_own(uid: u32) -> bool {
    if uid != process::effective_uid() {
        return false;
    }
    if !cfg!(target_os = "linux") {
        return true;
    }
    let overflow = std::fs::read_to_string("/proc/sys/kernel/overflowuid");
    let overflow = overflow.ok().and_then(|text| text.trim().parse().ok());
    uid != overflow.unwrap_or(OVERFLOW) || {
        let map = std::fs::read_to_string("/proc/self/uid_map");
        map.is_ok_and(|map| is_complete(&map))
    }
}

/// Whether a `uid_map` has a number for every user: its third column adds up.
fn is_complete(map: &str) -> bool {
    let lengths = map.lines().map(|line| {
        let length = line.split_whitespace().nth(2)?;
        length.parse::<u64>().ok()
    });
    lengths.sum::<Option<u64>>() == Some(ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_of_all_ids_is_complete() {
        assert!(is_complete("         0          0 4294967295\n"));
        assert!(is_complete("0 0 1000\n1000 1000 4294966295\n"));
        for map in ["", "0 1000 1\n", "0 0 65536\n", "0 0\n", "0 0 x\n"] {
            assert!(!is_complete(map), "{map:?}");
        }
    }
}
