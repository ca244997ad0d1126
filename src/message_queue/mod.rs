//! System V message queues: messages that the kernel keeps until a process takes them.
//!
//! A *message* is a *type*, a number from 1 up, and bytes. A process *sends* it into a queue, and sleeps while the queue
//! is full; a process *receives* one, the first, or the first of some type, and sleeps while there is none. The kernel
//! copies the bytes both times, so sender and receiver share no memory. The queue has an identifier, perhaps a key, an
//! owner and a mode, as a segment has, and it stays, with its messages, until it is removed.
//!
//! ```text
//!   create_new                                                      remove
//!       |                                                              |
//!       v                                                              v
//!   [ exists ] -- send: a copy goes in --> [ holds messages ] --> gone at once, with its messages; waiters wake
//!       ^                                        |                with `Removed`
//!       +------ receive: the last comes out -----+
//! ```
//!
//! Nothing is added to what C has. A message is `struct { long mtype; char mtext[]; }`: the type, and the bytes that
//! were sent. Programs in C, Perl or Python use the same queue.
//!
//! ```
//! use sysvshm::message_queue::Receive;
//! use sysvshm::{Key, MessageQueue};
//!
//! let key = Key::random()?;
//! let queue = MessageQueue::create_new(key)?;
//! queue.send(1, b"any bytes")?;                              // msgsnd
//! queue.send(7, &42_u64)?;                                   // a plain value
//!
//! // Perhaps in another process:
//! let queue = MessageQueue::open(key)?;
//! let message = queue.receive(Receive::of_type(7))?;         // msgrcv: sleeps while there is none
//! assert_eq!(message.value::<u64>(), Some(42));
//! let message = queue.receive(Receive::any())?;
//! assert_eq!((message.message_type(), message.bytes()), (1, &b"any bytes"[..]));
//! queue.remove()?;
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # Timeouts
//!
//! The kernel has no call that waits for a message for some time, so each way to do it costs something.
//!
//! * By default [`receive_timeout`](MessageQueue::receive_timeout) and [`send_timeout`](MessageQueue::send_timeout) try,
//!   and sleep between the tries, 50 µs at first and 1 ms at last. **Such a process starves beside processes that sleep
//!   in the call**: the kernel hands a message to a sleeping receiver before a polling one can see it, and gives room to
//!   a sleeping sender. Beside a receiver that slept in `msgrcv`, one that polled every 100 µs got 0 of 1001 messages
//!   (Linux 6.18). So either all receivers of a queue wait with a timeout, or none.
//! * With [`timer_signal`](MessageQueue::timer_signal) the process sleeps in the call as the others do, and a timer of
//!   the calling thread ends the sleep with a signal that the caller names. It costs a signal and three system calls
//!   for each wait that does not succeed at once. Linux.
//!
//! Neither takes a message after the time is over: what an interrupted call did not return is still in the queue.
//!
//! # Signals
//!
//! `msgsnd` and `msgrcv` are never restarted by the system, not even with `SA_RESTART` (signal(7)): a handled signal
//! ends the wait with `EINTR`, and no message is lost. Here waits are restarted, timed ones with the time that remains.
//! [`MessageQueue::interruptible`] gives a handle that reports [`Interrupted`](crate::ErrorKind::Interrupted) instead.
//!
//! # What this does not protect you from
//!
//! * A receiver that is killed after it has taken a message: the message died with it. The rings of
//!   [`bounded_buffer`](crate::bounded_buffer) have an answer to that.
//! * A message longer than the queue may hold ([`MessageQueueStatus::capacity_bytes`]): on Linux its sender sleeps for
//!   ever, as in C, because no receiver can make enough room.
//! * Whoever may read the queue may take any message, and whoever may write to it may send any type and any bytes.
//! * A queue stays until it is removed ([`create_new_owned`](MessageQueueOptions::create_new_owned): by the process that
//!   created it, unless it is killed). Removing is immediate: messages that are still in the queue are lost, and no process is counted in or out.
//! * systemd-logind with `RemoveIPC=yes` (the default) removes the queues of an ordinary user at the end of the last
//!   session, even those in use (logind.conf(5)).

mod id;
mod message;
mod options;
mod owned;
mod queue;
mod receive;
mod status;
mod transfer;

pub use id::MessageQueueId;
pub(crate) use message::with_envelope;
pub use message::{Content, Message};
pub use options::MessageQueueOptions;
pub use queue::MessageQueue;
pub use receive::Receive;
pub use status::MessageQueueStatus;
