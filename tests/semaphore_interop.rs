//! One set, used by C, by Python and by us at the same time.

mod common;

use common::{CProgram, OwnedSet, OwnedSetKey, Running, skipped, until};
use std::process::Command;
use sysvshm::{SemaphoreSet, SemaphoreSetOptions};

/// Creates, finds, locks, releases, looks, holds: one word per task, in the style a C programmer would write it.
const C: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/types.h>
#include <unistd.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };

static int step(int id, int number, int change, int flags) {
    struct sembuf one = { number, change, flags };
    return semop(id, &one, 1);
}

static void check(int failed, const char *what) {
    if (failed) { printf("%s: %s\n", what, strerror(errno)); fflush(stdout); exit(1); }
}

int main(int argc, char **argv) {
    key_t key = (key_t)strtoul(argv[2], NULL, 0);
    const char *task = argv[1];
    union semun argument;
    (void)argc;
    if (!strcmp(task, "create")) {             /* the whole custom: SETALL, then one semop */
        unsigned short values[3] = { 1, 5, 0 };
        int id = semget(key, 3, IPC_CREAT | IPC_EXCL | 0600);
        check(id < 0, "semget");
        sleep(argc > 3 ? atoi(argv[3]) : 0);
        argument.array = values;
        check(semctl(id, 0, SETALL, argument) < 0, "SETALL");
        check(step(id, 2, 0, 0) < 0, "semop");
        printf("%d\n", id);
        return 0;
    }
    int id = semget(key, 0, 0);
    check(id < 0, "semget");
    if (!strcmp(task, "wait for otime")) {     /* the opener's half of the custom */
        struct semid_ds ds;
        argument.buf = &ds;
        do { usleep(1000); check(semctl(id, 0, IPC_STAT, argument) < 0, "IPC_STAT"); } while (ds.sem_otime == 0);
        printf("%d %d %d\n", (int)ds.sem_nsems, semctl(id, 0, GETVAL), semctl(id, 1, GETVAL));
    } else if (!strcmp(task, "count")) {       /* a counter that only the lock keeps right */
        int rounds = atoi(argv[3]);
        for (int i = 0; i < rounds; i++) {
            check(step(id, 0, -1, SEM_UNDO) < 0, "down");
            argument.val = semctl(id, 1, GETVAL) + 1;
            check(semctl(id, 1, SETVAL, argument) < 0, "SETVAL");
            check(step(id, 0, 1, SEM_UNDO) < 0, "up");
        }
    } else if (!strcmp(task, "hold")) {        /* until killed */
        check(step(id, 0, -1, SEM_UNDO) < 0, "down");
        printf("holding\n");
        fflush(stdout);
        pause();
    } else if (!strcmp(task, "removed")) {
        int result = step(id, 0, -1, 0);
        printf("%s\n", result < 0 && errno == EIDRM ? "EIDRM" : "not EIDRM");
    }
    return 0;
}
"#;

const PYTHON: &str = r#"
import sys, sysv_ipc
task, key = sys.argv[1], int(sys.argv[2], 0)
if key >= 1 << 31:
    key -= 1 << 32
if task == "create":
    semaphore = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600, initial_value=4)
    print(semaphore.id, flush=True)
else:
    semaphore = sysv_ipc.Semaphore(key)
    semaphore.undo = True
    if task == "hold":
        semaphore.acquire()
        print("holding", semaphore.value, flush=True)
        sys.stdin.readline()
    elif task == "look":
        print(semaphore.value, oct(semaphore.mode), semaphore.waiting_for_nonzero, semaphore.waiting_for_zero)
    elif task == "count":
        for _ in range(int(sys.argv[3])):
            with semaphore:
                pass
"#;

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

fn start(program: &CProgram, arguments: &[&str]) -> Running {
    Running::spawn(program.command().args(arguments))
}

#[test]
fn what_c_creates_we_open_and_what_we_create_c_opens() {
    let Some(program) = c() else { return };
    let key = OwnedSetKey::random();
    let id = run(&program, &["create", &key.key().to_string()]);
    let set = SemaphoreSet::open_or_create(key.key(), &[9, 9, 9]).unwrap();
    assert_eq!(set.id().to_string(), id);
    assert!(!set.was_created());
    assert_eq!(set.values().unwrap(), [1, 5, 0]);

    let key = OwnedSetKey::random();
    SemaphoreSet::create_new(key.key(), &[2, 7]).unwrap();
    let seen = run(&program, &["wait for otime", &key.key().to_string()]);
    assert_eq!(seen, "2 2 7");
}

