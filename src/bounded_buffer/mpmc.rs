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
//!   others. That takes a question to the kernel for each process that has handles, about 0.4 µs, and if one is dead,
//!   one pass through the slots, some milliseconds per million; no matter how many are dead.
//! * An item that comes back from a dead reader is the next one that any consumer gets, before all others. So it
//!   does not keep producers waiting that come round to its slot.
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
//! word that names a process by its [token](super#liveness): bits 0 to 30 the token's identifier, 31 to 62 its size in
//! bytes; bit 63 is set in that of a process without one.
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
//! | 136 | 8 | slots beyond the capacity: 0. Whoever finds another number refuses the ring | the initialiser |
//! | 144 | 8 | when a handle asked the kernel last who lives, in milliseconds since 1970 | whoever asks, by compare-and-swap, and puts back what was there if the kernel did not tell |
//! | 256 | 8 | hint: where a producer was lately, bits 0 to 30 slot, 31 to 63 lap | producers |
//! | 384 | 8 | hint: where a consumer was lately | consumers |
//! | 512 | 4 | sleepers' word of the producers | everybody |
//! | 640 | 4 | sleepers' word of the consumers | everybody |
//! | 768 | 8 | epoch: how many notes have been made in the log | whoever made items REDELIVER |
//! | 776, 784 | 8, 8 | how many producers have arrived; consumers | they, after they have taken an entry |
//! | 896 | 64 of 8 | log: note `n` in entry `n` modulo 64 | as the epoch |
//! | 1408 | 64 each | the participant table | see below |
//! | | | behind the table: `capacity` slots, as their layout has them | |
//!
//! A slot is a word and an item; [`Layout`] says where they lie. Nothing depends on the hints but speed.
//!
//! A note says where items have become REDELIVER: bits 0 to 13 are one more than how often the log had gone round,
//! 14 to 32 how many slots, 0 if they may be anywhere, 33 to 63 the first slot. It is written by compare-and-swap,
//! then the epoch is advanced by one; whoever finds a note that the epoch does not count yet advances it.
//!
//! An entry of the table, one for each handle:
//!
//! | byte | width | holds |
//! |---|---|---|
//! | 0 | 8 | claim of the handle's process; 0 if the entry is free. Taken and given back by compare-and-swap |
//! | 8 | 8 | generation: one more for each handle that had the entry, stored after the claim |
//! | 16 | 4, 4 | bits 0 and 1: 1 producer, 2 consumer, 0 while that is not said yet, the others the low bits of the generation; process id, for people. Cleared when a dead holder is recovered |
//! | 24 | 8 | when it came, in seconds since 1970 |
//! | 32 | 8 | bit 0: the holder is giving items back; the others: how many recoveries of the dead holder have begun |
//!
//! A slot's word:
//!
//! | bits | hold |
//! |---|---|
//! | 0 to 2 | phase: 0 EMPTY, 1 WRITING, 2 FULL, 3 READING, 4 DRAINED, 5 REDELIVER, 6 REREADING; 7 is reserved |
//! | 3 to 11 | owner: index of its entry in the table. 0 in phases without an owner |
//! | 12 to 30 | in WRITING, READING, DRAINED the run: slots claimed together, from this one on, 1 to 524,287. In REDELIVER and REREADING how many readers of the item have died. Else 0 |
//! | 31 to 63 | lap: how often the positions have gone round |
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
//! | FULL(L) to READING(L, owner, run) | consumer, compare-and-swap on the first slot | acquire |
//! | REDELIVER(L, n) to REREADING(L, owner, n) | consumer, compare-and-swap | acquire |
//! | items that are given back to REDELIVER(L, n), the last first; n is 0 after READING | owner | release |
//! | READING of a single slot, or REREADING, to EMPTY(L+1): **the pop happened** | owner, store | release |
//! | READING of several to DRAINED(L, owner, run): **the pop happened** | owner, store | release |
//! | the others to EMPTY(L+1), the last first; then DRAINED to EMPTY(L+1) | owner | release |
//! | of a dead owner, WRITING: the others to EMPTY(L+1), the last first, then the first | anyone, compare-and-swap | acquire and release |
//! | of a dead owner, READING: the others from FULL to REDELIVER(L, 1), the last first, then the first | anyone, compare-and-swap | acquire and release |
//! | of a dead owner, REREADING(L, n) to REDELIVER(L, n+1) | anyone, compare-and-swap | acquire and release |
//! | of a dead owner, DRAINED: the others from FULL to EMPTY(L+1), the last first, then the first | anyone, compare-and-swap | acquire and release |
//!
//! Where a handle goes next it finds by reading: from slot to slot, past a claimed run by its length, past a slot
//! that has left the lap by one. A recovery asks once about each process that has a claim in the table, counts itself
//! in the entries of the dead, and goes once through all slots for all of them. Each time it has found a slot of
//! such an owner, it makes sure that the claim still stands, then changes the word by compare-and-swap: no word of an
//! owner occurs twice while a process may stop in between. Then it notes where items became REDELIVER: where it
//! found them, if it was the only recovery of these entries and no holder was giving items back; else anywhere. It
//! frees the entries last.
//!
//! A consumer takes redelivered items before others: when the epoch differs from the one that it is done with, it
//! looks where the notes say, and at all slots if one says anywhere or if it has missed more than 63.
//!
//! A sleepers' word: bit 0, somebody sleeps or is about to; bit 1, publishers must fence before they look at bit 0;
//! the rest counts how often bit 0 was cleared. Who publishes wakes as many by `futex` as there is something for,
//! and if there were fewer, clears bit 0, counts up and wakes the rest.
//!
//! # Wrapping
//!
//! Laps wrap after 2^33. That matters to a process that stood still between looking at a word and its
//! compare-and-swap for exactly a multiple of that, to the lap: 3 minutes at capacity 1 and 50 million items a second,
//! 2 days at capacity 1024. And a handle that was idle for exactly a multiple of 2^33 laps may push its next item to
//! a place that consumers come to later than to those pushed after it. After any other time it finds its way.
//!
//! # Waiting
//!
//! As in [`spsc`](super::spsc#waiting): a look for some 15 to 50 microseconds, then sleep, at no cost to those who
//! are awake. A consumer is woken for each item; a producer when a quarter of the buffer has become free or a
//! consumer finds nothing more to do. Each looks for itself every 80 ms, and recovers what the dead left;
//! [`liveness_interval`](Consumer::liveness_interval) makes that longer or shorter.

