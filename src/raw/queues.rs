//! `msgget`, `msgsnd`, `msgrcv` and `msgctl` under their C names.

use super::{GetFlags, fill};
use crate::error::{self, Asked, Call, Direction, Error, MessageCall};
use crate::key::Key;
use crate::message_queue::{Content, Message, with_envelope};
use crate::sys::{Errno, msg};
use std::ffi::{c_int, c_long};

#[cfg(target_os = "linux")]
pub use crate::sys::msg::msginfo;
pub use crate::sys::msg::msqid_ds;

/// `MSG_NOERROR`, for [`msgrcv`]: cut a long message off.
pub const MSG_NOERROR: i32 = msg::MSG_NOERROR;
/// `MSG_EXCEPT`, for [`msgrcv`]: any type but this one. Linux.
#[cfg(target_os = "linux")]
pub const MSG_EXCEPT: i32 = match msg::MSG_EXCEPT {
    Some(bit) => bit,
    None => 0,
};
/// `MSG_COPY`, for [`msgrcv`]: a copy of the message at this position. Linux.
#[cfg(target_os = "linux")]
pub const MSG_COPY: i32 = match msg::MSG_COPY {
    Some(bit) => bit,
    None => 0,
};

/// `msgget(key, flags)`: the identifier of a message queue, found or created.
///
/// # Errors
///
/// See [`MessageQueueOptions::create_new`](crate::MessageQueueOptions::create_new) and
/// [`open`](crate::MessageQueueOptions::open).
///
/// ```
/// use sysvshm::raw::{self, GetFlags, MsgCommand};
/// use sysvshm::{ErrorKind, Key};
///
/// let key = Key::random()?;
/// assert_eq!(raw::msgget(key, GetFlags::empty()).unwrap_err().kind(), ErrorKind::NotFound);
/// let id = raw::msgget(key, GetFlags::IPC_CREAT | GetFlags::mode(0o600))?;
/// assert_eq!(raw::msgget(key, GetFlags::empty())?, id);
/// raw::msgctl(id, MsgCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn msgget(key: Key, flags: GetFlags) -> Result<i32, Error> {
    let (key, flags) = (key.as_raw(), flags.bits());
    let asked = Asked::Queue;
    msg::msgget(key, flags)
        .map_err(|errno| Error::from_call(Call::Get { key, asked, flags }, errno))
}

/// `msgsnd(id, &message, bytes, flags)`, with the type and the bytes of the message apart. A handled signal ends it with
/// [`Interrupted`](crate::ErrorKind::Interrupted) (`EINTR`), as in C.
///
/// # Errors
///
/// See [`MessageQueue::send`](crate::MessageQueue::send); with [`IPC_NOWAIT`](libc::IPC_NOWAIT),
/// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`EAGAIN`).
///
/// ```
/// use sysvshm::message_queue::Message;
/// use sysvshm::raw::{self, GetFlags, MsgCommand};
/// use sysvshm::Key;
///
/// let id = raw::msgget(Key::PRIVATE, GetFlags::mode(0o600))?;
/// //  struct { long mtype; int value; } m = { 1, 42 }; msgsnd(id, &m, sizeof m.value, 0);
/// raw::msgsnd(id, 1, &42_i32, 0)?;
/// let mut m = Message::new();
/// //  msgrcv(id, &m, sizeof m.value, 0, 0);
/// assert_eq!(raw::msgrcv(id, &mut m, size_of::<i32>(), 0, 0)?, 4);
/// assert_eq!((m.message_type(), m.value::<i32>()), (1, Some(42)));
/// raw::msgctl(id, MsgCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn msgsnd<C: Content + ?Sized>(
    id: i32,
    message_type: c_long,
    content: &C,
    flags: c_int,
) -> Result<(), Error> {
    let content = content.content();
    let call = MessageCall::new(Direction::Send, id, message_type, content.len(), flags);
    with_envelope(message_type, content, |words| {
        msg::msgsnd(id, words, content.len(), flags)
    })
    .unwrap_or(Err(Errno(libc::ENOMEM)))
    .map_err(|errno| Error::from_call(Call::Message(call), errno))
}

/// `msgrcv(id, &message, bytes, type, flags)`: receives a message of at most `bytes` bytes and returns its length. The
/// buffer is made large enough first. A handled signal ends it with [`Interrupted`](crate::ErrorKind::Interrupted)
/// (`EINTR`), as in C.
///
/// # Errors
///
/// See [`MessageQueue::receive_into`](crate::MessageQueue::receive_into);
/// [`MessageTooLarge`](crate::ErrorKind::MessageTooLarge) (`E2BIG`) without [`MSG_NOERROR`]; with `IPC_NOWAIT`
/// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`ENOMSG`); with `MSG_COPY` those of
/// [`MessageQueue::copy_into`](crate::MessageQueue::copy_into).
///
/// ```
/// use sysvshm::message_queue::Message;
/// use sysvshm::raw::{self, GetFlags, MsgCommand};
/// use sysvshm::{ErrorKind, Key};
///
/// let id = raw::msgget(Key::PRIVATE, GetFlags::mode(0o600))?;
/// raw::msgsnd(id, 5, "hello", 0)?;
/// let mut m = Message::new();
/// let error = raw::msgrcv(id, &mut m, 3, 0, 0).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::MessageTooLarge);
/// assert_eq!(raw::msgrcv(id, &mut m, 3, -9, raw::MSG_NOERROR)?, 3);
/// assert_eq!(m.bytes(), b"hel");
/// raw::msgctl(id, MsgCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn msgrcv(
    id: i32,
    message: &mut Message,
    bytes: usize,
    which: c_long,
    flags: c_int,
) -> Result<usize, Error> {
    let call = MessageCall::new(Direction::Receive, id, which, bytes, flags);
    message
        .reserve(bytes)
        .and_then(|()| msg::msgrcv(id, message.words_mut(), bytes, which, flags))
        .inspect(|&received| message.filled(received))
        .map_err(|errno| Error::from_call(Call::Message(call), errno))
}

