//! No third kind of access, and with it no writing through what the kernel maps read-only, can be made up outside
//! the crate.

use sysvshm::segment::Access;

struct Mine;

impl Access for Mine { //~ E0277
    const READ_ONLY: bool = false;
}

fn main() {}
