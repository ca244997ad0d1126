//! Where a measurement takes place: processors, clocks, and the words at which its processes meet.

use crate::case::{End, Outcome};
use anyhow::{Context, Result};
use crossbeam_utils::Backoff;
use rustix::thread::CpuSet;
use rustix::time::{ClockId, clock_gettime};
use std::hint::spin_loop;
use std::sync::atomic::Ordering;
use sysvshm::{Key, Removal, Segment, SegmentId, SegmentOptions, SharedSlice};

/// Words on cache lines of their own.
const MET: usize = 0;
const PING: usize = 32;
const PONG: usize = 64;

/// Round trips of a probe.
pub const PROBE: u64 = 2000;

/// Where the processes of one measurement meet. It goes with the last of them.
pub struct Control {
    segment: Segment,
}

impl Control {
    pub fn create() -> Result<Self> {
        let mut options = SegmentOptions::new();
        options.size_bytes(4096).removal(Removal::OnceAttached);
        Ok(Self {
            segment: options.create_new(Key::PRIVATE)?,
        })
    }

    pub fn attach(id: i32) -> Result<Self> {
        let segment = SegmentId::from_raw(id)
            .attach()
            .context("the control segment")?;
        Ok(Self { segment })
    }

    pub fn id(&self) -> i32 {
        self.segment.id().as_raw()
    }

    fn words(&self) -> SharedSlice<'_, u64> {
        self.segment
            .slice(0, 512)
            .expect("4096 bytes are 512 words")
    }

    /// How many have met: tells who is stuck.
    pub fn met(&self) -> u64 {
        self.words().at(MET).atomic_load(Ordering::Acquire)
    }
}

/// One participant's place among the others.
pub struct Place<'a> {
    control: &'a Control,
    end: End,
    /// How many meet.
    all: u64,
    meetings: u64,
}

impl<'a> Place<'a> {
    /// Pins this thread, too.
    pub fn take(control: &'a Control, end: End, pairs: usize) -> Result<Self> {
        let cpus = processors()?;
        // The first pair on two processors; of further pairs, too, one on each.
        pin(match end {
            End::Receiver(index) => cpus[index % 2],
            End::Sender(index) => cpus[(index + 1) % 2],
        })?;
        Ok(Self {
            control,
            end,
            all: 2 * pairs as u64,
            meetings: 0,
        })
    }

    /// Waits until all have come here.
    pub fn meet(&mut self) {
        self.meetings += 1;
        let words = self.control.words();
        words.at(MET).fetch_add(1, Ordering::AcqRel);
        let backoff = Backoff::new();
        while words.at(MET).atomic_load(Ordering::Acquire) < self.all * self.meetings {
            if self.all > 2 {
                backoff.snooze()
            } else {
                spin_loop()
            }
        }
    }

    /// How far apart the two processors are just now: nanoseconds per round trip of a bare cache line. Receiver 0
    /// finds out with the help of sender 0, the others wait.
    pub fn probe(&mut self) -> Option<f64> {
        let words = self.control.words();
        let mut found = None;
        self.meet();
        match self.end {
            End::Receiver(0) => {
                let began = now();
                for round in 1..=PROBE {
                    words.at(PING).atomic_store(round, Ordering::Release);
                    while words.at(PONG).atomic_load(Ordering::Acquire) != round {
                        spin_loop();
                    }
                }
                found = Some((now() - began) as f64 / PROBE as f64);
            }
            End::Sender(0) => {
                for round in 1..=PROBE {
                    while words.at(PING).atomic_load(Ordering::Acquire) != round {
                        spin_loop();
                    }
                    words.at(PONG).atomic_store(round, Ordering::Release);
                }
            }
            _ => {}
        }
        self.meet();
        if let End::Receiver(0) = self.end {
            words.at(PING).atomic_store(0, Ordering::Relaxed);
            words.at(PONG).atomic_store(0, Ordering::Relaxed);
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

/// Nanoseconds of processor time of this process, all its threads.
pub fn processor_time() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}
