//! Our own addition: what the kernel says about the segment.

use crate::shell;
use std::error::Error;
use sysvshm::{Key, ProcessState, system};

/// Prints what there is under `key`.
///
/// Looks at the list of all segments rather than attaching one: watching must not change what is watched (an attach would count, and leave
/// its time and pid).
pub(crate) fn show(key: Key) -> Result<(), Box<dyn Error>> {
    let entry = system::segments()?
        .into_iter()
        .find(|entry| entry.status.key() == key);
    let Some(entry) = entry else {
        return Ok(shell::addition(format_args!(
            "kernel: no segment has key {key}"
        ))?);
    };
    let status = &entry.status;
    shell::addition(format_args!(
        "kernel: segment {}, key {key}, {} bytes, mode {}, nattch {}",
        status.id(),
        status.size_bytes(),
        status.mode(),
        status.attached(),
    ))?;
    Ok(shell::addition(format_args!(
        "        created by {}, last attached or detached by {}",
        process(status.creator_pid(), status.creator()),
        process(status.last_pid(), status.last()),
    ))?)
}

fn process(pid: Option<u32>, state: ProcessState) -> String {
    match (pid, state) {
        (Some(pid), ProcessState::Dead) => format!("process {pid} (gone)"),
        (Some(pid), _) => format!("process {pid} (alive)"),
        // The segment comes from another pid namespace.
        (None, _) => "a process not visible from here".to_owned(),
    }
}
