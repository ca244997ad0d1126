//! What one sender and one receiver do, and several of either, on one channel.

use super::order::OrderCheck;
use crate::case::{Case, Outcome, Task, Workload};
use crate::endpoint::{
    Receiver, Sender, Wrong, receive_all, send_all, send_singly, send_with_fault,
};
use crate::item::Item;
use crate::pinning::{Participant, now, processor_time, thread_time};
use anyhow::{Result, bail, ensure};
use std::hint::spin_loop;
use std::time::Duration;

/// Whose items they are, where there are several senders: the sender is above this bit.
pub const SENDER_BIT: u32 = 40;
/// Long enough for the receiver to be asleep.
const LULL: Duration = Duration::from_micros(1500);
const IDLE: Duration = Duration::from_secs(1);
/// What a slow receiver does with each item, nanoseconds.
const WORK_NS: u64 = 20_000;
/// Fillings that are not timed: every page has then been touched at both endpoints.
const WARM_UP_ROUNDS: u64 = 2;
/// Items between two looks at the clock.
const STRIDE: u64 = 64;
/// Tells one receiver that there is nothing more to come.
const NOTHING_MORE: u64 = u64::MAX;

/// Items that go through before the clock starts: every page has then been touched at both endpoints, and the
/// channel is as full as it gets.
fn warm_up(case: &Case) -> u64 {
    if case.fault.is_some() {
        16
    } else {
        2 * case.capacity as u64
    }
}

pub fn send<T: Item>(
    mut participant: Participant<'_>,
    index: usize,
    mut sender: impl Sender<T>,
    task: &Task,
) -> Result<Outcome> {
    let case = &task.case;
    participant.bracketed(|participant| {
        participant.meet();
        let mut outcome = Outcome::default();
        let (warm_up, senders) = (warm_up(case), case.senders as u64);
        match case.workload {
            Workload::Stream if senders == 1 && case.receivers == 1 => match case.fault {
                None => send_all(&mut sender, case.mode, 0, warm_up + task.count),
                Some(fault) => send_with_fault(&mut sender, 0, warm_up + task.count, fault),
            },
            Workload::Stream => {
                let first = (index as u64) << SENDER_BIT;
                let (warm_up, count) = (warm_up / senders, task.count / senders);
                sender.stream(first, warm_up);
                participant.meet();
                match case.fault {
                    Some(fault) if index == 0 => {
                        send_with_fault(&mut sender, first + warm_up, count, fault)
                    }
                    _ => sender.stream(first + warm_up, count),
                }
            }
            Workload::Alternate => {
                let filling = case.capacity as u64;
                let mut took = 0;
                for round in 0..WARM_UP_ROUNDS + task.count {
                    participant.meet();
                    let began = now();
                    match case.fault {
                        Some(fault) if round == WARM_UP_ROUNDS => {
                            send_with_fault(&mut sender, round * filling, filling, fault);
                        }
                        _ => send_all(&mut sender, case.mode, round * filling, filling),
                    }
                    if round >= WARM_UP_ROUNDS {
                        took += now() - began;
                    }
                    participant.meet();
                }
                outcome.values = vec![per_second(task.count * filling, took), 0.0];
            }
            Workload::Share => {
                outcome = send_share(participant, index, &mut sender, task);
            }
            Workload::Wake => {
                let mut item = T::zeroed();
                for _ in 0..task.count {
                    std::thread::sleep(LULL);
                    item.set(now());
                    sender.send(&item);
                }
            }
            Workload::Idle => {
                std::thread::sleep(IDLE);
                sender.send(&T::of(1));
            }
            Workload::SlowReceiver => {
                sender.stream(0, warm_up);
                let (before, began) = (thread_time(), now());
                sender.stream(warm_up, task.count);
                let share = (thread_time() - before) as f64 / (now() - began) as f64;
                outcome.values = vec![share];
            }
            workload => bail!("a sender does not {workload:?}"),
        }
        // A sender may take with it what has not been received.
        participant.meet();
        Ok(outcome)
    })
}

