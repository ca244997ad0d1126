//! Cells: values larger than a word, between processes, with writers killed after every instruction and at full
//! speed, in Rust and in C.
#![allow(unsafe_code)] // A child is forked.

mod common;
#[path = "common/single_step.rs"]
mod single_step;

use common::{CProgram, Owned, Peer, Running, Talk, alone, peer};
use single_step::{breakpoint, changes_of};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::{Duration, Instant};
use sysvshm::memory::cell::{
    Cell, Committed, LoadError, SequenceLocked, SharedCell, Writer, WriterError,
};
use sysvshm::{Key, ReadOnly, SegmentId, SegmentOptions, SharedStruct, field, shared_struct};

/// Long enough for anything here; its end is a failure.
const LONG: Duration = Duration::from_secs(60);

/// Words that count up by one from the first, which is not 0, or all zeros.
fn value<const N: usize>(first: u64) -> [u64; N] {
    std::array::from_fn(|i| first + i as u64)
}

#[track_caller]
fn first_of<const N: usize>(words: &[u64; N]) -> u64 {
    assert!(
        *words == [0; N] || *words == value(words[0]),
        "torn: {words:?}"
    );
    words[0]
}

fn attach<C: Cell>(id: i32) -> SharedStruct<C> {
    SegmentOptions::new()
        .attach_struct(SegmentId::from_raw(id))
        .unwrap()
}

fn attach_read_only<C: Cell>(id: i32) -> SharedStruct<C, ReadOnly> {
    SegmentOptions::new()
        .attach_read_only_struct(SegmentId::from_raw(id))
        .unwrap()
}

fn cell<C: Cell, A: sysvshm::segment::Access>(shared: &SharedStruct<C, A>) -> SharedCell<'_, C, A> {
    shared.cell(shared.view())
}

