//! The participant table: one entry of 64 bytes for each handle.
//!
//! | byte | width | holds | written by |
//! |---|---|---|---|
//! | 0 | 8 | [claim](crate::liveness) of the handle's process, 0 if the entry is free | compare-and-swap |
//! | 8 | 8 | generation: one more for each handle that had the entry | the new holder, right after its claim |
//! | 16 | 4 | bits 0 and 1: 1 producer, 2 consumer, 0 while that is not said yet; the rest: low bits of the generation | the holder; cleared by compare-and-swap in a recovery |
//! | 20 | 4 | process id, as the holder sees it: for people | as the 4 bytes before, together with them |
//! | 24 | 8 | when it came, in seconds since 1970 | the holder |
//! | 32 | 8 | bit 0: the holder is giving items back; the rest: how many recoveries of it have begun | the holder; recoveries |
//! | 40 | 24 | zero | |
//!
//! A dead holder's role and process id are cleared before its entry is freed, so that they are not taken for the
//! next one's. A recovery that does that late finds another word there, because of the generation.
//!
//! # Whether a handle of some role is there
//!
//! A scan of the table may pass an entry just before a handle takes it, and reach another just after a handle has
//! left it, and see neither, although there was one at every moment. So a handle counts itself as arrived after it
//! has taken its entry, and a scan that finds none counts only if that number has not changed meanwhile.
#![allow(
    unsafe_code,
    reason = "every offset is a constant of the layout or an entry below the size of the table that the geometry was made with"
)]

use super::claim::count;
use super::layout::{Geometry, arrived_at};
use super::slot_word::{MAX_PARTICIPANTS, Owner};
use crate::liveness::{Liveness, OwnerId};
use crate::ring::protocol::role::{PeerState, Role};
use crate::ring::shm::memory::Shared;
use crate::ring::shm::pair::{join, split};
use std::sync::atomic::Ordering;

const CLAIM: usize = 0;
const GENERATION: usize = 8;
const WHO: usize = 16;
const SINCE: usize = 24;
const UNSURE: usize = 32;

/// In [`UNSURE`]: the holder is giving items back.
const GIVING: u64 = 1;
/// In [`UNSURE`]: one recovery.
const ONE_RECOVERY: u64 = 2;

/// An entry as it stands in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) claim: OwnerId,
    pub(super) role: Option<Role>,
    pub(super) pid: u32,
    pub(super) since: u64,
}

const ROLE_BITS: u32 = 2;
const ROLE_MASK: u32 = (1 << ROLE_BITS) - 1;

fn word<M: Shared>(memory: M, at: usize) -> u64 {
    // SAFETY: a field of an entry of the table.
    unsafe { memory.load(at, Ordering::Acquire) }
}

impl Entry {
    /// The entry that lies at `at`, if it is taken.
    pub(super) fn from_words(at: usize, load: impl Fn(usize) -> u64) -> Option<Self> {
        let claim = OwnerId::from_word(load(at + CLAIM))?;
        let (role, pid) = split(load(at + WHO));
        Some(Self {
            claim,
            role: match role & ROLE_MASK {
                1 => Some(Role::Producer),
                2 => Some(Role::Consumer),
                _ => None,
            },
            pid,
            since: load(at + SINCE),
        })
    }
}

/// Entry `index`, if it is taken.
pub(super) fn entry<M: Shared>(memory: M, g: &Geometry, index: usize) -> Option<Entry> {
    Entry::from_words(g.entry_at(index), |at| word(memory, at))
}

/// Takes a free entry, if there is one, and says which: as the owner of slots.
pub(super) fn enter<M: Shared>(
    memory: M,
    g: &Geometry,
    claim: OwnerId,
    role: Role,
    pid: u32,
    since: u64,
) -> Option<Owner> {
    let index = (0..g.participants as usize).find(|&index| {
        let at = g.entry_at(index) + CLAIM;
        word(memory, at) == 0
            // SAFETY: a field of an entry of the table.
            && unsafe { memory.compare_exchange(at, 0, claim.word()) }.is_ok()
    })?;
    let at = g.entry_at(index);
    let generation = word(memory, at + GENERATION).wrapping_add(1);
    let number = match role {
        Role::Producer => 1,
        Role::Consumer => 2,
    };
    // The low bits: what is lost by the shift has no use.
    let number = number | (generation as u32) << ROLE_BITS;
    for (at, value) in [
        (at + GENERATION, generation),
        (at + UNSURE, 0),
        (at + SINCE, since),
        (at + WHO, join(number, pid)),
    ] {
        // SAFETY: a field of an entry of the table.
        unsafe { memory.store(at, value, Ordering::Release) };
    }
    // Only now: a scan that has counted this one finds its entry taken.
    count_up(memory, arrived_at(role), 1);
    Some(Owner::new(index))
}

/// What is known about a side's handles together. `life` judges a claim.
pub(super) fn state<M: Shared>(
    memory: M,
    g: &Geometry,
    role: Role,
    life: impl Fn(OwnerId) -> Liveness,
) -> PeerState {
    let arrived = arrivals(memory, role);
    let mut all = if arrived == 0 {
        PeerState::Never
    } else {
        PeerState::Left
    };
    for entry in entries(memory, g).filter(|entry| entry.role == Some(role)) {
        match life(entry.claim) {
            Liveness::Alive => return PeerState::Alive,
            Liveness::Dead => all = PeerState::Dead,
            // Then no verdict was possible, nor is for the others.
            Liveness::Unknown => return PeerState::Unknown,
        }
    }
    if arrivals(memory, role) == arrived {
        all
    } else {
        // The scan may have missed the one that arrived, and it was there.
        PeerState::Alive
    }
}

