//! Where the participants of a measurement run and meet: processors, clocks, and words in shared memory.

use crate::case::{Case, Endpoint, Outcome};
use crate::peers::{attach_words, create_words};
use anyhow::{Context, Result};
use crossbeam_utils::Backoff;
use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};
use sysvshm::Segment;

/// Words on cache lines of their own.
const MET: usize = 0;
const PING: usize = 32;
const PONG: usize = 64;
const SENDERS_DONE: usize = 96;

/// Round trips of a probe.
pub const PROBE: u64 = 2000;

/// Where the participants of one measurement meet. It goes with the last of them.
pub struct Control {
    segment: Segment,
}

impl Control {
    pub fn create() -> Result<Self> {
        let segment = create_words()?;
        Ok(Self { segment })
    }

    pub fn attach(id: i32) -> Result<Self> {
        let segment = attach_words(id).context("the control segment")?;
        Ok(Self { segment })
    }

    pub fn id(&self) -> i32 {
        self.segment.id().as_raw()
    }

    #[inline(always)]
    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < 512, "4096 bytes are 512 words");
        // SAFETY: within the page, aligned, and every participant accesses it as an atomic word.
        unsafe { &*self.segment.as_ptr().cast::<AtomicU64>().add(index) }
    }

    /// How many have met: tells which participants are stuck.
    pub fn met(&self) -> u64 {
        self.word(MET).load(Ordering::Acquire)
    }
}

/// One participant among the others.
pub struct Participant<'a> {
    control: &'a Control,
    endpoint: Endpoint,
    /// How many meet.
    all: u64,
    meetings: u64,
}

impl<'a> Participant<'a> {
    /// Pins this thread to the processor of its endpoint.
    pub fn pinned(control: &'a Control, endpoint: Endpoint, case: &Case) -> Result<Self> {
        let cpus = processors()?;
        // The first pair on two processors; of further pairs, too, one on each.
        pin(match endpoint {
            Endpoint::Receiver(index) => cpus[index % 2],
            Endpoint::Sender(index) => cpus[(index + 1) % 2],
        })?;
        Ok(Self {
            control,
            endpoint,
            all: (case.senders + case.receivers) as u64,
            meetings: 0,
        })
    }

    /// Waits until all have come here.
    pub fn meet(&mut self) {
        self.meetings += 1;
        let met = self.control.word(MET);
        met.fetch_add(1, Ordering::AcqRel);
        let backoff = Backoff::new();
        while met.load(Ordering::Acquire) < self.all * self.meetings {
            if self.all > 2 {
                backoff.snooze()
            } else {
                spin_loop()
            }
        }
    }

    /// Counts this sender among those that are done, and returns how many are.
    pub fn count_sender_as_done(&self) -> u64 {
        let done = self.control.word(SENDERS_DONE);
        done.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// How far apart the two processors are just now: nanoseconds per round trip of a bare cache line. Receiver 0
    /// finds out with the help of sender 0, the others wait.
    pub fn probe(&mut self) -> Option<f64> {
        let (ping, pong) = (self.control.word(PING), self.control.word(PONG));
        let mut found = None;
        self.meet();
        match self.endpoint {
            Endpoint::Receiver(0) => {
                let began = now();
                for round in 1..=PROBE {
                    ping.store(round, Ordering::Release);
                    while pong.load(Ordering::Acquire) != round {
                        spin_loop();
                    }
                }
                found = Some((now() - began) as f64 / PROBE as f64);
            }
            Endpoint::Sender(0) => {
                for round in 1..=PROBE {
                    while ping.load(Ordering::Acquire) != round {
                        spin_loop();
                    }
                    pong.store(round, Ordering::Release);
                }
            }
            _ => {}
        }
        self.meet();
        if let Endpoint::Receiver(0) = self.endpoint {
            ping.store(0, Ordering::Relaxed);
            pong.store(0, Ordering::Relaxed);
        }
        self.meet();
        found
    }

    /// Probes before and after.
    pub fn bracketed(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<Outcome>,
    ) -> Result<Outcome> {
        let before = self.probe();
        let mut outcome = work(self)?;
        self.meet();
        let after = self.probe();
        outcome.probes = before.zip(after).map(|(before, after)| [before, after]);
        Ok(outcome)
    }
}

/// The two processors to use: the first two that this process may use.
pub fn processors() -> Result<[usize; 2]> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu));
    cpus.next()
        .zip(cpus.next())
        .map(|(first, second)| [first, second])
        .context("two processors are needed")
}

pub fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).context("pinning to a processor")
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds on the clock that all processes share.
#[inline(always)]
pub fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Nanoseconds of processor time of this thread.
pub fn thread_time() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// Nanoseconds of processor time of this process, all its threads.
pub fn processor_time() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}
