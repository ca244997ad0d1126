//! Processes that stop at a breakpoint, are led on by single machine instructions (ptrace), and are killed after
//! the k-th.
//!
//! ```text
//! peer                                    tester
//!   thread = trace_me(); say(thread)        hear(thread)
//!   breakpoint()                            trace(thread, ..), or run_to(thread, &trace, k)
//!   what is stepped                         kill
//!   breakpoint()                            see_the_end(thread); wait
//! ```
//!
//! A step costs two switches between processes and, in a virtual machine, a visit to its host: tens of
//! microseconds. So an operation is stepped once, its path is kept, and with it after which instructions the memory
//! had changed. Who is to die after the k-th instruction runs at full speed to one shortly before, where a
//! breakpoint register of the processor stops it, and is stepped from there.
//!
//! Included by its path where it is used.
#![allow(dead_code, reason = "each user needs a part of it")]
#![allow(unsafe_code, reason = "traces other processes")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use sysvshm::Segment;

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

/// What was seen while a process was stepped from one breakpoint to the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace {
    /// Where each instruction lies, counted from the first of them.
    path: Vec<i64>,
    /// How many times each had been executed before, and whether that can be counted by stopping there.
    earlier: Vec<Option<u32>>,
    /// Those of the instructions that are system calls, by how many come before.
    pub(crate) calls: Vec<u64>,
    /// After so many instructions, what is looked at had become something else.
    pub(crate) changes: Vec<u64>,
}

impl Trace {
    /// How many instructions there are.
    pub(crate) fn total(&self) -> u64 {
        self.path.len() as u64
    }

    /// Where the process is that was traced.
    pub(crate) fn end(&self) -> Led {
        Led {
            executed: self.total(),
            is_on_path: true,
        }
    }

    /// For the report.
    pub(crate) fn in_words(&self, switch: Option<u64>) -> String {
        let switch = switch.map_or("nothing to do".to_owned(), |k| {
            format!("happens at the {k}th")
        });
        format!(
            "{} instructions, {} change something, {switch}",
            self.total(),
            self.changes.len()
        )
    }

    /// Where to kill: after every instruction, if that is asked for. Else right before and right behind every
    /// system call and every change, so that each stretch over which nothing changes is met at both of its ends,
    /// and after `some` numbers of instructions below a given one.
    pub(crate) fn places(&self, some: u64, mut below: impl FnMut(u64) -> u64) -> Vec<u64> {
        if all_steps() {
            return (0..=self.total()).collect();
        }
        let around_calls = self.calls.iter().flat_map(|&at| [at, at + 1]);
        let around_changes = self.changes.iter().flat_map(|&at| [at - 1, at]);
        let random: Vec<u64> = (0..some).map(|_| below(self.total())).collect();
        let ends = [0, self.total()];
        let all: BTreeSet<u64> = around_calls
            .chain(around_changes)
            .chain(random)
            .chain(ends)
            .collect();
        all.into_iter().collect()
    }

    /// Where to stop on the way to the k-th instruction, and how many times before it is the right one; how many
    /// instructions come before that. Costs the fewest stops.
    fn landmark(&self, k: u64) -> Option<(i64, u32, u64)> {
        let mut best: Option<(i64, u32, u64)> = None;
        let mut least = k;
        for at in (1..=k.min(self.total() - 1)).rev() {
            let steps = k - at;
            if steps >= least {
                break;
            }
            let Some(earlier) = self.earlier[at as usize] else {
                continue;
            };
            let stops = steps + u64::from(earlier) + 1;
            if stops < least {
                least = stops;
                best = Some((self.path[at as usize], earlier, at));
            }
        }
        best
    }
}

/// Says each time it is called whether the segment holds something else than the time before.
pub(crate) fn changes_of(segment: &Segment) -> impl FnMut() -> bool + '_ {
    let bytes = segment.slice::<u8>(0, segment.len_bytes()).unwrap();
    let mut last = bytes.to_vec();
    let mut now = last.clone();
    move || {
        bytes.read_into(&mut now);
        let changed = now != last;
        std::mem::swap(&mut now, &mut last);
        changed
    }
}

