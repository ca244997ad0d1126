//! What the command lines of all examples share, so that each example is about its subject: arguments, `--help`, exit
//! codes, output that its reader closes, and Ctrl-C.
//!
//! Each example has a help text in `examples/help`. It begins with the program's name and has one line that begins
//! with `usage: `, which a command line that makes no sense is answered with.
//!
//! | exit code | when |
//! |---|---|
//! | 0 | done, `--help`, or the reader of stdout closed it (`| head`) and has seen enough |
//! | 1 | failed, after one line on stderr |
//! | 2 | the command line makes no sense, after that and the usage on stderr |
//!
//! A closed stderr changes nothing but that the line is not read.
#![allow(dead_code, unused_imports)] // Each example uses a part of it.

mod arguments;
mod interrupts;

pub(crate) use arguments::{Arguments, Misuse, shown};
pub(crate) use interrupts::Interrupts;

use std::error::Error;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::{ExitCode, Termination};
use std::sync::OnceLock;

/// What each complaint begins with.
static NAME: OnceLock<&str> = OnceLock::new();

/// Runs an example that has this help text.
pub(crate) fn run<T: Termination>(
    help: &'static str,
    example: impl FnOnce(Arguments) -> Result<T, Box<dyn Error>>,
) -> ExitCode {
    NAME.get_or_init(|| help.split(':').next().unwrap_or_default());
    let arguments = Arguments::new(std::env::args_os().skip(1));
    let result = if arguments.ask_for_help() {
        print(help).map(|()| ExitCode::SUCCESS).map_err(Into::into)
    } else {
        example(arguments).map(Termination::report)
    };
    interrupts::give_way();
    match result {
        Ok(code) => code,
        Err(error) => failed(&*error, help),
    }
}

fn failed(error: &(dyn Error + 'static), help: &str) -> ExitCode {
    if error.downcast_ref().is_some_and(Unprinted::is_closed) {
        return ExitCode::SUCCESS;
    }
    complain(error);
    if error.is::<Misuse>() {
        let usage = help.lines().find(|line| line.starts_with("usage: "));
        to_stderr(format_args!("{}\n", usage.unwrap_or_default()));
        return ExitCode::from(2);
    }
    ExitCode::FAILURE
}

/// Prints a line on stdout. Unlike `println!` it does not panic when nobody reads stdout any more.
pub(crate) fn say(line: impl Display) -> Result<(), Unprinted> {
    print(format_args!("{line}\n"))
}

/// Prints on stdout, to its end and at once.
pub(crate) fn print(text: impl Display) -> Result<(), Unprinted> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}")?;
    Ok(stdout.flush()?)
}

/// Prints a line on stderr, after the program's name. There is no other place to say that it could not be printed,
/// and no reason to stop: unlike `eprintln!` it does not panic then.
pub(crate) fn complain(what: impl Display) {
    let name = NAME.get().copied().unwrap_or_default();
    to_stderr(format_args!("{name}: {what}\n"));
}

/// In one piece, so that the lines of several processes do not mix.
fn to_stderr(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}

/// Stdout could not be written. If its reader has closed it, the example ends quietly, as Unix tools do.
#[derive(Debug)]
pub(crate) struct Unprinted(io::Error);

impl Unprinted {
    /// Whether its reader has closed it, and nothing else is wrong.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl From<io::Error> for Unprinted {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl Display for Unprinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write to stdout: {}", self.0)
    }
}

impl Error for Unprinted {}
