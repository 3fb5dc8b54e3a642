//! Load order and what is wrong with dependencies.

mod support;

use dynload_discovery::{DependencyProblem as P, Discovery, PluginId, Resolution};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::Plugins;

/// Plugins by id, version and the lines of their dependencies.
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
fn dependencies_first_and_else_by_id() {
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
fn missing_and_conflicting_ones_block_what_needs_them() {
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
            "plugin b needs c ^2, and version 1.0.0 is installed",
            "plugin d needs nowhere ^1, which was not found: install it",
            "plugin e can use c ^3, and version 1.0.0 is installed",
            "plugin a needs b, which cannot be loaded",
        ]
    );
}

#[test]
fn circles_are_named() {
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
            "plugins depend on each other in a circle: a -> b -> c -> a",
            "plugins depend on each other in a circle: x -> y -> x",
            "plugin needs-a needs a, which cannot be loaded",
        ]
    );
}

#[test]
fn an_optional_dependency_makes_no_circle() {
    let found = found(&[
        ("a", "1.0.0", "b = { version = \"1\", optional = true }"),
        ("b", "1.0.0", "a = \"1\""),
        ("c", "1.0.0", "b = { version = \"1\", optional = true }"),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["a", "b", "c"]);
    assert_eq!(
        texts(&all),
        ["plugin a is loaded before b, which it can use, because that waits for it"]
    );
}

#[test]
fn of_a_circle_of_optional_dependencies_one_is_given_up() {
    let optional = |id: &str| format!("{id} = {{ version = \"1\", optional = true }}\n");
    let found = found(&[
        ("a", "1.0.0", &(optional("b") + &optional("d"))),
        ("b", "1.0.0", &optional("c")),
        ("c", "1.0.0", &optional("a")),
        ("d", "1.0.0", &optional("a")),
        // Waits for a circle, and is in none.
        ("0", "1.0.0", &optional("a")),
        // Cannot be loaded, whoever waits for whom.
        ("x", "1.0.0", &(optional("z") + "y = \"1\"")),
        ("y", "1.0.0", "x = \"1\""),
        ("z", "1.0.0", "x = \"1\""),
    ]);
    let all = found.resolve_all();
    assert_eq!(order(&all), ["c", "b", "d", "a", "0"]);
    assert_eq!(
        texts(&all),
        [
            "plugins depend on each other in a circle: x -> y -> x",
            "plugin z needs x, which cannot be loaded",
            "plugin c is loaded before a, which it can use, because that waits for it",
            "plugin d is loaded before a, which it can use, because that waits for it",
        ]
    );
}

#[test]
fn many_that_can_all_use_each_other_are_loaded_all_the_same() {
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
fn a_plugin_that_does_not_work_here_blocks_its_users() {
    let plugins = Plugins::new();
    plugins.plugin("a", "a", "1.0.0", "host_version = \"9\"");
    plugins.plugin("b", "b", "1.0.0", "[dependencies]\na = \"*\"\nlone = \"*\"");
    plugins.write("lone.wasm", support::EMPTY_MODULE);
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

/// The same cases in every run; with `DYNLOAD_PROVE` set, many more and new ones each time.
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

    /// In any graph, what is loaded comes after all that it needs, and what is not loaded has a reason.
    #[test]
    fn the_order_is_right_in_any_graph(edges in prop::collection::vec((0usize..12, 0usize..12, any::<bool>()), 0..30)) {
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
        let place = |at: usize| all.order.iter().position(|id| id.as_str() == format!("p{at:02}"));
        // What is in a circle of needs, or needs something in one, by repeated removal of what has nothing left to wait for.
        let mut open: std::collections::BTreeSet<usize> = (0..12).collect();
        while let Some(free) = open.iter().copied().find(|at| lines[*at].iter().all(|(to, optional)| *optional || !open.contains(to))) {
            open.remove(&free);
        }
        for (at, lines) in lines.iter().enumerate() {
            prop_assert_eq!(place(at).is_none(), open.contains(&at), "p{:02} in {:?}", at, all);
            for (to, _) in lines.iter().filter(|(_, optional)| !**optional) {
                if let (Some(own), Some(needed)) = (place(at), place(*to)) {
                    prop_assert!(needed < own);
                }
            }
        }
        // An optional dependency is waited for too, unless the report says that it is not.
        let told = |at: usize, to: usize| all.problems.iter().any(|problem| matches!(problem, P::OptionalCycle { plugin, dependency, .. }
            if plugin.as_str() == format!("p{at:02}") && dependency.as_str() == format!("p{to:02}")));
        let mut waits = [[false; 12]; 12];
        for (at, lines) in lines.iter().enumerate() {
            for to in lines.keys().copied().filter(|to| !told(at, *to)) {
                if let (Some(own), Some(used)) = (place(at), place(to)) {
                    prop_assert!(used < own, "p{at:02} before p{to:02}: {all:?}");
                    waits[at][to] = true;
                }
            }
        }
        // And the report says so only where the other one waits for this, itself or through others (Warshall 1962).
        for through in 0..12 {
            let next = waits[through];
            for row in waits.iter_mut().filter(|row| row[through]) {
                row.iter_mut().zip(next).for_each(|(waits, next)| *waits |= next);
            }
        }
        for (at, lines) in lines.iter().enumerate() {
            for to in lines.keys().copied().filter(|to| told(at, *to)) {
                prop_assert!(waits[to][at], "p{at:02} could wait for p{to:02}: {all:?}");
            }
        }
    }
}
