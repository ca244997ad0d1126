//! The kernel's own calls for segments and semaphore sets, below those of the C library.
//!
//! Most machines have one system call for each. On 32-bit x86, s390x and some others the C library makes them all
//! through ipc(2), and the `libc` crate names no other number there.
//!
//! Included by its path where it is used.
#![allow(dead_code)] // Each test file uses a part of it.
#![allow(unsafe_code)] // Makes foreign calls.

use std::ffi::{c_int, c_long, c_void};

/// Whether the C library of this machine goes through ipc(2).
macro_rules! if_through_ipc {
    ($through:item $direct:item) => {
        #[cfg(any(target_arch = "x86", target_arch = "s390x"))]
        $through
        #[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
        $direct
    };
}

/// The first argument of ipc(2): `include/uapi/linux/ipc.h`.
mod number {
    pub(super) const SEMOP: i32 = 1;
    pub(super) const SEMGET: i32 = 2;
    pub(super) const SEMCTL: i32 = 3;
    pub(super) const SEMTIMEDOP: i32 = 4;
    pub(super) const SHMAT: i32 = 21;
    pub(super) const SHMGET: i32 = 23;
    pub(super) const SHMCTL: i32 = 24;
}

/// Marks a command whose structures are those of today. Some C libraries set it, none needs it cleared.
const IPC_64: c_int = 0x100;

/// The index of an argument, the bits of it that count, and their value.
pub(crate) type Condition = (u32, c_int, c_int);

/// How a filter tells `shmctl` with a command: the number of the call, and for each argument that matters its index,
/// the bits that count, and their value.
pub(crate) fn shmctl_with(command: c_int) -> (c_long, Vec<Condition>) {
    if_through_ipc! {
        fn tell(command: c_int) -> (c_long, Vec<Condition>) {
            (libc::SYS_ipc, vec![(0, !0, number::SHMCTL), (2, !IPC_64, command & !IPC_64)])
        }
        fn tell(command: c_int) -> (c_long, Vec<Condition>) {
            (libc::SYS_shmctl, vec![(1, !IPC_64, command & !IPC_64)])
        }
    }
    tell(command)
}

/// The same for `semctl`.
pub(crate) fn semctl_with(command: c_int) -> (c_long, Vec<Condition>) {
    if_through_ipc! {
        fn tell(command: c_int) -> (c_long, Vec<Condition>) {
            (libc::SYS_ipc, vec![(0, !0, number::SEMCTL), (3, !IPC_64, command & !IPC_64)])
        }
        fn tell(command: c_int) -> (c_long, Vec<Condition>) {
            (libc::SYS_semctl, vec![(2, !IPC_64, command & !IPC_64)])
        }
    }
    tell(command)
}

if_through_ipc! {
    /// As shmget(2).
    pub(crate) fn shmget(key: libc::key_t, size: usize, flags: c_int) -> c_int {
        // SAFETY: plain numbers.
        unsafe { libc::syscall(libc::SYS_ipc, number::SHMGET, key, size, flags, 0, 0) as c_int }
    }
    /// As shmget(2).
    pub(crate) fn shmget(key: libc::key_t, size: usize, flags: c_int) -> c_int {
        // SAFETY: plain numbers.
        unsafe { libc::syscall(libc::SYS_shmget, key, size, flags) as c_int }
    }
}

if_through_ipc! {
    /// # Safety
    ///
    /// As shmat(2).
    pub(crate) unsafe fn shmat(id: c_int, address: *const c_void, flags: c_int) -> *mut c_void {
        let mut attached = 0_usize;
        let place = &raw mut attached;
        // SAFETY: the caller's promise, and `place` takes the address.
        let done = unsafe {
            libc::syscall(libc::SYS_ipc, number::SHMAT, id, flags, place, address, 0)
        };
        let failed = usize::MAX;
        std::ptr::with_exposed_provenance_mut(if done == 0 { attached } else { failed })
    }
    /// # Safety
    ///
    /// As shmat(2).
    pub(crate) unsafe fn shmat(id: c_int, address: *const c_void, flags: c_int) -> *mut c_void {
        // SAFETY: the caller's promise.
        let attached = unsafe { libc::syscall(libc::SYS_shmat, id, address, flags) };
        std::ptr::with_exposed_provenance_mut(attached as usize)
    }
}

if_through_ipc! {
    /// # Safety
    ///
    /// As shmctl(2).
    pub(crate) unsafe fn shmctl(id: c_int, command: c_int, buffer: *mut libc::shmid_ds) -> c_int {
        let command = command | IPC_64;
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_ipc, number::SHMCTL, id, command, 0, buffer, 0) as c_int }
    }
    /// # Safety
    ///
    /// As shmctl(2).
    pub(crate) unsafe fn shmctl(id: c_int, command: c_int, buffer: *mut libc::shmid_ds) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_shmctl, id, command, buffer) as c_int }
    }
}

if_through_ipc! {
    /// As semget(2).
    pub(crate) fn semget(key: libc::key_t, semaphores: c_int, flags: c_int) -> c_int {
        // SAFETY: plain numbers.
        unsafe { libc::syscall(libc::SYS_ipc, number::SEMGET, key, semaphores, flags, 0, 0) as c_int }
    }
    /// As semget(2).
    pub(crate) fn semget(key: libc::key_t, semaphores: c_int, flags: c_int) -> c_int {
        // SAFETY: plain numbers.
        unsafe { libc::syscall(libc::SYS_semget, key, semaphores, flags) as c_int }
    }
}

if_through_ipc! {
    /// # Safety
    ///
    /// As semop(2).
    pub(crate) unsafe fn semop(id: c_int, operations: *mut libc::sembuf, count: usize) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_ipc, number::SEMOP, id, count, 0, operations, 0) as c_int }
    }
    /// # Safety
    ///
    /// As semop(2).
    pub(crate) unsafe fn semop(id: c_int, operations: *mut libc::sembuf, count: usize) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_semop, id, operations, count) as c_int }
    }
}

if_through_ipc! {
    /// # Safety
    ///
    /// As semtimedop(2).
    pub(crate) unsafe fn semtimedop(
        id: c_int,
        operations: *mut libc::sembuf,
        count: usize,
        timeout: *const libc::timespec,
    ) -> c_int {
        // s390x passes five arguments, the timeout as the third of them.
        let (third, fifth) = match cfg!(target_arch = "s390x") {
            true => (timeout, std::ptr::null()),
            false => (std::ptr::null(), timeout),
        };
        let call = number::SEMTIMEDOP;
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_ipc, call, id, count, third, operations, fifth) as c_int }
    }
    /// # Safety
    ///
    /// As semtimedop(2).
    pub(crate) unsafe fn semtimedop(
        id: c_int,
        operations: *mut libc::sembuf,
        count: usize,
        timeout: *const libc::timespec,
    ) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { libc::syscall(libc::SYS_semtimedop, id, operations, count, timeout) as c_int }
    }
}
