//! Misuse that must not compile: each file of `tests/compile_fail` is a program with mistakes, and every line with
//! a mistake ends in `//~` and the code of the error that the compiler must report there. Any other error, or none,
//! fails the test.
//!
//! The codes are compared and not the compiler's texts: texts change with every release, codes keep their meaning,
//! so this runs with any compiler the crate builds with, the oldest included. A `compile_fail,E0599` in the
//! documentation would not do: a stable rustdoc ignores the code and is content with any failure, a typing error
//! included.
//!
//! Where this crate words the message itself, a part of it follows the code: `//~ E0277 cannot be written`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// File, line, code: `("segment_detach_twice", 8, "E0382")`.
type Mistake = (String, usize, String);

#[test]
fn every_marked_line_is_refused_with_its_code_and_nothing_else_is() {
    let sources = sources();
    assert!(!sources.is_empty(), "no programs to compile");
    let expected: BTreeSet<Mistake> = sources.iter().flat_map(|path| marked(path)).collect();
    for path in &sources {
        assert!(
            expected.iter().any(|(name, ..)| *name == stem(path)),
            "{} marks no mistake: it would pass by failing for any reason",
            path.display()
        );
    }
    let Some(output) = check(&sources) else {
        return;
    };
    let reported = reported(&output);
    let missing: Vec<&Mistake> = expected.difference(&reported).collect();
    let unexpected: Vec<&Mistake> = reported.difference(&expected).collect();
    assert!(
        missing.is_empty() && unexpected.is_empty(),
        "marked and not refused: {missing:?}\nrefused and not marked: {unexpected:?}\nthe compiler said:\n{output}"
    );
    for (place, words) in sources.iter().flat_map(|path| worded(path)) {
        let said = |line: &str| line.contains(&place) && line.contains(&words);
        assert!(
            output.lines().any(said),
            "no {words:?} at {place}:\n{output}"
        );
    }
}

fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail");
    let mut sources: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    sources.sort();
    sources
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// The lines that end in `//~ CODE`, with or without words behind.
fn marked(path: &Path) -> Vec<Mistake> {
    let text = fs::read_to_string(path).unwrap();
    let mark = |(index, line): (usize, &str)| {
        let (_, mark) = line.split_once("//~")?;
        let code = mark.split_whitespace().next()?;
        Some((stem(path), index + 1, code.to_owned()))
    };
    text.lines().enumerate().filter_map(mark).collect()
}

/// What follows the code on such lines, with `name.rs:8:` to find the compiler's line by.
fn worded(path: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let words = |(index, line): (usize, &str)| {
        let (_, mark) = line.split_once("//~")?;
        let (_, words) = mark.trim().split_once(' ')?;
        Some((
            format!("{}.rs:{}:", stem(path), index + 1),
            words.to_owned(),
        ))
    };
    text.lines().enumerate().filter_map(words).collect()
}

/// Type-checks each source as a program of a package that depends on this crate; what the compiler wrote.
///
/// Works without network: the package gets this one's lock file. `None`, and said so, where there is no place to
/// write or no cargo.
fn check(sources: &[PathBuf]) -> Option<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    let mut manifest = format!(
        "[package]\nname = \"misuse\"\nversion = \"0.0.0\"\nedition = \"2024\"\nautobins = false\n[workspace]\n\
         [dependencies]\nsysvshm = {{ path = {root:?} }}\n"
    );
    for source in sources {
        let name = stem(source);
        write!(manifest, "[[bin]]\nname = {name:?}\npath = {source:?}\n").unwrap();
    }
    let written = fs::create_dir_all(&package)
        .and_then(|()| fs::write(package.join("Cargo.toml"), manifest))
        .and_then(|()| {
            fs::copy(
                Path::new(root).join("Cargo.lock"),
                package.join("Cargo.lock"),
            )
        });
    if let Err(error) = written {
        eprintln!("skipped: {} cannot be written: {error}", package.display());
        return None;
    }
    // Under `cargo test` this names the cargo that runs, which need not be in PATH.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "check",
            "--offline",
            "--keep-going",
            "--message-format=short",
            "--color=never",
        ])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        // The crate's own warnings are none of this test's business.
        .env_remove("RUSTFLAGS")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: cargo cannot be started: {error}");
            return None;
        }
    };
    assert!(!output.status.success(), "every program compiled");
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The errors, one a line: `/path/name.rs:8:5: error[E0382]: use of moved value`.
fn reported(output: &str) -> BTreeSet<Mistake> {
    let parse = |line: &str| {
        let (place, rest) = line.split_once(": error")?;
        let mut parts = place.rsplitn(3, ':');
        let _column = parts.next()?;
        let line_number = parts.next()?.parse().ok()?;
        let name = stem(Path::new(parts.next()?));
        // An error without a code, such as one of syntax, is none that a source marks.
        let code = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map_or(rest, |(code, _)| code);
        Some((name, line_number, code.to_owned()))
    };
    output.lines().filter_map(parse).collect()
}
