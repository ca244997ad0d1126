//! A ring's shared memory: access by offset, the header, where the slots lie, and copies of runs of them.

pub(crate) mod copy;
pub(crate) mod fault;
pub(crate) mod header;
pub(crate) mod memory;
pub(crate) mod pair;
pub(crate) mod slots;
pub(crate) mod words;
