//! The lecture's consumer: takes N numbers out of the bounded buffer and checks that they are 1 to N.
//!
//! See `bounded_buffer_producer.rs`, which has to run first.

use std::process::ExitCode;
use sysvshm::bounded_buffer::lecture::BoundedBuffer;
use sysvshm::{Key, SegmentOptions};

const BUFFER_SIZE: usize = 10;
type Buffer<'a> = BoundedBuffer<'a, i32, BUFFER_SIZE>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("consumer: {error}");
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
        .open(key)?;
    let buffer = Buffer::new(&segment)?;
    for expected in 1..=count {
        let next_consumed = buffer.consume()?;
        if next_consumed != expected {
            return Err(format!("{next_consumed} instead of {expected}").into());
        }
        if count <= 100 {
            println!("consumed: {next_consumed}");
        }
    }
    println!("{count} items in order");
    Ok(())
}
