//! Perl's own shmget, shmread, shmwrite and shmctl as peers, both ways: the same bytes, sizes, modes and removals.
#![cfg(target_os = "linux")]

mod common;

use common::{Owned, OwnedKey, Running, skipped};
use std::fmt::Display;
use std::mem::offset_of;
use std::process::Command;
use sysvshm::raw::shmid_ds;
use sysvshm::{ErrorKind, Mode, Removal, SegmentId, SegmentOptions};

/// A running Perl, asked one thing at a time.
struct Perl(Running);

impl Perl {
    /// `None`, and said so, where there is no Perl.
    fn start() -> Option<Self> {
        if let Err(error) = Command::new("perl").arg("-v").output() {
            skipped(&format!("no Perl: {error}"));
            return None;
        }
        let numbers = [
            libc::IPC_CREAT,
            libc::IPC_EXCL,
            libc::IPC_RMID,
            libc::IPC_SET,
            libc::IPC_STAT,
        ];
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/perl/peer.pl");
        let mut command = Command::new("perl");
        command
            .arg(script)
            .args(numbers.map(|number| number.to_string()));
        Some(Self(Running::spawn(&mut command)))
    }

    #[track_caller]
    fn ask(&mut self, what: impl Display) -> String {
        self.0.say(what);
        self.0.line().expect("the Perl peer ended")
    }

    fn stat(&mut self, id: SegmentId) -> Vec<u8> {
        from_hex(&self.ask(format!("stat {id}")))
    }

    fn finish(self) {
        assert!(self.0.wait().success());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let pairs = text
        .as_bytes()
        .chunks(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// `N` bytes of a struct shmid_ds that Perl fetched.
fn field<const N: usize>(ds: &[u8], offset: usize) -> [u8; N] {
    ds[offset..offset + N].try_into().unwrap()
}

#[test]
fn perl_creates_and_writes_and_rust_reads_and_answers() {
    let Some(mut perl) = Perl::start() else {
        return;
    };
    let key = OwnedKey::random();
    let id = perl.ask(format!("create {} 64 640", key.key().as_raw()));
    // Perl pads what is short with zeros and cuts what is long.
    assert_eq!(
        perl.ask(format!("write {id} 0 64 {}", hex(b"from Perl\0\xff\xfe"))),
        "done"
    );
    assert_eq!(
        perl.ask(format!("write {id} 60 2 {}", hex(b"abcdef"))),
        "done"
    );

    let segment = SegmentOptions::new().open(key.key()).unwrap();
    assert_eq!(
        (segment.id().to_string(), segment.len_bytes()),
        (id.clone(), 64)
    );
    let mut bytes = [1; 64];
    segment.read_exact_at(0, &mut bytes).unwrap();
    assert_eq!(&bytes[..13], b"from Perl\0\xff\xfe\0");
    assert_eq!(&bytes[13..], [&[0; 47][..], b"ab\0\0"].concat());
    let status = segment.status().unwrap();
    assert_eq!(status.mode(), Mode::from(0o640));
    // Perl attaches and detaches within each call.
    assert_eq!(status.attached(), 1);
    assert_eq!(status.creator_pid(), Some(perl.0.pid()));

    segment.write_at(3, b"Rust\0\x80").unwrap();
    assert_eq!(perl.ask(format!("read {id} 3 6")), hex(b"Rust\0\x80"));
    assert_eq!(segment.status().unwrap().last_pid(), Some(perl.0.pid()));

    // Perl removes; Rust keeps what it has attached, and finds the key free.
    assert_eq!(perl.ask(format!("remove {id}")), "removed");
    assert!(segment.status().unwrap().is_marked_for_removal());
    let reopened = SegmentOptions::new().open(key.key());
    assert_eq!(reopened.unwrap_err().kind(), ErrorKind::NotFound);
    segment.detach().unwrap();
    assert_eq!(
        perl.ask(format!("read {id} 0 1")),
        format!("errno {}", libc::EINVAL)
    );
    perl.finish();
}

#[test]
fn rust_creates_and_perl_reads_and_answers() {
    let Some(mut perl) = Perl::start() else {
        return;
    };
    let key = OwnedKey::random();
    let segment = SegmentOptions::new()
        .size_bytes(5000)
        .mode(0o600)
        .removal(Removal::OnDrop)
        .create_new(key.key())
        .unwrap();
    let id = segment.id();
    let found = perl.ask(format!("get {} 5000 0", key.key().as_raw()));
    assert_eq!(found, id.to_string());
    let einval = format!("errno {}", libc::EINVAL);
    assert_eq!(
        perl.ask(format!("get {} 5001 0", key.key().as_raw())),
        einval
    );

    let all: Vec<u8> = (0..5000).map(|i| (i % 251) as u8).collect();
    segment.write_at(0, &all).unwrap();
    assert_eq!(perl.ask(format!("read {id} 0 5000")), hex(&all));
    assert_eq!(perl.ask(format!("read {id} 4999 1")), hex(&all[4999..]));
    // The same bound on both sides, in bytes and not in pages.
    let efault = format!("errno {}", libc::EFAULT);
    assert_eq!(perl.ask(format!("read {id} 4999 2")), efault);
    assert_eq!(perl.ask(format!("write {id} 5000 1 00")), efault);
    assert!(segment.write_at(5000, &[0]).is_err());

    assert_eq!(
        perl.ask(format!("write {id} 4990 10 {}", hex(b"0123456789"))),
        "done"
    );
    let mut end = [0; 10];
    segment.read_exact_at(4990, &mut end).unwrap();
    assert_eq!(&end, b"0123456789");

    drop(segment);
    assert_eq!(perl.ask(format!("read {id} 0 1")), einval);
    let enoent = format!("errno {}", libc::ENOENT);
    assert_eq!(perl.ask(format!("get {} 0 0", key.key().as_raw())), enoent);
    perl.finish();
}

#[test]
fn the_struct_perl_fetches_says_what_status_says_and_goes_back_through_ipc_set() {
    let Some(mut perl) = Perl::start() else {
        return;
    };
    let owned = Owned::new(777, 0o604);
    let attached = owned.id().attach().unwrap();
    let mut ds = perl.stat(owned.id());
    let status = attached.status().unwrap();
    assert_eq!(ds.len(), size_of::<shmid_ds>());
    let permissions = offset_of!(shmid_ds, shm_perm);
    let mode_at = permissions + offset_of!(libc::ipc_perm, mode);
    assert_eq!(
        usize::from_ne_bytes(field(&ds, offset_of!(shmid_ds, shm_segsz))),
        777
    );
    assert_eq!(u16::from_ne_bytes(field(&ds, mode_at)), 0o604);
    let uid = u32::from_ne_bytes(field(&ds, permissions + offset_of!(libc::ipc_perm, uid)));
    assert_eq!(uid, status.owner_uid());
    let creator = u32::from_ne_bytes(field(&ds, offset_of!(shmid_ds, shm_cpid)));
    assert_eq!(Some(creator), status.creator_pid());
    assert_eq!(field::<1>(&ds, offset_of!(shmid_ds, shm_nattch)), [1]);

    ds[mode_at..mode_at + 2].copy_from_slice(&0o440_u16.to_ne_bytes());
    assert_eq!(perl.ask(format!("set {} {}", owned.id(), hex(&ds))), "done");
    assert_eq!(attached.status().unwrap().mode(), Mode::from(0o440));
    perl.finish();
}
