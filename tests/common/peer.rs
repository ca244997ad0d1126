//! Peers: pieces of a test that run in another process.
//!
//! [`peer!`] stands at the top of a test, before anything is set up. In the test itself it merely notes the
//! closure's place; [`Peer::start`] then executes the test binary anew, told by the environment which closure is
//! meant. The copy enters the same test, gets to the same `peer!`, runs the closure there and ends. So a peer is a
//! process of its own, with nothing inherited, and its code stands where it is used.
//!
//! ```ignore
//! let reader = peer!(|talk| {
//!     let segment = SegmentOptions::new().open(talk.args[0].parse().unwrap()).unwrap();
//!     talk.say(segment.len_bytes());      // evidence
//!     talk.hear();                        // wait to be told to go on
//! });
//! let key = OwnedKey::random();
//! key.create(100, 0o600);
//! let mut running = reader.arg(key.key()).start();
//! assert_eq!(running.hear(), "100");
//! running.say("enough");
//! running.finish();                       // asserts that it got to its end and did not fail
//! ```

use super::{NOBODY, limit};
use std::fmt::Display;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "SYSVSHM_TEST_PEER";
const ARGS: &str = "SYSVSHM_TEST_PEER_ARGS";
const USER: &str = "SYSVSHM_TEST_PEER_USER";
const NAMESPACE: &str = "SYSVSHM_TEST_PEER_NAMESPACE";
/// Starts each line that is meant for the other side; libtest prints lines of its own.
const SAID: &str = "peer: ";
const DONE: &str = "done";
/// How long a process may keep a test waiting, so that a hang is a failure with a name. No test needs a tenth of it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Declares a peer of the test it stands in. Must come before anything that the copy shall not do again.
macro_rules! peer {
    ($body:expr) => {{
        fn here() {}
        $crate::common::Peer::declare(std::any::type_name_of_val(&here), line!(), $body)
    }};
}
pub(crate) use peer;

/// Whether this process is a re-executed copy.
pub(super) fn is_peer() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// A closure that can be run in another process.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    test: String,
    role: String,
    args: Vec<String>,
    user: Option<u32>,
    private_namespace: bool,
    prefix: Vec<String>,
}

impl Peer {
    /// What [`peer!`] calls. Does not return in the process that is this peer.
    pub(crate) fn declare(place: &str, line: u32, body: impl FnOnce(&mut Talk)) -> Self {
        // `file::module::test::here`, with `{{closure}}` where an attribute wrapped the test.
        let mut path: Vec<&str> = place.split("::").filter(|s| *s != "{{closure}}").collect();
        path.pop();
        path.remove(0);
        let role = line.to_string();
        if std::env::var(ROLE).is_ok_and(|wanted| wanted == role) {
            limit(libc::RLIMIT_CORE, 0);
            if std::env::var_os(NAMESPACE).is_some() {
                enter_private_namespace();
            }
            if let Ok(user) = std::env::var(USER) {
                become_user(user.parse().unwrap());
            }
            let args = std::env::var(ARGS).unwrap_or_default();
            let mut talk = Talk {
                args: args.split('\n').map(str::to_owned).collect(),
            };
            body(&mut talk);
            talk.say(DONE);
            std::io::stdout().flush().unwrap();
            // Not exit(3): libtest's main thread may still be about to wait for this one, and two of seven thousand
            // peers crashed while exit tore down what both use.
            // SAFETY: ends the process at once; all that was said is on its way.
            unsafe { libc::_exit(0) };
        }
        Self {
            test: path.join("::"),
            role,
            args: Vec::new(),
            user: None,
            private_namespace: false,
            prefix: Vec::new(),
        }
    }

    /// One more argument, found in [`Talk::args`]. No line breaks.
    pub(crate) fn arg(mut self, arg: impl Display) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// Runs as uid and gid 65534 without other groups. Root only.
    pub(crate) fn nobody(self) -> Self {
        self.user(NOBODY)
    }

    /// Runs with this uid and gid without other groups. Root only.
    pub(crate) fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Runs in an IPC namespace of its own, empty at first, gone with the process. Root only.
    pub(crate) fn private_namespace(mut self) -> Self {
        self.private_namespace = true;
        self
    }

    /// Is started by this command, which runs its last arguments. What [`Running`] kills is that command.
    pub(crate) fn under(mut self, prefix: &[&str]) -> Self {
        self.prefix = prefix.iter().map(|&word| word.to_owned()).collect();
        self
    }

    pub(crate) fn start(&self) -> Running {
        let binary = std::env::current_exe().unwrap();
        let mut command = match self.prefix.split_first() {
            None => Command::new(binary),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(binary);
                command
            }
        };
        command
            .args(["--exact", &self.test, "--nocapture", "--test-threads=1"])
            .env(ROLE, &self.role)
            .env(ARGS, self.args.join("\n"))
            .env_remove(USER)
            .env_remove(NAMESPACE);
        if let Some(user) = self.user {
            command.env(USER, user.to_string());
        }
        if self.private_namespace {
            command.env(NAMESPACE, "private");
        }
        Running::spawn(&mut command)
    }

    /// Starts it and waits for its end; the lines it said.
    #[track_caller]
    pub(crate) fn run(&self) -> Vec<String> {
        self.start().finish()
    }
}

