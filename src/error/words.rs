//! Advice that needs no numbers.

pub(super) const SWITCHED_OFF: &str =
    "the kernel, a container or a sandbox has System V IPC, or this part of it, switched off";
pub(super) const SANDBOX: &str =
    "no System V rule gives EPERM here; a sandbox (seccomp) may forbid this";
pub(super) const KEY_FILE: &str =
    "the file must exist and be reachable, and all programs must name the same one";
pub(super) const ASKED_BITS: &str = "the mode bits passed when opening are checked against its mode, all of them; pass none to leave the check to the calls that follow";
pub(super) const SEE_OWNERS: &str = "`ipcs -c` lists owners and creators";
pub(super) const NO_ID: &str = "-1 is no user or group id; give the current one to keep it";
#[cfg(target_os = "linux")]
pub(super) const UNMAPPED_ID: &str = "the user or group id does not exist in this user namespace";
#[cfg(target_os = "linux")]
pub(super) const EMPTY_SLOT: &str = "this slot is empty";
pub(super) const OLD_INTERFACE: &str =
    "an id or a size does not fit the structure of this old interface";

// Segments.
pub(super) const NO_HUGE_PAGES: &str = "this processor or kernel has no huge pages";
pub(super) const FEW_HUGE_PAGES: &str = "not enough huge pages of this size are free; see HugePages_Free in /proc/meminfo, and have more reserved (vm.nr_hugepages)";
pub(super) const HUGE_PAGE_SIZE: &str =
    "the kernel has no huge pages of this size; /sys/kernel/mm/hugepages lists those it has";
pub(super) const HUGE_PAGE_GROUP: &str =
    "join the group of vm.hugetlb_shm_group, have RLIMIT_MEMLOCK raised, or run with CAP_IPC_LOCK";
pub(super) const HUGE_PAGES_MISSING: &str = "the segment seems to use explicit huge pages, nothing says that they were set aside, and bringing them all in failed; have more reserved (vm.nr_hugepages), or promise that they suffice (assume_huge_pages_suffice)";
pub(super) const HUGE_PAGES_NOT_BROUGHT_IN: &str = "the segment seems to use explicit huge pages, nothing says that they were set aside, and this system cannot bring them in beforehand (MADV_POPULATE_READ and MADV_POPULATE_WRITE need Linux 5.14, and no sandbox in the way); promise that they suffice (assume_huge_pages_suffice)";
pub(super) const NO_ADVICE: &str = "a sandbox (seccomp) or this system refuses the call itself";
pub(super) const NO_PROMISE: &str = "the kernel will not promise that much memory; ask for less, or create without reservation (no_reserve, SHM_NORESERVE) where vm.overcommit_memory is not 2";
pub(super) const FILES: &str = "every segment takes an entry; see fs.file-max";
pub(super) const NO_FILE: &str = "a segment has less than 2^63 bytes";
pub(super) const NO_BYTES: &str = "a new segment has at least 1 byte; say how many with size_bytes";
pub(super) const EXECUTE_BIT: &str = "SHM_EXEC needs the execute bit of the mode as well";
pub(super) const READ_BIT: &str = "a read-only attach needs the read bit of the mode";
pub(super) const BOTH_BITS: &str = "a read-write attach needs the read and the write bit of the mode, a read-only attach the read bit alone";
pub(super) const OCCUPIED: &str = "something is mapped in that range already; let the system choose, or pick a range that is free in every process";
pub(super) const OUTSIDE: &str =
    "the range seems to end beyond the address space of a process; let the system choose";
pub(super) const TOO_LOW: &str =
    "addresses below vm.mmap_min_addr are for privileged processes; let the system choose";
pub(super) const NEEDS_ADDRESS: &str = "SHM_REMAP needs an address";
pub(super) const ATTACHES: &str = "detach segments that are not needed, or raise kern.sysv.shmseg (macOS) or kern.ipc.shmseg (FreeBSD)";
pub(super) const ADDRESS_SPACE: &str = "address space is limited by RLIMIT_AS and by the system";
pub(super) const STATUS_HIDDEN: &str = "the segment is attached, and yet the kernel knows nothing of it; a sandbox (seccomp) may forbid this";
pub(super) const NOT_ATTACHED: &str = "only the address that shmat returned detaches, once, and only while the mapping is still there";
pub(super) const UNKNOWN_ADVICE: &str = "this kernel does not know the advice; prefaulting needs Linux 5.14, huge pages need support in the kernel";
pub(super) const NO_PAGE: &str =
    "a page of the segment cannot be allocated: no memory, or no huge page, is left for it";

// Sets.
pub(super) const SEMAPHORE_MEMORY: &str = "the kernel has no memory for so many semaphores";
pub(super) const SET_REMOVED: &str = "another process removed the whole set and so ended every wait on it (IPC_RMID is immediate for semaphores, unlike segments); nothing was acquired: look the key up again, or end as well";
pub(super) const OPERATION_BITS: &str =
    "operations need the write bit of the mode, waiting for zero the read bit";
pub(super) const NO_OPERATION: &str = "a list has at least one operation";
pub(super) const UNDO_MEMORY: &str =
    "the kernel has no room to remember what SEM_UNDO would have to undo";

// Queues.
pub(super) const QUEUE_MEMORY: &str = "the kernel has no memory for a further queue";
pub(super) const MESSAGE_MEMORY: &str = "the kernel has no memory for the message";
pub(super) const QUEUE_REMOVED: &str = "another process removed the queue and the messages in it, and so ended every wait on it (IPC_RMID is immediate for queues, unlike segments): look the key up again, or end as well";
pub(super) const SEND_BIT: &str = "sending needs the write bit of the mode";
pub(super) const RECEIVE_BIT: &str = "receiving needs the read bit of the mode";
pub(super) const MESSAGE_TYPE: &str =
    "the type of a message is 1 or more; 0 and negative numbers mean something to receivers";
pub(super) const NO_MSG_COPY: &str =
    "MSG_COPY needs a kernel that was built with CONFIG_CHECKPOINT_RESTORE, Linux 3.8 or later";
pub(super) const MSG_COPY_FLAGS: &str =
    "MSG_COPY goes with IPC_NOWAIT and without MSG_EXCEPT, in kernels that have it";
pub(super) const NO_MESSAGE_THERE: &str =
    "the queue has no message at this position, counted from 0";
