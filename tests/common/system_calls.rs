//! Counts the system calls of a program (ptrace): what must not grow faster than its input is counted, not timed.
//!
//! Included by its path where it is used.
#![allow(unsafe_code)] // Traces another process.

use std::collections::HashMap;
use std::io;
use std::mem::size_of;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// Runs a program of one thread to its end, and says how often it made each system call, by the kernel's numbers.
///
/// An error where this process may not trace its children.
pub(crate) fn count(command: &mut Command) -> io::Result<HashMap<u64, usize>> {
    let trace_me = || {
        // SAFETY: asks to be traced by the parent, which does so below.
        let failed = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) };
        match failed {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: one system call, which is allowed between fork and exec.
    let child = unsafe { command.pre_exec(trace_me) }.spawn()?;
    let pid = child.id() as i32;
    // It stops when it has executed the program.
    assert!(libc::WIFSTOPPED(wait(pid)));
    request(
        libc::PTRACE_SETOPTIONS,
        pid,
        libc::PTRACE_O_TRACESYSGOOD as usize,
    );

    let mut calls = HashMap::new();
    let mut signal = 0;
    loop {
        request(libc::PTRACE_SYSCALL, pid, signal as usize);
        let status = wait(pid);
        if !libc::WIFSTOPPED(status) {
            return Ok(calls);
        }
        // PTRACE_O_TRACESYSGOOD marks the stops before and after a call; other signals are passed on.
        signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            signal = 0;
            if let Some(call) = entered(pid) {
                *calls.entry(call).or_default() += 1;
            }
        }
    }
}

/// The number of the call before which the process stands; `None` if it stands after one.
fn entered(pid: i32) -> Option<u64> {
    // SAFETY: all zeros is one of its values.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    let place = &raw mut info;
    // SAFETY: at most `size` bytes are written there.
    let got = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, place) };
    assert!(got > 0, "{}", io::Error::last_os_error());
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that it is this member.
    Some(unsafe { info.u.entry.nr })
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a child of this process that nothing else waits for.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(waited, pid);
    status
}

fn request(request: libc::c_uint, pid: i32, data: usize) {
    // SAFETY: a request that passes a number, to a stopped child that this thread traces.
    let failed = unsafe { libc::ptrace(request, pid, ptr::null_mut::<u8>(), data) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
}
