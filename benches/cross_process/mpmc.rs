//! Many producers and many consumers: ours in as many pinned processes, beside crossbeam's `ArrayQueue` in as many
//! pinned threads.
//!
//! The n-th producer and the n-th consumer take the two processors in turn, the one where the other does not start:
//! 1:1 has one on each, 2:2 one of each kind on each, so that both sides contend. Everybody runs for a fixed time;
//! the rate is what was popped in it. Then the buffer is drained and the account is checked: for each producer, the
//! number of its items, their sum and the sum of their squares, as pushed and as popped by all consumers together,
//! and every consumer saw the items of a producer in order.
//!
//! `ArrayQueue` only tries; around it is crossbeam's own waiting, `Backoff::snooze`: pauses, then yields. Ours is
//! measured with [`Waiting::Yield`], which does the same, and with its default, which sleeps.

use crate::contenders::{Contender, Unit};
use crate::machine::{CONSUMER_CPU, PRODUCER_CPU, pin};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::Backoff;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::Waiting;
use sysvshm::bounded_buffer::mpmc::{BoundedBuffer, Consumer, Options, PopError, Producer};
use sysvshm::{Key, Removal, Segment, SegmentId, SegmentOptions, SharedSlice};

/// What a participant finds in its environment.
pub(crate) const PARTICIPANT: &str = "SYSVSHM_BENCH_PARTICIPANT";
const CAPACITY: usize = 1024;
/// How long each measurement runs.
const RUN: Duration = Duration::from_millis(60);

/// How many of each, and how many items an operation moves.
#[derive(Clone, Copy)]
struct Cast {
    producers: usize,
    consumers: usize,
    batch: usize,
}

const fn cast(producers: usize, consumers: usize, batch: usize) -> Cast {
    Cast {
        producers,
        consumers,
        batch,
    }
}

macro_rules! contenders {
    ($($name:literal, $run:ident($producers:literal, $consumers:literal, $batch:literal $(, $waiting:ident)?);)*) => {
        &[$(Contender {
            name: $name,
            unit: Unit::MillionPerSecond,
            count: 0,
            worker: |_, _, _, go| go(),
            ours: |_, _, _| $run(cast($producers, $consumers, $batch) $(, Waiting::$waiting)?, RUN).rate(),
        }),*]
    };
}

pub(crate) const CONTENDERS: &[Contender] = contenders! {
    "8B mpmc 1:1", processes(1, 1, 1, Yield);
    "8B mpmc 1:1, sleeping", processes(1, 1, 1, Sleep);
    "8B mpmc 1:1: ArrayQueue (threads)", threads(1, 1, 1);
    "8B mpmc 2:2", processes(2, 2, 1, Yield);
    "8B mpmc 2:2, sleeping", processes(2, 2, 1, Sleep);
    "8B mpmc 2:2: ArrayQueue (threads)", threads(2, 2, 1);
    "8B mpmc 4:4", processes(4, 4, 1, Yield);
    "8B mpmc 4:4, sleeping", processes(4, 4, 1, Sleep);
    "8B mpmc 4:4: ArrayQueue (threads)", threads(4, 4, 1);
    "8B mpmc 1:4", processes(1, 4, 1, Yield);
    "8B mpmc 1:4, sleeping", processes(1, 4, 1, Sleep);
    "8B mpmc 1:4: ArrayQueue (threads)", threads(1, 4, 1);
    "8B mpmc 4:1", processes(4, 1, 1, Yield);
    "8B mpmc 4:1, sleeping", processes(4, 1, 1, Sleep);
    "8B mpmc 4:1: ArrayQueue (threads)", threads(4, 1, 1);
    "8B mpmc batches 32, 1:1", processes(1, 1, 32, Yield);
    "8B mpmc batches 32, 1:1, sleeping", processes(1, 1, 32, Sleep);
    "8B mpmc batches 32, 2:2", processes(2, 2, 32, Yield);
    "8B mpmc batches 32, 2:2, sleeping", processes(2, 2, 32, Sleep);
    "8B mpmc batches 32, 4:4", processes(4, 4, 32, Yield);
    "8B mpmc batches 32, 4:4, sleeping", processes(4, 4, 32, Sleep);
};

