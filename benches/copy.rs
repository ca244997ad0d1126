//! Copies through the safe views beside memcpy, memmove and memset on the same memory.
//!
//! `taskset -c 1 cargo bench --bench copy [-- copies | fills | elements | touch] [--passes N] [--quick]`
//!
//! Two contenders, the raw call and the safe one, run alternately within each pass; a ratio is formed within the
//! pass, and the median of all passes is printed. Small copies move by a third when the loop around them starts at
//! another address, so up to 4 KiB each is measured at eight placements (0 to 28 bytes of `nop` before the loop)
//! and the median, the lowest and the highest of the eight medians are printed. Above 1.00 the safe call is faster.
//! After each pass the bytes are compared.
#![allow(unsafe_code)] // The raw calls to compare with.

use std::arch::asm;
use std::hint::black_box;
use std::ptr;
use std::slice;
use std::time::{Duration, Instant};

use sysvshm::bytemuck::{self, Pod, Zeroable};
use sysvshm::{HugePages, Key, Removal, Segment, SegmentOptions, SharedSlice};

/// An element of an awkward size: three words.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct Triple {
    x: u64,
    y: u64,
    z: u64,
}

/// A value of every element type, made from a number.
trait Element: Pod + PartialEq {
    const NAME: &'static str;
    fn from_number(number: u64) -> Self;
}

macro_rules! elements {
    ($($t:ty)*) => {$(
        impl Element for $t {
            const NAME: &'static str = stringify!($t);
            fn from_number(number: u64) -> Self {
                number.wrapping_mul(0x9E37_79B9_7F4A_7C15) as $t
            }
        }
    )*};
}
elements!(u8 u16 u32 u64);

impl Element for Triple {
    const NAME: &'static str = "24-byte struct";
    fn from_number(number: u64) -> Self {
        Self {
            x: number,
            y: !number,
            z: number.rotate_left(17),
        }
    }
}

const SMALL: [usize; 12] = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
const MIDDLE: [usize; 3] = [1 << 10, 2 << 10, 4 << 10];
const LARGE: [usize; 5] = [16 << 10, 64 << 10, 1 << 20, 8 << 20, 64 << 20];
const LARGEST: usize = 64 << 20;

struct Settings {
    passes: usize,
    pass: Duration,
    wanted: Vec<String>,
}

impl Settings {
    fn from_arguments() -> Self {
        let mut settings = Self {
            passes: 15,
            pass: Duration::from_micros(120),
            wanted: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--passes" => {
                    let count = arguments.next().and_then(|count| count.parse().ok());
                    settings.passes = count.expect("--passes takes a number");
                }
                "--quick" => (settings.passes, settings.pass) = (5, Duration::from_micros(40)),
                "--bench" => {} // cargo says so
                part => settings.wanted.push(part.to_owned()),
            }
        }
        settings
    }

    fn wants(&self, part: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| wanted == part)
    }
}

fn main() {
    let settings = Settings::from_arguments();
    let segment = SegmentOptions::new()
        .size_bytes(2 * LARGEST + 4096)
        .removal(Removal::OnceAttached)
        .create_new(Key::PRIVATE)
        .expect("a segment of 128 MiB");
    segment.prefault().expect("128 MiB of memory");
    if settings.wants("copies") {
        println!(
            "copies: safe over raw speed, median of 8 placements (lowest to highest); GiB/s of the safe call"
        );
        copies::<u8>(&settings, &segment);
        copies::<u32>(&settings, &segment);
        copies::<u64>(&settings, &segment);
        copies::<Triple>(&settings, &segment);
    }
    if settings.wants("fills") {
        println!(
            "\nfills: over memset where all bytes of the value are equal, else over the best plain loop"
        );
        fills::<u8>(&settings, &segment);
        fills::<u16>(&settings, &segment);
        fills::<u32>(&settings, &segment);
        fills::<u64>(&settings, &segment);
        fills::<Triple>(&settings, &segment);
    }
    if settings.wants("elements") {
        println!(
            "\nelements: one get or set of each in a row, over the same loop on ordinary memory"
        );
        elements::<u8>(&settings, &segment);
        elements::<u32>(&settings, &segment);
        elements::<u64>(&settings, &segment);
        elements::<Triple>(&settings, &segment);
    }
    if settings.wants("touch") {
        touch();
    }
}

