//! C programs as peers, both ways: the same keys, segments, bytes, modes, counts and removals; and C carried over
//! line by line.
#![cfg(target_os = "linux")]

mod common;

use common::{CProgram, Owned, Running, skipped};
use std::ffi::c_int;
use std::fmt::Display;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::mem::size_of;
use std::os::unix::fs::symlink;
use std::ptr;
use sysvshm::bounded_buffer::spsc::BoundedBuffer;
use sysvshm::raw::{self, GetFlags};
use sysvshm::{
    AttachFlags, Error, ErrorKind, Key, Mode, Removal, Segment, SegmentId, SegmentOptions,
};

/// `tests/c/peer.c`, compiled; `None` where that cannot be.
fn compiled_peer() -> Option<CProgram> {
    CProgram::compile(include_str!("c/peer.c"))
}

/// A running C peer, asked one thing at a time.
struct C(Running);

impl C {
    fn start(program: &CProgram) -> Self {
        Self(Running::spawn(&mut program.command()))
    }

    #[track_caller]
    fn ask(&mut self, what: impl Display) -> String {
        self.0.say(what);
        self.0.line().expect("the C peer ended")
    }

    fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Ends its input, which ends it.
    fn finish(self) {
        assert!(self.0.wait().success());
    }
}

fn ints(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect()
}

#[test]
fn c_creates_and_rust_reads_and_answers() {
    let Some(program) = compiled_peer() else {
        return;
    };
    let mut c = C::start(&program);
    let key = Key::random().unwrap();
    let id = c.ask(format!("create {} 20 640", key.as_raw()));
    let id = SegmentId::from_raw(id.parse().unwrap());
    let _guard = Owned::guard(id.as_raw());
    assert_eq!(c.ask(format!("attach {id} rw")), "attached");
    assert_eq!(c.ask("put 0 1 2 3 -4 5"), "done");

    let segment = SegmentOptions::new().size_bytes(20).open(key).unwrap();
    assert_eq!((segment.id(), segment.len_bytes()), (id, 20));
    assert!(!segment.was_created());
    let mut bytes = [0; 20];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(bytes[..], ints(&[1, 2, 3, -4, 5]));
    let status = segment.status().unwrap();
    assert_eq!(status.mode(), Mode::from(0o640));
    assert_eq!(status.attached(), 2);
    assert_eq!(status.creator_pid(), Some(c.pid()));
    assert_eq!(status.last_pid(), Some(std::process::id()));

    segment.write_at(4, &ints(&[77])).unwrap();
    assert_eq!(c.ask("take 0 5"), "1 77 3 -4 5");
    drop(segment);
    assert_eq!(id.status().unwrap().attached(), 1);
    assert_eq!(c.ask("detach"), "detached");
    assert_eq!(c.ask(format!("remove {id}")), "removed");
    assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    c.finish();
}

#[test]
fn rust_creates_and_c_reads_and_answers() {
    let Some(program) = compiled_peer() else {
        return;
    };
    let key = Key::random().unwrap();
    let segment = SegmentOptions::new()
        .size_bytes(4097)
        .mode(0o604)
        .removal(Removal::OnDrop)
        .create_new(key)
        .unwrap();
    segment.write_at(0, &ints(&[10, 20, 30])).unwrap();
    segment.write_at(4093, b"\xff\x00\x7f\x80").unwrap();

    let mut c = C::start(&program);
    let id = segment.id();
    assert_eq!(
        c.ask(format!("get {} 4097 0", key.as_raw())),
        id.to_string()
    );
    assert_eq!(
        c.ask(format!("get {} 4098 0", key.as_raw())),
        "errno EINVAL"
    );
    assert_eq!(
        c.ask(format!("create {} 4097 600", key.as_raw())),
        "errno EEXIST"
    );
    assert_eq!(c.ask(format!("attach {id} ro")), "attached");
    assert_eq!(c.ask("take 0 3"), "10 20 30");
    assert_eq!(c.ask("bytes 4093 4"), "ff007f80");
    let me = std::process::id();
    let uid = segment.status().unwrap().owner_uid();
    assert_eq!(
        c.ask(format!("stat {id}")),
        format!("4097 604 2 {me} {} {uid} {uid}", c.pid())
    );

    // Marked by Rust while C is attached: no key any more, and it lives until C lets go.
    drop(segment);
    assert_eq!(c.ask(format!("get {} 0 0", key.as_raw())), "errno ENOENT");
    assert_eq!(
        c.ask(format!("stat {id}")),
        format!("4097 1604 1 {me} {me} {uid} {uid}")
    );
    assert_eq!(c.ask("take 0 3"), "10 20 30");
    assert_eq!(c.ask("detach"), "detached");
    assert_eq!(c.ask(format!("stat {id}")), "errno EINVAL");
    assert_eq!(c.ask(format!("remove {id}")), "errno EINVAL");
    c.finish();
}

