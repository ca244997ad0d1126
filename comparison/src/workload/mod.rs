//! What the processes (or threads) of a measurement do at their endpoints.

mod alone;
mod order;
mod round_trip;
mod stream;

pub use alone::timed_pairs;
pub use stream::expected_sum;

use crate::case::{Case, Endpoint, Outcome, Task, Workload};
use crate::endpoint::{Channel, Local, Peer};
use crate::item::Item;
use crate::pinning::{Control, Participant};
use crate::with_item;
use alone::{attach_often, create_often, one_thread};
use anyhow::{Context, Result};
use round_trip::{answer, ask};
use stream::{receive, send};

/// Runs one kind of contender; a table holds many kinds.
pub trait Driver: Sync {
    /// Whether the endpoints are in processes of their own.
    fn between_processes(&self) -> bool {
        true
    }
    /// Why a case cannot be measured here, if it cannot.
    fn obstacle(&self, _case: &Case) -> Option<String> {
        None
    }
    fn create(&self, case: &Case) -> Result<Channel>;
    fn run(&self, task: &Task) -> Result<Outcome>;
}

/// Endpoints in processes.
pub struct Between<P>(pub P);
/// Endpoints in threads of one process.
pub struct Inside<L>(pub L);

impl<P: Peer> Driver for Between<P> {
    fn obstacle(&self, case: &Case) -> Option<String> {
        self.0.obstacle(case)
    }

    fn create(&self, case: &Case) -> Result<Channel> {
        with_item!(case.bytes, T => self.0.create::<T>(case))
    }

    fn run(&self, task: &Task) -> Result<Outcome> {
        with_item!(task.case.bytes, T => run_between::<T, P>(&self.0, task))
    }
}

impl<L: Local> Driver for Inside<L> {
    fn between_processes(&self) -> bool {
        false
    }

    fn create(&self, _: &Case) -> Result<Channel> {
        Ok(Channel::new([], ()))
    }

    fn run(&self, task: &Task) -> Result<Outcome> {
        with_item!(task.case.bytes, T => run_inside::<T, L>(&self.0, task))
    }
}

fn run_between<T: Item, P: Peer>(peer: &P, task: &Task) -> Result<Outcome> {
    let case = &task.case;
    match case.workload {
        Workload::Attach => return attach_often::<T, P>(peer, task),
        Workload::Create => return create_often::<T, P>(peer, task),
        Workload::OneThread => {
            let sender = peer.sender::<T>(case, &task.handles[0])?;
            return one_thread(sender, peer.receiver::<T>(case, &task.handles[0])?, task);
        }
        _ => {}
    }
    let control = Control::attach(task.control)?;
    let endpoint = task.endpoint.context("an endpoint")?;
    let participant = Participant::pinned(&control, endpoint, case)?;
    if case.workload == Workload::RoundTrip {
        let (Endpoint::Sender(pair) | Endpoint::Receiver(pair)) = endpoint;
        let (there, back) = (&task.handles[2 * pair], &task.handles[2 * pair + 1]);
        return match endpoint {
            Endpoint::Sender(_) => {
                let hear = peer.receiver::<T>(case, there)?;
                answer::<T>(participant, hear, peer.sender::<T>(case, back)?, task)
            }
            Endpoint::Receiver(_) => {
                let tell = peer.sender::<T>(case, there)?;
                ask::<T>(participant, tell, peer.receiver::<T>(case, back)?, task)
            }
        };
    }
    let handle = &task.handles[0];
    match endpoint {
        Endpoint::Sender(index) => {
            send::<T>(participant, index, peer.sender::<T>(case, handle)?, task)
        }
        Endpoint::Receiver(index) => {
            receive::<T>(participant, index, peer.receiver::<T>(case, handle)?, task)
        }
    }
}

fn run_inside<T: Item, L: Local>(local: &L, task: &Task) -> Result<Outcome> {
    let case = &task.case;
    if case.workload == Workload::OneThread {
        let (mut senders, mut receivers) = local.channel::<T>(case, 1, 1);
        return one_thread(senders.remove(0), receivers.remove(0), task);
    }
    let control = Control::create()?;
    // The threads' outcomes become one.
    let mut outcomes = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        let pinned = |endpoint| Participant::pinned(&control, endpoint, case);
        if case.workload == Workload::RoundTrip {
            for pair in 0..case.senders {
                let (mut tells, mut theres) = local.channel::<T>(case, 1, 1);
                let (mut backs, mut hears) = local.channel::<T>(case, 1, 1);
                let (tell, hear) = (tells.remove(0), hears.remove(0));
                let (there, back) = (theres.remove(0), backs.remove(0));
                threads.push(scope.spawn(move || {
                    or_exit(|| answer::<T>(pinned(Endpoint::Sender(pair))?, there, back, task))
                }));
                threads.push(scope.spawn(move || {
                    or_exit(|| ask::<T>(pinned(Endpoint::Receiver(pair))?, tell, hear, task))
                }));
            }
        } else {
            let (senders, receivers) = local.channel::<T>(case, case.senders, case.receivers);
            for (index, sender) in senders.into_iter().enumerate() {
                threads.push(scope.spawn(move || {
                    or_exit(|| send::<T>(pinned(Endpoint::Sender(index))?, index, sender, task))
                }));
            }
            for (index, receiver) in receivers.into_iter().enumerate() {
                threads.push(scope.spawn(move || {
                    or_exit(|| {
                        receive::<T>(pinned(Endpoint::Receiver(index))?, index, receiver, task)
                    })
                }));
            }
        }
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a panic ends the process"))
            .collect::<Vec<_>>()
    });
    outcomes.retain(Outcome::says_something);
    merge(case.workload, outcomes).context("no thread received")
}

/// A thread that finds something wrong leaves others waiting for it: so the process ends.
fn or_exit(work: impl FnOnce() -> Result<Outcome>) -> Outcome {
    work().unwrap_or_else(|error| {
        eprintln!("{error:#}");
        std::process::exit(1);
    })
}

/// Makes one outcome of those of several participants.
pub fn merge(workload: Workload, outcomes: Vec<Outcome>) -> Option<Outcome> {
    let divisor = if workload.adds_up() {
        1.0
    } else {
        outcomes.len() as f64
    };
    let mut all = outcomes.into_iter().reduce(|mut all, one| {
        all.began_ns = all.began_ns.min(one.began_ns);
        all.ended_ns = all.ended_ns.max(one.ended_ns);
        all.received += one.received;
        all.sum = all.sum.wrapping_add(one.sum);
        all.sent += one.sent;
        all.sent_sum = all.sent_sum.wrapping_add(one.sent_sum);
        all.probes = all.probes.or(one.probes);
        for (sum, value) in all.values.iter_mut().zip(one.values) {
            *sum += value;
        }
        all
    })?;
    for sum in &mut all.values {
        *sum /= divisor;
    }
    Some(all)
}
