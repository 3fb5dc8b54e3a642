//! In which order plugins are loaded so that each finds what it depends on.

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
    /// The plugins that can be loaded, each after all that it depends on; where that leaves a choice, by id.
    pub order: Vec<PluginId>,
    /// Why the others cannot, and which optional dependencies are not met.
    pub problems: Vec<DependencyProblem>,
}

/// A dependency that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DependencyProblem {
    /// A plugin is asked for, by somebody, that was not found.
    #[non_exhaustive]
    Missing {
        /// Who asks; `None` when it was named to [`Discovery::resolve`].
        plugin: Option<PluginId>,
        /// For what.
        dependency: PluginId,
        /// In which versions.
        wanted: Option<VersionReq>,
    },
    /// A plugin was found in a version that will not do.
    #[non_exhaustive]
    Conflict {
        /// Who asks.
        plugin: PluginId,
        /// For what.
        dependency: PluginId,
        /// In which versions.
        wanted: VersionReq,
        /// Which version there is; a lone file has none.
        found: Option<Version>,
        /// Whether the plugin can do without.
        optional: bool,
    },
    /// A plugin that does not work here.
    #[non_exhaustive]
    Incompatible {
        /// The plugin.
        plugin: PluginId,
    },
    /// Plugins that depend on each other in a circle, each on the next and the last on the first.
    #[non_exhaustive]
    Cycle {
        /// The circle, from its least id.
        plugins: Vec<PluginId>,
    },
    /// Everything that a plugin asks for is there, and some of it cannot be loaded.
    #[non_exhaustive]
    Blocked {
        /// The plugin.
        plugin: PluginId,
        /// What cannot be loaded.
        dependency: PluginId,
    },
    /// An optional dependency is not waited for, because the other plugin waits for this one, itself or through others.
    #[non_exhaustive]
    OptionalCycle {
        /// The plugin.
        plugin: PluginId,
        /// The dependency that it is loaded without.
        dependency: PluginId,
    },
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
                wanted,
            } => {
                write!(f, "plugin {plugin} needs {dependency}")?;
                if let Some(wanted) = wanted {
                    write!(f, " {wanted}")?;
                }
                f.write_str(", which was not found: install it")
            }
            P::Conflict {
                plugin,
                dependency,
                wanted,
                found,
                optional,
            } => {
                let verb = if *optional { "can use" } else { "needs" };
                write!(f, "plugin {plugin} {verb} {dependency} {wanted}, and ")?;
                match found {
                    Some(found) => write!(f, "version {found} is installed"),
                    None => f.write_str("a file without a version is installed"),
                }
            }
            P::Incompatible { plugin } => write!(f, "plugin {plugin} does not work here"),
            P::Cycle { plugins } => {
                f.write_str("plugins depend on each other in a circle: ")?;
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
                    "plugin {plugin} is loaded before {dependency}, which it can use, because that waits for it"
                )
            }
        }
    }
}

impl Discovery {
    /// The order in which to load every plugin that was found.
    #[must_use]
    pub fn resolve_all(&self) -> Resolution {
        resolve(
            self.plugins.iter().map(|plugin| (plugin.id(), plugin)).collect(),
            Vec::new(),
        )
    }

    /// The order in which to load these plugins and everything that they depend on.
    #[must_use]
    pub fn resolve<'a>(&self, wanted: impl IntoIterator<Item = &'a PluginId>) -> Resolution {
        let mut chosen = BTreeMap::new();
        let mut problems = Vec::new();
        let mut open = Vec::new();
        for id in wanted {
            match self.get(id.as_str()) {
                Some(plugin) => open.push(plugin),
                None => problems.push(DependencyProblem::Missing {
                    plugin: None,
                    dependency: id.clone(),
                    wanted: None,
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

/// What one plugin waits for.
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

/// What `plugin` waits for, and whether something that it needs is not there.
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
                    wanted: Some(dependency.version.clone()),
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
                    wanted: dependency.version.clone(),
                    found: found.version().cloned(),
                    optional,
                });
            }
        }
    }
    (edges, bad)
}

/// A file without a version meets only `*`.
fn meets(wanted: &VersionReq, found: Option<&Version>) -> bool {
    match found {
        Some(found) => wanted.matches(found),
        None => *wanted == VersionReq::STAR,
    }
}

/// Optional dependencies of plugins in circles with each other that are looked at one by one.
const MOST_LOOKED_AT: usize = 4_000;

/// Takes optional dependencies out of circles: a plugin that could do without is loaded first. Each that would close a circle with
/// those that are waited for already is given up, and no other; where there are thousands, all of them, for each has to be looked
/// at on its own.
fn drop_optional_cycles<'a>(
    edges: &mut BTreeMap<&'a PluginId, Edges<'a>>,
    failed: &BTreeSet<&'a PluginId>,
    problems: &mut Vec<DependencyProblem>,
) {
    let loaded = edges.iter().filter(|(id, _)| !failed.contains(*id));
    let both = loaded.map(|(id, own)| (*id, own.required.union(&own.optional).copied().collect()));
    for members in components::components(&both.collect()) {
        let optional: usize = members.iter().map(|id| edges[id].optional.len()).sum();
        // No circle is in it yet: those of required dependencies alone have failed.
        let required = members
            .iter()
            .map(|id| (*id, edges[id].required.iter().copied().collect()));
        let mut waited_for: components::Graph<'_> = required.collect();
        for id in members {
            let Some(own) = edges.get_mut(id) else { continue };
            own.optional.retain(|dependency| {
                let closes = if optional > MOST_LOOKED_AT {
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

/// Marks what needs something that failed, however far away.
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

/// The others, each after what it waits for; of those that wait for nothing the least id first (Kahn 1962).
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
