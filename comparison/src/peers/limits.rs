//! What nothing can beat: a bare cache line, a bare futex, bare memory, a bare segment, a bare copy.

use super::ours::{segment_channel, segment_id};
use crate::case::{Case, Handle, Mode, Outcome, Taken, Task, Workload};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::endpoint::{
    checked_runs, receive_batches, receive_singly, runs, send_batches, send_singly,
};
use crate::item::{BY_VALUE_BYTES, Item};
use crate::pinning::{now, pin, processors};
use crate::workload::{Driver, timed_pairs};
use anyhow::{Context, Result, ensure};
use rustix::time::Timespec;
use std::ffi::c_void;
use std::hint::{black_box, spin_loop};
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use std::{ptr, slice};
use sysvshm::{Key, Segment, SegmentOptions};

/// One word on a cache line of its own says everything: the item's number, plus one. For round trips and wake-ups:
/// a second item must not be sent before the first was seen.
pub struct Mailbox {
    /// Whether the receiver sleeps on a futex, else it polls.
    pub sleeps: bool,
    /// How long it sleeps at most before it looks again; nothing: until it is woken.
    pub slice: Option<Duration>,
}

struct MailboxEnd {
    segment: Segment,
    sleeps: bool,
    slice: Option<Timespec>,
    seen: u64,
}

impl MailboxEnd {
    fn attach(mailbox: &Mailbox, handle: &Handle) -> Result<Self> {
        let slice = mailbox.slice.map(Timespec::try_from).transpose()?;
        Ok(Self {
            segment: segment_id(handle)?.attach()?,
            sleeps: mailbox.sleeps,
            slice,
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
        MailboxEnd::attach(self, handle)
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        MailboxEnd::attach(self, handle)
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
                // Woken, too late to sleep, interrupted, or the slice is over: look again.
                let _ = rustix::thread::futex::wait(
                    self.count(),
                    rustix::thread::futex::Flags::empty(),
                    count,
                    self.slice.as_ref(),
                );
            } else {
                spin_loop();
            }
        };
        self.seen = number;
        item.set(number - 1);
    }
}

/// For streams: plain memory and a counter at each endpoint, nothing else. Items are written and checked where they
/// lie, or copied, in blocks or one by one.
pub struct Blocks {
    /// Pause instructions between two looks at the other's counter. What is best depends on the machine, so the
    /// limit is the fastest of several.
    pub pauses: u32,
}

struct BlocksEnd<T> {
    segment: Segment,
    mask: u64,
    mode: Mode,
    batch: usize,
    pauses: u32,
    /// This endpoint's own counter.
    done: u64,
    /// The other endpoint's, when it was last read.
    seen: u64,
    slots: *mut T,
}

/// The counters' places, apart from each other; the slots begin a page after the first.
const SENT: usize = 0;
const TAKEN: usize = 256;
const SLOTS: usize = 4096;

impl<T: Item> BlocksEnd<T> {
    fn attach(pauses: u32, case: &Case, handle: &Handle) -> Result<Self> {
        let segment = segment_id(handle)?.attach()?;
        ensure!(case.capacity.is_power_of_two(), "the capacity is a mask");
        ensure!(
            segment.len_bytes() >= SLOTS + case.capacity * T::BYTES,
            "the segment is too small"
        );
        // SAFETY: within the segment.
        let slots = unsafe { segment.as_ptr().add(SLOTS) }.cast();
        Ok(Self {
            segment,
            mask: case.capacity as u64 - 1,
            mode: case.mode,
            batch: case.batch(),
            pauses,
            done: 0,
            seen: 0,
            slots,
        })
    }

    #[inline(always)]
    fn counter(&self, place: usize) -> &AtomicU64 {
        // SAFETY: the segment has a page for both, and both processes access them as atomics.
        unsafe { &*self.segment.as_ptr().add(place).cast() }
    }

