//! What holds for the command lines of all examples: `--help`, arguments that make no sense or are no text, output
//! that its reader has closed, Ctrl-C.

use crate::common::{Owned, Running, until};
use crate::{Place, Printed, address_after, assert_80_columns, closed, eventually, example, run};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use sysvshm::bounded_buffer::{lecture, spsc};
use sysvshm::{Key, SegmentId, SemaphoreSet};

const EXAMPLES: [&str; 17] = [
    "bounded_buffer_consumer",
    "bounded_buffer_producer",
    "bounded_buffer_walkthrough",
    "inspect",
    "ipcs",
    "lecture",
    "posix_consumer",
    "posix_producer",
    "semaphore_buffer_consumer",
    "semaphore_buffer_producer",
    "statc",
    "statd",
    "sysvshm_consumer",
    "sysvshm_producer",
    "workers",
    "xrecv",
    "xsend",
];

/// Bytes that are no UTF-8, after `prefix`.
fn no_text(prefix: &str) -> OsString {
    OsStr::from_bytes(&[prefix.as_bytes(), b"\xff\xfe"].concat()).to_owned()
}

/// In an empty directory, so that nothing that it could find or leave is overlooked.
fn in_nowhere(name: &str, arguments: &[&OsStr], redirect: impl Fn(&mut Command)) -> Printed {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(example(name));
    command.args(arguments).current_dir(directory.path());
    redirect(&mut command);
    let printed = run(&mut command);
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "{name} {arguments:?}");
    printed
}

/// What is said below of all examples is said of each.
#[test]
fn the_list_of_examples_is_complete() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let programs = paths.filter(|path| {
        path.extension().is_some_and(|it| it == "rs") || path.join("main.rs").exists()
    });
    let mut names: BTreeSet<String> = programs
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    // And those in deeper folders.
    let manifest = include_str!("../../Cargo.toml");
    let named = manifest.split("[[example]]\nname = \"").skip(1);
    names.extend(named.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
    assert_eq!(names, EXAMPLES.map(str::to_owned).into());
}

#[test]
fn help_says_what_it_does_its_arguments_and_exit_codes_in_80_columns() {
    for name in EXAMPLES {
        let long = in_nowhere(name, &["--help".as_ref()], |_| {});
        assert_eq!((long.code, &*long.stderr), (Some(0), ""), "{name}");
        let text = &long.stdout;
        assert!(text.starts_with(&format!("{name}: ")), "{text}");
        assert!(text.contains(&format!("\nusage: {name}")), "{text}");
        let (_, codes) = text.split_once("\nexit status\n  0  ").unwrap();
        assert!(
            codes.contains("\n  1  ") && codes.contains("\n  2  "),
            "{text}"
        );
        assert!(text.is_ascii(), "{text}");
        assert_80_columns(text);

        let short = in_nowhere(name, &["-h".as_ref()], |_| {});
        assert_eq!((short.code, &short.stdout), (Some(0), text));
        // Whatever else is asked for.
        let among = ["--no-such-option".as_ref(), "--help".as_ref()];
        assert_eq!(&in_nowhere(name, &among, |_| {}).stdout, text);
    }
}

#[test]
fn an_unknown_argument_is_answered_with_the_usage_and_nothing_is_done() {
    let bytes = no_text("--\u{fc}");
    for name in EXAMPLES {
        let printed = in_nowhere(name, &["--no-such-option".as_ref()], |_| {});
        printed.assert_misused(name, &["unknown argument --no-such-option"]);
        in_nowhere(name, &[&bytes], |_| {}).assert_misused(name, &["unknown argument --\u{fc}"]);
        // As a second one, and as the value of an option of which only text can be made sense.
        let option = match name {
            "lecture" | "sysvshm_producer" | "bounded_buffer_walkthrough" => "--seconds",
            "semaphore_buffer_consumer" | "semaphore_buffer_producer" => "--count",
            "ipcs" | "inspect" => "--key",
            "workers" => "--jobs",
            _ => continue,
        };
        let printed = in_nowhere(name, &[option.as_ref(), &bytes], |_| {});
        printed.assert_misused(name, &[option, "makes no sense"]);
        let twice: [&OsStr; 4] = [option, "1", option, "1"].map(OsStr::new);
        in_nowhere(name, &twice, |_| {}).assert_misused(name, &[option, "is given twice"]);
    }
    for name in ["bounded_buffer_consumer", "bounded_buffer_producer"] {
        in_nowhere(name, &[&no_text("")], |_| {}).assert_misused(name, &["makes no sense"]);
        in_nowhere(name, &["many".as_ref()], |_| {}).assert_misused(name, &["many makes no"]);
    }
}

