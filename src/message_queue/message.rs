//! [`Message`]: a type and bytes, in memory as C has them.

use crate::sys::Errno;
use crate::sys::msg::TYPE_BYTES;
use bytemuck::{AnyBitPattern, NoUninit};
use std::ffi::c_long;
use std::fmt;

/// What can be sent: bytes, text, and plain values.
///
/// Implemented for `[u8]`, `str`, and every sized type that is [`NoUninit`]: integers, arrays of them, and structs
/// without gaps that derive it. The bytes follow the type at once. A C struct `{ long mtype; T value; }` has them in the
/// same place unless `T` is aligned to more than a `long`.
///
/// A value is sent with the type that it has: `&[1, 2]` is two `i32`, eight bytes.
///
/// ```
/// # use sysvshm::{Key, MessageQueue};
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// queue.send(1, "text")?;
/// queue.send(1, &[1_u32, 2, 3])?;
/// queue.send(1, &vec![0_u8; 1000][..])?;
/// queue.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub trait Content: private::Sealed {
    /// The bytes that are sent.
    fn content(&self) -> &[u8];
}

mod private {
    pub trait Sealed {}
    impl Sealed for [u8] {}
    impl Sealed for str {}
    impl<T: bytemuck::NoUninit> Sealed for T {}
}

impl Content for [u8] {
    fn content(&self) -> &[u8] {
        self
    }
}

impl Content for str {
    fn content(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl<T: NoUninit> Content for T {
    fn content(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }
}

/// A message that was received, and a buffer to be kept for the next ones.
///
/// [`MessageQueue::receive_into`](crate::MessageQueue::receive_into) fills it without a copy on this side of the kernel,
/// and makes it larger where a message needs it. It is never made smaller.
///
/// ```
/// use sysvshm::message_queue::{Message, Receive};
/// use sysvshm::{Key, MessageQueue};
///
/// let queue = MessageQueue::create_new(Key::PRIVATE)?;
/// let mut message = Message::with_capacity(64);
/// for number in 0..3_u32 {
///     queue.send(1, &number)?;
///     queue.receive_into(Receive::any(), &mut message)?;
///     assert_eq!(message.value::<u32>(), Some(number));
/// }
/// queue.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "msgbuf")]
#[derive(Clone, Default)]
pub struct Message {
    /// The type and the bytes, as C has them: a `long` and what follows it. Empty, or all of it initialised.
    words: Vec<c_long>,
    len: usize,
}

impl Message {
    /// Makes an empty one, of type 0, that allocates when something is received into it.
    ///
    /// ```
    /// # use sysvshm::message_queue::Message;
    /// assert!(Message::new().bytes().is_empty());
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: Vec::new(),
            len: 0,
        }
    }

    /// Makes an empty one with room for a message of `bytes` bytes.
    ///
    /// # Panics
    ///
    /// If there is no memory for it, as vectors do.
    ///
    /// ```
    /// # use sysvshm::message_queue::Message;
    /// assert!(Message::with_capacity(100).capacity_bytes() >= 100);
    /// ```
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            words: vec![0; words_for(bytes)],
            len: 0,
        }
    }

    /// Returns the type that the sender gave it, 1 or more; 0 if nothing was received.
    ///
    /// ```
    /// # use sysvshm::message_queue::Message;
    /// assert_eq!(Message::new().message_type(), 0);
    /// ```
    #[doc(alias = "mtype")]
    #[must_use]
    pub fn message_type(&self) -> c_long {
        self.words.first().copied().unwrap_or(0)
    }

    /// Returns the bytes of the message.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(3, "hello")?;
    /// assert_eq!(queue.receive(Receive::any())?.bytes(), b"hello");
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "mtext")]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let all = self.words.get(1..).unwrap_or_default();
        &bytemuck::cast_slice(all)[..self.len]
    }

    /// Returns the message as a value, or `None` if it has another length than a `T`.
    ///
    /// C programs that send `sizeof message - sizeof(long)` bytes send the gap at the end of their struct as well, if it
    /// has one; [`bytes`](Self::bytes) has it all.
    ///
    /// ```
    /// # use sysvshm::{Key, MessageQueue, message_queue::Receive};
    /// let queue = MessageQueue::create_new(Key::PRIVATE)?;
    /// queue.send(1, &[1.5_f64, 2.5])?;
    /// let message = queue.receive(Receive::any())?;
    /// assert_eq!(message.value::<[f64; 2]>(), Some([1.5, 2.5]));
    /// assert_eq!(message.value::<f64>(), None);
    /// queue.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn value<T: AnyBitPattern>(&self) -> Option<T> {
        bytemuck::try_pod_read_unaligned(self.bytes()).ok()
    }

    /// Returns how many bytes a message may have for which nothing needs to be allocated.
    ///
    /// ```
    /// # use sysvshm::message_queue::Message;
    /// assert_eq!(Message::new().capacity_bytes(), 0);
    /// ```
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.words.len().saturating_sub(1) * TYPE_BYTES
    }

    /// Empties it and sees to it that so many bytes fit; `ENOMEM` if there is no memory for them.
    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Errno> {
        self.len = 0;
        let words = words_for(bytes);
        if words > self.words.len() {
            let more = words - self.words.len();
            self.words
                .try_reserve_exact(more)
                .map_err(|_| Errno(libc::ENOMEM))?;
            self.words.resize(words, 0);
        }
        Ok(())
    }

    /// What the kernel fills. Whoever lets it do so tells the length afterwards with [`filled`](Self::filled).
    pub(crate) fn words_mut(&mut self) -> &mut [c_long] {
        self.len = 0;
        &mut self.words
    }

    /// Says how many bytes were received.
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.len = bytes;
    }
}

/// The type and the bytes.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("message_type", &self.message_type())
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// Equal types and equal bytes, whatever the capacity.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        (self.message_type(), self.bytes()) == (other.message_type(), other.bytes())
    }
}

impl Eq for Message {}

/// The words for a type and so many bytes.
const fn words_for(bytes: usize) -> usize {
    1 + bytes.div_ceil(TYPE_BYTES)
}

/// Lays type and bytes out as `msgsnd` takes them, for the time of a call. `None` if there is no memory for it.
///
/// Short messages, and those of up to the usual `msgmax`, need no allocation.
pub(crate) fn with_envelope<R>(
    message_type: c_long,
    content: &[u8],
    send: impl FnOnce(&[c_long]) -> R,
) -> Option<R> {
    const SHORT: usize = words_for(256);
    const USUAL: usize = words_for(8192);
    #[inline(never)]
    fn large<R>(
        message_type: c_long,
        content: &[u8],
        send: impl FnOnce(&[c_long]) -> R,
    ) -> Option<R> {
        if words_for(content.len()) <= USUAL {
            return Some(send(fill(&mut [0; USUAL], message_type, content)));
        }
        let mut message = Message::new();
        message.reserve(content.len()).ok()?;
        Some(send(fill(&mut message.words, message_type, content)))
    }
    if words_for(content.len()) <= SHORT {
        Some(send(fill(&mut [0; SHORT], message_type, content)))
    } else {
        large(message_type, content, send)
    }
}

fn fill<'a>(words: &'a mut [c_long], message_type: c_long, content: &[u8]) -> &'a [c_long] {
    words[0] = message_type;
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words[1..]);
    bytes[..content.len()].copy_from_slice(content);
    words
}
