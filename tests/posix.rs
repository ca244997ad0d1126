//! Views over memory that `shm_open` and `mmap` made: the lecture's POSIX pair, in Rust and in C, each reading what
//! the other left.
#![allow(unsafe_code)] // Views over a mapping of the test's own.

mod common;

use common::{CProgram, skipped};
use rustix::fs::ftruncate;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::shm::{self, Mode, OFlags};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use sysvshm::bytemuck::AnyBitPattern;
use sysvshm::{ReadOnly, ReadWrite, SharedRef, SharedSlice, field};

/// A name that no other object has, unlinked when this value goes.
struct Object(String);

impl Object {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "/sysvshm-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Relaxed)
        );
        Self(name)
    }

    fn exists(&self) -> bool {
        shm::open(self.0.as_str(), OFlags::RDONLY, Mode::empty()).is_ok()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let _ = shm::unlink(self.0.as_str());
    }
}

/// An example that `cargo test` builds beside the tests; with `--test posix` alone it may be missing.
fn example(name: &str) -> Option<Command> {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.parent()?.parent()?.join("examples").join(name);
    if !path.exists() {
        skipped(&format!("{} is not built", path.display()));
        return None;
    }
    Some(Command::new(path))
}

fn c_example(source: &str) -> Option<(CProgram, Command)> {
    let program = CProgram::compile(source)?;
    let command = program.command();
    Some((program, command))
}

fn run(command: &mut Command, object: &Object) -> Output {
    command.arg(&object.0).output().unwrap()
}

/// What the pair prints, to the byte but for the address; the object exists between the two and not after.
#[track_caller]
fn check_pair(producer: &mut Command, consumer: &mut Command) {
    let object = Object::new();
    let produced = run(producer, &object);
    let line = String::from_utf8(produced.stdout).unwrap();
    let address = line
        .strip_prefix("ptr addr: 0x")
        .and_then(|rest| rest.strip_suffix('\n'));
    assert!(u64::from_str_radix(address.unwrap(), 16).is_ok(), "{line}");
    assert!(object.exists());
    let consumed = run(consumer, &object);
    assert_eq!(
        String::from_utf8_lossy(&consumed.stdout),
        "Read ptr: Hello, World!\n"
    );
    assert!(consumed.status.success() && consumed.stderr.is_empty());
    assert!(!object.exists(), "the consumer unlinks it");
}

#[test]
fn producer_and_consumer_are_those_of_the_lecture() {
    let (Some(mut producer), Some(mut consumer)) =
        (example("posix_producer"), example("posix_consumer"))
    else {
        return;
    };
    check_pair(&mut producer, &mut consumer);
}

#[test]
fn each_reads_what_the_c_program_wrote_or_is_read_by_it() {
    let (Some(mut producer), Some(mut consumer)) =
        (example("posix_producer"), example("posix_consumer"))
    else {
        return;
    };
    let c_producer = c_example(include_str!("../examples/c/posix_producer.c"));
    let c_consumer = c_example(include_str!("../examples/c/posix_consumer.c"));
    let (Some((_one, mut c_producer)), Some((_two, mut c_consumer))) = (c_producer, c_consumer)
    else {
        return;
    };
    check_pair(&mut c_producer, &mut consumer);
    check_pair(&mut producer, &mut c_consumer);
}

#[test]
fn where_c_would_fault_the_consumer_says_one_line() {
    let Some(mut consumer) = example("posix_consumer") else {
        return;
    };
    let object = Object::new();
    let refused = run(&mut consumer, &object);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(
        text.starts_with("posix_consumer: shm_open(/sysvshm-test-") && text.lines().count() == 1,
        "{text}"
    );

    // An object that is too small is refused before anything beyond its end is touched.
    let small = shm::open(
        object.0.as_str(),
        OFlags::CREATE | OFlags::RDWR,
        Mode::RUSR | Mode::WUSR,
    )
    .unwrap();
    ftruncate(&small, 100).unwrap();
    let refused = run(&mut example("posix_consumer").unwrap(), &object);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8(refused.stderr)
            .unwrap()
            .contains("has 100 bytes")
    );
    assert!(object.exists());
}

#[test]
fn one_object_mapped_twice_is_one_memory() {
    #[derive(Clone, Copy, AnyBitPattern)]
    #[repr(C)]
    struct Shared {
        ready: u32,
        rates: [f64; 4],
    }
    let object = Object::new();
    let file = shm::open(
        object.0.as_str(),
        OFlags::CREATE | OFlags::RDWR,
        Mode::RUSR | Mode::WUSR,
    )
    .unwrap();
    ftruncate(&file, 4096).unwrap();
    let map = |protection| {
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        unsafe {
            mmap(
                ptr::null_mut(),
                4096,
                protection,
                MapFlags::SHARED,
                &file,
                0,
            )
        }
        .unwrap()
    };
    let (writable, readable) = (
        map(ProtFlags::READ | ProtFlags::WRITE),
        map(ProtFlags::READ),
    );
    {
        // SAFETY: mapped until after this block, and only viewed.
        let writer = unsafe { SharedRef::<Shared, ReadWrite>::from_raw(writable.cast()) }.unwrap();
        // SAFETY: mapped read-only until after this block, and only viewed.
        let reader = unsafe { SharedRef::<Shared, ReadOnly>::from_raw(readable.cast()) }.unwrap();
        // SAFETY: as above.
        let bytes =
            unsafe { SharedSlice::<u8, ReadOnly>::from_raw_parts(readable.cast(), 4096) }.unwrap();
        field!(writer, rates[2]).store(1.5);
        field!(writer, ready).atomic_store(1, std::sync::atomic::Ordering::Release);
        assert_eq!(
            field!(reader, ready).atomic_load(std::sync::atomic::Ordering::Acquire),
            1
        );
        assert_eq!(reader.load().rates, [0.0, 0.0, 1.5, 0.0]);
        assert_eq!(bytes.iter().filter(|&byte| byte != 0).count(), 3);
    }
    for address in [writable, readable] {
        // SAFETY: mapped above with this length, and no view is left.
        unsafe { munmap(address, 4096) }.unwrap();
    }
}
