//! `xrecv.c` in Rust: receives one file, from a C sender or a Rust one.
//!
//! ```text
//! $ touch transfer.key
//! $ cargo run --example xrecv -- OUT
//! ```

#[path = "../cli/mod.rs"]
mod cli;
mod transfer;

use cli::{Arguments, Misuse, say};
use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use sysvshm::field;
use transfer::{BLOCK, EMPTY, FULL, Joined, Role};

fn main() -> ExitCode {
    cli::run(include_str!("../help/xrecv.txt"), receive)
}

fn receive(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let path = arguments.operand();
    arguments.finish()?;
    let mut out = File::create(path.ok_or_else(|| Misuse::new("a file is needed"))?)?;
    let joined = Joined::join(Role::Receiver)?;
    say("xrecv: ready")?;
    let shared = joined.shared();
    let (mut number, mut bytes, mut block) = (0, 0, [0; BLOCK]);
    loop {
        joined.wait_for(FULL, number != 0)?;
        // Read once, then checked: another process may write meanwhile.
        let (found, length) = (field!(shared, number).load(), field!(shared, length).load());
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= BLOCK);
        let Some(length) = length.filter(|_| found == number + 1) else {
            return Err(format!("block {found} after {number}, or of a wrong length").into());
        };
        field!(shared, block)
            .elements()
            .slice(..length)
            .read_into(&mut block[..length]);
        out.write_all(&block[..length])?;
        number += 1;
        bytes += length;
        joined.set.semaphore(EMPTY).release(1)?;
        if length == 0 {
            break;
        }
    }
    // C: printf("%.*s", NAMELEN, p->name)
    let name = field!(shared, name).bytes().read_c_string();
    let name = name.to_string_lossy();
    Ok(say(format_args!("xrecv: {name}, {bytes} bytes"))?)
}