macro_rules! ratios {
    ($($label:literal, $ours:literal, $theirs:literal;)*) => { &[$(($label, $ours, $theirs)),*] };
}

/// What the targets compare.
pub(crate) const RATIOS: &[(&str, &str, &str)] = ratios! {
    "mpmc 1:1 / ArrayQueue (target >= 0.75, far >= 2)",
        "8B mpmc 1:1", "8B mpmc 1:1: ArrayQueue (threads)";
    "mpmc 1:1, sleeping / ArrayQueue", "8B mpmc 1:1, sleeping", "8B mpmc 1:1: ArrayQueue (threads)";
    "mpmc 2:2 / ArrayQueue (target >= 1.0)", "8B mpmc 2:2", "8B mpmc 2:2: ArrayQueue (threads)";
    "mpmc 2:2, sleeping / ArrayQueue", "8B mpmc 2:2, sleeping", "8B mpmc 2:2: ArrayQueue (threads)";
    "mpmc 4:4 / ArrayQueue (target >= 1.0)", "8B mpmc 4:4", "8B mpmc 4:4: ArrayQueue (threads)";
    "mpmc 4:4, sleeping / ArrayQueue", "8B mpmc 4:4, sleeping", "8B mpmc 4:4: ArrayQueue (threads)";
    "mpmc 1:4 / ArrayQueue", "8B mpmc 1:4", "8B mpmc 1:4: ArrayQueue (threads)";
    "mpmc 1:4, sleeping / ArrayQueue", "8B mpmc 1:4, sleeping", "8B mpmc 1:4: ArrayQueue (threads)";
    "mpmc 4:1 / ArrayQueue", "8B mpmc 4:1", "8B mpmc 4:1: ArrayQueue (threads)";
    "mpmc 4:1, sleeping / ArrayQueue", "8B mpmc 4:1, sleeping", "8B mpmc 4:1: ArrayQueue (threads)";
    "mpmc batches 32, 1:1 / ArrayQueue (target >= 2.5)",
        "8B mpmc batches 32, 1:1", "8B mpmc 1:1: ArrayQueue (threads)";
    "mpmc batches 32, 1:1, sleeping / ArrayQueue",
        "8B mpmc batches 32, 1:1, sleeping", "8B mpmc 1:1: ArrayQueue (threads)";
    "mpmc batches 32, 2:2 / ArrayQueue (target >= 3.5)",
        "8B mpmc batches 32, 2:2", "8B mpmc 2:2: ArrayQueue (threads)";
    "mpmc batches 32, 2:2, sleeping / ArrayQueue",
        "8B mpmc batches 32, 2:2, sleeping", "8B mpmc 2:2: ArrayQueue (threads)";
    "mpmc batches 32, 4:4 / ArrayQueue (target >= 3.5)",
        "8B mpmc batches 32, 4:4", "8B mpmc 4:4: ArrayQueue (threads)";
    "mpmc batches 32, 4:4, sleeping / ArrayQueue",
        "8B mpmc batches 32, 4:4, sleeping", "8B mpmc 4:4: ArrayQueue (threads)";
};

/// Producers that an account has room for, and participants.
const MOST: usize = 8;

/// What was pushed or popped of each producer's items.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Tally {
    count: u64,
    sum: u64,
    squares: u64,
}

impl Tally {
    #[inline(always)]
    fn add(&mut self, number: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(number);
        self.squares = self.squares.wrapping_add(number.wrapping_mul(number));
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares = self.squares.wrapping_add(other.squares);
    }
}

/// An item: whose it is in the upper bits, and its number, from 1.
const NAME_AT: u32 = 56;

/// Where participants meet and leave their account. Words on lines of their own, then 64 for each participant.
struct Board {
    segment: Segment,
}

