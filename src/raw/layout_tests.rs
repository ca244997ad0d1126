//! What this crate declares or takes from the `libc` crate, compared with what the C headers of this machine say.

use super::{msginfo, msqid_ds, shm_info, shminfo};
use crate::flags::{AttachFlags, GetFlags};
use crate::key::Key;
use crate::segment::SegmentOptions;
use crate::sys::{RawKey, msg, os, shm};
use libc::{ipc_perm, shmid_ds};
use std::collections::BTreeMap;
use std::io::Write;
use std::mem::offset_of;
use std::process::{Command, Stdio};

/// `IPC_TIME64` of musl on 32-bit machines, which its own wrapper takes away again.
const TIME64: i32 = 0x100;

/// Compiles and runs a program that prints each of these C expressions; `None`, and a word about it, where there is
/// no compiler.
fn in_c(headers: &[&str], expressions: &[&str]) -> Option<BTreeMap<String, i128>> {
    let mut source = String::from("#define _GNU_SOURCE\n#include <stdio.h>\n#include <stddef.h>\n");
    for header in headers {
        source += &format!("#include <{header}>\n");
    }
    source += "int main(void) {\n";
    for expression in expressions {
        source += &format!("printf(\"{expression}=%lld\\n\", (long long)({expression}));\n");
    }
    source += "return 0; }\n";

    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("layout");
    let mut compiler = Command::new("cc");
    if cfg!(target_arch = "x86") {
        compiler.arg("-m32");
    }
    compiler.args(["-x", "c", "-", "-o"]).arg(&program);
    let compiler = compiler.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut compiling = match compiler.spawn() {
        Ok(compiling) => compiling,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "skipped: no C compiler (cc): {error}");
            return None;
        }
    };
    let mut input = compiling.stdin.take().unwrap();
    input.write_all(source.as_bytes()).unwrap();
    drop(input);
    let compiled = compiling.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{complaints}\n{source}");

    let output = Command::new(&program).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let values = lines.lines().map(|line| {
        let (expression, value) = line.rsplit_once('=').unwrap();
        (expression.to_owned(), value.parse().unwrap())
    });
    Some(values.collect())
}

/// Compares expressions of C, by their text, with values of Rust.
fn compare(headers: &[&str], rust: &[(&str, i128)]) {
    let expressions: Vec<&str> = rust.iter().map(|(expression, _)| *expression).collect();
    let Some(c) = in_c(headers, &expressions) else {
        return;
    };
    assert_eq!(c.len(), rust.len());
    for (expression, value) in rust {
        assert_eq!(c[*expression], *value, "{expression}: C left, Rust right");
    }
}

macro_rules! layouts {
    ($($c:literal $rust:ty { $($field:ident),* $(,)? })*) => {
        &[$(
            (concat!("sizeof(", $c, ")"), size_of::<$rust>() as i128),
            (concat!("_Alignof(", $c, ")"), align_of::<$rust>() as i128),
            $((
                concat!("offsetof(", $c, ", ", stringify!($field), ")"),
                offset_of!($rust, $field) as i128,
            ),)*
        )*]
    };
}

#[test]
fn structures_have_the_layout_of_the_c_headers() {
    let layouts = layouts! {
        "struct shminfo" shminfo { shmmax, shmmin, shmmni, shmseg, shmall }
        "struct shm_info" shm_info {
            used_ids, shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes,
        }
        "struct shmid_ds" shmid_ds {
            shm_perm, shm_segsz, shm_atime, shm_dtime, shm_ctime, shm_cpid, shm_lpid, shm_nattch,
        }
        "struct ipc_perm" ipc_perm { uid, gid, cuid, cgid, mode }
    };
    compare(&["sys/shm.h"], layouts);
}

