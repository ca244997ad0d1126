//! The rings between two pinned processes, beside the peers, in one run.
//!
//! ```text
//! cargo bench --bench cross_process                       # everything, 15 passes
//! cargo bench --bench cross_process -- --passes 5 8B 64B  # only what has "8B" or "64B" in its name
//! cargo bench --bench cross_process -- fairness           # items per participant, two minutes
//! ```
//!
//! Ratios within one run are what counts; absolute figures drift. So the contenders take turns, pass by pass, and
//! each measurement is bracketed by a ping-pong over one cache line, which tells whether the two processors are
//! "near" or "far" at that moment. Both ends check every item.
//!
//! Targets are for processors that are near, a raw cache line there and back in about 60 ns, and in brackets for
//! such that are far, about 420 ns. The report says what it was here: anything between is far, and neither target
//! was meant for it.
//!
//! Do not run all of it under a real-time policy: the contenders with more participants than processors then starve
//! some of them, and stop because a producer did nothing. `chrt -r 10` is for the rest:
//! `-- spsc rtrb "round trip"`.
//!
//! Processes share a segment; contenders that cannot (rtrb, `ArrayQueue`) run in threads pinned to the same two
//! processors.

#[path = "cross_process/ceiling.rs"]
mod ceiling;
#[path = "cross_process/contenders.rs"]
mod contenders;
#[path = "cross_process/large.rs"]
mod large;
#[path = "cross_process/machine.rs"]
mod machine;
#[path = "cross_process/mpmc.rs"]
mod mpmc;
#[path = "cross_process/report.rs"]
mod report;

use contenders::{CONTENDERS, Contender};
use machine::{Control, Worker, pin};
use report::Report;

/// Below this a cache line is near.
const NEAR_NS: f64 = 180.0;

fn main() {
    if let Some(task) = std::env::var_os(machine::WORKER) {
        return machine::work(&task.into_string().unwrap(), CONTENDERS);
    }
    if let Some(task) = std::env::var_os(mpmc::PARTICIPANT) {
        return mpmc::take_part(&task.into_string().unwrap());
    }
    let mut passes = 15;
    let mut wanted: Vec<String> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--passes" => {
                passes = arguments
                    .next()
                    .and_then(|n| n.parse().ok())
                    .expect("a number of passes");
            }
            // What cargo passes on.
            "--bench" => {}
            "fairness" => return mpmc::fairness(),
            name => wanted.push(name.to_string()),
        }
    }
    pin(machine::CONSUMER_CPU);
    let chosen: Vec<&Contender> = CONTENDERS
        .iter()
        .chain(mpmc::CONTENDERS)
        .filter(|contender| {
            let is_wanted = |name: &String| contender.name.contains(name.as_str());
            wanted.is_empty() || wanted.iter().any(is_wanted)
        })
        .collect();
    let control = Control::create();
    let mut worker = Worker::start(&control);
    let mut report = Report::new(&chosen);
    for _ in 0..passes {
        for (index, contender) in chosen.iter().enumerate() {
            let before = machine::probe(&control, &mut worker);
            let figure = contenders::run(contender, &control, &mut worker);
            let after = machine::probe(&control, &mut worker);
            report.add(index, figure, [before, after], NEAR_NS);
        }
    }
    report.print(passes, NEAR_NS);
}
