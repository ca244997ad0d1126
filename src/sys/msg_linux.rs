//! Message queues on Linux: what the `libc` crate lacks.
//!
//! Numbers and layouts are those of `include/uapi/linux/msg.h` and the `msgbuf.h` of each machine in the kernel's
//! sources; a test compares them with what a C compiler says on the machine that runs it.

use super::super::{Errno, check};
use super::{MsgLimits, read_status};
pub(super) use libc::{msgctl, msgget, msgrcv, msgsnd};
pub use libc::{msginfo, msqid_ds};
use std::ffi::c_int;
use std::mem;

/// `MSG_EXCEPT` for msgrcv.
pub(crate) const MSG_EXCEPT: Option<c_int> = Some(0o20000);
/// `MSG_COPY` for msgrcv, Linux 3.8, in kernels with `CONFIG_CHECKPOINT_RESTORE`.
pub(crate) const MSG_COPY: Option<c_int> = Some(0o40000);
/// `MSG_STAT` for msgctl.
pub(crate) const MSG_STAT: c_int = 11 | (libc::IPC_STAT & 0x100);
/// `MSG_INFO` for msgctl.
pub(crate) const MSG_INFO: c_int = 12;
/// `MSG_STAT_ANY` for msgctl, Linux 4.17 and later.
pub(crate) const MSG_STAT_ANY: c_int = 13 | (libc::IPC_STAT & 0x100);

const _: () = {
    assert!(size_of::<msginfo>() == 32);
    assert!(mem::offset_of!(msginfo, msgmax) == 8);
    assert!(mem::offset_of!(msginfo, msgseg) == 28);
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<msqid_ds>() == 120);
    assert!(mem::offset_of!(msqid_ds, msg_stime) == 48);
    assert!(mem::offset_of!(msqid_ds, msg_qnum) == 80);
    assert!(mem::offset_of!(msqid_ds, msg_lrpid) == 100);
};

/// `msgctl(0, IPC_INFO, &info)`. The second value is the highest slot in use, 0 also when none is.
pub(crate) fn ipc_info() -> Result<(msginfo, c_int), Errno> {
    read_info(libc::IPC_INFO)
}

/// `msgctl(0, MSG_INFO, &info)`. The second value is the highest slot in use, 0 also when none is.
pub(crate) fn msg_info() -> Result<(msginfo, c_int), Errno> {
    read_info(MSG_INFO)
}

fn read_info(command: c_int) -> Result<(msginfo, c_int), Errno> {
    // SAFETY: the struct holds integers: all zeros is a value of it.
    let mut info: msginfo = unsafe { mem::zeroed() };
    let buffer = (&raw mut info).cast::<msqid_ds>();
    // SAFETY: both commands write one msginfo, which `info` is; C's prototype knows only the other struct.
    let highest = check(unsafe { msgctl(0, command, buffer) })?;
    Ok((info, highest))
}

/// `msgctl(slot, MSG_STAT, &ds)`: the status and the id of the queue in a slot. Needs read permission.
pub(crate) fn msg_stat(slot: c_int) -> Result<(msqid_ds, c_int), Errno> {
    read_status(slot, MSG_STAT)
}

/// `msgctl(slot, MSG_STAT_ANY, &ds)`: the same without the permission.
pub(crate) fn msg_stat_any(slot: c_int) -> Result<(msqid_ds, c_int), Errno> {
    read_status(slot, MSG_STAT_ANY)
}

/// The limits, from `IPC_INFO`.
pub(crate) fn limits() -> Result<MsgLimits, Errno> {
    let (info, _) = ipc_info()?;
    let number = |value: c_int| u64::from(value.unsigned_abs());
    Ok(MsgLimits {
        queues: number(info.msgmni),
        message_bytes: number(info.msgmax),
        queue_bytes: number(info.msgmnb),
    })
}

/// Queues, messages and bytes that exist, from `MSG_INFO`.
pub(crate) fn usage() -> Result<[u64; 3], Errno> {
    let (info, _) = msg_info()?;
    Ok([info.msgpool, info.msgmap, info.msgtql].map(|number| u64::from(number.unsigned_abs())))
}

/// The highest slot in use, 0 also when none is.
pub(crate) fn highest_slot() -> Result<c_int, Errno> {
    msg_info().map(|(_, highest)| highest)
}

/// How many bytes are in the queue now.
pub(crate) fn bytes_now(status: &msqid_ds) -> u64 {
    #[allow(clippy::useless_conversion)] // 32 bits wide on some targets.
    u64::from(status.__msg_cbytes)
}

/// Send, receive and change time of a status, in seconds since 1970; 0 for never.
pub(crate) fn times(status: &msqid_ds) -> [i64; 3] {
    #[cfg(all(
        target_env = "musl",
        target_pointer_width = "32",
        any(target_arch = "x86", target_arch = "arm")
    ))]
    {
        // The libc crate names these words differently for musl before and after 1.2. In both, as in the kernel,
        // three pairs of low and high words follow the permissions.
        let words = (&raw const *status).cast::<u32>();
        let first = size_of::<libc::ipc_perm>() / 4;
        [0, 2, 4].map(|pair| {
            // SAFETY: the six words after msg_perm are inside the struct in either layout.
            let low = unsafe { words.add(first + pair).read() };
            // SAFETY: as above.
            let high = unsafe { words.add(first + pair + 1).read() };
            (i64::from(high) << 32) | i64::from(low)
        })
    }
    #[cfg(not(all(
        target_env = "musl",
        target_pointer_width = "32",
        any(target_arch = "x86", target_arch = "arm")
    )))]
    #[allow(clippy::unnecessary_cast)] // time_t is 32 bits wide on some targets.
    [
        status.msg_stime as i64,
        status.msg_rtime as i64,
        status.msg_ctime as i64,
    ]
}
