//! Looking at a ring from outside: what it holds, how fast it goes, who takes part and who of them is dead.
//!
//! For operators, supervisors and tests. An [`Inspector`] attaches the segment read-only: it takes no role, writes
//! nothing, makes no [token](crate::bounded_buffer#liveness) and needs not know the type of the items. It recognises [`spsc`](crate::bounded_buffer::spsc) and
//! [`mpmc`](crate::bounded_buffer::mpmc) rings, also half made ones, and those whose participants are all dead. (The
//! [`lecture`](crate::bounded_buffer::lecture)'s buffer has no header and looks like any other bytes.)
//!
//! ```
//! use sysvshm::Key;
//! use sysvshm::inspect::{Inspector, Kind, Role, Sight};
//! use sysvshm::bounded_buffer::{PeerState, spsc::BoundedBuffer};
//!
//! let key = Key::random()?;
//! let buffer = BoundedBuffer::<u64>::create_new(key, 100)?;
//! let mut producer = buffer.producer()?;
//! producer.push(42)?;
//!
//! // In any other process, which knows nothing but the key:
//! let inspector = Inspector::open(key)?;
//! let Sight::Ready(ring) = inspector.look()? else { panic!("it is ready") };
//! assert_eq!((ring.kind, ring.item_size_bytes), (Kind::Spsc, 8));
//! assert_eq!((ring.len, ring.capacity, ring.pushed, ring.popped), (1, 100, 1, 0));
//! let producer = ring.participants.iter().find(|one| one.role == Some(Role::Producer)).unwrap();
//! assert_eq!((producer.state, producer.pid), (PeerState::Alive, Some(std::process::id())));
//! # buffer.segment().mark_for_removal()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What this does not protect you from
//!
//! * It is no snapshot. The words are read one after the other while others go on; each number was right at some
//!   moment during the look, and no two at the same.
//! * A look reads the word of every slot. Readers do not stop anybody, but each takes a cache line from the
//!   processor that writes it: once a second nobody notices, in a loop everybody does.
//! * An attach is an attach: a segment that is marked for removal stays as long as the inspector has it, and `ipcs`
//!   counts it.
//! * What a hostile peer wrote is shown as far as it makes sense. Geometry is checked against the size that the
//!   kernel knows, and no look accesses anything else, panics or takes longer than reading all of the segment.

pub use crate::ring::front::participant::Participant;
pub use crate::ring::protocol::role::Role;
pub use crate::ring::shm::slots::Layout;

#[cfg(all(test, target_os = "linux", not(loom)))]
mod nonsense;

use crate::key::Key;
use crate::liveness::{NamespaceAnchor, OwnerId};
use crate::ring::front::error::OpenError;
use crate::ring::protocol::RawProtocol;
use crate::ring::protocol::mpmc::Mpmc;
use crate::ring::protocol::snapshot::{Presence, TableEntry};
use crate::ring::protocol::spsc::Spsc;
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::{self, Description, READY, STATE};
use crate::ring::shm::words::Words;
use crate::segment::{ReadOnly, Segment, SegmentId, SegmentOptions};

/// A segment attached read-only, to look at the ring in it as often as need be. See the [module](self).
#[derive(Debug)]
pub struct Inspector {
    segment: Segment<ReadOnly>,
    anchor: NamespaceAnchor,
}

/// Which of the two rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`spsc`](crate::bounded_buffer::spsc): one producer, one consumer.
    Spsc,
    /// [`mpmc`](crate::bounded_buffer::mpmc): many of each.
    Mpmc,
}

/// What a look found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sight {
    /// Zeros where a header would be: a ring that nobody has begun to initialise, or anything else that is
    /// untouched.
    Untouched,
    /// Somebody is filling the header, or died over it. Whoever opens the ring with a capacity takes over from the
    /// dead.
    Initialising {
        /// Which ring it becomes, if that is written already.
        kind: Option<Kind>,
        /// Who began.
        by: Participant,
    },
    /// A ring that can be used.
    Ready(Ring),
}

/// A ring, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ring {
    /// Which of the two.
    pub kind: Kind,
    /// The version of its layout.
    pub version: u32,
    /// How its slots are laid out.
    pub layout: Layout,
    /// The size of an item, in bytes.
    pub item_size_bytes: usize,
    /// The alignment of an item, in bytes.
    pub item_align_bytes: usize,
    /// How many items fit.
    pub capacity: usize,
    /// The random number of its initialisation: another one means that it was removed and made anew.
    pub generation: u64,
    /// Bytes that it takes of the segment, header included.
    pub total_bytes: usize,
    /// How many items there were; those being read in place count.
    pub len: usize,
    /// Items pushed since it was made. `mpmc`: slots that a push gave up count as pushed and popped, and the count
    /// begins anew after 2³⁰ laps.
    pub pushed: u64,
    /// Items popped since it was made; as `pushed`.
    pub popped: u64,
    /// How many can take part at once.
    pub max_participants: usize,
    /// `spsc`: the producer, then the consumer, present or not. `mpmc`: who is in the participant table.
    pub participants: Vec<Participant>,
    /// Whether some word held what no participant writes. The other numbers are then what can be made of it.
    pub is_corrupted: bool,
    wraps_at: Option<u64>,
}

