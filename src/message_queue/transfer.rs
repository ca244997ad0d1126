//! Sending and receiving: the calls, repeated as long as it takes and no longer.

use super::message::{Message, with_envelope};
use super::receive::{Receive, Room};
use crate::error::{Call, Direction, Error, ErrorKind, Hint, MessageCall};
use crate::sys::{Errno, msg, timer};
use std::ffi::{c_int, c_long};
use std::time::{Duration, Instant};

/// How long a call that cannot be done at once may take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    None,
    For(Duration),
    Endless,
}

/// How a queue's handle waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) interruptible: bool,
    /// What ends a sleep in time.
    pub(super) timer_signal: Option<c_int>,
}

/// The room that a first message gets: `msgmax` as it is on most systems.
const USUAL_BYTES: usize = 8192;

pub(super) fn send(
    id: c_int,
    message_type: c_long,
    content: &[u8],
    waiting: Waiting,
    patience: Patience,
) -> Result<(), Error> {
    let call = MessageCall::new(Direction::Send, id, message_type, content.len(), 0);
    with_envelope(message_type, content, |words| {
        let attempt = |flags| msg::msgsnd(id, words, content.len(), flags);
        carry_out(waiting, patience, call, attempt)
    })
    .unwrap_or_else(|| {
        let call = Call::Message(call);
        Err(Error::refused(call, ErrorKind::OutOfMemory, Hint::None))
    })
}

#[inline]
pub(super) fn receive(
    id: c_int,
    what: Receive,
    message: &mut Message,
    waiting: Waiting,
    patience: Patience,
) -> Result<(), Error> {
    let mut call = MessageCall::new(Direction::Receive, id, 0, 0, 0);
    (call.which, call.flags) = match what.to_raw() {
        Ok(raw) => raw,
        Err((kind, hint)) => return Err(Error::refused(Call::Message(call), kind, hint)),
    };
    fetch(what.room(), message, waiting, patience, call)
}

/// A copy of the message at a position, which stays in the queue.
pub(super) fn copy(
    id: c_int,
    position: usize,
    message: &mut Message,
    waiting: Waiting,
) -> Result<(), Error> {
    // No queue holds more than the largest long.
    let which = c_long::try_from(position).unwrap_or(c_long::MAX);
    let mut call = MessageCall::new(Direction::Receive, id, which, 0, 0);
    let Some(flag) = msg::MSG_COPY else {
        let hint = Hint::Text("MSG_COPY does not exist on this system");
        return Err(Error::refused(
            Call::Message(call),
            ErrorKind::Unsupported,
            hint,
        ));
    };
    call.flags = flag;
    fetch(Room::Any, message, waiting, Patience::None, call)
}

#[inline]
fn fetch(
    room: Room,
    message: &mut Message,
    waiting: Waiting,
    patience: Patience,
    mut call: MessageCall,
) -> Result<(), Error> {
    let reserved = match room {
        Room::Any if message.capacity_bytes() == 0 => message.reserve(USUAL_BYTES),
        Room::Any => Ok(()),
        Room::AtMost(bytes) | Room::Truncated(bytes) => message.reserve(bytes),
    };
    call.bytes = match room {
        Room::Any => message.capacity_bytes(),
        Room::AtMost(bytes) | Room::Truncated(bytes) => bytes,
    };
    if let Err(errno) = reserved {
        return Err(Error::from_call(Call::Message(call), errno));
    }
    let mut bytes = call.bytes;
    let len = carry_out(waiting, patience, call, |flags| {
        loop {
            let words = message.words_mut();
            let result = msg::msgrcv(call.id, words, bytes, call.which, call.flags | flags);
            match result {
                Err(Errno(libc::E2BIG)) if matches!(room, Room::Any) => {
                    message.reserve(bytes.saturating_mul(2).max(USUAL_BYTES))?;
                    bytes = message.capacity_bytes();
                }
                result => return result,
            }
        }
    })?;
    message.filled(len);
    Ok(())
}

/// Repeats `attempt`, which takes `IPC_NOWAIT` or 0, as the handle and the caller's patience say.
#[inline]
fn carry_out<T>(
    waiting: Waiting,
    patience: Patience,
    mut call: MessageCall,
    mut attempt: impl FnMut(c_int) -> Result<T, Errno>,
) -> Result<T, Error> {
    let result = match patience {
        Patience::None => {
            call.flags |= libc::IPC_NOWAIT;
            attempt(libc::IPC_NOWAIT)
        }
        Patience::Endless => sleep(waiting, &mut attempt),
        Patience::For(timeout) => {
            call.set_timeout(timeout);
            match attempt(libc::IPC_NOWAIT) {
                Err(errno) if is_not_yet(errno) => wait(waiting, timeout, call, &mut attempt)?,
                result => result,
            }
        }
    };
    result.map_err(|errno| Error::from_call(Call::Message(call), errno))
}

