//! C structs in shared memory, member by member, against what a C compiler makes of them.

mod common;

use common::{CProgram, Owned, Running};
use std::ffi::{c_char, c_int};
use std::sync::atomic::Ordering::Relaxed;
use sysvshm::bytemuck::{AnyBitPattern, Pod, Zeroable};
use sysvshm::{Segment, SharedRef, field};

/// Members of every size at every alignment that C gives them, packed and not; arrays, nested structs, arrays of
/// those.
const C_STRUCTS: &str = r#"
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <stddef.h>
    #include <sys/shm.h>
    #include <sys/types.h>

    struct rec { char kind; long long value; short tail[3]; };
    struct shared {
        int magic; pid_t owner; char name[32]; double rates[16]; struct rec ring[64]; int in, out;
        uint8_t b1; uint16_t b2; uint8_t b3; uint32_t b4; uint8_t b5; uint64_t b8; uint8_t b9;
        struct { uint8_t flag; struct rec inner; } nested;
        void *pointer; int type;
    };
    struct __attribute__((packed)) packed {
        uint8_t a; uint16_t b; uint8_t c; uint32_t d; uint8_t e; uint64_t f; uint8_t g; uint16_t h[3]; struct rec r; uint64_t last;
    };
    #define AT_PACKED 8192
"#;

#[derive(Debug, Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct Rec {
    kind: c_char,
    value: i64,
    tail: [i16; 3],
}

#[derive(Clone, Copy, Zeroable)]
#[repr(C)]
struct Nested {
    flag: u8,
    inner: Rec,
}

#[derive(Clone, Copy, Zeroable)]
#[repr(C)]
struct Shared {
    magic: c_int,
    owner: libc::pid_t,
    name: [c_char; 32],
    rates: [f64; 16],
    ring: [Rec; 64],
    r#in: c_int,
    out: c_int,
    b1: u8,
    b2: u16,
    b3: u8,
    b4: u32,
    b5: u8,
    b8: u64,
    b9: u8,
    nested: Nested,
    pointer: *mut u8,
    r#type: c_int,
}

#[derive(Clone, Copy, Zeroable)]
#[repr(C, packed)]
struct Packed {
    a: u8,
    b: u16,
    c: u8,
    d: u32,
    e: u8,
    f: u64,
    g: u8,
    h: [u16; 3],
    r: Rec,
    last: u64,
}

const AT_PACKED: usize = 8192;

