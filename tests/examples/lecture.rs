//! `lecture`: the transcript, and that nothing stays behind however it ends.

use crate::common::Running;
use crate::{address_after, assert_80_columns, eventually, example, run};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use sysvshm::{Key, SegmentId};

/// `program`, with a place of its own for temporary files and an empty working directory.
fn lecture(program: &Path, temporary: &Path, working: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("TMPDIR", temporary)
        .current_dir(working)
        .stdin(Stdio::null());
    command
}

#[track_caller]
fn assert_empty(directory: &Path) {
    let left: Vec<_> = std::fs::read_dir(directory).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What follows `words` up to the next blank or comma, as a number.
#[track_caller]
fn number_after<T: std::str::FromStr>(words: &str, line: &str) -> T {
    let (_, rest) = line
        .split_once(words)
        .unwrap_or_else(|| panic!("no {words:?} in {line:?}"));
    let end = rest.find([',', ' ']).unwrap_or(rest.len());
    let number = rest[..end].parse();
    number.unwrap_or_else(|_| panic!("no number after {words:?} in {line:?}"))
}

/// Both parts of it, System V and POSIX.
#[track_caller]
fn assert_transcript(text: &str, object: &str) {
    let (system_v, posix) = text
        .split_once("# The lecture's POSIX programs")
        .unwrap_or_else(|| panic!("one part only: {text}"));
    assert_system_v(system_v);
    assert_posix(posix, object);
}

/// The object is listed after the producer and no longer after the consumer.
#[track_caller]
fn assert_posix(text: &str, object: &str) {
    let listings: Vec<&str> = text.split("$ ls /dev/shm\n").skip(1).collect();
    let [before, between, after] = listings[..] else {
        panic!("{text}");
    };
    let (before, producer) = before.split_once("$ ").unwrap();
    let (between, consumer) = between.split_once("$ ").unwrap();
    let listed = |lines: &str| lines.lines().any(|line| line == object);
    assert_eq!(
        [before, between, after].map(listed),
        [false, true, false],
        "{text}"
    );
    let line = producer
        .strip_prefix(&format!("./posix_producer {object}\n"))
        .unwrap();
    address_after("ptr addr: ", line.trim_end());
    assert_eq!(
        consumer,
        format!("./posix_consumer {object}\nRead ptr: Hello, World!\n")
    );
}

/// The lecture's own lines, which do not begin with `#`, and ours in between.
#[track_caller]
fn assert_system_v(text: &str) {
    let lecture: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let [touch, producer, parent, consumer, child, numbers, wait] = lecture[..] else {
        panic!("{text}");
    };
    assert_eq!(touch, "$ touch SYSUOS");
    assert_eq!(producer, "$ ./sysvshm_producer &");
    address_after("Parent wrote to shared memory: ", parent);
    assert_eq!(consumer, "$ ./sysvshm_consumer");
    address_after("Child read from shared memory: ", child);
    assert_eq!(numbers, "1 2 3 4 5 ");
    assert_eq!(wait, "$ wait");

    // Our view: nothing, the producer's attach, the same after the consumer has come and gone, nothing again.
    let kernel: Vec<&str> = text.lines().filter(|l| l.contains("kernel: ")).collect();
    let [before, produced, consumed, after] = kernel[..] else {
        panic!("{text}");
    };
    let key: Key = number_after("is ", text.lines().find(|l| l.contains("ftok(")).unwrap());
    let absent = format!("# kernel: no segment has key {key}");
    assert_eq!((before, after), (&*absent, &*absent));
    let id: i32 = number_after("segment ", produced);
    let present = format!("# kernel: segment {id}, key {key}, 20 bytes, mode 0666, nattch 1");
    assert_eq!((produced, consumed), (&*present, &*present));

    let by = |what: &str| -> Vec<&str> { text.lines().filter(|l| l.contains(what)).collect() };
    let ([first, second], [alone, together]) = (&by("created by")[..], &by("detached by")[..])
    else {
        panic!("{text}");
    };
    let producer: u32 = number_after("created by process ", first);
    let consumer: u32 = number_after("detached by process ", together);
    assert_ne!(producer, consumer);
    let created = format!("#         created by process {producer} (alive)");
    assert_eq!((*first, *second), (&*created, &*created));
    let last = "#         last attached or detached by process";
    assert_eq!(*alone, format!("{last} {producer} (alive)"));
    assert_eq!(*together, format!("{last} {consumer} (gone)"));
    // In the order of the lecture, with our view where it belongs.
    let order = [
        touch,
        before,
        producer_line(text),
        parent,
        produced,
        alone,
        child,
        numbers,
        consumed,
        together,
        wait,
        after,
    ];
    let mut rest = text;
    for line in order {
        let at = rest
            .find(line)
            .unwrap_or_else(|| panic!("{line:?} is out of order in {text}"));
        rest = &rest[at + line.len()..];
    }
    assert_eq!(rest, "\n");
    // Not by key: its file is gone, and the next file may have the same inode and so the same key.
    assert!(SegmentId::from_raw(id).status().is_err());
}

fn producer_line(text: &str) -> &str {
    text.lines()
        .find(|l| l.starts_with("$ ./sysvshm_producer"))
        .unwrap()
}

/// A producer that oversleeps no consumer: the machine may be busy, and then only a longer sleep shows the
/// transcript.
#[track_caller]
fn transcript(program: &Path) {
    let temporary = tempfile::tempdir().unwrap();
    let working = tempfile::tempdir().unwrap();
    let object = unique_object();
    for seconds in ["0.5", "5", "50"] {
        let mut command = lecture(program, temporary.path(), working.path());
        let printed = run(command.args(["--seconds", seconds, "--object", &object]));
        assert_empty(temporary.path());
        assert_empty(working.path());
        let too_late = printed.code == Some(1) || printed.stdout.matches("no segment").count() > 2;
        if too_late && seconds != "50" {
            continue;
        }
        assert_eq!(
            (printed.code, &*printed.stderr),
            (Some(0), ""),
            "{printed:?}"
        );
        assert_transcript(&printed.stdout, &object);
        // What lies in /dev/shm may have a long name.
        let ours = printed.stdout.lines().filter(|line| line.contains(' '));
        assert_80_columns(&ours.collect::<Vec<_>>().join("\n"));
        return;
    }
}

/// The lecture's name is one for the whole machine, and tests run side by side.
fn unique_object() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("sysvshm-lecture-test-{}-{number}", std::process::id())
}

