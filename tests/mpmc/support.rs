//! Rings that leave nothing behind, budgets, and randomness with a seed.

pub(crate) use crate::common::{Random, budget, seed};
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

/// One at a time: what needs the processors for itself.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
