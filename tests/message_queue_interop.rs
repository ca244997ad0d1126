//! One queue, used by C, Perl, Python and us at the same time.
#![cfg(target_os = "linux")]

mod common;

use common::{
    CProgram, OwnedQueue, OwnedQueueKey, Running, peer, skipped, sysctl, until, until_asleep_in,
};
use std::process::Command;
use sysvshm::message_queue::{Message, Receive};
use sysvshm::{ErrorKind, MessageQueue, MessageQueueOptions, Mode};

/// One word per task, in the style a C programmer would write it.
const C: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/types.h>
#include <unistd.h>

struct point { int x; int y; double weight; };
struct message { long mtype; struct point point; };
struct text { long mtype; char mtext[100]; };

static volatile sig_atomic_t stop;

static void on_signal(int number) { (void)number; stop = 1; }

static void check(int failed, const char *what) {
    if (failed) { printf("%s: %s\n", what, strerror(errno)); fflush(stdout); exit(1); }
}

int main(int argc, char **argv) {
    key_t key = (key_t)strtoul(argv[2], NULL, 0);
    const char *task = argv[1];
    (void)argc;
    int id = msgget(key, !strcmp(task, "create") ? IPC_CREAT | IPC_EXCL | 0640 : 0);
    check(id < 0, "msgget");
    if (!strcmp(task, "create")) {
        struct message m = { 3, { -1, 2, 0.5 } };
        check(msgsnd(id, &m, sizeof m.point, 0) < 0, "msgsnd");
        struct text t = { 1, "from C" };
        check(msgsnd(id, &t, strlen(t.mtext) + 1, 0) < 0, "msgsnd");
        printf("%d\n", id);
    } else if (!strcmp(task, "look")) {
        struct message m;
        struct text t;
        ssize_t received = msgrcv(id, &m, sizeof m.point, 3, 0);
        check(received != sizeof m.point, "msgrcv");
        printf("%ld %d %d %g\n", m.mtype, m.point.x, m.point.y, m.point.weight);
        received = msgrcv(id, &t, sizeof t.mtext, -2, IPC_NOWAIT);
        check(received < 0, "msgrcv");
        struct msqid_ds ds;
        check(msgctl(id, IPC_STAT, &ds) < 0, "IPC_STAT");
        printf("%ld %zd %.*s, %d left of %d bytes\n", t.mtype, received, (int)received, t.mtext, (int)ds.msg_qnum,
               (int)ds.msg_qbytes);
    } else if (!strcmp(task, "removed")) {
        struct text t;
        ssize_t received = msgrcv(id, &t, sizeof t.mtext, 7, 0);
        printf("%s\n", received < 0 && errno == EIDRM ? "EIDRM" : "not EIDRM");
    } else if (!strcmp(task, "send until Ctrl-C")) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = on_signal;
        sigaction(SIGINT, &action, NULL);
        struct message m = { 1, { 0, 0, 0.0 } };
        while (!stop) {
            m.point.x++;
            if (msgsnd(id, &m, sizeof m.point, 0) < 0) {
                if (errno == EINTR) continue;
                if (errno == EIDRM || errno == EINVAL) break;     /* the other side removed it */
                check(1, "msgsnd");
            }
        }
        /* Whoever is first removes the queue. */
        printf("%s\n", msgctl(id, IPC_RMID, NULL) == 0 ? "removed" : "gone");
    }
    return 0;
}
"#;

/// `struct point` of the program above.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, sysvshm::bytemuck::Pod, sysvshm::bytemuck::Zeroable)]
#[bytemuck(crate = "sysvshm::bytemuck")]
struct Point {
    x: i32,
    y: i32,
    weight: f64,
}

fn c() -> Option<CProgram> {
    common::watch();
    CProgram::compile(C)
}

/// Runs the C program to its end; what it printed.
fn run(program: &CProgram, arguments: &[&str]) -> String {
    let output = program.command().args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text.trim_end().to_owned()
}

