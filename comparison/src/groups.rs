//! What is measured in which group, and the passes in which contenders take turns.

use crate::case::{Case, Mode, Polling, Taken, Workload, usual_capacity};
use crate::figures::Sample;
use crate::item::BY_VALUE_BYTES;
use crate::peers::{self, CONTENDERS, Contender, Waits};
use crate::runner::measure;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How long one measurement may take before the run fails: an item was lost, or a participant waits for ever.
pub const TIME_LIMIT: Duration = Duration::from_secs(20);

/// As [`TIME_LIMIT`], for one workload: starting 500 processes, one after the other, takes long on a busy machine.
fn time_limit(workload: Workload) -> Duration {
    match workload {
        Workload::Recover | Workload::Redeliver => 10 * TIME_LIMIT,
        _ => TIME_LIMIT,
    }
}

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
    Alone,
    Fairness,
    Handles,
}

impl Group {
    pub fn name(self) -> &'static str {
        GROUPS
            .iter()
            .find(|(group, _)| *group == self)
            .map_or("", |(_, name)| name)
    }
}

pub const GROUPS: [(Group, &str); 10] = [
    (Group::Throughput, "throughput"),
    (Group::RoundTrip, "round-trip"),
    (Group::WakeUp, "wake-up"),
    (Group::Setup, "setup"),
    (Group::Size, "size"),
    (Group::Capacity, "capacity"),
    (Group::Processes, "processes"),
    (Group::Alone, "alone"),
    (Group::Fairness, "fairness"),
    (Group::Handles, "handles"),
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
/// Senders and receivers where they are not as many.
pub const UNEVEN: [(usize, usize); 2] = [(1, 4), (4, 1)];
/// Capacities at which the sides take turns.
pub const ALONE_CAPACITIES: [usize; 3] = [256, 1024, 16384];
/// Handles that wait for nothing, or take nothing.
pub const IDLE_HANDLES: [usize; 3] = [2, 64, 500];
pub const POP_HANDLES: [usize; 2] = [2, 512];
/// Handles that die, and the processes that have them.
pub const DEAD: [(usize, usize); 3] = [(1, 1), (500, 500), (500, 1)];
/// Items that a process had in its hands when it died.
pub const HELD: u64 = 1000;
/// Slots of the ring in which processes die.
pub const LARGE_CAPACITY: usize = 1 << 20;
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
pub type Point = fn(&str, Mode, Workload, usize) -> Case;

pub fn size_case(name: &str, mode: Mode, workload: Workload, bytes: usize) -> Case {
    Case {
        mode,
        ..Case::new(name, workload, bytes)
    }
}

pub fn capacity_case(name: &str, mode: Mode, workload: Workload, capacity: usize) -> Case {
    Case {
        mode,
        capacity,
        ..Case::new(name, workload, 8)
    }
}

/// More processes than processors: they must yield.
pub fn pairs_case(name: &str, mode: Mode, workload: Workload, pairs: usize) -> Case {
    let polling = Polling::Yield;
    Case {
        mode,
        senders: pairs,
        receivers: pairs,
        polling,
        batch_limit: 32,
        ..Case::new(name, workload, 8)
    }
}

/// As many handles in so many processes.
pub fn handles_case(name: &str, workload: Workload, handles: usize, processes: usize) -> Case {
    let capacity = match workload {
        Workload::Recover | Workload::Redeliver => LARGE_CAPACITY,
        _ => 1024,
    };
    Case {
        handles,
        processes,
        capacity,
        ..Case::new(name, workload, 8)
    }
}

fn taking_part(workload: Workload) -> impl Iterator<Item = &'static Contender> {
    CONTENDERS
        .iter()
        .filter(move |contender| contender.takes_part(workload) && !contender.is_before())
}

