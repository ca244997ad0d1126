//! `msgget`, `msgsnd`, `msgrcv` and `msgctl`, as msgget(2), msgop(2) and msgctl(2) describe them.

use super::{Errno, RawKey, check, permissions};
pub(crate) use msg_os::{
    MSG_COPY, MSG_EXCEPT, bytes_now, highest_slot, limits, msg_stat, msg_stat_any, times, usage,
};
#[cfg(all(test, target_os = "linux"))]
pub(crate) use msg_os::{MSG_INFO, MSG_STAT, MSG_STAT_ANY};
#[cfg(target_os = "linux")]
pub(crate) use msg_os::{ipc_info, msg_info};
// Shown to users by `raw`.
#[cfg(target_os = "linux")]
pub use msg_os::msginfo;
pub use msg_os::msqid_ds;
use std::ffi::{c_int, c_long, c_ulong};
use std::mem;

#[cfg(any(target_os = "macos", target_os = "freebsd"))]
#[path = "msg_bsd.rs"]
mod msg_os;
#[cfg(target_os = "linux")]
#[path = "msg_linux.rs"]
mod msg_os;

/// `MSG_NOERROR`: the same number on every system of this crate; the `libc` crate lacks it for macOS.
pub(crate) const MSG_NOERROR: c_int = 0o10000;

/// Bytes of the type in front of every message: a `long`.
pub(crate) const TYPE_BYTES: usize = size_of::<c_long>();

/// What the system allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MsgLimits {
    /// `msgmni`.
    pub(crate) queues: u64,
    /// `msgmax`.
    pub(crate) message_bytes: u64,
    /// `msgmnb`.
    pub(crate) queue_bytes: u64,
}

/// `msgget(key, flags)`.
pub(crate) fn msgget(key: RawKey, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: msgget takes plain numbers and touches no memory of this process.
    check(unsafe { msg_os::msgget(key, flags) })
}

/// `msgsnd(id, &message, bytes, flags)`: the type is the first word, the bytes follow it.
///
/// # Panics
///
/// If the words do not hold a type and so many bytes after it.
#[inline]
pub(crate) fn msgsnd(
    id: c_int,
    message: &[c_long],
    bytes: usize,
    flags: c_int,
) -> Result<(), Errno> {
    assert!(!message.is_empty() && bytes <= room(message));
    let first = message.as_ptr().cast();
    // SAFETY: a word for the type and `bytes` bytes after it can be read, which was checked above.
    check(unsafe { msg_os::msgsnd(id, first, bytes, flags) }).map(drop)
}

/// `msgrcv(id, &message, room, type, flags)`: fills the first word with the type and returns how many bytes follow it.
///
/// # Panics
///
/// If the words have no room for a type and so many bytes after it.
#[inline]
pub(crate) fn msgrcv(
    id: c_int,
    message: &mut [c_long],
    room: usize,
    which: c_long,
    flags: c_int,
) -> Result<usize, Errno> {
    assert!(!message.is_empty() && room <= self::room(message));
    let first = message.as_mut_ptr().cast();
    // SAFETY: a word for the type and `room` bytes after it can be written, which was checked above, and any bytes
    // are words.
    let received = unsafe { msg_os::msgrcv(id, first, room, which, flags) };
    usize::try_from(received).map_err(|_| Errno::last())
}

/// How many bytes of a message fit after the type. 0 also where not even the type fits.
fn room(message: &[c_long]) -> usize {
    message.len().saturating_sub(1) * TYPE_BYTES
}

