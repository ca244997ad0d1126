//! [`Handle`]: a handle's entry in the participant table, and what producers and consumers have in common.

use super::claim::{self, Cursor, Run, claim_redelivered, count, epoch};
use super::cursor::Position;
use super::layout::{CONSUMERS_SLEEP, Geometry, PRODUCERS_SLEEP, ever_at, sleep_at};
use super::slot_word::Owner;
use super::table::{self, Recovered};
use crate::fork::ForkGuard;
use crate::liveness::{Liveness, OwnerId, Token};
use crate::ring::protocol::attached::Attached;
use crate::ring::protocol::error::{ClaimError, TryError};
use crate::ring::protocol::role::{PeerState, Role};
use crate::ring::shm::memory::{Mapped, Shared};
use crate::ring::wait::{
    self, Cancel, Deadline, Gap, Habit, Look, Peer, WaitError, WaitOptions, Waiter,
};
use crate::ring::wait::{announce_no_barrier, wake_many};
use crate::sys::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a handle that polls asks the kernel who lives.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// How long the other side may get ahead at most: 1 to 3 microseconds.
const MOST_PAUSES: u32 = 64;

/// How often the processor is given to others before sleeping, in a stream.
const YIELDS: u32 = 16;

pub(crate) type Core = Attached<Geometry>;

/// What a handle needs for every operation, side by side; the rest is behind the box.
pub(crate) struct Handle {
    pub(crate) memory: Mapped,
    pub(crate) g: Geometry,
    pub(crate) at: Position,
    pub(crate) owner: Owner,
    pub(crate) fork_guard: ForkGuard,
    pub(crate) registered: bool,
    /// A run claimed for work in place. Still set after a guard was forgotten.
    pub(crate) pending: Option<Run>,
    role: Role,
    /// How many slots may become free before sleeping producers are told.
    pub(crate) quarter: u32,
    /// The epoch in which all slots were found without a redelivered item.
    epoch: u64,
    asked: Option<Instant>,
    habit: Habit,
    gap: Gap,
    /// Where it waited last.
    waited: Cursor,
    /// Items come in a stream: a claim without a look first will succeed.
    pub(crate) eager: bool,
    seldom: Box<Seldom>,
}

struct Seldom {
    core: Arc<Core>,
    index: usize,
    claim: OwnerId,
    cancel: Arc<Cancel>,
    /// Keeps the claim alive.
    _token: Arc<Token>,
}

impl Core {
    pub(crate) fn recover(&self) -> Recovered {
        let found = table::recover(self.memory, &self.geometry, |claim| {
            claim.liveness(&self.anchor)
        });
        if !found.is_nothing() {
            for word in [PRODUCERS_SLEEP, CONSUMERS_SLEEP] {
                // Rare: the fence costs nothing here.
                wake_many(self.memory, word, false, u32::MAX);
            }
        }
        found
    }

    /// What is known about a side's handles together.
    pub(crate) fn state(&self, role: Role) -> PeerState {
        let entries = (0..self.geometry.participants as usize)
            .filter_map(|index| table::entry(self.memory, &self.geometry, index))
            .filter(|entry| entry.role == Some(role));
        let mut all = if self.has_been(role) {
            PeerState::Left
        } else {
            PeerState::Never
        };
        for entry in entries {
            match entry.claim.liveness(&self.anchor) {
                Liveness::Alive => return PeerState::Alive,
                Liveness::Dead => all = PeerState::Dead,
                // Then no verdict was possible, nor is for the others.
                Liveness::Unknown => return PeerState::Unknown,
            }
        }
        all
    }

    /// Whether there has been a handle of this side.
    #[allow(unsafe_code, reason = "reads a word at a constant offset")]
    fn has_been(&self, role: Role) -> bool {
        // SAFETY: a constant of the layout.
        unsafe { self.memory.load(ever_at(role), Ordering::Acquire) != 0 }
    }

    /// Whether a side has had participants and has none that lives, and, if it is the producers', the buffer is
    /// drained.
    pub(crate) fn is_abandoned_by(&self, role: Role) -> bool {
        let ever = self.has_been(role);
        let mut entries = (0..self.geometry.participants as usize)
            .filter_map(|index| table::entry(self.memory, &self.geometry, index));
        // What others are reading may come back.
        let is_drained = || role == Role::Consumer || count(self.memory, &self.geometry) == 0;
        ever && entries.all(|entry| {
            entry.role.is_some_and(|its| its != role)
                || entry.claim.liveness(&self.anchor) == Liveness::Dead
        }) && is_drained()
    }
}

