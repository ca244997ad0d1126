//! Compiles the peers that are C or C++, as optimised as the rest, and writes down what was compiled how.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Bytes of an item and positions of the lecture's buffer.
const LECTURE: [(usize, usize); 12] = [
    (8, 10),
    (64, 10),
    (1024, 10),
    (65536, 10),
    (8, 1024),
    (64, 1024),
    (256, 1024),
    (1024, 1024),
    (4096, 256),
    (16384, 64),
    (65536, 16),
    (8, 16),
];

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let home = from_environment("COMPARISON_HOME").map_or(manifest.clone(), PathBuf::from);
    env::set_current_dir(&home).expect("the folder of the comparison");
    println!("cargo::rustc-env=COMPARISON_HOME={}", home.display());
    for file in ["build.rs", "native", "../examples/c/bounded_buffer.h"] {
        println!("cargo::rerun-if-changed={}", home.join(file).display());
    }
    println!("cargo::rustc-check-cfg=cfg(boost, shaq, baseline)");
    if from_environment("COMPARISON_SHAQ").is_some() {
        println!("cargo::rustc-cfg=shaq");
    }
    let baseline = from_environment("COMPARISON_BASELINE").unwrap_or_default();
    if !baseline.is_empty() {
        println!("cargo::rustc-cfg=baseline");
    }
    println!("cargo::rustc-env=COMPARISON_BASELINE={baseline}");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    lecture(&out);
    boost();
    versions();
    locked(&manifest);
}

/// What `run` says. It builds from a manifest of its own making, elsewhere.
fn from_environment(name: &str) -> Option<String> {
    println!("cargo::rerun-if-env-changed={name}");
    env::var(name).ok()
}

fn c_build() -> cc::Build {
    let mut build = cc::Build::new();
    build.opt_level(2).cargo_metadata(true).warnings(true);
    build
}

/// One library per kind of buffer, and a table of them in Rust.
fn lecture(out: &Path) {
    let header = Path::new("../examples/c");
    let mut declarations = String::new();
    let mut table = String::new();
    for (bytes, positions) in LECTURE {
        for (index, index_type) in [("volatile", "volatile int"), ("atomic", "_Atomic int")] {
            let name = format!("lecture_{bytes}_{positions}_{index}");
            c_build()
                .file("native/lecture.c")
                .include(header)
                .define("ITEM_BYTES", bytes.to_string().as_str())
                .define("BUFFER_SIZE", positions.to_string().as_str())
                .define("BUFFER_INDEX", index_type)
                .define("PREFIX", name.as_str())
                .compile(&name);
            write!(
                declarations,
                "    fn {name}_bytes() -> usize;
    fn {name}_produce(ring: *mut c_void, item: *const c_void);
    fn {name}_consume(ring: *mut c_void, item: *mut c_void);
    fn {name}_produce_run(ring: *mut c_void, first: u64, count: u64);
    fn {name}_consume_run(ring: *mut c_void, first: u64, count: u64) -> u64;
"
            )
            .unwrap();
            write!(
                table,
                "    Ring {{
        item_bytes: {bytes},
        positions: {positions},
        atomic: {},
        size_bytes: {name}_bytes,
        produce: {name}_produce,
        consume: {name}_consume,
        produce_run: {name}_produce_run,
        consume_run: {name}_consume_run,
    }},
",
                index == "atomic"
            )
            .unwrap();
        }
    }
    let rust = format!(
        "unsafe extern \"C\" {{\n{declarations}}}\n\npub static RINGS: &[Ring] = &[\n{table}];\n"
    );
    fs::write(out.join("lecture_rings.rs"), rust).unwrap();
}

/// Without Boost's headers those two are left out, and the results say so.
fn boost() {
    let mut build = c_build();
    build
        .cpp(true)
        .std("c++17")
        .file("native/boost.cpp")
        .flag_if_supported("-Wno-unused-parameter");
    let header = Path::new("boost/lockfree/spsc_queue.hpp");
    if !compiles(&build, header) {
        println!(
            "cargo::warning=Boost's headers are not installed (Debian: libboost-dev): its queues are left out"
        );
        return;
    }
    build.compile("comparison_boost");
    // shm_open, in a library of its own before glibc 2.34.
    println!("cargo::rustc-link-lib=rt");
    println!("cargo::rustc-cfg=boost");
}

/// Whether the preprocessor finds a header.
fn compiles(build: &cc::Build, header: &Path) -> bool {
    let Ok(compiler) = build.try_get_compiler() else {
        return false;
    };
    let probe = PathBuf::from(env::var_os("OUT_DIR").unwrap()).join("probe.cpp");
    fs::write(&probe, format!("#include <{}>\n", header.display())).unwrap();
    let mut command = compiler.to_command();
    command
        .arg("-E")
        .arg(&probe)
        .arg("-o")
        .arg(probe.with_extension("out"));
    command.output().is_ok_and(|output| output.status.success())
}

/// The compilers, for the results.
fn versions() {
    let rustc = env::var_os("RUSTC").unwrap();
    println!(
        "cargo::rustc-env=COMPARISON_RUSTC={}",
        first_line(Command::new(rustc).arg("--version"))
    );
    let c = cc::Build::new().get_compiler();
    println!(
        "cargo::rustc-env=COMPARISON_CC={}",
        first_line(c.to_command().arg("--version"))
    );
}

/// Versions of what is compared, from the lock file that cargo has just written.
fn locked(manifest: &Path) {
    let lock = manifest.join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(lock).unwrap_or_default();
    let value = |line: &str| line.split('"').nth(1).unwrap_or_default().to_string();
    let mut versions = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let find = |key: &str| {
            package
                .lines()
                .find(|line| line.starts_with(key))
                .map(value)
                .unwrap_or_default()
        };
        versions.push((find("name = "), find("version = ")));
    }
    let version = |name: &str| {
        let found = versions
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, version)| version.as_str());
        found.max().unwrap_or("unknown").to_string()
    };
    let peers = [
        "iceoryx2",
        "shmem-ipc",
        "ipc-channel",
        "rtrb",
        "ringbuf",
        "crossbeam-queue",
        "crossbeam-channel",
        "shaq",
    ];
    let peers: Vec<_> = peers
        .iter()
        .filter(|name| versions.iter().any(|(other, _)| other == *name))
        .map(|name| format!("{name} {}", version(name)))
        .collect();
    println!("cargo::rustc-env=COMPARISON_CRATES={}", peers.join(", "));
    println!(
        "cargo::rustc-env=COMPARISON_SYSVSHM=sysvshm {}",
        version("sysvshm")
    );
}

fn first_line(command: &mut Command) -> String {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success());
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_string()
}
