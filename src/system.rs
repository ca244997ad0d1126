//! The whole machine's shared memory, semaphores and message queues: limits, usage, every segment, set and queue, as
//! `ipcs` shows them, and what [kills leave behind](abandoned_tokens).
//!
//! All of it is per IPC namespace: a container sees its own.
//!
//! ```
//! # #[cfg(target_os = "linux")] {
//! use sysvshm::{Key, SegmentOptions, system};
//!
//! let segment = SegmentOptions::new().size_bytes(5000).create_new(Key::PRIVATE)?;
//! segment.mark_for_removal()?;
//! let entries = system::segments()?;
//! let entry = entries.iter().find(|entry| entry.status.id() == segment.id()).unwrap();
//! assert_eq!(entry.status.size_bytes(), 5000);
//!
//! let (limits, usage) = (system::limits()?, system::usage()?);
//! assert!(usage.segments >= 1 && usage.segments <= limits.max_segments);
//! # }
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # What this does not protect you from
//!
//! The list is taken segment by segment while others create and remove: it is no snapshot. A segment that appears
//! or goes meanwhile may be in it or not.

mod queues;
mod semaphores;
mod tokens;

pub use queues::*;
pub use semaphores::*;
pub use tokens::{AbandonedToken, abandoned_tokens, abandoned_tokens_by_age};

use crate::error::{Call, Command, Error};
use crate::segment::{SegmentId, Status, table};
use crate::sys::{Errno, os, process};
use crate::sysvipc::{Row, Table};
use std::collections::HashMap;

/// What the system allows; see shmctl(2), `proc_sys_kernel(5)` and, elsewhere, sysctl(8). Made by [`limits`].
///
/// ```
/// let limits = sysvshm::system::limits()?;
/// assert!(limits.max_segments > 0 && limits.max_segment_bytes > 0 && limits.max_pages > 0);
/// assert!(limits.page_bytes.is_power_of_two());
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("shminfo", "IPC_INFO", "shmmni", "shmmax", "shmall"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// `shmmax`: the largest segment, in bytes.
    pub max_segment_bytes: u64,
    /// `shmmni`: how many segments there may be.
    pub max_segments: u64,
    /// `shmall`: how much all of them together may have, in pages of [`page_bytes`](Self::page_bytes).
    pub max_pages: u64,
    /// The size of a page, in bytes.
    pub page_bytes: u64,
}

/// What is in use; see `SHM_INFO` in shmctl(2). Made by [`usage`], which has an example.
#[doc(alias("shm_info", "SHM_INFO"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// How many segments exist.
    pub segments: u64,
    /// How much all of them have together, in pages of [`Limits::page_bytes`], touched or not.
    pub pages: u64,
    /// How many of those pages are in memory.
    pub resident_pages: u64,
    /// How many are in swap.
    pub swapped_pages: u64,
}

/// A segment in the list of all. Made by [`segments`].
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, SegmentOptions, system};
///
/// let segment = SegmentOptions::new().size_bytes(1 << 20).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// segment.write_at(0, b"a page comes with its first touch")?;
/// let entries = system::segments()?;
/// let entry = entries.iter().find(|entry| entry.status.id() == segment.id()).unwrap();
/// if let (Some(resident), Some(swapped)) = (entry.resident_bytes, entry.swapped_bytes) {
///     assert!((1..1 << 20).contains(&(resident + swapped)));
/// }
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentEntry {
    /// What the kernel knows about it.
    pub status: Status,
    /// How many of its bytes are in memory; `None` where `/proc/sysvipc/shm` cannot be read.
    pub resident_bytes: Option<u64>,
    /// How many of its bytes are in swap; `None` where `/proc/sysvipc/shm` cannot be read.
    pub swapped_bytes: Option<u64>,
}

/// The limits on shared memory.
///
/// **C call:** `shmctl(0, IPC_INFO)`; `sysctlbyname(3)` on macOS and FreeBSD.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) (`ENOSYS`): a kernel without System V IPC.
///
/// ```
/// let limits = sysvshm::system::limits()?;
/// println!("up to {} segments of up to {} bytes", limits.max_segments, limits.max_segment_bytes);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "IPC_INFO")]
pub fn limits() -> Result<Limits, Error> {
    let (max_segment_bytes, max_segments, max_pages) =
        os::limits().map_err(failed(0, Command::Limits))?;
    Ok(Limits {
        max_segment_bytes,
        max_segments,
        max_pages,
        page_bytes: process::page_size() as u64,
    })
}

