//! The comparisons that readers ask for, and what this crate aims at in them.

use crate::case::{Case, Mode, Workload};
use crate::groups::{Group, pairs_case};
use crate::peers;

/// A ratio that readers ask for: the median over the passes, each pass's own figures divided.
pub struct Ratio {
    pub label: String,
    pub group: Group,
    pub ours: Case,
    /// The fastest of these in each pass.
    pub theirs: Vec<Case>,
    pub value: Value,
    /// For times: how many times as fast is theirs divided by ours.
    pub inverted: bool,
    /// At least so many times as fast, whether the processors are near or far.
    pub aim: Option<f64>,
}

/// What of a sample is compared.
#[derive(Clone, Copy)]
pub enum Value {
    /// One of its values.
    At(usize),
    /// The median of them all.
    Median,
}

impl Ratio {
    fn new(label: &str, group: Group, ours: Case, theirs: Vec<Case>) -> Self {
        Self {
            label: label.to_string(),
            group,
            ours,
            theirs,
            value: Value::At(0),
            inverted: false,
            aim: None,
        }
    }

    fn at_least(self, aim: f64) -> Self {
        let aim = Some(aim);
        Self { aim, ..self }
    }

    fn of(self, value: Value) -> Self {
        Self { value, ..self }
    }

    fn of_times(self, value: Value) -> Self {
        Self {
            value,
            inverted: true,
            ..self
        }
    }

    /// Whether it divides by a limit: what nothing can beat, so that 1 is the most there is.
    pub fn is_to_a_limit(&self) -> bool {
        let is_limit = |name: &str| name.starts_with("a bare") || name.starts_with("bare");
        let is_plain = |name: &str| name == peers::RAW_SLOTS;
        self.theirs
            .iter()
            .all(|case| is_limit(&case.contender) || is_plain(&case.contender))
    }
}

type Way<'a> = (&'a str, Mode);

fn stream(label: &str, bytes: usize, ours: Way<'_>, theirs: Way<'_>) -> Ratio {
    fastest(label, bytes, ours, &[theirs])
}

fn fastest(label: &str, bytes: usize, ours: Way<'_>, theirs: &[Way<'_>]) -> Ratio {
    let case = |(name, mode): Way<'_>| Case {
        mode,
        ..Case::new(name, Workload::Stream, bytes)
    };
    let theirs = theirs.iter().copied().map(case).collect();
    Ratio::new(label, Group::Throughput, case(ours), theirs)
}

fn trip(label: &str, ours: &str, theirs: &[&str]) -> Ratio {
    let case = |name: &str| Case::new(name, Workload::RoundTrip, 8);
    let theirs = theirs.iter().map(|name| case(name)).collect();
    Ratio::new(label, Group::RoundTrip, case(ours), theirs).of_times(Value::At(0))
}

fn alone(label: &str, ours: &str, value: usize) -> Ratio {
    let case = |name| Case::new(name, Workload::Alternate, 8);
    Ratio::new(
        label,
        Group::Alone,
        case(ours),
        vec![case(peers::RAW_SLOTS)],
    )
    .of(Value::At(value))
}

fn waiting(label: &str, ours: &str, theirs: &str, workload: Workload) -> Ratio {
    let case = |name| Case::new(name, workload, 8);
    let ratio = Ratio::new(label, Group::WakeUp, case(ours), vec![case(theirs)]);
    ratio.of_times(match workload {
        Workload::Wake => Value::Median,
        _ => Value::At(0),
    })
}

fn segment(label: &str, workload: Workload, value: usize) -> Ratio {
    let case = |name| Case::new(name, workload, 64);
    let (ours, theirs) = (case(peers::SEGMENT), case(peers::RAW_SEGMENT));
    Ratio::new(label, Group::Setup, ours, vec![theirs]).of_times(Value::At(value))
}

fn many(label: &str, mode: Mode, pairs: usize) -> Ratio {
    let case = |name, mode| pairs_case(name, mode, Workload::Stream, pairs);
    let (ours, theirs) = (
        case(peers::MPMC, mode),
        case(peers::ARRAY_QUEUE, Mode::Single),
    );
    Ratio::new(label, Group::Processes, ours, vec![theirs])
}

