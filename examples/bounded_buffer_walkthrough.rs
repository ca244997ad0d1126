//! The lecture's slides about the bounded buffer, drawn in the terminal: the array, where `in` and `out` point, the
//! line that runs.
//!
//! ```text
//! cargo run --example bounded_buffer_walkthrough [-- --seconds 1]      # pause between the steps
//! ```

#[path = "walkthrough/mod.rs"]
mod walkthrough;

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let pause = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Duration::ZERO,
        (Some("--seconds"), Some(seconds)) => match seconds.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(error) => {
                eprintln!("walkthrough: --seconds {seconds}: {error}");
                return ExitCode::FAILURE;
            }
        },
        _ => {
            eprintln!("walkthrough: the only option is --seconds N");
            return ExitCode::FAILURE;
        }
    };
    match walkthrough::run(&mut std::io::stdout().lock(), pause) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("walkthrough: {error}");
            ExitCode::FAILURE
        }
    }
}
