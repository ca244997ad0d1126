//! `statc.c` in Rust: a client of the C server and of the Rust one alike.
//!
//! ```text
//! $ cargo run --example statc -- name count     puts count records
//! $ cargo run --example statc -- -q             stops the server
//! ```

#[path = "../cli/mod.rs"]
mod cli;
mod layout;

use cli::{Arguments, Misuse};
use layout::{
    FREE, MAX_KINDS, MAX_NAMES, NAME_LEN, Record, STOP, Shared, USED, advance, key, position,
    under_mutex,
};
use std::error::Error;
use std::ffi::{c_int, c_long, c_short};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;
use sysvshm::memory::SharedRef;
use sysvshm::{SegmentOptions, SemaphoreSetOptions, field};

fn main() -> ExitCode {
    cli::run(include_str!("../help/statc.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    // * C read argv[2] whether it was there or not, and took "many" for 0.
    let stop = arguments.flag("-q");
    let (name, count) = (arguments.operand(), arguments.number_operand::<c_long>()?);
    arguments.finish()?;
    let records = match (stop, name, count) {
        (true, None, None) => None,
        (false, Some(name), Some(count)) => Some((name, count)),
        _ => return Err(Misuse::new("a name and a count are needed, or -q alone").into()),
    };

    let key = key()?;
    // * The size is checked: a server with an older, smaller struct is refused. Without a server this says so; C
    //   went on with -1.
    let segment = SegmentOptions::new()
        .size_bytes(size_of::<Shared>())
        .open(key)?;
    let shared = segment.reference::<Shared>(0)?;
    // The program's own flag says when all is set up, the set included, so there is nothing more to wait for.
    while field!(shared, ready).atomic_load(Ordering::Acquire) == 0 {
        sleep(Duration::from_millis(1));
    }
    let set = SemaphoreSetOptions::new().minimum_len(3).open(key)?;

    let put = |client: c_int, kind: c_short, value: c_long| {
        under_mutex(&set, FREE, USED, || {
            let position = position(field!(shared, r#in))?;
            let gap = Default::default();
            field!(shared, ring[position]).store(Record {
                client,
                kind,
                gap,
                value,
            });
            advance(field!(shared, r#in), position);
            Ok(())
        })?;
        // * One indivisible addition. C's `p->sent++` outside the mutex loses some when two clients do it at once,
        //   and a C client still does.
        field!(shared, sent).fetch_add(1, Ordering::Relaxed);
        Ok::<(), Box<dyn Error>>(())
    };

    match records {
        None => put(0, STOP, 0),
        Some((name, count)) => {
            let me = enter(shared, name.as_bytes())?;
            for i in 0..count {
                let kind = 1 + i % (MAX_KINDS as c_long - 1);
                put(me, kind as c_short, i)?;
            }
            let name = cli::shown(&name);
            Ok(cli::say(format_args!("{name}: {count} records put"))?)
        }
    }
}

/// Enters a name into the table; its index.
///
/// `namelock` is a lock made of an `int`. C looks, then sets: two clients may both look before either sets. Rust
/// does both in one step, so two Rust clients exclude each other, and a Rust and a C client as well as two C
/// clients did. That is all one side can do; the last C client's port closes the gap, or a fourth semaphore.
fn enter(shared: SharedRef<'_, Shared>, name: &[u8]) -> Result<c_int, Box<dyn Error>> {
    // * strcpy wrote as much as there was. The NUL behind the name needs room too.
    let mut padded = [0; NAME_LEN];
    match padded[..NAME_LEN - 1].get_mut(..name.len()) {
        Some(room) => room.copy_from_slice(name),
        None => return Err(format!("a name has up to {} bytes", NAME_LEN - 1).into()),
    }
    let lock = field!(shared, namelock);
    while lock
        .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        sleep(Duration::from_millis(1));
    }
    let me = field!(shared, nnames).load();
    let index = usize::try_from(me).ok().filter(|&index| index < MAX_NAMES);
    if let Some(index) = index {
        field!(shared, names[index]).store(padded);
        field!(shared, nnames).store(me + 1);
    }
    lock.atomic_store(0, Ordering::Release);
    // * C wrote the ninth name over the counters.
    index
        .map(|_| me)
        .ok_or_else(|| "the table of names is full".into())
}
