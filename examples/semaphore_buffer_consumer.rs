//! A consumer of the textbook's bounded buffer with three semaphores; see `semaphore_buffer_producer`.
//!
//! ```text
//! $ cargo run --example semaphore_buffer_consumer -- [--count N] [--remove]
//! ```
//!
//! Takes N items (10 unless given) and prints each; sleeps while the buffer is empty. With `--remove` it then
//! removes the buffer, which ends everybody else who still waits.

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
            eprintln!("semaphore_buffer_consumer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let usage = "usage: semaphore_buffer_consumer [--count N] [--remove]";
    let (count, remove) = arguments(usage, Some("--remove"))?;
    let buffer = Buffer::open("SYSUOS")?;
    for _ in 0..count {
        let item = buffer.take()?;
        writeln!(stdout(), "took {item}")?;
    }
    if remove {
        buffer.remove()?;
    }
    Ok(())
}
