//! The command line.

use crate::filter::Filter;
use crate::users::Users;
use std::ffi::OsString;
use std::time::Duration;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    Help,
    List,
    ListStale,
    RemoveStale,
    Summary { limits: bool, usage: bool },
}

/// A command line that makes sense.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) filter: Filter,
    /// About semaphore sets rather than segments.
    pub(crate) semaphores: bool,
    /// About abandoned tokens alone.
    pub(crate) tokens: bool,
    /// For scripts rather than people.
    pub(crate) porcelain: bool,
}

impl Arguments {
    /// Refuses what contradicts itself: in a program that removes things, a misunderstood option must not be
    /// ignored.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
        users: &Users,
    ) -> Result<Self, String> {
        let mut filter = Filter::default();
        let (mut porcelain, mut help) = (false, false);
        let (mut semaphores, mut tokens) = (false, false);
        let (mut limits, mut usage) = (false, false);
        let (mut remove_stale, mut yes) = (false, false);

        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.to_string_lossy();
            // Both `--key 1` and `--key=1`.
            let (option, attached) = match argument.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (&*argument, None),
            };
            let mut value = |attached: Option<String>| {
                attached
                    .or_else(|| Some(arguments.next()?.to_string_lossy().into_owned()))
                    .ok_or_else(|| format!("{option} needs a value"))
            };
            match (option, attached) {
                ("--key", attached) => {
                    let text = value(attached)?;
                    let key = text.parse().map_err(|_| format!("{text} is no key"))?;
                    set(&mut filter.key, key, option)?;
                }
                ("--owner", attached) => {
                    let text = value(attached)?;
                    let uid = users
                        .uid(&text)
                        .ok_or_else(|| format!("no user {text} in /etc/passwd"))?;
                    set(&mut filter.owner_uid, uid, option)?;
                }
                ("--older-than", attached) => {
                    let text = value(attached)?;
                    let age = parse_age(&text).ok_or_else(|| format!("{text} is no age"))?;
                    set(&mut filter.older_than, age, option)?;
                }
                ("--porcelain", None) => porcelain = true,
                ("--semaphores", None) => semaphores = true,
                ("--tokens", None) => tokens = true,
                ("--limits", None) => limits = true,
                ("--usage", None) => usage = true,
                ("--remove-stale", None) => remove_stale = true,
                ("--yes", None) => yes = true,
                ("--help" | "-h", None) => help = true,
                (_, None) => return Err(format!("unknown argument {option}")),
                (_, Some(_)) => return Err(format!("{option} is unknown or takes no value")),
            }
        }

        if tokens && semaphores && !help {
            return Err("--tokens is about segments, not about semaphore sets".to_owned());
        }
        let task = match (limits || usage, remove_stale, yes) {
            _ if help => Task::Help,
            (false, false, false) => Task::List,
            (false, true, false) => Task::ListStale,
            (false, true, true) => Task::RemoveStale,
            (true, false, false) if filter.is_empty() && !tokens => Task::Summary { limits, usage },
            (_, false, true) => return Err("--yes goes with --remove-stale".to_owned()),
            (true, _, _) => {
                return Err(
                    "--limits and --usage are about all segments together, or all sets".to_owned(),
                );
            }
        };
        Ok(Self {
            task,
            filter,
            semaphores,
            tokens,
            porcelain,
        })
    }
}

/// A filter given twice would silently mean the last one.
fn set<T>(slot: &mut Option<T>, value: T, option: &str) -> Result<(), String> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{option} is given twice")),
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
