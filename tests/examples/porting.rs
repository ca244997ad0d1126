//! The legacy system of `examples/porting`: server and client, in C and in Rust, in all pairings.

#[allow(dead_code)] // The programs use the rest.
#[path = "../../examples/porting/layout.rs"]
mod layout;

use crate::common::{CProgram, Running, until};
use crate::{Printed, example, run};
use layout::{KEY_FILE, PROJECT, RING, Record, Shared};
use std::ffi::c_long;
use std::mem::offset_of;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::Ordering;
use sysvshm::{SegmentId, SegmentOptions, SemaphoreSet, field};

const HEADER: &str = include_str!("../../examples/porting/statd.h");
const SERVER: &str = include_str!("../../examples/porting/statd.c");
const CLIENT: &str = include_str!("../../examples/porting/statc.c");

/// A program in one of its two languages.
#[derive(Debug)]
enum Program {
    C(CProgram),
    Rust(&'static str),
}

impl Program {
    /// `None` without a C compiler, which has then been said.
    fn c(source: &str) -> Option<Self> {
        // The source is compiled in a directory of its own.
        CProgram::compile(&source.replace("#include \"statd.h\"", HEADER)).map(Self::C)
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::C(compiled) => compiled.path(),
            Self::Rust(name) => example(name),
        }
    }
}

fn servers() -> Option<[Program; 2]> {
    Some([Program::c(SERVER)?, Program::Rust("statd")])
}

fn clients() -> Option<[Program; 2]> {
    Some([Program::c(CLIENT)?, Program::Rust("statc")])
}

/// A directory with the key file; what is under its key goes with it.
struct Place(crate::Place);

impl Place {
    fn new() -> Self {
        Self(crate::Place::with(KEY_FILE, PROJECT))
    }

