//! Keys: C's `ftok`, and the numbers it gives.

mod common;

use common::{CProgram, OwnedKey, assert_says, fails, peer};
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use sysvshm::{ErrorKind, Key, Mode, SegmentId, SegmentOptions, raw};

/// `ftok` over what `stat` says, written as the manual describes it.
fn by_the_manual(path: &Path, id: u32) -> i32 {
    let metadata = fs::metadata(path).unwrap();
    let (device, inode) = (metadata.dev() as u32, metadata.ino() as u32);
    ((id & 0xff) << 24 | (device & 0xff) << 16 | inode & 0xffff) as i32
}

#[test]
fn a_file_and_a_number_make_a_key_that_creates_and_finds() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = OwnedKey::guard(Key::from_path(file.path(), b'G').unwrap());
    assert_ne!(key.key(), Key::PRIVATE);
    let id = key.create(100, 0o600);
    assert_eq!(SegmentId::find(key.key()).unwrap(), id);
}

#[test]
fn the_value_is_the_one_stat_leads_to_bit_for_bit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for id in [1, 42, 0x7f, 0x80, 0xff] {
        let key = Key::from_path(file.path(), id).unwrap();
        assert_eq!(key.as_raw(), by_the_manual(file.path(), u32::from(id)));
    }
}

#[test]
fn the_value_is_the_one_the_c_library_returns() {
    let source = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/shm.h>
        int main(int argc, char **argv) {
            /* The declared type, so that another prototype would not compile. */
            key_t (*function)(const char *, int) = ftok;
            for (int i = 2; i < argc; i++) printf("%d\n", (int)function(argv[1], atoi(argv[i])));
            return 0;
        }"#;
    let Some(program) = CProgram::compile(source) else {
        return;
    };
    let ids = [0, 1, 42, 0x41, 0x141, 0x80, 0xff, -1, i32::MIN, i32::MAX];
    let mut command = program.command();
    let output = command
        .arg(program.directory())
        .args(ids.map(|id| id.to_string()))
        .output()
        .unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    let ours = ids.map(|id| raw::ftok(program.directory(), id).unwrap().as_raw());
    assert_eq!(ours.map(|key| format!("{key}\n")).concat(), theirs);
}

#[test]
fn a_missing_file_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("SYSUOS");
    let error = fails(Key::from_path(&path, 42), ErrorKind::KeyFile, libc::ENOENT);
    assert_eq!(error.call(), "ftok");
    assert_says(
        &error,
        &[path.to_str().unwrap(), "id 42", "ENOENT", "must exist"],
    );
    // C's ftok returns -1 here, which programs then take for a key.
    fails(raw::ftok(&path, 42), ErrorKind::KeyFile, libc::ENOENT);
}

#[test]
fn the_reason_of_stat_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    File::create(&file).unwrap();
    let looping = directory.path().join("loop");
    symlink(&looping, &looping).unwrap();
    let long = directory.path().join("x".repeat(300));
    for (path, errno, name) in [
        (Path::new("").to_owned(), libc::ENOENT, "ENOENT"),
        (file.join("below"), libc::ENOTDIR, "ENOTDIR"),
        (looping, libc::ELOOP, "ELOOP"),
        (long, libc::ENAMETOOLONG, "ENAMETOOLONG"),
        (Path::new("nul\0byte").to_owned(), libc::ENOENT, "ENOENT"),
    ] {
        let error = fails(Key::from_path(&path, 1), ErrorKind::KeyFile, errno);
        assert_says(&error, &[name]);
    }
}

#[test]
fn a_directory_on_the_way_that_is_closed_is_told_from_a_missing_file() {
    let stranger = peer!(|talk| {
        let path = &talk.args[0];
        let error = fails(Key::from_path(path, 1), ErrorKind::KeyFile, libc::EACCES);
        assert_says(&error, &[path, "EACCES"]);
    });
    if !common::root_or_skip() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let path = directory.path().join("file");
    File::create(&path).unwrap();
    stranger.arg(path.display()).nobody().run();
}

#[test]
fn links_of_both_kinds_lead_to_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    File::create(path("file")).unwrap();
    symlink("file", path("symbolic")).unwrap();
    fs::hard_link(path("file"), path("hard")).unwrap();
    let key = Key::from_path(path("file"), 7).unwrap();
    for name in ["file", "symbolic", "hard"] {
        assert_eq!(Key::from_path(path(name), 7).unwrap(), key, "{name}");
    }
}

