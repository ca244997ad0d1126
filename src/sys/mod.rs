//! Every foreign call of the crate, one thin function each.
//!
//! A reader who wants to know what this crate asks of the kernel reads this folder and nothing else. The functions
//! add no policy: they turn C's return conventions into `Result`, keep `errno`, and hold the arguments' types. What
//! the `libc` crate lacks is declared here, with its layout asserted at compile time.
//!
//! | file | holds |
//! |---|---|
//! | `shm.rs` | `shmget`, `shmat`, `shmdt`, `shmctl` |
//! | `sem.rs` | `semget`, `semop`, `semctl`; `sem_values.rs`: the array of `GETALL` and `SETALL`; `sem_linux.rs`, `sem_bsd.rs`: `semtimedop`, constants and structs of one system |
//! | `msg.rs` | `msgget`, `msgsnd`, `msgrcv`, `msgctl`; `msg_linux.rs`, `msg_bsd.rs`: constants and structs of one system; `timer.rs`: `timer_create` and its kin, and naps that a signal ends |
//! | `process.rs` | `getpid`, `geteuid`, `kill` with signal 0, `getrlimit`, `getentropy`, the page size |
//! | `mapping.rs` | `mmap`, `munmap`, `mprotect`, `madvise` |
//! | `futex.rs` | `futex`, `membarrier` |
//! | `bytes.rs` | the addresses of `memcpy`, `memmove`, `memset` |
//! | `linux.rs`, `macos.rs`, `freebsd.rs`, the last two over `bsd.rs` | constants, structs and calls only one system has, behind the same names; on the last two, when a process started |
#![allow(unsafe_code)] // The one place that may call foreign functions.

use std::ffi::c_int;

pub(crate) mod bytes;
pub(crate) mod futex;
pub(crate) mod mapping;
pub(crate) mod msg;
pub(crate) mod process;
pub(crate) mod sem;
pub(crate) mod shm;
pub(crate) mod timer;

#[cfg(any(target_os = "macos", target_os = "freebsd"))]
mod bsd;
#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
pub(crate) mod os;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
pub(crate) mod os;
#[cfg(target_os = "macos")]
#[path = "macos.rs"]
pub(crate) mod os;

#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
compile_error!("sysvshm knows the System V calls of Linux, macOS and FreeBSD only");

/// C's `key_t`: 32 bits on Linux and macOS, 64 on FreeBSD.
pub(crate) type RawKey = libc::key_t;

/// The value `errno` had after a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) c_int);

impl Errno {
    /// What the last failed call of this thread left in `errno`.
    pub(crate) fn last() -> Self {
        // `raw_os_error` of a `last_os_error` is always there; 0 would mean that no call failed.
        Self(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

/// What `IPC_SET` reads of the permissions in a status: uid, gid and the nine mode bits.
fn permissions(mut raw: libc::ipc_perm, uid: u32, gid: u32, mode: u32) -> libc::ipc_perm {
    raw.uid = uid;
    raw.gid = gid;
    // The field is 16 bits wide on some targets; the nine bits that IPC_SET reads fit everywhere.
    #[allow(clippy::unnecessary_cast)]
    {
        raw.mode = (mode & 0o777) as _;
    }
    raw
}

/// Turns the convention "negative means failure, see `errno`" into a `Result`.
#[inline]
fn check(returned: c_int) -> Result<c_int, Errno> {
    if returned < 0 {
        Err(Errno::last())
    } else {
        Ok(returned)
    }
}
