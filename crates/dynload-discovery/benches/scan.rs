//! Scanning 1 000 plugins with manifests, against a program that only lists, reads and parses them:
//! `cargo bench -p dynload-discovery`.
//!
//! Each round measures all of it, one after the other, and the medians of the rounds' ratios are what counts: a busy
//! machine slows down both sides of a ratio. `cold` scans without a cache; `first` also writes one; `warm` finds everything
//! in it, unchanged.
//!
//! `cargo bench -p dynload-discovery -- warm` (or `bare`, `cold`) does only that, on one thread, for a profiler or a counter of
//! instructions.

use std::fs;
use std::hint::black_box;
use std::num::NonZero;
use std::path::Path;
use std::time::{Duration, Instant};

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
    // A cache can trust times that are two seconds old, and these files have just been written.
    std::thread::sleep(Duration::from_millis(2_100));

    let scanner = |cache| Scanner::new(SearchPath::empty().first(&root)).cache(cache);
    let file = dir.path().join("cache/plugins.cache");
    let cold = scanner(CacheLocation::None);
    let warm = scanner(CacheLocation::File(file.clone()));
    let one = NonZero::<usize>::MIN;
    let cold_one = scanner(CacheLocation::None).threads(one);
    let warm_one = scanner(CacheLocation::File(file)).threads(one);
    check(&warm.scan(), PLUGINS, 0);
    check(&warm.scan(), 0, PLUGINS);
    check(&cold.scan(), PLUGINS, 0);

    let only: Option<Box<dyn Fn()>> = match std::env::args().nth(1).as_deref() {
        Some("bare") => Some(Box::new(|| assert_eq!(bare(&root), PLUGINS))),
        Some("cold") => Some(Box::new(|| check(&cold_one.scan(), PLUGINS, 0))),
        Some("warm") => Some(Box::new(|| check(&warm_one.scan(), 0, PLUGINS))),
        _ => None,
    };
    if let Some(only) = only {
        (0..ROUNDS).for_each(|_| only());
        return Ok(());
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push([
            time(|| bare(&root)),
            time(|| cold.scan()),
            time(|| cold_one.scan()),
            time(|| warm.rescan(true)),
            time(|| warm.scan()),
            time(|| warm_one.scan()),
        ]);
    }
    println!("{PLUGINS} plugins, median of {ROUNDS} rounds, ratio to the bare walk of the same round");
    let names = [
        "bare",
        "cold",
        "cold, one thread",
        "first",
        "warm",
        "warm, one thread",
    ];
    let budgets = [None, Some(1.3), None, None, Some(0.3), None];
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

fn check(found: &Discovery, parsed: usize, cached: usize) {
    assert_eq!(found.plugins.len(), PLUGINS);
    assert_eq!((found.stats.parsed, found.stats.cached), (parsed, cached));
    assert!(found.problems.is_empty(), "{:?}", found.problems.first());
}

/// What a program without this crate does: list, read, parse.
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
authors = ["Somebody <somebody@example.org>"]
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
