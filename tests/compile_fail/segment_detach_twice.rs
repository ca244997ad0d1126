//! Two handles that both detach one attach cannot be had: there is no copy, and detaching consumes.

use sysvshm::{Key, Segment, SegmentOptions};

fn copy(segment: &Segment) -> Segment {
    Segment::clone(segment) //~ E0277
}

fn main() -> Result<(), sysvshm::Error> {
    let segment = SegmentOptions::new().size_bytes(8).create_new(Key::PRIVATE)?;
    copy(&segment).detach()?;
    segment.detach()?;
    segment.detach()?; //~ E0382
    Ok(())
}