    /// Lets `work` have as many slots as there are, at most `most` and in one piece, after waiting until `there`
    /// finds some between this endpoint's counter and the other's. Then says so in this endpoint's counter.
    #[inline(always)]
    fn block<R>(
        &mut self,
        [own, other]: [usize; 2],
        most: usize,
        there: impl Fn(u64, u64) -> u64,
        work: impl FnOnce(*mut T, usize) -> R,
    ) -> (usize, R) {
        while there(self.done, self.seen) == 0 {
            self.seen = self.counter(other).load(Ordering::Acquire);
            if there(self.done, self.seen) == 0 {
                for _ in 0..self.pauses {
                    spin_loop();
                }
            }
        }
        let index = self.done & self.mask;
        let len = there(self.done, self.seen)
            .min(most as u64)
            .min(self.mask + 1 - index);
        // SAFETY: the index is below the capacity.
        let found = work(unsafe { self.slots.add(index as usize) }, len as usize);
        self.done += len;
        self.counter(own).store(self.done, Ordering::Release);
        (len as usize, found)
    }

    /// As [`block`](Self::block), for the sender.
    #[inline(always)]
    fn free<R>(&mut self, most: usize, work: impl FnOnce(*mut T, usize) -> R) -> (usize, R) {
        let capacity = self.mask + 1;
        let free = move |sent, taken| capacity - (sent - taken);
        self.block([SENT, TAKEN], most, free, work)
    }

    /// As [`block`](Self::block), for the receiver.
    #[inline(always)]
    fn full<R>(&mut self, most: usize, work: impl FnOnce(*mut T, usize) -> R) -> (usize, R) {
        self.block([TAKEN, SENT], most, |taken, sent| sent - taken, work)
    }

    fn write(&mut self, first: u64, most: usize) -> usize {
        let (len, ()) = self.free(most, |slots, len| {
            // SAFETY: so many slots are free, and any bytes are an item.
            let slots = unsafe { slice::from_raw_parts_mut(slots, len) };
            for (slot, number) in slots.iter_mut().zip(first..) {
                if T::BYTES <= BY_VALUE_BYTES {
                    *slot = T::of(number);
                } else {
                    slot.set(number);
                }
            }
        });
        len
    }

    fn check(&mut self, first: u64, most: usize) -> (usize, bool) {
        self.full(most, |slots, len| {
            // SAFETY: so many slots are full, and the sender leaves them alone.
            let items = unsafe { slice::from_raw_parts(slots, len) };
            let items = items.iter().zip(first..);
            items.fold(true, |right, (item, number)| right & item.is(number))
        })
    }
}

impl Peer for Blocks {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        Ok(segment_channel(SLOTS + case.capacity * T::BYTES)?.1)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        BlocksEnd::<T>::attach(self.pauses, case, handle)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        BlocksEnd::<T>::attach(self.pauses, case, handle)
    }
}

impl<T: Item> Sender<T> for BlocksEnd<T> {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        // SAFETY: one slot is free.
        self.free(1, |slot, _| unsafe { slot.write(*item) });
    }

    fn stream(&mut self, first: u64, count: u64) {
        let batch = self.batch;
        match self.mode {
            Mode::InPlace => runs(batch, first, count, |number, most| self.write(number, most)),
            Mode::Batch => send_batches(batch, first, count, |mut items: &[T]| {
                while !items.is_empty() {
                    // SAFETY: so many slots are free.
                    let (sent, ()) = self.free(items.len(), |slots, len| unsafe {
                        slots.copy_from_nonoverlapping(items.as_ptr(), len);
                    });
                    items = &items[sent..];
                }
            }),
            _ => send_singly(self, first, count),
        }
    }
}

impl<T: Item> Receiver<T> for BlocksEnd<T> {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        // SAFETY: one slot is full, and the sender leaves it alone.
        self.full(1, |slot, _| unsafe { *item = *slot });
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        let batch = self.batch;
        match self.mode {
            Mode::InPlace => {
                checked_runs(batch, first, count, |number, most| self.check(number, most))
            }
            Mode::Batch => receive_batches(batch, first, count, |items: &mut [T]| {
                let into = items.as_mut_ptr();
                // SAFETY: so many slots are full, and as many items fit.
                let copy =
                    |slots: *mut T, len| unsafe { into.copy_from_nonoverlapping(slots, len) };
                self.full(items.len(), copy).0
            }),
            _ => receive_singly(self, first, count),
        }
    }
}

