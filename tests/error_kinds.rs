//! What all error types say alike: kind, whether nothing is there, and the kind in std's words.

use std::io;
use sysvshm::bounded_buffer::{ClaimError, OpenError, PopError, PushError, lecture};
use sysvshm::error::KnownKind;
use sysvshm::memory::cell::{LoadError, WriterError};
use sysvshm::memory::{ArrayError, LayoutError};
use sysvshm::{Error, ErrorKind, Key, SegmentId};

/// By the trait, which calls the type's own method.
fn of<E: KnownKind + std::error::Error>(error: &E) -> (ErrorKind, bool) {
    (error.kind(), error.is_not_found())
}

#[test]
fn every_error_type_tells_the_kind_of_what_it_holds() {
    let missing = || SegmentId::find(Key::random().unwrap()).unwrap_err();
    let found_nothing = (ErrorKind::NotFound, true);
    assert_eq!(of::<Error>(&missing()), found_nothing);
    assert_eq!(of(&OpenError::System(missing())), found_nothing);
    assert_eq!(of(&ClaimError::System(missing())), found_nothing);
    assert_eq!(of(&ArrayError::Kernel(missing())), found_nothing);
    assert_eq!(of(&WriterError::System(missing())), found_nothing);

    let with = |kind| (kind, false);
    assert_eq!(
        of(&ArrayError::Layout(LayoutError::Null)),
        with(ErrorKind::InvalidInput)
    );
    assert_eq!(of(&LayoutError::Null), with(ErrorKind::InvalidInput));
    assert_eq!(of(&LoadError::WriterDied), with(ErrorKind::NotInitialised));
    let corrupted = lecture::Corrupted {
        index: "in",
        value: 9,
        last: 4,
    };
    let nonsense = with(ErrorKind::LayoutMismatch);
    assert_eq!(of(&corrupted), nonsense);
    assert_eq!(
        of(&lecture::TryProduceError::<u8>::Corrupted(corrupted)),
        nonsense
    );
    assert_eq!(
        of(&lecture::TryConsumeError::Corrupted(corrupted)),
        nonsense
    );
    assert_eq!(
        of(&lecture::TryProduceError::Full(1)),
        with(ErrorKind::WouldBlock)
    );
    assert_eq!(
        of(&lecture::TryConsumeError::Empty),
        with(ErrorKind::WouldBlock)
    );
}

#[test]
fn a_push_and_a_pop_that_did_nothing_say_alike_why() {
    for (push, pop, kind, std) in [
        (
            PushError::Full(1),
            PopError::Empty,
            ErrorKind::WouldBlock,
            io::ErrorKind::WouldBlock,
        ),
        (
            PushError::TimedOut(1),
            PopError::TimedOut,
            ErrorKind::TimedOut,
            io::ErrorKind::TimedOut,
        ),
        (
            PushError::PeerDead(1),
            PopError::PeerDead,
            ErrorKind::PeerGone,
            io::ErrorKind::BrokenPipe,
        ),
        (
            PushError::PeerLeft(1),
            PopError::PeerLeft,
            ErrorKind::PeerGone,
            io::ErrorKind::BrokenPipe,
        ),
        (
            PushError::Removed(1),
            PopError::Removed,
            ErrorKind::Removed,
            io::ErrorKind::BrokenPipe,
        ),
        (
            PushError::Cancelled(1),
            PopError::Cancelled,
            ErrorKind::Cancelled,
            io::ErrorKind::Other,
        ),
        (
            PushError::Interrupted(1),
            PopError::Interrupted,
            ErrorKind::Interrupted,
            io::ErrorKind::Interrupted,
        ),
        (
            PushError::Corrupted(1),
            PopError::Corrupted,
            ErrorKind::LayoutMismatch,
            io::ErrorKind::InvalidData,
        ),
        (
            PushError::Forked(1),
            PopError::Forked,
            ErrorKind::Forked,
            io::ErrorKind::Other,
        ),
    ] {
        assert_eq!((of(&push), of(&pop)), ((kind, false), (kind, false)));
        assert_eq!(io::Error::from(push).kind(), std);
        assert_eq!(io::Error::from(pop).kind(), std);
    }
}
