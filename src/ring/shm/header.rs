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
//! | 64 | 8 | tag: what its creator called it, 0 if nothing |
//! | 72 | 48 | zero |
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
//!
//! A segment that begins with zeros need not be a ring to be. Only what the running call created is initialised without
//! a check. In what it found, every word that a ring would have must be 0, or the magic and the claim of a dead
//! initialiser must be there: the magic is written first.

use super::fault::LayoutFault;
use super::memory::{Shared, SharedWaits};
use super::pair::{join, split};
use crate::liveness::{Liveness, NamespaceAnchor, OwnerId};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const MAGIC: usize = 0;
pub(crate) const STATE: usize = 8;
const VERSION_AND_VARIANT: usize = 16;
pub(super) const ITEM: usize = 24;
const CAPACITY: usize = 32;
pub(crate) const GENERATION: usize = 40;
pub(crate) const START: usize = 48;
pub(crate) const TOTAL: usize = 56;
pub(crate) const TAG: usize = 64;
/// Means nothing: see [`show_the_same`].
const PROBE: usize = 120;
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
    pub(crate) tag: u64,
}

#[allow(
    unsafe_code,
    reason = "the offsets are this file's constants, below `SIZE`, which `settle` compares with the segment first"
)]
impl Description {
    pub(crate) fn read<M: Shared>(memory: M) -> Self {
        // Relaxed: whoever comes here loaded READY with acquire, or checks the fields as it does all others.
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
            tag: load(TAG),
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

    fn write<M: SharedWaits>(&self, memory: M) {
        // SAFETY: a constant offset in a segment of at least `SIZE` bytes.
        unsafe { memory.store(MAGIC, self.magic, Ordering::Relaxed) };
        // Before all other words: by the magic a successor knows that they are an initialiser's.
        memory.fence();
        let words = [
            (VERSION_AND_VARIANT, join(self.version, self.variant)),
            (ITEM, join(self.item_size, self.item_align)),
            (CAPACITY, self.capacity),
            (GENERATION, self.generation),
            (START, self.start),
            (TOTAL, self.total_bytes),
            (TAG, self.tag),
        ];
        for (at, word) in words {
            // SAFETY: a constant offset in a segment of at least `SIZE` bytes.
            unsafe { memory.store(at, word, Ordering::Relaxed) };
        }
    }
}

/// What to make of a segment: what the header is to say, and what then fills the ring's own words.
pub(crate) struct Plan<'a, M> {
    pub(crate) description: Description,
    pub(crate) fill: Box<dyn Fn(M) + 'a>,
}

/// What to do with a segment whose ring nobody has initialised.
pub(crate) enum Fresh<'a, M> {
    /// Initialise it so. `is_ours`: the running call created the segment.
    Initialise { plan: Plan<'a, M>, is_ours: bool },
    /// Wait for another process to do it. If one died over it, go on with what the header says already, if that is
    /// enough.
    Wait {
        finish: &'a dyn Fn(&Description) -> Option<Plan<'a, M>>,
    },
}

impl<M: Shared> Fresh<'_, M> {
    /// How many bytes have to be untouched in a segment that is waited for, or is to be initialised.
    fn needs_untouched(&self) -> usize {
        match self {
            Self::Initialise { is_ours: true, .. } => 0,
            Self::Initialise { plan, .. } => plan.description.total_bytes as usize,
            Self::Wait { .. } => SIZE,
        }
    }
}

/// Whether all words of the first `len` bytes are 0, but for the state and what means nothing.
///
/// The memory has as many.
#[allow(
    unsafe_code,
    reason = "the offsets are below the length, which the caller answers for"
)]
fn is_untouched<M: Shared>(memory: M, len: usize) -> bool {
    (0..len / 8)
        .map(|index| index * 8)
        .filter(|&at| at != STATE && at != PROBE)
        // SAFETY: a multiple of 8 inside the memory.
        .all(|at| unsafe { memory.load(at, Ordering::Relaxed) } == 0)
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
/// `Mismatch`: there is another thing. `NotInitialised` when the deadline passes first: nobody began, or who began
/// lives and does not finish.
///
/// The memory has at least `SIZE` bytes, and as many as a plan to initialise it says.
#[allow(
    unsafe_code,
    reason = "the offsets are this file's constants, and the caller compared `SIZE` with the segment"
)]
pub(crate) fn settle<M: SharedWaits>(
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
        let load = |at| unsafe { memory.load(at, Ordering::Acquire) };
        let state = load(STATE);
        // Neither untouched nor one of these rings: somebody else's memory, in which no state means anything.
        let found = load(MAGIC);
        if found != 0 || state == READY {
            LayoutFault::unless_equal("magic", found, magic)?;
        }
        if state == READY {
            return Ok(Description::read(memory));
        }
        let claim = OwnerId::from_word(state);
        let is_plausible = claim.is_none_or(OwnerId::is_plausible);
        LayoutFault::unless(is_plausible, "state", state, READY)?;
        let wrong = if found != 0 {
            // A ring that was begun, by a claim.
            claim.is_none().then_some(("state", state, READY))
        } else {
            let is_untouched = is_untouched(memory, fresh.needs_untouched());
            (!is_untouched).then_some(("magic", found, magic))
        };
        if let Some((what, is, expected)) = wrong {
            // An initialiser stores its claim first and then the magic, each before anything else, so what was begun
            // meanwhile shows in these. Pairs with its fences.
            memory.fence();
            if (load(STATE), load(MAGIC)) == (state, found) {
                return Err(LayoutFault::mismatch(what, is, expected));
            }
        }
        let is_dead = claim.is_some_and(|other| other.liveness(anchor) == Liveness::Dead);
        let finished;
        let plan = match fresh {
            // Begun meanwhile: once more.
            _ if wrong.is_some() => None,
            Fresh::Initialise { plan, .. } if claim.is_none() || is_dead => Some(plan),
            Fresh::Wait { finish } if is_dead && found == magic => {
                finished = finish(&Description::read(memory));
                finished.as_ref()
            }
            _ => None,
        };
        if let Some(Plan { description, fill }) = plan {
            // SAFETY: as above.
            if unsafe { memory.compare_exchange(STATE, state, me.word()) }.is_ok() {
                // Before all other words: whoever sees one of them sees the claim.
                memory.fence();
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
