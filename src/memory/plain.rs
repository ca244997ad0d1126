//! [`shared_struct!`](crate::shared_struct): structs for shared memory, without a derive.

/// Declares structs that live in shared memory, laid out as C lays them out.
///
/// Each gets `#[repr(C)]`, `Clone`, `Copy` and what its members allow, by rules that the compiler checks:
///
/// | written | the struct is | provided that |
/// |---|---|---|
/// | `struct Shared { ... }` | [`Viewable`](crate::memory::Viewable): views of it, [`field!`](crate::field), a [`SharedStruct`](crate::SharedStruct) | every member is (otherwise it does not compile) |
/// | | [`Readable`](crate::memory::Readable) too: copied out whole | every member is; gaps are allowed |
/// | `struct Item: Pod { ... }` | [`Pod`](bytemuck::Pod): copied in and out whole, element of an array, item of a ring | every member is, and there are no gaps (otherwise it does not compile) |
///
/// It does what the derives of [`bytemuck`] do, which structs may use as well: then every struct
/// also needs the line `#[bytemuck(crate = "sysvshm::bytemuck")]`, or the program bytemuck among its dependencies.
///
/// ```
/// use std::ffi::{c_int, c_long, c_short};
/// use sysvshm::{Key, SharedStruct, field, shared_struct};
///
/// shared_struct! {
///     /// `struct record { int client; short kind; long value; };`, with its gap named.
///     #[derive(Debug, PartialEq)]
///     pub struct Record: Pod {
///         pub client: c_int,
///         pub kind: c_short,
///         pub gap: [u8; 2],
///         pub value: c_long,
///     }
///
///     /// `struct shared { char name[30]; double rate; struct record ring[64]; };`, with its gap left as it is.
///     pub struct Shared {
///         name: [u8; 30],
///         rate: f64,
///         ring: [Record; 64],
///     }
/// }
///
/// let shared = SharedStruct::<Shared>::create_new(Key::PRIVATE)?;
/// shared.segment().mark_for_removal()?;
/// let record = Record { client: 7, kind: 2, gap: [0; 2], value: -1 };
/// field!(shared, rate).store(0.5);
/// field!(shared, ring[3]).store(record);
/// assert_eq!(shared.view().load().ring[3], record);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A gap in a `Pod` struct, and a member that is no plain data, do not compile:
///
/// ```compile_fail,E0080
/// sysvshm::shared_struct! { struct Gap: Pod { kind: u8, value: i64 } }
/// ```
///
/// ```compile_fail,E0277
/// sysvshm::shared_struct! { struct Text { text: String } }
/// ```
#[macro_export]
macro_rules! shared_struct {
    () => {};
    ($(#[$meta:meta])* $vis:vis struct $name:ident: Pod {
        $($(#[$on_member:meta])* $seen:vis $member:ident: $type:ty),* $(,)?
    } $($rest:tt)*) => {
        $crate::shared_struct! { @declare $(#[$meta])* $vis struct $name { $($(#[$on_member])* $seen $member: $type),* } }
        const _: () = assert!(
            ::core::mem::size_of::<$name>() == 0 $(+ ::core::mem::size_of::<$type>())*,
            concat!(
                "`", stringify!($name), "` has gaps between its members or at its end, which cannot be written: ",
                "name them (`gap: [u8; 2]`), or leave out `: Pod` and write member by member"
            )
        );
        // SAFETY: the members are `Pod`, which is checked below, and with `repr(C)` and by the sizes just compared all
        // there is; `@declare` makes it `Copy`, and it is `'static` because it has no parameters.
        #[allow(unsafe_code)]
        unsafe impl $crate::bytemuck::Pod for $name {}
        const _: () = {
            const fn must_be<T: $crate::memory::Element>() {}
            $(must_be::<$type>();)*
        };
        $crate::shared_struct! { $($rest)* }
    };
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$on_member:meta])* $seen:vis $member:ident: $type:ty),* $(,)?
    } $($rest:tt)*) => {
        $crate::shared_struct! { @declare $(#[$meta])* $vis struct $name { $($(#[$on_member])* $seen $member: $type),* } }
        // SAFETY: any bytes are a value of each member, and of the gaps between them, which have no meaning. The
        // `for` makes a bound that does not hold a struct without the trait instead of an error.
        #[allow(unsafe_code)]
        unsafe impl $crate::bytemuck::AnyBitPattern for $name
        where
            $(for<'any> $type: $crate::bytemuck::AnyBitPattern,)*
        {
        }
        $crate::shared_struct! { $($rest)* }
    };
    (@declare $(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$on_member:meta])* $seen:vis $member:ident: $type:ty),*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        #[repr(C)]
        $vis struct $name { $($(#[$on_member])* $seen $member: $type),* }

        // No attribute has added a member to those that are checked.
        const _: fn($name) = |$name { $($member: _),* }| {};

        // SAFETY: zeros are a value of each member, which is checked below.
        #[allow(unsafe_code)]
        unsafe impl $crate::bytemuck::Zeroable for $name {}
        // By calls and not by bounds of the implementation, because the compiler then words the error as the trait does.
        const _: () = {
            const fn must_be<T: $crate::memory::Viewable>() {}
            $(must_be::<$type>();)*
        };
    };
}
