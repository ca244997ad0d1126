//! Allocating every page in advance.
#![cfg(target_os = "linux")]

mod common;

use common::{Owned, page, watch};
use sysvshm::{Key, Removal, SegmentOptions, system};

#[test]
fn prefault_brings_every_page_in_and_keeps_contents() {
    const PAGES: u64 = 64;
    let owned = Owned::new(PAGES as usize * page(), 0o600);
    let resident = || {
        let entries = system::segments().unwrap();
        let entry = entries
            .iter()
            .find(|entry| entry.status.id() == owned.id())
            .unwrap();
        entry.resident_bytes.unwrap() / page() as u64
    };
    let segment = owned.id().attach().unwrap();
    assert_eq!(resident(), 0, "no page before somebody touches it");
    segment.write_at(5 * page(), b"kept").unwrap();
    assert_eq!(resident(), 1);
    segment.prefault().unwrap();
    assert_eq!(resident(), PAGES);
    let mut bytes = [0; 4];
    segment.read_exact_at(5 * page(), &mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
    owned.id().attach_read_only().unwrap().prefault().unwrap();
}

#[test]
fn prefault_as_an_option_has_every_page_in_from_the_start() {
    let mut options = SegmentOptions::new();
    watch();
    options
        .size_bytes(10 * page() + 1)
        .prefault(true)
        .removal(Removal::OnDrop);
    let segment = options.create_new(Key::PRIVATE).unwrap();
    let entries = system::segments().unwrap();
    let entry = entries
        .iter()
        .find(|entry| entry.status.id() == segment.id())
        .unwrap();
    assert_eq!(entry.resident_bytes, Some(11 * page() as u64));
}
