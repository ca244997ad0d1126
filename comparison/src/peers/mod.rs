//! The contenders, one file per kind; the table says how each is used and what is worth knowing about it.

mod bare;
#[cfg(baseline)]
mod before;
#[cfg(boost)]
mod boost;
mod c_lecture;
mod handles;
mod iceoryx2;
mod ipc_channel;
mod kernel;
pub mod limits;
mod ours;
mod rings;
mod semaphores;
#[cfg(shaq)]
mod shaq;
mod shmem_ipc;
mod threads;

use crate::case::Mode::{self, Batch, InPlace, Outlined, Single, Value};
use crate::case::Workload;
use crate::workload::{Between, Driver, Inside};
use std::sync::LazyLock;
use std::time::Duration;
use sysvshm as api;

pub use ours::{attach_words, create_words};
#[cfg(not(baseline))]
pub use rings::SharedWords;

/// The words of an item in shared memory, for both versions of the crate.
#[cfg(baseline)]
pub trait SharedWords: rings::SharedWords + before::rings::SharedWords {}
#[cfg(baseline)]
impl<T: rings::SharedWords + before::rings::SharedWords> SharedWords for T {}

/// What `rings` and `handles` need to be told about this version's names: nothing.
mod renamed {}

/// How a receiver waits for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// In the kernel, by itself, after polling for a moment or at once.
    Sleeps,
    /// Not at all: its user polls.
    Polls,
}

pub struct Contender {
    pub name: &'static str,
    pub driver: Box<dyn Driver + Send>,
    /// How streams of items are measured; the other workloads use single calls.
    pub modes: &'static [Mode],
    pub waits: Waits,
    /// Whether several processes may send and several receive.
    pub many: bool,
    /// Whether another process attaches to it; else it inherits its endpoint, or all is in one process.
    pub attaches: bool,
    /// What it is measured in; everything usual if this is empty.
    pub only: &'static [Workload],
    /// What it is measured in besides.
    pub also: &'static [Workload],
    pub what: &'static str,
}

impl Contender {
    fn new(
        name: &'static str,
        driver: impl Driver + Send + 'static,
        modes: &'static [Mode],
        what: &'static str,
    ) -> Self {
        Self {
            name,
            driver: Box::new(driver),
            modes,
            waits: Waits::Polls,
            many: false,
            attaches: false,
            only: &[],
            also: &[],
            what,
        }
    }

    fn sleeps(self) -> Self {
        let waits = Waits::Sleeps;
        Self { waits, ..self }
    }

    fn many(self) -> Self {
        Self { many: true, ..self }
    }

    fn attaches(self) -> Self {
        let attaches = true;
        Self { attaches, ..self }
    }

    fn only(self, only: &'static [Workload]) -> Self {
        Self { only, ..self }
    }

    fn also(self, also: &'static [Workload]) -> Self {
        Self { also, ..self }
    }

    /// Whether it is measured in this, apart from what its machine allows.
    pub fn takes_part(&self, workload: Workload) -> bool {
        match workload {
            Workload::Alternate | Workload::OneThread | Workload::Share => {
                self.also.contains(&workload)
            }
            _ => self.only.is_empty() || self.only.contains(&workload),
        }
    }

    /// Whether it hands over items of any kind, and is no limit or part of that.
    pub fn is_channel(&self) -> bool {
        self.only.is_empty()
    }

    /// Whether this is an older version of the crate.
    pub fn is_before(&self) -> bool {
        self.name.ends_with(BEFORE)
    }
}

/// What stands after the names of an older version of the crate.
pub const BEFORE: &str = ", before";

