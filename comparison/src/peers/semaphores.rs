//! The textbook's bounded buffer: a segment, and semaphores for what is empty, what is full, and who may.

use super::ours::{segment_channel, segment_id};
use crate::case::{Case, Handle};
use crate::endpoint::{Channel, Peer, Receiver, Sender};
use crate::item::Item;
use anyhow::{Context, Result};
use std::marker::PhantomData;
use sysvshm::{Key, Segment, Semaphore, SemaphoreSet};

pub struct Textbook;

/// As many as one semaphore counts.
const MOST: usize = 32_767;
/// Behind the slots: where to put, where to take.
const POSITIONS_BYTES: usize = 16;

/// Goes with its maker.
struct Removed(SemaphoreSet);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

struct Endpoint<T> {
    segment: Segment,
    capacity: usize,
    mutex: Semaphore,
    empty: Semaphore,
    full: Semaphore,
    items: PhantomData<T>,
}

impl<T: Item> Endpoint<T> {
    fn attach(case: &Case, handle: &Handle) -> Result<Self> {
        let segment = segment_id(handle)?.attach()?;
        anyhow::ensure!(
            segment.len_bytes() >= size_bytes(case),
            "the segment is too small"
        );
        let set = handle
            .get(1)
            .context("the identifier of a semaphore set")?
            .parse()?;
        let set = SemaphoreSet::from_raw(set)?;
        Ok(Self {
            segment,
            capacity: case.capacity,
            mutex: set.semaphore(0),
            empty: set.semaphore(1),
            full: set.semaphore(2),
            items: PhantomData,
        })
    }

    /// Lets `use_slot` have the slot at one of the positions, which goes on by one; under mutual exclusion.
    #[inline(always)]
    fn step(&self, position: usize, use_slot: impl FnOnce(*mut T)) {
        let guard = self.mutex.lock().expect("the set is there");
        let slots: *mut T = self.segment.as_ptr().cast();
        // SAFETY: the positions lie behind the slots, within the segment.
        let position = unsafe { slots.add(self.capacity).cast::<usize>().add(position) };
        // SAFETY: aligned, and whoever holds the mutex is alone with it.
        let place = unsafe { *position };
        assert!(place < self.capacity, "the buffer is damaged");
        // SAFETY: so many slots are there.
        use_slot(unsafe { slots.add(place) });
        // SAFETY: as above.
        unsafe { *position = (place + 1) % self.capacity };
        guard.unlock().expect("the set is there");
    }
}

fn size_bytes(case: &Case) -> usize {
    case.capacity * case.bytes + POSITIONS_BYTES
}

impl Peer for Textbook {
    fn obstacle(&self, case: &Case) -> Option<String> {
        (case.capacity > MOST).then(|| format!("a semaphore counts to {MOST}"))
    }

    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let (segment, channel) = segment_channel(size_bytes(case))?;
        let free = u16::try_from(case.capacity)?;
        let set = Removed(SemaphoreSet::create_new(Key::PRIVATE, &[1, free, 0])?);
        let bytes = segment.len_bytes() as u64;
        let handle = [segment.id().as_raw(), set.0.id()].map(|id| id.to_string());
        Ok(Channel::new(handle, (channel, set)).taking(bytes, "the segment's size, IPC_STAT"))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Endpoint::<T>::attach(case, handle)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Endpoint::<T>::attach(case, handle)
    }
}

impl<T: Item> Sender<T> for Endpoint<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.empty.acquire(1).expect("the set is there");
        // SAFETY: the slot is empty, and whoever holds the mutex is alone with it.
        self.step(0, |slot| unsafe { slot.copy_from_nonoverlapping(item, 1) });
        self.full.release(1).expect("the set is there");
    }
}

impl<T: Item> Receiver<T> for Endpoint<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        self.full.acquire(1).expect("the set is there");
        // SAFETY: the slot is full, and whoever holds the mutex is alone with it.
        self.step(1, |slot| unsafe { slot.copy_to_nonoverlapping(item, 1) });
        self.empty.release(1).expect("the set is there");
    }
}
