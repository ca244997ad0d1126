//! [`Key`]: the name under which unrelated processes find the same segment or semaphore set.

use crate::error::{Call, Error, ErrorKind, Hint};
use crate::sys::{self, Errno, RawKey};
use crate::text;
use std::fmt;
use std::num::ParseIntError;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;

/// A System V IPC key: C's `key_t`.
///
/// A key is a plain number, chosen by convention. Programs usually derive it from a file both know
/// ([`from_path`](Self::from_path)), agree on a constant ([`from_raw`](Self::from_raw)), or need none at all and
/// hand over the identifier ([`PRIVATE`](Self::PRIVATE)).
///
/// Any value is a key: negative ones are ordinary (`ftok` makes them from ids of 128 and more), and -1, which C
/// cannot tell from a failure of `ftok`, is one too. The number 0 alone is special.
///
/// ```
/// use sysvshm::Key;
///
/// let key = Key::from_raw(0x2a01_beef);
/// assert_eq!(key.to_string(), "0x2a01beef"); // as ipcs prints it
/// assert_eq!("0x2a01beef".parse(), Ok(key));
/// assert_eq!(Key::from_raw(-1).to_string(), "0xffffffff");
/// ```
///
/// # What this does not protect you from
///
/// A key proves nothing: whoever comes first creates the segment and decides what is in it. `ftok` keys of
/// different files collide (only 16 bits of the inode number go in), and the key changes when the file is deleted
/// and made anew, as editors, package upgrades and log rotation do. Any 32-bit number is also easily guessed.
#[doc(alias = "key_t")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(RawKey);

impl Key {
    /// The key that names nothing: each creation with it makes a new segment, and no lookup finds one.
    ///
    /// Hand the [`SegmentId`](crate::SegmentId) to the other process instead. Opening with it is refused, because
    /// `shmget(IPC_PRIVATE, ...)` would create a segment even without `IPC_CREAT` (shmget(2)).
    #[doc(alias = "IPC_PRIVATE")]
    pub const PRIVATE: Self = Self(libc::IPC_PRIVATE);

    /// The key of an existing file and a number, as all programs that name the same file and number get it.
    ///
    /// The same value as C's `ftok(path, id)`: 8 bits of `id`, 8 bits of the device number and 16 bits of the inode
    /// number. Symbolic links are followed; hard links and a directory work. The file's contents do not matter.
    ///
    /// **C call:** `stat(2)`, once. `ftok` itself is not called: its result -1 may be a key or a failure, and
    /// `stat` knows which.
    ///
    /// # Errors
    ///
    /// [`KeyFile`](ErrorKind::KeyFile) with the errno of `stat`: `ENOENT` no such file, `EACCES` a directory on the
    /// way is closed, `ENOTDIR`, `ELOOP`, `ENAMETOOLONG`, and so on. [`InvalidInput`](ErrorKind::InvalidInput) for
    /// `id` 0, whose behaviour POSIX leaves undefined (ftok(3)); [`ftok`](Self::ftok) takes it.
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key};
    ///
    /// let directory = tempfile::tempdir().unwrap();
    /// let path = directory.path().join("SYSUOS");
    /// let error = Key::from_path(&path, 42).unwrap_err();
    /// assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::KeyFile, Some(2))); // ENOENT
    ///
    /// std::fs::File::create(&path).unwrap();
    /// let key = Key::from_path(&path, 42)?;
    /// assert_eq!(key.as_raw() >> 24, 42);
    /// assert_eq!(key, Key::from_path(&path, 42)?);
    /// assert_eq!(Key::from_path(&path, 0).unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "ftok")]
    pub fn from_path(path: impl AsRef<Path>, id: u8) -> Result<Self, Error> {
        let path = path.as_ref();
        if id == 0 {
            let call = Call::Ftok {
                path: path.into(),
                id: 0,
            };
            let hint =
                Hint::Text("POSIX leaves id 0 undefined; use 1 to 255, or Key::ftok as C does");
            return Err(Error::refused(call, ErrorKind::InvalidInput, hint));
        }
        Self::ftok(path, i32::from(id))
    }

    /// What C's `ftok` returns, for any `id`, without the doubt about -1.
    ///
    /// Only the low 8 bits of `id` count. With id 0 the key's top byte is 0, and the key may even be
    /// [`PRIVATE`](Self::PRIVATE).
    ///
    /// **C call:** `stat(2)`, once.
    ///
    /// # Errors
    ///
    /// [`KeyFile`](ErrorKind::KeyFile) with the errno of `stat`, as for [`from_path`](Self::from_path).
    ///
    /// ```
    /// use sysvshm::Key;
    ///
    /// let file = tempfile::NamedTempFile::new().unwrap();
    /// assert_eq!(Key::ftok(file.path(), 0x141)?, Key::ftok(file.path(), 0x41)?);
    /// assert!(Key::ftok(file.path(), 0x80)?.as_raw() < 0); // negative, and as good as any
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn ftok(path: impl AsRef<Path>, id: i32) -> Result<Self, Error> {
        let path = path.as_ref();
        let metadata = std::fs::metadata(path).map_err(|error| {
            let call = Call::Ftok {
                path: path.into(),
                id,
            };
            // std refuses a NUL byte in the path before asking the system; no such file can exist.
            Error::from_call(call, Errno(error.raw_os_error().unwrap_or(libc::ENOENT)))
        })?;
        Ok(Self(ftok_value(metadata.dev(), metadata.ino(), id)))
    }

    /// A key that no other process is likely to use, from the kernel's random numbers. Never
    /// [`PRIVATE`](Self::PRIVATE).
    ///
    /// One of 2^32 - 1 values: fine for tests and for handing to a child process; create with
    /// [`create_new`](crate::SegmentOptions::create_new), which tells when it is taken after all.
    ///
    /// **C call:** `getrandom(2)`, or `getentropy(2)` outside Linux.
    ///
    /// # Errors
    ///
    /// [`Other`](ErrorKind::Other) if the system has no random numbers to give.
    ///
    /// ```
    /// use sysvshm::Key;
    ///
    /// assert_ne!(Key::random()?, Key::PRIVATE);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn random() -> Result<Self, Error> {
        loop {
            let random = sys::process::random_u64()
                .map_err(|errno| Error::from_call(Call::Random, errno))?;
            // 32 bits even where key_t has 64: tools and peers print and pass no more.
            let key = Self(random as i32 as RawKey);
            if key != Self::PRIVATE {
                return Ok(key);
            }
        }
    }

    /// The key with this value: any number, negative ones included.
    ///
    /// ```
    /// # use sysvshm::Key;
    /// assert_eq!(Key::from_raw(-559_038_737).as_raw(), -559_038_737);
    /// assert!(Key::from_raw(0).is_private());
    /// ```
    #[must_use]
    pub const fn from_raw(raw: RawKey) -> Self {
        Self(raw)
    }

    /// The value as C has it: an `i32` on Linux and macOS, an `i64` on FreeBSD.
    ///
    /// ```
    /// assert_eq!(sysvshm::Key::from_raw(42).as_raw(), 42);
    /// ```
    #[must_use]
    pub const fn as_raw(self) -> RawKey {
        self.0
    }

    /// Whether this is [`PRIVATE`](Self::PRIVATE).
    ///
    /// ```
    /// # use sysvshm::Key;
    /// assert!(Key::PRIVATE.is_private() && !Key::from_raw(1).is_private());
    /// ```
    #[must_use]
    pub const fn is_private(self) -> bool {
        self.0 == libc::IPC_PRIVATE
    }
}

