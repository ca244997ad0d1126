//! Tables of waiting: waking up, being idle, shares, many handles, the dead.

use super::Results;
use super::words::*;
use crate::case::{Case, Mode, Workload};
use crate::figures::{Spread, median, quantile, spread};
use crate::groups::{
    DEAD, Group, HELD, IDLE_HANDLES, LARGE_CAPACITY, POP_HANDLES, handles_case, pairs_case,
};
use crate::peers::{self, CONTENDERS, Contender, Waits};
use std::fmt::Write as _;

impl Results {
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
             item and taking it. The others poll: a whole processor. Of a slow receiver: the share of a processor \
             that a sender takes whose receiver works 20 µs for each item.\n\n\
             | | endpoints in | wake-up p50, µs | p99, µs | idle, µs per second | of a slow receiver, % |\n\
             |---|---|---|---|---|---|\n",
        );
        let wakes =
            |contender: &Contender| self.wakes(&Case::new(contender.name, Workload::Wake, 8));
        let idle = |contender: &Contender| self.idle(&Case::new(contender.name, Workload::Idle, 8));
        let p50 = |contender: &Contender| wakes(contender).map(|wakes| median(&wakes));
        let mut order: Vec<_> = CONTENDERS
            .iter()
            .filter(|contender| p50(contender).is_some() || idle(contender).is_some())
            .collect();
        order.sort_by(|one, other| {
            p50(one)
                .unwrap_or(0.0)
                .total_cmp(&p50(other).unwrap_or(0.0))
        });
        for contender in order {
            let wakes = wakes(contender).unwrap_or_default();
            let slow = Case::new(contender.name, Workload::SlowReceiver, 8);
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                contender.name,
                place(contender),
                cell_or_nothing(spread(&wakes), 1e-3),
                quantile(&wakes, 0.99).map_or("–".to_string(), |p99| number(p99 * 1e-3)),
                cell_or_nothing(idle(contender), 1.0),
                cell_or_nothing(self.figure(Group::WakeUp, &slow, 0), 100.0)
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

    pub fn fairness(&self, text: &mut String) {
        text.push_str(
            "## How even the shares are\n\n\
             4 senders and 4 receivers on two processors, for 3 seconds. Shares of what would be fair: the least \
             and the greatest of a sender and of a receiver, medians of the passes.\n\n\
             | | million items/s | senders | receivers |\n|---|---|---|---|\n",
        );
        for contender in CONTENDERS.iter() {
            let case = pairs_case(contender.name, Mode::Single, Workload::Share, 4);
            let figure = |value| self.figure(Group::Fairness, &case, value);
            let (Some(least), Some(most)) = (figure(0), figure(1)) else {
                continue;
            };
            let (taken_least, taken_most, rate) = (figure(2), figure(3), figure(4));
            let or_nothing =
                |one: Option<Spread>| one.map_or("–".to_string(), |one| number(one.median));
            writeln!(
                text,
                "| {} | {} | {} to {} | {} to {} |",
                contender.name,
                cell_or_nothing(rate, 1e-6),
                number(least.median),
                number(most.median),
                or_nothing(taken_least),
                or_nothing(taken_most)
            )
            .expect("a string");
        }
        text.push('\n');
    }

    pub fn handles(&self, text: &mut String) {
        let held = HELD;
        writeln!(
            text,
            "## Many handles, and the dead\n\n\
             `mpmc` with so many handles. Recovery: the processes ended with an item in each handle's hands, in a \
             ring of {} slots that is full. Redelivery: one process ended with {held} items in its hands; until \
             all have come again.\n\n| | | {} |\n|---|---|---|",
            thousands(LARGE_CAPACITY as u64),
            peers::MPMC_HANDLES
        )
        .expect("a string");
        let versions = [
            peers::MPMC_HANDLES.to_string(),
            format!("{}{}", peers::MPMC_HANDLES, peers::BEFORE),
        ];
        let mut row = |what: &str, unit: &str, workload, handles, processes, value, scale| {
            let cells = versions.iter().filter_map(|name| {
                let case = handles_case(name, workload, handles, processes);
                self.figure(Group::Handles, &case, value)
                    .map(|figure| cell(figure, scale))
            });
            let cells = cells.collect::<Vec<_>>();
            if !cells.is_empty() {
                let cells = cells.join("; before: ");
                writeln!(text, "| {what} | {unit} | {cells} |").expect("a string");
            }
        };
        for handles in IDLE_HANDLES {
            let what = format!("one waits among {handles} handles");
            row(
                &what,
                "µs of processor time per second",
                Workload::IdleAmong,
                handles,
                1,
                0,
                1.0,
            );
        }
        for handles in POP_HANDLES {
            let what = format!("`pop_timeout(0)` of an empty ring, {handles} handles");
            row(&what, "ns", Workload::PopNothing, handles, 1, 0, 1.0);
        }
        for (handles, processes) in DEAD {
            let what = format!("recovery of {handles} handles of {processes} processes");
            row(&what, "µs", Workload::Recover, handles, processes, 0, 1.0);
        }
        let what = format!("recovery of one, and redelivery of its {held} items");
        row(&what, "µs", Workload::Redeliver, 1, 1, 0, 1.0);
        row(
            "pops until its first item came",
            "pops",
            Workload::Redeliver,
            1,
            1,
            1,
            1.0,
        );
        row(
            "pops until its last item came",
            "pops",
            Workload::Redeliver,
            1,
            1,
            2,
            1.0,
        );
        text.push('\n');
    }
}
