//! The lecture's two programs, in Rust and in C, in every pairing.

use crate::common::{CProgram, Running};
use crate::{Place, address_after, example, run};
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use sysvshm::{Key, Mode, ProcessState, SegmentId, SegmentOptions, Status};

const PRODUCER_SAYS: &str = "Parent wrote to shared memory: ";
const CONSUMER_SAYS: &str = "Child read from shared memory: ";
/// The lecture prints a blank after each number.
const NUMBERS: &str = "1 2 3 4 5 ";

/// A producer or a consumer.
struct Program {
    path: PathBuf,
    /// What stands before the number of seconds.
    seconds_option: Option<&'static str>,
    /// Keeps the compiled program.
    _compiled: Option<CProgram>,
}

impl Program {
    fn rust(name: &str) -> Self {
        Self {
            path: example(name),
            seconds_option: Some("--seconds"),
            _compiled: None,
        }
    }

    /// `None` without a C compiler, which has then been said.
    fn c(source: &str) -> Option<Self> {
        let compiled = CProgram::compile(source)?;
        Some(Self {
            path: compiled.path(),
            seconds_option: None,
            _compiled: Some(compiled),
        })
    }

    fn c_producer() -> Option<Self> {
        Self::c(include_str!("../../examples/c/sysvshm_producer.c"))
    }

    fn c_consumer() -> Option<Self> {
        Self::c(include_str!("../../examples/c/sysvshm_consumer.c"))
    }

    fn producing(&self, place: &Place, seconds: u32) -> Command {
        let mut command = place.command(&self.path);
        command
            .args(self.seconds_option)
            .arg(seconds.to_string())
            .stderr(File::create(place.path().join("stderr")).unwrap());
        command
    }
}

/// A segment's status, where a process has it attached by the kernel's account, and its bytes.
type Seen = (Status, Vec<usize>, [u8; 20]);

fn look(place: &Place, pid: u32) -> Result<Seen, Box<dyn Error>> {
    let status = SegmentId::find(place.key())?.status()?;
    let mut bytes = [0; 20];
    let segment = SegmentOptions::new().open_read_only(place.key())?;
    segment.read_exact_at(0, &mut bytes)?;

    // 7f0123456000-7f0123457000 rw-s 00000000 00:01 98304    /SYSV2a0102ab (deleted)
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let name = format!("/SYSV{:08x} (deleted)", status.key());
    let id = status.id().to_string();
    let addresses = maps
        .lines()
        .filter(|line| line.ends_with(&name) && line.split_whitespace().nth(4) == Some(&id))
        .map(|line| usize::from_str_radix(line.split('-').next().unwrap_or_default(), 16))
        .collect::<Result<_, _>>()?;
    Ok((status, addresses, bytes))
}

/// Runs the producer, twice the consumer while it sleeps, and looks at everything either does.
fn meet(producer: &Program, consumer: &Program) {
    let place = Place::new();
    // On a machine that is very busy the producer may wake up before the consumer had its turn. That proves
    // nothing: give it longer.
    for seconds in [1, 5, 25, 125] {
        let mut producing = Running::spawn(&mut producer.producing(&place, seconds));
        let line = producing.line().unwrap();
        let address = address_after(PRODUCER_SAYS, &line);

        let seen = look(&place, producing.pid());
        let first = run(&mut place.command(&consumer.path));
        let second = run(&mut place.command(&consumer.path));
        let after = SegmentId::find(place.key()).and_then(SegmentId::status);
        let Ok(after) = after else {
            assert!(producing.wait().success());
            continue;
        };

        let (before, attached_at, bytes) = seen.unwrap();
        assert_eq!(before.size_bytes(), 20);
        assert_eq!(before.mode(), Mode::from(0o666));
        assert_eq!(before.creator_pid(), Some(producing.pid()));
        assert_eq!(before.attached(), 1);
        assert!(!before.is_marked_for_removal());
        // The address printed is the one attached, and the numbers are C's ints, without anything around them.
        assert_eq!(attached_at, [address]);
        let expected: Vec<u8> = (1..=5_i32).flat_map(i32::to_ne_bytes).collect();
        assert_eq!(bytes, *expected);

        // Consumers leave as they came: still one attach, still the key, and the next one reads the same.
        for printed in [&first, &second] {
            assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
            let (line, rest) = printed.stdout.split_once('\n').unwrap();
            address_after(CONSUMER_SAYS, line);
            assert_eq!(rest, format!("{NUMBERS}\n"));
        }
        assert_eq!((after.id(), after.attached()), (before.id(), 1));
        assert_eq!(after.creator_state(), ProcessState::Alive);
        assert!(!after.is_marked_for_removal());
        // Both consumers attached and are gone.
        assert_ne!(after.last_pid(), Some(producing.pid()));

        // The producer's one line was all, it ends well, and its segment with it.
        assert_eq!(producing.line(), None);
        assert!(producing.wait().success());
        assert!(SegmentId::find(place.key()).is_err());
        assert!(before.id().status().is_err());
        let stderr = std::fs::read_to_string(place.path().join("stderr")).unwrap();
        assert_eq!(stderr, "");
        return;
    }
    panic!("no consumer was started within two minutes");
}

