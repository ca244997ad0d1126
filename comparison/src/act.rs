//! What the processes (or threads) of a measurement do at their ends.

use crate::case::{Act, Case, End, Outcome, Task};
use crate::ends::{Channel, Local, Peer, Receiver, Sender, Wrong, send_with_fault};
use crate::item::Item;
use crate::place::{Control, Place, now, processor_time};
use crate::with_item;
use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;
use std::time::Duration;

/// Whose items they are, where there are several senders: the sender is above this bit.
const SENDER_BIT: u32 = 40;
/// The answer to an item has another number.
const ANSWER: u64 = 1 << 63;
/// Long enough for the receiver to be asleep.
const LULL: Duration = Duration::from_micros(1500);
const IDLE: Duration = Duration::from_secs(1);

/// A contender in a table of many kinds.
pub trait Performer: Sync {
    /// Whether the ends are in processes of their own.
    fn between_processes(&self) -> bool;
    fn obstacle(&self, case: &Case) -> Option<String>;
    fn create(&self, case: &Case) -> Result<Channel>;
    fn perform(&self, task: &Task) -> Result<Outcome>;
}

/// Ends in processes.
pub struct Between<P>(pub P);
/// Ends in threads of one process.
pub struct Inside<L>(pub L);

impl<P: Peer> Performer for Between<P> {
    fn between_processes(&self) -> bool {
        true
    }

    fn obstacle(&self, case: &Case) -> Option<String> {
        self.0.obstacle(case)
    }

    fn create(&self, case: &Case) -> Result<Channel> {
        with_item!(case.bytes, T => self.0.create::<T>(case))
    }

    fn perform(&self, task: &Task) -> Result<Outcome> {
        with_item!(task.case.bytes, T => perform_between::<T, P>(&self.0, task))
    }
}

impl<L: Local> Performer for Inside<L> {
    fn between_processes(&self) -> bool {
        false
    }

    fn obstacle(&self, _: &Case) -> Option<String> {
        None
    }

    fn create(&self, _: &Case) -> Result<Channel> {
        Ok(Channel::new([], ()))
    }

    fn perform(&self, task: &Task) -> Result<Outcome> {
        with_item!(task.case.bytes, T => perform_inside::<T, L>(&self.0, task))
    }
}

fn perform_between<T: Item, P: Peer>(peer: &P, task: &Task) -> Result<Outcome> {
    let case = &task.case;
    match case.act {
        Act::Attach => return attach_often::<T, P>(peer, task),
        Act::Create => return create_often::<T, P>(peer, task),
        _ => {}
    }
    let control = Control::attach(task.control)?;
    let end = task.end.context("an end")?;
    let place = Place::take(&control, end, case.pairs)?;
    if case.act == Act::RoundTrip {
        let (End::Sender(pair) | End::Receiver(pair)) = end;
        let (there, back) = (&task.handles[2 * pair], &task.handles[2 * pair + 1]);
        return match end {
            End::Sender(_) => {
                let hear = peer.receiver::<T>(case, there)?;
                answer::<T>(place, hear, peer.sender::<T>(case, back)?, task)
            }
            End::Receiver(_) => {
                let tell = peer.sender::<T>(case, there)?;
                ask::<T>(place, tell, peer.receiver::<T>(case, back)?, task)
            }
        };
    }
    match end {
        End::Sender(index) => send::<T>(
            place,
            index,
            peer.sender::<T>(case, &task.handles[0])?,
            task,
        ),
        End::Receiver(index) => receive::<T>(
            place,
            index,
            peer.receiver::<T>(case, &task.handles[0])?,
            task,
        ),
    }
}

fn perform_inside<T: Item, L: Local>(local: &L, task: &Task) -> Result<Outcome> {
    let (case, control) = (&task.case, Control::create()?);
    let round_trip = case.act == Act::RoundTrip;
    // The threads' outcomes become one.
    let mut outcomes = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        let place = |end| Place::take(&control, end, case.pairs);
        if round_trip {
            for pair in 0..case.pairs {
                let (mut tells, mut theres) = local.channel::<T>(case, 1);
                let (mut backs, mut hears) = local.channel::<T>(case, 1);
                let (tell, hear) = (tells.remove(0), hears.remove(0));
                let (there, back) = (theres.remove(0), backs.remove(0));
                threads.push(scope.spawn(move || {
                    or_exit(|| answer::<T>(place(End::Sender(pair))?, there, back, task))
                }));
                threads.push(scope.spawn(move || {
                    or_exit(|| ask::<T>(place(End::Receiver(pair))?, tell, hear, task))
                }));
            }
        } else {
            let (senders, receivers) = local.channel::<T>(case, case.pairs);
            for (index, end) in senders.into_iter().enumerate() {
                threads.push(scope.spawn(move || {
                    or_exit(|| send::<T>(place(End::Sender(index))?, index, end, task))
                }));
            }
            for (index, end) in receivers.into_iter().enumerate() {
                threads.push(scope.spawn(move || {
                    or_exit(|| receive::<T>(place(End::Receiver(index))?, index, end, task))
                }));
            }
        }
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic ends the process"))
            .collect::<Vec<_>>()
    });
    outcomes.retain(|outcome| outcome.ended_ns != 0 || !outcome.values.is_empty());
    merge(outcomes).context("no thread received")
}