/// What happened between two looks. Made by [`Ring::progress_since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Items pushed.
    pub pushed: u64,
    /// Items popped.
    pub popped: u64,
}

impl Inspector {
    /// Attaches the segment that has this key.
    ///
    /// **C calls:** `shmget(key, 0, 0)`, `shmat(SHM_RDONLY)`, `shmctl(SHM_STAT_ANY)`.
    ///
    /// # Errors
    ///
    /// [`OpenError::System`]: those of [`SegmentOptions::open_read_only`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, bounded_buffer::OpenError, inspect::Inspector};
    ///
    /// match Inspector::open(Key::random()?) {
    ///     Err(OpenError::System(error)) => assert_eq!(error.kind(), ErrorKind::NotFound),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn open(key: Key) -> Result<Self, OpenError> {
        Self::of_attached(SegmentOptions::new().open_read_only(key)?)
    }

    /// Attaches the segment with this identifier.
    ///
    /// **C calls:** `shmat(SHM_RDONLY)`, `shmctl(SHM_STAT_ANY)`.
    ///
    /// # Errors
    ///
    /// [`OpenError::System`]: those of [`SegmentId::attach_read_only`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, inspect::Inspector, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let inspector = Inspector::attach(buffer.segment().id())?; // a ring without a key has an identifier still
    /// # inspector.look()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach(id: SegmentId) -> Result<Self, OpenError> {
        Self::of_attached(id.attach_read_only()?)
    }

    /// Takes a segment that is attached already.
    ///
    /// **C calls:** `shmctl(SHM_STAT_ANY)`; `shmat(SHM_RDONLY)`, `shmctl(IPC_STAT)` and `shmdt`, to see that the
    /// identifier names this segment here.
    ///
    /// # Errors
    ///
    /// [`OpenError::System`]: the calling thread has gone to another IPC namespace, in which no segment has the
    /// identifier. [`OpenError::WrongNamespace`]: another one has it there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, inspect::Inspector, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// let segment = buffer.segment().id().attach_read_only()?;
    /// let inspector = Inspector::in_segment(segment)?;
    /// assert_eq!(inspector.segment().id(), buffer.segment().id());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_segment(segment: Segment<ReadOnly>) -> Result<Self, OpenError> {
        let inspector = Self::of_attached(segment)?;
        if inspector.segment.len_bytes() < header::SIZE {
            return Ok(inspector);
        }
        let generation = || Words::of(&inspector.segment).load(header::GENERATION);
        let named = inspector.anchor.named()?;
        // Again if it is being initialised.
        for _ in 0..10 {
            if named.holds(header::GENERATION, generation()) {
                return Ok(inspector);
            }
        }
        Err(OpenError::WrongNamespace)
    }

    /// The calling thread has just attached it.
    fn of_attached(segment: Segment<ReadOnly>) -> Result<Self, OpenError> {
        let anchor = NamespaceAnchor::of(&segment)?;
        Ok(Self { segment, anchor })
    }

    /// The segment, for its identifier and status.
    pub fn segment(&self) -> &Segment<ReadOnly> {
        &self.segment
    }

    /// Looks at the ring.
    ///
    /// **C calls:** `shmctl(SHM_STAT_ANY)`, up to four for each participant.
    ///
    /// # Errors
    ///
    /// [`OpenError::LayoutMismatch`]: something else than a ring, or than a ring that this version knows; `what`
    /// says by what that was seen. A `magic` expected is that of an `spsc` ring, although an `mpmc` ring would do
    /// as well. [`OpenError::CapacityOutOfRange`]: the header names a capacity that cannot be.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::inspect::{Inspector, Sight};
    /// use sysvshm::bounded_buffer::{OpenError, mpmc::Options};
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(1 << 16).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let inspector = Inspector::attach(segment.id())?;
    /// assert_eq!(inspector.look()?, Sight::Untouched);
    ///
    /// segment.write_at(0, b"something else")?;
    /// assert!(matches!(inspector.look(), Err(OpenError::LayoutMismatch { what: "magic", .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn look(&self) -> Result<Sight, OpenError> {
        let len = self.segment.len_bytes();
        is_long_enough(len, header::SIZE)?;
        let words = Words::of(&self.segment);
        // Acquire, in all loads: whoever sees READY sees the fields.
        let state = words.load(STATE);
        let magic = words.load(header::MAGIC);
        let kind = Kind::of_magic(magic);
        let not_a_ring = || LayoutFault::mismatch("magic", magic, Spsc::MAGIC);
        if kind.is_none() && magic != 0 {
            return Err(not_a_ring().into());
        }
        match OwnerId::from_word(state) {
            None => Ok(Sight::Untouched),
            Some(_) if state == READY => {
                let ring = match kind.ok_or_else(not_a_ring)? {
                    kind @ Kind::Spsc => self.ring::<Spsc>(kind, words, len),
                    kind @ Kind::Mpmc => self.ring::<Mpmc>(kind, words, len),
                };
                Ok(Sight::Ready(ring?))
            }
            Some(owner) if owner.is_plausible() => {
                let entry = TableEntry {
                    role: None,
                    presence: Presence::Claimed(owner),
                    pid: None,
                    since: None,
                    is_asleep: None,
                };
                let by = Participant::of(&entry, &self.anchor);
                Ok(Sight::Initialising { kind, by })
            }
            // Bytes that begin with zeros.
            Some(_) => Err(LayoutFault::mismatch("state", state, READY).into()),
        }
    }

    fn ring<P: RawProtocol>(
        &self,
        kind: Kind,
        words: Words<'_>,
        len: usize,
    ) -> Result<Ring, LayoutFault> {
        is_long_enough(len, P::FRONT)?;
        let found = Description::from_words(|at| words.load(at));
        let seen = P::snapshot(words, &found, len)?;
        let participants = seen.participants.iter();
        Ok(Ring {
            kind,
            version: found.version,
            layout: seen.layout,
            item_size_bytes: found.item_size as usize,
            item_align_bytes: found.item_align as usize,
            capacity: seen.capacity,
            generation: found.generation,
            // Compared with the size of the segment.
            total_bytes: found.total_bytes as usize,
            len: seen.len,
            pushed: seen.pushed,
            popped: seen.popped,
            max_participants: seen.max_participants,
            participants: participants
                .map(|entry| Participant::of(entry, &self.anchor))
                .collect(),
            is_corrupted: seen.is_corrupted,
            wraps_at: seen.wraps_at,
        })
    }
}