const READY: usize = 0;
const GO: usize = 16;
const STOP: usize = 32;
const PRODUCERS_DONE: usize = 48;
const ACCOUNTS: usize = 64;
const ACCOUNT: usize = 64;
/// In an account: items within the time, the time in nanoseconds; then a tally for each producer.
const ITEMS: usize = 0;
const NANOSECONDS: usize = 1;
const TALLIES: usize = 2;

impl Board {
    fn create() -> Self {
        let mut options = SegmentOptions::new();
        options
            .size_bytes(8 * (ACCOUNTS + 2 * MOST * ACCOUNT))
            .removal(Removal::OnceAttached);
        let segment = options.create_new(Key::PRIVATE).unwrap();
        Self { segment }
    }

    fn words(&self) -> SharedSlice<'_, u64> {
        let count = ACCOUNTS + 2 * MOST * ACCOUNT;
        self.segment.slice(0, count).unwrap()
    }

    /// Waits until everybody may begin.
    fn meet(&self) {
        let words = self.words();
        words.fetch_add(READY, 1, Ordering::AcqRel);
        while words.load(GO, Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
    }

    fn is_over(&self) -> bool {
        self.words().load(STOP, Ordering::Relaxed) != 0
    }

    /// Producers are numbered from 0, consumers from [`MOST`].
    fn leave(&self, participant: usize, items: u64, took: Duration, tallies: &[Tally; MOST]) {
        let words = self.words();
        let at = ACCOUNTS + participant * ACCOUNT;
        words.set(at + ITEMS, items);
        words.set(at + NANOSECONDS, took.as_nanos() as u64);
        for (name, tally) in tallies.iter().enumerate() {
            let at = at + TALLIES + 3 * name;
            words.set(at, tally.count);
            words.set(at + 1, tally.sum);
            words.set(at + 2, tally.squares);
        }
        if participant < MOST {
            words.fetch_add(PRODUCERS_DONE, 1, Ordering::AcqRel);
        }
    }

    /// Lets everybody run, then stops them.
    fn time(&self, cast: Cast, run: Duration) {
        let words = self.words();
        while words.load(READY, Ordering::Acquire) < (cast.producers + cast.consumers) as u64 {
            std::thread::sleep(Duration::from_micros(200));
        }
        words.store(GO, 1, Ordering::Release);
        std::thread::sleep(run);
        words.store(STOP, 1, Ordering::Release);
    }

    /// Checks the account.
    fn result(&self, cast: Cast) -> Outcome {
        let words = self.words();
        let account = |participant: usize| ACCOUNTS + participant * ACCOUNT;
        let tally = |participant: usize, name: usize| {
            let at = account(participant) + TALLIES + 3 * name;
            let [count, sum, squares] = [words.get(at), words.get(at + 1), words.get(at + 2)];
            Tally {
                count,
                sum,
                squares,
            }
        };
        for name in 0..cast.producers {
            let pushed = tally(name, name);
            assert!(pushed.count > 0, "producer {name} did nothing");
            let mut popped = Tally::default();
            for consumer in 0..cast.consumers {
                popped.join(tally(MOST + consumer, name));
            }
            assert_eq!(pushed, popped, "items of producer {name} lost or doubled");
        }
        let share = |participant: usize| Share {
            items: words.get(account(participant) + ITEMS),
            seconds: words.get(account(participant) + NANOSECONDS) as f64 / 1e9,
        };
        Outcome {
            producers: (0..cast.producers).map(share).collect(),
            consumers: (0..cast.consumers).map(|n| share(MOST + n)).collect(),
        }
    }
}

/// What a participant moved within the time.
struct Share {
    items: u64,
    seconds: f64,
}

struct Outcome {
    producers: Vec<Share>,
    consumers: Vec<Share>,
}

impl Outcome {
    /// Million items per second, as popped.
    fn rate(&self) -> f64 {
        let each = self.consumers.iter();
        each.map(|share| share.items as f64 / share.seconds / 1e6)
            .sum()
    }
}

/// The processor of the n-th producer or consumer.
fn processor(producer: bool, n: usize) -> usize {
    if producer == (n % 2 == 0) {
        PRODUCER_CPU
    } else {
        CONSUMER_CPU
    }
}

