//! Leaving nothing behind, whatever happens.
//!
//! System V segments outlive their processes, so whoever is killed between creating and removing one leaves it. No
//! destructor and no signal handler runs on SIGKILL. Another process can help: the cleaner does little but read
//! from a pipe whose other end this process holds. When this process ends, for any reason, the kernel closes that
//! end, the cleaner reads end-of-file, and tidies up. It is a process group of its own, so that the Ctrl-C meant
//! for the lecture does not reach it.
//!
//! The ordinary end goes the same way, with [`Cleaner::finish`] waiting for the cleaner: one way to clean up, and
//! it is tested on each run.
//!
//! (Where all peers inherit or are handed the identifier, there is a simpler way:
//! [`Removal::OnceAttached`](sysvshm::Removal) has the kernel remove the segment at the last detach. The lecture's
//! programs meet by key, which a segment loses once it is marked.)

use crate::{cli, shell};
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use sysvshm::{ErrorKind, Key, SegmentId};

/// The name this binary is started under to be the cleaner.
pub(crate) const NAME: &str = "lecture_cleaner";

/// A process that removes a directory, and what it was told to watch, when this value or this process is gone.
#[derive(Debug)]
pub(crate) struct Cleaner(Child);

impl Cleaner {
    pub(crate) fn start(directory: &Path) -> io::Result<Self> {
        // Not in the directory itself, which could then not be removed everywhere.
        let child = shell::program(NAME, Path::new("/"))?
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Has the segment removed that `child` creates under the key of the directory's file.
    pub(crate) fn watch(&mut self, child: &Child) -> io::Result<()> {
        self.tell("segment of ", OsStr::new(&child.id().to_string()))
    }

    /// Has the POSIX object of this name unlinked, which must not exist yet.
    pub(crate) fn watch_object(&mut self, name: &OsStr) -> io::Result<()> {
        self.tell("object ", name)
    }

    /// The object has been unlinked: whatever has its name from now on is somebody else's.
    pub(crate) fn forget_object(&mut self, name: &OsStr) -> io::Result<()> {
        self.tell("unlinked ", name)
    }

    fn tell(&mut self, what: &str, name: &OsStr) -> io::Result<()> {
        match &mut self.0.stdin {
            Some(pipe) => pipe.write_all(&[what.as_bytes(), name.as_bytes(), b"\n"].concat()),
            None => Ok(()),
        }
    }

    /// Cleans up now.
    pub(crate) fn finish(mut self) -> Result<(), Box<dyn Error>> {
        let status = self.stop()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("cleaning up failed: {status}").into())
        }
    }

    fn stop(&mut self) -> io::Result<std::process::ExitStatus> {
        // `wait` closes the pipe first.
        self.0.wait()
    }
}

impl Drop for Cleaner {
    fn drop(&mut self) {
        // Waiting twice is fine: the first answer is kept. The cleaner has said on stderr what went wrong.
        let _ = self.stop();
    }
}

/// The cleaner's own life. Its only argument is a directory that the lecture has made.
pub(crate) fn main() -> ExitCode {
    cli::run(
        "lecture_cleaner: the lecture's last act",
        |mut arguments| {
            let directory: OsString = arguments.operand().ok_or("no directory given")?;
            // Waits for the other end to be closed. What came before counts, however the reading ended.
            let mut told = Vec::new();
            let _ = io::stdin().read_to_end(&mut told);
            clean(Path::new(&directory), &told)
        },
    )
}

fn clean(directory: &Path, told: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut removed = Ok(());
    let mut object = None;
    for line in told.split(|&byte| byte == b'\n') {
        if let Some(creator) = line.strip_prefix(b"segment of ") {
            // Before the directory: without the file its key would be lost.
            let creator = std::str::from_utf8(creator)?.parse()?;
            removed = removed.and(remove_segment(directory, creator));
        } else if let Some(name) = line.strip_prefix(b"object ") {
            object = Some(OsStr::from_bytes(name));
        } else if line.starts_with(b"unlinked ") {
            object = None;
        }
    }
    let unlinked = object.map_or(Ok(()), unlink);
    // In any case.
    std::fs::remove_dir_all(directory)
        .map_err(|error| format!("cannot remove {}: {error}", directory.display()))?;
    unlinked?;
    Ok(removed?)
}

fn unlink(name: &OsStr) -> Result<(), Box<dyn Error>> {
    match rustix::shm::unlink(name) {
        // Its producer was killed before it made it, or its consumer has unlinked it.
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(format!("cannot unlink {}: {error}", cli::shown(name)).into()),
    }
}

/// Marks what is found under the directory's key for removal, if `creator` made it: a key alone says nothing about
/// whose segment it names.
///
/// If the producer is still attached, as it is when only the lecture was killed, the segment goes when the producer
/// does.
fn remove_segment(directory: &Path, creator: u32) -> Result<(), sysvshm::Error> {
    let key = Key::from_path(directory.join("SYSUOS"), 42)?;
    let removed = SegmentId::find(key).and_then(|id| {
        if id.status()?.creator_pid() == Some(creator) {
            id.mark_for_removal()?;
        }
        Ok(())
    });
    match removed {
        // The rule, not the exception: the producer has removed it.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NoSuchSegment) => {
            Ok(())
        }
        removed => removed,
    }
}
