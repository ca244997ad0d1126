//! Both protocols in loom's hands: every interleaving (up to a bound on preemptions), every value a weak memory may
//! return, and a writer that dies after each of its steps.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --lib cell::model
//! ```
//!
//! A value is two words that must be equal. Two tests plant a bug and expect to be told.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{self, Relaxed};

use loom::sync::atomic::{AtomicU64, fence};
use loom::thread;

use super::protocol::{COPIES, Memory, MemoryMut, commit, publish, read_committed, read_published};

struct Words {
    count: AtomicU64,
    copies: Vec<[AtomicU64; 2]>,
}

impl Words {
    fn new(copies: u64) -> Arc<Self> {
        Arc::new(Self {
            count: AtomicU64::new(0),
            copies: (0..copies)
                .map(|_| [AtomicU64::new(0), AtomicU64::new(0)])
                .collect(),
        })
    }
}

/// One process. Once `steps` stores are done it is dead: nothing it does reaches the memory.
struct Process {
    words: Arc<Words>,
    steps: Cell<u32>,
    fences: bool,
}

impl Process {
    fn new(words: &Arc<Words>) -> Self {
        Self::that_dies_after(words, u32::MAX)
    }

    fn that_dies_after(words: &Arc<Words>, steps: u32) -> Self {
        Self {
            words: words.clone(),
            steps: Cell::new(steps),
            fences: true,
        }
    }

    fn without_fences(words: &Arc<Words>) -> Self {
        Self {
            fences: false,
            ..Self::new(words)
        }
    }

    fn store(&self, word: &AtomicU64, value: u64, order: Ordering) {
        if let Some(left) = self.steps.get().checked_sub(1) {
            self.steps.set(left);
            word.store(value, order);
        }
    }
}

impl Memory for Process {
    type Value = [u64; 2];

    fn count(&self, order: Ordering) -> u64 {
        self.words.count.load(order)
    }

    fn read(&self, copy: u64) -> [u64; 2] {
        let copy = &self.words.copies[copy as usize];
        [copy[0].load(Relaxed), copy[1].load(Relaxed)]
    }

    fn fence(&self, order: Ordering) {
        if self.fences {
            fence(order);
        }
    }
}

impl MemoryMut for Process {
    fn set_count(&self, count: u64, order: Ordering) {
        self.store(&self.words.count, count, order);
    }

    fn write(&self, copy: u64, value: [u64; 2]) {
        let copy = &self.words.copies[copy as usize];
        self.store(&copy[0], value[0], Relaxed);
        self.store(&copy[1], value[1], Relaxed);
    }
}

fn explore(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

/// Reads once, and asserts that a value is whole and one of those written.
fn look(value: Option<[u64; 2]>, last: u64) -> Option<u64> {
    let [one, other] = value?;
    assert_eq!(one, other, "torn");
    assert!(one <= last, "never written");
    Some(one)
}

fn committed(fences: bool) {
    // One version more than there are copies, so that the first is overwritten while it is read.
    explore(move || {
        let words = Words::new(COPIES);
        let writer = {
            let words = words.clone();
            thread::spawn(move || {
                let process = if fences {
                    Process::new(&words)
                } else {
                    Process::without_fences(&words)
                };
                let mut version = 0;
                for number in 1..=COPIES {
                    version = commit(&process, version, [number; 2]);
                }
            })
        };
        let reader = if fences {
            Process::new(&words)
        } else {
            Process::without_fences(&words)
        };
        let first = look(read_committed(&reader), COPIES);
        if let (Some(first), Some(second)) = (first, look(read_committed(&reader), COPIES)) {
            assert!(second >= first, "back in time");
        }
        writer.join().unwrap();
        assert_eq!(look(read_committed(&reader), COPIES), Some(COPIES));
    });
}

fn published(fences: bool) {
    explore(move || {
        let words = Words::new(1);
        let writer = {
            let words = words.clone();
            thread::spawn(move || {
                let process = if fences {
                    Process::new(&words)
                } else {
                    Process::without_fences(&words)
                };
                let sequence = publish(&process, 0, [1; 2]);
                publish(&process, sequence, [2; 2]);
            })
        };
        let reader = if fences {
            Process::new(&words)
        } else {
            Process::without_fences(&words)
        };
        look(read_published(&reader), 2);
        writer.join().unwrap();
        assert_eq!(look(read_published(&reader), 2), Some(2));
    });
}

#[test]
fn a_committed_value_is_whole_and_never_goes_back() {
    committed(true);
}

#[test]
fn a_published_value_is_whole() {
    published(true);
}

#[test]
#[should_panic(expected = "torn")]
fn a_committed_value_without_fences_is_torn() {
    committed(false);
}

#[test]
#[should_panic(expected = "torn")]
fn a_published_value_without_fences_is_torn() {
    published(false);
}

/// Each write has at most four stores.
const STEPS: std::ops::RangeInclusive<u32> = 0..=4;

#[test]
fn a_committed_value_survives_its_writer_and_the_next_goes_on() {
    for steps in STEPS {
        explore(move || {
            let words = Words::new(COPIES);
            let writers = {
                let words = words.clone();
                thread::spawn(move || {
                    commit(&Process::that_dies_after(&words, steps), 0, [1; 2]);
                    // The next has seen the death: it comes after.
                    let next = Process::new(&words);
                    let version = next.count(Ordering::Acquire);
                    let survived = look(read_committed(&next), 1).expect("nobody else writes");
                    assert_eq!(survived, version, "the old value or the new one");
                    commit(&next, version, [2; 2]);
                })
            };
            look(read_committed(&Process::new(&words)), 2);
            writers.join().unwrap();
            assert_eq!(look(read_committed(&Process::new(&words)), 2), Some(2));
        });
    }
}

#[test]
fn a_published_value_is_lost_with_its_writer_and_whole_again_after_the_next_write() {
    for steps in STEPS {
        explore(move || {
            let words = Words::new(1);
            let writers = {
                let words = words.clone();
                thread::spawn(move || {
                    publish(&Process::that_dies_after(&words, steps), 0, [1; 2]);
                    let next = Process::new(&words);
                    let sequence = next.count(Ordering::Acquire);
                    assert_eq!(
                        look(read_published(&next), 1),
                        match steps {
                            0 => Some(0),
                            4 => Some(1),
                            _ => None,
                        }
                    );
                    publish(&next, sequence, [2; 2]);
                })
            };
            look(read_published(&Process::new(&words)), 2);
            writers.join().unwrap();
            assert_eq!(look(read_published(&Process::new(&words)), 2), Some(2));
        });
    }
}
