//! What a program holds of a ring, written once over its [protocol](crate::ring::protocol).

pub(crate) mod canceller;
pub(crate) mod chunk;
pub(crate) mod consumer;
pub(crate) mod error;
pub(crate) mod iter;
pub(crate) mod opening;
pub(crate) mod options;
pub(crate) mod participant;
pub(crate) mod producer;
pub(crate) mod refusal;
pub(crate) mod ring;
mod stream;
