//! `semget`, `semop`, `semtimedop` and `semctl` under their C names.

use super::{GetFlags, fill};
use crate::error::{self, Asked, Call, Error, SemopCall};
use crate::key::Key;
use crate::sys::sem::{self, Question};
use std::time::Duration;

pub use crate::sys::sem::semid_ds;
#[cfg(target_os = "linux")]
pub use crate::sys::sem::seminfo;
pub use libc::sembuf;

/// `SEM_UNDO`, for `sem_flg`: taken back when the process ends.
pub const SEM_UNDO: i16 = sem::SEM_UNDO;
/// `IPC_NOWAIT`, for `sem_flg`: fails with `EAGAIN` instead of waiting.
pub const IPC_NOWAIT: i16 = sem::IPC_NOWAIT;

/// `semget(key, semaphores, flags)`: the identifier of a semaphore set, found or created.
///
/// The values of a new set are 0 on Linux; POSIX leaves them undefined.
///
/// # Errors
///
/// See [`SemaphoreSetOptions::create_new`](crate::SemaphoreSetOptions::create_new) and
/// [`open`](crate::SemaphoreSetOptions::open).
///
/// ```
/// use sysvshm::raw::{self, GetFlags, SemCommand};
/// use sysvshm::{ErrorKind, Key};
///
/// let key = Key::random()?;
/// assert_eq!(raw::semget(key, 0, GetFlags::empty()).unwrap_err().kind(), ErrorKind::NotFound);
/// let id = raw::semget(key, 2, GetFlags::IPC_CREAT | GetFlags::mode(0o600))?;
/// assert_eq!(raw::semget(key, 0, GetFlags::empty())?, id);
/// raw::semctl(id, 0, SemCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn semget(key: Key, semaphores: i32, flags: GetFlags) -> Result<i32, Error> {
    let (key, flags) = (key.as_raw(), flags.bits());
    sem::semget(key, semaphores, flags).map_err(|errno| {
        let asked = Asked::Semaphores(semaphores);
        Error::from_call(Call::Get { key, asked, flags }, errno)
    })
}

/// `semop(id, operations, count)`. A handled signal ends it with [`Interrupted`](crate::ErrorKind::Interrupted)
/// (`EINTR`), as in C.
///
/// # Errors
///
/// See [`SemaphoreSet::operate`](crate::SemaphoreSet::operate).
///
/// ```
/// use sysvshm::raw::{self, GetFlags, SemCommand, sembuf};
/// use sysvshm::Key;
///
/// let id = raw::semget(Key::PRIVATE, 1, GetFlags::mode(0o600))?;
/// //  struct sembuf up = { 0, 1, SEM_UNDO }; semop(id, &up, 1);
/// raw::semop(id, &[sembuf { sem_num: 0, sem_op: 1, sem_flg: raw::SEM_UNDO }])?;
/// assert_eq!(raw::semctl(id, 0, SemCommand::GetVal)?, 1);
/// raw::semctl(id, 0, SemCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn semop(id: i32, operations: &[sembuf]) -> Result<(), Error> {
    sem::semop(id, operations)
        .map_err(|errno| Error::from_call(Call::Semop(SemopCall::new(id, operations, None)), errno))
}

/// `semtimedop(id, operations, count, timeout)`; `None` is C's null pointer: no limit. Linux.
///
/// # Errors
///
/// See [`SemaphoreSet::operate_timeout`](crate::SemaphoreSet::operate_timeout). A handled signal ends it with
/// [`Interrupted`](crate::ErrorKind::Interrupted) (`EINTR`), as in C.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use sysvshm::raw::{self, GetFlags, SemCommand, sembuf};
/// use sysvshm::{ErrorKind, Key};
/// use std::time::Duration;
///
/// let id = raw::semget(Key::PRIVATE, 1, GetFlags::mode(0o600))?;
/// let down = [sembuf { sem_num: 0, sem_op: -1, sem_flg: 0 }];
/// let late = raw::semtimedop(id, &down, Some(Duration::from_millis(1))).unwrap_err();
/// assert_eq!((late.kind(), late.raw_os_error()), (ErrorKind::TimedOut, Some(11))); // EAGAIN
/// raw::semctl(id, 0, SemCommand::IpcRmid)?;
/// # }
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn semtimedop(id: i32, operations: &[sembuf], timeout: Option<Duration>) -> Result<(), Error> {
    let Some(limit) = timeout else {
        return semop(id, operations);
    };
    sem::semtimedop(id, operations, limit).map_err(|errno| {
        let call = SemopCall::new(id, operations, timeout);
        Error::from_call(Call::Semop(call), errno)
    })
}

