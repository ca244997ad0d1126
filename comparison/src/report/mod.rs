//! What was measured, in words and tables: one file of results for each processor.

mod before;
mod ratios;
mod tables;
mod waiting;
pub mod words;

use crate::case::{Case, Mode, Workload};
use crate::figures::{NEAR_NS, Regime, Sample, Spread, median, quantile, spread};
use crate::groups::{
    CAPACITIES, GROUPS, Group, MEMCPY, PAIRS, Point, SIZES, Series, Skipped, THROUGHPUT_SIZES,
    capacity_case, pairs_case, size_case,
};
use crate::machine::Machine;
use crate::peers::{self, CONTENDERS};
use crate::pinning::PROBE;
use ratios::{Ratio, Value, ratios};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use words::{METHOD, cell, cell_or_nothing, nanoseconds_or_nothing, number, size_name, verdict};

/// One group, as it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub group: Group,
    pub machine: Machine,
    pub date: String,
    /// What was typed.
    pub command: String,
    pub seconds: u64,
    pub passes: usize,
    pub each_ms: u64,
    pub series: Vec<Series>,
    pub skipped: Vec<Skipped>,
}

/// Something that grows, and what is shown of it.
#[derive(Clone, Copy)]
pub struct Growth {
    group: Group,
    workload: Workload,
    pub points: &'static [usize],
    point: Point,
    /// Which of a sample's values.
    value: usize,
}

impl Growth {
    pub fn sizes(workload: Workload, value: usize) -> Self {
        Self {
            group: Group::Size,
            workload,
            points: &SIZES,
            point: size_case,
            value,
        }
    }

    pub fn is_processes(&self) -> bool {
        self.group == Group::Processes
    }

    pub fn capacities(workload: Workload, value: usize) -> Self {
        Self {
            group: Group::Capacity,
            workload,
            points: &CAPACITIES,
            point: capacity_case,
            value,
        }
    }

    pub fn processes(workload: Workload, value: usize) -> Self {
        Self {
            group: Group::Processes,
            workload,
            points: &PAIRS,
            point: pairs_case,
            value,
        }
    }
}

/// All groups that were measured, and where the processors were most of the time.
pub struct Results {
    pub parts: Vec<Part>,
    pub regime: Regime,
}

impl Results {
    pub fn new(parts: Vec<Part>) -> Self {
        let samples = || {
            parts
                .iter()
                .flat_map(|part| &part.series)
                .flat_map(|series| &series.samples)
        };
        let count = |regime| {
            samples()
                .filter(|one| one.probes.is_some() && one.regime() == regime)
                .count()
        };
        let regime = if count(Regime::Near) >= count(Regime::Far) {
            Regime::Near
        } else {
            Regime::Far
        };
        Self { parts, regime }
    }

    pub fn part(&self, group: Group) -> Option<&Part> {
        self.parts.iter().find(|part| part.group == group)
    }

    pub fn series(&self, group: Group, case: &Case) -> Option<&Series> {
        self.part(group)?
            .series
            .iter()
            .find(|series| series.case == *case)
    }

    fn counts(&self, sample: &Sample, regime: Regime) -> bool {
        sample.probes.is_none() || sample.regime() == regime
    }

    fn values_in(&self, series: &Series, value: usize, regime: Regime) -> Vec<f64> {
        let samples = series
            .samples
            .iter()
            .filter(|sample| self.counts(sample, regime));
        samples
            .filter_map(|sample| sample.values.get(value).copied())
            .collect()
    }

    /// Median and quartiles of one of the values, in the regime that the tables show.
    pub fn figure(&self, group: Group, case: &Case, value: usize) -> Option<Spread> {
        spread(&self.values_in(self.series(group, case)?, value, self.regime))
    }

