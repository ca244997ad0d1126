//! What stands in for the shell: a prompt, programs that are started, comments of ours.

use crate::cli::{self, Unprinted};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A line that the reader could type.
pub(crate) fn prompt(command: impl fmt::Display) -> Result<(), Unprinted> {
    cli::say(format_args!("$ {command}"))
}

/// What a program of the lecture's has printed.
pub(crate) fn output(text: &str) -> Result<(), Unprinted> {
    cli::print(text)
}

/// A line that the lecture does not have. To a shell it is a comment, so a pasted transcript still runs.
pub(crate) fn addition(text: impl fmt::Display) -> Result<(), Unprinted> {
    cli::say(format_args!("# {text}"))
}

/// This very binary, as a program called `name`, in `directory`.
///
/// The name goes where a shell puts it, in argument 0, so that the program needs no argument of its own and `ps`
/// shows what it is.
pub(crate) fn program(name: impl AsRef<OsStr>, directory: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(name).current_dir(directory);
    Ok(command)
}
