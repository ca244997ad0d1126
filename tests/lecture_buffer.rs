//! The lecture's buffer with C on the other side: same bytes, every item in order.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use sysvshm::bounded_buffer::lecture::{BoundedBuffer, TryConsumeError, TryProduceError};
use sysvshm::{ErrorKind, Key, Segment, SegmentOptions};

/// Ends a peer that a failed test would leave behind.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Removes what a failed test would leave under the key.
struct Cleanup(Key);

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Ok(id) = sysvshm::SegmentId::find(self.0) {
            let _ = id.mark_for_removal();
        }
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/c")
        .join(name)
}

/// Compiles one of the C programs with this type of the indices, optimisation and number of positions.
fn compile(folder: &Path, program: &str, index: &str, level: &str, positions: usize) -> PathBuf {
    let binary = folder.join(program);
    let done = Command::new("cc")
        .args(["-Wall", "-Wextra", "-Werror", level])
        .arg(format!("-DBUFFER_INDEX={index}"))
        .arg(format!("-DBUFFER_SIZE={positions}"))
        .arg(source(&format!("{program}.c")))
        .arg("-o")
        .arg(&binary)
        .status()
        .expect("cc runs");
    assert!(done.success(), "cc fails on {program}.c");
    binary
}

fn workplace() -> (tempfile::TempDir, Key, Cleanup) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("SYSUOS"), "").unwrap();
    let key = Key::from_path(folder.path().join("SYSUOS"), 43).unwrap();
    (folder, key, Cleanup(key))
}

fn start(binary: &Path, folder: &Path, count: i32) -> Peer {
    let mut command = Command::new(binary);
    command.arg(count.to_string()).current_dir(folder);
    Peer(command.stdout(Stdio::piped()).spawn().unwrap())
}

/// Waits for the peer's end and says what it printed.
fn finish(mut peer: Peer) -> String {
    let mut printed = String::new();
    let stdout = peer.0.stdout.as_mut().unwrap();
    stdout.read_to_string(&mut printed).unwrap();
    assert!(peer.0.wait().unwrap().success(), "the C program failed");
    printed
}

