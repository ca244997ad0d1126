//! Who takes part in a ring, and whether the kernel still keeps them alive.
//!
//! A process id is a poor answer to "is my peer alive?": numbers repeat, a zombie still has one, and in another pid
//! namespace it is another one. So each process that takes part attaches one tiny private segment of its own, its
//! *token*, and marks it for removal at once. The kernel destroys it when it tears down the memory of the process,
//! however that ends (exit, SIGKILL, exec), and from then on no segment has its identifier. Asking for the
//! identifier is the test of life.
//!
//! ```text
//! shmget(IPC_PRIVATE, nonce bytes, 0400)     the size is a random number, for when the identifier comes again
//! shmat(SHM_RDONLY)
//! madvise(MADV_DONTFORK)                     a child must not keep its parent alive
//! shmctl(IPC_STAT): nattch == 1?             more: a fork came between; give it up and make another
//! shmctl(IPC_SET): mode 0                    nobody else attaches it, which would keep the dead alive
//! shmctl(IPC_RMID)                           from now on it lives as long as this attach
//! shmctl(SHM_STAT_ANY)                       can it be asked for at all?
//! ```
//!
//! What stands in shared memory for a participant is an *owner id*, one word, so that a role changes hands by one
//! compare-and-swap:
//!
//! | bits | hold |
//! |---|---|
//! | 0 to 30 | identifier of the token |
//! | 31 to 62 | its size in bytes: the nonce |
//! | 63 | 0 |
//!
//! 0 is none. Neither identifier nor size can be changed by any call while the segment exists. Owner, mode and
//! change time move with `IPC_SET`; the creator's user id reads differently in another user namespace; so none of
//! them is in the word.
//!
//! # The verdict
//!
//! `SHM_STAT_ANY` (Linux 4.17) asks for no permission, so it is answered for mode 0, to every user, from every user
//! namespace. The kernel finds the slot by the low bits of the identifier and ignores the others. So:
//!
//! | answer | means |
//! |---|---|
//! | the identifier and size asked for | alive |
//! | another identifier, another size, `EINVAL`, `EIDRM` | dead, if the same call shows the ring's own segment |
//! | anything else, such as `EACCES` of a security module, `EPERM` of a filter | not told |
//!
//! The ring's own segment is the witness ([`NamespaceAnchor`]), because an unknown command is answered with `EINVAL`
//! too (by an older kernel, qemu's user-mode emulation, a seccomp filter), and because a thread in another IPC
//! namespace sees no participant at all. Where one way of asking does not show the witness, the next one is taken:
//! `/proc/sysvipc/shm`, then `IPC_STAT`. Where none does, nobody is judged, and what is not known counts as life. A
//! living participant costs one call, a dead one three and a look at the namespace.
//!
//! # What others can do
//!
//! | who | can | cannot |
//! |---|---|---|
//! | a user without rights to token and ring | create segments: once an identifier comes round, after 4,194,240 creations (17 s of a loop), one with the token's size makes the dead seem alive until it is removed; exhaust `shmmni` or `shmall`, and no token can be made | attach a token; change or remove one; make a living process seem dead |
//! | a process of the same user | the same; set the mode of a token back and attach it, which keeps its process alive after death until it detaches; write to the ring | make a living process seem dead by any System V call: what is marked for removal stays while it is attached. (`ptrace` and signals do worse) |
//! | root | all of that for every user | |
//! | whoever may write the ring | write any owner id into it: then roles are lost or taken, and items wrong, never memory unsafe | |
//!
//! # What this does not protect you from
//!
//! * A process in another IPC namespace sees no token at all. So it may not take part, and judges nobody.
//! * The token goes at the end of the tear-down of the dead process, after a core dump and after its other memory
//!   (about 0.14 ms per MiB).
//! * A stopped process is alive. A hostile one can pretend to be.
//! * An identifier is given again after 4,194,240 creations, and the sizes of two tokens agree once in a million. A
//!   dead participant that nobody has noticed until then is noticed late, when the other token goes.
//! * Killed between `shmget` and `IPC_RMID`, a process leaves its token behind: mode 0400 or 0, nobody attached, at
//!   most 1 MiB. [`system::abandoned_tokens`](crate::system::abandoned_tokens) finds it.
//! * A process that locks all its memory (`mlockall(MCL_FUTURE)`) locks its token too, up to 1 MiB.
//!
//! # The process itself, where there cannot be a token
//!
//! Outside Linux an identifier that is marked for removal cannot be relied upon. On Linux a sandbox may refuse
//! `madvise`, and qemu's user-mode emulation ignores it. There the process is its own token, known by its number and
//! the time it started, which two processes of one number do not have in common:
//!
//! | bits | hold on Linux | hold on macOS | hold on FreeBSD |
//! |---|---|---|---|
//! | 0 to 21, elsewhere 0 to 30 | process id | process id | process id |
//! | 22 to 41, elsewhere 31 to 62 | clock ticks from boot to its start, low bits | microseconds from 1970 to its start, low bits | microseconds from boot to its start, low bits |
//! | 42 to 53 | low bits of the inode of its pid namespace | | |
//! | 54 to 62 | low bits of the inode of its time namespace | | |
//! | 63 | 1 | 1 | 1 |
//!
//! FreeBSD keeps the start relative to boot and adds the time of boot when asked; that changes with the clock, so
//! it is taken off again. A dead participant is mistaken for a living one if its number is reused, by a process that
//! started a multiple of 2.9 hours (elsewhere 72 minutes) later, to the tick.
//!
//! The test of life is `kill(pid, 0)` and `/proc/PID/stat` on Linux, `sysctl(KERN_PROC_PID)` elsewhere; zombies are
//! dead. Weaknesses that tokens do not have: a process that executes another program goes on being alive; in another
//! pid or time namespace, or with the `/proc` of one, nobody is judged. Where one process may not see another (FreeBSD: in another jail, or with
//! `security.bsd.see_other_uids=0`) it would take it for dead: such processes must not share a ring. Everything
//! outside Linux has been type-checked and never run.

mod inquiry;
mod namespace;
mod owner_id;
mod process;
mod token;

pub(crate) use namespace::{Named, NamespaceAnchor};
pub(crate) use owner_id::OwnerId;
pub(crate) use token::{NEW_TOKEN_MODE, TOKEN_MAX_BYTES, TOKEN_MODE, Token};

use std::time::SystemTime;

/// Whether a participant lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liveness {
    Alive,
    Dead,
    /// Cannot be told: this thread sees another IPC namespace than the ring's, or may ask nothing. Counts as life.
    Unknown,
}

/// What the kernel says about a participant that lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holder {
    /// As numbered in the pid namespace of the process that asks; `None` if it has no number there.
    pub(super) pid: Option<u32>,
    /// When its token was made, or the process if that is known and has none.
    pub(super) since: Option<SystemTime>,
}
