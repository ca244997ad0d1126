//! Behind filters that answer a call instead of the kernel, and without `/proc`.

use crate::common::{Forked, Talk, lose_proc, peer, root_or_skip};
use crate::seccomp::{Answer, install};
use crate::support::{
    PRODUCER, SHM_STAT_ANY, consume, id, kill, open, owner, produce, ring, token, until,
};
use libc::{EACCES, EINVAL, ENOMEM, ENOSYS, EPERM, IPC_STAT};
use std::time::Duration;
use sysvshm::bounded_buffer::{ClaimError, OpenError, PeerState, mpmc, spsc};
use sysvshm::{ErrorKind, Key, Removal, SegmentOptions};

/// What a judge sees, by the filter in front of it. Its ring was opened before.
#[derive(Debug)]
struct Case {
    /// What `SHM_STAT_ANY` and `IPC_STAT` answer; 0: what the kernel says.
    answers: [i32; 2],
    without_proc: bool,
    /// What is said of the living and of the dead.
    expected: [PeerState; 2],
}

const TOLD: [PeerState; 2] = [PeerState::Alive, PeerState::Dead];
const NOT_TOLD: [PeerState; 2] = [PeerState::Unknown, PeerState::Unknown];

fn cases() -> Vec<Case> {
    let case = |answers, without_proc, expected| Case {
        answers,
        without_proc,
        expected,
    };
    vec![
        case([0, 0], false, TOLD),
        case([0, 0], true, TOLD),
        // An unknown command: an older kernel, an emulator, a filter.
        case([EINVAL, 0], false, TOLD),
        case([EINVAL, 0], true, TOLD),
        case([EPERM, 0], false, TOLD),
        case([ENOSYS, 0], true, TOLD),
        // The list tells, and asks for nothing.
        case([EINVAL, EACCES], false, TOLD),
        case([EACCES, EPERM], false, TOLD),
        case([EINVAL, EINVAL], false, TOLD),
        // Nothing tells: nobody is judged.
        case([EINVAL, EINVAL], true, NOT_TOLD),
        case([EINVAL, EACCES], true, NOT_TOLD),
        case([EACCES, EPERM], true, NOT_TOLD),
        case([EPERM, EACCES], true, NOT_TOLD),
        case([ENOSYS, ENOSYS], true, NOT_TOLD),
        // Success without an answer.
        case([0, EACCES], true, TOLD),
    ]
}

#[test]
fn the_living_stay_alive_whatever_a_filter_answers_and_death_is_noticed_if_anything_tells() {
    let member = peer!(produce);
    let mortal = peer!(consume);
    let judge = peer!(|talk: &mut Talk| {
        let ring = open(talk, 0);
        let case = &cases()[talk.arg::<usize>(1)];
        // Keeps a token, which could not be made behind some of the filters.
        let other = crate::support::ring();
        let _mine = other.producer().unwrap();
        if case.without_proc {
            lose_proc();
        }
        let commands = [SHM_STAT_ANY, IPC_STAT];
        let answers = commands.iter().zip(case.answers);
        let answers: Vec<Answer> = answers
            .filter(|(_, errno)| *errno != 0)
            .map(|(&command, errno)| Answer::shmctl(command, errno))
            .collect();
        install(&answers);
        let [living, dead] = case.expected;
        for _ in 0..3 {
            assert_eq!(ring.producer_state(), living, "{case:?}");
            assert_eq!(ring.consumer_state(), living, "{case:?}");
            // Nobody takes what a living process has.
            let taken = ring.producer().map(drop);
            if living == PeerState::Alive {
                assert!(matches!(taken, Err(ClaimError::Taken { .. })), "{case:?}");
            } else {
                assert!(taken.is_err(), "{case:?}");
            }
        }
        talk.say("judged");
        talk.hear();
        // The test has seen the death by now.
        assert_eq!(ring.producer_state(), living, "{case:?}");
        assert_eq!(ring.consumer_state(), dead, "{case:?}");
        assert_eq!(ring.consumer().is_ok(), dead == PeerState::Dead, "{case:?}");
    });
    if !root_or_skip() {
        return;
    }
    for (index, case) in cases().iter().enumerate() {
        let ring = ring();
        let mut living = member.clone().arg(id(&ring)).start();
        assert_eq!(living.hear(), "in");
        let mut dying = mortal.clone().arg(id(&ring)).start();
        assert_eq!(dying.hear(), "in");
        // As root, who may read every segment, and as a user who may not read tokens.
        for (last, judge) in [judge.clone(), judge.clone().nobody()]
            .into_iter()
            .enumerate()
        {
            if case.without_proc && last == 1 {
                // Only root may take `/proc` away.
                continue;
            }
            let mut judging = judge.arg(id(&ring)).arg(index).start();
            assert_eq!(judging.hear(), "judged", "{case:?}");
            kill(dying, &ring, |ring| ring.consumer_state());
            judging.say("go on");
            judging.finish();
            dying = mortal.clone().arg(id(&ring)).start();
            assert_eq!(dying.hear(), "in");
        }
        living.say("enough");
        living.finish();
        dying.say("enough");
        dying.finish();
    }
}

