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
#[path = "cli/mod.rs"]
mod cli;

use buffer::Buffer;
use cli::Arguments;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(include_str!("help/semaphore_buffer_consumer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let count = arguments.number("--count")?.unwrap_or(10_u64);
    let remove = arguments.flag("--remove");
    arguments.finish()?;
    let buffer = Buffer::open("SYSUOS")?;
    let taken = take(&buffer, count);
    // Also when nobody reads the output any more.
    if remove {
        buffer.remove()?;
    }
    taken
}

fn take(buffer: &Buffer, count: u64) -> Result<(), Box<dyn Error>> {
    for _ in 0..count {
        let item = buffer.take()?;
        cli::say(format_args!("took {item}"))?;
    }
    Ok(())
}
