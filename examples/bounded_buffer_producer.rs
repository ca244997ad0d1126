//! The lecture's producer: puts the numbers 1 to N into a bounded buffer of ten positions in shared memory.
//!
//! ```text
//! touch SYSUOS
//! cargo run --example bounded_buffer_producer -- 20        # then, in another terminal:
//! cargo run --example bounded_buffer_consumer -- 20
//! ```
//!
//! `examples/c/bounded_buffer_producer.c` is its twin: each works with the other's consumer.

#[path = "cli/mod.rs"]
mod cli;

use cli::{Arguments, Interrupts};
use std::error::Error;
use std::process::ExitCode;
use sysvshm::bounded_buffer::lecture::BoundedBuffer;
use sysvshm::{Key, SegmentId, SegmentOptions};

const BUFFER_SIZE: usize = 10;
type Buffer<'a> = BoundedBuffer<'a, i32, BUFFER_SIZE>;

fn main() -> ExitCode {
    cli::run(include_str!("help/bounded_buffer_producer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let count = arguments.number_operand()?.unwrap_or(20);
    arguments.finish()?;
    let key = Key::from_path("SYSUOS", 43)?;
    let interrupts = Interrupts::hold();
    let segment = SegmentOptions::new()
        .size_bytes(Buffer::SIZE_BYTES)
        .open_or_create(key)?;
    let id = segment.id();
    interrupts.then(move || stays(id))?;
    produce(&Buffer::new(&segment)?, count).inspect_err(|_| stays(id))?;
    segment.mark_for_removal()?;
    Ok(())
}

fn produce(buffer: &Buffer<'_>, count: i32) -> Result<(), Box<dyn Error>> {
    for next_produced in 1..=count {
        buffer.produce(next_produced)?;
        if count <= 100 {
            cli::say(format_args!("produced: {next_produced}"))?;
        }
    }
    // The segment goes when everything has been consumed.
    while !buffer.is_empty()? {
        std::thread::yield_now();
    }
    Ok(())
}

/// What stays if this ends before its time, and how to remove it.
fn stays(id: SegmentId) {
    cli::complain(format_args!(
        "the buffer stays for the consumer: segment {id}; `ipcrm -m {id}` removes it"
    ));
}