/// The arithmetic of `ftok`, the same in glibc (sysvipc/ftok.c), musl (src/ipc/ftok.c), FreeBSD
/// (lib/libc/gen/ftok.c) and macOS.
///
/// All compute 32 bits; where `key_t` is wider, the BSD sources extend the sign, as the conversion here does.
fn ftok_value(device: u64, inode: u64, id: i32) -> RawKey {
    let low = (inode & 0xffff) | ((device & 0xff) << 16);
    ((id << 24) | low as i32) as RawKey
}

/// Hexadecimal with eight digits, as `ipcs` prints keys; more only where `key_t` has 64 bits and the key needs
/// them. A width is heeded, as for text: `{:<12}`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[allow(clippy::useless_conversion)] // key_t is 64 bits wide on FreeBSD.
        match i32::try_from(self.0) {
            Ok(short) => text::pad(f, format_args!("{short:#010x}")),
            Err(_) => text::pad(f, format_args!("{:#x}", self.0)),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

impl fmt::LowerHex for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}

/// Reads what [`Display`](fmt::Display) writes, and signed decimal numbers as `/proc/sysvipc/shm` has them, so that
/// keys travel through arguments, files and the environment.
impl FromStr for Key {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            // The numbers' own parser takes a sign; `0x-5` is no way to write one.
            Some(signed) if signed.starts_with(['+', '-']) => "0x".parse().map(Self),
            Some(hex) => u32::from_str_radix(hex, 16)
                .map(|bits| Self(bits as i32 as RawKey))
                // Wider keys, where there are any: parsing as key_t fails on systems that have none.
                .or_else(|_| RawKey::from_str_radix(hex, 16).map(Self)),
            None => text.parse().map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ftok_keeps_the_bits_that_c_keeps() {
        assert_eq!(ftok_value(0xabcd, 0x1234_5678, 42), 0x2acd_5678);
        assert_eq!(ftok_value(0, 0, 0), 0);
    }

    #[test]
    fn no_sign_follows_the_prefix() {
        for text in ["0x-5", "0x+5", "0X-5", "0x", "0xg", "0x100000000", ""] {
            // Keys of 64 bits take nine digits.
            if text.len() < 11 || size_of::<RawKey>() == 4 {
                assert!(text.parse::<Key>().is_err(), "{text}");
            }
        }
        assert_eq!("-5".parse(), Ok(Key(-5)));
        assert_eq!("0xfffffffb".parse(), Ok(Key(-5)));
    }

    #[test]
    fn a_legitimate_key_may_equal_the_error_value_of_c() {
        assert_eq!(ftok_value(0xff, 0xffff, 0xff), -1);
    }
}
