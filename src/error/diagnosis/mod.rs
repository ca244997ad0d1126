//! From a call and its `errno` to a kind and a hint, by asking the kernel while the cause can still be seen.
//!
//! The tables are those of shmget(2), shmop(2), shmctl(2), semget(2), semop(2), semctl(2), msgget(2),
//! msgop(2) and msgctl(2) of the Linux manual pages 6.03, checked on Linux 6.18. Here stands what all kinds of objects
//! have in common; `segment.rs`, `set.rs` and `queue.rs` hold what only one of them has.
//!
//! The question may be asked a moment too late (another process removed the object meanwhile); the kind then falls
//! back to the likeliest one.

mod other;
mod queue;
mod segment;
mod set;

use super::call::{Asked, Call, Command};
use super::hint::Hint;
use super::kind::ErrorKind;
use super::object::Object;
use super::words;
use crate::sys::RawKey;
use other::{Diagnosis, not_owner, other};
use std::ffi::c_int;

/// Why `call` failed with `errno`.
pub(super) fn diagnose(call: &Call, errno: i32) -> Diagnosis {
    match *call {
        Call::Madvise { .. } => segment::advise(errno),
        Call::ForkPage if errno == libc::ENOMEM => segment::no_address_space(0),
        Call::ForkPage | Call::ForkAdvice => other(errno),
        Call::Message(ref call) => queue::transfer(call, errno),
        _ if errno == libc::ENOSYS => (ErrorKind::Unsupported, Hint::Text(words::SWITCHED_OFF)),
        Call::Ftok { .. } => (ErrorKind::KeyFile, Hint::Text(words::KEY_FILE)),
        Call::Get { key, asked, flags } => get(key, asked, flags, errno),
        Call::Control(object, id, command) => control(object, id, command, errno),
        Call::Shmat { id, address, flags } => segment::attach(id, address, flags, errno),
        Call::Shmdt { .. } => segment::detach(errno),
        Call::Semop(ref call) => set::operate(call, errno),
        Call::Random | Call::Copy { .. } => other(errno),
        #[cfg(not(target_os = "linux"))]
        Call::ProcessStart => other(errno),
    }
}

/// Finding or creating: by key.
fn get(key: RawKey, asked: Asked, flags: c_int, errno: i32) -> Diagnosis {
    let object = asked.object();
    let creating = flags & libc::IPC_CREAT != 0 || key == libc::IPC_PRIVATE;
    let own = match asked {
        Asked::Bytes(_) => segment::get(asked, flags, creating, errno),
        Asked::Semaphores(_) => set::get(errno),
        Asked::Queue => queue::get(errno),
    };
    if let Some(diagnosis) = own {
        return diagnosis;
    }
    match errno {
        libc::ENOENT => (ErrorKind::NotFound, Hint::not_found(object)),
        libc::EEXIST => {
            let hint = object.by_key(key).map_or(Hint::None, Hint::exists);
            (ErrorKind::AlreadyExists, hint)
        }
        libc::EACCES => {
            let hint = Hint::denied(object.by_key(key), words::ASKED_BITS);
            (ErrorKind::PermissionDenied, hint)
        }
        libc::EINVAL => get_einval(key, asked, flags, creating),
        libc::ENOSPC => match (object.table().count)() {
            // Not too many of them: too much in all.
            Ok([max, used]) if used < max => match object {
                Object::Segment => segment::total(asked),
                Object::Set => set::total(asked),
                Object::Queue => queue::total(),
            },
            Ok(numbers) => (object.table().full, Hint::full(object, numbers)),
            Err(_) => (object.table().full, Hint::Text(object.table().make_room)),
        },
        _ => other(errno),
    }
}

/// `EINVAL`: either the existing object is too small or the size is out of range.
fn get_einval(key: RawKey, asked: Asked, flags: c_int, creating: bool) -> Diagnosis {
    let object = asked.object();
    let too_small = object.table().too_small;
    if let (Some(asked), Some(facts)) = (asked.amount(), object.by_key(key)) {
        if asked > facts.amount {
            return (too_small, Hint::smaller(facts, asked));
        }
    }
    let out_of_range = match asked {
        Asked::Bytes(size) => segment::out_of_range(size, flags, creating),
        Asked::Semaphores(semaphores) => set::out_of_range(semaphores, creating),
        Asked::Queue => Some(other(libc::EINVAL)),
    };
    let exclusive = libc::IPC_CREAT | libc::IPC_EXCL;
    let nothing_found = key == libc::IPC_PRIVATE || flags & exclusive == exclusive;
    match out_of_range {
        Some(diagnosis) => diagnosis,
        None if nothing_found => other(libc::EINVAL),
        // The one that was too small is gone by now, or may not be asked about.
        None => (too_small, Hint::None),
    }
}

/// A command: by identifier.
fn control(object: Object, id: c_int, command: Command, errno: i32) -> Diagnosis {
    let own = match object {
        Object::Segment => segment::control(command, errno),
        Object::Set => set::control(id, command, errno),
        Object::Queue => queue::control(id, command, errno),
    };
    if let Some(diagnosis) = own {
        return diagnosis;
    }
    let gone = object.table().gone;
    match (command, errno) {
        (_, libc::EACCES) => {
            let hint = Hint::denied(object.by_id(id), object.table().bits);
            (ErrorKind::PermissionDenied, hint)
        }
        (Command::Set { uid, gid, .. }, libc::EINVAL) if uid == u32::MAX || gid == u32::MAX => {
            (ErrorKind::InvalidInput, Hint::Text(words::NO_ID))
        }
        #[cfg(target_os = "linux")]
        (Command::Set { .. }, libc::EINVAL) if !object.is_gone(id) => {
            (ErrorKind::InvalidInput, Hint::Text(words::UNMAPPED_ID))
        }
        #[cfg(target_os = "linux")]
        (Command::SlotStatus | Command::SlotStatusAny, libc::EINVAL) => {
            (gone, Hint::Text(words::EMPTY_SLOT))
        }
        (_, libc::EINVAL | libc::EIDRM) => (gone, Hint::gone(object)),
        (Command::Remove | Command::Set { .. } | Command::Lock | Command::Unlock, libc::EPERM) => {
            not_owner(object, id)
        }
        (_, libc::EOVERFLOW) => (ErrorKind::Other, Hint::Text(words::OLD_INTERFACE)),
        _ => other(errno),
    }
}
