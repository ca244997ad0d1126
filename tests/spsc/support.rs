//! Peers, guards, and randomness with a seed.

pub(crate) use crate::random::{Random, budget, seed};
use crate::tokens::remove_token_of;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;
use sysvshm::bounded_buffer::spsc::{BoundedBuffer, Layout, Options};
use sysvshm::{Key, SegmentId, bytemuck::Pod};

/// What a peer is to do: its name and its arguments.
pub(crate) const PEER: &str = "SYSVSHM_TEST_PEER";

pub(crate) const LAYOUTS: [Layout; 2] = [Layout::Interleaved, Layout::Contiguous];

/// Where a peer begins. Does nothing in the run that a person starts.
#[test]
fn peer() {
    let Ok(task) = std::env::var(PEER) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    let numbers: Vec<u64> = words[1..]
        .iter()
        .map(|word| word.parse().unwrap())
        .collect();
    match words[0] {
        "step" => crate::instructions::peer(&numbers),
        "begin-step" => crate::beginnings::peer(&numbers),
        "storm" => crate::storm::peer(&numbers),
        "hold" => crate::liveness::hold(&numbers),
        "hold-and-exec" => crate::liveness::hold_and_exec(&numbers),
        "hold-and-fork" => crate::liveness::hold_and_fork(&numbers),
        "namespace" => crate::liveness::namespace(&numbers),
        "begin" => crate::liveness::begin_to_initialise(&numbers),
        "scribble" => crate::hostile::peer(&numbers),
        other => panic!("no peer {other}"),
    }
    // Without the harness's report, which would only confuse who reads our standard output.
    std::process::exit(0);
}

/// A peer process; killed and collected when dropped.
pub(crate) struct Peer {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
}

impl Peer {
    pub(crate) fn start(name: &str, numbers: &[u64]) -> Self {
        Self::spawn(&mut Self::command(name, numbers))
    }

    pub(crate) fn command(name: &str, numbers: &[u64]) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::prepare(&mut command, name, numbers);
        command
    }

    /// `prefix` runs this binary as its last arguments.
    pub(crate) fn command_under(prefix: &[&str], name: &str, numbers: &[u64]) -> Command {
        let mut command = Command::new(prefix[0]);
        command
            .args(&prefix[1..])
            .arg(std::env::current_exe().unwrap());
        Self::prepare(&mut command, name, numbers);
        command
    }

    fn prepare(command: &mut Command, name: &str, numbers: &[u64]) {
        let mut task = name.to_string();
        for number in numbers {
            task.push_str(&format!(" {number}"));
        }
        command
            .args([
                "--exact",
                "support::peer",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(PEER, task);
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for the peer to say this.
    pub(crate) fn expect(&mut self, what: &str) {
        while !self.line(what).ends_with(what) {}
    }

    /// Waits for the peer to say this with a number behind it.
    pub(crate) fn expect_number(&mut self, what: &str) -> i32 {
        loop {
            if let Some(number) = self.line(what).strip_prefix(what) {
                return number.parse().unwrap();
            }
        }
    }

    fn line(&mut self, what: &str) -> String {
        let mut line = String::new();
        let read = self.out.read_line(&mut line).unwrap();
        assert!(read > 0, "the peer ended without saying {what:?}");
        line.trim_end().to_string()
    }

    #[allow(unsafe_code)]
    pub(crate) fn signal(&self, signal: i32) {
        // SAFETY: a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Everything the peer says until it ends.
    pub(crate) fn read_all(&mut self) -> String {
        let mut text = String::new();
        self.out.read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        remove_token_of(self.child.id());
    }

    /// Lets the peer go on, and waits for its good end.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the peer ended with {status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        remove_token_of(self.child.id());
    }
}

/// Says something to whoever started this peer.
pub(crate) fn say(what: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{what}").unwrap();
    out.flush().unwrap();
}

/// Waits until whoever started this peer lets go of its standard input.
pub(crate) fn wait_for_permission() {
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}

/// A ring that goes when this process and its peers are gone, however they end.
pub(crate) fn ring<T: Pod>(capacity: usize, layout: Layout) -> BoundedBuffer<T> {
    ring_with(Options::new().capacity(capacity).layout(layout))
}

pub(crate) fn ring_with<T: Pod>(options: &Options) -> BoundedBuffer<T> {
    let ring = options.create_new(Key::PRIVATE).unwrap();
    ring.segment().mark_for_removal().unwrap();
    ring
}

/// What a peer opens by the number it was given.
pub(crate) fn attach<T: Pod>(id: u64) -> BoundedBuffer<T> {
    Options::new()
        .attach(SegmentId::from_raw(id as i32))
        .unwrap()
}

pub(crate) fn id<T: Pod>(ring: &BoundedBuffer<T>) -> u64 {
    ring.segment().id().as_raw() as u64
}

/// One at a time: what needs a processor for itself.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) const LONG: Duration = Duration::from_secs(60);