#[test]
fn c_removes_what_rust_still_uses() {
    let Some(program) = compiled_peer() else {
        return;
    };
    let key = Key::random().unwrap();
    let segment = SegmentOptions::new()
        .size_bytes(8)
        .removal(Removal::OnDrop)
        .create_new(key)
        .unwrap();
    let id = segment.id();
    let mut c = C::start(&program);
    assert_eq!(c.ask(format!("remove {id}")), "removed");
    assert!(segment.status().unwrap().is_marked_for_removal());
    segment.write_at(0, b"still me").unwrap();
    assert_eq!(
        SegmentOptions::new().open(key).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // C's removal is what drop and detach find done; that is no error.
    segment.detach().unwrap();
    assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    c.finish();
}

#[test]
fn a_killed_c_peer_leaves_the_segment_detached_and_readable() {
    let Some(program) = compiled_peer() else {
        return;
    };
    let segment = SegmentOptions::new()
        .size_bytes(8)
        .removal(Removal::OnDrop)
        .create_new(Key::random().unwrap())
        .unwrap();
    let mut c = C::start(&program);
    assert_eq!(c.ask(format!("attach {} rw", segment.id())), "attached");
    assert_eq!(c.ask("put 0 123 456"), "done");
    assert_eq!(segment.status().unwrap().attached(), 2);
    c.0.kill();
    assert_eq!(segment.status().unwrap().attached(), 1);
    let mut bytes = [0; 8];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(bytes[..], ints(&[123, 456]));
}

#[test]
fn ftok_gives_every_file_and_id_the_key_that_c_gives() {
    let Some(program) = compiled_peer() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut paths = vec![
        folder.path().to_owned(),
        "/".into(),
        "/proc/self".into(),
        "/dev/null".into(),
    ];
    for number in 0..64 {
        let path = folder.path().join(format!("file {number} \u{e4}\u{20ac}"));
        File::create(&path).unwrap();
        paths.push(path);
    }
    let link = folder.path().join("symbolic");
    symlink(&paths[4], &link).unwrap();
    let hard = folder.path().join("hard");
    fs::hard_link(&paths[4], &hard).unwrap();
    paths.extend([link, hard]);

    let mut c = C::start(&program);
    for path in &paths {
        // /proc/self differs between the two processes, so it is left to itself.
        let path = if path.ends_with("proc/self") {
            "/proc".as_ref()
        } else {
            path.as_path()
        };
        for id in [
            0,
            1,
            42,
            0x7f,
            0x80,
            0xff,
            0x100,
            0x141,
            -1,
            i32::MIN,
            i32::MAX,
        ] {
            let theirs = c.ask(format!("ftok {id} {}", path.display()));
            let ours = Key::ftok(path, id).unwrap();
            assert_eq!(ours.as_raw().to_string(), theirs, "{} {id}", path.display());
            if let Ok(id @ 1..) = u8::try_from(id) {
                assert_eq!(Key::from_path(path, id).unwrap(), ours);
            }
        }
    }
    // C says -1 to a missing file and cannot say why; Rust can.
    let missing = folder.path().join("missing");
    assert_eq!(c.ask(format!("ftok 1 {}", missing.display())), "-1");
    assert_eq!(
        Key::ftok(&missing, 1).unwrap_err().raw_os_error(),
        Some(libc::ENOENT)
    );
    c.finish();
}

#[test]
fn negative_and_odd_keys_mean_the_same_on_both_sides() {
    let Some(program) = compiled_peer() else {
        return;
    };
    let mut c = C::start(&program);
    let random = Key::random().unwrap().as_raw();
    for raw in [random | i32::MIN, random & i32::MAX, -random] {
        let segment = SegmentOptions::new()
            .size_bytes(1)
            .removal(Removal::OnDrop)
            .create_new(Key::from_raw(raw))
            .unwrap();
        assert_eq!(c.ask(format!("get {raw} 1 0")), segment.id().to_string());
        drop(segment);
        let id = c.ask(format!("create {raw} 1 600"));
        let _guard = Owned::guard(id.parse().unwrap());
        assert_eq!(SegmentId::find(Key::from_raw(raw)).unwrap().to_string(), id);
        assert_eq!(c.ask(format!("remove {id}")), "removed");
    }
    c.finish();
}

/// One step of a port: an address that `shmat` returned to C-like code becomes a [`Segment`], and goes back.
#[test]
fn what_raw_calls_attached_can_be_taken_over_and_given_back() {
    let id = raw::shmget(
        Key::PRIVATE,
        20,
        GetFlags::IPC_CREAT | GetFlags::mode(0o600),
    )
    .unwrap();
    let _guard = Owned::guard(id);
    #[allow(unsafe_code)]
    // SAFETY: the system chooses the address.
    let address = unsafe { raw::shmat(id, ptr::null(), AttachFlags::empty()) }.unwrap();
    #[allow(unsafe_code)]
    // SAFETY: attached right above, and from here on this value alone detaches it.
    let segment: Segment =
        unsafe { Segment::from_raw(SegmentId::from_raw(id), address.cast()) }.unwrap();
    assert_eq!(
        (segment.len_bytes(), segment.status().unwrap().attached()),
        (20, 1)
    );
    let (same_id, same_address) = segment.into_raw();
    assert_eq!((same_id.as_raw(), same_address), (id, address.cast()));
    assert_eq!(same_id.status().unwrap().attached(), 1);
    #[allow(unsafe_code)]
    // SAFETY: the segment gave the address up, and nothing uses it.
    unsafe { raw::shmdt(address.as_ptr()) }.unwrap();
    assert_eq!(same_id.status().unwrap().attached(), 0);
}

#[test]
fn a_c_program_carried_over_line_by_line_prints_the_same() {
    let Some(program) = CProgram::compile(include_str!("c/port.c")) else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let output = program.command().arg(path).output().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.lines().last(), Some("gone: errno 22"), "{theirs}");
    assert_eq!(ported::main(path).unwrap(), theirs);
}

