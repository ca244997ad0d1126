//! Our own addition: what the kernel says about the segment.

use crate::shell;
use std::error::Error;
use sysvshm::{ErrorKind, Key, ProcessState, SegmentId, Status};

/// Prints what there is under `key`.
pub(crate) fn show(key: Key) -> Result<(), Box<dyn Error>> {
    let Some(status) = find(key)? else {
        return Ok(shell::addition(format_args!(
            "kernel: no segment has key {key}"
        ))?);
    };
    shell::addition(format_args!(
        "kernel: segment {}, key {key}, {} bytes, mode {}, nattch {}",
        status.id(),
        status.size_bytes(),
        status.mode(),
        status.attached(),
    ))?;
    Ok(shell::addition(format_args!(
        "        created by {}\n#         last attached or detached by {}",
        process(status.creator_pid(), status.creator_state()),
        process(status.last_pid(), status.last_state()),
    ))?)
}

/// Looks without attaching: watching must not change what is watched (an attach would count, and leave its time and
/// pid).
fn find(key: Key) -> Result<Option<Status>, sysvshm::Error> {
    match SegmentId::find(key).and_then(SegmentId::status) {
        // The second: removed between the two calls.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchSegment) => {
            Ok(None)
        }
        status => status.map(Some),
    }
}

fn process(pid: Option<u32>, state: ProcessState) -> String {
    match (pid, state) {
        (Some(pid), ProcessState::Dead) => format!("process {pid} (gone)"),
        (Some(pid), _) => format!("process {pid} (alive)"),
        // The segment comes from another pid namespace.
        (None, _) => "a process not visible from here".to_owned(),
    }
}
