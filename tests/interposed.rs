//! Races lost and failures had at exact moments: this binary puts its own `shmget`, `shmat` and `shmctl` before
//! those of the C library.
//!
//! Each makes the system call itself, after asking the test that runs on this thread whether something is to happen
//! first, or instead.
#![allow(unsafe_code)] // The three functions are foreign ones.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/ipc_calls.rs"]
mod ipc_calls;

use common::{Owned, OwnedKey, Talk, assert_says, fails, peer};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::rc::Rc;
use std::time::Duration;
use sysvshm::bounded_buffer::{PeerState, spsc};
use sysvshm::raw::{self, GetFlags};
use sysvshm::system;
use sysvshm::{ErrorKind, Key, Removal, SegmentId, SegmentOptions};

/// A call that is about to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Get,
    Attach(SegmentId),
    Status(SegmentId),
    StatusAny(SegmentId),
    Set(SegmentId),
    Remove(SegmentId),
    Other,
}

/// What a test does before a call; an errno to fail it with instead of making it.
type Hook = Box<dyn FnMut(Call) -> Option<c_int>>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

/// Runs `act` with `hook` in front of the calls that this thread makes. The hook's own calls go through.
fn with_hook<T>(hook: impl FnMut(Call) -> Option<c_int> + 'static, act: impl FnOnce() -> T) -> T {
    HOOK.set(Some(Box::new(hook)));
    let result = act();
    HOOK.set(None);
    result
}

/// Asks the hook; whether the call was failed.
fn failed(call: Call) -> bool {
    // Taken out while it runs, so that it may make such calls itself.
    let Some(mut hook) = HOOK.take() else {
        return false;
    };
    let errno = hook(call);
    HOOK.set(Some(hook));
    if let Some(errno) = errno {
        // SAFETY: no preconditions.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: the thread's own errno.
        unsafe { place.write(errno) };
    }
    errno.is_some()
}

/// Takes the place of the C library's function.
#[unsafe(no_mangle)]
extern "C" fn shmget(key: libc::key_t, size: usize, flags: c_int) -> c_int {
    if failed(Call::Get) {
        return -1;
    }
    ipc_calls::shmget(key, size, flags)
}

/// Takes the place of the C library's function.
///
/// # Safety
///
/// As shmat(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn shmat(id: c_int, address: *const c_void, flags: c_int) -> *mut c_void {
    if failed(Call::Attach(SegmentId::from_raw(id))) {
        return std::ptr::without_provenance_mut(usize::MAX);
    }
    // SAFETY: the caller's promise.
    unsafe { ipc_calls::shmat(id, address, flags) }
}

/// Takes the place of the C library's function.
///
/// # Safety
///
/// As shmctl(2).
#[unsafe(no_mangle)]
unsafe extern "C" fn shmctl(id: c_int, command: c_int, buffer: *mut libc::shmid_ds) -> c_int {
    let segment = SegmentId::from_raw(id);
    let call = match command {
        libc::IPC_STAT => Call::Status(segment),
        SHM_STAT_ANY => Call::StatusAny(segment),
        libc::IPC_SET => Call::Set(segment),
        libc::IPC_RMID => Call::Remove(segment),
        _ => Call::Other,
    };
    if failed(call) {
        return -1;
    }
    // SAFETY: the caller's promise.
    unsafe { ipc_calls::shmctl(id, command, buffer) }
}

fn sized(bytes: usize) -> SegmentOptions {
    SegmentOptions::new().size_bytes(bytes).clone()
}

/// Runs `event` at the first attach, and never again.
fn before_first_attach(mut event: impl FnMut(SegmentId) + 'static) -> Hook {
    let mut happened = false;
    Box::new(move |call| {
        if let Call::Attach(id) = call {
            if !std::mem::replace(&mut happened, true) {
                event(id);
            }
        }
        None
    })
}

