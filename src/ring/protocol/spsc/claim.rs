//! [`RoleGuard`]: a claimed role, and what is known of the holder of one.

use super::cursor::load_out;
use super::layout::{EVER, Geometry, OUT_LAZY, owner_at, sleep_at};
use crate::bounded_buffer::PeerState;
use crate::liveness::{Liveness, OwnerId, Token};
use crate::ring::protocol::attached::Attached;
use crate::ring::protocol::error::ClaimError;
use crate::ring::protocol::role::Role;
use crate::ring::shm::memory::{Shared, SharedWaits};
use crate::ring::wait::{self, Cancel, Gap, NO_BARRIER, Peer, WaitOptions, wake_one};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(super) type Core = Attached<Geometry>;

#[allow(
    unsafe_code,
    reason = "offsets are constants of the layout, in a segment that the geometry was checked against"
)]
impl Core {
    pub(super) fn state(&self, role: Role) -> PeerState {
        // Before the claim: it is stored after one. So a role that was claimed when this was loaded, and is free below,
        // was given back.
        // SAFETY: a constant of the layout.
        let ever = unsafe { self.memory.load(owner_at(role) + EVER, Ordering::Acquire) };
        // SAFETY: as above.
        let word = unsafe { self.memory.load(owner_at(role), Ordering::Acquire) };
        match OwnerId::from_word(word).map(|claim| claim.liveness(&self.anchor)) {
            Some(life) => life.into(),
            None if ever == 0 => PeerState::Never,
            None => PeerState::Left,
        }
    }

    /// What a wait should think of the other side.
    pub(super) fn peer(&self, role: Role, how: WaitOptions) -> Peer {
        match self.state(role) {
            PeerState::Dead => Peer::Dead,
            PeerState::Left if how.ends_on_disconnect => Peer::Left,
            state => self.unless_removed(how, || {
                matches!(state, PeerState::Alive | PeerState::Unknown)
            }),
        }
    }
}

/// A claimed role. One pointer, passed by value to everything that is not inlined, so that the fields beside it can
/// stay in registers.
pub(super) struct RoleGuard(NonNull<Claimed>);

pub(super) struct Claimed {
    pub(super) core: Arc<Core>,
    pub(super) role: Role,
    /// Whether this process takes part in membarrier(2) and may ask for it.
    pub(super) registered: bool,
    pub(super) gap: Gap,
    pub(super) cancel: Arc<Cancel>,
    claim: OwnerId,
    /// Keeps the claim alive.
    _token: Arc<Token>,
}

#[allow(
    unsafe_code,
    reason = "owns a box by its raw pointer; offsets are constants of the layout"
)]
impl RoleGuard {
    pub(super) fn claim(core: &Arc<Core>, role: Role) -> Result<Self, ClaimError> {
        core.check_place()?;
        let token = Token::current()?;
        let claim = token.owner_id();
        let registered = !core.fences && wait::register();
        let (memory, at) = (core.memory, owner_at(role));
        let taken = || ClaimError::Taken { role: role.name() };
        // SAFETY: a constant of the layout; so below.
        let mut holder = unsafe { memory.load(at, Ordering::Acquire) };
        if OwnerId::from_word(holder)
            .is_some_and(|other| other.liveness(&core.anchor) != Liveness::Dead)
        {
            return Err(taken());
        }
        // SAFETY: as above.
        while let Err(now) = unsafe { memory.compare_exchange(at, holder, claim.word()) } {
            // Given back meanwhile: once more. Taken by another: that one was just alive.
            if now != 0 || holder == 0 {
                return Err(taken());
            }
            holder = now;
        }
        // After the claim, or a reader in between would take the role for one that was given back. Release: pairs with
        // the acquire of `state`.
        // SAFETY: as above.
        unsafe { memory.store(at + EVER, 1, Ordering::Release) };
        let flags = if registered { 0 } else { NO_BARRIER };
        // SAFETY: as above. A predecessor may have died asleep.
        unsafe { memory.store_wait(sleep_at(role), flags) };
        let inner = Box::new(Claimed {
            core: Arc::clone(core),
            role,
            registered,
            gap: Gap::default(),
            cancel: Arc::default(),
            claim,
            _token: token,
        });
        Ok(Self(NonNull::from(Box::leak(inner))))
    }

    #[inline(always)]
    pub(super) fn get(&self) -> &Claimed {
        // SAFETY: made from a box in `claim` and freed by `drop` alone; never handed out mutably.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for RoleGuard {
    #[inline(always)]
    fn drop(&mut self) {
        release_role(self.0);
    }
}

// SAFETY: owns a box whose contents are all `Send` and `Sync`: shared counters, numbers and a segment.
#[allow(unsafe_code, reason = "a raw pointer is neither by itself")]
unsafe impl Send for RoleGuard {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "a raw pointer is neither by itself")]
unsafe impl Sync for RoleGuard {}

#[cold]
#[inline(never)]
#[allow(unsafe_code, reason = "turns the raw pointer back into its box")]
fn release_role(claimed: NonNull<Claimed>) {
    // SAFETY: made by `Box::leak` in `claim`; `drop` runs once.
    let claimed = unsafe { Box::from_raw(claimed.as_ptr()) };
    let (core, role) = (&claimed.core, claimed.role);
    if core.fork_guard.is_current() {
        if role == Role::Consumer {
            // What was popped and not told yet: a producer that is woken below, or polls, finds the room.
            let out = load_out(core.memory);
            // SAFETY: a constant of the layout.
            unsafe { core.memory.store(OUT_LAZY, out, Ordering::Release) };
        }
        // Fails only if somebody scribbled over the claim.
        // SAFETY: a constant of the layout.
        let _ = unsafe {
            core.memory
                .compare_exchange(owner_at(role), claimed.claim.word(), 0)
        };
        // Who waits for this side may want to know that it left.
        wake_one(core.memory, sleep_at(role.other()), claimed.registered);
    }
}
