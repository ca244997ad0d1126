//! What is measured in which group, and the passes in which contenders take turns.

use crate::case::{Act, Case, Mode, Patience, Taken, usual_capacity};
use crate::director::measure;
use crate::figures::Sample;
use crate::peers::{self, CONTENDERS, Contender, Waits};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How long one measurement may take before the run fails: an item was lost, or somebody waits for ever.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Blocks of 64 KiB into a buffer of 1 MiB, and of 64 MiB.
pub const MEMCPY: &str = "memcpy";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Group {
    Throughput,
    RoundTrip,
    WakeUp,
    Setup,
    Size,
    Capacity,
    Processes,
}

impl Group {
    pub fn name(self) -> &'static str {
        GROUPS
            .iter()
            .find(|(group, _)| *group == self)
            .map_or("", |(_, name)| name)
    }
}

pub const GROUPS: [(Group, &str); 7] = [
    (Group::Throughput, "throughput"),
    (Group::RoundTrip, "round-trip"),
    (Group::WakeUp, "wake-up"),
    (Group::Setup, "setup"),
    (Group::Size, "size"),
    (Group::Capacity, "capacity"),
    (Group::Processes, "processes"),
];

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub passes: usize,
    /// How long one measurement of a stream or of round trips shall take.
    pub each: Duration,
}

pub const FULL: Effort = Effort {
    passes: 15,
    each: Duration::from_millis(40),
};
pub const QUICK: Effort = Effort {
    passes: 3,
    each: Duration::from_millis(5),
};

/// What a case gave in all passes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    pub case: Case,
    /// Items, round trips, wake-ups or repetitions per measurement.
    pub count: u64,
    pub samples: Vec<Sample>,
    pub taken: Option<Taken>,
}

/// What was not measured, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Skipped {
    pub case: Case,
    pub why: String,
}

pub const SIZES: [usize; 7] = [8, 64, 256, 1024, 4096, 16384, 65536];
pub const CAPACITIES: [usize; 5] = [16, 128, 1024, 8192, 65536];
pub const PAIRS: [usize; 3] = [1, 2, 4];
pub const THROUGHPUT_SIZES: [usize; 4] = [8, 64, 1024, 65536];

/// Contenders whose growth is drawn: few enough to tell apart.
const DRAWN: [&str; 8] = [
    peers::SPSC_CONTIGUOUS,
    peers::SPSC,
    peers::MPMC,
    peers::RTRB,
    "Boost spsc_queue",
    "iceoryx2",
    "pipe",
    "Unix stream socket",
];

/// What grows in a group, at one of its points.
pub type Point = fn(&str, Mode, Act, usize) -> Case;

pub fn size_case(name: &str, mode: Mode, act: Act, bytes: usize) -> Case {
    Case {
        mode,
        ..Case::new(name, act, bytes)
    }
}

pub fn capacity_case(name: &str, mode: Mode, act: Act, capacity: usize) -> Case {
    Case {
        mode,
        capacity,
        ..Case::new(name, act, 8)
    }
}

/// More processes than processors: they must yield.
pub fn pairs_case(name: &str, mode: Mode, act: Act, pairs: usize) -> Case {
    let patience = Patience::Yield;
    Case {
        mode,
        pairs,
        patience,
        batch_limit: 32,
        ..Case::new(name, act, 8)
    }
}

fn taking_part(act: Act) -> impl Iterator<Item = &'static Contender> {
    CONTENDERS
        .iter()
        .filter(move |contender| contender.takes_part(act))
}

fn is_channel(case: &Case) -> bool {
    peers::find(&case.contender).is_some_and(Contender::is_channel)
}

/// The cases of a group, contenders that are not compiled in left out.
pub fn cases(group: Group) -> Vec<Case> {
    let mut cases = Vec::new();
    match group {
        Group::Throughput => {
            for bytes in THROUGHPUT_SIZES {
                for contender in taking_part(Act::Stream) {
                    for &mode in contender.modes {
                        cases.push(Case {
                            mode,
                            ..Case::new(contender.name, Act::Stream, bytes)
                        });
                    }
                }
            }
            for capacity in [16, 1024] {
                cases.push(Case {
                    capacity,
                    ..Case::new(MEMCPY, Act::Copy, 65536)
                });
            }
        }
        Group::RoundTrip => {
            for contender in taking_part(Act::RoundTrip) {
                cases.push(Case::new(contender.name, Act::RoundTrip, 8));
            }
        }
        Group::WakeUp => {
            for contender in
                taking_part(Act::Wake).filter(|contender| contender.waits == Waits::Sleeps)
            {
                cases.push(Case::new(contender.name, Act::Wake, 8));
                cases.push(Case::new(contender.name, Act::Idle, 8));
            }
        }
        Group::Setup => {
            let between = taking_part(Act::Create)
                .filter(|contender| contender.performer.between_processes());
            for contender in between {
                cases.push(Case::new(contender.name, Act::Create, 64));
                if contender.attaches {
                    cases.push(Case::new(contender.name, Act::Attach, 64));
                }
            }
        }
        Group::Size => {
            for name in DRAWN {
                for bytes in SIZES {
                    cases.push(size_case(name, best_mode(name), Act::Stream, bytes));
                    if name != peers::SPSC_CONTIGUOUS {
                        cases.push(size_case(name, Mode::Single, Act::RoundTrip, bytes));
                    }
                }
            }
        }
        Group::Capacity => {
            let threads = [peers::RTRB, "ringbuf", peers::ARRAY_QUEUE];
            let names = [peers::SPSC, peers::MPMC, peers::LECTURE]
                .into_iter()
                .chain(threads);
            for name in names.chain(["Boost spsc_queue", "shmem-ipc, spinning"]) {
                for capacity in CAPACITIES {
                    for act in [Act::Stream, Act::RoundTrip] {
                        cases.push(capacity_case(name, Mode::Single, act, capacity));
                    }
                }
            }
        }
        Group::Processes => {
            for contender in CONTENDERS.iter().filter(|contender| contender.many) {
                for pairs in PAIRS {
                    if contender.name == peers::MPMC {
                        cases.push(pairs_case(contender.name, Mode::Batch, Act::Stream, pairs));
                    }
                    cases.push(pairs_case(contender.name, Mode::Single, Act::Stream, pairs));
                }
            }
            let threads = [peers::RTRB, peers::ARRAY_QUEUE, "crossbeam channel"];
            let kernel = ["Boost message_queue", "pipe", "Unix seqpacket socket"];
            let names = [peers::SPSC, peers::MPMC, "iceoryx2"]
                .into_iter()
                .chain(threads);
            for name in names.chain(kernel) {
                for pairs in PAIRS {
                    cases.push(pairs_case(name, Mode::Single, Act::RoundTrip, pairs));
                }
            }
        }
    }
    cases.retain(|case| case.contender == MEMCPY || peers::find(&case.contender).is_some());
    cases
}

