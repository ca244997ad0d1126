//! What was measured, in words and tables: RESULTS.md.

mod ratios;
mod tables;
pub mod words;

use crate::case::{Act, Case, Mode};
use crate::figures::{NEAR_NS, Regime, Sample, Spread, median, spread};
use crate::groups::{
    CAPACITIES, GROUPS, Group, MEMCPY, PAIRS, Point, SIZES, Series, Skipped, capacity_case,
    pairs_case, size_case,
};
use crate::machine::Machine;
use crate::peers::{self, CONTENDERS};
use crate::place::PROBE;
use ratios::{Ratio, ratios};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use words::{METHOD, cell, nanoseconds_or_nothing, size_name};

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
    act: Act,
    pub points: &'static [usize],
    point: Point,
    /// Which of a sample's values.
    value: usize,
}

impl Growth {
    pub fn sizes(act: Act, value: usize) -> Self {
        Self {
            group: Group::Size,
            act,
            points: &SIZES,
            point: size_case,
            value,
        }
    }

    pub fn capacities(act: Act, value: usize) -> Self {
        Self {
            group: Group::Capacity,
            act,
            points: &CAPACITIES,
            point: capacity_case,
            value,
        }
    }

    pub fn processes(act: Act, value: usize) -> Self {
        Self {
            group: Group::Processes,
            act,
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

    fn part(&self, group: Group) -> Option<&Part> {
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
            if series.case.act == growth.act && !found.contains(&one) {
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
        let case = (growth.point)(name, mode, growth.act, at);
        self.figure(growth.group, &case, growth.value)
    }

    fn ratio(&self, ratio: &Ratio, regime: Regime) -> Option<Spread> {
        let (ours, theirs) = (
            self.series(ratio.group, &ratio.ours)?,
            self.series(ratio.group, &ratio.theirs)?,
        );
        let passes = ours.samples.iter().zip(&theirs.samples);
        let both = passes
            .filter(|(ours, theirs)| self.counts(ours, regime) && self.counts(theirs, regime));
        let quotients = both.filter_map(|(ours, theirs)| {
            let quotient = ours.values.get(ratio.value)? / theirs.values.get(ratio.value)?;
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
        for (group, _) in GROUPS {
            self.section(group, &mut text);
        }
        self.foot(&mut text);
        text
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
        text.push_str("# Results\n\nWritten by `comparison/run`: run it again instead of editing. The words are explained below the figures.\n\n");
        text.push_str("| | |\n|---|---|\n");
        let mut row =
            |name: &str, value: String| writeln!(text, "| {name} | {value} |").expect("a string");
        row(
            "processor",
            format!(
                "{}, {} used, {} there",
                machine.processor, 2, machine.processors
            ),
        );
        row("memory", format!("{} GiB", machine.memory_gib));
        row("system", machine.system.clone());
        row("compilers", format!("{}; {}", machine.rustc, machine.cc));
        row("measured", machine.source.clone());
        row("beside", machine.peers.clone());
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

    fn regimes(&self, text: &mut String) {
        let samples: Vec<_> = self
            .parts
            .iter()
            .flat_map(|part| &part.series)
            .flat_map(|one| &one.samples)
            .collect();
        let probed: Vec<_> = samples
            .iter()
            .filter(|sample| sample.probes.is_some())
            .collect();
        let one = |regime| {
            let those: Vec<_> = probed
                .iter()
                .filter(|sample| sample.regime() == regime)
                .collect();
            let probes: Vec<f64> = those
                .iter()
                .flat_map(|sample| sample.probes)
                .flatten()
                .collect();
            (
                those.len(),
                median(&probes),
                those.len() as f64 / probed.len().max(1) as f64 * 100.0,
            )
        };
        let (near, near_ns, near_share) = one(Regime::Near);
        let (far, far_ns, far_share) = one(Regime::Far);
        let (moved, _, moved_share) = one(Regime::Moved);
        let shown = if self.regime == Regime::Near {
            "near"
        } else {
            "far"
        };
        writeln!(
            text,
            "Before and after each measurement a bare cache line goes to and fro between the two processors, {} times. \
             Below {NEAR_NS} ns per round trip they are *near*, else *far*:\n\n\
             | | measurements | share | round trip of the line |\n|---|---|---|---|\n\
             | near | {near} | {near_share:.0} % | {} |\n\
             | far | {far} | {far_share:.0} % | {} |\n\
             | moved meanwhile: left out | {moved} | {moved_share:.0} % | |\n\n\
             **The tables and pictures show the processors {shown}**, and the other regime under its own heading.\n",
            PROBE,
            nanoseconds_or_nothing(near, near_ns),
            nanoseconds_or_nothing(far, far_ns),
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
        let line = Case::new(peers::RAW_LINE, Act::RoundTrip, 8);
        row(
            "a bare cache line, there and back",
            self.figure(Group::RoundTrip, &line, 0)
                .map(|figure| format!("{} ns", cell(figure, 1.0))),
        );
        let futex = Case::new(peers::RAW_FUTEX, Act::Wake, 8);
        row(
            "a bare futex, waking",
            self.wakes(&futex)
                .and_then(|wakes| spread(&wakes))
                .map(|figure| format!("{} µs", cell(figure, 1e-3))),
        );
        for (capacity, what) in [(16, "1 MiB"), (1024, "64 MiB")] {
            let case = Case {
                capacity,
                ..Case::new(MEMCPY, Act::Copy, 65536)
            };
            row(
                &format!("`memcpy` of 64 KiB blocks within {what}, one processor"),
                self.figure(Group::Throughput, &case, 0)
                    .map(|figure| format!("{} GiB/s", cell(figure, 1.0))),
            );
        }
        text.push('\n');
    }

    fn ratios(&self, text: &mut String) {
        let other = if self.regime == Regime::Near {
            Regime::Far
        } else {
            Regime::Near
        };
        let names = if self.regime == Regime::Near {
            ["near", "far"]
        } else {
            ["far", "near"]
        };
        writeln!(
            text,
            "## How many times as fast\n\nMedians of the passes' own ratios, with quartiles: each divides two figures \
             of one pass. Above 1, sysvshm is the faster.\n\n| | {} | {} |\n|---|---|---|",
            names[0], names[1]
        )
        .expect("a string");
        for ratio in ratios() {
            let Some(shown) = self.ratio(&ratio, self.regime) else {
                continue;
            };
            let other = self
                .ratio(&ratio, other)
                .map_or("–".to_string(), |one| cell(one, 1.0));
            writeln!(text, "| {} | {} | {other} |", ratio.label, cell(shown, 1.0))
                .expect("a string");
        }
        text.push('\n');
    }

    fn foot(&self, text: &mut String) {
        text.push_str("## Who is compared\n\n| | |\n|---|---|\n");
        for contender in CONTENDERS {
            writeln!(text, "| {} | {} |", contender.name, contender.what).expect("a string");
        }
        let skipped: Vec<_> = self.parts.iter().flat_map(|part| &part.skipped).collect();
        let left_out = peers::left_out();
        if !skipped.is_empty() || !left_out.is_empty() {
            text.push_str("\n## What was not measured\n\n");
            for why in left_out {
                writeln!(text, "* {why}").expect("a string");
            }
            let mut lines: Vec<String> = Vec::new();
            for Skipped { case, why } in skipped {
                let items = format!(
                    "{}, items of {}: {why}",
                    case.contender,
                    size_name(case.bytes)
                );
                if !lines.contains(&items) {
                    lines.push(items);
                }
            }
            for line in lines {
                writeln!(text, "* {line}").expect("a string");
            }
        }
        text.push_str(METHOD);
    }
}
