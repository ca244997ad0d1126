//! A call and its arguments, in words.

use super::object::Object;
use crate::sys::sem::{IPC_NOWAIT, SEM_UNDO, sembuf};
use crate::sys::{RawKey, msg, os};
use std::ffi::{c_int, c_long};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// The call that failed, or that would have been made.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// `ftok(path, id)`.
    Ftok { path: Box<Path>, id: i32 },
    /// The kernel's random numbers, for a fresh key.
    Random,
    /// `shmget(key, size, flags)`, `semget(key, semaphores, flags)`, `msgget(key, flags)`.
    Get {
        key: RawKey,
        asked: Asked,
        flags: c_int,
    },
    /// `shmctl(id, command, ...)`, `semctl(id, semaphore, command, ...)`, `msgctl(id, command, ...)`.
    Control(Object, c_int, Command),
    /// `shmat(id, address, flags)`.
    Shmat {
        id: c_int,
        address: usize,
        flags: c_int,
    },
    /// `shmdt(address)`.
    Shmdt { address: usize },
    /// `semop(id, operations)` or `semtimedop(id, operations, timeout)`.
    Semop(SemopCall),
    /// `msgsnd(id, message, bytes, flags)` or `msgrcv(id, message, room, type, flags)`.
    Message(MessageCall),
    /// `madvise(address, len, advice)` on an attached segment.
    Madvise { id: c_int, advice: &'static str },
    /// `mmap` of the page by which a forked child is told from its parent.
    ForkPage,
    /// `madvise(MADV_WIPEONFORK)` on that page.
    ForkAdvice,
    /// When the running process started: `sysctl(KERN_PROC_PID)` or `proc_pidinfo`.
    #[cfg(not(target_os = "linux"))]
    ProcessStart,
    /// A copy in or out: no call, but the same kind of answer.
    Copy {
        access: Access,
        offset: usize,
        len: usize,
    },
}

/// What was asked of a call that finds or creates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Bytes(usize),
    Semaphores(c_int),
    /// A queue has no size of its own.
    Queue,
}

impl Asked {
    pub(super) fn object(self) -> Object {
        match self {
            Self::Bytes(_) => Object::Segment,
            Self::Semaphores(_) => Object::Set,
            Self::Queue => Object::Queue,
        }
    }

    /// `None` for less than nothing, which C can express, and where nothing is asked.
    pub(super) fn amount(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => u64::try_from(bytes).ok(),
            Self::Semaphores(semaphores) => u64::try_from(semaphores).ok(),
            Self::Queue => None,
        }
    }
}

/// The direction of a copy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write,
}

/// The commands of shmctl(2), semctl(2) and msgctl(2), with the arguments that matter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    Remove,
    Set {
        uid: u32,
        gid: u32,
        mode: u32,
        /// `msg_qbytes`, of queues alone.
        bytes: Option<u64>,
    },
    Status,
    Limits,
    Usage,
    #[cfg(target_os = "linux")]
    SlotStatus,
    #[cfg(target_os = "linux")]
    SlotStatusAny,
    // Segments.
    Lock,
    Unlock,
    // Sets.
    Value(c_int),
    LastPid(c_int),
    WaitingForIncrease(c_int),
    WaitingForZero(c_int),
    /// The semaphore and its value.
    SetValue(c_int, c_int),
    Values,
    /// How many values.
    SetValues(usize),
}

impl Command {
    /// `IPC_SET` with what C passes.
    pub(crate) fn set(permissions: libc::ipc_perm, bytes: Option<u64>) -> Self {
        #[allow(clippy::useless_conversion)] // 16 bits wide on some targets.
        Self::Set {
            uid: permissions.uid,
            gid: permissions.gid,
            mode: u32::from(permissions.mode),
            bytes,
        }
    }

    /// The number of the one semaphore that the command is about.
    pub(super) fn semaphore(self) -> Option<c_int> {
        match self {
            Self::Value(semaphore)
            | Self::LastPid(semaphore)
            | Self::WaitingForIncrease(semaphore)
            | Self::WaitingForZero(semaphore)
            | Self::SetValue(semaphore, _) => Some(semaphore),
            _ => None,
        }
    }
}

