//! Randomness that a failure can be repeated with: the same numbers for the same seed on every machine.
#![allow(dead_code)] // Each test file uses a part of it.

/// Returns a number from the environment, or what the ordinary test run gets.
pub(crate) fn budget(name: &str, ordinary: u64) -> u64 {
    std::env::var(name).map_or(ordinary, |text| text.parse().unwrap())
}

/// Returns the seed of this run: `SYSVSHM_SEED`, or 1.
pub(crate) fn seed() -> u64 {
    budget("SYSVSHM_SEED", 1)
}

/// Generates numbers by xorshift64*, which is enough for schedules and for operands.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 33) % end
    }
}

/// Checks a property in so many cases, each with a generator of its own.
///
/// If a case panics, prints how to repeat it alone: the seed of the run and the number of the case.
pub(crate) fn for_each_case(cases: u64, property: impl Fn(&mut Random)) {
    let seed = seed();
    let run = |case: u64| {
        let _named = NamedOnPanic { seed, case };
        // Apart by more than one bit: the generator's first numbers resemble the seed.
        let mut random = Random::new(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ case << 1);
        random.next();
        property(&mut random);
    };
    match std::env::var("SYSVSHM_CASE") {
        Ok(case) => run(case.parse().unwrap()),
        Err(_) => (0..cases).for_each(run),
    }
}

struct NamedOnPanic {
    seed: u64,
    case: u64,
}

impl Drop for NamedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, case } = self;
            eprintln!("case {case} failed: SYSVSHM_SEED={seed} SYSVSHM_CASE={case} repeats it");
        }
    }
}
