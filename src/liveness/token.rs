//! [`Token`]: the running process's own sign of life.

use super::{OwnerId, process};
use crate::error::{Call, Error, ErrorKind, Hint};
use crate::fork::ForkGuard;
#[cfg(target_os = "linux")]
use crate::segment::{ReadOnly, Segment};
use std::sync::{Arc, Mutex, Weak};

/// The mode of a token until it is attached: for its process alone.
pub(crate) const NEW_TOKEN_MODE: u32 = 0o400;
/// The mode of a token from then on.
pub(crate) const TOKEN_MODE: u32 = 0;
/// The size of a token is a random number up to this, in bytes, or less where the limits are small. Its pages are
/// never touched; only a process that locks all its memory (`mlockall`) pays for them.
pub(crate) const TOKEN_MAX_BYTES: usize = 1 << 20;

/// The running process's own token, attached as long as this lives.
#[derive(Debug)]
pub(crate) struct Token {
    owner: OwnerId,
    /// `None` where the process itself has to do.
    ///
    /// Dropped by the process that attached it alone: nothing is mapped there in a child.
    #[cfg(target_os = "linux")]
    segment: Option<std::mem::ManuallyDrop<Segment<ReadOnly>>>,
    fork_guard: ForkGuard,
}

/// The last token made, shared by everything in this process that takes part somewhere.
static CURRENT: Mutex<Weak<Token>> = Mutex::new(Weak::new());

impl Token {
    /// The token of this process in the IPC namespace of the calling thread; makes one if need be.
    ///
    /// **C calls,** to make one: `shmctl(IPC_INFO)`, `getrandom`, `shmget`, `shmat`, `madvise`, two
    /// `shmctl(IPC_STAT)`, `shmctl(IPC_SET)`, `shmctl(IPC_RMID)`, `shmctl(SHM_STAT_ANY)`. If there is one, the last.
    pub(crate) fn current() -> Result<Arc<Self>, Error> {
        // Not `lock`: in a child forked while another thread of the parent held it, it would never be free.
        let Ok(mut current) = CURRENT.try_lock() else {
            return Self::make().map(Arc::new);
        };
        if let Some(token) = current.upgrade() {
            // Not seen: the thread is in another namespace now, where nobody could see this token.
            if token.fork_guard.is_current() && token.is_shown() {
                return Ok(token);
            }
        }
        let token = Arc::new(Self::make()?);
        *current = Arc::downgrade(&token);
        Ok(token)
    }

    /// Whether the calling thread's IPC namespace is the one that it was made in.
    fn is_shown(&self) -> bool {
        self.owner.is_shown()
    }

    pub(crate) fn owner_id(&self) -> OwnerId {
        self.owner
    }

