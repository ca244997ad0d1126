//! Round trips: one participant asks and keeps the time, the other answers.

use crate::case::{Outcome, Task};
use crate::endpoint::{Receiver, Sender, Wrong};
use crate::item::Item;
use crate::pinning::{Participant, now};
use anyhow::Result;
use hdrhistogram::Histogram;

/// The answer to an item has another number.
const ANSWER: u64 = 1 << 63;

pub fn answer<T: Item>(
    mut participant: Participant<'_>,
    mut hear: impl Receiver<T>,
    mut tell: impl Sender<T>,
    task: &Task,
) -> Result<Outcome> {
    participant.bracketed(|participant| {
        let mut item = T::zeroed();
        hear.prepare();
        participant.meet();
        for round in 0..rounds(task) {
            hear.receive(&mut item);
            Wrong::unless(item.is(round), round)?;
            item.set(round | ANSWER);
            tell.send(&item);
        }
        participant.meet();
        Ok(Outcome::default())
    })
}

pub fn ask<T: Item>(
    mut participant: Participant<'_>,
    mut tell: impl Sender<T>,
    mut hear: impl Receiver<T>,
    task: &Task,
) -> Result<Outcome> {
    participant.bracketed(|participant| {
        let mut item = T::zeroed();
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
        hear.prepare();
        participant.meet();
        let mut before = now();
        for round in 0..rounds(task) {
            item.set(round);
            if task.case.fault.is_some() && round == task.count {
                // Every fault of a round trip is an answer to something else.
                item.set(round + 1);
            }
            tell.send(&item);
            hear.receive(&mut item);
            Wrong::unless(item.is(round | ANSWER), round)?;
            let after = now();
            if round >= warm_up_rounds(task) {
                histogram.record(after - before)?;
            }
            before = after;
        }
        participant.meet();
        let quantile = |share| histogram.value_at_quantile(share) as f64;
        Ok(Outcome {
            received: task.count,
            values: vec![
                quantile(0.5),
                quantile(0.99),
                quantile(0.999),
                histogram.mean(),
            ],
            ..Outcome::default()
        })
    })
}

fn warm_up_rounds(task: &Task) -> u64 {
    task.count / 10
}

fn rounds(task: &Task) -> u64 {
    warm_up_rounds(task) + task.count
}
