//! `/proc/sysvipc/shm`: the kernel's list of all segments of an IPC namespace, as text. Reading it needs no right to
//! any of them.

/// One segment of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: i32,
    pub(crate) size_bytes: u64,
    /// As numbered in the pid namespace of the process that reads; 0 if it has no number there.
    pub(crate) creator_pid: i32,
    /// Seconds since 1970.
    pub(crate) change_time: i64,
    pub(crate) resident_bytes: u64,
    pub(crate) swapped_bytes: u64,
}

/// Every segment of the calling thread's IPC namespace; `None` where the list cannot be read.
pub(crate) fn read() -> Option<Vec<Row>> {
    parse(&std::fs::read_to_string("/proc/sysvipc/shm").ok()?)
}

/// Columns are found by name: `proc_sysvipc(5)` says that later kernels may add some.
fn parse(table: &str) -> Option<Vec<Row>> {
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next()?.split_whitespace().collect();
    let column = |name| header.iter().position(|&title| title == name);
    let (id, size, creator) = (column("shmid")?, column("size")?, column("cpid")?);
    let (change, rss, swap) = (column("ctime")?, column("rss")?, column("swap")?);
    let rows = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |column: usize| fields.get(column)?.parse::<i64>().ok();
        let unsigned = |column| u64::try_from(number(column)?).ok();
        Some(Row {
            id: i32::try_from(number(id)?).ok()?,
            size_bytes: unsigned(size)?,
            creator_pid: i32::try_from(number(creator)?).ok()?,
            change_time: number(change)?,
            resident_bytes: unsigned(rss)?,
            swapped_bytes: unsigned(swap)?,
        })
    });
    Some(rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_odd_lines_passed_over() {
        let table = "       key      shmid extra size  cpid ctime                 rss                  swap\n\
                     -2023406815     32768     7  100    12  1000                4096                   512\n\
                     garbage\n\
                              0          0     7    1     0     0                   0                     0\n";
        let row = |id, size_bytes, creator_pid, change_time, resident_bytes, swapped_bytes| Row {
            id,
            size_bytes,
            creator_pid,
            change_time,
            resident_bytes,
            swapped_bytes,
        };
        let rows = vec![row(32768, 100, 12, 1000, 4096, 512), row(0, 1, 0, 0, 0, 0)];
        assert_eq!(parse(table), Some(rows));
        assert_eq!(parse(""), None);
        assert_eq!(parse("shmid size\n0 1\n"), None);
    }
}
