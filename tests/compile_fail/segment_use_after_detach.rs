//! What was detached, leaked or given away cannot be used through the old handle.

use sysvshm::{Key, SegmentOptions};

fn main() -> Result<(), sysvshm::Error> {
    let mut options = SegmentOptions::new();
    options.size_bytes(8);

    let detached = options.create_new(Key::PRIVATE)?;
    detached.detach()?;
    detached.write_at(0, b"no")?; //~ E0382

    let given_away = options.create_new(Key::PRIVATE)?;
    let (_id, _address) = given_away.into_raw();
    given_away.read_at(0, &mut [0; 8])?; //~ E0382

    let leaked = options.create_new(Key::PRIVATE)?;
    let _forever = leaked.leak();
    let _ = leaked.len_bytes(); //~ E0382
    Ok(())
}
