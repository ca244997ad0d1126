//! A bounded buffer for many producers and many consumers, any of which may be killed at any instruction.
//!
//! The lecture's bounded buffer goes wrong with several producers and consumers: two producers write one slot, two
//! consumers read one slot, a producer overwrites what is full, a consumer reads what is empty. Lock-free queues
//! cure that, and add a fifth: a participant killed between claiming a slot and publishing it wedges the queue or
//! loses the slot. Here it does not.
//!
//! ```text
//!   Options / BoundedBuffer::open_or_create          the segment, initialised by whoever comes first
//!        |
//!   BoundedBuffer --- producer() ---> Producer       try_push push push_timeout, *_slice, reserve
//!        |      many of them
//!        +----------- consumer() ---> Consumer       try_pop pop pop_timeout, *_slice, peek, iter
//!        |      many of them             |
//!   recover, participants     dropped: its entry is free      killed: the others finish or undo what it was doing
//! ```
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
//! # A queue of jobs
//!
//! Many worker processes, one ring. A job is looked at in place, done, its result is kept where it
//! survives the worker, and only then is it released: a worker that is killed before has its job delivered again,
//! to another.
//!
//! ```
//! use sysvshm::Key;
//! use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, PopError};
//!
//! # let key = Key::random()?;
//! // Whoever has jobs; `key` is known to all, such as Key::from_path("/srv/jobs", 1).
//! let jobs = BoundedBuffer::<u64>::open_or_create(key, 100)?;
//! jobs.producer()?.push_slice(&[3, 4, 5])?;
//!
//! // Each worker:
//! # let mut results = Vec::new();
//! let jobs = BoundedBuffer::<u64>::open_or_create(key, 100)?;
//! let mut worker = jobs.consumer()?;
//! worker.notice_departure(true); // or wait for jobs for ever, and be killed when there are no more
//! let end = loop {
//!     match worker.peek(1) {
//!         Ok(job) => {
//!             let result = job.get(0).pow(2); // the work
//!             results.push(result);           // in a file, a database, another segment
//!             job.release(1)?;                // only now is the job gone
//!         }
//!         Err(end) => break end,
//!     }
//! };
//! assert_eq!((results, end), (vec![9, 16, 25], PopError::PeerLeft)); // nobody makes jobs, and none is left
//! # jobs.segment().mark_for_removal()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A worker that is killed between keeping the result and the release leaves a job that is done twice: see
//! [the guide](crate::guide::crash_safety#exactly-once). `examples/workers.rs` is all this with processes that are
//! killed all the time; [`inspect`](crate::inspect) shows such a ring from outside.
//!
//! # What it promises
//!
//! * Every push, pop and batch takes effect at one instruction. A process killed before it has done nothing, killed
//!   behind it has done it all. No item is lost, doubled or torn, and no slot is lost.
//! * No live process waits for a dead one longer than 100 ms after the kernel has released the dead one's memory:
//!   whoever finds the buffer full or empty, polling or sleeping, recovers what the dead left, without stopping the
//!   others.
//! * Items of one producer are popped in the order in which it pushed them, except those
//!   [delivered again](Consumer::peek).
//! * Whatever is written into the segment, no call accesses memory outside it, panics, or, if it is a `try_` call
//!   or has a timeout, stays forever.
//!
//! # Which layout
//!
//! | [`Layout`] | an item is | best for |
//! |---|---|---|
//! | `Interleaved`, the default | beside its word | single items, round trips |
//! | `Contiguous` | beside the next item | bytes, batches, chunks in place ([`Producer::reserve`], [`Consumer::peek`]) |
//!
//! Both work with all calls; a view of a run of items exists in `Contiguous` alone. Either has a word of 8 bytes
//! for each item; from 57 bytes on, an item and its word take whole cache lines in `Interleaved`, which [`Layout`]
//! tells exactly. In `Contiguous` the words of eight neighbours share a cache line: many who push and pop single
//! items get in each other's way there.
//!
//! # What this does not protect you from
//!
//! * What a process did with an item after popping it dies with it. [`Consumer::peek`] and [`Peek::release`] make
//!   that "at least once".
//! * A process that is *stopped* in the middle of a push (or holds a [`Reservation`]) lives: consumers find nothing
//!   behind it until it goes on. One that is stopped with a [`Peek`] holds up the producers that come round to its
//!   slots.
//! * [`Consumer::try_pop`] may say "empty" behind a push that is not finished, although one behind that is.
//! * Items of different producers have no order but that in which their pushes began.
//!
//! # The segment
//!
//! `examples/c/mpmc.h` is the same for C programs. All integers have the byte order of the machine. "Claim" is the
//! word that names a process by its [token](super#liveness): bits 0 to 30 the token's identifier, 31 to 47 the low
//! bits of its creation time in seconds, 48 to 63 its size in bytes.
//!
//! | byte | width | holds | written by |
//! |---|---|---|---|
//! | 0 | 8 | magic: the characters `svshmpmc` | the initialiser |
//! | 8 | 8 | state: 0 untouched, 1 ready, else the claim of who initialises it | compare-and-swap |
//! | 16 | 4, 4 | version 2; variant: 0 interleaved, 1 contiguous | the initialiser |
//! | 24 | 4, 4 | size and alignment of an item in bytes | the initialiser |
//! | 32 | 8 | capacity in items, 1 to 2^31 | the initialiser |
//! | 40 | 8 | generation: a random number of this initialisation | the initialiser |
//! | 48 | 8 | 0 | the initialiser |
//! | 56 | 8 | bytes the ring takes, header included | the initialiser |
//! | 128 | 8 | entries of the participant table, 1 to 512 | the initialiser |
//! | 256 | 8 | hint: where a producer was lately, lap in the upper half, slot in the lower | producers |
//! | 384 | 8 | hint: where a consumer was lately | consumers |
//! | 512 | 4 | sleepers' word of the producers | everybody |
//! | 640 | 4 | sleepers' word of the consumers | everybody |
//! | 768 | 8 | epoch: changes after items have become REDELIVER | who made them so |
//! | 776, 784 | 8, 8 | 1 once there has been a producer; a consumer | they |
//! | 896 | 64 each | the participant table | see below |
//! | | | behind the table: `capacity` slots, as their layout has them | |
//!
//! A slot is a word and an item; [`Layout`] says where they lie. Nothing depends on the hints but speed.
//!
//! An entry of the table, one for each handle:
//!
//! | byte | width | holds |
//! |---|---|---|
//! | 0 | 8 | claim of the handle's process; 0 if the entry is free. Taken and given back by compare-and-swap |
//! | 8 | 8 | generation: one more for each handle that had the entry, stored right behind the claim |
//! | 16 | 4, 4 | 1 producer, 2 consumer, 0 while that is not said yet; process id, for people |
//! | 24 | 8 | when it came, in seconds since 1970 |
//!
//! A slot's word:
//!
//! | bits | hold |
//! |---|---|
//! | 0 to 2 | phase: 0 EMPTY, 1 WRITING, 2 FULL, 3 READING, 4 DRAINED, 5 REDELIVER |
//! | 3 to 11 | owner: index of its entry in the table. 0, as the next two, in phases without an owner |
//! | 12 to 23 | owner: low bits of the entry's generation |
//! | 24 to 33 | run: slots claimed together, from this one on, 1 to 1023 |
//! | 34 to 63 | lap: how often the positions have gone round |
//!
//! How it changes, L being the lap; a run never goes round the end of the buffer, and only its first word names the
//! owner:
//!
//! | change | by | ordering |
//! |---|---|---|
//! | EMPTY(L) to WRITING(L, owner, run) | producer, compare-and-swap on the first slot | acquire |
//! | slots that are not used after all to EMPTY(L+1), the last first | owner | release |
//! | the run's other slots to FULL(L), the last first | owner | release |
//! | WRITING to FULL(L): **the push happened** | owner, store | release |
//! | FULL(L) to READING(L, owner, run); REDELIVER(L) to READING(L, owner, 1) | consumer, compare-and-swap on the first slot | acquire |
//! | items that are given back to REDELIVER(L), the last first | owner | release |
//! | READING of a single slot to EMPTY(L+1): **the pop happened** | owner, store | release |
//! | READING of several to DRAINED(L, owner, run): **the pop happened** | owner, store | release |
//! | the others to EMPTY(L+1), the last first; then DRAINED to EMPTY(L+1) | owner | release |
//! | of a dead owner, WRITING: the others to EMPTY(L+1), the last first, then the first | anyone, compare-and-swap | acquire and release |
//! | of a dead owner, READING: the others from FULL to REDELIVER(L), the last first, then the first | anyone, compare-and-swap | acquire and release |
//! | of a dead owner, DRAINED: the others from FULL to EMPTY(L+1), the last first, then the first | anyone, compare-and-swap | acquire and release |
//!
//! Where a handle goes next it finds by reading: from slot to slot, past a claimed run by its length, past a slot
//! that has left the lap by one. Who recovers an entry whose claim is dead goes through all slots, advances the
//! epoch, and frees the entry last. Each time it has found a slot of that owner, it looks again whether the claim
//! stands: the bits of the generation repeat after 4096 handles. A consumer that finds nothing after the epoch has
//! changed looks at all slots for REDELIVER.
//!
//! A sleepers' word: bit 0, somebody sleeps or is about to; bit 1, publishers must fence before they look at bit 0;
//! the rest counts how often bit 0 was cleared. Who publishes wakes as many by `futex` as there is something for,
//! and if there were fewer, clears bit 0, counts up and wakes the rest.
//!
//! # Wrapping
//!
//! Laps wrap after 2^30: that matters only to a process that stood still between looking at a word and its
//! compare-and-swap for exactly as long, 21 seconds at capacity 1 and 50 million items a second, 6 hours at
//! capacity 1024.
//!
//! # Waiting
//!
//! As in [`spsc`](super::spsc#waiting): a look for some 15 to 50 microseconds, then sleep, at no cost to those who
//! are awake. A consumer is woken for each item; a producer when a quarter of the buffer has become free or a
//! consumer finds nothing more to do. Each looks for itself every 80 ms, and recovers what the dead left.

