//! `read_at`, `read_exact_at`, `write_at`: bounds, partial copies, odd bytes, and what another process sees.

mod common;

use common::{Owned, assert_says, fails, page, peer};
use sysvshm::{ErrorKind, ReadOnly, Segment, SegmentId};

const SIZE: usize = 100;

/// A segment of 100 bytes, byte `i` being `i + 1`, and its guard.
fn numbered() -> (Owned, Segment) {
    let owned = Owned::new(SIZE, 0o600);
    let segment = owned.id().attach().unwrap();
    let bytes: Vec<u8> = (1..=100).collect();
    segment.write_at(0, &bytes).unwrap();
    (owned, segment)
}

#[test]
fn the_whole_segment_is_read_and_no_byte_of_its_last_page_beyond() {
    let (_guard, segment) = numbered();
    let mut buffer = vec![0xee; page()];
    assert_eq!(segment.read_at(0, &mut buffer).unwrap(), SIZE);
    assert!(buffer[..SIZE].iter().copied().eq(1..=100));
    assert!(buffer[SIZE..].iter().all(|&byte| byte == 0xee));
}

#[test]
fn a_read_takes_what_the_buffer_holds_from_the_offset_on() {
    let (_guard, segment) = numbered();
    let mut buffer = [0; 10];
    assert_eq!(segment.read_at(0, &mut buffer).unwrap(), 10);
    assert!(buffer.into_iter().eq(1..=10));
    assert_eq!(segment.read_at(33, &mut buffer).unwrap(), 10);
    assert!(buffer.into_iter().eq(34..=43));
    assert_eq!(segment.read_at(33, &mut []).unwrap(), 0);
}

#[test]
fn a_read_past_the_end_is_clipped_and_an_exact_one_refused() {
    let (_guard, segment) = numbered();
    let mut buffer = [0; 10];
    assert_eq!(segment.read_at(95, &mut buffer).unwrap(), 5);
    assert_eq!(buffer, [96, 97, 98, 99, 100, 0, 0, 0, 0, 0]);
    buffer = [7; 10];
    let error = fails(
        segment.read_exact_at(91, &mut buffer),
        ErrorKind::OutOfBounds,
        None,
    );
    assert_says(&error, &["read_at(offset 91, 10 bytes)", "100 bytes"]);
    assert_eq!(buffer, [7; 10], "nothing was copied");
    segment.read_exact_at(90, &mut buffer).unwrap();
    assert!(buffer.into_iter().eq(91..=100));
}

#[test]
fn an_offset_at_or_beyond_the_end_is_refused_even_where_adding_would_wrap() {
    let (_guard, segment) = numbered();
    // What C would pass as -1 is the largest of these.
    for offset in [SIZE, SIZE + 1, page(), usize::MAX - 4, usize::MAX] {
        fails(
            segment.read_at(offset, &mut [0; 5]),
            ErrorKind::OutOfBounds,
            None,
        );
        fails(
            segment.read_exact_at(offset, &mut [0; 5]),
            ErrorKind::OutOfBounds,
            None,
        );
        fails(
            segment.write_at(offset, &[0; 5]),
            ErrorKind::OutOfBounds,
            None,
        );
        fails(
            segment.read_at(offset, &mut []),
            ErrorKind::OutOfBounds,
            None,
        );
    }
    // Nothing at all fits exactly at the end, and nowhere beyond it.
    segment.read_exact_at(SIZE, &mut []).unwrap();
    segment.write_at(SIZE, &[]).unwrap();
    fails(
        segment.read_exact_at(SIZE + 1, &mut []),
        ErrorKind::OutOfBounds,
        None,
    );
    fails(
        segment.write_at(SIZE + 1, &[]),
        ErrorKind::OutOfBounds,
        None,
    );
}

