//! sysvshm's segments, on which others build, and its lecture's buffer. Its rings are in `rings`.

use crate::case::{Case, Handle, Polling};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong, until};
use crate::item::Item;
use anyhow::{Context, Result};
use sysvshm::bounded_buffer::lecture;
use sysvshm::{Key, Removal, Segment, SegmentId, SegmentOptions};

/// The segment that a handle names.
pub fn segment_id(handle: &Handle) -> Result<SegmentId> {
    let id = handle.first().context("the identifier of a segment")?;
    Ok(SegmentId::from_raw(id.parse()?))
}

/// A segment of zeros that goes with the last process that has it attached.
pub fn segment_channel(size_bytes: usize) -> Result<(Segment, Channel)> {
    let segment = SegmentOptions::new()
        .size_bytes(size_bytes)
        .create_new(Key::PRIVATE)?;
    segment.mark_for_removal()?;
    let id = segment.id();
    let channel = Channel::new([id.as_raw().to_string()], id.attach()?)
        .taking(segment.len_bytes() as u64, "the segment's size, IPC_STAT");
    Ok((segment, channel))
}

/// A page of words where the participants of a measurement meet. It goes with the last of them.
pub fn create_words() -> Result<Segment> {
    let mut options = SegmentOptions::new();
    options.size_bytes(4096).removal(Removal::OnceAttached);
    Ok(options.create_new(Key::PRIVATE)?)
}

pub fn attach_words(id: i32) -> Result<Segment> {
    Ok(SegmentId::from_raw(id).attach()?)
}

/// The lecture's buffer with so many positions, or as many as the case's capacity.
pub struct Lecture {
    pub slots: Option<usize>,
}

impl Lecture {
    fn slots(&self, case: &Case) -> usize {
        self.slots.unwrap_or(case.capacity)
    }
}

/// Calls a generic function with the number of slots, which is part of the type.
macro_rules! with_slots {
    ($slots:expr, $n:ident => $call:expr) => {
        match $slots {
            10 => {
                const $n: usize = 10;
                $call
            }
            16 => {
                const $n: usize = 16;
                $call
            }
            64 => {
                const $n: usize = 64;
                $call
            }
            128 => {
                const $n: usize = 128;
                $call
            }
            256 => {
                const $n: usize = 256;
                $call
            }
            1024 => {
                const $n: usize = 1024;
                $call
            }
            8192 => {
                const $n: usize = 8192;
                $call
            }
            65536 => {
                const $n: usize = 65536;
                $call
            }
            slots => panic!("no buffer type of {slots} slots"),
        }
    };
}

impl Peer for Lecture {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let size_bytes =
            with_slots!(self.slots(case), N => lecture::BoundedBuffer::<'static, T, N>::SIZE_BYTES);
        Ok(segment_channel(size_bytes)?.1)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        let endpoint: Box<dyn Sender<T>> =
            with_slots!(self.slots(case), N => Box::new(LectureEnd::<T, N>::attach(case, handle)?));
        Ok(endpoint)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let endpoint: Box<dyn Receiver<T>> =
            with_slots!(self.slots(case), N => Box::new(LectureEnd::<T, N>::attach(case, handle)?));
        Ok(endpoint)
    }
}

/// The buffer borrows its segment, and this endpoint has both.
struct LectureEnd<T: 'static, const N: usize> {
    ring: lecture::BoundedBuffer<'static, T, N>,
    segment: *mut Segment,
    polling: Polling,
}

impl<T: Item, const N: usize> LectureEnd<T, N> {
    fn attach(case: &Case, handle: &Handle) -> Result<Self> {
        let segment = Box::into_raw(Box::new(segment_id(handle)?.attach()?));
        // SAFETY: made from a box just now, and freed by `drop` only.
        let ring = lecture::BoundedBuffer::new(unsafe { &*segment })?;
        Ok(Self {
            ring,
            segment,
            polling: case.polling,
        })
    }
}

impl<T, const N: usize> Drop for LectureEnd<T, N> {
    fn drop(&mut self) {
        // SAFETY: made by `attach`; the ring, which alone borrows it, is not used after this.
        drop(unsafe { Box::from_raw(self.segment) });
    }
}

impl<T: Item, const N: usize> Sender<T> for LectureEnd<T, N> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        until(self.polling, || self.ring.try_produce(*item).ok());
    }
}

impl<T: Item, const N: usize> Receiver<T> for LectureEnd<T, N> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        *item = until(self.polling, || self.ring.try_consume().ok());
    }
}

impl<T: Item> Sender<T> for Box<dyn Sender<T>> {
    fn send(&mut self, item: &T) {
        (**self).send(item);
    }

    fn stream(&mut self, first: u64, count: u64) {
        (**self).stream(first, count);
    }
}

impl<T: Item> Receiver<T> for Box<dyn Receiver<T>> {
    fn prepare(&mut self) {
        (**self).prepare();
    }

    fn receive(&mut self, item: &mut T) {
        (**self).receive(item);
    }

    fn receive_some(&mut self, items: &mut [T]) -> usize {
        (**self).receive_some(items)
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        (**self).stream(first, count)
    }
}
