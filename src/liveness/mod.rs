//! Who takes part in a buffer, and whether the kernel still keeps them alive.
//!
//! A process id is a poor answer to "is my peer alive?": numbers repeat, a zombie still has one, and in another pid
//! namespace it is another one. So each process that takes part attaches one tiny private segment of its own, its
//! *token*, and marks it for removal at once. No other process ever attaches it. The kernel destroys it when it
//! tears down the memory of the process, however that ends (exit, SIGKILL, exec), and then `shmctl(IPC_STAT)` on
//! the identifier fails. That call is the test of life.
//!
//! ```text
//! shmget(IPC_PRIVATE, nonce bytes, 0444)     the size is a random number: no later token of this identifier has it
//! shmat(SHM_RDONLY)
//! madvise(MADV_DONTFORK)                     a child must not keep its parent alive
//! shmctl(IPC_STAT): nattch == 1?             more: a fork came between; give it up and make another
//! shmctl(IPC_RMID)                           from now on it lives as long as this attach
//! ```
//!
//! What stands in shared memory for a participant is a *claim*, one word, so that a role changes hands by one
//! compare-and-swap:
//!
//! | bits | hold |
//! |---|---|
//! | 0 to 30 | identifier of the token |
//! | 31 to 47 | low bits of its creation time in seconds: equal again after 36 hours |
//! | 48 to 63 | its size in bytes, 1 to 65535: the nonce |
//!
//! 0 is nobody. A claim is mistaken for another only if the identifier is reused, after a multiple of 36 hours to
//! the second, with the same one of 65535 sizes.
//!
//! # What this does not protect you from
//!
//! * A process in another IPC namespace sees no token at all. So it may not take part, and a verdict "dead" counts
//!   only if the buffer's own identifier still names the buffer for the thread that asks.
//! * The token goes at the end of the tear-down of the dead process, after a core dump and after its other memory
//!   (about 0.14 ms per MiB).
//! * A stopped process is alive. A hostile one can pretend to be.
//! * Killed between `shmget` and `IPC_RMID`, a process leaves its token behind: mode 0444, nobody attached, at most
//!   65535 bytes. [`system::abandoned_tokens`](crate::system::abandoned_tokens) finds it.
//!
//! # Outside Linux
//!
//! There an identifier that is marked for removal cannot be relied upon. Token and claim are the process itself, by
//! its number and the time it started, which two processes of one number do not have in common:
//!
//! | bits | hold on macOS | hold on FreeBSD |
//! |---|---|---|
//! | 0 to 30 | process id | process id |
//! | 31 to 62 | microseconds from 1970 to its start, low bits | microseconds from boot to its start, low bits |
//! | 63 | 1 | 1 |
//!
//! FreeBSD keeps the start relative to boot and adds the time of boot when asked; that changes with the clock, so
//! it is taken off again. A claim is mistaken for another only if the number is reused, by a process that started a
//! multiple of 72 minutes later, to the microsecond.
//!
//! The test of life is `sysctl(KERN_PROC_PID)`; zombies are dead. Weaknesses that tokens do not have: a process
//! that executes another program goes on being alive. Where one process may not see another (FreeBSD: in another
//! jail, or with `security.bsd.see_other_uids=0`) it would take it for dead: such processes must not share a ring.
//! All this has been type-checked and never run.

mod namespace;
mod owner_id;
mod token;

pub(crate) use namespace::NamespaceAnchor;
pub(crate) use owner_id::OwnerId;
pub(crate) use token::{TOKEN_MAX_BYTES, TOKEN_MODE, Token};

/// Whether a participant lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    Alive,
    Dead,
    /// This thread sees another IPC namespace than the buffer's: it may judge nobody.
    Unknown,
}
