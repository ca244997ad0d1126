//! Where and with what it was measured.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// What must be the same for figures to stand in one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub processors: usize,
    pub memory_gib: u64,
    pub system: String,
    pub rustc: String,
    pub cc: String,
    pub peers: String,
    /// The version of sysvshm: a commit, and whether files had been changed since.
    pub source: String,
}

impl Machine {
    pub fn here() -> Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_string())
        };
        let model = field("model name").unwrap_or_else(|| "unknown".to_string());
        let (family, number) = (field("cpu family"), field("model\t"));
        let numbers = family
            .zip(number)
            .map(|(family, model)| format!(" (family {family}, model {model})"));
        let hypervisor = cpuinfo
            .lines()
            .any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
        let guest = if hypervisor { ", virtual" } else { "" };
        let meminfo = fs::read_to_string("/proc/meminfo")?;
        let kib: u64 = meminfo
            .split_whitespace()
            .nth(1)
            .context("MemTotal")?
            .parse()?;
        let uname = rustix::system::uname();
        Ok(Self {
            processor: format!("{model}{}{guest}", numbers.unwrap_or_default()),
            processors: std::thread::available_parallelism()?.get(),
            memory_gib: kib.div_ceil(1 << 20),
            system: format!(
                "{} {} {}",
                uname.sysname().to_string_lossy(),
                uname.release().to_string_lossy(),
                uname.machine().to_string_lossy()
            ),
            rustc: env!("COMPARISON_RUSTC").to_string(),
            cc: env!("COMPARISON_CC").to_string(),
            peers: [env!("COMPARISON_CRATES").to_string()]
                .into_iter()
                .chain(crate::peers::boost_version().map(|version| format!("Boost {version}")))
                .collect::<Vec<_>>()
                .join(", "),
            source: source(),
        })
    }
}

impl Machine {
    /// The processor as the name of a file.
    pub fn slug(&self) -> String {
        let processor = self.processor.trim_end_matches(", virtual");
        let processor = processor.replace("(R)", "").replace("(TM)", "");
        let letter = |letter: char| match letter {
            'A'..='Z' => letter.to_ascii_lowercase(),
            'a'..='z' | '0'..='9' => letter,
            _ => '-',
        };
        let slug: String = processor.chars().map(letter).collect();
        let words: Vec<_> = slug.split('-').filter(|word| !word.is_empty()).collect();
        words.join("-")
    }

    /// Names and values, to be shown.
    pub fn rows(&self) -> [(&'static str, String); 6] {
        [
            (
                "processor",
                format!("{}, 2 used, {} there", self.processor, self.processors),
            ),
            ("memory", format!("{} GiB", self.memory_gib)),
            ("system", self.system.clone()),
            ("compilers", format!("{}; {}", self.rustc, self.cc)),
            ("measured", self.source.clone()),
            ("beside", self.peers.clone()),
        ]
    }
}

fn source() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(env!("COMPARISON_HOME"))
            .args(arguments)
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
    };
    let version = env!("COMPARISON_SYSVSHM");
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return version.to_string();
    };
    // What decides: the crate, and how it is measured. Not what this very program writes.
    let changed = git(&[
        "status",
        "--porcelain",
        "--",
        "../src",
        "../Cargo.toml",
        "src",
        "native",
        "build.rs",
        "Cargo.toml",
    ]);
    let changed = changed.is_none_or(|lines| !lines.is_empty());
    let baseline = match env!("COMPARISON_BASELINE") {
        "" => String::new(),
        baseline => format!(", beside {baseline}"),
    };
    format!(
        "{version}, commit {commit}{}{baseline}",
        if changed { " and changes" } else { "" }
    )
}

/// "2026-11-21 14:05 UTC".
pub fn date() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%d %H:%M UTC")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_name_files() {
        let machine = |processor: &str| Machine {
            processor: processor.to_string(),
            ..Machine::here().unwrap()
        };
        let intel = machine("Intel(R) Xeon(R) Processor (family 6, model 207), virtual");
        assert_eq!(intel.slug(), "intel-xeon-processor-family-6-model-207");
        let amd = machine("AMD EPYC (family 25, model 17), virtual");
        assert_eq!(amd.slug(), "amd-epyc-family-25-model-17");
    }
}
