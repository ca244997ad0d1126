//! Two contenders in turn, pass by pass, so that a slow moment of the machine hits both; ratios are formed within a
//! pass.

use std::time::Instant;

/// How to measure and what to print.
#[derive(Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) passes: usize,
    /// Iterations of one contender in one pass: some milliseconds' worth.
    pub(crate) batch: u32,
    /// What a second is in the unit to print: 1e6 for microseconds.
    pub(crate) per_second: f64,
}

impl Comparison {
    /// Prints median and quartiles. `check` runs after each pass.
    pub(crate) fn run(
        self,
        name: &str,
        check: &mut dyn FnMut(),
        raw: &mut dyn FnMut(),
        safe: &mut dyn FnMut(),
    ) {
        let mut raw_times = Vec::with_capacity(self.passes);
        let mut safe_times = Vec::with_capacity(self.passes);
        let mut ratios = Vec::with_capacity(self.passes);
        for pass in 0..self.passes {
            let (raw_time, safe_time) = if pass % 2 == 0 {
                let raw_time = self.time(raw);
                (raw_time, self.time(safe))
            } else {
                let safe_time = self.time(safe);
                (self.time(raw), safe_time)
            };
            check();
            raw_times.push(raw_time);
            safe_times.push(safe_time);
            ratios.push(safe_time / raw_time);
        }
        let [_, raw_median, _] = quartiles(&mut raw_times);
        let [_, safe_median, _] = quartiles(&mut safe_times);
        let [low, ratio, high] = quartiles(&mut ratios);
        println!(
            "  {name:<57} raw {raw_median:7.2}  sysvshm {safe_median:7.2}  ratio {ratio:.3} [{low:.3}, {high:.3}]"
        );
    }

    /// Time per iteration of one batch.
    fn time(self, work: &mut dyn FnMut()) -> f64 {
        let start = Instant::now();
        for _ in 0..self.batch {
            work();
        }
        start.elapsed().as_secs_f64() * self.per_second / f64::from(self.batch)
    }
}

fn quartiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}

/// `--passes N`, or `default`.
pub(crate) fn passes_from_arguments(default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--passes");
    arguments.nth(1).map_or(default, |count| {
        count.parse().expect("--passes takes a number")
    })
}
