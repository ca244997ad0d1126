//! What a ring's own words say to a process that only reads.

use super::role::Role;
use crate::liveness::OwnerId;
use crate::ring::shm::slots::Layout;

/// What a ring's own words say.
#[derive(Debug)]
pub(crate) struct RawSnapshot {
    pub(crate) layout: Layout,
    pub(crate) pushed: u64,
    pub(crate) popped: u64,
    /// Where the two begin anew; `None`: at 2^64.
    pub(crate) wraps_at: Option<u64>,
    pub(crate) len: usize,
    pub(crate) capacity: usize,
    pub(crate) max_participants: usize,
    pub(crate) is_corrupted: bool,
    pub(crate) participants: Vec<TableEntry>,
}

/// A participant as the ring has it, before the kernel is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableEntry {
    pub(crate) role: Option<Role>,
    pub(crate) presence: Presence,
    /// What the participant itself wrote down: process id, seconds since 1970; 0 for nothing yet.
    pub(crate) pid: Option<u32>,
    pub(crate) since: Option<u64>,
    pub(crate) is_asleep: Option<bool>,
}

/// Whether there is a participant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presence {
    Never,
    Left,
    Claimed(OwnerId),
}
