//! What a diagnosis is, and the one where no table explains the `errno`.

use crate::error::hint::Hint;
use crate::error::kind::ErrorKind;
use crate::error::words;

/// What went wrong, and what to do about it.
pub(in crate::error) type Diagnosis = (ErrorKind, Hint);

/// What no table explains.
pub(super) fn other(errno: i32) -> Diagnosis {
    match errno {
        libc::EINTR => (ErrorKind::Interrupted, Hint::None),
        libc::ENOMEM => (ErrorKind::OutOfMemory, Hint::None),
        libc::EPERM => (ErrorKind::Unsupported, Hint::Text(words::SANDBOX)),
        _ => (ErrorKind::Other, Hint::None),
    }
}
