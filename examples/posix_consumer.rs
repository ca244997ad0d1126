//! The lecture's POSIX consumer: prints the greeting that the producer left in the shared memory object, and
//! unlinks the object.
//!
//! ```text
//! $ cargo run --example posix_producer     makes /dev/shm/SYSUOS
//! $ cargo run --example posix_consumer     reads it and unlinks it
//! ```
//!
//! | C | here |
//! |---|---|
//! | `fd = shm_open("SYSUOS", O_RDONLY, 0666)` | `shm::open` |
//! | `ptr = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0)` | `mmap` |
//! | `printf("Read ptr: %s\n", (char *)ptr)` | `iter`, as far as the terminating zero |
//! | `shm_unlink("SYSUOS")` | `shm::unlink` |
//!
//! An argument names another object than `SYSUOS`. Only the lecture's line goes to stdout. Exit status 0, or 1
//! after one line on stderr; without a producer there is no object, where the C program would fault.
#![allow(unsafe_code)] // mmap, and the promise that what it returned is what it is.

#[path = "cli/mod.rs"]
mod cli;

use cli::{Arguments, Unprinted};
use rustix::fs::fstat;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::shm::{self, Mode, OFlags};
use std::error::Error;
use std::ffi::c_void;
use std::io::{self, Write};
use std::process::ExitCode;
use std::ptr;
use sysvshm::{ReadOnly, SharedSlice};

const SIZE: usize = 4096;

pub(crate) fn main() -> ExitCode {
    cli::run(include_str!("help/posix_consumer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let name = arguments.operand().unwrap_or("SYSUOS".into());
    arguments.finish()?;
    let shown = cli::shown(&name);
    let object = shm::open(&name, OFlags::RDONLY, Mode::empty())
        .map_err(|error| format!("shm_open({shown}): {error}; has the producer run?"))?;
    // mmap accepts any length; touching what lies beyond the object would be a SIGBUS.
    let size = fstat(&object)
        .map_err(|error| format!("fstat({shown}): {error}"))?
        .st_size;
    if size < SIZE as i64 {
        return Err(format!("{shown} has {size} bytes, the producer's has {SIZE}").into());
    }
    // SAFETY: a new mapping, at an address of the kernel's choice, changes nothing that exists.
    let address = unsafe {
        mmap(
            ptr::null_mut(),
            SIZE,
            ProtFlags::READ,
            MapFlags::SHARED,
            &object,
            0,
        )
    }
    .map_err(|error| format!("mmap({shown}): {error}"))?;

    let printed = print(address);

    // SAFETY: mapped above with this length; the view ended with `print`.
    unsafe { munmap(address, SIZE) }.map_err(|error| format!("munmap: {error}"))?;
    // The name goes now, the memory when the last process has unmapped it: the same rule as with IPC_RMID.
    shm::unlink(&name).map_err(|error| format!("shm_unlink({shown}): {error}"))?;
    printed
}

fn print(address: *mut c_void) -> Result<(), Box<dyn Error>> {
    // SAFETY: mapped by the caller for `SIZE` readable bytes until after this function, and nothing else in this
    // process refers to it. The pages stay as long as nobody shrinks the object: the producer of the lecture does
    // not.
    let bytes = unsafe { SharedSlice::<u8, ReadOnly>::from_raw_parts(address.cast(), SIZE) }?;
    // C's %s looks for the zero as far as it takes; here it ends with the mapping.
    let mut line = b"Read ptr: ".to_vec();
    line.extend(bytes.iter().take_while(|&byte| byte != 0));
    line.push(b'\n');
    let written = io::stdout().write_all(&line);
    Ok(written.map_err(Unprinted::from)?)
}
