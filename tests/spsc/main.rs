//! The ring for one producer and one consumer: behaviour, liveness, and the promise under kills.
//!
//! Peers are this binary, executed again with [`support::PEER`] set. Storms and the single-stepping have a small
//! seeded budget here; these give them more:
//!
//! ```text
//! SYSVSHM_SEED=7 SYSVSHM_KILLS=20000 cargo test --release --test spsc storm -- --nocapture
//! SYSVSHM_STEPS=all cargo test --release --test spsc killed_ -- --nocapture
//! SYSVSHM_SCRIBBLES=1000000 cargo test --release --test spsc hostile -- --nocapture
//! SYSVSHM_LONG_RUN=1000000000 cargo test --release --test spsc long_run -- --nocapture
//! ```

#[path = "../common/random.rs"]
mod random;
#[path = "../common/single_step.rs"]
mod single_step;
#[path = "../common/tokens.rs"]
mod tokens;

mod beginnings;
mod behaviour;
mod end_of_positions;
mod hostile;
mod instructions;
mod interop;
mod liveness;
mod storm;
mod support;