/// Items between two looks at the time.
const STRIDE: usize = 256;

/// A producer's end: `push` waits for room.
fn produce<const BATCH: usize>(board: &Board, name: usize, mut push: impl FnMut(&[u64; BATCH])) {
    let mut tallies = [Tally::default(); MOST];
    let mut tally = Tally::default();
    let mut next = 1;
    board.meet();
    let started = Instant::now();
    while !board.is_over() {
        for _ in 0..STRIDE / BATCH {
            let mut items = [0; BATCH];
            for item in &mut items {
                *item = (name as u64) << NAME_AT | next;
                tally.add(next);
                next += 1;
            }
            push(&items);
        }
    }
    tallies[name] = tally;
    board.leave(name, tally.count, started.elapsed(), &tallies);
}

/// A consumer's end: `pop` waits a while for items, and says how many there were.
fn consume<const BATCH: usize>(
    board: &Board,
    n: usize,
    producers: usize,
    mut pop: impl FnMut(&mut [u64; BATCH]) -> usize,
) {
    let mut tallies = [Tally::default(); MOST];
    let mut last = [0; MOST];
    let mut total: u64 = 0;
    let mut within = None;
    let mut items = [0; BATCH];
    board.meet();
    let started = Instant::now();
    loop {
        // Looked at first: what is not found afterwards does not exist.
        let done = board.words().load(PRODUCERS_DONE, Ordering::Acquire) == producers as u64;
        let mut taken = 0;
        while taken < STRIDE {
            let count = pop(&mut items);
            if count == 0 {
                break;
            }
            taken += count;
            for &item in &items[..count] {
                let (name, number) = ((item >> NAME_AT) as usize % MOST, item << 8 >> 8);
                assert!(number > last[name], "out of order");
                last[name] = number;
                tallies[name].add(number);
            }
        }
        total += taken as u64;
        if within.is_none() && board.is_over() {
            within = Some((total, started.elapsed()));
        }
        if done && taken == 0 {
            break;
        }
    }
    let (count, took) = within.expect("the time is over before producers are done");
    board.leave(MOST + n, count, took, &tallies);
}

/// How long a pop waits before it looks whether that was all. No shorter: waits that end soon do not give way first.
const PATIENCE: Duration = Duration::from_millis(30);

fn producer_end<const BATCH: usize>(board: &Board, name: usize, mut producer: Producer<u64>) {
    produce(board, name, |items: &[u64; BATCH]| {
        if BATCH == 1 {
            producer.push(items[0]).unwrap();
        } else {
            producer.push_slice(items).unwrap();
        }
    });
}

fn consumer_end<const BATCH: usize>(
    board: &Board,
    n: usize,
    producers: usize,
    mut consumer: Consumer<u64>,
) {
    consume(board, n, producers, |items: &mut [u64; BATCH]| {
        let popped = if BATCH == 1 {
            consumer.pop_timeout(PATIENCE).map(|item| {
                items[0] = item;
                1
            })
        } else {
            consumer.pop_slice_timeout(items, PATIENCE)
        };
        match popped {
            Ok(count) => count,
            Err(PopError::TimedOut) => 0,
            Err(error) => panic!("{error}"),
        }
    });
}

/// A participant's process. Its arguments, by tabs: board, ring, kind, number, producers, batch, how it waits.
pub(crate) fn take_part(task: &str) {
    let words: Vec<i32> = task.split('\t').map(|word| word.parse().unwrap()).collect();
    let &[board, ring, kind, number, producers, batch, waiting] = words.as_slice() else {
        panic!("not a task: {task}");
    };
    let segment = SegmentId::from_raw(board).attach().unwrap();
    let board = Board { segment };
    let ring: BoundedBuffer<u64> = Options::new().attach(SegmentId::from_raw(ring)).unwrap();
    let (number, producers) = (number as usize, producers as usize);
    let waiting = match waiting {
        0 => Waiting::Yield,
        _ => Waiting::Sleep,
    };
    pin(processor(kind == 0, number));
    if kind == 0 {
        let mut producer = ring.producer().unwrap();
        producer.waiting(waiting);
        match batch {
            1 => producer_end::<1>(&board, number, producer),
            _ => producer_end::<32>(&board, number, producer),
        }
    } else {
        let mut consumer = ring.consumer().unwrap();
        consumer.waiting(waiting);
        match batch {
            1 => consumer_end::<1>(&board, number, producers, consumer),
            _ => consumer_end::<32>(&board, number, producers, consumer),
        }
    }
}

