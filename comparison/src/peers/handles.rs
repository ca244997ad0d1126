//! What many handles of an `mpmc` ring cost: while they wait, and when the processes that have them die.
//!
//! As `rings`, this is compiled a second time against an older version of the crate, if the run compares with one.

use super::api::bounded_buffer::mpmc::{BoundedBuffer, Options, PopError};
use super::api::{Key, SegmentId};
#[allow(unused_imports, reason = "empty where nothing has been renamed")]
use super::renamed::*;
use crate::case::{Case, Endpoint, Outcome, Task, Workload};
use crate::endpoint::Channel;
use crate::pinning::{now, pin, processors, thread_time};
use crate::runner::start;
use crate::workload::Driver;
use anyhow::{Context, Result, bail, ensure};
use std::time::Duration;

pub struct Handles;

/// As many handles as a ring can have.
const MOST: usize = 512;
/// Items of one push.
const BATCH: usize = 512;
/// How long the receiver of [`Workload::IdleAmong`] waits.
const IDLE: Duration = Duration::from_secs(1);

impl Driver for Handles {
    fn create(&self, case: &Case) -> Result<Channel> {
        let mut options = Options::new();
        options.capacity(case.capacity).participants(MOST);
        let ring: BoundedBuffer<u64> = options.create_new(Key::PRIVATE)?;
        let segment = ring.segment();
        segment.mark_for_removal()?;
        let (id, bytes) = (segment.id().as_raw(), segment.len_bytes() as u64);
        Ok(Channel::new([id.to_string()], ring).taking(bytes, "the segment's size, IPC_STAT"))
    }

    fn run(&self, task: &Task) -> Result<Outcome> {
        let id = task.handles.first().and_then(|handle| handle.first());
        let id = id.context("the identifier of a segment")?.parse()?;
        let ring = Options::new().attach(SegmentId::from_raw(id))?;
        if task.endpoint.is_some() {
            return die_with_items(&ring, task);
        }
        pin(processors()?[0])?;
        let values = match task.case.workload {
            Workload::IdleAmong => idle(&ring, task)?,
            Workload::PopNothing => pop_nothing(&ring, task)?,
            Workload::Recover => recover(&ring, task)?,
            Workload::Redeliver => redeliver(&ring, task)?,
            workload => bail!("handles do not {workload:?}"),
        };
        Ok(Outcome {
            values,
            ..Outcome::default()
        })
    }
}

/// Makes all handles of the case but one consumer, which the caller makes: half of them produce.
fn others<R>(
    ring: &BoundedBuffer<u64>,
    task: &Task,
    work: impl FnOnce() -> Result<R>,
) -> Result<R> {
    let others = task.case.handles - 1;
    let producers: Vec<_> = (0..others.div_ceil(2))
        .map(|_| ring.producer())
        .collect::<Result<_, _>>()?;
    let consumers: Vec<_> = (producers.len()..others)
        .map(|_| ring.consumer())
        .collect::<Result<_, _>>()?;
    let found = work();
    drop((producers, consumers));
    found
}

/// Microseconds of processor time in a second of waiting.
fn idle(ring: &BoundedBuffer<u64>, task: &Task) -> Result<Vec<f64>> {
    others(ring, task, || {
        let mut consumer = ring.consumer()?;
        let (before, began) = (thread_time(), now());
        ensure!(
            consumer.pop_timeout(IDLE) == Err(PopError::TimedOut),
            "an item came that was not sent"
        );
        let (used, took) = (thread_time() - before, now() - began);
        Ok(vec![used as f64 / 1e3 / (took as f64 / 1e9)])
    })
}

/// Nanoseconds of a call that finds nothing and does not wait.
fn pop_nothing(ring: &BoundedBuffer<u64>, task: &Task) -> Result<Vec<f64>> {
    others(ring, task, || {
        let mut consumer = ring.consumer()?;
        let began = now();
        for _ in 0..task.count {
            ensure!(
                consumer.pop_timeout(Duration::ZERO) == Err(PopError::TimedOut),
                "an item came that was not sent"
            );
        }
        Ok(vec![(now() - began) as f64 / task.count as f64])
    })
}

