//! Sleeping on a word of shared memory, and the barrier that lets the sleeper pay for it.
//!
//! futex(2) and membarrier(2) are Linux's. Elsewhere a sleeper looks again every half millisecond, and there is no
//! barrier.

use super::Errno;
use std::time::Duration;

/// `syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout)`, shared between processes: sleeps while the word is
/// `expected`, at most `timeout`.
///
/// Returns for any reason: woken, timed out, interrupted, or the word differs. The caller looks for itself.
///
/// # Safety
///
/// `word` is a multiple of 4 and stays mapped and readable during the call.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn wait(word: *const u32, expected: u32, timeout: Duration) {
    #[allow(clippy::cast_lossless)] // The field's width differs by target.
    let timeout = libc::timespec {
        // Slices are short; a wish beyond the range of a 32-bit time_t is served by looking again earlier.
        tv_sec: timeout.as_secs().min(1 << 30) as _,
        tv_nsec: timeout.subsec_nanos() as _,
    };
    // SAFETY: the kernel reads four bytes that the caller vouches for, and a timespec that lives across the call.
    let _ = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word,
            libc::FUTEX_WAIT,
            expected,
            &raw const timeout,
        )
    };
}

/// `syscall(SYS_futex, word, FUTEX_WAKE, count)`: wakes up to `count` sleepers of any process, and says how many
/// there were.
///
/// # Safety
///
/// `word` is a multiple of 4 and stays mapped and readable during the call.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn wake(word: *const u32, count: u32) -> u32 {
    let count = count.min(i32::MAX as u32);
    // SAFETY: the kernel only uses the address to find the page the caller vouches for.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, count) };
    u32::try_from(woken).unwrap_or(0)
}

/// No futex here: a short sleep, and the caller looks again.
///
/// # Safety
///
/// None; the signature is Linux's.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn wait(_word: *const u32, _expected: u32, timeout: Duration) {
    std::thread::sleep(timeout.min(Duration::from_micros(500)));
}

/// Nobody sleeps on a word here.
///
/// # Safety
///
/// None; the signature is Linux's.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn wake(_word: *const u32, _count: u32) -> u32 {
    0
}

/// `MEMBARRIER_CMD_GLOBAL_EXPEDITED`: every running thread of every registered process, and the caller, has
/// executed a full barrier.
#[cfg(target_os = "linux")]
pub(crate) fn membarrier_global_expedited() -> Result<(), Errno> {
    membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED as libc::c_int)
}

/// `MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED`: this process takes part from now on. Survives fork, not exec.
#[cfg(target_os = "linux")]
pub(crate) fn membarrier_register() -> Result<(), Errno> {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED as libc::c_int)
}

#[cfg(target_os = "linux")]
fn membarrier(command: libc::c_int) -> Result<(), Errno> {
    // SAFETY: the call takes numbers alone and touches no memory of this process.
    let returned = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if returned < 0 {
        return Err(Errno::last());
    }
    Ok(())
}

/// Linux only.
#[cfg(not(target_os = "linux"))]
pub(crate) fn membarrier_global_expedited() -> Result<(), Errno> {
    Err(Errno(libc::ENOSYS))
}

/// Linux only.
#[cfg(not(target_os = "linux"))]
pub(crate) fn membarrier_register() -> Result<(), Errno> {
    Err(Errno(libc::ENOSYS))
}
