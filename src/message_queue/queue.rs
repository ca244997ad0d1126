//! [`MessageQueue`]: a queue that exists.

use super::id::MessageQueueId;
use super::message::{Content, Message};
use super::receive::Receive;
use super::status::MessageQueueStatus;
use super::transfer::{self, Patience, Waiting};
use crate::control;
use crate::error::{Call, Command, Error, Object};
use crate::flags::Mode;
use crate::sys::msg;
use std::ffi::{c_int, c_long};
use std::time::Duration;

/// A System V message queue.
///
/// A plain value, like the identifier in C: nothing happens when it is dropped, it may be copied and sent anywhere, and
/// it stays usable until the queue is removed. [`remove`](Self::remove) ends it for all processes at once.
///
/// [`MessageQueueOptions`](super::MessageQueueOptions) has more ways to make one; the [module](super) says how waits, timeouts and signals go
/// together.
///
/// ```
/// use sysvshm::message_queue::Receive;
/// use sysvshm::{Key, MessageQueue};
///
/// let queue = MessageQueue::create_new(Key::random()?)?;
/// queue.send(1, "hello")?;
/// assert_eq!(queue.receive(Receive::any())?.bytes(), b"hello");
/// queue.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias("msgget", "msqid"))]
#[derive(Debug, Clone, Copy)]
pub struct MessageQueue {
    id: MessageQueueId,
    created: bool,
    waiting: Waiting,
}

impl MessageQueue {
    pub(super) const fn new(id: MessageQueueId, created: bool) -> Self {
        Self {
            id,
            created,
            waiting: Waiting {
                interruptible: false,
                timer_signal: None,
            },
        }
    }

    /// Takes the queue with this identifier, such as one that another process handed over. Makes no call: whether there
    /// is such a queue shows with the first one.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, MessageQueue, MessageQueueId};
    /// let nothing = MessageQueue::from_id(MessageQueueId::from_raw(-1));
    /// assert_eq!(nothing.status().unwrap_err().kind(), ErrorKind::NoSuchQueue);
    /// ```
    #[must_use]
    pub const fn from_id(id: MessageQueueId) -> Self {
        Self::new(id, false)
    }

    /// Returns the identifier: C's `msqid`.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// assert_eq!(queue.status()?.id(), queue.id());
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub const fn id(&self) -> MessageQueueId {
        self.id
    }

    /// Says whether this call created the queue rather than finding it.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let key = Key::random()?;
    /// let queue = MessageQueue::open_or_create(key)?;
    /// assert!(queue.was_created() && !MessageQueue::open(key)?.was_created());
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub const fn was_created(&self) -> bool {
        self.created
    }

