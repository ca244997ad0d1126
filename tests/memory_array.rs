//! `SharedArray`: a segment that is C's array, by key, by identifier, over a segment; what it refuses; and who may
//! send views where.
#![allow(unsafe_code)] // Borrowing on purpose.

mod common;

use common::{CProgram, Owned, OwnedKey, Running, assert_says};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use sysvshm::bytemuck::{Pod, Zeroable};
use sysvshm::memory::{ArrayError, LayoutError};
use sysvshm::{
    Error, ErrorKind, Key, Mode, ReadOnly, ReadWrite, Removal, SegmentOptions, SharedArray,
    SharedRef, SharedSlice,
};

/// The kernel's refusal, out of an array's.
#[track_caller]
fn kernel<T: std::fmt::Debug>(result: Result<T, ArrayError>) -> Error {
    match result {
        Err(ArrayError::Kernel(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn layout<T: std::fmt::Debug>(result: Result<T, ArrayError>) -> LayoutError {
    match result {
        Err(ArrayError::Layout(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn created_opened_and_opened_again() {
    let key = OwnedKey::random();
    let array = SharedArray::<i32>::create_new(key.key(), 5).unwrap();
    assert_eq!(
        (
            array.view().len(),
            array.segment().len_bytes(),
            array.view().is_empty()
        ),
        (5, 20, false)
    );
    assert_eq!(array.view().to_vec(), [0; 5]);
    array.view().write_from(&[1, 2, 3, 4, 5]);
    let error = kernel(SharedArray::<i32>::create_new(key.key(), 5));
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    let same = SharedArray::<i32>::open(key.key(), 5).unwrap();
    let shorter = SharedArray::<i32>::open(key.key(), 2).unwrap();
    let either = SharedArray::<i32>::open_or_create(key.key(), 5).unwrap();
    let reader = SharedArray::<i32>::open_read_only(key.key(), 5).unwrap();
    assert_eq!(shorter.view().to_vec(), [1, 2]);
    same.view().store(4, 50);
    assert_eq!(either.view().load(4), 50);
    assert_eq!(reader.view().at(4).atomic_load(Acquire), 50);
    assert_eq!(reader.view().iter().sum::<i32>(), 60);
    assert!(
        std::panic::catch_unwind(|| shorter.view().load(2)).is_err(),
        "the segment has more, the array not"
    );

    let by_id = SegmentOptions::new()
        .attach_array::<u16>(array.segment().id(), 10)
        .unwrap();
    assert_eq!(by_id.view().load(8), 50);
    let segment = by_id.into_segment();
    assert_eq!(
        SharedArray::<u64, _>::from_segment(segment)
            .unwrap()
            .view()
            .len(),
        2
    );
}

#[test]
fn every_operation_reaches_the_whole_array() {
    let array = SegmentOptions::new()
        .removal(Removal::OnceAttached)
        .create_new_array::<u32>(Key::PRIVATE, 6)
        .unwrap();
    array.view().fill(7);
    array.view().at(0).update(|old| old + 1);
    array.view().copy_within(..2, 4);
    assert_eq!(array.view().to_vec(), [8, 7, 7, 7, 8, 7]);
    array.view().slice(1..3).write_from(&[20, 30]);
    assert_eq!(array.view().try_slice(5..7).map(SharedSlice::len), None);
    assert_eq!(
        array
            .view()
            .chunks(4)
            .map(|chunk| chunk.load(0))
            .collect::<Vec<_>>(),
        [8, 8]
    );
    array.view().at(3).store(40);
    assert!(array.view().get(6).is_none());
    let mut into = [0; 6];
    array.view().read_into(&mut into);
    assert_eq!(into, [8, 20, 30, 40, 8, 7]);
    assert_eq!((&array).into_iter().next_back(), Some(7));
    array.view().at(0).atomic_store(1, Release);
    assert_eq!(array.view().at(0).swap(2, AcqRel), 1);
    assert_eq!(
        array.view().at(0).compare_exchange(2, 3, AcqRel, Relaxed),
        Ok(2)
    );
    while array
        .view()
        .at(0)
        .compare_exchange_weak(3, 4, AcqRel, Relaxed)
        .is_err()
    {}
    assert_eq!(array.view().at(0).fetch_add(3, Relaxed), 4);
    assert_eq!(array.view().at(0).fetch_sub(1, Relaxed), 7);
    assert_eq!(array.view().at(0).fetch_and(2, Relaxed), 6);
    assert_eq!(array.view().at(0).fetch_or(9, Relaxed), 2);
    assert_eq!(array.view().at(0).fetch_xor(1, Relaxed), 11);
    assert_eq!(array.view().at(0).fetch_max(50, Relaxed), 10);
    assert_eq!(array.view().at(0).fetch_min(5, Relaxed), 50);
    assert_eq!(array.view().at(0).fetch_nand(5, Relaxed), 5);
    assert_eq!(array.view().at(0).atomic_load(Acquire), !5);
    let text = format!("{array:?}");
    assert!(text.contains("u32") && text.contains("len: 6"), "{text}");
}

#[test]
fn options_are_those_of_a_segment() {
    let key = OwnedKey::random();
    let mut options = SegmentOptions::new();
    options
        .mode(0o640)
        .removal(Removal::OnDrop)
        .size_bytes(1 << 20);
    let array = options.create_new_array::<u8>(key.key(), 100).unwrap();
    let status = array.segment().status().unwrap();
    assert_eq!(status.mode(), Mode::from(0o640));
    assert_eq!(
        status.size_bytes(),
        100,
        "type and length decide, not size_bytes"
    );
    drop(array);
    assert_eq!(
        kernel(SharedArray::<u8>::open(key.key(), 1)).kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        kernel(SharedArray::<u8>::open_read_only(key.key(), 1)).kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn more_elements_than_there_are_is_refused_with_both_numbers() {
    let key = OwnedKey::random();
    let id = key.create(20, 0o600);
    let error = kernel(SharedArray::<i32>::open(key.key(), 6));
    assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
    assert_says(&error, &["24", "20"]);
    let error = kernel(SegmentOptions::new().attach_array::<i32>(id, 6));
    assert_eq!(error.kind(), ErrorKind::SegmentTooSmall);
    assert_says(&error, &["24", "20"]);
    let segment = id.attach().unwrap();
    let error = SharedArray::<i32, _>::from_segment_with_len(segment, 6).unwrap_err();
    let expected = LayoutError::TooManyElements {
        elements: 6,
        element_bytes: 4,
        available: 20,
    };
    assert_eq!(error, expected);
    assert_eq!(
        id.status().unwrap().attached(),
        0,
        "the refused ones are detached"
    );
}

#[test]
fn what_no_segment_can_hold_is_refused_before_any_call() {
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    #[repr(C, align(65536))]
    struct Aligned([u8; 65536]);

    let key = OwnedKey::random();
    let too_large = layout(SharedArray::<u64>::create_new(key.key(), usize::MAX / 4));
    assert!(
        matches!(
            too_large,
            LayoutError::TooLarge {
                element_bytes: 8,
                ..
            }
        ),
        "{too_large}"
    );
    let zero = layout(SharedArray::<[u64; 0]>::create_new(key.key(), 3));
    assert!(matches!(zero, LayoutError::ZeroSized { .. }), "{zero}");
    let misaligned = layout(SharedArray::<Aligned>::create_new(key.key(), 1));
    assert!(
        matches!(
            misaligned,
            LayoutError::Misaligned {
                alignment: 65536,
                ..
            }
        ),
        "{misaligned}"
    );
    assert_eq!(
        kernel(SharedArray::<u64>::open(key.key(), 1)).kind(),
        ErrorKind::NotFound,
        "nothing was created"
    );
    assert_eq!(
        kernel(SharedArray::<u64>::create_new(key.key(), 0)).kind(),
        ErrorKind::SizeOutOfRange
    );
    let io = std::io::Error::from(ArrayError::from(too_large));
    assert_eq!(io.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn a_c_program_finds_the_array_and_nothing_else() {
    let source = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <sys/shm.h>
        int main(int argc, char **argv) {
            (void)argc;
            int id = shmget(atoi(argv[1]), 5 * sizeof(int), 0);
            int *arr = shmat(id, 0, 0);
            if (id < 0 || arr == (void *)-1) return 1;
            for (int i = 0; i < 5; i++) { printf("%d ", arr[i]); arr[i] *= 10; }
            printf("\n");
            return shmdt(arr);
        }
    "#;
    let Some(program) = CProgram::compile(source) else {
        return;
    };
    let key = OwnedKey::random();
    let array = SharedArray::<i32>::create_new(key.key(), 5).unwrap();
    array.view().write_from(&[1, 2, 3, 4, 5]);
    let mut running = Running::spawn(program.command().arg(key.key().as_raw().to_string()));
    assert_eq!(running.line().unwrap(), "1 2 3 4 5 ");
    assert!(running.wait().success());
    assert_eq!(array.view().to_vec(), [10, 20, 30, 40, 50]);
}

#[test]
fn borrowing_sees_the_same_bytes() {
    let owned = Owned::new(64, 0o600);
    let segment = owned.id().attach().unwrap();
    let view = segment.slice::<u64>(0, 8).unwrap();
    // SAFETY: the segment belongs to this test alone, and no view is used while the slice lives.
    let slice = unsafe { view.as_mut_slice() }.unwrap();
    for (i, value) in slice.iter_mut().enumerate() {
        *value = i as u64;
    }
    assert_eq!(view.to_vec(), [0, 1, 2, 3, 4, 5, 6, 7]);
    // SAFETY: as above, and nobody writes.
    assert_eq!(unsafe { view.as_slice() }.unwrap()[3], 3);
    // SAFETY: as above, and the atomics are of the size of the elements.
    unsafe { view.as_atomics() }.unwrap()[3].store(30, Relaxed);
    assert_eq!(view.load(3), 30);
    // SAFETY: as above.
    *unsafe { view.at(5).as_mut() }.unwrap() = 50;
    // SAFETY: as above.
    assert_eq!(unsafe { view.at(5).as_ref() }, Ok(&50));
    // SAFETY: as above.
    assert_eq!(unsafe { view.at(5).as_atomic() }.unwrap().load(Acquire), 50);
}

#[test]
fn views_are_send_and_sync_where_their_elements_are_send() {
    fn both<T: Send + Sync>() {}
    both::<SharedSlice<'_, u64>>();
    both::<SharedSlice<'_, u64, ReadOnly>>();
    both::<SharedRef<'_, [f64; 16]>>();
    both::<SharedRef<'_, u8, ReadOnly>>();
    both::<SharedArray<u32>>();
    both::<SharedArray<u32, ReadOnly>>();
    both::<sysvshm::memory::Iter<'_, u8>>();
    both::<sysvshm::memory::Chunks<'_, u8>>();
    both::<LayoutError>();
    both::<ArrayError>();
    fn unpin<T: Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    unpin::<SharedSlice<'_, u64>>();
    unpin::<SharedRef<'_, u64, ReadOnly>>();
    unpin::<SharedArray<u64, ReadWrite>>();
    fn copy<T: Copy>() {}
    copy::<SharedSlice<'_, [u8; 100]>>();
    copy::<SharedRef<'_, [u8; 100]>>();
    assert_eq!(size_of::<SharedSlice<'_, u64>>(), 2 * size_of::<usize>());
    assert_eq!(size_of::<Option<SharedRef<'_, u64>>>(), size_of::<usize>());
}