/// A name need not be text.
#[test]
fn names_of_any_bytes_are_taken_as_they_are() {
    let name = no_text(&format!("sysvshm-test-{}-", std::process::id()));
    let path = Path::new("/dev/shm").join(&name);
    let produced = run(Command::new(example("posix_producer")).arg(&name));
    assert_eq!((produced.code, &*produced.stderr), (Some(0), ""));
    address_after("ptr addr: ", produced.stdout.trim_end());
    assert!(path.exists());
    let consumed = run(Command::new(example("posix_consumer")).arg(&name));
    assert_eq!(consumed.stdout, "Read ptr: Hello, World!\n");
    assert!(!path.exists());
    run(Command::new(example("posix_consumer")).arg(&name)).assert_refused(1, &["shm_open(sysv"]);

    // In the lecture the name goes through the cleaner, too.
    let temporary = tempfile::tempdir().unwrap();
    let mut lecture = Command::new(example("lecture"));
    lecture
        .env("TMPDIR", temporary.path())
        .args(["--seconds", "0.5", "--object"]);
    let text = run(lecture.arg(&name)).stdout;
    assert!(text.contains("# The lecture's POSIX programs"), "{text}");
    assert!(
        text.contains("\u{fffd}\nRead ptr: Hello, World!\n"),
        "{text}"
    );
    assert!(!path.exists());

    // A path, and a client's name.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(&name);
    File::create_new(&file).unwrap();
    let key = Key::from_path(&file, 42).unwrap();
    if let Ok(buffer) = spsc::BoundedBuffer::<u64>::create_new(key, 4) {
        let _guard = Owned::guard(buffer.segment().id().as_raw());
        let mut inspect = Command::new(example("inspect"));
        let printed = run(inspect.args(["--seconds", "0.1", "--path"]).arg(&file));
        assert!(
            printed.stdout.contains(&format!("key {key}, ")),
            "{printed:?}"
        );
    }
    let mut client = in_nowhere("statc", &[&no_text("me"), "1".as_ref()], |_| {});
    client.stdout.clear();
    client.assert_refused(1, &["statc: ftok(statd.key"]);
}

#[test]
fn a_closed_stdout_is_no_error_and_a_full_one_is() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for name in EXAMPLES {
        let printed = in_nowhere(name, &["--help".as_ref()], |it| {
            it.stdout(closed());
        });
        assert_eq!((printed.code, &*printed.stderr), (Some(0), ""), "{name}");
        let printed = in_nowhere(name, &["--help".as_ref()], |it| {
            it.stdout(full());
        });
        printed.assert_refused(1, &[&format!("{name}: cannot write to stdout: ")]);
    }
}

/// Runs it in a directory that has its key file, with a stdout that nobody reads.
#[track_caller]
fn unread(place: &Place, name: &str, arguments: &[&str]) -> String {
    let mut command = place.command(example(name));
    let printed = run(command.args(arguments).stdout(closed()));
    assert_eq!(printed.code, Some(0), "{name}: {printed:?}");
    printed.stderr
}

#[test]
fn who_prints_to_a_closed_stdout_ends_quietly_and_cleans_up() {
    let place = Place::new();
    assert_eq!(
        unread(&place, "sysvshm_producer", &["--seconds", "600"]),
        ""
    );
    assert!(SegmentId::find(place.key()).is_err());
    let id = place.key.create(20, 0o666);
    assert_eq!(unread(&place, "sysvshm_consumer", &[]), "");
    id.mark_for_removal().unwrap();
    assert_eq!(
        unread(&place, "bounded_buffer_walkthrough", &["--seconds", "600"]),
        ""
    );
    assert_eq!(unread(&place, "ipcs", &[]), "");

    let object = format!("sysvshm-test-closed-{}", std::process::id());
    let path = Path::new("/dev/shm").join(&object);
    assert_eq!(unread(&place, "posix_producer", &[&object]), "");
    assert!(path.exists());
    assert_eq!(unread(&place, "posix_consumer", &[&object]), "");
    assert!(!path.exists());

    let buffer = spsc::BoundedBuffer::<u64>::create_new(place.key(), 4).unwrap();
    let key = place.key().to_string();
    assert_eq!(
        unread(
            &place,
            "inspect",
            &["--follow", "--seconds", "0.1", "--key", &key]
        ),
        ""
    );
    buffer.segment().mark_for_removal().unwrap();

    let receiver = Place::with("transfer.key", b'T');
    assert_eq!(unread(&receiver, "xrecv", &["copy"]), "");
    assert!(
        SegmentId::find(receiver.key()).is_err() && SemaphoreSet::open(receiver.key()).is_err()
    );

    // Three jobs; the account is not read. (Progress goes to stderr.)
    let progress = unread(&place, "workers", &["--jobs", "3", "--work-ms", "0"]);
    assert!(progress.contains("done 3 of 3"), "{progress}");

    let temporary = tempfile::tempdir().unwrap();
    let mut lecture = place.command(example("lecture"));
    let printed = run(lecture.env("TMPDIR", temporary.path()).stdout(closed()));
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// `lecture | head -3`: in the middle of everything.
#[test]
fn the_lecture_whose_reader_goes_away_ends_quietly_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut lecture = Command::new(example("lecture"));
    lecture
        .args(["--seconds", "1"])
        .env("TMPDIR", temporary.path());
    let mut lecture = lecture
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = Command::new("head");
    let head = head.args(["-n", "7"]).stdin(lecture.stdout.take().unwrap());
    let text = run(head).stdout;
    let id = text.split_once("kernel: segment ").and_then(|(_, rest)| {
        let (number, _) = rest.split_once(',')?;
        number.parse().ok()
    });
    let id = SegmentId::from_raw(id.unwrap_or_else(|| panic!("{text}")));
    let output = lecture.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]));
    assert!(id.status().is_err());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