    /// Returns the same queue, whose waits end with [`Interrupted`](crate::ErrorKind::Interrupted) when a signal was
    /// handled, instead of going on. No message is sent or taken then.
    ///
    /// A wait with a timeout that polls, see the [module](super), notices signals that are handled while it sleeps
    /// between two tries. As in C, one that comes right before the wait begins does not end it.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?.interruptible();
    /// queue.send(1, "hello")?;
    /// match queue.receive(Receive::any()) {
    ///     Err(error) if error.kind() == ErrorKind::Interrupted => println!("Ctrl-C, perhaps"),
    ///     message => println!("{:?}", message?),
    /// }
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "EINTR")]
    #[must_use]
    pub const fn interruptible(mut self) -> Self {
        self.waiting.interruptible = true;
        self
    }

    /// Returns the same queue, whose timed waits sleep in the kernel until a timer of the calling thread sends this
    /// signal, instead of polling. Linux.
    ///
    /// The program must have installed a handler for the signal, which may do nothing, and the thread that waits must
    /// not block it: without a handler the signal would end the process, so such a wait is refused with
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput). The signal goes to the waiting thread alone, from the end of
    /// the time on every millisecond, until the thread has noticed.
    ///
    /// **C calls,** for a wait that does not succeed at once: `timer_create(SIGEV_THREAD_ID)`, `timer_settime`,
    /// `timer_delete`, around the call.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{ErrorKind, Key, MessageQueue, message_queue::Receive};
    /// # use std::time::Duration;
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?.timer_signal(libc::SIGRTMIN());
    /// let error = queue.receive_timeout(Receive::any(), Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput); // no handler is installed
    /// queue.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("timer_create", "SIGEV_THREAD_ID"))]
    #[must_use]
    pub const fn timer_signal(mut self, signal: c_int) -> Self {
        self.waiting.timer_signal = Some(signal);
        self
    }

    /// Sends a message; sleeps while the queue has no room for it.
    ///
    /// The kernel copies the bytes before the call returns. A type, 1 or more, lets receivers choose.
    ///
    /// **C call:** `msgsnd`, once, and again after each handled signal.
    ///
    /// # Errors
    ///
    /// [`MessageTooLarge`](crate::ErrorKind::MessageTooLarge) (`EINVAL`): longer than `msgmax`, 8192 bytes on most
    /// systems. [`InvalidInput`](crate::ErrorKind::InvalidInput) (`EINVAL`): a type of 0 or less.
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): needs the write bit.
    /// [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue) (`EINVAL`, `EIDRM`). [`Removed`](crate::ErrorKind::Removed)
    /// (`EIDRM`): while it slept. [`OutOfMemory`](crate::ErrorKind::OutOfMemory).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(1, b"bytes")?;
    /// queue.send(2, "text")?;
    /// queue.send(3, &[1_u16, 2, 3])?;
    /// assert_eq!(queue.status()?.messages(), 3);
    /// assert_eq!(queue.send(0, "text").unwrap_err().kind(), ErrorKind::InvalidInput);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgsnd")]
    pub fn send<C: Content + ?Sized>(
        &self,
        message_type: c_long,
        content: &C,
    ) -> Result<(), Error> {
        self.send_with(message_type, content.content(), Patience::Endless)
    }

    /// Sends a message if the queue has room for it now.
    ///
    /// **C call:** `msgsnd(IPC_NOWAIT)`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`EAGAIN`), with how full the queue is. Otherwise those of
    /// [`send`](Self::send).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// let full = loop {
    ///     if let Err(error) = queue.try_send(1, &[0_u8; 1000]) {
    ///         break error;
    ///     }
    /// };
    /// assert_eq!(full.kind(), ErrorKind::WouldBlock);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgsnd", "IPC_NOWAIT"))]
    pub fn try_send<C: Content + ?Sized>(
        &self,
        message_type: c_long,
        content: &C,
    ) -> Result<(), Error> {
        self.send_with(message_type, content.content(), Patience::None)
    }

    /// As [`send`](Self::send), but waits no longer than `timeout`. The [module](super) says what that costs.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) (`EAGAIN`), with how full the queue is. Otherwise those of
    /// [`send`](Self::send).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue};
    /// use std::time::Duration;
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// while queue.try_send(1, &[0_u8; 1000]).is_ok() {}
    /// let late = queue.send_timeout(1, &[0_u8; 1000], Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::TimedOut);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgsnd")]
    pub fn send_timeout<C: Content + ?Sized>(
        &self,
        message_type: c_long,
        content: &C,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.send_with(message_type, content.content(), Patience::For(timeout))
    }

    /// Receives a message; sleeps while there is none of that kind. Makes a new [`Message`] for it.
    ///
    /// # Errors
    ///
    /// Those of [`receive_into`](Self::receive_into).
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(5, &7_i32)?;
    /// let message = queue.receive(Receive::any())?;
    /// assert_eq!((message.message_type(), message.value::<i32>()), (5, Some(7)));
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgrcv")]
    pub fn receive(&self, what: Receive) -> Result<Message, Error> {
        self.receive_new(what, Patience::Endless)
    }

    /// Receives a message if there is one now. Makes a new [`Message`] for it.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive_into`](Self::try_receive_into).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// let error = queue.try_receive(Receive::any()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::WouldBlock);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgrcv", "IPC_NOWAIT"))]
    pub fn try_receive(&self, what: Receive) -> Result<Message, Error> {
        self.receive_new(what, Patience::None)
    }

    /// As [`receive`](Self::receive), but waits no longer than `timeout`. The [module](super) says what that costs.
    ///
    /// # Errors
    ///
    /// Those of [`receive_into_timeout`](Self::receive_into_timeout).
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue, message_queue::Receive};
    /// use std::time::Duration;
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// let late = queue.receive_timeout(Receive::any(), Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::TimedOut);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgrcv")]
    pub fn receive_timeout(&self, what: Receive, timeout: Duration) -> Result<Message, Error> {
        self.receive_new(what, Patience::For(timeout))
    }

    /// Receives a message into a kept buffer; sleeps while there is none of that kind.
    ///
    /// The buffer grows where the message needs it, unless [`Receive::at_most`] or [`Receive::truncated`] say otherwise.
    /// On failure it is empty.
    ///
    /// **C call:** `msgrcv`, once, and again after each handled signal and after the buffer has grown.
    ///
    /// # Errors
    ///
    /// [`MessageTooLarge`](crate::ErrorKind::MessageTooLarge) (`E2BIG`): with [`Receive::at_most`]; the message stays in
    /// the queue. [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): needs the read bit.
    /// [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue) (`EINVAL`, `EIDRM`). [`Removed`](crate::ErrorKind::Removed)
    /// (`EIDRM`): while it slept. [`InvalidInput`](crate::ErrorKind::InvalidInput): a type of 0 or less.
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory): the buffer cannot grow.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// use sysvshm::message_queue::{Message, Receive};
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// let mut message = Message::with_capacity(4);
    /// queue.send(1, "longer than four bytes")?;
    /// queue.receive_into(Receive::any(), &mut message)?;
    /// assert_eq!(message.bytes(), b"longer than four bytes");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgrcv")]
    #[inline]
    pub fn receive_into(&self, what: Receive, message: &mut Message) -> Result<(), Error> {
        self.receive_with(what, message, Patience::Endless)
    }

    /// Receives a message into a kept buffer if there is one now.
    ///
    /// **C call:** `msgrcv(IPC_NOWAIT)`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`ENOMSG`). Otherwise those of
    /// [`receive_into`](Self::receive_into).
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// use sysvshm::message_queue::{Message, Receive};
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// for number in 0..10_u8 {
    ///     queue.send(1, &number)?;
    /// }
    /// let (mut message, mut sum) = (Message::new(), 0);
    /// while queue.try_receive_into(Receive::any(), &mut message).is_ok() {
    ///     sum += message.value::<u8>().unwrap();
    /// }
    /// assert_eq!(sum, 45);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgrcv", "IPC_NOWAIT"))]
    #[inline]
    pub fn try_receive_into(&self, what: Receive, message: &mut Message) -> Result<(), Error> {
        self.receive_with(what, message, Patience::None)
    }

    /// As [`receive_into`](Self::receive_into), but waits no longer than `timeout`. The [module](super) says what that
    /// costs.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](crate::ErrorKind::TimedOut) (`ENOMSG`): no message was taken. Otherwise those of
    /// [`receive_into`](Self::receive_into).
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// use std::time::Duration;
    /// use sysvshm::message_queue::{Message, Receive};
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(1, "here already")?;
    /// let mut message = Message::new();
    /// queue.receive_into_timeout(Receive::any(), &mut message, Duration::from_secs(1))?;
    /// assert_eq!(message.bytes(), b"here already");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgrcv")]
    pub fn receive_into_timeout(
        &self,
        what: Receive,
        message: &mut Message,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.receive_with(what, message, Patience::For(timeout))
    }

    /// Copies the message at a position, 0 for the oldest, and leaves it in the queue. Linux.
    ///
    /// Needs a kernel that was built with `CONFIG_CHECKPOINT_RESTORE`, as those of most distributions are.
    ///
    /// **C call:** `msgrcv(MSG_COPY | IPC_NOWAIT)`.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](crate::ErrorKind::WouldBlock) (`ENOMSG`): the queue has no message at this position.
    /// [`Unsupported`](crate::ErrorKind::Unsupported) (`ENOSYS`): the kernel was built without it. Otherwise those of
    /// [`receive_into`](Self::receive_into).
    ///
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// # use sysvshm::{ErrorKind, Key, MessageQueue, message_queue::Message};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(1, "first")?;
    /// queue.send(2, "second")?;
    /// let mut message = Message::new();
    /// match queue.copy_into(1, &mut message) {
    ///     Err(error) if error.kind() == ErrorKind::Unsupported => println!("{error}"),
    ///     result => {
    ///         result?;
    ///         assert_eq!((message.message_type(), message.bytes()), (2, &b"second"[..]));
    ///     }
    /// }
    /// assert_eq!(queue.status()?.messages(), 2);
    /// queue.remove()?;
    /// # }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgrcv", "MSG_COPY"))]
    pub fn copy_into(&self, position: usize, message: &mut Message) -> Result<(), Error> {
        transfer::copy(self.id.as_raw(), position, message, self.waiting)
    }

    /// Returns what the kernel knows about the queue now.
    ///
    /// **C call:** `msgctl(IPC_STAT)`.
    ///
    /// # Errors
    ///
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`): needs the read bit, even of the owner;
    /// [`system::message_queues`](crate::system::message_queues) does without.
    /// [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue) (`EINVAL`, `EIDRM`).
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// assert_eq!(queue.status()?.messages(), 0);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgctl", "IPC_STAT"))]
    pub fn status(&self) -> Result<MessageQueueStatus, Error> {
        match msg::msgctl_stat(self.id.as_raw()) {
            Ok(raw) => Ok(MessageQueueStatus::new(self.id.as_raw(), &raw)),
            Err(errno) => Err(Error::from_call(self.msgctl(Command::Status), errno)),
        }
    }

    /// Changes how many bytes the messages may have together, and leaves owner, group and mode.
    ///
    /// More than `msgmnb`, 16384 on most systems, is for processes with `CAP_SYS_RESOURCE`. C can only set all four
    /// values, so this reads the others first; on Linux from 4.17 on that works even without read permission.
    ///
    /// **C calls:** `msgctl(IPC_STAT)`, `msgctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// [`QueueSizeLimit`](crate::ErrorKind::QueueSizeLimit) (`EPERM`). Otherwise those of
    /// [`set_permissions`](Self::set_permissions).
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.set_capacity_bytes(1000)?;
    /// assert_eq!(queue.status()?.capacity_bytes(), Some(1000));
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgctl", "IPC_SET", "msg_qbytes"))]
    pub fn set_capacity_bytes(&self, bytes: u64) -> Result<(), Error> {
        let status = status_regardless(self.id.as_raw())?;
        self.set(
            (status.owner_uid(), status.owner_gid(), status.mode()),
            bytes,
        )
    }

    /// Changes owner, group and mode in one step, and leaves the capacity.
    ///
    /// **C calls:** `msgctl(IPC_STAT)`, `msgctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](crate::ErrorKind::NotOwner) (`EPERM`): only the owner, the creator or a process with
    /// `CAP_SYS_ADMIN`. [`QueueSizeLimit`](crate::ErrorKind::QueueSizeLimit) (`EPERM`): the capacity is beyond `msgmnb`,
    /// which was lowered. [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue) (`EINVAL`, `EIDRM`).
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput): an id of -1 (`EINVAL`), or a mode beyond 0777.
    ///
    /// ```
    /// use sysvshm::{Key, MessageQueue, Mode};
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// let status = queue.status()?;
    /// queue.set_permissions(status.owner_uid(), status.owner_gid(), 0o660)?;
    /// assert_eq!(queue.status()?.mode(), Mode::from(0o660));
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgctl", "IPC_SET"))]
    pub fn set_permissions(&self, uid: u32, gid: u32, mode: impl Into<Mode>) -> Result<(), Error> {
        let bytes = status_regardless(self.id.as_raw())?.capacity_bytes();
        self.set((uid, gid, mode.into()), bytes.unwrap_or(0))
    }

    /// Changes the mode and leaves the rest.
    ///
    /// **C calls:** `msgctl(IPC_STAT)`, `msgctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// Those of [`set_permissions`](Self::set_permissions).
    ///
    /// ```
    /// use sysvshm::{Key, MessageQueue, Mode};
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.set_mode(0o000)?;
    /// # #[cfg(target_os = "linux")]
    /// queue.set_mode(0o640)?; // not locked out by the step before
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("chmod", "IPC_SET"))]
    pub fn set_mode(&self, mode: impl Into<Mode>) -> Result<(), Error> {
        let status = status_regardless(self.id.as_raw())?;
        let values = (status.owner_uid(), status.owner_gid(), mode.into());
        self.set(values, status.capacity_bytes().unwrap_or(0))
    }

    /// Gives the queue to another user and group and leaves the rest. The creator keeps every right over it.
    ///
    /// **C calls:** `msgctl(IPC_STAT)`, `msgctl(IPC_SET)`.
    ///
    /// # Errors
    ///
    /// Those of [`set_permissions`](Self::set_permissions).
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// let status = queue.status()?;
    /// queue.set_owner(status.owner_uid(), status.owner_gid())?;
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("chown", "IPC_SET"))]
    pub fn set_owner(&self, uid: u32, gid: u32) -> Result<(), Error> {
        let status = status_regardless(self.id.as_raw())?;
        self.set(
            (uid, gid, status.mode()),
            status.capacity_bytes().unwrap_or(0),
        )
    }

    /// Removes the queue and the messages in it at once, for all processes: those that wait on it wake with
    /// [`Removed`](crate::ErrorKind::Removed), later calls find [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue).
    ///
    /// May be called in a signal handler: it makes one system call, on failure a few more to find out why, takes no lock
    /// and allocates nothing.
    ///
    /// **C call:** `msgctl(IPC_RMID)`.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](crate::ErrorKind::NotOwner) (`EPERM`): only the owner, the creator or a process with
    /// `CAP_SYS_ADMIN`. [`NoSuchQueue`](crate::ErrorKind::NoSuchQueue) (`EINVAL`, `EIDRM`): it is gone already.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, MessageQueue};
    ///
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.remove()?;
    /// assert_eq!(queue.remove().unwrap_err().kind(), ErrorKind::NoSuchQueue);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgctl", "IPC_RMID", "ipcrm"))]
    pub fn remove(&self) -> Result<(), Error> {
        msg::msgctl_rmid(self.id.as_raw())
            .map_err(|errno| Error::from_call(self.msgctl(Command::Remove), errno))
    }

    fn send_with(
        &self,
        message_type: c_long,
        content: &[u8],
        patience: Patience,
    ) -> Result<(), Error> {
        transfer::send(
            self.id.as_raw(),
            message_type,
            content,
            self.waiting,
            patience,
        )
    }

    #[inline]
    fn receive_with(
        &self,
        what: Receive,
        message: &mut Message,
        patience: Patience,
    ) -> Result<(), Error> {
        transfer::receive(self.id.as_raw(), what, message, self.waiting, patience)
    }

    fn receive_new(&self, what: Receive, patience: Patience) -> Result<Message, Error> {
        let mut message = Message::new();
        self.receive_with(what, &mut message, patience)?;
        Ok(message)
    }

    /// `IPC_SET`.
    fn set(&self, values: (u32, u32, Mode), bytes: u64) -> Result<(), Error> {
        let id = self.id.as_raw();
        control::set_permissions(Object::Queue, id, values, Some(bytes), |values| {
            msg::msgctl_set_values(id, values, bytes)
        })
    }

    fn msgctl(&self, command: Command) -> Call {
        Call::msgctl(self.id.as_raw(), command)
    }
}

/// The status even without read permission, where the system has a way (`MSG_STAT_ANY`, Linux 4.17).
pub(super) fn status_regardless(id: i32) -> Result<MessageQueueStatus, Error> {
    let (stat, any) = (msg::msgctl_stat, msg::msg_stat_any);
    let raw = control::status_regardless(Object::Queue, id, stat, any)?;
    Ok(MessageQueueStatus::new(id, &raw))
}
