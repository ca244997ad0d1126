//! [`Options`]: how a ring is created or opened.

use super::layout::{Geometry, MAGIC, PARTICIPANTS, TABLE, VERSION};
use super::protocol::initialise;
use super::{BoundedBuffer, Layout};
use crate::bounded_buffer::OpenError;
use crate::bounded_buffer::header::Description;
use crate::bounded_buffer::opening::{Items, Ring, Wishes, mismatch};
use crate::bounded_buffer::seam::{Mapped, Shared};
use crate::bytemuck::Pod;
use crate::flags::Mode;
use crate::key::Key;
#[cfg(doc)]
use crate::segment::SegmentOptions;
use crate::segment::{Removal, Segment, SegmentId};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How to create or open a ring, as [`SegmentOptions`] does for a segment.
///
/// ```
/// use sysvshm::bounded_buffer::mpmc::{Layout, Options};
/// use sysvshm::{Key, Removal};
///
/// let key = Key::random()?;
/// let ours = Options::new()
///     .capacity(4096)
///     .layout(Layout::Contiguous)
///     .participants(8)
///     .mode(0o660)
///     .removal(Removal::OnDrop)
///     .create_new::<u64>(key)?;
/// let theirs = Options::new().open::<u64>(key)?;
/// assert_eq!((theirs.capacity(), theirs.max_participants()), (4096, 8));
/// assert_eq!(theirs.layout(), Layout::Contiguous);
/// assert_eq!(theirs.generation(), ours.generation());
/// assert!(Options::new().open::<u32>(key).is_err()); // another item size
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    wishes: Wishes,
    participants: Option<u64>,
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
    /// No capacity, mode 0600, never removed; 64 participants and [`Layout::Interleaved`] when creating, any number
    /// and any layout when opening; and up to 5 seconds of patience.
    pub const fn new() -> Self {
        Self {
            wishes: Wishes::new(),
            participants: None,
            start_lap: 0,
        }
    }

    /// How many items fit, 1 or more; needed for creating. An existing ring must have exactly this capacity, if it
    /// is set.
    pub fn capacity(&mut self, items: usize) -> &mut Self {
        self.wishes.capacity = Some(items as u64);
        self
    }

    /// How the slots are laid out. An existing ring must have this layout, if it is set.
    pub fn layout(&mut self, layout: Layout) -> &mut Self {
        self.wishes.layout = Some(layout);
        self
    }

    /// How many handles can exist at once, in all processes: 1 to 512, 64 unless set. An existing ring must have
    /// exactly this many entries in its table, if it is set.
    ///
    /// Each entry takes 64 bytes, and whoever recovers asks the kernel about each that is taken, about 0.4 µs.
    pub fn participants(&mut self, handles: usize) -> &mut Self {
        self.participants = Some(handles as u64);
        self
    }

    /// Who may use a ring that is created; 0600 unless set. Both sides need to read and to write.
    pub fn mode(&mut self, mode: impl Into<Mode>) -> &mut Self {
        self.wishes.segment.mode(mode);
        self
    }

    /// What becomes of the segment of a ring that is created; see [`SegmentOptions::removal`].
    pub fn removal(&mut self, removal: Removal) -> &mut Self {
        self.wishes.segment.removal(removal);
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) accepts a ring that another user created; see
    /// [`SegmentOptions::any_owner`].
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.wishes.segment.any_owner(any_owner);
        self
    }

    /// How long to wait for another process that has created the segment and not finished initialising it; 5
    /// seconds unless set.
    ///
    /// One that died meanwhile is not waited for: whoever has been given a capacity takes over.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        self.wishes.patience = patience;
        self
    }

    /// Whether to do without membarrier(2) even where it exists, by a full fence at every publish. For tests, and
    /// for seccomp filters that kill a process for the call.
    #[doc(alias = "membarrier")]
    pub fn fences(&mut self, fences: bool) -> &mut Self {
        self.wishes.fences = fences;
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
    /// [`OpenError::CapacityOutOfRange`]: 0 or unset, or too much; or a participant table that cannot be.
    /// [`OpenError::System`]: those of [`SegmentOptions::create_new`].
    pub fn create_new<T: Pod>(&self, key: Key) -> Result<BoundedBuffer<T>, OpenError> {
        Ring::create_new::<T>(self, key).map(BoundedBuffer::from_core)
    }

    /// Opens the ring that has this key.
    ///
    /// **C calls:** those of [`SegmentOptions::open`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// [`OpenError::LayoutMismatch`]: it holds something else. [`OpenError::NotInitialised`].
    /// [`OpenError::System`]: those of [`SegmentOptions::open`].
    pub fn open<T: Pod>(&self, key: Key) -> Result<BoundedBuffer<T>, OpenError> {
        Ring::open::<T>(self, key).map(BoundedBuffer::from_core)
    }

    /// Opens a ring by the identifier of its segment.
    ///
    /// **C calls:** those of [`SegmentOptions::attach`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), with those of [`SegmentOptions::attach`].
    pub fn attach<T: Pod>(&self, id: SegmentId) -> Result<BoundedBuffer<T>, OpenError> {
        Ring::attach::<T>(self, id).map(BoundedBuffer::from_core)
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
        Ring::open_or_create::<T>(self, key).map(BoundedBuffer::from_core)
    }

    /// Takes a segment that is attached already, and opens the ring in it; with a [capacity](Self::capacity) it
    /// initialises an untouched one.
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
        Ring::in_segment::<T>(self, segment).map(BoundedBuffer::from_core)
    }
}

impl Ring for Options {
    const MAGIC: u64 = MAGIC;
    const VERSION: u32 = VERSION;
    const FRONT: usize = TABLE;
    type Geometry = Geometry;

    fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    fn geometry(&self, layout: Layout, items: Items) -> Option<Geometry> {
        let participants = self.participants.unwrap_or(PARTICIPANTS_UNLESS_SET);
        Geometry::new(
            layout,
            items.capacity,
            participants,
            items.size,
            items.align,
        )
    }

    #[allow(unsafe_code, reason = "reads a word at a constant offset")]
    fn find(
        &self,
        memory: Mapped,
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Geometry), OpenError> {
        // SAFETY: a constant of the layout, below `FRONT`.
        let participants = unsafe { memory.load(PARTICIPANTS, Ordering::Relaxed) };
        match self.participants {
            Some(wanted) if wanted != participants => {
                Err(mismatch("participant table", participants, wanted))
            }
            _ => Geometry::described(found, participants, len),
        }
    }

    fn total_bytes(geometry: &Geometry) -> usize {
        geometry.total_bytes
    }

    fn start(&self) -> u64 {
        0
    }

    fn initialise(&self, memory: Mapped, geometry: &Geometry) {
        initialise(memory, geometry, self.start_lap);
    }
}
