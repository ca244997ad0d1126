//! What every test file shares: guards that clean up even when a test panics, peers in other processes, and a last
//! look for leftovers.
//!
//! * [`Owned`] removes a segment, [`OwnedKey`] whatever is found under a key, [`Running`] kills a process;
//!   [`OwnedSet`] and [`OwnedSetKey`] do it for semaphore sets, [`OwnedQueue`] and [`OwnedQueueKey`] for queues.
//! * [`peer!`] declares a piece of a test that runs in a re-executed copy of the test binary, as another user or in
//!   a private IPC namespace if need be.
//! * [`Forked`] is a forked child of a peer.
//! * [`death_of`] says which signal a few raw accesses raise.
//! * [`for_each_case`] checks a property in many cases drawn from a seed, and names the one that fails.
//! * [`alone`] keeps tests of one binary apart that change what the whole machine shares.
//! * [`skipped`] says loudly what this machine cannot show.
//! * A binary that used any of these looks at exit for segments, semaphore sets and message queues that its processes left
//!   behind, removes them and fails the run.
#![allow(dead_code, unused_imports, unused_macros)] // Each test file uses a part of it.
#![allow(unsafe_code)] // fork, setuid and their like are what these tests are about.

mod c_program;
mod forked;
#[cfg(target_os = "linux")]
pub(crate) mod huge_pool;
mod leftovers;
mod mapping;
#[cfg(target_os = "linux")]
mod namespaces;
mod peer;
mod queues;
mod random;
mod semaphores;
mod signals;

pub(crate) use c_program::CProgram;
pub(crate) use forked::{Forked, Gate};
pub(crate) use leftovers::watch;
pub(crate) use mapping::Mapping;
#[cfg(target_os = "linux")]
pub(crate) use namespaces::{
    enter_namespace, enter_new_user_namespace, enter_new_user_namespace_and, leave_namespace,
    this_namespace,
};
pub(crate) use peer::{Peer, Running, Talk, enter_private_namespace, peer};
#[cfg(target_os = "linux")]
pub(crate) use queues::until_asleep_in;
pub(crate) use queues::{OwnedQueue, OwnedQueueKey};
pub(crate) use random::{Random, budget, for_each_case, seed};
pub(crate) use semaphores::{OwnedSet, OwnedSetKey, until};

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use sysvshm::{Key, SegmentId, SegmentOptions};

/// A user and group that no test segment of root belongs to: `nobody` on most systems.
pub(crate) const NOBODY: u32 = 65534;

/// Says on the terminal, past the harness that captures `eprintln!`, that something was not checked and why.
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current();
    let line = format!("skipped: {}: {why}\n", test.name().unwrap_or("a test"));
    // In one piece, so that tests that run side by side do not mix their lines.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Waits until no other test of this binary holds the guard.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed put back what it had changed: its guards ran.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process may become another user and enter a private IPC namespace. Says "skipped" if not.
pub(crate) fn root_or_skip() -> bool {
    let root = euid() == 0;
    if !root {
        skipped("needs root, to become another user or to have a private IPC namespace");
    }
    root
}

/// The options with an address to attach at. For ranges that no stack and no other code of the test comes to use, or
/// that the attach is going to refuse.
pub(crate) fn at(options: &SegmentOptions, address: usize) -> SegmentOptions {
    let mut options = options.clone();
    // SAFETY: the tests name only such ranges.
    unsafe { options.address(address) };
    options
}

pub(crate) fn euid() -> u32 {
    // SAFETY: no preconditions, cannot fail.
    unsafe { libc::geteuid() }
}

pub(crate) fn egid() -> u32 {
    // SAFETY: no preconditions, cannot fail.
    unsafe { libc::getegid() }
}

