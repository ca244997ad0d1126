//! One group of figures after the other, in tables.

use super::words::*;
use super::{Growth, Results};
use crate::case::{Case, Mode, Workload};
use crate::figures::{Regime, spread};
use crate::groups::{
    ALONE_CAPACITIES, CAPACITIES, Group, PAIRS, SIZES, THROUGHPUT_SIZES, UNEVEN, capacity_case,
    is_told_apart, pairs_case,
};
use crate::peers::{CONTENDERS, Contender};
use std::fmt::Write as _;

impl Results {
    pub fn throughput(&self, text: &mut String) {
        for bytes in THROUGHPUT_SIZES {
            let capacity = Case::new("", Workload::Stream, bytes).capacity;
            let case = |name: &str, mode| Case {
                mode,
                ..Case::new(name, Workload::Stream, bytes)
            };
            let batch = case("", Mode::Batch).batch();
            // Large items are about bytes, small ones about calls.
            let (unit, scale) = if bytes >= 1024 {
                ("GiB/s", bytes as f64 / (1_u64 << 30) as f64)
            } else {
                ("million items/s", 1e-6)
            };
            let modes = [
                Mode::Single,
                Mode::Outlined,
                Mode::Value,
                Mode::Batch,
                Mode::InPlace,
            ];
            let modes: Vec<_> = modes
                .into_iter()
                .filter(|mode| is_told_apart(*mode, bytes))
                .collect();
            writeln!(
                text,
                "## Throughput, items of {}\n\n\
                 One sender, one receiver, {capacity} slots, batches of {batch}; {unit}.\n\n\
                 | | endpoints in | {} |\n|---|---|{}",
                size_name(bytes),
                modes
                    .iter()
                    .map(|mode| mode_name(*mode))
                    .collect::<Vec<_>>()
                    .join(" | "),
                "---|".repeat(modes.len())
            )
            .expect("a string");
            // A contender without single calls goes by what it has.
            let single = |contender: &Contender| {
                let mode = *contender.modes.first()?;
                self.figure(Group::Throughput, &case(contender.name, mode), 0)
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
                for &mode in &modes {
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
            Workload::Stream,
            1e-6,
            "million items/s",
            text,
        );
        self.picture("throughput.svg", "Throughput of 8-byte items", text);
    }

    pub fn round_trips(&self, text: &mut String) {
        text.push_str(
            "## Round trips\n\n8 bytes there, 8 bytes back, through two channels; nanoseconds. Quantiles within \
             a pass, medians and quartiles over the passes. Each includes one reading of the clock.\n\n\
             | | endpoints in | p50 | p99 | p99.9 | mean |\n|---|---|---|---|---|---|\n",
        );
        let case = |contender: &Contender| Case::new(contender.name, Workload::RoundTrip, 8);
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
            Workload::RoundTrip,
            1.0,
            "ns, p50",
            text,
        );
        self.picture("round-trip.svg", "Round trips of 8 bytes", text);
    }

    pub fn setup(&self, text: &mut String) {
        text.push_str(
            "## Creating, attaching, detaching, removing; memory\n\n\
             Microseconds. Attach: until a process that knows the channel has a sending endpoint, the role claimed \
             where there are roles; detach: dropping it. Create and remove: the channel without its endpoints. \
             Memory: what a channel for 1024 items of 64 bytes takes; the items alone are 65,536 bytes.\n\n\
             | | create | attach | detach | remove | bytes | beyond the items | known from |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        for contender in CONTENDERS.iter() {
            let create = Case::new(contender.name, Workload::Create, 64);
            let Some(series) = self.series(Group::Setup, &create) else {
                continue;
            };
            let attach = Case::new(contender.name, Workload::Attach, 64);
            let figure =
                |case: &Case, value| cell_or_nothing(self.figure(Group::Setup, case, value), 1e-3);
            let (bytes, beyond, source) = series.taken.as_ref().map_or_else(
                || ("–".to_string(), "–".to_string(), "not known".to_string()),
                |taken| {
                    let beyond = (taken.bytes as f64 / 65536.0 - 1.0) * 100.0;
                    (
                        thousands(taken.bytes),
                        {
                            // Ten slots, or a kernel's limit.
                            if taken.bytes < 65536 {
                                "holds fewer".to_string()
                            } else {
                                format!("{beyond:+.1} %")
                            }
                        },
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
            "\n–: the endpoint is inherited or handed over, or the identifier is all there is.\n\n",
        );
    }

    /// Medians over something that grows.
    fn growth(&self, growth: Growth, scale: f64, names: &[String], text: &mut String) {
        let columns = names.join(" | ");
        writeln!(text, "| | {columns} |\n|---|{}", "---|".repeat(names.len())).expect("a string");
        for (name, mode) in self.grown(&growth) {
            let label = match mode {
                Mode::Single => name.clone(),
                Mode::Batch if growth.is_processes() => format!("{name}, batches of 32"),
                _ => format!("{name}, {}", mode_name(mode)),
            };
            write!(text, "| {label} |").expect("a string");
            for &at in growth.points {
                let figure = self.grown_figure(&growth, &name, mode, at);
                let cell = figure.map_or("–".to_string(), |one| short(one, scale));
                write!(text, " {cell} |").expect("a string");
            }
            text.push('\n');
        }
        text.push('\n');
    }

    pub fn sizes(&self, text: &mut String) {
        let names = SIZES.map(size_name);
        text.push_str(
            "## Growth with the size of an item\n\n\
             Medians; ± is half the distance of the quartiles, here and below. Million items per second, each \
             peer in its fastest way:\n\n",
        );
        self.growth(Growth::sizes(Workload::Stream, 0), 1e-6, &names, text);
        text.push_str("Round trips, one call each, p50 in nanoseconds:\n\n");
        self.growth(Growth::sizes(Workload::RoundTrip, 0), 1.0, &names, text);
        self.picture("size.svg", "Throughput over the size of an item", text);
        self.picture(
            "size-latency.svg",
            "Round trips over the size of an item",
            text,
        );
    }

    pub fn capacities(&self, text: &mut String) {
        let names = CAPACITIES.map(|capacity| thousands(capacity as u64));
        text.push_str(
            "## Growth with the capacity\n\n\
             Items of 8 bytes, one call each, slots above; million items per second:\n\n",
        );
        self.growth(Growth::capacities(Workload::Stream, 0), 1e-6, &names, text);
        text.push_str("Round trips, p50 in nanoseconds:\n\n");
        self.growth(
            Growth::capacities(Workload::RoundTrip, 0),
            1.0,
            &names,
            text,
        );
        self.picture("capacity.svg", "Throughput over the capacity", text);
        self.picture(
            "capacity-latency.svg",
            "Round trips over the capacity",
            text,
        );
    }

    /// Either side alone, and both in one thread.
    pub fn alone(&self, text: &mut String) {
        let names = ALONE_CAPACITIES.map(|capacity| thousands(capacity as u64));
        let columns = names.map(|name| format!("send, {name} slots | receive, {name}"));
        writeln!(
            text,
            "## Either side alone\n\n\
             Items of 8 bytes, one call each. The sender fills the channel while the receiver waits, then the \
             receiver drains it while the sender waits; million items per second while at work. In one thread: \
             256 are sent, then 256 received; nanoseconds for one of each.\n\n\
             | | {} | one thread, ns |\n|---|{}---|",
            columns.join(" | "),
            "---|---|".repeat(columns.len())
        )
        .expect("a string");
        for contender in CONTENDERS.iter() {
            let case = |capacity| {
                capacity_case(contender.name, Mode::Single, Workload::Alternate, capacity)
            };
            let figures: Vec<_> = ALONE_CAPACITIES
                .into_iter()
                .flat_map(|capacity| {
                    [0, 1].map(|value| self.figure(Group::Alone, &case(capacity), value))
                })
                .collect();
            let thread = Case::new(contender.name, Workload::OneThread, 8);
            let thread = self.figure(Group::Alone, &thread, 0);
            if figures.iter().chain([&thread]).all(Option::is_none) {
                continue;
            }
            write!(text, "| {} |", contender.name).expect("a string");
            for figure in figures {
                let cell = figure.map_or("–".to_string(), |one| short(one, 1e-6));
                write!(text, " {cell} |").expect("a string");
            }
            let cell = thread.map_or("–".to_string(), |one| short(one, 1.0));
            writeln!(text, " {cell} |").expect("a string");
        }
        text.push('\n');
        self.other_regime(
            Group::Alone,
            "Sending alone",
            Workload::Alternate,
            1e-6,
            "million items/s",
            text,
        );
    }

    /// Streams with more of one kind than of the other.
    fn uneven(&self, text: &mut String) {
        let columns = UNEVEN.map(|(senders, receivers)| format!("{senders} + {receivers}"));
        writeln!(
            text,
            "Unequal sides, one call each, million items per second:\n\n\
             | senders + receivers | {} |\n|---|{}",
            columns.join(" | "),
            "---|".repeat(columns.len())
        )
        .expect("a string");
        for contender in CONTENDERS.iter() {
            let figures = UNEVEN.map(|(senders, receivers)| {
                let case = Case {
                    senders,
                    receivers,
                    ..pairs_case(contender.name, Mode::Single, Workload::Stream, 1)
                };
                self.figure(Group::Processes, &case, 0)
            });
            if figures.iter().any(Option::is_some) {
                let cells =
                    figures.map(|one| one.map_or("–".to_string(), |one| short(one, 1e-6)));
                writeln!(text, "| {} | {} |", contender.name, cells.join(" | ")).expect("a string");
            }
        }
        text.push('\n');
    }

    pub fn processes(&self, text: &mut String) {
        let names = PAIRS.map(|pairs| format!("{pairs} + {pairs}"));
        text.push_str(
            "## Growth with the number of processes\n\n\
             As many senders and as many receivers (threads for those in one process) on one channel and two \
             processors: from 2 + 2 on they share. Items of 8 bytes, 1024 slots; million items per second:\n\n",
        );
        self.growth(Growth::processes(Workload::Stream, 0), 1e-6, &names, text);
        self.uneven(text);
        text.push_str(
            "Round trips of so many pairs at once, each with channels of its own, mean in nanoseconds:\n\n",
        );
        self.growth(Growth::processes(Workload::RoundTrip, 3), 1.0, &names, text);
        text.push_str("The same, p99.9:\n\n");
        self.growth(Growth::processes(Workload::RoundTrip, 2), 1.0, &names, text);
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
        workload: Workload,
        scale: f64,
        unit: &str,
        text: &mut String,
    ) {
        let other = if self.regime == Regime::Near {
            Regime::Far
        } else {
            Regime::Near
        };
        let name = other.name();
        let series = self
            .part(group)
            .iter()
            .flat_map(|part| &part.series)
            .collect::<Vec<_>>();
        let rows: Vec<_> = series
            .into_iter()
            .filter(|series| series.case.workload == workload)
            .filter_map(|series| {
                let figure =
                    spread(&self.values_in(series, 0, other)).filter(|figure| figure.count >= 3)?;
                let Case {
                    contender,
                    mode,
                    bytes,
                    capacity,
                    ..
                } = &series.case;
                Some(format!(
                    "| {contender} | {} | {} | {} | {} | {} |\n",
                    size_name(*bytes),
                    thousands(*capacity as u64),
                    mode_name(*mode),
                    cell(figure, scale),
                    figure.count
                ))
            })
            .collect();
        if !rows.is_empty() {
            writeln!(
                text,
                "### {title}, processors {name}\n\n{unit}.\n\n\
                 | | items | slots | | | measurements |\n|---|---|---|---|---|---|\n{}",
                rows.concat()
            )
            .expect("a string");
        }
    }

    fn picture(&self, file: &str, what: &str, text: &mut String) {
        let folder = self.slug();
        writeln!(text, "![{what}]({folder}/{file})\n").expect("a string");
    }
}
