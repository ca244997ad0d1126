//! Queues that the process which creates them removes.

use super::options::MessageQueueOptions;
use super::queue::{MessageQueue, status_regardless};
use crate::error::{Call, Command, Error, ErrorKind, Hint, Object};
use crate::key::Key;
use crate::owned::{Marks, Owned, Removable};

impl Removable for MessageQueue {
    fn marks(&self) -> Result<Marks, Error> {
        Ok((status_regardless(self.id().as_raw())?.key(), 0))
    }

    fn remove_now(&self) -> Result<(), Error> {
        self.remove()
    }

    fn out_of_reach(&self) -> Error {
        let call = Call::Control(Object::Queue, self.id().as_raw(), Command::Remove);
        Error::refused(
            call,
            ErrorKind::WrongNamespace,
            Hint::out_of_reach(Object::Queue),
        )
    }
}

impl MessageQueueOptions {
    /// Creates a queue as [`create_new`](Self::create_new) does, and removes it when the returned value is dropped.
    ///
    /// # Errors
    ///
    /// Those of [`create_new`](Self::create_new), and [`OutOfMemory`](crate::ErrorKind::OutOfMemory): no page by which a
    /// forked child is told from its parent.
    ///
    /// ```
    /// use sysvshm::{Key, MessageQueue, MessageQueueOptions};
    ///
    /// let key = Key::random()?;
    /// let queue = MessageQueueOptions::new().create_new_owned(key)?;
    /// queue.send(1, "hello")?;
    /// drop(queue);
    /// assert!(MessageQueue::open(key).unwrap_err().is_not_found());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn create_new_owned(&self, key: Key) -> Result<Owned<MessageQueue>, Error> {
        Owned::new(|| self.create_new(key).map(|queue| with_marks(key, queue)))
    }

    /// Finds or creates a queue as [`open_or_create`](Self::open_or_create) does. If it is created, dropping the
    /// returned value removes it, for all processes; one that is found stays.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_create`](Self::open_or_create) and [`create_new_owned`](Self::create_new_owned).
    ///
    /// ```
    /// use sysvshm::{Key, MessageQueue, MessageQueueOptions};
    ///
    /// let key = Key::random()?;
    /// let created = MessageQueueOptions::new().open_or_create_owned(key)?;
    /// let found = MessageQueueOptions::new().open_or_create_owned(key)?;
    /// drop(found);
    /// assert!(MessageQueue::open(key).is_ok());
    /// drop(created);
    /// assert!(MessageQueue::open(key).unwrap_err().is_not_found());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "IPC_RMID")]
    pub fn open_or_create_owned(&self, key: Key) -> Result<Owned<MessageQueue>, Error> {
        Owned::new(|| self.open_or_create(key).map(|queue| with_marks(key, queue)))
    }
}

fn with_marks(key: Key, queue: MessageQueue) -> (MessageQueue, Option<Marks>) {
    (queue, queue.was_created().then_some((key, 0)))
}
