//! [`MessageQueueOptions`]: how a queue is to be created and found.

use super::id::MessageQueueId;
use super::queue::{MessageQueue, status_regardless};
use crate::control;
use crate::error::{Asked, Call, Error, ErrorKind, Hint, Object};
use crate::flags::Mode;
use crate::key::Key;
use crate::sys::msg;
use crate::user;
use std::ffi::c_int;

/// How to create and find message queues, in the style of [`std::fs::OpenOptions`].
///
/// ```
/// use sysvshm::{Key, MessageQueueOptions, Mode};
///
/// let queue = MessageQueueOptions::new().mode(0o660).create_new(Key::random()?)?;
/// assert_eq!(queue.status()?.mode(), Mode::from(0o660));
/// queue.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "msgget")]
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct MessageQueueOptions {
    mode: Option<Mode>,
    any_owner: bool,
}

impl MessageQueueOptions {
    /// Starts with mode 0600, and with [`any_owner`](Self::any_owner) false.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueueOptions};
    /// let queue = MessageQueueOptions::new().create_new(Key::PRIVATE)?;
    /// assert_eq!(queue.status()?.mode().bits(), 0o600);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub const fn new() -> Self {
        Self {
            mode: None,
            any_owner: false,
        }
    }

    /// Sets the permission bits of a queue that is created: the read bit to receive, the write bit to send. When a queue
    /// is opened, the bits that the caller must have, or the open fails.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueueOptions};
    /// let queue = MessageQueueOptions::new().mode(0o622).create_new(Key::PRIVATE)?; // others may send
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("MSG_R", "MSG_W"))]
    pub fn mode(&mut self, mode: impl Into<Mode>) -> &mut Self {
        self.mode = Some(mode.into());
        self
    }

    /// Says whether [`open_or_create`](Self::open_or_create) accepts a queue that another user created.
    ///
    /// A key is no secret, so any user can take it first and read or invent every message. `open` takes any owner.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueueOptions};
    /// let queue = MessageQueueOptions::new().any_owner(true).open_or_create(Key::random()?)?;
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.any_owner = any_owner;
        self
    }

    /// Creates a queue under a key that no queue has; with [`Key::PRIVATE`] a new one without a key.
    ///
    /// **C call:** `msgget(key, IPC_CREAT | IPC_EXCL | mode)`.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) (`EEXIST`). [`QueueLimit`](ErrorKind::QueueLimit) (`ENOSPC`): as many
    /// as `msgmni` allows exist. [`OutOfMemory`](ErrorKind::OutOfMemory) (`ENOMEM`).
    /// [`InvalidInput`](ErrorKind::InvalidInput): a mode beyond 0777.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, MessageQueueOptions};
    ///
    /// let key = Key::random()?;
    /// let queue = MessageQueueOptions::new().create_new(key)?;
    /// let again = MessageQueueOptions::new().create_new(key).unwrap_err();
    /// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgget", "IPC_CREAT", "IPC_EXCL"))]
    pub fn create_new(&self, key: Key) -> Result<MessageQueue, Error> {
        control::check_mode(self.mode, |flags| call(key, flags))?;
        let mode = self.mode.unwrap_or(Mode::OWNER_READ | Mode::OWNER_WRITE);
        let id = msgget(key, libc::IPC_CREAT | libc::IPC_EXCL | mode.bits() as c_int)?;
        Ok(MessageQueue::new(id, true))
    }

    /// Finds the queue that has this key.
    ///
    /// **C call:** `msgget(key, mode)`; without [`mode`](Self::mode), `msgget(key, 0)`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) (`ENOENT`). [`PermissionDenied`](ErrorKind::PermissionDenied) (`EACCES`): the
    /// caller lacks one of the bits asked for with [`mode`](Self::mode). [`InvalidInput`](ErrorKind::InvalidInput):
    /// [`Key::PRIVATE`], or a mode beyond 0777.
    ///
    /// ```
    /// use sysvshm::{Key, MessageQueueOptions};
    ///
    /// let error = MessageQueueOptions::new().open(Key::random()?).unwrap_err();
    /// assert!(error.is_not_found());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgget")]
    pub fn open(&self, key: Key) -> Result<MessageQueue, Error> {
        control::check_mode(self.mode, |flags| call(key, flags))?;
        find(key, self.mode.map_or(0, |mode| mode.bits() as c_int))
    }

    /// Finds the queue that has this key, or creates it; [`MessageQueue::was_created`] says which.
    ///
    /// **C calls:** `msgget(key, 0)`, then either `msgctl(IPC_STAT)`, unless any owner is welcome, or
    /// `msgget(key, IPC_CREAT | IPC_EXCL | mode)`. Again if another process came or went in between.
    ///
    /// # Errors
    ///
    /// [`ForeignCreator`](ErrorKind::ForeignCreator): another user created it, see [`any_owner`](Self::any_owner).
    /// Otherwise those of [`create_new`](Self::create_new).
    ///
    /// ```
    /// use sysvshm::{Key, MessageQueueOptions};
    ///
    /// let key = Key::random()?;
    /// let first = MessageQueueOptions::new().open_or_create(key)?;
    /// let second = MessageQueueOptions::new().open_or_create(key)?;
    /// assert!(first.was_created() && !second.was_created());
    /// first.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgget", "IPC_CREAT"))]
    pub fn open_or_create(&self, key: Key) -> Result<MessageQueue, Error> {
        const ATTEMPTS: usize = 1000;
        if key.is_private() {
            return self.create_new(key);
        }
        for _ in 0..ATTEMPTS {
            let again = match find(key, 0) {
                Ok(queue) => match self.accept(key, queue) {
                    Err(error) if error.kind() == ErrorKind::NoSuchQueue => continue,
                    result => return result,
                },
                Err(error) if error.kind() == ErrorKind::NotFound => self.create_new(key),
                Err(error) => return Err(error),
            };
            match again {
                // Another process was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => return result,
            }
        }
        let hint = Hint::Text("other processes keep removing the queue and creating it anew");
        Err(Error::refused(call(key, 0), ErrorKind::Other, hint))
    }

    /// Refuses the queue of a stranger.
    fn accept(&self, key: Key, queue: MessageQueue) -> Result<MessageQueue, Error> {
        let id = queue.id().as_raw();
        if self.any_owner || user::is_own(status_regardless(id)?.creator_uid()) {
            return Ok(queue);
        }
        let hint = Hint::foreign(Object::Queue, id);
        Err(Error::refused(
            call(key, 0),
            ErrorKind::ForeignCreator,
            hint,
        ))
    }
}

