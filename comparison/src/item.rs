//! What is handed over: items of so many 64-bit words, each of which is the item's number.

use std::fmt::Debug;
use sysvshm::bytemuck::{self, Pod};
use sysvshm::{ReadOnly, SharedRef, SharedSlice};

/// An item. Every word of it says its number, so that an item put together from two others is noticed.
pub trait Item:
    Pod + Debug + Send + iceoryx2::prelude::ZeroCopySend + zerocopy::AsBytes + zerocopy::FromBytes
{
    const BYTES: usize = size_of::<Self>();

    /// Writes the number into every word.
    fn set(&mut self, number: u64);
    fn words(&self) -> &[u64];
    /// The words of an item that is in shared memory.
    fn shared_words(item: SharedRef<'_, Self>) -> SharedSlice<'_, u64>;
    fn shared_words_read_only(
        item: SharedRef<'_, Self, ReadOnly>,
    ) -> SharedSlice<'_, u64, ReadOnly>;

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
    [u64; WORDS]: zerocopy::AsBytes + zerocopy::FromBytes,
{
    #[inline(always)]
    fn set(&mut self, number: u64) {
        self.fill(number);
    }

    #[inline(always)]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline(always)]
    fn shared_words(item: SharedRef<'_, Self>) -> SharedSlice<'_, u64> {
        item.elements()
    }

    #[inline(always)]
    fn shared_words_read_only(
        item: SharedRef<'_, Self, ReadOnly>,
    ) -> SharedSlice<'_, u64, ReadOnly> {
        item.elements()
    }
}

/// Items up to this size go by value, larger ones by reference where a peer has both.
pub const BY_VALUE_BYTES: usize = 64;

/// Writes an item where it lies.
#[inline(always)]
pub fn set_shared<T: Item>(item: SharedRef<'_, T>, number: u64) {
    if T::BYTES <= BY_VALUE_BYTES {
        item.store(T::of(number));
    } else {
        T::shared_words(item).fill(number);
    }
}

/// Checks an item where it lies, by way of copies of a page at most.
#[inline(always)]
pub fn shared_is<T: Item>(item: SharedRef<'_, T, ReadOnly>, number: u64) -> bool {
    const PAGE: usize = 512;
    if T::BYTES <= 8 * PAGE {
        return item.load().is(number);
    }
    let mut page = [0; PAGE];
    let words = T::shared_words_read_only(item);
    let mut wrong = 0;
    let mut from = 0;
    while from < words.len() {
        let len = PAGE.min(words.len() - from);
        words.slice(from..from + len).read_into(&mut page[..len]);
        wrong |= page[..len]
            .iter()
            .fold(0, |wrong, word| wrong | (word ^ number));
        from += len;
    }
    wrong == 0
}

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