pub(crate) fn page() -> usize {
    // SAFETY: sysconf takes a number and touches no memory.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

/// A segment that is marked for removal when this value goes. That it is gone already is fine.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) SegmentId);

impl Owned {
    /// An unattached segment without a key.
    pub(crate) fn new(size_bytes: usize, mode: u32) -> Self {
        watch();
        let mut options = SegmentOptions::new();
        let id = options.size_bytes(size_bytes).mode(mode);
        Self(id.create_unattached(Key::PRIVATE).unwrap())
    }

    /// Guards what something else created.
    pub(crate) fn guard(raw: i32) -> Self {
        watch();
        Self(SegmentId::from_raw(raw))
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.0
    }

    pub(crate) fn raw(&self) -> i32 {
        self.0.as_raw()
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.mark_for_removal();
    }
}

/// A fresh key; whatever segment has it when this value goes is marked for removal.
#[derive(Debug)]
pub(crate) struct OwnedKey(pub(crate) Key);

impl OwnedKey {
    pub(crate) fn random() -> Self {
        Self::guard(Key::random().unwrap())
    }

    pub(crate) fn guard(key: Key) -> Self {
        watch();
        Self(key)
    }

    pub(crate) fn key(&self) -> Key {
        self.0
    }

    /// An unattached segment under this key.
    pub(crate) fn create(&self, size_bytes: usize, mode: u32) -> SegmentId {
        let mut options = SegmentOptions::new();
        let options = options.size_bytes(size_bytes).mode(mode);
        options.create_unattached(self.0).unwrap()
    }
}

impl Drop for OwnedKey {
    fn drop(&mut self) {
        if let Ok(id) = SegmentId::find(self.0) {
            let _ = id.mark_for_removal();
        }
    }
}

/// The signal that ends a forked child which runs `act`, or `None` if it survives. No core is dumped.
///
/// The child has one thread and the memory of all: `act` may make system calls and touch memory, never allocate,
/// lock or panic.
///
/// Only for a [`peer!`]: a fork raises the count of attaches of every segment that the process holds, and tests run
/// side by side.
pub(crate) fn death_of(act: impl FnOnce()) -> Option<i32> {
    assert!(peer::is_peer());
    // SAFETY: the child makes system calls and what `act` promises, then ends without running any destructor.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", std::io::Error::last_os_error());
    if child == 0 {
        limit(libc::RLIMIT_CORE, 0);
        act();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: `child` is a child of this process that nobody else waits for.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status))
}

/// What `RLIMIT_AS` and its like are: glibc has a type of its own.
#[cfg(target_env = "gnu")]
pub(crate) type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub(crate) type Resource = std::ffi::c_int;

/// Lowers soft and hard limit of this process; for a [`peer!`], because there is no way back. Allocates nothing.
pub(crate) fn limit(resource: Resource, value: u64) {
    let limit = libc::rlimit {
        rlim_cur: value as libc::rlim_t,
        rlim_max: value as libc::rlim_t,
    };
    // SAFETY: `limit` is a whole rlimit.
    let done = unsafe { libc::setrlimit(resource, &raw const limit) };
    assert_eq!(done, 0);
}

/// Writes a file of `/proc/sys/kernel` that belongs to the IPC namespace; for a peer in a private one.
pub(crate) fn set_sysctl(name: &str, value: impl ToString) {
    let path = format!("/proc/sys/kernel/{name}");
    std::fs::write(&path, value.to_string()).unwrap_or_else(|error| panic!("{path}: {error}"));
}

pub(crate) fn sysctl(name: &str) -> String {
    let path = format!("/proc/sys/kernel/{name}");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.trim().to_owned()
}

/// Hides `/proc` from the calling thread, as a chroot does from a process.
#[allow(clippy::multiple_unsafe_ops_per_block)] // Three calls, one reason.
pub(crate) fn lose_proc() {
    // SAFETY: plain numbers and C strings; only the mounts of the calling thread change.
    let done = unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::umount2(c"/proc".as_ptr(), libc::MNT_DETACH) == 0
    };
    assert!(done, "{}", std::io::Error::last_os_error());
    assert!(!std::path::Path::new("/proc/thread-self").exists());
}

/// Sleeps into the next second but one, because the kernel's times are whole seconds.
pub(crate) fn let_a_second_pass() {
    std::thread::sleep(std::time::Duration::from_millis(1100));
}

/// Asserts that a message says everything in `parts`.
#[track_caller]
pub(crate) fn assert_says(error: &sysvshm::Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// Asserts kind and errno of a failure, and returns the error for a look at its words.
#[track_caller]
pub(crate) fn fails<T: std::fmt::Debug>(
    result: Result<T, sysvshm::Error>,
    kind: sysvshm::ErrorKind,
    errno: impl Into<Option<i32>>,
) -> sysvshm::Error {
    let error = result.expect_err("this should have failed");
    assert_eq!(
        (error.kind(), error.raw_os_error()),
        (kind, errno.into()),
        "{error}"
    );
    error
}
