//! `transfer.h` in Rust: the same bytes, the same steps.

use std::error::Error;
use std::ffi::{c_int, c_long, c_short};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use sysvshm::raw::{self, GetFlags};
use sysvshm::{
    ErrorKind, Key, Segment, SegmentOptions, Semaphore, SemaphoreSet, SharedStruct, shared_struct,
};

pub(crate) const KEY_FILE: &str = "transfer.key";
pub(crate) const PROJECT: u8 = b'T';
pub(crate) const NAME_LEN: usize = 30;
pub(crate) const BLOCK: usize = 4096;

pub(crate) const EMPTY: usize = 0;
pub(crate) const FULL: usize = 1;

shared_struct! {
    /// `struct transfer`. Reached member by member, so its gaps need no names.
    pub(crate) struct Transfer {
        pub(crate) name: [u8; NAME_LEN],
        pub(crate) length: c_short,
        pub(crate) number: c_long,
        pub(crate) block: [u8; BLOCK],
    }
}

const _: () = {
    use std::mem::offset_of;
    assert!(offset_of!(Transfer, length) == 30);
    assert!(offset_of!(Transfer, number) == 32);
    assert!(offset_of!(Transfer, block) == 32 + size_of::<c_long>());
};

static STOP: AtomicBool = AtomicBool::new(false);

/// `on_signal`.
extern "C" fn on_signal(_: c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// `sigaction`. The standard library has no signals; programs with more dependencies take `signal-hook`.
fn catch_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let handler = on_signal as extern "C" fn(c_int);
        #[allow(unsafe_code)]
        // SAFETY: the handler only stores to an atomic, which is allowed in one.
        unsafe {
            libc::signal(signal, handler as libc::sighandler_t);
        };
    }
}

/// What both programs work with.
#[derive(Debug)]
pub(crate) struct Joined {
    /// `None` only while it is dropped.
    shared: Option<SharedStruct<Transfer>>,
    pub(crate) set: SemaphoreSet,
}

/// What to open: the receiver creates, the sender does not.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)] // Each program uses one.
pub(crate) enum Role {
    Receiver,
    Sender,
}

impl Joined {
    /// `join`. Signals are caught before there is anything to leave behind.
    pub(crate) fn join(role: Role) -> Result<Self, Box<dyn Error>> {
        catch_signals();
        let key = Key::from_path(KEY_FILE, PROJECT)?;
        let (shared, set) = match role {
            Role::Receiver => {
                // `OnDrop` would not do: it removes only what this process created, never what it found.
                let shared = SegmentOptions::new().open_or_create_struct(key)?;
                // semget(key, 2, IPC_CREAT | 0600), then SETVAL, at every start: `open_or_create` would keep the
                // values that a killed program left.
                let id = raw::semget(key, 2, GetFlags::IPC_CREAT | GetFlags::mode(0o600))?;
                let set = SemaphoreSet::from_raw(id)?;
                set.semaphore(EMPTY).set_value(1)?;
                set.semaphore(FULL).set_value(0)?;
                (shared, set)
            }
            Role::Sender => (SharedStruct::open(key)?, SemaphoreSet::open(key)?),
        };
        Ok(Self {
            shared: Some(shared),
            set,
        })
    }

    pub(crate) fn shared(&self) -> &SharedStruct<Transfer> {
        self.shared.as_ref().expect("taken by drop alone")
    }

    /// `wait_for`. In slices: for a signal that came just before, and for the other side to be gone.
    pub(crate) fn wait_for(&self, index: usize, peer_has_come: bool) -> Result<(), Box<dyn Error>> {
        let semaphore: Semaphore = self.set.semaphore(index).interruptible();
        loop {
            match semaphore.acquire_timeout(1, Duration::from_millis(200)) {
                Ok(()) => return Ok(()),
                Err(error)
                    if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
            if STOP.load(Ordering::Relaxed) {
                return Err("interrupted".into());
            }
            if peer_has_come && self.shared().segment().status()?.attached() == 1 {
                let its_last_act = semaphore.try_acquire(1);
                return its_last_act.map_err(|_| "the other side is gone".into());
            }
        }
    }
}

impl Drop for Joined {
    /// `leave`: the last to leave removes both. Runs at the end of `main` however that comes, where C needed
    /// `atexit`.
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else {
            return;
        };
        let segment: Segment = shared.into_segment();
        let id = segment.id();
        drop(segment);
        if id.status().is_ok_and(|status| status.attached() == 0) {
            // Two that leave at the same moment may both try. Gone already is as good.
            let _ = id.mark_for_removal();
            let _ = self.set.remove();
        }
    }
}
