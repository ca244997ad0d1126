//! Forked children, for what only a fork can show: inherited attaches and inherited handles.
//!
//! For a [`peer!`](super::peer) alone. There the test runs beside one thread that only waits for it, so no lock can
//! be held by a thread that the child does not have, and the child may do what any program may.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A forked child. Killed and reaped when this value goes.
#[derive(Debug)]
pub(crate) struct Forked {
    pid: i32,
    /// A byte to here lets the child on; one from here says that it is waiting.
    gate: UnixStream,
}

/// What the child waits at.
#[derive(Debug)]
pub(crate) struct Gate(UnixStream);

impl Gate {
    /// Tells the parent that it got here, and waits to be let on.
    pub(crate) fn pass(&mut self) {
        self.0.write_all(&[1]).unwrap();
        self.0.read_exact(&mut [0]).unwrap();
    }
}

impl Forked {
    /// Forks. The child runs `body` and ends without any destructor; a panic makes it fail.
    pub(crate) fn start(body: impl FnOnce(&mut Gate)) -> Self {
        assert!(super::peer::is_peer(), "fork in a peer only");
        let (gate, childs_gate) = UnixStream::pair().unwrap();
        // SAFETY: the other thread of a peer holds no lock, see above.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
        if pid == 0 {
            // The parent's end would keep the end of file away that ends a child whose parent is gone.
            drop(gate);
            let mut gate = Gate(childs_gate);
            let done = catch_unwind(AssertUnwindSafe(|| body(&mut gate)));
            // SAFETY: ends the child at once; what it inherited is not its to clean up.
            unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) };
        }
        Self { pid, gate }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Waits until the child is at its gate.
    #[track_caller]
    pub(crate) fn arrived(&mut self) {
        let arrived = self.gate.read_exact(&mut [0]);
        assert!(arrived.is_ok(), "the child ended early");
    }

    /// Lets the child on.
    pub(crate) fn open(&mut self) {
        self.gate.write_all(&[1]).unwrap();
    }

    /// Lets the child on, waits for its end, and asserts that all went well in it.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        // Fails if the child is past its gates and gone, which is fine.
        let _ = self.gate.write_all(&[1]);
        let status = self.reap();
        assert!(libc::WIFEXITED(status), "the child was killed: {status:#x}");
        assert_eq!(libc::WEXITSTATUS(status), 0, "the child failed");
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        // SAFETY: a child that was not waited for yet.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let status = self.reap();
        assert!(libc::WIFSIGNALED(status), "the child had ended already");
    }

    fn reap(&mut self) -> i32 {
        let mut status = 0;
        // SAFETY: a child of this process that nobody else waits for.
        let waited = unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
        assert_eq!(waited, self.pid);
        self.pid = 0;
        status
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if self.pid > 0 {
            // SAFETY: a child that was not waited for yet.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.reap();
        }
    }
}
