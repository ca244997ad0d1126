//! [`Config`]: what is asked of a ring, and how one is created or opened as asked.

use super::error::OpenError;
use crate::error::{Call, Error, ErrorKind};
use crate::fork::ForkGuard;
use crate::key::Key;
use crate::liveness::{NamespaceAnchor, Token};
use crate::ring::protocol::Protocol;
use crate::ring::protocol::attached::Attached;
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::{self, Description, Fresh};
use crate::ring::shm::memory::{Mapped, Shared};
use crate::ring::shm::slots::{Items, Layout, MAX_ALIGN};
use crate::segment::{Segment, SegmentId, SegmentOptions};
use crate::sys::process;
use bytemuck::Pod;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is asked of a ring.
#[derive(Debug, Clone)]
pub(crate) struct Config<X> {
    pub(crate) capacity: Option<u64>,
    pub(crate) layout: Option<Layout>,
    pub(crate) segment: SegmentOptions,
    pub(crate) patience: Duration,
    pub(crate) fences: bool,
    /// What one protocol's options have alone.
    pub(crate) extra: X,
}

impl<X> Config<X> {
    pub(super) const fn new(extra: X) -> Self {
        Self {
            capacity: None,
            layout: None,
            segment: SegmentOptions::new(),
            patience: Duration::from_secs(5),
            fences: false,
            extra,
        }
    }

    pub(super) fn create_new<T: Pod, P: Protocol<Extra = X>>(
        &self,
        key: Key,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let geometry = self.wanted::<T, P>()?;
        // Before the segment. If making it failed afterwards, a segment that is not initialised would block the key.
        let token = Token::current()?;
        let mut options = self.segment.clone();
        let segment = options
            .size_bytes(P::total_bytes(&geometry))
            .create_new(key)?;
        self.adopt::<T, P>(segment, Some(geometry), token)
    }

    pub(super) fn open<T: Pod, P: Protocol<Extra = X>>(
        &self,
        key: Key,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        // To find one, without a size or a mode, which would be asked of the segment.
        let segment = SegmentOptions::new().open(key)?;
        self.adopt::<T, P>(segment, None, Token::current()?)
    }

    pub(super) fn attach<T: Pod, P: Protocol<Extra = X>>(
        &self,
        id: SegmentId,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let segment = SegmentOptions::new().attach(id)?;
        self.adopt::<T, P>(segment, None, Token::current()?)
    }

