//! Telling a forked child from its parent, for handles that must not act twice.
//!
//! A fork copies every handle. What such a copy may do differs: detaching the child's own mapping is right,
//! removing the parent's segment is not. Process ids cannot tell them apart for sure: numbers repeat, and a child
//! in another pid namespace may have its parent's number. So one page of memory is marked `MADV_WIPEONFORK`
//! (madvise(2), Linux 4.14): the child finds zeros in it.
//!
//! Each process draws an [`Epoch`] when it first asks, handles keep the one they were made in, and comparing costs
//! one load. Where the advice is missing or refused, the process id stands in for the epoch, at the cost of a system call and
//! with the weakness described.
#![allow(unsafe_code)] // One page of private memory, read and written as an atomic.

use crate::error::{Call, Error};
use crate::sys::mapping::{self, Protection};
use crate::sys::{os, process};
use once_cell::race::OnceRef;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which process a handle was made in, as far as forks go. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

/// The page that a fork wipes, or [`NO_PAGE`] where the system cannot do that. It stays mapped as long as the
/// process lives.
///
/// Set without a lock: a child forked while another thread holds one would wait for it for ever. Threads that are
/// first together each map a page, and all but one page are never used.
///
/// Running out of memory is not remembered: the next handle tries again, and no handle exists whose epoch would
/// change by that.
static PAGE: OnceRef<'static, AtomicU64> = OnceRef::new();
/// Says that process ids stand in for epochs. Stays 0, which no epoch is.
static NO_PAGE: AtomicU64 = AtomicU64::new(0);
/// The last epoch drawn. A fork copies it, so a child draws one that no inherited handle has.
static LAST: AtomicU64 = AtomicU64::new(0);

impl Epoch {
    /// The epoch of the running process, for a new handle.
    ///
    /// Fails when the first handle of a process finds no memory for the page.
    pub(crate) fn current() -> Result<Self, Error> {
        Ok(Self::read(PAGE.get_or_try_init(map_page)?))
    }

    /// Whether the running process is the one this epoch was drawn in.
    pub(crate) fn is_current(self) -> bool {
        // Whoever holds an epoch has initialised the cell, in this process or in the one it was forked from.
        self == Self::read(PAGE.get().unwrap_or(&NO_PAGE))
    }

    fn read(page: &AtomicU64) -> Self {
        if ptr::eq(page, &raw const NO_PAGE) {
            return Self(u64::from(process::pid().unsigned_abs()));
        }
        // Relaxed: the value is only compared, it publishes nothing.
        match page.load(Ordering::Relaxed) {
            0 => Self::draw(page),
            epoch => Self(epoch),
        }
    }

    #[cold]
    fn draw(page: &AtomicU64) -> Self {
        let fresh = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        // Two threads may draw at once: the first to store decides for the process.
        match page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Self(fresh),
            Err(epoch) => Self(epoch),
        }
    }
}

/// An [`Epoch`] and the page it was read from: for checks on paths that a function call would slow down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForkGuard {
    page: &'static AtomicU64,
    epoch: u64,
}

impl ForkGuard {
    /// The running process; fails as [`Epoch::current`].
    pub(crate) fn new() -> Result<Self, Error> {
        let Epoch(epoch) = Epoch::current()?;
        let page = PAGE.get().unwrap_or(&NO_PAGE);
        Ok(Self { page, epoch })
    }

    /// Whether the running process is the one that made this. One load, where the system can wipe a page.
    #[inline(always)]
    pub(crate) fn is_current(self) -> bool {
        self.is_current_at_first_sight() || self.is_current_slow()
    }

    /// The same without a call: `false` may also mean that it takes one to find out.
    #[inline(always)]
    pub(crate) fn is_current_at_first_sight(self) -> bool {
        // `NO_PAGE` holds 0, which no epoch is: there every check takes the slow way.
        self.page.load(Ordering::Relaxed) == self.epoch
    }

    #[cold]
    fn is_current_slow(self) -> bool {
        Epoch(self.epoch).is_current()
    }
}

fn map_page() -> Result<&'static AtomicU64, Error> {
    let Some(advice) = os::MADV_WIPEONFORK else {
        return Ok(&NO_PAGE);
    };
    let len = process::page_size();
    let page = mapping::map_anonymous(len, Protection::ReadWrite)
        .map_err(|errno| Error::from_call(Call::ForkPage, errno))?;
    // SAFETY: the page is mapped and nobody knows of it yet, so nobody relies on what a child finds in it.
    if let Err(errno) = unsafe { mapping::advise(page, len, advice) } {
        // SAFETY: as above; it is given up here.
        let _ = unsafe { mapping::unmap(page, len) };
        return match errno.0 {
            // A kernel before 4.14 does not know the advice and never will, nor does an emulation that ignores all
            // advice. A sandbox that refuses the call will not change its mind either.
            libc::EINVAL | libc::EPERM | libc::EACCES | libc::ENOSYS => Ok(&NO_PAGE),
            _ => Err(Error::from_call(Call::ForkAdvice, errno)),
        };
    }
    // SAFETY: the page is zeroed, aligned, private to this process and never unmapped from here on.
    Ok(unsafe { page.cast::<AtomicU64>().as_ref() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_keeps_its_epoch_across_threads() {
        let here = Epoch::current().unwrap();
        let there = std::thread::spawn(Epoch::current).join().unwrap().unwrap();
        assert_eq!(here, there);
        assert!(here.is_current());
        assert!(ForkGuard::new().unwrap().is_current());
    }
}
