//! The textbook's bounded buffer with three semaphores: many producers, many consumers, some of them killed.

use crate::common::{Running, until};
use crate::{Printed, example, run};
use std::collections::HashSet;
use std::path::Path;
use std::process::Command;
use sysvshm::{SegmentId, SemaphoreSet};

/// A directory with the key file; what is under its key goes with it.
struct Place(crate::Place);

impl Place {
    fn new() -> Self {
        Self(crate::Place::with("SYSUOS", 43))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn producer(&self, count: u32) -> Command {
        self.command("semaphore_buffer_producer", count)
    }

    fn consumer(&self, count: u32) -> Command {
        self.command("semaphore_buffer_consumer", count)
    }

    fn command(&self, name: &str, count: u32) -> Command {
        let mut command = Command::new(example(name));
        command.current_dir(self.path());
        command.args(["--count", &count.to_string()]);
        command
    }

    fn set(&self) -> SemaphoreSet {
        until(|| SemaphoreSet::open(self.0.key()).is_ok());
        SemaphoreSet::open(self.0.key()).unwrap()
    }
}

/// The numbers that a program printed behind `word`, to its end.
fn numbers(running: &mut Running, word: &str) -> Vec<u64> {
    let number = |line: String| {
        let number = line
            .strip_prefix(word)
            .unwrap_or_else(|| panic!("{line:?}"));
        number.trim().parse().unwrap()
    };
    std::iter::from_fn(|| running.line().map(number)).collect()
}

#[test]
fn every_item_arrives_once_and_each_producers_in_order() {
    let place = Place::new();
    // Consumers may come first.
    let mut consumers = [600, 900].map(|count| Running::spawn(&mut place.consumer(count)));
    let mut producers = [500, 500, 500].map(|count| Running::spawn(&mut place.producer(count)));
    let (mut put, mut took) = (Vec::new(), Vec::new());
    // A pipe holds more than any of them prints.
    for producer in &mut producers {
        put.extend(numbers(producer, "put"));
    }
    for consumer in &mut consumers {
        let taken = numbers(consumer, "took");
        for producer in &producers {
            let first = u64::from(producer.pid()) * 1_000_000;
            let of_one = taken
                .iter()
                .filter(|&item| item / 1_000_000 * 1_000_000 == first);
            assert!(of_one.is_sorted());
        }
        took.extend(taken);
    }
    for program in producers.into_iter().chain(consumers) {
        assert!(program.wait().success());
    }
    assert_eq!((put.len(), took.len()), (1500, 1500));
    let (put, took): (HashSet<_>, HashSet<_>) =
        (put.into_iter().collect(), took.into_iter().collect());
    assert_eq!(put.len(), 1500);
    assert_eq!(put, took);
    // Ten free slots again, though five processes have ended: nothing but the mutex is undone.
    assert_eq!(place.set().values().unwrap(), [1, 10, 0]);
}

#[test]
fn a_full_buffer_stops_the_producer_and_an_empty_one_the_consumer() {
    let place = Place::new();
    let producer = Running::spawn(&mut place.producer(11));
    let set = place.set();
    until(|| set.semaphore(1).waiting_for_increase().unwrap() == 1);
    assert_eq!(set.values().unwrap(), [1, 0, 10]);
    let Printed { code, stdout, .. } = run(&mut place.consumer(11));
    assert_eq!((code, stdout.lines().count()), (Some(0), 11));
    assert!(producer.wait().success());

    let mut consumer = Running::spawn(&mut place.consumer(1));
    until(|| set.semaphore(2).waiting_for_increase().unwrap() == 1);
    run(&mut place.producer(1));
    assert_eq!(numbers(&mut consumer, "took").len(), 1);
    assert!(consumer.wait().success());
}

#[test]
fn a_consumer_killed_on_its_way_takes_one_item_along_and_not_the_mutex() {
    let place = Place::new();
    run(&mut place.producer(1));
    let set = place.set();
    // Held so that the consumer stops between its two waits.
    let guard = set.semaphore(0).lock().unwrap();
    let consumer = Running::spawn(&mut place.consumer(1));
    until(|| set.semaphore(0).waiting_for_increase().unwrap() == 1);
    consumer.kill();
    drop(guard);
    // Its item went with it, as the source says; the mutex did not.
    assert_eq!(set.values().unwrap(), [1, 9, 0]);
    run(&mut place.producer(1));
    assert_eq!(run(&mut place.consumer(1)).code, Some(0));
}

#[test]
fn removing_the_buffer_ends_who_waits_and_leaves_nothing() {
    let place = Place::new();
    let waiting = place
        .consumer(1)
        .stderr(std::process::Stdio::piped())
        .spawn();
    let waiting = waiting.unwrap();
    let set = place.set();
    until(|| set.semaphore(2).waiting_for_increase().unwrap() == 1);
    let removed = run(place.consumer(0).arg("--remove"));
    assert_eq!(
        (removed.code, &*removed.stdout, &*removed.stderr),
        (Some(0), "", "")
    );
    let output = waiting.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("removed while this process waited"), "{said}");
    assert!(SegmentId::find(place.0.key()).is_err());
    assert!(SemaphoreSet::open(place.0.key()).is_err());
}

#[test]
fn bad_arguments_and_a_damaged_buffer_are_refused_in_one_line() {
    let place = Place::new();
    run(place.producer(1).arg("--remove"))
        .assert_misused("semaphore_buffer_producer", &["unknown argument --remove"]);
    run(Command::new(example("semaphore_buffer_consumer")).args(["--count", "many"]))
        .assert_misused(
            "semaphore_buffer_consumer",
            &["--count many makes no sense"],
        );

    run(&mut place.producer(1));
    let segment = SegmentId::find(place.0.key()).unwrap().attach().unwrap();
    segment.write_at(11 * 8, &99_u64.to_ne_bytes()).unwrap();
    run(&mut place.consumer(1)).assert_refused(1, &["damaged", "99"]);
}