fn is_long_enough(len: usize, least: usize) -> Result<(), LayoutFault> {
    LayoutFault::unless(len >= least, "segment size", len as u64, least as u64)
}

impl Kind {
    fn of_magic(magic: u64) -> Option<Self> {
        match magic {
            Spsc::MAGIC => Some(Self::Spsc),
            Mpmc::MAGIC => Some(Self::Mpmc),
            _ => None,
        }
    }

    /// Its name: that of its module.
    ///
    /// ```
    /// assert_eq!(sysvshm::inspect::Kind::Mpmc.name(), "mpmc");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spsc => Spsc::NAME,
            Self::Mpmc => Mpmc::NAME,
        }
    }
}

impl Ring {
    /// What has happened since an earlier look at the same ring; `None` if that was at another one.
    ///
    /// # Examples
    ///
    /// ```
    /// # use sysvshm::{Key, inspect::{Inspector, Sight}, bounded_buffer::mpmc::BoundedBuffer};
    /// # let buffer = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4)?;
    /// # buffer.segment().mark_for_removal()?;
    /// # let inspector = Inspector::attach(buffer.segment().id())?;
    /// let Sight::Ready(earlier) = inspector.look()? else { panic!() };
    /// buffer.producer()?.try_push_slice(&[1, 2, 3])?;
    /// buffer.consumer()?.pop()?;
    /// let Sight::Ready(later) = inspector.look()? else { panic!() };
    /// let progress = later.progress_since(&earlier).unwrap();
    /// assert_eq!((progress.pushed, progress.popped), (3, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn progress_since(&self, earlier: &Self) -> Option<Progress> {
        let identity = |ring: &Self| (ring.kind, ring.generation, ring.capacity);
        let between = |from: u64, to: u64| match self.wraps_at {
            // Both are below it, and it is below 2^61.
            Some(wraps_at) => (to + wraps_at - from) % wraps_at,
            None => to.wrapping_sub(from),
        };
        (identity(self) == identity(earlier)).then(|| Progress {
            pushed: between(earlier.pushed, self.pushed),
            popped: between(earlier.popped, self.popped),
        })
    }
}