/// Steps from the first breakpoint to the second, and asks after each instruction whether it has changed anything.
pub(crate) fn trace(thread: i32, mut has_changed: impl FnMut() -> bool) -> Trace {
    expect_breakpoint(thread);
    let mut trace = Trace::default();
    let first = instruction_pointer(thread);
    let mut known: HashMap<u64, Instruction> = HashMap::new();
    loop {
        let at = instruction_pointer(thread);
        match known.entry(at).or_insert_with(|| instruction(thread, at)) {
            Instruction::Breakpoint => break,
            Instruction::SystemCall => trace.calls.push(trace.total()),
            Instruction::Other => {}
        }
        trace.path.push(at.wrapping_sub(first) as i64);
        assert_eq!(step_once(thread), Stop::Elsewhere);
        if has_changed() {
            trace.changes.push(trace.total());
        }
    }
    // An instruction with a repeat prefix is one for a breakpoint, and many for single steps.
    let neighbours = trace.path.windows(2).filter(|pair| pair[0] == pair[1]);
    let repeated: BTreeSet<i64> = neighbours.map(|pair| pair[0]).collect();
    let mut times: HashMap<i64, u32> = HashMap::new();
    for &offset in &trace.path {
        let earlier = times.entry(offset).or_default();
        let counts = is_in_program(offset) && !repeated.contains(&offset);
        trace.earlier.push(counts.then_some(*earlier));
        *earlier += 1;
    }
    trace
}

/// Libraries lie further away from the program than this, and at another distance in each process.
fn is_in_program(offset: i64) -> bool {
    offset.unsigned_abs() < 1 << 30
}

/// How far a process was led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Led {
    /// By so many instructions.
    pub(crate) executed: u64,
    /// Whether it came to where the process came that was traced.
    pub(crate) is_on_path: bool,
}

/// Leads a process from the first breakpoint so many instructions along a path.
pub(crate) fn run_to(thread: i32, trace: &Trace, k: u64) -> Led {
    expect_breakpoint(thread);
    let first = instruction_pointer(thread);
    let mut executed = 0;
    if let Some((offset, earlier, before)) = trace.landmark(k) {
        break_at(thread, Some(first.wrapping_add_signed(offset)));
        for _ in 0..=earlier {
            if go_on(thread) == Stop::Breakpoint {
                return Led {
                    executed: trace.total(),
                    is_on_path: false,
                };
            }
        }
        break_at(thread, None);
        executed = before;
    }
    while executed < k {
        if step_once(thread) == Stop::Breakpoint {
            return Led {
                executed,
                is_on_path: false,
            };
        }
        executed += 1;
    }
    let at = instruction_pointer(thread);
    let is_on_path = match trace.path.get(k as usize) {
        None => instruction(thread, at) == Instruction::Breakpoint,
        Some(&offset) if is_in_program(offset) => at == first.wrapping_add_signed(offset),
        Some(_) => !is_in_program(at.wrapping_sub(first) as i64),
    };
    Led {
        executed,
        is_on_path,
    }
}

/// After how many instructions an operation had happened that had not one instruction before; `None`: after none.
/// Not good if that is not told to the instruction, or if there is more than one such place.
pub(crate) fn switch(happened: &BTreeMap<u64, bool>) -> Result<Option<u64>, String> {
    let never = happened.iter().take_while(|(_, happened)| !**happened);
    let never = never.last().map(|(&k, _)| k);
    let mut later = happened
        .iter()
        .skip_while(|(_, happened)| !**happened)
        .peekable();
    let always = later.peek().map(|&(&k, _)| k);
    if let Some((k, _)) = later.find(|(_, happened)| !**happened) {
        return Err(format!("not happened again after {k}"));
    }
    match (never, always) {
        (_, None) => Ok(None),
        (Some(never), Some(always)) if never + 1 == always => Ok(Some(always)),
        _ => Err(format!("never after {never:?}, always after {always:?}")),
    }
}

/// For the report. A process that looks at the clock does not go the same way each time.
pub(crate) fn kills_in_words(kills: usize, elsewhere: usize) -> String {
    match elsewhere {
        0 => format!("{kills} kills"),
        _ => format!("{kills} kills, {elsewhere} of them on another path"),
    }
}

