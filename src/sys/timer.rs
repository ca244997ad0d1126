//! What ends a wait in time: naps that a signal ends, and a timer that signals one thread.

use super::{Errno, check};
use std::ffi::c_int;
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::{mem, ptr};

/// `nanosleep(&duration)`, once: `EINTR` if a handled signal ended it early.
pub(crate) fn nap(duration: Duration) -> Result<(), Errno> {
    let request = timespec(duration);
    // SAFETY: `request` lives across the call; a null pointer asks for no rest.
    check(unsafe { libc::nanosleep(&raw const request, std::ptr::null_mut()) }).map(drop)
}

/// More than 68 years count as 68 years: a `time_t` of 32 bits holds no more.
fn timespec(duration: Duration) -> libc::timespec {
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless)] // Both widths differ by target.
    libc::timespec {
        tv_sec: duration.as_secs().min(i32::MAX as u64) as _,
        tv_nsec: duration.subsec_nanos() as _,
    }
}

/// Whether the calling thread would run a handler for `signal`; `EINVAL` where there is no such signal.
#[cfg(target_os = "linux")]
pub(crate) fn is_handled(signal: c_int) -> Result<bool, Errno> {
    // SAFETY: all zeros is a value of both structs: integers, and a handler that is SIG_DFL.
    let (mut action, mut blocked): (libc::sigaction, libc::sigset_t) = unsafe { mem::zeroed() };
    // SAFETY: asks alone; `action` is a whole sigaction.
    check(unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) })?;
    // SAFETY: asks alone; `blocked` is a whole sigset_t.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut blocked) } {
        0 => {}
        errno => return Err(Errno(errno)),
    }
    // SAFETY: `blocked` was filled above, and the signal exists, as sigaction said.
    let is_blocked = unsafe { libc::sigismember(&raw const blocked, signal) } == 1;
    let handled = ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
    Ok(handled && !is_blocked)
}

/// A timer that sends one thread a signal, again and again, until the value goes.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct ThreadTimer(libc::timer_t);

#[cfg(target_os = "linux")]
impl ThreadTimer {
    /// `timer_create` with `SIGEV_THREAD_ID` for the calling thread, `timer_settime`: first after `first`, which is not
    /// 0, then every `interval`.
    pub(crate) fn start(signal: c_int, first: Duration, interval: Duration) -> Result<Self, Errno> {
        // SAFETY: the struct holds integers and a pointer that may be null: all zeros is a value of it.
        let mut event: libc::sigevent = unsafe { mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal;
        // SAFETY: gettid has no preconditions and cannot fail.
        event.sigev_notify_thread_id = unsafe { libc::gettid() };
        let mut timer: libc::timer_t = ptr::null_mut();
        let clock = libc::CLOCK_MONOTONIC;
        // SAFETY: both structs are whole and live across the call.
        check(unsafe { libc::timer_create(clock, &raw mut event, &raw mut timer) })?;
        let timer = Self(timer);
        let times = libc::itimerspec {
            it_interval: timespec(interval),
            it_value: timespec(first),
        };
        // SAFETY: the timer was made above; `times` lives across the call, and nobody asks for the old ones.
        check(unsafe { libc::timer_settime(timer.0, 0, &raw const times, ptr::null_mut()) })?;
        Ok(timer)
    }
}

#[cfg(target_os = "linux")]
impl Drop for ThreadTimer {
    fn drop(&mut self) {
        // SAFETY: the timer was made by `start` and is deleted once.
        let _ = unsafe { libc::timer_delete(self.0) };
    }
}

/// Only Linux has such timers for certain.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct ThreadTimer;

#[cfg(not(target_os = "linux"))]
impl ThreadTimer {
    /// `ENOSYS`.
    pub(crate) fn start(_: c_int, _: Duration, _: Duration) -> Result<Self, Errno> {
        Err(Errno(libc::ENOSYS))
    }
}

/// Not asked for where there are no such timers.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_handled(_signal: c_int) -> Result<bool, Errno> {
    Err(Errno(libc::ENOSYS))
}
