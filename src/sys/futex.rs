//! Sleeping on a word of shared memory, and the barrier that lets the sleeper pay for it.
//!
//! futex(2) and membarrier(2) are Linux's. Elsewhere a sleeper looks again every half millisecond, and there is no
//! barrier.

use super::Errno;
use std::time::Duration;

/// The kernel's `struct timespec` for `SYS_futex`, by its width in the kernel's interface. The C library's may have
/// another: on 32-bit machines with a 64-bit `time_t` it is twice as long as what this call reads.
#[cfg(target_os = "linux")]
#[repr(C)]
struct Timespec<Word> {
    seconds: Word,
    nanoseconds: Word,
}

#[cfg(target_os = "linux")]
impl<Word: From<i32>> Timespec<Word> {
    /// Slices are short; a wish beyond the range of 32 bits is served by looking again earlier.
    fn new(timeout: Duration) -> Self {
        Self {
            seconds: Word::from(timeout.as_secs().min(1 << 30) as i32),
            nanoseconds: Word::from(timeout.subsec_nanos() as i32),
        }
    }
}

/// `syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout)`, shared between processes: sleeps while the word is
/// `expected`, at most `timeout`.
///
/// Returns for any reason: woken, timed out, interrupted, or the word differs. The caller looks for itself. Says
/// whether it was interrupted: `EINTR`, whether the handler was installed with `SA_RESTART` or not, because the kernel
/// does not restart a call with a timeout after a handler has run.
///
/// # Safety
///
/// `word` is a multiple of 4 and stays mapped and readable during the call.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn wait(word: *const u32, expected: u32, timeout: Duration) -> bool {
    // x32 has 32-bit pointers and the 64-bit calls.
    #[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
    {
        let timeout = Timespec::<i64>::new(timeout);
        // SAFETY: the caller answers for the word; 64-bit kernels read two 64-bit words here.
        let slept = unsafe { wait_by(libc::SYS_futex, word, expected, &timeout) };
        slept == Err(Errno(libc::EINTR))
    }
    #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
    {
        // SAFETY: as above; this call reads two 64-bit words on every machine that has it.
        let mut slept =
            unsafe { wait_by(FUTEX_TIME64, word, expected, &Timespec::<i64>::new(timeout)) };
        if slept == Err(Errno(libc::ENOSYS)) {
            // SAFETY: as above; on 32-bit machines the old call reads two 32-bit words.
            slept = unsafe {
                wait_by(
                    libc::SYS_futex,
                    word,
                    expected,
                    &Timespec::<i32>::new(timeout),
                )
            };
        }
        slept == Err(Errno(libc::EINTR))
    }
}

/// `SYS_futex_time64`, Linux 5.1. The same number on all 32-bit machines but MIPS, which knows no call of this number.
#[cfg(all(
    target_os = "linux",
    not(any(target_pointer_width = "64", target_arch = "x86_64"))
))]
const FUTEX_TIME64: libc::c_long = 422;

/// # Safety
///
/// `word` as for [`wait`]; `call` is a futex call that reads a timeout of this width.
#[cfg(target_os = "linux")]
unsafe fn wait_by<Word>(
    call: libc::c_long,
    word: *const u32,
    expected: u32,
    timeout: &Timespec<Word>,
) -> Result<(), Errno> {
    let timeout = &raw const *timeout;
    // SAFETY: the kernel reads four bytes that the caller vouches for, and a timeout that lives across the call.
    let slept = unsafe { libc::syscall(call, word, libc::FUTEX_WAIT, expected, timeout) };
    if slept < 0 {
        return Err(Errno::last());
    }
    Ok(())
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

/// No futex here: a short sleep, and the caller looks again. A signal does not end it.
///
/// # Safety
///
/// None; the signature is Linux's.
#[cfg(not(target_os = "linux"))]
pub(crate) unsafe fn wait(_word: *const u32, _expected: u32, timeout: Duration) -> bool {
    std::thread::sleep(timeout.min(Duration::from_micros(500)));
    false
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
