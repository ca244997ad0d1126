//! Iterators over views: copies of elements, and pieces.

use std::fmt;
use std::iter::FusedIterator;

use crate::access::{Access, ReadWrite};

use super::{Readable, SharedSlice, Viewable};

/// Copies of the elements of a [`SharedSlice`], each read when the iterator comes to it. Made by
/// [`SharedSlice::iter`].
///
/// ```
/// # let segment = sysvshm::SegmentOptions::new().size_bytes(4).create_new(sysvshm::Key::PRIVATE)?;
/// # segment.mark_for_removal()?;
/// let bytes = segment.slice::<u8>(0, 4).unwrap();
/// let mut iter = bytes.iter();
/// assert_eq!(iter.next(), Some(0));
/// bytes.fill(9); // somebody writes meanwhile
/// assert_eq!((iter.len(), iter.next(), iter.next_back()), (3, Some(9), Some(9)));
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Clone)]
pub struct Iter<'a, T, A: Access = ReadWrite> {
    rest: SharedSlice<'a, T, A>,
}

impl<'a, T: Readable, A: Access> Iter<'a, T, A> {
    pub(super) fn new(rest: SharedSlice<'a, T, A>) -> Self {
        Self { rest }
    }
}

impl<T, A: Access> fmt::Debug for Iter<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Iter").field(&self.rest).finish()
    }
}

impl<T: Readable, A: Access> Iterator for Iter<'_, T, A> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.nth(0)
    }

    #[inline]
    fn nth(&mut self, n: usize) -> Option<T> {
        match self.rest.get(n) {
            Some(element) => {
                self.rest = self.rest.slice(n + 1..);
                Some(element.load())
            }
            None => {
                self.rest = self.rest.slice(self.rest.len()..);
                None
            }
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rest.len(), Some(self.rest.len()))
    }
}

impl<T: Readable, A: Access> DoubleEndedIterator for Iter<'_, T, A> {
    #[inline]
    fn next_back(&mut self) -> Option<T> {
        let last = self.rest.len().checked_sub(1)?;
        let element = self.rest.load(last);
        self.rest = self.rest.slice(..last);
        Some(element)
    }
}

impl<T: Readable, A: Access> ExactSizeIterator for Iter<'_, T, A> {}

impl<T: Readable, A: Access> FusedIterator for Iter<'_, T, A> {}

impl<'a, T: Readable, A: Access> IntoIterator for SharedSlice<'a, T, A> {
    type Item = T;
    type IntoIter = Iter<'a, T, A>;

    fn into_iter(self) -> Iter<'a, T, A> {
        self.iter()
    }
}

/// Pieces of a [`SharedSlice`]. Made by [`SharedSlice::chunks`].
///
/// ```
/// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
/// # segment.mark_for_removal()?;
/// let chunks = segment.slice::<u8>(0, 8).unwrap().chunks(3);
/// assert_eq!(chunks.len(), 3);
/// assert_eq!(chunks.map(|chunk| chunk.len()).collect::<Vec<_>>(), [3, 3, 2]);
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[derive(Clone)]
pub struct Chunks<'a, T, A: Access = ReadWrite> {
    rest: SharedSlice<'a, T, A>,
    len: usize,
}

impl<'a, T: Viewable, A: Access> Chunks<'a, T, A> {
    #[track_caller]
    pub(super) fn new(rest: SharedSlice<'a, T, A>, len: usize) -> Self {
        assert!(len != 0, "pieces of a shared slice must hold something");
        Self { rest, len }
    }
}

impl<T, A: Access> fmt::Debug for Chunks<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("rest", &self.rest)
            .field("len", &self.len)
            .finish()
    }
}

impl<'a, T: Viewable, A: Access> Iterator for Chunks<'a, T, A> {
    type Item = SharedSlice<'a, T, A>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (chunk, rest) = self.rest.split_at(self.len.min(self.rest.len()));
        self.rest = rest;
        Some(chunk)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.rest.len().div_ceil(self.len);
        (left, Some(left))
    }
}

impl<T: Viewable, A: Access> DoubleEndedIterator for Chunks<'_, T, A> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let odd = self.rest.len() % self.len;
        let last = if odd == 0 { self.len } else { odd };
        let (rest, chunk) = self.rest.split_at(self.rest.len() - last);
        self.rest = rest;
        Some(chunk)
    }
}

impl<T: Viewable, A: Access> ExactSizeIterator for Chunks<'_, T, A> {}

impl<T: Viewable, A: Access> FusedIterator for Chunks<'_, T, A> {}

/// Going through a run.
impl<'a, T: Viewable, A: Access> SharedSlice<'a, T, A> {
    /// The run in pieces of `len` elements, the last one shorter if it does not come out even.
    ///
    /// # Panics
    ///
    /// If `len` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let bytes = segment.slice::<u8>(0, 8).unwrap();
    /// for (number, chunk) in bytes.chunks(3).enumerate() {
    ///     chunk.fill(number as u8);
    /// }
    /// assert_eq!(bytes.to_vec(), [0, 0, 0, 1, 1, 1, 2, 2]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[track_caller]
    #[must_use]
    pub fn chunks(self, len: usize) -> Chunks<'a, T, A> {
        Chunks::new(self, len)
    }

    /// Copies of the elements, one after the other, each read when the iterator comes to it.
    ///
    /// # Examples
    ///
    /// ```
    /// # let segment = sysvshm::SegmentOptions::new().size_bytes(8).create_new(sysvshm::Key::PRIVATE)?;
    /// # segment.mark_for_removal()?;
    /// let numbers = segment.slice::<u16>(0, 4).unwrap();
    /// numbers.write_from(&[1, 2, 3, 4]);
    /// assert_eq!(numbers.iter().rev().collect::<Vec<_>>(), [4, 3, 2, 1]);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[must_use]
    pub fn iter(self) -> Iter<'a, T, A>
    where
        T: Readable,
    {
        Iter::new(self)
    }
}
