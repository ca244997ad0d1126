//! The lecture's slides about the bounded buffer, drawn in the terminal: the array, where `in` and `out` point, the
//! line that runs.
//!
//! ```text
//! cargo run --example bounded_buffer_walkthrough [-- --seconds 1]      # pause between the steps
//! ```

#[path = "cli/mod.rs"]
mod cli;
#[path = "walkthrough/mod.rs"]
mod walkthrough;

use cli::Arguments;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(include_str!("help/bounded_buffer_walkthrough.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let pause = arguments.seconds("--seconds")?.unwrap_or_default();
    arguments.finish()?;
    walkthrough::run(pause)
}
