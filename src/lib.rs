//! System V shared memory, safe: `ftok`, `shmget`, `shmat`, `shmdt` and `shmctl` behind values that clean up after themselves.
//!
//! * [`Key`] names a segment; [`SegmentOptions`] create or find it; a [`Segment`] is attached and detaches when dropped.
//! * [`SegmentId`] is the segment itself, attached or not: status, permissions, locking, removal.
//! * [`memory`] views the bytes as typed values and arrays, without references that other processes could break.
//! * [`system`] lists limits, usage and every segment of the machine, as `ipcs` does.
//! * [`raw`] has the calls under their C names, for the first step of a port.
//! * [`Error`] says which call failed, with which arguments, why, and what to do.
//!
//! ```
//! use sysvshm::{Key, Removal, SegmentOptions};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path().join("SYSUOS");
//! # std::fs::File::create(&path).unwrap();
//! let key = Key::from_path(&path, 42)?;                                     // ftok
//! let segment = SegmentOptions::new()
//!     .size_bytes(20)
//!     .mode(0o666)
//!     .removal(Removal::OnDrop)
//!     .open_or_create(key)?;                                                // shmget, shmat
//! segment.write_at(0, b"hello")?;
//!
//! let reader = SegmentOptions::new().open_read_only(key)?;                  // in any other process
//! let mut word = [0; 5];
//! reader.read_exact_at(0, &mut word)?;
//! assert_eq!(&word, b"hello");
//! reader.detach()?;                                                         // shmdt, with its error
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # The contract
//!
//! * Safe calls neither crash nor corrupt memory, whatever other processes write into the segment.
//! * The kernel is asked, callers are not believed: a segment's length comes from `IPC_STAT` after attaching.
//! * Nothing is removed that this process did not create, and nothing in a forked child, unless a call says so by name.
//! * A call that fails leaves nothing behind: what was created for it is removed, what was attached is detached.
//! * Bytes in the segment are never trusted.
//!
//! The chapters of the [`guide`] say more: [who removes a segment and when](guide::lifecycle), and [why the accesses are
//! sound](guide::soundness).
//!
//! # Systems
//!
//! Linux with glibc or musl is complete and tested. macOS and FreeBSD are type-checked and have never been run; what they lack
//! answers [`ErrorKind::Unsupported`].

pub mod bounded_buffer;
pub mod error;
mod flags;
mod fork;
pub mod guide;
mod key;
pub mod memory;
pub mod raw;
pub mod segment;
mod sys;
pub mod system;

pub use bytemuck;
#[doc(inline)]
pub use error::{Error, ErrorKind};
pub use flags::{AttachFlags, Mode};
pub use key::Key;
pub use memory::{SharedArray, SharedRef, SharedSlice};
#[doc(inline)]
pub use segment::{
    HugePages, ProcessState, ReadOnly, ReadWrite, Removal, Segment, SegmentId, SegmentOptions,
    Status,
};

/// The README's examples, run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
