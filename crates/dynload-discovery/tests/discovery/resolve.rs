//! The load order, and problems with dependencies.

use crate::support::Plugins;
use dynload_discovery::{DependencyProblem as P, Discovery, PluginId, Resolution};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Returns the scan of plugins, each described by its id, its version and the lines of its dependencies.
fn found(list: &[(&str, &str, &str)]) -> Discovery {
    let plugins = Plugins::new();
    for (id, version, dependencies) in list {
        plugins.plugin(id, id, version, &format!("[dependencies]\n{dependencies}"));
    }
    let found = plugins.scanner().scan();
    assert_eq!(found.plugins.len(), list.len(), "{:?}", found.problems);
    found
}

fn order(resolution: &Resolution) -> Vec<&str> {
    resolution.order.iter().map(PluginId::as_str).collect()
}

fn texts(resolution: &Resolution) -> Vec<String> {
    resolution.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn dependencies_are_loaded_first_and_the_rest_is_ordered_by_id() {
    let found = found(&[
        ("a", "1.0.0", "c = \"^1\""),
        ("b", "1.0.0", ""),
        ("c", "1.5.0", "d = \"*\""),
        ("d", "0.1.0", ""),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["b", "d", "c", "a"]);
    assert!(all.problems.is_empty());
    let some = found.resolve([&"c".parse().unwrap(), &"x".parse().unwrap()]);
    assert_eq!(order(&some), ["d", "c"]);
    assert_eq!(texts(&some), ["plugin x was not found"]);
}

#[test]
fn missing_and_conflicting_dependencies_block_the_plugins_that_need_them() {
    let found = found(&[
        ("a", "1.0.0", "b = \"1\""),
        ("b", "1.0.0", "c = \"^2\""),
        ("c", "1.0.0", ""),
        ("d", "1.0.0", "nowhere = \"1\""),
        (
            "e",
            "1.0.0",
            "nowhere = { version = \"1\", optional = true }\nc = { version = \"3\", optional = true }",
        ),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["c", "e"]);
    assert_eq!(
        texts(&all),
        [
            "plugin b needs c ^2, but version 1.0.0 is installed",
            "plugin d needs nowhere ^1, which was not found: install it",
            "plugin e can use c ^3, but version 1.0.0 is installed",
            "plugin a needs b, which cannot be loaded",
        ]
    );
}

#[test]
fn circular_dependencies_are_named() {
    let found = found(&[
        ("a", "1.0.0", "b = \"1\""),
        ("b", "1.0.0", "c = \"1\""),
        ("c", "1.0.0", "a = \"1\""),
        ("needs-a", "1.0.0", "a = \"1\""),
        ("x", "1.0.0", "y = \"1\""),
        ("y", "1.0.0", "x = \"1\""),
        ("z", "1.0.0", ""),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["z"]);
    assert_eq!(
        texts(&all),
        [
            "circular dependency: a -> b -> c -> a",
            "circular dependency: x -> y -> x",
            "plugin needs-a needs a, which cannot be loaded",
        ]
    );
}

#[test]
fn an_optional_dependency_does_not_close_a_cycle() {
    let found = found(&[
        ("a", "1.0.0", "b = { version = \"1\", optional = true }"),
        ("b", "1.0.0", "a = \"1\""),
        ("c", "1.0.0", "b = { version = \"1\", optional = true }"),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["a", "b", "c"]);
    assert_eq!(
        texts(&all),
        ["plugin a is loaded before its optional dependency b, because b depends on it"]
    );
}

#[test]
fn one_dependency_of_an_optional_cycle_is_ignored() {
    let optional = |id: &str| format!("{id} = {{ version = \"1\", optional = true }}\n");
    let found = found(&[
        ("a", "1.0.0", &(optional("b") + &optional("d"))),
        ("b", "1.0.0", &optional("c")),
        ("c", "1.0.0", &optional("a")),
        ("d", "1.0.0", &optional("a")),
        // Depends on a cycle, and is in none.
        ("0", "1.0.0", &optional("a")),
        // These cannot be loaded in any order.
        ("x", "1.0.0", &(optional("z") + "y = \"1\"")),
        ("y", "1.0.0", "x = \"1\""),
        ("z", "1.0.0", "x = \"1\""),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["c", "b", "d", "a", "0"]);
    assert_eq!(
        texts(&all),
        [
            "circular dependency: x -> y -> x",
            "plugin z needs x, which cannot be loaded",
            "plugin c is loaded before its optional dependency a, because a depends on it",
            "plugin d is loaded before its optional dependency a, because a depends on it",
        ]
    );
}

#[test]
fn many_plugins_that_can_all_use_each_other_are_loaded() {
    let ids: Vec<String> = (0..80).map(|n| format!("p{n:02}")).collect();
    let lines = |own: &String| -> String {
        let others = ids.iter().filter(|id| *id != own);
        others
            .map(|id| format!("{id} = {{ version = \"1\", optional = true }}\n"))
            .collect()
    };
    let plugins: Vec<(&str, String)> = ids.iter().map(|id| (id.as_str(), lines(id))).collect();
    let list: Vec<_> = plugins
        .iter()
        .map(|(id, lines)| (*id, "1.0.0", lines.as_str()))
        .collect();
    let all = found(&list).resolve_all();
    assert_eq!(order(&all), ids);
}

#[test]
fn an_incompatible_plugin_blocks_the_plugins_that_need_it() {
    let plugins = Plugins::new();
    plugins.plugin("a", "a", "1.0.0", "host_version = \"9\"");
    plugins.plugin("b", "b", "1.0.0", "[dependencies]\na = \"*\"\nlone = \"*\"");
    plugins.write("lone.wasm", crate::support::EMPTY_MODULE);
    let found = plugins
        .scanner()
        .with_host_version("1.0.0".parse().unwrap())
        .scan();
    let all = found.resolve_all();
    assert_eq!(order(&all), ["lone"]);
    assert!(
        matches!(&all.problems[..], [P::Incompatible { .. }, P::Blocked { .. }]),
        "{:?}",
        all.problems
    );
}

/// Returns a configuration with the same cases in every run, or many more and new ones if `DYNLOAD_PROVE` is set.
fn cases(short: u32, long: u32) -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var_os("DYNLOAD_PROVE") {
        Some(_) => (long, RngSeed::Random),
        None => (short, RngSeed::Fixed(0x6479_6e6c_6f61_6401)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(40, 5_000))]

    /// In any graph, a loaded plugin comes after everything that it needs, and a plugin that is not loaded has a reason.
    #[test]
    fn the_order_is_correct_in_any_graph(edges in prop::collection::vec((0usize..12, 0usize..12, any::<bool>()), 0..30)) {
        let mut lines = vec![std::collections::BTreeMap::new(); 12];
        for (from, to, optional) in edges.iter().filter(|(from, to, _)| from != to) {
            lines[*from].entry(*to).or_insert(*optional);
        }
        let plugins: Vec<(String, String)> = lines.iter().enumerate().map(|(at, lines)| {
            let line = |(to, optional): (&usize, &bool)| format!("p{to:02} = {{ version = \"1\", optional = {optional} }}\n");
            (format!("p{at:02}"), lines.iter().map(line).collect())
        }).collect();
        let list: Vec<(&str, &str, &str)> = plugins.iter().map(|(id, lines)| (id.as_str(), "1.0.0", lines.as_str())).collect();
        let found = found(&list);
        let all = found.resolve_all();
        let position = |at: usize| all.order.iter().position(|id| id.as_str() == format!("p{at:02}"));
        // The plugins that are in a cycle of required dependencies, or need one that is: what remains after repeatedly removing
        // plugins that have no open dependency.
        let mut open: std::collections::BTreeSet<usize> = (0..12).collect();
        while let Some(free) = open.iter().copied().find(|at| lines[*at].iter().all(|(to, optional)| *optional || !open.contains(to))) {
            open.remove(&free);
        }
        for (at, lines) in lines.iter().enumerate() {
            prop_assert_eq!(position(at).is_none(), open.contains(&at), "p{:02} in {:?}", at, all);
            for (to, _) in lines.iter().filter(|(_, optional)| !**optional) {
                if let (Some(own), Some(needed)) = (position(at), position(*to)) {
                    prop_assert!(needed < own);
                }
            }
        }
        // An optional dependency is loaded first too, unless the report says that it is not.
        let reported = |at: usize, to: usize| all.problems.iter().any(|problem| matches!(problem, P::OptionalCycle { plugin, dependency, .. }
            if plugin.as_str() == format!("p{at:02}") && dependency.as_str() == format!("p{to:02}")));
        let mut waits = [[false; 12]; 12];
        for (at, lines) in lines.iter().enumerate() {
            for to in lines.keys().copied().filter(|to| !reported(at, *to)) {
                if let (Some(own), Some(used)) = (position(at), position(to)) {
                    prop_assert!(used < own, "p{at:02} before p{to:02}: {all:?}");
                    waits[at][to] = true;
                }
            }
        }
        // The report says so only if the dependency depends on the plugin, directly or indirectly (Warshall 1962).
        for through in 0..12 {
            let next = waits[through];
            for row in waits.iter_mut().filter(|row| row[through]) {
                row.iter_mut().zip(next).for_each(|(waits, next)| *waits |= next);
            }
        }
        for (at, lines) in lines.iter().enumerate() {
            for to in lines.keys().copied().filter(|to| reported(at, *to)) {
                prop_assert!(waits[to][at], "p{at:02} could be loaded after p{to:02}: {all:?}");
            }
        }
    }
}
