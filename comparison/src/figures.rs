//! Medians and quartiles, near and far apart.

use serde::{Deserialize, Serialize};

/// Round trips of a bare cache line below this are "near", nanoseconds. A host that moves the virtual processors
/// changes them by a factor of four and more.
pub const NEAR_NS: f64 = 180.0;

/// One measurement; without values where a pass left it out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    pub values: Vec<f64>,
    /// Nanoseconds per round trip of a bare cache line, before and after; none where one process works alone.
    pub probes: Option<[f64; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    Near,
    Far,
    /// The processors were moved meanwhile: the measurement counts for nothing.
    Moved,
}

impl Regime {
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Moved => "moved",
        }
    }
}

impl Sample {
    pub fn regime(&self) -> Regime {
        match self
            .probes
            .map(|probes| probes.map(|probe| probe < NEAR_NS))
        {
            None | Some([true, true]) => Regime::Near,
            Some([false, false]) => Regime::Far,
            Some(_) => Regime::Moved,
        }
    }
}

/// Lower quartile, median, upper quartile of some measurements.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
    pub count: usize,
}

pub fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some(Spread {
        low: sorted[last / 4],
        median: quantile_of_sorted(&sorted, 0.5),
        high: sorted[last - last / 4],
        count: sorted.len(),
    })
}

fn quantile_of_sorted(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| quantile_of_sorted(&sorted, share))
}

/// 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_some_values() {
        let found = spread(&[5.0, 1.0, 4.0, 2.0, 3.0]).unwrap();
        assert_eq!(
            (found.low, found.median, found.high, found.count),
            (2.0, 3.0, 4.0, 5)
        );
        assert!(spread(&[]).is_none());
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.99), Some(3.0));
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_measurement_during_a_move_counts_for_nothing() {
        let sample = |probes| Sample {
            values: Vec::new(),
            probes,
        };
        assert_eq!(sample(Some([50.0, 60.0])).regime(), Regime::Near);
        assert_eq!(sample(Some([400.0, 450.0])).regime(), Regime::Far);
        assert_eq!(sample(Some([60.0, 450.0])).regime(), Regime::Moved);
    }
}
