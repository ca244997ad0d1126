//! The producer/consumer problem.
mod crowd;
mod error;
mod header;
pub mod lecture;
pub mod mpmc;
mod participant;
mod seam;
pub mod spsc;
mod wait;

pub use error::{ClaimError, OpenError, PeerState};
pub use wait::Waiting;
