//! [`Options`]: how a ring is created or opened.

use super::{BoundedBuffer, Layout};
use crate::bounded_buffer::OpenError;
use crate::bytemuck::Pod;
use crate::flags::Mode;
use crate::key::Key;
use crate::ring::front::opening::{Items, Ring, Wishes};
use crate::ring::front::options::common_options;
use crate::ring::protocol::spsc::cursor::initialise;
use crate::ring::protocol::spsc::layout::{Geometry, MAGIC, SLOTS, VERSION};
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::Description;
use crate::ring::shm::memory::Mapped;
#[cfg(doc)]
use crate::segment::SegmentOptions;
use crate::segment::{Removal, Segment, SegmentId};
use std::time::Duration;

/// How to create or open a ring, as [`SegmentOptions`] does for a segment.
///
/// `T`, the type of the items, is [`Pod`]: any bytes are one, because any bytes may come. It has a size of 1 byte
/// or more (else it does not compile), and everybody who opens the ring means the same by it: its size and
/// alignment are compared, its members cannot be.
///
/// ```
/// use sysvshm::bounded_buffer::spsc::{Layout, Options};
/// use sysvshm::{Key, Removal};
///
/// let key = Key::random()?;
/// let ours = Options::new()
///     .capacity(4096)
///     .layout(Layout::Contiguous)
///     .mode(0o660)
///     .removal(Removal::OnDrop)
///     .any_owner(false)
///     .fences(false)
///     .create_new::<u8>(key)?;
/// let theirs = Options::new().open::<u8>(key)?;
/// assert_eq!((theirs.capacity(), theirs.layout()), (4096, Layout::Contiguous));
/// assert_eq!(theirs.generation(), ours.generation());
/// assert!(Options::new().open::<u64>(key).is_err()); // another item size
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Options {
    wishes: Wishes,
    start: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// No capacity, mode 0600, never removed, [`Layout::Interleaved`] when creating and any layout when opening,
    /// and up to 5 seconds of patience. See [`Options`] for an example.
    pub const fn new() -> Self {
        Self {
            wishes: Wishes::new(),
            start: 0,
        }
    }

    /// How many items fit, 1 or more. Needed by [`create_new`](Self::create_new) and by
    /// [`open_or_create`](Self::open_or_create), even if the ring exists. An existing ring must have exactly this
    /// capacity, if it is set. See [`Options`] for an example.
    ///
    /// A power of two makes finding a slot cheaper in a few places off the fast path; nothing else depends on it.
    pub fn capacity(&mut self, items: usize) -> &mut Self {
        self.wishes.capacity = Some(items as u64);
        self
    }

    common_options!("spsc");

    /// The position a ring that is created starts at. For tests of what happens after 2^64 items.
    #[doc(hidden)]
    pub fn start_position(&mut self, start: u64) -> &mut Self {
        self.start = start;
        self
    }
}

impl Ring for Options {
    const MAGIC: u64 = MAGIC;
    const VERSION: u32 = VERSION;
    const FRONT: usize = SLOTS;
    type Geometry = Geometry;

    fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    fn geometry(&self, layout: Layout, items: Items) -> Option<Geometry> {
        Geometry::new(layout, items.capacity, items.size, items.align)
    }

    fn find(
        &self,
        _: Mapped,
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Geometry), LayoutFault> {
        Geometry::described(found, len)
    }

    fn total_bytes(geometry: &Geometry) -> usize {
        geometry.total_bytes
    }

    fn start(&self) -> u64 {
        self.start
    }

    fn initialise(&self, memory: Mapped, geometry: &Geometry) {
        initialise(memory, geometry, self.start);
    }
}
