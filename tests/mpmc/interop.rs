//! C programs as participants, written against `examples/c/mpmc.h`.

use crate::common::{CProgram, Running, peer};
use crate::support::{LAYOUTS, attach, id, ring_with};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;
use sysvshm::bounded_buffer::PeerState;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Layout, Options, PopError, Role};
use sysvshm::bytemuck::Pod;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(60);
/// What tells a relay to stop.
const STOP: u64 = u64::MAX;

fn compile() -> Option<CProgram> {
    // As the header promises: no extension of the language.
    CProgram::compile_as("c11", include_str!("../../examples/c/mpmc_peer.c"))
}

fn start(program: &CProgram, task: &str, numbers: &[i64]) -> Running {
    let mut command = program.command();
    command.arg(task).args(numbers.iter().map(i64::to_string));
    Running::spawn(&mut command)
}

/// Waits for its good end; the lines it said before "done".
fn finish(mut running: Running) -> Vec<String> {
    let mut lines: Vec<String> = std::iter::from_fn(|| running.line()).collect();
    assert!(running.wait().success(), "{lines:?}");
    assert_eq!(lines.pop().as_deref(), Some("done"));
    lines
}

fn item(name: u64, number: u64) -> u64 {
    name << 32 | number
}

/// C and Rust push into one ring, C and Rust take out of it, and what C takes it pushes into another, where Rust
/// gets it: nothing is lost, nothing comes twice, and each that takes sees each producer's items in order.
#[test]
fn c_and_rust_push_and_pop_together() {
    let Some(program) = compile() else { return };
    const EACH: u64 = 20_000;
    for layout in LAYOUTS {
        for (capacity, batch) in [(3, 1), (64, 7)] {
            let mut options = Options::new();
            options.capacity(capacity).layout(layout);
            let front: BoundedBuffer<u64> = ring_with(&options);
            let back: BoundedBuffer<u64> = ring_with(&options);
            let (first, second) = (i64::from(id(&front)), i64::from(id(&back)));
            let relay = start(&program, "relay", &[first, second, batch]);
            let in_c: Vec<Running> = [1, 2]
                .map(|name| start(&program, "produce", &[first, name, EACH as i64, batch]))
                .into();
            let (direct, relayed) = thread::scope(|scope| {
                let taking = |ring: &BoundedBuffer<u64>, end: fn(Result<u64, PopError>) -> bool| {
                    let mut consumer = ring.consumer().unwrap();
                    consumer.notice_departure(true);
                    scope.spawn(move || {
                        let mut taken = Vec::new();
                        loop {
                            match consumer.pop_timeout(LONG) {
                                result if end(result) => return taken,
                                Ok(item) => taken.push(item),
                                Err(error) => panic!("{error}, after {} items", taken.len()),
                            }
                        }
                    })
                };
                let direct = taking(&front, |result| result == Err(PopError::PeerLeft));
                let relayed = taking(&back, |result| result == Ok(STOP));
                let mut producer = front.producer().unwrap();
                let items: Vec<u64> = (0..EACH).map(|number| item(3, number)).collect();
                for run in items.chunks(5) {
                    producer.push_slice_timeout(run, LONG).unwrap();
                }
                for one in in_c {
                    finish(one);
                }
                drop(producer);
                let direct = direct.join().unwrap();
                // Now the relay alone is there to get it.
                front.producer().unwrap().push(STOP).unwrap();
                finish(relay);
                (direct, relayed.join().unwrap())
            });
            assert!(!relayed.is_empty(), "C took nothing");
            let mut count: HashMap<u64, u64> = HashMap::new();
            for taken in [&direct, &relayed] {
                let mut last: HashMap<u64, u64> = HashMap::new();
                for &item in taken {
                    *count.entry(item).or_default() += 1;
                    let before = last.insert(item >> 32, item);
                    assert!(before.is_none_or(|before| before < item), "{layout:?}");
                }
            }
            let all = (1..=3).flat_map(|name| (0..EACH).map(move |number| item(name, number)));
            for item in all {
                assert_eq!(count.remove(&item), Some(1), "{item:#x}, {layout:?}");
            }
            assert!(count.is_empty(), "from nowhere: {count:x?}");
            assert_eq!(front.producer_state(), PeerState::Left);
            assert!(front.participants().is_empty() && back.participants().is_empty());
        }
    }
}

