//! Who is compared. One file per kind; the table says how each is used and what is worth knowing about it.

#[cfg(boost)]
mod boost;
mod c_lecture;
mod iceoryx2;
mod ipc_channel;
mod kernel;
pub mod limits;
mod ours;
mod semaphores;
mod shmem_ipc;
mod threads;

use crate::act::{Between, Inside, Performer};
use crate::case::Act;
use crate::case::Mode::{self, Batch, InPlace, Single};
use sysvshm::bounded_buffer::{Waiting, spsc::Layout};

/// How a receiver waits for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// In the kernel, by itself, after looking for a moment or at once.
    Sleeps,
    /// Not at all: its user looks again and again.
    Polls,
}

pub struct Contender {
    pub name: &'static str,
    pub performer: &'static dyn Performer,
    /// How streams of items are measured; the other measures use single calls.
    pub modes: &'static [Mode],
    pub waits: Waits,
    /// Whether several processes may send and several receive.
    pub many: bool,
    /// Whether another process attaches to it; else it inherits its end, or all is in one process.
    pub attaches: bool,
    /// What it is measured in; everything if this is empty.
    pub only: &'static [Act],
    pub what: &'static str,
}

impl Contender {
    /// Whether it is measured in this, apart from what its machine allows.
    pub fn takes_part(&self, act: Act) -> bool {
        self.only.is_empty() || self.only.contains(&act)
    }

    /// Whether it hands over items of any kind, and is no limit or part of that.
    pub fn is_channel(&self) -> bool {
        self.only.is_empty()
    }
}

use Waits::{Polls, Sleeps};

pub const RAW_LINE: &str = "a bare cache line";
pub const RAW_FUTEX: &str = "a bare futex";
pub const RAW_MEMORY: &str = "bare memory";
pub const RAW_SEGMENT: &str = "a bare segment";
pub const SEGMENT: &str = "sysvshm segment";
pub const SEMAPHORES: &str = "System V semaphores";
pub const SPSC: &str = "sysvshm spsc";
pub const SPSC_CONTIGUOUS: &str = "sysvshm spsc, contiguous";
pub const SPSC_SPIN: &str = "sysvshm spsc, spinning";
pub const MPMC: &str = "sysvshm mpmc";
pub const LECTURE: &str = "sysvshm lecture";
pub const LECTURE_10: &str = "sysvshm lecture, 10 slots";
pub const RTRB: &str = "rtrb";
pub const ARRAY_QUEUE: &str = "crossbeam ArrayQueue";