/// Every leaf member by its path, the same in C and in Rust but for raw identifiers.
macro_rules! for_each_member {
    ($each:ident) => {
        $each!(shared: "magic" [magic], "owner" [owner], "name[0]" [name[0]], "name[31]" [name[31]], "rates[0]" [rates[0]],
            "rates[15]" [rates[15]], "ring[0].kind" [ring[0].kind], "ring[63].value" [ring[63].value], "ring[7].tail[2]" [ring[7].tail[2]],
            "in" [r#in], "out" [out], "b1" [b1], "b2" [b2], "b3" [b3], "b4" [b4], "b5" [b5], "b8" [b8], "b9" [b9],
            "nested.flag" [nested.flag], "nested.inner.value" [nested.inner.value], "nested.inner.tail[1]" [nested.inner.tail[1]],
            "type" [r#type]);
        $each!(packed: "a" [a], "b" [b], "c" [c], "d" [d], "e" [e], "f" [f], "g" [g], "h[0]" [h[0]], "h[2]" [h[2]], "r.kind" [r.kind],
            "r.value" [r.value], "r.tail[0]" [r.tail[0]], "last" [last]);
    };
}

/// One byte value per member, so that each can be told from its neighbours.
fn mark(number: usize) -> u8 {
    (number * 5 + 3) as u8
}

/// A C program that takes the members in order: checks that each consists of bytes `mark + 1`, then fills each with
/// `mark + 2`; all bytes between members must be 0xEE before and after.
fn c_program() -> String {
    let mut marks = String::new();
    let mut number = 0;
    macro_rules! each {
        ($which:ident: $($path:literal [$($member:tt)+]),*) => {$(
            marks += &format!(
                "    check({0}_, sizeof(struct {0}), offsetof(struct {0}, {1}), sizeof({0}_->{1}), {2}, seen_{0});\n",
                stringify!($which), $path, mark(number),
            );
            number += 1;
        )*};
    }
    for_each_member!(each);
    assert!(number > 30);
    format!(
        r#"{C_STRUCTS}
        static unsigned char seen_shared[sizeof(struct shared)], seen_packed[sizeof(struct packed)];
        static void check(void *base, size_t size, size_t offset, size_t len, int mark, unsigned char *seen) {{
            unsigned char *p = (unsigned char *)base + offset;
            for (size_t i = 0; i < len; i++) {{
                if (p[i] != (unsigned char)(mark + 1)) {{ printf("offset %zu + %zu: %d\n", offset, i, p[i]); exit(1); }}
                p[i] = (unsigned char)(mark + 2);
                seen[offset + i] = 1;
            }}
            if (offset + len > size) exit(2);
        }}
        static void rest(void *base, size_t size, unsigned char *seen) {{
            for (size_t i = 0; i < size; i++)
                if (!seen[i] && ((unsigned char *)base)[i] != 0xEE) {{ printf("rest %zu\n", i); exit(3); }}
        }}
        int main(int argc, char **argv) {{
            (void)argc;
            char *base = shmat(atoi(argv[1]), 0, 0);
            struct shared *shared_ = (void *)base;
            struct packed *packed_ = (void *)(base + AT_PACKED);
            printf("%zu %zu %zu\n", sizeof(struct rec), sizeof(struct shared), sizeof(struct packed));
{marks}
            rest(shared_, sizeof(struct shared), seen_shared);
            rest(packed_, sizeof(struct packed), seen_packed);
            printf("as expected\n");
            return shmdt(base);
        }}"#
    )
}

/// Each member's bytes set to its mark plus `add`, through `field!`.
fn write_members(segment: &Segment, add: u8) {
    let mut number = 0..;
    macro_rules! each {
        ($which:ident: $($path:literal [$($member:tt)+]),*) => {$({
            let member = field!($which(segment), $($member)+);
            member.store(bytes_of(member.load(), mark(number.next().unwrap()) + add));
        })*};
    }
    for_each_member!(each);
}

fn check_members(segment: &Segment, add: u8) {
    let mut number = 0..;
    macro_rules! each {
        ($which:ident: $($path:literal [$($member:tt)+]),*) => {$({
            let value = field!($which(segment), $($member)+).load();
            let expected = bytes_of(value, mark(number.next().unwrap()) + add);
            assert_eq!(sysvshm::bytemuck::bytes_of(&value), sysvshm::bytemuck::bytes_of(&expected), $path);
        })*};
    }
    for_each_member!(each);
}

fn shared(segment: &Segment) -> SharedRef<'_, Shared> {
    segment.reference(0).unwrap()
}

fn packed(segment: &Segment) -> SharedRef<'_, Packed> {
    segment.reference(AT_PACKED).unwrap()
}

/// A value of the same type as the first, all of whose bytes are `byte`.
fn bytes_of<T: Pod>(_: T, byte: u8) -> T {
    let mut value = T::zeroed();
    sysvshm::bytemuck::bytes_of_mut(&mut value).fill(byte);
    value
}

#[test]
fn c_finds_every_member_where_field_puts_it_and_the_other_way_round() {
    let Some(program) = CProgram::compile(&c_program()) else {
        return;
    };
    let owned = Owned::new(16384, 0o600);
    let segment = owned.id().attach().unwrap();
    segment.slice::<u8>(0, 16384).unwrap().fill(0xEE);
    write_members(&segment, 1);
    let mut running = Running::spawn(program.command().arg(owned.raw().to_string()));
    let sizes = [size_of::<Rec>(), size_of::<Shared>(), size_of::<Packed>()];
    assert_eq!(
        running.line().unwrap(),
        sizes.map(|size| size.to_string()).join(" ")
    );
    assert_eq!(running.line().unwrap(), "as expected");
    assert!(running.wait().success());
    check_members(&segment, 2);
}

#[test]
fn writing_one_member_touches_no_other_byte() {
    let owned = Owned::new(16384, 0o600);
    let segment = &owned.id().attach().unwrap();
    let all = segment.slice::<u8>(0, 16384).unwrap();
    macro_rules! each {
        ($which:ident: $($path:literal [$($member:tt)+]),*) => {$({
            all.fill(0);
            let member = field!($which(segment), $($member)+);
            member.store(bytes_of(member.load(), 0xff));
            let offset = member.as_ptr().addr() - segment.as_ptr().addr();
            let len = member.bytes().len();
            for (i, byte) in all.iter().enumerate() {
                let inside = (offset..offset + len).contains(&i);
                assert_eq!(byte, if inside { 0xff } else { 0 }, "{} at byte {i}", $path);
            }
        })*};
    }
    for_each_member!(each);
}

#[test]
fn projections_nest_index_and_keep_their_access() {
    let owned = Owned::new(16384, 0o600);
    let segment = owned.id().attach().unwrap();
    let shared = segment.reference::<Shared>(0).unwrap();
    let nested = field!(shared, nested);
    field!(nested, inner).at_value(7);
    assert_eq!(field!(shared, nested.inner.value).load(), 7);
    let rec = field!(nested, inner).load(); // padded, and readable as a whole
    assert_eq!((rec.kind, rec.value), (0, 7));
    for i in 0..64 {
        field!(shared, ring[i].value).store(i as i64);
    }
    let ring = field!(shared, ring);
    let sum: i64 = ring
        .elements()
        .chunks(10)
        .map(|chunk| field!(chunk.at(0), value).load())
        .sum();
    assert_eq!(sum, 10 + 20 + 30 + 40 + 50 + 60);
    let index = 64;
    assert!(std::panic::catch_unwind(|| field!(shared, ring[index].value)).is_err());
    assert!(std::panic::catch_unwind(|| ring.at(index)).is_err());
    let reader = owned.id().attach_read_only().unwrap();
    let shared = reader.reference::<Shared>(0).unwrap();
    assert_eq!(field!(shared, ring[63].value).load(), 63);
    assert_eq!(
        field!(shared, r#in).atomic_load(std::sync::atomic::Ordering::Acquire),
        0
    );
    let pair = segment.reference::<Pair>(0).unwrap();
    field!(pair, 1.0).store(5);
    assert_eq!(pair.load().1.0, 5);
}

/// `SharedRef` has no such method; the trait shows that a projection is an ordinary value.
trait AtValue {
    fn at_value(self, value: i64);
}

impl AtValue for SharedRef<'_, Rec> {
    fn at_value(self, value: i64) {
        field!(self, value).store(value);
    }
}

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct Pair(u8, Inner);

#[derive(Clone, Copy, AnyBitPattern)]
#[repr(C)]
struct Inner(u32);

#[test]
fn misaligned_members_can_be_got_and_set_but_not_loaded() {
    let owned = Owned::new(16384, 0o600);
    let segment = owned.id().attach().unwrap();
    let packed = packed(&segment);
    let (b, f) = (field!(packed, b), field!(packed, f));
    b.store(0x0102);
    f.store(u64::MAX);
    assert_eq!((b.load(), f.load()), (0x0102, u64::MAX));
    assert_eq!((field!(packed, e).load(), field!(packed, g).load()), (0, 0));
    let caught = std::panic::catch_unwind(|| f.atomic_load(Relaxed)).unwrap_err();
    let message = caught.downcast::<String>().unwrap();
    assert!(
        message.starts_with("atomic access to 8 bytes at 0x"),
        "{message}"
    );
    assert!(std::panic::catch_unwind(|| b.fetch_add(1, Relaxed)).is_err());
    assert_eq!(b.load(), 0x0102);
    assert_eq!(field!(packed, a).fetch_add(1, Relaxed), 0);
}

/// A `Deref` cannot lead a projection out of the struct, nor run on shared bytes.
#[test]
fn a_path_that_leaves_the_struct_panics() {
    #[derive(Clone, Copy, AnyBitPattern)]
    #[repr(transparent)]
    struct Pointer(u32);
    struct Elsewhere {
        outside: u64,
    }
    impl std::ops::Deref for Pointer {
        type Target = Elsewhere;
        fn deref(&self) -> &Elsewhere {
            static ELSEWHERE: Elsewhere = Elsewhere { outside: 1 };
            assert_eq!(self.0, 0, "ran on shared bytes");
            &ELSEWHERE
        }
    }
    let owned = Owned::new(64, 0o600);
    let segment = owned.id().attach().unwrap();
    segment.slice::<u32>(0, 16).unwrap().fill(9);
    let pointer = segment.reference::<Pointer>(0).unwrap();
    assert!(std::panic::catch_unwind(|| field!(pointer, outside)).is_err());
    assert_eq!(field!(pointer, 0).load(), 9);
}

/// Structs too large for a stack, as C programs have them.
#[test]
fn large_structs_project_too() {
    #[derive(Clone, Copy, AnyBitPattern)]
    #[repr(C)]
    struct Large {
        head: u32,
        body: [[u8; 1024]; 16384],
        tail: u64,
    }
    let owned = Owned::new(size_of::<Large>(), 0o600);
    let segment = owned.id().attach().unwrap();
    let large = segment.reference::<Large>(0).unwrap();
    field!(large, tail).store(3);
    assert_eq!(field!(large, body[16383][1023]).load(), 0);
    assert_eq!(
        segment
            .reference::<u64>(size_of::<Large>() - 8)
            .unwrap()
            .load(),
        3
    );
}
