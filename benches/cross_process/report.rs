//! Medians, spread, and the ratios that decide.

use crate::contenders::{Contender, Unit};

/// Figures of one contender, near and far apart.
#[derive(Default)]
struct Figures {
    near: Vec<f64>,
    far: Vec<f64>,
}

pub(crate) struct Report<'a> {
    contenders: &'a [&'a Contender],
    figures: Vec<Figures>,
    moved: usize,
    /// Nanoseconds there and back on a raw cache line, before and after each measurement.
    probes: Vec<f64>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(contenders: &'a [&'a Contender]) -> Self {
        let figures = contenders.iter().map(|_| Figures::default()).collect();
        Self {
            contenders,
            figures,
            moved: 0,
            probes: Vec::new(),
        }
    }

    /// A measurement counts if the probes before and after it agree on the regime.
    pub(crate) fn add(&mut self, index: usize, figure: f64, probes: [f64; 2], near: f64) {
        self.probes.extend(probes);
        match probes.map(|probe| probe < near).into() {
            (true, true) => self.figures[index].near.push(figure),
            (false, false) => self.figures[index].far.push(figure),
            _ => self.moved += 1,
        }
    }

    pub(crate) fn print(&mut self, passes: usize, near: f64) {
        let line = cell(&mut self.probes, Unit::Nanoseconds);
        println!("a raw cache line there and back: {line}; near: below {near} ns");
        println!(
            "{passes} passes, contenders in turn; median [quartiles] (number of measurements)"
        );
        println!("{:<46} {:>34} {:>30}", "", "near", "far");
        for (contender, figures) in self.contenders.iter().zip(&mut self.figures) {
            let near = cell(&mut figures.near, contender.unit);
            let far = cell(&mut figures.far, contender.unit);
            println!("{:<46} {near:>34} {far:>30}", contender.name);
        }
        println!(
            "{} measurements left out: the processors moved meanwhile",
            self.moved
        );
        println!(
            "\nratios of medians, near (far); throughput: more is better; time: less is better"
        );
        let ratios = crate::contenders::RATIOS.iter().chain(crate::mpmc::RATIOS);
        for &(label, ours, theirs) in ratios {
            let pair = (self.find(ours), self.find(theirs));
            if let (Some(ours), Some(theirs)) = pair {
                let near = ratio(&self.figures[ours].near, &self.figures[theirs].near);
                let far = ratio(&self.figures[ours].far, &self.figures[theirs].far);
                println!("{label:<60} {near:>8} ({far})");
            }
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.contenders
            .iter()
            .position(|contender| contender.name == name)
    }
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| sorted[sorted.len() / 2])
}

fn ratio(ours: &[f64], theirs: &[f64]) -> String {
    match (median(ours), median(theirs)) {
        (Some(ours), Some(theirs)) => format!("{:.2}", ours / theirs),
        _ => "-".to_string(),
    }
}

fn cell(figures: &mut [f64], unit: Unit) -> String {
    figures.sort_by(f64::total_cmp);
    let count = figures.len();
    if count == 0 {
        return "-".to_string();
    }
    let at = |quarter: usize| figures[(count * quarter / 4).min(count - 1)];
    let (name, digits) = match unit {
        Unit::MillionPerSecond => ("M/s", 1),
        Unit::GibPerSecond => ("GiB/s", 1),
        Unit::Nanoseconds => ("ns", 1),
        Unit::Microseconds => ("us", 1),
        Unit::MicrosecondsPerSecond => ("us CPU/s", 0),
        Unit::Share => ("of a core", 3),
    };
    format!(
        "{:.digits$} {name} [{:.digits$} {:.digits$}] ({count})",
        at(2),
        at(1),
        at(3)
    )
}
