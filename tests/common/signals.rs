//! Signals that the tests were told to ignore.
//!
//! A shell script's `cargo test &` runs with SIGINT ignored, and `nohup` with SIGHUP. exec(2) keeps that, so a peer
//! that a test ends by a signal would not end. What exec(2) does not keep is a handler: it becomes the default again.

/// Those that a test sends, or by whose default a process learns of its children.
const SENT: [libc::c_int; 7] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

extern "C" fn nothing(_: libc::c_int) {}

/// Sees to it that processes started from now on have the default for every signal that a test sends. This process
/// goes on ignoring those that it was told to ignore.
pub(super) fn heed_in_children() {
    for signal in SENT {
        if is_ignored(signal) {
            let handler: extern "C" fn(libc::c_int) = nothing;
            set(signal, handler as libc::sighandler_t);
        }
    }
    // Ignored, wait(2) would find no child that has ended. The default does nothing else.
    if is_ignored(libc::SIGCHLD) {
        set(libc::SIGCHLD, libc::SIG_DFL);
    }
}

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks alone; the kernel fills in the action.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
    assert_eq!(done, 0, "signal {signal}");
    // SAFETY: zeroed, and filled in by the successful call.
    unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

fn set(signal: libc::c_int, handler: libc::sighandler_t) {
    // SAFETY: all zeros are an action: the default, an empty mask, no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action is whole, and its handler, if it has one, does nothing.
    let done = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    assert_eq!(done, 0, "signal {signal}");
}
