//! One error type for all kernel calls: which call, with which arguments, what went wrong, and what to do about it.
//!
//! `errno` alone answers little here: `EINVAL` from shmget(2) means either that a size is out of range or that an
//! existing segment is smaller than was asked, and `ENOSPC` has nothing to do with any disk. So a failed call is
//! looked into at once: the crate asks the kernel for the limits and for the segment that stood in the way, keeps
//! the numbers in the [`Error`], and prints them.
//!
//! ```
//! use sysvshm::{ErrorKind, Key, SegmentOptions};
//!
//! let segment = SegmentOptions::new().size_bytes(100).create_new(Key::random()?)?;
//! let key = segment.status()?.key();
//! let error = SegmentOptions::new().size_bytes(5000).open(key).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
//! assert_eq!(error.raw_os_error(), Some(22)); // EINVAL
//! assert!(error.to_string().contains("has 100 bytes"));
//! segment.mark_for_removal()?;
//! # Ok::<(), sysvshm::Error>(())
//! ```
//!
//! An `Error` is a plain value: building and dropping one allocates nothing (an error of `ftok` holds its path, the
//! one exception), so the calls that may run in a signal handler stay allowed there when they fail.
//!
//! # What this does not protect you from
//!
//! The kernel is asked after the call has failed. If others created, removed or changed something in between, the
//! numbers are those of a moment later, and the kind may be the likeliest instead of the true one. `errno` is
//! always that of the call.

mod call;
mod diagnosis;
mod hint;
mod kind;
mod known_kind;
mod object;
mod words;

pub(crate) use call::{Access, Asked, Call, Command, Direction, MessageCall, SemopCall};
pub(crate) use hint::Hint;
pub use kind::ErrorKind;
pub use known_kind::KnownKind;
pub(crate) use known_kind::known_kind;
pub(crate) use object::Object;

use crate::sys::Errno;
use std::{fmt, io};

/// Why a System V call failed, or why this crate refused to make it.
///
/// The message reads `call(arguments): what happened (ERRNO); what to do`. See the [module](self) for an example.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{call}: {}{}{hint}", Purpose(*makes_token), kind.about(call.object()), kind::Name(*errno))]
pub struct Error {
    call: Call,
    kind: ErrorKind,
    /// 0 when the crate refused by itself.
    errno: i32,
    /// Whether the call was a part of making the token of a process that takes part in a ring, which no caller asks
    /// for by name.
    makes_token: bool,
    hint: Hint,
}

impl Error {
    /// A call that failed. Looks at once for the cause, as long as it can still be seen.
    pub(crate) fn from_call(call: Call, errno: Errno) -> Self {
        let (kind, hint) = diagnosis::diagnose(&call, errno.0);
        Self {
            makes_token: false,
            call,
            kind,
            errno: errno.0,
            hint,
        }
    }

    /// Something this crate refuses before any call, or finds in what a call answered.
    pub(crate) fn refused(call: Call, kind: ErrorKind, hint: Hint) -> Self {
        Self {
            makes_token: false,
            call,
            kind,
            errno: 0,
            hint,
        }
    }

    /// The same, said to have happened while a token was made.
    #[cfg(target_os = "linux")] // Elsewhere there are no tokens.
    pub(crate) fn while_making_token(mut self) -> Self {
        self.makes_token = true;
        self
    }

    /// A prefault that stood in for a SIGBUS at the first touch of a missing huge page.
    pub(crate) fn into_huge_pages_missing(mut self) -> Self {
        // Refused for a reason that has nothing to do with huge pages: by a kernel before 5.14, an emulator or a sandbox.
        let text = match self.kind {
            ErrorKind::Unsupported => words::HUGE_PAGES_NOT_BROUGHT_IN,
            _ => words::HUGE_PAGES_MISSING,
        };
        self.kind = ErrorKind::HugePagesUnavailable;
        self.hint = Hint::Text(text);
        self
    }

    /// A status that is not told of what is attached, and so exists.
    pub(crate) fn into_status_hidden(mut self) -> Self {
        self.kind = ErrorKind::Unsupported;
        self.hint = Hint::Text(words::STATUS_HIDDEN);
        self
    }

    /// What went wrong, in a form to match on.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SegmentOptions};
    ///
    /// let segment = match SegmentOptions::new().open(Key::random()?) {
    ///     Ok(segment) => Some(segment),
    ///     Err(error) if error.kind() == ErrorKind::NotFound => None, // the server is not there yet
    ///     Err(error) => return Err(error),
    /// };
    /// assert!(segment.is_none());
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The value of `errno`, or `None` if no call failed: the crate refused by itself.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentId};
    ///
    /// assert_eq!(SegmentId::find(Key::random()?).unwrap_err().raw_os_error(), Some(2)); // ENOENT
    /// assert_eq!(SegmentId::find(Key::PRIVATE).unwrap_err().raw_os_error(), None);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "errno")]
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        (self.errno != 0).then_some(self.errno)
    }

    /// The C function that failed or that would have been called, such as `"shmget"`; `"read_at"` and `"write_at"`
    /// for copies that would leave the segment.
    ///
    /// ```
    /// use sysvshm::SegmentId;
    ///
    /// assert_eq!(SegmentId::from_raw(-1).attach().unwrap_err().call(), "shmat");
    /// ```
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.call.function()
    }

    /// What to do about it, with the numbers that matter; `None` where nothing useful is known.
    ///
    /// ```
    /// use sysvshm::{Key, SegmentOptions};
    ///
    /// let error = SegmentOptions::new().create_new(Key::PRIVATE).unwrap_err();
    /// assert_eq!(error.hint().unwrap(), "a new segment has at least 1 byte; say how many with size_bytes");
    /// ```
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = self.hint.to_string();
        text.strip_prefix("; ").map(str::to_owned)
    }
}

known_kind!(Error);

/// `making the token of this process: `, or nothing.
struct Purpose(bool);

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 {
            "making the token by which others know that this process lives: "
        } else {
            ""
        })
    }
}

/// Keeps the kind as far as `std` has one, and the whole error as the inner one.
///
/// ```
/// use sysvshm::{Key, SegmentOptions};
///
/// fn open() -> std::io::Result<()> {
///     SegmentOptions::new().open(Key::random()?)?;
///     Ok(())
/// }
/// assert_eq!(open().unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind.to_io() {
            // No word of its own in std; errno still tells the common ones apart.
            io::ErrorKind::Other if error.errno != 0 => {
                io::Error::from_raw_os_error(error.errno).kind()
            }
            kind => kind,
        };
        io::Error::new(kind, error)
    }
}
