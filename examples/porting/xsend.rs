//! `xsend.c` in Rust: sends one file, to a C receiver or a Rust one.
//!
//! ```text
//! $ cargo run --example xsend -- FILE
//! ```

mod transfer;

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::ExitCode;
use sysvshm::field;
use transfer::{BLOCK, EMPTY, FULL, Joined, NAME_LEN, Role};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: xsend FILE");
        return ExitCode::from(2);
    };
    match send(path.into()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xsend: {error}");
            ExitCode::FAILURE
        }
    }
}

fn send(path: PathBuf) -> Result<(), Box<dyn Error>> {
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
    println!("xsend: {bytes} bytes sent");
    Ok(())
}
