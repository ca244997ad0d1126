//! How it looks: tables for people, lines for scripts.

use crate::filter::age;
use crate::queues;
use crate::segments;
use crate::sets;
use crate::users::Users;
use std::time::Duration;
use sysvshm::system;
use sysvshm::{Error, ProcessState, Status};

/// The columns of `ipcs -m`, then ours. If not `wide`, a line has 80 characters at most: no cell is wider than this.
///
/// | key | shmid | owner | perms | bytes | nattch | status | creator | age | and blanks |
/// |---|---|---|---|---|---|---|---|---|---|
/// | 10 | 10 | 8 | 5 | 10 | 6 | 6 | 13 | 4 | 8 |
pub(crate) fn segment_table(entries: &[segments::Entry], users: &Users, wide: bool) -> String {
    let mut titles = vec![
        "key", "shmid", "owner", "perms", "bytes", "nattch", "status", "creator",
    ];
    titles.extend(if wide {
        &["last", "age", "resident", "swapped"][..]
    } else {
        &["age"]
    });
    let rows = entries.iter().map(|entry| {
        let status = entry.status();
        let mut row = vec![
            status.key().to_string(),
            status.id().to_string(),
            owner(users, status.owner_uid(), wide),
            format!("{:o}", status.mode().bits()),
            count(status.size_bytes() as u64, 10, wide),
            count(status.attached(), 6, wide),
            match (&entry.token, flags(status)) {
                (Some(_), _) => "token",
                // That it goes is more important.
                (None, "dest,locked") if !wide => "dest",
                (None, flags) => flags,
            }
            .to_owned(),
            process(status.creator_pid(), status.creator_state(), wide),
        ];
        if wide {
            row.push(process(status.last_pid(), status.last_state(), wide));
        }
        row.push(time(age(status), wide));
        if wide {
            row.push(number(entry.listed.resident_bytes));
            row.push(number(entry.listed.swapped_bytes));
        }
        row
    });
    table("Shared Memory Segments", &titles, rows)
}

/// The columns of `ipcs -s`, then ours. If not `wide`, a line has 73 characters at most.
pub(crate) fn set_table(entries: &[sets::Entry], users: &Users, wide: bool) -> String {
    let titles = [
        "key", "semid", "owner", "perms", "nsems", "waiting", "last", "age", "idle",
    ];
    let rows = entries.iter().map(|entry| {
        let status = &entry.status;
        vec![
            status.key().to_string(),
            status.id().to_string(),
            owner(users, status.owner_uid(), wide),
            format!("{:o}", status.mode().bits()),
            count(status.len() as u64, 10, wide),
            entry
                .waiting()
                .map_or_else(unknown, |waiting| count(waiting, 7, wide)),
            state(entry.last()).to_owned(),
            time(entry.age(), wide),
            time(entry.idle(), wide),
        ]
    });
    table("Semaphore Arrays", &titles, rows)
}

/// The columns of `ipcs -q`, then ours. If not `wide`, a line has 80 characters at most: no cell is wider than this.
///
/// | key | msqid | owner | perms | bytes | messages | sender | receiver | idle | and blanks |
/// |---|---|---|---|---|---|---|---|---|---|
/// | 10 | 10 | 8 | 5 | 6 | 8 | 7 | 8 | 4 | 8 |
pub(crate) fn queue_table(entries: &[queues::Entry], users: &Users, wide: bool) -> String {
    let mut titles = vec![
        "key", "msqid", "owner", "perms", "bytes", "messages", "sender", "receiver", "idle",
    ];
    if wide {
        titles.extend(["age", "capacity"]);
    }
    let rows = entries.iter().map(|entry| {
        let status = &entry.status;
        let user = |pid, state_of| match wide {
            true => process(pid, state_of, wide),
            false => state(state_of).to_owned(),
        };
        let mut row = vec![
            status.key().to_string(),
            status.id().to_string(),
            owner(users, status.owner_uid(), wide),
            format!("{:o}", status.mode().bits()),
            count(status.used_bytes(), 6, wide),
            count(status.messages(), 8, wide),
            user(status.last_sender(), status.last_sender_state()),
            user(status.last_receiver(), status.last_receiver_state()),
            time(entry.idle(), wide),
        ];
        if wide {
            row.push(time(entry.age(), wide));
            row.push(number(status.capacity_bytes()));
        }
        row
    });
    table("Message Queues", &titles, rows)
}