/// Opens what the C producer is about to create.
fn open_patiently(key: Key, size: usize) -> Segment {
    let started = Instant::now();
    loop {
        match SegmentOptions::new().size_bytes(size).open(key) {
            Ok(segment) => return segment,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(started.elapsed() < Duration::from_secs(60), "no producer");
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn c_produces<const N: usize>(index: &str, level: &str, count: i32) {
    let (folder, key, _cleanup) = workplace();
    let binary = compile(folder.path(), "bounded_buffer_producer", index, level, N);
    let producer = start(&binary, folder.path(), count);
    let segment = open_patiently(key, BoundedBuffer::<i32, N>::SIZE_BYTES);
    let buffer = BoundedBuffer::<i32, N>::new(&segment).unwrap();
    for expected in 1..=count {
        assert_eq!(buffer.consume_yielding(), Ok(expected));
    }
    finish(producer);
    assert!(SegmentOptions::new().open(key).is_err(), "C removes it");
}

fn c_consumes<const N: usize>(index: &str, level: &str, count: i32) {
    let (folder, key, _cleanup) = workplace();
    let binary = compile(folder.path(), "bounded_buffer_consumer", index, level, N);
    let segment = SegmentOptions::new()
        .size_bytes(BoundedBuffer::<i32, N>::SIZE_BYTES)
        .create_new(key)
        .unwrap();
    let buffer = BoundedBuffer::<i32, N>::new(&segment).unwrap();
    let consumer = start(&binary, folder.path(), count);
    for item in 1..=count {
        buffer.produce_yielding(item).unwrap();
    }
    assert!(finish(consumer).ends_with(&format!("{count} items in order\n")));
    assert_eq!(buffer.is_empty(), Ok(true));
}

/// A million items in order, both ways. `int` is what the slides have: right only without optimisation.
#[test]
fn a_million_items_with_plain_int_unoptimised() {
    c_produces::<1024>("int", "-O0", 1_000_000);
    c_consumes::<1024>("int", "-O0", 1_000_000);
}

#[test]
fn a_million_items_with_volatile_int_optimised() {
    c_produces::<1024>("volatile int", "-O2", 1_000_000);
    c_consumes::<1024>("volatile int", "-O2", 1_000_000);
}

#[test]
fn a_million_items_with_atomic_int_optimised() {
    c_produces::<1024>("_Atomic int", "-O2", 1_000_000);
    c_consumes::<1024>("_Atomic int", "-O2", 1_000_000);
}

/// The lecture's ten positions: nine items, then the other side must have run.
#[test]
fn ten_positions_both_ways() {
    c_produces::<10>("_Atomic int", "-O2", 5_000);
    c_consumes::<10>("int", "-O0", 5_000);
}

/// What `gcc -O2` does to the slides' loop, as the module's documentation says: it compares registers for ever.
#[test]
fn plain_int_optimised_waits_in_an_endless_loop() {
    let version = Command::new("cc").arg("--version").output().unwrap();
    let is_gcc = String::from_utf8_lossy(&version.stdout).contains("Free Software");
    if !cfg!(target_arch = "x86_64") || !is_gcc {
        eprintln!("skipped: cc is not gcc for x86-64");
        return;
    }
    let loops = |index: &str| {
        let output = Command::new("cc")
            .args(["-O2", "-S", "-o", "-"])
            .arg(format!("-DBUFFER_INDEX={index}"))
            .arg(source("bounded_buffer_consumer.c"))
            .output()
            .unwrap();
        let assembly = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = assembly.lines().map(str::trim).collect();
        // A label, a comparison of two registers, a jump back: nothing is loaded in between.
        lines.windows(3).any(|run| {
            let label = run[0].strip_suffix(':');
            run[1].starts_with("cmpl\t%")
                && !run[1].contains('(')
                && label.is_some()
                && label == run[2].strip_prefix("je").map(str::trim)
        })
    };
    assert!(loops("int"), "plain int gives no loop without a load");
    assert!(!loops("volatile int"));
    assert!(!loops("_Atomic int"));
}

/// Every byte of the layout, as a C compiler says.
#[test]
fn sizes_and_offsets_are_those_of_c() {
    fn check<T: sysvshm::bytemuck::Pod, const N: usize>(item: &str) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layout.c");
        let binary = folder.path().join("layout");
        let header = source("bounded_buffer.h");
        let text = format!(
            "#include <stddef.h>\n#include <stdio.h>\ntypedef {item} their_item;\n#define item their_item\n#define BUFFER_SIZE {N}\n\
             #include \"{}\"\nint main(void) {{ printf(\"%zu %zu %zu\", sizeof(struct bounded_buffer), \
             offsetof(struct bounded_buffer, in), offsetof(struct bounded_buffer, out)); return 0; }}",
            header.display()
        );
        std::fs::write(&file, text).unwrap();
        let mut cc = Command::new("cc");
        assert!(
            cc.arg(&file)
                .arg("-o")
                .arg(&binary)
                .status()
                .unwrap()
                .success()
        );
        let said = String::from_utf8(Command::new(&binary).output().unwrap().stdout).unwrap();
        let numbers: Vec<usize> = said.split(' ').map(|n| n.parse().unwrap()).collect();

        assert_eq!(numbers[0], BoundedBuffer::<T, N>::SIZE_BYTES, "{item}");
        let mut options = SegmentOptions::new();
        let segment = options
            .size_bytes(numbers[0])
            .create_new(Key::PRIVATE)
            .unwrap();
        segment.mark_for_removal().unwrap();
        let buffer = BoundedBuffer::<T, N>::new(&segment).unwrap();
        segment.reference::<i32>(numbers[1]).unwrap().store(1);
        segment.reference::<i32>(numbers[2]).unwrap().store(2);
        assert_eq!((buffer.next_in(), buffer.next_out()), (1, 2), "{item}");
    }
    check::<i8, 5>("char");
    check::<i16, 3>("short");
    check::<i32, 10>("int");
    check::<i64, 7>("long long");
    check::<[u8; 3], 3>("struct { unsigned char bytes[3]; }");
    check::<f64, 3>("double");
}

/// Any index but a position is refused, by both sides and the observers, and nothing outside the buffer is touched.
#[test]
fn indices_are_not_trusted() {
    type Buffer<'a> = BoundedBuffer<'a, i32, 4>;
    let mut options = SegmentOptions::new();
    let segment = options
        .size_bytes(Buffer::SIZE_BYTES)
        .create_new(Key::PRIVATE)
        .unwrap();
    segment.mark_for_removal().unwrap();
    let buffer = Buffer::new(&segment).unwrap();
    for (offset, name) in [(16, "in"), (20, "out")] {
        for nonsense in [-1, 4, 5, i32::MAX, i32::MIN] {
            segment.reference::<i32>(offset).unwrap().store(nonsense);
            match buffer.try_produce(1) {
                Err(TryProduceError::Corrupted(corrupted)) => {
                    assert_eq!((corrupted.value, corrupted.last), (nonsense, 3));
                    assert_eq!(corrupted.index, name);
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(
                buffer.try_consume(),
                Err(TryConsumeError::Corrupted(_))
            ));
            assert!(buffer.consume().is_err() && buffer.produce(1).is_err());
            assert!(
                buffer.len().is_err() && buffer.is_empty().is_err() && buffer.is_full().is_err()
            );
        }
        segment.reference::<i32>(offset).unwrap().store(0);
    }
    assert_eq!(buffer.len(), Ok(0));
}