/// Without `SHM_STAT_ANY` and the list, a user who may not read a token hears that it is there, or that it is not.
#[test]
fn whoever_may_not_read_a_token_is_told_by_ipc_stat_whether_it_is_there() {
    let member = peer!(produce);
    let judge = peer!(|talk: &mut Talk| {
        let ring = open(talk, 0);
        lose_proc();
        // SAFETY: plain numbers; this thread alone gives up its rights.
        let done = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(done, 0);
        install(&[Answer::shmctl(SHM_STAT_ANY, EINVAL)]);
        let error = token(&ring).status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(ring.producer_state(), PeerState::Alive);
        talk.say("judged");
        talk.hear();
        assert_eq!(ring.producer_state(), PeerState::Dead);
    });
    if !root_or_skip() {
        return;
    }
    let ring = ring();
    let mut member = member.arg(id(&ring)).start();
    assert_eq!(member.hear(), "in");
    let mut judge = judge.arg(id(&ring)).start();
    assert_eq!(judge.hear(), "judged");
    kill(member, &ring, |ring| ring.producer_state());
    judge.say("go on");
    judge.finish();
}

/// The handles of an `mpmc` ring take turns in asking who lives. One that is told nothing takes none, or the others
/// would never find the dead beside it.
#[test]
fn whoever_is_told_nothing_leaves_the_question_to_others() {
    const ASKED: usize = 144;
    let judge = peer!(|talk: &mut Talk| {
        let id = sysvshm::SegmentId::from_raw(talk.arg(0));
        let ring: mpmc::BoundedBuffer<u64> = mpmc::Options::new().attach(id).unwrap();
        let mut consumer = ring.consumer().unwrap();
        let asked = ring.segment().reference::<u64>(ASKED).unwrap();
        let mut poll = || {
            std::thread::sleep(Duration::from_millis(15));
            assert_eq!(consumer.try_pop(), Err(mpmc::PopError::Empty));
            asked.load()
        };
        // The first question of a handle is out of turn.
        assert_eq!(poll(), 0);
        assert_ne!(poll(), 0);
        asked.store(0);
        lose_proc();
        install(&[SHM_STAT_ANY, IPC_STAT].map(|command| Answer::shmctl(command, EINVAL)));
        for _ in 0..3 {
            assert_eq!(poll(), 0);
        }
    });
    if !root_or_skip() {
        return;
    }
    let ring = mpmc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4).unwrap();
    ring.segment().mark_for_removal().unwrap();
    judge.arg(ring.segment().id().as_raw()).run();
}

