//! What the system's headers say, and what the crate says: types, layouts, numbers.
#![cfg(target_os = "linux")]

mod common;

use common::CProgram;
use std::collections::HashMap;
use std::mem::offset_of;
use sysvshm::raw::{self, GetFlags, shm_info, shmid_ds, shminfo};
use sysvshm::{AttachFlags, Key};

/// Name and value of every line, the value being the last word.
fn facts(source: &str) -> Option<HashMap<String, i64>> {
    let output = CProgram::compile(source)?.command().output().unwrap();
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let fact = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    Some(output.lines().map(fact).collect())
}

/// Compares `what => value` with C's value of the same name.
macro_rules! agree {
    ($facts:ident; $($name:expr => $value:expr),* $(,)?) => {
        $(assert_eq!($facts.get($name), Some(&($value as i64)), "{}", $name);)*
    };
}

#[test]
fn sys_shm_h_alone_declares_the_calls_and_agrees_on_layouts_and_numbers() {
    // The program compiles only if the header brings prototypes, types, ftok and the IPC_ constants along.
    let Some(c) = facts(include_str!("c/headers.c")) else {
        return;
    };
    agree!(c;
        "sizeof(key_t)" => size_of_val(&Key::PRIVATE.as_raw()),
        "shmatt_t is unsigned and holds 65535" => 1,
        "sizeof(shmatt_t)" => size_of::<libc::shmatt_t>(),

        "sizeof(struct ipc_perm)" => size_of::<libc::ipc_perm>(),
        "offsetof(struct ipc_perm, __key)" => 0,
        "offsetof(struct ipc_perm, uid)" => offset_of!(libc::ipc_perm, uid),
        "offsetof(struct ipc_perm, gid)" => offset_of!(libc::ipc_perm, gid),
        "offsetof(struct ipc_perm, cuid)" => offset_of!(libc::ipc_perm, cuid),
        "offsetof(struct ipc_perm, cgid)" => offset_of!(libc::ipc_perm, cgid),
        "offsetof(struct ipc_perm, mode)" => offset_of!(libc::ipc_perm, mode),

        "sizeof(struct shmid_ds)" => size_of::<shmid_ds>(),
        "offsetof(struct shmid_ds, shm_perm)" => offset_of!(shmid_ds, shm_perm),
        "offsetof(struct shmid_ds, shm_segsz)" => offset_of!(shmid_ds, shm_segsz),
        "offsetof(struct shmid_ds, shm_atime)" => offset_of!(shmid_ds, shm_atime),
        "offsetof(struct shmid_ds, shm_dtime)" => offset_of!(shmid_ds, shm_dtime),
        "offsetof(struct shmid_ds, shm_ctime)" => offset_of!(shmid_ds, shm_ctime),
        "offsetof(struct shmid_ds, shm_cpid)" => offset_of!(shmid_ds, shm_cpid),
        "offsetof(struct shmid_ds, shm_lpid)" => offset_of!(shmid_ds, shm_lpid),
        "offsetof(struct shmid_ds, shm_nattch)" => offset_of!(shmid_ds, shm_nattch),

        "sizeof(struct shminfo)" => size_of::<shminfo>(),
        "offsetof(struct shminfo, shmmax)" => offset_of!(shminfo, shmmax),
        "offsetof(struct shminfo, shmmin)" => offset_of!(shminfo, shmmin),
        "offsetof(struct shminfo, shmmni)" => offset_of!(shminfo, shmmni),
        "offsetof(struct shminfo, shmseg)" => offset_of!(shminfo, shmseg),
        "offsetof(struct shminfo, shmall)" => offset_of!(shminfo, shmall),
        "sizeof(struct shm_info)" => size_of::<shm_info>(),
        "offsetof(struct shm_info, used_ids)" => offset_of!(shm_info, used_ids),
        "offsetof(struct shm_info, shm_tot)" => offset_of!(shm_info, shm_tot),
        "offsetof(struct shm_info, shm_rss)" => offset_of!(shm_info, shm_rss),
        "offsetof(struct shm_info, shm_swp)" => offset_of!(shm_info, shm_swp),

        "SHMLBA" => raw::shmlba(),
        "IPC_PRIVATE" => Key::PRIVATE.as_raw(),
        "IPC_CREAT" => GetFlags::IPC_CREAT.bits(),
        "IPC_EXCL" => GetFlags::IPC_EXCL.bits(),
        "SHM_HUGETLB" => GetFlags::SHM_HUGETLB.bits(),
        "SHM_NORESERVE" => GetFlags::SHM_NORESERVE.bits(),
        "SHM_RDONLY" => AttachFlags::READ_ONLY.bits(),
        "SHM_RND" => AttachFlags::ROUND.bits(),
        "SHM_REMAP" => AttachFlags::REMAP.bits(),
        "SHM_EXEC" => AttachFlags::EXECUTE.bits(),
    );
    // 64-bit machines also have these exact figures, measured with glibc 2.36 on x86-64.
    #[cfg(target_pointer_width = "64")]
    agree!(c;
        "sizeof(struct shmid_ds)" => 112,
        "sizeof(struct ipc_perm)" => 48,
        "offsetof(struct ipc_perm, mode)" => 20,
        "sizeof(struct shminfo)" => 72,
        "sizeof(struct shm_info)" => 48,
    );
}

#[test]
fn the_kernels_header_agrees_on_huge_page_codes() {
    let Some(c) = facts(include_str!("c/linux_huge.c")) else {
        return;
    };
    agree!(c;
        "SHM_HUGE_2MB" => GetFlags::SHM_HUGE_2MB.bits(),
        "SHM_HUGE_1GB" => GetFlags::SHM_HUGE_1GB.bits(),
        "SHM_HUGE_2MB" => GetFlags::huge_page_size_log2(21).bits(),
        // All six bits of the code, and nothing else, survive.
        "SHM_HUGE_MASK" => GetFlags::huge_page_size_log2(!0).bits() as u32 >> c["SHM_HUGE_SHIFT"],
    );
}
