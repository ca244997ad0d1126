//! What is handed over: items of so many 64-bit words, each of which is the item's number.

use crate::peers::SharedWords;
use std::fmt::Debug;
use sysvshm::bytemuck::{self, Pod};

/// An item. Every word of it says its number, so that an item put together from two others is noticed.
pub trait Item:
    Pod
    + Debug
    + Send
    + SharedWords
    + iceoryx2::prelude::ZeroCopySend
    + zerocopy::AsBytes
    + zerocopy::FromBytes
{
    const BYTES: usize = size_of::<Self>();

    /// Writes the number into every word.
    fn set(&mut self, number: u64);
    fn words(&self) -> &[u64];
    #[inline(always)]
    fn of(number: u64) -> Self {
        let mut item = Self::zeroed();
        item.set(number);
        item
    }

    /// What the first word says.
    #[inline(always)]
    fn number(&self) -> u64 {
        self.words()[0]
    }

    /// Whether every word says this number. Reads all of the item, as a user would.
    #[inline(always)]
    fn is(&self, number: u64) -> bool {
        self.words()
            .iter()
            .fold(0, |wrong, word| wrong | (word ^ number))
            == 0
    }

    fn bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }
}

impl<const WORDS: usize> Item for [u64; WORDS]
where
    [u64; WORDS]: SharedWords + zerocopy::AsBytes + zerocopy::FromBytes,
{
    #[inline(always)]
    fn set(&mut self, number: u64) {
        self.fill(number);
    }

    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }
}

/// Items up to this size go by value, larger ones by reference where a peer has both.
pub const BY_VALUE_BYTES: usize = 64;

/// Calls a generic function with the item type of so many bytes.
#[macro_export]
macro_rules! with_item {
    ($bytes:expr, $item:ident => $call:expr) => {
        match $bytes {
            8 => {
                type $item = [u64; 1];
                $call
            }
            64 => {
                type $item = [u64; 8];
                $call
            }
            256 => {
                type $item = [u64; 32];
                $call
            }
            1024 => {
                type $item = [u64; 128];
                $call
            }
            4096 => {
                type $item = [u64; 512];
                $call
            }
            16384 => {
                type $item = [u64; 2048];
                $call
            }
            65536 => {
                type $item = [u64; 8192];
                $call
            }
            bytes => panic!("no item type of {bytes} bytes"),
        }
    };
}