/// The removal's own test is with the rest of `ipcs`.
#[test]
fn a_closed_stderr_changes_nothing_but_that_nobody_reads_it() {
    let close = |it: &mut Command| {
        it.stderr(closed());
    };
    for name in EXAMPLES {
        let printed = in_nowhere(name, &["--no-such-option".as_ref()], close);
        assert_eq!((printed.code, &*printed.stdout), (Some(2), ""), "{name}");
    }
    // Failures: no key file, no object, no segment.
    for name in [
        "sysvshm_consumer",
        "bounded_buffer_consumer",
        "bounded_buffer_producer",
        "statd",
    ] {
        assert_eq!(in_nowhere(name, &[], close).code, Some(1), "{name}");
    }
    for (name, argument) in [
        ("posix_consumer", "sysvshm-no-such-object"),
        ("inspect", "--id=-1"),
    ] {
        assert_eq!(
            in_nowhere(name, &[argument.as_ref()], close).code,
            Some(1),
            "{name}"
        );
    }
    // And what is said while all goes well.
    let place = Place::new();
    std::fs::remove_file(place.path().join("SYSUOS")).unwrap();
    let mut producer = place.command(example("sysvshm_producer"));
    let printed = run(producer.args(["--seconds", "0"]).stderr(closed()));
    assert_eq!((printed.code, printed.stdout.lines().count()), (Some(0), 1));
    let mut workers = place.command(example("workers"));
    let printed = run(workers
        .args(["--jobs", "3", "--work-ms", "0"])
        .stderr(closed()));
    assert!(
        printed.stdout.starts_with("jobs         3 of 3 done, all"),
        "{printed:?}"
    );
}

/// Interrupts it once `ready`; how it ended, and what it said on stderr.
fn interrupt(command: &mut Command, signal: i32, ready: impl Fn(u32)) -> (ExitStatus, String) {
    let stderr = tempfile::NamedTempFile::new().unwrap();
    let running = Running::spawn(command.stderr(stderr.reopen().unwrap()));
    ready(running.pid());
    running.send(signal);
    let status = running.wait();
    (status, std::fs::read_to_string(stderr.path()).unwrap())
}

fn segment(place: &Place) -> SegmentId {
    until(|| SegmentId::find(place.key()).is_ok());
    SegmentId::find(place.key()).unwrap()
}

#[test]
fn an_interrupted_producer_takes_its_segment_along() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let place = Place::new();
        let mut command = place.command(example("sysvshm_producer"));
        let found = std::cell::Cell::new(None);
        let (status, said) = interrupt(command.args(["--seconds", "600"]), signal, |_| {
            found.set(Some(segment(&place)));
        });
        assert_eq!((status.signal(), &*said), (Some(signal), ""));
        assert!(found.get().unwrap().status().is_err());
    }
}

/// As a script does with `command &`, and `nohup`.
#[test]
#[allow(unsafe_code)]
fn a_signal_that_is_ignored_from_the_beginning_stays_ignored() {
    let place = Place::new();
    let mut command = place.command(example("sysvshm_producer"));
    // SAFETY: one system call between fork and exec, which changes what this signal does.
    let ignore = || unsafe {
        libc::signal(libc::SIGINT, libc::SIG_IGN);
        Ok(())
    };
    // SAFETY: as above.
    let command = unsafe { command.args(["--seconds", "600"]).pre_exec(ignore) };
    let mut running = Running::spawn(command);
    running.line().unwrap();
    let id = SegmentId::find(place.key()).unwrap();
    running.send(libc::SIGINT);
    // Pending, and heeded, it would have done its work by now; and the other one is.
    crate::common::let_a_second_pass();
    assert_eq!(SegmentId::find(place.key()).unwrap(), id);
    running.send(libc::SIGTERM);
    assert_eq!(running.signal(), Some(libc::SIGTERM));
    assert!(id.status().is_err());
}

