//! Boost's `interprocess::message_queue`, and its `lockfree::spsc_queue` in a System V segment.

use super::ours::{segment_channel, segment_id};
use crate::case::{Case, Handle, Mode};
use crate::endpoint::{Channel, Peer, Receiver, Sender, Wrong};
use crate::item::Item;
use anyhow::{Context, Result, ensure};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};
use sysvshm::Segment;

#[repr(C)]
struct Ring {
    item_bytes: usize,
    capacity: usize,
    total_bytes: usize,
    construct: unsafe extern "C" fn(*mut c_void),
    push: unsafe extern "C" fn(*mut c_void, *const c_void),
    pop: unsafe extern "C" fn(*mut c_void, *mut c_void),
    push_run: unsafe extern "C" fn(*mut c_void, c_int, usize, u64, u64),
    pop_run: unsafe extern "C" fn(*mut c_void, c_int, usize, u64, u64) -> u64,
}

unsafe extern "C" {
    fn boost_version() -> *const c_char;
    fn boost_mq_create(name: *const c_char, count: usize, bytes: usize) -> *mut c_void;
    fn boost_mq_open(name: *const c_char) -> *mut c_void;
    fn boost_mq_close(queue: *mut c_void);
    fn boost_mq_remove(name: *const c_char) -> bool;
    fn boost_mq_send(queue: *mut c_void, item: *const c_void, bytes: usize) -> bool;
    fn boost_mq_receive(queue: *mut c_void, item: *mut c_void, bytes: usize) -> bool;
    fn boost_ring_find(item_bytes: usize, capacity: usize) -> *const Ring;
}

/// Such as "1.74".
pub fn version() -> String {
    // SAFETY: returns a string constant.
    let text = unsafe { CStr::from_ptr(boost_version()) };
    text.to_string_lossy().replace('_', ".")
}

pub struct MessageQueue;

/// An open queue, and its name if it goes with this.
struct Queue {
    queue: NonNull<c_void>,
    name: Option<CString>,
}

impl Queue {
    fn open(handle: &Handle) -> Result<Self> {
        let name = CString::new(handle.first().context("the name of a queue")?.as_str())?;
        // SAFETY: a string that ends with a zero byte.
        let queue = NonNull::new(unsafe { boost_mq_open(name.as_ptr()) })
            .context("opening the message queue")?;
        Ok(Self { queue, name: None })
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: open since this was made, and not used after this.
        unsafe { boost_mq_close(self.queue.as_ptr()) };
        if let Some(name) = &self.name {
            // SAFETY: a string that ends with a zero byte.
            unsafe { boost_mq_remove(name.as_ptr()) };
        }
    }
}

impl Peer for MessageQueue {
    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let text = format!("sysvshm-comparison-{}-{count}", std::process::id());
        let name = CString::new(text.as_str())?;
        // SAFETY: a string that ends with a zero byte.
        let queue = unsafe { boost_mq_create(name.as_ptr(), case.capacity, case.bytes) };
        let queue = NonNull::new(queue).context("creating the message queue")?;
        let bytes = std::fs::metadata(format!("/dev/shm/{text}")).map(|file| file.len());
        let channel = Channel::new(
            [text],
            Queue {
                queue,
                name: Some(name),
            },
        );
        Ok(match bytes {
            Ok(bytes) => channel.taking(bytes, "the size of the shared memory object"),
            Err(_) => channel,
        })
    }

    fn sender<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        Queue::open(handle)
    }

    fn receiver<T: Item>(&self, _: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        Queue::open(handle)
    }
}

impl<T: Item> Sender<T> for Queue {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        // SAFETY: an open queue and an item of so many bytes.
        let sent =
            unsafe { boost_mq_send(self.queue.as_ptr(), (&raw const *item).cast(), T::BYTES) };
        assert!(sent, "message_queue::send");
    }
}

impl<T: Item> Receiver<T> for Queue {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        // SAFETY: an open queue and room for an item of so many bytes.
        let received =
            unsafe { boost_mq_receive(self.queue.as_ptr(), (&raw mut *item).cast(), T::BYTES) };
        assert!(received, "message_queue::receive");
    }
}

pub struct Spsc;

fn find(case: &Case) -> Option<&'static Ring> {
    // SAFETY: returns null or one of its constants.
    unsafe { boost_ring_find(case.bytes, case.capacity).as_ref() }
}

struct SpscEnd {
    ring: &'static Ring,
    segment: Segment,
    mode: c_int,
    batch: usize,
}

impl SpscEnd {
    fn attach(case: &Case, handle: &Handle) -> Result<Self> {
        let ring = find(case).context("a compiled ring")?;
        let segment = segment_id(handle)?.attach()?;
        ensure!(
            segment.len_bytes() >= ring.total_bytes,
            "the segment is too small"
        );
        Ok(Self {
            ring,
            segment,
            mode: c_int::from(case.mode != Mode::Single),
            batch: case.batch(),
        })
    }

    fn memory(&self) -> *mut c_void {
        self.segment.as_ptr().cast()
    }
}

impl Peer for Spsc {
    fn obstacle(&self, case: &Case) -> Option<String> {
        find(case)
            .is_none()
            .then(|| "not compiled for this size and capacity".to_string())
    }

    fn create<T: Item>(&self, case: &Case) -> Result<Channel> {
        let ring = find(case).context("a compiled ring")?;
        let (segment, channel) = segment_channel(ring.total_bytes)?;
        // SAFETY: the segment is large enough, aligned to a page, and nobody else knows it yet.
        unsafe { (ring.construct)(segment.as_ptr().cast()) };
        Ok(channel)
    }

    fn sender<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Sender<T>> {
        SpscEnd::attach(case, handle)
    }

    fn receiver<T: Item>(&self, case: &Case, handle: &Handle) -> Result<impl Receiver<T>> {
        SpscEnd::attach(case, handle)
    }
}

impl<T: Item> Sender<T> for SpscEnd {
    #[inline(always)]
    fn send(&mut self, item: &T) {
        // SAFETY: the segment holds this ring, and `T` is an item of its size.
        unsafe { (self.ring.push)(self.memory(), (&raw const *item).cast()) };
    }

    fn stream(&mut self, first: u64, count: u64) {
        // SAFETY: the segment holds this ring.
        unsafe { (self.ring.push_run)(self.memory(), self.mode, self.batch, first, count) };
    }
}

impl<T: Item> Receiver<T> for SpscEnd {
    #[inline(always)]
    fn receive(&mut self, item: &mut T) {
        // SAFETY: the segment holds this ring, and `T` is an item of its size.
        unsafe { (self.ring.pop)(self.memory(), (&raw mut *item).cast()) };
    }

    fn stream(&mut self, first: u64, count: u64) -> Result<(), Wrong> {
        // SAFETY: the segment holds this ring.
        let right =
            unsafe { (self.ring.pop_run)(self.memory(), self.mode, self.batch, first, count) };
        Wrong::unless(right == count, first + right)
    }
}