/// What [`semctl`] shall do, with what C passes in its `union semun`.
#[doc(alias("cmd", "semun"))]
#[derive(Debug)]
#[non_exhaustive]
pub enum SemCommand<'a> {
    /// Remove the set, now.
    #[doc(alias = "IPC_RMID")]
    IpcRmid,
    /// Take owner, group and the nine mode bits from the buffer.
    #[doc(alias = "IPC_SET")]
    IpcSet(&'a semid_ds),
    /// Fill the buffer.
    #[doc(alias = "IPC_STAT")]
    IpcStat(&'a mut semid_ds),
    /// Return the value of the semaphore.
    #[doc(alias = "GETVAL")]
    GetVal,
    /// Return the pid that last operated on it.
    #[doc(alias = "GETPID")]
    GetPid,
    /// Return how many wait for a larger value.
    #[doc(alias = "GETNCNT")]
    GetNCnt,
    /// Return how many wait for zero.
    #[doc(alias = "GETZCNT")]
    GetZCnt,
    /// Set the value of the semaphore: an `int` in C, so that it can be out of range either way.
    #[doc(alias = "SETVAL")]
    SetVal(i32),
    /// Fill the vector with all values. C has an array here that may be too short; the vector becomes as long as
    /// the set.
    #[doc(alias = "GETALL")]
    GetAll(&'a mut Vec<u16>),
    /// Set all values. Too few are refused with `ERANGE`, where C would read beyond its array.
    #[doc(alias = "SETALL")]
    SetAll(&'a [u16]),
    /// The limits of the IPC namespace. The id is ignored; the result is the highest slot in use.
    #[cfg(target_os = "linux")]
    #[doc(alias = "IPC_INFO")]
    IpcInfo(&'a mut seminfo),
    /// The same, with what is in use in `semusz` and `semaem`.
    #[cfg(target_os = "linux")]
    #[doc(alias = "SEM_INFO")]
    SemInfo(&'a mut seminfo),
    /// As `IpcStat`, but the id is a slot number; the result is the set's id.
    #[cfg(target_os = "linux")]
    #[doc(alias = "SEM_STAT")]
    SemStat(&'a mut semid_ds),
    /// As `SemStat`, without read permission. Linux 4.17.
    #[cfg(target_os = "linux")]
    #[doc(alias = "SEM_STAT_ANY")]
    SemStatAny(&'a mut semid_ds),
}

/// `semctl(id, semaphore, command, argument)`. Returns what C returns: 0, or what the command says.
///
/// # Errors
///
/// [`PermissionDenied`](crate::ErrorKind::PermissionDenied) (`EACCES`), [`NotOwner`](crate::ErrorKind::NotOwner)
/// (`EPERM`), [`NoSuchSet`](crate::ErrorKind::NoSuchSet) (`EINVAL`, `EIDRM`),
/// [`NoSuchSemaphore`](crate::ErrorKind::NoSuchSemaphore) (`EINVAL`),
/// [`ValueOutOfRange`](crate::ErrorKind::ValueOutOfRange) (`ERANGE`).
///
/// ```
/// use sysvshm::raw::{self, GetFlags, SemCommand};
/// use sysvshm::Key;
///
/// let id = raw::semget(Key::PRIVATE, 3, GetFlags::mode(0o600))?;
/// raw::semctl(id, 0, SemCommand::SetAll(&[1, 5, 0]))?;
/// raw::semctl(id, 1, SemCommand::SetVal(4))?;
/// let mut values = Vec::new();
/// raw::semctl(id, 0, SemCommand::GetAll(&mut values))?;
/// assert_eq!(values, [1, 4, 0]);
/// let mut ds = raw::empty_semid_ds();
/// raw::semctl(id, 0, SemCommand::IpcStat(&mut ds))?;
/// assert_eq!(ds.sem_nsems, 3);
/// raw::semctl(id, 0, SemCommand::IpcRmid)?;
/// # Ok::<(), sysvshm::Error>(())
/// ```
pub fn semctl(id: i32, semaphore: i32, command: SemCommand<'_>) -> Result<i32, Error> {
    let ask = |question| sem::semctl_ask(id, semaphore, question);
    let (name, result) = match command {
        SemCommand::IpcRmid => (error::Command::Remove, sem::semctl_rmid(id).map(|()| 0)),
        SemCommand::IpcSet(buffer) => {
            let command = error::Command::set(buffer.sem_perm, None);
            (command, sem::semctl_set(id, buffer).map(|()| 0))
        }
        SemCommand::IpcStat(buffer) => (
            error::Command::Status,
            fill(buffer, sem::semctl_stat(id).map(|status| (status, 0))),
        ),
        SemCommand::GetVal => (error::Command::Value(semaphore), ask(Question::Value)),
        SemCommand::GetPid => (error::Command::LastPid(semaphore), ask(Question::LastPid)),
        SemCommand::GetNCnt => (
            error::Command::WaitingForIncrease(semaphore),
            ask(Question::WaitingForIncrease),
        ),
        SemCommand::GetZCnt => (
            error::Command::WaitingForZero(semaphore),
            ask(Question::WaitingForZero),
        ),
        SemCommand::SetVal(value) => (
            error::Command::SetValue(semaphore, value),
            sem::semctl_setval(id, semaphore, value).map(|()| 0),
        ),
        SemCommand::GetAll(values) => (
            error::Command::Values,
            fill(values, sem::semctl_getall(id).map(|all| (all, 0))),
        ),
        SemCommand::SetAll(values) => (
            error::Command::SetValues(values.len()),
            sem::semctl_setall(id, values).map(|()| 0),
        ),
        #[cfg(target_os = "linux")]
        SemCommand::IpcInfo(buffer) => (error::Command::Limits, fill(buffer, sem::ipc_info())),
        #[cfg(target_os = "linux")]
        SemCommand::SemInfo(buffer) => (error::Command::Usage, fill(buffer, sem::sem_info())),
        #[cfg(target_os = "linux")]
        SemCommand::SemStat(buffer) => {
            (error::Command::SlotStatus, fill(buffer, sem::sem_stat(id)))
        }
        #[cfg(target_os = "linux")]
        SemCommand::SemStatAny(buffer) => (
            error::Command::SlotStatusAny,
            fill(buffer, sem::sem_stat_any(id)),
        ),
    };
    result.map_err(|errno| Error::from_call(Call::semctl(id, name), errno))
}

/// A `semid_ds` of zero bytes, to be filled: some of its fields are private, so it cannot be written out.
///
/// ```
/// assert_eq!(sysvshm::raw::empty_semid_ds().sem_nsems, 0);
/// ```
#[must_use]
pub fn empty_semid_ds() -> semid_ds {
    sem::empty_status()
}
