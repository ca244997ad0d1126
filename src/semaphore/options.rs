//! [`SemaphoreSetOptions`]: how a set is to be created and found.

use super::initialise::{self, Readiness};
use super::set::{SemaphoreSet, status_regardless};
use crate::control;
use crate::error::{Asked, Call, Error, ErrorKind, Hint, Object};
use crate::flags::Mode;
use crate::key::Key;
use crate::patience::Patience;
use crate::sys::sem;
use crate::user;
use std::ffi::c_int;
use std::time::Duration;

/// How to create and find a semaphore set; the counterpart of [`SegmentOptions`](crate::SegmentOptions).
///
/// | method | if the key exists | if not |
/// |---|---|---|
/// | [`create_new`](Self::create_new) | [`AlreadyExists`](ErrorKind::AlreadyExists) | creates and initialises |
/// | [`open`](Self::open) | finds, never waits | [`NotFound`](ErrorKind::NotFound) |
/// | [`open_or_create`](Self::open_or_create) | finds, waits until it is initialised | creates and initialises |
///
/// # The initialisation race
///
/// Creating a set and giving it values are two calls in C, so whoever opens it in between finds zeros. The
/// customary way out (Stevens, *UNIX Network Programming*, volume 2, 11.2) uses that `sem_otime` is 0 until the
/// first `semop`: the creator sets the values, then does one operation; openers wait until `sem_otime` is not 0.
/// Both halves are here, so C programs that follow the custom fit to either.
///
/// Many C programs set values and stop there. An opener cannot tell such a set from one whose creator is half-way;
/// if it knows its peers, [`trust_set_values`](Self::trust_set_values) accepts it.
///
/// ```
/// use sysvshm::{Key, SemaphoreSetOptions};
///
/// let key = Key::random()?;
/// let set = SemaphoreSetOptions::new().mode(0o660).open_or_create(key, &[1, 10, 0])?;
/// assert_eq!(set.values()?, [1, 10, 0]);
/// set.remove()?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
#[doc(alias = "semget")]
#[derive(Debug, Clone)]
#[must_use]
pub struct SemaphoreSetOptions {
    mode: Option<Mode>,
    minimum_len: usize,
    initialisation_timeout: Duration,
    trust_set_values: bool,
    any_owner: bool,
}

impl Default for SemaphoreSetOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SemaphoreSetOptions {
    /// Mode 0600 for what is created, any number of semaphores in what is found, 5 seconds of patience with another
    /// creator.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSetOptions};
    /// let set = SemaphoreSetOptions::new().create_new(Key::PRIVATE, &[1])?;
    /// assert_eq!(set.status()?.mode(), 0o600.into());
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub const fn new() -> Self {
        Self {
            mode: None,
            minimum_len: 0,
            initialisation_timeout: Duration::from_secs(5),
            trust_set_values: false,
            any_owner: false,
        }
    }

