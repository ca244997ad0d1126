//! A bounded buffer for one producer and one consumer: every slot usable, and the fastest.

mod buffer;
mod consumer;
mod error;
mod in_place;
mod layout;
#[cfg(all(test, loom))]
mod model;
mod options;
mod producer;
mod protocol;

pub use buffer::BoundedBuffer;
pub use consumer::{Consumer, Iter, TryIter};
pub use error::{PopError, PushError};
pub use in_place::{Peek, Reservation};
pub use layout::Layout;
pub use options::Options;
pub use producer::Producer;
