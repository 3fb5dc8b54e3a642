//! What `list` and `audit` share: where to search, and how problems are shown.

use std::path::PathBuf;

use clap::Args;
use dynload_caps::Capabilities;
use dynload_diagnostics::printable;
use dynload_discovery::{Discovery, Plugin, Problem, Scanner, SearchPath};
use serde_json::{Value, json};

use crate::exit::{Failure, chain, code};
use crate::progress;

#[derive(Args)]
pub(crate) struct ScanOptions {
    /// A directory of plugins, searched before VAIS_PLUGIN_PATH, ~/.vais/plugins and /usr/local/lib/vais/plugins.
    /// Repeatable.
    #[arg(long, value_name = "DIR")]
    path: Vec<PathBuf>,
    /// Searches only the directories of `--path`.
    #[arg(long, requires = "path")]
    only: bool,
    /// Prints one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ScanOptions {
    /// Searches the directories.
    ///
    /// The standard directories need not exist, those of `--path` must.
    pub(crate) fn scan(&self) -> Result<(Scanner, Discovery), Failure> {
        if let Some(missing) = self.path.iter().find(|path| !path.exists()) {
            let missing = printable(missing.display()).path();
            return Err(Failure::new(
                code::USAGE,
                format!("the directory `{missing}` of `--path` does not exist: check the path"),
            ));
        }
        let base = if self.only {
            SearchPath::empty()
        } else {
            SearchPath::standard()
        };
        let path = self.path.iter().fold(base, SearchPath::with_dir);
        let scanner = Scanner::new(path);
        let found = progress::during("searching for plugins", || scanner.scan());
        Ok((scanner, found))
    }
}

/// Returns the capabilities that a plugin requests.
pub(crate) fn declared(plugin: &Plugin) -> Capabilities {
    plugin
        .manifest()
        .map_or(Capabilities::NONE, |manifest| manifest.capabilities.all())
}

pub(crate) fn names(capabilities: Capabilities) -> Vec<&'static str> {
    capabilities.names().collect()
}

pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Returns problems as JSON.
pub(crate) fn documents<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Vec<Value> {
    let document = |problem: &Problem| {
        json!({
            "severity": problem.severity.to_string(),
            "path": problem.path.to_string_lossy(),
            "line": problem.line,
            "message": chain(&problem.kind),
            "plugin": problem.plugin.as_ref().map(|id| id.as_str()),
        })
    };
    problems.into_iter().map(document).collect()
}