/// What is measured: the raw call or the safe one, on operands that the compiler cannot know.
///
/// A trait and not a closure: only a method can be `#[inline(always)]`, and out of line either side loses up to a
/// half below 256 bytes.
trait Work: Copy {
    fn once<const SAFE: bool>(self);
    /// Panics unless the bytes are what they should be by now.
    fn check(self);
}

/// Nanoseconds per call; `PLACE` bytes of `nop` move the loop.
#[inline(never)]
fn time<const PLACE: usize, const SAFE: bool>(iterations: u32, work: impl Work) -> f64 {
    let start = Instant::now();
    // SAFETY: does nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        asm!(".fill {n}, 1, 0x90", n = const PLACE, options(nomem, nostack, preserves_flags));
    }
    for _ in 0..iterations {
        work.once::<SAFE>();
    }
    start.elapsed().as_nanos() as f64 / f64::from(iterations)
}

/// The median over passes of raw time over safe time, and the median of the safe time in nanoseconds.
fn compare<const PLACE: usize>(settings: &Settings, work: impl Work) -> (f64, f64) {
    let mut iterations = 1;
    loop {
        // Calibrate on both, so that each pass takes about as long as asked.
        let each = time::<PLACE, false>(iterations, work) + time::<PLACE, true>(iterations, work);
        if each * f64::from(iterations) > settings.pass.as_nanos() as f64 || iterations > 1 << 20 {
            break;
        }
        iterations *= 2;
    }
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for pass in 0..settings.passes {
        let (raw, safe) = if pass % 2 == 0 {
            let raw = time::<PLACE, false>(iterations, work);
            (raw, time::<PLACE, true>(iterations, work))
        } else {
            let safe = time::<PLACE, true>(iterations, work);
            (time::<PLACE, false>(iterations, work), safe)
        };
        ratios.push(raw / safe);
        times.push(safe);
        work.check();
    }
    (median(&mut ratios), median(&mut times))
}

/// Compares, at eight placements if asked, and prints.
fn run(settings: &Settings, placed: bool, what: &str, bytes: usize, work: impl Work) {
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    macro_rules! at {
        ($($place:literal)*) => {$(
            let (ratio, time) = compare::<$place>(settings, work);
            ratios.push(ratio);
            times.push(time);
        )*};
    }
    at!(0);
    if placed {
        at!(4 8 12 16 20 24 28);
    }
    let (ratio, time) = (median(&mut ratios), median(&mut times));
    let (lowest, highest) = (ratios[0], ratios[ratios.len() - 1]);
    let speed = bytes as f64 / time * 1e9 / f64::from(1 << 30);
    println!("{what:<32} {bytes:>9} B  {ratio:5.2} ({lowest:4.2} to {highest:4.2})  {speed:7.1}");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A private buffer half a page away from where the shared one starts in its page: closer, loads of the one can
/// wait for stores to the other that merely look the same in their low twelve bits, and the figures say more about
/// that than about the copy.
struct Private {
    words: Vec<u64>,
    start: usize,
    bytes: usize,
}

impl Private {
    fn new(bytes: usize) -> Self {
        let words: Vec<u64> = (0..(bytes + 8192) as u64 / 8)
            .map(|i| i.wrapping_mul(0x2545_F491_4F6C_DD1D))
            .collect();
        let start = (2048_usize.wrapping_sub(words.as_ptr().addr()) % 4096) / 8;
        Self {
            words,
            start,
            bytes,
        }
    }

    fn get<T: Element>(&self) -> &[T] {
        bytemuck::cast_slice(
            &bytemuck::cast_slice::<u64, u8>(&self.words[self.start..])[..self.bytes],
        )
    }

    fn get_mut(&mut self) -> *mut u64 {
        self.words[self.start..].as_mut_ptr()
    }
}

#[derive(Clone, Copy)]
struct Write<'a, T> {
    view: SharedSlice<'a, T>,
    from: &'a [T],
}

impl<T: Element> Work for Write<'_, T> {
    #[inline(always)]
    fn once<const SAFE: bool>(self) {
        let (view, from) = (black_box(self.view), black_box(self.from));
        if SAFE {
            view.write_from(from);
        } else {
            // SAFETY: as long as each other; nobody else uses the segment.
            unsafe { ptr::copy_nonoverlapping(from.as_ptr(), view.as_mut_ptr(), from.len()) };
        }
    }
    fn check(self) {
        assert!(self.view.to_vec() == self.from);
    }
}

#[derive(Clone, Copy)]
struct Read<'a, T> {
    view: SharedSlice<'a, T>,
    into: *mut T,
    expected: &'a [T],
}

