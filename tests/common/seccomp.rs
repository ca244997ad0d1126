//! System calls that a filter (seccomp) answers instead of the kernel, as sandboxes do.
//!
//! Included by its path, with `ipc_calls.rs`, where it is used. A filter holds for the calling thread and those it starts, for good: for a
//! [`peer!`](crate::common::peer) alone.

#![allow(dead_code)] // Each test file uses a part of it.
#![allow(unsafe_code)] // prctl.

use crate::ipc_calls::{self, Condition};
use std::ffi::c_long;

/// A call and the errno that it gets; 0 makes it succeed without having done anything.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    call: c_long,
    /// Only with such arguments.
    arguments: Vec<Condition>,
    errno: i32,
}

impl Answer {
    /// `shmctl` with this command.
    pub(crate) fn shmctl(command: i32, errno: i32) -> Self {
        Self::of(ipc_calls::shmctl_with(command), errno)
    }

    /// `semctl` with this command.
    pub(crate) fn semctl(command: i32, errno: i32) -> Self {
        Self::of(ipc_calls::semctl_with(command), errno)
    }

    fn of((call, arguments): (c_long, Vec<Condition>), errno: i32) -> Self {
        Self {
            call,
            arguments,
            errno,
        }
    }

    /// `membarrier` with this command.
    pub(crate) fn membarrier(command: i32, errno: i32) -> Self {
        Self::with(libc::SYS_membarrier, 0, command, errno)
    }

    /// `madvise` with this advice.
    pub(crate) fn madvise(advice: i32, errno: i32) -> Self {
        Self::with(libc::SYS_madvise, 2, advice, errno)
    }

    /// `madvise`, whatever the advice.
    pub(crate) fn every_madvise(errno: i32) -> Self {
        Self {
            call: libc::SYS_madvise,
            arguments: Vec::new(),
            errno,
        }
    }

    fn with(call: c_long, index: u32, value: i32, errno: i32) -> Self {
        Self::of((call, vec![(index, !0, value)]), errno)
    }
}

/// Has these calls of the calling thread answered so from now on.
pub(crate) fn install(answers: &[Answer]) {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    // Goes on if it is equal, else skips so many.
    let unless_equal_skip = |value: u32, skip: u8| libc::sock_filter {
        jf: skip,
        ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value)
    };
    let end = |action| statement(libc::BPF_RET | libc::BPF_K, action);
    // The lower half of a 64-bit argument.
    let low = if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut program = Vec::new();
    for answer in answers {
        let refusal = libc::SECCOMP_RET_ERRNO | answer.errno as u32;
        // Each condition takes three statements; the refusal follows the last.
        let mut left = 3 * answer.arguments.len() as u8 + 1;
        program.extend([load(0), unless_equal_skip(answer.call as u32, left)]);
        for &(index, mask, value) in &answer.arguments {
            left -= 3;
            program.extend([
                load(16 + 8 * index + low),
                statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask as u32),
                unless_equal_skip(value as u32, left),
            ]);
        }
        program.push(end(refusal));
    }
    program.push(end(libc::SECCOMP_RET_ALLOW));
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: plain numbers.
    let done = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(done, 0);
    // SAFETY: the program lives across the call, which copies it.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}
