//! `/proc/sysvipc`: every object of an IPC namespace as a line of text, whatever its mode (`proc_sysvipc(5)`).

/// One of its files, as far as it can be read.
pub(crate) struct Table {
    text: String,
}

/// A line that has a number in every column.
pub(crate) struct Row<'a> {
    columns: &'a [&'a str],
    fields: Vec<i64>,
}

impl Table {
    /// `None` without `/proc`, and on systems other than Linux.
    pub(crate) fn read(name: &str) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{name}")).ok()?;
        Some(Self { text })
    }

    /// What `take` makes of each line; `None` if the columns that it asks for are not there. Lines of another shape are
    /// passed over.
    pub(crate) fn rows<T>(&self, take: impl Fn(&Row<'_>) -> Option<T>) -> Option<Vec<T>> {
        let mut lines = self.text.lines();
        let columns: Vec<&str> = lines.next()?.split_whitespace().collect();
        let parsed = lines.filter_map(|line| {
            let words = line.split_whitespace();
            let fields: Result<Vec<i64>, _> = words.map(str::parse).collect();
            let fields = fields.ok().filter(|fields| fields.len() == columns.len())?;
            let columns = &columns;
            Some(take(&Row { columns, fields }))
        });
        parsed.collect()
    }
}

impl Row<'_> {
    /// The number under a title: later kernels may have more columns, or another order.
    pub(crate) fn get<T: TryFrom<i64>>(&self, title: &str) -> Option<T> {
        let column = self.columns.iter().position(|&column| column == title)?;
        T::try_from(self.fields[column]).ok()
    }

    /// The mode, which is written in octal digits.
    pub(crate) fn mode(&self) -> Option<u32> {
        let digits: u32 = self.get("perms")?;
        u32::from_str_radix(&digits.to_string(), 8).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Option<Vec<(i32, u64, u32)>> {
        let text = text.to_owned();
        Table { text }.rows(|row| Some((row.get("shmid")?, row.get("size")?, row.mode()?)))
    }

    #[test]
    fn columns_are_found_by_name_and_odd_lines_passed_over() {
        let text = "       key      shmid extra perms size\n\
                    -2023406815     32768     7  1644  100\n\
                    garbage\n\
                             0          0     7     0    1\n";
        let rows = vec![(32768, 100, 0o1644), (0, 1, 0)];
        assert_eq!(sizes(text), Some(rows));
        assert_eq!(sizes("shmid perms size\n"), Some(Vec::new()));
        assert_eq!(sizes(""), None);
        assert_eq!(sizes("shmid size\n0 1\n"), None);
    }
}
