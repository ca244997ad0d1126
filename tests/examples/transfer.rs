//! The file transfer of `examples/porting`: sender and receiver, in C and in Rust, in all pairings, with kills and
//! Ctrl-C.

use crate::common::{CProgram, Running};
use crate::{eventually, example};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use sysvshm::{SegmentId, SemaphoreSet};

const KEY_FILE: &str = "transfer.key";
const PROJECT: u8 = b'T';
const HEADER: &str = include_str!("../../examples/porting/transfer.h");

/// A program in one of its two languages.
#[derive(Debug)]
enum Program {
    C(CProgram),
    Rust(&'static str),
}

impl Program {
    fn both(source: &str, name: &'static str) -> Option<[Self; 2]> {
        let source = source.replace("#include \"transfer.h\"", HEADER);
        Some([CProgram::compile(&source).map(Self::C)?, Self::Rust(name)])
    }

    fn path(&self) -> PathBuf {
        match self {
            Self::C(compiled) => compiled.path(),
            Self::Rust(name) => example(name),
        }
    }
}

/// Receivers and senders; `None` without a C compiler, which has then been said.
fn programs() -> Option<([Program; 2], [Program; 2])> {
    Some((
        Program::both(include_str!("../../examples/porting/xrecv.c"), "xrecv")?,
        Program::both(include_str!("../../examples/porting/xsend.c"), "xsend")?,
    ))
}

struct Place(crate::Place);

impl Place {
    fn new() -> Self {
        let place = Self(crate::Place::with(KEY_FILE, PROJECT));
        // Not a multiple of a block, and no two blocks are alike.
        let bytes: Vec<u8> = (0..300_001_u32).map(|i| (i / 4096 + i) as u8).collect();
        std::fs::write(place.0.path().join("a file"), bytes).unwrap();
        place
    }

    fn command(&self, program: &Program, argument: &str) -> Command {
        let mut command = self.0.command(program.path());
        command.arg(argument);
        command
    }

    fn receive(&self, program: &Program) -> Running {
        let mut receiver = Running::spawn(&mut self.command(program, "copy"));
        assert_eq!(receiver.line().as_deref(), Some("xrecv: ready"));
        receiver
    }

    fn send(&self, program: &Program) -> Output {
        self.command(program, "a file").output().unwrap()
    }

    /// A sender that is in the middle: what it reads is a pipe that stays open.
    fn stuck_sender(&self, program: &Program) -> (Running, std::fs::File) {
        let pipe = self.0.path().join("pipe");
        let _ = std::fs::remove_file(&pipe);
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let mut command = self.command(program, "pipe");
        let running = Running::spawn(command.stderr(Stdio::null()));
        let mut end = std::fs::OpenOptions::new().write(true).open(pipe).unwrap();
        std::io::Write::write_all(&mut end, &[7; 10_000]).unwrap();
        (running, end)
    }

    /// Waits until the receiver has got so many bytes.
    fn has_arrived(&self, bytes: u64) {
        let copy = self.0.path().join("copy");
        eventually("bytes arrive", || {
            std::fs::metadata(&copy).is_ok_and(|copy| copy.len() >= bytes)
        });
    }

    #[track_caller]
    fn assert_empty(&self) {
        assert!(
            SegmentId::find(self.0.key()).is_err(),
            "the segment is left"
        );
        assert!(SemaphoreSet::open(self.0.key()).is_err(), "the set is left");
    }

    /// One whole transfer, after which nothing is left.
    #[track_caller]
    fn assert_transfers(&self, receiver: &Program, sender: &Program) {
        let mut receiving = self.receive(receiver);
        let sent = self.send(sender);
        assert_eq!(sent.stdout, b"xsend: 300001 bytes sent\n", "{sent:?}");
        assert_eq!(
            receiving.line().as_deref(),
            Some("xrecv: a file, 300001 bytes")
        );
        assert!(receiving.wait().success());
        let [original, copy] =
            ["a file", "copy"].map(|name| std::fs::read(self.0.path().join(name)).unwrap());
        assert!(original == copy, "another file arrived");
        self.assert_empty();
    }
}

#[test]
fn a_file_goes_from_every_sender_to_every_receiver() {
    let Some((receivers, senders)) = programs() else {
        return;
    };
    for receiver in &receivers {
        for sender in &senders {
            Place::new().assert_transfers(receiver, sender);
        }
    }
}

#[test]
fn who_outlives_a_killed_peer_says_so_and_removes_both() {
    let Some((receivers, senders)) = programs() else {
        return;
    };
    for receiver in &receivers {
        for sender in &senders {
            let place = Place::new();
            let receiving = place.receive(receiver);
            let (sending, mut pipe) = place.stuck_sender(sender);
            place.has_arrived(10_000);
            receiving.kill();
            // One block goes into the empty slot, for the next nobody makes room.
            let _ = std::io::Write::write_all(&mut pipe, &[8; 10_000]);
            drop(pipe);
            assert_eq!(
                sending.wait().code(),
                Some(1),
                "{sender:?} beside a killed {receiver:?}"
            );
            place.assert_empty();

            let receiving = place.receive(receiver);
            let (sending, _pipe) = place.stuck_sender(sender);
            place.has_arrived(10_000);
            sending.kill();
            assert_eq!(
                receiving.wait().code(),
                Some(1),
                "{receiver:?} beside a killed {sender:?}"
            );
            place.assert_empty();
        }
    }
}

#[test]
fn what_two_killed_programs_leave_does_no_harm_to_the_next() {
    let Some((receivers, senders)) = programs() else {
        return;
    };
    for receiver in &receivers {
        for sender in &senders {
            let place = Place::new();
            let receiving = place.receive(receiver);
            let (sending, _pipe) = place.stuck_sender(sender);
            place.has_arrived(10_000);
            // Neither sees the other's end: both are stopped before they are killed.
            for one in [&receiving, &sending] {
                one.send(libc::SIGSTOP);
            }
            receiving.kill();
            sending.kill();
            assert!(
                SegmentId::find(place.0.key()).is_ok(),
                "nothing was left: no test"
            );
            place.assert_transfers(receiver, sender);
        }
    }
}

#[test]
fn ctrl_c_ends_a_wait_and_leaves_nothing() {
    let Some((receivers, senders)) = programs() else {
        return;
    };
    for receiver in &receivers {
        let place = Place::new();
        let receiving = place.receive(receiver);
        receiving.send(libc::SIGINT);
        assert_eq!(receiving.wait().code(), Some(1), "{receiver:?}");
        place.assert_empty();

        for sender in &senders {
            let receiving = place.receive(receiver);
            let (sending, mut pipe) = place.stuck_sender(sender);
            place.has_arrived(10_000);
            receiving.send(libc::SIGINT);
            assert_eq!(receiving.wait().code(), Some(1));
            // The sender goes on and finds itself alone: one block still fits.
            let _ = std::io::Write::write_all(&mut pipe, &[8; 10_000]);
            drop(pipe);
            assert_eq!(sending.wait().code(), Some(1), "{sender:?}");
            place.assert_empty();
        }
    }
}

#[test]
fn a_sender_without_a_receiver_is_refused() {
    let Some((_, senders)) = programs() else {
        return;
    };
    for sender in &senders {
        let place = Place::new();
        assert_eq!(place.send(sender).status.code(), Some(1));
        place.assert_empty();
    }
}
