//! All ways to take items in turns, behind pushes of all sizes and behind words that nobody pushed.

#![allow(
    unsafe_code,
    reason = "a ring in private memory, with slots of its own geometry"
)]

use super::cursor::{count, initialise, look_for_items};
use super::layout::Geometry;
use super::pop::Consuming;
use super::push::Producing;
use crate::ring::protocol::error::TryError;
use crate::ring::shm::memory::{Mapped, Shared, SharedItems};
use crate::ring::shm::slots::Layout;
use crate::ring::wait::Look;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

const CAPACITIES: [u64; 9] = [1, 2, 3, 4, 5, 8, 64, 100, 256];

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % bound
    }
}

/// A ring in private memory. The vector must outlive what is made of the rest.
fn ring(layout: Layout, capacity: u64, start: u64) -> (Vec<u64>, Mapped, Geometry) {
    let g = Geometry::new(layout, capacity, 8, 8).unwrap();
    let mut bytes = vec![0_u64; g.total_bytes.div_ceil(8)];
    // SAFETY: the caller keeps the vector; all offsets of the geometry lie inside it.
    let memory = unsafe { Mapped::new(NonNull::from(&mut bytes[0]).cast()) };
    initialise(memory, &g, start);
    (bytes, memory, g)
}

/// Items are numbered by their positions. Copies in as many as fit.
fn push(side: &mut Producing<Mapped>, wanted: usize) {
    let Ok(room) = side.find_room(wanted) else {
        return;
    };
    let count = room.min(wanted);
    for ahead in 0..count as u64 {
        let position = side.position().wrapping_add(ahead);
        let at = side.geometry().item_at(side.geometry().slot(position));
        // SAFETY: a slot of the geometry.
        unsafe { side.memory().write_item(at, &position) };
    }
    side.publish(count);
}

fn assert_sound(side: &Consuming<Mapped>) {
    let position = side.position();
    assert!((side.slot() as u64) < side.g.capacity);
    assert!(side.known_items() as u64 <= side.g.capacity);
    let last = side.last.of(&side.g).wrapping_sub(position);
    assert!(last < side.cursor.lap_end(&side.g).wrapping_sub(position));
    let known = side.known.of(&side.g).wrapping_sub(position) as i64;
    assert!(known <= side.known_items() as i64 && known <= last as i64);
    assert!(position.wrapping_sub(side.told) + last < side.g.tell_every);
}

/// What a call that waits does, with `meanwhile` instead of waiting.
fn pop(side: &mut Consuming<Mapped>, meanwhile: impl FnOnce()) -> Result<u64, TryError> {
    if let Some(item) = side.pop_known() {
        return Ok(item);
    }
    match side.pop_one() {
        Err(TryError::WouldBlock) => {}
        done => return done,
    }
    side.tell_if_due();
    meanwhile();
    match look_for_items(side.memory(), &side.g, side.position()) {
        Look::Ready(end) => {
            side.set_end(end);
            Ok(side.take())
        }
        Look::NotYet => Err(TryError::WouldBlock),
        Look::Corrupted => Err(TryError::Corrupted),
    }
}

#[test]
fn items_come_in_order_whichever_way_they_are_taken() {
    let mut random = Random(7);
    for layout in [Layout::Interleaved, Layout::Contiguous] {
        for capacity in CAPACITIES {
            let start = if capacity.is_power_of_two() {
                u64::MAX - 500
            } else {
                500
            };
            let (_bytes, memory, g) = ring(layout, capacity, start);
            let mut producing = Producing::resume(memory, g, true);
            let mut consuming = Consuming::resume(memory, g, true);
            let mut waited = 0;
            for _ in 0..4000 {
                let pushed = random.below(capacity + 2).min(random.below(80)) as usize;
                let position = consuming.position();
                let is_empty = producing.position() == position;
                match random.below(3) {
                    0 if pushed > 0 => push(&mut producing, pushed),
                    1 => {
                        let result = pop(&mut consuming, || {
                            if pushed > 0 {
                                push(&mut producing, pushed);
                            }
                        });
                        if is_empty && pushed == 0 {
                            assert_eq!(result, Err(TryError::WouldBlock));
                        } else {
                            assert_eq!(result, Ok(position));
                            waited += u32::from(is_empty);
                        }
                    }
                    _ => {
                        if let Ok(items) = consuming.find_items(pushed.max(1)) {
                            assert!(items > 0 && !is_empty);
                            consuming.release(items.min(pushed.max(1)));
                        } else {
                            assert!(is_empty);
                        }
                    }
                }
                assert_sound(&consuming);
            }
            assert!(waited > 50, "only {waited} waits");
            assert!(consuming.position().wrapping_sub(start) > 600);
        }
    }
}

