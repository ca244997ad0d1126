//! System V shared memory, safe: `ftok`, `shmget`, `shmat`, `shmdt` and `shmctl` behind values that clean up after
//! themselves, and typed views of the bytes that stay sound whatever other processes write there.
//!
//! | to | look at |
//! |---|---|
//! | name a segment | [`Key`]: `ftok`, a number, or none at all |
//! | create, find or attach one | [`SegmentOptions`], which give a [`Segment`]: attached, and detached when dropped |
//! | share an array, as C's `int *arr = shmat(...)`, or a struct | [`SharedArray`], [`SharedStruct`] with [`shared_struct!`] |
//! | view other parts of a segment: C structs, buffers, counters | [`memory`]: [`SharedSlice`], [`SharedRef`] and [`field!`] |
//! | ask for status, change owner or mode, remove, without attaching | [`SegmentId`], [`Status`] |
//! | say whose turn it is: `semget`, `semop`, `semtimedop`, `semctl` | [`SemaphoreSet`] |
//! | share a value larger than a word that no kill leaves half written | [`memory::cell`] |
//! | send messages through the kernel: `msgget`, `msgsnd`, `msgrcv`, `msgctl` | [`MessageQueue`] |
//! | pass items from producers to consumers, even if some are killed | [`bounded_buffer`] |
//! | see who takes part in a ring, who of them lives, and whether it moves | [`inspect`] |
//! | see all segments, semaphore sets and message queues, limits and usage, as `ipcs` does | [`system`] |
//! | know why a call failed and what to do | [`Error`], [`ErrorKind`] |
//! | carry a C program over line by line | [`raw`]: the calls under their C names |
//! | know who removes a segment and when; what a kill leaves; why the accesses are sound; how a C program is ported | the [`guide`] |
//!
//! ```
//! use sysvshm::{Key, Removal, SegmentOptions, SharedArray};
//!
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("SYSUOS");
//! # std::fs::File::create(&path)?;
//! let key = Key::from_path(&path, 42)?;                          // ftok
//! let numbers = SegmentOptions::new()
//!     .mode(0o666)
//!     .removal(Removal::OnDrop)                                  // not the default, which is C's: it stays
//!     .create_new_array::<i32>(key, 5)?;                         // shmget, shmat
//! numbers.view().write_from(&[1, 2, 3, 4, 5]);
//!
//! let reader = SharedArray::<i32>::open_read_only(key, 5)?;      // in any other process, in Rust or in C
//! assert_eq!(reader.view().to_vec(), [1, 2, 3, 4, 5]);
//! reader.into_segment().detach()?;                               // shmdt, with its error
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Words
//!
//! A *segment* is memory that the kernel keeps, with an *identifier* and perhaps a *key* to find it by. A process
//! *attaches* it to see the bytes and *detaches* it again; the kernel counts the attaches (`nattch`). The *mode*
//! says who may do what, as for a file. A segment outlives its processes until it is *marked for removal* and the
//! last of them has detached. [`segment`] draws that.
//!
//! # The contract
//!
//! * Safe calls neither crash nor corrupt memory, whatever other processes write into the segment.
//! * The kernel is asked, callers are not believed: a segment's length comes from `IPC_STAT` after attaching.
//! * Nothing is removed that this process did not create, and nothing in a forked child, unless a call says so by
//!   name.
//! * A call that fails leaves nothing behind: what was created for it is removed, what was attached is detached.
//! * Bytes in the segment are never trusted.
//!
//! # What this does not protect you from
//!
//! * Values that make no sense: whoever may write the segment may write anything. Copy out, check, then use the
//!   copy.
//! * Segments left behind. A process that is killed drops nothing; [the guide](guide::lifecycle) says which
//!   [`Removal`] survives that.
//! * A lack of memory. Pages are found when they are first touched, and where none is left, or a control group has
//!   reached its limit, the kernel kills a process; [`Segment::prefault`] says what to compare with beforehand.
//! * SIGBUS, in few cases that are all in the hands of an administrator or of a process that may write the segment.
//!   Those of memory that runs out are named at [`SegmentOptions::huge_pages`] and [`SegmentOptions::no_reserve`]. And
//!   root can shrink any segment: `truncate(2)` through `/proc/PID/map_files` (`proc_pid_map_files(5)`) takes the pages
//!   away, and the next touch of one, by safe code, raises SIGBUS.
//! * Strangers under the same key: see [`Key`] and [`SegmentOptions::any_owner`].
//!
//! # The floors
//!
//! A module uses what its own floor or a lower one defines, and no two files use each other:
//!
//! ```text
//! guide raw        -- prose; the calls under their C names
//! inspect          -- what stands in a ring, for people
//! bounded_buffer   -- what programs take: docs, aliases, what only one ring has
//! ring::front      -- ring, options, producer, consumer, chunks, iterators: written once, over a protocol
//! ring::protocol   -- how slots change hands: spsc, mpmc
//! ring::wait       -- one waiter, for one handle that sleeps or many
//! ring::shm        -- the ring's memory: access by offset, header, slots, copies
//! memory semaphore message_queue system
//! liveness         -- who lives: owner id, token, namespace
//! segment owned
//! access fork      -- all code that reads or writes shared bytes; telling a forked child from its parent
//! control error key flags patience permissions text user sysvipc
//! sys              -- all foreign calls
//! ```
//!
//! # Systems
//!
//! Linux is complete: tested with glibc on x86-64, type-checked for musl, aarch64 and 32 bits. macOS and FreeBSD
//! are type-checked and have never been run; what they lack answers [`ErrorKind::Unsupported`].

mod access;
pub mod bounded_buffer;
mod control;
pub mod error;
mod flags;
mod fork;
pub mod guide;
pub mod inspect;
mod key;
mod liveness;
pub mod memory;
pub mod message_queue;
mod owned;
mod patience;
mod permissions;
pub mod raw;
mod ring;
pub mod segment;
pub mod semaphore;
mod sys;
pub mod system;
mod sysvipc;
mod text;
mod user;

pub use bytemuck;
#[doc(inline)]
pub use error::{Error, ErrorKind};
pub use flags::{AttachFlags, Mode};
pub use key::Key;
#[doc(inline)]
pub use memory::{SharedArray, SharedRef, SharedSlice, SharedStruct};
#[doc(inline)]
pub use message_queue::{MessageQueue, MessageQueueId, MessageQueueOptions};
pub use owned::{Ownable, Owned};
pub use patience::wait_until_exists;
#[doc(inline)]
pub use segment::{
    HugePages, ProcessState, ReadOnly, ReadWrite, Removal, Segment, SegmentId, SegmentOptions,
    Status,
};
#[doc(inline)]
pub use semaphore::{Semaphore, SemaphoreGuard, SemaphoreSet, SemaphoreSetOptions};

/// The README's examples, run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
