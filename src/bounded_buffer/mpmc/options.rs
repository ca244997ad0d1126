//! [`Options`]: how a ring is created or opened.

use super::BoundedBuffer;
use super::buffer::Core;
use super::layout::{Geometry, MAGIC, PARTICIPANTS, TABLE, VERSION};
use super::protocol::initialise;
use crate::bounded_buffer::OpenError;
use crate::bounded_buffer::header::{self, Description, Fresh};
use crate::bounded_buffer::participant::{Place, Token};
use crate::bounded_buffer::seam::{Mapped, Shared};
use crate::bytemuck::Pod;
use crate::error::{Call, Error, ErrorKind};
use crate::flags::Mode;
use crate::fork::Here;
use crate::key::Key;
use crate::segment::{Removal, Segment, SegmentId, SegmentOptions};
use crate::sys::process;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How to create or open a ring, as [`SegmentOptions`] does for a segment.
///
/// ```
/// use sysvshm::bounded_buffer::mpmc::Options;
/// use sysvshm::{Key, Removal};
///
/// let key = Key::random()?;
/// let ours = Options::new()
///     .capacity(4096)
///     .participants(8)
///     .mode(0o660)
///     .removal(Removal::OnDrop)
///     .create_new::<u64>(key)?;
/// let theirs = Options::new().open::<u64>(key)?;
/// assert_eq!((theirs.capacity(), theirs.max_participants()), (4096, 8));
/// assert_eq!(theirs.generation(), ours.generation());
/// assert!(Options::new().open::<u32>(key).is_err()); // another item size
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    capacity: Option<u64>,
    participants: Option<u64>,
    segment: SegmentOptions,
    patience: Duration,
    fences: bool,
    start_lap: u32,
}

