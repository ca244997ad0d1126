//! What makes real references of shared bytes, or views of foreign ones, is a promise that only the caller
//! can make.

use sysvshm::{Key, Segment, SegmentOptions, SharedRef, SharedSlice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let segment: Segment = SegmentOptions::new().open(Key::from_raw(42))?;
    let numbers = segment.slice::<u32>(0, 4)?;
    numbers.as_slice()?; //~ E0133
    numbers.as_mut_slice()?; //~ E0133
    numbers.as_atomics()?; //~ E0133
    numbers.at(0).as_ref()?; //~ E0133
    numbers.at(0).as_mut()?; //~ E0133
    numbers.at(0).as_atomic()?; //~ E0133
    SharedSlice::<u8>::from_raw_parts(std::ptr::null_mut(), 0)?; //~ E0133
    SharedRef::<u8>::from_raw(std::ptr::null_mut())?; //~ E0133
    Ok(())
}
