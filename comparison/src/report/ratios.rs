//! The comparisons that readers ask for, and what this crate aims at in them.

use crate::case::{Act, Case, Mode};
use crate::figures::Regime;
use crate::groups::{Group, pairs_case};
use crate::peers;

/// A ratio that readers ask for: the median over the passes, each pass's own two figures divided.
pub struct Ratio {
    pub label: String,
    pub group: Group,
    pub ours: Case,
    pub theirs: Case,
    pub value: Value,
    /// For times: how many times as fast is theirs divided by ours.
    pub inverted: bool,
    /// At least so many times as fast, processors near, and far where that is another aim.
    aim: Option<f64>,
    far_aim: Option<f64>,
}

/// What of a sample is compared.
#[derive(Clone, Copy)]
pub enum Value {
    /// One of its values.
    At(usize),
    /// The median of them all.
    Median,
}

/// Processor time of an idle receiver at most, microseconds per second.
pub const IDLE_AIM: f64 = 300.0;

impl Ratio {
    fn new(label: &str, group: Group, ours: Case, theirs: Case) -> Self {
        Self {
            label: label.to_string(),
            group,
            ours,
            theirs,
            value: Value::At(0),
            inverted: false,
            aim: None,
            far_aim: None,
        }
    }

    fn at_least(self, aim: f64) -> Self {
        Self {
            aim: Some(aim),
            ..self
        }
    }

    fn far_at_least(self, aim: f64) -> Self {
        Self {
            far_aim: Some(aim),
            ..self
        }
    }

    fn of_times(self, value: Value) -> Self {
        Self {
            value,
            inverted: true,
            ..self
        }
    }

    /// The aim for this regime; of near processors where far ones have none of their own.
    pub fn aim(&self, regime: Regime) -> Option<f64> {
        self.far_aim.filter(|_| regime == Regime::Far).or(self.aim)
    }
}

type End<'a> = (&'a str, Mode);

fn stream(label: &str, bytes: usize, ours: End<'_>, theirs: End<'_>) -> Ratio {
    let case = |(name, mode): End<'_>| Case {
        mode,
        ..Case::new(name, Act::Stream, bytes)
    };
    Ratio::new(label, Group::Throughput, case(ours), case(theirs))
}

fn trip(label: &str, theirs: &str) -> Ratio {
    let case = |name| Case::new(name, Act::RoundTrip, 8);
    let (ours, theirs) = (case(peers::SPSC), case(theirs));
    Ratio::new(label, Group::RoundTrip, ours, theirs).of_times(Value::At(0))
}

fn wake(label: &str, ours: &str) -> Ratio {
    let case = |name| Case::new(name, Act::Wake, 8);
    let (ours, theirs) = (case(ours), case(peers::RAW_FUTEX));
    Ratio::new(label, Group::WakeUp, ours, theirs).of_times(Value::Median)
}

fn segment(label: &str, act: Act, value: usize) -> Ratio {
    let case = |name| Case::new(name, act, 64);
    let (ours, theirs) = (case(peers::SEGMENT), case(peers::RAW_SEGMENT));
    Ratio::new(label, Group::Setup, ours, theirs).of_times(Value::At(value))
}

fn many(label: &str, mode: Mode, pairs: usize) -> Ratio {
    let case = |name, mode| pairs_case(name, mode, Act::Stream, pairs);
    let (ours, theirs) = (
        case(peers::MPMC, mode),
        case(peers::ARRAY_QUEUE, Mode::Single),
    );
    Ratio::new(label, Group::Processes, ours, theirs)
}