/// `semop` or `semtimedop`. An error is a plain value, so of a longer list it keeps the first operation and the
/// length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SemopCall {
    pub(super) id: c_int,
    first: Option<(u16, i16, i16)>,
    pub(super) len: usize,
    /// The largest index in the list, to tell which semaphore is missing.
    pub(super) highest: u16,
    pub(super) no_wait: bool,
    pub(super) undo: bool,
    pub(super) timeout: Option<Duration>,
}

impl SemopCall {
    pub(crate) fn new(id: c_int, operations: &[sembuf], timeout: Option<Duration>) -> Self {
        let any = |flag: i16| operations.iter().any(|one| one.sem_flg & flag != 0);
        let first = operations.first();
        Self {
            id,
            first: first.map(|one| (one.sem_num, one.sem_op, one.sem_flg)),
            len: operations.len(),
            highest: operations.iter().map(|one| one.sem_num).max().unwrap_or(0),
            no_wait: any(IPC_NOWAIT),
            undo: any(SEM_UNDO),
            timeout,
        }
    }
}

/// `msgsnd` or `msgrcv`. Small, because every error has room for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageCall {
    pub(super) direction: Direction,
    pub(crate) id: c_int,
    /// The type of the message, or which one is asked for: with `MSG_COPY` its position.
    pub(crate) which: c_long,
    /// The length of the message, or the room for one.
    pub(crate) bytes: usize,
    pub(crate) flags: c_int,
    /// [`NO_TIMEOUT`], or nanoseconds: some centuries count as the most there is.
    timeout: u64,
}

const NO_TIMEOUT: u64 = u64::MAX;

/// What a call does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Receive,
}

impl MessageCall {
    pub(crate) const fn new(
        direction: Direction,
        id: c_int,
        which: c_long,
        bytes: usize,
        flags: c_int,
    ) -> Self {
        Self {
            direction,
            id,
            which,
            bytes,
            flags,
            timeout: NO_TIMEOUT,
        }
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(NO_TIMEOUT);
        self.timeout = nanos.min(NO_TIMEOUT - 1);
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        (self.timeout != NO_TIMEOUT).then(|| Duration::from_nanos(self.timeout))
    }

    pub(super) fn copies(&self) -> bool {
        msg::MSG_COPY.is_some_and(|bit| self.flags & bit != 0)
    }
}

impl Call {
    pub(crate) const fn shmctl(id: c_int, command: Command) -> Self {
        Self::Control(Object::Segment, id, command)
    }

    pub(crate) const fn semctl(id: c_int, command: Command) -> Self {
        Self::Control(Object::Set, id, command)
    }

    pub(crate) const fn msgctl(id: c_int, command: Command) -> Self {
        Self::Control(Object::Queue, id, command)
    }

    /// What the call is about.
    pub(super) fn object(&self) -> Object {
        match self {
            Self::Get { asked, .. } => asked.object(),
            Self::Control(object, ..) => *object,
            Self::Semop(_) => Object::Set,
            Self::Message(_) => Object::Queue,
            _ => Object::Segment,
        }
    }

    /// The function's name in C.
    pub(super) fn function(&self) -> &'static str {
        match self {
            Self::Ftok { .. } => "ftok",
            Self::Random => "getrandom",
            Self::Get { asked, .. } => asked.object().table().get,
            Self::Control(object, ..) => object.table().control,
            Self::Shmat { .. } => "shmat",
            Self::Shmdt { .. } => "shmdt",
            Self::Semop(call) if call.timeout.is_some() => "semtimedop",
            Self::Semop(_) => "semop",
            Self::Message(call) if call.direction == Direction::Send => "msgsnd",
            Self::Message(_) => "msgrcv",
            Self::ForkPage => "mmap",
            Self::Madvise { .. } | Self::ForkAdvice => "madvise",
            #[cfg(target_os = "macos")]
            Self::ProcessStart => "proc_pidinfo",
            #[cfg(target_os = "freebsd")]
            Self::ProcessStart => "sysctl",
            Self::Copy {
                access: Access::Read,
                ..
            } => "read_at",
            Self::Copy {
                access: Access::Write,
                ..
            } => "write_at",
        }
    }
}

