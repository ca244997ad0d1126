//! A ring in shared memory, from its bytes to its handles.
//!
//! [`front`] is what a program holds: the ring, its options, producers and consumers, chunks and iterators. It is
//! written once, over a [`protocol`], which says how slots change hands. Both stand on [`wait`], which blocks and
//! wakes, and on [`shm`], which reads and writes the segment.

pub(crate) mod front;
pub(crate) mod protocol;
pub(crate) mod shm;
pub(crate) mod wait;
