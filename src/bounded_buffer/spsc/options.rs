//! [`Options`]: how a ring is created or opened.

use super::BoundedBuffer;
use super::buffer::Core;
use super::layout::{Geometry, Layout, MAGIC, SLOTS, VERSION};
use super::protocol::initialise;
use crate::bounded_buffer::OpenError;
use crate::bounded_buffer::header::{self, Description, Fresh};
use crate::bounded_buffer::participant::{Place, Token};
use crate::bounded_buffer::seam::Mapped;
use crate::bytemuck::Pod;
use crate::error::{Call, Error, ErrorKind};
use crate::flags::Mode;
use crate::fork::Here;
use crate::key::Key;
use crate::segment::{Removal, Segment, SegmentId, SegmentOptions};
use crate::sys::process;
use std::time::Duration;

/// How to create or open a ring, as [`SegmentOptions`] does for a segment.
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
    capacity: Option<u64>,
    layout: Option<Layout>,
    segment: SegmentOptions,
    patience: Duration,
    fences: bool,
    start: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// No capacity, mode 0600, never removed, [`Layout::Interleaved`] when creating and any layout when opening,
    /// and up to 5 seconds of patience.
    pub const fn new() -> Self {
        Self {
            capacity: None,
            layout: None,
            segment: SegmentOptions::new(),
            patience: Duration::from_secs(5),
            fences: false,
            start: 0,
        }
    }

    /// How many items fit, 1 or more; needed for creating. An existing ring must have exactly this capacity, if it
    /// is set.
    ///
    /// A power of two makes finding a slot cheaper in a few places off the fast path; nothing else depends on it.
    pub fn capacity(&mut self, items: usize) -> &mut Self {
        self.capacity = Some(items as u64);
        self
    }

    /// How the slots are laid out. An existing ring must have this layout, if it is set.
    pub fn layout(&mut self, layout: Layout) -> &mut Self {
        self.layout = Some(layout);
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

    /// Whether [`open_or_create`](Self::open_or_create) accepts a ring that another user created; see
    /// [`SegmentOptions::any_owner`].
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.segment.any_owner(any_owner);
        self
    }

    /// How long to wait for another process that has created the segment and not finished initialising it; 5
    /// seconds unless set.
    ///
    /// One that died meanwhile is not waited for: whoever has been given a capacity takes over.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        self.patience = patience;
        self
    }

    /// Whether to do without membarrier(2) even where it exists, by a full fence at every publish. For tests, and
    /// for seccomp filters that kill a process for the call.
    #[doc(alias = "membarrier")]
    pub fn fences(&mut self, fences: bool) -> &mut Self {
        self.fences = fences;
        self
    }

    /// The position a ring that is created starts at. For tests of what happens after 2^64 items.
    #[doc(hidden)]
    pub fn start_position(&mut self, start: u64) -> &mut Self {
        self.start = start;
        self
    }

    /// Creates a ring under a key that no segment has. With [`Key::PRIVATE`] others find it by the identifier.
    ///
    /// **C calls:** those of [`SegmentOptions::create_new`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// [`OpenError::CapacityOutOfRange`]: 0 or unset, or too much. [`OpenError::System`]: those of
    /// [`SegmentOptions::create_new`].
    pub fn create_new<T: Pod>(&self, key: Key) -> Result<BoundedBuffer<T>, OpenError> {
        let geometry = self.geometry::<T>(self.layout.unwrap_or_default())?;
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
    /// [`OpenError::LayoutMismatch`]: it holds something else. [`OpenError::NotInitialised`].
    /// [`OpenError::System`]: those of [`SegmentOptions::open`].
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
        let geometry = self.geometry::<T>(self.layout.unwrap_or_default())?;
        let mut options = self.segment.clone();
        match options.size_bytes(geometry.total_bytes).open_or_create(key) {
            Ok(segment) => self.attach_to(segment, Some(geometry)),
            // Too small for this ring: its own header can say better what differs.
            Err(error) if error.kind() == ErrorKind::LargerThanSegment => self.open(key),
            Err(error) => Err(error.into()),
        }
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
    /// use sysvshm::bounded_buffer::spsc::Options;
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
            Some(_) => Some(self.geometry::<T>(self.layout.unwrap_or_default())?),
            None => None,
        };
        self.attach_to(segment, geometry)
    }

    /// The options for finding: no size, and no mode, which would be asked of the segment.
    fn finder(&self) -> SegmentOptions {
        SegmentOptions::new()
    }

    fn geometry<T: Pod>(&self, layout: Layout) -> Result<Geometry, OpenError> {
        const { assert!(size_of::<T>() != 0, "items of no size need no buffer") };
        let capacity = self.capacity.unwrap_or(0);
        Geometry::new(layout, capacity, size_of::<T>(), align_of::<T>())
            .filter(|_| u32::try_from(size_of::<T>()).is_ok())
            .ok_or(OpenError::CapacityOutOfRange { capacity })
    }

    /// Brings an attached segment to a ring. With a geometry this process may initialise it.
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
        if len < SLOTS {
            return Err(mismatch("segment size", len as u64, SLOTS as u64));
        }
        let place = Place::of(&segment)?;
        let here = Here::new().map_err(|errno| Error::from_call(Call::Random, errno))?;
        let token = Token::current()?;
        #[allow(unsafe_code)]
        // SAFETY: the segment is attached read-write and kept by the core, beside the copy of this value; every
        // offset used with it is a constant below `SLOTS` or comes from a geometry that is compared with the length
        // first.
        let memory = unsafe { Mapped::new(segment.base()) };

        let generation =
            process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
        let start = self.start;
        let fill;
        let fresh = match geometry {
            Some(geometry) if geometry.total_bytes <= len => {
                fill = move |memory| initialise(memory, &geometry, start);
                let layout = self.layout.unwrap_or_default();
                Fresh::Initialise(self.description::<T>(&geometry, layout, generation), &fill)
            }
            _ => Fresh::Wait,
        };
        let found = header::settle(memory, MAGIC, token.claim(), &place, &fresh, self.patience)?;

        // From here on the numbers are this process's own.
        let (layout, geometry) = Geometry::described(&found, len)?;
        let wanted = self.layout.unwrap_or(layout);
        for (what, found, expected) in [
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
            ("layout", found.variant.into(), wanted.variant().into()),
        ] {
            if found != expected {
                return Err(mismatch(what, found, expected));
            }
        }
        Ok(BoundedBuffer::from_core(Core {
            segment,
            memory,
            geometry,
            layout,
            generation: found.generation,
            place,
            here,
            fences: self.fences,
        }))
    }

    fn description<T>(&self, geometry: &Geometry, layout: Layout, generation: u64) -> Description {
        Description {
            magic: MAGIC,
            version: VERSION,
            variant: layout.variant(),
            // `geometry` refused larger items and alignments.
            item_size: size_of::<T>() as u32,
            item_align: align_of::<T>() as u32,
            capacity: geometry.capacity,
            generation,
            start: self.start,
            total_bytes: geometry.total_bytes as u64,
        }
    }
}
