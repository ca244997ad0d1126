//! [`Layout`]: where the slots of a ring lie, the same for both rings.

use super::fault::LayoutFault;
use std::marker::PhantomData;

/// How the slots of a ring are laid out. Chosen by who creates it and kept in its header.
///
/// A word of 8 bytes in each slot says what is in it, in either layout. All calls work with both; a view of a run
/// of items exists in `Contiguous` alone. Interleaved slots that are larger than a cache line are rounded up to
/// whole lines: an item of 8 bytes takes 16 in either layout, one of 64 bytes takes 128 interleaved and 72
/// contiguous.
///
/// # Where the slots lie
///
/// | | word of slot `n` | item of slot `n` |
/// |---|---|---|
/// | interleaved | `start + n * stride` | `to_item` bytes behind its word |
/// | contiguous | `start + 8 * n` | `items + size * n`; `items` is behind the words, at a multiple of 128 and of `align` |
///
/// `size` and `align` are those of an item. `start` is behind what a ring has in front of its slots, at a multiple
/// of 128 and, interleaved, of the alignment of a slot. `stride` is `to_item + size`, rounded up to a multiple of
/// that:
///
/// | interleaved | alignment of a slot | `to_item` |
/// |---|---|---|
/// | `max(align, 8) + size <= 64` | `max(align, 8)` | `max(align, 8)` |
/// | more, and `size < 256` | `max(align, 64)` | `max(align, 8)` |
/// | `size >= 256` | `max(align, 64)` | `max(align, 64)` |
///
/// So no two slots that are larger than a cache line share one.
///
/// # Examples
///
/// ```
/// use sysvshm::Key;
/// use sysvshm::bounded_buffer::{Layout, spsc::Options};
///
/// let bytes_per_item = |layout| -> Result<usize, Box<dyn std::error::Error>> {
///     let len = |items| -> Result<usize, Box<dyn std::error::Error>> {
///         let buffer = Options::new().capacity(items).layout(layout).create_new::<[u64; 8]>(Key::PRIVATE)?;
///         buffer.segment().mark_for_removal()?;
///         Ok(buffer.segment().len_bytes())
///     };
///     Ok((len(2048)? - len(1024)?) / 1024)
/// };
/// assert_eq!((bytes_per_item(Layout::Interleaved)?, bytes_per_item(Layout::Contiguous)?), (128, 72));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// A word beside each item. Best for single items and for round trips: one cache line carries both.
    /// The default.
    #[default]
    Interleaved,
    /// Words apart, items side by side. Best for bytes, batches and chunks in place: a run of items is one piece of
    /// memory, copied at once.
    Contiguous,
}

impl Layout {
    pub(crate) fn variant(self) -> u32 {
        match self {
            Self::Interleaved => 0,
            Self::Contiguous => 1,
        }
    }

    /// The layout that a header names.
    pub(crate) fn found(variant: u32) -> Result<Self, LayoutFault> {
        match variant {
            0 => Ok(Self::Interleaved),
            1 => Ok(Self::Contiguous),
            _ => Err(LayoutFault::Mismatch {
                what: "layout",
                found: variant.into(),
                expected: Self::default().variant().into(),
            }),
        }
    }
}

/// Two cache lines: what is written by two processes never shares one, nor a pair of them, because processors fetch
/// pairs.
pub(crate) const LINES: usize = 2 * LINE;
/// A cache line.
pub(crate) const LINE: usize = 64;
/// From this size on an item begins a cache line of its own: a line more, and the copies are aligned.
const LARGE: usize = 256;
/// Alignments beyond a page cannot be promised for a mapping.
pub(crate) const MAX_ALIGN: usize = 4096;

/// The items of a ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Items {
    pub(crate) capacity: u64,
    pub(crate) size: usize,
    pub(crate) align: usize,
}

impl Items {
    pub(crate) fn of<T>(capacity: u64) -> Self {
        const { assert!(size_of::<T>() != 0, "items of no size need no buffer") };
        Self {
            capacity,
            size: size_of::<T>(),
            align: align_of::<T>(),
        }
    }
}

/// Where words and items lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    /// Where the first word is, and from one to the next.
    pub(crate) words: usize,
    pub(crate) word_stride: usize,
    /// Where the first item is, and from one to the next.
    pub(crate) items: usize,
    pub(crate) item_stride: usize,
    /// Behind the last of both.
    pub(crate) end: usize,
}

