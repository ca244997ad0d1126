//! A C program on the other side, written against `examples/c/spsc.h`.

use crate::support::{LAYOUTS, id, ring, ring_with};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use sysvshm::bounded_buffer::PeerState;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Options, PopError};

struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn compile(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/c/spsc_peer.c");
    let binary = folder.join("spsc_peer");
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"])
        .arg(source)
        .arg("-o")
        .arg(&binary);
    assert!(cc.status().unwrap().success(), "cc fails on spsc_peer.c");
    binary
}

fn start(
    binary: &Path,
    ring: &BoundedBuffer<u64>,
    role: &str,
    from: u64,
    to: u64,
    stay: bool,
) -> Peer {
    let mut command = Command::new(binary);
    command.args([
        role,
        &id(ring).to_string(),
        &from.to_string(),
        &to.to_string(),
    ]);
    if stay {
        command.arg("stay");
    }
    Peer(command.stdout(Stdio::piped()).spawn().unwrap())
}

/// Both directions, both layouts; this side sleeps when there is nothing to do, and pushes single items and
/// batches.
#[test]
fn c_produces_and_consumes() {
    let folder = tempfile::tempdir().unwrap();
    let binary = compile(folder.path());
    const COUNT: u64 = 50_000;
    for layout in LAYOUTS {
        for capacity in [7, 64] {
            let ring = ring::<u64>(capacity, layout);
            let mut consumer = ring.consumer().unwrap();
            let mut peer = start(&binary, &ring, "produce", 0, COUNT, false);
            for expected in 0..COUNT {
                assert_eq!(consumer.pop(), Ok(expected), "{layout:?} {capacity}");
            }
            assert!(peer.0.wait().unwrap().success());
            assert_eq!(consumer.buffer().producer_state(), PeerState::Left);
            drop(consumer);

            let mut producer = ring.producer().unwrap();
            let mut peer = start(&binary, &ring, "consume", 0, COUNT, false);
            let items: Vec<u64> = (0..COUNT).collect();
            for run in items.chunks(11) {
                if run[0] % 2 == 0 {
                    producer.push_slice(run).unwrap();
                } else {
                    run.iter().for_each(|&item| producer.push(item).unwrap());
                }
            }
            assert!(peer.0.wait().unwrap().success(), "{layout:?} {capacity}");
            assert!(producer.is_empty());
        }
    }
}

/// A forked child does not go on with its parent's role, and any number of claims takes one token.
#[test]
fn c_knows_forks_and_makes_one_token() {
    let folder = tempfile::tempdir().unwrap();
    let binary = compile(folder.path());
    let ring = ring::<u64>(4, LAYOUTS[0]);
    // More than there can be segments, unless set otherwise.
    let mut peer = start(&binary, &ring, "fork", 0, 5000, false);
    assert!(peer.0.wait().unwrap().success());
    assert_eq!(ring.consumer_state(), PeerState::Left);
}

/// A C process that is killed is known to be dead, and Rust goes on where it was, in the middle of a batch too; and
/// the other way round.
#[test]
fn c_is_taken_over_and_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let binary = compile(folder.path());
    for layout in LAYOUTS {
        let ring = ring::<u64>(16, layout);
        let mut peer = start(&binary, &ring, "produce", 0, 3, true);
        let mut said = [0; 5];
        peer.0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .unwrap();
        assert_eq!(ring.producer_state(), PeerState::Alive);
        drop(peer);
        assert_eq!(ring.producer_state(), PeerState::Dead);
        let mut producer = ring.producer().unwrap();
        assert_eq!(producer.try_push_slice(&[3, 4, 5, 6, 7]), Ok(5));
        drop(producer);

        // Takes five of the eight, two of them out of the batch, and is killed.
        let mut peer = start(&binary, &ring, "consume", 0, 5, true);
        peer.0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut said)
            .unwrap();
        drop(peer);
        assert_eq!(ring.consumer_state(), PeerState::Dead);
        let mut consumer = ring.consumer().unwrap();
        assert_eq!(consumer.pop(), Ok(5));
        drop(consumer);

        // And a C successor in the middle of the batch.
        let mut peer = start(&binary, &ring, "consume", 6, 8, false);
        assert!(peer.0.wait().unwrap().success());
        assert_eq!(ring.consumer().unwrap().try_pop(), Err(PopError::Empty));
    }
}

/// C goes on after 2^64 items where Rust does, and ends where Rust ends.
#[test]
fn c_goes_across_the_wrap_or_ends_there() {
    let folder = tempfile::tempdir().unwrap();
    let binary = compile(folder.path());
    for (capacity, takes) in [(8, 150), (7, 100)] {
        let mut options = Options::new();
        let ring: BoundedBuffer<u64> =
            ring_with(options.capacity(capacity).start_position(u64::MAX - 100));
        let mut consumer = ring.consumer().unwrap();
        let mut peer = start(&binary, &ring, "produce", 0, 150, false);
        for item in 0..takes {
            assert_eq!(consumer.pop(), Ok(item));
        }
        // It says "corrupted" at the end of the positions.
        assert_eq!(peer.0.wait().unwrap().success(), takes == 150);
        assert_eq!(consumer.try_pop(), Err(PopError::Empty));
    }
}
