//! A bare sequence ring: a word beside each item says which item it is. No claim, no check of life, no sleeping, no
//! check for a fork, one layout. Its distance from a ring that promises something is the price of the promise.

use super::ours::{segment_channel, segment_id};
use crate::case::{Case, Handle};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::item::Item;
use anyhow::{Result, ensure};
use std::arch::asm;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use sysvshm::Segment;

/// A ring for one sender and one receiver, at any capacity that is a power of two.
pub struct SequenceRing {
    /// Pause instructions between two polls of the receiver: many in a stream, so that the sender keeps the line; few
    /// in a round trip.
    pub pauses: u32,
}

/// The slots of [`SequenceRing`], written and read by plain loops that never ask whether they may: what one side
/// takes while the other does nothing.
pub struct Slots;

#[repr(C)]
struct Slot<T> {
    /// The number of the item, plus one.
    word: AtomicU64,
    item: T,
}

/// Where the receiver tells how far it is; the slots begin a page after it.
const TAKEN: usize = 256;
const SLOTS: usize = 4096;

struct Memory<T> {
    segment: Segment,
    slots: *mut Slot<T>,
    mask: u64,
}

impl<T: Item> Memory<T> {
    fn create(case: &Case) -> Result<Channel> {
        ensure!(case.capacity.is_power_of_two(), "the capacity is a mask");
        Ok(segment_channel(SLOTS + case.capacity * size_of::<Slot<T>>())?.1)
    }

    fn attach(case: &Case, handle: &Handle) -> Result<Self> {
        let segment = segment_id(handle)?.attach()?;
        ensure!(
            segment.len_bytes() >= SLOTS + case.capacity * size_of::<Slot<T>>(),
            "the segment is too small"
        );
        // SAFETY: within the segment.
        let slots = unsafe { segment.as_ptr().add(SLOTS) }.cast();
        let mask = case.capacity as u64 - 1;
        Ok(Self {
            segment,
            slots,
            mask,
        })
    }

    fn taken(&self) -> &AtomicU64 {
        // SAFETY: the segment has a page for it, and both processes access it as an atomic.
        unsafe { &*self.segment.as_ptr().add(TAKEN).cast() }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> *mut Slot<T> {
        // SAFETY: the mask keeps the index below the capacity.
        unsafe { self.slots.add((position & self.mask) as usize) }
    }

    #[inline(always)]
    fn word(&self, position: u64) -> &AtomicU64 {
        // SAFETY: within the segment, aligned, and both processes access it as an atomic.
        unsafe { &(*self.slot(position)).word }
    }

    #[inline(always)]
    fn write(&self, position: u64, item: &T) {
        // SAFETY: within the segment; the receiver leaves the slot alone until its word says that it is written.
        unsafe { (*self.slot(position)).item = *item };
        self.word(position).store(position + 1, Ordering::Release);
    }

    #[inline(always)]
    fn read(&self, position: u64, item: &mut T) {
        // SAFETY: within the segment; the sender has written the item and leaves it alone until it is taken.
        *item = unsafe { (*self.slot(position)).item };
    }
}

/// Hides where a number comes from. Otherwise the compiler learns from the comparison that the position is the word,
/// and takes the next address from the word: then no two cache lines are fetched at a time.
#[inline(always)]
fn opaque(mut number: u64) -> u64 {
    // SAFETY: does nothing.
    unsafe {
        asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack, preserves_flags));
    }
    number
}

struct SequenceSender<T> {
    memory: Memory<T>,
    position: u64,
    /// Up to here there is room.
    limit: u64,
}

struct SequenceReceiver<T> {
    memory: Memory<T>,
    position: u64,
    pauses: u32,
}

impl Peer for SequenceRing {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        Memory::<T>::create(case)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Ok(SequenceSender {
            memory: Memory::<T>::attach(case, handle)?,
            position: 0,
            limit: case.capacity as u64,
        })
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Ok(SequenceReceiver {
            memory: Memory::<T>::attach(case, handle)?,
            position: 0,
            pauses: self.pauses,
        })
    }
}

impl<T: Item> Sender<T> for SequenceSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        while self.position == self.limit {
            self.limit = self.memory.taken().load(Ordering::Acquire) + self.memory.mask + 1;
            if self.position == self.limit {
                spin_loop();
            }
        }
        self.memory.write(self.position, item);
        self.position += 1;
    }
}

impl<T: Item> Receiver<T> for SequenceReceiver<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        let word = self.memory.word(self.position);
        while opaque(word.load(Ordering::Acquire).wrapping_sub(self.position + 1)) != 0 {
            for _ in 0..self.pauses {
                spin_loop();
            }
        }
        self.memory.read(self.position, item);
        self.position += 1;
        // Four times a lap, so that the sender always has some room left when it asks.
        if self.position & (self.memory.mask >> 2) == 0 {
            self.memory.taken().store(self.position, Ordering::Release);
        }
    }
}

impl Peer for Slots {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        Memory::<T>::create(case)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Memory::<T>::attach(case, handle)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Memory::<T>::attach(case, handle)
    }
}

impl<T: Item> Sender<T> for Memory<T> {
    fn send(&mut self, item: &T) {
        self.write(item.number(), item);
    }
}

impl<T: Item> Receiver<T> for Memory<T> {
    fn receive(&mut self, _: &mut T) {
        panic!("plain loops do not wait: they take items by number");
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let (mut item, mut right) = (T::zeroed(), true);
        for number in first..first + count {
            let word = self.word(number).load(Ordering::Acquire);
            self.read(number, &mut item);
            right &= word == number + 1 && item.is(number);
        }
        Wrong::unless(right, first)
    }
}
