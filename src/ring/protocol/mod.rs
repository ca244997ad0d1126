//! How slots change hands: the protocols of the rings, and what they share.

pub(crate) mod attached;
pub(crate) mod error;
pub(crate) mod mpmc;
pub(crate) mod role;
pub(crate) mod spsc;
