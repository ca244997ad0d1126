//! Typed views of shared bytes: arrays, slices, single values and members of C structs.
//!
//! | type | is | C |
//! |---|---|---|
//! | [`SharedArray<T>`] | a whole segment that is an array | `int *arr = shmat(...)` |
//! | [`SharedStruct<T>`] | a whole segment that is one value; owns it, so it can be kept in a struct | `struct shared *p = shmat(...)` |
//! | [`SharedSlice<'_, T>`](SharedSlice) | a run of elements at any offset of a segment, or of a foreign mapping | pointer and length |
//! | [`SharedRef<'_, T>`](SharedRef) | one value; [`field!`](crate::field) reaches into it | `struct shared *p`, `&p->member` |
//!
//! A *view* is an address that was checked once: bounds, alignment, and that the mapping outlives it. It is no
//! reference. Values are copied out ([`load`](SharedSlice::load), [`read_into`](SharedSlice::read_into)) and in
//! ([`store`](SharedSlice::store), [`write_from`](SharedSlice::write_from)), or changed in place by an atomic
//! operation ([`atomic_load`](SharedRef::atomic_load), [`fetch_add`](SharedRef::fetch_add)). So another process may write the same bytes at any moment, with any program, and nothing worse comes
//! of it than a value one did not expect. [The guide](crate::guide::soundness) says why, and by what right.
//!
//! ```text
//!   Segment, attached --- slice(offset, len), reference(offset) ---> SharedSlice<'a, T>, SharedRef<'a, T>
//!   SharedArray ------------------------ view() -------------------> SharedSlice<'a, T>
//!       |                                                                |
//!       | 'a: neither can be detached or dropped                         | at, slice, chunks, field!: views of parts,
//!       | while a view of it is in use                                   | each as long-lived as the whole
//!       v                                                                v
//!   detach, drop                                                     load, store, fetch_add, read_into, write_from ...
//! ```
//!
//! [`field!`](crate::field) names a member as C's `->` does: `field!(shared, ready)`, `field!(shared, rates[3])`,
//! `field!(shared, r#in)`. It computes an address and reads nothing.
//!
//! ```
//! use sysvshm::bytemuck::AnyBitPattern;
//! use sysvshm::{Key, SegmentOptions, field};
//! use std::sync::atomic::Ordering::{Acquire, Release};
//!
//! // struct shared { int ready; double rates[16]; };      in the C program
//! #[derive(Clone, Copy, AnyBitPattern)]
//! #[bytemuck(crate = "sysvshm::bytemuck")]
//! #[repr(C)]
//! struct Shared {
//!     ready: i32,
//!     rates: [f64; 16],
//! }
//!
//! let segment = SegmentOptions::new().size_bytes(size_of::<Shared>()).create_new(Key::PRIVATE)?;
//! segment.mark_for_removal()?;
//! let shared = segment.reference::<Shared>(0).unwrap();
//! field!(shared, rates).elements().write_from(&[0.5; 16]);
//! field!(shared, ready).atomic_store(1, Release);
//!
//! // Perhaps in another process:
//! if field!(shared, ready).atomic_load(Acquire) == 1 {
//!     assert_eq!(field!(shared, rates[3]).load(), 0.5);
//! }
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # Which types
//!
//! | to | `T` must be | that is |
//! |---|---|---|
//! | be viewed, and looked into | [`Viewable`] | plain data, whatever its members |
//! | be read | [`Readable`] | valid for any bytes: no `bool`, no enum, no pointer |
//! | be written whole | [`Storable`] | without padding |
//! | have atomic operations | [`Primitive`] | an integer |
//! | be an array's element | [`Element`] | readable and storable |
//!
//! # Torn values
//!
//! An element of 1, 2, 4 or 8 bytes at an address that is a multiple of its size (8: on 64-bit systems) is read by
//! `load`, `iter` and the atomics, and written by `store` and the atomics, in one piece: what comes out is what one
//! call put in. Two things may come out mixed, partly old and partly new, if somebody writes meanwhile:
//!
//! * elements of any other size or alignment;
//! * anything moved in bulk (`read_into`, `to_vec`, `write_from`, `fill`, `copy_within`), whatever the element:
//!   bulk copies promise bytes.
//!
//! Where that matters, make the value a [`cell`]: [`Committed`](cell::Committed), which is whole whichever process is
//! killed, or [`SequenceLocked`](cell::SequenceLocked), a sequence lock. Or guard it with a lock that all processes
//! honour, such as [`Semaphore::lock`](crate::semaphore::Semaphore::lock).
//!
//! # What this does not protect you from
//!
//! * Values that change between two reads, and values that make no sense. Copy out, then check, then use the copy.
//! * A lost update: [`update`](SharedRef::update) reads and writes in two steps.
//! * Pages that cannot be had when they are first touched: [prefault](crate::Segment::prefault), where that must
//!   not happen late.

mod array;
mod atomic;
mod borrow;
mod bounds;
mod bulk;
pub mod cell;
mod element;
mod error;
mod iter;
mod plain;
mod reference;
mod slice;
mod structure;

pub use crate::access::Primitive;
pub use array::SharedArray;
pub use element::{Element, Readable, Storable, Viewable};
pub use error::{ArrayError, LayoutError};
pub use iter::{Chunks, Iter};
pub use reference::SharedRef;
pub use slice::SharedSlice;
pub use structure::SharedStruct;
