//! From an identifier to an attached [`Segment`]: shmat(2), then everything that can only be known or done
//! afterwards.

use crate::error::{Call, Error, ErrorKind, Hint, Object};
use crate::fork::Epoch;
use crate::segment::options::{Removal, SegmentOptions};
use crate::segment::pages::{self, AlignedPlace};
use crate::segment::reclaim::Fingerprint;
use crate::segment::{Access, Segment, SegmentId, Status};
use crate::sys::{os, shm};
use std::ffi::c_int;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// How this process came to the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It made the segment just now.
    Created,
    /// It looked the key up or was handed the identifier.
    Found,
}

/// Attaches `id` as `options` say. Detaches again if a later step fails.
///
/// `accept` sees the segment before any memory is spent on it.
pub(super) fn attach<A: Access>(
    options: &SegmentOptions,
    id: SegmentId,
    origin: Origin,
    accept: impl FnOnce(&Status) -> Result<(), Error>,
) -> Result<(Segment<A>, Status), Error> {
    // Before the attach, as it may fail.
    let epoch = Epoch::current()?;
    let (segment, status) = map::<A>(options, id, origin)?;
    accept(&status)?;
    if options.size_bytes > segment.len_bytes() {
        // Only an open by identifier gets here: shmget checks the size of all others.
        return Err(Error::refused(
            shmat_call(id, 0, 0),
            ErrorKind::SegmentTooSmall,
            Hint::too_small(Object::Segment, id.as_raw(), options.size_bytes),
        ));
    }
    if options.transparent_huge_pages {
        segment.advise_transparent_huge_pages()?;
    }
    // Pages that this process had set aside at creation cannot run out. Of all other huge pages nobody knows, and
    // the first touch of one that is missing raises SIGBUS, so they are brought in now.
    let set_aside = origin == Origin::Created && !options.no_reserve;
    let may_be_missing =
        !set_aside && !options.huge_pages_suffice && pages::may_be_explicit(segment.base());
    if options.prefault || may_be_missing {
        segment.prefault().map_err(|error| {
            if options.prefault {
                error
            } else {
                error.into_huge_pages_missing()
            }
        })?;
    }
    Ok((finish(options, segment, &status, origin, epoch)?, status))
}

/// The call itself, and the length as the kernel states it.
fn map<A: Access>(
    options: &SegmentOptions,
    id: SegmentId,
    origin: Origin,
) -> Result<(Segment<A>, Status), Error> {
    let flags = options.attach_flags::<A>();
    let address = checked_address(options, id, flags)?;
    let pointer = ptr::without_provenance(address);
    #[allow(unsafe_code)]
    // SAFETY: the address is 0, for any, unless the caller of the unsafe `SegmentOptions::address` answers for the
    // range. SHM_REMAP is among the flags only if the caller of the unsafe `remap` does.
    let attached = unsafe { shm::shmat(id.as_raw(), pointer, flags) };
    let base = attached.map_err(|errno| Error::from_call(shmat_call(id, address, flags), errno))?;
    let mut segment = Segment {
        id,
        base: base.cast(),
        len_bytes: 0,
        created: origin == Origin::Created,
        remove_on_drop: None,
        _access: PhantomData,
    };
    // From here on an early return detaches by dropping. The id cannot be reused while it is attached, so this is
    // its length.
    let status = id.status_regardless().map_err(|error| {
        // Elsewhere than on Linux it may have been removed after the attach.
        if cfg!(target_os = "linux") && error.is_not_found() {
            error.into_status_hidden()
        } else {
            error
        }
    })?;
    segment.len_bytes = status.size_bytes();
    check_addressable(segment.len_bytes, shmat_call(id, address, flags))?;
    if options.transparent_huge_pages && options.address.is_none() {
        segment = align(segment, flags)?;
    }
    Ok((segment, status))
}

/// Refuses what is possible on 32-bit machines only: pointer arithmetic in Rust ends at `isize::MAX`.
pub(super) fn check_addressable(len_bytes: usize, call: Call) -> Result<(), Error> {
    if isize::try_from(len_bytes).is_ok() {
        return Ok(());
    }
    Err(Error::refused(
        call,
        ErrorKind::Unsupported,
        Hint::Text("a view of more than half the address space cannot be offered"),
    ))
}

/// Attaches once more where transparent huge pages can be mapped, and gives the first attach up.
///
/// The first attach pins the identifier: what `SHM_REMAP` places in the reservation is as long as the reservation
/// was made for.
fn align<A: Access>(segment: Segment<A>, flags: c_int) -> Result<Segment<A>, Error> {
    // Explicit huge pages need no better place, and their mapping is longer than the size says: it would leave the
    // reservation.
    if pages::may_be_explicit(segment.base) {
        return Ok(segment);
    }
    let (Some(place), Some(remap)) = (AlignedPlace::reserve(segment.len_bytes), os::SHM_REMAP)
    else {
        return Ok(segment);
    };
    let (id, address, flags) = (segment.id, place.address(), flags | remap);
    let pointer = ptr::without_provenance(address);
    #[allow(unsafe_code)]
    // SAFETY: the mapping replaces a part of the reservation, which nobody else knows of: ordinary pages cover the
    // size of the segment and no more, and `segment`, still attached, keeps another one from getting the id.
    let attached = unsafe { shm::shmat(id.as_raw(), pointer, flags) };
    drop(place);
    let base = attached.map_err(|errno| Error::from_call(shmat_call(id, address, flags), errno))?;
    Ok(Segment {
        id,
        base: base.cast(),
        len_bytes: segment.len_bytes,
        created: segment.created,
        remove_on_drop: None,
        _access: PhantomData,
    })
}

