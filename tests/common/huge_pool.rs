//! Explicit huge pages for a test: reserved in the kernel's pool, given back at its end.
//!
//! The pool is one for the whole machine, so tests that use it run one at a time.

use super::{skipped, watch};
use std::fs;
use sysvshm::{HugePages, Key, Removal, Segment, SegmentOptions};

pub(crate) const POOL: &str = "/proc/sys/vm/nr_hugepages";
pub(crate) const OVERCOMMIT: &str = "/proc/sys/vm/nr_overcommit_hugepages";

/// A file of the kernel whose content is put back when this value goes, panic or not.
pub(crate) struct Restored {
    path: &'static str,
    before: String,
}

impl Restored {
    /// Writes `value`; `None`, and said so, where that is not allowed.
    pub(crate) fn write(path: &'static str, value: &str) -> Option<Self> {
        let before = fs::read_to_string(path);
        let before = match before.and_then(|before| fs::write(path, value).map(|()| before)) {
            Ok(before) => before,
            Err(error) => {
                skipped(&format!("{path} cannot be changed: {error}"));
                return None;
            }
        };
        Some(Self { path, before })
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        let _ = fs::write(self.path, &self.before);
    }
}

/// A line of /proc/meminfo, in kB or as a count.
pub(crate) fn meminfo(name: &str) -> usize {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

pub(crate) fn free() -> usize {
    meminfo("HugePages_Free")
}

/// The default huge page size, in bytes.
pub(crate) fn huge() -> usize {
    meminfo("Hugepagesize") * 1024
}

/// Exactly `pages` huge pages in the pool, all of them free, as long as the value lives.
pub(crate) fn pool(pages: usize) -> Option<Restored> {
    if !fs::exists(POOL).unwrap() {
        skipped("a kernel without huge pages");
        return None;
    }
    if super::euid() != 0 {
        skipped("needs root, to reserve huge pages");
        return None;
    }
    let in_use = meminfo("HugePages_Total") - free() + meminfo("HugePages_Rsvd");
    if in_use != 0 {
        skipped("huge pages are in use on this machine; their owners shall not be disturbed");
        return None;
    }
    let guard = Restored::write(POOL, &pages.to_string())?;
    if (meminfo("HugePages_Total"), free()) != (pages, pages) {
        skipped(&format!(
            "the kernel found only {} of {pages} huge pages",
            free()
        ));
        return None;
    }
    Some(guard)
}

pub(crate) fn on_huge_pages(size_bytes: usize) -> SegmentOptions {
    watch();
    let mut options = SegmentOptions::new();
    options
        .size_bytes(size_bytes)
        .huge_pages(HugePages::Default)
        .removal(Removal::OnDrop);
    options
}

pub(crate) fn create(size_bytes: usize) -> Segment {
    on_huge_pages(size_bytes).create_new(Key::PRIVATE).unwrap()
}
