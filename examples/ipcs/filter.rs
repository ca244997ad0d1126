//! Which segments or semaphore sets it is about.

use std::time::{Duration, SystemTime};
use sysvshm::{Key, Status};

/// All that is set must hold.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) key: Option<Key>,
    pub(crate) owner_uid: Option<u32>,
    pub(crate) older_than: Option<Duration>,
}

impl Filter {
    pub(crate) fn accepts(&self, key: Key, owner_uid: u32, age: Option<Duration>) -> bool {
        self.key.is_none_or(|wanted| key == wanted)
            && self.owner_uid.is_none_or(|wanted| owner_uid == wanted)
            // What is of unknown age is not known to be old.
            && self
                .older_than
                .is_none_or(|least| age.is_some_and(|age| age >= least))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none() && self.owner_uid.is_none() && self.older_than.is_none()
    }
}

/// The time since the segment was created or last given another owner or mode.
pub(crate) fn age(status: &Status) -> Option<Duration> {
    Some(since(status.change_time()?))
}

/// 0 if the clock was set back since.
pub(crate) fn since(time: SystemTime) -> Duration {
    SystemTime::now().duration_since(time).unwrap_or_default()
}
