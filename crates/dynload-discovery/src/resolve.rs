//! The order in which plugins are loaded, so that each is loaded after its dependencies.

mod components;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dynload_diagnostics::Listed;
use semver::{Version, VersionReq};

use crate::{Discovery, Plugin, PluginId};

/// The order in which to load plugins, and those that cannot be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolution {
    /// The plugins that can be loaded, each after all of its dependencies; ordered by id where there is a choice.
    pub order: Vec<PluginId>,
    /// Why the others cannot be loaded, and which optional dependencies are not satisfied.
    pub problems: Vec<DependencyProblem>,
}

/// A dependency that is not satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DependencyProblem {
    /// A requested plugin was not found.
    #[non_exhaustive]
    Missing {
        /// The plugin that depends on it; `None` when it was passed to [`Discovery::resolve`].
        plugin: Option<PluginId>,
        /// The plugin that is missing.
        dependency: PluginId,
        /// The versions that are accepted.
        required: Option<VersionReq>,
    },
    /// A plugin was found in a version that is not accepted.
    #[non_exhaustive]
    Conflict {
        /// The plugin with the dependency.
        plugin: PluginId,
        /// The plugin that it depends on.
        dependency: PluginId,
        /// The versions that are accepted.
        required: VersionReq,
        /// The version that was found; a lone file has none.
        found: Option<Version>,
        /// Whether the dependency is optional.
        optional: bool,
    },
    /// A plugin does not work with this platform or this version of the host.
    #[non_exhaustive]
    Incompatible {
        /// The plugin.
        plugin: PluginId,
    },
    /// Plugins form a dependency cycle: each depends on the next, and the last on the first.
    #[non_exhaustive]
    Cycle {
        /// The cycle, from its least id.
        plugins: Vec<PluginId>,
    },
    /// All dependencies of a plugin were found, but one of them cannot be loaded.
    #[non_exhaustive]
    Blocked {
        /// The plugin.
        plugin: PluginId,
        /// The dependency that cannot be loaded.
        dependency: PluginId,
    },
    /// An optional dependency is ignored in the order, because it depends on this plugin, directly or indirectly.
    #[non_exhaustive]
    OptionalCycle {
        /// The plugin.
        plugin: PluginId,
        /// The dependency that it is loaded without.
        dependency: PluginId,
    },
}

impl DependencyProblem {
    /// Returns whether it is about this plugin: one that depends on another, or a member of the cycle.
    #[must_use]
    pub fn is_about(&self, id: &str) -> bool {
        use DependencyProblem as P;
        match self {
            P::Missing {
                plugin: Some(plugin), ..
            }
            | P::Conflict { plugin, .. }
            | P::Incompatible { plugin }
            | P::Blocked { plugin, .. }
            | P::OptionalCycle { plugin, .. } => plugin.as_str() == id,
            P::Missing {
                plugin: None,
                dependency,
                ..
            } => dependency.as_str() == id,
            P::Cycle { plugins } => plugins.iter().any(|plugin| plugin.as_str() == id),
        }
    }
}

impl fmt::Display for DependencyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DependencyProblem as P;
        match self {
            P::Missing {
                plugin: None,
                dependency,
                ..
            } => write!(f, "plugin {dependency} was not found"),
            P::Missing {
                plugin: Some(plugin),
                dependency,
                required,
            } => {
                write!(f, "plugin {plugin} needs {dependency}")?;
                if let Some(required) = required {
                    write!(f, " {required}")?;
                }
                f.write_str(", which was not found: install it")
            }
            P::Conflict {
                plugin,
                dependency,
                required,
                found,
                optional,
            } => {
                let verb = if *optional { "can use" } else { "needs" };
                write!(f, "plugin {plugin} {verb} {dependency} {required}, but ")?;
                match found {
                    Some(found) => write!(f, "version {found} is installed"),
                    None => f.write_str("a file without a version is installed"),
                }
            }
            P::Incompatible { plugin } => write!(
                f,
                "plugin {plugin} is incompatible with this platform or host version"
            ),
            P::Cycle { plugins } => {
                f.write_str("circular dependency: ")?;
                const MOST: usize = Listed::<PluginId>::MOST;
                plugins
                    .iter()
                    .take(MOST)
                    .try_for_each(|id| write!(f, "{id} -> "))?;
                if let Some(more) = plugins.len().checked_sub(MOST + 1) {
                    write!(f, "{} more -> ", more + 1)?;
                }
                plugins.first().map_or(Ok(()), |first| write!(f, "{first}"))
            }
            P::Blocked { plugin, dependency } => {
                write!(f, "plugin {plugin} needs {dependency}, which cannot be loaded")
            }
            P::OptionalCycle { plugin, dependency } => {
                write!(
                    f,
                    "plugin {plugin} is loaded before its optional dependency {dependency}, because {dependency} depends on it"
                )
            }
        }
    }
}

