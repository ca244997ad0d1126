//! Two pinned processes, the words they meet at, and the probe.

use crate::contenders::Contender;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Instant;
use sysvshm::{Key, Removal, Segment, SegmentId, SegmentOptions, SharedSlice};

/// What the worker process finds in its environment.
pub(crate) const WORKER: &str = "SYSVSHM_BENCH_WORKER";
pub(crate) const CONSUMER_CPU: usize = 0;
pub(crate) const PRODUCER_CPU: usize = 1;

/// Words on lines of their own, in a segment that goes with the two processes.
pub(crate) struct Control {
    segment: Segment,
}

/// Indexes of words, 16 words apart.
const START: usize = 0;
pub(crate) const PING: usize = 16;
pub(crate) const PONG: usize = 32;
pub(crate) const RESULT: usize = 48;
/// From here on pairs of lines for a longer ping-pong.
const LINES: usize = 64;
/// How many pairs. What one line costs depends on where between the processors it is at home, by half of it.
const PAIRS: usize = 128;
const WORDS: usize = LINES + PAIRS * 32;

impl Control {
    pub(crate) fn create() -> Self {
        let mut options = SegmentOptions::new();
        options.size_bytes(8 * WORDS).removal(Removal::OnceAttached);
        Self {
            segment: options.create_new(Key::PRIVATE).unwrap(),
        }
    }

    pub(crate) fn words(&self) -> SharedSlice<'_, u64> {
        self.segment.slice(0, WORDS).unwrap()
    }

    /// Both sides meet here before a measurement: whoever comes first waits.
    pub(crate) fn meet(&self, round: u64) {
        let words = self.words();
        words.fetch_add(START, 1, Ordering::AcqRel);
        while words.load(START, Ordering::Acquire) < 2 * round {
            std::hint::spin_loop();
        }
    }
}

pub(crate) fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        eprintln!("not pinned to processor {cpu}: {error}");
    }
}

/// The other process, and how many times both have met.
pub(crate) struct Worker {
    child: Child,
    to: ChildStdin,
    rounds: u64,
}

impl Worker {
    pub(crate) fn start(control: &Control) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(WORKER, control.segment.id().as_raw().to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        Self {
            child,
            to,
            rounds: 0,
        }
    }

    /// Tells the worker to run its end of a contender on this segment, and meets it.
    pub(crate) fn begin(&mut self, control: &Control, name: &str, ids: [i32; 2], count: u64) {
        self.rounds += 1;
        writeln!(
            self.to,
            "{name}\t{}\t{}\t{count}\t{}",
            ids[0], ids[1], self.rounds
        )
        .unwrap();
        control.meet(self.rounds);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The worker process: reads what to run, line by line.
pub(crate) fn work(id: &str, contenders: &[Contender]) {
    pin(PRODUCER_CPU);
    let id = SegmentId::from_raw(id.parse().unwrap());
    let control = Control {
        segment: id.attach().unwrap(),
    };
    for line in BufReader::new(std::io::stdin()).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split('\t').collect();
        let ids = [words[1].parse().unwrap(), words[2].parse().unwrap()];
        let (count, round) = (words[3].parse().unwrap(), words[4].parse().unwrap());
        if words[0] == "probe" {
            control.meet(round);
            answer(&control, true, count);
        } else {
            let contender = contenders
                .iter()
                .find(|other| other.name == words[0])
                .unwrap();
            (contender.worker)(&control, ids, count, &|| control.meet(round));
        }
    }
}

/// The lines of a round: of the probe, or those of the longer ping-pong in turn.
fn pair(probe: bool, round: u64) -> (usize, usize) {
    if probe {
        (PING, PONG)
    } else {
        let at = LINES + 32 * (round as usize % PAIRS);
        (at, at + 16)
    }
}

/// Answers `count` pings on raw cache lines.
pub(crate) fn answer(control: &Control, probe: bool, count: u64) {
    let words = control.words();
    for round in 1..=count {
        let (ping, pong) = pair(probe, round);
        while words.load(ping, Ordering::Acquire) != round {
            std::hint::spin_loop();
        }
        words.store(pong, round, Ordering::Release);
    }
}

/// Sends `count` pings; nanoseconds per round trip.
pub(crate) fn ping(control: &Control, probe: bool, count: u64) -> f64 {
    let words = control.words();
    let started = Instant::now();
    for round in 1..=count {
        let (ping, pong) = pair(probe, round);
        words.store(ping, round, Ordering::Release);
        while words.load(pong, Ordering::Acquire) != round {
            std::hint::spin_loop();
        }
    }
    let took = started.elapsed();
    for round in 0..PAIRS as u64 {
        let (ping, pong) = pair(probe, round);
        words.store(ping, 0, Ordering::Relaxed);
        words.store(pong, 0, Ordering::Relaxed);
    }
    took.as_nanos() as f64 / count as f64
}

/// Nanoseconds per round trip on a raw cache line, now.
pub(crate) fn probe(control: &Control, worker: &mut Worker) -> f64 {
    let count = 2000;
    worker.begin(control, "probe", [0, 0], count);
    ping(control, true, count)
}
