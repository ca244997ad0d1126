//! The bounded buffer of the operating-systems lecture: `item buffer[BUFFER_SIZE]; int in; int out;`.
//!
//! A producer puts items in at `in`, a consumer takes them out at `out`, and both indices go round. This is the
//! textbook's solution (Silberschatz, Galvin, Gagne, "Operating System Concepts", shared-memory systems), in
//! exactly the memory C gives it, so that a C program can be the other side:
//!
//! ```c
//! #define BUFFER_SIZE 10
//! typedef struct { ... } item;
//! item buffer[BUFFER_SIZE];
//! int in = 0;
//! int out = 0;
//!
//! while (((in + 1) % BUFFER_SIZE) == out)
//!     ; /* do nothing -- no free buffers */
//! buffer[in] = next_produced;
//! in = (in + 1) % BUFFER_SIZE;
//! ```
//!
//! | byte | holds | written by |
//! |---|---|---|
//! | 0 | `item buffer[N]` | the producer |
//! | `N * sizeof(item)`, rounded up to 4 | `int in`: the next free position | the producer |
//! | 4 more | `int out`: the first full position | the consumer |
//!
//! Empty is `in == out`; full is `(in + 1) % N == out`. A buffer with all N positions in use would have `in == out`
//! too and look empty, which is why this one holds N-1 items; [`spsc`](super::spsc) uses them all.
//!
//! # Example
//!
//! ```
//! use sysvshm::bounded_buffer::lecture::{BoundedBuffer, TryProduceError};
//! use sysvshm::{Key, SegmentOptions};
//!
//! type Buffer<'a> = BoundedBuffer<'a, i32, 10>;
//!
//! let segment = SegmentOptions::new().size_bytes(Buffer::SIZE_BYTES).create_new(Key::PRIVATE)?;
//! segment.mark_for_removal()?;
//! let buffer = Buffer::new(&segment).unwrap();
//! for item in 0..9 {
//!     buffer.produce(item).unwrap();
//! }
//! assert_eq!(buffer.try_produce(9), Err(TryProduceError::Full(9))); // nine items in ten positions
//! assert_eq!(buffer.consume().unwrap(), 0);
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! # The same thing in C, and what the compiler may do to it
//!
//! `int in` shared with another process is a data race in C. Compiled without optimisation, as on the slides, every
//! mention is a load or a store and the programs work on x86. At `-O2` gcc sees that the loop changes neither
//! index, loads both once before it and leaves
//!
//! ```text
//!         movl    40(%rbp), %edx          ; in
//!         movl    44(%rbp), %eax          ; out
//! .L10:   cmpl    %eax, %edx
//!         je      .L10                    ; for ever
//! ```
//!
//! `volatile int` forbids that; `_Atomic int` also forbids the rest. What x86 hides: it never lets a store overtake
//! an older store, nor a load an older load, so the item is visible before the index that announces it. Arm does
//! both; there `volatile` programs lose items now and then, and only `_Atomic` (or barriers) are right. The indices
//! are loaded with acquire and stored with release here, which is what `_Atomic int` gives and costs nothing on
//! x86.
//!
//! # What this does not protect you from
//!
//! * Two producers, or two consumers: the roles are taken on trust, and items get lost or doubled.
//! * A peer that dies or stops: the busy loops wait for ever, as in C.
//! * A peer that writes nonsense into the indices: that is [`Corrupted`], never an access outside the buffer; items
//!   may be anything.

use std::fmt;
use std::hint;
use std::sync::atomic::Ordering;
use std::thread;

use crate::error::{ErrorKind, known_kind};
use crate::memory::{Element, LayoutError, SharedRef, SharedSlice};
use crate::segment::Segment;

/// The lecture's buffer of `N` positions, which holds up to `N - 1` items.
///
/// A small `Copy` handle to shared memory. See the [module](self) for the layout and an example.
///
/// `N` is at least 2, because a buffer of one position is always full; less does not compile:
///
/// ```compile_fail
/// let size = sysvshm::bounded_buffer::lecture::BoundedBuffer::<i32, 1>::SIZE_BYTES;
/// ```
#[doc(alias("buffer", "in", "out", "BUFFER_SIZE"))]
#[derive(Clone, Copy)]
pub struct BoundedBuffer<'a, T: Element, const N: usize> {
    buffer: SharedSlice<'a, T>,
    next_in: SharedRef<'a, i32>,
    next_out: SharedRef<'a, i32>,
}

