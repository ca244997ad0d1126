//! The protocol for many producers and many consumers.

pub(crate) mod claim;
pub(crate) mod cursor;
pub(crate) mod endpoint;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod model;
pub(crate) mod slot_word;
pub(crate) mod snapshot;
pub(crate) mod table;

pub(crate) use layout::MAGIC;
pub(crate) use snapshot::{LEAST_BYTES, look};
