//! What is measured: one case, what the processes of a measurement are told, and what they answer.

use serde::{Deserialize, Serialize};

/// How items go in and come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// One call per item, compiled into the loop that makes the items.
    Single,
    /// One call per item in a function of its own, as compilers leave a call that a program makes at two places.
    Outlined,
    /// One call per item, large items by value, too.
    Value,
    /// One call for a quarter of the capacity, copied.
    Batch,
    /// One call for up to a quarter of the capacity, written and read where the items lie.
    InPlace,
}

/// What is done with the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Workload {
    /// Items go one way as fast as they can.
    Stream,
    /// The sender fills the channel while the receiver waits, then the receiver drains it while the sender waits.
    Alternate,
    /// One thread has both endpoints, and sends and receives in turn.
    OneThread,
    /// All send and receive for a fixed time: how even their shares are.
    Share,
    /// One item goes there, one comes back.
    RoundTrip,
    /// An item for a receiver that sleeps.
    Wake,
    /// A receiver that waits for nothing.
    Idle,
    /// A sender whose receiver takes 20 microseconds for each item.
    SlowReceiver,
    /// Attaching to the channel and letting go, over and over.
    Attach,
    /// Making the channel and removing it, over and over.
    Create,
    /// Copying within one process.
    Copy,
    /// One of many handles of one process waits for nothing.
    IdleAmong,
    /// Takes with a timeout of zero from an empty channel that has many handles.
    PopNothing,
    /// Recovers handles of processes that were killed, each with an item in its hands.
    Recover,
    /// Takes what a killed receiver had in its hands.
    Redeliver,
}

/// How to wait for a channel that leaves that to its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Polling {
    /// Polls with one pause instruction in between: two processes on two processors.
    Spin,
    /// Polls at growing intervals, then yields: more processes than processors.
    Yield,
}

/// A mistake made on purpose, to see that it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// One item in the middle is not sent.
    Lost,
    /// The last item is not sent.
    LastLost,
    /// One item is sent twice.
    Doubled,
    /// One item's last word is another's (of an item of one word: the word).
    Torn,
}

/// One thing to measure.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Case {
    /// The contender's name.
    pub contender: String,
    pub workload: Workload,
    pub mode: Mode,
    pub bytes: usize,
    pub capacity: usize,
    /// For `RoundTrip`: pairs at once, each with channels of its own, and as many receivers.
    pub senders: usize,
    pub receivers: usize,
    /// How many handles the channel has, where that is what is measured.
    pub handles: usize,
    /// Processes that have them.
    pub processes: usize,
    pub polling: Polling,
    /// Items of a batch at most.
    pub batch_limit: usize,
    pub fault: Option<Fault>,
}

impl Workload {
    /// Whether each participant measures entries of its own, the others zero.
    pub fn adds_up(self) -> bool {
        matches!(self, Self::Alternate | Self::Share | Self::SlowReceiver)
    }

    /// In every how many passes it is measured: seldom what takes seconds.
    pub fn every(self) -> usize {
        match self {
            Self::Idle | Self::IdleAmong => 3,
            Self::Share | Self::Recover | Self::Redeliver => 5,
            _ => 1,
        }
    }

    /// Whether one process does it alone.
    pub fn is_alone(self) -> bool {
        matches!(
            self,
            Self::Attach
                | Self::Create
                | Self::Copy
                | Self::OneThread
                | Self::IdleAmong
                | Self::PopNothing
                | Self::Recover
                | Self::Redeliver
        )
    }
}

impl Case {
    pub fn new(contender: &str, workload: Workload, bytes: usize) -> Self {
        Self {
            contender: contender.to_string(),
            workload,
            mode: Mode::Single,
            bytes,
            capacity: usual_capacity(bytes),
            senders: 1,
            receivers: 1,
            handles: 2,
            processes: 1,
            polling: Polling::Spin,
            batch_limit: 256,
            fault: None,
        }
    }

    /// How many items a batch has.
    pub fn batch(&self) -> usize {
        (self.capacity / 4).clamp(1, self.batch_limit)
    }
}

/// 1024 items, or as many as make 1 MiB.
pub fn usual_capacity(bytes: usize) -> usize {
    ((1 << 20) / bytes).min(1024)
}

/// Which endpoint a process or thread has. In a round trip the sender answers, and the receiver asks and keeps the
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    Sender(usize),
    Receiver(usize),
}

/// What a channel's maker tells those who attach to it: names, identifiers, numbers of file descriptors.
pub type Handle = Vec<String>;

/// What a process of a measurement is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub case: Case,
    /// One; for round trips there and back, pair by pair.
    pub handles: Vec<Handle>,
    /// The identifier of the segment where all meet.
    pub control: i32,
    /// Nothing: both, in threads, or alone.
    pub endpoint: Option<Endpoint>,
    /// Items, round trips, wake-ups or repetitions.
    pub count: u64,
}

/// Shared memory, or what stands for it, that one channel takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub bytes: u64,
    /// How it is known.
    pub source: String,
}

/// What a process of a measurement found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// When the measured part began and ended, in nanoseconds of the monotonic clock.
    pub began_ns: u64,
    pub ended_ns: u64,
    /// Items received and their numbers' sum, where the order between senders is open.
    pub received: u64,
    pub sum: u64,
    /// The same of what was sent, where the clock decides how many that are.
    pub sent: u64,
    pub sent_sum: u64,
    /// Nanoseconds per round trip of a bare cache line, before and after.
    pub probes: Option<[f64; 2]>,
    /// What else was measured, in an order that the workload fixes. Those of several participants are averaged, or
    /// added up where each has entries of its own.
    pub values: Vec<f64>,
    /// The memory that a channel takes.
    pub taken: Option<Taken>,
}

impl Outcome {
    /// Whether this participant measured anything.
    pub fn says_something(&self) -> bool {
        self.ended_ns != 0 || !self.values.is_empty()
    }
}
