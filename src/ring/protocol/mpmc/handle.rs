//! [`Handle`]: a handle's entry in the participant table, and what producers and consumers have in common.

use super::claim::{self, Budget, Cursor, Run, count};
use super::cursor::Position;
use super::layout::{ASKED, CONSUMERS_SLEEP, Geometry, PRODUCERS_SLEEP, sleep_at};
use super::recovery::{self, Recovered};
use super::redelivery::{Search, Where, announce, epoch};
use super::slot_word::Owner;
use super::table;
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
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the handles of a ring together ask the kernel who lives, at most.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// How long the other side may get ahead at most: 1 to 3 microseconds.
const MOST_PAUSES: u32 = 64;

/// How often the processor is given to others before sleeping, in a stream.
const YIELDS: u32 = 16;

pub(super) type Core = Attached<Geometry>;

/// What a handle needs for every operation, side by side; the rest is behind the box.
pub(super) struct Handle {
    pub(super) memory: Mapped,
    pub(super) g: Geometry,
    pub(super) at: Position,
    pub(super) owner: Owner,
    pub(super) fork_guard: ForkGuard,
    pub(super) registered: bool,
    /// A run claimed for work in place. Still set after a guard was forgotten.
    pub(super) pending: Option<Run>,
    role: Role,
    /// How many slots may become free before sleeping producers are told.
    pub(super) quarter: u32,
    /// The epoch at which no redelivered item is left to look for. Another than the present one if there may be.
    pub(super) settled: u64,
    /// The last claim ended because it had taken enough steps, and the next one goes on from there.
    is_under_way: bool,
    asked: Option<Instant>,
    habit: Habit,
    gap: Gap,
    /// Where it waited last.
    waited: Cursor,
    /// Items come in a stream: a claim without a look first will succeed.
    pub(super) eager: bool,
    seldom: Box<Seldom>,
}

struct Seldom {
    core: Arc<Core>,
    search: Search,
    claim: OwnerId,
    cancel: Arc<Cancel>,
    /// Keeps the claim alive.
    _token: Arc<Token>,
}

impl Core {
    pub(crate) fn recover(&self) -> Recovered {
        self.recover_if_known(&Cell::new(true))
    }

    /// [`recover`](Self::recover), and clears the flag if of some participant it cannot be known whether it lives.
    fn recover_if_known(&self, all_known: &Cell<bool>) -> Recovered {
        let found = recovery::recover(self.memory, &self.geometry, |claim| {
            let life = claim.liveness(&self.anchor);
            all_known.set(all_known.get() && life != Liveness::Unknown);
            life
        });
        if !found.is_nothing() {
            for word in [PRODUCERS_SLEEP, CONSUMERS_SLEEP] {
                // Rare: the fence costs nothing here.
                wake_many(self.memory, word, false, u32::MAX);
            }
        }
        found
    }

    /// Recovers what the dead left if it is time to ask the kernel who lives: no handle of this ring has asked lately.
    ///
    /// By the clock that tells the date, which is the same in every time namespace.
    #[allow(unsafe_code, reason = "a word at a constant offset")]
    fn recover_in_turn(&self) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |time| time.as_millis() as u64);
        // SAFETY: a constant of the layout.
        let before = unsafe { self.memory.load(ASKED, Ordering::Relaxed) };
        // Before the question, so that others do not ask at the same time. If this process is killed or stopped now,
        // the next one asks when the time has come again.
        if !is_long_ago(before, now)
            // SAFETY: as above.
            || unsafe { self.memory.compare_exchange(ASKED, before, now) }.is_err()
        {
            return;
        }
        let all_known = Cell::new(true);
        self.recover_if_known(&all_known);
        if !all_known.get() {
            // Behind a filter, or in another IPC namespace: it is for others to ask, who may know.
            // SAFETY: as above.
            let _ = unsafe { self.memory.compare_exchange(ASKED, now, before) };
        }
    }

    /// What is known about a side's handles together.
    pub(super) fn state(&self, role: Role) -> PeerState {
        table::state(self.memory, &self.geometry, role, |claim| {
            claim.liveness(&self.anchor)
        })
    }

    /// Whether a side has had participants and has none that lives, and, if it is the producers', the buffer is
    /// drained.
    pub(super) fn is_abandoned_by(&self, role: Role) -> bool {
        table::is_abandoned_by(self.memory, &self.geometry, role, |claim| {
            claim.liveness(&self.anchor)
        })
    }
}

