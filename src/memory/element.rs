//! Which types may be viewed in shared bytes, which read from them, and which written to them.

use bytemuck::{AnyBitPattern, NoUninit, Pod, Zeroable};

/// What a view can be of: plain data with a fixed layout, to look into even if it can be neither read nor written
/// as a whole.
///
/// It is [`bytemuck::Zeroable`] for `Copy` types under a name that can explain itself; every such type has this
/// one, and it cannot be implemented otherwise. Three steps, then, for a `#[repr(C)]` struct that mirrors C's:
///
/// | derive | allows |
/// |---|---|
/// | `Zeroable` | views of it, and [`field!`](crate::field) down to the members that can be read and written |
/// | `AnyBitPattern` | also reading it whole: every member is [`Readable`] |
/// | `Pod` with `Zeroable` | also writing it whole, and arrays of it: there is no padding |
///
/// [`shared_struct!`](crate::shared_struct) does the same without a derive. The derives come from [the bytemuck
/// crate](crate::bytemuck), re-exported here: `#[bytemuck(crate = "sysvshm::bytemuck")]` tells them so, and without
/// that line the compiler says that it could not find `bytemuck`. Programs that depend on bytemuck themselves need no
/// such line.
///
/// A C struct may hold anything, such as pointers, which mean nothing in another process, or an array of padded
/// structs:
///
/// ```
/// use sysvshm::bytemuck::{AnyBitPattern, Zeroable};
/// use sysvshm::{Key, SegmentOptions, field};
///
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Record {
///     kind: u8,
///     value: i64,
/// }
///
/// #[derive(Clone, Copy, Zeroable)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Shared {
///     owners_private_pointer: *mut u8,
///     ring: [Record; 64],
/// }
///
/// let segment = SegmentOptions::new().size_bytes(size_of::<Shared>()).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let shared = segment.reference::<Shared>(0).unwrap();
/// field!(shared, ring[9].value).store(-1);
/// assert_eq!(field!(shared, ring).at(9).load().value, -1);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be viewed in shared memory: it is not plain data",
    label = "not plain data",
    note = "for a struct of plain data: declare it in `sysvshm::shared_struct!`"
)]
pub trait Viewable: Zeroable + Copy + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Zeroable + Copy + 'static> Viewable for T {}

/// What can be read out of shared memory: types for which any bytes are a value.
///
/// Another process may write anything at any moment, so nothing weaker will do. It is [`bytemuck::AnyBitPattern`]
/// under a name that can explain itself; every type that has that one has this one, and it cannot be implemented
/// otherwise. Integers, floating-point numbers and arrays of them have it; a struct derives it, padding or not.
///
/// ```
/// use sysvshm::bytemuck::AnyBitPattern;
/// use sysvshm::memory::Readable;
///
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Padded {
///     tag: u8,
///     value: u64,
/// }
///
/// fn readable<T: Readable>() {}
/// readable::<Padded>();
/// readable::<[f64; 16]>();
/// ```
///
/// `bool`, `char`, references and enums are not: some bytes are no value of theirs.
///
/// ```compile_fail
/// # fn readable<T: sysvshm::memory::Readable>() {}
/// readable::<bool>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from shared memory: not every bit pattern is a `{Self}`",
    label = "another process may write any bytes here",
    note = "read an integer and convert it after checking (a `u8` compared with 0 for C's `bool`)",
    note = "for a struct of such integers: declare it in `sysvshm::shared_struct!`"
)]
pub trait Readable: AnyBitPattern + Viewable {}

#[diagnostic::do_not_recommend]
impl<T: AnyBitPattern> Readable for T {}

/// What can be written to shared memory as a whole: types without padding.
///
/// Padding bytes have no value that could be written. It is [`bytemuck::NoUninit`] under a name that can explain
/// itself; every type that has that one has this one, and it cannot be implemented otherwise.
///
/// ```
/// use sysvshm::memory::Storable;
///
/// fn storable<T: Storable>() {}
/// storable::<[i32; 5]>();
/// ```
///
/// A struct with padding is written member by member, through [`field!`](crate::field):
///
/// ```
/// use sysvshm::bytemuck::AnyBitPattern;
/// use sysvshm::{Key, SegmentOptions, field};
///
/// #[derive(Clone, Copy, AnyBitPattern)]
/// #[bytemuck(crate = "sysvshm::bytemuck")]
/// #[repr(C)]
/// struct Padded {
///     tag: u8,
///     value: u64,
/// }
///
/// let segment = SegmentOptions::new().size_bytes(size_of::<Padded>()).create_new(Key::PRIVATE)?;
/// segment.mark_for_removal()?;
/// let padded = segment.reference::<Padded>(0).unwrap();
/// field!(padded, tag).store(1);
/// field!(padded, value).store(2);
/// assert_eq!(padded.load().value, 2);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to shared memory as a whole: it may have padding, whose bytes have no value",
    label = "may have uninitialised bytes",
    note = "write its members one by one: `field!(reference, member).store(value)`",
    note = "or give the padding a name (`padding: [u8; 7]`) and declare it as `struct Name: Pod` in `sysvshm::shared_struct!`"
)]
pub trait Storable: NoUninit {}

#[diagnostic::do_not_recommend]
impl<T: NoUninit> Storable for T {}

/// What can be an element of an array, or an item of a ring: types that are both [`Readable`] and [`Storable`].
///
/// It is [`bytemuck::Pod`] under a name that can explain itself; every such type has this one, and it cannot be
/// implemented otherwise.
///
/// ```compile_fail,E0277
/// fn element<T: sysvshm::memory::Element>() {}
/// element::<String>(); // an address, which means nothing in another process
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an element in shared memory: it is not plain data without padding",
    label = "not `Pod`",
    note = "for text: an array of bytes such as `[u8; 64]`, padded with zeros, or a ring of `u8`",
    note = "for a struct of integers: declare it as `struct Name: Pod` in `sysvshm::shared_struct!`, with padding named (`padding: [u8; 7]`)"
)]
pub trait Element: Pod {}

#[diagnostic::do_not_recommend]
impl<T: Pod> Element for T {}
