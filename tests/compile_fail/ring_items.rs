//! Items of rings are plain data without padding: what has an address in it means nothing in another process.

use sysvshm::Key;
use sysvshm::bounded_buffer::{lecture, mpmc, spsc};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _: Option<spsc::BoundedBuffer<String>> = None; //~ E0277 `String` cannot be an element in shared memory
    let _: Option<mpmc::BoundedBuffer<Vec<u8>>> = None; //~ E0277 cannot be an element in shared memory
    let _: Option<lecture::BoundedBuffer<'_, (u8, u64), 5>> = None; //~ E0277 cannot be an element in shared memory
    let _ = spsc::BoundedBuffer::<String> //~ E0277 cannot be an element in shared memory
        ::create_new(Key::PRIVATE, 4); //~ E0599
    let _ = mpmc::BoundedBuffer::<bool> //~ E0277 cannot be an element in shared memory
        ::open(Key::PRIVATE); //~ E0599
    let _ = spsc::Options::new().open::<&str>(Key::PRIVATE); //~ E0277 cannot be an element in shared memory
    let _ = mpmc::Options::new().capacity(4).create_new::<(u8, u64)>(Key::PRIVATE); //~ E0277 cannot be an element
    Ok(())
}