#[test]
fn a_segment_replaced_between_lookup_and_attach_leads_to_the_new_one() {
    for open in [SegmentOptions::open, SegmentOptions::open_or_create] {
        let owned = OwnedKey::random();
        let key = owned.key();
        let old = owned.create(100, 0o600);
        let hook = before_first_attach(move |id| {
            id.mark_for_removal().unwrap();
            sized(200).create_unattached(key).unwrap();
        });
        let segment = with_hook(hook, || open(&sized(50), key)).unwrap();
        assert_ne!(segment.id(), old);
        assert_eq!(segment.len_bytes(), 200);
        assert!(!segment.was_created());
    }
}

#[test]
fn a_segment_marked_between_lookup_and_attach_is_let_go() {
    let owned = OwnedKey::random();
    let key = owned.key();
    let old = owned.create(100, 0o600);
    // Somebody keeps it alive, so that attaching by its id works.
    let keeper = old.attach().unwrap();
    let hook = before_first_attach(move |id| {
        id.mark_for_removal().unwrap();
        sized(200).create_unattached(key).unwrap();
    });
    let segment = with_hook(hook, || SegmentOptions::new().open_read_only(key)).unwrap();
    assert_ne!(segment.id(), old);
    assert_eq!(old.status().unwrap().attached(), 1);
    drop(keeper);
}

#[test]
fn a_segment_removed_for_good_between_lookup_and_attach_is_not_found_or_made_anew() {
    for held in [false, true] {
        let owned = OwnedKey::random();
        let remove = |id: SegmentId| id.mark_for_removal().unwrap();
        let old = owned.create(100, 0o600);
        let keeper = held.then(|| old.attach().unwrap());
        let open = || SegmentOptions::new().open(owned.key());
        let result = with_hook(before_first_attach(remove), open);
        fails(result, ErrorKind::NotFound, libc::ENOENT);
        drop(keeper);

        owned.create(100, 0o600);
        let open = || sized(100).open_or_create(owned.key());
        let segment = with_hook(before_first_attach(remove), open).unwrap();
        assert!(segment.was_created());
        segment.mark_for_removal().unwrap();
    }
}

#[test]
fn a_key_that_is_taken_between_lookup_and_creation_is_opened() {
    let owned = OwnedKey::random();
    let key = owned.key();
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let hook = move |call| {
        if call == Call::Get {
            counted.set(counted.get() + 1);
            // The first looks up, the second creates.
            if counted.get() == 2 {
                sized(300).create_unattached(key).unwrap();
            }
        }
        None
    };
    let segment = with_hook(hook, || sized(100).open_or_create(key)).unwrap();
    assert!(!segment.was_created());
    assert_eq!(segment.len_bytes(), 300);
}

#[test]
fn a_segment_removed_between_its_creation_and_the_attach_is_made_anew() {
    // Held by somebody who was as fast, so that it is marked; or gone at once.
    for held in [true, false] {
        let owned = OwnedKey::random();
        let removed = Rc::new(Cell::new(None));
        let seen = removed.clone();
        let hook = before_first_attach(move |id| {
            seen.set(Some(id));
            let keeper = held.then(|| id.attach().unwrap().into_raw());
            assert_eq!(keeper.is_some(), held);
            id.mark_for_removal().unwrap();
        });
        let segment = with_hook(hook, || sized(100).create_new(owned.key())).unwrap();
        assert_ne!(Some(segment.id()), removed.get());
        assert!(segment.was_created());
        assert_eq!(SegmentId::find(owned.key()).unwrap(), segment.id());
        let status = removed.get().unwrap().status();
        assert_eq!(
            status.map(|status| status.attached()).ok(),
            held.then_some(1)
        );
    }
}

#[test]
fn replacing_it_for_ever_does_not_keep_an_opener_for_ever() {
    let owned = OwnedKey::random();
    let key = owned.key();
    owned.create(100, 0o600);
    let hook = move |call| {
        if let Call::Attach(id) = call {
            id.mark_for_removal().unwrap();
            sized(100).create_unattached(key).unwrap();
        }
        None
    };
    let result = with_hook(hook, || SegmentOptions::new().open(key));
    let error = fails(result, ErrorKind::Other, None);
    assert_says(&error, &["keep removing the segment and creating it anew"]);
}

