//! A pool of worker processes on one ring, killed with SIGKILL while they work, and not one job lost.
//!
//! ```text
//! $ cargo run --example workers -- [OPTION...]     --help lists them
//! ```
//!
//! This process pushes numbered jobs into an `mpmc` ring; worker processes take them, work, and store the results
//! in a second segment. Every now and then one of them is killed, wherever it is, and replaced. What makes that
//! harmless:
//!
//! ```text
//! peek              the job stays in the ring, claimed by this worker
//! work
//! store the result  in the segment of results
//! linger            a millisecond, so that some kills come here: not what a real worker would do
//! release           now the job is out of the ring
//! ```
//!
//! A worker that is killed before the release has released nothing: the ring delivers its job again, to whoever
//! asks next. So each job is done *at least* once. It is done twice if the kill comes between storing and
//! releasing: the work must bear that, as this does, whose second result overwrites the first with the same number.
//! The account at the end says how often it happened:
//!
//! ```text
//! jobs         1000 of 1000 done, all results right
//! kills        22 workers killed and replaced
//! redelivered  20 jobs begun again after their worker was killed
//! done twice   1 job, killed between storing and releasing
//! ```
//!
//! Both segments are marked for removal as soon as they exist, so the kernel removes them when the last process is
//! gone, however that ends: a normal end, Ctrl-C, SIGKILL to this process. (Workers find them by identifier, which
//! works on Linux alone.) If this process is killed alone, its workers finish what is in the ring and end. What a
//! killed worker can leave is a [token](sysvshm::bounded_buffer#liveness), if it is killed within microseconds of
//! joining the ring: those are looked for after each kill.

#[path = "cli/mod.rs"]
mod cli;

use cli::{Arguments, Misuse};
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Options, PopError};
use sysvshm::bytemuck::{Pod, Zeroable};
use sysvshm::{Key, Removal, SegmentId, SegmentOptions, SharedArray, system};

/// What is to be done: count the steps of the Collatz sequence from this number to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
struct Job {
    /// Where its result goes.
    index: u64,
    start: u64,
}

impl Job {
    fn new(index: u64) -> Self {
        let start = 1_000_000 + index * 7919;
        Self { index, start }
    }

    fn result(self) -> u64 {
        let mut n = self.start;
        let mut steps = 0;
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
        }
        steps
    }
}

/// What is known of a job, as eight-byte words side by side in the segment of results.
const WORDS_PER_JOB: usize = 3;
/// How often a worker began it.
const BEGUN: usize = 0;
/// How often a result was stored.
const STORED: usize = 1;
/// The result.
const RESULT: usize = 2;

type Results = SharedArray<u64>;

fn main() -> ExitCode {
    cli::run(include_str!("help/workers.txt"), |mut arguments| {
        // Started by the supervisor below, never by a person.
        if arguments.flag("--worker") {
            work(arguments)
        } else {
            supervise(&Settings::parse(arguments)?)
        }
    })
}

