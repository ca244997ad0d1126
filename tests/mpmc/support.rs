//! Rings that leave nothing behind, budgets, and randomness with a seed.

use std::sync::Mutex;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Layout, Options};
use sysvshm::{Key, SegmentId, bytemuck::Pod};

pub(crate) const LAYOUTS: [Layout; 2] = [Layout::Interleaved, Layout::Contiguous];

/// A ring that goes when this process and its peers are gone, however they end.
pub(crate) fn ring<T: Pod>(capacity: usize) -> BoundedBuffer<T> {
    ring_with(Options::new().capacity(capacity))
}

pub(crate) fn ring_with<T: Pod>(options: &Options) -> BoundedBuffer<T> {
    let ring = options.create_new(Key::PRIVATE).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

/// What a peer opens by the number it was given.
pub(crate) fn attach<T: Pod>(id: i32) -> BoundedBuffer<T> {
    Options::new().attach(SegmentId::from_raw(id)).unwrap()
}

pub(crate) fn id<T: Pod>(ring: &BoundedBuffer<T>) -> i32 {
    ring.segment().id().as_raw()
}

/// A number from the environment, or what the ordinary test run gets.
pub(crate) fn budget(name: &str, ordinary: u64) -> u64 {
    std::env::var(name).map_or(ordinary, |text| text.parse().unwrap())
}

pub(crate) fn seed() -> u64 {
    budget("SYSVSHM_SEED", 1)
}

/// xorshift64*: enough for schedules, and the same for the same seed everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }
}

/// One at a time: what needs the processors for itself.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
