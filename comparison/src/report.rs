//! What was measured, in words and tables: RESULTS.md.

use crate::case::{Act, Case, Mode};
use crate::figures::{NEAR_NS, Regime, Sample, Spread, median, quantile, spread};
use crate::groups::{
    CAPACITIES, GROUPS, Group, MEMCPY, PAIRS, SIZES, Series, Skipped, THROUGHPUT_SIZES,
};
use crate::machine::Machine;
use crate::peers::{self, CONTENDERS, Contender, Waits};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// One group, as it was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part {
    pub group: Group,
    pub machine: Machine,
    pub date: String,
    pub seconds: u64,
    pub passes: usize,
    pub each_ms: u64,
    pub series: Vec<Series>,
    pub skipped: Vec<Skipped>,
}

/// All groups that were measured, and where the processors were most of the time.
pub struct Results {
    pub parts: Vec<Part>,
    pub regime: Regime,
}

/// A ratio that readers ask for: the median over the passes, each pass's own two figures divided.
struct Ratio {
    label: &'static str,
    group: Group,
    ours: Case,
    theirs: Case,
    /// Which of a sample's values.
    value: usize,
    /// For times: how many times as fast is theirs divided by ours.
    inverted: bool,
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
            2000,
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

    fn throughput(&self, text: &mut String) {
        for bytes in THROUGHPUT_SIZES {
            let capacity = Case::new("", Act::Stream, bytes).capacity;
            let case = |name: &str, mode| Case {
                mode,
                ..Case::new(name, Act::Stream, bytes)
            };
            let batch = case("", Mode::Batch).batch();
            // Large items are about bytes, small ones about calls.
            let (unit, scale) = if bytes >= 1024 {
                ("GiB/s", bytes as f64 / (1_u64 << 30) as f64)
            } else {
                ("million items/s", 1e-6)
            };
            writeln!(
                text,
                "## Throughput, items of {}\n\nOne sender, one receiver, {capacity} slots, batches of {batch}; {unit}.\n\n\
                 | | ends in | one call each | batches | in place |\n|---|---|---|---|---|",
                size_name(bytes)
            )
            .expect("a string");
            let single = |contender: &Contender| {
                self.figure(Group::Throughput, &case(contender.name, Mode::Single), 0)
                    .map(|figure| figure.median)
            };
            let mut order: Vec<_> = CONTENDERS
                .iter()
                .filter(|contender| single(contender).is_some())
                .collect();
            order.sort_by(|one, other| {
                single(other)
                    .unwrap_or(0.0)
                    .total_cmp(&single(one).unwrap_or(0.0))
            });
            for contender in order {
                write!(text, "| {} | {} |", contender.name, place(contender)).expect("a string");
                for mode in [Mode::Single, Mode::Batch, Mode::InPlace] {
                    let figure = self.figure(Group::Throughput, &case(contender.name, mode), 0);
                    write!(text, " {} |", cell_or_nothing(figure, scale)).expect("a string");
                }
                text.push('\n');
            }
            text.push('\n');
        }
        self.other_regime(
            Group::Throughput,
            "Throughput",
            Act::Stream,
            1e-6,
            "million items/s",
            text,
        );
        self.picture("throughput.svg", "Throughput of 8-byte items", text);
    }

