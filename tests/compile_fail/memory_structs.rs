//! `shared_struct!` gives a struct what its members allow, and says what to do about the rest.

use sysvshm::memory::Element;
use sysvshm::{Key, SharedStruct, field, shared_struct};

shared_struct! {
    struct Gap { kind: u8, value: i64 }
    struct Pointing { pointer: *mut u8 }
}
shared_struct! { struct WithText { text: &'static str } } //~ E0277 cannot be viewed in shared memory: it is not plain data
shared_struct! { struct Named: Pod { kind: u8, value: i64 } } //~ E0080 has gaps between its members or at its end
shared_struct! { struct Flag: Pod { flag: bool } } //~ E0277 cannot be an element in shared memory

fn element<T: Element>() {}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shared = SharedStruct::<Gap>::create_new(Key::PRIVATE)?;
    let value = shared.view().load();
    shared.view().store(value); //~ E0277 cannot be written to shared memory as a whole: it may have padding
    element::<Gap>(); //~ E0277 cannot be an element in shared memory
    let pointing = SharedStruct::<Pointing>::create_new(Key::PRIVATE)?;
    pointing.view().load(); //~ E0277 cannot be read from shared memory
    let reader = SharedStruct::<Gap>::open_read_only(Key::PRIVATE)?;
    field!(reader, kind).store(1); //~ E0277 nothing can be written through it
    let _: Option<SharedStruct<String>> = None; //~ E0277 cannot be viewed in shared memory
    Ok(())
}
