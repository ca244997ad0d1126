//! What is done to segments, sets and queues in the same way: finding by key, and `IPC_STAT` and `IPC_SET` by identifier.

use crate::error::{Call, Command, Error, ErrorKind, Hint, Object};
use crate::flags::Mode;
use crate::key::Key;
use crate::sys::Errno;
use std::ffi::c_int;

const MODE_BITS: &str =
    "a mode has nine bits, 0 to 0777 octal; in C the bits above would turn into flags";

/// Refuses a mode that is no mode, before `call` is made with it.
pub(crate) fn check_mode(
    mode: Option<Mode>,
    call: impl FnOnce(c_int) -> Call,
) -> Result<(), Error> {
    match mode {
        Some(mode) if mode.bits() & !0o777 != 0 => {
            let call = call(mode.bits() as c_int);
            Err(Error::refused(
                call,
                ErrorKind::InvalidInput,
                Hint::Text(MODE_BITS),
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses to find what has no key, which would create one.
pub(crate) fn refuse_private(
    key: Key,
    object: Object,
    call: impl FnOnce() -> Call,
) -> Result<(), Error> {
    if key.is_private() {
        let hint = Hint::private_key(object);
        return Err(Error::refused(call(), ErrorKind::InvalidInput, hint));
    }
    Ok(())
}

/// The status even without read permission, where the system has a way (`SHM_STAT_ANY` and its kin, Linux 4.17).
pub(crate) fn status_regardless<T>(
    object: Object,
    id: c_int,
    stat: impl FnOnce(c_int) -> Result<T, Errno>,
    stat_any: impl FnOnce(c_int) -> Result<(T, c_int), Errno>,
) -> Result<T, Error> {
    let errno = match stat(id) {
        Ok(raw) => return Ok(raw),
        Err(errno) => errno,
    };
    if errno.0 == libc::EACCES {
        // The kernel finds the slot by the low bits of the id; another object may be in it by now.
        match stat_any(id) {
            Ok((raw, found)) if found == id => return Ok(raw),
            _ => {}
        }
    }
    Err(Error::from_call(
        Call::Control(object, id, Command::Status),
        errno,
    ))
}

/// `IPC_SET`, with a mode that is one, and for queues with their size.
pub(crate) fn set_permissions(
    object: Object,
    id: c_int,
    (uid, gid, mode): (u32, u32, Mode),
    bytes: Option<u64>,
    set: impl FnOnce((u32, u32, u32)) -> Result<(), Errno>,
) -> Result<(), Error> {
    let bits = mode.bits();
    let command = Command::Set {
        uid,
        gid,
        mode: bits,
        bytes,
    };
    let call = || Call::Control(object, id, command);
    check_mode(Some(mode), |_| call())?;
    set((uid, gid, bits)).map_err(|errno| Error::from_call(call(), errno))
}
