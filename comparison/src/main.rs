//! sysvshm's bounded buffers beside other ways to hand items to another process, measured in one run.
//!
//! ```text
//! comparison/run                         everything, some fifteen minutes; writes results/PROCESSOR.md and its pictures
//! comparison/run --quick                 the same in two minutes, into the target folder: to see that it works
//! comparison/run --only GROUP            one group (or several, separated by commas), printed and kept
//! comparison/run --report                writes the results from the kept groups, if they match
//! comparison/run --check                 makes mistakes on purpose and fails unless each is found
//! comparison/run --passes N              that many passes instead of 15
//! comparison/run --baseline COMMIT       beside that version of the crate (or that folder's)
//! comparison/run --own                   only what has an older version beside it
//! ```
//!
//! Groups: throughput, round-trip, wake-up, setup, size, capacity, processes, alone, fairness, handles.
//!
//! | module | concept |
//! |---|---|
//! | `case` | one thing to measure; what a process is told and what it answers |
//! | `item`, `endpoint` | items that say their number in every word; the two endpoints of a channel |
//! | `peers` | the contenders, one file per kind |
//! | `workload` | what the processes of a measurement do |
//! | `pinning` | processors, meeting, the near/far probe, clocks |
//! | `runner` | starts and watches the processes of a measurement |
//! | `groups` | what is measured, and the passes |
//! | `check` | the planted mistakes |
//! | `figures`, `report`, `pictures`, `machine` | medians, the results, the SVG files, and where it was measured |

mod case;
mod check;
mod endpoint;
mod figures;
mod groups;
mod item;
mod machine;
mod peers;
mod pictures;
mod pinning;
mod report;
mod runner;
mod workload;

use anyhow::{Context, Result, bail, ensure};
use groups::{Effort, GROUPS, Group};
use machine::Machine;
use report::words::nanoseconds_or_nothing;
use report::{Part, Results};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Where results are written, below the folder of this program's source: PROCESSOR.md, and a folder of pictures of the
/// same name.
const RESULTS: &str = "results";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    if let [first, task] = arguments
        && first == runner::PARTICIPATE
    {
        return runner::participate(task);
    }
    let command = format!("comparison/run {}", arguments.join(" "));
    let command = command.trim_end();
    let mut effort = groups::FULL;
    let (mut quick, mut report, mut checking, mut own) = (false, false, false, false);
    let mut only = Vec::new();
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "--quick" => (quick, effort) = (true, groups::QUICK),
            "--passes" => {
                effort.passes = arguments
                    .next()
                    .context("--passes needs a number")?
                    .parse()?
            }
            "--only" => {
                for name in arguments.next().context("--only needs a group")?.split(',') {
                    let group = GROUPS.iter().find(|(_, other)| *other == name);
                    only.push(
                        group
                            .with_context(|| format!("no group {name:?}: {}", names()))?
                            .0,
                    );
                }
            }
            "--report" => report = true,
            "--check" => checking = true,
            "--own" => own = true,
            other => bail!(
                "unknown argument {other:?}: --quick, --passes N, --only GROUP, --own, --report, --check"
            ),
        }
    }
    ensure!(effort.passes > 0, "no pass measures nothing");
    if checking {
        return check::check();
    }
    if report {
        return write(&kept()?, &results_folder());
    }
    let wanted: Vec<Group> = GROUPS
        .iter()
        .map(|(group, _)| *group)
        .filter(|group| only.is_empty() || only.contains(group))
        .collect();
    let machine = Machine::here()?;
    for (name, value) in machine.rows() {
        eprintln!("{name}: {value}");
    }
    let mut parts = Vec::new();
    for group in wanted {
        let part = measure(group, effort, own, &machine, command)?;
        if !only.is_empty() {
            let mut text = String::new();
            let results = Results::new(vec![part.clone()]);
            results.ratios(&mut text);
            results.new_by_old(&mut text);
            results.section(group, &mut text);
            println!("{text}");
        }
        if !quick {
            keep(&part)?;
        }
        parts.push(part);
    }
    let results = Results::new(parts);
    for line in results.not_measured() {
        eprintln!("NOT MEASURED: {line}");
    }
    let [(near, near_ns), (far, far_ns), (moved, _)] = results.probes();
    eprintln!(
        "cache line to and fro: near {near} times ({}), far {far} times ({}), moved meanwhile {moved} times",
        nanoseconds_or_nothing(near, near_ns),
        nanoseconds_or_nothing(far, far_ns)
    );
    if !only.is_empty() {
        return Ok(());
    }
    // Figures of a quick run are no results.
    let folder = if quick {
        folder_of_this_program()?.join("comparison-quick")
    } else {
        results_folder()
    };
    write(&results, &folder)
}

fn names() -> String {
    GROUPS.map(|(_, name)| name).join(", ")
}

fn measure(
    group: Group,
    effort: Effort,
    own: bool,
    machine: &Machine,
    command: &str,
) -> Result<Part> {
    let (date, began) = (machine::date(), Instant::now());
    let (series, skipped) = groups::run(group, effort, own)?;
    Ok(Part {
        group,
        machine: machine.clone(),
        date,
        command: command.to_string(),
        seconds: began.elapsed().as_secs(),
        passes: effort.passes,
        each_ms: effort.each.as_millis() as u64,
        series,
        skipped,
    })
}

fn results_folder() -> PathBuf {
    Path::new(env!("COMPARISON_HOME")).join(RESULTS)
}

fn write(results: &Results, folder: &Path) -> Result<()> {
    let slug = results.slug();
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{slug}.md"));
    fs::write(&path, results.markdown())?;
    pictures::draw(results, &folder.join(slug))?;
    eprintln!("written: {}", path.display());
    Ok(())
}

fn folder_of_this_program() -> Result<PathBuf> {
    Ok(std::env::current_exe()?
        .parent()
        .context("a folder")?
        .to_path_buf())
}

/// Where groups are kept between runs of parts: beside the program, out of the way of version control.
fn keep_in(group: Group) -> Result<PathBuf> {
    Ok(folder_of_this_program()?
        .join("comparison-groups")
        .join(format!("{}.json", group.name())))
}

fn keep(part: &Part) -> Result<()> {
    let path = keep_in(part.group)?;
    fs::create_dir_all(path.parent().context("a folder")?)?;
    Ok(fs::write(path, serde_json::to_string(part)?)?)
}

/// The groups kept, from the same machine, compilers, commit and number of passes. Says which are not there.
fn kept() -> Result<Results> {
    let mut parts: Vec<Part> = Vec::new();
    for (group, name) in GROUPS {
        let path = keep_in(group)?;
        let Ok(text) = fs::read_to_string(&path) else {
            eprintln!("NOT MEASURED: group {name}");
            continue;
        };
        let part: Part = serde_json::from_str(&text)
            .with_context(|| format!("group {name} was kept by another version"))?;
        if let Some(first) = parts.first() {
            ensure!(
                (&part.machine, part.passes) == (&first.machine, first.passes),
                "group {name} was measured with something else than {}: {:?}, {} passes; {:?}, {} passes",
                first.group.name(),
                part.machine,
                part.passes,
                first.machine,
                first.passes
            );
        }
        parts.push(part);
    }
    ensure!(!parts.is_empty(), "no group is kept");
    Ok(Results::new(parts))
}