#[test]
fn what_was_created_and_cannot_be_attached_is_removed_whatever_the_reason() {
    let owned = OwnedKey::random();
    for errno in [libc::ENOMEM, libc::EACCES, libc::EMFILE, libc::EINTR] {
        for removal in [Removal::Never, Removal::OnDrop, Removal::OnceAttached] {
            let hook = move |call| matches!(call, Call::Attach(_)).then_some(errno);
            let create = || sized(100).removal(removal).create_new(owned.key());
            let error = with_hook(hook, create).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno));
            fails(
                SegmentId::find(owned.key()),
                ErrorKind::NotFound,
                libc::ENOENT,
            );
        }
    }
}

#[test]
fn a_failure_after_the_attach_detaches_again() {
    let owned = OwnedKey::random();
    let id = owned.create(100, 0o600);
    let no_status = |call| matches!(call, Call::Status(_)).then_some(libc::ENOMEM);
    let error = with_hook(no_status, || id.attach()).unwrap_err();
    assert_eq!(
        (error.call(), error.raw_os_error()),
        ("shmctl", Some(libc::ENOMEM))
    );
    assert_eq!(id.status().unwrap().attached(), 0);
    // Found, not created: it stays.
    with_hook(no_status, || SegmentOptions::new().open(owned.key())).unwrap_err();
    assert_eq!(SegmentId::find(owned.key()).unwrap(), id);
    // Created: it goes.
    id.mark_for_removal().unwrap();
    with_hook(no_status, || sized(1).create_new(owned.key())).unwrap_err();
    fails(
        SegmentId::find(owned.key()),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
}

#[test]
fn the_status_asked_for_after_attaching_decides_about_the_length() {
    let owned = Owned::new(100, 0o600);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let calls = seen.clone();
    let hook = move |call| {
        calls.borrow_mut().push(call);
        None
    };
    let segment = with_hook(hook, || owned.id().attach()).unwrap();
    let id = owned.id();
    assert_eq!(*seen.borrow(), [Call::Attach(id), Call::Status(id)]);
    drop(segment);
}

#[test]
fn every_errno_of_shmget_has_its_kind() {
    let key = Key::random().unwrap();
    let huge = libc::SHM_HUGETLB;
    let create = libc::IPC_CREAT | 0o600;
    for (errno, flags, kind, words) in [
        (
            libc::EACCES,
            0o600,
            ErrorKind::PermissionDenied,
            "mode bits",
        ),
        (libc::EEXIST, create, ErrorKind::AlreadyExists, "EEXIST"),
        (libc::ENOENT, 0, ErrorKind::NotFound, "start the program"),
        (libc::ENOMEM, create, ErrorKind::OutOfMemory, "no_reserve"),
        (
            libc::ENFILE,
            create,
            ErrorKind::FileTableFull,
            "fs.file-max",
        ),
        (libc::ENOSYS, create, ErrorKind::Unsupported, "switched off"),
        // No rule of shmget says EPERM here, so it must be a sandbox.
        (libc::EPERM, create, ErrorKind::Unsupported, "seccomp"),
        (
            libc::ENOENT,
            create | huge,
            ErrorKind::HugePagesUnavailable,
            "no huge pages",
        ),
        (
            libc::ENOMEM,
            create | huge,
            ErrorKind::HugePagesUnavailable,
            "vm.nr_hugepages",
        ),
        (
            libc::EPERM,
            create | huge,
            ErrorKind::HugePagesNotPermitted,
            "CAP_IPC_LOCK",
        ),
        (
            libc::EINVAL,
            create | huge,
            ErrorKind::HugePagesUnavailable,
            "/hugepages",
        ),
        (libc::EINVAL, 0, ErrorKind::SegmentTooSmall, "EINVAL"),
        (libc::EIO, 0, ErrorKind::Other, "EIO"),
        (4711, 0, ErrorKind::Other, "errno 4711"),
    ] {
        // Only the call itself fails; what looks for the cause gets through.
        let mut done = false;
        let hook = move |call| {
            let first = call == Call::Get && !std::mem::replace(&mut done, true);
            first.then_some(errno)
        };
        let flags = GetFlags::from_bits_retain(flags);
        let result = with_hook(hook, || raw::shmget(key, 100, flags));
        let error = fails(result, kind, errno);
        assert_says(&error, &["shmget(key 0x", "100 bytes", words]);
    }
}

#[test]
fn every_errno_of_shmat_and_shmctl_has_its_kind() {
    let owned = Owned::new(100, 0o600);
    let id = owned.id();
    for (errno, kind, words) in [
        (
            libc::EACCES,
            ErrorKind::PermissionDenied,
            "read and the write bit",
        ),
        (libc::EIDRM, ErrorKind::NoSuchSegment, "was removed"),
        (libc::ENOMEM, ErrorKind::OutOfMemory, "vm.max_map_count"),
        (libc::EMFILE, ErrorKind::AttachLimit, "detach segments"),
        (libc::EINTR, ErrorKind::Interrupted, "EINTR"),
        (libc::ENOSYS, ErrorKind::Unsupported, "switched off"),
    ] {
        let hook = move |call| matches!(call, Call::Attach(_)).then_some(errno);
        let error = fails(with_hook(hook, || id.attach()), kind, errno);
        assert_says(&error, &["shmat(id", "any address", words]);
    }
    for (errno, kind, words) in [
        (libc::EIDRM, ErrorKind::NoSuchSegment, "was removed"),
        // Of its owner only a sandbox would say so.
        (libc::EPERM, ErrorKind::Unsupported, "sandbox"),
        (libc::ENOSYS, ErrorKind::Unsupported, "switched off"),
        (libc::EOVERFLOW, ErrorKind::Other, "does not fit"),
    ] {
        let hook = move |call| matches!(call, Call::Remove(_)).then_some(errno);
        let error = fails(with_hook(hook, || id.mark_for_removal()), kind, errno);
        assert_says(&error, &["IPC_RMID", words]);
    }
    // EINVAL of IPC_SET for an id the kernel cannot map, although the segment is there.
    let hook = |call| matches!(call, Call::Set(_)).then_some(libc::EINVAL);
    let result = with_hook(hook, || id.set_permissions(1, 1, 0o600));
    let error = fails(result, ErrorKind::InvalidInput, libc::EINVAL);
    assert_says(&error, &["IPC_SET", "user namespace"]);
}

#[test]
fn removal_on_drop_takes_that_it_is_gone_already_for_done() {
    for errno in [libc::EINVAL, libc::EIDRM] {
        let mut options = sized(1);
        let create = options.removal(Removal::OnDrop);
        let segment = create.create_new(Key::PRIVATE).unwrap();
        let _owned = Owned(segment.id());
        let hook = move |call| matches!(call, Call::Remove(_)).then_some(errno);
        with_hook(hook, || segment.detach()).unwrap();
    }
    // One that cannot be looked at is not removed unseen, and that is told.
    let mut options = sized(1);
    let create = options.removal(Removal::OnDrop);
    let segment = create.create_new(Key::PRIVATE).unwrap();
    let owned = Owned(segment.id());
    let hook = |call| matches!(call, Call::Status(_)).then_some(libc::ENOMEM);
    let error = with_hook(hook, || segment.detach()).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
    let status = owned.id().status().unwrap();
    assert!(!status.is_marked_for_removal() && status.attached() == 0);
    // Any other failure is told, by `detach`, and the segment is detached all the same.
    let mut options = sized(1);
    let create = options.removal(Removal::OnDrop);
    let segment = create.create_new(Key::PRIVATE).unwrap();
    let owned = Owned(segment.id());
    let hook = |call| matches!(call, Call::Remove(_)).then_some(libc::EPERM);
    fails(
        with_hook(hook, || segment.detach()),
        ErrorKind::Unsupported,
        libc::EPERM,
    );
    assert_eq!(owned.id().status().unwrap().attached(), 0);
}

/// A process that is killed while it makes the token of a ring leaves it behind, and `system` knows it.
#[test]
fn a_token_abandoned_at_any_point_of_its_making_is_found_and_removed() {
    let joiner = peer!(|talk: &mut Talk| {
        let id = SegmentId::from_raw(talk.arg(0));
        let (mut calls_left, me): (u32, i32) = (talk.arg(1), std::process::id() as i32);
        // Attached beforehand, so that the first segment that appears is the token.
        let segment = id.attach().unwrap();
        let hook = move |call| {
            let of_token = match call {
                Call::Attach(at)
                | Call::Status(at)
                | Call::StatusAny(at)
                | Call::Set(at)
                | Call::Remove(at) => at != id,
                Call::Get | Call::Other => false,
            };
            if of_token && calls_left == 0 {
                // SAFETY: ends this process at once, before the call.
                unsafe { libc::kill(me, libc::SIGKILL) };
            }
            calls_left = calls_left.saturating_sub(u32::from(of_token));
            None
        };
        let opened = with_hook(hook, || {
            spsc::Options::new().capacity(4).in_segment::<u64>(segment)
        });
        talk.say(opened.is_ok());
    });
    let buffer = Owned::new(8192, 0o600);
    // Before shmat; before the status that tells whether a fork came between; before IPC_SET; before IPC_RMID.
    for calls in 0..MAKING_A_TOKEN {
        let running = joiner.clone().arg(buffer.raw()).arg(calls).start();
        let pid = running.pid();
        assert_eq!(running.signal(), Some(libc::SIGKILL), "{calls}");
        let of_joiner = || {
            let tokens = system::abandoned_tokens(Duration::ZERO).unwrap();
            let mine = |token: &system::AbandonedToken| token.status().creator_pid() == Some(pid);
            tokens.into_iter().filter(mine).collect::<Vec<_>>()
        };
        // Marked for removal, as after the last of these calls, it is gone without anybody's doing.
        let left = of_joiner();
        let expected = usize::from(calls <= IPC_RMID);
        assert_eq!(left.len(), expected, "killed before call {calls}: {left:?}");
        for token in left {
            assert!(token.remove().unwrap());
        }
        assert_eq!(of_joiner(), []);
        let all = system::segments().unwrap();
        let mut creators = all.iter().map(|entry| entry.status.creator_pid());
        assert!(!creators.any(|creator| creator == Some(pid)));
    }
    // One more: nothing happens to it.
    let peer = joiner.arg(buffer.raw()).arg(1000);
    assert_eq!(peer.run(), ["true"]);
}

/// What the documentation says of its price.
#[test]
fn asking_for_a_living_process_is_one_call_and_for_a_dead_one_three() {
    let member = peer!(|talk: &mut Talk| {
        let options = spsc::Options::new();
        let ring = options.attach::<u64>(SegmentId::from_raw(talk.arg(0)));
        let _producer = ring.unwrap().producer().unwrap();
        talk.say("in");
        talk.hear();
    });
    let ring = spsc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4).unwrap();
    ring.segment().mark_for_removal().unwrap();
    let id = ring.segment().id();
    let mut running = member.arg(id.as_raw()).start();
    assert_eq!(running.hear(), "in");
    let token = ring.segment().reference::<u64>(128).unwrap().load() & 0x7fff_ffff;
    let token = SegmentId::from_raw(token as i32);
    let calls = || {
        let calls = Rc::new(RefCell::new(Vec::new()));
        let noted = Rc::clone(&calls);
        let hook = move |call| {
            noted.borrow_mut().push(call);
            None
        };
        let state = with_hook(hook, || ring.producer_state());
        (state, calls.take())
    };
    let (asked, witness) = (Call::StatusAny(token), Call::StatusAny(id));
    assert_eq!(calls(), (PeerState::Alive, vec![asked]));
    running.kill();
    // The kernel releases a token a moment after its process has ended.
    while ring.producer_state() != PeerState::Dead {
        std::thread::yield_now();
    }
    assert_eq!(calls(), (PeerState::Dead, vec![asked, witness, asked]));
}

