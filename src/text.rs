//! How keys, modes and identifiers are written and read: short texts that heed a width.

use std::fmt::{self, Write};

/// A text of up to 24 bytes, made without allocating.
#[derive(Default)]
struct Short {
    bytes: [u8; 24],
    len: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Writes a text of at most 24 bytes with the width, fill and alignment that `f` asks for.
pub(crate) fn pad(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    let mut short = Short::default();
    short.write_fmt(text)?;
    f.pad(std::str::from_utf8(&short.bytes[..short.len]).map_err(|_| fmt::Error)?)
}

/// `Display` and `FromStr` for an identifier, a struct of one `i32`: the number in decimal, as C programs pass it.
macro_rules! identifier_as_text {
    ($id:ident) => {
        /// The number, in decimal.
        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        /// Reads what [`Display`](std::fmt::Display) writes, so that identifiers travel through arguments, files and the
        /// environment.
        impl std::str::FromStr for $id {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}
pub(crate) use identifier_as_text;
