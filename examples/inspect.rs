//! Shows a ring buffer from outside: layout, fill, items per second, and who takes part, alive or dead.
//!
//! ```text
//! $ cargo run --example inspect -- --key 0x2a0102c3 [--follow] [--seconds S]
//! $ cargo run --example inspect -- --id 5
//! $ cargo run --example inspect -- --path SYSUOS [--project 42]
//! ```
//!
//! Looks twice, S seconds apart (1 unless said), and prints what it saw and what went through in between; with
//! `--follow` again and again, until Ctrl-C or until nobody else has the segment any more. It attaches read-only
//! and disturbs nobody; it needs not know what the items are, only that it may read the segment. A ring whose
//! participants are all dead is shown as well: that is when one comes to look.
//!
//! ```text
//! segment       5, key 0x2a0102c3, mode 0600
//! memory        17152 bytes, 3 attached
//! ring          spsc, version 2, interleaved, generation 0x8c0e5a3b6f1d2974
//! items         8 bytes each, at multiples of 8
//! fill          17 of 1024 (1.7 %)
//! pushed        81236700, 40618350 per second
//! popped        81236683, 40618347 per second
//! participants  1 alive, 1 dead, 2 at most
//!   producer    pid 4711, alive, for 1m07s, awake
//!   consumer    dead; the next to claim the role goes on
//! ```
//!
//! `--help` lists options and exit codes.

#[path = "cli/mod.rs"]
mod cli;

use cli::{Arguments, Misuse, Unprinted};
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use sysvshm::bounded_buffer::{OpenError, PeerState};
use sysvshm::inspect::{Inspector, Kind, Layout, Participant, Progress, Ring, Role, Sight};
use sysvshm::{Key, SegmentId, Status};

fn main() -> ExitCode {
    cli::run(include_str!("help/inspect.txt"), |arguments| {
        run(&Settings::parse(arguments)?)
    })
}

/// What to look at.
#[derive(Debug)]
enum Target {
    Key(Key),
    Id(SegmentId),
    Path { file: PathBuf, project: u8 },
}

#[derive(Debug)]
struct Settings {
    target: Target,
    follow: bool,
    interval: Duration,
}

impl Settings {
    fn parse(mut arguments: Arguments) -> Result<Self, Misuse> {
        let key = arguments.number("--key")?.map(Target::Key);
        let id = arguments.number("--id")?;
        let id = id.map(|id| Target::Id(SegmentId::from_raw(id)));
        let project = arguments.number("--project")?;
        let path = arguments.bytes("--path")?.map(|file| Target::Path {
            file: file.into(),
            project: project.unwrap_or(42),
        });
        let follow = arguments.flag("--follow");
        let interval = arguments.seconds("--seconds")?;
        arguments.finish()?;
        if project.is_some() && path.is_none() {
            return Err(Misuse::new("--project goes with --path"));
        }
        let mut targets = [key, id, path].into_iter().flatten();
        let (Some(target), None) = (targets.next(), targets.next()) else {
            return Err(Misuse::new(
                "which ring? one of --key, --id and --path says it",
            ));
        };
        // Ten times a second is what eyes can follow, and no burden for the ring.
        let interval = interval.unwrap_or(Duration::from_secs(1));
        Ok(Self {
            target,
            follow,
            interval: interval.max(Duration::from_millis(100)),
        })
    }
}

fn run(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let inspector = match &settings.target {
        Target::Key(key) => Inspector::open(*key)?,
        Target::Id(id) => Inspector::attach(*id)?,
        Target::Path { file, project } => Inspector::open(Key::from_path(file, *project)?)?,
    };
    let mut earlier = (Instant::now(), look(&inspector)?);
    loop {
        thread::sleep(settings.interval);
        let now = (Instant::now(), look(&inspector)?);
        let progress = match (&earlier.1, &now.1) {
            (Sight::Ready(before), Sight::Ready(ring)) => ring.progress_since(before),
            _ => None,
        };
        let status = inspector.segment().status()?;
        let rate = progress.map(|progress| (progress, now.0 - earlier.0));
        let frame = frame(&status, &now.1, rate);
        // This program is attached, too.
        let is_last = status.is_marked_for_removal() && status.attached() == 1;
        show(&frame, settings.follow)?;
        if is_last || !settings.follow {
            return Ok(());
        }
        earlier = now;
    }
}

/// Words for those who do not know what a magic is.
fn look(inspector: &Inspector) -> Result<Sight, String> {
    let id = inspector.segment().id();
    inspector.look().map_err(|error| match error {
        OpenError::LayoutMismatch {
            what: what @ ("magic" | "state" | "segment size"),
            found,
            ..
        } => format!("segment {id} holds no ring: its {what} is {found:#x}"),
        error => format!("segment {id} holds no ring that this version knows: {error}"),
    })
}

