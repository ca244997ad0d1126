//! Message queues on macOS and FreeBSD: the same names as `msg_linux.rs`. Type-checked only; never run by this project.
//!
//! Facts are those of `bsd/sys/msg.h` and `bsd/kern/sysv_msg.c` of XNU and `sys/sys/msg.h` and `sys/kern/sysv_msg.c`
//! of FreeBSD.

use super::super::{Errno, os};
use super::MsgLimits;
use std::ffi::c_int;

#[cfg(target_os = "freebsd")]
pub use libc::msqid_ds;
#[cfg(target_os = "freebsd")]
pub(super) use libc::{msgctl, msgget, msgrcv, msgsnd};
#[cfg(target_os = "macos")]
pub use macos::msqid_ds;
#[cfg(target_os = "macos")]
pub(super) use macos::{msgctl, msgget, msgrcv, msgsnd};

/// Neither system has `MSG_EXCEPT`.
pub(crate) const MSG_EXCEPT: Option<c_int> = None;
/// Nor `MSG_COPY`.
pub(crate) const MSG_COPY: Option<c_int> = None;

/// What the `libc` crate lacks for macOS.
#[cfg(target_os = "macos")]
mod macos {
    use std::ffi::{c_int, c_long, c_ulong, c_void};

    /// `struct msqid_ds` as 64-bit programs have it (`__msqid_ds_new`).
    #[repr(C, packed(4))]
    #[derive(Debug, Clone, Copy)]
    pub struct msqid_ds {
        /// Owner, creator, mode.
        pub msg_perm: libc::ipc_perm,
        first: i32,
        last: i32,
        /// Bytes in the queue.
        pub msg_cbytes: c_ulong,
        /// Messages in the queue.
        pub msg_qnum: c_ulong,
        /// Most bytes in the queue.
        pub msg_qbytes: c_ulong,
        /// The process that last sent.
        pub msg_lspid: libc::pid_t,
        /// The process that last received.
        pub msg_lrpid: libc::pid_t,
        /// When a message was last sent, in seconds since 1970; 0 for never.
        pub msg_stime: libc::time_t,
        pad_1: i32,
        /// When a message was last received.
        pub msg_rtime: libc::time_t,
        pad_2: i32,
        /// Creation or `IPC_SET`, whichever was last.
        pub msg_ctime: libc::time_t,
        pad_3: i32,
        pad_4: [i32; 4],
    }

    unsafe extern "C" {
        pub(in crate::sys::msg) fn msgget(key: libc::key_t, flags: c_int) -> c_int;
        pub(in crate::sys::msg) fn msgsnd(
            id: c_int,
            message: *const c_void,
            bytes: usize,
            flags: c_int,
        ) -> c_int;
        pub(in crate::sys::msg) fn msgrcv(
            id: c_int,
            message: *mut c_void,
            room: usize,
            which: c_long,
            flags: c_int,
        ) -> isize;
        pub(in crate::sys::msg) fn msgctl(
            id: c_int,
            command: c_int,
            buffer: *mut msqid_ds,
        ) -> c_int;
    }
}

/// The limits of FreeBSD: `kern.ipc.*`. `msgmax` is the size of the whole pool, `msgssz` times `msgseg`.
#[cfg(target_os = "freebsd")]
pub(crate) fn limits() -> Result<MsgLimits, Errno> {
    Ok(MsgLimits {
        queues: os::sysctl(c"kern.ipc.msgmni")?,
        message_bytes: os::sysctl(c"kern.ipc.msgmax")?,
        queue_bytes: os::sysctl(c"kern.ipc.msgmnb")?,
    })
}

/// The limits of macOS: constants of its kernel (`MSGMNI`, `MSGSSZ * MSGSEG`, `MSGMNB`), which no call tells. The
/// `sysctl` asks whether the kernel has queues at all.
#[cfg(target_os = "macos")]
pub(crate) fn limits() -> Result<MsgLimits, Errno> {
    os::sysctl(c"kern.sysv.semmni")?;
    Ok(MsgLimits {
        queues: 40,
        message_bytes: 16384,
        queue_bytes: 2048,
    })
}

/// No call here says how much is in use.
pub(crate) fn usage() -> Result<[u64; 3], Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Nor can slots be walked.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    Err(Errno(libc::ENOSYS))
}

/// There is no `MSG_STAT`.
pub(crate) fn msg_stat(_slot: c_int) -> Result<(msqid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Nor `MSG_STAT_ANY`.
pub(crate) fn msg_stat_any(_slot: c_int) -> Result<(msqid_ds, c_int), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// How many bytes are in the queue now.
pub(crate) fn bytes_now(status: &msqid_ds) -> u64 {
    #[allow(clippy::unnecessary_cast)] // 32 bits wide on i386.
    let bytes = status.msg_cbytes as u64;
    bytes
}

/// Send, receive and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &msqid_ds) -> [i64; 3] {
    #[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets.
    [
        status.msg_stime as i64,
        status.msg_rtime as i64,
        status.msg_ctime as i64,
    ]
}