pub const CONTENDERS: &[Contender] = &[
    Contender {
        name: SPSC,
        performer: &Between(ours::Spsc {
            layout: Layout::Interleaved,
            waiting: Waiting::Sleep,
        }),
        modes: &[Single, Batch],
        waits: Sleeps,
        many: false,
        attaches: true,
        only: &[],
        what: "this crate's ring for one producer and one consumer, its usual layout and way of waiting",
    },
    Contender {
        name: SPSC_CONTIGUOUS,
        performer: &Between(ours::Spsc {
            layout: Layout::Contiguous,
            waiting: Waiting::Sleep,
        }),
        modes: &[Single, Batch, InPlace],
        waits: Sleeps,
        many: false,
        attaches: true,
        only: &[],
        what: "the same in the layout for batches and work in place",
    },
    Contender {
        name: SPSC_SPIN,
        performer: &Between(ours::Spsc {
            layout: Layout::Interleaved,
            waiting: Waiting::Spin,
        }),
        modes: &[Single],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the same in its usual layout, told never to sleep",
    },
    Contender {
        name: MPMC,
        performer: &Between(ours::Mpmc {
            waiting: Waiting::Sleep,
        }),
        modes: &[Single, Batch, InPlace],
        waits: Sleeps,
        many: true,
        attaches: true,
        only: &[],
        what: "this crate's ring for many producers and many consumers",
    },
    Contender {
        name: LECTURE,
        performer: &Between(ours::Lecture { slots: None }),
        modes: &[Single],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the lecture's buffer in Rust, with as many slots as the others",
    },
    Contender {
        name: LECTURE_10,
        performer: &Between(ours::Lecture { slots: Some(10) }),
        modes: &[Single],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the same with the slides' 10",
    },
    Contender {
        name: "lecture in C, volatile",
        performer: &Between(c_lecture::CLecture {
            slots: None,
            atomic: false,
        }),
        modes: &[Single],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the lecture's buffer in C at -O2, in and out `volatile int`",
    },
    Contender {
        name: "lecture in C, _Atomic",
        performer: &Between(c_lecture::CLecture {
            slots: None,
            atomic: true,
        }),
        modes: &[Single],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the same with `_Atomic int`, sequentially consistent",
    },
    Contender {
        name: "lecture in C, volatile, 10 slots",
        performer: &Between(c_lecture::CLecture {
            slots: Some(10),
            atomic: false,
        }),
        modes: &[Single],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the slides' own size",
    },
    #[cfg(boost)]
    Contender {
        name: "Boost spsc_queue",
        performer: &Between(boost::Spsc),
        modes: &[Single, Batch],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "boost::lockfree::spsc_queue of fixed capacity, constructed in a System V segment",
    },
    #[cfg(boost)]
    Contender {
        name: "Boost message_queue",
        performer: &Between(boost::MessageQueue),
        modes: &[Single],
        waits: Sleeps,
        many: true,
        attaches: true,
        only: &[],
        what: "boost::interprocess::message_queue",
    },
    Contender {
        name: "iceoryx2",
        performer: &Between(iceoryx2::Iceoryx2),
        modes: &[Single, InPlace],
        waits: Sleeps,
        many: false,
        attaches: true,
        only: &[],
        what: "publish and subscribe, one of each, a full buffer blocks; in place: one loaned sample at a time. To \
               sleep, the receiver waits on an event service that the sender notifies",
    },
    Contender {
        name: "shmem-ipc",
        performer: &Between(shmem_ipc::ShmemIpc { sleeps: true }),
        modes: &[Single, Batch, InPlace],
        waits: Sleeps,
        many: false,
        attaches: true,
        only: &[],
        what: "sharedring over memfd, sleeping on its eventfds",
    },
    Contender {
        name: "shmem-ipc, spinning",
        performer: &Between(shmem_ipc::ShmemIpc { sleeps: false }),
        modes: &[Single, Batch, InPlace],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[],
        what: "the same, looking again and again",
    },
    Contender {
        name: "ipc-channel",
        performer: &Between(ipc_channel::IpcChannel),
        modes: &[Single],
        waits: Sleeps,
        many: false,
        attaches: false,
        only: &[],
        what: "its channel of bytes",
    },
    Contender {
        name: "pipe",
        performer: &Between(kernel::Pipe),
        modes: &[Single, Batch],
        waits: Sleeps,
        many: true,
        attaches: false,
        only: &[],
        what: "write and read",
    },
    Contender {
        name: "Unix stream socket",
        performer: &Between(kernel::UnixStream),
        modes: &[Single, Batch],
        waits: Sleeps,
        many: false,
        attaches: false,
        only: &[],
        what: "socketpair, SOCK_STREAM",
    },
    Contender {
        name: "Unix seqpacket socket",
        performer: &Between(kernel::UnixSeqpacket),
        modes: &[Single],
        waits: Sleeps,
        many: true,
        attaches: false,
        only: &[],
        what: "socketpair, SOCK_SEQPACKET",
    },
    Contender {
        name: "POSIX message queue",
        performer: &Between(kernel::PosixQueue),
        modes: &[Single],
        waits: Sleeps,
        many: true,
        attaches: false,
        only: &[],
        what: "mq_send and mq_receive",
    },
    Contender {
        name: "System V message queue",
        performer: &Between(kernel::SysvQueue),
        modes: &[Single],
        waits: Sleeps,
        many: true,
        attaches: false,
        only: &[],
        what: "msgsnd and msgrcv",
    },
    Contender {
        name: SEMAPHORES,
        performer: &Between(semaphores::Textbook),
        modes: &[Single],
        waits: Sleeps,
        many: true,
        attaches: true,
        only: &[],
        what: "the textbook's bounded buffer in a segment, with semaphores for empty, full and mutual exclusion",
    },
    Contender {
        name: RTRB,
        performer: &Inside(threads::Rtrb),
        modes: &[Single, Batch, InPlace],
        waits: Polls,
        many: false,
        attaches: false,
        only: &[],
        what: "in one process: one producer, one consumer",
    },
    Contender {
        name: "ringbuf",
        performer: &Inside(threads::Ringbuf),
        modes: &[Single, Batch, InPlace],
        waits: Polls,
        many: false,
        attaches: false,
        only: &[],
        what: "in one process: one producer, one consumer",
    },
    Contender {
        name: ARRAY_QUEUE,
        performer: &Inside(threads::ArrayQueue),
        modes: &[Single],
        waits: Polls,
        many: true,
        attaches: false,
        only: &[],
        what: "in one process: many producers, many consumers",
    },
    Contender {
        name: "crossbeam channel",
        performer: &Inside(threads::CrossbeamChannel),
        modes: &[Single],
        waits: Sleeps,
        many: true,
        attaches: false,
        only: &[],
        what: "in one process: many producers, many consumers, bounded",
    },
    Contender {
        name: RAW_LINE,
        performer: &Between(limits::Mailbox { sleeps: false }),
        modes: &[],
        waits: Polls,
        many: false,
        attaches: false,
        only: &[Act::RoundTrip],
        what: "the limit for round trips: one 8-byte word there, one back, and nothing else",
    },
    Contender {
        name: RAW_FUTEX,
        performer: &Between(limits::Mailbox { sleeps: true }),
        modes: &[],
        waits: Sleeps,
        many: false,
        attaches: false,
        only: &[Act::Wake, Act::Idle],
        what: "the limit for waking: a word and FUTEX_WAKE",
    },
    Contender {
        name: RAW_MEMORY,
        performer: &Between(limits::Blocks),
        modes: &[InPlace],
        waits: Polls,
        many: false,
        attaches: false,
        only: &[Act::Stream],
        what: "the limit for streams in place: two counters in a segment, plain loops that write and check",
    },
    Contender {
        name: RAW_SEGMENT,
        performer: &limits::Segments { raw: true },
        modes: &[],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[Act::Create, Act::Attach],
        what: "the limit for setting up: shmget, shmat and IPC_STAT for the length; shmdt; IPC_RMID",
    },
    Contender {
        name: SEGMENT,
        performer: &limits::Segments { raw: false },
        modes: &[],
        waits: Polls,
        many: false,
        attaches: true,
        only: &[Act::Create, Act::Attach],
        what: "the same by this crate's `Segment`",
    },
];

pub fn find(name: &str) -> Option<&'static Contender> {
    CONTENDERS.iter().find(|contender| contender.name == name)
}

/// Removes what killed processes left.
pub fn clean_up_iceoryx2() {
    iceoryx2::clean_up();
}

/// What was not compiled in, and why.
pub fn left_out() -> Vec<String> {
    if cfg!(boost) {
        Vec::new()
    } else {
        let why = "built without Boost's headers (Debian: libboost-dev)";
        vec![format!("Boost spsc_queue, Boost message_queue: {why}")]
    }
}

/// Versions of the peers that are not crates.
pub fn boost_version() -> Option<String> {
    #[cfg(boost)]
    return Some(boost::version());
    #[cfg(not(boost))]
    None
}
