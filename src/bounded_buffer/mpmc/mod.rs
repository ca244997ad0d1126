//! A bounded buffer for many producers and many consumers, any of which may be killed at any instruction.
//!
//! The lecture's bounded buffer goes wrong with several producers and consumers: two producers write one slot, two consumers read one slot, a
//! producer overwrites what is full, a consumer reads what is empty. Lock-free queues cure that, and add a fifth: a participant killed between
//! claiming a slot and publishing it wedges the queue or loses the slot. Here it does not.
//!
//! ```
//! use sysvshm::Key;
//! use sysvshm::bounded_buffer::mpmc::BoundedBuffer;
//!
//! let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 100)?; // a key of your own in real life
//! buffer.segment().mark_for_removal()?;                              // and this by whoever shuts down
//!
//! let mut producer = buffer.producer()?;                             // one for each thread of each process
//! let mut consumer = buffer.consumer()?;
//! producer.push(42)?;
//! assert_eq!(consumer.pop()?, 42);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it promises
//!
//! * Every push, pop and batch takes effect at one instruction. A process killed before it has done nothing, killed behind it has done it all. No item is
//!   lost, doubled or torn, and no slot is lost.
//! * No live process waits for a dead one longer than 100 ms after the kernel has released the dead one's memory: whoever finds the buffer full or
//!   empty, polling or sleeping, recovers what the dead left, without stopping the others.
//! * Items of one producer are popped in the order in which it pushed them, except those [delivered again](Consumer::peek).
//! * Whatever is written into the segment, no call accesses memory outside it, panics, or, if it is a `try_` call or has a timeout, stays forever.
//!
//! # What this does not protect you from
//!
//! * What a process did with an item after popping it dies with it. [`Consumer::peek`] and [`Peek::release`] make that "at least once".
//! * A process that is *stopped* in the middle of a push (or holds a [`Reservation`]) lives: consumers find nothing behind it until it goes on.
//!   One that is stopped with a [`Peek`] holds up the producers that come round to its slots.
//! * [`Consumer::try_pop`] may say "empty" behind a push that is not finished, although one behind that is.
//! * Items of different producers have no order but that in which their pushes began.
//!
//! The layout is in [the source](https://docs.rs/sysvshm), `src/bounded_buffer/mpmc/layout.rs`, with the words in `word.rs` and every transition in
//! `protocol.rs`.

mod buffer;
mod consumer;
mod error;
mod in_place;
mod layout;
#[cfg(all(test, loom))]
mod model;
mod options;
mod position;
mod producer;
mod protocol;
mod seat;
mod table;
mod word;

pub use buffer::{BoundedBuffer, Participant, Role};
pub use consumer::{Consumer, Iter, TryIter};
pub use error::{PopError, PushError};
pub use in_place::{Peek, Reservation};
pub use options::Options;
pub use producer::Producer;
pub use table::Recovered;
