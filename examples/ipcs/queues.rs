//! Message queues: listing them, and removing those that nobody seems to use any more.

use crate::arguments::Settings;
use crate::filter::since;
use std::time::Duration;
use sysvshm::message_queue::MessageQueueStatus;
use sysvshm::{Error, ErrorKind, MessageQueue, MessageQueueId, ProcessState, system};

/// A queue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) status: MessageQueueStatus,
}

impl Entry {
    pub(crate) fn id(&self) -> MessageQueueId {
        self.status.id()
    }

    /// Whether the last sender and the last receiver are known to be dead. Doubt counts as life, and so does a queue
    /// from which no process has received yet: one may wait for its first message.
    pub(crate) fn is_stale(&self) -> bool {
        let states = [
            self.status.last_sender_state(),
            self.status.last_receiver_state(),
        ];
        states == [ProcessState::Dead; 2]
    }

    pub(crate) fn age(&self) -> Option<Duration> {
        self.status.change_time().map(since)
    }

    pub(crate) fn idle(&self) -> Option<Duration> {
        let last = self.status.send_time().max(self.status.receive_time());
        last.map(since)
    }

    /// Says whether it did. It is listed again first: whoever has used it since has changed a time, a count or a pid.
    pub(crate) fn remove(&self) -> Result<bool, Error> {
        let unchanged = system::message_queues()?.contains(&self.status) && self.is_stale();
        if !unchanged {
            return Ok(false);
        }
        match MessageQueue::from_id(self.id()).remove() {
            Ok(()) => Ok(true),
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::NoSuchQueue => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Those that pass the filter.
pub(crate) fn list(settings: &Settings) -> Result<Vec<Entry>, Error> {
    let mut entries: Vec<Entry> = system::message_queues()?
        .into_iter()
        .map(|status| Entry { status })
        .collect();
    entries.retain(|entry| {
        let status = &entry.status;
        settings
            .filter
            .accepts(status.key(), status.owner_uid(), entry.age())
    });
    Ok(entries)
}
