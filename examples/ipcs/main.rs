//! Lists the machine's shared memory, semaphore sets and message queues, and removes what crashed programs left:
//! `cargo run --example ipcs -- --help`.
//!
//! What `ipcs` of util-linux shows, and what an operator asks next: is the creator still there, does the memory really
//! exist, how old is it, may it go, is it a [token](sysvshm::bounded_buffer#liveness) that a kill left behind. Lines
//! for scripts and exit codes are documented in `help.txt`, which `--help` prints.
//!
//! All of it comes from [`sysvshm::system`], and removing from
//! [`SegmentId::mark_for_removal`](sysvshm::SegmentId::mark_for_removal) and
//! [`SemaphoreSet::remove`](sysvshm::SemaphoreSet::remove) and its kin: `main.rs` decides what is to be done,
//! `arguments.rs` and `filter.rs` what it is about, `segments.rs`, `sets.rs` and `queues.rs` list and remove, `stale.rs`
//! says when a segment may be removed, `show.rs` how all of it looks.

mod arguments;
#[path = "../cli/mod.rs"]
mod cli;
mod filter;
mod queues;
mod segments;
mod sets;
mod show;
mod stale;
mod users;

use arguments::{Settings, Task};
use std::error::Error;
use std::process::ExitCode;
use users::Users;

/// All was done.
const DONE: u8 = 0;
/// The system refused something.
const REFUSED: u8 = 1;
/// Something is stale and was left.
const STALE: u8 = 3;

fn main() -> ExitCode {
    cli::run(include_str!("help.txt"), |arguments| {
        let users = Users::read();
        run(&Settings::parse(arguments, &users)?, &users)
    })
}

fn run(settings: &Settings, users: &Users) -> Result<ExitCode, Box<dyn Error>> {
    let (code, text) = match settings.task {
        Task::Summary { limits, usage } => summary(settings, limits, usage),
        Task::List => {
            let found = Found::list(settings);
            (found.code(DONE), found.show(settings, users, None))
        }
        Task::ListStale => {
            let mut found = Found::list(settings);
            found.keep_what_is_stale();
            let (code, note) = match found.count() {
                0 => (DONE, "nothing is stale".to_owned()),
                count => {
                    let note = format!("{count} stale; --yes removes what is listed here");
                    (STALE, note)
                }
            };
            (found.code(code), found.show(settings, users, Some(note)))
        }
        Task::RemoveStale => {
            let mut found = Found::list(settings);
            found.keep_what_is_stale();
            // All is done before anything is printed, so that a reader who goes away stops nothing halfway.
            found.remove();
            let note = format!("{} removed", found.count());
            (found.code(DONE), found.show(settings, users, Some(note)))
        }
    };
    match cli::print(text) {
        // What was done stays done.
        Err(error) if !error.is_closed() => Err(error.into()),
        _ => Ok(code.into()),
    }
}

/// What it is about. One kind of objects may be refused while the other is there.
#[derive(Debug)]
struct Found {
    /// `None`: not asked for, or refused.
    segments: Option<Vec<segments::Entry>>,
    /// `None`: not asked for, or refused.
    sets: Option<Vec<sets::Entry>>,
    /// `None`: not asked for, or refused.
    queues: Option<Vec<queues::Entry>>,
    /// Whether the system refused nothing.
    complete: bool,
}

impl Found {
    fn list(settings: &Settings) -> Self {
        let mut complete = true;
        let segments = settings.segments.then(|| segments::list(settings));
        let segments = segments.and_then(|listed| unless_refused(listed, &mut complete));
        let sets = settings.sets.then(|| sets::list(settings));
        let sets = sets.and_then(|listed| unless_refused(listed, &mut complete));
        let queues = settings.queues.then(|| queues::list(settings));
        let queues = queues.and_then(|listed| unless_refused(listed, &mut complete));
        Self {
            segments,
            sets,
            queues,
            complete,
        }
    }

    fn keep_what_is_stale(&mut self) {
        let segments = self.segments.iter_mut();
        segments.for_each(|all| all.retain(segments::Entry::is_stale));
        let sets = self.sets.iter_mut();
        sets.for_each(|all| all.retain(sets::Entry::is_stale));
        let queues = self.queues.iter_mut();
        queues.for_each(|all| all.retain(queues::Entry::is_stale));
    }

    /// Removes all, and keeps in the lists what is gone by our doing. What could not be removed is said.
    fn remove(&mut self) {
        let complete = &mut self.complete;
        let mut ours = |name: &str, removed: Result<bool, sysvshm::Error>| match removed {
            Ok(true) => true,
            Ok(false) => {
                cli::complain(format_args!(
                    "{name} is gone or was used a moment ago, left alone"
                ));
                false
            }
            Err(error) => {
                cli::complain(format_args!("{name} stays: {error}"));
                *complete = false;
                false
            }
        };
        if let Some(all) = &mut self.segments {
            all.retain(|entry| ours(&format!("segment {}", entry.id()), entry.remove()));
        }
        if let Some(all) = &mut self.sets {
            all.retain(|entry| ours(&format!("semaphore set {}", entry.id()), entry.remove()));
        }
        if let Some(all) = &mut self.queues {
            all.retain(|entry| ours(&format!("message queue {}", entry.id()), entry.remove()));
        }
    }

    fn count(&self) -> usize {
        let segments = self.segments.as_ref().map_or(0, Vec::len);
        let sets = self.sets.as_ref().map_or(0, Vec::len);
        segments + sets + self.queues.as_ref().map_or(0, Vec::len)
    }

    fn code(&self, unless_refused: u8) -> u8 {
        if self.complete {
            unless_refused
        } else {
            REFUSED
        }
    }

    fn show(&self, settings: &Settings, users: &Users, note: Option<String>) -> String {
        let segments = self.segments.as_deref();
        let sets = self.sets.as_deref();
        let queues = self.queues.as_deref();
        if settings.porcelain {
            let segments = segments.map(show::segment_lines).unwrap_or_default();
            let sets = sets.map(show::set_lines).unwrap_or_default();
            return segments + &sets + &queues.map(show::queue_lines).unwrap_or_default();
        }
        let wide = settings.wide;
        let segments = segments.map(|all| show::segment_table(all, users, wide));
        let sets = sets.map(|all| show::set_table(all, users, wide));
        let queues = queues.map(|all| show::queue_table(all, users, wide));
        let note = note.map(|note| note + "\n");
        let parts: Vec<String> = [segments, sets, queues, note]
            .into_iter()
            .flatten()
            .collect();
        parts.join("\n")
    }
}

/// Says what was refused.
fn unless_refused<T>(answer: Result<T, sysvshm::Error>, complete: &mut bool) -> Option<T> {
    answer
        .inspect_err(|error| {
            cli::complain(error);
            *complete = false;
        })
        .ok()
}

/// What is allowed, and what is in use.
fn summary(settings: &Settings, limits: bool, usage: bool) -> (u8, String) {
    let mut complete = true;
    let segments = settings
        .segments
        .then(|| show::segment_summary(limits, usage));
    let sets = settings.sets.then(|| show::set_summary(limits, usage));
    let queues = settings.queues.then(|| show::queue_summary(limits, usage));
    let answers = [segments, sets, queues].into_iter().flatten();
    let groups: Vec<_> = answers
        .filter_map(|answer| unless_refused(answer, &mut complete))
        .flatten()
        .collect();
    let code = if complete { DONE } else { REFUSED };
    (code, show::summary(&groups, settings.porcelain))
}
