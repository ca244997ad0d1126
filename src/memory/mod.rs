//! Typed views of shared bytes.

pub(crate) mod access;

pub use access::Primitive;