/// A chroot or a container without `/proc`, and somebody who changes the mode of the ring meanwhile.
#[test]
fn without_proc_a_change_of_the_rings_mode_stops_no_judge() {
    let member = peer!(produce);
    let judge = peer!(|talk: &mut Talk| {
        lose_proc();
        let ring = open(talk, 0);
        assert_eq!(ring.producer_state(), PeerState::Alive);
        talk.say("judged");
        talk.hear();
        assert_eq!(ring.producer_state(), PeerState::Dead);
        let mut producer = ring.producer().unwrap();
        producer.push(1).unwrap();
    });
    if !root_or_skip() {
        return;
    }
    let ring = ring();
    let mut member = member.arg(id(&ring)).start();
    assert_eq!(member.hear(), "in");
    let mut judge = judge.arg(id(&ring)).start();
    assert_eq!(judge.hear(), "judged");
    crate::common::let_a_second_pass();
    let segment = ring.segment().id();
    segment.set_permissions(65534, 65534, 0o640).unwrap();
    kill(member, &ring, |ring| ring.producer_state());
    judge.say("go on");
    judge.finish();
}

/// The word in which a sleeper says whether others must fence.
const NO_BARRIER: u32 = 2;

/// A filter that denies `membarrier` to a process that has registered for it, and a kernel without memory for it:
/// the sleeper says so, and is woken as before.
#[test]
fn a_process_whose_barriers_fail_says_so_and_is_woken_by_fences() {
    const SPSC_CONSUMER_SLEEPS: usize = 640;
    const MPMC_CONSUMERS_SLEEP: usize = 640;
    let sleeper = peer!(|talk: &mut Talk| {
        let errno = talk.arg(2);
        let spsc = open(talk, 0);
        let other = sysvshm::SegmentId::from_raw(talk.arg(1));
        let mpmc: mpmc::BoundedBuffer<u64> = mpmc::Options::new().attach(other).unwrap();
        let mut one = spsc.consumer().unwrap();
        let mut many = mpmc.consumer().unwrap();
        let global = libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED;
        install(&[Answer::membarrier(global, errno)]);
        talk.say("denied");
        for wanted in 0..20 {
            assert_eq!(one.pop(), Ok(wanted));
        }
        for wanted in 0..20 {
            assert_eq!(many.pop(), Ok(wanted));
        }
        // A role that this process takes from now on is announced with it.
        drop((one, many));
        let word = spsc
            .segment()
            .reference::<u32>(SPSC_CONSUMER_SLEEPS)
            .unwrap();
        word.store(0);
        let _again = spsc.consumer().unwrap();
        assert_eq!(word.load(), NO_BARRIER);
    });
    for errno in [EPERM, ENOMEM, ENOSYS] {
        let spsc = ring();
        let mpmc = mpmc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4).unwrap();
        mpmc.segment().mark_for_removal().unwrap();
        let many = mpmc.segment().id().as_raw();
        let sleeper = sleeper.clone().arg(id(&spsc)).arg(many).arg(errno);
        let mut sleeping = sleeper.start();
        assert_eq!(sleeping.hear(), "denied");
        let word = |segment: &sysvshm::Segment, at| segment.reference::<u32>(at).unwrap().load();
        // Once it sleeps, without a barrier, it has said so. Each push then has to find it.
        let announced = NO_BARRIER | 1;
        let mut producer = spsc.producer().unwrap();
        for number in 0..20 {
            until(|| word(spsc.segment(), SPSC_CONSUMER_SLEEPS) & announced == announced);
            producer.push(number).unwrap();
        }
        let mut producer = mpmc.producer().unwrap();
        for number in 0..20 {
            until(|| word(mpmc.segment(), MPMC_CONSUMERS_SLEEP) & announced == announced);
            producer.push(number).unwrap();
        }
        sleeping.finish();
    }
}

