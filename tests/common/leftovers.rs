//! A last look, when the test binary ends: has any of its processes left a segment, a semaphore set or a message queue
//! behind?

use std::collections::HashSet;
use std::io::Write;
use std::sync::{Mutex, Once};
use sysvshm::message_queue::MessageQueueStatus;
use sysvshm::{MessageQueue, MessageQueueId, SegmentId, SemaphoreSet, Status, system};

struct Watched {
    /// What existed before the first guard was made.
    before: HashSet<SegmentId>,
    sets_before: HashSet<i32>,
    queues_before: HashSet<MessageQueueId>,
    /// This process and those it started.
    processes: Vec<u32>,
}

static START: Once = Once::new();
static WATCHED: Mutex<Option<Watched>> = Mutex::new(None);

/// Starts watching, once. Every guard and every peer calls it.
pub(crate) fn watch() {
    START.call_once(|| {
        super::signals::heed_in_children();
        // A peer leaves what it is told to leave; the process that started it watches.
        if super::peer::is_peer() {
            return;
        }
        let before = system::segments().unwrap();
        *WATCHED.lock().unwrap() = Some(Watched {
            before: before.iter().map(|entry| entry.status.id()).collect(),
            sets_before: set_ids().collect(),
            queues_before: queues().map(|status| status.id()).collect(),
            processes: vec![std::process::id()],
        });
        // SAFETY: the function is of the type atexit expects and lives as long as the program. libtest ends with
        // exit(3).
        let registered = unsafe { libc::atexit(fail_on_leftovers) };
        assert_eq!(registered, 0);
    });
}

/// Watches a process that was started.
pub(super) fn watch_process(pid: u32) {
    watch();
    if let Some(watched) = &mut *WATCHED.lock().unwrap() {
        watched.processes.push(pid);
    }
}

/// Segments that the watched processes created and that nothing will remove. One already marked goes with its last
/// attach.
fn leftovers(watched: &Watched) -> Vec<Status> {
    let ours = |status: &Status| {
        let creator = status.creator_pid();
        creator.is_some_and(|pid| watched.processes.contains(&pid))
            && !watched.before.contains(&status.id())
            && !status.is_marked_for_removal()
    };
    let entries = system::segments().unwrap_or_default();
    let found = entries.into_iter().map(|entry| entry.status);
    found.filter(ours).collect()
}

fn set_ids() -> impl Iterator<Item = i32> {
    let sets = system::semaphore_sets().unwrap_or_default();
    sets.into_iter().map(|status| status.id())
}

/// Semaphore sets that are new and that a watched process was the last to set or use. The kernel does not know who
/// created a set.
fn sets_left_behind(watched: &Watched) -> Vec<SemaphoreSet> {
    let used_by_us = |set: &SemaphoreSet| {
        let last_pids = (0..set.len()).map(|semaphore| set.semaphore(semaphore).last_pid());
        last_pids
            .flatten()
            .flatten()
            .any(|pid| watched.processes.contains(&pid))
    };
    let new = set_ids().filter(|id| !watched.sets_before.contains(id));
    new.filter_map(|id| SemaphoreSet::from_raw(id).ok())
        .filter(used_by_us)
        .collect()
}

fn queues() -> impl Iterator<Item = MessageQueueStatus> {
    system::message_queues().unwrap_or_default().into_iter()
}

/// Queues that are new and that a watched process was the last to send to or to receive from. The kernel does not know
/// who created a queue.
fn queues_left_behind(watched: &Watched) -> Vec<MessageQueueStatus> {
    let used_by_us = |status: &MessageQueueStatus| {
        let mut pids = [status.last_sender(), status.last_receiver()].into_iter();
        pids.any(|pid| pid.is_some_and(|pid| watched.processes.contains(&pid)))
    };
    queues()
        .filter(|status| !watched.queues_before.contains(&status.id()) && used_by_us(status))
        .collect()
}

extern "C" fn fail_on_leftovers() {
    let Ok(watched) = WATCHED.lock() else { return };
    let Some(watched) = watched.as_ref() else {
        return;
    };
    // A forked child that ends with exit(3) gets here too; it is not the one to judge.
    if watched.processes[0] != std::process::id() {
        return;
    }
    let left = leftovers(watched);
    for status in &left {
        let _ = writeln!(std::io::stderr(), "left behind: {status:?}");
        let _ = status.id().mark_for_removal();
    }
    let sets = sets_left_behind(watched);
    for set in &sets {
        let _ = writeln!(std::io::stderr(), "left behind: {:?}", set.status());
        let _ = set.remove();
    }
    let queues = queues_left_behind(watched);
    for status in &queues {
        let _ = writeln!(std::io::stderr(), "left behind: {status:?}");
        let _ = MessageQueue::from_id(status.id()).remove();
    }
    if !left.is_empty() || !sets.is_empty() || !queues.is_empty() {
        // SAFETY: ends the process at once, with a status that says that the run failed.
        unsafe { libc::_exit(101) };
    }
}
