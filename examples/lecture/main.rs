//! The lecture in one command: `cargo run --example lecture`.
//!
//! Runs the lecture's programs as separate processes and prints what a terminal would show: the System V pair, with
//! the kernel's view of the segment in between, and the POSIX pair, with `/dev/shm` before and after. Lines that
//! begin with `#` are additions of ours; what is left is the lecture's transcript. The slides about the bounded
//! buffer follow.
//!
//! ```text
//! $ cargo run --example lecture -- [--seconds N] [--object NAME]     --help says more
//! ```
//!
//! One binary is enough: it contains the programs, unchanged, and starts itself under their names, which `main`
//! below tells apart. So the command works in a fresh clone, where cargo builds this example alone. The processes
//! are as separate as any: each has its own memory, and they share nothing but the segment.
//!
//! All happens in a temporary directory, and nothing stays behind, neither after an error nor after Ctrl-C: see
//! `cleaner.rs`.

// The programs below include it as well, each for its own sake.
#![allow(clippy::duplicate_mod)]

mod cleaner;
#[path = "../cli/mod.rs"]
mod cli;
mod posix;
mod shell;
mod two_programs;
mod view;

// The examples themselves, not copies of them.
#[path = "../posix_consumer.rs"]
mod posix_consumer;
#[path = "../posix_producer.rs"]
mod posix_producer;
#[path = "../sysvshm_consumer.rs"]
mod sysvshm_consumer;
#[path = "../sysvshm_producer.rs"]
mod sysvshm_producer;
#[path = "../walkthrough/mod.rs"]
mod walkthrough;

use cli::{Arguments, Misuse};
use std::error::Error;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    // The name this process was started under; see `shell::program`.
    let name = std::env::args_os().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("sysvshm_producer") => sysvshm_producer::main(),
        Some("sysvshm_consumer") => sysvshm_consumer::main(),
        Some("posix_producer") => posix_producer::main(),
        Some("posix_consumer") => posix_consumer::main(),
        Some(cleaner::NAME) => cleaner::main(),
        _ => cli::run(include_str!("../help/lecture.txt"), run),
    }
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let pause = arguments.seconds("--seconds")?;
    let object = arguments.bytes("--object")?;
    arguments.finish()?;
    // A file name under /dev/shm, and a line for the cleaner.
    let is_name = |name: &[u8]| !name.is_empty() && !name.contains(&b'/') && !name.contains(&b'\n');
    if object
        .as_ref()
        .is_some_and(|name| !is_name(name.as_bytes()))
    {
        return Err(Misuse::new("--object needs a name without slashes").into());
    }
    // One section for each part of the lecture.
    two_programs::run(pause.unwrap_or(Duration::from_secs(2)))?;
    posix::run(object)?;
    cli::say("\n# The bounded buffer, slide by slide.\n")?;
    walkthrough::run(Duration::ZERO)
}
