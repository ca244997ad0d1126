//! Chapters on what lies between the calls.
//!
//! | chapter | answers |
//! |---|---|
//! | [`lifecycle`] | Who removes a segment, and when? What is left after a crash, a fork, a reboot, in a container? |
//! | [`soundness`] | Why may safe code touch memory that others write? What is torn, what is ordered, what is checked how? |

#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("soundness.md")]
pub mod soundness {}