/// A thread that finds something wrong leaves others waiting for it: so the process ends.
fn or_exit(work: impl FnOnce() -> Result<Outcome>) -> Outcome {
    work().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        std::process::exit(1);
    })
}

/// One outcome of those of several receivers.
pub fn merge(outcomes: Vec<Outcome>) -> Option<Outcome> {
    let many = outcomes.len() as f64;
    outcomes
        .into_iter()
        .reduce(|mut all, one| {
            all.began_ns = all.began_ns.min(one.began_ns);
            all.ended_ns = all.ended_ns.max(one.ended_ns);
            all.received += one.received;
            all.sum = all.sum.wrapping_add(one.sum);
            all.probes = all.probes.or(one.probes);
            for (sum, value) in all.values.iter_mut().zip(one.values) {
                *sum += value;
            }
            all
        })
        .map(|mut all| {
            for sum in &mut all.values {
                *sum /= many;
            }
            all
        })
}

/// Items that go through before the clock starts: every page has then been touched at both ends, and the channel is
/// as full as it gets.
fn warm_up(case: &Case) -> u64 {
    if case.fault.is_some() {
        16
    } else {
        2 * case.capacity as u64
    }
}

fn send<T: Item>(
    mut place: Place<'_>,
    index: usize,
    mut sender: impl Sender<T>,
    task: &Task,
) -> Result<Outcome> {
    let case = &task.case;
    place.bracketed(|place| {
        place.meet();
        let (warm_up, pairs) = (warm_up(case), case.pairs as u64);
        match case.act {
            Act::Stream if pairs == 1 => match case.fault {
                None => sender.stream(0, warm_up + task.count),
                Some(fault) => send_with_fault(&mut sender, 0, warm_up + task.count, fault),
            },
            Act::Stream => {
                let first = (index as u64) << SENDER_BIT;
                let (warm_up, count) = (warm_up / pairs, task.count / pairs);
                sender.stream(first, warm_up);
                place.meet();
                match case.fault {
                    Some(fault) if index == 0 => {
                        send_with_fault(&mut sender, first + warm_up, count, fault)
                    }
                    _ => sender.stream(first + warm_up, count),
                }
            }
            Act::Wake => {
                let mut item = T::zeroed();
                for _ in 0..task.count {
                    std::thread::sleep(LULL);
                    item.set(now());
                    sender.send(&item);
                }
            }
            Act::Idle => {
                std::thread::sleep(IDLE);
                sender.send(&T::of(1));
            }
            act => bail!("a sender does not {act:?}"),
        }
        // A sender may take with it what has not been received.
        place.meet();
        Ok(Outcome::default())
    })
}

fn receive<T: Item>(
    mut place: Place<'_>,
    index: usize,
    mut receiver: impl Receiver<T>,
    task: &Task,
) -> Result<Outcome> {
    let case = &task.case;
    place.bracketed(|place| {
        receiver.prepare();
        place.meet();
        let (warm_up, pairs) = (warm_up(case), case.pairs as u64);
        let mut outcome = Outcome::default();
        match case.act {
            Act::Stream if pairs == 1 => {
                receiver.stream(0, warm_up)?;
                outcome.began_ns = now();
                receiver.stream(warm_up, task.count)?;
                outcome.ended_ns = now();
                outcome.received = task.count;
            }
            Act::Stream => {
                let mut judge = Judge::new(case.pairs);
                receive_share(&mut receiver, case, warm_up / pairs, &mut judge)?;
                place.meet();
                judge.start_counting();
                outcome.began_ns = now();
                receive_share(&mut receiver, case, task.count / pairs, &mut judge)?;
                outcome.ended_ns = now();
                (outcome.received, outcome.sum) = (judge.received, judge.sum);
            }
            Act::Wake => {
                let mut item = T::zeroed();
                for _ in 0..task.count {
                    receiver.receive(&mut item);
                    let took = now() - item.number();
                    Wrong::unless(item.is(item.number()), item.number())?;
                    outcome.values.push(took as f64);
                }
            }
            Act::Idle => {
                let mut item = T::zeroed();
                let (before, began) = (processor_time(), now());
                receiver.receive(&mut item);
                let (used, took) = (processor_time() - before, now() - began);
                Wrong::unless(item.is(1), 1)?;
                ensure!(
                    took >= IDLE.as_nanos() as u64 / 2,
                    "the item came too early"
                );
                outcome.values.push(used as f64 / 1e3 / (took as f64 / 1e9));
            }
            act => bail!("receiver {index} does not {act:?}"),
        }
        place.meet();
        Ok(outcome)
    })
}

