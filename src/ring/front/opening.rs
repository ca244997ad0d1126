//! [`Config`]: what is asked of a ring, and how one is created or opened as asked.

use super::error::OpenError;
use crate::error::{Call, Error, ErrorKind};
use crate::fork::ForkGuard;
use crate::key::Key;
use crate::liveness::{NamespaceAnchor, Token};
use crate::ring::protocol::Protocol;
use crate::ring::protocol::attached::Attached;
use crate::ring::shm::fault::LayoutFault;
use crate::ring::shm::header::{self, Description, Fresh, Plan};
use crate::ring::shm::memory::{Mapped, Shared};
use crate::ring::shm::slots::{Items, Layout, MAX_ALIGN};
use crate::segment::{Segment, SegmentId, SegmentOptions, reclaim};
use crate::sys::process;
use bytemuck::Pod;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What is asked of a ring.
#[derive(Debug, Clone)]
pub(crate) struct Config<X> {
    pub(super) capacity: Option<u64>,
    pub(super) layout: Option<Layout>,
    pub(super) segment: SegmentOptions,
    pub(super) patience: Duration,
    pub(super) fences: bool,
    /// 0: none.
    pub(super) tag: u64,
    pub(super) replace_stale: bool,
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
            tag: 0,
            replace_stale: false,
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
        self.adopt::<T, P>(segment, Some(geometry), token, Extent::Whole)
    }

    pub(super) fn open<T: Pod, P: Protocol<Extra = X>>(
        &self,
        key: Key,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        // To find one, without a size or a mode, which would be asked of the segment.
        let segment = SegmentOptions::new().open(key)?;
        self.adopt::<T, P>(segment, None, Token::current()?, Extent::Whole)
    }

    pub(super) fn attach<T: Pod, P: Protocol<Extra = X>>(
        &self,
        id: SegmentId,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let segment = SegmentOptions::new().attach(id)?;
        self.adopt::<T, P>(segment, None, Token::current()?, Extent::Whole)
    }

    pub(super) fn open_or_create<T: Pod, P: Protocol<Extra = X>>(
        &self,
        key: Key,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let opened = self.open_or_create_once::<T, P>(key);
        let is_unfit = matches!(
            opened,
            Err(OpenError::LayoutMismatch { .. } | OpenError::NotInitialised { .. })
        );
        if self.replace_stale && is_unfit && reclaim::remove_if_stale(SegmentId::find(key)?)? {
            return self.open_or_create_once::<T, P>(key);
        }
        opened
    }

    fn open_or_create_once<T: Pod, P: Protocol<Extra = X>>(
        &self,
        key: Key,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let geometry = self.wanted::<T, P>()?;
        // Before the segment, as in `create_new`.
        let token = Token::current()?;
        let mut options = self.segment.clone();
        let total_bytes = P::total_bytes(&geometry);
        let segment = match options.size_bytes(total_bytes).open_or_create(key) {
            // Too small for this ring: its own header can say better what differs. The same options, so that its
            // creator is checked whatever its size.
            Err(error) if error.kind() == ErrorKind::SegmentTooSmall => {
                options.size_bytes(0).open_or_create(key)
            }
            found => found,
        }?;
        self.adopt::<T, P>(segment, Some(geometry), token, Extent::Whole)
    }

    /// How many bytes a segment needs for a ring that is made like this.
    pub(super) fn required_bytes<T: Pod, P: Protocol<Extra = X>>(
        &self,
    ) -> Result<usize, OpenError> {
        Ok(P::total_bytes(&self.wanted::<T, P>()?))
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
        let was_checked = may_initialise && [0, P::MAGIC].contains(&magic_in(&segment));
        if was_checked {
            check_namespace(&segment)?;
        }
        let attached = self.adopt::<T, P>(segment, geometry, token, Extent::Part)?;
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
        extent: Extent,
    ) -> Result<Attached<P::Geometry>, OpenError> {
        let len = segment.len_bytes();
        let is_long_enough = |least: usize| {
            LayoutFault::unless(len >= least, "segment size", len as u64, least as u64)
        };
        is_long_enough(header::SIZE)?;
        // First: of a ring of the other kind nothing else means the same.
        let found_magic = magic_in(&segment);
        if found_magic != 0 {
            LayoutFault::unless_equal("magic", found_magic, P::MAGIC)?;
        }
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

        let wanted_bytes = geometry.as_ref().map_or(0, P::total_bytes);
        let fits = match extent {
            Extent::Whole => wanted_bytes == len,
            Extent::Part => wanted_bytes <= len,
        };
        let random =
            process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
        let plan = |geometry: P::Geometry, layout, capacity| Plan {
            description: self.describe::<T, P>(&geometry, layout, capacity, random),
            fill: Box::new(move |memory| P::initialise(&self.extra, memory, &geometry)),
        };
        // One died that had written all there is to know of the ring.
        let finish = |begun: &Description| {
            let (layout, geometry) = P::find(&self.extra, memory, begun, len).ok()?;
            let is_same = self
                .check_items::<T, P>(memory, begun, &geometry, len)
                .is_ok()
                && P::total_bytes(&geometry) == len;
            is_same.then(|| plan(geometry, layout, begun.capacity))
        };
        let fresh = match geometry {
            Some(geometry) if fits => Fresh::Initialise {
                plan: plan(
                    geometry,
                    self.layout.unwrap_or_default(),
                    self.capacity.unwrap_or(0),
                ),
                is_ours: extent == Extent::Whole && segment.was_created(),
            },
            // Of another size: perhaps there is another ring, whose header can say better what differs.
            _ => Fresh::Wait { finish: &finish },
        };
        let (owner, patience) = (token.owner_id(), self.patience);
        let found = match header::settle(memory, P::MAGIC, owner, &anchor, &fresh, patience) {
            Err(fault @ LayoutFault::NotInitialised { .. }) => {
                let is_known = geometry.is_none() || fits;
                let (found, expected) = (len as u64, wanted_bytes as u64);
                LayoutFault::unless(is_known, "segment size", found, expected)?;
                return Err(fault.into());
            }
            found => found?,
        };

        // From here on the numbers are this process's own.
        let (layout, geometry) = P::find(&self.extra, memory, &found, len)?;
        self.check_items::<T, P>(memory, &found, &geometry, len)?;
        let capacity = self.capacity.unwrap_or(found.capacity);
        let wanted = self.layout.unwrap_or(layout);
        for (what, found, expected) in [
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
            had_key,
            fences: self.fences,
        })
    }

    /// Refuses a ring of other items, or with another tag, which was found to have this geometry.
    ///
    /// An alignment matters only where items would lie elsewhere for it: a 32-bit C compiler aligns a `uint64_t` to 4
    /// bytes, and the slots are the same.
    fn check_items<T: Pod, P: Protocol<Extra = X>>(
        &self,
        memory: Mapped,
        found: &Description,
        geometry: &P::Geometry,
        len: usize,
    ) -> Result<(), LayoutFault> {
        let (size, align) = (size_of::<T>() as u64, align_of::<T>() as u64);
        LayoutFault::unless_equal("tag", found.tag, self.tag)?;
        LayoutFault::unless_equal("item size", found.item_size.into(), size)?;
        let with_this_alignment = Description {
            // Of a size that a header holds, as has just been seen.
            item_align: align as u32,
            ..*found
        };
        let lies_there = P::find(&self.extra, memory, &with_this_alignment, len)
            .is_ok_and(|(_, with_this)| with_this == *geometry);
        LayoutFault::unless(lies_there, "item alignment", found.item_align.into(), align)
    }

    /// What the header of a ring made by this process says.
    fn describe<T: Pod, P: Protocol<Extra = X>>(
        &self,
        geometry: &P::Geometry,
        layout: Layout,
        capacity: u64,
        generation: u64,
    ) -> Description {
        Description {
            magic: P::MAGIC,
            version: P::VERSION,
            variant: layout.variant(),
            // `wanted` refused larger items and alignments.
            item_size: size_of::<T>() as u32,
            item_align: align_of::<T>() as u32,
            capacity,
            generation,
            start: P::start(&self.extra),
            total_bytes: P::total_bytes(geometry) as u64,
            tag: self.tag,
        }
    }
}

/// How much of a segment a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// All of it: the call creates or finds the segment for the ring.
    Whole,
    /// It may be the first part: the caller chose the segment.
    Part,
}

/// Which kind of ring a segment says it holds: 0 if it says nothing yet.
///
/// The segment has at least `header::SIZE` bytes.
#[allow(unsafe_code, reason = "reads a word at a constant offset")]
fn magic_in(segment: &Segment) -> u64 {
    // SAFETY: attached, and used within this function alone.
    let memory = unsafe { Mapped::new(segment.base()) };
    // SAFETY: a constant offset below `header::SIZE`.
    unsafe { memory.load(header::MAGIC, Ordering::Relaxed) }
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
