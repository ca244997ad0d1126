//! The lecture's producer: puts the numbers 1 to N into a bounded buffer of ten positions in shared memory.
//!
//! ```text
//! touch SYSUOS
//! cargo run --example bounded_buffer_producer -- 20        # then, in another terminal:
//! cargo run --example bounded_buffer_consumer -- 20
//! ```
//!
//! `examples/c/bounded_buffer_producer.c` is its twin: each works with the other's consumer.

use std::process::ExitCode;
use sysvshm::bounded_buffer::lecture::BoundedBuffer;
use sysvshm::{Key, SegmentOptions};

const BUFFER_SIZE: usize = 10;
type Buffer<'a> = BoundedBuffer<'a, i32, BUFFER_SIZE>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("producer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 20,
    };
    let key = Key::from_path("SYSUOS", 43)?;
    let segment = SegmentOptions::new()
        .size_bytes(Buffer::SIZE_BYTES)
        .open_or_create(key)?;
    let buffer = Buffer::new(&segment)?;
    for next_produced in 1..=count {
        buffer.produce(next_produced)?;
        if count <= 100 {
            println!("produced: {next_produced}");
        }
    }
    // The segment goes when everything has been consumed.
    while !buffer.is_empty()? {
        std::thread::yield_now();
    }
    segment.mark_for_removal()?;
    Ok(())
}