#[test]
fn rust_producer_and_rust_consumer() {
    meet(
        &Program::rust("sysvshm_producer"),
        &Program::rust("sysvshm_consumer"),
    );
}

#[test]
fn c_producer_and_rust_consumer() {
    if let Some(producer) = Program::c_producer() {
        meet(&producer, &Program::rust("sysvshm_consumer"));
    }
}

#[test]
fn rust_producer_and_c_consumer() {
    if let Some(consumer) = Program::c_consumer() {
        meet(&Program::rust("sysvshm_producer"), &consumer);
    }
}

/// What the three tests above expect is what the lecture's programs do among themselves.
#[test]
fn c_producer_and_c_consumer() {
    if let (Some(producer), Some(consumer)) = (Program::c_producer(), Program::c_consumer()) {
        meet(&producer, &consumer);
    }
}

/// The whole of stdout, last newline included, is the same text from both languages but for the address.
#[test]
fn producers_print_the_same_bytes() {
    let mut texts = Vec::new();
    for producer in [
        Some(Program::rust("sysvshm_producer")),
        Program::c_producer(),
    ]
    .into_iter()
    .flatten()
    {
        let place = Place::new();
        let printed = run(&mut producer.producing(&place, 0));
        assert_eq!(printed.code, Some(0));
        let line = printed.stdout.strip_suffix('\n').unwrap();
        address_after(PRODUCER_SAYS, line);
        texts.push(line.split("0x").next().unwrap().to_owned());
    }
    assert!(texts.iter().all(|text| text == PRODUCER_SAYS), "{texts:?}");
}

#[test]
fn the_producer_makes_a_missing_key_file_and_says_so_on_stderr() {
    let place = Place::new();
    let file = place.path().join("SYSUOS");
    std::fs::remove_file(&file).unwrap();

    let producer = example("sysvshm_producer");
    let printed = run(place.command(producer).args(["--seconds", "0"]));
    assert_eq!(printed.code, Some(0));
    address_after(PRODUCER_SAYS, printed.stdout.strip_suffix('\n').unwrap());
    assert_eq!(
        printed.stderr,
        "sysvshm_producer: no file SYSUOS here, made an empty one to have a key\n"
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"");
    assert!(SegmentId::find(Key::from_path(&file, 42).unwrap()).is_err());
}

#[test]
fn the_producer_refuses_a_key_file_it_cannot_examine_or_make() {
    let producer = example("sysvshm_producer");

    let place = Place::new();
    let file = place.path().join("SYSUOS");
    std::fs::remove_file(&file).unwrap();
    symlink("SYSUOS", &file).unwrap(); // leads to itself
    let printed = run(place.command(&producer).args(["--seconds", "0"]));
    printed.assert_refused(1, &["sysvshm_producer: ftok(SYSUOS, id 42)", "ELOOP"]);

    // A missing directory behind a link: the file is missing, and making it through the link is refused (O_EXCL).
    std::fs::remove_file(&file).unwrap();
    symlink("nowhere/SYSUOS", &file).unwrap();
    let printed = run(place.command(&producer).args(["--seconds", "0"]));
    printed.assert_refused(1, &["sysvshm_producer: ftok(SYSUOS, id 42)", "ENOENT"]);
}

#[test]
fn the_consumer_refuses_to_run_without_a_key_file() {
    let place = Place::new();
    std::fs::remove_file(place.path().join("SYSUOS")).unwrap();
    let printed = run(&mut place.command(example("sysvshm_consumer")));
    printed.assert_refused(1, &["sysvshm_consumer: ftok", "ENOENT", "sysvshm_producer"]);
    // Looking for it has not made it.
    assert!(!place.path().join("SYSUOS").exists());
}

#[test]
fn the_consumer_refuses_to_run_without_a_producer() {
    let place = Place::new();
    let printed = run(&mut place.command(example("sysvshm_consumer")));
    let key = place.key().to_string();
    printed.assert_refused(1, &["sysvshm_consumer: shmget", &key, "ENOENT"]);
    assert!(SegmentId::find(place.key()).is_err());
}