/// How items go fastest through a contender that is drawn over sizes.
fn best_mode(name: &str) -> Mode {
    match name {
        peers::SPSC_CONTIGUOUS | peers::RTRB | "iceoryx2" => Mode::InPlace,
        peers::SPSC => Mode::Single,
        _ => Mode::Batch,
    }
}

/// Measures all the cases of a group, pass by pass, each pass beginning with another case.
pub fn run(group: Group, effort: Effort) -> Result<(Vec<Series>, Vec<Skipped>)> {
    let (mut series, mut skipped, began) = (Vec::new(), Vec::new(), Instant::now());
    for case in cases(group) {
        let obstacle =
            peers::find(&case.contender).and_then(|contender| contender.performer.obstacle(&case));
        match obstacle {
            Some(why) => skipped.push(Skipped { case, why }),
            None => series.push(Series {
                count: calibrate(&case, effort)?,
                case,
                samples: Vec::new(),
                taken: None,
            }),
        }
    }
    for pass in 0..effort.passes {
        if std::io::stderr().is_terminal() {
            eprint!(
                "\r{}: pass {} of {} ",
                group.name(),
                pass + 1,
                effort.passes
            );
        }
        let first = pass * series.len() / effort.passes;
        for index in (first..series.len()).chain(0..first) {
            let one = &mut series[index];
            if one.case.act == Act::Idle && pass % 3 != 0 {
                // It takes a second.
                continue;
            }
            let outcome = measure(&one.case, one.count, PATIENCE)?;
            one.taken = outcome.taken;
            let values = match one.case.act {
                Act::Stream => vec![
                    outcome.received as f64 / (outcome.ended_ns - outcome.began_ns) as f64 * 1e9,
                ],
                _ => outcome.values,
            };
            one.samples.push(Sample {
                values,
                probes: outcome.probes,
            });
        }
    }
    let (passes, cases, took) = (effort.passes, series.len(), began.elapsed().as_secs());
    eprintln!(
        "\r{}: {passes} passes of {cases} measurements, {took} s",
        group.name()
    );
    Ok((series, skipped))
}

/// How many items, round trips and so on make a measurement of the wanted length. What this measures is thrown
/// away: it also warms up.
fn calibrate(case: &Case, effort: Effort) -> Result<u64> {
    let pairs = case.pairs as u64;
    let wanted = effort.each.as_nanos() as f64;
    let few = effort.passes <= QUICK.passes;
    Ok(match case.act {
        Act::Stream => {
            let mut count = 1000;
            loop {
                let outcome = measure(case, count, PATIENCE)?;
                let took = (outcome.ended_ns - outcome.began_ns).max(1) as f64;
                let next = (count as f64 * (wanted / took).min(50.0)) as u64;
                // A multiple, so that the receivers' shares are whole.
                count = next.max(1000).next_multiple_of(pairs);
                if took > wanted / 4.0 || count == 1000 {
                    break count;
                }
            }
        }
        Act::RoundTrip => {
            let outcome = measure(case, 500, PATIENCE)?;
            let mean = *outcome.values.get(3).context("a mean")?;
            (wanted / mean.max(1.0)) as u64
        }
        .clamp(1000, 200_000),
        Act::Wake if few => 10,
        Act::Wake => 20,
        Act::Idle => 1,
        // The limit is as cheap as it gets, and so is what stands beside it: their difference takes many.
        Act::Attach | Act::Create if !is_channel(case) => 400,
        Act::Attach | Act::Create if few => 10,
        Act::Attach | Act::Create => 40,
        Act::Copy => ((wanted / 1e9) * 8e9 / (case.bytes * case.capacity) as f64).max(2.0) as u64,
    })
}

/// Every way of using every contender, for the check.
pub fn every_way() -> Vec<Case> {
    let mut cases = Vec::new();
    for contender in CONTENDERS {
        for bytes in [8, 1024] {
            for &mode in contender.modes {
                let case = Case {
                    mode,
                    capacity: usual_capacity(bytes),
                    ..Case::new(contender.name, Act::Stream, bytes)
                };
                if contender.many && mode != Mode::InPlace && bytes == 8 {
                    cases.push(Case {
                        pairs: 2,
                        patience: Patience::Yield,
                        ..case.clone()
                    });
                }
                cases.push(case);
            }
        }
        if contender.takes_part(Act::RoundTrip) {
            cases.push(Case::new(contender.name, Act::RoundTrip, 8));
        }
    }
    cases
}