/// What one of several receivers can know: that items are whole and come in each sender's order. The director adds
/// up what all of them got.
struct Judge {
    /// By sender: the least number that may come.
    next: Vec<u64>,
    received: u64,
    sum: u64,
}

impl Judge {
    fn new(senders: usize) -> Self {
        let next = (0..senders as u64)
            .map(|sender| sender << SENDER_BIT)
            .collect();
        Self {
            next,
            received: 0,
            sum: 0,
        }
    }

    fn start_counting(&mut self) {
        (self.received, self.sum) = (0, 0);
    }

    #[inline(always)]
    fn see<T: Item>(&mut self, item: &T) -> Result<(), Wrong> {
        let number = item.number();
        let next = self
            .next
            .get_mut((number >> SENDER_BIT) as usize)
            .ok_or(Wrong { expected: number })?;
        Wrong::unless(item.is(number) && number >= *next, *next)?;
        *next = number + 1;
        self.received += 1;
        self.sum = self.sum.wrapping_add(number);
        Ok(())
    }
}

fn receive_share<T: Item>(
    receiver: &mut impl Receiver<T>,
    case: &Case,
    count: u64,
    judge: &mut Judge,
) -> Result<(), Wrong> {
    let mut items = vec![T::zeroed(); case.batch()];
    let mut left = count as usize;
    while left > 0 {
        let room = left.min(items.len());
        let taken = receiver.receive_some(&mut items[..room]);
        for item in &items[..taken] {
            judge.see(item)?;
        }
        left -= taken;
    }
    Ok(())
}

/// What the sums of all receivers must come to.
pub fn expected_sum(case: &Case, count: u64) -> u64 {
    let pairs = case.pairs as u64;
    let (warm_up, count) = (warm_up(case) / pairs, count / pairs);
    (0..pairs).fold(0_u64, |sum, sender| {
        let first = (sender << SENDER_BIT) + warm_up;
        (first..first + count).fold(sum, u64::wrapping_add)
    })
}

fn answer<T: Item>(
    mut place: Place<'_>,
    mut hear: impl Receiver<T>,
    mut tell: impl Sender<T>,
    task: &Task,
) -> Result<Outcome> {
    place.bracketed(|place| {
        let mut item = T::zeroed();
        hear.prepare();
        place.meet();
        for round in 0..rounds(task) {
            hear.receive(&mut item);
            Wrong::unless(item.is(round), round)?;
            item.set(round | ANSWER);
            tell.send(&item);
        }
        place.meet();
        Ok(Outcome::default())
    })
}

fn ask<T: Item>(
    mut place: Place<'_>,
    mut tell: impl Sender<T>,
    mut hear: impl Receiver<T>,
    task: &Task,
) -> Result<Outcome> {
    place.bracketed(|place| {
        let mut item = T::zeroed();
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
        hear.prepare();
        place.meet();
        let mut before = now();
        for round in 0..rounds(task) {
            item.set(round);
            if task.case.fault.is_some() && round == task.count {
                // Every fault of a round trip is an answer to something else.
                item.set(round + 1);
            }
            tell.send(&item);
            hear.receive(&mut item);
            Wrong::unless(item.is(round | ANSWER), round)?;
            let after = now();
            if round >= warm_up_rounds(task) {
                histogram.record(after - before)?;
            }
            before = after;
        }
        place.meet();
        let quantile = |share| histogram.value_at_quantile(share) as f64;
        Ok(Outcome {
            received: task.count,
            values: vec![
                quantile(0.5),
                quantile(0.99),
                quantile(0.999),
                histogram.mean(),
            ],
            ..Outcome::default()
        })
    })
}

fn warm_up_rounds(task: &Task) -> u64 {
    task.count / 10
}

fn rounds(task: &Task) -> u64 {
    warm_up_rounds(task) + task.count
}

/// Medians in nanoseconds: attaching, detaching.
fn attach_often<T: Item, P: Peer>(peer: &P, task: &Task) -> Result<Outcome> {
    timed_pairs(task.count, || {
        peer.sender::<T>(&task.case, &task.handles[0])
    })
}

/// Medians in nanoseconds: creating, removing.
fn create_often<T: Item, P: Peer>(peer: &P, task: &Task) -> Result<Outcome> {
    let outcome = timed_pairs(task.count, || peer.create::<T>(&task.case))?;
    Ok(Outcome {
        taken: peer.footprint::<T>(&task.case)?,
        ..outcome
    })
}

pub fn timed_pairs<R>(count: u64, mut make: impl FnMut() -> Result<R>) -> Result<Outcome> {
    crate::place::pin(crate::place::processors()?[0])?;
    let (mut making, mut dropping) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let began = now();
        let made = make()?;
        let between = now();
        drop(made);
        making.push((between - began) as f64);
        dropping.push((now() - between) as f64);
    }
    Ok(Outcome {
        values: vec![
            crate::figures::median(&making),
            crate::figures::median(&dropping),
        ],
        ..Outcome::default()
    })
}