#[test]
fn the_consumer_refuses_a_segment_that_is_too_short() {
    let place = Place::new();
    place.key.create(19, 0o666);
    let printed = run(&mut place.command(example("sysvshm_consumer")));
    printed.assert_refused(1, &["sysvshm_consumer: shmget", "19 bytes", "20 "]);
}

#[test]
fn a_killed_producers_segment_is_taken_over_by_the_next_one() {
    let place = Place::new();
    let producer = Program::rust("sysvshm_producer");
    let mut killed = Running::spawn(&mut producer.producing(&place, 600));
    killed.line().unwrap();
    killed.kill();
    let mut left = SegmentId::find(place.key()).unwrap();
    // Evidence that the next one writes, and not only finds.
    left.attach().unwrap().write_at(0, &[0xff; 20]).unwrap();

    for seconds in [1, 5, 25, 125] {
        let mut next = Running::spawn(&mut producer.producing(&place, seconds));
        next.line().unwrap();
        let found = SegmentId::find(place.key());
        let printed = run(&mut place.command(example("sysvshm_consumer")));
        let still = SegmentId::find(place.key());
        assert!(next.wait().success());
        assert!(SegmentId::find(place.key()).is_err());
        if let Ok(still) = still {
            assert_eq!((found.unwrap(), still), (left, left));
            assert!(printed.stdout.ends_with(&format!("\n{NUMBERS}\n")));
            return;
        }
        // The consumer came too late, and the segment is gone. Leave another one.
        left = place.key.create(20, 0o666);
        left.attach().unwrap().write_at(0, &[0xff; 20]).unwrap();
    }
    panic!("no consumer was started within two minutes");
}

/// Without an option it is the lecture's ten seconds. A second producer meanwhile takes the key away and nothing
/// breaks.
#[test]
fn two_producers_on_one_key_both_end_well() {
    let place = Place::new();
    let producer = Program::rust("sysvshm_producer");
    let started = Instant::now();
    let mut slow = Running::spawn(&mut place.command(&producer.path));
    slow.line().unwrap();

    let quick = run(&mut producer.producing(&place, 0));
    assert_eq!(quick.code, Some(0));
    if started.elapsed() < Duration::from_secs(9) {
        // The segment lives on without its key, so there is nothing for a consumer to find.
        let printed = run(&mut place.command(example("sysvshm_consumer")));
        printed.assert_refused(1, &["ENOENT"]);
    }
    assert!(slow.wait().success());
    assert!(started.elapsed() >= Duration::from_secs(10));
    assert!(SegmentId::find(place.key()).is_err());
}

#[test]
fn the_umask_takes_nothing_from_the_mode() {
    let place = Place::new();
    let mut command = place.command("sh");
    command
        .args(["-c", "umask 077; exec \"$0\" --seconds 600"])
        .arg(example("sysvshm_producer"));
    let mut producing = Running::spawn(&mut command);
    producing.line().unwrap();
    let status = SegmentId::find(place.key()).unwrap().status().unwrap();
    assert_eq!(status.mode(), Mode::from(0o666));
}

#[test]
fn a_full_stdout_is_an_error_and_the_segment_is_removed_all_the_same() {
    let place = Place::new();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let mut producer = place.command(example("sysvshm_producer"));
    let printed = run(producer.args(["--seconds", "600"]).stdout(full()));
    printed.assert_refused(1, &["sysvshm_producer: cannot write to stdout"]);
    assert!(SegmentId::find(place.key()).is_err());

    place.key.create(20, 0o666);
    let mut consumer = place.command(example("sysvshm_consumer"));
    let printed = run(consumer.stdout(full()));
    printed.assert_refused(1, &["sysvshm_consumer: cannot write to stdout"]);
}

#[test]
fn arguments_that_make_no_sense_are_refused_before_anything_is_done() {
    let place = Place::new();
    std::fs::remove_file(place.path().join("SYSUOS")).unwrap();
    let wrong: [&[&str]; 6] = [
        &["--seconds"],
        &["--seconds", "-1"],
        &["--seconds", "soon"],
        &["--seconds", "NaN"],
        &["--seconds", "1", "2"],
        &["1"],
    ];
    for arguments in wrong {
        let printed = run(place.command(example("sysvshm_producer")).args(arguments));
        printed.assert_misused("sysvshm_producer", &[]);
    }
    let printed = run(place.command(example("sysvshm_consumer")).arg("1"));
    printed.assert_misused("sysvshm_consumer", &["unknown argument 1"]);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}
