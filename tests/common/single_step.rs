//! Processes that stop at a breakpoint and are then led on by single machine instructions (ptrace), to be killed
//! after the k-th.
//!
//! ```text
//! peer                                    tester
//!   thread = trace_me(); say(thread)        hear(thread)
//!   breakpoint()                            step(thread, k), or steps(thread)
//!   what is stepped                         kill
//!   breakpoint()                            see_the_end(thread); wait
//! ```
//!
//! Included by its path where it is used.
#![allow(dead_code, reason = "each user needs a part of it")]
#![allow(unsafe_code, reason = "traces other processes")]

/// Single steps are for x86-64 Linux.
pub(crate) const IS_POSSIBLE: bool = cfg!(all(target_arch = "x86_64", target_os = "linux"));

/// What `SYSVSHM_STEPS=all` asks for.
pub(crate) fn all_steps() -> bool {
    std::env::var("SYSVSHM_STEPS").is_ok_and(|value| value == "all")
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn breakpoint() {
    // SAFETY: traps to the tracer, which lets it go on. The default options keep every access to memory on its side
    // of it.
    unsafe { std::arch::asm!("int3") };
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn breakpoint() {}

/// Asks to be traced by the parent, which is waiting for that, and says which thread that is: the harness runs
/// this on one of its own, and single threads are traced. To be told to the tracer: before, it may not wait for a
/// thread that is not its child.
pub(crate) fn trace_me() -> i32 {
    // SAFETY: changes who is told of this thread's signals.
    assert_eq!(unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) }, 0);
    // SAFETY: no preconditions, cannot fail.
    unsafe { libc::gettid() }
}

/// Waits for the next stop of a traced thread, and says whether it is a breakpoint; `None` if it ended.
fn next_stop(thread: i32) -> Option<bool> {
    let mut status = 0;
    // SAFETY: `status` lives across the call.
    let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    assert_eq!(waited, thread);
    if !libc::WIFSTOPPED(status) {
        return None;
    }
    assert_eq!(libc::WSTOPSIG(status), libc::SIGTRAP);
    // SAFETY: a siginfo_t of zeros is one.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let target = &raw mut info;
    // SAFETY: the thread is stopped, and `info` is a whole siginfo_t.
    let asked = unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, thread, 0, target) };
    assert_eq!(asked, 0);
    /// What `int3` is told from a single step by: that is `TRAP_TRACE`, and behind a system call `TRAP_BRKPT`.
    const SI_KERNEL: i32 = 0x80;
    Some(info.si_code == SI_KERNEL)
}

/// One instruction, or one system call. Says whether that was the breakpoint.
fn step_once(thread: i32) -> bool {
    // SAFETY: the thread is stopped.
    let stepped = unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, thread, 0, 0) };
    assert_eq!(stepped, 0);
    next_stop(thread).expect("the peer ended")
}

/// Steps from the first breakpoint to the second, or until `most` instructions are executed. Says how many, and
/// whether that was all.
pub(crate) fn step(thread: i32, most: u64) -> (u64, bool) {
    assert_eq!(next_stop(thread), Some(true), "the peer did not stop");
    for executed in 0..most {
        if step_once(thread) {
            return (executed, true);
        }
    }
    (most, false)
}

/// As `step`, of what is known already: runs at full speed to the end of the last system call before the `most`-th
/// instruction, and steps from there.
pub(crate) fn step_from_calls(thread: i32, known: &Steps, most: u64) -> (u64, bool) {
    assert_eq!(next_stop(thread), Some(true), "the peer did not stop");
    // Where a system call begins or ends, the signal has bit 7 set.
    // SAFETY: the thread is stopped; sets an option of the trace.
    let set = unsafe {
        libc::ptrace(
            libc::PTRACE_SETOPTIONS,
            thread,
            0,
            libc::PTRACE_O_TRACESYSGOOD,
        )
    };
    assert_eq!(set, 0);
    let passed: Vec<u64> = known
        .calls
        .iter()
        .copied()
        .filter(|&at| at < most)
        .collect();
    for _ in 0..2 * passed.len() {
        // SAFETY: the thread is stopped.
        let resumed = unsafe { libc::ptrace(libc::PTRACE_SYSCALL, thread, 0, 0) };
        assert_eq!(resumed, 0);
        let mut status = 0;
        // SAFETY: `status` lives across the call.
        let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
        assert!(
            waited == thread && libc::WIFSTOPPED(status),
            "the peer ended"
        );
        if libc::WSTOPSIG(status) == libc::SIGTRAP {
            // The breakpoint: fewer calls than there were before.
            return (known.total, true);
        }
        assert_eq!(libc::WSTOPSIG(status), libc::SIGTRAP | 0x80);
    }
    for executed in passed.last().map_or(0, |at| at + 1)..most {
        if step_once(thread) {
            return (executed, true);
        }
    }
    (most, false)
}

/// What there is to step through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    pub(crate) total: u64,
    /// Those of the instructions that are system calls, by how many come before.
    pub(crate) calls: Vec<u64>,
}

/// Steps from the first breakpoint to the second.
pub(crate) fn steps(thread: i32) -> Steps {
    assert_eq!(next_stop(thread), Some(true), "the peer did not stop");
    let mut steps = Steps::default();
    loop {
        let is_call = is_at_system_call(thread);
        if step_once(thread) {
            return steps;
        }
        if is_call {
            steps.calls.push(steps.total);
        }
        steps.total += 1;
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn is_at_system_call(thread: i32) -> bool {
    // SAFETY: a user_regs_struct of zeros is one.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    let target = &raw mut registers;
    // SAFETY: the thread is stopped, and `registers` is a whole user_regs_struct.
    let asked = unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0, target) };
    assert_eq!(asked, 0);
    // SAFETY: the thread is stopped; a word of its memory is read, which holds the next instruction.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, thread, registers.rip, 0) };
    /// The two bytes of `syscall`.
    const SYSCALL: i64 = 0x050f;
    word & 0xffff == SYSCALL
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn is_at_system_call(_: i32) -> bool {
    false
}

/// After a kill: a traced thread is there until its tracer has seen its end, and the process with it.
pub(crate) fn see_the_end(thread: i32) {
    while next_stop(thread).is_some() {}
}

/// Where to kill: everywhere, if that is asked for; else right before and right behind every system call, and after
/// `some` numbers below a given one.
pub(crate) fn places(steps: &Steps, some: u64, mut below: impl FnMut(u64) -> u64) -> Vec<u64> {
    if all_steps() {
        return (0..=steps.total).collect();
    }
    let around = steps.calls.iter().flat_map(|&at| [at, at + 1]);
    let random: Vec<u64> = (0..some).map(|_| below(steps.total)).collect();
    let mut all: Vec<u64> = around.chain(random).chain([0, steps.total]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Where to kill next, to find each instruction at which what is left behind becomes something else: half way
/// between neighbours that differ.
pub(crate) fn between_stages<S: PartialEq>(
    stages: &std::collections::BTreeMap<u64, S>,
) -> Vec<u64> {
    let neighbours = stages.iter().zip(stages.iter().skip(1));
    neighbours
        .filter(|((at, one), (then, other))| one != other && *then - *at > 1)
        .map(|((at, _), (then, _))| at + (then - at) / 2)
        .collect()
}