#[test]
fn a_write_changes_its_bytes_alone_and_one_that_does_not_fit_changes_none() {
    let (_guard, segment) = numbered();
    segment.write_at(50, b"middle").unwrap();
    let mut all = [0; SIZE];
    segment.read_exact_at(0, &mut all).unwrap();
    assert!(all[..50].iter().copied().eq(1..=50));
    assert_eq!(&all[50..56], b"middle");
    assert!(all[56..].iter().copied().eq(57..=100));

    let error = fails(segment.write_at(96, b"tail!"), ErrorKind::OutOfBounds, None);
    assert_says(&error, &["write_at(offset 96, 5 bytes)", "100 bytes"]);
    let mut after = [0; SIZE];
    segment.read_exact_at(0, &mut after).unwrap();
    assert_eq!(after, all);
    // Into the rest of the last page neither: it is mapped, but not the segment.
    fails(
        segment.write_at(0, &vec![0; page()]),
        ErrorKind::OutOfBounds,
        None,
    );
}

#[test]
fn every_byte_value_and_text_of_any_script_comes_back_in_another_process() {
    let reader = peer!(|talk| {
        let segment = SegmentId::from_raw(talk.arg(0)).attach_read_only().unwrap();
        let mut bytes = [0; 256];
        segment.read_exact_at(0, &mut bytes).unwrap();
        assert!(bytes.into_iter().eq(0..=255));
        let mut text = [0; 64];
        let read = segment.read_at(256, &mut text).unwrap();
        let text = std::str::from_utf8(&text[..read]).unwrap();
        talk.say(text.trim_end_matches('\0'));
    });
    const TEXT: &str = "Gr\u{fc}\u{df}e \u{3bb} \u{65e5}\u{672c} \u{1f980}";
    let owned = Owned::new(256 + TEXT.len() + 3, 0o600);
    let segment = owned.id().attach().unwrap();
    let all: Vec<u8> = (0..=255).collect();
    segment.write_at(0, &all).unwrap();
    segment.write_at(256, TEXT.as_bytes()).unwrap();
    assert_eq!(reader.arg(owned.id()).run(), [TEXT]);
}

#[test]
fn every_small_length_at_every_alignment_is_copied_exactly() {
    let owned = Owned::new(256, 0o600);
    let segment = owned.id().attach().unwrap();
    for offset in 0..24 {
        for len in 0..80 {
            segment.write_at(0, &[0xaa; 256]).unwrap();
            let bytes: Vec<u8> = (1..=len as u8).collect();
            segment.write_at(offset, &bytes).unwrap();
            let mut around = [0; 256];
            segment.read_exact_at(0, &mut around).unwrap();
            let mut expected = [0xaa; 256];
            expected[offset..offset + len].copy_from_slice(&bytes);
            assert_eq!(around, expected, "{len} bytes at {offset}");
            // Into a buffer that is not aligned the same way.
            let mut buffer = [0; 128];
            segment
                .read_exact_at(offset, &mut buffer[3..3 + len])
                .unwrap();
            assert_eq!(buffer[3..3 + len], bytes);
            assert!(
                buffer[..3]
                    .iter()
                    .chain(&buffer[3 + len..])
                    .all(|&byte| byte == 0)
            );
        }
    }
}

#[test]
fn a_read_only_attach_reads_the_same_with_the_same_bounds() {
    let (guard, segment) = numbered();
    let reader: Segment<ReadOnly> = guard.id().attach_read_only().unwrap();
    let mut buffer = [0; 10];
    assert_eq!(reader.read_at(95, &mut buffer).unwrap(), 5);
    assert_eq!(buffer[..5], [96, 97, 98, 99, 100]);
    fails(
        reader.read_at(SIZE, &mut buffer),
        ErrorKind::OutOfBounds,
        None,
    );
    fails(
        reader.read_exact_at(91, &mut buffer),
        ErrorKind::OutOfBounds,
        None,
    );
    // It sees what is written later.
    segment.write_at(0, &[200]).unwrap();
    reader.read_exact_at(0, &mut buffer[..1]).unwrap();
    assert_eq!(buffer[0], 200);
}

/// Through identifiers alone, as a program does that was handed one on its command line.
#[test]
fn a_bare_identifier_is_enough_to_read_write_and_remove() {
    let (guard, segment) = numbered();
    let id = SegmentId::from_raw(guard.raw());
    let other = id.attach().unwrap();
    other.write_at(99, &[1]).unwrap();
    let mut byte = [0];
    segment.read_exact_at(99, &mut byte).unwrap();
    assert_eq!(byte, [1]);
    id.mark_for_removal().unwrap();
    assert!(segment.status().unwrap().is_marked_for_removal());
}
