//! The ring for many producers and many consumers: behaviour, recovery, and the promise under kills.
//!
//! Storms and the single-stepping have a small seeded budget here; these give them more:
//!
//! ```text
//! SYSVSHM_SEED=7 SYSVSHM_KILLS=20000 cargo test --release --test mpmc storm -- --nocapture
//! SYSVSHM_STEPS=all cargo test --release --test mpmc killed -- --nocapture
//! SYSVSHM_SCRIBBLES=1000000 cargo test --release --test mpmc hostile -- --nocapture
//! SYSVSHM_LONG_RUN=100000000 cargo test --release --test mpmc long_run -- --nocapture
//! ```

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/single_step.rs"]
mod single_step;
#[path = "../common/tokens.rs"]
mod tokens;

mod beginnings;
mod behaviour;
mod end_of_laps;
mod history;
mod hostile;
mod instructions;
mod interop;
mod liveness;
mod long_run;
mod storm;
mod support;