/// What C holds when it is killed, Rust sees, undoes and delivers again.
#[test]
fn rust_recovers_what_c_held() {
    let Some(program) = compile() else { return };
    for layout in LAYOUTS {
        let mut options = Options::new();
        let ring: BoundedBuffer<u64> =
            ring_with(options.capacity(8).participants(3).layout(layout));
        ring.producer()
            .unwrap()
            .try_push_slice(&[1, 2, 3, 4])
            .unwrap();
        let mut held = start(&program, "hold", &[i64::from(id(&ring)), 2, 3]);
        let lines: Vec<String> = std::iter::from_fn(|| held.line()).take(4).collect();
        assert_eq!(lines, ["1", "2", "3", "holding"]);
        let all = ring.participants();
        let roles: Vec<_> = all.iter().map(|one| one.role.unwrap()).collect();
        assert_eq!(roles, [Role::Producer, Role::Consumer]);
        for one in &all {
            assert_eq!((one.pid, one.state), (Some(held.pid()), PeerState::Alive));
            assert!(one.since.unwrap().elapsed().unwrap().as_secs() < 60);
        }
        let mut consumer = ring.consumer().unwrap();
        assert_eq!(consumer.try_pop(), Ok(4));
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
        assert_eq!(consumer.buffer().producer_state(), PeerState::Alive);
        held.kill();
        assert_eq!(consumer.buffer().producer_state(), PeerState::Dead);
        let found = ring.recover().unwrap();
        assert_eq!(
            (found.participants, found.redelivered, found.skipped),
            (2, 3, 2),
            "{layout:?}"
        );
        assert!(consumer.try_iter().eq([1, 2, 3]));
        // No slot is lost.
        let mut producer = ring.producer().unwrap();
        for item in 0..24 {
            producer.push(item).unwrap();
            assert_eq!(consumer.pop(), Ok(item));
        }
        assert_eq!((0..9).map_while(|n| producer.try_push(n).ok()).count(), 8);
    }
}

/// What Rust holds when it is killed, C finds by itself when it has nothing else to do.
#[test]
fn c_recovers_what_rust_held() {
    let dying = peer!(|talk| {
        let ring: BoundedBuffer<u64> = attach(talk.arg(0));
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let space = producer.try_reserve(2).unwrap();
        let items = consumer.try_peek(3).unwrap();
        talk.say("holding");
        talk.hear();
        drop((items, space));
    });
    let Some(program) = compile() else { return };
    for layout in LAYOUTS {
        let mut options = Options::new();
        options.capacity(8).participants(4).layout(layout);
        let (front, back) = (ring_with::<u64>(&options), ring_with::<u64>(&options));
        let mut producer = front.producer().unwrap();
        producer.try_push_slice(&[1, 2, 3]).unwrap();
        let mut held = dying.clone().arg(id(&front)).start();
        assert_eq!(held.hear(), "holding");
        // Behind the slots that the dead one was going to write: nobody gets past those before they are undone.
        producer.try_push_slice(&[4, 5]).unwrap();
        drop(producer);
        held.kill();
        let ends = [i64::from(id(&front)), i64::from(id(&back)), 2];
        let relay = start(&program, "relay", &ends);
        let mut consumer = back.consumer().unwrap();
        let mut got: Vec<u64> = (0..5)
            .map(|_| consumer.pop_timeout(LONG).unwrap())
            .collect();
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3, 4, 5], "{layout:?}");
        // The relay, who freed the entries of the dead.
        let left = front.participants();
        assert_eq!((left.len(), left[0].state), (1, PeerState::Alive));
        front.producer().unwrap().push(STOP).unwrap();
        finish(relay);
    }
}

/// Part of what is claimed is pushed and popped, the rest skipped and given back, as in Rust.
#[test]
fn c_commits_and_releases_a_part() {
    let Some(program) = compile() else { return };
    for layout in LAYOUTS {
        let mut options = Options::new();
        let ring: BoundedBuffer<u64> = ring_with(options.capacity(8).layout(layout));
        ring.producer().unwrap().try_push_slice(&[1, 2, 3]).unwrap();
        let said = finish(start(&program, "halve", &[i64::from(id(&ring)), 3, 3]));
        assert_eq!(said, ["1", "2", "3"]);
        let mut found: Vec<u64> = ring.consumer().unwrap().try_iter().collect();
        found.sort_unstable();
        assert_eq!(found, [3, 1000, 1001], "{layout:?}");
        assert!(ring.recover().unwrap().is_nothing());
    }
}

