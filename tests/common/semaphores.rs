//! Guards for semaphore sets, and waiting for a state of theirs.

use super::watch;
use std::ops::Deref;
use std::time::Duration;
use sysvshm::{Key, SemaphoreSet, SemaphoreSetOptions};

/// A set that is removed when this value goes. That it is gone already is fine.
#[derive(Debug)]
pub(crate) struct OwnedSet(SemaphoreSet);

impl OwnedSet {
    /// A set without a key.
    pub(crate) fn new(values: &[u16]) -> Self {
        Self::with_mode(values, 0o600)
    }

    pub(crate) fn with_mode(values: &[u16], mode: u32) -> Self {
        let mut options = SemaphoreSetOptions::new();
        Self::guard(options.mode(mode).create_new(Key::PRIVATE, values).unwrap())
    }

    /// Guards what something else created.
    pub(crate) fn guard(set: SemaphoreSet) -> Self {
        watch();
        Self(set)
    }
}

impl Deref for OwnedSet {
    type Target = SemaphoreSet;

    fn deref(&self) -> &SemaphoreSet {
        &self.0
    }
}

impl Drop for OwnedSet {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

/// A fresh key; whatever set has it when this value goes is removed.
#[derive(Debug)]
pub(crate) struct OwnedSetKey(Key);

impl OwnedSetKey {
    pub(crate) fn random() -> Self {
        Self::guard(Key::random().unwrap())
    }

    pub(crate) fn guard(key: Key) -> Self {
        watch();
        Self(key)
    }

    pub(crate) fn key(&self) -> Key {
        self.0
    }
}

impl Drop for OwnedSetKey {
    fn drop(&mut self) {
        if let Ok(set) = SemaphoreSet::open(self.0) {
            let _ = set.remove();
        }
    }
}

/// Waits as long as it takes until something that another process does has happened.
pub(crate) fn until(mut happened: impl FnMut() -> bool) {
    while !happened() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
