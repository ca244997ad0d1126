//! `xsend.c` in Rust: sends one file, to a C receiver or a Rust one.
//!
//! ```text
//! $ cargo run --example xsend -- FILE
//! ```

#[path = "../cli/mod.rs"]
mod cli;
mod transfer;

use cli::{Arguments, Misuse, say};
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use sysvshm::field;
use transfer::{BLOCK, EMPTY, FULL, Joined, NAME_LEN, Role};

fn main() -> ExitCode {
    cli::run(include_str!("../help/xsend.txt"), send)
}

fn send(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let path = arguments.operand().map(PathBuf::from);
    arguments.finish()?;
    let path = path.ok_or_else(|| Misuse::new("a file is needed"))?;
    let mut file = File::open(&path)?;
    let joined = Joined::join(Role::Sender)?;
    let shared = joined.shared();
    let (mut number, mut bytes, mut block) = (0, 0, [0; BLOCK]);
    loop {
        joined.wait_for(EMPTY, true)?;
        if number == 0 {
            // snprintf(p->name, NAMELEN, "%s", name): cut short if need be, and always with a NUL
            let name = path.file_name().unwrap_or_default().as_bytes();
            let (mut padded, len) = ([0; NAME_LEN], name.len().min(NAME_LEN - 1));
            padded[..len].copy_from_slice(&name[..len]);
            field!(shared, name).store(padded);
        }
        let length = file.read(&mut block)?;
        field!(shared, block)
            .elements()
            .slice(..length)
            .write_from(&block[..length]);
        field!(shared, length).store(length as i16);
        number += 1;
        field!(shared, number).store(number);
        bytes += length;
        joined.set.semaphore(FULL).release(1)?;
        if length == 0 {
            break;
        }
    }
    Ok(say(format_args!("xsend: {bytes} bytes sent"))?)
}
