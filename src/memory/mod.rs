//! Typed views of shared bytes.

pub(crate) mod access;
mod array;
mod atomic;
mod borrow;
mod bounds;
mod bulk;
mod element;
mod error;
mod iter;
mod reference;
mod slice;

pub use access::Primitive;
pub use array::SharedArray;
pub use element::{Readable, Storable, Viewable};
pub use error::{ArrayError, LayoutError};
pub use iter::{Chunks, Iter};
pub use reference::SharedRef;
pub use slice::SharedSlice;