/// `shmget(key 0x0000002a, 100 bytes, IPC_CREAT|0600)`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function())?;
        match self {
            Self::Ftok { path, id } => write!(f, "{}, id {id}", path.display())?,
            Self::Random => {}
            Self::Get { key, asked, flags } => {
                match *key {
                    libc::IPC_PRIVATE => f.write_str("IPC_PRIVATE")?,
                    key => write!(f, "key {key:#010x}")?,
                }
                let unit = asked.object().table().unit;
                match asked {
                    Asked::Bytes(bytes) => write!(f, ", {bytes} {unit}, ")?,
                    Asked::Semaphores(semaphores) => write!(f, ", {semaphores} {unit}, ")?,
                    Asked::Queue => f.write_str(", ")?,
                }
                get_flags(*flags, f)?;
            }
            Self::Control(object, id, command) => control(*object, *id, *command, f)?,
            Self::Shmat { id, address, flags } => {
                write!(f, "id {id}, ")?;
                match address {
                    0 => f.write_str("any address")?,
                    address => write!(f, "address {address:#x}")?,
                }
                attach_flags(*flags, f)?;
            }
            Self::Shmdt { address } => write!(f, "{address:#x}")?,
            Self::Semop(call) => call.fmt(f)?,
            Self::Message(call) => call.fmt(f)?,
            Self::Madvise { id, advice } => write!(f, "segment {id}, {advice}")?,
            Self::ForkPage => f.write_str("one page, to notice forks")?,
            Self::ForkAdvice => f.write_str("MADV_WIPEONFORK, to notice forks")?,
            #[cfg(not(target_os = "linux"))]
            Self::ProcessStart => f.write_str("the start of this process")?,
            Self::Copy { offset, len, .. } => write!(f, "offset {offset}, {len} bytes")?,
        }
        f.write_str(")")
    }
}

/// `set 5, semaphore 1, SETVAL 3`.
fn control(object: Object, id: c_int, command: Command, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let table = object.table();
    let prefix = table.prefix;
    match command {
        Command::Limits => return f.write_str("IPC_INFO"),
        Command::Usage => return write!(f, "{prefix}_INFO"),
        #[cfg(target_os = "linux")]
        Command::SlotStatus => return write!(f, "slot {id}, {prefix}_STAT"),
        #[cfg(target_os = "linux")]
        Command::SlotStatusAny => return write!(f, "slot {id}, {prefix}_STAT_ANY"),
        _ => {}
    }
    match object {
        Object::Segment => write!(f, "id {id}, ")?,
        Object::Set | Object::Queue => write!(f, "{} {id}, ", table.short)?,
    }
    if let Some(semaphore) = command.semaphore() {
        write!(f, "semaphore {semaphore}, ")?;
    }
    match command {
        Command::Remove => f.write_str("IPC_RMID"),
        Command::Set {
            uid,
            gid,
            mode,
            bytes,
        } => {
            write!(f, "IPC_SET uid {uid} gid {gid} mode {mode:04o}")?;
            bytes.map_or(Ok(()), |bytes| write!(f, " msg_qbytes {bytes}"))
        }
        Command::Lock => f.write_str("SHM_LOCK"),
        Command::Unlock => f.write_str("SHM_UNLOCK"),
        Command::Value(_) => f.write_str("GETVAL"),
        Command::LastPid(_) => f.write_str("GETPID"),
        Command::WaitingForIncrease(_) => f.write_str("GETNCNT"),
        Command::WaitingForZero(_) => f.write_str("GETZCNT"),
        Command::SetValue(_, value) => write!(f, "SETVAL {value}"),
        Command::Values => f.write_str("GETALL"),
        Command::SetValues(len) => write!(f, "SETALL {len} values"),
        // The others were written above.
        _ => f.write_str("IPC_STAT"),
    }
}

