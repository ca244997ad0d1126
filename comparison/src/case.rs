//! What is measured: one case, what the processes of a measurement are told, and what they answer.

use serde::{Deserialize, Serialize};

/// How items go in and come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// One call per item.
    Single,
    /// One call for a quarter of the capacity, copied.
    Batch,
    /// One call for up to a quarter of the capacity, written and read where the items lie.
    InPlace,
}

/// What is done with the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Act {
    /// Items go one way as fast as they can.
    Stream,
    /// One item goes there, one comes back.
    RoundTrip,
    /// An item for a receiver that sleeps.
    Wake,
    /// A receiver that waits for nothing.
    Idle,
    /// Attaching to the channel and letting go, over and over.
    Attach,
    /// Making the channel and removing it, over and over.
    Create,
    /// Copying within one process.
    Copy,
}

/// How to wait for a channel that leaves that to its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Patience {
    /// One look after the other: two processes on two processors.
    Spin,
    /// Looks further and further apart, then yields: more processes than processors.
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
    pub act: Act,
    pub mode: Mode,
    pub bytes: usize,
    pub capacity: usize,
    /// For `Stream`: senders, and as many receivers. For `RoundTrip`: pairs at once, each with channels of its own.
    pub pairs: usize,
    pub patience: Patience,
    /// Items of a batch at most.
    pub batch_limit: usize,
    pub fault: Option<Fault>,
}

impl Case {
    pub fn new(contender: &str, act: Act, bytes: usize) -> Self {
        Self {
            contender: contender.to_string(),
            act,
            mode: Mode::Single,
            bytes,
            capacity: usual_capacity(bytes),
            pairs: 1,
            patience: Patience::Spin,
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

/// Which end a process or thread has. In a round trip the sender answers, and the receiver asks and keeps the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
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
    pub end: Option<End>,
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
    /// Nanoseconds per round trip of a bare cache line, before and after.
    pub probes: Option<[f64; 2]>,
    /// What else was measured, in an order that the act fixes.
    pub values: Vec<f64>,
    /// The memory that a channel takes.
    pub taken: Option<Taken>,
}
