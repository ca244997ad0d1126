//! What a diagnosis is, and the one where no table explains the `errno`.

use crate::error::hint::Hint;
use crate::error::kind::ErrorKind;
use crate::error::object::Object;
use crate::error::words;
use std::ffi::c_int;

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

/// `EPERM` where owner and creator alone may: either this user is neither, or a sandbox does not let it.
pub(super) fn not_owner(object: Object, id: c_int) -> Diagnosis {
    match object.by_id(id) {
        Some(facts) if [facts.uid, facts.creator_uid].contains(&facts.euid) => other(libc::EPERM),
        Some(facts) => (ErrorKind::NotOwner, Hint::not_owner(facts)),
        // To ask for the status needs no owner.
        None if object.status_errno(id) == libc::EPERM => other(libc::EPERM),
        None => (ErrorKind::NotOwner, Hint::Text(words::SEE_OWNERS)),
    }
}
