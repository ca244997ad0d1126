//! Byte streams: `io::Write` and `io::Read`.
//!
//! Of one producer and one consumer alone. With several of either, `write_all` and `read_exact` would take turns with
//! others in the middle of what they write and read.

use super::consumer::Consumer;
use super::producer::Producer;
use super::refusal::{PopError, PushError};
use crate::ring::protocol::Endpoint;
use crate::ring::protocol::spsc::Spsc;
use std::io;

/// Bytes in: a write takes as many as there is room for, waiting for room for one.
///
/// A consumer that is dead, or has left and [that is to be noticed](Producer::notice_departure), is `BrokenPipe`
/// once the buffer is full.
///
/// ```
/// # use sysvshm::{Key, bounded_buffer::spsc::BoundedBuffer};
/// use std::io::{Read, Write};
/// # let buffer = BoundedBuffer::<u8>::create_new(Key::PRIVATE, 64)?;
/// # buffer.segment().mark_for_removal()?;
/// let (mut producer, mut consumer) = (buffer.producer()?, buffer.consumer()?);
/// writeln!(producer, "{} items", 3)?;
/// drop(producer);
/// let mut text = String::new();
/// consumer.read_to_string(&mut text)?; // ends, because the producer has left
/// assert_eq!(text, "3 items\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl io::Write for Producer<u8, Spsc> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.end.is_ready() {
            return Err(PushError::Forked(()).into());
        }
        if self.end.cancel().is_pulled() {
            return Err(PushError::Cancelled(()).into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let pushed = self.push_some(bytes, || None);
        Ok(pushed.map_err(|error| PushError::of_wait(error, ()))?)
    }

    /// Nothing to do: what was written has been pushed.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes out: a read takes as many as there are, waiting for one. The end of the stream (0 bytes) is a drained
/// buffer whose producer is gone, dead or not; before the first producer came, reading waits.
impl io::Read for Consumer<u8, Spsc> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.end.cancel().is_pulled() {
            return Err(PopError::Cancelled.into());
        }
        let mut how = self.how;
        how.ends_on_disconnect = true;
        match self.pop_slice_until(into, None, how) {
            Err(PopError::PeerDead | PopError::PeerLeft) => Ok(0),
            done => Ok(done?),
        }
    }
}