/// A sandbox that refuses `madvise`: the process itself is its token, as outside Linux.
#[test]
fn where_madvise_is_refused_a_process_is_known_by_its_id() {
    let member = peer!(|talk: &mut Talk| {
        let errno: i32 = talk.arg(1);
        install(&[Answer::every_madvise(errno)]);
        let ring = open(talk, 0);
        let producer = ring.producer().unwrap();
        assert_eq!(owner(&ring) >> 63, 1);
        assert_eq!(ring.producer_state(), PeerState::Alive);
        // Segments work as well, and a forked child is told from its parent.
        let mut options = SegmentOptions::new();
        let options = options.size_bytes(1).removal(Removal::OnDrop);
        let segment = options.create_new(Key::PRIVATE).unwrap();
        let owned = segment.id();
        let mut inherited = Some((segment, producer));
        Forked::start(|_| drop(inherited.take())).finish();
        assert!(!owned.status().unwrap().is_marked_for_removal());
        assert_eq!(ring.producer_state(), PeerState::Alive);
        let (segment, producer) = inherited.take().unwrap();
        drop(segment);
        assert!(owned.status().is_err());
        talk.say("in");
        talk.hear();
        drop(producer);
    });
    // 0 is what an emulator answers that ignores all advice: it says that it followed even what does not exist.
    for errno in [EPERM, ENOSYS, EACCES, 0] {
        for how in ["killed", "leaves"] {
            let ring = ring();
            let member = member.clone().arg(id(&ring)).arg(errno);
            let mut running = member.start();
            assert_eq!(running.hear(), "in");
            assert_eq!(ring.producer_state(), PeerState::Alive);
            assert!(matches!(ring.producer(), Err(ClaimError::Taken { .. })));
            if how == "killed" {
                kill(running, &ring, |ring| ring.producer_state());
            } else {
                running.say("enough");
                running.finish();
                assert_eq!(ring.producer_state(), PeerState::Left);
            }
            assert!(ring.producer().is_ok());
        }
    }
}

#[test]
fn where_there_is_neither_token_nor_process_the_error_names_the_call() {
    let alone = peer!(|_| {
        lose_proc();
        install(&[Answer::every_madvise(EPERM)]);
        let result = spsc::BoundedBuffer::<u64>::create_new(Key::PRIVATE, 4);
        let Err(OpenError::System(error)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(
            (error.call(), error.kind()),
            ("madvise", ErrorKind::Unsupported)
        );
        crate::common::assert_says(&error, &["token", "MADV_DONTFORK", "EPERM", "sandbox"]);
    });
    if root_or_skip() {
        alone.private_namespace().run();
    }
}

/// Advice that was ignored is not reported as followed.
#[test]
fn a_system_that_ignores_advice_is_taken_to_know_none() {
    let alone = peer!(|_| {
        install(&[Answer::every_madvise(0)]);
        let mut options = SegmentOptions::new();
        let error = options
            .size_bytes(1)
            .prefault(true)
            .create_new(Key::PRIVATE);
        let error = error.unwrap_err();
        assert_eq!(
            (error.call(), error.kind()),
            ("madvise", ErrorKind::Unsupported)
        );
    });
    alone.run();
}

/// The time of the last change moves whatever is in the way; what follows from it must not.
#[test]
fn a_token_can_be_asked_for_after_its_times_have_moved() {
    let ring = ring();
    let producer = ring.producer().unwrap();
    let word = ring.segment().reference::<u64>(PRODUCER).unwrap();
    let (before, id) = (word.load(), token(&ring));
    let status = id.status_regardless().unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    id.set_permissions(status.owner_uid(), status.owner_gid(), 0)
        .unwrap();
    let after = id.status_regardless().unwrap();
    assert_ne!(status.change_time(), after.change_time());
    assert_eq!(ring.producer_state(), PeerState::Alive);
    assert!(matches!(ring.producer(), Err(ClaimError::Taken { .. })));
    assert_eq!(word.load(), before);
    drop(producer);
    assert_eq!(ring.producer_state(), PeerState::Left);
}
