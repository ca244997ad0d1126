//! The whole machine's message queues: limits, usage, and every queue, as `ipcs -q` shows them.

use super::{listed, walk};
use crate::error::{Call, Command, Error};
use crate::message_queue::MessageQueueStatus;
use crate::sys::{Errno, msg};

/// What the system allows for message queues.
#[doc(alias("msginfo", "IPC_INFO", "msgmax", "msgmnb", "msgmni"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageQueueLimits {
    /// `msgmni`: how many queues there may be.
    pub max_queues: u64,
    /// `msgmax`: the longest message, in bytes.
    pub max_message_bytes: u64,
    /// `msgmnb`: how many bytes a new queue may hold, and the most that an ordinary user may let one hold.
    pub max_queue_bytes: u64,
}

/// What is in use of message queues.
#[doc(alias("msginfo", "MSG_INFO"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageQueueUsage {
    /// How many queues exist.
    pub queues: u64,
    /// How many messages are in them.
    pub messages: u64,
    /// How many bytes those have together.
    pub bytes: u64,
}

/// Returns the limits on message queues.
///
/// **C call:** `msgctl(0, IPC_INFO)`; `sysctlbyname(3)` on FreeBSD. macOS has constants in its kernel, which are returned
/// here.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) (`ENOSYS`): a kernel without System V IPC.
///
/// ```
/// let limits = sysvshm::system::message_queue_limits()?;
/// println!("messages of up to {} bytes", limits.max_message_bytes);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("IPC_INFO", "msgctl"))]
pub fn message_queue_limits() -> Result<MessageQueueLimits, Error> {
    let limits = msg::limits().map_err(failed(Command::Limits))?;
    Ok(MessageQueueLimits {
        max_queues: limits.queues,
        max_message_bytes: limits.message_bytes,
        max_queue_bytes: limits.queue_bytes,
    })
}

/// Returns how many queues, messages and bytes exist.
///
/// **C call:** `msgctl(0, MSG_INFO)`. Linux.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems, or with `ENOSYS`.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, MessageQueue, system};
///
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// queue.send(1, "hello")?;
/// let usage = system::message_queue_usage()?;
/// assert!(usage.queues >= 1 && usage.messages >= 1 && usage.bytes >= 5);
/// queue.remove()?;
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("MSG_INFO", "msgctl"))]
pub fn message_queue_usage() -> Result<MessageQueueUsage, Error> {
    let [queues, messages, bytes] = msg::usage().map_err(failed(Command::Usage))?;
    Ok(MessageQueueUsage {
        queues,
        messages,
        bytes,
    })
}

/// Returns every message queue of this IPC namespace, whoever owns it, in the order of the kernel's table.
///
/// The list is taken queue by queue while others create and remove: it is no snapshot.
///
/// **C calls:** `msgctl(0, MSG_INFO)` once, `msgctl(slot, MSG_STAT_ANY)` per slot up to the highest used one; before
/// Linux 4.17 `MSG_STAT`, which leaves out what this user may not read. Where a sandbox refuses the calls, the list is
/// that of `/proc/sysvipc/msg`.
///
/// # Errors
///
/// [`Unsupported`](crate::ErrorKind::Unsupported) on other systems than Linux, or with `ENOSYS` or `EPERM` where
/// `/proc/sysvipc/msg` cannot be read either.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::{Key, MessageQueue, system};
///
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// let all = system::message_queues()?;
/// assert!(all.iter().any(|status| status.id() == queue.id()));
/// queue.remove()?;
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("ipcs", "MSG_STAT", "MSG_STAT_ANY"))]
pub fn message_queues() -> Result<Vec<MessageQueueStatus>, Error> {
    let slots = walk(msg::highest_slot, msg::msg_stat_any, msg::msg_stat);
    let status = |(raw, id): &(_, _)| MessageQueueStatus::new(*id, raw);
    let row = MessageQueueStatus::of_row;
    listed(slots, status, "msg", row, failed(Command::Usage))
}

fn failed(command: Command) -> impl Fn(Errno) -> Error {
    move |errno| Error::from_call(Call::msgctl(0, command), errno)
}