impl Discovery {
    /// Returns the order in which to load every plugin that was found.
    #[must_use]
    pub fn resolve_all(&self) -> Resolution {
        resolve(
            self.plugins.iter().map(|plugin| (plugin.id(), plugin)).collect(),
            Vec::new(),
        )
    }

    /// Returns the order in which to load these plugins and everything that they depend on.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_discovery::{CacheLocation, PluginId, Scanner, SearchPath};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let plugins = dir.path();
    /// # for (id, dependencies) in [("thumbnails", "pixels = \"^2.1\""), ("pixels", ""), ("greeter", "")] {
    /// #     std::fs::create_dir(plugins.join(id))?;
    /// #     std::fs::write(plugins.join(id).join("plugin.wasm"), wat::parse_str("(module)")?)?;
    /// #     std::fs::write(plugins.join(id).join("plugin.toml"), format!(
    /// #         "[plugin]\nid = \"{id}\"\nversion = \"2.1.0\"\nformat = \"wasm\"\nentry = \"plugin.wasm\"\n\
    /// #         [dependencies]\n{dependencies}"))?;
    /// # }
    /// // Three plugins: `greeter`, `pixels`, and `thumbnails`, which depends on `pixels`.
    /// let found = Scanner::new(SearchPath::empty().with_dir(plugins)).with_cache(CacheLocation::None).scan();
    /// let thumbnails: PluginId = "thumbnails".parse()?;
    /// let resolution = found.resolve([&thumbnails]);
    /// for problem in &resolution.problems {
    ///     eprintln!("{problem}");
    /// }
    /// let order: Vec<&str> = resolution.order.iter().map(PluginId::as_str).collect();
    /// assert_eq!(order, ["pixels", "thumbnails"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resolve<'a>(&self, required: impl IntoIterator<Item = &'a PluginId>) -> Resolution {
        let mut chosen = BTreeMap::new();
        let mut problems = Vec::new();
        let mut open = Vec::new();
        for id in required {
            match self.get(id.as_str()) {
                Some(plugin) => open.push(plugin),
                None => problems.push(DependencyProblem::Missing {
                    plugin: None,
                    dependency: id.clone(),
                    required: None,
                }),
            }
        }
        while let Some(plugin) = open.pop() {
            if chosen.insert(plugin.id(), plugin).is_none() {
                let dependencies = plugin
                    .manifest()
                    .into_iter()
                    .flat_map(|manifest| manifest.dependencies.keys());
                open.extend(dependencies.filter_map(|id| self.get(id.as_str())));
            }
        }
        resolve(chosen, problems)
    }
}

/// The dependencies of one plugin.
#[derive(Default)]
struct Edges<'a> {
    required: BTreeSet<&'a PluginId>,
    optional: BTreeSet<&'a PluginId>,
}

fn resolve(plugins: BTreeMap<&PluginId, &Plugin>, mut problems: Vec<DependencyProblem>) -> Resolution {
    let mut failed: BTreeSet<&PluginId> = BTreeSet::new();
    let mut edges: BTreeMap<&PluginId, Edges<'_>> = BTreeMap::new();
    for (id, plugin) in &plugins {
        let (own, bad) = edges_of(plugin, &plugins, &mut problems);
        if bad {
            failed.insert(id);
        }
        edges.insert(id, own);
    }
    let required = edges
        .iter()
        .map(|(id, own)| (*id, own.required.iter().copied().collect()));
    for circle in components::circles(&required.collect()) {
        failed.extend(circle.iter().copied());
        problems.push(DependencyProblem::Cycle {
            plugins: circle.into_iter().cloned().collect(),
        });
    }
    block(&edges, &mut failed, &mut problems);
    drop_optional_cycles(&mut edges, &failed, &mut problems);
    let order = order(&edges, &failed);
    Resolution { order, problems }
}

/// Returns the dependencies of `plugin`, and whether it cannot be loaded.
fn edges_of<'a>(
    plugin: &'a Plugin,
    plugins: &BTreeMap<&'a PluginId, &'a Plugin>,
    problems: &mut Vec<DependencyProblem>,
) -> (Edges<'a>, bool) {
    let (mut edges, mut bad) = (Edges::default(), false);
    if !plugin.is_compatible() {
        problems.push(DependencyProblem::Incompatible {
            plugin: plugin.id().clone(),
        });
        bad = true;
    }
    let dependencies = plugin.manifest().map(|manifest| manifest.dependencies.iter());
    for (id, dependency) in dependencies.into_iter().flatten() {
        let optional = dependency.optional;
        match plugins.get(id) {
            None if optional => {}
            None => {
                bad = true;
                problems.push(DependencyProblem::Missing {
                    plugin: Some(plugin.id().clone()),
                    dependency: id.clone(),
                    required: Some(dependency.version.clone()),
                });
            }
            Some(found) if meets(&dependency.version, found.version()) => {
                let set = if optional {
                    &mut edges.optional
                } else {
                    &mut edges.required
                };
                set.insert(id);
            }
            Some(found) => {
                bad |= !optional;
                problems.push(DependencyProblem::Conflict {
                    plugin: plugin.id().clone(),
                    dependency: id.clone(),
                    required: dependency.version.clone(),
                    found: found.version().cloned(),
                    optional,
                });
            }
        }
    }
    (edges, bad)
}

