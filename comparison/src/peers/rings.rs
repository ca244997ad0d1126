//! sysvshm's two rings.
//!
//! This file is compiled a second time against an older version of the crate, if the run is to compare with one
//! (`before`): so it takes the crate from `super::api`, and what has been renamed since from `super::renamed`.

use super::api::bounded_buffer::{mpmc, spsc};
use super::api::{Key, ReadOnly, SegmentId, SharedRef, SharedSlice};
#[allow(unused_imports, reason = "empty where nothing has been renamed")]
use super::renamed::*;
use crate::case::{Case, Handle, Mode};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::endpoint::{
    checked_runs, receive_batches, receive_singly, runs, send_batches, send_singly,
};
use crate::item::{BY_VALUE_BYTES, Item};
use anyhow::{Context, Result};
use std::slice;
use std::time::Duration;
use sysvshm::bytemuck::Pod;

pub use super::api::bounded_buffer::{Layout, Waiting};

fn segment_id(handle: &Handle) -> Result<SegmentId> {
    let id = handle.first().context("the identifier of a segment")?;
    Ok(SegmentId::from_raw(id.parse()?))
}

/// The words of an item that is in shared memory.
pub trait SharedWords: Pod {
    fn shared_words(item: SharedRef<'_, Self>) -> SharedSlice<'_, u64>;
    fn shared_words_read_only(
        item: SharedRef<'_, Self, ReadOnly>,
    ) -> SharedSlice<'_, u64, ReadOnly>;
}

impl<const WORDS: usize> SharedWords for [u64; WORDS] {
    #[inline(always)]
    fn shared_words(item: SharedRef<'_, Self>) -> SharedSlice<'_, u64> {
        item.elements()
    }

    #[inline(always)]
    fn shared_words_read_only(
        item: SharedRef<'_, Self, ReadOnly>,
    ) -> SharedSlice<'_, u64, ReadOnly> {
        item.elements()
    }
}

/// Writes an item where it lies.
#[inline(always)]
fn set_shared<T: Item>(item: SharedRef<'_, T>, number: u64) {
    if T::BYTES <= BY_VALUE_BYTES {
        item.store(T::of(number));
    } else {
        <T as SharedWords>::shared_words(item).fill(number);
    }
}

/// Checks an item where it lies, by way of copies of a page at most.
#[inline(always)]
fn shared_is<T: Item>(item: SharedRef<'_, T, ReadOnly>, number: u64) -> bool {
    const PAGE: usize = 512;
    if T::BYTES <= 8 * PAGE {
        return item.load().is(number);
    }
    let mut page = [0; PAGE];
    let words = <T as SharedWords>::shared_words_read_only(item);
    let mut wrong = 0;
    let mut from = 0;
    while from < words.len() {
        let len = PAGE.min(words.len() - from);
        words.slice(from..from + len).read_into(&mut page[..len]);
        wrong |= page[..len]
            .iter()
            .fold(0, |wrong, word| wrong | (word ^ number));
        from += len;
    }
    wrong == 0
}

/// The ring for one producer and one consumer. Its default way of waiting, which is to sleep, yields the processor
/// in good time where two processes share it: so the case's polling plays no part here.
pub struct Spsc {
    pub layout: Layout,
    pub waiting: Waiting,
    /// The receiver's liveness interval, if it is not the default.
    pub interval: Option<Duration>,
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
        if let Some(interval) = self.interval {
            consumer.liveness_interval(interval);
        }
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

    #[inline(always)]
    fn send_value(&mut self, item: T) {
        self.producer.push(item).expect("a consumer lives");
    }

    fn stream(&mut self, first: u64, count: u64) {
        let batch = self.batch;
        match self.mode {
            Mode::Single | Mode::Outlined | Mode::Value => send_singly(self, first, count),
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
                space.commit(len).expect("no fork");
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

    #[inline(always)]
    fn receive_value(&mut self) -> T {
        self.consumer.pop().expect("a producer lives")
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let batch = self.batch;
        match self.mode {
            Mode::Single | Mode::Outlined | Mode::Value => receive_singly(self, first, count),
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
                items.release(len).expect("no fork");
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
            self.producer.push(*item).expect("a consumer lives");
        } else {
            self.producer
                .push_slice(slice::from_ref(item))
                .expect("a consumer lives");
        }
    }

    #[inline(always)]
    fn send_value(&mut self, item: T) {
        self.producer.push(item).expect("a consumer lives");
    }

    fn stream(&mut self, first: u64, count: u64) {
        let batch = self.batch;
        match self.mode {
            Mode::Single | Mode::Outlined | Mode::Value => send_singly(self, first, count),
            Mode::Batch => send_batches(batch, first, count, |items| {
                self.producer.push_slice(items).expect("a consumer lives");
            }),
            // By way of a private item: its slots give no views.
            Mode::InPlace => {
                let mut item = T::zeroed();
                runs(batch, first, count, |number, most| {
                    let mut space = self.producer.reserve(most).expect("a consumer lives");
                    let len = space.len();
                    for index in 0..len {
                        item.set(number + index as u64);
                        space.write_from(index, slice::from_ref(&item));
                    }
                    space.commit(len).expect("no fork");
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
            *item = self.consumer.pop().expect("a producer lives");
        } else {
            self.consumer
                .pop_slice(slice::from_mut(item))
                .expect("a producer lives");
        }
    }

    #[inline(always)]
    fn receive_value(&mut self) -> T {
        self.consumer.pop().expect("a producer lives")
    }

    fn receive_some(&mut self, items: &mut [T]) -> usize {
        match self.mode {
            Mode::Batch => self.consumer.pop_slice(items).expect("a producer lives"),
            _ => {
                self.receive(&mut items[0]);
                1
            }
        }
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let batch = self.batch;
        match self.mode {
            Mode::Single | Mode::Outlined | Mode::Value => receive_singly(self, first, count),
            Mode::Batch => receive_batches(batch, first, count, |items| {
                self.consumer.pop_slice(items).expect("a producer lives")
            }),
            Mode::InPlace => {
                let mut item = T::zeroed();
                checked_runs(batch, first, count, |number, most| {
                    let items = self.consumer.peek(most).expect("a producer lives");
                    let (len, mut right) = (items.len(), true);
                    for index in 0..len {
                        items.read_into(index, slice::from_mut(&mut item));
                        right &= item.is(number + index as u64);
                    }
                    items.release(len).expect("no fork");
                    (len, right)
                })
            }
        }
    }
}