    #[cfg(target_os = "linux")]
    fn make() -> Result<Self, Error> {
        let fork_guard = ForkGuard::new()?;
        let (owner, segment) = match attach_new() {
            Ok((owner, segment)) => (owner, Some(std::mem::ManuallyDrop::new(segment))),
            // A sandbox or an emulation without what a token needs.
            Err(error) if error.kind() == ErrorKind::Unsupported => match process::own_mark() {
                Some(mark) => (OwnerId::of_process(mark), None),
                None => return Err(error.while_making_token()),
            },
            Err(error) => return Err(error.while_making_token()),
        };
        Ok(Self {
            owner,
            segment,
            fork_guard,
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn make() -> Result<Self, Error> {
        let fork_guard = ForkGuard::new()?;
        let mark = process::own_mark().ok_or_else(|| {
            let hint = "the kernel does not show this process to itself";
            Error::refused(Call::ProcessStart, ErrorKind::Other, Hint::Text(hint))
        })?;
        Ok(Self {
            owner: OwnerId::of_process(mark),
            fork_guard,
        })
    }
}

/// Makes a segment that goes with this process and that no other one can attach.
///
/// Fails with [`ErrorKind::Unsupported`] where there cannot be one.
#[cfg(target_os = "linux")]
fn attach_new() -> Result<(OwnerId, Segment<ReadOnly>), Error> {
    use crate::key::Key;
    use crate::segment::SegmentOptions;
    use crate::sys::{os, process};

    let advice_call = |id: i32| Call::Madvise {
        id,
        advice: "MADV_DONTFORK",
    };
    let page = process::page_size();
    let mut most = largest_size(page);
    // A fork between attaching and the advice is rare; many in a row are a process that does nothing but fork.
    for _ in 0..100 {
        let random =
            process::random_u64().map_err(|errno| Error::from_call(Call::Random, errno))?;
        let size = (random % most as u64) as usize + 1;
        let created = SegmentOptions::new()
            .size_bytes(size)
            .mode(NEW_TOKEN_MODE)
            .no_reserve(true)
            .create_unattached(Key::PRIVATE);
        let attached = created.and_then(|id| {
            id.attach_read_only().inspect_err(|_| {
                let _ = id.mark_for_removal();
            })
        });
        let segment = match attached {
            Ok(segment) => segment,
            // Whatever limit that was, on sizes, pages, address space or locked memory: with a page it is kept if
            // it can be.
            Err(_) if most > page => {
                most = page;
                continue;
            }
            Err(error) => return Err(error),
        };
        let id = segment.id();
        let advice = os::MADV_DONTFORK;
        #[allow(unsafe_code)]
        // SAFETY: the mapping was made above and nobody relies on finding it in a child.
        let advised = unsafe { crate::sys::mapping::advise(segment.base().cast(), size, advice) };
        let status = segment.status();
        if let Ok(status) = &status {
            // Refused in a user namespace that has no number for this user. Then it stays readable for this user
            // alone, which keeps strangers out as well.
            let _ = id.set_permissions(status.owner_uid(), status.owner_gid(), TOKEN_MODE);
        }
        // Marked in any case: what is not used must go, and what is used goes with this process from here on.
        id.mark_for_removal()?;
        advised.map_err(|errno| Error::from_call(advice_call(id.as_raw()), errno))?;
        if status?.attached() != 1 {
            continue;
        }
        let owner = OwnerId::of_token(id.as_raw(), size as u32);
        // Made by this very thread, so whatever has the identifier is the token.
        if owner.is_shown() || owner.is_unreadable() {
            return Ok((owner, segment));
        }
        let call = Call::shmctl(id.as_raw(), crate::error::Command::SlotStatusAny);
        let hint = "the system does not show a segment that is marked for removal, not even to its creator";
        return Err(Error::refused(
            call,
            ErrorKind::Unsupported,
            Hint::Text(hint),
        ));
    }
    Err(Error::refused(
        advice_call(-1),
        ErrorKind::Other,
        Hint::Text("this process forks faster than it can attach a segment of its own"),
    ))
}

/// The largest token to make: less than [`TOKEN_MAX_BYTES`] where `shmmax` or `shmall` are small. Of all pages that
/// segments may have together one takes at most a 65536th, or one page.
#[cfg(target_os = "linux")]
fn largest_size(page: usize) -> usize {
    let Ok((max_bytes, _, max_pages)) = crate::sys::os::limits() else {
        return TOKEN_MAX_BYTES;
    };
    let share = (max_pages >> 16).max(1).saturating_mul(page as u64);
    let most = share.min(max_bytes).max(1);
    usize::try_from(most).map_or(TOKEN_MAX_BYTES, |most| most.min(TOKEN_MAX_BYTES))
}

impl Drop for Token {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let (true, Some(segment)) = (self.fork_guard.is_current(), &mut self.segment) {
            #[allow(unsafe_code)]
            // SAFETY: dropped once, here, and not used afterwards. In a forked child this is left out: the mapping
            // is not there, and something else may be.
            unsafe {
                std::mem::ManuallyDrop::drop(segment);
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::liveness::{Liveness, NamespaceAnchor};
    use crate::segment::SegmentId;

    #[test]
    fn a_token_lives_as_long_as_it_is_held() {
        let token = Token::make().unwrap();
        let owner = token.owner_id();
        assert_eq!(owner.liveness(&anchor()), Liveness::Alive);
        let id = SegmentId::from_raw(owner.token_id());
        let status = id.status_regardless().unwrap();
        assert_eq!(
            (status.attached(), status.is_marked_for_removal()),
            (1, true)
        );
        assert_eq!(status.mode().bits(), TOKEN_MODE);
        drop(token);
        assert_eq!(owner.liveness(&anchor()), Liveness::Dead);
    }

    #[test]
    fn one_process_shares_one_token() {
        let first = Token::current().unwrap();
        // Another test of this process may hold the lock for a moment, and then a second token is right.
        let second = Token::current().unwrap();
        assert_eq!(first.owner_id().liveness(&anchor()), Liveness::Alive);
        assert_eq!(second.owner_id().liveness(&anchor()), Liveness::Alive);
    }

    fn anchor() -> NamespaceAnchor {
        let ring = crate::segment::SegmentOptions::new()
            .size_bytes(1)
            .create_new(crate::key::Key::PRIVATE)
            .unwrap();
        ring.mark_for_removal().unwrap();
        // Leaked: the identifier must go on naming it.
        NamespaceAnchor::of(ring.leak()).unwrap()
    }
}
