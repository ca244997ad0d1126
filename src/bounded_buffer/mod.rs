//! The producer/consumer problem: one process makes items, another uses them, and a buffer of limited size lies
//! between them.
//!
//! The producer must wait when the buffer is full, the consumer when it is empty, nothing may be lost or seen half
//! written, and either process may be killed at any moment.
//!
//! | | [`lecture`] | [`spsc`] | [`mpmc`] |
//! |---|---|---|---|
//! | layout | C's, byte for byte: `item buffer[N]; int in; int out;` | a versioned header, documented | a versioned header, documented |
//! | items held | N-1 | capacity, all of it | capacity, all of it |
//! | roles | one producer, one consumer, on trust | claimed; a second live claim is refused; a dead one is taken over | as many of each as its table has entries, 512 in all at most |
//! | waiting | a busy loop or yielding, as taught | looks for a moment, then sleeps; timeouts | the same |
//! | killed at any instruction | as in C | the promise below; the next process takes over | the promise below; the others go on |
//!
//! Take `lecture` to talk to a C program that has this very buffer, or to learn; else [`spsc`], unless there are
//! several producers or several consumers, as in [a queue of jobs](mpmc#a-queue-of-jobs). C programs can take part
//! in the two rings as well, with `examples/c/spsc.h` and `examples/c/mpmc.h`.
//!
//! # Example
//!
//! ```
//! use sysvshm::bounded_buffer::spsc::BoundedBuffer;
//! use sysvshm::Key;
//!
//! let key = Key::random()?; // Key::from_path("SYSUOS", 44) between programs
//! let buffer = BoundedBuffer::<u64>::open_or_create(key, 1024)?;
//! let mut producer = buffer.producer()?;
//! producer.push(42)?;
//!
//! // Perhaps in another process:
//! let buffer = BoundedBuffer::<u64>::open(key)?;
//! let mut consumer = buffer.consumer()?;
//! assert_eq!(consumer.pop()?, 42);
//!
//! buffer.segment().mark_for_removal()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The promise
//!
//! Of [`spsc`] and [`mpmc`]: every push, pop and batch is one operation that takes effect at one machine
//! instruction. A process killed before it has done nothing; killed after it, it has done it all. Nothing in
//! between: no item lost, doubled or torn, no slot lost, and no live process, polling or sleeping, waits for a dead
//! one longer than 100 ms after the kernel has released the dead one's memory (or than the
//! [`liveness_interval`](spsc::Consumer::liveness_interval) that its handle was given).
//!
//! What a process did with an item *after* its pop took effect died with it. Whoever needs each item handled at
//! least once works in place and releases afterwards: [`spsc::Consumer::peek`].
//! [The guide](crate::guide::crash_safety) has a chapter on what to build on this, and on data outside the buffers.
//!
//! # Liveness
//!
//! Each process that takes part attaches one tiny private segment, its token, of mode 0 and marked for removal at
//! once: the kernel destroys it with the process's memory, and `shmctl(SHM_STAT_ANY)` on its identifier tells
//! whether the process lives. That is immune to process ids that repeat, to zombies, to pid and user namespaces. So
//! `ipcs` shows, for each process with a role (and for a moment while it opens a ring), one segment of mode 0 and at
//! most 1 MiB, of which no page is used, state `dest`; none outlives its process, except when a process is killed in
//! the few microseconds between creating and marking it (then: nobody attached, not marked; `ipcrm` is safe).
//! [`system::abandoned_tokens`](crate::system::abandoned_tokens) finds and removes those.
//!
//! What cannot be known counts as life. A call that the kernel, an emulator or a filter does not know answers as if
//! nobody lived, so death counts only where the same call shows the ring's own segment; where it does not,
//! `/proc/sysvipc/shm` is read, and then `IPC_STAT` asked.
//!
//! | who | can | cannot |
//! |---|---|---|
//! | a user without rights | delay the notice of a death: by creating 4,194,240 segments (17 s of a loop), until an identifier comes round, and keeping one of the token's size under it | make a living process seem dead; attach, change or remove a token |
//! | a process of the same user | also set the mode of a token back, and attach it: its process seems alive until that one detaches | make a living process seem dead, other than by ending or tracing it |
//! | root | all of that for every user | |
//! | whoever may write the ring | write nonsense: see below | |
//!
//! Where there cannot be a token (outside Linux, and where a sandbox refuses `madvise` or an emulator ignores it) a
//! process is known by its id and the time it started: after `exec` it still seems alive, and in another pid
//! namespace, or with the `/proc` of one, nobody judges it. Outside Linux that has been type-checked only, and was
//! never run.
//!
//! [`inspect`](crate::inspect) shows from outside who takes part in a ring, and who of them is dead.
//!
//! A process that cannot see the buffer's own identifier (another IPC namespace) may not take part, and judges
//! nobody.
//!
//! # What this does not protect you from
//!
//! * A peer that writes nonsense: that is wrong items, an error called `Corrupted`, or a wait that its timeout
//!   ends; never an access outside the buffer, a panic, or an endless `try_` or timed call.
//! * A peer that is stopped, or lives and does nothing: waits without a timeout wait for it.
//! * A buffer that nobody removes stays, with its items, until the next reboot. That is what lets a restarted
//!   process go on. Where the administrator has set `kernel.shm_rmid_forced` to 1 it goes, with its items, as soon as
//!   no process has it attached: see [the guide](crate::guide::lifecycle#forced-removal-kernelshm_rmid_forced).

pub mod lecture;
pub mod mpmc;
pub mod spsc;

pub use crate::ring::front::canceller::Canceller;
pub use crate::ring::front::chunk::{Peek, Reservation};
pub use crate::ring::front::consumer::Consumer;
pub use crate::ring::front::error::OpenError;
pub use crate::ring::front::iter::{Iter, TryIter};
pub use crate::ring::front::options::Options;
pub use crate::ring::front::participant::Participant;
pub use crate::ring::front::producer::Producer;
pub use crate::ring::front::refusal::{PopError, PushError};
pub use crate::ring::front::ring::BoundedBuffer;
pub use crate::ring::protocol::Protocol;
pub use crate::ring::protocol::error::ClaimError;
pub use crate::ring::protocol::role::{PeerState, Role};
pub use crate::ring::shm::slots::Layout;
pub use crate::ring::wait::Waiting;
