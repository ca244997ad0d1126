//! [`MessageQueueStatus`]: what the kernel knows about a queue, as one snapshot.

use super::id::MessageQueueId;
use crate::flags::Mode;
use crate::key::Key;
use crate::permissions::{Permissions, owner_and_creator, pid, time};
use crate::segment::ProcessState;
use crate::sys::msg;
use crate::sysvipc::Row;
use std::time::SystemTime;

/// What `IPC_STAT` said about a message queue, at one moment.
///
/// ```
/// use sysvshm::{Key, MessageQueue, Mode, ProcessState};
///
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// queue.send(1, "hello")?;
/// let status = queue.status()?;
/// assert_eq!((status.id(), status.key()), (queue.id(), Key::PRIVATE));
/// assert_eq!((status.messages(), status.mode()), (1, Mode::from(0o600)));
/// assert_eq!(status.used_bytes(), 5);
/// assert!(status.capacity_bytes() >= Some(5) && status.send_time() >= status.change_time());
/// assert_eq!((status.last_sender(), status.last_receiver()), (Some(std::process::id()), None));
/// assert_eq!(status.last_sender_state(), ProcessState::Alive);
/// queue.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("msqid_ds", "IPC_STAT", "ipc_perm"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageQueueStatus {
    id: MessageQueueId,
    permissions: Permissions,
    messages: u64,
    used_bytes: u64,
    /// `None` where it comes from `/proc`, which does not tell.
    capacity_bytes: Option<u64>,
    /// Sender, receiver; 0 for none.
    last_pids: [i32; 2],
    /// Send, receive, change; seconds since 1970, 0 for never.
    times: [i64; 3],
}

impl MessageQueueStatus {
    pub(crate) fn new(id: i32, raw: &msg::msqid_ds) -> Self {
        #[allow(clippy::unnecessary_cast)] // Widths differ by target.
        Self {
            id: MessageQueueId::from_raw(id),
            permissions: Permissions::new(raw.msg_perm),
            messages: raw.msg_qnum as u64,
            used_bytes: msg::bytes_now(raw),
            capacity_bytes: Some(raw.msg_qbytes as u64),
            last_pids: [raw.msg_lspid, raw.msg_lrpid],
            times: msg::times(raw),
        }
    }

    /// From a line of `/proc/sysvipc/msg`.
    pub(crate) fn of_row(row: &Row<'_>) -> Option<Self> {
        Some(Self {
            id: MessageQueueId::from_raw(row.get("msqid")?),
            permissions: Permissions::of_row(row)?,
            messages: row.get("qnum")?,
            used_bytes: row.get("cbytes")?,
            capacity_bytes: None,
            last_pids: [row.get("lspid")?, row.get("lrpid")?],
            times: [row.get("stime")?, row.get("rtime")?, row.get("ctime")?],
        })
    }

    /// Returns the queue's identifier.
    #[must_use]
    pub fn id(&self) -> MessageQueueId {
        self.id
    }

    /// Returns the key it can be found under; [`Key::PRIVATE`] if it was created without one.
    #[must_use]
    pub fn key(&self) -> Key {
        self.permissions.key
    }

    /// Returns the nine permission bits. Receiving needs the read bit, sending the write bit.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.permissions.mode()
    }

    /// Returns how many messages are in it.
    #[doc(alias = "msg_qnum")]
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Returns how many bytes all its messages have together, without their types.
    #[doc(alias("msg_cbytes", "__msg_cbytes"))]
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes
    }

    /// Returns how many bytes its messages may have together; on Linux it also holds at most as many messages. `msgmnb`
    /// at first, see [`set_capacity_bytes`](crate::MessageQueue::set_capacity_bytes). `None` for a queue in a list that
    /// had to be read from `/proc/sysvipc/msg`, which does not tell.
    #[doc(alias = "msg_qbytes")]
    #[must_use]
    pub fn capacity_bytes(&self) -> Option<u64> {
        self.capacity_bytes
    }

    owner_and_creator!("crate::MessageQueue::set_owner");

    /// Returns the process that last sent a message, as numbered in this pid namespace; `None` where there was none or
    /// it has no number here.
    #[doc(alias = "msg_lspid")]
    #[must_use]
    pub fn last_sender(&self) -> Option<u32> {
        pid(self.last_pids[0])
    }

    /// Returns the process that last received a message; `None` as above.
    #[doc(alias = "msg_lrpid")]
    #[must_use]
    pub fn last_receiver(&self) -> Option<u32> {
        pid(self.last_pids[1])
    }

    /// Says whether the process that last sent still exists.
    ///
    /// **C call:** `kill(pid, 0)`.
    #[must_use]
    pub fn last_sender_state(&self) -> ProcessState {
        ProcessState::of(self.last_pids[0])
    }

    /// Says whether the process that last received still exists.
    ///
    /// **C call:** `kill(pid, 0)`.
    #[must_use]
    pub fn last_receiver_state(&self) -> ProcessState {
        ProcessState::of(self.last_pids[1])
    }

    /// Returns when a message was last sent, in whole seconds; `None` for never.
    #[doc(alias = "msg_stime")]
    #[must_use]
    pub fn send_time(&self) -> Option<SystemTime> {
        time(self.times[0])
    }

    /// Returns when a message was last received, in whole seconds; `None` for never.
    #[doc(alias = "msg_rtime")]
    #[must_use]
    pub fn receive_time(&self) -> Option<SystemTime> {
        time(self.times[1])
    }

    /// Returns when it was created or last changed with `IPC_SET`, in whole seconds.
    #[doc(alias = "msg_ctime")]
    #[must_use]
    pub fn change_time(&self) -> Option<SystemTime> {
        time(self.times[2])
    }
}
