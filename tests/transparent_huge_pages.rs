//! Attaching where transparent huge pages can be mapped, without touching what lies beside.
#![allow(unsafe_code)] // Mappings of the test's own, to see whether they stay.

mod common;

use common::{Owned, alone, assert_says, fails, page, peer, root_or_skip, skipped};
use std::ffi::c_void;
use std::ptr;
use sysvshm::raw::{self, GetFlags};
use sysvshm::{ErrorKind, Key, SegmentId, SegmentOptions};

const SETTING: &str = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
const SIZE: &str = "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size";

/// The size of a transparent huge page; says "skipped" where there are none.
fn huge_page() -> Option<usize> {
    let size = std::fs::read_to_string(SIZE).ok();
    let size = size.and_then(|text| text.trim().parse().ok());
    if size.is_none() {
        skipped("this kernel has no transparent huge pages");
    }
    size
}

/// Puts the system's setting back.
struct Restore(String);

impl Drop for Restore {
    fn drop(&mut self) {
        let _ = std::fs::write(SETTING, &self.0);
    }
}

/// The setting in force.
fn setting() -> Option<String> {
    let text = std::fs::read_to_string(SETTING).ok()?;
    text.split(['[', ']']).nth(1).map(str::to_owned)
}

/// Switches transparent huge pages on for those who ask; harmless to those who do not.
fn switch(word: &str) -> Option<Restore> {
    let before = setting()?;
    std::fs::write(SETTING, word).ok()?;
    Some(Restore(before))
}

fn wanting() -> SegmentOptions {
    SegmentOptions::new().transparent_huge_pages(true).clone()
}

#[test]
fn the_attach_starts_at_a_multiple_of_the_huge_page_size() {
    let _alone = alone();
    let Some(huge) = huge_page() else { return };
    let Some(_restore) = switch("advise") else {
        skipped("the setting for shared memory cannot be changed");
        return;
    };
    let owned = Owned::new(2 * huge + 1, 0o600);
    let segment = wanting().attach(owned.id()).unwrap();
    assert_eq!(segment.as_ptr().addr() % huge, 0);
    assert_eq!(segment.len_bytes(), 2 * huge + 1);
    // The attach that pinned the identifier is given up.
    assert_eq!(owned.id().status().unwrap().attached(), 1);
    segment.write_at(2 * huge, b"!").unwrap();
    segment.detach().unwrap();
    let reader = wanting().attach_read_only(owned.id()).unwrap();
    assert_eq!(reader.as_ptr().addr() % huge, 0);
    let mut byte = [0];
    reader.read_exact_at(2 * huge, &mut byte).unwrap();
    assert_eq!(&byte, b"!");
    drop(reader);
    assert_eq!(owned.id().status().unwrap().attached(), 0);
}

#[test]
fn a_system_that_has_them_off_is_told_with_its_setting() {
    let _alone = alone();
    if huge_page().is_none() {
        return;
    }
    // As the machine stands, for whoever may not change it.
    if let Some(setting @ ("never" | "deny")) = setting().as_deref() {
        assert_off(setting);
    }
    for word in ["never", "deny"] {
        let Some(_restore) = switch(word) else {
            skipped("the setting for shared memory cannot be changed");
            return;
        };
        assert_off(word);
    }
}

