//! Runs of items: copies of several at once, and views of them.
//!
//! A run is items from an offset on, each `stride` bytes behind the one before. Where that is the size of an item
//! they lie side by side, and a run is one piece of memory.
#![allow(
    unsafe_code,
    reason = "offsets come from a geometry that was checked against the segment"
)]

use super::memory::{Mapped, SharedItems};
use crate::access;
use crate::memory::SharedSlice;
use bytemuck::Pod;
use std::mem::size_of_val;
use std::ptr::NonNull;

/// Copies items in.
///
/// # Safety
///
/// As many items as there are fit in the memory at `at`, `stride` apart.
#[inline(always)]
pub(crate) unsafe fn write<T: Pod>(memory: Mapped, at: usize, stride: usize, items: &[T]) {
    if stride == size_of::<T>() {
        // SAFETY: inside the memory or at its end, as the caller says.
        let to = unsafe { memory.address::<u8>(at) };
        // SAFETY: the run is one piece of mapped, writable memory; the slice is private.
        unsafe { access::copy_in(to, items.as_ptr().cast(), size_of_val(items)) };
    } else {
        let mut at = at;
        for item in items {
            // SAFETY: the caller vouches for the run.
            unsafe { memory.write_item(at, item) };
            at += stride;
        }
    }
}

/// Copies items out.
///
/// # Safety
///
/// As many items as the slice holds lie in the memory at `at`, `stride` apart.
#[inline(always)]
pub(crate) unsafe fn read<T: Pod>(memory: Mapped, at: usize, stride: usize, into: &mut [T]) {
    if stride == size_of::<T>() {
        // SAFETY: inside the memory or at its end, as the caller says.
        let from = unsafe { memory.address::<u8>(at) };
        // SAFETY: the run is one piece of mapped memory; the slice is private, and `T` is valid for any bytes.
        unsafe { access::copy_out(from, into.as_mut_ptr().cast(), size_of_val(into)) };
    } else {
        let mut at = at;
        for item in into {
            if size_of::<T>() <= 128 {
                // SAFETY: the caller vouches for the run.
                *item = unsafe { memory.read_item(at) };
            } else {
                // Not by value: each move of a large item is a copy more.
                // SAFETY: the caller vouches for the run.
                let from = unsafe { memory.address::<u8>(at) };
                // SAFETY: the item's bytes are mapped; the slice is private, and `T` is valid for any bytes.
                unsafe { access::copy_out(from, (&raw mut *item).cast(), size_of::<T>()) };
            }
            at += stride;
        }
    }
}

/// A view of a run, if its items lie side by side.
///
/// # Safety
///
/// `len` items lie in the memory at `at`, `stride` apart; `at` is a multiple of their alignment; and the memory
/// stays mapped for `'a`.
#[inline(always)]
pub(crate) unsafe fn view<'a, T: Pod>(
    memory: Mapped,
    at: usize,
    stride: usize,
    len: usize,
) -> Option<SharedSlice<'a, T>> {
    if stride != size_of::<T>() {
        return None;
    }
    // SAFETY: the caller vouches for the run.
    let start = unsafe { memory.address::<T>(at) };
    NonNull::new(start).map(|start| SharedSlice::from_checked(start, len))
}

/// Whether `count` items from `index` on are inside a run of `len`.
///
/// # Panics
///
/// If not.
#[inline(always)]
pub(crate) fn check(index: usize, count: usize, len: usize) {
    assert!(
        index <= len && count <= len - index,
        "items {index}..{} of a run of {len}",
        index.saturating_add(count)
    );
}
