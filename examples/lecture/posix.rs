//! The second part of the lecture: a producer and a consumer that share a POSIX object instead.

use crate::cleaner::Cleaner;
use crate::{cli, shell};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;

/// Where Linux shows the objects as files.
const DIRECTORY: &str = "/dev/shm";
const NAME: &str = "SYSUOS";

/// Runs both programs, one after the other. `object` is the name to use instead of the lecture's.
pub(crate) fn run(object: Option<OsString>) -> Result<(), Box<dyn Error>> {
    if !Path::new(DIRECTORY).is_dir() {
        return Ok(shell::addition(format_args!(
            "No {DIRECTORY} here, so the lecture's POSIX part is left out."
        ))?);
    }
    shell::addition(
        "The lecture's POSIX programs: the object is a file and stays until unlinked.",
    )?;
    let name = match object {
        Some(name) => name,
        None => free_name()?,
    };
    let directory = tempfile::Builder::new()
        .prefix("sysvshm-lecture-")
        .tempdir()?;
    let directory = directory.path();
    let mut cleaner = Cleaner::start(directory)?;
    let shown = show(&mut cleaner, directory, &name);
    // Also says when something could not be cleaned up, which dropping it would not.
    let cleaned = cleaner.finish();
    shown.and(cleaned)
}

fn show(cleaner: &mut Cleaner, directory: &Path, name: &OsStr) -> Result<(), Box<dyn Error>> {
    list()?;
    cleaner.watch_object(name)?;
    start("./posix_producer", directory, name)?;
    list()?;
    start("./posix_consumer", directory, name)?;
    cleaner.forget_object(name)?;
    list()
}

/// The lecture's name, unless an object has it already, which is not ours to overwrite.
fn free_name() -> Result<OsString, Box<dyn Error>> {
    let path = Path::new(DIRECTORY).join(NAME);
    if !path.try_exists()? {
        return Ok(NAME.into());
    }
    let name = format!("{NAME}-{}", std::process::id());
    shell::addition(format_args!(
        "{} exists and is not ours:\n# the object is called {name} here",
        path.display()
    ))?;
    Ok(name.into())
}

/// `ls /dev/shm`: what is there, other programs' objects included.
fn list() -> Result<(), Box<dyn Error>> {
    shell::prompt(format_args!("ls {DIRECTORY}"))?;
    let mut names: Vec<_> = std::fs::read_dir(DIRECTORY)?
        .filter_map(|entry| Some(cli::shown(&entry.ok()?.file_name())))
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    for name in names {
        shell::output(&format!("{name}\n"))?;
    }
    Ok(())
}

fn start(program: &str, directory: &Path, name: &OsStr) -> Result<(), Box<dyn Error>> {
    let mut command = shell::program(program, directory)?;
    if name == NAME {
        shell::prompt(program)?;
    } else {
        shell::prompt(format_args!("{program} {}", cli::shown(name)))?;
        command.arg(name);
    }
    let status = command.stdin(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("{program} failed: {status}").into());
    }
    Ok(())
}
