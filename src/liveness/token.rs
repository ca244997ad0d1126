//! [`Token`]: the running process's own sign of life.

use super::OwnerId;
use crate::Error;
use crate::fork::ForkGuard;
#[cfg(target_os = "linux")]
use crate::segment::{Segment, SegmentId};
use std::sync::{Arc, Mutex, Weak};

/// The mode of every token: everybody may ask for its status, which is what it is for.
pub(crate) const TOKEN_MODE: u32 = 0o444;
/// The size of a token is a random number up to this, in bytes.
pub(crate) const TOKEN_MAX_BYTES: usize = 0xffff;

/// The running process's own token, attached as long as this lives.
#[derive(Debug)]
pub(crate) struct Token {
    owner: OwnerId,
    /// Dropped by the process that attached it alone: nothing is mapped there in a child.
    #[cfg(target_os = "linux")]
    segment: std::mem::ManuallyDrop<Segment<crate::ReadOnly>>,
    fork_guard: ForkGuard,
}

/// The last token made, shared by everything in this process that takes part somewhere.
static CURRENT: Mutex<Weak<Token>> = Mutex::new(Weak::new());

impl Token {
    /// The token of this process in the IPC namespace of the calling thread; makes one if need be.
    ///
    /// **C calls,** to make one: `shmget`, `shmat`, `madvise`, two `shmctl(IPC_STAT)`, `shmctl(IPC_RMID)`.
    pub(crate) fn current() -> Result<Arc<Self>, Error> {
        // Not `lock`: in a child forked while another thread of the parent held it, it would never be free.
        let Ok(mut current) = CURRENT.try_lock() else {
            return Self::make().map(Arc::new);
        };
        if let Some(token) = current.upgrade() {
            // Not seen: the thread is in another namespace now, where nobody could see this token.
            if token.fork_guard.is_current() && token.owner.is_kept() {
                return Ok(token);
            }
        }
        let token = Arc::new(Self::make()?);
        *current = Arc::downgrade(&token);
        Ok(token)
    }

    pub(crate) fn owner_id(&self) -> OwnerId {
        self.owner
    }

    #[cfg(target_os = "linux")]
    fn make() -> Result<Self, Error> {
        use crate::error::{Call, ErrorKind, Hint};
        use crate::sys::{mapping, os, process};
        use crate::{Key, SegmentOptions};

        let call = |id: SegmentId| Call::Madvise {
            id: id.as_raw(),
            advice: "MADV_DONTFORK",
        };
        const { assert!(TOKEN_MAX_BYTES == (1 << super::owner_id::NONCE_BITS) - 1) };
        let nobody = SegmentId::from_raw(-1);
        let fork_guard = ForkGuard::new().map_err(|errno| Error::from_call(call(nobody), errno))?;
        // A fork between attaching and the advice is rare; many in a row are a process that does nothing but fork.
        for _ in 0..1000 {
            let nonce = process::random_u64()
                .map_err(|errno| Error::from_call(Call::Random, errno))?
                % TOKEN_MAX_BYTES as u64
                + 1;
            let id = SegmentOptions::new()
                .size_bytes(nonce as usize)
                .mode(TOKEN_MODE)
                .no_reserve(true)
                .create_unattached(Key::PRIVATE)?;
            let segment = match id.attach_read_only() {
                Ok(segment) => segment,
                Err(error) => {
                    let _ = id.mark_for_removal();
                    return Err(error);
                }
            };
            let advice = os::MADV_DONTFORK;
            #[allow(unsafe_code)]
            // SAFETY: the mapping was made above and nobody relies on finding it in a child.
            let advised = unsafe { mapping::advise(segment.base().cast(), nonce as usize, advice) };
            let status = segment.status();
            // Marked in any case: what is not used must go, and what is used goes with this process from here on.
            id.mark_for_removal()?;
            advised.map_err(|errno| Error::from_call(call(id), errno))?;
            if status?.attached() != 1 {
                continue;
            }
            // Read after marking, in case marking moved the time.
            let Some(owner) = OwnerId::of_status(&segment.status()?) else {
                continue;
            };
            return Ok(Self {
                owner,
                segment: std::mem::ManuallyDrop::new(segment),
                fork_guard,
            });
        }
        Err(Error::refused(
            call(nobody),
            ErrorKind::Other,
            Hint::Text("this process forks faster than it can attach a segment of its own"),
        ))
    }

    #[cfg(not(target_os = "linux"))]
    fn make() -> Result<Self, Error> {
        use crate::error::{Call, ErrorKind, Hint};
        use crate::sys::{os, process};
        let failed = |errno| Error::from_call(Call::ProcessStart, errno);
        let fork_guard = ForkGuard::new().map_err(failed)?;
        let pid = process::pid();
        let start = os::process_start(pid).map_err(failed)?.ok_or_else(|| {
            let hint = "the kernel does not show this process to itself";
            Error::refused(Call::ProcessStart, ErrorKind::Other, Hint::Text(hint))
        })?;
        Ok(Self {
            owner: OwnerId::of(pid, start.mark_micros, 1),
            fork_guard,
        })
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if self.fork_guard.is_current() {
            #[allow(unsafe_code)]
            // SAFETY: dropped once, here, and not used afterwards. In a forked child this is left out: the mapping
            // is not there, and something else may be.
            unsafe {
                std::mem::ManuallyDrop::drop(&mut self.segment);
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::liveness::{Liveness, NamespaceAnchor};

    #[test]
    fn a_token_lives_as_long_as_it_is_held() {
        let buffer = crate::SegmentOptions::new()
            .size_bytes(1)
            .create_new(crate::Key::PRIVATE)
            .unwrap();
        buffer.mark_for_removal().unwrap();
        let anchor = NamespaceAnchor::of(&buffer).unwrap();
        let token = Token::make().unwrap();
        let owner = token.owner_id();
        assert_eq!(owner.liveness(&anchor), Liveness::Alive);
        let status = owner.id().status().unwrap();
        assert_eq!(
            (status.attached(), status.is_marked_for_removal()),
            (1, true)
        );
        drop(token);
        assert_eq!(owner.liveness(&anchor), Liveness::Dead);
    }

    #[test]
    fn one_process_shares_one_token() {
        let first = Token::current().unwrap();
        // Another test of this process may hold the lock for a moment, and then a second token is right.
        let second = Token::current().unwrap();
        assert_eq!(first.owner_id().liveness(&here()), Liveness::Alive);
        assert_eq!(second.owner_id().liveness(&here()), Liveness::Alive);
    }

    fn here() -> NamespaceAnchor {
        let buffer = crate::SegmentOptions::new()
            .size_bytes(1)
            .create_new(crate::Key::PRIVATE)
            .unwrap();
        buffer.mark_for_removal().unwrap();
        // Leaked: the identifier must go on naming it.
        NamespaceAnchor::of(buffer.leak()).unwrap()
    }
}
