//! What only message queues have: messages, and how much of them a queue holds.

use super::other::{Diagnosis, not_owner, other};
use crate::error::call::{Command, Direction, MessageCall};
use crate::error::hint::Hint;
use crate::error::kind::ErrorKind;
use crate::error::object::Object;
use crate::error::words;
use crate::sys::msg;
use std::ffi::c_int;

/// `msgget`, as far as it differs from its kin.
pub(super) fn get(errno: i32) -> Option<Diagnosis> {
    let diagnosis = (ErrorKind::OutOfMemory, Hint::Text(words::QUEUE_MEMORY));
    (errno == libc::ENOMEM).then_some(diagnosis)
}

/// The kernel has no other reason than their number to say that there is no room for a further queue; one may have
/// gone since.
pub(super) fn total() -> Diagnosis {
    let table = Object::Queue.table();
    (table.full, Hint::Text(table.make_room))
}

/// `msgsnd` and `msgrcv`.
pub(super) fn transfer(call: &MessageCall, errno: i32) -> Diagnosis {
    let not_yet = match call.timeout() {
        Some(_) => ErrorKind::TimedOut,
        None => ErrorKind::WouldBlock,
    };
    match (call.direction, errno) {
        (_, libc::ENOSYS) if call.copies() => {
            (ErrorKind::Unsupported, Hint::Text(words::NO_MSG_COPY))
        }
        (_, libc::ENOSYS) => (ErrorKind::Unsupported, Hint::Text(words::SWITCHED_OFF)),
        (_, libc::EIDRM) => (ErrorKind::Removed, Hint::Text(words::QUEUE_REMOVED)),
        (_, libc::ENOMEM) => (ErrorKind::OutOfMemory, Hint::Text(words::MESSAGE_MEMORY)),
        (Direction::Send, libc::EAGAIN) => (not_yet, full(call)),
        (Direction::Receive, libc::ENOMSG) if call.copies() => {
            (not_yet, Hint::Text(words::NO_MESSAGE_THERE))
        }
        (Direction::Receive, libc::ENOMSG) => (not_yet, Hint::None),
        (direction, libc::EACCES) => {
            let bits = match direction {
                Direction::Send => words::SEND_BIT,
                Direction::Receive => words::RECEIVE_BIT,
            };
            let hint = Hint::denied(Object::Queue.by_id(call.id), bits);
            (ErrorKind::PermissionDenied, hint)
        }
        (Direction::Send, libc::EINVAL) if call.which < 1 => {
            (ErrorKind::InvalidInput, Hint::Text(words::MESSAGE_TYPE))
        }
        (Direction::Send, libc::EINVAL) => longer_than_allowed(call),
        (Direction::Receive, libc::E2BIG) => {
            let room = Hint::Numbers([call.bytes as u64, 0, 0, 0], |f, [room, ..]| {
                write!(
                    f,
                    "the first message that fits the request is longer than {room} bytes and stays in the queue; give more room, or take its beginning and lose the rest (truncated, MSG_NOERROR)"
                )
            });
            (ErrorKind::MessageTooLarge, room)
        }
        (Direction::Receive, libc::EINVAL) if call.copies() && !Object::Queue.is_gone(call.id) => {
            (ErrorKind::InvalidInput, Hint::Text(words::MSG_COPY_FLAGS))
        }
        (_, libc::EINVAL) => (ErrorKind::NoSuchQueue, Hint::gone(Object::Queue)),
        _ => other(errno),
    }
}

/// `msgsnd` `EINVAL`: longer than `msgmax`, or no such queue.
fn longer_than_allowed(call: &MessageCall) -> Diagnosis {
    let bytes = call.bytes as u64;
    match msg::limits() {
        Ok(limits) if bytes > limits.message_bytes => {
            let hint = Hint::Numbers([limits.message_bytes, 0, 0, 0], |f, [max, ..]| {
                write!(
                    f,
                    "a message has at most {max} bytes here (msgmax); send several, or raise the limit"
                )
            });
            (ErrorKind::MessageTooLarge, hint)
        }
        _ => (ErrorKind::NoSuchQueue, Hint::gone(Object::Queue)),
    }
}

/// How full the queue is.
fn full(call: &MessageCall) -> Hint {
    let Ok(status) = msg::msgctl_stat(call.id) else {
        return Hint::None;
    };
    #[allow(clippy::unnecessary_cast)] // 32 bits wide on some targets.
    let (messages, capacity) = (status.msg_qnum as u64, status.msg_qbytes as u64);
    let numbers = [
        messages,
        msg::bytes_now(&status),
        capacity,
        call.bytes as u64,
    ];
    Hint::Numbers(numbers, |f, [messages, used, capacity, asked]| {
        write!(
            f,
            "the queue holds {messages} messages of {used} bytes together and may hold {capacity} bytes (msg_qbytes)"
        )?;
        if asked > capacity {
            f.write_str("; this message never fits, whoever receives: make it shorter or the queue larger (set_capacity_bytes)")
        } else {
            f.write_str("; receive some, or make the queue larger (set_capacity_bytes)")
        }
    })
}

/// `msgctl`, as far as it differs from its kin.
pub(super) fn control(id: c_int, command: Command, errno: i32) -> Option<Diagnosis> {
    let (Command::Set { bytes, .. }, libc::EPERM) = (command, errno) else {
        return None;
    };
    let diagnosis = not_owner(Object::Queue, id);
    let max = msg::limits().map_or(u64::MAX, |limits| limits.queue_bytes);
    match (diagnosis.0, bytes) {
        // The owner: the kernel has one other reason.
        (ErrorKind::Unsupported, Some(asked)) if asked > max => {
            let hint = Hint::Numbers([max, asked, 0, 0], |f, [max, asked, ..]| {
                write!(
                    f,
                    "{asked} bytes were asked for, and more than {max} (msgmnb) are for processes with CAP_SYS_RESOURCE; ask for less, or have the limit raised"
                )
            });
            Some((ErrorKind::QueueSizeLimit, hint))
        }
        _ => Some(diagnosis),
    }
}
