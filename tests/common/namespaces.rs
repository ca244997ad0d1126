//! Moving this thread between namespaces.

pub(crate) use super::peer::enter_private_namespace as leave_namespace;
use super::skipped;
use std::fs::File;
use std::os::fd::AsRawFd;

/// The IPC namespace of this thread, to come back to.
pub(crate) fn this_namespace() -> File {
    File::open("/proc/thread-self/ns/ipc").unwrap()
}

pub(crate) fn enter_namespace(namespace: &File) {
    // SAFETY: an open namespace; moves the calling thread.
    let done = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWIPC) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Moves this process, which must have one thread, as a forked child has. Says "skipped" where the system has no user
/// namespaces for its users.
pub(crate) fn enter_new_user_namespace() -> bool {
    enter_new_user_namespace_and(0)
}

/// The same, with more flags of `unshare`.
pub(crate) fn enter_new_user_namespace_and(flags: libc::c_int) -> bool {
    // SAFETY: plain numbers.
    let done = unsafe { libc::unshare(libc::CLONE_NEWUSER | flags) };
    let error = std::io::Error::last_os_error();
    match (done, error.raw_os_error()) {
        (0, _) => true,
        (_, Some(libc::EPERM | libc::ENOSPC | libc::ENOSYS)) => {
            skipped("this system lets its users have no user namespaces");
            false
        }
        _ => panic!("{error}"),
    }
}
