//! [`Receive`]: which message, and what becomes of one that is too long.

use crate::error::{ErrorKind, Hint};
use crate::sys::msg::{MSG_EXCEPT, MSG_NOERROR};
use std::ffi::{c_int, c_long};

/// Which message to receive: the first in the queue that fits.
///
/// ```
/// use sysvshm::message_queue::Receive;
/// use sysvshm::{Key, MessageQueue};
///
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// for message_type in [5, 3, 4, 3] {
///     queue.send(message_type, b"")?;
/// }
/// let mut receive = |which| Ok::<_, sysvshm::Error>(queue.receive(which)?.message_type());
/// assert_eq!(receive(Receive::of_type(4))?, 4);    // msgtyp 4
/// assert_eq!(receive(Receive::up_to_type(9))?, 3); // msgtyp -9: the smallest type
/// assert_eq!(receive(Receive::any())?, 5);         // msgtyp 0: the oldest
/// # #[cfg(target_os = "linux")]
/// assert_eq!(receive(Receive::except_type(5))?, 3);
/// queue.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "msgtyp")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "it receives nothing by itself; pass it to receive"]
pub struct Receive {
    which: Which,
    room: Room,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Which {
    Any,
    Type(c_long),
    UpTo(c_long),
    Except(c_long),
}

/// What becomes of a long message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Room {
    /// Room is made for it.
    Any,
    /// It stays in the queue.
    AtMost(usize),
    /// It is cut off.
    Truncated(usize),
}

impl Receive {
    /// The oldest message, whatever its type.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(9, "first")?;
    /// queue.send(1, "second")?;
    /// assert_eq!(queue.receive(Receive::any())?.bytes(), b"first");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub const fn any() -> Self {
        Self::new(Which::Any)
    }

    /// The oldest message of this type, 1 or more.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(9, "first")?;
    /// queue.send(1, "second")?;
    /// assert_eq!(queue.receive(Receive::of_type(1))?.bytes(), b"second");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub const fn of_type(message_type: c_long) -> Self {
        Self::new(Which::Type(message_type))
    }

    /// The oldest message of the smallest type that is in the queue, if that is this type or a smaller one. Types serve
    /// as priorities so. A negative `msgtyp`.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(9, "can wait")?;
    /// queue.send(1, "urgent")?;
    /// assert_eq!(queue.receive(Receive::up_to_type(9))?.bytes(), b"urgent");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub const fn up_to_type(message_type: c_long) -> Self {
        Self::new(Which::UpTo(message_type))
    }

    /// The oldest message of any other type. Linux.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// # #[cfg(target_os = "linux")] {
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(9, "first")?;
    /// queue.send(1, "second")?;
    /// assert_eq!(queue.receive(Receive::except_type(9))?.bytes(), b"second");
    /// queue.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "MSG_EXCEPT")]
    pub const fn except_type(message_type: c_long) -> Self {
        Self::new(Which::Except(message_type))
    }

    /// Leaves a longer message in the queue and fails with [`MessageTooLarge`](ErrorKind::MessageTooLarge), as C does,
    /// instead of making room for it.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(1, "hello")?;
    /// let error = queue.receive(Receive::any().at_most(4)).unwrap_err();
    /// assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::MessageTooLarge, Some(7))); // E2BIG
    /// assert_eq!(queue.receive(Receive::any().at_most(5))?.bytes(), b"hello");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgsz")]
    pub const fn at_most(mut self, bytes: usize) -> Self {
        self.room = Room::AtMost(bytes);
        self
    }

    /// Takes the first bytes of a longer message; the kernel throws the rest away and does not say that there was any.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(1, "hello")?;
    /// assert_eq!(queue.receive(Receive::any().truncated(4))?.bytes(), b"hell");
    /// assert_eq!(queue.status()?.messages(), 0);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "MSG_NOERROR")]
    pub const fn truncated(mut self, bytes: usize) -> Self {
        self.room = Room::Truncated(bytes);
        self
    }

    const fn new(which: Which) -> Self {
        Self {
            which,
            room: Room::Any,
        }
    }

    pub(super) fn room(self) -> Room {
        self.room
    }

    /// `msgtyp` and flags as C has them, or what is wrong.
    #[inline]
    pub(super) fn to_raw(self) -> Result<(c_long, c_int), (ErrorKind, Hint)> {
        let truncate = match self.room {
            Room::Truncated(_) => MSG_NOERROR,
            Room::Any | Room::AtMost(_) => 0,
        };
        let (which, flags) = match self.which {
            Which::Any => return Ok((0, truncate)),
            Which::Type(which) => (which, 0),
            Which::UpTo(which) => (which.saturating_neg(), 0),
            Which::Except(which) => match MSG_EXCEPT {
                Some(flag) => (which, flag),
                None => {
                    let hint = Hint::Text("MSG_EXCEPT does not exist on this system");
                    return Err((ErrorKind::Unsupported, hint));
                }
            },
        };
        match self.which {
            Which::Any | Which::Type(1..) | Which::UpTo(1..) | Which::Except(1..) => {
                Ok((which, flags | truncate))
            }
            _ => {
                let hint = Hint::Text("the type of a message is 1 or more");
                Err((ErrorKind::InvalidInput, hint))
            }
        }
    }
}