pub fn receive<T: Item>(
    mut participant: Participant<'_>,
    index: usize,
    mut receiver: impl Receiver<T>,
    task: &Task,
) -> Result<Outcome> {
    let case = &task.case;
    participant.bracketed(|participant| {
        receiver.prepare();
        participant.meet();
        let (warm_up, receivers) = (warm_up(case), case.receivers as u64);
        let mut outcome = Outcome::default();
        match case.workload {
            Workload::Stream if receivers == 1 && case.senders == 1 => {
                receive_all(&mut receiver, case.mode, 0, warm_up)?;
                outcome.began_ns = now();
                receive_all(&mut receiver, case.mode, warm_up, task.count)?;
                outcome.ended_ns = now();
                outcome.received = task.count;
            }
            Workload::Stream => {
                let mut check = OrderCheck::new(case.senders);
                receive_part(&mut receiver, case, warm_up / receivers, &mut check)?;
                participant.meet();
                check.start_counting();
                outcome.began_ns = now();
                receive_part(&mut receiver, case, task.count / receivers, &mut check)?;
                outcome.ended_ns = now();
                (outcome.received, outcome.sum) = (check.received, check.sum);
            }
            Workload::Alternate => {
                let filling = case.capacity as u64;
                let mut took = 0;
                for round in 0..WARM_UP_ROUNDS + task.count {
                    participant.meet();
                    participant.meet();
                    let began = now();
                    receive_all(&mut receiver, case.mode, round * filling, filling)?;
                    if round >= WARM_UP_ROUNDS {
                        took += now() - began;
                    }
                }
                outcome.values = vec![0.0, per_second(task.count * filling, took)];
            }
            Workload::Share => {
                outcome = receive_share(index, &mut receiver, case)?;
            }
            Workload::Wake => {
                let mut item = T::zeroed();
                for _ in 0..task.count {
                    receiver.receive(&mut item);
                    let took = now() - item.number();
                    Wrong::unless(item.is(item.number()), item.number())?;
                    outcome.values.push(took as f64);
                }
            }
            Workload::Idle => {
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
            Workload::SlowReceiver => {
                let mut item = T::zeroed();
                for number in 0..warm_up + task.count {
                    receiver.receive(&mut item);
                    Wrong::unless(item.is(number), number)?;
                    let began = now();
                    // The channel is full before the sender's clock starts.
                    while number >= warm_up && now() - began < WORK_NS {
                        spin_loop();
                    }
                }
                outcome.values = vec![0.0];
            }
            workload => bail!("receiver {index} does not {workload:?}"),
        }
        participant.meet();
        Ok(outcome)
    })
}

fn per_second(items: u64, nanoseconds: u64) -> f64 {
    items as f64 / nanoseconds.max(1) as f64 * 1e9
}

fn receive_part<T: Item>(
    receiver: &mut impl Receiver<T>,
    case: &Case,
    count: u64,
    check: &mut OrderCheck,
) -> Result<(), Wrong> {
    let mut items = vec![T::zeroed(); case.batch()];
    let mut left = count as usize;
    while left > 0 {
        let room = left.min(items.len());
        let taken = receiver.receive_some(&mut items[..room]);
        for item in &items[..taken] {
            check.see(item)?;
        }
        left -= taken;
    }
    Ok(())
}

/// Sends for the time of the task, in milliseconds. The sender that ends last tells each receiver that nothing more
/// comes.
fn send_share<T: Item>(
    participant: &Participant<'_>,
    index: usize,
    sender: &mut impl Sender<T>,
    task: &Task,
) -> Outcome {
    let case = &task.case;
    let first = (index as u64) << SENDER_BIT;
    let (mut number, began) = (first, now());
    while now() - began < task.count * 1_000_000 {
        match case.fault {
            Some(fault) if number == first => send_with_fault(sender, number, STRIDE, fault),
            _ => send_singly(sender, number, STRIDE),
        }
        number += STRIDE;
    }
    if participant.count_sender_as_done() == case.senders as u64 {
        for _ in 0..case.receivers {
            sender.send(&T::of(NOTHING_MORE));
        }
    }
    Outcome {
        sent: number - first,
        sent_sum: (first..number).fold(0, u64::wrapping_add),
        values: own_entry(case, index, number - first),
        ..Outcome::default()
    }
}

fn receive_share<T: Item>(
    index: usize,
    receiver: &mut impl Receiver<T>,
    case: &Case,
) -> Result<Outcome, Wrong> {
    let mut check = OrderCheck::new(case.senders);
    let mut item = T::zeroed();
    loop {
        receiver.receive(&mut item);
        if item.is(NOTHING_MORE) {
            break;
        }
        check.see(&item)?;
    }
    Ok(Outcome {
        received: check.received,
        sum: check.sum,
        values: own_entry(case, case.senders + index, check.received),
        ..Outcome::default()
    })
}

/// A list with an entry for each participant, senders first, of which all others are zero.
fn own_entry(case: &Case, index: usize, items: u64) -> Vec<f64> {
    let mut entries = vec![0.0; case.senders + case.receivers];
    entries[index] = items as f64;
    entries
}

/// What the sums of all receivers must come to.
pub fn expected_sum(case: &Case, count: u64) -> u64 {
    let senders = case.senders as u64;
    let (warm_up, count) = (warm_up(case) / senders, count / senders);
    (0..senders).fold(0_u64, |sum, sender| {
        let first = (sender << SENDER_BIT) + warm_up;
        (first..first + count).fold(sum, u64::wrapping_add)
    })
}
