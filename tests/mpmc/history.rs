//! Recorded histories of many threads against a plain queue.
//!
//! Each operation is recorded with the time before and after it. Every item is different, so a history of pushes
//! and pops of a queue is linearizable exactly if (Herlihy and Wing, 1990, for queues; Henzinger, Sezgin and
//! Vafeiadis, CONCUR 2013) no item is popped twice or from nowhere, none is popped before its push began, and no
//! two items come out against their order: if the push of `a` ended before that of `b` began, the pop of `b` does
//! not end before that of `a` begins. Refusals are left out: "empty" may be said behind a push that is not
//! finished.

use crate::support::{Random, alone, ring_with, seed};
use std::collections::HashMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use sysvshm::bounded_buffer::mpmc::Options;

#[derive(Clone, Copy, Debug)]
struct Event {
    item: u64,
    begin: u64,
    end: u64,
}

/// Says what is wrong with the history, if anything is.
fn judge(pushes: &[Event], pops: &[Event]) -> Result<(), String> {
    let mut popped: HashMap<u64, Event> = HashMap::new();
    for &pop in pops {
        if popped.insert(pop.item, pop).is_some() {
            return Err(format!("{pop:?} twice"));
        }
    }
    let mut in_order: Vec<(Event, Event)> = Vec::new();
    for &push in pushes {
        let pop = popped
            .remove(&push.item)
            .ok_or_else(|| format!("{push:?} was never popped"))?;
        if pop.end < push.begin {
            return Err(format!("{pop:?} before {push:?}"));
        }
        in_order.push((push, pop));
    }
    if let Some(pop) = popped.values().next() {
        return Err(format!("{pop:?} from nowhere"));
    }
    // By the beginnings of the pushes; and of those that ended before, the latest beginning of a pop.
    in_order.sort_by_key(|(push, _)| push.begin);
    let mut by_end = in_order.clone();
    by_end.sort_by_key(|(push, _)| push.end);
    let mut ended = by_end.iter().peekable();
    let mut latest: Option<(Event, Event)> = None;
    for (push, pop) in in_order {
        while let Some(&&(before, its_pop)) = ended.peek() {
            if before.end >= push.begin {
                break;
            }
            if latest.is_none_or(|(_, pop)| its_pop.begin > pop.begin) {
                latest = Some((before, its_pop));
            }
            ended.next();
        }
        if let Some((before, its_pop)) = latest.filter(|(_, its_pop)| pop.end < its_pop.begin) {
            return Err(format!(
                "{push:?} overtook {before:?}: {pop:?} and {its_pop:?}"
            ));
        }
    }
    Ok(())
}

#[test]
fn the_judge_notices_what_is_wrong() {
    let event = |item, begin, end| Event { item, begin, end };
    let pushes = [event(1, 0, 1), event(2, 2, 3)];
    assert!(judge(&pushes, &[event(1, 4, 5), event(2, 6, 7)]).is_ok());
    assert!(judge(&pushes, &[event(2, 4, 6), event(1, 5, 7)]).is_ok());
    for wrong in [
        vec![event(2, 4, 5), event(1, 6, 7)],
        vec![event(1, 4, 5)],
        vec![event(1, 4, 5), event(2, 6, 7), event(2, 6, 7)],
        vec![event(1, 4, 5), event(2, 6, 7), event(3, 6, 7)],
        vec![event(1, 4, 5), event(2, 0, 1)],
    ] {
        assert!(judge(&pushes, &wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn histories_are_those_of_a_queue() {
    let _alone = alone();
    const EACH: u64 = 3000;
    let mut judged = 0;
    for (round, &(producers, consumers, capacity)) in
        [(1, 1, 1), (2, 2, 1), (2, 1, 2), (3, 3, 3), (2, 4, 64)]
            .iter()
            .enumerate()
    {
        let mut options = Options::new();
        let ring = ring_with::<u64>(options.capacity(capacity).start_lap(u64::MAX - 5));
        let clock = AtomicU64::new(0);
        let now = || clock.fetch_add(1, Ordering::SeqCst);
        let all = producers * EACH;
        let taken = AtomicU64::new(0);
        let start = Barrier::new((producers + consumers) as usize);
        let (mut pushes, mut pops) = (Vec::new(), Vec::new());
        thread::scope(|scope| {
            let pushing: Vec<_> = (0..producers)
                .map(|name| {
                    let mut producer = ring.producer().unwrap();
                    let (now, start) = (&now, &start);
                    scope.spawn(move || {
                        let mut events = Vec::new();
                        let mut random = Random::new(seed() + name + round as u64 * 9);
                        let mut next = name * EACH;
                        start.wait();
                        while next < (name + 1) * EACH {
                            let count = (1 + random.below(3)).min((name + 1) * EACH - next);
                            let run: Vec<u64> = (next..next + count).collect();
                            let begin = now();
                            if let Ok(done) = producer.try_push_slice(&run) {
                                let end = now();
                                let done = &run[..done];
                                events.extend(done.iter().map(|&item| Event { item, begin, end }));
                                next += done.len() as u64;
                            } else {
                                thread::yield_now();
                            }
                        }
                        events
                    })
                })
                .collect();
            let popping: Vec<_> = (0..consumers)
                .map(|name| {
                    let mut consumer = ring.consumer().unwrap();
                    let (now, start, taken) = (&now, &start, &taken);
                    scope.spawn(move || {
                        let mut events = Vec::new();
                        let mut random = Random::new(seed() + 77 + name);
                        let mut into = [0; 3];
                        start.wait();
                        while taken.load(Ordering::Relaxed) < all {
                            let wanted = 1 + random.below(3) as usize;
                            let begin = now();
                            if let Ok(count) = consumer.try_pop_slice(&mut into[..wanted]) {
                                let end = now();
                                taken.fetch_add(count as u64, Ordering::Relaxed);
                                let got = into[..count].iter();
                                events.extend(got.map(|&item| Event { item, begin, end }));
                            } else {
                                thread::yield_now();
                            }
                        }
                        events
                    })
                })
                .collect();
            for thread in pushing {
                pushes.extend(thread.join().unwrap());
            }
            for thread in popping {
                let events = thread.join().unwrap();
                // What one consumer gets of one producer comes in order.
                let mut last = HashMap::new();
                for event in &events {
                    let before = last.insert(event.item / EACH, event.item);
                    assert!(before.is_none_or(|before| before < event.item), "{event:?}");
                }
                pops.extend(events);
            }
        });
        judge(&pushes, &pops).unwrap_or_else(|wrong| {
            panic!("{producers} and {consumers}, capacity {capacity}: {wrong}")
        });
        judged += pushes.len();
    }
    println!("{judged} items through histories judged");
}