fn assert_off(word: &str) {
    let owned = Owned::new(1, 0o600);
    let error = fails(
        wanting().attach(owned.id()),
        ErrorKind::HugePagesUnavailable,
        None,
    );
    let says = format!("shmem_enabled says {word}");
    assert_says(&error, &["MADV_HUGEPAGE", &says]);
    assert_eq!(owned.id().status().unwrap().attached(), 0);
    let key = common::OwnedKey::random();
    fails(
        wanting().size_bytes(1).create_new(key.key()),
        ErrorKind::HugePagesUnavailable,
        None,
    );
    fails(
        SegmentId::find(key.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    // Who can live without them asks afterwards, and keeps the attach.
    let segment = owned.id().attach().unwrap();
    fails(
        segment.advise_transparent_huge_pages(),
        ErrorKind::HugePagesUnavailable,
        None,
    );
    segment.write_at(0, b"!").unwrap();
}

#[test]
fn the_kernel_maps_them_where_the_system_lets_advice_decide() {
    let _alone = alone();
    let Some(huge) = huge_page() else { return };
    let Some(_restore) = switch("advise") else {
        skipped("the setting for shared memory cannot be changed");
        return;
    };
    let owned = Owned::new(4 * huge, 0o600);
    let segment = wanting().prefault(true).attach(owned.id()).unwrap();
    match pmd_mapped(segment.as_ptr().addr()) {
        0 => skipped("the kernel found no huge page; memory may be fragmented"),
        mapped => assert!(mapped % huge == 0 && mapped <= 4 * huge, "{mapped}"),
    }
}

/// How many bytes of the mapping that starts here are mapped by huge pages, as /proc/self/smaps says.
fn pmd_mapped(address: usize) -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let start = format!("{address:x}-");
    let mut lines = smaps.lines().skip_while(|line| !line.starts_with(&start));
    let line = lines.find(|line| line.starts_with("ShmemPmdMapped:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

/// Anonymous pages that say whether they are still the ones that were mapped.
#[derive(Clone)]
struct Canary {
    base: *mut u8,
    len: usize,
}

impl Canary {
    const SONG: u8 = 7;

    fn new(len: usize) -> Self {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: maps free address space.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        assert_ne!(base, libc::MAP_FAILED);
        let base: *mut u8 = base.cast();
        // SAFETY: mapped just now.
        unsafe { base.write_bytes(Self::SONG, len) };
        Self { base, len }
    }

    /// Two canaries with `hole` free bytes between them, at a multiple of `huge`.
    fn around_a_hole(huge: usize, hole: usize) -> [Self; 2] {
        let whole = Self::new(hole + 3 * huge);
        let start = (whole.base.addr() + 1).next_multiple_of(huge);
        let below = start - whole.base.addr();
        let middle = whole.base.wrapping_add(below);
        // SAFETY: a part of the canary that nothing points to any more.
        let done = unsafe { libc::munmap(middle.cast(), hole) };
        assert_eq!(done, 0);
        let above = Self {
            base: middle.wrapping_add(hole),
            len: whole.len - below - hole,
        };
        let below = Self {
            base: whole.base,
            len: below,
        };
        [below, above]
    }

    fn silent_pages(&self) -> usize {
        let mut resident = 0_u8;
        let starts = (0..self.len)
            .step_by(page())
            .map(|at| self.base.wrapping_add(at));
        let silent = starts.filter(|start| {
            let start: *mut c_void = start.cast();
            // SAFETY: asks about a range; one byte of answer for one page.
            let unmapped = unsafe { libc::mincore(start, page(), &raw mut resident) } != 0;
            // SAFETY: mapped, as was just found out; no other thread of this process maps anything.
            unmapped || unsafe { start.cast::<u8>().read() } != Self::SONG
        });
        silent.count()
    }
}

#[test]
fn an_attach_of_explicit_huge_pages_replaces_nothing_beside_it() {
    let alone = peer!(|talk| {
        let huge: usize = talk.arg(0);
        // Nothing is set aside, so none need be free, and the mapping is longer than the size by nearly a huge
        // page.
        let flags = GetFlags::IPC_CREAT
            | GetFlags::SHM_HUGETLB
            | GetFlags::SHM_NORESERVE
            | GetFlags::mode(0o600);
        let id = match raw::shmget(Key::PRIVATE, huge + 1, flags) {
            Ok(id) => id,
            Err(error) => {
                skipped(&format!("no explicit huge pages here: {error}"));
                return;
            }
        };
        let owned = Owned::guard(id);
        // A hole with room for one attach, and below it a canary that does not fit. Both end at odd distances from
        // multiples of the huge page size, so that a place for aligning, made for the size alone, is too short
        // wherever it comes to lie.
        let odd = 3 * page();
        let mut canaries = Canary::around_a_hole(huge, 3 * huge + odd).to_vec();
        canaries.push(Canary::new(4 * huge + odd));
        // Whether it succeeds depends on what is free.
        let result = wanting().attach(owned.id());
        for canary in &canaries {
            assert_eq!(canary.silent_pages(), 0, "{result:?}");
        }
    });
    let Some(huge) = huge_page() else { return };
    if root_or_skip() {
        alone.arg(huge).run();
    }
}
