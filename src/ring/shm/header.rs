//! The first 128 bytes of a segment that holds a ring, and the handshake that fills them.
//!
//! | byte | width | holds |
//! |---|---|---|
//! | 0 | 8 | magic: which kind of ring, as eight characters |
//! | 8 | 8 | state: 0 untouched; 1 ready; anything else: the [claim](crate::liveness) of who initialises it |
//! | 16 | 4 | version of the layout |
//! | 20 | 4 | variant of the layout |
//! | 24 | 4 | size of an item in bytes |
//! | 28 | 4 | alignment of an item in bytes |
//! | 32 | 8 | capacity in items |
//! | 40 | 8 | generation: a random number of this initialisation |
//! | 48 | 8 | the position both sides started at; 0 |
//! | 56 | 8 | bytes the ring takes, this header included |
//! | 64 | 56 | zero |
//! | 120 | 8 | whatever a process wrote there last to see whether two of its mappings show the same memory |
//!
//! All integers have the byte order of the machine and are accessed atomically, 32-bit fields in pairs as one
//! 64-bit word.
//!
//! ```text
//!          compare-and-swap          store, last
//!     0 ----------------------> claim ----------> 1
//!                               |  ^
//!                               +--+  compare-and-swap, by who sees the claimant dead: it starts over in place
//! ```
//!
//! Nothing is removed in a takeover, so nobody is left with a segment that others cannot find. What an initialiser
//! writes does not depend on what was there, so one that was killed in the middle leaves nothing to clean up.

use super::fault::LayoutFault;
use super::memory::Shared;
use super::pair::{join, split};
use crate::liveness::{Liveness, NamespaceAnchor, OwnerId};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const MAGIC: usize = 0;
pub(crate) const STATE: usize = 8;
pub(crate) const VERSION_AND_VARIANT: usize = 16;
pub(crate) const ITEM: usize = 24;
pub(crate) const CAPACITY: usize = 32;
pub(crate) const GENERATION: usize = 40;
pub(crate) const START: usize = 48;
pub(crate) const TOTAL: usize = 56;
/// Means nothing: see [`show_the_same`].
pub(crate) const PROBE: usize = 120;
/// Where the ring's own words begin.
pub(crate) const SIZE: usize = 128;

/// The state of a ring that can be used. No owner has this value: their upper 33 bits are never all 0.
pub(crate) const READY: u64 = 1;

/// What the header says about a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) magic: u64,
    pub(crate) version: u32,
    pub(crate) variant: u32,
    pub(crate) item_size: u32,
    pub(crate) item_align: u32,
    pub(crate) capacity: u64,
    pub(crate) generation: u64,
    pub(crate) start: u64,
    pub(crate) total_bytes: u64,
}

#[allow(
    unsafe_code,
    reason = "the offsets are this file's constants, below `SIZE`, which `settle` compares with the segment first"
)]
impl Description {
    fn read<M: Shared>(memory: M) -> Self {
        // Relaxed: whoever comes here loaded READY with acquire, or the fields mean nothing.
        // SAFETY: a constant offset in a segment of at least `SIZE` bytes; so below.
        Self::from_words(|at| unsafe { memory.load(at, Ordering::Relaxed) })
    }

    /// From the words at these offsets, all below `SIZE`.
    pub(crate) fn from_words(load: impl Fn(usize) -> u64) -> Self {
        let (version, variant) = split(load(VERSION_AND_VARIANT));
        let (item_size, item_align) = split(load(ITEM));
        Self {
            magic: load(MAGIC),
            version,
            variant,
            item_size,
            item_align,
            capacity: load(CAPACITY),
            generation: load(GENERATION),
            start: load(START),
            total_bytes: load(TOTAL),
        }
    }

    /// Refuses what no ring of this kind and version says about itself, whatever the type of its items.
    pub(crate) fn check(&self, magic: u64, version: u32) -> Result<(), LayoutFault> {
        let align = u64::from(self.item_align);
        let size = u64::from(self.item_size);
        for (what, found, expected) in [
            ("magic", self.magic, magic),
            ("version", self.version.into(), version.into()),
            ("item alignment", align, align.next_power_of_two()),
            // As every type of Rust and C: not nothing, and such that an array of them stays aligned.
            (
                "item size",
                size,
                size.max(1).next_multiple_of(align.max(1)),
            ),
        ] {
            LayoutFault::unless_equal(what, found, expected)?;
        }
        Ok(())
    }