/// The calls on a token's identifier: `shmat` with the `IPC_STAT` of every attach, `IPC_STAT`, `IPC_SET`, `IPC_RMID`,
/// `SHM_STAT_ANY`.
const MAKING_A_TOKEN: u32 = 6;
/// The one that marks it.
const IPC_RMID: u32 = 4;
/// The kernel's command, which the `libc` crate lacks.
const SHM_STAT_ANY: c_int = 15;

#[test]
fn a_small_segment_replaced_by_a_large_one_is_looked_up_again() {
    let owned = OwnedKey::random();
    let key = owned.key();
    let old = owned.create(10, 0o600);
    let mut calls = 0;
    // The first lookup finds the small one; before the cause is looked for, the large one has its place.
    let hook = move |call| {
        calls += usize::from(call == Call::Get);
        if calls == 2 && call == Call::Get && SegmentId::find(key).ok() == Some(old) {
            old.mark_for_removal().unwrap();
            sized(5000).create_unattached(key).unwrap();
        }
        None
    };
    let segment = with_hook(hook, || sized(5000).open(key)).unwrap();
    assert_eq!(segment.len_bytes(), 5000);
    assert_ne!(segment.id(), old);
}

#[test]
fn a_refusal_that_nothing_explains_any_more_is_still_about_the_size() {
    let owned = OwnedKey::random();
    owned.create(10, 0o600);
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    // What asks for 0 bytes finds the segment; the others are refused whatever is there.
    let hook = move |call| {
        counted.set(counted.get() + usize::from(call == Call::Get));
        (call == Call::Get && counted.get() % 2 == 1).then_some(libc::EINVAL)
    };
    let result = with_hook(hook, || sized(10).open(owned.key()));
    fails(result, ErrorKind::SegmentTooSmall, libc::EINVAL);
    assert!(calls.get() <= 40, "{} lookups", calls.get());
}

