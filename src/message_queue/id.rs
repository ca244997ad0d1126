//! [`MessageQueueId`]: the number by which the kernel knows a queue.

use crate::text::identifier_as_text;

/// The kernel's identifier of a message queue: C's `msqid`.
///
/// Means something only inside one IPC namespace. Any number from 0 up may be one.
///
/// ```
/// use sysvshm::{Key, MessageQueue, MessageQueueId};
///
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// let text = queue.id().to_string(); // over a pipe, an argument, a file
/// let id: MessageQueueId = text.parse().unwrap();
/// MessageQueue::from_id(id).remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "msqid")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageQueueId(i32);

impl MessageQueueId {
    /// Wraps a number that C or another process gave. Makes no call.
    ///
    /// ```
    /// # use sysvshm::MessageQueueId;
    /// assert_eq!(MessageQueueId::from_raw(5).as_raw(), 5);
    /// ```
    #[must_use]
    pub const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// Returns the number, as C calls take it.
    ///
    /// ```
    /// # use sysvshm::MessageQueueId;
    /// assert_eq!(MessageQueueId::from_raw(0).as_raw(), 0);
    /// ```
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

identifier_as_text!(MessageQueueId);
