//! What may replace mappings, pull memory away or end in SIGBUS needs `unsafe`, as in C it would need care.

use std::ptr::{self, NonNull};
use sysvshm::{AttachFlags, Segment, SegmentId, SegmentOptions, raw};

fn main() -> Result<(), sysvshm::Error> {
    let mut options = SegmentOptions::new();
    options.remap(true); //~ E0133
    options.address(0x1000); //~ E0133
    options.assume_huge_pages_suffice(true); //~ E0133
    let _: Segment = Segment::from_raw(SegmentId::from_raw(0), NonNull::dangling())?; //~ E0133
    raw::shmat(0, ptr::null(), AttachFlags::empty())?; //~ E0133
    raw::shmdt(ptr::null())?; //~ E0133
    Ok(())
}