#[test]
fn structs_and_texts_go_both_ways_between_c_and_rust() {
    let Some(program) = c() else { return };
    let key = OwnedQueueKey::random();
    let id = run(&program, &["create", &key.key().to_string()]);
    let queue = MessageQueue::open_or_create(key.key()).unwrap();
    assert_eq!((queue.id().to_string(), queue.was_created()), (id, false));
    assert_eq!(queue.status().unwrap().mode(), Mode::from(0o640));
    let text = queue.receive(Receive::of_type(1)).unwrap();
    assert_eq!(text.bytes(), b"from C\0");
    let message = queue.receive(Receive::any()).unwrap();
    let point = Point {
        x: -1,
        y: 2,
        weight: 0.5,
    };
    assert_eq!((message.message_type(), message.value()), (3, Some(point)));

    queue.send(9, "left alone").unwrap();
    queue.send(2, "from Rust").unwrap();
    queue
        .send(
            3,
            &Point {
                x: 7,
                y: -8,
                weight: 0.25,
            },
        )
        .unwrap();
    queue.set_capacity_bytes(4321).unwrap();
    let seen = run(&program, &["look", &key.key().to_string()]);
    assert_eq!(seen, "3 7 -8 0.25\n2 9 from Rust, 1 left of 4321 bytes");
}

#[test]
fn removing_wakes_a_c_program() {
    let Some(program) = c() else { return };
    let key = OwnedQueueKey::random();
    let queue = MessageQueue::create_new(key.key()).unwrap();
    let mut waiter = Running::spawn(program.command().args(["removed", &key.key().to_string()]));
    until_asleep_in(waiter.pid(), libc::SYS_msgrcv);
    queue.remove().unwrap();
    assert_eq!(waiter.line().as_deref(), Some("EIDRM"));
    assert!(waiter.wait().success());
}

static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    STOP.store(true, std::sync::atomic::Ordering::Relaxed);
}

#[test]
#[allow(unsafe_code)] // A signal handler, as a program has one.
fn ctrl_c_ends_a_c_sender_and_a_rust_receiver_and_one_of_them_removes_the_queue() {
    let receiver = peer!(|talk| {
        // SAFETY: all zeros is a sigaction without flags and with an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler stores into an atomic.
        unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) };
        let queue = MessageQueue::from_id(talk.arg(0)).interruptible();
        let (mut message, mut count) = (Message::new(), 0);
        talk.say("ready");
        let end = loop {
            match queue.receive_into(Receive::any(), &mut message) {
                Ok(()) => {
                    count += 1;
                    assert_eq!(message.value::<Point>().unwrap().x, count);
                    if count == 1000 {
                        talk.say("1000");
                    }
                }
                Err(error) => break error,
            }
            if STOP.load(std::sync::atomic::Ordering::Relaxed) {
                break queue.try_receive(Receive::of_type(i64::MAX)).unwrap_err();
            }
        };
        use ErrorKind::{Interrupted, NoSuchQueue, Removed, WouldBlock};
        let kinds = [Interrupted, NoSuchQueue, Removed, WouldBlock];
        assert!(kinds.contains(&end.kind()), "{end}");
        talk.say(match queue.remove() {
            Ok(()) => "removed",
            Err(error) if error.is_not_found() => "gone",
            Err(error) => panic!("{error}"),
        });
    });
    let Some(program) = c() else { return };
    for _ in 0..10 {
        let key = OwnedQueueKey::random();
        let queue = MessageQueue::create_new(key.key()).unwrap();
        let mut receiver = receiver.clone().arg(queue.id()).start();
        assert_eq!(receiver.hear(), "ready");
        let task = ["send until Ctrl-C", &key.key().to_string()];
        let mut sender = Running::spawn(program.command().args(task));
        assert_eq!(receiver.hear(), "1000");
        // A terminal sends it to both.
        sender.send(libc::SIGINT);
        // The test harness runs the peer's code in a thread of its own: the signal may be handled by another, as in any
        // program with threads, until the removal by the sender reaches it.
        receiver.send(libc::SIGINT);
        let (sent, received) = (sender.line().unwrap(), receiver.hear());
        let both = [sent.as_str(), received.as_str()];
        assert!(
            both == ["removed", "gone"] || both == ["gone", "removed"],
            "{both:?}"
        );
        assert!(sender.wait().success());
        receiver.finish();
        assert!(queue.status().unwrap_err().is_not_found());
    }
}