#[test]
fn we_wait_for_a_slow_creator_in_c() {
    let Some(program) = c() else { return };
    let key = OwnedSetKey::random();
    let creator = start(&program, &["create", &key.key().to_string(), "1"]);
    until(|| SemaphoreSet::open(key.key()).is_ok());
    let mut options = SemaphoreSetOptions::new();
    options.initialisation_timeout(std::time::Duration::from_secs(86_400));
    let set = options.open_or_create(key.key(), &[9, 9, 9]).unwrap();
    assert_eq!(set.values().unwrap(), [1, 5, 0]);
    assert!(creator.wait().success());
}

#[test]
fn a_lock_excludes_c_and_rust_alike() {
    let Some(program) = c() else { return };
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[1, 0]).unwrap();
    let peers = [(); 2].map(|()| start(&program, &["count", &key.key().to_string(), "2000"]));
    for _ in 0..2000 {
        let guard = set.semaphore(0).lock().unwrap();
        let count = set.semaphore(1).value().unwrap();
        set.semaphore(1).set_value(count + 1).unwrap();
        drop(guard);
    }
    for peer in peers {
        assert!(peer.wait().success());
    }
    assert_eq!(set.values().unwrap(), [1, 6000]);
}

#[test]
fn a_killed_c_program_gives_its_lock_back() {
    let Some(program) = c() else { return };
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[1]).unwrap();
    let mut holder = start(&program, &["hold", &key.key().to_string()]);
    assert_eq!(holder.line().as_deref(), Some("holding"));
    assert!(set.semaphore(0).try_lock().is_err());
    holder.kill();
    set.semaphore(0).try_lock().unwrap().unlock().unwrap();
}

#[test]
fn removing_wakes_a_c_program() {
    let Some(program) = c() else { return };
    let key = OwnedSetKey::random();
    let set = SemaphoreSet::create_new(key.key(), &[0]).unwrap();
    let mut waiter = start(&program, &["removed", &key.key().to_string()]);
    until(|| set.semaphore(0).waiting_for_increase().unwrap() == 1);
    set.remove().unwrap();
    assert_eq!(waiter.line().as_deref(), Some("EIDRM"));
    assert!(waiter.wait().success());
}

/// Python with `sysv_ipc`: `SYSVSHM_PYTHON`, else `python3`. Says "skipped" where it is missing.
fn python() -> Option<String> {
    let python = std::env::var("SYSVSHM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import sysv_ipc"])
        .output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    skipped(&format!(
        "{python} has no sysv_ipc; name one that has it in SYSVSHM_PYTHON"
    ));
    None
}

fn start_python(python: &str, arguments: &[&str]) -> Running {
    Running::spawn(Command::new(python).args(["-c", PYTHON]).args(arguments))
}

#[test]
fn python_uses_the_same_semaphore() {
    let Some(python) = python() else { return };
    let key = OwnedSetKey::random();
    let name = key.key().to_string();
    // sysv_ipc sets the value with SETVAL and does no operation: the case to be trusted on request.
    let mut creator = start_python(&python, &["create", &name]);
    let id = creator.line().expect("an id");
    assert!(creator.wait().success());
    let mut options = SemaphoreSetOptions::new();
    let set = options
        .trust_set_values(true)
        .open_or_create(key.key(), &[9]);
    let set = OwnedSet::guard(set.unwrap());
    assert_eq!(set.id().to_string(), id);
    assert_eq!((set.len(), set.values().unwrap()), (1, vec![4]));

    let mut holder = start_python(&python, &["hold", &name]);
    assert_eq!(holder.line().as_deref(), Some("holding 3"));
    assert_eq!(set.values().unwrap(), [3]);
    holder.kill();
    assert_eq!(set.values().unwrap(), [4]);

    set.semaphore(0).acquire(1).unwrap();
    let mut looker = start_python(&python, &["look", &name]);
    assert_eq!(looker.line().as_deref(), Some("3 0o600 0 0"));
    assert!(looker.wait().success());
    let counter = start_python(&python, &["count", &name, "500"]);
    for _ in 0..500 {
        set.semaphore(0).lock().unwrap().unlock().unwrap();
    }
    assert!(counter.wait().success());
    assert_eq!(set.values().unwrap(), [3]);
}
