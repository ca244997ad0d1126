//! The lecture's consumer: takes N numbers out of the bounded buffer and checks that they are 1 to N.
//!
//! See `bounded_buffer_producer.rs`, which has to run first.

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
    cli::run(include_str!("help/bounded_buffer_consumer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let count = arguments.number_operand()?.unwrap_or(20);
    arguments.finish()?;
    let key = Key::from_path("SYSUOS", 43)?;
    let interrupts = Interrupts::hold();
    let segment = SegmentOptions::new()
        .size_bytes(Buffer::SIZE_BYTES)
        .open(key)?;
    let id = segment.id();
    interrupts.then(move || stays(id))?;
    consume(&Buffer::new(&segment)?, count).inspect_err(|_| stays(id))
}

fn consume(buffer: &Buffer<'_>, count: i32) -> Result<(), Box<dyn Error>> {
    for expected in 1..=count {
        let next_consumed = buffer.consume()?;
        if next_consumed != expected {
            return Err(format!("{next_consumed} instead of {expected}").into());
        }
        if count <= 100 {
            cli::say(format_args!("consumed: {next_consumed}"))?;
        }
    }
    Ok(cli::say(format_args!("{count} items in order"))?)
}

/// What stays if this ends before its time, and how to remove it.
fn stays(id: SegmentId) {
    cli::complain(format_args!(
        "the buffer stays with the producer: segment {id}; `ipcrm -m {id}` removes it"
    ));
}
