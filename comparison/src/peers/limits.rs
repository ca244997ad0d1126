//! What nothing can beat: a bare cache line, a bare futex, a bare copy.

use super::ours::{segment_channel, segment_id};
use crate::case::{Case, Handle, Outcome, Task};
use crate::ends::{Channel, Peer, Receiver, Sender};
use crate::item::Item;
use crate::place::{now, pin, processors};
use anyhow::{Result, ensure};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use sysvshm::Segment;

/// One word on a cache line of its own says everything: the item's number, plus one. For round trips and wake-ups:
/// a second item must not be sent before the first was seen.
pub struct Mailbox {
    /// Whether the receiver sleeps on a futex, else it looks.
    pub sleeps: bool,
}

struct MailboxEnd {
    segment: Segment,
    sleeps: bool,
    seen: u64,
}

impl MailboxEnd {
    fn attach(sleeps: bool, handle: &Handle) -> Result<Self> {
        Ok(Self {
            segment: segment_id(handle)?.attach()?,
            sleeps,
            seen: 0,
        })
    }

    #[inline(always)]
    fn number(&self) -> &AtomicU64 {
        // SAFETY: the segment has 4096 bytes, aligned to a page; both processes access this word as an atomic.
        unsafe { &*self.segment.as_ptr().cast() }
    }

    /// How many items there were: what the receiver sleeps on.
    fn count(&self) -> &AtomicU32 {
        // SAFETY: as above, on another line.
        unsafe { &*self.segment.as_ptr().add(256).cast() }
    }
}

impl Peer for Mailbox {
    fn create<T: Item>(&self, _: &Case) -> Result<Channel> {
        ensure!(T::BYTES == 8, "a mailbox holds one word");
        Ok(segment_channel(4096)?.1)
    }

    fn sender<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        MailboxEnd::attach(self.sleeps, handle)
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        MailboxEnd::attach(self.sleeps, handle)
    }
}

impl<T: Item> Sender<T> for MailboxEnd {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        self.number().store(item.number() + 1, Ordering::Release);
        if self.sleeps {
            self.count().fetch_add(1, Ordering::SeqCst);
            rustix::thread::futex::wake(self.count(), rustix::thread::futex::Flags::empty(), 1)
                .expect("a futex");
        }
    }
}

impl<T: Item> Receiver<T> for MailboxEnd {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        let number = loop {
            let count = if self.sleeps {
                self.count().load(Ordering::SeqCst)
            } else {
                0
            };
            let number = self.number().load(Ordering::Acquire);
            if number != self.seen {
                break number;
            }
            if self.sleeps {
                // Woken, too late to sleep, or interrupted: look again.
                let _ = rustix::thread::futex::wait(
                    self.count(),
                    rustix::thread::futex::Flags::empty(),
                    count,
                    None,
                );
            } else {
                spin_loop();
            }
        };
        self.seen = number;
        item.set(number - 1);
    }
}

/// GiB/s of copying blocks of an item's size into a buffer of the case's capacity, again and again, in one process.
pub fn copy(task: &Task) -> Result<Outcome> {
    pin(processors()?[0])?;
    let block = vec![1_u8; task.case.bytes];
    let mut buffer = vec![0_u8; task.case.bytes * task.case.capacity];
    let mut once = || {
        for slot in buffer.chunks_exact_mut(block.len()) {
            slot.copy_from_slice(black_box(&block));
        }
        black_box(&mut buffer);
    };
    once();
    let began = now();
    for _ in 0..task.count {
        once();
    }
    let took = now() - began;
    let bytes = task.count as f64 * (task.case.bytes * task.case.capacity) as f64;
    ensure!(
        buffer.iter().all(|&byte| byte == 1),
        "the copy is not what was copied"
    );
    Ok(Outcome {
        values: vec![bytes / took as f64 * 1e9 / (1_u64 << 30) as f64],
        ..Outcome::default()
    })
}
