//! A read-only attach offers nothing that writes.

use sysvshm::{Key, ReadOnly, Segment, SegmentOptions};

fn main() -> Result<(), sysvshm::Error> {
    let reader: Segment<ReadOnly> = SegmentOptions::new().open_read_only(Key::from_raw(42))?;
    reader.read_at(0, &mut [0; 4])?;
    reader.write_at(0, b"no")?; //~ E0277 nothing can be written through it
    let _: *mut u8 = reader.as_ptr(); //~ E0308
    let _: Segment = reader; //~ E0308
    Ok(())
}