type Buffer<'a> = lecture::BoundedBuffer<'a, i32, 10>;

#[test]
fn the_two_terminals_of_the_bounded_buffer_say_what_an_interrupt_leaves() {
    let place = Place::with("SYSUOS", 43);
    let mut producer = place.command(example("bounded_buffer_producer"));
    let (status, said) = interrupt(&mut producer, libc::SIGINT, |_| {
        let segment = segment(&place).attach().unwrap();
        let buffer = Buffer::new(&segment).unwrap();
        until(|| buffer.len().unwrap() == 9);
    });
    assert_eq!(status.signal(), Some(libc::SIGINT));
    let id = segment(&place);
    assert_eq!(
        said,
        format!(
            "bounded_buffer_producer: the buffer stays for the consumer: segment {id}; \
             `ipcrm -m {id}` removes it\n"
        )
    );
    // The same when nobody reads what it prints. The buffer is full, but the items of this run come first.
    let held = id.attach().unwrap();
    let buffer = Buffer::new(&held).unwrap();
    for _ in 0..9 {
        buffer.consume().unwrap();
    }
    let said = unread(&place, "bounded_buffer_producer", &[]);
    assert!(
        said.ends_with(&format!("`ipcrm -m {id}` removes it\n")),
        "{said}"
    );

    let mut consumer = place.command(example("bounded_buffer_consumer"));
    let (status, said) = interrupt(&mut consumer, libc::SIGINT, |_| {
        until(|| id.status().unwrap().attached() == 2);
    });
    assert_eq!(status.signal(), Some(libc::SIGINT));
    let left = format!(
        "bounded_buffer_consumer: the buffer stays with the producer: segment {id}; \
         `ipcrm -m {id}` removes it\n"
    );
    assert_eq!(said, left);
    assert!(id.status().is_ok());
    buffer.produce(1).unwrap();
    assert_eq!(unread(&place, "bounded_buffer_consumer", &["1"]), left);
}

#[test]
fn the_buffer_with_semaphores_says_what_an_interrupt_leaves() {
    let place = Place::with("SYSUOS", 43);
    let run_it = |name: &str, semaphore: usize| {
        let mut command = place.command(example(name));
        // More than fit: it waits.
        interrupt(command.args(["--count", "11"]), libc::SIGINT, |_| {
            until(|| SemaphoreSet::open(place.key()).is_ok());
            let set = SemaphoreSet::open(place.key()).unwrap();
            until(|| set.semaphore(semaphore).waiting_for_increase().unwrap() == 1);
        })
    };
    for (name, semaphore) in [
        ("semaphore_buffer_producer", 1),
        ("semaphore_buffer_consumer", 2),
    ] {
        let (status, said) = run_it(name, semaphore);
        assert_eq!(status.signal(), Some(libc::SIGINT));
        let (segment, set) = (
            segment(&place),
            SemaphoreSet::open(place.key()).unwrap().id(),
        );
        let what = format!("the buffer stays: segment {segment} and semaphore set {set}; ");
        let how = format!("`ipcrm -m {segment} -s {set}` removes both\n");
        assert_eq!(said, format!("{name}: {what}{how}"));
    }
    // What is not read is taken or put all the same, and the removal that was asked for is done.
    assert_eq!(
        unread(&place, "semaphore_buffer_producer", &["--count", "1"]),
        ""
    );
    assert_eq!(
        unread(
            &place,
            "semaphore_buffer_consumer",
            &["--count", "1", "--remove"]
        ),
        ""
    );
    assert!(SegmentId::find(place.key()).is_err() && SemaphoreSet::open(place.key()).is_err());
}

#[test]
fn an_interrupted_server_takes_segment_and_set_along() {
    let place = Place::with("statd.key", b'S');
    let mut server = place.command(example("statd"));
    let (status, said) = interrupt(&mut server, libc::SIGINT, |_| {
        until(|| SemaphoreSet::open(place.key()).is_ok());
    });
    assert_eq!((status.signal(), &*said), (Some(libc::SIGINT), ""));
    let nothing =
        || SegmentId::find(place.key()).is_err() && SemaphoreSet::open(place.key()).is_err();
    eventually("both are gone", nothing);
    // Nor does one leave anything whose first line nobody reads.
    assert_eq!(unread(&place, "statd", &[]), "");
    assert!(nothing());
}