/// Short for [`MessageQueueOptions`] of their own.
impl MessageQueue {
    /// Creates a queue under a key that no queue has, mode 0600. Short for [`MessageQueueOptions::create_new`].
    ///
    /// # Errors
    ///
    /// Those of [`MessageQueueOptions::create_new`].
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let queue = MessageQueue::create_new(Key::random()?)?;
    /// assert!(queue.was_created());
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgget", "IPC_CREAT", "IPC_EXCL"))]
    pub fn create_new(key: Key) -> Result<Self, Error> {
        MessageQueueOptions::new().create_new(key)
    }

    /// Finds the queue that has this key. Short for [`MessageQueueOptions::open`].
    ///
    /// # Errors
    ///
    /// Those of [`MessageQueueOptions::open`].
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, MessageQueue};
    /// let error = MessageQueue::open(Key::random()?).unwrap_err();
    /// assert_eq!((error.kind(), error.call()), (ErrorKind::NotFound, "msgget"));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "msgget")]
    pub fn open(key: Key) -> Result<Self, Error> {
        MessageQueueOptions::new().open(key)
    }

    /// Finds the queue that has this key, or creates it with mode 0600. Short for
    /// [`MessageQueueOptions::open_or_create`].
    ///
    /// # Errors
    ///
    /// Those of [`MessageQueueOptions::open_or_create`].
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue};
    /// let key = Key::random()?;
    /// let queue = MessageQueue::open_or_create(key)?;
    /// assert_eq!(MessageQueue::open_or_create(key)?.id(), queue.id());
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("msgget", "IPC_CREAT"))]
    pub fn open_or_create(key: Key) -> Result<Self, Error> {
        MessageQueueOptions::new().open_or_create(key)
    }
}

fn find(key: Key, flags: c_int) -> Result<MessageQueue, Error> {
    control::refuse_private(key, Object::Queue, || call(key, flags))?;
    Ok(MessageQueue::new(msgget(key, flags)?, false))
}

fn msgget(key: Key, flags: c_int) -> Result<MessageQueueId, Error> {
    msg::msgget(key.as_raw(), flags)
        .map(MessageQueueId::from_raw)
        .map_err(|errno| Error::from_call(call(key, flags), errno))
}

fn call(key: Key, flags: c_int) -> Call {
    Call::Get {
        key: key.as_raw(),
        asked: Asked::Queue,
        flags,
    }
}
