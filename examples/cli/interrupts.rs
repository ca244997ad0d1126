//! Ctrl-C, and the other signals by which a user or a system ends a program: SIGINT, SIGTERM, SIGHUP.
//!
//! Their default action ends the process where it is, and what System V made stays: no destructor runs. A signal
//! handler could make a few calls only. So the signals are blocked, and a thread waits for them with sigwait(3): it may
//! do whatever a thread may. Then the process ends by the signal, as its parent expects. A signal that was ignored when
//! the program began (`nohup`, `command &` in a script) stays ignored.
#![allow(unsafe_code)] // Signal masks are foreign calls.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Whether a signal has come.
static BEGUN: AtomicBool = AtomicBool::new(false);

/// The signals, held back from the moment this was made: what a program has made and not yet told of cannot be left
/// behind. To be made before any thread, which inherits it.
#[derive(Debug)]
pub(crate) struct Interrupts(libc::sigset_t);

impl Interrupts {
    /// Holds them back until [`then`](Self::then) says what they shall do. Keep that short: meanwhile Ctrl-C does
    /// nothing.
    pub(crate) fn hold() -> Self {
        let set = heeded();
        change_mask(libc::SIG_BLOCK, &set);
        Self(set)
    }

    /// Has the first of them do this, then end the process.
    pub(crate) fn then(self, act: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let Self(set) = self;
        let wait = move || {
            let mut signal = 0;
            // SAFETY: a set and an int to read and to write.
            let failed = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
            if failed == 0 {
                BEGUN.store(true, Ordering::SeqCst);
                act();
                // SAFETY: a plain number. The signal is pending for this thread alone, and blocked.
                unsafe { libc::raise(signal) };
                // Its action is the default one, as nothing here changes it.
                change_mask(libc::SIG_UNBLOCK, &set);
            }
        };
        thread::Builder::new().spawn(wait).map(drop)
    }
}

/// Does not return if a signal has come, which is about to end the process. What it does meanwhile may end what the
/// main thread did, such as a wait for a semaphore that is removed: that is no failure to be told of.
pub(crate) fn give_way() {
    while BEGUN.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Those that are not ignored. Of an ignored signal Linux would tell sigwait(3) all the same.
fn heeded() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: initialises the set, whose place it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: just initialised.
    let mut set = unsafe { set.assume_init() };
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        if !is_ignored(signal) {
            // SAFETY: an initialised set, and the number of a signal.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
    }
    set
}

fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks alone; the action is written there.
    let failed = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(failed, 0, "there is such a signal");
    // SAFETY: the call has succeeded.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// Changes which signals this thread is sent.
fn change_mask(how: c_int, set: &libc::sigset_t) {
    // SAFETY: an initialised set; the old mask is not asked for.
    let failed = unsafe { libc::pthread_sigmask(how, set, std::ptr::null_mut()) };
    assert_eq!(failed, 0, "how to change the mask is known");
}
