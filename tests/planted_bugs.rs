//! One bug for each sanitizer, on purpose: `.ci/sanitizers` runs them and fails unless the sanitizer complains.
//!
//! Compiled into portable builds alone: the sanitizers cannot look into assembly.
#![cfg(sysvshm_portable)]
#![allow(unsafe_code)] // Broken promises.

use sysvshm::{ReadWrite, Removal, SegmentOptions, SharedSlice};

/// A view that is one byte longer than the memory it was made of.
#[test]
#[ignore = "reads beyond a heap buffer on purpose: .ci/sanitizers runs it and wants the report"]
fn planted_overrun() {
    let memory = Box::into_raw(Box::new([7_u8; 64]));
    // SAFETY: none: the view is too long.
    let view = unsafe { SharedSlice::<u8, ReadWrite>::from_raw_parts(memory.cast(), 65) }.unwrap();
    std::hint::black_box(view.to_vec());
    // SAFETY: comes from a box.
    drop(unsafe { Box::from_raw(memory) });
}

/// A slice that promises to be the only one, while another thread writes through a view.
#[test]
#[ignore = "races on purpose: .ci/sanitizers runs it and wants the report"]
fn planted_race() {
    let segment = SegmentOptions::new()
        .size_bytes(4096)
        .removal(Removal::OnceAttached)
        .create_new(sysvshm::Key::PRIVATE)
        .unwrap();
    let view = segment.slice::<u64>(0, 512).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..1000 {
                view.fill(round);
            }
        });
        scope.spawn(|| {
            // SAFETY: none: the other thread writes.
            let slice = unsafe { view.as_mut_slice() }.unwrap();
            for round in 0..1000 {
                std::hint::black_box(&mut *slice).fill(round);
            }
        });
    });
}