/// Segments alone, to create and remove, attach and detach: by the raw calls, or by this crate.
pub struct Segments {
    pub raw: bool,
}

impl Driver for Segments {
    fn create(&self, case: &Case) -> Result<Channel> {
        Ok(segment_channel(case.capacity * case.bytes)?.1)
    }

    fn run(&self, task: &Task) -> Result<Outcome> {
        let (count, size_bytes) = (task.count, task.case.capacity * task.case.bytes);
        if task.case.workload == Workload::Attach {
            let id = segment_id(task.handles.first().context("a segment")?)?;
            return if self.raw {
                timed_pairs(count, || RawAttach::new(id.as_raw(), size_bytes))
            } else {
                timed_pairs(count, || Ok(id.attach()?))
            };
        }
        let outcome = if self.raw {
            timed_pairs(count, || RawSegment::new(size_bytes))?
        } else {
            timed_pairs(count, || OwnSegment::new(size_bytes))?
        };
        let taken = Taken {
            bytes: size_bytes as u64,
            source: "what was asked for, found again by IPC_STAT".to_string(),
        };
        Ok(Outcome {
            taken: Some(taken),
            ..outcome
        })
    }
}

/// `shmat`, and `IPC_STAT` for the length; `shmdt`.
struct RawAttach(*mut c_void);

impl RawAttach {
    fn new(id: i32, size_bytes: usize) -> Result<Self> {
        // SAFETY: nothing is replaced, the kernel chooses the place.
        let address = unsafe { libc::shmat(id, ptr::null(), 0) };
        ensure!(
            address.addr() != usize::MAX,
            "shmat: {}",
            io::Error::last_os_error()
        );
        let attach = Self(address);
        let mut status = MaybeUninit::<libc::shmid_ds>::uninit();
        // SAFETY: the kernel writes into `status`, which has the type it expects.
        let got = unsafe { libc::shmctl(id, libc::IPC_STAT, status.as_mut_ptr()) };
        ensure!(got != -1, "IPC_STAT: {}", io::Error::last_os_error());
        // SAFETY: the kernel wrote all of it.
        let found = unsafe { status.assume_init() }.shm_segsz;
        ensure!(found >= size_bytes, "the segment is too small");
        Ok(attach)
    }
}

impl Drop for RawAttach {
    fn drop(&mut self) {
        // SAFETY: attached by `new`, and nothing uses the memory.
        unsafe { libc::shmdt(self.0) };
    }
}

/// `shmget`, then as above; `IPC_RMID` first.
struct RawSegment {
    id: i32,
    _attach: RawAttach,
}

impl RawSegment {
    fn new(size_bytes: usize) -> Result<Self> {
        // SAFETY: no pointer is passed.
        let id = unsafe { libc::shmget(libc::IPC_PRIVATE, size_bytes, libc::IPC_CREAT | 0o600) };
        ensure!(id != -1, "shmget: {}", io::Error::last_os_error());
        let _attach = RawAttach::new(id, size_bytes)?;
        Ok(Self { id, _attach })
    }
}

impl Drop for RawSegment {
    fn drop(&mut self) {
        // SAFETY: no pointer is passed.
        unsafe { libc::shmctl(self.id, libc::IPC_RMID, ptr::null_mut()) };
    }
}

/// The same by this crate.
struct OwnSegment(Segment);

impl OwnSegment {
    fn new(size_bytes: usize) -> Result<Self> {
        let mut options = SegmentOptions::new();
        Ok(Self(
            options.size_bytes(size_bytes).create_new(Key::PRIVATE)?,
        ))
    }
}

impl Drop for OwnSegment {
    fn drop(&mut self) {
        let _ = self.0.mark_for_removal();
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