/// Entries of the table.
const PARTICIPANTS_UNLESS_SET: u64 = 64;

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// No capacity, mode 0600, never removed, 64 participants when creating and any number when opening, and up to 5 seconds of patience.
    pub const fn new() -> Self {
        Self {
            capacity: None,
            participants: None,
            segment: SegmentOptions::new(),
            patience: Duration::from_secs(5),
            fences: false,
            start_lap: 0,
        }
    }

    /// How many items fit, 1 or more; needed for creating. An existing ring must have exactly this capacity, if it is set.
    pub fn capacity(&mut self, items: usize) -> &mut Self {
        self.capacity = Some(items as u64);
        self
    }

    /// How many handles can exist at once, in all processes: 1 to 512, 64 unless set. An existing ring must have exactly this many entries in its
    /// table, if it is set.
    ///
    /// Each entry takes 64 bytes, and whoever recovers asks the kernel about each that is taken, about 0.4 µs.
    pub fn participants(&mut self, handles: usize) -> &mut Self {
        self.participants = Some(handles as u64);
        self
    }

    /// Who may use a ring that is created; 0600 unless set. Both sides need to read and to write.
    pub fn mode(&mut self, mode: impl Into<Mode>) -> &mut Self {
        self.segment.mode(mode);
        self
    }

    /// What becomes of the segment of a ring that is created; see [`SegmentOptions::removal`].
    pub fn removal(&mut self, removal: Removal) -> &mut Self {
        self.segment.removal(removal);
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) accepts a ring that another user created; see [`SegmentOptions::any_owner`].
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.segment.any_owner(any_owner);
        self
    }

    /// How long to wait for another process that has created the segment and not finished initialising it; 5 seconds unless set.
    ///
    /// One that died meanwhile is not waited for: whoever has been given a capacity takes over.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        self.patience = patience;
        self
    }

    /// Whether to do without membarrier(2) even where it exists, by a full fence at every publish. For tests, and for seccomp
    /// filters that kill a process for the call.
    #[doc(alias = "membarrier")]
    pub fn fences(&mut self, fences: bool) -> &mut Self {
        self.fences = fences;
        self
    }

    /// The lap a ring that is created starts in. For tests of what happens when laps wrap.
    #[doc(hidden)]
    pub fn start_lap(&mut self, lap: u32) -> &mut Self {
        self.start_lap = lap;
        self
    }

    /// Creates a ring under a key that no segment has. With [`Key::PRIVATE`] others find it by the identifier.
    ///
    /// **C calls:** those of [`SegmentOptions::create_new`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// [`OpenError::CapacityOutOfRange`]: 0 or unset, or too much; or a participant table that cannot be. [`OpenError::System`]: those of [`SegmentOptions::create_new`].
    pub fn create_new<T: Pod>(&self, key: Key) -> Result<BoundedBuffer<T>, OpenError> {
        let geometry = self.geometry::<T>()?;
        let mut options = self.segment.clone();
        let segment = options.size_bytes(geometry.total_bytes).create_new(key)?;
        self.attach_to(segment, Some(geometry))
    }

    /// Opens the ring that has this key.
    ///
    /// **C calls:** those of [`SegmentOptions::open`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// [`OpenError::LayoutMismatch`]: it holds something else. [`OpenError::NotInitialised`]. [`OpenError::System`]: those of
    /// [`SegmentOptions::open`].
    pub fn open<T: Pod>(&self, key: Key) -> Result<BoundedBuffer<T>, OpenError> {
        let segment = self.finder().open(key)?;
        self.attach_to(segment, None)
    }

    /// Opens a ring by the identifier of its segment.
    ///
    /// **C calls:** those of [`SegmentOptions::attach`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), with those of [`SegmentOptions::attach`].
    pub fn attach<T: Pod>(&self, id: SegmentId) -> Result<BoundedBuffer<T>, OpenError> {
        let segment = self.finder().attach(id)?;
        self.attach_to(segment, None)
    }

    /// Opens the ring that has this key, or creates it. Any number of processes may do so at once.
    ///
    /// One that was killed between creating the segment and finishing the ring is taken over in place.
    ///
    /// **C calls:** those of [`SegmentOptions::open_or_create`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and of [`create_new`](Self::create_new) except that the key may exist or not.
    pub fn open_or_create<T: Pod>(&self, key: Key) -> Result<BoundedBuffer<T>, OpenError> {
        let geometry = self.geometry::<T>()?;
        let mut options = self.segment.clone();
        match options.size_bytes(geometry.total_bytes).open_or_create(key) {
            Ok(segment) => self.attach_to(segment, Some(geometry)),
            // Too small for this ring: its own header can say better what differs.
            Err(error) if error.kind() == ErrorKind::LargerThanSegment => self.open(key),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a segment that is attached already, and opens the ring in it; with a [capacity](Self::capacity) it initialises an untouched one.
    ///
    /// For everything that [`SegmentOptions`] can do and these cannot, such as huge pages or an address.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), without those of finding and attaching.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::bounded_buffer::mpmc::Options;
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(1 << 16).prefault(true).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let buffer = Options::new().capacity(1000).in_segment::<u64>(segment)?;
    /// buffer.producer()?.push(1)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_segment<T: Pod>(&self, segment: Segment) -> Result<BoundedBuffer<T>, OpenError> {
        let geometry = match self.capacity {
            Some(_) => Some(self.geometry::<T>()?),
            None => None,
        };
        self.attach_to(segment, geometry)
    }

    /// The options for finding: no size, and no mode, which would be asked of the segment.
    fn finder(&self) -> SegmentOptions {
        SegmentOptions::new()
    }

    fn geometry<T: Pod>(&self) -> Result<Geometry, OpenError> {
        const { assert!(size_of::<T>() != 0, "items of no size need no buffer") };
        let capacity = self.capacity.unwrap_or(0);
        let participants = self.participants.unwrap_or(PARTICIPANTS_UNLESS_SET);
        Geometry::new(capacity, participants, size_of::<T>(), align_of::<T>())
            .filter(|_| u32::try_from(size_of::<T>()).is_ok())
            .ok_or(OpenError::CapacityOutOfRange { capacity })
    }

    /// Brings an attached segment to a ring. With a geometry this process may initialise it.
    #[allow(
        unsafe_code,
        reason = "constant offsets, in a segment whose length is checked first"
    )]
    fn attach_to<T: Pod>(
        &self,
        segment: Segment,
        geometry: Option<Geometry>,
    ) -> Result<BoundedBuffer<T>, OpenError> {
        const { assert!(size_of::<T>() != 0, "items of no size need no buffer") };
        let len = segment.len_bytes();
        let mismatch = |what, found, expected| OpenError::LayoutMismatch {
            what,
            found,
            expected,
        };
        if len < TABLE {
            return Err(mismatch("segment size", len as u64, TABLE as u64));
        }
        let place = Place::of(&segment)?;
        let here = Here::new().map_err(|errno| Error::from_call(Call::Random, errno))?;
        let token = Token::current()?;
        // SAFETY: the segment is attached read-write and kept by the core, beside the copy of this value; every offset used with it
        // is a constant below `TABLE` or comes from a geometry that is compared with the length first.
        let memory = unsafe { Mapped::new(segment.base()) };

        let generation =
            process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
        let lap = self.start_lap;
        let fill;
        let fresh = match geometry {
            Some(geometry) if geometry.total_bytes <= len => {
                fill = move |memory| initialise(memory, &geometry, lap);
                Fresh::Initialise(Self::description::<T>(&geometry, generation), &fill)
            }
            _ => Fresh::Wait,
        };
        let found = header::settle(memory, MAGIC, token.claim(), &place, &fresh, self.patience)?;

        // SAFETY: a constant of the layout.
        let participants = unsafe { memory.load(PARTICIPANTS, Ordering::Relaxed) };
        let same = [
            ("magic", found.magic, MAGIC),
            ("version", found.version.into(), VERSION.into()),
            ("item size", found.item_size.into(), size_of::<T>() as u64),
            (
                "item alignment",
                found.item_align.into(),
                align_of::<T>() as u64,
            ),
            (
                "capacity",
                found.capacity,
                self.capacity.unwrap_or(found.capacity),
            ),
            (
                "participant table",
                participants,
                self.participants.unwrap_or(participants),
            ),
        ];
        for (what, found, expected) in same {
            if found != expected {
                return Err(mismatch(what, found, expected));
            }
        }
        // From here on the numbers are this process's own.
        let geometry = Geometry::new(
            found.capacity,
            participants,
            size_of::<T>(),
            align_of::<T>(),
        )
        .ok_or(OpenError::CapacityOutOfRange {
            capacity: found.capacity,
        })?;
        if geometry.total_bytes > len || found.total_bytes != geometry.total_bytes as u64 {
            return Err(mismatch(
                "segment size",
                len as u64,
                geometry.total_bytes as u64,
            ));
        }
        Ok(BoundedBuffer::from_core(Core {
            segment,
            memory,
            geometry,
            generation: found.generation,
            place,
            here,
            fences: self.fences,
        }))
    }

    fn description<T>(geometry: &Geometry, generation: u64) -> Description {
        Description {
            magic: MAGIC,
            version: VERSION,
            variant: 0,
            // `geometry` refused larger items and alignments.
            item_size: size_of::<T>() as u32,
            item_align: align_of::<T>() as u32,
            capacity: geometry.capacity.into(),
            generation,
            start: 0,
            total_bytes: geometry.total_bytes as u64,
        }
    }
}
