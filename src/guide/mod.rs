//! Chapters on what lies between the calls.
//!
//! | chapter | answers |
//! |---|---|
//! | [`lifecycle`] | Who removes a segment, and when? What is left after a crash, a fork, a reboot, in a container? |
//! | [`crash_safety`] | What is left of shared data when a process is killed? How is nothing lost, or done twice? |
//! | [`porting`] | How does a C program become Rust: call by call, one process of a running system at a time? |
//! | [`soundness`] | Why may safe code touch memory that others write? What is torn, what is ordered, what is checked how? |

#[doc = include_str!("lifecycle.md")]
pub mod lifecycle {}

#[doc = include_str!("crash_safety.md")]
/// ```
#[doc = include_str!("../../tests/recipes/two_copies.rs")]
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let segment = sysvshm::SegmentOptions::new().size_bytes(128).create_new(sysvshm::Key::PRIVATE)?;
/// # segment.mark_for_removal()?;
/// // In the segment: struct { uint64_t version; struct { uint64_t upto, sum; } copies[2]; }
/// let account = TwoCopies {
///     version: segment.reference(0)?,
///     copies: [segment.reference::<[u64; 2]>(8)?, segment.reference::<[u64; 2]>(24)?],
/// };
/// account.write([17, 4711]);
/// assert_eq!(account.read(1), Some((1, [17, 4711])));
/// # Ok(())
/// # }
/// ```
///
/// It asks for one writer at a time: the holder of a role, or of a mutex with `SEM_UNDO`, whose danger, a value
/// half written, is none here. `tests/crash_recipes.rs` kills writers in the middle.
pub mod crash_safety {}

#[doc = include_str!("soundness.md")]
pub mod soundness {}

#[doc = include_str!("porting.md")]
pub mod porting {}
