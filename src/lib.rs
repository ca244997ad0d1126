//! System V shared memory for Rust.

pub mod memory;
