//! [`Options`]: how a ring is created or opened.

use super::error::OpenError;
use super::opening::Config;
use super::ring::BoundedBuffer;
use crate::flags::Mode;
use crate::key::Key;
use crate::memory::Element;
use crate::ring::protocol::Protocol;
use crate::ring::shm::slots::Layout;
#[cfg(doc)]
use crate::segment::SegmentOptions;
use crate::segment::{Removal, Segment, SegmentId};
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// How to create or open a ring, as [`SegmentOptions`] does for a segment.
///
/// `T`, the type of the items, is an [`Element`]: any bytes are one, because any bytes may come. It has a size of 1 byte
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
///     .participants(8) // an mpmc ring alone has this
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
#[must_use]
pub struct Options<P: Protocol> {
    pub(crate) config: Config<P::Extra>,
}

impl<P: Protocol> Default for Options<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Protocol> Clone for Options<P> {
    fn clone(&self) -> Self {
        let config = self.config.clone();
        Self { config }
    }
}

impl<P: Protocol> fmt::Debug for Options<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Options").field(&self.config).finish()
    }
}

impl<P: Protocol> Options<P> {
    /// No capacity, mode 0600, never removed, [`Layout::Interleaved`] when creating and any layout when opening, and
    /// up to 5 seconds of patience; in `mpmc` 64 participants when creating and any number when opening.
    pub const fn new() -> Self {
        Self {
            config: Config::new(P::EXTRA),
        }
    }

    /// How many items fit, 1 or more. Needed by [`create_new`](Self::create_new) and by
    /// [`open_or_create`](Self::open_or_create), even if the ring exists. An existing ring must have exactly this
    /// capacity, if it is set.
    ///
    /// `spsc`: a power of two makes finding a slot cheaper in a few places off the fast path; nothing else depends on
    /// it. `mpmc`: at most 2^31.
    pub fn capacity(&mut self, items: usize) -> &mut Self {
        self.config.capacity = Some(items as u64);
        self
    }

    /// How the slots are laid out. An existing ring must have this layout, if it is set.
    ///
    /// [Which is better for what](crate::bounded_buffer::spsc#which-layout); [`Options`] has an example.
    pub fn layout(&mut self, layout: Layout) -> &mut Self {
        self.config.layout = Some(layout);
        self
    }

    /// Who may use a ring that is created; 0600 unless set. Both sides need to read and to write.
    pub fn mode(&mut self, mode: impl Into<Mode>) -> &mut Self {
        self.config.segment.mode(mode);
        self
    }

