//! One group of figures after the other, in tables.

use super::words::*;
use super::{Growth, Results};
use crate::case::{Act, Case, Mode};
use crate::figures::{Regime, Spread, median, quantile, spread};
use crate::groups::{CAPACITIES, Group, PAIRS, SIZES, THROUGHPUT_SIZES};
use crate::peers::{CONTENDERS, Contender, Waits};
use std::fmt::Write as _;

impl Results {
    pub fn throughput(&self, text: &mut String) {
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
                "## Throughput, items of {}\n\n\
                 One sender, one receiver, {capacity} slots, batches of {batch}; {unit}.\n\n\
                 | | ends in | one call each | batches | in place |\n|---|---|---|---|---|",
                size_name(bytes)
            )
            .expect("a string");
            // Who has no single calls goes by what it has.
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

    pub fn round_trips(&self, text: &mut String) {
        text.push_str(
            "## Round trips\n\n8 bytes there, 8 bytes back, through two channels; nanoseconds. Quantiles within \
             a pass, medians and quartiles over the passes. Each includes one reading of the clock.\n\n\
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
    pub fn wakes(&self, case: &Case) -> Option<Vec<f64>> {
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

    /// Microseconds of processor time per second of waiting, near or far: nothing is exchanged.
    pub fn idle(&self, case: &Case) -> Option<Spread> {
        let samples = &self.series(Group::WakeUp, case)?.samples;
        let values = samples.iter().filter_map(|one| one.values.first().copied());
        spread(&values.collect::<Vec<_>>())
    }

    pub fn wake_ups(&self, text: &mut String) {
        text.push_str(
            "## Waking a sleeper, and sleeping\n\n\
             From just before sending to just after receiving, the receiver asleep for 1.5 ms before; all \
             wake-ups of all passes. Idle: processor time of the receiver's process, waiting a second for an \
             item and taking it. The others poll: a whole processor.\n\n\
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
            let idle = self.idle(&Case::new(contender.name, Act::Idle, 8));
            writeln!(
                text,
                "| {} | {} | {} | {} | {} |",
                contender.name,
                place(contender),
                cell_or_nothing(spread(&wakes), 1e-3),
                quantile(&wakes, 0.99).map_or("–".to_string(), |p99| number(p99 * 1e-3)),
                cell_or_nothing(idle, 1.0)
            )
            .expect("a string");
        }
        let polling = CONTENDERS
            .iter()
            .filter(|contender| contender.waits == Waits::Polls && contender.is_channel());
        let polling: Vec<_> = polling.map(|contender| contender.name).collect();
        writeln!(
            text,
            "\nThey poll, or leave waiting to their users: {}.\n",
            polling.join("; ")
        )
        .expect("a string");
    }

    pub fn setup(&self, text: &mut String) {
        text.push_str(
            "## Creating, attaching, detaching, removing; memory\n\n\
             Microseconds. Attach: until a process that knows the channel has a sending end, the role claimed \
             where there are roles; detach: dropping it. Create and remove: the channel without its ends. \
             Memory: what a channel for 1024 items of 64 bytes takes; the items alone are 65,536 bytes.\n\n\
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
            "\n–: the end is inherited or handed over, or the identifier is all there is.\n\n",
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
        self.growth(Growth::sizes(Act::Stream, 0), 1e-6, &names, text);
        text.push_str("Round trips, one call each, p50 in nanoseconds:\n\n");
        self.growth(Growth::sizes(Act::RoundTrip, 0), 1.0, &names, text);
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
        self.growth(Growth::capacities(Act::Stream, 0), 1e-6, &names, text);
        text.push_str("Round trips, p50 in nanoseconds:\n\n");
        self.growth(Growth::capacities(Act::RoundTrip, 0), 1.0, &names, text);
        self.picture("capacity.svg", "Throughput over the capacity", text);
        self.picture(
            "capacity-latency.svg",
            "Round trips over the capacity",
            text,
        );
    }

    pub fn processes(&self, text: &mut String) {
        let names = PAIRS.map(|pairs| format!("{pairs} + {pairs}"));
        text.push_str(
            "## Growth with the number of processes\n\n\
             As many senders and as many receivers (threads for those in one process) on one channel and two \
             processors: from 2 + 2 on they share. Items of 8 bytes, 1024 slots; million items per second:\n\n",
        );
        self.growth(Growth::processes(Act::Stream, 0), 1e-6, &names, text);
        text.push_str(
            "Round trips of so many pairs at once, each with channels of its own, mean in nanoseconds:\n\n",
        );
        self.growth(Growth::processes(Act::RoundTrip, 3), 1.0, &names, text);
        text.push_str("The same, p99.9:\n\n");
        self.growth(Growth::processes(Act::RoundTrip, 2), 1.0, &names, text);
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
                "### {title}, processors {name}\n\n{unit}.\n\n\
                 | | items | | | measurements |\n|---|---|---|---|---|\n{}",
                rows.concat()
            )
            .expect("a string");
        }
    }

    fn picture(&self, file: &str, what: &str, text: &mut String) {
        writeln!(text, "![{what}](pictures/{file})\n").expect("a string");
    }
}
