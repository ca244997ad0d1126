//! The C library's copy loops. `access` never calls them as functions: it hands their addresses to assembly,
//! where the compiler does not see which bytes they touch.
#![cfg_attr(
    not(all(
        target_arch = "x86_64",
        target_pointer_width = "64",
        not(miri),
        not(sysvshm_portable)
    )),
    allow(unused_imports, reason = "the portable accesses copy by themselves")
)]

pub(crate) use libc::{memcpy, memmove, memset};
