//! [`BoundedBuffer`]: the ring as it is attached, from which handles are made.

use super::participant::Participant;
use crate::memory::Element;
use crate::ring::protocol::Protocol;
use crate::ring::protocol::attached::Attached;
use crate::ring::protocol::role::{PeerState, Role};
use crate::ring::shm::slots::Layout;
use crate::ring::shm::words::Words;
use crate::segment::Segment;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A ring of items in shared memory, attached. Handles are made with [`producer`](Self::producer) and
/// [`consumer`](Self::consumer).
///
/// `P` says for how many: [`spsc::BoundedBuffer`](crate::bounded_buffer::spsc::BoundedBuffer) is the ring for one
/// producer and one consumer, [`mpmc::BoundedBuffer`](crate::bounded_buffer::mpmc::BoundedBuffer) the one for many of
/// each. What follows holds for both, unless it names one.
///
/// See the [module](crate::bounded_buffer) for what it promises, and for an example.
#[repr(transparent)]
pub struct BoundedBuffer<T: Element, P: Protocol> {
    pub(crate) ring: Arc<Attached<P::Geometry>>,
    items: PhantomData<fn(T) -> T>,
}

impl<T: Pod, P: Protocol> BoundedBuffer<T, P> {
    pub(super) fn new(ring: Attached<P::Geometry>) -> Self {
        Self {
            ring: Arc::new(ring),
            items: PhantomData,
        }
    }

    /// Lists the participants: handles that live, and those of dead processes that are not recovered yet. In `spsc` the
    /// producer, then the consumer, present or not.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`, up to four for each of them.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # use sysvshm::bounded_buffer::{PeerState, mpmc::Role};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let consumer = buffer.consumer()?;
    /// let all = buffer.participants();
    /// assert_eq!((all.len(), all[0].role, all[0].state), (1, Some(Role::Consumer), PeerState::Alive));
    /// assert_eq!(all[0].pid, Some(std::process::id()));
    /// # drop(consumer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn participants(&self) -> Vec<Participant> {
        let ring = &*self.ring;
        P::participants(Words::of(&ring.segment), &ring.geometry)
            .iter()
            .map(|entry| Participant::of(entry, &ring.anchor))
            .collect()
    }

    /// Counts the items, as they were at some moment of the past; those being read in place are included. Loads the
    /// word of every slot.
    ///
    /// In `spsc`, the [producer](super::producer::Producer::len) and the [consumer](super::consumer::Consumer::len) know one half of it for sure.
    #[must_use]
    pub fn len(&self) -> usize {
        P::len(&self.ring)
    }

    /// Whether there was no item, at some moment of the past. As [`len`](Self::len).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every slot held an item, at some moment of the past. As [`len`](Self::len).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// How many items fit. All of them can be used.
    #[must_use]
    pub fn capacity(&self) -> usize {
        P::capacity(&self.ring.geometry)
    }

    /// Which layout its creator chose.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.ring.layout
    }

    /// The random number of this initialisation: another one means that the buffer was removed and made anew.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.ring.generation
    }

    /// What is known of who pushes.
    ///
    /// `mpmc`, of the producers together: [`Alive`](PeerState::Alive) if one of them is, [`Dead`](PeerState::Dead) if
    /// none is and what they left is still to be [recovered](BoundedBuffer::recover), [`Left`](PeerState::Left) if all
    /// have gone or were recovered, [`Never`](PeerState::Never) before the first.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)`; in `mpmc` for each of them until one lives; three for each that is dead.
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
        P::state(&self.ring, Role::Producer)
    }

    /// What is known of who pops; as [`producer_state`](Self::producer_state).
    #[must_use]
    pub fn consumer_state(&self) -> PeerState {
        P::state(&self.ring, Role::Consumer)
    }

    /// The segment, for its identifier, status and removal. Writing to it can only break the buffer, never this
    /// process.
    ///
    /// Marked for removal it stays as long as a process has it attached, and cannot be found by its key any more:
    /// right when all participants have come, or when all is done.
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
        &self.ring.segment
    }
}

impl<T: Element, P: Protocol> BoundedBuffer<T, P> {
    /// The same ring as a handle of it keeps it.
    ///
    /// By reference, so that handles need not keep this beside it: with something in them that is dropped out of line,
    /// their fields would have to be in memory all the time.
    #[allow(
        unsafe_code,
        reason = "casts a reference to what this is a transparent wrapper of"
    )]
    pub(super) fn of_ref(ring: &Arc<Attached<P::Geometry>>) -> &Self {
        // SAFETY: `repr(transparent)`; the other field has no size and any value.
        unsafe { &*std::ptr::from_ref(ring).cast::<Self>() }
    }
}

impl<T: Element, P: Protocol> fmt::Debug for BoundedBuffer<T, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedBuffer")
            .field("protocol", &P::NAME)
            .field("segment", &self.ring.segment.id().as_raw())
            .field("geometry", &self.ring.geometry)
            .field("layout", &self.ring.layout)
            .finish_non_exhaustive()
    }
}