/// Decides what dropping will do, or marks at once.
fn finish<A: Access>(
    options: &SegmentOptions,
    mut segment: Segment<A>,
    status: &Status,
    origin: Origin,
    epoch: Epoch,
) -> Result<Segment<A>, Error> {
    if origin == Origin::Created {
        match options.removal {
            Removal::Never => {}
            Removal::OnDrop => segment.remove_on_drop = Some((Fingerprint::new(status), epoch)),
            Removal::OnceAttached => segment.mark_for_removal()?,
        }
    }
    Ok(segment)
}

/// The address for shmat, 0 for any, after refusing those that would map page 0.
fn checked_address(options: &SegmentOptions, id: SegmentId, flags: i32) -> Result<usize, Error> {
    let Some(address) = options.address else {
        return Ok(0);
    };
    let effective = if options.round_address {
        address - address % os::shmlba()
    } else {
        address
    };
    if effective == 0 {
        // With SHM_RND Linux lets root map page 0 by this, and a null pointer would then point somewhere.
        return Err(Error::refused(
            shmat_call(id, address, flags),
            ErrorKind::InvalidAddress,
            Hint::Text("this is page 0; leave the address out to let the system choose"),
        ));
    }
    if os::FLAGS_MAY_REPLACE && !options.remap && flags & (libc::SHM_RDONLY | libc::SHM_RND) != 0 {
        return Err(Error::refused(
            shmat_call(id, address, flags),
            ErrorKind::Unsupported,
            Hint::Text(
                "some kernels of this system would replace what is mapped there; attach read-write at a multiple of SHMLBA, or at any address",
            ),
        ));
    }
    Ok(address)
}

fn shmat_call(id: SegmentId, address: usize, flags: i32) -> Call {
    Call::Shmat {
        id: id.as_raw(),
        address,
        flags,
    }
}

/// Taking over what another part of the process attached.
impl<A: Access> Segment<A> {
    /// Takes over a segment that is attached already, such as by C code.
    ///
    /// **C call:** `shmctl(id, IPC_STAT)` for the length; where the mode forbids reading, `SHM_STAT_ANY` (Linux
    /// 4.17).
    ///
    /// # Errors
    ///
    /// Those of [`SegmentId::status`], and [`Unsupported`](crate::ErrorKind::Unsupported) for more than half of a
    /// 32-bit address space. The segment is then still attached, and still the caller's to detach.
    ///
    /// # Safety
    ///
    /// * `address` is what `shmat` returned for `id` in this process, in this IPC namespace, whole and not detached
    ///   since.
    /// * Unless `A` is [`ReadOnly`](crate::ReadOnly), it was attached without `SHM_RDONLY`, and nobody made it read-only with
    ///   `mprotect(2)`.
    /// * From now on this value alone detaches it.
    /// * If explicit huge pages back it, there are enough for the whole segment; otherwise touching it raises
    ///   SIGBUS.
    ///
    /// # Examples
    ///
    /// ```
    /// use sysvshm::{AttachFlags, Key, Segment, SegmentOptions, raw};
    ///
    /// let id = SegmentOptions::new().size_bytes(10).create_unattached(Key::PRIVATE)?;
    /// // SAFETY: the system chooses the address.
    /// let address = unsafe { raw::shmat(id.as_raw(), std::ptr::null(), AttachFlags::empty()) }?;
    /// // SAFETY: shmat has just returned the address for this id, read-write; the id's pages are ordinary ones.
    /// let segment: Segment = unsafe { Segment::from_raw(id, address.cast()) }?;
    /// segment.mark_for_removal()?;
    /// assert_eq!(segment.len_bytes(), 10);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[allow(unsafe_code)]
    pub unsafe fn from_raw(id: SegmentId, address: NonNull<u8>) -> Result<Self, Error> {
        let status = id.status_regardless()?;
        let call = Call::Shmat {
            id: id.as_raw(),
            address: address.addr().get(),
            flags: 0,
        };
        check_addressable(status.size_bytes(), call)?;
        Ok(Self {
            id,
            base: address,
            len_bytes: status.size_bytes(),
            created: false,
            remove_on_drop: None,
            _access: PhantomData,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_pointer_arithmetic_is_refused() {
        // No machine that runs this has such a segment, except a 32-bit one.
        let call = || shmat_call(SegmentId::from_raw(0), 0, 0);
        assert!(check_addressable(isize::MAX as usize, call()).is_ok());
        let error = check_addressable(isize::MAX as usize + 1, call()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
