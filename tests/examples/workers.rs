//! `workers`: the account adds up whoever is killed, and nothing stays behind however it ends.

use crate::common::Running;
use crate::{Printed, assert_80_columns, eventually, example, run};
use std::collections::HashMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use sysvshm::bounded_buffer::PeerState;
use sysvshm::inspect::{Inspector, Kind, Ring, Role, Sight};
use sysvshm::{SegmentId, system};

fn workers(arguments: &str) -> Command {
    let mut command = Command::new(example("workers"));
    command.args(arguments.split_whitespace());
    command
}

/// The numbers of the account, by the word that the line begins with.
#[track_caller]
fn account(printed: &str) -> HashMap<&str, u64> {
    let lines = printed.lines().map(|line| {
        let (name, text) = line.split_at(13);
        let number = text.split(' ').next().unwrap().parse().unwrap();
        (name.trim(), number)
    });
    lines.collect()
}

#[test]
fn no_job_is_lost_and_the_account_adds_up() {
    let command = "--jobs 400 --workers 3 --work-ms 3 --linger-ms 3 --kill-every-ms 25 --seed 7";
    let printed = run(&mut workers(command));
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert_80_columns(&printed.stdout);
    assert_80_columns(&printed.stderr);
    assert!(
        printed
            .stdout
            .starts_with("jobs         400 of 400 done, all results right\n")
    );
    let account = account(&printed.stdout);
    assert!(account["kills"] > 5, "{printed:?}");
    // A kill hits one job at most: one that is redone, and perhaps was done.
    let (redelivered, twice) = (account["redelivered"], account["done twice"]);
    assert!(
        redelivered <= account["kills"] && redelivered > 0,
        "{printed:?}"
    );
    assert!(twice <= redelivered, "{printed:?}");
    // Not on a terminal: whole lines.
    assert!(!printed.stderr.contains(['\r', '\x1b']), "{printed:?}");
    let last = printed.stderr.lines().last().unwrap();
    assert!(last.starts_with("done 400 of 400, "), "{printed:?}");
}

/// The ring of a supervisor: it has no key and is marked for removal, but somebody made it.
fn ring_of(supervisor: u32) -> Option<(SegmentId, Ring)> {
    let entries = system::segments().unwrap().into_iter();
    let by_it = entries.filter(|entry| entry.status.creator_pid() == Some(supervisor));
    by_it
        .map(|entry| entry.status.id())
        .find_map(|id| match Inspector::attach(id).ok()?.look() {
            Ok(Sight::Ready(ring)) if ring.kind == Kind::Mpmc => Some((id, ring)),
            _ => None,
        })
}

/// The workers that have joined and live.
fn workers_in(ring: &Ring) -> Vec<u32> {
    let people = ring.participants.iter();
    let workers =
        people.filter(|one| one.role == Some(Role::Consumer) && one.state == PeerState::Alive);
    workers.filter_map(|one| one.pid).collect()
}

/// Starts a supervisor and waits until this many workers have begun.
fn start(arguments: &str, count: usize) -> (Running, SegmentId, Vec<u32>) {
    let mut command = workers(arguments);
    // A group of its own, as a shell gives each command, so that Ctrl-C can be sent to it.
    let command = command.process_group(0).stderr(Stdio::null());
    let running = Running::spawn(command);
    let mut found = None;
    eventually("the workers have joined", || {
        found = ring_of(running.pid()).map(|(id, ring)| (id, workers_in(&ring), ring.popped));
        found
            .as_ref()
            .is_some_and(|(_, pids, popped)| pids.len() == count && *popped > 0)
    });
    let (id, pids, _) = found.unwrap();
    (running, id, pids)
}

#[allow(unsafe_code)]
fn send(pid: i32, signal: i32) {
    // SAFETY: a process, or a group of them, that this test has started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn nothing_is_left_of(supervisor: u32, workers: &[u32]) {
    eventually("all segments are gone", || {
        let entries = system::segments().unwrap();
        let mut creators = entries
            .iter()
            .filter_map(|entry| entry.status.creator_pid());
        !creators.any(|pid| pid == supervisor || workers.contains(&pid))
    });
}

#[test]
fn ctrl_c_leaves_nothing() {
    let quick = "--jobs 1000000 --work-ms 1 --workers 3 --kill-every-ms 1000000";
    let (running, _, pids) = start(quick, 3);
    let supervisor = running.pid();
    send(-(supervisor as i32), libc::SIGINT);
    assert_eq!(running.signal(), Some(libc::SIGINT));
    nothing_is_left_of(supervisor, &pids);
}

/// The workers go on with what is in the ring, and end when it is drained.
#[test]
fn a_killed_supervisor_is_outlived_by_its_workers_until_the_ring_is_drained() {
    let quick = "--jobs 1000000 --work-ms 1 --workers 3 --kill-every-ms 1000000";
    let (running, id, pids) = start(quick, 3);
    let supervisor = running.pid();
    running.kill();
    let inspector = Inspector::attach(id).unwrap();
    eventually("the ring is drained and everybody has left", || {
        let Sight::Ready(ring) = inspector.look().unwrap() else {
            panic!("it was ready");
        };
        ring.len == 0 && workers_in(&ring).is_empty()
    });
    drop(inspector);
    nothing_is_left_of(supervisor, &pids);
}

#[test]
fn whom_somebody_else_kills_is_replaced_as_well() {
    let slow = "--jobs 300 --work-ms 5 --workers 2 --kill-every-ms 1000000";
    let mut command = workers(slow);
    let mut running = Running::spawn(command.stderr(Stdio::null()));
    let mut victim = None;
    eventually("a worker has joined", || {
        victim = ring_of(running.pid()).and_then(|(_, ring)| workers_in(&ring).pop());
        victim.is_some()
    });
    send(victim.unwrap() as i32, libc::SIGKILL);
    let mut printed = String::new();
    while let Some(line) = running.line() {
        printed.push_str(&line);
        printed.push('\n');
    }
    let status = running.wait();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    let account = account(&printed);
    assert_eq!((account["jobs"], account["kills"]), (300, 1), "{printed}");
    assert!(account["redelivered"] <= 1, "{printed}");
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for (arguments, words) in [
        ("--jobs 0", "--jobs 0 makes no sense"),
        ("--workers", "--workers needs a value"),
        ("--workers many", "--workers many makes no sense"),
        ("--kill 9", "unknown argument --kill"),
        ("--worker 1", "--worker is for the supervisor"),
    ] {
        let printed: Printed = run(&mut workers(arguments));
        printed.assert_misused("workers", &[words]);
    }
}
