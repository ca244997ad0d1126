//! Cells beside a plain sequence lock: what a write and a read cost, alone and against the other side.
//!
//! ```text
//! taskset -c 0,1 cargo bench --bench cells
//! ```
//!
//! The plain lock is the textbook's, on the same accesses, without the role and the fork check. Rates are of one
//! writer and one reader, threads of this process on the same segment. Medians of interleaved rounds.

use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, fence};
use std::time::{Duration, Instant};
use sysvshm::memory::cell::{Cell, Committed, SequenceLocked};
use sysvshm::memory::{Element, SharedRef};
use sysvshm::{Key, SharedStruct};

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(20);

/// The plain lock.
#[derive(Clone, Copy)]
struct Plain<'a, T> {
    sequence: SharedRef<'a, u64>,
    value: SharedRef<'a, T>,
}

impl<T: Element> Plain<'_, T> {
    #[inline(always)]
    fn store(self, value: T) {
        let sequence = self.sequence.atomic_load(Relaxed);
        self.sequence.atomic_store(sequence + 1, Relaxed);
        fence(Release);
        self.value.store(value);
        self.sequence.atomic_store(sequence + 2, Release);
    }

    #[inline(always)]
    fn try_load(self) -> Option<T> {
        let before = self.sequence.atomic_load(Acquire);
        let value = self.value.load();
        fence(Acquire);
        (before % 2 == 0 && self.sequence.atomic_load(Relaxed) == before).then_some(value)
    }
}

/// Nanoseconds per call.
fn time(mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < ROUND {
        for _ in 0..1000 {
            call();
        }
        calls += 1000;
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// Nanoseconds per write and per whole value read, of a writer and a reader at the same time.
fn together(mut write: impl FnMut() + Send, mut read: impl FnMut() -> bool) -> [f64; 2] {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let (start, mut writes) = (Instant::now(), 0_u64);
            while !stop.load(Relaxed) {
                write();
                writes += 1;
            }
            start.elapsed().as_nanos() as f64 / writes as f64
        });
        let (start, mut whole) = (Instant::now(), 0_u64);
        while start.elapsed() < ROUND {
            for _ in 0..1000 {
                whole += u64::from(read());
            }
        }
        let read = start.elapsed().as_nanos() as f64 / whole.max(1) as f64;
        stop.store(true, Relaxed);
        [writing.join().unwrap(), read]
    })
}

fn median(mut figures: Vec<[f64; 4]>) -> [f64; 4] {
    std::array::from_fn(|i| {
        figures.sort_by(|one, other| one[i].total_cmp(&other[i]));
        figures[figures.len() / 2][i]
    })
}

fn measure<const N: usize>() {
    fn cell<C: Cell<Value = [u64; N]>, const N: usize>() -> [f64; 4] {
        let shared = SharedStruct::<C>::create_new(Key::PRIVATE).unwrap();
        shared.segment().mark_for_removal().unwrap();
        let cell = shared.cell(shared.view());
        let mut writer = cell.writer().unwrap();
        let alone = time(|| writer.store(black_box([7; N])));
        let read = time(|| assert!(black_box(cell.try_load()).is_some()));
        let [write_beside, read_beside] = together(
            || writer.store(black_box([7; N])),
            || black_box(cell.try_load()).is_some(),
        );
        [alone, read, write_beside, read_beside]
    }
    fn plain<const N: usize>() -> [f64; 4] {
        let shared = SharedStruct::<[u64; 1024]>::create_new(Key::PRIVATE).unwrap();
        shared.segment().mark_for_removal().unwrap();
        let lock = Plain::<[u64; N]> {
            sequence: shared.segment().reference(0).unwrap(),
            value: shared.segment().reference(16).unwrap(),
        };
        let alone = time(|| lock.store(black_box([7; N])));
        let read = time(|| assert!(black_box(lock.try_load()).is_some()));
        let [write_beside, read_beside] = together(
            || lock.store(black_box([7; N])),
            || black_box(lock.try_load()).is_some(),
        );
        [alone, read, write_beside, read_beside]
    }
    let mut all = [vec![], vec![], vec![]];
    for _ in 0..ROUNDS {
        all[0].push(plain::<N>());
        all[1].push(cell::<SequenceLocked<[u64; N]>, N>());
        all[2].push(cell::<Committed<[u64; N]>, N>());
    }
    for (name, figures) in ["plain sequence lock", "SequenceLocked", "Committed"]
        .iter()
        .zip(all)
    {
        let [write, read, write_beside, read_beside] = median(figures);
        println!(
            "{:>6} B  {name:<20} {write:>9.1} {read:>9.1} {write_beside:>14.1} {read_beside:>14.1}",
            8 * N
        );
    }
}

fn main() {
    println!(
        "nanoseconds       {:<20} {:>9} {:>9} {:>14} {:>14}",
        "", "write", "read", "write beside", "read beside"
    );
    measure::<3>();
    measure::<64>();
    measure::<512>();
}