pub const RAW_LINE: &str = "a bare cache line";
pub const RAW_FUTEX: &str = "a bare futex";
pub const RAW_FUTEX_SLICES: &str = "a bare futex, slices of 80 ms";
pub const RAW_MEMORY: [&str; 3] = [
    "bare memory",
    "bare memory, 16 pauses",
    "bare memory, 64 pauses",
];
pub const SEQUENCE_RING: &str = "a bare sequence ring";
pub const SEQUENCE_RING_16: &str = "a bare sequence ring, 16 pauses";
pub const RAW_SLOTS: &str = "plain loops over its slots";
pub const RAW_SEGMENT: &str = "a bare segment";
pub const SEGMENT: &str = "sysvshm segment";
pub const SEMAPHORES: &str = "System V semaphores";
pub const SPSC: &str = "sysvshm spsc";
pub const SPSC_CONTIGUOUS: &str = "sysvshm spsc, contiguous";
pub const SPSC_SPIN: &str = "sysvshm spsc, spinning";
pub const SPSC_SECOND: &str = "sysvshm spsc, liveness interval 1 s";
pub const MPMC: &str = "sysvshm mpmc";
pub const MPMC_YIELD: &str = "sysvshm mpmc, yielding";
pub const MPMC_HANDLES: &str = "sysvshm mpmc, many handles";
pub const LECTURE: &str = "sysvshm lecture";
pub const LECTURE_10: &str = "sysvshm lecture, 10 slots";
pub const RTRB: &str = "rtrb";
pub const RINGBUF: &str = "ringbuf";
pub const ARRAY_QUEUE: &str = "crossbeam ArrayQueue";
pub const SHAQ: &str = "shaq";

/// Either side alone, and both in one thread.
const ALONE: &[Workload] = &[Workload::Alternate, Workload::OneThread];
const ALONE_AND_SHARE: &[Workload] = &[Workload::Alternate, Workload::OneThread, Workload::Share];

/// The rings of one version of this crate: which modules drive them, and what stands after their names.
macro_rules! rings {
    ($rings:ident, $handles:ident, $suffix:expr) => {{
        let named = |name: &str| -> &'static str { format!("{name}{}", $suffix).leak() };
        let spsc = |layout, waiting| {
            Between($rings::Spsc {
                layout,
                waiting,
                interval: None,
            })
        };
        use $rings::{Layout, Waiting};
        [
            Contender::new(
                named(SPSC),
                spsc(Layout::Interleaved, Waiting::Sleep),
                &[Single, Outlined, Value, Batch],
                "this crate's ring for one producer and one consumer, its usual layout and way of waiting",
            )
            .sleeps()
            .attaches()
            .also(ALONE),
            Contender::new(
                named(SPSC_CONTIGUOUS),
                spsc(Layout::Contiguous, Waiting::Sleep),
                &[Single, Outlined, Batch, InPlace],
                "the same in the layout for batches and work in place",
            )
            .sleeps()
            .attaches()
            .also(ALONE),
            Contender::new(
                named(SPSC_SPIN),
                spsc(Layout::Interleaved, Waiting::Spin),
                &[Single],
                "the same in its usual layout, told never to sleep",
            )
            .attaches(),
            Contender::new(
                named(MPMC),
                Between($rings::Mpmc {
                    waiting: Waiting::Sleep,
                }),
                &[Single, Outlined, Batch, InPlace],
                "this crate's ring for many producers and many consumers",
            )
            .sleeps()
            .many()
            .attaches()
            .also(ALONE_AND_SHARE),
            Contender::new(
                named(MPMC_YIELD),
                Between($rings::Mpmc {
                    waiting: Waiting::Yield,
                }),
                &[Single],
                "the same, told to yield its processor instead of sleeping",
            )
            .many()
            .attaches()
            .only(&[Workload::Stream])
            .also(&[Workload::Share]),
            Contender::new(
                named(MPMC_HANDLES),
                $handles::Handles,
                &[],
                "the same with up to 500 handles, alive or dead",
            )
            .sleeps()
            .only(&[
                Workload::IdleAmong,
                Workload::PopNothing,
                Workload::Recover,
                Workload::Redeliver,
            ]),
        ]
    }};
}

pub static CONTENDERS: LazyLock<Vec<Contender>> = LazyLock::new(|| {
    let mut all: Vec<Contender> = rings!(rings, handles, "").into();
    all.push(checking_once_a_second());
    #[cfg(baseline)]
    {
        use before::{handles as old_handles, rings as old_rings};
        all.extend(rings!(old_rings, old_handles, BEFORE));
    }
    all.extend(own_lecture());
    all.extend(between_processes());
    all.extend(between_threads());
    all.extend(limits());
    all
});

/// A ring of which a dead peer may be noticed late.
fn checking_once_a_second() -> Contender {
    let driver = rings::Spsc {
        layout: rings::Layout::Interleaved,
        waiting: rings::Waiting::Sleep,
        interval: Some(Duration::from_secs(1)),
    };
    Contender::new(
        SPSC_SECOND,
        Between(driver),
        &[],
        "this crate's ring for one producer and one consumer, of which the receiver notices within a second instead \
         of 100 ms that the sender is dead",
    )
    .sleeps()
    .only(&[Workload::Idle])
}