/// Whatever the words say, the consumer stays in the ring, and takes no more at once than fits.
#[test]
fn words_that_nobody_pushed_lead_nowhere() {
    let mut random = Random(11);
    for capacity in CAPACITIES {
        let (_bytes, memory, g) = ring(Layout::Interleaved, capacity, 0);
        let mut side = Consuming::resume(memory, g, true);
        let (mut taken, mut refused) = (0, 0);
        for _ in 0..20_000 {
            let scribble = |random: &mut Random, position: u64| {
                let word = match random.below(8) {
                    0 => random.below(u64::from(u32::MAX)) << 32,
                    1 => position.wrapping_sub(random.below(1000)),
                    2 => position.wrapping_add(1),
                    3 => position.wrapping_add(capacity),
                    4 => position.wrapping_add(capacity + 1),
                    5 => position.wrapping_add(1 << 63),
                    _ => position.wrapping_add(random.below(2 * capacity + 2)),
                };
                let slot = if random.below(2) == 0 {
                    g.slot(position)
                } else {
                    random.below(capacity) as usize
                };
                // SAFETY: a slot of the geometry.
                unsafe { memory.store(g.word_at(slot), word, Ordering::Release) };
            };
            let position = side.position();
            scribble(&mut random, position);
            let wanted = 1 + random.below(capacity + 2) as usize;
            let count = match random.below(3) {
                0 => {
                    let result = pop(&mut side, || scribble(&mut random, position));
                    u64::from(result.is_ok())
                }
                1 => match side.find_items(wanted) {
                    Ok(items) => {
                        let count = items.min(wanted);
                        side.release(count);
                        count as u64
                    }
                    Err(_) => 0,
                },
                _ => match look_for_items(memory, &g, position) {
                    Look::Ready(end) if side.known_items() == 0 => {
                        side.tell_if_due();
                        side.set_end(end);
                        0
                    }
                    _ => 0,
                },
            };
            assert!(count <= capacity);
            assert_eq!(side.position(), position.wrapping_add(count));
            assert_sound(&side);
            taken += count;
            refused += u64::from(count == 0);
        }
        assert!(taken > 1000 && refused > 1000, "{taken} {refused}");
    }
}

/// A ring of eight slots that holds five items all the time, and moves on by eight once while it is counted.
#[derive(Clone, Copy)]
struct Moving<'a> {
    words: &'a Cell<[u64; 8]>,
    out: &'a Cell<u64>,
    g: &'a Geometry,
    /// Loads of slots until it moves.
    left: &'a Cell<u32>,
}

impl Moving<'_> {
    fn go_on(self) {
        let out = self.out.get() + 8;
        let mut words = [0; 8];
        for position in out..out + 5 {
            words[position as usize % 8] = position + 1;
        }
        for position in out - 3..out {
            words[position as usize % 8] = position + 1;
        }
        self.words.set(words);
        self.out.set(out);
    }
}

impl Shared for Moving<'_> {
    unsafe fn load(self, at: usize, _: Ordering) -> u64 {
        if at < self.g.word_at(0) {
            return self.out.get();
        }
        self.left.set(self.left.get().wrapping_sub(1));
        if self.left.get() == 0 {
            self.go_on();
        }
        self.words.get()[(at - self.g.word_at(0)) / (self.g.word_at(1) - self.g.word_at(0))]
    }
    unsafe fn store(self, _: usize, _: u64, _: Ordering) {
        unreachable!("only reads")
    }
    unsafe fn compare_exchange(self, _: usize, _: u64, _: u64) -> Result<u64, u64> {
        unreachable!("only reads")
    }
}

#[test]
fn a_count_is_of_one_moment() {
    let g = Geometry::new(Layout::Contiguous, 8, 8, 8).unwrap();
    let (words, out, left) = (Cell::new([0; 8]), Cell::new(8), Cell::new(u32::MAX));
    let memory = Moving {
        words: &words,
        out: &out,
        g: &g,
        left: &left,
    };
    for moves_before in 0..=8 {
        left.set(u32::MAX);
        memory.go_on();
        left.set(moves_before);
        assert_eq!(count(memory, &g), 5, "moved before load {moves_before}");
    }
}