/// Columns as wide as what stands in them.
fn table(heading: &str, titles: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let titles = titles.iter().map(|&title| title.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let mut widths = vec![0; rows[0].len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = format!("------ {heading} --------\n");
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text += line.join(" ").trim_end();
        text += "\n";
    }
    text
}

/// The fields that `help.txt` documents. Scripts rely on them: add at the end, change nothing.
pub(crate) fn segment_lines(entries: &[segments::Entry]) -> String {
    let lines = entries.iter().map(|entry| {
        let status = entry.status();
        [
            "segment".to_owned(),
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
            number(entry.listed.resident_bytes),
            number(entry.listed.swapped_bytes),
            if entry.token.is_some() { "token" } else { "-" }.to_owned(),
        ]
        .join(" ")
            + "\n"
    });
    lines.collect()
}

/// The fields that `help.txt` documents. Scripts rely on them: add at the end, change nothing.
pub(crate) fn set_lines(entries: &[sets::Entry]) -> String {
    let lines = entries.iter().map(|entry| {
        let status = &entry.status;
        [
            "set".to_owned(),
            status.id().to_string(),
            status.key().to_string(),
            status.owner_uid().to_string(),
            status.creator_uid().to_string(),
            status.mode().to_string(),
            status.len().to_string(),
            number(entry.waiting()),
            state(entry.last()).to_owned(),
            number(entry.age().map(|age| age.as_secs())),
            number(entry.idle().map(|idle| idle.as_secs())),
        ]
        .join(" ")
            + "\n"
    });
    lines.collect()
}

/// The fields that `help.txt` documents. Scripts rely on them: add at the end, change nothing.
pub(crate) fn queue_lines(entries: &[queues::Entry]) -> String {
    let lines = entries.iter().map(|entry| {
        let status = &entry.status;
        [
            "queue".to_owned(),
            status.id().to_string(),
            status.key().to_string(),
            status.owner_uid().to_string(),
            status.creator_uid().to_string(),
            status.mode().to_string(),
            status.used_bytes().to_string(),
            status.messages().to_string(),
            number(status.capacity_bytes()),
            number(status.last_sender().map(u64::from)),
            state(status.last_sender_state()).to_owned(),
            number(status.last_receiver().map(u64::from)),
            state(status.last_receiver_state()).to_owned(),
            number(entry.age().map(|age| age.as_secs())),
            number(entry.idle().map(|idle| idle.as_secs())),
        ]
        .join(" ")
            + "\n"
    });
    lines.collect()
}

/// What is said of all objects of a kind together.
#[derive(Debug)]
pub(crate) struct Group {
    heading: &'static str,
    lines: Vec<Line>,
}

/// A number: in words, by its name for scripts, and how large it may be.
#[derive(Debug)]
struct Line(&'static str, &'static str, u64, Option<u64>);

/// What the system allows of segments, what is in use, and how near that is to the limits.
pub(crate) fn segment_summary(limits: bool, usage: bool) -> Result<Vec<Group>, Error> {
    let most = system::limits()?;
    let (all, pages) = (most.max_segments, most.max_pages);
    let mut groups = Vec::new();
    if limits {
        let bytes = most.max_segment_bytes;
        let lines = vec![
            Line("segments", "max_segments", all, None),
            Line("bytes in a segment", "max_segment_bytes", bytes, None),
            Line("pages in all segments together", "max_pages", pages, None),
            Line("bytes in a page", "page_bytes", most.page_bytes, None),
        ];
        let heading = "Shared Memory Limits";
        groups.push(Group { heading, lines });
    }
    if usage {
        let used = system::usage()?;
        let (resident, swapped) = (used.resident_pages, used.swapped_pages);
        let lines = vec![
            Line("segments", "segments", used.segments, Some(all)),
            Line("pages, touched or not", "pages", used.pages, Some(pages)),
            Line("pages in memory", "resident_pages", resident, None),
            Line("pages in swap", "swapped_pages", swapped, None),
        ];
        let heading = "Shared Memory Usage";
        groups.push(Group { heading, lines });
    }
    Ok(groups)
}

/// The same of semaphore sets.
pub(crate) fn set_summary(limits: bool, usage: bool) -> Result<Vec<Group>, Error> {
    let most = system::semaphore_limits()?;
    let (all, semaphores) = (most.max_sets, most.max_semaphores);
    let mut groups = Vec::new();
    if limits {
        let (in_set, in_step) = (most.max_semaphores_per_set, most.max_operations);
        let in_all = "semaphores in all sets together";
        let lines = vec![
            Line("sets", "max_sets", all, None),
            Line(in_all, "max_semaphores", semaphores, None),
            Line(
                "semaphores in a set",
                "max_semaphores_per_set",
                in_set,
                None,
            ),
            Line("operations in one step", "max_operations", in_step, None),
            Line("largest value", "max_value", most.max_value, None),
        ];
        let heading = "Semaphore Limits";
        groups.push(Group { heading, lines });
    }
    if usage {
        let used = system::semaphore_usage()?;
        let lines = vec![
            Line("sets", "sets", used.sets, Some(all)),
            Line(
                "semaphores",
                "semaphores",
                used.semaphores,
                Some(semaphores),
            ),
        ];
        let heading = "Semaphore Usage";
        groups.push(Group { heading, lines });
    }
    Ok(groups)
}

/// The same of message queues.
pub(crate) fn queue_summary(limits: bool, usage: bool) -> Result<Vec<Group>, Error> {
    let most = system::message_queue_limits()?;
    let (all, longest, largest) = (
        most.max_queues,
        most.max_message_bytes,
        most.max_queue_bytes,
    );
    let mut groups = Vec::new();
    if limits {
        let lines = vec![
            Line("queues", "max_queues", all, None),
            Line("bytes in a message", "max_message_bytes", longest, None),
            Line("bytes in a new queue", "max_queue_bytes", largest, None),
        ];
        let heading = "Message Queue Limits";
        groups.push(Group { heading, lines });
    }
    if usage {
        let used = system::message_queue_usage()?;
        let lines = vec![
            Line("queues", "queues", used.queues, Some(all)),
            Line("messages", "messages", used.messages, None),
            Line("bytes in messages", "message_bytes", used.bytes, None),
        ];
        let heading = "Message Queue Usage";
        groups.push(Group { heading, lines });
    }
    Ok(groups)
}

pub(crate) fn summary(groups: &[Group], porcelain: bool) -> String {
    let of_group = |group: &Group| {
        let lines = group
            .lines
            .iter()
            .map(|Line(words, name, value, limit)| match limit {
                _ if porcelain => format!("{name} {value}\n"),
                Some(limit) => format!("{words:<32} {value} of {limit}\n"),
                None => format!("{words:<32} {value}\n"),
            });
        let lines: String = lines.collect();
        if porcelain {
            lines
        } else {
            format!("------ {} --------\n{lines}", group.heading)
        }
    };
    let groups: Vec<String> = groups.iter().map(of_group).collect();
    groups.join(if porcelain { "" } else { "\n" })
}

fn flags(status: &Status) -> &'static str {
    match (status.is_marked_for_removal(), status.is_locked_in_memory()) {
        (false, false) => "-",
        (true, false) => "dest",
        (false, true) => "locked",
        (true, true) => "dest,locked",
    }
}

