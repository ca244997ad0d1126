//! How it looks: a table for people, lines for scripts.

use crate::Listed;
use crate::filter::age;
use crate::users::Users;
use std::io::{self, Write};
use std::time::Duration;
use sysvshm::system::{Limits, Usage};
use sysvshm::{ProcessState, Status};

/// The columns of `ipcs -m`, then ours.
pub(crate) fn table(out: &mut impl Write, entries: &[Listed], users: &Users) -> io::Result<()> {
    writeln!(out, "------ Shared Memory Segments --------")?;
    writeln!(
        out,
        "{:<10} {:<10} {:<10} {:<5} {:<10} {:<6} {:<11} {:<15} {:<15} {:<9} {:<10} swapped",
        "key",
        "shmid",
        "owner",
        "perms",
        "bytes",
        "nattch",
        "status",
        "creator",
        "last",
        "age",
        "resident",
    )?;
    for listed in entries {
        let (entry, status) = (&listed.entry, listed.status());
        writeln!(
            out,
            "{:<10} {:<10} {:<10} {:<5} {:<10} {:<6} {:<11} {:<15} {:<15} {:<9} {:<10} {}",
            status.key().to_string(),
            status.id().as_raw(),
            users.name(status.owner_uid()),
            format!("{:o}", status.mode().bits()),
            status.size_bytes(),
            status.attached(),
            if listed.token.is_some() {
                "token"
            } else {
                flags(status)
            },
            process(status.creator_pid(), status.creator_state()),
            process(status.last_pid(), status.last_state()),
            age(status).map_or_else(unknown, readable),
            number(entry.resident_bytes),
            number(entry.swapped_bytes),
        )?;
    }
    Ok(())
}

/// The fields that `help.txt` documents. Scripts rely on them: add at the end, change nothing.
pub(crate) fn porcelain(out: &mut impl Write, entries: &[Listed]) -> io::Result<()> {
    for listed in entries {
        let (entry, status) = (&listed.entry, listed.status());
        let fields = [
            status.id().to_string(),
            status.key().to_string(),
            status.owner_uid().to_string(),
            status.creator_uid().to_string(),
            status.mode().to_string(),
            status.size_bytes().to_string(),
            status.attached().to_string(),
            flags(status).to_owned(),
            number(status.creator_pid().map(u64::from)),
            state(status.creator_state()).to_owned(),
            number(status.last_pid().map(u64::from)),
            state(status.last_state()).to_owned(),
            number(age(status).map(|age| age.as_secs())),
            number(entry.resident_bytes),
            number(entry.swapped_bytes),
            if listed.token.is_some() { "token" } else { "-" }.to_owned(),
        ];
        writeln!(out, "{}", fields.join(" "))?;
    }
    Ok(())
}

/// What the system allows.
pub(crate) fn limits(out: &mut impl Write, limits: &Limits, porcelain: bool) -> io::Result<()> {
    let lines = [
        ("segments", "max_segments", limits.max_segments),
        (
            "bytes in a segment",
            "max_segment_bytes",
            limits.max_segment_bytes,
        ),
        (
            "pages in all segments together",
            "max_pages",
            limits.max_pages,
        ),
        ("bytes in a page", "page_bytes", limits.page_bytes),
    ];
    if !porcelain {
        writeln!(out, "------ Shared Memory Limits --------")?;
    }
    for (words, name, value) in lines {
        if porcelain {
            writeln!(out, "{name} {value}")?;
        } else {
            writeln!(out, "{words:<32} {value}")?;
        }
    }
    Ok(())
}

/// What is in use, and how near that is to the limits.
pub(crate) fn usage(
    out: &mut impl Write,
    usage: &Usage,
    limits: &Limits,
    porcelain: bool,
) -> io::Result<()> {
    let lines = [
        (
            "segments",
            "segments",
            usage.segments,
            Some(limits.max_segments),
        ),
        (
            "pages, touched or not",
            "pages",
            usage.pages,
            Some(limits.max_pages),
        ),
        (
            "pages in memory",
            "resident_pages",
            usage.resident_pages,
            None,
        ),
        ("pages in swap", "swapped_pages", usage.swapped_pages, None),
    ];
    if !porcelain {
        writeln!(out, "------ Shared Memory Usage --------")?;
    }
    for (words, name, value, limit) in lines {
        match limit {
            _ if porcelain => writeln!(out, "{name} {value}")?,
            Some(limit) => writeln!(out, "{words:<32} {value} of {limit}")?,
            None => writeln!(out, "{words:<32} {value}")?,
        }
    }
    Ok(())
}

fn flags(status: &Status) -> &'static str {
    match (status.is_marked_for_removal(), status.is_locked_in_memory()) {
        (false, false) => "-",
        (true, false) => "dest",
        (false, true) => "locked",
        (true, true) => "dest,locked",
    }
}

fn process(pid: Option<u32>, process: ProcessState) -> String {
    match pid {
        Some(pid) => format!("{pid} {}", state(process)),
        None => unknown(),
    }
}

pub(crate) fn state(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Alive => "alive",
        ProcessState::Dead => "dead",
        // Whatever else there may be, nothing is known to be dead.
        _ => "unknown",
    }
}

pub(crate) fn number(value: Option<u64>) -> String {
    value.map_or_else(unknown, |value| value.to_string())
}

pub(crate) fn unknown() -> String {
    "-".to_owned()
}

/// Two units are enough to judge an age by.
pub(crate) fn readable(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}
