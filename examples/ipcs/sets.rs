//! Semaphore sets: listing them, and removing those that nobody seems to use any more.

use crate::arguments::{Arguments, Task};
use crate::filter::since;
use crate::show::{number, readable, state, unknown};
use crate::users::Users;
use crate::{DONE, REFUSED, STALE, say};
use std::io::{self, Write};
use std::time::Duration;
use sysvshm::semaphore::SemaphoreSetStatus;
use sysvshm::{Error, ErrorKind, ProcessState, SemaphoreSet, system};

/// A set, and what its semaphores say about its users.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    status: SemaphoreSetStatus,
    /// `None` if the mode denies reading.
    users: Option<UsersOfSet>,
}

#[derive(Debug, PartialEq, Eq)]
struct UsersOfSet {
    /// By semaphore.
    last_pids: Vec<Option<u32>>,
    last: ProcessState,
    waiting: usize,
}

impl Entry {
    fn new(status: SemaphoreSetStatus) -> Self {
        let users = UsersOfSet::look(&status).ok();
        Self { status, users }
    }

    /// Whether everybody who used it last is known to be dead and nobody waits. Doubt counts as life.
    fn is_stale(&self) -> bool {
        let users = self.users.as_ref();
        users.is_some_and(|users| users.last == ProcessState::Dead && users.waiting == 0)
    }

    fn age(&self) -> Option<Duration> {
        self.status.change_time().map(since)
    }

    fn idle(&self) -> Option<Duration> {
        self.status.operation_time().map(since)
    }

    fn last(&self) -> ProcessState {
        let users = self.users.as_ref();
        users.map_or(ProcessState::Unknown, |users| users.last)
    }

    fn waiting(&self) -> Option<u64> {
        self.users.as_ref().map(|users| users.waiting as u64)
    }
}

impl UsersOfSet {
    fn look(status: &SemaphoreSetStatus) -> Result<Self, Error> {
        let set = SemaphoreSet::from_raw(status.id())?;
        let mut users = Self {
            last_pids: Vec::new(),
            last: ProcessState::Dead,
            waiting: 0,
        };
        for index in 0..set.len() {
            let semaphore = set.semaphore(index);
            users.last_pids.push(semaphore.last_pid()?);
            users.last = match (semaphore.last_state()?, users.last) {
                (ProcessState::Alive, _) | (_, ProcessState::Alive) => ProcessState::Alive,
                (ProcessState::Dead, ProcessState::Dead) => ProcessState::Dead,
                _ => ProcessState::Unknown,
            };
            users.waiting += semaphore.waiting_for_increase()? + semaphore.waiting_for_zero()?;
        }
        Ok(users)
    }
}

/// What `main` does for segments.
pub(crate) fn run(
    out: &mut impl Write,
    arguments: &Arguments,
    users: &Users,
) -> Result<(u8, io::Result<()>), Error> {
    if let Task::Summary { limits, usage } = arguments.task {
        return Ok((DONE, summary(out, arguments.porcelain, limits, usage)?));
    }
    let mut entries: Vec<Entry> = system::semaphore_sets()?
        .into_iter()
        .map(Entry::new)
        .collect();
    entries.retain(|entry| {
        let status = &entry.status;
        arguments
            .filter
            .accepts(status.key(), status.owner_uid(), entry.age())
    });
    let (code, note) = match arguments.task {
        Task::ListStale => {
            entries.retain(Entry::is_stale);
            match entries.len() {
                0 => (DONE, Some("nothing is stale".to_owned())),
                count => {
                    let note = format!("{count} stale; --yes removes what is listed here");
                    (STALE, Some(note))
                }
            }
        }
        Task::RemoveStale => {
            entries.retain(Entry::is_stale);
            let code = if remove(&mut entries) { DONE } else { REFUSED };
            (code, Some(format!("{} removed", entries.len())))
        }
        _ => (DONE, None),
    };
    let listed = if arguments.porcelain {
        porcelain(out, &entries)
    } else {
        table(out, &entries, users)
    };
    let printed = listed.and_then(|()| note.map_or(Ok(()), |note| say(out, arguments, &note)));
    Ok((code, printed))
}