/// A name of more than 8 characters is shown as its number, as `ps` does, unless there is room.
fn owner(users: &Users, uid: u32, wide: bool) -> String {
    let (name, number) = (users.name(uid), uid.to_string());
    let fits = |text: &str| wide || text.chars().count() <= 8;
    match (fits(&name), fits(&number)) {
        (true, _) => name,
        (false, true) => number,
        (false, false) => format!("{}+", &number[..7]),
    }
}

/// A number that does not fit is rounded down to units of 1024, 1024^2 and so on: K, M, G, T, P.
fn count(value: u64, width: usize, wide: bool) -> String {
    let digits = value.to_string();
    if wide || digits.len() <= width {
        return digits;
    }
    let units = "KMGTP".chars().enumerate().map(|(index, unit)| {
        let scaled = value >> (10 * (index + 1));
        format!("{scaled}{unit}")
    });
    let mut fitting = units.filter(|text| text.len() <= width);
    // 2^64 is 16384 P.
    fitting.next().unwrap_or(digits)
}

fn process(pid: Option<u32>, process: ProcessState, wide: bool) -> String {
    match (pid, state(process)) {
        (None, _) => unknown(),
        (Some(pid), "unknown") if !wide => format!("{pid} ?"),
        (Some(pid), state) => format!("{pid} {state}"),
    }
}

fn state(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Alive => "alive",
        ProcessState::Dead => "dead",
        // Whatever else there may be, nothing is known to be dead.
        _ => "unknown",
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(unknown, |value| value.to_string())
}

fn unknown() -> String {
    "-".to_owned()
}

/// Two units are enough to judge an age by; where there is little room, one.
fn time(age: Option<Duration>, wide: bool) -> String {
    let Some(seconds) = age.map(|age| age.as_secs()) else {
        return unknown();
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) if !wide => format!("{minutes}m"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) if !wide => format!("{hours}h"),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        (0..1000, _, _) if !wide => format!("{days}d"),
        // Longer than any uptime: of a clock that was set.
        (_, _, _) if !wide => format!("{}y", days / 365),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}