/// An index in shared memory is not one of the buffer's positions: somebody wrote nonsense, or the layouts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "index `{index}` of the bounded buffer is {value}, and the buffer has positions 0 to {last}"
)]
pub struct Corrupted {
    /// Which one: `in` or `out`.
    pub index: &'static str,
    /// What it said.
    pub value: i32,
    /// The last valid position.
    pub last: i32,
}

/// Why [`BoundedBuffer::try_produce`] did nothing; it gives the item back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryProduceError<T> {
    /// `(in + 1) % N == out`.
    #[error("the bounded buffer is full")]
    Full(T),
    /// An index makes no sense.
    #[error(transparent)]
    Corrupted(#[from] Corrupted),
}

/// Why [`BoundedBuffer::try_consume`] has no item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryConsumeError {
    /// `in == out`.
    #[error("the bounded buffer is empty")]
    Empty,
    /// An index makes no sense.
    #[error(transparent)]
    Corrupted(#[from] Corrupted),
}

impl Corrupted {
    /// Returns [`LayoutMismatch`](ErrorKind::LayoutMismatch).
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::LayoutMismatch
    }
}

impl<T> TryProduceError<T> {
    /// Returns what went wrong, in a form to match on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Full(_) => ErrorKind::WouldBlock,
            Self::Corrupted(error) => error.kind(),
        }
    }
}

impl TryConsumeError {
    /// Returns what went wrong, in a form to match on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Empty => ErrorKind::WouldBlock,
            Self::Corrupted(error) => error.kind(),
        }
    }
}

known_kind!(Corrupted, TryProduceError<T>, TryConsumeError);

impl<'a, T: Element, const N: usize> BoundedBuffer<'a, T, N> {
    /// Where `in` lies, in bytes: after the items, at a multiple of 4.
    const IN_OFFSET: usize = {
        assert!(N >= 2, "a buffer of one position is always full");
        assert!(N <= i32::MAX as usize, "the indices are C ints");
        (size_of::<T>() * N).next_multiple_of(align_of::<i32>())
    };

    /// `sizeof(struct { item buffer[N]; int in; int out; })`, in bytes: the size of a segment that holds one.
    pub const SIZE_BYTES: usize = {
        let align = if align_of::<T>() > 4 {
            align_of::<T>()
        } else {
            4
        };
        (Self::IN_OFFSET + 8).next_multiple_of(align)
    };

