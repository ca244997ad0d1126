//! Chapters on what lies between the calls.
//!
//! | chapter | answers |
//! |---|---|
//! | [`lifecycle`] | Who removes a segment, and when? What is left after a crash, a fork, a reboot, in a container? |
//! | [`crash_safety`] | What is left of shared data when a process is killed? How is nothing lost, or done twice? |
//! | [`waiting`] | What ends a wait of a ring, Ctrl-C and the end of a stream included? What can it not know? |
//! | [`porting`] | How does a C program become Rust: call by call, one process of a running system at a time? |
//! | [`soundness`] | Why may safe code touch memory that others write? What is torn, what is ordered, what is checked how? |

#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("crash_safety.md")]
pub mod crash_safety {}

#[doc = include_str!("soundness.md")]
pub mod soundness {}

#[doc = include_str!("waiting.md")]
pub mod waiting {}

#[doc = include_str!("porting.md")]
pub mod porting {}