/// Perl's own calls, with the type and the bytes packed by hand as perlfunc has it.
const PERL: &str = r#"
my ($key, $CREAT, $RMID) = map { $_ + 0 } @ARGV;
$| = 1;
my $id = msgget($key, $CREAT | 0600) // die "msgget: $!";
msgsnd($id, pack("l! a*", 5, "from Perl\0\xff"), 0) or die "msgsnd: $!";
print "$id\n";
my $message;
defined msgrcv($id, $message, 100, 6, 0) or die "msgrcv: $!";
my ($type, $text) = unpack("l! a*", $message);
print "$type ", unpack("H*", $text), "\n";
msgctl($id, $RMID, 0) or die "msgctl: $!";
print "removed\n";
"#;

#[test]
fn perl_sends_receives_and_removes() {
    if let Err(error) = Command::new("perl").arg("-v").output() {
        return skipped(&format!("no Perl: {error}"));
    }
    let key = OwnedQueueKey::random();
    let mut command = Command::new("perl");
    command.args(["-we", PERL, "--", &key.key().as_raw().to_string()]);
    command.args([libc::IPC_CREAT, libc::IPC_RMID].map(|number| number.to_string()));
    let mut perl = Running::spawn(&mut command);
    let id = perl.line().unwrap();
    let queue = MessageQueueOptions::new().open(key.key()).unwrap();
    assert_eq!(queue.id().to_string(), id);
    let message = queue.receive(Receive::any()).unwrap();
    assert_eq!(
        (message.message_type(), message.bytes()),
        (5, &b"from Perl\0\xff"[..])
    );
    queue.send(6, &[0_u8, 1, 0xfe]).unwrap();
    assert_eq!(perl.line().as_deref(), Some("6 0001fe"));
    assert_eq!(perl.line().as_deref(), Some("removed"));
    assert!(perl.wait().success());
    assert!(queue.status().unwrap_err().is_not_found());
}

const PYTHON: &str = r#"
import sys, sysv_ipc
key = int(sys.argv[1])
queue = sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=0o600)
queue.send(b"from Python\0\xff", type=5)
print(queue.id, queue.max_size, flush=True)
message, kind = queue.receive(type=-4)    # not the one it sent itself
print(kind, message.hex(), flush=True)
queue.max_size = 1234
sys.stdin.readline()
print(queue.current_messages, queue.last_send_pid, flush=True)
queue.remove()
"#;

#[test]
fn python_sends_receives_sets_and_removes() {
    let python = std::env::var("SYSVSHM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import sysv_ipc"])
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        return skipped(&format!(
            "{python} has no sysv_ipc; name one that has it in SYSVSHM_PYTHON"
        ));
    }
    let key = OwnedQueueKey::random();
    let mut command = Command::new(&python);
    command.args(["-c", PYTHON, &key.key().as_raw().to_string()]);
    let mut python = Running::spawn(&mut command);
    let said = python.line().unwrap();
    let queue = OwnedQueue::guard(MessageQueue::open(key.key()).unwrap());
    assert_eq!(said, format!("{} {}", queue.id(), sysctl("msgmnb")));
    assert_eq!(
        queue.receive(Receive::of_type(5)).unwrap().bytes(),
        b"from Python\0\xff"
    );
    queue.send(4, &[0_u8, 1, 0xfe]).unwrap();
    assert_eq!(python.line().as_deref(), Some("4 0001fe"));
    until(|| queue.status().unwrap().capacity_bytes() == Some(1234));
    queue.send(1, "one").unwrap();
    queue.send(1, "two").unwrap();
    python.say("go on");
    let expected = format!("2 {}", std::process::id());
    assert_eq!(python.line(), Some(expected));
    assert!(python.wait().success());
    assert!(queue.status().unwrap_err().is_not_found());
}
