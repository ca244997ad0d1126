//! A producer of the textbook's bounded buffer with three semaphores. Start as many as you like, and consumers too,
//! in one directory:
//!
//! ```text
//! $ cargo run --example semaphore_buffer_producer -- [--count N]
//! $ cargo run --example semaphore_buffer_consumer -- [--count N] [--remove]
//! ```
//!
//! Puts N items (10 unless given) and prints each. An item is the producer's pid times a million plus a running
//! number. Sleeps while the buffer is full. The buffer stays until a consumer with `--remove` ends it, or `ipcrm`.

#[path = "semaphore_buffer/buffer.rs"]
mod buffer;

use buffer::{Buffer, arguments};
use std::error::Error;
use std::io::{Write, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("semaphore_buffer_producer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (count, _) = arguments("usage: semaphore_buffer_producer [--count N]", None)?;
    let buffer = Buffer::open("SYSUOS")?;
    let first = u64::from(std::process::id()) * 1_000_000;
    for number in 0..count {
        buffer.put(first + number)?;
        writeln!(stdout(), "put {}", first + number)?;
    }
    Ok(())
}
