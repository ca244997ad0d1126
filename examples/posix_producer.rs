//! The lecture's POSIX producer: puts a greeting into a shared memory object, and ends. The object stays until the
//! consumer unlinks it.
//!
//! ```text
//! $ cargo run --example posix_producer     makes /dev/shm/SYSUOS
//! $ cargo run --example posix_consumer     reads it and unlinks it
//! ```
//!
//! POSIX shared memory is another kernel interface than this crate's: a file descriptor and `mmap` instead of a key
//! and `shmat`. The calls are made with `rustix`; the bytes are viewed with the same [`SharedSlice`] as those of a
//! segment, through its one `unsafe` constructor.
//!
//! | C | here |
//! |---|---|
//! | `fd = shm_open("SYSUOS", O_CREAT \| O_RDWR, 0666)` | `shm::open` |
//! | `ftruncate(fd, 4096)` | `ftruncate` |
//! | `ptr = mmap(0, 4096, PROT_READ \| PROT_WRITE, MAP_SHARED, fd, 0)` | `mmap` |
//! | `printf("ptr addr: %p\n", ptr)` | `as_ptr` |
//! | `sprintf(ptr, "%s", "Hello, World!")` | `write_from` |
//!
//! An argument names another object than `SYSUOS`. Only the lecture's line goes to stdout; `--help` says more.
#![allow(unsafe_code)] // mmap, and the promise that what it returned is what it is.

#[path = "cli/mod.rs"]
mod cli;

use cli::Arguments;
use rustix::fs::ftruncate;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::shm::{self, Mode, OFlags};
use std::error::Error;
use std::ffi::c_void;
use std::process::ExitCode;
use std::ptr;
use sysvshm::SharedSlice;

const SIZE: usize = 4096;
const GREETING: &[u8] = b"Hello, World!";

pub(crate) fn main() -> ExitCode {
    cli::run(include_str!("help/posix_producer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let name = arguments.operand().unwrap_or("SYSUOS".into());
    arguments.finish()?;
    let shown = cli::shown(&name);
    // Unlike shmget, shm_open applies the umask to the mode: with the usual 022 other users may only read.
    let object = shm::open(
        &name,
        OFlags::CREATE | OFlags::RDWR,
        Mode::from_raw_mode(0o666),
    )
    .map_err(|error| format!("shm_open({shown}): {error}"))?;
    // A new object has no bytes. One that an earlier producer left has them already, and keeps them.
    ftruncate(&object, SIZE as u64).map_err(|error| format!("ftruncate({shown}): {error}"))?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, at an address of the kernel's choice, changes nothing that exists.
    let address = unsafe {
        mmap(
            ptr::null_mut(),
            SIZE,
            protection,
            MapFlags::SHARED,
            &object,
            0,
        )
    }
    .map_err(|error| format!("mmap({shown}): {error}"))?;

    let shared = share(address);

    // The process is about to end, which would unmap as well; the object would stay either way.
    // SAFETY: mapped above with this length; the view ended with `share`.
    unsafe { munmap(address, SIZE) }.map_err(|error| format!("munmap: {error}"))?;
    shared
}

fn share(address: *mut c_void) -> Result<(), Box<dyn Error>> {
    // SAFETY: mapped by the caller for `SIZE` bytes, readable and writable, until after this function, and nothing
    // else in this process refers to it. The pages stay as long as nobody shrinks the object: the consumer of the
    // lecture does not.
    let bytes = unsafe { SharedSlice::<u8>::from_raw_parts(address.cast(), SIZE) }?;
    let printed = cli::say(format_args!("ptr addr: {:p}", bytes.as_ptr()));
    // The end first: whoever reads meanwhile finds a terminated string, if perhaps half of one.
    bytes.store(GREETING.len(), 0);
    bytes.slice(..GREETING.len()).write_from(GREETING);
    Ok(printed?)
}
