//! Guards for message queues.

use super::watch;
use std::ops::Deref;
use sysvshm::{Key, MessageQueue, MessageQueueOptions};

/// A queue that is removed when this value goes. That it is gone already is fine.
#[derive(Debug)]
pub(crate) struct OwnedQueue(MessageQueue);

impl OwnedQueue {
    /// A queue without a key.
    pub(crate) fn new() -> Self {
        Self::with_mode(0o600)
    }

    pub(crate) fn with_mode(mode: u32) -> Self {
        let mut options = MessageQueueOptions::new();
        Self::guard(options.mode(mode).create_new(Key::PRIVATE).unwrap())
    }

    /// Guards what something else created.
    pub(crate) fn guard(queue: MessageQueue) -> Self {
        watch();
        Self(queue)
    }

    /// The identifier as C has it.
    pub(crate) fn raw(&self) -> i32 {
        self.0.id().as_raw()
    }
}

impl Deref for OwnedQueue {
    type Target = MessageQueue;

    fn deref(&self) -> &MessageQueue {
        &self.0
    }
}

impl Drop for OwnedQueue {
    fn drop(&mut self) {
        let _ = self.0.remove();
    }
}

/// A fresh key; whatever queue has it when this value goes is removed.
#[derive(Debug)]
pub(crate) struct OwnedQueueKey(Key);

impl OwnedQueueKey {
    pub(crate) fn random() -> Self {
        watch();
        Self(Key::random().unwrap())
    }

    pub(crate) fn key(&self) -> Key {
        self.0
    }
}

impl Drop for OwnedQueueKey {
    fn drop(&mut self) {
        if let Ok(queue) = MessageQueue::open(self.0) {
            let _ = queue.remove();
        }
    }
}

/// Waits until a thread of the process sleeps in this system call.
#[cfg(target_os = "linux")]
pub(crate) fn until_asleep_in(pid: u32, call: libc::c_long) {
    let number = format!("{call} ");
    super::until(|| {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks.flatten().any(|task| {
            // `running`, or the number of the call that the thread sleeps in (proc_pid_syscall(5)).
            std::fs::read_to_string(task.path().join("syscall"))
                .is_ok_and(|text| text.starts_with(&number))
        })
    });
}