/// All at once, so that a terminal never shows half of it.
fn show(frame: &str, follow: bool) -> Result<(), Unprinted> {
    let before = match (follow, io::stdout().is_terminal()) {
        (false, _) => "",
        // Home, and away with what is below.
        (true, true) => "\x1b[H\x1b[J",
        // One empty line between two looks, for whoever reads it from a pipe.
        (true, false) => "\n",
    };
    cli::print([before, frame].concat())
}

fn frame(status: &Status, sight: &Sight, rate: Option<(Progress, Duration)>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<14}{what}");
    };
    let marked = if status.is_marked_for_removal() {
        ", marked for removal"
    } else {
        ""
    };
    line(
        "segment",
        format!(
            "{}, key {}, mode {}",
            status.id(),
            status.key(),
            status.mode()
        ),
    );
    // This program aside.
    let attached = status.attached().saturating_sub(1);
    line(
        "memory",
        format!("{} bytes, {attached} attached{marked}", status.size_bytes()),
    );
    match sight {
        Sight::Untouched => line("ring", "none yet: all zeros where it begins".to_owned()),
        Sight::Initialising { kind, by } => {
            let kind = kind.map_or("not known yet which", Kind::name);
            line("ring", format!("{kind}, being initialised"));
            line("  by", person(by, "whoever opens it to create takes over"));
        }
        Sight::Ready(ring) => {
            for (name, what) in ready(ring, rate) {
                line(&name, what);
            }
        }
        _ => line(
            "ring",
            "in a state that this program does not know".to_owned(),
        ),
    }
    text
}

fn ready(ring: &Ring, rate: Option<(Progress, Duration)>) -> Vec<(String, String)> {
    let layout = match ring.layout {
        Layout::Interleaved => "interleaved",
        Layout::Contiguous => "contiguous",
    };
    let (kind, version, generation) = (ring.kind.name(), ring.version, ring.generation);
    let (size, align) = (ring.item_size_bytes, ring.item_align_bytes);
    let percent = ring.len as f64 * 100.0 / ring.capacity as f64;
    let per_second = |count: fn(&Progress) -> u64| {
        rate.as_ref().map_or(String::new(), |(progress, time)| {
            let rate = count(progress) as f64 / time.as_secs_f64();
            format!(", {rate:.0} per second")
        })
    };
    let are = |state| {
        let those = ring.participants.iter().filter(|one| one.state == state);
        those.count()
    };
    let mut people = format!("{} alive", are(PeerState::Alive));
    for (count, word) in [
        (are(PeerState::Dead), "dead"),
        (are(PeerState::Unknown), "unknown"),
    ] {
        if count > 0 {
            let _ = write!(people, ", {count} {word}");
        }
    }
    let mut lines = vec![
        (
            "ring",
            format!("{kind}, version {version}, {layout}, generation {generation:#018x}"),
        ),
        (
            "items",
            format!("{size} bytes each, at multiples of {align}"),
        ),
        (
            "fill",
            format!("{} of {} ({percent:.1} %)", ring.len, ring.capacity),
        ),
        (
            "pushed",
            format!("{}{}", ring.pushed, per_second(|p| p.pushed)),
        ),
        (
            "popped",
            format!("{}{}", ring.popped, per_second(|p| p.popped)),
        ),
        (
            "participants",
            format!("{people}, {} at most", ring.max_participants),
        ),
    ];
    if ring.is_corrupted {
        let what = "by a process that takes no part; the numbers are a guess";
        lines.push(("corrupted", what.to_owned()));
    }
    let after_death = match ring.kind {
        Kind::Spsc => "the next to claim the role goes on",
        Kind::Mpmc => "whoever waits next recovers what it left",
    };
    let named = lines
        .into_iter()
        .map(|(name, what)| (name.to_owned(), what));
    let people = ring.participants.iter().map(|one| {
        let role = match one.role {
            Some(Role::Producer) => "  producer",
            Some(Role::Consumer) => "  consumer",
            None => "  somebody",
        };
        (role.to_owned(), person(one, after_death))
    });
    named.chain(people).collect()
}

fn person(one: &Participant, after_death: &str) -> String {
    let mut parts = Vec::new();
    parts.extend(one.pid.map(|pid| format!("pid {pid}")));
    parts.push(match one.state {
        PeerState::Never => "none yet".to_owned(),
        PeerState::Alive => "alive".to_owned(),
        PeerState::Left => "gone, gave the role back".to_owned(),
        PeerState::Dead => format!("dead; {after_death}"),
        // In another IPC namespace than the ring nobody can be judged.
        _ => "alive or dead, not to be known from here".to_owned(),
    });
    if one.state == PeerState::Alive {
        let since = one.since.map(|since| {
            let now = SystemTime::now();
            // 0 if the clock was set back since.
            readable(now.duration_since(since).unwrap_or_default())
        });
        parts.extend(since.map(|since| format!("for {since}")));
        let asleep = one
            .is_asleep
            .map(|asleep| if asleep { "asleep" } else { "awake" });
        parts.extend(asleep.map(str::to_owned));
    }
    parts.join(", ")
}

/// Two units are enough to judge an age by.
fn readable(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}