/// The role, once the kernel has torn down who had it.
#[track_caller]
fn take_over<'a, C: Cell>(cell: SharedCell<'a, C>) -> Writer<'a, C> {
    let start = Instant::now();
    loop {
        match cell.writer() {
            Ok(writer) => return writer,
            Err(WriterError::Taken) if start.elapsed() < LONG => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_new_cell_holds_zeros_and_keeps_what_was_stored() {
    fn check<C: Cell<Value = [u64; 3]>>() {
        let shared = SharedStruct::<C>::create_new(Key::PRIVATE).unwrap();
        shared.segment().mark_for_removal().unwrap();
        let cell = cell(&shared);
        assert_eq!(cell.load(Duration::ZERO), Ok([0; 3]));
        let mut writer = cell.writer().unwrap();
        // More than there are copies.
        for first in 1..=9 {
            writer.store(value(first));
            assert_eq!(cell.try_load(), Some(value(first)));
        }
        drop(writer);
        cell.writer().unwrap().store(value(10));
        assert_eq!(cell.try_load(), Some(value(10)));
    }
    check::<Committed<[u64; 3]>>();
    check::<SequenceLocked<[u64; 3]>>();
}

#[test]
fn an_update_that_panics_leaves_the_value_and_the_role() {
    let shared = SharedStruct::<Committed<[u64; 3]>>::create_new(Key::PRIVATE).unwrap();
    shared.segment().mark_for_removal().unwrap();
    let cell = cell(&shared);
    let mut writer = cell.writer().unwrap();
    writer.store(value(1));
    let panicking = std::panic::AssertUnwindSafe(|| writer.update(|_| panic!("in the middle")));
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!(cell.try_load(), Some(value(1)));
    writer.update(|[a, ..]| value(a + 1));
    assert_eq!(cell.try_load(), Some(value(2)));
}

#[test]
fn the_layouts_are_those_of_the_documentation() {
    #[track_caller]
    fn check<C: Cell<Value = [u64; 2]>>(size: usize, counts: [u64; 2], at: usize) {
        let shared = SharedStruct::<C>::create_new(Key::PRIVATE).unwrap();
        let segment = shared.segment();
        segment.mark_for_removal().unwrap();
        assert_eq!(segment.len_bytes(), size);
        let word = |at| segment.reference::<u64>(at).unwrap().load();
        let cell = cell(&shared);
        let mut writer = cell.writer().unwrap();
        assert_ne!(word(8), 0, "the writer's owner id");
        for count in counts {
            writer.store(value(7));
            assert_eq!(word(0), count);
        }
        assert_eq!([word(at), word(at + 8)], [7, 8]);
        drop(writer);
        assert_eq!(word(8), 0);
    }
    check::<Committed<[u64; 2]>>(16 + 4 * 16, [1, 2], 16 + 2 * 16);
    check::<SequenceLocked<[u64; 2]>>(16 + 16, [2, 4], 16);
    assert_eq!(align_of::<Committed<u8>>(), 8);
    assert_eq!(size_of::<SequenceLocked<[u8; 3]>>(), 24);
}

#[test]
fn a_cell_is_a_member_and_only_of_its_own_segment() {
    shared_struct! {
        struct Both {
            before: u8,
            committed: Committed<[u16; 5]>,
            locked: SequenceLocked<[u16; 5]>,
        }
    }
    let [one, other] = [(), ()].map(|()| {
        let shared = SharedStruct::<Both>::create_new(Key::PRIVATE).unwrap();
        shared.segment().mark_for_removal().unwrap();
        shared
    });
    let (committed, locked) = (
        one.cell(field!(one, committed)),
        one.cell(field!(one, locked)),
    );
    committed.writer().unwrap().store([1; 5]);
    locked.writer().unwrap().store([2; 5]);
    assert_eq!(
        (committed.try_load(), locked.try_load()),
        (Some([1; 5]), Some([2; 5]))
    );
    assert_eq!(field!(one, before).load(), 0);
    let elsewhere = std::panic::AssertUnwindSafe(|| other.cell(field!(one, committed)).try_load());
    assert!(std::panic::catch_unwind(elsewhere).is_err());
}

#[test]
fn the_role_is_one_handle_s_and_is_taken_over_from_the_dead() {
    fn hold<C: Cell<Value = [u64; 3]>>(talk: &mut Talk) {
        let shared = attach::<C>(talk.arg(0));
        let cell = cell(&shared);
        let mut writer = cell.writer().unwrap();
        writer.store(value(5));
        talk.say("has it");
        talk.hear();
    }
    fn check<C: Cell<Value = [u64; 3]>>(holder: Peer) {
        let owned = Owned::new(size_of::<C>(), 0o600);
        let shared = attach::<C>(owned.raw());
        let cell = cell(&shared);
        let mut running = holder.arg(owned.raw()).start();
        assert_eq!(running.hear(), "has it");
        assert!(matches!(cell.writer(), Err(WriterError::Taken)));
        running.kill();
        let mut writer = take_over(cell);
        assert!(
            matches!(cell.writer(), Err(WriterError::Taken)),
            "this process lives"
        );
        assert_eq!(cell.try_load(), Some(value(5)));
        writer.store(value(6));
        assert_eq!(cell.try_load(), Some(value(6)));
    }
    let committed = peer!(hold::<Committed<[u64; 3]>>);
    let locked = peer!(hold::<SequenceLocked<[u64; 3]>>);
    check::<Committed<[u64; 3]>>(committed);
    check::<SequenceLocked<[u64; 3]>>(locked);
}

#[test]
fn a_forked_child_neither_writes_nor_gives_back_what_it_inherited() {
    let parent = peer!(|talk| {
        let shared = attach::<Committed<u64>>(talk.arg(0));
        let cell = cell(&shared);
        let mut writer = cell.writer().unwrap();
        writer.store(1);
        // SAFETY: the child calls nothing that another thread of this process could hold a lock of, but to panic.
        let child = unsafe { libc::fork() };
        if child == 0 {
            std::panic::set_hook(Box::new(|_| {}));
            let write = std::panic::AssertUnwindSafe(|| writer.store(2));
            let refused = std::panic::catch_unwind(write).is_err();
            drop(writer);
            // SAFETY: ends the child without running what the parent registered.
            unsafe { libc::_exit(i32::from(!refused)) };
        }
        let mut status = -1;
        // SAFETY: waits for the child made above; `status` lives across the call.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        talk.say(status);
        assert!(
            matches!(cell.writer(), Err(WriterError::Taken)),
            "still the parent's"
        );
        writer.store(3);
        talk.say(cell.try_load().unwrap());
    });
    let owned = Owned::new(size_of::<Committed<u64>>(), 0o600);
    assert_eq!(parent.arg(owned.raw()).run(), ["0", "3"]);
}

#[test]
fn another_ipc_namespace_may_not_write() {
    if !common::root_or_skip() {
        return;
    }
    let stranger = peer!(|talk| {
        let shared = attach::<Committed<u64>>(talk.arg(0));
        common::enter_private_namespace();
        talk.say(matches!(
            cell(&shared).writer(),
            Err(WriterError::WrongNamespace)
        ));
        talk.say(cell(&shared).try_load().is_some());
    });
    let owned = Owned::new(size_of::<Committed<u64>>(), 0o600);
    assert_eq!(stranger.arg(owned.raw()).run(), ["true", "true"]);
}

#[test]
fn nonsense_in_a_cell_ends_in_wrong_values_or_in_time() {
    fn check<C: Cell<Value = [u64; 3]>>() {
        let shared = SharedStruct::<C>::create_new(Key::PRIVATE).unwrap();
        let segment = shared.segment();
        segment.mark_for_removal().unwrap();
        let cell = cell(&shared);
        let word = |at| segment.reference::<u64>(at).unwrap();
        for count in [1, 2, 3, u64::MAX - 1, u64::MAX, 0x8000_0000_0000_0001] {
            for writer in [0, 1, 0x1234_0000_0000_0000, u64::MAX] {
                word(0).store(count);
                word(8).store(writer);
                let read = cell.load(Duration::from_millis(1));
                let is_odd = size_of::<C>() == 40 && count % 2 == 1;
                assert!(read.is_ok() || is_odd, "{read:?}");
                if writer == u64::MAX {
                    // The form of a process without a token, whose life cannot be known.
                    assert!(matches!(cell.writer(), Err(WriterError::Taken)));
                    continue;
                }
                // No process has such an owner id, so the role is free; the first value is whole again.
                let mut role = cell.writer().unwrap();
                role.store(value(4));
                role.store(value(5));
                assert_eq!(cell.try_load(), Some(value(5)));
            }
        }
    }
    check::<Committed<[u64; 3]>>();
    check::<SequenceLocked<[u64; 3]>>();
}

/// What is found after a writer of `NEW` over `OLD` was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Old,
    Nothing,
    New,
}
const OLD: u64 = 100;
const NEW: u64 = 200;
type Small = [u64; 4];

fn stepped<C: Cell<Value = Small>>(talk: &mut Talk) {
    let shared = attach::<C>(talk.arg(0));
    let cell = cell(&shared);
    let mut writer = cell.writer().unwrap();
    talk.say(single_step::trace_me());
    breakpoint();
    writer.store(value(NEW));
    breakpoint();
}

fn kill_after_every_instruction<C: Cell<Value = Small>>(peer: &Peer) -> BTreeMap<u64, Found> {
    let outcome = |lead: &mut dyn FnMut(&SharedStruct<C>, i32) -> bool| {
        let owned = Owned::new(size_of::<C>(), 0o600);
        let shared = attach::<C>(owned.raw());
        cell(&shared).writer().unwrap().store(value(OLD));
        let mut running = peer.clone().arg(owned.raw()).start();
        let thread: i32 = running.hear().parse().unwrap();
        let counts = lead(&shared, thread);
        running.send(libc::SIGKILL);
        single_step::see_the_end(thread);
        running.kill();
        let reader = attach_read_only::<C>(owned.raw());
        let found = match cell(&reader).load(LONG) {
            Err(LoadError::WriterDied) => {
                assert_eq!(cell(&reader).try_load(), None);
                Found::Nothing
            }
            read => match first_of(&read.unwrap()) {
                OLD => Found::Old,
                NEW => Found::New,
                other => panic!("{other} was never written"),
            },
        };
        take_over(cell(&shared)).store(value(300));
        assert_eq!(
            cell(&reader).try_load(),
            Some(value(300)),
            "after {found:?}"
        );
        counts.then_some(found)
    };
    let mut trace = single_step::Trace::default();
    let whole = outcome(&mut |shared, thread| {
        trace = single_step::trace(thread, changes_of(shared.segment()));
        true
    });
    assert_eq!(whole, Some(Found::New), "uninterrupted");
    assert!(trace.calls.is_empty(), "a write makes no system call");
    let all: Vec<u64> = (0..=trace.total()).collect();
    let found = single_step::with_each(&all, |&k| {
        outcome(&mut |_, thread| single_step::run_to(thread, &trace, k).is_on_path)
    });
    let found: BTreeMap<u64, Found> = all
        .into_iter()
        .zip(found)
        .filter_map(|(k, found)| Some((k, found?)))
        .collect();
    println!(
        "{}, {} kills on its path",
        trace.in_words(None),
        found.len()
    );
    assert!(found.values().is_sorted(), "{found:?}");
    found
}

#[test]
fn a_writer_killed_after_every_instruction_leaves_what_is_documented() {
    let committed = peer!(stepped::<Committed<Small>>);
    let locked = peer!(stepped::<SequenceLocked<Small>>);
    if !single_step::IS_POSSIBLE {
        common::skipped("single steps are for x86-64 Linux");
        return;
    }
    let _alone = alone();
    let found = kill_after_every_instruction::<Committed<Small>>(&committed);
    assert!(
        !found.values().any(|&found| found == Found::Nothing),
        "{found:?}"
    );
    assert!(found.values().any(|&found| found == Found::Old));
    let found = kill_after_every_instruction::<SequenceLocked<Small>>(&locked);
    assert!(
        [Found::Old, Found::Nothing, Found::New]
            .iter()
            .all(|one| found.values().any(|found| found == one))
    );
}

/// Large enough that kills and reads fall into the middle of a copy.
type Large = [u64; 512];

fn write_without_pause<C: Cell<Value = Large>>(talk: &mut Talk) {
    let shared = attach::<C>(talk.arg(0));
    let cell = cell(&shared);
    let mut writer = take_over(cell);
    // Goes on where the one before it was killed, if that left a value.
    let mut first = cell.try_load().map_or(1, |words| first_of(&words) + 1);
    talk.say("at work");
    loop {
        writer.store(value(first));
        first += 1;
    }
}

/// Kills one writer after the other while this process reads; how many kills left no whole value, or a copy half
/// written.
fn storm<C: Cell<Value = Large>>(peer: &Peer, keeps_old_value: bool) {
    const KILLS: u64 = 60;
    // Only such kills show anything.
    const IN_THE_MIDDLE: u64 = 3;
    let owned = Owned::new(size_of::<C>(), 0o600);
    let shared = attach_read_only::<C>(owned.raw());
    let cell = cell(&shared);
    let copies = |copy: usize| {
        let bytes = 16 + copy * size_of::<Large>();
        shared.segment().reference::<Large>(bytes).unwrap().load()
    };
    let (mut last, mut reads, mut halves, mut kills) = (0, 0_u64, 0, 0);
    while kills < KILLS || halves < IN_THE_MIDDLE {
        assert!(
            kills < 40 * KILLS,
            "{halves} of {kills} kills in the middle"
        );
        kills += 1;
        let mut running = peer.clone().arg(owned.raw()).start();
        assert_eq!(running.hear(), "at work");
        let stop = Instant::now() + Duration::from_micros(kills * 37 % 2000);
        while Instant::now() < stop {
            if let Some(words) = cell.try_load() {
                let first = first_of(&words);
                assert!(
                    !keeps_old_value || first >= last,
                    "back from {last} to {first}"
                );
                last = first;
                reads += 1;
            }
        }
        running.kill();
        match cell.load(LONG) {
            Ok(words) => {
                let first = first_of(&words);
                assert!(
                    !keeps_old_value || first >= last,
                    "back from {last} to {first}"
                );
                last = first;
                if keeps_old_value {
                    let version = shared.segment().reference::<u64>(0).unwrap().load();
                    let due = copies((version.wrapping_add(1) % 4) as usize);
                    halves += u64::from(due != value(due[0]) && due != [0; 512]);
                }
            }
            Err(error) => {
                assert_eq!(error, LoadError::WriterDied);
                assert!(!keeps_old_value);
                halves += 1;
            }
        }
    }
    println!("{kills} kills, {halves} in the middle, {reads} whole values read meanwhile");
    assert!(reads > 0);
}

#[test]
fn a_storm_of_kills_on_a_committed_value() {
    let peer = peer!(write_without_pause::<Committed<Large>>);
    storm::<Committed<Large>>(&peer, true);
}

#[test]
fn a_storm_of_kills_on_a_value_under_a_sequence_lock() {
    let peer = peer!(write_without_pause::<SequenceLocked<Large>>);
    storm::<SequenceLocked<Large>>(&peer, false);
}

fn write_with_pauses<C: Cell<Value = [u64; N]>, const N: usize>(talk: &mut Talk) {
    let shared = attach::<C>(talk.arg(0));
    let cell = cell(&shared);
    let mut writer = cell.writer().unwrap();
    talk.say("at work");
    for first in 1_u64.. {
        let start = Instant::now();
        writer.store(value(first));
        // Who reads the one copy there is needs a gap as long as copying takes on this machine.
        let until = start.elapsed() * (1 + first as u32 % 4);
        while start.elapsed() < until {
            std::hint::spin_loop();
        }
    }
}

/// Reads until so many different values were seen, each whole.
fn read_beside<C: Cell<Value = [u64; N]>, const N: usize>(writer: &mut Running, id: i32) {
    assert_eq!(writer.hear(), "at work");
    let shared = attach_read_only::<C>(id);
    let (mut different, mut last) = (0, 0);
    while different < 5_000 {
        let first = first_of(&cell(&shared).load(LONG).unwrap());
        assert!(first >= last, "back from {last} to {first}");
        different += u32::from(first != last);
        last = first;
    }
}

#[test]
fn values_read_beside_a_writer_are_whole_and_never_go_back() {
    let peers = [
        peer!(write_with_pauses::<Committed<[u64; 3]>, 3>),
        peer!(write_with_pauses::<Committed<[u64; 63]>, 63>),
        peer!(write_with_pauses::<SequenceLocked<[u64; 3]>, 3>),
        peer!(write_with_pauses::<SequenceLocked<[u64; 63]>, 63>),
    ];
    let owned = || Owned::new(16 + 4 * 63 * 8, 0o600);
    let readers: [fn(&mut Running, i32); 4] = [
        read_beside::<Committed<[u64; 3]>, 3>,
        read_beside::<Committed<[u64; 63]>, 63>,
        read_beside::<SequenceLocked<[u64; 3]>, 3>,
        read_beside::<SequenceLocked<[u64; 63]>, 63>,
    ];
    for (peer, read) in peers.into_iter().zip(readers) {
        let owned = owned();
        let mut writer = peer.arg(owned.raw()).start();
        read(&mut writer, owned.raw());
        writer.kill();
    }
}

/// Both directions with C, and the role from one language to the other.
fn with_c<C: Cell<Value = [u64; 6]>>(program: &CProgram, kind: &str, writer: &Peer) {
    let owned = Owned::new(16 + 4 * 6 * 8, 0o600);
    let shared = attach::<C>(owned.raw());
    let cell = cell(&shared);
    let c = |role: &str| {
        let mut command = program.command();
        command.args([&owned.raw().to_string(), kind, role]);
        command
    };
    let said = |role: &str| String::from_utf8(c(role).output().unwrap().stdout).unwrap();
    assert_eq!(said("once"), "at work\n");
    assert_eq!(cell.try_load(), Some(value(1000)));

    let mut running = c("write")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let mut different = 0;
    let mut last = 1000;
    while different < 1_000 {
        assert!(start.elapsed() < LONG);
        let first = first_of(&cell.load(LONG).unwrap());
        different += u32::from(first != last);
        last = first;
    }
    assert!(
        matches!(cell.writer(), Err(WriterError::Taken)),
        "C has the role"
    );
    running.kill().unwrap();
    running.wait().unwrap();
    take_over(cell).store(value(7));
    assert_eq!(cell.try_load(), Some(value(7)));

    let mut rust = writer.clone().arg(owned.raw()).start();
    assert_eq!(rust.hear(), "at work");
    assert_eq!(said("once"), "taken\n");
    assert_eq!(said("read"), "whole\n");
    assert_eq!(said("dead"), "not known to be dead\n");
    rust.kill();
    assert_eq!(said("dead"), "dead\n");
    let start = Instant::now();
    while said("once") != "at work\n" {
        assert!(
            start.elapsed() < LONG,
            "C does not get the role of the dead"
        );
    }
    assert_eq!(cell.try_load(), Some(value(1000)));
}

#[test]
fn c_programs_read_and_write_cells() {
    let committed = peer!(write_with_pauses::<Committed<[u64; 6]>, 6>);
    let locked = peer!(write_with_pauses::<SequenceLocked<[u64; 6]>, 6>);
    let Some(program) = CProgram::compile(include_str!("c/cells.c")) else {
        return;
    };
    with_c::<Committed<[u64; 6]>>(&program, "c", &committed);
    with_c::<SequenceLocked<[u64; 6]>>(&program, "s", &locked);
}
