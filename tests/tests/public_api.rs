//! The public API of each published crate names only its own types, those of the standard library, and those of the crates that
//! it deliberately exposes: the next release of an engine or a parser must not be a breaking release here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use dynload_tests::artifacts::root;
use serde_json::Value;

/// The published crates, each with the crates whose types may be in its API.
const CRATES: [(&str, &[&str]); 9] = [
    ("dynload-guest", &[]),
    ("dynload-caps", &["bitflags"]),
    ("dynload-process", &[]),
    ("dynload-native", &["dynload_caps"]),
    ("dynload-sandbox", &["dynload_caps"]),
    ("dynload-gpu", &["dynload_caps", "dynload_sandbox"]),
    // Versions are types of `semver`.
    ("dynload-discovery", &["dynload_caps", "semver"]),
    ("dynload-hotreload", &["dynload_caps", "dynload_native"]),
    (
        "dynload-ffi",
        &[
            "dynload_caps",
            "dynload_native",
            "dynload_sandbox",
            "dynload_discovery",
            "dynload_hotreload",
        ],
    ),
];

/// The crates of the standard library, which every API may name.
const STANDARD: [&str; 3] = ["core", "alloc", "std"];

/// Returns rustdoc's JSON output for a crate. Its format is unstable and depends on the compiler; the parts that are read here
/// have been the same for years.
fn api(package: &str) -> Value {
    let target = root().join("target/public-api");
    let status = Command::new(env!("CARGO"))
        .current_dir(root())
        .args([
            "rustdoc",
            "--quiet",
            "--package",
            package,
            "--lib",
            "--target-dir",
        ])
        .arg(&target)
        .args([
            "--",
            "-Zunstable-options",
            "--output-format",
            "json",
            "--cap-lints",
            "allow",
        ])
        // Lets a stable compiler produce it.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTDOCFLAGS")
        .status()
        .unwrap();
    assert!(status.success(), "rustdoc fails on {package}");
    let file = target
        .join("doc")
        .join(format!("{}.json", package.replace('-', "_")));
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Collects the `id` of every path to a type or a trait in `value`.
fn paths(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let (Some(_), Some(id)) = (fields.get("path"), fields.get("id")) {
                found.insert(id.to_string());
            }
            fields.values().for_each(|field| paths(field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, found)),
        _ => {}
    }
}

/// Returns the types of other crates in a crate's API, each with the item that names it.
fn foreign(api: &Value, allowed: &[&str]) -> Vec<String> {
    let names: BTreeMap<String, &str> = api["external_crates"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, of)| (id.clone(), of["name"].as_str().unwrap()))
        .collect();
    let mut foreign = Vec::new();
    for item in api["index"].as_object().unwrap().values() {
        let implemented = &item["inner"]["impl"];
        // Blanket implementations of other crates and those that the compiler generates are not the crate's own.
        let is_own = item["crate_id"] == 0
            && implemented["blanket_impl"].is_null()
            && implemented["is_synthetic"] != true;
        // A re-exported item is checked by the rules of its own crate.
        if !is_own {
            continue;
        }
        let mut used = BTreeSet::new();
        paths(&item["inner"], &mut used);
        for id in used {
            let path = &api["paths"][&id];
            let Some(of) = names.get(&path["crate_id"].to_string()) else {
                continue;
            };
            if !STANDARD.contains(of) && !allowed.contains(of) {
                foreign.push(format!("{}: {}", item["name"], path["path"]));
            }
        }
    }
    foreign
}

#[test]
fn no_public_api_names_a_type_of_an_engine_or_a_parser() {
    let mut all = Vec::new();
    for (package, allowed) in CRATES {
        let api = api(package);
        let items = api["index"].as_object().unwrap().len();
        assert!(items > 20, "{package}: rustdoc lists only {items} items");
        let foreign = foreign(&api, allowed).into_iter();
        all.extend(foreign.map(|what| format!("{package}: {what}")));
    }
    assert!(all.is_empty(), "{all:#?}");
}
