//! shaq: a ring in a memory file. Its sender polls; so does its receiver here, as it does in a stream.

use super::kernel::{file, inherited};
use crate::case::{Case, Handle, Mode, Polling};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::endpoint::{
    checked_runs, receive_batches, receive_singly, runs, send_batches, send_singly, until,
};
use crate::item::Item;
use anyhow::Result;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use shaq::spsc::{Consumer, Producer, minimum_file_size};
use std::fs::File;
use std::num::NonZeroUsize;

pub struct Shaq;

struct End<R> {
    ring: R,
    mode: Mode,
    batch: usize,
    polling: Polling,
}

impl<R> End<R> {
    fn new(case: &Case, ring: R) -> Self {
        Self {
            ring,
            mode: case.mode,
            batch: case.batch(),
            polling: case.polling,
        }
    }
}

impl Peer for Shaq {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let bytes = minimum_file_size::<T>(case.capacity).next_multiple_of(4096);
        let memory = File::from(memfd_create("shaq", MemfdFlags::empty())?);
        ftruncate(&memory, bytes as u64)?;
        // SAFETY: a new file of that size, which only the processes of this measurement know.
        drop(unsafe { Producer::<T>::create(&memory, bytes) }?);
        let handle = [inherited(&memory)?];
        Ok(Channel::new(handle, memory).taking(bytes as u64, "the file's size"))
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        // SAFETY: made by `create` for items of this type, and this process is the only one that sends.
        let ring = unsafe { Producer::<T>::join(&file(handle, 0)?) }?;
        Ok(End::new(case, ring))
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        // SAFETY: made by `create` for items of this type, and this process is the only one that receives.
        let ring = unsafe { Consumer::<T>::join(&file(handle, 0)?) }?;
        Ok(End::new(case, ring))
    }
}

impl<T: Item> Sender<T> for End<Producer<T>> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        until(self.polling, || self.ring.try_write(*item).ok());
    }

    fn stream(&mut self, first: u64, count: u64) {
        let (batch, polling) = (self.batch, self.polling);
        match self.mode {
            Mode::Batch => send_batches(batch, first, count, |mut items| {
                while !items.is_empty() {
                    let written = until(polling, || {
                        let mut room = self.ring.write_batch();
                        let fitting = items
                            .iter()
                            .take_while(|item| room.try_write(**item).is_ok());
                        Some(fitting.count()).filter(|&written| written > 0)
                    });
                    items = &items[written..];
                }
            }),
            Mode::InPlace => runs(batch, first, count, |number, most| {
                until(polling, || {
                    let mut room = self.ring.write_batch();
                    let mut written = 0;
                    while written < most {
                        // SAFETY: the slot is written before the batch ends.
                        let Some(slot) = (unsafe { room.try_as_mut() }) else {
                            break;
                        };
                        slot.write(T::of(number + written as u64));
                        written += 1;
                    }
                    Some(written).filter(|&written| written > 0)
                })
            }),
            _ => send_singly(self, first, count),
        }
    }
}

impl<T: Item> Receiver<T> for End<Consumer<T>> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        *item = until(self.polling, || self.ring.try_read());
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let (batch, polling) = (self.batch, self.polling);
        let most = |most: usize| NonZeroUsize::new(most).expect("at least one item is asked for");
        match self.mode {
            Mode::Batch => receive_batches(batch, first, count, |into| {
                until(polling, || {
                    let items = self.ring.try_reserve_read_batch(most(into.len()))?;
                    let (front, back) = items.as_slices();
                    into[..front.len()].copy_from_slice(front);
                    into[front.len()..front.len() + back.len()].copy_from_slice(back);
                    Some(front.len() + back.len())
                })
            }),
            Mode::InPlace => checked_runs(batch, first, count, |number, wanted| {
                until(polling, || {
                    let items = self.ring.try_reserve_read_batch(most(wanted))?;
                    let (front, back) = items.as_slices();
                    let numbered = front.iter().chain(back).zip(number..);
                    let right =
                        numbered.fold(true, |right, (item, number)| right & item.is(number));
                    Some((front.len() + back.len(), right))
                })
            }),
            _ => receive_singly(self, first, count),
        }
    }
}
