//! What sending and receiving messages costs beside the raw calls, nobody waiting.
//!
//! `cargo bench --bench message_queue [-- --passes N]`
//!
//! Each pass runs both contenders for a fraction of a millisecond, in alternating order, so that a slow moment of the
//! machine hits both; ratios are formed within a pass, and the median and the quartiles of those are printed. Every
//! call's result is checked, and after each pass that the queue is empty.
#![allow(unsafe_code)] // The raw calls to compare with.

mod interleaved;

use interleaved::{Comparison, passes_from_arguments};
use std::ffi::c_long;
use sysvshm::message_queue::{Message, Receive};
use sysvshm::{Key, MessageQueue};

/// Iterations of one contender in one pass.
const BATCH: u32 = 200;

/// C's `struct { long mtype; char mtext[N]; }`.
#[repr(C)]
struct Raw<const N: usize> {
    message_type: c_long,
    bytes: [u8; N],
}

fn main() {
    let passes = passes_from_arguments(2001);
    println!("median of {passes} passes of {BATCH} iterations, [quartiles]; ns per iteration");
    let queue = Removed(MessageQueue::create_new(Key::PRIVATE).expect("a queue"));
    measure::<8>(&queue.0, passes);
    measure::<128>(&queue.0, passes);
    measure::<1024>(&queue.0, passes);
    measure::<8192>(&queue.0, passes);
}

fn measure<const N: usize>(queue: &MessageQueue, passes: usize) {
    let comparison = Comparison {
        passes,
        batch: BATCH,
        per_second: 1e9,
    };
    let id = queue.id().as_raw();
    let mut raw = Raw {
        message_type: 1,
        bytes: [1; N],
    };
    let content = [1_u8; N];
    let mut message = Message::with_capacity(N);
    let mut check = || assert_eq!(queue.status().expect("a status").messages(), 0);
    // The sender is the raw call for both: what differs is how the message is received.
    let sent = Raw {
        message_type: 1,
        bytes: [1; N],
    };
    comparison.run(
        &format!("receive_into, {N} bytes (and a raw msgsnd)"),
        &mut check,
        &mut || {
            raw_send(id, &sent);
            raw_receive(id, &mut raw);
        },
        &mut || {
            raw_send(id, &sent);
            queue
                .receive_into(Receive::any(), &mut message)
                .expect("a message");
            assert_eq!(message.bytes().len(), N);
        },
    );
    comparison.run(
        &format!("send and receive_into, {N} bytes"),
        &mut check,
        &mut || {
            raw_send(id, &raw);
            raw_receive(id, &mut raw);
        },
        &mut || {
            queue.send(1, &content).expect("sent");
            queue
                .receive_into(Receive::any(), &mut message)
                .expect("a message");
            assert_eq!(message.bytes().len(), N);
        },
    );
}

/// Removes the queue however the run ends.
struct Removed(MessageQueue);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

fn raw_send<const N: usize>(id: i32, message: &Raw<N>) {
    // SAFETY: a type and as many bytes as stated.
    let done = unsafe { libc::msgsnd(id, (&raw const *message).cast(), N, 0) };
    assert_eq!(done, 0);
}

fn raw_receive<const N: usize>(id: i32, message: &mut Raw<N>) {
    // SAFETY: room for a type and as many bytes as stated.
    let received = unsafe { libc::msgrcv(id, (&raw mut *message).cast(), N, 0, 0) };
    assert_eq!(received, N as isize);
}