impl Handle {
    pub(crate) fn take(core: &Arc<Core>, role: Role) -> Result<Self, ClaimError> {
        core.check_place()?;
        let token = Token::current()?;
        let claim = token.owner_id();
        let registered = !core.fences && wait::register();
        let (memory, g) = (core.memory, core.geometry);
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_secs());
        let enter = || {
            table::enter(
                memory,
                &g,
                claim,
                role,
                process::pid().unsigned_abs(),
                since,
            )
        };
        let (index, owner) = match enter() {
            Some(entry) => entry,
            None => {
                core.recover();
                enter().ok_or(ClaimError::TableFull {
                    participants: g.participants as usize,
                })?
            }
        };
        if !registered {
            announce_no_barrier(memory, PRODUCERS_SLEEP);
            announce_no_barrier(memory, CONSUMERS_SLEEP);
        }
        let cursor = Cursor::from_first_slot(memory, &g, role);
        Ok(Self {
            memory,
            g,
            at: Position::new(&g, cursor),
            owner,
            fork_guard: core.fork_guard,
            registered,
            pending: None,
            role,
            quarter: g.quarter(),
            // Another than it is: there may be redelivered items.
            epoch: epoch(memory).wrapping_sub(1),
            asked: None,
            habit: Habit::default(),
            gap: Gap::default(),
            waited: cursor,
            eager: false,
            seldom: Box::new(Seldom {
                core: Arc::clone(core),
                index,
                claim,
                cancel: Arc::default(),
                _token: token,
            }),
        })
    }

    pub(crate) fn ring(&self) -> &Arc<Core> {
        &self.seldom.core
    }

    pub(crate) fn cancel(&self) -> &Arc<Cancel> {
        &self.seldom.cancel
    }

    /// Claims slots that lie where this handle is, without a look at anything else.
    #[inline(always)]
    pub(crate) fn claim_here(&mut self, role: Role, wanted: usize) -> Option<Run> {
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let mut cursor = self.at.cursor();
        let run = claim::claim_here(self.memory, &self.g, self.owner, role, cursor, wanted)?;
        claim::pass(self.memory, &self.g, role, &mut cursor, run.len);
        self.at.go(&self.g, cursor);
        Some(run)
    }

    /// Begins the next stretch, at the end of one.
    #[cold]
    #[inline(never)]
    pub(crate) fn turn(&mut self) {
        let cursor = self.at.next_stretch(&self.g);
        self.at.go(&self.g, cursor);
        claim::tell(self.memory, self.role, cursor);
        if self.role == Role::Consumer && cursor.slot % self.quarter == 0 {
            wake_many(self.memory, PRODUCERS_SLEEP, self.registered, self.quarter);
        }
    }

    /// Claims slots, whatever it takes without waiting: looks at redelivered items too, and now and then for the
    /// dead.
    #[cold]
    #[inline(never)]
    pub(crate) fn claim(&mut self, wanted: usize) -> Result<Run, TryError> {
        let first = self.look(wanted);
        if first != Err(TryError::WouldBlock) {
            return first;
        }
        // Perhaps the caller polls, and each claim without a look would take the line from the other side.
        self.eager = false;
        if self.role == Role::Consumer {
            // A consumer that has nothing to do: producers that wait for a quarter of the buffer may go on.
            wake_many(self.memory, PRODUCERS_SLEEP, self.registered, self.quarter);
        }
        let now = Instant::now();
        if self.asked.is_some_and(|before| now - before < ASK_EVERY) {
            return first;
        }
        self.asked = Some(now);
        self.ask();
        self.look(wanted)
    }

    fn look(&mut self, wanted: usize) -> Result<Run, TryError> {
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let (cursor, result) = claim::claim(
            self.memory,
            &self.g,
            self.owner,
            self.role,
            self.at.cursor(),
            wanted,
        );
        self.at.go(&self.g, cursor);
        if result == Err(TryError::WouldBlock) && self.role == Role::Consumer {
            let now = epoch(self.memory);
            if now != self.epoch {
                if let Some(run) = claim_redelivered(self.memory, &self.g, self.owner) {
                    return Ok(run);
                }
                // Only now: there may have been several.
                self.epoch = now;
            }
        }
        result
    }

    /// Recovers what the dead left, and forgets what it believes about its position.
    fn ask(&mut self) {
        self.seldom.core.recover();
        let cursor = Cursor::from_first_slot(self.memory, &self.g, self.role);
        self.at.go(&self.g, cursor);
    }

    /// Claims slots, waiting for them.
    #[cold]
    #[inline(never)]
    pub(crate) fn wait(
        &mut self,
        wanted: usize,
        deadline: Deadline,
        how: WaitOptions,
    ) -> Result<Run, WaitError> {
        if self.role == Role::Consumer {
            wake_many(self.memory, PRODUCERS_SLEEP, self.registered, self.quarter);
        }
        // The items of all handles of this side together: close enough.
        let cursor = self.at.cursor();
        self.habit = self.habit.learn(self.waited.distance_to(&self.g, cursor));
        self.waited = cursor;
        self.eager = self.habit.is_stream();
        // In a stream the other side may get ahead, by a fraction of the buffer: whoever follows it closely fetches
        // a line for each item, and takes it away from the other each time.
        let pauses = if self.eager {
            (self.g.capacity / 16).min(MOST_PAUSES)
        } else {
            0
        };
        // In a stream things go on soon: where there are more handles than processors, whoever keeps this one
        // waiting may itself be waiting for a processor. Single items are not delayed by that.
        let yields = if self.eager { YIELDS } else { 0 };
        let waiter =
            Waiter::one_of_many(sleep_at(self.role), how.strategy, self.registered, yields);
        let cancel = Arc::clone(&self.seldom.cancel);
        let waiter = waiter.ended_by(&cancel, how);
        let gap = std::mem::take(&mut self.gap);
        let (memory, core) = (self.memory, Arc::clone(&self.seldom.core));
        let (role, notice) = (self.role, how.ends_on_disconnect);
        let this = std::cell::RefCell::new(&mut *self);
        let waited = waiter.wait(
            memory,
            pauses,
            &gap,
            deadline,
            |_| match this.borrow_mut().look(wanted) {
                Ok(run) => Look::Ready(run),
                Err(TryError::WouldBlock) => Look::NotYet,
                Err(TryError::Corrupted) => Look::Corrupted,
            },
            || {
                this.borrow_mut().ask();
                if notice && core.is_abandoned_by(role.other()) {
                    Peer::Left
                } else {
                    core.unless_removed(how, || {
                        let state = core.state(role.other());
                        matches!(state, PeerState::Alive | PeerState::Unknown)
                    })
                }
            },
        );
        self.gap = gap;
        let (run, slept) = waited?;
        if slept {
            // Whoever published may have woken this handle alone, for more than it takes.
            wake_many(memory, sleep_at(role), self.registered, 1);
        }
        Ok(run)
    }

    /// Gives back what a forgotten guard holds.
    #[inline(always)]
    pub(crate) fn cancel_pending(&mut self) {
        if let Some(run) = self.pending.take() {
            self.undo(run);
        }
    }

    /// Undoes a claim: a push or a pop that does not happen.
    #[cold]
    #[inline(never)]
    pub(crate) fn undo(&mut self, run: Run) {
        match self.role {
            Role::Producer => claim::skip(self.memory, &self.g, run),
            Role::Consumer => {
                claim::give_back(self.memory, &self.g, run);
                self.returned(run, 0);
            }
        }
        self.wake_all();
    }

    /// Items of a run, from the `count`-th on, are there to be delivered again: to this handle first, if nobody
    /// else is quicker.
    pub(crate) fn returned(&mut self, run: Run, count: u32) {
        claim::advance_epoch(self.memory);
        let mut cursor = Cursor {
            lap: run.lap,
            slot: run.slot,
        };
        cursor.advance(&self.g, count);
        self.at.go(&self.g, cursor);
    }

    fn wake_all(&self) {
        for word in [PRODUCERS_SLEEP, CONSUMERS_SLEEP] {
            wake_many(self.memory, word, self.registered, u32::MAX);
        }
    }

    /// Items of the buffer, as they are now.
    pub(crate) fn len(&self) -> usize {
        count(self.memory, &self.g) as usize
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In a forked child the entry and the claims are the parent's.
        if self.fork_guard.is_current() {
            self.cancel_pending();
            table::leave(self.memory, &self.g, self.seldom.index, self.seldom.claim);
            // Who waits for this side may want to know that it left.
            self.wake_all();
        }
    }
}
