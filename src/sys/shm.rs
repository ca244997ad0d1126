//! `shmget`, `shmat`, `shmdt` and `shmctl`, as shmget(2), shmop(2) and shmctl(2) describe them.

use super::{Errno, RawKey, check, os, permissions};
use libc::shmid_ds;
use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr::NonNull;

/// `shmget(key, size, flags)`.
pub(crate) fn shmget(key: RawKey, size: usize, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: shmget takes plain numbers and touches no memory of this process.
    check(unsafe { libc::shmget(key, size, flags) })
}

/// `shmat(id, address, flags)`.
///
/// The two addresses that cannot be told from a failure are turned into one: `(void *) -1` is C's error value, and
/// a segment that landed on page 0 (possible for root, with `SHM_RND` and an address below one page) is detached
/// again, because no pointer to it could be told from a null pointer. The callers refuse such addresses beforehand.
///
/// # Safety
///
/// With an address, nothing may use the range while the segment is attached and no stack may grow into it. With
/// `SHM_REMAP` the call replaces what is mapped there.
pub(crate) unsafe fn shmat(
    id: c_int,
    address: *const c_void,
    flags: c_int,
) -> Result<NonNull<c_void>, Errno> {
    // SAFETY: without an address the kernel chooses a range that nothing uses; else the caller answers for it.
    let attached = unsafe { libc::shmat(id, address, flags) };
    if attached.addr() == usize::MAX {
        return Err(Errno::last());
    }
    NonNull::new(attached).ok_or_else(|| {
        // SAFETY: the mapping at page 0 was made by the call above and nobody else knows of it.
        let _ = unsafe { shmdt(attached) };
        Errno(libc::EINVAL)
    })
}

/// `shmdt(address)`.
///
/// # Safety
///
/// If a segment is attached at `address`, nothing may use that memory afterwards.
pub(crate) unsafe fn shmdt(address: *const c_void) -> Result<(), Errno> {
    // SAFETY: the caller gives the memory up; any other address makes the call fail with EINVAL.
    check(unsafe { libc::shmdt(address) }).map(drop)
}

/// `shmctl(id, IPC_RMID, NULL)`. Async-signal-safe on every system of this crate: one system call, no allocation,
/// no lock.
pub(crate) fn shmctl_rmid(id: c_int) -> Result<(), Errno> {
    // SAFETY: IPC_RMID ignores the buffer.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) }).map(drop)
}

/// `shmctl(id, IPC_STAT, &ds)`.
pub(crate) fn shmctl_stat(id: c_int) -> Result<shmid_ds, Errno> {
    read_status(id, libc::IPC_STAT).map(|(status, _)| status)
}

/// `shmctl(id, IPC_SET, &ds)`: takes uid, gid and the nine mode bits of `status` and nothing else.
pub(crate) fn shmctl_set(id: c_int, status: &shmid_ds) -> Result<(), Errno> {
    // C declares the buffer mutable for all commands; a copy keeps the caller's reference shared.
    let mut copy = *status;
    // SAFETY: `copy` is a whole shmid_ds and lives across the call.
    check(unsafe { libc::shmctl(id, libc::IPC_SET, &raw mut copy) }).map(drop)
}

/// `IPC_SET` from its three values.
pub(crate) fn shmctl_set_permissions(
    id: c_int,
    uid: u32,
    gid: u32,
    mode: u32,
) -> Result<(), Errno> {
    let mut status = empty_status();
    status.shm_perm = permissions(status.shm_perm, uid, gid, mode);
    shmctl_set(id, &status)
}

/// `shmctl(id, SHM_LOCK, NULL)` or `SHM_UNLOCK`; `ENOSYS` where the system has neither.
pub(crate) fn shmctl_lock(id: c_int, lock: bool) -> Result<(), Errno> {
    let Some((lock_command, unlock_command)) = os::SHM_LOCK_UNLOCK else {
        return Err(Errno(libc::ENOSYS));
    };
    let command = if lock { lock_command } else { unlock_command };
    // SAFETY: both commands ignore the buffer.
    check(unsafe { libc::shmctl(id, command, std::ptr::null_mut()) }).map(drop)
}

/// A command that fills a `shmid_ds`: `IPC_STAT`, `SHM_STAT` or `SHM_STAT_ANY`. The second value is what the call
/// returned.
pub(super) fn read_status(id: c_int, command: c_int) -> Result<(shmid_ds, c_int), Errno> {
    let mut status = empty_status();
    // SAFETY: all three commands write at most one shmid_ds, which `status` is.
    let returned = check(unsafe { libc::shmctl(id, command, &raw mut status) })?;
    Ok((status, returned))
}

/// A `shmid_ds` of zero bytes.
pub(crate) fn empty_status() -> shmid_ds {
    // SAFETY: the struct holds integers, and on macOS one pointer that may be null: all zeros is a value of it.
    unsafe { mem::zeroed() }
}
