//! Waiting for what another process does, where nothing wakes: pauses that grow, and an end.

use crate::error::KnownKind;
use std::time::{Duration, Instant};

/// Short enough not to be noticed by those who start a handful of processes.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Pauses between checks, from 1 ms to 20 ms, until a time has passed.
#[derive(Debug)]
pub(crate) struct Patience {
    start: Instant,
    timeout: Duration,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            start: Instant::now(),
            timeout,
            pause: FIRST_PAUSE,
        }
    }

    /// Sleeps for the next pause, no longer than the time that is left. If none is left, returns how long it has been.
    pub(crate) fn pause(&mut self) -> Result<(), Duration> {
        let waited = self.start.elapsed();
        let left = self.timeout.saturating_sub(waited);
        if left.is_zero() {
            return Err(waited);
        }
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// Opens what another process creates, as soon as it exists: a segment, a ring, a semaphore set, an array.
///
/// Calls `open` until it returns something else than an error for which [`is_not_found`](KnownKind::is_not_found)
/// holds, at once and then at pauses from 1 ms to 20 ms, the last time when `timeout` has passed. [`Duration::MAX`] is
/// forever.
///
/// # Errors
///
/// The last error of `open`: one that says that there is nothing, once the time has passed, or another one at once.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sysvshm::bounded_buffer::spsc::BoundedBuffer;
/// use sysvshm::{ErrorKind, Key, SegmentOptions, SemaphoreSet, wait_until_exists};
///
/// let (memory, ring, turns) = (Key::random()?, Key::random()?, Key::random()?);
/// let server = std::thread::spawn(move || {
///     SegmentOptions::new().size_bytes(100).create_new(memory).unwrap();
///     BoundedBuffer::<u64>::create_new(ring, 16).unwrap();
///     SemaphoreSet::create_new(turns, &[1]).unwrap();
/// });
///
/// let patience = Duration::from_secs(60);
/// let segment = wait_until_exists(patience, || SegmentOptions::new().open(memory))?;
/// let ring = wait_until_exists(patience, || BoundedBuffer::<u64>::open(ring))?;
/// let set = wait_until_exists(patience, || SemaphoreSet::open(turns))?;
///
/// let nothing = wait_until_exists(Duration::from_millis(3), || SemaphoreSet::open(Key::random()?));
/// assert_eq!(nothing.unwrap_err().kind(), ErrorKind::NotFound);
/// # server.join().unwrap();
/// # segment.mark_for_removal()?;
/// # ring.segment().mark_for_removal()?;
/// # set.remove()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What this does not protect you from
///
/// * What exists need not be filled. A segment has the size that it will always have, and zeros until its creator writes.
///   A semaphore set may not have its values yet. Opening a ring waits until it is initialised, for the
///   [`patience`](crate::bounded_buffer::spsc::Options::patience) of its own options.
/// * Signals do not end the wait. An `open` that checks a flag can: it returns an error of its own, of a type that
///   implements [`KnownKind`].
pub fn wait_until_exists<T, E: KnownKind>(
    timeout: Duration,
    mut open: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut patience = Patience::new(timeout);
    loop {
        match open() {
            Err(error) if error.is_not_found() => {
                if patience.pause().is_err() {
                    return Err(error);
                }
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[derive(Debug, PartialEq)]
    struct Answer(ErrorKind, u32);

    impl KnownKind for Answer {
        fn kind(&self) -> ErrorKind {
            self.0
        }
    }

    #[test]
    fn it_tries_until_something_is_there_or_another_error_is() {
        for (last, missing) in [(Ok(7), 5), (Err(Answer(ErrorKind::NotOwner, 6)), 5)] {
            let mut tries = 0;
            let mut last = Some(last);
            let kinds = [
                ErrorKind::NotFound,
                ErrorKind::NoSuchSegment,
                ErrorKind::NoSuchSet,
            ];
            let result = wait_until_exists(Duration::MAX, || {
                tries += 1;
                match kinds.get(tries as usize % 3) {
                    Some(&kind) if tries <= missing => Err(Answer(kind, tries)),
                    _ => last.take().expect("tried again after the end"),
                }
            });
            assert_eq!(tries, 6);
            assert!(matches!(
                result,
                Ok(7) | Err(Answer(ErrorKind::NotOwner, 6))
            ));
        }
    }

    #[test]
    fn it_tries_once_without_time_and_a_last_time_when_time_has_passed() {
        let mut tries = 0;
        let mut open = || -> Result<(), Answer> {
            tries += 1;
            Err(Answer(ErrorKind::NotFound, tries))
        };
        let once = wait_until_exists(Duration::ZERO, &mut open);
        assert_eq!(once, Err(Answer(ErrorKind::NotFound, 1)));
        let start = Instant::now();
        let last = wait_until_exists(Duration::from_millis(30), &mut open);
        let Err(Answer(_, number)) = last else {
            panic!("{last:?}")
        };
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert!(number >= 3 && number == tries);
        // Pauses of 1, 2, 4, 8 and 15 ms, or fewer and longer ones on a busy machine: no storm of calls.
        assert!(number <= 7, "{number}");
    }
}
