//! The lecture's buffer, in C on both sides.

use super::ours::{segment_channel, segment_id};
use crate::case::{Case, Handle};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::item::Item;
use anyhow::{Context, Result};
use std::ffi::c_void;
use sysvshm::Segment;

/// What `native/lecture.c` exports for one kind of buffer.
pub struct Ring {
    item_bytes: usize,
    positions: usize,
    atomic: bool,
    size_bytes: unsafe extern "C" fn() -> usize,
    produce: unsafe extern "C" fn(*mut c_void, *const c_void),
    consume: unsafe extern "C" fn(*mut c_void, *mut c_void),
    produce_run: unsafe extern "C" fn(*mut c_void, u64, u64),
    consume_run: unsafe extern "C" fn(*mut c_void, u64, u64) -> u64,
}

include!(concat!(env!("OUT_DIR"), "/lecture_rings.rs"));

/// With so many positions, or as many as the case's capacity; `in` and `out` are `_Atomic int` or `volatile int`.
pub struct CLecture {
    pub slots: Option<usize>,
    pub atomic: bool,
}

impl CLecture {
    fn ring(&self, case: &Case) -> Option<&'static Ring> {
        let positions = self.slots.unwrap_or(case.capacity);
        RINGS.iter().find(|ring| {
            (ring.item_bytes, ring.positions, ring.atomic) == (case.bytes, positions, self.atomic)
        })
    }

    fn attach(&self, case: &Case, handle: &Handle) -> Result<CEnd> {
        let ring = self.ring(case).context("a compiled buffer")?;
        let segment = segment_id(handle)?.attach()?;
        // SAFETY: a function without arguments that returns a constant.
        anyhow::ensure!(
            segment.len_bytes() >= unsafe { (ring.size_bytes)() },
            "the segment is too small"
        );
        Ok(CEnd { ring, segment })
    }
}

struct CEnd {
    ring: &'static Ring,
    segment: Segment,
}

impl Peer for CLecture {
    fn obstacle(&self, case: &Case) -> Option<String> {
        self.ring(case)
            .is_none()
            .then(|| "not compiled for this size and capacity".to_string())
    }

    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let ring = self.ring(case).context("a compiled buffer")?;
        // SAFETY: a function without arguments that returns a constant.
        Ok(segment_channel(unsafe { (ring.size_bytes)() })?.1)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        self.attach(case, handle)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        self.attach(case, handle)
    }
}

impl<T: Item> Sender<T> for CEnd {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        // SAFETY: the segment is large enough for the buffer, and `T` is an item of its size.
        unsafe { (self.ring.produce)(self.segment.as_ptr().cast(), (&raw const *item).cast()) };
    }

    fn stream(&mut self, first: u64, count: u64) {
        // SAFETY: the segment is large enough for the buffer.
        unsafe { (self.ring.produce_run)(self.segment.as_ptr().cast(), first, count) };
    }
}

impl<T: Item> Receiver<T> for CEnd {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        // SAFETY: the segment is large enough for the buffer, and `T` is an item of its size.
        unsafe { (self.ring.consume)(self.segment.as_ptr().cast(), (&raw mut *item).cast()) };
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        // SAFETY: the segment is large enough for the buffer.
        let right = unsafe { (self.ring.consume_run)(self.segment.as_ptr().cast(), first, count) };
        Wrong::unless(right == count, first + right)
    }
}