use super::ClaimError;
use crate::memory::Element;
use crate::ring::front::{chunk, consumer, iter, options, producer, ring};

#[doc(no_inline)]
pub use super::{Layout, PopError, PushError};
pub use crate::ring::front::participant::Participant;
pub use crate::ring::protocol::mpmc::Mpmc;
pub use crate::ring::protocol::mpmc::recovery::Recovered;
pub use crate::ring::protocol::role::Role;

/// A ring for many producers and many consumers, attached: [`BoundedBuffer`](super::BoundedBuffer) of this protocol.
pub type BoundedBuffer<T> = ring::BoundedBuffer<T, Mpmc>;
/// How a ring for many producers and many consumers is created or opened: [`Options`](super::Options) of this protocol.
pub type Options = options::Options<Mpmc>;
/// A handle that pushes, one of many: [`Producer`](super::Producer) of this protocol.
pub type Producer<T> = producer::Producer<T, Mpmc>;
/// A handle that pops, one of many: [`Consumer`](super::Consumer) of this protocol.
pub type Consumer<T> = consumer::Consumer<T, Mpmc>;
/// Free slots to fill in place: [`Reservation`](super::Reservation) of this protocol.
pub type Reservation<'a, T> = chunk::Reservation<'a, T, Mpmc>;
/// The oldest items, in place: [`Peek`](super::Peek) of this protocol.
pub type Peek<'a, T> = chunk::Peek<'a, T, Mpmc>;
/// Pops items, waiting for each: [`Iter`](super::Iter) of this protocol.
pub type Iter<'a, T> = iter::Iter<'a, T, Mpmc>;
/// Pops items as long as there are any: [`TryIter`](super::TryIter) of this protocol.
pub type TryIter<'a, T> = iter::TryIter<'a, T, Mpmc>;

/// Of [`mpmc`](self) alone.
impl options::Options<Mpmc> {
    /// How many handles can exist at once, in all processes: 1 to 512, 64 unless set. An existing ring must have
    /// exactly this many entries in its table, if it is set.
    ///
    /// Each entry takes 64 bytes, and whoever recovers asks the kernel about each process that has some, about 0.4 µs.
    /// [`BoundedBuffer::producer`](ring::BoundedBuffer::producer) shows what happens when the table is full. Creating
    /// with another number than these is refused with [`OpenError::CapacityOutOfRange`](super::OpenError).
    pub fn participants(&mut self, handles: usize) -> &mut Self {
        self.config.extra.participants = Some(handles as u64);
        self
    }

    /// The lap a ring that is created starts in. For tests of what happens when laps wrap.
    #[doc(hidden)]
    pub fn start_lap(&mut self, lap: u64) -> &mut Self {
        self.config.extra.start_lap = lap;
        self
    }
}

/// Of [`mpmc`](self) alone.
impl<T: Element> ring::BoundedBuffer<T, Mpmc> {
    /// Recovers what dead participants left, and says what that was.
    ///
    /// Nobody has to call it: whoever finds the buffer full or empty does the same, all together at most every 10 ms.
    /// It is for supervisors that have seen a process die and want its work handed on now.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)` for each process that has an entry of the table.
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

    /// How many entries the participant table has: handles that can exist at once, in all processes.
    #[must_use]
    pub fn max_participants(&self) -> usize {
        self.ring.geometry.participants as usize
    }
}