impl<T: Element> Work for Read<'_, T> {
    #[inline(always)]
    fn once<const SAFE: bool>(self) {
        let (view, into) = (black_box(self.view), black_box(self.into));
        if SAFE {
            // SAFETY: the buffer is that long, and nobody else refers to it.
            view.read_into(unsafe { slice::from_raw_parts_mut(into, view.len()) });
        } else {
            // SAFETY: as above; nobody else uses the segment.
            unsafe { ptr::copy_nonoverlapping(view.as_ptr(), into, view.len()) };
        }
    }
    fn check(self) {
        // SAFETY: the buffer is that long, and nobody else refers to it.
        assert!(unsafe { slice::from_raw_parts(self.into, self.view.len()) } == self.expected);
    }
}

#[derive(Clone, Copy)]
struct Within<'a, T> {
    view: SharedSlice<'a, T>,
    to: usize,
    len: usize,
    expected: &'a [T],
}

impl<T: Element> Work for Within<'_, T> {
    #[inline(always)]
    fn once<const SAFE: bool>(self) {
        let (view, to, len) = (
            black_box(self.view),
            black_box(self.to),
            black_box(self.len),
        );
        if SAFE {
            view.copy_within(..len, to);
        } else {
            // SAFETY: inside.
            let to = unsafe { view.as_mut_ptr().add(to) };
            // SAFETY: both inside, not overlapping; nobody else uses the segment.
            unsafe { ptr::copy_nonoverlapping(view.as_ptr(), to, len) };
        }
    }
    fn check(self) {
        assert!(self.view.slice(self.to..).to_vec() == self.expected);
    }
}

/// The raw side: memset where all bytes of the value are equal, else the plain loop of `slice::fill`.
#[derive(Clone, Copy)]
struct Fill<'a, T, const UNIFORM: bool> {
    view: SharedSlice<'a, T>,
    value: T,
}

impl<T: Element, const UNIFORM: bool> Work for Fill<'_, T, UNIFORM> {
    #[inline(always)]
    fn once<const SAFE: bool>(self) {
        let (view, value) = (black_box(self.view), black_box(self.value));
        if SAFE {
            view.fill(value);
        } else if UNIFORM {
            let byte = bytemuck::bytes_of(&value)[0];
            // SAFETY: the run is that long; nobody else uses the segment.
            unsafe { ptr::write_bytes(view.as_mut_ptr(), byte, view.len()) };
        } else {
            // SAFETY: nobody else uses the segment.
            unsafe { slice::from_raw_parts_mut(view.as_mut_ptr(), view.len()) }.fill(value);
        }
    }
    fn check(self) {
        assert!(self.view.iter().all(|element| element == self.value));
    }
}

/// Every element of the run, read one by one, beside the same loop on a raw pointer.
#[derive(Clone, Copy)]
struct Gets<'a, T>(SharedSlice<'a, T>);

impl<T: Element> Work for Gets<'_, T> {
    #[inline(always)]
    fn once<const SAFE: bool>(self) {
        let view = black_box(self.0);
        for i in 0..view.len() {
            if SAFE {
                black_box(view.load(i));
            } else {
                // SAFETY: inside.
                let element = unsafe { view.as_ptr().add(i) };
                // SAFETY: inside; nobody else uses the segment.
                black_box(unsafe { element.read_volatile() });
            }
        }
    }
    fn check(self) {}
}

/// Every element of the run, written one by one, beside the same loop on a raw pointer.
#[derive(Clone, Copy)]
struct Sets<'a, T>(SharedSlice<'a, T>, T);

impl<T: Element> Work for Sets<'_, T> {
    #[inline(always)]
    fn once<const SAFE: bool>(self) {
        let (view, value) = black_box((self.0, self.1));
        for i in 0..view.len() {
            if SAFE {
                view.store(i, value);
            } else {
                // SAFETY: inside.
                let element = unsafe { view.as_mut_ptr().add(i) };
                // SAFETY: inside; nobody else uses the segment.
                unsafe { element.write_volatile(value) };
            }
        }
    }
    fn check(self) {
        assert!(self.0.iter().all(|element| element == self.1));
    }
}

/// All sizes, with whether to measure them at several placements.
fn sizes() -> impl Iterator<Item = (usize, bool)> {
    let small = SMALL.into_iter().chain(MIDDLE).map(|size| (size, true));
    small.chain(LARGE.map(|size| (size, false)))
}

