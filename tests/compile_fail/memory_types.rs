//! Only plain data can be viewed, only what any bytes can be is read, only what has no padding is written whole.

use sysvshm::bytemuck::{AnyBitPattern, Zeroable};
use sysvshm::{Key, Segment, SegmentOptions, SharedArray};

#[derive(Clone, Copy, AnyBitPattern)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
struct Padded {
    tag: u8,
    value: u64,
}

#[derive(Clone, Copy, Zeroable)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
struct WithPointer {
    pointer: *mut u8,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let segment: Segment = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;

    let _: Option<SharedArray<String>> = None; //~ E0277 cannot be an element in shared memory
    let _: Option<SharedArray<bool>> = None; //~ E0277
    let _: Option<SharedArray<*const u8>> = None; //~ E0277
    let _: Option<SharedArray<&'static u8>> = None; //~ E0277
    let _: Option<SharedArray<Padded>> = None; //~ E0277
    let _: Option<SharedArray<char>> = None; //~ E0277

    segment.slice::<String>(0, 1)?; //~ E0277 cannot be viewed in shared memory: it is not plain data
    segment.reference::<Vec<u8>>(0)?; //~ E0277 cannot be viewed in shared memory: it is not plain data
    segment.reference::<&'static u8>(0)?; //~ E0277 cannot be viewed in shared memory: it is not plain data

    segment.reference::<bool>(0)?.load(); //~ E0277 cannot be read from shared memory: not every bit pattern is a `bool`
    segment.slice::<char>(0, 1)?.to_vec(); //~ E0277 cannot be read from shared memory
    segment.reference::<WithPointer>(0)?.load(); //~ E0277 cannot be read from shared memory
    let _: *mut u8 = segment.reference::<*mut u8>(0)?.load(); //~ E0277 cannot be read from shared memory

    let padded = segment.reference::<Padded>(0)?;
    let value: Padded = padded.load();
    padded.store(value); //~ E0277 `Padded` cannot be written to shared memory as a whole: it may have padding
    padded.update(|value| value); //~ E0277 cannot be written to shared memory as a whole
    let padded = segment.slice::<Padded>(0, 4)?;
    padded.store(0, value); //~ E0277 cannot be written to shared memory as a whole
    padded.fill(value); //~ E0277 cannot be written to shared memory as a whole
    padded.write_from(&[value; 4]); //~ E0277 cannot be written to shared memory as a whole

    segment.reference::<f64>(0)?.atomic_load(std::sync::atomic::Ordering::Acquire); //~ E0277 has no atomic operations
    segment.reference::<u128>(0)?.fetch_add(1, std::sync::atomic::Ordering::Acquire); //~ E0277 has no atomic operations
    Ok(())
}
