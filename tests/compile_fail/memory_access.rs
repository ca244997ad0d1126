//! Views of a read-only attach only read; what a view cannot do, a projection cannot either.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use sysvshm::bytemuck::AnyBitPattern;
use sysvshm::{Key, ReadOnly, Segment, SegmentOptions, SharedArray, SharedSlice, field};

#[derive(Clone, Copy, AnyBitPattern)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
struct Shared {
    magic: u32,
    rates: [f64; 4],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reader: Segment<ReadOnly> = SegmentOptions::new().open_read_only(Key::from_raw(42))?;
    let numbers = reader.slice::<u32>(0, 4)?;
    let _: u32 = numbers.load(0) + numbers.at(1).atomic_load(Acquire);
    numbers.store(0, 1); //~ E0277 nothing can be written through it
    numbers.at(0).update(|old| old); //~ E0277
    numbers.fill(1); //~ E0277
    numbers.write_from(&[1; 4]); //~ E0277
    numbers.copy_within(..2, 2); //~ E0277
    numbers.at(0).atomic_store(1, Release); //~ E0277 nothing can be written through it
    numbers.at(0).swap(1, Relaxed); //~ E0277
    numbers.at(0).fetch_add(1, Relaxed); //~ E0277
    let _ = numbers.at(0).compare_exchange(1, 2, Relaxed, Relaxed); //~ E0277
    numbers.at(0).store(1); //~ E0277
    numbers.as_mut_ptr(); //~ E0277
    let _: SharedSlice<'_, u32> = numbers; //~ E0308

    let shared = reader.reference::<Shared>(0)?;
    field!(shared, magic).store(1); //~ E0277
    field!(shared, rates).at(0).store(1.0); //~ E0277
    field!(shared, no_such_member); //~ E0609

    let array: SharedArray<u8, ReadOnly> = SharedArray::<u8>::open_read_only(Key::from_raw(42), 4)?;
    array.view().store(0, 1); //~ E0277
    array.view().fill(1); //~ E0277
    Ok(())
}
