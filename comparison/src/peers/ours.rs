//! sysvshm's own: the two rings and the lecture's buffer.

use crate::case::{Case, Handle, Mode, Patience};
use crate::ends::{Channel, Peer, Receiver, Sender, Wrong};
use crate::ends::{
    checked_runs, receive_batches, receive_singly, runs, send_batches, send_singly, until,
};
use crate::item::{BY_VALUE_BYTES, Item, set_shared, shared_is};
use anyhow::{Context, Result};
use std::slice;
use sysvshm::bounded_buffer::{Waiting, lecture, mpmc, spsc};
use sysvshm::{Key, Segment, SegmentId, SegmentOptions};

/// The segment that a handle names.
pub fn segment_id(handle: &Handle) -> Result<SegmentId> {
    let id = handle.first().context("the identifier of a segment")?;
    Ok(SegmentId::from_raw(id.parse()?))
}

/// A segment of zeros that goes with the last who has it attached.
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

/// Whoever shares a processor yields it in good time in the default way of waiting, which is to sleep: so patience
/// plays no part here.
pub struct Spsc {
    pub layout: spsc::Layout,
    pub waiting: Waiting,
}

pub struct SpscSender<T> {
    producer: spsc::Producer<T>,
    mode: Mode,
    batch: usize,
}

pub struct SpscReceiver<T> {
    consumer: spsc::Consumer<T>,
    mode: Mode,
    batch: usize,
}

impl Peer for Spsc {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let mut options = spsc::Options::new();
        let ring: spsc::BoundedBuffer<T> = options
            .capacity(case.capacity)
            .layout(self.layout)
            .create_new(Key::PRIVATE)?;
        let segment = ring.segment();
        segment.mark_for_removal()?;
        let (id, bytes) = (segment.id().as_raw(), segment.len_bytes() as u64);
        Ok(Channel::new([id.to_string()], ring).taking(bytes, "the segment's size, IPC_STAT"))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        let mut producer = spsc::Options::new()
            .attach(segment_id(handle)?)?
            .producer()?;
        producer.waiting(self.waiting);
        Ok(SpscSender {
            producer,
            mode: case.mode,
            batch: case.batch(),
        })
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let mut consumer = spsc::Options::new()
            .attach(segment_id(handle)?)?
            .consumer()?;
        consumer.waiting(self.waiting);
        Ok(SpscReceiver {
            consumer,
            mode: case.mode,
            batch: case.batch(),
        })
    }
}

impl<T: Item> Sender<T> for SpscSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        if T::BYTES <= BY_VALUE_BYTES {
            self.producer.push(*item).expect("the consumer lives");
        } else {
            self.producer
                .push_slice(slice::from_ref(item))
                .expect("the consumer lives");
        }
    }

    fn stream(&mut self, first: u64, count: u64) {
        let batch = self.batch;
        match self.mode {
            Mode::Single => send_singly(self, first, count),
            Mode::Batch => send_batches(batch, first, count, |items| {
                self.producer.push_slice(items).expect("the consumer lives");
            }),
            Mode::InPlace => runs(batch, first, count, |number, most| {
                let mut space = self.producer.reserve(most).expect("the consumer lives");
                let len = space.len();
                match space.as_shared_slice() {
                    Some(view) => {
                        for index in 0..len {
                            set_shared(view.at(index), number + index as u64);
                        }
                    }
                    None => {
                        for index in 0..len {
                            space.set(index, T::of(number + index as u64));
                        }
                    }
                }
                space.commit(len).expect("nobody forked");
                len
            }),
        }
    }
}

impl<T: Item> Receiver<T> for SpscReceiver<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        if T::BYTES <= BY_VALUE_BYTES {
            *item = self.consumer.pop().expect("the producer lives");
        } else {
            self.consumer
                .pop_slice(slice::from_mut(item))
                .expect("the producer lives");
        }
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let batch = self.batch;
        match self.mode {
            Mode::Single => receive_singly(self, first, count),
            Mode::Batch => receive_batches(batch, first, count, |items| {
                self.consumer.pop_slice(items).expect("the producer lives")
            }),
            Mode::InPlace => checked_runs(batch, first, count, |number, most| {
                let items = self.consumer.peek(most).expect("the producer lives");
                let (len, mut right) = (items.len(), true);
                match items.as_shared_slice() {
                    Some(view) => {
                        for index in 0..len {
                            right &= shared_is(view.at(index), number + index as u64);
                        }
                    }
                    None => {
                        for index in 0..len {
                            right &= items.get(index).is(number + index as u64);
                        }
                    }
                }
                items.release(len).expect("nobody forked");
                (len, right)
            }),
        }
    }
}

pub struct Mpmc {
    pub waiting: Waiting,
}

pub struct MpmcSender<T> {
    producer: mpmc::Producer<T>,
    mode: Mode,
    batch: usize,
}