/// What [`msgctl`] shall do, with the buffer that C passes as a pointer to whatever the command takes.
#[doc(alias = "cmd")]
#[derive(Debug)]
#[non_exhaustive]
pub enum MsgCommand<'a> {
    /// Remove the queue, now.
    #[doc(alias = "IPC_RMID")]
    IpcRmid,
    /// Take owner, group, the nine mode bits and `msg_qbytes` from the buffer.
    #[doc(alias = "IPC_SET")]
    IpcSet(&'a msqid_ds),
    /// Fill the buffer.
    #[doc(alias = "IPC_STAT")]
    IpcStat(&'a mut msqid_ds),
    /// The limits of the IPC namespace. The id is ignored; the result is the highest slot in use.
    #[cfg(target_os = "linux")]
    #[doc(alias = "IPC_INFO")]
    IpcInfo(&'a mut msginfo),
    /// The same, with queues, messages and bytes that exist in `msgpool`, `msgmap` and `msgtql`.
    #[cfg(target_os = "linux")]
    #[doc(alias = "MSG_INFO")]
    MsgInfo(&'a mut msginfo),
    /// As `IpcStat`, but the id is a slot number; the result is the queue's id.
    #[cfg(target_os = "linux")]
    #[doc(alias = "MSG_STAT")]
    MsgStat(&'a mut msqid_ds),
    /// As `MsgStat`, without read permission. Linux 4.17.
    #[cfg(target_os = "linux")]
    #[doc(alias = "MSG_STAT_ANY")]
    MsgStatAny(&'a mut msqid_ds),
}

/// `msgctl(id, command, buffer)`. Returns what C returns: 0, or what the command says.
///
/// # Errors
///
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`), [`NotOwner`](crate::ErrorKind::NotOwner) and
/// [`QueueSizeLimit`](crate::ErrorKind::QueueSizeLimit) (`EPERM`), [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue)
/// (`EINVAL`, `EIDRM`).
///
/// ```
/// use sysvshm::raw::{self, GetFlags, MsgCommand};
/// use sysvshm::Key;
///
/// let id = raw::msgget(Key::PRIVATE, GetFlags::mode(0o600))?;
/// let mut ds = raw::empty_msqid_ds();
/// raw::msgctl(id, MsgCommand::IpcStat(&mut ds))?;
/// ds.msg_qbytes = 100;
/// raw::msgctl(id, MsgCommand::IpcSet(&ds))?;
/// raw::msgctl(id, MsgCommand::IpcStat(&mut ds))?;
/// assert_eq!((ds.msg_qbytes, ds.msg_qnum), (100, 0));
/// raw::msgctl(id, MsgCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn msgctl(id: i32, command: MsgCommand<'_>) -> Result<i32, Error> {
    let (name, result) = match command {
        MsgCommand::IpcRmid => (error::Command::Remove, msg::msgctl_rmid(id).map(|()| 0)),
        MsgCommand::IpcSet(buffer) => {
            #[allow(clippy::unnecessary_cast)] // 32 bits wide on some targets.
            let bytes = buffer.msg_qbytes as u64;
            let command = error::Command::set(buffer.msg_perm, Some(bytes));
            (command, msg::msgctl_set(id, buffer).map(|()| 0))
        }
        MsgCommand::IpcStat(buffer) => (
            error::Command::Status,
            fill(buffer, msg::msgctl_stat(id).map(|status| (status, 0))),
        ),
        #[cfg(target_os = "linux")]
        MsgCommand::IpcInfo(buffer) => (error::Command::Limits, fill(buffer, msg::ipc_info())),
        #[cfg(target_os = "linux")]
        MsgCommand::MsgInfo(buffer) => (error::Command::Usage, fill(buffer, msg::msg_info())),
        #[cfg(target_os = "linux")]
        MsgCommand::MsgStat(buffer) => {
            (error::Command::SlotStatus, fill(buffer, msg::msg_stat(id)))
        }
        #[cfg(target_os = "linux")]
        MsgCommand::MsgStatAny(buffer) => (
            error::Command::SlotStatusAny,
            fill(buffer, msg::msg_stat_any(id)),
        ),
    };
    result.map_err(|errno| Error::from_call(Call::msgctl(id, name), errno))
}

/// A `msqid_ds` of zero bytes, to be filled: some of its fields are private, so it cannot be written out.
///
/// ```
/// assert_eq!(sysvshm::raw::empty_msqid_ds().msg_qnum, 0);
/// ```
#[must_use]
pub fn empty_msqid_ds() -> msqid_ds {
    msg::empty_status()
}