pub fn ratios() -> Vec<Ratio> {
    use Mode::{Batch, InPlace, Outlined, Single, Value as ByValue};
    let spsc = |mode| (peers::SPSC, mode);
    let contiguous = |mode| (peers::SPSC_CONTIGUOUS, mode);
    let rtrb = |mode| (peers::RTRB, mode);
    let ringbuf = |mode| (peers::RINGBUF, mode);
    let sequence = |mode| {
        [
            (peers::SEQUENCE_RING, mode),
            (peers::SEQUENCE_RING_16, mode),
        ]
    };
    let memory = |mode| peers::RAW_MEMORY.map(|name| (name, mode));
    let bare_rings = [&sequence(Single)[..], &memory(Single)[..]].concat();
    let c_1024 = "lecture in C, volatile";
    let bare_trips = [peers::SEQUENCE_RING, peers::RAW_MEMORY[0], peers::RINGBUF];
    vec![
        fastest(
            "8 B, one call each: spsc, a bare sequence ring",
            8,
            spsc(Single),
            &sequence(Single),
        )
        .at_least(0.85),
        fastest(
            "8 B, one call each, outlined: spsc, a bare sequence ring",
            8,
            spsc(Outlined),
            &sequence(Outlined),
        )
        .at_least(0.85),
        stream(
            "8 B, one call each: spsc, rtrb",
            8,
            spsc(Single),
            rtrb(Single),
        )
        .at_least(2.5),
        stream(
            "8 B, one call each, outlined: spsc, rtrb",
            8,
            spsc(Outlined),
            rtrb(Outlined),
        )
        .at_least(2.5),
        stream(
            "8 B, one call each: spsc outlined, inlined",
            8,
            spsc(Outlined),
            spsc(Single),
        )
        .at_least(0.8),
        stream(
            "8 B, one call each: spsc, ringbuf",
            8,
            spsc(Single),
            ringbuf(Single),
        )
        .at_least(1.0),
        stream(
            "8 B, one call each: spsc, shaq",
            8,
            spsc(Single),
            (peers::SHAQ, Single),
        )
        .at_least(1.0),
        stream(
            "8 B, one call each: spsc, Boost spsc_queue",
            8,
            spsc(Single),
            ("Boost spsc_queue", Single),
        )
        .at_least(1.0),
        stream(
            "8 B, one call each: spsc, lecture's ring in C, 1024 slots",
            8,
            spsc(Single),
            (c_1024, Single),
        )
        .at_least(1.0),
        stream(
            "8 B, one call each: spsc, shmem-ipc",
            8,
            spsc(Single),
            ("shmem-ipc", Single),
        ),
        stream(
            "8 B, one call each: spsc, iceoryx2",
            8,
            spsc(Single),
            ("iceoryx2", Single),
        ),
        stream(
            "8 B, one call each: spsc, pipe",
            8,
            spsc(Single),
            ("pipe", Single),
        ),
        stream(
            "8 B, one call each: spsc as it waits by default, told to spin",
            8,
            spsc(Single),
            (peers::SPSC_SPIN, Single),
        )
        .at_least(0.95),
        stream(
            "8 B, one call each: spsc contiguous, rtrb",
            8,
            contiguous(Single),
            rtrb(Single),
        )
        .at_least(1.5),
        alone("8 B, push alone: spsc, plain loops", peers::SPSC, 0).at_least(0.8),
        alone("8 B, pop alone: spsc, plain loops", peers::SPSC, 1).at_least(0.8),
        stream(
            "8 B, batches of 256: spsc contiguous, rtrb",
            8,
            contiguous(Batch),
            rtrb(Batch),
        )
        .at_least(1.0),
        fastest(
            "8 B, batches of 256: spsc contiguous, bare memory",
            8,
            contiguous(Batch),
            &memory(Batch),
        ),
        stream(
            "8 B, in place of 256: spsc contiguous, rtrb",
            8,
            contiguous(InPlace),
            rtrb(InPlace),
        )
        .at_least(1.0),
        fastest(
            "8 B, in place of 256: spsc contiguous, bare memory",
            8,
            contiguous(InPlace),
            &memory(InPlace),
        )
        .at_least(0.75),
        fastest(
            "64 B, one call each: spsc, the best bare ring",
            64,
            spsc(Single),
            &bare_rings,
        )
        .at_least(0.85),
        fastest(
            "64 B, one call each: spsc contiguous, the best bare ring",
            64,
            contiguous(Single),
            &bare_rings,
        )
        .at_least(0.85),
        stream(
            "64 B, one call each: spsc, rtrb",
            64,
            spsc(Single),
            rtrb(Single),
        )
        .at_least(1.0),
        stream(
            "64 B, one call each: spsc, ringbuf",
            64,
            spsc(Single),
            ringbuf(Single),
        )
        .at_least(1.0),
        stream(
            "64 B, in place: spsc contiguous, rtrb",
            64,
            contiguous(InPlace),
            rtrb(InPlace),
        )
        .at_least(1.2),
        fastest(
            "64 B, in place: spsc contiguous, bare memory",
            64,
            contiguous(InPlace),
            &memory(InPlace),
        ),
        stream(
            "1 KiB by value: spsc, rtrb",
            1024,
            spsc(ByValue),
            rtrb(ByValue),
        )
        .at_least(1.2),
        stream(
            "1 KiB by reference: spsc, rtrb",
            1024,
            spsc(Single),
            rtrb(Single),
        ),
        fastest(
            "1 KiB, in place: spsc contiguous, bare memory",
            1024,
            contiguous(InPlace),
            &memory(InPlace),
        )
        .at_least(0.9),
        stream(
            "1 KiB, one call each: spsc, iceoryx2",
            1024,
            spsc(Single),
            ("iceoryx2", Single),
        ),
        fastest(
            "64 KiB, in place: spsc contiguous, bare memory",
            65536,
            contiguous(InPlace),
            &memory(InPlace),
        )
        .at_least(0.95),
        stream(
            "64 KiB, in place: spsc contiguous, rtrb",
            65536,
            contiguous(InPlace),
            rtrb(InPlace),
        ),
        stream(
            "64 KiB, in place: spsc contiguous, iceoryx2",
            65536,
            contiguous(InPlace),
            ("iceoryx2", InPlace),
        ),
        fastest(
            "64 KiB, batches: spsc contiguous, bare memory",
            65536,
            contiguous(Batch),
            &memory(Batch),
        ),
        stream(
            "64 KiB: spsc contiguous in place, Unix stream socket",
            65536,
            contiguous(InPlace),
            ("Unix stream socket", Batch),
        ),
        trip(
            "round trip p50: spsc, the best of bare rings and ringbuf",
            peers::SPSC,
            &bare_trips,
        )
        .at_least(1.0 / 1.05),
        trip(
            "round trip p50: spsc spinning, the best of bare rings and ringbuf",
            peers::SPSC_SPIN,
            &bare_trips,
        )
        .at_least(1.0 / 1.05),
        trip(
            "round trip p50: spsc, a bare cache line",
            peers::SPSC,
            &[peers::RAW_LINE],
        ),
        trip("round trip p50: spsc, rtrb", peers::SPSC, &[peers::RTRB]),
        trip("round trip p50: spsc, shaq", peers::SPSC, &[peers::SHAQ]),
        trip(
            "round trip p50: spsc, lecture's ring in C",
            peers::SPSC,
            &[c_1024],
        ),
        trip("round trip p50: spsc, iceoryx2", peers::SPSC, &["iceoryx2"]),
        trip("round trip p50: spsc, pipe", peers::SPSC, &["pipe"]),
        waiting(
            "wake-up p50: spsc, a bare futex",
            peers::SPSC,
            peers::RAW_FUTEX,
            Workload::Wake,
        )
        .at_least(1.0 / 1.1),
        waiting(
            "wake-up p50: mpmc, a bare futex",
            peers::MPMC,
            peers::RAW_FUTEX,
            Workload::Wake,
        )
        .at_least(1.0 / 1.1),
        waiting(
            "processor time while idle: spsc, a bare futex in as many slices",
            peers::SPSC,
            peers::RAW_FUTEX_SLICES,
            Workload::Idle,
        )
        .at_least(1.0 / 1.2),
        waiting(
            "processor time while idle: mpmc, a bare futex in as many slices",
            peers::MPMC,
            peers::RAW_FUTEX_SLICES,
            Workload::Idle,
        )
        .at_least(1.0 / 1.2),
        segment("create: segment, the raw calls", Workload::Create, 0).at_least(1.0 / 1.05),
        segment("remove: segment, the raw calls", Workload::Create, 1).at_least(1.0 / 1.05),
        segment("attach: segment, the raw calls", Workload::Attach, 0).at_least(1.0 / 1.05),
        segment("detach: segment, the raw calls", Workload::Attach, 1).at_least(1.0 / 1.05),
        many("8 B, 1 + 1: mpmc, crossbeam ArrayQueue", Single, 1).at_least(2.0),
        many("8 B, 2 + 2: mpmc, crossbeam ArrayQueue", Single, 2).at_least(2.0),
        many("8 B, 4 + 4: mpmc, crossbeam ArrayQueue", Single, 4).at_least(1.0),
        many(
            "8 B, 1 + 1: mpmc in batches of 32, crossbeam ArrayQueue",
            Batch,
            1,
        )
        .at_least(5.0),
        many(
            "8 B, 2 + 2: mpmc in batches of 32, crossbeam ArrayQueue",
            Batch,
            2,
        )
        .at_least(5.0),
    ]
}
