//! The command line.

use crate::cli::{self, Arguments, Misuse};
use crate::filter::Filter;
use crate::users::Users;
use std::time::Duration;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    List,
    ListStale,
    RemoveStale,
    Summary { limits: bool, usage: bool },
}

/// A command line that makes sense.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) task: Task,
    pub(crate) filter: Filter,
    /// About segments.
    pub(crate) segments: bool,
    /// About semaphore sets.
    pub(crate) sets: bool,
    /// About message queues.
    pub(crate) queues: bool,
    /// About abandoned tokens alone, which are segments.
    pub(crate) tokens: bool,
    /// Tables of any width.
    pub(crate) wide: bool,
    /// For scripts rather than people.
    pub(crate) porcelain: bool,
}

impl Settings {
    /// Refuses what contradicts itself: in a program that removes things, a misunderstood option must not be
    /// ignored.
    pub(crate) fn parse(mut arguments: Arguments, users: &Users) -> Result<Self, Misuse> {
        let key = arguments.number("--key")?;
        let owner_uid = match arguments.bytes("--owner")? {
            None => None,
            Some(name) => {
                let name = cli::shown(&name);
                let unknown = || Misuse::new(format!("no user {name} in /etc/passwd"));
                Some(users.uid(&name).ok_or_else(unknown)?)
            }
        };
        let filter = Filter {
            key,
            owner_uid,
            older_than: arguments.parsed("--older-than", parse_age)?,
        };
        let [segments, semaphores, queues, tokens] =
            ["--segments", "--semaphores", "--queues", "--tokens"].map(|name| arguments.flag(name));
        let [wide, porcelain] = ["--wide", "--porcelain"].map(|name| arguments.flag(name));
        let [limits, usage] = ["--limits", "--usage"].map(|name| arguments.flag(name));
        let [remove_stale, yes] = ["--remove-stale", "--yes"].map(|name| arguments.flag(name));
        arguments.finish()?;

        if tokens && semaphores {
            return Err(Misuse::new(
                "--tokens is about segments, not about semaphore sets",
            ));
        }
        if tokens && queues {
            return Err(Misuse::new(
                "--tokens is about segments, not about message queues",
            ));
        }
        if wide && porcelain {
            return Err(Misuse::new(
                "--wide is for people, --porcelain for scripts: one of them",
            ));
        }
        let task = match (limits || usage, remove_stale, yes) {
            (false, false, false) => Task::List,
            (false, true, false) => Task::ListStale,
            (false, true, true) => Task::RemoveStale,
            (true, false, false) if filter.is_empty() && !tokens => Task::Summary { limits, usage },
            (_, false, true) => return Err(Misuse::new("--yes goes with --remove-stale")),
            (true, _, _) => {
                return Err(Misuse::new(
                    "--limits and --usage are about all segments together, all sets or all queues",
                ));
            }
        };
        Ok(Self {
            task,
            filter,
            segments: segments || tokens || !(semaphores || queues),
            sets: semaphores || !(segments || tokens || queues),
            queues: queues || !(segments || tokens || semaphores),
            tokens,
            wide,
            porcelain,
        })
    }
}

/// `90`, `90s`, `15m`, `2h`, `3d`.
fn parse_age(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_per_unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(seconds_per_unit)?;
    Some(Duration::from_secs(seconds))
}
