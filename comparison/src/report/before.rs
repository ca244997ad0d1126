//! This version of the crate beside an older one of the same run.

use super::Results;
use super::words::*;
use crate::case::{Case, Workload};
use crate::figures::{Regime, Spread, spread};
use crate::groups::{Series, older};
use crate::peers::BEFORE;
use std::fmt::Write as _;

/// A row may lose so much to what cannot be told from noise.
const LEAST: f64 = 0.97;

impl Results {
    /// Every case that an older version of the crate was measured in, too: how many times as fast the new one is.
    pub fn new_by_old(&self, text: &mut String) {
        let mut rows = String::new();
        let mut below = 0;
        for part in &self.parts {
            for new in &part.series {
                let older = part
                    .series
                    .iter()
                    .find(|old| Some(&old.case) == older(&new.case).as_ref());
                let Some(old) = older else { continue };
                let [near, far] =
                    [Regime::Near, Regime::Far].map(|regime| self.quotient(new, old, regime));
                let slower = [near, far]
                    .into_iter()
                    .flatten()
                    .any(|one| one.median < LEAST);
                below += usize::from(slower);
                writeln!(
                    rows,
                    "| {} | {} | {} | {} |",
                    name(&new.case),
                    cell_or_nothing(near, 1.0),
                    cell_or_nothing(far, 1.0),
                    if slower { "below" } else { "" }
                )
                .expect("a string");
            }
        }
        if !rows.is_empty() {
            writeln!(
                text,
                "## New beside old\n\n\
                 This version ÷ {} in the same run, medians of the passes' own ratios; times inverted, so above 1 \
                 the new one is the faster. {below} rows are below {LEAST}.\n\n\
                 | | near | far | |\n|---|---|---|---|\n{rows}",
                env!("COMPARISON_BASELINE")
            )
            .expect("a string");
        }
    }

    fn quotient(&self, new: &Series, old: &Series, regime: Regime) -> Option<Spread> {
        let is_rate = matches!(
            new.case.workload,
            Workload::Stream | Workload::Alternate | Workload::Share
        );
        let quotients =
            new.samples
                .iter()
                .zip(&old.samples)
                .filter_map(|(new_sample, old_sample)| {
                    if !self.counts(new_sample, regime) || !self.counts(old_sample, regime) {
                        return None;
                    }
                    let of = |sample: &crate::figures::Sample| match new.case.workload {
                        Workload::Wake => crate::figures::quantile(&sample.values, 0.5),
                        Workload::Share => sample.values.last().copied(),
                        // Both sides of it: the harmonic mean is what one item takes in all.
                        Workload::Alternate => {
                            let (send, receive) = (sample.values.first()?, sample.values.get(1)?);
                            Some(2.0 / (1.0 / send + 1.0 / receive))
                        }
                        _ => sample.values.first().copied(),
                    };
                    let quotient = of(new_sample)? / of(old_sample)?;
                    Some(if is_rate { quotient } else { 1.0 / quotient })
                });
        spread(&quotients.collect::<Vec<_>>())
    }
}

fn name(case: &Case) -> String {
    let Case {
        contender,
        workload,
        mode,
        bytes,
        capacity,
        senders,
        receivers,
        handles,
        ..
    } = case;
    let contender = contender.trim_end_matches(BEFORE);
    let handles = match handles {
        2 => String::new(),
        _ => format!(", {handles} handles"),
    };
    format!(
        "{contender}: {workload:?}, {}, {}, {} slots, {senders} + {receivers}{handles}",
        mode_name(*mode),
        size_name(*bytes),
        thousands(*capacity as u64)
    )
}
