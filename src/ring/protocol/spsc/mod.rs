//! The protocol for one producer and one consumer.

pub(crate) mod claim;
pub(crate) mod cursor;
pub(crate) mod layout;
#[cfg(all(test, loom))]
mod model;
pub(crate) mod pop;
pub(crate) mod push;
pub(crate) mod snapshot;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use layout::MAGIC;
pub(crate) use snapshot::{LEAST_BYTES, look};
