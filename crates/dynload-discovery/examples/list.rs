//! Lists the plugins of this machine:
//! `cargo run -p dynload-discovery --example list -- [--path DIR]... [--json]`.

use std::process::ExitCode;

use dynload_caps::Capabilities;
use dynload_diagnostics::printable;
use dynload_discovery::{Audit, Discovery, Facts, Plugin, Scanner, SearchPath};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut dirs = Vec::new();
    let mut as_json = false;
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--json") => as_json = true,
            Some("--path") => match arguments.next() {
                Some(dir) => dirs.push(dir),
                None => return usage(),
            },
            _ => return usage(),
        }
    }
    let path = dirs
        .into_iter()
        .fold(SearchPath::standard(), SearchPath::with_dir);
    let scanner = Scanner::new(path);
    let found = scanner.scan();
    let audits: Vec<Result<Audit, String>> = found
        .plugins
        .iter()
        .map(|plugin| scanner.audit(plugin).map_err(|error| error.to_string()))
        .collect();
    if as_json {
        print_json(&found, &audits)
    } else {
        print_table(&found, &audits)
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: list [--path DIR]... [--json]");
    ExitCode::FAILURE
}

/// Returns the names, with a `!` after the dangerous ones.
fn marked(set: Capabilities) -> String {
    let mark = |flag: Capabilities| format!("{flag}{}", if flag.is_dangerous() { "!" } else { "" });
    let names: Vec<String> = set.iter().map(mark).collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(" ")
    }
}

fn declared(plugin: &Plugin) -> Capabilities {
    plugin
        .manifest()
        .map_or(Capabilities::NONE, |manifest| manifest.capabilities.all())
}

/// Returns the results of an audit, one line each.
fn remarks(audit: &Result<Audit, String>) -> Vec<String> {
    match audit {
        Err(error) => vec![error.clone()],
        Ok(audit) => {
            let undeclared = audit.undeclared.iter().map(ToString::to_string);
            let findings = audit.findings.iter().map(ToString::to_string);
            let unused =
                (!audit.unused.is_empty()).then(|| format!("declares {} but never uses it", audit.unused));
            undeclared.chain(findings).chain(unused).collect()
        }
    }
}

fn print_table(found: &Discovery, audits: &[Result<Audit, String>]) {
    let mut rows =
        vec![["ID", "VERSION", "FORMAT", "SOURCE", "CAPABILITIES (! dangerous)"].map(str::to_owned)];
    for plugin in &found.plugins {
        rows.push([
            plugin.id().to_string(),
            plugin.version().map_or("-".to_owned(), ToString::to_string),
            format!(
                "{}{}",
                plugin.format(),
                if plugin.is_compatible() {
                    ""
                } else {
                    " (incompatible)"
                }
            ),
            plugin.source().to_string(),
            marked(declared(plugin)),
        ]);
    }
    let widths: Vec<usize> = (0..5)
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    println!(
        "\n{}, {}",
        count(found.plugins.len(), "plugin"),
        count(found.problems.len(), "problem")
    );
    for problem in &found.problems {
        println!("{problem}");
    }
    for (plugin, audit) in found.plugins.iter().zip(audits) {
        remarks(audit)
            .iter()
            .for_each(|remark| println!("audit: {}: {remark}", plugin.id()));
    }
    for one in &found.duplicates {
        let (loser, winner) = (one.loser.found_at().display(), one.winner.display());
        let text = format!("{winner} is preferred to {loser}, by {}", one.decided_by);
        println!("duplicate: {}: {}", one.id, printable(&text));
    }
    for problem in found.resolve_all().problems {
        println!("dependency: {problem}");
    }
}

fn print_json(found: &Discovery, audits: &[Result<Audit, String>]) {
    let plugins: Vec<Value> = found
        .plugins
        .iter()
        .zip(audits)
        .map(|(plugin, audit)| {
            let imports = match audit {
                Ok(Audit {
                    facts: Facts::Wasm(facts),
                    ..
                }) => facts.required().names().collect(),
                _ => Vec::new(),
            };
            json!({
                "id": plugin.id().as_str(),
                "name": plugin.name(),
                "version": plugin.version().map(ToString::to_string),
                "format": plugin.format().name(),
                "source": plugin.source().to_string(),
                "dir": plugin.dir().to_string_lossy(),
                "entry": plugin.entry_path().map(|path| path.to_string_lossy().into_owned()),
                "compatible": plugin.is_compatible(),
                "capabilities": declared(plugin).names().collect::<Vec<_>>(),
                "dangerous": (declared(plugin) & Capabilities::DANGEROUS).names().collect::<Vec<_>>(),
                "imports_need": imports,
                "audit": remarks(audit),
            })
        })
        .collect();
    let problems: Vec<Value> = found
        .problems
        .iter()
        .map(|problem| {
            json!({
                "severity": problem.severity.to_string(),
                "path": problem.path.to_string_lossy(),
                "line": problem.line,
                "message": problem.to_string(),
            })
        })
        .collect();
    let order: Vec<String> = found
        .resolve_all()
        .order
        .iter()
        .map(ToString::to_string)
        .collect();
    println!(
        "{:#}",
        json!({ "plugins": plugins, "problems": problems, "load_order": order })
    );
}
