//! What a program holds of a ring.

pub(crate) mod error;
pub(crate) mod iter;
pub(crate) mod opening;
pub(crate) mod options;
pub(crate) mod refusal;