pub struct MpmcReceiver<T> {
    consumer: mpmc::Consumer<T>,
    mode: Mode,
    batch: usize,
}

impl Peer for Mpmc {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let mut options = mpmc::Options::new();
        let ring: mpmc::BoundedBuffer<T> =
            options.capacity(case.capacity).create_new(Key::PRIVATE)?;
        let segment = ring.segment();
        segment.mark_for_removal()?;
        let (id, bytes) = (segment.id().as_raw(), segment.len_bytes() as u64);
        Ok(Channel::new([id.to_string()], ring).taking(bytes, "the segment's size, IPC_STAT"))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        let mut producer = mpmc::Options::new()
            .attach(segment_id(handle)?)?
            .producer()?;
        producer.waiting(self.waiting);
        Ok(MpmcSender {
            producer,
            mode: case.mode,
            batch: case.batch(),
        })
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let mut consumer = mpmc::Options::new()
            .attach(segment_id(handle)?)?
            .consumer()?;
        consumer.waiting(self.waiting);
        Ok(MpmcReceiver {
            consumer,
            mode: case.mode,
            batch: case.batch(),
        })
    }
}

impl<T: Item> Sender<T> for MpmcSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        if T::BYTES <= BY_VALUE_BYTES {
            self.producer.push(*item).expect("somebody consumes");
        } else {
            self.producer
                .push_slice(slice::from_ref(item))
                .expect("somebody consumes");
        }
    }

    fn stream(&mut self, first: u64, count: u64) {
        let batch = self.batch;
        match self.mode {
            Mode::Single => send_singly(self, first, count),
            Mode::Batch => send_batches(batch, first, count, |items| {
                self.producer.push_slice(items).expect("somebody consumes");
            }),
            // By way of a private item: its slots give no views.
            Mode::InPlace => {
                let mut item = T::zeroed();
                runs(batch, first, count, |number, most| {
                    let mut space = self.producer.reserve(most).expect("somebody consumes");
                    let len = space.len();
                    for index in 0..len {
                        item.set(number + index as u64);
                        space.write_from(index, slice::from_ref(&item));
                    }
                    space.commit(len).expect("nobody forked");
                    len
                });
            }
        }
    }
}

impl<T: Item> Receiver<T> for MpmcReceiver<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        if T::BYTES <= BY_VALUE_BYTES {
            *item = self.consumer.pop().expect("somebody produces");
        } else {
            self.consumer
                .pop_slice(slice::from_mut(item))
                .expect("somebody produces");
        }
    }

    fn receive_some(&mut self, items: &mut [T]) -> usize {
        match self.mode {
            Mode::Batch => self.consumer.pop_slice(items).expect("somebody produces"),
            _ => {
                self.receive(&mut items[0]);
                1
            }
        }
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let batch = self.batch;
        match self.mode {
            Mode::Single => receive_singly(self, first, count),
            Mode::Batch => receive_batches(batch, first, count, |items| {
                self.consumer.pop_slice(items).expect("somebody produces")
            }),
            Mode::InPlace => {
                let mut item = T::zeroed();
                checked_runs(batch, first, count, |number, most| {
                    let items = self.consumer.peek(most).expect("somebody produces");
                    let (len, mut right) = (items.len(), true);
                    for index in 0..len {
                        items.read_into(index, slice::from_mut(&mut item));
                        right &= item.is(number + index as u64);
                    }
                    items.release(len).expect("nobody forked");
                    (len, right)
                })
            }
        }
    }
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
        let end: Box<dyn Sender<T>> =
            with_slots!(self.slots(case), N => Box::new(LectureEnd::<T, N>::attach(case, handle)?));
        Ok(end)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let end: Box<dyn Receiver<T>> =
            with_slots!(self.slots(case), N => Box::new(LectureEnd::<T, N>::attach(case, handle)?));
        Ok(end)
    }
}

/// The buffer borrows its segment, and this end has both.
struct LectureEnd<T: 'static, const N: usize> {
    ring: lecture::BoundedBuffer<'static, T, N>,
    segment: *mut Segment,
    patience: Patience,
}

impl<T: Item, const N: usize> LectureEnd<T, N> {
    fn attach(case: &Case, handle: &Handle) -> Result<Self> {
        let segment = Box::into_raw(Box::new(segment_id(handle)?.attach()?));
        // SAFETY: made from a box just now, and freed by `drop` only.
        let ring = lecture::BoundedBuffer::new(unsafe { &*segment })?;
        Ok(Self {
            ring,
            segment,
            patience: case.patience,
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
        until(self.patience, || self.ring.try_produce(*item).ok());
    }
}

impl<T: Item, const N: usize> Receiver<T> for LectureEnd<T, N> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        *item = until(self.patience, || self.ring.try_consume().ok());
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
