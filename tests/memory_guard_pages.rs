//! Every copy beside an inaccessible page: at each length from 0 to 300 and each alignment from 0 to 63, not one
//! byte too far on either side, and read-only pages only ever read.
#![allow(unsafe_code)] // Views over mappings of the test's own, and faults on purpose.

mod common;

use common::{Mapping, death_of, page, peer};
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};
use sysvshm::bytemuck::Pod;
use sysvshm::{ReadOnly, ReadWrite, SharedRef, SharedSlice};

/// `len` bytes at an offset of a mapping, which the callers keep longer than the view.
fn view(mapping: &Mapping, offset: usize, len: usize) -> SharedSlice<'_, u8> {
    assert!(offset + len <= mapping.len());
    // SAFETY: inside the mapping, which nobody else uses.
    unsafe { SharedSlice::from_raw_parts(mapping.at(offset), len) }.unwrap()
}

/// A private slice that ends at a guard page, so that reading or writing beyond it faults too.
#[allow(clippy::mut_from_ref)] // The memory is not the value's own, and the tests take turns.
fn private(mapping: &Mapping, len: usize) -> &mut [u8] {
    // SAFETY: inside the mapping; each test uses one such slice at a time, and no view of this mapping.
    unsafe { std::slice::from_raw_parts_mut(mapping.at(mapping.len() - len), len) }
}

/// Where runs of `len` bytes lie: `alignment` bytes behind the front guard, and `alignment` bytes before the rear
/// one. Over all lengths and alignments, runs of each length start at each address modulo 64, and both touch and
/// miss either guard.
fn places(mapping: &Mapping, len: usize) -> impl Iterator<Item = usize> {
    let end = mapping.len();
    (0..64).flat_map(move |alignment| [alignment, end - len - alignment])
}

#[test]
fn bulk_copies_stay_between_the_guards() {
    let (shared, own) = (Mapping::new(page()), Mapping::new(page()));
    let pattern = |i: usize| (i as u8).wrapping_mul(31) ^ (i >> 8) as u8;
    let whole = view(&shared, 0, shared.len());
    for len in 0..=300 {
        for place in places(&shared, len) {
            let part = view(&shared, place, len);
            whole.fill(0xEE);
            let own = private(&own, len);
            for (i, byte) in own.iter_mut().enumerate() {
                *byte = pattern(i + place);
            }
            part.write_from(own);
            let mut expected = vec![0xEE; shared.len()];
            expected[place..place + len].copy_from_slice(own);
            assert!(whole.to_vec() == expected, "write_from of {len} at {place}");
            own.fill(0);
            part.read_into(own);
            assert!(
                own == &expected[place..place + len],
                "read_into of {len} at {place}"
            );
        }
    }
}

#[test]
fn copies_within_stay_between_the_guards() {
    let shared = Mapping::new(page());
    let pattern: Vec<u8> = (0..shared.len())
        .map(|i| (i as u8).wrapping_mul(97) ^ (i >> 4) as u8)
        .collect();
    let whole = view(&shared, 0, shared.len());
    for len in 0..=300 {
        for (from, to) in places(&shared, len).zip(places(&shared, len).skip(1)) {
            // One end to the other, and a short way that overlaps.
            for to in [
                to,
                from.saturating_sub(5).max(1),
                (from + 9).min(shared.len() - len),
            ] {
                whole.write_from(&pattern);
                whole.copy_within(from..from + len, to);
                let mut expected = pattern.clone();
                expected.copy_within(from..from + len, to);
                assert!(
                    whole.to_vec() == expected,
                    "copy_within of {len} from {from} to {to}"
                );
            }
        }
    }
}

#[test]
fn fills_stay_between_the_guards() {
    fn check<T: Pod>(shared: &Mapping, value: T) {
        let whole = view(shared, 0, shared.len());
        let bytes = sysvshm::bytemuck::bytes_of(&value).to_vec();
        for count in 0..=600 / size_of::<T>() {
            let len = count * size_of::<T>();
            // Every length up to 300, and some where the code is another but not more intricate.
            if len > 300 && len % 17 != 0 && len / 8 != 64 {
                continue;
            }
            for place in places(shared, len).filter(|place| place % align_of::<T>() == 0) {
                // SAFETY: inside the mapping, which nobody else uses.
                let part =
                    unsafe { SharedSlice::<T>::from_raw_parts(shared.at(place).cast(), count) };
                whole.fill(0xEE);
                part.unwrap().fill(value);
                let mut expected = vec![0xEE; shared.len()];
                expected[place..place + len].copy_from_slice(&bytes.repeat(count));
                assert!(
                    whole.to_vec() == expected,
                    "fill of {count} times {} at {place}",
                    bytes.len()
                );
            }
        }
    }
    let shared = Mapping::new(page());
    check(&shared, 0x5A_u8);
    check(&shared, [1_u8, 2]);
    check(&shared, [1_u8, 2, 3]);
    check(&shared, [1_u8, 2, 3, 4]);
    check(&shared, 0x0123_4567_89AB_CDEF_u64);
    check(&shared, [1_u8, 2, 3, 4, 5, 6, 7, 8]);
    check(&shared, [7_u8; 16]);
    check(&shared, [1_u64, 2]);
    check(&shared, [1_u64, 2, 3]);
    check(&shared, [0_u64; 3]);
    check(&shared, [9_u8; 100]);
}