/// Does something with each, several at a time, and keeps their order. Most of the time of a process that is
/// started to be killed is spent waiting for the kernel. Whoever starts a process is the one thread that may trace
/// it.
pub(crate) fn with_each<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(all.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = all.get(index) else { break };
                    let result = work(one);
                    results.lock().unwrap().insert(index, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

/// After a kill: a traced thread is there until its tracer has seen its end, and the process with it.
pub(crate) fn see_the_end(thread: i32) {
    while next_stop(thread) != Stop::Ended {}
}

/// Where to kill next, to find each instruction at which what is left behind becomes something else: half way
/// between neighbours that differ.
pub(crate) fn between_stages<S: PartialEq>(stages: &BTreeMap<u64, S>) -> Vec<u64> {
    let neighbours = stages.iter().zip(stages.iter().skip(1));
    neighbours
        .filter(|((at, one), (then, other))| one != other && *then - *at > 1)
        .map(|((at, _), (then, _))| at + (then - at) / 2)
        .collect()
}

/// Why a traced thread stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Behind `int3`.
    Breakpoint,
    /// Behind a single step, or where the register says.
    Elsewhere,
    Ended,
}

fn next_stop(thread: i32) -> Stop {
    let mut status = 0;
    // SAFETY: `status` lives across the call.
    let waited = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    assert_eq!(waited, thread);
    if !libc::WIFSTOPPED(status) {
        return Stop::Ended;
    }
    assert_eq!(libc::WSTOPSIG(status), libc::SIGTRAP);
    // SAFETY: a siginfo_t of zeros is one.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let target = &raw mut info;
    // SAFETY: the thread is stopped, and `info` is a whole siginfo_t.
    let asked = unsafe { libc::ptrace(libc::PTRACE_GETSIGINFO, thread, 0, target) };
    assert_eq!(asked, 0);
    /// What `int3` is told by from all else: a single step is `TRAP_TRACE`, behind a system call `TRAP_BRKPT`, and
    /// the register's `TRAP_HWBKPT`.
    const SI_KERNEL: i32 = 0x80;
    if info.si_code == SI_KERNEL {
        Stop::Breakpoint
    } else {
        Stop::Elsewhere
    }
}

fn expect_breakpoint(thread: i32) {
    assert_eq!(
        next_stop(thread),
        Stop::Breakpoint,
        "the peer did not get there"
    );
}

/// One instruction, or one system call.
fn step_once(thread: i32) -> Stop {
    resume(thread, libc::PTRACE_SINGLESTEP)
}

/// To the next stop.
fn go_on(thread: i32) -> Stop {
    resume(thread, libc::PTRACE_CONT)
}

fn resume(thread: i32, how: Request) -> Stop {
    // SAFETY: the thread is stopped.
    let resumed = unsafe { libc::ptrace(how, thread, 0, 0) };
    assert_eq!(resumed, 0);
    let stop = next_stop(thread);
    assert_ne!(stop, Stop::Ended, "the peer ended");
    stop
}

/// The first argument of ptrace(2) is of another type in each C library.
#[cfg(target_env = "musl")]
type Request = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Request = libc::c_uint;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instruction {
    /// `int3`
    Breakpoint,
    /// `syscall`
    SystemCall,
    Other,
}

/// What the stopped thread would execute at this address.
fn instruction(thread: i32, address: u64) -> Instruction {
    // SAFETY: the thread is stopped; a word of its memory is read.
    let word = unsafe { libc::ptrace(libc::PTRACE_PEEKTEXT, thread, address, 0) };
    match word.to_le_bytes() {
        [0xcc, ..] => Instruction::Breakpoint,
        [0x0f, 0x05, ..] => Instruction::SystemCall,
        _ => Instruction::Other,
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn instruction_pointer(thread: i32) -> u64 {
    let register = std::mem::offset_of!(libc::user, regs.rip);
    // SAFETY: the thread is stopped; one of its registers is read.
    let value = unsafe { libc::ptrace(libc::PTRACE_PEEKUSER, thread, register, 0) };
    value as u64
}

/// Has the processor stop the thread before it executes what lies there; `None`: no longer. (Intel, Software
/// Developer's Manual, volume 3, "Debug Registers".)
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn break_at(thread: i32, address: Option<u64>) {
    /// Register 0 is in use, for instructions.
    const LOCAL_0: u64 = 1;
    let registers = std::mem::offset_of!(libc::user, u_debugreg);
    let poke = |number: usize, value: u64| {
        let register = registers + number * size_of::<u64>();
        // SAFETY: the thread is stopped; one of its debug registers is written, which the kernel checks.
        let poked = unsafe { libc::ptrace(libc::PTRACE_POKEUSER, thread, register, value) };
        assert_eq!(poked, 0, "{}", std::io::Error::last_os_error());
    };
    if let Some(address) = address {
        poke(0, address);
    }
    poke(7, if address.is_some() { LOCAL_0 } else { 0 });
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn instruction_pointer(_: i32) -> u64 {
    unreachable!("see IS_POSSIBLE")
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn break_at(_: i32, _: Option<u64>) {
    unreachable!("see IS_POSSIBLE")
}
