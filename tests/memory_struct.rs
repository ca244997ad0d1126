//! `SharedStruct`: a segment that is one value; `shared_struct!`: structs for it.

mod common;

use common::{Owned, OwnedKey, page, peer};
use std::mem::offset_of;
use std::sync::atomic::Ordering::{Acquire, Release};
use sysvshm::bytemuck::{AnyBitPattern, Pod, Zeroable};
use sysvshm::memory::{ArrayError, Element, LayoutError, Readable, Storable, Viewable};
use sysvshm::{
    ErrorKind, Key, ReadOnly, Removal, SegmentId, SegmentOptions, SharedStruct, field,
    shared_struct,
};

shared_struct! {
    #[derive(Debug, PartialEq)]
    struct Record: Pod {
        client: i32,
        kind: i16,
        gap: [u8; 2],
        value: i64,
    }

    /// With gaps after `kind` and at the end.
    struct Gaps {
        kind: u8,
        value: i64,
        records: [Record; 4],
        ready: u16,
    }

    /// Neither read nor written whole: a pointer means nothing elsewhere.
    struct Pointing {
        pointer: *mut u8,
        gaps: [Gaps; 3],
    }
}

fn kernel<T: Viewable, A: sysvshm::segment::Access>(
    result: Result<SharedStruct<T, A>, ArrayError>,
) -> ErrorKind {
    match result {
        Err(ArrayError::Kernel(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_struct_may_do_follows_from_its_members() {
    fn all<T: Viewable + Readable + Storable + Element + Pod>() {}
    fn read<T: Viewable + Readable + AnyBitPattern>() {}
    fn view<T: Viewable + Zeroable>() {}
    all::<Record>();
    all::<[Record; 4]>();
    read::<Gaps>();
    view::<Pointing>();
    assert_eq!(offset_of!(Record, value), 8);
    assert_eq!([offset_of!(Gaps, value), offset_of!(Gaps, ready)], [8, 80]);
    assert_eq!(size_of::<Gaps>(), 88);
}

#[test]
fn a_struct_owns_its_segment_and_is_kept_in_another() {
    struct Program {
        shared: SharedStruct<Gaps>,
    }
    fn start(key: Key) -> Program {
        let shared = SharedStruct::create_new(key).unwrap();
        Program { shared }
    }
    let key = OwnedKey::random();
    let program = start(key.key());
    let record = Record {
        client: 7,
        kind: 2,
        gap: [0; 2],
        value: -1,
    };
    field!(program.shared, records[2]).store(record);
    field!(&program.shared, value).store(i64::MIN);
    field!(program.shared, ready).atomic_store(1, Release);
    let other = SharedStruct::<Gaps>::open(key.key()).unwrap();
    assert_eq!(field!(other, ready).atomic_load(Acquire), 1);
    let all = other.view().load();
    assert_eq!(
        (all.kind, all.value, all.records[2], all.ready),
        (0, i64::MIN, record, 1)
    );
    let found = SharedStruct::<Gaps>::open_or_create(key.key()).unwrap();
    assert!(!found.segment().was_created());
    // A thread of its own may take the whole.
    std::thread::spawn(move || field!(found, kind).store(9))
        .join()
        .unwrap();
    assert_eq!(field!(other, kind).load(), 9);
    let detached = program.shared.into_segment().detach();
    assert!(detached.is_ok());
}

#[test]
fn another_process_opens_it_by_key_and_by_identifier() {
    let reader = peer!(|talk| {
        let key = Key::from_raw(talk.arg(0));
        let shared = SharedStruct::<Gaps>::open_read_only(key).unwrap();
        talk.say(field!(shared, value).load());
        let id = SegmentId::from_raw(talk.arg(1));
        let mut options = SegmentOptions::new();
        let reading: SharedStruct<Gaps, ReadOnly> = options.attach_read_only_struct(id).unwrap();
        talk.say(reading.view().load().value);
        let writing: SharedStruct<Gaps> = options.mode(0o600).attach_struct(id).unwrap();
        field!(writing, value).store(6);
    });
    let key = OwnedKey::random();
    let mut options = SegmentOptions::new();
    let shared = options
        .mode(0o600)
        .create_new_struct::<Gaps>(key.key())
        .unwrap();
    field!(shared, value).store(5);
    let reader = reader.arg(key.key().as_raw()).arg(shared.segment().id());
    assert_eq!(reader.run(), ["5", "5"]);
    assert_eq!(field!(shared, value).load(), 6);
}

#[test]
fn pointers_and_arrays_of_gaps_are_reached_member_by_member() {
    let shared = SharedStruct::<Pointing>::create_new(Key::PRIVATE).unwrap();
    shared.segment().mark_for_removal().unwrap();
    field!(shared, gaps[1].records[3].value).store(4);
    assert_eq!(field!(shared, gaps).at(1).load().records[3].value, 4);
    let many = SharedStruct::<[Gaps; 1000]>::create_new(Key::PRIVATE).unwrap();
    many.segment().mark_for_removal().unwrap();
    field!(many.view().at(999), ready).store(3);
    assert_eq!(many.view().elements().iter().next_back().unwrap().ready, 3);
}

#[test]
fn a_segment_that_is_too_small_is_refused_with_both_sizes() {
    let owned = Owned::new(size_of::<Gaps>() - 1, 0o600);
    let options = SegmentOptions::new();
    assert_eq!(
        kernel(options.attach_struct::<Gaps>(owned.id())),
        ErrorKind::SegmentTooSmall
    );
    assert_eq!(
        kernel(options.attach_read_only_struct::<Gaps>(owned.id())),
        ErrorKind::SegmentTooSmall
    );
    let segment = owned.id().attach().unwrap();
    assert_eq!(
        SharedStruct::<Gaps>::from_segment(segment).unwrap_err(),
        LayoutError::OutOfBounds {
            offset: 0,
            needed: 88,
            available: 87
        }
    );
    assert_eq!(
        owned.id().status().unwrap().attached(),
        0,
        "refused and detached"
    );
    assert_eq!(
        kernel(SharedStruct::<Gaps>::open(Key::random().unwrap())),
        ErrorKind::NotFound
    );
}

#[test]
fn nothing_is_created_for_what_no_segment_can_hold() {
    #[derive(Clone, Copy)]
    #[repr(C, align(0x20000))]
    struct Wide([u8; 0x20000]);
    #[allow(unsafe_code)]
    // SAFETY: bytes.
    unsafe impl Zeroable for Wide {}
    assert!(page() < align_of::<Wide>());
    let layout = |error| match error {
        ArrayError::Layout(error) => error,
        other => panic!("{other:?}"),
    };
    let wide = SharedStruct::<Wide>::create_new(Key::PRIVATE).unwrap_err();
    assert!(matches!(layout(wide), LayoutError::Misaligned { .. }));
    let nothing = SharedStruct::<[u64; 0]>::create_new(Key::PRIVATE).unwrap_err();
    assert!(matches!(layout(nothing), LayoutError::ZeroSized { .. }));
}

#[test]
fn removal_is_that_of_the_options() {
    let mut options = SegmentOptions::new();
    let shared = options
        .removal(Removal::OnDrop)
        .create_new_struct::<u64>(Key::PRIVATE)
        .unwrap();
    let id = shared.segment().id();
    assert_eq!(format!("{shared:?}").matches("u64").count(), 1);
    drop(shared);
    assert_eq!(id.status().unwrap_err().kind(), ErrorKind::NoSuchSegment);
}

#[test]
fn it_may_be_sent_where_its_value_may() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<SharedStruct<Gaps>>();
    send_and_sync::<SharedStruct<Gaps, ReadOnly>>();
}
