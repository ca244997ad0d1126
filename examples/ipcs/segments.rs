//! Segments: listing them, and removing what is stale.

use crate::arguments::Settings;
use crate::{filter, stale};
use std::collections::HashMap;
use std::time::Duration;
use sysvshm::system::{self, AbandonedToken, SegmentEntry};
use sysvshm::{Error, SegmentId, Status};

/// Younger than that, a token is shown as any other segment: long enough for any doubt about its creator to go.
const TOKEN_AGE: Duration = Duration::from_secs(10);

/// A segment, and what removes it if it is an abandoned token.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) listed: SegmentEntry,
    pub(crate) token: Option<AbandonedToken>,
}

impl Entry {
    pub(crate) fn status(&self) -> &Status {
        &self.listed.status
    }

    pub(crate) fn id(&self) -> SegmentId {
        self.status().id()
    }

    pub(crate) fn is_stale(&self) -> bool {
        stale::is_stale(self.status())
    }

    /// Says whether it did: not if anything has happened to it since it was listed.
    pub(crate) fn remove(&self) -> Result<bool, Error> {
        match &self.token {
            Some(token) => token.remove(),
            None => stale::remove_if_still_stale(self.status()),
        }
    }
}

/// Those that pass the filter.
pub(crate) fn list(settings: &Settings) -> Result<Vec<Entry>, Error> {
    let tokens = system::abandoned_tokens(TOKEN_AGE)?.into_iter();
    let mut tokens: HashMap<_, _> = tokens.map(|token| (token.id(), token)).collect();
    let mut entries = Vec::new();
    for listed in system::segments()? {
        let status = &listed.status;
        // The identifier may have come to name another segment since.
        let token = tokens.remove(&status.id());
        let token = token.filter(|token| token.status() == status);
        let age = filter::age(status);
        let passes = settings
            .filter
            .accepts(status.key(), status.owner_uid(), age);
        if passes && (token.is_some() || !settings.tokens) {
            entries.push(Entry { listed, token });
        }
    }
    Ok(entries)
}
