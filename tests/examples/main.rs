//! The examples, run as their readers run them: what they print, byte for byte, how they end, and what they leave
//! behind.
//!
//! | file | examples |
//! |---|---|
//! | `command_lines.rs` | all: `--help`, arguments, closed output, Ctrl-C |
//! | `programs.rs` | `sysvshm_producer` and `sysvshm_consumer`, with each other and with the C programs of `examples/c` |
//! | `lecture.rs` | `lecture` |
//! | `inspect.rs` | `inspect` |
//! | `ipcs.rs` | `ipcs`, what it shows |
//! | `ipcs_removal.rs` | `ipcs`, what it removes |
//! | `ipcs_sets.rs` | `ipcs`, semaphore sets |
//! | `semaphore_buffer.rs` | `semaphore_buffer_producer` and `semaphore_buffer_consumer` |
//! | `workers.rs` | `workers` |
//! | `porting.rs` | server and clients of `examples/porting`, in C and in Rust, in all pairings |
//! | `transfer.rs` | its file transfer, likewise |

mod command_lines;
#[path = "../common/mod.rs"]
mod common;
mod inspect;
mod ipcs;
mod ipcs_queues;
mod ipcs_removal;
mod ipcs_sets;
mod lecture;
mod porting;
mod programs;
mod semaphore_buffer;
mod transfer;
mod workers;

use common::{OwnedKey, OwnedSetKey};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use sysvshm::{Key, SegmentId, SemaphoreSet};

/// Where `cargo test` has put an example: cargo has no environment variable for that, as it has for ordinary
/// binaries.
#[track_caller]
fn example(name: &str) -> PathBuf {
    // target/debug/deps/examples-0123456789abcdef
    let this = std::env::current_exe().unwrap();
    let path = this.ancestors().nth(2).unwrap().join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` builds it, `cargo test --test examples` needs `cargo build --examples` first",
        path.display()
    );
    path
}

/// A directory with a key file, whose key is free. What is under it is removed with the directory.
#[derive(Debug)]
struct Place {
    directory: tempfile::TempDir,
    key: OwnedKey,
    _set: OwnedSetKey,
}

impl Place {
    fn new() -> Self {
        Self::with("SYSUOS", 42)
    }

    fn with(key_file: &str, project: u8) -> Self {
        // Held until the end, so that another try gets another inode, and with it another key.
        let mut taken = Vec::new();
        loop {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join(key_file);
            File::create_new(&file).unwrap();
            let key = Key::from_path(&file, project).unwrap();
            if SegmentId::find(key).is_err() && SemaphoreSet::open(key).is_err() {
                return Self {
                    directory,
                    key: OwnedKey::guard(key),
                    _set: OwnedSetKey::guard(key),
                };
            }
            taken.push(directory);
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn key(&self) -> Key {
        self.key.key()
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }
}

/// What a program has printed, as text.
#[derive(Debug)]
struct Printed {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a program to its end.
#[track_caller]
fn run(command: &mut Command) -> Printed {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Printed {
        code: status.code(),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Output that nobody reads any more.
fn closed() -> Stdio {
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    OwnedFd::from(theirs).into()
}

/// Examples run by another user, to which the build directory may be closed: copies in a directory that is not.
#[derive(Debug)]
struct Nobodys(tempfile::TempDir);

impl Nobodys {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self(directory)
    }

    fn command(&self, name: &str) -> Command {
        let copy = self.0.path().join(name);
        std::fs::copy(example(name), &copy).unwrap();
        let mut command = Command::new(copy);
        command.uid(common::NOBODY).gid(common::NOBODY);
        command
    }
}

/// A terminal's width is not always known, and 80 columns always fit.
#[track_caller]
fn assert_80_columns(text: &str) {
    let too_wide = text.lines().find(|line| line.chars().count() > 80);
    assert_eq!(too_wide, None, "{text}");
}

impl Printed {
    /// Nothing on stdout, and on stderr one line that says all of `parts`, then the usage.
    #[track_caller]
    fn assert_misused(&self, name: &str, parts: &[&str]) {
        assert_eq!((self.code, &*self.stdout), (Some(2), ""), "{self:?}");
        let (line, usage) = self.stderr.split_once('\n').unwrap();
        assert!(line.starts_with(&format!("{name}: ")), "{self:?}");
        assert!(usage.starts_with(&format!("usage: {name}")), "{self:?}");
        assert_eq!(usage.matches('\n').count(), 1, "{self:?}");
        assert_80_columns(usage);
        for part in parts {
            assert!(line.contains(part), "no {part:?} in {self:?}");
        }
    }

    /// Nothing on stdout, and one line on stderr that says all of `parts`.
    #[track_caller]
    fn assert_refused(&self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, &*self.stdout), (Some(code), ""), "{self:?}");
        assert_eq!(self.stderr.matches('\n').count(), 1, "{self:?}");
        assert!(self.stderr.ends_with('\n'), "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:?}");
        }
    }
}

/// The address that ends a line, written as `%p` writes it; the rest must be `words`.
#[track_caller]
fn address_after(words: &str, line: &str) -> usize {
    let digits = line.strip_prefix(words).and_then(|s| s.strip_prefix("0x"));
    let digits = digits.unwrap_or_else(|| panic!("{line:?} is not {words:?} and an address"));
    let address = usize::from_str_radix(digits, 16).unwrap();
    assert_eq!(digits, format!("{address:x}"), "as %p writes it");
    assert!(address != 0 && address % common::page() == 0, "{line:?}");
    address
}

/// Waits for something that another process is about to do. The deadline is there to fail rather than hang: nothing
/// is measured.
#[track_caller]
fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !check() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