/// Which ways of sending say something at this size.
pub fn is_told_apart(mode: Mode, bytes: usize) -> bool {
    match mode {
        Mode::Outlined => bytes <= BY_VALUE_BYTES,
        Mode::Value => bytes == 1024,
        _ => true,
    }
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
                for contender in taking_part(Workload::Stream) {
                    let modes = contender.modes.iter();
                    for &mode in modes.filter(|mode| is_told_apart(**mode, bytes)) {
                        cases.push(Case {
                            mode,
                            ..Case::new(contender.name, Workload::Stream, bytes)
                        });
                    }
                }
            }
            for capacity in [16, 1024] {
                cases.push(Case {
                    capacity,
                    ..Case::new(MEMCPY, Workload::Copy, 65536)
                });
            }
        }
        Group::RoundTrip => {
            for contender in taking_part(Workload::RoundTrip) {
                cases.push(Case::new(contender.name, Workload::RoundTrip, 8));
            }
        }
        Group::WakeUp => {
            for workload in [Workload::Wake, Workload::Idle, Workload::SlowReceiver] {
                let sleeping = |contender: &&Contender| contender.waits == Waits::Sleeps;
                for contender in taking_part(workload).filter(sleeping) {
                    cases.push(Case::new(contender.name, workload, 8));
                }
            }
        }
        Group::Setup => {
            let between = taking_part(Workload::Create)
                .filter(|contender| contender.driver.between_processes());
            for contender in between {
                cases.push(Case::new(contender.name, Workload::Create, 64));
                if contender.attaches {
                    cases.push(Case::new(contender.name, Workload::Attach, 64));
                }
            }
        }
        Group::Size => {
            for name in DRAWN {
                for bytes in SIZES {
                    cases.push(size_case(name, best_mode(name), Workload::Stream, bytes));
                    if name != peers::SPSC_CONTIGUOUS {
                        cases.push(size_case(name, Mode::Single, Workload::RoundTrip, bytes));
                    }
                }
            }
        }
        Group::Capacity => {
            let threads = [peers::RTRB, peers::RINGBUF, peers::ARRAY_QUEUE];
            let names = [peers::SPSC, peers::MPMC, peers::LECTURE]
                .into_iter()
                .chain(threads);
            for name in names.chain(["Boost spsc_queue", "shmem-ipc, spinning"]) {
                for capacity in CAPACITIES {
                    for workload in [Workload::Stream, Workload::RoundTrip] {
                        cases.push(capacity_case(name, Mode::Single, workload, capacity));
                    }
                }
            }
        }
        Group::Processes => {
            for contender in taking_part(Workload::Stream).filter(|contender| contender.many) {
                if is_fast_among_many(contender.name) {
                    for (senders, receivers) in UNEVEN {
                        cases.push(Case {
                            senders,
                            receivers,
                            ..pairs_case(contender.name, Mode::Single, Workload::Stream, 1)
                        });
                    }
                }
                for pairs in PAIRS {
                    if contender.name == peers::MPMC {
                        cases.push(pairs_case(
                            contender.name,
                            Mode::Batch,
                            Workload::Stream,
                            pairs,
                        ));
                    }
                    cases.push(pairs_case(
                        contender.name,
                        Mode::Single,
                        Workload::Stream,
                        pairs,
                    ));
                }
            }
            let threads = [peers::RTRB, peers::ARRAY_QUEUE, "crossbeam channel"];
            let kernel = ["Boost message_queue", "pipe", "Unix seqpacket socket"];
            let names = [peers::SPSC, peers::MPMC, "iceoryx2"]
                .into_iter()
                .chain(threads);
            for name in names.chain(kernel) {
                for pairs in PAIRS {
                    cases.push(pairs_case(name, Mode::Single, Workload::RoundTrip, pairs));
                }
            }
        }
        Group::Alone => {
            for contender in taking_part(Workload::Alternate) {
                for capacity in ALONE_CAPACITIES {
                    cases.push(capacity_case(
                        contender.name,
                        Mode::Single,
                        Workload::Alternate,
                        capacity,
                    ));
                }
            }
            for contender in taking_part(Workload::OneThread) {
                cases.push(Case::new(contender.name, Workload::OneThread, 8));
            }
        }
        Group::Fairness => {
            for contender in taking_part(Workload::Share) {
                cases.push(pairs_case(contender.name, Mode::Single, Workload::Share, 4));
            }
        }
        Group::Handles => {
            for (workload, counts) in [
                (Workload::IdleAmong, &IDLE_HANDLES[..]),
                (Workload::PopNothing, &POP_HANDLES[..]),
            ] {
                for &handles in counts {
                    cases.push(handles_case(peers::MPMC_HANDLES, workload, handles, 1));
                }
            }
            for (handles, processes) in DEAD {
                let workload = Workload::Recover;
                cases.push(handles_case(
                    peers::MPMC_HANDLES,
                    workload,
                    handles,
                    processes,
                ));
            }
            cases.push(handles_case(peers::MPMC_HANDLES, Workload::Redeliver, 1, 1));
        }
    }
    cases.retain(|case| case.contender == MEMCPY || peers::find(&case.contender).is_some());
    let with_older = |case: Case| {
        let older = older(&case);
        [Some(case), older].into_iter().flatten()
    };
    cases.into_iter().flat_map(with_older).collect()
}

/// The same by an older version of the crate, if it takes part.
pub fn older(case: &Case) -> Option<Case> {
    let contender = format!("{}{}", case.contender, peers::BEFORE);
    peers::find(&contender)?;
    Some(Case {
        contender,
        ..case.clone()
    })
}

