//! Python's `sysv_ipc` as a peer, both ways: the same bytes, sizes, modes, counts, keys and removals.
//!
//! `SYSVSHM_PYTHON` names the interpreter, `python3` otherwise. Without `sysv_ipc` these tests say that they are
//! skipped.
#![cfg(target_os = "linux")]

mod common;

use common::{Owned, OwnedKey, Running, skipped};
use std::fmt::Display;
use std::process::Command;
use sysvshm::{ErrorKind, Key, Mode, Removal, SegmentOptions};

/// A running Python, asked one thing at a time.
struct Python(Running);

impl Python {
    /// `None`, and said so, where there is no Python or it has no `sysv_ipc`.
    fn start() -> Option<Self> {
        let python = std::env::var_os("SYSVSHM_PYTHON").unwrap_or_else(|| "python3".into());
        if let Err(error) = Command::new(&python).arg("-V").output() {
            skipped(&format!("no Python ({python:?}): {error}"));
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/peer.py");
        // -B: no __pycache__ in the sources.
        let mut running = Running::spawn(Command::new(&python).args(["-B", script]));
        let greeting = running.line().unwrap_or_default();
        if !greeting.starts_with("ready") {
            skipped(&format!("{python:?} has no sysv_ipc: {greeting}"));
            return None;
        }
        Some(Self(running))
    }

    #[track_caller]
    fn ask(&mut self, what: impl Display) -> String {
        self.0.say(what);
        self.0.line().expect("the Python peer ended")
    }

    fn finish(self) {
        assert!(self.0.wait().success());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn python_creates_and_writes_and_rust_reads_and_answers() {
    let Some(mut python) = Python::start() else {
        return;
    };
    let key = OwnedKey::random();
    let raw = key.key().as_raw();
    let id = python.ask(format!("create {raw} 4100 640"));
    assert_eq!(
        python.ask(format!("write 10 {}", hex(b"from Python\0\xff"))),
        "done"
    );

    let segment = SegmentOptions::new().open(key.key()).unwrap();
    assert_eq!(
        (segment.id().to_string(), segment.len_bytes()),
        (id.clone(), 4100)
    );
    let mut bytes = [0; 4100];
    segment.read_exact_at(0, &mut bytes).unwrap();
    // sysv_ipc fills what it creates exclusively with spaces, where C leaves zeros.
    assert!(
        bytes[..10]
            .iter()
            .chain(&bytes[23..])
            .all(|&byte| byte == b' ')
    );
    assert_eq!(&bytes[10..23], b"from Python\0\xff");
    let status = segment.status().unwrap();
    let uid = status.owner_uid();
    assert_eq!((status.mode(), status.attached()), (Mode::from(0o640), 2));
    assert_eq!(status.creator_pid(), Some(python.0.pid()));
    let (them, me) = (python.0.pid(), std::process::id());
    assert_eq!(
        python.ask("facts"),
        format!("4100 640 2 {them} {me} {uid} {uid}")
    );

    segment.write_at(4096, b"Rust").unwrap();
    assert_eq!(python.ask("read 4096 4"), hex(b"Rust"));
    // The view in Python is the memory itself, as long as the segment and not as its pages.
    assert_eq!(python.ask("view 4096 4"), format!("4100 {}", hex(b"Rust")));
    segment.write_at(4097, b"U").unwrap();
    assert_eq!(python.ask("view 4096 4"), format!("4100 {}", hex(b"RUst")));
    assert_eq!(python.ask("mode 600"), "done");
    assert_eq!(segment.status().unwrap().mode(), Mode::from(0o600));

    assert_eq!(python.ask("remove"), "removed");
    assert!(segment.status().unwrap().is_marked_for_removal());
    assert_eq!(python.ask("detach"), "detached");
    assert_eq!(segment.status().unwrap().attached(), 1);
    segment.detach().unwrap();
    assert_eq!(python.ask(format!("open {raw}")), "error ExistentialError");
    python.finish();
}

#[test]
fn rust_creates_and_python_reads_and_answers() {
    let Some(mut python) = Python::start() else {
        return;
    };
    let key = OwnedKey::random();
    let raw = key.key().as_raw();
    let segment = SegmentOptions::new()
        .size_bytes(100)
        .removal(Removal::OnDrop)
        .create_new(key.key())
        .unwrap();
    segment.write_at(95, b"\x00\x80end").unwrap();
    assert_eq!(python.ask(format!("open {raw}")), segment.id().to_string());
    assert_eq!(segment.status().unwrap().attached(), 2);
    assert_eq!(python.ask("read 95 0"), hex(b"\x00\x80end"));
    assert_eq!(python.ask("read 100 1"), "error ValueError");
    assert_eq!(python.ask("write 98 010203"), "error ValueError");
    assert_eq!(python.ask("write 97 010203"), "done");
    let mut end = [0; 3];
    segment.read_exact_at(97, &mut end).unwrap();
    assert_eq!(end, [1, 2, 3]);
    assert_eq!(
        python.ask(format!("create {raw} 100 600")),
        "error ExistentialError"
    );

    // Removed by Rust while Python is attached: the key is free, Python's attach lives on.
    let id = segment.id();
    drop(segment);
    assert_eq!(python.ask("read 97 3"), "010203");
    assert_eq!(id.status().unwrap().attached(), 1);
    assert_eq!(python.ask("detach"), "detached");
    assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
    python.finish();
}

#[test]
fn python_attaches_by_identifier_alone_and_leaves_nothing_when_killed() {
    let Some(mut python) = Python::start() else {
        return;
    };
    let owned = Owned::new(16, 0o600);
    let segment = owned.id().attach().unwrap();
    assert_eq!(
        python.ask(format!("by_id {} ro", owned.id())),
        owned.id().to_string()
    );
    segment.write_at(0, b"read me").unwrap();
    assert_eq!(python.ask("read 0 7"), hex(b"read me"));
    // Where C would be killed, Python says what the type system says here.
    assert_eq!(python.ask("write 0 00"), "error OSError");
    assert_eq!(segment.status().unwrap().attached(), 2);
    python.0.kill();
    assert_eq!(segment.status().unwrap().attached(), 1);
}

#[test]
fn ftok_agrees_with_python() {
    let Some(mut python) = Python::start() else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    for id in [1, 42, 0x80, 0xff] {
        let key = Key::from_path(file.path(), id).unwrap();
        let theirs = python.ask(format!("ftok {id} {}", file.path().display()));
        assert_eq!(theirs, key.as_raw().to_string());
    }
    python.finish();
}
