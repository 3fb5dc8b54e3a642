//! `dynload list`: the plugins of this machine, and what is wrong with them.

use std::process::ExitCode;

use clap::Args;
use dynload_caps::Capabilities;
use dynload_discovery::Plugin;
use serde_json::{Value, json};

use crate::exit::{Failure, print};
use crate::scan::{ScanOptions, Scanned, count, declared, documents, duplicates, names};

/// Lists the plugins of this machine, and every problem with them. No plugin code is loaded.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0    the plugins were listed, whatever is wrong with them: `dynload audit` fails if something is
  1    the output could not be written
  2    the arguments are wrong
  141  the reader of standard output has closed it

Examples:
  dynload list
  dynload list --path plugins --json")]
pub(crate) struct Options {
    #[command(flatten)]
    scan: ScanOptions,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let scanned = options.scan.scan()?;
    if options.scan.json {
        print(&format!("{:#}\n", document(&scanned)))?;
    } else {
        print(&report(&scanned))?;
    }
    Ok(ExitCode::SUCCESS)
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

fn row(plugin: &Plugin) -> [String; 5] {
    let incompatible = if plugin.is_compatible() {
        ""
    } else {
        " (incompatible)"
    };
    [
        plugin.id().to_string(),
        plugin.version().map_or("-".to_owned(), ToString::to_string),
        format!("{}{incompatible}", plugin.format()),
        plugin.source().to_string(),
        marked(declared(plugin)),
    ]
}

fn report(scanned: &Scanned) -> String {
    let found = &scanned.found;
    let mut rows =
        vec![["ID", "VERSION", "FORMAT", "SOURCE", "CAPABILITIES (! dangerous)"].map(str::to_owned)];
    rows.extend(found.plugins.iter().map(row));
    let widths: Vec<usize> = (0..5)
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += &format!("{}\n", cells.join("  ").trim_end());
    }
    let plugins = found.plugins.len();
    let problems = found.problems.len() + found.duplicates.len() + scanned.dependencies.len();
    text += &format!("\n{}, {}\n", count(plugins, "plugin"), count(problems, "problem"));
    text += &scanned.searched();
    for problem in &found.problems {
        text += &format!("{problem}\n");
    }
    for duplicate in &found.duplicates {
        text += &format!("duplicate: {duplicate}\n");
    }
    for problem in &scanned.dependencies {
        text += &format!("dependency: {problem}\n");
    }
    text
}

fn document(scanned: &Scanned) -> Value {
    let found = &scanned.found;
    let plugin = |plugin: &Plugin| {
        let declared = declared(plugin);
        json!({
            "id": plugin.id().as_str(),
            "name": plugin.name(),
            "version": plugin.version().map(ToString::to_string),
            "format": plugin.format().name(),
            "source": plugin.source().to_string(),
            "dir": plugin.dir().to_string_lossy(),
            "entry": plugin.entry_path().map(|path| path.to_string_lossy().into_owned()),
            "compatible": plugin.is_compatible(),
            "capabilities": names(declared),
            "dangerous": names(declared & Capabilities::DANGEROUS),
        })
    };
    json!({
        "plugins": found.plugins.iter().map(plugin).collect::<Vec<_>>(),
        "problems": documents(&found.problems),
        "duplicates": duplicates(&found.duplicates),
        "dependencies": scanned.dependencies.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "load_order": scanned.load_order.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