#[test]
fn prints_the_transcript_and_leaves_nothing() {
    transcript(&example("lecture"));
}

/// `cargo run --example lecture` in a fresh clone builds no other example.
#[test]
fn needs_no_other_program() {
    let alone = tempfile::tempdir().unwrap();
    let copy = alone.path().join("lecture");
    std::fs::copy(example("lecture"), &copy).unwrap();
    transcript(&copy);
}

/// Starts it with a producer that sleeps `seconds`, waits for the producer's line, and finds the segment.
fn interrupted(temporary: &Path, working: &Path, seconds: &str) -> (Running, SegmentId) {
    let mut command = lecture(&example("lecture"), temporary, working);
    // A group of its own, as a shell gives each command line.
    // Its parts complain when it dies under them; that is not looked at.
    command
        .args(["--seconds", seconds])
        .process_group(0)
        .stderr(Stdio::null());
    let mut running = Running::spawn(&mut command);
    let mut key = None;
    loop {
        let line = running.line().expect("the producer's line");
        if line.contains("ftok(") {
            key = Some(number_after("is ", &line));
        }
        if line.starts_with("Parent wrote") {
            break;
        }
    }
    // Evidence that there is something to clean up.
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 1);
    let id = SegmentId::find(key.unwrap()).unwrap();
    (running, id)
}

#[test]
fn a_signal_to_all_its_processes_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let working = tempfile::tempdir().unwrap();
    let (running, id) = interrupted(temporary.path(), working.path(), "600");
    // What a terminal does on Ctrl-C, but with SIGTERM.
    let group = format!("-{}", running.pid());
    let sent = Command::new("kill").args(["-TERM", "--", &group]).status();
    assert!(sent.unwrap().success());
    assert_eq!(running.signal(), Some(libc::SIGTERM));
    eventually("the directory is removed", || {
        std::fs::read_dir(temporary.path()).unwrap().count() == 0
    });
    eventually("the segment is gone", || id.status().is_err());
    assert_empty(working.path());
}

