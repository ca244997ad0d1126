//! The textbook's bounded buffer, used by `semaphore_buffer_producer` and `semaphore_buffer_consumer`.
//!
//! Dijkstra's solution, as lectures show it, for any number of producers and consumers:
//!
//! ```text
//! producer                    consumer
//!   wait(empty)                 wait(full)
//!   wait(mutex)                 wait(mutex)
//!   buffer[in] = item           item = buffer[out]
//!   in = (in + 1) % N           out = (out + 1) % N
//!   signal(mutex)               signal(mutex)
//!   signal(full)                signal(empty)
//! ```
//!
//! # Undo
//!
//! `mutex` uses `SEM_UNDO`: whoever acquires it also releases it, so if that process is killed in between, taking
//! back its -1 is just what is needed, and the others go on.
//!
//! `empty` and `full` must not. A producer only lowers `empty` and a consumer only raises it; each is a transfer to
//! the other side, which stays right when the process ends. With `SEM_UNDO` a producer that put five items and
//! *ended properly* would have the kernel add 5 to `empty` and take 5 from `full`: slots that hold items would
//! count as free, items that are there as missing.
//!
//! What this leaves open: a process killed between its two waits on `empty` or `full` and its last signal takes one
//! slot, or one item, with it. The rings of this crate are for those who cannot afford that.

use crate::cli::{self, Interrupts};
use std::error::Error;
use std::fs::OpenOptions;
use sysvshm::{Key, SegmentOptions, Semaphore, SemaphoreSet, SemaphoreSetOptions, SharedArray};

/// How many items fit: all N slots are used, because `full` tells full from empty.
pub(crate) const N: usize = 10;
/// Behind the slots.
const IN: usize = N;
const OUT: usize = N + 1;

/// `int buffer[N]; int in; int out;` in a segment, and three semaphores.
#[derive(Debug)]
pub(crate) struct Buffer {
    shared: SharedArray<u64>,
    set: SemaphoreSet,
    mutex: Semaphore,
    empty: Semaphore,
    full: Semaphore,
}

impl Buffer {
    /// Joins the buffer, or makes it: whoever comes first, producer or consumer.
    pub(crate) fn open(key_file: &str) -> Result<Self, Box<dyn Error>> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(key_file)
            .map_err(|error| format!("cannot make the key file {key_file}: {error}"))?;
        // Segments and semaphore sets have keys of their own: one number can name one of each.
        let key = Key::from_path(key_file, 43)?;
        let interrupts = Interrupts::hold();
        // A new segment is all zeros: in == out == 0, as it should be.
        let shared = SegmentOptions::new()
            .mode(0o600)
            .open_or_create_array(key, N + 2)?;
        // Nobody sees the set before its values are there; see the documentation of the race.
        let set = SemaphoreSetOptions::new()
            .mode(0o600)
            .open_or_create(key, &[1, u16::try_from(N)?, 0])?;
        // It is there for others, too, so Ctrl-C leaves it.
        let (segment, id) = (shared.segment().id(), set.id());
        interrupts.then(move || {
            cli::complain(format_args!(
                "the buffer stays: segment {segment} and semaphore set {id}; \
                 `ipcrm -m {segment} -s {id}` removes both"
            ));
        })?;
        Ok(Self {
            shared,
            set,
            mutex: set.semaphore(0),
            empty: set.semaphore(1),
            full: set.semaphore(2),
        })
    }

    #[allow(dead_code)] // Not in the consumer.
    pub(crate) fn put(&self, item: u64) -> Result<(), Box<dyn Error>> {
        self.empty.acquire(1)?;
        let guard = self.mutex.lock()?; // with SEM_UNDO, here and in `unlock`
        let place = self.place(IN)?;
        self.shared.view().store(place, item);
        self.shared.view().store(IN, next(place));
        guard.unlock()?;
        self.full.release(1)?;
        Ok(())
    }

    #[allow(dead_code)] // Not in the producer.
    pub(crate) fn take(&self) -> Result<u64, Box<dyn Error>> {
        self.full.acquire(1)?;
        let guard = self.mutex.lock()?;
        let place = self.place(OUT)?;
        let item = self.shared.view().load(place);
        self.shared.view().store(OUT, next(place));
        guard.unlock()?;
        self.empty.release(1)?;
        Ok(item)
    }

    /// Ends the buffer: whoever still waits is told that the set was removed.
    #[allow(dead_code)] // Not in the producer.
    pub(crate) fn remove(self) -> Result<(), Box<dyn Error>> {
        self.set.remove()?;
        self.shared.segment().mark_for_removal()?;
        Ok(())
    }

    /// `in` or `out`. Other processes write it, so it is checked before it is used as an index.
    fn place(&self, which: usize) -> Result<usize, Box<dyn Error>> {
        let place = self.shared.view().load(which);
        match usize::try_from(place) {
            Ok(place) if place < N => Ok(place),
            _ => Err(format!("the buffer is damaged: a position of {place}").into()),
        }
    }
}

fn next(place: usize) -> u64 {
    ((place + 1) % N) as u64
}