/// Whether a side has had handles and has none that lives, and, if it is the producers', no item is left. `life`
/// judges a claim.
pub(super) fn is_abandoned_by<M: Shared>(
    memory: M,
    g: &Geometry,
    role: Role,
    life: impl Fn(OwnerId) -> Liveness,
) -> bool {
    let arrived = arrivals(memory, role);
    // What others are reading may come back.
    let is_drained = || role == Role::Consumer || count(memory, g) == 0;
    arrived != 0
        && entries(memory, g).all(|entry| {
            entry.role.is_some_and(|its| its != role) || life(entry.claim) == Liveness::Dead
        })
        && is_drained()
        // Else the scan may have missed the one that arrived.
        && arrivals(memory, role) == arrived
}

fn entries<M: Shared>(memory: M, g: &Geometry) -> impl Iterator<Item = Entry> + use<'_, M> {
    (0..g.participants as usize).filter_map(move |index| entry(memory, g, index))
}

/// How many handles of a role have arrived, in all.
fn arrivals<M: Shared>(memory: M, role: Role) -> u64 {
    word(memory, arrived_at(role))
}

/// Adds to a counter, whose offset is one of this module's.
fn count_up<M: Shared>(memory: M, at: usize, by: u64) {
    let mut seen = word(memory, at);
    // Each failure is another participant's success. More comes from a process that scribbles, and is no reason to
    // stay here.
    for _ in 0..1000 {
        // SAFETY: a field of an entry of the table, or a constant of the layout.
        match unsafe { memory.compare_exchange(at, seen, seen.wrapping_add(by)) } {
            Ok(_) => return,
            Err(now) => seen = now,
        }
    }
}

/// Frees an entry whose holder has no slots any more.
pub(super) fn leave<M: Shared>(memory: M, g: &Geometry, owner: Owner, claim: OwnerId) {
    let at = g.entry_at(owner.index());
    // The next holder says who it is after its claim; until then nobody shall take it for this one.
    // SAFETY: a field of an entry of the table.
    unsafe { memory.store(at + WHO, 0, Ordering::Release) };
    // Fails only if a process scribbled over it.
    // SAFETY: as above.
    let _ = unsafe { memory.compare_exchange(at + CLAIM, claim.word(), 0) };
}

/// The claims of dead holders, by the index of their entry, as many as words can name; 0 where the holder lives.
pub(super) type Dead = Vec<u64>;

/// The entries of dead holders, if there are any. `life` judges a claim, once for each process that has handles.
pub(super) fn find_dead<M: Shared>(
    memory: M,
    g: &Geometry,
    mut life: impl FnMut(OwnerId) -> Liveness,
) -> Option<Dead> {
    let claims =
        (0..g.participants as usize).map(|index| (word(memory, g.entry_at(index) + CLAIM), index));
    let mut all: Vec<_> = claims.filter(|&(claim, _)| claim != 0).collect();
    all.sort_unstable();
    let mut dead = Dead::new();
    for process in all.chunk_by(|one, other| one.0 == other.0) {
        let claim = OwnerId::from_word(process[0].0);
        if claim.is_some_and(|claim| life(claim) == Liveness::Dead) {
            dead.resize(MAX_PARTICIPANTS, 0);
            for &(claim, index) in process {
                dead[index] = claim;
            }
        }
    }
    (!dead.is_empty()).then_some(dead)
}

/// Whether the entry is still the one of the holder with this claim.
pub(super) fn is_still<M: Shared>(memory: M, g: &Geometry, index: usize, claim: u64) -> bool {
    word(memory, g.entry_at(index) + CLAIM) == claim
}

/// Notes that a recovery of the entry's dead holder begins.
pub(super) fn begin_recovery<M: Shared>(memory: M, g: &Geometry, index: usize) {
    count_up(memory, g.entry_at(index) + UNSURE, ONE_RECOVERY);
}

/// Whether all that the dead holder left has been seen by the one recovery that began: its holder was not giving
/// items back, and no other recovery has been there.
pub(super) fn is_sure<M: Shared>(memory: M, g: &Geometry, index: usize) -> bool {
    word(memory, g.entry_at(index) + UNSURE) == ONE_RECOVERY
}

/// Notes that the holder is about to give items back, or has told of it.
pub(super) fn set_giving<M: Shared>(memory: M, g: &Geometry, owner: Owner, is_giving: bool) {
    let value = if is_giving { GIVING } else { 0 };
    // SAFETY: a field of an entry of the table.
    unsafe { memory.store(g.entry_at(owner.index()) + UNSURE, value, Ordering::Release) };
}

/// Frees the entry of a dead holder, and says whether it was this call that did.
pub(super) fn bury<M: Shared>(memory: M, g: &Geometry, index: usize, claim: u64) -> bool {
    let at = g.entry_at(index);
    let who = word(memory, at + WHO);
    // What was read is the dead one's if its claim still stands.
    if word(memory, at + CLAIM) != claim {
        return false;
    }
    // SAFETY: a field of an entry of the table.
    let _ = unsafe { memory.compare_exchange(at + WHO, who, 0) };
    // SAFETY: as above.
    unsafe { memory.compare_exchange(at + CLAIM, claim, 0) }.is_ok()
}
