//! The lecture's consumer: reads the five numbers that the producer put into shared memory.
//!
//! Run it in the producer's directory while the producer sleeps; see `sysvshm_producer.rs`. The producer may be the
//! C program in `examples/c` just as well.
//!
//! | C | here |
//! |---|---|
//! | `key = ftok("SYSUOS", 42)` | `Key::from_path("SYSUOS", 42)` |
//! | `id = shmget(key, 5 * sizeof(int), 0666)` and `arr = shmat(id, NULL, 0)` | `open_read_only` |
//! | `printf("... %p\n", arr)` | `as_ptr` |
//! | `printf("%d ", arr[i])` | iterating, which copies each number out |
//! | `shmdt(arr)` | `detach` |
//!
//! It does not remove the segment: that is the producer's to do, which made it. If the consumer did, the key would
//! be free while the producer still sleeps, and a second consumer would find nothing.
//!
//! Only the lecture's lines go to stdout. Where the C program would crash, because there is no key file or no
//! producer and it uses the `(void *)-1` of a failed `shmat` as an address, this one prints one line on stderr and
//! exits with status 1.

#[path = "cli/mod.rs"]
mod cli;

use cli::{Arguments, Unprinted};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use sysvshm::{Key, ReadOnly, SharedArray};

/// The producer's file and number: see there.
const KEY_FILE: &str = "SYSUOS";
const PROJECT_ID: u8 = 42;
const LEN: usize = 5;

pub(crate) fn main() -> ExitCode {
    cli::run(include_str!("help/sysvshm_consumer.txt"), run)
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.finish()?;
    let key = Key::from_path(KEY_FILE, PROJECT_ID)
        .map_err(|error| format!("{error}; start sysvshm_producer in this directory"))?;

    // It only reads, so it attaches for reading: there is no method to write with, and the kernel would not let one
    // through. Five numbers must be there: the kernel is asked how long the segment is, so a shorter one is an
    // error here and not a crash below.
    let array = SharedArray::<i32>::open_read_only(key, LEN)?;

    print(&array)?;

    // Dropping `array` would detach too, but could not say if that failed.
    array.into_segment().detach()?;
    Ok(())
}

fn print(array: &SharedArray<i32, ReadOnly>) -> Result<(), Unprinted> {
    // Not `println!`, which panics when nobody reads stdout any more.
    let mut stdout = io::stdout().lock();
    let address = array.segment().as_ptr();
    writeln!(stdout, "Child read from shared memory: {address:p}")?;
    for number in array {
        write!(stdout, "{number} ")?;
    }
    Ok(writeln!(stdout)?)
}
