//! What `list` and `audit` share: where to search, and how problems are shown.

use std::path::{Path, PathBuf};

use clap::Args;
use dynload_caps::Capabilities;
use dynload_diagnostics::{listed, printable};
use dynload_discovery::{
    DependencyProblem, Discovery, Duplicate, Plugin, PluginId, Problem, Scanner, SearchPath,
};
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

/// The result of a search.
pub(crate) struct Scanned {
    pub(crate) scanner: Scanner,
    pub(crate) found: Discovery,
    /// The dependencies that are not satisfied.
    pub(crate) dependencies: Vec<DependencyProblem>,
    /// The ids, each after its dependencies.
    pub(crate) load_order: Vec<PluginId>,
    /// The directories that were searched.
    dirs: Vec<PathBuf>,
}

impl ScanOptions {
    /// Searches the directories.
    ///
    /// The standard directories need not exist, those of `--path` must.
    pub(crate) fn scan(&self) -> Result<Scanned, Failure> {
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
        let dirs = path.dirs().iter().map(|dir| dir.path.clone()).collect();
        let scanner = Scanner::new(path);
        let found = progress::during("searching for plugins", || scanner.scan());
        let mut resolution = found.resolve_all();
        // The search reports it, with the reason.
        resolution
            .problems
            .retain(|problem| !matches!(problem, DependencyProblem::Incompatible { .. }));
        Ok(Scanned {
            scanner,
            found,
            dependencies: resolution.problems,
            load_order: resolution.order,
            dirs,
        })
    }
}

impl Scanned {
    /// Returns a line that says where plugins were searched for, if there are none.
    pub(crate) fn searched(&self) -> String {
        if !self.found.plugins.is_empty() {
            return String::new();
        }
        let shown = |dir: &PathBuf| {
            let missing = if dir.exists() { "" } else { " (does not exist)" };
            format!("{}{missing}", printable(dir.display()).path())
        };
        let dirs: Vec<String> = self.dirs.iter().map(shown).collect();
        format!("searched: {}\n", listed(&dirs))
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
            "path": absolute(&problem.path),
            "line": problem.line,
            "message": chain(&problem.kind),
            "plugin": problem.plugin.as_ref().map(|id| id.as_str()),
        })
    };
    problems.into_iter().map(document).collect()
}

/// Returns duplicates as JSON.
pub(crate) fn duplicates<'a>(duplicates: impl IntoIterator<Item = &'a Duplicate>) -> Vec<Value> {
    let document = |duplicate: &Duplicate| {
        json!({
            "id": duplicate.id.as_str(),
            "path": absolute(duplicate.loser.found_at()),
            "preferred": absolute(&duplicate.winner),
            "by": duplicate.decided_by.to_string(),
        })
    };
    duplicates.into_iter().map(document).collect()
}

/// Returns a path that does not depend on the directory in which the command runs.
fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}
