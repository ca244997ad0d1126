//! Semaphore sets: listing them, and removing those that nobody seems to use any more.

use crate::arguments::Settings;
use crate::filter::since;
use std::time::Duration;
use sysvshm::semaphore::SemaphoreSetStatus;
use sysvshm::{Error, ErrorKind, ProcessState, SemaphoreSet, system};

/// A set, and what its semaphores say about its users.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) status: SemaphoreSetStatus,
    /// `None` if not all of it can be known.
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
        let users = UsersOfSet::look(&status);
        Self { status, users }
    }

    pub(crate) fn id(&self) -> i32 {
        self.status.id()
    }

    /// Whether everybody who used it last is known to be dead and nobody waits. Doubt counts as life.
    pub(crate) fn is_stale(&self) -> bool {
        let users = self.users.as_ref();
        users.is_some_and(|users| users.last == ProcessState::Dead && users.waiting == 0)
    }

    pub(crate) fn age(&self) -> Option<Duration> {
        self.status.change_time().map(since)
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        self.status.operation_time().map(since)
    }

    pub(crate) fn last(&self) -> ProcessState {
        let users = self.users.as_ref();
        users.map_or(ProcessState::Unknown, |users| users.last)
    }

    pub(crate) fn waiting(&self) -> Option<u64> {
        self.users.as_ref().map(|users| users.waiting as u64)
    }

    /// Says whether it did. It is looked at again first: whoever has used it since it was listed has changed a time,
    /// a pid or the number of those who wait.
    pub(crate) fn remove(&self) -> Result<bool, Error> {
        let removed = SemaphoreSet::from_raw(self.id()).and_then(|set| {
            let now = Self::new(set.status()?);
            let unchanged = now == *self && now.is_stale();
            if unchanged {
                set.remove()?;
            }
            Ok(unchanged)
        });
        match removed {
            // Somebody else was faster.
            Err(error) if error.kind() == ErrorKind::NoSuchSet => Ok(false),
            removed => removed,
        }
    }
}

impl UsersOfSet {
    /// `None` if the mode denies reading, or for a set with more semaphores than can be asked about one by one.
    fn look(status: &SemaphoreSetStatus) -> Option<Self> {
        let set = SemaphoreSet::from_raw(status.id()).ok()?;
        let mut users = Self {
            last_pids: Vec::new(),
            last: ProcessState::Dead,
            waiting: 0,
        };
        for index in 0..set.len() {
            let semaphore = set.get(index)?;
            users.last_pids.push(semaphore.last_pid().ok()?);
            users.last = match (semaphore.last_state().ok()?, users.last) {
                (ProcessState::Alive, _) | (_, ProcessState::Alive) => ProcessState::Alive,
                (ProcessState::Dead, ProcessState::Dead) => ProcessState::Dead,
                _ => ProcessState::Unknown,
            };
            users.waiting += semaphore.waiting_for_increase().ok()?;
            users.waiting += semaphore.waiting_for_zero().ok()?;
        }
        Some(users)
    }
}

/// Those that pass the filter. No other is asked about its users.
pub(crate) fn list(settings: &Settings) -> Result<Vec<Entry>, Error> {
    let mut listed = system::semaphore_sets()?;
    listed.retain(|status| {
        let age = status.change_time().map(since);
        settings
            .filter
            .accepts(status.key(), status.owner_uid(), age)
    });
    Ok(listed.into_iter().map(Entry::new).collect())
}
