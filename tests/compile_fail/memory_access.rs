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
    let _: u32 = numbers.get(0) + numbers.load(1, Acquire);
    numbers.set(0, 1); //~ E0599
    numbers.update(0, |old| old); //~ E0599
    numbers.fill(1); //~ E0599
    numbers.write_from(&[1; 4]); //~ E0599
    numbers.copy_within(..2, 2); //~ E0599
    numbers.store(0, 1, Release); //~ E0599
    numbers.swap(0, 1, Relaxed); //~ E0599
    numbers.fetch_add(0, 1, Relaxed); //~ E0599
    let _ = numbers.compare_exchange(0, 1, 2, Relaxed, Relaxed); //~ E0599
    numbers.at(0).set(1); //~ E0599
    numbers.as_mut_ptr(); //~ E0599
    let _: SharedSlice<'_, u32> = numbers; //~ E0308

    let shared = reader.reference::<Shared>(0)?;
    field!(shared, magic).set(1); //~ E0599
    field!(shared, rates).at(0).set(1.0); //~ E0599
    field!(shared, no_such_member); //~ E0609

    let array: SharedArray<u8, ReadOnly> = SharedArray::open_read_only(Key::from_raw(42), 4)?;
    array.set(0, 1); //~ E0599
    array.fill(1); //~ E0599
    Ok(())
}