#[test]
fn a_size_beyond_any_file_is_out_of_range() {
    let Some(too_much) = 1_usize.checked_shl(63) else {
        return common::skipped("no number of 32 bits is beyond any file");
    };
    let owned = OwnedKey::random();
    for size in [too_much, usize::MAX] {
        let error = sized(size).create_new(owned.key()).unwrap_err();
        let error = fails::<()>(Err(error), ErrorKind::SizeOutOfRange, libc::EINVAL);
        assert!(error.hint().is_some());
    }
    owned.create(10, 0o600);
    let error = fails(
        sized(too_much).open(owned.key()),
        ErrorKind::SegmentTooSmall,
        libc::EINVAL,
    );
    assert_says(&error, &["has 10 bytes"]);
}

#[test]
fn what_a_sandbox_refuses_is_called_that() {
    let owned = Owned::new(100, 0o700);
    let id = owned.id();
    let attach = |call| matches!(call, Call::Attach(_)).then_some(libc::EPERM);
    let executable = SegmentOptions::new().executable(true).clone();
    let high = common::at(&SegmentOptions::new(), 1 << 30);
    for options in [SegmentOptions::new(), executable, high] {
        let error = fails(
            with_hook(attach, || options.attach(id)),
            ErrorKind::Unsupported,
            libc::EPERM,
        );
        assert_says(&error, &["a sandbox (seccomp) may forbid this"]);
    }
    // Owner or not cannot be told where the status is refused as well.
    let all = |call| (call != Call::Get).then_some(libc::EPERM);
    for result in [
        with_hook(all, || id.mark_for_removal()),
        with_hook(all, || id.set_permissions(0, 0, 0o600)),
        with_hook(all, || id.status().map(drop)),
        with_hook(all, || id.unlock_from_memory()),
        with_hook(all, || system::usage().map(drop)),
    ] {
        let error = fails(result, ErrorKind::Unsupported, libc::EPERM);
        assert_says(&error, &["a sandbox (seccomp) may forbid this"]);
    }
    // A limit on locked memory, because `mlockall(MCL_FUTURE)` locks what is attached.
    let locked = |call| matches!(call, Call::Attach(_)).then_some(libc::EAGAIN);
    fails(
        with_hook(locked, || id.attach()),
        ErrorKind::LockLimit,
        libc::EAGAIN,
    );
}