    /// Refuses a segment that is too small for a ring of so many bytes, or a header that says another number.
    pub(crate) fn check_size(&self, total_bytes: usize, len: usize) -> Result<(), LayoutFault> {
        let fits = total_bytes <= len && self.total_bytes == total_bytes as u64;
        LayoutFault::unless(fits, "segment size", len as u64, total_bytes as u64)
    }

    fn write<M: Shared>(&self, memory: M) {
        let words = [
            (MAGIC, self.magic),
            (VERSION_AND_VARIANT, join(self.version, self.variant)),
            (ITEM, join(self.item_size, self.item_align)),
            (CAPACITY, self.capacity),
            (GENERATION, self.generation),
            (START, self.start),
            (TOTAL, self.total_bytes),
        ];
        for (at, word) in words {
            // SAFETY: a constant offset in a segment of at least `SIZE` bytes.
            unsafe { memory.store(at, word, Ordering::Relaxed) };
        }
    }
}

/// What to do with a segment whose ring nobody has initialised.
pub(crate) enum Fresh<'a, M> {
    /// Initialise it so; then `fill` the ring's own words.
    Initialise(Description, &'a dyn Fn(M)),
    /// Wait for somebody to do it.
    Wait,
}

/// Whether the two show the same memory: what is written through one is read through the other.
///
/// Both have at least `SIZE` bytes, and hold a ring of this version or what may become one.
#[allow(
    unsafe_code,
    reason = "the offset is a constant of this file, and the caller compared `SIZE` with the segment"
)]
pub(crate) fn show_the_same<M: Shared>(one: M, other: M, random: u64) -> bool {
    // Again if another process wrote in between; more often is somebody who scribbles.
    for round in 0..1000 {
        let word = random.wrapping_add(round);
        // SAFETY: a constant offset in a segment of at least `SIZE` bytes; so below.
        unsafe { one.store(PROBE, word, Ordering::SeqCst) };
        // SAFETY: as above.
        if unsafe { other.load(PROBE, Ordering::SeqCst) } == word {
            return true;
        }
        // SAFETY: as above.
        if unsafe { one.load(PROBE, Ordering::SeqCst) } == word {
            return false;
        }
    }
    false
}

/// Brings the ring to READY, by initialising it or by waiting for who does, and says what the header then holds.
///
/// # Errors
///
/// `NotInitialised` when the deadline passes first: nobody began, or who began lives and does not finish.
///
/// The memory has at least `SIZE` bytes.
#[allow(
    unsafe_code,
    reason = "the offsets are this file's constants, and the caller compared `SIZE` with the segment"
)]
pub(crate) fn settle<M: Shared>(
    memory: M,
    magic: u64,
    me: OwnerId,
    anchor: &NamespaceAnchor,
    fresh: &Fresh<'_, M>,
    patience: Duration,
) -> Result<Description, LayoutFault> {
    // None: longer than the clock goes, so for ever.
    let deadline = Instant::now().checked_add(patience);
    let mut pause = Duration::from_micros(20);
    loop {
        // Acquire pairs with the release of READY below: whoever sees it sees the fields.
        // SAFETY: a constant offset in a segment of at least `SIZE` bytes.
        let state = unsafe { memory.load(STATE, Ordering::Acquire) };
        // Neither untouched nor one of these rings: somebody else's memory, in which no state means anything.
        // SAFETY: as above.
        let found = unsafe { memory.load(MAGIC, Ordering::Relaxed) };
        if found != 0 {
            LayoutFault::unless_equal("magic", found, magic)?;
        }
        let is_free = match OwnerId::from_word(state) {
            _ if state == READY => return Ok(Description::read(memory)),
            None => true,
            // Only those who may initialise take over; the others wait for one of them.
            Some(other) => {
                matches!(fresh, Fresh::Initialise(..)) && other.liveness(anchor) == Liveness::Dead
            }
        };
        if let (true, Fresh::Initialise(description, fill)) = (is_free, fresh) {
            // SAFETY: as above.
            if unsafe { memory.compare_exchange(STATE, state, me.word()) }.is_ok() {
                description.write(memory);
                fill(memory);
                // Last, and release: pairs with the acquire above.
                // SAFETY: as above.
                unsafe { memory.store(STATE, READY, Ordering::Release) };
                return Ok(*description);
            }
        }
        if deadline.is_some_and(|end| Instant::now() >= end) {
            return Err(LayoutFault::NotInitialised { patience });
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}