#[test]
fn being_killed_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let working = tempfile::tempdir().unwrap();
    let (running, id) = interrupted(temporary.path(), working.path(), "3");
    running.kill();
    eventually("the directory is removed", || {
        std::fs::read_dir(temporary.path()).unwrap().count() == 0
    });
    // The producer sleeps on; its segment is marked already and goes with it.
    assert!(
        id.status()
            .map_or(true, |status| status.is_marked_for_removal())
    );
    eventually("the segment is gone", || id.status().is_err());
    assert_empty(working.path());
}

/// An object that the lecture does not know of yet is not overwritten, and one of another's is not unlinked.
#[test]
fn an_object_that_exists_is_left_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let working = tempfile::tempdir().unwrap();
    let path = Path::new("/dev/shm/SYSUOS");
    // Whoever has it already, this test or somebody else, wants it back as it was.
    let ours = File::create_new(path).is_ok();
    let before = std::fs::metadata(path).unwrap();
    let printed = run(
        lecture(&example("lecture"), temporary.path(), working.path()).args(["--seconds", "5"]),
    );
    let after = std::fs::metadata(path);
    if ours {
        std::fs::remove_file(path).unwrap();
    }
    let same = |it: &std::fs::Metadata| (it.ino(), it.len(), it.mtime_nsec());
    assert_eq!(same(&after.unwrap()), same(&before));
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    let (_, posix) = printed.stdout.split_once("is called ").unwrap();
    let name = posix.split(' ').next().unwrap();
    assert!(name.starts_with("SYSUOS-"), "{name}");
    assert!(!Path::new("/dev/shm").join(name).exists());
}

/// The producer dies and leaves its segment, as processes do that are killed: the lecture says so and cleans up
/// after it.
#[test]
fn a_killed_producer_is_reported_and_cleaned_up_after() {
    let temporary = tempfile::tempdir().unwrap();
    let working = tempfile::tempdir().unwrap();
    let complaints = tempfile::NamedTempFile::new().unwrap();
    let mut command = lecture(&example("lecture"), temporary.path(), working.path());
    command
        .args(["--seconds", "600"])
        .stderr(complaints.reopen().unwrap());
    let mut running = Running::spawn(&mut command);
    let (mut id, mut producer) = (None, None);
    loop {
        let line = running.line().expect("a prompt");
        if line.contains("kernel: segment ") {
            id = Some(SegmentId::from_raw(number_after("segment ", &line)));
        }
        if line.contains("created by process ") {
            producer = Some(number_after::<u32>("created by process ", &line));
        }
        if line == "$ wait" {
            break;
        }
    }
    let id = id.unwrap();
    assert_eq!(id.status().unwrap().creator_pid(), producer);
    let producer = producer.unwrap().to_string();
    let sent = Command::new("kill").args(["-KILL", &producer]).status();
    assert!(sent.unwrap().success());

    assert_eq!(running.wait().code(), Some(1));
    let text = std::fs::read_to_string(complaints.path()).unwrap();
    assert_eq!(
        text,
        "lecture: sysvshm_producer failed: signal: 9 (SIGKILL)\n"
    );
    assert!(id.status().is_err());
    assert_empty(temporary.path());
    assert_empty(working.path());
}

#[test]
fn a_failure_is_one_line_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let working = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = lecture(&example("lecture"), temporary.path(), working.path());
    run(command.stdout(full)).assert_refused(1, &["lecture: "]);
    assert_empty(temporary.path());

    for wrong in [
        &["--seconds"][..],
        &["--seconds", "-1"],
        &["--seconds", "1", "2"],
        &["--object", ""],
        &["--object", "a/b"],
        &["fast"],
    ] {
        let mut command = lecture(&example("lecture"), temporary.path(), working.path());
        run(command.args(wrong)).assert_misused("lecture", &[]);
    }
    let nowhere = temporary.path().join("nowhere");
    let mut command = lecture(&example("lecture"), &nowhere, working.path());
    run(&mut command).assert_refused(1, &["lecture: ", "nowhere"]);
    assert_empty(temporary.path());
    assert_empty(working.path());
}
