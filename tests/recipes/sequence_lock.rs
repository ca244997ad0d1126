use std::sync::atomic::{Ordering, fence};
use sysvshm::memory::{Readable, Storable};
use sysvshm::segment::Access;
use sysvshm::{ReadWrite, SharedRef};

/// A value of any size with one writer at a time and any number of readers, none of whom ever waits for another.
///
/// `sequence` is odd while the value is being written, and has changed when it was.
#[derive(Debug, Clone, Copy)]
pub struct SequenceLock<'a, T, A: Access = ReadWrite> {
    pub sequence: SharedRef<'a, u32, A>,
    pub value: SharedRef<'a, T, A>,
}

impl<T: Readable, A: Access> SequenceLock<'_, T, A> {
    /// The value as it was at one moment, or `None` if every attempt met a writer. A writer that died half way
    /// leaves the sequence odd until the next write, so the attempts must have an end.
    pub fn read(&self, attempts: u32) -> Option<T> {
        for _ in 0..attempts {
            // Acquire, with the writer's last store: who sees it sees the value it published.
            let before = self.sequence.atomic_load(Ordering::Acquire);
            if before % 2 == 0 {
                let value = self.value.load(); // may be torn
                // Acquire, with the writer's fence: who read a byte of a newer value sees at least that writer's
                // odd number.
                fence(Ordering::Acquire);
                if self.sequence.atomic_load(Ordering::Relaxed) == before {
                    return Some(value);
                }
            }
            std::hint::spin_loop();
        }
        None
    }
}

impl<T: Readable + Storable> SequenceLock<'_, T> {
    /// Writes the value. Two writers at a time would mix theirs: that there is only one is for somebody else to see
    /// to.
    pub fn write(&self, value: T) {
        // Odd already if a writer died half way: this write then completes what that one began.
        let odd = self.sequence.atomic_load(Ordering::Relaxed) | 1;
        self.sequence.atomic_store(odd, Ordering::Relaxed);
        fence(Ordering::Release); // with the reader's fence
        self.value.store(value);
        self.sequence
            .atomic_store(odd.wrapping_add(1), Ordering::Release); // with the reader's first load
    }
}