#[test]
fn the_list_of_segments_is_whole_where_its_calls_are_refused() {
    let owned = [Owned::new(100, 0o640), Owned::new(4096, 0o000)];
    let attached = owned[0].id().attach().unwrap();
    attached.write_at(0, b"x").unwrap();
    let listed = |errno: Option<c_int>| {
        let hook = move |call| errno.filter(|_| call == Call::Other);
        let entries = with_hook(hook, system::segments).unwrap();
        owned.each_ref().map(|one| {
            let entry = entries.iter().find(|entry| entry.status.id() == one.id());
            entry.expect("listed").clone()
        })
    };
    let usual = listed(None);
    for errno in [libc::EPERM, libc::ENOSYS] {
        assert_eq!(listed(Some(errno)), usual);
    }
    drop(attached);
}

#[test]
fn a_segment_that_no_call_admits_to_is_made_few_times_and_removed() {
    for key in [Key::PRIVATE, Key::random().unwrap()] {
        let made = Rc::new(RefCell::new(Vec::new()));
        for blind in [false, true] {
            let seen = made.clone();
            // A sandbox that knows the commands not, or only IPC_RMID; or no attach either.
            let hook = move |call| match call {
                Call::Attach(id) => {
                    seen.borrow_mut().push(id);
                    blind.then_some(libc::EINVAL)
                }
                Call::Status(_) | Call::Other => Some(libc::EINVAL),
                _ => None,
            };
            let error = with_hook(hook, || sized(100).create_new(key)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            if !blind {
                let error = fails::<()>(Err(error), ErrorKind::Unsupported, libc::EINVAL);
                assert_says(&error, &["IPC_STAT", "sandbox"]);
            }
            let made = made.take();
            assert_eq!(made.len(), 1);
            assert!(made[0].status().is_err(), "left behind");
        }
    }
    // Where it cannot be removed either, few are left.
    let made = Rc::new(RefCell::new(Vec::new()));
    let seen = made.clone();
    let hook = move |call| match call {
        Call::Get => None,
        Call::Attach(id) => {
            seen.borrow_mut().push(id);
            Some(libc::EINVAL)
        }
        _ => Some(libc::EINVAL),
    };
    with_hook(hook, || sized(100).create_new(Key::PRIVATE)).unwrap_err();
    let made = made.take();
    assert!(made.len() <= 4, "{} left", made.len());
    for id in made {
        id.mark_for_removal().unwrap();
    }
}

#[test]
fn memory_that_is_not_promised_comes_with_what_would_be() {
    let mode = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap();
    let hook = |call| (call == Call::Get).then_some(libc::ENOMEM);
    let error = with_hook(hook, || sized(100).create_new(Key::PRIVATE)).unwrap_err();
    match mode.trim() {
        "0" => assert_says(
            &error,
            &[
                "overcommit_memory is 0",
                "memory and swap together",
                "kB are available",
            ],
        ),
        "2" => assert_says(
            &error,
            &["overcommit_memory is 2", "CommitLimit", "kB are available"],
        ),
        _ => assert_says(&error, &["will not promise"]),
    }
}