/// Queues for many and many that are worth measuring with unequal sides.
fn is_fast_among_many(name: &str) -> bool {
    [peers::MPMC, peers::MPMC_YIELD, peers::ARRAY_QUEUE].contains(&name)
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
/// `own` leaves out what has no older version of the crate beside it.
pub fn run(group: Group, effort: Effort, own: bool) -> Result<(Vec<Series>, Vec<Skipped>)> {
    let (mut series, mut skipped, began) = (Vec::new(), Vec::new(), Instant::now());
    let all = cases(group);
    let has_older = |case: &Case| case.contender.ends_with(peers::BEFORE) || older(case).is_some();
    for case in all.into_iter().filter(|case| !own || has_older(case)) {
        let obstacle =
            peers::find(&case.contender).and_then(|contender| contender.driver.obstacle(&case));
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
            if pass % one.case.workload.every() != 0 {
                one.samples.push(Sample::default());
                continue;
            }
            let outcome = measure(&one.case, one.count, time_limit(one.case.workload))?;
            one.taken = outcome.taken;
            let values = match one.case.workload {
                Workload::Stream => vec![
                    outcome.received as f64 / (outcome.ended_ns - outcome.began_ns) as f64 * 1e9,
                ],
                Workload::Share => shares(&one.case, &outcome.values, one.count),
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

/// The least and the greatest share of a sender and of a receiver, of what would be fair; and items per second.
fn shares(case: &Case, items: &[f64], milliseconds: u64) -> Vec<f64> {
    let (senders, receivers) = items.split_at(case.senders);
    let sent: f64 = senders.iter().sum();
    let of_fair = |items: &[f64], pick: fn(f64, f64) -> f64| {
        let found = items.iter().copied().reduce(pick).unwrap_or(0.0);
        found / (sent / items.len() as f64)
    };
    vec![
        of_fair(senders, f64::min),
        of_fair(senders, f64::max),
        of_fair(receivers, f64::min),
        of_fair(receivers, f64::max),
        sent / milliseconds as f64 * 1e3,
    ]
}

/// How many items, round trips and so on make a measurement of the wanted length. What this measures is thrown
/// away: it also warms up.
fn calibrate(case: &Case, effort: Effort) -> Result<u64> {
    let whole = (case.senders * case.receivers) as u64;
    let wanted = effort.each.as_nanos() as f64;
    let few = effort.passes <= QUICK.passes;
    Ok(match case.workload {
        Workload::Stream => {
            let mut count = 1000;
            loop {
                let outcome = measure(case, count, TIME_LIMIT)?;
                let took = (outcome.ended_ns - outcome.began_ns).max(1) as f64;
                let next = (count as f64 * (wanted / took).min(50.0)) as u64;
                // A multiple, so that each participant's part is whole.
                count = next.max(1000).next_multiple_of(whole);
                if took > wanted / 4.0 || count == 1000 {
                    break count;
                }
            }
        }
        Workload::RoundTrip => {
            let outcome = measure(case, 500, TIME_LIMIT)?;
            let mean = *outcome.values.get(3).context("a mean")?;
            (wanted / mean.max(1.0)) as u64
        }
        .clamp(1000, 200_000),
        Workload::Wake if few => 10,
        Workload::Wake => 20,
        Workload::Idle | Workload::IdleAmong | Workload::Recover => 1,
        // Some 40 ms of work for the receiver.
        Workload::SlowReceiver => (wanted / 20_000.0) as u64,
        Workload::Alternate | Workload::OneThread => {
            let count = match case.workload {
                Workload::Alternate => (1 << 20) / case.capacity as u64,
                _ => 1 << 20,
            };
            if few { count / 8 } else { count }
        }
        .max(1),
        Workload::Share if few => 100,
        Workload::Share => 3000,
        Workload::PopNothing => 200,
        Workload::Redeliver => HELD,
        // The limit is as cheap as it gets, and so is what stands beside it: their difference takes many.
        Workload::Attach | Workload::Create if !is_channel(case) => 400,
        Workload::Attach | Workload::Create if few => 10,
        Workload::Attach | Workload::Create => 40,
        Workload::Copy => {
            ((wanted / 1e9) * 8e9 / (case.bytes * case.capacity) as f64).max(2.0) as u64
        }
    })
}

/// Every way of using every contender, for the check.
pub fn every_way() -> Vec<Case> {
    let mut cases = Vec::new();
    for contender in CONTENDERS.iter() {
        for bytes in [8, 1024] {
            for &mode in contender.modes {
                let case = Case {
                    mode,
                    capacity: usual_capacity(bytes),
                    ..Case::new(contender.name, Workload::Stream, bytes)
                };
                if contender.many && matches!(mode, Mode::Single | Mode::Batch) && bytes == 8 {
                    cases.push(Case {
                        senders: 2,
                        receivers: 2,
                        polling: Polling::Yield,
                        ..case.clone()
                    });
                }
                cases.push(case);
            }
        }
        for workload in [
            Workload::RoundTrip,
            Workload::Alternate,
            Workload::OneThread,
        ] {
            if contender.takes_part(workload) {
                cases.push(Case::new(contender.name, workload, 8));
            }
        }
        if contender.takes_part(Workload::Share) {
            cases.push(pairs_case(contender.name, Mode::Single, Workload::Share, 2));
        }
    }
    cases
}