/// A child that does not outlive a failure.
struct Participant(Child);

impl Participant {
    fn finish(mut self) {
        assert!(self.0.wait().unwrap().success(), "a participant failed");
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn processes(cast: Cast, waiting: Waiting, run: Duration) -> Outcome {
    let board = Board::create();
    let ring: BoundedBuffer<u64> = Options::new()
        .capacity(CAPACITY)
        .create_new(Key::PRIVATE)
        .unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring.segment().prefault().unwrap();
    let start = |kind: usize, number: usize| {
        let task = [
            board.segment.id().as_raw().to_string(),
            ring.segment().id().as_raw().to_string(),
            kind.to_string(),
            number.to_string(),
            cast.producers.to_string(),
            cast.batch.to_string(),
            i32::from(waiting == Waiting::Sleep).to_string(),
        ];
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(PARTICIPANT, task.join("\t"));
        Participant(command.spawn().unwrap())
    };
    let producers = (0..cast.producers).map(|n| start(0, n));
    let consumers = (0..cast.consumers).map(|n| start(1, n));
    let participants: Vec<Participant> = producers.chain(consumers).collect();
    board.time(cast, run);
    participants.into_iter().for_each(Participant::finish);
    assert!(ring.is_empty() && ring.participants().is_empty());
    board.result(cast)
}

fn threads(cast: Cast, run: Duration) -> Outcome {
    assert_eq!(cast.batch, 1, "ArrayQueue has no batches");
    let board = Arc::new(Board::create());
    let queue = Arc::new(ArrayQueue::<u64>::new(CAPACITY));
    let producers = (0..cast.producers).map(|name| {
        let (board, queue) = (Arc::clone(&board), Arc::clone(&queue));
        std::thread::spawn(move || {
            pin(processor(true, name));
            produce(&board, name, |&[mut item]: &[u64; 1]| {
                let backoff = Backoff::new();
                while let Err(back) = queue.push(item) {
                    item = back;
                    backoff.snooze();
                }
            });
        })
    });
    let consumers = (0..cast.consumers).map(|n| {
        let (board, queue) = (Arc::clone(&board), Arc::clone(&queue));
        std::thread::spawn(move || {
            pin(processor(false, n));
            consume(&board, n, cast.producers, |items: &mut [u64; 1]| {
                let backoff = Backoff::new();
                for _ in 0..1000 {
                    if let Some(item) = queue.pop() {
                        items[0] = item;
                        return 1;
                    }
                    backoff.snooze();
                }
                0
            });
        })
    });
    let participants: Vec<_> = producers.chain(consumers).collect();
    board.time(cast, run);
    for participant in participants {
        participant.join().unwrap();
    }
    board.result(cast)
}

/// How even the shares of four producers and four consumers are over a minute, on two processors.
pub(crate) fn fairness() {
    for (name, waiting) in [("yielding", Waiting::Yield), ("sleeping", Waiting::Sleep)] {
        let outcome = processes(cast(4, 4, 1), waiting, Duration::from_secs(60));
        println!("4 producers and 4 consumers over a minute, {name}:");
        for (kind, shares) in [
            ("producer", &outcome.producers),
            ("consumer", &outcome.consumers),
        ] {
            let fair = shares.iter().map(|share| share.items).sum::<u64>() / shares.len() as u64;
            for (n, share) in shares.iter().enumerate() {
                let (items, part) = (share.items, share.items as f64 / fair as f64);
                println!("  {kind} {n}: {items:>12} items, {part:.2} of a fair share");
                assert!(4 * items >= fair, "less than a quarter of a fair share");
            }
        }
    }
}
