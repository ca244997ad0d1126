//! How a ring is created or opened: what both rings do alike, from options to [`Attached`].

use super::error::OpenError;
use crate::bytemuck::Pod;
use crate::error::{Call, Error, ErrorKind};
use crate::fork::ForkGuard;
use crate::key::Key;
use crate::liveness::{NamespaceAnchor, Token};
use crate::ring::protocol::attached::Attached;
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::{self, Description, Fresh};
use crate::ring::shm::memory::{Mapped, Shared};
use crate::ring::shm::slots::Layout;
use crate::segment::{Segment, SegmentId, SegmentOptions};
use crate::sys::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What may be asked of either ring.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    pub(crate) capacity: Option<u64>,
    pub(crate) layout: Option<Layout>,
    pub(crate) segment: SegmentOptions,
    pub(crate) patience: Duration,
    pub(crate) fences: bool,
}

impl Wishes {
    pub(crate) const fn new() -> Self {
        Self {
            capacity: None,
            layout: None,
            segment: SegmentOptions::new(),
            patience: Duration::from_secs(5),
            fences: false,
        }
    }
}

/// The items of a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Items {
    pub(crate) capacity: u64,
    pub(crate) size: usize,
    pub(crate) align: usize,
}

impl Items {
    fn of<T>(capacity: u64) -> Self {
        const { assert!(size_of::<T>() != 0, "items of no size need no buffer") };
        Self {
            capacity,
            size: size_of::<T>(),
            align: align_of::<T>(),
        }
    }
}

/// A kind of ring, and what is asked of one.
pub(crate) trait Ring {
    const MAGIC: u64;
    const VERSION: u32;
    /// Bytes that every ring of this kind has in front of its slots: as much must be there before anything is read.
    const FRONT: usize;
    type Geometry: Copy;

    fn wishes(&self) -> &Wishes;

    /// The geometry of a ring that is made as wished; `None` if there cannot be such a ring.
    fn geometry(&self, layout: Layout, items: Items) -> Option<Self::Geometry>;

    /// Layout and geometry of the ring in `memory`, of which at least `FRONT` and in all `len` bytes are there, and
    /// of which the header says this. Nothing of it is trusted.
    ///
    /// # Errors
    ///
    /// `LayoutMismatch`: it is no ring of this kind, or larger than the segment. `CapacityOutOfRange`.
    fn find(
        &self,
        memory: Mapped,
        found: &Description,
        len: usize,
    ) -> Result<(Layout, Self::Geometry), LayoutFault>;

    fn total_bytes(geometry: &Self::Geometry) -> usize;

    /// What the header says about where the ring starts.
    fn start(&self) -> u64;

    /// Fills everything behind the header. Does not depend on what was there.
    fn initialise(&self, memory: Mapped, geometry: &Self::Geometry);

    // What follows is the same for all kinds.

    fn create_new<T: Pod>(&self, key: Key) -> Result<Attached<Self::Geometry>, OpenError> {
        let geometry = self.wanted::<T>()?;
        // First: without one there is no ring, and a segment that nobody finishes would stand in the way of the
        // next.
        let token = Token::current()?;
        let mut options = self.wishes().segment.clone();
        let segment = options
            .size_bytes(Self::total_bytes(&geometry))
            .create_new(key)?;
        self.settle::<T>(segment, Some(geometry), token)
    }

    fn open<T: Pod>(&self, key: Key) -> Result<Attached<Self::Geometry>, OpenError> {
        // For finding no size, and no mode, which would be asked of the segment.
        let segment = SegmentOptions::new().open(key)?;
        self.settle::<T>(segment, None, Token::current()?)
    }

    fn attach<T: Pod>(&self, id: SegmentId) -> Result<Attached<Self::Geometry>, OpenError> {
        let segment = SegmentOptions::new().attach(id)?;
        self.settle::<T>(segment, None, Token::current()?)
    }

    fn open_or_create<T: Pod>(&self, key: Key) -> Result<Attached<Self::Geometry>, OpenError> {
        let geometry = self.wanted::<T>()?;
        // First, as in `create_new`.
        let token = Token::current()?;
        let mut options = self.wishes().segment.clone();
        let total_bytes = Self::total_bytes(&geometry);
        match options.size_bytes(total_bytes).open_or_create(key) {
            Ok(segment) => self.settle::<T>(segment, Some(geometry), token),
            // Too small for this ring: its own header can say better what differs.
            Err(error) if error.kind() == ErrorKind::SegmentTooSmall => self.open::<T>(key),
            Err(error) => Err(error.into()),
        }
    }

    fn in_segment<T: Pod>(&self, segment: Segment) -> Result<Attached<Self::Geometry>, OpenError> {
        let geometry = match self.wishes().capacity {
            Some(_) => Some(self.wanted::<T>()?),
            None => None,
        };
        let token = Token::current()?;
        // Before the ring is touched, if this call may make one of what is there. What is another thing is refused
        // untouched, and what another process is to initialise is asked afterwards.
        let may_initialise = geometry
            .as_ref()
            .is_some_and(|geometry| Self::total_bytes(geometry) <= segment.len_bytes());
        let was_checked = may_initialise && self.may_be_ring(&segment);
        if was_checked {
            check_namespace(&segment)?;
        }
        let attached = self.settle::<T>(segment, geometry, token)?;
        if !was_checked {
            check_namespace(&attached.segment)?;
        }
        Ok(attached)
    }

