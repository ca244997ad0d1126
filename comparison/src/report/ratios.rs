//! The comparisons that readers ask for.

use crate::case::{Act, Case, Mode};
use crate::groups::{Group, pairs_case};
use crate::peers;

/// A ratio that readers ask for: the median over the passes, each pass's own two figures divided.
pub struct Ratio {
    pub label: &'static str,
    pub group: Group,
    pub ours: Case,
    pub theirs: Case,
    /// Which of a sample's values.
    pub value: usize,
    /// For times: how many times as fast is theirs divided by ours.
    pub inverted: bool,
}

pub fn ratios() -> Vec<Ratio> {
    let stream = |name: &str, mode, bytes| Case {
        mode,
        ..Case::new(name, Act::Stream, bytes)
    };
    let streams = |label, ours: (&str, Mode), theirs: (&str, Mode), bytes| Ratio {
        label,
        group: Group::Throughput,
        ours: stream(ours.0, ours.1, bytes),
        theirs: stream(theirs.0, theirs.1, bytes),
        value: 0,
        inverted: false,
    };
    let trips = |label, theirs: &str| Ratio {
        label,
        group: Group::RoundTrip,
        ours: Case::new(peers::SPSC, Act::RoundTrip, 8),
        theirs: Case::new(theirs, Act::RoundTrip, 8),
        value: 0,
        inverted: true,
    };
    let many = |label, mode, pairs| Ratio {
        label,
        group: Group::Processes,
        ours: pairs_case(peers::MPMC, mode, Act::Stream, pairs),
        theirs: pairs_case(peers::ARRAY_QUEUE, Mode::Single, Act::Stream, pairs),
        value: 0,
        inverted: false,
    };
    use Mode::{Batch, InPlace, Single};
    let single = (peers::SPSC, Single);
    let in_place = (peers::SPSC_CONTIGUOUS, InPlace);
    vec![
        streams(
            "8 B, one call each: spsc, rtrb",
            single,
            (peers::RTRB, Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, ringbuf",
            single,
            ("ringbuf", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, Boost spsc_queue",
            single,
            ("Boost spsc_queue", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, lecture's ring in C, 1024 slots",
            single,
            ("lecture in C, volatile", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, lecture's ring in C, 10 slots",
            single,
            ("lecture in C, volatile, 10 slots", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, shmem-ipc",
            single,
            ("shmem-ipc", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, iceoryx2",
            single,
            ("iceoryx2", Single),
            8,
        ),
        streams(
            "8 B, one call each: spsc, pipe",
            single,
            ("pipe", Single),
            8,
        ),
        streams(
            "8 B, batches: spsc contiguous, rtrb",
            (peers::SPSC_CONTIGUOUS, Batch),
            (peers::RTRB, Batch),
            8,
        ),
        streams(
            "8 B, in place: spsc contiguous, rtrb",
            in_place,
            (peers::RTRB, InPlace),
            8,
        ),
        streams(
            "64 B, one call each: spsc, rtrb",
            single,
            (peers::RTRB, Single),
            64,
        ),
        streams(
            "64 B, in place: spsc contiguous, rtrb",
            in_place,
            (peers::RTRB, InPlace),
            64,
        ),
        streams(
            "1 KiB, one call each: spsc, rtrb",
            single,
            (peers::RTRB, Single),
            1024,
        ),
        streams(
            "1 KiB, one call each: spsc, iceoryx2",
            single,
            ("iceoryx2", Single),
            1024,
        ),
        streams(
            "64 KiB, in place: spsc contiguous, rtrb",
            in_place,
            (peers::RTRB, InPlace),
            65536,
        ),
        streams(
            "64 KiB, in place: spsc contiguous, iceoryx2",
            in_place,
            ("iceoryx2", InPlace),
            65536,
        ),
        streams(
            "64 KiB: spsc contiguous in place, Unix stream socket",
            in_place,
            ("Unix stream socket", Batch),
            65536,
        ),
        trips("round trip p50: spsc, a bare cache line", peers::RAW_LINE),
        trips("round trip p50: spsc, rtrb", peers::RTRB),
        trips(
            "round trip p50: spsc, lecture's ring in C",
            "lecture in C, volatile",
        ),
        trips("round trip p50: spsc, iceoryx2", "iceoryx2"),
        trips("round trip p50: spsc, pipe", "pipe"),
        many("8 B, 1 + 1: mpmc, crossbeam ArrayQueue", Single, 1),
        many("8 B, 2 + 2: mpmc, crossbeam ArrayQueue", Single, 2),
        many("8 B, 4 + 4: mpmc, crossbeam ArrayQueue", Single, 4),
        many(
            "8 B, 2 + 2: mpmc in batches, crossbeam ArrayQueue",
            Batch,
            2,
        ),
    ]
}