fn copies<T: Element>(settings: &Settings, segment: &Segment) {
    for (how, offset) in [("aligned", 0), ("shifted", align_of::<T>())] {
        for (size, placed) in sizes() {
            let len = size / size_of::<T>();
            if len == 0 {
                continue;
            }
            let bytes = len * size_of::<T>();
            // Shifted: the shared side one element's alignment further than the private one.
            let view = segment.slice::<T>(offset, len).expect("inside");
            let (source, mut target) = (Private::new(bytes), Private::new(bytes));
            let from: &[T] = source.get();
            let into = target.get_mut().cast::<T>();
            let label = |what: &str| format!("{what} {} {how}", T::NAME);

            run(
                settings,
                placed,
                &label("write_from"),
                bytes,
                Write { view, from },
            );
            run(
                settings,
                placed,
                &label("read_into"),
                bytes,
                Read {
                    view,
                    into,
                    expected: from,
                },
            );
            let to = (LARGEST + 2048) / size_of::<T>();
            let whole = segment.slice::<T>(offset, to + len).expect("inside");
            let within = Within {
                view: whole,
                to,
                len,
                expected: from,
            };
            run(settings, placed, &label("copy_within"), bytes, within);
        }
    }
}

fn fills<T: Element>(settings: &Settings, segment: &Segment) {
    for (size, placed) in sizes() {
        let len = size / size_of::<T>();
        if len == 0 {
            continue;
        }
        let bytes = len * size_of::<T>();
        let view = segment.slice::<T>(0, len).expect("inside");
        let work = Fill::<T, true> {
            view,
            value: T::zeroed(),
        };
        run(
            settings,
            placed,
            &format!("fill {} uniform", T::NAME),
            bytes,
            work,
        );
        if size_of::<T>() > 1 {
            let work = Fill::<T, false> {
                view,
                value: T::from_number(bytes as u64),
            };
            run(
                settings,
                placed,
                &format!("fill {} pattern", T::NAME),
                bytes,
                work,
            );
        }
    }
}

fn elements<T: Element>(settings: &Settings, segment: &Segment) {
    const LEN: usize = 512;
    let view = segment.slice::<T>(0, LEN).expect("inside");
    let bytes = LEN * size_of::<T>();
    run(
        settings,
        true,
        &format!("{LEN} get {}", T::NAME),
        bytes,
        Gets(view),
    );
    run(
        settings,
        true,
        &format!("{LEN} set {}", T::NAME),
        bytes,
        Sets(view, T::from_number(3)),
    );
}

/// The first write to every page of 1 GiB: ordinary pages, prefaulted, transparent huge pages, explicit huge pages;
/// then a second attach.
///
/// In a virtual machine, huge pages that the guest never used before are memory that the host has yet to find: run
/// it twice.
fn touch() {
    const SIZE: usize = 1 << 30;
    println!(
        "\nfirst touch of 1 GiB, one write per 4 KiB, and the same through a second attach; milliseconds"
    );
    let mut options = SegmentOptions::new();
    options.size_bytes(SIZE).removal(Removal::OnceAttached);
    touch_with("ordinary pages", &options);
    touch_with(
        "prefaulted (attach includes it)",
        options.clone().prefault(true),
    );
    touch_with(
        "transparent huge pages",
        options.clone().transparent_huge_pages(true),
    );
    touch_with(
        "explicit huge pages of 2 MiB",
        options.clone().huge_pages(HugePages::OfBytes(2 << 20)),
    );
}

fn touch_with(name: &str, options: &SegmentOptions) {
    let start = Instant::now();
    let segment = match options.create_new(Key::PRIVATE) {
        Ok(segment) => segment,
        Err(error) => {
            println!("{name:<40} skipped: {error}");
            return;
        }
    };
    let created = start.elapsed();
    let write = |view: SharedSlice<'_, u64>, value| {
        let start = Instant::now();
        for page in 0..view.len() / 512 {
            view.store(page * 512, value);
        }
        start.elapsed()
    };
    let view = segment
        .slice::<u64>(0, segment.len_bytes() / 8)
        .expect("inside");
    let first = write(view, 1);
    let again = SegmentOptions::new();
    let again = again.attach(segment.id()).expect("a second attach");
    let second = write(
        again
            .slice::<u64>(0, again.len_bytes() / 8)
            .expect("inside"),
        2,
    );
    assert_eq!(view.load(512 * 1000), 2);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:<40} create {:8.1}  touch {:8.1}  second {:8.1}",
        ms(created),
        ms(first),
        ms(second)
    );
}
