//! The order of plugins that have the same id.

use std::cmp::{Ordering, Reverse};
use std::fmt;

use dynload_diagnostics::printable;
use semver::Version;

use crate::{Plugin, PluginId};

/// A plugin that has the same id as a preferred one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Duplicate {
    /// The id of both.
    pub id: PluginId,
    /// The plugin that is not preferred.
    pub loser: Plugin,
    /// The path at which the preferred plugin was found.
    pub winner: std::path::PathBuf,
    /// The criterion that decided between the two.
    pub decided_by: DecidedBy,
}

impl fmt::Display for Duplicate {
    /// Writes `path: plugin id is not listed, because ...`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: plugin {} is not listed, because {} has the same id and is preferred by {}: remove one of them",
            printable(self.loser.found_at().display()).path(),
            self.id,
            printable(self.winner.display()).path(),
            self.decided_by
        )
    }
}

/// The criterion that decides which of two plugins with the same id is preferred.
///
/// The criteria are applied in the order of the variants. The last one always decides, so the order of plugins is total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DecidedBy {
    /// One works with this platform and host, and the other does not.
    Compatibility,
    /// One was found in an earlier directory of the search path.
    SearchRank,
    /// One has a higher version. No version is the lowest; if two versions differ only in build metadata, the one with the
    /// greater metadata counts as higher, so that the result is always the same.
    Version,
    /// The name of one is first in byte order.
    Path,
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            DecidedBy::Compatibility => "compatibility",
            DecidedBy::SearchRank => "search path",
            DecidedBy::Version => "version",
            DecidedBy::Path => "name",
        })
    }
}

type Key<'a> = (
    Reverse<bool>,
    usize,
    Reverse<Option<&'a Version>>,
    &'a std::path::Path,
);

fn key(plugin: &Plugin) -> Key<'_> {
    (
        Reverse(plugin.is_compatible()),
        plugin.rank(),
        Reverse(plugin.version()),
        plugin.found_at(),
    )
}

fn decided_by(winner: &Plugin, loser: &Plugin) -> DecidedBy {
    let (a, b) = (key(winner), key(loser));
    if a.0 != b.0 {
        DecidedBy::Compatibility
    } else if a.1 != b.1 {
        DecidedBy::SearchRank
    } else if a.2 != b.2 {
        DecidedBy::Version
    } else {
        DecidedBy::Path
    }
}

/// Returns one plugin for each id, ordered by id, and the duplicates.
pub(crate) fn rank(mut plugins: Vec<Plugin>) -> (Vec<Plugin>, Vec<Duplicate>) {
    plugins.sort_by(|a, b| match a.id().cmp(b.id()) {
        Ordering::Equal => key(a).cmp(&key(b)),
        other => other,
    });
    let mut winners: Vec<Plugin> = Vec::with_capacity(plugins.len());
    let mut duplicates = Vec::new();
    for plugin in plugins {
        match winners.last().filter(|winner| winner.id() == plugin.id()) {
            None => winners.push(plugin),
            // The same plugin, found through another path.
            Some(winner) if winner.dir() == plugin.dir() && winner.entry_path() == plugin.entry_path() => {}
            Some(winner) => duplicates.push(Duplicate {
                id: plugin.id().clone(),
                winner: winner.found_at().to_owned(),
                decided_by: decided_by(winner, &plugin),
                loser: plugin,
            }),
        }
    }
    (winners, duplicates)
}