    fn round_trips(&self, text: &mut String) {
        text.push_str(
            "## Round trips\n\n8 bytes there, 8 bytes back, through two channels; nanoseconds. Quantiles within a pass, \
             medians and quartiles over the passes. Each includes one reading of the clock.\n\n\
             | | ends in | p50 | p99 | p99.9 | mean |\n|---|---|---|---|---|---|\n",
        );
        let case = |contender: &Contender| Case::new(contender.name, Act::RoundTrip, 8);
        let p50 = |contender: &Contender| {
            self.figure(Group::RoundTrip, &case(contender), 0)
                .map(|one| one.median)
        };
        let mut order: Vec<_> = CONTENDERS
            .iter()
            .filter(|contender| p50(contender).is_some())
            .collect();
        order.sort_by(|one, other| {
            p50(one)
                .unwrap_or(0.0)
                .total_cmp(&p50(other).unwrap_or(0.0))
        });
        for contender in order {
            write!(text, "| {} | {} |", contender.name, place(contender)).expect("a string");
            for value in 0..4 {
                let figure = self.figure(Group::RoundTrip, &case(contender), value);
                write!(text, " {} |", cell_or_nothing(figure, 1.0)).expect("a string");
            }
            text.push('\n');
        }
        text.push('\n');
        self.other_regime(
            Group::RoundTrip,
            "Round trips",
            Act::RoundTrip,
            1.0,
            "ns, p50",
            text,
        );
        self.picture("round-trip.svg", "Round trips of 8 bytes", text);
    }

    /// All wake-ups of all passes, nanoseconds.
    fn wakes(&self, case: &Case) -> Option<Vec<f64>> {
        let series = self.series(Group::WakeUp, case)?;
        Some(
            series
                .samples
                .iter()
                .flat_map(|sample| &sample.values)
                .copied()
                .collect(),
        )
    }