#[test]
fn only_the_low_eight_bits_of_the_number_count() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert_eq!(
        raw::ftok(file.path(), 0x41).unwrap(),
        raw::ftok(file.path(), 0x141).unwrap()
    );
    assert_ne!(
        raw::ftok(file.path(), 0x41).unwrap(),
        raw::ftok(file.path(), 0x42).unwrap()
    );
}

#[test]
fn number_zero_is_c_s_alone() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = Key::ftok(file.path(), 0).unwrap();
    assert_eq!(key.as_raw() >> 24, 0);
    let error = fails(
        Key::from_path(file.path(), 0),
        ErrorKind::InvalidInput,
        None,
    );
    assert_says(&error, &["POSIX", "1 to 255", "Key::ftok"]);
    // Refused before the file is looked at.
    fails(Key::from_path("", 0), ErrorKind::InvalidInput, None);
}

#[test]
fn a_directory_will_do() {
    let directory = tempfile::tempdir().unwrap();
    let key = Key::from_path(directory.path(), 1).unwrap();
    assert_eq!(key.as_raw(), by_the_manual(directory.path(), 1));
}

/// Everything a key is good for, with one that C programs often mishandle.
fn serves_like_any_other(key: Key) {
    let owned = OwnedKey::guard(key);
    let created = SegmentOptions::new().size_bytes(5).create_new(key).unwrap();
    created.write_at(0, b"hello").unwrap();
    assert_eq!(created.status().unwrap().key(), key);
    let opened = SegmentOptions::new().open_read_only(key).unwrap();
    assert_eq!(opened.id(), created.id());
    let mut bytes = [0; 5];
    opened.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    assert!(
        !SegmentOptions::new()
            .open_or_create(key)
            .unwrap()
            .was_created()
    );
    let again = fails(
        SegmentOptions::new().size_bytes(5).create_new(key),
        ErrorKind::AlreadyExists,
        libc::EEXIST,
    );
    assert_says(&again, &[&format!("{:#010x}", key.as_raw())]);
    created.mark_for_removal().unwrap();
    let missing = fails(
        SegmentOptions::new().open(key),
        ErrorKind::NotFound,
        libc::ENOENT,
    );
    assert_says(&missing, &[&key.to_string()]);
    drop(owned);
}

#[test]
fn negative_keys_serve_like_any_other() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let key = Key::from_path(file.path(), 0x80).unwrap();
    assert!(key.as_raw() < 0);
    serves_like_any_other(key);
    serves_like_any_other(Key::from_raw(
        i32::MIN | (Key::random().unwrap().as_raw() >> 1),
    ));
}

#[test]
fn key_minus_one_is_a_key_and_no_failure() {
    let alone = peer!(|_| {
        serves_like_any_other(Key::from_raw(-1));
    });
    if !common::root_or_skip() {
        return;
    }
    // Everybody's failed ftok ends up under this key, so it is tried where nobody else is.
    alone.private_namespace().run();
}

#[test]
fn random_keys_differ_and_are_never_the_private_one() {
    let keys: std::collections::HashSet<_> = (0..1000).map(|_| Key::random().unwrap()).collect();
    // A thousand draws out of 2^32 - 1 collide once in about 9000 runs; three times practically never.
    assert!(keys.len() > 997, "{} different ones", keys.len());
    assert!(!keys.contains(&Key::PRIVATE));
}

#[test]
fn keys_modes_and_identifiers_heed_a_width() {
    let (key, mode, id) = (Key::from_raw(-1), Mode::from(0o640), SegmentId::from_raw(7));
    assert_eq!(
        format!("{key:<12}|{key:>12}|{key}"),
        "0xffffffff  |  0xffffffff|0xffffffff"
    );
    assert_eq!(
        format!("{mode:<6}|{mode:^6}|{mode:*>6}|{mode}"),
        "0640  | 0640 |**0640|0640"
    );
    assert_eq!(format!("{id:<3}|{id:3}|{id}"), "7  |  7|7");
    // The longest of them: all bits of a mode that no call would take.
    assert_eq!(format!("{:13}|", Mode::from(u32::MAX)), "37777777777  |");
    assert_eq!(format!("{key:?} {mode:?}"), "Key(0xffffffff) Mode(0640)");
}

#[test]
fn identifiers_are_read_as_they_are_written() {
    for raw in [0, 32_768, i32::MAX, -1] {
        let id = SegmentId::from_raw(raw);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    for text in ["", "0x1", "2147483648", "1 ", "one"] {
        assert!(text.parse::<SegmentId>().is_err(), "{text:?}");
    }
}