    fn command(&self, program: &Program, arguments: &[&str]) -> Command {
        let mut command = Command::new(program.path());
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    fn start(&self, program: &Program, arguments: &[&str]) -> Running {
        Running::spawn(&mut self.command(program, arguments))
    }

    fn run(&self, program: &Program, arguments: &[&str]) -> Printed {
        run(&mut self.command(program, arguments))
    }

    /// Starts a server and waits until it says that it serves.
    fn serve(&self, program: &Program) -> Running {
        let mut server = self.start(program, &[]);
        assert_eq!(server.line().as_deref(), Some("statd: ready"));
        server
    }

    /// Looks at the shared struct with a view of our own.
    fn look<T>(&self, look: impl FnOnce(sysvshm::memory::SharedRef<'_, Shared>) -> T) -> T {
        let segment = SegmentOptions::new().open(self.0.key()).unwrap();
        let shared = segment.reference::<Shared>(0).unwrap();
        look(shared)
    }

    fn is_empty(&self) -> bool {
        SegmentId::find(self.0.key()).is_err() && SemaphoreSet::open(self.0.key()).is_err()
    }
}

/// What the server has to say after clients that put so many records each.
fn report(clients: &[(&str, c_long)]) -> Vec<String> {
    let mut counts = [0; 4];
    let mut sums = [0; 4];
    for &(_, records) in clients {
        for i in 0..records {
            let kind = usize::try_from(1 + i % 3).unwrap();
            counts[kind] += 1;
            sums[kind] += i;
        }
    }
    let kinds =
        (1..4).map(|kind| format!("kind {kind}: {} records, sum {}", counts[kind], sums[kind]));
    let names = clients.iter().enumerate();
    let names = names.map(|(client, (name, _))| format!("client {client}: {name}"));
    kinds.chain(names).collect()
}

#[test]
fn every_server_serves_every_client() {
    let (Some(servers), Some(clients)) = (servers(), clients()) else {
        return;
    };
    for server in &servers {
        for client in &clients {
            let place = Place::new();
            let mut serving = place.serve(server);
            let done = place.run(client, &["alice", "500"]);
            assert_eq!(
                (done.code, &*done.stdout),
                (Some(0), "alice: 500 records put\n"),
                "{done:?}"
            );
            let second = place.run(client, &["bob", "37"]);
            assert_eq!(
                (second.code, &*second.stdout),
                (Some(0), "bob: 37 records put\n")
            );

            until(|| place.look(|shared| field!(shared, count).load().iter().sum::<i32>()) == 537);
            let (sent, ready, seen) = place.look(|shared| {
                let sent = field!(shared, sent).atomic_load(Ordering::Relaxed);
                let ready = field!(shared, ready).atomic_load(Ordering::Acquire);
                (sent, ready, layout::names(shared))
            });
            assert_eq!((sent, ready), (537, 1));
            assert_eq!(seen, ["alice", "bob"]);
            // The last record is still in the ring: 537 of them went round it, the last in slot 536 % 16.
            let last = place.look(|shared| field!(shared, ring[536 % RING]).load());
            assert_eq!((last.client, last.kind, last.value), (1, 1, 36));

            let stop = place.run(client, &["-q"]);
            assert_eq!(stop.code, Some(0));
            let said: Vec<String> = std::iter::from_fn(|| serving.line()).collect();
            assert_eq!(
                said,
                report(&[("alice", 500), ("bob", 37)]),
                "{server:?} {client:?}"
            );
            assert!(serving.wait().success());
            assert!(place.is_empty(), "{server:?}");
        }
    }
}

#[test]
fn clients_of_both_languages_work_at_the_same_time() {
    let (Some(servers), Some([c, rust])) = (servers(), clients()) else {
        return;
    };
    for server in &servers {
        let place = Place::new();
        let mut serving = place.serve(server);
        let known = || place.look(|shared| field!(shared, nnames).load());
        let mut running = Vec::new();
        // One after the other past the table of names, whose lock is the one that C gets wrong; then all at once.
        for (index, (program, name)) in [(&c, "c1"), (&rust, "r1"), (&c, "c2"), (&rust, "r2")]
            .into_iter()
            .enumerate()
        {
            running.push(place.start(program, &[name, "3000"]));
            until(|| known() > i32::try_from(index).unwrap());
        }
        for client in running {
            assert!(client.wait().success());
        }
        assert_eq!(place.run(&rust, &["-q"]).code, Some(0));
        let said: Vec<String> = std::iter::from_fn(|| serving.line()).collect();
        let clients = [("c1", 3000), ("r1", 3000), ("c2", 3000), ("r2", 3000)];
        assert_eq!(said, report(&clients), "{server:?}");
        assert!(serving.wait().success());
    }
}

#[test]
fn rust_clients_enter_the_table_of_names_one_at_a_time() {
    let place = Place::new();
    let serving = place.serve(&Program::Rust("statd"));
    let client = Program::Rust("statc");
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let clients = names.map(|name| place.start(&client, &[name, "0"]));
    for running in clients {
        assert!(running.wait().success());
    }
    let mut seen = place.look(layout::names);
    seen.sort();
    assert_eq!(seen, names);
    // What C would have written over the counters.
    place
        .run(&client, &["i", "0"])
        .assert_refused(1, &["the table of names is full"]);
    place
        .run(&client, &["a-name-of-sixteen", "0"])
        .assert_refused(1, &["up to 11 bytes"]);
    assert_eq!(place.look(|shared| field!(shared, count).load()), [0; 4]);
    serving.kill();
}

#[test]
fn what_a_killed_server_leaves_is_replaced_by_the_ported_one_and_a_running_one_is_not() {
    let (Some([c_server, rust_server]), Some([_, client])) = (servers(), clients()) else {
        return;
    };
    let place = Place::new();
    let serving = place.serve(&c_server);
    place.run(&client, &["old", "10"]);
    place
        .run(&rust_server, &[])
        .assert_refused(1, &["exists already"]);
    serving.kill();
    assert!(
        !place.is_empty(),
        "the leak of the C program is what this is about"
    );

    let mut serving = place.serve(&rust_server);
    place
        .run(&rust_server, &[])
        .assert_refused(1, &["exists already"]);
    assert_eq!(place.run(&client, &["new", "4"]).code, Some(0));
    assert_eq!(place.run(&client, &["-q"]).code, Some(0));
    let said: Vec<String> = std::iter::from_fn(|| serving.line()).collect();
    assert_eq!(said, report(&[("new", 4)]));
    assert!(serving.wait().success());
    assert!(place.is_empty());
}

#[test]
fn a_ported_client_that_is_killed_in_the_mutex_does_not_stop_the_system() {
    let Some([_, client]) = clients() else { return };
    let Some(servers) = servers() else { return };
    for server in &servers {
        let place = Place::new();
        let serving = place.serve(server);
        let set = SemaphoreSet::open(place.0.key()).unwrap();
        // Each kill may cost one of the 16 slots, which only the mutex is spared: fewer kills than slots.
        for _ in 0..12 {
            let victim = place.start(&client, &["victim", "1000000"]);
            until(|| place.look(|shared| field!(shared, sent).load()) > 0);
            std::thread::sleep(std::time::Duration::from_millis(3));
            victim.kill();
            place.look(|shared| {
                field!(shared, nnames).store(0);
                field!(shared, sent).store(0);
            });
            // Reaped, so whatever it held is given back; the server alone may hold the mutex now, and goes on.
            set.semaphore(layout::MUTEX)
                .lock()
                .unwrap()
                .unlock()
                .unwrap();
        }
        serving.kill();
    }
}

#[test]
fn where_c_goes_on_with_a_failure_the_port_stops_and_says_why() {
    let place = Place::new();
    let client = Program::Rust("statc");
    place
        .run(&client, &["x", "1"])
        .assert_refused(1, &["no segment has this key", "start the program"]);
    for wrong in [
        &[][..],
        &["x"],
        &["x", "many"],
        &["x", "1", "2"],
        &["-q", "x"],
    ] {
        place.run(&client, wrong).assert_misused("statc", &[]);
    }

    // A server compiled with an older struct.
    let mut options = SegmentOptions::new();
    let old = options
        .size_bytes(100)
        .create_unattached(place.0.key())
        .unwrap();
    place
        .run(&client, &["x", "1"])
        .assert_refused(1, &["has 100 bytes", "432 were asked for"]);
    old.mark_for_removal().unwrap();

    std::fs::remove_file(place.0.path().join(KEY_FILE)).unwrap();
    for (program, arguments) in [(Program::Rust("statd"), &[][..]), (client, &["x", "1"])] {
        place
            .run(&program, arguments)
            .assert_refused(1, &["ftok(statd.key", "ENOENT"]);
    }
}

#[test]
fn c_and_rust_agree_on_every_offset() {
    let members = [
        "names", "count", "sum", "sent", "in", "out", "ring", "namelock", "nnames",
    ];
    let prints: String = members
        .iter()
        .map(|member| format!("printf(\"%zu \", offsetof(struct shared, {member}));"))
        .collect();
    let source = format!(
        "#include <stddef.h>\n#include <stdio.h>\n{HEADER}\nint main(void) {{ {prints}\n\
         printf(\"%zu %zu \", offsetof(struct record, kind), offsetof(struct record, value));\n\
         printf(\"%zu %zu\\n\", sizeof(struct record), sizeof(struct shared)); return 0; }}"
    );
    let Some(program) = CProgram::compile(&source) else {
        return;
    };
    let printed = run(&mut program.command());
    let of_c: Vec<usize> = printed
        .stdout
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let of_rust = [
        offset_of!(Shared, names),
        offset_of!(Shared, count),
        offset_of!(Shared, sum),
        offset_of!(Shared, sent),
        offset_of!(Shared, r#in),
        offset_of!(Shared, out),
        offset_of!(Shared, ring),
        offset_of!(Shared, namelock),
        offset_of!(Shared, nnames),
        offset_of!(Record, kind),
        offset_of!(Record, value),
        size_of::<Record>(),
        size_of::<Shared>(),
    ];
    assert_eq!(of_c, of_rust);
}