pub fn ratios() -> Vec<Ratio> {
    use Mode::{Batch, InPlace, Single};
    let spsc = (peers::SPSC, Single);
    let contiguous = |mode| (peers::SPSC_CONTIGUOUS, mode);
    let rtrb = |mode| (peers::RTRB, mode);
    let (c_1024, c_10) = ("lecture in C, volatile", "lecture in C, volatile, 10 slots");
    vec![
        stream("8 B, one call each: spsc, rtrb", 8, spsc, rtrb(Single))
            .at_least(2.5)
            .far_at_least(3.0),
        stream(
            "8 B, one call each: spsc, ringbuf",
            8,
            spsc,
            ("ringbuf", Single),
        ),
        stream(
            "8 B, one call each: spsc, Boost spsc_queue",
            8,
            spsc,
            ("Boost spsc_queue", Single),
        ),
        stream(
            "8 B, one call each: spsc, lecture's ring in C, 1024 slots",
            8,
            spsc,
            (c_1024, Single),
        )
        .at_least(12.0),
        stream(
            "8 B, one call each: spsc, lecture's ring in C, 10 slots",
            8,
            spsc,
            (c_10, Single),
        ),
        stream(
            "8 B, one call each: spsc, shmem-ipc",
            8,
            spsc,
            ("shmem-ipc", Single),
        ),
        stream(
            "8 B, one call each: spsc, iceoryx2",
            8,
            spsc,
            ("iceoryx2", Single),
        )
        .at_least(250.0),
        stream("8 B, one call each: spsc, pipe", 8, spsc, ("pipe", Single)),
        stream(
            "8 B, one call each: spsc as it waits by default, told to spin",
            8,
            spsc,
            (peers::SPSC_SPIN, Single),
        )
        .at_least(0.95),
        stream(
            "8 B, batches: spsc contiguous, rtrb",
            8,
            contiguous(Batch),
            rtrb(Batch),
        )
        .at_least(1.0),
        stream(
            "8 B, in place: spsc contiguous, rtrb",
            8,
            contiguous(InPlace),
            rtrb(InPlace),
        )
        .at_least(1.0),
        stream(
            "8 B, in place: spsc contiguous, bare memory",
            8,
            contiguous(InPlace),
            (peers::RAW_MEMORY, InPlace),
        ),
        stream("64 B, one call each: spsc, rtrb", 64, spsc, rtrb(Single)),
        stream(
            "64 B: spsc contiguous in place, rtrb one call each",
            64,
            contiguous(InPlace),
            rtrb(Single),
        )
        .at_least(2.7),
        stream(
            "64 B, in place: spsc contiguous, rtrb",
            64,
            contiguous(InPlace),
            rtrb(InPlace),
        )
        .at_least(1.0),
        stream("1 KiB, one call each: spsc, rtrb", 1024, spsc, rtrb(Single)).at_least(1.2),
        stream(
            "1 KiB, one call each: spsc, iceoryx2",
            1024,
            spsc,
            ("iceoryx2", Single),
        ),
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
        )
        .at_least(1.3),
        stream(
            "64 KiB, in place: spsc contiguous, bare memory",
            65536,
            contiguous(InPlace),
            (peers::RAW_MEMORY, InPlace),
        )
        .at_least(0.85),
        stream(
            "64 KiB: spsc contiguous in place, Unix stream socket",
            65536,
            contiguous(InPlace),
            ("Unix stream socket", Batch),
        ),
        trip("round trip p50: spsc, a bare cache line", peers::RAW_LINE)
            .at_least(1.0 / 1.5)
            .far_at_least(1.0 / 1.1),
        trip("round trip p50: spsc, rtrb", peers::RTRB).at_least(1.4),
        trip("round trip p50: spsc, lecture's ring in C", c_1024),
        trip("round trip p50: spsc, iceoryx2", "iceoryx2"),
        trip("round trip p50: spsc, pipe", "pipe"),
        wake("wake-up p50: spsc, a bare futex", peers::SPSC).at_least(1.0 / 1.1),
        wake("wake-up p50: mpmc, a bare futex", peers::MPMC).at_least(1.0 / 1.1),
        segment("create: segment, the raw calls", Act::Create, 0).at_least(1.0 / 1.05),
        segment("remove: segment, the raw calls", Act::Create, 1).at_least(1.0 / 1.05),
        segment("attach: segment, the raw calls", Act::Attach, 0).at_least(1.0 / 1.05),
        segment("detach: segment, the raw calls", Act::Attach, 1).at_least(1.0 / 1.05),
        many("8 B, 1 + 1: mpmc, crossbeam ArrayQueue", Single, 1)
            .at_least(0.75)
            .far_at_least(2.0),
        many("8 B, 2 + 2: mpmc, crossbeam ArrayQueue", Single, 2).at_least(1.0),
        many("8 B, 4 + 4: mpmc, crossbeam ArrayQueue", Single, 4).at_least(1.0),
        many(
            "8 B, 1 + 1: mpmc in batches of 32, crossbeam ArrayQueue",
            Batch,
            1,
        )
        .at_least(2.5),
        many(
            "8 B, 2 + 2: mpmc in batches of 32, crossbeam ArrayQueue",
            Batch,
            2,
        )
        .at_least(3.5),
    ]
}