    /// Who takes part in something that grows, in which mode, in the group's order.
    pub fn grown(&self, growth: &Growth) -> Vec<(String, Mode)> {
        let mut found: Vec<(String, Mode)> = Vec::new();
        for series in self.part(growth.group).iter().flat_map(|part| &part.series) {
            let one = (series.case.contender.clone(), series.case.mode);
            if series.case.workload == growth.workload && !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    pub fn grown_figure(
        &self,
        growth: &Growth,
        name: &str,
        mode: Mode,
        at: usize,
    ) -> Option<Spread> {
        let case = (growth.point)(name, mode, growth.workload, at);
        self.figure(growth.group, &case, growth.value)
    }

    fn ratio(&self, ratio: &Ratio, regime: Regime) -> Option<Spread> {
        let ours = self.series(ratio.group, &ratio.ours)?;
        let theirs = ratio.theirs.iter();
        let theirs: Vec<_> = theirs
            .filter_map(|case| self.series(ratio.group, case))
            .collect();
        let of = |sample: &Sample| {
            let value = match ratio.value {
                Value::At(index) => sample.values.get(index).copied(),
                Value::Median => quantile(&sample.values, 0.5),
            };
            value.filter(|_| self.counts(sample, regime))
        };
        let best = if ratio.inverted { f64::min } else { f64::max };
        let quotients = ours
            .samples
            .iter()
            .enumerate()
            .filter_map(|(pass, sample)| {
                let theirs = theirs
                    .iter()
                    .filter_map(|series| of(series.samples.get(pass)?));
                let quotient = of(sample)? / theirs.reduce(best)?;
                Some(if ratio.inverted {
                    1.0 / quotient
                } else {
                    quotient
                })
            });
        spread(&quotients.collect::<Vec<_>>())
    }

    pub fn markdown(&self) -> String {
        let mut text = String::new();
        self.head(&mut text);
        self.ratios(&mut text);
        self.new_by_old(&mut text);
        for (group, _) in GROUPS {
            self.section(group, &mut text);
        }
        self.foot(&mut text);
        text
    }

    /// The processor, as the name of what is written.
    pub fn slug(&self) -> String {
        self.parts
            .first()
            .map_or("nothing".to_string(), |part| part.machine.slug())
    }

    /// The tables of one group.
    pub fn section(&self, group: Group, text: &mut String) {
        if self.part(group).is_none() {
            return;
        }
        match group {
            Group::Throughput => self.throughput(text),
            Group::RoundTrip => self.round_trips(text),
            Group::WakeUp => self.wake_ups(text),
            Group::Setup => self.setup(text),
            Group::Size => self.sizes(text),
            Group::Capacity => self.capacities(text),
            Group::Processes => self.processes(text),
            Group::Alone => self.alone(text),
            Group::Fairness => self.fairness(text),
            Group::Handles => self.handles(text),
        }
    }

    fn head(&self, text: &mut String) {
        let Some(first) = self.parts.first() else {
            return;
        };
        let machine = &first.machine;
        let seconds: u64 = self.parts.iter().map(|part| part.seconds).sum();
        let mut dates: Vec<_> = self.parts.iter().map(|part| part.date.as_str()).collect();
        dates.sort_unstable();
        dates.dedup();
        let (from, to) = (
            dates.first().copied().unwrap_or_default(),
            dates.last().copied().unwrap_or_default(),
        );
        let mut commands: Vec<_> = self
            .parts
            .iter()
            .map(|part| format!("`{}`", part.command))
            .collect();
        commands.dedup();
        text.push_str(
            "# Results\n\n\
             Written by `comparison/run`: run it again instead of editing. The words are explained below the \
             figures.\n\n",
        );
        text.push_str("| | |\n|---|---|\n");
        let mut row =
            |name: &str, value: String| writeln!(text, "| {name} | {value} |").expect("a string");
        for (name, value) in machine.rows() {
            row(name, value);
        }
        row("command", commands.join(", "));
        row(
            "begun",
            if from == to {
                from.to_string()
            } else {
                format!("{from}, the last group {to}")
            },
        );
        row("took", format!("{} min {} s", seconds / 60, seconds % 60));
        row(
            "passes",
            format!(
                "{}, some {} ms per measurement",
                first.passes, first.each_ms
            ),
        );
        text.push('\n');
        self.regimes(text);
        self.limits(text);
    }

    /// How many measurements were near, far, and moved meanwhile, and the medians of their probes.
    pub fn probes(&self) -> [(usize, f64); 3] {
        let samples = self
            .parts
            .iter()
            .flat_map(|part| &part.series)
            .flat_map(|one| &one.samples);
        let probed: Vec<_> = samples
            .filter_map(|sample| Some((sample.regime(), sample.probes?)))
            .collect();
        [Regime::Near, Regime::Far, Regime::Moved].map(|wanted| {
            let those = probed.iter().filter(|(regime, _)| *regime == wanted);
            let probes: Vec<f64> = those.flat_map(|(_, probes)| *probes).collect();
            (probes.len() / 2, median(&probes))
        })
    }

    fn regimes(&self, text: &mut String) {
        let [(near, near_ns), (far, far_ns), (moved, _)] = self.probes();
        let share = |count: usize| count as f64 / (near + far + moved).max(1) as f64 * 100.0;
        writeln!(
            text,
            "Before and after each measurement a bare cache line goes to and fro between the two processors, \
             {PROBE} times. Below {NEAR_NS} ns per round trip they are *near*, else *far*:\n\n\
             | | measurements | share | round trip of the line |\n|---|---|---|---|\n\
             | near | {near} | {:.0} % | {} |\n\
             | far | {far} | {:.0} % | {} |\n\
             | moved meanwhile: left out | {moved} | {:.0} % | |\n\n\
             **The tables and pictures show the processors {}**, and the other regime under its own heading.\n",
            share(near),
            nanoseconds_or_nothing(near, near_ns),
            share(far),
            nanoseconds_or_nothing(far, far_ns),
            share(moved),
            self.regime.name(),
        )
        .expect("a string");
    }

    fn limits(&self, text: &mut String) {
        text.push_str("## Limits\n\n| | |\n|---|---|\n");
        let mut row = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                writeln!(text, "| {name} | {value} |").expect("a string");
            }
        };
        let line = Case::new(peers::RAW_LINE, Workload::RoundTrip, 8);
        row(
            "a bare cache line, there and back",
            self.figure(Group::RoundTrip, &line, 0)
                .map(|figure| format!("{} ns", cell(figure, 1.0))),
        );
        let futex = Case::new(peers::RAW_FUTEX, Workload::Wake, 8);
        row(
            "a bare futex, waking",
            self.wakes(&futex)
                .and_then(|wakes| spread(&wakes))
                .map(|figure| format!("{} µs", cell(figure, 1e-3))),
        );
        for (capacity, what) in [(16, "1 MiB"), (1024, "64 MiB")] {
            let case = Case {
                capacity,
                ..Case::new(MEMCPY, Workload::Copy, 65536)
            };
            row(
                &format!("`memcpy` of 64 KiB blocks within {what}, one processor"),
                self.figure(Group::Throughput, &case, 0)
                    .map(|figure| format!("{} GiB/s", cell(figure, 1.0))),
            );
        }
        for bytes in THROUGHPUT_SIZES {
            let case = |name: &str| Case {
                mode: Mode::InPlace,
                ..Case::new(name, Workload::Stream, bytes)
            };
            let gib = bytes as f64 / (1_u64 << 30) as f64;
            row(
                &format!(
                    "bare memory, items of {} written by one processor and checked by the other",
                    size_name(bytes)
                ),
                peers::RAW_MEMORY
                    .iter()
                    .filter_map(|name| self.figure(Group::Throughput, &case(name), 0))
                    .max_by(|one, other| one.median.total_cmp(&other.median))
                    .map(|figure| format!("{} GiB/s", cell(figure, gib))),
            );
        }
        text.push('\n');
    }