/// Items of many sizes and alignments lie where C expects them.
#[test]
fn c_finds_the_slots_of_items_of_any_size() {
    fn check<T: Pod>(program: &CProgram, layout: Layout) {
        const COUNT: usize = 5;
        let ring: BoundedBuffer<T> = ring_with(Options::new().capacity(COUNT).layout(layout));
        let (size, align) = (size_of::<T>(), align_of::<T>());
        let numbers = [id(&ring).into(), size as i64, align as i64, COUNT as i64];
        finish(start(program, "fill", &numbers));
        let mut consumer = ring.consumer().unwrap();
        for index in 0..COUNT {
            let item = consumer.try_pop().unwrap();
            let expected = (0..size).map(|byte| (31 * index + byte) as u8);
            let bytes = sysvshm::bytemuck::bytes_of(&item).iter().copied();
            assert!(bytes.eq(expected), "{size} bytes, {layout:?}");
        }
    }
    let Some(program) = compile() else { return };
    for layout in LAYOUTS {
        check::<u8>(&program, layout);
        check::<[u16; 3]>(&program, layout);
        check::<[u8; 57]>(&program, layout);
        check::<[u64; 7]>(&program, layout);
        check::<[u64; 8]>(&program, layout);
        check::<[u8; 255]>(&program, layout);
        check::<[u64; 32]>(&program, layout);
        check::<[u8; 1001]>(&program, layout);
        check::<u128>(&program, layout);
    }
}

/// A ring of another shape and a full table are refused.
#[test]
fn c_is_refused_like_anybody() {
    let Some(program) = compile() else { return };
    let refused = |ring: i32| {
        let running = start(&program, "produce", &[i64::from(ring), 1, 1, 1]);
        assert_eq!(running.wait().code(), Some(1));
    };
    refused(id(&ring_with::<u32>(Options::new().capacity(4))));
    let mut options = Options::new();
    let ring: BoundedBuffer<u64> = ring_with(options.capacity(4).participants(1));
    let producer = ring.producer().unwrap();
    refused(id(&ring));
    drop(producer);
    assert!(finish(start(&program, "produce", &[i64::from(id(&ring)), 1, 1, 1])).is_empty());
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(item(1, 0)));
}

/// A child that was forked with a handle is refused with it, is not taken for its parent when that one has gone, and
/// goes on with a handle of its own.
#[test]
fn a_forked_c_child_is_nobody_before_it_comes_by_itself() {
    const ITEM: u64 = 41;
    let Some(program) = compile() else { return };
    let ring: BoundedBuffer<u64> = ring_with(Options::new().capacity(8).participants(4));
    let mut running = start(&program, "fork", &[id(&ring).into(), ITEM as i64, 0]);
    assert_eq!(running.line().as_deref(), Some("refused"));
    let states = || -> Vec<_> { ring.participants().iter().map(|one| one.state).collect() };
    assert_eq!(states(), [PeerState::Alive; 2], "parent and child");
    // The child has the parent's memory, and does not keep it alive.
    running.kill();
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(consumer.pop_timeout(LONG), Ok(ITEM));
    ring.recover().unwrap();
    consumer.notice_departure(true);
    assert_eq!(
        consumer.pop_timeout(LONG),
        Err(PopError::PeerLeft),
        "the child has left"
    );
    assert_eq!(ring.participants().len(), 1);
}

/// However often a process attaches a ring, it has one token: none is left to exhaust the system's segments.
#[test]
fn c_attaches_as_often_as_it_likes() {
    let Some(program) = compile() else { return };
    let ring: BoundedBuffer<u64> = ring_with(Options::new().capacity(4));
    // More than there can be segments, unless somebody has raised the limit.
    finish(start(&program, "again", &[id(&ring).into(), 5000, 0]));
    assert!(ring.participants().is_empty());
}

/// A poll that finds nothing in a ring of a million slots does not walk through them.
#[test]
fn an_empty_poll_of_c_costs_no_walk() {
    let Some(program) = compile() else { return };
    const CAPACITY: usize = 1 << 20;
    let ring: BoundedBuffer<u64> = ring_with(Options::new().capacity(CAPACITY));
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for item in 0..CAPACITY as u64 / 2 + 100 {
        producer.try_push(item).unwrap();
        assert_eq!(consumer.try_pop(), Ok(item));
    }
    let said = finish(start(&program, "poll", &[id(&ring).into(), 1000, 0]));
    let spent: u64 = said[0].parse().unwrap();
    println!("{spent} µs of processor time for 1000 polls");
    // A thousand walks take seconds.
    assert!(spent < 300_000, "{spent} µs");
}