/// How much shared memory exists.
///
/// **C call:** `shmctl(0, SHM_INFO)`. Linux.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems, or with `ENOSYS`.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, SegmentOptions, system};
///
/// let segment = SegmentOptions::new().size_bytes(1).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let usage = system::usage()?;
/// assert!(usage.segments >= 1 && usage.pages >= 1);
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "SHM_INFO")]
pub fn usage() -> Result<Usage, Error> {
    let info = os::usage().map_err(failed(0, Command::Usage))?;
    Ok(Usage {
        segments: info[0],
        pages: info[1],
        resident_pages: info[2],
        swapped_pages: info[3],
    })
}

/// Every segment of this IPC namespace, whoever owns it, in the order of the kernel's table.
///
/// Before Linux 4.17, which has no `SHM_STAT_ANY`, segments that this user may not read are left out. Where a sandbox
/// refuses the calls, the list is that of `/proc/sysvipc/shm`.
///
/// **C calls:** `shmctl(0, SHM_INFO)` once; `shmctl(slot, SHM_STAT_ANY)` for each slot up to the highest used one,
/// and where that finds nothing `shmctl(slot, SHM_STAT)`. Resident and swapped bytes come from one look at
/// `/proc/sysvipc/shm`.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems than Linux, or with `ENOSYS` or `EPERM` where
/// `/proc/sysvipc/shm` cannot be read either.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, SegmentOptions, system};
///
/// let id = SegmentOptions::new().size_bytes(100).mode(0).create_unattached(Key::PRIVATE)?;
/// let listed = system::segments()?.into_iter().any(|entry| entry.status.id() == id);
/// assert!(listed); // although nobody may read it
/// id.mark_for_removal()?;
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("ipcs", "SHM_STAT", "SHM_STAT_ANY"))]
pub fn segments() -> Result<Vec<SegmentEntry>, Error> {
    let list = table::read();
    let statuses = match (
        walk(os::highest_slot, os::shm_stat_any, os::shm_stat),
        &list,
    ) {
        (Ok(slots), _) => slots
            .iter()
            .map(|(raw, id)| Status::new(SegmentId::from_raw(*id), raw))
            .collect(),
        (Err(_), Some(list)) => list.iter().map(|listed| listed.status.clone()).collect(),
        (Err(errno), None) => return Err(failed(0, Command::Usage)(errno)),
    };
    let memory: HashMap<SegmentId, (u64, u64)> = list
        .unwrap_or_default()
        .into_iter()
        .map(|listed| {
            (
                listed.status.id(),
                (listed.resident_bytes, listed.swapped_bytes),
            )
        })
        .collect();
    let entry = |status: Status| {
        let bytes = memory.get(&status.id());
        SegmentEntry {
            resident_bytes: bytes.map(|bytes| bytes.0),
            swapped_bytes: bytes.map(|bytes| bytes.1),
            status,
        }
    };
    Ok(Vec::into_iter(statuses).map(entry).collect())
}

/// Asks about every slot of the kernel's table, with the call that needs no permission and, where the kernel is older
/// than that, with the other one.
///
/// Fails if both are refused (`ENOSYS`, or `EPERM` of a sandbox): an empty list would be wrong.
fn walk<T>(
    highest: impl Fn() -> Result<i32, Errno>,
    any: impl Fn(i32) -> Result<(T, i32), Errno>,
    readable: impl Fn(i32) -> Result<(T, i32), Errno>,
) -> Result<Vec<(T, i32)>, Errno> {
    let mut found = Vec::new();
    for slot in 0..=highest()? {
        let refused = match any(slot) {
            Ok(one) => {
                found.push(one);
                continue;
            }
            // Either the slot is empty or the kernel does not know the command.
            Err(Errno(libc::EINVAL | libc::EIDRM)) => None,
            Err(errno) => Some(errno),
        };
        match (readable(slot), refused) {
            (Ok(one), _) => found.push(one),
            // Empty, or became so.
            (Err(Errno(libc::EINVAL | libc::EIDRM)), _) => {}
            // Closed to this user, by a kernel that has no other way to ask.
            (Err(Errno(libc::EACCES)), None) => {}
            (Err(errno), refused) => return Err(refused.unwrap_or(errno)),
        }
    }
    Ok(found)
}

/// What [`walk`] found, or, where it was refused, what a file of `/proc/sysvipc` tells.
fn listed<R, T>(
    slots: Result<Vec<(R, i32)>, Errno>,
    of_slot: impl Fn(&(R, i32)) -> T,
    file: &str,
    of_row: impl Fn(&Row<'_>) -> Option<T>,
    failed: impl Fn(Errno) -> Error,
) -> Result<Vec<T>, Error> {
    match slots {
        Ok(slots) => Ok(slots.iter().map(of_slot).collect()),
        Err(errno) => Table::read(file)
            .and_then(|table| table.rows(of_row))
            .ok_or_else(|| failed(errno)),
    }
}

fn failed(id: i32, command: Command) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_call(Call::shmctl(id, command), errno)
}