    /// Whether there is a ring of this kind, or nothing yet.
    #[allow(unsafe_code, reason = "reads a word at a constant offset")]
    fn may_be_ring(&self, segment: &Segment) -> bool {
        // SAFETY: attached, and used within this function alone.
        let memory = unsafe { Mapped::new(segment.base()) };
        // SAFETY: a constant offset in a segment that has room for a ring, as the caller has seen.
        let magic = unsafe { memory.load(header::MAGIC, Ordering::Relaxed) };
        magic == 0 || magic == Self::MAGIC
    }

    fn wanted<T: Pod>(&self) -> Result<Self::Geometry, OpenError> {
        let capacity = self.wishes().capacity.unwrap_or(0);
        self.geometry(
            self.wishes().layout.unwrap_or_default(),
            Items::of::<T>(capacity),
        )
        .filter(|_| u32::try_from(size_of::<T>()).is_ok())
        .ok_or(OpenError::CapacityOutOfRange { capacity })
    }

    /// Brings an attached segment to a ring. With a geometry this process may initialise it, in the name of the
    /// token.
    fn settle<T: Pod>(
        &self,
        segment: Segment,
        geometry: Option<Self::Geometry>,
        token: Arc<Token>,
    ) -> Result<Attached<Self::Geometry>, OpenError> {
        let wishes = self.wishes();
        let len = segment.len_bytes();
        let is_long_enough = |least: usize| {
            LayoutFault::unless(len >= least, "segment size", len as u64, least as u64)
        };
        is_long_enough(Self::FRONT)?;
        let anchor = NamespaceAnchor::of(&segment)?;
        let fork_guard = ForkGuard::new()?;
        #[allow(unsafe_code)]
        // SAFETY: the segment is attached read-write and kept by the value returned, beside the copy of this one;
        // every offset used with it is a constant below `FRONT` or comes from a geometry that is compared with the
        // length first.
        let memory = unsafe { Mapped::new(segment.base()) };

        let fill;
        let wanted_bytes = geometry.as_ref().map_or(0, Self::total_bytes);
        let fresh = match geometry {
            Some(geometry) if wanted_bytes <= len => {
                let description = self.describe::<T>(&geometry)?;
                fill = move |memory| self.initialise(memory, &geometry);
                Fresh::Initialise(description, &fill)
            }
            // Too small: perhaps there is another ring, whose header can say better what differs.
            _ => Fresh::Wait,
        };
        let (claim, patience) = (token.owner_id(), wishes.patience);
        let found = match header::settle(memory, Self::MAGIC, claim, &anchor, &fresh, patience) {
            Err(fault @ LayoutFault::NotInitialised { .. }) => {
                is_long_enough(wanted_bytes)?;
                return Err(fault.into());
            }
            found => found?,
        };

        // From here on the numbers are this process's own.
        let (layout, geometry) = self.find(memory, &found, len)?;
        let items = Items::of::<T>(found.capacity);
        let wanted = wishes.layout.unwrap_or(layout);
        let capacity = wishes.capacity.unwrap_or(found.capacity);
        for (what, found, expected) in [
            ("item size", found.item_size.into(), items.size as u64),
            (
                "item alignment",
                found.item_align.into(),
                items.align as u64,
            ),
            ("capacity", found.capacity, capacity),
            ("layout", found.variant.into(), wanted.variant().into()),
        ] {
            LayoutFault::unless_equal(what, found, expected)?;
        }
        Ok(Attached {
            segment,
            memory,
            geometry,
            layout,
            generation: found.generation,
            anchor,
            fork_guard,
            fences: wishes.fences,
        })
    }

    /// What the header of a ring made by this process says.
    fn describe<T: Pod>(&self, geometry: &Self::Geometry) -> Result<Description, OpenError> {
        let generation =
            process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
        Ok(Description {
            magic: Self::MAGIC,
            version: Self::VERSION,
            variant: self.wishes().layout.unwrap_or_default().variant(),
            // `wanted` refused larger items and alignments.
            item_size: size_of::<T>() as u32,
            item_align: align_of::<T>() as u32,
            capacity: self.wishes().capacity.unwrap_or(0),
            generation,
            start: self.start(),
            total_bytes: Self::total_bytes(geometry) as u64,
        })
    }
}
/// Refuses a segment that was attached in another IPC namespace: its identifier means another segment, or none, to
/// the calling thread, and so would those of the ring's participants.
///
/// The segment has at least `header::SIZE` bytes, and holds a ring or what may become one.
#[allow(unsafe_code, reason = "names two mappings of a segment")]
fn check_namespace(segment: &Segment) -> Result<(), OpenError> {
    let second = match segment.id().attach() {
        Ok(second) => second,
        Err(error) if error.kind() == ErrorKind::NoSuchSegment => {
            return Err(OpenError::WrongNamespace);
        }
        Err(error) => return Err(error.into()),
    };
    if second.len_bytes() != segment.len_bytes() {
        return Err(OpenError::WrongNamespace);
    }
    let random = process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
    // SAFETY: attached for reading and writing, and used within this function alone.
    let one = unsafe { Mapped::new(segment.base()) };
    // SAFETY: as above.
    let other = unsafe { Mapped::new(second.base()) };
    if header::show_the_same(one, other, random) {
        Ok(())
    } else {
        Err(OpenError::WrongNamespace)
    }
}