/// Whether the last question is so long ago, in milliseconds, that it is time for the next. One that is still to
/// come was asked before the clock was set back.
pub(super) fn is_long_ago(before: u64, now: u64) -> bool {
    u128::from(now.wrapping_sub(before)) >= ASK_EVERY.as_millis()
}

impl Handle {
    pub(super) fn take(core: &Arc<Core>, role: Role) -> Result<Self, ClaimError> {
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
        let owner = match enter() {
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
        let search = Search::new(memory);
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
            settled: search.settled(),
            is_under_way: false,
            asked: None,
            habit: Habit::default(),
            gap: Gap::default(),
            waited: cursor,
            eager: false,
            seldom: Box::new(Seldom {
                core: Arc::clone(core),
                search,
                claim,
                cancel: Arc::default(),
                _token: token,
            }),
        })
    }

    pub(super) fn ring(&self) -> &Arc<Core> {
        &self.seldom.core
    }

    pub(super) fn cancel(&self) -> &Arc<Cancel> {
        &self.seldom.cancel
    }

    /// Claims slots that lie where this handle is, without a look at anything else.
    #[inline(always)]
    pub(super) fn claim_here(&mut self, role: Role, wanted: usize) -> Option<Run> {
        if role == Role::Consumer && epoch(self.memory) != self.settled {
            return None;
        }
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
    pub(super) fn turn(&mut self) {
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
    pub(super) fn claim(&mut self, wanted: usize) -> Result<Run, TryError> {
        let budget = Budget::of_one_call(&self.g);
        let first = self.look(wanted, budget);
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
        self.ask(now);
        self.look(wanted, budget)
    }

    fn look(&mut self, wanted: usize, mut budget: Budget) -> Result<Run, TryError> {
        let is_consumer = self.role == Role::Consumer;
        if is_consumer && epoch(self.memory) != self.settled {
            if let Some(run) = self.claim_redelivered(budget) {
                return Ok(run);
            }
            if budget.is_between_clocks() && epoch(self.memory) != self.settled {
                // The search goes on before any other item is taken.
                self.is_under_way = true;
                return Err(TryError::WouldBlock);
            }
        }
        let searching = budget;
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let (cursor, result) = claim::claim(
            self.memory,
            &self.g,
            self.owner,
            self.role,
            self.at.cursor(),
            wanted,
            &mut budget,
        );
        self.at.go(&self.g, cursor);
        self.is_under_way = budget.steps == 0;
        if is_consumer
            && result == Err(TryError::WouldBlock)
            && self.seldom.search.take_debt(&self.g)
        {
            return self
                .claim_redelivered(searching)
                .ok_or(TryError::WouldBlock);
        }
        result
    }

    /// [`look`](Self::look), and on while it is on its way: sleeping there would make it wait for what is done already.
    /// Ends with the deadline, a cancellation, or after as many steps as a call that does not wait.
    fn look_until(&mut self, wanted: usize, deadline: Deadline) -> Result<Run, TryError> {
        let part = Budget::between_clocks();
        let mut result = self.look(wanted, part);
        for _ in 0..Budget::of_one_call(&self.g).steps / part.steps {
            let is_on_its_way = self.is_under_way
                || self.role == Role::Consumer && epoch(self.memory) != self.settled;
            if result != Err(TryError::WouldBlock)
                || !is_on_its_way
                || self.seldom.cancel.is_pulled()
                || deadline.is_some_and(|end| Instant::now() >= end)
            {
                break;
            }
            result = self.look(wanted, part);
        }
        result
    }

    /// Claims an item that is to be delivered again.
    #[cold]
    #[inline(never)]
    fn claim_redelivered(&mut self, budget: Budget) -> Option<Run> {
        let search = &mut self.seldom.search;
        let run = search.claim(self.memory, &self.g, self.owner, budget);
        self.settled = search.settled();
        run
    }

    /// Recovers what the dead left, unless another handle has asked for them lately, and forgets what this handle
    /// believes about its position.
    ///
    /// A handle's first question does not depend on others: a newcomer finds what was left before it came.
    fn ask(&mut self, now: Instant) {
        let is_first = self.asked.is_none();
        self.asked = Some(now);
        if is_first {
            self.seldom.core.recover();
        } else {
            self.seldom.core.recover_in_turn();
        }
        // A walk goes on: in a large ring it takes several claims.
        if !self.is_under_way {
            let cursor = Cursor::from_first_slot(self.memory, &self.g, self.role);
            self.at.go(&self.g, cursor);
        }
    }

    /// Claims slots, waiting for them.
    #[cold]
    #[inline(never)]
    pub(super) fn wait(
        &mut self,
        wanted: usize,
        deadline: Deadline,
        how: WaitOptions,
    ) -> Result<Run, WaitError> {
        if deadline.is_some_and(|end| end <= Instant::now()) {
            return self.wait_no_time(wanted, how);
        }
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
            |_| match this.borrow_mut().look_until(wanted, deadline) {
                Ok(run) => Look::Ready(run),
                Err(TryError::WouldBlock) => Look::NotYet,
                Err(TryError::Corrupted) => Look::Corrupted,
            },
            || {
                this.borrow_mut().ask(Instant::now());
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

    /// Claims slots, with a deadline that has passed: as without waiting.
    fn wait_no_time(&mut self, wanted: usize, how: WaitOptions) -> Result<Run, WaitError> {
        let claimed = match self.claim(wanted) {
            Err(TryError::WouldBlock) if self.seldom.cancel.is_pulled() => {
                return Err(WaitError::Cancelled);
            }
            Err(TryError::WouldBlock)
                if how.ends_on_disconnect
                    && self.seldom.core.is_abandoned_by(self.role.other()) =>
            {
                // What they did before they went counts.
                match self.claim(wanted) {
                    Err(TryError::WouldBlock) => return Err(WaitError::PeerLeft),
                    claimed => claimed,
                }
            }
            claimed => claimed,
        };
        claimed.map_err(|error| match error {
            TryError::WouldBlock => WaitError::TimedOut,
            TryError::Corrupted => WaitError::Corrupted,
        })
    }

    /// Gives back what a forgotten guard holds.
    #[inline(always)]
    pub(super) fn cancel_pending(&mut self) {
        if let Some(run) = self.pending.take() {
            self.undo(run);
        }
    }

    /// Undoes a claim: a push or a pop that does not happen.
    #[cold]
    #[inline(never)]
    pub(super) fn undo(&mut self, run: Run) {
        match self.role {
            Role::Producer => claim::skip(self.memory, &self.g, run),
            Role::Consumer => self.give_back(run, 0, || {
                claim::requeue(self.memory, &self.g, run, 0);
            }),
        }
        self.wake_all();
    }

    /// Gives items of a run back, from the `count`-th on, which `store` does, and tells consumers where they are.
    #[inline(always)]
    pub(super) fn give_back(&self, run: Run, count: u32, store: impl FnOnce()) {
        // If this process is killed before it could tell, others find that here.
        table::set_giving(self.memory, &self.g, self.owner, true);
        store();
        let (first, len) = (run.slot + count, run.len - count);
        announce(self.memory, Where::Slots { first, len });
        table::set_giving(self.memory, &self.g, self.owner, false);
    }

    fn wake_all(&self) {
        for word in [PRODUCERS_SLEEP, CONSUMERS_SLEEP] {
            wake_many(self.memory, word, self.registered, u32::MAX);
        }
    }

    /// Items of the buffer, as they are now.
    pub(super) fn len(&self) -> usize {
        count(self.memory, &self.g) as usize
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // In a forked child the entry and the claims are the parent's.
        if self.fork_guard.is_current() {
            self.cancel_pending();
            table::leave(self.memory, &self.g, self.owner, self.seldom.claim);
            // Who waits for this side may want to know that it left.
            self.wake_all();
        }
    }
}
