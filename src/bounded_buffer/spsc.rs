//! A bounded buffer for one producer and one consumer: every slot usable, crash-proof, and fast.
//!
//! ```text
//!   Options / BoundedBuffer::open_or_create          the segment, initialised by whoever comes first
//!        |
//!   BoundedBuffer --- producer() ---> Producer       try_push push push_timeout, *_slice, reserve, io::Write
//!        |
//!        +----------- consumer() ---> Consumer       try_pop pop pop_timeout, *_slice, peek, iter, io::Read
//!                                        |
//!   dropped: the role is given back      killed: the next to claim it goes on at the exact position
//! ```
//!
//! ```
//! use std::thread;
//! use sysvshm::bounded_buffer::spsc::{BoundedBuffer, PopError};
//! use sysvshm::Key;
//!
//! let buffer = BoundedBuffer::<[u32; 2]>::create_new(Key::PRIVATE, 64)?;
//! buffer.segment().mark_for_removal()?;
//! let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
//! let consuming = thread::spawn(move || {
//!     // Ends when the producer has left, or died, and everything has been popped.
//!     consumer.notice_departure(true).iter().map(|[_, value]| u64::from(value)).sum::<u64>()
//! });
//! for number in 0..1000 {
//!     producer.push([number, 2 * number])?;
//! }
//! drop(producer);
//! assert_eq!(consuming.join().unwrap(), 999_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which layout
//!
//! | [`Layout`] | an item is | best for |
//! |---|---|---|
//! | `Interleaved`, the default | beside its sequence word | single items, round trips |
//! | `Contiguous` | beside the next item | bytes, batches, chunks in place ([`Producer::reserve`], [`Consumer::peek`]) |
//!
//! Both work with all calls; a view of a run of items exists in `Contiguous` alone. Either has a word of 8 bytes
//! for each item; from 57 bytes on, an item and its word take whole cache lines in `Interleaved`, which [`Layout`]
//! tells exactly.
//!
//! # Large items
//!
//! An item that is returned by value is moved, and every move of a large one is a copy: `pop` of 1 KiB reaches four
//! fifths of the throughput of calls that copy to where the item is to be ([`Consumer::pop_slice`] and
//! [`Producer::push_slice`], also of one item). From some 256 bytes on take those; from some KiB on work in place
//! ([`Producer::reserve`], [`Consumer::peek`]).
//!
//! # The segment
//!
//! A header says what is in it; the positions and sequence words follow. `examples/c/spsc.h` is the same for C
//! programs.
//!
//! | byte | holds |
//! |---|---|
//! | 0 | magic `svshspsc`, state, version, layout, item size and alignment, capacity, generation |
//! | 128 | who is producer, whether there ever was one; who is consumer, whether there ever was one |
//! | 256 | `out`, the consumer's position: **storing it is the pop** |
//! | 384 | `out` as of some pops ago, for a producer that waits |
//! | 512, 640 | whether the producer, the consumer sleeps (futex words) |
//! | 768 | sequence words and items |
//!
//! Positions are 64-bit counters that never go back; position `p` lies in slot `p % capacity`. The word of the slot
//! where a push begins holds the position where it ends: **storing it is the push**, also of a batch. The
//! producer's position is nowhere else: a successor finds it by reading, so dying in a takeover changes nothing.
//! After 2^64 items (585 years at 1e9 per second) positions wrap, correctly for capacities that are powers of two.
//! A buffer of another capacity ends there: it takes no item beyond position 2^64 - 2, hands out those it has, and
//! refuses pushes as [`Corrupted`](PushError::Corrupted).
//!
//! # Waiting
//!
//! A call that cannot go on looks for some 15 to 50 microseconds and then sleeps ([`Waiting`](super::Waiting)
//! chooses otherwise). Sleeping costs the other side nothing while it is awake: the sleeper makes it fence, by
//! membarrier(2). A consumer is woken by the first item; a producer when a quarter of the buffer is free or the
//! consumer finds nothing more to do, because waking it for each slot would cost more than it gets done. Each looks
//! for itself every 80 ms, also whether its peer lives: an idle one uses what waking up a dozen times a second
//! takes, or less with a longer [`liveness_interval`](Consumer::liveness_interval).
//!
//! [The guide](crate::guide::waiting) says what ends a wait, and what a wait cannot know.
//!
//! [The guide](crate::guide::waiting) says what ends a wait, and what a wait cannot know.
//!
//! # What this does not protect you from
//!
//! See [the module above](super#what-this-does-not-protect-you-from). And: a handle that was leaked (`mem::forget`)
//! keeps its role as long as its process lives.

use crate::ring::front::{chunk, consumer, iter, options, producer, ring};

#[doc(no_inline)]
pub use super::{Layout, PopError, PushError};
pub use crate::ring::protocol::spsc::Spsc;

/// A ring for one producer and one consumer, attached: [`BoundedBuffer`](super::BoundedBuffer) of this protocol.
pub type BoundedBuffer<T> = ring::BoundedBuffer<T, Spsc>;
/// How a ring for one producer and one consumer is created or opened: [`Options`](super::Options) of this protocol.
pub type Options = options::Options<Spsc>;
/// The producing side: [`Producer`](super::Producer) of this protocol.
pub type Producer<T> = producer::Producer<T, Spsc>;
/// The consuming side: [`Consumer`](super::Consumer) of this protocol.
pub type Consumer<T> = consumer::Consumer<T, Spsc>;
/// Free slots to fill in place: [`Reservation`](super::Reservation) of this protocol.
pub type Reservation<'a, T> = chunk::Reservation<'a, T, Spsc>;
/// The oldest items, in place: [`Peek`](super::Peek) of this protocol.
pub type Peek<'a, T> = chunk::Peek<'a, T, Spsc>;
/// Pops items, waiting for each: [`Iter`](super::Iter) of this protocol.
pub type Iter<'a, T> = iter::Iter<'a, T, Spsc>;
/// Pops items as long as there are any: [`TryIter`](super::TryIter) of this protocol.
pub type TryIter<'a, T> = iter::TryIter<'a, T, Spsc>;

/// Of [`spsc`](self) alone.
impl options::Options<Spsc> {
    /// The position a ring that is created starts at. For tests of what happens after 2^64 items.
    #[doc(hidden)]
    pub fn start_position(&mut self, start: u64) -> &mut Self {
        self.config.extra.start = start;
        self
    }
}

/// Of [`spsc`](self) alone.
impl<T> producer::Producer<T, Spsc> {
    /// Counts the items pushed into this buffer since it was made, by all its producers: the position of the next
    /// one.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.position()
    }
}

/// Of [`spsc`](self) alone.
impl<T> consumer::Consumer<T, Spsc> {
    /// Counts the items popped from this buffer since it was made, by all its consumers: the position of the next
    /// one.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.end.position()
    }
}
