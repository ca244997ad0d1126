//! What one process does alone: attaching, creating, and sending to itself.

use crate::case::{Outcome, Task};
use crate::endpoint::{Peer, Receiver, Sender, send_with_fault};
use crate::figures::median;
use crate::item::Item;
use crate::pinning::{now, pin, processors};
use anyhow::Result;

/// Medians in nanoseconds: attaching, detaching.
pub fn attach_often<T: Item, P: Peer>(peer: &P, task: &Task) -> Result<Outcome> {
    timed_pairs(task.count, || {
        peer.sender::<T>(&task.case, &task.handles[0])
    })
}

/// Medians in nanoseconds: creating, removing.
pub fn create_often<T: Item, P: Peer>(peer: &P, task: &Task) -> Result<Outcome> {
    let outcome = timed_pairs(task.count, || peer.create::<T>(&task.case))?;
    Ok(Outcome {
        taken: peer.footprint::<T>(&task.case)?,
        ..outcome
    })
}

pub fn timed_pairs<R>(count: u64, mut make: impl FnMut() -> Result<R>) -> Result<Outcome> {
    pin(processors()?[0])?;
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
        values: vec![median(&making), median(&dropping)],
        ..Outcome::default()
    })
}

/// How many items are sent before as many are received.
const TURN: u64 = 256;

/// Nanoseconds for sending and receiving one item where nothing has to move between processors.
pub fn one_thread<T: Item>(
    mut sender: impl Sender<T>,
    mut receiver: impl Receiver<T>,
    task: &Task,
) -> Result<Outcome> {
    pin(processors()?[0])?;
    receiver.prepare();
    let mut turn = |number| {
        match task.case.fault {
            Some(fault) if number > 0 => send_with_fault(&mut sender, number, TURN, fault),
            _ => sender.stream(number, TURN),
        }
        receiver.stream(number, TURN)
    };
    turn(0)?;
    let turns = task.count.div_ceil(TURN).max(1);
    let began = now();
    for number in 1..=turns {
        turn(number * TURN)?;
    }
    Ok(Outcome {
        values: vec![(now() - began) as f64 / (turns * TURN) as f64],
        ..Outcome::default()
    })
}