    pub fn ratios(&self, text: &mut String) {
        let from = text.len();
        text.push_str(
            "## How many times as fast\n\n\
             Medians of the passes' own ratios, with quartiles: each divides two figures of one pass, and the \
             best one's where several stand for a limit. Above 1, sysvshm is the faster. An aim is the ratio that \
             this crate is built to reach, or to exceed, in either regime.\n\n\
             | | near | far | aim | |\n|---|---|---|---|---|\n",
        );
        let (mut aims, mut missed) = (0, Vec::new());
        let mut peers: Vec<(f64, String)> = Vec::new();
        for ratio in ratios() {
            let [near, far] = [Regime::Near, Regime::Far].map(|regime| self.ratio(&ratio, regime));
            // What has no probes is the same in both.
            let far = far.filter(|_| ratio.group != Group::Setup);
            let medians = [("near", near), ("far", far)];
            let medians = medians.map(|(regime, figure)| Some((regime, figure?.median)));
            let mut verdicts = String::new();
            for (regime, median) in medians.into_iter().flatten() {
                if !ratio.is_to_a_limit() {
                    peers.push((median, format!("{} ({regime})", ratio.label)));
                }
                let Some(aim) = ratio.aim else { continue };
                aims += 1;
                if median < aim {
                    missed.push(format!(
                        "{} ({regime}): {} instead of {}",
                        ratio.label,
                        number(median),
                        number(aim)
                    ));
                }
                if !verdicts.is_empty() {
                    verdicts.push_str(", ");
                }
                verdicts.push_str(verdict(median >= aim));
            }
            if near.is_none() && far.is_none() {
                continue;
            }
            writeln!(
                text,
                "| {} | {} | {} | {} | {verdicts} |",
                ratio.label,
                cell_or_nothing(near, 1.0),
                cell_or_nothing(far, 1.0),
                ratio
                    .aim
                    .map_or(String::new(), |aim| format!("≥ {}", number(aim))),
            )
            .expect("a string");
        }
        if aims == 0 && peers.is_empty() {
            // Nothing to compare was measured.
            text.truncate(from);
            return;
        }
        peers.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        if let ([(worst, of), ..], [.., (best, at)]) = (&peers[..], &peers[..]) {
            writeln!(
                text,
                "\n**Worst beside another program: {}, {of}. Best: {}, {at}.**",
                number(*worst),
                number(*best)
            )
            .expect("a string");
        }
        if missed.is_empty() {
            writeln!(text, "\nAll {aims} aims were reached.\n").expect("a string");
        } else {
            writeln!(
                text,
                "\n{} of {aims} aims were reached. Missed:\n\n* {}\n",
                aims - missed.len(),
                missed.join("\n* ")
            )
            .expect("a string");
        }
    }

    /// Which contenders were skipped, and why.
    pub fn not_measured(&self) -> Vec<String> {
        let mut lines = peers::left_out();
        for Skipped { case, why } in self.parts.iter().flat_map(|part| &part.skipped) {
            let line = format!(
                "{}, items of {}: {why}",
                case.contender,
                size_name(case.bytes)
            );
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        lines
    }

    fn foot(&self, text: &mut String) {
        text.push_str("## What is compared\n\n| | |\n|---|---|\n");
        for contender in CONTENDERS.iter() {
            writeln!(text, "| {} | {} |", contender.name, contender.what).expect("a string");
        }
        let not_measured = self.not_measured();
        if !not_measured.is_empty() {
            writeln!(
                text,
                "\n## What was not measured\n\n* {}",
                not_measured.join("\n* ")
            )
            .expect("a string");
        }
        text.push_str(METHOD);
    }
}
