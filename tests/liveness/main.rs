//! What is made of processes that live and processes that died, where the kernel, a sandbox, a neighbour or a limit
//! stands in the way.
//!
//! Who lives is told by tokens; see `src/liveness`. `spsc::liveness` and `mpmc::liveness` have what ends a process,
//! and how soon that is noticed.
#![allow(unsafe_code)] // setns, mount, kill and filters are what these tests are about.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/ipc_calls.rs"]
mod ipc_calls;
#[path = "../common/seccomp.rs"]
mod seccomp;

mod limits;
mod namespaces;
mod neighbours;
mod sandboxes;
mod support;
