//! [`BoundedBuffer`]: the ring as it is attached, from which handles are made.

use super::{Consumer, Layout, Options, Producer};
use crate::bounded_buffer::{ClaimError, OpenError, PeerState};
use crate::bytemuck::Pod;
use crate::key::Key;
use crate::ring::protocol::mpmc::claim::count;
use crate::ring::protocol::mpmc::endpoint::{Core, Seat};
use crate::ring::protocol::mpmc::table::{self, Recovered};
use crate::ring::protocol::role::Role;
use crate::segment::Segment;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A ring for many producers and many consumers, attached. Handles are made with [`producer`](Self::producer) and
/// [`consumer`](Self::consumer), as many as the participant table has entries.
///
/// See the [module](super) for what it promises, and for an example.
pub struct BoundedBuffer<T> {
    core: Arc<Core>,
    items: PhantomData<fn(T) -> T>,
}

/// A handle as the participant table has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// Which entry of the table it has.
    pub index: usize,
    /// What it is for. `None`: it died or is about to say.
    pub role: Option<Role>,
    /// Its process, by the number that process itself sees. In another pid namespace it has another.
    pub pid: u32,
    /// When it came, to the second.
    pub since: SystemTime,
    /// [`PeerState::Alive`], [`PeerState::Dead`] or [`PeerState::Unknown`].
    pub state: PeerState,
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

    /// Opens the ring that has this key, with whatever capacity it has; [`Options::open`] with nothing set.
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

    /// Makes a handle that pushes. Each thread that pushes has its own.
    ///
    /// **C calls:** `shmctl(SHM_STAT_ANY)`; those of a [token](crate::bounded_buffer#liveness) if the process has none
    /// yet; `membarrier` to register for it. If the table is full, `shmctl(SHM_STAT_ANY)` for each entry.
    ///
    /// # Errors
    ///
    /// [`ClaimError::TableFull`]: every entry of the table belongs to a handle that lives. [`ClaimError::Forked`]:
    /// this buffer was opened in the parent. [`ClaimError::ElsewhereInNamespace`]: the calling thread has gone to
    /// another IPC namespace. [`ClaimError::System`]: the token could not be made.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::{ClaimError, mpmc::Options};
    ///
    /// let buffer = Options::new().capacity(4).participants(2).create_new::<u64>(Key::PRIVATE)?;
    /// buffer.segment().mark_for_removal()?;
    /// let (one, two) = (buffer.producer()?, buffer.producer()?);
    /// assert!(matches!(buffer.producer(), Err(ClaimError::TableFull { participants: 2 })));
    /// drop(one);
    /// assert!(buffer.producer().is_ok());
    /// # drop(two);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn producer(&self) -> Result<Producer<T>, ClaimError> {
        Seat::take(&self.core, Role::Producer).map(Producer::new)
    }

    /// Makes a handle that pops; as [`producer`](Self::producer).
    ///
    /// # Errors
    ///
    /// Those of [`producer`](Self::producer).
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    ///
    /// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// buffer.segment().mark_for_removal()?;
    /// buffer.producer()?.push(7)?;
    /// assert_eq!(buffer.consumer()?.pop()?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn consumer(&self) -> Result<Consumer<T>, ClaimError> {
        Seat::take(&self.core, Role::Consumer).map(Consumer::new)
    }

    /// Recovers what dead participants left, and says what that was.
    ///
    /// Nobody has to call it: whoever finds the buffer full or empty does the same, at most every 10 ms. It is for
    /// supervisors that have seen a process die and want its work handed on now.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)` for each taken entry of the table.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Forked`]: this buffer was opened in the parent. [`ClaimError::ElsewhereInNamespace`]: the
    /// calling thread has gone to another IPC namespace, from where nobody's life can be judged.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let found = buffer.recover()?;
    /// println!("{} dead, {} items delivered again", found.participants, found.redelivered);
    /// # assert!(found.is_nothing());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn recover(&self) -> Result<Recovered, ClaimError> {
        self.core.check_place()?;
        Ok(self.core.recover())
    }

    /// Everybody in the participant table: handles that live, and those of dead processes that nobody has recovered
    /// yet.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)` for each of them.
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
    /// assert_eq!(all[0].pid, std::process::id());
    /// # drop(consumer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn participants(&self) -> Vec<Participant> {
        let core = &self.core;
        let entries = (0..core.geometry.participants as usize).filter_map(|index| {
            table::entry(core.memory, &core.geometry, index).map(|entry| (index, entry))
        });
        entries
            .map(|(index, entry)| Participant {
                index,
                role: entry.role,
                pid: entry.pid,
                // Seconds that no clock of ours could have said are shown as none.
                since: UNIX_EPOCH
                    .checked_add(Duration::from_secs(entry.since))
                    .unwrap_or(UNIX_EPOCH),
                state: entry.claim.liveness(&core.anchor).into(),
            })
            .collect()
    }

    /// What is known about the producers together.
    ///
    /// [`Alive`](PeerState::Alive) if one of them is, [`Dead`](PeerState::Dead) if none is and somebody has to
    /// [recover](Self::recover) what they left, [`Left`](PeerState::Left) if all have gone or were recovered,
    /// [`Never`](PeerState::Never) before the first.
    ///
    /// **C call:** `shmctl(SHM_STAT_ANY)` for each of them until one lives; three for each that is dead.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// # use sysvshm::bounded_buffer::PeerState;
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// assert_eq!(buffer.producer_state(), PeerState::Never);
    /// let (one, two) = (buffer.producer()?, buffer.producer()?);
    /// drop(one);
    /// assert_eq!(buffer.producer_state(), PeerState::Alive);
    /// drop(two);
    /// assert_eq!(buffer.producer_state(), PeerState::Left);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn producer_state(&self) -> PeerState {
        self.core.state(Role::Producer)
    }

    /// What is known about the consumers together; as [`producer_state`](Self::producer_state), which has an
    /// example.
    #[must_use]
    pub fn consumer_state(&self) -> PeerState {
        self.core.state(Role::Consumer)
    }

    /// How many items there are, those being read in place included, at some moment of the past. Looks at every
    /// slot.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, bounded_buffer::mpmc::BoundedBuffer};
    /// let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 3)?;
    /// buffer.segment().mark_for_removal()?;
    /// assert!(buffer.is_empty());
    /// buffer.producer()?.try_push_slice(&[1, 2, 3])?;
    /// assert!(buffer.is_full() && buffer.len() == 3 && buffer.capacity() == 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        count(self.core.memory, &self.core.geometry) as usize
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

    /// How many entries the participant table has: handles that can exist at once, in all processes. See
    /// [`Options`] for an example.
    #[must_use]
    pub fn max_participants(&self) -> usize {
        self.core.geometry.participants as usize
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

    /// The segment, for its identifier, status and removal. Writing to it can only break the buffer, never this
    /// process.
    ///
    /// Marked for removal it stays as long as anybody has it attached, and nobody finds it by its key any more:
    /// right when everybody is there, or when all is done.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentId, bounded_buffer::mpmc::BoundedBuffer};
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
        f.debug_struct("mpmc::BoundedBuffer")
            .field("segment", &self.core.segment.id().as_raw())
            .field("capacity", &self.core.geometry.capacity)
            .field("layout", &self.core.layout)
            .field("max_participants", &self.core.geometry.participants)
            .finish_non_exhaustive()
    }
}
