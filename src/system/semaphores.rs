//! The whole machine's semaphores: limits, usage, and every set, as `ipcs -s` shows them.

use super::{listed, walk};
use crate::error::{Call, Command, Error};
use crate::semaphore::SemaphoreSetStatus;
use crate::sys::{Errno, sem};

/// What the system allows for semaphores.
#[doc(alias(
    "seminfo", "IPC_INFO", "SEMMSL", "SEMMNS", "SEMOPM", "SEMMNI", "SEMVMX"
))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreLimits {
    /// `SEMMNI`: how many sets there may be.
    pub max_sets: u64,
    /// `SEMMNS`: how many semaphores all sets together may have.
    pub max_semaphores: u64,
    /// `SEMMSL`: how many semaphores one set may have.
    pub max_semaphores_per_set: u64,
    /// `SEMOPM`: how many operations one step may have.
    pub max_operations: u64,
    /// `SEMVMX`: the largest value.
    pub max_value: u64,
}

/// What is in use of semaphores.
#[doc(alias("seminfo", "SEM_INFO"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreUsage {
    /// How many sets exist.
    pub sets: u64,
    /// How many semaphores they have together.
    pub semaphores: u64,
}

/// The limits on semaphores.
///
/// **C call:** `semctl(0, 0, IPC_INFO)`; `sysctlbyname(3)` on macOS and FreeBSD.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) (`ENOSYS`): a kernel without System V IPC.
///
/// ```
/// let limits = sysvshm::system::semaphore_limits()?;
/// assert_eq!(limits.max_value, 32767);
/// println!("up to {} operations in one step", limits.max_operations);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("IPC_INFO", "semctl"))]
pub fn semaphore_limits() -> Result<SemaphoreLimits, Error> {
    let limits = sem::limits().map_err(failed(Command::Limits))?;
    Ok(SemaphoreLimits {
        max_sets: limits.sets,
        max_semaphores: limits.semaphores,
        max_semaphores_per_set: limits.per_set,
        max_operations: limits.operations,
        max_value: limits.value,
    })
}

/// How many sets and semaphores exist.
///
/// **C call:** `semctl(0, 0, SEM_INFO)`. Linux.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems, or with `ENOSYS`.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, SemaphoreSet, system};
///
/// let set = SemaphoreSet::create_new(Key::PRIVATE, &[0, 0, 0])?;
/// let usage = system::semaphore_usage()?;
/// assert!(usage.sets >= 1 && usage.semaphores >= 3);
/// set.remove()?;
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("SEM_INFO", "semctl"))]
pub fn semaphore_usage() -> Result<SemaphoreUsage, Error> {
    let [sets, semaphores] = sem::usage().map_err(failed(Command::Usage))?;
    Ok(SemaphoreUsage { sets, semaphores })
}

/// Every semaphore set of this IPC namespace, whoever owns it, in the order of the kernel's table.
///
/// The list is taken set by set while others create and remove: it is no snapshot.
///
/// **C calls:** `semctl(0, 0, SEM_INFO)` once, `semctl(slot, 0, SEM_STAT_ANY)` per slot up to the highest used one;
/// before Linux 4.17 `SEM_STAT`, which leaves out what this user may not read. Where a sandbox refuses the calls, the
/// list is that of `/proc/sysvipc/sem`.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems than Linux, or with `ENOSYS` or `EPERM` where
/// `/proc/sysvipc/sem` cannot be read either.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, SemaphoreSet, system};
///
/// let set = SemaphoreSet::create_new(Key::PRIVATE, &[1, 2])?;
/// let all = system::semaphore_sets()?;
/// assert!(all.iter().any(|status| status.id() == set.id() && status.len() == 2));
/// set.remove()?;
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("ipcs", "SEM_STAT", "SEM_STAT_ANY"))]
pub fn semaphore_sets() -> Result<Vec<SemaphoreSetStatus>, Error> {
    let slots = walk(sem::highest_slot, sem::sem_stat_any, sem::sem_stat);
    let status = |(raw, id): &(_, _)| SemaphoreSetStatus::new(*id, raw);
    let row = SemaphoreSetStatus::of_row;
    listed(slots, status, "sem", row, failed(Command::Usage))
}

fn failed(command: Command) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_call(Call::semctl(0, command), errno)
}
