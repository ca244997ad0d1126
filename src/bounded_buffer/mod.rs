//! The producer/consumer problem.
mod error;
mod header;
pub mod lecture;
mod participant;
mod seam;
pub mod spsc;
mod wait;

pub use error::{ClaimError, OpenError, PeerState};
pub use wait::Waiting;
