//! System V semaphores: counters in the kernel on which processes wait.
//!
//! A *set* is an array of *semaphores*, each a number from 0 to 32767. A process *acquires* (subtracts, and sleeps
//! while too little is there), *releases* (adds), or *waits for zero*; a list of such operations over one set
//! happens as one step or not at all. The set has an identifier, perhaps a key, an owner and a mode, as a segment
//! has. It is the usual companion of a segment: the memory holds the data, the semaphores say whose turn it is.
//!
//! ```text
//!   create_new(values)                                   remove
//!       |                                                  |
//!       v                                                  v
//!   [ exists, values set ] -- first operation --> [ in use ]--> gone at once; whoever waits wakes with `Removed`
//!         sem_otime 0                              sem_otime > 0
//! ```
//!
//! Nothing is added to what C has: no header, no convention inside the values. Programs in C, Perl or Python use
//! the same set.
//!
//! ```
//! use sysvshm::{Key, SemaphoreSet};
//!
//! let key = Key::random()?;
//! let set = SemaphoreSet::create_new(key, &[1, 5, 0])?;     // mutex, empty, full
//!
//! // Perhaps in another process:
//! let set = SemaphoreSet::open(key)?;
//! let (mutex, empty, full) = (set.semaphore(0), set.semaphore(1), set.semaphore(2));
//! empty.acquire(1)?;                                        // semop -1: sleeps while 0
//! let guard = mutex.lock()?;                                // semop -1 with SEM_UNDO
//! // ... put an item into shared memory ...
//! drop(guard);                                              // semop +1 with SEM_UNDO
//! full.release(1)?;                                         // semop +1
//!
//! assert_eq!(set.values()?, [1, 4, 1]);
//! set.remove()?;
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # Undo
//!
//! With `SEM_UNDO` the kernel adds up what a process did to a semaphore and takes it back when the process ends,
//! however it ends. So a mutex whose holder is killed opens again. It has to be used on both sides, or the sum is
//! wrong; [`Semaphore::lock`] does. It must not be used on semaphores that one process raises and another lowers,
//! such as the `empty` and `full` of a bounded buffer: each process's end would take back what it rightly did.
//! Threads share one sum, a forked child starts at none, exec keeps it (semop(2)).
//!
//! # Signals
//!
//! `semop` is never restarted by the system, not even with `SA_RESTART` (signal(7)): a handled signal ends the wait
//! with `EINTR`. Here waits are restarted, timed ones with the time that remains. [`SemaphoreSet::interruptible`]
//! and [`Semaphore::interruptible`] give handles that report [`Interrupted`](crate::ErrorKind::Interrupted)
//! instead.
//!
//! # What this does not protect you from
//!
//! * A set stays until somebody removes it ([`create_new_owned`](SemaphoreSetOptions::create_new_owned): the process
//!   that created it, unless it is killed), and removing it is immediate: everybody else's next operation fails. No
//!   process is counted in or out, unlike with segments.
//! * A mutex that a killed holder gave back by `SEM_UNDO` says nothing about the data: they may be half changed,
//!   and the next holder is not told.
//! * Whoever may write to the set may set any value, and whoever takes a key first owns the set.
//! * systemd-logind with `RemoveIPC=yes` (the default) removes the semaphore sets of an ordinary user at the end of
//!   the last session, even those in use (logind.conf(5)).

mod guard;
mod initialise;
mod operation;
mod options;
mod owned;
mod set;
mod single;
mod status;

pub use guard::SemaphoreGuard;
pub use operation::Operation;
pub use options::SemaphoreSetOptions;
pub use set::SemaphoreSet;
pub use single::Semaphore;
pub use status::SemaphoreSetStatus;
