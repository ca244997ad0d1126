//! [`Options`]: how a ring is created or opened.

use super::{BoundedBuffer, Layout};
use crate::bounded_buffer::OpenError;
use crate::bytemuck::Pod;
use crate::flags::Mode;
use crate::key::Key;
use crate::ring::front::opening::{Items, Ring, Wishes};
use crate::ring::front::options::common_options;
use crate::ring::protocol::mpmc::claim::initialise;
use crate::ring::protocol::mpmc::layout::{Geometry, MAGIC, PARTICIPANTS, TABLE, VERSION};
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::Description;
use crate::ring::shm::memory::{Mapped, Shared};
#[cfg(doc)]
use crate::segment::SegmentOptions;
use crate::segment::{Removal, Segment, SegmentId};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How to create or open a ring, as [`SegmentOptions`] does for a segment.
///
/// `T`, the type of the items, is [`Pod`]: any bytes are one, because any bytes may come. It has a size of 1 byte
/// or more (else it does not compile), and everybody who opens the ring means the same by it: its size and
/// alignment are compared, its members cannot be.
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
///     .any_owner(false)
///     .fences(false)
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
    /// and any layout when opening; and up to 5 seconds of patience. See [`Options`] for an example.
    pub const fn new() -> Self {
        Self {
            wishes: Wishes::new(),
            participants: None,
            start_lap: 0,
        }
    }

    /// How many items fit, 1 or more. Needed by [`create_new`](Self::create_new) and by
    /// [`open_or_create`](Self::open_or_create), even if the ring exists. An existing ring must have exactly this
    /// capacity, if it is set. See [`Options`] for an example.
    ///
    /// At most 2^31.
    pub fn capacity(&mut self, items: usize) -> &mut Self {
        self.wishes.capacity = Some(items as u64);
        self
    }

    /// How many handles can exist at once, in all processes: 1 to 512, 64 unless set. An existing ring must have
    /// exactly this many entries in its table, if it is set.
    ///
    /// Each entry takes 64 bytes, and whoever recovers asks the kernel about each that is taken, about 0.4 µs.
    /// [`BoundedBuffer::producer`] shows what happens when the table is full. Creating with another number than
    /// these is refused with [`OpenError::CapacityOutOfRange`].
    pub fn participants(&mut self, handles: usize) -> &mut Self {
        self.participants = Some(handles as u64);
        self
    }

    common_options!("mpmc");

    /// The lap a ring that is created starts in. For tests of what happens when laps wrap.
    #[doc(hidden)]
    pub fn start_lap(&mut self, lap: u32) -> &mut Self {
        self.start_lap = lap;
        self
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
    ) -> Result<(Layout, Geometry), LayoutFault> {
        // SAFETY: a constant of the layout, below `FRONT`.
        let participants = unsafe { memory.load(PARTICIPANTS, Ordering::Relaxed) };
        let wanted = self.participants.unwrap_or(participants);
        LayoutFault::unless_equal("participant table", participants, wanted)?;
        Geometry::described(found, participants, len)
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