    /// Who may do what with a set that is created; 0600 unless set. The umask plays no part, the execute bits have
    /// no meaning.
    ///
    /// [`open`](Self::open) passes it on if it was set, as `semget(key, 0, 0600)` does: the lookup then fails with
    /// `EACCES` unless the mode of the set grants this process's class every bit.
    ///
    /// ```
    /// # use sysvshm::{Key, Mode, SemaphoreSetOptions};
    /// let set = SemaphoreSetOptions::new().mode(0o640).create_new(Key::PRIVATE, &[1])?;
    /// assert_eq!(set.status()?.mode(), Mode::from(0o640));
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("SEM_A", "SEM_R"))]
    pub fn mode(&mut self, mode: impl Into<Mode>) -> &mut Self {
        self.mode = Some(mode.into());
        self
    }

    /// The least number of semaphores that will do for a set that [`open`](Self::open) finds. Unset it is 0.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSet, SemaphoreSetOptions};
    /// let key = Key::random()?;
    /// let set = SemaphoreSet::create_new(key, &[1, 1])?;
    /// let error = SemaphoreSetOptions::new().minimum_len(3).open(key).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::SetTooSmall);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "nsems")]
    pub fn minimum_len(&mut self, semaphores: usize) -> &mut Self {
        self.minimum_len = semaphores;
        self
    }

    /// How long [`open_or_create`](Self::open_or_create) waits for another creator to initialise the set. 5 seconds
    /// unless set.
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSetOptions, raw};
    /// # use sysvshm::raw::GetFlags;
    /// # use std::time::Duration;
    /// let key = Key::random()?;
    /// // A creator that never goes on:
    /// let id = raw::semget(key, 1, GetFlags::IPC_CREAT | GetFlags::mode(0o600))?;
    /// let mut options = SemaphoreSetOptions::new();
    /// let late = options.initialisation_timeout(Duration::from_millis(30)).open_or_create(key, &[1]);
    /// assert_eq!(late.unwrap_err().kind(), ErrorKind::NotInitialised);
    /// raw::semctl(id, 0, raw::SemCommand::IpcRmid)?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn initialisation_timeout(&mut self, timeout: Duration) -> &mut Self {
        self.initialisation_timeout = timeout;
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) takes a set as initialised once every semaphore was set
    /// (`SETALL`, or `SETVAL` on each), although no operation was ever done on it.
    ///
    /// Right if all peers create sets that way. Wrong if one of them sets values first and corrects them by an
    /// operation afterwards.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSetOptions, raw};
    /// # use sysvshm::raw::{GetFlags, SemCommand};
    /// let key = Key::random()?;
    /// // What many C programs do:
    /// let id = raw::semget(key, 2, GetFlags::IPC_CREAT | GetFlags::mode(0o600))?;
    /// raw::semctl(id, 0, SemCommand::SetAll(&[1, 7]))?;
    /// let set = SemaphoreSetOptions::new().trust_set_values(true).open_or_create(key, &[9, 9])?;
    /// assert_eq!(set.values()?, [1, 7]);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("SETALL", "SETVAL", "sem_otime"))]
    pub fn trust_set_values(&mut self, trust: bool) -> &mut Self {
        self.trust_set_values = trust;
        self
    }

    /// Whether [`open_or_create`](Self::open_or_create) accepts a set that another user created; `open` takes any
    /// owner.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSetOptions};
    /// let set = SemaphoreSetOptions::new().any_owner(true).open_or_create(Key::random()?, &[1])?;
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    pub fn any_owner(&mut self, any_owner: bool) -> &mut Self {
        self.any_owner = any_owner;
        self
    }

    /// Creates a set under a key that no set has, with these values, one per semaphore. If a later step fails, the
    /// new set is removed again.
    ///
    /// **C calls:** `semget(key, n, IPC_CREAT | IPC_EXCL | mode)`, `semctl(SETALL)`, and one `semop` that changes
    /// nothing, so that `sem_otime` says that the set is ready.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`AlreadyExists`](ErrorKind::AlreadyExists) | `EEXIST` | the key is taken |
    /// | [`CountOutOfRange`](ErrorKind::CountOutOfRange) | `EINVAL` | no values, or more than `SEMMSL` |
    /// | [`ValueOutOfRange`](ErrorKind::ValueOutOfRange) | none | a value is beyond 32767 |
    /// | [`SetLimit`](ErrorKind::SetLimit) | `ENOSPC` | `SEMMNI` sets exist |
    /// | [`SemaphoreLimit`](ErrorKind::SemaphoreLimit) | `ENOSPC` | `SEMMNS` semaphores would be exceeded |
    /// | [`OutOfMemory`](ErrorKind::OutOfMemory) | `ENOMEM` | no memory in the kernel |
    /// | [`PermissionDenied`](ErrorKind::PermissionDenied) | `EACCES` | the mode given does not let its own creator write |
    /// | [`InvalidInput`](ErrorKind::InvalidInput) | none | a mode beyond 0777 |
    ///
    /// ```
    /// # use sysvshm::{ErrorKind, Key, SemaphoreSetOptions};
    /// let key = Key::random()?;
    /// let set = SemaphoreSetOptions::new().create_new(key, &[1, 5])?;
    /// assert_eq!(set.values()?, [1, 5]);
    /// let again = SemaphoreSetOptions::new().create_new(key, &[1, 5]);
    /// assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semget", "IPC_CREAT", "IPC_EXCL", "SETALL"))]
    pub fn create_new(&self, key: Key, values: &[u16]) -> Result<SemaphoreSet, Error> {
        let mode = self.mode.unwrap_or(Mode::OWNER_READ | Mode::OWNER_WRITE);
        self.check_mode(key, values.len())?;
        // Before anything exists, so that nothing has to be taken back.
        if values
            .iter()
            .any(|&value| value > initialise::LARGEST_VALUE)
        {
            let call = semget_call(key, values.len(), 0);
            return Err(Error::refused(
                call,
                ErrorKind::ValueOutOfRange,
                Hint::value_range(),
            ));
        }
        let flags = libc::IPC_CREAT | libc::IPC_EXCL | mode.bits() as c_int;
        let id = semget(key, values.len(), flags)?;
        let set = SemaphoreSet::new(id, values.len(), true);
        match initialise::initialise(&set, values) {
            Ok(()) => Ok(set),
            Err(error) => {
                // What led here is what the caller has to know.
                let _ = set.remove();
                Err(error)
            }
        }
    }

    /// Finds the set that has this key. Never waits: it may not be initialised yet, which
    /// [`open_or_create`](Self::open_or_create) would wait for.
    ///
    /// **C calls:** `semget(key, n, 0)`, and `semctl(IPC_STAT)` to learn how many semaphores it has.
    ///
    /// # Errors
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`NotFound`](ErrorKind::NotFound) | `ENOENT` | no set has the key |
    /// | [`SetTooSmall`](ErrorKind::SetTooSmall) | `EINVAL` | it has fewer semaphores than [`minimum_len`](Self::minimum_len) |
    /// | [`PermissionDenied`](ErrorKind::PermissionDenied) | `EACCES` | mode bits asked for are missing; before Linux 4.17, no read bit |
    /// | [`NoSuchSet`](ErrorKind::NoSuchSet) | `EINVAL`, `EIDRM` | it was removed between the two calls |
    /// | [`InvalidInput`](ErrorKind::InvalidInput) | none | [`Key::PRIVATE`], which finds nothing: the kernel would create a set |
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SemaphoreSet, SemaphoreSetOptions};
    ///
    /// let key = Key::random()?;
    /// let set = SemaphoreSet::create_new(key, &[4])?;
    /// assert_eq!(SemaphoreSetOptions::new().open(key)?.id(), set.id());
    /// set.remove()?;
    /// let private = SemaphoreSetOptions::new().open(Key::PRIVATE).unwrap_err();
    /// assert_eq!(private.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "semget")]
    pub fn open(&self, key: Key) -> Result<SemaphoreSet, Error> {
        self.check_mode(key, self.minimum_len)?;
        let mode = self.mode.map_or(0, |mode| mode.bits() as c_int);
        let id = find(key, self.minimum_len, mode)?;
        let status = status_regardless(id)?;
        Ok(SemaphoreSet::new(id, status.len(), false))
    }

    /// Finds the set that has this key and waits until it is initialised, or creates it with these values.
    /// [`SemaphoreSet::was_created`] tells which. A set that is found keeps its values; it may have more semaphores
    /// than `values`.
    ///
    /// **C calls,** creating: those of [`create_new`](Self::create_new) after a `semget(key, n, 0)` that found
    /// nothing. Finding: `semget(key, n, 0)`, then `semctl(IPC_STAT)` and, while `sem_otime` is 0, `semctl(GETPID)`
    /// now and then, asleep in between.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) and [`create_new`](Self::create_new) except that the key may exist or not, and
    ///
    /// | kind | errno | cause |
    /// |---|---|---|
    /// | [`NotInitialised`](ErrorKind::NotInitialised) | none | its creator did not finish within [`initialisation_timeout`](Self::initialisation_timeout) |
    /// | [`CreatorDied`](ErrorKind::CreatorDied) | none | whoever set its values ended before the first operation |
    /// | [`ForeignCreator`](ErrorKind::ForeignCreator) | none | another user created it, see [`any_owner`](Self::any_owner) |
    ///
    /// A creator that died before it set any value left no trace of who it was: that is `NotInitialised`, after the
    /// whole time.
    ///
    /// ```
    /// # use sysvshm::{Key, SemaphoreSetOptions};
    /// let key = Key::random()?;
    /// let first = SemaphoreSetOptions::new().open_or_create(key, &[1])?;
    /// let second = SemaphoreSetOptions::new().open_or_create(key, &[9])?;
    /// assert!(first.was_created() && !second.was_created());
    /// assert_eq!(second.values()?, [1]); // the creator's
    /// first.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semget", "IPC_CREAT", "sem_otime"))]
    pub fn open_or_create(&self, key: Key, values: &[u16]) -> Result<SemaphoreSet, Error> {
        /// Far more than a busy system needs, and an end to what a hostile one could prolong.
        const ATTEMPTS: usize = 1000;
        if key.is_private() {
            return self.create_new(key, values);
        }
        let mut patience = Patience::new(self.initialisation_timeout);
        for _ in 0..ATTEMPTS {
            match find(key, values.len(), 0) {
                Ok(id) => {
                    if let Some(set) = self.join(key, id, values.len(), &mut patience)? {
                        return Ok(set);
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    match self.create_new(key, values) {
                        // Somebody else was faster.
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                        result => return result,
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let hint = Hint::Text("other processes keep removing the set and creating it anew");
        let call = semget_call(key, values.len(), 0);
        Err(Error::refused(call, ErrorKind::Other, hint))
    }

    /// Waits until a set that was found is initialised; `None` if it was removed meanwhile, so that the key must be
    /// looked up again.
    fn join(
        &self,
        key: Key,
        id: i32,
        len: usize,
        patience: &mut Patience,
    ) -> Result<Option<SemaphoreSet>, Error> {
        let refused = |kind, hint| Error::refused(semget_call(key, len, 0), kind, hint);
        loop {
            let status = match status_regardless(id) {
                Ok(status) => status,
                Err(error) if error.kind() == ErrorKind::NoSuchSet => return Ok(None),
                Err(error) => return Err(error),
            };
            if !self.any_owner && !user::is_own(status.creator_uid()) {
                return Err(refused(
                    ErrorKind::ForeignCreator,
                    Hint::foreign(Object::Set, id),
                ));
            }
            let set = SemaphoreSet::new(id, status.len(), false);
            let last_pid = match initialise::readiness(&set, &status, self.trust_set_values)? {
                Readiness::Ready => return Ok(Some(set)),
                Readiness::Gone => return Ok(None),
                Readiness::CreatorDied { last_pid } => {
                    let hint = creator_died(last_pid);
                    return Err(refused(ErrorKind::CreatorDied, hint));
                }
                Readiness::NotYet { last_pid } => last_pid,
            };
            if let Err(waited) = patience.pause() {
                let hint = uninitialised(waited, last_pid);
                return Err(refused(ErrorKind::NotInitialised, hint));
            }
        }
    }

    fn check_mode(&self, key: Key, len: usize) -> Result<(), Error> {
        control::check_mode(self.mode, |flags| semget_call(key, len, flags))
    }
}

/// Its creator, which had this pid, set values and ended.
fn creator_died(last_pid: i32) -> Hint {
    let pid = u64::from(last_pid.unsigned_abs());
    Hint::Numbers([pid, 0, 0, 0], |f, [pid, ..]| {
        write!(
            f,
            "pid {pid} set values and ended before the first operation (sem_otime is 0); if that is all its program does, pass trust_set_values(true), else remove the set (`ipcrm -s`) and create it anew"
        )
    })
}

/// No process has operated on the set in this time.
fn uninitialised(waited: Duration, last_pid: i32) -> Hint {
    let pid = u64::from(last_pid.unsigned_abs());
    let (seconds, nanos) = (waited.as_secs(), u64::from(waited.subsec_nanos()));
    Hint::Numbers([seconds, nanos, pid, 0], |f, [seconds, nanos, pid, _]| {
        let waited = Duration::from_secs(seconds) + Duration::from_nanos(nanos);
        write!(
            f,
            "no operation on the set was seen in {waited:?} (sem_otime is 0); "
        )?;
        match pid {
            0 => f.write_str(
                "its creator has not set the values, or died before that; remove the set (`ipcrm -s`) if no process is about to",
            ),
            pid => write!(
                f,
                "pid {pid} set values without an operation, as many C programs do: if all of them do, pass trust_set_values(true)"
            ),
        }
    })
}

/// `semget` for an existing set; refuses the private key.
fn find(key: Key, len: usize, flags: c_int) -> Result<i32, Error> {
    control::refuse_private(key, Object::Set, || semget_call(key, len, flags))?;
    semget(key, len, flags)
}

fn semget(key: Key, len: usize, flags: c_int) -> Result<i32, Error> {
    // More than an int holds is out of range in any case: let the kernel say so.
    let semaphores = c_int::try_from(len).unwrap_or(c_int::MAX);
    sem::semget(key.as_raw(), semaphores, flags)
        .map_err(|errno| Error::from_call(semget_call(key, len, flags), errno))
}

fn semget_call(key: Key, len: usize, flags: c_int) -> Call {
    Call::Get {
        key: key.as_raw(),
        asked: Asked::Semaphores(c_int::try_from(len).unwrap_or(c_int::MAX)),
        flags,
    }
}

/// Creating and finding with nothing else set.
impl SemaphoreSet {
    /// Creates a set under a key that no set has, mode 0600, with these values, one per semaphore.
    ///
    /// Short for [`SemaphoreSetOptions::create_new`], which says what calls are made and what may go wrong.
    ///
    /// # Errors
    ///
    /// Those of [`SemaphoreSetOptions::create_new`].
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SemaphoreSet};
    ///
    /// let key = Key::random()?;
    /// let set = SemaphoreSet::create_new(key, &[1, 0])?;
    /// assert_eq!(set.values()?, [1, 0]);
    /// let again = SemaphoreSet::create_new(key, &[1, 0]).unwrap_err();
    /// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    /// set.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semget", "IPC_CREAT", "IPC_EXCL"))]
    pub fn create_new(key: Key, values: &[u16]) -> Result<Self, Error> {
        SemaphoreSetOptions::new().create_new(key, values)
    }

    /// Finds the set that has this key. Never waits, not even for its initialisation.
    ///
    /// Short for [`SemaphoreSetOptions::open`].
    ///
    /// # Errors
    ///
    /// Those of [`SemaphoreSetOptions::open`].
    ///
    /// ```
    /// use sysvshm::{ErrorKind, Key, SemaphoreSet};
    ///
    /// let error = SemaphoreSet::open(Key::random()?).unwrap_err();
    /// assert_eq!((error.kind(), error.call()), (ErrorKind::NotFound, "semget"));
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias = "semget")]
    pub fn open(key: Key) -> Result<Self, Error> {
        SemaphoreSetOptions::new().open(key)
    }

    /// Finds the set that has this key and waits until it is initialised, or creates it with these values and mode
    /// 0600.
    ///
    /// Short for [`SemaphoreSetOptions::open_or_create`].
    ///
    /// # Errors
    ///
    /// Those of [`SemaphoreSetOptions::open_or_create`].
    ///
    /// ```
    /// use sysvshm::{Key, SemaphoreSet};
    ///
    /// let key = Key::random()?;
    /// let first = SemaphoreSet::open_or_create(key, &[1])?;
    /// let second = SemaphoreSet::open_or_create(key, &[1])?;
    /// assert!(first.was_created() && !second.was_created());
    /// assert_eq!(first.id(), second.id());
    /// first.remove()?;
    /// # Ok::<(), sysvshm::Error>(())
    /// ```
    #[doc(alias("semget", "IPC_CREAT"))]
    pub fn open_or_create(key: Key, values: &[u16]) -> Result<Self, Error> {
        SemaphoreSetOptions::new().open_or_create(key, values)
    }
}
