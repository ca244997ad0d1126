//! The lecture's producer: puts five numbers into shared memory and sleeps, so that the consumer can read them
//! meanwhile.
//!
//! ```text
//! $ cargo run --example sysvshm_producer -- [--seconds N]     in one terminal; --help says more
//! $ cargo run --example sysvshm_consumer                      in another, in the same directory, before
//!                                                             N (10) seconds are over
//! ```
//!
//! Every step is one of the lecture's, in its order:
//!
//! | C | here |
//! |---|---|
//! | `key = ftok("SYSUOS", 42)` | `Key::from_path("SYSUOS", 42)` |
//! | `id = shmget(key, 5 * sizeof(int), IPC_CREAT \| 0666)` and `arr = shmat(id, NULL, 0)` | `open_or_create_array` |
//! | `arr[i] = i + 1` | `write_from` |
//! | `printf("... %p\n", arr)` | `as_ptr` |
//! | `sleep(10)` | `thread::sleep` |
//! | `shmdt(arr)` | `detach` |
//! | `shmctl(id, IPC_RMID, NULL)` | `mark_for_removal` |
//!
//! The consumer may be the C program in `examples/c` just as well: the bytes are the same.
//!
//! Only the lecture's line goes to stdout; everything else this program has to say goes to stderr.

#[path = "cli/mod.rs"]
mod cli;

use cli::{Arguments, Interrupts};
use std::error::Error;
use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use sysvshm::{ErrorKind, Key, SegmentOptions, SharedArray};

/// Producer and consumer meet by naming the same file and the same number.
const KEY_FILE: &str = "SYSUOS";
const PROJECT_ID: u8 = 42;
/// C's `int` is `i32` wherever this crate runs. Saying the width is the better habit: both sides must agree on it.
const NUMBERS: [i32; 5] = [1, 2, 3, 4, 5];
const PAUSE: Duration = Duration::from_secs(10);

pub(crate) fn main() -> ExitCode {
    cli::run(include_str!("help/sysvshm_producer.txt"), run)
}

fn run(mut arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let pause = arguments.seconds("--seconds")?.unwrap_or(PAUSE);
    arguments.finish()?;
    let key = key()?;
    let interrupts = Interrupts::hold();

    // Creates the segment, or takes the one that a killed producer left behind, as IPC_CREAT without IPC_EXCL does.
    // The umask plays no part in the mode. One difference from C: a segment that another user made under this key
    // first is refused.
    let array = SegmentOptions::new()
        .mode(0o666)
        .open_or_create_array::<i32>(key, NUMBERS.len())?;
    let id = array.segment().id();
    // By default Ctrl-C ends a process where it is, and the segment would stay.
    interrupts.then(move || drop(id.mark_for_removal()))?;

    let done = share(&array, pause);

    // Whatever came of that, clean up. Detaching comes first, as in the lecture, and the segment outlives it:
    // nobody need be attached for its bytes to stay. Only the removal ends it, or, if a consumer is attached at
    // this moment, that consumer's detach. (A producer that is killed with SIGKILL while it sleeps gets to neither:
    // its segment stays until the next run takes it over, or `ipcrm`.)
    array.into_segment().detach()?;
    match id.mark_for_removal() {
        // A second producer on the same key has removed it already, which is all that was wanted.
        Err(error) if error.kind() == ErrorKind::NoSuchSegment => {}
        removed => removed?,
    }
    done
}

/// What happens while the segment is attached.
fn share(array: &SharedArray<i32>, pause: Duration) -> Result<(), Box<dyn Error>> {
    // There is no `&mut [i32]` to be had: another process may read and write these bytes at any moment, and a Rust
    // reference would promise that none does. So numbers are copied in. (Nothing tells the consumer when they are
    // complete; in the lecture it is started later.)
    array.view().write_from(&NUMBERS);

    // An address means something in this process alone: the consumer sees the same bytes at another one.
    let address = array.segment().as_ptr();
    cli::say(format_args!("Parent wrote to shared memory: {address:p}"))?;
    thread::sleep(pause);
    Ok(())
}

/// The key of the file, which is made if it is missing.
///
/// The C program ignores that `ftok` can fail. Without the file it returns -1, and as -1 is a key like any other,
/// `shmget` makes a segment under it. The consumer makes the same mistake, so the two still meet, and nobody
/// notices that every program on the machine which forgot its file shares that one segment. Here the failure is
/// seen, said, and put right.
fn key() -> Result<Key, Box<dyn Error>> {
    let error = match Key::from_path(KEY_FILE, PROJECT_ID) {
        Ok(key) => return Ok(key),
        Err(error) => io::Error::from(error),
    };
    if error.kind() != io::ErrorKind::NotFound {
        return Err(error.into());
    }
    match File::create_new(KEY_FILE) {
        Ok(_) => {
            cli::complain(format_args!(
                "no file {KEY_FILE} here, made an empty one to have a key"
            ));
        }
        // Another producer was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(format!("cannot make the key file {KEY_FILE}: {error}").into()),
    }
    Ok(Key::from_path(KEY_FILE, PROJECT_ID)?)
}
