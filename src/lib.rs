//! System V shared memory for Rust.
