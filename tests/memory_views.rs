//! Views against a plain `Vec` that is told the same: every way in and out, element sizes 1 to 4096, odd offsets
//! and lengths.
#![allow(unsafe_code)] // Views over a mapping of the test's own.

mod common;

use common::{Mapping, Random, for_each_case};
use std::fmt::Debug;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use sysvshm::bytemuck::{self, Pod, Zeroable};
use sysvshm::memory::{LayoutError, Primitive};
use sysvshm::{ReadWrite, SharedRef, SharedSlice};

/// Room before and after the elements, to see whether anything there changes.
const MARGIN: usize = 64;
const REGION: usize = 16 << 10;

/// One thing to do; indexes and lengths are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Get(usize),
    Set(usize, u64),
    Update(usize, u64),
    ReadInto(usize, usize),
    WriteFrom(usize, usize, u64),
    Fill(usize, usize, u64),
    FillUniform(usize, usize, u8),
    CopyWithin(usize, usize, usize),
    ToVec(usize, usize),
    Iterate(usize, usize),
    Chunks(usize, usize),
    Split(usize, u64),
    Bytes(usize, u8),
}

/// Draws one of the steps, each as likely as the others.
fn step(random: &mut Random) -> Step {
    let kind = random.below(13);
    let mut n = || random.next();
    match kind {
        0 => Step::Get(n() as usize),
        1 => Step::Set(n() as usize, n()),
        2 => Step::Update(n() as usize, n()),
        3 => Step::ReadInto(n() as usize, n() as usize),
        4 => Step::WriteFrom(n() as usize, n() as usize, n()),
        5 => Step::Fill(n() as usize, n() as usize, n()),
        6 => Step::FillUniform(n() as usize, n() as usize, n() as u8),
        7 => Step::CopyWithin(n() as usize, n() as usize, n() as usize),
        8 => Step::ToVec(n() as usize, n() as usize),
        9 => Step::Iterate(n() as usize, n() as usize),
        10 => Step::Chunks(n() as usize, n() as usize),
        11 => Step::Split(n() as usize, n()),
        _ => Step::Bytes(n() as usize, n() as u8),
    }
}

/// An element whose bytes all depend on the seed.
fn element<T: Pod>(seed: u64) -> T {
    let mut value = T::zeroed();
    let mut state = seed | 1;
    for byte in bytemuck::bytes_of_mut(&mut value) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(seed);
        *byte = (state >> 56) as u8;
    }
    value
}

/// A range within `len`, of any length, from two numbers.
fn range(a: usize, b: usize, len: usize) -> std::ops::Range<usize> {
    let (a, b) = (a % (len + 1), b % (len + 1));
    a.min(b)..a.max(b)
}

/// Bytes and not values: a NaN does not equal itself.
fn same<T: Pod>(a: &[T], b: &[T]) -> bool {
    bytemuck::cast_slice::<T, u8>(a) == bytemuck::cast_slice::<T, u8>(b)
}

