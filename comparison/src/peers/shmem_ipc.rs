//! shmem-ipc: a ring in a memfd, with eventfds to sleep on.

use super::kernel::{file, inherited};
use crate::case::{Case, Handle, Mode, Polling};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::endpoint::{
    checked_runs, receive_batches, receive_singly, runs, send_batches, send_singly, until,
};
use crate::item::{BY_VALUE_BYTES, Item};
use anyhow::Result;
use shmem_ipc::sharedring;

pub struct ShmemIpc {
    /// Whether a full or empty ring is slept on, as its examples do; else it is looked at again and again.
    pub sleeps: bool,
}

struct Endpoint<R> {
    ring: R,
    mode: Mode,
    batch: usize,
    sleeps: bool,
    polling: Polling,
}

impl ShmemIpc {
    fn end<R>(&self, case: &Case, ring: R) -> Endpoint<R> {
        Endpoint {
            ring,
            mode: case.mode,
            batch: case.batch(),
            sleeps: self.sleeps,
            polling: case.polling,
        }
    }
}

impl Peer for ShmemIpc {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let ring = sharedring::Sender::<T>::new(case.capacity)?;
        let memory = ring.memfd().as_file();
        let bytes = memory.metadata()?.len();
        let handle = [
            inherited(memory)?,
            inherited(ring.empty_signal())?,
            inherited(ring.full_signal())?,
        ];
        Ok(Channel::new(handle, ring).taking(bytes, "the memfd's size"))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        let [memory, empty, full] = [file(handle, 0)?, file(handle, 1)?, file(handle, 2)?];
        Ok(self.end(
            case,
            sharedring::Sender::<T>::open(case.capacity, memory, empty, full)?,
        ))
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        let [memory, empty, full] = [file(handle, 0)?, file(handle, 1)?, file(handle, 2)?];
        Ok(self.end(
            case,
            sharedring::Receiver::<T>::open(case.capacity, memory, empty, full)?,
        ))
    }
}

impl<T: Item> Endpoint<sharedring::Sender<T>> {
    /// Lets `write` have slots until it has written at least one, and says how many it wrote.
    #[inline(always)]
    fn write(&mut self, mut write: impl FnMut(*mut T, usize) -> usize) -> usize {
        let mut written = 0;
        let mut once = |ring: &mut sharedring::Sender<T>| {
            ring.send_raw(|slots, free| {
                written = write(slots, free);
                written
            })
            .expect("the ring is whole");
            (written > 0).then_some(written)
        };
        loop {
            if self.sleeps {
                if let Some(written) = once(&mut self.ring) {
                    return written;
                }
                self.ring.block_until_writable().expect("an eventfd");
            } else {
                return until(self.polling, || once(&mut self.ring));
            }
        }
    }
}

impl<T: Item> Sender<T> for Endpoint<sharedring::Sender<T>> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.write(|slots, _| {
            // SAFETY: there is at least one slot, and only this end writes to it.
            unsafe { slots.copy_from_nonoverlapping(item, 1) };
            1
        });
    }

    fn stream(&mut self, first: u64, count: u64) {
        let batch = self.batch;
        match self.mode {
            Mode::Single | Mode::Outlined | Mode::Value => send_singly(self, first, count),
            Mode::Batch => send_batches(batch, first, count, |mut items| {
                while !items.is_empty() {
                    let written = self.write(|slots, free| {
                        let len = free.min(items.len());
                        // SAFETY: so many slots are free, and only this end writes to them.
                        unsafe { slots.copy_from_nonoverlapping(items.as_ptr(), len) };
                        len
                    });
                    items = &items[written..];
                }
            }),
            Mode::InPlace => runs(batch, first, count, |number, most| {
                self.write(|slots, free| {
                    let len = free.min(most);
                    for index in 0..len {
                        // SAFETY: so many slots are free.
                        let slot = unsafe { slots.add(index) };
                        let number = number + index as u64;
                        if T::BYTES <= BY_VALUE_BYTES {
                            // SAFETY: as above, and only this end writes to it.
                            unsafe { slot.write(T::of(number)) };
                        } else {
                            // SAFETY: as above; any bytes are an item, and the receiver of this comparison waits.
                            unsafe { &mut *slot }.set(number);
                        }
                    }
                    len
                })
            }),
        }
    }
}

impl<T: Item> Endpoint<sharedring::Receiver<T>> {
    /// Lets `read` have items until it has taken at least one, and says how many it took.
    #[inline(always)]
    fn read(&mut self, mut read: impl FnMut(*const T, usize) -> usize) -> usize {
        let mut taken = 0;
        let mut once = |ring: &mut sharedring::Receiver<T>| {
            ring.receive_raw(|items, there| {
                taken = read(items, there);
                taken
            })
            .expect("the ring is whole");
            (taken > 0).then_some(taken)
        };
        loop {
            if self.sleeps {
                if let Some(taken) = once(&mut self.ring) {
                    return taken;
                }
                self.ring.block_until_readable().expect("an eventfd");
            } else {
                return until(self.polling, || once(&mut self.ring));
            }
        }
    }
}

impl<T: Item> Receiver<T> for Endpoint<sharedring::Receiver<T>> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        self.read(|items, _| {
            // SAFETY: there is at least one item, and the sender of this comparison leaves it alone.
            unsafe { items.copy_to_nonoverlapping(item, 1) };
            1
        });
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let batch = self.batch;
        match self.mode {
            Mode::Single | Mode::Outlined | Mode::Value => receive_singly(self, first, count),
            Mode::Batch => receive_batches(batch, first, count, |into| {
                self.read(|items, there| {
                    let len = there.min(into.len());
                    // SAFETY: there are so many items, and the sender of this comparison leaves them alone.
                    unsafe { items.copy_to_nonoverlapping(into.as_mut_ptr(), len) };
                    len
                })
            }),
            Mode::InPlace => checked_runs(batch, first, count, |number, most| {
                let mut right = true;
                let len = self.read(|items, there| {
                    let len = there.min(most);
                    for index in 0..len {
                        // SAFETY: there are so many items, and the sender of this comparison leaves them alone.
                        let item = unsafe { &*items.add(index) };
                        right &= item.is(number + index as u64);
                    }
                    len
                });
                (len, right)
            }),
        }
    }
}
