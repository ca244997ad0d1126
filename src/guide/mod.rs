//! Chapters on what lies between the calls.

#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("soundness.md")]
pub mod soundness {}

#[doc = include_str!("porting.md")]
pub mod porting {}
