//! Finding plugins and reading their manifests.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use dynload_bench_modules as modules;
use dynload_bench_report::{Curve, Point, Row, Unit};
use dynload_discovery::{CacheLocation, Scanner, SearchPath};

use super::Found;
use crate::race::Race;
use crate::{Effort, Outcome};

const BARE: &str = "bare";
const SCAN: &str = "dynload-discovery";
const PLUGINS: usize = 1_000;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    let counts: &[usize] = effort.of(&[10, 100, PLUGINS, 5_000], &[10, PLUGINS]);
    let folder = tempfile::tempdir()?;
    for count in counts {
        populate(&folder.path().join(count.to_string()), *count)?;
    }
    let mut found = Found::default();
    let mut points = Vec::new();
    for count in counts {
        let rows = scan(folder.path(), *count, effort.of(25, 5))?;
        points.push(Point {
            at: *count as f64,
            values: rows.iter().map(|row| row.samples.median).collect(),
        });
        if *count == PLUGINS {
            found.rows = rows;
        }
    }
    found.curves.push(Curve {
        title: "Discovery against the number of plugins".into(),
        input: "plugins".into(),
        unit: Unit::Seconds,
        sides: [SCAN, BARE].map(str::to_owned).to_vec(),
        points,
    });
    Ok(found)
}

fn scan(folder: &Path, count: usize, rounds: usize) -> Outcome<Vec<Row>> {
    let root = folder.join(count.to_string());
    let scanner = Scanner::new(SearchPath::empty().with_dir(&root)).with_cache(CacheLocation::None);
    let found = scanner.scan().plugins.len();
    if found != count {
        return Err(format!("{found} of {count} plugins were found").into());
    }
    Ok(Race::new(format!("discovery of {count} plugins"))
        .side(SCAN, 1, || drop(black_box(scanner.scan())))
        .budget(1.3)
        .side(BARE, 1, || assert_eq!(bare(&root), count))
        .run(rounds, BARE))
}

/// What a program without a discovery library does: list, read, parse.
fn bare(root: &Path) -> usize {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let tables = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("plugin.toml")).ok()?;
        toml::from_str::<toml::Table>(&text).ok()
    });
    tables.map(black_box).count()
}

fn populate(root: &Path, count: usize) -> Outcome<()> {
    let module = modules::assemble(modules::EMPTY);
    for number in 0..count {
        let plugin = root.join(format!("plugin-{number:04}"));
        fs::create_dir_all(&plugin)?;
        fs::write(plugin.join("plugin.wasm"), &module)?;
        fs::write(plugin.join("plugin.toml"), manifest(number))?;
    }
    Ok(())
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
results = ["i32"]
"#
    )
}