#[test]
fn constants_have_the_values_of_the_c_library() {
    let (lock, unlock) = os::SHM_LOCK_UNLOCK.unwrap();
    let constants: &[(&str, i128)] = &[
        ("IPC_CREAT", GetFlags::IPC_CREAT.bits().into()),
        ("IPC_EXCL", GetFlags::IPC_EXCL.bits().into()),
        ("IPC_PRIVATE", Key::PRIVATE.as_raw().into()),
        ("IPC_RMID", libc::IPC_RMID.into()),
        ("IPC_SET", libc::IPC_SET.into()),
        ("IPC_STAT", libc::IPC_STAT.into()),
        ("IPC_INFO", libc::IPC_INFO.into()),
        ("SHM_STAT", os::SHM_STAT.into()),
        ("SHM_INFO", os::SHM_INFO.into()),
        ("SHM_LOCK", lock.into()),
        ("SHM_UNLOCK", unlock.into()),
        ("SHM_DEST", os::SHM_DEST.into()),
        ("SHM_LOCKED", os::SHM_LOCKED.into()),
        ("SHM_HUGETLB", GetFlags::SHM_HUGETLB.bits().into()),
        ("SHM_NORESERVE", GetFlags::SHM_NORESERVE.bits().into()),
        ("SHM_RDONLY", AttachFlags::READ_ONLY.bits().into()),
        ("SHM_RND", AttachFlags::ROUND.bits().into()),
        ("SHM_REMAP", AttachFlags::REMAP.bits().into()),
        ("SHM_EXEC", AttachFlags::EXECUTE.bits().into()),
        ("SHM_R", 0o400),
        ("SHM_W", 0o200),
        ("SHMLBA", os::shmlba() as i128),
        ("sizeof(key_t)", size_of::<RawKey>() as i128),
        ("sizeof(shmatt_t)", size_of::<libc::shmatt_t>() as i128),
        ("(shmatt_t)-1 > 0", 1),
    ];
    compare(&["sys/shm.h"], constants);
}

#[test]
fn constants_have_the_values_of_the_kernels_headers() {
    // A program of its own: these headers define some of the structures of the C library again.
    let constants: &[(&str, i128)] = &[
        ("SHM_STAT", (os::SHM_STAT & !TIME64).into()),
        ("SHM_INFO", os::SHM_INFO.into()),
        ("SHM_STAT_ANY", (os::SHM_STAT_ANY & !TIME64).into()),
        ("SHM_HUGE_SHIFT", os::SHM_HUGE_SHIFT.into()),
        ("SHM_HUGE_MASK", os::SHM_HUGE_MASK.into()),
        ("SHM_HUGE_2MB", GetFlags::SHM_HUGE_2MB.bits().into()),
        ("SHM_HUGE_1GB", GetFlags::SHM_HUGE_1GB.bits().into()),
        (
            "SHM_HUGE_64KB",
            GetFlags::huge_page_size_log2(16).bits().into(),
        ),
        // Beyond the sign bit of an int; C says it unsigned.
        (
            "(int)SHM_HUGE_16GB",
            GetFlags::huge_page_size_log2(34).bits().into(),
        ),
    ];
    compare(&["linux/shm.h"], constants);
}

#[test]
fn message_queues_have_the_layout_and_the_numbers_of_the_c_headers() {
    let layouts = layouts! {
        "struct msqid_ds" msqid_ds {
            msg_perm, msg_stime, msg_rtime, msg_ctime, __msg_cbytes, msg_qnum, msg_qbytes, msg_lspid, msg_lrpid,
        }
        "struct msginfo" msginfo { msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql, msgseg }
    };
    compare(&["sys/msg.h"], layouts);
    let constants: &[(&str, i128)] = &[
        ("MSG_NOERROR", msg::MSG_NOERROR.into()),
        ("MSG_EXCEPT", msg::MSG_EXCEPT.unwrap().into()),
        ("MSG_STAT", (msg::MSG_STAT & !TIME64).into()),
        ("MSG_INFO", msg::MSG_INFO.into()),
    ];
    compare(&["sys/msg.h"], constants);
    let constants: &[(&str, i128)] = &[
        ("MSG_COPY", msg::MSG_COPY.unwrap().into()),
        ("MSG_STAT_ANY", (msg::MSG_STAT_ANY & !TIME64).into()),
    ];
    compare(&["linux/msg.h"], constants);
    assert_eq!(msg::TYPE_BYTES, size_of::<std::ffi::c_long>());
}

#[test]
fn the_key_and_the_times_are_read_from_where_the_kernel_writes_them() {
    let key = Key::random().unwrap();
    let mut options = SegmentOptions::new();
    let id = options.size_bytes(1).create_unattached(key).unwrap();
    let status = shm::shmctl_stat(id.as_raw());
    id.mark_for_removal().unwrap();
    let status = status.unwrap();
    assert_eq!(os::key(status.shm_perm), key.as_raw());
    let [attached, detached, changed] = os::times(&status);
    assert_eq!((attached, detached), (0, 0));
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    // Whole seconds of a clock that the kernel updates a little later.
    assert!((now - 60..=now + 1).contains(&u64::try_from(changed).unwrap()));
}