/// `set 5, semaphore 0: -1 SEM_UNDO`.
impl fmt::Display for SemopCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {}, ", self.id)?;
        match self.first {
            None => f.write_str("no operation")?,
            Some((semaphore, change, flags)) => {
                if self.len > 1 {
                    write!(f, "{} operations from ", self.len)?;
                }
                write!(f, "semaphore {semaphore}: ")?;
                match change {
                    0 => f.write_str("wait for zero")?,
                    change => write!(f, "{change:+}")?,
                }
                if flags & SEM_UNDO != 0 {
                    f.write_str(" SEM_UNDO")?;
                }
                if flags & IPC_NOWAIT != 0 {
                    f.write_str(" IPC_NOWAIT")?;
                }
            }
        }
        match self.timeout {
            Some(timeout) => write!(f, ", {timeout:?}"),
            None => Ok(()),
        }
    }
}

/// `queue 5, type 1, 100 bytes, IPC_NOWAIT`.
impl fmt::Display for MessageCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (which, bytes) = (self.which, self.bytes);
        write!(f, "queue {}, ", self.id)?;
        match (self.direction, which) {
            (Direction::Send, _) => write!(f, "type {which}, {bytes} bytes")?,
            _ if self.copies() => write!(f, "position {which}, room for {bytes} bytes")?,
            (_, 0) => write!(f, "any type, room for {bytes} bytes")?,
            _ => write!(f, "type {which}, room for {bytes} bytes")?,
        }
        let mut flags = self.flags;
        let named = [
            (Some(libc::IPC_NOWAIT), "IPC_NOWAIT"),
            (Some(msg::MSG_NOERROR), "MSG_NOERROR"),
            (msg::MSG_EXCEPT, "MSG_EXCEPT"),
            (msg::MSG_COPY, "MSG_COPY"),
        ];
        let mut separator = ", ";
        for name in take_named(&mut flags, named) {
            write!(f, "{separator}{name}")?;
            separator = "|";
        }
        if flags != 0 {
            write!(f, "{separator}{flags:#x}")?;
        }
        match self.timeout() {
            Some(timeout) => write!(f, ", {timeout:?}"),
            None => Ok(()),
        }
    }
}

/// `IPC_CREAT|IPC_EXCL|0600`.
fn get_flags(flags: c_int, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = flags & !0o777;
    let named = [
        (Some(libc::IPC_CREAT), "IPC_CREAT"),
        (Some(libc::IPC_EXCL), "IPC_EXCL"),
        (os::SHM_HUGETLB, "SHM_HUGETLB"),
        (os::SHM_NORESERVE, "SHM_NORESERVE"),
    ];
    for name in take_named(&mut rest, named) {
        write!(f, "{name}|")?;
    }
    if os::SHM_HUGETLB.is_some_and(|bit| flags & bit != 0) {
        // The six bits are the sign bit and the five below it: shift them down as unsigned.
        let size_log2 = ((rest as u32) >> os::SHM_HUGE_SHIFT) & os::SHM_HUGE_MASK;
        rest &= !((os::SHM_HUGE_MASK << os::SHM_HUGE_SHIFT) as c_int);
        if size_log2 != 0 {
            write!(f, "2^{size_log2}-byte pages|")?;
        }
    }
    if rest != 0 {
        write!(f, "{rest:#x}|")?;
    }
    write!(f, "{:04o}", flags & 0o777)
}

/// `, SHM_RDONLY|SHM_RND`, or nothing.
fn attach_flags(mut flags: c_int, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut separator = ", ";
    let named = [
        (Some(libc::SHM_RDONLY), "SHM_RDONLY"),
        (Some(libc::SHM_RND), "SHM_RND"),
        (os::SHM_REMAP, "SHM_REMAP"),
        (os::SHM_EXEC, "SHM_EXEC"),
    ];
    for name in take_named(&mut flags, named) {
        write!(f, "{separator}{name}")?;
        separator = "|";
    }
    match flags {
        0 => Ok(()),
        rest => write!(f, "{separator}{rest:#x}"),
    }
}

/// The names of the bits that are set, which it takes out of `flags`.
fn take_named(
    flags: &mut c_int,
    named: [(Option<c_int>, &'static str); 4],
) -> impl Iterator<Item = &'static str> {
    named.into_iter().filter_map(|(bit, name)| {
        let bit = bit.filter(|&bit| *flags & bit == bit)?;
        *flags &= !bit;
        Some(name)
    })
}
