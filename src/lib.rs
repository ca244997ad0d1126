//! System V shared memory for Rust.

pub mod bounded_buffer;
pub mod error;
mod flags;
mod fork;
pub mod guide;
mod key;
pub mod memory;
pub mod raw;
pub mod segment;
mod sys;
pub mod system;

pub use bytemuck;
pub use error::{Error, ErrorKind};
pub use flags::{AttachFlags, Mode};
pub use key::Key;
pub use memory::{SharedArray, SharedRef, SharedSlice};
pub use segment::{
    HugePages, ProcessState, ReadOnly, ReadWrite, Removal, Segment, SegmentId, SegmentOptions,
    Status,
};
