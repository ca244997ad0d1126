//! Queues that live in one process, for reference: their endpoints are in two threads.

use crate::case::{Case, Mode, Polling};
use crate::endpoint::{Local, Receiver, Sender, Wrong};
use crate::endpoint::{
    checked_runs, receive_batches, receive_singly, runs, send_batches, send_singly, until,
};
use crate::item::{BY_VALUE_BYTES, Item};
use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Raw as _, Split};
use std::sync::Arc;

/// How an endpoint is used.
#[derive(Clone, Copy)]
struct Use {
    mode: Mode,
    batch: usize,
    polling: Polling,
}

impl Use {
    fn of(case: &Case) -> Self {
        Self {
            mode: case.mode,
            batch: case.batch(),
            polling: case.polling,
        }
    }
}

fn one<E>(count: usize, endpoint: E) -> Vec<E> {
    assert_eq!(count, 1, "a queue for one sender and one receiver");
    vec![endpoint]
}

pub struct Rtrb;

struct RtrbSender<T>(rtrb::Producer<T>, Use);
struct RtrbReceiver<T>(rtrb::Consumer<T>, Use);

impl Local for Rtrb {
    fn channel<T: Item>(
        &self,
        case: &Case,
        senders: usize,
        receivers: usize,
    ) -> (Vec<impl Sender<T> + Send>, Vec<impl Receiver<T> + Send>) {
        let (producer, consumer) = rtrb::RingBuffer::new(case.capacity);
        let how = Use::of(case);
        (
            one(senders, RtrbSender(producer, how)),
            one(receivers, RtrbReceiver(consumer, how)),
        )
    }
}

impl<T: Item> Sender<T> for RtrbSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        until(self.1.polling, || {
            if T::BYTES <= BY_VALUE_BYTES {
                self.0.push(*item).ok()
            } else {
                self.0.push_entire_slice(std::slice::from_ref(item)).ok()
            }
        });
    }

    #[inline(always)]
    fn send_value(&mut self, item: T) {
        until(self.1.polling, || self.0.push(item).ok());
    }

    fn stream(&mut self, first: u64, count: u64) {
        let Use {
            mode,
            batch,
            polling,
        } = self.1;
        match mode {
            Mode::Single | Mode::Outlined | Mode::Value => send_singly(self, first, count),
            Mode::Batch => send_batches(batch, first, count, |mut items| {
                while !items.is_empty() {
                    items = until(polling, || {
                        let (pushed, rest) = self.0.push_partial_slice(items);
                        (!pushed.is_empty()).then_some(rest)
                    });
                }
            }),
            Mode::InPlace => runs(batch, first, count, |number, most| {
                let free = until(polling, || {
                    Some(self.0.slots().min(most)).filter(|&free| free > 0)
                });
                let mut chunk = self
                    .0
                    .write_chunk_uninit(free)
                    .expect("as many slots are free");
                let (front, back) = chunk.as_mut_slices();
                for (slot, number) in front.iter_mut().chain(back).zip(number..) {
                    if T::BYTES <= BY_VALUE_BYTES {
                        slot.write(T::of(number));
                    } else {
                        slot.write(T::zeroed()).set(number);
                    }
                }
                // SAFETY: every slot of the chunk has been written.
                unsafe { chunk.commit_all() };
                free
            }),
        }
    }
}

impl<T: Item> Receiver<T> for RtrbReceiver<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        until(self.1.polling, || {
            if T::BYTES <= BY_VALUE_BYTES {
                self.0.pop().ok().map(|popped| *item = popped)
            } else {
                self.0.pop_entire_slice(std::slice::from_mut(item)).ok()
            }
        });
    }

    #[inline(always)]
    fn receive_value(&mut self) -> T {
        until(self.1.polling, || self.0.pop().ok())
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let Use {
            mode,
            batch,
            polling,
        } = self.1;
        match mode {
            Mode::Single | Mode::Outlined | Mode::Value => receive_singly(self, first, count),
            Mode::Batch => receive_batches(batch, first, count, |items| {
                until(polling, || {
                    Some(self.0.pop_partial_slice(items).0.len()).filter(|&taken| taken > 0)
                })
            }),
            Mode::InPlace => checked_runs(batch, first, count, |number, most| {
                let there = until(polling, || {
                    Some(self.0.slots().min(most)).filter(|&there| there > 0)
                });
                let chunk = self.0.read_chunk(there).expect("as many items are there");
                let (front, back) = chunk.as_slices();
                let mut right = true;
                for (item, number) in front.iter().chain(back).zip(number..) {
                    right &= item.is(number);
                }
                chunk.commit_all();
                (there, right)
            }),
        }
    }
}

pub struct Ringbuf;

struct RingbufSender<T>(ringbuf::HeapProd<T>, Use);
struct RingbufReceiver<T>(ringbuf::HeapCons<T>, Use);

impl Local for Ringbuf {
    fn channel<T: Item>(
        &self,
        case: &Case,
        senders: usize,
        receivers: usize,
    ) -> (Vec<impl Sender<T> + Send>, Vec<impl Receiver<T> + Send>) {
        let (producer, consumer) = ringbuf::HeapRb::new(case.capacity).split();
        let how = Use::of(case);
        (
            one(senders, RingbufSender(producer, how)),
            one(receivers, RingbufReceiver(consumer, how)),
        )
    }
}

