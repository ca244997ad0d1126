//! Which segments it is about.

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
    pub(crate) fn accepts(&self, status: &Status) -> bool {
        self.key.is_none_or(|key| status.key() == key)
            && self
                .owner_uid
                .is_none_or(|uid| status.owner_uid() == uid)
            // A segment of unknown age is not known to be old.
            && self
                .older_than
                .is_none_or(|least| age(status).is_some_and(|age| age >= least))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none() && self.owner_uid.is_none() && self.older_than.is_none()
    }
}

/// The time since the segment was created or last given another owner or mode; 0 if the clock was set back since.
pub(crate) fn age(status: &Status) -> Option<Duration> {
    let changed = status.change_time()?;
    Some(
        SystemTime::now()
            .duration_since(changed)
            .unwrap_or_default(),
    )
}
