//! System V shared memory for Rust.

pub mod memory;
mod segment;
pub use bytemuck;
pub use segment::{Access, ReadOnly, ReadWrite, Segment};
