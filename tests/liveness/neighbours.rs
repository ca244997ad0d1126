//! What other processes of the IPC namespace can do to a verdict, and what not: the table in the module's docs.

use crate::common::{NOBODY, Talk, peer, root_or_skip, skipped};
use crate::support::{consume, id, kill, open, owner, produce, ring, token, until};
use sysvshm::bounded_buffer::{ClaimError, PeerState};
use sysvshm::{ErrorKind, Key, SegmentId, SegmentOptions};

/// A user who is neither root nor `nobody`.
const SOMEBODY: u32 = 65533;

#[test]
fn another_user_can_neither_attach_nor_change_a_token_and_judges_it_all_the_same() {
    let member = peer!(produce);
    let stranger = peer!(|talk: &mut Talk| {
        let ring = open(talk, 0);
        let token = token(&ring);
        for error in [
            token.attach().map(drop).unwrap_err(),
            token.attach_read_only().map(drop).unwrap_err(),
            token.status().map(drop).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        }
        for error in [
            token.set_permissions(NOBODY, NOBODY, 0o666).unwrap_err(),
            token.mark_for_removal().unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotOwner, "{error}");
        }
        assert_eq!(ring.producer_state(), PeerState::Alive);
        talk.say("judged");
        talk.hear();
        assert_eq!(ring.producer_state(), PeerState::Dead);
    });
    if !root_or_skip() {
        return;
    }
    for user in [None, Some(SOMEBODY)] {
        let ring = ring();
        let mut member = member.clone().arg(id(&ring));
        if let Some(user) = user {
            member = member.user(user);
        }
        let mut member = member.start();
        assert_eq!(member.hear(), "in");
        let mut stranger = stranger.clone().arg(id(&ring)).nobody().start();
        assert_eq!(stranger.hear(), "judged");
        kill(member, &ring, |ring| ring.producer_state());
        stranger.say("go on");
        stranger.finish();
    }
}

/// The owner of a token may change it, marked or not: that moves its times and its mode, and no verdict.
#[test]
fn whatever_ipc_set_changes_about_a_living_token_changes_nothing() {
    let member = peer!(produce);
    let ring = ring();
    let mut running = member.arg(id(&ring)).start();
    assert_eq!(running.hear(), "in");
    let token = token(&ring);
    let word = owner(&ring);
    crate::common::let_a_second_pass();
    let mut consumer = ring.consumer().unwrap();
    let status = token.status_regardless().unwrap();
    assert_eq!(status.mode().bits(), 0);
    let (uid, gid) = (status.owner_uid(), status.owner_gid());
    let mut changes = vec![(uid, gid, 0), (uid, gid, 0o777), (uid, gid, 0)];
    if uid == 0 {
        changes.extend([(NOBODY, NOBODY, 0), (uid, gid, 0o400)]);
    }
    for (uid, gid, mode) in changes {
        token.set_permissions(uid, gid, mode).unwrap();
        assert_eq!(ring.producer_state(), PeerState::Alive);
        assert!(matches!(ring.producer(), Err(ClaimError::Taken { .. })));
        assert_eq!(owner(&ring), word);
    }
    // Nor does removing what is marked already, or locking it.
    token.mark_for_removal().unwrap();
    assert_eq!(ring.producer_state(), PeerState::Alive);
    assert_eq!(
        consumer.try_pop(),
        Err(sysvshm::bounded_buffer::spsc::PopError::Empty)
    );
    kill(running, &ring, |ring| ring.producer_state());
}

/// Who sets the mode back on purpose can attach it, and the dead then seems to live until it detaches. No more.
#[test]
fn a_process_of_the_same_user_can_delay_the_notice_of_a_death_on_purpose() {
    let member = peer!(produce);
    let same_user = peer!(|talk: &mut Talk| {
        let ring = open(talk, 0);
        let token = token(&ring);
        let error = token.attach_read_only().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        token.set_mode(0o400).unwrap();
        let attached = token.attach_read_only().unwrap();
        talk.say("attached");
        talk.hear();
        assert_eq!(ring.producer_state(), PeerState::Alive);
        drop(attached);
        assert_eq!(ring.producer_state(), PeerState::Dead);
    });
    if !root_or_skip() {
        return;
    }
    let ring = ring();
    let mut member = member.arg(id(&ring)).user(SOMEBODY).start();
    assert_eq!(member.hear(), "in");
    let mut delaying = same_user.arg(id(&ring)).user(SOMEBODY).start();
    assert_eq!(delaying.hear(), "attached");
    let token = token(&ring);
    member.kill();
    until(|| token.status_regardless().unwrap().attached() == 1);
    assert_eq!(ring.producer_state(), PeerState::Alive);
    delaying.say("go on");
    delaying.finish();
    assert_eq!(ring.producer_state(), PeerState::Dead);
}

