//! Values larger than a word that readers never see half written: [`Committed`] and [`SequenceLocked`].
//!
//! One process writes at a time, enforced by a role that is taken over from a dead holder; any number read.
//!
//! | | [`Committed<T>`] | [`SequenceLocked<T>`] |
//! |---|---|---|
//! | writer killed in the middle | the old value stays, whole | no whole value until the next write |
//! | room | four copies and 16 bytes | one copy and 16 bytes |
//! | a read fails | if three whole writes overtake it | if one write touches it |
//! | take it | by default | where the layout is given, or room is scarce |
//!
//! Both are plain structs that lie in a segment, alone or as members of a larger one, zeroed at first: zero is their
//! first value. [`SharedStruct::cell`] binds one to the segment it lies in and gives a [`SharedCell`], through which
//! it is read and written.
//!
//! ```
//! use std::time::Duration;
//! use sysvshm::memory::cell::Committed;
//! use sysvshm::{Key, SharedStruct, field, shared_struct};
//!
//! shared_struct! {
//!     struct Robot {
//!         serial: u64,
//!         position: Committed<[f64; 3]>,
//!     }
//! }
//!
//! let key = Key::random()?;
//! let robot = SharedStruct::<Robot>::open_or_create(key)?;
//! let position = robot.cell(field!(robot, position));
//! let mut writer = position.writer()?; // an error while another process that lives has the role
//! writer.store([1.0, 2.0, 3.0]);
//! writer.update(|[x, y, z]| [x + 0.5, y, z]);
//!
//! // Perhaps in another process:
//! let reader = SharedStruct::<Robot>::open_read_only(key)?;
//! let position = reader.cell(field!(reader, position));
//! assert_eq!(position.load(Duration::from_secs(1))?, [1.5, 2.0, 3.0]);
//! robot.segment().mark_for_removal()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout, for C
//!
//! `examples/c/cells.h` has both, and the calls.
//!
//! | offset | bytes | `Committed<T>` | `SequenceLocked<T>` | who writes |
//! |---|---|---|---|---|
//! | 0 | 8 | version: number of writes; modulo 4 it is the copy that counts | sequence: odd while a write is under way | the writer |
//! | 8 | 8 | the writer's owner id, as in the rings (`examples/c/token.h`); 0: none | the same | claimants, by compare-and-swap |
//! | 16, or the alignment of `T` if that is more | | four copies of `T`, one after the other | one `T` | the writer |
//!
//! # Every state, and a kill in it
//!
//! `v` is the version, `s` an even sequence. A write takes effect at the store in **bold**; killed before it, it
//! never happened.
//!
//! | state | memory | the writer's next step | killed here, readers see | the next writer |
//! |---|---|---|---|---|
//! | no writer | role 0 | compare-and-swap 0 → its id | the value | takes the role |
//! | claimed | role id | write into copy `v+1` | the value | finds the id's token gone, swaps it for its own |
//! | `Committed`: copy `v+1` part written | version `v` | **store version `v+1`** | value `v` | writes copy `v+1` anew |
//! | `Committed`: committed | version `v+1` | as claimed | value `v+1` | as claimed |
//! | `SequenceLocked`: marked | sequence `s+1` | write the value | nothing whole: `WriterDied` | starts from `s+1`, writes a whole value |
//! | `SequenceLocked`: value part written | sequence `s+1` | **store sequence `s+2`** | nothing whole: `WriterDied` | as above |
//! | `SequenceLocked`: published | sequence `s+2` | as claimed | the new value | as claimed |
//! | giving back | role id | compare-and-swap id → 0 | the value | as claimed |
//!
//! # Orderings
//!
//! | store | order | load that pairs with it | so that |
//! |---|---|---|---|
//! | version `v`, sequence `s+2` | release | a reader's first, acquire | who sees the number sees its value |
//! | copy `v+3`; value after sequence `s+1` | after a release fence | a reader's copy, before an acquire fence | who copied a byte of it sees at least version `v+2`, or an odd sequence, in the second load and discards the copy |
//! | role id → 0, dead id → next id | acquire and release | the next writer's compare-and-swap | a writer sees what its predecessor stored |
//!
//! A reader of version `v` accepts its copy if the second load finds at most `v+2`: copy `v mod 4` is next written
//! after version `v+3` was stored.
//!
//! # What this does not protect you from
//!
//! * A writer that does not take the role, in C for instance. A process that may write the segment can write
//!   anything; a read then gives wrong values or fails, and ends at its timeout.
//! * A stopped writer. It lives, so it keeps the role; stopped between odd and even, it keeps the value of a
//!   `SequenceLocked` too.
//! * A segment used from another IPC namespace than that of its attach: taking the role is refused there, and
//!   whether a writer lives cannot be known.

mod committed;
#[cfg(all(test, loom))]
mod model;
mod protocol;
mod role;
mod sequence_locked;
mod shared_cell;

pub use committed::Committed;
pub use role::WriterError;
pub use sequence_locked::SequenceLocked;
pub use shared_cell::{Cell, LoadError, SharedCell, Writer};

#[cfg(doc)]
use super::SharedStruct;
