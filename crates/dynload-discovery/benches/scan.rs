//! Scanning 1 000 plugins with manifests, compared with a program that only lists, reads and parses them:
//! `cargo bench -p dynload-discovery`.
//!
//! Each round measures every variant, one after the other. The result is the median of the rounds' ratios: a busy machine
//! slows down both sides of a ratio.
//!
//! `cargo bench -p dynload-discovery -- scan` (or `bare`) runs only that variant, on one thread, for a profiler or an
//! instruction counter.

use std::fs;
use std::hint::black_box;
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use dynload_discovery::{CacheLocation, Discovery, Scanner, SearchPath};

const PLUGINS: usize = 1_000;
const ROUNDS: usize = 41;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("plugins");
    let module = wat::parse_str(r#"(module (func (export "run") (result i64) i64.const 1))"#)?;
    for number in 0..PLUGINS {
        let plugin = root.join(format!("plugin-{number:04}"));
        fs::create_dir_all(&plugin)?;
        fs::write(plugin.join("plugin.wasm"), &module)?;
        fs::write(plugin.join("plugin.toml"), manifest(number))?;
    }

    let scanner = || Scanner::new(SearchPath::empty().with_dir(&root)).with_cache(CacheLocation::None);
    let threads = scanner();
    let one = scanner().with_threads(NonZero::<usize>::MIN);
    check(&threads.scan());

    let only: Option<Box<dyn Fn()>> = match std::env::args().nth(1).as_deref() {
        Some("bare") => Some(Box::new(|| assert_eq!(bare(&root), PLUGINS))),
        Some("scan") => Some(Box::new(|| check(&one.scan()))),
        _ => None,
    };
    if let Some(only) = only {
        (0..ROUNDS).for_each(|_| only());
        return Ok(());
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([time(|| bare(&root)), time(|| threads.scan()), time(|| one.scan())]);
    }
    println!("{PLUGINS} plugins, median of {ROUNDS} rounds, ratio to the bare walk of the same round");
    let names = ["bare", "scan", "scan, one thread"];
    let budgets = [None, Some(1.3), None];
    let mut within = true;
    for (at, (name, budget)) in names.iter().zip(budgets).enumerate() {
        let ratio = median(rounds.iter().map(|round| round[at] / round[0]).collect());
        let millis = median(rounds.iter().map(|round| round[at] * 1e3).collect());
        let budget = budget.map_or(String::new(), |budget| {
            within &= ratio <= budget;
            format!(
                "  (budget {budget:.1}: {})",
                if ratio <= budget { "kept" } else { "MISSED" }
            )
        });
        println!("{name:>18}: {millis:7.2} ms  {ratio:5.2}x{budget}");
    }
    if within {
        Ok(())
    } else {
        Err("a budget was missed".into())
    }
}

fn check(found: &Discovery) {
    assert_eq!((found.plugins.len(), found.stats.parsed), (PLUGINS, PLUGINS));
    assert!(found.problems.is_empty(), "{:?}", found.problems.first());
}

/// Does what a program without this crate does: list, read, parse.
fn bare(root: &Path) -> usize {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let tables = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("plugin.toml")).ok()?;
        toml::from_str::<toml::Table>(&text).ok()
    });
    tables.map(black_box).count()
}

fn time<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = work();
    let time = start.elapsed().as_secs_f64();
    drop(black_box(result));
    time
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn manifest(number: usize) -> String {
    format!(
        r#"[plugin]
id = "org.example.plugin-{number:04}"
name = "Plugin {number}"
version = "1.2.{number}"
description = "Number {number} of many."
authors = ["Someone <someone@example.org>"]
license = "MIT"
format = "wasm"
entry = "plugin.wasm"
host_version = ">=0.1"

[capabilities]
needs = ["console", "fs_read"]
directories = [{{ host = "$PLUGIN/assets", guest = "/assets", access = "read-only" }}]

[limits]
max_memory_bytes = 1048576

[exports.run]
params = []
results = ["i64"]
"#
    )
}
