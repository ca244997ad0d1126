//! No view outlives what keeps its bytes mapped, however it was made.

use sysvshm::bytemuck::AnyBitPattern;
use sysvshm::{Key, Segment, SegmentOptions, SharedArray, SharedRef, SharedSlice, field};

#[derive(Clone, Copy, AnyBitPattern)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
struct Shared {
    rates: [f64; 4],
}

fn detached(segment: Segment) {
    let view = segment.slice::<u8>(0, 1).unwrap();
    segment.detach().unwrap(); //~ E0505
    view.load(0);
}

fn dropped(array: SharedArray<u32>) {
    let part = array.view().slice(..2);
    drop(array); //~ E0505
    part.load(0);
}

fn projected(segment: Segment) {
    let rate = field!(segment.reference::<Shared>(0).unwrap(), rates).at(1);
    drop(segment); //~ E0505
    rate.load();
}

fn iterated(segment: Segment) {
    let mut bytes = segment.slice::<u8>(0, 8).unwrap().chunks(2);
    drop(segment); //~ E0505
    bytes.next();
}

fn returned<'a>() -> SharedRef<'a, u8> {
    let segment = SegmentOptions::new().open(Key::from_raw(42)).unwrap();
    segment.reference::<u8>(0).unwrap() //~ E0515
}

#[rustfmt::skip]
fn sent_away(segment: &Segment) {
    // In one line, because compilers differ in which part of it they blame.
    std::thread::spawn({ let view: SharedSlice<'_, u8> = segment.slice(0, 1).unwrap(); move || view.load(0) }); //~ E0521
}

fn borrowed<'a>(segment: Segment) -> &'a [u8] {
    let view = segment.slice::<u8>(0, 1).unwrap(); // SAFETY: none
    unsafe { view.as_slice() }.unwrap() //~ E0515
}

fn main() {
    let open = || SegmentOptions::new().open(Key::from_raw(42)).unwrap();
    detached(open());
    projected(open());
    iterated(open());
    dropped(SharedArray::open(Key::from_raw(42), 4).unwrap());
    returned();
    sent_away(&open());
    borrowed(open());
}