use super::ClaimError;
use crate::ring::front::{chunk, consumer, iter, options, producer, ring};

#[doc(no_inline)]
pub use super::{Layout, PopError, PushError};
pub use crate::ring::front::participant::Participant;
pub use crate::ring::protocol::mpmc::Mpmc;
pub use crate::ring::protocol::mpmc::table::Recovered;
pub use crate::ring::protocol::role::Role;

/// A ring for many producers and many consumers, attached.
pub type BoundedBuffer<T> = ring::BoundedBuffer<T, Mpmc>;
/// How a ring for many producers and many consumers is created or opened.
pub type Options = options::Options<Mpmc>;
/// A handle that pushes, one of many.
pub type Producer<T> = producer::Producer<T, Mpmc>;
/// A handle that pops, one of many.
pub type Consumer<T> = consumer::Consumer<T, Mpmc>;
/// Free slots to fill in place.
pub type Reservation<'a, T> = chunk::Reservation<'a, T, Mpmc>;
/// The oldest items, in place.
pub type Peek<'a, T> = chunk::Peek<'a, T, Mpmc>;
/// Pops items, waiting for each.
pub type Iter<'a, T> = iter::Iter<'a, T, Mpmc>;
/// Pops items as long as there are any.
pub type TryIter<'a, T> = iter::TryIter<'a, T, Mpmc>;

