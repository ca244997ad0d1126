//! What semaphore operations cost beside the raw calls, nobody waiting.
//!
//! `cargo bench --bench semaphore [-- --passes N]`
//!
//! Each pass runs both contenders for a fraction of a millisecond, in alternating order, so that a slow moment of
//! the machine hits both; ratios are formed within a pass, and the median and the quartiles of those are printed.
//! Every call's result is checked, and after each pass the values are.
#![allow(unsafe_code)] // The raw calls to compare with.

mod interleaved;

use interleaved::{Comparison, passes_from_arguments};
use std::time::Duration;
use sysvshm::semaphore::Operation;
use sysvshm::{Key, Semaphore, SemaphoreSet};

/// Iterations of one contender in one pass: some 0.2 ms, less than the time between two disturbances of a busy
/// machine.
const BATCH: u32 = 200;
const UNDO: i16 = libc::SEM_UNDO as i16;

fn main() {
    let passes = passes_from_arguments(2001);
    println!("median of {passes} passes of {BATCH} iterations, [quartiles]; ns per iteration");
    let set = Removed(SemaphoreSet::create_new(Key::PRIVATE, &[1, 1]).expect("a set"));
    let (set, id) = (&set.0, set.0.id());
    let semaphore = set.semaphore(0);
    let comparison = Comparison {
        passes,
        batch: BATCH,
        per_second: 1e9,
    };
    let mut check = || assert_eq!(set.values().expect("values"), [1, 1]);
    let mut compare = |name, raw: &mut dyn FnMut(), safe: &mut dyn FnMut()| {
        comparison.run(name, &mut check, raw, safe);
    };
    compare("acquire + release", &mut || raw_pair(id, 0), &mut || {
        safe_pair(semaphore);
    });
    let undone = semaphore.with_undo();
    compare(
        "acquire + release, with undo",
        &mut || raw_pair(id, UNDO),
        &mut || safe_pair(undone),
    );
    compare("lock + unlock", &mut || raw_pair(id, UNDO), &mut || {
        let guard = semaphore.lock().expect("lock");
        guard.unlock().expect("unlock");
    });
    compare(
        "both of two in one step, and back",
        &mut || {
            raw(id, &mut [step(0, -1, 0), step(1, -1, 0)]);
            raw(id, &mut [step(0, 1, 0), step(1, 1, 0)]);
        },
        &mut || {
            set.operate(&[Operation::acquire(0, 1), Operation::acquire(1, 1)])
                .expect("acquire");
            set.operate(&[Operation::release(0, 1), Operation::release(1, 1)])
                .expect("release");
        },
    );
    let hour = Duration::from_secs(3600);
    compare(
        "acquire within an hour + release (raw: no deadline kept)",
        &mut || {
            raw_timed(id, &mut [step(0, -1, 0)]);
            raw(id, &mut [step(0, 1, 0)]);
        },
        &mut || {
            semaphore.acquire_timeout(1, hour).expect("acquire");
            semaphore.release(1).expect("release");
        },
    );
}

/// Removes the set however the run ends.
struct Removed(SemaphoreSet);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

fn safe_pair(semaphore: Semaphore) {
    semaphore.acquire(1).expect("acquire");
    semaphore.release(1).expect("release");
}

fn raw_pair(id: i32, flags: i16) {
    raw(id, &mut [step(0, -1, flags)]);
    raw(id, &mut [step(0, 1, flags)]);
}

fn step(sem_num: u16, sem_op: i16, sem_flg: i16) -> libc::sembuf {
    libc::sembuf {
        sem_num,
        sem_op,
        sem_flg,
    }
}

fn raw(id: i32, operations: &mut [libc::sembuf]) {
    // SAFETY: as many operations as stated.
    let done = unsafe { libc::semop(id, operations.as_mut_ptr(), operations.len()) };
    assert_eq!(done, 0);
}

fn raw_timed(id: i32, operations: &mut [libc::sembuf]) {
    unsafe extern "C" {
        fn semtimedop(
            semid: libc::c_int,
            sops: *mut libc::sembuf,
            nsops: libc::size_t,
            timeout: *const libc::timespec,
        ) -> libc::c_int;
    }
    let hour = libc::timespec {
        tv_sec: 3600,
        tv_nsec: 0,
    };
    // SAFETY: as many operations as stated, and a timeout that lives across the call.
    let done = unsafe {
        semtimedop(
            id,
            operations.as_mut_ptr(),
            operations.len(),
            &raw const hour,
        )
    };
    assert_eq!(done, 0);
}