#[test]
fn elements_stay_between_the_guards() {
    fn check<const N: usize>(shared: &Mapping) {
        let whole = view(shared, 0, shared.len());
        let value: [u8; N] = std::array::from_fn(|i| (i as u8).wrapping_mul(13).wrapping_add(1));
        for place in places(shared, N) {
            // SAFETY: inside the mapping, which nobody else uses.
            let element = unsafe { SharedRef::<[u8; N]>::from_raw(shared.at(place).cast()) };
            let element = element.unwrap();
            whole.fill(0xEE);
            element.store(value);
            let mut expected = vec![0xEE; shared.len()];
            expected[place..place + N].copy_from_slice(&value);
            assert!(whole.to_vec() == expected, "set of {N} at {place}");
            assert!(element.load() == value, "get of {N} at {place}");
        }
    }
    let shared = Mapping::new(page());
    macro_rules! sizes { ($($n:literal)*) => { $(check::<$n>(&shared);)* } }
    sizes!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40);
    sizes!(41 43 45 47 48 49 51 53 55 56 57 59 61 63 64 65 67 71 72 73 77 79 80 81 85 88 91 95 96 97 99 100 103 104 107);
    sizes!(111 112 113 119 120 121 123 125 126 127 128 129 130 131 136 144 160 191 192 193 200 255 256 257 299 300);
}

#[test]
fn read_only_pages_are_only_read() {
    let mapping = Mapping::new(2 * page());
    let filled = view(&mapping, 0, mapping.len());
    let model: Vec<u8> = (0..mapping.len()).map(|i| (i % 251) as u8).collect();
    filled.write_from(&model);
    mapping.read_only();
    // SAFETY: the mapping, read-only from here on.
    let bytes =
        unsafe { SharedSlice::<u8, ReadOnly>::from_raw_parts(mapping.at(0), mapping.len()) };
    let bytes = bytes.unwrap();
    assert!(bytes.to_vec() == model);
    assert!(bytes.iter().eq(model.iter().copied()));
    macro_rules! load {
        ($($t:ty)*) => {$({
            // SAFETY: as above.
            let view = unsafe { SharedSlice::<$t, ReadOnly>::from_raw_parts(mapping.at(0).cast(), 100) }.unwrap();
            for i in 0..100 {
                let expected = <$t>::from_ne_bytes(model[i * size_of::<$t>()..][..size_of::<$t>()].try_into().unwrap());
                assert_eq!(view.load(i), expected);
                for order in [Relaxed, Acquire, SeqCst] {
                    assert_eq!(view.at(i).atomic_load(order), expected);
                }
            }
        })*};
    }
    load!(u8 i16 u32 i32 usize isize);
    #[cfg(target_pointer_width = "64")]
    load!(u64 i64);
}

/// The check itself, shown what it is for: one byte too many on either side does fault.
#[test]
fn one_byte_too_many_is_found() {
    let faults = peer!(|talk| {
        let mapping = Mapping::new(page());
        let died = |start: *mut u8, len: usize| {
            // SAFETY: none: the view reaches into a guard page, and the child dies of it.
            let view = unsafe { SharedSlice::<u8, ReadWrite>::from_raw_parts(start, len) }.unwrap();
            let (mut into, from) = ([0; 512], [1; 512]);
            [
                death_of(|| view.read_into(&mut into[..len])),
                death_of(|| view.write_from(&from[..len])),
                death_of(|| view.fill(1)),
                death_of(|| view.copy_within(1.., 0)),
                death_of(|| view.copy_within(..len - 1, 1)),
            ]
        };
        for len in [2, 3, 5, 8, 9, 17, 33, 64, 65, 129, 300] {
            let (inside, rear) = (mapping.len() - len, mapping.len() - len + 1);
            assert_eq!(died(mapping.at(0), len), [None; 5], "{len} at the front");
            assert_eq!(
                died(mapping.at(inside), len),
                [None; 5],
                "{len} at the rear"
            );
            assert_eq!(
                died(mapping.at(rear), len),
                [Some(libc::SIGSEGV); 5],
                "{len} beyond the rear"
            );
            let front = mapping.at(0).wrapping_sub(1);
            assert_eq!(
                died(front, len),
                [Some(libc::SIGSEGV); 5],
                "{len} before the front"
            );
        }
        mapping.read_only();
        assert_eq!(
            death_of(|| view(&mapping, 0, 8).store(0, 1)),
            Some(libc::SIGSEGV)
        );
        talk.say("all found");
    });
    assert_eq!(faults.run(), ["all found"]);
}