/// Of [`mpmc`](self) alone.
impl options::Options<Mpmc> {
    /// How many handles can exist at once, in all processes: 1 to 512, 64 unless set. An existing ring must have
    /// exactly this many entries in its table, if it is set. See [`Options`](options::Options) for an example.
    ///
    /// Each entry takes 64 bytes, and whoever recovers asks the kernel about each that is taken, about 0.4 µs.
    /// [`BoundedBuffer::producer`](ring::BoundedBuffer::producer) shows what happens when the table is full. Creating
    /// with another number than these is refused with [`OpenError::CapacityOutOfRange`](super::OpenError).
    pub fn participants(&mut self, handles: usize) -> &mut Self {
        self.config.extra.participants = Some(handles as u64);
        self
    }

    /// The lap a ring that is created starts in. For tests of what happens when laps wrap.
    #[doc(hidden)]
    pub fn start_lap(&mut self, lap: u32) -> &mut Self {
        self.config.extra.start_lap = lap;
        self
    }
}

/// Of [`mpmc`](self) alone.
impl<T> ring::BoundedBuffer<T, Mpmc> {
    /// Recovers what dead participants left, and says what that was.
    ///
    /// Nobody has to call it: whoever finds the buffer full or empty does the same, at most every 10 ms. It is for
    /// supervisors that have seen a process die and want its work handed on now.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)` for each taken entry of the table.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Forked`]: this buffer was opened in the parent. [`ClaimError::ElsewhereInNamespace`]: the
    /// calling thread has gone to another IPC namespace, from where nobody's life can be judged.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let found = buffer.recover()?;
    /// println!("{} dead, {} items delivered again", found.participants, found.redelivered);
    /// # assert!(found.is_nothing());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> Result<Recovered, ClaimError> {
        self.ring.check_place()?;
        Ok(self.ring.recover())
    }

    /// How many entries the participant table has: handles that can exist at once, in all processes. See
    /// [`Options`] for an example.
    #[must_use]
    pub fn max_participants(&self) -> usize {
        self.ring.geometry.participants as usize
    }
}
