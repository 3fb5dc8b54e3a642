//! Which of several plugins with one id is the one.

use std::cmp::{Ordering, Reverse};

use semver::Version;

use crate::{Plugin, PluginId};

/// A plugin whose id another one has too, and that comes after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Duplicate {
    /// The id of both.
    pub id: PluginId,
    /// The plugin that comes after.
    pub loser: Plugin,
    /// Where the one that goes first was found.
    pub winner: std::path::PathBuf,
    /// What decided between the two.
    pub decided_by: DecidedBy,
}

/// What decides which of two plugins with the same id goes first. The order of the variants is the order in which it is
/// asked; the last one always decides, so the order of plugins is total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DecidedBy {
    /// One works here and the other does not.
    Compatibility,
    /// One was found in an earlier directory of the search path.
    SearchRank,
    /// One has a higher version; no version is the lowest, and of versions that differ in nothing but build metadata the
    /// one with the greater metadata is taken for the higher, so that the answer is always the same.
    Version,
    /// The name of one comes first, byte by byte.
    Path,
}

impl std::fmt::Display for DecidedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// One plugin for each id, by id, and the others.
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
            // The same one by another way.
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
