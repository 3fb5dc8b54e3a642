//! The machine and the date of a run.

use std::process::Command;

use dynload_bench_report::{Machine, folder};

use crate::Outcome;

/// The peers whose versions are shown.
const PEERS: [&str; 7] = [
    "wasmi",
    "wasm3x",
    "wasmtime",
    "extism",
    "libloading",
    "hot-lib-reloader",
    "toml",
];

/// Returns the date, `2026-11-22`.
pub(crate) fn today() -> Outcome<String> {
    said("date", &["-u", "+%Y-%m-%d"])
}

/// Returns the processor, system, compiler and versions.
pub(crate) fn describe() -> Outcome<Machine> {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or(std::env::consts::ARCH, |(_, name)| name)
        .to_owned();
    Ok(Machine {
        cpu,
        cores: std::thread::available_parallelism()?.get(),
        kernel: said("uname", &["-sr"])?,
        rustc: said("rustc", &["--version"])?,
        versions: versions()?,
    })
}

/// Returns the versions of the peers in the lock file.
fn versions() -> Outcome<Vec<(String, String)>> {
    let lock: toml::Table = toml::from_str(&std::fs::read_to_string(folder().join("Cargo.lock"))?)?;
    let mut versions = Vec::new();
    for name in PEERS {
        let packages = lock["package"].as_array().into_iter().flatten();
        // If there are several, the newest is the one used here.
        let version = packages
            .filter(|package| package["name"].as_str() == Some(name))
            .filter_map(|package| package["version"].as_str())
            .next_back();
        if let Some(version) = version {
            versions.push((name.to_owned(), version.to_owned()));
        }
    }
    Ok(versions)
}

fn said(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|cause| format!("cannot start `{program}`: {cause}"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