/// The lecture's buffer, in Rust and in C.
fn own_lecture() -> Vec<Contender> {
    let rust = |name, slots, what| {
        Contender::new(name, Between(ours::Lecture { slots }), &[Single], what).attaches()
    };
    let c = |name, slots, atomic, what| {
        let driver = Between(c_lecture::CLecture { slots, atomic });
        Contender::new(name, driver, &[Single], what).attaches()
    };
    vec![
        rust(
            LECTURE,
            None,
            "the lecture's buffer in Rust, with as many slots as the others",
        ),
        rust(LECTURE_10, Some(10), "the same with the slides' 10"),
        c(
            "lecture in C, volatile",
            None,
            false,
            "the lecture's buffer in C at -O2, in and out `volatile int`",
        ),
        c(
            "lecture in C, _Atomic",
            None,
            true,
            "the same with `_Atomic int`, sequentially consistent",
        ),
        c(
            "lecture in C, volatile, 10 slots",
            Some(10),
            false,
            "the slides' own size",
        ),
    ]
}

fn between_processes() -> Vec<Contender> {
    vec![
        #[cfg(shaq)]
        Contender::new(
            SHAQ,
            Between(shaq::Shaq),
            &[Single, Outlined, Batch, InPlace],
            "its ring for one producer and one consumer in a memory file, polling; 2 lines of its set-up are \
             replaced, because they need a newer compiler",
        )
        .also(ALONE),
        #[cfg(boost)]
        Contender::new(
            "Boost spsc_queue",
            Between(boost::Spsc),
            &[Single, Batch],
            "boost::lockfree::spsc_queue of fixed capacity, constructed in a System V segment",
        )
        .attaches(),
        #[cfg(boost)]
        Contender::new(
            "Boost message_queue",
            Between(boost::MessageQueue),
            &[Single],
            "boost::interprocess::message_queue",
        )
        .sleeps()
        .many()
        .attaches(),
        Contender::new(
            "iceoryx2",
            Between(iceoryx2::Iceoryx2),
            &[Single, InPlace],
            "publish and subscribe, one of each, a full buffer blocks; in place: one loaned sample at a time. To \
             sleep, the receiver waits on an event service that the sender notifies",
        )
        .sleeps()
        .attaches(),
        Contender::new(
            "shmem-ipc",
            Between(shmem_ipc::ShmemIpc { sleeps: true }),
            &[Single, Batch, InPlace],
            "sharedring over memfd, sleeping on its eventfds",
        )
        .sleeps()
        .attaches(),
        Contender::new(
            "shmem-ipc, spinning",
            Between(shmem_ipc::ShmemIpc { sleeps: false }),
            &[Single, Batch, InPlace],
            "the same, polling",
        )
        .attaches(),
        Contender::new(
            "ipc-channel",
            Between(ipc_channel::IpcChannel),
            &[Single],
            "its channel of bytes",
        )
        .sleeps(),
        Contender::new(
            "pipe",
            Between(kernel::Pipe),
            &[Single, Batch],
            "write and read",
        )
        .sleeps()
        .many(),
        Contender::new(
            "Unix stream socket",
            Between(kernel::UnixStream),
            &[Single, Batch],
            "socketpair, SOCK_STREAM",
        )
        .sleeps(),
        Contender::new(
            "Unix seqpacket socket",
            Between(kernel::UnixSeqpacket),
            &[Single],
            "socketpair, SOCK_SEQPACKET",
        )
        .sleeps()
        .many(),
        Contender::new(
            "POSIX message queue",
            Between(kernel::PosixQueue),
            &[Single],
            "mq_send and mq_receive",
        )
        .sleeps()
        .many(),
        Contender::new(
            "System V message queue",
            Between(kernel::SysvQueue),
            &[Single],
            "msgsnd and msgrcv",
        )
        .sleeps()
        .many(),
        Contender::new(
            SEMAPHORES,
            Between(semaphores::Textbook),
            &[Single],
            "the textbook's bounded buffer in a segment, with semaphores for empty, full and mutual exclusion",
        )
        .sleeps()
        .many()
        .attaches(),
    ]
}

