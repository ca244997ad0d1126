//! The producer/consumer problem.
pub mod lecture;
