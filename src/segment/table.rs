//! `/proc/sysvipc/shm`: the kernel's list of all segments of an IPC namespace. Reading it needs no right to any of
//! them.

use super::{SegmentId, Status};
use crate::permissions::Permissions;
use crate::sysvipc::{Row, Table};

/// One segment of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) status: Status,
    pub(crate) resident_bytes: u64,
    pub(crate) swapped_bytes: u64,
}

/// Every segment of the calling thread's IPC namespace; `None` where the list cannot be read.
pub(crate) fn read() -> Option<Vec<Listed>> {
    Table::read("shm")?.rows(listed)
}

fn listed(row: &Row<'_>) -> Option<Listed> {
    Some(Listed {
        status: Status {
            id: SegmentId::from_raw(row.get("shmid")?),
            permissions: Permissions::of_row(row)?,
            size_bytes: row.get("size")?,
            creator_pid: row.get("cpid")?,
            last_pid: row.get("lpid")?,
            attached: row.get("nattch")?,
            times: [row.get("atime")?, row.get("dtime")?, row.get("ctime")?],
        },
        resident_bytes: row.get("rss")?,
        swapped_bytes: row.get("swap")?,
    })
}