/// Removes the sets and keeps those in the list that are gone by our doing. Says whether all could be removed that
/// were to be.
///
/// Each is looked at again first: whoever has used it since has changed a time, a pid or the number of those who
/// wait.
fn remove(entries: &mut Vec<Entry>) -> bool {
    let mut complete = true;
    entries.retain(|entry| {
        let id = entry.status.id();
        let removed = SemaphoreSet::from_raw(id).and_then(|set| {
            let now = Entry::new(set.status()?);
            let unchanged = now == *entry && now.is_stale();
            if unchanged {
                set.remove()?;
            }
            Ok(unchanged)
        });
        match removed {
            Ok(true) => return true,
            Err(error) if error.kind() != ErrorKind::NoSuchSet => {
                eprintln!("ipcs: semaphore set {id} stays: {error}");
                complete = false;
            }
            _ => eprintln!("ipcs: semaphore set {id} is gone or was used a moment ago, left alone"),
        }
        false
    });
    complete
}

/// The columns of `ipcs -s`, then ours.
fn table(out: &mut impl Write, entries: &[Entry], users: &Users) -> io::Result<()> {
    writeln!(out, "------ Semaphore Arrays --------")?;
    writeln!(
        out,
        "{:<10} {:<10} {:<10} {:<10} {:<10} {:<8} {:<8} {:<9} idle",
        "key", "semid", "owner", "perms", "nsems", "waiting", "last", "age",
    )?;
    for entry in entries {
        let status = &entry.status;
        writeln!(
            out,
            "{:<10} {:<10} {:<10} {:<10} {:<10} {:<8} {:<8} {:<9} {}",
            status.key().to_string(),
            status.id(),
            users.name(status.owner_uid()),
            format!("{:o}", status.mode().bits()),
            status.len(),
            number(entry.waiting()),
            state(entry.last()),
            entry.age().map_or_else(unknown, readable),
            entry.idle().map_or_else(unknown, readable),
        )?;
    }
    Ok(())
}

/// The fields that `help.txt` documents. Scripts rely on them: add at the end, change nothing.
fn porcelain(out: &mut impl Write, entries: &[Entry]) -> io::Result<()> {
    for entry in entries {
        let status = &entry.status;
        let fields = [
            status.id().to_string(),
            status.key().to_string(),
            status.owner_uid().to_string(),
            status.creator_uid().to_string(),
            status.mode().to_string(),
            status.len().to_string(),
            number(entry.waiting()),
            state(entry.last()).to_owned(),
            number(entry.age().map(|age| age.as_secs())),
            number(entry.idle().map(|idle| idle.as_secs())),
        ];
        writeln!(out, "{}", fields.join(" "))?;
    }
    Ok(())
}

fn summary(
    out: &mut impl Write,
    porcelain: bool,
    limits: bool,
    usage: bool,
) -> Result<io::Result<()>, Error> {
    let allowed = system::semaphore_limits()?;
    let mut lines = Vec::new();
    if limits {
        lines.extend([
            ("sets allowed", "max_sets", allowed.max_sets),
            (
                "semaphores in all sets allowed",
                "max_semaphores",
                allowed.max_semaphores,
            ),
            (
                "semaphores in a set allowed",
                "max_semaphores_per_set",
                allowed.max_semaphores_per_set,
            ),
            (
                "operations in one step allowed",
                "max_operations",
                allowed.max_operations,
            ),
            ("largest value", "max_value", allowed.max_value),
        ]);
    }
    if usage {
        let used = system::semaphore_usage()?;
        lines.extend([
            ("sets in use", "sets", used.sets),
            ("semaphores in use", "semaphores", used.semaphores),
        ]);
    }
    Ok(lines.into_iter().try_for_each(|(words, name, value)| {
        if porcelain {
            writeln!(out, "{name} {value}")
        } else {
            writeln!(out, "{words:<32} {value}")
        }
    }))
}