/// Whether the queue was full, or had no such message.
fn is_not_yet(errno: Errno) -> bool {
    matches!(errno.0, libc::EAGAIN | libc::ENOMSG)
}

/// Sleeps in the kernel until it is done.
#[inline]
fn sleep<T>(
    waiting: Waiting,
    attempt: &mut impl FnMut(c_int) -> Result<T, Errno>,
) -> Result<T, Errno> {
    loop {
        match attempt(0) {
            Err(Errno(libc::EINTR)) if !waiting.interruptible => {}
            result => return result,
        }
    }
}

/// Waits after a first attempt in vain. The outer error is one of a timer that cannot be used.
#[cold]
fn wait<T>(
    waiting: Waiting,
    timeout: Duration,
    call: MessageCall,
    attempt: &mut impl FnMut(c_int) -> Result<T, Errno>,
) -> Result<Result<T, Errno>, Error> {
    // None: later than the clock can say, so never.
    let Some(deadline) = Instant::now().checked_add(timeout) else {
        return Ok(sleep(waiting, attempt));
    };
    match waiting.timer_signal {
        None => Ok(poll(waiting, deadline, attempt)),
        Some(signal) => {
            check_signal(signal, call)?;
            sleep_until(waiting, deadline, (signal, call), attempt)
        }
    }
}

/// Tries again and again, with a pause between the tries.
fn poll<T>(
    waiting: Waiting,
    deadline: Instant,
    attempt: &mut impl FnMut(c_int) -> Result<T, Errno>,
) -> Result<T, Errno> {
    const FIRST_PAUSE: Duration = Duration::from_micros(50);
    const LONGEST_PAUSE: Duration = Duration::from_millis(1);
    let mut pause = FIRST_PAUSE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let interrupted = timer::nap(pause.min(left)) == Err(Errno(libc::EINTR));
        match attempt(libc::IPC_NOWAIT) {
            Err(errno) if is_not_yet(errno) => {
                if interrupted && waiting.interruptible {
                    return Err(Errno(libc::EINTR));
                }
                if left.is_zero() {
                    return Err(errno);
                }
            }
            result => return result,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Sleeps in the kernel until it is done or a timer interrupts it.
///
/// A shot that comes before the thread sleeps is lost, so the timer goes on shooting. No message is lost: a call that
/// ends with `EINTR` has taken none.
fn sleep_until<T>(
    waiting: Waiting,
    deadline: Instant,
    (signal, call): (c_int, MessageCall),
    attempt: &mut impl FnMut(c_int) -> Result<T, Errno>,
) -> Result<Result<T, Errno>, Error> {
    const INTERVAL: Duration = Duration::from_millis(1);
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(attempt(libc::IPC_NOWAIT));
    }
    let Ok(_timer) = timer::ThreadTimer::start(signal, left, INTERVAL) else {
        let hint = Hint::Text("no timer is to be had: each takes one of RLIMIT_SIGPENDING");
        let call = Call::Message(call);
        return Err(Error::refused(call, ErrorKind::Other, hint));
    };
    loop {
        match attempt(0) {
            Err(Errno(libc::EINTR)) if Instant::now() >= deadline => {
                // Whether there is something at the very end, and the errno if there is not.
                return Ok(attempt(libc::IPC_NOWAIT));
            }
            Err(Errno(libc::EINTR)) if !waiting.interruptible => {}
            result => return Ok(result),
        }
    }
}

/// Refuses a signal that would end the process, or that would not end a sleep.
fn check_signal(signal: c_int, call: MessageCall) -> Result<(), Error> {
    let why = match timer::is_handled(signal) {
        Ok(true) => return Ok(()),
        Ok(false) => {
            "the timer's signal needs a handler, which may do nothing, and the calling thread must not block it"
        }
        Err(Errno(libc::ENOSYS)) => {
            let hint = Hint::Text("only Linux has timers that signal one thread");
            let call = Call::Message(call);
            return Err(Error::refused(call, ErrorKind::Unsupported, hint));
        }
        Err(_) => "the timer's signal does not exist",
    };
    let call = Call::Message(call);
    Err(Error::refused(
        call,
        ErrorKind::InvalidInput,
        Hint::Text(why),
    ))
}
