//! The lecture in one command: `cargo run --example lecture`.
//!
//! Runs the lecture's programs as separate processes and prints what a terminal would show: the System V pair, with
//! the kernel's view of the segment in between, and the POSIX pair, with `/dev/shm` before and after. Lines that
//! begin with `#` are additions of ours; what is left is the lecture's transcript. The slides about the bounded
//! buffer follow.
//!
//! ```text
//! $ cargo run --example lecture -- [--seconds N] [--object NAME]
//! ```
//!
//! The System V producer sleeps for N seconds, 2 unless said otherwise; in the lecture it is 10. The POSIX object
//! is called `SYSUOS`, or something similar if there is one of that name already. Exit status 0, or 1 after one
//! line on stderr.
//!
//! One binary is enough: it contains the programs, unchanged, and starts itself under their names, which `main`
//! below tells apart. So the command works in a fresh clone, where cargo builds this example alone. The processes
//! are as separate as any: each has its own memory, and they share nothing but the segment.
//!
//! All happens in a temporary directory, and nothing stays behind, neither after an error nor after Ctrl-C: see
//! `cleaner.rs`.

mod cleaner;
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
        Some("posix_producer") => posix_producer::main(),
        Some("posix_consumer") => posix_consumer::main(),
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
    let Arguments { pause, object } = arguments(std::env::args().skip(1))?;
    // One section for each part of the lecture.
    two_programs::run(pause)?;
    posix::run(object.as_deref())?;
    println!("\n# The bounded buffer, slide by slide.\n");
    walkthrough::run(&mut std::io::stdout().lock(), Duration::ZERO)
}

struct Arguments {
    pause: Duration,
    object: Option<String>,
}

fn arguments(mut args: impl Iterator<Item = String>) -> Result<Arguments, String> {
    const USAGE: &str = "usage: lecture [--seconds N] [--object NAME]";
    let mut parsed = Arguments {
        pause: Duration::from_secs(2),
        object: None,
    };
    while let Some(option) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match &*option {
            "--seconds" => {
                let seconds = value.parse().map_err(|_| USAGE)?;
                parsed.pause = Duration::try_from_secs_f64(seconds).map_err(|_| USAGE)?;
            }
            // What follows is a file name under /dev/shm.
            "--object" if !value.is_empty() && !value.contains(['/', '\n']) => {
                parsed.object = Some(value);
            }
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(parsed)
}
