//! `statd.h` in Rust: the same bytes, checked at compile time.

use std::ffi::{c_int, c_long, c_short};
use sysvshm::bytemuck::{AnyBitPattern, Pod, Zeroable};
use sysvshm::memory::SharedRef;
use sysvshm::{Error, Key, SemaphoreSet, field};

pub(crate) const KEY_FILE: &str = "statd.key";
pub(crate) const PROJECT: u8 = b'S';

pub(crate) const MAX_NAMES: usize = 8;
pub(crate) const NAME_LEN: usize = 12;
pub(crate) const MAX_KINDS: usize = 4;
pub(crate) const RING: usize = 16;

pub(crate) const MUTEX: usize = 0;
pub(crate) const FREE: usize = 1;
pub(crate) const USED: usize = 2;

/// The kind that tells the server to stop.
pub(crate) const STOP: c_short = 0;

/// `struct record`. C leaves a gap behind the `short`, so that the `long` is aligned; here the gap has a name,
/// because [`Pod`] is only for structs without hidden ones: whoever writes one whole must know what is written
/// there.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) client: c_int,
    pub(crate) kind: c_short,
    pub(crate) gap: [u8; GAP],
    pub(crate) value: c_long,
}

/// 2 bytes, with `long`s of 64 and of 32 bits alike.
const GAP: usize = 2;

/// `struct shared`. Never read or written whole, so its gaps need no names: [`AnyBitPattern`] is enough.
#[derive(Debug, Clone, Copy, AnyBitPattern)]
#[bytemuck(crate = "sysvshm::bytemuck")]
#[repr(C)]
pub(crate) struct Shared {
    pub(crate) ready: c_int,
    pub(crate) namelock: c_int,
    pub(crate) nnames: c_int,
    pub(crate) names: [[u8; NAME_LEN]; MAX_NAMES],
    pub(crate) count: [c_int; MAX_KINDS],
    pub(crate) sum: [c_long; MAX_KINDS],
    pub(crate) sent: c_int,
    pub(crate) r#in: c_int,
    pub(crate) out: c_int,
    pub(crate) ring: [Record; RING],
}

// What `offsetof` says in C. Whoever changes statd.h on one side alone is told here. With `long`s of 32 bits all is
// different: a 32-bit client cannot serve a 64-bit server, in C as little as in Rust.
const _: () = {
    use std::mem::offset_of;
    let wide = size_of::<c_long>() == 8;
    assert!(size_of::<Record>() == if wide { 16 } else { 12 });
    assert!(offset_of!(Record, value) == 8);
    assert!(offset_of!(Shared, names) == 12);
    assert!(offset_of!(Shared, count) == 108);
    assert!(offset_of!(Shared, sum) == if wide { 128 } else { 124 }); // 4 bytes of gap before it, or none
    assert!(offset_of!(Shared, r#in) == if wide { 164 } else { 144 });
    assert!(offset_of!(Shared, ring) == if wide { 176 } else { 152 });
    assert!(size_of::<Shared>() == if wide { 432 } else { 344 });
};

/// `ftok(KEYFILE, PROJECT)`, which the C programs never look at: without the file they all meet under the key -1.
pub(crate) fn key() -> Result<Key, Error> {
    Key::from_path(KEY_FILE, PROJECT)
}

/// One record more or less. What the C programs call `semadd`, four times around each record.
///
/// The mutex has `SEM_UNDO` now (in `lock`), which the C programs did without: a Rust program that is killed inside
/// no longer stops everybody. That mixes well with C's plain -1 and +1, as each process undoes only its own.
pub(crate) fn under_mutex<T>(
    set: &SemaphoreSet,
    wait_for: usize,
    signal: usize,
    work: impl FnOnce() -> Result<T, String>,
) -> Result<T, Box<dyn std::error::Error>> {
    set.semaphore(wait_for).acquire(1)?;
    let guard = set.semaphore(MUTEX).lock()?;
    let result = work()?;
    guard.unlock()?;
    set.semaphore(signal).release(1)?;
    Ok(result)
}

/// `p->in` or `p->out`, which any process may have overwritten: C used them as they came.
pub(crate) fn position(which: SharedRef<'_, c_int>) -> Result<usize, String> {
    let raw = which.load();
    usize::try_from(raw)
        .ok()
        .filter(|&position| position < RING)
        .ok_or_else(|| format!("the segment is damaged: a position of {raw}"))
}

/// `p->in = (p->in + 1) % RING`.
pub(crate) fn advance(which: SharedRef<'_, c_int>, from: usize) {
    let next = (from + 1) % RING;
    which.store(next as c_int);
}

/// The clients' names as they are now. C's `printf("%s")` would read on if somebody had left out the NUL.
#[allow(dead_code)] // Not in the client.
pub(crate) fn names(shared: SharedRef<'_, Shared>) -> Vec<String> {
    let count = usize::try_from(field!(shared, nnames).load()).unwrap_or(0);
    let names = field!(shared, names).load();
    let text = |name: &[u8; NAME_LEN]| {
        let bytes = name.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    names.iter().take(count).map(text).collect()
}