/// A worker: takes jobs until the supervisor has no more of them.
fn work(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let missing = || Misuse::new("--worker is for the supervisor");
    let ring = arguments.number_operand()?.ok_or_else(missing)?;
    let results = arguments.number_operand()?.ok_or_else(missing)?;
    let work_ms = arguments.number_operand()?.ok_or_else(missing)?;
    let linger_ms = arguments.number_operand()?.ok_or_else(missing)?;
    let ring: BoundedBuffer<Job> = Options::new().attach(SegmentId::from_raw(ring))?;
    let segment = SegmentId::from_raw(results).attach()?;
    let results = Results::from_segment(segment)?;
    let pause = Duration::from_millis(work_ms);
    let linger = Duration::from_millis(linger_ms);
    let mut consumer = ring.consumer()?;
    // Ends when the supervisor has gone and the ring is drained; jobs that others are at count as there.
    consumer.notice_departure(true);
    loop {
        let peek = match consumer.peek(1) {
            Ok(peek) => peek,
            Err(PopError::PeerLeft) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let job = peek.get(0);
        let at = usize::try_from(job.index)? * WORDS_PER_JOB;
        results.view().at(at + BEGUN).fetch_add(1, Relaxed);
        let result = job.result();
        thread::sleep(pause);
        // Release: whoever sees it counted as stored sees the result.
        results.view().at(at + RESULT).atomic_store(result, Relaxed);
        results.view().at(at + STORED).fetch_add(1, Release);
        thread::sleep(linger);
        // Killed up to here, the job is delivered again; from here on it is done.
        peek.release(1)?;
    }
}

/// The pool: workers by their places. Dropping it ends them.
struct Pool {
    program: PathBuf,
    arguments: [String; 4],
    workers: Vec<Child>,
    tokens_removed: usize,
}

impl Pool {
    fn start(count: usize, arguments: [String; 4]) -> Result<Self, Box<dyn Error>> {
        let mut pool = Self {
            program: std::env::current_exe()?,
            arguments,
            workers: Vec::new(),
            tokens_removed: 0,
        };
        for _ in 0..count {
            pool.workers.push(pool.spawn()?);
        }
        Ok(pool)
    }

    fn spawn(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        let command = command.arg("--worker").args(&self.arguments);
        command.stdin(Stdio::null()).spawn()
    }

    /// SIGKILL to the worker in this place, and another one into it.
    fn kill_and_replace(&mut self, place: usize) -> Result<(), Box<dyn Error>> {
        self.workers[place].kill()?;
        self.replace(place)
    }

    fn replace(&mut self, place: usize) -> Result<(), Box<dyn Error>> {
        let successor = self.spawn()?;
        let mut victim = std::mem::replace(&mut self.workers[place], successor);
        victim.wait()?;
        // Killed in the few microseconds in which it made its token? Then that is still there. Its creator is a
        // child of this process and dead for sure, so it need not be of any age.
        for token in system::abandoned_tokens(Duration::ZERO)? {
            if token.status().creator_pid() == Some(victim.id()) && token.remove()? {
                self.tokens_removed += 1;
            }
        }
        Ok(())
    }

    /// Replaces those whom somebody else has killed, and says how many. One that has ended by itself is a bug: the
    /// last job is not done.
    fn replace_the_dead(&mut self) -> Result<usize, Box<dyn Error>> {
        let mut replaced = 0;
        for place in 0..self.workers.len() {
            match self.workers[place].try_wait()? {
                None => {}
                Some(status) if status.signal().is_some() => {
                    self.replace(place)?;
                    replaced += 1;
                }
                Some(status) => {
                    return Err(format!("a worker ended before its time, with {status}").into());
                }
            }
        }
        Ok(replaced)
    }

    /// Waits until all have ended by themselves.
    fn finish(mut self) -> Result<usize, Box<dyn Error>> {
        for mut worker in std::mem::take(&mut self.workers) {
            let status = worker.wait()?;
            if !status.success() {
                return Err(format!("a worker failed: {status}").into());
            }
        }
        Ok(self.tokens_removed)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

fn supervise(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let mut segments = SegmentOptions::new();
    let segments = segments.removal(Removal::OnceAttached);
    let words = settings.jobs * WORDS_PER_JOB;
    let results: Results = segments.create_new_array(Key::PRIVATE, words)?;
    let mut options = Options::new();
    let options = options.capacity(64).removal(Removal::OnceAttached);
    let ring: BoundedBuffer<Job> = options.create_new(Key::PRIVATE)?;

    let mut producer = ring.producer()?;
    let ids = [ring.segment().id(), results.segment().id()].map(|id| id.to_string());
    let [ring_id, results_id] = ids;
    let [work_ms, linger_ms] = [settings.work_ms, settings.linger_ms].map(|ms| ms.to_string());
    let arguments = [ring_id, results_id, work_ms, linger_ms];
    let mut pool = Pool::start(settings.workers, arguments)?;
    let kills = thread::scope(|scope| {
        let jobs = settings.jobs as u64;
        // Dropped at the end, which tells the workers that there will be no more.
        let pusher = scope.spawn(move || (0..jobs).try_for_each(|n| producer.push(Job::new(n))));
        let kills = kill_while_they_work(settings, &ring, &results, &mut pool);
        if kills.is_err() {
            // So that the pusher does not wait for room for ever: nobody works any more.
            ring.segment().mark_for_removal().ok();
            pool.workers
                .iter_mut()
                .for_each(|worker| drop(worker.kill()));
            drain(&ring);
        }
        match pusher.join() {
            Ok(pushed) => pushed.map_err(|error| format!("pushing failed: {error}"))?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
        kills
    })?;
    let tokens_removed = pool.finish()?;
    account(settings, &results, kills, tokens_removed)
}

/// Takes what is there until nobody pushes any more.
fn drain(ring: &BoundedBuffer<Job>) {
    if let Ok(mut consumer) = ring.consumer() {
        consumer.notice_departure(true);
        while consumer.pop().is_ok() {}
    }
}

/// Kills one worker after the other until all jobs are done; how many.
fn kill_while_they_work(
    settings: &Settings,
    ring: &BoundedBuffer<Job>,
    results: &Results,
    pool: &mut Pool,
) -> Result<usize, Box<dyn Error>> {
    let mut random = Random(settings.seed);
    let mut progress = Progress::new();
    let (mut last_kill, mut kills) = (Instant::now(), 0);
    loop {
        let done = (0..settings.jobs)
            .filter(|job| {
                results
                    .view()
                    .at(job * WORDS_PER_JOB + STORED)
                    .atomic_load(Acquire)
                    > 0
            })
            .count();
        let (jobs, waiting) = (settings.jobs, ring.len());
        let line = format!("done {done} of {jobs}, {waiting} in the ring, {kills} workers killed");
        if done == jobs {
            progress.last(&line);
            return Ok(kills);
        }
        progress.show(&line);
        kills += pool.replace_the_dead()?;
        if last_kill.elapsed() >= settings.kill_every {
            last_kill = Instant::now();
            pool.kill_and_replace(random.below(settings.workers))?;
            kills += 1;
        }
        thread::sleep(settings.kill_every.min(Duration::from_millis(10)));
    }
}

/// What became of the jobs. An error if one was lost, or a result is wrong.
fn account(
    settings: &Settings,
    results: &Results,
    kills: usize,
    tokens_removed: usize,
) -> Result<(), Box<dyn Error>> {
    let (mut done, mut right, mut redelivered, mut twice) = (0, 0, 0, 0);
    for index in 0..settings.jobs {
        let word = |which| {
            results
                .view()
                .at(index * WORDS_PER_JOB + which)
                .atomic_load(Acquire)
        };
        let (begun, stored) = (word(BEGUN), word(STORED));
        done += usize::from(stored > 0);
        right += usize::from(stored > 0 && word(RESULT) == Job::new(index as u64).result());
        redelivered += begun.saturating_sub(1);
        twice += stored.saturating_sub(1);
    }
    let all = if right == done { "all" } else { "not all" };
    let plural = |count: u64| if count == 1 { "job" } else { "jobs" };
    let (again, doubly) = (plural(redelivered), plural(twice));
    let jobs = settings.jobs;
    let mut lines = format!(
        "jobs         {done} of {jobs} done, {all} results right\n\
         kills        {kills} workers killed and replaced\n\
         redelivered  {redelivered} {again} begun again after their worker was killed\n\
         done twice   {twice} {doubly}, killed between storing and releasing\n"
    );
    if tokens_removed > 0 {
        lines += &format!("tokens       {tokens_removed} removed that a kill had left behind\n");
    }
    let printed = cli::print(lines);
    // Whether or not anybody has read it.
    if (done, right) != (jobs, jobs) {
        return Err("the account does not add up".into());
    }
    Ok(printed?)
}

/// One line that changes on a terminal; elsewhere one line a second.
struct Progress {
    on_terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    fn new() -> Self {
        Self {
            on_terminal: io::stderr().is_terminal(),
            shown: None,
        }
    }

    fn show(&mut self, line: &str) {
        let every = Duration::from_millis(if self.on_terminal { 50 } else { 1000 });
        if self.shown.is_none_or(|shown| shown.elapsed() >= every) {
            self.shown = Some(Instant::now());
            self.print(line, "");
        }
    }

    fn last(&mut self, line: &str) {
        self.print(line, "\n");
    }

    fn print(&self, line: &str, end: &str) {
        // Progress that cannot be printed is no reason to stop.
        let _ = if self.on_terminal {
            // To the first column, and away with the rest of an older line.
            write!(io::stderr(), "\r{line}\x1b[K{end}")
        } else {
            writeln!(io::stderr(), "{line}")
        };
    }
}

#[derive(Debug)]
struct Settings {
    workers: usize,
    jobs: usize,
    work_ms: u64,
    linger_ms: u64,
    kill_every: Duration,
    seed: u64,
}

impl Settings {
    fn parse(mut arguments: Arguments) -> Result<Self, Misuse> {
        // Some two seconds.
        let mut settings = Self {
            workers: 4,
            jobs: 1000,
            work_ms: 4,
            linger_ms: 1,
            kill_every: Duration::from_millis(80),
            seed: u64::from(std::process::id()),
        };
        // Something that has to be there.
        let count = |text: &str| {
            text.parse()
                .ok()
                .filter(|n: &usize| (1..=10_000_000).contains(n))
        };
        let milliseconds = |text: &str| Some(text.parse::<u64>().ok()?.min(60_000));
        if let Some(workers) = arguments.parsed("--workers", count)? {
            // As many as the ring's table has room for, two at a time while one replaces another.
            settings.workers = workers.min(32);
        }
        if let Some(jobs) = arguments.parsed("--jobs", count)? {
            settings.jobs = jobs;
        }
        if let Some(ms) = arguments.parsed("--work-ms", milliseconds)? {
            settings.work_ms = ms;
        }
        if let Some(ms) = arguments.parsed("--linger-ms", milliseconds)? {
            settings.linger_ms = ms;
        }
        if let Some(ms) = arguments.parsed("--kill-every-ms", count)? {
            settings.kill_every = Duration::from_millis(ms as u64);
        }
        if let Some(seed) = arguments.number("--seed")? {
            settings.seed = seed;
        }
        arguments.finish()?;
        Ok(settings)
    }
}

/// Which worker next: splitmix64, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % end as u64) as usize
    }
}
