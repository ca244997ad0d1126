//! `statd.c` in Rust: serves the C clients and the Rust ones alike.
//!
//! ```text
//! $ touch statd.key
//! $ cargo run --example statd
//! ```
//!
//! The same steps in the same order, so that the two can be read side by side. What the port adds is marked with a
//! star.

#[path = "../cli/mod.rs"]
mod cli;
mod layout;

use cli::{Arguments, Interrupts};
use layout::{
    FREE, MAX_KINDS, RING, Record, STOP, Shared, USED, advance, key, names, position, under_mutex,
};
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use sysvshm::memory::SharedRef;
use sysvshm::{ErrorKind, Key, Removal, SegmentOptions, SemaphoreSet, SemaphoreSetOptions, field};

fn main() -> ExitCode {
    cli::run(include_str!("../help/statd.txt"), run)
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    arguments.finish()?;
    let key = key()?; // * a missing key file ends here
    let interrupts = Interrupts::hold();
    // * Exclusive: a second server is refused instead of sharing the first one's memory. What a killed server left
    //   behind is replaced.
    // * Fresh memory is zeroed, so there is no memset.
    // * Removed on drop, so also when an error ends this function early.
    let segment = SegmentOptions::new()
        .size_bytes(size_of::<Shared>())
        .mode(0o666)
        .reclaim_stale(true)
        .removal(Removal::OnDrop)
        .create_new(key)?;
    let shared = segment.reference::<Shared>(0)?;

    let set = Set::create(key)?;
    // * Removed by Ctrl-C, too: nothing is dropped then.
    let ids = (segment.id(), set.0.id());
    interrupts.then(move || {
        let _ = ids.0.mark_for_removal();
        let _ = SemaphoreSet::from_raw(ids.1).and_then(|set| set.remove());
    })?;
    // Release: whoever sees 1 sees all of the above. In C this was a plain store.
    field!(shared, ready).atomic_store(1, Ordering::Release);
    cli::say("statd: ready")?;

    while serve_one(&set.0, shared)? != STOP {}

    for kind in 1..MAX_KINDS {
        let count = field!(shared, count[kind]).load();
        let sum = field!(shared, sum[kind]).load();
        cli::say(format_args!("kind {kind}: {count} records, sum {sum}"))?;
    }
    for (client, name) in names(shared).into_iter().enumerate() {
        cli::say(format_args!("client {client}: {name}"))?;
    }
    Ok(())
}

/// One turn of the loop in `main`.
fn serve_one(
    set: &SemaphoreSet,
    shared: SharedRef<'_, Shared>,
) -> Result<std::ffi::c_short, Box<dyn Error>> {
    under_mutex(set, USED, FREE, || {
        let out = position(field!(shared, out))?;
        let Record { kind, value, .. } = field!(shared, ring[out]).load(); // one copy, then checked
        let index = usize::try_from(kind).ok().filter(|&kind| kind < MAX_KINDS);
        // * C wrote behind the array for a kind that does not exist.
        let index = index.ok_or_else(|| format!("a record of kind {kind}"))?;
        field!(shared, count[index]).update(|count| count.wrapping_add(1));
        field!(shared, sum[index]).update(|sum| sum.wrapping_add(value));
        advance(field!(shared, out), out);
        Ok(kind)
    })
}

/// The semaphores, removed on drop.
struct Set(SemaphoreSet);

impl Set {
    fn create(key: Key) -> Result<Self, Box<dyn Error>> {
        // * The segment was ours to create, so a set under the same key is a dead server's. Removing it wakes its
        //   clients with an error.
        match SemaphoreSet::open(key) {
            Ok(stale) => stale.remove()?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let values = [1, u16::try_from(RING)?, 0];
        let set = SemaphoreSetOptions::new()
            .mode(0o666)
            .create_new(key, &values)?;
        Ok(Self(set))
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.0.remove();
    }
}
