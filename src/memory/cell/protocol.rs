//! The two protocols, over real memory or a model of it; [the module](super) argues their orderings.

use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

/// How many copies a committed value has. A reader that copies version `v` is disturbed by version `v + COPIES`.
pub(super) const COPIES: u64 = 4;

/// A counter and numbered copies of a value: what readers do to memory.
pub(super) trait Memory {
    type Value;
    fn count(&self, order: Ordering) -> u64;
    /// Copies out, perhaps torn.
    fn read(&self, copy: u64) -> Self::Value;
    fn fence(&self, order: Ordering);
}

/// What the writer does to it.
pub(super) trait MemoryMut: Memory {
    fn set_count(&self, count: u64, order: Ordering);
    fn write(&self, copy: u64, value: Self::Value);
}

/// Writes the version after this one, and returns its number.
#[inline(always)]
pub(super) fn commit<M: MemoryMut>(memory: &M, version: u64, value: M::Value) -> u64 {
    let next = version.wrapping_add(1);
    memory.fence(Release);
    memory.write(next % COPIES, value);
    memory.set_count(next, Release);
    next
}

/// Returns the version that counts, or `None` if three whole writes overtook this read.
#[inline(always)]
pub(super) fn read_committed<M: Memory>(memory: &M) -> Option<M::Value> {
    let version = memory.count(Acquire);
    let value = memory.read(version % COPIES);
    memory.fence(Acquire);
    let now = memory.count(Relaxed);
    (now.wrapping_sub(version) < COPIES - 1).then_some(value)
}

/// Writes the one copy, from an even sequence or from what a dead writer left odd; returns the new even one.
#[inline(always)]
pub(super) fn publish<M: MemoryMut>(memory: &M, sequence: u64, value: M::Value) -> u64 {
    let odd = sequence | 1;
    memory.set_count(odd, Relaxed);
    memory.fence(Release);
    memory.write(0, value);
    let even = odd.wrapping_add(1);
    memory.set_count(even, Release);
    even
}

/// Returns the value, or `None` if a write is under way or came between.
#[inline(always)]
pub(super) fn read_published<M: Memory>(memory: &M) -> Option<M::Value> {
    let sequence = memory.count(Acquire);
    if sequence % 2 != 0 {
        return None;
    }
    let value = memory.read(0);
    memory.fence(Acquire);
    (memory.count(Relaxed) == sequence).then_some(value)
}
