//! The lecture in one command: `cargo run --example lecture`.
//!
//! Runs the lecture's two programs as separate processes and prints what a terminal would show, with the kernel's view of the segment
//! in between. Lines that begin with `#` are additions of ours; what is left is the lecture's transcript.
//!
//! ```text
//! $ cargo run --example lecture -- [--seconds N]
//! ```
//!
//! The producer sleeps for N seconds, 2 unless said otherwise; in the lecture it is 10. Exit status 0, or 1 after one line on stderr.
//!
//! One binary is enough: it contains both programs, unchanged, and starts itself under their names, which `main` below tells apart. So the
//! command works in a fresh clone, where cargo builds this example alone. The processes are as separate as any: each has its own memory, and
//! they share nothing but the segment.
//!
//! All happens in a temporary directory, and nothing stays behind, neither after an error nor after Ctrl-C: see `cleaner.rs`.

mod cleaner;
mod shell;
mod two_programs;
mod view;

// The examples themselves, not copies of them.
#[path = "../sysvshm_consumer.rs"]
mod sysvshm_consumer;
#[path = "../sysvshm_producer.rs"]
mod sysvshm_producer;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    // The name this process was started under; see `shell::program`.
    let name = std::env::args_os().next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("sysvshm_producer") => sysvshm_producer::main(),
        Some("sysvshm_consumer") => sysvshm_consumer::main(),
        Some(cleaner::NAME) => cleaner::main(),
        _ => match run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("lecture: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let pause = pause_from_args(std::env::args().skip(1))?;
    // One section for each part of the lecture.
    two_programs::run(pause)
}

fn pause_from_args(mut args: impl Iterator<Item = String>) -> Result<Duration, String> {
    const USAGE: &str = "usage: lecture [--seconds N]";
    let pause = match args.next().as_deref() {
        None => return Ok(Duration::from_secs(2)),
        Some("--seconds") => args.next().and_then(|number| number.parse().ok()),
        Some(_) => None,
    };
    pause
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|_| args.next().is_none())
        .ok_or_else(|| USAGE.to_owned())
}
