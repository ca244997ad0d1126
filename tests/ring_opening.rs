//! What a ring is made of and what it is not: foreign memory under the key, dead initialisers, other users, tags, items
//! with another alignment, and rings that are replaced.
#![cfg(target_os = "linux")]

mod common;

use common::{OwnedKey, peer, root_or_skip, watch};
use std::time::Duration;
use sysvshm::bounded_buffer::lecture;
use sysvshm::bounded_buffer::mpmc::Mpmc;
use sysvshm::bounded_buffer::spsc::Spsc;
use sysvshm::bounded_buffer::{BoundedBuffer, Layout, OpenError, Options, Protocol};
use sysvshm::bytemuck::Pod;
use sysvshm::{ErrorKind, Key, Segment, SegmentId, SegmentOptions};

const LAYOUTS: [Layout; 2] = [Layout::Interleaved, Layout::Contiguous];
/// The claim of a dead process: no segment has this identifier.
const DEAD: u64 = 1 << 31 | 0x7fff_ffff;
const MAGIC: usize = 0;
const STATE: usize = 8;

fn options<P: Protocol>(capacity: usize) -> Options<P> {
    let mut options = Options::new();
    options.capacity(capacity).patience(Duration::ZERO);
    options
}

/// What differs, of a call that has to fail by that.
#[track_caller]
fn differs<T: Pod, P: Protocol>(result: Result<BoundedBuffer<T, P>, OpenError>) -> &'static str {
    match result {
        Err(OpenError::LayoutMismatch { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

fn segment(key: &OwnedKey, size_bytes: usize) -> Segment {
    let mut options = SegmentOptions::new();
    options
        .size_bytes(size_bytes)
        .create_new(key.key())
        .unwrap()
}

fn bytes(segment: &Segment) -> Vec<u8> {
    segment
        .slice::<u8>(0, segment.len_bytes())
        .unwrap()
        .to_vec()
}

fn set(segment: &Segment, at: usize, value: u64) {
    segment.reference::<u64>(at).unwrap().store(value);
}

/// Asserts that no call makes a ring of a segment, and that its bytes stay as they are.
#[track_caller]
fn is_left_alone<P: Protocol>(key: &OwnedKey, segment: &Segment, capacity: usize, what: &str) {
    let before = bytes(segment);
    let (options, key) = (options::<P>(capacity), key.key());
    assert_eq!(differs(options.open_or_create::<u64>(key)), what);
    let again = segment.id().attach().unwrap();
    // A chosen segment may be larger than the ring; then it is the words that speak against it.
    let _ = options.in_segment::<u64>(again).unwrap_err();
    let _ = Options::<P>::new()
        .patience(Duration::ZERO)
        .open::<u64>(key)
        .unwrap_err();
    let now = bytes(segment);
    // All but a word that means nothing, which tells two mappings apart.
    assert!(now[..120] == before[..120] && now[128..] == before[128..]);
}

fn foreign_memory_is_left_alone<P: Protocol>() {
    // int numbers[5000] = {0, 0, 42, 43};
    let key = OwnedKey::random();
    let numbers = segment(&key, 20_000);
    set(&numbers, STATE, 42 | 43 << 32);
    numbers.reference::<i32>(400).unwrap().store(7);
    is_left_alone::<P>(&key, &numbers, 100, "segment size");
    set(&numbers, 16, 1);
    is_left_alone::<P>(&key, &numbers, 100, "magic");
    // No claim has a state like this.
    set(&numbers, 16, 0);
    set(&numbers, STATE, 42);
    is_left_alone::<P>(&key, &numbers, 100, "state");

    // Of the very size.
    let exact = options::<P>(100).required_bytes::<u64>().unwrap();
    for state in [0, DEAD] {
        let key = OwnedKey::random();
        let numbers = segment(&key, exact);
        set(&numbers, STATE, state);
        for at in [16, 64, 512, exact - 8] {
            set(&numbers, at, 1);
            is_left_alone::<P>(&key, &numbers, 100, "magic");
            set(&numbers, at, 0);
        }
        let ring = options::<P>(100).open_or_create::<u64>(key.key()).unwrap();
        assert_eq!((ring.capacity(), ring.len()), (100, 0));
    }

    // The magic without a claim, and the state without the magic.
    for (at, value, what) in [(MAGIC, magic::<P>(), "state"), (STATE, 1, "magic")] {
        let key = OwnedKey::random();
        let numbers = segment(&key, exact);
        set(&numbers, at, value);
        is_left_alone::<P>(&key, &numbers, 100, what);
    }
}

/// As it stands in a ring of this kind.
fn magic<P: Protocol>() -> u64 {
    watch();
    let ring = options::<P>(1).create_new::<u64>(Key::PRIVATE).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring.segment().reference::<u64>(MAGIC).unwrap().load()
}

#[test]
fn foreign_memory_that_begins_with_zeros_is_left_alone() {
    foreign_memory_is_left_alone::<Spsc>();
    foreign_memory_is_left_alone::<Mpmc>();
}

fn an_empty_lecture_buffer_stays_one<P: Protocol>() {
    type Buffer<'a> = lecture::BoundedBuffer<'a, i32, 5000>;
    let key = OwnedKey::random();
    let theirs = segment(&key, Buffer::SIZE_BYTES);
    let mut options = options::<P>(100);
    options.patience(Duration::from_millis(5));
    assert_eq!(
        differs(options.open_or_create::<u64>(key.key())),
        "segment size"
    );
    let buffer = Buffer::new(&theirs).unwrap();
    buffer.produce(1).unwrap();
    assert_eq!(buffer.consume(), Ok(1));
}

#[test]
fn an_empty_lecture_buffer_is_not_made_a_ring() {
    an_empty_lecture_buffer_stays_one::<Spsc>();
    an_empty_lecture_buffer_stays_one::<Mpmc>();
}

/// A ring whose initialiser died just before the end, or as soon as `words` of the header were written.
fn half_a_ring<P: Protocol>(key: &OwnedKey, layout: Layout, words: usize) -> Segment {
    let mut options = options::<P>(9);
    let whole = options
        .layout(layout)
        .create_new::<u64>(Key::PRIVATE)
        .unwrap();
    whole.segment().mark_for_removal().unwrap();
    let half = segment(key, whole.segment().len_bytes());
    let bytes = bytes(whole.segment());
    half.write_at(0, &bytes[..8 * words.min(bytes.len() / 8)])
        .unwrap();
    set(&half, STATE, DEAD);
    half
}

fn a_dead_initialiser_is_taken_over<P: Protocol>() {
    for layout in LAYOUTS {
        let key = OwnedKey::random();
        let _half = half_a_ring::<P>(&key, layout, usize::MAX);
        let mut patient = Options::<P>::new();
        patient.patience(Duration::MAX);
        let ring = patient.open::<u64>(key.key()).unwrap();
        assert_eq!((ring.capacity(), ring.layout(), ring.len()), (9, layout, 0));
        ring.producer().unwrap().push(5).unwrap();
        assert_eq!(ring.consumer().unwrap().pop(), Ok(5));

        // Not yet said what it is to be.
        let key = OwnedKey::random();
        let _half = half_a_ring::<P>(&key, layout, 3);
        patient.patience(Duration::ZERO);
        let opened = patient.open::<u64>(key.key());
        assert!(matches!(opened, Err(OpenError::NotInitialised { .. })));
        let mut options = options::<P>(9);
        let ring = options.layout(layout).open_or_create::<u64>(key.key());
        assert_eq!(ring.unwrap().capacity(), 9);
    }
}

#[test]
fn open_takes_over_from_a_dead_initialiser_at_once() {
    a_dead_initialiser_is_taken_over::<Spsc>();
    a_dead_initialiser_is_taken_over::<Mpmc>();
}

fn is_refused<P: Protocol>(key: Key, any_owner: bool) -> bool {
    let mut options = options::<P>(100);
    // Without a layout: interleaved is larger than what is there.
    match options.any_owner(any_owner).open_or_create::<[u8; 57]>(key) {
        Ok(ring) => {
            assert_eq!(ring.layout(), Layout::Contiguous);
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ForeignCreator);
            true
        }
    }
}

#[test]
fn another_users_ring_is_refused_whatever_its_layout() {
    let stranger = peer!(|talk| {
        let mut spsc = options::<Spsc>(100);
        spsc.layout(Layout::Contiguous).mode(0o666);
        let _spsc = spsc.create_new::<[u8; 57]>(talk.arg(0)).unwrap();
        let mut mpmc = options::<Mpmc>(100);
        mpmc.layout(Layout::Contiguous).mode(0o666);
        let _mpmc = mpmc.create_new::<[u8; 57]>(talk.arg(1)).unwrap();
        talk.say("made");
        talk.hear();
    });
    if !root_or_skip() {
        return;
    }
    let keys = [OwnedKey::random(), OwnedKey::random()];
    let stranger = stranger.nobody().arg(keys[0].key()).arg(keys[1].key());
    let mut stranger = stranger.start();
    stranger.hear();
    assert!(is_refused::<Spsc>(keys[0].key(), false) && is_refused::<Mpmc>(keys[1].key(), false));
    assert!(!is_refused::<Spsc>(keys[0].key(), true) && !is_refused::<Mpmc>(keys[1].key(), true));
    stranger.say("enough");
    stranger.finish();
}

fn an_alignment_that_changes_nothing_is_none_to_refuse<P: Protocol>() {
    for layout in LAYOUTS {
        let key = OwnedKey::random();
        let ring = options::<P>(4).layout(layout).create_new::<u64>(key.key());
        let ring = ring.unwrap();
        let align = ring.segment().reference::<u32>(28).unwrap();
        // As a 32-bit C compiler has it.
        align.store(4);
        let theirs = Options::<P>::new().open::<u64>(key.key()).unwrap();
        ring.producer().unwrap().push(77).unwrap();
        assert_eq!(theirs.consumer().unwrap().pop(), Ok(77));
        // With this one an interleaved item would lie elsewhere.
        align.store(16);
        let theirs = Options::<P>::new().open::<[u64; 2]>(key.key());
        assert_eq!(differs(theirs), "item size");
        ring.segment().reference::<u32>(24).unwrap().store(16);
        let theirs = Options::<P>::new().open::<[u64; 2]>(key.key());
        assert!(matches!(differs(theirs), "item alignment" | "segment size"));
    }
}

#[test]
fn an_alignment_matters_only_where_items_would_lie_elsewhere() {
    an_alignment_that_changes_nothing_is_none_to_refuse::<Spsc>();
    an_alignment_that_changes_nothing_is_none_to_refuse::<Mpmc>();
}

#[test]
fn one_kind_opened_as_the_other_says_which_it_is() {
    let key = OwnedKey::random();
    let _ring = options::<Spsc>(4).create_new::<u64>(key.key()).unwrap();
    let error = Options::<Mpmc>::new().open::<u64>(key.key()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the segment holds an spsc ring, and an mpmc ring was expected: open it with bounded_buffer::spsc"
    );
}

fn tags_are_compared<P: Protocol>() {
    let key = OwnedKey::random();
    let mut options = options::<P>(4);
    let _ring = options.tag(7).create_new::<u64>(key.key()).unwrap();
    assert!(options.open_or_create::<u64>(key.key()).is_ok());
    for tag in [0, 8] {
        match options.tag(tag).open_or_create::<u64>(key.key()) {
            Err(OpenError::LayoutMismatch {
                what: "tag",
                found: 7,
                expected,
            }) => assert_eq!(expected, tag),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn rings_with_another_tag_are_refused() {
    tags_are_compared::<Spsc>();
    tags_are_compared::<Mpmc>();
}

fn replaced<P: Protocol>(key: &OwnedKey, capacity: usize, replace: bool) -> Option<usize> {
    let mut options = options::<P>(capacity);
    options.replace_stale(replace);
    match options.open_or_create::<u64>(key.key()) {
        Ok(ring) => Some(ring.len()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::LayoutMismatch);
            None
        }
    }
}

#[test]
fn a_stale_ring_is_replaced_if_it_does_not_fit() {
    let earlier = peer!(|talk| {
        let spsc = options::<Spsc>(8).create_new::<u64>(talk.arg(0)).unwrap();
        spsc.producer().unwrap().push(1).unwrap();
        let mpmc = options::<Mpmc>(8).create_new::<u64>(talk.arg(1)).unwrap();
        mpmc.producer().unwrap().push(1).unwrap();
        talk.say("made");
        talk.hear();
    });
    for capacity in [4, 16] {
        let (spsc, mpmc) = (OwnedKey::random(), OwnedKey::random());
        let earlier = earlier.clone().arg(spsc.key()).arg(mpmc.key());
        let mut earlier = earlier.start();
        earlier.hear();
        // It lives.
        assert_eq!(replaced::<Spsc>(&spsc, capacity, true), None);
        assert_eq!(replaced::<Mpmc>(&mpmc, capacity, true), None);
        earlier.say("enough");
        earlier.finish();
        assert_eq!(replaced::<Spsc>(&spsc, capacity, false), None);
        assert_eq!(replaced::<Mpmc>(&mpmc, capacity, false), None);
        // One that fits keeps its items; one that another process has attached is in use.
        assert_eq!(replaced::<Spsc>(&spsc, 8, true), Some(1));
        assert_eq!(replaced::<Mpmc>(&mpmc, 8, true), Some(1));
        let attached = SegmentId::find(spsc.key()).unwrap().attach().unwrap();
        assert_eq!(replaced::<Spsc>(&spsc, capacity, true), None);
        drop(attached);
        assert_eq!(replaced::<Spsc>(&spsc, capacity, true), Some(0));
        assert_eq!(replaced::<Mpmc>(&mpmc, capacity, true), Some(0));
    }
}

fn needs_what_is_made<T: Pod, P: Protocol>() {
    watch();
    for layout in LAYOUTS {
        for capacity in [1, 5, 1000] {
            let mut options = options::<P>(capacity);
            options.layout(layout);
            let ring = options.create_new::<T>(Key::PRIVATE).unwrap();
            ring.segment().mark_for_removal().unwrap();
            assert_eq!(
                options.required_bytes::<T>().unwrap(),
                ring.segment().len_bytes()
            );
        }
    }
    let nothing = Options::<P>::new().required_bytes::<T>();
    assert!(matches!(
        nothing,
        Err(OpenError::CapacityOutOfRange { capacity: 0 })
    ));
}

#[test]
fn the_bytes_that_a_ring_needs_are_told() {
    needs_what_is_made::<u8, Spsc>();
    needs_what_is_made::<[u64; 9], Spsc>();
    needs_what_is_made::<u8, Mpmc>();
    needs_what_is_made::<[u64; 9], Mpmc>();
}
