//! C peers: programs compiled during the test.

use super::skipped;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiled C program, deleted when this value goes.
#[derive(Debug)]
pub(crate) struct CProgram {
    directory: tempfile::TempDir,
}

impl CProgram {
    /// Compiles `source` with `cc`, beside the headers of `examples/c`; `None` where there is no compiler, which is
    /// said loudly. A source that does not compile fails the test.
    #[track_caller]
    pub(crate) fn compile(source: &str) -> Option<Self> {
        Self::compile_as("gnu11", source)
    }

    /// The same by another standard.
    #[track_caller]
    pub(crate) fn compile_as(standard: &str, source: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("program.c");
        std::fs::write(&file, source).unwrap();
        let compiled = Command::new("cc")
            .arg(format!("-std={standard}"))
            .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/c"))
            .arg("-o")
            .arg(directory.path().join("program"))
            .arg(&file)
            .output();
        match compiled {
            Ok(output) => {
                let complaints = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "cc: {complaints}");
                Some(Self { directory })
            }
            Err(error) => {
                skipped(&format!("no C compiler (cc): {error}"));
                None
            }
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("program")
    }

    /// The directory the program may use for its files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// For [`Running::spawn`](super::Running::spawn), or to run at once.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.path());
        command.current_dir(self.directory());
        command
    }
}