    pub(super) fn open_or_create<T: Pod, P: Protocol<Extra = X>>(
        &self,
        key: Key,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let geometry = self.wanted::<T, P>()?;
        // Before the segment, as in `create_new`.
        let token = Token::current()?;
        let mut options = self.segment.clone();
        let total_bytes = P::total_bytes(&geometry);
        match options.size_bytes(total_bytes).open_or_create(key) {
            Ok(segment) => self.adopt::<T, P>(segment, Some(geometry), token),
            // Too small for this ring: its own header can say better what differs.
            Err(error) if error.kind() == ErrorKind::SegmentTooSmall => self.open::<T, P>(key),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn in_segment<T: Pod, P: Protocol<Extra = X>>(
        &self,
        segment: Segment,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let geometry = match self.capacity {
            Some(_) => Some(self.wanted::<T, P>()?),
            None => None,
        };
        let token = Token::current()?;
        // Before the ring is touched, if this call may make one of what is there. What is another thing is refused
        // untouched, and what another process is to initialise is asked afterwards.
        let may_initialise = geometry
            .as_ref()
            .is_some_and(|geometry| P::total_bytes(geometry) <= segment.len_bytes());
        let was_checked = may_initialise && may_be_ring(&segment, P::MAGIC);
        if was_checked {
            check_namespace(&segment)?;
        }
        let attached = self.adopt::<T, P>(segment, geometry, token)?;
        if !was_checked {
            check_namespace(&attached.segment)?;
        }
        Ok(attached)
    }

    fn wanted<T: Pod, P: Protocol<Extra = X>>(&self) -> Result<P::Geometry, OpenError> {
        let (alignment, most) = (align_of::<T>(), MAX_ALIGN);
        if alignment > most {
            return Err(OpenError::AlignmentOutOfRange { alignment, most });
        }
        let capacity = self.capacity.unwrap_or(0);
        let layout = self.layout.unwrap_or_default();
        P::geometry(&self.extra, layout, Items::of::<T>(capacity))
            .filter(|_| u32::try_from(size_of::<T>()).is_ok())
            .ok_or(OpenError::CapacityOutOfRange { capacity })
    }

    /// Makes a ring of an attached segment, or finds the one in it. With a geometry this process may initialise it,
    /// in the name of the token.
    fn adopt<T: Pod, P: Protocol<Extra = X>>(
        &self,
        segment: Segment,
        geometry: Option<P::Geometry>,
        token: Arc<Token>,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let len = segment.len_bytes();
        let is_long_enough = |least: usize| {
            LayoutFault::unless(len >= least, "segment size", len as u64, least as u64)
        };
        is_long_enough(P::FRONT)?;
        let anchor = NamespaceAnchor::of(&segment)?;
        let status = segment.id().status_regardless()?;
        let had_key = status.key() != Key::PRIVATE && !status.is_marked_for_removal();
        let fork_guard = ForkGuard::new()?;
        #[allow(unsafe_code)]
        // SAFETY: the segment is attached read-write and kept by the value returned, beside the copy of this one;
        // every offset used with it is a constant below `FRONT` or comes from a geometry that is compared with the
        // length first.
        let memory = unsafe { Mapped::new(segment.base()) };

        let fill;
        let wanted_bytes = geometry.as_ref().map_or(0, P::total_bytes);
        let fresh = match geometry {
            Some(geometry) if wanted_bytes <= len => {
                let description = self.describe::<T, P>(&geometry)?;
                fill = move |memory| P::initialise(&self.extra, memory, &geometry);
                Fresh::Initialise(description, &fill)
            }
            // Too small: perhaps there is another ring, whose header can say better what differs.
            _ => Fresh::Wait,
        };
        let (owner, patience) = (token.owner_id(), self.patience);
        let found = match header::settle(memory, P::MAGIC, owner, &anchor, &fresh, patience) {
            Err(fault @ LayoutFault::NotInitialised { .. }) => {
                is_long_enough(wanted_bytes)?;
                return Err(fault.into());
            }
            found => found?,
        };

        // From here on the numbers are this process's own.
        let (layout, geometry) = P::find(&self.extra, memory, &found, len)?;
        let capacity = self.capacity.unwrap_or(found.capacity);
        let items = Items::of::<T>(capacity);
        let wanted = self.layout.unwrap_or(layout);
        for (what, found, expected) in [
            ("item size", found.item_size.into(), items.size as u64),
            (
                "item alignment",
                found.item_align.into(),
                items.align as u64,
            ),
            ("capacity", found.capacity, items.capacity),
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
            had_key,
            fences: self.fences,
        })
    }

    /// What the header of a ring made by this process says.
    fn describe<T: Pod, P: Protocol<Extra = X>>(
        &self,
        geometry: &P::Geometry,
    ) -> Result<Description, OpenError> {
        let generation =
            process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
        Ok(Description {
            magic: P::MAGIC,
            version: P::VERSION,
            variant: self.layout.unwrap_or_default().variant(),
            // `wanted` refused larger items and alignments.
            item_size: size_of::<T>() as u32,
            item_align: align_of::<T>() as u32,
            capacity: self.capacity.unwrap_or(0),
            generation,
            start: P::start(&self.extra),
            total_bytes: P::total_bytes(geometry) as u64,
        })
    }
}

/// Whether there is a ring of this kind, or nothing yet.
///
/// The segment has room for a ring.
#[allow(unsafe_code, reason = "reads a word at a constant offset")]
fn may_be_ring(segment: &Segment, magic: u64) -> bool {
    // SAFETY: attached, and used within this function alone.
    let memory = unsafe { Mapped::new(segment.base()) };
    // SAFETY: a constant offset in a segment that has room for a ring, as the caller has seen.
    let found = unsafe { memory.load(header::MAGIC, Ordering::Relaxed) };
    found == 0 || found == magic
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