/// Returns whether a version satisfies `required`. A file without a version satisfies only `*`.
fn meets(required: &VersionReq, found: Option<&Version>) -> bool {
    match found {
        Some(found) => required.matches(found),
        None => *required == VersionReq::STAR,
    }
}

/// The number of optional dependencies in a group of cycles up to which each is checked separately.
const MAX_CANDIDATES: usize = 4_000;

/// Removes optional dependencies from cycles, so that a plugin that can do without one is loaded first.
///
/// An optional dependency is removed only if it would close a cycle with the dependencies that are kept so far. Where there are
/// thousands, all of them are removed, because each would have to be checked separately.
fn drop_optional_cycles<'a>(
    edges: &mut BTreeMap<&'a PluginId, Edges<'a>>,
    failed: &BTreeSet<&'a PluginId>,
    problems: &mut Vec<DependencyProblem>,
) {
    let loaded = edges.iter().filter(|(id, _)| !failed.contains(*id));
    let both = loaded.map(|(id, own)| (*id, own.required.union(&own.optional).copied().collect()));
    for members in components::components(&both.collect()) {
        let optional: usize = members.iter().map(|id| edges[id].optional.len()).sum();
        // This graph has no cycle yet: plugins in cycles of required dependencies have already failed.
        let required = members
            .iter()
            .map(|id| (*id, edges[id].required.iter().copied().collect()));
        let mut waited_for: components::Graph<'_> = required.collect();
        for id in members {
            let Some(own) = edges.get_mut(id) else { continue };
            own.optional.retain(|dependency| {
                let closes = if optional > MAX_CANDIDATES {
                    waited_for.contains_key(dependency)
                } else {
                    components::reaches(&waited_for, dependency, id)
                };
                if closes {
                    let (plugin, dependency) = (id.clone(), (*dependency).clone());
                    problems.push(DependencyProblem::OptionalCycle { plugin, dependency });
                } else {
                    waited_for.entry(id).or_default().push(dependency);
                }
                !closes
            });
        }
    }
}

/// Marks every plugin that requires a failed one, directly or indirectly.
fn block<'a>(
    edges: &BTreeMap<&'a PluginId, Edges<'a>>,
    failed: &mut BTreeSet<&'a PluginId>,
    problems: &mut Vec<DependencyProblem>,
) {
    let mut needed_by: BTreeMap<&PluginId, Vec<&'a PluginId>> = BTreeMap::new();
    for (id, own) in edges {
        own.required
            .iter()
            .for_each(|dependency| needed_by.entry(dependency).or_default().push(id));
    }
    let mut open: Vec<&PluginId> = failed.iter().rev().copied().collect();
    while let Some(bad) = open.pop() {
        for id in needed_by.get(bad).into_iter().flatten() {
            if failed.insert(id) {
                let (plugin, dependency) = ((*id).clone(), bad.clone());
                problems.push(DependencyProblem::Blocked { plugin, dependency });
                open.push(id);
            }
        }
    }
}

/// Returns the remaining plugins, each after its dependencies; of those that are ready, the least id is first (Kahn 1962).
fn order<'a>(edges: &BTreeMap<&'a PluginId, Edges<'a>>, failed: &BTreeSet<&'a PluginId>) -> Vec<PluginId> {
    let mut waiting: BTreeMap<&PluginId, usize> = BTreeMap::new();
    let mut waited_for: BTreeMap<&PluginId, Vec<&PluginId>> = BTreeMap::new();
    for (id, own) in edges.iter().filter(|(id, _)| !failed.contains(*id)) {
        let both: BTreeSet<_> = own
            .required
            .union(&own.optional)
            .filter(|id| !failed.contains(*id))
            .collect();
        waiting.insert(id, both.len());
        both.into_iter()
            .for_each(|dependency| waited_for.entry(dependency).or_default().push(id));
    }
    let mut ready: BTreeSet<&PluginId> = waiting
        .iter()
        .filter(|(_, count)| **count == 0)
        .map(|(id, _)| *id)
        .collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(id) = ready.pop_first() {
        order.push(id.clone());
        for next in waited_for.get(id).into_iter().flatten() {
            if let Some(count) = waiting.get_mut(next) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(next);
                }
            }
        }
    }
    order
}
