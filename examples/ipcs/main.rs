//! Lists the machine's shared memory, or its semaphore sets, and removes what crashed programs left:
//! `cargo run --example ipcs -- --help`.
//!
//! What `ipcs -m` and `ipcs -s` of util-linux show, and what an operator asks next: is the creator still there,
//! does the memory really exist, how old is it, may it go, is it a [token](sysvshm::bounded_buffer#liveness) that a
//! kill left behind. Fields for scripts and exit codes are documented in `help.txt`, which `--help` prints.
//!
//! All of it comes from [`sysvshm::system`], and removing from
//! [`SegmentId::mark_for_removal`](sysvshm::SegmentId::mark_for_removal): `main.rs` decides what is to be done,
//! `filter.rs` which segments it is about, `show.rs` how they look, `stale.rs` when one may be removed, `sets.rs`
//! all of that for semaphore sets.

mod arguments;
mod filter;
mod sets;
mod show;
mod stale;
mod users;

use arguments::{Arguments, Task};
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::time::Duration;
use sysvshm::Status;
use sysvshm::system::{self, AbandonedToken, SegmentEntry};
use users::Users;

/// All was done.
const DONE: u8 = 0;
/// The system refused something.
const REFUSED: u8 = 1;
/// The arguments make no sense.
const USAGE: u8 = 2;
/// Something is stale and was left.
const STALE: u8 = 3;

/// Younger than that, a token is shown as any other segment: long enough for any doubt about its creator to go.
const TOKEN_AGE: Duration = Duration::from_secs(10);

/// A segment, and what removes it if it is an abandoned token.
#[derive(Debug)]
struct Listed {
    entry: SegmentEntry,
    token: Option<AbandonedToken>,
}

impl Listed {
    fn status(&self) -> &Status {
        &self.entry.status
    }
}

fn main() -> ExitCode {
    let users = Users::read();
    let arguments = match Arguments::parse(std::env::args_os().skip(1), &users) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("ipcs: {error}; see ipcs --help");
            return USAGE.into();
        }
    };
    match run(&arguments, &users) {
        Ok(code) => code.into(),
        Err(error) => {
            eprintln!("ipcs: {error}");
            REFUSED.into()
        }
    }
}

fn run(arguments: &Arguments, users: &Users) -> Result<u8, Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let (code, printed) = match arguments.task {
        task if arguments.semaphores && !matches!(task, Task::Help) => {
            sets::run(&mut out, arguments, users)?
        }
        Task::Help => (DONE, out.write_all(include_bytes!("help.txt"))),
        Task::Summary { limits, usage } => {
            let printed = summary(&mut out, arguments, limits, usage)?;
            (DONE, printed)
        }
        Task::List => {
            let entries = segments(arguments)?;
            (DONE, list(&mut out, arguments, users, &entries))
        }
        Task::ListStale => {
            let mut entries = segments(arguments)?;
            entries.retain(|entry| stale::is_stale(entry.status()));
            let code = if entries.is_empty() { DONE } else { STALE };
            let note = match entries.len() {
                0 => "nothing is stale".to_owned(),
                count => format!("{count} stale; --yes removes what is listed here"),
            };
            let listed = list(&mut out, arguments, users, &entries);
            (code, listed.and_then(|()| say(&mut out, arguments, &note)))
        }
        Task::RemoveStale => {
            let mut entries = segments(arguments)?;
            entries.retain(|entry| stale::is_stale(entry.status()));
            // All is done before anything is printed, so that a reader who goes away stops nothing halfway.
            let code = if remove(&mut entries) { DONE } else { REFUSED };
            let note = format!("{} removed", entries.len());
            let listed = list(&mut out, arguments, users, &entries);
            (code, listed.and_then(|()| say(&mut out, arguments, &note)))
        }
    };
    match printed.and_then(|()| out.flush()) {
        // `ipcs | head -1`: whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(code),
        Err(error) => Err(format!("cannot write to stdout: {error}").into()),
        Ok(()) => Ok(code),
    }
}

fn summary(
    out: &mut impl Write,
    arguments: &Arguments,
    limits: bool,
    usage: bool,
) -> Result<io::Result<()>, sysvshm::Error> {
    let allowed = system::limits()?;
    let mut printed = Ok(());
    if limits {
        printed = show::limits(out, &allowed, arguments.porcelain);
    }
    if usage {
        let used = system::usage()?;
        printed = printed.and_then(|()| show::usage(out, &used, &allowed, arguments.porcelain));
    }
    Ok(printed)
}

/// A closing line for people.
fn say(out: &mut impl Write, arguments: &Arguments, note: &str) -> io::Result<()> {
    if arguments.porcelain {
        return Ok(());
    }
    writeln!(out, "{note}")
}

fn segments(arguments: &Arguments) -> Result<Vec<Listed>, sysvshm::Error> {
    let mut tokens = system::abandoned_tokens(TOKEN_AGE)?;
    let mut listed = Vec::new();
    for entry in system::segments()? {
        let status = &entry.status;
        let age = filter::age(status);
        let filter = &arguments.filter;
        let token = tokens.iter().position(|token| token.status() == status);
        if filter.accepts(status.key(), status.owner_uid(), age)
            && (token.is_some() || !arguments.tokens)
        {
            let token = token.map(|index| tokens.swap_remove(index));
            listed.push(Listed { entry, token });
        }
    }
    Ok(listed)
}

fn list(
    out: &mut impl Write,
    arguments: &Arguments,
    users: &Users,
    entries: &[Listed],
) -> io::Result<()> {
    if arguments.porcelain {
        show::porcelain(out, entries)
    } else {
        show::table(out, entries, users)
    }
}

/// Removes the segments and keeps those in the list that are gone by our doing. Says whether all could be removed
/// that were to be.
fn remove(entries: &mut Vec<Listed>) -> bool {
    let mut complete = true;
    entries.retain(|entry| {
        let id = entry.status().id();
        let removed = match &entry.token {
            Some(token) => token.remove(),
            None => stale::remove_if_still_stale(entry.status()),
        };
        match removed {
            Ok(true) => true,
            Ok(false) => {
                eprintln!("ipcs: segment {id} is gone or was used a moment ago, left alone");
                false
            }
            Err(error) => {
                eprintln!("ipcs: segment {id} stays: {error}");
                complete = false;
                false
            }
        }
    });
    complete
}
