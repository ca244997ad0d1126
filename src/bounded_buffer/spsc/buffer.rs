//! [`BoundedBuffer`]: the ring as it is attached, before a role is claimed; and what both roles share.

use super::{Consumer, Layout, Options, Producer};
use crate::bounded_buffer::{ClaimError, OpenError, PeerState};
use crate::bytemuck::Pod;
use crate::key::Key;
use crate::ring::protocol::role::Role;
use crate::ring::protocol::spsc::{
    claim::{Core, RoleGuard},
    cursor::{find_in, load_out},
    pop::Consuming,
    push::Producing,
};
use crate::segment::Segment;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A ring for one producer and one consumer, attached. The roles are claimed with [`producer`](Self::producer) and
/// [`consumer`](Self::consumer).
///
/// See the [module](super) for what it promises, and for an example.
pub struct BoundedBuffer<T> {
    core: Arc<Core>,
    items: PhantomData<fn(T) -> T>,
}

impl<T: Pod> BoundedBuffer<T> {
    /// Creates a ring of this capacity under a key that no segment has; [`Options::create_new`] with nothing else
    /// set.
    ///
    /// See the [module](super) for an example.
    ///
    /// # Errors
    ///
    /// Those of [`Options::create_new`].
    pub fn create_new(key: Key, capacity: usize) -> Result<Self, OpenError> {
        Options::new().capacity(capacity).create_new(key)
    }

    /// Opens the ring that has this key, with whatever capacity and layout it has; [`Options::open`] with nothing
    /// set.
    ///
    /// See the [module above](crate::bounded_buffer#example) for an example.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open`].
    pub fn open(key: Key) -> Result<Self, OpenError> {
        Options::new().open(key)
    }

    /// Opens the ring that has this key, or creates it; [`Options::open_or_create`] with nothing else set.
    ///
    /// See the [module above](crate::bounded_buffer#example) for an example.
    ///
    /// # Errors
    ///
    /// Those of [`Options::open_or_create`].
    pub fn open_or_create(key: Key, capacity: usize) -> Result<Self, OpenError> {
        Options::new().capacity(capacity).open_or_create(key)
    }

    pub(super) fn from_core(core: Core) -> Self {
        Self {
            core: Arc::new(core),
            items: PhantomData,
        }
    }

    /// Claims the producing side.
    ///
    /// Taken over from a process that died with it, the role goes on at the exact position. Dropping the producer
    /// gives the role back. Looks at the word of every slot once, to find the position.
    ///
    /// **C calls:** `shmctl(SHM_STAT_ANY)` a few times; those of a [token](crate::bounded_buffer#liveness) if the
    /// process has none yet; `membarrier` to register for it.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Taken`]: another handle has it, here or in a process that lives. [`ClaimError::Forked`]: this
    /// handle was made in the parent. [`ClaimError::ElsewhereInNamespace`]: the calling thread has gone to another
    /// IPC namespace. [`ClaimError::System`]: the token could not be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::{ClaimError, spsc::BoundedBuffer};
    ///
    /// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// buffer.segment().mark_for_removal()?;
    /// let producer = buffer.producer()?;
    /// assert!(matches!(buffer.producer(), Err(ClaimError::Taken { .. })));
    /// drop(producer);
    /// assert!(buffer.producer().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T>, ClaimError> {
        let role = RoleGuard::claim(&self.core, Role::Producer)?;
        let side = Producing::resume(self.core.memory, self.core.geometry, role.get().registered);
        Ok(Producer::new(role, side))
    }

    /// Claims the consuming side; as [`producer`](Self::producer).
    ///
    /// Taken over from a process that died with it, the role goes on with the first item that was not popped.
    ///
    /// # Errors
    ///
    /// Those of [`producer`](Self::producer).
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::spsc::BoundedBuffer;
    ///
    /// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// buffer.segment().mark_for_removal()?;
    /// buffer.producer()?.push(7)?;
    /// assert_eq!(buffer.consumer()?.pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<Consumer<T>, ClaimError> {
        let role = RoleGuard::claim(&self.core, Role::Consumer)?;
        let side = Consuming::resume(self.core.memory, self.core.geometry, role.get().registered);
        Ok(Consumer::new(role, side))
    }

    /// How many items there are, at some moment of the past: for those who have neither role. Looks at the word of
    /// every slot.
    ///
    /// The [producer](Producer::len) and the [consumer](Consumer::len) know one half of it for sure, and cheaply.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::spsc::BoundedBuffer;
    ///
    /// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
    /// buffer.segment().mark_for_removal()?;
    /// let mut producer = buffer.producer()?;
    /// assert!(buffer.is_empty());
    /// producer.try_push_slice(&[1, 2, 3])?;
    /// assert!(buffer.is_full() && buffer.len() == 3 && buffer.capacity() == 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        let out = load_out(self.core.memory);
        let len = find_in(self.core.memory, &self.core.geometry, out).wrapping_sub(out);
        // `find_in` is ahead by at most the capacity.
        len as usize
    }

    /// Whether there was no item, at some moment of the past. As [`len`](Self::len), which has an example.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every slot held an item, at some moment of the past. As [`len`](Self::len), which has an example.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many items fit. All of them can be used. See [`Options`] for an example.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.geometry.capacity as usize
    }

    /// Which layout its creator chose. See [`Options`] for an example.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.core.layout
    }

    /// The random number of this initialisation: another one means that the buffer was removed and made anew. See
    /// [`Options`] for an example.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.core.generation
    }

    /// Who has the producing side.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`; three if the answer is "dead".
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::{PeerState, spsc::BoundedBuffer}};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// assert_eq!(buffer.producer_state(), PeerState::Never);
    /// let producer = buffer.producer()?;
    /// assert_eq!(buffer.producer_state(), PeerState::Alive);
    /// drop(producer);
    /// assert_eq!(buffer.producer_state(), PeerState::Left);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn producer_state(&self) -> PeerState {
        self.core.state(Role::Producer)
    }

    /// Who has the consuming side; as [`producer_state`](Self::producer_state), which has an example.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`; three if the answer is "dead".
    #[must_use]
    pub fn consumer_state(&self) -> PeerState {
        self.core.state(Role::Consumer)
    }

    /// The segment, for its identifier, status and removal. Writing to it can only break the buffer, never this
    /// process.
    ///
    /// Marked for removal it stays as long as anybody has it attached, and nobody finds it by its key any more:
    /// right when everybody is there, or when all is done.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentId, bounded_buffer::spsc::BoundedBuffer};
    ///
    /// let key = Key::random()?;
    /// let buffer = BoundedBuffer::<u64>::create_new(key, 100)?;
    /// assert!(buffer.segment().len_bytes() > 100 * 8);
    /// assert_eq!(SegmentId::find(key)?, buffer.segment().id());
    /// buffer.segment().mark_for_removal()?;
    /// assert_eq!(SegmentId::find(key).unwrap_err().kind(), ErrorKind::NotFound);
    /// buffer.producer()?.push(1)?; // goes on
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn segment(&self) -> &Segment {
        &self.core.segment
    }
}

impl<T> fmt::Debug for BoundedBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("spsc::BoundedBuffer")
            .field("segment", &self.core.segment.id().as_raw())
            .field("capacity", &self.core.geometry.capacity)
            .field("layout", &self.core.layout)
            .finish_non_exhaustive()
    }
}