/// `tests/c/port.c`, in the same order. What C prints goes into a string.
mod ported {
    use super::*;
    use sysvshm::raw::{Command, shmctl, shmget};

    /// -1 and errno, as C sees them.
    fn c_style(result: Result<i32, Error>) -> (i32, i32) {
        match result {
            Ok(value) => (value, 0),
            Err(error) => (-1, error.raw_os_error().unwrap()),
        }
    }

    fn show(out: &mut String, when: &str, id: c_int) {
        let mut ds = raw::empty_shmid_ds();
        if let Err(error) = shmctl(id, Command::IpcStat(&mut ds)) {
            writeln!(out, "{when}: errno {}", error.raw_os_error().unwrap()).unwrap();
            return;
        }
        let key = SegmentId::from_raw(id).status().unwrap().key();
        let (size, mode, nattch) = (ds.shm_segsz, ds.shm_perm.mode, ds.shm_nattch);
        let key = if key.is_private() { "none" } else { "set" };
        writeln!(
            out,
            "{when}: {size} bytes, mode {mode:o}, {nattch} attached, key {key}"
        )
        .unwrap();
    }

    #[allow(unsafe_code)]
    pub(super) fn main(path: &str) -> Result<String, Error> {
        const INTS: usize = 5 * size_of::<c_int>();
        let mut printed = String::new();
        let out = &mut printed;
        let key = raw::ftok(path, 7)?;
        writeln!(out, "key ends in {:08x}", key.as_raw()).unwrap();

        let (id, errno) = c_style(shmget(key, INTS, GetFlags::empty()));
        writeln!(out, "before: {id} {errno}").unwrap();
        let exclusive = GetFlags::IPC_CREAT | GetFlags::IPC_EXCL | GetFlags::mode(0o640);
        let id = shmget(key, INTS, exclusive)?;
        // Not in the C program, which leaves the segment behind if it ends early.
        let _guard = Owned::guard(id);
        show(out, "created", id);
        let (again, errno) = c_style(shmget(key, INTS, exclusive));
        writeln!(out, "again: {again} {errno}").unwrap();
        let (larger, errno) = c_style(shmget(key, 6 * size_of::<c_int>(), GetFlags::empty()));
        writeln!(out, "larger: {larger} {errno}").unwrap();
        let same = shmget(key, 0, GetFlags::empty())? == id;
        writeln!(out, "same id: {}", c_int::from(same)).unwrap();

        // SAFETY: the system chooses the address.
        let numbers = unsafe { raw::shmat(id, ptr::null(), AttachFlags::empty()) }?.cast::<c_int>();
        for i in 0..5 {
            // SAFETY: five ints fit, and nobody else attaches this segment.
            let number = unsafe { numbers.add(i) };
            // SAFETY: as above.
            unsafe { number.write(i as c_int + 1) };
        }
        // SAFETY: as above.
        let seen = unsafe { raw::shmat(id, ptr::null(), AttachFlags::READ_ONLY) }?.cast::<c_int>();
        show(out, "attached twice", id);
        for i in 0..5 {
            // SAFETY: five ints are there.
            let number = unsafe { seen.add(i) };
            // SAFETY: as above.
            let number = unsafe { number.read_volatile() };
            write!(out, "{number} ").unwrap();
        }
        writeln!(out).unwrap();
        let askew = numbers.cast::<u8>().as_ptr().wrapping_add(1);
        // SAFETY: an address that is not aligned is refused.
        let unaligned = unsafe { raw::shmat(id, askew.cast(), AttachFlags::empty()) };
        let errno = unaligned.unwrap_err().raw_os_error().unwrap();
        writeln!(out, "unaligned: 1 {errno}").unwrap();
        // SAFETY: no segment is attached at the address of a variable.
        let not_attached = unsafe { raw::shmdt((&raw const key).cast()) };
        let (value, errno) = c_style(not_attached.map(|()| 0));
        writeln!(out, "not attached: {value} {errno}").unwrap();

        let mut ds = raw::empty_shmid_ds();
        shmctl(id, Command::IpcStat(&mut ds))?;
        ds.shm_perm.mode = 0o600;
        shmctl(id, Command::IpcSet(&ds))?;
        show(out, "mode set", id);
        // C does not look at the result either: an ordinary user may have no right to lock.
        let _ = shmctl(id, Command::ShmLock);
        show(out, "locked", id);
        let _ = shmctl(id, Command::ShmUnlock);
        // SAFETY: `seen` is not used any more.
        unsafe { raw::shmdt(seen.as_ptr().cast()) }?;
        show(out, "detached once", id);
        shmctl(id, Command::IpcRmid)?;
        show(out, "marked", id);
        let (by_key, errno) = c_style(shmget(key, 0, GetFlags::empty()));
        writeln!(out, "by key: {by_key} {errno}").unwrap();

        let mut limits = raw::shminfo::default();
        shmctl(0, Command::IpcInfo(&mut limits))?;
        writeln!(
            out,
            "at least {} byte, up to {} segments",
            limits.shmmin, limits.shmmni
        )
        .unwrap();
        let mut usage = raw::shm_info::default();
        shmctl(0, Command::ShmInfo(&mut usage))?;
        writeln!(out, "segments exist: {}", c_int::from(usage.used_ids >= 1)).unwrap();
        let mut slot = raw::empty_shmid_ds();
        let found = shmctl(id % 32768, Command::ShmStat(&mut slot))? == id;
        writeln!(
            out,
            "by slot: {}",
            c_int::from(found && slot.shm_segsz == INTS)
        )
        .unwrap();

        // SAFETY: `numbers` is not used any more.
        unsafe { raw::shmdt(numbers.as_ptr().cast()) }?;
        show(out, "gone", id);
        Ok(printed)
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_capacity_whose_bytes_overflow_is_refused_in_c() {
    let Some(program) = CProgram::compile(include_str!("c/lying_ring.c")) else {
        return;
    };
    let output = program.command().output().unwrap();
    match String::from_utf8(output.stdout).unwrap().trim() {
        "no room" => skipped("no address space for a segment of 2^46 bytes"),
        said => assert_eq!(said, "refused"),
    }
}

#[test]
fn c_takes_over_from_nobody_in_another_namespace() {
    let Some(program) = CProgram::compile(include_str!("c/elsewhere.c")) else {
        return;
    };
    let ring = BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4).unwrap();
    ring.segment().mark_for_removal().unwrap();
    let _consumer = ring.consumer().unwrap();
    let id = ring.segment().id().as_raw();
    let output = program.command().arg(id.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    match String::from_utf8(output.stdout).unwrap().trim() {
        "no namespace" => skipped("needs root, to have a private IPC namespace"),
        said => assert_eq!(said, "busy"),
    }
}