/// The kernel finds a segment by the low bits of the identifier: after the death another one is in the slot, here of
/// the same size.
#[test]
fn another_segment_in_the_slot_of_a_token_is_not_the_token() {
    let member = peer!(consume);
    let alone = peer!(|_| {
        let ring = ring();
        let mut running = member.arg(id(&ring)).start();
        assert_eq!(running.hear(), "in");
        let word = ring.segment().reference::<u64>(144).unwrap().load();
        let dead = SegmentId::from_raw((word & 0x7fff_ffff) as i32);
        let size = (word >> 31) as usize;
        kill(running, &ring, |ring| ring.consumer_state());
        // Slots are given in a circle, of 64 while few are taken.
        let in_slot = || found_in_slot_of(dead);
        let mut last = None;
        for _ in 0..10_000 {
            let mut options = SegmentOptions::new();
            let segment = options.size_bytes(size).create_new(Key::PRIVATE).unwrap();
            segment.mark_for_removal().unwrap();
            last = Some(segment);
            if in_slot().is_some() {
                break;
            }
        }
        assert_eq!(in_slot(), last.as_ref().map(|last| last.id().as_raw()));
        assert_ne!(in_slot(), Some(dead.as_raw()));
        assert_eq!(ring.consumer_state(), PeerState::Dead);
        assert!(ring.consumer().is_ok());
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

/// The identifier of the segment that the kernel finds in the slot of this identifier.
fn found_in_slot_of(id: SegmentId) -> Option<i32> {
    // SAFETY: integers alone: all zeros is a value of it.
    let mut status: libc::shmid_ds = unsafe { std::mem::zeroed() };
    let command = crate::support::SHM_STAT_ANY;
    // SAFETY: the command writes one shmid_ds.
    let found = unsafe { libc::shmctl(id.as_raw(), command, &raw mut status) };
    (found != -1).then_some(found)
}

/// An identifier that comes again, which takes 4,194,240 creations, or asking the kernel for it: another size is
/// another segment, and the same size delays the notice as long as that segment is there.
#[test]
fn the_same_identifier_with_another_size_is_not_the_token() {
    const NEXT: &str = "/proc/sys/kernel/shm_next_id";
    let member = peer!(consume);
    let alone = peer!(|talk: &mut Talk| {
        let ring = ring();
        let mut running = member.arg(id(&ring)).start();
        assert_eq!(running.hear(), "in");
        let word = ring.segment().reference::<u64>(144).unwrap().load();
        let (dead, size) = ((word & 0x7fff_ffff) as i32, (word >> 31) as usize);
        kill(running, &ring, |ring| ring.consumer_state());
        for (bytes, state) in [
            (size + 1, PeerState::Dead),
            (size, PeerState::Alive),
            (size + 4096, PeerState::Dead),
        ] {
            if std::fs::write(NEXT, dead.to_string()).is_err() {
                talk.say("cannot");
                return;
            }
            let mut options = SegmentOptions::new();
            let again = options.size_bytes(bytes).create_new(Key::PRIVATE).unwrap();
            assert_eq!(again.id().as_raw(), dead);
            again.mark_for_removal().unwrap();
            assert_eq!(ring.consumer_state(), state, "{size} {bytes}");
            drop(again);
            assert_eq!(ring.consumer_state(), PeerState::Dead);
        }
        assert!(ring.consumer().is_ok());
    });
    if root_or_skip() && alone.private_namespace().run() == ["cannot"] {
        skipped("this kernel does not let root choose an identifier (CONFIG_CHECKPOINT_RESTORE)");
    }
}