/// Takes the steps on a view `offset` bytes into a mapping and on a model of the whole mapping, and compares after
/// each.
fn agree<T: Pod>(offset: usize, steps: &[Step]) {
    let mapping = Mapping::new(REGION);
    let offset = MARGIN + offset * align_of::<T>();
    let len = (mapping.len() - offset - MARGIN) / size_of::<T>();
    // SAFETY: inside the mapping, which outlives the views and which nobody else uses.
    let view =
        unsafe { SharedSlice::<T, ReadWrite>::from_raw_parts(mapping.at(offset).cast(), len) };
    let view = view.unwrap();
    // SAFETY: the whole of it.
    let all = unsafe { SharedSlice::<u8, ReadWrite>::from_raw_parts(mapping.at(0), mapping.len()) };
    let all = all.unwrap();
    let mut model: Vec<u8> = (0..mapping.len())
        .map(|i| (i * 7 + i / 251) as u8)
        .collect();
    all.write_from(&model);
    let (size, end) = (size_of::<T>(), offset + len * size_of::<T>());
    let get = |model: &[u8], i: usize| -> T {
        bytemuck::pod_read_unaligned(&model[offset + i * size..offset + (i + 1) * size])
    };
    let elements = |model: &[u8], range: std::ops::Range<usize>| -> Vec<T> {
        range.map(|i| get(model, i)).collect()
    };
    for step in steps {
        let mut set = |i: usize, value: &T| {
            model[offset + i * size..offset + (i + 1) * size]
                .copy_from_slice(bytemuck::bytes_of(value));
        };
        match *step {
            Step::Get(i) => assert!(same(&[view.load(i % len)], &[get(&model, i % len)])),
            Step::Set(i, seed) => {
                view.store(i % len, element(seed));
                set(i % len, &element(seed));
            }
            Step::Update(i, seed) => {
                let mut seen = None;
                view.at(i % len).update(|old| {
                    seen = Some(old);
                    element(seed)
                });
                assert!(same(&[seen.unwrap()], &[get(&model, i % len)]));
                model[offset + i % len * size..][..size]
                    .copy_from_slice(bytemuck::bytes_of(&element::<T>(seed)));
            }
            Step::ReadInto(a, b) => {
                let range = range(a, b, len);
                let mut into = vec![element(9); range.len()];
                view.slice(range.clone()).read_into(&mut into);
                assert!(same(&into, &elements(&model, range)));
            }
            Step::WriteFrom(a, b, seed) => {
                let range = range(a, b, len);
                let from: Vec<T> = range.clone().map(|i| element(seed ^ i as u64)).collect();
                view.slice(range.clone()).write_from(&from);
                for (i, value) in range.zip(&from) {
                    set(i, value);
                }
            }
            Step::Fill(a, b, seed) => {
                let range = range(a, b, len);
                view.slice(range.clone()).fill(element(seed));
                for i in range {
                    set(i, &element(seed));
                }
            }
            Step::FillUniform(a, b, byte) => {
                let range = range(a, b, len);
                let mut value = T::zeroed();
                bytemuck::bytes_of_mut(&mut value).fill(byte);
                view.slice(range.clone()).fill(value);
                for i in range {
                    set(i, &value);
                }
            }
            Step::CopyWithin(a, b, dest) => {
                let range = range(a, b, len);
                let dest = dest % (len - range.len() + 1);
                view.copy_within(range.clone(), dest);
                model[offset..end].copy_within(range.start * size..range.end * size, dest * size);
            }
            Step::ToVec(a, b) => {
                let range = range(a, b, len);
                assert!(same(
                    &view.slice(range.clone()).to_vec(),
                    &elements(&model, range)
                ));
            }
            Step::Iterate(a, b) => {
                let range = range(a, b, len);
                let part = view.try_slice(range.clone()).unwrap();
                let mut backwards: Vec<T> = part.iter().rev().collect();
                backwards.reverse();
                let expected = elements(&model, range);
                assert_eq!(part.iter().len(), expected.len());
                assert_eq!(part.into_iter().nth(1).is_some(), expected.len() > 1);
                assert!(same(&backwards, &expected));
            }
            Step::Chunks(a, n) => {
                let (part, n) = (view.slice(a % len..), n % len + 1);
                let expected = elements(&model, a % len..len);
                assert_eq!(part.chunks(n).len(), expected.chunks(n).len());
                for (chunk, expected) in part.chunks(n).zip(expected.chunks(n)) {
                    assert!(same(&chunk.to_vec(), expected));
                }
                for (chunk, expected) in part.chunks(n).rev().zip(expected.chunks(n).rev()) {
                    assert!(same(&chunk.to_vec(), expected));
                }
            }
            Step::Split(mid, seed) => {
                let (left, right) = view.split_at(mid % (len + 1));
                assert_eq!(
                    (left.len(), right.len()),
                    (mid % (len + 1), len - mid % (len + 1))
                );
                if let Some(last) = left.len().checked_sub(1) {
                    left.at(last).store(element(seed));
                    set(last, &element(seed));
                }
                if let Some(first) = right.get(0) {
                    first.store(element(!seed));
                    set(left.len(), &element(!seed));
                }
            }
            Step::Bytes(i, byte) => {
                let bytes = view.bytes();
                assert_eq!(bytes.len(), view.len_bytes());
                bytes.store(i % bytes.len(), byte);
                model[offset + i % bytes.len()] = byte;
            }
        }
        assert!(all.to_vec() == model, "{step:?} changed something else");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Triple {
    x: u64,
    y: u32,
    z: [u16; 6],
}

macro_rules! agreement {
    ($($name:ident: $($t:ty)*;)*) => {$(
        #[test]
        fn $name() {
            for_each_case(24, |random| {
                let offset = random.below(97) as usize;
                let steps: Vec<Step> = (0..1 + random.below(23)).map(|_| step(random)).collect();
                $(agree::<$t>(offset, &steps);)*
            });
        }
    )*};
}

agreement! {
    integers_and_floats_agree: u8 i8 u16 i32 u64 f32 f64 u128;
    structs_and_arrays_agree: Triple [u16; 3] [u32; 3] [f64; 3] [u64; 16];
    odd_elements_agree: [u8; 3] [u8; 5] [u8; 6] [u8; 7] [u8; 9] [u8; 11] [u8; 13] [u8; 15] [u8; 17] [u8; 31];
    larger_elements_agree: [u8; 33] [u8; 47] [u8; 63] [u8; 65] [u8; 100] [u8; 127] [u8; 128] [u8; 129];
    huge_elements_agree: [u8; 255] [u8; 512] [u8; 513] [u8; 1000] [u8; 1024] [u8; 2047] [u8; 4096];
}

/// Does one atomic operation after the other on one of five integers and on a model, and compares after each.
fn agree_on_atomics<T: Primitive + Debug>(
    index: usize,
    values: &[(u64, T, T)],
    model: fn(u64, T, T, T) -> (T, Option<T>),
) {
    let mapping = Mapping::new(64);
    // SAFETY: inside the mapping, which outlives the view and which nobody else uses.
    let view = unsafe { SharedSlice::<T, ReadWrite>::from_raw_parts(mapping.at(0).cast(), 5) };
    let view = view.unwrap();
    let mut expected = T::zeroed();
    for &(operation, a, b) in values {
        let old = match operation {
            0 => Some(view.at(index).atomic_load(Acquire)),
            1 => {
                view.at(index).atomic_store(a, Release);
                None
            }
            2 => Some(view.at(index).swap(a, AcqRel)),
            3 => Some(
                view.at(index)
                    .compare_exchange(a, b, SeqCst, Relaxed)
                    .unwrap_or_else(|old| old),
            ),
            4 => {
                let current = view.load(index);
                while view
                    .at(index)
                    .compare_exchange_weak(current, b, AcqRel, Acquire)
                    .is_err()
                {}
                Some(current)
            }
            5 => Some(view.at(index).fetch_add(a, Relaxed)),
            6 => Some(view.at(index).fetch_sub(a, SeqCst)),
            7 => Some(view.at(index).fetch_and(a, Acquire)),
            8 => Some(view.at(index).fetch_nand(a, Release)),
            9 => Some(view.at(index).fetch_or(a, Relaxed)),
            10 => Some(view.at(index).fetch_xor(a, Relaxed)),
            11 => Some(view.at(index).fetch_max(a, Relaxed)),
            _ => Some(view.at(index).fetch_min(a, Relaxed)),
        };
        let (new, seen) = model(operation, expected, a, b);
        assert_eq!(old, seen.map(|_| expected), "{operation} {a:?} {b:?}");
        expected = new;
        for i in 0..5 {
            let expected = if i == index { expected } else { T::zeroed() };
            // Read-only views have no load wider than a pointer.
            #[cfg(target_pointer_width = "64")]
            let view = view.read_only();
            assert_eq!(view.at(i).atomic_load(SeqCst), expected);
        }
    }
}

#[test]
fn atomics_agree() {
    for_each_case(256, |random| {
        let index = random.below(4) as usize;
        let values: Vec<_> = (0..1 + random.below(59))
            .map(|_| (random.below(13), random.next(), random.next()))
            .collect();
        macro_rules! agree {
            ($($t:ty)*) => {$({
                let values: Vec<_> = values.iter().map(|&(operation, a, b)| (operation, a as $t, b as $t)).collect();
                agree_on_atomics::<$t>(index, &values, |operation, old, a, b| match operation {
                    0 => (old, Some(old)),
                    1 => (a, None),
                    2 => (a, Some(old)),
                    3 => (if old == a { b } else { old }, Some(old)),
                    4 => (b, Some(old)),
                    5 => (old.wrapping_add(a), Some(old)),
                    6 => (old.wrapping_sub(a), Some(old)),
                    7 => (old & a, Some(old)),
                    8 => (!(old & a), Some(old)),
                    9 => (old | a, Some(old)),
                    10 => (old ^ a, Some(old)),
                    11 => (old.max(a), Some(old)),
                    _ => (old.min(a), Some(old)),
                });
            })*};
        }
        agree!(u8 i8 u16 i16 u32 i32 u64 i64 usize isize);
    });
}

/// Asks a segment for a view and compares the answer with what arithmetic in 128 bits says.
fn bounds_hold<T: Pod>(segment: &sysvshm::Segment, offset: usize, len: usize) {
    let wide = offset as u128 + len as u128 * size_of::<T>() as u128;
    let fits = wide <= segment.len_bytes() as u128 && offset % align_of::<T>() == 0;
    match segment.slice::<T>(offset, len) {
        Ok(view) => {
            assert!(fits);
            assert_eq!(view.as_ptr().addr(), segment.as_ptr().addr() + offset);
            assert_eq!(view.len(), len);
        }
        Err(LayoutError::OutOfBounds {
            offset: o,
            needed,
            available,
        }) => {
            assert!(wide > available as u128 && available == segment.len_bytes());
            assert_eq!((o, needed as u128), (offset, wide - offset as u128));
        }
        Err(LayoutError::TooLarge { elements, .. }) => assert!(!fits && elements == len),
        Err(LayoutError::Misaligned { alignment, .. }) => {
            assert!(offset % alignment != 0 && alignment == align_of::<T>());
        }
        Err(other) => panic!("{other}"),
    }
    let reference = segment.reference::<T>(offset).is_ok();
    assert_eq!(reference, segment.slice::<T>(offset, 1).is_ok());
}

#[test]
fn no_offset_and_length_reach_beyond_a_segment() {
    for_each_case(256, |random| {
        // Half of the numbers near what is there, half anywhere.
        let mut number = |near: u64| match random.below(2) {
            0 => random.below(near) as usize,
            _ => random.next() as usize,
        };
        let (offset, len) = (number(6000), number(1500));
        let size = 1 + random.below(4999) as usize;
        let segment = common::Owned::new(size, 0o600).id().attach().unwrap();
        bounds_hold::<u8>(&segment, offset, len);
        bounds_hold::<u32>(&segment, offset, len);
        bounds_hold::<u64>(&segment, offset, len);
        bounds_hold::<[u8; 3]>(&segment, offset, len);
        bounds_hold::<Triple>(&segment, offset, len);
        bounds_hold::<[u8; 4096]>(&segment, offset, len);
    });
}

#[test]
fn what_is_out_of_range_panics_as_slices_do_and_touches_nothing() {
    let owned = common::Owned::new(40, 0o600);
    let segment = owned.id().attach().unwrap();
    let view = segment.slice::<u64>(8, 4).unwrap();
    let message = |act: &dyn Fn()| {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_err();
        *caught.downcast::<String>().expect("a formatted message")
    };
    let index = "index 4 out of range for a shared slice of length 4";
    assert_eq!(message(&|| drop(view.load(4).to_string())), index);
    assert_eq!(message(&|| view.store(4, 1)), index);
    assert_eq!(message(&|| view.at(4).update(|old| old)), index);
    assert_eq!(
        message(&|| drop(view.at(4).fetch_add(1, Relaxed).to_string())),
        index
    );
    let range = "range 3..5 out of range for a shared slice of length 4";
    assert_eq!(message(&|| view.slice(3..5).fill(1)), range);
    assert_eq!(message(&|| view.copy_within(3..5, 0)), range);
    assert!(message(&|| view.copy_within(1..4, 2)).contains("index 2 out of range"));
    assert!(message(&|| view.copy_within(1.., usize::MAX)).contains("out of range"));
    assert!(message(&|| drop(view.split_at(5).0.to_vec())).contains("0..5 out of range"));
    let lengths = "a slice of length 3 does not match a shared slice of length 4";
    assert_eq!(message(&|| view.write_from(&[1; 3])), lengths);
    assert_eq!(message(&|| view.read_into(&mut [0; 3])), lengths);
    assert_eq!(segment.slice::<u8>(0, 40).unwrap().to_vec(), [0; 40]);
}

#[test]
fn views_of_nothing_and_beyond_everything_are_refused() {
    let mapping = Mapping::new(64);
    let slice = |p: *mut u8, len| {
        // SAFETY: what is refused is never touched, and the one that is not lies inside the mapping.
        unsafe { SharedSlice::<u64, ReadWrite>::from_raw_parts(p.cast(), len) }
            .map(SharedSlice::len)
    };
    assert_eq!(slice(mapping.at(8), 3), Ok(3));
    assert_eq!(slice(std::ptr::null_mut(), 0), Err(LayoutError::Null));
    assert!(matches!(
        slice(mapping.at(1), 1),
        Err(LayoutError::Misaligned { alignment: 8, .. })
    ));
    assert!(matches!(
        slice(mapping.at(0), usize::MAX / 4),
        Err(LayoutError::TooLarge { .. })
    ));
    // SAFETY: as above.
    let empty = unsafe { SharedSlice::<(), ReadWrite>::from_raw_parts(mapping.at(0).cast(), 1) };
    let error = empty.unwrap_err();
    assert_eq!(error, LayoutError::ZeroSized { type_name: "()" });
    assert_eq!(error.to_string(), "() has no bytes to share");
    // SAFETY: as above.
    let null = unsafe { SharedRef::<u8, ReadWrite>::from_raw(std::ptr::null_mut()) };
    assert_eq!(null.unwrap_err(), LayoutError::Null);
}
