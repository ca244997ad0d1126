//! [`KnownKind`]: what all error types of this crate say alike.

use super::kind::ErrorKind;

/// An error that says what went wrong in a form to match on. Every error type of this crate is one.
///
/// Each type has methods of these names, too, so the trait has to be named only in code for any of them, such as
/// [`wait_until_exists`](crate::wait_until_exists). A program implements it for an error of its own that stands for one
/// of these.
///
/// ```
/// use sysvshm::error::KnownKind;
/// use sysvshm::{ErrorKind, Key, SemaphoreSet, SharedArray};
///
/// fn is_in_use(error: &impl KnownKind) -> bool {
///     error.kind() == ErrorKind::InUse
/// }
///
/// let key = Key::random()?;
/// assert!(!is_in_use(&SemaphoreSet::open(key).unwrap_err()));
/// assert!(!is_in_use(&SharedArray::<u64>::open(key, 8).unwrap_err()));
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub trait KnownKind {
    /// Returns what went wrong.
    fn kind(&self) -> ErrorKind;

    /// Returns whether there is nothing of that name; see [`ErrorKind::is_not_found`].
    fn is_not_found(&self) -> bool {
        self.kind().is_not_found()
    }
}

/// Gives error types that have `kind()` the trait, and `is_not_found()` as a method of their own.
macro_rules! known_kind {
    ($($error:ident $(<$item:ident>)?),+) => {$(
        impl $(<$item>)? $error $(<$item>)? {
            /// Returns whether there is nothing of that name (yet, or any more); see
            /// [`ErrorKind::is_not_found`](crate::ErrorKind::is_not_found), which has an example.
            #[must_use]
            pub fn is_not_found(&self) -> bool {
                self.kind().is_not_found()
            }
        }

        impl $(<$item>)? $crate::error::KnownKind for $error $(<$item>)? {
            fn kind(&self) -> $crate::error::ErrorKind {
                self.kind()
            }
        }
    )+};
}
pub(crate) use known_kind;