fn between_threads() -> Vec<Contender> {
    const MODES: &[Mode] = &[Single, Outlined, Value, Batch, InPlace];
    vec![
        Contender::new(
            RTRB,
            Inside(threads::Rtrb),
            MODES,
            "in one process: one producer, one consumer",
        )
        .also(ALONE),
        Contender::new(
            RINGBUF,
            Inside(threads::Ringbuf),
            MODES,
            "in one process: one producer, one consumer",
        )
        .also(ALONE),
        Contender::new(
            ARRAY_QUEUE,
            Inside(threads::ArrayQueue),
            &[Single, Outlined],
            "in one process: many producers, many consumers",
        )
        .many()
        .also(ALONE_AND_SHARE),
        Contender::new(
            "crossbeam channel",
            Inside(threads::CrossbeamChannel),
            &[Single],
            "in one process: many producers, many consumers, bounded",
        )
        .sleeps()
        .many()
        .also(&[Workload::Share]),
    ]
}

/// What nothing can beat.
fn limits() -> Vec<Contender> {
    let mailbox = |name, sleeps, slice, what| {
        let driver = Between(limits::Mailbox { sleeps, slice });
        Contender::new(name, driver, &[], what)
    };
    let memory = |name, pauses, what| {
        let driver = Between(limits::Blocks { pauses });
        Contender::new(name, driver, &[Single, Batch, InPlace], what)
            .only(&[Workload::Stream, Workload::RoundTrip])
    };
    let sequence = |name, pauses, what| {
        let driver = Between(bare::SequenceRing { pauses });
        Contender::new(name, driver, &[Single, Outlined], what)
            .only(&[Workload::Stream, Workload::RoundTrip])
    };
    let segment = |name, raw, what| {
        Contender::new(name, limits::Segments { raw }, &[], what)
            .attaches()
            .only(&[Workload::Create, Workload::Attach])
    };
    vec![
        mailbox(
            RAW_LINE,
            false,
            None,
            "the limit for round trips: one 8-byte word there, one back, and nothing else",
        )
        .only(&[Workload::RoundTrip]),
        mailbox(
            RAW_FUTEX,
            true,
            None,
            "the limit for waking: a word and FUTEX_WAKE",
        )
        .sleeps()
        .only(&[Workload::Wake, Workload::Idle]),
        mailbox(
            RAW_FUTEX_SLICES,
            true,
            Some(Duration::from_millis(80)),
            "the limit for waiting while a peer's life is watched: it wakes as often as this crate's rings, and \
             looks at nothing",
        )
        .sleeps()
        .only(&[Workload::Idle]),
        memory(
            RAW_MEMORY[0],
            1,
            "the limit for streams: two counters in a segment, plain loops that write and check; a pause between \
             two looks at the other's counter",
        ),
        memory(
            RAW_MEMORY[1],
            16,
            "the same, 16 pauses: better where looking disturbs the other side",
        ),
        memory(RAW_MEMORY[2], 64, "the same, 64 pauses"),
        sequence(
            SEQUENCE_RING,
            1,
            "the limit for rings of this kind: a word beside each item says which it is, and nothing is promised",
        )
        .also(ALONE),
        sequence(
            SEQUENCE_RING_16,
            16,
            "the same, 16 pauses between two looks of the receiver",
        ),
        Contender::new(
            RAW_SLOTS,
            Between(bare::Slots),
            &[],
            "the limit for either side alone: nothing asks whether there is room or an item",
        )
        .only(&[Workload::Alternate])
        .also(&[Workload::Alternate]),
        segment(
            RAW_SEGMENT,
            true,
            "the limit for setting up: shmget, shmat and IPC_STAT for the length; shmdt; IPC_RMID",
        ),
        segment(SEGMENT, false, "the same by this crate's `Segment`"),
    ]
}

pub fn find(name: &str) -> Option<&'static Contender> {
    CONTENDERS.iter().find(|contender| contender.name == name)
}

/// Removes what killed processes left.
pub fn clean_up_iceoryx2() {
    iceoryx2::clean_up();
}

/// What was not compiled in, and why.
pub fn left_out() -> Vec<String> {
    let mut lines = Vec::new();
    if !cfg!(boost) {
        let why = "built without Boost's headers (Debian: libboost-dev)";
        lines.push(format!("Boost spsc_queue, Boost message_queue: {why}"));
    }
    if !cfg!(shaq) {
        lines.push("shaq: not built by `comparison/run`, which prepares its source".to_string());
    }
    lines
}

/// Versions of the peers that are not crates.
pub fn boost_version() -> Option<String> {
    #[cfg(boost)]
    return Some(boost::version());
    #[cfg(not(boost))]
    None
}