    /// What becomes of the segment of a ring that is created; see [`SegmentOptions::removal`]. Unless set,
    /// nobody removes it: that is what lets a process that starts again find its items.
    ///
    /// The process that creates the ring decides. A ring that is only opened is left alone.
    pub fn removal(&mut self, removal: Removal) -> &mut Self {
        self.config.segment.removal(removal);
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) accepts a ring that another user created; see
    /// [`SegmentOptions::any_owner`]. Not unless set. The other calls do not ask.
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.config.segment.any_owner(any_owner);
        self
    }

    /// How long to wait for another process that has created the segment and not finished initialising it; 5
    /// seconds unless set. [`Duration::MAX`] is forever.
    ///
    /// One that died meanwhile is not waited for: who finds that takes over. [`open`](Self::open) and
    /// [`attach`](Self::attach) need to know what the ring is to be. They do if the dead one had written that; else they
    /// wait for a process that says it.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysvshm::bounded_buffer::{OpenError, spsc::Options};
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let untouched = SegmentOptions::new().size_bytes(1 << 16).create_new(Key::PRIVATE)?;
    /// untouched.mark_for_removal()?;
    /// let mut options = Options::new();
    /// let result = options.patience(Duration::from_millis(1)).attach::<u64>(untouched.id());
    /// assert!(matches!(result, Err(OpenError::NotInitialised { .. })));
    ///
    /// options.patience(Duration::MAX).capacity(100).in_segment::<u64>(untouched)?; // nobody to wait for
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        self.config.patience = patience;
        self
    }

    /// A number by which a ring is known to be the right one, kept in its header: 0, none, unless set. An existing ring
    /// must have exactly this tag.
    ///
    /// Keys collide: `ftok` makes them of 8 bits of a number and 24 of a file. Two programs whose items have the same
    /// size would then share a ring. With a tag of its own each is told.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::{OpenError, spsc::Options};
    ///
    /// let key = Key::random()?;
    /// let ours = Options::new().capacity(8).tag(0x6a6f_6273).create_new::<u64>(key)?;
    /// let theirs = Options::new().tag(7).open::<u64>(key).unwrap_err();
    /// assert_eq!(
    ///     theirs.to_string(),
    ///     "the segment does not hold this ring: its tag is 0x6a6f6273, and 0x7 was expected"
    /// );
    /// # ours.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tag(&mut self, tag: u64) -> &mut Self {
        self.config.tag = tag;
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) removes a ring that is not what is asked for, and makes a new one,
    /// if all its users are dead: its creator, and every process that attached it. Not unless set. Its items are lost.
    ///
    /// For a program that starts again, after a crash, with another capacity or another type of items. A ring that fits
    /// is opened as ever, with its items.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::{OpenError, spsc::Options};
    ///
    /// let key = Key::random()?;
    /// let older = Options::new().capacity(8).create_new::<u64>(key)?;
    /// // Its creator lives, so it stays.
    /// let newer = Options::new().capacity(16).replace_stale(true).open_or_create::<u64>(key);
    /// assert!(matches!(newer, Err(OpenError::LayoutMismatch { what: "capacity", .. })));
    /// # older.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replace_stale(&mut self, replace: bool) -> &mut Self {
        self.config.replace_stale = replace;
        self
    }

    /// How many bytes a segment needs for a ring with these options: for [`in_segment`](Self::in_segment), and for limits
    /// such as `shmmax`.
    ///
    /// # Errors
    ///
    /// [`OpenError::CapacityOutOfRange`]: the capacity is 0 or unset, or there cannot be such a ring.
    /// [`OpenError::AlignmentOutOfRange`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::bounded_buffer::mpmc::Options;
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let mut options = Options::new();
    /// options.capacity(1000).participants(8);
    /// let bytes = options.required_bytes::<u64>()?;
    /// let segment = SegmentOptions::new().size_bytes(bytes).prefault(true).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// options.in_segment::<u64>(segment)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn required_bytes<T: Pod>(&self) -> Result<usize, OpenError> {
        self.config.required_bytes::<T, P>()
    }

    /// Whether to do without membarrier(2) even where it exists, by a full fence at every publish. For tests,
    /// and for seccomp filters that kill a process for the call. Where the call does not exist, or is refused,
    /// fences are used anyway.
    #[doc(alias = "membarrier")]
    pub fn fences(&mut self, fences: bool) -> &mut Self {
        self.config.fences = fences;
        self
    }

    /// Creates a ring under a key that no segment has. With [`Key::PRIVATE`] others find it by the identifier.
    ///
    /// **C calls:** those of [`SegmentOptions::create_new`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// [`OpenError::CapacityOutOfRange`]: the capacity is 0 or unset, or there cannot be such a ring.
    /// [`OpenError::System`]: those of [`SegmentOptions::create_new`], of which
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) says that the key is taken; or the token, a segment
    /// of its own, could not be made.
    pub fn create_new<T: Element>(&self, key: Key) -> Result<BoundedBuffer<T, P>, OpenError> {
        let ring = self.config.create_new::<T, P>(key)?;
        Ok(BoundedBuffer::new(ring))
    }

    /// Opens the ring that has this key.
    ///
    /// **C calls:** those of [`SegmentOptions::open`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// [`OpenError::LayoutMismatch`]: it holds something else, or a ring of another shape than asked for;
    /// `what` says in what it differs. [`OpenError::NotInitialised`]: nobody made a ring of it within the
    /// [patience](Self::patience). [`OpenError::CapacityOutOfRange`]: the header names a capacity that cannot
    /// be. [`OpenError::System`]: those of [`SegmentOptions::open`]; or the token could not be made.
    pub fn open<T: Element>(&self, key: Key) -> Result<BoundedBuffer<T, P>, OpenError> {
        let ring = self.config.open::<T, P>(key)?;
        Ok(BoundedBuffer::new(ring))
    }

    /// Opens a ring by the identifier of its segment: handed over in a message, an argument or an environment
    /// variable, for instance.
    ///
    /// **C calls:** those of [`SegmentOptions::attach`] and of a [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), with those of [`SegmentOptions::attach`].
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::bounded_buffer::spsc::Options;
    /// use sysvshm::{Key, SegmentId};
    ///
    /// let ours = Options::new().capacity(100).create_new::<u64>(Key::PRIVATE)?;
    /// ours.segment().mark_for_removal()?; // on Linux the identifier attaches nevertheless
    /// let argument = ours.segment().id().to_string();
    ///
    /// // In the process that was given it:
    /// let theirs = Options::new().attach::<u64>(SegmentId::from_raw(argument.parse()?))?;
    /// assert_eq!(theirs.generation(), ours.generation());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach<T: Element>(&self, id: SegmentId) -> Result<BoundedBuffer<T, P>, OpenError> {
        let ring = self.config.attach::<T, P>(id)?;
        Ok(BoundedBuffer::new(ring))
    }

    /// Opens the ring that has this key, or creates it. Any number of processes may do so at once.
    ///
    /// One that was killed between creating the segment and finishing the ring is taken over in place. So it
    /// does not matter who comes first, or again after a crash.
    ///
    /// **C calls:** those of [`SegmentOptions::open_or_create`] and of a
    /// [token](crate::bounded_buffer#liveness).
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and of [`create_new`](Self::create_new) except that the key may exist or
    /// not. [`OpenError::System`] with [`ForeignCreator`](crate::ErrorKind::ForeignCreator): another user
    /// created it, and [`any_owner`](Self::any_owner) does not say that this is welcome.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::Key;
    /// use sysvshm::bounded_buffer::{OpenError, spsc::Options};
    ///
    /// let key = Key::random()?;
    /// let first = Options::new().capacity(100).open_or_create::<u64>(key)?;
    /// let second = Options::new().capacity(100).open_or_create::<u64>(key)?;
    /// assert!(first.segment().was_created() && !second.segment().was_created());
    ///
    /// let other = Options::new().capacity(101).open_or_create::<u64>(key);
    /// assert!(matches!(other, Err(OpenError::LayoutMismatch { what: "capacity", found: 100, .. })));
    /// # first.segment().mark_for_removal()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_or_create<T: Element>(&self, key: Key) -> Result<BoundedBuffer<T, P>, OpenError> {
        let ring = self.config.open_or_create::<T, P>(key)?;
        Ok(BoundedBuffer::new(ring))
    }

    /// Takes a segment that is attached already, and opens the ring in it; with a [capacity](Self::capacity) it
    /// initialises an untouched one.
    ///
    /// For everything that [`SegmentOptions`] can do and these cannot, such as huge pages or an address. A
    /// segment that is larger than the ring is fine; what is behind the ring is not used.
    ///
    /// **C calls:** those of a [token](crate::bounded_buffer#liveness); `shmat` and `shmdt`, to see whether the
    /// identifier still names what is attached, so the mode must still allow that.
    ///
    /// # Errors
    ///
    /// [`OpenError::WrongNamespace`]: the calling thread is in another IPC namespace than the one that attached
    /// the segment was in. Those of [`open`](Self::open), without those of finding; those of
    /// [`create_new`](Self::create_new) about the capacity, if one is set. [`OpenError::LayoutMismatch`] about
    /// the `segment size`: the segment is too small for that capacity, and nobody made a smaller ring of it
    /// within the [patience](Self::patience).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sysvshm::bounded_buffer::{OpenError, spsc::Options};
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let segment = SegmentOptions::new().size_bytes(1 << 16).prefault(true).create_new(Key::PRIVATE)?;
    /// segment.mark_for_removal()?;
    /// let buffer = Options::new().capacity(1000).in_segment::<u64>(segment)?;
    /// buffer.producer()?.push(1)?;
    ///
    /// let small = SegmentOptions::new().size_bytes(4096).create_new(Key::PRIVATE)?;
    /// small.mark_for_removal()?;
    /// let result = Options::new().capacity(1000).patience(Duration::ZERO).in_segment::<u64>(small);
    /// assert!(matches!(result, Err(OpenError::LayoutMismatch { what: "segment size", found: 4096, .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_segment<T: Element>(
        &self,
        segment: Segment,
    ) -> Result<BoundedBuffer<T, P>, OpenError> {
        let ring = self.config.in_segment::<T, P>(segment)?;
        Ok(BoundedBuffer::new(ring))
    }
}

/// Creating and opening with nothing else set.
impl<T: Pod, P: Protocol> BoundedBuffer<T, P> {
    /// Creates a ring of this capacity under a key that no segment has; [`Options::create_new`] with nothing else
    /// set.
    ///
    /// See the [module](crate::bounded_buffer#example) for an example.
    ///
    /// # Errors
    ///
    /// Those of [`Options::create_new`].
    pub fn create_new(key: Key, capacity: usize) -> Result<Self, OpenError> {
        Options::new().capacity(capacity).create_new(key)
    }

    /// Opens the ring that has this key, with whatever capacity and layout it has; [`Options::open`] with nothing
    /// set.
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
}