/// Moves this thread, and those it starts from now on, to an IPC namespace of their own.
///
/// Between fork and exec it would take a real fork, which shows in the count of attaches of every segment that
/// other tests hold.
pub(crate) fn enter_private_namespace() {
    // SAFETY: a plain number; moves the caller's IPC namespace alone.
    let done = unsafe { libc::unshare(libc::CLONE_NEWIPC) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Gives up root for all threads of this process, for good.
fn become_user(user: u32) {
    // SAFETY: no group list is passed.
    let done = unsafe { libc::setgroups(0, std::ptr::null()) };
    assert_eq!(done, 0);
    // SAFETY: plain numbers.
    let done = unsafe { libc::setgid(user) };
    assert_eq!(done, 0);
    // SAFETY: plain numbers.
    let done = unsafe { libc::setuid(user) };
    assert_eq!(done, 0);
    // A process that changed its user may not look into its own /proc entries until it says so.
    // SAFETY: takes a number, affects core dumps and /proc alone.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) };
}

/// The peer's side of the conversation: lines over standard input and output.
#[derive(Debug)]
pub(crate) struct Talk {
    pub(crate) args: Vec<String>,
}

impl Talk {
    /// Argument `index`, as whatever the test passed.
    #[track_caller]
    pub(crate) fn arg<T: std::str::FromStr>(&self, index: usize) -> T {
        let text = &self.args[index];
        text.parse()
            .unwrap_or_else(|_| panic!("argument {index}: {text:?}"))
    }

    pub(crate) fn say(&self, what: impl Display) {
        // libtest may have begun a line.
        println!("\n{SAID}{what}");
    }

    /// Waits for a line.
    #[track_caller]
    pub(crate) fn hear(&self) -> String {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line).unwrap();
        assert_ne!(read, 0, "the test ended while its peer waited");
        line.trim_end().to_owned()
    }
}

/// A process that is killed when this value goes.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    /// Starts any program with piped input and output, watched for leftovers.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        super::leftovers::watch();
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        super::leftovers::watch_process(child.id());
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn say(&mut self, what: impl Display) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{what}").unwrap();
    }

    /// The next line a Rust peer says.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        loop {
            let Some(line) = self.line() else {
                panic!("the peer ended early: {:?}", self.wait_for_end());
            };
            if let Some(said) = line.strip_prefix(SAID) {
                return said.to_owned();
            }
        }
    }

    /// The next line of output, of any program; `None` at its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> Option<String> {
        if self.output.buffer().is_empty() {
            self.wait_for_output();
        }
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        (read != 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// Waits until there is something to read, or the end of it.
    #[track_caller]
    fn wait_for_output(&self) {
        let mut output = libc::pollfd {
            fd: self.output.get_ref().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let started = Instant::now();
        loop {
            // SAFETY: one whole pollfd, whose descriptor this value owns.
            let ready = unsafe { libc::poll(&raw mut output, 1, 1000) };
            if ready > 0 {
                return;
            }
            let pid = self.pid();
            assert!(
                started.elapsed() < PATIENCE,
                "process {pid} says nothing and does not end"
            );
        }
    }

    #[track_caller]
    fn wait_for_end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            let pid = self.pid();
            assert!(started.elapsed() < PATIENCE, "process {pid} does not end");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Waits for the end of a Rust peer, asserts that it did all it had to, and returns what it said and nobody has
    /// heard.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Vec<String> {
        // A peer that still waits for a line fails rather than hangs.
        self.input = None;
        let mut said = Vec::new();
        while let Some(line) = self.line() {
            if let Some(line) = line.strip_prefix(SAID) {
                said.push(line.to_owned());
            }
        }
        let status = self.wait_for_end();
        assert!(status.success(), "the peer failed: {status}");
        // Without this, a copy that never got to the closure would pass for one that did.
        assert_eq!(said.pop().as_deref(), Some(DONE));
        said
    }

    /// Waits for the end of any program.
    #[track_caller]
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.input = None;
        while self.line().is_some() {}
        self.wait_for_end()
    }

    /// Waits for the end and says which signal made it.
    #[track_caller]
    pub(crate) fn signal(self) -> Option<i32> {
        self.wait().signal()
    }

    /// Sends a signal. The process has not been waited for.
    #[track_caller]
    pub(crate) fn send(&self, signal: i32) {
        // SAFETY: plain numbers; a child that was not waited for keeps its number.
        let done = unsafe { libc::kill(self.pid() as i32, signal) };
        assert_eq!(done, 0);
    }

    /// The letter that `ps` shows for the state of the process, such as Z for a zombie and T for a stopped one.
    pub(crate) fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // Behind the name, which may hold anything.
        let (_, behind) = stat.rsplit_once(") ").unwrap();
        behind.chars().next().unwrap()
    }

    /// Sends SIGKILL and waits until the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