/// `msgctl(id, IPC_RMID, NULL)`. Async-signal-safe on every system of this crate: one system call, no allocation, no
/// lock.
pub(crate) fn msgctl_rmid(id: c_int) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the buffer.
    check(unsafe { msg_os::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// `msgctl(id, IPC_STAT, &ds)`.
pub(crate) fn msgctl_stat(id: c_int) -> Result<msqid_ds, Errno> {
    read_status(id, libc::IPC_STAT).map(|(status, _)| status)
}

/// `msgctl(id, IPC_SET, &ds)`: takes uid, gid, the nine mode bits and `msg_qbytes` of `status` and nothing else.
pub(crate) fn msgctl_set(id: c_int, status: &msqid_ds) -> Result<(), Errno> {
    let mut copy = *status;
    // SAFETY: `copy` is a whole msqid_ds and lives across the call.
    check(unsafe { msg_os::msgctl(id, libc::IPC_SET, &raw mut copy) }).map(drop)
}

/// `IPC_SET` from its four values. More bytes than the field holds count as the most it holds.
pub(crate) fn msgctl_set_values(
    id: c_int,
    (uid, gid, mode): (u32, u32, u32),
    capacity_bytes: u64,
) -> Result<(), Errno> {
    let mut status = empty_status();
    status.msg_perm = permissions(status.msg_perm, uid, gid, mode);
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)] // The width differs by target.
    {
        status.msg_qbytes = capacity_bytes.min(c_ulong::MAX as u64) as _;
    }
    msgctl_set(id, &status)
}

/// A command that fills a `msqid_ds`: `IPC_STAT`, `MSG_STAT` or `MSG_STAT_ANY`. The second value is what the call
/// returned.
fn read_status(id: c_int, command: c_int) -> Result<(msqid_ds, c_int), Errno> {
    let mut status = empty_status();
    // SAFETY: all three commands write at most one msqid_ds, which `status` is.
    let returned = check(unsafe { msg_os::msgctl(id, command, &raw mut status) })?;
    Ok((status, returned))
}

/// A `msqid_ds` of zero bytes.
pub(crate) fn empty_status() -> msqid_ds {
    // SAFETY: the struct holds integers, and on FreeBSD pointers that may be null: all zeros is a value of it.
    unsafe { mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue of its own, removed when the test ends, however it ends.
    struct Queue(c_int);

    impl Drop for Queue {
        fn drop(&mut self) {
            let _ = msgctl_rmid(self.0);
        }
    }

    #[test]
    fn no_length_reaches_beyond_the_words() {
        let queue = Queue(msgget(libc::IPC_PRIVATE, libc::IPC_CREAT | 0o600).unwrap());
        let words = [1, -1, -1];
        let beyond = std::panic::catch_unwind(|| msgsnd(queue.0, &words, 2 * TYPE_BYTES + 1, 0));
        assert!(beyond.is_err());
        let no_type = std::panic::catch_unwind(|| msgsnd(queue.0, &[], 0, libc::IPC_NOWAIT));
        assert!(no_type.is_err());
        msgsnd(queue.0, &words, 2 * TYPE_BYTES, 0).unwrap();
        for (len, room) in [(0, 0), (1, 1), (2, TYPE_BYTES + 1), (3, 2 * TYPE_BYTES + 1)] {
            let beyond = std::panic::catch_unwind(|| {
                msgrcv(queue.0, &mut [7, 7, 7, 7][..len], room, 0, libc::IPC_NOWAIT)
            });
            assert!(beyond.is_err(), "{len} words, room for {room} bytes");
        }
        // A message that is cut off ends where it should, to the byte.
        let mut words = [7; 4];
        let received = msgrcv(queue.0, &mut words, TYPE_BYTES + 1, 0, MSG_NOERROR);
        assert_eq!(received, Ok(TYPE_BYTES + 1));
        let bytes: &[u8] = bytemuck::cast_slice(&words);
        let end = 2 * TYPE_BYTES + 1;
        assert!(bytes[TYPE_BYTES..end].iter().all(|&byte| byte == 0xff));
        let untouched: Vec<u8> = bytemuck::cast_slice::<c_long, u8>(&[7; 4])[end..].to_vec();
        assert_eq!(bytes[end..], untouched);
    }
}