    fn wake_ups(&self, text: &mut String) {
        text.push_str(
            "## Waking a sleeper, and sleeping\n\nFrom just before sending to just after receiving, the receiver asleep \
             for 1.5 ms before; all wake-ups of all passes. Idle: processor time of the receiver's process, waiting a \
             second for an item and taking it. The others poll: a whole processor.\n\n\
             | | ends in | wake-up p50, µs | p99, µs | idle, µs per second |\n|---|---|---|---|---|\n",
        );
        let wakes = |contender: &Contender| self.wakes(&Case::new(contender.name, Act::Wake, 8));
        let p50 = |contender: &Contender| wakes(contender).map(|wakes| median(&wakes));
        let mut order: Vec<_> = CONTENDERS
            .iter()
            .filter(|contender| p50(contender).is_some())
            .collect();
        order.sort_by(|one, other| {
            p50(one)
                .unwrap_or(0.0)
                .total_cmp(&p50(other).unwrap_or(0.0))
        });
        for contender in order {
            let wakes = wakes(contender).unwrap_or_default();
            let idle = self.series(Group::WakeUp, &Case::new(contender.name, Act::Idle, 8));
            let idle: Vec<f64> = idle
                .iter()
                .flat_map(|series| &series.samples)
                .filter_map(|one| one.values.first().copied())
                .collect();
            writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                contender.name,
                place(contender),
                cell_or_nothing(spread(&wakes), 1e-3),
                quantile(&wakes, 0.99).map_or("–".to_string(), |p99| number(p99 * 1e-3)),
                cell_or_nothing(spread(&idle), 1.0)
            )
            .expect("a string");
        }
        let polling = CONTENDERS
            .iter()
            .filter(|contender| contender.waits == Waits::Polls && !contender.modes.is_empty());
        let polling: Vec<_> = polling.map(|contender| contender.name).collect();
        writeln!(
            text,
            "\nThey poll, or leave waiting to their users: {}.\n",
            polling.join("; ")
        )
        .expect("a string");
    }

    fn setup(&self, text: &mut String) {
        text.push_str(
            "## Creating, attaching, detaching, removing; memory\n\nMicroseconds. Attach: until a process that knows the \
             channel has a sending end, the role claimed where there are roles; detach: dropping it. Create and remove: \
             the channel without its ends. Memory: what a channel for 1024 items of 64 bytes takes; the items alone are \
             65,536 bytes.\n\n\
             | | create | attach | detach | remove | bytes | beyond the items | known from |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for contender in CONTENDERS {
            let create = Case::new(contender.name, Act::Create, 64);
            let Some(series) = self.series(Group::Setup, &create) else {
                continue;
            };
            let attach = Case::new(contender.name, Act::Attach, 64);
            let figure =
                |case: &Case, value| cell_or_nothing(self.figure(Group::Setup, case, value), 1e-3);
            let (bytes, beyond, source) = series.taken.as_ref().map_or_else(
                || ("–".to_string(), "–".to_string(), "not known".to_string()),
                |taken| {
                    let beyond = (taken.bytes as f64 / 65536.0 - 1.0) * 100.0;
                    (
                        thousands(taken.bytes),
                        format!("{beyond:+.1} %"),
                        taken.source.clone(),
                    )
                },
            );
            let (attached, detached) = if contender.attaches {
                (figure(&attach, 0), figure(&attach, 1))
            } else {
                ("–".into(), "–".into())
            };
            writeln!(
                text,
                "| {} | {} | {attached} | {detached} | {} | {bytes} | {beyond} | {source} |",
                contender.name,
                figure(&create, 0),
                figure(&create, 1)
            )
            .expect("a string");
        }
        text.push_str(
            "\n–: the end is inherited or handed over, or the identifier is all there is.\n\n",
        );
    }

    /// A table of one act over something that grows.
    fn growth(
        &self,
        group: Group,
        act: Act,
        names: &[String],
        case: impl Fn(&Case, usize) -> Case,
        (value, scale): (usize, f64),
        text: &mut String,
    ) {
        writeln!(
            text,
            "| | {} |\n|---|{}",
            names.join(" | "),
            "---|".repeat(names.len())
        )
        .expect("a string");
        for (name, mode) in self.grown(group, act) {
            let label = if mode == Mode::Single {
                name.clone()
            } else {
                format!("{name}, {}", mode_name(mode))
            };
            write!(text, "| {label} |").expect("a string");
            for index in 0..names.len() {
                let base = Case {
                    mode,
                    ..Case::new(&name, act, 8)
                };
                let figure = self.figure(group, &case(&base, index), value);
                write!(
                    text,
                    " {} |",
                    figure.map_or("–".to_string(), |one| short(one, scale))
                )
                .expect("a string");
            }
            text.push('\n');
        }
        text.push('\n');
    }

    /// Who takes part in a group with an act, in which mode, in the group's order.
    pub fn grown(&self, group: Group, act: Act) -> Vec<(String, Mode)> {
        let mut found: Vec<(String, Mode)> = Vec::new();
        for series in self.part(group).iter().flat_map(|part| &part.series) {
            let one = (series.case.contender.clone(), series.case.mode);
            if series.case.act == act && !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    fn sizes(&self, text: &mut String) {
        let names = SIZES.map(size_name);
        text.push_str(
            "## Growth with the size of an item\n\nMedians; ± is half the distance of the quartiles, here and below. Million \
             items per second, each peer in its fastest way:\n\n",
        );
        let case = |base: &Case, index: usize| by_size(base, SIZES[index]);
        self.growth(Group::Size, Act::Stream, &names, case, (0, 1e-6), text);
        text.push_str("Round trips, one call each, p50 in nanoseconds:\n\n");
        self.growth(Group::Size, Act::RoundTrip, &names, case, (0, 1.0), text);
        self.picture("size.svg", "Throughput over the size of an item", text);
        self.picture(
            "size-latency.svg",
            "Round trips over the size of an item",
            text,
        );
    }

    fn capacities(&self, text: &mut String) {
        let names = CAPACITIES.map(|capacity| thousands(capacity as u64));
        text.push_str("## Growth with the capacity\n\nItems of 8 bytes, one call each, slots above; million items per second:\n\n");
        let case = |base: &Case, index: usize| Case {
            capacity: CAPACITIES[index],
            ..base.clone()
        };
        self.growth(Group::Capacity, Act::Stream, &names, case, (0, 1e-6), text);
        text.push_str("Round trips, p50 in nanoseconds:\n\n");
        self.growth(
            Group::Capacity,
            Act::RoundTrip,
            &names,
            case,
            (0, 1.0),
            text,
        );
        self.picture("capacity.svg", "Throughput over the capacity", text);
    }

    fn processes(&self, text: &mut String) {
        let names = PAIRS.map(|pairs| format!("{pairs} + {pairs}"));
        text.push_str(
            "## Growth with the number of processes\n\nAs many senders and as many receivers (threads for those in one \
             process) on one channel and two processors: from 2 + 2 on they share. Items of 8 bytes, 1024 slots; million \
             items per second:\n\n",
        );
        let case = |base: &Case, index: usize| by_pairs(base, PAIRS[index]);
        self.growth(Group::Processes, Act::Stream, &names, case, (0, 1e-6), text);
        text.push_str("Round trips of so many pairs at once, each with channels of its own, mean in nanoseconds:\n\n");
        self.growth(
            Group::Processes,
            Act::RoundTrip,
            &names,
            case,
            (3, 1.0),
            text,
        );
        text.push_str("The same, p99.9:\n\n");
        self.growth(
            Group::Processes,
            Act::RoundTrip,
            &names,
            case,
            (2, 1.0),
            text,
        );
        self.picture(
            "processes.svg",
            "Throughput over the number of processes",
            text,
        );
        self.picture(
            "processes-latency.svg",
            "Round trips over the number of processes",
            text,
        );
    }

    /// What was found while the processors were where they mostly were not, where it was at least three times.
    fn other_regime(
        &self,
        group: Group,
        title: &str,
        act: Act,
        scale: f64,
        unit: &str,
        text: &mut String,
    ) {
        let (other, name) = if self.regime == Regime::Near {
            (Regime::Far, "far")
        } else {
            (Regime::Near, "near")
        };
        let series = self
            .part(group)
            .iter()
            .flat_map(|part| &part.series)
            .collect::<Vec<_>>();
        let rows: Vec<_> = series
            .into_iter()
            .filter(|series| series.case.act == act)
            .filter_map(|series| {
                let figure =
                    spread(&self.values_in(series, 0, other)).filter(|figure| figure.count >= 3)?;
                let Case {
                    contender,
                    mode,
                    bytes,
                    ..
                } = &series.case;
                Some(format!(
                    "| {contender} | {} | {} | {} | {} |\n",
                    size_name(*bytes),
                    mode_name(*mode),
                    cell(figure, scale),
                    figure.count
                ))
            })
            .collect();
        if !rows.is_empty() {
            writeln!(
                text,
                "### {title}, processors {name}\n\n{unit}.\n\n| | items | | | measurements |\n|---|---|---|---|---|\n{}",
                rows.concat()
            )
            .expect("a string");
        }
    }

    fn picture(&self, file: &str, what: &str, text: &mut String) {
        writeln!(text, "![{what}](pictures/{file})\n").expect("a string");
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

fn by_size(base: &Case, bytes: usize) -> Case {
    Case {
        mode: base.mode,
        ..Case::new(&base.contender, base.act, bytes)
    }
}

fn by_pairs(base: &Case, pairs: usize) -> Case {
    Case {
        pairs,
        patience: crate::case::Patience::Yield,
        ..base.clone()
    }
}

/// The case of a group for a picture or table over sizes.
pub fn size_case(name: &str, mode: Mode, act: Act, bytes: usize) -> Case {
    by_size(
        &Case {
            mode,
            ..Case::new(name, act, 8)
        },
        bytes,
    )
}

/// The same over numbers of processes.
pub fn pairs_case(name: &str, mode: Mode, act: Act, pairs: usize) -> Case {
    by_pairs(
        &Case {
            mode,
            ..Case::new(name, act, 8)
        },
        pairs,
    )
}

fn ratios() -> Vec<Ratio> {
    let stream = |name: &str, mode, bytes| Case {
        mode,
        ..Case::new(name, Act::Stream, bytes)
    };
    let streams = |label, ours: (&str, Mode), theirs: (&str, Mode), bytes| Ratio {
        label,
        group: Group::Throughput,
        ours: stream(ours.0, ours.1, bytes),
        theirs: stream(theirs.0, theirs.1, bytes),
        value: 0,
        inverted: false,
    };
    let trips = |label, theirs: &str| Ratio {
        label,
        group: Group::RoundTrip,
        ours: Case::new(peers::SPSC, Act::RoundTrip, 8),
        theirs: Case::new(theirs, Act::RoundTrip, 8),
        value: 0,
        inverted: true,
    };
    let many = |label, mode, pairs| Ratio {
        label,
        group: Group::Processes,
        ours: pairs_case(peers::MPMC, mode, Act::Stream, pairs),
        theirs: pairs_case("crossbeam ArrayQueue", Mode::Single, Act::Stream, pairs),
        value: 0,
        inverted: false,
    };
    use Mode::{Batch, InPlace, Single};
    let single = (peers::SPSC, Single);
    let in_place = (peers::SPSC_CONTIGUOUS, InPlace);
    vec![
        streams(
            "8 B, one call each: spsc, rtrb",
            single,
            (peers::RTRB, Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, ringbuf",
            single,
            ("ringbuf", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, Boost spsc_queue",
            single,
            ("Boost spsc_queue", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, lecture's ring in C, 1024 slots",
            single,
            ("lecture in C, volatile", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, lecture's ring in C, 10 slots",
            single,
            ("lecture in C, volatile, 10 slots", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, shmem-ipc",
            single,
            ("shmem-ipc", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, iceoryx2",
            single,
            ("iceoryx2", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, pipe",
            single,
            ("pipe", Single),
            8,
        ),
        streams(
            "8 B, batches: spsc contiguous, rtrb",
            (peers::SPSC_CONTIGUOUS, Batch),
            (peers::RTRB, Batch),
            8,
        ),
        streams(
            "8 B, in place: spsc contiguous, rtrb",
            in_place,
            (peers::RTRB, InPlace),
            8,
        ),
        streams(
            "64 B, one call each: spsc, rtrb",
            single,
            (peers::RTRB, Single),
            64,
        ),
        streams(
            "64 B, in place: spsc contiguous, rtrb",
            in_place,
            (peers::RTRB, InPlace),
            64,
        ),
        streams(
            "1 KiB, one call each: spsc, rtrb",
            single,
            (peers::RTRB, Single),
            1024,
        ),
        streams(
            "1 KiB, one call each: spsc, iceoryx2",
            single,
            ("iceoryx2", Single),
            1024,
        ),
        streams(
            "64 KiB, in place: spsc contiguous, rtrb",
            in_place,
            (peers::RTRB, InPlace),
            65536,
        ),
        streams(
            "64 KiB, in place: spsc contiguous, iceoryx2",
            in_place,
            ("iceoryx2", InPlace),
            65536,
        ),
        streams(
            "64 KiB: spsc contiguous in place, Unix stream socket",
            in_place,
            ("Unix stream socket", Batch),
            65536,
        ),
        trips("round trip p50: spsc, a bare cache line", peers::RAW_LINE),
        trips("round trip p50: spsc, rtrb", peers::RTRB),
        trips(
            "round trip p50: spsc, lecture's ring in C",
            "lecture in C, volatile",
        ),
        trips("round trip p50: spsc, iceoryx2", "iceoryx2"),
        trips("round trip p50: spsc, pipe", "pipe"),
        many("8 B, 1 + 1: mpmc, crossbeam ArrayQueue", Single, 1),
        many("8 B, 2 + 2: mpmc, crossbeam ArrayQueue", Single, 2),
        many("8 B, 4 + 4: mpmc, crossbeam ArrayQueue", Single, 4),
        many(
            "8 B, 2 + 2: mpmc in batches, crossbeam ArrayQueue",
            Batch,
            2,
        ),
    ]
}

fn place(contender: &Contender) -> &'static str {
    if contender.performer.between_processes() {
        "processes"
    } else {
        "threads"
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Single => "one call each",
        Mode::Batch => "batches",
        Mode::InPlace => "in place",
    }
}

pub fn size_name(bytes: usize) -> String {
    if bytes < 1024 {
        format!("{bytes} B")
    } else {
        format!("{} KiB", bytes / 1024)
    }
}

fn nanoseconds_or_nothing(count: usize, nanoseconds: f64) -> String {
    if count == 0 {
        "–".to_string()
    } else {
        format!("{nanoseconds:.0} ns")
    }
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    match value.abs() {
        1e6.. => format!("{:.3} million", value / 1e6),
        100.0.. => thousands(value.round() as u64),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Median and quartiles.
fn cell(figure: Spread, scale: f64) -> String {
    let [low, median, high] =
        [figure.low, figure.median, figure.high].map(|value| number(value * scale));
    format!("{median} [{low}–{high}]")
}

/// The median, and half of what lies between the quartiles in per cent of it.
fn short(figure: Spread, scale: f64) -> String {
    let half = (figure.high - figure.low) / 2.0 / figure.median * 100.0;
    format!("{} ±{half:.0} %", number(figure.median * scale))
}

fn cell_or_nothing(figure: Option<Spread>, scale: f64) -> String {
    figure.map_or("–".to_string(), |figure| cell(figure, scale))
}

const METHOD: &str = "
## How it was measured

* One run, one program: contenders take turns, pass by pass, each pass beginning with another one, so that a slow moment
  of the machine hits all of them. A figure is the median of the passes, with quartiles in brackets.
* *Processes* are started anew for every measurement, pinned to one processor each, and share nothing but the channel.
  *Threads* stand in for peers that cannot leave their process, pinned to the same two processors: for reference.
* Every word of every item is written by the sender and checked by the receiver: numbers, order, and that no item is put
  together from two. Where several receive, the sum of all numbers is checked besides. A mistake, or 20 seconds without
  an end, fails the run; `comparison/run --check` makes such mistakes on purpose and fails unless each is found.
* A stream is timed by the receiver, from the moment when twice the capacity has gone through: every page has then been
  touched, and the channel is as full as it gets. How many items make a measurement is found out beforehand.
* Items up to 64 bytes go by value, larger ones by reference where a peer has both. `in place` means written and read
  where they lie; mpmc and this crate's views copy through a cache-hot item or page, as they give no references.
* Waiting is each peer's own. Those that leave it to their users look again with one pause instruction in between (where
  processes share a processor: crossbeam's `Backoff`), except the C rings, which have the lecture's empty loops.

## What the figures do not say

* Nothing about other machines: with other caches the order changes, and two processors near to each other are another
  machine than the same two far apart. Nothing about more than two processors.
* Throughput is between a sender and a receiver that do nothing else. Whoever computes for a microsecond per item will
  not see which ring it was.
* The peers do other things, too. iceoryx2 finds services by name, counts references and serves many subscribers; pipes,
  sockets and message queues work between strangers, with permissions checked at every call, and block in the kernel
  without looking first; queues in one process need no defence against the other side. sysvshm's rings survive the death
  of a process at any instruction; a lecture's ring, Boost's or rtrb's does not, and pays nothing for that.
* Peers were used as their documentation shows, with equal capacity where they have one: no peer was tuned beyond that.
  A kernel buffer counts bytes with the kernel's own overhead, so it holds fewer small items than its size says.
* Round trips of peers that block in the kernel are two wake-ups, in a virtual machine two interrupts.
* Wake-ups include what a sleeper does before it notices, and depend on how deep the processor slept.
* Memory of kernel objects is a limit, not what is in use; memory of queues in one process was not measured.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(1234.4), "1,234");
        assert_eq!(number(99.96), "100.0");
        assert_eq!(number(0.0123), "0.012");
        assert_eq!(number(12_345_678.0), "12.346 million");
        assert_eq!(thousands(1_048_576), "1,048,576");
        assert_eq!(size_name(65536), "64 KiB");
    }
}