/// Fills the ring with numbers from 0 on.
fn fill(ring: &BoundedBuffer<u64>, task: &Task) -> Result<()> {
    let mut producer = ring.producer()?;
    let numbers: Vec<u64> = (0..task.case.capacity as u64).collect();
    for batch in numbers.chunks(BATCH) {
        producer.push_slice(batch)?;
    }
    Ok(())
}

/// Starts processes one after the other. Each makes its handles, takes items and ends without giving anything back.
fn let_processes_die(task: &Task, items_each: usize) -> Result<()> {
    for index in 0..task.case.processes {
        let victim = Task {
            endpoint: Some(Endpoint::Receiver(index)),
            count: items_each as u64,
            ..task.clone()
        };
        let ended = start(&victim)?.wait_with_output()?;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        ensure!(ended.status.success(), "a process to die: {said}");
    }
    Ok(())
}

fn die_with_items(ring: &BoundedBuffer<u64>, task: &Task) -> Result<Outcome> {
    for _ in 0..task.case.handles / task.case.processes {
        let mut consumer = ring.consumer()?;
        let items = consumer.peek(task.count as usize)?;
        ensure!(
            items.len() == task.count as usize,
            "fewer items than asked for"
        );
        // As a kill would: the process ends, and nothing has been given back.
        std::mem::forget(items);
        std::mem::forget(consumer);
    }
    Ok(Outcome {
        values: vec![0.0],
        ..Outcome::default()
    })
}

/// Microseconds of recovering all the dead. Then every item must come, once.
fn recover(ring: &BoundedBuffer<u64>, task: &Task) -> Result<Vec<f64>> {
    fill(ring, task)?;
    let_processes_die(task, 1)?;
    let began = now();
    let recovered = ring.recover()?;
    let took = now() - began;
    ensure!(
        (recovered.participants, recovered.redelivered) == (task.case.handles, task.case.handles),
        "{recovered:?}"
    );
    let mut consumer = ring.consumer()?;
    let mut seen = Seen::new(task.case.capacity);
    for _ in 0..task.case.capacity {
        seen.add(consumer.pop_timeout(LONG)?)?;
    }
    Ok(vec![took as f64 / 1e3])
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(5);

/// Microseconds of recovering one process and taking what it had in its hands, and how many pops the first and the
/// last of its items took. Then every item must come, once.
fn redeliver(ring: &BoundedBuffer<u64>, task: &Task) -> Result<Vec<f64>> {
    let held = task.count;
    fill(ring, task)?;
    let_processes_die(task, held as usize)?;
    let mut consumer = ring.consumer()?;
    let mut seen = Seen::new(task.case.capacity);
    let (mut pops, mut first, mut redelivered) = (0_u64, 0, 0);
    let began = now();
    ring.recover()?;
    while redelivered < held {
        let item = consumer.pop_timeout(LONG)?;
        pops += 1;
        if item < held {
            redelivered += 1;
            if redelivered == 1 {
                first = pops;
            }
        }
        seen.add(item)?;
    }
    let took = now() - began;
    for _ in pops..task.case.capacity as u64 {
        seen.add(consumer.pop_timeout(LONG)?)?;
    }
    Ok(vec![took as f64 / 1e3, first as f64, pops as f64])
}

/// Which items have come.
struct Seen(Vec<bool>);

impl Seen {
    fn new(items: usize) -> Self {
        Self(vec![false; items])
    }

    fn add(&mut self, item: u64) -> Result<()> {
        let seen = self.0.get_mut(item as usize);
        let seen = seen.with_context(|| format!("item {item} was never sent"))?;
        ensure!(!*seen, "item {item} came twice");
        *seen = true;
        Ok(())
    }
}
