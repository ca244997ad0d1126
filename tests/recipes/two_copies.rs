use std::sync::atomic::{Ordering, fence};
use sysvshm::memory::{Readable, Storable};
use sysvshm::segment::Access;
use sysvshm::{ReadWrite, SharedRef};

/// A value of any size that outlives its writer: whenever that is killed, the value is the old one or the new one,
/// whole.
///
/// One writer at a time; any number of readers, whom a dead writer does not hold up.
#[derive(Debug, Clone, Copy)]
pub struct TwoCopies<'a, T, A: Access = ReadWrite> {
    /// Counts the writes. Its lowest bit says which copy is the value.
    pub version: SharedRef<'a, u64, A>,
    pub copies: [SharedRef<'a, T, A>; 2],
}

impl<T: Readable, A: Access> TwoCopies<'_, T, A> {
    /// The value and its version, or `None` if each attempt was overtaken by a whole write.
    pub fn read(&self, attempts: u32) -> Option<(u64, T)> {
        for _ in 0..attempts {
            // Acquire, with the writer's last store: who sees the version sees its copy.
            let version = self.version.atomic_load(Ordering::Acquire);
            let value = self.copies[(version & 1) as usize].load();
            // Acquire, with the writer's fence: who read a byte of the write after the next sees that the next was
            // published.
            fence(Ordering::Acquire);
            if self.version.atomic_load(Ordering::Relaxed) == version {
                return Some((version, value));
            }
        }
        None
    }
}

impl<T: Readable + Storable> TwoCopies<'_, T> {
    /// Writes the copy that does not count, then makes it count by one store. **That store is the write.**
    pub fn write(&self, value: T) {
        let next = self.version.atomic_load(Ordering::Relaxed).wrapping_add(1);
        fence(Ordering::Release); // with the reader's fence
        self.copies[(next & 1) as usize].store(value);
        self.version.atomic_store(next, Ordering::Release); // with the reader's first load
    }
}