    /// The buffer at the start of a segment. A fresh segment's zeros are an empty buffer: nothing has to be
    /// initialised.
    ///
    /// **C call:** none.
    ///
    /// # Errors
    ///
    /// [`LayoutError::OutOfBounds`] if the segment is smaller than [`SIZE_BYTES`](Self::SIZE_BYTES) without the
    /// padding at its end; [`LayoutError::ZeroSized`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::bounded_buffer::lecture::BoundedBuffer;
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(47).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// assert!(BoundedBuffer::<i32, 10>::new(&segment).is_err()); // 40 + 4 + 4 bytes
    /// assert!(BoundedBuffer::<i32, 9>::new(&segment).is_ok());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn new(segment: &'a Segment) -> Result<Self, LayoutError> {
        Ok(Self {
            buffer: segment.slice(0, N)?,
            next_in: segment.reference(Self::IN_OFFSET)?,
            next_out: segment.reference(Self::IN_OFFSET + 4)?,
        })
    }

    /// A buffer whose three parts lie anywhere, such as in a larger C struct.
    ///
    /// `None` if `buffer` has not `N` elements. Make the parts with [`field!`](crate::field) and
    /// [`SharedRef::elements`](crate::SharedRef::elements). **C call:** none.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::bounded_buffer::lecture::BoundedBuffer;
    /// use sysvshm::bytemuck::Zeroable;
    /// use sysvshm::{Key, SegmentOptions, field};
    ///
    /// // struct { long started; int out; int in; item buffer[8]; }
    /// #[derive(Clone, Copy, Zeroable)]
    /// #[repr(C)]
    /// struct Theirs {
    ///     started: i64,
    ///     out: i32,
    ///     r#in: i32,
    ///     buffer: [u16; 8],
    /// }
    ///
    /// let segment = SegmentOptions::new().size_bytes(size_of::<Theirs>()).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let theirs = segment.reference::<Theirs>(0).unwrap();
    /// let buffer: BoundedBuffer<'_, u16, 8> = BoundedBuffer::from_parts(
    ///     field!(theirs, buffer).elements(),
    ///     field!(theirs, r#in),
    ///     field!(theirs, out),
    /// )
    /// .unwrap();
    /// buffer.produce(7).unwrap();
    /// assert_eq!(field!(theirs, r#in).load(), 1);
    /// assert_eq!(field!(theirs, buffer).at(0).load(), 7);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn from_parts(
        buffer: SharedSlice<'a, T>,
        next_in: SharedRef<'a, i32>,
        next_out: SharedRef<'a, i32>,
    ) -> Option<Self> {
        // Naming the constant refuses an impossible `N` at compile time.
        let _ = Self::IN_OFFSET;
        (buffer.len() == N).then_some(Self {
            buffer,
            next_in,
            next_out,
        })
    }

    /// Puts an item in if there is room.
    ///
    /// **C call:** none.
    ///
    /// # Errors
    ///
    /// [`TryProduceError::Full`] gives the item back; [`TryProduceError::Corrupted`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::bounded_buffer::lecture::{BoundedBuffer, TryProduceError};
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(16).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let buffer = BoundedBuffer::<i32, 2>::new(&segment).unwrap();
    /// assert_eq!(buffer.try_produce(1), Ok(()));
    /// assert_eq!(buffer.try_produce(2), Err(TryProduceError::Full(2)));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub fn try_produce(&self, item: T) -> Result<(), TryProduceError<T>> {
        // `in` is the producer's own; acquire on `out` pairs with the release in `try_consume`: the position is
        // free for good.
        let next_in = position::<N>("in", self.next_in.atomic_load(Ordering::Relaxed))?;
        let next_out = position::<N>("out", self.next_out.atomic_load(Ordering::Acquire))?;
        let after = (next_in + 1) % N;
        if after == next_out {
            return Err(TryProduceError::Full(item));
        }
        self.buffer.store(next_in, item);
        // Release pairs with the acquire in `try_consume`: whoever sees the index sees the item.
        self.next_in.atomic_store(after as i32, Ordering::Release);
        Ok(())
    }

    /// Takes the oldest item out if there is one.
    ///
    /// **C call:** none.
    ///
    /// # Errors
    ///
    /// [`TryConsumeError::Empty`], [`TryConsumeError::Corrupted`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::bounded_buffer::lecture::{BoundedBuffer, TryConsumeError};
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(20).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let buffer = BoundedBuffer::<i32, 3>::new(&segment).unwrap();
    /// buffer.produce(1).unwrap();
    /// assert_eq!(buffer.try_consume(), Ok(1));
    /// assert_eq!(buffer.try_consume(), Err(TryConsumeError::Empty));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub fn try_consume(&self) -> Result<T, TryConsumeError> {
        // Acquire pairs with the release in `try_produce`; `out` is the consumer's own.
        let next_in = position::<N>("in", self.next_in.atomic_load(Ordering::Acquire))?;
        let next_out = position::<N>("out", self.next_out.atomic_load(Ordering::Relaxed))?;
        if next_in == next_out {
            return Err(TryConsumeError::Empty);
        }
        let item = self.buffer.load(next_out);
        // Release pairs with the acquire in `try_produce`: the item was copied before its position is free.
        self.next_out
            .atomic_store(((next_out + 1) % N) as i32, Ordering::Release);
        Ok(item)
    }

    /// Puts an item in, waiting for room in a busy loop as taught. See the [module](self) for an example.
    ///
    /// Waits for ever if nobody consumes, and uses the processor all the time. **C call:** none.
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    #[inline]
    pub fn produce(&self, item: T) -> Result<(), Corrupted> {
        self.produce_with(item, hint::spin_loop)
    }

    /// Puts an item in, giving the processor to others while there is no room. See [`consume`](Self::consume) for
    /// an example.
    ///
    /// **C call:** `sched_yield()` per look.
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    #[doc(alias = "sched_yield")]
    pub fn produce_yielding(&self, item: T) -> Result<(), Corrupted> {
        self.produce_with(item, thread::yield_now)
    }

    /// Takes the oldest item, waiting for one in a busy loop as taught.
    ///
    /// Waits for ever if nobody produces, and uses the processor all the time. **C call:** none.
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::bounded_buffer::lecture::BoundedBuffer;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(48).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let buffer = BoundedBuffer::<i32, 10>::new(&segment).unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| (0..1000).try_for_each(|item| buffer.produce_yielding(item)).unwrap());
    ///     assert!((0..1000).all(|item| buffer.consume_yielding() == Ok(item)));
    /// });
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[inline]
    pub fn consume(&self) -> Result<T, Corrupted> {
        self.consume_with(hint::spin_loop)
    }

    /// Takes the oldest item, giving the processor to others while there is none. See [`consume`](Self::consume)
    /// for an example.
    ///
    /// **C call:** `sched_yield()` per look.
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    #[doc(alias = "sched_yield")]
    pub fn consume_yielding(&self) -> Result<T, Corrupted> {
        self.consume_with(thread::yield_now)
    }

    #[inline(always)]
    fn produce_with(&self, mut item: T, wait: impl Fn()) -> Result<(), Corrupted> {
        loop {
            match self.try_produce(item) {
                Ok(()) => return Ok(()),
                Err(TryProduceError::Full(back)) => item = back,
                Err(TryProduceError::Corrupted(corrupted)) => return Err(corrupted),
            }
            wait();
        }
    }

    #[inline(always)]
    fn consume_with(&self, wait: impl Fn()) -> Result<T, Corrupted> {
        loop {
            match self.try_consume() {
                Ok(item) => return Ok(item),
                Err(TryConsumeError::Empty) => wait(),
                Err(TryConsumeError::Corrupted(corrupted)) => return Err(corrupted),
            }
        }
    }

    /// `in` as C has it: the next free position. Stale at once for everybody but the producer; not checked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::bounded_buffer::lecture::BoundedBuffer;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(20).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let buffer = BoundedBuffer::<i32, 3>::new(&segment).unwrap();
    /// assert!(buffer.is_empty().unwrap() && buffer.capacity() == 2);
    /// buffer.produce(10).unwrap();
    /// buffer.produce(20).unwrap();
    /// assert_eq!((buffer.next_in(), buffer.next_out(), buffer.is_full()), (2, 0, Ok(true)));
    /// assert_eq!(buffer.positions().to_vec(), [10, 20, 0]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn next_in(&self) -> i32 {
        self.next_in.atomic_load(Ordering::Acquire)
    }

    /// `out` as C has it: the first full position. Stale at once for everybody but the consumer; not checked. See
    /// [`next_in`](Self::next_in) for an example.
    #[must_use]
    pub fn next_out(&self) -> i32 {
        self.next_out.atomic_load(Ordering::Acquire)
    }

    /// How many items there are. The producer may believe "at most so many", the consumer "at least so many".
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::bounded_buffer::lecture::BoundedBuffer;
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(48).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let buffer = BoundedBuffer::<i32, 10>::new(&segment).unwrap();
    /// segment.reference::<i32>(40).unwrap().store(1); // in
    /// segment.reference::<i32>(44).unwrap().store(8); // out
    /// assert_eq!(buffer.len(), Ok(3)); // positions 8, 9 and 0
    /// segment.reference::<i32>(44).unwrap().store(10);
    /// assert_eq!(buffer.len().unwrap_err().value, 10);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn len(&self) -> Result<usize, Corrupted> {
        let next_in = position::<N>("in", self.next_in())?;
        let next_out = position::<N>("out", self.next_out())?;
        Ok((next_in + N - next_out) % N)
    }

    /// Whether `in == out`. See [`next_in`](Self::next_in) for an example.
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    pub fn is_empty(&self) -> Result<bool, Corrupted> {
        self.len().map(|len| len == 0)
    }

    /// Whether `(in + 1) % N == out`. See [`next_in`](Self::next_in) for an example.
    ///
    /// # Errors
    ///
    /// [`Corrupted`].
    pub fn is_full(&self) -> Result<bool, Corrupted> {
        self.len().map(|len| len == N - 1)
    }

    /// How many items fit: `N - 1`. See [`next_in`](Self::next_in) for an example.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        N - 1
    }

    /// All `N` positions, full or not, for those who want to look. See [`next_in`](Self::next_in) for an example.
    #[must_use]
    pub fn positions(&self) -> SharedSlice<'a, T> {
        self.buffer
    }
}

/// What shared memory says is a position, checked: nothing else may index the buffer.
#[inline(always)]
fn position<const N: usize>(index: &'static str, value: i32) -> Result<usize, Corrupted> {
    match usize::try_from(value) {
        Ok(position) if position < N => Ok(position),
        _ => Err(corrupted::<N>(index, value)),
    }
}

#[cold]
fn corrupted<const N: usize>(index: &'static str, value: i32) -> Corrupted {
    Corrupted {
        index,
        value,
        last: (N - 1) as i32,
    }
}

impl<T: Element, const N: usize> fmt::Debug for BoundedBuffer<'_, T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("lecture::BoundedBuffer")
            .field("positions", &N)
            .field("in", &self.next_in())
            .field("out", &self.next_out())
            .finish_non_exhaustive()
    }
}