/// The alignment of an interleaved slot, and how far behind its word its item is.
const fn interleaved(size: usize, align: usize) -> (usize, usize) {
    let (word, line) = (larger(align, 8), larger(align, LINE));
    if size >= LARGE {
        (line, line)
    } else if word + size <= LINE {
        (word, word)
    } else {
        (line, word)
    }
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Where interleaved slots lie whose items are of this type: known to the compiler.
pub(crate) struct Interleaved<T>(PhantomData<T>);

impl<T> Interleaved<T> {
    /// How far behind its word an item is.
    pub(crate) const TO_ITEM: usize = interleaved(size_of::<T>(), align_of::<T>()).1;
    /// From one slot to the next.
    pub(crate) const STRIDE: usize = (Self::TO_ITEM + size_of::<T>())
        .next_multiple_of(interleaved(size_of::<T>(), align_of::<T>()).0);
}

impl Slots {
    /// `count` slots behind the first `front` bytes. `None` if that does not fit an address space.
    pub(crate) fn new(
        layout: Layout,
        front: usize,
        count: usize,
        size: usize,
        align: usize,
    ) -> Option<Self> {
        if align > MAX_ALIGN {
            return None;
        }
        let up = |n: usize, to: usize| n.checked_next_multiple_of(to);
        let run = |start: usize, stride: usize| start.checked_add(stride.checked_mul(count)?);
        let slots = match layout {
            Layout::Interleaved => {
                let (slot, to_item) = interleaved(size, align);
                let words = up(front, slot.max(LINES))?;
                let stride = up(to_item.checked_add(size)?, slot)?;
                Self {
                    words,
                    word_stride: stride,
                    items: words.checked_add(to_item)?,
                    item_stride: stride,
                    end: run(words, stride)?,
                }
            }
            Layout::Contiguous => {
                let words = up(front, LINES)?;
                let items = up(run(words, 8)?, align.max(LINES))?;
                Self {
                    words,
                    word_stride: 8,
                    items,
                    item_stride: size,
                    end: run(items, size)?,
                }
            }
        };
        (slots.end <= isize::MAX as usize).then_some(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_do_not_overlap_and_stay_inside() {
        const SHAPES: [(usize, usize); 15] = [
            (1, 1),
            (3, 1),
            (4, 4),
            (8, 8),
            (24, 8),
            (64, 64),
            (16, 16),
            (56, 8),
            (57, 1),
            (248, 8),
            (255, 1),
            (256, 8),
            (1024, 8),
            (512, 256),
            (4096, 4096),
        ];
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            for (size, align) in SHAPES {
                for (front, count) in [(768, 1), (960, 2), (896 + 512 * 64, 3), (768, 64)] {
                    let slots = Slots::new(layout, front, count, size, align).unwrap();
                    let mut taken = vec![(0, front)];
                    for slot in 0..count {
                        let word = slots.words + slot * slots.word_stride;
                        let item = slots.items + slot * slots.item_stride;
                        assert_eq!((word % 8, item % align), (0, 0));
                        taken.extend([(word, 8), (item, size)]);
                    }
                    taken.sort_unstable();
                    for pair in taken.windows(2) {
                        let (at, len) = pair[0];
                        assert!(at + len <= pair[1].0, "{layout:?} {size} {count}");
                    }
                    let (at, len) = *taken.last().unwrap();
                    assert!(at + len <= slots.end);
                }
            }
        }
    }

    /// What the compiler is told of a type is what a ring for it is made with.
    #[test]
    fn strides_known_to_the_compiler_are_those_of_the_ring() {
        #[repr(align(64))]
        struct Aligned<const LEN: usize>([u8; LEN]);
        fn check<T>() {
            let (size, align) = (size_of::<T>(), align_of::<T>());
            let slots = Slots::new(Layout::Interleaved, 768, 3, size, align).unwrap();
            let of_type = (Interleaved::<T>::STRIDE, Interleaved::<T>::TO_ITEM);
            let of_ring = (slots.item_stride, slots.items - slots.words);
            assert_eq!(of_type, of_ring, "{size} {align}");
            assert_eq!(slots.word_stride, slots.item_stride);
            let slots = Slots::new(Layout::Contiguous, 768, 3, size, align).unwrap();
            assert_eq!((slots.word_stride, slots.item_stride), (8, size));
        }
        check::<u8>();
        check::<[u8; 3]>();
        check::<u32>();
        check::<u64>();
        check::<u128>();
        check::<[u64; 3]>();
        check::<[u64; 7]>();
        check::<[u8; 57]>();
        check::<[u64; 8]>();
        check::<[u64; 31]>();
        check::<[u8; 255]>();
        check::<[u64; 32]>();
        check::<[u64; 128]>();
        check::<Aligned<64>>();
        check::<Aligned<256>>();
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for layout in [Layout::Interleaved, Layout::Contiguous] {
            assert_eq!(Slots::new(layout, 768, usize::MAX, 8, 8), None);
            assert_eq!(Slots::new(layout, 768, 1 << (usize::BITS - 4), 8, 8), None);
            assert_eq!(Slots::new(layout, 768, 1, usize::MAX, 8), None);
            assert_eq!(Slots::new(layout, 768, 1, 8192, 8192), None);
        }
    }
}