impl<T: Item> Sender<T> for RingbufSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        until(self.1.polling, || {
            if T::BYTES <= BY_VALUE_BYTES {
                self.0.try_push(*item).ok()
            } else {
                (self.0.push_slice(std::slice::from_ref(item)) == 1).then_some(())
            }
        });
    }

    #[inline(always)]
    fn send_value(&mut self, item: T) {
        until(self.1.polling, || self.0.try_push(item).ok());
    }

    fn stream(&mut self, first: u64, count: u64) {
        let Use {
            mode,
            batch,
            polling,
        } = self.1;
        match mode {
            Mode::Single | Mode::Outlined | Mode::Value => send_singly(self, first, count),
            Mode::Batch => send_batches(batch, first, count, |mut items| {
                while !items.is_empty() {
                    let pushed = until(polling, || {
                        Some(self.0.push_slice(items)).filter(|&pushed| pushed > 0)
                    });
                    items = &items[pushed..];
                }
            }),
            Mode::InPlace => runs(batch, first, count, |number, most| {
                let free = until(polling, || {
                    Some(self.0.vacant_len().min(most)).filter(|&free| free > 0)
                });
                let (front, back) = self.0.vacant_slices_mut();
                for (slot, number) in front.iter_mut().chain(back).take(free).zip(number..) {
                    if T::BYTES <= BY_VALUE_BYTES {
                        slot.write(T::of(number));
                    } else {
                        slot.write(T::zeroed()).set(number);
                    }
                }
                // SAFETY: the first `free` slots have been written.
                unsafe { self.0.advance_write_index(free) };
                free
            }),
        }
    }
}

impl<T: Item> Receiver<T> for RingbufReceiver<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        until(self.1.polling, || {
            if T::BYTES <= BY_VALUE_BYTES {
                self.0.try_pop().map(|popped| *item = popped)
            } else {
                (self.0.pop_slice(std::slice::from_mut(item)) == 1).then_some(())
            }
        });
    }

    #[inline(always)]
    fn receive_value(&mut self) -> T {
        until(self.1.polling, || self.0.try_pop())
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let Use {
            mode,
            batch,
            polling,
        } = self.1;
        match mode {
            Mode::Single | Mode::Outlined | Mode::Value => receive_singly(self, first, count),
            Mode::Batch => receive_batches(batch, first, count, |items| {
                until(polling, || {
                    Some(self.0.pop_slice(items)).filter(|&taken| taken > 0)
                })
            }),
            Mode::InPlace => checked_runs(batch, first, count, |number, most| {
                let there = until(polling, || {
                    Some(self.0.occupied_len().min(most)).filter(|&there| there > 0)
                });
                let (front, back) = self.0.as_slices();
                let mut right = true;
                for (item, number) in front.iter().chain(back).take(there).zip(number..) {
                    right &= item.is(number);
                }
                self.0.skip(there);
                (there, right)
            }),
        }
    }
}

/// crossbeam's `ArrayQueue`, for many and many.
pub struct ArrayQueue;

struct ArrayQueueEnd<T>(Arc<crossbeam_queue::ArrayQueue<T>>, Polling);

impl Local for ArrayQueue {
    fn channel<T: Item>(
        &self,
        case: &Case,
        senders: usize,
        receivers: usize,
    ) -> (Vec<impl Sender<T> + Send>, Vec<impl Receiver<T> + Send>) {
        let queue = Arc::new(crossbeam_queue::ArrayQueue::new(case.capacity));
        let endpoints = |count: usize| {
            (0..count)
                .map(|_| ArrayQueueEnd(queue.clone(), case.polling))
                .collect::<Vec<_>>()
        };
        (endpoints(senders), endpoints(receivers))
    }
}

impl<T: Item> Sender<T> for ArrayQueueEnd<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        until(self.1, || self.0.push(*item).ok());
    }
}

impl<T: Item> Receiver<T> for ArrayQueueEnd<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        *item = until(self.1, || self.0.pop());
    }
}

/// crossbeam's bounded channel, for many and many. It waits by itself.
pub struct CrossbeamChannel;

struct CrossbeamSender<T>(crossbeam_channel::Sender<T>);
struct CrossbeamReceiver<T>(crossbeam_channel::Receiver<T>);

impl Local for CrossbeamChannel {
    fn channel<T: Item>(
        &self,
        case: &Case,
        senders: usize,
        receivers: usize,
    ) -> (Vec<impl Sender<T> + Send>, Vec<impl Receiver<T> + Send>) {
        let (sender, receiver) = crossbeam_channel::bounded(case.capacity);
        let senders = (0..senders)
            .map(|_| CrossbeamSender(sender.clone()))
            .collect();
        let receivers = (0..receivers)
            .map(|_| CrossbeamReceiver(receiver.clone()))
            .collect();
        (senders, receivers)
    }
}

impl<T: Item> Sender<T> for CrossbeamSender<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.0.send(*item).expect("a receiver is there");
    }
}

impl<T: Item> Receiver<T> for CrossbeamReceiver<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        *item = self.0.recv().expect("a sender is there");
    }
}
