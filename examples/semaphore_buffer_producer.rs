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
#[path = "cli/mod.rs"]
mod cli;

use buffer::Buffer;
use cli::Arguments;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(include_str!("help/semaphore_buffer_producer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let count = arguments.number("--count")?.unwrap_or(10_u64);
    arguments.finish()?;
    let buffer = Buffer::open("SYSUOS")?;
    let first = u64::from(std::process::id()) * 1_000_000;
    for number in 0..count {
        buffer.put(first + number)?;
        cli::say(format_args!("put {}", first + number))?;
    }
    Ok(())
}
