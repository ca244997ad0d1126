//! Failures that no test can talk the kernel into: this binary puts its own `semget`, `semop` and `semtimedop`
//! before those of the C library.
//!
//! Each makes the system call itself, unless the test on this thread wants it to fail.
#![allow(unsafe_code)] // The functions are foreign ones.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/ipc_calls.rs"]
mod ipc_calls;

use common::{OwnedSet, OwnedSetKey, assert_says, fails};
use std::cell::Cell;
use std::ffi::c_int;
use std::time::Duration;
use sysvshm::{ErrorKind, Key, SemaphoreSet};

thread_local! {
    /// The errno for the next calls of this thread, 0 to make them.
    static FAIL_WITH: Cell<c_int> = const { Cell::new(0) };
    /// Whether `semget` is made nevertheless.
    static ONLY_OPERATIONS: Cell<bool> = const { Cell::new(false) };
}

/// Makes the call, unless this thread wants it to fail.
fn unless_failing(call: impl FnOnce() -> c_int) -> c_int {
    let errno = FAIL_WITH.get();
    if errno == 0 {
        return call();
    }
    // SAFETY: no preconditions.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the thread's own errno.
    unsafe { place.write(errno) };
    -1
}

/// Takes the place of the C library's function.
#[unsafe(no_mangle)]
extern "C" fn semget(key: libc::key_t, semaphores: c_int, flags: c_int) -> c_int {
    let make = || ipc_calls::semget(key, semaphores, flags);
    if ONLY_OPERATIONS.get() {
        return make();
    }
    unless_failing(make)
}

/// Takes the place of the C library's function.
///
/// # Safety
///
/// As semop(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn semop(id: c_int, operations: *mut libc::sembuf, count: usize) -> c_int {
    // SAFETY: the caller's promise.
    unless_failing(|| unsafe { ipc_calls::semop(id, operations, count) })
}

/// Takes the place of the C library's function.
///
/// # Safety
///
/// As semtimedop(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn semtimedop(
    id: c_int,
    operations: *mut libc::sembuf,
    count: usize,
    timeout: *const libc::timespec,
) -> c_int {
    // SAFETY: the caller's promise.
    unless_failing(|| unsafe { ipc_calls::semtimedop(id, operations, count, timeout) })
}

fn failing<T>(errno: c_int, act: impl FnOnce() -> T) -> T {
    FAIL_WITH.set(errno);
    let result = act();
    FAIL_WITH.set(0);
    result
}

#[test]
fn every_other_errno_of_semget_has_a_kind() {
    for (errno, kind, words) in [
        (libc::ENOMEM, ErrorKind::OutOfMemory, "no memory"),
        (libc::EPERM, ErrorKind::Unsupported, "sandbox"),
        (libc::ENOSYS, ErrorKind::Unsupported, "switched off"),
        (
            libc::EIO,
            ErrorKind::Other,
            "semget(IPC_PRIVATE, 1 semaphores",
        ),
    ] {
        let failed = failing(errno, || SemaphoreSet::create_new(Key::PRIVATE, &[1]));
        assert_says(&fails(failed, kind, errno), &[words]);
    }
}

#[test]
fn every_other_errno_of_semop_has_a_kind() {
    let set = OwnedSet::new(&[5]);
    let semaphore = set.semaphore(0);
    for (errno, kind) in [
        (libc::ENOMEM, ErrorKind::OutOfMemory),
        (libc::ENOSYS, ErrorKind::Unsupported),
        (libc::EFAULT, ErrorKind::Other),
        (libc::EIDRM, ErrorKind::Removed),
    ] {
        let day = Duration::from_secs(86_400);
        fails(failing(errno, || semaphore.acquire(1)), kind, errno);
        if cfg!(target_pointer_width = "64") {
            fails(
                failing(errno, || semaphore.acquire_timeout(1, day)),
                kind,
                errno,
            );
        } else {
            common::skipped(
                "on 32-bit machines waits with a timeout go past the C library's function",
            );
        }
        fails(failing(errno, || semaphore.lock()), kind, errno);
    }
    for errno in [libc::ENOMEM, libc::ENOSPC] {
        let undo = failing(errno, || semaphore.with_undo().acquire(1));
        let undo = fails(undo, ErrorKind::OutOfMemory, errno);
        assert_says(&undo, &["SEM_UNDO", "no room"]);
    }
    assert_eq!(set.values().unwrap(), [5]);
}

#[test]
fn a_set_whose_last_step_of_creation_fails_is_removed_again() {
    let key = OwnedSetKey::random();
    // semget goes through, the operation that says that the set is ready does not.
    let failed = {
        let create = || SemaphoreSet::create_new(key.key(), &[0]);
        ONLY_OPERATIONS.set(true);
        let failed = failing(libc::ENOMEM, create);
        ONLY_OPERATIONS.set(false);
        failed
    };
    fails(failed, ErrorKind::OutOfMemory, libc::ENOMEM);
    let gone = SemaphoreSet::open(key.key());
    fails(gone, ErrorKind::NotFound, libc::ENOENT);
}
